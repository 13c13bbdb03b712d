"""The ops of the cookbook in tapenet, JAX, PyTorch and autograd, side by side."""
