"""What was made of functions, kept by what they compute."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: How many are kept.
KEPT = 64


class Kept(Generic[K, V]):
    """Values by keys; those that were asked for last."""

    def __init__(self) -> None:
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, made if it is not there."""
        with self._lock:
            if key not in self._values:
                self._values[key] = make()
                if len(self._values) > KEPT:
                    self._values.popitem(last=False)
            self._values.move_to_end(key)
            return self._values[key]
