"""Gradients of complex tensors: ∂L/∂Re z + i ∂L/∂Im z, at every place where users see or give one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import optim
from tapenet.testing import check_grads

R = np.random.default_rng(0)
Z = R.normal(size=(2, 3)) + 1j * R.normal(size=(2, 3))
W = R.normal(size=3) + 1j * R.normal(size=3)
X = R.normal(size=(2, 3))


def leaf(a: Any) -> tn.Tensor:
    return tn.tensor(a, requires_grad=True)


def size(z: Any) -> Any:
    """|z|² summed: its gradient by z is 2z."""
    return (z * np.conj(z)).real.sum()


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "arithmetic": lambda z, w: (z * w + z / w - w**3 + 2 * z).real.sum(),
    "products": lambda z, w: np.abs(z @ w).sum(),
    "functions": lambda z, w: (np.exp(z) + np.sin(w) * np.log(z) + np.sqrt(z) + np.tanh(w)).imag.sum(),
    "parts": lambda z, w: (np.angle(z) * np.abs(w) + z.real * w.imag).sum(),
    "shapes": lambda z, w: size(np.concatenate([z, w[None]]).T[1] * z[0, 0]),
    "reductions": lambda z, w: size(z.mean(axis=1)) + np.abs(np.prod(w)) + np.var(z),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    theirs: dict[str, Callable[..., Any]] = {
        "arithmetic": FUNCTIONS["arithmetic"],
        "products": lambda z, w: torch.abs(z @ w).sum(),
        "functions": lambda z, w: (
            torch.exp(z) + torch.sin(w) * torch.log(z) + torch.sqrt(z) + torch.tanh(w)
        ).imag.sum(),
        "parts": lambda z, w: (torch.angle(z) * torch.abs(w) + z.real * w.imag).sum(),
        "shapes": lambda z, w: (torch.cat([z, w[None]]).T[1] * z[0, 0]).abs().square().sum(),
        "reductions": lambda z, w: (
            z.mean(1).abs().square().sum() + torch.abs(torch.prod(w)) + (z - z.mean()).abs().square().mean()
        ),
    }
    z, w = leaf(Z), leaf(W)
    FUNCTIONS[name](z, w).backward()
    zt, wt = (torch.tensor(a, requires_grad=True) for a in (Z, W))
    theirs[name](zt, wt).backward()
    for ours, other in ((z, zt), (w, wt)):
        np.testing.assert_allclose(ours.grad.data, other.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_to_second_order(name: str) -> None:
    check_grads(FUNCTIONS[name], [Z, W], order=2)


def test_a_step_against_the_gradient_descends() -> None:
    z = leaf(Z)
    size(z).backward()
    np.testing.assert_allclose(z.grad.data, 2 * Z)
    assert size(tn.tensor(Z - 0.1 * z.grad.data)).item() < size(tn.tensor(Z)).item()


def test_real_tensors_in_complex_functions_have_real_gradients() -> None:
    for dtype in (np.float64, np.float32):
        x = leaf(X.astype(dtype))
        size(x * (1 + 2j) + 1j).backward()
        assert x.grad.dtype == dtype
        np.testing.assert_allclose(x.grad.data, 10 * X + 4, rtol=1e-5)
    x = leaf(X)
    (x[0] * W).imag.sum().backward()
    np.testing.assert_allclose(x.grad.data, [W.imag, 0 * W.imag])


def test_complex64_stays_complex64() -> None:
    z = leaf(Z.astype(np.complex64))
    loss = FUNCTIONS["functions"](z, W.astype(np.complex64))
    assert loss.dtype == np.float32
    loss.backward()
    assert z.grad.dtype == np.complex64


# -- where users see or give a gradient ----------------------------------------------------------------------------


def test_gradient_given_to_backward() -> None:
    z = leaf(Z)
    (z * (2 - 1j)).backward(Z)  # as if L were such that its gradient by the result is Z
    np.testing.assert_allclose(z.grad.data, Z * (2 + 1j))
    _, pull = tn.vjp(lambda z: z * (2 - 1j), Z)
    np.testing.assert_allclose(pull(Z).data, Z * (2 + 1j))


def test_create_graph_and_accumulation() -> None:
    z = leaf(Z)
    size(z).backward(create_graph=True)
    size(z * 1j).backward(create_graph=True)
    np.testing.assert_allclose(z.grad.data, 4 * Z)
    gradient, z.grad = z.grad, None
    size(gradient).backward()
    np.testing.assert_allclose(z.grad.data, 32 * Z)


def test_hooks_and_kept_gradients() -> None:
    z = leaf(Z)
    y = (z * 1j).retain_grad()
    seen = []
    y.register_hook(lambda g: seen.append(g.data))
    z.register_hook(lambda g: g * 1j)
    size(y).backward()
    np.testing.assert_allclose(y.grad.data, 2j * Z)
    np.testing.assert_allclose(seen[0], 2j * Z)
    np.testing.assert_allclose(z.grad.data, 2j * Z)


def test_functions_of_functions() -> None:
    g = tn.grad(size)(Z)
    np.testing.assert_allclose(g.data, 2 * Z)
    value, g = tn.value_and_grad(lambda z, w: size(z * w), argnums=1)(Z, W)
    assert value.dtype == np.float64
    np.testing.assert_allclose(g.data, 2 * W * (np.abs(Z) ** 2).sum(0))
    v = R.normal(size=Z.shape) + 1j * R.normal(size=Z.shape)
    np.testing.assert_allclose(tn.hvp(lambda z: (np.abs(z) ** 4).sum())(Z, v).data, hessian_product(Z, v))


def hessian_product(z: Any, v: Any) -> Any:
    """Of Σ|z|⁴, whose gradient is 4|z|²z: the derivative of that along v."""
    return 4 * (2 * (np.conj(z) * v).real * z + np.abs(z) ** 2 * v)


def test_loops() -> None:
    def total(z: Any, w: Any) -> Any:
        end, ys = tn.scan(lambda carry, x: (carry * w[0] + x, carry * x), z[0], z)
        return size(end) + size(ys)

    check_grads(total, [Z, W])


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_compiled(backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    compiled = tn.compile(tn.value_and_grad(FUNCTIONS["arithmetic"], argnums=(0, 1)), backend=backend)
    for scale in (1.0, 2.0, -0.5):
        value, gradients = compiled(tn.tensor(Z * scale), tn.tensor(W))
        expected, others = tn.value_and_grad(FUNCTIONS["arithmetic"], argnums=(0, 1))(Z * scale, W)
        np.testing.assert_allclose(value.data, expected.data)
        for g, e in zip(gradients, others, strict=True):
            np.testing.assert_allclose(g.data, e.data)


# -- errors --------------------------------------------------------------------------------------------------------


def test_a_complex_result_has_no_gradient() -> None:
    z = leaf(Z)
    with pytest.raises(TypeError, match=r"backward\(\) of a complex128 tensor: .* real number.*\.real.*gradient="):
        z.sum().backward()
    with pytest.raises(TypeError, match=r"tn\.grad: the function returned a complex number.*real part"):
        tn.grad(lambda z: z.sum())(Z)
    with pytest.raises(TypeError, match=r"tn\.value_and_grad: .*complex"):
        tn.value_and_grad(lambda z: z.sum())(Z)


def test_optimizers_are_for_real_numbers() -> None:
    with pytest.raises(TypeError, match=r"is complex128, and update rules are for real numbers: .* as two tensors"):
        optim.SGD([leaf(Z)], lr=0.1)


def test_a_wrong_complex_rule_is_noticed() -> None:
    wrong = tn.op(lambda x: np.conj(x), name="wrong", x=lambda g: g)
    with pytest.raises(tn.testing.GradientMismatch):
        check_grads(wrong, [Z])
    check_grads(wrong, [X])
