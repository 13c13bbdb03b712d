"""Fourier transforms along an axis as rows of the table of primitives: NumPy's functions."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.program import batching
from tapenet.program.low import real_of
from tapenet.program.primitives import PRIMITIVES, Params, Primitive, Spec
from tapenet.program.symbols import BY_NAME, CannotLower, Operand, Symbol, array_of, builder_of
from tapenet.typing import Array

#: NumPy's functions, which are the primitives. What they are given by name beside the array are the parameters.
NAMES = ("fft", "ifft", "rfft", "irfft")
#: The complex dtype as precise as a real one, by their characters.
_COMPLEX = {"f": "F", "d": "D"}


def _infer(name: str, args: Sequence[Spec], params: Params) -> list[Spec]:
    (a,) = args
    n, axis = params["n"], params["axis"]
    if not 0 <= axis < len(a.shape) or n < 1 or a.dtype.char not in ("fd" if name == "rfft" else "FD"):
        raise ValueError(f"{name} of {a}, {dict(params)}")
    dtype = a.dtype
    if name == "rfft":
        dtype = np.dtype(_COMPLEX[dtype.char])
    elif name == "irfft":
        dtype = real_of(dtype)
    return [Spec((*a.shape[:axis], n // 2 + 1 if name == "rfft" else n, *a.shape[axis + 1 :]), dtype)]


def _evaluate(name: str, a: Array, n: int, axis: int, norm: str) -> Array:
    found: Array = getattr(np.fft, name)(a, n, axis, norm)
    return found


for _name in NAMES:
    PRIMITIVES[_name] = Primitive(
        "transform", partial(_infer, _name), partial(_evaluate, _name), "a", f"np.fft.{_name}(a, n, axis, norm)",
        "as NumPy's function",
    )  # fmt: skip
    batching.RULES[_name] = batching.along_axis


# -- on symbols --------------------------------------------------------------------------------------------------


def _transformed(
    name: str, a: Operand, n: int | None = None, axis: int = -1, norm: str | None = None, out: None = None
) -> Symbol:
    a = array_of(builder_of(a), a)
    axis = normalize_axis_index(axis, a.ndim)
    real = np.result_type(real_of(a.dtype), 1.0)
    if out is not None or real.char not in _COMPLEX or (name == "rfft" and a.dtype.kind == "c"):
        raise CannotLower(f"{name} of {a.dtype}, or with out=")
    if norm not in (None, "backward", "ortho", "forward"):
        raise CannotLower(f"{name} with norm={norm!r}")
    have = a.shape[axis]
    length = operator.index(n) if n is not None else 2 * (have - 1) if name == "irfft" else have
    if length < 1:
        raise ValueError(f"Invalid number of FFT data points ({length}) specified.")
    given = a.builder.cast(a.value, real if name == "rfft" else np.dtype(_COMPLEX[real.char]))
    return Symbol(a.builder, a.builder.emit(name, given, n=length, axis=axis, norm=norm or "backward"))


BY_NAME |= {f"numpy.fft.{name}": partial(_transformed, name) for name in NAMES}
