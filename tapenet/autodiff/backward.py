"""The driver: walks a graph from its outputs to its leaves, calling each node's rules once.

Nodes are processed by falling number, so each has its whole gradient before its rules run; nothing recurses. On the
normal path gradients are raw arrays. With `create_graph=True`, and while a step is being captured, the same rules
run on tensors and are recorded themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop
from operator import attrgetter
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.autodiff.gradients import GradientError, Gradients, Reads, RowParts, conj_cotangent, rule_words
from tapenet.autodiff.node import Leaf, Node, Output, Parents, Traced, hooked_nodes
from tapenet.autodiff.observe import anomaly, mutation
from tapenet.autodiff.observe.profile import MARK
from tapenet.autodiff.state import local, switched
from tapenet.ops.shapes.reshaping import alias
from tapenet.ops.stack_frames import user_site, warn_once
from tapenet.program.low import is_inexact
from tapenet.program.sequences import refilled

if TYPE_CHECKING:
    from tapenet.autodiff.tensor import Tensor

ndarray = np.ndarray
_by_number = attrgetter("number")


#: Nodes to which no gradient came, each with the op of derivative 0 in which the whole of it was lost.
Lost = list[tuple[Node, Node]]


def run(
    roots: list[tuple[Node, Any]],
    *,
    tensor: type[Tensor],
    release: bool,
    create_graph: bool = False,
    only: set[Node] | None = None,
    lost: Lost | None = None,
) -> list[tuple[Node, Any]]:
    """Pull gradients from `roots` (nodes with the gradients of their outputs) down to the leaves.

    Args:
        roots: output nodes with their gradients: raw arrays, or tensors where rules run on tensors.
        tensor: the tensor type; given by the caller, since this module knows nodes only.
        release: drop saved arrays as they are used.
        create_graph: run the rules on tensors, recorded for another derivative.
        only: stop at these nodes, and compute nothing that does not lead to one of them.
        lost: takes what `warn_of_lost` tells, for which it is time when the gradients are where they belong.

    Returns:
        pairs of a leaf (or a node of `only`) and its gradient.
    """
    state = local.state
    if state.autocast is not None:  # what types rules compute in was decided in the forward pass
        with switched(autocast=None):
            return run(roots, tensor=tensor, release=release, create_graph=create_graph, only=only, lost=lost)
    on_tensors = create_graph or (state.tape is not None and state.tape.captures)
    useful = None if only is None else _useful(between([node for node, _ in roots], only), only)
    grads = Gradients(tensor, on_tensors, user_site() if release else None, useful)
    for root, g in roots:
        if useful is None or root in useful:
            grads.add(root, g)
    pending, take = grads.pending, grads.pop
    hooked = bool(hooked_nodes)
    profile = state.profile
    nan = state.nan
    looks = None if nan == "ignore" else nan
    watched = profile is not None and profile.watch is not None
    grads.by_rows = not (on_tensors or only is not None or looks is not None or watched)
    plain = grads.by_rows and not hooked
    leaves: list[tuple[Node, Any]] = []
    node: Node | None = None
    grad_before = state.grad
    state.grad = create_graph
    state.nan = None
    try:  # next to what it puts back: nothing fails in between
        with np.errstate(all="ignore"):
            if plain and profile is not None:
                clock, note, first = perf_counter, profile.append, profile.first
                note(MARK)
                note(clock())
                while pending:  # the same as below
                    node = heappop(pending)[1]
                    g = take(node)
                    if node.released is not None:
                        raise _released(node)
                    number = node.number
                    if mutation.latest > number:
                        _check_writes(node)
                    if number < first:
                        profile.older(node)
                        note(MARK)
                        note(clock())
                    node.pull(g, grads)
                    note(number)
                    note(clock())
            while pending:
                node = heappop(pending)[1]
                g = take(node)
                if type(g) is Reads:
                    g = g.total()
                if node.released is not None:
                    raise _released(node)
                if mutation.latest > node.number:
                    _check_writes(node)
                if plain:
                    node.pull(g, grads)
                    continue
                if hooked and node in hooked_nodes:
                    g = _call_hooks(node, g, tensor, on_tensors)
                if only is not None and node in only:
                    leaves.append((node, g))
                    continue
                start = 0.0 if profile is None else profile.before_pull(node, g, grads)
                if looks is not None and type(node) is not Output:
                    what = _pull_looking(node, g, grads, create_graph)
                    if what is not None:
                        at, node = node, None  # the error says all that a note could
                        _report(looks, at, *what, roots)
                        node = at
                elif on_tensors:
                    _pull_on_tensors(node, g, grads, create_graph)
                else:
                    node.pull(g, grads)
                if profile is not None:
                    profile.after_pull(node, grads, start)
            # What is left are the leaves. `deposit` counts who refers to their gradients: from here on, only this list.
            leaves += (
                [(n, g.total() if type(g) is Reads else g) for n, g in grads.items()] if on_tensors else grads.items()
            )
            grads.clear()
            if grads.flat is not None:
                found = _add_lost(grads.flat, leaves, grads, only)
                if lost is not None:
                    lost += found
            if hooked:
                for i, (node, g) in enumerate(leaves):
                    if type(node) is Leaf and node in hooked_nodes:
                        whole = g.dense() if type(g) is RowParts else g
                        leaves[i] = node, _call_hooks(node, whole, tensor, on_tensors)
            if profile is not None and profile.watch is not None and only is None:
                profile.watch.before_deposit(leaves)
    except Exception as error:
        if node is not None and not isinstance(error, GradientError):
            line = node.line
            error.add_note(
                f"while differentiating op {node.name!r} ({node.spec})"
                + (f" in {node.path}" if node.path else "")
                + (f", recorded at {line}" if line else "")
            )
        if node is not None and nan is not None:
            picture = _drawn(node, error, roots)
            if picture:
                error.add_note(picture)
        raise
    finally:
        state.grad = grad_before
        state.nan = nan
    return leaves


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
    """The nodes of `order` from which a node of `only` can be reached."""
    useful = set(only)
    for node in reversed(order):
        if node not in useful and any(p in useful for p in node.parents):
            useful.add(node)
    return useful


def _add_lost(flat: dict[Node, Node], leaves: list[tuple[Node, Any]], grads: Gradients, ends: set[Node] | None) -> Lost:
    """The leaves (or nodes of `ends`) whose whole gradient was lost in ops with derivative 0. Adds zeros for leaves."""
    useful, site = grads.only, grads.site
    found = {leaf for leaf, _ in leaves}
    lost: dict[Node, Node] = {}
    by = dict(flat)
    stack = list(flat)
    for node in stack:  # grows while it is walked over
        if type(node) is Leaf if ends is None else node in ends:
            if node not in found:
                lost[node] = by[node]
        elif site is None or node.released is not site:  # else the pass has been there
            for parent in node.parents:
                if parent not in by and (useful is None or parent in useful):
                    by[parent] = by[node]
                    stack.append(parent)
    for leaf in lost:
        if type(leaf) is Leaf:
            zeros = np.zeros(leaf.shape, leaf.dtype)
            zeros.flags.writeable = not grads.on_tensors  # of tensors the leaf keeps a copy
            leaves.append((leaf, grads.tensor._of(zeros) if grads.on_tensors else zeros))
            del zeros  # who refers to it is counted
    return list(lost.items())


def warn_of_lost(lost: Lost) -> None:
    """Warn of inputs whose whole gradient was lost in ops with derivative 0."""
    for node, at in lost:
        path, line = at.path, at.line
        warn_once(
            f"flat {at.name}",
            f"the whole gradient by an input ({node.spec}) is 0, since it is lost in op {at.name!r}"
            + (f" in {path}" if path else "")
            + (f", recorded at {line}" if line else "")
            + ": its derivative is 0 wherever it has one. Choose a function with a slope; or keep this one, f, and let the "
            "gradient pass it by: x + tn.stop_gradient(f(x) - x)",
        )


def _released(node: Node) -> RuntimeError:
    assert node.released is not None
    return RuntimeError(
        f"backward through op {node.name!r} ({node.spec}) a second time: its saved arrays were released by the "
        f"backward at {node.released[0]}:{node.released[1]}. Call that one with retain_graph=True, or compute the loss anew"
    )


def _check_writes(node: Node) -> None:
    found = mutation.stale(node)
    if found is not None:
        name, by = found
        raise RuntimeError(
            f"op {node.name!r}{' in ' + node.path if node.path else ''} needs its {name} for backward, but that was "
            f"changed in place by {by} after the op ran. Call backward first, or let the op see a copy"
        )


def _call_hooks(node: Node, g: Any, tensor: type[Tensor], on_tensors: bool) -> Any:
    for hook in node.hooks.values():
        seen = conj_cotangent(g)
        # A handle of its own, which the hook may change.
        given = seen.__copy__() if on_tensors else tensor._of(np.asarray(seen))
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
        g = new if on_tensors else new._data.astype(node.dtype, copy=False)
    return g


# -- debug mode --------------------------------------------------------------------------------------------------


def _pull_looking(node: Node, g: Any, grads: Gradients, create_graph: bool) -> tuple[str, str] | None:
    """Run a node's rules, and tell of the first that makes nan or infinity of a gradient and saved arrays without: for
    which argument, and what."""
    given = [_array(part) for part in (g if isinstance(g, list) else [g]) if part is not None]
    given += [getattr(node, slot, None) for slot in node.saved_slots]
    found = Gradients(grads.tensor, grads.on_tensors, grads.site, grads.only)
    if grads.on_tensors:
        _pull_on_tensors(node, g, found, create_graph)
    else:
        node.pull(g, found)
    told = None
    for parent, d in found.items():
        d = d.total() if type(d) is Reads else d
        if told is None and not isinstance(d, list):  # a list: of an op with several outputs, whose turn is to come
            what = anomaly.born(given, [_array(d)])
            told = None if what is None else (anomaly.argument(node, parent), what)
        grads.add(parent, d)
        if parent in found.owned:
            grads.owned.add(parent)
    if found.flat is not None:
        grads.flat = found.flat | (grads.flat or {})
    return told


def _array(g: Any) -> Any:
    return np.asarray(g._data if hasattr(g, "_data") else g)


def _report(nan: str, node: Node, argument: str, what: str, roots: list[tuple[Node, Any]]) -> None:
    line = f", recorded at {node.line}," if node.line else ""
    text = f"{rule_words(node, argument)} ({node.spec}){line} gave {what}"
    reason = f"gradient for {argument}: {what}"
    anomaly.report(nan, text, lambda: anomaly.Anomaly(node, reason, tuple(root for root, _ in roots)))


def _drawn(node: Node, error: Exception, roots: list[tuple[Node, Any]]) -> str:
    """Words that name the picture of a node whose rule failed."""
    return anomaly.drawn(lambda: anomaly.Anomaly(node, str(error), tuple(root for root, _ in roots)))


# -- rules on tensors --------------------------------------------------------------------------------------------


def _pull_on_tensors(node: Node, g: Any, grads: Gradients, create_graph: bool) -> None:
    """What the node's generated `pull` does, with tensors in place of arrays."""
    op = node.op
    if not op.differentiable:  # an output of an op with several
        node.pull(g, grads)
        return
    parents = {n: getattr(node, n + "_node") for n in op.differentiable}
    wanted = [n for n in op.differentiable if grads.wants(parents[n])]
    if op.outputs != 1:
        g = grads.fill(node, g)
    if create_graph and op.reference is None:
        for name in op.residuals:
            if is_inexact(np.asarray(getattr(node, name + "_saved", None)).dtype):
                raise TypeError(
                    f"op {op.name!r} cannot be differentiated twice: its residual {name!r} is a float, whose dependence on "
                    "the inputs is unknown. Give tn.op reference=, the same function in plain NumPy"
                )
    state = local.state
    outer = state.rule
    if create_graph:
        state.rule = node
    try:
        if create_graph and op.reference is not None:
            found = _by_reference(node, g, wanted, grads)
        elif op.joint is not None:
            known = {"g": g, "wanted": frozenset(wanted)}
            found = op.joint(*(_value(node, k, known, grads.tensor) for k in op.needs[""]))
        else:
            known = {"g": g}
            found = {n: op.rules[n](*(_value(node, k, known, grads.tensor) for k in op.needs[n])) for n in wanted}
    finally:
        state.rule = outer
    for n in wanted:
        grads.put(node, n, parents[n], _joint_entry(node, found, n))
    if grads.site is not None:
        node.released = grads.site
        for slot in node.saved_slots:
            setattr(node, slot, None)


