"""Complex numbers: their parts, conjugates and angles.

Rules know the gradient g for which dL = Re(Σ g dz), see `docs/mathematics.md`.
"""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import op
from tapenet.ops.registry import Sample, sample
from tapenet.typing import Array


def complex_samples(r: np.random.Generator) -> list[Sample]:
    """Calls of a function of one array, on complex and on real numbers: a matrix, a 0-d array, nothing."""
    calls = [sample(r.normal(size=shape) + 1j * r.normal(size=shape)) for shape in ((2, 3), (), (0, 2))]
    return [*calls, sample(r.normal(size=(2, 2)))]


conjugate = op(
    np.conjugate,
    name="conjugate",
    numpy=np.conjugate,
    label="conj",
    x=lambda g: np.conj(g),
    doc="""The complex conjugate, element by element; a real number is its own. Also called `conj`.

    Args:
        x: an array, of any shape.

    Returns:
        an array of the shape and dtype of `x`.

    >>> import tapenet as tn
    >>> tn.conj(tn.tensor([1 + 2j]))
    Tensor([1.-2.j], dtype=complex128)
    """,
    samples=complex_samples,
)


@op(
    numpy=np.real,
    label="Re",
    val=lambda g: g,
    vmap="leading",
    samples=complex_samples,
)
def real(val: Array) -> Array:
    """The real part, element by element: a real array. A real number is its own.

    Args:
        val: an array, of any shape.

    Returns:
        an array of the shape of `val`, of real numbers as precise as those of `val`.

    >>> import tapenet as tn
    >>> tn.real(tn.tensor([1 + 2j]))
    Tensor([1.])
    """
    return np.real(val)


@op(
    numpy=np.imag,
    label="Im",
    val=lambda g: g * -1j,
    vmap="leading",
    samples=complex_samples,
)
def imag(val: Array) -> Array:
    """The imaginary part, element by element: a real array. That of a real number is 0.

    Args:
        val: an array, of any shape.

    Returns:
        an array of the shape of `val`, of real numbers as precise as those of `val`.

    >>> import tapenet as tn
    >>> tn.imag(tn.tensor([1 + 2j]))
    Tensor([2.])
    """
    return np.imag(val)


def _angle_z(g: Array, z: Array, deg: bool) -> object:
    # With θ the imaginary part of ln z, dθ = Im(dz / z) = Re(-i dz / z).
    turn = -1j * (180 / math.pi) if deg else -1j
    return safe_mul(g, np.where(z == 0, 0, turn / np.where(z == 0, 1, z)))


@op(
    numpy=np.angle,
    label="∠",
    z=_angle_z,
    vmap="leading",
    samples=lambda r: [
        *complex_samples(r),
        sample(np.array([1 + 1j, -0.5 - 2j, -1 + 0.5j]), deg=True),
        sample(np.array([-1.5, 2.0]), True),
    ],
)
def angle(z: Array, deg: bool = False) -> Array:
    """The angle of a complex number from the positive real axis, element by element, in (-π, π].

    Its gradient is 0 where z is 0, and where z is real: moving along the real axis does not turn z.

    Args:
        z: an array of complex or real numbers, of any shape.
        deg: in degrees rather than radians.

    Returns:
        an array of the shape of `z`, of real numbers as precise as those of `z`.

    >>> import tapenet as tn
    >>> tn.angle(tn.tensor([1 + 1j, -1j]), deg=True)
    Tensor([ 45., -90.])
    """
    return np.angle(z, deg)


@op(
    numpy=np.real_if_close,
    label="Re if close",
    a=lambda g: g,
    samples=lambda r: [
        *complex_samples(r),
        sample(r.normal(size=3) + 1j * 1e-12),
        sample(r.normal(size=3) + 1j * 1e-12, 1e-9),
        sample(r.normal(size=3) + 0j, tol=10),
    ],
)
def real_if_close(a: Array, tol: float = 100) -> Array:
    """The real parts, if all imaginary parts are close to zero; else the array as it is.

    The dtype of the result depends on values. A captured step keeps that of the capture, and its replay raises
    ValueError where NumPy's would be another; use `tn.real` there.

    Args:
        a: an array, of any shape.
        tol: how many times the dtype's smallest difference from 1 is close to zero; if not above 1, what is.

    Returns:
        an array of the shape of `a`.

    >>> import tapenet as tn
    >>> tn.real_if_close(tn.tensor([1 + 1e-15j]))
    Tensor([1.])
    """
    return np.real_if_close(a, tol)


# The other name, as NumPy has it.
conj = conjugate
