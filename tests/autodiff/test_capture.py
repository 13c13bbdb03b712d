"""What a capture keeps beside the ops: how to put everything back, what became of gradients, what the step depends on,
and the errors for what a replay could not follow."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim
from tapenet.autodiff.node import Leaf, Traced
from tapenet.autodiff.observe import epoch
from tapenet.autodiff.observe.capture import Capture, GradUse, capturing
from tapenet.autodiff.observe.layer import CallStep
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.ops import random
from tapenet.ops.op import Op
from tapenet.program.value_keys import Same
from tests.replay import Replay


def here(offset: int = 0) -> str:
    """A pattern for this file and the line of the caller, plus an offset."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return rf"{re.escape(__file__)}:{frame.f_back.f_lineno + offset} "


def leaf(t: tn.Tensor) -> Leaf:
    assert isinstance(t.node, Leaf)
    return t.node


def use(capture: Capture, t: tn.Tensor) -> GradUse:
    return capture.grads[leaf(t)]


# -- putting everything back -------------------------------------------------------------------------------------


def test_restores_run_once_per_key_the_latest_first() -> None:
    log: list[str] = []
    capture = Capture()
    for key in ("a", "b", "a"):
        assert capture.saves(key) == (len(capture._undo) == 2)
        capture.before(key, lambda key=key: log.append(key))  # type: ignore[misc]
    capture.rollback()
    assert log == ["b", "a"]
    capture.rollback()
    assert log == ["b", "a"]


def test_a_step_that_fails_leaves_everything_as_it_was() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.fc = nn.Linear(3, 4, rng=0)
            self.norm = nn.BatchNorm1d(4)
            self.drop = nn.Dropout(0.5, rng=np.random.default_rng(5))

        def forward(self, x: Any) -> Any:
            return self.drop(self.norm(self.fc(x)))

    net = Net()
    random.seed(3)
    opt = optim.Adam(net.parameters(), lr=optim.exponential(0.1, 0.9))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)

    def step() -> None:
        opt.zero_grad()
        loss = (net(x) ** 2).sum() + tn.random.normal(size=2).sum()
        loss.backward()
        optim.clip_grad_norm(net.parameters(), 0.1)
        opt.step()

    step()
    held = [p.grad for p in net.parameters()]
    values = copy.deepcopy([g.numpy() for g in held if g is not None])
    before = copy.deepcopy((net.state_dict(), opt.state_dict()))
    generators = random.generator(), net.drop.rng
    states = [g.bit_generator.state for g in generators if g is not None]

    def fail() -> None:
        step()
        net.fc.bias.grad = None
        step()
        with tn.no_grad():
            net.fc.weight[0] = 1.0
        net.fc.weight.requires_grad_(False)
        raise ZeroDivisionError

    capture = Capture()
    with pytest.raises(ZeroDivisionError), capture:
        fail()
    assert net.state_dict()["norm.num_batches_tracked"] == 3
    assert opt.state_dict()["step"] == 3
    capture.rollback()
    after = net.state_dict(), opt.state_dict()
    for name, value in before[0].items():
        np.testing.assert_array_equal(after[0][name], value)
    assert after[1]["step"] == before[1]["step"] == 1
    for i, entry in before[1]["state"].items():
        for name, value in entry.items():
            np.testing.assert_array_equal(after[1]["state"][i][name], value)
    assert random.generator() is generators[0]
    assert [g.bit_generator.state for g in generators if g is not None] == states
    assert all(p.requires_grad for p in net.parameters())
    for p, g, value in zip(net.parameters(), held, values, strict=True):
        assert p.grad is g
        assert g is not None
        np.testing.assert_array_equal(g.numpy(), value)


def test_tensors_that_share_memory_are_put_back() -> None:
    a = np.arange(4.0)
    whole, part = tn.asarray(a), tn.asarray(a[1:3])
    capture = Capture()
    with capture:
        part.data = part * 10
        whole.data = whole + 1
        part.data = part * 10
    assert a[1] != 1.0
    capture.rollback()
    np.testing.assert_array_equal(a, np.arange(4.0))


