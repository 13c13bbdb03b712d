"""A language model: a transformer learns a text character by character, and then writes it.

The text is the documentation of attention, tn.scaled_dot_product_attention.__doc__. From 64 characters the model guesses
after each what comes next; causal attention keeps it from looking ahead. At the end it goes on from a few words, one
character at a time. Some fifteen seconds.

    python examples/transformer.py
"""

from __future__ import annotations

import inspect
import time
from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

TEXT = inspect.getdoc(tn.scaled_dot_product_attention) or ""
CHARACTERS = sorted(set(TEXT))
TOKENS = np.array([CHARACTERS.index(c) for c in TEXT])
CONTEXT, BATCH, STEPS = 64, 16, 500


class LanguageModel(nn.Module):
    """A decoder-only transformer: tokens (batch, length) give a score for each character that may come next."""

    def __init__(self, width: int = 64, heads: int = 4, layers: int = 2) -> None:
        self.embedding = nn.Embedding(len(CHARACTERS), width)
        self.positions = nn.SinusoidalPositionalEncoding(width, dropout=0.0)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width))
        self.head = nn.Linear(width, len(CHARACTERS))

    def forward(self, tokens: Any) -> Any:
        x = self.positions(self.embedding(tokens))
        return self.head(self.blocks(x, is_causal=True))


def loss_of(scores: Any, following: Any) -> Any:
    """The cross entropy of the scores at every position and what comes next there."""
    return F.cross_entropy(scores.reshape(-1, len(CHARACTERS)), following.reshape(-1))


def windows(rng: np.random.Generator, count: int = BATCH) -> tuple[Any, Any]:
    """Pieces of the text, and the same pieces one character later."""
    starts = rng.integers(len(TOKENS) - CONTEXT, size=(count, 1))
    places = starts + np.arange(CONTEXT)
    return TOKENS[places], TOKENS[places + 1]


def write(model: LanguageModel, beginning: str, length: int, rng: np.random.Generator) -> str:
    """Go on from a beginning, each character drawn by the model's probabilities."""
    text = beginning
    with tn.no_grad():
        for _ in range(length):
            seen = np.array([[CHARACTERS.index(c) for c in text[-CONTEXT:]]])
            scores = model(seen).numpy()[0, -1].astype(np.float64)
            text += CHARACTERS[rng.choice(len(CHARACTERS), p=tn.softmax(scores / 0.3))]
    return text


def main() -> None:
    """Train, then write."""
    tn.random.seed(0)
    rng = np.random.default_rng(0)
    model = LanguageModel()
    print(f"{len(TEXT):,} characters, {len(CHARACTERS)} of them different; {model.num_parameters():,} parameters")
    opt = optim.AdamW(model.parameters(), lr=optim.cosine(1e-2, STEPS))

    @tn.compile
    def step(tokens: Any, following: Any) -> Any:
        loss = loss_of(model(tokens), following)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    start = time.perf_counter()
    for i in range(1, STEPS + 1):
        loss = step(*windows(rng)).item()
        if i == 1 or i % 100 == 0:
            print(f"step {i:4}: loss {loss:.3f}, {time.perf_counter() - start:4.1f} s")

    model.eval()
    tokens, following = windows(rng, 64)
    right = (model(tokens).numpy().argmax(-1) == following).mean()
    print(f"{right:.0%} of the characters are guessed right\n\n{write(model, 'Args:', 400, rng)}")
    assert right > 0.9, "the model did not learn the text"


if __name__ == "__main__":
    main()
