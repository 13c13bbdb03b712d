"""tapenet: a NumPy-native computational-graph framework.

Models are plain Python; every operation on a tensor is recorded on a tape; `backward()` walks it; optimizers apply the
updates. `tn.*` and `np.*` are the same functions on tensors.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tapenet import ops
from tapenet.autodiff.creation import tensor
from tapenet.autodiff.gradients import GradientError
from tapenet.autodiff.observe.anomaly import debug
from tapenet.autodiff.observe.tape import CaptureError, Tape, tape
from tapenet.autodiff.state import enable_grad, is_grad_enabled, no_grad
from tapenet.autodiff.tensor import Tensor, backward
from tapenet.drawing import draw
from tapenet.ops import *
from tapenet.ops import LATER as _later_ops
from tapenet.ops import __all__ as _ops
from tapenet.ops import random
from tapenet.ops.op import Op, Scatter, op
from tapenet.ops.registry import sample
from tapenet.transforms.gradients import grad, gradients, hvp, value_and_grad, vjp

if TYPE_CHECKING:
    from tapenet import autograd as autograd
    from tapenet import cuda as cuda
    from tapenet import data as data
    from tapenet import emath as emath
    from tapenet import fft as fft
    from tapenet import files as files
    from tapenet import linalg as linalg
    from tapenet import metrics as metrics
    from tapenet import nn as nn
    from tapenet import optim as optim
    from tapenet import testing as testing
    from tapenet import training as training
    from tapenet.autodiff.control.flow import cond, fori, scan
    from tapenet.autodiff.observe.autocast import autocast
    from tapenet.compat.torch_dtypes import (
        complex64,
        complex128,
        double,
        float16,
        float32,
        float64,
        half,
        int8,
        int16,
        int32,
        int64,
        long,
        short,
        uint8,
    )
    from tapenet.compat.torch_functions import (
        addmm,
        baddbmm,
        bernoulli,
        bmm,
        cat,
        chunk,
        clamp,
        device,
        div,
        flatten,
        from_numpy,
        gather,
        index_select,
        inference_mode,
        is_floating_point,
        is_tensor,
        lerp,
        manual_seed,
        masked_fill,
        mm,
        movedim,
        mul,
        multinomial,
        neg,
        norm,
        numel,
        permute,
        rand,
        rand_like,
        randint,
        randn,
        randn_like,
        randperm,
        repeat_interleave,
        rsqrt,
        set_grad_enabled,
        sub,
        swapdims,
        t,
        topk,
        unbind,
        unsqueeze,
    )
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
    "addmm",
    "autocast",
    "autograd",
    "backward",
    "baddbmm",
    "bernoulli",
    "bmm",
    "cat",
    "chunk",
    "clamp",
    "compile",
    "complex128",
    "complex64",
    "cond",
    "cuda",
    "data",
    "debug",
    "device",
    "div",
    "double",
    "draw",
    "emath",
    "enable_grad",
    "fft",
    "files",
    "flatten",
    "float16",
    "float32",
    "float64",
    "fori",
    "from_numpy",
    "gather",
    "grad",
    "gradients",
    "half",
    "hvp",
    "index_select",
    "inference_mode",
    "int16",
    "int32",
    "int64",
    "int8",
    "is_floating_point",
    "is_grad_enabled",
    "is_tensor",
    "lerp",
    "linalg",
    "load",
    "long",
    "manual_seed",
    "masked_fill",
    "metrics",
    "mm",
    "movedim",
    "mul",
    "multinomial",
    "neg",
    "nn",
    "no_grad",
    "norm",
    "numel",
    "op",
    "optim",
    "permute",
    "profile",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "random",
    "randperm",
    "repeat_interleave",
    "rsqrt",
    "sample",
    "save",
    "scan",
    "set_grad_enabled",
    "short",
    "sub",
    "swapdims",
    "t",
    "tape",
    "tensor",
    "testing",
    "topk",
    "training",
    "uint8",
    "unbind",
    "unsqueeze",
    "value_and_grad",
    "vjp",
    *_ops,
    *(name for names in _later_ops.values() for name in names),
]

# Loaded at first use, so that `import tapenet` costs little more than `import numpy`.
_LATER = frozenset(
    {"autograd", "cuda", "data", "emath", "fft", "files", "linalg", "metrics", "nn", "optim", "testing", "training"}
)
#: Functions and classes that are loaded at first use, with the module they are in.
_INSIDE = {
    "Network": "training.network",
    "CompileWarning": "compiler.compile",
    "autocast": "autodiff.observe.autocast",
    "compile": "compiler.compile",
    "cond": "autodiff.control.flow",
    "fori": "autodiff.control.flow",
    "load": "files.saving",
    "profile": "profiling.profile",
    "save": "files.saving",
    "scan": "autodiff.control.flow",
}

# What PyTorch has and NumPy has not. Types of numbers whose names are Python's too are not in `__all__`.
_TORCH_FUNCTIONS = (
    "addmm baddbmm bernoulli bmm cat chunk clamp device div flatten from_numpy gather index_select inference_mode "
    "is_floating_point is_tensor lerp manual_seed masked_fill mm movedim mul multinomial neg norm numel permute "
    "rand rand_like randint randn randn_like randperm repeat_interleave rsqrt set_grad_enabled sub swapdims t topk "
    "unbind unsqueeze "
)
_TORCH_DTYPES = (
    "bfloat16 bool complex128 complex64 double float float16 float32 float64 half int int16 int32 int64 int8 long "
    "short uint8 "
)
_INSIDE |= dict.fromkeys(_TORCH_FUNCTIONS.split(), "compat.torch_functions")
_INSIDE |= dict.fromkeys(_TORCH_DTYPES.split(), "compat.torch_dtypes")

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
