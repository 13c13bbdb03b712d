"""Layers at the edges: nothing in a batch, one element, and inputs that do not fit."""

from __future__ import annotations

from collections.abc import Callable
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
    "LayerNorm of nothing": (lambda m: m.LayerNorm(0), (2, 3, 0)),
    "LayerNorm of nothing, several axes": (lambda m: m.LayerNorm((3, 0)), (2, 3, 0)),
    "RMSNorm of nothing": (lambda m: m.RMSNorm(0), (2, 3, 0)),
    "GroupNorm of nothing": (lambda m: m.GroupNorm(2, 4, affine=False), (2, 4, 0)),
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


WRONG: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "Linear": (lambda: nn.Linear(-1, 2), ValueError, "Linear: in_features=-1: give an integer of 0 or more"),
    "Linear of a float": (lambda: nn.Linear(3, 2.0), TypeError, "Linear: out_features=2.0: give an integer"),
    "Linear of a number": (lambda: nn.Linear(3, 2)(1.0), ValueError, "linear.*x is a single number"),
    "Conv1d": (lambda: nn.Conv1d("3", 2, 1), TypeError, "Conv1d: in_channels='3': give an integer of 0 or more"),
    "Conv2d kernel": (lambda: nn.Conv2d(3, 2, 0), ValueError, "Conv2d: kernel_size=0: give an integer of 1 or more"),
    "Conv2d padding": (lambda: nn.Conv2d(3, 2, 1, padding="full"), ValueError, "Conv2d: padding='full': it is 'valid'"),
    "Conv2d groups": (lambda: nn.Conv2d(3, 2, 1, groups=0), ValueError, "Conv2d: groups=0: give an integer of 1 or more"),
    "Embedding": (lambda: nn.Embedding(3, -2), ValueError, "Embedding: embedding_dim=-2: give an integer"),
    "Embedding padding": (lambda: nn.Embedding(3, 2, 0.5), TypeError, "Embedding: padding_idx=0.5: give an integer"),
    "LSTM": (lambda: nn.LSTM(3, 0), ValueError, "LSTM: hidden_size=0: give an integer of 1 or more"),
    "GRUCell": (lambda: nn.GRUCell(3, 0), ValueError, "GRUCell: hidden_size=0: give an integer of 1 or more"),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(2.5), TypeError, "BatchNorm1d: num_features=2.5: give an integer"),
    "LayerNorm": (lambda: nn.LayerNorm((2, -3)), ValueError, "LayerNorm: normalized_shape=-3: give an integer"),
    "LayerNorm of nothing": (lambda: nn.LayerNorm([]), ValueError, r"normalized_shape=\(\): give the length of one axis"),
    "Dropout": (lambda: nn.Dropout("0.5"), TypeError, "Dropout: p='0.5' is no probability"),
    "TransformerEncoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), -1),
        ValueError,
        "TransformerEncoder: num_layers=-1: give an integer of 0 or more",
    ),
    "MultiheadAttention": (
        lambda: nn.MultiheadAttention(4, 2)(*np.zeros((3, 2, 1, 5))),
        ValueError,
        "multi_head_attention_forward: query has vectors of 5",
    ),
    "Upsample": (lambda: nn.Upsample(2.5)(np.zeros((1, 1, 2))), TypeError, "interpolate: size=2.5: give an integer"),
    "Softplus": (lambda: nn.Softplus(0)(np.zeros(1)), ValueError, "softplus.*beta=0 divides"),
    "BCEWithLogitsLoss": (
        lambda: nn.BCEWithLogitsLoss(pos_weight=np.ones(3))(np.zeros((2, 4)), np.zeros((2, 4))),
        ValueError,
        r"pos_weight of shape \(3,\) does not broadcast to the input's \(2, 4\)",
    ),
    "weight_norm": (
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, 3), dim=2),
        ValueError,
        r"weight_norm: dim=2 is no axis of a weight of shape \(3, 2\)",
    ),
    "zeros_": (lambda: nn.init.zeros_(np.ones(3)), TypeError, "initialisers write into a tensor.*not ndarray"),
    "uniform_": (lambda: nn.init.uniform_(nn.Parameter([0.0]), 2, 1), ValueError, "uniform_: a=2 must not exceed b=1"),
    "normal_": (lambda: nn.init.normal_(nn.Parameter([0.0]), std=-1), ValueError, "normal_: std=-1 must be 0 or more"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_errors_name_the_layer_and_the_fix(name: str) -> None:
    make, error, words = WRONG[name]
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("index", [-1, 3])
def test_vectors_are_not_shortened_where_an_index_is_none_of_them(index: int) -> None:
    for layer in nn.Embedding(3, 2, max_norm=0.1), nn.EmbeddingBag(3, 2, max_norm=0.1, mode="sum"):
        before = layer.weight.numpy().copy()
        with pytest.raises(IndexError, match="but the embedding has 3 vectors: 0 to 2"):
            layer([[0, index]])
        np.testing.assert_array_equal(layer.weight.data, before)


def test_a_bag_that_does_not_fit_shortens_no_vectors() -> None:
    layer = nn.EmbeddingBag(3, 2, max_norm=0.1)
    before = layer.weight.numpy().copy()
    with pytest.raises(ValueError, match="offsets begin with 0"):
        layer([0, 1, 2], [1])
    np.testing.assert_array_equal(layer.weight.data, before)


@pytest.mark.parametrize("name", ["CELU", "ELU", "SELU", "LogSigmoid", "Softplus", "Softmax", "LogSoftmax", "RReLU"])
def test_activations_of_integers_are_those_of_floats(name: str) -> None:
    layer = getattr(nn, name)().eval()
    for x in ([1, -2], np.array([1, -2], np.int8), 3):
        out = layer(x)
        assert out.dtype == np.float64
        np.testing.assert_array_equal(out, layer(np.asarray(x, np.float64)))


def test_the_output_size_of_a_transposed_convolution_may_be_one_number() -> None:
    layer, x = nn.ConvTranspose2d(2, 3, 3, stride=2), np.ones((1, 2, 4, 4))
    assert layer(x, output_size=10).shape == (1, 3, 10, 10)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_padding_with_a_negative_side(mode: str) -> None:
    """What is cut off still stands in the border that reflects or replicates it."""
    torch = pytest.importorskip("torch")
    data = np.arange(24.0).reshape(1, 2, 3, 4)
    tried = 0
    for pad in ((-1, 3), (3, -2), (-2, 2), (-3, 1), (1, -1, -1, 2), (-1, -1, 2, -1), (-1, 2, -2, 1)):
        if mode == "circular" and pad in ((-3, 1), (3, -2), (-2, 2)):
            continue  # PyTorch reads memory that is not the array's where the rest is shorter than the border
        x, tx = tn.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
        whole = pad if len(pad) == 4 or mode == "constant" else (*pad, 0, 0)
        expected = torch.nn.functional.pad(tx, whole, mode)
        out = F.pad(x, whole, mode)
        np.testing.assert_array_equal(out.data, expected.detach().numpy())
        (out * out).sum().backward()
        (expected * expected).sum().backward()
        np.testing.assert_array_equal(x.grad.data, tx.grad.numpy())
        tried += 1
    assert tried >= 4
