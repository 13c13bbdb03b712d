"""Models of text, sound and other sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn
from tapenet.drawing.picture import Picture
from tests.drawing import models
from tests.drawing.gallery.entry import entry
from tests.drawing.models import GPT, images

TOKENS = np.random.default_rng(0).integers(65, size=(2, 16))


@entry("GPT-2: 12 layers")
def gpt2() -> Picture:
    return tn.draw(GPT(layers=12), TOKENS)


@entry("GPT-2 XL: 48 layers of 25 heads")
def gpt2_xl() -> Picture:
    return tn.draw(GPT(width=50, heads=25, layers=48), TOKENS)


@entry("GPT-2, all modules folded")
def gpt2_folded() -> Picture:
    return tn.draw(GPT(layers=12), TOKENS, depth=1)


@entry("GPT-2, from left to right")
def gpt2_sideways() -> Picture:
    return tn.draw(GPT(layers=12), TOKENS, depth=2, direction="LR")


class EncoderLayer(nn.Module):
    """Attention from all to all, and a network for each; norms come after."""

    def __init__(self, width: int, heads: int) -> None:
        self.attention = nn.MultiheadAttention(width, heads)
        self.norm1 = nn.LayerNorm(width)
        self.mlp = models.MLP(width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Any) -> Any:
        found = self.attention(x, x, x)
        x = self.norm1(x + (found[0] if isinstance(found, tuple) else found))
        return self.norm2(x + self.mlp(x))


class BERT(nn.Module):
    def __init__(self, layers: int = 12) -> None:
        self.words, self.places, self.segments = nn.Embedding(65, 48), nn.Embedding(16, 48), nn.Embedding(2, 48)
        self.norm = nn.LayerNorm(48)
        self.layers = nn.Sequential(*(EncoderLayer(48, 4) for _ in range(layers)))
        self.pooler = nn.Linear(48, 48)

    def forward(self, tokens: Any, segments: Any) -> Any:
        x = self.words(tokens) + self.places(np.arange(tokens.shape[1])) + self.segments(segments)
        return np.tanh(self.pooler(self.layers(self.norm(x))[:, 0]))


@entry("BERT: an encoder of 12 layers")
def bert() -> Picture:
    return tn.draw(BERT(), TOKENS, np.zeros_like(TOKENS))


class Seq2Seq(nn.Module):
    """Reads a sentence, and writes one: at each word it looks at all that it has read."""

    def __init__(self, steps: int = 3) -> None:
        self.source, self.target = nn.Embedding(65, 16), nn.Embedding(65, 16)
        self.encoder, self.decoder = nn.GRU(16, 16), nn.GRUCell(32, 16)
        self.out = nn.Linear(32, 65)
        self.steps = steps

    def forward(self, sentence: Any, answer: Any) -> Any:
        read, last = self.encoder(self.source(sentence))
        state, logits = last[0], []
        for i in range(self.steps):
            weights = tn.softmax((read * state).sum(axis=-1), axis=0)
            context = (read * weights[..., None]).sum(axis=0)
            state = self.decoder(np.concatenate([self.target(answer[i]), context], axis=1), state)
            logits.append(self.out(np.concatenate([state, context], axis=1)))
        return np.stack(logits)


@entry("From sequence to sequence, with attention")
def seq2seq() -> Picture:
    return tn.draw(Seq2Seq(), TOKENS.T[:5], TOKENS.T[:3])


class UnrolledLSTM(nn.Module):
    def __init__(self) -> None:
        self.cell = nn.LSTMCell(8, 16)
        self.out = nn.Linear(16, 4)

    def forward(self, sequence: Any) -> Any:
        state = np.zeros((4, 16), np.float32), np.zeros((4, 16), np.float32)
        for x in sequence:
            state = self.cell(x, state)
        return self.out(state[0])


@entry("LSTM, unrolled over 50 steps")
def lstm_unrolled() -> Picture:
    return tn.draw(UnrolledLSTM(), images(50, 4, 8))


@entry("A recurrent network, unrolled over 100 steps")
def rnn_unrolled() -> Picture:
    return tn.draw(models.rnn())


class LSTMStep(nn.Module):
    """The gates of an LSTM, by hand."""

    def __init__(self) -> None:
        self.gates = nn.Linear(24, 64)

    def forward(self, x: Any, h: Any, c: Any) -> Any:
        i, f, g, o = tn.split(self.gates(np.concatenate([x, h], axis=1)), 4, axis=1)
        c = F.sigmoid(f) * c + F.sigmoid(i) * np.tanh(g)
        return F.sigmoid(o) * np.tanh(c), c


@entry("One step of an LSTM: its gates")
def lstm_step() -> Picture:
    x, h, c = images(4, 8), images(4, 16), images(4, 16)
    return tn.draw(LSTMStep(), x, h, c)


class DilatedBlock(nn.Module):
    def __init__(self, dilation: int) -> None:
        self.filter = nn.Conv1d(8, 8, 2, dilation=dilation)
        self.gate = nn.Conv1d(8, 8, 2, dilation=dilation)
        self.out = nn.Conv1d(8, 8, 1)
        self.dilation = dilation

    def forward(self, x: Any) -> Any:
        past = F.pad(x, (self.dilation, 0))
        found = self.out(np.tanh(self.filter(past)) * F.sigmoid(self.gate(past)))
        return x + found, found


class WaveNet(nn.Module):
    """Each block looks twice as far back; what each finds is added up."""

    def __init__(self) -> None:
        self.stem = nn.Conv1d(1, 8, 1)
        self.blocks = nn.ModuleList([DilatedBlock(2**i) for i in range(5)])
        self.head = nn.Conv1d(8, 16, 1)

    def forward(self, sound: Any) -> Any:
        x, total = self.stem(sound), 0
        for block in self.blocks:
            x, found = block(x)
            total = found + total
        return self.head(F.relu(total))


@entry("WaveNet: a stack of dilated convolutions")
def wavenet() -> Picture:
    return tn.draw(WaveNet(), images(1, 1, 64))


@entry("A transformer: encoder and decoder")
def transformer() -> Picture:
    net = nn.Transformer(16, 2, 2, 2, 32)
    return tn.draw(net, images(6, 2, 16), images(5, 2, 16))