def _joint_entry(node: Node, found: Any, name: str) -> Any:
    try:
        return found[name]
    except (KeyError, TypeError, IndexError):
        raise GradientError(
            f"the joint rule of op {node.name!r} gave no gradient for {name!r}, which was wanted; it returns a dict "
            "with an entry for every wanted input"
        ) from None


def _value(node: Node, name: str, known: dict[str, Any], tensor: type[Tensor]) -> Any:
    """What a rule gets under a name: tensors for whatever the graph or the tape knows, else plain values."""
    if name in known:
        return known[name]
    op = node.op
    call = node.call
    trace = None if call is None else node
    if name == "out":
        saved = getattr(node, f"{name}_saved")
        if op.outputs == 1:
            return tensor._of(saved, node, trace)
        made = []
        for i, data in enumerate(saved):
            pick = Output(node, i, data)
            if trace is not None and local.state.tape is not None:
                local.state.tape.nodes.append(pick)
            made.append(tensor._of(data, pick, None if trace is None else pick))
        return tuple(made)
    if name in op.residuals:
        saved = np.asarray(getattr(node, name + "_saved"))
        if call is None:
            return saved
        pick = Output(node, (op.outputs or 0) + op.residuals.index(name), saved)
        assert local.state.tape is not None
        local.state.tape.nodes.append(pick)
        return tensor._of(saved, None, pick)
    if name in op.inputs:
        if call is not None:
            return _retrace(call[name], getattr(node, name + "_node", None), tensor)
        saved = getattr(node, name + "_saved")
        parent = getattr(node, name + "_node", None)
        if type(parent) is Parents:
            return [s if p is None else tensor._of(s, p) for s, p in zip(saved, parent, strict=True)]
        return saved if parent is None else tensor._of(saved, parent)
    if name in op.options:
        return _retrace(call[name], None, tensor) if call is not None else getattr(node, name + "_option")
    return getattr(node, name)  # NAME_shape, NAME_dtype


