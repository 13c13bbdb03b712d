"""Implicit differentiation: derivatives of what a solver finds, by the equation that it solves. The solver is free."""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
