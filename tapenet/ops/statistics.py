"""Averages, quantiles, covariances and other statistics."""

from __future__ import annotations
