"""Programs of the literature in plain NumPy, as a scientist writes them; nothing in them knows of tapenet.

A module has the program and, for the tests and benchmarks:

- `PROGRAM`: the function, and `BY`: which of its arguments it is differentiated by;
- `inputs(large)`: its arguments, small ones for tests, large ones to be timed;
- `check()`: the program against a known result;
- `use(value_and_grad)`: its gradient used for what it is good for. `value_and_grad(f)` gives a function that returns the
  value of `f` and its gradient by the first argument, as NumPy has them.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

NAMES = (
    "advection", "burgers", "cholesky", "conjugate_gradient", "crank_nicolson", "fft", "finite_elements", "floyd_warshall",
    "gauss_seidel", "heat", "hidden_markov", "ising", "jacobi_eigenvalues", "k_means", "kalman_smoother",
    "lattice_boltzmann", "lorenz", "lu", "mandelbrot", "maxwell", "molecular_dynamics", "multigrid", "n_body",
    "needleman_wunsch", "option_lattice", "page_rank", "particle_in_cell", "ray_marching", "shallow_water", "wave",
)  # fmt: skip


def load(name: str) -> ModuleType:
    """The module of a program."""
    return import_module(f"{__name__}.{name}")
