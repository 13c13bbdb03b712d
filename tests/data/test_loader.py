"""The loader: which batches it gives, and that it goes on where it was."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapenet.data import ArrayDataset, DataLoader, Dataset, Sampler, Stream, Subset, batches


def flat(tree: Any) -> list[Any]:
    """Everything in a batch, with types, in an order; equal for equal batches only."""
    if isinstance(tree, np.ndarray):
        return [type(tree), tree.dtype, tree.shape, tree.tolist()]
    if isinstance(tree, dict):
        return [dict, *((key, flat(value)) for key, value in tree.items())]
    if isinstance(tree, (tuple, list)):
        return [type(tree), *map(flat, tree)]
    return [type(tree), tree]


def epochs(loader: Any, count: int = 2) -> list[list[Any]]:
    return [[flat(batch) for batch in loader] for _ in range(count)]


def noisy(sample: Any, rng: np.random.Generator) -> Any:
    return sample, rng.random(2)


class Numbered(Dataset[dict[str, Any]]):
    """Samples of every kind."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> dict[str, Any]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return {"x": np.full((2, 3), index, np.float32), "name": f"no. {index}", "pair": (index, index / 2)}


def generated(count: int) -> Any:
    """A stream without a state of its own."""

    def numbers() -> Iterator[int]:
        yield from range(count)

    return Stream(numbers)


