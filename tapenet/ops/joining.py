"""Joining, splitting and repeating arrays."""

from __future__ import annotations
