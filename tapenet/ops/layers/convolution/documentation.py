"""What the documentation and the drawings of all convolutions say alike."""

from __future__ import annotations

from collections.abc import Sequence

from tapenet.ops.layers.convolution.geometry import AXES, Padding, Size
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


def label(
    name: str,
    kernel: Shape,
    outs: int,
    stride: Size,
    padding: Padding,
    dilation: Size,
    groups: int,
    *,
    up: bool = False,
) -> str:
    """Kernel and channels, as papers write them, and what is not as usual.

    Args:
        name: of the layer.
        kernel, outs, stride, padding, dilation, groups: its options.
        up: whether the stride makes the result larger.

    >>> label("conv", (3, 3), 64, (2, 2), 1, 1, 1)
    'conv 3×3, 64, stride 2, padding 1'
    >>> label("transposed conv", (4, 4), 8, 2, 1, 1, 2, up=True)
    'transposed conv 4×4, 8, ×2, padding 1, 2 groups'
    """
    step = "×" if up else "stride "
    parts = [f"{name} {'×'.join(map(str, kernel))}", str(outs), *settings(stride, padding, dilation, step=step)]
    return ", ".join([*parts, f"{groups} groups"] if groups != 1 else parts)


def settings(
    stride: Size, padding: Padding, dilation: Size, *, usual: Sequence[int] = (1,), step: str = "stride "
) -> list[str]:
    """What of the options of windows is not as usual, in words.

    Args:
        stride, padding, dilation: the options.
        usual: the stride that goes without saying.
        step: what stands before the stride.

    >>> settings((2, 1), ((0, 1), (0, 1)), 1)
    ['stride 2×1', 'padding (0, 1)']
    """
    found = [(step, by(stride), by(usual)), ("padding ", _padding(padding), "0"), ("dilation ", by(dilation), "1")]
    return [name + words for name, words, left_out in found if words != left_out]


def by(size: Size | Sequence[int]) -> str:
    """A size in short: 2×1, or 2 for 2×2."""
    sizes = [size] if isinstance(size, int) else list(size)
    return str(sizes[0]) if len(set(sizes)) == 1 else "×".join(map(str, sizes))


def _padding(padding: Padding) -> str:
    if isinstance(padding, (str, int)):
        return "0" if padding == "valid" else str(padding)
    sides = [p if isinstance(p, int) else tuple(p) for p in padding]
    words = [str(p if isinstance(p, int) or len(set(p)) > 1 else p[0]) for p in sides]
    return words[0] if len(set(words)) == 1 else "×".join(words)
