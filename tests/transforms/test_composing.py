"""Transformations of functions, alone and of each other, eager and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn
from tapenet.program.batching import CannotBatch

R = np.random.default_rng(0)
X, V = R.normal(size=5), R.normal(size=5)
W = R.normal(size=(5, 5))
OUTSIDE = tn.tensor([2.0, 3.0])


def f(x: Any) -> Any:
    return (np.sin(x) * np.exp(x)).sum()


def inner(x: Any) -> Any:
    return np.sin(W @ x) * x


def loop(x: Any) -> Any:
    return tn.scan(lambda c, a: (np.sin(c) * a, c), 1.0, x)[0]


def written(x: Any) -> Any:
    z = x * 1
    z[0] = x[1] * 3
    z[1:] *= 2
    return z


def stopped(x: Any) -> Any:
    with tn.no_grad():
        y = x * 2
    return x * y + x * x.detach() + x * tn.stop_gradient(x)


def slope(g: Callable[[Any], Any], x: Any = X, v: Any = V, h: float = 1e-5) -> Any:
    """The derivative along v by differences."""
    return (np.asarray(g(tn.tensor(x + h * v)).numpy()) - np.asarray(g(tn.tensor(x - h * v)).numpy())) / (2 * h)


def close(found: Any, expected: Any, rtol: float = 1e-10, atol: float = 1e-12) -> None:
    np.testing.assert_allclose(_array(found), _array(expected), rtol, atol)


def _array(value: Any) -> Any:
    return value.numpy() if isinstance(value, tn.Tensor) else value


def both(g: Callable[..., Any], *args: Any) -> list[Any]:
    """What a function gives, eager and from a program."""
    compiled = tn.compile(g, backend="numpy")
    compiled(*args)
    return [g(*args), compiled(*args)]


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sum": f,
    "product": inner,
    "loop": loop,
    "in place": written,
    "branch on a value": lambda x: x * 2 if (x.sum() > -100).item() else x,
    "inverse": lambda x: np.linalg.inv(W + np.diag(x)),
    "singular values": lambda x: np.linalg.svd(W * x)[1],
    "spectrum": lambda x: np.abs(np.fft.rfft(x)) ** 2,
    "sorted": lambda x: np.sort(x) * np.arange(5),
    "gradient": tn.grad(f),
    "cond": lambda x: tn.cond(x.sum() > 0, np.sin, lambda x: x**3, x),
    "while": lambda x: tn.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, np.sin(c[1]) * x), (0, x))[1],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tangents_are_those_of_differences(name: str) -> None:
    g = FUNCTIONS[name]
    value, tangent = tn.jvp(g, (X,), (V,))
    close(value, g(tn.tensor(X)))
    close(tangent, slope(g), 1e-6, 1e-8)
    _, push = tn.linearize(g, X)
    close(push(V), tangent)
    close(push(2 * X), tn.jvp(g, (X,), (2 * X,))[1])


@pytest.mark.parametrize("name", ["sum", "product", "loop", "in place", "gradient", "inverse", "sorted"])
def test_programs_give_the_same(name: str) -> None:
    g = FUNCTIONS[name]
    for transformed in (lambda x, v: tn.jvp(g, (x,), (v,))[1], lambda x, v: tn.vmap(g)(np.stack([x, v]))):
        eager, compiled = both(transformed, X, V)
        close(compiled, eager)


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"branch on a value"}))
def test_lanes_are_calls(name: str) -> None:
    g = FUNCTIONS[name]
    lanes = np.stack([X, V, X - V])
    close(tn.vmap(g)(lanes), np.stack([g(tn.tensor(x)).numpy() for x in lanes]))


@pytest.mark.parametrize("name", ["product", "loop", "in place", "inverse", "singular values", "sorted", "gradient"])
def test_jacobians_of_both_modes_agree(name: str) -> None:
    g = FUNCTIONS[name]
    forward, reverse = tn.jacfwd(g)(X), tn.jacrev(g)(X)
    close(forward, reverse)
    close(forward @ V, tn.jvp(g, (X,), (V,))[1])
    value, jacobian = tn.value_and_jacobian(g)(X)
    close(value, g(tn.tensor(X)))
    close(jacobian, reverse)


def test_second_and_third_derivatives() -> None:
    hessian = tn.hessian(f)(X)
    diagonal = 2 * np.cos(X) * np.exp(X)
    close(hessian, np.diag(diagonal))
    for other in (tn.jacfwd(tn.jacrev(f)), tn.jacrev(tn.jacfwd(f)), tn.jacfwd(tn.grad(f)), tn.jacrev(tn.grad(f))):
        close(other(X), hessian)
    close(tn.hvp(f)(X, V), diagonal * V)
    close(tn.grad(lambda x: tn.jvp(f, (x,), (V,))[1])(X), diagonal * V)
    third = tn.jacfwd(tn.hessian(f))(X).numpy()
    assert third.shape == (5, 5, 5)
    np.testing.assert_allclose(third[range(5), range(5), range(5)], 2 * np.exp(X) * (np.cos(X) - np.sin(X)), rtol=1e-10)
    twice = tn.jvp(lambda x: tn.jvp(f, (x,), (V,))[1], (X,), (V,))[1]
    close(twice, V @ (diagonal * V))
    value, gradient, product = tn.hvp(f, with_value=True)(X, V)
    close(value, f(X))
    close(gradient, tn.grad(f)(X))
    close(product, diagonal * V)


@pytest.mark.parametrize("outer", [tn.jacrev, tn.jacfwd])
def test_a_gradient_by_one_argument_follows_the_others(outer: Any) -> None:
    """The outer function may be by none of those that the inner one is by."""
    slope = tn.grad(lambda x, y: (x * np.exp(y)).sum())
    expected = np.diag(np.exp(V))
    np.testing.assert_allclose(outer(slope, argnums=1)(X, V).numpy(), expected)
    np.testing.assert_allclose(outer(lambda y: slope(X, y))(V).numpy(), expected)
    np.testing.assert_allclose(tn.compile(outer(slope, argnums=1))(X, V).numpy(), expected)
    value_and_slope = tn.value_and_grad(lambda x, y: (x * np.exp(y)).sum())
    np.testing.assert_allclose(outer(lambda y: value_and_slope(X, y)[0])(V).numpy(), X * np.exp(V))


def test_derivatives_go_on_through_lanes() -> None:
    lanes = np.stack([X, V])

    def total(w: Any) -> Any:
        return tn.vmap(lambda a: np.sin(w @ a).sum())(lanes).sum()

    close(tn.grad(total)(W), tn.grad(lambda w: np.sin(lanes @ w.T).sum())(W))
    w = tn.tensor(W, requires_grad=True)
    total(w).backward()
    assert w.grad is not None
    close(w.grad, tn.grad(total)(W))
    close(tn.vmap(tn.grad(f))(lanes), np.stack([tn.grad(f)(x).numpy() for x in lanes]))
    close(tn.vmap(lambda x: tn.jvp(f, (x,), (V,))[1])(lanes), [tn.jvp(f, (x,), (V,))[1].item() for x in lanes])
    close(tn.jvp(tn.vmap(f), (lanes,), (lanes,))[1], [tn.jvp(f, (x,), (x,))[1].item() for x in lanes])
    close(tn.vmap(tn.vmap(lambda a, b: a * b, (0, None)), (None, 0))(X, V), np.outer(V, X))


def test_stated_rules_are_followed_forward_and_over_lanes() -> None:
    straight = tn.op(lambda x: np.round(x), name="straight_through", x=lambda g: g)
    close(tn.jvp(straight, (X,), (V,))[1], V)
    close(tn.grad(lambda x: tn.vmap(straight)(x).sum())(X), np.ones(5))
    close(tn.jvp(tn.vmap(straight), (X,), (V,))[1], V)


def test_a_rule_that_clips_gradients_has_no_forward_mode() -> None:
    clipped = tn.op(lambda x: x * 1, name="clipped", x=lambda g: np.clip(g, -1, 1))
    with pytest.raises(TypeError, match="not linear in the gradient"):
        tn.jvp(lambda x: 3 * clipped(x), (X,), (V,))
    with pytest.raises(TypeError, match=r"is not linear.*tn\.jacrev"):
        tn.jacfwd(lambda x: 3 * clipped(x))(X)


def test_what_is_cut_off_has_no_tangent() -> None:
    close(tn.jvp(stopped, (X,), (V,))[1], 4 * X * V)
    close(tn.jacrev(stopped)(X), np.diag(4 * X))


#: Results that are detached: of the function itself, and of what loops and branches run.
DETACHED: dict[str, Any] = {
    "function": lambda x: [np.sin(x).detach(), x * x],
    "stacked": lambda x: tn.scan(lambda c, r: (c * r, (c * r).detach()), 1.0, x),
    "carried": lambda x: tn.scan(lambda c, r: ((c * r).detach(), c * r), 1.0, x),
    "branch": lambda x: tn.cond(x[0] > 0, lambda x: np.sin(x).detach(), lambda x: (x * x).detach(), x),
    "while": lambda x: tn.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, np.sin(c[1]).detach()), (0, x), max_turns=3)[1],
    "fori": lambda x: tn.fori(0, 2, lambda i, c: np.sin(c).detach() + x, x),
}  # fmt: skip


@pytest.mark.parametrize("name", DETACHED)
def test_what_is_detached_where_it_is_returned_has_no_tangent(name: str) -> None:
    f = DETACHED[name]
    outs, pull = tn.vjp(f, X)
    tangents = tn.jvp(f, (X,), (V,))[1]
    u = tn.tree.map(lambda t: R.normal(size=t.shape), outs)
    products = [np.sum(a * b) for a, b in zip(tn.tree.leaves(u), tn.tree.leaves(tangents), strict=True)]
    close(sum(products), np.sum(pull(u) * V))


def test_by_what_an_op_has_no_derivative_there_is_no_tangent() -> None:
    """The weights of a loss have none, also where they are moved beside the others."""
    weight = np.abs(W[0])
    both = tn.jvp(lambda x, y, w: tn.mse_loss(x, y, weight=w), (X, V, weight), (V, X, X))
    others = tn.jvp(lambda x, y: tn.mse_loss(x, y, weight=weight), (X, V), (V, X))
    np.testing.assert_array_equal(both[1], others[1])


def test_complex_numbers() -> None:
    value, tangent = tn.jvp(lambda x: (x * (1 + 2j)) ** 2, (X,), (V,))
    close(value, (X * (1 + 2j)) ** 2)
    close(tangent, 2 * X * V * (1 + 2j) ** 2)
    assert not tangent.requires_grad
    outer = tn.jvp(lambda x: (x * (1 + 2j)) ** 2, (tn.tensor(X, requires_grad=True),), (V,))[1]
    assert outer.requires_grad


@pytest.mark.parametrize("index", [[1, 3], [2, 2]])
def test_compiled_derivatives_of_writes_by_index(index: list[int]) -> None:
    """What the index holds is not known to the program; of what is written twice to one place the last one counts."""

    def f(x: Any) -> Any:
        y = x * x
        y[np.array(index)] = np.sin(x[:2])
        return (y**3).sum()

    expected = np.diag(30 * X**4)
    for i, k in enumerate(index):
        expected[k, k] = 0
        s, c = np.sin(X[i]), np.cos(X[i])
        if k not in index[i + 1 :]:
            expected[i, i] += 6 * s * c * c - 3 * s**3
    close(tn.hessian(f)(X), expected)
    close(tn.compile(tn.hessian(f), backend="numpy")(X), expected)


def test_reductions_of_a_scalar_along_the_axis_it_has_not() -> None:
    """NumPy's reductions take axis 0 and -1 of an array without axes, and so do their programs."""
    value, tangent = tn.jvp(lambda x: tn.softmax(x.sum(), -1) + np.min(x[0], 0) + np.sum(x[1], axis=-1), (X,), (V,))
    close(value, 1 + X[0] + X[1])
    close(tangent, V[0] + V[1])


