"""The driver: seeds, accumulation, release, hooks, ownership of gradients, errors, higher orders."""

from __future__ import annotations

import contextlib
import itertools
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.autodiff.node import hooked_nodes
from tapenet.ops.op import Scatter
from tapenet.ops.rule_results import GradientError
from tapenet.testing import check_grads


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(np.asarray(values, dtype=np.float64), requires_grad=True)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# -- seeds -------------------------------------------------------------------------------------------------------


def test_a_scalar_starts_with_one() -> None:
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [2.0, 4.0])


@pytest.mark.parametrize("shape", [(1,), (1, 1), ()])
def test_one_element_of_any_shape_counts_as_a_scalar(shape: tuple[int, ...]) -> None:
    x = leaf(np.full(shape, 3.0))
    (x * x).backward()
    assert x.grad.shape == shape
    assert x.grad.item() == 6.0


def test_others_need_a_gradient() -> None:
    x = leaf([1.0, 2.0])
    y = x * 3
    with pytest.raises(ValueError, match=r"shape \(2,\) needs gradient=.*\.sum\(\)"):
        y.backward()
    y.backward([1.0, 10.0])
    np.testing.assert_array_equal(x.grad.data, [3.0, 30.0])


@pytest.mark.parametrize("gradient", [[1.0], 1.0, np.ones((2, 1)), tn.tensor([1.0, 2.0, 3.0])])
def test_a_gradient_of_another_shape_is_refused(gradient: Any) -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"gradient= has shape .*, the tensor has \(2,\)"):
        (x * 3).backward(gradient)
    assert x.grad is None


@pytest.mark.parametrize("given_dtype", [np.float64, np.float32, np.int64])
def test_the_seed_is_cast_to_the_dtype_of_the_tensor(given_dtype: Any) -> None:
    x = tn.tensor([1.0, 2.0], dtype=np.float32, requires_grad=True)
    (x * 3).backward(np.array([1, 2], given_dtype))
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.data, [3.0, 6.0])


def test_the_function_is_the_method() -> None:
    x = leaf([1.0, 2.0])
    tn.backward(x * 3, gradient=np.array([1.0, 2.0]), retain_graph=True, create_graph=False)
    np.testing.assert_array_equal(x.grad.data, [3.0, 6.0])


def test_backward_of_a_leaf_is_its_seed() -> None:
    x = leaf([1.0, 2.0])
    x.backward([3.0, 4.0])
    x.backward([3.0, 4.0])  # holds nothing that could be released
    np.testing.assert_array_equal(x.grad.data, [6.0, 8.0])


# -- accumulation ------------------------------------------------------------------------------------------------


def test_gradients_accumulate_until_they_are_taken_away() -> None:
    x = leaf([1.0, 2.0])
    for n in (1, 2, 3):
        (x * 2).sum().backward()
        np.testing.assert_array_equal(x.grad.data, [2.0 * n] * 2)
    x.grad = None
    (x * 2).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [2.0, 2.0])


def test_diamonds_and_repeated_inputs() -> None:
    x = leaf(3.0)
    a = x * x
    b = a + x
    c = a * b
    d = (c + a) * (b + b)
    d.backward()
    check_grads(lambda x: ((x * x) * (x * x + x) + x * x) * 2 * (x * x + x), [np.array(3.0)])
    a_, b_ = 9.0, 12.0
    c_ = a_ * b_
    da, db = 6.0, 7.0
    assert x.grad.item() == (da * b_ + a_ * db + da) * 2 * b_ + (c_ + a_) * 2 * db
    y = leaf(2.0)
    tn.concatenate([y.reshape(1), y.reshape(1), y.reshape(1)]).sum().backward()
    assert y.grad.item() == 3.0
    z = leaf([2.0])
    tn.concatenate([z, z, z]).sum().backward()
    assert z.grad.item() == 3.0


def test_a_node_runs_once_however_many_paths_lead_to_it() -> None:
    calls = []
    counted = tn.op(lambda x: x * 1, name="counted", x=lambda g: calls.append(1) or g)
    x = leaf(1.0)
    y = counted(x)
    for _ in range(30):
        y = y + y
    y.backward()
    assert calls == [1]
    assert x.grad.item() == 2.0**30


