"""Python that the package writes: compiled, with its text where tracebacks and debuggers look for it."""

from __future__ import annotations

import itertools
import linecache
import weakref
from collections.abc import Mapping
from types import CodeType, FunctionType

_number = itertools.count(1)


def function(name: str, text: str, known: Mapping[str, object], title: str, numbered: bool = True) -> FunctionType:
    """The function `name` that a text defines.

    Args:
        name, text: what is defined, and the Python that does it.
        known: what names in the text may stand for.
        title: what the text is called in a traceback.
        numbered: whether a number stands beside the title, and the text is forgotten with the function.
    """
    filename = f"<{title} {next(_number)}>" if numbered else f"<{title}>"
    code = compile(text, filename, "exec")
    space: dict[str, object] = {"__name__": __name__}  # tapenet's own: a compiled function need not watch its globals
    space |= {n: known[n] for n in names_in(code) if n in known}
    exec(code, space)
    made = space[name]
    assert isinstance(made, FunctionType)
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    if numbered:
        weakref.finalize(made, linecache.cache.pop, filename, None)
    return made


def names_in(code: CodeType) -> set[str]:
    """The global names that code uses, with that inside it."""
    return set(code.co_names).union(*(names_in(c) for c in code.co_consts if isinstance(c, CodeType)))
