"""Writing to parts of an array, in place as NumPy's own functions do."""

from __future__ import annotations
