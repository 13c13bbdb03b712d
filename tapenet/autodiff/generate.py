"""Generates the code that runs an op on tensors: at its first call the call, at its first node the node's class.

The text is made from the op's signature and its rules' argument names alone, which are Python identifiers; values
(defaults, rules, the forward) enter through the namespace. Its own names begin with an underscore (left out below), an
op's arguments may not. For `tn.multiply` it reads about like this:

    def __call__(self, x, y):
        state = local.state
        if not state.fast: return apply(self, (x, y), {})
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
"""

from __future__ import annotations

import builtins
import heapq
import time
import weakref
from collections.abc import Callable
from types import FunctionType
from typing import Any

from tapenet.autodiff import aliasing, gradients, node, record, state
from tapenet.autodiff.node import Node
from tapenet.autodiff.observe.profile import entry
from tapenet.autodiff.state import State, local
from tapenet.ops import arguments, definitions, failures, rule_results, signatures, torch_calls, tracebacks
from tapenet.ops.op import Op
from tapenet.ops.registry import is_own
from tapenet.program import generated, low
from tapenet.typing import Array

#: What generated code may use, under its name with an underscore.
_MODULES = (
    aliasing, builtins, heapq, time, torch_calls, low, node, gradients, state, arguments, failures, rule_results, signatures,
    tracebacks, record,
)  # fmt: skip
_KNOWN = {f"_{name}": value for module in _MODULES for name, value in vars(module).items()}
#: The ops that were called, and whether their calls look for low types: they do once there are any, since looking costs a
#: sixth of a small op's call.
_prepared: weakref.WeakSet[Op] = weakref.WeakSet()
_looks_for_low = False


def called(op: Op, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    """Call an op that has no code of its own yet. It gets that, unless a layer is on: the code would leave the call to the
    general recorder, and takes longer to compile than all calls of most ops in a step."""
    now = local.state
    usual = not kwargs or kwargs.keys() <= {*op.positional[len(args) :], *op.by_keyword}
    if usual and len(args) <= len(op.positional) and not now.fast and now.log is None and now.lifted is None:
        return record.apply(op, args, kwargs)
    prepare(op)
    return op(*args, **kwargs)


def prepare(op: Op) -> None:
    """Give an op its own class with a generated `__call__`."""
    _prepared.add(op)
    op.__class__ = type("Op", (Op,), {**_calls(op), "__module__": Op.__module__})


def _calls(op: Op) -> dict[str, Callable[..., object]]:
    """The generated methods of an op: its call, and that which a profile has in its place."""
    return {"__call__": _call(op), "timed": _first_timed}


def _first_timed(op: Op, state: State, *args: object, **kwargs: object) -> object:
    """Run an op in a profile for the first time: its code is made now, as most programs never need it."""
    own: Any = type(op)  # made for this op alone
    own.timed = _timed(op)
    return own.timed(op, state, *args, **kwargs)


def _look_for_low() -> None:
    """Have every op's call leave low arrays to the general recorder."""
    global _looks_for_low
    _looks_for_low = True
    for op in list(_prepared):
        for name, code in _calls(op).items():
            setattr(type(op), name, code)


low.when_first_met(_look_for_low)


def full_node_class(op: Op) -> type[Node]:
    """The class of an op's nodes on a tape that records everything, and in debug mode."""
    return type("Node", (op.node_class,), {"__slots__": ("call", "line"), "__module__": Node.__module__})


def node_class(op: Op) -> type[Node]:
    """The class of an op's nodes."""
    saved = _saved(op)
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
            "pull": _first_pull,
            "save": classmethod(_save),
        },
    )


def _saved(op: Op) -> list[str]:
    """What a node of an op may save."""
    needed = {n for needs in op.needs.values() for n in needs}
    needed |= set(op.inputs if op.reference is not None else ())
    return [n for n in (op.special.out, *op.inputs, *op.residuals) if n in needed]


def _first_pull(node: Node, g: Array, grads: gradients.Gradients) -> None:
    """Run an op's rules for the first time: their code is made now, as many nodes are never asked for a gradient."""
    op = node.op
    op.node_class.pull = _compile(op, "pull", _pull_lines(op, _saved(op)))
    op.node_class.pull(node, g, grads)


