"""What is made of arrays that nobody can write to is made once."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from tapenet.kernels.constants import _made, made_of


def times(array: Any, key: object = "key") -> int:
    """How often it is made in three calls."""
    made: list[int] = []

    def make() -> Any:
        made.append(1)
        return array + 1

    for _ in range(3):
        assert np.array_equal(made_of(array, key, make), array + 1)
    return len(made)


def test_it_is_kept_of_what_nobody_can_write_to() -> None:
    array = np.arange(6.0)
    assert times(array) == 3
    array.flags.writeable = False
    assert times(array) == 1
    assert times(array, "another key") == 1
    assert times(array) == 0
    view = array[::2]
    assert times(view) == 1


@pytest.mark.parametrize("kind", ["view", "buffer"])
def test_it_is_made_anew_of_a_view_that_shows_what_is_written(kind: str) -> None:
    memory = bytearray(48)
    array = np.arange(6.0) if kind == "view" else np.frombuffer(memory)
    view = array[:]
    view.flags.writeable = False
    assert times(view) == 3


def test_it_goes_with_the_array() -> None:
    array = np.arange(6.0)
    array.flags.writeable = False
    times(array)
    number = id(array)
    assert number in _made
    del array
    gc.collect()
    assert number not in _made
