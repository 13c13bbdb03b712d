"""NumPy functions that have no place in a graph, each with what to write instead; questions with plain answers."""

from __future__ import annotations
