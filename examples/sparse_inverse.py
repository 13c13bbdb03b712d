"""Where does water flow underground? The conductivity of 1,600 cells from the pressure in 120, a sparse inverse problem.

Pressure p obeys -div(k grad p) = q, on a grid A(k) p = q with a sparse matrix A = Gᵀ diag(k) G, where G takes differences of
neighbours. One solution and its gradient by all conductivities take one factorisation of A: the backward pass solves with the
same factors. log k is fitted by L-BFGS, with a penalty on its differences.

python examples/sparse_inverse.py [--out FOLDER]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pictures
from scipy import ndimage, sparse

import tapenet as tn

S = tn.scipy.sparse
#: Cells along a side, cells that are measured, standard deviation of the measurements.
N, MEASURED, NOISE = 40, 120, 0.002


def differences() -> Any:
    """The matrix that takes the difference of each cell to its right and its lower neighbour."""
    step = sparse.diags_array([-np.ones(N), np.ones(N - 1)], offsets=[0, 1], shape=(N - 1, N))
    eye = sparse.eye_array(N)
    return sparse.vstack([sparse.kron(eye, step), sparse.kron(step, eye)], format="csr")


G = differences()
MEAN = abs(G) / 2
#: What holds the pressure at 0: an outflow of all cells at the rim.
ROWS, COLUMNS = np.indices((N, N)).reshape(2, -1)
RIM = sparse.diags_array(((ROWS % (N - 1) == 0) | (COLUMNS % (N - 1) == 0)).astype(float), format="csr")


def pressure(log_k: Any, wells: Any) -> Any:
    """The pressure in all cells."""
    between = np.exp(MEAN @ log_k)  # where two cells meet, the geometric mean
    scaled = S.csr_array(G).multiply(between[:, None])
    A = S.csr_array(G.T.tocsr()) @ scaled + RIM
    return S.linalg.spsolve(A, wells)


def main() -> None:
    """Make a ground, measure it, and find it again."""
    out = pictures.folder(__doc__)
    rng = np.random.default_rng(0)
    rough = ndimage.gaussian_filter(rng.normal(size=(N, N)), 4, mode="nearest")
    truth = (1.5 * rough / rough.std()).ravel()
    wells = np.zeros(N * N)
    wells[rng.choice(N * N, 12, replace=False)] = 1.0
    at = rng.choice(N * N, MEASURED, replace=False)
    exact = pressure(truth, wells).numpy()
    measured = exact[at] + NOISE * rng.normal(size=MEASURED)

    def loss(log_k: Any) -> Any:
        misfit = (pressure(log_k, wells)[at] - measured) / NOISE
        return np.sum(misfit**2) / 2 + 2.0 * np.sum((G @ log_k) ** 2)

    start = np.zeros(N * N)
    value, gradient = tn.value_and_grad(loss)(start)
    direction = rng.normal(size=N * N)
    slope = (loss(start + 1e-5 * direction) - loss(start - 1e-5 * direction)) / 2e-5
    print(f"loss {value.item():.0f}; its slope in a random direction {slope.item():.6f}, by the gradient "
          f"{(gradient @ direction).item():.6f}")  # fmt: skip
    found = tn.optimize.minimize(loss, start, method="L-BFGS-B", options={"maxiter": 200})
    log_k = np.asarray(found.x)
    misfit = (pressure(log_k, wells).numpy()[at] - measured) / NOISE
    print(f"{found.nit} iterations, {found.nfev} gradients: loss {found.fun:.0f}")
    print(f"measurements are met to {np.sqrt(np.mean(misfit**2)):.2f} standard deviations of their noise")
    alike = np.corrcoef(log_k, truth)[0, 1]
    print(f"the correlation of what was found with the truth: {alike:.2f}")
    low, high = truth.min(), truth.max()
    maps = [((field - low) / (high - low)).reshape(1, N, N) for field in (truth, log_k)]
    pictures.images(out / "sparse_inverse.svg", maps, ["truth", "found"], scale=5)
    assert alike > 0.6


if __name__ == "__main__":
    main()
