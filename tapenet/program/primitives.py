"""The primitives a program is made of: what each computes, and the shape and dtype it gives.

`evaluate` is the meaning of a primitive, in NumPy; every backend is held against it. Elementwise primitives are named
as NumPy's ufuncs are, and broadcast as they do; their arguments already have the dtypes of the ufunc's loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tapenet.program.sequences import refilled

Params = Mapping[str, Any]


class Spec(NamedTuple):
    """Shape and dtype of a value."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Primitive(NamedTuple):
    """What a primitive is."""

    kind: str
    infer: Callable[[list[Spec], Params], list[Spec]]
    evaluate: Callable[..., Any]


class Hole(NamedTuple):
    """Stands in a template for the primitive's argument at a position."""

    position: int


def filled(template: Any, args: Sequence[Any]) -> Any:
    """A template with its holes filled."""
    if isinstance(template, Hole):
        return args[template.position]
    if isinstance(template, (list, tuple)):
        return refilled(template, (filled(t, args) for t in template))
    return template


PRIMITIVES: dict[str, Primitive] = {}

# -- element by element ------------------------------------------------------------------------------------------


#: The elementwise primitives, by how many arguments they take. Most are NumPy's ufuncs.
NAMES: dict[int, tuple[str, ...]] = {
    1: (
        "absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "ceil", "cos", "cosh", "erf",
        "erfc", "exp", "exp2", "expm1", "fabs", "floor", "invert", "isfinite", "isinf", "isnan", "log", "log10", "log1p",
        "log2", "logical_not", "negative", "positive", "reciprocal", "rint", "sign", "signbit", "sin", "sinh", "sqrt",
        "square", "tan", "tanh", "trunc",
    ),
    2: (
        "add", "arctan2", "bitwise_and", "bitwise_or", "bitwise_xor", "copysign", "divide", "equal", "floor_divide", "fmax",
        "fmin", "fmod", "greater", "greater_equal", "hypot", "less", "less_equal", "logaddexp", "logical_and", "logical_or",
        "logical_xor", "maximum", "minimum", "multiply", "not_equal", "power", "remainder", "subtract", "safe_mul",
    ),
    3: ("where",),
}  # fmt: skip


def _erf() -> Any:
    from scipy.special import erf

    return erf


def _erfc() -> Any:
    from scipy.special import erfc

    return erfc


def safe_mul(a: Any, d: Any) -> Any:
    """a * d, but 0 wherever a factor is 0."""
    with np.errstate(invalid="ignore"):
        product = a * d
        return np.where((a == 0) | (d == 0), np.zeros((), product.dtype), product)


def _power(x: Any, y: Any) -> Any:
    return x**y


_SPECIAL = {"erf": _erf, "erfc": _erfc}
_OTHERS: dict[str, Callable[..., Any]] = {
    "power": _power,
    "safe_mul": safe_mul,
    "where": lambda condition, x, y: np.where(condition, x, y),
}
#: By name: the ufunc behind it.
ELEMENTWISE: dict[str, Callable[..., Any]] = {
    name: getattr(np, name)
    for names in NAMES.values()
    for name in names
    if name not in _SPECIAL and name not in _OTHERS
}
#: The same primitive under the other names that NumPy's ufuncs have.
ALIASES = {"true_divide": "divide", "mod": "remainder", "abs": "absolute", "pow": "power", "bitwise_not": "invert"}


def function(name: str) -> Callable[..., Any]:
    """The function of arrays behind an elementwise primitive."""
    if name in _SPECIAL:
        fetched: Callable[..., Any] = _SPECIAL[name]()
        return fetched
    return _OTHERS.get(name) or ELEMENTWISE[name]


@lru_cache(maxsize=4096)
def _loop(name: str, given: tuple[Any, ...]) -> tuple[np.dtype[Any], ...]:
    if name == "where":
        result = np.result_type(*(d if isinstance(d, np.dtype) else d() for d in given[1:]))
        return np.dtype(bool), result, result, result
    if name == "safe_mul":
        return _loop("multiply", given)
    if name in _SPECIAL and given[0] in (np.float32, np.float64):  # SciPy is large: only who needs it loads it
        return given[0], given[0]
    ufunc: Any = np.power if name == "power" else function(name)
    loop: tuple[np.dtype[Any], ...] = ufunc.resolve_dtypes((*given, None))
    return loop


