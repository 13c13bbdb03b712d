"""A language model: a transformer learns a text character by character, and then writes.

The text is the help of all functions of tapenet, a quarter of a million characters, of which the last twentieth is kept for
the test. From 64 characters the model guesses after each what comes next; causal attention keeps it from looking ahead. At
the end it goes on from a few words, one character at a time. The picture shows a piece of the test text: the darker a
character, the less the model expected it.

    python examples/char_gpt.py [--out FOLDER]
"""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pictures

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

TEXT = "\n\n".join(inspect.getdoc(getattr(tn, name)) or "" for name in sorted(tn.__all__))
CHARACTERS = sorted(set(TEXT))
TOKENS = np.array([CHARACTERS.index(c) for c in TEXT])
CONTEXT, BATCH, STEPS = 64, 24, 1000


class GPT(nn.Module):
    """Tokens (batch, length) to a score for each character that may come next, (batch, characters, length)."""

    def __init__(self, width: int = 96, heads: int = 4, layers: int = 2) -> None:
        self.embedding = nn.Embedding(len(CHARACTERS), width)
        self.positions = nn.Embedding(CONTEXT, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width))
        self.head = nn.Linear(width, len(CHARACTERS))

    def forward(self, tokens: Any) -> Any:
        x = self.embedding(tokens) + self.positions(np.arange(tokens.shape[1]))
        return self.head(self.blocks(x, is_causal=True)).swapaxes(1, 2)


class Pieces:
    """Batches of pieces of a text, and the same pieces one character later."""

    def __init__(self, tokens: Any, count: int, rng: np.random.Generator) -> None:
        self.tokens, self.count, self.rng = tokens, count, rng

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        for _ in range(self.count):
            places = self.rng.integers(len(self.tokens) - CONTEXT, size=(BATCH, 1)) + np.arange(CONTEXT)
            yield self.tokens[places], self.tokens[places + 1]


def write(model: GPT, beginning: str, length: int, rng: np.random.Generator, heat: float = 0.4) -> str:
    """Go on from a beginning, each character drawn by the model's probabilities; less heat, fewer surprises."""
    text = beginning
    with tn.no_grad():
        for _ in range(length):
            scores = model(np.array([[CHARACTERS.index(c) for c in text[-CONTEXT:]]])).numpy()[0, :, -1]
            text += CHARACTERS[rng.choice(len(CHARACTERS), p=tn.softmax(scores.astype(np.float64) / heat))]
    return text


def main() -> None:
    """Train, then write."""
    folder = pictures.folder(__doc__)
    tn.training.seed(0)
    rng = np.random.default_rng(0)
    known, new = np.split(TOKENS, [len(TOKENS) * 19 // 20])
    model = GPT()
    print(f"{len(TEXT):,} characters, {len(CHARACTERS)} of them different; {model.num_parameters():,} parameters")
    epochs = 5
    adam = optim.AdamW(lr=optim.one_cycle(4e-3, STEPS))
    tn.training.fit(model, F.cross_entropy, adam, Pieces(known, STEPS // epochs, rng), epochs=epochs, clip_norm=1.0)

    windows = np.lib.stride_tricks.sliding_window_view(new, CONTEXT + 1)[::CONTEXT]
    scores = tn.training.predict(model, windows[:, :-1])
    perplexity = tn.metrics.Perplexity()(scores, windows[:, 1:])
    print(
        f"text not seen before: a perplexity of {perplexity:.2f}, that is, {np.log2(perplexity):.2f} bits for a character"
    )
    print(f"\n{write(model, 'The gradient of', 400, rng)}\n")
    chances = np.take_along_axis(tn.softmax(scores.astype(np.float64), axis=1), windows[:, None, 1:], 1)[:, 0]
    piece = "".join(CHARACTERS[token] for token in windows[:20, 1:].reshape(-1))
    pictures.shaded(
        folder / "char_gpt.svg",
        piece,
        (-np.log2(chances[:20]) / 10).clip(0, 0.8).reshape(-1),
        "What the model did not expect in text not seen before",
    )
    assert perplexity < 3.8, perplexity  # guesses by the frequency of letters have 27; the text grows with the project


if __name__ == "__main__":
    main()
