"""Arrays and lists of the user's as calls were given them: a function that is captured may write to them later.

A recorded call is read when the function has ended. By then an argument is the array as it was left; the call computed with
it as it was.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tapenet.autodiff.node import Node, Traced
from tapenet.autodiff.observe.mutation import owner
from tapenet.autodiff.tensor import Tensor
from tapenet.program.arguments import mapped
from tapenet.typing import Array

#: Bytes of an array up to which it is copied where nothing is compiled: `tn.vmap` would copy at each call what it reads.
MOST = 1 << 20
#: Bytes of all arrays from outside up to which they are copied before the function runs.
REACHED = 1 << 27


class Values:
    """What was in the arrays that the calls of a tape were given.

    Attributes:
        nodes: those of the tape, to which further ones are appended.
        reached: the arrays that the function reaches from outside; None where nothing is compiled. A program reads such an
            array at each call where it is, so that one which the function changes is an error.
    """

    def __init__(self, nodes: Sequence[Node], reached: Reached | None = None) -> None:
        self.nodes = nodes
        self.reached = reached
        #: Arrays, their copies, and how many nodes there were when these were made: only later ones can be of them.
        self._copies: dict[int, tuple[Array, Array, int]] = {}

    def inside(self, nodes: Sequence[Node]) -> Values:
        """The same for a tape inside of this one."""
        return Values(nodes, self.reached)

    def as_given(self, value: Any) -> Any:
        """An argument of a call, with lists as copies; arrays in it are looked at."""
        kind = type(value)
        if kind is list or kind is tuple:
            return kind([self.as_given(part) for part in value])
        if kind is np.ndarray:
            self.see(value)
        elif kind is Traced and value.node is None and id(value.data) in self._copies:  # `tn.from_dlpack` made it
            self.see(value.data)
        return value

    def see(self, array: Array) -> None:
        """Remember what is in an array."""
        if not _changes(array):
            return
        found = self._copies.get(id(array))
        if found is not None and _same(array, found[1]):
            return
        if found is not None:
            self._keep(*found)
        elif self.reached is not None and self.reached.holds(array):
            self.reached.see(array)
            return
        elif self.reached is None and array.nbytes > MOST:
            return
        copy = array.copy()
        copy.flags.writeable = False
        self._copies[id(array)] = array, copy, len(self.nodes)

    def settle(self) -> None:
        """Have the calls so far be of the values that they were given."""
        for array, *_ in list(self._copies.values()):
            self.see(array)

    def _keep(self, array: Array, copy: Array, first: int) -> None:
        """Have the calls that were given an array since it was copied be of the copy."""

        def swapped(value: Any) -> Any:
            if isinstance(value, Traced) and value.node is None and value.data is array:
                return Traced(Tensor._of(copy), None, copy)
            return copy if value is array else value

        for node in self.nodes[first:]:
            if node.call:
                node.note(call={name: mapped(swapped, value, Traced) for name, value in node.call.items()})


class Reached:
    """The arrays that a function reaches from outside, as they were before it ran, and which of them it reads.

    Others may write to the same memory meanwhile, a loader to the next batch's part: of a view that is read only its own
    elements count.

    Args:
        found: everything that the function reaches, by id.
    """

    def __init__(self, found: Mapping[int, object]) -> None:
        self._found = found
        #: By what owns the memory, and then by array: copies, in the same order of memory.
        self._before: dict[int, dict[int, tuple[Array, Array]]] = {}
        #: What is read, by id: the array, and what was in it before; else its sum when it was first read.
        self._read: dict[int, tuple[Array, Array | int]] = {}
        #: What had changed when it was first read.
        self._changed: list[Array] = []
        left = REACHED
        for array in found.values():
            if type(array) is np.ndarray and _changes(array):
                copies = self._before.setdefault(id(owner(array)), {})
                if array.nbytes <= left:
                    left -= array.nbytes
                    copies[id(array)] = array, array.copy(order="K")

    def holds(self, array: Array) -> bool:
        """Whether an array is one of those that are reached, or shares their memory."""
        root = id(owner(array))
        return root in self._before or root in self._found

    def see(self, array: Array) -> None:
        """Note that an array is read."""
        if id(array) not in self._read:
            was = self._as_before(array)
            if was is not None and not _same(array, was):
                self._changed.append(array)
                was = None
            self._read[id(array)] = array, _sum(array) if was is None else was

    def changed(self, effects: bool) -> list[Array]:
        """The arrays that were read, and that are others than then or were others than before; with `effects` ops may have
        changed them before, which do so at each replay."""
        now = [a for a, was in self._read.values() if (_sum(a) != was if isinstance(was, int) else not _same(a, was))]
        return now if effects else self._changed + now

    def _as_before(self, array: Array) -> Array | None:
        """What was in an array before the function ran, as far as that is known."""
        copies = self._before.get(id(owner(array)), {})
        if id(array) in copies:
            return copies[id(array)][1]
        first, end = np.lib.array_utils.byte_bounds(array)
        for whole, copy in copies.values():
            start, stop = np.lib.array_utils.byte_bounds(whole)
            if whole.flags.forc and start <= first and end <= stop:
                place = array.__array_interface__["data"][0] - start
                return np.ndarray(array.shape, array.dtype, copy.ravel("K").view(np.uint8), place, array.strides)
        return None


def _changes(array: Array) -> bool:
    """Whether it can be told of an array that somebody has written to it, and somebody can."""
    return array.nbytes > 0 and not array.dtype.hasobject and (array.flags.writeable or array.base is not None)


def _same(array: Array, copy: Array) -> bool:
    """Bit by bit: a nan is the same as itself, and -0.0 is not 0.0."""
    return np.array_equal(_bits(array), _bits(copy))


def _sum(array: Array) -> int:
    return zlib.crc32(_bits(array).data)


def _bits(array: Array) -> Array:
    """The bytes of an array in its order, by eights if they can be: of what is one run of them without a copy."""
    found = np.ascontiguousarray(array).reshape(-1).view(np.uint8)  # 12 bytes of a text or record are no eights
    return found if array.nbytes % 8 else found.view(np.uint64)
