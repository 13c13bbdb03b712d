"""Gradients against finite differences, to any order: `check_grads`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias, TypeGuard

import numpy as np

from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.program.trees import tree_leaves, tree_map
from tapenet.testing import mistakes
from tapenet.testing.mistakes import Mistake
from tapenet.transforms.gradients import vjp
from tapenet.typing import Array


class GradientMismatch(AssertionError):
    """A gradient, or the rule that gives it, is wrong.

    Attributes:
        kind: what is probably wrong, in a word or two: "sign", "factor", "missing conjugate", "transposed", "missing sum
            over broadcast axes", "swapped inputs", "wrong dtype", "wrong shape", "forgotten input", "None", or what else
            the text says.
    """

    __module__ = "tapenet.testing"  # by which it is known: a traceback shows it

    def __init__(self, text: str, kind: str = "") -> None:
        super().__init__(text)
        self.kind = kind


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
expected 0.8216... (finite difference), got -0.8216...; the worst of 2 wrong elements of 2. Likely cause: the sign: put a \
minus in front
    """
    options = kwargs or {}
    name = str(getattr(f, "name", None) or getattr(f, "__name__", "function"))
    arrays = [tree_map(in_float64, a) for a in args]
    flat = [leaf for a in arrays for leaf in tree_leaves(a)]
    chosen = [i for i, leaf in enumerate(flat) if is_float(leaf)]
    if not chosen:
        raise ValueError(
            f"check_grads({name}): none of the arguments is an array of floats or complex numbers, there is nothing to check"
        )

    def of_parts(*parts: object) -> object:
        given = dict(zip(chosen, parts, strict=True))
        stream = iter(given.get(i, leaf) for i, leaf in enumerate(flat))
        return f(*(tree_map(lambda _: next(stream), a) for a in arrays), **options)

    points = [leaf for leaf in flat if is_float(leaf)]
    with zeros_are_fine():
        if not _weights(of_parts, points, 1):
            raise ValueError(
                f"check_grads({name}): the function returned no tensor of floats or complex numbers, there is nothing to check"
            )
        check_orders(of_parts, points, [f"argument {i}" for i in chosen], name, order, eps=eps, rtol=rtol, atol=atol)


#: Given a point and an order: what is likely wrong with the gradient, None where it does not know.
Causes: TypeAlias = Callable[[int, int], Mistake | None]


def check_orders(
    f: Callable[..., object],
    points: Sequence[Array],
    whats: Sequence[str],
    name: str,
    order: int,
    *,
    eps: float = 1e-5,
    rtol: float = 1e-6,
    atol: float = 1e-7,
    causes: Causes = lambda point, order: None,
    meant: Callable[..., object] | None = None,
) -> None:
    """Compare the gradients of a function of arrays with finite differences.

    Args:
        f: a function of as many arrays, or tensors, as there are points; returns a tensor or a tree of them.
        points: where to differentiate it, in float64 or complex128.
        whats: what the points are called.
        name: what the function is called.
        order: the highest derivative.
        eps, rtol, atol: as for `check_grads`.
        causes: what it knows of the reason of a wrong gradient goes before what is guessed from its values.
        meant: a function whose first derivatives it should have; itself by default.

    Raises:
        GradientMismatch: a gradient is wrong.
    """
    for level in range(1, order + 1):
        this = _Level(f, (level == 1 and meant) or f, points, whats, name, level, eps, rtol, atol, causes)
        this.check()
        f, points = gradients_of(f, len(points)), [*points, *this.weights]
        whats = [*whats, *[f"the gradient of order {level} that comes in"] * len(this.weights)]


def gradients_of(f: Callable[..., object], count: int) -> Callable[..., list[Tensor]]:
    """The gradients of a function of some points, by these, as a function of them and of the gradients by its results."""

    def gradients(*parts: object) -> list[Tensor]:
        _, pull = vjp(lambda *given: floats(f(*given)), *parts[:count])
        found = pull(list(parts[count:]))
        return list(found) if count > 1 else [found]

    return gradients


def floats(tree: object) -> list[Tensor]:
    """The tensors in a result through which a gradient can flow."""
    return [t for t in tree_leaves(tree) if isinstance(t, Tensor) and t.dtype.kind in "fc"]


@contextmanager
def zeros_are_fine() -> Iterator[None]:
    """A check of a step function is no training in which a gradient was lost."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the whole gradient by an input", RuntimeWarning)
        yield


def in_float64(value: object) -> object:
    """An array or tensor of floats as an array of float64, of complex numbers of complex128; all else as it is."""
    data = value.data if isinstance(value, Tensor) else value
    if isinstance(data, (np.ndarray, np.inexact)) and np.asarray(data).dtype.kind in "fc":
        return np.array(data, dtype=np.float64 if np.asarray(data).dtype.kind == "f" else np.complex128)
    return data


def is_float(value: object) -> TypeGuard[Array]:
    """Whether a value is an array by which one differentiates."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"


