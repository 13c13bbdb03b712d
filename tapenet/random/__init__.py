"""Random numbers, all drawn from one generator for the process, which `seed` starts anew: initial weights, dropout and the
order of batches too. What draws also takes `rng=`, a generator or an integer to make one from.
"""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
