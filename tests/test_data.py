"""tapenet.data: mini-batches."""

import itertools
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapenet.data import batches


def test_import_loads_nothing_heavy() -> None:
    program = (
        "import sys, numpy, numpy.typing; before = set(sys.modules); from tapenet.data import DataLoader, mnist;"
        "print(*set(sys.modules) - before)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "tapenet.data.mnist_files" in loaded
    heavy = {"urllib.request", "gzip", "tqdm", "importlib.resources", "http.client", "argparse"}
    assert not heavy & {name for name in loaded if not name.startswith("tapenet.")}


class TestBatches:
    @given(
        rows=st.integers(0, 30),
        batch_size=st.integers(1, 35),
        shuffle=st.booleans(),
        drop_last=st.booleans(),
        seed=st.integers(0, 2**32),
    )
    def test_every_row_once_and_aligned(
        self, rows: int, batch_size: int, shuffle: bool, drop_last: bool, seed: int
    ) -> None:
        x = np.arange(2.0 * rows, dtype=np.float32).reshape(rows, 2)
        y = np.arange(rows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a drop_last that leaves nothing
            epoch = batches(x, y, batch_size=batch_size, shuffle=shuffle, seed=seed, drop_last=drop_last)
        for _ in range(2):
            seen = list(epoch)
            assert len(epoch) == len(seen) == (rows // batch_size if drop_last else -(-rows // batch_size))
            sizes = [len(ys) for _, ys in seen]
            assert all(size == batch_size for size in sizes[:-1])
            assert sum(sizes) == (rows - rows % batch_size if drop_last else rows)
            order = [row for _, ys in seen for row in ys.tolist()]
            if shuffle:
                assert len(set(order)) == len(order)
            else:
                assert order == list(range(sum(sizes)))
            for xs, ys in seen:
                assert (xs.dtype, ys.dtype) == (x.dtype, y.dtype)
                np.testing.assert_array_equal(xs, x[ys])

    def test_one_array_gives_arrays_and_more_give_tuples(self) -> None:
        x = np.arange(4)
        assert [batch.tolist() for batch in batches(x, batch_size=3)] == [[0, 1, 2], [3]]
        for count in (2, 3, 5):
            (batch,) = batches(*[x] * count, batch_size=4)
            assert type(batch) is tuple
            assert len(batch) == count

    def test_views_unless_shuffled(self) -> None:
        x = np.zeros((6, 2))
        assert all(np.shares_memory(batch, x) for batch in batches(x, batch_size=4))
        for batch in batches(x, batch_size=4, shuffle=True):
            assert not np.shares_memory(batch, x)
            assert batch.flags.c_contiguous

    def test_epochs_differ_and_runs_repeat(self) -> None:
        x = np.arange(50)

        def run(seed: int | np.random.Generator | None) -> list[list[int]]:
            epoch = batches(x, batch_size=16, shuffle=True, seed=seed)
            return [[row for batch in epoch for row in batch.tolist()] for _ in range(3)]

        first = run(7)
        assert run(7) == first
        assert run(np.random.default_rng(7)) == first
        assert all(a != b for a, b in itertools.combinations(first, 2))
        assert run(8) != first
        assert run(None) != run(None)

    def test_drop_last_leaves_out_other_rows_each_epoch(self) -> None:
        epoch = batches(np.arange(10), batch_size=9, shuffle=True, seed=0, drop_last=True)
        left_out = {next(iter(set(range(10)) - set(batch.tolist()))) for _ in range(20) for batch in epoch}
        assert len(left_out) > 3

    def test_drop_last_that_leaves_nothing_warns_once(self) -> None:
        def make() -> Any:
            return batches(np.arange(10), batch_size=16, drop_last=True)

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            assert [list(make()) for _ in range(3)] == [[], [], []]
        assert [w.filename for w in caught] == [__file__]
        with pytest.warns(RuntimeWarning, match=r"no batch at all: .* 10 rows, .* batch_size of at most 10, not 16"):
            make()
        assert list(batches(np.arange(0), batch_size=16, drop_last=True)) == []
        assert len(batches(np.arange(16), batch_size=16, drop_last=True)) == 1

    def test_loops_may_overlap(self) -> None:
        epoch = batches(np.arange(20), batch_size=6, shuffle=True, seed=0)
        again = batches(np.arange(20), batch_size=6, shuffle=True, seed=0)
        one, two = iter(epoch), iter(epoch)
        interleaved = [batch.tolist() for pair in zip(one, two, strict=True) for batch in pair]
        in_turn = [[batch.tolist() for batch in again] for _ in range(2)]
        assert interleaved[0::2] == in_turn[0]
        assert interleaved[1::2] == in_turn[1]

    def test_order_is_drawn_when_the_loop_begins(self) -> None:
        epoch, again = (batches(np.arange(20), batch_size=20, shuffle=True, seed=0) for _ in range(2))
        first, second = iter(epoch), iter(epoch)
        (late,), (early,) = second, first
        (expected_early,), (expected_late,) = again, again
        np.testing.assert_array_equal(early, expected_early)
        np.testing.assert_array_equal(late, expected_late)

    def test_lists_and_integer_likes(self) -> None:
        size: Any = np.int8(2)
        seen = [(xs.tolist(), ys.tolist()) for xs, ys in batches([1, 2, 3], ["a", "b", "c"], batch_size=size)]
        assert seen == [([1, 2], ["a", "b"]), ([3], ["c"])]

    @pytest.mark.parametrize(
        ("arrays", "batch_size", "error", "message"),
        [
            ((), 4, TypeError, r"batches\(\) got no arrays; write batches\(images, labels, batch_size=64\)"),
            (
                (np.zeros(3), 5.0),
                4,
                ValueError,
                r"a first axis to cut, got shapes \(3,\), \(\); give a whole",
            ),
            (
                (np.zeros((3, 2)), np.zeros(2)),
                4,
                ValueError,
                r"arrays of one length, got shapes \(3, 2\), \(2,\); the first axis .* must agree",
            ),
            ((np.zeros(3),), 0, ValueError, r"batch_size of at least 1, got 0; .* write batch_size=3"),
            ((np.zeros(3),), -2, ValueError, r"batch_size of at least 1, got -2"),
            (
                (np.zeros(3),),
                0.5,
                TypeError,
                r"an integer batch_size, got 0.5; .* int\(fraction \* len\(array\)\)",
            ),
            ((np.zeros(3),), None, TypeError, r"an integer batch_size, got None"),
        ],
    )
    def test_wrong_calls(self, arrays: tuple[Any, ...], batch_size: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            batches(*arrays, batch_size=batch_size)
