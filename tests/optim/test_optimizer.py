"""Groups, options, saved state, and errors at construction."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim
from tests.optim.problems import give, gradients, tensors
from tests.optim.test_rules import CONFIGURATIONS, IDS


def one(value: float = 1.0) -> tn.Tensor:
    return tn.tensor([value], requires_grad=True)


def run(opt: optim.Optimizer, params: list[tn.Tensor], steps: range) -> None:
    for step in steps:
        give(params, gradients(step))
        opt.step()


# -- groups and options --------------------------------------------------------------------------------------


def test_groups_have_options_of_their_own_as_in_torch() -> None:
    torch = pytest.importorskip("torch")
    ours = tensors()
    theirs = [torch.nn.Parameter(torch.from_numpy(p.data.copy())) for p in ours]

    def groups(params: list[Any]) -> list[dict[str, Any]]:
        return [
            {"params": params[:2], "lr": 0.1},
            {"params": params[2:4], "momentum": 0.0},
            {"params": params[4:]},
        ]

    mine = optim.SGD(groups(ours), lr=0.01, momentum=0.9)
    other = torch.optim.SGD(groups(theirs), lr=0.01, momentum=0.9)
    for step in range(20):
        grads = gradients(step)
        give(ours, grads)
        for q, g in zip(theirs, grads, strict=True):
            q.grad = None if g is None else torch.from_numpy(g)
        if step == 10:
            for opt in (mine, other):
                opt.param_groups[0]["lr"] = 0.2
                opt.param_groups[2]["weight_decay"] = 0.1
                opt.param_groups[2]["nesterov"] = True
        mine.step()
        other.step()
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-12)


def test_groups_may_be_added_later() -> None:
    a, b = one(), one()
    opt = optim.SGD([a], lr=1.0)
    a.grad = b.grad = np.ones(1)
    opt.step()
    opt.add_param_group({"params": [b], "lr": 0.5})
    opt.step()
    assert (a.item(), b.item()) == (-1.0, 0.5)
    assert [len(group["params"]) for group in opt.groups] == [1, 1]
    assert opt.param_groups is opt.groups


def test_state_appears_when_an_option_is_turned_on() -> None:
    a = one()
    opt = optim.SGD([a], lr=1.0)
    a.grad = np.ones(1)
    opt.step()
    opt.groups[0]["momentum"] = 0.5
    opt.step()
    opt.step()
    assert a.item() == 1 - 1 - 1 - 1.5
    assert opt.state_dict()["state"][0]["momentum_buffer"] == 1.5
    opt = optim.Adam([a])
    opt.step()
    opt.groups[0]["amsgrad"] = True
    opt.step()
    assert "max_square_sum" in opt.state_dict()["state"][0]


def test_the_learning_rate_can_be_read_and_set() -> None:
    a, b = one(), one()
    opt = optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=0.25)
    with pytest.raises(ValueError, match=r"different learning rates, \[0.25, 0.5\]: read opt.groups"):
        _ = opt.lr
    opt.lr = 2
    assert opt.lr == 2.0
    assert opt.groups[1]["lr"] == 2
    with pytest.raises(ValueError, match="lr=-1 must be at least 0"):
        opt.lr = -1
    a.grad = np.ones(1)
    opt.step()
    assert a.item() == -1.0


def test_a_schedule_is_given_the_number_of_steps_so_far() -> None:
    a, b = one(), one()
    asked = []

    def schedule(step: int) -> float:
        asked.append(step)
        return 0.5 / (step + 1)

    opt = optim.SGD([a, b], lr=schedule)
    asked.clear()
    a.grad = np.ones(1)
    opt.step()
    opt.step()
    b.grad = np.ones(1)  # its first update, the optimizer's third step
    opt.step()
    assert asked == [0, 1, 2]
    assert b.item() == 1 - 0.5 / 3
    assert opt.lr == 0.5 / 4


def test_repr_tells_groups_and_options() -> None:
    text = repr(optim.SGD(tensors(), lr=optim.cosine(0.1, 10), momentum=0.9))
    assert "SGD over 5 parameters, 49 elements" in text
    assert "lr=cosine" in text
    assert "momentum=0.9" in text


def test_names_come_from_pairs_dicts_and_modules() -> None:
    class Net:
        def named_parameters(self) -> Iterator[tuple[str, tn.Tensor]]:
            yield "fc.weight", one()
            yield "fc.bias", one()

    for params in (Net(), {"fc.weight": one(), "fc.bias": one()}, [("fc.weight", one()), ("fc.bias", one())]):
        assert [slot.name for slot in optim.SGD(params)._slots] == ["fc.weight", "fc.bias"]


# -- saved state ---------------------------------------------------------------------------------------------


def test_a_module_is_asked_for_its_parameters_and_not_run() -> None:
    class Refuses(nn.Module):
        def __init__(self) -> None:
            self.w = nn.Parameter([1.0])

        def forward(self, x: Any) -> Any:
            raise AssertionError("an optimizer was made, and the model ran")

    net, more = Refuses(), Refuses()
    opt = optim.SGD(net, lr=0.1)
    opt.add_param_group({"params": more, "lr": 0.2})
    optim.Adam(optim.param_groups(net, {"w": {"lr": 0.1}}))
    assert [group["params"] for group in opt.groups] == [[net.w], [more.w]]


@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS, ids=IDS)
def test_a_loaded_state_continues_bit_for_bit(name: str, options: dict[str, Any]) -> None:
    whole, first = tensors(), tensors()
    kind = getattr(optim, name)
    opt_whole, opt_first = kind(whole, **options), kind(first, **options)
    run(opt_whole, whole, range(13))
    run(opt_first, first, range(6))
    state = opt_first.state_dict()
    run(opt_first, first, range(6, 9))  # the saved state is a copy
    second = tensors(seed=5)
    for p, q in zip(second, whole, strict=True):
        p.data = np.zeros(q.shape)
    opt_second = kind(second, lr=123.0)
    fresh = tensors()
    opt_fresh = kind(fresh, **options)
    run(opt_fresh, fresh, range(6))
    for p, q in zip(second, fresh, strict=True):
        p.data = q
    opt_second.load_state_dict(state)
    run(opt_second, second, range(6, 13))
    for p, q in zip(second, whole, strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_the_state_is_plain_and_there_from_the_start() -> None:
    opt = optim.Adam(tensors(np.float32), amsgrad=True)
    state = opt.state_dict()
    assert list(state) == ["step", "state", "param_groups"]
    assert list(state["state"]) == [0, 1, 2, 3, 4]
    assert state["param_groups"][0]["params"] == [0, 1, 2, 3, 4]

    def plain(value: Any) -> bool:
        if isinstance(value, dict):
            return all(isinstance(k, (str, int)) and plain(v) for k, v in value.items())
        if isinstance(value, (list, tuple)):
            return all(map(plain, value))
        return type(value) in (int, float, bool, np.ndarray)

    assert plain(state)
    kept = state["state"][0]["grad_sum"]
    assert (kept.shape, kept.dtype, kept.flags.c_contiguous) == ((4, 3), np.float32, True)
    assert state["state"][3]["max_square_sum"].shape == ()


def test_a_schedule_stays_and_its_place_is_taken_over() -> None:
    schedule = optim.exponential(1.0, 0.5)
    a, b, c = one(), one(), one()
    opt = optim.SGD([a], lr=schedule)
    for _ in range(3):
        opt.step()
    state = opt.state_dict()
    assert state["param_groups"][0]["lr"] == 0.125
    other = optim.SGD([b], lr=schedule)
    other.load_state_dict(state)
    assert other.lr == 0.125
    other.step()
    assert other.lr == 0.0625
    plain = optim.SGD([c], lr=7.0)
    plain.load_state_dict(state)
    assert plain.groups[0]["lr"] == 0.125


def test_a_state_that_does_not_fit_is_reported_whole_and_changes_nothing() -> None:
    named = [(f"layer.{i}", p) for i, p in enumerate(tensors())]
    opt = optim.SGD(named, lr=0.1, momentum=0.9)
    before = opt.state_dict()
    state = opt.state_dict()
    state["step"] = 99
    del state["state"][1]
    del state["state"][2]["momentum_buffer"]
    state["state"][3]["extra"] = 1
    state["state"][4]["momentum_buffer"] = np.zeros((7, 7))
    state["state"][9] = {}
    state["param_groups"][0]["alpha"] = 0.5
    del state["param_groups"][0]["dampening"]
    with pytest.raises(ValueError, match="does not fit") as caught:
        opt.load_state_dict(state)
    for line in [
        "state: missing 1",
        "state: unexpected 9",
        "group 0: missing 'dampening'",
        "group 0: unexpected 'alpha'",
        "state of layer.2, at 2: missing 'momentum_buffer'",
        "state of layer.3, at 3: unexpected 'extra'",
        "state of layer.4, at 4: momentum_buffer has shape (7, 7), this optimizer's (2, 3, 2)",
    ]:
        assert line in str(caught.value)
    np.testing.assert_equal(opt.state_dict(), before)
    with pytest.raises(ValueError, match="the whole: missing 'step', 'param_groups'"):
        opt.load_state_dict({"state": {}})
    state = opt.state_dict()
    state["param_groups"] = []
    with pytest.raises(ValueError, match="0 parameter groups, this optimizer has 1"):
        opt.load_state_dict(state)
    with pytest.raises(ValueError, match="group 0: 1 parameters, this optimizer's has 5"):
        opt.load_state_dict(optim.SGD([one()], momentum=0.9).state_dict())
    with pytest.raises(ValueError, match="unexpected 'grad_sum', 'square_sum'"):
        opt.load_state_dict(optim.Adam(tensors()).state_dict())


def _nested(m: Any, values: Any) -> Any:
    """A model with parameters of its own after its layers, by the same lines here and in PyTorch."""

    class Net(m.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = m.TransformerEncoderLayer(4, 2, 8, batch_first=True)
            self.blocks = m.ModuleList([m.LSTM(4, 3, 2, bidirectional=True), m.Sequential(m.Linear(3, 4))])
            self.scale = m.Parameter(values(4))
            self.attention = m.MultiheadAttention(4, 2, add_bias_kv=True)
            self.shift = m.Parameter(values(2))

    return Net()


@pytest.mark.parametrize("named", [False, True], ids=["by position", "by name"])
def test_the_state_of_torchs_optimizer_of_a_model_goes_to_the_parameters_it_is_of(named: bool) -> None:
    torch = pytest.importorskip("torch", minversion="2.6" if named else None)  # its optimizers had no names before
    theirs = _nested(torch.nn, torch.zeros)
    mine = _nested(nn, np.zeros).astype("float32")
    mine.load_state_dict(theirs.state_dict())
    given = list(theirs.named_parameters())[::-1] if named else theirs.parameters()
    other = torch.optim.Adam(given, lr=0.1)
    opt = optim.Adam(mine if named else mine.parameters(), lr=0.5)
    r = np.random.default_rng(0)
    for step in range(3):
        if step == 2:
            mine.load_state_dict(theirs.state_dict())
            opt.load_state_dict(other.state_dict())
        ours = dict(mine.named_parameters())
        for name, q in theirs.named_parameters():
            g = r.normal(size=q.shape).astype(np.float32)
            q.grad, ours[name].grad = torch.tensor(g), g
        other.step()
        opt.step()
    for name, q in theirs.named_parameters():
        np.testing.assert_allclose(ours[name].data, q.detach().numpy(), rtol=2e-5, atol=1e-7, err_msg=name)


def test_a_state_with_names_goes_by_them() -> None:
    def named() -> list[tuple[str, tn.Tensor]]:
        return [("a", one(1.0)), ("b", one(2.0)), ("c", one(3.0))]

    first, second = named(), named()[::-1]
    opt = optim.SGD([{"params": first[:1]}, {"params": first[1:]}], lr=0.1, momentum=0.9)
    for i, (_, p) in enumerate(first):
        p.grad = [float(i)]
    opt.step()
    state = opt.state_dict()
    assert [group["param_names"] for group in state["param_groups"]] == [["a"], ["b", "c"]]
    again = optim.SGD([{"params": second[2:]}, {"params": second[:2]}], lr=0.1, momentum=0.9)
    again.load_state_dict(state)
    assert {slot.name: slot.state["momentum_buffer"].item() for slot in again.slots} == {"a": 0, "b": 1, "c": 2}
    assert all(slot.step == 1 for slot in again.slots)
    with pytest.raises(ValueError, match=r"group 0 .* missing c, missing b, unexpected a\. To go by their order"):
        optim.SGD([{"params": second[:2]}, {"params": second[2:]}], lr=0.1, momentum=0.9).load_state_dict(state)
    unnamed = optim.SGD([{"params": [one()]}, {"params": [one(), one()]}], lr=0.1, momentum=0.9)
    unnamed.load_state_dict(state)
    assert "param_names" not in unnamed.state_dict()["param_groups"][0]
    np.testing.assert_equal(unnamed.state_dict()["state"], state["state"])
    half = [(name, tn.tensor(p.numpy().astype("float16"), requires_grad=True)) for name, p in first]
    masters = optim.MasterWeights(optim.SGD, half, lr=0.1)
    turned = optim.MasterWeights(
        optim.SGD, [(n, tn.tensor(p.numpy() * 0, requires_grad=True)) for n, p in half[::-1]], lr=0.1
    )
    turned.load_state_dict(masters.state_dict())
    assert [m.item() for m in turned.masters()] == [m.item() for m in masters.masters()][::-1]
    vectors = optim.LBFGS(first).state_dict()
    with pytest.raises(ValueError, match="vectors over a, b, c, in this order"):
        optim.LBFGS(second).load_state_dict(vectors)


@pytest.mark.parametrize("kind", ["warning", "step", "option", "dtype"])
def test_a_state_that_cannot_be_loaded_changes_nothing(kind: str) -> None:
    w, v = tn.tensor(np.ones(2, np.float32), requires_grad=True), tn.tensor(np.ones(3, np.float32), requires_grad=True)
    opt = optim.Adam([w, v])
    state = opt.state_dict()
    state["state"][0]["grad_sum"] = np.full(2, 7.0)
    state["param_groups"][0]["lr"] = 0.5
    if kind == "warning":
        state["state"][1]["grad_sum"] = np.full(3, 1e300)  # overflows in float32
    elif kind == "step":
        state["step"] = "many"
    elif kind == "option":
        state["param_groups"][0]["betas"] = (0.9, 2.0)
    else:
        state["state"][1]["grad_sum"] = np.full(3, 1j)
    before = opt.state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((RuntimeWarning, ValueError), match=r"overflow|invalid literal|betas|complex128"):
            opt.load_state_dict(state)
    np.testing.assert_equal(opt.state_dict(), before)


# -- interrupts ------------------------------------------------------------------------------------------------


class _Interrupt(BaseException):
    """As that of a signal."""


def _interrupted(act: Callable[[], Any], at: int) -> bool:
    """Whether the act got as far as to its line number `at` in the optimizers' own code; it was broken off there."""
    count, folder = 0, os.path.dirname(optim.__file__)

    def trace(frame: Any, event: str, arg: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(folder):
            return None
        if event == "line":
            count += 1
            if count == at:
                raise _Interrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    except _Interrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("moved", [False, True], ids=["in place", "moved"])
@pytest.mark.parametrize("make", [
    lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9),
    lambda ps: optim.Adam([{"params": ps[:1]}, {"params": ps[1:], "lr": 0.1}]),
    lambda ps: optim.LAMB(ps, lr=0.1),
], ids=["SGD", "Adam", "LAMB"])  # fmt: skip
def test_a_first_step_that_is_interrupted_anywhere_may_be_taken_again(make: Any, moved: bool) -> None:
    def start() -> tuple[list[tn.Tensor], optim.Optimizer, Any]:
        params = [tn.tensor(np.full((2, 2), float(i)), requires_grad=True) for i in range(3)]
        opt = make(params)
        if moved:
            params[1]._rebind(params[1].data.copy())
        params[0].grad, params[2].grad = np.ones((2, 2)), np.full((2, 2), -1.0)
        return params, opt, (opt.state_dict(), [p.data.copy() for p in params])

    params, opt, _ = start()
    opt.step()
    expected, state = [p.data.copy() for p in params], opt.state_dict()
    at = 1
    while True:
        params, opt, (before, values) = start()
        if not _interrupted(opt.step, at):
            break
        try:
            np.testing.assert_equal((opt.state_dict(), [p.data for p in params]), (before, values))
        except AssertionError:  # it had begun to write
            for p, value in zip(params, values, strict=True):
                p.data = value
            opt.load_state_dict(before)
        opt.step()
        for p, value in zip(params, expected, strict=True):
            np.testing.assert_array_equal(p.data, value, err_msg=f"interrupted at {at}")
        np.testing.assert_equal(opt.state_dict(), state, err_msg=f"interrupted at {at}")
        at += 1
    assert at > 40


