"""Data sets, samplers, collation and the loader."""
