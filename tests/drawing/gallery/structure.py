"""What is drawn without running anything, compared, or is no network: modules, rules, packages, charts."""

from __future__ import annotations

from typing import Any

import numpy as np

import tapenet as tn
from tapenet import nn, optim
from tapenet.drawing.picture import Picture
from tests.drawing.gallery.entry import entry
from tests.drawing.gallery.networks import ResNet18


@entry("ResNet-18 from its attributes, before it is given anything")
def resnet18_modules() -> Picture:
    return tn.draw(ResNet18())


@entry("Two models compared from their attributes")
def models_compared() -> Picture:
    def model(width: int, *last: Any) -> Any:
        return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36 * width, 10), *last)

    return tn.draw.diff(model(16), model(32, nn.Softmax(1)))


@entry("Adam's rule")
def adam() -> Picture:
    return tn.draw(optim.Adam)


@entry("The rule of LAMB, which takes whole parameters")
def lamb() -> Picture:
    return tn.draw(optim.LAMB)


@entry("The derivative of a loss, as a function of its own")
def gradient() -> Picture:
    def loss(w: Any, x: Any, y: Any) -> Any:
        return ((np.tanh(x @ w) - y) ** 2).mean()

    return tn.draw(tn.grad(loss), np.ones((3, 1)), np.ones((8, 3)), np.ones((8, 1)))


@entry("Which part of json imports which")
def imports() -> Picture:
    return tn.draw("json")
