"""Initial values of parameters, under PyTorch's names.

Each function writes into the tensor's storage, in place, and returns the tensor. Values are drawn in float64 and in
row-major order whatever the tensor's dtype and memory order, so that one seed gives one set of values. Random ones
take `rng=` (or `generator=`), a NumPy generator or an integer; without it they draw from the generator that
`tn.random.seed` seeds.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import numpy as np

from tapenet import plugins
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.random import random_draw
from tapenet.ops.tracebacks import boundary
from tapenet.typing import Array

if not TYPE_CHECKING:  # to which every name would be one

    def __getattr__(name: str) -> object:
        return plugins.attribute(sys.modules[__name__], name)


_GAINS = {
    "linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "conv_transpose1d": 1.0, "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0, "sigmoid": 1.0,
    "tanh": 5 / 3, "relu": math.sqrt(2.0), "selu": 0.75,
}  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights must be larger for a signal to keep its variance through a nonlinearity.

    1 for "linear", "conv2d" and "sigmoid", 5/3 for "tanh", sqrt(2) for "relu", 3/4 for "selu", and
    sqrt(2 / (1 + param²)) for "leaky_relu", whose slope `param` is 0.01 by default. PyTorch's table; the value for
    relu is derived in He et al. 2015, section 2.2.

    Raises:
        ValueError: another name.

    >>> from tapenet import nn
    >>> nn.init.calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ValueError(
            f"calculate_gain: no gain is known for {nonlinearity!r}; known are {', '.join([*_GAINS, 'leaky_relu'])}"
        )
    return _GAINS[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """Fan-in and fan-out of a weight: how many numbers enter each output, and how many leave each input.

    For a linear weight (out, in) these are in and out; for a convolution's (out, in / groups, kh, kw) both are
    multiplied by the size of the kernel, as PyTorch does.

    Raises:
        ValueError: fewer than two axes.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.init.fans(nn.Parameter(np.zeros((8, 4, 3, 3))))
    (36, 72)
    """
    if tensor.ndim < 2:
        raise ValueError(
            f"fan-in and fan-out need a weight of at least two axes (out, in, ...), not shape {tensor.shape}; a bias "
            "is usually set by zeros_"
        )
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


@boundary
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, rng: np.random.Generator | int | None = None) -> Tensor:
    """Draw from U(a, b).

    Raises:
        ValueError: b is below a.
    """
    if not a <= b:
        raise ValueError(f"uniform_: a={a} must not exceed b={b}")
    return _fill(tensor, random_draw(lambda rng: rng.uniform(a, b, tensor.shape), rng))


@boundary
def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, rng: np.random.Generator | int | None = None
) -> Tensor:
    """Draw from N(mean, std²).

    Raises:
        ValueError: a negative std.
    """
    if not std >= 0:
        raise ValueError(f"normal_: std={std} must be 0 or more")
    return _fill(tensor, random_draw(lambda rng: rng.normal(mean, std, tensor.shape), rng))


@boundary
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    rng: np.random.Generator | int | None = None,
) -> Tensor:
    """Draw from N(mean, std²) cut off outside [a, b], by the inverse of its distribution function.

    Raises:
        ValueError: a is not below b, or the normal distribution has nothing between them.
    """
    from scipy.special import ndtr, ndtri  # SciPy loads at first use

    if not a < b:
        raise ValueError(f"trunc_normal_: a={a} must be below b={b}")
    # In the tail that holds more of the interval, where the distribution function is far from 1.
    sign = 1.0 if a + b <= 2 * mean else -1.0
    low, high = sorted((sign * (a - mean) / std, sign * (b - mean) / std))
    below, above = ndtr(low), ndtr(high)
    if not below < above:
        raise ValueError(f"trunc_normal_: N({mean}, {std}²) has next to nothing between a={a} and b={b}")

    def draw(rng: np.random.Generator) -> Array:
        return np.clip(mean + sign * std * ndtri(rng.uniform(below, above, tensor.shape)), a, b)

    return _fill(tensor, random_draw(draw, rng))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Set every element to `val`."""
    return _fill(tensor, np.full(tensor.shape, val, tensor.dtype))


