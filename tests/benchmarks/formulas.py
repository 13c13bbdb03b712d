"""Activations, softmax, losses and normalisations beside PyTorch, eager, one thread:

    OPENBLAS_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.formulas [NAME ...]

For each the microseconds of the forward, and of forward and gradient, with kernels made from the formula, in plain NumPy, and
in PyTorch; and the ratio of the first to the last. Time is that of the processor, which other processes do not add to.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import tapenet as tn
import tapenet.nn.functional as G
from tapenet import kernels
from tests.benchmarks.harness import interleaved

SHAPES = ((64, 192), (2048, 768), (100_000, 16))
R = np.random.default_rng(0)


def _activation(name: str, *options: Any) -> tuple[Callable[..., Any], Callable[..., Any], str]:
    return (lambda x: getattr(G, name)(x, *options)), (lambda x: getattr(F, name)(x, *options)), "x"


def _both(name: str, given: str, *options: Any) -> tuple[Callable[..., Any], Callable[..., Any], str]:
    return (lambda *a: getattr(G, name)(*a, *options)), (lambda *a: getattr(F, name)(*a, *options)), given


ACTIVATIONS = (
    "relu", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "logsigmoid", "sigmoid", "hardtanh",
    "hardshrink", "softshrink", "hardsigmoid", "hardswish",
)  # fmt: skip
#: By name: the function of tapenet, that of PyTorch, and the arrays they take, of which `x` and those of its width have
#: gradients.
OPS: dict[str, tuple[Callable[..., Any], Callable[..., Any], str]] = {
    **{name: _activation(name) for name in ACTIVATIONS},
    "glu": _activation("glu"),
    "threshold": _activation("threshold", 0.1, 2.0),
    "prelu": _both("prelu", "xo"),
    "softmax": _activation("softmax", -1),
    "log_softmax": _activation("log_softmax", -1),
    "mse_loss": _both("mse_loss", "xy"),
    "l1_loss": _both("l1_loss", "xy"),
    "smooth_l1_loss": _both("smooth_l1_loss", "xy"),
    "huber_loss": _both("huber_loss", "xy"),
    "soft_margin_loss": _both("soft_margin_loss", "xs"),
    "binary_cross_entropy_with_logits": _both("binary_cross_entropy_with_logits", "xp"),
    "kl_div": _both("kl_div", "xp"),
    "cross_entropy": _both("cross_entropy", "xt"),
    "nll_loss": _both("nll_loss", "xt"),
    "layer_norm": (
        lambda x, w, b: G.layer_norm(x, x.shape[-1:], w, b),
        lambda x, w, b: F.layer_norm(x, x.shape[-1:], w, b),
        "xwb",
    ),
    "rms_norm": (
        lambda x, w: G.rms_norm(x, x.shape[-1:], w),
        lambda x, w: F.rms_norm(x, x.shape[-1:], w),
        "xw",
    ),
    "batch_norm": (
        lambda x, w, b: G.batch_norm(x, None, None, w, b, True),
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
        "xwb",
    ),
}


def _arrays(given: str, shape: tuple[int, ...]) -> list[Any]:
    made = {
        "x": lambda: R.normal(size=shape),
        "y": lambda: R.normal(size=shape),
        "s": lambda: np.sign(R.normal(size=shape)),
        "p": lambda: R.uniform(size=shape),
        "w": lambda: R.normal(size=shape[1:]),
        "b": lambda: R.normal(size=shape[1:]),
        "o": lambda: R.normal(size=(1,)),
    }
    return [R.integers(shape[1], size=shape[0]) if n == "t" else made[n]().astype(np.float32) for n in given]


def steps(name: str, shape: tuple[int, ...]) -> tuple[dict[str, Callable[[], object]], dict[str, Callable[[], object]]]:
    """Forwards, and forwards with gradients, by candidate."""
    ours, theirs, given = OPS[name]
    arrays = _arrays(given, shape)
    learned = [n in "xwbo" for n in given]
    tensors = [tn.tensor(a, requires_grad=d) for a, d in zip(arrays, learned, strict=True)]
    others = [torch.tensor(a, requires_grad=d) for a, d in zip(arrays, learned, strict=True)]
    g = R.normal(size=ours(*tensors).shape).astype(np.float32)
    h = torch.tensor(g)

    def mine() -> None:
        ours(*tensors).backward(g)
        for t in tensors:
            t.grad = None

    def peer() -> None:
        theirs(*others).backward(h)
        for t in others:
            t.grad = None

    def without(step: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            with kernels.switched(False):
                step()

        return run

    plain, free = [tn.tensor(a) for a in arrays], [torch.tensor(a) for a in arrays]
    forward = {"formula": lambda: ours(*plain), "numpy": without(lambda: ours(*plain)), "torch": lambda: theirs(*free)}
    return forward, {"formula": mine, "numpy": without(mine), "torch": peer}


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'':34}" + " | ".join(f"{w:>10}: formula    numpy    torch ratio" for w in ("forward", "+ gradient")))
    for name in sys.argv[1:] or OPS:
        for shape in SHAPES:
            texts = []
            for candidates in steps(name, shape):
                times = interleaved(candidates, rounds=9, seconds=0.01, clock=time.thread_time)
                mine, plain, peer = times.values()
                texts.append(f"{'':10}{mine:9.1f}{plain:9.1f}{peer:9.1f} {mine / peer:5.2f}")
            print(f"{name[:20]:20} {shape!s:13}" + " | ".join(texts), flush=True)


if __name__ == "__main__":
    main()
