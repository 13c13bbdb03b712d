"""Arrays made from a value, and numbers spaced evenly: against NumPy, with their gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.moves import leaf

R = np.random.default_rng(0)
SPACES: list[Any] = [np.linspace, np.logspace, np.geomspace]
ENDS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((), ()), ((2,), ()), ((), (2,)), ((2, 1), (3,)), ((0,), (1,))]


def positive(*shape: int) -> Any:
    return R.uniform(0.5, 2, shape)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    f=st.sampled_from(SPACES),
    ends=st.sampled_from(ENDS),
    num=st.integers(0, 5),
    endpoint=st.booleans(),
    data=st.data(),
    dtype=st.sampled_from([None, np.float32, np.int64]),
)
def test_numbers_evenly_spaced(f: Any, ends: Any, num: int, endpoint: bool, data: Any, dtype: Any) -> None:
    start, stop = (positive(*s) * 3 for s in ends)
    ndim = max(map(len, ends))
    axis = data.draw(st.integers(-ndim - 1, ndim))
    options = {"num": num, "endpoint": endpoint, "axis": axis, "dtype": dtype}
    got, expected = f(leaf(start), leaf(stop), **options), f(start, stop, **options)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(got.data, expected, rtol=1e-12 if dtype is None else 1e-6)
    if got.size and dtype is None:
        check_grads(lambda a, b: f(a, b, **options) ** 2, [start, stop], order=2, rtol=1e-4)


@pytest.mark.parametrize("num", [0, 1, 2, 5])
@pytest.mark.parametrize("endpoint", [True, False])
def test_the_step(num: int, endpoint: bool) -> None:
    start, stop = positive(2), positive(2) + 2
    x = leaf(start)
    made, step = np.linspace(x, stop, num, endpoint, True)
    expected, width = np.linspace(start, stop, num, endpoint, True)
    np.testing.assert_allclose(made.data, expected)
    if np.ndim(width):
        np.testing.assert_allclose(step.data, width)
        step.sum().backward()
        np.testing.assert_allclose(x.grad.data, -1 / (num - endpoint))
    else:
        assert np.isnan(width)
        assert np.isnan(step)


def test_ends_are_exact_and_integers_rounded_down() -> None:
    for _ in range(20):
        start, stop = R.normal(size=2)
        for num in (2, 7, 50):
            got = np.linspace(leaf(start), stop, num)
            assert (got[0].item(), got[-1].item()) == (start, stop)
            np.testing.assert_array_equal(got.data, np.linspace(start, stop, num))
            floor = np.linspace(tn.tensor(start * 9), stop * 9, num, dtype=int)
            np.testing.assert_array_equal(floor.data, np.linspace(start * 9, stop * 9, num, dtype=int))
    whole = np.linspace(tn.tensor(0), 10, 11, dtype=int)
    assert whole.tolist() == list(range(11))
    assert np.linspace(tn.tensor(1, dtype=np.int8), 2, 3).dtype == np.float64
    equal = np.linspace(leaf(2.0), leaf(2.0), 3)
    assert equal.tolist() == [2.0, 2.0, 2.0]
    check_grads(lambda a, b: np.linspace(a, b, 3) ** 2, [np.array(2.0), np.array(2.0)], order=2)


@pytest.mark.parametrize("f", SPACES)
def test_float32_stays(f: Any) -> None:
    x = leaf(np.float32(1.0))
    for made in (f(x, 2.0, 3), f(x, 2, 3), f(1.0, x + 1, 3), f(x, leaf(np.float32(3)), 3)):
        assert made.dtype == np.float32
        made.sum().backward()
    assert x.grad.dtype == np.float32
    assert f(x, 2.0, 3, dtype=np.float64).dtype == np.float64


def test_complex_ends() -> None:
    start, stop = np.array(1 + 1j), np.array(-2 + 0.5j)
    for f in SPACES:
        got = f(tn.tensor(start), tn.tensor(stop), 4)
        np.testing.assert_allclose(got.data, f(start, stop, 4), rtol=1e-12)
    check_grads(lambda a: np.geomspace(a + 1j, 2 - 1j * a, 3).real ** 2, [np.array(0.7)], order=2)
    with warnings.catch_warnings(action="ignore", category=np.exceptions.ComplexWarning):
        check_grads(lambda a: np.geomspace(a + 1j, 2 - 1j * a, 3, dtype=float) ** 2, [np.array(0.7)], order=2)
    check_grads(lambda a: np.linspace(a + 1j, 2 - 1j * a, 3).imag ** 2, [np.array(0.7)], order=2)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_bases_of_any_shape(axis: int) -> None:
    for shape in ((2,), (3, 1), (2, 2)):
        base = positive(*shape)
        start, stop = positive(2), positive(1)
        got = np.logspace(leaf(start), leaf(stop), 3, True, leaf(base), axis=axis)
        np.testing.assert_allclose(got.data, np.logspace(start, stop, 3, True, base, axis=axis), rtol=1e-12)
        check_grads(lambda a, b, c: np.logspace(a, b, 3, True, c, axis=axis), [start, stop, base], order=2, rtol=1e-4)
    check_grads(lambda c: np.logspace(0, 2, 3, base=c), [np.array(1.7)], order=2)


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_bases_between_numbers(axis: int, kind: Any) -> None:
    base = positive(3).astype(kind)
    got = np.logspace(1, 2, 4, base=leaf(base), axis=axis)
    np.testing.assert_allclose(got.data, np.logspace(1, 2, 4, base=base, axis=axis), rtol=1e-12, strict=True)
    check_grads(lambda c: np.logspace(1, 2.5, 4, base=c, axis=axis), [positive(2)], order=2)


def test_against_jax() -> None:
    jax = pytest.importorskip("jax")
    start, stop = positive(2), positive(2) + 1
    for name in ("linspace", "logspace", "geomspace"):
        with jax.enable_x64(True):
            theirs = jax.grad(lambda a, b, n=name: (getattr(jax.numpy, n)(a, b, 4) ** 2).sum(), (0, 1))(start, stop)
        a, b = leaf(start), leaf(stop)
        (getattr(np, name)(a, b, 4) ** 2).sum().backward()
        np.testing.assert_allclose(a.grad.data, theirs[0], rtol=1e-9)
        np.testing.assert_allclose(b.grad.data, theirs[1], rtol=1e-9)


# -- filled ------------------------------------------------------------------------------------------------------


def test_filled_with_a_tensor() -> None:
    x = leaf(np.ones((2, 3), np.float32))
    for value in (2.0, [1.0, 2.0, 3.0], np.array([[1.0], [2.0]])):
        for options in ({}, {"dtype": np.float64}, {"dtype": int}, {"shape": (4, 2, 3)}):
            got, expected = np.full_like(x, leaf(value), **options), np.full_like(x.data, value, **options)
            assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
            np.testing.assert_array_equal(got.data, expected)
            np.testing.assert_array_equal(tn.full(got.shape, leaf(value), got.dtype).data, expected)
    v = leaf([1.0, 2.0, 3.0])
    (np.full_like(x, v).sum() + 10 * tn.full((2, 3), v).sum()).backward()
    assert v.grad.tolist() == [22.0, 22.0, 22.0]
    assert x.grad is None
    assert not np.full_like(x, 3).requires_grad
    check_grads(lambda v: tn.full((2, 2), v) ** 2 * np.full_like(np.ones((3, 1, 1)), 2.0), [np.array(1.5)], order=2)
    number = leaf(3.0)
    made = tn.full(2, number)
    assert made.data.flags.writeable  # no view that repeats one element
    assert tn.full((), 2).dtype == np.full((), 2).dtype
    assert tn.full((2,), 2.5, np.float32).dtype == np.float32


# -- NumPy's like= -----------------------------------------------------------------------------------------------

T = tn.tensor(np.ones(2, np.float32))
#: NumPy's functions of numbers, by a call with and without `like=`.
OF_NUMBERS: dict[str, Callable[..., Any]] = {
    "array": lambda **like: np.array([[1, 2.5]], np.float32, ndmin=3, order="F", **like),
    "array of an array": lambda **like: np.array(np.arange(6.0).reshape(2, 3).T, copy=None, ndmin=2, **like),
    "asarray": lambda **like: np.asarray([True, False], order="C", device="cpu", copy=True, **like),
    "asanyarray": lambda **like: np.asanyarray(3j, **like),
    "ascontiguousarray": lambda **like: np.ascontiguousarray(2.0, np.int8, **like),
    "asfortranarray": lambda **like: np.asfortranarray(np.ones((2, 3)), **like),
    "require": lambda **like: np.require([[1, 2], [3, 4]], np.float32, ["F_CONTIGUOUS", "O"], **like),
    "fromiter": lambda **like: np.fromiter((i * i for i in range(9)), np.int16, count=4, **like),
    "zeros": lambda **like: np.zeros((2, 0), order="F", device="cpu", **like),
    "ones": lambda **like: np.ones(3, "float32", **like),
    "empty": lambda **like: np.empty((0, 2), int, **like),
    "full": lambda **like: np.full((2, 3), [1, 2, 3], device="cpu", **like),
    "full in another dtype": lambda **like: np.full(3, 2.7, np.int64, **like),
    "eye": lambda **like: np.eye(2, 3, -1, np.int32, "F", **like),
    "identity": lambda **like: np.identity(2, **like),
    "tri": lambda **like: np.tri(3, k=1, dtype=bool, **like),
    "arange": lambda **like: np.arange(5, **like),
    "arange of floats": lambda **like: np.arange(5, 1, -1.3, **like),
    "arange of integers from floats": lambda **like: np.arange(0.5, 6, 1.9, int, **like),
    "arange by names": lambda **like: np.arange(start=1, stop=4, step=2, dtype=np.float32, device="cpu", **like),
    "arange without a stop": lambda **like: np.arange(4, step=3, **like),
    "arange of nothing": lambda **like: np.arange(3, 1, **like),
    "fromfunction": lambda **like: np.fromfunction(lambda i, j, by: i * by + j, (2, 3), dtype=int, by=10, **like),
}


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_like_a_tensor_numpy_makes_tensors(name: str) -> None:
    call = OF_NUMBERS[name]
    expected, found = call(), call(like=T)
    assert type(found) is tn.Tensor
    assert not found.requires_grad
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.data, expected)
    assert found.data.flags.f_contiguous == expected.flags.f_contiguous
    compiled = tn.compile(lambda x: x.sum() + call(like=x))
    for x in (T, T + 1):
        np.testing.assert_array_equal(compiled(x).data, (x.sum() + found).data)


#: Calls with tensors for numbers, each with an array that it must give.
OF_TENSORS: dict[str, Callable[..., Any]] = {
    "array": lambda m, s, t: m.array([[s, 1.0], (2, t)], like=s),
    "rows": lambda m, s, t: m.array([[s, t], np.array([0.5, 2.5]), np.multiply([1, 2], t)], like=s),
    "array of complex numbers": lambda m, s, t: np.abs(m.array((s, t), complex, ndmin=2, like=t) + 2j),
    "asarray": lambda m, s, t: m.asarray([[s * t], [s]], like=t),
    "asanyarray": lambda m, s, t: m.asanyarray(s * t, like=t),
    "ascontiguousarray": lambda m, s, t: m.ascontiguousarray([s, t], like=t) * m.ascontiguousarray(s, like=s),
    "asfortranarray": lambda m, s, t: m.asfortranarray([[s, t], [1, t]], like=t),
    "require": lambda m, s, t: m.require([[s, t], [1, t]], None, ("W", "f"), like=t) ** 2,
    "fromiter": lambda m, s, t: m.fromiter((s * t**k for k in range(9)), float, 3, like=t),
    "fromiter of rows": lambda m, s, t: m.fromiter([m.array([s, t], like=s)] * 2, (float, 2), like=t),
    "full": lambda m, s, t: m.full((2, 2), [s * t, 1], like=s),
    "arange": lambda m, s, t: m.arange(s, 5, t, like=s) ** 2,
    "arange downwards": lambda m, s, t: m.arange(s, -t, -0.5 * t, like=s) ** 2,
    "arange of a stop": lambda m, s, t: m.arange(s, like=s) * t,
    "fromfunction": lambda m, s, t: m.fromfunction(lambda i, j: i * s + j**2 * t, (2, 3), like=s) ** 2,
}


@pytest.mark.parametrize("name", OF_TENSORS)
def test_what_is_made_of_tensors_has_gradients(name: str) -> None:
    call = OF_TENSORS[name]
    s, t = np.array(1.3), np.array(0.7)

    class Plain:
        """NumPy's functions, without like=."""

        def __getattr__(self, function: str) -> Any:
            return lambda *args, like=None, **kwargs: getattr(np, function)(*args, **kwargs)

    class Ours:
        """tn's, which need none."""

        def __getattr__(self, function: str) -> Any:
            return lambda *args, like=None, **kwargs: getattr(tn, function)(*args, **kwargs)

    expected, found = call(Plain(), s, t), call(np, leaf(s), leaf(t))
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.data, expected, rtol=1e-12)
    np.testing.assert_array_equal(call(Ours(), leaf(s), leaf(t)).data, found.data)
    check_grads(lambda s, t: call(np, s, t) ** 2, [s, t], order=2)


