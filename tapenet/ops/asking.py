"""Python functions that ask what stands for them when they meet a tensor, as NumPy's do: `scipy.linalg.expm`, once an op has
it as `numpy=`."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable
from types import CodeType, FunctionType

import numpy as np

from tapenet.locks import lock
from tapenet.ops.operators import Operand
from tapenet.ops.registry import numpy_functions

#: A function that asks -> what it was.
_originals: dict[FunctionType, FunctionType] = {}
_lock = lock()
#: Types of arguments that go to the function as they are, without a closer look.
_PLAIN = frozenset({np.ndarray, float, int, bool, complex, str, type(None), np.float64, np.float32, np.int64})


def make_ask(function: FunctionType) -> None:
    """Have a Python function look at its arguments first. It stays the same object, under all names that it has been imported
    as, with the same signature and source: only its code is another."""
    with _lock:
        if function in _originals:
            return
        made = FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
        for attribute in functools.WRAPPER_ASSIGNMENTS:
            setattr(made, attribute, getattr(function, attribute))
        made.__kwdefaults__ = function.__kwdefaults__
        made.__dict__.update(function.__dict__)
        code = _Asking(function, made).code()
        _originals[function] = made
        function.__code__ = code


class _Asking:
    """What a function does once it was made to ask."""

    def __init__(self, function: FunctionType, original: FunctionType) -> None:
        self.function = function
        self.original = original
        code = function.__code__
        names = iter(code.co_varnames)
        self.positional = [next(names) for _ in range(code.co_argcount)]
        self.keyword_only = [next(names) for _ in range(code.co_kwonlyargcount)]
        self.rest = next(names) if code.co_flags & inspect.CO_VARARGS else ""
        self.further = next(names) if code.co_flags & inspect.CO_VARKEYWORDS else ""
        self.defaults = dict(zip(reversed(self.positional), reversed(function.__defaults__ or ()), strict=False))
        self.defaults |= function.__kwdefaults__ or {}

    def code(self) -> CodeType:
        """Its code: on plain arguments a call of the original."""
        old = self.function.__code__
        shown = list(self.positional)
        if old.co_posonlyargcount:
            shown.insert(old.co_posonlyargcount, "/")
        shown += [f"*{self.rest}" if self.rest else "*"] if self.rest or self.keyword_only else []
        shown += self.keyword_only + ([f"**{self.further}"] if self.further else [])
        passed = [*self.positional, *([f"*{self.rest}"] if self.rest else []), *(f"{n}={n}" for n in self.keyword_only)]
        values = ", ".join(self.positional + self.keyword_only)
        answer = f"return _answer([{values}], {self.rest or '()'}, {self.further or '{}'})"
        tests = [f"_kind({n}) not in _plain" for n in self.positional + self.keyword_only]
        lines = [f"if {' or '.join(tests)}: {answer}"] if tests else []
        for several in ([self.rest] if self.rest else []) + ([f"{self.further}.values()"] if self.further else []):
            lines += [f"for _value in {several}:", f"    if _kind(_value) not in _plain: {answer}"]
        free = [f"_{i}" for i in range(len(old.co_freevars))]  # as many as before: code with others does not fit
        if self.further:  # a call without them is quicker
            lines.append(f"if {self.further}: return _original({', '.join([*passed, f'**{self.further}'])})")
        lines.append(f"return _original({', '.join(passed)})")
        body = "\n        ".join(lines)
        source = f"""
def outer({", ".join(free)}):
    def inner({", ".join(shown)}):
        _kind, _plain, _original, _answer = "code"
        {body}
        {", ".join(free)}
    return inner
"""
        tree = ast.parse(source)
        for node in ast.walk(tree):  # all of it is where the function begins, so that tracebacks show that line
            if isinstance(node, (ast.stmt, ast.expr, ast.arg, ast.keyword)):
                node.lineno = node.end_lineno = old.co_firstlineno
                node.col_offset = node.end_col_offset = 0
        space: dict[str, Callable[..., FunctionType]] = {}
        exec(compile(tree, old.co_filename, "exec"), space)
        new = space["outer"](*free).__code__
        given = (type, _PLAIN, self.original, self.answer)
        constants = tuple(given if constant == "code" else constant for constant in new.co_consts)
        return new.replace(
            co_consts=constants, co_freevars=old.co_freevars, co_name=old.co_name, co_qualname=old.co_qualname
        )

    def answer(self, values: list[object], rest: tuple[object, ...], further: dict[str, object]) -> object:
        """What a call gives on other than plain arguments. If there is a tensor, what stands for the function is called, with
        the options by name that differ from their defaults."""
        count = len(self.positional)
        found = _answering([values, rest, *further.values()])
        if found is None:
            named = dict(zip(self.keyword_only, values[count:], strict=True))
            return self.original(*values[:count], *rest, **named, **further)
        by_place = count if rest else sum(n not in self.defaults for n in self.positional)
        options = zip((self.positional + self.keyword_only)[by_place:], values[by_place:], strict=True)
        given = {n: v for n, v in options if n not in self.defaults or v is not self.defaults[n]}
        args, kwargs = (*values[:by_place], *rest), given | further
        protocol = getattr(found, "__array_function__", None)
        if protocol is None:  # a type that has none of NumPy's protocols
            return numpy_functions[self.function](*args, **kwargs)
        return protocol(self.function, (type(found),), args, kwargs)


def _answering(value: object) -> object:
    """The first tensor, symbol or other type that ops take, in an argument; None if there is none."""
    if isinstance(value, (list, tuple)):
        return next((found for v in value if type(v) not in _PLAIN and (found := _answering(v)) is not None), None)
    return value if isinstance(value, Operand) or hasattr(type(value), "__tapenet_op__") else None
