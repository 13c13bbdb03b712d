"""The ops of the cookbook in autograd: a section for each, whose lines are counted."""

import autograd.numpy as np
import numpy
from autograd.extend import defjvp, defvjp, defvjp_argnums, primitive
from scipy import linalg, signal, sparse, special

from tests.benchmarks.extending.cookbook import foreign

kernels = foreign()

# -- erf
erf = primitive(numpy.vectorize(kernels.libm.erf))
defvjp(erf, lambda out, x: lambda g: g * (2 / np.sqrt(np.pi)) * np.exp(-x * x))

# -- bessel_j0
bessel_j0 = primitive(numpy.vectorize(kernels.bessel.j0))
bessel_j1 = primitive(numpy.vectorize(kernels.bessel.j1))
defvjp(bessel_j0, lambda out, x: lambda g: -g * bessel_j1(x))
defvjp(bessel_j1, lambda out, x: lambda g: g * (bessel_j0(x) - out / x))

# -- ellip_k
ellip_k = primitive(numpy.vectorize(kernels.cython_special.ellipk))
ellip_e = primitive(numpy.vectorize(kernels.cython_special.ellipe))
defvjp(ellip_k, lambda out, x: lambda g: g * (ellip_e(x) / (1 - x) - out) / (2 * x))
defvjp(ellip_e, lambda out, x: lambda g: g * (out - ellip_k(x)) / (2 * x))

# -- recurrence
recurrence = primitive(lambda decay, x: kernels.recur(decay, x))


def backward(decay, g):
    return recurrence(np.roll(decay, -1)[::-1], g[::-1])[::-1]


defvjp(
    recurrence,
    lambda out, decay, x: lambda g: backward(decay, g) * np.concatenate([np.zeros(1), out[:-1]]),
    lambda out, decay, x: lambda g: backward(decay, g),
)

# -- jv
jv = primitive(special.jv)
defvjp(jv, None, lambda out, n, x: lambda g: g * (jv(n - 1, x) - jv(n + 1, x)) / 2)


# -- sparse_product
@primitive
def sparse_product(values, rows, columns, x, height):
    return sparse.coo_array((values, (rows, columns)), (height, len(x))) @ x


defvjp(
    sparse_product,
    lambda out, values, rows, columns, x, height: lambda g: np.sum(g[rows] * x[columns], 1),
    lambda out, values, rows, columns, x, height: lambda g: sparse_product(values, columns, rows, g, len(x)),
    argnums=(0, 3),
)


# -- expm
def backward(a, g):
    n = len(a)
    return expm(np.concatenate([np.concatenate([a.T, g], 1), np.concatenate([np.zeros_like(a), a.T], 1)]))[:n, n:]


expm = primitive(linalg.expm)
defvjp(expm, lambda out, a: lambda g: backward(a, g))

# -- lu_solve
lu_solve_and_factors = primitive(kernels.lu_solve_forward)
lu_solve_backward = primitive(kernels.lu_solve_backward)


def rules(argnums, out, args, kwargs):
    def backward(g):
        found = lu_solve_backward(g[0], *out)
        return tuple(found[i] for i in argnums)

    return backward


defvjp_argnums(lu_solve_and_factors, rules)


def lu_solve(a, b):
    return lu_solve_and_factors(a, b)[0]


# -- convolve
convolve = primitive(lambda x, k: signal.fftconvolve(x, k))
defvjp(
    convolve,
    lambda out, x, k: lambda g: convolve(g, k[::-1])[len(k) - 1 : len(k) - 1 + len(x)],
    lambda out, x, k: lambda g: convolve(g, x[::-1])[len(x) - 1 : len(x) - 1 + len(k)],
)

# -- swing
swing = primitive(kernels.pendulum)
swing_backward = primitive(kernels.pendulum_adjoint)


def rules(argnums, out, args, kwargs):
    _, k, time = args

    def backward(g):
        found = swing_backward(g, out, k, time)
        return tuple(found[i] for i in argnums)

    return backward


defvjp_argnums(swing, rules)

# -- population
population_and_slopes = primitive(lambda rate, x: numpy.array(kernels.ask(rate, x)))
defvjp(
    population_and_slopes, lambda out, rate, x: lambda g: g[0] * out[2], lambda out, rate, x: lambda g: g[0] * out[1]
)


def population(rate, x):
    return population_and_slopes(rate, x)[0]


# -- equilibrium
@primitive
def equilibrium(w, b):
    x, last = np.tanh(b), b
    while np.abs(x - last).max() > 1e-14:
        x, last = np.tanh(w @ x + b), x
    return x


def backward(w, out, g):
    slope = 1 - out * out
    return np.linalg.solve(np.eye(len(g)) - (slope[:, None] * w).T, g) * slope


defvjp(
    equilibrium,
    lambda out, w, b: lambda g: np.outer(backward(w, out, g), out),
    lambda out, w, b: lambda g: backward(w, out, g),
)


# -- kepler
@primitive
def kepler(m, e):
    x, step = m, np.inf
    while np.abs(step).max() > 1e-14:
        step = (x - e * np.sin(x) - m) / (1 - e * np.cos(x))
        x = x - step
    return x


