"""Fourier transforms: against NumPy, PyTorch and JAX."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import check_grads

R = np.random.default_rng(0)
NORMS = [None, "backward", "ortho", "forward"]
#: By name: whether the input is complex, whether it is real.
ONE_AXIS = {"fft": "cr", "ifft": "cr", "rfft": "r", "irfft": "cr", "hfft": "cr", "ihfft": "r"}
SEVERAL = {"fftn": "cr", "ifftn": "cr", "rfftn": "r", "irfftn": "cr"}
TWO = {name[:-1] + "2": kinds for name, kinds in SEVERAL.items()}


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def array(kind: str, *shape: int) -> Any:
    return R.normal(size=shape) + (1j * R.normal(size=shape) if kind == "c" else 0)


def checked(name: str, a: Any, *args: Any, order: int = 2, **options: Any) -> None:
    """NumPy's value on tensors, by both names, and gradients that are right to second order."""
    function, ours = getattr(np.fft, name), getattr(tn.fft, name)
    expected = function(a, *args, **options)
    for f in (function, ours):
        out = f(leaf(a), *args, **options)
        assert out.shape == expected.shape
        assert out.dtype == expected.dtype
        np.testing.assert_allclose(out.data, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(ours(a, *args, **options), expected)
    check_grads(lambda a: function(a, *args, **options), [a], order=order)


# -- one axis ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [None, 1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("name", ONE_AXIS)
def test_lengths_and_norms(name: str, n: Any, norm: Any) -> None:
    """Arrays of 3 and of 4 take turns: all norms and all n have both."""
    for kind in ONE_AXIS[name]:
        checked(name, array(kind, 3 + (NORMS.index(norm) + (n or 0)) % 2), n, norm=norm)


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
@pytest.mark.parametrize("name", ONE_AXIS)
def test_axes(name: str, axis: int) -> None:
    for kind in ONE_AXIS[name]:
        checked(name, array(kind, 3, 2), axis=axis)
        checked(name, array(kind, 2, 3), 4, axis, "ortho")
        checked(name, array(kind, 3, 0) if axis in (0, -2) else array(kind, 0, 3), None, axis)


@pytest.mark.parametrize("name", ["irfft", "rfft", "ihfft", "hfft"])
def test_the_shortest_transforms(name: str) -> None:
    for kind in ONE_AXIS[name]:
        checked(name, array(kind, 1), 1)
        checked(name, array(kind, 2), 1)
        checked(name, array(kind, 2), 2)


def test_what_irfft_ignores_has_no_gradient() -> None:
    """The first coefficient and that at n/2 stand for real numbers: their imaginary parts do not count."""
    for n, ignored in ((6, [0, 3]), (5, [0])):
        x = leaf(array("c", 4))
        np.fft.irfft(x, n).backward(R.normal(size=n))
        gone = x.grad.data.imag == 0
        assert list(np.flatnonzero(gone[: n // 2 + 1])) == ignored
        assert (x.grad.data[n // 2 + 1 :] == 0).all()


# -- several axes ------------------------------------------------------------------------------------------------

OPTIONS: list[dict[str, Any]] = [
    {}, {"norm": "ortho"}, {"norm": "forward"}, {"axes": (0, 2)}, {"axes": (-1, 0)}, {"axes": [1]}, {"axes": (2, 1, 0)},
    {"s": (3, 2), "axes": (0, 1)}, {"s": [2, -1], "axes": [2, 0]}, {"s": (1, 4), "axes": (-1, -2), "norm": "ortho"},
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", SEVERAL)
def test_several_axes(name: str, options: Any) -> None:
    for kind in SEVERAL[name]:
        checked(name, array(kind, 2, 2, 3), order=1, **options)


@pytest.mark.parametrize("name", TWO)
def test_two_axes(name: str) -> None:
    for kind in TWO[name]:
        checked(name, array(kind, 2, 2, 2))
        checked(name, array(kind, 3, 2), (2, 3), (1, 0), "forward")
        checked(name, array(kind, 2, 3), norm="ortho", axes=(0, 1), s=(-1, 2))


@pytest.mark.parametrize("name", SEVERAL)
def test_lengths_without_axes_are_those_of_the_last(name: str) -> None:
    with warnings.catch_warnings():  # NumPy means to change this
        warnings.simplefilter("ignore", DeprecationWarning)
        checked(name, array("r", 2, 3, 2), (2, 3), order=1)
        checked(name, array("r", 2, 3), (2, None), (0, 1), order=1)


def test_transforms_over_no_axis_and_over_one_twice() -> None:
    checked("fftn", array("c"))
    checked("ifftn", array("c", 2), axes=())
    for axes in ((0, 0), (-1, 1, -1), (0, 1, 0)):
        for name in SEVERAL:
            for kind in SEVERAL[name]:
                checked(name, array(kind, 2, 3), axes=axes)
                checked(name, array(kind, 2, 3), (3, -1, 2)[: len(axes)], axes, "ortho")


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_no_coefficient_at_all(dtype: Any) -> None:
    """`np.fft.irfft` itself reads what lies behind the array."""
    for shape, axis in (((0,), -1), ((3, 0), 1), ((0, 2), 0)):
        x = leaf(np.zeros(shape, dtype))
        out = np.fft.irfft(x, 4, axis)
        assert out.shape[axis] == 4
        assert not out.data.any()
        out.sum().backward()
        assert x.grad.shape == shape


@pytest.mark.parametrize("axes", [None, 0, -1, (0, 1), (1, 0), [2], ()])
@pytest.mark.parametrize("name", ["fftshift", "ifftshift"])
def test_shifts(name: str, axes: Any) -> None:
    checked(name, array("r", 2, 3, 2), axes)
    checked(name, array("c", 3, 1, 2), axes=axes)


def test_frequencies_are_numpys_own() -> None:
    np.testing.assert_array_equal(tn.fft.fftfreq(5, 0.1), np.fft.fftfreq(5, 0.1))
    np.testing.assert_array_equal(tn.fft.rfftfreq(5), np.fft.rfftfreq(5))


def test_every_function_of_numpys_is_there() -> None:
    assert set(np.fft.__all__) == set(tn.fft.__all__)


# -- dtypes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", {**ONE_AXIS, **SEVERAL, **TWO})
def test_single_precision_stays_single(name: str) -> None:
    for kind in {**ONE_AXIS, **SEVERAL, **TWO}[name]:
        a = array(kind, 3, 3).astype(np.complex64 if kind == "c" else np.float32)
        x = leaf(a)
        out = getattr(np.fft, name)(x)
        assert out.dtype == getattr(np.fft, name)(a).dtype
        assert out.dtype in (np.float32, np.complex64)
        np.abs(out).sum().backward()
        assert x.grad.dtype == a.dtype


def test_integers_are_constants() -> None:
    out = np.fft.fft(tn.tensor(np.arange(4)))
    assert not out.requires_grad
    np.testing.assert_allclose(out.data, np.fft.fft(np.arange(4)))


def test_a_list_of_tensors() -> None:
    x = leaf(R.normal(size=3))
    out = tn.fft.ihfft([x, x])
    np.testing.assert_allclose(out.data, np.fft.ihfft([x.data, x.data]))
    assert out.requires_grad


# -- gradients ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("name", ONE_AXIS)
def test_one_axis_against_torch(name: str, norm: str) -> None:
    torch = pytest.importorskip("torch")
    for kind in ONE_AXIS[name]:
        for n in (None, 2, 4, 5, 7):
            a = array(kind, 2, 4)
            x, y = leaf(a), torch.tensor(a, requires_grad=True)
            out, expected = getattr(np.fft, name)(x, n, norm=norm), getattr(torch.fft, name)(y, n, norm=norm)
            np.testing.assert_allclose(out.data, expected.detach().resolve_conj().numpy(), rtol=1e-12, atol=1e-12)
            g = array("c" if out.dtype.kind == "c" else "r", *out.shape)
            out.backward(g)
            expected.backward(torch.tensor(g))
            np.testing.assert_allclose(x.grad.data, y.grad.resolve_conj().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", {**SEVERAL, **TWO})
def test_several_axes_against_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    for kind in {**SEVERAL, **TWO}[name]:
        a = array(kind, 3, 2, 4)
        x, y = leaf(a), torch.tensor(a, requires_grad=True)
        g = R.normal(size=np.shape(getattr(np.fft, name)(a, (2, 5), (0, 2))))
        (np.abs(getattr(np.fft, name)(x, (2, 5), (0, 2))) * g).sum().backward()
        (torch.abs(getattr(torch.fft, name)(y, (2, 5), (0, 2))) * torch.tensor(g)).sum().backward()
        np.testing.assert_allclose(x.grad.data, y.grad.resolve_conj().numpy(), rtol=1e-11, atol=1e-12)


def test_against_jax() -> None:
    jax = pytest.importorskip("jax")

    def power(a: Any, numpy: Any) -> Any:
        return (numpy.abs(numpy.fft.rfft(a * a, 7)) ** 2).sum() + (numpy.fft.irfftn(a, axes=(0, 1)) ** 3).sum()

    a = R.normal(size=(3, 4))
    x = leaf(a)
    power(x, np).backward()
    with jax.enable_x64(True):
        theirs = jax.grad(lambda a: power(a, jax.numpy))(a)
    np.testing.assert_allclose(x.grad.data, theirs, rtol=1e-10)


def test_a_convolution_by_its_theorem() -> None:
    """The gradients of a circular convolution, made by transforms, are those of the sum it stands for."""
    a, b, g = R.normal(size=5), R.normal(size=5), R.normal(size=5)
    x, y, u, v = leaf(a), leaf(b), leaf(a), leaf(b)
    np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(y), 5).backward(g)
    place = (np.arange(5)[:, None] - np.arange(5)) % 5
    (v[place] @ u).backward(g)
    np.testing.assert_allclose(x.grad.data, u.grad.data, rtol=1e-12)
    np.testing.assert_allclose(y.grad.data, v.grad.data, rtol=1e-12)


def test_real_input_gets_a_real_gradient() -> None:
    x = leaf(R.normal(size=4))
    np.fft.fft(x).backward(array("c", 4))
    assert x.grad.dtype == np.float64
    for name in ("fft", "rfft"):
        value, pull = tn.vjp(getattr(tn.fft, name), x)
        assert pull(tn.tensor(np.ones(value.shape, complex))).dtype == np.float64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: np.fft.fft(x, 0), r"fft\(.*n= is 1 or more"),
        (lambda x: np.fft.rfft(x, norm="half"), r"norm= is None, 'backward', 'ortho' or 'forward'"),
        (lambda x: np.fft.hfft(x, norm="half"), r"not 'half'"),
        (lambda x: np.fft.ifft2(x, (2,)), r"axes=\(-2, -1\) has as many lengths, not s=\(2,\)"),
        (lambda x: np.fft.rfftn(x, (2,), (0, 0)), r"axes=\(0, 0\) has as many lengths, not s=\(2,\)"),
    ],
)
def test_mistakes(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(leaf(np.ones((2, 3))))


def test_an_axis_that_is_not_there() -> None:
    with pytest.raises(IndexError, match=r"axis= names one of its axes"):
        np.fft.fft(leaf(np.ones(3)), axis=2)
    with pytest.raises(IndexError, match=r"a has shape \(2, 3\); axes= is a tuple of its axes"):
        np.fft.fftn(leaf(np.ones((2, 3))), axes=(0, 2))
    with pytest.raises(IndexError, match=r"axes= is a tuple of its axes, one or more"):
        np.fft.rfftn(leaf(np.ones((2, 3))), axes=())
