"""The statements of a function, as Python's syntax: found by the positions that its code keeps, so that no more is parsed."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import textwrap
from collections.abc import Callable
from types import CodeType


def statements(function: Callable[..., object]) -> list[ast.stmt] | None:
    """What a function does, statement by statement, without its docstring; None where its source cannot be had.

    >>> import numpy as np, tapenet as tn
    >>> [ast.unparse(s) for s in statements(tn.relu.forward)]
    ['return np.maximum(x, 0)']
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    if not isinstance(code, CodeType):
        return None
    lines = linecache.getlines(code.co_filename)
    if code not in _known or _known[code][0] is not lines:
        _known[code] = lines, _parsed(code, lines)
    return _known[code][1]


#: What was read, with the lines of the file then. The rules of primitives are read again and again.
_known: dict[CodeType, tuple[list[str], list[ast.stmt] | None]] = {}


def _parsed(code: CodeType, lines: list[str]) -> list[ast.stmt] | None:
    # Of no width are the places of what every function begins and ends with.
    places = [
        (line, column, end, last)
        for line, end, column, last in code.co_positions()
        if line and end and column is not None and last is not None and (line, column) != (end, last)
    ]
    if not places or max(end for _, _, end, _ in places) > len(lines):
        return None
    first, start, _, _ = min(places)
    _, last, stop = max((0, end, column) for _, _, end, column in places)
    head = "".join(lines[code.co_firstlineno - 1 : first])
    try:
        if code.co_name == "<lambda>":
            before = head[: len(head) - len(lines[first - 1])] + lines[first - 1].encode()[:start].decode()
            arguments = before.rpartition("lambda")[2].rpartition(":")[0]
            if not set(code.co_varnames[: code.co_argcount]) <= set(re.findall(r"\w+", arguments)):
                return None  # the file has changed
            text = "".join(lines[first - 1 : last]).encode()
            end = len(text) - len(lines[last - 1].encode()) + stop
            return [ast.Return(ast.parse(_closed(text[start:end].decode()), mode="eval").body)]
        if f"def {code.co_name}(" not in head:
            return None
        body = ast.parse(textwrap.dedent("".join(lines[first - 1 : last]))).body
        return body[0].body if len(body) == 1 and isinstance(body[0], ast.FunctionDef) else body
    except (
        SyntaxError,
        ValueError,
        RecursionError,
        MemoryError,
    ):  # whatever is wrong with the source, its op can be drawn
        return None


def _closed(text: str) -> str:
    """A piece of source with the parentheses that were cut off at both ends."""
    depth = lowest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        lowest = min(lowest, depth)
    return f"({'(' * -lowest}{text}{')' * (depth - lowest)})"
