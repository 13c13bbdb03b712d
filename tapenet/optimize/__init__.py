"""SciPy's optimizers with exact derivatives, as `scipy.optimize`: functions of nested parameters, solutions that can be
differentiated."""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
