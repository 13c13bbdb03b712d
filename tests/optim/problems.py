"""A small problem with several parameters, in tapenet and in PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

import tapenet as tn

#: Shapes, and the memory order of the array.
SHAPES = [((4, 3), "F"), ((4,), "C"), ((5, 4), "C"), ((), "C"), ((2, 3, 2), "K")]


def arrays(dtype: Any = np.float64, seed: int = 0) -> list[np.ndarray[Any, Any]]:
    r = np.random.default_rng(seed)
    made = []
    for shape, order in SHAPES:
        a = np.asarray(r.normal(size=shape), dtype=dtype)
        # "K": an order that is neither C nor F, as of a convolution weight in NHWC.
        made.append(np.copy(a.transpose(1, 2, 0), order="C").transpose(2, 0, 1) if order == "K" else a.copy(order))
    return made


def tensors(dtype: Any = np.float64, seed: int = 0) -> list[tn.Tensor]:
    return [tn.tensor(a, requires_grad=True) for a in arrays(dtype, seed)]


def gradients(step: int, dtype: Any = np.float64) -> list[np.ndarray[Any, Any] | None]:
    """Gradients of one step, of another size each time; the second parameter has none in some steps."""
    r = np.random.default_rng(1000 + step)
    made: list[Any] = [np.asarray(r.normal(size=shape) * (1 + step % 3), dtype=dtype) for shape, _ in SHAPES]
    if step % 4 == 1 or step < 2:
        made[1] = None
    return made


def give(params: list[tn.Tensor], grads: list[Any]) -> None:
    for p, g in zip(params, grads, strict=True):
        p.grad = None if g is None else tn.tensor(g)
