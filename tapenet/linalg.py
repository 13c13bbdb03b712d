"""Linear algebra on tensors, as `np.linalg`: every function is that of the same name there."""

from tapenet.ops.linalg.decompositions import (
    svd,
    svd_factors,
    svdvals,
)
from tapenet.ops.linalg.degenerate import gap_quotient, provided
from tapenet.ops.linalg.determinants import (
    det,
    null_shift,
    slogdet,
)
from tapenet.ops.linalg.norms import (
    cond,
    matrix_norm,
    norm,
    vector_norm,
)
from tapenet.ops.linalg.solving import (
    inv,
    lstsq,
    matrix_power,
    matrix_rank,
    pinv,
    solve,
    tensorinv,
    tensorsolve,
)

__all__ = [
    "cond",
    "det",
    "gap_quotient",
    "inv",
    "lstsq",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "norm",
    "null_shift",
    "pinv",
    "provided",
    "slogdet",
    "solve",
    "svd",
    "svd_factors",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vector_norm",
]
