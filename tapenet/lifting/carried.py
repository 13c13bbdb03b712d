"""What a loop carries of Python's variables: their values as tensors, and variables of the same kinds made of tensors again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np

from tapenet import ops
from tapenet.autodiff.control.body import zeros
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting.index import Index
from tapenet.lifting.number import DTYPES, Number, is_number, tensor_of
from tapenet.lifting.ragged import Ragged
from tapenet.lifting.variables import UNBOUND
from tapenet.typing import DType, Shape


class Unlike(Exception):
    """Two values that no loop carries in one variable, and no branch gives back as one."""


class Value(NamedTuple):
    """A tensor; or, with a `kind`, a number of Python's."""

    shape: Shape
    dtype: DType
    kind: type | None = None

    def __str__(self) -> str:
        return f"a {self.kind.__name__}" if self.kind is not None else f"{self.dtype} {self.shape}"


class Several(NamedTuple):
    """A list, tuple or dict."""

    type: type
    keys: tuple[object, ...]
    parts: tuple[Form, ...]

    def __str__(self) -> str:
        return f"a {self.type.__name__} of {len(self.parts)}"


class Fixed(NamedTuple):
    """Something that is no number: the thing itself."""

    value: object

    def __str__(self) -> str:
        if self is OF_ONE_TURN:
            return "a part of changing length"
        return "unassigned" if self.value is UNBOUND else repr(self.value)


#: What stands for a part of changing length: a value of one turn alone, which is not there after it.
OF_ONE_TURN = Fixed(object())

#: The form of what is in a variable.
Form: TypeAlias = Value | Several | Fixed


def form_of(value: object) -> Form:
    """The form of a variable's value."""
    if type(value) is Tensor:
        return Value(value.shape, value.dtype)
    if isinstance(value, Number):
        return Value((), DTYPES[value.kind], value.kind)
    if type(value) in DTYPES:
        return Value((), DTYPES[type(value)], type(value))
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufc":
        return Value(value.shape, value.dtype)
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return Several(type(value), (), tuple(map(form_of, value)))
    if isinstance(value, dict) and type(value) is dict:
        return Several(dict, tuple(value), tuple(map(form_of, value.values())))
    return OF_ONE_TURN if isinstance(value, Ragged) else Fixed(value)


def joined(a: Form, b: Form) -> Form:
    """The form that holds values of both.

    Raises:
        Unlike: there is none.
    """
    if a == b:
        return a
    for one, other in ((a, b), (b, a)):
        if isinstance(one, Fixed) and one.value is UNBOUND:
            return other
    if isinstance(a, Value) and isinstance(b, Value) and a.shape == b.shape:
        if a.kind is not None and b.kind is not None:
            kind = max(a.kind, b.kind, key=list(DTYPES).index)
            return Value((), DTYPES[kind], kind)
        sample = [f.kind() if f.kind is not None else f.dtype for f in (a, b)]
        return Value(a.shape, np.result_type(*sample))
    if isinstance(a, Several) and isinstance(b, Several) and a[:2] == b[:2] and len(a.parts) == len(b.parts):
        return Several(a.type, a.keys, tuple(map(joined, a.parts, b.parts)))
    if isinstance(a, Fixed) and isinstance(b, Fixed) and (a.value is b.value or _equal(a.value, b.value)):
        return a
    raise Unlike(f"it is {a} first, and {b} then")


def _equal(a: object, b: object) -> bool:
    """Whether two things of Python's, such as texts, are equal."""
    return type(a) is type(b) and isinstance(a, (str, bytes, frozenset, range, slice)) and a == b


def same(before: object, after: object) -> bool:
    """Whether a variable still has the same value: the same thing, or an equal number."""
    if before is after:
        return True
    if type(before) is not type(after):
        return False
    if type(before) in DTYPES:
        return before == after or (before != before and after != after)
    if isinstance(before, (list, tuple)):
        assert isinstance(after, (list, tuple))
        return len(before) == len(after) and all(map(same, before, after))
    if isinstance(before, Index):
        assert isinstance(after, Index)
        return before.constant == after.constant and before.terms == after.terms
    return isinstance(before, np.generic) and bool(before == after)


def leaves(form: Form, value: object) -> Iterator[Tensor]:
    """The tensors that hold a value, which has this form or is joined to it; zeros for one that is not assigned."""
    if isinstance(form, Several):
        parts = value.values() if isinstance(value, dict) else value
        absent = value is UNBOUND
        for k, part in enumerate(form.parts):
            yield from leaves(part, UNBOUND if absent else list(parts)[k])  # type: ignore[call-overload]
    elif isinstance(form, Value):
        if value is UNBOUND:
            yield zeros(np.broadcast_to(np.zeros((), form.dtype), form.shape))
        else:
            found = tensor_of(value) if is_number(value) else asarray(value)
            yield found if found.dtype == form.dtype else ops.astype(found, form.dtype)


def built(form: Form, tensors: Iterator[Tensor]) -> object:
    """A value of a form, of its tensors."""
    if isinstance(form, Fixed):
        return UNBOUND if form is OF_ONE_TURN else form.value
    if isinstance(form, Several):
        parts = [built(part, tensors) for part in form.parts]
        return dict(zip(form.keys, parts, strict=True)) if form.type is dict else form.type(parts)
    tensor = next(tensors)
    return tensor if form.kind is None else Number(tensor, form.kind)
