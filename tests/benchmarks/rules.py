"""Gradient rules that are stated beside those derived from the same op's formula, one thread:

    OPENBLAS_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.rules [NAME ...]

For each op whose formula can be read, the microseconds of forward and gradient, with the rules that it states, with derived
ones, and their ratio: for an array of its samples, for about 10,000 and 1,000,000 elements. Then the largest error of the
gradients in float32 by each, relative to those in float64. Time is that of the processor, which other processes do not add to.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

import tapenet as tn
from tapenet.ops.op import Op, derive
from tapenet.ops.registry import registry
from tapenet.typing import Array
from tests.benchmarks.harness import interleaved
from tests.ops.test_derived_rules import STATED, calls, compared

SIZES = (10_000, 1_000_000)
Arguments = dict[str, object]


def derived(op: Op) -> Op:
    """The op with all its rules derived from its formula. It is no further op of the package's."""
    made = op.replace(name=f"{op.name}_derived", numpy=(), rules=dict.fromkeys(op.rules, derive))
    del registry[f"{made.__module__}.{made.name}"]
    return made


def enlarged(op: Op, args: Arguments, size: int) -> Arguments | None:
    """A call like a sample, with about so many elements: its arrays repeated along their last or first axis."""
    arrays = {n: a for n, a in args.items() if isinstance(a, np.ndarray) and a.ndim}
    if not arrays:
        return None
    largest = max(arrays.values(), key=lambda a: a.size)
    for axis in (-1, 0):
        length = largest.shape[axis]
        times = size // max(largest.size, 1)
        made = {n: np.concatenate([a] * times, axis) for n, a in arrays.items() if a.shape[axis] == length > 1}
        try:
            op.run(args | made)
        except (TypeError, ValueError, IndexError, MemoryError):
            continue
        return args | made
    return None


def step(op: Op, args: Arguments, dtype: str) -> Callable[[], dict[str, Array]]:
    """Forward and gradients of a call."""
    given = dict(args)
    for n, a in args.items():
        if isinstance(a, np.ndarray) and a.dtype.kind == "f":
            given[n] = tn.tensor(a.astype(dtype), requires_grad=n in op.differentiable)
    leaves = {n: t for n, t in given.items() if n in op.differentiable and isinstance(t, tn.Tensor)}
    places = [given[a.name] for a in op.arguments if not a.keyword_only]
    options = {a.name: given[a.name] for a in op.arguments if a.keyword_only}
    g = np.random.default_rng(0).normal(size=op(*places, **options).shape).astype(dtype)

    def run() -> dict[str, Array]:
        op(*places, **options).backward(g)
        found = {n: t.grad.numpy() for n, t in leaves.items()}
        for t in leaves.values():
            t.grad = None
        return found

    return run


def error(found: dict[str, Array], right: dict[str, Array]) -> float:
    """The largest error, relative to the largest of each gradient's numbers."""
    parts = [0.0]
    for n, d in right.items():
        if d.size and np.isfinite(d).all():
            parts.append(float(np.max(np.abs(found[n] - d))) / (float(np.max(np.abs(d))) or 1.0))
    return max(parts)


def main() -> None:
    print(f"{'':44}" + " | ".join(f"{w:>9}: stated derived ratio" for w in ("small", *map(str, SIZES))) + " |   error")
    for name, op in STATED.items():
        if op.flat or (sys.argv[1:] and op.name not in sys.argv[1:]):
            continue
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of gradients that are 0
            read = [args for args in calls(op) if np.size(args[next(iter(op.rules))]) and compared(op, args)][:1]
            if not read:
                continue
            texts, other, errors = [], derived(op), (0.0, 0.0)
            for args in (read[0], *(enlarged(op, read[0], size) for size in SIZES)):
                if args is None:
                    texts.append(f"{'':31}")
                    continue
                candidates = {"stated": step(op, args, "float32"), "derived": step(other, args, "float32")}
                try:
                    right = step(op, args, "float64")()
                    errors = tuple(
                        max(e, error(run(), right)) for e, run in zip(errors, candidates.values(), strict=True)
                    )
                except (TypeError, ValueError):  # no such call, or one whose formula cannot be read
                    texts.append(f"{'':31}")
                    continue
                stated, new = interleaved(candidates, rounds=9, seconds=0.005, clock=time.thread_time).values()
                texts.append(f"{'':9}{stated:9.1f}{new:8.1f}{new / stated:6.2f}")
        print(
            f"{name.removeprefix('tapenet.ops.')[:44]:44}" + " | ".join(texts) + " | {:.0e} {:.0e}".format(*errors),
            flush=True,
        )


if __name__ == "__main__":
    main()
