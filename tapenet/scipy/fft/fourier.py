"""Discrete Fourier transforms: along one axis, two or several, of complex numbers, of real ones and to real ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import numpy as np

from tapenet.ops.elementwise.complex import conjugate
from tapenet.ops.fft import axes as several
from tapenet.ops.fft import transforms as one
from tapenet.ops.fft.transforms import swapped
from tapenet.ops.op import Op
from tapenet.ops.registry import Samples, sample
from tapenet.scipy.followed import followed, scipys
from tapenet.typing import Array

Transform = Callable[..., Array]


def made(name: str, formula: Transform, doc: str, samples: Samples) -> Op:
    """The op of a transform of SciPy's. `overwrite_x` permits what a tensor never does: the input stays as it is."""
    theirs = scipys(f"fft.{name}")
    names = [*inspect.signature(formula).parameters][1:]

    def transform(x: Array, *args: object, **options: object) -> object:
        given = dict(zip(names, args, strict=False)) | options
        return theirs(x, **given | {"overwrite_x": False})

    return followed(
        transform, "x", name=name, doc=doc, samples=samples, gradients="x: the transposed transform of g"
    )(formula)  # fmt: skip


def _mirrored(real: Transform) -> Transform:
    """Of `irfft` the transform to real numbers of what its own inverse gives: its sign and scale are those of `fft`."""

    def transform(x: Array, s: object, axes: object, norm: str | None) -> Array:
        return real(conjugate(x), s, axes, swapped(norm))

    return transform


def _unmirrored(real: Transform) -> Transform:
    """The inverse of such a one, by `rfft`."""

    def transform(x: Array, s: object, axes: object, norm: str | None) -> Array:
        return conjugate(real(x, s, axes, swapped(norm)))

    return transform


#: By SciPy's name, without how many axes: the transform along one axis, that along several, and what it is.
_ALL: dict[str, tuple[Transform, Transform, str]] = {
    "fft": (one.fft, several.fftn, "The discrete Fourier transform"),
    "ifft": (one.ifft, several.ifftn, "The inverse discrete Fourier transform"),
    "rfft": (one.rfft, several.rfftn, "The discrete Fourier transform of real numbers, its first half"),
    "irfft": (one.irfft, several.irfftn, "The inverse of the transform of real numbers"),
    "hfft": (one.hfft, _mirrored(several.irfftn), "The real transform of numbers that mirror themselves"),
    "ihfft": (one.ihfft, _unmirrored(several.rfftn), "The inverse of the transform of numbers that mirror themselves"),
}  # fmt: skip
_WORDS = """

    Args:
        x: an array.
        {lengths}
        norm: which direction is divided by the length: "backward" (None) the inverse, "forward" the other; "ortho" divides
            both by its root.
        overwrite_x: x is never overwritten.
        workers: how many threads compute it, where values alone are wanted.
        plan: None.

    >>> import tapenet as tn
    >>> tn.scipy.fft.{name}(tn.tensor({array})).shape
    {shape}
    """
LENGTH = "n: the length of the transform: x is cut to it, or filled up with zeros.\n        axis: the axis."
LENGTHS = "s: the lengths of the transforms: x is cut to them, or filled up with zeros.\n        axes: the axes."
_SHAPES = {"r": "(2, 2)", "ih": "(2, 2)", "ir": "(2, 4)", "h": "(2, 4)"}


def _input(kind: str) -> Callable[[np.random.Generator, tuple[int, ...]], Array]:
    """What a kind of transform takes."""
    if kind in ("rfft", "ihfft"):
        return lambda r, shape: r.normal(size=shape)
    return one.complex_normal


def _along_one(name: str) -> Op:
    formula, _, words = _ALL[name]
    array = _input(name)
    samples: Samples = lambda r: [
        sample(array(r, (5,))),
        sample(array(r, (3, 2)), 4, axis=0, norm="ortho"),
        sample(array(r, (2, 3)), n=2, norm="forward", workers=1),
    ]

    def transform(
        x: Array, n: int | None = None, axis: int = -1, norm: str | None = None, overwrite_x: bool = False,
        workers: int | None = None, *, plan: None = None,
    ) -> Array:  # fmt: skip
        return formula(x, n, axis, norm)

    return made(name, transform, words + " along an axis." + _documentation(name, LENGTH), samples)


def _documentation(name: str, lengths: str) -> str:
    kind = name.removesuffix("2").removesuffix("n").removesuffix("fft")
    return _WORDS.format(
        lengths=lengths, name=name, array="np.ones((2, 3))", shape=_SHAPES.get(kind, "(2, 3)")
    ).replace("import tapenet", "import numpy as np, tapenet")


def _lengths_and_axes(
    formula: Transform, x: Array, s: int | Sequence[int] | None, axes: int | Sequence[int] | None, norm: str | None
) -> Array:
    """A transform along several axes, which SciPy lets be one number."""
    return formula(x, *((v,) if isinstance(v, (int, np.integer)) else v for v in (s, axes)), norm)


def _along_two(name: str) -> Op:
    _, formula, words = _ALL[name]
    array = _input(name)
    samples: Samples = lambda r: [sample(array(r, (2, 3))), sample(array(r, (2, 1, 2)), (3, 2), (0, 2), "ortho")]

    def transform(
        x: Array, s: int | Sequence[int] | None = None, axes: int | Sequence[int] = (-2, -1), norm: str | None = None,
        overwrite_x: bool = False, workers: int | None = None, *, plan: None = None,
    ) -> Array:  # fmt: skip
        return _lengths_and_axes(formula, x, s, axes, norm)

    name += "2"
    return made(name, transform, words + " along two axes." + _documentation(name, LENGTHS), samples)


def _along_several(name: str) -> Op:
    _, formula, words = _ALL[name]
    array = _input(name)
    samples: Samples = lambda r: [
        sample(array(r, (2, 3))),
        sample(array(r, (2, 1, 3)), axes=(0, -1), norm="ortho"),
        sample(array(r, (2, 3)), (3, 2), (1, 0), "forward"),
        sample(array(r, (2, 2)), 3, axes=0),
    ]

    def transform(
        x: Array, s: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None, norm: str | None = None,
        overwrite_x: bool = False, workers: int | None = None, *, plan: None = None,
    ) -> Array:  # fmt: skip
        return _lengths_and_axes(formula, x, s, axes, norm)

    name += "n"
    doc = words + " along several axes." + _documentation(name, LENGTHS + " All of them by default.")
    return made(name, transform, doc, samples)


fft, ifft, rfft, irfft, hfft, ihfft = map(_along_one, _ALL)
fft2, ifft2, rfft2, irfft2, hfft2, ihfft2 = map(_along_two, _ALL)
fftn, ifftn, rfftn, irfftn, hfftn, ihfftn = map(_along_several, _ALL)
