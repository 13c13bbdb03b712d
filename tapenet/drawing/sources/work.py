"""How much an op on a tape computes."""

from __future__ import annotations

from collections.abc import Mapping

from tapenet.autodiff.node import Constant, Node, Traced


def multiply_adds(node: Node, inputs: Mapping[str, object]) -> int:
    """Multiplications with an addition in the forward of a node, as `tn.profile` counts them; 0 if its op does not say.

    Args:
        node: the op.
        inputs: `node.inputs`.

    >>> import tapenet as tn
    >>> x = tn.tensor([[1.0, 2.0]], requires_grad=True)
    >>> multiply_adds((x @ x.T).node, (x @ x.T).node.inputs)
    2
    """
    op = node.op
    if op.multiply_adds is None:
        return 0
    known = {**node.options, "out_shape": node.shape}
    known |= {f"{name}_shape": _shape(value) for name, value in inputs.items()}
    return int(op.multiply_adds(*(known[name] for name in op.count_needs)))


def _shape(value: object) -> object:
    if isinstance(value, (tuple, list)) and not isinstance(value, (Constant, Traced)):
        return tuple(map(_shape, value))
    return getattr(value.data if isinstance(value, Traced) else value, "shape", None if value is None else ())
