"""Integrals over several numbers, as integrals of integrals: so limits may depend on outer numbers, and have derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, overload

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.scipy.integrate.quadrature import Found, bare, numbers_of, quad
from tapenet.scipy.integrate.values import TensorsFound, library, wanted


@overload
def nquad(
    func: Callable[..., object], ranges: Sequence[object], args: object = None, opts: object = None,
    full_output: Literal[False] = False,
) -> tuple[Tensor, float]: ...  # fmt: skip


@overload
def nquad(
    func: Callable[..., object], ranges: Sequence[object], args: object = None, opts: object = None,
    full_output: Literal[True] = ...,
) -> tuple[Tensor, float, dict[str, object]]: ...  # fmt: skip


@boundary
def nquad(
    func: Callable[..., object],
    ranges: Sequence[object],
    args: object = None,
    opts: object = None,
    full_output: bool = False,
) -> Found:
    """The integral over several numbers, by `scipy.integrate.nquad`, with derivatives as of `quad`: by limits that depend on
    outer numbers and on parameters too.

    Args:
        func: func(x0, x1, ..., *args) gives a number.
        ranges: for each number its limits, or a function of the numbers after it, and of args, that gives them. The
            first is the innermost.
        args: further arguments.
        opts: options of `quad`, for all, for each, or functions as of the ranges.
        full_output: give how often `func` was called too; not where derivatives are wanted.

    Returns:
        the integral, and an estimate of its error: where derivatives are wanted that of the outermost integral.

    Raises:
        ValueError, TypeError, CaptureError: as `quad`.

    >>> import numpy as np, tapenet as tn
    >>> def quarter(radius):  # of a disc
    ...     return tn.scipy.integrate.nquad(lambda y, x: 1.0, [lambda x: (0, np.sqrt(radius**2 - x**2)), (0, radius)])[0]
    >>> round(quarter(2.0).item(), 6)
    3.141593
    """
    more = () if args is None else args if isinstance(args, tuple) else (args,)
    given = [r if callable(r) else (lambda *_, r=r: r) for r in ranges]
    every = opts if isinstance(opts, (list, tuple)) else [opts or {}] * len(given)
    chosen = [o if callable(o) else (lambda *_, o=o: o) for o in every]
    flat = [v for r in ranges if not callable(r) for v in r]  # type: ignore[attr-defined]
    if not any(map(wanted, flat)):
        try:
            value, *rest = library().nquad(numbers_of(func), [_limits(r) for r in given], more, chosen, full_output)
            return (Tensor._of(np.asarray(value)), *rest)
        except TensorsFound:
            pass
    if full_output:
        raise TypeError("nquad: full_output is not there where func or limits give tensors")

    def inner(depth: int, outer: tuple[object, ...]) -> Found:
        low, high = given[depth](*outer, *more)
        options: Mapping[str, object] = chosen[depth](*outer, *more)

        def f(x: object) -> object:
            return inner(depth - 1, (x, *outer))[0] if depth else func(x, *outer, *more)

        found: Found = quad(f, low, high, **options)  # type: ignore[call-overload]
        return found

    return inner(len(given) - 1, ())


def _limits(r: Callable[..., object]) -> Callable[..., object]:
    def call(*outer: object) -> object:
        limits = tuple(map(bare, r(*outer)))  # type: ignore[call-overload]
        if any(map(wanted, limits)):
            raise TensorsFound
        return limits

    return call


@boundary
def dblquad(
    func: Callable[..., object],
    a: object,
    b: object,
    gfun: object,
    hfun: object,
    args: tuple[object, ...] = (),
    epsabs: float = 1.49e-8,
    epsrel: float = 1.49e-8,
) -> tuple[Tensor, float]:
    """The integral of func(y, x) for x from a to b and y from gfun(x) to hfun(x), by `scipy.integrate.dblquad`, with
    derivatives as of `nquad`.

    Args:
        func: func(y, x, *args) gives a number.
        a, b: the limits of x.
        gfun, hfun: the limits of y: numbers, or functions of x.
        args: further arguments.
        epsabs, epsrel: tolerances.

    Returns:
        the integral, and an estimate of its error.

    Raises:
        ValueError, TypeError, CaptureError: as `quad`.

    >>> import tapenet as tn
    >>> tn.grad(lambda c: tn.scipy.integrate.dblquad(lambda y, x: c * x * y, 0, 1, 0, lambda x: x)[0])(2.0)
    Tensor(0.125)
    """
    low, high = _functions(gfun, hfun)
    options = {"epsabs": epsabs, "epsrel": epsrel}
    return nquad(func, [lambda x, *_: (low(x), high(x)), (a, b)], args, [options, options])


@boundary
def tplquad(
    func: Callable[..., object],
    a: object,
    b: object,
    gfun: object,
    hfun: object,
    qfun: object,
    rfun: object,
    args: tuple[object, ...] = (),
    epsabs: float = 1.49e-8,
    epsrel: float = 1.49e-8,
) -> tuple[Tensor, float]:
    """The integral of func(z, y, x) for x from a to b, y from gfun(x) to hfun(x) and z from qfun(x, y) to rfun(x, y), by
    `scipy.integrate.tplquad`, with derivatives as of `nquad`.

    Args:
        func: func(z, y, x, *args) gives a number.
        a, b: the limits of x.
        gfun, hfun: the limits of y: numbers, or functions of x.
        qfun, rfun: the limits of z: numbers, or functions of x and y.
        args: further arguments.
        epsabs, epsrel: tolerances.

    Returns:
        the integral, and an estimate of its error.

    Raises:
        ValueError, TypeError, CaptureError: as `quad`.

    >>> import tapenet as tn
    >>> value, error = tn.scipy.integrate.tplquad(lambda z, y, x: x * y * z, 0, 1, 0, 2, 0, 3)
    >>> round(value.item(), 6)
    4.5
    """
    low, high = _functions(gfun, hfun)
    below, above = _functions(qfun, rfun)
    options = {"epsabs": epsabs, "epsrel": epsrel}
    ranges = [lambda y, x, *_: (below(x, y), above(x, y)), lambda x, *_: (low(x), high(x)), (a, b)]
    return nquad(func, ranges, args, [options] * 3)


def _functions(*limits: object) -> tuple[Callable[..., object], ...]:
    return tuple(limit if callable(limit) else (lambda *_, limit=limit: limit) for limit in limits)
