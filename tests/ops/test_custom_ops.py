"""tn.op: everything a user may define, and what a mistake in a definition says."""

from __future__ import annotations

import functools
import gc
import math
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_equal
from scipy.special import _ufuncs as special

import tapenet as tn
from tapenet import nn, optim
from tapenet.ops.registry import registry
from tapenet.ops.rule_results import GradientError
from tapenet.testing import check_grads, check_op

R = np.random.default_rng(0)


def leaf(values: Any, dtype: Any = np.float64) -> tn.Tensor:
    return tn.tensor(np.asarray(values, dtype=dtype), requires_grad=True)


# -- the two forms -----------------------------------------------------------------------------------------------

softplus = tn.op(lambda x: np.logaddexp(0, x), name="softplus", x=lambda g, x: g * (0.5 + 0.5 * np.tanh(x / 2)))


@tn.op(x=lambda g, out, limit: g * (1 - (out / limit) ** 2))
def softclip(x: Any, limit: float = 1.0) -> Any:
    """Squash into (-limit, limit)."""
    return np.tanh(x / limit) * limit


def test_both_forms_to_third_order() -> None:
    check_grads(softplus, [R.normal(size=(2, 3))], order=3)
    check_grads(softclip, [R.normal(size=4)], order=3)
    check_grads(lambda x: softclip(x, 2.0), [R.normal(size=4)], order=3)
    check_grads(lambda x: softclip(x, limit=0.5), [R.normal(size=4)], order=2)
    check_grads(lambda x: softclip(limit=0.5, x=x), [R.normal(size=4)], order=2)


def test_the_decorated_name_keeps_what_the_function_had() -> None:
    assert softclip.name == softclip.__name__ == "softclip"
    assert softclip.__doc__ == "Squash into (-limit, limit)."
    assert softclip.__module__ == __name__
    assert repr(softclip) == "<op softclip(x, limit)>"
    import inspect

    assert list(inspect.signature(softclip).parameters) == ["x", "limit"]
    assert registry[f"{__name__}.softclip"] is softclip
    assert softclip.inputs == ("x",)
    assert softclip.options == ("limit",)


def test_arrays_in_arrays_out() -> None:
    a = R.normal(size=3)
    assert type(softplus(a)) is np.ndarray
    assert type(softclip(a, 2.0)) is np.ndarray
    assert softplus(1.0) == np.logaddexp(0, 1.0)
    assert type(softplus(leaf(a))) is tn.Tensor
    assert softplus(tn.tensor(a)).requires_grad is False


def test_in_numpy_style_code_and_under_transformations() -> None:
    def f(x: Any) -> Any:
        return np.mean(softplus(np.sin(x) @ x.T) ** 2)

    check_grads(f, [R.normal(size=(2, 3))], order=2)
    assert tn.grad(softplus)(0.0).item() == 0.5
    assert tn.grad(tn.grad(softplus))(0.0).item() == 0.25


def test_float32_and_read_only_inputs() -> None:
    x = leaf([-200.0, 0.0, 200.0], np.float32)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        y = softplus(x)
        y.sum().backward()
    assert y.dtype == x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.data, [0.0, 0.5, 1.0])


def test_an_op_is_freed_with_its_last_reference() -> None:
    made = tn.op(lambda x: x, name="passing", x=lambda g: g)
    made(leaf([1.0])).backward()
    key = f"{__name__}.passing"
    assert key in registry
    del made
    gc.collect()
    assert key not in registry


def test_a_decorated_method_partial_or_wrapped_function() -> None:
    class Scaled:
        factor = 3.0

        def forward(self, x: Any) -> Any:
            return x * self.factor

        def rule(self, g: Any) -> Any:
            return g * self.factor

    scaled = Scaled()
    for forward, rule in (
        (scaled.forward, scaled.rule),
        (functools.partial(lambda k, x: x * k, 3.0), functools.partial(lambda k, g: g * k, 3.0)),
        (functools.partial(lambda x, k: x * k, k=3.0), functools.partial(lambda g, k: g * k, k=3.0)),
        (np.errstate(all="ignore")(lambda x: x * 3.0), np.errstate(all="ignore")(lambda g: g * 3.0)),
    ):
        check_grads(tn.op(forward, name="scaled", x=rule), [R.normal(size=3)], order=2)


def test_a_callable_object_as_forward() -> None:
    class Cube:
        def __call__(self, x: Any, scale: float = 1.0) -> Any:
            return scale * x**3

    cube = tn.op(Cube(), name="cube", x=lambda g, x, scale: g * (3 * scale * x**2))
    check_grads(lambda x: cube(x, scale=2.0), [R.normal(size=3)], order=3)


# -- ufuncs ------------------------------------------------------------------------------------------------------


def test_a_ufunc_has_inputs_x_and_y_and_broadcasts() -> None:
    plus = tn.op(np.add, name="plus", x=lambda g: g, y=lambda g: g)
    assert plus.broadcasts
    assert plus.inputs == ("x", "y")
    check_grads(plus, [R.normal(size=(2, 3)), R.normal(size=(2, 1))], order=2)
    check_grads(plus, [R.normal(size=()), R.normal(size=(2, 1))], order=2)


def test_numpy_registers_for_both_protocols() -> None:
    with pytest.warns(UserWarning, match="op 'step' takes the place of <op heaviside"):
        step = tn.op(np.heaviside, name="step", numpy=np.heaviside, nondiff=True)
    with pytest.warns(
        UserWarning, match=r"op 'sinc_' takes the place of <op sinc\(x\)>: .* it stands for np.sinc wherever"
    ):
        sinc = tn.op(
            lambda x: np.where(x == 0, 1.0, np.sin(x) / np.where(x == 0, 1, x)),
            name="sinc_", numpy=np.sinc, x=lambda g, x: g * ((np.cos(x) * x - np.sin(x)) / (x * x)),
        )  # fmt: skip
    x = leaf([1.0, 2.0])
    assert np.heaviside(x, 0.5).tolist() == [1.0, 1.0]
    assert np.heaviside(np.array([-1.0]), x[0]).tolist() == [0.0]
    assert np.sinc(x).node.name == "sinc_"
    assert type(np.sinc(np.ones(1))) is np.ndarray  # NumPy's own on arrays
    check_grads(sinc, [x.data], order=2)
    assert step.nondiff == {"x", "y"}


