"""np.emath: complex results where real numbers have none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.oracle import close

ONE = ("sqrt", "log", "log2", "log10", "arcsin", "arccos", "arctanh")
DTYPES = ("float64", "float32", "int64", "int32", "int16", "int8", "uint8", "bool", "complex128", "complex64")


def leaf(values: Any) -> Any:
    return tn.tensor(values, requires_grad=True)


def same(name: str, *args: Any) -> None:
    """The value and the dtype are NumPy's, whichever argument is a tensor."""
    with np.errstate(all="ignore"):
        expected = np.asarray(getattr(np.emath, name)(*args))
        for k, a in enumerate(args):
            if isinstance(a, np.ndarray):
                found = getattr(np.emath, name)(*args[:k], tn.tensor(a), *args[k + 1 :])
                assert type(found) is tn.Tensor
                close(found.data, expected)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(ONE),
    st.sampled_from(DTYPES),
    st.lists(st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, np.nan, np.inf, -np.inf]), max_size=4),
)
def test_functions_of_one_array_are_numpys(name: str, dtype: str, values: list[float]) -> None:
    a = np.array(values) if np.dtype(dtype).kind in "fc" else np.nan_to_num(np.array(values), posinf=2, neginf=-2)
    same(name, a.astype(dtype))
    for x in a.astype(dtype)[:1]:
        same(name, np.asarray(x))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(["logn", "power"]),
    st.tuples(*[st.sampled_from(DTYPES)] * 2),
    st.tuples(*[st.lists(st.sampled_from([-2, -1, 1, 2, 3]), min_size=2, max_size=2)] * 2),
)
def test_functions_of_two_arrays_are_numpys(name: str, dtypes: Any, values: Any) -> None:
    a, b = (np.array(v).astype(d) for v, d in zip(values, dtypes, strict=True))
    same(name, a, b)
    same(name, a, b[:1].reshape(1, 1))


@pytest.mark.parametrize("number", [2, -2, 0.5, -0.5, True, 1 - 1j, np.float64(-2), np.float32(2)], ids=repr)
@pytest.mark.parametrize("dtype", ["float64", "int64", "int8", "complex128", "float32"])
def test_numbers_beside_an_array(number: Any, dtype: str) -> None:
    """As in NumPy; but one of Python does not widen float32."""
    a = np.array([-2, 3]).astype(dtype)
    for name, args in (("power", (a, number)), ("power", (number, a)), ("logn", (number, a)), ("logn", (a, number))):
        if dtype != "float32" or isinstance(number, np.generic):
            same(name, *args)
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            found = getattr(np.emath, name)(*(tn.tensor(v) if v is a else v for v in args))
            expected = getattr(np.emath, name)(*args)
        assert found.dtype in (np.float32, np.complex64)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_lists() -> None:
    x = leaf(-4.0)
    assert tn.emath.sqrt([x, 9.0]).tolist() == [2j, 3]
    assert tn.emath.power([2, 4], x).tolist() == [2**-4, 4**-4]


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("values", [[0.3, 0.8], [-0.4, 0.7], [-1.7, 0.3], [1.6, 2.5], [-3.0, -1.5]], ids=str)
def test_gradients_by_real_numbers_through_complex_results(name: str, values: list[float]) -> None:
    """To third order, of both parts of the result; a real input has a real gradient."""
    f = getattr(np.emath, name)
    a = np.array(values)
    check_grads(f, [a], order=3)
    out = f(x := leaf(a))
    np.abs(out).sum().backward()
    assert x.grad.dtype == np.float64
    narrow = leaf(a.astype(np.float32))
    np.abs(f(narrow)).sum().backward(create_graph=True)
    assert narrow.grad.dtype == np.float32
    np.testing.assert_allclose(narrow.grad.data, x.grad.data, rtol=1e-4)


@pytest.mark.parametrize("name", ["logn", "power"])
def test_gradients_by_both(name: str) -> None:
    for a in ([1.5, 2.5], [-1.5, 2.5]):
        for b in ([0.5, 3.0], [-0.5, 3.0]):
            check_grads(getattr(np.emath, name), [np.array(a), np.array(b)], order=2)
    for number in (2, -2, 0.5):
        check_grads(lambda x, n=number: getattr(np.emath, name)(n, x), [np.array([-1.5, 2.5])], order=2)
        check_grads(lambda x, n=number: getattr(np.emath, name)(x, n), [np.array([-1.5, 2.5])], order=2)


def test_a_gradient_by_hand() -> None:
    """√x = i√−x, whose derivative is −i/(2√−x): the loss 3 Im √x falls by that."""
    x = leaf([-4.0, 9.0])
    (3 * np.emath.sqrt(x).imag).sum().backward()
    np.testing.assert_allclose(x.grad.data, [-0.75, 0.0])


def test_the_derivative_at_zero_is_infinite_unless_the_loss_does_not_depend_on_it() -> None:
    with np.errstate(divide="ignore"):
        for name in ("sqrt", "log"):
            x = leaf([0.0, 4.0])
            getattr(np.emath, name)(x).sum().backward()
            assert x.grad.data[0] == np.inf
            mixed = leaf([0.0, -4.0])
            np.where(mixed < 0, getattr(np.emath, name)(mixed), 0).imag.sum().backward()
            assert mixed.grad.data[0] == 0


def test_a_compiled_step_has_the_dtype_of_its_capture() -> None:
    def step(x: tn.Tensor) -> Any:
        root, power = np.emath.sqrt(x), np.emath.power(np.array([2, 3]), np.rint(x).astype(int))
        (g,) = (tn.grad(lambda x: np.abs(np.emath.log(x)).sum())(x),)
        return root, power, g

    compiled = tn.compile(step)
    for values in ([-1.0, 2.0], [3.0, -5.0], [-2.0, -3.0]):
        for found, expected in zip(compiled(tn.tensor(values)), step(tn.tensor(values)), strict=True):
            close(found.data, expected.data)
    with pytest.raises(ValueError, match="must not depend on the values"):
        compiled(tn.tensor([1.0, 2.0]))
