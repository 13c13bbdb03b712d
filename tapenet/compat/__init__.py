"""For code that was written for PyTorch or autograd."""
