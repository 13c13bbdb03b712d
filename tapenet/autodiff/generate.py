"""Generates, at an op's first call, the code that runs it on tensors: its call and its node class.

The text is made from the op's signature and its rules' argument names alone, which are Python identifiers; values
(defaults, rules, the forward) enter through the namespace. Its own names begin with an underscore (left out below), an
op's arguments may not. For `tn.multiply` it reads about like this:

    def __call__(self, x, y):
        state = local.state
        x_type = type(x)
        if x_type is Tensor: x_data = x._data; x_node = x._node
        elif x_type in PLAIN: x_data = x; x_node = None
        else: return apply(self, (x, y), {})
        ...                                                  # the same for y
        try: out = forward(x_data, y_data)
        except Exception as error: explain(self, (x_data, y_data), error)
        result = new(Tensor); result._data = out
        if state.grad and (x_node is not None or y_node is not None):
            node = MultiplyNode()                            # with number, scope, shape, dtype
            node.x_node = x_node; node.y_node = y_node
            if x_node is not None: node.y_saved = y_data     # what x's rule names
            if y_node is not None: node.x_saved = x_data
            result._node = node
        return result

    def pull(self, g, grads):                                # a method of MultiplyNode
        x_node = self.x_node
        if x_node is not None: d = rule_x(g, self.y_saved); ...

While a profile is on, an op has the same call once more with clocks, before that one.
"""

from __future__ import annotations

import linecache
import weakref
from functools import partial
from heapq import heappush
from time import perf_counter
from typing import Any

import numpy as np

from tapenet.autodiff import record
from tapenet.autodiff.backward import _joint_entry
from tapenet.autodiff.node import SHAPES, Leaf, Node, Output, Parents, constant, intern_shape, next_number
from tapenet.autodiff.observe import autocast
from tapenet.autodiff.observe.profile import facts, size_of
from tapenet.autodiff.record import PLAIN, STATIC, is_index, is_static, sequence
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import Op, install_recorder
from tapenet.ops.registry import is_own
from tapenet.ops.signatures import MISSING, OF_UFUNCS, parameters
from tapenet.ops.tracebacks import hide
from tapenet.program.low import INEXACT, LOW, any_low, when_first_met

#: Whether calls look for low types. They do once there are any: looking costs a sixth of a small op's call.
_looks_for_low = False
_specialised: weakref.WeakSet[Op] = weakref.WeakSet()


def _look_for_low() -> None:
    """Have every op's call leave low arrays to the general recorder."""
    global _looks_for_low
    _looks_for_low = True
    for op in list(_specialised):
        if op.outputs is not None:
            _renew_call(op)


when_first_met(_look_for_low)


def specialise(op: Op) -> None:
    """Give an op its own class with a generated `__call__`, and its node class."""
    _specialised.add(op)
    op.node_class = node_class = _node_class(op)
    # On a tape that records everything, and in debug mode, a node says more.
    op.full_node_class = type("Node", (node_class,), {"__slots__": ("call", "line"), "__module__": Node.__module__})
    call = _general_call if op.outputs is None else _fast_call(op)
    op.__class__ = type("Op", (Op,), {"__call__": call, "__module__": Op.__module__})


def _renew_call(op: Op, timed: bool = False) -> None:
    own: Any = type(op)  # made by `specialise` for this op alone
    own.__call__ = _fast_call(op, timed)


def _general_call(self: Op, *args: Any, **kwargs: Any) -> Any:
    try:
        if not kwargs.keys() <= {a.name for a in self.arguments}:
            return _further(self)(*args, **kwargs)
        return record.apply(self, args, kwargs)
    except Exception as error:
        hide(error)
        raise


