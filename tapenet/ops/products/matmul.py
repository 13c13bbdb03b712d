"""Products of matrices and vectors.

Rules are stated: they choose between products by shape, and derived ones take 1.1 to 1.3 times as long.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from tapenet import kernels
from tapenet.ops.batched_calls import aligned
from tapenet.ops.derived import array_like, derived
from tapenet.ops.op import op
from tapenet.ops.products.cores import with_options
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import unbroadcast
from tapenet.program.rehearsal import spared
from tapenet.program.runs import LONG, column_sums, ones
from tapenet.typing import Array


def rows(a: Array) -> Array:
    """Vectors along the last axis as the rows of a matrix."""
    # The number of rows is written out, since NumPy cannot infer it for an array without elements.
    return a if a.ndim == 2 else np.reshape(a, (math.prod(a.shape[:-1]), a.shape[-1]))


def _matmul_x(g: Array, x_shape: tuple[int, ...], y: Array) -> Array:
    if y.ndim == 1:
        return g * y if len(x_shape) == 1 else np.expand_dims(g, -1) * y
    if len(x_shape) == 1:
        return unbroadcast(np.matmul(y, np.expand_dims(g, -1))[..., 0], x_shape)
    if len(x_shape) == 2 < g.ndim and math.prod(x_shape) > y.shape[-1] * sum(x_shape):
        # One matrix for all: rather than a large gradient for each, one product with arrays in another order.
        over = (*range(g.ndim - 2), -1)
        return np.tensordot(g, y, (over, over))
    if y.ndim == 2 < g.ndim:
        return np.reshape(_times(rows(g), y.T), x_shape)
    return unbroadcast(_times(g, np.swapaxes(y, -1, -2)), x_shape)


def _matmul_y(g: Array, x: Array, y_shape: tuple[int, ...]) -> Array:
    if x.ndim == 1:
        if len(y_shape) == 1:
            return g * x
        found: Array = np.expand_dims(x, -1) * np.expand_dims(g, -2)
    elif len(y_shape) == 1:  # of one vector or matrix for all: summed by the product
        found = _times(rows(x).T, np.reshape(g, -1))
    elif len(y_shape) == 2 < x.ndim:
        found = _times(rows(x).T, rows(g))
    else:
        found = unbroadcast(_times(np.swapaxes(x, -1, -2), g), y_shape)
    return found


def _times(x: Array, y: Array) -> Array:
    """np.matmul(x, y), on the worker threads where it pays."""
    found: Array | None = None
    if type(x) is type(y) is np.ndarray:
        if x.ndim == 2 and y.ndim == 2:
            found = x.dot(y) if x.size * y.shape[1] < SHARED else _shared(x, y)
        elif x.ndim == 2 and y.ndim == 1:
            found = _by_vector(x, y)
        elif x.ndim == 1 and y.ndim == 2 and not y.flags.forc:
            found = _by_vector(y.T, x)
        elif x.ndim > 2 and y.ndim > 1 and x.size * y.shape[-1] >= SHARED:
            found = _stacked(x, y)
    return np.matmul(x, y) if found is None else found


def _by_vector(x: Array, y: Array) -> Array:
    """The product of a matrix and a vector. For a matrix that BLAS does not read NumPy has its own loops, which take up to
    50 times as long: what lies in reverse is turned round, what has gaps copied."""
    if x.size > FEW and not x.flags.forc and x.dtype.char in "fdFD" and x.shape[1] == len(y):
        down, along = x.strides
        if down < 0:
            return np.ascontiguousarray(_by_vector(x[::-1], y)[::-1])
        if along < 0:
            return _by_vector(x[:, ::-1], np.ascontiguousarray(y[::-1]))
        if min(down, along) != x.itemsize:
            x = x.copy("K")
    return _shared(x, y) if x.size >= SHARED_VECTOR else np.matmul(x, y)


def _matmul_hint(x: Array, y: Array) -> str:
    a, b = np.shape(x), np.shape(y)
    if not a or not b:
        return "matmul takes no scalars: use * instead"
    inner = b[-2] if len(b) > 1 else b[0]
    text = f"The last axis of x ({a[-1]}) must be as long as the {'next to last' if len(b) > 1 else 'only'} axis of y ({inner})"
    if len(b) > 1 and a[-1] == b[-1]:
        text += ": did you mean x @ y.T (for batches y.mT)?"
    elif len(a) > 1 and a[-2] == inner:
        text += ": did you mean x.T @ y (for batches x.mT)?"
    return text


def _matmul_lanes(batched: frozenset[str], x: Array, y: Array) -> object:
    """A vector is a row on the left and a column on the right: with lanes NumPy would take it for a matrix."""
    if "c" not in (x.dtype.kind, y.dtype.kind):
        return NotImplemented  # products of real numbers are read
    row, column = (np.ndim(a) - (n in batched) == 1 for n, a in (("x", x), ("y", y)))
    x, y = x[..., None, :] if row else x, y[..., None] if column else y
    ndim = max(np.ndim(a) - (n in batched) for n, a in (("x", x), ("y", y)))
    x, y = (aligned(a, ndim) if n in batched else a for n, a in (("x", x), ("y", y)))
    found = matmul(x, y)
    if column:
        found = found[..., 0]
    return found[..., 0, :] if row and not column else found[..., 0] if row else found


@op(
    more=with_options(np.matmul),
    numpy=(np.matmul, np.linalg.matmul),
    label="@",
    multiply_adds=lambda x_shape, out_shape: math.prod(out_shape) * x_shape[-1],
    x=_matmul_x,
    y=_matmul_y,
    formula="x @ y",
    gradients="x: g @ yᵀ; y: xᵀ @ g",
    vmap=_matmul_lanes,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=(3, 4))),
        sample(r.normal(size=3), r.normal(size=3)),
        sample(r.normal(size=(2, 3)), r.normal(size=3)),
        sample(r.normal(size=3), r.normal(size=(3, 2))),
        sample(r.normal(size=(2, 2, 3)), r.normal(size=(2, 3, 1))),
        sample(r.normal(size=(2, 1, 2, 3)), r.normal(size=(3, 3, 2))),
        sample(r.normal(size=(2, 2, 3)), r.normal(size=3)),
        sample(r.normal(size=3), r.normal(size=(2, 3, 2))),
        sample(r.normal(size=(2, 2)) + 1j * r.normal(size=(2, 2)), r.normal(size=(2, 1)) + 1j * r.normal(size=(2, 1))),
        sample(r.normal(size=(1, 2)), r.normal(size=(2, 2)) + 1j * r.normal(size=(2, 2))),
    ],
    hint=_matmul_hint,
)
def matmul(x: Array, y: Array) -> Array:
    # For two matrices ndarray.dot is the same BLAS call with half of matmul's overhead.
    """The matrix product x @ y, with vectors and broadcast batches as `np.matmul`.

    Shapes (..., n, k) @ (..., k, m) give (..., n, m). The gradients are g @ yᵀ and xᵀ @ g, summed over the axes that
    broadcast.

    Options: those of the ufunc. `axes=` says where the matrices are, in place of the last axes: a list with the two axes in
    `x`, in `y` and in the result.

    Raises:
        ValueError: the inner axes differ in length.

    >>> import tapenet as tn
    >>> tn.matmul(tn.tensor([[1.0, 2.0]]), tn.tensor([[3.0], [4.0]]))
    Tensor([[11.]])
    """
    return _times(x, y)


#: Numbers of a matrix up to which NumPy's own loops are as quick as anything.
FEW = 1024
#: Multiply-adds from which a product of two matrices, or of a matrix and a vector, may be worth two threads.
SHARED, SHARED_VECTOR = 2_000_000, 200_000


def _shared(x: Array, y: Array) -> Array:
    """The product of a matrix and a matrix or vector, on the worker threads where it pays."""
    if x.shape[-1] == len(y) and kernels.fit(x, y) and (kernel := kernels.use("products")) is not None:
        found = kernel.product(x, y)
        if found is not None:
            return found  # type: ignore[no-any-return]
    return _plain(x, y)


def _stacked(x: Array, y: Array) -> Array | None:
    """The products of two stacks of matrices on the worker threads, if it pays."""
    fits = x.shape[-1] == y.shape[-2] and kernels.fit(x, y)
    kernel = kernels.use("products") if fits else None
    try:
        return None if kernel is None else kernel.stack(x, y)
    except ValueError:  # they do not broadcast, which NumPy says
        return None


def _plain(x: Array, y: Array) -> Array:
    """The same on one thread, or on BLAS's own where no kernels are used."""
    with kernels.alone():
        found: Array = x.dot(y) if y.ndim == 2 else np.matmul(x, y)  # of rows with gaps `dot` makes a copy
    return found


