"""Rules for whole functions: values, gradients of two orders, structures, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.testing import check_grads

R = np.random.default_rng(0)
X, Y = R.normal(size=(2, 4))


def by_pair() -> Any:
    f = tn.custom_vjp(lambda x, y: np.sin(x) * y)
    f.defvjp(lambda x, y: (f(x, y), (np.cos(x), np.sin(x), y)), lambda kept, g: (kept[0] * g * kept[2], kept[1] * g))
    return f


def by_name() -> Any:
    return tn.custom_vjp(lambda x, y: np.sin(x) * y, x=lambda g, x, y: g * np.cos(x) * y, y=lambda g, x: g * np.sin(x))


def by_tangent() -> Any:
    f = tn.custom_jvp(lambda x, y: np.sin(x) * y)

    @f.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        (x, y), (a, b) = primals, tangents
        return f(x, y), np.cos(x) * a * y + np.sin(x) * b

    return f


def by_tangents() -> Any:
    f = tn.custom_jvp(lambda x, y: np.sin(x) * y)
    f.defjvps(lambda t, out, x, y: np.cos(x) * t * y, lambda t, out, x, y: np.sin(x) * t)
    return f


FORMS: dict[str, Callable[[], Any]] = {f.__name__: f for f in (by_pair, by_name, by_tangent, by_tangents)}


@pytest.mark.parametrize("form", FORMS)
def test_the_derivatives_of_two_orders(form: str) -> None:
    check_grads(lambda x, y: FORMS[form]()(x, y) * x, [X, Y], order=2)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_they_compile_and_loop(form: str, compiled: bool) -> None:
    """In a loop, and in a second derivative."""

    def of(f: Any) -> Any:
        def loss(x: Any, y: Any) -> Any:
            return tn.scan(lambda c, x: (f(c, x) + c, f(c, c)), y[:2], x.reshape(2, 2))[0].sum()

        def second(x: Any, y: Any) -> Any:
            return tn.grad(lambda y: (tn.grad(loss, 0)(x, y) ** 2).sum() + (tn.grad(loss, 1)(x, y) ** 2).sum())(y)

        return second

    expected = of(lambda x, y: np.sin(x) * y)(X, Y).numpy()
    run = of(FORMS[form]())
    found = (tn.compile(run) if compiled else run)(X, Y).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)


def test_the_rule_counts_and_not_the_function() -> None:
    f = tn.custom_vjp(lambda x: x * 2)
    f.defvjp(lambda x: (x * 2, x), lambda x, g: (g * 100 * x,))
    assert tn.grad(f)(3.0).item() == 300
    assert tn.grad(tn.grad(f))(3.0).item() == 100
    assert f(3.0) == 6.0
    assert tn.compile(tn.grad(f))(3.0).item() == 300
    g = tn.custom_jvp(lambda x: x * 2)
    g.defjvps(lambda t, out, x: t * out * 50)
    assert tn.grad(g)(3.0).item() == 300
    assert tn.grad(tn.grad(g))(3.0).item() == 50 * 300  # `out` is that of the function, with its rule


@pytest.mark.parametrize("name", ["vjp", "jvp"])
def test_second_derivatives_are_those_of_jax(name: str) -> None:
    """Of what `fwd` keeps it is `fwd`'s own code that is differentiated, and of `out` the function with its rule."""
    jax = pytest.importorskip("jax")

    def made(library: Any, np: Any) -> Any:
        if name == "vjp":
            f = library.custom_vjp(lambda x: np.sin(x) * 3)

            def fwd(x: Any) -> Any:
                out = np.sin(x) * 3
                return out, (out, x)

            f.defvjp(fwd, lambda kept, g: (g * kept[0] * kept[1],))
        else:
            f = library.custom_jvp(lambda x: np.sin(x) * 3)
            f.defjvps(lambda t, out, x: t * out * x)
        return f

    with jax.enable_x64(True):
        f, g = made(jax, jax.numpy), made(tn, np)
        a, b = jax.grad, tn.grad
        for _ in range(3):
            np.testing.assert_allclose(b(g)(0.7).numpy(), np.asarray(a(f)(0.7)), rtol=1e-12)
            a, b = (lambda h, a=a: jax.grad(a(h))), (lambda h, b=b: tn.grad(b(h)))


class Pair(NamedTuple):
    """Two arrays."""

    a: Any
    b: Any


def test_structures_and_what_is_no_array() -> None:
    f = tn.custom_vjp(lambda how, p, k: {"sum": Pair(how(p["x"]) * p["y"][0], k), "n": 3}, nondiff_argnums=(0,))

    def fwd(how: Any, p: Any, k: Any) -> Any:
        return f(how, p, k), (p, "a word")

    def bwd(how: Any, kept: Any, g: Any) -> Any:
        p, word = kept
        assert word == "a word"
        assert g["n"] is None
        assert g["sum"].b is None or g["sum"].b.shape == ()
        return {"x": g["sum"].a * p["y"][0] * np.cos(p["x"]), "y": [g["sum"].a * how(p["x"]), None]}, None

    f.defvjp(fwd, bwd)

    def loss(x: Any, y: Any) -> Any:
        out = f(np.sin, {"x": x, "y": [y, "text"]}, 2)
        assert out["n"] == 3
        return (out["sum"].a ** 2).sum() * out["sum"].b

    by_x, by_y = tn.grad(loss, (0, 1))(X, Y)
    np.testing.assert_allclose(by_x.numpy(), 4 * np.sin(X) * Y**2 * np.cos(X), rtol=1e-12)
    np.testing.assert_allclose(by_y.numpy(), 4 * np.sin(X) ** 2 * Y, rtol=1e-12)


