"""Measures of how well a model does, batch by batch."""
