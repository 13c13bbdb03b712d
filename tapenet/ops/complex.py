"""Complex numbers: their parts, conjugates and angles."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.op import op, sample

conjugate = op(
    np.conjugate,
    name="conjugate",
    numpy=np.conjugate,
    x=lambda g: np.conjugate(g),
    label="conj",
    formula="x with the sign of its imaginary part changed",
    gradients="x: conj g",
    doc="""The complex conjugate, element by element; of real numbers the number itself.

    >>> import tapenet as tn
    >>> tn.conj(tn.tensor([1.0 + 2.0j]))
    Tensor([1.-2.j], dtype=complex128)
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)) + 1j * r.normal(size=(2, 3))),
        sample(r.normal(size=3)),
    ],
)
conj = conjugate


real = op(
    lambda val: np.real(val),
    name="real",
    numpy=np.real,
    val=lambda g: g,
    formula="Re val",
    gradients="val: g",
    doc="""The real part, element by element.

    >>> import tapenet as tn
    >>> tn.real(tn.tensor([1.0 + 2.0j]))
    Tensor([1.])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)) + 1j * r.normal(size=(2, 3))),
        sample(r.normal(size=3)),
    ],
)