def test_gradients_nobody_needs_are_not_computed() -> None:
    calls = []
    op = tn.op(
        lambda x, y: x * y,
        name="watched",
        x=lambda g, y: calls.append("x") or g * y,
        y=lambda g, x: calls.append("y") or g * x,
    )
    op(leaf([1.0]), np.array([2.0])).backward()
    assert calls == ["x"]
    op(tn.tensor([1.0]), leaf([2.0])).backward()
    assert calls == ["x", "y"]
    calls.clear()
    tn.grad(lambda a, b: op(a, b).sum(), argnums=1)(np.array([1.0]), np.array([2.0]))
    assert calls == ["y"]
    calls.clear()
    w = leaf([2.0])
    with tn.no_grad():
        tn.grad(lambda a: op(a, w).sum())(np.array([1.0]))
    assert calls == ["x"]


# -- release and repetition --------------------------------------------------------------------------------------


def test_backward_twice_says_where_the_first_one_ran() -> None:
    x = leaf([1.0])
    y = np.exp(x)
    loss = y.sum()
    loss.backward()
    line = _line() - 1
    with pytest.raises(RuntimeError) as caught:
        loss.backward()
    text = str(caught.value)
    assert f"{__file__}:{line}" in text
    assert "op 'sum'" in text
    assert "retain_graph=True" in text
    with pytest.raises(RuntimeError, match="op 'exp'"):
        (y * 2).sum().backward()  # a trunk shared with the first
    np.testing.assert_allclose(x.grad.data, [np.e])


def _line() -> int:
    """The line of the caller."""
    return sys._getframe(1).f_lineno


def test_retain_graph_allows_another_backward() -> None:
    x = leaf([1.0])
    loss = np.exp(x).sum()
    loss.backward(retain_graph=True)
    loss.backward(retain_graph=True)
    loss.backward()
    np.testing.assert_allclose(x.grad.data, [3 * np.e])
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_create_graph_retains_unless_told_otherwise() -> None:
    x = leaf([2.0])
    loss = (x**3).sum()
    loss.backward(create_graph=True)
    loss.backward()
    np.testing.assert_allclose(x.grad.data, [24.0])
    loss = (x**3).sum()
    loss.backward(retain_graph=False, create_graph=True)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_the_structure_survives_backward() -> None:
    x = leaf([1.0])
    loss = np.exp(x * 2).sum()
    loss.backward()
    exp = loss.node.parents[0]
    assert [exp.name, exp.parents[0].name] == ["exp", "multiply"]
    assert exp.shape == (1,)
    assert exp.released is not None
    assert exp.out_saved is None


def test_backward_where_no_gradient_flows() -> None:
    x = leaf([1.0])
    with tn.no_grad():
        y = (x * 2).sum()
    for t in (y, (x * 2).detach().sum(), tn.tensor(1.0), (x > 0).sum()):
        with pytest.raises(RuntimeError, match=r"no gradient flows to.*requires_grad=True.*no_grad.*detach"):
            t.backward()
    assert x.grad is None


def test_a_detached_part_gets_nothing() -> None:
    x = leaf([3.0])
    (x * x.detach()).sum().backward()
    assert x.grad.item() == 3.0


def test_a_computation_under_no_grad_is_a_constant() -> None:
    x = leaf([3.0])
    with tn.no_grad():
        y = x * x
    (x * y).sum().backward()
    assert x.grad.item() == 9.0


def test_backward_itself_may_run_under_no_grad() -> None:
    x = leaf([3.0])
    loss = (x**3).sum()
    with tn.no_grad():
        loss.backward(create_graph=True)
        assert not tn.is_grad_enabled()
        (x.grad * 1).sum()
    assert x.grad.requires_grad
    gradient, x.grad = x.grad, None
    gradient.sum().backward()
    assert x.grad.item() == 18.0


def test_accumulating_under_no_grad_keeps_the_graph_of_the_gradient() -> None:
    x = leaf([3.0])
    loss = (x**3).sum()
    with tn.no_grad():
        loss.backward(create_graph=True)
        loss.backward(create_graph=True)
    assert x.grad.requires_grad
    assert x.grad.item() == 54.0


def test_a_plain_gradient_is_added_to_one_that_has_a_graph() -> None:
    x = leaf([3.0])
    (x**3).sum().backward(create_graph=True)
    first = x.grad
    (x * 2).sum().backward()
    assert first.item() == 27.0  # part of a graph: nothing is added to it in place
    assert x.grad.item() == 29.0
    total, x.grad = x.grad, None
    total.sum().backward()
    assert x.grad.item() == 18.0