@pytest.mark.parametrize("name", [n for n in OF_TENSORS if not n.startswith("arange")])
def test_what_is_made_of_tensors_compiles(name: str) -> None:
    call = OF_TENSORS[name]
    step = tn.compile(tn.value_and_grad(lambda s, t: call(np, s, t).sum(), (0, 1)))
    for s, t in ((1.3, 0.7), (-0.4, 2.5)):
        eager, (by_s, by_t) = tn.value_and_grad(lambda s, t: call(np, s, t).sum(), (0, 1))(np.array(s), np.array(t))
        found, gradients = step(np.array(s), np.array(t))
        np.testing.assert_allclose(found.data, eager.data, rtol=1e-6)
        np.testing.assert_allclose([g.item() for g in gradients], [by_s.item(), by_t.item()], rtol=1e-6)


def test_a_compiled_arange_is_for_one_number_of_elements() -> None:
    step = tn.compile(lambda s: np.arange(0, 3, s, like=s))
    assert step(tn.tensor(1.0)).tolist() == [0.0, 1.0, 2.0]
    assert step(tn.tensor(1.25)).tolist() == [0.0, 1.25, 2.5]
    with pytest.raises(ValueError, match="must not depend on the values"):
        step(tn.tensor(0.5))


def test_what_is_made_in_a_compiled_step_may_be_written_to() -> None:
    def step(x: Any) -> Any:
        out = np.zeros(3, like=x)
        out[1] = x.sum()
        return out

    compiled = tn.compile(step)
    for x in (T, T * 3, T):
        assert compiled(x).tolist() == step(x).tolist() == [0.0, x.sum().item(), 0.0]


