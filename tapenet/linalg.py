"""Linear algebra on tensors, as `np.linalg`: every function is that of the same name there."""

from tapenet.ops.contractions import tensordot
from tapenet.ops.linalg.decompositions import (
    svd,
    svd_factors,
    svdvals,
)
from tapenet.ops.linalg.degenerate import apart, gap_quotient, noting_use, provided
from tapenet.ops.linalg.determinants import (
    det,
    null_shift,
    slogdet,
)
from tapenet.ops.linalg.eigen import (
    eig,
    eig_factors,
    eigh,
    eigh_factors,
    eigvals,
    eigvalsh,
    nearest_order,
)
from tapenet.ops.linalg.factorizations import (
    cholesky,
    qr,
    qr_factors,
    qr_raw,
)
from tapenet.ops.linalg.norms import (
    cond,
    matrix_norm,
    norm,
    vector_norm,
)
from tapenet.ops.linalg.products import (
    cross,
    diagonal,
    matrix_transpose,
    multi_dot,
    outer,
    trace,
    vecdot,
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
from tapenet.ops.products import matmul

__all__ = [
    "apart",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eig_factors",
    "eigh",
    "eigh_factors",
    "eigvals",
    "eigvalsh",
    "gap_quotient",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "nearest_order",
    "norm",
    "noting_use",
    "null_shift",
    "outer",
    "pinv",
    "provided",
    "qr",
    "qr_factors",
    "qr_raw",
    "slogdet",
    "solve",
    "svd",
    "svd_factors",
    "svdvals",
    "tensordot",
    "tensorinv",
    "tensorsolve",
    "trace",
    "vecdot",
    "vector_norm",
]
