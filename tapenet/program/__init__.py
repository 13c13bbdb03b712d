"""The common language: programs of primitives over arrays, what reads them from plain NumPy code, improves and runs them.

Knows arrays alone: no ops, no tensors, no tapes.
"""

import time

#: When this process began to read tapenet's code, in seconds: what was changed later is not what it runs.
BEGUN = time.time()
