"""NumPy programs as they are: in-place code, loops and branches, recorded."""