def test_a_seed_in_the_step_is_put_back_and_replayed() -> None:
    random.seed(0)
    first = random.generator()
    x = tn.tensor(1.0)
    capture = Capture()
    with capture:
        random.seed(7)
        y = x * tn.random.uniform(size=3)
    replay = Replay(capture, [x], y)
    random.seed(7)
    expected = random.uniform(size=3)
    for _ in range(2):
        np.testing.assert_array_equal(replay(np.array(1.0)), expected)
    capture.rollback()
    assert random.generator() is first
    random.seed(0)
    expected = random.uniform(size=3)
    random._default = first
    np.testing.assert_array_equal(random.uniform(size=3), expected)


def test_a_process_without_generator_has_none_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "_default", None)
    capture = Capture()
    with capture:
        tn.random.integers(3)
    assert random._default is not None
    capture.rollback()
    assert random._default is None


def test_an_inner_capture_tells_the_outer_one() -> None:
    w = tn.tensor([1.0, 2.0], requires_grad=True)
    b = tn.tensor([0.0, 0.0])
    module = nn.Linear(2, 1, dtype=np.float64)
    outer, inner = Capture(), Capture()
    with outer:
        w.data = w * 2
        trace = w._trace
        with inner:
            assert capturing() is inner
            w.data = w * 3
            b.data = w
            (w * w).sum().backward()
            module(w)
        assert w._trace is trace
        assert b._trace is None
    np.testing.assert_array_equal(w.data, [6.0, 12.0])
    assert outer.grads.keys() == inner.grads.keys() == {leaf(w)}
    assert [owner for owner, _, _ in outer.dependencies] == [owner for owner, _, _ in inner.dependencies] == [module]
    inner.rollback()
    np.testing.assert_array_equal(w.data, [2.0, 4.0])
    outer.rollback()
    np.testing.assert_array_equal(w.data, [1.0, 2.0])
    np.testing.assert_array_equal(b.data, [0.0, 0.0])
    assert w.grad is None


# -- what became of gradients ------------------------------------------------------------------------------------


def told(u: GradUse) -> set[str]:
    return {name for name in ("entry_read", "user_read", "consumed") if getattr(u, name)}


def _train(w: tn.Tensor, opt: optim.Optimizer) -> None:
    opt.zero_grad()
    (w * w).sum().backward()
    opt.step()


def _accumulate(w: tn.Tensor, opt: optim.Optimizer) -> None:
    (w * w).sum().backward()
    opt.step()


def _clear_afterwards(w: tn.Tensor, opt: optim.Optimizer) -> None:
    _accumulate(w, opt)
    opt.zero_grad()


def _look(w: tn.Tensor, opt: optim.Optimizer) -> None:
    w.grad = None
    (w * w).sum().backward()
    tn.sum(w.grad)


def _look_first(w: tn.Tensor, opt: optim.Optimizer) -> None:
    assert w.grad is None or w.grad.shape == (2,)
    w.grad = None


def _step_first(w: tn.Tensor, opt: optim.Optimizer) -> None:
    opt.step()
    opt.zero_grad()
    (w * w).sum().backward()


def _clip(w: tn.Tensor, opt: optim.Optimizer) -> None:
    opt.zero_grad()
    (w * w).sum().backward()
    optim.clip_grad_norm([w], 0.1)
    optim.clip_grad_value([w], 0.05)
    opt.step()


def _clip_first(w: tn.Tensor, opt: optim.Optimizer) -> None:
    optim.clip_grad_value([w], 0.05)
    w.grad = np.ones(2)


def _set(w: tn.Tensor, opt: optim.Optimizer) -> None:
    w.grad = np.ones(2)
    opt.step()
    w.grad = np.zeros(2)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (_train, {"consumed"}),
        (_accumulate, {"entry_read", "consumed"}),
        (_clear_afterwards, {"entry_read", "consumed"}),
        (_look, {"user_read"}),
        (_look_first, {"entry_read", "user_read"}),
        (_step_first, {"entry_read"}),
        (_clip, {"consumed"}),
        (_clip_first, {"entry_read"}),
        (_set, set()),
        (lambda w, opt: opt.zero_grad(), set()),
    ],
)
@pytest.mark.parametrize("held", [False, True])
def test_what_a_step_does_with_a_gradient(step: Any, expected: set[str], held: bool) -> None:
    w = tn.tensor([1.0, 2.0], requires_grad=True)
    opt = optim.SGD([w], lr=0.1)
    w.grad = np.ones(2) if held else None
    before = w.grad
    with Capture() as capture:
        step(w, opt)
    assert list(capture.grads) == [leaf(w)]
    assert use(capture, w).before is before
    assert told(use(capture, w)) == expected
    assert ("None" in repr(use(capture, w))) == (not held)
    capture.rollback()
    assert w.grad is before


