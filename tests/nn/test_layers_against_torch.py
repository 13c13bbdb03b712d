"""Every layer beside PyTorch's of the same name: names and shapes of the state, values, gradients, running statistics.

The two are made by the same lines, so the arguments agree too; parameters are copied both ways through the state.
"""

from __future__ import annotations

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tests.nn.oracle import Make, beside_torch, same_state, tables

torch = pytest.importorskip("torch")

R = np.random.default_rng(0)
IMAGE = (3, 4, 6, 5)
VOLUME = (2, 4, 3, 2, 5)

LAYERS: dict[str, tuple[Make, tuple[int, ...]]] = {
    "Linear": (lambda m: m.Linear(5, 3), (4, 5)),
    "Linear no bias": (lambda m: m.Linear(5, 3, bias=False), (4, 5)),
    "Linear vector": (lambda m: m.Linear(5, 3), (5,)),
    "Linear batches": (lambda m: m.Linear(5, 3), (2, 3, 5)),
    "Conv2d": (lambda m: m.Conv2d(4, 6, 3), IMAGE),
    "Conv2d no bias": (lambda m: m.Conv2d(4, 6, 1, bias=False), IMAGE),
    "Conv2d all": (lambda m: m.Conv2d(4, 6, (3, 2), (2, 1), (2, 1), (2, 1), groups=2), IMAGE),
    "Conv2d depthwise": (lambda m: m.Conv2d(4, 8, 3, stride=2, padding=1, groups=4), IMAGE),
    "Conv2d same": (lambda m: m.Conv2d(4, 2, (3, 1), padding="same"), IMAGE),
    "Conv2d valid": (lambda m: m.Conv2d(4, 2, 3, padding="valid"), IMAGE),
    "Flatten": (lambda m: m.Flatten(), IMAGE),
    "Flatten part": (lambda m: m.Flatten(1, -2), IMAGE),
    "Identity": (lambda m: m.Identity(), (2, 3)),
    "Identity in place of another": (lambda m: m.Identity(3, 5, bias=False), (2, 3)),
    "BatchNorm1d": (lambda m: m.BatchNorm1d(4), (6, 4)),
    "BatchNorm1d sequence": (lambda m: m.BatchNorm1d(4, eps=1e-3, momentum=0.3), (3, 4, 5)),
    "BatchNorm1d cumulative": (lambda m: m.BatchNorm1d(4, momentum=None), (6, 4)),
    "BatchNorm2d": (lambda m: m.BatchNorm2d(4), IMAGE),
    "BatchNorm2d not affine": (lambda m: m.BatchNorm2d(4, affine=False), IMAGE),
    "BatchNorm2d no bias": (lambda m: m.BatchNorm2d(4, bias=False), IMAGE),
    "BatchNorm2d no statistics": (lambda m: m.BatchNorm2d(4, track_running_stats=False), IMAGE),
    "BatchNorm3d": (lambda m: m.BatchNorm3d(4), VOLUME),
    "InstanceNorm1d": (lambda m: m.InstanceNorm1d(4, affine=True, track_running_stats=True), (3, 4, 5)),
    "InstanceNorm1d no batch": (lambda m: m.InstanceNorm1d(4, momentum=0.3, track_running_stats=True), (4, 5)),
    "InstanceNorm1d no momentum": (lambda m: m.InstanceNorm1d(4, momentum=None, track_running_stats=True), (3, 4, 5)),
    "InstanceNorm2d": (lambda m: m.InstanceNorm2d(4), IMAGE),
    "InstanceNorm2d no bias": (lambda m: m.InstanceNorm2d(4, affine=True, bias=False), IMAGE),
    "InstanceNorm2d all": (lambda m: m.InstanceNorm2d(4, 1e-3, 0.2, True, True), IMAGE),
    "InstanceNorm2d no batch": (lambda m: m.InstanceNorm2d(4, affine=True), IMAGE[1:]),
    "InstanceNorm3d": (lambda m: m.InstanceNorm3d(4, affine=True), VOLUME),
    "GroupNorm": (lambda m: m.GroupNorm(2, 4), IMAGE),
    "GroupNorm all": (lambda m: m.GroupNorm(1, 4, eps=1e-3, affine=False), (3, 4, 5)),
    "GroupNorm vectors": (lambda m: m.GroupNorm(2, 6), (3, 6)),
    "RMSNorm": (lambda m: m.RMSNorm(5), IMAGE),
    "RMSNorm several": (lambda m: m.RMSNorm((6, 5), eps=1e-3), IMAGE),
    "RMSNorm not affine": (lambda m: m.RMSNorm(5, elementwise_affine=False), IMAGE),
    "LocalResponseNorm": (lambda m: m.LocalResponseNorm(3, alpha=0.5), IMAGE),
    "LocalResponseNorm even": (lambda m: m.LocalResponseNorm(2, 0.5, 1.2, 2.0), (3, 4, 5)),
    "LocalResponseNorm wide": (lambda m: m.LocalResponseNorm(9, 0.5), VOLUME),
    "LayerNorm": (lambda m: m.LayerNorm(5), IMAGE),
    "LayerNorm several": (lambda m: m.LayerNorm((6, 5), eps=1e-3), IMAGE),
    "LayerNorm list": (lambda m: m.LayerNorm([4, 6, 5]), IMAGE),
    "LayerNorm not affine": (lambda m: m.LayerNorm(5, elementwise_affine=False), IMAGE),
    "LayerNorm no bias": (lambda m: m.LayerNorm(5, bias=False), IMAGE),
    "Tanh": (lambda m: m.Tanh(), (3, 4)),
    "Sigmoid": (lambda m: m.Sigmoid(), (3, 4)),
    "LogSigmoid": (lambda m: m.LogSigmoid(), (3, 4)),
    "ReLU": (lambda m: m.ReLU(), (3, 4)),
    "ReLU6": (lambda m: m.ReLU6(), (3, 4)),
    "SiLU": (lambda m: m.SiLU(), (3, 4)),
    "Mish": (lambda m: m.Mish(), (3, 4)),
    "Softsign": (lambda m: m.Softsign(), (3, 4)),
    "Tanhshrink": (lambda m: m.Tanhshrink(), (3, 4)),
    "LeakyReLU": (lambda m: m.LeakyReLU(0.2), (3, 4)),
    "ELU": (lambda m: m.ELU(0.7), (3, 4)),
    "Hardtanh": (lambda m: m.Hardtanh(-0.4, 0.6), (3, 4)),
    "Softplus": (lambda m: m.Softplus(), (3, 4)),
    "Softplus all": (lambda m: m.Softplus(beta=2, threshold=0.5), (3, 4)),
    "GELU": (lambda m: m.GELU(), (3, 4)),
    "GELU tanh": (lambda m: m.GELU(approximate="tanh"), (3, 4)),
    "Softmax": (lambda m: m.Softmax(dim=1), (3, 4, 2)),
    "LogSoftmax": (lambda m: m.LogSoftmax(dim=-1), (3, 4)),
    "Sequential": (lambda m: m.Sequential(m.Linear(5, 4), m.Tanh(), m.Linear(4, 2)), (3, 5)),
    "Sequential named": (lambda m: m.Sequential(OrderedDict(a=m.Linear(5, 4), b=m.ReLU(), c=m.Linear(4, 2))), (3, 5)),
    "network": (
        lambda m: m.Sequential(
            m.Conv2d(4, 6, 3, padding=1), m.BatchNorm2d(6), m.ReLU(), m.MaxPool2d(2), m.Flatten(), m.Linear(36, 8),
            m.LayerNorm(8), m.GELU(), m.Linear(8, 3), m.LogSoftmax(dim=-1),
        ),
        IMAGE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    beside_torch(*LAYERS[name])


def _scores(*shape: int) -> Any:
    return R.normal(size=shape)


def _probabilities(*shape: int) -> Any:
    p = R.uniform(0.1, 1, shape)
    return p / p.sum(axis=1, keepdims=True)


def _log(p: Any) -> Any:
    return np.log(p)


WEIGHT = np.array([0.5, 1.0, 2.0, 0.3])
CLASSES = np.array([0, 3, 1, 3, 2])

#: How to make the layer, given the module and a function that makes its tensors; prediction; target.
LOSSES: dict[str, tuple[Callable[[Any, Any], Any], Any, Any]] = {
    "MSELoss": (lambda m, t: m.MSELoss(), _scores(3, 4), _scores(3, 4)),
    "MSELoss sum": (lambda m, t: m.MSELoss(reduction="sum"), _scores(3, 4), _scores(3, 4)),
    "MSELoss none": (lambda m, t: m.MSELoss(reduction="none"), _scores(3, 4), _scores(3, 4)),
    "L1Loss": (lambda m, t: m.L1Loss(), _scores(3, 4), _scores(3, 4)),
    "HuberLoss": (lambda m, t: m.HuberLoss(delta=0.4), _scores(3, 4), _scores(3, 4)),
    "SmoothL1Loss": (lambda m, t: m.SmoothL1Loss(beta=0.4), _scores(3, 4), _scores(3, 4)),
    "CrossEntropyLoss": (lambda m, t: m.CrossEntropyLoss(), _scores(5, 4), CLASSES),
    "CrossEntropyLoss none": (lambda m, t: m.CrossEntropyLoss(reduction="none"), _scores(5, 4), CLASSES),
    "CrossEntropyLoss all": (
        lambda m, t: m.CrossEntropyLoss(weight=t(WEIGHT), ignore_index=1, label_smoothing=0.1), _scores(5, 4), CLASSES),
    "CrossEntropyLoss images": (lambda m, t: m.CrossEntropyLoss(), _scores(2, 4, 3, 3), R.integers(0, 4, (2, 3, 3))),
    "CrossEntropyLoss probabilities": (
        lambda m, t: m.CrossEntropyLoss(label_smoothing=0.2), _scores(5, 4), _probabilities(5, 4)),
    "NLLLoss": (lambda m, t: m.NLLLoss(), _log(_probabilities(5, 4)), CLASSES),
    "NLLLoss all": (
        lambda m, t: m.NLLLoss(weight=t(WEIGHT), ignore_index=1, reduction="sum"), _log(_probabilities(5, 4)), CLASSES),
    "BCEWithLogitsLoss": (lambda m, t: m.BCEWithLogitsLoss(), _scores(5, 4), R.uniform(size=(5, 4))),
    "BCEWithLogitsLoss all": (
        lambda m, t: m.BCEWithLogitsLoss(weight=t(R.uniform(size=4)), pos_weight=t(WEIGHT)),
        _scores(5, 4), R.uniform(size=(5, 4))),
    "BCELoss": (lambda m, t: m.BCELoss(), R.uniform(0.1, 0.9, (5, 4)), R.uniform(size=(5, 4))),
    "BCELoss weight": (lambda m, t: m.BCELoss(weight=t(WEIGHT)), R.uniform(0.1, 0.9, (5, 4)), R.uniform(size=(5, 4))),
    "KLDivLoss": (lambda m, t: m.KLDivLoss(reduction="batchmean"), _log(_probabilities(5, 4)), _probabilities(5, 4)),
    "KLDivLoss log": (
        lambda m, t: m.KLDivLoss(reduction="sum", log_target=True), _log(_probabilities(5, 4)),
        _log(_probabilities(5, 4))),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_loss(name: str) -> None:
    make, prediction, target = LOSSES[name]
    state = R.bit_generator.state
    mine = make(nn, tn.tensor)
    R.bit_generator.state = state  # a factory may draw
    theirs = make(torch.nn, torch.tensor)
    x, tx = tn.tensor(prediction, requires_grad=True), torch.tensor(prediction, requires_grad=True)
    out, expected = mine(x, target), theirs(tx, torch.tensor(target))
    assert out.shape == tuple(expected.shape)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    g = R.normal(size=out.shape)
    out.backward(g)
    expected.backward(torch.tensor(g))
    np.testing.assert_allclose(x.grad.data, tx.grad.numpy(), rtol=1e-9, atol=1e-11)


def test_every_layer_is_here() -> None:
    base = (nn.Module, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
    public = {n: getattr(nn, n) for n in dir(nn)}
    layers = {n for n, c in public.items() if isinstance(c, type) and issubclass(c, nn.Module) and c not in base}
    layers -= {n for n in layers if n.startswith("Lazy")}  # they become one of the others
    assert layers == {name.partition(" ")[0] for table in tables() for name in table} - {"network"}


def test_a_model_trains_alike() -> None:
    def make(m: Any) -> Any:
        return m.Sequential(m.Linear(4, 8), m.BatchNorm1d(8), m.Tanh(), m.Linear(8, 3))

    mine, theirs = make(nn).astype("float64"), make(torch.nn).double()
    theirs.load_state_dict({n: torch.tensor(v) for n, v in mine.state_dict().items()})
    for _ in range(20):
        data, classes = R.normal(size=(6, 4)), R.integers(0, 3, 6)
        loss = nn.CrossEntropyLoss()(mine(data), classes)
        expected = torch.nn.CrossEntropyLoss()(theirs(torch.tensor(data)), torch.tensor(classes))
        assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
        mine.zero_grad()
        theirs.zero_grad()
        loss.backward()
        expected.backward()
        for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
            p.data = p.data - 0.1 * p.grad.data
            q.data -= 0.1 * q.grad
    same_state(mine, theirs)


def test_a_state_of_pytorchs_loads_as_it_is() -> None:
    def make(m: Any) -> Any:
        return m.Sequential(m.Conv2d(1, 2, 3), m.BatchNorm2d(2), m.Flatten(), m.Linear(8, 3))

    mine, theirs = make(nn), make(torch.nn)
    mine.load_state_dict(theirs.state_dict())
    same_state(mine, theirs)


class _NoDtype:
    """The layers, each made with `dtype=None`."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(nn, name)
        return functools.partial(found, dtype=None) if "dtype" in inspect.signature(found).parameters else found


def test_no_dtype_is_the_usual_one() -> None:
    made = 0
    for make, _ in LAYERS.values():
        state = make(_NoDtype()).state_dict()
        assert {a.dtype for a in state.values() if a.dtype.kind == "f"} <= {np.dtype(np.float32)}
        made += bool(state)
    assert made > 20