defvjp(
    kepler,
    lambda out, m, e: lambda g: g / (1 - e * np.cos(out)),
    lambda out, m, e: lambda g: g * np.sin(out) / (1 - e * np.cos(out)),
)
defjvp(
    kepler,
    lambda m_dot, out, m, e: m_dot / (1 - e * np.cos(out)),
    lambda e_dot, out, m, e: e_dot * np.sin(out) / (1 - e * np.cos(out)),
)


# -- plan
@primitive
def plan(cost, strength):
    kernel, v, last = np.exp(-cost / strength), np.ones_like(cost[0]), np.inf
    while np.abs(v - last).max() > 2e-14 * v.max():
        u = 1 / (len(cost) * (kernel @ v))
        v, last = 1 / (len(v) * (kernel.T @ u)), v
    return u[:, None] * kernel * v


def backward(out, strength, g):
    n, h = len(out), out * g
    top = np.concatenate([np.diag(np.sum(out, 1)), out], 1)
    matrix = np.concatenate([top, np.concatenate([out.T, np.diag(np.sum(out, 0))], 1)])
    d = np.linalg.solve(matrix[:-1, :-1], np.concatenate([np.sum(h, 1), np.sum(h, 0)])[:-1])
    return (d[:n, None] + np.concatenate([d[n:], np.zeros(1)]) - g) * out / strength


defvjp(plan, lambda out, cost, strength: lambda g: backward(out, strength, g), None)

# -- soft_sort
soft_sort_and_places = primitive(kernels.project)


def backward(out, g):
    _, inverse, same = out
    return (np.sum(np.where(same, g[0], 0), 1) / np.sum(same, 1))[inverse]


defvjp(soft_sort_and_places, lambda out, x, strength: lambda g: backward(out, g), None)


def soft_sort(x, strength=1.0):
    return soft_sort_and_places(x, strength)[0]


# -- soft_dtw
soft_dtw_and_table = primitive(kernels.soft_dtw_forward)
soft_dtw_backward = primitive(kernels.soft_dtw_backward)
defvjp(
    soft_dtw_and_table,
    lambda out, cost, smoothing: lambda g: soft_dtw_backward(g[0], out[1], cost, smoothing),
    None,
)


def soft_dtw(cost, smoothing):
    return soft_dtw_and_table(cost, smoothing)[0]


# -- rounded
rounded = primitive(numpy.round)
defvjp(rounded, lambda out, x: lambda g: g)

# -- reverse
reverse = primitive(lambda x, strength=1.0: x)
defvjp(reverse, lambda out, x, strength=1.0: lambda g: -strength * g)

# -- lookup
lookup = primitive(lambda table, rows: table[rows])


@primitive
def put(g, rows, shape):
    found = numpy.zeros(shape)
    numpy.add.at(found, rows, g)
    return found


defvjp(put, lambda out, g, rows, shape: lambda d: d[rows], argnums=(0,))
defvjp(lookup, lambda out, table, rows: lambda g: put(g, rows, table.shape), None)

# -- modrelu
modrelu = primitive(lambda z, bias: z * np.maximum(1 - bias / np.abs(z), 0))


def along(z, bias, g):
    return np.where(np.abs(z) > bias, np.real(g * z) / np.abs(z), 0)


def backward(z, bias, g):
    size = np.abs(z)
    return g * np.maximum(1 - bias / size, 0) + along(z, bias, g) * bias * np.conj(z) / (size * size)


defvjp(
    modrelu,
    lambda out, z, bias: lambda g: backward(z, bias, g),
    lambda out, z, bias: lambda g: -np.sum(along(z, bias, g)),
)

# -- jacobi
jacobi = primitive(lambda u, m: tuple(special.ellipj(u, m)))


def backward(out, m, g):
    sn, cn, dn, _ = out
    return g[0] * cn * dn - g[1] * sn * dn - g[2] * m * sn * cn + g[3] * dn


defvjp(jacobi, lambda out, u, m: lambda g: backward(out, m, g), None)

# -- block_diag
block_diag = primitive(linalg.block_diag)


def rules(argnums, out, matrices, kwargs):
    ends = numpy.cumsum([m.shape for m in matrices], 0)

    def backward(g):
        return tuple(
            g[ends[i][0] - len(matrices[i]) : ends[i][0], ends[i][1] - matrices[i].shape[1] : ends[i][1]]
            for i in argnums
        )

    return backward


defvjp_argnums(block_diag, rules)


# -- average
@primitive
def average(x, weights=None):
    return x.mean() if weights is None else x @ weights / weights.sum()


defvjp(
    average,
    lambda out, x, weights=None: (
        lambda g: g * (np.full_like(x, 1 / len(x)) if weights is None else weights / np.sum(weights))
    ),
    lambda out, x, weights=None: lambda g: g * (x - out) / np.sum(weights),
)


# -- watch
@primitive
def watch(x, seen):
    seen.append(float(numpy.abs(x).max()))
    return x


defvjp(watch, lambda out, x, seen: lambda g: g)

# -- waiting_time
waiting_time = primitive(lambda rate: numpy.random.exponential(size=rate.shape) / rate)
defvjp(waiting_time, lambda out, rate: lambda g: -g * out / rate)

# -- log1mexp
log1mexp = primitive(lambda x: np.where(x > -np.log(2), np.log(-np.expm1(x)), np.log1p(-np.exp(x))))
defvjp(log1mexp, lambda out, x: lambda g: -g / np.expm1(-x))
