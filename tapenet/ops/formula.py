"""What is read from an op's formula: the kernel that runs it on large arrays, and the gradient rules it does not state.

Here is what every call needs; what reads a formula (`tapenet.ops.variants`) is loaded when the first one is.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Collection, Hashable, Sequence
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, NoReturn

import numpy as np

from tapenet import kernels
from tapenet.ops.derived import is_tensor
from tapenet.ops.registry import is_own
from tapenet.program import generated

#: Elements from which a fused kernel is quicker than NumPy's passes.
WORTH = 8192
#: Variants of one op, at most: shapes, dtypes and options that its formula was read for. Beyond, calls run it as it is.
MOST = 256


def derive() -> NoReturn:
    """In the place of a gradient rule: it is derived from the op's formula."""
    raise AssertionError("stands for a rule, and is never called")


@functools.cache
def _variants() -> Any:
    return importlib.import_module("tapenet.ops.variants")


def large(values: Sequence[object]) -> bool:
    """Whether there is an array among values that a kernel would pay for."""
    return any(type(v) is np.ndarray and v.size >= WORTH for v in values)


def key_of(values: Sequence[Any]) -> Hashable:
    """What a variant depends on: shapes and dtypes of arrays, all else itself. None where that cannot be compared."""
    found = tuple([(v.shape, v.dtype) if hasattr(v, "dtype") else (type(v), v) for v in values])
    try:
        hash(found)
    except TypeError:
        return None
    return found


class Fused:
    """A function of arrays that runs as one kernel where they are large: an op's forward, or a gradient rule.

    Attributes:
        function: what runs on all else.
    """

    def __init__(self, op: Any, function: Callable[..., object], rule: bool) -> None:
        self.op = op
        self.function = function
        self.rule = rule
        self.variants: dict[Hashable, Callable[..., object]] = {}

    def run(self, values: tuple[object, ...], options: dict[str, object]) -> object:
        """What the kernel gives, None where there is none for these values."""
        if not kernels.on():
            return None
        key = key_of((*values, *options.values())) if options else key_of(values)
        variant = self.variants.get(key)
        if variant is None:
            if key is None or len(self.variants) >= MOST:
                return None
            variant = self.variants[key] = _variants().kernel(self, values, options)
        return variant(values)


def fused(op: Any, function: Callable[..., object], rule: bool = False) -> Callable[..., object]:
    """A forward or gradient rule of an op as eager calls run it: fused, where the op says so."""
    if isinstance(function, Derived):
        return function.small
    if not op.fuse or not isinstance(function, FunctionType):
        return function
    given = function.__code__.co_varnames[: function.__code__.co_argcount]
    arrays = [n for n in given if n in (*op.inputs, *op.residuals, "g", "out")]
    large = " or ".join(f"_type({n}) is _ndarray and {n}.size >= _here.WORTH" for n in arrays)
    text = f"""
def call({"".join(f"{n}, " for n in given)}**_options):
    if {large or False}:
        _found = _run(({"".join(f"{n}, " for n in given)}), _options)
        if _found is not None: return _found
    return _function({"".join(f"{n}, " for n in given)}**_options)
"""
    call = _written("call", text, op, run=Fused(op, function, rule).run, function=function)
    call.__defaults__ = function.__defaults__
    return call


def _written(name: str, text: str, op: Any, **names: object) -> FunctionType:
    """A function written for the arguments of an op, whose own names begin with an underscore: a loop over them costs as
    much as a small op."""
    known = {"type": type, "ndarray": np.ndarray, "here": sys.modules[__name__], **names}
    return generated.function(name, text, {f"_{n}": value for n, value in known.items()}, f"{name} {op.name}")


