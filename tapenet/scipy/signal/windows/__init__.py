"""Windows with gradients by their parameters, as `scipy.signal.windows`: every name is that of the same name there."""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
