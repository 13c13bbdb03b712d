"""Every function of the array API standard on tensors: it gives tensors, and gradients where it has a derivative."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.tensor import Tensor
from tapenet.program.trees import tree_leaves
from tapenet.testing import check_grads
from tests.array_api.functions import CONSTANT, DIFFERENTIABLE, OF_COMPLEX, STEPS

X = np.array([[0.31, 0.77, 0.52], [0.68, 0.24, 0.45]])
Y = np.array([0.61, 0.37, 0.83])
M = np.array([[3.0, 0.4, -0.2], [0.4, 2.0, 0.5], [-0.2, 0.5, 4.0]])


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_every_function_with_a_derivative_has_its_gradient(name: str) -> None:
    check_grads(lambda x, y, m: DIFFERENTIABLE[name](x.__array_namespace__(), x, y, m), [X, Y, M], order=2)
    x, y, m = (tn.tensor(a, requires_grad=True) for a in (X, Y, M))
    found = tree_leaves(DIFFERENTIABLE[name](tn, x, y, m))
    assert all(isinstance(t, Tensor) for t in found)
    assert any(t.requires_grad for t in found)


@pytest.mark.parametrize("name", OF_COMPLEX.split())
def test_elementwise_functions_of_complex_numbers_too(name: str) -> None:
    def f(x: Any) -> Any:
        z = getattr(x.__array_namespace__(), name)(x * (1 + 0.5j))
        return (z * z.conj()).real + z.real

    check_grads(f, [X])


@pytest.mark.parametrize("name", [*STEPS, *CONSTANT])
def test_functions_without_a_derivative_give_tensors(name: str) -> None:
    x, y, m = (tn.tensor(a, requires_grad=True) for a in (X, Y, M))
    found = tree_leaves((STEPS | CONSTANT)[name](tn, x, y, m))
    assert all(isinstance(t, Tensor) for t in found)
    if name in STEPS:
        assert not tn.grad(lambda x: STEPS[name](tn, x, y, m).sum())(X).data.any()
    else:
        assert not any(t.requires_grad for t in found)


def test_operators_in_place_have_gradients() -> None:
    def f(x: Any, y: Any) -> Any:
        z = x * 1
        z += y
        z *= x
        z -= 2 * y
        z /= y
        z **= 2
        z[0] = z[1] * y
        return z

    check_grads(f, [X, Y], order=2)


def test_what_a_namespace_is_asked() -> None:
    x = tn.tensor([1.0])
    for version in (None, "2021.12", "2022.12", "2023.12", "2024.12", tn.__array_api_version__):
        assert x.__array_namespace__(api_version=version) is tn
    with pytest.raises(ValueError, match=r"api_version='2020.01' .* it is one of \('2021.12'"):
        x.__array_namespace__(api_version="2020.01")
    info = tn.__array_namespace_info__()
    assert info.devices() == (x.device,) == (info.default_device(),)
    assert info.dtypes(kind=("bool", "real floating")) == {
        "bool": tn.bool,
        "float32": tn.float32,
        "float64": tn.float64,
    }
    assert info.default_dtypes(device="cpu")["indexing"] == tn.argsort(x).dtype
    assert tn.zeros((1,) * int(info.capabilities()["max dimensions"])).size == 1
    with pytest.raises(ValueError, match="device='cuda'"):
        info.dtypes(device="cuda")
    assert x.to_device("cpu") is x
    with pytest.raises(ValueError, match="only device is 'cpu'"):
        x.to_device("cuda")


def generic(x: Any) -> Any:
    """A program of the standard, of a vector of whatever library."""
    xp = x.__array_namespace__()
    assert xp.isdtype(x.dtype, "real floating")
    ends = xp.zeros(x.shape, dtype=x.dtype, device=x.device)
    ends[0] = x[-1]
    falling = xp.take(x, xp.argsort(-x))
    between = xp.linspace(x[0], x[-1], 3 * x.ndim)
    chosen = xp.where(x > 0, xp.asarray(x, copy=True).to_device(x.device) ** 2, ends)
    return xp.sum(chosen * falling) / x.size + xp.linalg.vector_norm(x) + xp.sum(between)


def test_generic_programs_inside_transformations() -> None:
    """What is batched, traced or captured has the namespace, and the attributes, too."""
    rows = np.array([[1.0, 2.5, -0.7], [3.0, -1.2, 0.4]])
    plain = [float(generic(row)) for row in rows]
    np.testing.assert_allclose(tn.vmap(generic)(rows).data, plain, rtol=1e-12)
    check_grads(generic, [rows[0]], order=2)
    gradients = [tn.grad(generic)(row).data for row in rows]
    np.testing.assert_allclose(tn.vmap(tn.grad(generic))(rows).data, gradients, rtol=1e-12)
    value, slope = tn.jvp(generic, (rows[1],), (np.ones(3),))
    np.testing.assert_allclose([value.item(), slope.item()], [plain[1], gradients[1].sum()], rtol=1e-12)
    compiled, compiled_gradient = tn.compile(generic), tn.compile(tn.grad(generic))
    for row, expected, gradient in [*zip(rows, plain, gradients, strict=True)] * 2:
        np.testing.assert_allclose(compiled(tn.tensor(row)).item(), expected, rtol=1e-12)
        np.testing.assert_allclose(compiled_gradient(tn.tensor(row)).data, gradient, rtol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "kind", "expected"),
    [
        (tn.float32, "real floating", True),
        (tn.float32, tn.float32, True),
        (tn.float16, ("integral", "real floating"), True),
        (tn.uint16, "signed integer", False),
        (tn.complex64, "numeric", True),
        (tn.bool, "numeric", False),
    ],
)
def test_kinds_of_dtypes(dtype: Any, kind: Any, expected: bool) -> None:
    assert tn.isdtype(dtype, kind) is expected


def test_dtypes_are_numpys_types() -> None:
    for name, dtype in tn.__array_namespace_info__().dtypes().items():
        assert getattr(tn, name) == dtype == tn.zeros(1, getattr(tn, name)).dtype
        assert getattr(tn, name) is getattr(np, name)
        assert getattr(tn, name) != None  # noqa: E711  # as np.dtype(np.float64) is not


def test_limits_of_dtypes() -> None:
    for dtype in (np.float16, np.float32, np.complex64, np.float64):
        ours, numpys = tn.finfo(tn.zeros(1, dtype)), np.finfo(dtype)
        for name in ("bits", "eps", "max", "min", "smallest_normal", "tiny", "resolution"):
            assert getattr(ours, name) == getattr(numpys, name)
            assert type(getattr(ours, name)) in (int, float)
        assert ours.dtype == numpys.dtype
    assert tn.iinfo(tn.zeros(1, np.uint16)).max == tn.iinfo("uint16").max == 65535
    with pytest.raises(TypeError, match=r"finfo: int64 .* tn\.iinfo"):
        tn.finfo(np.int64)
    with pytest.raises(TypeError, match=r"iinfo: float64 .* tn\.finfo"):
        tn.iinfo(tn.zeros(1))


def test_bfloat16_is_a_floating_point_number() -> None:
    pytest.importorskip("ml_dtypes")
    assert tn.isdtype(tn.bfloat16, "real floating")
    assert tn.isdtype(tn.bfloat16, tn.bfloat16)
    assert not tn.isdtype(tn.bfloat16, (tn.float16, "integral"))
    assert tn.finfo("bfloat16").eps == 2**-7


def test_order_that_falls() -> None:
    """Equal elements keep their order, NaN comes first, and gradients go where the elements came from."""
    x = tn.tensor([[2.0, 1.0, 2.0], [np.nan, 3.0, 4.0]], requires_grad=True)
    assert tn.argsort(x, axis=1, descending=True, stable=True).tolist() == [[0, 2, 1], [0, 2, 1]]
    assert tn.argsort(x, axis=None, descending=True, stable=True).tolist() == [3, 5, 4, 0, 2, 1]
    falling = tn.sort(x, axis=1, descending=True)
    np.testing.assert_array_equal(falling.data, [[2, 2, 1], [np.nan, 4, 3]])
    (falling * np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])).sum().backward()
    assert x.grad.tolist() == [[1, 3, 2], [4, 6, 5]]
    unsigned = tn.asarray(np.array([0, 255, 7], np.uint8))
    assert tn.sort(unsigned, descending=True).tolist() == [255, 7, 0]
    assert tn.argsort(unsigned, descending=True).tolist() == [1, 2, 0]


def test_frequencies_in_a_dtype() -> None:
    found = tn.fft.fftfreq(5, d=0.5, dtype=tn.float32)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.data, np.fft.fftfreq(5, 0.5).astype(np.float32))
    assert tn.fft.rfftfreq(4, d=tn.tensor(0.5, "float32")).dtype == np.float32


def test_signatures_show_the_options() -> None:
    assert {"correction", "keepdims", "mean", "where"} <= inspect.signature(tn.std).parameters.keys()
    assert list(inspect.signature(tn.astype).parameters) == ["a", "dtype", "copy", "device"]
    assert "descending" in inspect.signature(tn.sort).parameters
    assert "options" not in inspect.signature(tn.linspace).parameters
