"""Containers of arrays as one vector."""

from __future__ import annotations

import itertools

import numpy as np

from tapenet import ops
from tapenet.compat.autograd.builtins import type
from tapenet.compat.autograd.values import Function, Value


def flatten(value: Value) -> tuple[Value, Function]:
    """The elements of nested tuples, lists and dicts, these by sorted keys, as a vector; and a function that gives a vector
    that structure.

    >>> vector, unflatten = flatten({"w": [1.0, 2.0], "b": 3.0})
    >>> vector, unflatten(vector)
    (array([3., 1., 2.]), {'w': [np.float64(1.0), np.float64(2.0)], 'b': np.float64(3.0)})
    """
    leaves = _leaves(value)
    ends = list(itertools.accumulate(np.size(leaf) for leaf in leaves))
    vector = ops.concatenate([ops.ravel(leaf) for leaf in leaves]) if leaves else np.array([])

    def unflatten(flat: Value) -> Value:
        parts = (
            ops.reshape(flat[end - np.size(leaf) : end], np.shape(leaf)) for leaf, end in zip(leaves, ends, strict=True)
        )
        return _filled(value, parts)

    return vector, unflatten


def flatten_func(func: Function, example: Value) -> tuple[Function, Function, Value]:
    """A function from containers to containers as one of vectors, the function that gives a vector the structure of the
    example, and the example as a vector."""
    vector, unflatten = flatten(example)
    return lambda flat, *args: flatten(func(unflatten(flat), *args))[0], unflatten, vector


def _leaves(value: Value) -> list[Value]:
    kind = type(value)
    if kind in (list, tuple):
        return [leaf for part in value for leaf in _leaves(part)]
    return [leaf for key in sorted(value) for leaf in _leaves(value[key])] if kind is dict else [value]


def _filled(value: Value, parts: Value) -> Value:
    kind = type(value)
    if kind in (list, tuple):
        return kind(_filled(part, parts) for part in value)
    if kind is dict:
        found = {key: _filled(value[key], parts) for key in sorted(value)}
        return {key: found[key] for key in value}
    part = next(parts)
    return part if np.ndim(part) else part[()]
