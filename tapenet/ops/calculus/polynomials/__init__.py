"""Polynomials by their coefficients, the highest power first, as `np.poly1d` and the like have them.

`np.poly1d` itself is a class, whose objects hold arrays only: give the functions tensors of coefficients.
"""
