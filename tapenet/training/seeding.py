"""All the random numbers of a run: one call that seeds them, and where they are, to be saved."""

from __future__ import annotations

import random as python_random

import numpy as np

from tapenet.ops import random
from tapenet.typing import StateDict


def seed(value: int) -> None:
    """Seed everything that draws: `tn.random` (initial weights, dropout, the order of batches that `fit` cuts), NumPy's global
    generator (`np.random.rand` and the like) and Python's `random`.

    Generators of your own (`np.random.default_rng(...)`, a loader's `seed=`) have seeds of their own.

    Args:
        value: an integer from 0 to 2**32 - 1, which is what NumPy's global generator takes.

    Raises:
        TypeError, ValueError: it is no such integer; nothing was seeded.

    >>> import tapenet as tn
    >>> tn.training.seed(7)
    >>> first = tn.random.normal(size=2), np.random.rand(), python_random.random()
    >>> tn.training.seed(7)
    >>> again = tn.random.normal(size=2), np.random.rand(), python_random.random()
    >>> all(map(np.array_equal, first, again))
    True
    """
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"training.seed({value!r}): a seed is an integer")
    if not 0 <= value < 2**32:
        raise ValueError(f"training.seed({value}): a seed is from 0 to 2**32 - 1, as NumPy's global generator takes it")
    random.seed(int(value))
    np.random.seed(int(value))
    python_random.seed(int(value))


def random_states() -> dict[str, object]:
    """Where `tn.random`, NumPy's global generator and Python's `random` are: numbers, strings and arrays.

    >>> sorted(random_states())
    ['numpy', 'python', 'tapenet']
    """
    version, numbers, gauss = python_random.getstate()
    return {
        "tapenet": random.get_state(),
        "numpy": np.random.get_state(legacy=False),
        "python": {"version": version, "numbers": np.array(numbers, np.uint64), "gauss": gauss},
    }


def set_random_states(states: StateDict) -> None:
    """Put the generators where they were when `random_states` was called.

    >>> states = random_states()
    >>> first = python_random.random()
    >>> set_random_states(states)
    >>> python_random.random() == first
    True
    """
    python = states["python"]
    random.set_state(states["tapenet"])
    np.random.set_state(states["numpy"])
    python_random.setstate((int(python["version"]), tuple(map(int, python["numbers"])), python["gauss"]))
