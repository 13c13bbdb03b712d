"""A module's state by name, and how it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.tree import Tree, walk


class LoadReport(NamedTuple):
    """What `load_state_dict(strict=False)` left alone: names not in the state, and names in the state alone."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def by_name(root: Tree) -> dict[str, Tensor]:
    """The parameters and buffers of a module, under each of their names.

    Raises:
        ValueError: two have the same name.
    """
    found: dict[str, Tensor] = {}
    for name, value in walk(root, repeats=True):
        if isinstance(value, Tensor) and found.setdefault(name, value) is not value:
            raise ValueError(
                f"two tensors of this {type(root).__name__} are called {name!r}: a dict has a key with a dot in it, or two "
                "that read the same"
            )
    return found


def load(root: Tree, state: Mapping[str, Any], strict: bool) -> LoadReport:
    """Copy values into a module; see `Module.load_state_dict`."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"load_state_dict takes a dict of arrays by name, not {type(state).__name__}"
            + ("; give other.state_dict()" if isinstance(state, Tree) else "")
        )
    named = by_name(root)
    first: dict[int, str] = {}  # by tensor, the first of its names
    own = {name: t for name, t in named.items() if first.setdefault(id(t), name) == name}
    given: dict[str, Any] = {}
    source: dict[str, str] = {}
    lines = []
    for name, entry in state.items():
        target = named.get(name)
        value = _array(entry, target)
        usual = name if target is None else first[id(target)]
        same = given.setdefault(usual, value)
        before = source.setdefault(usual, name)
        if value is not same and not np.array_equal(_plain(value), _plain(same), equal_nan=True):
            lines.append(f"shared      {before}, {name}: one tensor here, and of different values in the state")
    report = LoadReport([n for n in own if n not in given], [n for n in given if n not in own])
    common = [(name, own[name], given[name]) for name in own if name in given]
    if strict:
        lines += [f"missing     {n}: {own[n].dtype} {own[n].shape}" for n in report.missing_keys]
        lines += [f"unexpected  {n}: {given[n].dtype} {given[n].shape}" for n in report.unexpected_keys]
    for name, target, value in common:
        if value.shape != target.shape:
            lines.append(f"shape       {name}: {target.shape} here, {value.shape} in the state")
        elif not np.can_cast(value.dtype, target.dtype, "same_kind"):
            lines.append(f"dtype       {name}: {target.dtype} here, {value.dtype} in the state")
    if lines:
        hint = "with strict=False missing and unexpected entries are left alone" if strict else ""
        raise ValueError(
            "\n  ".join(
                [
                    f"the state does not fit this {type(root).__name__}; nothing was loaded",
                    *lines,
                    *filter(None, [hint]),
                ]
            )
        )
    # Cast before anything is written: a number too large for the module's dtype warns, and a warning may be an error.
    cast = [value if value.dtype == target.dtype else value.astype(target.dtype) for _, target, value in common]
    for (_, target, _), value in zip(common, cast, strict=True):
        target.data = value
    return report


def _plain(value: Any) -> Any:
    return value.numpy() if isinstance(value, Tensor) else value


def _array(value: Any, target: Tensor | None) -> Any:
    """An entry of a state as an array or tensor. What `numpy.load` gives for a bfloat16 array are its bytes, without a
    type: they are taken for what they were."""
    if isinstance(value, Tensor):
        return value
    array = np.asarray(value)
    if target is not None and array.dtype == np.dtype("V2") and target.dtype.name == "bfloat16":
        return array.view(target.dtype)
    return array