def test_a_module_as_an_argument() -> None:
    """It stands for the dict of its parameters."""
    net = nn.Linear(4, 1, dtype="float64", rng=0)
    f = tn.custom_vjp(lambda net, x: net(x).sum())
    f.defvjp(
        lambda net, x: (f(net, x), x),
        lambda x, g: ({"weight": g * 10 * x.reshape(1, -1), "bias": None}, None),
    )
    f(net, X).backward()
    np.testing.assert_allclose(net.weight.grad.numpy()[0], 10 * X)
    assert net.bias.grad is None


def test_a_complex_gradient_is_as_vjp_gives_it() -> None:
    z = X + 1j * Y
    f = tn.custom_vjp(lambda z: z * z, z=lambda g, z: g * np.conj(2 * z))
    loss = tn.grad(lambda z: np.abs(f(z) ** 2).sum())
    np.testing.assert_allclose(loss(z).numpy(), tn.grad(lambda z: np.abs(z**4).sum())(z).numpy(), rtol=1e-12)


def test_as_a_method_and_by_keywords() -> None:
    class Model:
        scale = 2.0

        @tn.custom_jvp
        def run(self, x: Any, power: int = 2) -> Any:
            return self.scale * x**power

    Model.__dict__["run"].defjvps(None, lambda t, out, self, x, power: t * 7, None)
    assert tn.grad(lambda x: Model().run(x, power=3))(2.0).item() == 7
    assert Model().run(2.0) == 8


def test_without_a_gradient_the_function_runs_alone() -> None:
    ran = []
    f = tn.custom_vjp(lambda x: x * 2)
    f.defvjp(lambda x: ran.append(x) or (x * 2, None), lambda kept, g: (g,))
    assert isinstance(f(X), np.ndarray)
    with tn.no_grad():
        f(tn.tensor(X, requires_grad=True))
    assert not ran


def fails(f: Any, match: str, kind: type[Exception] = TypeError) -> None:
    x = tn.tensor(X, requires_grad=True)
    with pytest.raises(kind, match=match):
        f(x).sum().backward()


def test_mistakes_are_told() -> None:
    w = tn.tensor(Y, requires_grad=True)

    def pair(fwd: Any, bwd: Any, f: Any = lambda x: x * 2) -> Any:
        made = tn.custom_vjp(f)
        made.defvjp(fwd, bwd)
        return made

    fails(tn.custom_vjp(lambda x: x), r"tn.custom_vjp <lambda> has no rule: say it with defvjp\(fwd, bwd\)")
    fails(tn.custom_jvp(lambda x: x), r"has no rule: say it with defjvp\(rule\)")
    fails(pair(lambda x: x * 2, lambda kept, g: (g,)), "fwd returns a pair .*, not Tensor")
    fails(pair(lambda x: (x * 2, None), lambda kept, g: g), "a tuple with a gradient, or None, for each of 1 argument")
    fails(pair(lambda x: (x * 2, None), lambda kept, g: (g, g)), "for each of 1 argument.*gave 2")
    fails(
        pair(lambda x: (x * 2, None), lambda kept, g: ({"a": g},)),
        "at x the argument has a value, its gradient has a dict",
    )
    fails(pair(lambda x: (x * 2, None), lambda kept, g: (g[:2],)), r"the gradient by x has shape \(2,\)", ValueError)
    fails(
        pair(lambda x: (x * 2, None), lambda kept, g: ("g",)), r"the gradient by x is str, not an array of shape \(4,\)"
    )
    fails(pair(lambda x: (x * w, None), lambda kept, g: (g,)), "closes over a tensor that needs a gradient")
    fails(
        pair(lambda x: ("text", None), lambda kept, g: (g,)), "the result is str; it returns arrays and tensors alone"
    )
    fails(
        lambda x: tn.custom_vjp(lambda x, y: x * y, x=lambda g, y: g * y)(x, w),
        "y needs a gradient and has no rule: give y=",
    )
    with pytest.raises(TypeError, match="the rule of 'x' asks for 'z'; it may name g, out, x"):
        tn.custom_vjp(lambda x: x, x=lambda g, z: g)
    with pytest.raises(TypeError, match="give a function for an argument among x"):
        tn.custom_vjp(lambda x: x, y=lambda g: g)
    with pytest.raises(TypeError, match="f is a function, not int"):
        tn.custom_jvp(3)  # type: ignore[arg-type]
    f = tn.custom_jvp(lambda x: x * 2)
    f.defjvp(lambda primals, tangents: (primals[0], (tangents[0],)))
    fails(f, "at the result the result has a value, its tangent has tuple")
    f.defjvp(lambda primals, tangents: (primals[0], tangents[0][:2]))
    fails(f, r"the tangent of the result has shape \(2,\)", ValueError)
    f.defjvps(None, None)
    fails(f, r"defjvps was given 2 rule\(s\) for 1 argument")
    far = tn.custom_vjp(lambda x: x, nondiff_argnums=(3,), x=lambda g: g)
    fails(far, "nondiff_argnums has 3, and the call has 1 argument", ValueError)


def test_rules_by_name_have_defaults_of_their_own() -> None:
    f = tn.custom_vjp(lambda x, y: x * y, x=lambda g, y, c=5: c * g * y, y=lambda g, x=2.0: g * x)
    x, y = (tn.tensor(v, requires_grad=True) for v in (3.0, 4.0))
    f(x, y).backward()
    assert (x.grad.item(), y.grad.item()) == (20.0, 3.0)
