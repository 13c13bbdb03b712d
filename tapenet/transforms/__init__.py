"""Functions to functions: derivatives forward and backward, batching, Jacobians, rules for whole functions."""
