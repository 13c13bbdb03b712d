"""Optimizers that are made without parameters and get them later."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim

KINDS = [
    kind
    for kind in (getattr(optim, name) for name in dir(optim))
    if inspect.isclass(kind) and issubclass(kind, optim.Optimizer) and kind.__module__.startswith("tapenet.optim.rules")
]


def net() -> nn.Linear:
    tn.random.seed(0)
    return nn.Linear(3, 2, bias=False)


def trained(make: Callable[[nn.Module], Any]) -> np.ndarray[Any, Any]:
    """The weight of a small model after three steps."""
    model = net()
    opt = make(model)

    def loss() -> tn.Tensor:
        opt.zero_grad()
        value = (model(np.ones((2, 3), np.float32)) ** 2).sum()
        value.backward()
        return value

    for _ in range(3):
        if isinstance(opt, optim.LBFGS):
            opt.step(loss)
        else:
            loss()
            opt.step()
    return model.weight.numpy()


def test_there_are_all_of_them() -> None:
    assert {kind.__name__ for kind in KINDS} >= {"SGD", "Adam", "LBFGS", "Muon", "SparseAdam", "LAMB", "Adafactor"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_one_that_is_bound_later_is_the_one_that_was_made_with_parameters(kind: Any) -> None:
    before = net().weight.numpy().copy()
    later = trained(lambda model: kind(lr=0.1).bind(model.parameters()))
    np.testing.assert_array_equal(later, trained(lambda model: kind(model.parameters(), lr=0.1)))
    assert np.all(later != before)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "use",
    [
        lambda opt: opt.step(*([lambda: 0.0] if isinstance(opt, optim.LBFGS) else [])),
        lambda opt: opt.zero_grad(),
        lambda opt: opt.state_dict(),
        lambda opt: opt.load_state_dict({"step": 0, "state": {}, "param_groups": []}),
        lambda opt: opt.add_param_group({"params": net()}),
        lambda opt: opt.groups,
        lambda opt: opt.param_groups,
        lambda opt: opt.slots,
        lambda opt: optim.GradScaler().step(opt),
    ],
    ids=["step", "zero_grad", "state_dict", "load_state_dict", "add_param_group", "groups", "param_groups", "slots", "scaler"],
)  # fmt: skip
def test_without_parameters_it_says_how_to_give_them(kind: Any, use: Callable[[Any], Any]) -> None:
    opt = kind()
    name = kind.__name__
    with pytest.raises(
        RuntimeError, match=rf"this {name} was made without parameters. Give them, {name}\(net.parameters"
    ):
        use(opt)
    assert not opt.bound
    opt.bind(net())  # and nothing is left of the attempt
    assert opt.state_dict()["step"] == 0


def test_a_compiled_step_says_so_too() -> None:
    opt = optim.SGD(lr=0.1)
    w = tn.tensor([1.0], requires_grad=True)

    @tn.compile
    def step() -> tn.Tensor:
        loss = (w * w).sum()
        loss.backward()
        opt.step()
        return loss

    with pytest.raises(RuntimeError, match="was made without parameters"):
        step()


def test_options_are_checked_where_it_is_made() -> None:
    with pytest.raises(ValueError, match=r"SGD: lr=-1 must be at least 0"):
        optim.SGD(lr=-1)
    with pytest.raises(ValueError, match=r"SGD: nesterov=True needs momentum above 0"):
        optim.SGD(lr=0.1, nesterov=True)
    with pytest.raises(ValueError, match=r"LBFGS: line_search_fn='none' must be None or"):
        optim.LBFGS(line_search_fn="none")


def test_it_is_bound_once() -> None:
    opt = optim.Adam(lr=0.1).bind(net())
    with pytest.raises(
        RuntimeError, match=r"Adam.bind: it has its 1 parameters already, .* an optimizer for each model"
    ):
        opt.bind(net())


def test_a_failed_bind_leaves_it_without_parameters() -> None:
    opt = optim.SGD(lr=0.1)
    good = tn.tensor([1.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"group 1: parameter 0 of shape \(1,\) needs no gradient"):
        opt.bind([{"params": [good]}, {"params": [tn.tensor([1.0])]}])
    assert not opt.bound
    assert opt.bind([good]).groups[0]["params"] == [good]


def test_the_learning_rate_can_be_read_and_set_before() -> None:
    opt = optim.SGD(lr=optim.linear(0.4, 0.0, 4))
    assert opt.lr == 0.4
    opt.lr = 0.2
    with pytest.raises(ValueError, match=r"lr=-2 must be at least 0"):
        opt.lr = -2
    assert opt.bind(net()).groups[0]["lr"] == 0.2


def test_groups_have_the_options_it_was_made_with() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    opt = optim.SGD(lr=0.1, momentum=0.9).bind(optim.param_groups(model, {"1.*": {"lr": 0.01}}))
    assert [(g["lr"], g["momentum"]) for g in opt.groups] == [(0.1, 0.9), (0.01, 0.9)]


def test_it_can_be_copied_and_has_no_other_attributes() -> None:
    opt = copy.deepcopy(optim.Adam(lr=0.3))
    assert repr(opt).startswith("Adam without parameters: lr=0.3, betas=(0.9, 0.999)")
    assert not hasattr(opt, "stepp")
    opt.bind(net())
    with pytest.raises(AttributeError, match="'Adam' object has no attribute 'stepp'"):
        opt.stepp()  # type: ignore[attr-defined]


def test_master_weights_bind_it_to_their_copies() -> None:
    def steps(make: Callable[[nn.Module], Any]) -> list[Any]:
        model = net().half()
        opt = make(model)
        for _ in range(3):
            opt.zero_grad()
            (model(np.ones((2, 3), np.float16)) ** 2).sum().backward()
            opt.step()
        return [m.numpy() for m in opt.masters()]

    unbound = steps(lambda model: optim.MasterWeights(optim.SGD(lr=1e-4), model))
    np.testing.assert_array_equal(unbound, steps(lambda model: optim.MasterWeights(optim.SGD, model, lr=1e-4)))


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (lambda: 0.1, r"SGD takes parameters first, and got the number 0.1; options go by name, as in lr=0.1"),
        (lambda: net().parameters, r"got parameters itself; call it: parameters\(\)"),
        (lambda: nn.Linear, r"got Linear itself; call it: Linear\(\)"),
        (lambda: "weight", r"got str 'weight'; give net.parameters\(\), a list of tensors"),
    ],
)
def test_something_else_in_the_place_of_the_parameters(first: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        optim.SGD(first())
    with pytest.raises(TypeError, match=message):
        optim.SGD(lr=0.1).bind(first())
