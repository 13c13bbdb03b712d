"""The primitives that programs are made of, in one table: the common language of ops, compiler and backends.

A row says what a primitive computes, and which shape and dtype that has. `evaluate` is its meaning, in plain NumPy that runs
on tensors too; every backend is held against it. [The table](../../docs/primitives.md) is printed from here. Derivatives are in
`derivatives`, and those of what is not elementwise in `pullback`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol

import numpy as np

from tapenet.program.called_ops import Called, Hole, call, filled
from tapenet.program.derivatives import arguments, safe_mul
from tapenet.typing import Array, DType, Shape

Params = Mapping[str, Any]
#: Start, stop and step by axis, without negative positions.
Slices = Sequence[tuple[int, int, int]]
#: What a primitive gives: an array, or a tuple of them.
Results = Array | tuple[Array, ...]


class Spec(NamedTuple):
    """Shape and dtype of a value."""

    shape: Shape
    dtype: np.dtype


@dataclass(frozen=True, slots=True)
class Primitive:
    """A row of the table.

    Attributes:
        kind: elementwise, reduction, view, product, movement, control or call.
        infer: shapes and dtypes of the results, from those of the arguments and the parameters. It raises a ValueError or a
            TypeError where they do not fit.
        evaluate: what it computes: a function of the arguments, with the parameters by name.
        args: what the arguments are called.
        computes: what it computes, in words or NumPy.
        gives: the shape and dtype of that, in words.
    """

    kind: str
    infer: Callable[[Sequence[Spec], Params], list[Spec]]
    evaluate: Callable[..., Results]
    args: str
    computes: str
    gives: str


#: The table.
PRIMITIVES: dict[str, Primitive] = {}
#: The rows that are not tapenet's own, and what whoever added them calls them.
ADDED: dict[str, str] = {}
#: The parameters of loops and branches that are programs.
BODIES = {"loop": ("body",), "while": ("test", "body"), "branch": ("true", "false")}

# -- element by element ------------------------------------------------------------------------------------------

#: The elementwise primitives that broadcast, by how many arguments they take. Most are NumPy's ufuncs of these names.
NAMES: dict[int, tuple[str, ...]] = {
    1: (
        "absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "ceil", "conjugate", "cos", "cosh",
        "erf", "erfc", "exp", "exp2", "expm1", "fabs", "floor", "imag", "invert", "isfinite", "isinf", "isnan", "log", "log10",
        "log1p", "log2", "logical_not", "negative", "normal_cdf", "positive", "reciprocal", "rint", "sign", "signbit", "sin",
        "sinh", "sqrt", "square", "tan", "tanh", "trunc",
    ),
    2: (
        "add", "arctan2", "bitwise_and", "bitwise_or", "bitwise_xor", "copysign", "divide", "equal", "floor_divide", "fmax",
        "fmin", "fmod", "greater", "greater_equal", "hypot", "left_shift", "less", "less_equal", "logaddexp", "logical_and",
        "logical_or", "logical_xor", "maximum", "minimum", "multiply", "not_equal", "power", "remainder", "right_shift",
        "subtract", "safe_mul",
    ),
    3: ("where",),
}  # fmt: skip
#: The same primitive under the other names that NumPy's ufuncs have.
ALIASES = {"true_divide": "divide", "mod": "remainder", "abs": "absolute", "pow": "power", "bitwise_not": "invert"}


def _power(x: Array, y: Array) -> Array:
    return x**y


def _imag(x: Array) -> Array:
    found: Array = np.positive(x.imag)  # no view
    return found


#: Those of `scipy.special`, and what they are called there.
_SPECIAL = {"erf": "erf", "erfc": "erfc", "normal_cdf": "ndtr"}
#: What is no ufunc of that name, and what it computes.
_OTHERS: dict[str, tuple[Callable[..., Array], str]] = {
    "imag": (_imag, "np.imag(x)"),
    "power": (_power, "x**y"),
    "safe_mul": (safe_mul, "x * y, but 0 wherever x or y is 0, also where the other is infinite or nan"),
    "where": (np.where, "np.where(condition, x, y)"),
}


def function(name: str) -> Callable[..., Array]:
    """The function of arrays behind an elementwise primitive."""
    found: Callable[..., Array]
    if name in _SPECIAL:
        import scipy.special  # which is large: only a program that needs it loads it

        found = getattr(scipy.special, _SPECIAL[name])
    else:
        found = _OTHERS[name][0] if name in _OTHERS else getattr(np, name)
    return found


#: A dtype, or the Python type of a number, which is weak.
Given = np.dtype | type


@lru_cache(maxsize=4096)
def loop_dtypes(name: str, given: tuple[Given, ...]) -> tuple[np.dtype, ...]:
    """Dtypes of the arguments and the result when an elementwise primitive is applied to these dtypes; a Python type
    (int, float, bool, complex) stands for a weak scalar.

    Raises:
        TypeError: there is no such loop.
    """
    if name == "where":
        result = np.result_type(*(d if isinstance(d, np.dtype) else d() for d in given[1:]))
        return np.dtype(bool), result, result, result
    if name in _SPECIAL and given[0] in (np.float32, np.float64):
        dtype = np.dtype(given[0])
        return dtype, dtype
    if name == "imag":
        dtype = np.dtype(given[0])
        return dtype, dtype.type(0).imag.dtype
    given = tuple(np.dtype(bool) if d is bool else d for d in given)  # which is not weak
    ufunc: Any = {"safe_mul": np.multiply, "power": np.power}.get(name) or function(name)
    loop: tuple[np.dtype, ...] = ufunc.resolve_dtypes((*given, None))
    return loop


def _elementwise(name: str, args: Sequence[Spec], params: Params) -> list[Spec]:
    return [_result(name, *args)]


@lru_cache(maxsize=4096)
def _result(name: str, *args: Spec) -> Spec:
    dtypes = tuple(a.dtype for a in args)
    *wanted, result = loop_dtypes(name, dtypes)
    if tuple(wanted) != dtypes:
        raise TypeError(f"no loop of {name} for {list(dtypes)}, only {wanted}")
    first = args[0].shape
    if all(a.shape == first or not a.shape for a in args):  # the usual case
        return Spec(first, result)
    return Spec(np.broadcast_shapes(*(a.shape for a in args)), result)


def _evaluated(name: str, *args: Array) -> Array:
    return function(name)(*args)


for _count, _names in NAMES.items():
    for _name in _names:
        _args = ", ".join(arguments(_name)[:_count])
        _called = f"scipy.special.{_SPECIAL[_name]}" if _name in _SPECIAL else f"np.{_name}"
        _computes = _OTHERS[_name][1] if _name in _OTHERS else f"{_called}({_args})"
        PRIMITIVES[_name] = Primitive(
            "elementwise", partial(_elementwise, _name), partial(_evaluated, _name), _args, _computes, ""
        )  # fmt: skip


def add_elementwise(name: str, title: str, run: Callable[..., Array], args: str, computes: str) -> None:
    """Add a row of an elementwise primitive: `run` is a ufunc, whose loops say which dtypes there are."""
    _OTHERS[name] = run, computes
    ADDED[name] = title
    PRIMITIVES[name] = Primitive(
        "elementwise", partial(_elementwise, name), partial(_evaluated, name), args, computes, ""
    )


def _cast(x: Array, dtype: DType) -> Array:
    """Of complex numbers the real part, as the gradient of a real number that became complex: NumPy would warn of that."""
    return (x.real if x.dtype.kind == "c" and np.dtype(dtype).kind not in "bc" else x).astype(dtype)


PRIMITIVES["cast"] = Primitive(
    "elementwise", lambda args, p: [Spec(args[0].shape, p["dtype"])], _cast,
    "x", "x.astype(dtype)", "the shape of x, `dtype`",
)  # fmt: skip
PRIMITIVES["copy"] = Primitive(
    "elementwise", lambda args, p: [args[0]], lambda x, row_major=False: np.copy(x),
    "x", "x in memory of its own", "as x",
)  # fmt: skip

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


def _reduced(args: Sequence[Spec], params: Params) -> list[Spec]:
    (x,) = args
    axes: Shape = params["axes"]
    if axes != tuple(sorted(set(axes))) or any(not 0 <= i < len(x.shape) for i in axes):
        raise ValueError(f"axes {axes} of {x.shape}")
    return [Spec(tuple(n for i, n in enumerate(x.shape) if i not in axes), x.dtype)]


def _searched(args: Sequence[Spec], params: Params) -> list[Spec]:
    (x,) = args
    return [Spec(tuple(n for i, n in enumerate(x.shape) if i != params["axis"]), np.dtype(np.intp))]


for _name, _run in {
    "reduce_add": lambda x, axes: np.sum(x, axis=axes, dtype=x.dtype),
    "reduce_multiply": lambda x, axes: np.prod(x, axis=axes, dtype=x.dtype),
    "reduce_maximum": lambda x, axes: np.max(x, axis=axes),
    "reduce_minimum": lambda x, axes: np.min(x, axis=axes),
    "reduce_logical_and": lambda x, axes: np.all(x, axis=axes),
    "reduce_logical_or": lambda x, axes: np.any(x, axis=axes),
}.items():
    PRIMITIVES[_name] = Primitive(
        "reduction", _reduced, _run, "x", f"np.{REDUCTIONS[_name].__name__}.reduce(x, axis=axes)",
        "the shape of x without `axes`, the dtype of x",
    )  # fmt: skip
PRIMITIVES["argmax"] = Primitive(
    "reduction", _searched, lambda x, axis: np.asarray(np.argmax(x, axis)),
    "x", "np.argmax(x, axis)", "the shape of x without `axis`, intp",
)  # fmt: skip
PRIMITIVES["argmin"] = Primitive(
    "reduction", _searched, lambda x, axis: np.asarray(np.argmin(x, axis)),
    "x", "np.argmin(x, axis)", "the shape of x without `axis`, intp",
)  # fmt: skip

# -- views -------------------------------------------------------------------------------------------------------


def _reshaped(args: Sequence[Spec], params: Params) -> list[Spec]:
    shape = params["shape"]
    if math.prod(shape) != math.prod(args[0].shape):
        raise ValueError(f"{args[0].shape} to {shape}")
    return [Spec(shape, args[0].dtype)]


def _transposed(args: Sequence[Spec], params: Params) -> list[Spec]:
    axes = params["axes"]
    if sorted(axes) != list(range(len(args[0].shape))):
        raise ValueError(f"axes {axes} of {args[0].shape}")
    return [Spec(tuple(args[0].shape[i] for i in axes), args[0].dtype)]


def _broadcast(args: Sequence[Spec], params: Params) -> list[Spec]:
    shape: Shape = params["shape"]
    if np.broadcast_shapes(args[0].shape, shape) != shape:
        raise ValueError(f"{args[0].shape} to {shape}")
    return [Spec(shape, args[0].dtype)]


def _selected(slices: Slices, shape: Shape) -> Shape:
    """The shape of the part of an array that slices select. Beyond its end native code would read what is not there."""
    picked = [range(*s) for s in slices]
    if len(picked) != len(shape):
        raise ValueError(f"{len(picked)} slices of {shape}")
    if any(r and (min(r[0], r[-1]) < 0 or max(r[0], r[-1]) >= n) for r, n in zip(picked, shape, strict=True)):
        raise ValueError(f"slices {slices} of {shape}")
    return tuple(map(len, picked))


def _sliced(args: Sequence[Spec], params: Params) -> list[Spec]:
    (x,) = args
    return [Spec(_selected(params["slices"], x.shape), x.dtype)]


def numpy_slices(slices: Slices) -> tuple[slice, ...]:
    """Normalised (start, stop, step) triples as slices; a stop before the first element is None."""
    return tuple(slice(start, stop if stop >= 0 else None, step) for start, stop, step in slices)


PRIMITIVES["reshape"] = Primitive(
    "view", _reshaped, lambda x, shape: np.reshape(x, shape),
    "x", "np.reshape(x, shape), in row-major order", "`shape`, the dtype of x",
)  # fmt: skip
PRIMITIVES["transpose"] = Primitive(
    "view", _transposed, lambda x, axes: np.transpose(x, axes),
    "x", "np.transpose(x, axes)", "the axes of x in the order `axes`, the dtype of x",
)  # fmt: skip
PRIMITIVES["broadcast"] = Primitive(
    "view", _broadcast, lambda x, shape: np.broadcast_to(x, shape),
    "x", "np.broadcast_to(x, shape)", "`shape`, the dtype of x",
)  # fmt: skip
PRIMITIVES["slice"] = Primitive(
    "view", _sliced, lambda x, slices: x[numpy_slices(slices)],
    "x", "x[start:stop:step, ...], a triple for each axis in `slices`", "what the slices select, the dtype of x",
)  # fmt: skip

PRIMITIVES["barrier"] = Primitive(
    "view", lambda args, p: [args[0]], lambda x, after: x,
    "x, after", "x, once `after` is computed; no pass looks through it", "as x",
)  # fmt: skip


def _conditional(args: Sequence[Spec], params: Params) -> list[Spec]:
    if args[1] != Spec((), np.dtype(bool)):
        raise ValueError(f"a condition of {args[1]}")
    return [args[0]]


#: How the error begins of an index that is out of bounds, where native code does not say which.
OUT_OF_BOUNDS = "an index is out of bounds in a compiled program"


def out_of_bounds(where: str) -> str:
    """What is wrong where an index is, at a line of the user's code, or one of several."""
    return (
        f"{OUT_OF_BOUNDS} (class indices of a loss, rows of an embedding, t[index])"
        f"{where and f', at {where}'}: call the function without tn.compile to see more"
    )


