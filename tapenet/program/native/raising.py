"""How native code raises errors of Python: the error is set there, and the status says that there is one."""

from __future__ import annotations

import hashlib

from tapenet.llvm import toolchain
from tapenet.llvm.loops import Code

#: The buffer of the number that says what went wrong: 0 for nothing, 1 for an error that is set, or an index out of bounds.
STATUS = "status"


def write(code: Code, wrong: str, error: type[Exception], text: str, status: str) -> None:
    """Leave the function with an error if a truth value says so.

    Args:
        code: where this goes.
        wrong: the register of the truth value.
        error, text: what is raised.
        status: the pointer to the status.
    """
    toolchain.symbols[f"py_{error.__name__}"] = id(error)
    name = f"@text_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    code.declares |= {
        f'{name} = private constant [{len(text) + 1} x i8] c"{text}\\00"',
        f"@py_{error.__name__} = external global i8",
        "declare void @PyErr_SetString(ptr, ptr)",
    }
    stop, following = code.label(), code.label()
    code.line(f"  br i1 {wrong}, label %{stop}, label %{following}")
    code.begin(stop)
    code.line(f"  call void @PyErr_SetString(ptr @py_{error.__name__}, ptr {name})")
    code.line(f"  store i64 1, ptr {status}")
    code.line("  ret void")
    code.begin(following)
