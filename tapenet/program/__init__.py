"""The common language: programs of primitives over arrays, what reads them from plain NumPy code, improves and runs them.

Knows arrays alone: no ops, no tensors, no tapes.
"""
