"""Medians and quantiles."""

from __future__ import annotations
