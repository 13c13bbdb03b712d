"""What a lifted function prints, the texts that it makes of values, and its asserts and errors.

Values that only a program knows are put in when it runs. A check in the body of a recorded loop is no call: it notes the first
failure in tensors that the loop carries, and these are looked at once the lifted function has ended.
"""

from __future__ import annotations

import builtins
import copy
import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from tapenet import ops
from tapenet.autodiff.aliasing import Lifted
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.state import local
from tapenet.autodiff.telling import tell
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting.control import truth
from tapenet.lifting.number import Number
from tapenet.lifting.questions import not_
from tapenet.lifting.turns import constant
from tapenet.typing import Array

_CONVERSIONS: dict[int, Callable[[object], object]] = {97: ascii, 114: repr, 115: str}


class Text(str):
    """A text with values that only the program knows. Where it is looked at before, it says so in their places.

    Attributes:
        build: makes the text of values.
        parts: the values.
    """

    build: Callable[..., str]
    parts: tuple[object, ...]

    def __add__(self, other: str) -> str:
        return text_of(operator.add, self, other)

    def __radd__(self, other: str) -> str:
        return text_of(operator.add, other, self)


class _Hole(NamedTuple):
    """The place of a value among those that a program gives; whether it is a number of Python's."""

    position: int
    of_python: bool


class _Built(NamedTuple):
    """A text that is made later."""

    build: Callable[..., str]
    parts: object


def _held(value: object, tensors: list[Tensor]) -> object:
    """A value with its numbers and arrays as NumPy's, and holes for those that only the program knows, whose tensors are added
    to the list."""
    if isinstance(value, Text):
        return _Built(value.build, _held(value.parts, tensors))
    if isinstance(value, (Number, Tensor)):
        tensor = value.tensor if isinstance(value, Number) else value
        known = constant(tensor)
        if known is not None:
            return known.item() if isinstance(value, Number) else known[()]
        tensors.append(tensor)
        return _Hole(len(tensors) - 1, isinstance(value, Number))
    return _mapped(lambda part: _held(part, tensors), value)


def _filled(held: object, arrays: Sequence[Array]) -> object:
    """What `_held` made, with arrays in its holes."""
    if isinstance(held, _Hole):
        array = arrays[held.position]
        return array.item() if held.of_python and array.size == 1 else array[()]
    if isinstance(held, _Built):
        return held.build(*_filled(held.parts, arrays))  # type: ignore[misc]
    return _mapped(lambda part: _filled(part, arrays), held)


def _mapped(function: Callable[[object], object], value: object) -> object:
    """A tuple, list or dict of what a function makes of its parts; anything else as it is."""
    if type(value) is tuple:
        return tuple(map(function, value))
    if type(value) is list:
        return list(map(function, value))
    return {name: function(part) for name, part in value.items()} if type(value) is dict else value


# -- texts -------------------------------------------------------------------------------------------------------


def text_of(build: Callable[..., str], *parts: object) -> str:
    """`build(*parts)`, later where only the program knows some of them."""
    tensors: list[Tensor] = []
    held = _held(parts, tensors)
    if not tensors:
        return build(*_filled(held, ()))  # type: ignore[misc]
    marks = [np.array(f"<{t.dtype} {t.shape} of a program>") for t in tensors]
    try:
        made = Text(build(*_filled(held, marks)))  # type: ignore[misc]
    except (TypeError, ValueError):  # its format is for numbers
        made = Text("<a text of a program>")
    made.build, made.parts = build, parts
    return made


def text(*pieces: object) -> str:
    """An f-string: of texts, and of values each with its conversion and format."""

    def build(*pieces: object) -> str:
        return "".join(piece if isinstance(piece, str) else _formatted(*piece) for piece in pieces)  # type: ignore[misc]

    return text_of(build, *pieces)


def _formatted(value: object, conversion: int, form: str) -> str:
    return format(_CONVERSIONS[conversion](value) if conversion in _CONVERSIONS else value, form)