def test_what_is_there_already_is_not_copied() -> None:
    x, a = leaf(np.ones((2, 3))), np.ones((2, 3))
    assert np.asarray(x, like=x) is tn.asarray(x) is tn.asanyarray(x, float) is np.array(x, copy=False, like=x) is x
    assert np.require(x, like=x) is x
    for made in (
        np.asarray(a, like=x),
        tn.array(a, copy=None),
        np.ascontiguousarray(a, like=x),
        tn.require(a, None, "C"),
    ):
        assert np.shares_memory(made.data, a)
    for made in (tn.array(a), tn.asarray(a, copy=True), tn.asfortranarray(a), tn.require(a, None, "O"), tn.array(x)):
        assert not np.shares_memory(made.data, a)
        assert not np.shares_memory(made.data, x.data)
    assert np.ascontiguousarray(x.T, like=x).data.flags.c_contiguous
    assert np.shares_memory(np.ascontiguousarray(x, like=x).data, x.data)


def test_a_tensor_of_a_list_of_tensors_stays_in_their_graph() -> None:
    s = leaf(2.0)
    for made in (tn.tensor([s, [3.0, s][1]]), tn.tensor((s, s), requires_grad=True), tn.asarray([s, s])):
        s.grad = None
        (made * [1.0, 10.0]).sum().backward()
        assert s.grad.item() == 11.0
    assert tn.tensor([s, 1], "float32").dtype == np.float32
    fresh = tn.tensor([tn.tensor(1.0), 2.0], requires_grad=True)
    assert fresh.is_leaf
    assert tn.compile(lambda s: tn.tensor([[s, 1.0], [0.0, s]]))(s).tolist() == [[2.0, 1.0], [0.0, 2.0]]
    assert not tn.tensor(s).requires_grad  # of a tensor itself the values alone