@pytest.mark.parametrize("randomness", ["error", "same", "different"])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: tn.while_loop(lambda c: c.sum() < 9, lambda c: c + tn.random.uniform(size=2), x),
        lambda x: tn.scan(lambda c, _: (tn.random.gamma(c), None), x, length=2)[0],
        lambda x: tn.cond(x.sum() > 0, lambda x: F.dropout(x, 0.5), lambda x: x, x),
        lambda x: x + tn.vmap(lambda a: tn.random.gamma(a), randomness="different")(np.ones(2)),
    ],
    ids=["while", "scan", "cond", "vmap"],
)
def test_draws_that_lanes_cannot_make_are_refused(f: Any, randomness: Any) -> None:
    with pytest.raises(tn.CaptureError, match="random numbers when it is called, in a loop, a branch or another"):
        tn.vmap(f, randomness=randomness)(np.ones((3, 2)))


def test_a_jacobian_through_draws_names_them() -> None:
    def f(x: Any) -> Any:
        return tn.while_loop(lambda c: c.sum() < 9, lambda c: c + tn.random.uniform(size=2), x)

    with pytest.raises(CannotBatch, match=r"op 'random_draw' in a while draws random numbers, .* draw outside"):
        tn.jacfwd(f)(np.ones(2))


def test_random_numbers_of_lanes() -> None:
    ones = np.ones((3, 200))
    with pytest.raises(RuntimeError, match="randomness='different'"):
        tn.vmap(lambda x: F.dropout(x, 0.5))(ones)
    tn.random.seed(0)
    same = tn.vmap(lambda x: F.dropout(x, 0.5), randomness="same")(ones).numpy()
    different = tn.vmap(lambda x: F.dropout(x, 0.5), randomness="different")(ones).numpy()
    assert (same == same[0]).all()
    assert (different[0] != different[1]).any()
    assert set(np.unique(different)) == {0.0, 2.0}
    tn.random.seed(1)
    value, tangent = tn.jvp(lambda x: x * tn.random.normal(size=5), (X,), (V,))
    close(value / X, tangent / V)
    tn.random.seed(1)
    close(value, X * tn.random.normal(size=5))


