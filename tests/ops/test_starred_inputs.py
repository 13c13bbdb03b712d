"""A forward with `*arrays`: one sequence, of which a call gives each array as an argument."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import tapenet as tn
from tapenet.drawing.sources.mathematics import gradient_rules
from tapenet.testing import check_grads, check_op

R = np.random.default_rng(0)


@tn.op(
    arrays=lambda g, arrays, scale: tuple(2 * scale * g * a for a in arrays),
    samples=lambda r: [tn.sample(r.normal(size=2), r.normal(size=2), scale=2.0), tn.sample(r.normal(size=3))],
)
def energy(*arrays: Any, scale: float = 1.0) -> Any:
    """The sum of the squares of some arrays."""
    return np.asarray(scale * sum(a * a for a in arrays))


derived = tn.op(lambda *arrays, scale=1.0: scale * sum(a * a for a in arrays), name="derived")
tangents = tn.op(
    lambda *arrays, scale=1.0: scale * sum(a * a for a in arrays),
    name="tangents",
    jvp=lambda arrays, arrays_dot, scale: scale * sum(2 * a * t for a, t in zip(arrays, arrays_dot, strict=True)),
)
OPS = [energy, derived, tangents]


def test_what_a_call_looks_like() -> None:
    x = R.normal(size=3)
    assert repr(energy) == "<op energy(*arrays, scale)>"
    assert str(inspect.signature(energy)).startswith("(*arrays")
    assert energy.sequences == {"arrays"}
    assert_allclose(energy(x, x, scale=3.0), 6 * x * x)
    assert_allclose(energy(tn.tensor(x), x).numpy(), 2 * x * x)
    assert energy() == 0
    assert energy(1.0, 2.0) == 5
    assert_allclose(energy([1.0, 2.0], [3.0]), [10.0, 13.0])
    assert_allclose(energy(tn.tensor([1.0, 2.0]), [3.0]).numpy(), [10.0, 13.0])
    t = tn.tensor(x, requires_grad=True)
    y = energy(t, x, t)
    assert y.node.inputs["arrays"][0] is t.node
    assert y.node.parents == (t.node, t.node)
    with pytest.raises(TypeError, match=r"energy\(\) got an unexpected keyword argument 'arrays'"):
        energy(arrays=[x])  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="the forward takes \\*\\*kwargs; name its options"):
        tn.op(lambda **arrays: arrays, name="w")


@pytest.mark.parametrize("op", OPS)
def test_derivatives_of_every_kind(op: Any) -> None:
    x, y = R.normal(size=3), R.normal(size=3)
    check_grads(lambda a, b: op(a, b, a, scale=3.0), [x, y], order=2)
    check_grads(lambda a: op(y, a), [x], order=2)
    assert_allclose(tn.jvp(op, (x, y), (x, None))[1].numpy(), 2 * x * x)
    assert_allclose(tn.hessian(lambda a: op(a, y).sum())(x).numpy(), 2 * np.eye(3))
    lanes = tn.vmap(lambda a, b: op(a, b), in_axes=(0, None))(np.stack([x, y]), y)
    assert_allclose(lanes.numpy(), np.stack([x, y]) ** 2 + y * y)


def test_checks_find_its_arrays() -> None:
    check_op(energy)


@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("op", OPS)
def test_compiled(op: Any, backend: Any) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    x, y = R.normal(size=3), R.normal(size=3)
    step = tn.compile(lambda a, b: tn.grad(lambda a: op(a, b, 2 * a, scale=0.5).sum())(a), backend=backend)
    for _ in range(2):
        assert_allclose(step(tn.tensor(x), tn.tensor(y)).numpy(), 5 * x)


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_a_forward_that_cannot_be_read_is_called(backend: Any) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")

    def check(arrays: Any) -> None:
        if not arrays:
            raise ValueError("nothing to add")

    foreign = tn.op(
        lambda x, *rest, axis=0: np.concatenate([np.asarray(a) for a in (x, *rest)], axis),
        name="foreign",
        nondiff=("rest",),
        x=lambda g, x_shape: g[: x_shape[0]],
        check=lambda rest: check(rest),
        hint=lambda x, *rest, axis=0: f"{len(rest)} were given, along {axis}",
    )
    x, y = R.normal(size=3), R.normal(size=2)
    check_grads(lambda x: foreign(x, y, y), [x], order=2)
    step = tn.compile(lambda a, b: foreign(a, b, b), backend=backend)
    for _ in range(2):
        assert_allclose(step(tn.tensor(x), tn.tensor(y)).numpy(), [*x, *y, *y])
    assert_allclose(tn.vmap(lambda a: foreign(a, y))(np.stack([x, x])).numpy(), [[*x, *y]] * 2)
    with pytest.raises(ValueError, match="nothing to add"):
        foreign(x)
    with pytest.raises(ValueError, match=r"failed: .*1 were given, along 3"):
        foreign(tn.tensor(x), y, axis=3)


def test_in_loops_checkpoints_and_debug_mode() -> None:
    x = R.normal(size=3)
    carried, _ = tn.scan(lambda c, _: (energy(c, c * 0.1), c), tn.tensor(x), None, length=3)
    expected = x
    for _ in range(3):
        expected = expected**2 + (expected * 0.1) ** 2
    assert_allclose(carried.numpy(), expected)
    for again in (tn.checkpoint(lambda a: energy(a, a)), lambda a: energy(a, a)):
        with tn.debug():
            t = tn.tensor(x, requires_grad=True)
            again(t).sum().backward()
        assert t.grad is not None
        assert_allclose(t.grad.numpy(), 4 * x)


def test_broadcasting_and_drawings() -> None:
    add = tn.op(
        lambda *xs: sum(xs[1:], xs[0]),
        name="add_all",
        broadcasts=True,
        xs=lambda g, xs_shape: tuple(g for _ in xs_shape),
    )
    check_grads(add, [np.ones((2, 3)), np.ones(3), np.ones((2, 1))], order=2)
    given = [tn.tensor(np.ones(2), requires_grad=True) for _ in range(3)]
    dot = tn.draw(energy(*given)).dot
    assert dot.count("->") >= 4  # from each array, and to the result
    assert gradient_rules(tangents) == {"arrays": "the transpose of jvp"}
