"""Sampled functions and polynomials: differences, integrals, interpolation, fits."""
