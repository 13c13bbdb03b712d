"""The ops of the cookbook in PyTorch: a section for each, whose lines are counted.

What PyTorch can compute itself is an `autograd.Function`; foreign code is a `torch.library.custom_op`, which its manual
recommends for it. `looped` and `Looped`, which many need under `vmap`, are not counted.
"""

import math

import numpy as np
import torch
from scipy import linalg, signal, sparse, special
from torch import Tensor
from torch.autograd import Function
from torch.library import custom_op

from tests.benchmarks.extending.cookbook import foreign

kernels = foreign()


def looped(op):
    """Have `vmap` call a custom op once for each sample."""

    @op.register_vmap
    def _(info, in_dims, *args):
        lanes = [
            op(*(a if d is None else a.select(d, i) for a, d in zip(args, in_dims, strict=True)))
            for i in range(info.batch_size)
        ]
        if isinstance(lanes[0], Tensor):
            return torch.stack(lanes), 0
        return tuple(map(torch.stack, zip(*lanes, strict=True))), (0,) * len(lanes[0])


class Looped(Function):
    """A function that `vmap` calls once for each sample."""

    @classmethod
    def vmap(cls, info, in_dims, *args):
        lanes = [
            cls.apply(*(a.select(d, i) if isinstance(d, int) else a for a, d in zip(args, in_dims, strict=True)))
            for i in range(info.batch_size)
        ]
        return torch.stack(lanes), 0


# -- erf
@custom_op("cookbook::erf", mutates_args=())
def erf(x: Tensor) -> Tensor:
    return torch.from_numpy(np.vectorize(kernels.libm.erf)(x.numpy()).astype(x.numpy().dtype))


@erf.register_fake
def _(x):
    return torch.empty_like(x)


def backward(ctx, g):
    (x,) = ctx.saved_tensors
    return g * (2 / math.sqrt(math.pi)) * torch.exp(-x * x)


erf.register_autograd(backward, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs))
looped(erf)


# -- bessel_j0
@custom_op("cookbook::bessel_j0", mutates_args=())
def bessel_j0(x: Tensor) -> Tensor:
    return torch.from_numpy(np.vectorize(kernels.bessel.j0)(x.numpy()).astype(x.numpy().dtype))


@custom_op("cookbook::bessel_j1", mutates_args=())
def bessel_j1(x: Tensor) -> Tensor:
    return torch.from_numpy(np.vectorize(kernels.bessel.j1)(x.numpy()).astype(x.numpy().dtype))


@bessel_j0.register_fake
@bessel_j1.register_fake
def _(x):
    return torch.empty_like(x)


def backward_of_j0(ctx, g):
    (x,) = ctx.saved_tensors
    return -g * bessel_j1(x)


def backward_of_j1(ctx, g):
    x, out = ctx.saved_tensors
    return g * (bessel_j0(x) - out / x)


bessel_j0.register_autograd(backward_of_j0, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs))
bessel_j1.register_autograd(
    backward_of_j1, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs, output)
)
looped(bessel_j0)
looped(bessel_j1)


# -- ellip_k
@custom_op("cookbook::ellip_k", mutates_args=())
def ellip_k(x: Tensor) -> Tensor:
    return torch.from_numpy(np.vectorize(kernels.cython_special.ellipk)(x.numpy()).astype(x.numpy().dtype))


@custom_op("cookbook::ellip_e", mutates_args=())
def ellip_e(x: Tensor) -> Tensor:
    return torch.from_numpy(np.vectorize(kernels.cython_special.ellipe)(x.numpy()).astype(x.numpy().dtype))


@ellip_k.register_fake
@ellip_e.register_fake
def _(x):
    return torch.empty_like(x)


def save(ctx, inputs, output):
    ctx.save_for_backward(*inputs, output)


def backward_of_k(ctx, g):
    x, out = ctx.saved_tensors
    return g * (ellip_e(x) / (1 - x) - out) / (2 * x)


def backward_of_e(ctx, g):
    x, out = ctx.saved_tensors
    return g * (out - ellip_k(x)) / (2 * x)


ellip_k.register_autograd(backward_of_k, setup_context=save)
ellip_e.register_autograd(backward_of_e, setup_context=save)
looped(ellip_k)
looped(ellip_e)


# -- recurrence
@custom_op("cookbook::recurrence", mutates_args=())
def recurrence(decay: Tensor, x: Tensor) -> Tensor:
    return torch.from_numpy(kernels.recur(decay.numpy(), x.numpy()))


@recurrence.register_fake
def _(decay, x):
    return torch.empty_like(x)


def save(ctx, inputs, output):
    ctx.save_for_backward(inputs[0], output)


