"""Colourings: entries of one colour can be told apart, and there are few colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from tapenet.transforms.coloring import columns, mirrored, symmetric

Array = np.ndarray[Any, Any]


def random(seed: int, rows: int, n: int, share: float) -> sparse.csr_array:
    rng = np.random.default_rng(seed)
    return sparse.csr_array(rng.random((rows, n)) < share)


def grid(n: int, reach: int) -> sparse.csr_array:
    """Which points of an n by n grid are neighbours: at most so many steps away."""
    at = np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), axis=-1).reshape(-1, 2)
    near = np.abs(at[:, None] - at[None]).sum(axis=-1) <= reach
    return sparse.csr_array(near)


def assert_apart(pattern: sparse.csr_array, colors: Array) -> None:
    """No row has two entries in columns of one colour."""
    groups = np.eye(colors.max() + 1, dtype=int)[colors]
    assert (pattern.astype(int) @ groups).max() <= 1


def assert_read_off(pattern: sparse.csr_array, colors: Array) -> None:
    """A symmetric matrix of this pattern can be read off its products."""
    values = np.random.default_rng(0).normal(size=pattern.shape)
    matrix = (values + values.T) * pattern.toarray()
    products = matrix @ np.eye(colors.max() + 1)[colors]
    row = np.repeat(np.arange(len(matrix)), np.diff(pattern.indptr))
    column, mirror = pattern.indices, mirrored(pattern, colors)
    found = np.where(mirror, products[column, colors[row]], products[row, colors[column]])
    np.testing.assert_allclose(found, matrix[row, column], atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_columns_of_a_colour_share_no_row(seed: int) -> None:
    pattern = random(seed, 30 + seed, 50 - seed, 0.02 * (1 + seed % 4))
    assert_apart(pattern, columns(pattern))


@pytest.mark.parametrize("seed", range(20))
def test_symmetric_matrices_can_be_read_off(seed: int) -> None:
    half = random(seed, 40, 40, 0.01 * (1 + seed % 5)).toarray()
    pattern = sparse.csr_array(half | half.T | np.eye(40, dtype=bool))
    colors = symmetric(pattern)
    assert_read_off(pattern, colors)
    assert colors.max() <= columns(pattern).max()


def test_few_colours() -> None:
    """As many as possible for bands and blocks; near the least for grids."""
    band = sparse.csr_array(np.tri(50, k=2) - np.tri(50, k=-3))
    assert columns(band).max() + 1 == symmetric(band).max() + 1 == 5
    blocks = sparse.csr_array(np.kron(np.eye(9), np.ones((3, 3))))
    assert columns(blocks).max() + 1 == symmetric(blocks).max() + 1 == 3
    points = grid(20, 1)
    assert columns(points).max() + 1 <= 7
    assert symmetric(points).max() + 1 <= 6
    two = sparse.kron(sparse.eye_array(2), points) + sparse.kron(
        sparse.csr_array(np.ones((2, 2))), sparse.eye_array(400)
    )
    assert columns(two.tocsr()).max() + 1 <= 12


def test_symmetry_saves_colours() -> None:
    """An arrow takes two colours by its symmetry, whichever column the head is, and without it one for each column."""
    for head in (0, 9):
        arrow = np.eye(10)
        arrow[head] = arrow[:, head] = 1
        pattern = sparse.csr_array(arrow)
        assert symmetric(pattern).max() + 1 == 2
        assert columns(pattern).max() + 1 == 10
        assert_read_off(pattern, symmetric(pattern))


def test_nothing_to_colour() -> None:
    empty = sparse.csr_array((3, 4), dtype=bool)
    np.testing.assert_array_equal(columns(empty), np.zeros(4))
    assert symmetric(sparse.csr_array((0, 0), dtype=bool)).size == 0
