"""Reductions that pass over nan."""

from __future__ import annotations