class Counting:
    """An iterator that knows where it is."""

    def __init__(self, count: int) -> None:
        self.count, self.next, self.read = count, 0, 0

    def __iter__(self) -> Counting:
        return self

    def __next__(self) -> int:
        if self.next == self.count:
            raise StopIteration
        self.next += 1
        self.read += 1
        return self.next - 1

    def state_dict(self) -> dict[str, int]:
        return {"next": self.next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.next = state["next"]


SOURCES = {
    "arrays": lambda n: ArrayDataset(np.arange(2.0 * n).reshape(n, 2), np.arange(n)),
    "part": lambda n: Subset(ArrayDataset(np.arange(n + 3)), np.arange(n)[::-1] + 2),
    "samples": Numbered,
    "random": lambda n: Numbered(n).map(noisy),
    "list": lambda n: list(range(n)),
    "stream": lambda n: generated(n).map(noisy),
    "mixed stream": lambda n: generated(n).shuffle(3).map(noisy),
    "stream with state": lambda n: lambda: Counting(n),
}


class TestBatches:
    @given(
        samples=st.integers(0, 30),
        batch_size=st.integers(1, 35),
        shuffle=st.booleans(),
        drop_last=st.booleans(),
        source=st.sampled_from(["arrays", "list", "stream with state"]),
    )
    def test_every_sample_once_in_full_batches(
        self, samples: int, batch_size: int, shuffle: bool, drop_last: bool, source: str
    ) -> None:
        shuffle = shuffle and source != "stream with state"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a drop_last that leaves nothing
            loader = DataLoader(SOURCES[source](samples), batch_size, shuffle=shuffle, seed=3, drop_last=drop_last)
        for _ in range(2):
            seen = [batch[1] if source == "arrays" else batch for batch in loader]
            full, rest = divmod(samples, batch_size)
            assert [len(batch) for batch in seen] == [batch_size] * full + [rest] * (rest > 0 and not drop_last)
            order = [number for batch in seen for number in batch.tolist()]
            assert len(set(order)) == len(order)
            assert shuffle or order == list(range(len(order)))
            if source != "stream with state":
                assert len(loader) == len(seen)

    def test_rows_of_arrays_belong_together_and_are_copies(self) -> None:
        x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
        for shuffle in (False, True):
            for xs, ys in DataLoader((x, y), 4, shuffle=shuffle, seed=0):
                np.testing.assert_array_equal(xs, x[ys])
                assert not np.shares_memory(xs, x)
                assert xs.flags.writeable

    def test_arrays_at_once_are_samples_one_by_one(self) -> None:
        data = ArrayDataset(x=np.arange(20.0).reshape(10, 2), y=np.arange(10, dtype=np.int8))
        one_by_one = [data[i] for i in range(10)]
        assert epochs(DataLoader(data, 3, shuffle=True, seed=5)) == epochs(
            DataLoader(one_by_one, 3, shuffle=True, seed=5)
        )

    def test_epochs_differ_runs_repeat_and_so_does_a_seeded_process(self) -> None:
        def run(seed: Any) -> list[Any]:
            return epochs(DataLoader(np.arange(50), 16, shuffle=True, seed=seed), 3)

        first = run(7)
        assert run(7) == first
        assert first[0] != first[1] != first[2] != first[0]
        assert run(8) != first
        assert run(np.random.default_rng(7)) == run(np.random.default_rng(7))
        assert run(None) != run(None)
        np.random.seed(1)
        unseeded = run(None)
        np.random.seed(1)
        assert run(None) == unseeded

    def test_randomness_hangs_on_seed_epoch_and_index_alone(self) -> None:
        data = Subset(list(range(12)), np.arange(12)).map(noisy)

        def drawn(epoch: int, **options: Any) -> dict[int, list[float]]:
            loader = DataLoader(data, **options)
            loader.load_state_dict({**loader.state_dict(), "epoch": epoch, "seed": 4})
            return {int(n): r for ns, rs in loader for n, r in zip(ns, rs.tolist(), strict=True)}

        expected = drawn(0, batch_size=5)
        assert len({tuple(r) for r in expected.values()}) == 12
        assert drawn(0, batch_size=3, shuffle=True) == expected
        assert (
            drawn(0, batch_size=12, sampler=range(11, -1, -1)) != expected
        )  # might come twice: another place, other numbers
        assert drawn(1, batch_size=5) != expected

    def test_a_sample_that_comes_twice_differs(self) -> None:
        (batch,) = DataLoader(Subset([0], [0]).map(noisy), 3, sampler=[0, 0, 0], seed=0)
        assert len(set(batch[1][:, 0].tolist())) == 3

    def test_transform_of_batches(self) -> None:
        def double(batch: Any) -> Any:
            return 2 * batch

        def shake(batch: Any, rng: np.random.Generator) -> Any:
            return batch + rng.random(batch.shape)

        assert [b.tolist() for b in DataLoader(np.arange(3), 2, transform=double)] == [[0, 2], [4]]
        shaken = DataLoader(np.zeros(6), 2, transform=shake, seed=0)
        values = [float(value) for _ in range(2) for batch in shaken for value in batch]
        assert len(set(values)) == 12
        again = DataLoader(np.zeros(6), 2, transform=shake, seed=0)
        assert [float(value) for _ in range(2) for batch in again for value in batch] == values

    def test_arrays_of_any_form(self) -> None:
        x, y = np.arange(3.0), np.arange(3)
        (one,), (pair,), (named,) = (list(DataLoader(data, 3)) for data in (x, (x, y), {"x": x, "y": y}))
        np.testing.assert_equal((one, pair, named), (x, (x, y), {"x": x, "y": y}))
        assert list(DataLoader((1, 2), 2))[0].tolist() == [1, 2]  # noqa: RUF015

    def test_own_collation_and_none(self) -> None:
        assert list(DataLoader([1, 2, 3], 2, collate=sum)) == [3, 3]
        assert list(DataLoader(["a", "b"], None)) == ["a", "b"]
        assert list(DataLoader(lambda: iter([{"n": 1}, {"n": 2}]), None)) == [{"n": 1}, {"n": 2}]

    def test_samplers_of_any_kind(self) -> None:
        class Odd(Sampler):
            def __len__(self) -> int:
                return 3

            def order(self, rng: np.random.Generator) -> Any:
                return np.array([1, 3, 5])

        data = np.arange(10, 20)
        for sampler in (Odd(), [1, 3, 5], range(1, 6, 2), np.array([1, 3, 5])):
            loader = DataLoader(data, 2, sampler=sampler)
            assert ([b.tolist() for b in loader], len(loader)) == ([[11, 13], [15]], 2)
        loader = DataLoader(data, batch_sampler=[[0], [1, 2], [3]])
        assert ([b.tolist() for b in loader], len(loader)) == ([[10], [11, 12], [13]], 3)

    def test_a_stream_has_no_length_and_an_iterator_is_read_once(self) -> None:
        loader = DataLoader(iter([1, 2, 3]), 2)
        with pytest.raises(TypeError, match="length of a stream is not known"):
            len(loader)
        assert [b.tolist() for b in loader] == [[1, 2], [3]]
        with pytest.raises(RuntimeError, match=r"iterator has been read.*Stream\(function\)"):
            next(iter(loader))

    def test_the_random_generator_of_a_stream(self) -> None:
        def drawn(rng: np.random.Generator) -> Iterator[float]:
            return iter(rng.random(3))

        first, second = epochs(DataLoader(drawn, 3, seed=0))
        assert first != second
        assert epochs(DataLoader(drawn, 3, seed=0)) == [first, second]


class TestResuming:
    @pytest.mark.parametrize("source", SOURCES)
    @given(
        samples=st.integers(0, 9),
        batch_size=st.integers(1, 4),
        shuffle=st.booleans(),
        drop_last=st.booleans(),
        data=st.data(),
    )
    def test_at_every_position(
        self, source: str, samples: int, batch_size: int, shuffle: bool, drop_last: bool, data: st.DataObject
    ) -> None:
        shuffle = shuffle and "stream" not in source

        def make(seed: int) -> DataLoader[Any]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return DataLoader(SOURCES[source](samples), batch_size, shuffle=shuffle, seed=seed, drop_last=drop_last)

        expected = epochs(make(0), 3)
        stop = data.draw(st.integers(0, len(expected[1])))
        saved = make(0)
        list(saved)
        loop = iter(saved)
        seen = [flat(next(loop)) for _ in range(stop)]
        assert seen == expected[1][:stop]
        resumed = make(1)
        resumed.load_state_dict(json.loads(json.dumps(saved.state_dict())))
        assert resumed.state_dict() == saved.state_dict()
        assert epochs(resumed) == [expected[1][stop:], expected[2]]

    @given(rows=st.integers(0, 9), batch_size=st.integers(1, 4), shuffle=st.booleans(), data=st.data())
    def test_batches_at_every_position(self, rows: int, batch_size: int, shuffle: bool, data: st.DataObject) -> None:
        def make(seed: int) -> Any:
            return batches(np.arange(rows), batch_size=batch_size, shuffle=shuffle, seed=seed)

        expected = epochs(make(0), 3)
        stop = data.draw(st.integers(0, len(expected[1])))
        saved = make(0)
        list(saved)
        loop = iter(saved)
        assert [flat(next(loop)) for _ in range(stop)] == expected[1][:stop]
        resumed = make(1)
        resumed.load_state_dict(json.loads(json.dumps(saved.state_dict())))
        assert resumed.state_dict() == saved.state_dict()
        assert epochs(resumed) == [expected[1][stop:], expected[2]]

    def test_a_state_taken_between_epochs(self) -> None:
        for make in (
            lambda seed: DataLoader(np.arange(9), 2, shuffle=True, seed=seed),
            lambda seed: batches(np.arange(9), batch_size=2, shuffle=True, seed=seed),
        ):
            saved: Any = make(0)
            list(saved)
            resumed: Any = make(1)
            resumed.load_state_dict(saved.state_dict())
            assert epochs(resumed) == epochs(saved)

    def test_a_loop_that_was_broken_out_of_is_followed_by_the_next_epoch(self) -> None:
        loader, again = (DataLoader(np.arange(9), 2, shuffle=True, seed=0) for _ in range(2))
        for _ in loader:
            break
        assert loader.epoch == 0
        _, second = epochs(again)
        assert epochs(loader, 1) == [second]

    def test_loops_may_overlap(self) -> None:
        loader, again = (DataLoader(np.arange(9), 2, shuffle=True, seed=0) for _ in range(2))
        one, two = iter(loader), iter(loader)
        second, first = [flat(b) for b in two], [flat(b) for b in one]
        assert [first, second] == epochs(again)
        assert loader.epoch == 2

    def test_an_iterator_with_a_state_skips_nothing(self) -> None:
        made: list[Counting] = []

        def make() -> Counting:
            made.append(Counting(9))
            return made[-1]

        saved, resumed = DataLoader(make, 2), DataLoader(make, 2)
        loop = iter(saved)
        next(loop), next(loop)
        resumed.load_state_dict(saved.state_dict())
        assert [batch.tolist() for batch in resumed] == [[4, 5], [6, 7], [8]]
        assert made[-1].read == 5

    def test_a_sampler_with_a_state(self) -> None:
        class Drawn:
            """Random, from a generator of its own."""

            def __init__(self, seed: int) -> None:
                self.rng = np.random.default_rng(seed)

            def __iter__(self) -> Iterator[int]:
                return iter(self.rng.integers(10, size=6).tolist())

            def state_dict(self) -> Any:
                return self.rng.bit_generator.state

            def load_state_dict(self, state: Any) -> None:
                self.rng.bit_generator.state = state

        expected = epochs(DataLoader(np.arange(10), 2, sampler=Drawn(0)), 4)
        for stop in (None, 0, 1, 3):
            saved, resumed = (DataLoader(np.arange(10), 2, sampler=Drawn(seed)) for seed in (0, 1))
            list(saved)
            if stop is not None:
                loop = iter(saved)
                assert [flat(next(loop)) for _ in range(stop)] == expected[1][:stop]
            resumed.load_state_dict(saved.state_dict())
            assert resumed.state_dict() == saved.state_dict()
            assert epochs(resumed, 3) == [expected[1][stop or 0 :], *expected[2:]]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"samples": 10}, "samples=10, but here it is 9"),
            ({"batch_size": 3}, "batch_size=3, but here it is 2"),
            ({"order": "SequentialSampler"}, "order='SequentialSampler', but here it is 'RandomSampler'"),
            ({"epoch": None}, "integer"),
        ],
    )
    def test_a_state_of_other_batches_is_refused_and_changes_nothing(
        self, change: dict[str, Any], message: str
    ) -> None:
        loader = DataLoader(np.arange(9), 2, shuffle=True, seed=0)
        before = loader.state_dict()
        with pytest.raises((ValueError, TypeError), match=message):
            loader.load_state_dict({**before, **change, "seed": 5})
        with pytest.raises(ValueError, match="a state without 'epoch', 'batches'"):
            loader.load_state_dict({})
        assert loader.state_dict() == before


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3,), TypeError, "got a int as data set"),
        (
            (type("NoLength", (), {"__getitem__": lambda self, i: i})(),),
            TypeError,
            r"got a NoLength as data set, which has __getitem__ and no __len__.*: define __len__, or give a function",
        ),
        (
            (type("NoSamples", (), {"__len__": lambda self: 1})(),),
            TypeError,
            r"got a NoSamples as data set, which has __len__ and no __getitem__.*: define __getitem__",
        ),
        (([1], 0), ValueError, "batch_size of at least 1, got 0"),
        ((type("Frame", (), {"iloc": None})(),), TypeError, r"got a Frame as data set.*tn.data.table\(frame, target="),
        (([1], 0.5), TypeError, "integer batch_size, got 0.5"),
        (([1], 2, {"shuffle": True, "sampler": [0]}), TypeError, "got shuffle=True and sampler: .* give one of them"),
        (([1], 2, {"sampler": iter([0])}), TypeError, "got a list_iterator as sampler, which can be looped over once"),
        (([1], 2, {"batch_sampler": zip([0])}), TypeError, "got a zip as batch_sampler, which can be looped over once"),
        (
            (iter([1]), 2, {"shuffle": True}),
            TypeError,
            r"cannot use shuffle=True with a stream.*Stream\(source\).shuffle",
        ),
        (([1], 2, {"batch_sampler": [[0]], "drop_last": True}), TypeError, "got drop_last and batch_sampler"),
        (([1], 2, {"seed": -1}), ValueError, r"seed from 0 to 2\*\*63 - 1, got -1"),
    ],
)
def test_wrong_calls(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    dataset, *sizes = arguments
    options = sizes.pop() if sizes and isinstance(sizes[-1], dict) else {}
    with pytest.raises(error, match=message):
        DataLoader(dataset, *sizes, **options)


def test_drop_last_that_leaves_nothing_warns() -> None:
    with pytest.warns(RuntimeWarning, match="no batch at all: .* 3 rows"):
        DataLoader([1, 2, 3], 4, drop_last=True)


def test_an_error_names_the_sample() -> None:
    def fail(sample: int) -> int:
        if sample == 30:
            raise ValueError("not this one")
        return sample

    loader = DataLoader(Subset([10, 20, 30], [0, 1, 2]).map(fail), 2)
    loop = iter(loader)
    next(loop)
    with pytest.raises(ValueError, match="not this one") as caught:
        next(loop)
    assert caught.value.__notes__ == ["tapenet.data: this was sample 2, for batch 1 of epoch 0"]
    with pytest.raises(IndexError):
        list(DataLoader(np.arange(3), 2, sampler=[7]))
    with pytest.raises(TypeError, match=r"sampler gave \[0.5\], not sample numbers"):
        list(DataLoader(np.arange(3), 2, sampler=[0.5]))  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"sample 3 has shape \(3,\), sample 2 \(2,\)"):
        list(DataLoader([np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(3)], 2))