def _provided(
    x: Array, wrong: Array, error: type[Exception], text: str, sized: bool = False, always: bool = False
) -> Array:
    if wrong:
        raise error(text)
    return np.array(x, order="K")


PRIMITIVES["provided"] = Primitive(
    "movement", _conditional, _provided,
    "x, wrong", "x; where `wrong` holds, raises `error(text)`, with `always` also if nobody uses x",
    "as x",
)  # fmt: skip

# -- products ----------------------------------------------------------------------------------------------------


def _multiplied(args: Sequence[Spec], params: Params) -> list[Spec]:
    a, b = args
    if len(a.shape) != len(b.shape) or len(a.shape) < 2 or a.shape[:-2] != b.shape[:-2] or a.dtype != b.dtype:
        raise ValueError(f"{a} @ {b}")
    n, k = a.shape[-2:][:: -1 if params.get("ta") else 1]
    k2, m = b.shape[-2:][:: -1 if params.get("tb") else 1]
    if k != k2:
        raise ValueError(f"{a.shape} @ {b.shape}, {dict(params)}")
    return [Spec((*a.shape[:-2], n, m), a.dtype)]


def _accumulated(args: Sequence[Spec], params: Params) -> list[Spec]:
    found = _multiplied(args[1:], params)
    if found != [args[0]]:
        raise ValueError(f"{args[0]} + {found[0]}")
    return found


