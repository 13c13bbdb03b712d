"""The optimizer: parameter groups, the step, and state that can be saved.

An optimizer is a configuration: it names its options, the state it keeps per parameter, the scalars of one
update and a pure rule. Everything else is here, the same for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from tapenet import ops
from tapenet.autodiff import mutation
from tapenet.autodiff.tape import Leaf, local, no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.optim.parameters import Parameters, named_parameters
from tapenet.optim.schedules import Schedule
from tapenet.optim.storage import Segment, Slot, segments

#: Parameters, under "params", and the options that hold for them.
Group = dict[str, Any]
State = dict[str, Any]


class Optimizer:
    """The base of all optimizers. One of your own gives its options to `__init__`, says with `states` what it
    keeps and with `scalars` what numbers an update takes, and computes the update in `rule`:

    >>> import numpy as np, tapenet as tn
    >>> class Lion(tn.optim.Optimizer):
    ...     def __init__(self, params, lr=1e-4, betas=(0.9, 0.99)):
    ...         super().__init__(params, lr=lr, betas=betas)
    ...     def states(self, options):
    ...         return {"exp_avg": 0.0}
    ...     def scalars(self, options, lr, step):
    ...         b1, b2 = options["betas"]
    ...         return {"lr": lr, "b1": b1, "c1": 1 - b1, "b2": b2, "c2": 1 - b2}
    ...     @staticmethod
    ...     def rule(p, g, state, s):
    ...         m = state["exp_avg"]
    ...         update = np.sign(s["b1"] * m + s["c1"] * g)
    ...         return p - s["lr"] * update, {"exp_avg": s["b2"] * m + s["c2"] * g}
    >>> w = tn.tensor([1.0, -2.0], requires_grad=True)
    >>> opt = Lion([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w
    Tensor([ 0.5, -1.5], requires_grad=True)

    A parameter whose `.grad` is None is left alone, its state and its number of updates too. Gradients are
    taken as they are: a nan makes the parameter nan (`clip_grad_norm` and `clip_grad_value` refuse it).

    Attributes:
        groups: the parameter groups, dicts with "params" and the group's options; these may be changed later.
    """

    def __init__(self, params: Parameters, *, lr: float | Schedule, **options: Any) -> None:
        """Make an optimizer of these parameters.

        Args:
            params: tensors, (name, tensor) pairs, a module, or a list of groups: dicts with "params" and the
                options in which the group differs.
            lr: the learning rate, a number or a function of the number of steps taken so far.
            **options: further options, where a group does not give its own.

        Raises:
            ValueError: no parameters, one given twice or without need of a gradient, an option out of range.
            TypeError: something that is no tensor, or an unknown option.
        """
        self.groups: list[Group] = []
        self._defaults = {"lr": lr, **options}
        self._title = type(self).__name__
        self._writer = f"{self._title}.step"
        self._slots: list[Slot] = []
        self._params: list[Tensor] = []
        #: Where the parameters are, with the group they belong to.
        self._segments: list[tuple[Group, Segment]] = []
        #: Each parameter with the array it had when its storage was found.
        self._arrays: list[tuple[Tensor, Any]] = []
        #: How many steps were taken; a schedule's argument.
        self._count = 0
        if isinstance(params, (list, tuple)) and params and isinstance(params[0], dict):
            for group in params:
                self.add_param_group(group)
        else:
            self.add_param_group({"params": params})

    # -- what each kind of optimizer says --------------------------------------------------------------------

    def check(self, options: Group) -> None:
        """Raise ValueError where an option is out of its range. The learning rate was checked already."""

    def states(self, options: Group) -> dict[str, float]:
        """The arrays kept per parameter, with their initial values."""
        return {}

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        """The numbers of a parameter's update, `step` counting from 1. Which ones there are depends on the
        options alone, and so does what `states` names; the rule branches on that, never on a value."""
        return {"lr": lr}

    @staticmethod
    def rule(p: Any, g: Any, state: State, s: dict[str, Any]) -> tuple[Any, State]:
        """The new parameter and the new state, by elementwise NumPy functions without in-place operators: the
        rule runs on blocks of storage, and on tensors while a step is being captured."""
        raise NotImplementedError

    # -- groups ----------------------------------------------------------------------------------------------

    def add_param_group(self, group: Group) -> None:
        """Optimise more parameters, with options of their own where `group` has them. A schedule is given the
        number of steps of the whole optimizer.

        Raises:
            ValueError, TypeError: as at construction.
        """
        where = f"{self._title}, group {len(self.groups)}" if self.groups else self._title
        unknown = group.keys() - self._defaults.keys() - {"params"}
        if unknown or "params" not in group:
            what = f"has no option {', '.join(map(repr, sorted(unknown)))}" if unknown else "needs 'params'"
            raise TypeError(f"{where}: a group {what}; its keys are params, {', '.join(self._defaults)}")
        options = {**self._defaults, **group}
        _check_rate(where, options["lr"])
        self.check(options)
        named = named_parameters(group["params"], where)
        given = {id(slot.param): slot.name for slot in self._slots}
        for name, param in named:
            if id(param) in given:
                raise ValueError(
                    f"{where}: {name} was given already, as {given[id(param)]}, and would be updated twice "
                    "in a step: give each parameter once, in one group"
                )
            given[id(param)] = name
            _check_parameter(where, name, param)
        slots = [Slot(name, param) for name, param in named]
        options["params"] = [param for _, param in named]
        self._take_up(slots, options)
        self.groups.append(options)
        self._slots += slots
        self._params += options["params"]

    @property
    def param_groups(self) -> list[Group]:
        """PyTorch's name of `groups`."""
        return self.groups

    @property
    def lr(self) -> float:
        """The learning rate of the next step. Assigning a number or a schedule sets it for every group.

        Raises:
            ValueError: the groups have different ones.
        """
        rates = [self._rate(group) for group in self.groups]
        if any(rate != rates[0] for rate in rates):
            raise ValueError(f"the groups have different learning rates, {rates}: read opt.groups[i]['lr']")
        return rates[0]

    @lr.setter
    def lr(self, value: float | Schedule) -> None:
        _check_rate(self._title, value)
        for group in self.groups:
            group["lr"] = value

    def _rate(self, group: Group) -> float:
        lr = group["lr"]
        return float(lr(self._count) if callable(lr) else lr)

    def _take_up(self, slots: list[Slot], group: Group) -> None:
        """Find the storage of a group's parameters and make it ready for the rule."""
        for slot in slots:
            for state in slot.state.values():
                if state.shape != slot.param.shape:
                    raise ValueError(
                        f"{self._title}: {slot.name} has shape {slot.param.shape} by now, and its state "
                        f"{state.shape}: make a new optimizer after a change of shape"
                    )
        for segment in segments(slots):
            self._configure(segment, group)
            self._segments.append((group, segment))
            self._arrays += segment.arrays

    def _take_up_moved(self) -> None:
        """Find the storage anew if a parameter was given another array."""
        for param, array in self._arrays:
            if param._data is not array:
                break
        else:
            return
        self._segments, self._arrays = [], []
        slots = iter(self._slots)
        for group in self.groups:
            self._take_up(list(islice(slots, len(group["params"]))), group)

    def _configure(self, segment: Segment, group: Group) -> None:
        segment.configure(self.rule, self.states(group), self.scalars(group, self._rate(group), 1))

    # -- the step --------------------------------------------------------------------------------------------

    def zero_grad(self) -> None:
        """Set every parameter's `.grad` to None."""
        for param in self._params:
            node = param._node
            if type(node) is Leaf:  # what `param.grad = None` comes to
                node.grad = None
            else:
                param.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        self._take_up_moved()
        tape = local.state.tape
        if tape is not None and tape.captures:
            self._record()
            return
        for group, segment in self._segments:
            lr = self._rate(group)
            runs, grads = segment.runs()
            for run in runs:
                scalars = self.scalars(group, lr, run.slots[0].step + 1)
                if scalars != segment.scalars:
                    if scalars.keys() != segment.scalars.keys():  # an option was set to 0, or from 0
                        self._configure(segment, group)
                    segment.set(scalars)
                for slot in run.slots:
                    slot.step += 1
                assert segment.program is not None
                update = segment.program.update
                for chunk in run.chunks:
                    g = chunk.gather(grads)
                    for lo, hi, arguments in chunk.blocks:
                        update(g[lo:hi], *arguments)
                mutation.wrote(run.region, self._writer)
        self._count += 1

    def _record(self) -> None:
        """The step as ops on a tape that captures: the same rule on tensors, parameter by parameter."""
        with no_grad():
            for group, segment in self._segments:
                self._configure(segment, group)
                for run in segment.runs()[0]:
                    scalars = self._record_scalars(group, segment, run.slots)
                    for slot in run.slots:
                        new, state = self.rule(slot.param, slot.param.grad, dict(slot.state), scalars)
                        for name, value in state.items():
                            slot.state[name]._write(value, self._writer)
                        slot.param._write(new, self._writer)
            ops.host(self._tick)

    def _record_scalars(self, group: Group, segment: Segment, slots: list[Slot]) -> dict[str, Any]:
        """The scalars of an update as numbers that each replay asks for anew. Asking counts the update."""
        names = segment.scalars.keys()
        current: dict[str, float] = {}

        def advance() -> int:
            nonlocal current
            step = slots[0].step + 1
            current = self.scalars(group, self._rate(group), step)
            if current.keys() != names or any(slot.step + 1 != step for slot in slots):
                raise RuntimeError(
                    f"{self._title}: since this step was captured an option was set to 0 or from 0, or its "
                    "parameters were updated a different number of times: capture it again"
                )
            for slot in slots:
                slot.step = step
            self._replan()
            return step

        def value(name: str) -> float:
            return current[name]

        ops.host(advance)
        return {name: ops.host(partial(value, name), segment.flat.dtype) for name in names}

    def _tick(self) -> int:
        self._count += 1
        return self._count

    def _replan(self) -> None:
        for _, segment in self._segments:
            segment.replan()

    # -- state -----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that a later run needs to go on: plain ndarrays (copies), numbers, dicts and lists, parameters
        by their position. A schedule is represented by the learning rate of the next step.

        >>> import tapenet as tn
        >>> opt = tn.optim.SGD([tn.tensor([1.0], requires_grad=True)], lr=0.1, momentum=0.9)
        >>> opt.state_dict()["state"]
        {0: {'step': 0, 'momentum_buffer': array([0.])}}
        """
        position = {id(slot.param): i for i, slot in enumerate(self._slots)}
        return {
            "step": self._count,
            "state": {
                i: {"step": slot.step, **{n: t.numpy().copy(order="K") for n, t in slot.state.items()}}
                for i, slot in enumerate(self._slots)
            },
            "param_groups": [
                {**group, "lr": self._rate(group), "params": [position[id(p)] for p in group["params"]]}
                for group in self.groups
            ],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the `state_dict()` of an optimizer of the same kind, over parameters of the same shapes.
        Options are taken over too, but for a schedule, which stays.

        Raises:
            ValueError: something is missing, unexpected or of another shape; lists it all, changes nothing.
        """
        problems = self._problems(state)
        if problems:
            text = "\n  ".join(problems)
            raise ValueError(f"{self._title}.load_state_dict: this state does not fit:\n  {text}")
        self._count = int(state["step"])
        for group, saved in zip(self.groups, state["param_groups"], strict=True):
            kept = {"params": group["params"]} | ({"lr": group["lr"]} if callable(group["lr"]) else {})
            group.update({**saved, **kept})
        for group, segment in self._segments:
            self._configure(segment, group)
        for i, slot in enumerate(self._slots):
            slot.step = int(state["state"][i]["step"])
            for name, tensor in slot.state.items():
                tensor.data = state["state"][i][name]
        self._replan()

    def _problems(self, state: dict[str, Any]) -> list[str]:
        """What keeps a state from being loaded, a line each."""
        found = _compare("the whole", state, ("step", "state", "param_groups"))
        if found:
            return found
        if len(state["param_groups"]) != len(self.groups):
            return [f"{len(state['param_groups'])} parameter groups, this optimizer has {len(self.groups)}"]
        found = _compare("state", state["state"], range(len(self._slots)))
        slots = iter(enumerate(self._slots))
        for i, (group, saved) in enumerate(zip(self.groups, state["param_groups"], strict=True)):
            found += _compare(f"group {i}", saved, group)
            size, saved_size = len(group["params"]), len(saved.get("params", ()))
            if saved_size != size:
                found.append(f"group {i}: {saved_size} parameters, this optimizer's has {size}")
            names = self.states({**group, **saved})
            for k, slot in islice(slots, size):
                entry = state["state"].get(k)
                if entry is not None:
                    where = f"state of {slot.name}, at {k}"
                    found += _compare(where, entry, ("step", *names))
                    shapes = {name: np.shape(entry[name]) for name in names if name in entry}
                    found += [
                        f"{where}: {name} has shape {shape}, the parameter {slot.param.shape}"
                        for name, shape in shapes.items()
                        if shape != slot.param.shape
                    ]
        return found

    def __repr__(self) -> str:
        size = sum(p.size for p in self._params)
        lines = [f"{self._title} over {len(self._params)} parameters, {size:,} elements"]
        for i, group in enumerate(self.groups):
            text = ", ".join(f"{n}={_shown(v)}" for n, v in group.items() if n != "params")
            lines.append(f"  group {i}: {len(group['params'])} parameters, {text}")
        return "\n".join(lines)


def _shown(option: Any) -> str:
    """An option as text; a schedule by the name of the function that made it."""
    return str(option.__qualname__).partition(".<locals>")[0] if hasattr(option, "__qualname__") else str(option)


def _compare(where: str, got: Any, expected: Iterable[Any]) -> list[str]:
    """Lines on what is missing in a dict, and what is unexpected there."""
    expected = list(expected)
    missing = ", ".join(repr(key) for key in expected if key not in got)
    unexpected = ", ".join(repr(key) for key in got if key not in expected)
    found = [f"{where}: missing {missing}"] if missing else []
    return found + ([f"{where}: unexpected {unexpected}"] if unexpected else [])


def _check_rate(where: str, lr: Any) -> None:
    if not callable(lr):
        check_range(where, "lr", lr, 0.0, math.inf)


def _check_parameter(where: str, name: str, param: Tensor) -> None:
    if not param.is_leaf:
        assert param.node is not None
        raise ValueError(
            f"{where}: {name} is the result of op {param.node.name!r}, and an optimizer updates leaves: give "
            "the tensor it was computed from, or tn.tensor(t.numpy(), requires_grad=True)"
        )
    if not param.requires_grad:
        raise ValueError(
            f"{where}: {name} needs no gradient: call requires_grad_() on it, or leave it out, as in "
            "[p for p in net.parameters() if p.requires_grad]"
        )


def check_range(where: str, name: str, value: Any, low: float, high: float) -> None:
    """Raise unless `value` is a number with low <= value < high.

    Raises:
        TypeError: no number.
        ValueError: out of range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{where}: {name} must be a number, not {type(value).__name__} {value!r}")
    if not low <= float(value) < high:
        limits = f"at least {low:g}" if high == math.inf else f"in [{low:g}, {high:g})"
        raise ValueError(f"{where}: {name}={value} must be {limits}")
