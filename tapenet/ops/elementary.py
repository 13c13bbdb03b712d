"""Elementary functions beyond those of everyday models, element by element."""

from __future__ import annotations
