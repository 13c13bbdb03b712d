"""The models that are looked at are what they say they are, and every one can be drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tests.drawing.models import COMPILED, GPT, MODELS, LeNet, ResNet50, UNet, chain, irregular_chain, kept, polar

#: Whose picture takes more than a second.
LARGE = {"resnet50", "gpt", "chain", "irregular_chain"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LARGE)) for n in MODELS])
def test_every_model_is_drawn(name: str) -> None:
    built = MODELS[name]()
    if name in COMPILED:
        pytest.skip("a compiled function cannot be drawn yet")
    dot = tn.draw(built).dot
    assert dot.startswith("digraph")
    assert "->" in dot


@pytest.mark.parametrize(
    ("model", "parameters"),
    # LeNet-5 with dense connections and ResNet-50 as they are known; the others counted by hand:
    # embeddings, 12 blocks of two norms, attention and MLP, the last norm, head; U-Net weights and biases of 15 layers.
    [
        (LeNet, 61_706),
        (ResNet50, 25_557_032),
        (GPT, (65 + 16) * 48 + 12 * (2 * 96 + 49 * 144 + 49 * 48 + 49 * 192 + 193 * 48) + 96 + 48 * 65),
        (
            UNet,
            9 * (8 + 64 + 128 + 256 + 512 + 1024 + 2048 + 4096)
            + 9 * (96 * 32 + 1024 + 48 * 16 + 256 + 24 * 8 + 64)
            + 2 * (8 + 16 + 32 + 64 + 32 + 16 + 8)
            + 9,
        ),
    ],
)
def test_the_models_are_the_real_ones(model: Any, parameters: int) -> None:
    assert sum(p.size for p in kept(model).parameters()) == parameters


@pytest.mark.parametrize("build", [chain, irregular_chain])
def test_a_chain_has_as_many_ops_as_asked_for(build: Any) -> None:
    with tn.Tape() as tape:
        y = build(50)
    assert len(list(tape)) == 50
    assert np.isfinite(float(y.item()))


def test_the_op_of_two_outputs_is_right() -> None:
    tn.testing.check_grads(polar, [np.array([3.0, 1.0, -2.0]), np.array([4.0, -1.0, 0.5])], order=2)
