"""Layers of the grid of shapes do the same as PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.benchmarks.shapes import grid
from tests.benchmarks.shapes.convolutions import Convolution

ROWS = grid.rows()


def size(row: grid.Row) -> int:
    """Elements of the input and the result, or of the input."""
    return int(np.prod(row.x) + np.prod(row.y) if isinstance(row, Convolution) else np.prod(row.shapes[0]))


#: The smallest of each kind; recurrent layers have kernels that take long to compile.
SMALL = {row.kind: row for row in sorted(ROWS, key=size, reverse=True) if row.kind != "recurrent"}


def test_each_has_a_name_of_its_own() -> None:
    assert len({str(row) for row in ROWS}) == len(ROWS) > 400


@pytest.mark.parametrize("row", SMALL.values(), ids=str)
def test_same_as_torch(row: grid.Row) -> None:
    pytest.importorskip("torch")
    (_, ours), (_, theirs), *_ = grid.calls(row, ("tapenet-eager", "torch-eager"))
    for our, their in zip(ours, theirs, strict=True):
        found: list[Any] = [our(), their()]
        if isinstance(found[1], tuple):  # gradients, of which one was asked for
            found[1] = next(g for g in found[1] if g is not None)
        if found[0] is not None:  # not a step back, whose gradients are compared elsewhere
            np.testing.assert_allclose(*map(np.asarray, found), rtol=2e-4, atol=2e-5)