def operand(value: Any) -> Any:
    """A factor of a product: a Python number as it is, which changes no dtype; all else by `array_like`.

    >>> operand(2.0), operand([1, 2]).shape
    (2.0, (2,))
    """
    return value if type(value) in (bool, int, float, complex) else array_like(value)


def operands(a: Array, b: Array) -> tuple[Array, Array, int, int]:
    """Two factors of a product, and how many axes they have."""
    left, right = getattr(a, "ndim", 0), getattr(b, "ndim", 0)
    if left == 0 or right == 0:  # or a list
        a, b = operand(a), operand(b)
        left, right = getattr(a, "ndim", 0), getattr(b, "ndim", 0)
    return a, b, left, right


@derived(
    numpy=np.dot,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=(3, 4))),
        sample(r.normal(size=3), r.normal(size=3)),
        sample(r.normal(size=(2, 3)), r.normal(size=())),
        sample(r.normal(size=(2, 1, 3)), r.normal(size=(2, 3, 1))),
        sample(r.normal(size=(2, 2, 2)), r.normal(size=2)),
        sample(r.normal(size=2), r.normal(size=(2, 2, 2))),
        sample(r.normal(size=(0, 3)), r.normal(size=(3, 2))),
    ],
)
def dot(a: Array, b: Array) -> Array:
    """The dot product: the sum over the last axis of `a` and the next to last (or only) axis of `b`; with a number the
    plain product. Of vectors and matrices it is `matmul`; beyond, the other axes of `a` come before those of `b` and are
    not matched as batches.

    Args:
        a: (..., k).
        b: (..., k, m) or (k,).

    Returns:
        the other axes of `a`, then those of `b`.

    Raises:
        ValueError: the axes summed over differ in length.

    >>> import tapenet as tn
    >>> tn.dot(tn.tensor([1.0, 2.0]), tn.tensor([3.0, 4.0]))
    Tensor(11.)
    """
    a, b, left, right = operands(a, b)
    if left == 0 or right == 0:
        return np.multiply(a, b)
    if left > 2 or right > 2:
        if a.shape[-1] != b.shape[-min(right, 2)]:
            raise ValueError(
                f"dot: shapes {a.shape} and {b.shape} do not fit: the last axis of a ({a.shape[-1]}) must be as long as "
                f"the {'next to last' if right > 1 else 'only'} axis of b ({b.shape[-min(right, 2)]}); for batches of "
                "matrices use matmul (@)"
            )
        return np.tensordot(array_like(a), array_like(b), (-1, -min(right, 2)))
    return matmul(a, b)


