"""The general recorder: runs an op on any mix of tensors, arrays, sequences and foreign types, with layers around it.

The call that `generate` writes for each op serves what is usual. All else comes here: sequences of tensors, foreign types
that answer `__tapenet_op__`, ops with a number of outputs that varies, and calls while a layer is on that has no quick way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from tapenet.autodiff.aliasing import viewed
from tapenet.autodiff.node import SHAPES, Node, Output, Parents, Traced, constant, intern_shape, next_number
from tapenet.autodiff.observe.layer import CallStep
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops import failures
from tapenet.ops.arguments import PLAIN, answers, as_array, split, wrap
from tapenet.ops.derived import array_like
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.ops.op import Op
from tapenet.ops.registry import is_own
from tapenet.ops.signatures import bind
from tapenet.program.arguments import mapped, refilled
from tapenet.program.low import is_inexact
from tapenet.typing import Array

ndarray = np.ndarray


class Call:
    """One call of an op, filled in step by step. Layers change it before the step below them, and read it after.

    Attributes:
        bound: all arguments by name.
        raw: the same with arrays in place of tensors.
        parents: the nodes that need a gradient by it, by argument.
        tensors: whether there are tensors among the arguments.
        forward: gives the outputs and residuals for `raw`.
        keeps: whether to make a node also of arrays alone, and where no gradient flows.
        full: whether the node has slots for its call and the user's line.
        arrays: the outputs, the first `count`, and the residuals, which may be numbers.
        node: the node, if one was made.
        picks: the nodes of the outputs, where there are several.
        outputs: the tensors that a node was made for.
    """

    __slots__ = (
        "args", "arrays", "bound", "count", "forward", "full", "keeps", "kwargs", "node", "node_class", "op", "outputs",
        "parents", "picks", "raw", "tensors",
    )  # fmt: skip

    def __init__(self, op: Op, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        self.op, self.args, self.kwargs = op, args, kwargs
        self.bound: dict[str, Any] = bind(op, args, kwargs)
        for name, value in self.bound.items():
            if type(value) in (list, tuple) and name in op.differentiable and _unwrap(value, False)[2]:
                self.bound[name] = _stacked(value) if name in op.sequences else array_like(value)
        self.forward: Callable[[Mapping[str, object]], list[Array]] = lambda values: split(op, op.run(values))
        self.tensors = self.keeps = self.full = False
        self.raw: dict[str, Any] = {}
        self.parents: dict[str, Node | Parents] = {}
        self.arrays: list[Array] = []
        self.count = 0
        self.node_class: type[Node] | None = None
        self.node: Node | None = None
        self.picks: list[Output] = []
        self.outputs: list[Tensor] = []

    def unwrap(self) -> None:
        """Take arrays and nodes out of tensors.

        Raises:
            TypeError: a gradient would be wanted where there is no rule.
        """
        op, state = self.op, local.state
        # In a rule, results of an op whose derivative is 0 are constants.
        records = state.grad and not (op.flat and state.rule is not None)
        for name, value in self.bound.items():
            data, parent, is_tensor = _unwrap(value, records)
            self.tensors |= is_tensor
            if parent is not None:
                if not op.differentiable:
                    state.ended = op
                if name in op.differentiable:
                    self.parents[name] = parent
                elif name not in op.nondiff:
                    raise failures.no_rule(op, name)
            elif not is_tensor and _hides_tensors(data):
                raise failures.hidden_tensors(op, name, data)
            if name in op.differentiable and isinstance(data, (list, tuple)) and not is_tensor:
                if name in op.starred:
                    data = tuple(as_array(op, name, v) if isinstance(v, (list, tuple)) else v for v in data)
                else:
                    data = as_array(op, name, data)
            self.raw[name] = data

    def make_node(self) -> Node:
        """A node for the call, with what the rules need for the inputs that have parents."""
        op, arrays, outs = self.op, self.arrays, self.arrays[: self.count]
        kind = self.node_class or (op.full_node_class if self.full else op.node_class)
        node: Node = kind()
        if self.full:
            node.note(call=None, line=None)
        node.number = next_number()
        node.scope = local.state.scope
        node.released = None
        if op.outputs == 1:
            node.shape, node.dtype = intern_shape(arrays[0].shape), arrays[0].dtype
            out: object = arrays[0]
        else:
            node.shape, node.dtype = (
                intern_shape(tuple(getattr(a, what) for a in outs)) for what in ("shape", "dtype")
            )
            out = tuple(outs)
        if self.parents:
            parents = (self.parents.get(name) for name in op.differentiable)
            kind.save(node, *self.raw.values(), *parents, out, *arrays[self.count :])
        return node


#: Has an op run on arrays of 16 bits, once there are any; or answers the call in place of that.
lower: Callable[[Call], object] | None = None


@cache
def _containers() -> ModuleType:
    """The module that takes containers of tensors apart. Loaded when it is first needed."""
    return import_module("tapenet.ops.containers")


def apply(op: Op, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    """Run `op`, with the layers that are on around it."""
    if op.opens and (opened := _containers().opened(op, args, kwargs)) is not None:
        variant, given, options = opened
        return variant(*given, **options)
    layers = local.state.layers
    quick = layers[0].quick(op) if len(layers) == 1 else None
    result = layered(op, args, kwargs) if quick is None else quick(op, *args, **kwargs)
    return result if local.state.lifted is None else viewed(op, args, kwargs, result)


def layered(op: Op, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    """Run `op`, each layer around those below it."""
    step: CallStep = record
    for layer in reversed(local.state.layers):
        step = layer.call(step)
    return step(Call(op, args, kwargs))


def record(call: Call) -> object:
    """Run an op, and record it where a gradient or a layer needs it."""
    op, state = call.op, local.state
    foreign = _foreign(op, call.bound)
    for value in foreign:
        answer: object = value.__tapenet_op__(op, call.args, call.kwargs)
        if answer is not NotImplemented:
            return answer
    if foreign:
        raise failures.declined(op, foreign)
    call.unwrap()
    if lower is not None and (answer := lower(call)) is not None:
        return answer
    try:
        results = call.forward(call.raw)
    except Exception as error:
        failures.explain(op, tuple(call.raw.values()), error, where())
    call.count = count = len(results) - len(op.residuals)
    if not call.tensors and not call.keeps:
        return results[0] if op.outputs == 1 else op.several(results[:count])
    outs = [r if type(r) is ndarray else wrap(op, r) for r in results[:count]]
    call.arrays = arrays = [*outs, *results[count:]]  # rules get residuals as the forward gives them
    flows = [i not in op.nondiff_outputs and is_inexact(arrays[i].dtype) for i in range(count)]
    if call.parents and not any(flows):
        state.ended = op
        call.parents = {}
    if state.rule is not None and any(flows) and not (op.flat or is_own(op)):
        _check_derivative(call)
    if not call.parents and not call.full:
        tensors = [Tensor._of(a) for a in arrays[:count]]
        return tensors[0] if op.outputs == 1 else op.several(tensors)
    call.node = node = call.make_node()
    if op.outputs == 1:
        call.outputs = [Tensor._of(arrays[0], node if call.parents else None)]
        return call.outputs[0]
    for i, array in enumerate(arrays[:count]):
        pick = None
        if call.full or i not in op.nondiff_outputs:
            pick = Output(node, i, array)
            call.picks.append(pick)
        call.outputs.append(Tensor._of(array, pick if call.parents and flows[i] else None))
    return op.several(call.outputs)


def _check_derivative(call: Call) -> None:
    """Raise if an op of the user's in a rule cuts the derivative of that rule."""
    for name in call.bound:
        if name in call.op.nondiff and local.state.grad and _unwrap(call.bound[name], True)[1] is not None:
            assert local.state.rule is not None
            raise failures.no_derivative(call.op, name, local.state.rule.name)