# -- what came to the model later --------------------------------------------------------------------------------


def _model() -> Any:
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    net(np.ones((1, 2)))
    return net


GIVEN: dict[str, Callable[[Any], Any]] = {
    "the module": lambda net: optim.SGD(net, lr=0.1),
    "parameters": lambda net: optim.SGD(net.parameters(), lr=0.1),
    "a list": lambda net: optim.Adam([p for p in net.parameters() if p.requires_grad]),
    "groups": lambda net: optim.SGD(
        [{"params": net[0].parameters()}, {"params": net[2].parameters(), "lr": 1.0}], lr=0.1
    ),
    "the head alone": lambda net: optim.LAMB(net[2].parameters()),
    "patterns": lambda net: optim.SGD(optim.param_groups(net, {"0.*": {"lr": 0.5}}), lr=0.1),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("given", GIVEN)
def test_a_layer_that_is_replaced_after_the_optimizer_was_made_is_told_once(given: str, compiled: bool) -> None:
    net = _model()
    opt = GIVEN[given](net)

    def step() -> None:
        net.zero_grad()
        net(np.ones((4, 2), np.float32)).sum().backward()
        opt.step()

    run = tn.compile(step) if compiled else step
    run()
    net[2] = nn.Linear(3, 1)
    with pytest.warns(RuntimeWarning, match=r"step leaves out 2 .* have gradients: Sequential\.2 came after") as told:
        run()
    assert [w.filename for w in told] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run()


def test_layers_that_somebody_updates_or_nobody_uses_are_not_told() -> None:
    net = _model()
    opt = optim.SGD(net, lr=0.1)

    def step(*opts: Any) -> None:
        net.zero_grad()
        net(np.ones((4, 2), np.float32)).sum().backward()
        for each in opts:
            each.step()

    step(opt)
    net[1].teacher = nn.Linear(2, 2)  # used by nobody
    net[0].teacher = nn.Linear(2, 2)
    step(opt)
    step(opt)
    net[2] = nn.Linear(3, 1)  # has an optimizer of its own
    other = optim.SGD(net[2].parameters(), lr=0.1)
    step(opt, other)
    net[0] = nn.Linear(2, 3)  # is added
    opt.add_param_group({"params": net[0].parameters()})
    step(opt, other)
    net[2] = nn.Linear(3, 1).half()  # stored in 16 bits
    masters = optim.MasterWeights(optim.SGD, net[2], lr=0.1)
    step(opt, masters)
    net[2] = nn.Linear(3, 1).requires_grad_(False)  # frozen
    step(opt)
    net[2] = nn.Identity()
    step(opt)
    assert not opt._newcomers
    net = _model()  # another model, while the optimizer of the first is alive
    step()
    assert not opt._newcomers


def test_a_parametrization_that_makes_parameters_after_the_optimizer_is_told() -> None:
    layer = nn.Linear(2, 3, bias=False)
    opt = optim.SGD(layer, lr=0.1)
    nn.utils.parametrizations.weight_norm(layer)
    layer(np.ones((4, 2), np.float32)).sum().backward()
    with pytest.warns(RuntimeWarning, match=r"leaves out 2 .*: Linear\.parametrizations came after"):
        opt.step()
    layer = nn.Linear(2, 2, bias=False)
    opt = optim.SGD(layer, lr=0.1)
    nn.utils.parametrizations.spectral_norm(layer)  # computed from the same parameter
    layer(np.ones((4, 2), np.float32)).sum().backward()
    opt.step()


def test_what_comes_to_a_model_between_its_gradients_and_the_step_is_told_at_the_next() -> None:
    net = _model()
    opt, masters = optim.SGD(net[0], lr=0.1), optim.MasterWeights(optim.SGD, net[2].half(), lr=0.1)
    net(np.ones((4, 2), np.float32)).sum().backward()
    net.insert(2, nn.Linear(3, 3))
    opt.step()
    net.zero_grad()
    net(np.ones((4, 2), np.float32)).sum().backward()
    with pytest.warns(RuntimeWarning, match=r"^SGD\.step leaves out 2 .*: Sequential\.2 came after"):
        opt.step()
    net[3] = nn.Linear(3, 1)
    net(np.ones((4, 2), np.float32)).sum().backward()
    with pytest.warns(RuntimeWarning, match=r"^MasterWeights\.step leaves out 2 .*: Sequential\.3 came after"):
        masters.step()
    steps = opt.state_dict()["step"]
    net[0] = nn.Linear(2, 3)
    net(np.ones((4, 2), np.float32)).sum().backward()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match=r"leaves out 4 .*: Sequential\.3, Sequential\.0 came after"):
            opt.step()
        assert opt.state_dict()["step"] == steps
        opt.step()


