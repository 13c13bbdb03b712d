"""Callbacks that write the numbers of a run to files."""

from __future__ import annotations

import csv
import os
from typing import Any

import numpy as np

from tapenet.training.state import State


class CSVLogger:
    """Writes a line per epoch to a CSV file: its number, the updates so far, and its numbers.

    A run that goes on from a checkpoint, and finds the file with lines of epochs that it makes anew, puts its own in their
    place.

    Args:
        path: the file. One that is there is written anew, but for the epochs that a resumed run has behind it.

    >>> import tempfile
    >>> import numpy as np, tapenet as tn
    >>> from tapenet import nn, optim
    >>> import tapenet.nn.functional as F
    >>> x = np.ones((8, 1), np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "log.csv")
    ...     _ = tn.training.fit(
    ...         nn.Linear(1, 1), F.mse_loss, optim.SGD(lr=0.1), (x, x), epochs=2, callbacks=CSVLogger(path), verbose=0
    ...     )
    ...     with open(path) as file:
    ...         [line.split(",")[:2] for line in file.read().split()]
    [['epoch', 'step'], ['1', '1'], ['2', '2']]
    """

    #: Of ranks that train together one calls it.
    writes = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._rows: list[dict[str, object]] = []
        self._written: list[str] = []

    def begin(self, state: State) -> None:
        """Keep the lines of epochs that are done, where the run goes on."""
        self._rows, self._written = [], []
        if state.epoch and os.path.exists(self.path):
            with open(self.path, newline="", encoding="utf-8") as file:
                self._rows = [row for row in csv.DictReader(file) if int(row["epoch"]) <= state.epoch]

    def __call__(self, state: State) -> None:
        """Write the line of an epoch."""
        numbers = {name: value for name, value in state.logs.items() if np.ndim(value) == 0}
        row = {"epoch": state.epoch, "step": state.step, **numbers}
        self._rows.append(row)
        if set(row) <= set(self._written):
            with open(self.path, "a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._written).writerow(row)
            return
        self._written = list(dict.fromkeys(name for row in self._rows for name in row))
        with open(self.path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._written)
            writer.writeheader()
            writer.writerows(self._rows)


class TensorBoardLogger:
    """Writes the numbers of each epoch, over the updates so far, for TensorBoard: `tensorboard --logdir FOLDER`.

    Needs tensorboardX: `pip install 'tapenet[tensorboard]'`.

    Args:
        folder: where the event files go, one for each run.

    Raises:
        ImportError: tensorboardX is not installed.
    """

    #: Of ranks that train together one calls it.
    writes = True

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            import tensorboardX  # type: ignore[import-untyped, unused-ignore]
        except ImportError:
            raise ImportError("TensorBoardLogger needs tensorboardX: pip install 'tapenet[tensorboard]'") from None
        self._make = tensorboardX.SummaryWriter
        self._writer: Any = None
        self.folder = os.fspath(folder)

    def begin(self, state: State) -> None:
        """Open a file."""
        self._writer = self._make(self.folder, purge_step=state.step + 1 if state.step else None)

    def __call__(self, state: State) -> None:
        """Write the numbers of an epoch."""
        for name, value in state.logs.items():
            if np.ndim(value) == 0:
                # "val_loss" beside "loss", in one group of charts.
                tag = name.removeprefix("val_")
                self._writer.add_scalar(f"{tag}/{'val' if name != tag else 'train'}", value, state.step)
        self._writer.flush()

    def end(self, state: State) -> None:
        """Close the file, if it could be opened."""
        if self._writer is not None:
            self._writer.close()
