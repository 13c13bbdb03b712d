"""A soap film in a frame: the smallest of all surfaces with a given rim, by Newton's method on 22,500 heights.

The Hessian of the area has seven entries in each row, one for each neighbour in the triangles of the grid, and so is a band.
The rim is that of Scherk's surface of 1835, log(cos y / cos x), of which the area is known to be the smallest: so the heights
can be compared.

python examples/minimal_surface.py [--out FOLDER]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pictures
from scipy.sparse.linalg import spsolve

import tapenet as tn

#: Points inside of the frame along a side; half the length of a side.
N, REACH = 150, 1.3


def area(inside: Any, rim: Any, spacing: float) -> Any:
    """The area of the triangles over a grid: heights inside of the rim."""
    z = rim + np.pad(inside, 1)
    along, across = (z[1:] - z[:-1]) / spacing, (z[:, 1:] - z[:, :-1]) / spacing
    lower = np.sqrt(1 + along[:, :-1] ** 2 + across[:-1] ** 2)
    upper = np.sqrt(1 + along[:, 1:] ** 2 + across[1:] ** 2)
    return spacing**2 / 2 * np.sum(lower + upper)


def main() -> None:
    """Begin with a flat film; compare with the surface that is known."""
    out = pictures.folder(__doc__)
    x = np.linspace(-REACH, REACH, N + 2)
    exact = np.log(np.cos(x) / np.cos(x[:, None]))
    rim, spacing = exact.copy(), float(x[1] - x[0])
    rim[1:-1, 1:-1] = 0

    def f(inside: Any) -> Any:
        return area(inside, rim, spacing)

    hessian, gradient = tn.hessian(f, sparse=True), tn.value_and_grad(f)
    z = tn.zeros((N, N), dtype=float)
    for step in range(30):
        value, slope = gradient(z)
        steepest = np.abs(slope).max().item()
        print(f"step {step}: area {value.item():.6f}, steepest slope {steepest:.1e}")
        if steepest < 1e-10:
            break
        newton = spsolve(hessian(z), -slope.numpy().reshape(-1)).reshape(N, N)
        length = 1.0
        while f(z + length * newton) > value and length > 1e-3:
            length /= 2
        z = z + length * newton
    error = np.abs(z.numpy() - exact[1:-1, 1:-1]).max()
    print(f"{hessian.pattern.nnz:,} entries in {hessian.colors.max() + 1} colours")
    print(f"heights from {z.min().item():.2f} to {z.max().item():.2f}, at most {error:.1e} from the exact ones")
    bands = [np.where(np.pad(surface, 0) * 6 % 1 < 0.5, 0.2, 0.7) for surface in (rim, rim + np.pad(z.numpy(), 1))]
    pictures.images(out / "minimal-surface.svg", [np.stack(bands)], scale=2)
    assert steepest < 1e-10
    assert error < 1e-3
    assert hessian.colors.max() + 1 <= 9


if __name__ == "__main__":
    main()
