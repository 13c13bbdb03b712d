"""The numbers of each epoch."""

from __future__ import annotations

import math
import os
from html import escape
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tapenet.drawing.chart import Chart
from tapenet.drawing.forms.curve import curves
from tapenet.training.monitor import better
from tapenet.typing import StateDict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Charts = dict[str, dict[str, list[float]]]
#: The numbers of an epoch by name. A metric may give an array.
Logs: TypeAlias = dict[str, Any]


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
        self.epochs: list[Logs] = []
        self.seconds: list[float] = []
        self.stopped = ""

    def append(self, logs: Logs, seconds: float) -> None:
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
            mode: "min" or "max"; None decides by the name, see `better`.
        """
        values = self[name]
        compare = better(name, mode)
        place = 0
        for i, value in enumerate(values):
            if compare(value, values[place]) or values[place] != values[place]:
                place = i
        return place + 1

    def plot(self, path: str | os.PathLike[str] | None = None, *, backend: str = "svg") -> str | Figure:
        """Draw the numbers over the epochs: one chart for each, with that of validation beside that of training, and the
        epoch with the best loss marked.

        Args:
            path: where the picture is written to; None for nowhere. The suffix is .svg, .png or .pdf; with matplotlib
                any that it knows.
            backend: "svg", which needs nothing; or "matplotlib" (`pip install 'tapenet[plot]'`).

        Returns:
            the SVG as text; with matplotlib its figure, to change or to show.

        Raises:
            ValueError: there is no epoch, no such backend, or another suffix.
            ImportError: matplotlib is not installed.

        >>> history = History()
        >>> history.append({"loss": 2.0, "accuracy": 0.5}, seconds=1.0)
        >>> history.append({"loss": 1.0, "accuracy": 0.75}, seconds=1.0)
        >>> history.plot().count("<polyline")
        2
        """
        if backend not in ("svg", "matplotlib"):
            raise ValueError(f"History.plot: backend={backend!r} must be 'svg' or 'matplotlib'")
        charts = self._charts()
        if not charts:
            raise ValueError("History.plot: there is no epoch with a finite number to draw")
        if backend == "matplotlib":
            return _by_matplotlib(charts, self._mark(), path)
        title = f"{len(self)} epochs" if len(self) != 1 else "1 epoch"
        text = curves([(series, name) for name, series in charts.items()], title, "epoch", mark=self._mark())
        if path is not None:
            Chart(text).save(path)
        return text

    def _charts(self) -> Charts:
        """By the name of a number, the numbers of this name of training and of validation, where one is finite."""
        found: Charts = {}
        for name in self.names():
            values = self[name]
            if all(np.ndim(value) == 0 for value in values) and any(math.isfinite(value) for value in values):
                found.setdefault(name.removeprefix("val_"), {})[name] = [float(value) for value in values]
        return found

    def _mark(self) -> tuple[float, str] | None:
        """The epoch with the best loss."""
        for name in ("val_loss", "loss"):
            if name in self.names():
                return self.best(name), f"best {name}"
        return None

    def _repr_html_(self) -> str:
        return str(self.plot()) if self._charts() else escape(repr(self))

    def state_dict(self) -> StateDict:
        """All of it, to be saved."""
        return {"epochs": [dict(logs) for logs in self.epochs], "seconds": list(self.seconds)}

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from a saved history."""
        self.epochs = [dict(logs) for logs in state["epochs"]]
        self.seconds = [float(s) for s in state["seconds"]]

    def __repr__(self) -> str:
        count = len(self.epochs)
        numbers = {
            name: value
            for name, value in (self.epochs[-1] if count else {}).items()
            if not isinstance(value, np.ndarray)
        }
        last = "".join(f", {name} {value:.4g}" for name, value in numbers.items())
        ended = f" ({self.stopped})" if self.stopped else ""
        return f"<History: {count} epoch{'' if count == 1 else 's'}{last}{ended}>"


def _by_matplotlib(charts: Charts, mark: tuple[float, str] | None, path: str | os.PathLike[str] | None) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("History.plot(backend='matplotlib') needs it: pip install 'tapenet[plot]'") from None
    figure = Figure(figsize=(6.4, 3.6 * len(charts)), layout="constrained")
    for axes, (name, series) in zip(np.ravel(figure.subplots(len(charts), 1)), charts.items(), strict=True):
        for label, values in series.items():
            axes.plot(range(1, len(values) + 1), values, label=label)
        if mark is not None:
            axes.axvline(mark[0], color="grey", linestyle="--", label=mark[1])
        axes.set(xlabel="epoch", ylabel=name)
        axes.legend()
    if path is not None:
        figure.savefig(path)
    return figure