def where() -> str:
    """The module that is running, in words."""
    scope = local.state.scope
    path = scope.path or next((type(m).__name__ for m in scope.modules), "")
    return f" in {path}" if path else ""


# -- results -----------------------------------------------------------------------------------------------------


def shape_of(value: Any) -> Any:
    """What a rule gets as NAME_shape: a shape, or those of a sequence's parts."""
    if type(value) is ndarray:  # most are
        return SHAPES.get(value.shape) or intern_shape(value.shape)
    if isinstance(value, (list, tuple)):
        shape: tuple[object, ...] = tuple([v.shape if type(v) is ndarray else np.shape(v) for v in value])
    else:
        shape = np.shape(value)
    return SHAPES.get(shape) or intern_shape(shape)


def dtype_of(value: object) -> object:
    """What a rule gets as NAME_dtype."""
    if type(value) is ndarray:
        return value.dtype
    if isinstance(value, (list, tuple)):
        return intern_shape(tuple(np.asarray(v).dtype for v in value))
    return np.asarray(value).dtype


# -- arguments ---------------------------------------------------------------------------------------------------


def sequence(value: object) -> tuple[type | None, Sequence[object] | None, Parents | None]:
    """What a call needs of a list or tuple of tensors and plain values: a type that says that there are tensors, the
    arrays, and the nodes that need gradients. Three times None for anything else."""
    if type(value) is not list and type(value) is not tuple:
        return None, None, None
    data = []
    nodes = []
    tensors = False
    for v in value:
        kind = type(v)
        if kind is Tensor:
            tensors = True
            data.append(v._data)
            nodes.append(v._node)
        elif kind in PLAIN:
            data.append(v)
            nodes.append(None)
        else:
            return None, None, None
    if not tensors:
        return None, None, None
    missing = nodes.count(None)
    if missing == len(nodes):
        return Tensor, type(value)(data), None
    parents = Parents(nodes)
    parents.constants = _constants(data, nodes) if missing else ()
    return Tensor, type(value)(data), parents


