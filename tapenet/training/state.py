"""The state of a run of `fit`: what callbacks see, and what another run needs to resume."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.files.structure import state_of
from tapenet.nn.module import Module
from tapenet.optim.grad_scaler import GradScaler
from tapenet.optim.optimizer import Optimizer
from tapenet.optim.plateau import Plateau
from tapenet.optim.weight_averaging import Averaged
from tapenet.training.compiled_step import Routine
from tapenet.training.history import History, Logs
from tapenet.training.meter import Meter
from tapenet.training.seeding import random_states, set_random_states
from tapenet.typing import StateDict

Optimizers = Optimizer | list[Optimizer] | tuple[Optimizer, ...] | None


def as_list(optimizer: Optimizers) -> list[Optimizer]:
    """The optimizers, however many there are."""
    if optimizer is None:
        return []
    return list(optimizer) if isinstance(optimizer, (list, tuple)) else [optimizer]


@dataclass(eq=False, repr=False)
class State:
    """A run of `fit`. Callbacks are given it.

    Attributes:
        model, loss, optimizer, data, validation: what `fit` was given; data as it is looped over.
        epochs: how many epochs there are to be.
        epoch: how many are finished. While the callbacks of an epoch run, it is counted already: the first time it is 1.
        batch: how many batches of the running epoch are done.
        step: how many updates there were.
        batch_loss: the loss of the latest batch.
        logs: the numbers of the epoch: "loss", metrics, and those of validation as "val_loss" ... Callbacks may add some. Where
            a callback runs after every batch, the mean loss so far.
        history: what came of the epochs before.
        stop: set to True, or to the reason in words, it ends the run cleanly.
        average: the averaged weights, or None.
        scaler: the `GradScaler` of a run in float16, or None.
    """

    model: Module
    loss: Callable[..., Tensor] | None
    optimizer: Optimizers
    data: object
    validation: object
    epochs: int
    average: Averaged | None
    _keep_average: bool
    scaler: GradScaler | None
    _callbacks: Sequence[Callable[[State], object]]
    _meter: Meter
    _routines: dict[str, Routine[object]]
    epoch: int = 0
    batch: int = 0
    step: int = 0
    batch_loss: float = float("nan")
    logs: Logs = field(default_factory=dict)
    history: History = field(default_factory=History)
    stop: bool | str = False
    #: Whether an epoch is under way, and whether all its batches are done.
    _within: bool = False
    _drained: bool = False

    def as_evaluated(self) -> AbstractContextManager[None]:
        """Within the block the model has the weights that validation is about: averaged ones where these are kept."""
        if self.average is not None and self._keep_average:
            applied: AbstractContextManager[None] = self.average.applied()
            return applied
        return contextlib.nullcontext()

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers, however many there are."""
        return as_list(self.optimizer)

    @property
    def plateaus(self) -> list[Plateau]:
        """The `optim.Plateau` schedules among the options of the optimizers, those in other schedules too."""
        found: dict[int, Plateau] = {}
        for optimizer in self.optimizers:
            for group in optimizer.groups:
                for option in group.values():
                    found.update((id(p), p) for p in _plateaus(option))
        return list(found.values())

    def _generators(self) -> list[np.random.Generator]:
        """Those of modules that draw from one of their own, such as `nn.Dropout(0.5, rng=1)`."""
        values = (value for module in self.model.modules() for value in vars(module).values())
        return [value for value in values if isinstance(value, np.random.Generator)]

    def state_dict(self, *, keep_vars: bool = False) -> StateDict:
        """All that another run needs to go on bit for bit, also from the middle of an epoch: dicts and lists of arrays
        (copies), numbers and strings.

        It is that of the model, the optimizers, plateaus, averages and scaler, the callbacks that have one, the data that has
        one, the random generators, the history and the sums of the running epoch.

        Args:
            keep_vars: give the tensors of model, optimizers and averages themselves in place of copies, to be written at once.
        """
        taken: Callable[[Callable[..., StateDict]], StateDict] = state_of if keep_vars else lambda take: take()
        return {
            "model": taken(self.model.state_dict) if hasattr(self.model, "state_dict") else None,
            "optimizers": [taken(optimizer.state_dict) for optimizer in self.optimizers],
            "plateaus": [plateau.state_dict() for plateau in self.plateaus],
            "average": None if self.average is None else taken(self.average.state_dict),
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            "callbacks": [c.state_dict() if hasattr(c, "state_dict") else None for c in self._callbacks],
            "data": self.data.state_dict() if hasattr(self.data, "state_dict") else None,
            "random": random_states(),
            "generators": [dict(rng.bit_generator.state) for rng in self._generators()],
            "history": self.history.state_dict(),
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "within": self._within,
            "drained": self._drained,
            "stop": self.stop,
            "meter": self._meter.state_dict(),
            "routines": {name: routine.state_dict() for name, routine in self._routines.items()},
        }

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from a saved state.

        Raises:
            ValueError: it is not that of such a run: another model, optimizer, kind of data, other callbacks or metrics. All
                is as it was then.
        """
        before = self.state_dict()
        if not isinstance(state, dict) or before.keys() - state.keys():
            raise ValueError(
                "the saved state is not one that fit saved: give this run a folder of its own, Checkpoint(folder)"
            )
        try:
            self._load(state)
        except BaseException:
            self._load(before)
            raise

    def _load(self, state: StateDict) -> None:
        plateaus = self.plateaus
        for what, saved, own in (
            ("optimizers", state["optimizers"], self.optimizers),
            ("Plateau schedules", state["plateaus"], plateaus),
            ("callbacks", state["callbacks"], self._callbacks),
        ):
            if len(saved) != len(own):
                raise ValueError(f"the saved run has {len(saved)} {what}, and this one {len(own)}: give the same ones")
        for what, one in (("average", self.average), ("scaler", self.scaler)):
            if (state[what] is None) != (one is None):
                has, not_has = ("this run", "the saved one") if state[what] is None else ("the saved run", "this one")
                raise ValueError(f"{has} has {what}, and {not_has} has none: give the same precision= and average=")
        for what, part, saved in (
            ("data", self.data, state["data"]),
            *(("callback", own, saved) for own, saved in zip(self._callbacks, state["callbacks"], strict=True)),
        ):
            if (saved is None) == hasattr(part, "load_state_dict"):
                had, takes = ("no", "one") if saved is None else ("a", "none")
                raise ValueError(
                    f"the {what} of the saved run had {had} state, and the {type(part).__name__} of this one takes {takes}: go "
                    "on with the same data and the same callbacks, in the same order"
                )
        if state["model"] is not None:
            self.model.load_state_dict(state["model"])
        parts: list[tuple[Any, StateDict | None]] = [
            *zip(self.optimizers, state["optimizers"], strict=True),
            *zip(plateaus, state["plateaus"], strict=True),
            *zip(self._callbacks, state["callbacks"], strict=True),
            (self.average, state["average"]),
            (self.scaler, state["scaler"]),
            (self.data, state["data"]),
            *((routine, state["routines"].get(name)) for name, routine in self._routines.items()),
        ]
        for part, saved in parts:
            if saved is not None:
                part.load_state_dict(saved)
        self._meter.load_state_dict(state["meter"])
        self.history.load_state_dict(state["history"])
        self.epoch, self.batch, self.step = int(state["epoch"]), int(state["batch"]), int(state["step"])
        self._within, self._drained = bool(state["within"]), bool(state["drained"])
        self.stop = state["stop"]
        set_random_states(state["random"])
        # A model that the weights fit has as many of them.
        for rng, saved in zip(self._generators(), state["generators"], strict=True):
            rng.bit_generator.state = saved


def _plateaus(option: object, depth: int = 4) -> Iterator[Plateau]:
    """The plateaus that an option of an optimizer is made of: itself, or what a schedule holds."""
    if isinstance(option, Plateau):
        yield option
    elif depth and isinstance(option, partial):
        for value in (option.func, *option.args, *option.keywords.values()):
            yield from _plateaus(value, depth - 1)
    elif depth and isinstance(option, (tuple, list)):
        for value in option:
            yield from _plateaus(value, depth - 1)
    elif depth:
        for cell in getattr(option, "__closure__", None) or ():
            with contextlib.suppress(ValueError):  # it is empty
                yield from _plateaus(cell.cell_contents, depth - 1)
