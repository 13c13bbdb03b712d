"""From samples to batches, and what cannot be put together."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapenet as tn
from tapenet.data import PadCollate, Padded, collate

Point = namedtuple("Point", "x y")


class TestCollate:
    @given(
        hnp.arrays(
            hnp.scalar_dtypes(), hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4).filter(lambda s: s[0])
        )
    )
    def test_arrays_are_stacked(self, rows: Any) -> None:
        found = collate([np.asarray(row) for row in rows])
        np.testing.assert_array_equal(found, rows.astype(rows.dtype.newbyteorder("=")), strict=True)
        assert found.flags.writeable
        assert not np.shares_memory(found, rows)

    def test_structures(self) -> None:
        samples = [
            {"point": Point(np.zeros(2), i), "list": [i, "a" * i], "flag": bool(i), "raw": b"x", "z": 1j * i}
            for i in range(2)
        ]
        found = collate(samples)
        assert type(found["point"]) is Point
        np.testing.assert_equal(
            found,
            {
                "point": Point(np.zeros((2, 2)), np.array([0, 1])),
                "list": [np.array([0, 1]), ["", "a"]],
                "flag": np.array([False, True]),
                "raw": [b"x", b"x"],
                "z": np.array([0, 1j]),
            },
        )
        assert found["flag"].dtype == bool

    def test_numbers_keep_their_type(self) -> None:
        assert collate([1, 2]).dtype == np.int64
        assert collate([1.0, 2.0]).dtype == np.float64
        assert collate([np.float32(1), np.float32(2)]).dtype == np.float32
        assert collate([np.array(1, np.int8), np.array(2, np.int8)]).tolist() == [1, 2]

    def test_tensors_and_rows_of_memory_maps(self, tmp_path: Any) -> None:
        np.testing.assert_array_equal(collate([tn.tensor([1.0, 2.0]), tn.tensor([3.0, 4.0])]), [[1, 2], [3, 4]])
        mapped = np.memmap(tmp_path / "rows", np.int16, "w+", shape=(2, 3))
        assert type(collate(list(mapped))) is np.ndarray

    @pytest.mark.parametrize(
        ("samples", "error", "message"),
        [
            ([np.zeros(2), np.zeros(3)], ValueError, r"sample 9 has shape \(3,\), sample 7 \(2,\); .*PadCollate"),
            ([np.zeros(2), np.zeros(2, np.float32)], ValueError, "sample 9 has dtype float32, sample 7 float64"),
            (
                [{"a": [1, np.zeros(2)]}, {"a": [1, np.zeros(1)]}],
                ValueError,
                r"\['a'\]\[1\] of sample 9 has shape \(1,\), of sample 7",
            ),
            ([{"a": 1}, {"b": 1}], ValueError, r"sample 9 has keys \['b'\], sample 7 \['a'\]"),
            ([(1, 2), (1,)], ValueError, "sample 9 has 1 fields, sample 7 2"),
            ([(1, 2), [1, 2]], ValueError, "sample 9 is a list, sample 7 a tuple"),
            ([(1, 2), 3], ValueError, "sample 9 is a int, sample 7 a tuple"),
            ([1, 2.0], ValueError, "sample 9 is a float, sample 7 a int"),
            ([1, True], ValueError, "sample 9 is a bool"),
            (["a", 1], ValueError, "sample 9 is a int, sample 7 a str"),
            ([2**70, 1], ValueError, "beyond 64 bits"),
            ([None, None], TypeError, "sample 7 is a NoneType; .*collate=f"),
            ([object()], TypeError, "sample 7 is a object"),
            ([np.array([None])], TypeError, "sample 7 is a array of objects"),
            ([np.ma.masked_array([1], [True])], TypeError, r"masked array, whose mask would be lost; call .filled"),
            ([], ValueError, "no samples"),
        ],
    )
    def test_what_cannot_be_put_together(self, samples: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            collate(samples, [7, 9])


class TestPadCollate:
    @given(
        lengths=st.lists(st.integers(0, 5), min_size=1, max_size=5), multiple=st.integers(1, 4), width=st.integers(0, 2)
    )
    def test_values_and_lengths(self, lengths: list[int], multiple: int, width: int) -> None:
        samples = [np.random.default_rng(0).random((length, width), np.float32) for length in lengths]
        values, found = PadCollate(-7, multiple_of=multiple)(samples)
        assert found.tolist() == lengths
        assert values.dtype == np.float32
        assert values.shape[1] % multiple == 0
        assert max(lengths) <= values.shape[1] < max(lengths) + multiple
        for row, sample in zip(values, samples, strict=True):
            np.testing.assert_array_equal(row[: len(sample)], sample)
            assert (row[len(sample) :] == -7).all()

    def test_lists_of_numbers_and_everything_else(self) -> None:
        batch = PadCollate()([([1, 2], "ab", 3, np.float32(1)), ([], "", 4, np.float32(2))])
        np.testing.assert_equal(
            batch,
            (
                Padded(np.array([[1, 2], [0, 0]]), np.array([2, 0])),
                ["ab", ""],
                np.array([3, 4]),
                np.array([1, 2], np.float32),
            ),
        )
        assert batch[0].values.dtype == np.int64
        assert PadCollate()([[], [3]]).values.tolist() == [[0], [3]]

    def test_only_some_fields(self) -> None:
        pad = PadCollate({"words": -1})
        batch = pad([{"words": [1, 2], "x": np.zeros(2)}, {"words": [3], "x": np.ones(2)}])
        assert batch["words"].values.tolist() == [[1, 2], [3, -1]]
        assert batch["x"].shape == (2, 2)
        with pytest.raises(ValueError, match=r"\['x'\] of sample 1 has shape \(3,\)"):
            pad([{"words": [1], "x": np.zeros(2)}, {"words": [3], "x": np.ones(3)}])

    def test_what_cannot_be_padded(self) -> None:
        with pytest.raises(
            ValueError, match=r"sample 1 has shape \(2, 2\), sample 0 \(2, 3\); only the first axis is padded"
        ):
            PadCollate()([np.zeros((2, 3)), np.zeros((2, 2))])
        with pytest.raises(ValueError, match="sample 1 has dtype float64, sample 0 int64"):
            PadCollate()([[1], [1.0]])
        with pytest.raises(ValueError, match="multiple_of of at least 1, got 0"):
            PadCollate(multiple_of=0)
