"""Gradients against finite differences, to any order: `check_grads`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeGuard

import numpy as np

from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.program.trees import tree_leaves, tree_map
from tapenet.transforms.gradients import vjp
from tapenet.typing import Array


class GradientMismatch(AssertionError):
    """A gradient differs from finite differences."""

    __module__ = "tapenet.testing"  # by which it is known: a traceback shows it


def check_grads(
    f: Callable[..., object],
    args: Sequence[object],
    order: int = 1,
    *,
    kwargs: dict[str, object] | None = None,
    eps: float = 1e-5,
    rtol: float = 1e-6,
    atol: float = 1e-7,
) -> None:
    """Compare gradients with central finite differences, in float64, up to the given order.

    Each order checks the one below it as a function of its own, so second order is the finite difference of the
    first-order gradient and as accurate. That is a function of the gradient by the results, too: a rule that takes it as a
    constant is right at first order, and wrong in whatever comes after the function.

    Args:
        f: the function; returns a tensor or a nested structure of them. It must give the same result each time.
        args: its arguments. Float and complex arrays and tensors (also inside lists and dicts) are differentiated by, the
            rest is passed as it is.
        order: the highest derivative to check, 1 or more.
        kwargs: options passed to `f`.
        eps: step of the finite difference.
        rtol, atol: allowed difference, relative to the largest expected element and absolute.

    Raises:
        GradientMismatch: names the argument, the worst element, what was expected and got, and the likely cause.

    >>> import tapenet as tn
    >>> tn.testing.check_grads(lambda x, y: tn.sin(x * y), [np.ones(3), np.ones(3)], order=2)
    >>> wrong = tn.op(np.sin, name="wrong", x=lambda g, x: -g * np.cos(x))
    >>> tn.testing.check_grads(wrong, [np.zeros(2)])
    Traceback (most recent call last):
    ...
    tapenet.testing.GradientMismatch: wrong: gradient of order 1 by argument 0 is wrong at element (1,) of shape (2,): \
expected 0.8216... (finite difference), got -0.8216...; the worst of 2 wrong elements of 2. Likely cause: the sign
    """
    options = kwargs or {}
    arrays = [tree_map(_float64, a) for a in args]
    name = str(getattr(f, "name", None) or getattr(f, "__name__", "function"))
    whats = [f"argument {i}" for i in range(len(tree_leaves(arrays)))]
    with zeros_are_fine():
        _check_order(lambda *a: f(*a, **options), arrays, whats, order, 1, name, eps, rtol, atol)


@contextmanager
def zeros_are_fine() -> Iterator[None]:
    """A check of a step function is no training in which a gradient was lost."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the whole gradient by an input", RuntimeWarning)
        yield


def _float64(value: object) -> object:
    data = value.data if isinstance(value, Tensor) else value
    if isinstance(data, (np.ndarray, np.inexact)) and np.asarray(data).dtype.kind in "fc":
        return np.array(data, dtype=np.float64 if np.asarray(data).dtype.kind == "f" else np.complex128)
    return data


