"""Transformers (Vaswani et al., arXiv:1706.03762): the layers of encoder and decoder, stacks of them, and both together.
Arguments, names and order of the parameters are PyTorch's."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tapenet.autodiff.tensor import Tensor
from tapenet.nn import functional as F
from tapenet.nn import init
from tapenet.nn.attention import MultiheadAttention
from tapenet.nn.containers import ModuleList
from tapenet.nn.dropout import Dropout
from tapenet.nn.layer_arguments import whole
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.linear import Linear
from tapenet.nn.module import Module
from tapenet.nn.normalization import LayerNorm
from tapenet.nn.parameter import FLOAT, float_type
from tapenet.nn.shared_docstring import SharedDocstring
from tapenet.ops.random import generator
from tapenet.typing import Array

Mask: TypeAlias = ArrayLike | None

Activation = str | Callable[[Tensor], Tensor]
Rng = np.random.Generator | int | None


def _activation(layer: Module, given: Activation) -> Callable[[Tensor], Tensor]:
    known: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}
    if callable(given):
        return given
    if given not in known:
        raise ValueError(f"{type(layer).__name__}: activation={given!r}: it is 'relu', 'gelu' or a function")
    return known[given]


def _copies(stack: Module, layer: Module, count: int) -> ModuleList:
    """Copies of a layer, with equal values, that draw from the same generators."""
    whole(stack, num_layers=count)
    generators = [getattr(m, "rng", None) for m in layer.modules()]
    shared = {id(rng): rng for rng in generators if rng is not None}
    return ModuleList([copy.deepcopy(layer, dict(shared)) for _ in range(count)])


class _Layer(SharedDocstring):
    """{parts}, then a network of two linear layers; each is added to its input and normalised.

    Shapes: {shapes}.

    Args:
        d_model: width of inputs and result.
        nhead: number of heads.
        dim_feedforward: width of the network's hidden layer.
        dropout: probability of dropping: of weights of attention, of hidden elements, and of what a part adds.
        activation: of the network: "relu", "gelu" or a function.
        layer_norm_eps: added to variances.
        batch_first: the batch is the first axis of inputs and result; else the second.
        norm_first: normalise the input of each part; else the sum after it.
        bias: linear layers and normalisations have biases.
        dtype: of the parameters.
        rng: a generator, or an integer to make one from, for initial values and dropout.

    `forward` takes {arguments}. Masks of attention are booleans, True for what is not seen, or floats that are added to the
    scores, (queries, keys) or (batch · nhead, queries, keys); padding masks are (batch, length), True for what is left out.
    With `is_causal` position i sees those up to i only; it needs no mask.
    """

    _attentions: tuple[str, ...]

    self_attn: MultiheadAttention
    norm1: LayerNorm
    norm2: LayerNorm
    dropout1: Dropout
    dropout2: Dropout

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        dtype: DTypeLike = FLOAT,
        rng: Rng = None,
    ) -> None:
        rng = None if rng is None else generator(rng)
        for name in self._attentions:
            attention = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype, rng=rng)
            setattr(self, name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype=dtype, rng=rng)
        self.dropout = Dropout(dropout, rng=rng)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype=dtype, rng=rng)
        parts = range(1, len(self._attentions) + 2)
        for part in parts:
            setattr(self, f"norm{part}", LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype))
        for part in parts:
            setattr(self, f"dropout{part}", Dropout(dropout, rng=rng))
        self.activation = _activation(self, activation)
        self.norm_first = norm_first

    def _network(self, x: Tensor | Array) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def _added(
        self, x: Tensor | Array, part: Callable[[Tensor | Array], Tensor], norm: LayerNorm, dropout: Dropout
    ) -> Tensor:
        """x with what a part makes of it, normalised before the part or after the sum."""
        if self.norm_first:
            return x + dropout(part(norm(x)))  # type: ignore[return-value]  # NumPy says that an array + a tensor is an array
        return norm(x + dropout(part(x)))


class TransformerEncoderLayer(
    _Layer,
    words={
        "parts": "Self-attention",
        "shapes": "(length, batch, d_model), (length, d_model), or with `batch_first` (batch, length, d_model), and the same "
        "comes out",
        "arguments": "src, src_mask, src_key_padding_mask and is_causal=False",
    },
):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> layer(np.zeros((3, 5, 8)), is_causal=True).shape
    (3, 5, 8)
    """

    _attentions = ("self_attn",)

    def forward(
        self, src: Tensor | Array, src_mask: Mask = None, src_key_padding_mask: Mask = None, is_causal: bool = False
    ) -> Tensor:
        def attend(x: Tensor | Array) -> Tensor:
            return self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal)[0]

        x = self._added(src, attend, self.norm1, self.dropout1)
        return self._added(x, self._network, self.norm2, self.dropout2)


