"""Whole training steps of tapenet, eager and compiled, beside PyTorch, JAX and hand-written NumPy."""
