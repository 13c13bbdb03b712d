"""Helpers around layers, under PyTorch's names."""

from __future__ import annotations

from tapenet.nn.utils import rnn

__all__ = ["rnn"]
