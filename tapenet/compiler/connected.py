"""Calls of a compiled function that are part of a graph: its program is one node, whose gradient is a compiled function too.

The gradient is that of the recorded function: rules that ops state, and whatever else decides about gradients, hold. Its
function computes the values anew, in one program with their gradients. Of higher order it is a node in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tapenet import ops
from tapenet.autodiff import backward
from tapenet.autodiff.control.body import zeros
from tapenet.autodiff.gradients import NO_GRADIENT
from tapenet.autodiff.node import Leaf, Node
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.state import enable_grad, local
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.capture import taken_apart
from tapenet.compiler.signature import Call, is_array, rebuild
from tapenet.compiler.variant import Result, Variant, hooks
from tapenet.ops.op import op
from tapenet.program.low import is_inexact
from tapenet.program.trees import flatten
from tapenet.typing import Array

#: A function of positional arguments, arguments by name, and the gradients by its results (None for what has none).
Pulled = Callable[[Sequence[object], Mapping[str, object], Sequence[object]], list[Tensor]]


class Linked:
    """A kind of call whose values and gradients are those of programs.

    Attributes:
        variant: the program.
    """

    def __init__(self, variant: Variant, call: Call, flows: Sequence[bool], compiled: Callable[..., Any]) -> None:
        """Link a program with the graph around its calls.

        Args:
            variant: a program that `fits`.
            call: a call of the kind.
            flows: through which of its results gradients flow; maybe none.
            compiled: gives the compiled gradient by arrays among the arguments and leaves, see `gradient_of`.
        """
        self.variant = variant
        self._flows = flows
        self._leaves = [r.tensor for r in variant.captured.references if type(r.tensor._node) is Leaf]
        needs = [type(t) is Tensor and t._node is not None and is_inexact(t.dtype) for t in call.given]
        self._wanted = [i for i, flag in enumerate(needs) if flag]
        #: The arguments, without the arrays among them.
        leaves, self._structure = flatten((call.args, call.kwargs), stands=False)
        self._static = [_ARRAY if is_array(leaf) else leaf for leaf in leaves]
        self._pulled = compiled(self._wanted, self._leaves)

    def run(self, call: Call) -> object:
        """The result of a call, recorded as one node if gradients flow through it."""
        if not any(self._flows):
            return self.variant.on(call.arrays, ())
        given = [t if type(t) is Tensor else Tensor._of(a) for t, a in zip(call.given, call.arrays, strict=True)]
        outs: Sequence[Tensor] = compiled_op([*given, *self._leaves], linked=self)

        def result(part: object) -> object:
            if type(part) is not Result:
                return part
            out = outs[part.output]
            return out._data if part.plain else out if self._flows[part.output] else Tensor._of(out._data)

        plan = self.variant.plan
        return plan.structure.build([result(part) for part in plan.results])

    @property
    def title(self) -> str:
        """What the function is called."""
        return self.variant.title

    def values(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        """The results for arrays, in the order of the program's."""
        found: dict[int, Array] = {}
        result = self.variant.on(arrays[: len(arrays) - len(self._leaves)], ())
        for part, value in zip(self.variant.plan.results, flatten(result, stands=False)[0], strict=True):
            if type(part) is Result:
                found[part.output] = value._data if type(value) is Tensor else value
        return tuple(found[i] for i in range(len(found)))

    def gradients(self, gs: Sequence[object], inputs: Sequence[object]) -> tuple[object, ...]:
        """The gradients by the inputs, as a rule gives them."""
        given = iter(inputs)
        args, kwargs = self._structure.build([next(given) if v is _ARRAY else v for v in self._static])
        seeds = [g if flag else None for g, flag in zip(gs, self._flows, strict=True)]
        on_tensors = any(type(v) is Tensor for v in (*seeds, *inputs))
        pulled = self._pulled.in_graph if on_tensors else self._pulled
        found = pulled(args, kwargs, seeds)
        places = [*self._wanted, *range(len(inputs) - len(self._leaves), len(inputs))]
        by_place = {i: t if on_tensors else t._data for i, t in zip(places, found, strict=True)}
        return tuple(by_place.get(i, NO_GRADIENT) for i in range(len(inputs)))


