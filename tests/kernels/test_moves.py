"""Arrays brought into another memory order."""

import importlib
from typing import Any

import numpy as np
import pytest

from tests.kernels.beside import many_threads

pytest.importorskip("llvmlite")
R = np.random.default_rng(0)
moves: Any = importlib.import_module("tapenet.kernels.moves")


@pytest.mark.parametrize("char", "fd")
@pytest.mark.parametrize(
    "shape", [(64, 16, 8, 8), (16, 3, 64, 64), (5, 7, 13, 16), (33, 4, 256), (17, 1, 1, 1000), (2, 65, 65)]
)
def test_the_batch_goes_last_wherever_memory_begins(
    shape: tuple[int, ...], char: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    many_threads(monkeypatch, 3)
    size = int(np.prod(shape))
    memory = R.normal(size=size + 16).astype(char)
    for begin in range(0, 16, 5 if size > 10_000 else 1):
        x = np.moveaxis(memory[begin : begin + size].reshape(shape), 0, -1)
        target = np.full(x.shape, np.nan, char)
        moves.put(x, target)
        np.testing.assert_array_equal(target, x)


def test_axes_around_images_are_one_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps of 4 by 4 would else be matrices of 4 columns. What lies within a border is many."""
    calls: list[tuple[int, ...]] = []
    made = moves.turned_into
    monkeypatch.setattr(moves, "turned_into", lambda a, b: calls.append(a.shape) or made(a, b))  # type: ignore[func-returns-value]
    x = R.normal(size=(32, 16, 4, 4)).astype("f").transpose(1, 2, 3, 0)
    np.testing.assert_array_equal(moves.batch_last(x), x)
    assert calls == [(32, 256)]
    found = moves.bordered(x, (1, 1), (6, 6))
    np.testing.assert_array_equal(found, np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))
    assert len(calls) == 1
