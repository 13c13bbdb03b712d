"""Sparse arrays whose stored values are tensors, as `scipy.sparse`: every name is that of the same name there."""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
