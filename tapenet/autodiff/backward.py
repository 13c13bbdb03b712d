"""The driver: walks a graph from its outputs to its leaves, calling each node's rules once.

Nodes are processed by falling number, so each has its whole gradient before its rules run; nothing recurses. On the
normal path gradients are raw arrays. With `create_graph=True`, and while a step is being captured, the same rules
run on tensors and are recorded themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from heapq import heappop
from importlib import import_module
from operator import attrgetter
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np

from tapenet.autodiff.gradients import Gradients, conj_cotangent
from tapenet.autodiff.node import BaseTensor, Leaf, Node, Output, Parents, Traced, hooked_nodes
from tapenet.autodiff.observe import mutation, zero_gradients
from tapenet.autodiff.observe.layer import PullStep, of_backward
from tapenet.autodiff.state import local
from tapenet.ops.indexing.row_sparse import RowParts
from tapenet.ops.op import ONCE
from tapenet.ops.registry import is_own
from tapenet.ops.rule_results import GradientError, joint_entry
from tapenet.ops.shapes.reshaping import alias
from tapenet.ops.stack_frames import user_site
from tapenet.program.arguments import elements, refilled
from tapenet.typing import Array

_by_number = attrgetter("number")
#: Where the ops are whose rules do nothing but compute; those of others may run a function of the user's.
COMPUTING = "tapenet.ops."


@np.errstate(all="ignore")  # as a decorator it takes half as long as around a block
def run(
    roots: Sequence[tuple[Node, Any]],
    *,
    tensor: type[BaseTensor],
    release: bool,
    create_graph: bool = False,
    only: set[Node] | None = None,
    lost: zero_gradients.Lost | None = None,
) -> list[tuple[Node, Array]]:
    """Pull gradients from `roots` (nodes with the gradients of their outputs) down to the leaves.

    Args:
        roots: output nodes with their gradients: raw arrays, or tensors where rules run on tensors.
        tensor: the tensor type; given by the caller, since this module knows nodes only.
        release: drop saved arrays as they are used.
        create_graph: run the rules on tensors, recorded for another derivative.
        only: stop at these nodes, and compute nothing that does not lead to one of them.
        lost: takes what `zero_gradients.warn` tells, for which it is time when the gradients are where they belong.

    Returns:
        pairs of a leaf (or a node of `only`) and its gradient.
    """
    state = local.state
    tape = state.tape if state.tape is not None and state.tape.captures else None
    on_tensors = create_graph or tape is not None
    useful = None if only is None else _useful(between([node for node, _ in roots], only), only)
    site = user_site(2) if release else None  # two calls lie between this and the user's, at least
    grads = Gradients(tensor, on_tensors, site, useful)
    for root, g in roots:
        grads.roots += (root,)
        if useful is None or root in useful:
            grads.add(root, g)
    layers = state.layers
    if of_backward and only is None and not (state.tape is not None and state.tape.rehearses):
        layers = (*layers, *of_backward)
    hooked = Node.hooked and len(hooked_nodes) > 0
    plain = not (on_tensors or hooked or only is not None)
    log = state.log if plain and len(layers) == 1 else None
    if log is not None:
        layers = ()  # the loop below tells the profile itself
    plain = plain and not layers  # then the loop calls rules and does nothing else
    grads.by_rows = plain or not (on_tensors or only is not None or any(layer.looks for layer in layers))
    # What pulls the gradient of a node: on arrays or tensors, with the layers around it.
    step: PullStep = partial(_pull_on_tensors, create_graph) if on_tensors else _pull
    if tape is not None and not create_graph and tape.reads_functions():
        step = _read_rules().on_arrays(tape, step)
    for layer in reversed(layers):
        step = layer.pull(step)
    leaves: list[tuple[Node, Any]] = []
    pending, take = grads.pending, grads.pop
    node: Node | None = None
    before = state.grad
    outside = None
    if tape is not None:
        outside, here = tape.line, tape.user_line()  # the line of all that the rules compute
        tape.values.settle()
        tape.line = here
    state.grad = create_graph
    start = perf_counter() if log is not None else 0.0
    try:  # next to what it puts back: nothing fails in between
        while pending:
            node = heappop(pending)[1]
            g = take(node)
            if node.released is not None:
                raise _released(node)
            if mutation.latest > node.number:
                mutation.check(node)
            if plain:
                if log is None:
                    node.pull(g, grads)
                    continue
                if node.number < log.first:
                    log.enter_older(node)
                    start = perf_counter()
                node.pull(g, grads)
                log += (node.number, start, start := perf_counter())
                continue
            if on_tensors:
                g = grads.as_tensor(g)
            if hooked and node in hooked_nodes:
                with _users_code():
                    g = _call_hooks(node, g, grads)
            if only is not None and node in only:
                leaves.append((node, g))
            else:
                step(node, g, grads)
        # What is left are the leaves. Who refers to their gradients is counted: from here on, only this list.
        leaves += [(n, grads.as_tensor(g)) for n, g in grads.items()] if on_tensors else grads.items()
        grads.clear()
        if grads.flat is not None:
            found = zero_gradients.add(grads, leaves, only)
            if lost is not None:
                lost += found
        if hooked:
            for i, (node, g) in enumerate(leaves):
                if type(node) is Leaf and node in hooked_nodes:
                    with _users_code():
                        leaves[i] = node, _call_hooks(node, g.dense() if type(g) is RowParts else g, grads)
        if only is None:
            for layer in layers:
                layer.leaves(leaves)
    except Exception as error:
        if node is not None and not grads.explained:
            if not isinstance(error, GradientError):
                error.add_note(f"while differentiating op {node.name!r} ({node.spec}){_place(node)}")
            for layer in layers:
                layer.failed(node, error, grads.roots)
        raise
    finally:
        state.grad = before
        if tape is not None:
            tape.line = outside
    return leaves


def _place(node: Node) -> str:
    """In which module and by which line a node was made, as far as that is known, in words."""
    return (f" in {node.path}" if node.path else "") + (f", recorded at {node.line}" if node.line else "")


@contextmanager
def _users_code() -> Iterator[None]:
    """Inside, code of the user's may run, whose lines are not the backward pass's."""
    tape = local.state.tape
    line = tape.line if tape is not None and tape.captures else None
    if line:
        tape.line = None
    try:
        yield
    finally:
        if line:
            tape.line = line


def _pull(node: Node, g: Array, grads: Gradients) -> None:
    node.pull(g, grads)


def between(roots: Iterable[Node], only: set[Node]) -> list[Node]:
    """Every node between the roots and those of `only`, leaves too, latest first."""
    seen = set(roots)
    stack = list(seen)
    for node in stack:  # grows while it is walked over
        if node not in only:
            for parent in node.parents:
                if parent not in seen:
                    seen.add(parent)
                    stack.append(parent)
    stack.sort(key=_by_number, reverse=True)
    return stack


def _useful(order: list[Node], only: set[Node]) -> set[Node]:
    """The nodes of `order` from which a node of `only` can be reached, and those whose gradient another process asks for."""
    useful = set(only)
    for node in reversed(order):
        if node not in useful:
            if any(p in useful for p in node.parents):
                useful.add(node)
            elif node.op.paired:
                useful.update((node, *node.parents))
    return useful


def _released(node: Node) -> RuntimeError:
    assert node.released is not None
    return RuntimeError(
        f"backward through op {node.name!r} ({node.spec}) a second time: its saved arrays were released by the "
        f"backward at {node.released[0]}:{node.released[1]}. Call that one with retain_graph=True, or compute the loss anew"
    )


def _call_hooks(node: Node, g: Array, grads: Gradients) -> Array:
    tensor = grads.tensor
    for hook in node.hooks.values():
        seen = conj_cotangent(g)
        # A handle of its own, which the hook may change.
        given = seen.__copy__() if grads.on_tensors else tensor._of(np.asarray(seen))
        before = given._data
        result = hook(given)
        if result is None:
            if given._data is before:
                continue
            result = given  # changed by += or an item assignment
        new = conj_cotangent(result if isinstance(result, tensor) else tensor._of(np.asarray(result)))
        if new.shape != node.shape:
            raise GradientError(
                f"a gradient hook on the output of {node.name!r} returned shape {new.shape} for a gradient of shape "
                f"{node.shape}; return the same shape, or None to leave it as it is"
            )
        g = new if grads.on_tensors else new._data.astype(node.dtype, copy=False)
    return g


# -- rules on tensors --------------------------------------------------------------------------------------------


def _pull_on_tensors(create_graph: bool, node: Node, g: Array, grads: Gradients) -> None:
    """What the node's generated `pull` does, with tensors in place of arrays."""
    op, state = node.op, local.state
    if not op.differentiable:  # an output of an op with several
        node.pull(g, grads)
        return
    parents = {n: getattr(node, n + "_node") for n in op.differentiable}
    wanted = [n for n in op.differentiable if grads.wants(parents[n])]
    lost = ONCE.format(op.name) if create_graph and op.once else ""
    if create_graph and op.reference is None:
        for name in op.residuals:
            if any(map(_follows, elements(getattr(node, name + "_saved", None)))):
                lost = f"its residual {name!r} is no integer, and how it depends on the inputs is unknown"
    g = g if op.outputs == 1 else grads.fill(node, g)  # type: ignore[assignment]
    known: dict[str, Any] = {op.special.g: g, op.special.wanted: frozenset(wanted)}

    def given(rule: str) -> dict[str, object]:
        return {k: known[k] if k in known else value_of(node, k, grads.tensor) for k in op.needs[rule]}

    reference = None
    if create_graph and op.reference is not None:
        reference = partial(_by_reference, node, g, wanted, grads.tensor)

    def computed() -> Any:
        if not is_own(op):  # its rules may call what takes no tensors
            return _called_rules().gradients(node, g, wanted, given, reference, lost)
        if lost:
            raise TypeError(f"op {op.name!r} has no second derivative: {lost}")
        if reference is not None:
            return reference()
        if op.joint is not None:
            return op.joint(*given("").values())
        return {n: op.rules[n](*given(n).values()) for n in wanted}

    outer = state.rule
    if create_graph:
        state.rule = node
    try:
        if op.module.startswith(COMPUTING):
            found = computed()
        else:
            with _users_code():
                found = computed()
    finally:
        state.rule = outer
    for n in wanted:
        grads.put(node, n, parents[n], joint_entry(node, found, n))
    release(node, grads)


