"""The joints that later work hangs on: capture, foreign and batched types, threads, residuals."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.observe.capture import Capture
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.ops.operators import Operand
from tapenet.testing import check_grads
from tests.replay import Replay

R = np.random.default_rng(0)


# -- capture and replay ------------------------------------------------------------------------------------------


def _net(seed: int) -> list[tn.Tensor]:
    r = np.random.default_rng(seed)
    shapes = [(5, 3), (5,), (2, 5), (2,)]
    return [tn.tensor(r.normal(size=s), requires_grad=True) for s in shapes]


def _loss(parameters: list[tn.Tensor], x: Any, y: Any) -> tn.Tensor:
    w1, b1, w2, b2 = parameters
    hidden = tn.linear(x, w1, b1)
    hidden = tn.where(hidden > 0, hidden, 0.1 * hidden)  # a mask that depends on the data
    out = tn.linear(np.tanh(hidden), w2, b2)
    best = out.max(axis=1)
    return ((out - y) ** 2).mean() + 0.1 * best.sum() + tn.concatenate([w1.ravel(), w2.ravel()])[::2].sum() * 0.01


def _step(parameters: list[tn.Tensor], velocity: list[tn.Tensor], x: Any, y: Any) -> tn.Tensor:
    for p in parameters:
        p.grad = None
    loss = _loss(parameters, x, y)
    loss.backward()
    for p, v in zip(parameters, velocity, strict=True):
        v.data = 0.9 * v + p.grad
        p.data = p - 0.1 * v
    return loss


def test_a_training_step_is_captured_and_replayed_on_other_data() -> None:
    data = [(R.normal(size=(4, 3)), R.normal(size=(4, 2))) for _ in range(5)]
    eager, captured = _net(1), _net(1)
    v_eager, v_captured = ([tn.tensor(np.zeros(p.shape)) for p in ps] for ps in (eager, captured))
    x, y = (tn.tensor(a) for a in data[0])
    with Capture() as tape:
        loss = _step(captured, v_captured, x, y)
    replay = Replay(tape, [x, y], loss)
    expected = [_step(eager, v_eager, *d).item() for d in data]
    assert loss.item() == pytest.approx(expected[0], rel=1e-12)
    got = [float(replay(*d)) for d in data[1:]]
    np.testing.assert_allclose(got, expected[1:], rtol=1e-12)
    for a, b in zip(eager, captured, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-12)
    for a, b in zip(v_eager, v_captured, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-12)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: tn.maximum(x, 0.0).sum(),
        lambda x: np.max(x, axis=0).sum(),
        lambda x: (np.abs(x) * tn.clip(x, -0.5, 0.5)).sum(),
        lambda x: (x[x.argmax(axis=0)] * x[0]).sum(),
    ],
    ids=["relu", "max", "clip", "argmax"],
)
def test_data_dependent_rules_follow_the_data_of_the_replay(f: Any) -> None:
    first, second = R.normal(size=(4, 3)), -R.normal(size=(4, 3))
    x = tn.tensor(first, requires_grad=True)
    with Capture() as tape:
        f(x).backward()
        gradient = x.grad
        assert gradient is not None
    replayed = Replay(tape, [x], gradient)(second)
    fresh = tn.tensor(second, requires_grad=True)
    f(fresh).backward()
    np.testing.assert_array_equal(replayed, fresh.grad.data)


def test_host_numbers_are_evaluated_at_each_replay() -> None:
    rate = [0.5]
    x = tn.tensor([1.0, 2.0])
    with Capture() as tape:
        y = x * tn.host(lambda: rate[0], np.float64)
    replay = Replay(tape, [x], y)
    rate[0] = 3.0
    np.testing.assert_array_equal(replay(np.array([1.0, 10.0])), [3.0, 30.0])


@pytest.mark.parametrize("ask", [bool, float, int, lambda t: t.item(), lambda t: t.numpy(), lambda t: t.data,
                                 np.asarray, lambda t: t.tolist(), lambda t: 1.0 in t])  # fmt: skip
def test_asking_a_captured_value_for_its_number_says_what_to_do(ask: Any) -> None:
    x = tn.tensor(1.0)
    with Capture():
        y = x * 2
        with pytest.raises(CaptureError, match=r"test_joints.py:\d+ asks for .*np.where"):
            ask(y)
        assert "captured" in repr(y)
    assert float(y) == 2.0


def test_after_a_capture_written_tensors_are_ordinary_again() -> None:
    p = tn.tensor([1.0], requires_grad=True)
    with Capture():
        p.data = p * 3
    assert p.data == 3.0
    assert p.node is p._node


def test_capture_gives_integer_residuals_as_values_of_the_tape() -> None:
    argmax_pool = tn.op(
        lambda x: (x.max(axis=-1), x.argmax(axis=-1)),
        name="argmax_pool",
        residuals=("where",),
        x=lambda g, x_shape, where: tn.scatter_add(g, (np.arange(x_shape[0]), where), x_shape),
    )
    check_grads(argmax_pool, [R.normal(size=(3, 4))], order=2)
    first, second = R.normal(size=(3, 4)), R.normal(size=(3, 4))
    x = tn.tensor(first, requires_grad=True)
    with Capture() as tape:
        argmax_pool(x).sum().backward()
        gradient = x.grad
        assert gradient is not None
    replayed = Replay(tape, [x], gradient)(second)
    np.testing.assert_array_equal(replayed, second == second.max(axis=-1, keepdims=True))


# -- foreign types -----------------------------------------------------------------------------------------------


class Foreign(Operand):
    """An array of another library: never turns into an ndarray, answers ops through the protocol."""

    __slots__ = ("_hidden", "log")

    def __init__(self, data: Any, log: list[str]) -> None:
        self._hidden = data
        self.log = log

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._hidden.shape)

    @property
    def dtype(self) -> Any:
        return self._hidden.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("converted to NumPy behind its back")

    def __tapenet_op__(self, op: Any, args: Any, kwargs: Any) -> Any:
        self.log.append(op.name)

        def strip(v: Any) -> Any:
            if isinstance(v, Foreign):
                return v._hidden
            if isinstance(v, tn.Tensor):
                return v.numpy()
            return type(v)(map(strip, v)) if isinstance(v, (list, tuple)) else v

        out = op(*map(strip, args), **{k: strip(v) for k, v in kwargs.items()})
        if isinstance(out, tuple):
            return tuple(Foreign(o, self.log) for o in out)
        return Foreign(out, self.log)


def test_a_foreign_array_passes_through_every_kind_of_call() -> None:
    log: list[str] = []
    raw = R.normal(size=(3, 4))
    x = Foreign(raw, log)
    w = tn.tensor(R.normal(size=(4, 2)), requires_grad=True)

    def compute(x: Any) -> Any:
        h = np.tanh(x @ w) + np.ones(2)
        h = np.concatenate([h, tn.exp(-h)], axis=1)
        parts = np.split(h, 2, axis=1)
        return (np.where(parts[0] > 0, parts[1], 2.0) / (1 + abs(h[:, :2])))[1:].mean(axis=0)

    out = compute(x)
    assert isinstance(out, Foreign)
    np.testing.assert_allclose(out._hidden, compute(tn.tensor(raw)).data)
    assert {"matmul", "tanh", "concatenate", "where", "getitem", "mean"} <= set(log)


def test_declining_types_are_named() -> None:
    class Shy(Foreign):
        def __tapenet_op__(self, op: Any, args: Any, kwargs: Any) -> Any:
            return NotImplemented

    with pytest.raises(TypeError, match="exp: Shy declined"):
        tn.exp(Shy(np.ones(2), []))


class Batched(Operand):
    """A toy vmap: carries one more axis in front and maps every op over it. Its value may be a tensor."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape[1:])

    @property
    def dtype(self) -> Any:
        return self.value.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __tapenet_op__(self, op: Any, args: Any, kwargs: Any) -> Any:
        size = next(a.value.shape[0] for a in args if isinstance(a, Batched))

        def pick(v: Any, i: int) -> Any:
            return v.value[i] if isinstance(v, Batched) else v

        return Batched(np.stack([op(*(pick(a, i) for a in args), **kwargs) for i in range(size)]))


