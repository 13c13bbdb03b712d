"""Steps of layers in tapenet, eager and compiled, beside PyTorch and JAX: convolutional, recurrent, transformer, embedding."""
