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
#: Bytes of all arrays from outside up to which they are summed up before the function runs: about 0.06 s, twice.
REACHED = 1 << 27


class Values:
    """What was in the arrays that the calls of a tape were given.

    Attributes:
        nodes: those of the tape, to which further ones are appended.
        reached: what the function reaches from outside, by id; None where nothing is compiled. A program reads such an array
            at each call where it is, so that one which the function changes is an error.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.reached: Mapping[int, object] | None = None
        #: Arrays, their copies, and how many nodes there were when these were made: only later ones can be of them.
        self._copies: dict[int, tuple[Array, Array, int]] = {}
        #: Of what is reached the sum of its bytes, as it was before the function ran, or when it was first read.
        self._sums: dict[int, tuple[Array, int]] = {}
        #: What is reached and read, by id.
        self._read: set[int] = set()

    def inside(self, nodes: Sequence[Node]) -> Values:
        """The same for a tape inside of this one."""
        made = Values(nodes)
        made.reached, made._sums, made._read = self.reached, self._sums, self._read
        return made

    def reach(self, found: Mapping[int, object]) -> None:
        """Remember what is in arrays that a function reaches, before it runs."""
        self.reached, left = found, REACHED
        for array in found.values():
            if type(array) is np.ndarray and _changes(array) and array.nbytes <= left:
                left -= array.nbytes
                self._sums[id(array)] = array, _sum(array)

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
        if id(array) in self._sums or not _changes(array):
            self._read.add(id(array))
            return
        found = self._copies.get(id(array))
        if found is not None and _same(array, found[1]):
            return
        if found is not None:
            self._keep(*found)
        elif self.reached is not None and (id(array) in self.reached or id(owner(array)) in self.reached):
            self._sums[id(array)] = array, _sum(array)
            self._read.update((id(array), id(owner(array))))
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

    def changed(self) -> list[Array]:
        """The arrays that the function reaches and has read, and that are others than before."""
        return [array for key, (array, before) in self._sums.items() if key in self._read and _sum(array) != before]

    def _keep(self, array: Array, copy: Array, first: int) -> None:
        """Have the calls that were given an array since it was copied be of the copy."""

        def swapped(value: Any) -> Any:
            if isinstance(value, Traced) and value.node is None and value.data is array:
                return Traced(Tensor._of(copy), None, copy)
            return copy if value is array else value

        for node in self.nodes[first:]:
            if node.call:
                node.note(call={name: mapped(swapped, value, Traced) for name, value in node.call.items()})


def _changes(array: Array) -> bool:
    """Whether it can be told of an array that somebody has written to it, and somebody can."""
    return not array.dtype.hasobject and (array.flags.writeable or array.base is not None)


def _same(array: Array, copy: Array) -> bool:
    """Bit by bit: a nan is the same as itself, and -0.0 is not 0.0."""
    return np.array_equal(_bits(array), _bits(copy))


def _sum(array: Array) -> int:
    return zlib.crc32(_bits(array).data)


def _bits(array: Array) -> Array:
    """The bytes of an array in its order, by eights if they can be: of what is one run of them without a copy."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8 if array.nbytes % 8 else np.uint64)