# -- what a gradient is ------------------------------------------------------------------------------------------


def test_dtype_and_shape_of_a_gradient_are_those_of_its_input() -> None:
    x = tn.tensor(np.ones((2, 3)), dtype=np.float32, requires_grad=True)
    w = tn.tensor(np.ones(3), requires_grad=True)
    (x * w).sum().backward()
    assert (x.grad.dtype, x.grad.shape) == (np.float32, (2, 3))
    assert (w.grad.dtype, w.grad.shape) == (np.float64, (3,))
    assert isinstance(x.grad, tn.Tensor)
    assert not x.grad.requires_grad


@pytest.mark.parametrize(
    "returned",
    [lambda g: g.astype(np.float64), lambda g: 2.0, lambda g: np.float64(2.0), lambda g: np.ones((1, 1), int),
     lambda g: g + 0j, lambda g: [1.0, 2.0], lambda g: True],
)  # fmt: skip
def test_whatever_a_rule_returns_is_cast_and_broadcast_to_its_input(returned: Any) -> None:
    op = tn.op(lambda x: x * 1, name="op", x=returned)
    x = tn.tensor(np.ones((3, 2)), dtype=np.float32, requires_grad=True)
    (op(x) + op(x)).sum().backward()
    assert (x.grad.dtype, x.grad.shape) == (np.float32, (3, 2))
    expected = 2 * np.broadcast_to(np.real(returned(np.ones((3, 2)))), (3, 2))
    np.testing.assert_array_equal(x.grad.data, expected)


OWNERS: dict[str, Any] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "reshape": lambda a, b: (a + b).reshape(-1) * np.arange(6.0),
    "transpose": lambda a, b: (a + b).T,
    "add of transposed": lambda a, b: a.T + b.T,
    "alias": lambda a, b: tn.alias(a) + tn.alias(b),
    "sum": lambda a, b: (a + b).sum(),
    "sum axis": lambda a, b: (a + b).sum(axis=0),
    "mean": lambda a, b: (a + b).mean(axis=1, keepdims=True),
    "broadcast": lambda a, b: tn.broadcast_to(a + b, (4, 2, 3)),
    "concatenate": lambda a, b: tn.concatenate([a, b]),
    "stack": lambda a, b: tn.stack([a, b, a]),
    "split": lambda a, b: tn.split(tn.concatenate([a, b]), 2)[0] * 2,
    "getitem": lambda a, b: (a + b)[0],
    "whole": lambda a, b: (a + b)[...],
    "setitem": lambda a, b: tn.setitem(a, b, ...),
    "squeeze": lambda a, b: tn.squeeze(tn.expand_dims(a + b, 0)),
    "linear": lambda a, b: tn.linear(a, b),
    "matmul": lambda a, b: a @ b.T,
    "where": lambda a, b: tn.where(True, a, b),
    "astype": lambda a, b: (a + b).astype(np.float64),
}


@pytest.mark.parametrize("create_graph", [False, True], ids=["plain", "create_graph"])
@pytest.mark.parametrize("f", OWNERS.values(), ids=OWNERS)
def test_a_leaf_owns_its_gradient(f: Any, create_graph: bool) -> None:
    """Writing into one gradient changes nothing else: no other gradient, no seed, nothing saved, no input."""
    r = rng()
    a, b = leaf(r.normal(size=(2, 3))), leaf(r.normal(size=(2, 3)))
    out = f(a, b)
    seed = r.normal(size=out.shape)
    out.backward(seed, retain_graph=True, create_graph=create_graph)
    watched = {"seed": seed, "a": a.data, "b": b.data, "out": out.data}
    if b.grad is not None:
        watched["b.grad"] = b.grad.data
    before = {name: array.copy() for name, array in watched.items()}
    first = a.grad.data.copy()
    a.grad.data[...] = 7.0  # raises if it is a read-only view
    for name, array in watched.items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    a.grad = None
    out.backward(seed)  # nothing that was saved has changed
    np.testing.assert_array_equal(a.grad.data, first)


