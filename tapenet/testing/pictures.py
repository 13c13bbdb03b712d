"""What an op says of itself: its documentation, and its picture."""

from __future__ import annotations

from tapenet.autodiff.node import Output
from tapenet.autodiff.tensor import Tensor
from tapenet.drawing import draw
from tapenet.drawing.sources.labels import label
from tapenet.drawing.sources.mathematics import formula, gradient_rules
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op
from tapenet.testing.cases import Case


def documentation(op: Op | Derived) -> None:
    """It is there, and formula and rules can be written."""
    doc = op.__doc__ or ""
    assert doc.strip(), f"{op!r} has no documentation: give doc= or a docstring"
    if isinstance(op, Op):
        assert formula(op).strip(), f"{op!r}: formula= is empty"
        empty = [name for name, text in gradient_rules(op).items() if not text.strip()]
        assert not empty, f"{op!r}: gradients= says nothing of {empty[0]!r}"


def drawing(case: Case, order: int) -> None:
    """A picture of a call, with the op's label on it."""
    op = case.op
    if not isinstance(op, Op) or op.effect or not case.points:
        return
    outs = case.floats(*(Tensor._of(p).requires_grad_() for p in case.points))
    nodes = [t._node.source_node if isinstance(t._node, Output) else t._node for t in outs if t._node is not None]
    if not nodes or nodes[0].op is not op:
        return
    text = label(nodes[0])
    assert text.strip(), f"{op!r}: label= gives no text"
    titles = [v.title for v in draw(tuple(outs), compact=False, budget=None).drawing.vertices]
    assert any(text in title or title in text for title in titles), (
        f"{op!r}: a drawing shows {titles}, and not {text!r}"
    )
