"""Training steps of whole networks, tapenet eager and compiled, beside PyTorch and JAX: times and memory."""