def test_each_leaf_is_told_of_by_itself() -> None:
    a, b, c = (tn.tensor([1.0], requires_grad=True) for _ in range(3))
    opt = optim.SGD([b], lr=0.1)
    with Capture() as capture:
        opt.zero_grad()
        (a * b).sum().backward()
        opt.step()
        tn.grad(lambda x: (x * c).sum())(c)
    assert capture.grads.keys() == {leaf(a), leaf(b)}
    assert told(use(capture, a)) == {"entry_read"}
    assert told(use(capture, b)) == {"consumed"}


def test_nothing_is_noted_without_a_capture() -> None:
    w = tn.tensor([1.0], requires_grad=True)
    capture = Capture()
    with capture:
        pass
    with tn.Tape():
        (w * w).sum().backward()
        assert w.grad is not None
        w.grad = None
    assert not capture.grads


# -- randomness --------------------------------------------------------------------------------------------------

SAMPLERS: dict[str, Callable[..., Any]] = {
    "uniform": lambda **k: random.uniform(-1, 2, (2, 3), np.float32, **k),
    "normal": lambda **k: random.normal(1, 2, 4, **k),
    "integers": lambda **k: random.integers(3, 9, (2, 2), np.int32, **k),
    "bernoulli": lambda **k: tn.random.bernoulli(0.3, (3,), np.float32, **k),
    "permutation": lambda **k: random.permutation(5, **k),
    "random_draw": lambda **k: tn.random_draw(lambda rng: rng.gamma(2.0, size=3), **k),
    "dropout": lambda **k: tn.dropout(np.ones((3, 4), np.float32), 0.5, **k),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_replay_draws_what_eager_draws(name: str) -> None:
    draw = SAMPLERS[name]
    x = tn.tensor(1.0)
    random.seed(1)
    eager = [draw() for _ in range(4)]
    random.seed(1)
    assert type(draw()) is np.ndarray
    with Capture() as capture:
        drawn = draw()
        assert type(drawn) is tn.Tensor
        assert drawn.dtype == eager[0].dtype
        result = x * drawn
    np.testing.assert_array_equal(drawn.data, eager[1])
    replay = Replay(capture, [x], result)
    for expected in eager[2:]:
        np.testing.assert_array_equal(replay(np.array(1.0)), expected)
    random.seed(1)  # the generator of the moment, not that of the capture
    np.testing.assert_array_equal(replay(np.array(1.0)), eager[0])


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_integer_means_a_new_generator_at_each_replay(name: str) -> None:
    draw = SAMPLERS[name]
    x = tn.tensor(1.0)
    with Capture() as capture:
        result = x * draw(rng=4)
    replay = Replay(capture, [x], result)
    for _ in range(2):
        np.testing.assert_array_equal(replay(np.array(1.0)), draw(rng=4))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_generator_is_drawn_from_at_each_replay_and_put_back(name: str) -> None:
    draw = SAMPLERS[name]
    x = tn.tensor(1.0)
    rng = np.random.default_rng(6)
    eager = [draw(rng=rng) for _ in range(3)]
    rng = np.random.default_rng(6)
    with Capture() as capture:
        result = x * draw(rng=rng)
    replay = Replay(capture, [x], result)
    for expected in eager[1:]:
        np.testing.assert_array_equal(replay(np.array(1.0)), expected)
    capture.rollback()
    np.testing.assert_array_equal(draw(rng=rng), eager[0])


def test_initial_values_of_a_module_made_in_the_step_are_drawn_anew() -> None:
    x = tn.tensor(np.ones((1, 3), np.float32))
    random.seed(2)
    eager = [nn.Linear(3, 2)(x).data for _ in range(3)]
    random.seed(2)
    with Capture() as capture:
        result = nn.Linear(3, 2)(x)
    replay = Replay(capture, [x], result)
    np.testing.assert_array_equal(result.data, eager[0])
    for expected in eager[1:]:
        np.testing.assert_array_equal(replay(np.ones((1, 3), np.float32)), expected)


def test_draws_and_host_numbers_stay_arrays_on_a_tape_that_does_not_capture() -> None:
    with tn.Tape() as plain:
        assert type(tn.random.uniform(size=3)) is np.ndarray
        assert type(tn.host(lambda: 0.5)) is np.ndarray
    assert len(plain) == 0


# -- what a step depends on --------------------------------------------------------------------------------------


def test_the_epoch_rises_with_what_it_is_about() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    w = tn.tensor([1.0], requires_grad=True)
    opt = optim.SGD(net.parameters(), lr=0.1)

    def set_attribute() -> None:
        net.extra = 3

    def delete_attribute() -> None:
        del net.extra

    def group(key: str, value: Any) -> None:
        opt.groups[0][key] = value

    changes: list[Callable[[], Any]] = [
        set_attribute,
        delete_attribute,
        net.eval,
        lambda: net.append(nn.Tanh()),
        lambda: net.astype(np.float64),
        lambda: w.requires_grad_(False),
        lambda: w.requires_grad_(True),
        lambda: optim.SGD([w]),
        lambda: opt.add_param_group({"params": [w]}),
        lambda: group("momentum", 0.5),
        lambda: group("lr", optim.constant(0.1)),
        lambda: opt.groups[0].update(weight_decay=0.1),
        lambda: opt.groups[0].setdefault("new", 1),
        lambda: opt.groups[0].pop("new"),
        lambda: copy.deepcopy(w),
    ]
    for change in changes:
        before = epoch.current
        change()
        assert epoch.current > before, inspect.getsource(change)


def test_the_epoch_stays_while_training_goes_on() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5)).train()
    opt = optim.Adam(net.parameters(), lr=0.1)
    x = np.ones((3, 2), np.float32)
    state = net.state_dict()
    opt.zero_grad()
    net(x).sum().backward()
    opt.step()
    before = epoch.current
    for _ in range(2):
        net.train()
        opt.zero_grad()
        net(tn.tensor(x, requires_grad=True)).sum().backward()
        opt.lr = 0.05
        opt.step()
        net.load_state_dict(state)
        net.zero_grad()
        tn.grad(lambda a: (a * a).sum())(x)
        b = tn.tensor([0.0, 1.0])
        b[0] = 2.0
        b.data = [1.0, 2.0]
    assert epoch.current == before