def _save(kind: Any, node: Node, *values: object) -> None:
    """Have a node save what its rules need; for the general recorder, by the lines that the op's call has for it."""
    op = kind.op
    names = [_raw(op, a.name) for a in op.arguments]
    names += [*(f"_node_{n}" for n in op.differentiable), "_out", *(f"_made_{r}" for r in op.residuals)]
    lines = [f"def save(_node, {', '.join(names)}):", *("    " + line for line in _save_lines(op)), "    return None"]
    op.node_class.save = staticmethod(_compile(op, "save", lines))
    op.node_class.save(node, *values)


def _compile(op: Op, function: str, lines: list[str]) -> FunctionType:
    known = _KNOWN | {"_check": op.check, "_forward": op.eager, "_node_class": op.node_class}
    known |= {"_values": op.values} if op.residuals and is_own(op) else {}
    known |= {f"_rule_{n}" if n else "_joint": rule for n, rule in op.eager_rules.items()}
    known |= {f"_default_{a.name}": a.default for a in op.arguments if not a.required}
    name = op.name if op.name.isprintable() else ascii(op.name)[1:-1]  # Python takes no NUL here
    return generated.function(
        function, "\n".join(lines), known, f"op {op.__module__}.{name} {function}", numbered=False
    )


# -- the call ----------------------------------------------------------------------------------------------------


def _raw(op: Op, name: str) -> str:
    """What the array of an argument is called, or an option."""
    return f"_data_{name}" if name in op.inputs else name


def _call(op: Op) -> FunctionType:
    """An op's call, left to the general recorder where an argument is not plain or a layer is on."""
    lines = ["if _more: return _with_options(self, <given>**_more)", "_state = _local.state"]
    if op.outputs == 1:
        profiled = "if _state.log is not None: return self.timed(_state, <given>)"
        lines += ["if not _state.fast:", f"    {profiled}", "    <general>", *_body(op)]
    else:
        lines += ["<general>"] if op.outputs is None else ["if not _state.fast: <general>", *_body(op)]
    made = _method(op, "__call__", lines, last=("**_more",))  # an empty dict costs less than a fiftieth of a small op
    made.__qualname__ = op.name  # what Python calls it where the arguments do not fit
    return made


def _timed(op: Op) -> FunctionType:
    """The call of an op with one output in a profile, if that is the only layer: it tells that what ran and how long."""
    lines = ["_log = _state.log"]
    for line in _body(op):
        space = line[: len(line) - len(line.lstrip())]
        if line.lstrip().startswith(("_out = ", "_all = ")):  # what the forward gives
            lines += [f"{space}_start = _perf_counter()", line, f"{space}_stop = _perf_counter()"]
        elif line.lstrip().startswith("return _result"):
            lines += [f"{space}_log += {entry(op, node=bool(space))}", line]  # a third quicker than a call of `extend`
        else:
            lines.append(line)
    return _method(op, "timed", lines, first=("_state",))


def _method(
    op: Op, name: str, lines: list[str], *, first: tuple[str, ...] = (), last: tuple[str, ...] = ()
) -> FunctionType:
    """A method of an op with its arguments, and with what comes before and after them. In its lines <general> leaves the
    call to the general recorder; <given> and <arguments> are the arguments as a call has them, and as a pair."""
    positional = [f"*{a.name}" if a.starred else a.name for a in op.arguments if not a.keyword_only]
    keyword = [a.name for a in op.arguments if a.keyword_only]
    # A required one may come under another name; what is left out in the end is found by the general recorder.
    defaults = {a.name: "_MISSING" if a.required else f"_default_{a.name}" for a in op.arguments}
    names = [*positional, *(["*"] if keyword and not op.starred else []), *keyword]
    signature = ["self", *first, *(f"{n}={defaults[n]}" if n[0] != "*" else n for n in names), *last]
    options = ", ".join(f"'{n}': {n}" for n in keyword)
    words = {
        "<general>": "return _apply(self, <arguments>)",
        "<given>": "".join([*(f"{n}, " for n in positional), *(f"{n}={n}, " for n in keyword)]),
        "<arguments>": f"({''.join(f'{n}, ' for n in positional)}), {{{options}}}",
    }
    text = [f"def {name}({', '.join(signature)}):", "    try:", *("        " + line for line in lines)]
    for word, code in words.items():
        text = [line.replace(word, code) for line in text]
    return _compile(op, name, [*text, "    except _Exception as _error:", "        _hide(_error)", "        raise"])