def random_like(rng: np.random.Generator, like: Array | Tensor) -> Array:
    """Normal numbers of a shape, complex where it has complex numbers."""
    found = np.asarray(rng.normal(size=like.shape))
    return np.asarray(found + 1j * rng.normal(size=like.shape)) if like.dtype.kind == "c" else found


def _weights(f: Callable[..., object], points: Sequence[Array], level: int) -> list[Array]:
    """The gradients that come in, one for each result."""
    rng = np.random.default_rng(level)
    with no_grad():
        return [random_like(rng, t) for t in floats(f(*map(Tensor._of, points)))]


def differences(value: Callable[..., float], points: Sequence[Array], i: int, eps: float = 1e-5) -> Array:
    """The derivatives of a number by the elements of one of some arrays, by central finite differences; of complex ones by
    their real and, times i, imaginary parts."""
    expected = np.zeros_like(points[i])
    units = (1, 1j) if expected.dtype.kind == "c" else (1,)
    for at in np.ndindex(points[i].shape):
        step = eps * max(1.0, abs(complex(points[i][at])))
        for unit in units:
            change = _shifted(value, points, i, at, step * unit) - _shifted(value, points, i, at, -step * unit)
            expected[at] += change / (2 * step) * unit
    return expected


def _shifted(value: Callable[..., float], points: Sequence[Array], i: int, at: tuple[int, ...], step: complex) -> float:
    moved = list(points)
    moved[i] = points[i].copy(order="K")
    moved[i][at] += step
    return value(*moved)


@dataclass
class _Level:
    """The gradients of one order: those of a function, which may be that of the order below."""

    f: Callable[..., object]
    meant: Callable[..., object]
    points: Sequence[Array]
    whats: Sequence[str]
    name: str
    level: int
    eps: float
    rtol: float
    atol: float
    causes: Causes

    def __post_init__(self) -> None:
        self.weights = _weights(self.f, self.points, self.level)

    def check(self) -> None:
        found = gradients_of(self.f, len(self.points))(*self.points, *self.weights)
        for i, got in enumerate(found):
            self._compare(i, got.data, differences(self._value, self.points, i, self.eps))

    def _value(self, *parts: Array) -> float:
        """The sum of the results, each times the gradient that comes in."""
        with no_grad():
            outs = floats(self.meant(*map(Tensor._of, parts)))
        return float(sum((t.data * np.conj(w)).sum().real for t, w in zip(outs, self.weights, strict=True)))

    def _compare(self, i: int, got: Array, expected: Array) -> None:
        if got.size == 0:
            return
        allowed = self.atol + self.rtol * max(1.0, float(np.abs(expected).max()))
        error = np.abs(got - expected)
        wrong = ~(error <= allowed)  # also true where nan
        if not wrong.any():
            return
        at = tuple(int(k) for k in np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape))
        cause = self._cause(i, at, got, expected)
        raise GradientMismatch(
            f"{self.name}: gradient of order {self.level} by {self.whats[i]} is wrong at element {at} of shape {got.shape}: "
            f"expected {expected[at]:.8g} (finite difference), got {got[at]:.8g}; the worst of {int(wrong.sum())} wrong "
            f"elements of {got.size}. Likely cause: {cause.words}",
            cause.kind,
        )

    def _cause(self, i: int, at: tuple[int, ...], got: Array, expected: Array) -> Mistake:
        if np.isfinite(complex(got[at])) and self._is_a_kink(i, at):
            return mistakes.KINK
        found = self.causes(i, self.level) or mistakes.of_values(got, expected) or mistakes.FORMULA
        return mistakes.CONSTANT if self.level > 1 and found.kind == "forgotten input" else found

    def _is_a_kink(self, i: int, at: tuple[int, ...]) -> bool:
        middle = self._value(*self.points)

        def slopes(step: float) -> tuple[float, float]:
            right, left = (_shifted(self._value, self.points, i, at, s) for s in (step, -step))
            return (right - middle) / step, (middle - left) / step

        right, left = slopes(self.eps)
        if abs(right - left) > 0.1 * max(abs(right), abs(left), 1e-3):
            return True
        return abs(slopes(self.eps / 8)[0]) > 4 * abs(right) > 1e-3  # at a jump it grows as steps get shorter
