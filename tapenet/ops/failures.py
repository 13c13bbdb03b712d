"""The errors of a call that fails, or that is given something that no gradient can reach."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NoReturn

import numpy as np

from tapenet.ops.op import Op
from tapenet.ops.tracebacks import hidden

#: Errors that are raised anew with more words: those that are made from a text alone.
_ANEW = (
    ValueError,
    TypeError,
    IndexError,
    ZeroDivisionError,
    MemoryError,
    np.linalg.LinAlgError,
    np.exceptions.AxisError,
)


def explain(op: Op, values: tuple[object, ...], error: Exception, where: str = "") -> NoReturn:
    """Raise a failed forward's error anew, with the op, its inputs, the module and a hint. One that names the public function
    that failed (`named`), or whose text is an argument of the op, is raised as it is."""
    if _says_who(error) or any(type(v) is str and v == str(error) for v in values):
        raise error
    text = f"{call_words(op, values)} failed{where}: {error}"
    if op.hint is not None:
        try:
            named = dict(zip((a.name for a in op.arguments), values, strict=True))
            hint = op.apply(op.hint, named) if op.starred else op.hint(*values)
            text += hint and f". {hint}"
        except Exception:  # a hint made for the usual mistake may not fit this one
            text += ""
    kind = MemoryError if isinstance(error, MemoryError) else type(error)  # NumPy's own is made from a shape
    anew = kind(text) if kind in _ANEW else error
    try:
        if anew is error:
            error.add_note(text)
            raise error
        if hidden():
            raise anew.with_traceback(error.__traceback__) from None  # one error, with the user's lines of both
        raise anew from error
    finally:
        del anew, error  # the traceback holds this frame, which must not hold the error


def _says_who(error: Exception) -> bool:
    return str(error).startswith("tn.")


@contextlib.contextmanager
def named(name: str) -> Iterator[None]:
    """A block in which SciPy runs for a public function, whose errors begin with the name of that."""
    try:
        yield
    except Exception as error:
        if _says_who(error) or type(error) not in (*_ANEW, RuntimeError):
            raise
        raise type(error)(f"{name}: {error}").with_traceback(error.__traceback__) from None


def call_words(op: Op, values: tuple[object, ...]) -> str:
    """A call in words: the op with the dtypes and shapes of its arrays."""
    return f"{op.name}({', '.join(f'{a.name}: {_describe(v)}' for a, v in zip(op.arguments, values, strict=False))})"


def _describe(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, (list, tuple)) and any(isinstance(v, np.ndarray) for v in value):
        return "[" + ", ".join(_describe(v) for v in value) + "]"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def no_rule(op: Op, name: str) -> TypeError:
    """The error for a tensor that needs a gradient, given to an argument without a rule."""
    return TypeError(
        f"{op.name}: a tensor that needs a gradient was given as {name!r}, for which the op has no gradient rule. Pass "
        f"{name}.detach(), or give the op a rule for it, or declare it with nondiff=({name!r},)"
    )


def no_derivative(op: Op, name: str, rule: str) -> TypeError:
    """The same inside the gradient rule of the op `rule`, where derivatives of higher order would be wrong."""
    return TypeError(
        f"{op.name}: a tensor that needs a gradient was given as {name!r}, which has no derivative, in the gradient rule of op "
        f"{rule!r}: the derivative of that rule would be wrong. Give {op.name!r} a rule for {name!r}, where its "
        f"derivative is zero {name}=lambda g: np.zeros_like(g); or where a constant is meant, pass tn.stop_gradient of it"
    )


def hidden_tensors(op: Op, name: str, value: object) -> TypeError:
    """The error for tensors inside of a container, where no rule reaches them."""
    words = (
        f"{op.name}: its argument {name!r} is a {type(value).__name__} with tensors in a dict or dataclass, where no "
    )
    words += "gradient rule reaches them. "
    if not op.opens:
        words += "Give each an argument of its own, or pass them in a list, where a sequence is taken"
    elif name in op.differentiable:
        words += f"Of an op that broadcasts or stands for a NumPy function, say that it may be one with sequences=({name!r},)"
    else:
        words += f"Give the op a rule for it, which returns the same container, or declare it with nondiff=({name!r},)"
    return TypeError(words)


def declined(op: Op, values: list[object]) -> TypeError:
    """The error where foreign types do not answer `__tapenet_op__`."""
    return TypeError(
        f"{op.name}: {', '.join(type(v).__name__ for v in values)} declined to handle this op "
        "(__tapenet_op__ returned NotImplemented)"
    )
