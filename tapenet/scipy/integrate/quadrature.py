"""SciPy's adaptive quadrature, with derivatives by parameters and limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import BuiltinFunctionType
from typing import Literal, TypeAlias, overload

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.scipy.integrate.integral import Plan, integral
from tapenet.scipy.integrate.integrand import read
from tapenet.scipy.integrate.states import floats, number
from tapenet.scipy.integrate.unread import reading
from tapenet.scipy.integrate.values import TensorsFound, library, wanted
from tapenet.typing import Array

#: Up to so many gradients have an integral each, by QUADPACK, which extrapolates where the integrand is singular.
FEW = 16
#: What `quad` gives: the integral, its error, and with `full_output` more.
Found: TypeAlias = tuple[Tensor, float] | tuple[Tensor, float, dict[str, object]]


class _NumbersOf:
    """An integrand that ends SciPy's work at once where it gives a tensor that more is wanted of than its value."""

    __slots__ = ("f",)

    def __init__(self, f: Callable[..., object]) -> None:
        self.f = f

    def __call__(self, *args: object) -> object:
        """Its value."""
        found = self.f(*args)
        return found if type(found) is not Tensor else _number(found)


def numbers_of(f: Callable[..., object], alone: bool = False) -> Callable[..., object]:
    """An integrand that ends SciPy's work at once where it gives a tensor that more is wanted of than its value. What is no
    function of Python's is left as it is: SciPy calls C functions without Python.

    Args:
        f: the integrand.
        alone: whether it takes nothing but x.
    """
    if not callable(f) or hasattr(f, "argtypes") or type(f) is BuiltinFunctionType:
        return f
    if alone:

        def of_one(x: object) -> object:
            found = f(x)
            return found if type(found) is not Tensor else _number(found)

        return of_one

    def call(*args: object) -> object:
        found = f(*args)
        return found if type(found) is not Tensor else _number(found)

    return call


def _number(t: Tensor) -> object:
    if wanted(t):
        raise TensorsFound
    return t._data if t._data.ndim == 0 else t._data.reshape(-1)[0] if t._data.size == 1 else t._data


def breaks(name: str, points: Sequence[object] | None) -> Array | None:
    """The points where an integrand is not smooth.

    Raises:
        TypeError: a derivative by one is wanted.
    """
    if points is None:
        return None
    given = [points, *(points if isinstance(points, (list, tuple)) else ())]
    if any(wanted(p) for p in given):
        raise TypeError(
            f"{name}: there is no derivative by points: give them detached where the integrand is continuous there (it is 0); "
            "where it jumps, add the integrals between the points"
        )
    return np.asarray([p._data if type(p) is Tensor else p for p in points])


def bare(value: object) -> object:
    """A tensor that nothing but its value is wanted of, as that."""
    return value._data.item() if type(value) is Tensor and value._data.size == 1 and not wanted(value) else value


@overload
def quad(
    func: Callable[..., object], a: object, b: object, args: object = (), full_output: Literal[0, False] = 0,
    epsabs: float = 1.49e-8, epsrel: float = 1.49e-8, limit: int = 50, points: Sequence[float] | None = None,
    weight: str | None = None, wvar: object = None, wopts: object = None, maxp1: int = 50, limlst: int = 50,
    complex_func: bool = False,
) -> tuple[Tensor, float]: ...  # fmt: skip


@overload
def quad(
    func: Callable[..., object], a: object, b: object, args: object = (), full_output: Literal[1, True] = ...,
    epsabs: float = 1.49e-8, epsrel: float = 1.49e-8, limit: int = 50, points: Sequence[float] | None = None,
    weight: str | None = None, wvar: object = None, wopts: object = None, maxp1: int = 50, limlst: int = 50,
    complex_func: bool = False,
) -> tuple[Tensor, float, dict[str, object]]: ...  # fmt: skip


