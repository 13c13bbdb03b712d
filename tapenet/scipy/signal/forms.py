"""Filters by coefficients, roots and sections: from one form to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, known
from tapenet.scipy.signal.design import Roots, sections
from tapenet.scipy.signal.systems import ss2tf
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _roots(c: Array) -> Array:
    """The roots of a polynomial, the eigenvalues of its companion matrix."""
    n = c.shape[0] - 1
    if n < 1:
        return np.zeros(0)
    matrix = np.concatenate([-c[np.newaxis, 1:] / c[0], np.eye(n - 1, n)])
    found: Array = np.linalg.eigvals(matrix)
    return found


def _stripped(c: Array) -> Array:
    """Coefficients without what is 0 at their beginning, where values are known."""
    values = known(c)
    there = np.flatnonzero(values) if values is not None else np.zeros(1, int)
    found: Array = c[there[0] if there.size else -1 :]
    return found


def tf2zpk(b: ArrayLike, a: ArrayLike) -> Roots:
    """The zeros, poles and gain of a filter from its coefficients. There are gradients where roots differ.

    >>> import tapenet as tn
    >>> [part.real.round(6) for part in tn.scipy.signal.tf2zpk([2.0, -2.0], tn.tensor([1.0, -0.5]))]
    [array([1.]), Tensor([0.5]), Tensor(2.)]
    """
    parts, leads = [], []
    for c in (b, a):
        stripped = _stripped(np.atleast_1d(array_like(c)))
        parts.append(_roots(stripped))
        leads.append(stripped[0])
    return parts[0], parts[1], leads[0] / leads[1]


def ss2zpk(A: ArrayLike, B: ArrayLike, C: ArrayLike, D: ArrayLike, input: int = 0) -> Roots:
    """The zeros, poles and gain of a system of one output from its matrices. There are gradients where roots differ.

    >>> import tapenet as tn
    >>> _, poles, gain = tn.scipy.signal.ss2zpk(tn.tensor([[-2.0]]), [[1.0]], [[3.0]], [[0.0]])
    >>> poles.real, gain
    (Tensor([-2.]), Tensor(3.))
    """
    num, den = ss2tf(*(np.atleast_2d(array_like(m)) for m in (A, B, C, D)), input)
    return tf2zpk(num[0], den)


def zpk2sos(z: ArrayLike, p: ArrayLike, k: ArrayLike, pairing: str | None = None, *, analog: bool = False) -> Array:
    """Sections of second order of a filter that is given by its zeros, poles and gain. SciPy says which roots belong together.

    Raises:
        ValueError: roots that a compiled program computes: which belong together depends on their values.

    >>> import tapenet as tn
    >>> tn.scipy.signal.zpk2sos([1.0], [0.5], tn.tensor(2.0))
    Tensor([[ 2. , -2. ,  0. ,  1. , -0.5,  0. ]])
    """
    return sections(np.atleast_1d(array_like(z)), np.atleast_1d(array_like(p)), k, analog, pairing)


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
