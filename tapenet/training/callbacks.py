"""Callbacks of `fit`: functions of its `State`. These keep the best model, or stop early."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tapenet.training.monitor import better, mode_of, watched
from tapenet.training.state import State
from tapenet.typing import StateDict

F = TypeVar("F", bound=Callable[..., object])
_MARK = "_after_every_batch"


def every_batch(function: F) -> F:
    """Mark a callback to be called after every batch, in place of every epoch. May be used as a decorator.

    `state.batch_loss` is then the loss of that batch, and `state.logs["loss"]` the mean so far.

    >>> @every_batch
    ... def show(state):
    ...     print(state.step, state.batch_loss)
    """
    setattr(function, _MARK, True)
    return function


def of_batches(callback: object) -> bool:
    """Whether a callback is for every batch.

    >>> of_batches(every_batch(lambda state: None)), of_batches(print)
    (True, False)
    """
    return bool(getattr(callback, _MARK, False))


class KeepBest:
    """Keeps the best model of a run: that of the epoch in which a number was best. In the end the model has its weights.

    Args:
        monitor: which number; None is "val_loss" where there is validation, else "loss".
        mode: "min" or "max", whether less or more is better; None decides by the name.
        min_delta: by how much it must be better to count, 0 or more.
        restore: whether the model gets the best weights when the run ends. Else they are in `weights`.

    Raises:
        ValueError: an unknown mode, a name that does not tell which way is better, or a `min_delta` below 0.

    Attributes:
        best: the best value; nan before there is one.
        epoch: the epoch it was in, from 1; 0 before there is one.
        weights: the model's `state_dict` then. Averaged weights where `fit` keeps these.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet import nn, optim
    >>> import tapenet.nn.functional as F
    >>> net, keep = nn.Linear(1, 1), KeepBest()
    >>> x = np.ones((8, 1), np.float32)
    >>> history = tn.training.fit(net, F.mse_loss, optim.SGD(net, lr=0.1), (x, x), epochs=3, callbacks=keep, verbose=0)
    >>> keep.epoch, keep.best == min(history["loss"])
    (3, True)
    """

    def __init__(
        self, monitor: str | None = None, mode: str | None = None, min_delta: float = 0.0, restore: bool = True
    ) -> None:
        if mode not in (None, "min", "max"):
            raise ValueError(f"{type(self).__name__}: mode={mode!r} must be 'min' or 'max'; None goes by the name")
        if monitor is not None:
            mode_of(monitor, mode)
        if not min_delta >= 0:
            raise ValueError(f"{type(self).__name__}: min_delta={min_delta!r} must be at least 0")
        self.monitor = monitor
        self.mode = mode
        self.min_delta = min_delta
        self.restore = restore
        self.forget()

    def forget(self) -> None:
        """Reset: there is no best yet."""
        self.best = float("nan")
        self.epoch = 0
        self.weights: StateDict | None = None

    def begin(self, state: State) -> None:
        """Forget an earlier run, which may be of another model, unless this one goes on from a checkpoint."""
        if not state.step:
            self.forget()

    def __call__(self, state: State) -> None:
        """Look at an epoch."""
        self.look(state)

    def look(self, state: State) -> bool:
        """Look at an epoch; say whether it was the best so far."""
        name = watched(state.logs, self.monitor, type(self).__name__)
        value = float(state.logs[name])
        if not better(name, self.mode, self.min_delta)(value, self.best):
            return False
        self.best, self.epoch = value, state.epoch
        with state.as_evaluated():
            self.weights = state.model.state_dict()
        return True

    def end(self, state: State) -> None:
        """Give the model its best weights."""
        if self.restore and self.weights is not None:
            state.model.load_state_dict(self.weights)

    def state_dict(self) -> StateDict:
        """What was best, to be saved."""
        return {"best": self.best, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from a saved state.

        Raises:
            ValueError: it is that of another kind of callback.
        """
        if state.keys() != self.state_dict().keys():
            raise ValueError(
                f"{type(self).__name__}: the saved state is that of another kind of callback; go on with the same ones, in the "
                "same order"
            )
        self.best, self.epoch, self.weights = float(state["best"]), int(state["epoch"]), state["weights"]


class EarlyStopping(KeepBest):
    """Ends the run when a number has not become better for `patience` epochs.

    Args:
        monitor, mode, min_delta, restore: as of `KeepBest`; `restore` may be False to keep the last weights.
        patience: so many epochs in a row that are no better end the run; with 0 one does, as with 1.

    >>> early = EarlyStopping(patience=2, min_delta=1e-3)
    """

    def __init__(
        self,
        monitor: str | None = None,
        mode: str | None = None,
        min_delta: float = 0.0,
        restore: bool = True,
        *,
        patience: int = 5,
    ) -> None:
        super().__init__(monitor, mode, min_delta, restore)
        if not isinstance(patience, int) or patience < 0:
            raise ValueError(
                f"EarlyStopping: patience={patience!r} must be a number of epochs, an integer of 0 or more"
            )
        self.patience = patience

    def forget(self) -> None:
        """Reset: there is no best yet, and no epoch was waited for."""
        super().forget()
        self._waited = 0

    def __call__(self, state: State) -> None:
        """Look at an epoch, and end the run if it is time."""
        if self.look(state):
            self._waited = 0
            return
        self._waited += 1
        if self._waited >= self.patience:
            name = watched(state.logs, self.monitor, "EarlyStopping")
            state.stop = f"EarlyStopping ({name} was best in epoch {self.epoch}, {self.best:.4g})"

    def state_dict(self) -> StateDict:
        """What was best, and for how long nothing was better."""
        return {**super().state_dict(), "waited": self._waited}

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from a saved state, as `KeepBest` does."""
        super().load_state_dict(state)
        self._waited = int(state["waited"])
