"""Finds the source of a function and makes the converted function of it."""

from __future__ import annotations

import ast
import functools
import linecache
from copy import deepcopy
from types import CodeType, FunctionType

from tapenet.lifting.conversion import LIFT, converted
from tapenet.lifting.exits import Unsupported


def converted_code(function: FunctionType) -> CodeType:
    """The code of a function, converted (`conversion.py`); its own where its source is not at hand, or cannot be converted.

    It has the free variables of the function, or some of them, and one more for what it calls, `_lift`.
    """
    original = function.__code__
    linecache.lazycache(original.co_filename, function.__globals__)
    return _code(original, original.co_filename, original.co_qualname) or original


@functools.lru_cache(maxsize=1024)
def _code(original: CodeType, file: str, name: str) -> CodeType | None:
    """The converted code of a function, by its code, which is equal for functions of any files and classes."""
    found = _definition(original)
    if found is None:
        return None
    around = name.split(".")[:-1]
    try:
        node = converted(found, around[-1] if around and around[-1] != "<locals>" else None)
    except Unsupported:
        return None
    names = (*original.co_freevars, LIFT)
    inner = ast.copy_location(ast.Expr(node), node) if isinstance(node, ast.Lambda) else node
    parameters = ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])
    outer = ast.FunctionDef("outer", parameters, [inner], [])
    if isinstance(node, ast.FunctionDef) and node.name not in names:  # it is no variable of its own
        outer.body.insert(0, ast.Global([node.name]))
    outer.type_params = []  # type: ignore[attr-defined]  # from Python 3.12 on
    ast.copy_location(outer, node)
    module = compile(ast.fix_missing_locations(ast.Module([outer], [])), file, "exec")
    return _codes(_codes(module)[0])[0].replace(co_qualname=name)


def _codes(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _definition(code: CodeType) -> ast.FunctionDef | ast.Lambda | None:
    """The syntax tree of a function, found by where its code begins; a copy."""
    try:
        tree = _parsed("".join(linecache.getlines(code.co_filename)))
    except SyntaxError:
        return None  # the file has been changed
    functions = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.Lambda)))
    found = [node for node in functions if _is_of(node, code)]
    if len(found) > 1:  # lambdas of one line
        columns = {(line, column) for line, _, column, _ in code.co_positions() if line is not None and column}
        lambdas = (node for node in found if isinstance(node, ast.Lambda))
        found = [node for node in lambdas if (node.body.lineno, node.body.col_offset) in columns]
    return deepcopy(found[0]) if len(found) == 1 else None


def _is_of(node: ast.FunctionDef | ast.Lambda, code: CodeType) -> bool:
    if isinstance(node, ast.Lambda):
        same = code.co_name == "<lambda>" and node.lineno == code.co_firstlineno
    else:
        first = node.decorator_list[0] if node.decorator_list else node
        same = node.name == code.co_name and first.lineno == code.co_firstlineno
    arguments = node.args
    names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return same and len(names) == code.co_argcount + code.co_kwonlyargcount


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)
