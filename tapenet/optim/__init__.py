"""How parameters are updated: optimizers, learning rates as functions of the step, clipping of gradients."""

from tapenet.optim.clipping import clip_grad_norm, clip_grad_value
from tapenet.optim.optimizer import Optimizer
from tapenet.optim.rules import SGD, Adagrad, Adam, AdamW, RMSprop
from tapenet.optim.schedules import (
    Schedule,
    constant,
    cosine,
    exponential,
    linear,
    piecewise,
    polynomial,
    step_decay,
    warmup,
)

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "clip_grad_norm",
    "clip_grad_value",
    "constant",
    "cosine",
    "exponential",
    "linear",
    "piecewise",
    "polynomial",
    "step_decay",
    "warmup",
]
