"""A plugin for mypy by which NumPy's functions on tensors return tensors.

NumPy's own annotations say that `np.stack([w, w])` and `array * w` are arrays, and no annotation of another class can change
that. In a configuration of mypy:

    [tool.mypy]
    plugins = ["tapenet.mypy_plugin"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from mypy.nodes import Expression, ListExpr, TupleExpr
from mypy.plugin import FunctionContext, MethodContext, Plugin
from mypy.types import AnyType, Instance, TupleType, Type, get_proper_type

Context: TypeAlias = FunctionContext | MethodContext
Hook: TypeAlias = Callable[[Context], Type]

TENSOR = "tapenet.autodiff.tensor.Tensor"
#: These make arrays, or say something about one.
_ARRAYS = frozenset(
    {"array", "asarray", "asanyarray", "shape", "ndim", "size", "array2string", "array_repr", "array_str"}
)


class TapenetPlugin(Plugin):
    """Looks at each call of a function or method of NumPy."""

    def get_function_hook(self, fullname: str) -> Hook | None:
        """What finds the type of a call of a function."""
        return _hook(fullname)

    def get_method_hook(self, fullname: str) -> Hook | None:
        """What finds the type of a call of a method, such as that of a ufunc, or of an array's operator."""
        return _hook(fullname)


def plugin(version: str) -> type[Plugin]:
    """Where mypy finds the plugin."""
    return TapenetPlugin


def _hook(fullname: str) -> Hook | None:
    module, _, name = fullname.rpartition(".")
    return _returned if module.startswith("numpy") and name not in _ARRAYS else None


def _returned(context: Context) -> Type:
    """What a call returns: tensors in place of arrays, if an argument is a tensor or has one in it."""
    usual = context.default_return_type
    given = [t for types in context.arg_types for t in types]
    written = [context.api.get_expression_type(e) for part in context.args for e in _parts(part)]
    tensor = next(filter(None, map(_tensor, [*given, *written])), None)
    return usual if tensor is None else _with_tensors(usual, tensor)


def _parts(expressions: Iterable[Expression | None]) -> Iterable[Expression]:
    """What stands in lists and tuples that are written out, of which mypy knows by now only that NumPy takes them."""
    for expression in expressions:
        if isinstance(expression, (ListExpr, TupleExpr)):
            yield from expression.items
            yield from _parts(expression.items)


def _tensor(found: Type) -> Instance | None:
    """The type of tensors, if a type is that or holds it."""
    found = get_proper_type(found)
    if isinstance(found, Instance) and found.type.fullname == TENSOR:
        return found
    parts = found.items if isinstance(found, TupleType) else found.args if isinstance(found, Instance) else ()
    return next(filter(None, map(_tensor, parts)), None)


def _with_tensors(found: Type, tensor: Instance) -> Type:
    """A type with tensors in place of arrays, of NumPy's scalars, and of what NumPy says nothing about."""
    found = get_proper_type(found)
    if isinstance(found, AnyType):
        return tensor
    if isinstance(found, TupleType):
        return found.copy_modified(items=[_with_tensors(t, tensor) for t in found.items])
    if not isinstance(found, Instance):
        return found
    if found.type.fullname == "numpy.ndarray" or any(base.fullname == "numpy.generic" for base in found.type.mro):
        return tensor
    return found.copy_modified(args=[_with_tensors(t, tensor) for t in found.args])
