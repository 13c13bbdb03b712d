"""What functions say of their arguments."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from tapenet.ops.definitions import Argument


class Missing:
    """What stands at the place of a required argument that a call leaves out."""


MISSING = Missing()
#: The options that all of NumPy's ufuncs take.
OF_UFUNCS = ("out", "where", "casting", "order", "dtype", "subok", "signature")
#: Options of NumPy's functions that a tensor has no use for, with the values that may be passed all the same.
NEUTRAL: dict[str, tuple[object, ...]] = {
    "subok": (True, False),
    "like": (None,),
    "device": (None, "cpu"),
    "order": (None, "K", "C", "A", "F"),
    "overwrite_input": (True, False),
}
#: Names of options that `protocol.further` answers.
SPECIAL = frozenset({"out", *NEUTRAL})


@functools.lru_cache(1024)
def parameters(function: Callable[..., object]) -> tuple[inspect.Parameter, ...] | None:
    """The parameters of a function; None if it does not say, as some made in C.

    >>> [p.name for p in parameters(parameters)]
    ['function']
    """
    try:
        return tuple(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


class _Stands(Protocol):
    """An op or derived function."""

    name: str
    numpy: tuple[Callable[..., object], ...]


def further(function: _Stands, own: Collection[str]) -> list[inspect.Parameter]:
    """The options that an op or derived function answers beside its `own` arguments: those of `more=`, and of `SPECIAL` those
    that the NumPy function has for which it stands. `**options` where it does not say which.

    >>> import tapenet as tn
    >>> [p.name for p in further(tn.astype, ["a", "dtype"])]
    ['copy', 'device']
    """
    more = getattr(function, "more", None)
    if isinstance(more, np.ufunc):
        return [inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD)]
    of_numpy = [f for f in function.numpy if not isinstance(f, np.ufunc)][:1]
    found = {p.name: p for p in (more and parameters(more)) or ()}
    found |= {p.name: p for f in of_numpy for p in parameters(f) or () if p.name in SPECIAL}
    skipped = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY)
    options = [p for p in found.values() if p.name not in own and p.kind not in skipped]
    named = [
        p.replace(kind=p.KEYWORD_ONLY, default=None if p.default is p.empty else p.default)
        for p in options
        if p.kind is not p.VAR_KEYWORD
    ]
    return named + [p for p in options if p.kind is p.VAR_KEYWORD]


def signature(function: _Stands, formula: Callable[..., object]) -> inspect.Signature:
    """What `inspect.signature` and `help` say of an op or derived function: the arguments of its formula, and further options.

    Raises:
        AttributeError: the formula does not say what its arguments are.
    """
    own = parameters(formula)
    if own is None:
        raise AttributeError(f"{function.name} has no signature")
    options = further(function, [p.name for p in own])
    return inspect.Signature(sorted((*own, *options), key=lambda p: p.kind))


def unexpected(name: str, keyword: str, known: Iterable[str]) -> TypeError:
    """The error for a call with a keyword that a function does not take: what it takes, and what is spelt alike.

    >>> unexpected("sum", "axsi", ["a", "axis"])
    TypeError("sum() got an unexpected keyword argument 'axsi'; did you mean 'axis'? It takes: a, axis")
    """
    import difflib

    names = list(known)
    near = difflib.get_close_matches(keyword, names, 1)
    meant = f"; did you mean {near[0]!r}? It takes: " if near else "; it takes: "
    return TypeError(f"{name}() got an unexpected keyword argument {keyword!r}{meant}{', '.join(names) or 'none'}")


def check_keywords(name: str, function: Callable[..., object], keywords: Iterable[str]) -> None:
    """Raise for a keyword that a function does not take.

    Raises:
        TypeError: says which it takes.
    """
    known = parameters(function)
    if known is None or any(p.kind is p.VAR_KEYWORD for p in known):
        return
    names = [p.name for p in known if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self"]
    for keyword in keywords:
        if keyword not in names:
            raise unexpected(name, keyword, names) from None


def position(function: Callable[..., object], name: str) -> int | None:
    """Where a function takes an argument by position; None if it does not.

    >>> position(lambda a, /, axis=None, *, out=None: a, "axis"), position(lambda a, *, out=None: a, "out")
    (1, None)
    """
    for i, p in enumerate(parameters(function) or ()):
        if p.name == name:
            return i if p.kind is p.POSITIONAL_OR_KEYWORD else None
    return None


def by_name(
    function: Callable[..., object], name: str, args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[tuple[object, ...], dict[str, object]]:
    """A call of a function with what stands at the place of an argument, and all that follows, by keyword.

    >>> by_name(lambda a, axis=None, dtype=None: a, "axis", (1, 0, "f4"), {})
    ((1,), {'axis': 0, 'dtype': 'f4'})
    """
    place, known = position(function, name), parameters(function) or ()
    if place is None or not place < len(args) <= len(known):
        return args, kwargs
    return args[:place], kwargs | {p.name: value for p, value in zip(known[place:], args[place:], strict=False)}


def bind(op: Any, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, object]:
    """The op's arguments by name, defaults filled in; a TypeError in Python's own words if they do not fit."""
    bound = {}
    given = dict(kwargs)
    if op.starred:
        args, given = _gathered(op.name, op.arguments, args, given)
    position = 0
    for argument in op.arguments:
        name = argument.name
        if not argument.keyword_only and position < len(args):
            if name in given:
                raise TypeError(f"{op.name}() got multiple values for argument {name!r}")
            bound[name] = args[position]
            position += 1
        else:
            bound[name] = given.pop(name, MISSING if argument.required else argument.default)
        if bound[name] is MISSING:
            raise TypeError(f"{op.name}() is missing the argument {name!r}; its arguments are {_names(op.arguments)}")
    if position < len(args):
        raise TypeError(f"{op.name}() takes {position} positional arguments, not {len(args)}: {_names(op.arguments)}")
    if given:
        raise unexpected(op.name, next(iter(given)), [a.written for a in op.arguments])
    return bound


def _gathered(
    function: str, arguments: Sequence[Argument], args: tuple[object, ...], given: dict[str, object]
) -> tuple[tuple[object, ...], dict[str, object]]:
    """The arguments of a call with those that a forward's `*args` takes in as one."""
    place = next(i for i, a in enumerate(arguments) if a.starred)
    name = arguments[place].name
    if name in given:
        raise unexpected(function, name, [a.written for a in arguments])
    if len(args) >= place:
        return (*args[:place], args[place:]), given
    return args, given | {name: ()}


def _names(arguments: Sequence[Argument]) -> str:
    return ", ".join(a.written for a in arguments)