def _dot(a: Array, b: Array, ta: bool = False, tb: bool = False) -> Array:
    product: Array = np.matmul(np.swapaxes(a, -1, -2) if ta else a, np.swapaxes(b, -1, -2) if tb else b)
    return product


PRIMITIVES["dot"] = Primitive(
    "product", _multiplied, _dot,
    "a, b", "a @ b; with `ta` or `tb` the last two axes of a or b are exchanged",
    "(..., n, m) of (..., n, k) and (..., k, m), the dtype of both",
)  # fmt: skip
PRIMITIVES["dot_add"] = Primitive(
    "product", _accumulated, lambda c, a, b, **flags: c + _dot(a, b, **flags),
    "c, a, b", "c + a @ b, as `dot`", "as c",
)  # fmt: skip

# -- movement ----------------------------------------------------------------------------------------------------


def _joined(args: Sequence[Spec], params: Params) -> list[Spec]:
    axis = params["axis"]
    first = args[0]
    for a in args:
        if (*a.shape[:axis], *a.shape[axis + 1 :]) != (*first.shape[:axis], *first.shape[axis + 1 :]):
            raise ValueError(f"{[a.shape for a in args]} along {axis}")
        if a.dtype != first.dtype:
            raise TypeError(f"{[a.dtype for a in args]}")
    length = sum(a.shape[axis] for a in args)
    return [Spec((*first.shape[:axis], length, *first.shape[axis + 1 :]), first.dtype)]


