"""Linear algebra as rows of the table of primitives: NumPy's functions of matrices, once for each place in the leading axes.

Native code runs the loops that NumPy runs (`native/linear_algebra`), so that results, and what is refused, are NumPy's. So are
products of complex matrices; those of real ones are `dot`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tapenet.program import batching
from tapenet.program.batching import Lanes
from tapenet.program.ir import Instruction, Value
from tapenet.program.low import real_of
from tapenet.program.primitives import PRIMITIVES, Params, Primitive, Results, Spec
from tapenet.program.symbols import FUNCTIONS, CannotLower, Operand, Symbol, array_of, builder_of, elementwise
from tapenet.typing import Array


class Row(NamedTuple):
    """What is said of a primitive.

    Attributes:
        run: NumPy's function. What it is given by name beside the arrays are the parameters.
        args: what the arrays are called.
        sizes: from the parameters the sizes of the last axes, as "(m,n)->(m,k),(k)"; k is the smaller one of m and n.
        loops: from the parameters the names of NumPy's ufuncs, which native code runs one after the other.
        dtypes: the characters of the dtypes that it takes.
        real: the positions of results that are real where the arguments are complex.
        error: what is wrong where LAPACK gives up; "" where it does not.
        package: where the function is.
        pivots: whether the last result is LAPACK's pivots, integers of 32 bits.
    """

    run: Callable[..., object]
    args: str
    sizes: Callable[[Params], str]
    loops: Callable[[Params], tuple[str, ...]]
    error: str = ""
    dtypes: str = "dD"
    real: tuple[int, ...] = ()
    package: str = "np"
    pivots: bool = False


def _always(text: str) -> Callable[[Params], str]:
    return lambda params: text


def _loops(*names: str) -> Callable[[Params], tuple[str, ...]]:
    return lambda params: names


def _upper(name: str) -> Callable[[Params], tuple[str, ...]]:
    return lambda params: (f"{name}_{'up' if params.get('upper') or params.get('UPLO') == 'U' else 'lo'}",)


def _complete(params: Params) -> bool:
    return bool(params.get("full_matrices")) or params.get("mode") == "complete"


def solved_triangle(
    a: Array, b: Array, lower: bool = False, transposed: bool = False, unit: bool = False, refuses: bool = True
) -> Array:
    """The solution x of a @ x = b, for triangles in stacks of matrices.

    Args:
        a, b: (..., m, m) and (..., m, n).
        lower: which triangle is read.
        transposed: solve aᵀ @ x = b.
        unit: whether the diagonal is taken to be 1.
        refuses: whether a 0 on the diagonal is an error.
    """
    if refuses and not unit and (np.diagonal(a, axis1=-2, axis2=-1) == 0).any():
        raise np.linalg.LinAlgError(ROWS["solve_triangular"].error)
    whole = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = np.array(np.broadcast_to(b, (*whole, *b.shape[-2:])))
    a = np.broadcast_to(a, (*whole, *a.shape[-2:]))
    if transposed:
        a, lower = np.swapaxes(a, -1, -2), not lower
    order = range(a.shape[-1]) if lower else range(a.shape[-1])[::-1]
    for i in order:
        before = slice(0, i) if lower else slice(i + 1, None)
        out[..., i, :] -= np.matmul(a[..., i, None, before], out[..., before, :])[..., 0, :]
        if not unit:
            out[..., i, :] /= a[..., i, i, None]
    return out


def factors(a: Array) -> tuple[Array, Array]:
    """L (its diagonal of ones left out) and U of matrices (..., m, n) in one array, and LAPACK's pivots from 0."""
    import scipy.linalg  # which is large: only a program that needs it loads it

    packed, pivots = np.empty_like(a), np.empty((*a.shape[:-2], min(a.shape[-2:])), np.int32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is singular: programs do not warn
        for place in np.ndindex(a.shape[:-2]):
            packed[place], pivots[place] = scipy.linalg.lu_factor(a[place], check_finite=False)
    return packed, pivots


_SQUARE = _always("(m,m)->(m,m)")
_EIGEN = "Eigenvalues did not converge"
_SVD = "SVD did not converge"
ROWS: dict[str, Row] = {
    "cholesky": Row(np.linalg.cholesky, "a", _SQUARE, _upper("cholesky"), "Matrix is not positive definite"),
    "det": Row(np.linalg.det, "a", _always("(m,m)->()"), _loops("det")),
    "eigh": Row(np.linalg.eigh, "a", _always("(m,m)->(m),(m,m)"), _upper("eigh"), _EIGEN, real=(0,)),
    "eigvalsh": Row(np.linalg.eigvalsh, "a", _always("(m,m)->(m)"), _upper("eigvalsh"), _EIGEN, real=(0,)),
    "inv": Row(np.linalg.inv, "a", _SQUARE, _loops("inv"), "Singular matrix"),
    "lu_factor": Row(factors, "a", _always("(m,n)->(m,n),(k)"), _loops(), package="scipy", pivots=True),
    "matmul": Row(np.matmul, "a, b", _always("(m,l),(l,n)->(m,n)"), _loops("matmul"), dtypes="FD"),
    "qr": Row(
        np.linalg.qr,
        "a",
        lambda p: "(m,n)->(m,m),(m,n)" if _complete(p) else "(m,n)->(m,k),(k,n)",
        lambda p: ("qr_r_raw", "qr_complete" if _complete(p) else "qr_reduced"),
        "Incorrect argument found while performing QR factorization",
    ),
    "slogdet": Row(np.linalg.slogdet, "a", _always("(m,m)->(),()"), _loops("slogdet"), real=(1,)),
    "solve": Row(np.linalg.solve, "a, b", _always("(m,m),(m,n)->(m,n)"), _loops("solve"), "Singular matrix"),
    "solve_triangular": Row(
        solved_triangle,
        "a, b",
        _always("(m,m),(m,n)->(m,n)"),
        _loops(),
        "Singular matrix: a 0 on the diagonal of a triangle",
        package="scipy",
    ),
    "svd": Row(
        np.linalg.svd,
        "a",
        lambda p: "(m,n)->(m,m),(k),(n,n)" if _complete(p) else "(m,n)->(m,k),(k),(k,n)",
        lambda p: ("svd_f" if _complete(p) else "svd_s",),
        _SVD,
        real=(1,),
    ),
    "svdvals": Row(np.linalg.svdvals, "a", _always("(m,n)->(k)"), _loops("svd"), _SVD, real=(0,)),
}


def axes(text: str) -> list[tuple[str, ...]]:
    """The names in "(m,n),(k)"."""
    return [tuple(filter(None, part.split(","))) for part in text[1:-1].split("),(")]


def _infer(name: str, args: Sequence[Spec], params: Params) -> list[Spec]:
    row = ROWS[name]
    before, _, after = row.sizes(params).partition("->")
    sizes: dict[str, int] = {}
    dtype = args[0].dtype
    for names, arg in zip(axes(before), args, strict=True):
        if len(arg.shape) < 2 or arg.dtype != dtype or dtype.char not in row.dtypes:
            raise ValueError(f"{name} of {arg}")
        for size, n in zip(names, arg.shape[-2:], strict=True):
            if sizes.setdefault(size, n) != n:
                raise ValueError(f"{name} of {[a.shape for a in args]}")
    sizes["k"] = min(sizes["m"], sizes.get("n", sizes["m"]))
    lead = np.broadcast_shapes(*(a.shape[:-2] for a in args))
    kinds = [real_of(dtype) if i in row.real else dtype for i in range(len(axes(after)))]
    found = [Spec((*lead, *(sizes[size] for size in names)), k) for names, k in zip(axes(after), kinds, strict=True)]
    if row.pivots:
        found[-1] = found[-1]._replace(dtype=np.dtype(np.int32))
    return found


def _evaluate(name: str, *args: Array, **params: object) -> Results:
    found = ROWS[name].run(*args, **params)
    return tuple(map(np.asarray, found)) if isinstance(found, tuple) else np.asarray(found)


def over_lanes(
    lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]
) -> list[tuple[Value, bool]]:
    """the same, with axes of length 1 behind the lanes of arguments with fewer leading axes"""
    ndim = max(a.ndim for a in instruction.args)
    given = [lanes.aligned(a, flag, ndim) for a, flag in zip(args, flags, strict=True)]
    return [(v, True) for v in lanes.builder.several(instruction.name, *given, **instruction.params)]