def _unwrap(value: object, grad: bool) -> tuple[Any, Any, bool]:
    """A value with its tensors replaced by arrays, the node(s) that need its gradient, whether it held tensors."""
    if type(value) is Tensor:
        return value._data, value._node if grad else None, True
    if isinstance(value, (list, tuple)) and value:
        parts = [_unwrap(v, grad) for v in value]
        if any(p[2] for p in parts):
            data = [p[0] for p in parts]
            nodes = Parents(p[1] for p in parts)
            if all(n is None for n in nodes):
                return refilled(value, data), None, True
            nodes.constants = _constants(data, nodes)
            return refilled(value, data), nodes, True
    if type(value) not in PLAIN:
        check_unmasked(value)
    return value, None, False


def _constants(data: Sequence[object], nodes: Sequence[Node | None]) -> tuple[object, ...]:
    """What stands at each position that has no node."""
    return tuple([constant(d) if n is None else None for d, n in zip(data, nodes, strict=True)])


def trace(value: object) -> object:
    """A value with its tensors replaced by `Traced`."""
    return mapped(lambda v: Traced(v, v._trace, v._data) if type(v) is Tensor else v, value)


def _stacked(value: Any) -> Any:
    """A sequence of arrays, each part that is a sequence itself as one array."""
    return type(value)(array_like(v) if type(v) in (list, tuple) else v for v in value)


def _foreign(op: Op, bound: dict[str, object]) -> list[Any]:
    found: dict[type, object] = {}
    for name in op.inputs:
        value = bound[name]
        for v in value if isinstance(value, (list, tuple)) else (value,):
            kind = type(v)
            if kind is not Tensor and kind not in found and answers(kind):
                found[kind] = v
    return list(found.values())


def _hides_tensors(value: Any) -> bool:
    """Whether there is a tensor in a dict or dataclass, by itself or inside a list or tuple."""
    kind = type(value)
    if kind is Tensor:
        return True
    if kind is list or kind is tuple:
        return any(map(_hides_tensors, value))
    if isinstance(value, dict):
        return any(map(_hides_tensors, value.values()))
    fields = getattr(kind, "__dataclass_fields__", None)
    return fields is not None and any(_hides_tensors(getattr(value, name, None)) for name in fields)