@pytest.mark.parametrize(
    "draw",
    [
        lambda: tn.random.gamma(OUTSIDE),
        lambda: tn.random.gamma(tn.exp(OUTSIDE)),
        lambda: tn.random.gamma(2.0, size=2),
        lambda: tn.random.poisson(tn.tensor([300, 400]) * 2),
    ],
    ids=["from outside", "computed", "numbers", "constants"],
)
def test_lanes_draw_for_themselves_with_parameters_that_they_share(draw: Any) -> None:
    for drawn in both(tn.vmap(lambda x: x + draw(), randomness="different"), np.zeros((4, 1))):
        lanes = drawn.numpy()
        assert (lanes != lanes[::-1]).all(), lanes


def test_per_sample_gradients_of_a_network() -> None:
    x, y = R.normal(size=(4, 1, 8, 8)), R.integers(3, size=4)
    params = {"kernel": R.normal(size=(3, 1, 3, 3)), "bias": R.normal(size=3), "weight": R.normal(size=(48, 3))}

    def loss(p: Any, x: Any, y: Any) -> Any:
        h = F.max_pool2d(tn.relu(F.conv2d(x[None], p["kernel"], p["bias"], padding=1)), 2)
        return F.cross_entropy(h.reshape(1, -1) @ p["weight"], y[None])

    one = tn.grad(loss)
    expected = [one(params, x[i], y[i]) for i in range(4)]
    for found in both(tn.vmap(one, (None, 0, 0)), params, x, y):
        for name in params:
            close(found[name], np.stack([g[name].numpy() for g in expected]))


