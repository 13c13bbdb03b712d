"""One program, measured: what it does and how long it takes, as plain NumPy, lifted and compiled, and by JAX.

python -m tests.benchmarks.lifting.measure NAME    prints a line of JSON
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import tapenet as tn
from tests.benchmarks.lifting.cases import along_gradient, case, copies, differentiable, loss, results, slopes

Result = dict[str, Any]

#: Processor time: other processes do not count, and nothing here waits for anything else.
CLOCK = time.process_time

#: What is asked of each program.
CHECKS = ("runs", "differentiates", "compiles numpy", "compiles native", "gradient numpy", "gradient native")


def best(step: Callable[[list[Any]], Any], arguments: Callable[[], list[Any]], seconds: float = 0.5) -> float:
    """The least time of a call in milliseconds. Arguments are copied outside of it."""
    times: list[float] = []
    end = CLOCK() + seconds
    while len(times) < 3 or (CLOCK() < end and len(times) < 200):
        given = arguments()
        start = CLOCK()
        step(given)
        times.append(CLOCK() - start)
    return min(times) * 1e3


def timed(step: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives, and how many seconds it takes."""
    start = CLOCK()
    found = step()
    return found, CLOCK() - start


def near(found: list[Any], expected: list[Any]) -> None:
    """Raises where values are not NumPy's, but for rounding."""
    assert len(found) == len(expected), f"{len(found)} results, not {len(expected)}"
    for a, b in zip(found, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape, f"a result of shape {a.shape}, not {b.shape}"
        tolerance = 1e-4 if b.dtype.char in "fF" else 1e-7
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max(initial=0))


def attempt(found: Result, what: str, step: Callable[[], None]) -> None:
    """Notes whether a step does what it should, and if not why."""
    try:
        step()
        found[what] = True
    except Exception as error:
        found[what] = False
        found.setdefault("errors", {})[what] = f"{type(error).__name__}: {str(error)[:300]}"


def check(name: str) -> Result:
    """A small size: whether it runs, differentiates, compiles, and differentiates compiled, by both backends."""
    found: Result = {"name": name}
    small = case(name, large=False)
    lifted = tn.lift(small.function)
    given = small.arguments()
    expected = results(small, given, small.function(*given))
    floats = differentiable(small)

    def runs() -> None:
        given = small.arguments()
        near(results(small, given, lifted(*given)), expected)

    def slope(run: Any) -> None:
        along, known, error = slopes(small, floats)
        value = loss(small, small.function)(*copies(floats))
        for _ in range(2):  # a compiled function runs as a program at the second call, if not at the first
            found_value, gradients = run(*copies(floats))
            np.testing.assert_allclose(float(found_value), value, rtol=1e-4)
            slope = along_gradient(gradients, along)
            assert abs(slope - known) <= error + 1e-5 * abs(known) + 1e-7, f"a slope of {slope}, not {known} ± {error}"

    attempt(found, "runs", runs)
    if small.by:
        attempt(found, "differentiates", lambda: slope(tn.value_and_grad(loss(small, lifted), small.by)))
    for backend in ("numpy", "native"):

        def compiles(backend: str = backend) -> None:
            run = tn.compile(small.function, lift=True, backend=backend)
            for _ in range(2):
                given = small.arguments()
                near(results(small, given, run(*given)), expected)
            assert len(run.variants) == 1, "no program was made"

        attempt(found, f"compiles {backend}", compiles)
        if small.by:
            gradient = tn.compile(tn.value_and_grad(loss(small, lifted), small.by), backend=backend)
            attempt(found, f"gradient {backend}", lambda run=gradient: slope(run))
    return found


def measure(name: str) -> Result:
    """A large size: times in milliseconds, and seconds until the first result is there."""
    found: Result = {"name": name}
    large = case(name, large=True)
    given = large.arguments()
    expected = results(large, given, large.function(*given))
    found["numpy"] = best(lambda a: large.function(*a), large.arguments)

    def compiled() -> None:
        run = tn.compile(large.function, lift=True, backend="native")
        _, first = timed(lambda: run(*large.arguments()))
        given = large.arguments()
        returned, second = timed(lambda: run(*given))
        near(results(large, given, returned), expected)
        found["compiled"] = best(lambda a: run(*a), large.arguments)
        found["compile s"] = first + second - 2e-3 * found["compiled"]

    def gradient() -> None:
        arguments = differentiable(large)
        run = tn.compile(tn.value_and_grad(loss(large, tn.lift(large.function)), large.by), backend="native")
        _, first = timed(lambda: run(*arguments))
        (_, slopes), second = timed(lambda: run(*arguments))
        found["slopes"] = float(sum(np.abs(g).sum() for g in slopes))
        found["gradient"] = best(lambda a: run(*a), lambda: arguments)
        found["gradient compile s"] = first + second - 2e-3 * found["gradient"]

    attempt(found, "compiles", compiled)
    if large.by:
        attempt(found, "differentiates", gradient)
    return found


def measure_jax(name: str) -> Result:
    """The version of JAX, and its gradient."""
    import jax

    found: Result = {"name": name}
    large = case(name, large=True)
    make = large.jax
    if make is None:
        return found

    jax.config.update("jax_enable_x64", True)
    given = [jax.numpy.asarray(a) if isinstance(a, np.ndarray) else a for a in large.arguments()]

    def values() -> None:
        run = make()
        step = lambda a: jax.block_until_ready(run(*a))
        _, first = timed(lambda: step(given))
        found["jax"] = best(step, lambda: given)
        found["jax compile s"] = first - 1e-3 * found["jax"]

    def gradient() -> None:
        run = make()
        floats = [jax.numpy.asarray(a) if isinstance(a, np.ndarray) else a for a in differentiable(large)]

        def one(*by: Any) -> Any:
            arguments = list(given)
            for i, part in zip(large.by, by, strict=True):
                arguments[i] = part
            returned = run(*arguments)
            parts = returned if isinstance(returned, (tuple, list)) else [returned]
            return sum(abs(p).sum() if p.dtype.kind == "c" else p.sum() for p in parts if p.dtype.kind in "fc")

        step = jax.jit(jax.grad(one, tuple(range(len(large.by)))))
        by = [floats[i] for i in large.by]
        _, first = timed(lambda: jax.block_until_ready(step(*by)))
        found["jax gradient"] = best(lambda a: jax.block_until_ready(step(*a)), lambda: by)
        found["jax gradient compile s"] = first - 1e-3 * found["jax gradient"]

    attempt(found, "jax runs", values)
    if large.by:
        attempt(found, "jax differentiates", gradient)
    return found


def main(name: str, what: str) -> None:
    """Print what one program does."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    print(json.dumps({"check": check, "measure": measure, "jax": measure_jax}[what](name)))


if __name__ == "__main__":
    main(*sys.argv[1:])