# -- errors at construction ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (
            lambda: [],
            ValueError,
            r"SGD got no parameters. Did you pass net.parameters\(\)\? .* attributes that",
        ),
        (lambda: iter(()), ValueError, r"got no parameters"),
        (lambda: [{"params": [one()]}, {"params": []}], ValueError, r"SGD, group 1 got no parameters"),
        (lambda: one(), TypeError, r"got one tensor: put it in a list"),
        (lambda: {one()}, TypeError, r"a set has no order: give a list"),
        (
            lambda: [one(), np.zeros(2)],
            TypeError,
            r"parameter 1 is of type ndarray, not a tensor; give net.par",
        ),
        (lambda: [("w", 1.0)], TypeError, r"parameter 'w' is of type float"),
        (lambda: [one() * 2], ValueError, r"is the result of op 'multiply', and an optimizer updates leaves"),
        (
            lambda: [tn.tensor([1.0])],
            ValueError,
            r"parameter 0 of shape \(1,\) needs no gradient: call requires",
        ),
        (
            lambda: [p := one(), p],
            ValueError,
            r"parameter 1 .* given already, as parameter 0 of shape \(1,\)",
        ),
        (
            lambda: [{"params": [p := one()]}, {"params": [p]}],
            ValueError,
            r"group 1: .* give each parameter once",
        ),
        (
            lambda: [{"params": [one()], "lrate": 1}],
            TypeError,
            r"no option 'lrate'; its keys are params, lr, mom",
        ),
        (lambda: [{"lr": 1}], TypeError, r"a group needs 'params'"),
    ],
)
def test_wrong_parameters(params: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        optim.SGD(params())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (({"lr": 0.1},), r"Mine: the base takes .* the options by name, lr among them: .*, not a dict of defaults"),
        ((), r"Mine: the base takes the parameters, and the options by name, lr among them: super\(\)"),
    ],
)
def test_a_class_that_gives_no_options_to_its_base(given: Any, message: str) -> None:
    class Mine(optim.Optimizer):
        def __init__(self, params: Any = None) -> None:
            super().__init__(params, *given)

    with pytest.raises(TypeError, match=message):
        Mine([tn.tensor([1.0], requires_grad=True)])
