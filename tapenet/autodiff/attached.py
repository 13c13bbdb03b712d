"""Values that were computed in whatever way, with a gradient rule of their own: a node of the tape for all of them.

The rules of whole functions are recorded so: of what is recomputed in the backward pass, of functions with rules by the
user, of what a solver found.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapenet.autodiff import backward
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.gradients import NO_GRADIENT
from tapenet.autodiff.node import Node
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import op
from tapenet.program.functions import Function
from tapenet.program.low import is_inexact
from tapenet.typing import Array


class Rule:
    """How gradients get from the values to what they were computed from.

    Attributes:
        name: what to call it on drawings.
    """

    name: str

    def pull(
        self, inputs: list[Tensor], kept: list[Tensor], outs: list[Tensor], gs: list[Tensor | None]
    ) -> Sequence[Tensor | None]:
        """The gradient by each of the inputs, None for zeros. Where a further derivative is wanted (gradients are recorded
        then), the inputs and the values are connected with the graph; what was kept is not.

        Args:
            inputs: what the values were computed from.
            kept: what else was given along.
            outs: the values.
            gs: the gradients by them, None for one that is not used. Of a complex value dL = Re(Σ g dz).
        """
        raise NotImplementedError

    def function(self, inputs: Sequence[Array], outs: Sequence[Array], kept: Sequence[Array]) -> Function:
        """The values as a function of what they were computed from, of themselves, and of what was kept: for programs.

        Args:
            inputs, outs, kept: examples of these.
        """
        raise NotImplementedError


def attach(rule: Rule, inputs: Sequence[Tensor], outs: Sequence[Tensor], kept: Sequence[Tensor] = ()) -> list[Tensor]:
    """The values as results of one node, with a gradient by the inputs.

    Args:
        rule: gives the gradients.
        inputs: what the values were computed from.
        outs: the values, in no graph. What are no floats stays as it is.
        kept: what the rule needs beside these; released by the backward pass.
    """
    if not (local.state.grad and any(t._node is not None for t in inputs) and any(is_inexact(t.dtype) for t in outs)):
        return list(outs)
    return list(attached_op(list(inputs), list(outs), list(kept), rule))


def gradients(
    ends: Sequence[Node | None], outs: Sequence[Tensor], gs: Sequence[Tensor | None], release: bool
) -> list[Tensor | None]:
    """The gradients by nodes from those by some tensors, for a rule; None for zeros.

    Args:
        ends: where to stop.
        outs, gs: where to begin, with what.
        release: drop what the nodes between have saved.
    """
    create = local.state.grad
    on_tensors = create or capturing() is not None
    roots = [(t._node, g if on_tensors else g._data) for t, g in zip(outs, gs, strict=True) if g is not None]
    found: dict[Node, Array] = dict(
        backward.run(
            [(node, g) for node, g in roots if node is not None],
            tensor=Tensor,
            release=release and not create,
            create_graph=create,
            only={node for node in ends if node is not None},
        )
    )
    pulled = [None if node is None else found.get(node) for node in ends]
    return [g if g is None or isinstance(g, Tensor) else Tensor._of(g) for g in pulled]


def _values(inputs: Sequence[Array], outs: Sequence[Array], kept: Sequence[Array], rule: Rule) -> tuple[Array, ...]:
    return tuple(outs)


def _gradients(
    g: Sequence[Array | None],
    out: Sequence[Array],
    inputs: Sequence[Array],
    kept: Sequence[Array],
    rule: Rule,
) -> tuple[object, ...]:
    on_tensors = any(isinstance(v, Tensor) for v in (*g, *inputs))
    found = rule.pull(
        [asarray(v) for v in inputs],
        [asarray(v) for v in kept],
        [asarray(v) for v in out],
        [None if v is None else asarray(v) for v in g],
    )
    return tuple(NO_GRADIENT if d is None else d if on_tensors else np.asarray(d._data) for d in found)


attached_op = op(
    _values,
    name="attached",
    outputs=None,
    nondiff=("outs", "kept"),
    inputs=_gradients,
    tell_unused=True,
    precision="same",
    label=lambda rule: rule.name,
    formula="outs",
    gradients="inputs: the rule's",
    doc="""Values with a gradient rule of their own; `attach` records it.

    Args:
        inputs: what the values were computed from.
        outs: the values.
        kept: what else the rule needs.
        rule: gives the gradients.

    Returns:
        the values.
    """,
)
