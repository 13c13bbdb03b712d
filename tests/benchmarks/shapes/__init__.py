"""Layers over many shapes, float32: each convolution of well-known networks three ways, forward and its gradients by the input
and by the weights; each other layer forward, and forward with all gradients. tapenet and PyTorch are eager, JAX is jitted.

tapenet's convolutions are called with images as its own layers give them, batch innermost; PyTorch's with images and weights
contiguous and in channels_last; JAX's with channels last. Here all candidates share one process; turns take milliseconds.
A peer that is ten times as slow in its first turn has no further one.
"""
