"""Kernels of rows for programs that read an argument in parts along an axis and join results, as a gated linear unit does."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tapenet.kernels import aligned
from tapenet.program.ir import Constant, Input, Program, Result, Value, substitute
from tapenet.program.passes import dead
from tapenet.program.row_kernels import RowKernel
from tapenet.program.row_programs import NotByRows
from tapenet.typing import Array, Shape


class Part(NamedTuple):
    """A run of places along an axis of a whole.

    Attributes:
        whole: the shape of the whole.
        axis: the axis.
        first: the first place.
        length: how many places.
    """

    whole: Shape
    axis: int
    first: int
    length: int

    def step(self) -> tuple[int, int]:
        """How far apart in memory the rows of the whole are, and where the part begins in one."""
        return math.prod(self.whole[self.axis :]), self.first * math.prod(self.whole[self.axis + 1 :])


def kernel(program: Program) -> Callable[..., list[Array]]:
    """The kernel of a simplified program (`RowKernel`), also of one that works on parts.

    Raises:
        NotByRows: it works otherwise.
    """
    try:
        return RowKernel(program)
    except NotByRows:
        return SplitKernel(program)


class SplitKernel:
    """The kernel of a program that works on parts of arguments and results: `kernel(*arrays)`, as `RowKernel`."""

    def __init__(self, program: Program) -> None:
        slices = [i for i in program.body if i.name == "slice" and i.args[0] in program.inputs]
        given = [_part(i.args[0].shape, i.params["slices"]) for i in slices]
        virtual = [Input(i.results[0].shape, i.results[0].dtype) for i in slices]
        replaced: dict[Value, Value] = {i.results[0]: v for i, v in zip(slices, virtual, strict=True)}
        changed = substitute(program, replaced)
        made = [_joined(v) for v in changed.outputs]
        outputs = [part for joined in made for part in joined]
        parts = [*given, *(part for _, part in outputs if part is not None)]
        if not parts or len({(part.axis, part.length) for part in parts}) > 1:
            raise NotByRows("no parts of one length")
        steps: dict[Value, tuple[int, int]] = {v: part.step() for v, part in zip(virtual, given, strict=True)}
        writes = [None if part is None else part.step() for _, part in outputs]
        whole = Program([*program.inputs, *virtual], [], changed.body, [v for v, _ in outputs], [])
        self._kernel = RowKernel(dead.run(whole), split=(parts[0].axis, steps, writes))
        self._wholes = [program.inputs.index(i.args[0]) for i in slices]
        self._outputs = [(v.shape, v.dtype, len(joined)) for v, joined in zip(program.outputs, made, strict=True)]

    def __call__(self, *arrays: Array) -> list[Array]:
        results = [aligned(shape, dtype) for shape, dtype, _ in self._outputs]
        outs = [out for out, (_, _, count) in zip(results, self._outputs, strict=True) for _ in range(count)]
        if not self._kernel.fill(outs, [*arrays, *(arrays[i] for i in self._wholes)]):
            arrays = tuple(np.array(a, order="C") for a in arrays)
            filled = self._kernel.fill(outs, [*arrays, *(arrays[i] for i in self._wholes)])
            assert filled
        return results


def _part(whole: Shape, slices: tuple[tuple[int, int, int], ...]) -> Part:
    """The part that slices select."""
    cut = [(axis, s) for axis, (s, n) in enumerate(zip(slices, whole, strict=True)) if s != (0, n, 1)]
    if len(cut) != 1 or cut[0][1][2] != 1:
        raise NotByRows(f"a slice of {whole}")
    axis, (first, end, _) = cut[0]
    return Part(whole, axis, first, end - first)


def _joined(value: Value) -> list[tuple[Value, Part | None]]:
    """The parts that a value is joined of; itself alone if it is not."""
    maker = value.instruction if isinstance(value, Result) else None
    if maker is not None and maker.name == "add" and all(a.shape == value.shape for a in maker.args):
        found = [part for a in maker.args for part in _joined(a)]
        ranges = sorted((p.first, p.first + p.length) for _, p in found if p is not None)
        ends = [0, *(end for _, end in ranges)]
        apart = len(ranges) == len(found) and all(first == end for (first, _), end in zip(ranges, ends, strict=False))
        if apart and ends[-1] == value.shape[found[0][1].axis if found[0][1] else 0]:
            return found
    if maker is not None and maker.name == "concatenate":
        axis = maker.params["axis"]
        lengths = [arg.shape[axis] for arg in maker.args]
        firsts = itertools.accumulate(lengths, initial=0)
        return [(a, Part(value.shape, axis, i, n)) for a, i, n in zip(maker.args, firsts, lengths, strict=False)]
    if maker is not None and maker.name == "update":
        base = maker.args[0].instruction if isinstance(maker.args[0], Result) else None
        zeros = base.args[0] if base is not None and base.name == "broadcast" else None
        if isinstance(zeros, Constant) and not zeros.array.any():
            return [(maker.args[1], _part(value.shape, maker.params["slices"]))]
    return [(value, None)]
