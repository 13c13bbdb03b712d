"""Gradients of a graph that is recorded already."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TypeVar, overload

import numpy as np

from tapenet.autodiff import backward as driver
from tapenet.autodiff.gradients import ONE_OWNER, conj_cotangent, owns_memory
from tapenet.autodiff.node import Leaf, Node
from tapenet.autodiff.observe import zero_gradients
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.program.trees import Structure, flatten
from tapenet.typing import Array

T = TypeVar("T")


def gradients_of(
    ends: Sequence[Tensor], nodes: Sequence[Node | None], found: dict[Node, Any], zeros: bool = True
) -> list[Tensor | None]:
    """The gradients that the driver found by tensors, as users see them, taken out of `found`. Where there is none zeros, or
    None."""
    last = {node: i for i, node in enumerate(nodes)}
    made: list[Tensor | None] = []
    for i, (end, node) in enumerate(zip(ends, nodes, strict=True)):
        if node is None or node not in found:
            made.append(Tensor._of(np.zeros(end.shape, end.dtype)) if zeros else None)
        else:
            made.append(_seen(found.pop(node) if last[node] == i else found[node]))
    return made


def _seen(g: Array | Tensor) -> Tensor:
    """A gradient as users see it: in an array that belongs to nobody else, as that of a leaf (`accumulate_grad`)."""
    if not isinstance(g, Tensor):
        g = Tensor._of(g if sys.getrefcount(g) <= ONE_OWNER and owns_memory(g) else np.array(g))
    made: Tensor = conj_cotangent(g)
    return made


@overload
def gradients(
    outputs: object,
    inputs: Tensor,
    grad_outputs: object = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    unused: str = "error",
) -> Tensor: ...


@overload
def gradients(
    outputs: object,
    inputs: object,
    grad_outputs: object = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    unused: str = "error",
) -> Any: ...


@boundary
def gradients(
    outputs: object,
    inputs: object,
    grad_outputs: object = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    unused: str = "error",
) -> object:
    """The gradients of the sum of outputs by inputs, which are tensors of the graph that was recorded: leaves, or what was
    computed on the way. Nothing is added to any `.grad`.

    Args:
        outputs: a tensor, or a tree of them (`tn.tree`).
        inputs: a tensor, or a tree of them; of a module its parameters.
        grad_outputs: the gradient by each output, of its shape, in a tree or sequence as the outputs; where it is None the
            output has one element, and it is 1.
        retain_graph: keep saved arrays for another backward pass; by default as `create_graph`.
        create_graph: record the gradients, so that they can be differentiated.
        unused: what to give for an input that no output depends on: an "error", "none" for None, or "zeros".

    Returns:
        the gradients, in the structure of `inputs`; of a module a dict by parameter name.

    Raises:
        RuntimeError: no gradient flows to an input, or an earlier backward pass released the graph.
        ValueError: a gradient by an output is missing, or of another shape.

    >>> import tapenet as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> y = x**2
    >>> tn.gradients((y**2).sum(), [x, y])
    [Tensor([ 4., 32.]), Tensor([2., 8.])]
    >>> net = tn.nn.Linear(2, 1)
    >>> tn.gradients(net([1.0, 2.0]).sum(), net)
    {'weight': Tensor([[1., 2.]], dtype=float32), 'bias': Tensor([1.], dtype=float32)}
    """
    if unused not in ("error", "none", "zeros"):
        raise ValueError(f"tn.gradients: unused={unused!r} must be 'error', 'none' or 'zeros'")
    ends, form = flatten(inputs)
    outs, of_outs = flatten(outputs)
    seeds = _seeds(grad_outputs, of_outs)
    for out, path in zip(outs, of_outs.paths("outputs"), strict=True):
        if not isinstance(out, Tensor):
            raise TypeError(f"tn.gradients: {path} is {type(out).__name__}, not a tensor")
    for end, path in zip(ends, form.paths("inputs"), strict=True):
        if not isinstance(end, Tensor) or end._node is None:
            raise RuntimeError(
                f"tn.gradients: no gradient flows to {path}: give a tensor with requires_grad=True, or what is computed "
                "from one"
            )
    roots = [(out._node, out._seed(g)) for out, g in zip(outs, seeds, strict=True) if out._node is not None]
    captures = local.state.tape is not None and local.state.tape.captures
    keeps = create_graph if retain_graph is None else retain_graph
    nodes: list[Node] = [end._node for end in ends]
    # A pass stops where it comes to an input: what was computed from another one has a pass of its own.
    passes = [set(nodes)] if all(type(node) is Leaf for node in nodes) else [{node} for node in dict.fromkeys(nodes)]
    found: dict[Node, Array] = {}
    lost: zero_gradients.Lost = []
    for i, only in enumerate(passes):
        found |= driver.run(
            [(node, g if create_graph or captures else g._data) for node, g in roots],
            tensor=Tensor, release=not keeps and i == len(passes) - 1, create_graph=create_graph, only=only, lost=lost,
        )  # fmt: skip
    zero_gradients.warn(lost)
    if unused == "error":
        for end, node, path in zip(ends, nodes, form.paths("inputs"), strict=True):
            if node not in found:
                raise RuntimeError(
                    f"tn.gradients: no output depends on {path}, of shape {end.shape}; unused='none' or 'zeros' allows that"
                )
    made = gradients_of(ends, nodes, found, unused == "zeros")
    return form.build(made)


def _seeds(grad_outputs: object, outputs: Structure) -> Sequence[object]:
    """The gradient by each output; None where none is given."""
    if grad_outputs is None:
        return [None] * outputs.count
    if isinstance(grad_outputs, (list, tuple)) and outputs.kind in (None, list, tuple):
        # None stands for a gradient here, and a list may go with a tuple.
        if len(grad_outputs) == outputs.count:
            return grad_outputs
        if outputs.kind is None:
            raise ValueError(f"tn.gradients: {len(grad_outputs)} gradients for {outputs.count} outputs")
    return outputs.take(grad_outputs, "grad_outputs", ("outputs", "grad_outputs"))
