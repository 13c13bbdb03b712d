"""PyTorch's schedulers: objects that set the learning rates of an optimizer's groups at each `step()`.

What the rates are is said by the schedules, functions of the step (`tn.optim.cosine` and so on), which do without a second
object: `SGD(params, lr=cosine(0.1, 1000))`. The classes here are for code that is written for PyTorch, and for schedules that
go by something else than the optimizer's steps, such as epochs.

A rate that is set is a number. A compiled step reads it at each call and is not captured again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, SupportsFloat, TypeVar

from tapenet.optim import schedules
from tapenet.optim.groups import BASE_RATE
from tapenet.optim.optimizer import Optimizer
from tapenet.optim.plateau import Plateau
from tapenet.typing import StateDict

#: From the number of calls of `step`, which may be a fraction, to a rate.
Rates = Callable[[Any], float]
#: A number for all groups, or one for each.
PerGroup = float | Sequence[float]
T = TypeVar("T")


class LRScheduler:
    """The base of the schedulers. One of your own defines `get_lr`, which gives the rate of each group for `self.last_epoch`:

    >>> import tapenet as tn
    >>> class Halving(tn.optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [rate / 2**self.last_epoch for rate in self.base_lrs]
    >>> opt = tn.optim.SGD([tn.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = Halving(opt)
    >>> scheduler.step()
    >>> opt.lr, scheduler.get_last_lr()
    (0.5, [0.5])

    Args:
        optimizer: whose groups have numbers as their rates.
        last_epoch: -1 begins; else a run goes on that has made so many steps, whose groups have their "initial_lr".

    Attributes:
        last_epoch: the number of steps so far.
        base_lrs: the rate of each group before any scheduler changed it.
    """

    #: Whether a step moves the rate from where it is, so that schedulers of one optimizer act together, rather than setting it.
    _moves = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        title = type(self).__name__
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{title} takes an optimizer, not {type(optimizer).__name__}")
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.groups):
            if callable(group["lr"]):
                raise ValueError(
                    f"{title}: the learning rate of group {i} is a schedule already: give the optimizer a number, or do "
                    "without the scheduler"
                )
            if last_epoch == -1:
                group.setdefault(BASE_RATE, group["lr"])
            elif BASE_RATE not in group:
                raise KeyError(
                    f"{title}: last_epoch={last_epoch} goes on with a run, and group {i} has no 'initial_lr': load the "
                    "optimizer's state first, or make the scheduler anew and load its state"
                )
        self.base_lrs: list[float] = [group[BASE_RATE] for group in optimizer.groups]
        self._rates = [self._schedule(i, rate) for i, rate in enumerate(self.base_lrs)]
        self.last_epoch = last_epoch
        self._last_lr: list[float] = []
        self._begin()

    def _begin(self) -> None:
        """The step at the beginning, which sets the first rates."""
        self.last_epoch += 1
        goes_on = self._moves and self.last_epoch > 0  # from the rates that there are, as in PyTorch
        self._set([group["lr"] for group in self.optimizer.groups] if goes_on else self.get_lr())

    def _schedule(self, i: int, lr: float) -> Rates:
        """The rates of a group as a function of the step."""
        return schedules.constant(lr)

    def _floor(self) -> float:
        """What the rates fall to, in proportion to which they are moved."""
        return 0.0

    def get_lr(self) -> list[float]:
        """The rates for `last_epoch`."""
        if not self._moves:
            return self._at(self.last_epoch)
        found = []
        for group, rates, base in zip(self.optimizer.groups, self._rates, self.base_lrs, strict=True):
            lr, floor = group["lr"], self._floor()
            before = rates(self.last_epoch - 1) if self.last_epoch else base
            now = rates(self.last_epoch)
            if lr != before:  # something else changed it too
                now = lr + now - before if before == floor else floor + (lr - floor) * (now - floor) / (before - floor)
            found.append(now)
        return found

    def _at(self, epoch: float) -> list[float]:
        """The rates at an epoch, wherever they are now."""
        return [rates(epoch) for rates in self._rates]

    def get_last_lr(self) -> list[float]:
        """The rates that the latest step set, one for each group."""
        return self._last_lr

    def step(self, epoch: float | None = None) -> None:
        """Set the rates of the next step.

        Args:
            epoch: go to this one, which may be a fraction where the schedule takes such; by default to the next.
        """
        before = self.last_epoch
        self.last_epoch = before + 1 if epoch is None else epoch  # type: ignore[assignment]  # a fraction where it is given
        try:
            # What the user's own class defines knows no other way.
            own = epoch is None or type(self).get_lr is not LRScheduler.get_lr
            self._set(self.get_lr() if own else self._at(epoch))  # type: ignore[arg-type]
        except BaseException:
            self.last_epoch = before
            raise

    def __call__(self, state: object) -> None:
        """As a callback of `tn.training.fit`: a step after each epoch, or by `training.every_batch(scheduler)` after each
        batch. Checkpoints keep its state."""
        self.step()

    def _set(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.groups, rates, strict=True):
            group["lr"] = float(rate)
        self._last_lr = [group["lr"] for group in self.optimizer.groups]

    def state_dict(self) -> StateDict:
        """The numbers that a later run needs to go on; functions are not among them."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs), "_last_lr": list(self._last_lr)}

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from a `state_dict()`, here or of PyTorch's scheduler of the same name. The rates of the optimizer are in its
        own state.

        Raises:
            ValueError: it has no count of steps, or is of another number of groups.
        """
        names = ("last_epoch", "base_lrs", "_last_lr")
        missing = [name for name in names if name not in state]
        if missing or len(state["base_lrs"]) != len(self.base_lrs):
            what = f"has no {', '.join(missing)}" if missing else f"is of {len(state['base_lrs'])} groups"
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: this state {what}; there are {len(self.base_lrs)} groups"
            )
        self.last_epoch = state["last_epoch"]
        self.base_lrs = [float(rate) for rate in state["base_lrs"]]
        self._last_lr = [float(rate) for rate in state["_last_lr"]]
        self._rates = [self._schedule(i, rate) for i, rate in enumerate(self.base_lrs)]

    def __repr__(self) -> str:
        return f"{type(self).__name__} at step {self.last_epoch}, rates {self._last_lr}"


class LambdaLR(LRScheduler):
    """The first rate times a function of the step.

    Args:
        optimizer: see `LRScheduler`.
        lr_lambda: the function, or a list of one for each group.
        last_epoch: see `LRScheduler`.

    >>> import tapenet as tn
    >>> opt = tn.optim.SGD([tn.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = LambdaLR(opt, lambda step: 1 / (1 + step))
    >>> scheduler.step()
    >>> opt.lr
    0.5
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Rates | Sequence[Rates], last_epoch: int = -1) -> None:
        self.lr_lambdas = _for_groups(type(self).__name__, "lr_lambda", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def _schedule(self, i: int, lr: float) -> Rates:
        return schedules.product(lr, self.lr_lambdas[i])


class MultiplicativeLR(LRScheduler):
    """Times a function of the step at each step; arguments as of `LambdaLR`. See `tn.optim.multiplicative`."""

    _moves = True

    def __init__(self, optimizer: Optimizer, lr_lambda: Rates | Sequence[Rates], last_epoch: int = -1) -> None:
        self.lr_lambdas = _for_groups(type(self).__name__, "lr_lambda", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def _schedule(self, i: int, lr: float) -> Rates:
        return schedules.multiplicative(lr, self.lr_lambdas[i])

    def _at(self, epoch: float) -> list[float]:
        # As in PyTorch: where it begins in a sequence, it goes on from the rate that there is.
        return [group["lr"] * f(epoch) for group, f in zip(self.optimizer.groups, self.lr_lambdas, strict=True)]


class StepLR(LRScheduler):
    """Times `gamma` every `step_size` steps; see `tn.optim.step_decay`."""

    _moves = True

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _schedule(self, i: int, lr: float) -> Rates:
        return schedules.step_decay(lr, self.step_size, self.gamma)


class MultiStepLR(LRScheduler):
    """Times `gamma` at each of the `milestones`; see `tn.optim.multistep`."""

    _moves = True

    def __init__(
        self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = list(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _schedule(self, i: int, lr: float) -> Rates:
        return schedules.multistep(lr, self.milestones, self.gamma)


class ConstantLR(LRScheduler):
    """The first rate times `factor` for `total_iters` steps, then the first rate."""

    _moves = True

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        self.factor = _positive("ConstantLR", "factor", factor)
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _schedule(self, i: int, lr: float) -> Rates:
        return schedules.piecewise([lr * self.factor, lr], [self.total_iters])


class LinearLR(LRScheduler):
    """From `start_factor` to `end_factor` times the first rate in `total_iters` steps; see `tn.optim.linear`."""

    _moves = True

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = _positive("LinearLR", "start_factor", start_factor)
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _schedule(self, i: int, lr: float) -> Rates:
        return schedules.linear(lr * self.start_factor, lr * self.end_factor, self.total_iters)


class ExponentialLR(LRScheduler):
    """Times `gamma` at each step; see `tn.optim.exponential`."""

    _moves = True

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _schedule(self, i: int, lr: float) -> Rates:
        return schedules.exponential(lr, self.gamma)


class PolynomialLR(LRScheduler):
    """Down to 0 in `total_iters` steps, by a power of what is left; see `tn.optim.polynomial`."""

    _moves = True

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _schedule(self, i: int, lr: float) -> Rates:
        return schedules.polynomial(lr, self.total_iters, self.power)


class CosineAnnealingLR(LRScheduler):
    """Along a half wave of the cosine down to `eta_min` in `T_max` steps, and then, other than `tn.optim.cosine`, up again
    in as many, and so on."""

    _moves = True

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def _schedule(self, i: int, lr: float) -> Rates:
        down, turn = schedules.cosine(lr, self.T_max, self.eta_min), self.T_max
        return lambda step: down(turn - abs(turn - step % (2 * turn)))

    def _floor(self) -> float:
        return self.eta_min


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half waves of the cosine, each from the first rate down to `eta_min`, the first in `T_0` steps and each next in `T_mult`
    times as many; see `tn.optim.cosine_restarts`. `step(epoch)` takes fractions of an epoch too."""

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_0 = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def _schedule(self, i: int, lr: float) -> Rates:
        return schedules.cosine_restarts(lr, self.T_0, self.T_mult, self.eta_min)


class _Cycling(LRScheduler):
    """Schedulers that may move momentum against the rate: `momentum` of a group, or the first of its `betas`."""

    _momenta: list[Rates] | None = None

    def _set(self, rates: Sequence[float]) -> None:
        super()._set(rates)
        for group, momentum in zip(self.optimizer.groups, self._momenta or [], strict=False):
            if "momentum" in group:
                group["momentum"] = float(momentum(self.last_epoch))

    def _cycle_momentum(self, momenta: list[Rates]) -> None:
        """Have momentum follow these functions of the step.

        Raises:
            ValueError: the optimizer has none.
        """
        for group, momentum in zip(self.optimizer.groups, momenta, strict=True):
            if "momentum" in group:
                continue
            if "betas" not in group:
                raise ValueError(
                    f"{type(self).__name__}: {type(self.optimizer).__name__} has no momentum to move against the rate: give "
                    "cycle_momentum=False"
                )
            # As a function, so that an optimizer that keeps sums in place of means knows that they change.
            rest = group["betas"][1:]
            group["betas"] = lambda step, momentum=momentum, rest=rest: (momentum(self.last_epoch), *rest)
        self._momenta = momenta


class OneCycleLR(_Cycling):
    """Up to `max_lr` and down again over the whole training, with momentum going the other way; see `tn.optim.one_cycle`.

    Args:
        optimizer: see `LRScheduler`.
        max_lr: the highest rate, or a list of one for each group.
        total_steps: of the whole training; else `epochs` times `steps_per_epoch`.
        epochs, steps_per_epoch: see `total_steps`.
        pct_start: the part of the steps that go up.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: move momentum from `max_momentum` to `base_momentum` and back.
        base_momentum, max_momentum: see `cycle_momentum`.
        div_factor: the first rate is `max_lr` divided by this.
        final_div_factor: the last rate is the first divided by this.
        three_phase: down to the first rate as fast as it went up, and from there to the last.
        last_epoch: see `LRScheduler`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: PerGroup,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: PerGroup = 0.85,
        max_momentum: PerGroup = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR needs total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        self.total_steps = total_steps
        title, options = "OneCycleLR", {"rise": pct_start, "anneal": anneal_strategy, "three_phase": three_phase}
        first = _for_groups(title, "max_lr", max_lr, optimizer)
        starts = [highest / div_factor for highest in first]
        self._cycles: list[Rates] = [
            schedules.one_cycle(highest, total_steps, start=start, end=start / final_div_factor, **options)  # type: ignore[arg-type]
            for highest, start in zip(first, starts, strict=True)
        ]
        if last_epoch == -1:
            for group, start in zip(optimizer.groups, starts, strict=True):
                group[BASE_RATE] = start
        self.optimizer = optimizer
        if cycle_momentum:
            low = _for_groups(title, "base_momentum", base_momentum, optimizer)
            high = _for_groups(title, "max_momentum", max_momentum, optimizer)
            self._cycle_momentum(
                [schedules.one_cycle(a, total_steps, start=b, end=b, **options) for a, b in zip(low, high, strict=True)]  # type: ignore[arg-type]
            )
        super().__init__(optimizer, last_epoch)

    def _schedule(self, i: int, lr: float) -> Rates:
        return self._cycles[i]

    def _set(self, rates: Sequence[float]) -> None:
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"OneCycleLR: step {self.last_epoch} of {self.total_steps}: give as many total_steps as there are"
            )
        super()._set(rates)


class CyclicLR(_Cycling):
    """Up from `base_lr` to `max_lr` and back again and again, with momentum going the other way; see `tn.optim.cyclic`.

    Args:
        optimizer: see `LRScheduler`.
        base_lr, max_lr: the lowest and the highest rate, or lists of one for each group.
        step_size_up, step_size_down: steps on the way up, and on the way down (None: as many).
        mode: "triangular", "triangular2" or "exp_range".
        gamma: for "exp_range".
        scale_fn: a function that the height is multiplied by, in place of a mode.
        scale_mode: what it is a function of: "cycle", their number from 1 on, or "iterations", the step.
        cycle_momentum: move momentum from `max_momentum` to `base_momentum` and back.
        base_momentum, max_momentum: see `cycle_momentum`.
        last_epoch: see `LRScheduler`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: PerGroup,
        max_lr: PerGroup,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: PerGroup = 0.8,
        max_momentum: PerGroup = 0.9,
        last_epoch: int = -1,
    ) -> None:
        if scale_mode not in ("cycle", "iterations"):
            raise ValueError(f"CyclicLR: scale_mode={scale_mode!r} must be 'cycle' or 'iterations'")
        title, by_step = "CyclicLR", scale_fn if scale_mode == "iterations" else None
        scale = "triangular" if by_step else scale_fn or mode

        def cycles(low: list[float], high: list[float]) -> list[Rates]:
            return [
                _scaled(schedules.cyclic(a, b, step_size_up, step_size_down, scale=scale, gamma=gamma), a, by_step)
                for a, b in zip(low, high, strict=True)
            ]

        low, high = (_for_groups(title, *given, optimizer) for given in (("base_lr", base_lr), ("max_lr", max_lr)))
        self._cycles = cycles(low, high)
        if last_epoch == -1:
            for group, rate in zip(optimizer.groups, low, strict=True):
                group[BASE_RATE] = rate
        self.optimizer = optimizer
        if cycle_momentum:
            lowest = _for_groups(title, "base_momentum", base_momentum, optimizer)
            self._cycle_momentum(cycles(_for_groups(title, "max_momentum", max_momentum, optimizer), lowest))
        super().__init__(optimizer, last_epoch)

    def _schedule(self, i: int, lr: float) -> Rates:
        return self._cycles[i]


def _scaled(rates: Rates, low: float, scale: Callable[[float], float] | None) -> Rates:
    """A schedule with its height above `low` multiplied by a function of the step."""
    return rates if scale is None else lambda step: low + (rates(step) - low) * scale(step)


class SequentialLR(LRScheduler):
    """One scheduler after the other: the first until `milestones[0]`, and so on. Each restarts where it takes over.

    Args:
        optimizer: that of all of them.
        schedulers: the schedulers, none of which is itself made of others.
        milestones: at which steps the next takes over, one less than there are schedulers.
        last_epoch: see `LRScheduler`.

    Raises:
        TypeError: one cannot begin in the middle, or needs a metric.
        ValueError: they are of several optimizers, or there are more or fewer milestones.
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        _of_one_optimizer("SequentialLR", optimizer, schedulers, ReduceLROnPlateau, SequentialLR, ChainedScheduler)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedulers need {len(schedulers) - 1} milestones between them, not "
                f"{len(milestones)}"
            )
        self._schedulers = list(schedulers)
        self._milestones = list(milestones)
        super().__init__(optimizer, last_epoch)

    def _begin(self) -> None:
        self.last_epoch += 1
        # Each set the rates when it was made; the first begins again, from those before.
        for group in self.optimizer.groups:
            group["lr"] = group[BASE_RATE]
        first = self._schedulers[0]
        first.last_epoch = -1
        first._begin()
        self._note()

    def step(self, epoch: float | None = None) -> None:
        """Set the rates of the next step."""
        if epoch is not None:
            raise TypeError("SequentialLR.step takes no epoch: its schedulers count their own")
        now = self.last_epoch + 1
        i = bisect_right(self._milestones, now)
        scheduler = self._schedulers[i]
        if i and self._milestones[i - 1] == now:
            scheduler.step(0)
        else:
            scheduler.step()
        self.last_epoch = now
        self._note()

    def _note(self) -> None:
        self._last_lr = [group["lr"] for group in self.optimizer.groups]

    def state_dict(self) -> StateDict:
        """As of the others, with the states of the schedulers."""
        return super().state_dict() | {"_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from a `state_dict()`; see `LRScheduler.load_state_dict`."""
        _load_all(self, self._schedulers, state)
        super().load_state_dict({"base_lrs": self.base_lrs, **state})


class ChainedScheduler(LRScheduler):
    """Several schedulers at once, each of which moves the rate from where the others have it.

    Args:
        schedulers: the schedulers, of one optimizer.
        optimizer: that one.

    Raises:
        TypeError: one needs a metric.
        ValueError: there are none, or they are of several optimizers.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if not schedulers:
            raise ValueError("ChainedScheduler needs at least one scheduler")
        self.optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        _of_one_optimizer("ChainedScheduler", self.optimizer, schedulers, ReduceLROnPlateau)
        self._schedulers = list(schedulers)
        self.last_epoch = 0
        self.base_lrs = [group[BASE_RATE] for group in self.optimizer.groups]
        self._last_lr = [group["lr"] for group in self.optimizer.groups]

    def step(self, epoch: float | None = None) -> None:
        """Have each set the rates, in order."""
        if epoch is not None:
            raise TypeError("ChainedScheduler.step takes no epoch: its schedulers count their own")
        for scheduler in self._schedulers:
            scheduler.step()
        self.last_epoch += 1
        self._last_lr = [group["lr"] for group in self.optimizer.groups]

    def state_dict(self) -> StateDict:
        """The states of the schedulers, and the latest rates."""
        return {
            "_schedulers": [scheduler.state_dict() for scheduler in self._schedulers],
            "_last_lr": list(self._last_lr),
            "last_epoch": self.last_epoch,
        }

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from a `state_dict()`; see `LRScheduler.load_state_dict`."""
        _load_all(self, self._schedulers, state)
        self._last_lr = [float(rate) for rate in state["_last_lr"]]
        self.last_epoch = state.get("last_epoch", 0)


class ReduceLROnPlateau(LRScheduler):
    """Rates that are multiplied by `factor` once a metric has not become better for more than `patience` calls of `step`,
    which takes it. See `tn.optim.Plateau` for the arguments; `min_lr` may be a list of one for each group.

    >>> import tapenet as tn
    >>> opt = tn.optim.SGD([tn.tensor([1.0], requires_grad=True)], lr=0.1)
    >>> scheduler = ReduceLROnPlateau(opt, factor=0.5, patience=1)
    >>> for metric in (3.0, 2.0, 2.0, 2.0):
    ...     scheduler.step(metric)
    >>> opt.lr
    0.05
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: PerGroup = 0.0,
        eps: float = 1e-8,
    ) -> None:
        lowest = _for_groups(type(self).__name__, "min_lr", min_lr, optimizer)
        self._plateaus = [
            Plateau(0.0, mode, factor, patience, threshold, threshold_mode, cooldown, least, eps) for least in lowest
        ]
        super().__init__(optimizer)

    def _begin(self) -> None:
        self.last_epoch += 1
        self._set([group["lr"] for group in self.optimizer.groups])

    @property
    def best(self) -> float:
        """The best metric so far."""
        return self._plateaus[0].best

    def __call__(self, state: Any) -> None:
        """As a callback of `tn.training.fit`: looks at the loss of an epoch, that of validation where there is one."""
        self.step(state.logs.get("val_loss", state.logs["loss"]))

    def step(self, metrics: SupportsFloat, epoch: float | None = None) -> None:  # type: ignore[override]
        """Take a metric into account: a number, or a tensor of one element."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch  # type: ignore[assignment]
        for plateau, group in zip(self._plateaus, self.optimizer.groups, strict=True):
            plateau.lr = group["lr"]
            plateau.update(metrics)
        self._set([plateau.lr for plateau in self._plateaus])

    def state_dict(self) -> StateDict:
        """As of the others, with the best metric and the counts."""
        return super().state_dict() | {"plateaus": [plateau.state_dict() for plateau in self._plateaus]}

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from a `state_dict()`; see `LRScheduler.load_state_dict`."""
        if "plateaus" not in state and "num_bad_epochs" in state:  # PyTorch's
            one = {"best": state["best"], "bad": state["num_bad_epochs"], "cooling": state["cooldown_counter"]}
            state = {"base_lrs": self.base_lrs, **state, "plateaus": [{"lr": 0.0, **one}] * len(self._plateaus)}
        super().load_state_dict(state)
        for plateau, saved in zip(self._plateaus, state["plateaus"], strict=True):
            plateau.load_state_dict(saved)


def _for_groups(title: str, name: str, value: T | Sequence[T], optimizer: Optimizer) -> list[T]:
    """A value for each group: one for all, or a list of them.

    Raises:
        ValueError: a list of another length.
    """
    count = len(optimizer.groups)
    if not isinstance(value, Sequence):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{title}: {name} has {len(value)} values for {count} groups")
    return list(value)


def _positive(title: str, name: str, value: float) -> float:
    if not 0 < value <= 1:
        raise ValueError(f"{title}: {name}={value} must be above 0 and at most 1")
    return value


def _of_one_optimizer(
    title: str, optimizer: Optimizer, schedulers: Sequence[LRScheduler], *refused: type[LRScheduler]
) -> None:
    for scheduler in schedulers:
        if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, refused):
            kinds = ", ".join(kind.__name__ for kind in refused)
            raise TypeError(
                f"{title} takes no {type(scheduler).__name__}: it takes the schedulers of this module other than {kinds}, and "
                "your own that derive from LRScheduler"
            )
    if not schedulers or any(scheduler.optimizer is not optimizer for scheduler in schedulers):
        raise ValueError(f"{title} takes schedulers of one optimizer, which is its own")


def _load_all(own: LRScheduler, schedulers: list[LRScheduler], state: StateDict) -> None:
    saved = state.get("_schedulers", ())
    if len(saved) != len(schedulers):
        raise ValueError(
            f"{type(own).__name__}.load_state_dict: this state is of {len(saved)} schedulers, and there are {len(schedulers)}"
        )
    for scheduler, part in zip(schedulers, saved, strict=True):
        scheduler.load_state_dict(part)
