"""Containers of arrays as inputs of ops: dicts, dataclasses, named tuples, nested lists, and registered classes.

A call with some runs a variant of the op, in which such an input is the sequence of what is in it. The op's functions are
given containers all the same, and a rule returns one. So nothing else has to know of them.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from tapenet.ops.definitions import argument_names
from tapenet.ops.derived import holds_tensors, is_tensor
from tapenet.ops.formula import Derived
from tapenet.ops.op import FLAT, Op, derive
from tapenet.ops.registry import registry
from tapenet.ops.signatures import bind
from tapenet.ops.transposed import Transposed
from tapenet.program.trees import Structure, container, flatten

#: By input, what its container is without the leaves.
Structures = tuple[tuple[str, Structure], ...]
#: A function of the definition of an op; what one returns, or is given.
Function: TypeAlias = Any
Given: TypeAlias = Any
#: The variants that were made of each op.
_variants: weakref.WeakKeyDictionary[Op, dict[Structures, Op]] = weakref.WeakKeyDictionary()
#: Variants of one op, at most, before all are made anew.
MOST = 64


def opened(
    op: Op, args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[Op, list[object], dict[str, object]] | None:
    """The variant of an op for a call, and its arguments, in which containers of tensors are sequences. None if there are no
    containers."""
    if not (op.starred or any(_is_nested(value, True) for value in (*args, *kwargs.values()))):
        return None
    structures: list[tuple[str, Structure]] = []
    values = bind(op, args, kwargs)
    for name, value in values.items():
        if (name in op.sequences or name in op.nondiff) and _is_nested(value, not op.numpy):
            leaves, structure = flatten(value, stands=False)
            if any(is_tensor(type(leaf)) or hasattr(type(leaf), "__tapenet_op__") for leaf in leaves):
                structures.append((name, structure))
                values[name] = tuple(leaves)
    return (_variant(op, tuple(structures)), *op.spread(values)) if structures else None


def _is_nested(value: object, lists: bool) -> bool:
    """Whether a value is a container other than a flat sequence. A list in one is an array if it has no tensors, and where
    NumPy's functions take it so: then `lists` is false."""
    kind = type(value)
    if isinstance(value, (list, tuple)) and (kind is list or kind is tuple):
        return any(
            (lists and type(part) in (list, tuple) and holds_tensors(part)) or _is_nested(part, lists) for part in value
        )
    return value is not None and container(kind) is not None


def _variant(op: Op, structures: Structures) -> Op:
    made = _variants.setdefault(op, {})
    found = made.get(structures)
    if found is None:
        if len(made) >= MOST:
            made.clear()
        found = made[structures] = _made(op, dict(structures))
    return found


def _made(op: Op, structures: Mapping[str, Structure]) -> Op:
    """The op for containers of such structures."""
    places = tuple(a.name for a in op.arguments if not a.keyword_only)

    def like(function: Function) -> Function:
        """A function of the op's arguments."""
        return _given(function, _Whole(structures, places, bool(op.starred))) if callable(function) else function

    def asking(function: Function, names: tuple[str, ...]) -> Function:
        """One that names what it is given."""
        return function if function is None else _given(function, _Whole(structures, names, False))

    def rule(n: str, function: Function) -> Function:
        if function is None or isinstance(function, (Derived, Transposed)):  # which the variant makes anew
            return function
        return _taken(asking(function, op.needs[n]), _Leaves(op.name, n, structures))

    vmap = op.vmap
    if callable(vmap):
        known = {"batched", "lanes", *(a.name for a in op.arguments)}
        vmap = asking(vmap, argument_names(op.name, vmap, known))
    own = getattr(op.reference, "__func__", None) is Op._without_residuals
    made = op.replace(
        forward=like(op.forward),
        rules={n: rule(n, function) for n, function in op.rules.items()},
        joint=rule("", op.joint),
        jvp=asking(op.jvp, op.jvp_needs),
        check=asking(op.check, op.check_needs),
        multiply_adds=asking(op.multiply_adds, op.count_needs),
        reference=derive if own else like(op.reference),
        lower=like(op.lower),
        hint=like(op.hint),
        vmap=vmap,
        sequences=op.sequences.union(structures),
        numpy=(),
    )
    registry[f"{op.module}.{op.name}"] = op  # whose place the variant took
    return made