def test_trees_of_arguments_and_results() -> None:
    def g(p: Any, k: int = 1) -> Any:
        return {"a": p["w"] * k, "b": [p["v"][0].sum()]}

    p = {"w": X, "v": (V,)}
    value, tangent = tn.jvp(g, (p,), ({"w": V, "v": (X,)},))
    close(value["a"], X)
    close(tangent["b"][0], X.sum())
    jacobian = tn.jacobian(g)(p, k=3)
    close(jacobian["a"]["w"], 3 * np.eye(5))
    close(jacobian["b"][0]["v"][0], np.ones(5))
    hessian = tn.hessian(lambda p: (p["w"] * p["v"][0]).sum())(p)
    close(hessian["w"]["v"][0], np.eye(5))
    close(hessian["w"]["w"], np.zeros((5, 5)))
    lanes = tn.vmap(g, in_axes=({"w": 0, "v": None},), out_axes={"a": 1, "b": None})({"w": W, "v": (V,)})
    close(lanes["a"], W.T)
    close(lanes["b"][0], V.sum())
    net = nn.Linear(5, 2, dtype=np.float64)
    of_parameters = tn.jacobian(lambda m: m(X))(net)
    close(of_parameters["bias"], np.eye(2))


def test_other_results_are_passed_on() -> None:
    _, tangent, aux = tn.jvp(lambda x: (x * 2, "seen"), (X,), (V,), has_aux=True)
    assert aux == "seen"
    close(tangent, 2 * V)
    assert tn.jacobian(lambda x: (x, 1), has_aux=True)(X)[1] == 1
    assert tn.hessian(lambda x: (f(x), 1), has_aux=True)(X)[1] == 1
    (_, aux), _ = tn.value_and_jacobian(lambda x: (x, 1), has_aux=True)(X)
    assert aux == 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_mixed_precision(dtype: str) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    x = R.normal(size=(3, 5)).astype("f")
    w = tn.tensor(W.astype("f"), requires_grad=True)

    def total(a: Any) -> Any:
        return tn.tanh(a @ w).sum()

    def gradient(loss: Callable[[], Any]) -> Any:
        w.grad = None
        with tn.autocast(dtype):
            loss().backward()
        assert w.grad is not None
        return w.grad.numpy()

    looped = gradient(lambda: sum((total(tn.tensor(a)) for a in x), tn.tensor(0.0)))
    close(gradient(lambda: tn.vmap(total)(x).sum()), looped, 0.02, 0.02)
    with tn.autocast(dtype):
        close(tn.jvp(total, (x[0],), (x[1],))[1], tn.grad(total)(x[0]) @ x[1], 0.02, 0.02)
        close(tn.jacrev(lambda a: tn.tanh(a @ w))(x[0]), tn.jacfwd(lambda a: tn.tanh(a @ w))(x[0]), 0.02, 0.02)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_lanes_that_are_numbers_keep_a_low_type(dtype: str) -> None:
    low = np.dtype(np.float16 if dtype == "float16" else pytest.importorskip("ml_dtypes").bfloat16)
    x = tn.tensor(np.array([0.5, 1.0], low))
    for f in (tn.sigmoid, tn.erf, tn.gelu, np.sinc):
        assert tn.vmap(f)(x).dtype == low
        np.testing.assert_array_equal(tn.vmap(f)(x), f(x))