def zeros_(tensor: Tensor) -> Tensor:
    """Set every element to 0."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Set every element to 1."""
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix: as many inputs as possible pass a linear layer unchanged.

    Raises:
        ValueError: not two axes.
    """
    if tensor.ndim != 2:
        raise ValueError(f"eye_ needs a matrix, not shape {tensor.shape}")
    return _fill(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The kernel of a convolution that passes as many channels as possible unchanged: in each group output channel i has
    a 1 at the middle of the kernel for input channel i.

    Args:
        tensor: (out, in / groups, k), (out, in / groups, kh, kw) or with three kernel axes.
        groups: groups of the convolution.

    Raises:
        ValueError: another number of axes, or output channels that do not divide into the groups.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.init.dirac_(nn.Parameter(np.zeros((2, 2, 3)))).data.tolist()
    [[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(
            f"dirac_ needs a kernel (out, in, k), with one to three axes behind the channels, not {tensor.shape}"
        )
    out, channels, *kernel = tensor.shape
    if groups < 1 or out % groups:
        raise ValueError(f"dirac_: {out} output channels do not divide into groups={groups}")
    values = np.zeros(tensor.shape)
    for i in range(min(out // groups, channels)):
        middle: tuple[int | slice, ...] = (slice(i, None, out // groups), i, *(n // 2 for n in kernel))
        values[middle] = 1.0
    return _fill(tensor, values)


@boundary
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, rng: np.random.Generator | int | None = None) -> Tensor:
    """Draw from N(0, std²), and set a fraction `sparsity` of each column to 0, rounded up, at random places.

    Martens 2010, "Deep learning via Hessian-free optimization", section 5.

    Raises:
        ValueError: not two axes, or a fraction outside [0, 1].
    """
    if tensor.ndim != 2:
        raise ValueError(f"sparse_ needs a matrix, not shape {tensor.shape}")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparse_: sparsity={sparsity} must be in [0, 1]")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)

    def draw(rng: np.random.Generator) -> Array:
        values = rng.normal(0.0, std, (rows, columns))
        for column in range(columns):
            values[rng.permutation(rows)[:zeros], column] = 0.0
        return values

    return _fill(tensor, random_draw(draw, rng))


@boundary
def xavier_uniform_(tensor: Tensor, gain: float = 1.0, rng: np.random.Generator | int | None = None) -> Tensor:
    """Draw from U(-k, k) with k = gain * sqrt(6 / (fan_in + fan_out)).

    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", equation 16:
    the variance of activations and of gradients is kept as well as one value for both can.
    """
    bound = gain * math.sqrt(6.0 / max(sum(fans(tensor)), 1))
    return uniform_(tensor, -bound, bound, rng)


@boundary
def xavier_normal_(tensor: Tensor, gain: float = 1.0, rng: np.random.Generator | int | None = None) -> Tensor:
    """Draw from N(0, std²) with std = gain * sqrt(2 / (fan_in + fan_out)); see `xavier_uniform_`."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / max(sum(fans(tensor)), 1)), rng)


@boundary
def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    rng: np.random.Generator | int | None = None,
) -> Tensor:
    """Draw from U(-k, k) with k = gain * sqrt(3 / fan).

    He et al. 2015, "Delving Deep into Rectifiers", equations 10 and 14: with "fan_in" the variance of the activations
    is kept, with "fan_out" that of the gradients.

    Args:
        tensor: a weight of at least two axes.
        a: slope of the leaky relu that follows; 0 for a relu.
        mode: "fan_in" or "fan_out".
        nonlinearity: what follows, as in `calculate_gain`.
        rng: a generator to draw from.
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, rng)


@boundary
def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    rng: np.random.Generator | int | None = None,
) -> Tensor:
    """Draw from N(0, std²) with std = gain / sqrt(fan); see `kaiming_uniform_`."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), rng)


@boundary
def orthogonal_(tensor: Tensor, gain: float = 1.0, rng: np.random.Generator | int | None = None) -> Tensor:
    """A random (semi-)orthogonal matrix times `gain`, uniform over all of them; axes after the first count as one.

    Saxe et al. 2013, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks". The Q of a
    QR decomposition of normal numbers, with the signs of R's diagonal moved into it (Mezzadri 2007), without which it
    is not uniform.

    Raises:
        ValueError: fewer than two axes.
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_ needs at least two axes, not shape {tensor.shape}")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])

    def draw(rng: np.random.Generator) -> Array:
        q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
        q = q * np.sign(np.diag(r))
        return gain * (q if rows >= columns else q.T).reshape(tensor.shape)

    return _fill(tensor, random_draw(draw, rng))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'kaiming: mode={mode!r} is neither "fan_in" nor "fan_out"')
    fan_in, fan_out = fans(tensor)
    fan = fan_in if mode == "fan_in" else fan_out
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def _fill(tensor: Tensor, values: Array) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"initialisers write into a tensor, such as a layer's weight, not {type(tensor).__name__}")
    tensor.data = values
    return tensor