def backward(ctx, g):
    decay, out = ctx.saved_tensors
    d = recurrence(decay.roll(-1).flip(0), g.flip(0)).flip(0)
    return d * torch.nn.functional.pad(out[:-1], (1, 0)), d


recurrence.register_autograd(backward, setup_context=save)
looped(recurrence)


# -- jv
@custom_op("cookbook::jv", mutates_args=())
def jv(n: Tensor, x: Tensor) -> Tensor:
    return torch.from_numpy(special.jv(n.numpy(), x.numpy()))


@jv.register_fake
def _(n, x):
    return torch.empty(torch.broadcast_shapes(n.shape, x.shape), dtype=x.dtype)


def backward(ctx, g):
    n, x = ctx.saved_tensors
    return None, (g * (jv(n - 1, x) - jv(n + 1, x)) / 2).sum_to_size(x.shape)


jv.register_autograd(backward, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs))
looped(jv)


# -- sparse_product
@custom_op("cookbook::sparse_product", mutates_args=())
def sparse_product(values: Tensor, rows: Tensor, columns: Tensor, x: Tensor, height: int) -> Tensor:
    places = rows.numpy(), columns.numpy()
    return torch.from_numpy(sparse.coo_array((values.numpy(), places), (height, len(x))) @ x.numpy())


@sparse_product.register_fake
def _(values, rows, columns, x, height):
    return x.new_empty(height, x.shape[1])


def backward(ctx, g):
    values, rows, columns, x = ctx.saved_tensors
    return (g[rows] * x[columns]).sum(1), None, None, sparse_product(values, columns, rows, g, len(x)), None


sparse_product.register_autograd(backward, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs[:4]))
looped(sparse_product)


# -- expm
@custom_op("cookbook::expm", mutates_args=())
def expm(a: Tensor) -> Tensor:
    return torch.from_numpy(linalg.expm(a.numpy()))


@expm.register_fake
def _(a):
    return torch.empty_like(a)


def backward(ctx, g):
    (a,) = ctx.saved_tensors
    n = len(a)
    return expm(torch.cat([torch.cat([a.T, g], 1), torch.cat([torch.zeros_like(a), a.T], 1)]))[:n, n:]


expm.register_autograd(backward, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs))
looped(expm)


# -- lu_solve
@custom_op("cookbook::lu_solve", mutates_args=())
def lu_solve_and_factors(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    out, lu, pivots = kernels.lu_solve_forward(a.numpy(), b.numpy())
    return torch.from_numpy(out), torch.from_numpy(lu), torch.from_numpy(pivots)


@lu_solve_and_factors.register_fake
def _(a, b):
    return torch.empty_like(b), torch.empty_like(a), torch.empty(len(b), dtype=torch.int32)


@custom_op("cookbook::lu_solve_backward", mutates_args=())
def lu_solve_backward(g: Tensor, out: Tensor, lu: Tensor, pivots: Tensor) -> tuple[Tensor, Tensor]:
    da, db = kernels.lu_solve_backward(g.numpy(), out.numpy(), lu.numpy(), pivots.numpy())
    return torch.from_numpy(da), torch.from_numpy(db)


@lu_solve_backward.register_fake
def _(g, out, lu, pivots):
    return torch.empty_like(lu), torch.empty_like(g)


lu_solve_and_factors.register_autograd(
    lambda ctx, g, *_: lu_solve_backward(g, *ctx.saved_tensors),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*output),
)
looped(lu_solve_and_factors)
looped(lu_solve_backward)


def lu_solve(a, b):
    return lu_solve_and_factors(a, b)[0]


# -- convolve
@custom_op("cookbook::convolve", mutates_args=())
def convolve(x: Tensor, k: Tensor) -> Tensor:
    return torch.from_numpy(signal.fftconvolve(x.numpy(), k.numpy()))


@convolve.register_fake
def _(x, k):
    return x.new_empty(len(x) + len(k) - 1)


def backward(ctx, g):
    x, k = ctx.saved_tensors
    n, m = len(x), len(k)
    return convolve(g, k.flip(0))[m - 1 : m - 1 + n], convolve(g, x.flip(0))[n - 1 : n - 1 + m]


convolve.register_autograd(backward, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs))
looped(convolve)


# -- swing
@custom_op("cookbook::swing", mutates_args=())
def swing(start: Tensor, k: Tensor, time: float) -> Tensor:
    return torch.from_numpy(kernels.pendulum(start.numpy(), k.numpy(), time))


@swing.register_fake
def _(start, k, time):
    return torch.empty_like(start)


@custom_op("cookbook::swing_backward", mutates_args=())
def swing_backward(g: Tensor, out: Tensor, k: Tensor, time: float) -> tuple[Tensor, Tensor]:
    dstart, dk = kernels.pendulum_adjoint(g.numpy(), out.numpy(), k.numpy(), time)
    return torch.from_numpy(dstart), torch.tensor(dk)