@boundary
def quad(
    func: Callable[..., object],
    a: object,
    b: object,
    args: object = (),
    full_output: int = 0,
    epsabs: float = 1.49e-8,
    epsrel: float = 1.49e-8,
    limit: int = 50,
    points: Sequence[float] | None = None,
    weight: str | None = None,
    wvar: object = None,
    wopts: object = None,
    maxp1: int = 50,
    limlst: int = 50,
    complex_func: bool = False,
) -> Found:
    """The integral of func from a to b, by `scipy.integrate.quad`, with derivatives of every order.

    Derivatives are by the limits, by `args`, and by what `func` closes over, such as parameters of modules. By parameters they
    are integrals of the integrand's derivatives, to the same tolerances; by a limit the integrand there.

    Args:
        func: func(x, *args) gives a number; complex ones with `complex_func`. For derivatives it is read on tensors, lifted
            (`tn.lift`) where need be: it may branch, and compute by `math`.
        a, b: the limits, which may be infinite.
        args: further arguments.
        full_output: not 0 to get SciPy's dict of how it went; not within `tn.compile`.
        epsabs, epsrel, limit, points, weight, wvar, wopts, maxp1, limlst: as SciPy's. With a weight there are derivatives by
            limits and by `wvar` too. There are none by `points`.
        complex_func: `func` gives complex numbers.

    Returns:
        the integral, and an estimate of its error (nan within `tn.compile`); with `full_output` also the dict.

    Raises:
        ValueError: SciPy's.
        TypeError: a derivative is wanted that is not there.
        CaptureError: a derivative is wanted, and `func` cannot be read.

    >>> import numpy as np, tapenet as tn
    >>> def area(scale, end):
    ...     return tn.scipy.integrate.quad(lambda x: np.exp(-scale * x), 0, end)[0]
    >>> area(2.0, np.inf), tn.grad(area)(2.0, np.inf), tn.grad(area, 1)(2.0, 0.5)
    (Tensor(0.5), Tensor(-0.25), Tensor(0.36787944))
    """
    if type(args) is not tuple:
        args = (args,)
    if type(a) is Tensor:
        a = bare(a)
    if type(b) is Tensor:
        b = bare(b)
    broken = breaks("quad", points)
    if wvar is not None:
        wvar = tuple(map(bare, wvar)) if isinstance(wvar, (tuple, list)) else bare(wvar)
    if not (
        type(a) is Tensor
        or type(b) is Tensor
        or type(wvar) is Tensor
        or (type(wvar) is tuple and any(map(wanted, wvar)))
        or (complex_func and a > b)  # type: ignore[operator]  # of these SciPy loses the sign
    ):
        try:
            value, error, *more = library().quad(
                numbers_of(func, not args), a, b, args, full_output, epsabs, epsrel, limit, broken, weight, wvar, wopts, maxp1,
                limlst, complex_func,
            )  # fmt: skip
            return (Tensor._of(np.asarray(value)), error, *more)
        except TensorsFound:
            pass
    options = {
        "epsabs": epsabs, "epsrel": epsrel, "limit": limit, "points": broken,
        "weight": weight, "wopts": wopts, "maxp1": maxp1, "limlst": limlst,
    }  # fmt: skip
    if complex_func:
        parts = [
            quad(  # type: ignore[call-overload]
                lambda x, part=part: part(asarray(func(x, *args))), a, b, (), full_output, epsabs, epsrel, limit, points,
                weight, wvar, wopts, maxp1, limlst,
            )
            for part in (ops.real, ops.imag)
        ]  # fmt: skip
        both = parts[0][0] + 1j * parts[1][0], parts[0][1] + 1j * parts[1][1]
        return (*both, {"real": parts[0][2:], "imag": parts[1][2:]}) if full_output else both
    return _quad("quad", func, args, number(a, "quad: a"), number(b, "quad: b"), wvar, full_output, options)


