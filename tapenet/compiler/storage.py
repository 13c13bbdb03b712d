"""The tensors from outside that a captured step reads and writes, as references of its program.

A program has no memory: a view is a value like any other. In the step itself a view of a parameter shows what an optimizer
writes there later, so what is read of it after the write has to be computed again.
"""

from __future__ import annotations

import numpy as np

from tapenet.autodiff.node import Traced
from tapenet.autodiff.observe.capture import Capture
from tapenet.autodiff.observe.epoch import referred
from tapenet.autodiff.observe.mutation import owner, share
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.tensor import Tensor
from tapenet.program.ir import Constant, Input, Reference, Value
from tapenet.typing import Array


class Storage:
    """What is known of them while a step is lowered.

    Attributes:
        references: by the array they stand for, which they keep alive.
        writes: the latest value written to each reference.
        states, now: in the body of a loop or branch: the inputs that are the storage of tensors from outside, by the array
            they stand for, and what is in them by now.
        count: how many writes there were.
    """

    def __init__(self, tape: Capture) -> None:
        self._tape = tape
        self.references: dict[int, Reference] = {}
        self.writes: dict[Reference, Value] = {}
        self.states: dict[int, Input] = {}
        self.now: dict[Value, Value] = {}
        self.count = 0
        #: The arrays that were written, and when, by the owner of their memory: parameters often share one piece.
        self._written: dict[int, dict[int, tuple[Array, int]]] = {}

    def reference(self, tensor: Tensor | None, data: Array) -> Value:
        """The value of a tensor, or an array, from outside."""
        found = self.references.get(id(data))
        if found is None:
            if data.base is None and not data.flags.writeable:
                return Constant(data)  # nobody can write to it
            if tensor is not None:
                tensor = self._tape.origin(tensor)  # it is told when its array is replaced; a handle is not
            if tensor is None or tensor._data is not data:
                tensor = Tensor._of(data)
            found = self.references[id(data)] = Reference(tensor)
            referred.add(id(tensor))
        return self.writes.get(found, found)

    def latest(self, data: Array) -> Value | None:
        """What is in an array that has been written, if it is the whole of a tensor from outside."""
        state = self.states.get(id(data))
        if state is not None:
            return self.now[state]
        reference = self.references.get(id(data))
        return None if reference is None else self.writes[reference]

    def write(self, target: Traced, value: Value) -> None:
        """Note what a tensor from outside holds from now on."""
        self.count += 1
        data = target.data
        self._written.setdefault(id(owner(data)), {})[id(data)] = data, self.count
        state = self.states.get(id(data))
        if state is not None:
            self.now[state] = value
            return
        self.reference(target.tensor, data)
        reference = self.references.get(id(data))
        if reference is None:
            raise CaptureError(f"a write to a read-only array of shape {data.shape}")
        self.writes[reference] = value

    def changed(self, array: Array, since: int) -> bool:
        """Whether an array shows memory that was written later than `since`."""
        written = self._written.get(id(owner(array)))
        if written is None:
            return False
        found = written.get(id(array))
        if found is not None:
            return found[1] > since
        return any(when > since and share(array, other, 1000) for other, when in written.values())

    def check_apart(self) -> None:
        """Raise if a tensor that is written shares its memory with another: in a program each is a value of its own.

        Raises:
            CaptureError: names their shapes and the fix.
        """
        bounds = np.lib.array_utils.byte_bounds
        near: list[tuple[int, Reference]] = []  # those that reach as far as this, in the order of memory
        ranges = [(*bounds(r.tensor._data), r) for r in self.references.values()]
        for low, high, reference in sorted(ranges, key=lambda b: b[:2]):
            near = [(end, other) for end, other in near if end > low]
            for _, other in near:
                written, read = (reference, other) if reference in self.writes else (other, reference)
                if written in self.writes and share(written.tensor._data, read.tensor._data, 1000):
                    raise CaptureError(
                        f"a tensor of shape {written.shape} is written, and shares its memory with one of shape {read.shape} "
                        "that the captured function uses too: use the one that is written, or a copy"
                    )
            near.append((high, reference))
