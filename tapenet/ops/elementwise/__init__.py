"""Functions of one element, or of two that broadcast."""
