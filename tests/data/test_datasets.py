"""Data sets: parts, several in a row, functions of samples, arrays; and streams."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapenet.data import ArrayDataset, Concat, DataLoader, Dataset, Mapped, Stream, Subset
from tapenet.data.fetch import Generators


class Letters(Dataset[str]):
    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int, /) -> str:
        return "abcde"[index]


class TestDataset:
    def test_is_a_sequence(self) -> None:
        letters = Letters()
        assert (list(letters), letters[-1], "c" in list(letters)) == (list("abcde"), "e", True)

    def test_parts_sums_and_maps(self) -> None:
        letters = Letters()
        part = letters.subset([4, -5, 1])
        assert list(part) == ["e", "a", "b"]
        assert list(part.subset([False, True, True])) == ["a", "b"]
        assert list((part + Subset(["x"], [0])).map(str.upper)) == ["E", "A", "B", "X"]
        assert (part + letters)[-1] == "e"
        assert list(Concat()) == []

    @given(st.lists(st.lists(st.integers(), max_size=4), max_size=4))
    def test_concatenation_is_that_of_lists(self, lists: list[list[int]]) -> None:
        both, expected = Concat(*lists), list(itertools.chain(*lists))
        assert list(both) == expected
        for index in range(-len(expected), len(expected)):
            assert both[index] == expected[index]
        with pytest.raises(IndexError, match=f"sample {len(expected)} of a data set of {len(expected)}"):
            both[len(expected)]

    def test_a_part_of_a_part_refers_to_the_whole(self) -> None:
        letters = Letters()
        part = letters.subset([4, 3, 2]).subset([2, 0])
        assert part.dataset is letters
        assert part.indices.tolist() == [2, 4]

    @pytest.mark.parametrize(
        ("indices", "error", "message"),
        [
            ([0.5], TypeError, r"integers \(n,\) or booleans \(5,\).*float64"),
            ([[1]], TypeError, r"shape \(1, 1\)"),
            ([True, False], TypeError, r"booleans \(5,\), one per sample; got dtype bool, shape \(2,\)"),
            ([0, 5], IndexError, "index 5 for a data set of 5 samples"),
            ([-6], IndexError, "index -6"),
        ],
    )
    def test_wrong_indices(self, indices: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            Letters().subset(indices)

    def test_one_that_is_not_finished(self) -> None:
        with pytest.raises(NotImplementedError, match="Dataset without __len__; write it"):
            len(Dataset())
        with pytest.raises(NotImplementedError, match="Dataset without __getitem__; write it"):
            Dataset()[0]

    def test_randomness_goes_down_to_who_wants_it(self) -> None:
        def one(sample: str, rng: np.random.Generator) -> tuple[str, float]:
            return sample, rng.random()

        def two(sample: tuple[str, float], *, rng: np.random.Generator) -> tuple[str, float, float]:
            return (*sample, rng.random())

        data = (Letters() + Letters()).map(one).subset([6, 0]).map(two).map(lambda sample: sample[1:])
        assert data.is_random
        assert not Letters().map(str.upper).is_random
        assert data[0] == data[0] != data[1]
        (batch,) = DataLoader(data, 2, seed=3)
        for number in range(2):
            rng = Generators(seed=3, epoch=0)(number)
            assert [float(part[number]) for part in batch] == [rng.random(), rng.random()]

    def test_who_draws_need_not_be_a_dataset(self) -> None:
        class Drawing:
            def __len__(self) -> int:
                return 3

            def __getitem__(self, index: int) -> float:
                return -1.0

            def draw(self, index: int, rng: np.random.Generator) -> float:
                return rng.random()

        (first,), (second,) = (tuple(DataLoader(data, 3, seed=0)) for data in (Drawing(), Subset(Drawing(), [0, 1, 2])))
        assert first.min() >= 0
        np.testing.assert_array_equal(first, second)
        assert Mapped(Drawing(), abs)[0] != 1


class TestGenerators:
    def test_are_told_apart_by_everything_that_counts(self) -> None:
        drawn = [
            tuple(Generators(seed, epoch)(number, again, of_batches=of_batches).random(3))
            for seed in (0, 1, 2**62)
            for epoch in (0, 1)
            for number in (0, 1, 2**40)
            for again in (0, 1)
            for of_batches in (False, True)
        ]
        assert len(set(drawn)) == len(drawn)

    def test_nothing_is_left_of_the_sample_before(self) -> None:
        generators = Generators(0, 0)
        first = generators(1).random(5, np.float32)  # leaves half a number behind
        generators(2).integers(10, size=3, dtype=np.int32)
        np.testing.assert_array_equal(generators(1).random(5, np.float32), first)

    def test_are_uniform_over_samples(self) -> None:
        generators = Generators(0, 0)
        first = np.array([generators(number).random() for number in range(4000)])
        assert abs(first.mean() - 0.5) < 0.02
        assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.05


class TestArrays:
    def test_samples_and_batches(self) -> None:
        x, y = np.arange(12.0).reshape(6, 2), np.arange(6)
        both, named, one = ArrayDataset(x, y), ArrayDataset(x=x, y=y), ArrayDataset(x)
        np.testing.assert_equal(both[-1], (x[-1], y[-1]))
        np.testing.assert_equal(named[1], {"x": x[1], "y": y[1]})
        np.testing.assert_equal(one[2], x[2])
        rows = np.array([3, 0])
        np.testing.assert_equal(both.take(rows), (x[rows], y[rows]))
        np.testing.assert_equal(named.take(rows), {"x": x[rows], "y": y[rows]})
        np.testing.assert_equal(one.take(rows), x[rows])
        with pytest.raises(IndexError):
            both[6]

    def test_wrong_arrays(self) -> None:
        with pytest.raises(TypeError, match="all of them with names or none"):
            ArrayDataset()
        with pytest.raises(TypeError, match="all of them with names or none"):
            ArrayDataset(np.zeros(2), y=np.zeros(2))  # type: ignore[call-overload]
        with pytest.raises(ValueError, match=r"arrays of one length, got shapes \(2,\), \(3,\)"):
            ArrayDataset(np.zeros(2), np.zeros(3))
        with pytest.raises(ValueError, match="needs arrays with a first axis"):
            ArrayDataset(np.float64(1))
        with pytest.raises(TypeError, match="got a masked array, whose mask would be lost"):
            ArrayDataset(np.zeros(2), np.ma.masked_array([1, 2], [True, False]))

    def test_take_of_foreign_types_is_not_meant(self) -> None:
        class Foreign(list[int]):
            def take(self, count: int) -> Any:
                raise AssertionError("means something else")

        for data in (Foreign([1, 2]), Subset(Foreign([1, 2]), [0, 1])):
            assert next(iter(DataLoader(data, 2))).tolist() == [1, 2]

    def test_a_whole_batch_is_one_gather(self) -> None:
        class Watched(ArrayDataset[Any]):
            def __getitem__(self, index: int, /) -> Any:
                raise AssertionError("asked for one sample")

        data = Watched(np.arange(10))
        for dataset in (data, data.subset([3, 4, 5]), data.subset([3, 4, 5]).subset([0, 2])):
            assert sum(len(batch) for batch in DataLoader(dataset, 2, shuffle=True)) == len(dataset)


class TestStream:
    def test_functions_and_iterables(self) -> None:
        def make() -> Iterator[int]:
            return iter([1, 2, 3])

        for stream in (Stream(make), Stream([1, 2, 3])):
            for _ in range(2):
                assert list(stream) == [1, 2, 3]
            assert list(stream.map(float).map(str)) == ["1.0", "2.0", "3.0"]

    def test_an_iterator_is_read_once_whoever_reads_it(self) -> None:
        stream = Stream(iter([1, 2]))
        assert list(stream.map(str)) == ["1", "2"]
        with pytest.raises(RuntimeError, match="has been read, and cannot be read again"):
            list(stream)

    @given(count=st.integers(0, 30), buffer=st.integers(1, 10), seed=st.integers(0, 9))
    def test_mixed(self, count: int, buffer: int, seed: int) -> None:
        order = list(Stream(range(count)).shuffle(buffer).open(np.random.default_rng(seed)))
        assert sorted(order) == list(range(count))
        # None comes before it was read.
        assert all(sample < place + buffer for place, sample in enumerate(order))
        assert buffer > 1 or order == sorted(order)

    def test_mixing_differs_from_epoch_to_epoch(self) -> None:
        loader, again = (DataLoader(Stream(range(40)).shuffle(10), 40, seed=0) for _ in range(2))
        (one,), (two,), (first,) = loader, loader, again
        assert first.tolist() == one.tolist() != two.tolist()
        with pytest.raises(ValueError, match="buffer of at least 1 sample, got 0"):
            Stream([1]).shuffle(0)

    def test_wrong_source(self) -> None:
        with pytest.raises(TypeError, match="needs a function that makes an iterator"):
            Stream(3)  # type: ignore[arg-type]
