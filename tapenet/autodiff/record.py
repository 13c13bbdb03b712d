"""The general recorder: runs an op on any mix of tensors, arrays, sequences and foreign types.

The binder generates a fast path per op for the plain cases; everything else comes here: ops with several outputs,
sequences of tensors, foreign types that answer `__tapenet_op__`, debug mode, and scopes that record everything.
"""

from __future__ import annotations

import sys
from functools import partial
from time import perf_counter
from types import FunctionType
from typing import Any, NoReturn

import numpy as np

from tapenet import ops
from tapenet.autodiff.node import SHAPES, Leaf, Node, Output, Parents, Traced, constant, intern_shape, next_number
from tapenet.autodiff.observe import anomaly, autocast
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.observe.profile import PICK
from tapenet.autodiff.observe.tape import Tape
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops import torch_calls
from tapenet.ops.derived import array_like
from tapenet.ops.op import Op
from tapenet.ops.random import Saved
from tapenet.ops.registry import is_own
from tapenet.ops.signatures import MISSING, bind, unexpected
from tapenet.ops.stack_frames import composed, user_line
from tapenet.ops.tracebacks import hidden
from tapenet.program.low import is_inexact
from tapenet.program.sequences import refilled

#: Types that go to a forward as they are.
PLAIN = frozenset(
    {np.ndarray, float, int, bool, complex, type(None)}
    | {np.dtype(c).type for c in "?bBhHiIlLqQefdgFDG"}
)  # fmt: skip
#: Types of options; a tuple, such as the axes of a sum, may hold a tensor.
STATIC = PLAIN | {str, slice, type, np.dtype, type(Ellipsis), FunctionType}
#: Types of the parts of an index.
INDEX = PLAIN | {slice, type(Ellipsis)}


def is_index(value: Any) -> bool:
    """Whether a value is an index made of plain parts, with no tensor among them."""
    kind = type(value)
    if kind is tuple:
        return INDEX.issuperset(map(type, value)) or all(type(v) in INDEX or _is_list(v) for v in value)
    return kind in INDEX or _is_list(value)


def _is_list(value: Any) -> bool:
    """Whether a value is a list, or nested lists, of plain parts."""
    return type(value) is list and (
        PLAIN.issuperset(map(type, value)) or all(type(v) in PLAIN or _is_list(v) for v in value)
    )


def is_static(value: Any) -> bool:
    """Whether an option is a tuple, or nested tuples, of plain parts, with no tensor among them, or a random generator."""
    kind = type(value)
    if kind is tuple:
        return STATIC.issuperset(map(type, value)) or all(type(v) in STATIC or is_static(v) for v in value)
    random = sys.modules.get("numpy.random")  # not imported here: who has a generator has imported it
    return random is not None and kind is random.Generator


def sequence(value: Any) -> tuple[Any, Any, Any]:
    """What a call needs of a list or tuple of tensors and plain values: a type that says that there are tensors, the
    arrays, and the nodes that need gradients. Three times None for anything else."""
    if type(value) is not list and type(value) is not tuple:
        return None, None, None
    data = []
    nodes = []
    tensors = flows = False
    for v in value:
        kind = type(v)
        if kind is Tensor:
            tensors = True
            data.append(v._data)
            nodes.append(v._node)
            flows = flows or v._node is not None
        elif kind in PLAIN:
            data.append(v)
            nodes.append(None)
        else:
            return None, None, None
    if not tensors:
        return None, None, None
    if not flows:
        return Tensor, type(value)(data), None
    parents = Parents(nodes)
    parents.constants = constant(data)
    return Tensor, type(value)(data), parents


ndarray = np.ndarray
#: Errors that are raised anew with more words: those that are made from a text alone.
_ANEW = (
    ValueError,
    TypeError,
    IndexError,
    ZeroDivisionError,
    MemoryError,
    np.linalg.LinAlgError,
    np.exceptions.AxisError,
)


