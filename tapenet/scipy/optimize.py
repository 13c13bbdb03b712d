"""`tn.optimize` under SciPy's name."""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
