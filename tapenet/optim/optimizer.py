"""The optimizer: parameter groups, the step, and state that can be saved.

An optimizer is a configuration: it names its options, the state it keeps per parameter, the scalars of one
update and a pure rule. Everything else is here, the same for all.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tapenet import ops
from tapenet.autodiff.node import Leaf
from tapenet.autodiff.observe import epoch
from tapenet.autodiff.observe.capture import Capture, capturing
from tapenet.autodiff.observe.epoch import bump
from tapenet.autodiff.recorded_functions import called
from tapenet.autodiff.state import local, no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.ops.registry import is_own
from tapenet.ops.signatures import MISSING, check_keywords
from tapenet.ops.tracebacks import boundary
from tapenet.optim.groups import (
    BASE_RATE,
    Group,
    ParamGroup,
    check_betas,
    check_parameter,
    check_range,
    check_rate,
    check_wide,
    rate_at,
)
from tapenet.optim.hooks import Hooked, inside
from tapenet.optim.parameters import arranged
from tapenet.optim.rule_calls import Rule, Scalars, State, Updated, call_rule, check_numbers, check_shapes
from tapenet.optim.schedules import Schedule
from tapenet.optim.storage import Clock, Segment, Shards, Slot, Storage, segments
from tapenet.optim.torch_import import is_torchs, translated
from tapenet.optim.torch_options import SWITCHES, accepting, is_ours, without_switches
from tapenet.parameters import updaters
from tapenet.parameters.named import Parameters, Position, named_parameters
from tapenet.program.ir import Program
from tapenet.program.value_keys import Same, distinct
from tapenet.typing import Array, StateDict

#: Where parameters of a group are, of one dtype and next to each other.
_Segment = tuple[ParamGroup, Storage]
#: The attributes that an optimizer without parameters does not have.
_OF_PARAMETERS = ("groups", "_slots", "_params", "_segments", "_arrays")
#: What is said of a class without a rule.
WITHOUT_RULE = (
    "an optimizer of your own defines `rule(p, g, state, s)` under @staticmethod, which returns the new parameter and a dict "
    "of its new state; see tn.optim.Optimizer, and tn.optim.WholeOptimizer for rules with norms, sums or shapes"
)


class _OfParameters:
    """An attribute that an optimizer without parameters does not have; one with parameters has it in its dict."""

    def __get__(self, opt: Optimizer | None, kind: type[Optimizer]) -> _OfParameters:
        if opt is None:
            return self
        title = kind.__name__
        raise RuntimeError(
            f"this {title} was made without parameters. Give them, {title}(net.parameters(), ...), or later, "
            "opt.bind(net.parameters()); tn.Network.use and tn.training.fit bind it to the model they train"
        )


class Optimizer(Hooked):
    """The base of all optimizers. One of your own gives its options to `__init__`, says with `states` what it
    keeps and with `scalars` what numbers an update takes, and computes the update in `rule`:

    >>> import numpy as np, tapenet as tn
    >>> class Lion(tn.optim.Optimizer):
    ...     def __init__(self, params=None, lr=1e-4, betas=(0.9, 0.99)):
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

    Made without parameters it waits for `bind`, which the training loop calls.

    Attributes:
        groups: the parameter groups, dicts with "params" and the group's options; these may be changed later.
    """

    # What there is only once there are parameters, so that a step need not ask.
    groups: list[ParamGroup]
    _slots: list[Slot]
    _params: list[Tensor]
    #: Where the parameters are, with the group they belong to.
    _segments: list[_Segment]
    #: Each parameter with the array it had when its storage was found.
    _arrays: list[tuple[Tensor, object]]
    if not TYPE_CHECKING:  # not by `__getattr__`, with which Python looks each attribute up anew
        groups = _slots = _params = _segments = _arrays = _OfParameters()

    @boundary
    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Look at the keywords that an optimizer is made with: Python's own error would not say which there are."""
        if kwargs:
            check_keywords(cls.__name__, cls.__init__, kwargs.keys() - SWITCHES if is_ours(cls) else kwargs)
        return super().__new__(cls)

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls) and is_ours(cls):
            cls.__init__ = accepting(cls.__init__)  # type: ignore[method-assign]

    def __init__(
        self,
        params: Parameters = None,
        *positional: object,
        lr: float | Schedule = MISSING,  # type: ignore[assignment]  # so that the error is one of ours
        **options: object,
    ) -> None:
        """Make an optimizer of these parameters.

        Args:
            params: tensors, (name, tensor) pairs, a module, or a list of groups: dicts with "params" and the
                options in which the group differs. None, if they are to come by `bind`.
            lr: the learning rate, a number or a function of the number of steps taken so far.
            **options: further options, where a group does not give its own. They too may be functions of the step:
                momentum=linear(0.85, 0.95, 1000).

        Raises:
            ValueError: no parameters, one given twice or without need of a gradient, an option out of range.
            TypeError: something that is no tensor, or an unknown option.
        """
        if positional or lr is MISSING:  # type: ignore[comparison-overlap]
            title = type(self).__name__
            raise TypeError(
                f"{title}: the base takes the parameters, and the options by name, lr among them: super().__init__(params, "
                "lr=lr, momentum=momentum)" + (", not a dict of defaults as PyTorch's" if positional else "")
            )
        self._defaults = {"lr": lr, **options}
        self._title = type(self).__name__
        self._writer = f"{self._title}.step"
        #: `epoch.current` as it was when it was last seen that the parameters have their arrays.
        self._epoch = 0
        #: What `updaters` keeps: the parameters by id, and those that came to the model since.
        self._updated: dict[int, Tensor] = {}
        self._newcomers: list[updaters.Newcomers] = []
        #: Whether its gradients are averaged over ranks that train one model together (`tn.parallel.optimizer`).
        self.together = False
        #: Who else updates parameters and keeps their state (`share`).
        self._shards: Shards | None = None
        #: How many steps were taken; a schedule's argument.
        self._count = 0
        if params is None:
            self._check_options(self._title, self._defaults)
        else:
            self.bind(params)

    @property
    def bound(self) -> bool:
        """Whether it has parameters."""
        return "groups" in vars(self)

    def bind(self, params: Parameters) -> Self:
        """Give parameters to an optimizer that was made without; returns itself.

        >>> import tapenet as tn
        >>> opt = tn.optim.SGD(lr=0.1)
        >>> opt
        SGD without parameters: lr=0.1, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False
        >>> opt.bind([tn.tensor([1.0, 2.0], requires_grad=True)]).bound
        True

        Raises:
            RuntimeError: it has parameters.
            ValueError, TypeError: as at construction; then it has none still.
        """
        if self.bound:
            raise RuntimeError(
                f"{self._title}.bind: it has its {len(self._params)} parameters already, and their state. Make an optimizer "
                "for each model; more parameters of the same one are added by add_param_group"
            )
        self.groups, self._slots, self._params, self._segments, self._arrays = [], [], [], [], []
        try:
            if isinstance(params, (list, tuple)) and params and isinstance(params[0], dict):
                for group in params:
                    self.add_param_group(group)
            else:
                self.add_param_group({"params": params})
        except BaseException:
            for name in _OF_PARAMETERS:
                delattr(self, name)
            self._updated = {}
            raise
        return self

    # -- what each kind of optimizer says --------------------------------------------------------------------

    #: Options that are numbers of at least 0, and "betas", two numbers in [0, 1): `check` looks at these.
    checked: ClassVar[tuple[str, ...]] = ()

    def check(self, options: Group) -> None:
        """Raise ValueError where an option is out of its range. The learning rate was checked already."""
        title = type(self).__name__
        for name in self.checked:
            if name == "betas":
                check_betas(title, options["betas"])
            else:
                check_range(title, name, options[name], 0.0, math.inf)

    def check_parameter(self, where: str, name: str, param: Tensor) -> None:
        """Raise ValueError or TypeError for a tensor that cannot be optimised."""
        check_parameter(where, name, param)

    def states(self, options: Group) -> dict[str, float]:
        """The arrays kept per parameter, with their initial values."""
        return {}

    def shapes(self, options: Group, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """The shapes of the arrays kept of a parameter of this shape: for an elementwise rule, the same."""
        return dict.fromkeys(self.states(options), shape)

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        """The numbers of a parameter's update, `step` counting from 1. Which ones there are depends on the
        options alone, and so does what `states` names; the rule branches on that, never on a value."""
        return {"lr": lr}

    def local(self, options: Group) -> bool:
        """Whether the rule leaves an element with gradient 0, and its state, as they are. Then a table whose gradient is
        known by rows is updated in these rows alone."""
        return False

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        """The new parameter and the new state, by elementwise NumPy functions without in-place operators: the
        rule runs on blocks of storage, and on tensors while a step is being captured."""
        raise NotImplementedError(WITHOUT_RULE)

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Each parameter with its name and what is kept of it."""
        return tuple(self._slots)

    # -- groups ----------------------------------------------------------------------------------------------

    def add_param_group(self, group: Group) -> None:
        """Optimise more parameters, with options of their own where `group` has them. A schedule is given the
        number of steps of the whole optimizer.

        Raises:
            ValueError, TypeError: as at construction.
        """
        where = f"{self._title}, group {len(self.groups)}" if self.groups else self._title
        if self._shards is not None:
            raise RuntimeError(
                f"{where}: its state is shared out over ranks already; add groups before parallel.optimizer"
            )
        group = without_switches(where, group)
        unknown = group.keys() - self._defaults.keys() - {"params", BASE_RATE}
        if unknown or "params" not in group:
            what = f"has no option {', '.join(map(repr, sorted(unknown)))}" if unknown else "needs 'params'"
            raise TypeError(f"{where}: a group {what}; its keys are params, {', '.join(self._defaults)}")
        options = {**self._defaults, **group}
        self._check_options(where, options)
        named = named_parameters(group["params"], where)
        given = {id(slot.param): slot.name for slot in self._slots}
        for name, param in named:
            if id(param) in given:
                raise ValueError(
                    f"{where}: {name} was given already, as {given[id(param)]}, and would be updated twice "
                    "in a step: give each parameter once, in one group"
                )
            given[id(param)] = name
            self.check_parameter(where, name, param)
        slots = [Slot(name, param) for name, param in named]
        made = ParamGroup(options | {"params": [param for _, param in named]})
        segments, arrays = self._take_up(slots, made)
        self.groups.append(made)
        self._slots += slots
        self._params += made["params"]
        self._segments += segments
        self._arrays += arrays
        updaters.enter(self, self._params)
        bump()

    def _check_options(self, where: str, options: Group) -> None:
        check_rate(where, options["lr"])
        self.check(ParamGroup(options).at(self._count))

    @property
    def param_groups(self) -> list[ParamGroup]:
        """PyTorch's name of `groups`."""
        return self.groups

    @property
    def defaults(self) -> Mapping[str, object]:
        """The options of groups that do not give their own, to be read."""
        return MappingProxyType(self._defaults)

    @property
    def state(self) -> Mapping[Tensor, Mapping[str, object]]:
        """What is kept of each parameter, to be read: "step", the number of its updates, and the tensors by name, those that
        the optimizer works with. To begin anew make a new optimizer, or load a state. Where ranks share the state, it is of
        those parameters that this rank updates.

        >>> import tapenet as tn
        >>> w = tn.tensor([1.0], requires_grad=True)
        >>> opt = tn.optim.SGD([w], lr=0.1, momentum=0.9)
        >>> dict(opt.state[w])
        {'step': 0, 'momentum_buffer': Tensor([0.])}
        """
        # Not to be changed, since that would do nothing.
        return MappingProxyType(
            {slot.param: MappingProxyType({"step": slot.step, **slot.state}) for slot in self._slots if slot.here}
        )

    def rates(self) -> list[float]:
        """The learning rates of the next step, one for each group."""
        return [self._rate(group) for group in self._having_rates()]

    @property
    def lr(self) -> float:
        """The learning rate of the next step. Assigning a number or a schedule sets it for every group.

        Raises:
            ValueError: the groups have different ones.
        """
        rates = self.rates()
        if any(rate != rates[0] for rate in rates):
            raise ValueError(f"the groups have different learning rates, {rates}: read opt.groups[i]['lr']")
        return rates[0]

    @lr.setter
    def lr(self, value: float | Schedule) -> None:
        check_rate(self._title, value)
        for group in self._having_rates():
            group["lr"] = value

    def _having_rates(self) -> Sequence[Group]:
        return self.groups if self.bound else [self._defaults]

    def _rate(self, group: Group) -> float:
        lr = group["lr"]
        return rate_at(self._title, lr, self._count) if callable(lr) else float(lr)

    def _options(self, group: ParamGroup) -> Group:
        """The options of the next step: what is given as a function of the step by its value."""
        return {**group.at(self._count), "lr": self._rate(group)}

    def _take_up(self, slots: list[Slot], group: ParamGroup) -> tuple[list[_Segment], list[tuple[Tensor, object]]]:
        """Find the storage of a group's parameters and make it ready for the rule.

        Returns:
            where they are, and each with its array.
        """
        options = self._options(group)
        for slot in slots:
            check_wide(self._title, slot.name, slot.param)  # the model may have been cast since
            shapes = self.shapes(options, slot.param.shape)
            for name, state in slot.state.items():
                if state.shape != shapes.get(name, state.shape):
                    raise ValueError(
                        f"{self._title}: {slot.name} has shape {slot.param.shape} by now, and its state "
                        f"{state.shape}: make a new optimizer after a change of shape"
                    )
        found = self._storage([slot for slot in slots if slot.here])
        for segment in found:
            self._configure(segment, group)
        return [(group, segment) for segment in found], [pair for segment in found for pair in segment.arrays]

    def _storage(self, slots: list[Slot]) -> Sequence[Storage]:
        """The storage of a group's parameters: flat, since a rule is elementwise as a rule."""
        return segments(slots, self._writer)

    def _take_up_moved(self) -> None:
        """Find the storage again if a parameter was given another array; look for new parameters of the model."""
        now = epoch.current
        if self._newcomers:
            updaters.look(self, self._writer)
        if any(param._data is not array for param, array in self._arrays):
            self._take_up_all()
            bump()
        if not self._newcomers:
            self._epoch = now

    def _take_up_all(self) -> None:
        slots = iter(self._slots)
        found = [self._take_up(list(islice(slots, len(group["params"]))), group) for group in self.groups]
        # Only now, so that after an exception the next step finds the same.
        self._segments = [segment for segments, _ in found for segment in segments]
        self._arrays = [pair for _, arrays in found for pair in arrays]
        updaters.enter(self, self._params)

    def share(self, shards: Shards) -> None:
        """Update a part of the parameters from now on, and keep the state of these; other processes do so for the rest."""
        for slot, here in zip(self._slots, shards.here, strict=True):
            slot.here = here
            if not here:
                slot.state = {}
        self._shards = shards
        self._take_up_all()
        bump()

    def __getstate__(self) -> dict[str, object]:
        """For copies and other processes: without hooks and without what is found again there."""
        found = ("_segments", "_arrays", "_updated", "_newcomers", "_hooks")
        return {name: value for name, value in vars(self).items() if name not in found}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state, _updated={}, _newcomers=[])
        if self.bound:
            self._take_up_all()

    def _configure(self, segment: Storage, group: ParamGroup) -> None:
        assert isinstance(segment, Segment)
        options = self._options(group)
        segment.configure(self.rule, *self._numbers(options), self.local(options))

    def _numbers(self, options: Group) -> tuple[dict[str, float], dict[str, float]]:
        """The states with their initial values, and the scalars of a first update."""
        states, scalars = self.states(options), self.scalars(options, options["lr"], 1)
        check_numbers(self._title, "states", states)
        check_numbers(self._title, "scalars", scalars)
        return states, scalars

    def _outline(self, group: ParamGroup, step: int) -> tuple[object, ...]:
        """What the shape of an update depends on beside its storage: which scalars and states there are."""
        options = self._options(group)
        return tuple(self.scalars(options, options["lr"], step)), tuple(self.states(options))

    # -- the step --------------------------------------------------------------------------------------------

    def gather(self) -> None:
        """Bring the gradients to the tensors in `groups`, for those who read them there. They are there already, but for
        `MasterWeights`."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set every parameter's `.grad` to None, or with `set_to_none=False` to zeros where there is one."""
        if not set_to_none:
            for param in self._params:
                grad = param.grad
                param.grad = None if grad is None else np.zeros_like(grad)
            return
        if local.state.tape is not None:
            for param in self._params:
                param.grad = None
            return
        for param in self._params:
            node = param._node
            if type(node) is Leaf:  # what `param.grad = None` comes to
                node.grad = None
            else:
                param.grad = None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Args:
            closure: clears the gradients, computes the loss, calls `backward` and returns the loss; called before the update.

        Returns:
            what the closure returned.
        """
        if (closure is not None or self._hooks is not None) and closure is not inside:
            return self._around(closure)
        if epoch.current != self._epoch:
            self._take_up_moved()
        state = local.state
        start = 0.0
        if not state.fast:
            capture = None if state.tape is None else capturing()
            if capture is not None:
                self._record(capture)
                return None
            if state.tape is not None and state.tape.rehearses:
                return None
            start = perf_counter()
        for group, segment in self._segments:
            lr = self._rate(group)
            options = group.at(self._count) if group.scheduled else group
            runs, grads = segment.runs()
            for run in runs:
                clock = run.clock
                step = clock.value + 1
                scalars = self.scalars(options, lr, step)
                if scalars != segment.scalars:
                    if scalars.keys() != segment.scalars.keys():  # an option was set to 0, or from 0
                        self._configure(segment, group)
                    segment.set(scalars)
                try:
                    segment.update(run, grads)
                finally:  # it may have been interrupted half way
                    run.writer.wrote()
                clock.value = step
        if self._shards is not None:
            self._shards.exchange(self._params, self._writer)
        self._count += 1
        if start and (profile := state.profile) is not None:
            profile += (self._writer, start, perf_counter())
        return None

    def _record(self, capture: Capture) -> None:
        """The step as ops on a tape that captures: the same rule on tensors, parameter by parameter."""
        updates: list[_Update] = []
        for param in self._params:
            if type(param._node) is Leaf:
                capture.consumes_grad(param._node)
        for group, segment in self._segments:
            self._configure(segment, group)
            updates += [(group, segment, run.clock) for run in segment.runs()[0]]
        recorded = _RecordedStep(self, updates)
        rule: Rule = self.rule  # on tensors
        capture.depend(self, recorded.fingerprint, again=True)
        known: dict[Hashable, Program | None] = {}
        with no_grad():
            for group, segment, clock in updates:
                capture.before(("clock", id(clock)), partial(setattr, clock, "value", clock.value))
                vector = ops.host(recorded.advance(group, clock, segment.scalars), segment.dtype)
                scalars = {name: vector[i] for i, name in enumerate(segment.scalars)} | segment.constants
                for slot in clock.slots:
                    if not slot.param.size:
                        continue
                    new, state = _recorded_call(capture, known, rule, slot, scalars)
                    check_shapes(rule, slot.param, slot.state, new, state)
                    for name, value in state.items():
                        slot.state[name]._write(value, self._writer)
                    slot.param._write(new, self._writer)
            if self._shards is not None:
                self._shards.exchange(self._params, self._writer)
            capture.before(("steps", id(self)), partial(setattr, self, "_count", self._count))
            ops.host(self._tick)

    def _tick(self) -> int:
        self._count += 1
        return self._count

    # -- state -----------------------------------------------------------------------------------------------

    def state_dict(self, *, keep_vars: bool = False) -> StateDict:
        """All that a later run needs to go on: plain ndarrays (copies), numbers, dicts and lists, parameters
        by their position. Groups of parameters that were given with names have these as "param_names". A schedule is
        represented by its value at the next step. Where ranks share the state, each gets the whole, and all of them must
        call it.

        Args:
            keep_vars: give the tensors themselves in place of copies, as of a module's `state_dict`. The next step changes
                them. (What other ranks keep is a copy in any case.)

        >>> import tapenet as tn
        >>> opt = tn.optim.SGD([tn.tensor([1.0], requires_grad=True)], lr=0.1, momentum=0.9)
        >>> opt.state_dict()["state"]
        {0: {'step': 0, 'momentum_buffer': array([0.])}}
        """
        self._tell("state_dict_pre")
        positions = iter(range(len(self._slots)))
        groups = []
        for (
            group,
            segment,
        ) in self._segments:  # an option may be set to 0 or from 0 since, and other states are kept by now
            self._configure(segment, group)
        for group, names in zip(self.groups, self._names(), strict=True):
            options = self._options(group)
            saved = {name: options[name] for name in group} | {"params": list(islice(positions, len(group["params"])))}
            groups.append(saved if names is None else saved | {"param_names": names})
        kept: dict[int, StateDict] = {
            i: {"step": slot.step, **{n: t if keep_vars else t.numpy().copy() for n, t in slot.state.items()}}
            for i, slot in enumerate(self._slots)
            if slot.here
        }
        if self._shards is not None:
            kept = self._shards.gathered(kept)
        return self._called("state_dict_post", {"step": self._count, "state": kept, "param_groups": groups})

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from the `state_dict()` of an optimizer of the same kind, over parameters of the same shapes.
        Options are taken over too, but for a schedule, which stays. The state of PyTorch's optimizer of the same name is
        taken as well.

        Where the state has names and so have the parameters here, these say which is which; else their order.

        Raises:
            ValueError: something is missing, unexpected or of another shape; lists it all, changes nothing.
        """
        check_unmasked(state)
        state = arranged(self._called("load_pre", state), self._names())
        if is_torchs(state):
            state = translated(state, self._slots, self.groups, self._initial)
        problems = self._problems(state)
        if problems:
            text = "\n  ".join(problems)
            raise ValueError(f"{self._title}.load_state_dict: this state does not fit:\n  {text}")
        # All that can raise, or warn where a warning is an error, comes before anything is changed.
        count = int(state["step"])
        steps = {slot: int(state["state"][i]["step"]) for i, slot in enumerate(self._slots)}
        arrays = [
            {name: np.asarray(value).astype(slot.param.dtype) for name, value in entry.items() if name != "step"}
            if slot.here
            else {}
            for slot, entry in zip(self._slots, map(state["state"].get, range(len(self._slots))), strict=True)
        ]
        for group, saved in zip(self.groups, state["param_groups"], strict=True):
            kept = {name: value for name, value in group.items() if name == "params" or callable(value)}
            group.update({**saved, **kept})
        self._count = count
        for group, segment in self._segments:
            self._configure(segment, group)
            segment.set_steps([steps[slot] for slot in segment.slots])
        for slot, values in zip(self._slots, arrays, strict=True):
            for name, tensor in slot.state.items():
                tensor.data = values[name]
        self._tell("load_post")

    def _names(self) -> list[list[str] | None]:
        """The names of each group's parameters; None if some were given without."""
        slots = iter(self._slots)
        found = [[slot.name for slot in islice(slots, len(group["params"]))] for group in self.groups]
        return [None if any(isinstance(name, Position) for name in names) else names for names in found]

    def _initial(self, options: Group, shape: tuple[int, ...]) -> dict[str, object]:
        """The states of a parameter before its first update."""
        values = self.states(options)
        return {name: np.full(own, values[name]) for name, own in self.shapes(options, shape).items()}

    def _problems(self, state: StateDict) -> list[str]:
        """What keeps a state from being loaded, a line each."""
        found = _compare("the whole", state, ("step", "state", "param_groups"))
        if found:
            return found
        if len(state["param_groups"]) != len(self.groups):
            return [f"{len(state['param_groups'])} parameter groups, this optimizer has {len(self.groups)}"]
        found = _compare("state", state["state"], range(len(self._slots)))
        slots = iter(enumerate(self._slots))
        for i, (group, saved) in enumerate(zip(self.groups, state["param_groups"], strict=True)):
            found += _compare(
                f"group {i}", *([name for name in options if name != BASE_RATE] for options in (saved, group))
            )
            size, saved_size = len(group["params"]), len(saved.get("params", ()))
            if saved_size != size:
                found.append(f"group {i}: {saved_size} parameters, this optimizer's has {size}")
            options = {**self._options(group), **saved}
            try:
                check_rate(self._title, options["lr"])
                self.check(options)
            except (TypeError, ValueError) as error:
                found.append(f"group {i}: {error}")
            for k, slot in islice(slots, size):
                entry = state["state"].get(k)
                if entry is not None:
                    where = f"state of {slot.name}, at {k}"
                    shapes = self.shapes(options, slot.param.shape)
                    found += _compare(where, entry, ("step", *shapes))
                    found += [
                        f"{where}: {name} is {np.asarray(entry[name]).dtype}, this optimizer's {slot.param.dtype}"
                        for name in shapes
                        if name in entry
                        and not np.can_cast(np.asarray(entry[name]).dtype, slot.param.dtype, "same_kind")
                    ]
                    found += [
                        f"{where}: {name} has shape {np.shape(entry[name])}, this optimizer's {shape}"
                        for name, shape in shapes.items()
                        if name in entry and np.shape(entry[name]) != shape
                    ]
        return found

    def __repr__(self) -> str:
        if not self.bound:
            return f"{self._title} without parameters: {_options_shown(self._defaults)}"
        size = sum(p.size for p in self._params)
        lines = [f"{self._title} over {len(self._params)} parameters, {size:,} elements"]
        for i, group in enumerate(self.groups):
            lines.append(f"  group {i}: {len(group['params'])} parameters, {_options_shown(group)}")
        return "\n".join(lines)