@dataclass(slots=True)
class InGraph:
    """What is known of a kind of calls that are part of a graph.

    Attributes:
        flows: through which of the arrays among the results gradients flow.
        linked: its programs.
        plain: why it runs uncompiled; "" where it does not.
    """

    flows: list[bool]
    linked: list[Linked] = field(default_factory=list)
    plain: str = ""


#: Stands for an array among the arguments.
_ARRAY = object()


def fits(variant: Variant) -> bool:
    """Whether a program only computes its results, and of what a graph follows."""
    program, plan = variant.captured, variant.plan
    beside = program.writes or program.hosts or plan.absent or plan.entries or plan.grads or plan.written
    if beside or variant.redone is not None or any(i.stays for i in program.body):
        return False
    nodes = [r.tensor._node for r in program.references]
    return all(node is None or (type(node) is Leaf and not hooks(node)) for node in nodes)


def flows_of(result: object) -> list[bool]:
    """Through which of the tensors in a result gradients flow, as they are ordered in a program."""
    outs: list[Tensor] = []
    taken_apart(result, outs)
    return [t._node is not None for t in outs]


def gradient_of(fn: Callable[..., object], title: str, wanted: Sequence[int], leaves: Sequence[Tensor]) -> Pulled:
    """What pulls gradients back through a function.

    Args:
        fn: the function.
        title: what it is called.
        wanted: which arrays among its arguments the gradients are by.
        leaves: the tensors from outside that they are by too.
    """

    def pulled(args: Sequence[object], kwargs: Mapping[str, object], gs: Sequence[object]) -> list[Tensor]:
        outer = local.state.grad
        given: list[Tensor] = []

        def inner(t: Tensor) -> Tensor:
            if len(given) in wanted:  # a node of its own, at which gradients end
                t = ops.alias(t) if outer and t._node is not None else t.detach()._require()
            given.append(t)
            return t

        outs: list[Tensor] = []
        with enable_grad():
            taken_apart(
                fn(*(rebuild(a, inner) for a in args), **{n: rebuild(v, inner) for n, v in kwargs.items()}), outs
            )
        on_tensors = outer or capturing() is not None
        roots: list[tuple[Node, Tensor | Array]] = [
            (t._node, g if on_tensors else g._data)
            for t, g in zip(outs, gs, strict=True)
            if t._node is not None and type(g) is Tensor
        ]
        ends = [*(given[i] for i in wanted), *leaves]
        nodes = {t._node for t in ends if t._node is not None}
        found = dict(backward.run(roots, tensor=Tensor, release=False, create_graph=outer, only=nodes))
        gradients: list[Any] = [None if t._node is None else found.get(t._node) for t in ends]
        return [
            zeros(t._data) if g is None else g if type(g) is Tensor else Tensor._of(g)
            for t, g in zip(ends, gradients, strict=True)
        ]

    pulled.__name__ = pulled.__qualname__ = f"gradient of {title}"
    return pulled


def _values(inputs: Sequence[Array], linked: Linked) -> tuple[Array, ...]:
    return linked.values(inputs)


def _gradients(g: Sequence[object], inputs: Sequence[object], linked: Linked) -> tuple[object, ...]:
    return linked.gradients(g, inputs)


compiled_op = op(
    _values,
    name="compiled",
    outputs=None,
    inputs=_gradients,
    precision="same",
    tell_unused=True,
    label=lambda linked, **_: linked.title,
    formula="function(inputs)",
    gradients="inputs: by the program of the function's gradient",
    doc="""A call of a compiled function in a graph.

    Args:
        inputs: the arrays among its arguments, then the leaves that it reads from outside.
        linked: its programs.

    Returns:
        the arrays among its results.
    """,
)
