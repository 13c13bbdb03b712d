"""How parameters are updated: optimizers, learning rates as functions of the step, clipping of gradients, averages."""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