def _first_timed(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call an op while a profile is on for the first time: give it a call that tells the profile."""
    _renew_call(op, timed=True)
    return op(*args, **kwargs)


def _node_class(op: Op) -> type[Node]:
    saved = [n for n in ("out", *op.inputs, *op.residuals) if _ever_saved(op, n)]
    needed = {n for needs in op.needs.values() for n in needs}
    slots = [f"{n}_node" for n in op.differentiable]
    # A node exists because some input needs a gradient: the only one that could is never a constant.
    slots += [f"{n}_const" for n in op.inputs if op.differentiable != (n,)]
    slots += [f"{n}_option" for n in op.options]
    slots += [f"{n}_{w}" for n in op.inputs for w in ("shape", "dtype") if f"{n}_{w}" in needed]
    slots += [f"{n}_saved" for n in saved]
    return type(
        "Node",
        (Node,),
        {
            "__slots__": tuple(slots),
            "__module__": Node.__module__,
            "op": op,
            "input_names": op.inputs,
            "option_names": op.options,
            "saved_slots": tuple(f"{n}_saved" for n in saved),
            "pull": _compile(op, "pull", _pull_lines(op, saved)),
        },
    )


def _ever_saved(op: Op, name: str) -> bool:
    return any(name in needs for needs in op.needs.values()) or (op.reference is not None and name in op.inputs)


def _compile(op: Op, function: str, lines: list[str]) -> Any:
    if function == "__call__":
        head, *body = lines
        body = ["    " + line for line in body]
        lines = [head, "    try:", *body, "    except _Exception as _error:", "        _hide(_error)", "        raise"]
    text = "\n".join(lines)
    name = op.name if op.name.isprintable() else ascii(op.name)[1:-1]  # Python takes no NUL here
    filename = f"<op {op.__module__}.{name} {function}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {
        "_PLAIN": PLAIN,
        "_Exception": Exception,
        "_INEXACT": INEXACT,
        "_LOW": LOW,
        "_any_low": any_low,
        "_Leaf": Leaf,
        "_Parents": Parents,
        "_SHAPES": SHAPES,
        "_STATIC": STATIC,
        "_Tensor": Tensor,
        "_apply": record.apply,
        "_clock": perf_counter,
        "_constant": constant,
        "_entry": _joint_entry,
        "_explain": record.explain,
        "_first_timed": _first_timed,
        "_check": op.check,
        "_forward": op.eager,
        "_heappush": heappush,
        "_hide": hide,
        "_int": int,
        "_len": len,
        "_intern_shape": intern_shape,
        "_is_index": is_index,
        "_is_static": is_static,
        "_local": local,
        "_missing": MISSING,
        "_ndarray": np.ndarray,
        "_next_number": next_number,
        "_Output": Output,
        "_sequence": sequence,
        "_node_class": getattr(op, "node_class", None),
        "_shape_of": record._shapes,
        "_size_of": size_of,
        "_type": type,
        "_dtype_of": record._dtypes,
        "_split": record._split,
        "_tuple": tuple,
        "_wrap": record._wrap,
        "_joint": op.eager_rules.get(""),
        "_further": _further(op) if function == "__call__" else None,
    }
    namespace |= {f"_rule_{n}": rule for n, rule in op.eager_rules.items() if n}
    namespace |= {f"_default_{a.name}": a.default for a in op.arguments if not a.required}
    exec(compile(text, filename, "exec"), namespace)
    made = namespace[function]
    if function == "__call__":
        made.__qualname__ = op.name  # what Python calls it where the arguments do not fit
    return made


# -- the call ----------------------------------------------------------------------------------------------------


def _signature(op: Op) -> str:
    parts = ["self"]
    starred = False
    for a in op.arguments:
        if a.keyword_only and not starred:
            parts.append("*")
            starred = True
        # A required one may come under another name; what is left out in the end is found by the general recorder.
        parts.append(f"{a.name}={'_missing' if a.required else f'_default_{a.name}'}")
    parts.append("**_more")  # an empty dict costs less than a fiftieth of a small op
    return ", ".join(parts)


def _further(op: Op) -> Any:
    """What answers a call with options beside the op's own."""
    more: Any = op.more
    low = more is not None and _looks_for_low
    answer = (lambda *args, **kwargs: autocast.widely(more, args, kwargs)) if low else more
    return partial(record.further, op, answer, _known(op))


def _known(op: Op) -> tuple[str, ...] | None:
    """The names of the arguments of an op and of what answers further options; None where that takes any."""
    own = [a.name for a in op.arguments]
    if isinstance(op.more, np.ufunc):
        return (*own, *OF_UFUNCS)
    more = () if op.more is None else parameters(op.more)
    if more is None or any(p.kind is p.VAR_KEYWORD for p in more):
        return None
    return tuple(dict.fromkeys([*own, *(p.name for p in more)]))


def _fast_call(op: Op, timed: bool = False) -> Any:
    """An op's call. Where `timed`, it first has the same with clocks, for use while a profile is on: a function of its
    own for that would cost as much as the clocks."""
    positional = [a.name for a in op.arguments if not a.keyword_only]
    keyword = [a.name for a in op.arguments if a.keyword_only]
    args = "(" + "".join(f"{n}, " for n in positional) + ")"
    kwargs = "{" + ", ".join(f"'{n}': {n}" for n in keyword) + "}"
    general = f"return _apply(self, {args}, {kwargs})"
    lines = [f"def __call__({_signature(op)}):"]
    given = [*positional, *(f"{n}={n}" for n in keyword), "**_more"]
    lines.append(f"    if _more: return _further({', '.join(given)})")
    lines += ["    _state = _local.state", "    if not _state.fast:"]
    if op.outputs != 1:  # timed by the general recorder
        return _compile(op, "__call__", [*lines, f"        {general}", *_several(op, general)])
    if timed:
        lines += ["        _log = _state.timed", f"        if _log is None: {general}"]
        lines += ["    " + line for line in _body(op, general, timed=True)]
    else:
        lines += [f"        if _state.timed is None: {general}", f"        return _first_timed(self, {args}, {kwargs})"]
    return _compile(op, "__call__", lines + _body(op, general))


def _passed(op: Op) -> str:
    """The arguments of the forward, as a call has them."""
    return ", ".join(
        ("" if not a.keyword_only else f"{a.name}=") + ("_data_" if a.name in op.inputs else "") + a.name
        for a in op.arguments
    )


def _check_lines(op: Op) -> list[str]:
    if op.check is None:
        return []
    return [f"        _check({', '.join(('_data_' if n in op.inputs else '') + n for n in op.check_needs)})"]


def _values(op: Op) -> str:
    """All arguments, as a tuple."""
    return "(" + "".join(f"_data_{a.name}, " if a.name in op.inputs else f"{a.name}, " for a in op.arguments) + ")"


def _unwrapped(op: Op, general: str, timed: bool = False) -> list[str]:
    """The lines that take arrays and nodes out of tensors, and leave to the general recorder what is not plain; while a
    profile is on sequences are not."""
    lines = []
    for n in op.inputs:
        node = f"; _node_{n} = {n}._node" if n in op.differentiable else ""
        none = f"; _node_{n} = None" if n in op.differentiable else ""
        lines += [
            f"    _type_{n} = _type({n})",
            f"    if _type_{n} is _Tensor:",
            f"        _data_{n} = {n}._data{node}",
            *([f"        if _data_{n}.dtype.char in _LOW: {general}"] if _looks_for_low else []),
            f"    elif _type_{n} in _PLAIN: _data_{n} = {n}{none}",
        ]
        if n not in op.differentiable:
            if not is_own(op):  # the general recorder says so where a derivative of higher order is lost
                lines.insert(-1, f"        if _state.rule is not None and {n}._node is not None: {general}")
            lines += [f"    elif _is_index({n}): _data_{n} = {n}", f"    else: {general}"]
        elif timed or n not in op.sequences:
            lines.append(f"    else: {general}")
        else:
            lines += [
                "    else:",
                f"        _type_{n}, _data_{n}, _node_{n} = _sequence({n})",
                f"        if _type_{n} is None{f' or _any_low(_data_{n})' if _looks_for_low else ''}: {general}",
            ]
    if op.options:
        lines += [f"    if _type({n}) not in _STATIC and not _is_static({n}): {general}" for n in op.options]
    return lines


def _no_tensors(op: Op) -> str:
    return " and ".join(f"_type_{n} is not _Tensor" for n in op.inputs) or "True"


def _wanted(op: Op) -> str:
    return " or ".join(f"_node_{n} is not None" for n in op.differentiable)


def _several(op: Op, general: str) -> list[str]:
    """The lines of the call of an op with a fixed number of outputs above one."""
    assert op.outputs is not None
    numbers = range(op.outputs)
    outs = [f"_out_{i}" for i in numbers]
    names = [*outs, *(f"_made_{r}" for r in op.residuals)]
    tensors = ", ".join(f"_result_{i}" for i in numbers)
    lines = [
        *_unwrapped(op, general),
        "    try:",
        *_check_lines(op),
        f"        _all = _forward({_passed(op)})",
        f"        if _type(_all) is not _tuple or _len(_all) != {len(names)}: _all = _split(self, _all)",
        f"        {', '.join(names)} = _all",
        "    except _Exception as _error:",
        f"        _explain(self, {_values(op)}, _error)",
        f"    if {_no_tensors(op)}: return self.several(({', '.join(outs)}))",
    ]
    for i in numbers:
        lines += [
            f"    if _type(_out_{i}) is not _ndarray: _out_{i} = _wrap(self, _out_{i})",
            f"    _result_{i} = _Tensor()",
            f"    _result_{i}._data = _out_{i}",
            f"    _result_{i}._node = None",
        ]
    flowing = [i for i in numbers if i not in op.nondiff_outputs]
    if op.differentiable and flowing:
        floats = " or ".join(f"_out_{i}.dtype.char in _INEXACT" for i in flowing)
        lines += [
            f"    if _state.grad and ({_wanted(op)}) and ({floats}):",
            "        _node = _node_class()",
            "        _node.number = _next_number()",
            "        _node.scope = _state.scope",
            f"        _node.shape = _intern_shape(({', '.join(f'{o}.shape' for o in outs)}))",
            f"        _node.dtype = _intern_shape(({', '.join(f'{o}.dtype' for o in outs)}))",
            "        _node.released = None",
            f"        _out = ({', '.join(outs)})",
            *("        " + line for line in _save_lines(op)),
            *(
                f"        if _out_{i}.dtype.char in _INEXACT: _result_{i}._node = _Output(_node, {i}, _out_{i})"
                for i in flowing
            ),
        ]
    return [*lines, f"    return self.several(({tensors}))"]


def _body(op: Op, general: str, timed: bool = False) -> list[str]:
    """The lines of an op's call, which are left to the `general` recorder where an argument is not plain."""
    passed = _passed(op)
    lines = _unwrapped(op, general, timed)
    lines += ["    try:", *_check_lines(op)]
    if timed:
        lines += ["        _start = _clock()", f"        _out = _forward({passed})", "        _stop = _clock()"]
    else:
        lines += [f"        _out = _forward({passed})"]
    if op.residuals or not isinstance(op.forward, np.ufunc):
        if op.residuals:
            lines += ["        " + ", ".join(["_out", *(f"_made_{r}" for r in op.residuals)]) + " = _split(self, _out)"]
        else:
            lines += ["        if _type(_out) is _tuple: _split(self, _out)"]
    lines += [
        "    except _Exception as _error:",
        f"        _explain(self, {_values(op)}, _error)",
        f"    if {_no_tensors(op)}: return _out",
    ]
    lines += [
        "    if _type(_out) is not _ndarray: _out = _wrap(self, _out)",
        "    _result = _Tensor()",
        "    _result._data = _out",
    ]
    unrecorded = ["    _result._node = None", *(_entry_lines(op, node=False) if timed else ()), "    return _result"]
    if not op.differentiable:
        given = " or ".join(f"_type_{n} is _Tensor and {n}._node is not None" for n in op.inputs)
        return lines + ([f"    if _state.grad and ({given}): _state.ended = self"] if given else []) + unrecorded
    lines += [
        f"    if _state.grad and {'_state.rule is None and ' if op.flat else ''}({_wanted(op)}):",
        "        _dtype = _out.dtype",
    ]
    if not isinstance(op.forward, np.ufunc):
        lines += [
            "        if _dtype.char not in _INEXACT:",
            "            _state.ended = self",
            *("        " + line for line in unrecorded),
        ]
    lines += [
        "        _result._node = _node = _node_class()",
        "        _node.number = _next_number()",
        "        _node.scope = _state.scope",
        *_shape_lines(op),
        "        _node.dtype = _dtype",
        "        _node.released = None",
    ]
    lines += ["        " + line for line in _save_lines(op)]
    if timed:
        lines += ["    " + line for line in _entry_lines(op, node=True)]
    return [*lines, "        return _result", *unrecorded]


def _shape_lines(op: Op) -> list[str]:
    if isinstance(op.forward, np.ufunc) and op.differentiable == op.inputs and len(op.inputs) == 1:
        return [f"        _node.shape = _node_{op.inputs[0]}.shape"]  # the tuple its parent has
    return [
        "        _shape = _out.shape",
        "        _node.shape = _SHAPES.get(_shape) or _intern_shape(_shape)",
    ]


def _save_lines(op: Op) -> list[str]:
    def stores(needs: tuple[str, ...]) -> list[str]:
        found = []
        for need in needs:
            if need == "out":
                found.append("_node.out_saved = _out")
            elif need in op.inputs:
                found.append(f"_node.{need}_saved = _data_{need}")
            elif need in op.residuals:
                found.append(f"_node.{need}_saved = _made_{need}")
            elif need not in ("g", "wanted", *op.options):
                name, _, what = need.rpartition("_")
                found.append(f"_node.{need} = _{what}_of(_data_{name})")
        return found

    lines = [f"_node.{n}_option = {n}" for n in op.options]
    lines += [f"_node.{n}_const = _constant(_data_{n})" for n in op.inputs if n not in op.differentiable]
    if op.reference is not None:
        lines += [f"_node.{n}_saved = _data_{n}" for n in op.inputs]
    if op.joint is not None:
        lines += stores(op.needs[""])
    single = len(op.differentiable) == 1
    for n in op.differentiable:
        lines.append(f"_node.{n}_node = _node_{n}")
        needs = [] if op.joint is not None else stores(op.needs[n])
        if single:
            lines += needs
            continue
        lines.append(f"if _node_{n} is None: _node.{n}_const = _constant(_data_{n})")
        if needs:
            lines.append("else: " + "; ".join(needs))
    return lines


def _entry_lines(op: Op, node: bool) -> list[str]:
    """Tell the profile that is on what ran, in the form that `Timing` describes."""
    shapes = {name for kind, name in facts(op) if kind == "shape"}
    found = []
    for kind, name in facts(op):
        if kind == "option":
            text = "{0}"
        elif not node:
            text = "_constant(_data_{0})" if kind == "source" and name in shapes else "None"
        elif kind == "bytes":
            text = "_size_of(_made_{0})"
        elif kind == "shape":
            text = "None if _node_{0} is None else _node_{0}.shape"
        elif name not in op.differentiable:
            text = "_node.{0}_const"
        elif len(op.differentiable) == 1:
            text = "_node_{0}.number"
        else:
            text = "_node_{0}.number if _node_{0} is not None else 0.0 if _type_{0} is _int else _node.{0}_const"
        found.append(text.format(name))
    head = "_node.number, _node.scope, _node.shape, _dtype" if node else "None, _state.scope, _out.shape, _out.dtype"
    # A third quicker than a call of `extend`.
    return [f"    _log += (self, {', '.join([head, '_stop - _start', *found])})"]


# -- the node ----------------------------------------------------------------------------------------------------


def _pull_lines(op: Op, saved: list[str]) -> list[str]:
    def value(need: str) -> str:
        if need in ("g", "wanted"):
            return need
        if need in saved:
            return f"self.{need}_saved"
        return f"self.{need}_option" if need in op.options else f"self.{need}"

    lines = ["def pull(self, g, grads):", "    only = grads.only"]
    if op.outputs != 1:
        lines.append("    g = grads.fill(self, g)")
    if op.joint is not None:
        names = repr(op.differentiable)
        lines += [
            f"    wanted = frozenset([n for n in {names} if grads.wants(getattr(self, n + '_node'))])",
            f"    found = _joint({', '.join(value(k) for k in op.needs[''])})",
        ]
    for n in op.differentiable:
        lines += [
            f"    parent = self.{n}_node",
            "    if parent is not None and (only is None or grads.wants(parent)):",
        ]
        if op.joint is not None:
            lines.append(f"        d = _entry(self, found, '{n}')")
        else:
            lines.append(f"        d = _rule_{n}({', '.join(value(k) for k in op.needs[n])})")
        lines += [
            "        if type(d) is _ndarray and d.shape == parent.shape and d.dtype is parent.dtype"
            " and parent not in grads:",
            "            grads[parent] = d",
            "            if type(parent) is not _Leaf: _heappush(grads.pending, (-parent.number, parent))",
            f"        else: grads.put(self, '{n}', parent, d)",
        ]
    lines += ["    if grads.site is not None:", "        self.released = grads.site"]
    if saved:
        lines.append("        " + " = ".join(f"self.{n}_saved" for n in saved) + " = None")
    return lines


install_recorder(specialise)
