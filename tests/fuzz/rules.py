"""Ops whose gradient rule is made wrong: `check_op` fails on each.

A mutant has one rule that is wrong in one of the ways of `KINDS`. Those that give what the right rule gives at every sample
are no mutants and are left out: the conjugate of a real gradient, a transpose of a symmetric one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

import tapenet as tn
import tapenet.ops
from tapenet.ops.op import Op
from tapenet.ops.registry import Sample, registry
from tapenet.program.trees import tree_leaves, tree_map
from tapenet.testing import check_op
from tapenet.transforms.gradients import vjp

FEW, MANY = 60, 300

tapenet.ops.everything()
OPS = {
    name: op
    for name, op in sorted(registry.items())
    if name.startswith("tapenet.ops.") and isinstance(op, Op) and op.differentiable and op.samples and not op.effect
}


# -- how a rule is wrong -----------------------------------------------------------------------------------------


def _transposed(d: Any, number: int) -> Any:
    return np.reshape(np.swapaxes(d, -1, -2), d.shape) if np.ndim(d) > 1 else d


def _spread(d: Any, number: int) -> Any:
    """Summed over an axis and spread again, as where broadcasting is undone along one that was not broadcast."""
    if not np.ndim(d):
        return d
    return np.broadcast_to(np.sum(d, number % np.ndim(d), keepdims=True), np.shape(d))


def _one_element(d: Any, number: int) -> Any:
    if not np.size(d):
        return d
    wrong = np.ones(np.shape(d), d.dtype)
    wrong.flat[number % wrong.size] = 1.1
    return d * wrong


def _wide(d: Any, number: int) -> Any:
    wide = np.result_type(d.dtype, np.float64)
    return d.astype(wide)


#: What becomes of the gradient that a rule returns.
OF_GRADIENT: dict[str, Callable[[Any, int], Any]] = {
    "the sign": lambda d, number: -d,
    "a factor": lambda d, number: d * 1.01,
    "zero": lambda d, number: d * 0,
    "transposed": _transposed,
    "summed over an axis": _spread,
    "conjugate": lambda d, number: np.conj(d),
    "one element": _one_element,
    "wide": _wide,
}
#: What becomes of a value that a rule asks for.
OF_VALUE: dict[str, Callable[[Any], Any]] = {
    "a term missing": lambda v: np.zeros_like(v),
    "of another element": lambda v: np.roll(v, 1),
    "detached": lambda v: tn.stop_gradient(v),
}
KINDS = ("right", *OF_GRADIENT, *OF_VALUE, "another reference")


class Case(NamedTuple):
    """A mutant: which op, which of its rules, what is wrong, and a number that says where."""

    op: str
    rule: int
    kind: str
    number: int

    def __str__(self) -> str:
        return f"from tests.fuzz.rules import *\ncheck_op(mutant({', '.join(map(repr, self))}))"


CASES = st.builds(Case, st.sampled_from(list(OPS)), st.integers(0, 9), st.sampled_from(KINDS), st.integers(0, 99))


def mutant(name: str, rule: int, kind: str, number: int) -> Any:
    """An op like another, but for one wrong rule."""
    op = OPS[name]
    made = object.__new__(Op)
    # Without what is cached of its rules, and without kernels, whose call is written from a rule's own arguments.
    kept = {k: v for k, v in vars(op).items() if k not in ("eager", "eager_rules", "node_class", "full_node_class")}
    made.__dict__.update(kept, numpy=(), fuse=False)
    wrong = op.differentiable[rule % len(op.differentiable)]
    needs = op.needs[wrong if op.joint is None else ""]
    of_gradient = OF_GRADIENT.get(kind)
    values = [i for i, n in enumerate(needs) if n in ("g", "out", *op.inputs, *op.residuals)]
    place = values[number % len(values)] if kind in OF_VALUE and values else None

    def given(values: tuple[Any, ...]) -> tuple[Any, ...]:
        if place is None:
            return values
        return tuple(_each(v, OF_VALUE[kind]) if i == place else v for i, v in enumerate(values))

    def returned(d: Any) -> Any:
        return d if of_gradient is None else _each(d, lambda part: of_gradient(part, number))

    def changed(*values: Any) -> Any:
        return returned(op.rules[wrong](*given(values)))

    def changed_joint(*values: Any) -> Any:
        assert op.joint is not None
        found = op.joint(*values)
        if wrong in found:
            found = {**found, wrong: returned(op.joint(*given(values))[wrong])}
        return found

    def referring(*args: Any, **options: Any) -> Any:
        assert op.reference is not None
        return _each(op.reference(*args, **options), lambda part: part * 1.01)

    if kind == "another reference" and op.reference is not None:
        made.reference = referring
    if op.joint is None:
        made.rules = {**op.rules, wrong: changed}
    else:
        made.joint = changed_joint
    return made


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    """A gradient or saved value with its parts changed that are arrays of floats or tensors of them."""
    if isinstance(value, tn.Scatter):
        return tn.Scatter(value.index, _each(value.g, change))
    if isinstance(value, (list, tuple)):
        return type(value)(_each(v, change) for v in value)
    return change(value) if getattr(getattr(value, "dtype", None), "kind", "") in ("f", "c") else value


# -- whether it is wrong -----------------------------------------------------------------------------------------


#: How a wrong rule fails by itself.
_FAILURES = (ArithmeticError, ValueError)
#: Ops whose gradients have another dtype than their inputs.
CASTING = ("astype", "float_power")


def really_wrong(case: Case) -> bool:
    """Whether a mutant has other derivatives than the op at some sample, or wider ones.

    Samples are others than those that the check of an op takes, but where it depends on them whether a mutant is one: a
    wrong element may be one that a mask leaves out.
    """
    kind = case.kind
    if kind == "wide":  # wherever its rule is run
        return OPS[case.op].name not in CASTING and really_wrong(case._replace(kind="zero"))
    op, made = OPS[case.op], mutant(*case)
    order = 2 if kind in ("detached", "another reference") else 1
    for seed in (1, 2) if kind in OF_GRADIENT and kind != "one element" else (0,):
        assert op.samples is not None
        for call in op.samples(np.random.default_rng(seed)):
            expected = derivatives(op, call, order)
            try:
                found = derivatives(made, call, order)
            except _FAILURES:
                return False  # it says so itself: a matrix without its diagonal is singular
            for right, wrong in zip(expected, found, strict=True):
                scale = max(1.0, float(np.abs(right).max(initial=0.0)))
                if float(np.abs(right - wrong).max(initial=0.0)) > 1e-3 * scale:
                    return True
    return False


def derivatives(op: Any, call: Sample, order: int) -> list[Any]:
    """The gradients of a call by its arrays of floats; at second order those of these gradients, which depend on the
    gradient by the result too."""
    named = {n: v for n, v in call.kwargs.items() if n in op.differentiable}
    flat = tree_leaves([list(call.args), named])
    chosen = [i for i, v in enumerate(flat) if isinstance(v, np.ndarray) and v.dtype.kind in "fc"]

    def function(*parts: Any) -> list[Any]:
        new = list(flat)
        for i, part in zip(chosen, parts, strict=True):
            new[i] = part
        stream = iter(new)
        args, options = tree_map(lambda _: next(stream), [list(call.args), named])
        found = op(*args, **{**call.kwargs, **options})
        return [t for t in tree_leaves(found) if isinstance(t, tn.Tensor) and t.dtype.kind in "fc"]

    points = [flat[i] for i in chosen]
    rng = np.random.default_rng(0)

    def random(like: list[Any]) -> list[Any]:
        parts = [rng.normal(size=t.shape) + (1j * rng.normal(size=t.shape) if t.dtype.kind == "c" else 0) for t in like]
        return [np.asarray(p, t.dtype) for p, t in zip(parts, like, strict=True)]

    if not points:
        return []
    outs, pull = vjp(function, *points)
    if not outs:
        return []
    weights = random(outs)
    found = pull(weights)
    first = list(found) if isinstance(found, tuple) else [found]
    if order == 1:
        return [t.data for t in first]

    def gradients(*parts: Any) -> list[Any]:
        again = vjp(function, *parts[: len(points)])[1](list(parts[len(points) :]))
        return list(again) if isinstance(again, tuple) else [again]

    found = vjp(gradients, *points, *weights)[1](random(first))
    return [t.data for t in (found if isinstance(found, tuple) else [found])]


def check(case: Case) -> None:
    """The check of an op fails on a mutant that is wrong, and passes on the same op with its right rule."""
    if case.kind != "right" and not really_wrong(case):
        return
    try:
        check_op(mutant(*case), skip=("jvp", "vmap", "compile", "threads", "drawing"))
    except (AssertionError, *_FAILURES):
        if case.kind == "right":
            raise
    else:
        assert case.kind == "right", "check_op passes, though the rule is wrong"