def _retrace(value: Any, parent: Any, tensor: type[Tensor]) -> Any:
    """The tensor that entered a recorded call, as it was then."""
    if isinstance(value, Traced):
        if value.node is None and value.tensor._data is value.data:
            return value.tensor  # from outside: a replay knows it by its identity
        return tensor._of(value.data, parent, value.node)
    if isinstance(value, (list, tuple)) and value:
        parents = parent if type(parent) is Parents else [None] * len(value)
        parts = [_retrace(v, p, tensor) for v, p in zip(value, parents, strict=True)]
        if any(p is not v for p, v in zip(parts, value, strict=True)):
            return refilled(value, parts)
    return value


def _by_reference(node: Node, g: Any, wanted: list[str], grads: Gradients) -> dict[str, Any]:
    """Gradients of an op with float residuals, from its reference: run that on tensors and differentiate it."""
    op = node.op
    values = {a.name: _value(node, a.name, {}, grads.tensor) for a in op.arguments}
    cuts: dict[str, Any] = {}
    for n in wanted:
        # A node of its own at each input: the inner pass stops there, whatever the inputs have in common.
        values[n] = [alias(v) for v in values[n]] if isinstance(values[n], (list, tuple)) else alias(values[n])
        cuts[n] = values[n]
    assert op.reference is not None
    out = op.reference(
        *(values[a.name] for a in op.arguments if not a.keyword_only),
        **{a.name: values[a.name] for a in op.arguments if a.keyword_only},
    )
    outs, gs = ((out,), (g,)) if op.outputs == 1 else (out, g)
    targets = [t for c in cuts.values() for t in (c if isinstance(c, list) else [c])]
    only = {t._node for t in targets if isinstance(t, grads.tensor) and t._node is not None}
    # An output may depend on constants alone, and be a plain array then.
    nodes = [getattr(o, "_node", None) for o in outs]
    roots = [(node, h) for node, h in zip(nodes, gs, strict=True) if h is not None and node is not None]
    found = dict(run(roots, tensor=grads.tensor, release=False, create_graph=True, only=only))

    def of(t: Any) -> Any:
        return found.get(t._node, np.zeros(t.shape, t.dtype))

    return {n: tuple(of(t) for t in c) if isinstance(c, list) else of(c) for n, c in cuts.items()}
