"""What came of each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapenet.training.monitor import better


class History:
    """The numbers of each epoch, which `fit` returns. Shown in a notebook it is a picture of them.

    Attributes:
        epochs: a dict per epoch, such as `{"loss": 0.31, "accuracy": 0.91, "val_loss": 0.35}`.
        seconds: how long each epoch took.
        stopped: why it ended before its last epoch, in words; "" if it did not.

    >>> history = History()
    >>> history.append({"loss": 2.0, "val_loss": 2.5}, seconds=1.0)
    >>> history.append({"loss": 1.0, "val_loss": 1.5}, seconds=1.0)
    >>> history["loss"], len(history)
    ([2.0, 1.0], 2)
    >>> history.best("val_loss")
    2
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.seconds: list[float] = []
        self.stopped = ""

    def append(self, logs: dict[str, float], seconds: float) -> None:
        """Take in an epoch: its numbers, to which callbacks may add."""
        self.epochs.append(logs)
        self.seconds.append(seconds)

    def names(self) -> list[str]:
        """What there is a number of, in the order in which it came."""
        return list(dict.fromkeys(name for logs in self.epochs for name in logs))

    def __getitem__(self, name: str) -> list[float]:
        """One number of each epoch; nan where an epoch has none.

        Raises:
            KeyError: no epoch has it; says what there is.
        """
        if name not in self.names():
            raise KeyError(f"no epoch has {name!r}; there is {', '.join(self.names()) or 'no epoch yet'}")
        return [logs.get(name, float("nan")) for logs in self.epochs]

    def __len__(self) -> int:
        return len(self.epochs)

    def best(self, name: str, mode: str | None = None) -> int:
        """The number, from 1, of the epoch in which a number was best.

        Args:
            name: which number.
            mode: "min" or "max"; None goes by the name, see `better`.
        """
        values = self[name]
        compare = better(name, mode)
        place = 0
        for i, value in enumerate(values):
            if compare(value, values[place]) or values[place] != values[place]:
                place = i
        return place + 1

    def state_dict(self) -> dict[str, Any]:
        """All of it, to be saved."""
        return {"epochs": [dict(logs) for logs in self.epochs], "seconds": list(self.seconds)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved history."""
        self.epochs = [dict(logs) for logs in state["epochs"]]
        self.seconds = [float(s) for s in state["seconds"]]

    def __repr__(self) -> str:
        count = len(self.epochs)
        last = "".join(f", {name} {value:.4g}" for name, value in (self.epochs[-1] if count else {}).items())
        ended = f" ({self.stopped})" if self.stopped else ""
        return f"<History: {count} epoch{'' if count == 1 else 's'}{last}{ended}>"
