"""Random functions, transformed: tangents against gradients, lanes against calls, programs against eager.

A function is written statement by statement, as the programs of `tests.fuzz.programs` are, without effects. What a
transformation refuses, in words, is no failure; what it gives has to be right.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

import tapenet as tn
from tapenet.program.called_ops import Resized
from tapenet.program.differentiating import NoDerivative
from tests.fuzz import compared
from tests.fuzz.harness import BACKENDS
from tests.fuzz.programs import EXACT, SMOOTH, Case, Scope, Unfit, Writer

FEW = 8
MANY = 20

#: What says in words that something cannot be done.
REFUSED = (NoDerivative, tn.CaptureError, Resized)


class _Pure(Scope):
    """Statements without effects, on numbers of 64 bits."""

    #: Casts to types of fewer digits leave little to compare, random numbers nothing.
    left_out = ("{dtype}", "float32", "float16", "dropout", "random")

    def kinds(self) -> list[str]:
        return [*EXACT, *SMOOTH, *SMOOTH, "scan", "fori", "while_loop", "cond"]


class _Writer(Writer):
    """A function of one or two arrays of numbers, and perhaps of integers that do not vary."""

    def __init__(self, draw: Any) -> None:
        super().__init__(draw)
        self.scope = _Pure(self, self.scope.names, [], "    ")

    def program(self) -> str:
        for _ in range(self.draw(st.integers(1, 2))):
            self.argument(self.shape(), "float64")
        numbers = [name for name, _ in self.arguments]
        self.argument(self.draw(st.sampled_from([(3,), (2, 2), ()])), "int64")
        for _ in range(self.draw(st.integers(1, 6))):
            self.scope.statement(2)
        results = [
            self.scope.pick(lambda name: self.scope.names[name].dtype == np.float64)
            for _ in range(self.draw(st.integers(1, 2)))
        ]
        names = ", ".join(name for name, _ in self.arguments)
        given = [text.replace("leaf(", "tensor(") for _, text in self.arguments]
        return "\n".join([
            "from tests.fuzz.compared import *", "from tests.fuzz.transforms import compare", "",
            f"def f({names}):", *self.scope.lines, f"    return [{', '.join(results)}]", "",
            f"compare(f, lambda n: [{', '.join(given)}], {len(numbers)})", "",
        ])  # fmt: skip


@st.composite
def functions(draw: Any) -> Case:
    """A random function."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        while True:
            try:
                return Case(_Writer(draw).program())
            except Unfit:
                continue


CASES = functions()


def check(case: Case) -> None:
    """Transform a function, and compare."""
    exec(case.text, {"__name__": "program"})


def compare(f: Callable[..., list[Any]], arguments: Callable[[int], list[Any]], count: int) -> None:
    """Hold the transformations of a function of `count` arrays, and further ones, to each other and to its calls."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        calls = [[_data(a) for a in arguments(n)] for n in range(3)]
        others = [tn.tensor(a) for a in calls[0][count:]]

        def g(*xs: Any) -> list[Any]:
            return f(*(tn.tensor(x) if isinstance(x, np.ndarray) else x for x in xs), *others)

        r = np.random.default_rng(0)
        points = [xs[:count] for xs in calls]
        try:
            values = [[_data(y) for y in g(*xs)] for xs in points]
        except ValueError:
            return  # values say how many elements there are, and others would have to be as many
        if len({tuple(y.shape for y in ys) for ys in values}) > 1:
            return  # values say how many elements there are
        if not all(np.array_equal(a, _data(b), equal_nan=True) for a, b in zip(values[0], g(*points[0]), strict=True)):
            return  # it draws random numbers
        us = [r.integers(-2, 3, y.shape).astype(float) for y in values[0]]
        vs = [r.integers(-2, 3, x.shape).astype(float) for x in points[0]]

        def gradient(*xs: Any) -> tuple[Any, ...]:
            found = tn.vjp(g, *xs)[1](us)
            return found if isinstance(found, tuple) else (found,)

        gradients = [[_data(d) for d in gradient(*xs)] for xs in points]
        if not all(np.isfinite(a).all() for group in (*values, *gradients) for a in group):
            return
        lanes = [np.stack(xs) for xs in zip(*points, strict=True)]
        _tangents(g, points[0], us, vs, gradients[0])
        _agree(
            "vmap",
            lambda *xs: tn.vmap(g, randomness="same")(*xs),
            lanes,
            [np.stack(ys) for ys in zip(*values, strict=True)],
        )
        _agree(
            "vmap of gradients",
            lambda *xs: tn.vmap(gradient, randomness="same")(*xs),
            lanes,
            [np.stack(d) for d in zip(*gradients, strict=True)],
        )

        def total(*xs: Any) -> Any:
            return sum(
                ((y * u).sum() for y, u in zip(tn.vmap(g, randomness="same")(*xs), us, strict=True)), tn.tensor(0.0)
            )

        expected = [np.stack(d) for d in zip(*gradients, strict=True)]
        _agree("gradient of vmap", tn.grad(total, tuple(range(count))), lanes, expected)


def _tangents(
    g: Callable[..., Any], xs: Sequence[Any], us: Sequence[Any], vs: Sequence[Any], gradients: Sequence[Any]
) -> None:
    """The law ⟨u, Jv⟩ = ⟨Jᵀu, v⟩, eager and compiled."""
    expected = sum(float((d * v).sum()) for d, v in zip(gradients, vs, strict=True))
    scale = sum(float(np.abs(d * v).sum()) for d, v in zip(gradients, vs, strict=True))

    def along(*given: Any) -> Any:
        tangents = tn.jvp(g, given, tuple(vs))[1]
        return sum(((t * u).sum() for t, u in zip(tangents, us, strict=True)), tn.tensor(0.0))

    for name, called in _ways(along):
        try:
            found = float(called(*xs).item())
        except REFUSED:
            return
        assert abs(found - expected) <= 1e-6 * (1 + scale + abs(expected)), f"{name} jvp: {found}, not {expected}"


def _agree(what: str, transformed: Callable[..., Any], args: Sequence[Any], expected: Sequence[Any]) -> None:
    for name, called in _ways(transformed):
        try:
            found = called(*args)
        except REFUSED:
            return
        for a, b in zip(found, expected, strict=True):
            array = _data(a)
            assert array.shape == b.shape, f"{name} {what}: shape {array.shape}, not {b.shape}"
            np.testing.assert_allclose(array, b, 1e-6, 1e-6 * (1 + np.abs(b).max(initial=0)), err_msg=f"{name} {what}")


def _ways(f: Callable[..., Any]) -> list[tuple[str, Callable[..., Any]]]:
    """The function as it is, and from a program."""
    compiled = tn.compile(f, backend=BACKENDS[-1], from_first=True)
    return [("eager", f), ("compiled", compiled)]


def _data(value: Any) -> Any:
    return value.numpy() if isinstance(value, tn.Tensor) else np.asarray(value)


assert compared  # its names are those that a program is written with
