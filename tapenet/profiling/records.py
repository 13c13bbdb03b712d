"""What happened in a profiled step, as data: made from what `observe.profile` noted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.node import Constant
from tapenet.autodiff.observe.profile import END, HEAD, PICK, Timing, facts, kept_for
from tapenet.ops.op import Op
from tapenet.profiling.places import Place
from tapenet.profiling.values import Seen, Stats
from tapenet.typing import DType, Shape


class Record(NamedTuple):
    """One op that ran.

    Attributes:
        number: of its node (`t.node.number`), None where nothing was recorded, as under `tn.no_grad()`.
        op: the op's name.
        root: the class of the outermost module that ran it, "" outside modules.
        path: the module's dotted path from there, as `node.path`.
        shape, dtype: of the output; tuples for an op with several.
        forward: seconds in the op's own forward; 0.0 if that was before the step.
        backward: seconds in its gradient rules, with what the driver does for the node; 0.0 if they did not run.
        saved: bytes that the node keeps for its rules: inputs, outputs and residuals. Parameters and other arrays that
            were there before the step are not counted, apart from inputs without gradient.
        multiply_adds: multiplications with an addition in the forward; None where the op does not say.
        backward_multiply_adds: the same in its rules; 0 if they did not run.
        activation: statistics of the output, with `values=True`.
        gradient: statistics of the loss's gradient by the output, with `values=True`, where a backward pass came by.
        born: what nan or infinity the output holds that came from no input, in words; with `values=True`.
        gradient_born: the same of the gradients that the rules gave.
    """

    number: int | None
    op: str
    root: str
    path: str
    shape: Shape | tuple[Shape, ...]
    dtype: DType | tuple[DType, ...]
    forward: float
    backward: float
    saved: int
    multiply_adds: int | None
    backward_multiply_adds: int | None
    activation: Stats | None = None
    gradient: Stats | None = None
    born: str | None = None
    gradient_born: str | None = None

    @property
    def seconds(self) -> float:
        """Forward and backward together."""
        return self.forward + self.backward


class Step(NamedTuple):
    """One profiled block.

    Attributes:
        records: its ops in the order in which they ran.
        total: seconds from begin to end, all that Python did between ops included.
        spans: seconds of what is no op, by name: an optimizer's step, a compiled function's call.
        saved: bytes that were saved for gradients, each array once (a view counts as an array).
        leaves: statistics of each leaf's `.grad` after the last backward pass, by the leaf's number (`p.node.number`);
            with `values=True`.
    """

    records: list[Record]
    total: float
    spans: dict[str, float]
    saved: int
    leaves: dict[int, Stats]

    @property
    def forward(self) -> float:
        """Seconds in the forwards of all ops."""
        return sum(r.forward for r in self.records)

    @property
    def backward(self) -> float:
        """Seconds in the gradient rules of all ops."""
        return sum(r.backward for r in self.records)

    @property
    def other(self) -> float:
        """Seconds in nothing that has a row: Python between the ops, recording them, data."""
        return max(0.0, self.total - self.forward - self.backward - sum(self.spans.values()))


class _Ran(NamedTuple):
    """An entry of an op."""

    op: Op
    number: int | None
    place: Place
    shape: Any
    dtype: Any
    seconds: float | None
    facts: dict[tuple[str, str], Any]


class Block:
    """The entries of one block."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.ran: list[_Ran] = []
        #: Seconds, without those of what ran inside, of the rules by number of the node, and of what is no op by name.
        self.rules: dict[int, float] = {}
        self.spans: dict[str, float] = {}
        #: The op and the position of each result of an op with several, by number.
        self.picks: dict[int, tuple[int, int]] = {}
        #: When each thing began and ended that ran inside of no other, as far as is known.
        self._outermost: list[tuple[float, float]] = []

    def op(self, op: Op, rest: list[Any]) -> None:
        """Take up the entry of an op."""
        number, place, shape, dtype, start, stop, *found = rest
        seconds = None if start is None else self._own(start, stop)
        self.ran.append(_Ran(op, number, place, shape, dtype, seconds, dict(zip(facts(op), found, strict=True))))

    def _own(self, start: float, stop: float) -> float:
        """The seconds of something without those of what ran inside of it, which came before."""
        seconds = stop - start
        while self._outermost and self._outermost[-1][0] >= start:
            began, ended = self._outermost.pop()
            seconds -= ended - began
        self._outermost.append((start, stop))
        return seconds

    def spent(self, whose: int | str, start: float, stop: float) -> None:
        """Take up the entry of a node's rules or of something that is no op."""
        seconds = self._own(start, stop)
        if isinstance(whose, int):
            self.rules[whose] = self.rules.get(whose, 0.0) + seconds
        else:
            self.spans[whose] = self.spans.get(whose, 0.0) + seconds

    def step(self, seen: Seen | None) -> Step:
        """The block as data."""
        arrays = {r.number: _outputs(r) for r in self.ran if r.number is not None}
        for number, (source, index) in self.picks.items():
            arrays[number] = arrays.get(source, [])[index : index + 1]
        kept: dict[object, int] = {}
        records = []
        outputs = iter(() if seen is None else seen.outputs)
        for position, ran in enumerate(self.ran):
            saved = dict(_saved(position, ran, arrays))
            kept |= saved
            made, factor = _multiply_adds(ran), _products(ran)
            record = Record(
                ran.number, ran.op.name, *ran.place, ran.shape, ran.dtype, ran.seconds or 0.0,
                self.rules.get(ran.number or 0, 0.0), sum(saved.values()), made,
                None if made is None else made * factor * (ran.number in self.rules),
            )  # fmt: skip
            records.append(record if seen is None else _with_values(record, ran.seconds is None, seen, outputs))
        leaves = {} if seen is None else seen.leaves
        return Step(records, self.seconds, self.spans, sum(kept.values()), leaves)