def release(node: Node, grads: Gradients) -> None:
    """Let go of what a node has saved, where the pass uses it up."""
    if grads.site is not None:
        node.released = grads.site
        for slot in node.saved_slots:
            setattr(node, slot, None)
        if local.state.tape is not None:
            local.state.tape.released(node)


def _follows(residual: object) -> bool:
    """Whether a residual may change with the inputs as they change a little."""
    if residual is None or isinstance(residual, int):
        return False
    return not hasattr(residual, "dtype") or residual.dtype.kind not in "biu"


@cache
def _called_rules() -> ModuleType:
    """The module for rules of the user's that take no tensors. Loaded when it is first needed; it imports this one."""
    return import_module("tapenet.autodiff.called_rules")


@cache
def _read_rules() -> ModuleType:
    """The module for rules that a captured step reads as programs. Loaded when it is first needed."""
    return import_module("tapenet.autodiff.read_rules")


def value_of(node: Node, name: str, tensor: type[BaseTensor]) -> Any:
    """What a rule gets under a name where rules run on tensors: tensors for whatever the graph or the tape knows, else
    plain values."""
    op, call, tape = node.op, node.call, local.state.tape
    trace = None if call is None else node
    if name == op.special.out and op.outputs != 1:
        made = []
        for i, data in enumerate(getattr(node, name + "_saved")):
            pick = Output(node, i, data)
            if trace is not None and tape is not None:
                tape.records(pick)
            made.append(tensor._of(data, pick, None if trace is None else pick))
        return tuple(made)
    if name in op.options:
        return getattr(node, name + "_option") if call is None else _retrace(call[name], None, tensor)
    if name != op.special.out and name not in op.inputs and name not in op.residuals:
        return getattr(node, name)  # NAME_shape, NAME_dtype
    parent = getattr(node, name + "_node", None)
    if name in op.inputs and call is not None:
        return _retrace(call[name], parent, tensor)
    saved = getattr(node, name + "_saved")
    if name == op.special.out:
        return tensor._of(saved, node, trace)
    if name in op.residuals:
        if call is None or tape is None:
            return saved
        pick = Output(node, (op.outputs or 0) + op.residuals.index(name), np.asarray(saved))
        tape.records(pick)
        return tensor._of(np.asarray(saved), None, pick)
    if type(parent) is Parents:
        return [s if p is None else tensor._of(s, p) for s, p in zip(saved, parent, strict=True)]
    return saved if parent is None else tensor._of(saved, parent)


