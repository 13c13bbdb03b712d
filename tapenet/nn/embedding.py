"""Learned vectors for integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tapenet.autodiff.switches import no_grad
from tapenet.nn import init
from tapenet.nn.functional import embedding
from tapenet.nn.module import Module
from tapenet.nn.parameter import FLOAT, Parameter


class Embedding(Module):
    """A learned vector for each integer from 0 to num_embeddings - 1.

    Shapes: integers of any shape (...) give (..., embedding_dim).

    Args:
        num_embeddings, embedding_dim: how many vectors, and of what length.
        padding_idx: the integer whose vector begins as zeros and gets no gradient.
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

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"Embedding: padding_idx={padding_idx} is none of its {num_embeddings} vectors")
            padding_idx %= num_embeddings
        self.padding_idx = padding_idx
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), dtype))
        init.normal_(self.weight, rng=rng)
        if padding_idx is not None:
            with no_grad():
                self.weight[padding_idx] = 0.0

    def forward(self, indices: Any) -> Any:
        return embedding(indices, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        return text if self.padding_idx is None else text + f", padding_idx={self.padding_idx}"
