"""JAX: the function under jit."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from tests.benchmarks.elementwise.programs import Case, function, written
from tests.benchmarks.side_by_side.tasks import Candidate, means

jax.config.update("jax_enable_x64", True)


def build(task: Case, how: str) -> Candidate:
    """The task; there is one way, so `how` is empty."""
    f = function(written(task.length), {"sqrt": jnp.sqrt, "log": jnp.log})
    arrays = [jnp.asarray(a) for a in task.arrays()]
    if task.gradient:
        run = jax.jit(jax.value_and_grad(lambda x, y, z: f(x, y, z).sum(), argnums=(0, 1, 2)))
        return Candidate(lambda: run(*arrays), jax.block_until_ready, lambda out: means([out[0], *out[1]]))
    values = jax.jit(f)
    return Candidate(lambda: values(*arrays), jax.block_until_ready, lambda out: means([out]))
