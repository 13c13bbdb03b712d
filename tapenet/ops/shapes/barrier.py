"""What keeps a compiled program from computing something before its time."""

from __future__ import annotations

from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.program.symbols import Operand, Symbol, array_of, builder_of
from tapenet.typing import Array


def _lower(x: Operand, after: Operand) -> Symbol:
    builder = builder_of(x, after)
    made = builder.emit("barrier", array_of(builder, x).value, array_of(builder, after).value)
    return Symbol(builder, made, shared=True)


@op(
    precision="same",
    x=lambda g: g,
    nondiff=("after",),
    lower=_lower,
    samples=lambda r: [sample(r.normal(size=(2, 3)), r.normal(size=2))],
)
def barrier(x: Array, after: Array) -> Array:
    """The first argument itself, in a compiled program not before the other one is computed: what is computed of it is
    not the same as what was computed of x before, and holds no memory until then.

    Args:
        x: any array.
        after: any array.

    >>> import tapenet as tn
    >>> tn.ops.barrier(tn.tensor([1.0, 2.0]), tn.tensor(0.0))
    Tensor([1., 2.])
    """
    return x
