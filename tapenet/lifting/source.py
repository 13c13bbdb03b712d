"""Finds the source of a function and makes the converted function of it."""

from __future__ import annotations

import ast
import functools
import linecache
from copy import deepcopy
from types import CodeType, FunctionType, ModuleType

from tapenet.lifting.conversion import LIFT, converted, has_calls, with_calls
from tapenet.lifting.exits import Unsupported


def converted_code(function: FunctionType) -> CodeType:
    """The code of a function, converted (`conversion.py`); its own where its source is not at hand, or cannot be converted.

    It has the free variables of the function, or some of them, and one more for what it calls, `_lift`.
    """
    return _code(*_key(function), None) or function.__code__


def code_with_calls(function: FunctionType) -> CodeType:
    """The code of a function as it is, but for calls (`conversion.with_calls`); its own where its source is not at hand.

    Its free variables are as those of `converted_code`.
    """
    names, outside = function.__code__.co_names, function.__globals__
    objects = frozenset(name for name in names if not isinstance(outside.get(name), ModuleType))
    return _code(*_key(function), objects.union(function.__code__.co_freevars)) or function.__code__


def _key(function: FunctionType) -> tuple[CodeType, str, str]:
    """What says which source is a function's: its code, which is equal for functions of other files and classes, and these."""
    code = function.__code__
    linecache.lazycache(code.co_filename, function.__globals__)
    return code, code.co_filename, code.co_qualname


@functools.lru_cache(maxsize=1024)
def _code(original: CodeType, file: str, name: str, outer: frozenset[str] | None) -> CodeType | None:
    """The converted code of a function; where `outer` is given that with other calls alone."""
    found = _definition(original)
    if found is None or not (outer is None or has_calls(found, outer)):
        return None
    found = deepcopy(found)
    around = name.split(".")[:-1]
    own_class = around[-1] if around and around[-1] != "<locals>" else None
    try:
        node = converted(found, own_class) if outer is None else with_calls(found, own_class, outer)
    except Unsupported:
        return None
    names = (*original.co_freevars, LIFT)
    inner = ast.copy_location(ast.Expr(node), node) if isinstance(node, ast.Lambda) else node
    parameters = ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])
    outside = ast.FunctionDef("outside", parameters, [inner], [])
    if not isinstance(node, ast.Lambda) and node.name not in names:  # it is no variable of its own
        outside.body.insert(0, ast.Global([node.name]))
    outside.type_params = []  # type: ignore[attr-defined]  # from Python 3.12 on
    ast.copy_location(outside, node)
    module = compile(ast.fix_missing_locations(ast.Module([outside], [])), file, "exec")
    return _inner(_inner(module, "outside"), original.co_name).replace(co_qualname=name)


def _inner(code: CodeType, name: str) -> CodeType:
    """The code of the function of a name that is defined in some code; before it may lie that of its annotations, and lambdas
    that its arguments are by default."""
    return [value for value in code.co_consts if isinstance(value, CodeType) and value.co_name == name][-1]


def _definition(code: CodeType) -> ast.FunctionDef | ast.Lambda | None:
    """The syntax tree of a function, found by where its code begins."""
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
    return found[0] if len(found) == 1 else None


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
