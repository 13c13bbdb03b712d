"""How parameters are updated: optimizers, learning rates as functions of the step, clipping of gradients."""

from tapenet.optim.clipping import clip_grad_norm, clip_grad_value
from tapenet.optim.master import MasterWeights
from tapenet.optim.optimizer import Optimizer
from tapenet.optim.rules import (
    ASGD,
    LAMB,
    LARS,
    LBFGS,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Muon,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
    SparseAdam,
)
from tapenet.optim.scaling import GradScaler
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
from tapenet.optim.whole import WholeOptimizer

__all__ = [
    "ASGD",
    "LAMB",
    "LARS",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "GradScaler",
    "Lion",
    "MasterWeights",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "Schedule",
    "SparseAdam",
    "WholeOptimizer",
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
