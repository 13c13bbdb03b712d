"""The bilinear layer and function beside PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn
from tests.nn.oracle import Make, R, arrays, same_gradients, same_state
from tests.ops.oracle import agrees_with_torch

torch = pytest.importorskip("torch")

LAYERS: dict[str, tuple[Make, tuple[int, ...]]] = {
    "Bilinear": (lambda m: m.Bilinear(3, 4, 2), (5,)),
    "Bilinear no bias": (lambda m: m.Bilinear(3, 4, 1, bias=False), (2, 5)),
    "Bilinear vectors": (lambda m: m.Bilinear(3, 4, 2), ()),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    make, lead = LAYERS[name]
    mine, theirs = make(nn).astype("float64"), make(torch.nn).double()
    mine.load_state_dict(arrays(theirs))
    same_state(mine, theirs)
    data = [R.normal(size=(*lead, n)) for n in (3, 4)]
    xs = [tn.tensor(a, requires_grad=True) for a in data]
    txs = [torch.tensor(a, requires_grad=True) for a in data]
    out, expected = mine(*xs), theirs(*txs)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    g = R.normal(size=out.shape)
    out.backward(g)
    expected.backward(torch.tensor(g))
    same_gradients(mine, theirs)
    for x, tx in zip(xs, txs, strict=True):
        np.testing.assert_allclose(x.grad.data, tx.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("lead", [(4,), (2, 3), (0,)])
def test_function(lead: Any) -> None:
    arrays = [R.normal(size=s) for s in ((*lead, 3), (*lead, 2), (4, 3, 2), (4,))]
    agrees_with_torch(F.bilinear, torch.nn.functional.bilinear, *arrays)
    agrees_with_torch(F.bilinear, torch.nn.functional.bilinear, *arrays[:3])


def test_initial_values_lie_within_the_inverse_root() -> None:
    layer = nn.Bilinear(16, 3, 50, rng=0)
    for p in layer.parameters():
        assert 0.2 < np.abs(p.data).max() <= 0.25


@pytest.mark.parametrize(
    ("shapes", "text"),
    [
        (((3,), (2,), (3, 2)), r"weight has shape \(3, 2\); it must be \(out, in1, in2\)"),
        (((5, 4), (5, 2), (1, 3, 2)), r"x1 has shape \(5, 4\); weight \(1, 3, 2\) takes \(\.\.\., 3\)"),
        (((5, 3), (5, 1), (1, 3, 2)), r"x2 has shape \(5, 1\)"),
        (((5, 3), (1, 2), (1, 3, 2)), r"x1 \(5, 3\) and x2 \(1, 2\) must have the same axes before the last"),
        (((5, 3), (5, 2), (1, 3, 2), (2,)), r"bias has shape \(2,\); weight \(1, 3, 2\) has 1 outputs"),
    ],
)
def test_errors_say_what_to_do(shapes: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        tn.bilinear(*(np.ones(s) for s in shapes))
    with pytest.raises(ValueError, match="Bilinear: in1_features=0: give an integer of 1 or more"):
        nn.Bilinear(0, 1, 1)
