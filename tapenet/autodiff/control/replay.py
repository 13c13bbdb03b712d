"""Runs what a capture recorded again: on arrays, op by op, or on tensors, so that it is recorded once more."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.backward import value_of
from tapenet.autodiff.node import Node, Output, Traced
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.record import where
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.failures import explain
from tapenet.ops.op import Op
from tapenet.program.arguments import refilled
from tapenet.typing import Array

#: The argument of a random op by which it is given what it drew before.
DRAWN = "values_drawn"


class _Ref(NamedTuple):
    """One of the values that an op returned: the op's place, and which."""

    place: int
    which: int


class _Sequence(NamedTuple):
    """A list or tuple with references inside."""

    like: Sequence[object]
    parts: list[object]


class _Step(NamedTuple):
    """One op: its arguments, with references for those that vary, and the values that nobody reads after it."""

    op: Op
    positional: list[object]
    keyword: dict[str, object]
    spent: list[int]


def current(outside: Traced) -> Array:
    """The array of a tensor from outside the tape, as it is by now."""
    data: Array = outside.tensor._data
    return data


class Replay:
    """The ops of a capture made ready to run on other values.

    Nothing is recorded, and effects happen as they did: writes go to the storage that was written, and numbers of the
    host are asked for anew.
    """

    def __init__(self, nodes: Iterable[Node], results: Iterable[Traced | Array], inputs: Sequence[Node] = ()) -> None:
        """Read the nodes.

        Args:
            nodes: a capture's nodes in order.
            results: what to return: the `Traced` of it, or plain values.
            inputs: nodes that stand for values given at each run.
        """
        self._places: dict[Node, int] = {node: i for i, node in enumerate(inputs)}
        self._steps: list[_Step] = []
        for node in nodes:
            if isinstance(node, Output):
                continue
            call = node.call
            assert call is not None, "a capture keeps what each op was called with"
            args, options = node.op.spread(call)
            self._steps.append(
                _Step(
                    node.op, list(map(self._reference, args)), {n: self._reference(v) for n, v in options.items()}, []
                )
            )
            self._places[node] = len(self._places)
        made = len(self._steps)
        last: dict[int, int] = {}
        for i, step in enumerate(self._steps):
            last[len(self._places) - made + i] = i  # read by none
            last |= dict.fromkeys(_read([*step.positional, *step.keyword.values()]), i)
        self._results = [self._reference(value) for value in results]
        kept = set(_read(self._results))
        for place, i in last.items():
            if place not in kept:
                self._steps[i].spent.append(place)

    def _reference(self, value: object) -> object:
        if isinstance(value, Traced):
            if value.node is None:
                return value
            node, index = output(value.node)
            if node not in self._places:
                raise escaped(node)
            return _Ref(self._places[node], index)
        if isinstance(value, (list, tuple)) and value:
            parts = [self._reference(v) for v in value]
            if any(type(p) in (_Ref, _Sequence, Traced) for p in parts):
                return _Sequence(value, parts)
        return value

    def __call__(self, given: Iterable[Array], outside: Callable[[Traced], Array] = current) -> list[Array]:
        """Run the ops.

        Args:
            given: the arrays for the inputs.
            outside: says what a tensor from outside the tape is by now.
        """
        values: list[Any] = [(array,) for array in given]
        with np.errstate(all="ignore"):  # the rules among the ops ran without warnings too
            for op, positional, keyword, spent in self._steps:
                args = [_fetch(p, values, outside) for p in positional]
                options = {name: _fetch(p, values, outside) for name, p in keyword.items()}
                try:
                    out = op.forward(*args, **options)
                except Exception as error:
                    explain(op, (*args, *options.values()), error, where())
                values.append(tuple(map(np.asarray, out)) if isinstance(out, tuple) else (np.asarray(out),))
                for place in spent:
                    values[place] = None
        return [_fetch(part, values, outside) for part in self._results]


def _fetch(part: Any, values: list[Any], outside: Callable[[Traced], Array]) -> Any:
    """What a part of an argument stands for."""
    kind = type(part)
    if kind is _Ref:
        return values[part.place][part.which]
    if kind is Traced:
        return outside(part)
    if kind is _Sequence:
        return refilled(part.like, [_fetch(p, values, outside) for p in part.parts])
    return part


def _read(parts: Iterable[object]) -> Iterator[int]:
    """The places that references are to."""
    for part in parts:
        if type(part) is _Ref:
            yield part.place
        elif type(part) is _Sequence:
            yield from _read(part.parts)


