"""Functions without a derivative: values as NumPy's, and tensors that need no gradient. And steps, whose derivative is 0."""

from __future__ import annotations

import math
import re
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.autodiff.observe.capture import Capture
from tapenet.autodiff.observe.tape import CaptureError

FLOATS = np.array([[1.25, -2.5, 0.5], [-0.0, 3.75, -117.125]])
WHOLE = np.array([[12, 7, 0], [5, -8, 100]])
ODD = np.array([1.0, math.nan, math.inf, -math.inf, -0.0])
COMPLEX = np.array([1 + 2j, 3 + 0j, 1.555 - 2.445j])

#: NumPy function, arguments, options.
CALLS: list[tuple[Any, ...]] = [
    (np.round, (FLOATS,), {}),
    (np.round, (FLOATS, 1), {}),
    (np.round, (FLOATS,), {"decimals": -1}),
    (np.around, (FLOATS, 2), {}),
    (np.round, (WHOLE, -1), {}),
    (np.round, (COMPLEX, 2), {}),
    (np.fix, (FLOATS,), {}),
    (np.fix, (WHOLE,), {}),
    (np.nextafter, (FLOATS, 0.0), {}),
    (np.nextafter, (FLOATS, FLOATS[0]), {}),
    (np.spacing, (FLOATS,), {}),
    (np.gcd, (WHOLE, 6), {}),
    (np.gcd, (WHOLE, WHOLE[::-1]), {}),
    (np.lcm, (WHOLE, 6), {}),
    (np.left_shift, (WHOLE, np.array([1, 2, 0])), {}),
    (np.bitwise_left_shift, (3, WHOLE[0]), {}),
    (np.right_shift, (WHOLE, 1), {}),
    (np.bitwise_right_shift, (WHOLE, np.array([1, 2, 0])), {}),
    (np.bitwise_count, (WHOLE,), {}),
    (np.bitwise_invert, (WHOLE,), {}),
    (np.bitwise_not, (WHOLE > 0,), {}),
    (np.isposinf, (ODD,), {}),
    (np.isneginf, (ODD,), {}),
    (np.iscomplex, (COMPLEX,), {}),
    (np.iscomplex, (FLOATS,), {}),
    (np.isreal, (COMPLEX,), {}),
    (np.isclose, (ODD, ODD), {}),
    (np.isclose, (ODD, ODD), {"equal_nan": True}),
    (np.isclose, (FLOATS, FLOATS[:1] + 0.01, 0, 0.02), {}),
    (np.isclose, (FLOATS, 1.3), {"rtol": np.array([0.1, 0.0, 0.0]), "atol": 0.0}),
    (np.allclose, (FLOATS, FLOATS * (1 + 1e-7)), {}),
    (np.allclose, (FLOATS, FLOATS * (1 + 1e-7)), {"rtol": 1e-9}),
    (np.allclose, (ODD, ODD), {"equal_nan": True}),
    (np.allclose, (FLOATS, [[1.25], [3.0]]), {}),
    (np.array_equal, (FLOATS, FLOATS), {}),
    (np.array_equal, (FLOATS, FLOATS[0]), {}),
    (np.array_equal, (ODD, ODD, True), {}),
    (np.array_equal, (WHOLE[0], [12, 7, 0]), {}),
    (np.array_equiv, (FLOATS[0], FLOATS[:1]), {}),
    (np.array_equiv, (FLOATS, FLOATS[0]), {}),
    (np.array_equiv, (FLOATS, FLOATS[:, 0]), {}),
]


def _id(call: tuple[Any, ...]) -> str:
    return f"{call[0].__name__}-{len(call[1])}{'-'.join(call[2])}"


@pytest.mark.parametrize("call", CALLS, ids=_id)
@pytest.mark.parametrize("kind", ["as it is", "float32", "one", "none"])
def test_as_numpy_and_without_slope(call: tuple[Any, ...], kind: str) -> None:
    f, args, kwargs = call

    def cut(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        if kind == "float32":
            return (
                value.astype(np.complex64 if value.dtype.kind == "c" else np.float32)
                if value.dtype.kind in "fc"
                else value
            )
        return value.reshape(-1)[:1].reshape(()) if kind == "one" else value[..., :0] if kind == "none" else value

    args = tuple(map(cut, args))
    kwargs = {k: cut(v) for k, v in kwargs.items()}
    tensors = [tn.tensor(a, requires_grad=a.dtype.kind in "fc") if isinstance(a, np.ndarray) else a for a in args]
    expected = np.asarray(f(*args, **kwargs))
    for found in (f(*tensors, **kwargs), getattr(tn, f.__name__)(*tensors, **kwargs)):
        assert type(found) is tn.Tensor
        assert found.requires_grad == (f in (np.round, np.around, np.fix) and expected.dtype.kind in "fc")
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_array_equal(found.numpy(), expected)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4),
    st.integers(-3, 6),
    st.sampled_from([np.float32, np.float64]),
)
def test_rounding(values: Any, decimals: int, dtype: Any) -> None:
    x = np.array(values, dtype)
    found = np.round(tn.tensor(x), decimals)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.numpy(), np.round(x, decimals))


def test_rounding_ends_the_gradient_of_its_part_alone() -> None:
    x = tn.tensor([1.3, 2.6], requires_grad=True)
    ((x - np.round(x)) ** 2).sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), [0.6, -0.8])


