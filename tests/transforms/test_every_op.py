"""Laws of transformations, over every op of the registry on its samples.

The pushforward of an op and its pullback, which tests/ops/test_registry.py holds to finite differences, are adjoint; what is
batched is what a call for each lane gives; derivatives of gradients do not depend on the mode.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.op import Op
from tapenet.ops.registry import Sample, everything, registry
from tapenet.program.trees import tree_leaves, tree_map

everything()


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"


class Case(NamedTuple):
    """A call of an op as a function of its arrays of floats."""

    op: Op
    call: Sample

    def arrays(self) -> list[Any]:
        return [v for v in tree_leaves([self.call.args, self._named()]) if _is_float(v)]

    def _named(self) -> dict[str, object]:
        return {n: v for n, v in self.call.kwargs.items() if n in self.op.differentiable}

    def __call__(self, *given: Any) -> list[Any]:
        """The results that are inexact."""
        parts = iter(given)
        args, named = tree_map(lambda v: next(parts) if _is_float(v) else v, [self.call.args, self._named()])
        found = self.op(*args, **{**self.call.kwargs, **named})
        return [v for v in tree_leaves(found) if v.dtype.kind in "fc"]


def differentiable(op: Any) -> bool:
    return isinstance(op, Op) and bool(op.differentiable) and not (op.random or op.effect) and op.samples is not None


OPS = [name for name, op in sorted(registry.items()) if name.startswith("tapenet.ops.") and differentiable(op)]


def cases(name: str) -> list[tuple[int, Case]]:
    """The calls of an op that have something to differentiate by, whose results it depends on, with their numbers."""
    found = []
    for i, call in enumerate(registry[name].samples(np.random.default_rng(0))):
        case = Case(registry[name], call)
        if case.arrays() and case(*map(tn.tensor, case.arrays())):
            found.append((i, case))
    return found


def random(rng: np.random.Generator, like: Sequence[Any]) -> list[Any]:
    def one(a: Any) -> Any:
        made = rng.normal(size=a.shape)
        return made + 1j * rng.normal(size=a.shape) if a.dtype.kind == "c" else made

    return [one(a) for a in like]


def inner(a: Sequence[Any], b: Sequence[Any]) -> float:
    """The real inner product, of which PyTorch's convention for complex numbers is the gradient."""
    return float(sum(np.real(np.vdot(np.asarray(x), np.asarray(y))) for x, y in zip(a, b, strict=True)))


def values(tree: Any) -> list[Any]:
    return [t.numpy() if isinstance(t, tn.Tensor) else np.asarray(t) for t in tree_leaves(tree)]


def same(found: Any, expected: Any, rtol: float = 1e-9) -> None:
    found, expected = values(found), values(expected)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        scale = float(np.abs(b[np.isfinite(b)]).max(initial=1.0))
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale)


def pulled(case: Case, xs: Sequence[Any], us: Sequence[Any]) -> list[Any]:
    """The gradients by the arrays."""
    _, pull = tn.vjp(lambda *xs: case(*xs), *xs)
    found = pull(us)
    return list(found) if len(xs) > 1 else [found]


def pushed(case: Case, xs: Sequence[Any], vs: Sequence[Any]) -> list[Any]:
    return tn.jvp(lambda *xs: case(*xs), tuple(xs), tuple(vs))[1]


def scalar(case: Case) -> Callable[..., Any]:
    """The gradient of a weighted sum of the results, as a list."""
    us = random(np.random.default_rng(3), values(case(*map(tn.tensor, case.arrays()))))

    def total(*xs: Any) -> Any:
        return sum((np.conj(u) * out).real.sum() for u, out in zip(us, case(*xs), strict=True))

    return tn.grad(total, tuple(range(len(case.arrays()))))


def lanes(name: str, i: int) -> list[list[Any]] | None:
    """The arrays of a call drawn three times; None if their shapes are drawn too."""
    drawn = [Case(registry[name], list(registry[name].samples(np.random.default_rng(k)))[i]).arrays() for k in range(3)]
    shapes = [[a.shape for a in arrays] for arrays in drawn]
    return drawn if shapes.count(shapes[0]) == 3 else None


