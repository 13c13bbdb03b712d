"""Running sums, products and extremes."""

from __future__ import annotations
