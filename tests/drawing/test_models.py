"""The models that are looked at are what they say they are, and every one can be drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.compiler.compile import available_backend
from tapenet.drawing.passes.view import BUDGET, PATIENCE
from tests.drawing.models import GPT, MODELS, LeNet, ResNet50, UNet, chain, irregular_chain, kept, polar

#: What stands in the picture of each that says what it is.
SAID = {
    "xor": ["@", "tanh", "mean"],
    "lenet": [
        "conv1 · Conv2d",
        "6 → 16 · 2,416",
        "mean pool 2×2",
        "flatten 16×5×5 → 400",
        "400 → 120 · 48,120",
        "cross-entropy",
    ],
    "resnet50": [
        "layer3 · Sequential",
        "1–5 · Bottleneck ×5",
        "conv1 · Conv2d",
        "7×7, stride 2, padding 3",
        "3 conv, 3 norm, 1 skip",
    ],
    "gpt": ["wte · Embedding", "blocks.0–11 · Block ×12", "attn · CausalSelfAttention", "softmax", "gelu"],
    "rnn": ["cell · RNNCell", "×100", "next"],
    "unet": ["down1 · DoubleConv", "concatenate", "up3 · DoubleConv"],
    "chain": ["×50,000", "tanh", "× 1.01"],
    "irregular_chain": ["cos ×"],
    "two_losses": ["place", "kind", "trunk · Sequential"],
    "second_order": ["0 · Linear", "sqrt", "mean"],
    "two_outputs": ["polar", "[0] 3 f64", "[1] 3 f64"],
    "compiled": ["kernel 1", "← 0.weight", "0.weight: momentum_buffer"],
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * ("chain" in n)) for n in MODELS])
def test_every_model_is_drawn(name: str) -> None:
    picture = tn.draw(MODELS[name]())
    dot = picture.dot
    # Without LLVM so small a step is a plan of single NumPy calls, with no kernels to fold.
    kernels = available_backend() == "native"
    assert [text for text in SAID[name] if text not in dot and (kernels or "kernel" not in text)] == []
    assert 3 < len(picture.drawing.vertices) <= (75 if kernels or name != "compiled" else BUDGET * PATIENCE)
    assert len(picture.svg) < 300_000  # 100,000 ops too


def test_residual_and_skip_connections_are_drawn_as_such() -> None:
    skips = {
        name: sum(edge.skip for edge in tn.draw(MODELS[name]()).drawing.edges) for name in ("gpt", "unet", "lenet")
    }
    assert skips == {"gpt": 2, "unet": 3, "lenet": 0}


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
