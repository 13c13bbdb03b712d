"""Attention with several heads as a layer, and positions for it."""

from __future__ import annotations

from dataclasses import KW_ONLY

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn import cards, init
from tapenet.nn import functional as F
from tapenet.nn.layer_arguments import probability, whole
from tapenet.nn.layer_inputs import asarray, cast
from tapenet.nn.linear import Linear
from tapenet.nn.module import Module
from tapenet.nn.module_repr import settings
from tapenet.nn.parameter import FLOAT, Parameter, float_type
from tapenet.nn.settings_layer import SettingsLayer
from tapenet.ops.random import generator
from tapenet.program.low import is_float


class MultiheadAttention(Module):
    """Attention with several heads: query, key and value are projected and cut into heads, each of which attends by itself;
    the results are put side by side and projected. See `tn.multi_head_attention_forward`.

    Shapes: query (L, batch, embed_dim), key (S, batch, kdim) and value (S, batch, vdim) give (L, batch, embed_dim); with
    `batch_first` the batch is the first axis; without a batch it is left out of all.

    Args:
        embed_dim: width of query and result.
        num_heads: how many heads; they divide embed_dim.
        dropout: probability with which each weight is dropped in training.
        bias: projections have biases.
        add_bias_kv: one more key and its value are learned.
        add_zero_attn: a key and a value of zeros are added.
        kdim, vdim: widths of key and value; embed_dim by default.
        batch_first: the batch is the first axis.
        dtype: of the parameters.
        rng: a generator, or an integer to make one from, for initial values and dropout.

    Attributes:
        in_proj_weight: (3 embed_dim, embed_dim), at first by Glorot's uniform rule, or None where the widths differ; then
            there are q_proj_weight, k_proj_weight and v_proj_weight.
        in_proj_bias: (3 embed_dim,), at first 0, or None.
        bias_k, bias_v: (1, 1, embed_dim), or None.
        out_proj: the last projection, a Linear whose bias is at first 0.

    `forward` takes query, key, value and the options key_padding_mask, need_weights=True, attn_mask,
    average_attn_weights=True and is_causal=False, and returns the result and the weights (None if they are not needed:
    then it is faster, and takes no memory for them).

    Raises:
        ValueError: the heads do not divide the width; shapes that do not fit.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> layer = nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = np.zeros((3, 5, 8))
    >>> out, weights = layer(x, x, x, is_causal=True)
    >>> out.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    in_proj_weight: Tensor | None
    q_proj_weight: Tensor | None
    k_proj_weight: Tensor | None
    v_proj_weight: Tensor | None
    in_proj_bias: Tensor | None
    bias_k: Tensor | None
    bias_v: Tensor | None
    takes_parameters_of = ("out_proj",)

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        whole(self, 1, embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: embed_dim={embed_dim} does not divide into num_heads={num_heads}")
        probability(self, dropout=dropout)
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.add_zero_attn = add_zero_attn
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.batch_first = batch_first
        self.rng = None if rng is None else generator(rng)

        def weight(inputs: int, outputs: int = embed_dim) -> Tensor:
            made = Parameter(np.empty((outputs, inputs), float_type(dtype), order="F"))  # as that of Linear
            init.xavier_uniform_(made, rng=self.rng)
            return made

        together = self.kdim == self.vdim == embed_dim
        self.q_proj_weight = None if together else weight(embed_dim)
        self.k_proj_weight = None if together else weight(self.kdim)
        self.v_proj_weight = None if together else weight(self.vdim)
        self.in_proj_weight = weight(embed_dim, 3 * embed_dim) if together else None
        self.in_proj_bias = Parameter(np.zeros(3 * embed_dim, float_type(dtype))) if bias else None
        self.bias_k = self.bias_v = None
        if add_bias_kv:
            self.bias_k, self.bias_v = (Parameter(np.empty((1, 1, embed_dim), float_type(dtype))) for _ in range(2))
            init.xavier_normal_(self.bias_k, rng=self.rng)
            init.xavier_normal_(self.bias_v, rng=self.rng)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, dtype=dtype, rng=self.rng)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: ArrayLike,
        key: ArrayLike,
        value: ArrayLike,
        key_padding_mask: ArrayLike | None = None,
        need_weights: bool = True,
        attn_mask: ArrayLike | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        given = {id(x): cast(x, self.out_proj.weight) for x in (query, key, value)}  # what is one array stays one
        query, key, value = given[id(query)], given[id(key)], given[id(value)]
        out: tuple[Tensor, Tensor | None] = ops.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            self.training,
            key_padding_mask,
            need_weights,
            attn_mask,
            self.in_proj_weight is None,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            batch_first=self.batch_first,
            rng=self.rng,
        )
        return out

    def extra_repr(self) -> str:
        usual = {"dropout": 0.0, "kdim": self.embed_dim, "vdim": self.embed_dim, "batch_first": False}
        return f"{self.embed_dim}, num_heads={self.num_heads}" + settings(self, usual)

    def card(self) -> str:
        return cards.lines(self, f"{self.embed_dim} wide", {"dropout": 0.0}, f"{self.num_heads} heads")


class RotaryPositionalEmbeddings(SettingsLayer):
    """Queries or keys whose pairs of elements are turned by angles that grow with the position; see
    `tn.rotary_embedding`. Arguments and shapes are torchtune's.

    Shapes: (batch, length, heads, dim); the output has the same shape. For (batch, heads, length, dim) give axis=-2.

    Args:
        dim: length of the vectors of a head, an even number.
        max_seq_len: positions run up to this minus one.
        base: of the angles.
        interleaved: pairs are neighbours; False: the first half of the vector goes with the second.
        axis: that of the positions.

    `forward` takes x and `input_pos=`, the positions as (length,) or (batch, length), by default 0 to length - 1.

    Raises:
        ValueError: an odd dim, shapes that do not fit, or a sequence longer than max_seq_len.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.RotaryPositionalEmbeddings(4)(np.ones((1, 2, 3, 4))).shape
    (1, 2, 3, 4)
    """

    dim: int
    max_seq_len: int = 4096
    base: float = 10000
    _: KW_ONLY
    interleaved: bool = True
    axis: int = -3

    def _check(self) -> None:
        if self.dim < 2 or self.dim % 2:
            raise ValueError(
                f"RotaryPositionalEmbeddings: dim={self.dim}; pairs of elements are turned, so give an even number"
            )

    def forward(self, x: ArrayLike, *, input_pos: ArrayLike | None = None) -> Tensor:
        x = asarray(x)
        if x.shape[-1] != self.dim:
            raise ValueError(f"RotaryPositionalEmbeddings({self.dim}) takes (..., {self.dim}), not {tuple(x.shape)}")
        if x.shape[self.axis] > self.max_seq_len:
            raise ValueError(
                f"RotaryPositionalEmbeddings: {x.shape[self.axis]} positions in axis {self.axis} of {tuple(x.shape)} are "
                f"more than max_seq_len={self.max_seq_len}"
            )
        positions = None if input_pos is None else asarray(input_pos)
        return F.rotary_embedding(x, positions, float(self.base), self.interleaved, 0, self.axis)

    def extra_repr(self) -> str:
        text = f"{self.dim}, max_seq_len={self.max_seq_len}, base={self.base}"
        return text if self.interleaved else text + ", interleaved=False"


class SinusoidalPositionalEncoding(SettingsLayer):
    """The input plus a vector of sines and cosines for each position, then dropout; see `tn.sinusoidal_positions`.

    Shapes: (batch, length, d_model), or with `batch_first=False` (length, batch, d_model); the output has the same shape.

    Args:
        d_model: length of the vectors.
        dropout: probability of dropping an element of the sum in training.
        batch_first: the positions are in the next to last axis; False: in the first.
        rng: a generator, or an integer to make one from, for dropout.

    `forward` takes x and `offset=0`, the first position.

    Raises:
        ValueError: an input of another width.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.SinusoidalPositionalEncoding(2, dropout=0.0)(np.zeros((2, 2))).round(2)
    array([[0.  , 1.  ],
           [0.84, 0.54]])
    """

    d_model: int
    dropout: float = 0.1
    batch_first: bool = True
    _: KW_ONLY
    rng: np.random.Generator | int | None = None

    def forward(self, x: ArrayLike, offset: int = 0) -> Tensor:
        x = asarray(x)
        if x.ndim < 2 or x.shape[-1] != self.d_model:
            raise ValueError(
                f"SinusoidalPositionalEncoding({self.d_model}) takes (..., length, {self.d_model}), not {tuple(x.shape)}"
            )
        axis = x.ndim - 2 if self.batch_first else 0
        dtype = x.dtype if is_float(x.dtype) else np.float64
        table = F.sinusoidal_positions(x.shape[axis], self.d_model, offset, dtype=dtype)
        out = x + table.reshape(x.shape[axis], *(1,) * (x.ndim - 2 - axis), self.d_model)
        if self.dropout:
            out = ops.dropout(out, self.dropout, self.training, self.rng)
        return out

    def extra_repr(self) -> str:
        return f"{self.d_model}, dropout={self.dropout}"
