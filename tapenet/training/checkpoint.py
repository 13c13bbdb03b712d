"""Checkpoints: states of a run on disk, from which another run resumes."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from pathlib import Path

from tapenet.files.atomic_write import remove_leftovers
from tapenet.files.safetensors import DamagedFile
from tapenet.files.saving import load, save
from tapenet.ops.stack_frames import user_site
from tapenet.typing import StateDict

_NAME = re.compile(r"checkpoint-(\d{6,})(?:-step-(\d+))?\.safetensors")


class Checkpoint:
    """A folder with the latest states of a run, each a file as `tn.save` writes them: whole or not at all, with a checksum,
    never pickled. However the run ends, also killed or with a full disk, what was saved before is there.

    Give it to `training.fit(..., checkpoint=...)`, which saves all that the run is at and goes on from there when it is
    called again. In a loop of your own, call `save` and `load`:

    >>> import tempfile
    >>> import numpy as np
    >>> import tapenet as tn
    >>> from tapenet import nn, optim
    >>> def run(folder, epochs):
    ...     tn.random.seed(0)
    ...     net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Dropout(0.1), nn.Linear(3, 1))
    ...     opt = optim.Adam(net.parameters(), lr=0.01)
    ...     checkpoint = tn.training.Checkpoint(folder)
    ...     start = 0
    ...     state = checkpoint.load()
    ...     if state is not None:
    ...         net.load_state_dict(state["net"])
    ...         opt.load_state_dict(state["opt"])
    ...         tn.random.set_state(state["random"])
    ...         start = state["epoch"]
    ...     for epoch in range(start, epochs):
    ...         loss = (net(np.ones((4, 2), np.float32)) ** 2).mean()
    ...         opt.zero_grad(); loss.backward(); opt.step()
    ...         checkpoint.save({"net": net, "opt": opt, "random": tn.random.get_state(), "epoch": epoch + 1}, epoch + 1)
    ...     return net[0].weight.numpy()
    >>> with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
    ...     stopped = run(one, 2)                      # ends after two epochs
    ...     np.array_equal(run(one, 5), run(other, 5))  # goes on with the third; and a run that was not stopped
    True

    A file that was damaged is passed over with a warning, and the one before is taken. For one run a folder: two that write to
    the same would each delete what is the other's.

    Args:
        folder: where the files are; made where it is missing.
        keep: how many of them stay; older ones are deleted once a new one is on the disk. None keeps all.
        every: save at the end of every so many epochs; None at none. For `due`, which `fit` asks.
        steps: save after every so many updates too; None for not.

    Raises:
        ValueError: a number below 1.
        OSError: the folder cannot be made.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        keep: int | None = 3,
        every: int | None = 1,
        steps: int | None = None,
    ) -> None:
        for name, value in (("keep", keep), ("every", every), ("steps", steps)):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"Checkpoint: {name}={value!r} is to be an integer of at least 1, or None")
        self.folder = Path(folder)
        self.keep = keep
        self.every = every
        self.steps = steps
        self.folder.mkdir(parents=True, exist_ok=True)

    def due(self, *, epoch: int | None = None, step: int | None = None) -> bool:
        """Whether it is time to save: at the end of epoch number `epoch`, or after update number `step`, both counted from 1.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     checkpoint = Checkpoint(folder, every=2, steps=100)
        ...     [checkpoint.due(epoch=n) for n in (1, 2, 3)], [checkpoint.due(step=n) for n in (99, 100)]
        ([False, True, False], [False, True])
        """
        return any(
            number is not None and period is not None and number % period == 0
            for number, period in ((epoch, self.every), (step, self.steps))
        )

    def save(self, state: object, step: int | None = None) -> Path:
        """Write a state, then delete what is older than the newest `keep`.

        Args:
            state: as `tn.save` takes it: what has a `state_dict()`, or a tree of such things, arrays and numbers.
            step: a number that goes into the name of the file.

        Returns:
            the file.

        Raises:
            TypeError: it cannot be stored; nothing was written.
            OSError: it could not be written, as on a full disk. What was saved before is there.
        """
        number = max(self._numbers(), default=0) + 1
        path = self.folder / f"checkpoint-{number:06d}{'' if step is None else f'-step-{int(step)}'}.safetensors"
        remove_leftovers(self.folder, ".checkpoint-")  # of a killed run
        save(state, path)
        if self.keep is not None:
            for old in self.files[: -self.keep]:
                with contextlib.suppress(
                    OSError
                ):  # on Windows a file that is being read cannot be removed; the next save tries again
                    old.unlink()
        return path

    def load(self) -> StateDict | None:
        """The state that was saved last, with ndarrays; None if there is none. A damaged file is skipped with a
        warning.

        Raises:
            DamagedFile: there are files, and all of them are damaged. (A new run would delete them.)
        """
        found = self.files
        for path in reversed(found):
            try:
                state: StateDict = load(path)
                return state
            except (DamagedFile, OSError) as error:
                reason = error
                warnings.warn_explicit(f"Checkpoint: {error}; the one before is taken", RuntimeWarning, *user_site())
        if not found:
            return None
        raise DamagedFile(
            f"Checkpoint: none of the {len(found)} files in {str(self.folder)!r} can be loaded; the oldest: {reason}. To begin "
            "anew, give another folder"
        )

    @property
    def files(self) -> list[Path]:
        """The files, the oldest first."""
        return [path for _, path in sorted(self._numbers().items())]

    @property
    def latest(self) -> Path | None:
        """The newest file; None if there is none."""
        return self.files[-1] if self.files else None

    def _numbers(self) -> dict[int, Path]:
        """The files by their number."""
        found = {}
        for path in self.folder.iterdir():
            name = _NAME.fullmatch(path.name)
            if name is not None:
                found[int(name[1])] = path
        return found

    def __repr__(self) -> str:
        return f"Checkpoint({str(self.folder)!r}, keep={self.keep}): {len(self.files)} files"