class Taken(Dataset[Any]):
    """Gives a batch at once, by a function of the rows."""

    def __init__(self, made: Any) -> None:
        self.made = made

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> int:
        return index

    def take(self, indices: Any) -> Any:
        return self.made(indices)


def test_a_batch_that_is_taken_at_once_has_a_row_for_each_sample() -> None:
    right: list[Any] = [lambda i: i, lambda i: (i, i), lambda i: {"a": i}, lambda i: [np.zeros(3), "one"]]
    for made in right:
        assert len(list(DataLoader(Taken(made), 4))) == 2
    wrong: list[Any] = [lambda i: i[:1], lambda i: (i, i.sum()), lambda i: {"a": i[None]}]
    for made in wrong:
        for dataset in (Taken(made), Taken(made).subset(range(6))):
            with pytest.raises(
                ValueError, match=r"Taken.take\(indices\) was asked for 4 samples and gave an array of shape \("
            ):
                list(DataLoader(dataset, 4))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "num_workers",
            r"takes no num_workers=\. PyTorch's num_workers is here workers=\. It takes dataset, batch_size",
        ),
        ("pin_memory", r"batches are arrays in memory; leave it out"),
        ("shufle", r"takes no shufle=\. It takes dataset, batch_size, collate, transform, shuffle, seed"),
    ],
)
def test_unknown_options(option: str, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        DataLoader([1, 2], **{option: 1})


@pytest.mark.parametrize("option", ["workers", "prefetch"])
def test_numbers_that_are_texts(option: str) -> None:
    with pytest.raises(TypeError, match=rf"needs an integer {option}, got '4'"):
        DataLoader([1, 2], **{option: "4"})