@pytest.mark.parametrize("create_graph", [False, True], ids=["plain", "create_graph"])
@pytest.mark.parametrize("kind", ["array", "view", "tensor", "read-only", "view of a tensor"])
def test_a_leaf_never_takes_the_users_array(kind: str, create_graph: bool) -> None:
    x = leaf(np.zeros((2, 2)))
    base = np.arange(4.0)
    if kind == "array":
        base = given = base.reshape(2, 2).copy()
    else:
        given = base.reshape(2, 2)
    if kind == "tensor":
        base = np.arange(4.0).reshape(2, 2)
        given = tn.asarray(base)
    if kind == "view of a tensor":
        given = tn.asarray(base).reshape(2, 2)
    if kind == "read-only":
        given.flags.writeable = False
    for root in (x, x + 0.0, tn.alias(x)):
        x.grad = None
        root.backward(given, create_graph=create_graph)
        x.grad.data[...] = 7.0
        (x * 1).sum().backward()  # accumulates in place
        np.testing.assert_array_equal(base.ravel(), np.arange(4.0))


def test_accumulation_in_place_spares_other_holders() -> None:
    a, b = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    (a + b).sum().backward(create_graph=True)
    (a * 3).sum().backward()
    np.testing.assert_array_equal(a.grad.data, [4.0, 4.0])
    np.testing.assert_array_equal(b.grad.data, [1.0, 1.0])


def test_an_assigned_gradient_is_a_copy() -> None:
    x = tn.tensor([1.0, 2.0], dtype=np.float32, requires_grad=True)
    for value in (np.array([5.0, 5.0]), tn.tensor([5.0, 5.0]), tn.tensor([5.0, 5.0], dtype=np.float32), [5.0, 5.0]):
        x.grad = value
        assert x.grad.dtype == np.float32
        (x * 3).sum().backward()
        np.testing.assert_array_equal(x.grad.data, [8.0, 8.0])
        np.testing.assert_array_equal(value, [5.0, 5.0])
    with pytest.raises(ValueError, match=r"gradient of shape \(3,\) for a tensor of shape \(2,\)"):
        x.grad = np.ones(3)


@pytest.mark.parametrize("order", ["C", "F", "view"])
def test_a_leaf_keeps_a_fresh_array_without_copying_it(order: str) -> None:
    """Checked by address: an array that nobody else holds is not copied, in particular a weight's gradient."""
    made: list[int] = []

    def rule(g: Any) -> Any:
        fresh = np.ones((3, 2)).T if order == "view" else np.ones((2, 3), order=order)
        made.append(fresh.__array_interface__["data"][0])
        return fresh

    op = tn.op(lambda x: x * 1, name="op", x=rule)
    x = leaf(np.ones((2, 3)))
    op(x).sum().backward()
    assert x.grad.data.__array_interface__["data"][0] == made[0]


def test_the_gradient_of_a_weight_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    r = rng()
    x, w, b = r.normal(size=(5, 3)), leaf(np.asfortranarray(r.normal(size=(4, 3)))), leaf(r.normal(size=4))
    v = leaf(r.normal(size=(4, 2)))
    loss = (np.tanh(tn.linear(x, w, b)) @ v).sum()
    copied = []
    array = np.array
    monkeypatch.setattr(np, "array", lambda *a, **k: copied.append(a) or array(*a, **k))
    loss.backward()
    assert not copied
    assert w.grad.data.flags.f_contiguous  # as the weight, so that an update runs through both in one sweep
    assert w.grad.data.flags.writeable


# -- hooks -------------------------------------------------------------------------------------------------------


def test_hooks_run_in_order_on_the_whole_gradient() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2
    seen: list[Any] = []
    y.register_hook(lambda g: seen.append(("first", g.tolist())))
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: seen.append(("third", g.tolist())))
    (y.sum() + (y * y).sum()).backward()
    assert seen == [("first", [5.0, 9.0]), ("third", [50.0, 90.0])]
    np.testing.assert_array_equal(x.grad.data, [100.0, 180.0])


def test_a_hook_on_a_leaf_sees_each_backward_before_it_is_added() -> None:
    x = leaf([1.0])
    seen: list[Any] = []
    x.register_hook(lambda g: seen.append(g.item()))
    x.register_hook(lambda g: -g)
    ((x * 2).sum() + (x * 3).sum()).backward()
    (x * 7).sum().backward()
    assert seen == [5.0, 7.0]
    assert x.grad.item() == -12.0


