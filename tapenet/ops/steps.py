"""Rounding, number theory, bits and comparisons, element by element: without a derivative."""

from __future__ import annotations