def test_dependencies_are_registered_once_per_owner_and_compare() -> None:
    owner, state = object(), [1]
    capture = Capture()
    with capture:
        assert not capture.knows(owner)
        capture.depend(owner, lambda: tuple(state))
        state.append(2)
        capture.depend(owner, lambda: tuple(state))
        assert capture.knows(owner)
        capture.depend(owner, lambda: len(state), again=True)
    assert [(o, value) for o, _, value in capture.dependencies] == [(owner, (1,)), (owner, 2)]
    assert [fingerprint() == value for _, fingerprint, value in capture.dependencies] == [False, True]


def test_the_same_object_is_equal_to_itself_alone() -> None:
    a, b = [1], [1]
    assert Same(a) == Same(a)
    assert Same(a) != Same(b)
    assert Same(a) != a
    assert hash(Same(a)) == hash(Same(a))
    assert repr(Same(a)) == "<the same list>"


# -- values that a replay could not follow -----------------------------------------------------------------------


def _branch(t: tn.Tensor) -> Any:
    return 1 if t else 0


ASK: dict[str, Callable[[tn.Tensor], Any]] = {
    "bool": bool,
    "float": float,
    "int": int,
    "complex": complex,
    "index": lambda t: range(t.astype(int)),
    "index of a list": lambda t: [1, 2, 3][t.astype(int)],
    "item": lambda t: t.item(),
    "numpy": lambda t: t.numpy(),
    "data": lambda t: t.data,
    "tolist": lambda t: t.tolist(),
    "np.asarray": np.asarray,
    "np.array of several": lambda t: np.array([t, t]),
    "a number of NumPy": np.float64,
    "in": lambda t: 1.0 in t,
    "in a list": lambda t: t in [2.0, 1.0],
    "if": _branch,
    "not": lambda t: not t,
    "and": lambda t: t and 1,
    "a chain": lambda t: 0 < t < 3,
    "str": str,
    "f-string": lambda t: f"{t}",
    "format": lambda t: f"{t:.2f}",
    "percent": lambda t: "%s" % t,  # noqa: UP031
    "print": print,
    "array_equal": lambda t: bool(np.array_equal(t, 1.0)),
    "an unknown ufunc": lambda t: np.frompyfunc(abs, 1, 1)(t),
    "max of Python": lambda t: max(t, 1.0),
    "sorted": lambda t: sorted([t, t * 2]),
    "round": lambda t: range(int(t)),
}


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK)
@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("needs", [False, True])
def test_a_value_cannot_be_asked_for(ask: Callable[[tn.Tensor], Any], outside: bool, needs: bool) -> None:
    x = tn.tensor(1.0, requires_grad=needs)
    with Capture():
        y = x if outside else x * 2
        with pytest.raises(CaptureError, match=rf"^{re.escape(__file__)}:\d+ (asks for|gives )"):
            ask(y)


