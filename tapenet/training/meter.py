"""The numbers of an epoch, summed batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.training.batches import as_arrays

ndarray = np.ndarray
#: Outputs of so many batches, and of at most so many bytes, are kept before the metrics see them in one piece.
_BATCHES, _BYTES = 64, 1 << 19


class Meter:
    """The mean loss and the metrics over samples.

    A metric takes longer to begin than to count a small batch: outputs and targets are kept, and given to it many batches at
    a time.

    Args:
        metrics: those to compute; they are reset.
    """

    def __init__(self, metrics: list[Any]) -> None:
        self._metrics = metrics
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._sum = 0.0
        #: How many samples were taken in.
        self.samples = 0
        self._further: dict[str, float] = {}
        self._pending: list[tuple[Any, Any, Any]] = []
        self._most = 0
        for metric in self._metrics:
            metric.reset()

    def add(self, loss: float, samples: int, output: Any, target: Any, weight: Any) -> None:
        """Take in a batch: its mean loss, and what metrics need."""
        self._sum += loss * samples
        self.samples += samples
        if self._metrics:
            self._keep(output, target, weight)

    def add_numbers(self, numbers: dict[str, float], samples: int) -> None:
        """Take in further numbers that are means over a batch."""
        for name, value in numbers.items():
            self._further[name] = self._further.get(name, 0.0) + value * samples

    def _keep(self, output: Any, target: Any, weight: Any) -> None:
        output = as_arrays(output)
        if type(output) is not ndarray or type(target) is not ndarray or not output.ndim:
            self._flush()
            self._update(output, as_arrays(target), as_arrays(weight))
            return
        if not self._most:
            self._most = max(1, min(_BATCHES, _BYTES // (output.nbytes + target.nbytes + 1)))
        # Whoever makes the batches may use their memory again.
        self._pending.append((output, target.copy(), None if weight is None else as_arrays(weight).copy()))
        if len(self._pending) >= self._most:
            self._flush()

    def _flush(self) -> None:
        """Give the metrics what is kept for them, in runs of batches that can be put together."""
        pending, self._pending = self._pending, []
        run: list[tuple[Any, Any, Any]] = []
        for entry in pending:
            if run and _alike(entry) != _alike(run[0]):
                self._update(*_joined(run))
                run = []
            run.append(entry)
        if run:
            self._update(*_joined(run))

    def _update(self, output: Any, target: Any, weight: Any) -> None:
        for metric in self._metrics:
            metric.update(output, target, weight)

    @property
    def loss(self) -> float:
        """The mean loss so far."""
        return self._sum / self.samples if self.samples else float("nan")

    def _means(self) -> dict[str, float]:
        return {"loss": self.loss, **{name: value / self.samples for name, value in self._further.items()}}

    def numbers(self, prefix: str = "") -> dict[str, float]:
        """All numbers, of all that was taken in."""
        self._flush()
        found = self._means() | {metric.name: metric.compute() for metric in self._metrics}
        return {prefix + name: value for name, value in found.items()}

    def so_far(self) -> dict[str, float]:
        """The numbers to be shown meanwhile: metrics as far as they have seen. Changes nothing."""
        found = self._means()
        for metric in self._metrics:
            try:
                value = metric.compute()
            except RuntimeError:  # it has seen nothing
                continue
            if np.ndim(value) == 0:
                found[metric.name] = float(value)
        return found

    def state_dict(self) -> dict[str, Any]:
        """The sums, the metrics and what is kept for them, so that a run that goes on from here adds up in the same order."""
        return {
            "sum": self._sum,
            "samples": self.samples,
            "further": dict(self._further),
            "most": self._most,
            "pending": [list(entry) for entry in self._pending],
            "metrics": [metric.state_dict() for metric in self._metrics],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state.

        Raises:
            ValueError: it is of other metrics.
        """
        if len(state["metrics"]) != len(self._metrics):
            raise ValueError(
                f"the saved run has {len(state['metrics'])} metrics, and this one {len(self._metrics)}: give the same ones"
            )
        for metric, saved in zip(self._metrics, state["metrics"], strict=True):
            metric.load_state_dict(saved)
        self._sum, self.samples, self._most = float(state["sum"]), int(state["samples"]), int(state["most"])
        self._further = {name: float(value) for name, value in state["further"].items()}
        self._pending = [tuple(entry) for entry in state["pending"]]


def _alike(entry: tuple[Any, Any, Any]) -> Any:
    """What must be the same for batches to be put together."""
    return tuple(None if a is None else (a.shape[1:], a.dtype, a.ndim) for a in entry)


def _joined(run: list[tuple[Any, Any, Any]]) -> tuple[Any, ...]:
    if len(run) == 1:
        return run[0]
    return tuple(None if parts[0] is None else np.concatenate(parts) for parts in zip(*run, strict=True))