def test_ends_of_integers_and_float32() -> None:
    whole, half = tn.tensor(np.int8(3)), leaf(np.float32(0.5))
    assert np.arange(whole, like=whole).dtype == np.arange(np.int8(3)).dtype
    assert np.arange(whole, 5, 0.5, like=whole).dtype == np.float64
    made = np.arange(half, 3, like=half)  # NumPy's are float64
    assert made.dtype == np.float32
    made.sum().backward()
    assert (half.grad.dtype, half.grad.item()) == (np.float32, 3.0)
    assert not np.arange(0, half, like=half).requires_grad
    assert not np.arange(half, 9, dtype=int, like=half).requires_grad
    assert np.fromiter([half, 1], np.float64, like=half).dtype == np.float64


def test_frequencies_of_a_tensor() -> None:
    for f in (np.fft.fftfreq, np.fft.rfftfreq, tn.fft.fftfreq):
        for n in (1, 4, 5):
            x = tn.tensor(0.3)
            np.testing.assert_allclose(f(n, d=x).data, np.asarray(f(n, d=0.3)), rtol=1e-15)
            check_grads(lambda d, f=f, n=n: f(n, d) ** 2, [np.array(0.3)], order=2)
    assert np.fft.fftfreq(4, leaf(np.float32(0.3)).astype(np.float32)).requires_grad