def _updated(args: Sequence[Spec], params: Params) -> list[Spec]:
    x, value = args
    expected = _selected(params["slices"], x.shape)
    if value.shape != expected or x.dtype != value.dtype:
        raise ValueError(f"{value} into {expected} of {x}")
    return [x]


def _update(x: Array, value: Array, slices: Slices) -> Array:
    out = np.array(x)
    out[numpy_slices(slices)] = value
    return out


def _taken(args: Sequence[Spec], params: Params) -> list[Spec]:
    x, i = args
    axis = params["axis"]
    return [Spec((*x.shape[:axis], *i.shape, *x.shape[axis + 1 :]), x.dtype)]


def _indexed(args: Sequence[Spec], params: Params) -> list[Spec]:
    x, *index = args
    example: Array = np.broadcast_to(np.zeros((), np.int8), x.shape)  # of no memory
    found = example[filled(params["template"], [np.zeros(i.shape, np.intp) for i in index])]
    return [Spec(found.shape, x.dtype)]


def _scatter_add(values: Array, *index: Array, template: object, shape: Shape) -> Array:
    out = np.zeros(shape, values.dtype)
    np.add.at(out, filled(template, index), values)
    return out


def put_at(x: Array, value: Array, index: object) -> Array:
    """A copy of an array with values at an index."""
    out = np.array(x, order="K")
    out[index] = value  # type: ignore[call-overload]  # what the template of an index gives
    return out


