"""Activations, softmax, losses and normalisations beside PyTorch, eager, one thread:

    OPENBLAS_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.formulas [NAME ...]

For each the microseconds of the forward, and of forward and gradient, with kernels made from the formula, in plain NumPy, and
in PyTorch; and the ratio of the first to the last. Time is that of the processor, which other processes do not add to.
Of one op or so `--bare` leaves plain NumPy out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

import tapenet as tn
import tapenet.nn.functional as G
from tapenet import kernels
from tests.benchmarks.harness import interleaved

SHAPES = ((64, 160), (400, 250), (2000, 1000), (100_000, 16))
#: Of positions and classes.
CLASSES = ((64, 10), (1000, 10), (200, 1000), (100_000, 16))
#: Vectors by their lengths.
VECTORS = ((64, 160), (1000, 128), (20_000, 100))
#: Images: samples, channels, height and width.
IMAGES = ((4, 16, 14, 14), (16, 128, 8, 8), (32, 64, 28, 28))
R = np.random.default_rng(0)


class Case(NamedTuple):
    """An op of both.

    Attributes:
        ours: the function of tapenet.
        theirs: that of PyTorch.
        given: the arrays they take, a letter each (`_arrays`).
        shapes: of the input.
    """

    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    given: str
    shapes: tuple[tuple[int, ...], ...] = SHAPES


def _case(
    name: str, given: str = "x", *options: Any, shapes: tuple[tuple[int, ...], ...] = SHAPES, **more: Any
) -> Case:
    ours, theirs = getattr(G, name), getattr(F, name)
    return Case(lambda *a: ours(*a, *options, **more), lambda *a: theirs(*a, *options, **more), given, shapes)


ACTIVATIONS = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "logsigmoid", "sigmoid",
    "tanh", "hardtanh", "hardshrink", "softshrink", "hardsigmoid", "hardswish", "softsign", "tanhshrink", "glu",
)  # fmt: skip
OPS: dict[str, Case] = {
    **{name: _case(name) for name in ACTIVATIONS},
    "gelu tanh": _case("gelu", approximate="tanh"),
    "threshold": _case("threshold", "x", 0.1, 2.0),
    "prelu": _case("prelu", "xo"),
    "rrelu": _case("rrelu"),
    "softmax": _case("softmax", "x", -1),
    "softmin": _case("softmin", "x", -1),
    "log_softmax": _case("log_softmax", "x", -1),
    "gumbel_softmax": _case("gumbel_softmax"),
    "mse_loss": _case("mse_loss", "xy"),
    "l1_loss": _case("l1_loss", "xy"),
    "smooth_l1_loss": _case("smooth_l1_loss", "xy"),
    "huber_loss": _case("huber_loss", "xy"),
    "soft_margin_loss": _case("soft_margin_loss", "xs"),
    "hinge_embedding_loss": _case("hinge_embedding_loss", "xs"),
    "margin_ranking_loss": _case("margin_ranking_loss", "xzs"),
    "binary_cross_entropy_with_logits": _case("binary_cross_entropy_with_logits", "xp"),
    "binary_cross_entropy": _case("binary_cross_entropy", "qp"),
    "multilabel_soft_margin_loss": _case("multilabel_soft_margin_loss", "xp"),
    "kl_div": _case("kl_div", "xp"),
    "poisson_nll_loss": _case("poisson_nll_loss", "xp"),
    "gaussian_nll_loss": _case("gaussian_nll_loss", "xyv"),
    "cross_entropy": _case("cross_entropy", "xt", shapes=CLASSES),
    "cross_entropy smoothed": _case("cross_entropy", "xt", label_smoothing=0.1, shapes=CLASSES),
    "cross_entropy soft": _case("cross_entropy", "xp", shapes=CLASSES),
    "nll_loss": _case("nll_loss", "xt", shapes=CLASSES),
    "multi_margin_loss": _case("multi_margin_loss", "xt", shapes=CLASSES),
    "multilabel_margin_loss": _case("multilabel_margin_loss", "xl", shapes=((64, 10), (1000, 10))),
    "cosine_similarity": _case("cosine_similarity", "xz", shapes=VECTORS),
    "pairwise_distance": _case("pairwise_distance", "xz", shapes=VECTORS),
    "cosine_embedding_loss": _case("cosine_embedding_loss", "xzr", shapes=VECTORS),
    "triplet_margin_loss": _case("triplet_margin_loss", "xzz", shapes=VECTORS),
    "layer_norm": Case(
        lambda x, w, b: G.layer_norm(x, x.shape[-1:], w, b), lambda x, w, b: F.layer_norm(x, x.shape[-1:], w, b), "xwb"
    ),
    "rms_norm": Case(lambda x, w: G.rms_norm(x, x.shape[-1:], w), lambda x, w: F.rms_norm(x, x.shape[-1:], w), "xw"),
    "batch_norm": Case(
        lambda x, w, b: G.batch_norm(x, None, None, w, b, True),
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
        "xcd",
        (*SHAPES, *IMAGES),
    ),
    "group_norm": Case(
        lambda x, w, b: G.group_norm(x, 8, w, b), lambda x, w, b: F.group_norm(x, 8, w, b), "xcd", IMAGES
    ),
    "instance_norm": _case("instance_norm", shapes=IMAGES),
    "softmax of channels": _case("softmax", "x", 1, shapes=IMAGES),
}


def _arrays(given: str, shape: tuple[int, ...]) -> list[Any]:
    made = {
        "x": lambda: R.normal(size=shape),  # an input with a gradient
        "y": lambda: R.normal(size=shape),
        "z": lambda: R.normal(size=shape),  # another input with a gradient
        "q": lambda: R.uniform(0.01, 0.99, size=shape),  # probabilities with a gradient
        "p": lambda: R.uniform(size=shape),
        "v": lambda: R.uniform(0.5, 2, size=shape),
        "s": lambda: np.sign(R.normal(size=shape)),
        "r": lambda: np.sign(R.normal(size=shape[:1])),
        "w": lambda: R.normal(size=shape[1:]),
        "b": lambda: R.normal(size=shape[1:]),
        "c": lambda: R.normal(size=shape[1]),  # channels
        "d": lambda: R.normal(size=shape[1]),
        "o": lambda: R.normal(size=(1,)),
        "t": lambda: R.integers(shape[1], size=shape[0]),  # classes
        "l": lambda: np.where(np.arange(shape[1]) < 3, R.integers(shape[1], size=shape), -1),  # three classes each
    }
    arrays = (made[n]() for n in given)
    return [a if a.dtype.kind == "i" else a.astype(np.float32) for a in arrays]


def steps(name: str, shape: tuple[int, ...]) -> tuple[dict[str, Callable[[], object]], dict[str, Callable[[], object]]]:
    """Forwards, and forwards with gradients, by candidate."""
    ours, theirs, given, _ = OPS[name]
    arrays = _arrays(given, shape)
    learned = [n in "xzqwbocd" for n in given]
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
    names = [name for name in sys.argv[1:] if name != "--bare"]
    bare = "--bare" in sys.argv
    print(f"{'':42}" + " | ".join(f"{w:>10}: formula    numpy    torch ratio" for w in ("forward", "+ gradient")))
    for name in names or OPS:
        for shape in OPS[name].shapes:
            texts = []
            for candidates in steps(name, shape):
                if bare:
                    del candidates["numpy"]
                times = interleaved(candidates, rounds=9, seconds=0.01, clock=time.thread_time)
                mine, plain, peer = times["formula"], times.get("numpy", np.nan), times["torch"]
                texts.append(f"{'':10}{mine:9.1f}{plain:9.1f}{peer:9.1f} {mine / peer:5.2f}")
            print(f"{name[:24]:24} {shape!s:17}" + " | ".join(texts), flush=True)


if __name__ == "__main__":
    main()
