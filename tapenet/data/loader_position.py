"""Where a loop over data is: which epoch, how many batches of it were given."""

from __future__ import annotations

import operator
from dataclasses import dataclass

from tapenet.typing import StateDict


@dataclass
class Position:
    """The epoch that a loop is in, how many of its batches were given, and whether the loop has begun.

    One that has not begun belongs to the next loop: it says where that one starts.

    >>> place = Position()
    >>> place.begin() is place, place.begin()
    (True, Position(epoch=1, batches=0, begun=True, inner=None))
    """

    epoch: int = 0
    batches: int = 0
    begun: bool = False
    #: What a stream's iterator or a sampler said of itself by `state_dict()`.
    inner: object = None

    def begin(self) -> Position:
        """The position of a new loop: this one, or if that has a loop already, the start of the next epoch."""
        place = Position(self.epoch + 1) if self.begun else self
        place.begun = True
        return place

    def end(self) -> None:
        """All batches of the epoch were given: on to the next."""
        self.epoch, self.batches, self.begun, self.inner = self.epoch + 1, 0, False, None


def restored(who: str, state: StateDict, expected: StateDict) -> Position:
    """The position in a saved state, checked before anything is changed.

    `expected` has what must agree, as the number of samples: a position means nothing in other batches.

    Raises:
        ValueError: the state is not one of `who`, or of one with other batches.

    >>> restored("batches()", {"epoch": 2, "batches": 5, "samples": 10}, {"samples": 10})
    Position(epoch=2, batches=5, begun=False, inner=None)
    """
    missing = [name for name in ("epoch", "batches", *expected) if name not in state]
    if missing:
        raise ValueError(
            f"{who}.load_state_dict() got a state without {', '.join(map(repr, missing))}; give what its state_dict() returned"
        )
    for name, here in expected.items():
        if state[name] != here:
            raise ValueError(
                f"{who}.load_state_dict() got a state with {name}={state[name]!r}, but here it is {here!r}: the batches would "
                "be others; load it into a loader that is made as the saved one was"
            )
    return Position(operator.index(state["epoch"]), operator.index(state["batches"]))
