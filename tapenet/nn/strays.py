"""Tensors that a module computes with and does not own: what is found of them, and what is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.module_tree import Tree
from tapenet.nn.parameter import Buffer, Parameter
from tapenet.ops.stack_frames import user_site, warn_once


def plain_values(value: object, name: str = "", inside: tuple[int, ...] = ()) -> Iterator[tuple[str, object]]:
    """What the attributes of a module hold with its name, through lists, tuples and dicts but not into other modules."""
    parts: Iterator[tuple[object, object]]
    if isinstance(value, Tree) and not name:
        parts = iter(vars(value).items())
    elif isinstance(value, dict):
        parts = iter(value.items())
    elif isinstance(value, (list, tuple)):
        parts = enumerate(value)
    else:
        yield name, value
        return
    if id(value) not in inside:  # else it is in itself
        for key, part in parts:
            yield from plain_values(part, f"{name}.{key}" if name else str(key), (*inside, id(value)))


def warn_of_strays(module: Tree) -> None:
    """Warn of tensors among the attributes of a module that need a gradient and are no parameters."""
    for name, value in plain_values(module):
        if type(value) is Tensor and value._kind is None and value.requires_grad and value.is_leaf:
            title = type(module).__name__
            warn_once(
                "stray",
                f"{title}.{name} is a tensor that needs a gradient, and no parameter: parameters(), state_dict() and "
                "optimizers do not find it. Make it one, nn.Parameter(...), or an nn.Buffer if it is not learned",
                user_site(),
            )


def check_class(cls: type, attributes: Mapping[str, object]) -> None:
    """Raise TypeError for a parameter, buffer or module with parameters that stands in the body of a class."""
    for name, value in attributes.items():
        kind = "parameter" if isinstance(value, Parameter) else "buffer" if isinstance(value, Buffer) else None
        if isinstance(value, Tree) and next(value.parameters(), None) is not None:
            kind = f"module ({type(value).__name__})"
        if kind is not None:
            raise TypeError(
                f"{cls.__name__}.{name} is a {kind} in the body of the class, which all objects of it would share and none "
                f"would own: make it in __init__, self.{name} = ..."
            )
