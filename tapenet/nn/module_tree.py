"""What a module holds: the parameters, buffers and modules found by walking over its attributes.

Nothing is registered. The walk goes over the attributes in the order they were set, and on through plain lists, tuples
and dicts, whenever somebody asks. So `__init__` needs no `super().__init__()`, and there is no second account of the
attributes to fall out of step with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NoReturn, TypeAlias

from tapenet.autodiff.tensor import Tensor

#: The ids of what something is inside of, the innermost first.
Inside: TypeAlias = "tuple[int, Inside] | None"


class Tree:
    """The part of a module that knows the tensors and modules in it."""

    __slots__ = ()

    def parameters(self, recurse: bool = True) -> Iterator[Tensor]:
        """The parameters of this module and, if `recurse`, of all below it."""
        return (tensor for _, tensor in self.named_parameters(recurse=recurse))

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The parameters with their names.

        Args:
            prefix: put before each name, with a dot.
            recurse: those of the modules below too.
            remove_duplicate: a parameter with several names once, under the first; else under each.
        """
        return self._named("parameter", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers of this module and, if `recurse`, of all below it."""
        return (tensor for _, tensor in self.named_buffers(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers with their names; arguments as of `named_parameters`."""
        return self._named("buffer", prefix, recurse, remove_duplicate)

    def _named(self, kind: str, prefix: str, recurse: bool, once: bool) -> Iterator[tuple[str, Tensor]]:
        prefix = prefix + "." if prefix else ""
        for name, value in walk(self, recurse, repeats=not once):
            if isinstance(value, Tensor) and value._kind is not None and value._kind.endswith(kind):
                yield prefix + name, value

    def get_parameter(self, target: str) -> Tensor:
        """The parameter with this dotted name, such as "layers.0.weight".

        Raises:
            AttributeError: there is no such name; the message lists those there are.
        """
        return self._get("parameter", target)

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with this dotted name.

        Raises:
            AttributeError: there is no such name; the message lists those there are.
        """
        return self._get("buffer", target)

    def _get(self, kind: str, target: str) -> Tensor:
        found = dict(self._named(kind, "", True, False))
        if target not in found:
            self._has_no(kind, target, list(found))
        return found[target]

    def _has_no(self, kind: str, target: str, names: list[str]) -> NoReturn:
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        raise AttributeError(f"this {type(self).__name__} has no {kind} {target!r}; it has {shown or 'none'}")

    # -- state that is no tensor -------------------------------------------------------------------------------------

    def get_extra_state(self) -> object:
        """What a class keeps in state dicts beside tensors; define it together with `set_extra_state`. State dicts have it
        as `_extra_state`. For `tn.save` it should be made of numbers, strings, arrays, lists and dicts.

        >>> from tapenet import nn
        >>> class Counter(nn.Module):
        ...     count = 3
        ...     def get_extra_state(self):
        ...         return {"count": self.count}
        ...     def set_extra_state(self, state):
        ...         self.count = state["count"]
        >>> Counter().state_dict()
        {'_extra_state': {'count': 3}}
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no extra state: define get_extra_state and set_extra_state"
        )

    def set_extra_state(self, state: object) -> None:
        """Take over what `get_extra_state` gave; called by `load_state_dict`."""
        raise NotImplementedError(
            f"{type(self).__name__} has get_extra_state, and no set_extra_state that would take over what a state has"
        )

    def extra_repr(self) -> str:
        """The settings of this layer, shown in the repr between the parentheses."""
        return ""

    def card(self) -> str:
        """What the box of this layer says in a picture, below its name, where it is drawn as one box: lines, apart by
        line breaks. The number of parameters is said below them, unless a line ends in it, as "3 → 64 · 4,864" does.

        >>> from tapenet import nn
        >>> class Scaled(nn.Linear):
        ...     def card(self):
        ...         return f"{self.in_features} → {self.out_features}, scaled"
        >>> import numpy as np, tapenet as tn
        >>> tn.draw(Scaled(2, 3), np.ones((1, 2))).drawing.vertices[1].lines
        ('Scaled', '2 → 3, scaled', '9 parameters')
        """
        return ""

    def num_parameters(self) -> int:
        """How many numbers the parameters hold. A parameter that two modules share counts once."""
        return sum(p.size for p in self.parameters())


def walk(root: Tree, deep: bool = True, repeats: bool = False) -> Iterator[tuple[str, Tree | Tensor]]:
    """The module itself under the name "", then every parameter, buffer and module below it, each once, depth first.

    In PyTorch's order: of a module first its own parameters, then its own buffers, then what is in the modules, lists and
    dicts below it.

    Args:
        root: where to begin.
        deep: go on into the modules below.
        repeats: give what is reached again too, with what is below it, under each of its names.

    Raises:
        TypeError: modules or parameters in a set, which has no order to name them by.
    """
    seen: set[int] = set()
    stack: list[tuple[str, object, Inside]] = [("", root, None)]
    while stack:
        name, value, inside = stack.pop()
        if type(value) is Tensor:
            if value._kind is not None and (repeats or id(value) not in seen):
                seen.add(id(value))
                yield name, value
            continue
        parts: Iterable[tuple[object, object]]
        if isinstance(value, Tree):
            parts = vars(value).items()
        elif isinstance(value, dict):
            parts = value.items()
        elif isinstance(value, (list, tuple)):
            parts = enumerate(value)
        else:
            if isinstance(value, (set, frozenset)) and any(isinstance(v, (Tree, Tensor)) for v in value):
                _refuse_set(root, name)
            continue
        if id(value) in seen:
            if not repeats:
                continue
            if _is_inside(id(value), inside):  # of itself: there is no end to its names
                if isinstance(value, Tree):
                    yield name, value
                continue
        seen.add(id(value))
        if isinstance(value, Tree):
            yield name, value
            if not deep and value is not root:
                continue
        prefix = name + "." if name else ""
        inside = id(value), inside
        stack += [(f"{prefix}{key}", part, inside) for key, part in sorted(parts, key=_rank)][::-1]


def _rank(part: tuple[object, object]) -> int:
    """Where a part comes among those of a module, before those of the same kind that follow it."""
    value = part[1]
    if type(value) is not Tensor:
        return 2
    return 1 if value._kind is not None and value._kind.endswith("buffer") else 0


def _is_inside(value: int, inside: Inside) -> bool:
    while inside is not None:
        outer, inside = inside
        if outer == value:
            return True
    return False


def _refuse_set(root: Tree, name: str) -> NoReturn:
    raise TypeError(
        f"{type(root).__name__}.{name} is a set of modules or tensors, which has no order to name them by: make it a "
        "list"
    )