def percent(form: str, values: object) -> str:
    """`form % values`."""
    return text_of(lambda values: form % values, values)


def formatting(method: Callable[..., str]) -> Callable[..., str]:
    """`"...".format`."""
    return lambda *args, **named: text_of(lambda args, named: method(*args, **named), args, named)


def debug_print_(text: str, *values: object, **named: object) -> None:
    """`tn.debug_print`, with numbers of Python's."""
    print_(formatting(text.format)(*values, **named))


def print_(*values: object, **options: object) -> None:
    """`print(...)`, with arrays as NumPy prints them: now, and whenever a program that is being recorded comes here."""
    _say(lambda *values: builtins.print(*values, **options), values)  # type: ignore[call-overload]


def _say(act: Callable[..., object], values: tuple[object, ...]) -> None:
    tensors: list[Tensor] = []
    held = _held(values, tensors)
    if capturing() is None:
        act(*_filled(held, ()))  # type: ignore[misc]
    else:
        tell(tensors, lambda *arrays: act(*_filled(held, arrays)))  # type: ignore[misc]


# -- checks ------------------------------------------------------------------------------------------------------


class _Check(NamedTuple):
    """A check in the body of a loop or branch.

    Attributes:
        failed: whether it failed, at first False.
        values: what its message needs, as at the first failure.
        error: what is raised, with holes for them.
    """

    failed: Tensor
    values: list[Tensor]
    error: Callable[[Sequence[Array]], BaseException]

    def note(self, failed: Tensor, values: Sequence[Tensor]) -> None:
        """Note a failure, if it is the first."""
        first = ops.logical_and(failed, ops.logical_not(self.failed))
        for kept, value in zip(self.values, values, strict=True):
            kept[...] = ops.where(first, value, kept)
        self.failed[...] = ops.logical_or(self.failed, failed)

    def tell(self) -> None:
        """Raise if it failed, when the program runs."""
        _raise_later(self.failed, self.values, self.error)


def raise_if(test: object, error: Callable[[], object], line: int) -> None:
    """`if test: raise error()`. Where only the program knows, it is raised when that runs."""
    answer = truth(test)
    if isinstance(answer, bool):
        if answer:
            made = error()
            raise made if isinstance(made, BaseException) else made()  # type: ignore[operator]
        return
    made = error()
    if isinstance(made, type):
        made = made()
    assert isinstance(made, BaseException)
    tensors: list[Tensor] = []
    raised = partial(_error, made, _held(made.args, tensors))
    made.args = ()  # a program is not to keep tensors
    values = [value.detach() for value in tensors]
    lifted: Lifted | None = local.state.lifted
    if lifted is None or capturing() is lifted.tape:
        _raise_later(answer, values, raised)
        return
    code = error.__code__
    key = code.co_filename, line, code.co_firstlineno, len(values)
    check = lifted.checks.get(key)
    if not isinstance(check, _Check):
        kept = [Tensor._of(np.zeros(value.shape, value.dtype)) for value in values]
        check = lifted.checks[key] = _Check(Tensor._of(np.zeros((), bool)), kept, raised)
    check.note(answer, values)


def _error(made: BaseException, held: object, arrays: Sequence[Array]) -> BaseException:
    found = copy.copy(made)
    found.args = _filled(held, arrays)  # type: ignore[assignment]
    return found


def _raise_later(failed: Tensor, values: Sequence[Tensor], error: Callable[[Sequence[Array]], BaseException]) -> None:
    def act(failed: Array, *values: Array) -> None:
        if failed.any():
            raise error(values)

    tell([failed, *values], act)


def assert_(test: object, message: Callable[[], object], line: int) -> None:
    """`assert test, message`."""

    def error() -> AssertionError:
        told = message()
        return AssertionError() if told is None else AssertionError(told)

    raise_if(not_(test), error, line)


def look_at_checks(lifted: Lifted) -> None:
    """Raise, when the program runs, what the checks in the bodies of a run found."""
    for check in lifted.checks.values():
        if isinstance(check, _Check):
            check.tell()
