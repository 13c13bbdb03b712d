"""Discrete cosine and sine transforms.

Scaled at its ends by √2, a transform of type 1 or 4 is a symmetric matrix, and types 2 and 3 are each other's transposes.
SciPy calls that `orthogonalize`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from tapenet.ops.fft.transforms import fitted, of_dtype, swapped
from tapenet.ops.op import Op, op
from tapenet.ops.registry import Samples, sample
from tapenet.scipy.fft.fourier import LENGTH, LENGTHS, made
from tapenet.scipy.followed import scipys
from tapenet.typing import Array, DType

Kind = Literal["dct", "dst"]
Type = Literal[1, 2, 3, 4]
Norm = Literal["backward", "ortho", "forward"] | None
_INVERSE: dict[int, Type] = {1: 1, 2: 3, 3: 2, 4: 4}
#: The ends that are scaled, by kind and type: those of the input or the output, of type 1 of both.
_ENDS = {"dct1": (0, -1), "dct2": (0,), "dct3": (0,), "dst2": (-1,), "dst3": (-1,)}
_dct, _dst = scipys("fft.dct"), scipys("fft.dst")


def _scaled_x(g: Array, axis: int, ends: Sequence[int], factor: float) -> Array:
    return scaled(g, axis, ends, factor)


@op(
    x=_scaled_x,
    gradients="x: g, scaled likewise",
    vmap="axis",
    samples=lambda r: [sample(r.normal(size=(2, 3)), 0, (0, -1), 0.5), sample(r.normal(size=3), -1, (0,), 2.0)],
)
def scaled(x: Array, axis: int, ends: Sequence[int], factor: float) -> Array:
    """An array whose ends along an axis are multiplied by a factor."""
    weights = np.ones(x.shape[axis], x.real.dtype)
    weights[list(ends)] *= factor
    shape = [1] * x.ndim
    shape[axis] = -1
    return x * weights.reshape(shape)


def _rule(g: Array, x_dtype: DType, kind: Kind, type: Type, axis: int, norm: Norm, orthogonalize: bool | None) -> Array:
    ends = () if orthogonalize or (orthogonalize is None and norm == "ortho") else _ENDS.get(f"{kind}{type}", ())
    g = scaled(g, axis, ends, math.sqrt(2)) if ends and type in (1, 2) else g
    found = along_axis(g, kind, _INVERSE[type], axis, norm, True)
    found = scaled(found, axis, ends, 1 / math.sqrt(2)) if ends and type in (1, 3) else found
    return of_dtype(x_dtype, found)


@op(
    x=_rule,
    gradients="x: the transposed transform of g",
    vmap="axis",
    samples=lambda r: [
        sample(r.normal(size=(2, 5)), kind, type, axis, norm, orthogonalize)
        for kind in ("dct", "dst")
        for type in _INVERSE
        for axis, norm, orthogonalize in [
            (-1, None, None),
            (-1, "ortho", None),
            (-1, "forward", True),
            (0, "ortho", False),
        ]
    ],
)
def along_axis(
    x: Array, kind: Kind, type: Type, axis: int = -1, norm: Norm = None, orthogonalize: bool | None = None
) -> Array:
    """The cosine (kind "dct") or sine ("dst") transform of a type along an axis."""
    theirs: Callable[[Array], Array] = functools.partial(  # type: ignore[assignment]
        _dct if kind == "dct" else _dst, type=type, axis=axis, norm=norm, orthogonalize=orthogonalize
    )
    return theirs(x.real) + 1j * theirs(x.imag) if np.iscomplexobj(x) else theirs(x)


@functools.cache
def _heeded() -> bool:
    """Whether SciPy heeds `orthogonalize` where the numbers are complex: up to 1.17 it does not."""
    scaled, plain = (_dct([1j, 2j], orthogonalize=scaled) for scaled in (True, False))
    return not np.array_equal(scaled, plain)  # type: ignore[arg-type]


def _composed(
    kind: Kind, inverse: bool, x: Array, type: Type, lengths: Sequence[tuple[int | None, int]], norm: Norm,
    orthogonalize: bool | None,
) -> Array:  # fmt: skip
    """The transforms along some axes, each of a length (None: the axis's)."""
    if inverse:
        type, norm = _INVERSE[type], swapped(norm)  # type: ignore[assignment]
    if x.dtype.kind == "c" and not _heeded():
        orthogonalize = None
    for n, axis in lengths:
        x = x if n is None or n == -1 else fitted(x, n, axis)
        x = along_axis(x, kind, type, axis, norm, orthogonalize)
    return x


_WORDS = """The {words} transform along {along}.

    Args:
        x: an array, real or complex.
        type: 1, 2, 3 or 4.
        {lengths}
        norm: "backward" (None), "ortho" or "forward".
        overwrite_x: x is never overwritten.
        workers: how many threads compute it, where values alone are wanted.
        orthogonalize: whether the ends are scaled so that the matrix is orthogonal with norm="ortho", which is the default
            with that.

    >>> import tapenet as tn
    >>> x = tn.tensor([1.0, 2.0, 3.0])
    >>> tn.scipy.fft.{other}(tn.scipy.fft.{name}(x)).round(12)
    Tensor([1., 2., 3.])
    """


def _documentation(name: str, lengths: str, along: str) -> str:
    words = f"{'inverse ' * (name[0] == 'i')}discrete {'cosine' if 'dct' in name else 'sine'}"
    other = name[1:] if name[0] == "i" else f"i{name}"
    return _WORDS.format(words=words, along=along, lengths=lengths, name=name, other=other)


def _along_one(kind: Kind, inverse: bool) -> Op:
    name = "i" * inverse + kind
    samples: Samples = lambda r: [
        sample(r.normal(size=(2, 4))),
        sample(r.normal(size=(2, 4)), 3, 5, 0, "ortho"),
        sample(r.normal(size=4), 1, n=3, norm="forward", orthogonalize=True),
    ]

    def transform(
        x: Array, type: Type = 2, n: int | None = None, axis: int = -1, norm: Norm = None, overwrite_x: bool = False,
        workers: int | None = None, orthogonalize: bool | None = None,
    ) -> Array:  # fmt: skip
        return _composed(kind, inverse, x, type, [(n, axis)], norm, orthogonalize)

    return made(name, transform, _documentation(name, LENGTH, "an axis"), samples)


def _along_several(kind: Kind, inverse: bool) -> Op:
    name = "i" * inverse + kind + "n"
    samples: Samples = lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 3)), 4, (3, 2), (1, 0), "ortho"),
        sample(r.normal(size=(2, 3)), 3, 4, axes=0, orthogonalize=True),
    ]

    def transform(
        x: Array, type: Type = 2, s: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None,
        norm: Norm = None, overwrite_x: bool = False, workers: int | None = None, *, orthogonalize: bool | None = None,
    ) -> Array:  # fmt: skip
        sizes = [s] if isinstance(s, int) else s
        along = [axes] if isinstance(axes, int) else axes
        if along is None:
            along = range(x.ndim) if sizes is None else range(-len(sizes), 0)
        lengths = [(n, axis) for n, axis in zip(sizes or [-1] * len(along), along, strict=True)]
        return _composed(kind, inverse, x, type, lengths, norm, orthogonalize)

    return made(name, transform, _documentation(name, LENGTHS + " All of them by default.", "several axes"), samples)


dct, idct, dst, idst = (_along_one(kind, inverse) for kind in ("dct", "dst") for inverse in (False, True))
dctn, idctn, dstn, idstn = (_along_several(kind, inverse) for kind in ("dct", "dst") for inverse in (False, True))
