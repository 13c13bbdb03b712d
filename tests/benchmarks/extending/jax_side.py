"""The ops of the cookbook in JAX: a section for each, whose lines are counted.

Foreign code is called by `jax.pure_callback`; `of_numpy` is what each such call needs beside the function, and not counted.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import custom_jvp, custom_vjp, lax
from jax.experimental import io_callback
from scipy import linalg, signal, sparse, special

from tests.benchmarks.extending.cookbook import foreign

kernels = foreign()

jax.config.update("jax_enable_x64", True)


def of_numpy(f, like, *arrays):
    """A function of NumPy arrays called with JAX's: its results have the shapes and dtypes of `like`."""
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), like)

    def call(*given):
        return jax.tree.map(lambda s, a: np.asarray(a, s.dtype), shapes, f(*map(np.asarray, given)))

    return jax.pure_callback(call, shapes, *arrays, vmap_method="sequential")


# -- erf
@custom_jvp
def erf(x):
    return of_numpy(np.vectorize(kernels.libm.erf), x, x)


@erf.defjvp
def _(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    return erf(x), x_dot * (2 / np.sqrt(np.pi)) * jnp.exp(-x * x)


# -- bessel_j0
@custom_jvp
def bessel_j0(x):
    return of_numpy(np.vectorize(kernels.bessel.j0), x, x)


@custom_jvp
def bessel_j1(x):
    return of_numpy(np.vectorize(kernels.bessel.j1), x, x)


@bessel_j0.defjvp
def _(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    return bessel_j0(x), -bessel_j1(x) * x_dot


@bessel_j1.defjvp
def _(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    out = bessel_j1(x)
    return out, (bessel_j0(x) - out / x) * x_dot


# -- ellip_k
@custom_jvp
def ellip_k(x):
    return of_numpy(np.vectorize(kernels.cython_special.ellipk), x, x)


@custom_jvp
def ellip_e(x):
    return of_numpy(np.vectorize(kernels.cython_special.ellipe), x, x)


@ellip_k.defjvp
def _(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    out = ellip_k(x)
    return out, (ellip_e(x) / (1 - x) - out) / (2 * x) * x_dot


@ellip_e.defjvp
def _(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    out = ellip_e(x)
    return out, (out - ellip_k(x)) / (2 * x) * x_dot


# -- recurrence
@custom_vjp
def recurrence(decay, x):
    return of_numpy(kernels.recur, x, decay, x)


def _(decay, x):
    out = recurrence(decay, x)
    return out, (decay, out)


def backward(saved, g):
    decay, out = saved
    d = recurrence(jnp.roll(decay, -1)[::-1], g[::-1])[::-1]
    return d * jnp.pad(out[:-1], (1, 0)), d


recurrence.defvjp(_, backward)


# -- jv
@custom_jvp
def jv(n, x):
    return of_numpy(special.jv, jnp.broadcast_arrays(n, x)[1], n, x)


@jv.defjvp
def _(primals, tangents):
    (n, x), (_, x_dot) = primals, tangents
    return jv(n, x), x_dot * (jv(n - 1, x) - jv(n + 1, x)) / 2


# -- sparse_product
@partial(custom_vjp, nondiff_argnums=(4,))
def sparse_product(values, rows, columns, x, height):
    def product(values, rows, columns, x):
        return sparse.coo_array((values, (rows, columns)), (height, len(x))) @ x

    return of_numpy(product, jnp.empty((height, x.shape[1]), x.dtype), values, rows, columns, x)


def _(values, rows, columns, x, height):
    return sparse_product(values, rows, columns, x, height), (values, rows, columns, x)


def backward(height, saved, g):
    values, rows, columns, x = saved
    return (g[rows] * x[columns]).sum(1), None, None, sparse_product(values, columns, rows, g, len(x))


sparse_product.defvjp(_, backward)


# -- expm
@custom_vjp
def expm(a):
    return of_numpy(linalg.expm, a, a)


def _(a):
    return expm(a), a


def backward(a, g):
    n = len(a)
    return (expm(jnp.block([[a.T, g], [jnp.zeros_like(a), a.T]]))[:n, n:],)


expm.defvjp(_, backward)


# -- lu_solve
@custom_vjp
def lu_solve(a, b):
    return forward(a, b)[0]


def forward(a, b):
    like = b, a, jnp.empty(len(b), np.int32)
    out, lu, pivots = of_numpy(kernels.lu_solve_forward, like, a, b)
    return out, (out, lu, pivots)


def backward(saved, g):
    _, lu, _ = saved
    return of_numpy(kernels.lu_solve_backward, (lu, g), g, *saved)


lu_solve.defvjp(forward, backward)


# -- convolve
@custom_vjp
def convolve(x, k):
    return of_numpy(signal.fftconvolve, jnp.empty(len(x) + len(k) - 1, x.dtype), x, k)


def _(x, k):
    return convolve(x, k), (x, k)


def backward(saved, g):
    x, k = saved
    n, m = len(x), len(k)
    return convolve(g, k[::-1])[m - 1 : m - 1 + n], convolve(g, x[::-1])[n - 1 : n - 1 + m]


convolve.defvjp(_, backward)


# -- swing
@partial(custom_vjp, nondiff_argnums=(2,))
def swing(start, k, time):
    return of_numpy(partial(kernels.pendulum, time=time), start, start, k)


def _(start, k, time):
    out = swing(start, k, time)
    return out, (out, k)


def backward(time, saved, g):
    return of_numpy(partial(kernels.pendulum_adjoint, time=time), saved, g, *saved)


swing.defvjp(_, backward)


# -- population
@custom_vjp
def population(rate, x):
    return forward(rate, x)[0]


def forward(rate, x):
    out, *slopes = of_numpy(kernels.ask, (x, x, rate), rate, x)
    return out, slopes


def backward(slopes, g):
    dx, drate = slopes
    return g * drate, g * dx


population.defvjp(forward, backward)


# -- equilibrium
@custom_vjp
def equilibrium(w, b):
    def going(state):
        x, last = state
        return jnp.abs(x - last).max() > 1e-14

    return lax.while_loop(going, lambda state: (jnp.tanh(w @ state[0] + b), state[0]), (jnp.tanh(b), b))[0]


def _(w, b):
    out = equilibrium(w, b)
    return out, (w, out)


def backward(saved, g):
    w, out = saved
    slope = 1 - out * out
    d = jnp.linalg.solve(jnp.eye(len(g), dtype=g.dtype) - (slope[:, None] * w).T, g) * slope
    return jnp.outer(d, out), d


equilibrium.defvjp(_, backward)


# -- kepler
@custom_jvp
def kepler(m, e):
    def step(state):
        x, _ = state
        step = (x - e * jnp.sin(x) - m) / (1 - e * jnp.cos(x))
        return x - step, step

    return lax.while_loop(lambda state: jnp.abs(state[1]).max() > 1e-14, step, (m, jnp.full_like(m, np.inf)))[0]


@kepler.defjvp
def _(primals, tangents):
    (_, e), (m_dot, e_dot) = primals, tangents
    out = kepler(*primals)
    return out, (m_dot + jnp.sin(out) * e_dot) / (1 - e * jnp.cos(out))


# -- plan
@partial(custom_vjp, nondiff_argnums=(1,))
def plan(cost, strength):
    kernel = jnp.exp(-cost / strength)

    def step(state):
        _, v, _ = state
        u = 1 / (len(cost) * (kernel @ v))
        return u, 1 / (len(v) * (kernel.T @ u)), v

    start = cost[:, 0], jnp.ones_like(cost[0]), cost[0] + np.inf
    u, v, _ = lax.while_loop(lambda s: jnp.abs(s[1] - s[2]).max() > 2e-14 * s[1].max(), step, start)
    return u[:, None] * kernel * v


def _(cost, strength):
    out = plan(cost, strength)
    return out, out


def backward(strength, out, g):
    n, h = len(out), out * g
    matrix = jnp.block([[jnp.diag(out.sum(1)), out], [out.T, jnp.diag(out.sum(0))]])
    d = jnp.linalg.solve(matrix[:-1, :-1], jnp.concatenate([h.sum(1), h.sum(0)])[:-1])
    return ((d[:n, None] + jnp.pad(d[n:], (0, 1)) - g) * out / strength,)


plan.defvjp(_, backward)


# -- soft_sort
@partial(custom_vjp, nondiff_argnums=(1,))
def soft_sort(x, strength=1.0):
    return forward(x, strength)[0]


def forward(x, strength):
    n = len(x)
    like = x, jnp.empty(n, int), jnp.empty((n, n), bool)
    out, *places = of_numpy(partial(kernels.project, strength=strength), like, x)
    return out, places


def backward(strength, places, g):
    inverse, same = places
    return ((jnp.where(same, g, 0).sum(1) / same.sum(1))[inverse],)


soft_sort.defvjp(forward, backward)


# -- soft_dtw
@partial(custom_vjp, nondiff_argnums=(1,))
def soft_dtw(cost, smoothing):
    return forward(cost, smoothing)[0]


def forward(cost, smoothing):
    n, m = cost.shape
    like = jnp.empty((), cost.dtype), jnp.empty((n + 1, m + 1))
    out, best = of_numpy(partial(kernels.soft_dtw_forward, smoothing=smoothing), like, cost)
    return out, (best, cost)


def backward(smoothing, saved, g):
    return (of_numpy(partial(kernels.soft_dtw_backward, smoothing=smoothing), saved[1], g, *saved),)


soft_dtw.defvjp(forward, backward)


# -- rounded
@custom_jvp
def rounded(x):
    return jnp.round(x)


@rounded.defjvp
def _(primals, tangents):
    return rounded(*primals), *tangents


# -- reverse
@partial(custom_jvp, nondiff_argnums=(1,))
def reverse(x, strength=1.0):
    return x


@reverse.defjvp
def _(strength, primals, tangents):
    return *primals, -strength * tangents[0]


# -- lookup
@custom_vjp
def lookup(table, rows):
    return table[rows]


def _(table, rows):
    return table[rows], (rows, table)


def backward(saved, g):
    rows, table = saved
    return jnp.zeros_like(table).at[rows].add(g), None


lookup.defvjp(_, backward)


# -- modrelu
@custom_jvp
def modrelu(z, bias):
    return z * jnp.maximum(1 - bias / jnp.abs(z), 0)


@modrelu.defjvp
def _(primals, tangents):
    (z, bias), (z_dot, bias_dot) = primals, tangents
    size = jnp.abs(z)
    along = jnp.real(jnp.conj(z) * z_dot) / size
    inside = jnp.where(size > bias, (bias * along / size - bias_dot) / size, 0)
    return modrelu(z, bias), z_dot * jnp.maximum(1 - bias / size, 0) + z * inside


# -- jacobi
@custom_jvp
def jacobi(u, m):
    return of_numpy(special.ellipj, (u,) * 4, u, m)


@jacobi.defjvp
def _(primals, tangents):
    (_, m), (u_dot, _) = primals, tangents
    sn, cn, dn, ph = jacobi(*primals)
    return (sn, cn, dn, ph), (cn * dn * u_dot, -sn * dn * u_dot, -m * sn * cn * u_dot, dn * u_dot)


# -- block_diag
@custom_vjp
def block_diag(*matrices):
    return jax.scipy.linalg.block_diag(*matrices)


def _(*matrices):
    return block_diag(*matrices), matrices


def backward(matrices, g):
    ends = np.cumsum([m.shape for m in matrices], 0)
    return tuple(g[i - h : i, j - w : j] for (i, j), (h, w) in zip(ends, (m.shape for m in matrices), strict=True))


block_diag.defvjp(_, backward)


# -- average
@custom_vjp
def average(x, weights=None):
    return x.mean() if weights is None else x @ weights / weights.sum()


def _(x, weights=None):
    out = average(x, weights)
    return out, (out, x, weights)


def backward(saved, g):
    out, x, weights = saved
    if weights is None:
        return jnp.full_like(x, g / len(x)), None
    return g * weights / weights.sum(), g * (x - out) / weights.sum()


average.defvjp(_, backward)


# -- watch
@partial(custom_vjp, nondiff_argnums=(1,))
def watch(x, seen):
    io_callback(lambda x: seen.append(float(np.abs(x).max())), None, x, ordered=True)
    return x


def _(x, seen):
    return watch(x, seen), None


def backward(seen, saved, g):
    return (g,)


watch.defvjp(_, backward)


# -- waiting_time
@custom_jvp
def waiting_time(rate, key):
    return jax.random.exponential(key, rate.shape, rate.dtype) / rate


@waiting_time.defjvp
def _(primals, tangents):
    rate, key = primals
    out = waiting_time(rate, key)
    return out, -tangents[0] * out / rate


# -- log1mexp
@custom_jvp
def log1mexp(x):
    return jnp.where(x > -np.log(2), jnp.log(-jnp.expm1(x)), jnp.log1p(-jnp.exp(x)))


@log1mexp.defjvp
def _(primals, tangents):
    (x,), (x_dot,) = primals, tangents
    return log1mexp(x), -x_dot / jnp.expm1(-x)
