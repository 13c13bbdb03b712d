"""The way from a model to a trained one: a loop, its state, what watches it, and what is kept."""

from tapenet.training.checkpoint import Checkpoint

__all__ = ["Checkpoint"]
