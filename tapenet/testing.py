"""Checks for gradients and ops, for tapenet's own tests and for yours."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeGuard

import numpy as np

from tapenet.autodiff.gradients import Gradients
from tapenet.autodiff.node import Node
from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.compat.porting import PortingWarning as PortingWarning
from tapenet.compat.porting import porting as porting
from tapenet.compiler import agreement
from tapenet.ops.derived import Derived, pure
from tapenet.ops.op import Op, Scatter
from tapenet.ops.registry import Sample
from tapenet.program.symbols import CannotLower
from tapenet.program.trees import tree_leaves, tree_map
from tapenet.transforms.gradients import vjp
from tapenet.typing import Array


class GradientMismatch(AssertionError):
    """A gradient differs from finite differences."""


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
    tapenet.testing.GradientMismatch: wrong: gradient of order 1 by argument 0 is wrong at element (0,) of shape (2,): \
expected 0.4967... (finite difference), got -0.4967...; the worst of 2 wrong elements of 2. Likely cause: the sign
    """
    options = kwargs or {}
    arrays = [tree_map(_float64, a) for a in args]
    name = str(getattr(f, "name", None) or getattr(f, "__name__", "function"))
    whats = [f"argument {i}" for i in range(len(tree_leaves(arrays)))]
    with _zeros_are_fine():
        _check_order(lambda *a: f(*a, **options), arrays, whats, order, 1, name, eps, rtol, atol)