def test_a_batched_stand_in_maps_ops_and_gradients_flow_through_it() -> None:
    def f(x: Any, w: Any) -> Any:
        return np.tanh(w @ x).sum() * x[0]

    w = tn.tensor(R.normal(size=(2, 3)), requires_grad=True)
    x = tn.tensor(R.normal(size=(5, 3)), requires_grad=True)
    out = f(Batched(x), w)
    assert isinstance(out, Batched)
    expected = [f(x[i], w) for i in range(5)]
    np.testing.assert_allclose(out.value.data, [e.item() for e in expected])
    out.value.sum().backward()
    got = w.grad.data.copy(), x.grad.data.copy()
    w.grad = x.grad = None
    np.stack(expected).sum().backward()
    np.testing.assert_allclose(got[0], w.grad.data)
    np.testing.assert_allclose(got[1], x.grad.data)


# -- threads -----------------------------------------------------------------------------------------------------


def test_two_threads_share_a_graph() -> None:
    w = tn.tensor(R.normal(size=(50, 50)), requires_grad=True)
    trunk = np.tanh(w @ w)
    rounds, errors = 200, []
    start = threading.Barrier(2)

    def work(factor: float) -> None:
        try:
            start.wait()
            for _ in range(rounds):
                (trunk * factor).sum().backward(retain_graph=True)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f,)) for f in (1.0, 2.0)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    total = w.grad.data.copy()
    w.grad = None
    trunk.sum().backward()
    np.testing.assert_allclose(total, 3.0 * rounds * w.grad.data, rtol=1e-9)


