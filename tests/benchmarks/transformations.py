"""Compiled transformations beside JAX's jitted ones and torch.func's, which run eagerly, one thread:

    OPENBLAS_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.transformations [NAME ...]

For each case the microseconds of all and the ratios of tapenet to each other; of forward mode also to the function itself. All
compute the same numbers, which is checked first. Time is that of the processor, on all threads, which others do not add to.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp
import numpy as np
import torch

import tapenet as tn
import tapenet.nn.functional as F
from tests.benchmarks.harness import interleaved

jax.config.update("jax_cpu_enable_async_dispatch", False)
torch.set_num_threads(1)

#: What the ratios are held against.
BOUNDS = {"JAX": "0.7 and 1.2", "torch.func": "0.3 in each", "the function": "2.5 in each"}
#: The cases that are measured beside torch.func, by how their names begin.
BESIDE_TORCH = ("jacobian", "hessian", "hvp", "per-sample", "vmap of grad")
R = np.random.default_rng(0)


class Side(NamedTuple):
    """What differs between libraries: array functions, transformations, three functions by name, and what arrays are made."""

    np: Any
    jvp: Callable[..., Any]
    grad: Callable[..., Any]
    vmap: Callable[..., Any]
    tall: Callable[..., Any]
    wide: Callable[..., Any]
    hessian: Callable[..., Any]
    hvp: Callable[..., Any]
    conv: Callable[..., Any]
    scan: Callable[..., Any]
    compiled: Callable[..., Any]
    given: Callable[..., Any]


def _hvp(library: Any, f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, v: library.jvp(library.grad(f), (x,), (v,))[1]


def _conv(x: Any, w: Any) -> Any:
    return jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NCHW", "OIHW", "NCHW"))


def _itself(value: Any) -> Any:
    return value


def _torchs(arrays: Any) -> Any:
    return jax.tree.map(torch.from_numpy, arrays)


OURS = Side(
    np, tn.jvp, tn.grad, tn.vmap, tn.jacobian, tn.jacobian, tn.hessian, tn.hvp, F.conv2d, tn.scan, tn.compile, _itself
)  # fmt: skip
JAX = Side(
    jnp, jax.jvp, jax.grad, jax.vmap, jax.jacfwd, jax.jacrev, jax.hessian, functools.partial(_hvp, jax), _conv,
    jax.lax.scan, jax.jit, jax.device_put,
)  # fmt: skip
#: What these cases need of NumPy, as users of PyTorch write it.
_TORCH_NUMPY = SimpleNamespace(
    tanh=torch.tanh, sin=torch.sin, exp=torch.exp,
    maximum=lambda x, zero: torch.relu(x), logaddexp=lambda zero, x: torch.nn.functional.softplus(x),
)  # fmt: skip
TORCH = Side(
    _TORCH_NUMPY, torch.func.jvp, torch.func.grad, torch.func.vmap, torch.func.jacfwd, torch.func.jacrev,
    torch.func.hessian, functools.partial(_hvp, torch.func), torch.nn.functional.conv2d, None, _itself, _torchs,
)  # fmt: skip


class Case(NamedTuple):
    """A transformation.

    Attributes:
        made: the transformed function on a side.
        args: what it takes.
        plain: of forward mode: the function itself, of the first half of the arguments.
    """

    made: Callable[[Side], Callable[..., Any]]
    args: tuple[Any, ...]
    plain: Callable[[Side], Callable[..., Any]] | None = None


def _random(*shape: int) -> Any:
    return (R.normal(size=shape) / math.sqrt(max(shape[-1:], default=1))).astype(np.float32)


def _layers(*widths: int) -> list[Any]:
    made = []
    for n, m in itertools.pairwise(widths):
        made += [(R.normal(size=(n, m)) / math.sqrt(n)).astype(np.float32), _random(m)]
    return made


def mlp(side: Side, parameters: Sequence[Any], x: Any) -> Any:
    """A multilayer perceptron."""
    for w, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        x = side.np.tanh(x @ w + b)
    return x @ parameters[-2] + parameters[-1]


def squares(side: Side, parameters: Sequence[Any], x: Any, y: Any) -> Any:
    """The mean square error of it."""
    return ((mlp(side, parameters, x) - y) ** 2).mean()


def cnn(side: Side, parameters: Sequence[Any], x: Any, y: Any) -> Any:
    """The mean square error of two convolutions and a linear map."""
    v, w, u = parameters
    h = side.np.maximum(side.conv(x, v), 0)
    h = side.np.maximum(side.conv(h, w), 0)
    return ((h.reshape((len(x), -1)) @ u - y) ** 2).mean()


def chain(side: Side, x: Any) -> Any:
    """Elementwise functions."""
    return side.np.sin(x) * side.np.exp(-x * x) + side.np.sqrt(1 + x * x)


def recurrence(side: Side, w: Any, xs: Any) -> Any:
    """A recurrent network."""
    return side.scan(lambda h, x: (side.np.tanh(h @ w + x),) * 2, xs[0], xs)[1]


def rosenbrock(side: Side, x: Any) -> Any:
    """Rosenbrock's function."""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def logistic(side: Side, x: Any, y: Any, w: Any) -> Any:
    """The loss of a logistic regression."""
    return side.np.logaddexp(0, -y * (x @ w)).mean() + 0.01 * (w * w).sum()


def small(side: Side, x: Any, y: Any, flat: Any) -> Any:
    """The loss of a small network by its parameters in one vector."""
    parameters = [flat[:32].reshape((4, 8)), flat[32:40], flat[40:48].reshape((8, 1)), flat[48:]]
    return squares(side, parameters, x, y)


