"""Each rank's part of the data."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from tapenet.data.loader import DataLoader
from tapenet.data.minibatch import Batches
from tapenet.data.stream import Stream
from tapenet.parallel.ranks import world
from tapenet.program.trees import tree_leaves, tree_map
from tapenet.typing import StateDict

Batch = TypeVar("Batch", covariant=True)


class Shard(Generic[Batch]):
    """Of each batch the part of this rank, to be looped over; `shard` makes it."""

    def __init__(self, data: Iterable[Batch]) -> None:
        self._data: Any = data

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[Batch]:
        ranks = world()
        if ranks.size == 1:
            yield from self._data
            return
        if hasattr(self._data, "state_dict"):
            state = dict(self._data.state_dict())
            if state.get("order") == "SequentialSampler":  # the samples are the same for any seed
                state.pop("seed")
            ranks.agree(f"batches, for which all ranks need one seed, of {state}")
        part = _Part(ranks.rank, ranks.size)
        by_numbers = isinstance(self._data, Batches) or (
            isinstance(self._data, DataLoader) and not isinstance(self._data.dataset, Stream)
        )
        if by_numbers:  # what other ranks take is not even loaded
            self._data = copy.copy(self._data)
            self._data._part = part
        try:
            for batch in self._data:
                mine = batch if by_numbers else part.of(batch)
                ranks.batches.pop(part, None)
                ranks.batches[part] = part.counts.popleft()
                yield mine
        finally:
            ranks.batches.pop(part, None)

    def state_dict(self) -> StateDict:
        """Where the loop is: that of the data, the same on all ranks and for any number of them."""
        found: StateDict = self._data.state_dict()
        return found

    def load_state_dict(self, state: StateDict) -> None:
        """Let the next loop go on where the saved one was."""
        self._data.load_state_dict(state)


class _Part:
    """Cuts this rank's part from batches, and notes how long each was."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size
        self.counts: deque[tuple[int, int]] = deque()

    def __call__(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """This rank's part of the numbers of samples."""
        part = self._slice(len(numbers))
        return numbers[part]

    def of(self, batch: Any) -> Any:
        """This rank's part of a batch: of each array the same rows."""
        lengths = {len(array) for array in tree_leaves(batch)}
        if len(lengths) != 1:
            raise ValueError(f"parallel.shard: the arrays of a batch have different lengths, {sorted(lengths)}")
        part = self._slice(lengths.pop())
        return tree_map(lambda array: array[part], batch)

    def _slice(self, count: int) -> slice:
        if not count:
            raise ValueError("parallel.shard: a batch without samples")
        begin, end = (count * rank // self.size for rank in (self.rank, self.rank + 1))
        self.counts.append((end - begin, count))
        if begin == end:  # fewer samples than ranks: one that counts nothing, so that all ranks make the same calls
            begin, end = (begin, begin + 1) if begin < count else (count - 1, count)
        return slice(begin, end)


def shard(data: Iterable[Batch]) -> Shard[Batch]:
    """Let each rank have its part of each batch. The parts of a batch are as equal as can be; where they are not, and
    `parallel.optimizer` averages, each counts by its samples, so that the update is that of the whole batch.

    All ranks have to loop over the same data in the same order: give a seed where it is shuffled. What other ranks have is not
    loaded by a `DataLoader` over numbered samples, nor copied by `batches`; of anything else each rank makes whole batches.

    Args:
        data: what gives batches: `tn.data.batches(...)`, a `tn.data.DataLoader`, a list of batches.

    Returns:
        something to loop over, with the length of `data`, and its state, if it has one.

    Raises:
        RuntimeError: on all ranks, when a loop begins: their data is at different places, or of different seeds.

    >>> import numpy as np, tapenet as tn
    >>> batches = tn.parallel.shard(tn.data.batches(np.arange(8), batch_size=4))
    >>> sum(len(batch) for batch in batches) * tn.parallel.size
    8
    """
    return Shard(data)