def test_switches_and_tapes_belong_to_their_thread() -> None:
    seen = {}

    def look() -> None:
        x = tn.tensor([1.0], requires_grad=True)
        y = x * 2
        seen["grad"] = y.requires_grad
        seen["names"] = [n.name for n in tn.tape()]

    with tn.no_grad(), tn.Tape() as tape:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == {"grad": True, "names": ["multiply"]}
    assert len(tape) == 0


# -- residuals ---------------------------------------------------------------------------------------------------


def _gate(x: Any, w: Any) -> Any:
    s = 1 / (1 + np.exp(-x))
    return s * np.tanh(w), s, np.tanh(w)


gate = tn.op(
    _gate,
    name="gate",
    residuals=("s", "t"),
    reference=lambda x, w: (1 / (1 + np.exp(-x))) * np.tanh(w),
    joint=lambda g, wanted, s, t: {"x": g * t * (s * (1 - s)), "w": g * s * (1 - t * t)},
)


def test_float_residuals_are_right_to_third_order() -> None:
    check_grads(gate, [R.normal(size=4), R.normal(size=4)], order=3)


def test_float_residuals_with_inputs_that_depend_on_each_other() -> None:
    def f(x: Any) -> Any:
        y = np.sin(x)
        return gate(y, y * x)

    check_grads(f, [R.normal(size=4)], order=2)


def test_without_reference_a_float_residual_is_refused_at_second_order() -> None:
    half = tn.op(lambda x: (x * x, 2 * x), name="half", residuals=("slope",), x=lambda g, slope: g * slope)
    x = tn.tensor([3.0], requires_grad=True)
    half(x).sum().backward()
    assert x.grad.item() == 6.0
    slope = tn.grad(lambda x: half(x).sum())
    assert tn.vmap(slope)(np.array([[3.0], [1.0]])).tolist() == [[6.0], [2.0]]
    with pytest.raises(TypeError, match=r"half.*slope.*reference="):
        tn.grad(lambda x: (slope(x) + x**3).sum())(np.array([3.0]))
