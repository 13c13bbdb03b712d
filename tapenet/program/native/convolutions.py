"""The code of convolutions with their channels innermost."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable

from tapenet.kernels import channels_last, quantized_maps, winograd_maps
from tapenet.llvm.emitter import Value as Register
from tapenet.llvm.kernel import Array, Index, Kernel
from tapenet.llvm.loops import offset
from tapenet.llvm.processor import registers
from tapenet.program import quantized_windows, windows
from tapenet.program.ir import Instruction, Value
from tapenet.program.layout import Layouts, alike, c_strides
from tapenet.program.native import pieces
from tapenet.program.native.kernels import Function
from tapenet.program.primitives import PRIMITIVES, Spec

#: Parts at most: each has memory of its own for an image within its border.
ITEMS = 16


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


def supports(instruction: Instruction) -> bool:
    """Whether there is code for it."""
    return instruction.name != "convolve" or instruction.results[0].dtype.char in "fd"


def shape(instruction: Instruction) -> _Shape:
    """What it is a convolution of."""
    return _SHAPES[instruction.name]([Spec(a.shape, a.dtype) for a in instruction.args], instruction.params)


def scattered(instruction: Instruction, layouts: Layouts) -> list[int]:
    """Positions of the operands that do not lie in the usual order."""
    return [i for i, a in enumerate(instruction.args) if not alike(a.shape, layouts[a].strides, c_strides(a.shape))]


def cycles(instruction: Instruction) -> float:
    """Roughly how many cycles it takes."""
    size = 4 if instruction.name == "quantized_convolve" else instruction.args[0].dtype.itemsize
    lanes, found = registers().bytes // size, shape(instruction)
    return windows.multiply_adds(found.maps) / lanes / _KINDS[type(found)][1]


def _items(instruction: Instruction) -> tuple[int, int]:
    """Into how many parts its images, or else its channels, are cut for threads."""
    s = shape(instruction)
    wanted = min(int(cycles(instruction) / pieces.PART), ITEMS)
    if wanted < 2:
        return 1, 1
    return (min(wanted, s.images), 1) if s.images > 1 else (1, min(wanted, s.blocks))


def workspace(instruction: Instruction) -> int:
    """Bytes that it needs for itself: for each part."""
    return math.prod(_items(instruction)) * shape(instruction).space * instruction.args[0].dtype.itemsize


def write(
    instruction: Instruction,
    layouts: Layouts,
    buffer: Callable[[Value], Hashable],
    workspace: Hashable | None,
    name: Callable[[Function], str],
) -> Function:
    """The function of one convolution; `name` gives a function one."""
    (result,) = instruction.results
    s, cut = shape(instruction), _items(instruction)
    code, _ = _KINDS[type(s)]
    full = PRIMITIVES[instruction.name].args.count(",") + 1
    k = Kernel("convolution", instruction.args[0].dtype)
    pointers: dict[Hashable, str] = {}
    values = [*instruction.args, result]
    places = []
    for value in values:
        place = layouts[value]
        pointer = pointers.setdefault(buffer(place.root), f"%b{len(pointers)}")
        places.append(offset(k, pointer, place.offset, 1, value.dtype))
    if workspace is not None:
        places.append(pointers.setdefault(workspace, f"%b{len(pointers)}"))

    def part(k: Kernel, places: list[str], item: Register | None) -> None:
        """All of it, or an item."""
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
            ranges[axis] = begin.op("udiv", begin, cut[axis]), end.op("udiv", end, cut[axis])
            space = space.moved(item * s.space)
        code(k, whole, *given, arrays[-1], space, *ranges)

    count = math.prod(cut)
    if count == 1:
        part(k, places, None)
        return Function.of(k, pointers)
    inner = Kernel("convolution", instruction.args[0].dtype)
    part(inner, pieces.given(inner, ["ptr"] * len(places)), Register(inner, "%item", "i64"))
    pieces.share(k, name(pieces.called(inner)), [f"ptr {p}" for p in places], count)
    return Function.of(k, pointers)