class TransformerDecoderLayer(
    _Layer,
    words={
        "parts": "Self-attention, attention to a memory",
        "shapes": "tgt (length, batch, d_model) and memory (other, batch, d_model), or with `batch_first` the batch in front, "
        "or\n    both without a batch; the result is shaped like tgt",
        "arguments": "tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask,\n    "
        "tgt_is_causal=False and memory_is_causal=False",
    },
):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    >>> layer(np.zeros((3, 5, 8)), np.zeros((3, 4, 8)), tgt_is_causal=True).shape
    (3, 5, 8)
    """

    _attentions = ("self_attn", "multihead_attn")

    multihead_attn: MultiheadAttention
    norm3: LayerNorm
    dropout3: Dropout

    def forward(
        self,
        tgt: Tensor | Array,
        memory: Tensor | Array,
        tgt_mask: Mask = None,
        memory_mask: Mask = None,
        tgt_key_padding_mask: Mask = None,
        memory_key_padding_mask: Mask = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        def attend(x: Tensor | Array) -> Tensor:
            return self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal)[0]

        def look_up(x: Tensor | Array) -> Tensor:
            return self.multihead_attn(
                x, memory, memory, memory_key_padding_mask, False, memory_mask, is_causal=memory_is_causal
            )[0]

        x = self._added(tgt, attend, self.norm1, self.dropout1)
        x = self._added(x, look_up, self.norm2, self.dropout2)
        return self._added(x, self._network, self.norm3, self.dropout3)


class _Stack(Module):
    """Layers of one kind, one after the other."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None = None) -> None:
        self.layers = _copies(self, layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def _run(self, x: Tensor | Array, *arguments: object) -> Tensor:
        out = asarray(x)
        for layer in self.layers:
            out = layer(out, *arguments)
        return out if self.norm is None else self.norm(out)


class TransformerEncoder(_Stack):
    """A stack of encoder layers.

    Args:
        encoder_layer: is copied `num_layers` times, with its initial values, as in PyTorch.
        num_layers: how many.
        norm: a layer that is applied at the end, or None.

    `forward` takes src, mask, src_key_padding_mask and is_causal, as `TransformerEncoderLayer` does.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 3)
    >>> encoder(np.zeros((5, 2, 8))).shape
    (5, 2, 8)
    """

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(encoder_layer, num_layers, norm)

    def forward(
        self, src: Tensor | Array, mask: Mask = None, src_key_padding_mask: Mask = None, is_causal: bool | None = None
    ) -> Tensor:
        return self._run(src, mask, src_key_padding_mask, bool(is_causal))


class TransformerDecoder(_Stack):
    """A stack of decoder layers, which all look up the same memory.

    Args:
        decoder_layer: is copied `num_layers` times, with its initial values, as in PyTorch.
        num_layers: how many.
        norm: a layer that is applied at the end, or None.

    `forward` takes what `TransformerDecoderLayer` does.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 3)
    >>> decoder(np.zeros((5, 2, 8)), np.zeros((4, 2, 8))).shape
    (5, 2, 8)
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor | Array,
        memory: Tensor | Array,
        tgt_mask: Mask = None,
        memory_mask: Mask = None,
        tgt_key_padding_mask: Mask = None,
        memory_key_padding_mask: Mask = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        masks = tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask
        return self._run(tgt, memory, *masks, bool(tgt_is_causal), memory_is_causal)


class Transformer(Module):
    """Encoder and decoder: the decoder looks up what the encoder makes of the source.

    Shapes: src (S, batch, d_model) and tgt (T, batch, d_model), or with `batch_first` the batch in front, or both without a
    batch; the result is shaped like tgt.

    Args:
        d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, dtype, rng: as
            of `TransformerEncoderLayer`.
        num_encoder_layers, num_decoder_layers: how many layers.
        custom_encoder, custom_decoder: modules in place of the two stacks.

    `forward` takes src, tgt, src_mask, tgt_mask, memory_mask, src_key_padding_mask, tgt_key_padding_mask,
    memory_key_padding_mask, src_is_causal, tgt_is_causal and memory_is_causal.

    Parameters with more than one axis begin by Glorot's uniform rule.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> net = nn.Transformer(8, 2, 1, 1, 16)
    >>> net(np.zeros((5, 2, 8)), np.zeros((4, 2, 8)), tgt_is_causal=True).shape
    (4, 2, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        dtype: DTypeLike = FLOAT,
        rng: Rng = None,
    ) -> None:
        rng = None if rng is None else generator(rng)
        sizes = d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)

        self.encoder: Module = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(*sizes, dtype=dtype, rng=rng), num_encoder_layers, norm()
        )
        self.decoder: Module = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(*sizes, dtype=dtype, rng=rng), num_decoder_layers, norm()
        )
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p, rng=rng)
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def forward(
        self,
        src: Tensor | Array,
        tgt: Tensor | Array,
        src_mask: Mask = None,
        tgt_mask: Mask = None,
        memory_mask: Mask = None,
        src_key_padding_mask: Mask = None,
        tgt_key_padding_mask: Mask = None,
        memory_key_padding_mask: Mask = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        out: Tensor = self.decoder(
            tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask,
            tgt_is_causal, memory_is_causal,
        )  # fmt: skip
        return out

    @staticmethod
    def generate_square_subsequent_mask(sz: int, dtype: DTypeLike = FLOAT) -> Array:
        """A causal mask of floats, (sz, sz): -inf where the key comes after the query, else 0.

        >>> from tapenet import nn
        >>> nn.Transformer.generate_square_subsequent_mask(2)
        array([[  0., -inf],
               [  0.,   0.]], dtype=float32)
        """
        return np.triu(np.full((sz, sz), -math.inf, float_type(dtype)), 1)