def loop_dtypes(name: str, given: Sequence[Any]) -> tuple[np.dtype[Any], ...]:
    """Dtypes of the arguments and the result when an elementwise primitive is applied to these dtypes; a Python type
    (int, float, bool, complex) stands for a weak scalar.

    Raises:
        TypeError: there is no such loop.
    """
    return _loop(name, tuple(given))


def _infer_elementwise(name: str) -> Callable[[list[Spec], Params], list[Spec]]:
    def infer(args: list[Spec], params: Params) -> list[Spec]:
        dtypes = [a.dtype for a in args]
        *wanted, result = loop_dtypes(name, dtypes)
        if wanted != dtypes:
            raise TypeError(f"no loop of {name} for {dtypes}, only {wanted}")
        return [Spec(_broadcast(args), result)]

    return infer


def _broadcast(args: list[Spec]) -> tuple[int, ...]:
    first = args[0].shape
    if all(a.shape == first or not a.shape for a in args):  # the usual case
        return first
    return np.broadcast_shapes(*(a.shape for a in args))


for _name in (*ELEMENTWISE, *_OTHERS, *_SPECIAL):
    PRIMITIVES[_name] = Primitive(
        "elementwise", _infer_elementwise(_name), lambda *args, _name=_name: function(_name)(*args)
    )

PRIMITIVES["cast"] = Primitive(
    "elementwise",
    lambda args, p: [Spec(args[0].shape, p["dtype"])],
    lambda a, dtype: np.asarray(a).astype(dtype),
)

PRIMITIVES["copy"] = Primitive("elementwise", lambda args, p: [args[0]], lambda a, row_major=False: np.array(a))

# -- reductions --------------------------------------------------------------------------------------------------

#: By name: the ufunc whose `reduce` it is.
REDUCTIONS: dict[str, np.ufunc] = {
    "reduce_add": np.add,
    "reduce_multiply": np.multiply,
    "reduce_maximum": np.maximum,
    "reduce_minimum": np.minimum,
    "reduce_logical_and": np.logical_and,
    "reduce_logical_or": np.logical_or,
}


def _infer_reduction(args: list[Spec], params: Params) -> list[Spec]:
    (a,) = args
    axes = params["axes"]
    if axes != tuple(sorted(set(axes))) or any(not 0 <= i < len(a.shape) for i in axes):
        raise ValueError(f"axes {axes} of {a.shape}")
    return [Spec(tuple(n for i, n in enumerate(a.shape) if i not in axes), a.dtype)]


for _name, _ufunc in REDUCTIONS.items():
    PRIMITIVES[_name] = Primitive(
        "reduction",
        _infer_reduction,
        lambda a, axes, _ufunc=_ufunc: np.asarray(_ufunc.reduce(a, axis=axes)).astype(a.dtype, copy=False),
    )


def _infer_arg(args: list[Spec], params: Params) -> list[Spec]:
    (a,) = args
    return [Spec(tuple(n for i, n in enumerate(a.shape) if i != params["axis"]), np.dtype(np.intp))]


PRIMITIVES["argmax"] = Primitive("reduction", _infer_arg, lambda a, axis: np.asarray(np.argmax(a, axis)))
PRIMITIVES["argmin"] = Primitive("reduction", _infer_arg, lambda a, axis: np.asarray(np.argmin(a, axis)))

# -- views -------------------------------------------------------------------------------------------------------


def _infer_reshape(args: list[Spec], params: Params) -> list[Spec]:
    shape = params["shape"]
    if math.prod(shape) != math.prod(args[0].shape):
        raise ValueError(f"{args[0].shape} to {shape}")
    return [Spec(shape, args[0].dtype)]


def _infer_transpose(args: list[Spec], params: Params) -> list[Spec]:
    axes = params["axes"]
    if sorted(axes) != list(range(len(args[0].shape))):
        raise ValueError(f"axes {axes} of {args[0].shape}")
    return [Spec(tuple(args[0].shape[i] for i in axes), args[0].dtype)]


def _infer_broadcast(args: list[Spec], params: Params) -> list[Spec]:
    shape: tuple[int, ...] = params["shape"]
    if np.broadcast_shapes(args[0].shape, shape) != shape:
        raise ValueError(f"{args[0].shape} to {shape}")
    return [Spec(shape, args[0].dtype)]


def slice_length(start: int, stop: int, step: int) -> int:
    """How many positions a normalised slice selects."""
    return len(range(start, stop, step))