def test_the_error_names_the_line_and_the_fix() -> None:
    x = tn.tensor(1.0)
    with Capture():
        y = x * 2
        with pytest.raises(CaptureError, match=here(1) + r"asks for a bool\(\), .* captured; .*np.where"):
            assert y
        with pytest.raises(CaptureError, match=here(1) + r"asks for its text \(by print.*return it from the captured"):
            print(y)
        with pytest.raises(CaptureError, match=here(1) + r"asks for \.item\(\), .* from outside .*to its \.data"):
            x.item()
        with pytest.raises(CaptureError, match=here(1) + r"gives abs \(vectorized\) a tensor .*tn\.op"):
            np.frompyfunc(abs, 1, 1)(y)
        with pytest.raises(CaptureError, match=here(1) + r"asks for an ndarray \(np.asarray\)"):
            np.testing.assert_array_equal(np.ones(1), y)
        with pytest.raises(CaptureError, match=here(1) + r"asks for an ndarray .*: tn\.asarray\(array\)\[index\]"):
            np.ones(3)[tn.astype(y, int)]


def test_assigning_to_an_array_says_why_numpy_refuses() -> None:
    x = tn.tensor(1.0)
    a = np.zeros(2)
    with Capture():
        y = x * 2
        with pytest.raises(ValueError, match="setting an array element") as caught:
            a[0] = y
    assert isinstance(caught.value.__cause__, CaptureError)
    assert str(caught.value.__cause__).startswith(__file__)


def test_what_does_not_depend_on_values_can_be_asked_for() -> None:
    x = tn.tensor([[1.0, 2.0]], requires_grad=True)
    with Capture():
        y = x * 2
        assert repr(y) == f"{y!r}" == "<captured Tensor float64 (1, 2)>"
        assert repr([y]) == "[<captured Tensor float64 (1, 2)>]"
        assert "requires_grad" in repr(x)
        assert (len(y), y.shape, y.ndim, y.size, y.dtype, y.nbytes) == (1, (1, 2), 2, 2, np.float64, 16)
        (row,) = y
        assert [v.shape for v in row] == [(), ()]
        assert y.requires_grad
        assert y is not None
    assert str(y) == repr(y)
    assert f"{y.sum():.1f}" == "6.0"


