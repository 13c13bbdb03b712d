"""States of PyTorch's optimizers, in the form of those here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tapenet.optim.groups import Group
from tapenet.optim.storage import Slot
from tapenet.optim.torch_options import SWITCHES
from tapenet.program.low import as_array
from tapenet.typing import Shape, StateDict

#: Options that only say how PyTorch computes a step, and the bounds that its `OneCycleLR` and `CyclicLR` keep in groups.
_SKIPPED = SWITCHES | {"max_lr", "min_lr", "max_momentum", "base_momentum"}
#: Options that not every optimizer of every PyTorch has: L-BFGS can ascend from 2.15 on.
_NOT_EVERYWHERE = frozenset({"maximize"})
#: What PyTorch keeps that is a function of the step here.
_NUMBERS = frozenset({"eta", "mu", "mu_product"})
#: What `Adam` keeps as sums: PyTorch's mean, and by which of its betas.
SUMS = {"grad_sum": ("exp_avg", 0), "square_sum": ("exp_avg_sq", 1), "max_square_sum": ("max_exp_avg_sq", 1)}


def is_torchs(state: object) -> bool:
    """Whether a state is of a PyTorch optimizer, which does not count its steps."""
    return isinstance(state, Mapping) and "step" not in state and {"state", "param_groups"} <= state.keys()


def translated(
    state: StateDict, slots: Iterable[Slot], groups: Iterable[Group], initial: Callable[[Group, Shape], StateDict]
) -> StateDict:
    """A PyTorch optimizer's state as one of an optimizer here.

    Args:
        state: PyTorch's.
        slots: the optimizer's parameters.
        groups: its groups.
        initial: from the options of a group and a shape to the initial states of a parameter.
    """
    groups = list(groups)
    saved = [_options(theirs, own) for theirs, own in zip(state["param_groups"], groups, strict=False)]
    options = [{**own, **group} for own, group in zip(groups, saved, strict=False) for _ in own["params"]]
    entries = {}
    for k, (slot, own) in enumerate(zip(slots, options, strict=False)):
        entries[k] = _entry(state["state"].get(k, {}), own, initial(own, slot.param.shape))
    steps = [entry["step"] for entry in entries.values()]
    others = {k: entry for k, entry in state["state"].items() if k not in entries}  # to be reported
    groups_of_others = state["param_groups"][len(saved) :]
    return {"step": max(steps, default=0), "state": entries | others, "param_groups": [*saved, *groups_of_others]}


def _options(theirs: Mapping[str, object], own: Mapping[str, object]) -> dict[str, object]:
    # AdamW is Adam with `decoupled_weight_decay` in PyTorch.
    skipped = _SKIPPED | ({"decoupled_weight_decay"} - own.keys())
    kept = {name: own[name] for name in _NOT_EVERYWHERE if name in own}
    return kept | {name: value for name, value in theirs.items() if name not in skipped}


def _entry(theirs: StateDict, options: StateDict, initial: StateDict) -> StateDict:
    """What is kept of a parameter. PyTorch keeps nothing before its first update."""
    found: StateDict = {
        name: as_array(value) for name, value in theirs.items() if value is not None and name not in _NUMBERS
    }
    for name, (mean, which) in SUMS.items():
        if name in initial and mean in found:
            found[name] = found.pop(mean) / (1 - options["betas"][which])
    step = int(found.pop("step", bool(found)))  # SGD keeps none: what counts is whether there was an update
    return {"step": step, **initial, **found}
