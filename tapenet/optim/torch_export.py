"""States of optimizers here in the form of PyTorch's, to go on there."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from types import ModuleType

import numpy as np

from tapenet.optim.groups import BASE_RATE
from tapenet.optim.optimizer import Optimizer
from tapenet.optim.rules.adam import NAdam
from tapenet.optim.torch_import import SUMS
from tapenet.typing import StateDict

#: Of these PyTorch keeps no number of updates.
_UNCOUNTED = frozenset({"SGD", "Muon", "LBFGS"})
#: PyTorch has their state before the first update.
_FROM_THE_START = frozenset({"Adagrad", "LBFGS"})


def to_torch(optimizer: Optimizer) -> StateDict:
    """The state of an optimizer as PyTorch's optimizer of the same name has it: with torch tensors, for its `load_state_dict`.
    The other way, `load_state_dict` here takes PyTorch's states as they are.

    Parameters are matched by their order, as there: give both optimizers the parameters of the same model. A schedule becomes
    its value at the next step.

    Args:
        optimizer: one that PyTorch has too, such as `Adam`; over parameters in float32 or float64.

    Returns:
        a state. `torch.save(optim.to_torch(opt), path)` keeps it in a file, which `torch.load(path, weights_only=True)` reads.

    Raises:
        ImportError: PyTorch is not installed.
        TypeError: it has no such optimizer.
        ValueError: it has no such option.

    >>> import tapenet as tn
    >>> opt = tn.optim.Adam([tn.tensor([1.0], requires_grad=True)], lr=0.1)
    >>> theirs = torch.optim.Adam([torch.ones(1, dtype=torch.float64)])  # doctest: +SKIP
    >>> theirs.load_state_dict(tn.optim.to_torch(opt))                   # doctest: +SKIP
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "optim.to_torch makes tensors of PyTorch's, which is not installed: pip install torch"
        ) from error
    title = type(optimizer).__name__
    kind = getattr(torch.optim, title, None)
    if not isinstance(optimizer, Optimizer) or kind is None:
        raise TypeError(f"optim.to_torch: PyTorch has no optimizer {title} whose state this could be")
    options = inspect.signature(kind.__init__).parameters
    state = optimizer.state_dict()
    groups = [_group(group, title, options) for group in state["param_groups"]]
    of_each = {k: group for group in groups for k in group["params"]}
    entries = {}
    for k, entry in state["state"].items():
        step = entry.pop("step")
        if step or title in _FROM_THE_START:
            entries[k] = _entry(entry, step, of_each[k], optimizer)
    if title == "LBFGS":  # its state lies with the first parameter; the others have none
        entries = {0: _vectors(entries[0])}
    return {"state": {k: _tensors(entry, torch) for k, entry in entries.items() if entry}, "param_groups": groups}


def _group(group: Mapping[str, object], title: str, options: Mapping[str, object]) -> StateDict:
    made = {}
    for name, value in group.items():
        if name in options or name in ("params", "param_names", BASE_RATE):
            made[name] = value
        elif value:  # else it is what PyTorch's does without the option
            raise ValueError(f"optim.to_torch: PyTorch's {title} has no option {name}, which is {value!r} here")
    return made | ({"decoupled_weight_decay": title == "AdamW"} if title in ("Adam", "AdamW") else {})


def _entry(entry: StateDict, step: int, options: StateDict, optimizer: Optimizer) -> StateDict:
    title = type(optimizer).__name__
    found = {}
    for name, value in entry.items():
        mean, which = SUMS.get(name, (name, None))
        found[mean] = value if which is None else value * value.dtype.type(1 - options["betas"][which])
    if title not in _UNCOUNTED:
        # An integer there too: their other steps are tensors.
        found["step"] = step if title == "SparseAdam" else np.asarray(float(step), np.float32)
    # What is a function of the step here.
    if isinstance(optimizer, NAdam):
        found["mu_product"] = np.asarray(optimizer._product(options["betas"][0], options["momentum_decay"], step))
    if title == "ASGD":
        lr = options["lr"]
        found["eta"] = np.asarray(lr / (1 + options["lambd"] * lr * step) ** options["alpha"])
        found["mu"] = np.asarray(1 / max(1, step - options["t0"]))
    return found


def _vectors(entry: StateDict) -> StateDict:
    """The state of L-BFGS: lists; what does not exist yet is left out."""
    found = {name: entry[name] for name in ("func_evals", "n_iter")}
    if not len(entry["d"]):
        return found
    found |= {name: entry[name] for name in ("d", "t", "prev_flat_grad")}
    found |= {name: list(entry[name]) for name in ("old_dirs", "old_stps", "ro")}
    found["H_diag"] = np.asarray(1.0)
    if found["ro"]:
        y = found["old_dirs"][-1]
        found["H_diag"] = np.asarray(1 / (found["ro"][-1] * (y @ y)))
    return found | {"prev_loss": math.inf}


def _tensors(value: object, torch: ModuleType) -> object:
    if isinstance(value, dict):
        return {name: _tensors(part, torch) for name, part in value.items()}
    if isinstance(value, list):
        return [_tensors(part, torch) for part in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return torch.from_numpy(np.array(value, order="C"))
    return value
