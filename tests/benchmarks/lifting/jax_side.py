"""The thirty programs of `tests/lifting/programs`, rewritten by hand for JAX.

Loops are `lax` loops (`scan` where a gradient goes through), in-place writes are `.at[...]`, what does not depend on the turn
before is vectorised, branches are `where`. Arguments are those of the NumPy program; `STATIC` names those that JAX has to know
when it compiles. Gradients are by reverse mode; `NO_GRADIENT` says where JAX has none.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from tests.lifting.programs.finite_elements import element as _element
from tests.lifting.programs.lattice_boltzmann import C as VELOCITIES
from tests.lifting.programs.lattice_boltzmann import W as WEIGHTS

jax.config.update("jax_enable_x64", True)

Array = Any


def repeat(step: Any, state: Any, turns: int) -> Any:
    """A loop that can be differentiated in reverse."""
    return lax.scan(lambda carry, _: (step(carry), None), state, None, length=turns)[0]


def heat(u: Array, alpha: Array, steps: int) -> Array:
    def step(u: Array) -> Array:
        around = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1]
        return u.at[1:-1, 1:-1].add(alpha * around)

    return repeat(step, u, steps)


def wave(c: Array, source: Array, receiver: int, dt: Array, dx: Array) -> Array:
    r = (c * dt / dx) ** 2

    def step(state: Any, s: Array) -> Any:
        before, now = state
        after = 2 * now[1:-1] - before[1:-1] + r[1:-1] * (now[2:] - 2 * now[1:-1] + now[:-2])
        after = jnp.concatenate([s[None], after, jnp.zeros(1)])
        return (now, after), after[receiver]

    start = jnp.zeros_like(c), jnp.zeros_like(c)
    return lax.scan(step, start, source)[1]


def burgers(u: Array, nu: Array, dx: Array, dt: Array, steps: int) -> Array:
    def step(u: Array) -> Array:
        left = jnp.concatenate([u[-2:-1], u[:-2]])
        here, right = u[:-1], u[1:]
        new = here - here * dt / dx * (here - left) + nu * dt / dx**2 * (right - 2 * here + left)
        return jnp.concatenate([new, new[:1]])

    return repeat(step, u, steps)


def shallow_water(h: Array, depth: Array, g: Array, courant: Array, steps: int) -> Array:
    n, m = h.shape

    def step(state: Any, _: None) -> Any:
        h, u, v = state
        u = u.at[1:-1].add(-g * courant * (h[1:] - h[:-1]))
        v = v.at[:, 1:-1].add(-g * courant * (h[:, 1:] - h[:, :-1]))
        flux_x = jnp.pad(u[1:-1] * (depth + 0.5 * (h[1:] + h[:-1])), ((1, 1), (0, 0)))
        flux_y = jnp.pad(v[:, 1:-1] * (depth + 0.5 * (h[:, 1:] + h[:, :-1])), ((0, 0), (1, 1)))
        h = h - courant * (flux_x[1:] - flux_x[:-1] + flux_y[:, 1:] - flux_y[:, :-1])
        return (h, u, v), h[-1, -1]

    (h, _, _), gauge = lax.scan(step, (h, jnp.zeros((n + 1, m)), jnp.zeros((n, m + 1))), None, length=steps)
    return h, gauge


def lattice_boltzmann(ux: Array, uy: Array, tau: Array, steps: int) -> Array:
    def equilibrium(rho: Array, ux: Array, uy: Array) -> Array:
        cu = VELOCITIES[:, 0, None, None] * ux + VELOCITIES[:, 1, None, None] * uy
        return rho * WEIGHTS[:, None, None] * (1 + 3 * cu + 4.5 * cu**2 - 1.5 * (ux**2 + uy**2))

    def step(state: Any) -> Any:
        f, _, _ = state
        rho = f.sum(axis=0)
        ux = (f[1] + f[5] + f[8] - f[3] - f[6] - f[7]) / rho
        uy = (f[2] + f[5] + f[6] - f[4] - f[7] - f[8]) / rho
        f = f + (equilibrium(rho, ux, uy) - f) / tau
        f = jnp.stack([jnp.roll(f[i], (int(c[0]), int(c[1])), (0, 1)) for i, c in enumerate(VELOCITIES)])
        return f, ux, uy

    f = equilibrium(jnp.ones_like(ux), ux, uy)
    _, ux, uy = repeat(step, (f, ux, uy), steps)
    return ux, uy


def gauss_seidel(f: Array, h: Array, sweeps: int) -> Array:
    # A row goes from left to right, and rows one after the other.
    n, m = f.shape

    def row(above: Array, below_old_f: Any) -> Any:
        below, old, source = below_old_f

        def point(left: Array, parts: Any) -> Any:
            up, down, right, s = parts
            new = 0.25 * (up + down + left + right + h**2 * s)
            return new, new

        _, inner = lax.scan(point, old[0], (above[1:-1], below[1:-1], old[2:], source[1:-1]))
        new = jnp.concatenate([old[:1], inner, old[-1:]])
        return new, new

    def sweep(u: Array) -> Array:
        _, inner = lax.scan(row, u[0], (u[2:], u[1:-1], f[1:-1]))
        return jnp.concatenate([u[:1], inner, u[-1:]])

    return repeat(sweep, jnp.zeros((n, m)), sweeps)


def lu(a: Array) -> Array:
    n = len(a)
    index = jnp.arange(n)

    def eliminate(state: Any, k: Array) -> Any:
        a, sign = state
        p = jnp.argmax(jnp.where(index >= k, jnp.abs(a[:, k]), -1.0))
        row, other = a[k], a[p]
        a = a.at[k].set(other).at[p].set(row)
        sign = jnp.where(p == k, sign, -sign)
        factor = jnp.where(index > k, a[:, k] / a[k, k], 0.0)
        a = a - factor[:, None] * jnp.where(index > k, a[k], 0.0)
        return (a.at[:, k].set(jnp.where(index > k, factor, a[:, k])), sign), None

    (a, sign), _ = lax.scan(eliminate, (a, 1.0), jnp.arange(n - 1))
    diagonal = jnp.diag(a)
    return a, sign * jnp.prod(jnp.sign(diagonal)), jnp.sum(jnp.log(jnp.abs(diagonal)))


def cholesky(kernel: Array, y: Array) -> Array:
    n = len(y)
    index = jnp.arange(n)

    def column(lower: Array, j: Array) -> Any:
        left = jnp.where(index < j, lower[j], 0.0)
        rest = kernel[:, j] - lower @ left
        top = jnp.sqrt(rest[j])
        return lower.at[:, j].set(jnp.where(index > j, rest / top, jnp.where(index == j, top, 0.0))), None

    lower, _ = lax.scan(column, jnp.zeros_like(kernel), index)

    def solve(z: Array, i: Array) -> Any:
        return z.at[i].set((y[i] - lower[i] @ z) / lower[i, i]), None

    z, _ = lax.scan(solve, jnp.zeros(n), index)
    return 0.5 * z @ z + jnp.sum(jnp.log(jnp.diag(lower))) + 0.5 * n * jnp.log(2 * jnp.pi)


def fft(x: Array) -> Array:
    import numpy as np

    n = len(x)
    bits = n.bit_length() - 1
    reverse = np.zeros(n, dtype=int)
    for b in range(bits):
        reverse = (reverse << 1) | ((np.arange(n) >> b) & 1)
    y = x[reverse].astype(complex)
    size = 2
    while size <= n:
        half = size // 2
        w = np.exp(-2j * np.pi * np.arange(half) / size)
        blocks = y.reshape(-1, 2, half)
        odd = w * blocks[:, 1]
        y = jnp.stack([blocks[:, 0] + odd, blocks[:, 0] - odd], axis=1).reshape(n)
        size *= 2
    return y


def floyd_warshall(lengths: Array) -> Array:
    def through(d: Array, k: Array) -> Any:
        way = d[:, k, None] + d[k]
        return jnp.where(way < d, way, d), None

    return lax.scan(through, lengths, jnp.arange(len(lengths)))[0]


def needleman_wunsch(scores: Array, gap: Array, temperature: Array) -> Array:
    def row(above: Array, parts: Any) -> Any:
        score, first = parts

        def point(left: Array, near: Any) -> Any:
            corner, up, s = near
            choices = jnp.stack([corner + s, up - gap, left - gap])
            top = choices.max()
            new = top + temperature * jnp.log(jnp.sum(jnp.exp((choices - top) / temperature)))
            return new, new

        _, rest = lax.scan(point, first, (above[:-1], above[1:], score))
        return jnp.concatenate([first[None], rest]), None

    n, m = scores.shape
    return lax.scan(row, -gap * jnp.arange(m + 1.0), (scores, -gap * jnp.arange(1.0, n + 1)))[0][-1]


def ising(draws: Array, beta: Array, guess: Array) -> Array:
    n, m = draws.shape[1:]

    def turn(spins: Array, parts: Any) -> Any:
        i, j, u = parts
        around = spins[(i + 1) % n, j] + spins[i - 1, j] + spins[i, (j + 1) % m] + spins[i, j - 1]
        flip = u < jnp.exp(-2 * beta * spins[i, j] * around)
        return spins.at[i, j].multiply(jnp.where(flip, -1, 1)), None

    rows, columns = (jnp.tile(part.ravel(), len(draws)) for part in jnp.mgrid[:n, :m])
    spins, _ = lax.scan(turn, jnp.ones((n, m), int), (rows, columns, draws.ravel()))
    around = sum(jnp.roll(spins, shift, axis) for shift in (-1, 1) for axis in (0, 1))
    return spins, jnp.mean(jnp.log1p(jnp.exp(-2 * guess * spins * around)))


def molecular_dynamics(x: Array, v: Array, epsilon: Array, sigma: Array, dt: Array, steps: int) -> Array:
    n = len(x)
    other = ~jnp.eye(n, dtype=bool)

    def forces(x: Array) -> Any:
        d = x[:, None] - x
        r2 = jnp.where(other, jnp.sum(d * d, axis=2), 1.0)
        s6 = jnp.where(other, (sigma**2 / r2) ** 3, 0.0)
        energy = 2 * epsilon * jnp.sum(s6 * s6 - s6)
        return energy, jnp.sum((24 * epsilon * (2 * s6 * s6 - s6) / r2)[:, :, None] * d, axis=1)

    def step(state: Any, _: None) -> Any:
        x, v, f = state
        v = v + 0.5 * dt * f
        x = x + dt * v
        potential, f = forces(x)
        v = v + 0.5 * dt * f
        return (x, v, f), potential + 0.5 * jnp.sum(v * v)

    (x, v, _), energies = lax.scan(step, (x, v, forces(x)[1]), None, length=steps)
    return x, v, energies


def page_rank(links: Array, damping: Array, tolerance: Array) -> Array:
    n = len(links)
    total = links.sum(axis=0)
    chances = jnp.where(total > 0, links / jnp.where(total > 0, total, 1.0), 1 / n)

    def turn(state: Any) -> Any:
        rank, _ = state
        new = damping * chances @ rank + (1 - damping) / n
        return new, jnp.abs(new - rank).sum()

    return lax.while_loop(lambda state: state[1] > tolerance, turn, (jnp.full(n, 1 / n), 1.0))[0]


def k_means(points: Array, centres: Array, turns: int) -> Array:
    k = len(centres)

    def turn(state: Any) -> Any:
        centres, _ = state
        labels = jnp.argmin(jnp.sum((points[:, None] - centres) ** 2, axis=2), axis=1)
        mine = labels == jnp.arange(k)[:, None]
        return (mine @ points) / mine.sum(axis=1)[:, None], labels

    centres, labels = repeat(turn, (centres, jnp.zeros(len(points), int)), turns)
    return centres, labels, jnp.sum((points - centres[labels]) ** 2)


def kalman_smoother(y: Array, level_noise: Array, trend_noise: Array, noise: Array) -> Array:
    a = jnp.array([[1.0, 1.0], [0.0, 1.0]])
    q = jnp.diag(jnp.stack([level_noise, trend_noise]))

    def forth(state: Any, parts: Any) -> Any:
        m, p, surprise = state
        seen, first = parts
        m = jnp.where(first, m, a @ m)
        p = jnp.where(first, p, a @ p @ a.T + q)
        s = p[0, 0] + noise
        error = seen - m[0]
        gain = p[:, 0] / s
        m2, p2 = m + gain * error, p - jnp.outer(gain, p[0])
        return (m2, p2, surprise + 0.5 * (jnp.log(2 * jnp.pi * s) + error**2 / s)), (m, p, m2, p2)

    start = jnp.zeros(2), 10 * jnp.eye(2), 0.0
    (_, _, surprise), (ahead, ahead_covs, means, covs) = lax.scan(forth, start, (y, jnp.arange(len(y)) == 0))

    def back(state: Any, parts: Any) -> Any:
        later, later_cov = state
        m, p, guess, guess_cov = parts
        gain = p @ a.T @ jnp.linalg.inv(guess_cov)
        m = m + gain @ (later - guess)
        p = p + gain @ (later_cov - guess_cov) @ gain.T
        return (m, p), (m, p)

    last = means[-1], covs[-1]
    _, (m, p) = lax.scan(back, last, (means[:-1], covs[:-1], ahead[1:], ahead_covs[1:]), reverse=True)
    return jnp.concatenate([m, last[0][None]]), jnp.concatenate([p, last[1][None]]), surprise


def option_lattice(spot: Array, strike: Array, rate: Array, sigma: Array, maturity: Array, steps: int) -> Array:
    dt = maturity / steps
    up = jnp.exp(sigma * jnp.sqrt(dt))
    p = (jnp.exp(rate * dt) - 1 / up) / (up - 1 / up)
    discount = jnp.exp(-rate * dt)
    index = jnp.arange(steps + 1.0)
    value = jnp.maximum(strike - spot * up ** (2 * index - steps), 0.0)

    def back(value: Array, t: Array) -> Any:
        hold = discount * (p * jnp.roll(value, -1) + (1 - p) * value)
        exercise = strike - spot * up ** (2 * index - t)
        return jnp.where(index <= t, jnp.maximum(hold, exercise), value), None

    return lax.scan(back, value, jnp.arange(steps - 1, -1, -1))[0][0]


def ray_marching(spheres: Array, n: int, far: Array, marches: int) -> Array:
    pixels = (2 * jnp.arange(n) + 1) / n - 1
    x, y = pixels, pixels[:, None]

    def march(state: Any) -> Any:
        z, depth, alive = state
        dx, dy, dz = (p[..., None] - spheres[:, k] for k, p in enumerate((x[None], y, z)))
        d = (jnp.sqrt(dx * dx + dy * dy + dz * dz) - spheres[:, 3]).min(axis=-1)
        z = jnp.where(alive, z + d, z)
        hit = alive & (d < 1e-6)
        return z, jnp.where(hit, z, depth), alive & ~hit & (z <= far)

    return repeat(march, (jnp.zeros((n, n)), jnp.full((n, n), far), jnp.ones((n, n), bool)), marches)[1]


def mandelbrot(x: Array, y: Array, turns: int, horizon: Array) -> Array:
    c = x + 1j * y[:, None]

    def turn(state: Any, i: Array) -> Any:
        z, count, alive = state
        z = jnp.where(alive, z * z + c, z)
        size = jnp.abs(jnp.where(alive, z, 2.0))
        escaped = alive & (size > horizon)
        smooth = i + 1 - jnp.log2(jnp.log(jnp.where(escaped, size, 3.0)))
        return (z, jnp.where(escaped, smooth, count), alive & ~escaped), None

    start = jnp.zeros_like(c), jnp.full(c.shape, float(turns)), jnp.ones(c.shape, bool)
    return lax.scan(turn, start, jnp.arange(turns))[0][1]


def advection(q: Array, courant: Array, steps: int) -> Array:
    def step(q: Array) -> Array:
        cells = jnp.concatenate([q[-2:], q, q[:2]])
        rise = cells[1:] - cells[:-1]
        a, b = rise[:-1], rise[1:]
        slope = jnp.where(a * b <= 0, 0.0, jnp.where(jnp.abs(a) < jnp.abs(b), a, b))
        flux = courant * (cells[1:-1] + 0.5 * (1 - courant) * slope)
        return q - (flux[1:-1] - flux[:-2])

    return repeat(step, q, steps)


def crank_nicolson(u: Array, k: Array, r: Array, steps: int) -> Array:
    lower = jnp.pad(-0.5 * r * k[:-1], 1)
    upper = jnp.pad(-0.5 * r * k[1:], 1)
    diagonal = jnp.pad(0.5 * r * (k[:-1] + k[1:]), 1) + 1

    def step(u: Array) -> Array:
        right = u.at[1:-1].add(0.5 * r * (k[1:] * (u[2:] - u[1:-1]) - k[:-1] * (u[1:-1] - u[:-2])))

        def forth(state: Any, parts: Any) -> Any:
            c, d = state
            low, middle, up, b = parts
            pivot = middle - low * c
            new = up / pivot, (b - low * d) / pivot
            return new, new

        _, (c, d) = lax.scan(forth, (0.0, 0.0), (lower, diagonal, upper, right))

        def back(x: Array, parts: Any) -> Any:
            x = parts[1] - parts[0] * x
            return x, x

        return lax.scan(back, 0.0, (c, d), reverse=True)[1]

    return repeat(step, u, steps)


def n_body(x: Array, v: Array, mass: Array, g: Array, dt: Array, steps: int) -> Array:
    other = ~jnp.eye(len(x), dtype=bool)

    def accelerations(x: Array) -> Array:
        d = x - x[:, None]
        r2 = jnp.where(other, jnp.sum(d * d, axis=2), 1.0)
        return jnp.sum((g * mass * jnp.where(other, r2**-1.5, 0.0))[:, :, None] * d, axis=1)

    def step(state: Any, _: None) -> Any:
        x, v, a = state
        v = v + 0.5 * dt * a
        x = x + dt * v
        a = accelerations(x)
        v = v + 0.5 * dt * a
        return (x, v, a), x

    (_, v, _), path = lax.scan(step, (x, v, accelerations(x)), None, length=steps)
    return path, v


def lorenz(start: Array, sigma: Array, rho: Array, beta: Array, dt: Array, steps: int) -> Array:
    def slope(s: Array) -> Array:
        x, y, z = s
        return jnp.stack([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])

    def step(s: Array, _: None) -> Any:
        k1 = slope(s)
        k2 = slope(s + dt / 2 * k1)
        k3 = slope(s + dt / 2 * k2)
        k4 = slope(s + dt * k3)
        s = s + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return s, s

    return jnp.concatenate([start[None], lax.scan(step, start, None, length=steps)[1]])


def hidden_markov(start: Array, change: Array, emit: Array, seen: Array) -> Array:
    def step(alpha: Array, e: Array) -> Any:
        alpha = (alpha @ change) * e
        scale = alpha.sum()
        return alpha / scale, (alpha / scale, scale)

    chances = emit.T[seen]
    first = start * chances[0]
    _, (rest, scale) = lax.scan(step, first / first.sum(), chances[1:])
    return jnp.concatenate([(first / first.sum())[None], rest]), jnp.log(scale).sum() + jnp.log(first.sum())


def maxwell(source: Array, permittivity: Array, courant: Array, probe: tuple[int, int]) -> Array:
    n, m = permittivity.shape

    def step(state: Any, s: Array) -> Any:
        ez, hx, hy = state
        hx = hx - courant * (ez[:, 1:] - ez[:, :-1])
        hy = hy + courant * (ez[1:, :] - ez[:-1, :])
        curl = hy[1:, 1:-1] - hy[:-1, 1:-1] - hx[1:-1, 1:] + hx[1:-1, :-1]
        ez = ez.at[1:-1, 1:-1].add(courant * curl / permittivity[1:-1, 1:-1])
        ez = ez.at[n // 2, m // 2].add(s)
        return (ez, hx, hy), ez[probe]

    (ez, hx, hy), seen = lax.scan(step, (jnp.zeros((n, m)), jnp.zeros((n, m - 1)), jnp.zeros((n - 1, m))), source)
    return ez, hx, hy, seen


def jacobi_eigenvalues(a: Array, tolerance: Array) -> Array:
    n = len(a)
    a = 0.5 * (a + a.T)
    p, q = jnp.triu_indices(n, 1)

    def rotate(i: Array, a: Array) -> Array:
        j, k = p[i], q[i]
        small = jnp.abs(a[j, k]) < 1e-100
        ratio = (a[k, k] - a[j, j]) / jnp.where(small, 1.0, 2 * a[j, k])
        t = jnp.where(small, 0.0, jnp.copysign(1.0, ratio) / (jnp.abs(ratio) + jnp.sqrt(1 + ratio**2)))
        c = 1 / jnp.sqrt(1 + t**2)
        s = t * c
        row, other = a[j], a[k]
        a = a.at[j].set(c * row - s * other).at[k].set(s * row + c * other)
        column, other = a[:, j], a[:, k]
        return a.at[:, j].set(c * column - s * other).at[:, k].set(s * column + c * other)

    a = lax.while_loop(
        lambda a: jnp.sum(jnp.tril(a, -1) ** 2) > tolerance, lambda a: lax.fori_loop(0, len(p), rotate, a), a
    )
    return jnp.sort(jnp.diag(a))


def finite_elements(thickness: Array, load: Array, length: float) -> Array:
    n = len(thickness)
    rows = 2 * jnp.arange(n)[:, None, None] + jnp.arange(4)[:, None]
    columns = 2 * jnp.arange(n)[:, None, None] + jnp.arange(4)
    k = jnp.zeros((2 * n + 2, 2 * n + 2)).at[rows, columns].add(thickness[:, None, None] ** 3 * _element(1.0, length))
    f = jnp.zeros(2 * n + 2).at[::2].set(load)
    u = jnp.zeros(2 * n + 2).at[2:].set(jnp.linalg.solve(k[2:, 2:], f[2:]))
    return u[::2], f @ u


def conjugate_gradient(conductivity: Array, b: Array, tolerance: Array) -> Array:
    def flow(u: Array) -> Array:
        across = 0.5 * (conductivity[1:] + conductivity[:-1]) * (u[1:] - u[:-1])
        along = 0.5 * (conductivity[:, 1:] + conductivity[:, :-1]) * (u[:, 1:] - u[:, :-1])
        out = 0.1 * u - jnp.pad(across, ((0, 1), (0, 0))) + jnp.pad(across, ((1, 0), (0, 0)))
        return out - jnp.pad(along, ((0, 0), (0, 1))) + jnp.pad(along, ((0, 0), (1, 0)))

    def turn(state: Any) -> Any:
        x, r, p, rr = state
        ap = flow(p)
        alpha = rr / jnp.sum(p * ap)
        x, r = x + alpha * p, r - alpha * ap
        new = jnp.sum(r * r)
        return x, r, r + new / rr * p, new

    return lax.while_loop(lambda state: state[3] > tolerance, turn, (jnp.zeros_like(b), b, b, jnp.sum(b * b)))[0]


def multigrid(f: Array, cycles: int) -> Array:
    def smooth(u: Array, f: Array, h: float) -> Array:
        for _ in range(2):
            u = u.at[1:-1:2].set(0.5 * (u[:-2:2] + u[2::2] + h**2 * f[1:-1:2]))
            u = u.at[2:-1:2].set(0.5 * (u[1:-2:2] + u[3::2] + h**2 * f[2:-1:2]))
        return u

    def cycle(u: Array, f: Array, h: float) -> Array:
        if len(u) == 3:
            return u.at[1].set(0.5 * (u[0] + u[2] + h**2 * f[1]))
        u = smooth(u, f, h)
        rest = jnp.pad(f[1:-1] + (u[:-2] - 2 * u[1:-1] + u[2:]) / h**2, 1)
        coarse = jnp.pad(0.25 * (rest[1:-3:2] + 2 * rest[2:-2:2] + rest[3:-1:2]), 1)
        change = cycle(jnp.zeros_like(coarse), coarse, 2 * h)
        u = u.at[::2].add(change)
        u = u.at[1::2].add(0.5 * (change[:-1] + change[1:]))
        return smooth(u, f, h)

    return repeat(lambda u: cycle(u, f, 1 / (len(f) - 1)), jnp.zeros(len(f)), cycles)


def particle_in_cell(x: Array, v: Array, strength: Array, n: int, length: float, dt: float, steps: int) -> Array:
    k = 2 * jnp.pi / length * jnp.fft.rfftfreq(n, 1 / n)

    def places(x: Array) -> Any:
        place = x / length * n
        left = jnp.floor(place).astype(int)
        return left % n, (left + 1) % n, place - left

    def step(state: Any, _: None) -> Any:
        x, v = state
        left, right, share = places(x)
        density = jnp.zeros(n).at[left].add(1 - share).at[right].add(share) * n / len(x)
        spectrum = jnp.fft.rfft(1 - density)
        e = jnp.fft.irfft(jnp.concatenate([jnp.zeros(1, complex), spectrum[1:] / (1j * k[1:])]), n)
        v = v - strength * dt * ((1 - share) * e[left] + share * e[right])
        return ((x + dt * v) % length, v), 0.5 * jnp.mean(e**2)

    (x, v), energies = lax.scan(step, (x, v), None, length=steps)
    return x, v, energies


#: Arguments that are part of what is compiled.
STATIC: dict[str, tuple[int, ...]] = {
    "heat": (2,), "wave": (2,), "burgers": (4,), "shallow_water": (4,), "lattice_boltzmann": (3,), "gauss_seidel": (2,),
    "molecular_dynamics": (5,), "k_means": (2,), "option_lattice": (5,), "ray_marching": (1, 2, 3), "mandelbrot": (2,),
    "advection": (2,), "crank_nicolson": (3,), "n_body": (5,), "lorenz": (5,), "maxwell": (3,), "finite_elements": (2,),
    "multigrid": (1,), "particle_in_cell": (3, 4, 5, 6),
}  # fmt: skip

#: A `while` loop has no reverse mode in JAX.
NO_GRADIENT = ("page_rank", "jacobi_eigenvalues", "conjugate_gradient")


def compiled(name: str) -> Any:
    """The program as one function of JAX."""
    return partial(jax.jit, static_argnums=STATIC.get(name, ()))(globals()[name])
