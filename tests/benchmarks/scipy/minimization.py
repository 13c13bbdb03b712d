"""SciPy's L-BFGS-B on functions of 1,000 parameters: `tn.optimize.minimize` beside JAX's compiled value and gradient given to
SciPy, in float64. Both make the same steps: a fixed number of iterations.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.scipy.minimization

Programs are made before. "SciPy alone" is the solver with a gradient written by hand in NumPy.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from scipy import optimize

import tapenet as tn
from tests.benchmarks.harness import interleaved, report

SIZE = 1000
STEPS = 100
OPTIONS: dict[str, Any] = {"method": "L-BFGS-B", "options": {"maxiter": STEPS, "ftol": 0.0, "gtol": 0.0}}


def valley(x: Any) -> Any:
    """Rosenbrock's function."""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def with_gradient(x: Any) -> Any:
    """The same and its gradient by hand."""
    off = x[1:] - x[:-1] ** 2
    gradient = np.zeros_like(x)
    gradient[:-1] = -400 * x[:-1] * off - 2 * (1 - x[:-1])
    gradient[1:] += 200 * off
    return 100 * off @ off + ((1 - x[:-1]) ** 2).sum(), gradient


def main() -> None:
    """Compare what they find, then their times."""
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    import jax

    jax.config.update("jax_enable_x64", True)
    theirs = jax.jit(jax.value_and_grad(valley))
    start = np.random.default_rng(0).normal(size=SIZE)
    value_and_grad = tn.compile(tn.value_and_grad(valley))

    def jax_with_scipy() -> Any:
        return optimize.minimize(theirs, start, jac=True, **OPTIONS)

    def tapenet() -> Any:
        return tn.optimize.minimize(valley, start, **OPTIONS)

    with tn.no_grad():
        few: dict[str, Any] = {"method": "L-BFGS-B", "options": {"maxiter": 10}}  # later roundings have grown
        found = tn.optimize.minimize(valley, start, **few).x.numpy()
        np.testing.assert_allclose(found, optimize.minimize(theirs, start, jac=True, **few).x, rtol=1e-8)
        times = interleaved(
            {
                "tn.optimize.minimize": tapenet,
                "JAX with SciPy": jax_with_scipy,
                "tn.value_and_grad with SciPy": lambda: optimize.minimize(value_and_grad, start, jac=True, **OPTIONS),
                "SciPy alone": lambda: optimize.minimize(with_gradient, start, jac=True, **OPTIONS),
            },
            rounds=9,
        )
    report(f"{STEPS} steps with {SIZE} parameters", times, {"JAX with SciPy": 0.5})
    print(f"with gradients recorded around: {interleaved({'': tapenet}, rounds=5)['']:.0f} µs")
    f = {"JAX": lambda: [np.asarray(v) for v in theirs(start)], "tapenet": lambda: value_and_grad(start)}
    print({name: round(v, 1) for name, v in interleaved(f).items()}, "µs for value and gradient")


if __name__ == "__main__":
    main()
