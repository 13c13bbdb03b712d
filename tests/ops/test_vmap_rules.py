"""The option `vmap=` of ops: over lanes each has what calls one by one give, for all samples of the registry."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tapenet.ops
from tapenet.ops.batched_calls import over_lanes
from tapenet.ops.op import Op
from tapenet.ops.registry import registry
from tapenet.program.primitives import Spec
from tapenet.program.trees import tree_leaves, tree_map

tapenet.ops.everything()
SIZE = 3
OPS = {
    name: op
    for name, op in sorted(registry.items())
    if isinstance(op, Op) and op.samples and (op.vmap is not None or isinstance(op.forward, np.ufunc))
}


def arguments(op: Op, call: Any) -> dict[str, Any]:
    """All arguments of a call by name."""
    names = [a.name for a in op.arguments]
    given = dict(zip(names, call.args, strict=False)) | call.kwargs
    return {a.name: given.get(a.name, a.default) for a in op.arguments}


def lane(rng: np.random.Generator, x: Any) -> Any:
    """Another array in its place: of floats a little off, so that it stays in the domain, else the same ones in another
    order."""
    if not isinstance(x, np.ndarray):
        return x
    if x.dtype.kind in "fc":
        return np.asarray(x + (0.01 * rng.uniform(size=x.shape)).astype(x.dtype))
    return rng.permutation(x.ravel()).reshape(x.shape)


def check(op: Op, args: dict[str, Any], batched: frozenset[str]) -> bool:
    """Hold a call over lanes against calls one by one; whether there is a rule."""
    rng = np.random.default_rng(0)
    lanes = [
        {n: tree_map(lambda x: lane(rng, x), v) if n in batched else v for n, v in args.items()} for _ in range(SIZE)
    ]
    with np.errstate(all="ignore"):
        runs = [each if op.outputs != 1 else [each] for each in (op.run(a) for a in lanes)]
        expected = [np.stack(parts) for parts in zip(*runs, strict=True)][: op.outputs or None]
        given = dict(args)
        for n in batched:
            parts = [tree_leaves(a[n]) for a in lanes]
            stacked = iter([np.stack(p) if isinstance(p[0], np.ndarray) else p[0] for p in zip(*parts, strict=True)])
            given[n] = tree_map(lambda _, stacked=stacked: next(stacked), args[n])
        outputs = [Spec(e.shape[1:], e.dtype) for e in expected]
        found = over_lanes(op, given, batched, SIZE, outputs)
    if found is NotImplemented:
        return False
    several = [found] if len(expected) == 1 and not isinstance(found, (tuple, list)) else found
    for f, e in zip(several, expected, strict=True):  # type: ignore[call-overload]
        assert (np.shape(f), f.dtype) == (e.shape, e.dtype)
        np.testing.assert_allclose(f, e, rtol=1e-9, atol=1e-11)
    return True


@pytest.mark.parametrize("name", OPS)
def test_over_lanes_as_one_by_one(name: str) -> None:
    op = OPS[name]
    ruled = False
    for call in op.samples(np.random.default_rng(0)):  # type: ignore[misc]
        if call.kwargs.keys() - {a.name for a in op.arguments}:
            continue  # options that `more` answers, by other ops
        args = arguments(op, call)
        arrays = [n for n, v in args.items() if any(isinstance(leaf, np.ndarray) for leaf in tree_leaves(v))]
        for count in range(1, len(arrays) + 1):
            for batched in itertools.combinations(arrays, count):
                ruled |= check(op, args, frozenset(batched))
    assert ruled