def escaped(node: Node) -> CaptureError:
    """The error where a value is used that only existed inside of a loop's body, or of a branch."""
    return CaptureError(
        f"the result of op {node.name!r} ({node.spec}), made inside the body of a captured loop or branch, is used outside "
        "of it, or in another: return it from the function; of a loop, as an output or in the carry"
    )


def is_constant(data: Array) -> bool:
    """Whether nobody can write to an array."""
    return data.base is None and not data.flags.writeable


def output(node: Node) -> tuple[Node, int]:
    """The op whose value a node is, and which of its outputs."""
    return (node.source_node, node.index) if isinstance(node, Output) else (node, 0)


def record_again(
    nodes: Iterable[Node],
    results: Iterable[Traced | Array],
    ends: Iterable[Node | None],
    given: Mapping[Node, Tensor],
    drawn: Mapping[Node, Mapping[int, Tensor]],
) -> list[Tensor]:
    """Call the ops of a capture on tensors. What had no gradient at the capture gets none.

    Args:
        nodes: a capture's nodes in order.
        results: what to return.
        ends: what the gradient of each result flowed to at the capture; None for what was detached.
        given: the tensors for the inputs.
        drawn: for each random op what it gave, by output, as far as that is used. Nothing is drawn anew.

    Returns:
        the results as tensors, connected with what was given.
    """
    values = {(node, 0): tensor for node, tensor in given.items()}

    def look_up(node: Node | None) -> Tensor:
        assert node is not None
        source, index = output(node)
        if (source, index) not in values:  # a residual: what the op's new node has of it
            made: Any = values[source, 0].node
            name = source.op.residuals[index - (source.op.outputs or 0)]
            found = value_of(made.source_node if isinstance(made, Output) else made, name, Tensor)
            values[source, index] = found if isinstance(found, Tensor) else Tensor._of(found)
        return values[source, index]

    for node in nodes:
        op, call = node.op, node.call
        if call is None:  # one output of an op with several
            continue
        known = drawn.get(node)
        if known is not None:
            values.update({(node, i): tensor for i, tensor in known.items()})
            if not (known and node.parents):
                continue
        # An argument that got no gradient at the capture gets none now: it may have been detached.
        args = {
            name: _argument(
                look_up,
                value,
                getattr(node, name + "_node", None) if name in op.differentiable else None,
                name in op.inputs,
            )
            for name, value in call.items()
        }
        if known is not None:
            op = drawn_op(op)
            args[DRAWN] = [known[i] for i in range(len(known))]
        out = op.apply(op, args)
        values.update({(node, i): tensor for i, tensor in enumerate(out if isinstance(out, tuple) else (out,))})
    return [
        _argument(look_up, r, end, False) if isinstance(r, Traced) else Tensor._of(r)
        for r, end in zip(results, ends, strict=True)
    ]


def _argument(look_up: Callable[[Node | None], Tensor], value: object, parent: Any, is_input: bool) -> Any:
    """An argument of a call that is made again on tensors."""
    if isinstance(value, Traced):
        tensor = look_up(value.node)
        return tensor.detach() if parent is None else tensor
    if isinstance(value, (list, tuple)) and value:
        parents = [None] * len(value) if parent is None else parent
        return refilled(value, [_argument(look_up, v, p, is_input) for v, p in zip(value, parents, strict=True)])
    if is_input and isinstance(value, np.ndarray) and is_constant(value):
        return Tensor._of(value)  # as it was: an op on arrays alone would not be recorded
    return value


@functools.cache
def drawn_op(op: Op) -> Op:
    """A random op that is given what it drew before: its outputs and residuals."""
    return op.replace(
        forward=_Drawn(op),
        nondiff=op.nondiff | {DRAWN},
        random=False,
        lower=None,
        reference=None,
        numpy=(),
        module=__name__,
    )


class _Drawn:
    """The forward of such an op."""

    def __init__(self, op: Op) -> None:
        own = inspect.signature(op.forward)
        drawn = inspect.Parameter(DRAWN, inspect.Parameter.KEYWORD_ONLY)
        self.__signature__ = own.replace(parameters=[*own.parameters.values(), drawn])
        self.op = op
        self.one = op.outputs == 1 and not op.residuals

    def __call__(self, *args: object, **options: Any) -> object:
        drawn = options[DRAWN]
        return drawn[0] if self.one else tuple(drawn)
