"""What the recurrent layers share: which rows each turn computes, and how their arguments and samples look.

Arrays of all turns lie as (gate, time, batch, units) in memory, so that each gate of a turn is one run, and a turn's
product with the recurrent weights is one small product of matrices per gate, for which BLAS has its fastest code.

Sequences of unequal lengths are sorted, the longest first. The rows that a turn computes are then the first few of the
batch, in both directions: going backwards in time rows join in at their own ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tapenet import kernels
from tapenet.ops.derived import array_like
from tapenet.ops.registry import Sample, sample
from tapenet.typing import Array, Shape


class Turn(NamedTuple):
    """One step of a sequence.

    Attributes:
        t: the time.
        rows: how many rows are at work, the first ones of the sorted batch.
        before, after: where the states before and after it lie in their history.
    """

    t: int
    rows: int
    before: int
    after: int


class Turns:
    """The turns that one layer takes over a batch of sequences.

    Args:
        x: the input of the layer, (time, batch, ...).
        lengths: how long the sequence of each row is, (batch,); None if all are as long as x.
        reverse: begin at the end of each sequence.
    """

    def __init__(self, x: Array, lengths: Array | None, reverse: bool) -> None:
        steps, batch = self.steps, self.batch = x.shape[:2]
        self.reverse = reverse
        self.lengths: Array | None = None
        self.order: Array | None = None
        #: How many rows are at work at each time.
        self.rows = np.full(steps, batch)
        if lengths is None:
            return
        found = _checked(np.asarray(lengths), steps, batch)
        if (found[1:] > found[:-1]).any():
            self.order = np.argsort(-found, kind="stable")
            found = found[self.order]
        self.lengths = found
        self.rows = (found[:, None] > np.arange(steps)).sum(0)

    def forwards(self) -> Iterator[Turn]:
        """The turns in the order in which the layer takes them."""
        return self._turns(self.reverse)

    def backwards(self) -> Iterator[Turn]:
        """The turns from the last to the first."""
        return self._turns(not self.reverse)

    def _turns(self, down: bool) -> Iterator[Turn]:
        rows = self.rows.tolist()
        for t in range(self.steps - 1, -1, -1) if down else range(self.steps):
            yield Turn(t, rows[t], *((t + 1, t) if self.reverse else (t, t + 1)))

    def sorted(self, array: Any, axis: int) -> Array:
        """An array with its rows in the order of the turns."""
        return array if self.order is None or array is None else array.take(self.order, axis)  # type: ignore[no-any-return]

    def inputs(self, x: Array, dtype: np.dtype[Any]) -> Array:
        """The inputs of the layer with their rows in the order of the turns."""
        found: Array = self.sorted(x, 1).astype(dtype, copy=False)
        return found

    def restored(self, array: Array, axis: int) -> Array:
        """The opposite of `sorted`."""
        return array if self.order is None else array.take(np.argsort(self.order), axis)

    def room(self, *shape: int, dtype: np.dtype[Any]) -> Array:
        """An array of what each turn computes for its rows, 0 in the other rows."""
        found: Array = kernels.empty(shape, np.dtype(dtype))
        if self.lengths is not None:
            found[...] = 0
        return found

    def history(self, initial: Array, dtype: np.dtype[Any]) -> Array:
        """Room for the states before and after all turns. Rows that are not at work yet, or any more, hold their initial
        state: finite, as products with it are multiplied by 0."""
        states: Array = kernels.empty((self.steps + 1, *initial.shape), np.dtype(dtype))
        states[... if self.lengths is not None else (-1 if self.reverse else 0)] = self.sorted(initial, 0)
        return states

    def outputs(self, states: Array, out: Array) -> None:
        """Write the states after each turn to `out`, 0 beyond the end of a sequence."""
        out[...] = states[:-1] if self.reverse else states[1:]
        if self.lengths is not None:
            for t, rows in enumerate(self.rows):
                out[t, rows:] = 0

    def last(self, states: Array) -> Array:
        """Each row's state after its last turn, as an array of its own."""
        if self.reverse:
            found = states[0].copy()
        elif self.lengths is None:
            found = states[-1].copy()
        else:
            found = states[self.lengths, np.arange(self.batch)]
        return self.restored(found, 0)

    def before(self, states: Array) -> Array:
        """The states before each turn, by time."""
        return states[1:] if self.reverse else states[:-1]


def _checked(lengths: Array, steps: int, batch: int) -> Array:
    if lengths.shape != (batch,) or lengths.dtype.kind not in "iu":
        raise ValueError(
            f"lengths are {lengths.dtype} of shape {lengths.shape}; give an integer for each of the {batch} rows"
        )
    if batch and (lengths.min() < 0 or lengths.max() > steps):
        raise ValueError(
            f"lengths lie between {lengths.min()} and {lengths.max()}; x has {steps} time steps: they must be 0 to {steps}"
        )
    return lengths.astype(np.int64)


