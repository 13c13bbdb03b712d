"""Convolution, and what moves the elements of images without computing.

Each family of convolutions is closed under differentiation. `conv2d`, `conv2d_input_grad` (the transposed convolution)
and `conv2d_weight_grad` are each linear in two arrays, and the rules of each are the other two, so derivatives of every
order come from these three; over one and three axes likewise.

Images that a convolution gives are views with axes (batch, channel, height, width) of memory in which the batch is
innermost. Elementwise functions, pooling and normalisation keep that order, so that a stack of layers transposes once,
at its input. `spatial` says why.
"""
