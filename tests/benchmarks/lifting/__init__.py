"""NumPy programs as they are, compiled, beside NumPy and beside versions written by hand for JAX."""