def takes_options(init: Callable[..., None]) -> Callable[..., None]:
    """The `__init__` of an optimizer whose arguments, behind the parameters, are its options: the body is left out."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def __init__(*args: object, **kwargs: object) -> None:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{type(args[0]).__name__}: {error}") from None
        bound.apply_defaults()
        Optimizer.__init__(**bound.arguments)

    return __init__


def _recorded_call(
    capture: Capture, known: dict[Hashable, Program | None], rule: Rule, slot: Slot, scalars: Scalars
) -> Updated:
    """What a rule gives for a parameter, recorded as one node where it can be: of AdamW it is 14. `known` is what was read of
    the rule before."""
    param, g = slot.param, slot.param._held_grad()
    if not is_own(rule):  # it may read arrays beside its arguments, which a program is to read at each call
        return call_rule(rule, param, g, slot.state, scalars)
    states = list(slot.state)
    numbers = [name for name, value in scalars.items() if isinstance(value, Tensor)]
    constants = {name: value for name, value in scalars.items() if name not in numbers}

    def run(p: Array, g: Array, *others: Array) -> list[Array]:
        count = len(states)
        s = dict(zip(numbers, others[count:], strict=True)) | constants
        new, kept = call_rule(rule, p, g, dict(zip(states, others[:count], strict=True)), s)
        return [new, *(kept[name] for name in states)]

    given = [param, g, *slot.state.values(), *(scalars[name] for name in numbers)]
    key = tuple(states), tuple(numbers), distinct(constants)
    new, *kept = called(capture, "update", known, key, run, given)
    return new, dict(zip(states, kept, strict=True))


#: A part of a captured step: parameters that share a clock, where they are, and their group.
_Update = tuple[ParamGroup, Storage, Clock]


@dataclass(slots=True, eq=False)
class _RecordedStep:
    """What each replay of a captured step checks and counts."""

    _optimizer: Optimizer
    _updates: list[_Update] = field(compare=False)
    _state: list[object] = field(init=False)
    #: `epoch.current` as it was when the state was last seen to be this.
    _epoch: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        self._state = self.fingerprint()
        self._epoch = epoch.current

    def fingerprint(self) -> list[object]:
        """What the step was recorded for: the storage there was, the names of the scalars and states of each update,
        and how many parameters share its clock, which others do not join."""
        optimizer = self._optimizer
        found: list[object] = [Same(segment) for _, segment in optimizer._segments]
        found.append(optimizer._hooks_fingerprint())
        for group, _, clock in self._updates:
            # The states of the first stand for those of all, which are made together.
            states = {name: Same(tensor) for slot in clock.slots[:1] for name, tensor in slot.state.items()}
            found.append((optimizer._outline(group, clock.value + 1), states, len(clock.slots)))
        return found

    def check(self) -> None:
        """Raise if the step would not be the same by now; before anything is counted.

        Raises:
            RuntimeError: says what happened.
        """
        now = epoch.current
        if self.fingerprint() != self._state:
            raise RuntimeError(
                f"{self._optimizer._title}: since this step was captured an option was set to 0 or from 0, its parameters "
                "were given other storage, or they were updated a different number of times: capture it again"
            )
        self._epoch = now

    def advance(self, group: ParamGroup, clock: Clock, names: Iterable[str]) -> Callable[[], tuple[float, ...]]:
        """A function that counts an update and returns its scalars. It is called at every replay, and in pictures of the
        program by the names of the scalars."""
        optimizer = self._optimizer
        scalars, rate = optimizer.scalars, optimizer._rate

        def advance() -> tuple[float, ...]:
            if epoch.current != self._epoch:
                self.check()
            step = clock.value + 1
            lr = group["lr"]
            options = group.at(optimizer._count) if group.scheduled else group
            values = tuple(scalars(options, lr if type(lr) is float else rate(group), step).values())
            clock.value = step
            return values

        advance.__name__ = ", ".join(names)
        return advance


def _options_shown(group: Group) -> str:
    return ", ".join(f"{name}={_shown(value)}" for name, value in group.items() if name != "params")


def _shown(option: object) -> str:
    """An option as text; a schedule by the name of the function that made it."""
    return str(option.__qualname__).partition(".<locals>")[0] if hasattr(option, "__qualname__") else str(option)


def _compare(where: str, got: Collection[object], expected: Iterable[object]) -> list[str]:
    """Lines on what is missing in a dict, and what is unexpected there."""
    expected = list(expected)
    missing = ", ".join(repr(key) for key in expected if key not in got)
    unexpected = ", ".join(repr(key) for key in got if key not in expected)
    found = [f"{where}: missing {missing}"] if missing else []
    return found + ([f"{where}: unexpected {unexpected}"] if unexpected else [])
