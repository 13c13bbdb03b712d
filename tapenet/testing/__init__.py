"""Checks of what you define: gradients, ops, ... A check raises an `AssertionError` that names what is wrong."""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
