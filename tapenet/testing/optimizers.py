"""What an optimizer promises: `check_optimizer`."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.compile import compile as compiled
from tapenet.ops.indexing.row_sparse import LARGE
from tapenet.optim.groups import Group
from tapenet.optim.optimizer import Optimizer
from tapenet.optim.whole_parameters import WholeOptimizer
from tapenet.testing.findings import Findings, attempt, backends, difference, name_of, seeded
from tapenet.typing import Array, Shape

#: How far sums may differ that are added in another order.
_ROUNDING = 1e-9
#: The steps at which the numbers of an update are asked for.
_STEPS = (1, 2, 10, 1000)


def check_optimizer(
    make: Callable[..., Optimizer],
    shapes: Sequence[Shape] = ((4, 3), (4,), ()),
    *,
    steps: int = 60,
    **options: object,
) -> None:
    """Check an optimizer, on a quadratic loss.

    The loss decreases; a gradient of zeros gives no nan; parameters without a gradient are left alone; the rule keeps float32
    and writes into nothing; each group has its own options; a compiled step does what an eager one does, with both backends
    and when the learning rate changes; a saved state, a pickle and a deep copy go on bit for bit as the run they are taken
    from; a table of which a step reads some rows is updated as by a gradient that is known for all; weight decay makes
    parameters smaller.

    Args:
        make: the class, or a function `make(params, **options)` that makes an optimizer.
        shapes: of the parameters it is tried on.
        steps: after which the loss must have decreased.
        **options: given to `make`, such as the learning rate.

    Raises:
        AssertionError: says what is wrong.

    >>> import tapenet as tn
    >>> tn.testing.check_optimizer(tn.optim.SGD, lr=0.1, momentum=0.9)
    >>> class Uphill(tn.optim.Optimizer):
    ...     @staticmethod
    ...     def rule(p, g, state, s):
    ...         return p + s["lr"] * g, {}
    >>> tn.testing.check_optimizer(Uphill, lr=0.1)
    Traceback (most recent call last):
    AssertionError: check_optimizer(Uphill): the loss of a quadratic rose from ...: is the sign of the update right?
    """
    if isinstance(make, Optimizer):
        raise TypeError(
            f"check_optimizer takes the class, or a function make(params, **options), not one {name_of(make)}: it makes several"
        )
    findings = Findings("check_optimizer", make)
    trial = _Trial(findings, make, shapes, options)
    _check_rule(findings, trial)
    _check_decrease(findings, trial, steps)
    _check_without_gradients(findings, trial)
    _check_resumption(findings, trial)  # first: what is kept aside shows in groups too
    _check_groups(findings, trial)
    for backend in backends():
        _check_compiled(findings, trial, backend)
    if any(len(shape) == 2 for shape in shapes):
        _check_rows(findings, trial)
    _check_decay(findings, trial)


class _Run(NamedTuple):
    """Parameters and what optimises them."""

    params: list[Tensor]
    optimizer: Optimizer

    def values(self) -> list[Array]:
        """What the parameters are now."""
        return [p.numpy().copy() for p in self.params]

    def state(self) -> list[Array]:
        """All that is kept of them."""
        return [
            value
            for entry in self.optimizer.state_dict()["state"].values()
            for value in map(np.asarray, entry.values())
        ]


class _Trial:
    """Makes runs of an optimizer on a quadratic loss."""

    def __init__(
        self, findings: Findings, make: Callable[..., Optimizer], shapes: Sequence[Shape], options: dict[str, object]
    ) -> None:
        self._findings, self._make, self._shapes, self.options = findings, make, shapes, options

    def optimizer(self, params: object, **changed: object) -> Optimizer:
        """An optimizer of these parameters or groups, some options changed."""
        made = self._make(params, **{**self.options, **changed})
        if not isinstance(made, Optimizer):
            self._findings.fail(f"it made a {name_of(made)}, and is to make a tn.optim.Optimizer")
        return made

    def params(self, dtype: str = "float64") -> list[Tensor]:
        """New parameters, always of the same values, those of several axes in Fortran order."""
        rng = np.random.default_rng(0)
        values = [np.asarray(rng.normal(size=shape), dtype, order="F") for shape in self._shapes]
        return [Tensor._of(value).requires_grad_() for value in values]

    def run(self) -> _Run:
        """New parameters and their optimizer."""
        params = self.params()
        made = attempt(self._findings, "it cannot be made", lambda: self.optimizer(params))
        assert isinstance(made, Optimizer)
        return _Run(params, made)

    def unbound(self) -> _Run:
        """New parameters and an optimizer that was made without, and got them later."""
        params = self.params()
        what = "it cannot be made without parameters, as for fit: def __init__(self, params=None, ...)"
        made = attempt(self._findings, what, lambda: self.optimizer(None))
        assert isinstance(made, Optimizer)
        attempt(self._findings, "bind(params) fails", lambda: made.bind(params))
        return _Run(params, made)

    def changed(self, name: str, value: object) -> _Run | None:
        """The same with another value of an option, where it takes that."""
        params = self.params()
        try:
            return _Run(params, self.optimizer(params, **{name: value}))
        except (TypeError, ValueError):
            return None

    def step(self, run: _Run) -> None:
        """One step, each with random numbers of its own."""
        with seeded(run.optimizer._count):
            self.take(run)

    def is_random(self) -> bool:
        """Whether a step depends on random numbers."""
        runs = [self.run(), self.run()]
        for seed, run in enumerate(runs):
            with seeded(seed):
                self.take(run)
        return bool(difference(runs[0].values(), runs[1].values()))

    def take(self, run: _Run) -> Tensor:
        """One step; the loss before it."""
        run.optimizer.zero_grad()
        value = loss(run.params)
        value.backward()
        run.optimizer.step()
        return value


def loss(params: Sequence[Tensor]) -> Tensor:
    """The squared distance from a point, with a weight for each element so that directions differ."""
    total = Tensor._of(np.zeros((), params[0].dtype))
    for p in params:
        ramp = np.linspace(0.5, 1.5, max(p.size, 1)).astype(p.dtype)[: p.size].reshape(p.shape)
        total = total + ((p - 0.1) * (p - 0.1) * ramp).sum()
    return total


def _check_rule(findings: Findings, trial: _Trial) -> None:
    """Looks at the rule itself: what it gives for float32, what it writes into, what it makes of a gradient of zeros."""
    run = trial.run()
    optimizer = run.optimizer
    if type(optimizer).rule in (Optimizer.rule, WholeOptimizer.rule):
        return  # its step is its own
    for group in optimizer.groups:
        options = optimizer._options(group)
        numbers = [optimizer.scalars(options, options["lr"], step) for step in _STEPS]
        for step, found in zip(_STEPS, numbers, strict=True):
            if found.keys() != numbers[0].keys():
                findings.fail(
                    f"scalars() names {', '.join(numbers[0])} at step 1 and {', '.join(found)} at step {step}: which "
                    "there are may depend on the options alone"
                )
            if not all(map(np.isfinite, found.values())):
                findings.fail(f"scalars() at step {step} has a number that is not finite: {found}")
        constants = optimizer.constants(options) if isinstance(optimizer, WholeOptimizer) else {}
        for param in group["params"]:
            for zero in (False, True):
                _check_call(findings, optimizer, options, param, numbers[0], constants, zero)


def _check_call(
    findings: Findings, optimizer: Optimizer, options: Group, param: Tensor, numbers: dict[str, float],
    constants: dict[str, object], zero: bool,
) -> None:  # fmt: skip
    initial = optimizer.states(options)
    state = {
        name: np.full(shape, initial[name], np.float32)
        for name, shape in optimizer.shapes(options, param.shape).items()
    }
    p = np.asarray(param.data, np.float32)
    g = np.zeros_like(p) if zero else np.asarray(p + 1, np.float32)
    for array in (p, g, *state.values()):
        array.flags.writeable = False
    s = {name: np.float32(value) for name, value in numbers.items()} | constants
    try:
        with np.errstate(all="ignore"):
            new, kept = optimizer.rule(p, g, dict(state), s)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        findings.fail("its rule writes into what it is given (p, g or state): it is to return new arrays", error)
    results = {"the parameter": new, **kept}
    for name, value in results.items():
        if np.asarray(value).dtype != np.float32:
            findings.fail(
                f"its rule returns {np.asarray(value).dtype} for {name}, of float32: does it make arrays of float64?"
            )
        if zero and not np.isfinite(value).all():
            findings.fail(
                f"a gradient of zeros gives {name} that is not finite: does the rule divide by a norm or a mean of it?"
            )
    if zero and optimizer.local(options):
        for name, value in results.items():
            if difference([np.asarray(value)], [p if name == "the parameter" else state[name]]):
                findings.fail(f"local() is true, but a gradient of zeros changes {name}")


def _check_decrease(findings: Findings, trial: _Trial, steps: int) -> None:
    run = trial.unbound()
    first = float(loss(run.params).item())
    for _ in range(steps):
        attempt(findings, "a step fails", lambda: trial.step(run))
    last = float(loss(run.params).item())
    if not np.isfinite(last):
        findings.fail(f"the loss of a quadratic became {last} in {steps} steps; is the learning rate too high?")
    if last == first:
        findings.fail(f"{steps} steps changed nothing: the loss of a quadratic stayed {first:.4g}")
    if last > first:
        findings.fail(
            f"the loss of a quadratic rose from {first:.4g} to {last:.4g} in {steps} steps: is the sign of the update right?"
        )


def _check_without_gradients(findings: Findings, trial: _Trial) -> None:
    """The first parameter has a gradient, the others have none."""
    run = trial.run()
    before, states = run.values(), run.state()
    run.optimizer.zero_grad()
    loss(run.params[:1]).backward()
    run.optimizer.step()
    kept = len(states) // len(run.params)  # entries of each, of which a parameter in a group has equally many
    if difference(run.values()[1:], before[1:]):
        findings.fail("a step changes parameters whose .grad is None: it is to leave them alone")
    if len(run.params) > 1 and len(states) == kept * len(run.params) and difference(run.state()[kept:], states[kept:]):
        findings.fail("a step changes the state of parameters whose .grad is None: it is to leave it alone")


def _check_groups(findings: Findings, trial: _Trial) -> None:
    """Each number among the options, changed in a second group, does there what it does in an optimizer of its own."""
    options = dict(trial.run().optimizer.defaults)
    if trial.is_random():
        return  # alone its parameters get other numbers than beside others
    for name, value in options.items():
        other = _halved(value)
        changed = None if other is None else trial.changed(name, other)
        if changed is None:
            continue
        alone = [trial.run(), changed]
        first, second = trial.params(), trial.params()
        both = trial.optimizer([{"params": first}, {"params": second, name: other}])
        together = [_Run(first, both), _Run(second, both)]
        for _ in range(3):
            for run in alone:
                trial.step(run)
            both.zero_grad()
            loss([*first, *second]).backward()
            both.step()
        for found, expected in zip(together, alone, strict=True):
            if wrong := difference(found.values(), expected.values(), _ROUNDING):
                findings.fail(
                    f"a group with {name}={other} beside one with {value} is not updated as by an optimizer with "
                    f"{name}={other} ({wrong}): take options from what states() and scalars() are given, not from self"
                )


def _halved(value: object) -> object:
    if isinstance(value, float) and value:
        return value / 2
    if isinstance(value, tuple) and value and all(isinstance(part, float) for part in value):
        return tuple(part / 2 for part in value)
    return None


def _check_resumption(findings: Findings, trial: _Trial) -> None:
    whole = trial.run()
    for _ in range(3):
        trial.step(whole)
    values = whole.values()
    state = whole.optimizer.state_dict()
    kept = copy.deepcopy(state)

    def loaded() -> _Run:
        fresh = trial.run()
        for p, value in zip(fresh.params, values, strict=True):
            p.data = value
        fresh.optimizer.load_state_dict(state)
        return fresh

    def copied(how: Callable[[object], object]) -> _Run:
        found = how((whole.params, whole.optimizer))
        assert isinstance(found, tuple)
        return _Run(*found)

    others: dict[str, Callable[[], _Run]] = {
        "a new optimizer that loads its state_dict()": loaded,
        "a deep copy": lambda: copied(copy.deepcopy),
        "a pickle": lambda: copied(lambda both: pickle.loads(pickle.dumps(both))),
    }
    made: dict[str, _Run] = {}
    for what, other in others.items():
        try:
            made[what] = other()
        except Exception as error:
            if isinstance(error, (pickle.PicklingError, AttributeError)) and what == "a pickle":
                continue  # a class or a schedule that was made in a function, which has no name to be found by
            findings.fail(f"{what} cannot be made: {type(error).__name__}: {error}", error)
    for _ in range(3):
        trial.step(whole)
    if difference(_flat(state), _flat(kept)):
        findings.fail("a state_dict() that was taken changes with later steps: it is to be a copy")
    for what, run in made.items():
        for _ in range(3):
            attempt(findings, f"{what} fails in a step", lambda run=run: trial.step(run))  # type: ignore[misc]
        if wrong := difference(run.values(), whole.values()):
            findings.fail(
                f"{what} goes on otherwise than the run it is taken from ({wrong}): what the rule needs of the past is to be "
                "among states(), or to come from `step` in scalars(), not from attributes or variables of its own"
            )


def _flat(state: Group) -> list[Array]:
    return [np.asarray(value) for entry in state["state"].values() for value in entry.values()]


def _check_compiled(findings: Findings, trial: _Trial, backend: str) -> None:
    eager, other = trial.run(), trial.run()
    step = compiled(lambda: trial.take(other), backend=backend)
    for k in range(6):
        if k == 3:
            for run in (eager, other):
                for group in run.optimizer.groups:
                    group["lr"] = float(run.optimizer._rate(group)) / 2
        trial.step(eager)
        with seeded(other.optimizer._count):
            attempt(findings, f"a step compiled with backend={backend!r} fails", step)
        if wrong := difference(other.values(), eager.values(), _ROUNDING):
            findings.fail(
                f"step {k + 1}, compiled with backend={backend!r}, gives another result than the eager one ({wrong}): does the "
                "rule branch on a value, convert to NumPy or read something that changes from step to step?"
            )


def _check_rows(findings: Findings, trial: _Trial) -> None:
    """A table that is large enough for its gradient to be kept by rows, and the same gradient as an array."""
    rows, width = LARGE // 2, 2
    values = np.random.default_rng(0).normal(size=(rows, width))
    tables = [Tensor._of(values.copy()).requires_grad_() for _ in range(2)]
    optimizers = [trial.optimizer([table]) for table in tables]
    for k in range(2):
        picked = np.array([0, 5, 5, rows - 1 - k])
        for table, optimizer in zip(tables, optimizers, strict=True):
            optimizer.zero_grad()
            (table[picked] * table[picked]).sum().backward()
        tables[1].grad = tables[1].grad.numpy().copy()  # type: ignore[union-attr]  # known for all rows
        for optimizer in optimizers:
            with seeded(k):
                attempt(findings, "a gradient that is kept by rows fails", optimizer.step)
    if wrong := difference([tables[0].numpy()], [tables[1].numpy()], _ROUNDING):
        findings.fail(f"a gradient that is kept by rows gives another result than the same as an array ({wrong})")


def _check_decay(findings: Findings, trial: _Trial) -> None:
    options = dict(trial.run().optimizer.defaults)
    if not isinstance(options.get("weight_decay"), float):
        return
    sizes = []
    for decay in (0.0, 0.1):
        run = trial.changed("weight_decay", decay)
        if run is None:
            return
        for p in run.params:
            p.grad = np.zeros(p.shape)
        with seeded():
            run.optimizer.step()
        sizes.append(sum(float(np.abs(value).sum()) for value in run.values()))
    if not sizes[1] < sizes[0]:
        findings.fail("weight_decay=0.1 makes parameters whose gradient is 0 no smaller")
