"""Sequences of unequal lengths: padded to one array, or packed without the padding. Under PyTorch's names.

A recurrent layer takes padded sequences with `lengths=`, or packed ones, which it pads: both are one computation. Padded
is quicker for the layer and works in a compiled step; packed saves what comes before and after the layer (a lookup, a
linear layer, a loss) the padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.typing import Array

Ints = NDArray[np.int64]
#: The state of a recurrent layer, or several of them as a tuple.
States: TypeAlias = Tensor | tuple[Tensor, ...]
S = TypeVar("S", bound=Tensor | Array)


class PackedSequence(NamedTuple):
    """Sequences of unequal lengths as one array without padding: the rows of the first time step, then those of the
    second, and so on, with the longest sequence first. Made by `pack_padded_sequence` and `pack_sequence`.

    Attributes:
        data: (total length, ...).
        batch_sizes: (time,), how many sequences reach each time step.
        sorted_indices: (batch,), which sequence of the batch comes first, second and so on; None if they are in order.
        unsorted_indices: the opposite of it.
    """

    data: Tensor | Array
    batch_sizes: Ints
    sorted_indices: Ints | None = None
    unsorted_indices: Ints | None = None


def pack_padded_sequence(
    input: Tensor | Array, lengths: ArrayLike, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Leave the padding out.

    Args:
        input: (time, batch, ...), or (batch, time, ...) with `batch_first`.
        lengths: (batch,), how long each sequence is, from 1 to time.
        batch_first: the order of the input's axes.
        enforce_sorted: raise unless the longest sequences come first; if False they are sorted.

    Raises:
        ValueError: lengths that do not fit the input, or are not sorted.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> packed = nn.utils.rnn.pack_padded_sequence(np.array([[1, 4], [2, 5], [3, 0]]), [3, 2])
    >>> packed.data, packed.batch_sizes
    (array([1, 4, 2, 5, 3]), array([2, 2, 1]))
    """
    lengths = np.asarray(lengths)
    time, batch = input.shape[1::-1] if batch_first else input.shape[:2]
    if lengths.shape != (batch,) or lengths.dtype.kind not in "iu":
        raise ValueError(
            f"pack_padded_sequence: lengths are {lengths.dtype} of shape {lengths.shape}; input {tuple(input.shape)} has "
            f"{batch} sequences: give an integer for each"
        )
    if batch == 0 or lengths.min() < 1 or lengths.max() > time:
        raise ValueError(
            f"pack_padded_sequence: lengths {lengths.tolist()} must lie between 1 and {time}, the length of the input"
        )
    lengths, order = lengths.astype(np.int64), None
    if (lengths[1:] > lengths[:-1]).any():
        if enforce_sorted:
            raise ValueError(
                f"pack_padded_sequence: lengths {lengths.tolist()} do not descend: give enforce_sorted=False to have the "
                "sequences sorted"
            )
        order = np.argsort(-lengths, kind="stable")
        lengths = lengths[order]
    mask = np.arange(lengths[0])[:, None] < lengths
    t, b = np.nonzero(mask)
    if order is not None:
        b = order[b]
    data = input[b, t] if batch_first else input[t, b]
    return PackedSequence(data, mask.sum(1), order, None if order is None else np.argsort(order))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor | Array, Ints]:
    """Put the padding back.

    Args:
        sequence: as `pack_padded_sequence` made it.
        batch_first: the order of the result's axes.
        padding_value: what stands beyond the end of a sequence.
        total_length: the length to pad to; by default that of the longest sequence.

    Returns:
        the padded sequences, (time, batch, ...) or (batch, time, ...), and their lengths (batch,).

    Raises:
        ValueError: `total_length` is shorter than the longest sequence.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> packed = nn.utils.rnn.pack_padded_sequence(np.array([[1, 4], [2, 5], [3, 0]]), [3, 2])
    >>> nn.utils.rnn.pad_packed_sequence(packed, padding_value=-1)
    (array([[ 1,  4],
           [ 2,  5],
           [ 3, -1]]), array([3, 2]))
    """
    _check(sequence)
    sizes = np.asarray(sequence.batch_sizes)
    time = len(sizes) if total_length is None else total_length
    if time < len(sizes):
        raise ValueError(
            f"pad_packed_sequence: total_length={total_length} is shorter than the longest sequence, {len(sizes)}"
        )
    rows = np.arange(sizes[0])
    if sequence.unsorted_indices is not None:
        rows = sequence.unsorted_indices
    mask = np.zeros((time, len(rows)), bool)
    mask[: len(sizes)] = rows < sizes[:, None]
    lengths = mask.sum(0)
    begins = np.zeros(time, np.int64)
    begins[1 : len(sizes)] = np.cumsum(sizes)[:-1]
    places = np.where(mask, begins[:, None] + rows, 0)
    if batch_first:
        mask, places = mask.T, places.T
    data = sequence.data[places]
    if not mask.all():
        data = np.where(mask.reshape(*mask.shape, *[1] * (data.ndim - 2)), data, data.dtype.type(padding_value))
    return data, lengths