def test_a_hook_can_be_removed_once() -> None:
    x = leaf([1.0])
    handle = x.register_hook(lambda g: g * 2)
    handle.remove()
    x.register_hook(lambda g: g * 10)
    handle.remove()  # again: takes no other hook away
    (x * 1).sum().backward()
    assert x.grad.item() == 10.0


def test_a_hook_may_remove_itself_while_it_runs() -> None:
    x = leaf([1.0])
    handles: list[Any] = []
    handles.append(x.register_hook(lambda g: handles[0].remove()))
    x.register_hook(lambda g: g * 2)
    (x * 1).sum().backward()
    assert x.grad.item() == 2.0


@pytest.mark.parametrize("returned", [lambda g: 3.0 * g.numpy(), lambda g: [3.0, 3.0], lambda g: tn.tensor([3.0, 3.0])])
def test_what_a_hook_returns_is_cast(returned: Any) -> None:
    x = tn.tensor([1.0, 2.0], dtype=np.float32, requires_grad=True)
    x.register_hook(returned)
    (x * 1).sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.data, [3.0, 3.0])


def test_a_hook_of_another_shape_is_refused() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2
    y.register_hook(lambda g: g.sum())
    with pytest.raises(GradientError, match=r"hook on the output of 'multiply' returned shape \(\).*\(2,\)"):
        y.sum().backward()
    assert x.grad is None


def test_a_hook_that_raises_stops_the_pass_before_anything_is_deposited() -> None:
    a, b = leaf([1.0]), leaf([1.0])

    def fail(g: Any) -> None:
        raise KeyError("hook")

    a.register_hook(fail)
    with pytest.raises(KeyError):
        (a * b).sum().backward()
    assert a.grad is None
    assert b.grad is None
    assert tn.is_grad_enabled()


def test_hooks_under_create_graph_are_part_of_the_graph() -> None:
    x = leaf([2.0])
    y = x * x
    y.register_hook(lambda g: g * g)
    (y * 3).sum().backward(create_graph=True)  # dy = 9, dx = 18x
    gradient, x.grad = x.grad, None
    gradient.sum().backward()
    np.testing.assert_allclose([gradient.item(), x.grad.item()], [36.0, 18.0])


def test_a_hook_may_keep_what_it_gets() -> None:
    x = leaf([[1.0, 2.0]])
    kept: list[tn.Tensor] = []
    x.register_hook(kept.append)
    y = x + 0
    y.register_hook(kept.append)
    y.reshape(2).sum().backward()
    x.grad.data[...] = 7.0
    assert [g.tolist() for g in kept] == [[[1.0, 1.0]], [[1.0, 1.0]]]


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_hook_may_change_what_it_gets_and_nothing_else(create_graph: bool) -> None:
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])

    def double(g: tn.Tensor) -> None:
        g *= 2

    def clear(g: tn.Tensor) -> None:
        g[0] = 0.0

    a.register_hook(double)
    a.register_hook(clear)
    middle = a * 1.0
    middle.register_hook(double)
    (middle + a * 3.0 + b).sum().backward(create_graph=create_graph)
    assert a.grad.tolist() == [0.0, 10.0]  # 2 (2 + 3)
    assert b.grad.tolist() == [1.0, 1.0]


def test_hooks_work_where_gradients_are_functions() -> None:
    seen = []

    def f(x: tn.Tensor) -> tn.Tensor:
        y = x * 2
        y.register_hook(lambda g: seen.append(g.item()))
        return y * 3

    assert tn.grad(f)(1.0).item() == 6.0
    assert seen == [3.0]


def test_register_hook_needs_a_gradient() -> None:
    with pytest.raises(RuntimeError, match="needs no gradient"):
        tn.tensor([1.0]).register_hook(print)
    with pytest.raises(RuntimeError, match="needs no gradient"):
        tn.tensor([1.0]).retain_grad()


def test_retain_grad_keeps_the_gradient_of_an_inner_tensor() -> None:
    x = leaf([1.0, 2.0])
    y = (x * 2).retain_grad()
    assert y.retain_grad() is y  # a second time changes nothing
    assert y.grad is None
    (y * y).sum().backward(retain_graph=True)
    np.testing.assert_array_equal(y.grad.data, [4.0, 8.0])
    y.grad.data[...] = 0
    np.testing.assert_array_equal(x.grad.data, [8.0, 16.0])
    z = (x * 2).retain_grad()
    for n in (1, 2):
        (z * 3).sum().backward(retain_graph=True)
        np.testing.assert_array_equal(z.grad.data, [3.0 * n] * 2)
    assert x.retain_grad() is x
    with pytest.warns(RuntimeWarning, match="retain_grad"):
        assert (x * 2).grad is None