#: Multiply-adds from which a linear layer may be worth a kernel, and from which OpenBLAS uses threads, and the gradient of the
#: weights may be worth one.
WORTH, ALONE = 600_000, 200_000


def _rows_dot(x: Array, matrix: Array) -> Array:
    """x @ matrix. `ndarray.dot` gives BLAS no more than matrices, and of other arrays computes one element at a time."""
    if type(x) is not np.ndarray or x.ndim <= 2:
        return _dot(x, matrix)
    *rows, length = x.shape
    return _dot(x.reshape(math.prod(rows), length), matrix).reshape(*rows, matrix.shape[1])


def _dot(x: Array, matrix: Array) -> Array:
    """The product of two matrices. Where kernels are used, it does not wake BLAS's threads, which would be in their way."""
    work = x.size * matrix.shape[-1]
    if work < ALONE or not type(x) is type(matrix) is np.ndarray:
        found: Array = x.dot(matrix)
        return found
    return _plain(x, matrix) if work < SHARED or x.ndim != 2 else _shared(x, matrix)


def _kernel(x: Array, others: tuple[Array | None, ...], across: int, least: int) -> ModuleType | None:
    """The kernels of linear layers, where there may be one for rows x times `across` columns."""
    work = x.size * across
    if type(x) is not np.ndarray or work < least or spared(work >> 10) or not kernels.fit(x, *others):
        return None
    return kernels.use("linear")


def _product(x: Array, matrix: Array, bias: Array | None = None) -> Array | None:
    """x @ matrix + bias by a kernel, the matrix being in C order or in Fortran order; None where BLAS is to compute it. With
    weights as PyTorch keeps them, in C order, 16 rows times (1024, 1024) take half of BLAS's time, 4 rows times (512, 512) a
    quarter."""
    inputs, outputs = matrix.shape
    if x.shape[-1] != inputs or (bias is not None and bias.shape != (outputs,)):
        return None
    kernel = _kernel(x, (matrix, bias), outputs, WORTH)
    turned = not matrix.flags.c_contiguous
    if kernel is None or (turned and not matrix.flags.f_contiguous):
        return None
    if not kernel.takes(
        "product_turned" if turned else "product", x.size // (inputs or 1), inputs, outputs, x.itemsize
    ):
        return None
    if bias is not None:
        bias = np.ascontiguousarray(bias)
    rows = _rows(x)
    found: Array = kernel.product_turned(rows, matrix.T, bias) if turned else kernel.product(rows, matrix, bias)
    return found.reshape(*x.shape[:-1], outputs)


