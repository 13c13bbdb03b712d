"""Containers of arrays as inputs of ops: dicts, named tuples, dataclasses, nested lists, registered classes."""

from __future__ import annotations

import copy
import gc
import weakref
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose

import tapenet as tn
from tapenet.ops.registry import registry
from tapenet.ops.rule_results import GradientError
from tapenet.testing import check_grads, check_op

R = np.random.default_rng(0)
X, W, B = R.normal(size=(2, 3)), R.normal(size=(3, 4)), R.normal(size=4)


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def layer(x: Any, params: Any, scale: float = 1.0) -> Any:
    """A layer: scale · tanh(x w + b)."""
    return np.tanh(x @ params["w"] + params["b"]) * scale


def slope(g: Any, out: Any, scale: Any) -> Any:
    return g * scale * (1 - (out / scale) ** 2)


def by_params(g: Any, out: Any, x: Any, params: Any, params_shape: Any, scale: Any) -> Any:
    assert params_shape == {"w": (3, 4), "b": (4,)}
    d = slope(g, out, scale)
    return {"b": d.sum(axis=0), "w": x.T @ d}  # in any order


def all_by(g: Any, out: Any, x: Any, params: Any, scale: Any, wanted: Any) -> Any:
    d = slope(g, out, scale)
    return {"x": d @ params["w"].T, "params": {"w": x.T @ d, "b": d.sum(axis=0)}}


def along(x: Any, params: Any, x_dot: Any, params_dot: Any, out: Any, scale: Any) -> Any:
    moved = x_dot @ params["w"] + x @ params_dot["w"] + params_dot["b"]
    return slope(moved, out, scale)


@tn.op(
    x=lambda g, out, params, scale: slope(g, out, scale) @ params["w"].T,
    params=by_params,
    samples=lambda r: [tn.sample(X, {"w": W, "b": B}, 2.0)],
)
def ruled(x: Any, params: Any, scale: float = 1.0) -> Any:
    """A layer: scale · tanh(x w + b)."""
    return layer(x, params, scale)


jointly = tn.op(layer, name="jointly", joint=all_by)
derived = tn.op(layer, name="derived")
tangents = tn.op(layer, name="tangents", jvp=along)


def foreign_layer(x: Any, params: Any, scale: float = 1.0) -> Any:
    return layer(np.asarray(x), {n: np.asarray(p) for n, p in params.items()}, scale)


foreign = tn.op(foreign_layer, name="foreign", joint=all_by, reference=layer)
OPS = [ruled, jointly, derived, tangents, foreign]


# -- derivatives -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPS)
def test_gradients_to_second_order(op: Any) -> None:
    check_grads(lambda x, w, b: op(x, {"w": w, "b": b}, 2.0), [X, W, B], order=2)
    check_grads(lambda b: op(X, {"w": W, "b": b}), [B], order=2)
    with tn.debug():
        w = leaf(W)
        op(tn.tensor(X), {"w": w, "b": B}).sum().backward()
    assert w.grad is not None
    assert_allclose(w.grad.numpy(), X.T @ (1 - layer(X, {"w": W, "b": B}) ** 2))


@pytest.mark.parametrize("op", OPS)
def test_forward_mode_hessians_and_lanes(op: Any) -> None:
    params = {"w": tn.tensor(W), "b": tn.tensor(B)}
    inner = 1 - layer(X, {"w": W, "b": B}) ** 2
    _, tangent = tn.jvp(lambda p: op(X, p), (params,), (params,))
    assert_allclose(tangent.numpy(), inner * (X @ W + B))
    second = tn.hessian(lambda b: op(X, {"w": W, "b": b}).sum())(B).numpy()
    assert_allclose(second, np.diag((-2 * layer(X, {"w": W, "b": B}) * inner).sum(axis=0)), atol=1e-12)
    lanes = tn.vmap(lambda x, b: op(x, {"w": W, "b": b}))(np.stack([X, 2 * X]), np.stack([B, -B]))
    expected = [layer(X, {"w": W, "b": B}), layer(2 * X, {"w": W, "b": -B})]
    assert_allclose(lanes.numpy(), expected)


@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("op", OPS)
def test_compiled(op: Any, backend: Any) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    params = {"w": tn.tensor(W), "b": tn.tensor(B)}

    def gradient(p: Any) -> Any:
        return tn.grad(lambda p: op(X, p).sum())(p)

    step = tn.compile(gradient, backend=backend)
    expected = gradient(params)
    for _ in range(2):
        found = step(params)
        for n in params:
            assert_allclose(found[n].numpy(), expected[n].numpy(), rtol=1e-12)


# -- the containers ----------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    w: Any
    b: Any


@dataclass
class Named:
    w: Any
    b: Any
    title: str = field(default="layer", metadata={"static": True})


class Registered:
    def __init__(self, w: Any, b: Any) -> None:
        self.w, self.b = w, b


tn.tree.register(Registered, lambda r: ({"w": r.w, "b": r.b}, None), lambda _, parts: Registered(**parts))