for _name, _row in ROWS.items():
    PRIMITIVES[_name] = Primitive(
        "linear algebra", partial(_infer, _name), partial(_evaluate, _name), _row.args,
        f"{_row.package}.linalg.{_name}({_row.args})",
        "as the function, " + " or ".join(np.dtype(c).name for c in _row.dtypes) + "; pivots int32" * _row.pivots,
    )  # fmt: skip
    batching.RULES[_name] = over_lanes


# -- on symbols --------------------------------------------------------------------------------------------------


def _emit(name: str, *operands: Operand, **params: object) -> tuple[Symbol, ...]:
    """What a primitive gives, in the dtype of the operands. As NumPy does, it computes with 64 bits for any."""
    builder = builder_of(*operands)
    arrays = [array_of(builder, x) for x in operands]
    dtype = np.result_type(*(a.dtype if a.dtype.kind in "fc" else np.float64 for a in arrays))
    wide = np.result_type(dtype, np.float64)
    if dtype.char not in "fdFD" or wide.char not in ROWS[name].dtypes:
        raise CannotLower(f"linear algebra of {dtype}")
    values = builder.several(name, *(a.astype(wide).value for a in arrays), **params)
    return tuple(Symbol(builder, v).astype(real_of(dtype) if v.dtype.kind == "f" else dtype) for v in values)


