"""`check_op` names what is wrong with a rule: ten kinds of mistakes, in rules of some thirty ops.

An op is right, and made wrong in one way at a time. Most mistakes can be made in several ways, which take turns.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.trees import tree_map
from tapenet.testing import GradientMismatch, check_op

R = np.random.default_rng(0)


class Right(NamedTuple):
    """An op that is right: its forward, rules, arguments of a call, and other options of `tn.op`."""

    forward: Callable[..., Any]
    rules: dict[str, Callable[..., Any]]
    args: tuple[Any, ...]
    options: Mapping[str, Any] = MappingProxyType({})
    #: Arguments of the same call with complex numbers, where the op takes them.
    complex_args: tuple[Any, ...] = ()
    #: Arguments that broadcast.
    small_args: tuple[Any, ...] = ()


def real(*shape: int) -> Any:
    return R.uniform(0.5, 1.5, shape)


def cplx(*shape: int) -> Any:
    return R.normal(size=shape) + 1j * R.normal(size=shape)


def elementwise(forward: Any, *, of_complex: bool = False, **rules: Any) -> Right:
    """One of several inputs that broadcast."""
    count = len(rules)
    return Right(
        forward,
        rules,
        tuple(real(3, 3) for _ in range(count)),
        {"broadcasts": True},
        tuple(cplx(3, 3) for _ in range(count)) if of_complex else (),
        (real(2, 3), *(real(3) for _ in range(count - 1))) if count > 1 else (),
    )


def _softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _polar(x: Any, y: Any) -> Any:
    return np.hypot(x, y), np.arctan2(y, x)


A, B, C = cplx(3, 3), cplx(3, 3), cplx(3, 3)
OPS: dict[str, Right] = {
    # of one input, element by element
    "softplus": elementwise(lambda x: np.logaddexp(0, x), x=lambda g, x: g / (1 + np.exp(-x))),
    "sine": elementwise(np.sin, of_complex=True, x=lambda g, x: g * np.cos(x)),
    "exponential": elementwise(np.exp, of_complex=True, x=lambda g, out: g * out),
    "softclip": Right(
        lambda x, limit=1.0: limit * np.tanh(x / limit),
        {"x": lambda g, out, limit: g * (1 - (out / limit) ** 2)},
        (real(3, 3), 0.7),
        {},
        (0.3 * cplx(3, 3), 0.7),
    ),
    "magnitude": Right(
        lambda x: (x * np.conj(x)).real, {"x": lambda g, x: 2 * g * np.conj(x)}, (real(3, 3),), {}, (cplx(3, 3),)
    ),
    "modulus": Right(np.abs, {"x": lambda g, x, out: g * np.conj(x) / out}, (real(3, 3),), {}, (cplx(3, 3),)),
    # of several inputs, element by element
    "times": elementwise(lambda x, y: x * y, of_complex=True, x=lambda g, y: g * y, y=lambda g, x: g * x),
    "over": elementwise(lambda x, y: x / y, of_complex=True, x=lambda g, y: g / y, y=lambda g, y, out: -g * out / y),
    "raised": elementwise(
        lambda x, y: x**y, x=lambda g, x, y: g * y * x ** (y - 1), y=lambda g, x, out: g * out * np.log(x)
    ),
    "length": elementwise(np.hypot, x=lambda g, x, out: g * x / out, y=lambda g, y, out: g * y / out),
    "angle": elementwise(
        lambda y, x: np.arctan2(y, x),
        y=lambda g, x, y: g * x / (x * x + y * y),
        x=lambda g, x, y: -g * y / (x * x + y * y),
    ),
    "logsum": elementwise(
        np.logaddexp, x=lambda g, x, out: g * np.exp(x - out), y=lambda g, y, out: g * np.exp(y - out)
    ),
    "relative_error": elementwise(
        lambda x, y: (x - y) / (1 + y * y),
        x=lambda g, y: g / (1 + y * y),
        y=lambda g, out, y: -g * (1 + 2 * y * out) / (1 + y * y),
    ),
    "bell": elementwise(
        lambda x, m: np.exp(-((x - m) ** 2) / 2),
        x=lambda g, x, m, out: -g * out * (x - m),
        m=lambda g, x, m, out: g * out * (x - m),
    ),
    "blend": elementwise(
        lambda x, y, t: x + t * (y - x),
        of_complex=True,
        x=lambda g, t: g * (1 - t),
        y=lambda g, t: g * t,
        t=lambda g, x, y: g * (y - x),
    ),
    "entropy": elementwise(lambda x, y: x * np.log(y), x=lambda g, y: g * np.log(y), y=lambda g, x, y: g * x / y),
    "geometric_mean": elementwise(
        lambda x, y: np.sqrt(x * y), x=lambda g, y, out: g * y / (2 * out), y=lambda g, x, out: g * x / (2 * out)
    ),
    "times_conjugate": elementwise(
        lambda x, y: x * np.conj(y), of_complex=True, x=lambda g, y: g * np.conj(y), y=lambda g, x: np.conj(g * x)
    ),
    "rotated": elementwise(
        lambda x, t: x * np.exp(1j * t),
        x=lambda g, t: g * np.exp(1j * t),
        t=lambda g, out: 1j * g * out,
        of_complex=True,
    ),
    "squared_error": elementwise(
        lambda x, y: (x - y) ** 2,
        of_complex=True,
        x=lambda g, x, y: 2 * g * (x - y),
        y=lambda g, x, y: -2 * g * (x - y),
    ),
    "pseudo_huber": elementwise(
        lambda x, y: np.sqrt(1 + (x - y) ** 2),
        x=lambda g, x, y, out: g * (x - y) / out,
        y=lambda g, x, y, out: g * (y - x) / out,
    ),
    "lorentz": elementwise(
        lambda x, w: w / (x * x + w * w),
        x=lambda g, x, w, out: -2 * g * x * out * out / w,
        w=lambda g, x, w: g * (x * x - w * w) / (x * x + w * w) ** 2,
    ),
    "log_density": elementwise(
        lambda x, m, s: -np.log(s) - ((x - m) / s) ** 2 / 2,
        x=lambda g, x, m, s: -g * (x - m) / s**2,
        m=lambda g, x, m, s: g * (x - m) / s**2,
        s=lambda g, x, m, s: g * ((x - m) ** 2 / s**3 - 1 / s),
    ),
    "gated": elementwise(
        lambda x, y: x / (1 + np.exp(-y)),
        x=lambda g, y: g / (1 + np.exp(-y)),
        y=lambda g, y, out: g * out / (1 + np.exp(y)),
    ),
    "radius_squared": elementwise(
        lambda x, y: x * x + 3 * y * y, of_complex=True, x=lambda g, x: 2 * g * x, y=lambda g, y: 6 * g * y
    ),
    "axpy": Right(
        lambda x, y, a=2.0: a * x + y * y,
        {"x": lambda g, a: g * a, "y": lambda g, y: 2 * g * y},
        (real(3, 3), real(3, 3)),
        {"broadcasts": True},
        (cplx(3, 3), cplx(3, 3)),
        (real(2, 3), real(3)),
    ),
    "polar": Right(
        _polar,
        {
            "x": lambda g, x, y: (g[0] * x - g[1] * y / np.hypot(x, y)) / np.hypot(x, y),
            "y": lambda g, x, y: (g[0] * y + g[1] * x / np.hypot(x, y)) / np.hypot(x, y),
        },
        (real(3, 3), real(3, 3)),
        {"outputs": 2, "broadcasts": True},
        (),
        (real(2, 3), real(3)),
    ),
    "sine_and_cosine": Right(
        lambda x: (np.sin(x), np.cos(x)),
        {"x": lambda g, out: g[0] * out[1] - g[1] * out[0]},
        (real(3, 3),),
        {"outputs": 2},
        (cplx(3, 3),),
    ),
    # that reduce
    "total": Right(lambda x: x.sum(), {"x": lambda g, x_shape: np.broadcast_to(g, x_shape)}, (real(2, 3),)),
    "row_mean": Right(
        lambda x: x.mean(1),
        {"x": lambda g, x_shape: np.broadcast_to(g[:, None] / x_shape[1], x_shape)},
        (real(3, 3),),
        {},
        (cplx(3, 3),),
    ),
    "row_norm": Right(
        lambda x: np.sqrt((x * x).sum(1)),
        {"x": lambda g, x, out: (g / out)[:, None] * x},
        (real(3, 3),),
        {},
        (cplx(3, 3),),
    ),
    "weighted": Right(
        lambda x, w: (x * w).sum(1),
        {"x": lambda g, w: g[:, None] * w, "w": lambda g, x: g[:, None] * x},
        (real(3, 3), real(3, 3)),
        {},
        (cplx(3, 3), cplx(3, 3)),
    ),
    "softmax": Right(
        _softmax, {"x": lambda g, out, axis: out * (g - (g * out).sum(axis, keepdims=True))}, (R.normal(size=(3, 3)),)
    ),
    "running_sum": Right(
        lambda x: np.cumsum(x, 1), {"x": lambda g: np.cumsum(g[:, ::-1], 1)[:, ::-1]}, (real(3, 3),), {}, (cplx(3, 3),)
    ),
    "distance": Right(
        lambda x, y: np.sqrt(((x - y) ** 2).sum(-1)),
        {
            "x": lambda g, x, y, out: (g / out)[..., None] * (x - y),
            "y": lambda g, x, y, out: (g / out)[..., None] * (y - x),
        },
        (real(3, 3), -real(3, 3)),
    ),
    # of linear algebra
    "product": Right(
        lambda x, y: x @ y, {"x": lambda g, y: g @ y.T, "y": lambda g, x: x.T @ g}, (real(3, 3), real(3, 3)), {}, (A, B)
    ),
    "outer": Right(
        lambda x, y: x[:, None] * y,
        {"x": lambda g, y: g @ y, "y": lambda g, x: x @ g},
        (real(3), real(3)),
        {},
        (cplx(3), cplx(3)),
    ),
    "gram": Right(lambda x: x @ x.T, {"x": lambda g, x: (g + g.T) @ x}, (real(3, 3),), {}, (C,)),
    "affine": Right(
        lambda x, w, b: x @ w + b,
        {"x": lambda g, w: g @ w.T, "w": lambda g, x: x.T @ g, "b": lambda g: g.sum(0)},
        (real(3, 3), real(3, 3), real(3)),
        {},
        (A, B, cplx(3)),
    ),
    "bilinear": Right(
        lambda x, w, y: x @ w @ y,
        {"x": lambda g, w, y: g * (w @ y), "w": lambda g, x, y: g * np.outer(x, y), "y": lambda g, x, w: g * (x @ w)},
        (real(3), real(3, 3), real(3)),
        {},
        (cplx(3), cplx(3, 3), cplx(3)),
    ),
    "solved": Right(
        lambda a, b: np.linalg.solve(a, b),
        {"a": lambda g, a, out: -np.linalg.solve(a.T, g) @ out.T, "b": lambda g, a: np.linalg.solve(a.T, g)},
        (real(3, 3) + 3 * np.eye(3), real(3, 3)),
        {},
        (A + 3 * np.eye(3), B),
    ),
    "inverse": Right(
        lambda x: np.linalg.inv(x),
        {"x": lambda g, out: -out.T @ g @ out.T},
        (real(3, 3) + 3 * np.eye(3),),
        {},
        (A + 3 * np.eye(3),),
    ),
    # of a sequence
    "weighted_sum": Right(
        lambda arrays: sum((k + 1) * a * a for k, a in enumerate(arrays)),
        {"arrays": lambda g, arrays: tuple(2 * (k + 1) * g * a for k, a in enumerate(arrays))},
        ([real(3, 3), real(3, 3)],),
        {},
        ([A, B],),
    ),
}


class Wrong(NamedTuple):
    """An op with one wrong rule, by whose name it is known, or without it; and a call of it."""

    right: Right
    name: str
    rule: Callable[..., Any] | None
    args: tuple[Any, ...]
    options: Mapping[str, Any] = MappingProxyType({})

    def op(self, rule: Callable[..., Any] | None) -> Any:
        rules = {**self.right.rules, self.name: rule}
        return tn.op(
            self.right.forward, name="op", doc="An op.", samples=lambda r: [tn.sample(*self.args)],
            grads={n: r for n, r in rules.items() if r is not None}, **{**self.right.options, **self.options},
        )  # fmt: skip

    def is_wrong(self, *signs: int) -> bool:
        """Whether the rule gives something else than the right one, or than that times a sign: the conjugate of a real
        number does not."""
        try:
            found = [self.gradients(rule) for rule in (self.rule, self.right.rules[self.name])]
        except (ValueError, tn.GradientError):
            return True
        return not all(any(np.allclose(a, s * b, rtol=1e-3) for s in (1, *signs)) for a, b in zip(*found, strict=True))

    def gradients(self, rule: Any) -> list[Any]:
        leaves, tree = tn.tree.flatten(self.args)
        arrays = [a for a in leaves if isinstance(a, np.ndarray)]

        def f(*given: Any) -> Any:
            stream = iter(given)
            return self.op(rule)(*tree.build([next(stream) if isinstance(a, np.ndarray) else a for a in leaves]))

        outs, pull = tn.vjp(f, *arrays)
        r = np.random.default_rng(0)
        return [t.numpy() for t in tn.tree.leaves(pull(tn.tree.map(lambda o: r.normal(size=o.shape), outs)))]

    def kind(self) -> str:
        """What `check_op` says."""
        try:
            check_op(self.op(self.rule))
        except GradientMismatch as error:
            return error.kind if error.kind in str(error) else f"its text does not say so: {error}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return "nothing"


def after(rule: Any, change: Callable[[Any], Any]) -> Any:
    """A rule with something done to each gradient that it returns."""

    @functools.wraps(rule)
    def changed(*values: Any) -> Any:
        return tree_map(change, rule(*values))

    return changed


def before(rule: Any, place: int, change: Callable[[Any], Any]) -> Any:
    """A rule with something done to one of the values that it is given."""

    @functools.wraps(rule)
    def changed(*values: Any) -> Any:
        return rule(*(tree_map(change, v) if i == place else v for i, v in enumerate(values)))

    return changed


def named(rule: Any) -> list[str]:
    code = rule.__code__
    return list(code.co_varnames[: code.co_argcount])


def renamed(rule: Any, names: dict[str, str]) -> Any:
    """A rule that asks for other values than those that it means."""
    asked = [names.get(n, n) for n in named(rule)]
    return eval(f"lambda {', '.join(asked)}: rule({', '.join(asked)})", {"rule": rule})


def wrongs(kind: str, right: Right) -> Iterator[Wrong]:
    """An op made wrong in each way of a kind, one rule at a time."""
    inputs = list(right.rules)
    for position, (name, rule) in enumerate(right.rules.items()):
        other = inputs[(position + 1) % len(inputs)]
        arrays = [a for a in tn.tree.leaves(right.args[position]) if isinstance(a, np.ndarray)]
        made = functools.partial(Wrong, right, name)
        if kind == "sign":
            yield made(after(rule, lambda d: -d), right.args)
        elif kind == "factor":
            yield from (made(after(rule, lambda d, by=by: by * d), right.args) for by in (2, 0.5, math.pi, 3))
        elif kind == "missing conjugate" and right.complex_args:
            places = [i for i, n in enumerate(named(rule)) if n in (*inputs, "out", "g")]
            yield from (made(before(rule, i, np.conj), right.complex_args) for i in places)
            yield made(after(rule, np.conj), right.complex_args)
        elif kind == "transposed":
            places = [i for i, n in enumerate(named(rule)) if n in (*inputs, "out", "g")]
            yield from (made(before(rule, i, turned), right.args) for i in places)
            yield made(after(rule, turned), right.args)
        elif kind == "missing sum over broadcast axes" and right.small_args and position:
            yield made(rule, right.small_args, {"broadcasts": False})
        elif kind == "swapped inputs" and len(inputs) > 1:
            yield made(renamed(rule, {name: other, other: name}), right.args)
        elif kind == "wrong dtype":
            yield made(after(rule, lambda d: d * np.float64(1)), right.args)
            yield made(after(rule, lambda d: np.round(10 * d).astype(int)), right.args)
            yield made(after(rule, lambda d: d.astype(np.float32)), right.args)
        elif kind == "wrong shape":
            yield made(after(rule, lambda d: d[None]), right.args)
            yield made(after(rule, np.ravel if arrays[0].ndim > 1 else lambda d: d[:, None]), right.args)
        elif kind == "forgotten input":
            yield made(after(rule, lambda d: 0 * d), right.args)
            if len(inputs) > 1:
                yield made(None, right.args)
        elif kind == "None":
            yield made(lambda g: None, right.args)


def turned(value: Any) -> Any:
    return np.swapaxes(value, -1, -2) if np.ndim(value) > 1 else value


#: Which fail by themselves before one could compare.
PLAIN = {"wrong dtype", "wrong shape", "forgotten input", "None", "missing sum over broadcast axes"}
KINDS = ("sign", "factor", "missing conjugate", "transposed", "missing sum over broadcast axes", "swapped inputs",
         "wrong dtype", "wrong shape", "forgotten input", "None")  # fmt: skip


def cases(kind: str, title: str) -> list[Wrong]:
    """An op made wrong in each way of a kind that makes a difference."""
    signs = [-1] if kind == "swapped inputs" else []  # as in x - y: that is the sign
    return [wrong for wrong in wrongs(kind, OPS[title]) if kind in PLAIN or wrong.is_wrong(*signs)]


@pytest.mark.slow
@pytest.mark.parametrize("title", OPS)
def test_the_right_ones_pass(title: str) -> None:
    right = OPS[title]
    for args in filter(None, (right.args, right.complex_args, right.small_args)):
        name, rule = next(iter(right.rules.items()))
        check_op(Wrong(right, name, rule, args).op(rule), skip=("compile", "vmap", "threads"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_named(kind: str) -> None:
    given = {title: cases(kind, title) for title in OPS}
    assert sum(map(bool, given.values())) >= 20
    said = [(title, wrong.name, wrong.kind()) for title, each in given.items() for wrong in each]
    wrong = [each for each in said if each[2] != kind]
    assert len(wrong) <= 0.05 * len(said), wrong


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_named(kind: str) -> None:
    """The same for some ops."""
    for title in ("softclip", "times", "weighted", "product", "blend"):
        for wrong in cases(kind, title)[:1]:
            assert wrong.kind() == kind


# -- at second order ---------------------------------------------------------------------------------------------


def second_order_kind(**options: Any) -> str:
    """What `check_op` says of an op whose first derivatives are right."""
    op = tn.op(lambda x: (np.sin(x), np.cos(x)), name="op", doc="An op.", residuals=("c",), **options)
    with pytest.raises(GradientMismatch) as caught:
        check_op(op, [tn.sample(real(3, 3))])
    return caught.value.kind


WRONG_FUNCTIONS: dict[str, Any] = {
    "sign": lambda x: -np.sin(x),
    "factor": lambda x: 3 * np.sin(x),
    "transposed": lambda x: np.sin(x).T,
    "wrong shape": lambda x: np.sin(x)[None],
    "wrong dtype": lambda x: np.sin(x).astype(np.float32),
    "forgotten input": lambda x: 0 * x,
}


@pytest.mark.parametrize("kind", WRONG_FUNCTIONS)
def test_a_wrong_reference_is_named(kind: str) -> None:
    assert second_order_kind(x=lambda g, c: g * c, reference=WRONG_FUNCTIONS[kind]) == kind


WRONG_SLOPES: dict[str, Any] = {
    "sign": lambda g, x: g * np.sin(x),
    "factor": lambda g, x: -2 * g * np.sin(x),
    "transposed": lambda g, x: -(g * np.sin(x)).T,
    "wrong dtype": lambda g, x: -g * np.sin(x) * np.float64(1),
    "forgotten input": lambda g, x: 0 * g,
}


@pytest.mark.parametrize("kind", WRONG_SLOPES)
def test_a_wrong_rule_of_what_a_rule_calls_is_named(kind: str) -> None:
    slope = tn.op(lambda x: np.cos(x), name="slope", x=WRONG_SLOPES[kind])
    op = tn.op(lambda x: np.sin(x), name="op", doc="An op.", x=lambda g, x: g * slope(x))
    with pytest.raises(GradientMismatch) as caught:
        check_op(op, [tn.sample(real(3, 3))])
    assert caught.value.kind == kind