def _retrace(value: object, parent: Any, tensor: type[BaseTensor]) -> object:
    """The tensor that entered a recorded call, as it was then; an array that somebody may write to as one too, so that what a
    rule computes of it is recorded."""
    if isinstance(value, Traced):
        if value.node is None and value.tensor._data is value.data:
            return value.tensor  # from outside: a replay knows it by its identity
        return tensor._of(value.data, parent, value.node)
    if isinstance(value, (list, tuple)) and value:
        parents = parent if type(parent) is Parents else [None] * len(value)
        parts = [_retrace(v, p, tensor) for v, p in zip(value, parents, strict=True)]
        if any(p is not v for p, v in zip(parts, value, strict=True)):
            return refilled(value, parts)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
        return value
    if not value.flags.writeable and value.base is None:
        return value
    made = tensor._of(value)
    if (tape := local.state.tape) is not None and tape.captures:
        tape.stands_for_array(made)
    return made


def _by_reference(node: Node, g: Array, wanted: list[str], tensor: type[BaseTensor]) -> dict[str, object]:
    """Gradients of an op with float residuals, from its reference: run that on tensors and differentiate it."""
    op = node.op
    assert op.reference is not None
    values = {a.name: value_of(node, a.name, tensor) for a in op.arguments}
    cuts: dict[str, object] = {}
    for n in wanted:
        # A node of its own at each input: the inner pass stops there, whatever the inputs have in common.
        whole = values[n]
        several = isinstance(whole, (list, tuple))
        values[n] = [alias(v) if isinstance(v, tensor) else v for v in whole] if several else alias(whole)
        cuts[n] = values[n]
    out: Any = op.apply(op.reference, values)
    outs, gs = ((out,), (g,)) if op.outputs == 1 else (out, g)
    targets = [t for c in cuts.values() for t in (c if isinstance(c, list) else [c])]
    only = {t._node for t in targets if isinstance(t, tensor) and t._node is not None}
    # An output may depend on constants alone, and be a plain array then.
    nodes = [getattr(o, "_node", None) for o in outs]
    roots = [(of, h) for of, h in zip(nodes, gs, strict=True) if h is not None and of is not None]
    found = dict(run(roots, tensor=tensor, release=False, create_graph=True, only=only))

    def gradient(t: Any) -> Any:
        if not hasattr(t, "_node"):  # a constant in a sequence
            return None
        return found.get(t._node, np.zeros(t.shape, t.dtype))

    return {n: tuple(map(gradient, c)) if isinstance(c, list) else gradient(c) for n, c in cuts.items()}
