"""SciPy on tensors: what `scipy` has under a name, here takes tensors, and gradients flow through it."""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
