"""The same values in another arrangement: rolled, rotated, cut to triangles and windows."""

from __future__ import annotations
