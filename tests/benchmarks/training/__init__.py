"""`tn.training.fit` beside a loop written by hand, and beside PyTorch and Keras on the way to an accuracy."""
