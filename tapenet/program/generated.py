"""Python that the package writes: compiled, with its text where tracebacks and debuggers look for it."""

from __future__ import annotations

import itertools
import linecache
import weakref
from types import FunctionType

_number = itertools.count(1)


def function(name: str, text: str, namespace: dict[str, object], title: str) -> FunctionType:
    """The function `name` that a text defines.

    Args:
        name, text: what is defined, and the Python that does it.
        namespace: what the names in the text stand for.
        title: what the text is called in a traceback, beside a number.
    """
    filename = f"<{title} {next(_number)}>"
    exec(compile(text, filename, "exec"), namespace)
    made = namespace[name]
    assert isinstance(made, FunctionType)
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    weakref.finalize(made, linecache.cache.pop, filename, None)
    return made
