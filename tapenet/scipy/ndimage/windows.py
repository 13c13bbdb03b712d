"""What is around each place of an image: its mean, its largest or smallest number, one of a rank, and grey morphology.

Where several numbers are the largest, the gradient is that of NumPy's maximum; a rank's is that of the one that is chosen.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.registry import Samples, sample
from tapenet.scipy.followed import followed
from tapenet.scipy.ndimage.borders import as_output, axes_of, bordered, by_axis, for_each
from tapenet.scipy.ndimage.correlation import along_axis
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike

Sizes = int | Sequence[int] | None
Each = int | Sequence[int]
Modes = str | Sequence[str]


def _uniform(x: Array, size: int, axis: int, mode: str, cval: float, origin: int) -> Array:
    found: Array = along_axis(x, np.full(size, 1.0 / size), axis - x.ndim, mode, cval, origin)
    return found


@followed(
    "ndimage.uniform_filter1d", "input", gradients="input: the mean of g, brought back",
    samples=lambda r: [sample(r.normal(size=(4, 5)), 3), sample(r.normal(size=5), 2, 0, mode="wrap", origin=-1)],
)  # fmt: skip
def uniform_filter1d(
    input: Array, size: int, axis: int = -1, output: DTypeLike | None = None, mode: str = "reflect", cval: float = 0.0,
    origin: int = 0,
) -> Array:  # fmt: skip
    """The means of so many numbers along an axis.

    Args:
        input: an array.
        size: how many numbers.
        axis: along which.
        output: the dtype of the result.
        mode, cval, origin: as for `correlate1d`.

    Raises:
        RuntimeError: a size below 1, or an unknown mode.
        ValueError: an origin outside of the window.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.uniform_filter1d(tn.tensor([0.0, 3.0, 6.0]), 3)
    Tensor([1., 3., 5.])
    """
    return as_output(_uniform(input, size, axis % input.ndim, mode, cval, origin), output)


@followed(
    "ndimage.uniform_filter", "input", gradients="input: the mean of g, brought back",
    samples=lambda r: [sample(r.normal(size=(4, 5))), sample(r.normal(size=(4, 3)), (1, 2), mode=("wrap", "nearest"))],
)  # fmt: skip
def uniform_filter(
    input: Array, size: Each = 3, output: DTypeLike | None = None, mode: Modes = "reflect", cval: float = 0.0,
    origin: Each = 0, *, axes: Each | None = None,
) -> Array:  # fmt: skip
    """The means of what is around each place of an image.

    Args:
        input: an array.
        size: how many numbers along the axes, or along all.
        output, mode, cval, origin: as for `uniform_filter1d`; one for each axis, or one for all.
        axes: along which, by default all.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.ndimage.uniform_filter(tn.tensor(np.ones((2, 2)))).round(9)
    Tensor([[1., 1.],
            [1., 1.]])
    """
    along = axes_of(axes, input.ndim)
    options = [for_each(option, len(along)) for option in (size, mode, origin)]
    for axis, n, each, moved in zip(along, *options, strict=True):
        if n > 1:
            input = _uniform(input, int(n), axis, each, cval, moved)
    return as_output(input, output)


def _around(
    x: Array, size: Sizes, footprint: Array | None, mode: Modes, cval: float, origin: Each, axes: Each | None,
) -> list[Array]:  # fmt: skip
    """The image moved so that each number of a window is at its place, once for each number."""
    along = axes_of(axes, x.ndim)
    kept = np.ones(for_each(size, len(along)), bool) if footprint is None else np.asarray(footprint, bool)
    places = along if footprint is None else sorted(along)  # as in SciPy: a footprint's axes keep their order
    options = [
        dict(zip(along, for_each(v, len(along)), strict=True)) if footprint is None else by_axis(v, along, x.ndim)
        for v in (mode, origin)
    ]
    shape = x.shape
    for axis, n in zip(places, kept.shape, strict=True):
        before = n // 2 + options[1][axis]
        x = bordered(x, axis, before, n - 1 - before, options[0][axis], cval)
    found = []
    for offsets in itertools.product(*map(range, kept.shape)):
        if kept[offsets]:
            at = dict(zip(places, offsets, strict=True))
            found.append(x[tuple(slice(at.get(i, 0), at.get(i, 0) + n) for i, n in enumerate(shape))])
    return found


def _footprint(x: Array, size: Sizes, footprint: Array | None, axes: Each | None) -> Array:
    """The window of a rank filter, which SciPy makes a footprint in any case."""
    count = len(axes_of(axes, x.ndim))
    return np.ones(for_each(size, count), bool) if footprint is None else np.asarray(footprint, bool)


def _ranked(parts: list[Array], rank: int) -> Array:
    """The number of a rank at each place."""
    parts_ = np.stack(parts)
    if rank in (0, -len(parts)):
        return np.min(parts_, 0)  # type: ignore[no-any-return]
    if rank in (-1, len(parts) - 1):
        return np.max(parts_, 0)  # type: ignore[no-any-return]
    found: Array = np.sort(parts_, 0)[rank]
    return found


_WORDS = """

    Args:
        input: an array of real numbers.{rank}
        size: how many numbers along the axes, or along all.
        footprint: which numbers of a window count, in place of `size`.
        output: the dtype of the result.
        mode, cval, origin: what is around the image, and how far windows are moved, as for `correlate1d`.
        axes: along which, by default all.

    Raises:
        RuntimeError: neither a size nor a footprint, an unknown mode, or another number of options than axes.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.{name}(tn.tensor([1.0, 5.0, 2.0, 3.0]), {given}size=3)
    {result}
    """
_IMAGES: Samples = lambda r: [
    sample(r.normal(size=(4, 5)), 3),
    sample(r.normal(size=(4, 3)), footprint=np.array([[0, 1, 0], [1, 1, 1]]).tolist(), mode="mirror", origin=-1),
    sample(r.normal(size=(4, 3)), 2, mode="constant", cval=0.1),
]


@followed(
    "ndimage.maximum_filter", "input", samples=_IMAGES, gradients="input: g, where the largest number was",
    doc="The largest of the numbers around each place." + _WORDS.format(
        rank="", name="maximum_filter", given="", result="Tensor([5., 5., 5., 3.])"
    ),
)  # fmt: skip
def maximum_filter(
    input: Array, size: Sizes = None, footprint: Array | None = None, output: DTypeLike | None = None, mode: Modes = "reflect",
    cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None,
) -> Array:  # fmt: skip
    return as_output(_ranked(_around(input, size, footprint, mode, cval, origin, axes), -1), output)


@followed(
    "ndimage.minimum_filter", "input", samples=_IMAGES, gradients="input: g, where the smallest number was",
    doc="The smallest of the numbers around each place." + _WORDS.format(
        rank="", name="minimum_filter", given="", result="Tensor([1., 1., 2., 2.])"
    ),
)  # fmt: skip
def minimum_filter(
    input: Array, size: Sizes = None, footprint: Array | None = None, output: DTypeLike | None = None, mode: Modes = "reflect",
    cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None,
) -> Array:  # fmt: skip
    return as_output(_ranked(_around(input, size, footprint, mode, cval, origin, axes), 0), output)


@followed(
    "ndimage.median_filter", "input", samples=_IMAGES, gradients="input: g, where the median was",
    doc="The median of the numbers around each place, of an even count the larger one." + _WORDS.format(
        rank="", name="median_filter", given="", result="Tensor([1., 2., 3., 3.])"
    ),
)  # fmt: skip
def median_filter(
    input: Array, size: Sizes = None, footprint: Array | None = None, output: DTypeLike | None = None, mode: Modes = "reflect",
    cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None,
) -> Array:  # fmt: skip
    parts = _around(input, None, _footprint(input, size, footprint, axes), mode, cval, origin, axes)
    return as_output(_ranked(parts, len(parts) // 2), output)


@followed(
    "ndimage.rank_filter", "input", gradients="input: g, where the number of that rank was",
    samples=lambda r: [sample(r.normal(size=(3, 4)), 2, 3), sample(r.normal(size=(3, 4)), -2, 2)],
    doc="The number of a rank around each place." + _WORDS.format(
        rank="\n        rank: from 0, the smallest, or from -1 back.", name="rank_filter", given="1, ",
        result="Tensor([1., 2., 3., 3.])",
    ),
)  # fmt: skip
def rank_filter(
    input: Array, rank: int, size: Sizes = None, footprint: Array | None = None, output: DTypeLike | None = None,
    mode: Modes = "reflect", cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None,
) -> Array:  # fmt: skip
    parts = _around(input, None, _footprint(input, size, footprint, axes), mode, cval, origin, axes)
    return as_output(_ranked(parts, rank), output)


@followed(
    "ndimage.percentile_filter", "input", gradients="input: g, where the number of that percentile was",
    samples=lambda r: [sample(r.normal(size=(3, 4)), 30, 3), sample(r.normal(size=(3, 4)), -20, 2)],
    doc="The number of a percentile around each place." + _WORDS.format(
        rank="\n        percentile: from 0 to 100; below 0 from 100 back.", name="percentile_filter", given="50, ",
        result="Tensor([1., 2., 3., 3.])",
    ),
)  # fmt: skip
def percentile_filter(
    input: Array, percentile: float, size: Sizes = None, footprint: Array | None = None, output: DTypeLike | None = None,
    mode: Modes = "reflect", cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None,
) -> Array:  # fmt: skip
    parts = _around(input, None, _footprint(input, size, footprint, axes), mode, cval, origin, axes)
    part = percentile + 100 if percentile < 0 else percentile
    rank = len(parts) - 1 if part == 100 else int(float(len(parts)) * part / 100.0)
    return as_output(_ranked(parts, rank), output)


def _morphed(
    x: Array, size: Sizes, footprint: Array | None, structure: Array | None, mode: Modes, cval: float, origin: Each,
    axes: Each | None, up: bool,
) -> Array:  # fmt: skip
    """Dilated, `up`, or eroded by a window and what is added to its numbers."""
    along = axes_of(axes, x.ndim)
    origins = for_each(origin, len(along))
    if footprint is None and structure is None:
        sizes = for_each(size, len(along))
        if up:
            origins = [-o - (n % 2 == 0) for o, n in zip(origins, sizes, strict=True)]
        return _ranked(_around(x, sizes, None, mode, cval, origins, axes), -1 if up else 0)
    kept = np.full(structure.shape, True) if footprint is None else np.asarray(footprint, bool)  # type: ignore[union-attr]
    heights = (
        None if structure is None else [structure[i] for i in itertools.product(*map(range, kept.shape)) if kept[i]]
    )
    if up:  # the window is turned around
        kept = np.flip(kept)
        heights = None if heights is None else heights[::-1]
        origins = [-o - (n % 2 == 0) for o, n in zip(origins, kept.shape, strict=True)]
    parts = _around(x, None, kept, mode, cval, origins, axes)
    if heights is not None:
        parts = [part + h if up else part - h for part, h in zip(parts, heights, strict=True)]
    return _ranked(parts, -1 if up else 0)


_MORPHED: Samples = lambda r: [
    sample(r.normal(size=(4, 5)), 3),
    sample(r.normal(size=(4, 3)), structure=r.normal(size=(2, 3)).tolist(), mode="mirror"),
    sample(r.normal(size=5), footprint=[1, 0, 1, 1]),
]
_STRUCTURED = """

    Args:
        input, size, footprint, output, mode, cval, origin, axes: as for `maximum_filter`.
        structure: what is {sign} the numbers of a window, in place of `size`.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.{name}(tn.tensor([1.0, 5.0, 2.0, 3.0]), 3)
    {result}
    """


def _structure(structure: object) -> Array | None:
    return np.asarray(structure, float) if isinstance(structure, (list, tuple)) else structure  # type: ignore[return-value]


@followed(
    "ndimage.grey_dilation", "input", samples=_MORPHED, gradients="input: g, where the largest number was",
    doc="The largest number around each place, with a window turned around: grey dilation."
    + _STRUCTURED.format(sign="added to", name="grey_dilation", result="Tensor([5., 5., 5., 3.])"),
)  # fmt: skip
def grey_dilation(
    input: Array, size: Sizes = None, footprint: Array | None = None, structure: Array | None = None,
    output: DTypeLike | None = None, mode: Modes = "reflect", cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None,
) -> Array:  # fmt: skip
    return as_output(_morphed(input, size, footprint, _structure(structure), mode, cval, origin, axes, True), output)


@followed(
    "ndimage.grey_erosion", "input", samples=_MORPHED, gradients="input: g, where the smallest number was",
    doc="The smallest number around each place: grey erosion."
    + _STRUCTURED.format(sign="taken off", name="grey_erosion", result="Tensor([1., 1., 2., 2.])"),
)  # fmt: skip
def grey_erosion(
    input: Array, size: Sizes = None, footprint: Array | None = None, structure: Array | None = None,
    output: DTypeLike | None = None, mode: Modes = "reflect", cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None,
) -> Array:  # fmt: skip
    return as_output(_morphed(input, size, footprint, _structure(structure), mode, cval, origin, axes, False), output)


def _both(
    first: bool, x: Array, size: Sizes, footprint: Array | None, structure: Array | None, mode: Modes, cval: float,
    origin: Each, axes: Each | None,
) -> Array:  # fmt: skip
    """Eroded and dilated, or the other way around (`first`)."""
    for up in (first, not first):
        x = _morphed(x, size, footprint, _structure(structure), mode, cval, origin, axes, up)
    return x


@followed(
    "ndimage.grey_opening", "input", samples=_MORPHED, gradients="those of erosion and dilation",
    doc="Erosion, then dilation: what is bright and smaller than a window goes."
    + _STRUCTURED.format(sign="added to, or taken off,", name="grey_opening", result="Tensor([1., 2., 2., 2.])"),
)  # fmt: skip
def grey_opening(
    input: Array, size: Sizes = None, footprint: Array | None = None, structure: Array | None = None,
    output: DTypeLike | None = None, mode: Modes = "reflect", cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None,
) -> Array:  # fmt: skip
    return as_output(_both(False, input, size, footprint, structure, mode, cval, origin, axes), output)


@followed(
    "ndimage.grey_closing", "input", samples=_MORPHED, gradients="those of dilation and erosion",
    doc="Dilation, then erosion: what is dark and smaller than a window goes."
    + _STRUCTURED.format(sign="added to, or taken off,", name="grey_closing", result="Tensor([5., 5., 3., 3.])"),
)  # fmt: skip
def grey_closing(
    input: Array, size: Sizes = None, footprint: Array | None = None, structure: Array | None = None,
    output: DTypeLike | None = None, mode: Modes = "reflect", cval: float = 0.0, origin: Each = 0, *, axes: Each | None = None,
) -> Array:  # fmt: skip
    return as_output(_both(True, input, size, footprint, structure, mode, cval, origin, axes), output)
