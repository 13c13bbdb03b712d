"""The sparse Jacobian of a bundle adjustment beside JAX's dense one, compiled, in float64; processor time.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.sparse [--observations 8000]

The dense one of 8,000 observations has 0.4 GB, of 32,000 6.5 GB. What is sparse takes time in proportion to the observations,
what is dense to their square.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

import tapenet as tn
from tests.benchmarks.harness import interleaved, report

VIEWS = 8


def residuals(xp: Any, cameras: Any, points: Any, camera: Any, point: Any, measured: Any) -> Any:
    """By how much points appear elsewhere than measured, in the pictures of cameras of nine numbers each."""
    seen_by, seen = cameras[camera], points[point]
    turn, shift = seen_by[:, :3], seen_by[:, 3:6]
    square = xp.sum(turn**2, axis=1, keepdims=True)
    angle = xp.sqrt(square)
    cross = xp.stack(
        [
            turn[:, 1] * seen[:, 2] - turn[:, 2] * seen[:, 1],
            turn[:, 2] * seen[:, 0] - turn[:, 0] * seen[:, 2],
            turn[:, 0] * seen[:, 1] - turn[:, 1] * seen[:, 0],
        ],
        axis=1,
    )
    along = xp.sum(turn * seen, axis=1, keepdims=True)
    seen = seen * xp.cos(angle) + cross * xp.sin(angle) / angle + turn * along * (1 - xp.cos(angle)) / square + shift
    flat = -seen[:, :2] / seen[:, 2:]
    radius = xp.sum(flat**2, axis=1, keepdims=True)
    scaled = seen_by[:, 6:7] * (1 + radius * (seen_by[:, 7:8] + seen_by[:, 8:9] * radius)) * flat
    return (scaled - measured).reshape(-1)


def scene(observations: int) -> tuple[Any, ...]:
    """As many observations, of which each point has eight and each camera 400."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(observations // VIEWS, 3))
    cameras = rng.normal(size=(observations // 400, 9)) + np.array([0, 0, 0, 0, 0, 10, 500, 0, 0])
    point = np.repeat(np.arange(len(points)), VIEWS)
    camera = rng.integers(0, len(cameras), observations)
    return cameras, points, camera, point, rng.normal(size=(observations, 2))


def main() -> None:
    """Compare the two matrices, then their times."""
    import jax

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--observations", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    args = scene(options.observations)
    sparse = tn.jacobian(lambda *a: residuals(np, *a), argnums=(0, 1), sparse=True)
    dense = jax.jit(jax.jacfwd(lambda *a: residuals(jax.numpy, *a), argnums=(0, 1)))
    found = sparse(*args)
    given = tuple(map(jax.numpy.asarray, args))
    expected = np.concatenate([np.asarray(j).reshape(found.shape[0], -1) for j in dense(*given)], axis=1)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())
    del expected
    # One after the other: what follows the large arrays of the dense one would wait for memory.
    times = interleaved({"tapenet": lambda: sparse(*args)}, rounds=options.rounds, clock=time.process_time)
    step = {"JAX, dense": lambda: jax.block_until_ready(dense(*given))}
    times |= interleaved(step, rounds=1, clock=time.process_time)
    print(f"{found.shape[0]} by {found.shape[1]}, {found.nnz} entries in {sparse.colors.max() + 1} colours")
    report(f"Jacobian of {options.observations} observations", times, {"JAX, dense": 1 / 50})


if __name__ == "__main__":
    main()
