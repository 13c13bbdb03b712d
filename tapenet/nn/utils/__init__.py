"""Helpers around layers, under PyTorch's names."""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
