"""Functions of matrices: exponential, logarithm, roots, trigonometric functions.

The derivative of f at A in the direction E is the upper right block of f at [[A, E], [0, A]]: Mathias 1996, A chain rule for
matrix functions. So f is its own derivative, of every order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.state import local
from tapenet.ops.conditions import provided
from tapenet.ops.derived import array_like, known
from tapenet.ops.linalg import eigen
from tapenet.ops.linalg.degenerate import Undetermined
from tapenet.ops.linalg.matrices import transposed
from tapenet.ops.op import Op, op
from tapenet.program import symbol_loops, symbols
from tapenet.program.symbols import CannotLower
from tapenet.scipy.followed import followed
from tapenet.scipy.linalg.definition import LEADING, library
from tapenet.scipy.linalg.matrix_equations import solve_sylvester
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _pair(a: Array, e: Array) -> Array:
    """[[a, e], [0, a]]."""
    above, below = np.concatenate([a, e], axis=-1), np.concatenate([np.zeros_like(a), a], axis=-1)
    made: Array = np.concatenate([above, below], axis=-2)
    return made


def _in_direction(f: Op, a: Array, e: Array, *options: object) -> Array:
    """The derivative of a function of matrices at `a` in the direction `e`, in which it is linear."""
    size = ops.stop_gradient(np.max(np.abs(e), axis=(-2, -1), keepdims=True, initial=0))
    size = np.where(size == 0, 1, size)  # a large e would cost accuracy
    n = a.shape[-1]
    return cast("Array", size * f(_pair(a, e / size), *options)[..., :n, n:])


def _square(name: str, a: Array) -> None:
    """SciPy's own checks are of single matrices, and some take what is not square for a number."""
    shape = np.shape(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise np.linalg.LinAlgError(f"{name}: A must hold square matrices (..., n, n), not {shape}")


def _estimating(f: Callable[..., Array], *args: object) -> Array:
    """f(*args) for functions that estimate norms by numbers from `np.random`, which is left as it was while somebody watches
    it: a step that is captured may not draw from it, and these numbers change no result but for rounding."""
    if local.state.fast:
        return f(*args)
    before = np.random.get_state()
    try:
        return f(*args)
    finally:
        np.random.set_state(before)


def _function(name: str, of: str) -> Op:
    made: Op = op(
        lambda A: _estimating(getattr(library(), name), A) if name == "logm" else getattr(library(), name)(A),
        name=name,
        check=lambda A: _square(name, A),
        A=lambda g, A: _in_direction(made, transposed(A), g),
        vmap=LEADING,
        formula=of,
        gradients="A: the upper right block of the same function of [[Aᵀ, g], [0, Aᵀ]]",
        doc=f"""`scipy.linalg.{name}`: {of} of square matrices (..., n, n).

        Raises:
            ValueError: the matrices are not square.

        >>> import numpy as np, tapenet as tn
        >>> tn.scipy.linalg.{name}(tn.tensor(np.eye(2))).shape
        (2, 2)
        """,
    )
    return made


cosm = _function("cosm", "the cosine")
sinm = _function("sinm", "the sine")
tanm = _function("tanm", "the tangent")
coshm = _function("coshm", "the hyperbolic cosine")
sinhm = _function("sinhm", "the hyperbolic sine")
tanhm = _function("tanhm", "the hyperbolic tangent")
logm = _function("logm", "the principal logarithm")


# -- the exponential ---------------------------------------------------------------------------------------------


#: Rows of a matrix up to which a program computes an exponential itself.
_FEW = 64
#: The numerator of the Padé approximant of order 13 of the exponential, and the norm up to which that is exact to rounding.
_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0, 10559470521600.0,
    670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
_REACH = 4.25
#: log2 of what the largest sum of a column of abs(A)²⁷ is multiplied with for the error that is left, over that of a rounding.
_LEFT = -63.45


def _one_norm(a: Array) -> Array:
    """The largest sum of magnitudes in a column, (..., 1, 1)."""
    return cast("Array", np.max(np.sum(np.abs(a), axis=-2, keepdims=True), axis=-1, keepdims=True))


def _log2(x: Array) -> Array:
    return cast("Array", np.log2(np.maximum(x, 1e-300)))


def _expm_program(A: Array) -> Array:
    """The exponential by scaling and squaring, in a program: Al-Mohy and Higham 2009, of order 13 whatever the norm is.

    Powers are those of the matrix divided by 2^most, which brings its norm into reach. A power of 2 less is taken where the
    norms of powers say that it is enough: each squaring costs digits of matrices far from normal ones. Of a triangle each has
    its diagonal from the exponential of numbers, as in SciPy: else a rate of 1e6 would cost six digits of the others.
    """
    n = A.shape[-1] if A.ndim > 1 else 0
    if n == 1:
        return np.exp(A)
    builder = symbol_loops.builder_of((A,))
    if builder is None or not A.size or not 1 < n <= _FEW:
        raise CannotLower("the exponential of numbers, or of large matrices")
    a = A.astype(np.result_type(A.dtype, np.float64))
    below = np.arange(n)[:, None] - np.arange(n)
    lower, upper = (np.all(np.where(s, a, 0) == 0, axis=(-2, -1), keepdims=True) for s in (below < 0, below > 0))
    exact, diagonal = (below == 0) & (lower | upper), np.diagonal(a, axis1=-2, axis2=-1)[..., None]
    most = np.maximum(np.ceil(_log2(_one_norm(a) / _REACH)), 0)
    a = a * np.exp2(-most)
    a2 = np.matmul(a, a)
    a4 = np.matmul(a2, a2)
    a6 = np.matmul(a2, a4)
    sums, size = np.ones((*a.shape[:-2], 1, n)), np.abs(a)
    step: Any = lambda carry, _: ([np.matmul(carry[0], size)], [])
    (sums,), _ = symbol_loops.loop(builder, step, [sums], [], 27, False)
    left = (_log2(np.max(sums, axis=-1, keepdims=True)) - _log2(_one_norm(a)) + _LEFT) / 26
    root = np.maximum(_log2(_one_norm(a4)) / 4, _log2(_one_norm(a6)) / 6) - math.log2(_REACH)
    squarings = np.maximum(np.ceil(most + np.maximum(root, left)), np.maximum(most - 100, 0))
    back = np.exp2(most - squarings)
    a, a2, a4, a6 = a * back, a2 * back**2, a4 * back**4, a6 * back**6
    c, one = _PADE, np.eye(n)
    odd = np.matmul(a6, c[13] * a6 + c[11] * a4 + c[9] * a2) + c[7] * a6 + c[5] * a4 + c[3] * a2 + c[1] * one
    even = np.matmul(a6, c[12] * a6 + c[10] * a4 + c[8] * a2) + c[6] * a6 + c[4] * a4 + c[2] * a2 + c[0] * one
    odd = np.matmul(a, odd)

    def turn(values: list[Any]) -> list[Any]:
        found, count = values
        square = np.where(exact, np.exp(diagonal * np.exp2(count + 1 - squarings)), np.matmul(found, found))
        return [np.where(count < squarings, square, found), count + 1]

    carry = [np.linalg.solve(even - odd, even + odd), np.float64(0)]
    found, _ = symbol_loops.repeat(builder, lambda values: np.any(values[1] < squarings), turn, carry, None)
    return cast("Array", found.astype(A.dtype if A.dtype.kind in "fc" else np.float64))


def _expm_rule(g: Array, A: Array) -> Array:
    if A.ndim < 2:  # of one number SciPy makes a matrix
        return cast("Array", np.reshape(g * np.exp(A), A.shape))
    return expm_direction(transposed(A), g)


@op(
    check=lambda A: None if np.size(A) == 1 else _square("expm", A),
    sequences=(),
    A=_expm_rule,
    lower=_expm_program,
    vmap="leading",
    formula="the exponential of a matrix",
    gradients="A: the derivative of the exponential at Aᵀ in the direction g",
)
def expm(A: Array) -> Array:
    """The exponential of square matrices (..., n, n), as `scipy.linalg.expm`.

    Raises:
        ValueError: the matrices are not square.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.expm(tn.tensor([[0.0, 1.0], [0.0, 0.0]]))
    Tensor([[1., 1.],
            [0., 1.]])
    """
    return cast("Array", library().expm(A))


def _direction_rule_a(g: Array, A: Array, E: Array, method: str | None) -> Array:
    n = A.shape[-1]
    size = ops.stop_gradient(np.max(np.abs(E), axis=(-2, -1), keepdims=True, initial=0))
    size = np.where(size == 0, 1, size)
    zero = np.zeros_like(g)
    corner = np.concatenate([np.concatenate([zero, size * g], -1), np.concatenate([zero, zero], -1)], -2)
    made = expm_direction(transposed(_pair(A, E / size)), corner, method)
    return cast("Array", made[..., :n, :n] + made[..., n:, n:])


def _direction_rule_e(g: Array, A: Array, method: str | None) -> Array:
    return expm_direction(transposed(A), g, method)


def _direction_program(A: Array, E: Array, method: str | None) -> Array:
    if method not in (None, "SPS", "blockEnlarge"):
        raise CannotLower(f"method={method!r}")
    shape = np.broadcast_shapes(A.shape, E.shape)
    wrong: Any = ~(np.all(np.isfinite(A)) & np.all(np.isfinite(E)))
    E = cast("Array", symbols.provided(E, wrong, ValueError, "array must not contain infs or NaNs"))
    return _in_direction(expm, np.broadcast_to(A, shape), np.broadcast_to(E, shape))


def _expm_and_direction_program(A: Array, E: Array, method: str | None) -> tuple[Array, ...]:
    direction = _direction_program(A, E, method)
    return np.broadcast_to(expm(A), direction.shape), direction


@op(
    name="expm_frechet",
    sequences=(),
    A=_direction_rule_a,
    E=_direction_rule_e,
    lower=_direction_program,
    broadcasts=True,
    vmap=LEADING,
    formula="the derivative of the exponential at A in the direction E",
    gradients="A: a block of the derivative at [[A, E], [0, A]]ᵀ; E: the derivative at Aᵀ in the direction g",
)
def expm_direction(A: Array, E: Array, method: str | None = None) -> Array:
    """What `expm_frechet` gives without the exponential.

    >>> import numpy as np
    >>> from tapenet.scipy.linalg.matrix_functions import expm_direction
    >>> expm_direction(np.zeros((1, 1)), np.ones((1, 1)))
    array([[1.]])
    """
    return cast("Array", library().expm_frechet(A, E, method, compute_expm=False))


@op(
    name="expm_frechet",
    outputs=2,
    sequences=(),
    A=lambda g, A, E, method: _direction_rule_e(g[0], A, method) + _direction_rule_a(g[1], A, E, method),
    E=lambda g, A, method: _direction_rule_e(g[1], A, method),
    lower=_expm_and_direction_program,
    broadcasts=True,
    vmap=LEADING,
    formula="the exponential of A, and its derivative in the direction E",
    gradients="A: those of both; E: the derivative at Aᵀ in the direction g",
)
def _expm_and_direction(A: Array, E: Array, method: str | None = None) -> tuple[Array, ...]:
    """What `expm_frechet` gives."""
    return tuple(library().expm_frechet(A, E, method))


def expm_frechet(
    A: Array, E: Array, method: str | None = None, compute_expm: bool = True, check_finite: bool = True
) -> Array | tuple[Array, ...]:
    """The exponential of `A` and its derivative in the direction `E`, as `scipy.linalg.expm_frechet`.

    Args:
        A, E: (..., n, n).
        method: "SPS" or "blockEnlarge".
        compute_expm: whether the exponential is returned too, before the derivative.
        check_finite: not looked at: infinite and nan are always an error.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.linalg.expm_frechet(tn.tensor(np.zeros((2, 2))), np.eye(2), compute_expm=False)
    Tensor([[1., 0.],
            [0., 1.]])
    """
    return _expm_and_direction(A, E, method) if compute_expm else expm_direction(A, E, method)


# -- roots and powers --------------------------------------------------------------------------------------------

_SINGULAR = (
    "sqrtm: two eigenvalues of the root have the sum 0, as those of a singular matrix: there it has no derivative. Add a small "
    "multiple of the identity"
)


def _sqrtm_rule(g: Array, out: Array) -> Array:
    w = np.linalg.eigvals(out)
    least = np.min(np.abs(w[..., None, :] + w[..., :, None]), axis=(-2, -1), initial=np.inf)
    most = np.max(np.abs(w), axis=-1, initial=0)
    wrong = ~(least > w.shape[-1] * float(np.finfo(out.dtype).eps) * most)
    root = provided(out, wrong, Undetermined, _SINGULAR)
    return solve_sylvester(transposed(root), transposed(root), g)


@op(
    sequences=(),
    A=_sqrtm_rule,
    check=lambda A: _square("sqrtm", A),
    vmap=LEADING,
    formula="the principal square root of a matrix",
    gradients="A: the Y of outᵀ @ Y + Y @ outᵀ = g",
)
def sqrtm(A: Array) -> Array:
    """The principal square root of square matrices (..., n, n), as `scipy.linalg.sqrtm`.

    It is complex where a real matrix has negative eigenvalues.

    Raises:
        ValueError: the matrices are not square.
        LinAlgError: in backward: the matrix is singular.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.sqrtm(tn.tensor([[4.0, 0.0], [0.0, 9.0]]))
    Tensor([[2., 0.],
            [0., 3.]])
    """
    return cast("Array", library().sqrtm(A))


def _power_rule_a(g: Array, A: Array, t: Array) -> Array:
    return _in_direction(fractional_matrix_power, transposed(A), g, t)


def _power_rule_t(g: Array, out: Array, A: Array) -> Array:
    return cast("Array", np.sum(g * np.matmul(logm(A), out)))


@op(
    check=lambda A: _square("fractional_matrix_power", A),
    sequences=(),
    A=_power_rule_a,
    t=_power_rule_t,
    formula="Aᵗ",
    gradients="A: the upper right block of the power of [[Aᵀ, g], [0, Aᵀ]]; t: Σ g · (ln(A) @ out)",
)
def fractional_matrix_power(A: Array, t: Array) -> Array:
    """A power of square matrices (..., n, n), as `scipy.linalg.fractional_matrix_power`.

    Args:
        A: the matrices.
        t: the exponent, one real number for all.

    Raises:
        ValueError: the matrices are not square.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.fractional_matrix_power(tn.tensor([[4.0, 0.0], [0.0, 9.0]]), 0.5)
    Tensor([[2., 0.],
            [0., 3.]])
    """
    return _estimating(library().fractional_matrix_power, A, float(t))


def _signm_rule(g: Array, out: Array, A: Array) -> Array:
    """Higham 2008, Functions of Matrices, theorem 5.3: with N = S A the derivative L has N L + L N = E - S E S."""
    n, s = transposed(np.matmul(out, A)), transposed(out)
    y = solve_sylvester(n, n, g)
    made: Array = y - np.matmul(s, np.matmul(y, s))
    return made


@op(
    check=lambda A: _square("signm", A),
    sequences=(),
    A=_signm_rule,
    vmap=LEADING,
    formula="the sign of a matrix",
    gradients="A: Y − outᵀ @ Y @ outᵀ, with the Y of (out A)ᵀ @ Y + Y @ (out A)ᵀ = g",
)
def signm(A: Array) -> Array:
    """The sign of square matrices (..., n, n), as `scipy.linalg.signm`: 1 and -1 in place of eigenvalues by the signs of their
    real parts. On the imaginary axis it has no derivative.

    >>> import tapenet as tn
    >>> tn.scipy.linalg.signm(tn.tensor([[4.0, 0.0], [0.0, -9.0]]))
    Tensor([[ 1.,  0.],
            [ 0., -1.]])
    """
    return cast("Array", library().signm(A))


@followed("linalg.khatri_rao", "a", "b", broadcasts=True)
def khatri_rao(a: Array, b: Array) -> Array:
    """The product of Kronecker of each column of `a` and of `b`, as `scipy.linalg.khatri_rao`.

    Args:
        a: (..., n, k).
        b: (..., m, k).

    Returns:
        (..., n m, k).

    >>> import tapenet as tn
    >>> tn.scipy.linalg.khatri_rao(tn.tensor([[1.0], [2.0]]), tn.tensor([[3.0], [4.0]])).tolist()
    [[3.0], [4.0], [6.0], [8.0]]
    """
    made = a[..., :, None, :] * b[..., None, :, :]
    return cast("Array", np.reshape(made, (*made.shape[:-3], -1, made.shape[-1])))


# -- any function ------------------------------------------------------------------------------------------------


@op(name="funm", nondiff=("A",), check=lambda A: _square("funm", A), sequences=(), vmap=LEADING, formula="f(A)")
def _funm_value(A: Array, func: Callable[[Array], Array]) -> Array:
    """What `funm` gives, without a derivative."""

    def of_array(x: Array) -> Array:
        found = func(x)
        return found if type(found) is np.ndarray else cast("Array", known(found))

    return cast("Array", library().funm(A, of_array))


@op(
    name="funm",
    label="f(A)",
    nondiff=("value",),
    by_eigenvalues=lambda g: g,
    formula="the value that SciPy finds",
    gradients="by_eigenvalues: g",
)
def _valued(by_eigenvalues: Array, value: Array) -> Array:
    """`value`, with the derivatives of the other argument."""
    return value


def funm(A: ArrayLike, func: Callable[[Array], Array], disp: bool = True) -> Array:
    """A function of square matrices, as `scipy.linalg.funm`. Derivatives are those of V f(Λ) V⁻¹ with the eigenvalues Λ and
    vectors V, and exist where no two eigenvalues are equal.

    Args:
        A: (..., n, n).
        func: the function of the eigenvalues, an array of complex numbers. NumPy's functions and operators have derivatives,
            also by tensors that they use.
        disp: whether SciPy prints how exact the result is; False, to get that as a number, is not there.

    Raises:
        ValueError: the matrices are not square.
        LinAlgError: in backward: two eigenvalues are equal.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.linalg.funm(tn.tensor([[1.0, 0.0], [0.0, 3.0]]), lambda x: x * x)
    Tensor([[1., 0.],
            [0., 9.]])
    """
    if not disp:
        raise NotImplementedError("funm: disp=False is not there; give scipy.linalg.funm the array, A.detach().numpy()")
    A = array_like(A)
    value = _funm_value(A, func)
    w, v = eigen.eig(A)
    formula = np.matmul(v * func(w)[..., None, :], np.linalg.inv(v))
    if value.dtype.kind != "c" and formula.dtype.kind == "c":
        formula = formula.real
    return value if type(formula) is np.ndarray else cast("Array", _valued(formula, value))