def _put(x: Array, value: Array, *index: Array, template: object) -> Array:
    return put_at(x, value, filled(template, index))


def _add_at(x: Array, values: Array, *index: Array, template: object) -> Array:
    out = np.array(x, order="K")
    np.add.at(out, filled(template, index), values)
    return out


def _added_rows(args: Sequence[Spec], params: Params) -> list[Spec]:
    x, values, index = args
    if values != Spec((*index.shape, *x.shape[1:]), x.dtype) or len(index.shape) != 1:
        raise ValueError(f"{values} at {index} of {x}")
    return [x]


def _add_rows(x: Array, values: Array, index: Array) -> Array:
    out = np.array(x, order="K")  # rows that are not named stay as they are, zeros of both signs too
    out[index] += _scatter_add(values, index, template=(Hole(0),), shape=x.shape)[index]
    return out


PRIMITIVES["concatenate"] = Primitive(
    "movement", _joined, lambda *arrays, axis: np.concatenate(arrays, axis),
    "*arrays", "np.concatenate(arrays, axis)", "their lengths along `axis` added up, their dtype",
)  # fmt: skip
PRIMITIVES["update"] = Primitive(
    "movement", _updated, _update,
    "x, value", "a copy of x with `value` at a slice, as `slice` selects it", "as x",
)  # fmt: skip
PRIMITIVES["take"] = Primitive(
    "movement", _taken, lambda x, i, axis: np.take(x, i, axis),
    "x, i", "np.take(x, i, axis)", "the shape of x with that of i in place of `axis`, the dtype of x",
)  # fmt: skip
PRIMITIVES["index"] = Primitive(
    "movement", _indexed, lambda x, *index, template: x[filled(template, index)],
    "x, *index", "x[template], holes filled with the arrays of integers `index`", "as NumPy's index, the dtype of x",
)  # fmt: skip
PRIMITIVES["put"] = Primitive(
    "movement", lambda args, p: [args[0]], _put,
    "x, value, *index", "a copy of x with `value` at x[template], as `index` selects it", "as x",
)  # fmt: skip
PRIMITIVES["scatter_add"] = Primitive(
    "movement", lambda args, p: [Spec(p["shape"], args[0].dtype)], _scatter_add,
    "values, *index", "zeros with `values` added at [template]; repeated positions accumulate", "`shape`, the dtype of values",
)  # fmt: skip
PRIMITIVES["add_at"] = Primitive(
    "movement", lambda args, p: [args[0]], _add_at,
    "x, values, *index", "a copy of x with `values` added at x[template]; repeated positions accumulate", "as x",
)  # fmt: skip
PRIMITIVES["add_rows"] = Primitive(
    "movement", _added_rows, _add_rows,
    "x, values, index", "a copy of x with `values` added to the rows `index`, what belongs to one row first added up", "as x",
)  # fmt: skip

# -- loops and branches ------------------------------------------------------------------------------------------


class Typed(Protocol):
    """A value of a program, as far as its shape and dtype go."""

    @property
    def shape(self) -> Shape: ...
    @property
    def dtype(self) -> np.dtype: ...


