"""Recurrent layers: stacks of them over sequences, in one direction or both. What one layer computes is documented at
the ops `tn.rnn`, `tn.lstm` and `tn.gru`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn import cards, init
from tapenet.nn import functional as F
from tapenet.nn.layer_arguments import probability, whole
from tapenet.nn.layer_inputs import asarray, cast, here
from tapenet.nn.parameter import FLOAT, Parameter, float_type
from tapenet.nn.shared_docstring import SharedDocstring
from tapenet.nn.utils.rnn import PackedSequence, States, run_padded
from tapenet.ops.random import generator
from tapenet.ops.stack_frames import user_site


class _Recurrent(SharedDocstring):
    """A stack of {kind} over sequences; see `tn.{op}`.

    Args:
        input_size: length of the inputs of each time step.
        hidden_size: number of units.
        num_layers: how many layers, each on the outputs of the one before.
        bias: add b_ih and b_hh.
        batch_first: x and the outputs are (batch, time, ...) rather than (time, batch, ...). The states stay as they are.
        dropout: in training, the probability of dropping each output of all layers but the last.
        bidirectional: a second layer goes backwards beside each; their outputs are joined.
        dtype: of the parameters.
        rng: a generator, or an integer to make one from, for the initial values and the dropout.{argument}

    A call takes x, hx and lengths:
        x: (time, batch, input_size), (batch, time, input_size) with `batch_first`, or (time, input_size) without a batch;
            or a `PackedSequence` of `nn.utils.rnn`.
        hx: the states to begin with, zeros by default: {states}, with layers counted in both directions.
        lengths: how long each sequence of the batch is, (batch,); see `tn.{op}`.
    It returns the outputs of the last layer at all times (packed, if x is), and the last states of all layers, as `hx`.
    Without a batch the states are without it too.

    Attributes:
        weight_ih_l0, weight_hh_l0: ({gates}hidden_size, inputs) and ({gates}hidden_size, outputs) of the first layer, in
            Fortran order; weight_ih_l0_reverse of the layer that goes backwards, weight_ih_l1 of the second, and so on.
        bias_ih_l0, bias_hh_l0: ({gates}hidden_size,), if `bias`.{attribute}
    All begin as U(-k, k) with k = 1 / √hidden_size.

    Raises:
        ValueError: inputs, states or lengths of other shapes.
    """

    #: One layer in one direction: outputs and last states.
    _op: ClassVar[Callable[..., tuple[Tensor, ...]]]
    #: How many blocks of rows the weights have, and how many states are carried on.
    _gates: int
    _states = 1

    weight_ih_l0: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        name = type(self).__name__
        whole(self, input_size=input_size, proj_size=proj_size)
        whole(self, 1, hidden_size=hidden_size, num_layers=num_layers)
        probability(self, dropout=dropout)
        if proj_size >= hidden_size:
            raise ValueError(f"{name}: proj_size={proj_size} must be smaller than hidden_size={hidden_size}")
        if dropout and num_layers == 1:
            text = f"{name}: dropout acts between layers, and num_layers=1 has nothing between: it does nothing"
            warnings.warn_explicit(text, UserWarning, *user_site())
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        made = generator(rng)
        self.rng = None if rng is None else made
        rows, outs = self._gates * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            ins = input_size if layer == 0 else outs * (1 + bidirectional)
            for end in self._ends(layer):
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, ins), "weight_hh": (rows, outs)}
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for kind, shape in shapes.items():
                    setattr(self, kind + end, initial(shape, hidden_size, dtype, made))

    def _ends(self, layer: int) -> list[str]:
        """What the names of a layer's parameters end in, for each direction."""
        return [f"_l{layer}", f"_l{layer}_reverse"][: 1 + self.bidirectional]

    def forward(
        self, x: ArrayLike | PackedSequence, hx: States | None = None, lengths: ArrayLike | None = None
    ) -> tuple[Tensor | PackedSequence, States]:
        if isinstance(x, PackedSequence):
            if lengths is not None:
                raise ValueError(f"{here()}: a PackedSequence has lengths of its own: leave lengths= out")
            return run_padded(self._run, x, hx)
        x = cast(x, self.weight_ih_l0)
        shape = tuple(x.shape)
        if len(shape) not in (2, 3) or shape[-1] != self.input_size:
            batched = "batch, time" if self.batch_first else "time, batch"
            raise ValueError(
                f"{here()} takes ({batched}, {self.input_size}) or (time, {self.input_size}) for its input, not {shape}"
            )
        if len(shape) == 2:
            if lengths is not None:
                raise ValueError(f"{here()}: lengths are those of a batch; cut a single sequence: x[:length]")
            self._fits(hx, (self._layers(),))
            out, states = self._run(x[:, None], None if hx is None else _each(hx, lambda h: h[:, None]), None)
            return out[:, 0], _each(states, lambda h: h[:, 0])
        if not self.batch_first:
            return self._run(x, hx, lengths)
        out, states = self._run(ops.swapaxes(x, 0, 1), hx, lengths)
        return ops.swapaxes(out, 0, 1), states

    def _run(self, inputs: ArrayLike, hx: States | None, lengths: ArrayLike | None) -> tuple[Tensor, States]:
        """All layers over (time, batch, inputs)."""
        x = cast(inputs, self.weight_ih_l0)
        self._fits(hx, (self._layers(), x.shape[1]))
        given = None if hx is None else [cast(h, self.weight_ih_l0) for h in each_state(hx, self._states)]
        zeros = [asarray(np.zeros((x.shape[1], width), self.weight_ih_l0.dtype)) for width in self._widths()]
        last: list[list[Tensor]] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training, self.rng)
            outs = []
            for reverse, end in enumerate(self._ends(layer)):
                begin = zeros if given is None else [h[len(last)] for h in given]
                out, *ends = self._op(x, *begin, *self._weights(end), *self._more(end), lengths, bool(reverse))
                outs.append(out)
                last.append(ends)
            x = outs[0] if len(outs) == 1 else ops.concatenate(outs, -1)
        states = tuple(c[0][None] if len(c) == 1 else ops.stack(list(c)) for c in zip(*last, strict=True))
        return x, states if self._states > 1 else states[0]

    def _more(self, end: str) -> tuple[object, ...]:
        """What the op gets behind the weights."""
        return ()

    def _weights(self, end: str) -> list[Tensor | None]:
        return [getattr(self, kind + end, None) for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]

    def _layers(self) -> int:
        """How many layers in one direction."""
        return self.num_layers * (1 + self.bidirectional)

    def _widths(self) -> list[int]:
        """The length of each state."""
        return [self.proj_size or self.hidden_size, self.hidden_size][: self._states]

    def _fits(self, hx: States | None, first: tuple[int, ...]) -> None:
        """Check the states that were given."""
        if hx is None:
            return
        expected = [(*first, width) for width in self._widths()]
        found = [tuple(np.shape(h)) for h in each_state(hx, self._states)]
        if found != expected:
            raise ValueError(
                f"{here()}: its states have the shape{'s' * (self._states > 1)} {', '.join(map(str, found))}; for this input "
                f"they must be {', '.join(map(str, expected))}: (layers times directions, batch, units)"
            )

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        usual = {"num_layers": 1, "nonlinearity": "tanh", "bias": True, "batch_first": False, "dropout": 0.0,
                 "bidirectional": False, "proj_size": 0}  # fmt: skip
        changed = {n: getattr(self, n) for n in usual if getattr(self, n, usual[n]) != usual[n]}
        return ", ".join([text, *(f"{n}={value!r}" for n, value in changed.items())])

    def card(self) -> str:
        first = f"{self.num_layers} layers" if self.num_layers > 1 else ""
        usual: dict[str, object] = {"bidirectional": False, "proj_size": 0, "dropout": 0.0}
        outs = (self.proj_size or self.hidden_size) * (1 + self.bidirectional)
        return cards.lines(self, f"{self.input_size} → {outs}", usual, first)


