"""Linear algebra on tensors, as `np.linalg`: every function is that of the same name there."""

from tapenet.ops.linalg.decompositions import (
    svd,
    svd_factors,
    svdvals,
)
from tapenet.ops.linalg.degenerate import gap_quotient, provided

__all__ = [
    "gap_quotient",
    "provided",
    "svd",
    "svd_factors",
    "svdvals",
]
