"""The check of optimizers finds what is wrong with one, and tapenet's own pass it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import optim
from tapenet.names import homes
from tapenet.testing import check_optimizer

MATRICES = {"shapes": [(4, 3), (3, 5)]}
OWN: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True}),
    ("ASGD", {}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "lr": 0.1}),
    ("AdamW", {}),
    ("NAdam", {}),
    ("RAdam", {}),
    ("Adamax", {}),
    ("RMSprop", {"centered": True, "momentum": 0.5}),
    ("Adagrad", {}),
    ("Adadelta", {}),
    ("Rprop", {}),
    ("Lion", {}),
    ("LAMB", {}),
    ("LARS", {"lr": 0.1}),
    ("Adafactor", {}),
    ("Muon", MATRICES),
    ("SparseAdam", {}),
]
#: Those that the default run tries.
SAMPLED = ("SGD", "Adam")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param(name, options, id=f"{name}-{i}", marks=[] if name in SAMPLED and i in (1, 3) else pytest.mark.slow)
        for i, (name, options) in enumerate(OWN)
    ],
)
def test_own_optimizers_pass(name: str, options: dict[str, Any]) -> None:
    check_optimizer(getattr(optim, name), **options)


def test_all_own_optimizers_are_tried() -> None:
    rules = {n for n, module in homes("tapenet.optim").items() if ".rules." in module}
    assert {name for name, _ in OWN} == rules - {"LBFGS"}  # whose step asks for the loss as a function


# -- wrong ones --------------------------------------------------------------------------------------------------


class Momentum(optim.Optimizer):
    """A right one, from which the wrong ones differ."""

    def __init__(self, params: Any = None, lr: float = 0.1, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def states(self, options: Any) -> dict[str, float]:
        return {"mean": 0.0}

    def scalars(self, options: Any, lr: float, step: int) -> dict[str, float]:
        m = options["momentum"]
        return {"lr": lr, "momentum": m, "gain": 1 - m, "decay": options["weight_decay"]}

    @staticmethod
    def rule(p: Any, g: Any, state: Any, s: Any) -> Any:
        mean = s["momentum"] * state["mean"] + s["gain"] * (g + s["decay"] * p)
        return p - s["lr"] * mean, {"mean": mean}


class Normalised(optim.WholeOptimizer):
    """A right one of whole parameters."""

    def __init__(self, params: Any = None, lr: float = 0.01) -> None:
        super().__init__(params, lr=lr)

    @staticmethod
    def rule(p: Any, g: Any, state: Any, s: Any) -> Any:
        return p - s["lr"] * g / np.maximum(np.sqrt(np.sum(g * g)), 1e-8), {}


class Langevin(Normalised):
    """A right one that is random."""

    @staticmethod
    def rule(p: Any, g: Any, state: Any, s: Any) -> Any:
        return p - s["lr"] * (g + 0.1 * tn.random.normal(size=p.shape).astype(p.dtype)), {}


@pytest.mark.parametrize("kind", [Momentum, Normalised, Langevin])
def test_right_ones_pass(kind: Any) -> None:
    check_optimizer(kind)


class Uphill(Momentum):
    @staticmethod
    def rule(p: Any, g: Any, state: Any, s: Any) -> Any:
        return p + s["lr"] * g, {"mean": state["mean"]}


class Idle(Momentum):
    @staticmethod
    def rule(p: Any, g: Any, state: Any, s: Any) -> Any:
        return +p, {"mean": s["momentum"] * state["mean"] + g}


class OfTheWhole(Momentum):
    """Takes an option from the optimizer in place of the group."""

    def scalars(self, options: Any, lr: float, step: int) -> dict[str, float]:
        return super().scalars({**options, "momentum": self.defaults["momentum"]}, lr, step)


class WithoutDecay(Momentum):
    @staticmethod
    def rule(p: Any, g: Any, state: Any, s: Any) -> Any:
        mean = s["momentum"] * state["mean"] + s["gain"] * g
        return p - s["lr"] * mean, {"mean": mean}


class Counts(Momentum):
    """Counts steps of its own."""

    count = 0

    def scalars(self, options: Any, lr: float, step: int) -> dict[str, float]:
        self.count += 1
        return super().scalars(options, lr / self.count, step)


class Warms(Momentum):
    """Has other numbers from some step on."""

    def scalars(self, options: Any, lr: float, step: int) -> dict[str, float]:
        return super().scalars(options, lr, step) | ({"late": 1.0} if step > 5 else {})


class Overflows(Momentum):
    def scalars(self, options: Any, lr: float, step: int) -> dict[str, float]:
        return super().scalars(options, lr, step) | {"bias": float("inf") if step == 1 else 1.0}


class Lies(Momentum):
    """Says that a gradient of 0 leaves an element as it is."""

    def local(self, options: Any) -> bool:
        return True

    def states(self, options: Any) -> dict[str, float]:
        return {"mean": 1.0}


class Divides(Normalised):
    @staticmethod
    def rule(p: Any, g: Any, state: Any, s: Any) -> Any:
        return p - s["lr"] * g / np.sqrt(np.sum(g * g)), {}


class Writes(Normalised):
    @staticmethod
    def rule(p: Any, g: Any, state: Any, s: Any) -> Any:
        g *= 0.5
        return p - s["lr"] * g, {}


class Widens(Normalised):
    @staticmethod
    def rule(p: Any, g: Any, state: Any, s: Any) -> Any:
        return p - s["lr"] * g * np.linspace(0.5, 1.0, p.size).reshape(p.shape), {}


class Branches(Normalised):
    @staticmethod
    def rule(p: Any, g: Any, state: Any, s: Any) -> Any:
        return (p - s["lr"] * g if np.sum(g) > 0 else p - 0.5 * s["lr"] * g), {}


class Hides(Normalised):
    """Keeps what it needs of the past in an attribute."""

    held: Any = None

    def update(self, p: Any, grad: Any, state: Any, s: Any) -> None:
        if self.held is None:
            object.__setattr__(self, "held", {})
        before = self.held.get(p.shape, 0.0)
        self.held[p.shape] = grad.data.copy()
        p -= s["lr"] * (grad.data + before)

    def __getstate__(self) -> dict[str, Any]:
        return {n: v for n, v in super().__getstate__().items() if n != "held"}


class NeedsParameters(Momentum):
    def __init__(self, params: Any, **options: Any) -> None:
        super().__init__(list(params), **options)


class Everything(Momentum):
    """Its step goes on where there is no gradient."""

    def step(self, closure: Any = None) -> Any:
        for p in self.groups[0]["params"]:
            p.data = p.data * 0.9
        return super().step(closure)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Uphill, r"check_optimizer\(Uphill\): the loss of a quadratic rose from .* in 60 steps: is the sign"),
        (Idle, r"60 steps changed nothing"),
        (OfTheWhole, r"a group with momentum=0.45 beside one with 0.9 is not updated as .*, not from self"),
        (WithoutDecay, r"weight_decay=0.1 makes parameters whose gradient is 0 no smaller"),
        (Counts, r"state_dict\(\) goes on otherwise than the run it is taken from .*from `step` in scalars"),
        (
            Warms,
            r"scalars\(\) names lr, .* at step 1 and lr, .*, late at step 10: which there are may depend on the options",
        ),
        (Overflows, r"scalars\(\) at step 1 has a number that is not finite: .*'bias': inf"),
        (Lies, r"local\(\) is true, but a gradient of zeros changes the parameter"),
        (Divides, r"a gradient of zeros gives the parameter that is not finite: does the rule divide by a norm"),
        (Writes, r"its rule writes into what it is given \(p, g or state\)"),
        (Widens, r"its rule returns float64 for the parameter, of float32"),
        (Branches, r"a step compiled with backend='\w+' fails: CaptureError: .* np.where"),
        (Hides, r"a new optimizer that loads its state_dict\(\) goes on otherwise than .* among states\(\)"),
        (
            NeedsParameters,
            r"it cannot be made without parameters, as for fit: def __init__\(self, params=None, ...\): TypeError",
        ),
        (Everything, r"a step changes parameters whose .grad is None"),
        (lambda params, **o: optim.Adam(params, lr=1e3), r"the loss of a quadratic rose"),
        (lambda params, **o: "nothing", r"it made a str, and is to make a tn.optim.Optimizer"),
        (
            lambda params, **o: Momentum(params, lr=-1),
            r"it cannot be made: ValueError: Momentum: lr=-1 must be at least 0",
        ),
    ],
)
def test_wrong_optimizers_are_named(kind: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_optimizer(kind)


def test_it_takes_what_makes_one() -> None:
    with pytest.raises(
        TypeError, match=r"takes the class, or a function make\(params, \*\*options\), not one Momentum"
    ):
        check_optimizer(Momentum())  # type: ignore[arg-type]


def test_a_function_may_make_it_and_options_are_passed_on() -> None:
    seen: list[Any] = []

    def make(params: Any, **options: Any) -> Any:
        seen.append(options.pop("nesterov"))
        return optim.SGD(params, momentum=0.9, nesterov=seen[-1], **options)

    check_optimizer(make, [(3,)], lr=optim.constant(0.1), nesterov=True)
    assert set(seen) == {True}