def test_a_tensor_made_in_the_step_is_made_anew_at_each_replay() -> None:
    x = tn.tensor([1.0, 2.0])
    with Capture() as capture:
        a = tn.tensor([10.0, 20.0])
        a[0] = x[0]
        b = tn.tensor(x, dtype=np.float32)
        c = tn.tensor(x)
        c.data = c + 1
        w = tn.tensor(x * 2, requires_grad=True)
        (w * w).sum().backward()
        d = copy.deepcopy(a)
        result = tn.concatenate([a, b.astype(float), c, w.grad, d])
    assert b.dtype == np.float32
    replay = Replay(capture, [x], result)
    for _ in range(2):
        np.testing.assert_array_equal(replay(np.array([3.0, 4.0])), [3, 20, 3, 4, 4, 5, 12, 16, 3, 20])
    np.testing.assert_array_equal(x.data, [1.0, 2.0])


# -- changes outside that a replay could not repeat --------------------------------------------------------------


def test_items_of_a_tensor_from_outside_cannot_be_set() -> None:
    x, y = tn.tensor([1.0, 2.0]), tn.tensor([1.0], requires_grad=True) * 2
    buffer = nn.Buffer([0.0, 0.0])
    with Capture() as capture:
        for t in (x, y):
            words = r"changes a tensor from outside by {} .*t = t.copy\(\).*nn.Buffer"
            with pytest.raises(CaptureError, match=here(1) + words.format("item assignment")):
                t[0] = 5.0
            with pytest.raises(CaptureError, match=here(1) + words.format(r"\+=")):
                t += 5.0
        z = x.copy()
        z[0] = 5.0
        buffer[0] = z[0]
    np.testing.assert_array_equal(x.data, [1.0, 2.0])
    np.testing.assert_array_equal(z.data, [5.0, 2.0])
    np.testing.assert_array_equal(buffer.data, [5.0, 0.0])
    assert [node.name for node in capture] == ["copy", "setitem", "getitem", "setitem", "assign"]


def test_a_tape_inside_a_capture_is_refused() -> None:
    with Capture() as capture:
        with pytest.raises(CaptureError, match=here(1) + r"enters a tn.Tape\(\) .*around the call"):
            tn.Tape().__enter__()
        assert tn.tape() is capture


def test_options_of_an_optimizer_cannot_be_set() -> None:
    opt = optim.SGD([tn.tensor([1.0], requires_grad=True)], lr=0.1)
    changes: list[tuple[str, Callable[[], Any]]] = [
        ("lr", lambda: setattr(opt, "lr", 0.2)),
        ("momentum", lambda: opt.groups[0].update(momentum=0.2)),
        ("momentum", lambda: opt.groups[0].__delitem__("momentum")),
    ]
    with Capture():
        for name, change in changes:
            with pytest.raises(CaptureError, match=rf"test_capture.py:\d+ changes the option '{name}' .*as a function"):
                change()
    assert opt.lr == 0.1
    assert opt.groups[0]["momentum"] == 0.0


def test_a_handle_is_known_by_the_tensor_it_was_made_of() -> None:
    w = tn.tensor([1.0, 2.0], requires_grad=True)
    with Capture() as outer, Capture() as capture:
        handle = w.detach()
        again = copy.copy(handle)
        y = handle * 2
        tn.grad(lambda t: (t * t).sum())(w)
        with tn.no_grad():
            tn.grad(lambda t: (t * t).sum())(w)
        assert capture.origin(handle) is capture.origin(again) is outer.origin(again) is capture.origin(w) is w
        assert capture.origin(y) is y
    outside = [v.tensor for node in capture for v in node.call.values() if isinstance(v, Traced) and v.node is None]
    known = [capture.origin(t) for t in outside]
    assert sum(t is w for t in known) == len([t for t in outside if t.shape == (2,)]) == 6


def test_what_is_written_is_the_tensor_itself() -> None:
    """Not a handle of it, which would go on with the array of before if the tensor is given another."""
    w = tn.tensor([1.0, 2.0], requires_grad=True)
    x = tn.tensor(1.0)
    with Capture() as capture:
        w.data = w + x
        result = w * 1
    replay = Replay(capture, [x], result)
    w._rebind(w._data * 10)
    np.testing.assert_array_equal(replay(np.array(1.0)), [21.0, 31.0])
    np.testing.assert_array_equal(w.data, [21.0, 31.0])


# -- quick calls -------------------------------------------------------------------------------------------------