def _infer_slice(args: list[Spec], params: Params) -> list[Spec]:
    (a,) = args
    slices = params["slices"]
    if len(slices) != len(a.shape):
        raise ValueError(f"{len(slices)} slices of {a.shape}")
    return [Spec(tuple(slice_length(*s) for s in slices), a.dtype)]


def numpy_slices(slices: Any) -> tuple[slice, ...]:
    """Normalised (start, stop, step) triples as slices; a stop before the first element is None."""
    return tuple(slice(start, stop if stop >= 0 else None, step) for start, stop, step in slices)


PRIMITIVES["reshape"] = Primitive("view", _infer_reshape, lambda a, shape: np.reshape(a, shape))
PRIMITIVES["transpose"] = Primitive("view", _infer_transpose, lambda a, axes: np.transpose(a, axes))
PRIMITIVES["broadcast"] = Primitive("view", _infer_broadcast, lambda a, shape: np.broadcast_to(a, shape))
PRIMITIVES["slice"] = Primitive("view", _infer_slice, lambda a, slices: a[numpy_slices(slices)])

# -- products ----------------------------------------------------------------------------------------------------


def _infer_dot(args: list[Spec], params: Params) -> list[Spec]:
    """(..., n, k) @ (..., k, m), batches equal; `ta` and `tb` say that the last two axes are exchanged."""
    a, b = args
    if len(a.shape) != len(b.shape) or len(a.shape) < 2 or a.shape[:-2] != b.shape[:-2] or a.dtype != b.dtype:
        raise ValueError(f"{a} @ {b}")
    n, k = a.shape[-2:][:: -1 if params.get("ta") else 1]
    k2, m = b.shape[-2:][:: -1 if params.get("tb") else 1]
    if k != k2:
        raise ValueError(f"{a.shape} @ {b.shape}, {dict(params)}")
    return [Spec((*a.shape[:-2], n, m), a.dtype)]


def _dot(a: Any, b: Any, ta: bool = False, tb: bool = False) -> Any:
    return np.matmul(np.swapaxes(a, -1, -2) if ta else a, np.swapaxes(b, -1, -2) if tb else b)


def _infer_dot_add(args: list[Spec], params: Params) -> list[Spec]:
    found = _infer_dot(args[1:], params)
    if found != [args[0]]:
        raise ValueError(f"{args[0]} + {found[0]}")
    return found


PRIMITIVES["dot"] = Primitive("product", _infer_dot, _dot)
PRIMITIVES["dot_add"] = Primitive("product", _infer_dot_add, lambda c, a, b, **flags: c + _dot(a, b, **flags))

# -- movement ----------------------------------------------------------------------------------------------------


def _infer_concatenate(args: list[Spec], params: Params) -> list[Spec]:
    axis = params["axis"]
    first = args[0]
    for a in args:
        if (*a.shape[:axis], *a.shape[axis + 1 :]) != (*first.shape[:axis], *first.shape[axis + 1 :]):
            raise ValueError(f"{[a.shape for a in args]} along {axis}")
        if a.dtype != first.dtype:
            raise TypeError(f"{[a.dtype for a in args]}")
    shape = list(first.shape)
    shape[axis] = sum(a.shape[axis] for a in args)
    return [Spec(tuple(shape), first.dtype)]


def _infer_update(args: list[Spec], params: Params) -> list[Spec]:
    base, value = args
    expected = tuple(slice_length(*s) for s in params["slices"])
    if value.shape != expected or base.dtype != value.dtype:
        raise ValueError(f"{value} into {expected} of {base}")
    return [base]


def _update(base: Any, value: Any, slices: Any) -> Any:
    out = np.array(base)
    out[numpy_slices(slices)] = value
    return out


def _infer_take(args: list[Spec], params: Params) -> list[Spec]:
    a, i = args
    axis = params["axis"]
    return [Spec((*a.shape[:axis], *i.shape, *a.shape[axis + 1 :]), a.dtype)]


def _example(a: Spec, index: list[Spec], template: Any) -> tuple[int, ...]:
    """The shape of a[index], found on an array without memory of its own."""
    base: Any = np.broadcast_to(np.zeros((), np.int8), a.shape)
    return tuple(base[filled(template, [np.zeros(i.shape, np.intp) for i in index])].shape)


def _scatter_add(values: Any, *index: Any, template: Any, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, values.dtype)
    np.add.at(out, filled(template, index), values)
    return out


def _put(a: Any, value: Any, *index: Any, template: Any) -> Any:
    out = np.array(a, order="K")
    out[filled(template, index)] = value
    return out


