"""Bundle adjustment: where 80 cameras stood and 4,000 points lie, from 32,000 places at which these appear in pictures.

Gauss-Newton steps, damped as Levenberg and Marquardt do, on 64,000 residuals and 12,720 unknowns. Each residual depends on nine
numbers of one camera and three of one point: the Jacobian has 0.1 % of its entries, and takes twelve colours. The points are
eliminated first (Schur complement), as Triggs et al. describe: Bundle adjustment, a modern synthesis, 2000. The cameras are
those of Agarwal et al., Bundle adjustment in the large, 2010, with a focal length and two coefficients of distortion.

python examples/bundle_adjustment.py [--out FOLDER]
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pictures
from scipy import sparse
from scipy.spatial.transform import Rotation

import tapenet as tn

CAMERAS, POINTS, VIEWS = 80, 4000, 8
#: The error of a measurement, in pixels.
NOISE = 0.5


def project(cameras: Any, points: Any) -> Any:
    """Where points appear in the pictures of cameras, in pixels.

    Args:
        cameras: (n, 9): rotation vector, translation, focal length, and two coefficients of radial distortion.
        points: (n, 3).
    """
    turn, shift = cameras[:, :3], cameras[:, 3:6]
    square = np.sum(turn**2, axis=1, keepdims=True) + 1e-20
    angle = np.sqrt(square)
    cross = np.stack(
        [
            turn[:, 1] * points[:, 2] - turn[:, 2] * points[:, 1],
            turn[:, 2] * points[:, 0] - turn[:, 0] * points[:, 2],
            turn[:, 0] * points[:, 1] - turn[:, 1] * points[:, 0],
        ],
        axis=1,
    )
    along = np.sum(turn * points, axis=1, keepdims=True)
    seen = points * np.cos(angle) + cross * np.sin(angle) / angle + turn * along * (1 - np.cos(angle)) / square + shift
    flat = -seen[:, :2] / seen[:, 2:]
    radius = np.sum(flat**2, axis=1, keepdims=True)
    focal, first, second = cameras[:, 6:7], cameras[:, 7:8], cameras[:, 8:9]
    return focal * (1 + radius * (first + second * radius)) * flat


def residuals(cameras: Any, points: Any, camera: Any, point: Any, measured: Any) -> Any:
    """By how much the pictures are off, in pixels: two numbers for each measurement."""
    return (project(cameras[camera], points[point]) - measured).reshape(-1)


def scene(rng: np.random.Generator) -> tuple[Any, Any, Any, Any, Any]:
    """Cameras on a ring around a torus; which camera sees which point; where, with an error."""
    u, v = rng.uniform(0, 2 * np.pi, (2, POINTS))
    points = np.stack([(3 + np.cos(v)) * np.cos(u), (3 + np.cos(v)) * np.sin(u), np.sin(v)], axis=1)
    place = 2 * np.pi * np.arange(CAMERAS) / CAMERAS
    eyes = np.stack([12 * np.cos(place), 12 * np.sin(place), 4 + 2 * np.sin(3 * place)], axis=1)
    back = eyes / np.linalg.norm(eyes, axis=1, keepdims=True)  # cameras look along their negative z axis
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    turns = np.stack([right, np.cross(back, right), back], axis=1)
    cameras = np.zeros((CAMERAS, 9))
    cameras[:, :3] = Rotation.from_matrix(turns).as_rotvec()
    cameras[:, 3:6] = -np.einsum("nij,nj->ni", turns, eyes)
    cameras[:, 6:] = 800, -0.02, 0.002
    # Each point is seen by eight of the cameras on its side.
    near = np.argsort(
        np.abs(np.angle(np.exp(1j * (u[:, None] - place)))) + rng.uniform(0, 1.5, (POINTS, CAMERAS)), axis=1
    )
    camera, point = near[:, :VIEWS].reshape(-1), np.repeat(np.arange(POINTS), VIEWS)
    measured = project(cameras[camera], points[point]) + NOISE * rng.normal(size=(len(camera), 2))
    return cameras, points, camera, point, measured


def step(jacobian: sparse.csr_array, residual: Any, damping: float) -> Any:
    """The change of all unknowns that solves the damped normal equations, the points eliminated."""
    n = 9 * CAMERAS
    of_cameras, of_points = jacobian[:, :n], jacobian[:, n:]
    diagonal = damping * jacobian.power(2).sum(axis=0)
    gradient = jacobian.T @ residual
    blocks = (of_points.T @ of_points + sparse.diags_array(diagonal[n:])).tobsr((3, 3))
    blocks.sort_indices()
    inverse = sparse.bsr_array((np.linalg.inv(blocks.data), blocks.indices, blocks.indptr), shape=blocks.shape).tocsr()
    mixed = of_cameras.T @ of_points
    left = mixed @ inverse
    matrix = (of_cameras.T @ of_cameras - left @ mixed.T).toarray() + np.diag(diagonal[:n])
    by_cameras = np.linalg.solve(matrix, left @ gradient[n:] - gradient[:n])
    return np.concatenate([by_cameras, -(inverse @ (gradient[n:] + mixed.T @ by_cameras))])


def main() -> None:
    """Start where all is off, adjust, and compare with the error of the measurements."""
    out = pictures.folder(__doc__)
    rng = np.random.default_rng(0)
    true_cameras, true_points, camera, point, measured = scene(rng)
    f = partial(residuals, camera=camera, point=point, measured=measured)
    jacobian = tn.jacobian(f, argnums=(0, 1), sparse=True)

    scale = np.array([*[0.04] * 3, *[0.4] * 3, 60, 0.01, 0.001])
    cameras = true_cameras + scale * rng.normal(size=true_cameras.shape)
    points = true_points + 0.3 * rng.normal(size=true_points.shape)
    begin = points
    residual, damping, errors = f(cameras, points), 1e-4, []
    for _ in range(30):
        errors.append(np.sqrt(2 * np.mean(residual**2)))
        print(f"step {len(errors) - 1:2}: {errors[-1]:9.4f} pixels, damping {damping:.0e}")
        change = step(jacobian(cameras, points), residual, damping)
        tried = (
            cameras + change[: cameras.size].reshape(cameras.shape),
            points + change[cameras.size :].reshape(points.shape),
        )
        there = f(*tried)
        better = np.sum(there**2) < np.sum(residual**2)
        done = better and np.sum(residual**2) - np.sum(there**2) < 1e-6 * np.sum(residual**2)
        if better:
            (cameras, points), residual = tried, there
        damping *= 0.1 if better else 10
        if done:
            break
    error = np.sqrt(2 * np.mean(residual**2))
    expected = NOISE * np.sqrt(2 * (1 - (cameras.size + points.size - 7) / residual.size))
    print(f"{jacobian.pattern.nnz:,} entries in {jacobian.colors.max() + 1} colours")
    print(f"error {error:.4f} pixels; of the noise, as many unknowns as there are leave {expected:.4f}")
    views = {"given": begin, "adjusted": aligned(points, true_points), "true": true_points}
    pictures.clouds(out / "bundle-adjustment.svg", {name: p[::3, :2] for name, p in views.items()}, 5)
    assert jacobian.colors.max() + 1 == 12
    assert errors[0] > 50
    assert abs(error - expected) < 0.01


def aligned(points: Any, like: Any) -> Any:
    """Points turned, scaled and moved onto others: pictures do not say where the world's origin is, nor its unit."""
    a, b = points - points.mean(axis=0), like - like.mean(axis=0)
    u, s, vt = np.linalg.svd(b.T @ a)
    return a @ (u @ vt).T * s.sum() / np.sum(a**2) + like.mean(axis=0)


if __name__ == "__main__":
    main()