def _quad(
    name: str,
    f: Callable[..., object],
    args: tuple[object, ...],
    a: Tensor,
    b: Tensor,
    wvar: object,
    full: int,
    options: dict[str, object],
) -> Found:
    """An integral of what gives tensors."""
    scipy_quad = library().quad

    def wrap(f: Callable[..., object]) -> Callable[[Tensor], Tensor]:
        return lambda x: _scalar(f(x, *args), name)

    variables = [] if wvar is None else [floats(v) for v in (wvar if isinstance(wvar, (tuple, list)) else [wvar])]
    numbers = [v._data.item() for v in variables]
    given = {**options, "wvar": None if not numbers else tuple(numbers) if len(numbers) > 1 else numbers[0]}
    ends = _value(a, name), _value(b, name)
    grows = local.state.grad or capturing() is not None
    limits = tuple(grows and t._node is not None and bool(np.isfinite(e)) for t, e in zip((a, b), ends, strict=True))
    try:
        integrand, params, fixed = reading(lambda call: read(name, call, _inside(*ends)), wrap, f)
    except Exception as error:
        if capturing() is not None or any(limits):
            raise CaptureError(f"{name}: derivatives are wanted, for which func must be readable: {error}") from None
        return _uncompiled(name, wrap(f), ends, full, given, error)
    _real(name, params)

    def one(g: Callable[[float], object], low: float, high: float) -> Array:
        return np.asarray(scipy_quad(g, low, high, **given)[0])

    def several(g: Callable[[float], Array], low: float, high: float) -> Array:
        size = int(np.size(g(_inside(low, high))))
        if size > FEW and given["weight"] is None:
            vec = library().quad_vec
            return np.asarray(vec(g, low, high, given["epsabs"], given["epsrel"], points=given["points"])[0])
        return np.array([one(partial(_element, g, i), low, high) for i in range(size)])

    moves = any(limits) or any(v._node is not None for v in variables)
    plan = Plan(name, integrand, one, several, (limits[0], limits[1]))
    if capturing() is not None and any(t._trace is not None for t in (a, b, *params, *fixed)):
        if full or (moves and options["weight"] is not None):
            raise CaptureError(
                f"{name}: in a compiled function there is no full_output, and no weight with moving limits"
            )
        found: Tensor = integral(a, b, params, fixed, plan=plan)
        return found, float("nan")
    value, off, *more = scipy_quad(
        integrand.bound([t._data for t in (*params, *fixed)]), *ends, full_output=full, **given
    )
    known = np.asarray(value)
    if moves and options["weight"] is not None:
        return (_weighted(name, lambda x: f(x, *args), a, b, variables, options, known), off, *more)
    made = integral(a, b, params, fixed, plan=plan if capturing() is not None else plan.knowing(known))
    return (made, off, *more)


def _weighted(
    name: str,
    f: Callable[[Tensor], object],
    a: Tensor,
    b: Tensor,
    variables: list[Tensor],
    options: dict[str, object],
    known: Array,
) -> Tensor:
    """An integral with a weight that moves: its value is there, and its derivatives are those of integrals between constant
    limits, without the weight or with one that does not move.

    Raises:
        TypeError: there are none.
    """
    if a._data > b._data:
        turned: Tensor = -_weighted(name, f, b, a, variables, options, -known)
        return turned
    weight = str(options["weight"])

    def whole(g: Callable[[Tensor], Tensor], end: float, **changed: object) -> Tensor:
        """From 0 to an end."""
        plain = {**options, "weight": None, "wopts": None, "points": None, **changed}
        wvar = 1.0 if plain["weight"] is not None else None
        found: Tensor = _quad(name, g, (), asarray(0.0), asarray(end), wvar, 0, plain)[0]
        return found

    def at(x: Tensor) -> Tensor:
        return _scalar(f(x), name)

    if weight == "cauchy":
        found = _principal_value(at, a, b, variables[0], partial(whole, end=1.0))
    elif weight in ("cos", "sin") and np.isfinite(a._data) and np.isfinite(b._data):
        found = whole(
            lambda u: at(a + (b - a) * u) * getattr(np, weight)(variables[0] * (a + (b - a) * u)) * (b - a), 1.0
        )
    elif weight in ("cos", "sin"):
        found = _endless_wave(name, at, a, b, variables[0], weight, partial(whole, end=np.inf))
    else:
        found = _algebraic(at, a, b, variables, weight, partial(whole, end=0.5))
    shifted: Tensor = found + (known - found.detach())
    return shifted


def _principal_value(
    f: Callable[[Tensor], Tensor],
    a: Tensor,
    b: Tensor,
    pole: Tensor,
    whole: Callable[[Callable[[Tensor], Tensor]], Tensor],
) -> Tensor:
    """The principal value of ∫ f(x) / (x - pole) dx: around the pole both sides are taken together, at ±r s."""

    def regular(low: Tensor, high: Tensor) -> Tensor:
        def g(u: Tensor) -> Tensor:
            x = low + (high - low) * u
            return f(x) * (high - low) / (x - pole)

        return whole(g)

    if not a._data < pole._data < b._data:
        return regular(a, b)
    left = bool(pole._data - a._data < b._data - pole._data)  # where the nearer end is
    r = pole - a if left else b - pole
    around = whole(lambda s: (f(pole + r * s) - f(pole - r * s)) / s)
    found: Tensor = around + (regular(pole + r, b) if left else regular(a, pole - r))
    return found


