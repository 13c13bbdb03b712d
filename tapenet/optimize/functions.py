"""A user's function of nested unknowns as functions of one vector, with exact derivatives, compiled."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Sequence
from types import MethodType
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.compile import Compiled
from tapenet.program.primitives import Spec
from tapenet.program.trees import flatten
from tapenet.transforms.gradients import elementwise_grad, grad, value_and_grad, vjp
from tapenet.transforms.jacobians import hessian, jacobian, value_and_jacobian
from tapenet.transforms.sparse_derivatives import SparseDerivative
from tapenet.typing import Array

if TYPE_CHECKING:
    from scipy.sparse import csr_array

T = TypeVar("T")
#: A function of the leaves of the unknowns, and of what else it depends on, that gives one tensor.
Core = Callable[..., Tensor]

#: With fewer unknowns a Jacobian is a full matrix.
FEW = 64
#: A Jacobian with a smaller part of entries that may be other than 0 is a sparse matrix.
SPARSE = 0.2
#: How many programs there may be of a function: one for each set of shapes that its arguments have.
PROGRAMS = 64


class _Program:
    """A function of arrays, compiled. What cannot be, since it looks at values, runs as it is."""

    def __init__(
        self, f: Callable[..., object], backend: str | None, otherwise: Callable[..., object] | None = None
    ) -> None:
        self._run: Callable[..., object] = Compiled(f, backend, PROGRAMS, False, False)
        self._otherwise = otherwise or f

    def __call__(self, *args: object) -> tuple[Array, ...]:
        try:
            found = self._run(*args)
        except CaptureError:
            self._run = self._otherwise
            found = self._run(*args)
        return tuple([t._data for t in found]) if isinstance(found, tuple) else (cast("Tensor", found)._data,)


class Functions:
    """What solvers ask of a function of unknowns. Each method takes the vector of all unknowns and what else the function
    depends on; programs are kept, so that the next problem with the same function finds them."""

    def __init__(
        self, core: Core, specs: Sequence[Spec], backend: str | None = None, f: Callable[..., object] | None = None
    ) -> None:
        """Say what they are made of.

        Args:
            core: the function.
            specs: shapes and dtypes of the leaves.
            backend: which one compiles.
            f: the user's function in `core`: by this name programs find the globals that they are made for.
        """
        self.__wrapped__ = f
        self._core = core
        self._specs = list(specs)
        self._backend = backend
        self._programs: dict[str, _Program] = {}
        self._sparse: SparseDerivative | None = None
        self._full = sum(int(np.prod(s.shape)) for s in specs) < FEW

    def _of_vector(self, v: Tensor, *rest: object) -> Tensor:
        leaves, begin = [], 0
        for shape, dtype in self._specs:
            size = int(np.prod(shape))
            part = v if size == v.size else v[begin : begin + size]
            leaves.append(part.reshape(shape).astype(dtype) if part.shape != shape or dtype != v.dtype else part)
            begin += size
        return self._core(leaves, *rest)

    def _number(self, v: Tensor, *rest: object) -> Tensor:
        found = self._of_vector(v, *rest)
        if found.size != 1:
            raise ValueError(
                f"the function gives shape {found.shape}, and must give a single number, which is minimised"
            )
        return found.reshape(())

    def _product(self, v: Tensor, d: Tensor, *rest: object) -> Tensor:
        gradient: Callable[[Tensor], Tensor] = grad(lambda w: self._number(w, *rest))
        product: Callable[[Tensor], Tensor] = grad(lambda w: (gradient(w) * d).sum())
        return product(v)

    def _columns(self, v: Tensor, *rest: object) -> Tensor:
        found: Tensor = ops.stack([self._product(v, Tensor._of(e), *rest) for e in np.eye(v.size)])
        return found

    def _weighted(self, v: Tensor, w: Tensor, *rest: object) -> Tensor:
        return (self._of_vector(v, *rest) * w).sum()

    def _rows(self, v: Tensor, *rest: object) -> tuple[Tensor, Tensor]:
        out, pull = vjp(lambda v: self._of_vector(v, *rest), v)
        return out, ops.stack([pull(e) for e in np.eye(out.size)])

    def _program(
        self, name: str, make: Callable[[], Callable[..., object]], otherwise: Callable[..., object] | None = None
    ) -> _Program:
        found = self._programs.get(name)
        if found is None:
            found = self._programs[name] = _Program(make(), self._backend, otherwise)
        return found

    # -- a single number ---------------------------------------------------------------------------------------------

    def value(self, v: Array, *rest: object) -> float:
        (found,) = self._program("value", lambda: self._number)(v, *rest)
        return float(found)

    def value_and_grad(self, v: Array, *rest: object) -> tuple[float, Array]:
        value, gradient = self._program("gradient", lambda: value_and_grad(self._number))(v, *rest)
        return float(value), gradient

    def product(self, v: Array, d: Array, *rest: object) -> Array:
        """The Hessian times a vector."""
        return self._program("product", lambda: self._product)(v, d, *rest)[0]

    def hessian(self, v: Array, *rest: object) -> Array:
        return self._program("hessian", lambda: hessian(self._number), self._columns)(v, *rest)[0]

    def derivative(self, v: Array, *rest: object) -> Array:
        """Of a function that works element by element: the derivative of each."""
        return self._program("derivative", lambda: elementwise_grad(self._of_vector))(v, *rest)[0]

    def second_derivative(self, v: Array, *rest: object) -> Array:
        return self._program("second", lambda: elementwise_grad(elementwise_grad(self._of_vector)))(v, *rest)[0]

    # -- several -----------------------------------------------------------------------------------------------------

    def values(self, v: Array, *rest: object) -> Array:
        return self._program("values", lambda: self._of_vector)(v, *rest)[0].astype(np.float64, copy=False)

    def values_and_jacobian(self, v: Array, *rest: object) -> tuple[Array, Array]:
        values, matrix = self._program("jacobian", lambda: value_and_jacobian(self._of_vector), self._rows)(v, *rest)
        return values, matrix

    def jacobian(self, v: Array, *rest: object) -> Array:
        return self.values_and_jacobian(v, *rest)[1]

    def sparse_jacobian(self, v: Array, *rest: object) -> Array | csr_array:
        """The Jacobian: a sparse matrix where most of it is 0."""
        if self._full:
            return self.jacobian(v, *rest)
        if self._sparse is None:
            self._sparse = jacobian(self._of_vector, sparse=True)
        try:
            found: csr_array = self._sparse(v, *rest)
        except (CaptureError, ValueError, TypeError):  # nothing in it is 0, or it cannot be read
            self._full = True
            return self.jacobian(v, *rest)
        if found.nnz > SPARSE * found.shape[0] * found.shape[1]:
            self._full = True
            full: Array = found.toarray()
            return full
        return found

    def weighted_hessian(self, v: Array, w: Array, *rest: object) -> Array:
        """The Hessian of the sum of all values, each times a weight."""
        return self._program("weighted", lambda: hessian(self._weighted))(v, w, *rest)[0]


class Bound(NamedTuple):
    """Functions with what else they depend on."""

    functions: Functions
    rest: tuple[object, ...]

    def value(self, v: Array) -> float:
        return self.functions.value(v, *self.rest)

    def value_and_grad(self, v: Array) -> tuple[float, Array]:
        return self.functions.value_and_grad(v, *self.rest)

    def product(self, v: Array, d: Array) -> Array:
        return self.functions.product(v, d, *self.rest)

    def hessian(self, v: Array) -> Array:
        return self.functions.hessian(v, *self.rest)

    def derivative(self, v: Array) -> Array:
        return self.functions.derivative(v, *self.rest)

    def second_derivative(self, v: Array) -> Array:
        return self.functions.second_derivative(v, *self.rest)

    def values(self, v: Array) -> Array:
        return self.functions.values(v, *self.rest)

    def values_and_jacobian(self, v: Array) -> tuple[Array, Array]:
        return self.functions.values_and_jacobian(v, *self.rest)

    def jacobian(self, v: Array) -> Array:
        return self.functions.jacobian(v, *self.rest)

    def sparse_jacobian(self, v: Array) -> Array | csr_array:
        return self.functions.sparse_jacobian(v, *self.rest)

    def weighted_hessian(self, v: Array, w: Array) -> Array:
        return self.functions.weighted_hessian(v, w, *self.rest)


class _Kept:
    """What is kept with a function; of which, since a wrapper gets all that the function has. Copies begin empty."""

    def __init__(self, owner: Callable[..., object]) -> None:
        self.owner = weakref.ref(owner)
        self.by_key: dict[Hashable, object] = {}

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        return object, ()


def kept(f: Callable[..., object], key: Hashable, make: Callable[[], T]) -> T:
    """What was made of a user's function before, or what `make` makes now."""
    plain = f.__wrapped__ if isinstance(f, Compiled) else f
    space = getattr(plain, "__dict__", None)
    if not isinstance(space, dict) or isinstance(plain, MethodType):  # whose space is that of all objects of the class
        return make()
    found = space.get("_tapenet_optimize")
    if not isinstance(found, _Kept) or found.owner() is not plain:
        found = space["_tapenet_optimize"] = _Kept(plain)
    if key not in found.by_key:
        found.by_key[key] = make()
    return cast("T", found.by_key[key])


def around(f: Callable[..., object], key: Hashable, made: Callable[..., T]) -> Callable[..., T]:
    """A function that is made of a user's, or the one that was before, so that its programs are found again. By `__wrapped__`
    these find the globals that they are made for."""
    vars(made)["__wrapped__"] = f
    return kept(f, key, lambda: made)


def backend_of(f: Callable[..., object]) -> str | None:
    """The backend of a compiled function of the user's; None for the best there is."""
    return f._backend if isinstance(f, Compiled) else None


def vector(out: object) -> Tensor:
    """All values of a result as one vector."""
    leaves = [asarray(t).reshape(-1) for t in flatten(out)[0]]
    if not leaves:
        raise TypeError(f"a function that is to be minimised or solved gives {out!r}: it must return numbers")
    found: Tensor = leaves[0] if len(leaves) == 1 else ops.concatenate(leaves)
    return found
