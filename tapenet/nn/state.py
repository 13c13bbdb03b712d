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
    """The parameters and buffers of a module.

    Raises:
        ValueError: two have the same name.
    """
    found: dict[str, Tensor] = {}
    for name, value in walk(root):
        if isinstance(value, Tensor):
            if name in found:
                raise ValueError(
                    f"two tensors of this {type(root).__name__} are called {name!r}: a dict has a key with a dot "
                    "in it, or two that read the same"
                )
            found[name] = value
    return found


def load(root: Tree, state: Mapping[str, Any], strict: bool) -> LoadReport:
    """Copy values into a module; see `Module.load_state_dict`."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"load_state_dict takes a dict of arrays by name, not {type(state).__name__}"
            + ("; give other.state_dict()" if isinstance(state, Tree) else "")
        )
    own = by_name(root)
    first = _first_names(root, own)
    given = {name: _array(v, own.get(first.get(name, name))) for name, v in state.items()}
    lines = []
    for name in [n for n in given if n in first]:
        value = given.pop(name)
        same = given.setdefault(first[name], value)
        if value is not same and not np.array_equal(_plain(value), _plain(same)):
            lines.append(f"shared      {name}: it is {first[name]} here, and has other values in the state")
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
    for _, target, value in common:
        target.data = value
    return report


def _first_names(root: Tree, own: dict[str, Tensor]) -> dict[str, str]:
    """By the other names of what a module has under several, the one that is in its state."""
    names = {id(tensor): name for name, tensor in own.items()}
    return {name: names[id(t)] for name, t in walk(root, repeats=True) if id(t) in names and name not in own}


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
