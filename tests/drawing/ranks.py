"""Pictures of several ranks, made in one process: each draws its part in turn, and what it receives is zeros."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import parallel
from tapenet.drawing.passes.ranks import Part
from tapenet.drawing.picture import Picture
from tapenet.parallel import collectives


class Ranks:
    """In place of `tn.parallel`, with the parts that were drawn so far."""

    def __init__(self, rank: int, size: int, parts: dict[int, Part]) -> None:
        self.rank, self.size, self.parts = rank, size, parts

    def map(self, f: Callable[[int], Part], items: Iterable[int]) -> list[Part]:
        own = self.parts[self.rank] = pickle.loads(pickle.dumps(f(self.rank)))
        return [self.parts.get(rank, own) for rank in items]

    # What ops ask of the world.

    def agree(self, what: str) -> None:
        pass

    def waiting(self, what: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def post(self, x: Any, to: int) -> None:
        pass

    def fetch(self, shape: tuple[int, ...], dtype: np.dtype, source: int) -> Any:
        return np.zeros(shape, dtype)

    def combining(self, what: str, shape: tuple[int, ...], dtype: np.dtype, how: str) -> Callable[[Any], Any]:
        return np.copy


@contextmanager
def as_rank(ranks: Ranks) -> Iterator[None]:
    """Ops are called by this rank, and nothing that is made of it is kept for others."""
    made = collectives._reduction.__wrapped__
    with mock.patch.multiple(collectives, world=lambda: ranks, _reduction=made):
        yield


def drawn(draw: Callable[[Ranks], Picture], size: int = 2) -> Picture:
    """The picture on rank 0 of what each rank draws."""
    parts: dict[int, Part] = {}
    for rank in reversed(range(size)):
        ranks = Ranks(rank, size, parts)
        with as_rank(ranks):
            picture = draw(ranks)
    return picture


X = np.ones((8, 16), np.float32)
LABELS = np.arange(8) % 4


def like() -> tn.Tensor:
    """An array to be received."""
    return tn.tensor(np.zeros((8, 16), np.float32))


def weight(rows: int = 16, columns: int = 16) -> tn.Tensor:
    return tn.tensor(np.ones((rows, columns), np.float32), requires_grad=True)


def pipeline(ranks: Ranks) -> dict[str, tn.Tensor]:
    """A stage of each rank: the last has the loss."""
    w = weight()
    h: Any = tn.tensor(X) if ranks.rank == 0 else parallel.recv(like(), ranks.rank - 1)
    h = np.tanh(h @ w)
    if ranks.rank < ranks.size - 1:
        return {"receipt": parallel.send(h, ranks.rank + 1)}
    return {"loss": F.cross_entropy(h, LABELS)}


def tensor_parallel(size: int = 2, layers: int = 2, **options: Any) -> Picture:
    """Layers with parts of their units on each rank."""

    def draw(ranks: Ranks) -> Picture:
        y: Any = tn.tensor(X)
        for k in range(layers):
            y = parallel.allreduce(F.relu(y @ weight(16, 8 + k)) @ weight(8 + k))
        return tn.draw({"loss": (y**2).mean()}, over=ranks, **options)

    return drawn(draw, size)