def stacked(each: Sequence[Any]) -> list[Any]:
    """The results of calls, put together."""
    return [np.stack(parts) for parts in zip(*map(values, each), strict=True)]


# -- laws ----------------------------------------------------------------------------------------------------------


def jvp_is_the_adjoint_of_vjp(name: str, i: int, case: Case) -> None:
    xs = case.arrays()
    vs = random(np.random.default_rng(1), xs)
    outs = values(case(*map(tn.tensor, xs)))
    us = random(np.random.default_rng(2), outs)
    tangents = values(pushed(case, xs, vs))
    assert [(t.shape, t.dtype) for t in tangents] == [(o.shape, o.dtype) for o in outs]
    size = sum(float(np.abs(u).ravel() @ np.abs(t).ravel()) for u, t in zip(us, tangents, strict=True))
    assert inner(us, tangents) == pytest.approx(
        inner(values(pulled(case, xs, us)), vs), rel=0, abs=1e-9 * max(size, 1.0)
    )


def vmap_is_a_call_for_each_lane(name: str, i: int, case: Case) -> None:
    """With lanes in all arrays, and in each alone."""
    drawn = lanes(name, i)
    if drawn is None:
        return
    first, count = drawn[0], len(drawn[0])
    for laned in {tuple(range(count)), *((k,) for k in range(count))}:
        args = [np.stack([arrays[k] for arrays in drawn]) if k in laned else first[k] for k in range(count)]
        axes = tuple(0 if k in laned else None for k in range(count))
        calls = [case(*(tn.tensor((arrays if k in laned else first)[k]) for k in range(count))) for arrays in drawn]
        same(tn.vmap(lambda *xs: case(*xs), in_axes=axes)(*args), stacked(calls))


def jvp_of_vmap_is_a_jvp_for_each_lane(name: str, i: int, case: Case) -> None:
    drawn = lanes(name, i)
    if drawn is None:
        return
    args = [np.stack(parts) for parts in zip(*drawn, strict=True)]
    vs = random(np.random.default_rng(1), args)
    found = tn.jvp(tn.vmap(lambda *xs: case(*xs)), tuple(args), tuple(vs))[1]
    same(found, stacked([pushed(case, xs, [v[lane] for v in vs]) for lane, xs in enumerate(drawn)]))


def vmap_of_grad_is_a_gradient_for_each_lane(name: str, i: int, case: Case) -> None:
    drawn = lanes(name, i)
    if drawn is None:
        return
    gradient = scalar(case)
    args = [np.stack(parts) for parts in zip(*drawn, strict=True)]
    same(tn.vmap(gradient)(*args), stacked([gradient(*xs) for xs in drawn]))


def second_derivatives_do_not_depend_on_the_mode(name: str, i: int, case: Case) -> None:
    xs, gradient = case.arrays(), scalar(case)
    vs = random(np.random.default_rng(1), xs)

    def along(*xs: Any) -> Any:
        return sum((np.conj(v) * g).real.sum() for v, g in zip(vs, gradient(*xs), strict=True))

    forward = tn.jvp(gradient, tuple(xs), tuple(vs))[1]
    same(forward, tn.grad(along, tuple(range(len(xs))))(*xs))


LAWS = (
    jvp_is_the_adjoint_of_vjp,
    vmap_is_a_call_for_each_lane,
    jvp_of_vmap_is_a_jvp_for_each_lane,
    vmap_of_grad_is_a_gradient_for_each_lane,
    second_derivatives_do_not_depend_on_the_mode,
)


def check(name: str, law: Callable[[str, int, Case], None], calls: slice) -> None:
    for i, case in cases(name)[calls]:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            law(name, i, case)


@pytest.mark.parametrize("law", LAWS[:2], ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", OPS)
def test_law(name: str, law: Callable[[str, int, Case], None]) -> None:
    check(name, law, slice(1))


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS[2:], ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", OPS)
def test_law_of_compositions(name: str, law: Callable[[str, int, Case], None]) -> None:
    check(name, law, slice(1))


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS[:2], ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", OPS)
def test_law_on_other_calls(name: str, law: Callable[[str, int, Case], None]) -> None:
    check(name, law, slice(1, 3) if law is LAWS[1] else slice(1, None))
