"""Ranks that train one model together: all of them see the same numbers, and one of them speaks and writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tapenet.metrics.metric import Metric
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

    def check(self, metrics: Iterable[Metric[object]]) -> None:
        """Raise unless the ranks can put together what these saw."""
        for metric in metrics:
            metric.fresh().merge(metric.fresh().state_dict())

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
        """The numbers of an epoch, of the samples of all ranks; how many these were; and what the first rank found in
        validation: others may find something else, as their running statistics differ."""
        ranks, what = self._ranks, "the numbers of an epoch"
        with ranks.waiting(what):
            states = ranks.comm.gather(meter.seen(), 0)
        found = None
        if states is not None:  # on one rank: a metric may keep all samples
            whole = meter.together(states)
            found = whole.numbers(), whole.samples, validated
        with ranks.waiting(what):
            numbers: tuple[Logs, int, Logs] = ranks.comm.bcast(found, 0)
        return numbers

    def outputs(self, own: Sequence[object]) -> list[object]:
        """What all ranks computed of each batch, in the order of the samples; of a part that counts nothing that is None."""
        every = self._gathered(own, "the outputs of others")
        return [part for parts in zip(*every, strict=True) for part in parts if part is not None]

    def agreed(self, stop: bool | str, asked: bool) -> tuple[bool | str, bool]:
        """Whether one of the ranks wants to stop, and whether one was asked to by Ctrl-C."""
        if not self._any(bool(stop) or asked):
            return False, False
        every = self._gathered((stop, asked), "whether to stop")
        return next((each for each, _ in every if each), False), any(each for _, each in every)

    def _any(self, own: bool) -> bool:
        """Whether it is so on one of the ranks. It is asked after each update."""
        flag = np.asarray(own, np.int64)
        return bool(self._ranks.allreduce("whether to stop", flag, flag.dtype))

    def save(self, checkpoint: Checkpoint, state: State) -> None:
        """Write the state of the run: what all ranks have alike once, the rest of each, and of all for another number."""
        own = state.state_dict(keep_vars=True)
        every = self._gathered({name: own[name] for name in _OWN}, "a checkpoint")
        if self.speaks:
            with self._ranks.at_work():
                meter = state._meter.together(each["meter"] for each in every).state_dict()
                checkpoint.save(own | {"ranks": every, "meter": meter}, step=state.step)
        self._gathered(None, "a checkpoint")  # it is there before a rank goes on

    def load(self, checkpoint: Checkpoint, meter: Meter) -> StateDict | None:
        """The state that was saved last, as this rank needs it. Where another number of ranks saved it, the first has what all
        of them saw of an epoch, and the others go on with a meter that has seen nothing."""
        found = checkpoint.load() if self.speaks else None
        with self._ranks.waiting("a checkpoint"):
            state: StateDict | None = self._ranks.comm.bcast(found, 0)
        if state is None:
            return None
        saved: Sequence[StateDict] = state.pop("ranks", [])
        if len(saved) == self._ranks.size:
            return state | saved[self._ranks.rank]
        return state if self.speaks else state | {"meter": meter.state_dict()}

    def _gathered(self, own: Any, what: str) -> list[Any]:
        with self._ranks.waiting(what):
            found: list[Any] = self._ranks.comm.allgather(own)
        return found


def team_of(optimizers: Sequence[Optimizer]) -> Team | None:
    """The ranks that train together, if an optimizer averages their gradients."""
    return Team(world()) if any(one.together for one in optimizers) else None
