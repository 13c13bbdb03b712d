"""Functions that PyTorch has and NumPy has not, in `tn` under PyTorch's names and with its arguments: `tn.cat`, `tn.randn`.

Names that NumPy has too mean what they mean there; see "Coming from PyTorch". What is made here without a dtype is float32,
as in PyTorch. `rng=` is a generator or an integer, as everywhere.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tapenet import linalg, ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.state import Switch, no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.ops import random
from tapenet.ops.arguments import check_device
from tapenet.ops.tracebacks import boundary
from tapenet.program.low import dtype_of, is_float
from tapenet.typing import Axis, DType, Number

F = TypeVar("F", bound=Callable[..., object])
Rng = np.random.Generator | int | None
#: Lengths one by one, or all in one sequence.
Size = int | Sequence[int]


class TopK(NamedTuple):
    """What `topk` gives."""

    values: Tensor
    indices: Tensor


# -- joining, cutting, shapes --------------------------------------------------------------------------------------


def cat(tensors: Sequence[ArrayLike], dim: int = 0) -> Tensor:
    """Tensors joined along an axis; `tn.concat`.

    >>> import tapenet as tn
    >>> tn.cat([tn.tensor([1.0]), tn.tensor([2.0, 3.0])])
    Tensor([1., 2., 3.])
    """
    made: Tensor = ops.concat(list(tensors), axis=dim)
    return made


def chunk(input: ArrayLike, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """A tensor in `chunks` pieces along an axis, all but the last of the same length; fewer where it is short.

    >>> import tapenet as tn
    >>> [len(part) for part in tn.chunk(tn.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), 2)]
    [3, 2]
    """
    length = np.shape(input)[dim]
    size = max(1, -(-length // chunks))
    return tuple(ops.split(asarray(input), range(size, max(length, 1), size), axis=dim))


def unbind(input: ArrayLike, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along an axis, without it; `tn.unstack`.

    >>> import tapenet as tn
    >>> tn.unbind(tn.tensor([[1.0], [2.0]]))
    (Tensor([1.]), Tensor([2.]))
    """
    return tuple(ops.unstack(asarray(input), axis=dim))


def unsqueeze(input: ArrayLike, dim: int) -> Tensor:
    """A new axis of length 1; `tn.expand_dims`.

    >>> import tapenet as tn
    >>> tn.unsqueeze(tn.tensor([1.0, 2.0]), 1).shape
    (2, 1)
    """
    return asarray(ops.expand_dims(asarray(input), dim))


