"""Layers of all shapes beside their peers: `python -m tests.benchmarks.layers.grid`.

Each convolution of `shapes` three ways: forward, and its gradients by the input and by the weights; each other layer of `rows`
forward, and forward with all gradients. Float32, on one core with one thread; tapenet and PyTorch are eager, JAX is jitted.
tapenet's convolutions are called with images as its own layers give them, batch innermost; PyTorch's with images and weights
contiguous and in channels_last; JAX's with channels last. Turns of some milliseconds, taken one after the other; medians. A
peer that is ten times as slow in its first turn has no further one.

With `--json FILE` times are kept, and those of candidates that are not measured this time are read from there. `--prepare`
only compiles, into TAPENET_CACHE and the JAX_COMPILATION_CACHE_DIR. `--part 2/3` measures the second third of the shapes.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import re
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.layers import rows
from tests.benchmarks.layers.shapes import Shape, shapes
from tests.benchmarks.side_by_side.command import pin

Call = Callable[[], object]
#: Microseconds by shape, product and candidate.
Times = dict[str, dict[str, dict[str, float]]]
#: What is timed of a convolution, and of another layer.
PRODUCTS = {Shape: ("forward", "by input", "by weight"), rows.Case: ("forward", "gradient")}
SIDES = ("tapenet", "torch", "jax")


def data(shape: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Input, weights, gradient by the result."""
    r = np.random.default_rng(0)
    x, w, g = (r.standard_normal(s, np.float32) for s in (shape.x, shape.weight, shape.y))
    return x, w / math.sqrt(math.prod(shape.weight[1:])), g


def tapenet(shape: Shape) -> Iterator[tuple[str, list[Call]]]:
    """The three ops, on tensors that record nothing."""
    import tapenet as tn

    x, w, g = data(shape)
    n = f"conv{shape.axes}d"
    conv, by_input, by_weight = (getattr(tn, n + end) for end in ("", "_input_grad", "_weight_grad"))
    x, g = (np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 0, -1)), -1, 0) for a in (x, g))
    options = shape.stride, shape.padding, shape.dilation, shape.groups
    x, w, g = map(tn.tensor, (x, w, g))
    yield (
        "tapenet",
        [
            lambda: conv(x, w, None, *options),
            lambda: by_input(g, w, shape.x, *options),
            lambda: by_weight(x, g, shape.weight, *options),
        ],
    )


def torch(shape: Shape) -> Iterator[tuple[str, list[Call]]]:
    """The op that autograd calls, in either memory format."""
    import torch

    torch.set_num_threads(1)
    arrays = list(map(torch.from_numpy, data(shape)))
    axes = shape.axes
    options = [[n] * axes for n in (shape.stride, shape.padding, shape.dilation)]
    formats = [torch.contiguous_format]
    if axes == 2:
        formats.append(torch.channels_last)
    conv = (torch.conv1d, torch.conv2d)[axes - 1]
    for form in formats:
        x, w, g = (a.contiguous(memory_format=form) for a in arrays)

        def backward(by_input: bool, by_weight: bool, arrays: Any = (g, x, w)) -> object:
            mask = [by_input, by_weight, False]
            return torch.ops.aten.convolution_backward(*arrays, None, *options, False, [0] * axes, shape.groups, mask)

        yield (
            "torch" if form is torch.contiguous_format else "torch/channels_last",
            [
                functools.partial(conv, x, w, None, *options, shape.groups),
                functools.partial(backward, True, False),
                functools.partial(backward, False, True),
            ],
        )


def jax(shape: Shape) -> Iterator[tuple[str, list[Call]]]:
    """Jitted, with channels last."""
    import jax

    jax.config.update("jax_cpu_enable_async_dispatch", False)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    x, w, g = data(shape)
    places = "HW"[: shape.axes]
    x, g = (jax.numpy.asarray(np.moveaxis(a, 1, -1).copy()) for a in (x, g))
    w = jax.numpy.asarray(np.moveaxis(w, (0, 1), (-1, -2)).copy())

    def conv(x: Any, w: Any) -> Any:
        return jax.lax.conv_general_dilated(
            x, w, (shape.stride,) * shape.axes, [(shape.padding,) * 2] * shape.axes,
            rhs_dilation=(shape.dilation,) * shape.axes, feature_group_count=shape.groups,
            dimension_numbers=(f"N{places}C", f"{places}IO", f"N{places}C"),
        )  # fmt: skip

    runs = [
        functools.partial(jax.jit(conv), x, w),
        functools.partial(jax.jit(lambda x, w, g: jax.vjp(lambda x: conv(x, w), x)[1](g)), x, w, g),
        functools.partial(jax.jit(lambda x, w, g: jax.vjp(lambda w: conv(x, w), w)[1](g)), x, w, g),
    ]
    yield "jax", [lambda run=run: jax.block_until_ready(run()) for run in runs]