class Body(Protocol):
    """A program that is a parameter of a loop or branch. It has no references, hosts and writes: all that it reads comes
    in, and what it changes goes out and comes in again at the next turn."""

    @property
    def inputs(self) -> Sequence[Typed]: ...
    @property
    def outputs(self) -> Sequence[Typed]: ...
    def evaluate(self, arrays: Sequence[Array]) -> list[Array]: ...


def _specs(values: Sequence[Typed]) -> list[Spec]:
    return [Spec(v.shape, v.dtype) for v in values]


def _looped(args: Sequence[Spec], params: Params) -> list[Spec]:
    body, carries, slices, length = params["body"], params["carries"], params["slices"], params["length"]
    for x in args[carries : carries + slices]:
        if not x.shape or x.shape[0] != length:
            raise ValueError(f"{x.shape} has no {length} slices")
    xs = [Spec(x.shape[1:], x.dtype) for x in args[carries : carries + slices]]
    given = [*args[:carries], *xs, *args[carries + slices :]]
    if given != _specs(body.inputs):
        raise ValueError(f"a body that takes {_specs(body.inputs)} is given {given}")
    outs = _specs(body.outputs)
    if outs[:carries] != list(args[:carries]):
        raise ValueError(f"carries {args[:carries]} become {outs[:carries]}")
    return [*outs[:carries], *(Spec((length, *s.shape), s.dtype) for s in outs[carries:])]


def turns(body: Callable[..., Sequence[Array]], params: Params) -> Callable[..., tuple[Array, ...]]:
    """A loop as a function of its arguments.

    Args:
        body: runs one turn; its results are new arrays.
        params: the loop's.
    """
    carries, slices, length = params["carries"], params["slices"], params["length"]
    stacked = [((length, *v.shape), v.dtype) for v in params["body"].outputs[carries:]]
    order = range(length)[:: -1 if params.get("reverse") else 1]

    def run(*args: Array) -> tuple[Array, ...]:
        carried: Sequence[Array] = args[:carries] if length else [np.copy(a) for a in args[:carries]]
        xs, rest = args[carries : carries + slices], args[carries + slices :]
        columns = [np.empty(shape, dtype) for shape, dtype in stacked]
        for i in order:
            results = body(*carried, *[x[i, ...] for x in xs], *rest)
            carried = results[:carries]
            for column, y in zip(columns, results[carries:], strict=True):
                column[i] = y
        return (*carried, *columns)

    return run


def _loop(*args: Array, body: Body, **params: object) -> Results:
    outs = turns(lambda *given: body.evaluate(given), {"body": body, **params})(*args)
    return outs[0] if len(outs) == 1 else outs


def _repeated(args: Sequence[Spec], params: Params) -> list[Spec]:
    test, body, carries = params["test"], params["body"], params["carries"]
    for program in (test, body):
        if _specs(program.inputs) != list(args):
            raise ValueError(f"a body that takes {_specs(program.inputs)} is given {list(args)}")
    if _specs(test.outputs) != [Spec((), np.dtype(bool))]:
        raise ValueError(f"a test that gives {_specs(test.outputs)}")
    outs = _specs(body.outputs)
    if outs[:carries] != list(args[:carries]):
        raise ValueError(f"carries {args[:carries]} become {outs[:carries]}")
    return [*outs[:carries], *(Spec((params["length"], *s.shape), s.dtype) for s in outs[carries:])]


def too_long(length: int) -> str:
    """What is wrong where a `while` goes on after so many turns."""
    return (
        f"tn.while_loop: cond still holds after max_turns={length} turns: give a larger max_turns, or carry a count of the "
        "turns and have cond stop there"
    )


def repeats(
    test: Callable[..., Sequence[Array]], body: Callable[..., Sequence[Array]], params: Params
) -> Callable[..., tuple[Array, ...]]:
    """A `while` as a function of its arguments, as `turns` for a loop. It raises a RuntimeError if it goes on too long."""
    carries: int = params["carries"]
    length: int = params.get("length", -1)
    stacked = [((length, *v.shape), v.dtype) for v in params["body"].outputs[carries:]]

    def run(*args: Array) -> tuple[Array, ...]:
        carried: Sequence[Array] = args[:carries]
        others = args[carries:]
        columns = [np.empty(shape, dtype) for shape, dtype in stacked]
        done = 0
        while test(*carried, *others)[0]:
            if done == length:
                raise RuntimeError(too_long(done))
            results = body(*carried, *others)
            carried = results[:carries]
            for column, y in zip(columns, results[carries:], strict=True):
                column[done] = y
            done += 1
        return (*(carried if done else map(np.copy, carried)), *columns)

    return run