def calls(x: tn.Tensor, w: tn.Tensor, a: np.ndarray) -> list[Any]:
    """Ops of all kinds: with options, sequences, several results, residuals, views, what has no gradient, constants."""
    made: list[Any] = [np.sin(x), x * 2.0, np.add(a, w), tn.asarray(a.copy()) + 1, x.detach() * a, x @ w.T]
    made += [np.sum(made[0], axis=0, keepdims=True), np.max(made[1], axis=1), np.clip(made[0], 0.1, None)]
    made += [np.concatenate([x, a, made[1]]), np.stack([w, a], axis=1), tn.where(x > 0, x, made[0])]
    made += [*np.linalg.qr(made[0]), *np.linalg.slogdet(made[5]), np.argmax(made[1]), x > w]
    made += [x[0], made[0][..., ::-1], made[1].reshape(-1), np.broadcast_to(made[0], (2, 3, 3)), tn.copy(made[0])]
    made += [tn.multiply(y=made[0], x=w), np.zeros_like(x) + a]
    with tn.no_grad():
        made.append(np.exp(made[0]))
    return made


def recorded(monkeypatch: pytest.MonkeyPatch, quick: bool) -> tuple[list[Any], int]:
    """What is known of each node that `calls` makes, and how many calls went to the general recorder."""
    general: list[object] = []
    call = Capture.call
    with monkeypatch.context() as patch:

        def counted(self: Capture, step: CallStep) -> CallStep:
            general.append(step)
            return call(self, step)

        patch.setattr(Capture, "call", counted)
        if not quick:
            patch.setattr(Capture, "quick", lambda self, op: None)
        numbers = np.random.default_rng(0).normal(size=(3, 3, 3))
        x, w = (tn.tensor(n, requires_grad=True) for n in numbers[:2])
        with Capture(compiles=True) as tape:
            results = calls(x, w, numbers[2])
    places: dict[object, Any] = {node: i for i, node in enumerate(tape.nodes)} | {None: None, x.node: "x", w.node: "w"}

    def told(value: Any) -> Any:
        if isinstance(value, Traced):
            return places[value.node], value.tensor is None
        if isinstance(value, (list, tuple)):
            return [told(part) for part in value]
        if isinstance(value, dict):
            return [(name, told(part)) for name, part in value.items()]
        return value.tolist() if isinstance(value, np.ndarray) else value

    rows: list[Any] = [
        (
            node.name, node.shape, node.dtype, node.line, told(node.call), [places[p] for p in node.parents],
            [told(getattr(node, slot, "unset")) for slot in node.saved_slots], node in tape.constants, node in tape.gone,
        )
        for node in tape.nodes
    ]  # fmt: skip
    rows += [(places[t._node], places[t._trace], t._data.tolist()) for t in results]
    return rows, len(general)


def test_quick_calls_record_what_the_general_recorder_does(monkeypatch: pytest.MonkeyPatch) -> None:
    quickly, left = recorded(monkeypatch, quick=True)
    generally, count = recorded(monkeypatch, quick=False)
    assert len(quickly) == len(generally) > 50
    for one, other in zip(quickly, generally, strict=True):
        assert one == other
    assert (left, count > 25) == (0, True)


def test_a_gradient_rule_and_an_update_are_one_node_each() -> None:
    w = tn.tensor([0.5, 1.0], requires_grad=True)
    opt = optim.AdamW([w], lr=0.1)
    with Capture(compiles=True) as tape:
        tn.gelu(w).sum().backward()
        opt.step()
    names = [node.name for node in tape.nodes if node.name not in ("output", "getitem", "host")]
    assert names == ["gelu", "sum", "sum gradient", "gelu gradient", "update", *["assign"] * 3]


def test_a_rule_that_cannot_be_read_as_a_whole_runs_on_tensors() -> None:
    x = tn.tensor([0.5, 1.0, 2.0], requires_grad=True)
    with Capture(compiles=True) as tape:
        (x[1:] * 2.0).sum().backward()
    assert not any(node.name == "getitem gradient" for node in tape.nodes)
    np.testing.assert_array_equal(x.grad, [0.0, 2.0, 2.0])