def _unwrapped(op: Op) -> list[str]:
    """The lines that take arrays and nodes out of tensors, and leave to the general recorder what is not plain."""
    lines = []
    for n in op.inputs:
        flows = n in op.differentiable
        lines += [
            f"_type_{n} = _type({n})",
            f"if _type_{n} is _Tensor:",
            f"    _data_{n} = {n}._data{f'; _node_{n} = {n}._node' if flows else ''}",
            *([f"    if _data_{n}.dtype.char in _LOW: <general>"] if _looks_for_low else []),
            # the general recorder says so where a derivative of higher order is lost
            *([] if flows or is_own(op) else [f"    if _state.rule is not None and {n}._node is not None: <general>"]),
            f"elif _type_{n} in _PLAIN: _data_{n} = {n}{f'; _node_{n} = None' if flows else ''}",
        ]
        if not flows:
            lines += [f"elif _is_index({n}): _data_{n} = {n}", "else: <general>"]
        elif n not in op.sequences:
            lines.append("else: <general>")
        else:
            low = f" or _any_low(_data_{n})" if _looks_for_low else ""
            lines += [
                "else:",
                f"    _type_{n}, _data_{n}, _node_{n} = _sequence({n})",
                f"    if _type_{n} is None{low}: <general>",
            ]
    return lines + [f"if _type({n}) not in _STATIC and not _is_static({n}): <general>" for n in op.options]


def _body(op: Op) -> list[str]:
    """The lines of the call of an op with a fixed number of outputs."""
    assert op.outputs is not None
    one = op.outputs == 1
    ends = [""] if one else [f"_{i}" for i in range(op.outputs)]
    ufunc = definitions.is_elementwise(op.forward)
    gives = [*("_out" + end for end in ends), *(f"_made_{r}" for r in op.residuals)]
    passed = ", ".join((f"{a.name}=" if a.keyword_only else "*" * a.starred) + _raw(op, a.name) for a in op.arguments)
    returned = "_result" if one else f"self.several(({', '.join('_result' + end for end in ends)}))"
    raw = "_out" if one else f"self.several(({', '.join('_out' + end for end in ends)}))"
    flowing = [end for i, end in enumerate(ends) if i not in op.nondiff_outputs]
    wanted = " or ".join(f"_node_{n} is not None" for n in op.differentiable) if flowing else ""
    recorded = f"_state.grad and {'_state.rule is None and ' if op.flat else ''}({wanted})"
    lines = [*_unwrapped(op), "try:"]
    if op.check is not None:
        lines.append(f"    _check({', '.join(_raw(op, n) for n in op.check_needs)})")
    if gives == ["_out"]:
        lines.append(f"    _out = _forward({passed})")
        # The package's own are known to give what they say.
        lines += [] if ufunc or is_own(op) else ["    if _type(_out) is _tuple: _split(self, _out)"]
    else:
        # That of others may run calls which make nodes, and what is asked for would hold for these too.
        either = f"(_forward if {recorded} else _values)" if wanted and op.residuals and is_own(op) else "_forward"
        lines += [
            f"    _all = {either}({passed})",
            f"    if _type(_all) is not _tuple or _len(_all) != {len(gives)}: _all = _split(self, _all)",
            f"    {', '.join(gives)} = _all",
        ]
    lines += [
        "except _Exception as _error:",
        f"    _explain(self, ({''.join(_raw(op, a.name) + ', ' for a in op.arguments)}), _error, _where())",
        f"if {' and '.join(f'_type_{n} is not _Tensor' for n in op.inputs) or 'True'}: return {raw}",
    ]
    for end in ends:
        lines += [
            f"if _type(_out{end}) is not _ndarray: _out{end} = _wrap(self, _out{end})",
            f"_result{end} = _Tensor()",
            f"_result{end}._data = _out{end}",
            *([] if one else [f"_result{end}._node = None"]),
        ]
    if wanted:
        lines.append(f"if {recorded}:")
        made = _node_lines(op, ends)
        made += ["_result._node = _node", "return _result"] if one else [
            f"if _out{end}.dtype.char in _INEXACT: _result{end}._node = _Output(_node, {end[1:]}, _out{end})"
            for end in flowing
        ]  # fmt: skip
        if ufunc:
            lines += ["    " + line for line in made]
        else:
            floats = " or ".join(f"_out{end}.dtype.char in _INEXACT" for end in flowing)
            lines += [f"    if {floats}:", *("        " + line for line in made), "    else: _state.ended = self"]
    elif op.inputs:
        given = " or ".join(f"_type_{n} is _Tensor and {n}._node is not None" for n in op.inputs)
        lines.append(f"if _state.grad and ({given}): _state.ended = self")
    lines += [*(["_result._node = None"] if one else []), f"return {returned}"]
    if is_own(op) and op.name in aliasing.VIEWS:
        shared = "return _result if _state.lifted is None else _viewed(self, <arguments>, _result)"
        lines = [line.replace("return _result", shared) for line in lines]
    return lines