def _endless_wave(
    name: str, f: Callable[[Tensor], Tensor], a: Tensor, b: Tensor, w: Tensor, weight: str,
    whole: Callable[..., Tensor],
) -> Tensor:  # fmt: skip
    """∫ f(x) cos(w x) dx, or that with the sine, from a finite end e to infinity: with x = e ± v / |w| the wave does not
    move."""
    if not w._data:
        raise TypeError(f"{name}: with weight={weight!r} over an infinite range there are no derivatives at wvar=0")
    side, end = (1.0, a) if np.isfinite(a._data) else (-1.0, b)
    cosine, sine = (whole(lambda v: f(end + side * v / abs(w)) / abs(w), weight=kind) for kind in ("cos", "sin"))
    sine = sine * (side * np.sign(w._data))
    c, s = np.cos(w * end), np.sin(w * end)
    found: Tensor = c * cosine - s * sine if weight == "cos" else s * cosine + c * sine
    return found


def _algebraic(
    f: Callable[[Tensor], Tensor], a: Tensor, b: Tensor, powers: list[Tensor], weight: str,
    whole: Callable[[Callable[[Tensor], Tensor]], Tensor],
) -> Tensor:  # fmt: skip
    """∫ f(x) (x - a)^α (b - x)^β dx, with logarithms of either: half of it from each end, near which numbers are dense."""
    width = b - a

    def from_end(end: Tensor, sign: float, here: Tensor, there: Tensor, near: bool, far: bool) -> Tensor:
        def g(u: Tensor) -> Tensor:
            value = f(end + sign * width * u) * u**here * (1 - u) ** there
            value = value * (np.log(width) + np.log(u)) if near else value
            return value * (np.log(width) + np.log1p(-u)) if far else value

        return whole(g)

    of_a, of_b = weight in ("alg-loga", "alg-log"), weight in ("alg-logb", "alg-log")
    alpha, beta = powers
    halves = from_end(a, 1.0, alpha, beta, of_a, of_b) + from_end(b, -1.0, beta, alpha, of_b, of_a)
    found: Tensor = width ** (alpha + beta + 1) * halves
    return found


def _uncompiled(
    name: str,
    f: Callable[[Tensor], Tensor],
    ends: tuple[float, float],
    full: int,
    given: dict[str, object],
    reason: Exception,
) -> Found:
    """The value of an integral of what cannot be read."""

    def call(x: float) -> float:
        found = f(x)  # type: ignore[arg-type]
        if local.state.grad and found._node is not None:
            raise CaptureError(f"{name}: derivatives are wanted, for which func must be readable: {reason}")
        return found.item()  # type: ignore[no-any-return]

    value, error, *more = library().quad(call, *ends, full_output=full, **given)
    return (Tensor._of(np.asarray(value)), error, *more)


def _element(f: Callable[[float], Array], i: int, x: float) -> float:
    return f(x)[i]  # type: ignore[no-any-return]


def _real(name: str, params: Sequence[Tensor]) -> None:
    for p in params:
        if p.dtype.kind == "c":
            raise TypeError(
                f"{name}: a derivative by a complex parameter is wanted, of shape {p.shape}: derivatives are by real numbers "
                "here; give its real and its imaginary part, and join them in the function"
            )


def _value(t: Tensor, name: str) -> float:
    """A limit."""
    return float(t._data)


def _inside(a: float, b: float) -> float:
    """A point between the limits, which an integrand is unlikely to be singular at."""
    if not np.isfinite(a):
        return -_inside(-b, np.inf) if np.isfinite(b) else 0.381
    return a + 0.381 * (b - a if np.isfinite(b) else np.copysign(1.0, b))


def _scalar(value: object, name: str) -> Tensor:
    made = asarray(value)
    if made.size != 1:
        raise ValueError(f"{name}: func gives an array of shape {made.shape}, not a number")
    if made.dtype.kind == "c":
        raise TypeError(f"{name}: func gives complex numbers: say complex_func=True")
    return made if made.ndim == 0 else ops.reshape(made, ())


