"""Gradients by the transpose of `jvp=`: as a program where that function can be read, else by calling it once for each
element of an input."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tapenet.ops.derived import is_tensor
from tapenet.ops.formula import MOST
from tapenet.ops.functions import builder_of_ops
from tapenet.ops.op import Op
from tapenet.ops.recorder import installed
from tapenet.ops.tangents import each, fitted, push
from tapenet.ops.transposed import Transposed
from tapenet.program.arguments import mapped
from tapenet.program.called_ops import Hole, filled
from tapenet.program.differentiating import NoDerivative, zeros
from tapenet.program.functions import Given, expand, inputs_for
from tapenet.program.ir import Input, Program, inline
from tapenet.program.low import is_inexact
from tapenet.program.numpy_code import function
from tapenet.program.passes import simplify
from tapenet.program.primitives import Spec
from tapenet.program.symbols import Symbol, array_of
from tapenet.program.transposing import transposed
from tapenet.typing import Array

#: What a rule is given: an array, a tensor or a symbol, or what is plain. By name, with holes for arrays. And what runs it.
Held: TypeAlias = Any
Template = Mapping[str, Held]
Run = Callable[..., Sequence[object]]


class Unreadable(NoDerivative):
    """`jvp=` takes arrays alone."""


class _Leaf(NamedTuple):
    """An array by which there is a derivative: the input, its place where that is a sequence, shape and dtype."""

    name: str
    place: int | None
    spec: Spec


def pull(rule: Transposed, values: Sequence[Held], key: Hashable) -> object:
    """The gradient by the input of a rule, or by the wanted ones of several in a dict.

    Args:
        rule: the rule.
        values: what it needs: arrays, tensors or symbols, and what is plain.
        key: by which to keep what was made for arrays; None: not at all.
    """
    given = dict(zip(rule.needs, values, strict=True))
    wanted: Collection[str] = given.pop(rule.op.special.wanted, rule.inputs)
    leaves: list[Held] = []

    def held(value: object) -> object:
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            leaves.append(value)
            return Hole(len(leaves) - 1)
        return value

    template = {n: value if n in rule.shapes else mapped(held, value) for n, value in given.items()}
    places = [leaf for n in rule.inputs if n in wanted for leaf in _leaves(n, template)]
    moving = [p for p in places if is_inexact(p.spec.dtype)]
    single = len(rule.inputs) == 1
    symbol = next((v for v in leaves if isinstance(v, Symbol)), None)
    make = functools.partial(_program, rule.op, template, moving, [Spec(tuple(v.shape), v.dtype) for v in leaves])
    found: Sequence[object]
    if symbol is not None:
        builder = symbol.builder
        made = make()
        program = made if builder.applies is not None else expand(made)
        results = inline(builder, program, [array_of(builder, v).value for v in leaves])
        found = [Symbol(builder, v, shared=True) for v in results]
    elif any(is_tensor(type(v)) for v in leaves):
        found = installed.recorder.run(Given(f"{rule.op.name} gradient", make()), leaves)
    else:
        run = _on_arrays(rule.op, template, moving, make)
        at = [i for i, v in enumerate(values) if type(v) is np.ndarray]
        if key is not None and len(rule.variants) < MOST and len(at) == len(leaves) and moving == places:
            names = [p.name for p in places]

            def again(*values: Held) -> object:
                gradients = run(*[values[i] for i in at])
                return gradients[0] if single else dict(zip(names, gradients, strict=True))

            rule.variants[key] = again
        found = run(*leaves)
    return _by_name(places, found, single)


def _by_name(places: Sequence[_Leaf], found: Iterable[object], single: bool) -> object:
    rest = iter(found)
    by_name: dict[str, object] = {}
    parts: dict[str, list[object]] = {}
    for leaf in places:
        gradient = next(rest) if is_inexact(leaf.spec.dtype) else np.zeros(*leaf.spec)
        if leaf.place is None:
            by_name[leaf.name] = gradient
        else:
            parts.setdefault(leaf.name, []).append(gradient)
    by_name |= parts
    return next(iter(by_name.values())) if single else by_name


def _leaves(name: str, template: Template) -> list[_Leaf]:
    shape, dtype = template[f"{name}_shape"], template[f"{name}_dtype"]
    if not isinstance(dtype, tuple):
        return [_Leaf(name, None, Spec(tuple(shape), dtype))]
    return [_Leaf(name, i, Spec(tuple(s), d)) for i, (s, d) in enumerate(zip(shape, dtype, strict=True))]


def _program(op: Op, template: Template, places: Sequence[_Leaf], kept: Sequence[Spec]) -> Program:
    """The gradients by some arrays as a program of what the rule is given.

    Raises:
        NoDerivative: what is read is not linear in the tangents.
        Unreadable: `jvp=` cannot be read.
    """
    builder = builder_of_ops()
    inputs = inputs_for(kept)
    known = {n: filled(t, inputs) for n, t in template.items()}
    dots = [Input(*leaf.spec) for leaf in places]
    by_place = {leaf[:2]: dot for leaf, dot in zip(places, dots, strict=True)}

    def dot(leaf: _Leaf) -> object:
        return by_place.get(leaf[:2]) or zeros(builder, *leaf.spec)

    known |= _dots(op, template, dot)
    g = known[op.special.g]
    gs = [g] if op.outputs == 1 else list(g)
    outputs = [None if g is None else Spec(g.shape, g.dtype) for g in gs]
    try:
        tangents = push(op, builder, known, outputs, calls=False)
    except Exception as error:  # whatever jvp= makes of a symbol
        raise Unreadable(f"its jvp= cannot be read: {str(error) or type(error).__name__}") from error
    forward = Program([*inputs, *dots], [], builder.body, tangents, [])
    try:
        pulled = transposed(forward, range(len(inputs), len(inputs) + len(dots)))
    except NoDerivative as error:
        raise NoDerivative(f"jvp= of op {op.name!r} has no transpose: {error}") from error
    rest = builder_of_ops()
    found = inline(rest, pulled, [*inputs, *(g for g in gs if g is not None and is_inexact(g.dtype))])
    return Program(inputs, [], rest.body, found, [])


def _dots(op: Op, template: Template, dot: Callable[[_Leaf], object]) -> dict[str, object]:
    """The tangents by name."""
    found: dict[str, object] = {}
    for n in op.differentiable:
        leaves = _leaves(n, template)
        if isinstance(dtype := template[f"{n}_dtype"], tuple):
            found[f"{n}_dot"] = tuple(map(dot, leaves))
        else:
            found[f"{n}_dot"] = None if dtype.kind == "O" else dot(leaves[0])  # None of an input that is left out
    return found


def _on_arrays(op: Op, template: Template, places: Sequence[_Leaf], make: Callable[[], Program]) -> Run:
    """What gives the gradients for arrays."""
    try:
        program = make()
    except Unreadable:
        return lambda *leaves: _element_by_element(op, template, places, leaves)
    run: Run = function(simplify(expand(program)))  # type: ignore[assignment]
    return run


def _element_by_element(op: Op, template: Template, places: Sequence[_Leaf], leaves: Sequence[Array]) -> list[Array]:
    """The gradients by what `jvp=` gives for a tangent of 1 in one element, and 0 in all others."""
    known = {n: filled(t, leaves) for n, t in template.items()}
    g = known[op.special.g]
    gs = [g] if op.outputs == 1 else list(g)
    run = op.jvp
    assert run is not None

    def along(leaf: _Leaf, at: tuple[int, ...], unit: complex) -> complex:
        """Σ g · tangent, for a tangent of `unit` there."""

        def dot(other: _Leaf) -> Array:
            made = np.zeros(*other.spec)
            if other[:2] == leaf[:2]:
                made[at] = unit
            return made

        given = known | _dots(op, template, dot)
        tangents = each(op, run(*(given[n] for n in op.jvp_needs)), len(gs))
        parts = [
            (g * fitted(op, d, Spec(g.shape, g.dtype))).sum()
            for g, d in zip(gs, tangents, strict=True)
            if g is not None and is_inexact(g.dtype)
        ]
        return complex(sum(parts))

    found = []
    for leaf in places:
        gradient = np.zeros(*leaf.spec)
        for at in np.ndindex(gradient.shape):
            if gradient.dtype.kind == "c":  # dL = Re(g dz)
                gradient[at] = along(leaf, at, 1).real - 1j * along(leaf, at, 1j).real
            else:
                gradient[at] = along(leaf, at, 1).real
        found.append(gradient)
    return found
