"""tapenet: a NumPy-native computational-graph framework.

Models are plain Python; every operation on a tensor is recorded on a tape; `backward()` walks it; optimizers apply the
updates. `tn.*` and `np.*` are the same functions on tensors.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tapenet import ops
from tapenet.autodiff.functions import grad, hvp, value_and_grad, vjp
from tapenet.autodiff.gradients import GradientError
from tapenet.autodiff.making import tensor
from tapenet.autodiff.switches import debug, enable_grad, is_grad_enabled, no_grad
from tapenet.autodiff.tape import CaptureError, Tape, tape
from tapenet.autodiff.tensor import Tensor, backward
from tapenet.drawing import draw
from tapenet.ops import *
from tapenet.ops import LATER as _later_ops
from tapenet.ops import __all__ as _ops
from tapenet.ops import random
from tapenet.ops.op import Op, Scatter, op
from tapenet.ops.registry import sample

if TYPE_CHECKING:
    from tapenet import data as data
    from tapenet import emath as emath
    from tapenet import fft as fft
    from tapenet import linalg as linalg
    from tapenet import metrics as metrics
    from tapenet import nn as nn
    from tapenet import optim as optim
    from tapenet import testing as testing
    from tapenet import training as training
    from tapenet.autodiff.control import cond, fori, scan
    from tapenet.autodiff.precision import autocast
    from tapenet.compiler.compile import CompileWarning, compile
    from tapenet.files.saving import load, save
    from tapenet.profiling.profile import profile
    from tapenet.training.network import Network

__version__ = "0.1.0"

__all__ = [
    "CaptureError",
    "CompileWarning",
    "GradientError",
    "Network",
    "Op",
    "Scatter",
    "Tape",
    "Tensor",
    "autocast",
    "backward",
    "compile",
    "cond",
    "data",
    "debug",
    "draw",
    "emath",
    "enable_grad",
    "fft",
    "fori",
    "grad",
    "hvp",
    "is_grad_enabled",
    "linalg",
    "load",
    "metrics",
    "nn",
    "no_grad",
    "op",
    "optim",
    "profile",
    "random",
    "sample",
    "save",
    "scan",
    "tape",
    "tensor",
    "testing",
    "training",
    "value_and_grad",
    "vjp",
    *_ops,
    *(name for names in _later_ops.values() for name in names),
]

# Loaded at first use, so that `import tapenet` costs little more than `import numpy`.
_LATER = frozenset({"data", "emath", "fft", "linalg", "metrics", "nn", "optim", "testing", "training"})
#: Functions and classes that are loaded at first use, with the module they are in.
_INSIDE = {
    "Network": "training.network",
    "CompileWarning": "compiler.compile",
    "autocast": "autodiff.precision",
    "compile": "compiler.compile",
    "cond": "autodiff.control",
    "fori": "autodiff.control",
    "load": "files.saving",
    "profile": "profiling.profile",
    "save": "files.saving",
    "scan": "autodiff.control",
}

_names = frozenset(__all__)


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _INSIDE:
        found = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_INSIDE[name]}"), name)
        return found
    if name in _names:
        found = globals()[name] = getattr(ops, name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
