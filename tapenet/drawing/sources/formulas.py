"""An op as mathematics: what it computes and its gradient rules, as a picture, page or animation shows them.

The ops of the package state both (`formula=` and `gradients=` of `tn.op`). An op that does not is shown by the source
of its forward and of its rules, as Python; one whose source cannot be had, by the names of its arguments.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from typing import Any, TypeAlias

import numpy as np

from tapenet.drawing.text import clean
from tapenet.ops.op import Op

#: Longer texts are cut. The texts of the package are at most a third of that; a rule of one line fits.
LIMIT = 200

Definition: TypeAlias = "ast.FunctionDef | ast.Lambda"


def formula(op: Op) -> str:
    """What an op computes, in one line: its `formula`, or else the expression that its forward returns.

    Example:
        >>> import numpy as np, tapenet as tn
        >>> formula(tn.matmul)
        'x @ y'
        >>> formula(tn.op(np.logaddexp, name="soft_maximum"))
        'logaddexp(x, y)'
    """
    if op.formula is not None:
        return clean(op.formula, LIMIT)
    if isinstance(op.forward, np.ufunc):
        return clean(_call(op.forward.__name__, op.arguments), LIMIT)
    value = _returned(op.forward)
    if op.residuals and isinstance(value, ast.Tuple):
        outputs = value.elts[: len(value.elts) - len(op.residuals)]
        value = outputs[0] if op.outputs == 1 and outputs else ast.Tuple(outputs, ast.Load())
    return clean(_unparsed(value) or _call(op.name, op.arguments), LIMIT)


def gradient_rules(op: Op) -> dict[str, str]:
    """The rule of each differentiable input of an op, in one line, by the input's name: from its `gradients`, or else
    the expression that the rule returns.

    Example:
        >>> import numpy as np, tapenet as tn
        >>> gradient_rules(tn.multiply)
        {'x': 'g · y', 'y': 'g · x'}
        >>> softplus = tn.op(lambda x: np.logaddexp(0, x), name="softplus", x=lambda g, out: g * (1 - np.exp(-out)))
        >>> gradient_rules(softplus)
        {'x': 'g * (1 - np.exp(-out))'}
    """
    texts = _given(op)
    sources = {} if texts.keys() >= set(op.differentiable) else _sources(op)
    return {name: clean(texts.get(name) or sources[name], LIMIT) for name in op.differentiable}


def _given(op: Op) -> dict[str, str]:
    """What `gradients` says of each input that it names; of the only input, whether it names it or not."""
    text = op.gradients or ""
    names = "|".join(op.differentiable)
    _, *parts = re.split(rf"(?:^|;)\s*({names})\s*:", text) if names else [text]
    if not parts and text and len(op.differentiable) == 1:
        return {op.differentiable[0]: text.strip()}
    return {name: said.strip() for name, said in zip(parts[::2], parts[1::2], strict=True) if said.strip()}


def _sources(op: Op) -> dict[str, str]:
    """The rule of each input as Python."""
    if op.joint is None:
        return {
            name: _unparsed(_returned(rule)) or _call(_name(rule), op.needs[name]) for name, rule in op.rules.items()
        }
    name = _name(op.joint)
    shared = ("joint " if name == "rule" else "joint rule ") + _call(name, op.needs[""])
    value = _returned(op.joint)
    entries = zip(value.keys, value.values, strict=True) if isinstance(value, ast.Dict) else ()
    found = {key.value: _unparsed(entry) for key, entry in entries if isinstance(key, ast.Constant)}
    return {name: found.get(name) or shared for name in op.differentiable}


def _name(rule: Any) -> str:
    name = getattr(rule, "__name__", type(rule).__name__)
    return "rule" if name == "<lambda>" else name


def _call(name: str, arguments: Any) -> str:
    return f"{name}({', '.join(getattr(a, 'name', a) for a in arguments)})"


# -- source ------------------------------------------------------------------------------------------------------


def _unparsed(node: ast.expr | None) -> str:
    try:
        return "" if node is None else ast.unparse(node)
    except RecursionError:
        return ""


def _returned(function: Any) -> ast.expr | None:
    """The expression that a function returns, if its source can be had and that is all it does."""
    try:
        function = inspect.unwrap(function)
        lines, _ = inspect.findsource(function)
        definition = _definition(function.__code__, _definitions("".join(lines)))
    except Exception:  # whatever is wrong with the source of a function, its op can be drawn
        return None
    if isinstance(definition, ast.Lambda):
        return definition.body
    body = definition.body if definition is not None else []
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]  # the docstring
    return body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None


@functools.lru_cache(maxsize=16)
def _definitions(source: str) -> dict[int, list[Definition]]:
    """The functions of a file by the line in which they begin, decorators included."""
    found: dict[int, list[Definition]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            decorators = getattr(node, "decorator_list", ())
            found.setdefault(decorators[0].lineno if decorators else node.lineno, []).append(node)
    return found


def _definition(code: Any, definitions: dict[int, list[Definition]]) -> Definition | None:
    """The one that was compiled to `code`. Several lambdas may begin in one line: it is the innermost whose body holds
    every position of the code."""
    names = [*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]]
    found: list[Any] = [
        node
        for node in definitions.get(code.co_firstlineno, [])
        if getattr(node, "name", "<lambda>") == code.co_name
        and [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)] == names
    ]
    if len(found) < 2:
        return found[0] if found else None
    # Of no width are the places of what every function begins and ends with.
    places = [((top, left), (end, right)) for top, end, left, right in code.co_positions() if left is not None]
    places = [(first, last) for first, last in places if first != last]
    bodies = [((b.lineno, b.col_offset), (b.end_lineno, b.end_col_offset)) for b in (node.body for node in found)]
    inside = [
        (start, node)
        for node, (start, stop) in zip(found, bodies, strict=True)
        if all(start <= first and last <= stop for first, last in places)
    ]
    return max(inside, key=lambda pair: pair[0])[1] if places and inside else None
