"""Linear algebra on tensors, as `np.linalg`: every function is that of the same name there."""
