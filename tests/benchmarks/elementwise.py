"""Long elementwise programs beside JAX and Numba, compiled, one thread:

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.elementwise [--lengths 50 366]
        [--sizes 4096 1048576] [--dtypes float32 float64] [--forms full inner outer] [--no-gradient] [--no-numba]

A program is Python written for it: Horner's rule on two arrays and one that may broadcast, quotients of such sums, roots, a
logarithm now and then, and values that are used again far behind, as in an equation of state of sea water. tapenet and JAX run
the same function, Numba a loop over elements of the same lines, without fast-math. Of the gradient Numba has none.

Printed are the microseconds of a call, medians of interleaved rounds, and tapenet's time over that of the better peer.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks.harness import interleaved

#: Instructions between two logarithms.
RARE = 150
#: How the third array broadcasts to the first two, by the shape of these: (8, 4) elements and a multiple of that.
FORMS = {
    "full": lambda n: ((n,), (n,)),
    "inner": lambda n: ((n // 32, 8, 4), (1, 1, 4)),
    "middle": lambda n: ((n // 32, 8, 4), (1, 8, 1)),
    "outer": lambda n: ((n // 64, 64), (n // 64, 1)),
}


class Source(NamedTuple):
    """A program: its lines, and the name of what it computes."""

    lines: list[str]
    result: str


def written(length: int, seed: int = 0) -> Source:
    """A program of so many elementwise instructions on `x`, `y` and `z`, from 0.1 to 1 all of them; and so remain, up to some
    power of ten, all values on the way."""
    r = np.random.default_rng(seed)
    lines: list[str] = []
    values: list[str] = []
    waiting: dict[str, None] = {}  # values that nothing has used

    def earlier(count: int = 0) -> str:
        found = str(r.choice(values[-count:]))
        waiting.pop(found, None)
        return found

    def emit(text: str) -> str:
        lines.append(f"t{len(lines)} = {text}")
        return f"t{len(lines) - 1}"

    def number() -> str:
        return f"{r.choice([-1, 1]) * r.uniform(0.1, 0.9):.3f}"

    def polynomial() -> str:
        inner = emit(f"{r.choice(['x', 'y', 'z'])} * {number()}")
        for _ in range(int(r.integers(1, 5))):
            inner = emit(f"{inner} + {earlier(9) if values and r.random() < 0.3 else number()}")
            inner = emit(f"{inner} * {r.choice(['x', 'y', 'z'])}")
        return inner

    rare = 0
    while len(lines) + len(waiting) < length - 12:
        p = polynomial()
        q = earlier() if values and r.random() < 0.6 else polynomial()  # far behind, too
        kind = r.random()
        if len(lines) // RARE > rare:
            rare += 1
            square = emit(f"{p} * {p}")
            values.append(emit(f"log({emit(f'{square} + 1.25')})"))
        elif kind < 0.15:
            square = emit(f"{p} * {p}")
            values.append(emit(f"sqrt({emit(f'{square} + 0.5')})"))
        elif kind < 0.4:
            square = emit(f"{q} * {q}")
            values.append(emit(f"{p} / {emit(f'{square} + 1.5')}"))
        else:
            values.append(emit(f"{emit(f'{p} * {q}')} - {number()}"))
            values[-1] = emit(f"{values[-1]} * 0.3")
        waiting[values[-1]] = None
    result, *others = waiting
    for other in others:
        result = emit(f"{result} + {other}")
    while len(lines) < length:
        result = emit(f"{result} * {number()}")
    return Source(lines, result)


def function(source: Source, namespace: dict[str, Any]) -> Callable[..., Any]:
    """A function `f(x, y, z)` of a program, with `sqrt` and `log` from a namespace."""
    body = "\n".join(f"    {line}" for line in source.lines)
    made = {"sqrt": namespace["sqrt"], "log": namespace["log"]}
    exec(f"def f(x, y, z):\n{body}\n    return {source.result}\n", made)
    found: Callable[..., Any] = made["f"]
    return found


def loops(source: Source, dtype: np.dtype, domain: tuple[int, ...], third: tuple[int, ...]) -> Callable[..., Any]:
    """The same as a loop over elements by Numba. Its numbers are of the dtype too."""
    import re

    import numba

    def rounded(line: str) -> str:
        return re.sub(r"(?<![\w.])-?\d+\.\d+", lambda m: f"real({m[0]})", line)

    indices = "ijk"[: len(domain)]
    inner = "".join(
        f"{'    ' * (d + 1)}for {i} in range({n}):\n" for d, (i, n) in enumerate(zip(indices, domain, strict=True))
    )
    deep = "    " * (len(domain) + 1)
    at = ", ".join(indices)
    part = ", ".join("0" if n == 1 else i for i, n in zip(indices, third, strict=True))
    body = "".join(f"{deep}{rounded(line)}\n" for line in source.lines)
    text = f"def f(xs, ys, zs, out):\n{inner}{deep}x, y, z = xs[{at}], ys[{at}], zs[{part}]\n{body}"
    text += f"{deep}out[{at}] = {source.result}\n"
    made: dict[str, Any] = {"sqrt": np.sqrt, "log": np.log, "real": dtype.type}
    exec(text, made)
    compiled = numba.njit(made["f"], boundscheck=False)

    def run(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        out = np.empty_like(x)
        compiled(x, y, z, out)
        return out

    return run


class Case(NamedTuple):
    """What is measured: instructions, elements, dtype, how the third array broadcasts, with gradient or not."""

    length: int
    size: int
    dtype: str
    form: str
    gradient: bool

    def arrays(self) -> list[np.ndarray]:
        """Its three arguments."""
        r = np.random.default_rng(1)
        domain, third = FORMS[self.form](self.size)
        return [r.uniform(0.1, 1, shape).astype(self.dtype) for shape in (domain, domain, third)]


def steps(case: Case, numba: bool = True) -> dict[str, Callable[[], Any]]:
    """The candidates of a case. Their results are alike."""
    import jax
    import jax.numpy as jnp

    import tapenet as tn

    jax.config.update("jax_enable_x64", True)
    source, arrays = written(case.length), case.arrays()
    ours = function(source, {"sqrt": np.sqrt, "log": np.log})
    theirs = function(source, {"sqrt": jnp.sqrt, "log": jnp.log})
    given = [jnp.asarray(a) for a in arrays]
    if case.gradient:
        mine = tn.compile(tn.value_and_grad(lambda x, y, z: ours(x, y, z).sum(), argnums=(0, 1, 2)))
        peer = jax.jit(jax.value_and_grad(lambda x, y, z: theirs(x, y, z).sum(), argnums=(0, 1, 2)))
    else:
        mine, peer = tn.compile(ours), jax.jit(theirs)
    found: dict[str, Callable[[], Any]] = {
        "tapenet": lambda: mine(*arrays),
        "jax": lambda: jax.block_until_ready(peer(*given)),
    }
    if numba and not case.gradient:
        loop = loops(source, np.dtype(case.dtype), arrays[0].shape, tuple(FORMS[case.form](case.size)[1]))
        found["numba"] = lambda: loop(*arrays)
    results = {name: _flat(step()) for name, step in found.items()}
    results["tapenet"] = _flat(found["tapenet"]())  # the first call ran eagerly
    for name, result in results.items():
        for a, b in zip(result, results["tapenet"], strict=True):
            error = np.abs(a - b).max() / np.abs(b).max()
            assert error < (1e-3 if case.dtype == "float32" else 1e-10), (case, name, error)
    return found


def _flat(result: Any) -> list[np.ndarray]:
    if isinstance(result, (tuple, list)):
        return [array for part in result for array in _flat(part)]
    return [np.asarray(result.numpy() if hasattr(result, "numpy") else result)]


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """Those that the command names."""
    for length in options.lengths:
        for size in options.sizes:
            for dtype in options.dtypes:
                for form in options.forms:
                    for gradient in (False, True):
                        if not (gradient and options.no_gradient) and not (not gradient and options.no_forward):
                            yield Case(length, size, dtype, form, gradient)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lengths", type=int, nargs="+", default=[50, 366, 1000, 2000])
    parser.add_argument("--sizes", type=int, nargs="+", default=[4096, 65536, 4194304])
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--forms", nargs="+", default=list(FORMS))
    parser.add_argument("--no-gradient", action="store_true")
    parser.add_argument("--no-forward", action="store_true")
    parser.add_argument("--no-numba", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    columns = "".join(f"{name:>12}" for name in ("tapenet", "jax", "numba"))
    print(f"{'length':>6} {'size':>8} {'dtype':8} {'third':7} {'':8}{columns}{'ratio':>8}{'over forward':>14}")
    forward: dict[Case, float] = {}
    ratios = []
    for case in cases(options):
        times = interleaved(
            steps(case, not options.no_numba), rounds=options.rounds, seconds=0.01, clock=time.process_time
        )
        mine = times.pop("tapenet")
        ratios.append(mine / min(times.values()))
        texts = [f"{mine:12.1f}", *(f"{times[n]:12.1f}" if n in times else " " * 12 for n in ("jax", "numba"))]
        forward[case] = mine
        before = forward.get(case._replace(gradient=False)) if case.gradient else None
        kind = "gradient" if case.gradient else "forward"
        print(
            f"{case.length:6} {case.size:8} {case.dtype:8} {case.form:7} {kind:8}{''.join(texts)}{ratios[-1]:8.2f}"
            + (f"{mine / before:14.1f}" if before else ""),
            flush=True,
        )
    geometric = math.exp(statistics.fmean(map(math.log, ratios)))
    print(f"ratio: geometric mean {geometric:.2f}, worst {max(ratios):.2f}, above 0.9: {sum(r > 0.9 for r in ratios)}")


if __name__ == "__main__":
    main()
