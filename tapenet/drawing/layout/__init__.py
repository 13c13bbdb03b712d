"""Where everything stands in a still picture: boxes in layers, clusters around them, and the ways of the arrows."""

from tapenet.drawing.layout.layout import place

__all__ = ["place"]
