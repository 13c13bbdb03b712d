"""What is read from an op's formula: the kernel that runs it on large arrays, and the gradient rules it does not state.

Here is what every call needs. The code that reads formulas is in `tapenet.ops.variants`, and loaded at first use.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Collection, Hashable, Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NoReturn

import numpy as np

from tapenet import kernels
from tapenet.ops.derived import is_tensor
from tapenet.ops.registry import is_own
from tapenet.program import generated
from tapenet.program.rehearsal import captures, spared

#: Elements from which a fused kernel is quicker than NumPy's passes.
WORTH = 2048
#: Variants of one op, at most: shapes, dtypes and options that its formula was read for. Beyond, calls run it as it is.
MOST = 256


def derive() -> NoReturn:
    """Given as a gradient rule: derive the rule from the op's formula."""
    raise AssertionError("stands for a rule, and is never called")


@functools.cache
def _variants() -> ModuleType:
    return importlib.import_module("tapenet.ops.variants")


def large(values: Sequence[object]) -> bool:
    """Whether some array among the values is large enough for a kernel."""
    return any(type(v) is np.ndarray and v.size >= WORTH for v in values)


def key_of(values: Sequence[Any]) -> Hashable:
    """What a variant depends on: shapes and dtypes of arrays, all else itself. None where that cannot be compared."""
    found = _key_of(values)
    try:
        hash(found)
    except TypeError:
        return None
    return found


def _key_of(values: Sequence[Any]) -> tuple[object, ...]:
    return tuple(
        [
            (v.shape, v.dtype)
            if hasattr(v, "dtype")
            else (type(v), _key_of(v) if type(v) is tuple or type(v) is list else v)
            for v in values
        ]
    )


#: Formulas that NumPy runs by SciPy, which takes 0.15 s to load: a kernel is quicker even for one call.
_BY_SCIPY = frozenset({"erf", "erfc", "gelu", "normal_cdf"})


class Fused:
    """A function of arrays that runs as one kernel where they are large: an op's forward, or a gradient rule.

    Attributes:
        function: what runs on all else.
        variants: the kernels that were made.
    """

    def __init__(self, op: Any, function: Callable[..., object], rule: bool) -> None:
        self.op = op
        self.function = function
        self.rule = rule
        self.variants: dict[Hashable, Callable[..., object]] = {}

    def make(self, key: Hashable, values: tuple[object, ...], options: dict[str, object]) -> Callable[..., object]:
        """What gives the results by a kernel, or None where there is none for these values."""
        sizes = [value.size for value in values if isinstance(value, np.ndarray)]
        spares = spared(max(sizes, default=0)) and self.op.name not in _BY_SCIPY
        if len(self.variants) >= MOST or spares:
            return lambda values: None
        made: Callable[..., object] = _variants().kernel(self, values, options)
        self.variants[key] = made
        return made


def fused(op: Any, function: Callable[..., object], rule: bool = False) -> Callable[..., object]:
    """A forward or gradient rule of an op as eager calls run it: fused, where the op says so."""
    if isinstance(function, Derived):
        return function.small
    if not op.fuse or (op.fuse == "rules" and not rule) or not isinstance(function, FunctionType):
        return function
    code = function.__code__
    given = code.co_varnames[: code.co_argcount]
    if code.co_flags & inspect.CO_VARARGS or any(n.startswith("_") for n in given):  # names of the code below
        return function
    arrays = [n for n in given if n in (*op.inputs, *op.residuals, op.special.g, op.special.out)]
    names = "".join(f"{n}, " for n in given)
    more = bool(code.co_kwonlyargcount)
    text = f"""
def call({names}{"**_options" if more else ""}):
    if {_large(arrays)} and _on():
        _key = {_key(given, arrays)}{" + tuple(_options.items())" if more else ""}
        try: _variant = _variants.get(_key)
        except TypeError: _found = None  # an option that cannot be compared
        else: _found = (_variant or _make(_key, ({names}), {"_options" if more else "{}"}))(({names}))
        if _found is not None: return _found
    return _function({names}{"**_options" if more else ""})
"""
    made = Fused(op, function, rule)
    call = _written("call", text, op.name, on=kernels.on, make=made.make, variants=made.variants, function=function)
    call.__defaults__ = function.__defaults__
    return call


def _large(arrays: Sequence[str]) -> str:
    """The code of whether there is an array that a kernel would pay for."""
    return f"({' or '.join(f'_type({n}) is _ndarray and {n}.size >= _here.WORTH' for n in arrays) or False})"


def _key(names: Sequence[str], arrays: Sequence[str]) -> str:
    """The code of what a variant depends on: shapes and dtypes of arrays, all else itself."""
    parts = {n: f"({n}.shape, {n}.dtype) if _hasattr({n}, 'dtype') else (_type({n}), {n})" for n in arrays}
    return f"({''.join(parts.get(n, f'_type({n}), {n}') + ', ' for n in names)})"


def _written(name: str, text: str, title: str, **names: object) -> FunctionType:
    """A function written for the arguments of an op, whose own names begin with an underscore: a loop over them costs as
    much as a small op."""
    known = {"type": type, "hasattr": hasattr, "ndarray": np.ndarray, "here": sys.modules[__name__], **names}
    return generated.function(name, text, {f"_{n}": value for n, value in known.items()}, f"{name} {title}")


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
        self.needs = (op.special.g, *(() if self.only else (op.special.wanted,)), *names)
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
        # Kernels take arrays only; while a derivative is recorded these are tensors. What is captured runs but once.
        arrays = not captures() and (type(g) is np.ndarray or (several and not any(map(is_tensor, map(type, g)))))
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
        """The same, for arrays at the least cost: written for the op's arguments."""
        if self.numbers != ():
            return self
        needs = ", ".join(self.needs)
        g, _, wanted = self.op.special
        inputs = [n for n in self.names if n in self.op.inputs]
        fast: dict[Hashable, Callable[..., object]] = {}
        plain: dict[Hashable, Callable[..., object]] = {}

        def make(cache: dict[Hashable, Callable[..., object]], key: Hashable, *values: Any) -> Callable[..., object]:
            wanted, g, given = (self.wanted, values[0], values[1:]) if self.only else (values[1], values[0], values[2:])
            made = self._variant(wanted, g, given, cache is fast, True)
            if len(cache) < MOST:
                cache[key] = made
            return made

        text = f"""
def rule({needs}):
    if _type({g}) is _ndarray:
        _key = ({g}.shape, {g}.dtype, {"" if self.only else f"{wanted}, "}*{_key(self.names, inputs)})
        _cache = _fast if {_large((g, *inputs))} and _on() else _plain
        try: _variant = _cache.get(_key)
        except TypeError: return _rule({needs})  # an option that cannot be compared
        return (_variant or _make(_cache, _key, {needs}))({", ".join((g, *self.names))})
    return _rule({needs})
"""
        return _written("rule", text, self.op.name, fast=fast, plain=plain, on=kernels.on, make=make, rule=self)


def outside(function: object) -> tuple[Callable[[], object], ...] | None:
    """Functions that read the numbers which a function uses beside its arguments, and which may change. None if it uses
    something that cannot be compared: an array, a list, an object."""
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
    reads += [functools.partial(space.get, name) for name in generated.names_in(value.__code__) if name in space]
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