def test_a_retained_gradient_is_the_tensors_own() -> None:
    for create_graph in (False, True):
        x = leaf([1.0, 2.0])
        seed = np.array([3.0, 4.0])
        y = (x + 0).retain_grad()
        z = (y + 0).retain_grad()
        z.backward(seed, create_graph=create_graph)
        y.grad.data[...] = 7.0
        assert [g.tolist() for g in (seed, z.grad, x.grad)] == [[3.0, 4.0]] * 3


def test_retain_grad_under_create_graph_can_be_differentiated() -> None:
    x = leaf([2.0])
    y = (x * 1).retain_grad()
    (y**3).sum().backward(create_graph=True)
    gradient, x.grad = y.grad, None
    gradient.sum().backward()
    np.testing.assert_allclose([gradient.item(), x.grad.item()], [12.0, 12.0])


# -- errors ------------------------------------------------------------------------------------------------------


def _fails(rule: Any, match: str, **options: Any) -> None:
    op = tn.op(lambda x: x * 1, name="odd", x=rule, **options)
    x, other = leaf(np.ones((2, 3))), leaf(np.ones((2, 3)))
    with pytest.raises(GradientError, match=match):
        (op(x) * other).sum().backward()
    assert x.grad is None
    assert other.grad is None, "deposited though the pass failed"
    with pytest.raises(GradientError, match=match):
        (op(x) * other).sum().backward(create_graph=True)


def test_a_rule_of_the_wrong_shape_is_named() -> None:
    _fails(lambda g: g[:1, :2], r"rule for 'x' of op 'odd' returned shape \(1, 2\), but x has shape \(2, 3\)")
    _fails(lambda g: g[None], r"returned shape \(1, 2, 3\)")
    _fails(lambda g: np.concatenate([g, g]), r"returned shape \(4, 3\)")


def test_a_rule_that_returns_none_is_named() -> None:
    _fails(lambda g: None, r"rule for 'x' of op 'odd' returned None.*nondiff=")


def test_undeclared_broadcasting_is_an_error_with_its_mend() -> None:
    add = tn.op(lambda x, y: x + y, name="plus", x=lambda g: g, y=lambda g: g)
    x, y = leaf(np.ones((2, 3))), leaf(np.ones(3))
    with pytest.raises(GradientError, match=r"'y' of op 'plus' returned shape \(2, 3\).*broadcasts=True"):
        add(x, y).sum().backward()
    assert x.grad is None


@pytest.mark.parametrize("returned", [lambda g: (g,), lambda g: g, lambda g: (g, g, g), lambda g: None])
def test_a_sequence_rule_of_the_wrong_length_is_named(returned: Any) -> None:
    total = tn.op(lambda xs: xs[0] + xs[1], name="total", xs=returned)
    a, b = leaf([1.0]), leaf([2.0])
    with pytest.raises(GradientError, match=r"'xs' of op 'total' returned .* for a sequence of 2 arrays"):
        total([a, b]).sum().backward()
    assert a.grad is None


def test_an_error_inside_a_rule_carries_a_note() -> None:
    def rule(g: Any) -> Any:
        return {}["missing"]

    bad = tn.op(lambda x: x * 1, name="bad", x=rule)
    x, early = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    loss = (np.exp(bad(x)) * early).sum()
    with pytest.raises(KeyError, match="missing") as caught:
        loss.backward()
    assert caught.value.__notes__ == ["while differentiating op 'bad' (float64 (2,))"]
    assert early.grad is None
    assert tn.is_grad_enabled()


def test_rules_run_with_gradients_off_and_without_warnings() -> None:
    seen = []

    def rule(g: Any, x: Any) -> Any:
        seen.append((type(g), type(x), tn.is_grad_enabled()))
        return g / (x * 0)

    op = tn.op(lambda x: x * 1, name="op", x=rule)
    x = leaf([1.0])
    op(x).sum().backward()
    assert seen == [(np.ndarray, np.ndarray, False)]
    assert np.isinf(x.grad.data).all()
    op(x).sum().backward(create_graph=True)
    assert seen[1] == (tn.Tensor, tn.Tensor, True)
    with pytest.warns(RuntimeWarning):
        np.ones(1) / np.zeros(1)  # the state of before is back