#: Functions whose results are steps of what they are given.
STEPS: dict[str, Any] = {
    "floor": np.floor, "ceil": np.ceil, "rint": np.rint, "round": lambda x: np.round(x, 1), "trunc": np.trunc, "fix": np.fix,
    "sign": np.sign, "floor_divide": lambda x: x // 0.7, "divisor": lambda x: 5.0 // x,
    "divmod": lambda x: np.divmod(x, 0.7)[0],
    "modf": lambda x: np.modf(x)[1], "heaviside": lambda x: np.heaviside(x, 0.5), "copysign": lambda x: np.copysign(1.0, x),
    "method": lambda x: x.round(1),
}  # fmt: skip


def _step_passes(f: Any, create_graph: bool) -> tuple[Any, Any, Any]:
    """The gradients by what goes into a step, by what goes in and passes it by too, and by what does not go in."""
    lost, other, free = (tn.tensor([1.3, -2.7], requires_grad=True) for _ in range(3))
    (f(lost * other) * free + other).sum().backward(create_graph=create_graph)
    return lost.grad, other.grad, free.grad


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", STEPS)
def test_steps_have_gradients_of_zero_and_say_so_where_they_are_all_there_is(name: str, create_graph: bool) -> None:
    f = STEPS[name]
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for _ in range(2):
            lost, other, free = _step_passes(f, create_graph)
            assert lost.tolist() == [0.0, 0.0]
            assert other.tolist() == [1.0, 1.0]
            np.testing.assert_array_equal(free.data, np.broadcast_to(f(tn.tensor([1.3, -2.7]) ** 2).data, 2))
    here = [w for w in found if w.filename == __file__]
    assert len(here) == len(found) == 1  # once for each op at a line
    assert all(
        re.match(r"the whole gradient by an input \(float64 \(2,\)\) is 0, .* op '\w+'.*stop_gradient", str(w.message))
        for w in here
    )


def test_the_warning_of_a_lost_gradient_comes_when_the_others_are_there() -> None:
    x, y = (tn.tensor([1.3, 2.6], requires_grad=True) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="lost in op 'floor'") as error:
            (np.floor(x).sum() + (y * 2).sum()).backward()
    assert not hasattr(error.value, "__notes__")
    assert (x.grad.tolist(), y.grad.tolist()) == ([0.0, 0.0], [2.0, 2.0])


def test_a_step_that_loses_a_whole_gradient_is_named_once() -> None:
    x = tn.tensor([1.3, 2.6], requires_grad=True)
    words = r"the whole gradient by an input .* lost in op 'floor': its derivative is 0.*x \+ tn\.stop_gradient\(f\(x\) - x\)"

    def steps() -> None:
        for _ in range(3):
            (np.floor(x) ** 2).sum().backward()

    with pytest.warns(RuntimeWarning, match=words) as found:
        steps()
    assert [(w.filename, w.lineno) for w in found] == [(__file__, steps.__code__.co_firstlineno + 2)]
    with pytest.warns(RuntimeWarning, match=words):
        assert tn.grad(lambda x: np.floor(x).sum())(x).tolist() == [0.0, 0.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tn.grad(lambda x: (x + tn.stop_gradient(np.floor(x) - x)).sum())(x)
        tn.grad(tn.grad(lambda x: np.abs(x) ** 3 + np.remainder(x, 0.7)))(2.0)  # steps in rules are constants there


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_steps_in_compiled_functions(backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    w, v = (tn.tensor([1.3, -2.7], requires_grad=True) for _ in range(2))

    def f(x: Any) -> Any:
        loss = (np.floor(w * x) * v).sum()
        loss.backward()
        return loss

    compiled = tn.compile(f, backend=backend, keep_grads=True)
    for x in ([1.0, 2.0], [3.0, 0.1]):
        w.grad = v.grad = None
        compiled(np.array(x))
        assert w.grad.tolist() == [0.0, 0.0]
        assert v.grad.tolist() == np.floor(w.data * x).tolist()


@pytest.mark.parametrize("f", [np.allclose, np.array_equal, np.array_equiv])
def test_the_answer_to_a_question_is_a_truth_without_axes(f: Any) -> None:
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    yes, no = f(x, [1.0, 2.0]), f(x, 3 * x)
    assert yes.shape == ()
    assert yes.dtype == bool
    assert bool(yes) is True
    assert bool(no) is False
    assert f(np.ones(2), np.ones(2)) is True  # of arrays as in NumPy
    assert "taken" if yes else False


def test_a_captured_step_may_depend_on_the_answer_as_a_value_alone() -> None:
    x = tn.tensor([1.0, 2.0])
    with Capture():
        same = np.array_equal(x, x)
        chosen = np.where(same, x, 0.0)
        with pytest.raises(CaptureError):
            bool(same)
    np.testing.assert_array_equal(chosen.numpy(), [1.0, 2.0])


def test_other_names() -> None:
    assert tn.around is tn.round
    assert tn.bitwise_left_shift is tn.left_shift
    assert tn.bitwise_right_shift is tn.right_shift
    assert tn.bitwise_invert is tn.bitwise_not is tn.invert


def test_errors_say_how_to_fix() -> None:
    a, b = tn.tensor([1.0, 2.0]), tn.tensor([1.0, 2.0, 3.0])
    for f in (np.isclose, np.allclose, np.nextafter):
        with pytest.raises(ValueError, match=r"\(2,\) and \(3,\) are matched from their last axes"):
            f(a, b)
    with pytest.raises(TypeError, match="gcd"):
        np.gcd(a, 2)
