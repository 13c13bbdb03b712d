"""SciPy's own tests of values, run on tensors."""