# -- sparse gradients --------------------------------------------------------------------------------------------


def test_sparse_and_dense_gradients_mix_in_both_orders() -> None:
    values = np.arange(1.0, 6.0)
    parts = {
        "dense": (lambda x: (x * x).sum(), 2 * values),
        "slice": (lambda x: x[1:3].sum(), np.array([0.0, 1, 1, 0, 0])),
        "repeated": (lambda x: (x[np.array([0, 0, 4])] * 2).sum(), np.array([4.0, 0, 0, 0, 2])),
        "one": (lambda x: x[-1] * 3, np.array([0.0, 0, 0, 0, 3])),
    }
    for order in itertools.permutations(parts):
        x = leaf(values)
        inner = x * 1  # the same for an inner node
        total = sum((parts[name][0](t) for name in order for t in (x, inner)), tn.tensor(0.0))
        total.backward()
        np.testing.assert_array_equal(x.grad.data, 2 * sum(parts[name][1] for name in order))


def test_a_rule_may_return_a_scatter_in_any_order() -> None:
    pick = tn.op(lambda x, i: x[i], name="pick", x=lambda g, i: Scatter(i, g))
    check_grads(lambda x: pick(x, np.array([0, 2, 2])) ** 3, [rng().normal(size=4)], order=3)
    x = tn.tensor(np.ones(4), dtype=np.float32, requires_grad=True)
    (pick(x, slice(1, 3)).sum() + (x * np.float64(2)).sum()).backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.data, [2.0, 3.0, 3.0, 2.0])


def test_scatters_inside_a_sequence_gradient() -> None:
    firsts = tn.op(
        lambda xs: np.stack([x[0] for x in xs]), name="firsts", xs=lambda g: tuple(Scatter(0, part) for part in g)
    )
    check_grads(lambda a, b: firsts([a, b, a]) ** 2, [rng().normal(size=3), rng().normal(size=2)], order=2)


# -- higher orders -----------------------------------------------------------------------------------------------


def test_a_gradient_made_with_create_graph_is_differentiable() -> None:
    x = leaf([2.0, 3.0])
    (x**4).sum().backward(create_graph=True)
    for expected in ([48.0, 108.0], [48.0, 72.0], [24.0, 24.0]):
        gradient, x.grad = x.grad, None
        gradient.sum().backward(create_graph=True)
        np.testing.assert_allclose(x.grad.data, expected)


def test_gradients_without_create_graph_are_plain() -> None:
    x = leaf([2.0])
    (x**3).sum().backward()
    assert not x.grad.requires_grad
    with pytest.raises(RuntimeError, match="no gradient flows"):
        x.grad.sum().backward()


def test_constants_from_rules_mix_with_tensors_at_second_order() -> None:
    """A rule may return a constant array; it is added to tensors, and to sparse gradients, in every order."""
    ramp = tn.op(lambda x: 2 * x, name="ramp", x=lambda g, x_shape: np.full(x_shape, 2.0))
    pair = tn.op(lambda x: (2 * x, 3 * x), name="pair", outputs=2, x=lambda g: 2 * g[0] + 3 * g[1])
    parts = [
        lambda y: (y**3).sum(),
        lambda y: ramp(y).sum(),
        lambda y: ramp(y).sum(),
        lambda y: (y[1:] ** 2).sum(),
        lambda y: ramp(y[:2]).sum(),
        lambda y: pair(y)[1].sum(),
        lambda y: pair(y[1:])[0].sum(),
    ]
    values = np.array([1.0, 2.0, 3.0])
    for turn in range(len(parts)):
        order = parts[turn:] + parts[:turn]
        x = leaf(values)
        y = x * 1
        sum((part(y) for part in order), tn.tensor(0.0)).backward(create_graph=True)
        first = 3 * values**2 + 4 + [0, 4, 6] + [2, 2, 0] + 3 + [0, 2, 2]
        np.testing.assert_allclose(x.grad.data, first)
        gradient, x.grad = x.grad, None
        gradient.sum().backward()
        np.testing.assert_allclose(x.grad.data, 6 * values + [0, 2, 2])