def _each(states: States, f: Callable[[Tensor], Tensor]) -> States:
    """A function applied to the state, or to each of several."""
    return tuple(map(f, states)) if isinstance(states, (tuple, list)) else f(states)


def each_state(hx: States, count: int) -> Sequence[Tensor]:
    """The states that a layer was given: one alone, or a pair of them.

    Raises:
        TypeError: no pair.
    """
    if count == 1:
        return [hx]  # type: ignore[list-item]  # one state is no tuple
    if not (isinstance(hx, (tuple, list)) and len(hx) == count):
        raise TypeError(f"{here()} takes its states as a pair (h, c), not {type(hx).__name__}")
    return hx


def initial(shape: tuple[int, ...], hidden_size: int, dtype: DTypeLike, rng: np.random.Generator) -> Tensor:
    """U(-k, k) with k = 1 / √hidden_size, as PyTorch's; weights in Fortran order, as the ops read them fastest."""
    bound = 1 / math.sqrt(hidden_size)
    return init.uniform_(Parameter(np.empty(shape, float_type(dtype), order="F")), -bound, bound, rng=rng)


#: What docstrings say of states, and of an argument.
_ONE = "(layers, batch, hidden_size)"
_NONLINEARITY = '\n        nonlinearity: "tanh" or "relu".'


def _words(kind: str, op: str, states: str, gates: str, argument: str = "", attribute: str = "") -> dict[str, str]:
    """What the docstring of a layer says of it alone."""
    return {"kind": kind, "op": op, "states": states, "gates": gates, "argument": argument, "attribute": attribute}


class RNN(_Recurrent, words=_words("simple recurrent layers", "rnn", _ONE, "", _NONLINEARITY)):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> out, h = nn.RNN(3, 5, num_layers=2)(np.zeros((7, 2, 3)))
    >>> out.shape, h.shape
    ((7, 2, 5), (2, 2, 5))
    """

    _op = ops.rnn
    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: nonlinearity={nonlinearity!r} is neither 'tanh' nor 'relu'")
        self.nonlinearity = nonlinearity
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype=dtype, rng=rng
        )

    def _more(self, end: str) -> tuple[object, ...]:
        return (self.nonlinearity,)


class LSTM(
    _Recurrent,
    words=_words(
        "layers of long short-term memory",
        "lstm",
        "a pair of (layers, batch, hidden_size), or with proj_size (layers, batch, proj_size) first",
        "4 * ",
        "\n        proj_size: project the outputs to so many, if not 0.",
        "\n        weight_hr_l0: (proj_size, hidden_size), if proj_size.",
    ),
):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> out, (h, c) = nn.LSTM(3, 5, batch_first=True, bidirectional=True)(np.zeros((2, 7, 3)), lengths=[7, 4])
    >>> out.shape, h.shape, c.shape
    ((2, 7, 10), (2, 2, 5), (2, 2, 5))
    """

    _op = ops.lstm
    _gates = 4
    _states = 2

    def _more(self, end: str) -> tuple[object, ...]:
        return (getattr(self, "weight_hr" + end, None),)


class GRU(_Recurrent, words=_words("layers of gated recurrent units", "gru", _ONE, "3 * ")):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> out, h = nn.GRU(3, 5)(np.zeros((7, 3)))
    >>> out.shape, h.shape
    ((7, 5), (1, 5))
    """

    _op = ops.gru
    _gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype=dtype, rng=rng
        )