@overload
def quad_vec(
    f: Callable[..., object], a: object, b: object, epsabs: float = 1e-200, epsrel: float = 1e-8, norm: str = "2",
    cache_size: float = 100e6, limit: float = 10000, workers: object = 1, points: Sequence[float] | None = None,
    quadrature: str | None = None, full_output: Literal[False] = False, *, args: object = (),
) -> tuple[Tensor, float]: ...  # fmt: skip


@overload
def quad_vec(
    f: Callable[..., object], a: object, b: object, epsabs: float = 1e-200, epsrel: float = 1e-8, norm: str = "2",
    cache_size: float = 100e6, limit: float = 10000, workers: object = 1, points: Sequence[float] | None = None,
    quadrature: str | None = None, full_output: Literal[True] = ..., *, args: object = (),
) -> tuple[Tensor, float, object]: ...  # fmt: skip


@boundary
def quad_vec(
    f: Callable[..., object],
    a: object,
    b: object,
    epsabs: float = 1e-200,
    epsrel: float = 1e-8,
    norm: str = "2",
    cache_size: float = 100e6,
    limit: float = 10000,
    workers: object = 1,
    points: Sequence[float] | None = None,
    quadrature: str | None = None,
    full_output: bool = False,
    *,
    args: object = (),
) -> tuple[Tensor, float] | tuple[Tensor, float, object]:
    """The integral of a function that gives an array, by `scipy.integrate.quad_vec`, with derivatives as of `quad`.

    Args:
        f: f(x, *args) gives an array of floats.
        a, b: the limits, which may be infinite.
        epsabs, epsrel, norm, cache_size, limit, workers, points, quadrature: as SciPy's; workers serve where nothing but
            values is wanted.
        full_output: give SciPy's account too; not within `tn.compile`.
        args: further arguments.

    Returns:
        the integral, of the array's shape, and an estimate of the error in the norm; with `full_output` also the account.

    Raises:
        ValueError: SciPy's.
        TypeError: a derivative by a complex parameter is wanted.
        CaptureError: a derivative is wanted, and `f` cannot be read.

    >>> import numpy as np, tapenet as tn
    >>> def moments(rate):
    ...     return tn.scipy.integrate.quad_vec(lambda x: x ** np.arange(3) * np.exp(-rate * x), 0, np.inf)[0]
    >>> np.round(moments(2.0).numpy(), 6), np.round(tn.jacobian(moments)(2.0).numpy(), 6)
    (array([0.5 , 0.25, 0.25]), array([-0.25 , -0.25 , -0.375]))
    """
    args = args if isinstance(args, tuple) else (args,)
    name, vec = "quad_vec", library().quad_vec
    options = {
        "epsabs": epsabs, "epsrel": epsrel, "norm": norm, "cache_size": cache_size, "limit": limit,
        "points": breaks(name, points),
        "quadrature": quadrature,
    }  # fmt: skip
    a, b = bare(a), bare(b)
    if type(a) is not Tensor and type(b) is not Tensor:
        try:
            more_args = {"args": args} if args else {}  # which older SciPys do not know
            value, *more = vec(_NumbersOf(f), a, b, workers=workers, full_output=full_output, **options, **more_args)
            return (Tensor._of(np.asarray(value)), *more)
        except TensorsFound:
            pass
    low, high = number(a, f"{name}: a"), number(b, f"{name}: b")
    ends = _value(low, name), _value(high, name)
    grows = local.state.grad or capturing() is not None
    limits = tuple(
        grows and t._node is not None and bool(np.isfinite(e)) for t, e in zip((low, high), ends, strict=True)
    )
    integrand, params, fixed = reading(
        lambda call: read(name, call, _inside(*ends)), lambda g: lambda x: g(x, *args), f
    )
    _real(name, params)

    def rule(g: Callable[[float], Array], low: float, high: float) -> Array:
        return np.asarray(vec(g, low, high, **options)[0])

    plan = Plan(name, integrand, rule, rule, (limits[0], limits[1]))
    if capturing() is not None and any(t._trace is not None for t in (low, high, *params, *fixed)):
        if full_output:
            raise CaptureError(f"{name}: in a compiled function there is no full_output")
        return integral(low, high, params, fixed, plan=plan), float("nan")
    others = [t._data for t in (*params, *fixed)]
    value, *more = vec(integrand.bound(others), *ends, full_output=full_output, **options)
    if capturing() is None:
        plan = plan.knowing(np.asarray(value))
    return (integral(low, high, params, fixed, plan=plan), *more)
