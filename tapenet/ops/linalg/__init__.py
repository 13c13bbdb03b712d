"""Linear algebra, on single matrices and on stacks of them: what `np.linalg` has."""

from tapenet.ops.linalg import decompositions as decompositions
from tapenet.ops.linalg import degenerate as degenerate
from tapenet.ops.linalg import determinants as determinants
from tapenet.ops.linalg import eigen as eigen
from tapenet.ops.linalg import factorizations as factorizations
from tapenet.ops.linalg import least_squares as least_squares
from tapenet.ops.linalg import norms as norms
from tapenet.ops.linalg import products as products
from tapenet.ops.linalg import solving as solving