def flatten(input: ArrayLike, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes from one to another made one, in row-major order.

    >>> import numpy as np, tapenet as tn
    >>> tn.flatten(np.zeros((2, 3, 4)), 1).shape
    (2, 12)
    """
    x = asarray(input)
    if not x.ndim:
        return x.reshape(1)
    first, last = (range(x.ndim)[axis] for axis in (start_dim, end_dim))
    if first > last:
        raise ValueError(f"flatten: start_dim={start_dim} comes after end_dim={end_dim} in the shape {x.shape}")
    return x.reshape(*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :])


def permute(input: ArrayLike, dims: Sequence[int]) -> Tensor:
    """The axes in another order; `tn.transpose`.

    >>> import numpy as np, tapenet as tn
    >>> tn.permute(np.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    return asarray(input).transpose(tuple(dims))


def repeat_interleave(input: ArrayLike, repeats: ArrayLike, dim: int | None = None) -> Tensor:
    """Each element, or slice along an axis, several times; `tn.repeat`.

    >>> import tapenet as tn
    >>> tn.repeat_interleave(tn.tensor([1.0, 2.0]), 2)
    Tensor([1., 1., 2., 2.])
    """
    return asarray(input).repeat(repeats, axis=dim)


def movedim(input: ArrayLike, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Axes moved to other places; `tn.moveaxis`.

    >>> import numpy as np, tapenet as tn
    >>> tn.movedim(np.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    return asarray(ops.moveaxis(asarray(input), source, destination))


def swapdims(input: ArrayLike, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged; `tn.swapaxes`.

    >>> import numpy as np, tapenet as tn
    >>> tn.swapdims(np.zeros((2, 3, 4)), 0, 1).shape
    (3, 2, 4)
    """
    return asarray(input).swapaxes(dim0, dim1)


def t(input: ArrayLike) -> Tensor:
    """The transpose of a matrix; vectors and numbers stay as they are.

    >>> import numpy as np, tapenet as tn
    >>> tn.t(np.zeros((2, 3))).shape
    (3, 2)
    """
    x = asarray(input)
    if x.ndim > 2:
        raise ValueError(f"t takes at most two axes, not {x.shape}; use tn.swapdims")
    return x.transpose()


# -- choosing ------------------------------------------------------------------------------------------------------


def masked_fill(input: ArrayLike, mask: ArrayLike, value: ArrayLike) -> Tensor:
    """`value` where the mask is true, else the input.

    >>> import tapenet as tn
    >>> tn.masked_fill(tn.tensor([1.0, 2.0]), [True, False], 0.0)
    Tensor([0., 2.])
    """
    x = asarray(input)
    return asarray(ops.where(mask, value if isinstance(value, Tensor) else np.asarray(value, x.dtype), x))


def index_select(input: ArrayLike, dim: int, index: ArrayLike) -> Tensor:
    """The slices along an axis at these places; `tn.take`.

    >>> import tapenet as tn
    >>> tn.index_select(tn.tensor([[1.0, 2.0, 3.0]]), 1, [2, 0])
    Tensor([[3., 1.]])
    """
    return asarray(input).take(index, axis=dim)


def gather(input: ArrayLike, dim: int, index: ArrayLike) -> Tensor:
    """out[i, j, ...] = input[index[i, j, ...], j, ...] for `dim` 0, and so on: `tn.take_along_axis`, where the index may be
    shorter than the input along other axes too.

    >>> import tapenet as tn
    >>> tn.gather(tn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, [[1], [0]])
    Tensor([[2.],
            [3.]])
    """
    x, at = asarray(input), asarray(index)
    axis = range(x.ndim)[dim]
    cut = tuple(slice(None) if k == axis else slice(n) for k, n in enumerate(at.shape))
    return asarray(ops.take_along_axis(x[cut], at, axis))


def topk(input: ArrayLike, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> TopK:
    """The `k` largest or smallest elements along an axis, and where they are, the first best. They are always sorted; of
    equals that of the lower index comes first.

    >>> import tapenet as tn
    >>> tn.topk(tn.tensor([1.0, 3.0, 2.0]), 2)
    TopK(values=Tensor([3., 2.]), indices=Tensor([1, 2], dtype=int64))
    """
    x = asarray(input)
    if not 0 <= k <= x.shape[dim]:
        raise ValueError(f"topk: k={k} of an axis of length {x.shape[dim]}")
    turned = ops.moveaxis(x, dim, -1)
    order = ops.argsort(-turned if largest else turned, axis=-1, kind="stable")[..., :k]
    return TopK(*(ops.moveaxis(t, -1, dim) for t in (ops.take_along_axis(turned, order, -1), order)))


def clamp(input: ArrayLike, min: ArrayLike | None = None, max: ArrayLike | None = None) -> Tensor:
    """Limited to [min, max]; `tn.clip`.

    >>> import tapenet as tn
    >>> tn.clamp(tn.tensor([-1.0, 2.0]), min=0.0)
    Tensor([0., 2.])
    """
    return asarray(input).clip(min, max)


def rsqrt(input: ArrayLike) -> Tensor:
    """1 / √input.

    >>> import tapenet as tn
    >>> tn.rsqrt(tn.tensor([4.0]))
    Tensor([0.5])
    """
    return asarray(1.0 / ops.sqrt(asarray(input)))


def lerp(input: ArrayLike, end: ArrayLike, weight: ArrayLike) -> Tensor:
    """input + weight · (end - input).

    >>> import tapenet as tn
    >>> tn.lerp(tn.tensor([0.0, 1.0]), tn.tensor([4.0, 1.0]), 0.25)
    Tensor([1., 1.])
    """
    x = asarray(input)
    return asarray(x + weight * (asarray(end) - x))


def div(input: ArrayLike, other: ArrayLike, *, rounding_mode: str | None = None) -> Tensor:
    """input / other; rounded towards 0 by "trunc", and downwards by "floor".

    >>> import tapenet as tn
    >>> tn.div(tn.tensor([-3.0]), 2.0, rounding_mode="trunc")
    Tensor([-1.])
    """
    if rounding_mode not in (None, "trunc", "floor"):
        raise ValueError(f"div: rounding_mode={rounding_mode!r} must be None, 'trunc' or 'floor'")
    ratio: Tensor = (ops.floor_divide if rounding_mode == "floor" else ops.divide)(asarray(input), other)
    if rounding_mode == "trunc":
        ratio = ops.trunc(ratio)
    return ratio


def mul(input: ArrayLike, other: ArrayLike) -> Tensor:
    """input · other; `tn.multiply`.

    >>> import tapenet as tn
    >>> tn.mul(tn.tensor([2.0]), 3.0)
    Tensor([6.])
    """
    return asarray(ops.multiply(asarray(input), other))


def sub(input: ArrayLike, other: ArrayLike, *, alpha: Number = 1) -> Tensor:
    """input - alpha · other; `tn.subtract`.

    >>> import tapenet as tn
    >>> tn.sub(tn.tensor([2.0]), 3.0)
    Tensor([-1.])
    """
    made: Tensor = ops.subtract(
        asarray(input), other if isinstance(alpha, int) and alpha == 1 else ops.multiply(other, alpha)
    )
    return made


def neg(input: ArrayLike) -> Tensor:
    """-input; `tn.negative`.

    >>> import tapenet as tn
    >>> tn.neg(tn.tensor([2.0]))
    Tensor([-2.])
    """
    return -asarray(input)


def norm(input: ArrayLike, p: float | str = "fro", dim: Axis = None, keepdim: bool = False) -> Tensor:
    """The p-norm of all elements, or of those along axes: "fro" is 2, and `math.inf` gives the largest magnitude.

    >>> import tapenet as tn
    >>> tn.norm(tn.tensor([[3.0], [4.0]]))
    Tensor(5.)
    """
    if p == "nuc":
        raise ValueError("norm: p='nuc' is a norm of matrices: use tn.linalg.matrix_norm(x, 'nuc')")
    order = 2 if p in ("fro", None) else p
    return asarray(linalg.vector_norm(asarray(input), ord=order, axis=dim, keepdims=keepdim))


# -- products ------------------------------------------------------------------------------------------------------


def mm(input: ArrayLike, mat2: ArrayLike) -> Tensor:
    """The product of two matrices.

    >>> import numpy as np, tapenet as tn
    >>> tn.mm(np.ones((2, 3)), np.ones((3, 1))).shape
    (2, 1)
    """
    return _product("mm", 2, input, mat2)


def bmm(input: ArrayLike, mat2: ArrayLike) -> Tensor:
    """The products of two batches of matrices.

    >>> import numpy as np, tapenet as tn
    >>> tn.bmm(np.ones((5, 2, 3)), np.ones((5, 3, 1))).shape
    (5, 2, 1)
    """
    return _product("bmm", 3, input, mat2)


def addmm(input: ArrayLike, mat1: ArrayLike, mat2: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """beta · input + alpha · mat1 @ mat2, of matrices.

    >>> import numpy as np, tapenet as tn
    >>> tn.addmm(np.ones(1), np.ones((1, 2)), np.ones((2, 1)))
    Tensor([[3.]])
    """
    return beta * asarray(input) + alpha * mm(mat1, mat2)


def baddbmm(input: ArrayLike, batch1: ArrayLike, batch2: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """beta · input + alpha · batch1 @ batch2, of batches of matrices.

    >>> import numpy as np, tapenet as tn
    >>> tn.baddbmm(np.ones(1), np.ones((5, 1, 2)), np.ones((5, 2, 1))).shape
    (5, 1, 1)
    """
    return beta * asarray(input) + alpha * bmm(batch1, batch2)


def _product(name: str, axes: int, a: ArrayLike, b: ArrayLike) -> Tensor:
    a, b = asarray(a), asarray(b)
    if not a.ndim == b.ndim == axes or a.shape[:-2] != b.shape[:-2]:
        raise ValueError(
            f"{name} takes two arrays of {axes} axes and of one batch, not {a.shape} and {b.shape}; use tn.matmul"
        )
    return a @ b


# -- random numbers ------------------------------------------------------------------------------------------------


def manual_seed(seed: int) -> None:
    """Begin the generator of the process anew; `tn.random.seed`. The numbers are NumPy's, not PyTorch's.

    >>> import tapenet as tn
    >>> tn.manual_seed(0)
    """
    random.seed(seed)


def _shape(size: Sequence[int | Sequence[int]]) -> tuple[int, ...]:
    """Lengths given one by one, or all in one."""
    given = size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    return tuple(map(operator.index, given))


def _drawn(who: str, array: ArrayLike, device: object, requires_grad: bool) -> Tensor:
    check_device(who, device)
    made = asarray(array)
    return made.requires_grad_() if requires_grad else made


def _float(dtype: DTypeLike | None) -> DType:
    return np.dtype(np.float32) if dtype is None else dtype_of(dtype)


@boundary
def rand(
    *size: int | Sequence[int],
    dtype: DTypeLike | None = None,
    device: object = None,
    requires_grad: bool = False,
    rng: Rng = None,
) -> Tensor:
    """Numbers spread evenly over [0, 1).

    >>> import tapenet as tn
    >>> tn.rand(2, 3).shape
    (2, 3)
    """
    return _drawn("rand", random.uniform(size=_shape(size), dtype=_float(dtype), rng=rng), device, requires_grad)


@boundary
def randn(
    *size: int | Sequence[int],
    dtype: DTypeLike | None = None,
    device: object = None,
    requires_grad: bool = False,
    rng: Rng = None,
) -> Tensor:
    """Numbers from N(0, 1).

    >>> import tapenet as tn
    >>> tn.randn(2, 3).dtype
    dtype('float32')
    """
    return _drawn("randn", random.normal(size=_shape(size), dtype=_float(dtype), rng=rng), device, requires_grad)


@boundary
def rand_like(input: ArrayLike, *, dtype: DTypeLike | None = None, device: object = None, rng: Rng = None) -> Tensor:
    """`rand` of the shape and dtype of the input.

    >>> import tapenet as tn
    >>> tn.rand_like(tn.tensor([1.0, 2.0])).shape
    (2,)
    """
    x = asarray(input)
    return rand(*x.shape, dtype=x.dtype if dtype is None else dtype, device=device, rng=rng)


@boundary
def randn_like(input: ArrayLike, *, dtype: DTypeLike | None = None, device: object = None, rng: Rng = None) -> Tensor:
    """`randn` of the shape and dtype of the input.

    >>> import tapenet as tn
    >>> tn.randn_like(tn.tensor([1.0, 2.0])).dtype
    dtype('float64')
    """
    x = asarray(input)
    return randn(*x.shape, dtype=x.dtype if dtype is None else dtype, device=device, rng=rng)


@boundary
def randint(
    low: int,
    high: int | Size | None = None,
    size: Size | None = None,
    *,
    dtype: DTypeLike | None = None,
    device: object = None,
    rng: Rng = None,
) -> Tensor:
    """Whole numbers from `low` to `high` - 1: `randint(low, high, size)`, or `randint(high, size)` from 0.

    >>> import tapenet as tn
    >>> tn.randint(1, (2,)).tolist()
    [0, 0]
    """
    if size is None:
        low, high, size = 0, low, high
    if isinstance(high, Sequence):
        raise TypeError(f"randint: high={high!r} must be an integer: randint(low, high, size), or randint(high, size)")
    numbers = random.integers(low, high, _shape((size,)), np.int64 if dtype is None else dtype_of(dtype), rng)
    return _drawn("randint", numbers, device, False)


@boundary
def randperm(n: int, *, device: object = None, rng: Rng = None) -> Tensor:
    """The numbers 0 to n - 1 in random order.

    >>> import tapenet as tn
    >>> sorted(tn.randperm(3).tolist())
    [0, 1, 2]
    """
    return _drawn("randperm", random.permutation(n, rng), device, False)


@boundary
def bernoulli(input: ArrayLike, *, rng: Rng = None) -> Tensor:
    """1 with the probability that each element of the input is, else 0.

    >>> import tapenet as tn
    >>> tn.bernoulli(tn.tensor([0.0, 1.0]))
    Tensor([0., 1.])
    """
    p = asarray(input)
    with no_grad():
        return (rand_like(p, rng=rng) < p).astype(p.dtype)


@boundary
def multinomial(input: ArrayLike, num_samples: int, replacement: bool = False, *, rng: Rng = None) -> Tensor:
    """Indices drawn by weights, which need not sum to 1: of a vector, or of each row of a matrix. Without replacement they are
    different.

    Drawn as the largest of log weight plus Gumbel's noise, which is this distribution, with and without replacement
    (Kool et al. 2019, "Stochastic beams and where to find them").

    >>> import tapenet as tn
    >>> tn.multinomial(tn.tensor([0.0, 3.0]), 2, replacement=True).tolist()
    [1, 1]
    """
    with no_grad():
        weights = asarray(input).detach()
        possible = weights.shape[-1] if replacement else (weights > 0).sum(axis=-1)
        if not isinstance(possible, int) and bool((possible < num_samples).any()):
            raise ValueError(f"multinomial: num_samples={num_samples} different ones of fewer weights above 0")
        shape = (*weights.shape[:-1], num_samples if replacement else 1, weights.shape[-1])
        noise = -np.log(-np.log(random.uniform(np.finfo(float).tiny, 1.0, shape, rng=rng)))
        with np.errstate(divide="ignore"):
            scores = np.log(weights)[..., None, :] + noise
        if replacement:
            return asarray(np.argmax(scores, axis=-1))
        return topk(scores[..., 0, :], num_samples).indices


# -- switches and questions ----------------------------------------------------------------------------------------


class set_grad_enabled(Switch):
    """`tn.enable_grad()` or `tn.no_grad()`, by a flag: for a `with`, or around a function. Other than in PyTorch it does
    nothing where it stands alone, and warns.

    >>> import tapenet as tn
    >>> with tn.set_grad_enabled(False):
    ...     tn.is_grad_enabled()
    False
    """

    name = "grad"

    def __init__(self, mode: bool) -> None:
        self.value = bool(mode)
        self._used = False

    def __enter__(self) -> None:
        self._used = True
        super().__enter__()

    def __call__(self, function: F) -> F:
        self._used = True
        called: F = super().__call__(function)
        return called

    def __del__(self) -> None:
        if not self._used:
            warnings.warn(
                f"set_grad_enabled({self.value}) alone does nothing: write `with tn.set_grad_enabled({self.value}):` around "
                "what it is for",
                RuntimeWarning,
                stacklevel=2,
            )


def inference_mode(mode: bool = True) -> set_grad_enabled:
    """`tn.no_grad()` under another of PyTorch's names."""
    return set_grad_enabled(not mode)


def is_tensor(obj: object) -> bool:
    """Whether it is a tensor.

    >>> import numpy as np, tapenet as tn
    >>> tn.is_tensor(tn.tensor(1.0)), tn.is_tensor(np.ones(1))
    (True, False)
    """
    return isinstance(obj, Tensor)


class device(str):
    """The name of the one device that there is, for code that picks one:
    `device = torch.device("cuda" if torch.cuda.is_available() else "cpu")`.

    Attributes:
        type: "cpu".
        index: None.

    Raises:
        ValueError: another one.

    >>> import tapenet as tn
    >>> tn.device("cuda" if tn.cuda.is_available() else "cpu").type
    'cpu'
    """

    type = "cpu"
    index = None  # type: ignore[assignment]  # of a str it would be a method

    def __new__(cls, name: str = "cpu") -> Self:
        check_device("device", name)
        return super().__new__(cls, name)


def is_floating_point(input: ArrayLike) -> bool:
    """Whether it holds floats.

    >>> import numpy as np, tapenet as tn
    >>> tn.is_floating_point(np.zeros(1)), tn.is_floating_point(np.zeros(1, int))
    (True, False)
    """
    return is_float(asarray(input).dtype)


def from_numpy(array: ArrayLike) -> Tensor:
    """A tensor around an array, which the two share; `tn.asarray`.

    >>> import numpy as np, tapenet as tn
    >>> tn.from_numpy(np.zeros(2))
    Tensor([0., 0.])
    """
    return asarray(array)


def numel(input: ArrayLike) -> int:
    """The number of elements.

    >>> import numpy as np, tapenet as tn
    >>> tn.numel(np.zeros((2, 3)))
    6
    """
    return int(np.size(input))
