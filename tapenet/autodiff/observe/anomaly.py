"""Debug mode: lines of user code on nodes, ops and gradient rules that fail, and where nan and infinity are born.

It says so in words, and has a picture of the neighbourhood drawn by whoever has set `pictures.of_anomaly`: this folder
knows nothing of drawings.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from tapenet.autodiff.gradients import Gradients
from tapenet.autodiff.node import BaseTensor, Leaf, Node, Output, Parents
from tapenet.autodiff.observe import pictures
from tapenet.autodiff.observe.layer import CallStep, Layer, PullStep
from tapenet.autodiff.record import Call, trace, where
from tapenet.autodiff.state import Switch, enter, local
from tapenet.ops.failures import call_words
from tapenet.ops.rule_results import rule_words
from tapenet.ops.stack_frames import composed, user_line, user_site
from tapenet.program.arguments import elements
from tapenet.program.low import is_inexact
from tapenet.typing import Array


class Anomaly(NamedTuple):
    """Where something went wrong.

    Attributes:
        node: the op. One that failed, or whose result nobody keeps, has a node that only this knows.
        reason: what went wrong, in a line.
        roots: what a backward pass began from, if one was under way: the ops that use this one lead there.
    """

    node: Node
    reason: str
    roots: tuple[Node, ...] = ()


def drawn(find: Callable[[], Anomaly]) -> str:
    """A sentence that names the picture of an anomaly, "" if there is none. Raises nothing: there is an error to tell of
    already, which this one must not hide."""
    if pictures.of_anomaly is None:
        return ""
    try:
        path = pictures.of_anomaly(find())
    except Exception as error:
        return f"the graph around it could not be drawn: {type(error).__name__}: {error}"
    return "" if path is None else f"the graph around it is drawn in {path}"


def born(before: Iterable[object], after: Iterable[Array]) -> str | None:
    """What of nan and infinity arrays hold that does not come from others, in words; None if nothing.

    A nan is born where there was none; an infinity where all was finite.

    >>> born([np.array([1.0, 0.0])], [np.array([0.0, -np.inf])])
    '-inf in 1 of 2 elements, the first at [1]'
    >>> born([np.array([1.0, np.inf])], [np.array([0.0, np.inf])])
    """
    for array in after:
        if not is_inexact(array.dtype) or np.isfinite(array).all():
            continue
        known = [part for value in before for part in _floats(value)]
        wrong = np.isnan(array)
        if not wrong.any():
            if not all(np.isfinite(k).all() for k in known):
                continue
            wrong = np.isinf(array)
        elif any(np.isnan(k).any() for k in known):
            continue
        place = np.unravel_index(int(wrong.argmax()), array.shape)
        value = array[place]
        name = "nan" if np.isnan(value) else "inf" if value.real > 0 else "-inf"
        if not place:
            return name
        where = ", ".join(str(int(i)) for i in place)
        return f"{name} in {int(wrong.sum()):,} of {array.size:,} elements, the first at [{where}]"
    return None


def has_nan(array: Array) -> bool:
    """Whether an array holds a nan."""
    return is_inexact(array.dtype) and bool(np.isnan(array).any())


def _floats(value: object) -> Iterator[Array]:
    for part in elements(value):
        if isinstance(part, (float, complex, np.inexact)) or (isinstance(part, np.ndarray) and is_inexact(part.dtype)):
            yield np.asarray(part)


def report(nan: str, what: str, find: Callable[[], Anomaly]) -> None:
    """Raise or warn, as `tn.debug(nan=...)` was told, that nan or infinity was born."""
    picture = drawn(find)
    text = f"{what}{'; ' + picture if picture else ''}"
    if nan == "warn":
        file, line = user_site()
        warnings.warn_explicit(text, RuntimeWarning, file, line)
    else:
        raise FloatingPointError(f"{text}. With tn.debug(nan='warn') the program goes on")


def argument(node: Node, parent: Node) -> str:
    """The name of the argument through which an op knows a parent."""
    for name in node.input_names:
        found = getattr(node, f"{name}_node", None)
        if found is parent or (type(found) is Parents and any(p is parent for p in found)):
            return name
    return node.input_names[0]


class Debug(Layer):
    """Looks at what ops and rules give, as `state.nan` says; None while rules run, whose ops are part of them."""

    __slots__ = ()
    rank = 2

    @property
    def looks(self) -> bool:  # type: ignore[override]
        return local.state.nan not in (None, "ignore")

    def call(self, step: CallStep) -> CallStep:
        def looked(call: Call) -> object:
            state = local.state
            call.full = True
            try:
                result = step(call)
            except Exception as error:
                if state.nan and call.tensors and not call.arrays:
                    reason = str(error.__context__ or error)  # in the forward's own words
                    _add_picture(error, lambda: _call_anomaly(call, reason))
                raise
            if call.arrays and call.tensors and self.looks:
                _look(call)
            if call.node is not None:
                call.node.note(line=user_line())
            return result

        return looked

    def pull(self, step: PullStep) -> PullStep:
        state = local.state
        nan, looks = state.nan, self.looks

        def looked(node: Node, g: Array, grads: Gradients) -> None:
            told = None
            state.nan = None
            try:
                if looks and type(node) is not Output:
                    told = _pull_looking(step, node, g, grads)
                else:
                    step(node, g, grads)
            finally:
                state.nan = nan
            if told is not None:
                grads.explained = True
                _report_rule(nan or "", node, *told, grads.roots)
                grads.explained = False

        return looked

    def failed(self, node: Node, error: Exception, roots: tuple[Node, ...]) -> None:
        if local.state.nan is not None:
            reason = str(error)
            _add_picture(error, lambda: Anomaly(node, reason, roots))


def _add_picture(error: Exception, find: Callable[[], Anomaly]) -> None:
    """Have an error name the picture of what failed."""
    picture = drawn(find)
    if picture:
        error.add_note(picture)


def _look(call: Call) -> None:
    """Say so if nan or infinity is born in an op."""
    nan, outs = local.state.nan, call.arrays[: call.count]
    assert nan is not None
    what = born(call.raw.values(), outs)
    reason = f"gave {what}"
    if what is None:
        name = None if composed() else _given_nan(call, outs)
        if name is None:
            return
        what, reason = f"was given a nan that no op made, in {name}", f"was given nan in {name}"
    else:
        what = f"gave {what}"
    text = f"{call_words(call.op, tuple(call.raw.values()))}{where()} {what}, at {user_line()}"
    report(nan, text, lambda: _call_anomaly(call, reason))


def _given_nan(call: Call, outs: list[Array]) -> str | None:
    """The argument of an op whose data, a leaf, a constant or an array, have a nan that goes on into the result."""
    if not any(map(has_nan, outs)):
        return None
    for name in call.op.inputs:
        value = call.bound[name]
        for part in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(part, BaseTensor) and (part._node is None or type(part._node) is Leaf):
                part = part._data
            if type(part) is np.ndarray and has_nan(part):
                return name
    return None


def _call_anomaly(call: Call, reason: str) -> Anomaly:
    """What went wrong in a call. If it failed, its node has results of no elements."""
    op = call.op
    if not call.arrays:
        call.count = 1 if op.outputs is None else op.outputs
        call.arrays = [np.empty(0)] * (call.count + len(op.residuals))
    node = call.make_node() if call.node is None else call.node
    if local.state.tape is not None:
        node.note(call={name: trace(value) for name, value in call.bound.items()})
    node.note(line=user_line())
    return Anomaly(node, reason)


def _pull_looking(step: PullStep, node: Node, g: Array, grads: Gradients) -> tuple[str, str] | None:
    """Run a node's rules, and tell of the first that makes nan or infinity of a gradient and saved arrays without: for
    which argument, and what."""
    given: list[object] = [_array(part) for part in (g if isinstance(g, list) else [g]) if part is not None]
    given += [getattr(node, slot, None) for slot in node.saved_slots]
    found = Gradients(grads.tensor, grads.on_tensors, grads.site, grads.only)
    found.roots = grads.roots
    step(node, g, found)
    told = None
    for parent, d in found.items():
        d = grads.as_tensor(d) if grads.on_tensors else d
        if told is None and not isinstance(d, list):  # a list: of an op with several outputs, whose turn is to come
            what = born(given, [_array(d)])
            told = None if what is None else (argument(node, parent), what)
        grads.add(parent, d)
        if parent in found.owned:
            grads.owned.add(parent)
    if found.flat is not None:
        grads.flat = found.flat | (grads.flat or {})
    return told


def _array(g: object) -> Array:
    return np.asarray(g._data if isinstance(g, BaseTensor) else g)


def _report_rule(nan: str, node: Node, argument: str, what: str, roots: tuple[Node, ...]) -> None:
    line = f", recorded at {node.line}," if node.line else ""
    text = f"{rule_words(node, argument)} ({node.spec}){line} gave {what}"
    report(nan, text, lambda: Anomaly(node, f"gradient for {argument}: {what}", roots))


class lines(Switch):
    """Keep the line of user code that made each node, for drawings."""

    def __enter__(self) -> None:
        enter(self, debug=True, layers=local.state.layered(Debug, Debug()))


class debug(Switch):
    """Find mistakes: know lines, stop at nan and infinity, draw where things fail. Slower.

    Every node keeps the line of user code that made it (`node.line`), and errors show it. Results that hold a nan or
    an infinity are errors where these are born: in an op whose inputs, or in a gradient rule whose incoming gradient
    and saved arrays, held none; and a nan where it comes in with the data, a leaf, a constant or an array, of the
    first op whose result it goes into (functions such as `np.nanmean` may be given it). Where an op or a rule fails,
    or gives one of these, the ops around it are drawn, with the shapes that came in, and the error (or a note on it)
    names the file: `tapenet-debug-1-log.svg`, in the folder that the variable `TAPENET_DEBUG_DIR` of the environment
    names, else in the current one. At most 20 are drawn by a process. For gradients, call `backward()` inside the
    block. A compiled step is looked at only as it is recorded.

    Args:
        nan: what to do where nan or infinity is born: "raise" an error, "warn" and go on, or "ignore" it, where they
            are meant, as the logarithm of 0 may be.

    Raises:
        ValueError: `nan` is none of these.
        FloatingPointError: from an op or a backward pass inside the block: nan or infinity was born there.

    >>> import tapenet as tn
    >>> with tn.debug():
    ...     y = tn.tensor([1.0], requires_grad=True) * 2
    >>> y.node.line is not None
    True
    """

    def __init__(self, nan: Literal["raise", "warn", "ignore"] = "raise") -> None:
        if nan not in ("raise", "warn", "ignore"):
            raise ValueError(f"debug: nan={nan!r}; give 'raise', 'warn' or 'ignore'")
        self.nan = nan

    def __enter__(self) -> None:
        enter(self, debug=True, nan=self.nan, layers=local.state.layered(Debug, Debug()))
