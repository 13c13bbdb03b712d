"""What the definition of an op says of its arguments, and whether its parts fit together."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Container, Mapping
from types import FunctionType
from typing import NamedTuple, TypeGuard

import numpy as np

from tapenet.program import primitives
from tapenet.program.derivatives import ufunc_arguments

#: What a rule may ask for beside the op's own arguments and residuals: the gradient, the output, the wanted inputs.
RESERVED = ("g", "out", "wanted")
_EMPTY: object = inspect.Parameter.empty
Function = Callable[..., object]


class Special(NamedTuple):
    """What rules of an op call the gradient, the output and the wanted inputs."""

    g: str
    out: str
    wanted: str


def special(names: Collection[str]) -> Special:
    """These names, with an underscore behind that of which an argument has it.

    >>> special(["x", "g"])
    Special(g='g_', out='out', wanted='wanted')
    """
    return Special(*(f"{n}_" if n in names else n for n in RESERVED))


class Argument(NamedTuple):
    """One argument of an op: its name, whether it is keyword-only, its default (`_EMPTY` if none), and whether it is the
    forward's `*args`: a tuple of all that a call has there."""

    name: str
    keyword_only: bool
    default: object
    starred: bool = False

    @property
    def required(self) -> bool:
        return self.default is _EMPTY

    @property
    def written(self) -> str:
        return "*" * self.starred + self.name


def arguments(name: str, forward: Function) -> tuple[Argument, ...]:
    """The arguments of the forward of op `name`, in order."""
    if isinstance(forward, np.ufunc):
        return tuple(Argument(n, False, _EMPTY) for n in ufunc_arguments(forward.nin))
    if _plain_function(forward):
        # Reading the code object is ten times cheaper than inspect.signature, and this runs for every op at
        # import.
        code = forward.__code__
        count, keyword_only = code.co_argcount, code.co_kwonlyargcount
        names = code.co_varnames
        defaults = forward.__defaults__ or ()
        padded = (_EMPTY,) * (count - len(defaults)) + defaults
        kwdefaults = forward.__kwdefaults__ or {}
        found = tuple(Argument(n, False, d) for n, d in zip(names[:count], padded, strict=True))
        if code.co_flags & inspect.CO_VARARGS:
            found += (Argument(names[count + keyword_only], False, _EMPTY, True),)
        found += tuple(Argument(n, True, kwdefaults.get(n, _EMPTY)) for n in names[count : count + keyword_only])
        further = bool(code.co_flags & inspect.CO_VARKEYWORDS)
    else:
        parameters = signature_of(name, forward)
        further = any(p.kind is p.VAR_KEYWORD for p in parameters)
        found = tuple(
            Argument(p.name, p.kind is p.KEYWORD_ONLY, p.default, p.kind is p.VAR_POSITIONAL) for p in parameters
        )
    if further:
        raise TypeError(
            f"op {name!r}: the forward takes **kwargs; name its options, and give several arrays as a dict or a sequence in "
            "one argument"
        )
    return found


def is_elementwise(forward: Function) -> bool:
    """Whether a forward is a ufunc that gives an array, of floats where its arguments are."""
    return isinstance(forward, np.ufunc) and forward.signature is None and forward.types[-1][-1] in "efdgFDGO"


def argument_names(name: str, function: Function, known: Container[str]) -> tuple[str, ...]:
    """What a rule, a check or a count of op `name` asks for: its parameters, but for its own ones. These have a default,
    and are keyword-only or not `known`."""
    if _plain_function(function) and not function.__code__.co_kwonlyargcount and function.__defaults__ is None:
        return tuple(function.__code__.co_varnames[: function.__code__.co_argcount])
    asked: list[str] = []
    own = ""
    for p in signature_of(name, function):
        if p.kind is p.KEYWORD_ONLY and p.default is _EMPTY:
            raise TypeError(f"op {name!r}: a rule's arguments are passed by position: {p.name!r} is keyword-only")
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            if p.default is not _EMPTY and p.name not in known:
                own = own or p.name
            elif own:
                raise TypeError(
                    f"op {name!r}: {own!r} is a default of a rule's own and stands before {p.name!r}, which the rule asks "
                    "for: put such defaults last"
                )
            else:
                asked.append(p.name)
    return tuple(asked)


def _plain_function(function: object) -> TypeGuard[FunctionType]:
    """Whether a function's code object tells its arguments: it is no method, partial or decorated function."""
    return inspect.isfunction(function) and not hasattr(function, "__wrapped__")


def signature_of(name: str, function: Function) -> list[inspect.Parameter]:
    """The parameters of a function that is given to op `name`.

    Raises:
        TypeError: it does not say.
    """
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError:
        raise TypeError(
            f"op {name!r}: {function!r} does not say what its arguments are called: give a lambda that names them"
        ) from None