def _while(*args: Array, test: Body, body: Body, **params: object) -> Results:
    run = repeats(lambda *x: test.evaluate(x), lambda *x: body.evaluate(x), {"body": body, **params})
    outs = run(*args)
    return outs[0] if len(outs) == 1 else outs


def _branched(args: Sequence[Spec], params: Params) -> list[Spec]:
    condition, *rest = args
    if condition != Spec((), np.dtype(bool)):
        raise ValueError(f"a condition of {condition}")
    true, false = params["true"], params["false"]
    for body in (true, false):
        if _specs(body.inputs) != rest:
            raise ValueError(f"a body that takes {_specs(body.inputs)} is given {rest}")
    if _specs(true.outputs) != _specs(false.outputs):
        raise ValueError(f"branches that give {_specs(true.outputs)} and {_specs(false.outputs)}")
    return _specs(true.outputs)


def _branch(condition: Array, *args: Array, true: Body, false: Body, **flags: bool) -> Results:
    outs = tuple((true if condition else false).evaluate(args))
    return outs[0] if len(outs) == 1 else outs


PRIMITIVES["loop"] = Primitive(
    "control", _looped, _loop, "*carried, *xs, *others",
    "the program `body`, `length` times: of what is carried (`carries` arrays), a slice of each of the next `slices` arrays, "
    "and the others as they are; from the last slice to the first with `reverse`",
    "what is carried after the last turn, then the other results of all turns, stacked",
)  # fmt: skip
PRIMITIVES["while"] = Primitive(
    "control", _repeated, _while, "*carried, *others",
    "the program `body`, as long as the program `test` gives true: of what is carried (`carries` arrays) and the others as "
    "they are; with `length` that is an error after so many turns",
    "what is carried at the end, then, with `length`, the other results of each turn, stacked; rows of turns that were not "
    "made hold anything",
)  # fmt: skip
PRIMITIVES["branch"] = Primitive(
    "control", _branched, _branch, "condition, *args",
    "the program `true` or the program `false` of the other arguments", "what both programs give",
)  # fmt: skip

# -- what is called ----------------------------------------------------------------------------------------------


class Applied(Protocol):
    """A function of arrays that knows its derivatives (`program.functions`), as far as a program knows it."""

    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> Sequence[Spec]: ...
    @property
    def outputs(self) -> Sequence[Spec]: ...
    def evaluate(self, arrays: Sequence[Array]) -> list[Array]: ...


def _applied(args: Sequence[Spec], params: Params) -> list[Spec]:
    function = params["function"]
    if list(args) != list(function.inputs):
        raise ValueError(f"{function.name} takes {list(function.inputs)}, and is given {list(args)}")
    return list(function.outputs)


def _apply(*args: Array, function: Applied) -> Results:
    outs = tuple(function.evaluate(args))
    return outs[0] if len(outs) == 1 else outs


PRIMITIVES["apply"] = Primitive(
    "call", _applied, _apply, "*args",
    "the function `function`, which knows its derivatives; there until a program is expanded", "what the function gives",
)  # fmt: skip
PRIMITIVES["stop"] = Primitive(
    "elementwise", lambda args, p: [args[0]], lambda x: x, "x",
    "x, whose derivative is 0; there until a program is expanded", "as x",
)  # fmt: skip

#: What stands for a result that nobody uses.
UNUSED = Spec((), np.dtype(bool))


def _call(
    *args: Array, op: Called, template: Params, specs: Sequence[Spec | None], sized: bool = False, **flags: bool
) -> Results:
    return call(op, template, specs, sized, args)


PRIMITIVES["call"] = Primitive(
    "call", lambda args, p: [UNUSED if s is None else s for s in p["specs"]], _call, "*args",
    "the op `op` as it stands, its arguments given by `template`", "`specs`, as the op gave when it was captured",
)  # fmt: skip
