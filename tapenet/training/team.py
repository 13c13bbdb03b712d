"""Ranks that train one model together: all of them see the same numbers, and one of them speaks and writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tapenet.optim.optimizer import Optimizer
from tapenet.parallel.ranks import World, world
from tapenet.parallel.sharding import Shard, shard
from tapenet.training.checkpoint import Checkpoint
from tapenet.training.history import Logs
from tapenet.training.meter import Meter
from tapenet.training.state import State
from tapenet.typing import StateDict

#: What of the state of a run each rank has for itself.
_OWN = ("random", "generators", "meter")


class _Silent:
    """In place of a callback that writes, on ranks that do not: it does nothing, and has the same state."""

    def __init__(self, callback: Callable[[State], object]) -> None:
        self._callback = callback

    def __call__(self, state: State) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name in ("state_dict", "load_state_dict"):
            return getattr(self._callback, name)
        raise AttributeError(name)


class Team:
    """The ranks of a run of `fit`."""

    def __init__(self, ranks: World) -> None:
        self._ranks = ranks
        #: Whether this rank shows progress and writes files.
        self.speaks = ranks.rank == 0

    def seed(self, own: int) -> int:
        """One seed for all ranks, that of the first."""
        return int(self._gathered([own], "a seed")[0][0])

    def heard(self, callbacks: Iterable[Callable[[State], object]]) -> list[Callable[[State], object]]:
        """The callbacks, of which those that write do so on one rank. Each keeps its place, which a saved run knows it by."""
        return [each if self.speaks or not getattr(each, "writes", False) else _Silent(each) for each in callbacks]

    def shard(self, batches: Iterable[Any]) -> Shard[Any]:
        """This rank's part of each batch."""
        return shard(batches)

    @property
    def counts(self) -> bool:
        """Whether the batch that this rank has counts: there may be fewer samples than ranks."""
        return self._ranks.weight > 0

    def batch(self, own: int) -> int:
        """How many samples a batch has on all ranks."""
        known = self._ranks.batch
        return known[1] if known is not None else int(sum(self._gathered(own, "the samples of a batch")))

    def numbers(self, meter: Meter, validated: Logs) -> tuple[Logs, int, Logs]:
        """Of an epoch the means of all ranks, weighted by samples; how many samples it had; and what the first rank found in
        validation: others may find something else, as their running statistics differ."""
        own = meter.numbers() if meter.samples else {}
        every = self._gathered((own, meter.samples, validated), "the numbers of an epoch")
        found: Logs = {}
        for name in dict.fromkeys(name for numbers, _, _ in every for name in numbers):
            have = [(numbers[name], count) for numbers, count, _ in every if name in numbers]
            found[name] = sum(np.multiply(value, count) for value, count in have) / sum(count for _, count in have)
            if np.ndim(found[name]) == 0:
                found[name] = float(found[name])
        return found or meter.numbers(), sum(count for _, count, _ in every), every[0][2]

    def agreed(self, stop: bool | str, asked: bool) -> tuple[bool | str, bool]:
        """Whether one of the ranks wants to stop, and whether one was asked to by Ctrl-C."""
        every = self._gathered((stop, asked), "whether to stop")
        return next((each for each, _ in every if each), False), any(each for _, each in every)

    def save(self, checkpoint: Checkpoint, state: State) -> None:
        """Write the state of the run: what all ranks have alike once, the rest of each."""
        own = state.state_dict(keep_vars=True)
        every = self._gathered({name: own[name] for name in _OWN}, "a checkpoint")
        if self.speaks:
            checkpoint.save(own | {"ranks": every}, step=state.step)
        self._gathered(None, "a checkpoint")  # it is there before a rank goes on

    def load(self, checkpoint: Checkpoint) -> StateDict | None:
        """The state that was saved last, as this rank needs it: it may have been saved by another number of ranks."""
        found = checkpoint.load() if self.speaks else None
        with self._ranks.waiting("a checkpoint"):
            state: StateDict | None = self._ranks.comm.bcast(found, 0)
        if state is None:
            return None
        saved: Sequence[StateDict] = state.pop("ranks", [])
        if len(saved) == self._ranks.size:
            return state | saved[self._ranks.rank]
        return state

    def _gathered(self, own: Any, what: str) -> list[Any]:
        with self._ranks.waiting(what):
            found: list[Any] = self._ranks.comm.allgather(own)
        return found


def team_of(optimizers: Sequence[Optimizer]) -> Team | None:
    """The ranks that train together, if an optimizer averages their gradients."""
    return Team(world()) if any(one.together for one in optimizers) else None
