"""Functions to functions: gradients and products with Jacobians."""