def _infer_add_rows(args: list[Spec], params: Params) -> list[Spec]:
    base, values, index = args
    if values != Spec((*index.shape, *base.shape[1:]), base.dtype) or len(index.shape) != 1:
        raise ValueError(f"{values} at {index} of {base}")
    return [base]


def _add_rows(base: Any, values: Any, index: Any) -> Any:
    """What there is for each row is added up first; rows that are not named stay as they are, zeros of both signs too."""
    out = np.array(base, order="K")
    out[index] += _scatter_add(values, index, template=(Hole(0),), shape=base.shape)[index]
    return out


PRIMITIVES["concatenate"] = Primitive(
    "movement", _infer_concatenate, lambda *arrays, axis: np.concatenate(arrays, axis)
)
PRIMITIVES["update"] = Primitive("movement", _infer_update, _update)
PRIMITIVES["take"] = Primitive("movement", _infer_take, lambda a, i, axis: np.take(a, i, axis))
PRIMITIVES["index"] = Primitive(
    "movement",
    lambda args, p: [Spec(_example(args[0], args[1:], p["template"]), args[0].dtype)],
    lambda a, *index, template: a[filled(template, index)],
)
PRIMITIVES["scatter_add"] = Primitive("movement", lambda args, p: [Spec(p["shape"], args[0].dtype)], _scatter_add)
PRIMITIVES["put"] = Primitive("movement", lambda args, p: [args[0]], _put)
PRIMITIVES["add_rows"] = Primitive("movement", _infer_add_rows, _add_rows)

# -- what is called ----------------------------------------------------------------------------------------------


def note_line(error: BaseException, line: str, what: str = "raised") -> None:
    """Say in an error of a compiled program which line of the user's code it comes from, unless it is said already."""
    if line and not any(_NOTE in note for note in getattr(error, "__notes__", ())):
        error.add_note(f"{what} {_NOTE}, at {line}")


_NOTE = "in a compiled program"


class Resized(Exception):
    """Values say another number of elements than when the program was captured."""


def caller(
    op: Any, template: Mapping[str, Any], specs: Sequence[Spec | None], sized: bool = False, line: str = ""
) -> Callable[[Sequence[Any]], Any]:
    """The call of an op as a function of the arrays that its template has holes for.

    Args:
        op, template, specs: what is called, on what, and what it gave.
        sized: whether the values of its inputs may say how many elements it gives: then it raises `Resized` where they
            say another number.
        line: the line of the user's code, for errors.
    """
    names = [a.name for a in op.arguments if not a.keyword_only]
    holes = [t.position if isinstance(t := template[n], Hole) else None for n in names]
    trees = {i: template[n] for i, n in enumerate(names) if holes[i] is None}
    fixed = [trees.get(i) for i in range(len(names))]
    nested = [i for i, t in trees.items() if _has_holes(t)]
    options = {a.name: template[a.name] for a in op.arguments if a.keyword_only}
    forward = op.checked()

    def call(args: Sequence[Any]) -> Any:
        given = [t if i is None else args[i] for i, t in zip(holes, fixed, strict=True)]
        for i in nested:
            given[i] = filled(fixed[i], args)
        try:
            out = forward(*given, **{name: filled(t, args) for name, t in options.items()})
        except Exception as error:
            note_line(error, line, f"raised by op {op.name!r}")
            raise
        outs = tuple(map(np.asarray, out)) if isinstance(out, (tuple, list)) else (np.asarray(out),)
        for found, spec in zip(outs, specs, strict=True):
            if spec is not None and (found.shape != spec.shape or found.dtype != spec.dtype):
                if sized:
                    raise Resized
                raise ValueError(
                    f"{line and f'{line}: '}op {op.name!r} gave {found.dtype} {found.shape} in a compiled program, and "
                    f"{spec.dtype} {spec.shape} when it was captured: its shape and dtype must not depend on the values of its "
                    "inputs"
                )
        return outs[0] if len(outs) == 1 else outs

    return call


def _has_holes(template: Any) -> bool:
    return isinstance(template, Hole) or (isinstance(template, (list, tuple)) and any(map(_has_holes, template)))


def _call(*args: Any, op: Any, template: Any, specs: Any, effect: bool = False, sized: bool = False) -> Any:
    return caller(op, template, specs, sized)(args)


#: What stands for a result that nobody uses.
UNUSED = Spec((), np.dtype(bool))
PRIMITIVES["call"] = Primitive("call", lambda args, p: [UNUSED if s is None else s for s in p["specs"]], _call)
