"""Resampling: an image read at other places than its own, on a grid of another size or wherever asked."""
