"""A small model and its data."""

from __future__ import annotations

from typing import Any

import numpy as np

import tapenet as tn
from tapenet import nn

_r = np.random.default_rng(0)
X = _r.normal(size=(70, 6)).astype(np.float32)
Y = _r.integers(0, 3, 70)


def made() -> Any:
    """A model with running statistics and dropout. (No bias before the normalisation: its gradient is rounding alone.)"""
    tn.random.seed(0)
    return nn.Sequential(nn.Linear(6, 16, bias=False), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 3))


def batches() -> Any:
    return tn.data.batches(X, Y, batch_size=16, shuffle=True, seed=3)


def weights(net: Any) -> np.ndarray[Any, Any]:
    return np.concatenate([value.ravel() for value in net.state_dict().values()])
