"""What transformations refuse: each error names the function, what is wrong and what to write instead."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn

X = np.array([1.0, 2.0])


@dataclasses.dataclass
class Model:
    weight: Any
    activation: Any
    layers: Any = 2


def _square(x: Any) -> Any:
    return (x * x).sum()


#: What is called, the error, and words of its message.
REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    # -- the function
    "no function": (lambda: tn.grad(3.0), TypeError, r"tn\.grad takes a function, not float"),
    "a result": (
        lambda: tn.grad(tn.tensor(1.0)),
        TypeError,
        r"tn\.grad takes a function, not Tensor; .*tn\.gradients\(outputs, inputs\)",
    ),
    "no function, vjp": (lambda: tn.vjp(None, X), TypeError, r"tn\.vjp takes a function, not NoneType"),
    "no function, hvp": (lambda: tn.hvp(X), TypeError, r"tn\.hvp takes a function, not ndarray"),
    # -- argnums
    "no place": (lambda: tn.grad(_square, argnums="x")(X), TypeError, r"tn\.grad: argnums='x' must be the place"),
    "a flag": (lambda: tn.grad(_square, argnums=True)(X), TypeError, r"tn\.grad: argnums=True must be the place"),
    "too far": (lambda: tn.grad(_square, argnums=1)(X), ValueError, r"argnums=1 names argument 1, .* 1 positional"),
    "twice": (
        lambda: tn.grad(lambda x, y: x * y, argnums=(0, -2))(1.0, 2.0),
        ValueError,
        r"tn\.grad: argnums=\(0, -2\) names an argument twice",
    ),
    "keyword only": (
        lambda: tn.grad(lambda *, x: x * x)(x=1.0),
        ValueError,
        r"tn\.grad: argnums=0 names argument 0, but the call has 0 positional",
    ),
    # -- arguments
    "integers": (
        lambda: tn.grad(_square)(np.arange(3)),
        TypeError,
        r"argument 0 holds int64.* pass floats, or leave it out",
    ),
    "integers inside": (
        lambda: tn.value_and_grad(lambda x, p: _square(x), argnums=1)(X, {"w": X, "n": [1.0, 3]}),
        TypeError,
        r"tn\.value_and_grad: argument 1\['n'\]\[1\] holds int64",
    ),
    "integers, vjp": (lambda: tn.vjp(_square, X, True), TypeError, r"tn\.vjp: argument 1 holds bool"),
    "a function": (
        lambda: tn.grad(lambda m: _square(m.weight))(Model(X, np.tanh)),
        TypeError,
        r"argument 0\.activation is ufunc.*static",
    ),
    "a text": (lambda: tn.grad(_square)("x"), TypeError, r"tn\.grad: argument 0 is str, which has no gradient"),
    # -- results
    "no scalar": (lambda: tn.grad(lambda x: x * 2)(X), ValueError, r"shape \(2,\), but .*\.sum\(\).*elementwise_grad"),
    "no tensor": (
        lambda: tn.grad(lambda x: {"loss": x.sum()})(X),
        TypeError,
        r"returned dict, .*has_aux=True.*tn\.vjp",
    ),
    "a pair": (lambda: tn.grad(lambda x: (x.sum(), 3))(X), TypeError, r"returned tuple, .*has_aux=True"),
    "complex": (lambda: tn.grad(lambda x: (1j * x).sum())(X), TypeError, r"a complex number, .*its real part"),
    "complex elements": (
        lambda: tn.elementwise_grad(lambda x: 1j * x)(X),
        TypeError,
        r"tn\.elementwise_grad: the function returned a complex number",
    ),
    "counts": (lambda: tn.grad(lambda x: (x > 0).sum())(X), TypeError, r"returned int64, but only a real number"),
    "no pair": (
        lambda: tn.grad(_square, has_aux=True)(X),
        TypeError,
        r"has_aux=True the function returns a pair \(scalar",
    ),
    "no pair, vjp": (lambda: tn.vjp(_square, X, has_aux=True), TypeError, r"tn\.vjp: .* a pair \(output, other\)"),
    "another shape": (
        lambda: tn.elementwise_grad(lambda x: x[:1])(X),
        ValueError,
        r"tn\.elementwise_grad: .* shape \(1,\) for an argument of shape \(2,\).*tn\.jacobian",
    ),
    "broadcast": (
        lambda: tn.elementwise_grad(lambda x, y: x * y, argnums=(0, 1))(X, 2.0),
        ValueError,
        r"shape \(2,\) for an argument of shape \(\)",
    ),
    "a text among results": (
        lambda: tn.vjp(lambda x: {"y": x, "name": "y"}, X),
        TypeError,
        r"tn\.vjp: result\['name'\] is str, .*has_aux=True",
    ),
    # -- gradients and vectors that are given
    "another structure": (
        lambda: tn.vjp(lambda x: {"a": (x, x)}, X)[1]({"a": (X,)}),
        ValueError,
        r"tn\.vjp: .*at result\['a'\] the function has tuple of length 2, the gradient has tuple of length 1",
    ),
    "another shape, vjp": (
        lambda: tn.vjp(lambda x: {"a": (x, x)}, X)[1]({"a": (X, 1.0)}),
        ValueError,
        r"a gradient of shape \(\) for an output of shape \(2,\), at result\['a'\]\[1\]",
    ),
    "another vector": (
        lambda: tn.hvp(lambda p: _square(p["w"]))({"w": X}, {"v": X}),
        ValueError,
        r"tn\.hvp: .*at v the argument has a dict of 'w', the vector has a dict of 'v'",
    ),
    "another vector's shape": (
        lambda: tn.hvp(lambda p: _square(p["w"]))({"w": X}, {"w": 1.0}),
        ValueError,
        r"tn\.hvp: v\['w'\] has shape \(\), and the argument there has \(2,\)",
    ),
    # -- matrices of derivatives
    "integers inside, Jacobian": (
        lambda: tn.jacobian(lambda x, p: x, argnums=1)(X, {"w": X, "n": 3}),
        TypeError,
        r"tn\.jacobian: argument 1\['n'\] holds int64",
    ),
    "no array, Jacobian": (
        lambda: tn.jacobian(lambda x: {"y": [x, "y"]})(X),
        TypeError,
        r"tn\.jacobian: output\['y'\]\[1\] is str.*return arrays",
    ),
    "complex of real, Jacobian": (
        lambda: tn.jacobian(lambda x: 1j * x[:1])(X),
        TypeError,
        r"tn\.jacobian: .*complex numbers of real ones.*tn\.stack\(\[y\.real, y\.imag\]\)",
    ),
    "complex arguments, Hessian": (
        lambda: tn.hessian(lambda z: (abs(z) ** 2).sum())(X + 1j),
        TypeError,
        r"tn\.hessian: second derivatives are those by real numbers.*imaginary part as two",
    ),
    "complex numbers in forward mode": (
        lambda: tn.jacfwd(lambda x: abs(np.fft.fft(x)))(X),
        TypeError,
        r"tn\.jacfwd: forward mode knows real numbers alone.*tn\.jacrev",
    ),
    "the absolute value of complex numbers twice": (
        lambda: tn.jacrev(tn.jacrev(lambda x: (abs(np.fft.fft(x)) ** 2).sum()))(X),
        Exception,
        r"no derivative of the sign of complex numbers, nor a second one of their absolute value",
    ),
    "no complex derivative": (
        lambda: tn.jacrev(lambda z: np.conj(z) * 2)(X + 1j),
        ValueError,
        r"tn\.jacrev: the function has no complex derivative, as conj",
    ),
    "no scalar, Hessian": (
        lambda: tn.hessian(lambda x: {"loss": _square(x)})(X),
        ValueError,
        r"tn\.hessian: the function returned float64 \(\) in a container, but",
    ),
    # -- modules
    "another module": (
        lambda: tn.hvp(lambda net: net(X.astype("float32")).sum())(nn.Linear(2, 1), dict(nn.ReLU().named_parameters())),
        ValueError,
        r"at v the argument has a dict of 'weight', 'bias', the vector has a dict of nothing",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_named(case: str) -> None:
    call, kind, message = REFUSED[case]
    with pytest.raises(kind, match=message):
        call()


#: Functions whose result depends on no argument any more, since values leave the graph; and by what.
LEFT: dict[str, tuple[Any, str]] = {
    "numpy": (lambda x: np.sum(x.numpy() ** 2), r"\.numpy\(\)"),
    "data": (lambda x: tn.tensor(x.data).sum(), r"its \.data"),
    "item": (lambda x: x[0].item() * 2.0, r"\.item\(\)"),
    "tolist": (lambda x: tn.tensor(sum(v * v for v in x.tolist())), r"\.tolist\(\)"),
    "later": (lambda x: tn.exp((x * 2).numpy()).sum(), r"\.numpy\(\)"),
}


@pytest.mark.parametrize("how", LEFT)
def test_a_result_that_left_the_graph_is_named_with_its_line(how: str) -> None:
    f, by = LEFT[how]
    words = (
        rf"does not depend on any argument, since {re.escape(__file__)}:{f.__code__.co_firstlineno} takes values out of the "
        rf"graph by {by}: .*stop_gradient"
    )
    for transformed in (
        tn.grad(f),
        tn.value_and_grad(f),
        lambda x: tn.vjp(f, x),
        tn.grad(lambda x: tn.grad(f)(x).sum()),
    ):
        with pytest.raises(RuntimeError, match=words):
            transformed(X)


def test_values_may_be_looked_at_where_the_result_still_depends_on_an_argument() -> None:
    def f(x: Any, y: Any) -> Any:
        assert x.numpy().shape == (2,)
        return (x * y.item()).sum()

    assert [g.tolist() for g in tn.grad(f, argnums=(0, 1))(X, 2.0)] == [[2.0, 2.0], 0.0]


def test_zeros_that_are_meant() -> None:
    """Where nothing depends, the gradient is 0: that is right, and JAX does the same."""
    for f in (lambda x: 3.0, lambda x: tn.stop_gradient(x).sum(), lambda x: tn.tensor(x.detach().numpy()).sum()):
        assert tn.grad(f)(X).tolist() == [0.0, 0.0]


def test_a_number_is_named_before_values_are() -> None:
    with pytest.raises(RuntimeError, match="makes a Python number of it"):
        tn.grad(lambda x: math.exp(x) * x.item())(1.0)


def test_complex_derivatives_are_taken_where_there_are_some() -> None:
    z = X + 1j * np.array([0.5, -1.0])
    for compiled in (lambda f: f, tn.compile):
        found = compiled(tn.jacrev(lambda z: np.exp(z) * z[0]))(z)
        expected = np.diag(np.exp(z) * z[0])
        expected[:, 0] += np.exp(z)
        np.testing.assert_allclose(found.numpy(), expected)


PROBABILITIES = np.full((3, 4), 0.5)


def _loss(p: Any) -> Any:
    return tn.nn.functional.binary_cross_entropy(p, np.zeros(p.shape))


def _losses_of_turns(p: Any) -> Any:
    return tn.scan(lambda total, row: (total + _loss(row), None), 0.0, p[None])[0]


#: Functions of lanes.
IN_LANES: dict[str, Any] = {
    "values": tn.vmap(_loss),
    "gradients": tn.vmap(tn.grad(_loss)),
    "the gradient of lanes": tn.grad(lambda p: tn.vmap(_loss)(p).sum()),
    "in a loop": tn.vmap(_losses_of_turns),
    "gradients of a loop": tn.vmap(tn.grad(_losses_of_turns)),
}


@pytest.mark.parametrize("lanes", IN_LANES.values(), ids=IN_LANES)
def test_values_that_a_loss_refuses_are_refused_in_lanes(lanes: Any) -> None:
    lanes(PROBABILITIES)
    with pytest.raises(ValueError, match="probabilities lie in"):
        lanes(PROBABILITIES + np.eye(3, 4))


@pytest.mark.parametrize("loop", ["scan", "while"])
def test_an_index_that_nobody_uses_is_refused_in_lanes(loop: str) -> None:
    table = tn.tensor(np.arange(5.0))

    def f(x: Any, i: Any) -> Any:
        def body(c: Any) -> Any:
            table[c[0] + i]
            return c[0] + 1, c[1] * x

        if loop == "scan":
            return tn.scan(lambda c, k: (body((k, c))[1], None), 1.0, np.arange(3))[0]
        return tn.while_loop(lambda c: c[0] < 3, body, (0, 1.0), 4)[1]

    lanes = tn.vmap(f)
    np.testing.assert_array_equal(lanes(np.arange(3.0), np.arange(3)), [0, 1, 8])
    with pytest.raises(IndexError, match="out of bounds"):
        lanes(np.arange(3.0), np.array([0, 1, 4]))


def test_a_lane_that_does_not_take_a_branch_is_not_refused_there() -> None:
    f = tn.vmap(lambda p: tn.cond(p[0] > 1, lambda: p.sum() * 0, lambda: _loss(p)))
    mixed = PROBABILITIES[:2] + np.array([[0], [1]])
    np.testing.assert_allclose(f(mixed), [np.log(2), 0])