LIKE_MISTAKES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "ragged": (lambda x: np.array([x, [x, x]], like=x), r"same shape.*\(2,\), \(2, 2\)"),
    "text": (lambda x: np.array(["a"], like=x), "a tensor holds numbers"),
    "nothing": (lambda x: tn.asarray(None), "a tensor holds numbers"),
    "no copy of a list": (lambda x: np.array([x], copy=False, like=x), "takes a copy"),
    "no copy of numbers": (lambda x: np.array([1.0], copy=False, like=x), "copy"),
    "no copy in another dtype": (lambda x: np.asarray(x, int, copy=False, like=x), "takes a copy"),
    "an order": (lambda x: tn.array(x, order="X"), "order='X' is none of"),
    "too many axes": (lambda x: tn.array([x, x], ndmax=1), "2 axes, more than ndmax=1"),
    "requirements": (lambda x: np.require(x, None, "X", like=x), "must be of C, F, O, W"),
    "both orders": (lambda x: np.require(x, None, "CF", like=x), "not C and F at once"),
    "a device": (lambda x: tn.zeros(2, device="gpu"), "'cpu'"),
    "a step of 0": (lambda x: np.arange(0, 3, x[0] * 0, like=x), "a step of 0"),
    "a step of 0 in integers": (lambda x: np.arange(0, 3, 0, like=x), "division by zero"),
    "ends with axes": (lambda x: np.arange(x, like=x), r"shapes \[\(\), \(2,\), \(\)\]: they are numbers"),
    "too few": (lambda x: np.fromiter(x, float, 3, like=x), "count=3, but the iterator gave 2"),
    "rows for numbers": (lambda x: np.fromiter([x, x], float, like=x), r"the elements have shape \(2,\)"),
    "a file": (lambda x: np.loadtxt(["1 2"], like=x), r"np.loadtxt is not supported.*give the array to tn.tensor"),
    "a buffer": (lambda x: np.frombuffer(b"12345678", like=x), "give the array to tn.tensor"),
    "full": (lambda x: np.full((3, 4), x, like=x), "broadcast"),
}


@pytest.mark.parametrize("name", LIKE_MISTAKES)
def test_mistakes_with_like(name: str) -> None:
    call, message = LIKE_MISTAKES[name]
    with pytest.raises((ValueError, TypeError, ZeroDivisionError), match=message):
        call(leaf(np.ones(2)))


def test_like_another() -> None:
    x = leaf(np.ones((2, 3), np.float32))
    for f in (np.zeros_like, np.ones_like, np.empty_like):
        for options in ({}, {"dtype": int}, {"shape": 4}, {"shape": (0, 2), "dtype": bool}):
            got, expected = f(x, **options), f(x.data, **options)
            assert (got.dtype, got.shape, got.requires_grad) == (expected.dtype, expected.shape, False)
        assert f(x, np.float64).dtype == np.float64
    assert np.empty_like(x).tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: np.linspace(x, 1, -1), "linspace: num=-1"),
        (lambda x: np.logspace(x, 1, -2), "linspace: num=-2"),
        (lambda x: np.geomspace(x, 0.0), r"geometric\(.*cannot include zero.*use linspace"),
        (lambda x: np.geomspace(x, 1.0, -1), "must be non-negative"),
        (lambda x: np.linspace(x, 1, 2.5), "integer"),
        (lambda x: np.linspace(x, np.ones(3)), "broadcast"),
        (lambda x: np.linspace(x, 1, 3, axis=2), "axis 2 is out of bounds|axis1"),
        (lambda x: np.full_like(x, np.ones(3)), r"full_like\(.*fill_value has shape \(3,\), a \(2,\)"),
        (lambda x: tn.full((3, 4), x), "broadcast"),
    ],
)
def test_mistakes(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call(leaf(np.ones(2)))


def test_further_axes_and_steps() -> None:
    check_grads(lambda a: np.full_like(np.ones(2), 0, shape=()) + np.full_like(tn.tensor(0.0), a), [np.array([2.0])])
    step = np.linspace(tn.tensor(np.float32(1)), 2, np.int64(3), retstep=True)[1]
    assert (step.dtype, step.item()) == (np.float32, 0.5)
