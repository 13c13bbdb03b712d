"""Sums of products: of matrices, of vectors, over any axes."""
