"""The numbers of an epoch, summed batch by batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tapenet.autodiff.tensor import Tensor
from tapenet.metrics.metric import Metric
from tapenet.training.batches import as_arrays
from tapenet.training.history import Logs
from tapenet.typing import Array, StateDict

ndarray = np.ndarray
#: What the metrics that count in the step counted, None for others, and the output where others need it.
Measured = tuple[tuple[Tensor | None, ...], object]
#: Outputs of at most this many batches, and bytes, are kept before the metrics see them together.
_BATCHES, _BYTES = 64, 1 << 19


class Meter:
    """The mean loss and the metrics over samples.

    A metric takes longer to begin than to count a small batch: outputs and targets are kept, and given to it many batches at
    a time.

    Args:
        metrics: those to compute; they are reset.
    """

    def __init__(self, metrics: list[Metric[Any]]) -> None:
        self._metrics = metrics
        self.reset()

    def reset(self) -> None:
        """Reset."""
        self._sum = 0.0
        #: How many samples were taken in.
        self.samples = 0
        #: By name the sum of a number over samples, and how many samples there were where it was given.
        self._further: dict[str, list[float]] = {}
        self._kept: _Kept | None = None
        #: The metrics that what is kept is for.
        self._late: tuple[Metric[Any], ...] = ()
        #: How many batches are kept before they go to the metrics.
        self._enough = 1
        for metric in self._metrics:
            metric.reset()

    def add(self, loss: float, samples: int, measured: Measured | None, target: Array, weight: Array | None) -> None:
        """Take in a batch: its mean loss, and what was measured in the step (`steps.measured_by`)."""
        self._sum += loss * samples
        self.samples += samples
        if measured is None:
            return
        counts, output = measured
        late: tuple[Metric[Any], ...] = ()
        for metric, count in zip(self._metrics, counts, strict=True):
            if count is None:
                late = (*late, metric)
            else:
                metric.take(count.item(), target)
        if late:
            self._keep(late, output, target, weight)

    def add_numbers(self, numbers: dict[str, float], samples: int) -> None:
        """Take in further numbers that are means over a batch. Not every batch needs to have each."""
        for name, value in numbers.items():
            total, seen = self._further.get(name, (0.0, 0))
            self._further[name] = [total + value * samples, seen + samples]

    def _keep(self, late: tuple[Metric[Any], ...], found: object, target: Array, weight: Array | None) -> None:
        output: Array = found._data if type(found) is Tensor else as_arrays(found)
        if type(target) is not ndarray or (weight is not None and type(weight) is not ndarray):
            target, weight = as_arrays(target), as_arrays(weight)
        kept = self._kept
        if kept is None or self._late != late or not kept.takes(output, target, weight):
            self._flush()
            self._late = late
            kept = self._kept = _Kept.of(output, target, weight)
            if kept is None:
                self._update(output, target, weight)
                return
        if kept.add(output, target, weight) >= self._enough * len(output):
            self._flush()
            self._enough = min(2 * self._enough, _BATCHES)  # there is something to show from the first batch on

    def _flush(self) -> None:
        """Give the metrics what is kept for them."""
        kept, self._kept = self._kept, None
        if kept is not None and kept.rows:
            self._update(*kept.whole())

    def _update(self, output: ArrayLike, target: ArrayLike, weight: ArrayLike | None) -> None:
        for metric in self._late:
            metric.update(output, target, weight)

    @property
    def loss(self) -> float:
        """The mean loss so far."""
        return self._sum / self.samples if self.samples else float("nan")

    def _means(self) -> Logs:
        return {"loss": self.loss, **{name: total / seen for name, (total, seen) in self._further.items()}}

    def numbers(self, prefix: str = "") -> Logs:
        """All numbers, of all that was taken in."""
        self._flush()
        found = self._means() | {metric.name: metric.compute() for metric in self._metrics}
        return {prefix + name: value for name, value in found.items()}

    def seen(self) -> StateDict:
        """The state in which metrics have seen everything."""
        self._flush()
        return self.state_dict()

    def together(self, states: Iterable[StateDict]) -> Meter:
        """What several meters like this one have seen, by their states. Changes nothing."""
        whole = Meter([metric.fresh() for metric in self._metrics])
        for state in states:
            part = Meter([metric.fresh() for metric in self._metrics])
            part.load_state_dict(state)
            saw = part.seen()["metrics"]
            whole._sum += part._sum
            whole.samples += part.samples
            for name, (total, seen) in part._further.items():
                before = whole._further.get(name, (0.0, 0))
                whole._further[name] = [before[0] + total, before[1] + seen]
            for metric, of in zip(whole._metrics, saw, strict=True):
                metric.merge(of)
        return whole

    def so_far(self) -> Logs:
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

    def state_dict(self) -> StateDict:
        """The sums, the metrics and what is kept for them, so that a run that goes on from here adds up in the same order."""
        return {
            "sum": self._sum,
            "samples": self.samples,
            "further": {name: list(pair) for name, pair in self._further.items()},
            "enough": self._enough,
            "late": [any(metric is late for late in self._late) for metric in self._metrics],
            "room": 0 if self._kept is None else self._kept.room,
            "kept": None if self._kept is None else [None if a is None else a.copy() for a in self._kept.whole()],
            "metrics": [metric.state_dict() for metric in self._metrics],
        }

    def load_state_dict(self, state: StateDict) -> None:
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
        self._sum, self.samples, self._enough = float(state["sum"]), int(state["samples"]), int(state["enough"])
        self._further = {name: [float(v) for v in pair] for name, pair in state["further"].items()}
        self._kept = None
        if state["kept"] is not None:
            self._kept = _Kept(int(state["room"]), *state["kept"])
            self._kept.add(*state["kept"])
        self._late = tuple(metric for metric, late in zip(self._metrics, state["late"], strict=True) if late)


class _Kept:
    """Copies of outputs, targets and weights of several batches: a loader may reuse the memory of a batch, and
    copying is cheapest while the batch is in the cache.

    Attributes:
        rows: how many samples there are.
        room: how many there may be.
    """

    def __init__(self, room: int, *parts: Array | None) -> None:
        self.rows = 0
        self.room = room
        self._buffers = [None if p is None else np.empty((room, *p.shape[1:]), p.dtype) for p in parts]

    @classmethod
    def of(cls, output: Array, target: Array, weight: Array | None) -> _Kept | None:
        """Room for a run of batches like this one; None where they are too large, or are no plain arrays of samples."""
        parts = [part for part in (output, target, weight) if part is not None]
        if not all(type(part) is ndarray and part.ndim and len(part) == len(output) for part in parts):
            return None
        size = sum(part.nbytes for part in parts)
        batches = min(_BATCHES, _BYTES // (size or 1))
        return None if batches < 2 else cls(batches * len(output), output, target, weight)

    def takes(self, *parts: Any) -> bool:
        """Whether a batch fits in."""
        for part, buffer in zip(parts, self._buffers, strict=True):
            if part is None or buffer is None:
                if part is not buffer:
                    return False
            elif type(part) is not ndarray or part.dtype != buffer.dtype or part.shape[1:] != buffer.shape[1:]:
                return False
        return self.rows + len(parts[0]) <= self.room and len(parts[0]) == len(parts[1])

    def add(self, *parts: Any) -> int:
        """Take a batch in, and say how many samples there are now."""
        end = self.rows + len(parts[0])
        for part, buffer in zip(parts, self._buffers, strict=True):
            if buffer is not None:
                buffer[self.rows : end] = part
        self.rows = end
        return end

    def whole(self) -> list[Any]:
        """What was taken in."""
        return [None if buffer is None else buffer[: self.rows] for buffer in self._buffers]