def energy(side: Side, x: Any) -> Any:
    """A function of a short vector."""
    return side.np.sin(x[0]) * x[1] + side.np.exp(-(x**2).sum())


def _forward(f: Callable[..., Any], *args: Any) -> Case:
    tangents = tuple([_random(*a.shape) for a in arg] if isinstance(arg, list) else _random(*arg.shape) for arg in args)

    def made(side: Side) -> Callable[..., Any]:
        return lambda *a: side.jvp(functools.partial(f, side), a[: len(args)], a[len(args) :])

    return Case(made, (*args, *tangents), lambda side: functools.partial(f, side))


DEEP, SAMPLES, LABELS = _layers(64, 128, 128, 10), _random(128, 64), _random(128, 10)
FILTERS, IMAGES, TARGETS = (
    [_random(8, 1, 3, 3), _random(16, 8, 3, 3), _random(16 * 100, 10)],
    _random(32, 1, 14, 14),
    _random(32, 10),
)
TABLE, SIGNS = _random(500, 30), np.sign(_random(500))
CASES: dict[str, Case] = {
    "jvp of an MLP": _forward(mlp, DEEP, SAMPLES),
    "jvp of an elementwise chain": _forward(chain, _random(100_000)),
    "jvp of a scan": _forward(recurrence, _random(32, 32), _random(50, 32)),
    "jacobian of an MLP, tall": Case(
        lambda side: side.tall(functools.partial(mlp, side, side.given(_layers_tall))), (_random(16),)
    ),
    "jacobian of an MLP, wide": Case(
        lambda side: side.wide(functools.partial(mlp, side, side.given(_layers_wide))), (_random(256),)
    ),
    "hessian of Rosenbrock's function": Case(
        lambda side: side.hessian(functools.partial(rosenbrock, side)), (_random(100),)
    ),
    "hessian of a logistic regression": Case(
        lambda side: side.hessian(functools.partial(logistic, side, *side.given((TABLE, SIGNS)))), (_random(30),)
    ),
    "hessian of a small MLP": Case(
        lambda side: side.hessian(functools.partial(small, side, *side.given((SAMPLES[:, :4], LABELS[:, :1])))), (_random(49),)
    ),
    "hvp of an MLP": Case(
        lambda side: side.hvp(functools.partial(squares, side, **side.given({"x": SAMPLES, "y": LABELS}))),
        (DEEP, [_random(*p.shape) for p in DEEP]),
    ),
    "hvp of a CNN": Case(
        lambda side: side.hvp(functools.partial(cnn, side, **side.given({"x": IMAGES, "y": TARGETS}))),
        (FILTERS, [_random(*p.shape) for p in FILTERS]),
    ),
    "per-sample gradients of an MLP": Case(
        lambda side: side.vmap(side.grad(functools.partial(squares, side)), (None, 0, 0)), (DEEP, SAMPLES, LABELS)
    ),
    "per-sample gradients of a CNN": Case(
        lambda side: side.vmap(side.grad(lambda p, x, y: cnn(side, p, x[None], y[None])), (None, 0, 0)),
        (FILTERS, IMAGES, TARGETS),
    ),
    "vmap of solve": Case(
        lambda side: side.vmap(side.np.linalg.solve), (_random(200, 10, 10) + np.eye(10, dtype=np.float32), _random(200, 10, 1))
    ),
    "vmap of grad": Case(lambda side: side.vmap(side.grad(functools.partial(energy, side))), (_random(10_000, 3),)),
}  # fmt: skip
_layers_tall, _layers_wide = _layers(16, 64, 256), _layers(256, 64, 16)


def _leaves(value: Any) -> list[Any]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(value, is_leaf=lambda v: isinstance(v, tn.Tensor))]


def measured(name: str) -> dict[str, float]:
    """Microseconds of the sides of a case, and of our function itself where the case has one."""
    case = CASES[name]
    sides = {"tapenet": OURS, "JAX": JAX} | ({"torch.func": TORCH} if name.startswith(BESIDE_TORCH) else {})
    calls = {n: functools.partial(side.compiled(case.made(side)), *side.given(case.args)) for n, side in sides.items()}
    ours, *others = (_leaves(call()) for call in calls.values())
    for theirs in others:
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * max(1.0, float(np.abs(b).max())))
    steps: dict[str, Callable[[], object]] = {**calls, "JAX": lambda: jax.block_until_ready(calls["JAX"]())}
    if case.plain is not None:
        steps["the function"] = functools.partial(OURS.compiled(case.plain(OURS)), *case.args[: len(case.args) // 2])
    return interleaved(steps, rounds=9, seconds=0.02, clock=time.process_time)


def main() -> None:
    """Print the table, and whether it keeps what is promised."""
    found: dict[str, list[float]] = {"JAX": [], "torch.func": [], "the function": []}
    print(f"{'':34}{'tapenet':>10}{'JAX':>10} ratio{'torch.func':>12} ratio{'the function':>14} ratio")
    for name in sys.argv[1:] or CASES:
        times = measured(name)
        line = f"{name:34}{times['tapenet']:10.1f}"
        for other, width in (("JAX", 10), ("torch.func", 12), ("the function", 14)):
            if other in times:
                found[other].append(times["tapenet"] / times[other])
                line += f"{times[other]:{width}.1f} {found[other][-1]:5.2f}"
            else:
                line += " " * (width + 6)
        print(line.rstrip(), flush=True)
    for other, bounds in BOUNDS.items():
        if ratios := found[other]:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            print(f"over {other}: {mean:.2f} on average, {max(ratios):.2f} at worst (at most {bounds})")


if __name__ == "__main__":
    main()
