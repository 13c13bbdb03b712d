"""For code that was written for PyTorch."""
