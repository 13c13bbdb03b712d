"""What is split over ranks equals what one rank computes alone."""

import numpy as np
import pytest

import tapenet as tn
from tapenet import parallel as P

P.init(timeout=300)
rank, size = P.rank, P.size
rng = np.random.default_rng(0)


def same(found, want, exact=False):
    """Whether this rank has what one rank computes alone. A product of fewer lanes may be rounded otherwise."""
    for one, other in zip(tn.tree.leaves(found), tn.tree.leaves(want), strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert (one.shape, one.dtype) == (other.shape, other.dtype), (one.shape, other.shape)
        if exact:
            assert np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"), (one, other)
        else:
            assert np.allclose(one, other, rtol=1e-12, atol=1e-12), (one, other)


# -- lanes: fewer than ranks, as many, uneven
a = rng.normal(size=(3, 3))


def f(x, w):
    return {"sum": (np.tanh(w @ x) ** 2).sum(), "both": (np.exp(x), x > 0)}


for lanes in (1, 2, 3, size, 4 * size + 3, 0):
    x = rng.normal(size=(lanes, 3))
    same(tn.vmap(f, (0, None), over=P)(x, a), tn.vmap(f, (0, None))(x, a))
    last = {"sum": 0, "both": (1, 1)}
    split = tn.vmap(f, (1, None), last, over=P)
    same(split(x.T, a), tn.vmap(f, (1, None), last)(x.T, a))
    same(tn.vmap(np.tanh, over=P)(x), np.tanh(x), exact=True)


# -- derivatives of lanes, to the third order: of all samples by what they share, and by themselves
def loss(over):
    def of(w, x):
        return (tn.vmap(lambda x, w: (np.tanh(w @ x) ** 3).sum(), (0, None), over=over)(x, w) ** 2).mean()

    return of


TRANSFORMS = [
    lambda f: tn.value_and_grad(f, (0, 1)),
    lambda f: tn.hessian(f, (0, 1)),
    lambda f: tn.hessian(lambda w, x: tn.grad(f)(w, x)[0].sum()),
    lambda f: lambda w, x: tn.jvp(f, (w, x), (np.ones_like(w), np.ones_like(x))),
]
for lanes in (1, 3, 4 * size + 1):
    x = rng.normal(size=(lanes, 3))
    for transform in TRANSFORMS:
        same(transform(loss(P))(a, x), transform(loss(None))(a, x))
    pair = np.stack([x, -x])
    same(tn.vmap(loss(P), (None, 0))(a, pair), tn.vmap(loss(None), (None, 0))(a, pair))
    if lanes == 3:
        same(tn.compile(tn.value_and_grad(loss(P), (0, 1)))(a, x), tn.value_and_grad(loss(None), (0, 1))(a, x))
    w = tn.tensor(a, requires_grad=True)
    loss(P)(w, tn.tensor(x)).backward()
    same(w.grad, tn.grad(loss(None))(a, x))


# -- matrices
def g(x, y):
    return np.sin(x[:, None] * y).sum(0), (x**2 * y.sum()).sum()


x, y = rng.normal(size=5), rng.normal(size=4)
for mode in ("forward", "reverse", None):
    same(tn.jacobian(g, (0, 1), mode, over=P)(x, y), tn.jacobian(g, (0, 1), mode)(x, y))
same(tn.jacfwd(g, over=P)(x, y), tn.jacfwd(g)(x, y))
same(tn.jacrev(g, over=P)(x, y), tn.jacrev(g)(x, y))
same(tn.value_and_jacobian(g, over=P)(x, y), tn.value_and_jacobian(g)(x, y))


def scalar(x):
    return (x[1:] * np.sin(x[:-1])).sum() + (x**3).sum()


x = rng.normal(size=11)
same(tn.hessian(scalar, over=P)(x), tn.hessian(scalar)(x))
for made in (tn.hessian, tn.jacobian):
    h = scalar if made is tn.hessian else (lambda x: x[1:] * np.sin(x[:-1]))
    split, whole = made(h, sparse=True, over=P), made(h, sparse=True)
    for _ in range(2):
        found, want = split(x), whole(x)
        assert np.array_equal(found.indices, want.indices)
        same(found.data, want.data)
    assert np.array_equal(split.colors, whole.colors)

# -- what cannot be split says so
if size > 1:
    for draws in (
        lambda: tn.vmap(lambda x: x + tn.random.normal(size=()), randomness="same", over=P)(x),
        lambda: tn.jacobian(lambda x: x * tn.random.normal(size=()), over=P)(x),
        lambda: tn.jacobian(lambda x: x * tn.random.normal(size=()), sparse=True, over=P)(x),
        lambda: tn.compile(lambda x: P.map(lambda i: i, [1]) and x)(x),
    ):
        with pytest.raises(RuntimeError, match="outside"):
            draws()
drawn = tn.vmap(lambda x: x + tn.random.normal(size=()), randomness="different", over=P)(x)
assert P.equal({"drawn": drawn.numpy()})

# -- independent work
for items in ([], [3], range(2 * size + 1)):
    found = P.map(lambda i: {"square": np.full(2, i**2)}, items)
    same([each["square"] for each in found], [np.full(2, i**2) for i in items], exact=True)
starts = [{"x": np.full(3, i)} for i in (0.5, 2.0, -1.0)]
every = P.map(lambda start: tn.optimize.minimize(lambda p: tn.optimize.rosen(p["x"]), start), starts)
assert all(np.allclose(result.x["x"], 1, atol=1e-4) or result.x["x"][0] < 0 for result in every)
assert P.equal({str(i): result.x["x"].numpy() for i, result in enumerate(every)})
