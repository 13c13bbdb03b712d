"""Functions whose results are complex where real numbers have none, as `np.emath`: every function is that of the same
name there. `np.emath.sqrt(-1)` is 1j.
"""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
