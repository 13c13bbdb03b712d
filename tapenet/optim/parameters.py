"""The parameters of an optimizer by name: in the order of a state, and in groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from itertools import zip_longest

from tapenet.autodiff.tensor import Tensor
from tapenet.optim.groups import Group
from tapenet.parameters.named import Parameters, named_parameters
from tapenet.typing import StateDict


def arranged(state: StateDict, names: Iterable[list[str] | None]) -> StateDict:
    """An optimizer's state with its parameters in another order, group by group, where it has their names.

    Args:
        state: of an optimizer here or of PyTorch's; what is no such thing stays as it is.
        names: those of each group, in the order that is wanted; None where there are none.

    Raises:
        ValueError: a group of the state has other names.
    """
    if not isinstance(state, Mapping) or "param_groups" not in state or not isinstance(state.get("state"), Mapping):
        return state
    entries = dict(state["state"])
    groups = []
    for i, (group, wanted) in enumerate(zip_longest(state["param_groups"], names)):
        if group is None:
            break
        given = group.get("param_names")
        groups.append({name: value for name, value in group.items() if name != "param_names"})
        if given is None or wanted is None or len(given) != len(group.get("params", ())):
            continue
        where = dict(zip(given, group["params"], strict=True))
        if sorted(given) != sorted(wanted):
            lines = [f"missing {n}" for n in wanted if n not in where] + [
                f"unexpected {n}" for n in given if n not in wanted
            ]
            raise ValueError(
                f"the state of group {i} is of parameters of other names: {', '.join(lines)}. To go by their order "
                "instead, delete its 'param_names'"
            )
        if len(where) == len(given):
            for name, place in zip(wanted, group["params"], strict=True):
                entries.pop(place, None)
                if where[name] in state["state"]:
                    entries[place] = state["state"][where[name]]
    return {**state, "state": entries, "param_groups": groups}


def param_groups(
    params: Parameters, options: Mapping[str | Callable[[str, Tensor], bool], Mapping[str, object]]
) -> list[Group]:
    """The groups of parameters that have the same options, by patterns of their names, for an optimizer.

    Args:
        params: a module, or (name, tensor) pairs.
        options: from patterns, or from functions of name and parameter that say whether they are meant, to options.
            In a pattern `*` stands for any text and `?` for a character. Where several fit, their options are joined,
            and later ones win. Parameters that none fits have the optimizer's own.

    Raises:
        ValueError: a pattern that fits no parameter.

    >>> from tapenet import nn, optim
    >>> net = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 1))
    >>> groups = optim.param_groups(net, {
    ...     "0.*": {"lr": 1e-4},                                          # a layer of its own
    ...     lambda name, p: p.ndim < 2: {"weight_decay": 0.0},            # neither biases nor norms decay
    ... })
    >>> print(optim.AdamW(groups, lr=1e-3))
    AdamW over 6 parameters, 29 elements
      group 0: 1 parameters, lr=0.0001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01, amsgrad=False, maximize=False
      group 1: 1 parameters, lr=0.0001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0, amsgrad=False, maximize=False
      group 2: 3 parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0, amsgrad=False, maximize=False
      group 3: 1 parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01, amsgrad=False, maximize=False
    """
    named = named_parameters(params, "param_groups")
    unused = list(options)
    groups: list[Group] = []
    for name, param in named:
        own: Group = {}
        for pattern, given in options.items():
            if pattern(name, param) if callable(pattern) else fnmatchcase(name, pattern):
                own |= given
                if pattern in unused:
                    unused.remove(pattern)
        for group in groups:
            if {key: value for key, value in group.items() if key != "params"} == own:
                group["params"].append((name, param))
                break
        else:
            groups.append({"params": [(name, param)], **own})
    if unused:
        names = ", ".join(name for name, _ in named[:5])
        raise ValueError(
            f"param_groups: no parameter fits {', '.join(map(repr, unused))}; the names are {names}"
            f"{', ...' if len(named) > 5 else ''}"
        )
    return groups
