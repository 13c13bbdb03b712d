"""How native code raises errors of Python: the error is set there, and the status says that there is one."""

from __future__ import annotations

import hashlib
import importlib
import sys

from tapenet.llvm import toolchain
from tapenet.llvm.code import Code

#: The buffer of the number that says what went wrong: 0 for nothing, 1 for an error that is set, or an index out of bounds.
STATUS = "status"


def locked(gives: str, function: str, parameters: str = "") -> set[str]:
    """The text of `tn_` and a function of Python's, which takes the interpreter's lock for it, and of what that needs: while a
    segment runs the lock may be released."""
    types = ", ".join(p.split()[0] for p in parameters.split(", ")) if parameters else ""
    found, answer = ("%1 = ", f"{gives} %1") if gives != "void" else ("", "void")
    return {
        f"declare {gives} @{function}({types})",
        "declare i32 @PyGILState_Ensure()",
        "declare void @PyGILState_Release(i32)",
        f"""define internal {gives} @tn_{function}({parameters}) noinline {{
  %state = call i32 @PyGILState_Ensure()
  {found}call {gives} @{function}({parameters})
  call void @PyGILState_Release(i32 %state)
  ret {answer}
}}""",
    }


def write(code: Code, wrong: str, error: type[Exception], text: str, status: str) -> None:
    """Leave the function with an error if a truth value says so.

    Args:
        code: where this goes.
        wrong: the register of the truth value.
        error, text: what is raised.
        status: the pointer to the status.
    """
    symbol = f"py_{error.__name__}"
    toolchain.symbols[symbol] = id(error)
    if is_known(error):
        toolchain.origins[symbol] = __name__, "declare", error.__module__, error.__name__
    letters = text.encode() + b"\0"
    name = f"@text_{hashlib.sha256(letters).hexdigest()[:16]}"
    quoted = "".join(chr(c) if 32 <= c < 127 and c not in b'"\\' else f"\\{c:02X}" for c in letters)
    code.declares |= {
        f'{name} = private constant [{len(letters)} x i8] c"{quoted}"',
        f"@{symbol} = external global i8",
        *locked("void", "PyErr_SetString", "ptr %a, ptr %b"),
    }
    raised = f"  call void @tn_PyErr_SetString(ptr @{symbol}, ptr {name})"
    code.leave(wrong, [raised, f"  store i64 1, ptr {status}"])


def is_known(error: type) -> bool:
    """Whether any process finds an error by its name: it is one of Python's, NumPy's or tapenet's own."""
    module = error.__module__
    ours = module.partition(".")[0] in ("builtins", "numpy", "tapenet")
    return ours and getattr(sys.modules.get(module), error.__name__, None) is error


def declare(module: str, name: str) -> None:
    """Have code raise an error, one that is known."""
    toolchain.symbols[f"py_{name}"] = id(getattr(importlib.import_module(module), name))
