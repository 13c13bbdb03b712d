"""Polynomials by their coefficients, the highest power first, as `np.poly1d` and its kin have them.

`np.poly1d` itself is a class, whose objects hold arrays only: give the functions tensors of coefficients.
"""
