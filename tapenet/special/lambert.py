"""Lambert's function W, and Wright's ω.

Reference: NIST Digital Library of Mathematical Functions, 4.13.
"""

from __future__ import annotations

import numpy as np

from tapenet.ops.op import op
from tapenet.special.definition import special
from tapenet.typing import Array


def _ufunc() -> np.ufunc:
    """What SciPy's function calls, so that it takes tensors too."""
    import scipy.special._ufuncs

    found: np.ufunc = scipy.special._ufuncs._lambertw
    return found


_lambertw = op(
    _ufunc(), name="lambertw", numpy=(_ufunc(),), nondiff=("y", "z"), x=lambda g, out: g * np.exp(-out) / (1 + out)
)


def lambertw(z: Array, k: int = 0, tol: float = 1e-8) -> Array:
    """`scipy.special.lambertw`: the w of w exp(w) = z on the branch k, complex, element by element.

    Args:
        z: an array, of real or complex numbers.
        k: the branch, a whole number.
        tol: at which step SciPy's iteration ends.

    >>> import tapenet as tn
    >>> tn.special.lambertw(tn.tensor([1.0])).real
    Tensor([0.56714329])
    """
    return _lambertw(z, k, tol)


wrightomega = special("wrightomega", "out / (1 + out)", x=lambda g, out: g * out / (1 + out))
