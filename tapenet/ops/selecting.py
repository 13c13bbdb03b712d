"""Selecting elements by index, condition or choice."""

from __future__ import annotations
