"""Linear algebra, on single matrices and on stacks of them: what `np.linalg` has."""

from tapenet.ops.linalg import decompositions as decompositions
from tapenet.ops.linalg import degenerate as degenerate
