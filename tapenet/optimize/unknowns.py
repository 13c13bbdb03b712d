"""The unknowns of a problem: arrays of floats in nested containers, which SciPy's solvers know as one vector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.elementwise.elementary import where
from tapenet.program.trees import Structure, flatten
from tapenet.transforms.whole_calls import is_array
from tapenet.typing import Array, Shape

#: The lower and the upper bound of each leaf of the unknowns.
Limits = tuple[list[Tensor], list[Tensor]]


def unknowns(name: str, x0: object) -> tuple[list[Tensor], Structure]:
    """Where a solver begins: the leaves, and their structure. A number is a vector of one, and a list of numbers a vector, as
    for SciPy; integers become floats.

    Raises:
        TypeError: a leaf is no array of real numbers; names its path.
    """
    if isinstance(x0, (list, tuple)) and all(isinstance(v, (int, float, np.number)) for v in flatten(x0)[0]):
        x0 = np.array(x0, np.float64) if x0 else ()
    leaves, structure = flatten(x0)
    xs = []
    for leaf, path in zip(leaves, structure.paths("x0"), strict=True):
        if not is_array(leaf) and not isinstance(leaf, (int, float, complex)):
            raise TypeError(f"{name}: {path} is {type(leaf).__name__}, not an array of numbers")
        t = asarray(leaf).detach()
        if t.dtype.kind == "c":
            raise TypeError(
                f"{name}: {path} holds {t.dtype}, and the unknowns of SciPy's solvers are real: give the real and the "
                "imaginary part, as x0.view(float)"
            )
        xs.append(t.astype(np.float64) if t.dtype.kind in "biu" else t)
    if not xs:
        raise TypeError(f"{name}: x0 holds no array")
    if structure.kind is None and not xs[0].ndim:
        xs = [xs[0].reshape(1)]
    return xs, structure


def limits(name: str, bounds: object, xs: Sequence[Tensor], structure: Structure, *, by_element: bool) -> Limits:
    """The bounds of the unknowns, leaf by leaf, broadcast to their shapes.

    Args:
        bounds: SciPy's `Bounds`, or a pair (low, high) of numbers or arrays; in nested unknowns one of these in the place of
            each leaf, or None for none.
        by_element: there may also be a pair for each element, which is what two pairs are for two elements.

    Raises:
        ValueError: their number is another than that of the unknowns, or a lower one is above the upper one.
    """
    found = [
        _pair(name, one, t.shape, path, by_element)
        for t, one, path in zip(xs, _placed(name, bounds, structure), structure.paths("x0"), strict=True)
    ]
    return [low for low, _ in found], [high for _, high in found]


def _placed(name: str, bounds: object, structure: Structure) -> list[object]:
    """The bounds of each leaf."""
    if bounds is None:
        return [None] * structure.count
    if structure.kind is None:
        return [bounds]
    if structure.names is not None:
        if not isinstance(bounds, dict):
            bounds = {n: getattr(bounds, str(n), None) for n in structure.names}
        unknown = [n for n in bounds if n not in structure.names]
        if unknown:
            raise ValueError(f"{name}: bounds has {unknown[0]!r}, and x0 has {', '.join(map(repr, structure.names))}")
        parts = [bounds.get(n) for n in structure.names]
    else:
        if not isinstance(bounds, (list, tuple)) or len(bounds) != len(structure.parts):
            raise ValueError(
                f"{name}: x0 is a {structure.kind.__name__} of {len(structure.parts)}: give bounds for each of its parts, "
                "or None"
            )
        parts = list(bounds)
    return [b for part, inner in zip(parts, structure.parts, strict=True) for b in _placed(name, part, inner)]


def _pair(name: str, bounds: object, shape: Shape, path: str, by_element: bool) -> tuple[Tensor, Tensor]:
    low: object
    high: object
    if bounds is None:
        low, high = None, None
    elif hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        low, high = bounds.lb, bounds.ub
    else:
        rows = listed(name, bounds)
        pairs = by_element and len(rows) == int(np.prod(shape)) and all(_is_pair(row) for row in rows)
        if pairs and (len(rows) != 1 or len(shape)):
            low = _joined([-np.inf if row[0] is None else row[0] for row in rows], shape)
            high = _joined([np.inf if row[1] is None else row[1] for row in rows], shape)
        elif len(rows) == 2:
            low, high = rows
        else:
            raise ValueError(
                f"{name}: the bounds of {path} are {len(rows)}, and it has shape {shape}: give a pair (low, high), of numbers "
                "or arrays of its shape, or such a pair for each of its elements"
            )
    sides = [asarray(-np.inf if low is None else low), asarray(np.inf if high is None else high)]
    for side in sides:
        if side.ndim > len(shape) or any(a not in (1, b) for a, b in zip(side.shape[::-1], shape[::-1], strict=False)):
            raise ValueError(f"{name}: the bounds of {path} have shape {side.shape}, and it has shape {shape}")
    lows, highs = (ops.broadcast_to(side.astype(np.float64), shape) for side in sides)
    if (lows._data > highs._data).any():
        raise ValueError(f"{name}: a lower bound of {path} is above its upper bound")
    return lows, highs


def _is_pair(row: object) -> bool:
    """Whether these are the two bounds of an element: numbers or None."""
    if isinstance(row, (list, tuple)):
        return len(row) == 2 and not any(isinstance(side, (list, tuple)) or getattr(side, "ndim", 0) for side in row)
    return getattr(row, "shape", None) == (2,)


def listed(name: str, bounds: object) -> list[Array]:
    """Bounds as a list.

    Raises:
        TypeError: they are none.
    """
    if not isinstance(bounds, Iterable):
        raise TypeError(f"{name}: bounds is {type(bounds).__name__}: give pairs (low, high), or scipy.optimize.Bounds")
    return list(bounds)


def _joined(numbers: Sequence[object], shape: Shape) -> Tensor:
    if any(isinstance(b, Tensor) for b in numbers):
        found: Tensor = ops.stack([asarray(b) for b in numbers]).reshape(shape)
        return found
    return asarray(np.array(numbers, np.float64).reshape(shape))


def between(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """x where it is between two bounds, else the bound. On a bound its derivative is that of the bound."""
    found: Tensor = where(x <= low, low, where(x >= high, high, x))
    return found


def flat(arrays: Sequence[Array]) -> Array:
    """Arrays behind each other, in double precision."""
    return np.concatenate([np.ravel(a) for a in arrays]).astype(np.float64)