def apply(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run `op` and record it if a gradient or an enclosing tape needs it."""
    bound = bind(op, args, kwargs)
    for name, value in bound.items():
        if type(value) in (list, tuple) and name in op.differentiable and _unwrap(value, False)[2]:
            bound[name] = _stacked(value) if name in op.sequences else array_like(value)
    state = local.state
    if state.autocast is not None:
        autocast.cast_inputs(op, bound, state.autocast)
    foreign = _foreign(op, bound)
    for value in foreign:
        answer = value.__tapenet_op__(op, args, kwargs)
        if answer is not NotImplemented:
            return answer
    if foreign:
        raise TypeError(
            f"{op.name}: {', '.join(type(v).__name__ for v in foreign)} declined to handle this op "
            "(__tapenet_op__ returned NotImplemented)"
        )
    raw: dict[str, Any] = {}
    parents: dict[str, Any] = {}
    tensors = False
    #: The input without a derivative whose tensor needs a gradient, while a rule is recorded for a higher derivative.
    cut = ""
    records = state.grad and not (op.flat and state.rule is not None)
    for name, value in bound.items():
        data, parent, is_tensor = _unwrap(value, records)
        tensors = tensors or is_tensor
        if parent is not None and not op.differentiable:
            state.ended = op
        if parent is not None:
            if name in op.differentiable:
                parents[name] = parent
            elif name not in op.nondiff:
                _no_rule(op, name)
            elif state.rule is not None and not is_own(op):
                cut = name
        elif not is_tensor and _hides_tensors(data):
            _hidden(op, name, data)
        if name in op.differentiable and isinstance(data, (list, tuple)) and not is_tensor:
            data = _as_array(op, name, data)
        raw[name] = data
    tape = state.tape
    # Of ops without any input only a program is made: numbers of the host, draws. Elsewhere they are plain arrays.
    kept = tape is not None and (op.effect or op.random) and (bool(op.inputs) or tape.captures)
    saved = _save_generators(op, raw) if tape is not None and tape.captures else ()
    low = autocast.lowered(op, raw) if tensors or state.autocast is not None else None
    if low is not None and low.given is not raw and tape is not None and tape.captures:
        return autocast.composed(op, bound, low)
    given = raw if low is None else low.given
    profile = state.profile
    start = 0.0 if profile is None else perf_counter()
    try:
        result = op.run(given)
    except Exception as error:
        picture = _drawn(op, bound, raw, parents, error) if state.nan and tensors else ""
        explain(op, tuple(raw.values()), error, picture)
    for generator in saved:
        generator.drew()
    seconds = 0.0 if profile is None else perf_counter() - start
    results = _split(op, result)
    if low is not None:
        results = low.round(results, len(results) - len(op.residuals))
    if not tensors and not kept:
        outs = results[: len(results) - len(op.residuals)]
        return outs[0] if op.outputs == 1 else op.several(outs)
    arrays = [r if type(r) is ndarray else _wrap(op, r) for r in results]
    count = len(arrays) - len(op.residuals)
    if state.nan and state.nan != "ignore" and tensors:
        _look(state.nan, op, bound, raw, parents, arrays, count)
    floats = any(is_inexact(arrays[i].dtype) for i in range(count) if i not in op.nondiff_outputs)
    if parents and not floats:
        state.ended = op
    if cut and floats:
        _cut(op, cut, state.rule)
    if state.tape is None and not (parents and floats):
        if profile is not None:
            profile.ran(op, None, raw, {}, arrays, count, seconds)
        tensor_outs = [Tensor._of(a) for a in arrays[:count]]
        return tensor_outs[0] if op.outputs == 1 else op.several(tensor_outs)
    # Any: it has slots of its own.
    node: Any = _node(op, bound, raw, parents if floats else {}, arrays, count, low=low is not None)
    if profile is not None:
        profile.ran(op, node, raw, parents if floats else {}, arrays, count, seconds)
    if state.debug:
        node.line = user_line()
    trace = None
    if state.tape is not None:
        node.call = {name: _trace(value) for name, value in bound.items()}
        state.tape.nodes.append(node)
        trace = node
    grad_node = node if parents and floats else None
    if op.outputs == 1:
        return Tensor._of(arrays[0], grad_node, trace)
    made = []
    for i, array in enumerate(arrays[:count]):
        if trace is None and i in op.nondiff_outputs:
            made.append(Tensor._of(array))
            continue
        pick = Output(node, i, array)
        if profile is not None:
            profile.extend((PICK, pick.number, node.number, i))
        if state.tape is not None:
            state.tape.nodes.append(pick)
        differentiable = grad_node is not None and i not in op.nondiff_outputs and is_inexact(array.dtype)
        made.append(Tensor._of(array, pick if differentiable else None, None if trace is None else pick))
    return op.several(made)


def further(op: Op, more: Any, known: tuple[str, ...] | None, /, *args: Any, **kwargs: Any) -> Any:
    """A call of an op with options beside its own: those that NumPy's functions have alike, PyTorch's names, and others by
    `more`. What is not among the `known` is refused; None says that `more` does that."""
    found = ops.protocol.further(op, args, kwargs)
    if found is not NotImplemented:
        return found
    if known is None or not kwargs.keys() <= set(known):
        call = torch_calls.of_op(op, known or (), args, kwargs) if is_own(op) else None
        if call is not None:
            return call()
        if known is not None:
            raise unexpected(op.name, next(name for name in kwargs if name not in known), known)
    if any(a is MISSING for a in args):
        bind(op, args, {})
    return more(*args, **kwargs)


def _save_generators(op: Op, arguments: dict[str, Any]) -> list[Saved]:
    """Have the generators that an op is about to draw from put back if the capture fails: of a random one the process's
    own, and those among its arguments; of a loop or branch those that were drawn from while its body was captured."""
    capture = capturing()
    assert capture is not None
    if op.random:
        rngs = None, *(v for v in arguments.values() if isinstance(v, np.random.Generator))
        found = [capture.kept(("generator", id(rng)), partial(Saved, rng)) for rng in rngs]
    elif any(isinstance(v, Tape) for v in arguments.values()):
        found = capture.generators()
    else:
        return []
    for saved in found:
        saved.draws()
    return found


def _stacked(value: Any) -> Any:
    """A sequence of arrays, each part that is a sequence itself as one array."""
    return type(value)(array_like(v) if type(v) in (list, tuple) else v for v in value)


def _foreign(op: Op, bound: dict[str, Any]) -> list[Any]:
    found: dict[type, Any] = {}
    for name in op.inputs:
        value = bound[name]
        for v in value if isinstance(value, (list, tuple)) else (value,):
            kind = type(v)
            if kind is not Tensor and kind not in found and hasattr(kind, "__tapenet_op__"):
                found[kind] = v
    return list(found.values())


def _unwrap(value: Any, grad: bool) -> tuple[Any, Any, bool]:
    """A value with its tensors replaced by arrays, the node(s) that need its gradient, whether it held tensors."""
    if type(value) is Tensor:
        return value._data, value._node if grad else None, True
    if isinstance(value, (list, tuple)) and value:
        parts = [_unwrap(v, grad) for v in value]
        if any(p[2] for p in parts):
            nodes = Parents(p[1] for p in parts)
            raw = [p[0] for p in parts]
            return refilled(value, raw), None if all(n is None for n in nodes) else nodes, True
    return value, None, False


def _trace(value: Any) -> Any:
    """A value with its tensors replaced by `Traced`."""
    if type(value) is Tensor:
        return Traced(value, value._trace, value._data)
    if isinstance(value, (list, tuple)) and value:
        parts = [_trace(v) for v in value]
        if any(p is not v for p, v in zip(parts, value, strict=True)):
            return refilled(value, parts)
    return value


def _node(
    op: Op,
    bound: dict[str, Any],
    raw: dict[str, Any],
    parents: dict[str, Any],
    arrays: list[Any],
    count: int,
    low: bool = False,
) -> Node:
    full = local.state.tape is not None or local.state.debug
    made = autocast.node_class(op, full) if low else op.full_node_class if full else op.node_class
    node: Node = made()
    if full:
        for name in ("call", "line"):
            setattr(node, name, None)
    node.number = next_number()
    node.scope = local.state.scope
    node.released = None
    if op.outputs == 1:
        node.shape, node.dtype = intern_shape(arrays[0].shape), arrays[0].dtype
    else:
        node.shape = intern_shape(tuple(a.shape for a in arrays[:count]))
        node.dtype = intern_shape(tuple(a.dtype for a in arrays[:count]))
    available: dict[str, Any] = dict(raw)
    available["out"] = arrays[0] if op.outputs == 1 else tuple(arrays[:count])
    available.update(zip(op.residuals, arrays[count:], strict=True))
    needed: set[str] = set()
    for name in op.differentiable:
        parent = parents.get(name)
        setattr(node, name + "_node", parent)
        if parent is not None:
            needed.update(op.needs[name if op.joint is None else ""])
    if parents and op.reference is not None:
        needed.update(op.inputs)
    for name in op.inputs:
        parent = parents.get(name)
        if type(parent) is Parents:
            parent.constants = constant(raw[name])
        elif parent is None and local.state.tape is None and hasattr(made, name + "_const"):
            setattr(node, name + "_const", constant(raw[name]))
        if name + "_shape" in needed:
            setattr(node, name + "_shape", _shapes(raw[name]))
        if name + "_dtype" in needed:
            setattr(node, name + "_dtype", _dtypes(raw[name]))
    for name in op.options:
        setattr(node, name + "_option", raw[name])
    for name in (*op.inputs, "out", *op.residuals):
        if name in needed:
            setattr(node, name + "_saved", available[name])
    return node


def _shapes(value: Any) -> Any:
    if type(value) is ndarray:  # most are
        return SHAPES.get(value.shape) or intern_shape(value.shape)
    shape = tuple(np.shape(v) for v in value) if isinstance(value, (list, tuple)) else np.shape(value)
    return SHAPES.get(shape) or intern_shape(shape)


def _dtypes(value: Any) -> Any:
    if type(value) is ndarray:
        return value.dtype
    if isinstance(value, (list, tuple)):
        return intern_shape(tuple(np.asarray(v).dtype for v in value))
    return np.asarray(value).dtype


def _split(op: Op, result: Any) -> list[Any]:
    """What a forward returned, as a list of outputs and residuals."""
    if op.outputs == 1 and not op.residuals:
        if type(result) is tuple:
            raise TypeError(
                f"op {op.name!r}: its forward returned a tuple of {len(result)}; define it with "
                f"outputs={len(result)}, or with residuals= for values that only the rules need"
            )
        return [result]
    expected = None if op.outputs is None else op.outputs + len(op.residuals)
    if not isinstance(result, (tuple, list)) or (expected is not None and len(result) != expected):
        got = f"{len(result)} values" if isinstance(result, (tuple, list)) else type(result).__name__
        raise TypeError(
            f"op {op.name!r}: its forward returned {got}, but its definition says {op.outputs} output(s) and "
            f"{len(op.residuals)} residual(s): return a tuple of {expected}"
        )
    return list(result)


def _wrap(op: Op, value: Any) -> np.ndarray[Any, Any]:
    """A forward's result as an ndarray."""
    array = np.asarray(value)
    if array.dtype == object:
        raise TypeError(
            f"op {op.name!r}: its forward returned {type(value).__name__}, which is not an array of numbers"
        )
    return array


def _as_array(op: Op, name: str, value: Any) -> Any:
    """Nested lists of numbers as an array; a sequence of arrays, as `concatenate` takes, stays one."""
    if any(isinstance(v, ndarray) for v in value):
        return value
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{op.name}: its argument {name} is not an array: {error}") from None


def _no_rule(op: Op, name: str) -> NoReturn:
    raise TypeError(
        f"{op.name}: a tensor that needs a gradient was given as {name!r}, for which the op has no gradient rule. Pass "
        f"{name}.detach(), or give the op a rule for it, or declare it with nondiff=({name!r},)"
    )


def _cut(op: Op, name: str, rule: Any) -> NoReturn:
    raise TypeError(
        f"{op.name}: a tensor that needs a gradient was given as {name!r}, which has no derivative, in the gradient rule of op "
        f"{rule.name!r}: the derivative of that rule would be wrong. Give {op.name!r} a rule for {name!r}, where its "
        f"derivative is zero {name}=lambda g: np.zeros_like(g); or where a constant is meant, pass tn.stop_gradient of it"
    )


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


def _hidden(op: Op, name: str, value: Any) -> NoReturn:
    raise TypeError(
        f"{op.name}: its argument {name!r} is a {type(value).__name__} with tensors in a dict or dataclass, where no gradient "
        "rule reaches them. Give each an argument of its own, or pass them in a list, for which a rule returns a tuple with "
        "a gradient for each"
    )


def _look(
    nan: str, op: Op, bound: dict[str, Any], raw: dict[str, Any], parents: dict[str, Any], arrays: list[Any], count: int
) -> None:
    """Say so if nan or infinity is born in an op."""
    what = anomaly.born(raw.values(), arrays[:count])
    if what is not None:
        text = f"{_call(op, tuple(raw.values()))}{_where()} gave {what}, at {user_line()}"
        anomaly.report(nan, text, lambda: _anomaly(op, bound, raw, parents, arrays, f"gave {what}"))
        return
    name = None if composed() else _given_nan(op, bound, arrays[:count])
    if name is not None:
        text = (
            f"{_call(op, tuple(raw.values()))}{_where()} was given a nan that no op made, in {name}, at {user_line()}"
        )
        anomaly.report(nan, text, lambda: _anomaly(op, bound, raw, parents, arrays, f"was given nan in {name}"))


def _given_nan(op: Op, bound: dict[str, Any], arrays: list[Any]) -> str | None:
    """The argument of an op whose data, a leaf, a constant or an array, have a nan that goes on into the result."""
    if not any(map(anomaly.has_nan, arrays)):
        return None
    for name in op.inputs:
        value = bound[name]
        for part in value if isinstance(value, (list, tuple)) else (value,):
            if type(part) is Tensor and (part._node is None or type(part._node) is Leaf):
                part = part._data
            if type(part) is ndarray and anomaly.has_nan(part):
                return name
    return None


def _drawn(op: Op, bound: dict[str, Any], raw: dict[str, Any], parents: dict[str, Any], error: Exception) -> str:
    """Words that name the picture of an op that failed."""
    none = [np.empty(0)] * ((1 if op.outputs is None else op.outputs) + len(op.residuals))
    return anomaly.drawn(lambda: _anomaly(op, bound, raw, parents, none, str(error)))


def _anomaly(
    op: Op, bound: dict[str, Any], raw: dict[str, Any], parents: dict[str, Any], arrays: list[Any], reason: str
) -> anomaly.Anomaly:
    node: Any = _node(op, bound, raw, parents, arrays, len(arrays) - len(op.residuals))
    node.line = user_line()
    if local.state.tape is not None:
        node.call = {name: _trace(value) for name, value in bound.items()}
    return anomaly.Anomaly(node, reason)


def explain(op: Op, values: tuple[Any, ...], error: Exception, picture: str = "") -> NoReturn:
    """Raise a failed forward's error anew, with the op, its inputs, the module and a hint; and a sentence that names a
    picture of it."""
    text = f"{_call(op, values)} failed{_where()}: {error}"
    if op.hint is not None:
        try:
            hint = op.hint(*values)
            text += hint and f". {hint}"
        except Exception:  # a hint made for the usual mistake may not fit this one
            text += ""
    kind = MemoryError if isinstance(error, MemoryError) else type(error)  # NumPy's own is made from a shape
    anew = kind(text) if kind in _ANEW else error
    try:
        if anew is error:
            error.add_note(text)
        if picture:
            anew.add_note(picture)
        if anew is error:
            raise error
        if hidden():
            raise anew.with_traceback(error.__traceback__) from None  # one error, with the user's lines of both
        raise anew from error
    finally:
        del anew, error  # the traceback holds this frame, which must not hold the error


def _call(op: Op, values: tuple[Any, ...]) -> str:
    return f"{op.name}({', '.join(f'{a.name}: {_describe(v)}' for a, v in zip(op.arguments, values, strict=False))})"


def _where() -> str:
    """The module that is running, in words."""
    scope = local.state.scope
    path = scope.path or next((type(m).__name__ for m in scope.modules), "")
    return f" in {path}" if path else ""


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, (list, tuple)) and any(isinstance(v, np.ndarray) for v in value):
        return "[" + ", ".join(_describe(v) for v in value) + "]"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
