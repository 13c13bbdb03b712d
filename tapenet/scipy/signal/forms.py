"""Filters by coefficients, roots and sections: from one form to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.scipy.signal.design import Roots, sections
from tapenet.scipy.signal.normalization import normalize
from tapenet.scipy.signal.systems import ss2tf
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def tf2zpk(b: ArrayLike, a: ArrayLike) -> Roots:
    """The zeros, poles and gain of a filter from its coefficients, which `normalize` reads. There are gradients where roots
    differ.

    >>> import tapenet as tn
    >>> [part.real.round(6) for part in tn.scipy.signal.tf2zpk([2.0, -2.0], tn.tensor([1.0, -0.5]))]
    [Tensor([1.]), Tensor([0.5]), Tensor(2.)]
    """
    b, a = normalize(b, a)
    k = b[0]
    return np.roots(b / k), np.roots(a), k


def ss2zpk(A: ArrayLike, B: ArrayLike, C: ArrayLike, D: ArrayLike, input: int = 0) -> Roots:
    """The zeros, poles and gain of a system of one output from its matrices. There are gradients where roots differ.

    >>> import tapenet as tn
    >>> [part.real for part in tn.scipy.signal.ss2zpk(tn.tensor([[-2.0]]), [[1.0]], [[3.0]], [[1.0]])]
    [Tensor([-5.]), Tensor([-2.]), Tensor(1.)]
    """
    num, den = ss2tf(*(np.atleast_2d(array_like(m)) for m in (A, B, C, D)), input)
    return tf2zpk(num[0], den)


def zpk2sos(z: ArrayLike, p: ArrayLike, k: ArrayLike, pairing: str | None = None, *, analog: bool = False) -> Array:
    """Sections of second order of a filter that is given by its zeros, poles and gain. SciPy says which roots belong together.

    Raises:
        ValueError: what SciPy refuses; or roots that a compiled program computes: which belong together depends on their
            values.

    >>> import tapenet as tn
    >>> tn.scipy.signal.zpk2sos([1.0], [0.5], tn.tensor(2.0))
    Tensor([[ 2. , -2. ,  0. ,  1. , -0.5,  0. ]])
    """
    return sections(array_like(z), array_like(p), array_like(k), analog, pairing)


def tf2sos(b: ArrayLike, a: ArrayLike, pairing: str | None = None, *, analog: bool = False) -> Array:
    """Sections of second order of a filter that is given by its coefficients; see `tf2zpk` and `zpk2sos`.

    >>> import tapenet as tn
    >>> tn.scipy.signal.tf2sos([2.0, -2.0], tn.tensor([1.0, -0.5])).round(6)
    Tensor([[ 2. , -2. ,  0. ,  1. , -0.5,  0. ]])
    """
    return zpk2sos(*tf2zpk(b, a), pairing, analog=analog)


def sos2tf(sos: ArrayLike) -> tuple[Array, Array]:
    """The coefficients of a cascade of sections of second order.

    >>> import tapenet as tn
    >>> tn.scipy.signal.sos2tf(tn.tensor([[1.0, 1.0, 0.0, 1.0, -0.5, 0.0], [2.0, 0.0, 0.0, 1.0, 0.0, 0.0]]))[0]
    Tensor([2., 2., 0., 0., 0.])
    """
    sos = np.atleast_2d(array_like(sos))
    b, a = sos[0, :3], sos[0, 3:]
    for section in range(1, sos.shape[0]):
        b, a = np.convolve(b, sos[section, :3]), np.convolve(a, sos[section, 3:])
    return b, a


def sos2zpk(sos: ArrayLike) -> Roots:
    """The zeros, poles and gain of a cascade of sections of second order: two of each a section, which may be 0. There are
    gradients where roots differ.

    >>> import tapenet as tn
    >>> tn.scipy.signal.sos2zpk(tn.tensor([[2.0, -2.0, 0.0, 1.0, -0.5, 0.0]]))[2]
    Tensor(2.)
    """
    sos = np.atleast_2d(array_like(sos))
    zeros: list[Array] = []
    poles: list[Array] = []
    gain: Array = np.ones(())
    for section in range(sos.shape[0]):
        z, p, k = tf2zpk(sos[section, :3], sos[section, 3:])
        for found, roots in ((zeros, z), (poles, p)):
            found.append(np.concatenate([roots, np.zeros(2 - roots.shape[0])]).astype(np.complex128))
        gain = gain * k
    return np.concatenate(zeros), np.concatenate(poles), gain
