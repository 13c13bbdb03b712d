"""What the documentation and the drawings of all convolutions say alike."""

from __future__ import annotations

from tapenet.ops.layers.convolution.geometry import AXES, Size
from tapenet.typing import Shape

#: The letters of a place in the result and of one in the kernel, by axis.
_PLACES, _OFFSETS = "ijk", "abd"


def options(axes: int) -> str:
    """The arguments that all have."""
    names = ", ".join(AXES[axes])
    several = f"an integer or one for each of {names}" if axes > 1 else "an integer"
    pairs = ", ".join(f"(before, after) of {n}" for n in AXES[axes])
    return f"""stride: distance between windows, {several}.
        padding: zeros around x: {several}, or pairs ({pairs}{"," if axes == 1 else ""});
            "valid" is 0, "same" gives a result as large as x (stride 1 only; where the border is odd, the larger
            part comes after).
        dilation: distance between the elements of a kernel, {several}.
        groups: channels are split into so many groups; each output channel sees its group of input channels."""


def spatial(axes: int, before: str = "", after: str = "") -> str:
    """The names of the spatial axes in a row."""
    return ", ".join(f"{before}{name}{after}" for name in AXES[axes])


def places(axes: int) -> str:
    """The indices of a place in the result."""
    return ", ".join(_PLACES[:axes])


def offsets(axes: int) -> str:
    """The indices of an element of the kernel."""
    return ", ".join(_OFFSETS[:axes])


def sources(axes: int) -> str:
    """The indices of the input's element that a place and an offset meet at."""
    return ", ".join(f"{i}·stride + {a}·dilation" for i, a in zip(_PLACES[:axes], _OFFSETS[:axes], strict=True))


def label(name: str, kernel: Shape, outs: int, stride: Size, groups: int) -> str:
    """Kernel and channels, as papers write them, and what is not as usual."""
    strides = {stride} if isinstance(stride, int) else set(stride)
    parts = [f"{name} {'×'.join(map(str, kernel))}, {outs}"]
    parts += [f", /{max(strides)}"] if strides != {1} else []
    parts += [f", {groups} groups"] if groups != 1 else []
    return "".join(parts)
