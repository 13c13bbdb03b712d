"""Activation functions: formulas, from which their gradients and kernels come.

None of them warns or gives nan at large finite arguments, in the forward or in the gradient. Where `np.where` decides, the
gradient of the branch not taken is 0, also if an infinite one arrives.
"""
