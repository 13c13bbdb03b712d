"""Sparse arrays whose stored values are a tensor. Where the values are is fixed, as SciPy has it; what they are is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, NoReturn, Self, TypeVar, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.program import trees
from tapenet.program.low import dtype_of
from tapenet.scipy.sparse.products import pairs, product
from tapenet.scipy.sparse.structure import FORMATS, Format, Scipys, Structure
from tapenet.typing import Array, DType

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

S = TypeVar("S", bound="SparseArray")

#: Functions that keep 0, so that they act on the stored values alone.
_KEEP_ZERO = (
    "absolute arcsin arcsinh arctan arctanh cbrt ceil conjugate deg2rad expm1 floor imag log1p negative positive rad2deg "
    "real rint sign sin sinh sqrt square tan tanh trunc"
)


class SparseArray:
    """A matrix of which some values are stored, in a tensor; all others are 0.

    Derivatives are by the stored values: the gradient of a sparse array is one of the same structure. Wherever trees of tensors
    are taken (`tn.grad`, `tn.compile`, `tn.optimize`), a sparse array is a container with one part, its `data`.

    Attributes:
        data: the stored values, a tensor with one axis.
        structure: where they are.
    """

    format: ClassVar[Format]
    data: Tensor
    structure: Structure
    _kept: Scipys | None = None

    def __init__(
        self,
        arg1: object,
        shape: tuple[int, int] | None = None,
        dtype: DTypeLike | None = None,
        copy: bool = False,
    ) -> None:
        """As SciPy's.

        Args:
            arg1: (data, indices, indptr), or (data, (rows, columns)) with values in one place added; a sparse array, of
                SciPy's or of tensors; a dense matrix; or (M, N) for one without values.
            shape: of the matrix; by default as large as the indices need.
            dtype: of the values; by default that of the data.
            copy: of no effect: values are never written to.
        """
        made = _made(arg1, shape, self.format)
        self.structure = made.structure
        self.data = made.data if dtype is None or made.data.dtype == dtype else made.data.astype(dtype)

    @staticmethod
    def of(data: Tensor, structure: Structure) -> SparseArray:
        """The array of a structure and values."""
        made = object.__new__(_CLASSES[structure.format])
        made.data, made.structure = data, structure
        return made

    @staticmethod
    def from_dense(dense: Tensor) -> SparseArray:
        """The values of a matrix that are not 0.

        Raises:
            ValueError: it has another number of axes.
        """
        if dense.ndim != 2:
            raise ValueError(f"a sparse array is made of a dense one with two axes, not of shape {dense.shape}")
        rows, columns = (part.astype(np.int32) for part in np.nonzero(dense.detach().numpy()))
        return SparseArray.of(dense[rows, columns], Structure("coo", (dense.shape[0], dense.shape[1]), rows, columns))

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """Lengths of the two axes."""
        return self.structure.shape

    @property
    def ndim(self) -> int:
        """2."""
        return 2

    @property
    def dtype(self) -> DType:
        """Of the values."""
        return self.data.dtype

    @property
    def nnz(self) -> int:
        """How many values are stored, zeros and doubles counted."""
        return self.structure.size

    size = nnz

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to its values."""
        return self.data.requires_grad

    @property
    def coords(self) -> tuple[Array, Array]:
        """Rows and columns of the values."""
        return self.structure.rows, self.structure.columns

    @property
    def row(self) -> Array:
        """The row of each value."""
        return self.structure.rows

    @property
    def col(self) -> Array:
        """The column of each value."""
        return self.structure.columns

    @property
    def indices(self) -> Array:
        """Of a compressed format, SciPy's indices."""
        self._compressed("indices")
        return self.structure.first

    @property
    def indptr(self) -> Array:
        """Of a compressed format, where each row (column) begins."""
        self._compressed("indptr")
        return self.structure.second

    def _compressed(self, name: str) -> None:
        if self.format == "coo":
            raise AttributeError(f"a coo_array has no {name}: use row and col, or tocsr()")

    def __repr__(self) -> str:
        wants = ", requires_grad" if self.requires_grad else ""
        return (
            f"<tapenet {self.format}_array of dtype {self.dtype}, shape {self.shape}, {self.nnz} stored values{wants}>"
        )

    def __bool__(self) -> bool:
        raise ValueError("the truth value of a sparse array is not defined; ask for A.nnz or A.toarray().any()")

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError(
            "sparse arrays are compared as dense ones, A.toarray() == B.toarray(), or as SciPy's, by A.numpy()"
        )

    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __hash__ = object.__hash__

    # -- what else it can be ---------------------------------------------------------------------------------------

    def numpy(self) -> Scipys:
        """SciPy's array with these values; the way out of the graph."""
        return self.structure.filled(self.data.numpy())

    @property
    def _scipys(self) -> Scipys:
        """The same, kept as long as `data` holds the same array."""
        found = self._kept
        if found is None or found.data is not self.data._data:
            found = self._kept = self.structure.filled(self.data._data)
        return found

    def detach(self) -> Self:
        """The same values, without their graph."""
        return self._with(self.data.detach())

    def _with(self, data: Tensor) -> Self:
        return cast("Self", SparseArray.of(data, self.structure))

    def _each(self, f: Callable[[Tensor], Tensor]) -> Self:
        """A function that keeps 0, of each value; values in one place are added first."""
        here = self if self.structure.distinct else self.sum_duplicates()
        return cast("Self", SparseArray.of(f(here.data), here.structure))

    def _moved(self, move: Callable[[Scipys], Scipys]) -> SparseArray:
        """What a function that moves values makes of this array: it is told where they go by the numbers of the values."""
        labels = np.arange(1, self.nnz + 1, dtype=np.float64)
        moved = move(self.structure.filled(labels))
        structure = Structure.of(moved)
        source = moved.data.astype(np.intp) - 1
        return SparseArray.of(self.data[source], structure)

    def tocsr(self, copy: bool = False) -> csr_array:
        """With its rows compressed; values in one place are added."""
        return cast("csr_array", self.asformat("csr"))

    def tocsc(self, copy: bool = False) -> csc_array:
        """With its columns compressed; values in one place are added."""
        return cast("csc_array", self.asformat("csc"))

    def tocoo(self, copy: bool = False) -> coo_array:
        """With rows and columns of each value."""
        return cast("coo_array", self.asformat("coo"))

    def asformat(self, format: Format | None, copy: bool = False) -> SparseArray:
        """In another format: "csr", "csc" or "coo".

        Raises:
            ValueError: another format than these.
        """
        if format is None or format == self.format:
            return self
        if format not in FORMATS:
            raise ValueError(f"a sparse array of tensors is in format {', '.join(FORMATS)}, not {format!r}")
        if format != "coo" and not self.structure.distinct:
            return self.sum_duplicates().asformat(format)
        return self._moved(lambda a: a.asformat(format))

    def sum_duplicates(self) -> SparseArray:
        """With values in one place added. SciPy's works in place."""
        target = Structure.of(self.structure.filled(np.ones(self.nnz)).tocsr().tocoo())
        if target.size == self.nnz:
            return self
        summed = ops.scatter_add(self.data, self.structure.places_in(target), (target.size,))
        return SparseArray.of(summed, target).asformat(self.format)

    def toarray(self) -> Tensor:
        """The matrix as a tensor."""
        return cast("Tensor", ops.scatter_add(self.data, self.coords, self.shape))

    todense = toarray

    def copy(self) -> Self:
        """An array with the same values."""
        return self._with(ops.copy(self.data))

    def astype(self, dtype: DTypeLike, casting: str = "unsafe", copy: bool = True) -> Self:
        """The values in another dtype."""
        return self._with(self.data.astype(dtype_of(dtype)))

    @property
    def T(self) -> SparseArray:
        """The transpose."""
        return SparseArray.of(self.data, self.structure.T)

    def transpose(self, axes: tuple[int, int] | None = None, copy: bool = False) -> SparseArray:
        """The transpose."""
        return self if axes == (0, 1) else self.T

    def reshape(self, *shape: int | tuple[int, int], order: str = "C") -> SparseArray:
        """The same values, counted row by row, in a matrix of another shape."""
        given = shape[0] if isinstance(shape[0], tuple) else shape
        return self._moved(lambda a: a.reshape(given, order=order))

    def conj(self, copy: bool = True) -> Self:
        """The complex conjugate."""
        return self._with(self.data.conj())

    conjugate = conj

    @property
    def real(self) -> Self:
        """The real part."""
        return self._with(self.data.real)

    @property
    def imag(self) -> Self:
        """The imaginary part."""
        return self._with(self.data.imag)

    def sorted_indices(self) -> SparseArray:
        """With the values of each row (column) in order."""
        return self._moved(lambda a: a.sorted_indices())

    def nonzero(self) -> tuple[Array, Array]:
        """Rows and columns of the stored values that are not 0."""
        return self.numpy().nonzero()

    # -- parts and sums ----------------------------------------------------------------------------------------------

    def __getitem__(self, index: object) -> SparseArray | Tensor:
        """Elements, rows, columns and blocks, as of SciPy's. One element, a row `A[i]` and a column `A[:, j]` are dense."""
        here = self.tocsr() if self.format == "coo" or not self.structure.distinct else self
        labels = here.structure.filled(np.arange(1, here.nnz + 1, dtype=np.float64))
        found = labels[index]
        if hasattr(found, "toarray") and len(found.shape) == 2:
            return here._moved(lambda a: a[index])
        places = np.asarray(found.toarray() if hasattr(found, "toarray") else found).astype(np.intp)
        values = here.data if here.nnz else ops.zeros((1,), self.dtype)
        picked = values[np.maximum(places - 1, 0)]
        return cast("Tensor", ops.where(places > 0, picked, np.zeros((), self.dtype)))

    def diagonal(self, k: int = 0) -> Tensor:
        """A diagonal, as a tensor."""
        length = max(0, min(self.shape[0] + min(k, 0), self.shape[1] - max(k, 0)))
        rows, columns = self.coords
        on = np.flatnonzero(columns.astype(np.int64) - rows == k)
        at = np.minimum(rows[on], columns[on])
        return cast("Tensor", ops.scatter_add(self.data[on], at, (length,)))

    def trace(self, offset: int = 0) -> Tensor:
        """The sum of a diagonal."""
        return self.diagonal(offset).sum()

    def sum(self, axis: int | tuple[int, ...] | None = None, dtype: DTypeLike | None = None) -> Tensor:
        """Sums over rows or columns (`axis`), or of all."""
        data = self.data if dtype is None else self.data.astype(dtype_of(dtype))
        axes = (0, 1) if axis is None else (axis,) if isinstance(axis, int) else axis
        left = [a for a in (0, 1) if a not in [b % 2 for b in axes]]
        if not left:
            return data.sum()
        if len(left) == 2:
            return SparseArray.of(data, self.structure).toarray()
        return cast("Tensor", ops.scatter_add(data, self.coords[left[0]], (self.shape[left[0]],)))

    def mean(self, axis: int | tuple[int, ...] | None = None, dtype: DTypeLike | None = None) -> Tensor:
        """Means over rows or columns (`axis`), or of all; zeros count."""
        total = self.sum(axis, dtype)
        return total / (self.shape[0] * self.shape[1] // max(total.size, 1))

    def max(self, axis: int | None = None) -> Tensor:
        """The largest element, of the matrix or along an axis; zeros that are not stored count."""
        return self.toarray().max(axis)

    def min(self, axis: int | None = None) -> Tensor:
        """The smallest element, of the matrix or along an axis; zeros that are not stored count."""
        return self.toarray().min(axis)

    # -- arithmetic --------------------------------------------------------------------------------------------------

    def power(self, n: float, dtype: DTypeLike | None = None) -> Self:
        """Each stored value to a power.

        Raises:
            ValueError: `n` is not positive: 0 to that power is not 0.
        """
        if n <= 0:
            raise ValueError(f"power: n = {n} makes other values of 0 than 0; write A.toarray() ** n")
        return self._each(lambda data: data**n)

    def multiply(self, other: object) -> SparseArray:
        """The product element by element with a sparse or dense array or a number; a sparse array."""
        if is_sparse(other):
            return self._meet(ours(other))
        if np.ndim(cast("Array", other)) == 0:
            return self._with(cast("Tensor", ops.multiply(self.data, other)))
        dense = asarray(other)
        shape = np.broadcast_shapes(self.shape, dense.shape)
        if shape != self.shape:
            raise ValueError(
                f"multiply: a dense array of shape {dense.shape} makes the result larger than {self.shape}"
            )
        full = ops.broadcast_to(dense, self.shape)
        return self._with(self.data * full[self.coords])

    def _meet(self, other: SparseArray) -> SparseArray:
        if self.shape != other.shape:
            raise ValueError(f"multiply: sparse arrays of shapes {self.shape} and {other.shape}")
        a, b = self.sum_duplicates(), other.sum_duplicates()
        _, mine, theirs = np.intersect1d(a.structure.keys, b.structure.keys, assume_unique=True, return_indices=True)
        rows, columns = (c[mine] for c in a.coords)
        structure = Structure("coo", self.shape, rows, columns)
        return SparseArray.of(a.data[mine] * b.data[theirs], structure).asformat(self.format)

    def _plus(self, other: SparseArray) -> SparseArray:
        if self.shape != other.shape:
            raise ValueError(f"add: sparse arrays of shapes {self.shape} and {other.shape}")
        if self.structure == other.structure:
            return self._with(self.data + other.data)
        rows, columns = (np.concatenate(pair) for pair in zip(self.coords, other.coords, strict=True))
        joined = SparseArray.of(ops.concatenate([self.data, other.data]), Structure("coo", self.shape, rows, columns))
        return joined.sum_duplicates().asformat(self.format)

    def __add__(self, other: object) -> SparseArray | Tensor:
        if is_sparse(other):
            return self._plus(ours(other))
        return cast("Tensor", ops.add(self.toarray(), _no_number(other, "add")))

    __radd__ = __add__

    def __sub__(self, other: object) -> SparseArray | Tensor:
        if is_sparse(other):
            return self._plus(-ours(other))
        return cast("Tensor", ops.subtract(self.toarray(), _no_number(other, "subtract")))

    def __rsub__(self, other: object) -> SparseArray | Tensor:
        return -(self - other)

    def __neg__(self) -> Self:
        return self._with(-self.data)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return self._each(abs)

    def __mul__(self, other: object) -> SparseArray:
        return self.multiply(other)

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> SparseArray | Tensor:
        if is_sparse(other):
            return self.toarray() / ours(other).toarray()
        return self.multiply(ops.reciprocal(_as_float(other)))

    def __pow__(self, n: float) -> Self:
        return self.power(n)

    def dot(self, other: object) -> SparseArray | Tensor:
        """The matrix product; with a number the product with it."""
        return self.multiply(other) if not is_sparse(other) and np.ndim(cast("Array", other)) == 0 else self @ other

    def __matmul__(self, other: object) -> SparseArray | Tensor:
        data = self.data
        if (
            type(other) is Tensor
            and data._node is other._node is None
            and local.state.tape is None
            and not local.state.layers
        ):
            return Tensor._of(self._scipys @ other._data)  # nothing to record: 1 µs more than SciPy's, else 10
        if is_sparse(other):
            theirs = ours(other)
            _fit(self.shape, theirs.shape)
            a, b = self.tocsr(), theirs.tocsr()
            return SparseArray.of(*pairs(a.data, a.structure, b.data, b.structure)).asformat(self.format)
        return self._times(other, self.structure)

    def __rmatmul__(self, other: object) -> SparseArray | Tensor:
        if is_sparse(other):
            return ours(other) @ self
        dense = asarray(other)
        _fit(dense.shape, self.shape)
        return self._times(dense.T, self.structure.T).T

    def _times(self, other: object, structure: Structure) -> Tensor:
        x = asarray(other)
        if x.ndim not in (1, 2):
            raise ValueError(
                f"@ of a sparse array of shape {structure.shape} takes a vector or a matrix, not shape {x.shape}"
            )
        _fit(structure.shape, x.shape)
        return cast("Tensor", product(self.data, x, structure=structure))

    # -- protocols ---------------------------------------------------------------------------------------------------

    def __tapenet_op__(self, op: object, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """What an op of tensors gives that has a sparse array among its arguments: those with an operator, and functions that
        keep 0."""
        name = str(getattr(op, "name", op))
        first, *rest = args
        here = ours(first) if is_sparse(first) else first
        if name in _KEEP_ZERO.split() and isinstance(here, SparseArray):
            return here._each(lambda data: cast("Callable[..., Tensor]", op)(data, *rest, **kwargs))
        if name in _BY_NAME and not kwargs and len(rest) == 1:
            forward, reflected = _BY_NAME[name]
            if isinstance(here, SparseArray):
                return getattr(here, forward)(rest[0])
            return getattr(ours(rest[0]), reflected)(first)
        if name in ("sum", "mean", "trace", "diagonal", "transpose", "power", "max", "min") and isinstance(
            here, SparseArray
        ):
            return getattr(here, name)(*rest, **{n: v for n, v in kwargs.items() if v is not None and v is not False})
        raise TypeError(f"{name} of a sparse array would fill it: write {name}(A.toarray(), ...), or work with A.data")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: object, **options: object) -> object:
        """A ufunc of NumPy's, as the op of its name."""
        if method != "__call__":
            return NotImplemented
        return self.__tapenet_op__(getattr(ops, ufunc.__name__), inputs, options)

    def __array__(self, dtype: DType | None = None, copy: bool | None = None) -> Array:
        raise TypeError(
            "a sparse array is not turned into an ndarray in silence: write A.toarray(), or A.numpy() for SciPy's"
        )


#: Op -> the methods of a sparse array to its left and to its right.
_BY_NAME = {
    "matmul": ("__matmul__", "__rmatmul__"),
    "dot": ("dot", "__rmatmul__"),
    "add": ("__add__", "__radd__"),
    "subtract": ("__sub__", "__rsub__"),
    "multiply": ("__mul__", "__rmul__"),
    "divide": ("__truediv__", "__rtruediv__"),
}


class csr_array(SparseArray):
    """A sparse array with compressed rows, as `scipy.sparse.csr_array`, whose values are a tensor.

    >>> import numpy as np, tapenet as tn
    >>> values = tn.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> A = tn.scipy.sparse.csr_array((values, ([0, 0, 1], [0, 2, 1])), shape=(2, 3))
    >>> A @ np.array([1.0, 10.0, 100.0])
    Tensor([201.,  30.], op=sparse_product)
    >>> (A @ np.array([1.0, 10.0, 100.0])).sum().backward()
    >>> values.grad
    Tensor([  1., 100.,  10.])
    """

    format = "csr"


class csc_array(SparseArray):
    """A sparse array with compressed columns, as `scipy.sparse.csc_array`, whose values are a tensor.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.csc_array([[1.0, 0.0], [2.0, 3.0]]).indices
    array([0, 1, 1], dtype=int32)
    """

    format = "csc"


class coo_array(SparseArray):
    """A sparse array with the row and column of each value, as `scipy.sparse.coo_array`, whose values are a tensor. Values in
    one place are added where they are used.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(1, 2)).toarray()
    Tensor([[0., 3.]])
    """

    format = "coo"


_CLASSES: dict[Format, type[SparseArray]] = {"csr": csr_array, "csc": csc_array, "coo": coo_array}


def _made(arg: object, shape: tuple[int, int] | None, format: Format) -> SparseArray:
    """The array that arguments of a constructor describe."""
    from scipy import sparse

    if is_sparse(arg):
        return ours(arg).asformat(format)
    if isinstance(arg, tuple) and len(arg) == 2 and isinstance(arg[0], (int, np.integer)):
        return ours(getattr(sparse, f"{format}_array")(arg))
    if isinstance(arg, tuple) and len(arg) in (2, 3):
        data = asarray(arg[0])
        made = getattr(sparse, f"{format if len(arg) == 3 else 'coo'}_array")(
            (np.arange(1.0, data.size + 1), *arg[1:]), shape=shape
        )
        return SparseArray.of(data, Structure.of(made)).asformat(format)
    return SparseArray.from_dense(asarray(arg)).asformat(format)


def is_sparse(value: object) -> bool:
    """Whether a value is a sparse array, of tensors or of SciPy's."""
    kind = type(value)
    return isinstance(value, SparseArray) or (kind.__module__.startswith("scipy.sparse") and hasattr(kind, "tocsr"))


def ours(value: object) -> SparseArray:
    """A sparse array as one of tensors."""
    if isinstance(value, SparseArray):
        return value
    scipys = cast("Scipys", value)
    kept = scipys if scipys.format in FORMATS else scipys.tocsr()
    return SparseArray.of(asarray(kept.data), Structure.of(kept))


def _no_number(other: object, name: str) -> object:
    if np.ndim(cast("Array", other)) == 0:
        raise ValueError(f"{name} of a sparse array and a number would fill it: write {name}(A.toarray(), ...)")
    return other


def _as_float(other: object) -> object:
    return float(other) if isinstance(other, int) else asarray(other)


def _fit(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    if not a or not b or a[-1] != b[0]:
        raise ValueError(
            f"@ of shapes {a} and {b}: the last axis of the first must be as long as the first of the second"
        )


trees.register(
    SparseArray,
    lambda a: ({"data": a.data}, a.structure),
    lambda structure, parts: SparseArray.of(parts["data"], structure),
)