def _given(function: Callable[..., object], whole: _Whole) -> Callable[..., object]:
    """A function that is given containers where it is called with sequences."""

    @functools.wraps(function)
    def call(*args: object, **options: object) -> object:
        values, named = whole(args, options)
        return function(*values, **named)

    return call


def _taken(rule: Callable[..., object], leaves: _Leaves) -> Callable[..., object]:
    """A rule that returns containers as one that returns sequences."""

    @functools.wraps(rule)
    def call(*values: object) -> object:
        return leaves(rule(*values))

    return call


class _Whole:
    """The arguments of a function, with containers in place of sequences.

    Attributes:
        names: what it is given by position.
        starred: whether the last of these takes in all that follow.
    """

    def __init__(self, structures: Mapping[str, Structure], names: tuple[str, ...], starred: bool) -> None:
        self.names, self.starred = names, starred
        ends = ("", "_shape", "_dtype", "_dot")
        self.structures = {n + end: structure for n, structure in structures.items() for end in ends}

    def __call__(
        self, args: Sequence[Given], options: Mapping[str, object]
    ) -> tuple[Sequence[object], Mapping[str, object]]:
        if self.starred:
            count = len(self.names) - 1
            args = (*args[:count], args[count:])
        values: list[Given] = [self._whole(n, value) for n, value in zip(self.names, args, strict=True)]
        if self.starred:
            values[-1:] = values[-1]
        return values, {n: self._whole(n, value) for n, value in options.items()}

    def _whole(self, name: str, value: Given) -> object:
        structure = self.structures.get(name)
        return value if structure is None or value is None else structure.build(list(value))


class _Leaves:
    """The gradients that a rule returns in containers, as sequences.

    Attributes:
        input: whose rule it is; "" for that of all.
    """

    def __init__(self, name: str, input: str, structures: Mapping[str, Structure]) -> None:
        self.name, self.input, self.structures = name, input, structures

    def __call__(self, found: object) -> object:
        if self.input:
            structure = self.structures.get(self.input)
            return found if structure is None else tuple(self._leaves(structure, found, self.input))
        if not isinstance(found, Mapping):
            return found
        taken = ((n, found[n], self.structures.get(n)) for n in found)
        return {n: d if structure is None else tuple(self._leaves(structure, d, n)) for n, d, structure in taken}

    def _leaves(self, structure: Structure, found: object, where: str) -> list[object]:
        """The gradients in the order of the leaves: None where there is none.

        Raises:
            TypeError: it is another container than that of the input.
        """
        if structure.kind is None:
            return [found]
        if found is None or found is FLAT:
            return [found] * structure.count
        holds = container(structure.kind)
        assert holds is not None
        sequences = (list, tuple)
        if type(found) is not structure.kind and not (structure.kind in sequences and type(found) in sequences):
            raise self._error(where, structure.kind.__name__, type(found).__name__)
        parts = holds.apart(found)
        if parts.names is None or structure.names is None:
            values = list(parts.values)
        else:
            by_name = dict(zip(parts.names, parts.values, strict=True))
            if by_name.keys() - set(structure.names):
                raise self._error(where, f"{structure.names}", f"{parts.names}")
            values = [by_name.get(n) for n in structure.names]
        if len(values) != len(structure.parts):
            raise self._error(where, f"{len(structure.parts)} parts", f"{len(values)}")
        paths = (f"{where}{'' if structure.names is None else f'[{n!r}]'}" for n in structure.names or structure.parts)
        return [
            d for part, v, path in zip(structure.parts, values, paths, strict=True) for d in self._leaves(part, v, path)
        ]

    def _error(self, where: str, expected: str, got: str) -> TypeError:
        rule = f"the gradient rule for {self.input!r}" if self.input else "the joint rule"
        return TypeError(
            f"{rule} of op {self.name!r} returned {got} for {where}, which is {expected}: the gradient by a container is the "
            "same container, with a gradient in the place of each array, and None in that of what is no array"
        )
