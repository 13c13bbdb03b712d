"""Arrays made from the shape of others, or between two ends."""

from __future__ import annotations
