"""Methods of a user's classes take what they are called with, which is said where the class is made."""

from __future__ import annotations

from typing import Any

import pytest

from tapenet.data import BatchSampler, Dataset, Sampler
from tapenet.data.transforms import Transform


@pytest.mark.parametrize(
    ("base", "methods", "message"),
    [
        (
            Dataset,
            {"draw": lambda self, index: 0},
            r"Mine.draw takes \(self, index\), and is called with index and rng: def draw",
        ),
        (
            Dataset,
            {"take": lambda self: 0},
            r"Mine.take takes \(self\), and is called with indices: def take\(self, indices\)",
        ),
        (
            Dataset,
            {"__getitem__": lambda self, i, j: 0},
            r"Mine.__getitem__ takes \(self, i, j\), and is called with index",
        ),
        (
            Sampler,
            {"order": lambda self: []},
            r"Mine.order takes \(self\), and is called with rng: def order\(self, rng\)",
        ),
        (BatchSampler, {"batches": lambda self: []}, r"Mine.batches takes \(self\), and is called with rng"),
        (
            Transform,
            {"apply": lambda self, images: images},
            r"Mine.apply takes \(self, images\), .*: def apply\(self, images, rng\)",
        ),
    ],
)
def test_a_method_that_cannot_be_called_so_is_refused(base: Any, methods: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        type("Mine", (base,), methods)


@pytest.mark.parametrize(
    "method",
    [lambda self, i, rng: 0, lambda self, i, rng=None: 0, lambda self, *given: 0, staticmethod(lambda i, rng: 0)],
)
def test_others_are_taken(method: Any) -> None:
    type("Mine", (Dataset,), {"draw": method})
