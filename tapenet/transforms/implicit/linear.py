"""Linear systems whose matrix is known by its products alone, and their derivatives of every order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tapenet import ops
from tapenet.autodiff.attached import attach, gradients
from tapenet.autodiff.state import enable_grad, switched
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import op
from tapenet.ops.tracebacks import boundary
from tapenet.program.low import is_inexact
from tapenet.program.primitives import Spec
from tapenet.program.trees import flatten
from tapenet.transforms.implicit.equations import Equation, read, tensors
from tapenet.transforms.recorded import end
from tapenet.transforms.rule_functions import TracedRule
from tapenet.transforms.whole_calls import zeros
from tapenet.typing import Array

#: Up to so many unknowns a matrix is built of the products, and solved with at once.
DENSE = 128
#: Solves a linear system: a function that multiplies a vector by the matrix, and the right side.
Solve = Callable[[Callable[[Array], Array], Array], Array]
#: Multiplies by a matrix.
Product = Callable[[Sequence[Tensor]], list[Tensor]]


class How(NamedTuple):
    """How systems with a matrix are solved.

    Attributes:
        name: who asks, for errors.
        solve: the user's own way; None for one by the number of unknowns.
        symmetric, positive: what is known of the matrix.
    """

    name: str
    solve: Solve | None = None
    symmetric: bool = False
    positive: bool = False


class Operator:
    """A matrix that depends on tensors, known by its products with vectors.

    Attributes:
        specs: shapes and dtypes of the vectors that it is multiplied with.
        how: how systems with it are solved.
    """

    def __init__(self, specs: Sequence[Spec], how: How) -> None:
        self.specs = specs
        self.how = how

    def at(self, inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> Product:
        """What multiplies vectors by it, for the tensors that it depends on."""
        raise NotImplementedError

    def transposed(self, specs: Sequence[Spec]) -> Operator:
        """Its transpose, which multiplies vectors of other shapes."""
        return self if self.how.symmetric else Transposed(self, specs)


class Transposed(Operator):
    """The transpose of a matrix: what pulls gradients back through a product with it, which is linear."""

    def __init__(self, other: Operator, specs: Sequence[Spec]) -> None:
        super().__init__(specs, other.how)
        self.other = other

    def at(self, inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> Product:
        ends = [zeros(spec)._require() for spec in self.other.specs]
        with enable_grad():
            made = self.other.at(inputs, kept)(ends)
        return lambda gs: filled(gradients([t._node for t in ends], made, gs, release=False), self.other.specs)

    def transposed(self, specs: Sequence[Spec]) -> Operator:
        return self.other


def filled(found: Sequence[Tensor | None], specs: Sequence[Spec]) -> list[Tensor]:
    """Gradients, with zeros for those that are None."""
    return [zeros(spec) if g is None else g for g, spec in zip(found, specs, strict=True)]


def specs_of(ts: Sequence[Tensor]) -> list[Spec]:
    """Shapes and dtypes."""
    return [Spec(t.shape, t.dtype) for t in ts]


def solved(operator: Operator, bs: Sequence[Tensor], inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> list[Tensor]:
    """The solution of operator · x = b, differentiable by b and by what the matrix depends on."""
    found = solve_op([t.detach() for t in bs], [t.detach() for t in inputs], list(kept), operator=operator)
    return attach(_Solved(operator, len(bs)), [*bs, *inputs], list(found), list(kept))


class _Solved(TracedRule):
    """The rule of a solution x of A x = b: with w that solves Aᵀ w = g, the gradient by b is w, and that by what A depends
    on is that of -w · A x, x held."""

    def __init__(self, operator: Operator, count: int) -> None:
        self.name = "solution"
        self.operator = operator
        self.count = count

    def pull(
        self, inputs: list[Tensor], kept: list[Tensor], outs: list[Tensor], gs: list[Tensor | None]
    ) -> list[Tensor | None]:
        """The gradients by the right side and what the matrix depends on."""
        bs, others = inputs[: self.count], inputs[self.count :]
        full = [zeros(t) if g is None else g for g, t in zip(gs, outs, strict=True)]
        ws = solved(self.operator.transposed(specs_of(bs)), full, others, kept)
        ends = [end(t) for t in others]
        with enable_grad():
            made = self.operator.at(ends, kept)(outs)
        rest = gradients([t._node for t in ends], made, [ops.negative(w) for w in ws], release=False)
        return [*ws, *rest]


# -- numbers -----------------------------------------------------------------------------------------------------


def vector(arrays: Sequence[Array]) -> Array:
    """Arrays behind each other as one vector."""
    return np.concatenate([np.ravel(a) for a in arrays])


def parts(v: Array, specs: Sequence[Spec]) -> list[Tensor]:
    """A vector cut into tensors."""
    found, begin = [], 0
    for shape, dtype in specs:
        size = int(np.prod(shape))
        part = np.asarray(v[begin : begin + size])
        found.append(Tensor._of((part if dtype.kind == "c" else part.real).astype(dtype).reshape(shape)))
        begin += size
    return found


def in_numbers() -> switched:
    """A block in which nothing is recorded, inside of an op."""
    return switched(grad=False, tape=None, layers=(), profile=None)


def solve_numbers(
    bs: Sequence[Array], inputs: Sequence[Array], kept: Sequence[Array], operator: Operator
) -> tuple[Array, ...]:
    """The solution of a system, in numbers."""
    how, specs = operator.how, operator.specs
    with in_numbers():
        multiply = operator.at([Tensor._of(np.asarray(a)) for a in inputs], [Tensor._of(np.asarray(a)) for a in kept])

        def product(v: Array) -> Array:
            return vector([t._data for t in multiply(parts(v, specs))])

        b = vector(bs)
        n = sum(int(np.prod(s.shape)) for s in specs)
        if n != b.size:
            raise ValueError(
                f"{how.name}: the system has {b.size} equation(s) for {n} unknown(s), and has to have as many"
            )
        if how.solve is not None:
            x = np.asarray(how.solve(product, b))
            if x.shape != b.shape:
                raise ValueError(f"{how.name}: solve gave shape {x.shape} for a right side of shape {b.shape}")
        elif n <= DENSE:
            x = _dense(product, b, how)
        else:
            x = _by_products(product, b, how)
        return tuple(t._data for t in parts(x, specs))


def _dense(product: Callable[[Array], Array], b: Array, how: How) -> Array:
    matrix = np.stack([product(e) for e in np.eye(b.size, dtype=b.dtype)], 1)
    try:
        found: Array = np.linalg.solve(matrix, b)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"{how.name}: the linear system of {b.size} unknown(s) is singular: the solution is not isolated, and has no "
            "derivative there"
        ) from error
    return found


def _by_products(product: Callable[[Array], Array], b: Array, how: How) -> Array:
    from scipy.sparse import linalg

    matrix = linalg.LinearOperator((b.size, b.size), matvec=product, dtype=b.dtype)
    eps = float(np.finfo(b.dtype).eps)
    if how.positive:
        x, status = linalg.cg(matrix, b, rtol=10 * eps**0.9, maxiter=10 * b.size)
    else:
        x, status = linalg.gmres(matrix, b, rtol=10 * eps**0.9, restart=30, maxiter=300)
    off = np.linalg.norm(product(x) - b)
    if status and off > eps**0.5 * np.linalg.norm(b):
        raise RuntimeError(
            f"{how.name}: {'cg' if how.positive else 'gmres'} did not solve the linear system of {b.size} unknowns: after "
            f"its last step the residual has norm {off:.1e}, and the right side {np.linalg.norm(b):.1e}. Give solve=, a "
            "function of (multiply, b) that solves it, for instance with a preconditioner"
        )
    found: Array = x
    return found


solve_op = op(
    solve_numbers,
    name="linear_solve",
    outputs=None,
    nondiff=("bs", "inputs", "kept"),
    opaque="it multiplies by a matrix until it is done",
    precision="same",
    label="linear solve",
    formula="A⁻¹ b",
    doc="""Solves a linear system; `tn.implicit` calls it.

    Args:
        bs: the right side.
        inputs, kept: what the matrix depends on.
        operator: the matrix.

    Returns:
        the solution.
    """,
)


# -- for users ---------------------------------------------------------------------------------------------------


class _Given(Operator):
    """The matrix that a user's function multiplies by."""

    def __init__(self, equation: Equation, specs: Sequence[Spec], how: How) -> None:
        super().__init__(specs, how)
        self.equation = equation

    def at(self, inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> Product:
        return lambda xs: self.equation(xs, inputs, kept)


@boundary
def linear_solve(
    matvec: Callable[..., object],
    b: object,
    *params: object,
    symmetric: bool = False,
    positive: bool = False,
    solve: Solve | None = None,
) -> Any:
    """The solution x of matvec(x, *params) = b, for a function that is linear in x.

    Its derivatives are solutions of systems with the same matrix or its transpose: of every order, in both modes, whatever
    solves them.

    Args:
        matvec: multiplies by the matrix: a function of x, structured as b, and of the parameters, that gives the like.
        b: the right side: an array, or a nested structure of arrays of floats.
        *params: what the matrix depends on. What `matvec` closes over gets gradients too.
        symmetric: the matrix is its own transpose.
        positive: it is also positive definite, for which conjugate gradients are used.
        solve: a function of (multiply, b) that solves a system, where multiply takes and gives a vector of all unknowns,
            as does `scipy.sparse.linalg`. It is used for the transpose too. By default a matrix is built of the products with
            up to 128 unknowns, and GMRES or conjugate gradients are used for more.

    Raises:
        TypeError: b holds integers.
        ValueError: the function gives another number of values than there are in b; the matrix is singular.
        RuntimeError: the iteration did not converge.

    >>> import numpy as np, tapenet as tn
    >>> def solution(scale):
    ...     return tn.implicit.linear_solve(lambda x, s: s * x + np.roll(x, 1), np.ones(4), scale)
    >>> solution(3.0)
    Tensor([0.25, 0.25, 0.25, 0.25])
    >>> tn.grad(lambda s: solution(s).sum())(3.0)
    Tensor(-0.25)
    """
    leaves, structure = flatten(b)
    bs = tensors(leaves)
    how = How("tn.implicit.linear_solve", solve, symmetric or positive, positive)
    for t in bs:
        if not is_inexact(t.dtype):
            raise TypeError(f"{how.name}: b holds {t.dtype}; pass floats")
    equation, inputs, kept, found = read(matvec, structure, bs, params)
    same_size(found, bs, how.name, "matvec", "b")
    made = solved(_Given(equation, specs_of(bs), how), bs, inputs, kept)
    return structure.build(made)


def same_size(found: Sequence[Tensor], xs: Sequence[Tensor], name: str, what: str, of: str) -> None:
    """Raise if there are not as many equations as unknowns.

    Raises:
        ValueError: names the shapes.
    """
    shapes, own = [t.shape for t in found], [t.shape for t in xs]
    if sum(t.size for t in found) != sum(t.size for t in xs):
        raise ValueError(
            f"{name}: {what} gives shape(s) {', '.join(map(str, shapes))}, and {of} has {', '.join(map(str, own))}: there "
            "must be as many equations as unknowns"
        )