class Derived:
    """The gradient rule of an op that gives none: its formula, differentiated.

    Attributes:
        op: the op.
        inputs: the inputs whose rule it is; of several a call says which it wants.
        needs: the names of the values that it is given.
    """

    def __init__(self, op: Any, names: Sequence[str], inputs: list[str]) -> None:
        self.op = op
        self.inputs = inputs
        self.only = inputs[0] if len(inputs) == 1 else None
        self.wanted = frozenset(inputs)
        self.needs = ("g", *(() if self.only else ("wanted",)), *names)
        self.names = tuple(names)
        self.plain: dict[Hashable, Callable[..., object]] = {}
        self.kernels: dict[Hashable, Callable[..., object]] = {}

    @functools.cached_property
    def numbers(self) -> tuple[Callable[[], object], ...] | None:
        """What the formula reads beside its arguments and may change: None if the formula is to be read at each call."""
        return () if is_own(self.op) else outside(self.op.forward)

    def __call__(self, g: Any, *values: Any) -> object:
        wanted = self.wanted
        if self.only is None:
            wanted, *values = values  # type: ignore[assignment]
        several = type(g) is list or type(g) is tuple
        key = key_of((wanted, *(g if several else (g,)), *values))
        numbers = self.numbers
        if numbers is None:
            key = None
        elif numbers:
            key = (key, *(read() for read in numbers))
        # Kernels are for arrays; while a derivative is recorded all of this are tensors.
        arrays = type(g) is np.ndarray or (several and not any(map(is_tensor, map(type, g))))
        cache = self.kernels if arrays and key is not None and kernels.on() else self.plain
        variant = cache.get(key)
        if variant is None:
            fast = cache is self.kernels and large((g, *values))
            variant = self._variant(wanted, g, values, fast)
            if key is not None and len(cache) < MOST:
                cache[key] = variant
        return variant(g, *values)

    def _variant(
        self, wanted: Collection[str], g: object, values: Sequence[object], fast: bool, arrays: bool = False
    ) -> Callable[..., object]:
        single = self.only is not None
        found: Callable[..., object] = _variants().pull(self.op, self.names, wanted, g, values, fast, single, arrays)
        return found

    @functools.cached_property
    def small(self) -> Callable[..., object]:
        """The same, for small arrays at the least cost: written for the op's arguments."""
        if self.numbers != ():
            return self
        variants: dict[Hashable, Callable[..., object]] = {}

        def first(key: Hashable, *values: Any) -> object:
            wanted, g, given = (self.wanted, values[0], values[1:]) if self.only else (values[1], values[0], values[2:])
            if large(given) or len(variants) >= MOST:
                return self(*values)
            variants[key] = self._variant(wanted, g, given, False, True)
            return variants[key](g, *given)

        plain, key = "", "g.shape, g.dtype" + ("" if self.only else ", wanted")
        for argument in self.op.arguments:
            n = argument.name
            if n not in self.op.inputs:
                key += f", _type({n}), {n}"
            elif argument.required:
                plain += f" and _type({n}) is _ndarray"
                key += f", {n}.shape, {n}.dtype"
            else:
                plain += f" and ({n} is None or _type({n}) is _ndarray)"
                key += f", {n} is None or ({n}.shape, {n}.dtype)"
        text = f"""
def rule({", ".join(self.needs)}):
    if _type(g) is _ndarray and g.size < _here.WORTH{plain}:
        _key = ({key})
        try: _variant = _variants.get(_key)
        except TypeError: return _rule({", ".join(self.needs)})  # an option that cannot be compared
        if _variant is None: return _first(_key, {", ".join(self.needs)})
        return _variant({", ".join(("g", *self.names))})
    return _rule({", ".join(self.needs)})
"""
        return _written("rule", text, self.op, rule=self, first=first, variants=variants)


def outside(function: object) -> tuple[Callable[[], object], ...] | None:
    """How to read the numbers that a function uses beside its arguments, and that may change; None where it uses what cannot
    be compared: arrays, lists, objects."""
    found: list[Callable[[], object]] = []
    return tuple(found) if _settled(function, found, set()) else None


def _settled(value: object, found: list[Callable[[], object]], seen: set[int]) -> bool:
    if id(value) in seen or isinstance(value, (ModuleType, type, np.ufunc, BuiltinFunctionType)):
        return True
    seen.add(id(value))
    if not isinstance(value, FunctionType):
        if hasattr(value, "_implementation"):  # a function of NumPy's
            return True
        return is_own(value) if hasattr(value, "__module__") and callable(value) else False
    if is_own(value) or str(value.__module__).startswith("numpy."):
        return True
    reads: list[Callable[[], object]] = [
        functools.partial(getattr, c, "cell_contents") for c in value.__closure__ or ()
    ]
    space = value.__globals__
    reads += [functools.partial(space.get, name) for name in _names(value.__code__) if name in space]
    for read in reads:
        try:
            now = read()
        except ValueError:  # a cell that is empty
            return False
        if isinstance(now, (int, float, complex, str, bool, type(None))):
            found.append(read)
        elif not _settled(now, found, seen):
            return False
    return True


def _names(code: CodeType) -> set[str]:
    """The global names that code uses, with that inside it."""
    inner = [c for c in code.co_consts if isinstance(c, CodeType)]
    return set(code.co_names).union(*map(_names, inner))