def check(
    gates: int,
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    c0: Array | None = None,
    w_hr: Array | None = None,
) -> Any:
    """Check the shapes of a layer's arguments against each other; the dtype to compute in.

    Args:
        gates: how many blocks of rows the weights have.
    """
    if x.ndim != 3:
        hint = ": add the axis of the batch, x[:, None]" if x.ndim == 2 else ""
        raise ValueError(f"x has shape {x.shape}; it must have three axes, (time, batch, inputs){hint}")
    _, batch, ins = x.shape
    if w_ih.ndim != 2 or w_ih.shape[0] % gates or w_ih.shape[1] != ins:
        first = "units" if gates == 1 else f"{gates} * units"
        raise ValueError(f"w_ih has shape {w_ih.shape}; for x {x.shape} with {ins} inputs it must be ({first}, {ins})")
    units = w_ih.shape[0] // gates
    outs = units if w_hr is None else w_hr.shape[0]
    expected = {
        "w_hr": (w_hr, (outs, units)),
        "h0": (h0, (batch, outs)),
        "c0": (c0, (batch, units)),
        "w_hh": (w_hh, (gates * units, outs)),
        "b_ih": (b_ih, (gates * units,)),
        "b_hh": (b_hh, (gates * units,)),
    }
    for name, (array, shape) in expected.items():
        if array is not None and array.shape != shape:
            raise ValueError(
                f"{name} has shape {array.shape}; for x {x.shape}, a batch of {batch}, and w_ih {w_ih.shape}, {units} units"
                + ("" if w_hr is None else f" projected to {outs}")
                + f", it must be {shape}"
            )
    dtype = np.result_type(*(v for v in (x, h0, w_ih, w_hh, b_ih, b_hh, c0, w_hr) if v is not None))
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def summed(b_ih: Array | None, b_hh: Array | None) -> Any:
    """The sum of two biases, each of which may be None."""
    return b_hh if b_ih is None else b_ih if b_hh is None else b_ih + b_hh


def end(turns: Turns, g: Array, states: Array) -> Array:
    """The gradient by the states that the backward turns begin with: that by the last states, if there is one."""
    if g is None:
        return np.zeros(states.shape[1:], states.dtype)
    return np.array(turns.sorted(g, 0), states.dtype, order="C")


def active(lengths: Array | None, t: int) -> Any:
    """For a reference in ops: which rows are at work at time t, (batch, 1); None if all are."""
    return None if lengths is None else np.reshape(array_like(lengths) > t, (-1, 1))


def chosen(where: Array, new: Any, old: Any) -> Array:
    """For a reference in ops: `new` in the rows that are at work, `old` in the others."""
    return new if where is None else np.where(where, new, old)  # type: ignore[no-any-return]


def times(x: Array, reverse: bool) -> Iterator[int]:
    """For a reference in ops: the times in the order of the turns."""
    steps: int = x.shape[0]
    return iter(range(steps - 1, -1, -1) if reverse else range(steps))


def stacked(outs: dict[int, Any], x: Array, like: Any) -> Array:
    """For a reference in ops: the outputs in the order of time; of no time at all an empty array."""
    return np.stack([outs[t] for t in range(x.shape[0])]) if outs else np.zeros((0, *like.shape), like.dtype)


def sampled(r: np.random.Generator, gates: int, states: int = 1) -> list[Sample]:
    """Calls of a layer for the tests: of one unit and two, with and without biases, in both directions, with lengths."""

    def call(steps: int, batch: int, ins: int, units: int, biases: int, **options: Any) -> Sample:
        shapes = [(steps, batch, ins), *[(batch, units)] * states, (gates * units, ins), (gates * units, units)]
        shapes += [(gates * units,)] * biases
        return sample(*(r.normal(size=shape) for shape in shapes), **options)

    return [
        call(2, 2, 1, 1, 2, lengths=np.array([1, 2])),
        call(3, 1, 2, 1, 1, reverse=True),
        call(1, 2, 1, 2, 0),
        call(3, 3, 1, 1, 2, lengths=np.array([1, 0, 3]), reverse=True),
    ]


#: How gradients with two axes lie in memory, from the slowest to the fastest: those by weights, in Fortran order, and the
#: small ones by first states with them, since an op says one thing of all.
MEMORY = (1, 0)


def first(turns: Turns, g: Array) -> Array:
    """The gradient by first states, from that with its rows in the order of the turns."""
    return np.asfortranarray(turns.restored(g, 0))


#: What a compiler reads of a layer.
OPAQUE = "its turns are run by the host"


def multiply_adds(x_shape: Shape, w_ih_shape: Shape, w_hh_shape: Shape) -> int:
    """The products of all turns."""
    steps, batch, ins = x_shape
    count: int = steps * batch * w_ih_shape[0] * (ins + w_hh_shape[1])
    return count
