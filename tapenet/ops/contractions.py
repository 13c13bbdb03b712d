"""Sums of products over axes beyond the matrix product."""

from __future__ import annotations
