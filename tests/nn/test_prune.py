"""Pruning, beside PyTorch's."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim
from tapenet.nn.utils import prune

R = np.random.default_rng(0)
W = R.normal(size=(4, 6)).astype(np.float32)
K = R.normal(size=(4, 3, 2, 2)).astype(np.float32)


def layers(m: Any, tensor: Any) -> Any:
    """A linear layer and a convolution of a library, with the same weights."""
    made = m.Sequential(m.Linear(6, 4), m.Conv2d(3, 4, 2))
    for layer, weight in zip(made, (W, K), strict=True):
        layer.weight.data = tensor(weight)
        layer.bias.data = tensor(np.arange(4, dtype=np.float32) - 1.25)
    return made


SCORES = R.normal(size=W.shape).astype(np.float32)
MASK = (R.uniform(size=K.shape) > 0.5).astype(np.float32)
CALLS: dict[str, Any] = {
    "l1": lambda p, net, t: p.l1_unstructured(net[0], "weight", 0.3),
    "l1, a number": lambda p, net, t: p.l1_unstructured(net[1], name="weight", amount=5),
    "l1 by scores": lambda p, net, t: p.l1_unstructured(net[0], "weight", 0.3, importance_scores=t(SCORES)),
    "l1 twice": lambda p, net, t: p.l1_unstructured(p.l1_unstructured(net[0], "weight", 0.3), "weight", 0.5),
    "slices": lambda p, net, t: p.ln_structured(net[1], "weight", amount=0.5, n=2, dim=0),
    "slices of the other axis": lambda p, net, t: p.ln_structured(net[1], "weight", amount=1, n=float("inf"), dim=1),
    "slices, then elements": lambda p, net, t: p.l1_unstructured(
        p.ln_structured(net[0], "weight", amount=2, n=1, dim=-1), "weight", 4
    ),
    "slices twice": lambda p, net, t: p.ln_structured(
        p.ln_structured(net[0], "weight", amount=2, n=1, dim=1), "weight", amount=0.5, n=2, dim=1
    ),
    "a mask": lambda p, net, t: p.custom_from_mask(net[1], "weight", mask=t(MASK)),
    "a mask after elements": lambda p, net, t: p.custom_from_mask(p.l1_unstructured(net[1], "weight", 9), "weight", t(MASK)),
    "nothing": lambda p, net, t: p.identity(net[0], "bias"),
    "all": lambda p, net, t: p.global_unstructured(
        [(net[0], "weight"), (net[1], "weight")], pruning_method=p.L1Unstructured, amount=0.4
    ),
    "all, after some": lambda p, net, t: [
        p.l1_unstructured(net[0], "weight", 10),
        p.global_unstructured([(net[0], "weight"), (net[1], "weight"), (net[0], "bias")], p.L1Unstructured, amount=20),
    ],
    "all by scores": lambda p, net, t: p.global_unstructured(
        [(net[0], "weight"), (net[1], "weight")], p.L1Unstructured, {(net[0], "weight"): t(SCORES)}, amount=11
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_masks_are_those_of_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    import torch.nn.utils.prune as theirs

    ours, other = layers(nn, np.asarray), layers(torch.nn, torch.tensor)
    CALLS[name](prune, ours, np.asarray)
    CALLS[name](theirs, other, torch.tensor)
    expected = {n: v.numpy() for n, v in other.state_dict().items()}
    state = ours.state_dict()
    assert state.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(state[key], value, err_msg=key)
    assert prune.is_pruned(ours)
    for mine, layer in zip(ours, other, strict=True):
        np.testing.assert_array_equal(mine.weight.numpy(), layer.weight.detach().numpy())
        assert [n for n, _ in mine.named_parameters()] == [n for n, _ in layer.named_parameters()]
        for attribute in [n.removesuffix("_mask") for n, _ in mine.named_buffers()]:
            prune.remove(mine, attribute)
            theirs.remove(layer, attribute)
    assert not prune.is_pruned(ours)
    assert type(ours[0]) is nn.Linear
    final = {n: v.numpy() for n, v in other.state_dict().items()}
    for key, value in ours.state_dict().items():
        np.testing.assert_array_equal(value, final[key])


def test_random_pruning_takes_as_many_as_are_asked_for() -> None:
    layer = prune.random_unstructured(nn.Linear(10, 10, rng=0), "weight", 0.3, rng=0)
    assert int((layer.weight_mask.numpy() == 0).sum()) == 30
    prune.random_unstructured(layer, "weight", 0.5, rng=1)
    assert int((layer.weight_mask.numpy() == 0).sum()) == 65  # half of those that were left
    layer = prune.random_structured(nn.Linear(10, 8, rng=0), "weight", 3, dim=0, rng=0)
    gone = (layer.weight_mask.numpy() == 0).all(axis=1)
    assert gone.sum() == 3
    assert (layer.weight_mask.numpy()[~gone] == 1).all()


def test_a_pruned_layer_learns_and_keeps_its_zeros() -> None:
    """By the parameter that an optimizer has already; also compiled, and in a copy."""
    net = nn.Sequential(nn.Linear(6, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1))
    opt = optim.SGD(net, lr=0.1)
    weight = net[0].weight
    prune.l1_unstructured(net[0], "weight", 0.5)
    assert net[0].weight_orig is weight
    assert isinstance(net[0], nn.Linear)
    mask = net[0].weight_mask.numpy().copy()

    def step(x: Any) -> Any:
        opt.zero_grad()
        loss = (net(x) ** 2).mean()
        loss.backward()
        opt.step()
        return loss

    x = R.normal(size=(5, 6)).astype(np.float32)
    before = weight.numpy().copy()
    first = step(x).item()
    assert ((weight.numpy() != before) == (mask == 1)).all()
    compiled = tn.compile(step)
    losses = [compiled(x).item() for _ in range(4)]
    assert losses[-1] < first
    assert not net[0].weight.numpy()[mask == 0].any()
    twin = copy.deepcopy(net)
    twin.load_state_dict(net.state_dict())
    np.testing.assert_array_equal(twin(x).data, net(x).data)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net))(x).data, net(x).data)
    net[0].weight = np.ones((4, 6), np.float32)
    np.testing.assert_array_equal(net[0].weight.numpy(), mask)


def test_what_cannot_be_pruned_is_refused() -> None:
    layer = nn.Linear(3, 2)
    cases: list[tuple[type[Exception], str, Any]] = [
        (ValueError, "Linear has no parameter 'wait'", lambda: prune.identity(layer, "wait")),
        (ValueError, "amount=9 must be from 0 to 6", lambda: prune.l1_unstructured(layer, "weight", 9)),
        (ValueError, r"amount=1\.5 must be a fraction", lambda: prune.l1_unstructured(layer, "weight", 1.5)),
        (TypeError, "amount must be a number, not str", lambda: prune.l1_unstructured(layer, "weight", "all")),
        (ValueError, "dim=4 is no axis", lambda: prune.ln_structured(layer, "weight", 1, 2, 4)),
        (ValueError, "importance_scores has shape", lambda: prune.l1_unstructured(layer, "weight", 1, np.ones(2))),
        (ValueError, "the mask has shape", lambda: prune.custom_from_mask(layer, "weight", np.ones(2))),
        (ValueError, "'weight' of this Linear is not pruned", lambda: prune.remove(layer, "weight")),
        (TypeError, "LnStructured is structured", lambda: prune.global_unstructured(
            [(layer, "weight")], prune.LnStructured, amount=1, n=2)),
        (NotImplementedError, "has no compute_mask", lambda: prune.BasePruningMethod.apply(layer, "weight")),
        (ValueError, "has parametrised attributes", lambda: prune.identity(
            nn.utils.parametrizations.weight_norm(nn.Linear(2, 1)), "bias")),
    ]  # fmt: skip
    for kind, words, case in cases:
        with pytest.raises(kind, match=words):
            case()
        assert not prune.is_pruned(layer)


def test_a_method_prunes_plain_tensors_too() -> None:
    t = tn.tensor([1.0, -3.0, 2.0])
    np.testing.assert_array_equal(prune.L1Unstructured(1).prune(t), [0.0, -3.0, 2.0])
    np.testing.assert_array_equal(prune.L1Unstructured(1).prune(t, default_mask=[0, 1, 1]), [0.0, -3.0, 0.0])


def test_every_name_of_torch_is_here() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.utils.prune
    public = {
        n for n, v in vars(theirs).items() if getattr(v, "__module__", "") == theirs.__name__ and not n.startswith("_")
    }
    assert public - set(dir(prune)) == {"PruningContainer"}  # here a mask is put upon the other at once
