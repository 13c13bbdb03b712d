"""Layers at the edges: nothing in a batch, one element, and inputs that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.nn import functional as F
from tests.nn.oracle import Make, beside_torch

pytest.importorskip("torch")

#: A layer, and the shape of an input without elements.
EMPTY: dict[str, tuple[Make, tuple[int, ...]]] = {
    "Linear": (lambda m: m.Linear(4, 3), (0, 4)),
    "Linear of matrices": (lambda m: m.Linear(4, 3), (0, 2, 4)),
    "AdaptiveMaxPool2d": (lambda m: m.AdaptiveMaxPool2d(1), (0, 4, 3, 2)),
    "AdaptiveMaxPool1d": (lambda m: m.AdaptiveMaxPool1d(2), (0, 4, 3)),
    "MaxPool2d": (lambda m: m.MaxPool2d((3, 2)), (0, 4, 3, 2)),
    "AvgPool2d": (lambda m: m.AvgPool2d((3, 2)), (0, 4, 3, 2)),
    "Conv2d": (lambda m: m.Conv2d(4, 3, 2), (0, 4, 3, 2)),
    "ConvTranspose2d": (lambda m: m.ConvTranspose2d(4, 3, 2), (0, 4, 3, 2)),
    "BatchNorm1d": (lambda m: m.BatchNorm1d(4), (0, 4)),
    "BatchNorm2d": (lambda m: m.BatchNorm2d(4, momentum=None), (0, 4, 3, 2)),
    "GroupNorm": (lambda m: m.GroupNorm(2, 4), (0, 4, 3)),
    "LayerNorm": (lambda m: m.LayerNorm(4), (0, 3, 4)),
}


@pytest.mark.parametrize("name", EMPTY)
def test_nothing_in_the_batch(name: str) -> None:
    make, shape = EMPTY[name]
    beside_torch(make, shape)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_linear_layer_of_nothing_gives_its_bias() -> None:
    beside_torch(lambda m: m.Linear(0, 3), (0,))


def test_an_empty_batch_of_instance_norm_leaves_its_statistics_alone() -> None:
    layer = nn.InstanceNorm1d(2, track_running_stats=True)  # PyTorch makes them nan
    assert layer(np.zeros((0, 2, 3))).shape == (0, 2, 3)
    assert layer.running_mean.tolist() == [0, 0]
    assert layer.running_var.tolist() == [1, 1]


def test_a_batch_that_is_too_small_changes_no_statistics() -> None:
    layer = nn.BatchNorm1d(2)
    with pytest.raises(ValueError, match="fewer than two values per channel"):
        layer(np.ones((1, 2)))
    assert layer.num_batches_tracked.item() == 0
    assert layer.running_mean.tolist() == [0, 0]


@pytest.mark.parametrize("norm", [F.batch_norm, F.instance_norm])
def test_running_statistics_that_do_not_fit_change_nothing(norm: Any) -> None:
    x, mean = np.arange(12.0).reshape(2, 2, 3), tn.tensor(np.zeros(2))
    for var, error, words in (
        (tn.tensor(np.ones(3)), ValueError, r"running_var has shape \(3,\).*it must be \(2,\)"),
        (np.ones(2), TypeError, r"give running_var=nn.Buffer\(array\), not ndarray"),
    ):
        with pytest.raises(error, match=words):
            norm(x, mean, var, None, None, True)
    assert mean.tolist() == [0, 0]