def _node_lines(op: Op, ends: list[str]) -> list[str]:
    """The lines that make the node of a call."""
    outs = ["_out" + end for end in ends]
    if len(outs) > 1:
        shape = [
            f"_out = ({', '.join(outs)})",
            f"_node.shape = _intern_shape(({', '.join(f'{o}.shape' for o in outs)}))",
            f"_node.dtype = _intern_shape(({', '.join(f'{o}.dtype' for o in outs)}))",
        ]
    elif definitions.is_elementwise(op.forward) and op.differentiable == op.inputs and len(op.inputs) == 1:
        shape = [f"_node.shape = _node_{op.inputs[0]}.shape", "_node.dtype = _out.dtype"]  # the tuple its parent has
    else:
        shape = [
            "_shape = _out.shape",
            "_node.shape = _SHAPES.get(_shape) or _shape and _intern_shape(_shape)",  # () is one object in any case
            "_node.dtype = _out.dtype",
        ]
    return [
        "_node = _node_class()",
        "_node.number = _next_number()",
        "_node.scope = _state.scope",
        *shape,
        "_node.released = None",
        *_save_lines(op),
    ]


def _save_lines(op: Op) -> list[str]:
    """The lines by which a node saves what its rules need."""

    def stores(needs: tuple[str, ...]) -> list[str]:
        found = []
        for need in needs:
            if need == special.out:
                found.append(f"_node.{need}_saved = _out")
            elif need in op.inputs:
                found.append(f"_node.{need}_saved = _data_{need}")
            elif need in op.residuals:
                found.append(f"_node.{need}_saved = _made_{need}")
            elif need not in (special.g, special.wanted, *op.options):
                name, _, what = need.rpartition("_")
                found.append(f"_node.{need} = _{what}_of(_data_{name})")
        return found

    special = op.special
    lines = [f"_node.{n}_option = {n}" for n in op.options]
    # Most that have no derivative may be left out, and are.
    constants = [n for n in op.inputs if n not in op.differentiable]
    lines += [f"_node.{n}_const = None if _data_{n} is None else _constant(_data_{n})" for n in constants]
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


# -- the node ----------------------------------------------------------------------------------------------------


def _pull_lines(op: Op, saved: list[str]) -> list[str]:
    """The lines that run an op's rules."""

    def value(need: str) -> str:
        if need in (op.special.g, op.special.wanted):
            return "g" if need == op.special.g else "wanted"
        if need in saved:
            return f"self.{need}_saved"
        return f"self.{need}_option" if need in op.options else f"self.{need}"

    lines = ["def pull(self, g, grads):", "    only = grads.only"]
    if op.outputs != 1:
        lines.append("    g = grads.fill(self, g)")
    if op.joint is not None:
        lines += [
            f"    wanted = _subset({op.differentiable}, {', '.join(f'self.{n}_node is not None' for n in op.differentiable)})",
            f"    if only is not None: wanted = grads.wanted(self, {op.differentiable!r})",
            f"    found = _joint({', '.join(value(k) for k in op.needs[''])})",
        ]
    for n in op.differentiable:
        rule = f"_joint_entry(self, found, '{n}')"
        if op.joint is None:
            rule = f"_rule_{n}({', '.join(value(k) for k in op.needs[n])})"
        lines += [
            f"    parent = self.{n}_node",
            "    if parent is not None and (only is None or grads.wants(parent)):",
            f"        d = {rule}",
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