@pytest.mark.parametrize("kind", [Pair, Named, Registered])
def test_a_rule_returns_the_container_of_its_input(kind: Any) -> None:
    def rule(g: Any, x: Any, p: Any) -> Any:
        assert type(p) is kind
        return kind(x.T @ g, g.sum(axis=0))

    op = tn.op(lambda x, p: x @ p.w + p.b, name="affine", nondiff=("x",), p=rule)
    check_grads(lambda w, b: op(X, kind(w, b)), [W, B], order=2)
    check_grads(lambda b: op(X, kind(W, b)), [B], order=2)


def test_nested_lists_sequences_of_dicts_and_what_is_no_array() -> None:
    nested = tn.op(lambda layers: sum((a @ a.T).sum() * (c * c).sum() for a, c in layers), name="nested")
    check_grads(lambda w, b: nested([(w, b), (b[:, None], b)]), [W, B], order=2)
    starred = tn.op(
        lambda *layers, power=2: sum((p["a"] ** power).sum() for p in layers),
        name="starred",
        layers=lambda g, layers, power: tuple({"a": power * g * p["a"] ** (power - 1)} for p in layers),
    )
    check_grads(lambda w, b: starred({"a": w}, {"a": b}, power=3), [W, B], order=2)
    kinds = tn.op(
        lambda p: p["a"] * p["times"] if p["kind"] == "scaled" else p["a"],
        name="kinds",
        p=lambda g, p: {"a": g * p["times"], "none": None},
    )
    check_grads(lambda a: kinds({"a": a, "times": 3, "kind": "scaled", "none": None}), [B], order=2)
    masked = tn.op(lambda x, m: np.where(m["on"], x, 0.0), name="masked", nondiff=("m",), x=lambda g, m: g * m["on"])
    check_grads(lambda x: masked(x, {"on": tn.tensor(B > 0)}), [B], order=2)


def test_arrays_alone_and_an_own_meaning_of_lists() -> None:
    assert_allclose(ruled(X, {"w": W, "b": B}), layer(X, {"w": W, "b": B}))
    joined = tn.op(
        lambda arrays: np.concatenate(arrays), name="joined", numpy=(), arrays=lambda g, arrays_shape: (g, g)
    )
    assert joined.sequences == {"arrays"}
    # Of what NumPy has, a list in a list is an array.
    assert tn.concatenate([[1.0, 2.0], tn.tensor([3.0])]).tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(TypeError, match="concatenate: its argument 'arrays' is a dict with tensors"):
        tn.concatenate({"a": tn.tensor([1.0])})  # type: ignore[call-overload]


# -- around an op ------------------------------------------------------------------------------------------------


def test_checks_drawings_and_nodes() -> None:
    check_op(ruled)
    w, b = leaf(W), leaf(B)
    y = ruled(X, {"w": w, "b": b})
    assert y.node.parents == (w.node, b.node)
    assert repr(y).endswith("op=ruled)")
    assert tn.draw(y).dot.count("->") == tn.draw(derived(X, {"w": w, "b": b})).dot.count("->") == 4


def test_errors_checks_and_lanes_see_the_container() -> None:
    def check(p: Any) -> None:
        if p["a"].ndim != 1:
            raise ValueError("a has one axis")

    op = tn.op(
        lambda p, power=2: np.asarray(p["a"]) ** power,
        name="checked",
        p=lambda g, p, power: {"a": g * power * p["a"] ** (power - 1)},
        check=check,
        hint=lambda p, power: f"{sorted(p)} were given",
        vmap=lambda p, power, batched, lanes: p["a"] ** power if batched == {"p"} else NotImplemented,
    )
    assert_allclose(tn.vmap(lambda a: op({"a": a}))(X).numpy(), X**2)
    with pytest.raises(ValueError, match=r"a has one axis.*\['a'\] were given"):
        op({"a": tn.tensor(X)})


def test_wrong_gradients_are_named() -> None:
    a = leaf(B)
    for found, message in (
        ([1.0], "returned list for p, which is dict: the gradient by a container is the same container"),
        ({"a": 1.0, "c": 2.0}, r"returned \('a', 'c'\) for p, which is \('a', 'b'\)"),
    ):
        wrong = tn.op(lambda p: p["a"] * p["b"], name="wrong", p=lambda g, found=found: found)
        with pytest.raises((TypeError, GradientError), match=message):
            wrong({"a": a, "b": a}).sum().backward()
    missing = tn.op(lambda p: p["a"] * p["b"], name="missing", p=lambda g, p: {"a": g * p["b"]})
    missing({"a": a, "b": B}).sum().backward()  # that by b is not needed
    with pytest.raises(GradientError, match="the gradient rule for 'p' of op 'missing' returned None"):
        missing({"a": a, "b": a}).sum().backward()


def test_an_op_is_freed_and_keeps_its_place() -> None:
    op = tn.op(layer, name="passing")
    op(X, {"w": leaf(W), "b": B}).sum().backward()
    key = f"{__name__}.passing"
    assert registry[key] is op
    assert copy.deepcopy(op) is op
    seen = weakref.ref(op)
    del op
    gc.collect()
    assert seen() is None
    assert key not in registry
