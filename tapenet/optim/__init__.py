"""How parameters are updated: optimizers, learning rates as functions of the step, clipping of gradients, averages."""

from tapenet.optim import lr_scheduler
from tapenet.optim.accumulation import accumulate
from tapenet.optim.averaging import Averaged, update_bn
from tapenet.optim.grad_scaler import GradScaler
from tapenet.optim.master_weights import MasterWeights
from tapenet.optim.optimizer import Optimizer
from tapenet.optim.parameters import param_groups
from tapenet.optim.plateau import Plateau
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
from tapenet.optim.schedules import (
    Schedule,
    averaging,
    constant,
    cosine,
    cosine_restarts,
    cyclic,
    exponential,
    inverse_sqrt,
    linear,
    multiplicative,
    multistep,
    one_cycle,
    piecewise,
    polynomial,
    product,
    step_decay,
    warmup,
)
from tapenet.optim.torch_export import to_torch
from tapenet.optim.whole_parameters import WholeOptimizer
from tapenet.parameters.clipping import clip_grad_norm, clip_grad_value

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
    "Averaged",
    "GradScaler",
    "Lion",
    "MasterWeights",
    "Muon",
    "NAdam",
    "Optimizer",
    "Plateau",
    "RAdam",
    "RMSprop",
    "Rprop",
    "Schedule",
    "SparseAdam",
    "WholeOptimizer",
    "accumulate",
    "averaging",
    "clip_grad_norm",
    "clip_grad_value",
    "constant",
    "cosine",
    "cosine_restarts",
    "cyclic",
    "exponential",
    "inverse_sqrt",
    "linear",
    "lr_scheduler",
    "multiplicative",
    "multistep",
    "one_cycle",
    "param_groups",
    "piecewise",
    "polynomial",
    "product",
    "step_decay",
    "to_torch",
    "update_bn",
    "warmup",
]
