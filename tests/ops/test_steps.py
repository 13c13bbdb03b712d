"""Functions without a derivative: values as NumPy's, and tensors that need no gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.autodiff.capture import Capture
from tapenet.autodiff.tape import CaptureError

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
def test_as_numpy_and_without_gradient(call: tuple[Any, ...], kind: str) -> None:
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
        assert not found.requires_grad
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


def test_errors_say_how_to_mend() -> None:
    a, b = tn.tensor([1.0, 2.0]), tn.tensor([1.0, 2.0, 3.0])
    for f in (np.isclose, np.allclose, np.nextafter):
        with pytest.raises(ValueError, match=r"\(2,\) and \(3,\) are matched from their last axes"):
            f(a, b)
    with pytest.raises(TypeError, match="gcd"):
        np.gcd(a, 2)
