"""The derivatives of an op against finite differences: gradients, those of inputs that broadcast, and forward mode."""

from __future__ import annotations

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import Op
from tapenet.ops.shapes.broadcast_views import broadcasts_to
from tapenet.program.trees import tree_leaves, tree_map
from tapenet.testing.cases import Case
from tapenet.testing.gradients import GradientMismatch, check_orders, floats, is_float, random_like
from tapenet.testing.mistakes import FORMULA, Mistake, of_values
from tapenet.testing.rules import Rules
from tapenet.transforms.forward import jvp as push_forward
from tapenet.typing import Array


def rules(case: Case, order: int) -> None:
    """Each rule by itself, and inputs that have none."""
    op = case.op
    if not isinstance(op, Op) or op.effect:
        return
    _nothing_forgotten(op, case)
    if flows(case):
        Rules(op, case).check()
        if op.jvp is not None and not case.random:
            _check_direction(case, "jvp=")


def flows(case: Case) -> bool:
    """Whether there is anything to differentiate, and by."""
    return bool(case.points) and bool(case.floats(*map(Tensor._of, case.points)))


def _nothing_forgotten(op: Op, case: Case) -> None:
    """Raise if the result depends on an array for which the op has no rule, and says nothing of that."""
    for name, value in case.arguments().items():
        if name in op.inputs or not op.differentiable or not any(map(is_float, tree_leaves(value))):
            continue
        pairs = zip(_with(op, case, name, 1e-5), _with(op, case, name, -1e-5), strict=True)
        if any(is_float(a) and np.abs(a - b).max(initial=0.0) > 1e-8 for a, b in pairs):
            raise GradientMismatch(
                f"{op.name}: the result depends on {name!r}, which has no gradient rule. Likely cause: a forgotten input: give "
                f"the rule, {name}=lambda g: ...; or declare nondiff=({name!r},) where no gradient is wanted",
                "forgotten input",
            )


def _with(op: Op, case: Case, name: str, step: float) -> list[Array]:
    """The results where one argument is a little larger."""
    arguments = {a.name: a.default for a in op.arguments} | case.arguments()
    moved = tree_map(lambda leaf: leaf + step if is_float(leaf) else leaf, arguments[name])
    case.seed()
    return [np.asarray(v) for v in tree_leaves(op.apply(op.returning, {**arguments, name: moved}))]


def gradients(case: Case, order: int) -> None:
    """Gradients of each order."""
    op = case.op
    if not flows(case) or (isinstance(op, Op) and op.effect):
        return
    stated = Rules(op, case) if isinstance(op, Op) else None

    def cause(point: int, level: int) -> Mistake | None:
        if stated is None:
            return None
        if level == 1:
            return stated.mistake(case.inputs[point])
        return None

    check_orders(case, case.points, case.whats, op.name, order, causes=cause, meant=case.meant)


def broadcasting(case: Case, order: int) -> None:
    """Where the forward broadcasts its inputs, each against the others, their gradients have their own shapes."""
    op = case.op
    if not isinstance(op, Op) or op.effect or op.random or len(set(case.inputs)) < len(case.points) or not flows(case):
        return
    smaller = [[(i, part) for part in _smaller(p)] for i, p in enumerate(case.points)]
    outs = case.floats(*map(Tensor._of, case.points))
    if not all(broadcasts_to(p.shape, t.shape) for p in case.points for t in outs):
        return  # it is not computed element by element
    if len(smaller) < 2 or not all(smaller) or not all(_broadcasts(case, *parts[0]) for parts in smaller):
        return
    for i, part in [each for parts in smaller for each in parts]:
        if _broadcasts(case, i, part):
            other = case.at([*case.points[:i], part, *case.points[i + 1 :]])
            try:
                Rules(op, other).check()
                gradients(other, 1)
            except Exception as error:
                error.add_note(f"where {case.whats[i]} has shape {part.shape}, which the forward broadcasts")
                raise


def _smaller(p: Array) -> list[Array]:
    """An array with a part of itself in place of the whole, which broadcasts to its shape: an axis of length 1, or none."""
    long = [i for i, n in enumerate(p.shape) if n > 1]
    return [np.take(p, [0], long[0]), p[0]] if long and p.size else []


def _broadcasts(case: Case, i: int, part: Array) -> bool:
    """Whether the forward takes a smaller array as if it was repeated."""
    before, after = case.points[:i], case.points[i + 1 :]
    try:
        found = case(*before, part, *after)
    except Exception:  # it does not take it
        return False
    expected = case(*before, np.broadcast_to(part, case.points[i].shape), *after)
    pairs = zip(tree_leaves(found), tree_leaves(expected), strict=True)
    return all(np.shape(a) == np.shape(b) and np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def jvp(case: Case, order: int) -> None:
    """Forward mode along a random direction."""
    op = case.op
    if not flows(case) or (isinstance(op, Op) and op.effect) or case.random:
        return
    if order > 1:  # without jvp= forward mode is made of the rules, which need derivatives for that
        _check_direction(case, "tn.jvp")


def _check_direction(case: Case, title: str) -> None:
    """Raise a GradientMismatch if the derivative along a random direction is wrong."""
    rng = np.random.default_rng(1)
    tangents = [random_like(rng, p) for p in case.points]
    _, pushed = push_forward(case.floats, tuple(case.points), tuple(tangents))
    eps = 1e-5

    def along(step: float) -> list[Array]:
        moved = [Tensor._of(p + step * v) for p, v in zip(case.points, tangents, strict=True)]
        return [t.data for t in floats(case.meant(*moved))]

    for t, right, left in zip(pushed, along(eps), along(-eps), strict=True):
        expected = (right - left) / (2 * eps)
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        assert t.shape == expected.shape, f"tn.jvp: a tangent of shape {t.shape} for a result of shape {expected.shape}"
        if not np.allclose(t.data, expected, 1e-6, 1e-6 * scale):
            cause = of_values(t.data, expected) or FORMULA
            at = int(np.argmax(np.abs(t.data - expected)))
            raise GradientMismatch(
                f"{case.op.name}: {title} gives a wrong derivative along a direction: expected "
                f"{expected.flat[at]:.8g} (finite difference), got {t.data.flat[at]:.8g} at element {at} of shape {t.shape}. "
                f"Likely cause: {cause.words}",
                cause.kind,
            )
