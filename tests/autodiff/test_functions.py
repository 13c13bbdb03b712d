"""grad, value_and_grad, vjp and hvp: structures, composition, errors."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import check_grads


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(np.asarray(values, dtype=np.float64), requires_grad=True)


class Pair(NamedTuple):
    a: Any
    b: Any


# -- functions that change their arguments -----------------------------------------------------------------------


def _changes(a: Any) -> Any:
    a *= 2
    a[0] = a[1] * a[1]
    a -= a.mean()
    return (a**3).sum()


def _unchanging(a: Any) -> Any:
    b = a * 2
    c = np.stack([b[1] * b[1], b[1], b[2]])
    d = c - c.mean()
    return (d**3).sum()


@pytest.mark.parametrize("make", [np.array, tn.tensor, leaf, lambda v: leaf(v) * 1])
def test_functions_may_change_their_arguments(make: Any) -> None:
    """In place, as NumPy programs do: what the caller has stays as it is."""
    values = np.array([0.3, -0.7, 1.1])
    x = make(values)
    expected = tn.grad(_unchanging)(values).numpy()
    for transformed in (tn.grad(_changes), lambda x: tn.vjp(_changes, x)[1](tn.tensor(1.0))):
        np.testing.assert_allclose(transformed(x).numpy(), expected, rtol=1e-14)
    v = np.array([1.0, 2.0, -1.0])
    np.testing.assert_allclose(
        tn.hvp(_changes)(x, v).numpy(), tn.hvp(_unchanging)(values, v).numpy(), rtol=1e-13, atol=1e-13
    )
    np.testing.assert_array_equal(np.asarray(x.numpy() if isinstance(x, tn.Tensor) else x), values)
    check_grads(_changes, [values], order=2)


def test_compiled_functions_may_change_the_arguments_of_a_gradient_inside() -> None:
    x = np.array([0.3, -0.7, 1.1])
    f = tn.compile(lambda x: tn.grad(_changes)(x), backend="numpy")
    np.testing.assert_allclose(f(x).numpy(), tn.grad(_unchanging)(x).numpy(), rtol=1e-14)
    w = tn.tensor(x)
    of_outside = tn.compile(lambda y: tn.grad(_changes)(w) * y, backend="numpy")
    np.testing.assert_allclose(of_outside(2.0).numpy(), 2 * tn.grad(_unchanging)(x).numpy(), rtol=1e-14)
    np.testing.assert_array_equal(w.numpy(), x)


# -- functions that make Python numbers of their arguments -------------------------------------------------------

SILENT: dict[str, Any] = {
    "math.exp": lambda x: math.exp(x),
    "float": lambda x: tn.tensor(2.0) * float(x),
    "np.float64": lambda x: np.float64(x) ** 2,
    "np.fromiter": lambda x: np.fromiter([x, x], float).sum(),
    "branch": lambda x: 1.0 if float(x) > 0 else -1.0,
    "one of two": lambda p: p["a"] * math.exp(p["b"]),
}


@pytest.mark.parametrize("name", SILENT)
def test_a_result_that_no_longer_depends_on_its_argument_is_refused(name: str) -> None:
    f = SILENT[name]
    x: Any = {"a": 1.0, "b": 2.0} if name == "one of two" else 1.5
    words = rf"does not depend on an argument, since {re.escape(__file__)}:{f.__code__.co_firstlineno} makes a Python"
    for transformed in (tn.grad(f), tn.value_and_grad(f), lambda x: tn.vjp(f, x), tn.grad(lambda x: tn.grad(f)(x))):
        with pytest.raises(RuntimeError, match=words):
            transformed(x)
    if name != "one of two":
        with pytest.raises(RuntimeError, match=words):
            tn.hvp(f)(x, 1.0)
    assert tn.grad(lambda x: x * x)(3.0).item() == 6.0  # nothing is left of it


def test_the_users_line_is_named_where_scipy_asks_for_the_number() -> None:
    integrate = pytest.importorskip("scipy.integrate")

    def f(x: Any) -> Any:
        whole, _ = integrate.quad(lambda s: s * x, 0.0, 1.0)
        return whole

    line = f.__code__.co_firstlineno + 1
    with pytest.raises(RuntimeError, match=rf"since {re.escape(__file__)}:{line} makes a Python number"):
        tn.grad(f)(2.0)


def test_a_result_that_depends_on_its_argument_in_another_way_too_is_warned_of() -> None:
    def f(x: Any) -> Any:
        return x * math.exp(x)

    with pytest.warns(RuntimeWarning, match=r"a Python number is made of a tensor") as found:
        assert tn.grad(f)(1.0).item() == math.exp(1.0)
    assert [(w.filename, w.lineno) for w in found] == [(__file__, f.__code__.co_firstlineno + 1)]
    tn.grad(f)(1.0)  # once for each line
    with pytest.raises(RuntimeError, match=r"tn\.grad: the result does not depend on an argument"):
        tn.grad(tn.grad(f))(1.0)


def test_numbers_that_are_meant_as_such_are_taken() -> None:
    assert tn.grad(lambda x: x * x.item() ** 2)(3.0).item() == 9.0
    assert tn.grad(lambda x: 3.0)(1.0).item() == 0.0
    assert tn.grad(lambda x, y: x * math.exp(y))(1.0, 0.0).item() == 1.0  # not differentiated by y
    n = tn.tensor(2.0)
    assert tn.grad(lambda x: x ** float(n))(3.0).item() == 6.0


# -- structures --------------------------------------------------------------------------------------------------


def test_gradients_have_the_structure_of_the_arguments() -> None:
    def f(p: Any) -> Any:
        return (p["w"] * p["layers"][0] ** 2).sum() + p["layers"][1][0] * p["pair"].a - p["pair"].b

    tree = {"w": np.array([1.0, 2.0]), "layers": [np.array([3.0, 4.0]), (2.0,)], "pair": Pair(5.0, tn.tensor(1.0))}
    g = tn.grad(f)(tree)
    assert list(g) == ["w", "layers", "pair"]
    assert isinstance(g["layers"], list)
    assert isinstance(g["layers"][1], tuple)
    assert type(g["pair"]) is Pair
    assert g["w"].tolist() == [9.0, 16.0]
    assert g["layers"][0].tolist() == [6.0, 16.0]
    assert [g["layers"][1][0].item(), g["pair"].a.item(), g["pair"].b.item()] == [5.0, 2.0, -1.0]


def test_argnums_choose_the_arguments() -> None:
    def f(x: Any, y: Any, z: Any = 1.0) -> Any:
        return x * y**2 * z

    assert tn.grad(f)(2.0, 3.0).item() == 9.0
    assert tn.grad(f, argnums=1)(2.0, 3.0).item() == 12.0
    assert tn.grad(f, argnums=-1)(2.0, 3.0).item() == 12.0
    both = tn.grad(f, argnums=(1, 0))(2.0, 3.0)
    assert isinstance(both, tuple)
    assert [g.item() for g in both] == [12.0, 9.0]
    single = tn.grad(f, argnums=(0,))(2.0, 3.0)
    assert isinstance(single, tuple)
    assert single[0].item() == 9.0
    assert tn.grad(f)(2.0, 3.0, z=10.0).item() == 90.0
    assert tn.grad(f)(2.0, y=3.0, z=10.0).item() == 90.0
    value, g = tn.value_and_grad(f, argnums=[0, 1])(2.0, 3.0)
    assert value.item() == 18.0
    assert [t.item() for t in g] == [9.0, 12.0]


def test_arguments_not_differentiated_are_passed_as_they_are() -> None:
    seen = []

    def f(x: Any, *rest: Any, **options: Any) -> Any:
        seen.append((rest, options))
        return x * rest[0]

    index = np.array([1])
    tn.grad(f)(1.0, 3, index, None, "text", flag=True)
    assert seen[0][0][0] == 3
    assert seen[0][0][1] is index
    assert seen[0][0][2:] == (None, "text")
    assert seen[0][1] == {"flag": True}


@pytest.mark.parametrize(
    "argument", [2.0, np.float64(2.0), np.array(2.0), tn.tensor(2.0), tn.tensor(2.0, requires_grad=True)]
)
def test_every_kind_of_argument_gives_a_tensor(argument: Any) -> None:
    g = tn.grad(lambda x: x**3)(argument)
    assert type(g) is tn.Tensor
    assert g.item() == 12.0
    assert g.dtype == np.float64


def test_dtype_is_kept_and_nothing_is_written() -> None:
    x = np.array([1.0, 2.0], np.float32)
    x.flags.writeable = False
    g = tn.grad(lambda x: (x * np.ones(2)).sum())(x)
    assert g.dtype == np.float32
    w = leaf([1.0])
    tn.grad(lambda x: (x * 2).sum())(w)
    assert w.grad is None
    g.data[...] = 5.0
    assert x.tolist() == [1.0, 2.0]


def test_arguments_that_do_not_matter_get_zeros() -> None:
    x, y = np.ones((2, 3), np.float32), np.ones(2)
    gx, gy = tn.grad(lambda x, y: (y * y).sum(), argnums=(0, 1))(x, y)
    assert (gx.shape, gx.dtype) == ((2, 3), np.float32)
    assert not gx.data.any()
    assert gy.tolist() == [2.0, 2.0]
    for constant in (lambda x: tn.tensor(3.0), lambda x: 3.0, lambda x: np.round(x).sum(), lambda x: x.detach().sum()):
        assert not tn.grad(constant)(y).data.any()
    assert not tn.hvp(lambda x: (x * 2).sum())(y, y).data.any()
    assert tn.grad(lambda x: x.sum())(np.zeros(0)).shape == (0,)


def test_has_aux() -> None:
    def f(x: Any) -> Any:
        y = x * 2
        return (y * y).sum(), {"y": y, "n": 3}

    (value, aux), g = tn.value_and_grad(f, has_aux=True)(np.array([1.0, 2.0]))
    assert value.item() == 20.0
    assert aux["n"] == 3
    assert aux["y"].tolist() == [2.0, 4.0]
    assert g.tolist() == [8.0, 16.0]
    g, aux = tn.grad(f, has_aux=True)(np.array([1.0, 2.0]))
    assert g.tolist() == [8.0, 16.0]
    assert aux["n"] == 3
    for wrong in (lambda x: x.sum(), lambda x: (x.sum(), 1, 2), lambda x: [x.sum(), 1]):
        with pytest.raises(TypeError, match="has_aux=True the function returns a pair"):
            tn.grad(wrong, has_aux=True)(np.ones(2))


def test_the_value_can_be_used_further() -> None:
    w = leaf([2.0, 3.0])
    value, g = tn.value_and_grad(lambda x: (x * w).sum())(np.array([4.0, 5.0]))
    assert g.tolist() == [2.0, 3.0]
    (value * g.sum()).backward()
    np.testing.assert_array_equal(w.grad.data, [4 * 5 + 23, 5 * 5 + 23])
    value, _ = tn.value_and_grad(lambda x: (x * x).sum())(np.ones(2))
    assert not value.requires_grad
    assert (value * 2).item() == 4.0


def test_the_wrapper_looks_like_the_function() -> None:
    def f(x: Any) -> Any:
        """What f does."""
        return x

    for transform in (tn.grad, tn.value_and_grad):
        assert transform(f).__name__ == "f"
        assert transform(f).__doc__ == "What f does."

    class Callable:
        def __call__(self, x: Any) -> Any:
            return x * 3

    assert tn.grad(Callable())(1.0).item() == 3.0


# -- composition -------------------------------------------------------------------------------------------------


def test_derivatives_of_derivatives() -> None:
    f = lambda x: x**5
    expected = [5 * 2.0**4, 20 * 2.0**3, 60 * 2.0**2, 120 * 2.0, 120.0, 0.0]
    for value in expected:
        f = tn.grad(f)
        assert f(2.0).item() == pytest.approx(value)


def test_no_perturbation_confusion() -> None:
    d = tn.grad
    assert d(lambda x: x * d(lambda y: x + y)(1.0))(1.0).item() == 1.0
    assert d(lambda x: x * d(lambda y: x * y)(2.0))(3.0).item() == 6.0
    assert d(lambda x: d(lambda y: x * y * y)(x))(3.0).item() == 12.0  # 2 x y at y = x
    assert d(lambda x: d(lambda x: x * x)(x) * x)(3.0).item() == 12.0
    # x * y * z, by z: x * y; by y: x; by x: 1, wherever these are taken
    assert d(lambda x: d(lambda y: d(lambda z: x * y * z)(y))(x))(5.0).item() == 1.0
    assert d(lambda x: d(lambda y: d(lambda z: x * y * z)(7.0))(6.0))(5.0).item() == 1.0


def test_mixed_and_by_closure() -> None:
    def f(x: Any, y: Any) -> Any:
        return np.sin(x * y).sum()

    x, y = np.array([0.5, 1.0]), np.array([2.0, 0.3])
    mixed = tn.grad(lambda y: tn.grad(f)(x, y).sum())(y)
    np.testing.assert_allclose(mixed.data, np.cos(x * y) - x * y * np.sin(x * y))


def test_a_gradient_may_be_part_of_a_loss() -> None:
    """A gradient penalty: backward reaches the parameters through the inner gradient."""
    w = leaf([2.0, 3.0])

    def critic(x: Any) -> Any:
        return (w * x**2).sum()

    x = np.array([1.0, 2.0])
    slope = tn.grad(critic)(x)  # 2 w x
    assert slope.requires_grad
    loss = (slope**2).sum() + critic(x)
    loss.backward()
    np.testing.assert_allclose(w.grad.data, 8 * w.data * x**2 + x**2)


def test_backward_inside_a_function_being_differentiated() -> None:
    def f(x: Any) -> Any:
        inner = leaf([3.0])
        (inner * inner).sum().backward()
        return (x * inner.grad).sum()

    assert tn.grad(f)(2.0).item() == 6.0


def test_backward_of_a_function_of_a_gradient_of_the_same_leaf() -> None:
    x = leaf([2.0])
    g = tn.grad(lambda t: (t**3).sum())(x)  # stays connected to x: 3 x²
    (g * x).sum().backward()
    np.testing.assert_allclose(x.grad.data, [9 * 4.0])


def test_under_no_grad_functions_still_differentiate() -> None:
    w = leaf([2.0])
    with tn.no_grad():
        g = tn.grad(lambda x: (x**2 * w).sum())(np.array([3.0]))
        assert g.item() == 12.0
        assert not g.requires_grad
        assert tn.grad(tn.grad(lambda x: x**3))(2.0).item() == 12.0
        assert tn.hvp(lambda x: (x**3).sum())(np.array([2.0]), np.array([1.0])).item() == 12.0
        value, pull = tn.vjp(lambda x: x * w, np.array([3.0]))
        assert value.item() == 6.0
        assert pull(np.ones(1)).item() == 2.0
        assert not tn.is_grad_enabled()
    assert g.item() == 12.0
    assert w.grad is None


def test_no_grad_inside_a_function_cuts() -> None:
    def f(x: Any) -> Any:
        with tn.no_grad():
            y = x * x
        return (x * y).sum()

    assert tn.grad(f)(3.0).item() == 9.0


def test_on_a_tape_and_in_debug_mode() -> None:
    f = lambda x: (x**3).sum()
    with tn.Tape() as tape:
        g = tn.grad(tn.grad(f))(2.0)
    assert g.item() == 12.0
    assert "power" in [n.name for n in tape]
    with tn.debug():
        assert tn.grad(tn.grad(f))(2.0).item() == 12.0


def test_second_order_of_functions_is_right() -> None:
    r = np.random.default_rng(0)
    w = r.normal(size=(3, 3))

    def f(x: Any) -> Any:
        return np.tanh(w @ x).sum() ** 2 + x.max() * x[0]

    check_grads(lambda x: tn.grad(f)(x), [r.normal(size=3)], order=2)
    check_grads(lambda x, v: tn.hvp(f)(x, v), [r.normal(size=3), r.normal(size=3)], order=1)


# -- vjp and hvp -------------------------------------------------------------------------------------------------


def test_vjp_pulls_back_as_often_as_wanted() -> None:
    y, pull = tn.vjp(lambda x: np.stack([x[0] * x[1], x[0] ** 2]), np.array([3.0, 4.0]))
    assert y.tolist() == [12.0, 9.0]
    rows = [pull(e).tolist() for e in np.eye(2)]
    assert rows == [[4.0, 3.0], [6.0, 0.0]]
    assert pull(tn.tensor([1.0, 10.0])).tolist() == [64.0, 3.0]


def test_vjp_of_several_arguments_and_structured_outputs() -> None:
    def f(x: Any, y: Any) -> Any:
        return {"p": x * y, "rest": [x + y, (y,)]}

    out, pull = tn.vjp(f, 2.0, 3.0)
    assert out["p"].item() == 6.0
    gx, gy = pull({"p": 1.0, "rest": [10.0, (100.0,)]})
    assert (gx.item(), gy.item()) == (13.0, 112.0)
    _, pull = tn.vjp(lambda t: t["a"] * 2 + t["b"][0], {"a": np.ones(2), "b": [np.ones(2)]})
    g = pull(np.array([1.0, 2.0]))
    assert g["a"].tolist() == [2.0, 4.0]
    assert g["b"][0].tolist() == [1.0, 2.0]


def test_vjp_of_outputs_that_repeat_or_are_constants() -> None:
    def f(x: Any) -> Any:
        y = x * 3
        return y, y, tn.tensor(1.0), x, 5.0

    _, pull = tn.vjp(f, 2.0)
    assert pull((1.0, 10.0, 7.0, 100.0, 1.0)).item() == 133.0


def test_vjp_checks_the_gradient_it_is_given() -> None:
    _, pull = tn.vjp(lambda x: (x, x * 2), np.ones(2))
    with pytest.raises(ValueError, match=r"at result the function has tuple of length 2, the gradient has a value"):
        pull(np.ones(2))
    with pytest.raises(ValueError, match=r"shape \(3,\) for an output of shape \(2,\)"):
        pull((np.ones(3), np.ones(2)))
    gradient = pull((np.ones(2, np.float32), np.array([1, 2])))
    assert gradient.dtype == np.float64
    assert gradient.tolist() == [3.0, 5.0]


def test_what_pull_returns_is_the_callers_own() -> None:
    g = np.array([1.0, 2.0])
    _, pull = tn.vjp(lambda x: x, np.ones(2))
    got = pull(g)
    got.data[...] = 9.0
    assert g.tolist() == [1.0, 2.0]
    seed = tn.tensor([1.0, 2.0])
    w = leaf([1.0, 1.0])
    _, pull = tn.vjp(lambda x, y: (x + y * w).sum() * 0 + x.sum() + tn.alias(x)[0] * 0, np.ones(2), np.ones(2))
    pull(tn.tensor(1.0))[0].data[...] = 9.0
    assert seed.tolist() == [1.0, 2.0]


def test_pull_is_differentiable() -> None:
    x = leaf([2.0, 3.0])
    _, pull = tn.vjp(lambda t: t**3, x)
    g = pull(np.ones(2))
    g.sum().backward(retain_graph=True)
    np.testing.assert_allclose(x.grad.data, 6 * x.data)
    v = leaf([1.0, 10.0])
    pull(v).sum().backward()
    np.testing.assert_allclose(v.grad.data, 3 * x.data**2)


def test_pull_is_differentiable_by_the_gradient_it_is_given() -> None:
    """Twice a vjp is a jvp."""
    x = np.array([2.0, 3.0])
    v = leaf([1.0, 10.0])
    _, pull = tn.vjp(lambda t: t**3, x)
    pull(v).sum().backward()
    np.testing.assert_allclose(v.grad.data, 3 * x**2)
    _, push = tn.vjp(pull, np.zeros(2))
    np.testing.assert_allclose(push(np.array([1.0, 2.0])).data, 3 * x**2 * [1.0, 2.0])


def test_hvp_is_the_hessian_times_a_vector() -> None:
    r = np.random.default_rng(0)
    a = r.normal(size=(4, 4))
    a = a + a.T
    x, v = r.normal(size=4), r.normal(size=4)

    def f(x: Any) -> Any:
        return 0.5 * x @ a @ x + (x**4).sum()

    np.testing.assert_allclose(tn.hvp(f)(x, v).data, a @ v + 12 * x**2 * v)
    columns = np.stack([tn.hvp(f)(x, e).data for e in np.eye(4)])
    np.testing.assert_allclose(columns, a + np.diag(12 * x**2))


def test_hvp_of_structures_and_several_arguments() -> None:
    def f(p: Any, s: Any = 1.0, *, k: float = 1.0) -> Any:
        return (p["a"] ** 2 * p["b"][0]).sum() * s * k

    p = {"a": np.array([1.0, 2.0]), "b": (3.0,)}
    v = {"a": np.array([1.0, 0.0]), "b": (1.0,)}
    h = tn.hvp(f)(p, v)
    assert h["a"].tolist() == [2 * 3 + 2 * 1, 4.0]
    assert h["b"][0].item() == 2.0
    assert tn.hvp(f)(p, 10.0, v, k=2.0)["b"][0].item() == 40.0
    gx, gy = tn.hvp(lambda x, y: x**2 * y, argnums=(0, 1))(2.0, 3.0, (1.0, 1.0))
    assert (gx.item(), gy.item()) == (6 + 4.0, 4.0)


def test_hvp_checks_the_vector() -> None:
    with pytest.raises(ValueError, match=r"tn\.hvp: v has shape \(3,\), and the argument there has \(2,\)"):
        tn.hvp(lambda x: (x**2).sum())(np.ones(2), np.ones(3))


# -- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argument", [2, np.array([1, 2]), True, {"a": 1.0, "b": 2}, tn.tensor([1])])
def test_integer_arguments_are_refused(argument: Any) -> None:
    for name, call in (
        ("grad", lambda: tn.grad(lambda x: x)(argument)),
        ("value_and_grad", lambda: tn.value_and_grad(lambda x: x)(argument)),
        ("vjp", lambda: tn.vjp(lambda x: x, argument)),
    ):
        with pytest.raises(TypeError, match=rf"tn\.{name}: .*has no gradient: pass floats, or leave it out of argnums"):
            call()


def test_results_that_are_no_scalar_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tn\.grad: the function returned shape \(2,\).*\.sum\(\).*tn\.vjp"):
        tn.grad(lambda x: x * 2)(np.ones(2))
    with pytest.raises(ValueError, match=r"tn\.value_and_grad: the function returned shape \(2,\)"):
        tn.value_and_grad(lambda x: (x * 2, None), has_aux=True)(np.ones(2))
    assert tn.grad(lambda x: (x * 2).sum(keepdims=True))(np.ones(2)).tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    "result", [lambda x: [x.sum()], lambda x: (x.sum(), 1), lambda x: {"loss": x.sum()}, lambda x: None]
)
def test_results_that_are_no_tensor_at_all_are_refused(result: Any) -> None:
    """Not taken for constants: their gradient would be zero in silence."""
    with pytest.raises(TypeError, match=r"tn\.grad: the function returned (list|tuple|dict|NoneType)"):
        tn.grad(result)(np.ones(2))


@pytest.mark.parametrize(
    "f", [np.argmax, lambda x: np.sum(x > 0), lambda x: np.all(x == x), lambda x: x.astype(int)[0]]
)
def test_counts_and_places_have_no_gradient(f: Any) -> None:
    for name in ("grad", "value_and_grad"):
        with pytest.raises(TypeError, match=rf"tn\.{name}: the function returned (int64|bool), but only a real number"):
            getattr(tn, name)(f)(tn.tensor([1.0, 2.0]))


def test_argnums_are_places() -> None:
    for argnums in ("x", 1.5, None, (0, "x")):
        words = rf"tn\.grad: argnums={re.escape(repr(argnums))} must be the place of a positional argument"
        with pytest.raises(TypeError, match=words):
            tn.grad(lambda x: x, argnums=argnums)(1.0)  # type: ignore[arg-type]
    assert tn.grad(lambda x, y: x * y, argnums=np.int64(1))(2.0, 3.0).item() == 2.0


@pytest.mark.parametrize("argnums", [2, -3, (0, 5)])
def test_argnums_out_of_range(argnums: Any) -> None:
    with pytest.raises(ValueError, match=r"tn\.grad: argnums=.* names argument .*2 positional"):
        tn.grad(lambda x, y: x * y, argnums=argnums)(1.0, 2.0)


def test_an_error_inside_leaves_the_switches_alone() -> None:
    def f(x: Any) -> Any:
        raise KeyError

    with tn.no_grad():
        with pytest.raises(KeyError):
            tn.grad(f)(1.0)
        assert not tn.is_grad_enabled()
    assert tn.is_grad_enabled()


def test_a_graph_outside_that_was_released_is_a_constant_to_a_function() -> None:
    w = leaf([1.0, 2.0])
    y = np.exp(w)
    y.sum().backward()
    np.testing.assert_allclose(tn.grad(lambda t: (t * y).sum())(np.ones(2)).data, np.exp([1.0, 2.0]))
    np.testing.assert_allclose(tn.vjp(lambda t: t * y, np.ones(2))[1](np.ones(2)).data, np.exp([1.0, 2.0]))
    with pytest.raises(RuntimeError, match="second time"):
        tn.grad(lambda t: (t * y).sum())(np.ones(2)).sum().backward()


def test_a_graph_outside_is_not_released_by_a_function() -> None:
    w = leaf([1.0, 2.0])
    y = np.exp(w)
    for switch in (tn.no_grad, tn.enable_grad):
        with switch():
            tn.grad(lambda t: (t * y).sum())(np.ones(2))
            tn.grad(lambda t: y.sum())(np.ones(2))
            tn.vjp(lambda t: (y, t), np.ones(2))[1]((np.ones(2), np.ones(2)))
    total = y.sum()
    with tn.no_grad():
        assert not tn.grad(lambda t: total)(np.ones(2)).data.any()
        assert tn.value_and_grad(lambda t: total)(1.0)[0].item() == total.item()
    total.backward()
    np.testing.assert_allclose(w.grad.data, np.exp([1.0, 2.0]))
    assert not tn.grad(lambda t: total)(np.ones(2)).data.any()


def test_a_function_differentiated_twice_over_the_same_graph_says_so() -> None:
    x = leaf([1.0])
    kept = []

    def f(t: Any) -> Any:
        kept.append(np.exp(t))
        return kept[0].sum()

    with tn.no_grad():
        assert tn.grad(f)(x).item() == pytest.approx(np.e)
        _, pull = tn.vjp(lambda t: kept[0] * t, np.ones(1))
        assert pull(np.ones(1)).item() == pytest.approx(np.e)  # by t alone