def _with_values(record: Record, older: bool, seen: Seen, outputs: Iterator[tuple[Stats, str | None]]) -> Record:
    """A record with what was seen of it. Its output is the next of those that were made in the block."""
    if not older:
        activation, born = next(outputs)
        record = record._replace(activation=activation, born=born)
    if record.number is None:
        return record
    return record._replace(gradient=seen.gradients.get(record.number), gradient_born=seen.born.get(record.number))


def entries(timing: Timing, start: int = 0) -> Iterator[int]:
    """Where each entry begins."""
    i = start
    while i < len(timing):
        yield i
        i += _length(timing[i])


def _length(first: Op | int | str) -> int:
    if isinstance(first, Op):
        return HEAD + len(facts(first))
    return 4 if first == PICK else 3


def read(timing: Timing) -> Iterator[Block]:
    """The blocks that have ended. Scopes among the entries were replaced by places before."""
    block = Block()
    for i in entries(timing):
        kind, *rest = timing[i : i + _length(timing[i])]
        if isinstance(kind, Op):
            block.op(kind, rest)
        elif kind == PICK:
            number, source, index = rest
            block.picks[number] = source, index
        elif kind == END:
            start, stop = rest
            block.seconds = stop - start
            yield block
            block = Block()
        else:
            block.spent(kind, *rest)


# -- memory ------------------------------------------------------------------------------------------------------


def _wanted(ran: _Ran, name: str) -> bool:
    """Whether a gradient by this input is needed."""
    source = ran.facts.get(("source", name), 0)  # of a node's only input that may need one, nothing is kept
    return ran.number is not None and any(type(s) is int for s in _parts(source))


def _parts(source: object) -> tuple[object, ...]:
    """The sources of a sequence, or the one there is."""
    return source if type(source) is tuple else (source,)


#: An array: something that tells it from others, and its bytes.
_Array = tuple[object, int]


def _outputs(ran: _Ran) -> list[_Array]:
    if isinstance(ran.dtype, tuple):
        sizes = map(_bytes, ran.shape, ran.dtype)
        return [((ran.number, i), size) for i, size in enumerate(sizes)]
    return [(ran.number, _bytes(ran.shape, ran.dtype))]


def _saved(position: int, ran: _Ran, arrays: dict[int, list[_Array]]) -> Iterator[_Array]:
    """What a node keeps."""
    op = ran.op
    kept = {k for n in op.differentiable if _wanted(ran, n) for k in kept_for(op, n)}
    for name in sorted(kept):
        if name == op.special.out:
            yield from _outputs(ran)
        elif name in op.residuals:
            yield (position, name), ran.facts["bytes", name] or 0
        elif name in op.differentiable:
            for k, source in enumerate(_parts(ran.facts.get(("source", name)))):
                if type(source) is int:
                    yield from arrays.get(source, ())
                else:
                    yield (position, name, k), _constant_bytes(source)
        else:
            yield (position, name), _constant_bytes(ran.facts["source", name])


def _bytes(shape: Shape, dtype: np.dtype) -> int:
    return int(math.prod(shape) * dtype.itemsize)


def _constant_bytes(value: object) -> int:
    if isinstance(value, Constant):
        return _bytes(value.shape, value.dtype)
    return sum(map(_constant_bytes, value)) if isinstance(value, tuple) else 0


# -- multiply-adds -----------------------------------------------------------------------------------------------


def _multiply_adds(ran: _Ran) -> int | None:
    """What the op says of this call."""
    op = ran.op
    if op.multiply_adds is None:
        return None
    return int(op.multiply_adds(*(_asked(ran, name) for name in op.count_needs)))


def _asked(ran: _Ran, name: str) -> object:
    if name in ran.op.options:
        return ran.facts["option", name]
    if name == "out_shape":
        return ran.shape
    name = name.removesuffix("_shape")
    shape = ran.facts.get(("shape", name))
    return _constant_shape(ran.facts["source", name]) if shape is None else shape


def _constant_shape(value: object) -> object:
    if value is None or isinstance(value, Constant):
        return value and value.shape
    return tuple(map(_constant_shape, value)) if isinstance(value, tuple) else ()


def _products(ran: _Ran) -> int:
    """How many products the size of the forward's the rules take: one for each input whose gradient is needed and
    takes another array, as a factor's does and a bias's does not."""
    op = ran.op
    factors = [n for n in op.differentiable if kept_for(op, n)] or op.differentiable
    return sum(_wanted(ran, n) for n in factors)
