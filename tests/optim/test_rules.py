"""Every optimizer and option against PyTorch, and the rules themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import optim
from tapenet.names import homes
from tests.optim.problems import arrays, give, gradients, tensors

CONFIGURATIONS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.02}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.01, "momentum": 0.5, "maximize": True, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.05}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("Adam", {"lr": 0.05, "maximize": True, "amsgrad": True, "weight_decay": 0.01}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.2, "betas": (0.5, 0.9), "amsgrad": True}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.0, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.05, "alpha": 0.9, "eps": 1e-4, "weight_decay": 0.01}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.9}),
    ("RMSprop", {"lr": 0.02, "centered": True}),
    ("RMSprop", {"lr": 0.02, "centered": True, "momentum": 0.5, "maximize": True, "weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.01, "weight_decay": 0.01, "eps": 1e-4}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.05, "lambd": 0.01, "alpha": 0.5, "t0": 5, "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "momentum_decay": 0.1, "weight_decay": 0.05}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.05, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.05}),
    ("RAdam", {"lr": 0.05, "weight_decay": 0.05, "decoupled_weight_decay": True, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.05, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.05, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (0.01, 0.2), "maximize": True}),
]
#: Those that take parameters as wholes.
WHOLE: list[tuple[str, dict[str, Any]]] = [
    ("Adafactor", {}),
    ("Adafactor", {"lr": 0.5, "beta2_decay": -0.5, "eps": (1e-3, 0.1), "weight_decay": 0.05, "maximize": True}),
    ("Adafactor", {"lr": 0.1, "d": 2.0}),
]


def ids(configurations: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [f"{name}-{'-'.join(options)}" for name, options in configurations]


IDS = ids(CONFIGURATIONS)


@pytest.fixture(autouse=True)
def numbers_in_float64() -> Iterator[None]:
    """PyTorch keeps the numbers of NAdam and ASGD in its default dtype: let them be as exact as ours."""
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def torch_steps(name: str, options: dict[str, Any], dtype: Any, double: Any) -> Iterator[list[Any]]:
    """The parameters after each of PyTorch's steps, of a problem in this dtype computed in that one."""
    torch = pytest.importorskip("torch")
    params = [torch.nn.Parameter(torch.from_numpy(a.astype(double))) for a in arrays(dtype)]
    opt = getattr(torch.optim, name)(params, **options)
    for step in range(100):
        for q, g in zip(params, gradients(step, dtype), strict=True):
            q.grad = None if g is None else torch.from_numpy(g.astype(double))
        opt.step()
        yield [q.detach().numpy() for q in params]


def follow_torch(name: str, options: dict[str, Any], dtype: Any, tolerance: float) -> None:
    """Take 100 steps beside PyTorch's. What its own rounding comes to is allowed for."""
    ours = tensors(dtype)
    mine = getattr(optim, name)(ours, **options)
    others = zip(*(torch_steps(name, options, dtype, double) for double in {dtype: 0, np.float64: 0}), strict=True)
    for step, (expected, *more) in enumerate(others):
        exact = more[0] if more else expected
        mine.zero_grad()
        give(ours, gradients(step, dtype))
        mine.step()
        scale = max(np.abs(a).max() for a in expected)
        for p, a, b in zip(ours, expected, exact, strict=True):
            assert np.abs(p.data - a).max() <= tolerance * scale + np.abs(a - b).max(), f"step {step}"
    assert all(p.dtype == dtype for p in ours)
    assert all(t.dtype == dtype for slot in mine._slots for t in slot.state.values())


@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS + WHOLE, ids=IDS + ids(WHOLE))
def test_follows_torch_over_100_steps(name: str, options: dict[str, Any]) -> None:
    follow_torch(name, options, np.float64, 1e-13)


@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS + WHOLE, ids=IDS + ids(WHOLE))
def test_follows_torch_in_float32(name: str, options: dict[str, Any]) -> None:
    follow_torch(name, options, np.float32, 1e-6)


@pytest.mark.parametrize("name", [*dict.fromkeys(name for name, _ in CONFIGURATIONS + WHOLE), "SparseAdam"])
def test_defaults_are_those_of_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.optim, name)([torch.nn.Parameter(torch.zeros(1))]).defaults
    ours = getattr(optim, name)([tn.tensor([0.0], requires_grad=True)])._defaults
    assert ours == {key: theirs[key] for key in ours}


#: Our name -> PyTorch's, where it differs, and what it is to be multiplied by.
SUMS: dict[str, tuple[str, Any]] = {
    "grad_sum": ("exp_avg", lambda o: 1 - o["betas"][0]),
    "square_sum": ("exp_avg_sq", lambda o: 1 - o["betas"][1]),
    "max_square_sum": ("max_exp_avg_sq", lambda o: 1 - o["betas"][1]),
}