def pad_sequence(
    sequences: Iterable[S], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> S:
    """Stack sequences of unequal lengths, padded to that of the longest.

    Args:
        sequences: arrays or tensors (length, ...).
        batch_first: (batch, time, ...) rather than (time, batch, ...).
        padding_value: what is put in.
        padding_side: "right" or "left".

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.utils.rnn.pad_sequence([np.array([1, 2, 3]), np.array([4])], batch_first=True)
    array([[1, 2, 3],
           [4, 0, 0]])
    """
    parts = list(sequences)
    if not parts:
        raise ValueError("pad_sequence: there is no sequence to pad")
    if padding_side not in ("right", "left"):
        raise ValueError(f"pad_sequence: padding_side={padding_side!r} is neither 'right' nor 'left'")
    time = max(len(part) for part in parts)

    def padded(part: S) -> S:
        missing = time - len(part)
        ends = (0, missing) if padding_side == "right" else (missing, 0)
        made: S = ops.pad(part, (ends, *[(0, 0)] * (part.ndim - 1)), constant_values=padding_value)
        return made

    stacked: S = ops.stack([padded(part) for part in parts], 0 if batch_first else 1)
    return stacked


def unpad_sequence(
    padded_sequences: Tensor | Array, lengths: ArrayLike, batch_first: bool = False
) -> list[Tensor | Array]:
    """The opposite of `pad_sequence`: a list of the sequences.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.utils.rnn.unpad_sequence(np.array([[1, 2, 3], [4, 0, 0]]), [3, 1], batch_first=True)
    [array([1, 2, 3]), array([4])]
    """
    rows = padded_sequences if batch_first else padded_sequences.swapaxes(0, 1)
    return [rows[k, :length] for k, length in enumerate(np.asarray(lengths).tolist())]


def pack_sequence(sequences: Iterable[Tensor | Array], enforce_sorted: bool = True) -> PackedSequence:
    """Pack a list of sequences (length, ...); see `pack_padded_sequence`.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.utils.rnn.pack_sequence([np.array([1, 2, 3]), np.array([4])]).data
    array([1, 4, 2, 3])
    """
    parts = list(sequences)
    return pack_padded_sequence(pad_sequence(parts), [len(part) for part in parts], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor | Array]:
    """The opposite of `pack_sequence`: a list of the sequences.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.utils.rnn.unpack_sequence(nn.utils.rnn.pack_sequence([np.array([1, 2, 3]), np.array([4])]))
    [array([1, 2, 3]), array([4])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


def _check(sequence: object) -> None:
    if not isinstance(sequence, PackedSequence):
        raise TypeError(
            f"pad_packed_sequence takes a PackedSequence, not {type(sequence).__name__}: pack_padded_sequence makes one"
        )


def run_padded(
    run: Callable[..., tuple[Tensor, States]], packed: PackedSequence, hx: States | None
) -> tuple[PackedSequence, States]:
    """Run a layer over packed sequences by running it over padded ones.

    Args:
        run: run(padded, hx, lengths) gives outputs (time, batch, ...) and states, an array or a tuple of them, with the
            batch in axis 1 as in `hx`.
    """
    sizes = packed.batch_sizes
    in_order = PackedSequence(packed.data, sizes)
    padded, lengths = pad_packed_sequence(in_order)
    out, states = run(padded, None if hx is None else _arranged(hx, packed.sorted_indices), lengths)
    data = pack_padded_sequence(out, lengths).data
    return packed._replace(data=data), _arranged(states, packed.unsorted_indices)


def _arranged(states: States, order: Ints | None) -> States:
    """States with their batch in another order."""
    if order is None:
        return states
    if isinstance(states, (tuple, list)):
        return tuple(ops.take(s, order, 1) for s in states)
    arranged: Tensor = ops.take(states, order, 1)
    return arranged