def sides(shape: Shape | rows.Case, side: str) -> Iterator[tuple[str, list[Call]]]:
    """What a library does with it: its candidates, and a call for each product."""
    found: Iterator[tuple[str, list[Call]]] = (rows.SIDES if isinstance(shape, rows.Case) else CONVOLUTIONS)[side](
        shape
    )
    return found


CONVOLUTIONS: dict[str, Callable[..., Any]] = {"tapenet": tapenet, "torch": torch, "jax": jax}


def timed(call: Call, seconds: float) -> float:
    """Microseconds of a call."""
    call()  # fetches what others drove from the caches
    count, begin = 0, time.perf_counter()
    while True:
        call()
        count += 1
        taken = time.perf_counter() - begin
        if taken > seconds:
            return taken / count * 1e6


def measure(shape: Shape | rows.Case, names: list[str], rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Microseconds by product and candidate."""
    made = {name: calls for side in names for name, calls in sides(shape, side)}
    found = {}
    for i, product in enumerate(PRODUCTS[type(shape)]):
        calls = {name: calls[i] for name, calls in made.items()}
        taken = {name: [min(timed(call, 0), timed(call, 0))] for name, call in calls.items()}
        slow = 10 * min(taken.values())[0]
        for _ in range(rounds):
            for name, call in calls.items():
                if taken[name][0] < slow:
                    taken[name].append(timed(call, seconds))
        found[product] = {name: round(statistics.median(t[1:] or t), 2) for name, t in taken.items()}
    return found


def ratios(times: Times) -> dict[tuple[str, str], float]:
    """tapenet over the better of its peers, by shape and product."""
    return {
        (shape, product): t["tapenet"] / min(v for name, v in t.items() if name != "tapenet")
        for shape, products in times.items()
        for product, t in products.items()
        if len(t) > 1 and "tapenet" in t
    }


def mean(values: list[float]) -> float:
    """Geometric."""
    return math.exp(statistics.fmean(map(math.log, values)))


def report(times: Times, worst: int) -> str:
    """The share that is at most 1.0, the worst, the mean, by kind of layer and product; and the slowest by name."""
    found = ratios(times)
    kinds = {str(case): case.kind for case in rows.cases()}
    groups: dict[str, list[float]] = {}
    for (shape, product), r in found.items():
        kind = kinds.get(shape)
        for group in (f"{kind or 'convolution'}, {product}", "all others" if kind else "all convolutions"):
            groups.setdefault(group, []).append(r)
    lines = []
    for group, values in sorted(groups.items(), key=lambda item: item[0].startswith("all ")):
        share, above = sum(r <= 1 for r in values) / len(values), sum(r > 1.15 for r in values)
        lines.append(f"{group:24} {len(values):4}: {share:6.1%} at most 1.0, {above:3} above 1.15, "
                     f"worst {max(values):.2f}, mean {mean(values):.3f}")  # fmt: skip
    for (shape, product), r in sorted(found.items(), key=lambda item: -item[1])[:worst]:
        lines.append(f"{r:6.2f} {shape}: {product} {times[shape][product]}")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.layers.grid", description=(__doc__ or "").partition(":")[0]
    )
    parser.add_argument("--only", default="", metavar="PATTERN", help="of shapes' names")
    parser.add_argument("--part", default="1/1", metavar="I/N")
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.002)
    parser.add_argument("--worst", type=int, default=30)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    pin(1)
    times: Times = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    i, n = map(int, options.part.split("/"))
    chosen = [s for s in (*shapes(), *rows.cases()) if re.search(options.only, str(s))]
    for shape in chosen[len(chosen) * (i - 1) // n : len(chosen) * i // n]:
        if options.prepare:
            for side in options.sides:
                for _, calls in sides(shape, side):
                    for call in calls:
                        call()
            continue
        for product, t in measure(shape, options.sides, options.rounds, options.seconds).items():
            times.setdefault(str(shape), {}).setdefault(product, {}).update(t)
    if options.json and not options.prepare:
        options.json.write_text(json.dumps(times, indent=1) + "\n")
    if not options.prepare:
        print(report({k: v for k, v in times.items() if re.search(options.only, k)}, options.worst))


if __name__ == "__main__":
    main()
