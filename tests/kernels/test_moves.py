"""Arrays brought into another memory order."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tapenet.kernels import moves
from tapenet.llvm import rehearsal
from tests.kernels.beside import many_threads

R = np.random.default_rng(0)
#: (..., batch): of vectors, of parts of one and of more, and with columns left over.
SHAPES = [
    (300, 16),
    (5, 31, 33),
    (3, 16, 64, 5),
    (3, 7, 12, 32),
    (2, 3, 4, 17, 16),
    (9, 28, 20, 1),
    (2, 2, 2, 3, 4, 64),
]


def batch_first(shape: tuple[int, ...], dtype: Any) -> Any:
    """An array whose memory has the last axis in front."""
    return np.moveaxis(R.normal(size=(shape[-1], *shape[:-1])).astype(dtype), 0, -1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_batches_from_the_front_to_the_end(shape: tuple[int, ...], dtype: Any) -> None:
    x = batch_first(shape, dtype)
    found = moves.batch_last(x)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, x)
    assert moves.batch_last(found) is found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["front", "end", "reversed"])
def test_into_the_midst_of_an_array(shape: tuple[int, ...], dtype: Any, order: str) -> None:
    """A part of one, with gaps: nothing is written beside it."""
    x = batch_first(tuple(n + 2 for n in shape[:-1]) + shape[-1:], dtype)[(slice(1, -1),) * (len(shape) - 1)]
    if order == "end":
        x = np.ascontiguousarray(x)
    if order == "reversed":
        x = x[..., ::-1, :]
    wide = np.full((*(n + 3 for n in shape[:-1]), shape[-1]), np.nan, dtype)
    inside = tuple(slice(1, n + 1) for n in shape[:-1])
    moves.put(x, wide[inside])
    np.testing.assert_array_equal(wide[inside], x)
    assert np.isnan(wide).sum() == wide.size - x.size


@pytest.mark.parametrize(("rows", "columns"), [(16, 40), (5, 33), (40, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_transposed_matrix(rows: int, columns: int, dtype: Any) -> None:
    matrix = R.normal(size=(rows, columns)).astype(dtype)
    found = moves.transposed(matrix)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, matrix.T)


def test_one_kernel_is_for_all_lengths_of_a_kind() -> None:
    """Lengths are arguments: known is only what is left over behind whole blocks."""
    moves.transposed(np.zeros((24, 40), np.float32))
    begun = rehearsal.state.begun
    for rows in (40, 56):
        matrix = R.normal(size=(rows, 40)).astype(np.float32)
        np.testing.assert_array_equal(moves.transposed(matrix), matrix.T)
    assert rehearsal.state.begun == begun


def test_images_get_their_border_on_the_way() -> None:
    """In one pass: there is no array of them without."""
    x = batch_first((8, 20, 20, 32), np.float32)
    moves.bordered(x, [1, 2], (22, 23))  # what compiling takes does not count
    tracemalloc.start()
    try:
        found = moves.bordered(x, [1, 2], (22, 23))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(found, np.pad(x, ((0, 0), (1, 1), (2, 1), (0, 0))))
    assert peak < 1.2 * found.nbytes


BORDERS = [
    ((5,), (1,), (7,)),
    ((5, 17), (0, 2), (4, 20)),
    ((5, 17), (1, 0), (7, 17)),
    ((6, 5, 7), (1, 0, 1), (8, 5, 9)),
    ((1, 5, 7), (0, 1, 1), (1, 7, 9)),
    ((4, 4), (5, 0), (5, 4)),
]


@pytest.mark.parametrize(("sizes", "befores", "padded"), BORDERS)
@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("order", ["front", "end", "gaps"])
def test_a_border(
    sizes: Any, befores: Any, padded: Any, batch: int, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zeros around, also where images are cut off at the end, for any number of threads."""
    x = batch_first((6, *sizes, batch), np.float32)
    x = x if order == "front" else np.ascontiguousarray(x)[:: 2 if order == "gaps" else 1]
    inside = [max(0, min(n, m - b)) for n, m, b in zip(sizes, padded, befores, strict=True)]
    expected = np.zeros((len(x), *padded, batch), np.float32)
    place = tuple(slice(b, b + n) for b, n in zip(befores, inside, strict=True))
    expected[(slice(None), *place)] = x[(slice(None), *(slice(0, n) for n in inside))]
    monkeypatch.setattr(moves, "DENSE", 1_000_000)
    for threads in (1, 3):
        many_threads(monkeypatch, threads)
        found = moves.bordered(x, befores, padded)
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, expected)


def test_threads_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    many_threads(monkeypatch, 3)
    for shape in SHAPES:
        x = batch_first(shape, np.float32)
        np.testing.assert_array_equal(moves.batch_last(x), x)