@swing_backward.register_fake
def _(g, out, k, time):
    return torch.empty_like(g), torch.empty_like(k)


def save(ctx, inputs, output):
    _, k, ctx.time = inputs
    ctx.save_for_backward(output, k)


swing.register_autograd(lambda ctx, g: (*swing_backward(g, *ctx.saved_tensors, ctx.time), None), setup_context=save)
looped(swing)
looped(swing_backward)


# -- population
@custom_op("cookbook::population", mutates_args=())
def population_and_slopes(rate: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    out, dx, drate = kernels.ask(rate.numpy(), x.numpy())
    return torch.tensor(out), torch.tensor(dx), torch.tensor(drate)


@population_and_slopes.register_fake
def _(rate, x):
    return torch.empty_like(x), torch.empty_like(x), torch.empty_like(x)


@torch.autograd.function.once_differentiable
def backward(ctx, g, *_):
    dx, drate = ctx.saved_tensors
    return g * drate, g * dx


population_and_slopes.register_autograd(
    backward, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*output[1:])
)
looped(population_and_slopes)


def population(rate, x):
    return population_and_slopes(rate, x)[0]


# -- equilibrium
class Equilibrium(Looped):
    @staticmethod
    def forward(w, b):
        x, last = torch.tanh(b), b
        while (x - last).abs().max() > 1e-14:
            x, last = torch.tanh(w @ x + b), x
        return x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0], output)

    @staticmethod
    def backward(ctx, g):
        w, out = ctx.saved_tensors
        slope = 1 - out * out
        d = torch.linalg.solve(torch.eye(len(g), dtype=g.dtype) - (slope[:, None] * w).T, g) * slope
        return torch.outer(d, out), d


equilibrium = Equilibrium.apply


# -- kepler
class Kepler(Looped):
    @staticmethod
    def forward(m, e):
        x, step = m, torch.full_like(m, math.inf)
        while step.abs().max() > 1e-14:
            step = (x - e * torch.sin(x) - m) / (1 - e * torch.cos(x))
            x = x - step
        return x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[1], output)
        ctx.save_for_forward(inputs[1], output)

    @staticmethod
    def backward(ctx, g):
        e, out = ctx.saved_tensors
        d = g / (1 - e * torch.cos(out))
        return d, d * torch.sin(out)

    @staticmethod
    def jvp(ctx, m_dot, e_dot):
        e, out = ctx.saved_tensors
        return (m_dot + torch.sin(out) * e_dot) / (1 - e * torch.cos(out))


kepler = Kepler.apply


# -- plan
class Plan(Looped):
    @staticmethod
    def forward(cost, strength):
        kernel, v, last = torch.exp(-cost / strength), torch.ones_like(cost[0]), math.inf
        while (v - last).abs().max() > 2e-14 * v.max():
            u = 1 / (len(cost) * (kernel @ v))
            v, last = 1 / (len(v) * (kernel.T @ u)), v
        return u[:, None] * kernel * v

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)
        ctx.strength = inputs[1]

    @staticmethod
    def backward(ctx, g):
        (out,) = ctx.saved_tensors
        n, h = len(out), out * g
        top = torch.cat([torch.diag(out.sum(1)), out], 1)
        matrix = torch.cat([top, torch.cat([out.T, torch.diag(out.sum(0))], 1)])
        d = torch.linalg.solve(matrix[:-1, :-1], torch.cat([h.sum(1), h.sum(0)])[:-1])
        return (d[:n, None] + torch.nn.functional.pad(d[n:], (0, 1)) - g) * out / ctx.strength, None


plan = Plan.apply


# -- soft_sort
@custom_op("cookbook::soft_sort", mutates_args=())
def soft_sort_and_places(x: Tensor, strength: float) -> tuple[Tensor, Tensor, Tensor]:
    out, inverse, same = kernels.project(x.numpy(), strength)
    return torch.from_numpy(out), torch.from_numpy(inverse), torch.from_numpy(same)


@soft_sort_and_places.register_fake
def _(x, strength):
    n = len(x)
    return torch.empty_like(x), torch.empty(n, dtype=torch.int64), torch.empty((n, n), dtype=torch.bool)


def backward(ctx, g, *_):
    inverse, same = ctx.saved_tensors
    return (torch.where(same, g, 0).sum(1) / same.sum(1))[inverse], None


soft_sort_and_places.register_autograd(
    backward, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*output[1:])
)
looped(soft_sort_and_places)


def soft_sort(x, strength=1.0):
    return soft_sort_and_places(x, strength)[0]


