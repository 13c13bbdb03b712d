"""The option `vmap=` of ops: over lanes each has what calls one by one give, for all samples of the registry."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.ops
from tapenet.ops.batched_calls import over_lanes
from tapenet.ops.functions import OpFunction
from tapenet.ops.layers.attention.product import attention, attention_grad
from tapenet.ops.op import Op
from tapenet.ops.registry import registry
from tapenet.program.batching import CannotBatch
from tapenet.program.called_ops import Hole
from tapenet.program.ir import Program
from tapenet.program.primitives import PRIMITIVES, Spec
from tapenet.program.trees import tree_leaves, tree_map

tapenet.ops.everything()
SIZE = 3
OPS = {
    name: op
    for name, op in sorted(registry.items())
    if isinstance(op, Op) and op.samples and op is not attention_grad  # whose arguments belong together
    if op.vmap is not None or (isinstance(op.forward, np.ufunc) and op.forward.__name__ not in PRIMITIVES)
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
        for count in sorted({1, 2, 3, len(arrays)}):
            for batched in itertools.combinations(arrays, count):
                ruled |= bool(batched) and check(op, args, frozenset(batched))
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


# -- by tn.vmap --------------------------------------------------------------------------------------------------


def program_of(op: Op, *args: Any, batched: tuple[bool, ...], **options: Any) -> Program:
    """What a call of an op over lanes becomes."""
    names = [a.name for a in op.arguments]
    template = {a.name: options.get(a.name, a.default) for a in op.arguments}
    template |= {n: Hole(i) for i, n in enumerate(names[: len(args)])}
    inputs = [Spec(np.shape(a)[flag:], np.asarray(a).dtype) for a, flag in zip(args, batched, strict=True)]
    return OpFunction(op, template, inputs).batch(batched, SIZE).expanded


def called(program: Program) -> list[str]:
    """The ops that a program calls, or the primitives that it has in their place."""
    return [i.params["op"].name if i.name == "call" else i.name for i in program.body]


def test_lanes_are_leading_axes_of_one_call() -> None:
    a, b = np.stack([np.eye(2) * k for k in (1, 2, 4)]), np.ones((SIZE, 2))
    assert called(program_of(tn.linalg.inv, a, batched=(True,))) == ["inv"]
    assert "loop" not in called(program_of(tn.linalg.solve, a, b, batched=(True, True)))
    np.testing.assert_array_equal(
        tn.vmap(np.linalg.solve)(tn.tensor(a), tn.tensor(b)), [[1, 1], [0.5, 0.5], [0.25, 0.25]]
    )


def test_the_gradients_of_each_sample_by_a_kernel_are_one_call() -> None:
    r = np.random.default_rng(0)
    x, w = tn.tensor(r.normal(size=(SIZE, 3, 12, 12))), tn.tensor(r.normal(size=(8, 3, 3, 3)))

    def loss(w: Any, x: Any) -> Any:
        return (tn.conv2d(x, w) ** 2).sum()

    found = tn.vmap(tn.grad(loss), in_axes=(None, 0))(w, x)
    for each, one in zip(found, x, strict=True):
        np.testing.assert_allclose(each, tn.grad(loss)(w, one), rtol=1e-10)
    y = r.normal(size=(SIZE, 8, 10, 10))
    weight_grad = registry["tapenet.ops.layers.convolution.family.conv2d_weight_grad"]
    names = called(program_of(weight_grad, x.numpy(), y, batched=(True, True), shape=(8, 3, 3, 3)))
    assert names.count("conv2d_weight_grad") == 1
    assert "loop" not in names


def twice(x: Any) -> Any:
    return 2 * np.asarray(x)


RULES: dict[str, Any] = {
    "read": lambda batched, lanes, x: x * 2.0,
    "called": lambda x: twice(x),
    "none": None,
    "declined": lambda x: NotImplemented,
    "leading": "leading",
}


@pytest.mark.parametrize(
    ("rule", "names"),
    [("read", "multiply"), ("called", "double"), ("none", "loop"), ("declined", "loop"), ("leading", "double")],
)
def test_rules_of_ones_own(rule: str, names: str) -> None:
    double = tn.op(twice, name="double", opaque="test", x=lambda g: g * 2, vmap=RULES[rule])
    x = np.arange(6.0).reshape(SIZE, 2)
    assert called(program_of(double, x, batched=(True,))) == [names]
    np.testing.assert_array_equal(tn.vmap(double)(tn.tensor(x)), 2 * x)
    np.testing.assert_array_equal(tn.vmap(tn.grad(lambda t: double(t).sum()))(tn.tensor(x)), np.full((SIZE, 2), 2.0))
    t = tn.tensor(x, requires_grad=True)
    tn.vmap(double)(t).sum().backward()
    np.testing.assert_array_equal(t.grad, np.full((SIZE, 2), 2.0))


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_what_loops_over_lanes_is_told(backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    double = tn.op(twice, name="double", opaque="test", x=lambda g: g * 2)
    step = tn.compile(lambda x: tn.vmap(double)(x) + 1, backend=backend)
    x = np.arange(6.0).reshape(SIZE, 2)
    for _ in range(2):
        np.testing.assert_array_equal(step(x), 2 * x + 1)
    assert f"double ({SIZE} lanes)" in str(step.explain())


def test_a_rule_that_gives_another_shape_is_named() -> None:
    wrong = tn.op(twice, name="wrong", opaque="test", nondiff=True, vmap=lambda x: x[0])
    with pytest.raises(CannotBatch, match="vmap= of op 'wrong' gives"):
        tn.vmap(wrong)(tn.tensor(np.ones((SIZE, 2))))


@pytest.mark.parametrize("given", ["rows", "axis", {"x": 0}, {"x": 0, "y": 0, "out": 0}, lambda batched, y: y])
def test_a_rule_that_does_not_fit_the_op_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match=r"op 'some': .*vmap="):
        tn.op(twice, name="some", vmap=given)


def test_lanes_that_select_different_numbers_of_elements_are_an_error() -> None:
    x = tn.tensor(np.array([[1.0, -1.0], [2.0, 3.0]]))
    with pytest.raises(ValueError, match=r"'getitem' gave float64 \(2,\).*each lane of tn.vmap.*np.where"):
        tn.vmap(lambda t: t[t > 0].sum())(x)
    np.testing.assert_array_equal(tn.vmap(lambda t: np.where(t > 0, t, 0).sum())(x), [1, 5])