@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS, ids=IDS)
def test_state_is_that_of_torch(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    q = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    theirs = getattr(torch.optim, name)([q], **options)
    p = tn.tensor([1.0, 1.0], requires_grad=True)
    ours = getattr(optim, name)([p], **options)
    for step in range(5):
        g = np.array([1.0, -2.0]) * step
        p.grad, q.grad = g, torch.from_numpy(g)
        theirs.step()
        ours.step()
    expected = {n: np.asarray(v) for n, v in theirs.state_dict()["state"].get(0, {}).items() if v is not None}
    for number in ("mu_product", "eta", "mu"):  # functions of the step
        expected.pop(number, None)
    got = ours.state_dict()["state"][0]
    assert got.pop("step") == expected.pop("step", 5)
    for key, value in got.items():
        other, factor = SUMS.get(key, (key, lambda o: 1.0))
        np.testing.assert_allclose(value * factor(ours.groups[0]), expected.pop(other), rtol=1e-12)
    assert not expected


@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS + WHOLE, ids=IDS + ids(WHOLE))
def test_a_state_of_torch_goes_on_here(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    theirs = [torch.nn.Parameter(torch.from_numpy(a)) for a in arrays()]
    other = getattr(torch.optim, name)([{"params": theirs[:2]}, {"params": theirs[2:]}], **options)
    ours = tensors()
    opt = getattr(optim, name)([{"params": ours[:2]}, {"params": ours[2:], "lr": 123.0}])
    for step in range(6):
        if step == 1:  # the second parameter had no gradient yet, and the others' is the first that counts
            for p, q in zip(ours, theirs, strict=True):
                p.data = q.detach().numpy()
            opt.load_state_dict(other.state_dict())
        for q, g in zip(theirs, gradients(step), strict=True):
            q.grad = None if g is None else torch.from_numpy(g)
        other.step()
        if step:
            give(ours, gradients(step))
            opt.step()
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-9)


def test_a_state_of_torch_that_does_not_fit_is_reported_whole() -> None:
    torch = pytest.importorskip("torch")
    q = torch.nn.Parameter(torch.ones(3))
    other = torch.optim.SGD([q], lr=0.1, momentum=0.9)
    q.grad = torch.ones(3)
    other.step()
    w = tn.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"(?s)group 0: missing 'betas'.*unexpected 'momentum'.*'momentum_buffer'"):
        optim.Adam([w]).load_state_dict(other.state_dict())
    with pytest.raises(ValueError, match=r"momentum_buffer has shape \(3,\), this optimizer's \(2,\)"):
        optim.SGD([w], momentum=0.9).load_state_dict(other.state_dict())
    with pytest.raises(ValueError, match="2 parameters, this optimizer's has 1"):
        optim.SGD([w]).load_state_dict(torch.optim.SGD([q, torch.nn.Parameter(q + 1)], lr=0.1).state_dict())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.SGD(p, lr=-0.1), r"SGD: lr=-0.1 must be at least 0"),
        (lambda p: optim.SGD(p, lr=float("nan")), r"lr=nan must be"),
        (lambda p: optim.SGD(p, momentum=-1), r"momentum=-1 must be at least 0"),
        (lambda p: optim.SGD(p, weight_decay=-1), r"weight_decay=-1 must"),
        (lambda p: optim.SGD(p, nesterov=True), r"nesterov=True needs momentum above 0 and dampening 0"),
        (lambda p: optim.SGD(p, momentum=0.9, dampening=0.1, nesterov=True), r"dampening 0, not .*0\.1"),
        (lambda p: optim.Adam(p, betas=(0.9, 1.0)), r"Adam: a number of betas=1.0 must be in \[0, 1\)"),
        (lambda p: optim.Adam(p, betas=(-0.1, 0.9)), r"betas=-0.1 must be in \[0, 1\)"),
        (lambda p: optim.Adam(p, betas=0.9), r"betas=0.9 must be two numbers"),
        (lambda p: optim.AdamW(p, eps=-1), r"AdamW: eps=-1"),
        (lambda p: optim.RMSprop(p, alpha=1.5), r"alpha=1.5 must be in \[0, 1\)"),
        (lambda p: optim.RMSprop(p, momentum=-0.5), r"momentum=-0.5"),
        (lambda p: optim.Adagrad(p, lr_decay=-1), r"lr_decay=-1"),
        (lambda p: optim.Adagrad(p, initial_accumulator_value=-1), r"initial_accumulator_value=-1"),
    ],
)
def test_options_out_of_range(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(tensors())


def test_a_learning_rate_is_a_number_or_a_function() -> None:
    with pytest.raises(TypeError, match=r"lr must be a number, not str '0.1'"):
        optim.SGD(tensors(), lr="0.1")
    with pytest.raises(TypeError, match="lr must be a number, not Tensor"):
        optim.SGD(tensors(), lr=tn.tensor(0.1))


def test_a_variance_that_rounding_made_negative_counts_as_zero() -> None:
    w = tn.tensor(np.full(3, 1.0, np.float32), requires_grad=True)
    opt = optim.RMSprop([w], lr=1e-3, centered=True, alpha=0.5)
    for _ in range(200):
        w.grad = tn.tensor(np.array([1.1, 0.3, 7.7], np.float32))
        opt.step()
    assert np.isfinite(w.data).all()


EVERY = [n for n, module in homes("tapenet.optim").items() if ".rules." in module and n != "LBFGS"]


@pytest.mark.parametrize("name", EVERY)
def test_a_nan_gradient_makes_its_element_nan_and_no_other_parameter(name: str) -> None:
    w, other = (tn.tensor([[1.0, 2.0]], requires_grad=True) for _ in range(2))
    opt = getattr(optim, name)([w, other], lr=0.1)
    w.grad, other.grad = tn.tensor([[np.nan, 1.0]]), tn.tensor([[1.0, 1.0]])
    opt.step()
    assert np.isnan(w.data[0, 0])
    assert np.isfinite(other.data).all()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", EVERY)
def test_parameters_without_elements(name: str, compiled: bool) -> None:
    params = [tn.tensor(np.ones(shape), requires_grad=True) for shape in ((0, 3), (3, 0), (2, 2))]
    opt = getattr(optim, name)(params, lr=0.1)

    def step() -> None:
        opt.zero_grad()
        sum((p * p).sum() for p in params).backward()
        opt.step()

    run = tn.compile(step) if compiled else step
    for _ in range(3):
        run()
    assert (params[2].data < 1).all()
    assert opt.state_dict()["state"][0]["step"] == 3
