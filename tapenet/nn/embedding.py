"""Learned vectors for integers, one by one and in bags."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.nn import cards, init
from tapenet.nn.inplace_functions import embedding, embedding_bag
from tapenet.nn.layer_arguments import whole
from tapenet.nn.module import Module
from tapenet.nn.module_repr import settings
from tapenet.nn.parameter import FLOAT, Parameter, float_type


class _Table(Module):
    """The base of layers with a table of vectors."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        *,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
        _weight: Tensor | None = None,
    ) -> None:
        whole(self, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        if padding_idx is not None:
            whole(self, -num_embeddings, padding_idx=padding_idx)
            if padding_idx >= num_embeddings:
                raise ValueError(
                    f"{type(self).__name__}: padding_idx={padding_idx} is none of its {num_embeddings} vectors"
                )
            padding_idx %= num_embeddings
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if _weight is not None:
            self.weight = _weight
            return
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), float_type(dtype)))
        self.reset_parameters(rng)

    def reset_parameters(self, rng: np.random.Generator | int | None = None) -> None:
        """Draw new vectors: N(0, 1), and zeros at `padding_idx`."""
        init.normal_(self.weight, rng=rng)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    @classmethod
    def _given(cls, embeddings: ArrayLike, freeze: bool) -> Tensor:
        """Given vectors as a parameter. As in PyTorch, the one at padding_idx stays as it is."""
        weight = embeddings if isinstance(embeddings, Parameter) else Parameter(embeddings)
        if weight.ndim != 2:
            raise ValueError(
                f"{cls.__name__}.from_pretrained takes (num_embeddings, embedding_dim), not {weight.shape}"
            )
        return weight.requires_grad_(not freeze)

    def extra_repr(self) -> str:
        usual = {"padding_idx": None, "max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False, "sparse": False}
        return f"{self.num_embeddings}, {self.embedding_dim}" + settings(self, usual)

    def card(self) -> str:
        return cards.lines(self, f"{self.num_embeddings} → {self.embedding_dim}", {})


class Embedding(_Table):
    """A learned vector for each integer from 0 to num_embeddings - 1.

    Shapes: integers of any shape (...) give (..., embedding_dim).

    Args:
        num_embeddings, embedding_dim: how many vectors, and of what length.
        padding_idx: the integer whose vector begins as zeros and gets no gradient.
        max_norm: vectors that are looked up with a larger norm are first scaled to this norm, in place.
        norm_type: which norm: the p of a p-norm.
        scale_grad_by_freq: divide the gradient of a vector by how often it is looked up in the call.
        sparse: for PyTorch's sake. Gradients of large tables are kept by rows in any case.
        dtype: of the vectors.
        rng: a generator for the initial values.

    Attributes:
        weight: (num_embeddings, embedding_dim), at first N(0, 1).

    Raises:
        IndexError: an integer out of range.
        TypeError: the input holds no integers.

    >>> from tapenet import nn
    >>> nn.Embedding(10, 3)([[1, 2], [0, 9]]).shape
    (2, 2, 3)
    """

    @classmethod
    def from_pretrained(
        cls,
        embeddings: ArrayLike,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """A layer with given vectors.

        Args:
            embeddings: (num_embeddings, embedding_dim); an `nn.Parameter` is shared, all else is copied.
            freeze: the vectors are not learned.
            padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse: as of the class.

        Raises:
            ValueError: vectors that are no matrix.

        >>> from tapenet import nn
        >>> nn.Embedding.from_pretrained([[1.0, 2.0], [3.0, 4.0]])([1])
        Tensor([[3., 4.]], dtype=float32)
        """
        weight = cls._given(embeddings, freeze)
        options = padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
        return cls(weight.shape[0], weight.shape[1], *options, _weight=weight)

    def forward(self, indices: ArrayLike) -> Tensor:
        return embedding(
            indices, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )


class EmbeddingBag(_Table):
    """The sum, mean or maximum of the learned vectors of each bag of integers; see `tn.embedding_bag`.

    Shapes: integers (bags, length), or a vector with offsets that say where each bag begins, give
    (bags, embedding_dim).

    Args:
        num_embeddings, embedding_dim: how many vectors, and of what length.
        max_norm, norm_type, scale_grad_by_freq, sparse: as of `Embedding`; "max" has no scale_grad_by_freq.
        mode: "sum", "mean" or "max".
        include_last_offset: the last offset is the end of the last bag, not the beginning of one.
        padding_idx: an integer that counts as not there.
        dtype: of the vectors.
        rng: a generator for the initial values.

    Attributes:
        weight: (num_embeddings, embedding_dim), at first N(0, 1).

    Raises:
        IndexError: an integer out of range.
        TypeError: the input holds no integers.
        ValueError: offsets that do not fit.

    >>> from tapenet import nn
    >>> nn.EmbeddingBag(10, 3)([1, 2, 0, 9, 4], [0, 2]).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        *,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
        _weight: Tensor | None = None,
    ) -> None:
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
            dtype=dtype, rng=rng, _weight=_weight,
        )  # fmt: skip
        self.mode = mode
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(
        cls,
        embeddings: ArrayLike,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> Self:
        """A layer with given vectors, as `Embedding.from_pretrained`.

        >>> from tapenet import nn
        >>> nn.EmbeddingBag.from_pretrained([[1.0, 2.0], [3.0, 4.0]])([[0, 1]])
        Tensor([[2., 3.]], dtype=float32)
        """
        weight = cls._given(embeddings, freeze)
        options = max_norm, norm_type, scale_grad_by_freq, mode, sparse, include_last_offset, padding_idx
        return cls(weight.shape[0], weight.shape[1], *options, _weight=weight)

    def forward(
        self, indices: ArrayLike, offsets: ArrayLike | None = None, per_sample_weights: ArrayLike | None = None
    ) -> Tensor:
        looked_up = self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode, self.sparse
        shape = per_sample_weights, self.include_last_offset, self.padding_idx
        return embedding_bag(indices, self.weight, offsets, *looked_up, *shape)

    def extra_repr(self) -> str:
        return super().extra_repr() + f", mode={self.mode!r}"