def test_taking_a_numpy_function_over_is_said_once_at_the_users_line() -> None:
    def define(name: str) -> Any:
        return tn.op(lambda x: np.sin(x), name=name, numpy=np.sin, x=lambda g, x: g * np.cos(x))

    with pytest.warns(UserWarning, match=r"takes the place of <op sin\(x\)>") as caught:
        define("my_sin")
    assert [w.filename for w in caught] == [__file__]
    with pytest.warns(UserWarning, match=r"takes the place of <op my_sin\(x\)>") as caught:

        @tn.op(numpy=np.sin, x=lambda g: g)
        def another(x: Any) -> Any:
            return np.sin(x)

    assert [w.filename for w in caught] == [__file__]
    with pytest.warns(UserWarning, match="takes the place of <op another"):
        define("once")
    define("once")  # the same op again, as where a notebook's cell is run twice
    new = tn.op(
        lambda x: special._sinpi(x), name="sinpi", numpy=special._sinpi, x=lambda g, x: g * np.pi * np.cos(np.pi * x)
    )
    check_grads(lambda x: special._sinpi(x), [np.array([0.5, 2.0])], order=2)
    assert special._sinpi(leaf([1.0])).node.op is new


def test_an_op_of_ones_own_is_not_lost_where_the_rest_of_numpy_is_loaded_later() -> None:
    """In a process of its own: here all is loaded."""
    program = (
        "import warnings, numpy as np, tapenet as tn\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    mine = tn.op(lambda x: np.sinc(x), name='mine', numpy=np.sinc, x=lambda g: g)\n"
        "tn.nanmax(tn.tensor([1.0]))\n"
        "np.heaviside(tn.tensor([1.0]), 0.0)\n"
        "print(len(caught), np.sinc(tn.tensor([1.0], requires_grad=True)).node.name)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1 mine\n"


# -- inputs and options ------------------------------------------------------------------------------------------

affine = tn.op(
    lambda x, scale=None, shift=None: (x if scale is None else x * scale) + (0 if shift is None else shift),
    name="affine",
    broadcasts=True,
    x=lambda g, scale: g if scale is None else g * scale,
    scale=lambda g, x: g * x,
    shift=lambda g: g,
)


def test_optional_inputs_may_be_left_out() -> None:
    x, s, t = R.normal(size=(2, 3)), R.normal(size=3), R.normal(size=(2, 1))
    check_grads(affine, [x], order=2)
    check_grads(affine, [x, s], order=2)
    check_grads(affine, [x, s, t], order=2)
    check_grads(lambda x, t: affine(x, shift=t), [x, t], order=2)
    check_grads(lambda x, t: affine(x, None, t), [x, t], order=2)
    w = leaf(s)
    affine(x, w).sum().backward()
    np.testing.assert_allclose(w.grad.data, x.sum(axis=0))


@pytest.mark.parametrize("slow", [False, True])
def test_keyword_only_inputs_and_options(slow: bool) -> None:
    blend = tn.op(
        lambda x, *, other, weight=0.5: weight * x + (1 - weight) * other,
        name="blend",
        x=lambda g, weight: weight * g,
        other=lambda g, weight: (1 - weight) * g,
    )
    a, b = leaf([1.0, 2.0]), leaf([3.0, 5.0])
    with tn.debug() if slow else tn.enable_grad():
        y = blend(a, other=b, weight=0.25)
        z = blend(a, other=b)
    assert y.tolist() == [2.5, 4.25]
    assert z.tolist() == [2.0, 3.5]
    y.sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([0.25, 0.25], [0.75, 0.75])
    with pytest.raises(TypeError, match=r"blend\(\).*other"):
        blend(a)
    with pytest.raises(TypeError, match="blend"):
        blend(a, b)


def test_arguments_may_have_any_names_but_the_reserved() -> None:
    """Among them names that the generated code might use itself, and Python's builtins."""
    names = ["type", "tuple", "parent", "state", "node", "seen", "stack", "grads", "only", "found", "d", "p", "local",
             "forward", "result", "data", "shape", "dtype", "number", "scope", "call", "line", "len", "Exception", "op",
             "args", "kwargs", "x_shape", "x_node", "x_saved", "δ"]  # fmt: skip
    for name in names:
        scope: dict[str, Any] = {}
        exec(f"forward = lambda x, {name}=2.0: x * {name}\nrule = lambda g, x_dtype, {name}: g * {name}", scope)
        as_option = tn.op(scope["forward"], name="times", x=scope["rule"])
        exec(f"forward = lambda x, {name}: x * {name}\nx = lambda g, {name}: g * {name}\ny = lambda g, x: g * x", scope)
        as_input = tn.op(scope["forward"], name="times", grads={"x": scope["x"], name: scope["y"]})
        for general in (False, True):
            with tn.debug() if general else tn.enable_grad():
                x, y = leaf([1.0, 3.0]), leaf([5.0, 7.0])
                as_option(x).sum().backward()
                as_option(x, **{name: 3.0}).sum().backward()
                as_input(x, y).sum().backward()
                assert x.grad.tolist() == [10.0, 12.0], name
                assert y.grad.tolist() == [1.0, 3.0], name
                (as_input(x, y).sum() + as_option(y).sum()).backward(create_graph=True)


def test_shapes_and_dtypes_of_inputs_are_saved_in_place_of_the_inputs() -> None:
    seen = []

    def rule(g: Any, x_shape: Any, x_dtype: Any, y_shape: Any, y_dtype: Any) -> Any:
        seen.append((x_shape, x_dtype, y_shape, y_dtype))
        return np.zeros(x_shape, x_dtype)

    op = tn.op(lambda x, y: np.sum(x) * np.sum(y), name="sizes", x=rule, nondiff=("y",))
    y = op(leaf(np.ones((2, 3)), np.float32), np.ones(4, np.int16))
    assert not hasattr(y.node, "x_saved")
    y.backward()
    op(leaf(np.ones(2)), 5).backward()
    assert seen == [((2, 3), np.dtype("f4"), (4,), np.dtype("i2")), ((2,), np.dtype("f8"), (), np.dtype(int))]


def test_a_node_saves_exactly_what_its_rules_name() -> None:
    op = tn.op(lambda x, y: x * y + x, name="saving", x=lambda g, y: g * y + g, y=lambda g, x: g * x)
    x, y = leaf([1.0]), leaf([2.0])
    assert op(x, y).node.saved_slots == ("x_saved", "y_saved")
    only_x = op(x, np.array([2.0])).node
    assert not hasattr(only_x, "x_saved")  # y needs no gradient, so its rule's needs are not saved
    assert only_x.y_saved.tolist() == [2.0]


def test_a_tensor_that_needs_a_gradient_where_there_is_no_rule() -> None:
    x, t = leaf([1.0]), leaf(2.0)
    with pytest.raises(
        TypeError, match=r"softclip: .* given as 'limit', for which the op has no gradient rule.*nondiff=\('limit',\)"
    ):
        softclip(x, t)
    with pytest.raises(TypeError, match="no gradient rule"):
        softclip(x, limit=t)
    with pytest.raises(TypeError, match="no gradient rule"):
        softclip(np.ones(1), t)
    ranged = tn.op(lambda x, limits=(0.0, 1.0): x * limits[1], name="ranged", x=lambda g, limits: g * limits[1])
    with pytest.raises(TypeError, match="given as 'limits'"):
        ranged(x, (0.0, t))
    with pytest.raises(TypeError, match="given as 'limits'"):
        ranged(x, [0.0, t])
    assert ranged(x, (0.0, tn.tensor(3.0))).tolist() == [3.0]
    assert softclip(x, tn.tensor(2.0)).requires_grad
    with tn.no_grad():
        softclip(x, t)
    assert softclip(x, t.detach()).tolist() == softclip(x, 2.0).tolist()


def test_nondiff_inputs_take_tensors_that_need_a_gradient() -> None:
    gate = tn.op(lambda x, gate: x * (gate > 0), name="gated", nondiff=("gate",), x=lambda g, gate: g * (gate > 0))
    x, t = leaf([1.0, 2.0]), leaf([-1.0, 1.0])
    gate(x, t).sum().backward()
    assert x.grad.tolist() == [0.0, 1.0]
    assert t.grad is None
    check_grads(lambda x: gate(x, t.data) ** 2, [x.data], order=2)
    assert not gate(np.ones(2), t).requires_grad


def test_an_op_without_any_derivative() -> None:
    ranks = tn.op(lambda x, kind=None: np.argsort(np.argsort(x, kind=kind)), name="ranks", nondiff=True)
    y = ranks(leaf([3.0, 1.0, 2.0]))
    assert y.tolist() == [2, 0, 1]
    assert not y.requires_grad
    halves = tn.op(lambda x: x * 0.5, name="halves", nondiff=True)
    assert not halves(leaf([1.0])).requires_grad


@dataclass
class Pair:
    w: Any


@pytest.mark.parametrize(
    ("make", "read"),
    [
        (lambda w: {"w": w}, lambda p: p["w"]),
        (lambda w: Pair(w), lambda p: p.w),
        (lambda w: [{"w": w}], lambda p: p[0]["w"]),
        (lambda w: {"a": [Pair((w,))]}, lambda p: p["a"][0].w[0]),
    ],
)
def test_tensors_where_no_rule_reaches_them_are_refused(make: Any, read: Any) -> None:
    """A gradient by what lies in a dict or dataclass would come from the forward's parts, or not at all."""
    op = tn.op(lambda p, x: read(p) * x, name="deep", p=lambda g, x: make(7 * g), x=lambda g, p: g * read(p))
    option = tn.op(lambda x, p: read(p) * x, name="deep", x=lambda g, p: g * read(p))
    wide = tn.op(lambda p, x: read(p) * x, name="wide", broadcasts=True, p=lambda g, x: make(7 * g), x=lambda g: g)
    for w in (leaf([1.0, 2.0]), tn.tensor([1.0, 2.0])):
        for x in (np.ones(2), tn.tensor([1.0, 2.0]), leaf([1.0, 2.0])):
            with pytest.raises(
                TypeError, match=r"deep: its argument 'p' is a \w+ with tensors .* Give the op a rule for it"
            ):
                option(x, make(w))
            with pytest.raises(
                TypeError, match=r"wide: its argument 'p' .* say that it may be one with sequences=\('p',\)"
            ):
                wide(make(w), x)
    w, x = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    op(make(w), x).sum().backward()  # its own rule is asked
    assert w.grad.tolist() == [7.0, 7.0]
    x = leaf([1.0, 2.0])
    op(make(np.array([3.0, 4.0])), x).sum().backward()  # arrays may come in any form
    assert x.grad.tolist() == [3.0, 4.0]


def test_an_op_without_a_derivative_in_a_rule_is_refused_at_second_order() -> None:
    blind = tn.op(lambda x: np.cos(x), name="blind", nondiff=True)
    sine = tn.op(np.sin, name="sine", x=lambda g, x: g * blind(x))
    assert tn.grad(sine)(0.5).item() == np.cos(0.5)
    words = r"blind: a tensor that needs a gradient was given as 'x', .* in the gradient rule of op 'sine'.*tn.stop_gradient"
    with pytest.raises(TypeError, match=words):
        tn.grad(tn.grad(sine))(0.5)
    half = tn.op(lambda a, b: a * np.cos(b), name="half", nondiff=("b",), a=lambda g, b: g * np.cos(b))
    with pytest.raises(TypeError, match=r"half: a tensor that needs a gradient was given as 'b'"):
        tn.grad(tn.grad(tn.op(np.sin, name="sine", x=lambda g, x: half(g, x))))(0.5)
    referring = tn.op(lambda x: (np.sin(x), np.cos(x)), name="referring", residuals=("c",), x=lambda g, c: g * c,
                      reference=lambda x: blind(x - math.pi / 2))  # fmt: skip
    with pytest.raises(TypeError, match=r"blind: .* in the gradient rule of op 'referring'"):
        tn.grad(tn.grad(referring))(0.5)
    assert blind(leaf([0.0])).tolist() == [1.0]  # elsewhere as ever, also after the error
    assert not blind(leaf([0.0])).requires_grad


def test_what_has_no_derivative_may_stand_in_a_rule_as_a_constant() -> None:
    mask = tn.op(lambda x: x > 0, name="mask", nondiff=True)  # its results are no floats
    blind = tn.op(lambda x: np.sign(x), name="blind", nondiff=True)
    flat = tn.op(lambda x: np.sign(x), name="flat", x=lambda g: np.zeros_like(g))
    for rule in (
        lambda g, x: g * mask(x) * (2 * x),
        lambda g, x: g * (blind(tn.stop_gradient(x)) + 1) * x,
        lambda g, x: g * (flat(x) + 1) * x,
    ):
        check_grads(tn.op(lambda x: np.maximum(x, 0) * x, name="ramp", x=rule), [np.array([-0.5, 0.7])], order=3)


def test_an_integer_result_has_no_gradient() -> None:
    rounds = tn.op(lambda x: np.rint(x).astype(int), name="rounds", x=lambda g: g)
    assert not rounds(leaf([1.2])).requires_grad


def test_a_sequence_is_one_input() -> None:
    total = tn.op(
        lambda xs, weights: sum(x * w for x, w in zip(xs, weights, strict=True)),
        name="weighted",
        xs=lambda g, weights: tuple(g * w for w in weights),
    )
    arrays = [R.normal(size=3) for _ in range(3)]
    check_grads(lambda *xs: total(list(xs), (1.0, 2.0, 3.0)), arrays, order=2)
    a, b = leaf(arrays[0]), leaf(arrays[1])
    total((a, arrays[2], b, a), [1.0, 2.0, 3.0, 4.0]).sum().backward()
    assert a.grad.tolist() == [5.0] * 3
    assert b.grad.tolist() == [3.0] * 3
    assert type(total(arrays, (1, 2, 3))) is np.ndarray


# -- several outputs ---------------------------------------------------------------------------------------------


def _polar_rule(g: Any, x: Any, y: Any, out: Any) -> Any:
    gr, ga = g
    r, _ = out
    return {"x": gr * x / r - ga * y / r**2, "y": gr * y / r + ga * x / r**2}


polar = tn.op(lambda x, y: (np.hypot(x, y), np.arctan2(y, x)), name="polar", outputs=2, joint=_polar_rule)


def test_several_outputs_with_a_joint_rule() -> None:
    x, y = R.uniform(0.5, 2, 3), R.uniform(0.5, 2, 3)
    check_grads(polar, [x, y], order=3)
    check_grads(lambda x, y: polar(x, y)[0], [x, y], order=2)  # the other one unused
    check_grads(lambda x, y: polar(x, y)[1] ** 2, [x, y], order=2)
    r, a = polar(x, y)
    assert type(r) is type(a) is np.ndarray
    r, a = polar(leaf(x), leaf(y))
    assert type(r) is type(a) is tn.Tensor
    check_grads(lambda x: polar(x, x * x)[0] * polar(np.sin(x), x)[1], [x], order=2)


def test_outputs_not_used_have_zero_gradients_and_nondifferentiable_ones_none() -> None:
    seen = []

    def rule(g: Any, x: Any) -> Any:
        seen.append(tuple(None if p is None else (p.tolist(), p.dtype) for p in g))
        return g[0] * 2 * x + g[2] * 3

    op = tn.op(lambda x: (x**2, np.argsort(x), 3 * x), name="several", outputs=3, nondiff_outputs=(1,), x=rule)
    x = leaf([2.0, 1.0], np.float32)
    square, order, triple = op(x)
    assert not order.requires_grad
    assert order.tolist() == [1, 0]
    square.sum().backward()
    op(x)[2].sum().backward()
    f32 = np.dtype("f4")
    assert seen == [(([1.0, 1.0], f32), None, ([0.0, 0.0], f32)), (([0.0, 0.0], f32), None, ([1.0, 1.0], f32))]
    assert x.grad.tolist() == [7.0, 5.0]
    del triple


def test_a_rule_may_be_told_which_outputs_are_not_used() -> None:
    op = tn.op(
        lambda x: (x**2, 3 * x),
        name="two",
        outputs=2,
        tell_unused=True,
        x=lambda g, x: (0 if g[0] is None else g[0] * 2 * x) + (0 if g[1] is None else 100 * g[1]),
    )
    for i, expected in enumerate([[4.0, 2.0], [100.0, 100.0]]):
        f = tn.grad(lambda x, i=i: op(x)[i].sum())
        assert f(leaf([2.0, 1.0])).tolist() == tn.compile(f)(leaf([2.0, 1.0])).tolist() == expected
    check_grads(lambda x: op(x)[0], [np.array([2.0, 1.0])], order=2)


def test_an_undeclared_integer_output_has_no_gradient_either() -> None:
    op = tn.op(lambda x: (2 * x, np.argsort(x)), name="two", outputs=2, x=lambda g: 2 * g[0])
    x = leaf([2.0, 1.0])
    y, order = op(x)
    assert not order.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    assert not op(x)[1].requires_grad
    check_grads(lambda x: op(x)[0] ** 2, [np.array([2.0, 1.0])], order=2)


def test_outputs_of_unknown_number() -> None:
    parts = tn.op(
        lambda x, n: tuple(x * i for i in range(n)), name="parts", outputs=None,
        x=lambda g, n: sum((i * p for i, p in enumerate(g)), 0 * g[0]),
    )  # fmt: skip
    check_grads(lambda x: parts(x, 3), [R.normal(size=2)], order=2)
    assert len(parts(leaf([1.0]), 4)) == 4


def test_broadcasting_is_undone_for_several_outputs_too() -> None:
    both = tn.op(
        lambda x, y: (x + y, x * y), name="both", outputs=2, broadcasts=True,
        x=lambda g, y: g[0] + g[1] * y, y=lambda g, x: g[0] + g[1] * x,
    )  # fmt: skip
    check_grads(both, [R.normal(size=(2, 3)), R.normal(size=3)], order=2)
    check_grads(lambda x, y: both(x, y)[1], [R.normal(size=(2, 1)), R.normal(size=3)], order=2)


@pytest.mark.parametrize("count", [1, 3])
def test_the_wrong_number_of_outputs_is_an_error(count: int) -> None:
    op = tn.op(lambda x: (x,) * count, name="miscounted", outputs=2, x=lambda g: g[0])
    for x in (leaf([1.0]), np.ones(1)):
        with pytest.raises(TypeError, match=rf"'miscounted': its forward returned {count} values.*2 output\(s\)"):
            op(x)
    single = tn.op(lambda x: (x, x), name="unexpected", x=lambda g: g)
    with pytest.raises(
        TypeError, match=r"'unexpected': its forward returned a tuple of 2.*outputs=2, or with residuals="
    ):
        single(leaf([1.0]))
    with pytest.raises(TypeError, match="returned ndarray"):
        tn.op(lambda x: x, name="lonely", outputs=2, x=lambda g: g[0])(leaf([1.0]))


def test_a_result_that_is_no_array_is_an_error() -> None:
    with pytest.raises(TypeError, match="'nothing': its forward returned NoneType, which is not an array of numbers"):
        tn.op(lambda x: None, name="nothing", x=lambda g: g)(leaf([1.0]))
    assert tn.op(lambda x: 2.0, name="constant", x=lambda g: 0.0)(leaf([1.0])).data.shape == ()
    assert tn.op(lambda x: [1.0, 2.0], name="listing", x=lambda g: 0.0)(leaf([1.0])).tolist() == [1.0, 2.0]


# -- joint rules -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_joint_rule_is_told_which_gradients_are_wanted(create_graph: bool) -> None:
    told = []

    def rule(g: Any, wanted: frozenset[str], x: Any, y: Any, z: Any) -> Any:
        told.append(wanted)
        found = {"x": g * y, "y": g * x, "z": g}
        return {n: found[n] for n in wanted}

    op = tn.op(lambda x, y, z=None: x * y + (0 if z is None else z), name="jointly", joint=rule)
    assert op.differentiable == ("x", "y", "z")
    x, y, z = leaf([2.0]), leaf([3.0]), leaf([4.0])
    plain = np.array([5.0])
    for args in ((x, y, z), (x, y), (x, plain), (plain, y, z), (plain, plain, z)):
        op(*args).backward(create_graph=create_graph)
    assert told == [frozenset(n) for n in ("xyz", "xy", "x", "yz", "z")]
    told.clear()
    tn.grad(lambda t: op(t, y, z).sum())(np.array([2.0]))
    assert told == [frozenset("x")]
    check_grads(op, [R.normal(size=2), R.normal(size=2), R.normal(size=2)], order=2)


def test_a_joint_rule_may_give_more_than_is_wanted_but_not_less() -> None:
    op = tn.op(lambda x, y: x * y, name="less", joint=lambda g, x, y: {"x": g * y})
    x, y = leaf([2.0]), leaf([3.0])
    op(x, np.ones(1)).backward()
    for create_graph in (False, True):
        with pytest.raises(GradientError, match=r"joint rule of op 'less' gave no gradient for 'y'"):
            op(x, y).backward(create_graph=create_graph)
    wrong = tn.op(lambda x: x * 1, name="wrong", joint=lambda g: g)
    with pytest.raises(GradientError, match="returns a dict"):
        wrong(x).backward()
    generous = tn.op(lambda x, y: x * y, name="more", joint=lambda g, x, y: {"x": g * y, "y": g * x, "spare": 0})
    generous(x, np.ones(1)).backward()


def test_joint_rules_skip_nondiff_arguments() -> None:
    op = tn.op(
        lambda x, index, y: x[index] + y[index], name="picked", nondiff=("index",),
        joint=lambda g, index, x_shape, y_shape: {
            "x": tn.scatter_add(g, index, x_shape), "y": tn.scatter_add(g, index, y_shape)
        },
    )  # fmt: skip
    assert op.differentiable == ("x", "y")
    check_grads(lambda x, y: op(x, np.array([1, 1]), y), [R.normal(size=3), R.normal(size=3)], order=2)


# -- residuals ---------------------------------------------------------------------------------------------------


def test_integer_and_boolean_residuals_are_constants_at_every_order() -> None:
    op = tn.op(
        lambda x: (np.where(x > 0, x * x, 0), x > 0, np.flatnonzero(x > 0)), name="masked", residuals=("mask", "at"),
        x=lambda g, x, mask, at: np.where(mask, 2 * x * g, 0) + 0 * at.sum(),
    )  # fmt: skip
    check_grads(op, [R.normal(size=5)], order=3)
    assert type(op(np.ones(2))) is np.ndarray
    y = op(leaf([1.0, -1.0]))
    assert type(y) is tn.Tensor
    assert y.node.mask_saved.tolist() == [True, False]
    y.sum().backward()
    assert y.node.mask_saved is None


def test_residuals_with_several_outputs() -> None:
    op = tn.op(
        lambda x: (x * 2, x * 3, np.argsort(x)), name="sorted", outputs=2, residuals=("order",),
        x=lambda g, order: 2 * g[0] + 3 * g[1] + 0 * order,
    )  # fmt: skip
    assert len(op(np.ones(2))) == 2
    check_grads(op, [R.normal(size=3)], order=2)


def test_a_float_residual_with_a_reference() -> None:
    op = tn.op(
        lambda x: (np.sin(x), np.cos(x)),
        name="sine",
        residuals=("slope",),
        reference=np.sin,
        x=lambda g, slope: g * slope,
    )
    check_grads(op, [R.normal(size=3)], order=3)
    both = tn.op(
        lambda x, y: (np.sin(x) * y, np.cos(x)), name="sine2", residuals=("slope",), broadcasts=True,
        reference=lambda x, y: np.sin(x) * y, x=lambda g, y, slope: g * y * slope, y=lambda g, x: g * np.sin(x),
    )  # fmt: skip
    check_grads(both, [R.normal(size=(2, 3)), R.normal(size=3)], order=3)
    check_grads(lambda y: both(np.ones((2, 3)), y), [R.normal(size=3)], order=2)


# -- broadcasting ------------------------------------------------------------------------------------------------


def test_declared_broadcasting_is_undone() -> None:
    op = tn.op(lambda x, y, z: x * y + z, name="fma", broadcasts=True,
               x=lambda g, y: g * y, y=lambda g, x: g * x, z=lambda g: g)  # fmt: skip
    check_grads(op, [R.normal(size=(2, 1, 3)), R.normal(size=(4, 1)), R.normal(size=())], order=2)


def test_undoing_happens_only_from_the_shape_of_the_output() -> None:
    op = tn.op(lambda x, y: x * y, name="odd", broadcasts=True, x=lambda g, y: (g * y)[None], y=lambda g, x: g * x)
    with pytest.raises(GradientError, match=r"'x' of op 'odd' returned shape \(1, 2, 3\)"):
        op(leaf(np.ones(3)), leaf(np.ones((2, 3)))).sum().backward()
    short = tn.op(lambda x, y: x * y, name="short", broadcasts=True, x=lambda g, y: g.sum(axis=0), y=lambda g, x: g * x)
    with pytest.raises(GradientError, match=r"returned shape \(3,\), but x has shape \(2, 1\)"):
        short(leaf(np.ones((2, 1))), leaf(np.ones((2, 3)))).sum().backward()


# -- failing forwards --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ValueError, TypeError, IndexError, ZeroDivisionError])
@pytest.mark.parametrize("slow", [False, True])
def test_a_failing_forward_says_which_op_on_what_and_how_to_repair_it(kind: type[Exception], slow: bool) -> None:
    def forward(x: Any, k: int = 1) -> Any:
        raise kind("cannot")

    op = tn.op(forward, name="failing", x=lambda g: g, hint=lambda x, k: f"Give {np.shape(x)} a k above {k}")
    with pytest.raises(kind) as caught, tn.debug() if slow else tn.enable_grad():
        op(leaf(np.ones((2, 3)), np.float32), k=4)
    assert type(caught.value) is kind
    assert str(caught.value) == "failing(x: float32 (2, 3), k: 4) failed: cannot. Give (2, 3) a k above 4"
    assert isinstance(caught.value.__context__, kind)


def test_other_errors_keep_their_type_and_get_a_note() -> None:
    class Own(ValueError):
        pass

    def forward(x: Any) -> Any:
        raise Own("mine")

    with pytest.raises(Own, match="mine") as caught:
        tn.op(forward, name="failing", x=lambda g: g)(leaf([1.0]))
    assert caught.value.__notes__ == ["failing(x: float64 (1,)) failed: mine"]
    with pytest.raises(np.linalg.LinAlgError):
        tn.op(np.linalg.cholesky, name="cholesky", a=lambda g: g)(leaf(-np.eye(2)))
    with pytest.raises(ValueError, match=r"flipped\(.*\) failed: axis 5 is out of bounds"):
        tn.op(lambda x, axis: np.flip(x, axis), name="flipped", x=lambda g: g)(leaf([1.0]), 5)


def test_a_hint_that_fails_does_not_hide_the_error() -> None:
    def forward(x: Any) -> Any:
        raise ValueError("first")

    op = tn.op(forward, name="failing", x=lambda g: g, hint=lambda x: 1 / 0)
    with pytest.raises(ValueError, match="failed: first"):
        op(leaf([1.0]))


def _fits(k: int, x: Any) -> None:
    if x.shape[-1] != k:
        raise ValueError(f"the last axis must be {k} long")


checked = tn.op(lambda x, k: x * k, name="checked", check=_fits, x=lambda g, k: g * k)
checked_pair = tn.op(
    lambda x, *, k: (x * k, x + k), name="checked_pair", outputs=2, check=_fits, x=lambda g, k: g[0] * k + g[1]
)


@pytest.mark.parametrize("op", [checked, checked_pair])
@pytest.mark.parametrize("slow", [False, True])
def test_the_check_runs_before_the_forward(op: Any, slow: bool) -> None:
    with tn.debug() if slow else tn.enable_grad():
        for x in (np.ones((2, 3)), leaf(np.ones((2, 3)))):
            op(x, k=3)
            with pytest.raises(
                ValueError, match=r"checked.*\(x: float64 \(2, 3\), k: 4\) failed: the last axis must be 4 l"
            ):
                op(x, k=4)


@pytest.mark.parametrize("read", [{}, {"lower": lambda x, k: k * x}, {"opaque": "it is called"}])
def test_the_check_runs_when_a_step_is_captured_and_lowered(read: Any) -> None:
    op = tn.op(lambda x, k: x * k, name="checked_too", check=_fits, x=lambda g, k: g * k, **read)
    step = tn.compile(lambda x, k: op(x, k))
    assert_equal(step(np.ones((2, 3)), 3).numpy(), np.full((2, 3), 3.0))
    with pytest.raises(ValueError, match="the last axis must be 4 long"):
        step(np.ones((2, 3)), 4)


def test_a_check_that_reads_values_runs_at_every_call_of_a_program() -> None:
    def positive(x: Any) -> None:
        if isinstance(x, np.ndarray) and (x < 0).any():
            raise ValueError("x must be positive")

    root = tn.op(
        lambda x: np.sqrt(x),
        name="root",
        check=positive,
        opaque="its values are checked",
        x=lambda g, out: g / out / 2,
    )
    step = tn.compile(lambda x: root(x))
    step(np.ones(3))
    with pytest.raises(ValueError, match="x must be positive"):
        step(-np.ones(3))


def test_an_op_with_other_options() -> None:
    checked(leaf(np.ones(3)), 3)  # the op has a class of its own by now
    other = checked.replace(name="other", check=None, label="o")
    assert (other.name, other.check, other.label, other.rules) == ("other", None, "o", checked.rules)
    check_grads(other, [R.normal(size=4), 3], order=2)
    with pytest.raises(ValueError, match="the last axis must be 3 long"):
        checked(leaf(np.ones(4)), 3)


def test_calls_that_do_not_fit_name_the_op() -> None:
    for slow in (False, True):
        with tn.debug() if slow else tn.enable_grad():
            for call in (
                lambda: softclip(),
                lambda: softclip(leaf([1.0]), 1.0, 2.0),
                lambda: softclip(leaf([1.0]), bound=2.0),
                lambda: softclip(leaf([1.0]), x=2.0),
                lambda: polar(leaf([1.0])),
            ):
                with pytest.raises(TypeError, match=r"(softclip|polar)\(\)"):
                    call()


def test_an_unknown_keyword_is_answered_with_the_known_ones() -> None:
    x = leaf([1.0, 2.0])
    several = tn.op(lambda xs, k=1: tuple(xs), name="several", outputs=None, xs=lambda g: g)
    for call, words in (
        (lambda: softclip(x, limt=2.0), r"softclip\(\) .* 'limt'; did you mean 'limit'\? It takes: x, limit$"),
        (lambda: several([x], foo=2), r"several\(\) .* 'foo'; it takes: xs, k$"),
        (lambda: tn.linear(x, x, bais=x), r"linear\(\) .* 'bais'; did you mean 'bias'\? It takes: x, weight, bias$"),
        (
            lambda: x.sum(axsi=0),
            r"sum\(\) .* did you mean 'axis'\? It takes: a, axis, dtype, keepdims, initial, where$",
        ),
        (lambda: tn.exp(x, ot=x), r"exp\(\) .* did you mean 'out'\? It takes: x, out, where, casting, "),
        (lambda: tn.average(x, weigths=x), r"average\(\) .* did you mean 'weights'\? It takes: a, axis, weights, "),
        (lambda: nn.Linear(2, 3, bais=False), r"Linear\(\) .* did you mean 'bias'\? It takes: in_features, "),
        (lambda: optim.SGD([x], lr=0.1, momentm=0.9), r"SGD\(\) .* did you mean 'momentum'\? It takes: params, lr, "),
    ):
        for slow in (False, True):
            with tn.debug() if slow else tn.enable_grad(), pytest.raises(TypeError, match=words) as caught:
                call()
            assert "got an unexpected keyword argument" in str(caught.value)


def test_keywords_of_modules_of_ones_own() -> None:
    class Net(nn.Module):
        def __init__(self, width: int = 3) -> None:
            self.width = width

    class Free(Net):
        def __init__(self, **options: Any) -> None:
            super().__init__()
            self.options = options

    assert Net(width=2).width == 2
    assert Free(anything=1).options == {"anything": 1}
    with pytest.raises(TypeError, match=r"Net\(\) got an .* 'widht'; did you mean 'width'\? It takes: width$"):
        Net(widht=2)  # type: ignore[call-arg]


# -- mistakes in a definition ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (lambda: tn.op(lambda x: x, x=lambda g: g), "a lambda has no name of its own: give name="),
        (lambda: tn.op(3, x=lambda g: g), "the forward must be a function, not int"),
        (lambda: tn.op(lambda x: x, name="f", y=lambda g: g), "names 'y', which is not an argument; its"),
        (lambda: tn.op(lambda x: x, name="f", x=3), "x=3 is neither an option of tn.op nor a gradient rule"),
        (lambda: tn.op(lambda x: x, name="f", lable="F", x=lambda g: g), "lable='F' is neither an option"),
        (lambda: tn.op(lambda x: x, name="f", x=lambda g, z: g), "rule for 'x' asks for 'z'; it may name g, out, x"),
        (lambda: tn.op(lambda x: x, name="f", x=lambda g, z_shape: g), "asks for 'z_shape'"),
        (lambda: tn.op(lambda x: x, name="f", x=lambda g, wanted: g), "asks for 'wanted'"),
        (lambda: tn.op(lambda x: x, name="f", joint=lambda g, z: g), "its joint rule asks for 'z'"),
        (lambda: tn.op(lambda x: x, name="f", joint=lambda g: g, x=lambda g: g), "either joint= or rules per input"),
        (lambda: tn.op(lambda x: x, name="f", x=lambda g, *, x: g), "'x' is keyword-only"),
        (lambda: tn.op(lambda x: x, name="f", nondiff=("y",), x=lambda g: g), "nondiff= names 'y'"),
        (lambda: tn.op(lambda x: x, name="f", nondiff=("x",), x=lambda g: g), r"\['x'\] have a rule and are declared"),
        (lambda: tn.op(lambda x, **k: x, name="f", x=lambda g: g), r"takes \*\*kwargs; name its options"),
        (lambda: tn.op(lambda x, out: x, name="f", x=lambda g: g), "'out' is reserved for rules"),
        (lambda: tn.op(lambda x, wanted: x, name="f", x=lambda g: g), "'wanted' is reserved for rules"),
        (lambda: tn.op(lambda x, _y: x, name="f", x=lambda g: g), "without leading underscore"),
        (lambda: tn.op(min, name="f", x=lambda g: g), "does not say what its arguments are called: give a lambda"),
        (lambda: tn.op(lambda x: x, name="f", x=min), "does not say what its arguments are called"),
        (lambda: tn.op(lambda x: (x, x), name="f", residuals=("x",), x=lambda g: g), "rename its residual 'x'"),
        (lambda: tn.op(lambda x: (x, x), name="f", residuals=("out",), x=lambda g: g), "rename its residual 'out'"),
        (lambda: tn.op(lambda x: (x, x), name="f", residuals=("a b",), x=lambda g: g), "rename its residual 'a b'"),
        (lambda: tn.op(lambda x: (x, x), name="f", outputs=None, residuals=("r",), x=lambda g: g), "fixed number of"),
        (lambda: tn.op(lambda x: x, name="f", numpy="np.sin", x=lambda g: g), "numpy= is 'np.sin', a name: give the func"),
        (lambda: tn.op(lambda x: x, name="f", numpy=[np.sin, min], x=lambda g: g), "function min>, which is written in C"),
        (lambda: tn.op(lambda x: x, name="f", lower="nonesuch", x=lambda g: g), "'nonesuch' is no primitive of 1 input;"),
        (lambda: tn.op(lambda x: x, name="f", lower="add", x=lambda g: g), "'add' is no primitive of 1 input; .* exp"),
        (lambda: tn.op(lambda x, y: x, name="f", lower=3, nondiff=True), "lower=3 is no primitive of 2 inputs"),
        (lambda: tn.op(lambda x: x, name="f", check=lambda y: y, x=lambda g: g), "its check= asks for 'y'; it may name x"),
        (lambda: tn.op(lambda x: x, name="f", grads={"x": lambda g: g}, x=lambda g: g), r"\['x'\] have a rule both"),
    ],
)  # fmt: skip
def test_mistakes_are_named_when_the_op_is_defined(define: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        define()


def test_an_argument_named_as_an_option_takes_its_rule_through_grads() -> None:
    named = tn.op(
        lambda name, label, joint: name * label + joint, name="named", broadcasts=True,
        grads={"name": lambda g, label: g * label, "label": lambda g, name: g * name, "joint": lambda g: g},
    )  # fmt: skip
    check_grads(named, [R.normal(size=(2, 3)), R.normal(size=3), R.normal(size=3)], order=2)
    mixed = tn.op(lambda x, samples: x * samples, name="mixed", x=lambda g, samples: g * samples,
                  grads={"samples": lambda g, x: g * x})  # fmt: skip
    check_grads(mixed, [R.normal(size=3), R.normal(size=3)], order=2)


# -- other types -------------------------------------------------------------------------------------------------


class Logged:
    """Answers ops through the protocol and nothing else."""

    def __init__(self, value: Any, answer: bool = True) -> None:
        self.value, self.answer, self.seen = value, answer, []

    def __tapenet_op__(self, op: Any, args: Any, kwargs: Any) -> Any:
        self.seen.append((op, args, kwargs))
        return (op.name, self.value) if self.answer else NotImplemented


def test_custom_ops_defer_to_other_types() -> None:
    thing = Logged(3)
    assert softclip(thing, limit=2.0) == ("softclip", 3)
    assert thing.seen == [(softclip, (thing, 2.0), {})]
    assert polar(leaf([1.0]), thing) == ("polar", 3)
    first, second = Logged(1, answer=False), type("Other", (Logged,), {})(2)
    assert polar(first, second) == ("polar", 2)
    assert len(first.seen) == 1
    with pytest.raises(TypeError, match="softplus: Logged declined"):
        softplus(Logged(1, answer=False))
    total = tn.op(lambda xs: xs[0], name="first", xs=lambda g: (g,))
    assert total([leaf([1.0]), thing]) == ("first", 3)


# -- checking ----------------------------------------------------------------------------------------------------


def test_check_op_on_a_custom_op() -> None:
    made = tn.op(
        lambda x, k=2: x**k, name="raised", x=lambda g, x, k: g * (k * x ** (k - 1)), doc="x to the k.",
        samples=lambda r: [tn.testing.Sample((r.uniform(0.5, 2, (2, 3)),), {"k": 3})],
    )  # fmt: skip
    check_op(made)
    check_op(made, [tn.testing.Sample((np.ones(2),), {})], order=3)


# -- threads -----------------------------------------------------------------------------------------------------


def test_the_first_call_may_come_from_many_threads_at_once() -> None:
    """Code is generated for an op at its first call."""
    count, errors = 8, []
    for _ in range(30):
        op = tn.op(lambda x, k=2.0: k * x**3, name="cube", x=lambda g, x, k: g * (3 * k * x**2))
        start = threading.Barrier(count)

        def work(op: Any = op, start: Any = start) -> None:
            try:
                turn = start.wait()
                x = leaf([1.0, 2.0])
                y = op(x) + op(x, k=1.0)
                y.sum().backward()
                assert x.grad.tolist() == [9.0, 36.0]
                if turn == 0:  # it looks at every object of the process
                    assert [n.name for n in tn.tape()][:2] == ["cube", "cube"]
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(count)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert not errors


def test_independent_threads_record_differentiate_and_write_at_once() -> None:
    errors: list[Exception] = []

    def total(w: Any) -> Any:
        y = softclip(w @ w.T, 3.0)
        return y.sum() + y[::2].sum()

    def work(seed: int) -> None:
        try:
            r = np.random.default_rng(seed)
            w = leaf(r.normal(size=(4, 4)))
            seen: list[int] = []
            w.register_hook(lambda g: seen.append(1))
            for step in range(100):
                w.grad = None
                y = softclip(w @ w.T, 3.0)
                with tn.Tape() as tape:
                    z = np.concatenate([y, y[::2]]).sum()
                assert [n.name for n in tape] == ["getitem", "concatenate", "sum"]
                if step % 3 == 0:
                    with tn.no_grad():
                        assert not (w * 2).requires_grad
                z.backward(create_graph=step % 2 == 0)
                expected = tn.grad(total)(w.data)
                np.testing.assert_allclose(w.grad.data, expected.data, rtol=1e-10)
                w.data = w.data - 0.01 * w.grad.data
            assert len(seen) == 100
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(interval)
    assert not errors


# -- in layers and drawings --------------------------------------------------------------------------------------


class Squash(nn.Module):
    def __init__(self) -> None:
        self.fc = nn.Linear(2, 3)

    def forward(self, x: Any) -> Any:
        return softclip(self.fc(x), 2.0)


@pytest.mark.usefixtures("no_garbage")
def test_in_a_layer() -> None:
    net = nn.Sequential(Squash(), nn.Linear(3, 1))
    out = net(np.ones((4, 2), np.float32))
    assert out.dtype == np.float32
    clip = next(n for n in tn.tape() if n.name == "softclip" and n.shape == (4, 3))
    assert clip.path == "0"
    assert clip.options == {"limit": 2.0}
    out.sum().backward()
    assert all(p.grad is not None and p.grad.data.any() for p in net.parameters())


def test_in_a_drawing() -> None:
    labelled = tn.op(lambda x, k=2: x * k, name="scaled", label=lambda k, **_: f"times {k}!", x=lambda g, k: g * k)
    plain = tn.draw(softplus(leaf([1.0]))).dot
    assert "softplus" in plain
    assert "times 7!" in tn.draw(labelled(leaf([1.0]), k=7)).dot
    assert "polar" in tn.draw(polar(leaf([1.0]), leaf([2.0]))[0]).dot