@pytest.mark.parametrize("compiled", [False, True])
def test_derivatives_in_bfloat16(compiled: bool) -> None:
    low = np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    x, ones = np.array([1.0, 2.0], low), np.ones(2, low)

    def cubes(x: Any) -> Any:
        return (x * x * x).sum()

    def derivatives(x: Any) -> Any:
        return tn.grad(cubes)(x), tn.hvp(cubes)(x, ones), tn.hessian(cubes)(x)

    found = (tn.compile(derivatives, backend="numpy") if compiled else derivatives)(tn.tensor(x))
    for got, expected in zip(found, ([3, 12], [6, 12], [[6, 0], [0, 12]]), strict=True):
        assert got.dtype == low
        assert got.tolist() == expected


@pytest.mark.parametrize("compiled", [False, True])
def test_lanes_of_jacobians_in_bfloat16(compiled: bool) -> None:
    low = np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    x = tn.tensor(np.array([[1.0, 2.0], [3.0, 4.0]], low))
    for f in (tn.hessian(lambda x: (x * x * x).sum()), tn.jacrev(lambda x: 3 * x * x), tn.jacfwd(lambda x: 3 * x * x)):
        lanes = tn.vmap(f)
        found = (tn.compile(lanes, backend="numpy") if compiled else lanes)(x)
        assert found.dtype == low
        assert found.tolist() == [[[6, 0], [0, 12]], [[18, 0], [0, 24]]]


@pytest.mark.parametrize("backend", ["numpy", None])
def test_other_results_are_results_of_programs_too(backend: str | None) -> None:
    def g(x: Any) -> Any:
        y = np.sin(x)
        return (y * y).sum(), {"y": y, "name": "sine"}

    def everything(x: Any, v: Any) -> Any:
        value, tangent, aux = tn.jvp(g, (x,), (v,), has_aux=True)
        hessian, other = tn.hessian(g, has_aux=True)(x)
        product, third = tn.hvp(g, has_aux=True)(x, v)
        (_, fourth), jacobian = tn.value_and_jacobian(g, has_aux=True)(x)
        _, push, fifth = tn.linearize(g, x, has_aux=True)
        return (
            value,
            tangent,
            hessian,
            product,
            jacobian,
            push(v),
            aux["y"],
            other["y"],
            third["y"],
            fourth["y"],
            fifth["y"],
        )

    called = tn.compile(everything, backend=backend) if backend else everything
    for _ in range(2):
        value, tangent, hessian, product, jacobian, pushed, *others = called(X, V)
        close(value, (np.sin(X) ** 2).sum())
        close(jacobian, np.sin(2 * X))
        for found in (tangent, pushed):
            close(found, np.sin(2 * X) @ V)
        close(hessian, np.diag(2 * np.cos(2 * X)))
        close(product, 2 * np.cos(2 * X) * V)
        for y in others:
            close(y, np.sin(X))


