"""Functions whose results are complex where real numbers have none, as `np.emath`: every function is that of the same
name there. `np.emath.sqrt(-1)` is 1j.
"""

from tapenet.ops.emath import arccos, arcsin, arctanh, log, log2, log10, logn, power, sqrt

__all__ = [
    "arccos",
    "arcsin",
    "arctanh",
    "log",
    "log2",
    "log10",
    "logn",
    "power",
    "sqrt",
]
