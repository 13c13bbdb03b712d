"""The code of convolutions with their channels innermost."""

from __future__ import annotations

import math
from collections.abc import Callable

from tapenet.kernels import channels_last, quantized_maps, winograd_maps
from tapenet.llvm import workers
from tapenet.llvm.code import offset
from tapenet.llvm.emitter import Value as Register
from tapenet.llvm.kernel import Array, Index, Kernel
from tapenet.llvm.processor import registers
from tapenet.program import quantized_windows, windows
from tapenet.program.ir import Instruction
from tapenet.program.layout import Layouts, alike, c_strides
from tapenet.program.native import pieces
from tapenet.program.native.functions import Function
from tapenet.program.native.writer import Family
from tapenet.program.primitives import PRIMITIVES, Spec

#: Parts at most: each has memory of its own for an image within its border.
ITEMS = 16
#: Bands of one image for each thread at most: what is seen by two is copied by both.
BANDS = 2


#: What a convolution is of.
_Shape = channels_last.Shape | winograd_maps.Shape | quantized_maps.Shape
#: By primitive: what a convolution is.
_SHAPES: dict[str, Callable[..., _Shape]] = {
    "convolve": windows.shape_of,
    "quantized_convolve": quantized_windows.shape_of,
}
#: By what it is: the writer of its code, and multiply-adds of a lane of 32 bits in a cycle.
_KINDS: dict[type[_Shape], tuple[Callable[..., None], float]] = {
    channels_last.Shape: (channels_last.write, 1.5),
    winograd_maps.Shape: (winograd_maps.write, 3.0),
    quantized_maps.Shape: (quantized_maps.write, 5.0),
}


def shape(instruction: Instruction) -> _Shape:
    """What it is a convolution of."""
    return _SHAPES[instruction.name]([Spec(a.shape, a.dtype) for a in instruction.args], instruction.params)


def cycles(instruction: Instruction) -> float:
    """Roughly how many cycles it takes."""
    size = 4 if instruction.name == "quantized_convolve" else instruction.args[0].dtype.itemsize
    lanes, found = registers().bytes // size, shape(instruction)
    return windows.multiply_adds(found.maps) / lanes / _KINDS[type(found)][1]


def _cut(instruction: Instruction) -> tuple[_Shape, tuple[int, int]]:
    """What it is a convolution of, and into how many parts its images, or else its channels, are cut for threads. Maps of one
    image that are larger than its kernels are cut into bands."""
    s = shape(instruction)
    wanted = max(1, min(int(cycles(instruction) / pieces.PART), ITEMS))
    if wanted > 1 and s.images == 1 and not isinstance(s, winograd_maps.Shape):
        x, kernels, *_ = instruction.args
        if s.blocks == 1 or x.nbytes > kernels.nbytes:
            s = s.cut(min(wanted, BANDS * pieces.threads()))
    return s, (min(wanted, s.images), 1) if s.images > 1 else (1, min(wanted, s.blocks))


class Convolution(Family):
    """Convolutions with their channels innermost."""

    kind = "convolution"

    @classmethod
    def supports(cls, instruction: Instruction) -> bool:
        return instruction.name != "convolve" or instruction.results[0].dtype.char in "fd"

    @classmethod
    def room(cls, instruction: Instruction) -> int:
        """For each part."""
        s, cut = _cut(instruction)
        return math.prod(cut) * s.space * instruction.args[0].dtype.itemsize

    @classmethod
    def scattered(cls, instruction: Instruction, layouts: Layouts) -> list[int]:
        """Of those that do not lie in the usual order."""
        return [i for i, a in enumerate(instruction.args) if not alike(a.shape, layouts[a].strides, c_strides(a.shape))]

    def write(self) -> Function:
        """All of it, or parts for threads."""
        instruction, layouts = self.instruction, self.layouts
        (result,) = instruction.results
        s, cut = _cut(instruction)
        code, _ = _KINDS[type(s)]
        full = PRIMITIVES[instruction.name].args.count(",") + 1
        k = Kernel("convolution", instruction.args[0].dtype)
        values = [*instruction.args, result]
        places = []
        for value in values:
            place = layouts[value]
            pointer = self.parameter(self.buffer(place.root))
            places.append(offset(k, pointer, place.offset, 1, value.dtype))
        if self.workspace is not None:
            places.append(self.parameter(self.workspace))

        def part(k: Kernel, places: list[str], item: Register | None, count: str = "") -> None:
            """All of it, or one of so many items."""
            whole = s if item is not None and cut[0] > 1 else s.flat()
            arrays = [Array(k, p, c_strides(v.shape), v.dtype) for p, v in zip(places, values, strict=False)]
            given: list[Array | None] = [*arrays[:-1]]
            given += [None] * (full - len(given))  # no other map is added
            space = Array(k, places[-1], (1,), instruction.args[0].dtype)
            ranges: list[tuple[Index, Index]] = [(0, whole.images), (0, s.blocks)]
            if item is not None:
                axis = 0 if cut[0] > 1 else 1
                length = (s.images, s.blocks)[axis]
                begin, end = item * length, item * length + length
                items = Register(k, count, "i64")
                ranges[axis] = begin.op("udiv", begin, items), end.op("udiv", end, items)
                space = space.moved(item * s.space)
            code(k, whole, *given, arrays[-1], space, *ranges)

        count = str(math.prod(cut))
        if count == "1":
            part(k, places, None)
            return Function.of(k, self.pointers)
        if cut[1] > 1:  # each part reads all of the image, so there are no more than threads
            k.declares.add(workers.declaration())
            count = k.emit(f"call i64 @tn_blocks(i64 {count})")
        inner = Kernel("convolution", instruction.args[0].dtype)
        *given, items = pieces.given(inner, [*["ptr"] * len(places), "i64"])
        part(inner, given, Register(inner, "%item", "i64"), items)
        pieces.share(k, self.name(pieces.called(inner)), [*(f"ptr {p}" for p in places), f"i64 {count}"], count)
        return Function.of(k, self.pointers)
