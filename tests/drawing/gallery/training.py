"""What is learned, and how: gradients, updates, programs, measurements."""

from __future__ import annotations

from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.drawing.picture import Picture
from tests.drawing import models
from tests.drawing.gallery.entry import entry
from tests.drawing.models import GPT, LeNet, images

LABELS = np.arange(8)


@entry("XOR with its gradients")
def xor_backward() -> Picture:
    return tn.draw(models.xor(), backward=True, legend=True)


@entry("LeNet: forward, backward and update")
def lenet_training() -> Picture:
    net = LeNet()
    loss = F.cross_entropy(net(images(8, 1, 28, 28)), LABELS)
    return tn.draw(loss, optimizer=optim.SGD(net.parameters(), lr=0.1, momentum=0.9), legend=True)


@entry("LeNet with its gradients")
def lenet_backward() -> Picture:
    net = LeNet()
    loss = F.cross_entropy(net(images(8, 1, 28, 28)), LABELS)
    return tn.draw(loss, backward=True, title="How gradients flow")


@entry("LeNet by the spread of its activations")
def lenet_activations() -> Picture:
    return tn.draw(LeNet(), images(8, 1, 28, 28), color_by="activation", legend=True)


@entry("LeNet by the norms of its gradients")
def lenet_gradients() -> Picture:
    return tn.draw(LeNet(), images(8, 1, 28, 28), color_by="grad_norm", legend=True)


@entry("A training step of GPT-2")
def gpt2_training() -> Picture:
    net, text = GPT(layers=12), np.random.default_rng(0).integers(65, size=(2, 17))
    loss = F.cross_entropy(net(text[:, :-1]).reshape(-1, 65), text[:, 1:].reshape(-1))
    return tn.draw({"loss": loss}, optimizer=optim.AdamW(net.parameters(), lr=3e-4), legend=True)


@entry("U-Net with its gradients")
def unet_backward() -> Picture:
    return tn.draw(models.unet(), backward=True)


@entry("Two losses of one network")
def two_losses() -> Picture:
    return tn.draw(models.two_losses(), backward=True)


@entry("Two outputs of one op, with gradients")
def two_outputs() -> Picture:
    return tn.draw(models.two_outputs(), backward=True)


@entry("MAML: the loss after a step of gradient descent")
def maml() -> Picture:
    w, b = tn.tensor(images(1, 3), requires_grad=True), tn.tensor(np.zeros(3, np.float32), requires_grad=True)
    x, y = images(5, 1), images(5, 3)

    def error(w: Any, b: Any) -> Any:
        return ((np.tanh(x @ w + b) - y) ** 2).mean()

    slope_w, slope_b = tn.grad(error, (0, 1))(w, b)
    return tn.draw({"loss": error(w - 0.1 * slope_w, b - 0.1 * slope_b)})


@entry("A frozen backbone and a head that learns")
def frozen_backbone() -> Picture:
    backbone, head = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 16)), nn.Linear(16, 8)
    for parameter in backbone.parameters():
        parameter.requires_grad = False

    def loss(x: Any, labels: Any) -> Any:
        return F.cross_entropy(head(backbone(x)), labels)

    return tn.draw(loss, images(8, 12), LABELS, backward=True)


@entry("Distillation: a student learns what its teacher says")
def distillation() -> Picture:
    teacher = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 8))
    student = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 8))

    def loss(x: Any) -> Any:
        with tn.no_grad():
            wanted = tn.softmax(teacher(x) / 2)
        return -(wanted * tn.log_softmax(student(x) / 2)).sum(axis=1).mean()

    return tn.draw(loss, images(8, 12))


class Tied(nn.Module):
    """What reads the words also writes them."""

    def __init__(self) -> None:
        self.words = nn.Embedding(65, 16)
        self.mix = nn.Linear(16, 16)

    def forward(self, tokens: Any) -> Any:
        return np.tanh(self.mix(self.words(tokens))) @ self.words.weight.T


@entry("Tied weights: one matrix reads and writes")
def tied_weights() -> Picture:
    return tn.draw(Tied(), np.arange(6)[None])


@entry("A compiled training step, its kernels")
def compiled() -> Picture:
    return tn.draw(models.compiled())


@entry("A compiled training step, before fusion")
def compiled_optimized() -> Picture:
    return tn.draw(models.compiled(), stage="optimized")