def test_rules_of_low_types_and_of_what_was_recorded_before_run_on_tensors() -> None:
    x = tn.tensor([0.5, 1.0], requires_grad=True)
    low = tn.tensor([0.5, 1.0], dtype=np.float16, requires_grad=True)
    before = tn.sin(x)
    with Capture(compiles=True) as tape:
        before.sum().backward()
        low.reshape(1, 2).sum().backward()
    names = [node.name for node in tape.nodes]
    assert "sum gradient" in names
    assert {"sin gradient", "reshape gradient"}.isdisjoint(names)
    assert x.grad is not None
    assert low.grad is not None
    np.testing.assert_allclose(x.grad, np.cos([0.5, 1.0]))
    np.testing.assert_array_equal(low.grad, [1.0, 1.0])


def test_lines_of_a_backward_pass_are_its_own_but_for_the_users_code() -> None:
    x = tn.tensor([0.5, 1.0], requires_grad=True)

    def rule(g: Any) -> Any:
        return np.cosh(g)

    def hook(g: Any) -> Any:
        return np.tanh(g)

    own = tn.op(lambda x: x * 2, name="own_lines", x=rule)
    with Capture(compiles=True) as tape:
        y = tn.sin(x)
        y.register_hook(hook)
        own(np.exp(y)).sum().backward()
        np.log(x)
    found = {node.name: int((node.line or "").rpartition(":")[2]) for node in tape.nodes if node.name != "output"}
    backward = found["sum"]
    assert found["sum gradient"] == found["sin gradient"] == backward
    assert (found["sin"], found["log"]) == (backward - 2, backward + 1)
    assert (found["cosh"], found["tanh"]) == tuple(f.__code__.co_firstlineno + 1 for f in (rule, hook))


def test_lines_after_a_backward_pass_that_failed_are_those_that_run() -> None:
    def fails(g: Any) -> Any:
        raise ValueError("no gradient")

    failing = tn.op(lambda x: x * 2, name="failing_lines", x=fails)
    x = tn.tensor([0.5, 1.0], requires_grad=True)
    with Capture(compiles=True) as tape:
        y = failing(x).sum()
        with pytest.raises(ValueError, match="no gradient"):
            y.backward()
        np.log(x)
        expected = here(-1).strip()
    assert re.fullmatch(expected, tape.nodes[-1].line or "")


def test_an_interrupt_where_a_backward_pass_looks_for_its_line_changes_no_switch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(self: Capture) -> str:
        raise KeyboardInterrupt

    x = tn.tensor([0.5, 1.0], requires_grad=True)
    with Capture(compiles=True):
        y = np.sin(x).sum()
        monkeypatch.setattr(Capture, "user_line", interrupted)
        with pytest.raises(KeyboardInterrupt):
            y.backward()
    assert tn.is_grad_enabled()


def test_options_may_be_called_as_what_a_quick_call_is_given() -> None:
    times = tn.op(lambda x, *, op, tape: x * op + tape, name="options_of_any_name", nondiff=True)
    x = tn.tensor([0.5, 1.0])
    with Capture(compiles=True):
        y = times(x, op=2.0, tape=1.0)
    np.testing.assert_array_equal(y.numpy(), [2.0, 3.0])


def test_an_op_that_is_called_in_a_capture_alone_gets_no_code() -> None:
    def plus() -> Op:
        return tn.op(lambda x, y, *, by=1.0: x + by * y, name="plus", x=lambda g: g, y=lambda g, by: by * g)

    x = tn.tensor([1.0, 2.0], requires_grad=True)
    once, eager = plus(), plus()
    with Capture():
        for result in (once(x, x), once(x, x, by=2.0), once(x, y=x)):
            assert result._trace is not None
    assert type(once) is Op
    once(x, x).sum().backward()
    assert type(once) is not Op
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])
    eager(x, x)
    wrong: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((x,), {}), ((x, x, x), {}), ((x, x), {"of": 1.0}), ((x, x), {"x": 1.0}),
    ]  # fmt: skip
    for args, kwargs in wrong:
        said = []
        for op in (plus(), eager):
            with Capture(), pytest.raises(TypeError) as info:
                op(*args, **kwargs)
            said.append(str(info.value))
        assert said[0] == said[1]
