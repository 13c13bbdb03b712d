"""The option `vmap=` of ops: over lanes each has what calls one by one give, for all samples of the registry."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tapenet.ops
from tapenet.ops.batched_calls import over_lanes
from tapenet.ops.layers.attention.product import attention, attention_grad
from tapenet.ops.op import Op
from tapenet.ops.registry import registry
from tapenet.program.primitives import Spec
from tapenet.program.trees import tree_leaves, tree_map

tapenet.ops.everything()
SIZE = 3
OPS = {
    name: op
    for name, op in sorted(registry.items())
    if isinstance(op, Op)
    and op is not attention_grad
    and op.samples
    and (op.vmap is not None or isinstance(op.forward, np.ufunc))
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
        one = op.outputs == 1 and not op.residuals
        runs = [[each] if one else each for each in (op.run(a) for a in lanes)]
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


@pytest.mark.parametrize("mask", [False, True])
def test_gradients_of_attention(mask: bool) -> None:
    """Which are held against what a call of each lane has saved."""
    rng = np.random.default_rng(0)
    shapes = {"gradient": (2, 4, 3), "query": (2, 4, 5), "key": (2, 6, 5), "value": (2, 6, 3), "attn_mask": (4, 6)}
    names = list(shapes)[: 5 if mask else 4]
    options = {"seed": None, "dropout_p": 0.0, "is_causal": True, "scale": 0.4, "mask_gradient": mask}
    for batched in itertools.chain(*(itertools.combinations(names, count) for count in range(1, len(names) + 1))):
        given: dict[str, Any] = dict.fromkeys(shapes)
        given |= {n: rng.normal(size=(*((SIZE,) if n in batched else ()), *shapes[n])) for n in names}
        expected = []
        for k in range(SIZE):
            one = {n: v[k] if n in batched else v for n, v in given.items()}
            g, *inputs = one.values()
            saved = attention.forward(*inputs, None, 0.0, True, 0.4)
            expected.append(attention_grad.forward(g, *inputs, *saved, None, 0.0, True, 0.4, mask))
        residuals = dict.fromkeys(("result", "weights", "kept", "logsumexp"))
        found: Any = over_lanes(attention_grad, given | residuals | options, frozenset(batched), SIZE, [])
        for f, e in zip(found, zip(*expected, strict=True), strict=True):
            np.testing.assert_allclose(f, np.stack(e), rtol=1e-9, atol=1e-11)
