"""Normalisation: inputs brought to mean 0 and variance 1, or to length 1, then scaled and shifted by learned parameters."""