UNARY = [
    np.sin, np.tanh, np.exp, np.square, lambda x: 1 / (2 + x * x), lambda x: np.sqrt(1 + x * x), np.arctan,
    lambda x: np.log(2 + np.sin(x)), lambda x: x**3, lambda x: np.logaddexp(x, 0.0), lambda x: x.T.reshape(x.shape),
    lambda x: x[::-1], lambda x: np.where(x > 0.05, x * x, np.sin(x)), lambda x: x[np.array([0, 1, 1])[: len(x)]],
    lambda x: np.flip(x, -1), lambda x: tn.setitem(x, np.sin(x[0]), 1), lambda x: np.swapaxes(x, 0, 1).T,
]  # fmt: skip
BINARY = [
    np.add, np.subtract, np.multiply, lambda x, y: x / (2 + y * y), lambda x, y: x @ y.T @ x, np.hypot,
    lambda x, y: tn.concatenate([x, y], axis=1)[:, 1:4], lambda x, y: tn.stack([x, y]).sum(axis=0),
    lambda x, y: (1.5 + np.sin(x)) ** y, lambda x, y: x * y.mean(axis=0), lambda x, y: x - y.max(axis=1, keepdims=True),
    lambda x, y: np.arctan2(x, 2 + y), lambda x, y: np.maximum(x, y), lambda x, y: tn.linear(x, y)[:, :2] @ y[:2],
    lambda x, y: x * y.std(axis=0, keepdims=True), lambda x, y: x * y.prod(axis=0),
    lambda x, y: x + tn.logsumexp(y, axis=0),
]  # fmt: skip


@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data(), seed=st.integers(0, 2**16))
def test_random_compositions_to_second_order(data: st.DataObject, seed: int) -> None:
    steps = data.draw(
        st.lists(st.tuples(st.integers(0, 99), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=6)
    )

    def f(x: Any, y: Any) -> Any:
        values = [x, y]
        for op, i, j in steps:
            a, b = values[i % len(values)], values[j % len(values)]
            if op % 2:
                values.append(np.tanh(UNARY[op // 2 % len(UNARY)](a)))
            else:
                values.append(np.tanh(BINARY[op // 2 % len(BINARY)](a, b)))
        return values[-1] * 1.5

    r = np.random.default_rng(seed)
    check_grads(f, [r.uniform(-1.5, 1.5, (3, 3)), r.uniform(-1.5, 1.5, (3, 3))], order=2, rtol=2e-5, atol=1e-6)


def test_the_driver_shares_no_state_between_passes() -> None:
    """A backward inside a rule, as `checkpoint` will do it."""

    def rule(g: Any, x: Any) -> Any:
        inner = tn.tensor(x, requires_grad=True)
        with tn.enable_grad():
            np.sin(inner).backward(g)
        return inner.grad.data

    op = tn.op(lambda x: np.sin(x), name="op", x=rule)
    x = leaf([1.0, 2.0])
    before = set(hooked_nodes)  # of other tests, until they are collected
    (op(x * 2) * 3).sum().backward()
    np.testing.assert_allclose(x.grad.data, 6 * np.cos([2.0, 4.0]))
    assert set(hooked_nodes) <= before


# -- what ends a gradient ----------------------------------------------------------------------------------------

ENDS: dict[str, Any] = {
    "argmax": lambda w: (w.argmax(1) == np.array([1, 0])).mean(),
    "equal": lambda w: (w == 1.0).astype(float).sum(),
    "greater": lambda w: (w > 2).sum(),
    "astype": lambda w: w.astype(int).sum(),
    "stop_gradient": lambda w: tn.stop_gradient(w).sum() + 1,
    "argsort": lambda w: 1 - (np.argsort(w * 2) * 0.5).sum(),
}


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("name", ENDS)
def test_the_op_at_which_the_gradient_ended_is_named(name: str, debug: bool) -> None:
    w = tn.tensor([[1.0, 2.0], [3.0, 1.0]], requires_grad=True)
    with tn.debug() if debug else contextlib.nullcontext():
        loss = ENDS[name](w)
    words = f"whose result has none is '{name}'"
    if loss.dtype.kind in "bi":
        words = f"It is of {loss.dtype}: integers and booleans are constants.*{words}"
    with pytest.raises(RuntimeError, match=rf"backward\(\) on a tensor that no gradient flows to.*{words}"):
        loss.backward()
    (w * w).sum().backward()
    with pytest.raises(RuntimeError, match=r"cut off by \.detach\(\)$"):  # that was before
        (w.detach() * 2).sum().backward()
