"""Differences, integrals, interpolation and convolution of sampled functions."""

from __future__ import annotations
