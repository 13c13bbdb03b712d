"""Polynomials by their coefficients, the highest power first, as `np.poly1d` and its kin have them."""

from __future__ import annotations