# -- soft_dtw
@custom_op("cookbook::soft_dtw", mutates_args=())
def soft_dtw_and_table(cost: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    out, best = kernels.soft_dtw_forward(cost.numpy(), smoothing)
    return torch.tensor(out), torch.from_numpy(best)


@soft_dtw_and_table.register_fake
def _(cost, smoothing):
    n, m = cost.shape
    return cost.new_empty(()), torch.empty((n + 1, m + 1), dtype=torch.float64)


@custom_op("cookbook::soft_dtw_backward", mutates_args=())
def soft_dtw_backward(g: Tensor, best: Tensor, cost: Tensor, smoothing: float) -> Tensor:
    return torch.from_numpy(kernels.soft_dtw_backward(g.numpy(), best.numpy(), cost.numpy(), smoothing)).clone()


@soft_dtw_backward.register_fake
def _(g, best, cost, smoothing):
    return torch.empty_like(cost)


def save(ctx, inputs, output):
    cost, ctx.smoothing = inputs
    ctx.save_for_backward(output[1], cost)


soft_dtw_and_table.register_autograd(
    lambda ctx, g, _: (soft_dtw_backward(g, *ctx.saved_tensors, ctx.smoothing), None), setup_context=save
)
looped(soft_dtw_and_table)
looped(soft_dtw_backward)


def soft_dtw(cost, smoothing):
    return soft_dtw_and_table(cost, smoothing)[0]


# -- rounded
class Rounded(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return torch.round(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return g


rounded = Rounded.apply


# -- reverse
class Reverse(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, strength):
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.strength = inputs[1]

    @staticmethod
    def backward(ctx, g):
        return -ctx.strength * g, None


def reverse(x, strength=1.0):
    return Reverse.apply(x, strength)


# -- lookup
class Lookup(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(table, rows):
        return table[rows]

    @staticmethod
    def setup_context(ctx, inputs, output):
        table, rows = inputs
        ctx.save_for_backward(rows)
        ctx.shape = table.shape

    @staticmethod
    def backward(ctx, g):
        (rows,) = ctx.saved_tensors
        return torch.sparse_coo_tensor(rows[None], g, ctx.shape), None


lookup = Lookup.apply


# -- modrelu
class ModReLU(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(z, bias):
        return z * (1 - bias / z.abs()).clamp(min=0)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        z, bias = ctx.saved_tensors
        size = z.abs()
        along = torch.where(size > bias, (g.conj() * z).real / size, 0)
        dz = g * (1 - bias / size).clamp(min=0) + along * bias * z / (size * size)
        return dz, -along.sum_to_size(bias.shape)


modrelu = ModReLU.apply


# -- jacobi
@custom_op("cookbook::jacobi", mutates_args=())
def jacobi(u: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    sn, cn, dn, ph = map(torch.from_numpy, special.ellipj(u.numpy(), m.numpy()))
    return sn, cn, dn, ph


@jacobi.register_fake
def _(u, m):
    return torch.empty_like(u), torch.empty_like(u), torch.empty_like(u), torch.empty_like(u)


def save(ctx, inputs, output):
    ctx.save_for_backward(inputs[1], *output[:3])


def backward(ctx, *g):
    m, sn, cn, dn = ctx.saved_tensors
    return g[0] * cn * dn - g[1] * sn * dn - g[2] * m * sn * cn + g[3] * dn, None


jacobi.register_autograd(backward, setup_context=save)
looped(jacobi)


# -- block_diag
class BlockDiag(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(*matrices):
        return torch.block_diag(*matrices)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.shapes = [m.shape for m in inputs]

    @staticmethod
    def backward(ctx, g):
        ends = np.cumsum(ctx.shapes, 0).tolist()
        return tuple(g[i - h : i, j - w : j] for (i, j), (h, w) in zip(ends, ctx.shapes, strict=True))


block_diag = BlockDiag.apply


# -- average
class Average(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, weights):
        return x.mean() if weights is None else x @ weights / weights.sum()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx, g):
        x, weights, out = ctx.saved_tensors
        if weights is None:
            return g.expand_as(x) / len(x), None
        return g * weights / weights.sum(), g * (x - out) / weights.sum()


def average(x, weights=None):
    return Average.apply(x, weights)


# -- watch
class Watch(Looped):
    @staticmethod
    def forward(x, seen):
        seen.append(float(x.abs().max()))
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return g, None


watch = Watch.apply


# -- waiting_time
class WaitingTime(Looped):
    @staticmethod
    def forward(rate):
        return torch.empty_like(rate).exponential_() / rate

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx, g):
        rate, out = ctx.saved_tensors
        return -g * out / rate


waiting_time = WaitingTime.apply


# -- log1mexp
class Log1mExp(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return torch.where(x > -math.log(2), torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(x)))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return -g / torch.expm1(-x)


log1mexp = Log1mExp.apply
