"""States as JSON beside arrays by name: the structure in which a file of tapenet holds its arrays.

JSON's own values stand for themselves: None, True, numbers, texts and lists. Everything else is an object with one name:

    {"array": name}       an array            {"scalar": name}     a NumPy scalar, stored as an array without axes
    {"complex128": name}  an array of these, stored as float64 with a last axis of real and imaginary part; safetensors
                          has no name for the dtype. {"complex128 scalar": name} is a scalar
    {"dict": [[key, value], ...]}             {"tuple": [value, ...]}
    {"float": "nan"}      or inf, -inf        {"complex": [real, imaginary]}
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import NoReturn

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.files.safetensors import NAMES
from tapenet.typing import Array, StateDict

#: How many levels a structure may have.
DEEPEST = 100


class Flat:
    """A state taken apart: its structure in JSON's values and its arrays by name, each once.

    Attributes:
        structure: what `rebuilt` makes the state of.
        arrays: by name, which is the path in the state, with dots.
    """

    def __init__(self, state: object, who: str) -> None:
        self._who = who
        self.arrays: dict[str, Array] = {}
        #: Of each array met, by its id, itself (so that the id stays its own) and what stands for it.
        self._known: dict[int, tuple[object, dict[str, object]]] = {}
        self.structure = self._node(state, ())

    def _node(self, value: object, path: tuple[object, ...]) -> object:
        kind = type(value)
        if value is None or kind is bool or kind is int:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if type(value) is complex:
            return {"complex": [self._node(value.real, path), self._node(value.imag, path)]}
        if isinstance(value, (Tensor, np.ndarray, np.generic)) and not isinstance(value, np.str_):
            known = self._known.get(id(value))
            if known is None:
                known = self._known[id(value)] = value, self._array(value, path)
            return known[1]
        if isinstance(value, str):
            return str(value)
        if len(path) >= DEEPEST:
            self._refuse(path, f"it is nested more than {DEEPEST} levels deep, or holds itself", "flatten it")
        if isinstance(value, dict):
            return {"dict": [[self._key(key, path), self._node(v, (*path, key))] for key, v in value.items()]}
        if isinstance(value, list):
            return [self._node(part, (*path, i)) for i, part in enumerate(value)]
        if type(value) is tuple:
            return {"tuple": [self._node(part, (*path, i)) for i, part in enumerate(value)]}
        if hasattr(value, "state_dict") and not isinstance(value, type):
            return self._node(state_of(value.state_dict), path)
        self._refuse(path, f"{_shown(value)} cannot be stored", _instead(value))

    def _key(self, key: object, path: tuple[object, ...]) -> str | int:
        if isinstance(key, str):
            return str(key)
        if type(key) is int:
            return key
        self._refuse(path, f"the key {key!r} is no text and no integer", "use such keys")

    def _array(self, value: object, path: tuple[object, ...]) -> dict[str, object]:
        array = value.numpy() if isinstance(value, Tensor) else np.asarray(value)
        if isinstance(value, np.ma.MaskedArray):
            self._refuse(path, "a masked array cannot be stored", "store its .data and its .mask")
        sort = "array"
        if array.dtype.name == "complex128":
            array = np.stack([array.real, array.imag], -1)
            sort = "complex128"
        elif array.dtype.name not in NAMES:
            self._refuse(
                path,
                f"an array of dtype {array.dtype} cannot be stored",
                f"cast it to one of {', '.join([*NAMES, 'complex128'])}"
                + (", or store what is in it as lists, numbers and texts" if array.dtype.kind in "OSUMm" else ""),
            )
        if isinstance(value, np.generic):
            sort = "scalar" if sort == "array" else "complex128 scalar"
        usual = ".".join(map(str, path)) or "array"
        name, number = usual, 1
        while name in self.arrays or name == "__metadata__":
            number += 1
            name = f"{usual}#{number}"
        self.arrays[name] = array
        return {sort: name}

    def _refuse(self, path: tuple[object, ...], what: str, instead: str) -> NoReturn:
        where = "".join(f"[{key!r}]" for key in path[:12]) + ("[...]" if len(path) > 12 else "")
        raise TypeError(f"{self._who}: at state{where}: {what}; {instead}. Nothing was written")


def state_of(take: Callable[..., StateDict]) -> StateDict:
    """What a method `state_dict` gives, to be written at once: without copies, where `keep_vars` can ask for that."""
    try:
        keeps = "keep_vars" in inspect.signature(take).parameters
    except (TypeError, ValueError):  # it tells nothing
        keeps = False
    return take(keep_vars=True) if keeps else take()


def _shown(value: object) -> str:
    if callable(value) and hasattr(value, "__qualname__"):
        return f"the {type(value).__name__} {value.__qualname__}"
    kind = type(value)
    return f"an object of type {'' if kind.__module__ == 'builtins' else kind.__module__ + '.'}{kind.__qualname__}"


def _instead(value: object) -> str:
    if isinstance(value, (set, frozenset)):
        return "it has no order: give sorted(...) of it, a list"
    if isinstance(value, tuple):
        return "its type would be lost: give tuple(...) of it, or a dict (._asdict())"
    if isinstance(value, (bytes, bytearray)):
        return "give np.frombuffer(..., np.uint8) of it"
    if hasattr(value, "__array__"):  # more than an array perhaps, as a table with names
        return "give np.asarray(...) of it"
    if isinstance(value, np.random.Generator):
        return "give its state, generator.bit_generator.state"
    if callable(value):
        return "functions and classes are code: leave it out, and make it anew after loading"
    return (
        "a file holds dicts, lists, tuples, arrays, tensors, numbers, texts, None and what has a state_dict(): give what is in "
        "it as these"
    )


def rebuilt(structure: object, arrays: dict[str, Array]) -> object:
    """The state that was taken apart into these.

    Raises:
        ValueError: they are no such parts.
    """
    return _value(structure, arrays, 0)


def _value(node: object, arrays: dict[str, Array], depth: int) -> object:
    if depth > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep")
    if isinstance(node, list):
        return [_value(part, arrays, depth + 1) for part in node]
    if not isinstance(node, dict):
        return node
    if len(node) != 1:
        raise ValueError(f"an object with the names {', '.join(node) or '(none)'} in it stands for nothing")
    ((sort, held),) = node.items()
    if sort not in _SORTS:
        raise ValueError(f"{sort!r} is no kind of value")
    return _SORTS[sort](held, arrays, depth)


def _array(name: object, arrays: dict[str, Array], _depth: int) -> Array:
    if not isinstance(name, str) or name not in arrays:
        raise ValueError(f"there is no array {name!r}")
    return arrays[name]


def _complex(name: object, arrays: dict[str, Array], depth: int) -> Array:
    # One array for one name, as it was stored.
    pairs = _array(name, arrays, depth)
    if pairs.dtype != np.complex128:
        if pairs.dtype != np.float64 or pairs.shape[-1:] != (2,):
            raise ValueError(f"array {name!r} has no pairs of float64")
        pairs = arrays[str(name)] = pairs.view(np.complex128)[..., 0]
    return pairs


def _dict(pairs: object, arrays: dict[str, Array], depth: int) -> dict[object, object]:
    found: dict[object, object] = {}
    for pair in map(_parts, _parts(pairs)):
        if len(pair) != 2 or type(pair[0]) not in (str, int) or pair[0] in found:
            raise ValueError("a dict is pairs of a key, each another text or integer, and a value")
        found[pair[0]] = _value(pair[1], arrays, depth + 1)
    return found


def _parts(held: object) -> list[object]:
    if not isinstance(held, list):
        raise ValueError(f"{held!r} is no list of parts")
    return held


def _float(text: object, _arrays: object, _depth: int) -> float:
    if text not in ("nan", "inf", "-inf"):
        raise ValueError(f"{text!r} is none of nan, inf, -inf")
    return float(str(text))


def _number(parts: object, arrays: dict[str, Array], depth: int) -> complex:
    values = [_value(part, arrays, depth + 1) for part in _parts(parts)]
    real, imag = values if len(values) == 2 else (None, None)
    if type(real) is not float or type(imag) is not float:
        raise ValueError("a complex number is two floats")
    return complex(real, imag)


_SORTS: dict[str, Callable[[object, dict[str, Array], int], object]] = {
    "array": _array,
    "scalar": lambda name, arrays, depth: _array(name, arrays, depth)[()],
    "complex128": _complex,
    "complex128 scalar": lambda name, arrays, depth: _complex(name, arrays, depth)[()],
    "dict": _dict,
    "tuple": lambda parts, arrays, depth: tuple(_value(part, arrays, depth + 1) for part in _parts(parts)),
    "float": _float,
    "complex": _number,
}
