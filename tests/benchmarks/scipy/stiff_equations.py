"""A stiff equation with its gradients, beside diffrax: Robertson's kinetics, as exact by the same tolerances.

Needs diffrax (pip install diffrax), which is no extra of tapenet. Run pinned, one thread:

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 XLA_FLAGS=--xla_cpu_multi_thread_eigen=false taskset -c 1 \
        python -m tests.benchmarks.scipy.stiff_equations
"""

from __future__ import annotations

from functools import partial

import numpy as np

import tapenet as tn
from tests.benchmarks.harness import interleaved, report

RATES = np.array([0.04, 3e7, 1e4])
START = np.array([1.0, 0.0, 0.0])
TIMES = np.concatenate([[0.0], np.logspace(-2, 4, 13)])
WEIGHTS = np.array([1.0, 1e4, 1.0])


def kinetics(stack, y, k):
    a, b, c = k[0] * y[0], k[1] * y[1] * y[1], k[2] * y[1] * y[2]
    return stack([-a + c, a - b - c, b])


def main() -> None:
    """Print the times of a value with its gradient, and how far each is off."""
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def ours(k, rtol):
        ys = tn.scipy.integrate.odeint(
            lambda t, y: kinetics(tn.stack, y, k), START, TIMES, tfirst=True, rtol=rtol, atol=1e-3 * rtol, mxstep=10_000
        )
        return ((ys * WEIGHTS) ** 2).sum()

    def theirs(k, rtol, adjoint, solver):
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, y, k: kinetics(jnp.stack, y, k)), solver, 0.0, TIMES[-1], 1e-6, jnp.array(START), k,
            saveat=diffrax.SaveAt(ts=TIMES), adjoint=adjoint, max_steps=4096,
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=1e-3 * rtol),
        )  # fmt: skip
        return ((found.ys * WEIGHTS) ** 2).sum()

    exact = tn.grad(lambda k: ours(k, 1e-12))(RATES).numpy() * RATES
    for rtol in (1e-4, 1e-6, 1e-8):
        candidates = {"tapenet": partial(tn.value_and_grad(partial(ours, rtol=rtol)), RATES)}
        for name, adjoint, solver, transform in [
            ("Kvaerno5, checkpoints", diffrax.RecursiveCheckpointAdjoint(), diffrax.Kvaerno5(), jax.grad),
            ("Kvaerno3, checkpoints", diffrax.RecursiveCheckpointAdjoint(), diffrax.Kvaerno3(), jax.grad),
            ("Kvaerno5, forward", diffrax.ForwardMode(), diffrax.Kvaerno5(), jax.jacfwd),
        ]:
            f = partial(theirs, rtol=rtol, adjoint=adjoint, solver=solver)
            compiled = jax.jit(lambda k, f=f, transform=transform: (f(k), transform(f)(k)))
            candidates[name] = lambda compiled=compiled: jax.block_until_ready(compiled(RATES))
        for name, step in candidates.items():
            off = np.abs(np.asarray(step()[1]) * RATES - exact).max() / np.abs(exact).max()
            print(f"  {name}: off by {off / rtol:.2f} of rtol")
        report(f"rtol {rtol:g}", interleaved(candidates, rounds=5, seconds=0.2), dict.fromkeys(candidates, 1.0))


if __name__ == "__main__":
    main()
