"""L-BFGS beside PyTorch's, and its line search."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import optim
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.optim.rules.line_search import Point, cubic_minimum, strong_wolfe

R = np.random.default_rng(0)
X, Y = R.normal(size=(20, 3)), R.normal(size=(20, 2))
VALUES = [R.normal(size=s) for s in [(3, 4), (4,), (4, 2), ()]]


def loss_of(xp: Any, ps: list[Any], x: Any, y: Any) -> Any:
    """A small network; far from quadratic."""
    w, b, v, scale = ps
    return ((scale * xp.tanh(x @ w + b) @ v - y) ** 2).mean() + 0.01 * (w**4).sum()


def ours(values: list[Any] = VALUES, **options: Any) -> tuple[list[tn.Tensor], optim.LBFGS, Any]:
    ps = [tn.tensor(np.copy(a, order="F"), requires_grad=True) for a in values]
    opt = optim.LBFGS(ps, **options)

    def closure() -> Any:
        opt.zero_grad()
        loss = loss_of(np, ps, X, Y)
        loss.backward()
        return loss

    return ps, opt, closure


def theirs(**options: Any) -> tuple[Any, Any, Any]:
    torch = pytest.importorskip("torch")
    ps = [torch.nn.Parameter(torch.from_numpy(np.array(a))) for a in VALUES]
    opt = torch.optim.LBFGS(ps, **options)
    x, y = torch.from_numpy(X), torch.from_numpy(Y)

    def closure() -> Any:
        opt.zero_grad()
        loss = loss_of(torch, ps, x, y)
        loss.backward()
        return loss

    return ps, opt, closure


OPTIONS: list[dict[str, Any]] = [
    {"lr": 0.1},
    {"lr": 0.5, "max_iter": 3, "history_size": 2},
    {"lr": 0.3, "history_size": 1},
    {"lr": 0.1, "max_iter": 10, "max_eval": 4},
    {"lr": 0.2, "max_iter": 50, "tolerance_grad": 0.2},
    {"lr": 0.2, "max_iter": 50, "tolerance_change": 1e-2},
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "max_iter": 4, "history_size": 3},
    {"line_search_fn": "strong_wolfe", "lr": 10.0, "max_iter": 6},
    {"line_search_fn": "strong_wolfe", "lr": 1e-3, "max_iter": 6, "max_eval": 12},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_follows_torch(options: dict[str, Any]) -> None:
    ps, mine, closure = ours(**options)
    qs, other, their_closure = theirs(**options)
    for call in range(max(2, 40 // options.get("max_iter", 20))):  # each step doubles what rounding did
        loss, expected = mine.step(closure), other.step(their_closure)
        assert loss.item() == pytest.approx(expected.item(), rel=1e-7), f"call {call}"
        for p, q in zip(ps, qs, strict=True):
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-6, atol=1e-8, err_msg=f"call {call}")
        state, their_state = mine.state_dict()["state"][0], other.state_dict()["state"][0]
        assert state["n_iter"] == their_state["n_iter"]
        assert state["func_evals"] == their_state["func_evals"]
        assert len(state["old_dirs"]) == len(their_state.get("old_dirs") or [])


@pytest.mark.parametrize("calls", [0, 1, 4])
def test_a_state_of_torch_goes_on_here(calls: int) -> None:
    options = {"max_iter": 4, "line_search_fn": "strong_wolfe", "history_size": 3}
    qs, other, their_closure = theirs(**options)
    for _ in range(calls):
        other.step(their_closure)
    ps, mine, closure = ours([q.detach().numpy() for q in qs])
    mine.load_state_dict(other.state_dict())
    for _ in range(3):
        assert mine.step(closure).item() == pytest.approx(other.step(their_closure).item(), rel=1e-7)
    for p, q in zip(ps, qs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_ascending_is_descending_the_negative(search: str | None) -> None:
    ps, down, closure = ours(lr=0.2, line_search_fn=search)
    qs = [tn.tensor(np.copy(a, order="F"), requires_grad=True) for a in VALUES]
    up = optim.LBFGS(qs, lr=0.2, line_search_fn=search, maximize=True)

    def negative() -> Any:
        up.zero_grad()
        loss = -loss_of(np, qs, X, Y)
        loss.backward()
        return loss

    for _ in range(3):
        assert down.step(closure).item() == -up.step(negative).item()
    for p, q in zip(ps, qs, strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_a_loaded_state_continues_bit_for_bit() -> None:
    options = {"max_iter": 4, "line_search_fn": "strong_wolfe"}
    ps, opt, closure = ours(**options)
    for _ in range(3):
        opt.step(closure)
    qs, other, other_closure = ours([p.data for p in ps])
    other.load_state_dict(opt.state_dict())
    for _ in range(3):
        assert opt.step(closure).item() == other.step(other_closure).item()
    for p, q in zip(ps, qs, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    np.testing.assert_equal(opt.state_dict(), other.state_dict())
    fresh = optim.LBFGS([tn.tensor([1.0], requires_grad=True)])
    before = fresh.state_dict()
    fresh.load_state_dict(before)
    np.testing.assert_equal(fresh.state_dict(), before)
    with pytest.raises(ValueError, match="of another number of elements, and this optimizer has 1"):
        fresh.load_state_dict(opt.state_dict())
    del before["state"][0]["d"]
    with pytest.raises(ValueError, match="it has no d"):
        fresh.load_state_dict(before)


def test_float32_and_parameters_without_gradient() -> None:
    a = tn.tensor(np.array([3.0, 1.0], np.float32), requires_grad=True)
    b = tn.tensor(np.array([[7.0]], np.float32), requires_grad=True)
    opt = optim.LBFGS([a, b], line_search_fn="strong_wolfe")

    def closure() -> Any:
        opt.zero_grad()
        loss = ((a - 1) ** 4).sum()
        loss.backward()
        return loss

    with tn.no_grad():  # the closure needs gradients all the same
        for _ in range(3):
            opt.step(closure)
    np.testing.assert_allclose(a.data, 1.0, atol=0.02)
    assert a.dtype == np.float32
    assert b.item() == 7.0


def test_a_schedule_is_the_length_of_a_step() -> None:
    w = tn.tensor([2.0], requires_grad=True)
    opt = optim.LBFGS([w], lr=optim.piecewise([0.5, 0.25], [1]), max_iter=1)

    def closure() -> Any:
        opt.zero_grad()
        loss = (w * w).sum() / 2
        loss.backward()
        return loss

    opt.step(closure)
    assert w.item() == 2 - 0.5 * min(1, 1 / 2) * 2
    opt.step(closure)  # the curvature is known to be 1 by now
    assert w.item() == pytest.approx(1.5 * 0.75)


def test_the_loss_may_be_compiled_but_not_the_step() -> None:
    ps, opt, closure = ours(max_iter=5, line_search_fn="strong_wolfe")
    qs, other, _ = ours(max_iter=5, line_search_fn="strong_wolfe")

    @tn.compile(keep_grads=True)
    def compiled(x: Any, y: Any) -> Any:
        other.zero_grad()
        loss = loss_of(np, qs, x, y)
        loss.backward()
        return loss

    for _ in range(4):
        opt.step(closure)
        other.step(lambda: compiled(X, Y))
    for p, q in zip(ps, qs, strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-7)
    with pytest.raises(CaptureError, match=r"LBFGS.step cannot be compiled: .* call step outside"):
        tn.compile(lambda x: opt.step(closure))(X)


def test_mistakes() -> None:
    one, two = (tn.tensor([1.0], requires_grad=True) for _ in range(2))
    with pytest.raises(TypeError, match="needs the loss as a function"):
        optim.LBFGS([one]).step()
    with pytest.raises(ValueError, match="LBFGS takes one group"):
        optim.LBFGS([{"params": [one]}, {"params": [two]}])
    with pytest.raises(ValueError, match="line_search_fn='armijo' must be None or 'strong_wolfe'"):
        optim.LBFGS([one], line_search_fn="armijo")
    with pytest.raises(ValueError, match="history_size=0 must be at least 1"):
        optim.LBFGS([one], history_size=0)


# -- the line search ---------------------------------------------------------------------------------------------


def line(f: Any, slope: Any) -> Any:
    return lambda t: Point(t, f(t), np.array([slope(t)]), slope(t))


FUNCTIONS = {
    "quartic": (lambda t: (t - 3) ** 4, lambda t: 4 * (t - 3) ** 3),
    "wavy": (lambda t: np.cos(3 * t) + 0.1 * (t - 5) ** 2, lambda t: -3 * np.sin(3 * t) + 0.2 * (t - 5)),
    "wall": (lambda t: -t + 1e3 * max(t - 1, 0) ** 2, lambda t: -1 + 2e3 * max(t - 1, 0)),
}


@pytest.mark.parametrize("t", [1e-4, 0.3, 1.0, 50.0])
@pytest.mark.parametrize(("f", "slope"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_the_point_found_satisfies_the_conditions(f: Any, slope: Any, t: float) -> None:
    at = line(f, slope)
    start = at(0.0)
    if start.slope >= 0:
        start = start._replace(slope=-1e-3)
    found, tried = strong_wolfe(at, start, t, 1.0, 1e-9, 50)
    assert found.loss <= start.loss + 1e-4 * found.t * start.slope
    assert abs(found.slope) <= -0.9 * start.slope
    assert tried <= 51


def test_a_search_that_ends_early_gives_the_lowest_point() -> None:
    at = line(lambda t: -t, lambda t: -1.0)  # there is no end to it
    found, tried = strong_wolfe(at, at(0.0), 1.0, 1.0, 1e-9, 3)
    assert tried == 4
    assert found.t > 1


def test_where_a_cubic_has_its_minimum() -> None:
    a, b = (Point(t, t**3 - 3 * t, np.zeros(0), 3 * t * t - 3) for t in (0.0, 2.0))
    assert cubic_minimum(a, b, 0, 2) == cubic_minimum(b, a, 0, 2) == pytest.approx(1.0)
    assert cubic_minimum(a, b, 0, 0.5) == 0.5
    assert cubic_minimum(a, a, 0, 2) == 1.0
    falling = (
        Point(0.0, 0.0, np.zeros(0), -1.0),
        Point(1.0, -2.0, np.zeros(0), -1.0),
    )  # steepest in the middle: no minimum
    assert cubic_minimum(*falling, 0.2, 0.8) == 0.8
    monotone = Point(0.0, 0.0, np.zeros(0), -1.0), Point(1.0, -0.7, np.zeros(0), -1.0)
    assert cubic_minimum(*monotone, 0.2, 0.8) == 0.5
