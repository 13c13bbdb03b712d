"""What the recurrent layers share: which rows each turn computes, and how their arguments and samples look.

Arrays of all turns lie as (gate, time, batch, units) in memory, so that each gate of a turn is one run, and a turn's
product with the recurrent weights is one small product of matrices per gate, for which BLAS has its fastest code.

Sequences of unequal lengths are sorted, the longest first. The rows that a turn computes are then the first few of the
batch, in both directions: going backwards in time rows join in at their own ends.
"""

from __future__ import annotations

import numpy as np

from tapenet import kernels
from tapenet.ops.derived import is_tensor
from tapenet.ops.layers.recurrent.products import plain
from tapenet.ops.registry import Sample, sample
from tapenet.program.symbols import Symbol
from tapenet.typing import Array, DType, Shape


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
        #: The times in the order in which the layer takes them.
        self.times = range(steps - 1, -1, -1) if reverse else range(steps)
        self.lengths = lengths
        self.order: Array | None = None
        #: How many rows are at work at each time.
        self.rows = [batch] * steps
        if isinstance(lengths, Symbol):
            self.order = np.argsort(-lengths, stable=True)
            self.lengths = np.take(lengths, self.order)
            return
        if lengths is None or is_tensor(type(lengths)):
            return  # a tensor's numbers are not looked at: then rows stay as they are
        found = _checked(np.asarray(lengths), steps, batch)
        if (found[1:] > found[:-1]).any():
            self.order = np.argsort(-found, kind="stable")
            found = found[self.order]
        self.lengths = found
        self.rows = (found[:, None] > np.arange(steps)).sum(0).tolist()

    def places(self, t: int) -> tuple[int, int]:
        """Where the states before and after time t lie in their history."""
        return (t + 1, t) if self.reverse else (t, t + 1)

    def chosen(self, t: int, new: Array, old: Array | float) -> Array:
        """`new` in the rows that are at work at time t, `old` in the others."""
        if self.lengths is None:
            return new
        found: Array = np.where(np.reshape(self.lengths > t, (-1, 1)), new, old)
        return found

    def joined(self, arrays: list[Array], empty: Array, axis: int = 0) -> Array:
        """What all turns made, in the order of time along a new axis. Of no turn at all that is a copy of `empty`."""
        if not arrays:
            return np.copy(empty)
        shape = (*arrays[0].shape[:axis], len(arrays), *arrays[0].shape[axis:])
        arrays = arrays[::-1] if self.reverse else arrays
        if not plain(*arrays):
            return np.stack(arrays, axis)
        made = kernels.empty(shape, arrays[0].dtype)
        if made.size:
            np.concatenate(arrays, axis, out=made.reshape(*shape[:axis], -1, *shape[axis + 2 :]))
        return made

    def sorted(self, array: Array, axis: int, dtype: DType | None = None) -> Array:
        """An array with its rows in the order of the turns."""
        if self.order is not None:
            array = np.take(array, self.order, axis)
        return array if dtype is None or array.dtype == dtype else array.astype(dtype)

    def restored(self, array: Array, axis: int) -> Array:
        """The opposite of `sorted`."""
        return array if self.order is None else np.take(array, np.argsort(self.order), axis)

    def room(self, *shape: int, dtype: DType) -> Array:
        """An array of what each turn computes for its rows, 0 in the other rows."""
        found = kernels.empty(shape, dtype)
        if self.lengths is not None:
            found[...] = 0
        return found

    def history(self, initial: Array) -> Array:
        """Room for the states before and after all turns. Rows that are not at work yet, or any more, hold their initial
        state: finite, as products with it are multiplied by 0."""
        states = kernels.empty((self.steps + 1, *initial.shape), initial.dtype)
        if self.lengths is None:
            kernels.write(initial, states[-1 if self.reverse else 0])
        else:
            states[...] = initial
        return states

    def last(self, states: Array) -> Array:
        """Each row's state after its last turn, as an array of its own."""
        if self.lengths is None or self.reverse:
            return kernels.copied(states[0 if self.reverse else -1])
        return np.copy(states[self.lengths, np.arange(self.batch)])

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
) -> DType:
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
    dtype = np.result_type(*(v.dtype for v in (x, h0, w_ih, w_hh, b_ih, b_hh, c0, w_hr) if v is not None))
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def end(turns: Turns, g: Array | None, states: Array) -> Array:
    """The gradient by the states that the backward turns begin with: that by the last states, if there is one."""
    made = kernels.aligned(states.shape[1:], states.dtype)
    if g is None:
        kernels.clear(made)
    else:
        kernels.write(turns.sorted(g, 0), made)
    return made


def sampled(r: np.random.Generator, gates: int, states: int = 1) -> list[Sample]:
    """Calls of a layer for the tests: of one unit and two, with and without biases, in both directions, with lengths."""

    def call(steps: int, batch: int, ins: int, units: int, biases: int, **options: object) -> Sample:
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
    g = turns.restored(g, 0)
    made = kernels.empty(g.shape[::-1], g.dtype, (1, 0)).T
    kernels.write(g, made)
    return made


#: What a compiler reads of a layer.
OPAQUE = "its turns are run by the host"


def multiply_adds(x_shape: Shape, w_ih_shape: Shape, w_hh_shape: Shape) -> int:
    """The products of all turns."""
    steps, batch, ins = x_shape
    return steps * batch * w_ih_shape[0] * (ins + w_hh_shape[1])