# -- errors --------------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "tangents": (lambda: tn.jvp(f, (X,), (X, X)), TypeError, "2 tangents for 1 primals"),
    "no tuple": (lambda: tn.jvp(f, X, V), TypeError, "primals is ndarray, not a tuple"),
    "shape of a tangent": (
        lambda: tn.jvp(f, (X,), (np.ones(3),)),
        ValueError,
        r"tangents\[0\] has shape \(3,\), and the primal",
    ),
    "tree of a tangent": (
        lambda: tn.jvp(lambda p: p[0], ((X,),), ([V],)),
        ValueError,
        r"at tangents\[0\] the primal has",
    ),
    "integers": (lambda: tn.jvp(lambda i: i, (3,), (1,)), TypeError, r"primals\[0\] holds int64, which has no tangent"),
    "integers of a Jacobian": (lambda: tn.jacobian(lambda i: i * 1.0)(3), TypeError, "argument 0 holds int64"),
    "integers from a Jacobian": (lambda: tn.jacobian(lambda x: x > 0)(X), TypeError, "returned bool"),
    "mode": (lambda: tn.jacobian(f, mode="both"), ValueError, "neither 'forward' nor 'reverse'"),  # type: ignore[arg-type]
    "argnums": (lambda: tn.jacobian(f, argnums=1)(X), ValueError, "names argument 1"),
    "no scalar": (
        lambda: tn.hessian(lambda x: x)(X),
        ValueError,
        r"float64 \(5,\), but second derivatives are those of one",
    ),
    "no vector": (lambda: tn.hvp(f)(X), TypeError, r"tn\.hvp\(f\)\(x, v\)"),
    "no array": (lambda: tn.jvp(lambda s: s, ("a",), (1.0,)), TypeError, r"primals\[0\] is str"),
    "no lanes": (lambda: tn.vmap(f, None)(X), ValueError, "one at least must have it"),
    "lanes": (lambda: tn.vmap(lambda a, b: a)(X, np.ones(3)), ValueError, r"args\[0\] has 5, args\[1\] has 3"),
    "axis": (lambda: tn.vmap(f, 1)(X), ValueError, r"axis 1 for args\[0\], of shape \(5,\)"),
    "axes": (lambda: tn.vmap(f, (0, 0))(X), ValueError, r"in_axes=\(0, 0\) does not fit the 1 argument"),
    "axis of results": (lambda: tn.vmap(f, out_axes=1)(W), ValueError, r"out_axes=1 for a result of shape \(\)"),
    "result with lanes": (lambda: tn.vmap(f, out_axes=None)(W), ValueError, "differs from lane to lane"),
    "a value": (lambda: tn.vmap(lambda x: x if x > 0 else -x)(X), tn.CaptureError, "another value in each lane"),
    "randomness": (lambda: tn.vmap(f, randomness="no"), ValueError, "none of 'error', 'same'"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_say_what_to_do(name: str) -> None:
    call, kind, words = WRONG[name]
    with pytest.raises(kind, match=words):
        call()


@pytest.mark.parametrize(
    "transformed", [lambda g: tn.vmap(g)(W), lambda g: tn.jvp(g, (X,), (V,)), lambda g: tn.hessian(g)(X)]
)
def test_effects_are_refused_and_undone(transformed: Any) -> None:
    buffer = nn.Buffer(np.zeros(5))

    def counts(x: Any) -> Any:
        buffer.data = buffer + 1
        return x.sum()

    with pytest.raises(tn.CaptureError, match="the function has effects"):
        transformed(counts)
    assert (buffer.numpy() == 0).all()