def _one(name: str) -> Callable[..., Symbol]:
    def run(a: Operand) -> Symbol:
        (made,) = _emit(name, a)
        return made

    return run


def _solve(a: Operand, b: Operand) -> Symbol:
    b = array_of(builder_of(a, b), b)
    vector = b.ndim == 1
    (made,) = _emit("solve", a, b[:, None] if vector else b)
    return made[..., 0] if vector else made


def solve_triangular(
    a: Operand, b: Operand, lower: bool, trans: int, unit: bool = False, refuses: bool = True
) -> Symbol:
    """`solved_triangle` of symbols, with aᵀ for `trans` 1 and aᴴ for 2; b may be a vector."""
    b = array_of(builder_of(a, b), b)
    vector = b.ndim == 1
    flags = {"lower": lower, "transposed": trans != 0, "unit": unit, "refuses": refuses}
    right = b[:, None] if vector else b
    (made,) = _emit("solve_triangular", a, _conjugated(right) if trans == 2 else right, **flags)
    made = _conjugated(made) if trans == 2 else made
    return made[..., 0] if vector else made


def _conjugated(x: Symbol) -> Symbol:
    return elementwise(x.builder, "conjugate", x) if x.dtype.kind == "c" else x


def lu_factor(a: Operand) -> tuple[Symbol, Symbol]:
    """`factors` of a symbol."""
    builder = builder_of(a)
    given = array_of(builder, a)
    if given.dtype.char not in "fdFD" or not given.size:
        raise CannotLower(f"factors of {given.dtype}, or without elements")
    packed, pivots = builder.several("lu_factor", given.astype(np.result_type(given.dtype, np.float64)).value)
    return Symbol(builder, packed).astype(given.dtype), Symbol(builder, pivots)


def _triangle(UPLO: str) -> str:
    if UPLO.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return UPLO.upper()


def _qr(a: Symbol, mode: str = "reduced") -> tuple[Symbol, ...]:
    if mode not in ("reduced", "complete"):
        raise CannotLower(f"qr with mode={mode!r}")
    return _emit("qr", a, mode=mode if a.shape[-2] > a.shape[-1] else "reduced")  # of wide ones this is all there is


def _svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> object:
    if not hermitian:
        return _emit("svd", a, full_matrices=bool(full_matrices)) if compute_uv else _one("svdvals")(a)
    if not compute_uv:
        return np.flip(np.sort(np.abs(np.linalg.eigvalsh(a))), -1)
    w, v = np.linalg.eigh(a)
    order = np.flip(np.argsort(np.abs(w)), -1)
    w, v = np.take_along_axis(w, order, -1), np.take_along_axis(v, order[..., None, :], -1)
    vh = np.conj(np.swapaxes(v * np.copysign(1.0, w)[..., None, :], -1, -2))
    return v, np.abs(w), vh


FUNCTIONS |= {
    np.linalg.cholesky: lambda a, upper=False: _emit("cholesky", a, upper=bool(upper))[0],
    np.linalg.det: _one("det"),
    np.linalg.eigh: lambda a, UPLO="L": _emit("eigh", a, UPLO=_triangle(UPLO)),
    np.linalg.eigvalsh: lambda a, UPLO="L": _emit("eigvalsh", a, UPLO=_triangle(UPLO))[0],
    np.linalg.inv: _one("inv"),
    np.linalg.qr: _qr,
    np.linalg.slogdet: lambda a: _emit("slogdet", a),
    np.linalg.solve: _solve,
    np.linalg.svd: _svd,
    np.linalg.svdvals: _one("svdvals"),
}