def is_float(value: object) -> TypeGuard[Array]:
    """Whether a value is an array by which one differentiates."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"


def _random(rng: np.random.Generator, like: Tensor) -> Array:
    """Normal numbers of the shape of a tensor, complex if it is."""
    found = np.asarray(rng.normal(size=like.shape))
    return np.asarray(found + 1j * rng.normal(size=like.shape)) if like.dtype.kind == "c" else found


def _check_order(
    f: Callable[..., object], arrays: list[object], whats: list[str], order: int, level: int, name: str, eps: float,
    rtol: float, atol: float,
) -> None:  # fmt: skip
    flat = [leaf for a in arrays for leaf in tree_leaves(a)]
    chosen = [i for i, leaf in enumerate(flat) if is_float(leaf)]
    if not chosen:
        raise ValueError(
            f"check_grads({name}): none of the arguments is an array of floats or complex numbers, there is nothing to check"
        )

    def rebuilt(parts: Sequence[object]) -> list[object]:
        new = list(flat)
        for i, part in zip(chosen, parts, strict=True):
            new[i] = part
        stream = iter(new)
        return [tree_map(lambda _: next(stream), a) for a in arrays]

    def g(*parts: object) -> list[Tensor]:
        return [t for t in tree_leaves(f(*rebuilt(parts))) if isinstance(t, Tensor) and t.dtype.kind in "fc"]

    points = [flat[i] for i in chosen]
    rng = np.random.default_rng(level)
    with no_grad():
        weights = [_random(rng, t) for t in g(*[Tensor._of(p) for p in points])]
    if not weights:
        raise ValueError(
            f"check_grads({name}): the function returned no tensor of floats or complex numbers, there is nothing to check"
        )

    def gradients(*parts: object) -> list[Tensor]:
        _, pull = vjp(g, *parts[: len(points)])
        found = pull(list(parts[len(points) :]))
        return list(found) if len(points) > 1 else [found]

    def value(*parts: Array) -> float:
        with no_grad():
            outs = g(*[Tensor._of(p) for p in parts])
        return float(sum((t.data * np.conj(w)).sum().real for t, w in zip(outs, weights, strict=True)))

    by = [whats[i] for i in chosen]
    got = [t.data for t in gradients(*points, *weights)]
    for i, found in enumerate(got):
        expected = _differences(value, points, i, eps)
        what = f"{name}: gradient of order {level} by {by[i]}"
        _compare(value, points, i, found, expected, what, eps, rtol, atol)
    if order > 1:
        by += [f"the gradient of order {level} that comes in"] * len(weights)
        _check_order(gradients, [*points, *weights], by, order - 1, level + 1, name, eps, rtol, atol)


def _shifted(value: Callable[..., float], points: list[Array], i: int, at: tuple[int, ...], step: complex) -> float:
    moved = list(points)
    moved[i] = points[i].copy(order="K")
    moved[i][at] += step
    return value(*moved)


def _differences(value: Callable[..., float], points: list[Array], i: int, eps: float) -> Array:
    """The derivatives by the elements of one argument; of complex ones by their real and, times i, imaginary parts."""
    expected = np.zeros_like(points[i])
    units = (1, 1j) if expected.dtype.kind == "c" else (1,)
    for at in np.ndindex(points[i].shape):
        step = eps * max(1.0, abs(complex(points[i][at])))
        for unit in units:
            change = _shifted(value, points, i, at, step * unit) - _shifted(value, points, i, at, -step * unit)
            expected[at] += change / (2 * step) * unit
    return expected


def _compare(
    value: Callable[..., float], points: list[Array], i: int, got: Array, expected: Array, what: str, eps: float, rtol: float,
    atol: float,
) -> None:  # fmt: skip
    if got.size == 0:
        return
    allowed = atol + rtol * max(1.0, float(np.abs(expected).max()))
    error = np.abs(got - expected)
    wrong = ~(error <= allowed)  # also true where nan
    if not wrong.any():
        return
    at = tuple(int(k) for k in np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape))
    cause = _cause(value, points, i, at, got, expected, eps)
    raise GradientMismatch(
        f"{what} is wrong at element {at} of shape {got.shape}: expected {expected[at]:.8g} (finite "
        f"difference), got {got[at]:.8g}; the worst of {int(wrong.sum())} wrong elements of {got.size}. Likely cause: {cause}"
    )


def _cause(
    value: Callable[..., float],
    points: list[Array],
    i: int,
    at: tuple[int, ...],
    got: Array,
    expected: Array,
    eps: float,
) -> str:
    g, e = complex(got[at]), complex(expected[at])
    if not np.isfinite(g):
        return "the rule divides by zero or overflows there (see tn.safe_mul for singular rules)"
    middle = value(*points)
    right = (_shifted(value, points, i, at, eps) - middle) / eps
    left = (middle - _shifted(value, points, i, at, -eps)) / eps
    if abs(right - left) > 0.1 * max(abs(right), abs(left), 1e-3):
        return "the function has a kink or jump there; check it at another point"

    def close(a: Array | complex, b: Array | complex) -> bool:
        return bool(np.allclose(a, b, rtol=1e-4, atol=1e-6))

    if close(got, -expected):
        return "the sign"
    if close(got, 0 * expected):
        return "the input's part is missing (detached, or multiplied by zero)"
    if got.ndim >= 2 and got.shape[-1] == got.shape[-2] and close(got, np.swapaxes(expected, -1, -2)):
        return "a missing transpose"
    large = np.abs(expected) > 1e-3 * np.abs(expected).max()
    if large.any():
        ratios = got[large] / expected[large]
        if close(ratios, ratios[0]):
            return f"a constant factor of {ratios[0]:.4g}"
    if close(g + e, 0):
        return "the sign of some elements"
    return "the rule's formula"