def _rows(x: Array) -> Array:
    """(..., n) as a matrix in C order."""
    return np.ascontiguousarray(x.reshape(-1, x.shape[-1]))


# Each begins with the usual small case, spelled out: small nets spend their time on calls like these.


def _linear_x(g: Array, weight: Array) -> Array:
    if g.ndim == 2 and g.size * weight.shape[1] < ALONE and type(g) is np.ndarray:
        found: Array = g.dot(weight)
    elif type(g) is type(weight) is np.ndarray:
        made = _product(g, weight)
        found = _rows_dot(g, weight) if made is None else made
    else:
        found = np.matmul(g, weight)
    return found


def _linear_weight(g: Array, x: Array) -> Array:
    # Transposed after the product, so that the gradient of a Fortran-ordered weight is Fortran-ordered too.
    if x.ndim == 2 and x.size * g.shape[1] < ALONE and type(g) is np.ndarray:
        found: Array = x.T.dot(g)
        return found.T
    x, g = rows(x), rows(g)
    kernel = _kernel(x, (g,), g.shape[1], ALONE) if type(g) is np.ndarray and g.flags.c_contiguous else None
    if kernel is not None and kernel.takes("weight_grad", *x.shape, g.shape[1]):
        found = kernel.weight_grad(_rows(x), g)
    else:
        found = _dot(x.T, g) if type(g) is np.ndarray else np.matmul(x.T, g)
    return found.T


def _linear_bias(g: Array) -> Array:
    # By BLAS in a third of the time of NumPy's sum; of (10,000, 16) numbers in a tenth.
    if type(g) is np.ndarray and g.ndim > 1 and 0 < g.size < LONG:
        g = rows(g)
        found: Array = ones(len(g), g.dtype).dot(g)
    elif type(g) is np.ndarray and g.ndim > 1 and g.size and g.dtype.char in "fd":
        with kernels.alone():
            found = column_sums(rows(g))
    else:
        found = np.sum(g, axis=tuple(range(g.ndim - 1)))
    return found


def _linear_hint(x: Array, weight: Array, bias: Array) -> str:
    if np.ndim(x) and np.ndim(weight) == 2 and x.shape[-1] != weight.shape[1]:
        text = f"The layer takes {weight.shape[1]} features in the last axis, the input has {x.shape[-1]}"
        if np.prod(x.shape[1:]) == weight.shape[1]:
            text += "; flatten it first: x.reshape(len(x), -1) or nn.Flatten()"
        return text
    return "Shapes: x (..., in), weight (out, in), bias (out,)"


@op(
    label=lambda weight_shape: f"linear {weight_shape[0]}",
    multiply_adds=lambda x_shape, out_shape: math.prod(out_shape) * x_shape[-1],
    x=_linear_x,
    weight=_linear_weight,
    bias=_linear_bias,
    formula="x @ weightᵀ + bias",
    gradients="x: g @ weight; weight: gᵀ @ x",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=(4, 3)), r.normal(size=4)),
        sample(r.normal(size=3), r.normal(size=(2, 3)), r.normal(size=2)),
        sample(r.normal(size=(2, 2, 3)), np.asfortranarray(r.normal(size=(4, 3)))),
    ],
    hint=_linear_hint,
)
def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """The affine map x @ weightᵀ + bias.

    Args:
        x: (..., in).
        weight: (out, in). In Fortran order both its products are fast.
        bias: (out,), or None.

    Returns:
        (..., out).

    Raises:
        ValueError: the last axis of `x` is not `in` long, or the bias not `out`.

    >>> import tapenet as tn
    >>> tn.linear(tn.tensor([1.0, 2.0]), tn.tensor([[3.0, 4.0]]), tn.tensor([0.5]))
    Tensor([11.5])
    """
    if not x.ndim:  # it would be multiplied with the whole matrix
        raise ValueError("x is a single number, and its last axis should hold the features")
    if weight.ndim != 2:  # the gradient of a product with a vector is another
        raise ValueError(f"the weight has shape {weight.shape}, and it should be a matrix (out, in)")
    if x.ndim == 2 and x.size * len(weight) < ALONE:
        out: Array = x.dot(weight.T)
    elif type(x) is type(weight) is np.ndarray and (made := _product(x, weight.T, bias)) is not None:
        out, bias = made, None
    else:
        out = _rows_dot(x, weight.T)
    if bias is not None:
        if bias.shape != out.shape[-1:]:  # it might broadcast, and its rule would not undo that
            raise ValueError(f"the bias has shape {bias.shape}, not {out.shape[-1:]}")
        out += bias
    return out
