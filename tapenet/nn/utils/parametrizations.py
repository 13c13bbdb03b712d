"""Weights of a given norm: each unit's, or the largest singular value."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from tapenet import ops
from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.nn import functional as F
from tapenet.nn.convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tapenet.nn.module import Module
from tapenet.nn.parameter import Buffer
from tapenet.nn.utils.orthogonal import orthogonal
from tapenet.nn.utils.parametrize import register_parametrization
from tapenet.ops.random import generator
from tapenet.typing import Array

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

M = TypeVar("M", bound=Module)


class _WeightNorm(Module):
    """g · v/‖v‖, with a norm for each place along an axis, or one for all."""

    def __init__(self, dim: int | None) -> None:
        self.dim = dim

    def _norm(self, v: Array) -> Array:
        # As in PyTorch, -1 is no axis here but means all.
        axes = None
        if self.dim is not None and self.dim != -1:
            if not -v.ndim <= self.dim < v.ndim:
                raise ValueError(
                    f"weight_norm: dim={self.dim} is no axis of a weight of shape {v.shape}; None means all"
                )
            axes = tuple(i for i in range(v.ndim) if i != self.dim % v.ndim)
        norm: Array = np.sqrt((v * v).sum(axes, keepdims=axes is not None))
        return norm

    def forward(self, g: Array, v: Array) -> Array:
        scaled: Array = v * (g / self._norm(v))
        return scaled

    def right_inverse(self, weight: Array) -> tuple[Array, Array]:
        return self._norm(weight), weight

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Learn length and direction of each unit's weights apart: weight = g · v/‖v‖. Salimans and Kingma,
    arXiv:1602.07868.

    The state has g as `parametrizations.weight.original0` and v as `original1`.

    Args:
        module: a layer.
        name: of its parameter.
        dim: the axis that has the units; None for one length for all weights.

    Returns:
        the module.

    Raises:
        ValueError: the module has no such parameter.

    >>> from tapenet import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> {name: p.shape for name, p in layer.named_parameters()}
    {'bias': (2,), 'parametrizations.weight.original0': (2, 1), 'parametrizations.weight.original1': (2, 3)}
    """
    register_parametrization(module, name, _WeightNorm(dim))
    return module


class _SpectralNorm(Module):
    """A matrix divided by its largest singular value, which the power method finds, a few turns at each call."""

    def __init__(
        self, weight: Tensor, n_power_iterations: int, dim: int, eps: float, rng: np.random.Generator | int | None
    ) -> None:
        if not -weight.ndim <= dim < weight.ndim:
            raise ValueError(f"spectral_norm: a weight of shape {weight.shape} has no axis dim={dim}")
        if n_power_iterations < 1:
            raise ValueError(f"spectral_norm: n_power_iterations={n_power_iterations} must be at least 1")
        self.n_power_iterations = n_power_iterations
        self.dim = dim % weight.ndim
        self.eps = eps
        if weight.ndim == 1:
            return
        rng = generator(rng)
        with no_grad():
            matrix = self._matrix(weight)
            u, v = (F.normalize(rng.standard_normal(n).astype(weight.dtype), axis=0, eps=eps) for n in matrix.shape)
            u, v = self._turns(matrix, u, v, 15)
        self._u = Buffer(u)
        self._v = Buffer(v)

    def _matrix(self, weight: Tensor) -> Tensor:
        """The weight as a matrix, whose rows are the places along `dim`."""
        turned: Tensor = ops.moveaxis(weight, self.dim, 0)
        return turned.reshape(weight.shape[self.dim], -1)

    def _turns(self, matrix: Tensor, u: Tensor, v: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Better singular vectors, by turns of the power method."""
        for _ in range(count):
            u = F.normalize(matrix @ v, axis=0, eps=self.eps)
            v = F.normalize(u @ matrix, axis=0, eps=self.eps)
        return u, v

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, axis=0, eps=self.eps)
        matrix = self._matrix(weight)
        with no_grad():
            # In arrays of their own: a later call may change the buffers before this one's gradient is asked for.
            u, v = ops.copy(self._u), ops.copy(self._v)
            if self.training:
                u, v = self._turns(matrix, u, v, self.n_power_iterations)
                self._u.data = u
                self._v.data = v
        scaled: Tensor = weight / (u @ (matrix @ v))
        return scaled

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight

    def extra_repr(self) -> str:
        return f"n_power_iterations={self.n_power_iterations}, dim={self.dim}"


def spectral_norm(
    module: M,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
    *,
    rng: np.random.Generator | int | None = None,
) -> M:
    """Divide a weight by its largest singular value, so that as a linear map it has Lipschitz constant 1. Miyato et al.,
    arXiv:1802.05957.

    The value is found by the power method: in training each access to the weight does `n_power_iterations` turns, which
    improve the singular vectors that the state has as `parametrizations.weight.0._u` and `_v`. The weight itself is
    `parametrizations.weight.original`. A vector is divided by its norm.

    Args:
        module: a layer.
        name: of its parameter.
        n_power_iterations: turns at each access in training.
        eps: the least divisor.
        dim: the axis that becomes the matrix's rows; by default 0, and 1 for transposed convolutions, where the outputs
            are.
        rng: a generator for the singular vectors to begin with.

    Returns:
        the module.

    Raises:
        ValueError: the module has no such parameter, or it has no such axis.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2, rng=0), n_power_iterations=5, rng=0)
    >>> print(round(float(np.linalg.norm(layer.weight.data, 2)), 3))
    1.0
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"spectral_norm: this {type(module).__name__} has no parameter {name!r}")
    if dim is None:
        dim = 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0
    register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps, rng))
    return module
