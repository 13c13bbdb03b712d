"""Linear algebra on tensors, as `np.linalg`: every function is that of the same name there."""

from tapenet.ops.linalg.decompositions import (
    svd,
    svdvals,
)
from tapenet.ops.linalg.determinants import (
    det,
    slogdet,
)
from tapenet.ops.linalg.eigen import (
    eig,
    eigh,
    eigvals,
    eigvalsh,
)
from tapenet.ops.linalg.factorizations import (
    cholesky,
    qr,
)
from tapenet.ops.linalg.least_squares import (
    lstsq,
    matrix_rank,
    pinv,
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
)
from tapenet.ops.linalg.solving import (
    inv,
    matrix_power,
    solve,
    tensorinv,
    tensorsolve,
)
from tapenet.ops.products.contractions import (
    tensordot,
)
from tapenet.ops.products.matmul import (
    matmul,
)
from tapenet.ops.products.vectors import (
    vecdot,
)

__all__ = [
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "tensorinv",
    "tensorsolve",
    "trace",
    "vecdot",
    "vector_norm",
]
