"""What the text of a random program uses: data, a few functions, and the comparison of eager with compiled."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
from hypothesis import reject

import tapenet as tn
import tapenet.nn.functional as F
import tapenet.ops
from tapenet import nn, optim
from tapenet.ops.registry import registry
from tapenet.program.trees import tree_leaves, tree_map
from tests.fuzz.harness import BACKENDS

__all__ = [
    "F", "added", "called", "compare", "increased", "leaf", "near", "nn", "none", "np", "optim", "small", "tensor", "tn",
    "written",
]  # fmt: skip

tapenet.ops.everything()
CALLS = 3
#: What a compiled function refuses by design, with an error that says so.
REFUSED = (
    "backward through a captured loop or branch whose body has effects",
    "one branch of tn.cond leaves a gradient at a leaf",
    "body of tn.while_loop leaves a gradient at a leaf",
    "body of tn.while_loop leaves no gradient at a leaf",
    "was changed in place by",
    "a second time: its saved arrays were released",
    "made before it, of a",
    "which a captured loop cannot do",
    "values say how many elements",
    "both functions must return the same structure",
    "return a copy from it",
)
#: Numbers up to this, in steps of 1/64, are exact in float32 with all that is summed up of them.
LARGE = 2**12


def small(x: Any) -> Any:
    """Numbers from -4 to 4."""
    return np.clip(x, -4, 4)


def written(x: Any, index: Any, value: Any) -> Any:
    """A copy with items assigned."""
    made = x * 1
    made[index] = value
    return made


def increased(x: Any, value: Any) -> Any:
    """A copy with something added in place."""
    made = x * 1
    made += value
    return made


def added(x: Any, index: Any, value: Any) -> Any:
    """A copy with something added at an index, as NumPy does: once, however often it is there."""
    made = x * 1
    made[index] += value
    return made


def none(*tensors: Any) -> Any:
    """Nothing, in which each tensor has a part: behind a captured branch a gradient is 0 where it is None in eager, if the
    other branch alone uses the tensor."""
    return sum((t * 0).real.sum() for t in tensors)


def array(seed: int, shape: tuple[int, ...], dtype: str, layout: str = "C") -> Any:
    """Small integers (truths, indices); `layout` is "C", "F", "strided" or "reversed"."""
    r = np.random.default_rng(seed)
    made = r.integers(-3, 4, shape).astype(dtype)
    if layout == "F":
        return np.asfortranarray(made)
    if layout == "C" or not shape:
        return made
    room = np.zeros((*shape[:-1], 2 * shape[-1]), dtype)
    part = room[..., ::2] if layout == "strided" else room[..., : shape[-1]][..., ::-1]
    part[...] = made
    return part


def tensor(seed: int, shape: tuple[int, ...], dtype: str, layout: str = "C") -> Any:
    return tn.asarray(array(seed, shape, dtype, layout))


def leaf(seed: int, shape: tuple[int, ...], dtype: str, layout: str = "C") -> Any:
    return tensor(seed, shape, dtype, layout).requires_grad_()


def near(x: Any) -> Any:
    """A number near 1 that depends on a value."""
    return 1 + 0.02 * np.sin(tn.where(np.isfinite(x), x, 0).astype(np.float64).sum())


def called(name: str, number: int, factor: Any) -> Any:
    """The first output of a call of an op as its tests make it, its floats multiplied by a number near 1."""
    op = registry[name]
    call = list(op.samples(np.random.default_rng(0)))[number]
    args = tree_map(lambda v: v * factor if isinstance(v, np.ndarray) and v.dtype.kind in "fc" else v, call.args)
    return tree_leaves(op(*args, **call.kwargs))[0]


def compare(make: Any, arguments: Any, eps: float) -> None:
    """Raise unless a program does compiled what it does uncompiled. `eps` is the precision of its numbers, 0 if it is
    exact."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            expected = run(make, arguments, lambda f: f)
        except Exception:
            reject()  # it holds for the numbers of one call only
        if not all(map(exact, expected)):
            eps = eps or 2.0**-24
        moved = [run(make, arguments, lambda f: f, shake=4 * eps, seed=seed) for seed in range(2 if eps else 0)]
        for backend in BACKENDS:
            try:
                found = run(make, arguments, partial(tn.compile, backend=backend))
            except (RuntimeError, ValueError) as error:
                if any(words in str(error) for words in REFUSED):
                    reject()
                raise
            assert len(found) == len(expected)
            for i, (got, wanted) in enumerate(zip(found, expected, strict=True)):
                what = f"{backend}: value {i} of {len(expected)}"
                assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype), what
                if not np.array_equal(got, wanted, equal_nan=wanted.dtype.kind in "fc"):
                    assert eps, f"{what} is\n{got}\nand not\n{wanted}"
                    _check_close(got, wanted, [m[i] for m in moved], eps, what)


def _check_close(got: Any, wanted: Any, moved: list[Any], eps: float, what: str) -> None:
    got, wanted, *moved = (np.asarray(v, np.complex128) for v in (got, wanted, *moved))
    scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=1.0)
    allowed = 256 * eps * scale + 64 * sum(np.abs(m - wanted) for m in moved)
    wrong = ~((np.abs(got - wanted) <= allowed) | (got == wanted) | np.isnan(allowed))
    assert not wrong.any(), f"{what} is\n{got}\nand not\n{wanted}\n(allowed: {allowed})"


def exact(found: Any) -> bool:
    """Whether there are only halves and their like, which no order of summation changes."""
    large = {"float16": 2**6, "float32": LARGE, "complex64": LARGE}.get(found.dtype.name, 2**20)
    steps = found[np.isfinite(found)] * (64 if found.dtype.kind in "fc" else 1)
    return bool((np.abs(steps) <= 64 * large).all() and (steps == np.rint(steps)).all())


def run(make: Any, arguments: Any, compile_step: Any, shake: float = 0.0, seed: int = 0) -> list[Any]:
    """All that several calls of a step give and leave behind."""
    r = np.random.default_rng(seed)
    tn.random.seed(0)

    def shaken(a: Any) -> Any:
        if not shake or a.dtype.kind not in "fc":
            return a
        return (a * (1 + shake * r.choice([-1, 1], a.shape))).astype(a.dtype)

    step, owners = make(compile_step)
    for t in owners:
        for p in t.parameters() if isinstance(t, nn.Module) else [t] if isinstance(t, tn.Tensor) else []:
            p.data = shaken(p.data)
    found: list[Any] = []
    for n in range(CALLS):
        given = arguments(n)
        for t in given:
            t.data = shaken(t.data)
        results = step(*given)
        found += [np.array(t.data if isinstance(t, tn.Tensor) else t) for t in tree_leaves(results)]
        for t in owners:
            state = t if isinstance(t, tn.Tensor) else t.state_dict()
            found += [np.array(v.data if isinstance(v, tn.Tensor) else v) for v in tree_leaves(state)]
    return [f for f in found if f.dtype.kind in "biufc"]
