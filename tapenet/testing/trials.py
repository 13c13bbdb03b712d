"""What may be wrong with a gradient rule, tried out: a rule that is right with one thing done otherwise has that mistake."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from tapenet.ops.shapes.broadcast_views import broadcasts_to
from tapenet.ops.shapes.reshaping import unbroadcast
from tapenet.program.trees import tree_leaves, tree_map
from tapenet.testing.mistakes import Mistake
from tapenet.typing import Array, Shape


class Trial(NamedTuple):
    """A rule that is given other values under some names, or whose result is changed."""

    mistake: Mistake
    given: Mapping[str, object] = {}  # is never changed
    returned: Callable[[Array], Array] = lambda d: d


class Given(NamedTuple):
    """What a rule is given for an input, and what it is to return.

    Attributes:
        name: the input's.
        g: what the gradient is called that it is given.
        known: the values that the rule asks for and that are arrays, by name.
        others: further arrays that it could ask for.
        inputs: the arrays of the input.
        shapes: those of the outputs.
    """

    name: str
    g: str
    known: Mapping[str, object]
    others: Mapping[str, object]
    inputs: Sequence[Array]
    shapes: Sequence[Shape]


def trials(given: Given) -> Iterator[Trial]:
    """What may be wrong, the likelier first."""
    yield from _sums(given)
    yield _turned(given, ("",))
    yield from places(given)
    yield from (_turned(given, names) for names in _subsets([*given.known, ""], 2))
    if any(np.iscomplexobj(v) for v in tree_leaves(given.known)):
        yield from (_conjugated(given, names) for names in _subsets([*given.known, ""], 3))
    yield from _outputs(given)
    yield from _shapes(given)


def not_summed(shape: Shape, target: Shape) -> Mistake:
    """The mistake of a gradient that has the output's shape where the input is smaller."""
    lead = len(shape) - len(target)
    axes = [*range(lead), *(i + lead for i, n in enumerate(target) if n == 1 and shape[i + lead] != 1)]
    return Mistake(
        "missing sum over broadcast axes",
        f"a missing sum over broadcast axes, here {', '.join(map(str, axes))}: define the op with broadcasts=True, which sums "
        "for all its rules; or sum in the rule",
    )


def _sums(given: Given) -> Iterator[Trial]:
    """The result summed over the axes that were repeated."""
    for like, shape in itertools.product(given.inputs, given.shapes):
        if shape != like.shape and broadcasts_to(like.shape, shape):
            yield Trial(not_summed(shape, like.shape), {}, partial(_summed, shape, like.shape))


def _summed(shape: Shape, target: Shape, d: Array) -> Array:
    return unbroadcast(d, target) if d.shape == shape else d


def places(given: Given) -> Iterator[Trial]:
    """Inputs, or what was saved, in each other's place."""
    arrays = [n for n in given.known if n != given.g]
    for a, b in itertools.combinations(arrays, 2):
        words = f"swapped inputs: it is right with {a} and {b} in each other's place"
        yield Trial(Mistake("swapped inputs", words), {a: given.known[b], b: given.known[a]})
    for a, b in itertools.product(arrays, given.others):
        if a != b:
            words = f"swapped inputs: it is right with {b} in the place of {a}"
            yield Trial(Mistake("swapped inputs", words), {a: given.others[b]})


def _turned(given: Given, names: tuple[str, ...]) -> Trial:
    """Matrices transposed; "" is the result."""
    code = " and ".join(f"np.swapaxes({n or '...'}, -1, -2)" for n in names)
    words = f"transposed: it is right with {_list(names)} transposed; write {code}"
    return Trial(
        Mistake("transposed", words), _changed(given, names, _transposed), _transposed if "" in names else _same
    )


def _conjugated(given: Given, names: tuple[str, ...]) -> Trial:
    code = " and ".join(f"np.conj({n or '...'})" for n in names)
    words = f"a missing conjugate, or one too many: it is right with {_list(names)} conjugated; write {code}"
    return Trial(
        Mistake("missing conjugate", words), _changed(given, names, np.conj), np.conj if "" in names else _same
    )


def _outputs(given: Given) -> Iterator[Trial]:
    """The gradients by two outputs in each other's place."""
    gs = given.known.get(given.g)
    if isinstance(gs, tuple):
        for i, j in itertools.combinations(range(len(gs)), 2):
            moved = list(gs)
            moved[i], moved[j] = moved[j], moved[i]
            words = f"swapped outputs: it is right with {given.g}[{i}] and {given.g}[{j}] in each other's place"
            yield Trial(Mistake("swapped outputs", words), {given.g: tuple(moved)})


def _shapes(given: Given) -> Iterator[Trial]:
    """The result, or a value that the rule is given, in another shape."""
    shape = given.inputs[0].shape
    words = f"wrong shape: it is right as np.reshape(..., {given.name}_shape)"
    yield Trial(Mistake("wrong shape", words), {}, lambda d: np.reshape(d, shape))
    for n, axis in itertools.product(["", *given.known], range(len(shape))):
        words = f"wrong shape: an axis is missing; it is right with np.expand_dims({n or '...'}, {axis})"
        change = partial(_expanded, axis=axis)
        yield Trial(Mistake("wrong shape", words), _changed(given, (n,), change), _same if n else change)


def _changed(given: Given, names: Iterable[str], change: Callable[[Array], Array]) -> dict[str, object]:
    def changed(leaf: object) -> object:
        return change(leaf) if isinstance(leaf, np.ndarray) else leaf

    return {n: tree_map(changed, given.known[n]) for n in names if n}


def _transposed(d: Array) -> Array:
    return np.swapaxes(d, -1, -2) if d.ndim > 1 else d


def _expanded(d: Array, axis: int) -> Array:
    return np.expand_dims(d, axis) if axis <= d.ndim else d


def _same(d: Array) -> Array:
    return d


def _subsets(names: Sequence[str], most: int) -> Iterable[tuple[str, ...]]:
    return itertools.chain(*(itertools.combinations(names, n) for n in range(1, most + 1)))


def _list(names: Iterable[str]) -> str:
    return " and ".join(n or "the result" for n in names)
