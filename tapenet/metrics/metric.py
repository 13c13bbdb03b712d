"""The base of metrics."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from tapenet.typing import Array, StateDict

Value = TypeVar("Value", covariant=True)


class Metric(ABC, Generic[Value]):
    """A measure of outputs against targets that grows batch by batch. To write one, derive from this class.

    A subclass names in `kept` the attributes that hold what was seen, sets them in `reset` (to new objects: copies of the
    metric share the old ones), and has `update` and `compute`.

    Args:
        name: what it is called in logs; by default the class's own name for it.

    >>> import numpy as np
    >>> class Largest(Metric[float]):
    ...     name = "largest"
    ...     kept = ("value",)
    ...     def reset(self) -> None:
    ...         self.value = 0.0
    ...     def update(self, output, target, weight=None) -> None:
    ...         self.value = max(self.value, float(abs(np.asarray(output) - np.asarray(target)).max()))
    ...     def compute(self) -> float:
    ...         return self.value
    >>> largest = Largest()
    >>> largest.update([1.0, 2.0], [1.5, 2.0])
    >>> largest.compute(), largest([3.0], [1.0])
    (0.5, 2.0)
    """

    name: str = ""
    #: The attributes that hold what was seen.
    kept: ClassVar[tuple[str, ...]] = ()
    #: Whether what two metrics saw together is the sum of what they keep: numbers and arrays are added, lists joined.
    adds: ClassVar[bool] = False

    def __init__(self, *, name: str | None = None) -> None:
        if name is not None:
            self.name = name
        self.reset()

    @abstractmethod
    def reset(self) -> None:
        """Forget all that was seen."""

    @abstractmethod
    def update(self, output: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> None:
        """See a batch. An error leaves the metric as it was.

        Args:
            output: what the model gave, samples along the first axis.
            target: what it should have given.
            weight: how much each sample counts, of shape (samples,), or of the target's shape; by default 1.

        Raises:
            ValueError: shapes that do not fit, values that are none (nan), classes that there are not.
        """

    @abstractmethod
    def compute(self) -> Value:
        """The measure of all that was seen since the last reset.

        Raises:
            RuntimeError: nothing was.
        """

    def __call__(self, output: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> Value:
        """The measure of these samples alone; what was seen before stays as it is."""
        alone = self.fresh()
        alone.update(output, target, weight)
        return alone.compute()

    def fresh(self) -> Self:
        """Another of the same kind that has seen nothing."""
        other = copy.copy(self)
        other.reset()
        return other

    def in_step(self) -> Callable[[Array, Array], Array | None] | None:
        """A function of the tensors output and target that sums what `take` takes, as a part of a compiled step, where it
        costs next to nothing; None where the metric has none. It may give None too, for shapes that are not for it.
        """
        return None

    def take(self, found: float, target: Array) -> None:
        """Take in what the function of `in_step` gave for a batch, of samples without weights."""
        raise NotImplementedError

    def merge(self, state: StateDict) -> None:
        """Take in what another metric of the same kind saw, as on another rank of `tn.parallel`. A subclass says that what it
        keeps `adds`, or has a `merge` of its own.

        Args:
            state: the other's `state_dict()`.

        Raises:
            TypeError: the metric does not say how.

        >>> import tapenet as tn
        >>> one, other = tn.metrics.F1(), tn.metrics.F1()
        >>> one.update([0, 1], [0, 1])
        >>> other.update([1, 1, 0], [1, 0, 0])
        >>> one.merge(other.state_dict())
        >>> one.compute() == tn.metrics.F1()([0, 1, 1, 1, 0], [0, 1, 1, 0, 0])
        True
        """
        if not self.adds:
            raise TypeError(
                f"{self.name}: what two of them saw is not put together: a {type(self).__name__} must say adds = True, if that "
                "is the sum of what it keeps, or have a method merge(state)"
            )
        for name in self.kept:
            setattr(self, name, _together(getattr(self, name), state[name]))

    def state_dict(self) -> StateDict:
        """What was seen, to be saved: arrays and numbers, copies."""
        return {name: copy.deepcopy(getattr(self, name)) for name in self.kept}

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from a saved state.

        Raises:
            KeyError: it is not the state of such a metric.
        """
        if set(state) != set(self.kept):
            raise KeyError(f"{self.name}: the state holds {sorted(state)}, expected {sorted(self.kept)}")
        for name in self.kept:
            setattr(self, name, copy.deepcopy(state[name]))

    def _nothing(self) -> RuntimeError:
        return RuntimeError(
            f"{self.name}: nothing was seen yet, or all of it had no weight or was to be ignored; update(output, target) first"
        )

    def __repr__(self) -> str:
        try:
            return f"<{self.name}: {self.compute():.4g}>"
        except (RuntimeError, TypeError):
            return f"<{self.name}>"


def _together(one: Any, other: Any) -> Any:
    """The sum of two numbers or arrays, of which one may be shorter along any axis, or a number; or two lists as one."""
    if isinstance(one, list):
        return [*one, *other]
    if isinstance(one, bool):
        return one or other
    if np.shape(one) == np.shape(other) or () in (np.shape(one), np.shape(other)):
        return one + other
    total = np.zeros([max(pair) for pair in zip(one.shape, other.shape, strict=True)], np.result_type(one, other))
    for part in (one, other):
        total[tuple(map(slice, part.shape))] += part
    return total


class Mean(Metric[float]):
    """A mean over all that counts: `update` adds to a total, and to how much was seen."""

    kept = ("total", "seen")
    adds = True

    def reset(self) -> None:
        self.total = 0.0
        self.seen = 0.0

    def _add(self, values: Array, weight: Array | None) -> None:
        self.total += float(values.sum() if weight is None else (values * weight).sum())
        self.seen += float(values.size if weight is None else weight.sum())

    def compute(self) -> float:
        if not self.seen:
            raise self._nothing()
        return self.total / self.seen
