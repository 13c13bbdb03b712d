"""Spots grow out of noise: a reaction and the diffusion of its two substances, 100,352 unknowns, in implicit steps.

Alan Turing's mechanism (The chemical basis of morphogenesis, 1952) with the reaction of Schnakenberg, 1979. An explicit step
would have to be 400 times shorter than these, since one substance spreads quickly. So each is the solution of an equation,
found by Newton's method: its Jacobian has six entries in each row, and takes twelve colours. The linear systems are solved by
BiCGSTAB, preconditioned by the diffusion alone, which a Fourier transform solves.

python examples/reaction_diffusion.py [--out FOLDER]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pictures
from scipy.fft import irfft2, rfft2
from scipy.sparse.linalg import LinearOperator, bicgstab

import tapenet as tn

#: Points along a side, their distance, the length of a step, the feeds, and how much more quickly the second one spreads.
N, SPACING, STEP = 224, 0.6, 1.0
FEED_U, FEED_V, SPREAD = 0.1, 0.9, 40.0


def laplacian(u: Any) -> Any:
    """The sum of the second differences at each point; the plane is a torus."""
    around = np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1)
    return (around - 4 * u) / SPACING**2


def equation(new: Any, old: Any) -> Any:
    """What is zero at the end of a step of backward Euler; both are (2, N, N)."""
    u, v = new
    made = u * u * v
    rate = np.stack([FEED_U - u + made + laplacian(u), FEED_V - made + SPREAD * laplacian(v)])
    return new - old - STEP * rate


def wave() -> float:
    """The length of the waves that grow most quickly, by the equations made linear where nothing varies."""
    u, v = FEED_U + FEED_V, FEED_V / (FEED_U + FEED_V) ** 2
    reaction = np.array([[-1 + 2 * u * v, u * u], [-2 * u * v, -u * u]])
    numbers = np.linspace(0.05, 2, 400)
    growth = [np.linalg.eigvals(reaction - k * k * np.diag([1, SPREAD])).real.max() for k in numbers]
    return float(2 * np.pi / numbers[np.argmax(growth)])


def main() -> None:
    """Twenty steps from noise; compare the distance of the spots with the wave that grows most quickly."""
    out = pictures.folder(__doc__)
    rng = np.random.default_rng(0)
    rest = np.array([FEED_U + FEED_V, FEED_V / (FEED_U + FEED_V) ** 2])
    state = rest[:, None, None] * (1 + 0.05 * rng.normal(size=(2, N, N)))
    jacobian = tn.jacobian(equation, sparse=True)

    k = (2 - 2 * np.cos(2 * np.pi * np.arange(N) / N)) / SPACING**2
    square = (k[:, None] + k)[:, : N // 2 + 1]
    implicit = 1 + STEP * np.stack([square, SPREAD * square])

    def diffused(r: Any) -> Any:
        return irfft2(rfft2(r.reshape(2, N, N)) / implicit, s=(N, N)).reshape(-1)

    seen, solves = [], 0
    for step in range(1, 21):
        old = state
        for _ in range(10):
            residual = equation(state, old).reshape(-1)
            if np.abs(residual).max() < 1e-4:
                break
            matrix = jacobian(state, old)
            change, failed = bicgstab(matrix, residual, rtol=1e-3, M=LinearOperator(matrix.shape, diffused))
            assert not failed
            state = state - change.reshape(state.shape)
            solves += 1
        assert np.abs(equation(state, old)).max() < 1e-4
        if step in (7, 9, 20):
            seen.append(state[0])
            print(f"step {step}: {solves} systems solved, u from {state[0].min():.2f} to {state[0].max():.2f}")
    power = np.abs(rfft2(state[0] - state[0].mean())) ** 2
    turns = np.hypot(*np.meshgrid(np.fft.fftfreq(N, SPACING), np.fft.rfftfreq(N, SPACING), indexing="ij"))
    length = 1 / ((power * turns).sum() / power.sum())
    print(f"{jacobian.pattern.nnz:,} entries in {jacobian.colors.max() + 1} colours")
    print(f"spots {length:.1f} apart; the waves that grow most quickly are {wave():.1f} long")
    sheet = np.stack([u / seen[-1].max() for u in seen])
    pictures.images(out / "reaction-diffusion.svg", [sheet], scale=1)
    assert jacobian.pattern.nnz == 6 * state.size
    assert jacobian.colors.max() + 1 <= 12
    assert abs(length / wave() - 1) < 0.3
    assert state[0].max() > 2 * rest[0]


if __name__ == "__main__":
    main()
