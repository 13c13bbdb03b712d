"""The state of an optimizer shared out over ranks: stage 1 of ZeRO.

Rajbhandari et al., "ZeRO: memory optimizations toward training trillion parameter models" (2020).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NoReturn, Self

import numpy as np

from tapenet.autodiff.observe import mutation
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import op
from tapenet.optim.storage import Slot
from tapenet.parallel.ranks import World
from tapenet.typing import Array, StateDict

#: Bytes of small parameters that are sent at once. Larger ones are sent from where they lie.
_PACKED = 1 << 20


class SharedState:
    """Which rank updates which parameters and keeps the state of these, and how the others come to know."""

    def __init__(self, ranks: World, slots: Sequence[Slot]) -> None:
        self._ranks = ranks
        #: Of each parameter the rank that updates it.
        self.owners = owners(
            [slot.param.nbytes + sum(t.nbytes for t in slot.state.values()) for slot in slots], ranks.size
        )
        #: Positions of parameters that are sent together.
        self._parcels = list(_parcels(self.owners, [slot.param.nbytes for slot in slots]))

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an optimizer whose state is shared out over ranks has only a part of it here, and cannot be pickled: save its "
            "state_dict(), which all ranks must call"
        )

    @property
    def here(self) -> Sequence[bool]:
        return [owner == self._ranks.rank for owner in self.owners]

    def exchange(self, params: Sequence[Tensor], by: str) -> None:
        others = [param for param, here in zip(params, self.here, strict=True) if not here]
        if capturing() is None:
            self._exchange([param._data for param in params], by)
            for param in others:
                mutation.wrote(param._data, by)
            return

        def exchanged(given: Sequence[Array]) -> Array | tuple[Array, ...]:
            arrays = [x if here else np.empty_like(x) for x, here in zip(given, self.here, strict=True)]
            self._exchange(arrays, by)
            found = tuple(x for x, here in zip(arrays, self.here, strict=True) if not here)
            return found if len(found) > 1 else found[0] if found else np.zeros((), np.int64)

        exchange = op(exchanged, name="exchange parameters", effect=True, nondiff=True, outputs=max(1, len(others)))
        found = exchange([param.detach() for param in params])
        for param, new in zip(others, found if len(others) > 1 else [found], strict=False):
            param._write(new, by)

    def _exchange(self, arrays: Sequence[Array], by: str) -> None:
        """Send the arrays that this rank updated, and write what others send into theirs."""
        ranks = self._ranks
        ranks.agree(f"{by} with shared state")
        sent: list[tuple[Any, Array, list[tuple[Array, Array]]]] = []
        try:
            for parcel in self._parcels:
                owner = self.owners[parcel[0]]
                data, places = self._packed([arrays[i] for i in parcel], owner)
                sent.append((ranks.comm.Ibcast(data, owner), data, places))
            with ranks.waiting(by):
                for request, _, places in sent:
                    request.Wait()
                    for array, place in places:
                        array[...] = place
        except BaseException:  # as by Ctrl-C: MPI writes into the memory until all is through
            for request, data, _ in sent:
                ranks.keep(request, data)
            raise

    def _packed(self, arrays: Sequence[Array], owner: int) -> tuple[Array, list[tuple[Array, Array]]]:
        """The bytes of arrays of one owner behind each other, and on other ranks each with where it is to be found there. Those
        of one array are its own."""
        (first, *others) = arrays
        if not others and first.flags.c_contiguous:
            return first.reshape(-1).view(np.uint8), []
        ends = np.cumsum([array.nbytes for array in arrays])
        packed = np.empty(ends[-1], np.uint8)
        places = [
            (array, packed[end - array.nbytes : end].view(array.dtype).reshape(array.shape))
            for array, end in zip(arrays, ends, strict=True)
        ]
        if owner != self._ranks.rank:
            return packed, places
        for array, place in places:
            place[...] = array
        return packed, []

    def gathered(self, states: dict[int, StateDict]) -> dict[int, StateDict]:
        ranks = self._ranks
        what = "state_dict of an optimizer with shared state"
        ranks.agree(what)
        outline = {
            i: {name: value if name == "step" else (value.shape, value.dtype) for name, value in state.items()}
            for i, state in states.items()
        }
        with ranks.waiting(what):
            outlines = {i: state for each in ranks.comm.allgather(outline) for i, state in each.items()}
        found: dict[int, StateDict] = {}
        for i, owner in enumerate(self.owners):
            found[i] = dict(states[i]) if owner == ranks.rank else {"step": outlines[i]["step"]}
            for name, of in outlines[i].items():
                if name == "step":
                    continue
                if owner == ranks.rank:
                    values = np.asarray(states[i][name], order="C")
                else:
                    values = found[i][name] = np.empty(*of)
                self._send(values.reshape(-1).view(np.uint8), owner, what)
        return found

    def _send(self, data: Array, owner: int, what: str) -> None:
        with self._ranks.waiting(what):
            self._ranks.comm.Bcast(data, owner)


def owners(sizes: Sequence[int], ranks: int) -> list[int]:
    """The rank that gets each of these: neighbours, which lie together in memory, so that the most a rank gets is least."""

    def dealt(most: int) -> list[int]:
        found, rank, held = [], 0, 0
        for size in sizes:
            if held + size > most:
                rank, held = rank + 1, 0
            held += size
            found.append(rank)
        return found

    low, high = max(sizes), sum(sizes)
    while low < high:
        middle = (low + high) // 2
        if dealt(middle)[-1] < ranks:
            high = middle
        else:
            low = middle + 1
    return dealt(low)


def _parcels(owners: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    """Positions of parameters to send at once, of one owner each; those without elements are left out."""
    for _, positions in groupby(range(len(owners)), key=owners.__getitem__):
        parcel: list[int] = []
        for i in positions:
            if parcel and sum(sizes[k] for k in parcel) + sizes[i] > _PACKED:
                yield parcel
                parcel = []
            if sizes[i]:
                parcel.append(i)
        if parcel:
            yield parcel