@contextmanager
def _zeros_are_fine() -> Iterator[None]:
    """A check of a step function is no training in which a gradient was lost."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the whole gradient by an input", RuntimeWarning)
        yield


def _float64(value: object) -> object:
    data = value.data if isinstance(value, Tensor) else value
    if isinstance(data, (np.ndarray, np.inexact)) and np.asarray(data).dtype.kind in "fc":
        return np.array(data, dtype=np.float64 if np.asarray(data).dtype.kind == "f" else np.complex128)
    return data


def _is_float(value: object) -> TypeGuard[Array]:
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
    chosen = [i for i, leaf in enumerate(flat) if _is_float(leaf)]
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


def check_op(op: Callable[..., object], samples: Iterable[Sample] | None = None, *, order: int = 2) -> None:
    """Check everything an op promises, on its samples.

    The same value from arrays, tensors and the NumPy function it stands for; read-only inputs; float32 kept in values
    and gradients, also inside the rules; what a compiler reads in place of the forward (`lower=`); gradients by finite
    differences up to `order`; documentation.

    Args:
        op: made by `tn.op`.
        samples: calls to check on; its own by default.
        order: the highest derivative to check.

    Raises:
        AssertionError: says which promise the op breaks, on which call.
        TypeError: it is a function, and no op.

    >>> import tapenet as tn
    >>> tn.testing.check_op(tn.exp)
    """
    if not isinstance(op, (Op, Derived)):
        raise TypeError(f"check_op checks what tn.op makes, not {op!r}: use check_grads for a function")
    doc = op.__doc__ or ""
    assert doc.strip(), f"{op!r} has no documentation: give doc= or a docstring"
    if samples is None:
        assert op.samples is not None, f"{op!r} has no samples: give samples="
        samples = op.samples(np.random.default_rng(0))
    calls = list(samples)
    assert calls, f"{op!r} has no samples"
    unseen = set(op.differentiable) if isinstance(op, Op) else set()
    for call in calls:
        if isinstance(op, Op):
            unseen -= {name for name, value in _bound(op, call).items() if _holds_array(value)}
        try:
            with _zeros_are_fine():
                _check_call(op, call, order)
        except Exception as error:
            shapes = [_brief(a) for a in call.args]
            error.add_note(f"in check_op of {op!r} on {', '.join(map(str, shapes))} {call.kwargs or ''}")
            raise
    assert not unseen, f"no sample of {op!r} has an array for {sorted(unseen)}, so that the rule for it is not checked"


def _bound(op: Op, call: Sample) -> dict[str, object]:
    """The arguments of a call by name, with defaults."""
    args = {a.name: a.default for a in op.arguments}
    return args | dict(zip((a.name for a in op.arguments if not a.keyword_only), call.args, strict=False)) | call.kwargs


def _holds_array(value: object) -> bool:
    return any(isinstance(leaf, np.ndarray) for leaf in tree_leaves(value))


def _brief(value: object) -> object:
    return f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else value


def _tensors(tree: object, requires_grad: bool) -> Any:
    def convert(value: object) -> object:
        if not isinstance(value, np.ndarray):
            return value
        return Tensor._of(value).requires_grad_(requires_grad and value.dtype.kind in "fc")

    return tree_map(convert, tree)


def _same(a: object, b: object, what: str, rounding: float = 0.0) -> None:
    left, right = tree_leaves(a), tree_leaves(b)
    assert len(left) == len(right), f"{what}: {len(left)} results against {len(right)}"
    for x, y in zip(left, right, strict=True):
        x, y = (v.data if isinstance(v, Tensor) else np.asarray(v) for v in (x, y))
        assert x.shape == y.shape, f"{what}: shape {x.shape} against {y.shape}"
        assert x.dtype == y.dtype, f"{what}: dtype {x.dtype} against {y.dtype}"
        if rounding and x.dtype.kind in "fc":
            scale = float(np.abs(y[np.isfinite(y)]).max(initial=1.0))
            assert np.allclose(x, y, rounding, rounding * scale, equal_nan=True), f"{what}: values differ"
        else:
            assert np.array_equal(x, y, equal_nan=x.dtype.kind in "fc"), f"{what}: values differ"


_NARROW = (np.dtype(np.float32), np.dtype(np.complex64))


def _as_float32(value: object) -> object:
    return value.astype(_NARROW[value.dtype.kind == "c"]) if _is_float(value) else value


def _read_only(value: object) -> object:
    if isinstance(value, np.ndarray):
        value = value.copy(order="K")
        value.flags.writeable = False
    return value


def _check_call(op: Op | Derived, call: Sample, order: int) -> None:
    args = tree_map(_read_only, call.args)
    kwargs = call.kwargs
    # Inputs with a rule that are given by keyword become tensors as the others do.
    named = {n: v for n, v in kwargs.items() if isinstance(op, Op) and n in op.differentiable and _holds_array(v)}
    effect = isinstance(op, Op) and op.effect
    if effect:
        args = call.args
    numpy: Iterable[Callable[..., object]] = op.numpy
    # A function made of others may add in another order than NumPy's own does.
    rounding = 1e-13 if isinstance(op, Derived) else 0.0
    check = op.returning
    if check is not op:
        numpy = [pure(f) for f in numpy]
    raw = check(*args, **kwargs)
    makes = isinstance(op, Derived) and op.makes
    assert makes or not any(isinstance(t, Tensor) for t in tree_leaves(raw)), "arrays in, but a tensor out"
    if makes:
        assert all(isinstance(t, Tensor) for t in tree_leaves(raw)), "it makes tensors, but something else came out"
    tensors, options = _tensors(args, True), {**kwargs, **_tensors(named, True)}
    on_tensors = check(*tensors, **options)
    if _holds_array([*call.args, *named.values()]):
        assert all(isinstance(t, Tensor) for t in tree_leaves(on_tensors)), "tensors in, but no tensor out"
    _same(raw, on_tensors, "arrays against tensors")
    for function in numpy:
        _same(raw, function(*args, **kwargs), f"{function.__name__} on arrays against the op", rounding)
        like = {"like": Tensor._of(np.zeros(()))} if makes else {}
        _same(raw, function(*tensors, **options, **like), f"{function.__name__} on tensors against the op")
    if isinstance(op, Op) and op.lower is not None and not effect and not op.random:
        _check_lower(op, call)
    floats = [a for a in tree_leaves([*call.args, *named.values()]) if _is_float(a)]
    results = [t for t in tree_leaves(raw) if np.asarray(t).dtype.kind in "fc"]
    differentiable = bool(op.differentiable) and floats and results
    if floats and not effect:
        _check_float32(op, check, call, named, bool(differentiable))
    if differentiable:

        def by_position(*given: Any, **others: object) -> object:
            return check(*given[:-1], **given[-1], **others)

        by_position.__name__ = op.name
        rest = {n: v for n, v in kwargs.items() if n not in named}
        check_grads(by_position, [*call.args, named], order, kwargs=rest)
    elif not effect:
        assert not any(isinstance(t, Tensor) and t.requires_grad for t in tree_leaves(on_tensors))


def _check_lower(op: Op, call: Sample) -> None:
    try:
        found = agreement.difference(op, _bound(op, call))
    except (CannotLower, NotImplementedError, ValueError):
        return  # nothing to read on this call: a compiled program calls the op
    assert not found, f"lower= gives another result than the forward: {found}"


def _check_float32(
    op: Op | Derived, f: Callable[..., object], call: Sample, named: dict[str, object], differentiable: bool
) -> None:
    args, given = _tensors(tree_map(_as_float32, (call.args, named)), True)
    outs = [
        t for t in tree_leaves(f(*args, **{**call.kwargs, **given})) if isinstance(t, Tensor) and t.dtype.kind in "fc"
    ]
    wide = [t.dtype for t in outs if t.dtype not in _NARROW]
    if op.name in ("astype", "float_power", "fromiter"):  # whose dtype is not that of their inputs, as in NumPy
        return
    assert not wide, f"float32 in, but {wide[0]} out"
    if not differentiable:
        return
    cast: list[str] = []
    put = Gradients.put

    def watch(self: Gradients, node: Node, name: str, parent: Node, d: Array | Scatter) -> None:
        dtype = getattr(d.g if isinstance(d, Scatter) else d, "dtype", parent.dtype)
        if dtype not in (parent.dtype, *_NARROW):
            cast.append(f"the rule for {name!r} of {node.name!r} returned {dtype} for a {parent.dtype} input")
        put(self, node, name, parent, d)

    Gradients.put = watch  # type: ignore[method-assign]  # not unittest.mock: importing that costs half of what importing NumPy does
    try:
        for out in outs:
            if out.requires_grad:
                out.backward(np.ones(out.shape, out.dtype), retain_graph=True)
    finally:
        Gradients.put = put  # type: ignore[method-assign]
    assert not cast, cast[0]