def check_names(name: str, names: list[str], rules: Collection[str], nondiff: Collection[str]) -> None:
    """Raise a TypeError if the rules and `nondiff=` of op `name` do not fit its arguments, or one has a reserved name."""
    for group, given in (("a rule", rules), ("nondiff=", nondiff)):
        for n in given:
            if n not in names:
                raise TypeError(
                    f"op {name!r}: {group} names {n!r}, which is not an argument; "
                    f"its arguments are {', '.join(names) or 'none'}"
                )
    both = sorted(set(nondiff) & set(rules))
    if both:
        raise TypeError(f"op {name!r}: {both} have a rule and are declared non-differentiable: drop one")
    for n in names:
        if n.removesuffix("_") in RESERVED and n.removesuffix("_") != n and n.removesuffix("_") in names:
            raise TypeError(f"op {name!r}: rename its argument {n!r}: beside {n[:-1]!r} rules call something so")
        if n.startswith("_") or n == "self":
            raise TypeError(f"op {name!r}: rename its argument {n!r}: a name without leading underscore, not self")


def check_residuals(name: str, names: list[str], residuals: tuple[str, ...], outputs: int | None) -> None:
    """Raise a TypeError if the `residuals=` of op `name` have no place or no name of their own."""
    if residuals and outputs is None:
        raise TypeError(f"op {name!r}: residuals need a fixed number of outputs=")
    for n in residuals:
        taken = n in names or n in RESERVED or n in special(names)
        if taken or n.startswith("_") or not n.isidentifier():
            raise TypeError(
                f"op {name!r}: rename its residual {n!r}: a name of its own, neither an argument's nor one of "
                f"{', '.join(sorted(RESERVED))}, without leading underscore"
            )


def check_reserved(name: str, names: Collection[str], rules: Collection[object]) -> None:
    """Raise a TypeError if an argument of op `name` has a name that rules, which there are, have for something else."""
    for n in RESERVED:
        if rules and n in names:
            raise TypeError(
                f"op {name!r}: the argument name {n!r} is reserved for rules: rename it, or give the rules by grads=, in which "
                f"{n} is the argument and {n}_ what rules call so"
            )


def check_gradient_named(name: str, what: str, needs: tuple[str, ...], g: str) -> None:
    """Raise a TypeError if a rule of op `name` names the argument g in place of the gradient, which is called `g` here."""
    if g != "g" and g not in needs and "g" in needs:
        raise TypeError(
            f"op {name!r}: its {what} names g, which is an argument, and not the gradient. Rules that are given by grads= know "
            f"that as {g}"
        )


def check_lower(name: str, lower: Function | str | None, count: int) -> None:
    """Raise a TypeError if `lower=` of op `name` names no primitive of as many inputs."""
    if lower is not None and not callable(lower) and lower not in primitives.NAMES.get(count, ()):
        plural = "" if count == 1 else "s"
        raise TypeError(
            f"op {name!r}: lower={lower!r} is no primitive of {count} input{plural}; those are "
            f"{', '.join(primitives.NAMES.get(count, ())) or 'none'}. Or give a function of the op's arguments, in plain NumPy"
        )


def check_vmap(name: str, vmap: Function | str | Mapping[str, object] | None, names: list[str]) -> None:
    """Raise a TypeError if `vmap=` of op `name` is no rule for its arguments."""
    if callable(vmap):
        known = ["batched", "lanes", *names]
        asked(name, "vmap=", vmap, known)
        return
    if isinstance(vmap, Mapping):
        fits = "out" in vmap and {*vmap} <= {"out", *names}
    else:
        fits = vmap in (None, "leading") or (vmap == "axis" and bool({"axis", "axes"} & {*names}))
    if not fits:
        raise TypeError(
            f"op {name!r}: vmap={vmap!r}; give 'leading', 'axis' (of an op with the option axis), where the batch is, by "
            "argument and 'out', or a function of `batched`, `lanes` and the op's arguments"
        )


def asked(name: str, what: str, function: Function, known: Collection[str], words: str = "") -> tuple[str, ...]:
    """What a function of the definition of op `name` asks for.

    Args:
        name: the op's.
        what: what the function is called.
        function: it.
        known: what it may ask for.
        words: that in words.

    Raises:
        TypeError: it asks for something that there is not.
    """
    found = argument_names(name, function, known)
    for n in found:
        if n not in known:
            raise TypeError(f"op {name!r}: its {what} asks for {n!r}; it may name {words or ', '.join(known)}")
    return found


def moving(name: str, jvp: Function | None, names: list[str]) -> list[str]:
    """The arguments of op `name` whose tangents its `jvp=` names, in order."""
    found = () if jvp is None else argument_names(name, jvp, {f"{n}_dot" for n in names})
    return [n for n in names if f"{n}_dot" in found]


def check_dots(name: str, needs: tuple[str, ...], names: list[str], differentiable: tuple[str, ...]) -> None:
    """Raise a TypeError if the `jvp=` of op `name` does not name the tangents of the inputs that have a gradient, or if one
    is called like an argument."""
    for n in differentiable:
        if f"{n}_dot" in names:
            raise TypeError(f"op {name!r}: rename its argument '{n}_dot': in jvp= that is the tangent of {n!r}")
        if f"{n}_dot" not in needs:
            raise TypeError(
                f"op {name!r}: its jvp= does not name {n}_dot, and {n!r} has a gradient rule: forward mode would take it for a "
                "constant"
            )


def check_once(name: str, once: bool, reference: object) -> None:
    """Raise a TypeError if op `name` has derivatives of first order alone and says what those of higher order come from."""
    if once and reference is not None:
        raise TypeError(
            f"op {name!r}: reference= gives derivatives of higher order, and once=True says that there are none"
        )
