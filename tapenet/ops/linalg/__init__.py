"""Linear algebra, on single matrices and on stacks of them: what `np.linalg` has."""
