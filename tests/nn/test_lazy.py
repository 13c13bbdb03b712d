"""Layers that ask their size of the first input."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim

R = np.random.default_rng(0)

#: Each lazy layer with its arguments, the layer that it becomes, its first argument, and an input.
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], str, int, tuple[int, ...]]] = [
    ("LazyLinear", (4,), {}, "Linear", 3, (2, 3)),
    ("LazyLinear", (4,), {"bias": False}, "Linear", 5, (2, 3, 5)),
    ("LazyLinear", (4, False), {}, "Linear", 5, (5,)),
]
for n in (1, 2, 3):
    image = (6,) * n
    CASES += [
        (f"LazyConv{n}d", (4, 3), {"groups": 2, "stride": 2}, f"Conv{n}d", 6, (2, 6, *image)),
        (f"LazyConv{n}d", (4, 3), {"bias": False}, f"Conv{n}d", 3, (3, *image)),
        (f"LazyConvTranspose{n}d", (4, 3), {"groups": 2}, f"ConvTranspose{n}d", 6, (2, 6, *image)),
        (f"LazyBatchNorm{n}d", (), {}, f"BatchNorm{n}d", 5, (2, 5, *image)),
        (f"LazyBatchNorm{n}d", (1e-4, 0.2), {"affine": False}, f"BatchNorm{n}d", 5, (2, 5, *image)),
        (f"LazyInstanceNorm{n}d", (), {}, f"InstanceNorm{n}d", 5, (2, 5, *image)),
    ]


def same(a: nn.Module, b: nn.Module) -> None:
    assert type(a) is type(b)
    assert repr(a) == repr(b)
    assert [n for n, _ in a.named_parameters()] == [n for n, _ in b.named_parameters()]
    ours, theirs = a.state_dict(), b.state_dict()
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name])
        assert value.dtype == theirs[name].dtype


@pytest.mark.parametrize(("lazy", "args", "options", "name", "size", "shape"), CASES)
def test_the_first_call_makes_the_layer(
    lazy: str, args: tuple[Any, ...], options: dict[str, Any], name: str, size: int, shape: tuple[int, ...]
) -> None:
    """The same as one whose size was written down, to the same random numbers; the tensors stay the same objects."""
    x = R.normal(size=shape).astype(np.float32)
    tn.random.seed(0)
    layer = getattr(nn, lazy)(*args, **options)
    before = dict(vars(layer))
    other = copy.deepcopy(layer)
    usual = {"affine": True, "track_running_stats": True} if "Instance" in lazy else {}
    out = layer(x)
    tn.random.seed(0)
    plain = getattr(nn, name)(size, *args, **{**usual, **options})
    np.testing.assert_array_equal(out.data, plain(x).data)
    same(layer, plain)
    assert isinstance(other, (getattr(nn, name), getattr(nn, lazy)))
    for attribute, value in before.items():
        if isinstance(value, tn.Tensor):
            assert getattr(layer, attribute) is value
            assert not isinstance(value, (nn.UninitializedParameter, nn.UninitializedBuffer))
    # A state says the size as well as an input does.
    if [n for n in layer.state_dict() if n != "num_batches_tracked"]:
        other.load_state_dict(layer.state_dict())
        same(other, layer)


def test_before_the_first_call_there_is_nothing_to_work_with() -> None:
    net = nn.Sequential(nn.LazyLinear(3), nn.Tanh(), nn.LazyLinear(1))
    weight = net[0].weight
    assert isinstance(weight, nn.UninitializedParameter)
    assert isinstance(weight, nn.Parameter)
    assert len(list(net.parameters())) == 4
    with pytest.raises(ValueError, match=r"SGD: 0\.weight has no shape before the first call .* net\(x\), and make"):
        optim.SGD(net, lr=0.1)
    with pytest.raises(ValueError, match=r"not known yet: 0.weight, 0.bias, 2.weight, 2.bias have no shape"):
        net.state_dict()
    net.half().double()
    net[0].requires_grad_(False)
    y = net(np.zeros((2, 4)))
    assert y.dtype == np.float64
    assert [p.requires_grad for p in net.parameters()] == [False, False, True, True]
    assert net[0].weight is weight
    assert weight.shape == (3, 4)


def test_what_does_not_fit_leaves_a_lazy_layer_as_it_is() -> None:
    layer = nn.LazyLinear(3)
    for state in ({"weight": np.zeros((2, 5)), "bias": np.zeros(2)}, {"weight": np.zeros((3, 5))}):
        with pytest.raises(ValueError, match="nothing was loaded"):
            layer.load_state_dict(state)
        assert type(layer) is nn.LazyLinear
        assert isinstance(layer.weight, nn.UninitializedParameter)
    with pytest.raises(ValueError, match=r"LazyConv2d cannot tell its in_channels from an input of shape \(3,\)"):
        nn.LazyConv2d(3, 2)(np.zeros(3))
    with pytest.raises(TypeError, match=r"LazyLinear.. got an unexpected keyword argument 'in_features'"):
        nn.LazyLinear(out_features=3, in_features=2)
    layer.load_state_dict({"weight": np.ones((3, 5))}, strict=False)
    np.testing.assert_array_equal(layer.weight.data, np.ones((3, 5)))
    assert np.abs(layer.bias.data).max() > 0  # it begins as ever


def test_a_step_that_is_compiled_wants_layers_with_shapes() -> None:
    net = nn.Sequential(nn.LazyLinear(3))
    x = np.zeros((2, 4), np.float32)
    step = tn.compile(lambda x: net(x))
    with pytest.raises(tn.CaptureError, match="LazyLinear for the first time while a step is being captured"):
        step(x)
    net(x)
    assert step(x).shape == (2, 3)


def test_a_seed_belongs_to_the_layer() -> None:
    a, b = nn.LazyLinear(3, rng=7), nn.Linear(4, 3, rng=7)
    a(np.zeros((1, 4), np.float32))
    np.testing.assert_array_equal(a.weight.data, b.weight.data)
