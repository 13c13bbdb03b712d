"""An implied-volatility surface: volatilities that prices of options imply, fitted without arbitrage; the local one behind it.

Newton's method inverts Black's formula for all quotes at once. Seven parameters of a surface (Gatheral and Jacquier,
Arbitrage-free SVI volatility surfaces, 2014, eq. 4.1) are fitted to that, with bounds and a constraint. The local volatility of
Dupire's formula is made of exact derivatives of the surface; his equation, solved with it, must give the prices back. What is
fitted is differentiable in the quotes through all of this: so one knows how a quote that moves would move the surface.

python examples/implied_volatility.py [--out FOLDER]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pictures
from scipy.linalg import solve_banded
from scipy.optimize import NonlinearConstraint

import tapenet as tn

TIMES = np.array([0.1, 0.25, 0.5, 1.0, 1.5, 2.0])[:, None]
K = 0.2 * np.sqrt(TIMES) * np.linspace(-2.5, 1.5, 15)  # logarithms of strike over forward price
TRUE = {"level": 0.04, "extra": 0.03, "decay": 2.0, "rho": -0.6, "eta": 0.9, "gamma": 0.4}
TICK = 1e-4  # of the forward price


def black(volatility: Any, k: Any, t: Any) -> Any:
    """The price of what is out of the money, a call or a put, over the forward price."""
    spread = volatility * np.sqrt(t)
    above = -k / spread + spread / 2
    sign = np.where(k > 0, 1.0, -1.0)
    return sign * (tn.special.ndtr(sign * above) - np.exp(k) * tn.special.ndtr(sign * (above - spread)))


def implied(prices: Any) -> Any:
    """The volatilities that prices imply, from where Black's formula bends: there Newton's method converges."""
    start = np.sqrt(np.maximum(2 * np.abs(K), 1e-3) / TIMES)
    return tn.optimize.newton(lambda v, p: black(v, K, TIMES) - p, start, args=(prices,), tol=1e-13, maxiter=100)


def variance(p: Any, k: Any, t: Any) -> Any:
    """The total variance of a surface."""
    theta = p["level"] * t + p["extra"] * (1 - np.exp(-p["decay"] * t)) / p["decay"]
    phi = p["eta"] / theta ** p["gamma"]
    return theta / 2 * (1 + p["rho"] * phi * k + np.sqrt((phi * k + p["rho"]) ** 2 + 1 - p["rho"] ** 2))


def misfit(p: Any, volatilities: Any) -> Any:
    """Of a surface, in squared percent of volatility."""
    return 1e4 * ((np.sqrt(variance(p, K, TIMES) / TIMES) - volatilities) ** 2).mean()


def fitted(volatilities: Any) -> Any:
    """SciPy's result for the surface: its parameters are a dict."""
    start = {"level": 0.1, "extra": 0.01, "decay": 1.0, "rho": -0.1, "eta": 0.5, "gamma": 0.3}
    bounds = dict.fromkeys(start, (1e-4, 5.0)) | {"rho": (-0.99, 0.99), "gamma": (0.0, 0.5)}
    wings = NonlinearConstraint(lambda p: p["eta"] * (1 + tn.abs(p["rho"])), -np.inf, 2.0)  # no butterfly arbitrage
    return tn.optimize.minimize(
        misfit, start, (volatilities,), "SLSQP", bounds=bounds, constraints=wings, tol=1e-14, options={"maxiter": 500}
    )


def local_variance(p: Any, k: Any, t: Any) -> Any:
    """Dupire's, of three derivatives of the surface."""
    w = variance(p, k, t)
    by_t = tn.elementwise_grad(lambda t: variance(p, k, t))(t)
    by_k = tn.elementwise_grad(lambda k: variance(p, k, t))
    slope, bend = by_k(k), tn.elementwise_grad(by_k)(k)
    return by_t / (1 - k / w * slope + (-0.25 - 1 / w + k**2 / w**2) * slope**2 / 4 + bend / 2)


def prices_of(p: Any, until: float, steps: int = 400) -> tuple[Any, Any]:
    """Prices of calls at one time by Dupire's equation, C_t = σ²/2 (C_kk - C_k), forward in time by Crank and Nicolson."""
    k = np.linspace(-2.5, 2.5, 1001)
    h, dt = k[1] - k[0], until / steps
    call = np.maximum(1 - np.exp(k), 0.0)
    sigma = tn.compile(lambda t: local_variance(p, k, t + 0 * k))
    for i in range(steps):
        t = np.float64(max((i + 0.5) * dt, 1e-6))
        half = sigma(t).numpy() / 4 * dt
        up, down = half / h**2 - half / (2 * h), half / h**2 + half / (2 * h)
        up[[0, -1]] = down[[0, -1]] = 0
        right = call + up * np.roll(call, -1) + down * np.roll(call, 1) - (up + down) * call
        bands = np.zeros((3, len(k)))
        bands[0, 1:], bands[1], bands[2, :-1] = -up[:-1], 1 + up + down, -down[1:]
        call = solve_banded((1, 1), bands, right)
    return k, call


def main() -> None:
    """Make quotes of a known surface; invert, fit and price; check each."""
    folder = pictures.folder(__doc__)
    volatilities = np.sqrt(variance(TRUE, K, TIMES) / TIMES)
    prices = black(volatilities, K, TIMES)
    off = np.abs(implied(prices) - volatilities).max()
    print(f"{prices.size} volatilities from their prices: within {off:.1e}")

    quotes = np.round(prices / TICK) * TICK
    surface = fitted(implied(quotes))
    names = list(TRUE)
    print("quotes in ticks of 0.01 %:", ", ".join(f"{n} {surface.x[n].item():.3f} ({TRUE[n]})" for n in names))
    error = np.abs(np.sqrt(variance(surface.x, K, TIMES) / TIMES) - volatilities).max()
    print(f"{surface.nfev} evaluations; the surface is within {100 * error.item():.3f} % of volatility")

    # How each quote moves the correlation, beside one quote moved and all done again.
    moves = tn.grad(lambda quotes: fitted(implied(quotes)).x["rho"])(quotes).numpy()
    place = np.unravel_index(np.argmax(np.abs(moves)), moves.shape)
    moved = quotes.copy()
    moved[place] += 1e-7
    anew = (fitted(implied(moved)).x["rho"] - surface.x["rho"]).item() / 1e-7
    print(
        f"a tick on t = {TIMES[place[0], 0]:g}, k = {K[place]:.2f} moves rho by {TICK * moves[place]:.5f}; "
        f"done again {TICK * anew:.5f}"
    )

    p = {n: surface.x[n].item() for n in names}
    k, call = prices_of(p, 1.0)
    found = np.interp(K[3], k, call) - np.where(K[3] > 0, 0, 1 - np.exp(K[3]))
    worst = np.abs(found - prices[3]).max()
    print(f"prices at one year by the local volatility: within {worst / TICK:.2f} ticks")
    smiles = {f"t = {TIMES[i, 0]:g}": (K[i], volatilities[i]) for i in (0, 2, 5)}
    local = np.sqrt(local_variance(p, K[3], 1.0 + 0 * K[3]).numpy())
    pictures.lines(
        folder / "example-implied-volatility.svg",
        smiles | {"local, t = 1": (K[3], local)},
        "log(strike / forward)",
        size=(700, 280),
    )
    assert off < 1e-10
    assert surface.success
    assert error < 0.005
    assert abs(moves[place] - anew) < 0.02 * abs(anew)
    assert worst < 2 * TICK


if __name__ == "__main__":
    main()
