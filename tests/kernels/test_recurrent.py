"""Recurrent layers in machine code beside the same in NumPy."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import kernels, nn, optim
from tapenet.ops.layers.recurrent import layers
from tests.kernels import beside

pytest.importorskip("llvmlite")

from tapenet.program.native import callbacks, launches

R = np.random.default_rng(0)
KERNELS = importlib.import_module("tapenet.kernels.recurrent")
#: Largest error, over the largest number of the result.
ERROR = {"f": 2e-6, "d": 4e-15}

GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}
FORWARD = {
    "lstm": layers.lstm.forward,
    "gru": layers.gru.forward,
    "tanh": layers.rnn.forward,
    "relu": layers.rnn.forward,
}
#: Which of the residuals that `recurrent_grad` takes each kind leaves, in order: gates, states, cells, and what is left.
LEFT = {"lstm": (0, 1, 2, 3), "gru": (0, 1, None, 2), "tanh": (None, 0, None, None), "relu": (None, 0, None, None)}
BY = ("x", "h0", "w_ih", "w_hh", "b_ih", "b_hh")


class Case:
    """A layer and its arguments in float64.

    Args:
        sizes: time, batch, inputs and units.
        biases: how many.
        fortran: whether the weights are in Fortran order.
    """

    def __init__(
        self, kind: str, sizes: tuple[int, int, int, int], lengths: Any = None, reverse: bool = False, biases: int = 2,
        fortran: bool = True,
    ) -> None:  # fmt: skip
        steps, batch, inputs, units = sizes
        rows = GATES[kind] * units
        shapes = [(steps, batch, inputs), *[(batch, units)] * (1 + (kind == "lstm")), (rows, inputs), (rows, units)]
        arrays = [R.normal(size=shape) / np.sqrt(shape[-1]) for shape in shapes]
        if fortran:
            arrays[-2:] = map(np.asfortranarray, arrays[-2:])
        self.kind, self.arrays = kind, arrays
        self.biases = [R.normal(size=rows) for _ in range(biases)]
        self.options = {"lengths": lengths, "reverse": reverse}
        if kind in ("tanh", "relu"):
            self.options["nonlinearity"] = kind
        self.g = [R.normal(size=(steps, batch, units)), *(R.normal(size=(batch, units)) for _ in arrays[1:-2])]

    def forward(self, dtype: str) -> list[Any]:
        """Outputs, last states and residuals."""
        return list(FORWARD[self.kind](*(a.astype(dtype) for a in (*self.arrays, *self.biases)), **self.options))

    def backward(self, dtype: str, left: Any, gs: Any = None, by: Any = None) -> tuple[Any, ...]:
        """The gradients, from what the forward pass left."""
        x, *_, w_ih, w_hh = (a.astype(dtype) for a in self.arrays)
        given = [None if g is None else g.astype(dtype) for g in (self.g if gs is None else gs)]
        if by is None:
            by = BY[: 4 + len(self.biases)] + (("c0",) if self.kind == "lstm" else ())
        given += [None] * (3 - len(given))
        residuals = [None if i is None else left[i].astype(dtype) for i in LEFT[self.kind]]
        lengths, reverse = self.options["lengths"], self.options["reverse"]
        found: tuple[Any, ...] = layers.recurrent_grad.forward(
            self.kind, *given, x, w_ih, w_hh, None, *residuals, lengths, by, reverse
        )
        return found


def agree(found: Any, expected: Any, dtype: str) -> None:
    beside.agree(found, expected, dtype, ERROR[dtype])


def check(case: Case, dtype: str) -> None:
    """Both passes, beside NumPy in float64; and each pass with what the other's NumPy leaves."""
    states = len(case.g)
    with kernels.switched(False):
        expected = case.forward("d")
        by = case.backward("d", expected[states:])
        plain = case.forward(dtype)
    found = case.forward(dtype)
    compared = None if case.options["lengths"] is None else states  # residuals hold anything in rows not at work
    agree(found[:compared], expected[:compared], dtype)
    agree(case.backward(dtype, found[states:]), by, dtype)
    agree(case.backward(dtype, plain[states:]), by, dtype)
    with kernels.switched(False):
        agree(case.backward(dtype, found[states:]), by, dtype)


KINDS = pytest.mark.parametrize("kind", GATES)


@pytest.mark.parametrize(("kind", "dtype"), [*((kind, "f") for kind in GATES), ("lstm", "d"), ("gru", "d")])
@pytest.mark.parametrize("batch", [1, 5, 6, 13])
@pytest.mark.parametrize("reverse", [False, True])
def test_one_code_for_all_batches(kind: str, dtype: str, batch: int, reverse: bool) -> None:
    check(Case(kind, (4, batch, 9, 20), reverse=reverse), dtype)


@pytest.mark.parametrize("kind", ["lstm", "gru", "tanh"])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("biases", [0, 1])
def test_several_strips(kind: str, steps: int, biases: int) -> None:
    check(Case(kind, (steps, 8, 70, 37), biases=biases, fortran=biases == 0), "f")


@KINDS
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [[4, 1, 3, 0, 4, 2, 2, 1], [4, 4, 2, 2, 2, 1, 0, 0], [3, 2, 2, 2, 1, 1, 1, 1]])
def test_lengths(kind: str, reverse: bool, lengths: list[int]) -> None:
    check(Case(kind, (4, 8, 9, 20), lengths=np.array(lengths), reverse=reverse), "f")


@KINDS
@pytest.mark.parametrize("lengths", [[2], [3, 1, 2, 2, 3, 0, 3, 3]])
def test_products_of_inputs_left_to_blas(kind: str, lengths: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LARGEST", "PASSES", "FEW", "WIDEST"):
        monkeypatch.setattr(KERNELS, name, 0)
    check(Case(kind, (3, len(lengths), 9, 20), lengths=np.array(lengths)), "f")


@pytest.mark.parametrize(
    ("batch", "inputs", "units", "own"),
    [(1, 32, 32, True), (1, 64, 128, False), (8, 64, 128, True), (8, 256, 512, False), (128, 256, 512, True)],
)
def test_who_multiplies_the_inputs(batch: int, inputs: int, units: int, own: bool) -> None:
    """The turns, of small weights, and where what BLAS gives would be more to pass on than weights to read anew."""
    x, w_ih, w_hh = (np.empty(s, "f") for s in ((2, batch, inputs), (4 * units, inputs), (4 * units, units)))
    assert KERNELS.multiplies_inputs(x, w_ih, w_hh) is own


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("sizes", [(1, 20), (2, 150), (70, 37), (33, 64)])
def test_the_gradient_by_a_weight_in_blocks(dtype: str, sizes: tuple[int, int]) -> None:
    """Of one block, of a few turns more and less, and of several, for some strips of units and a part of one; beside it
    nothing is written."""
    inputs, units = sizes
    block = KERNELS.backwards.BLOCK
    for turns in (1, block - 1, block, block + 1, 2 * block + 7):
        x, d = R.normal(size=(turns, 1, inputs)).astype(dtype), R.normal(size=(2, turns, 1, units)).astype(dtype)
        wide = np.full((inputs, 3, units), np.nan, dtype)
        assert KERNELS.weight_gradient(d, x, wide[:, :2])
        expected = np.einsum("tbi,gtbu->igu", x.astype("d"), d.astype("d"))
        agree([wide[:, :2]], [expected], dtype)
        assert np.isnan(wide[:, 2]).all()


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_some_gradients(kind: str) -> None:
    """A loss of some of the outputs, and gradients by some of the inputs."""
    case = Case(kind, (4, 7, 9, 20))
    with kernels.switched(False):
        expected = case.forward("d")
    left = expected[len(case.g) :]
    for used in range(len(case.g)):
        gs = [g if i == used else None for i, g in enumerate(case.g)]
        for by in (("x",), ("h0",), ("w_hh",)):
            with kernels.switched(False):
                right = case.backward("d", left, gs, by)
            agree(case.backward("f", left, gs, by), right, "f")


@KINDS
def test_any_memory_order(kind: str) -> None:
    """Arguments, gradients and what the forward pass left are views in other orders of memory."""
    case = Case(kind, (4, 7, 9, 20))
    states = len(case.g)
    expected = case.forward("d")
    by = case.backward("d", expected[states:])
    case.arrays[:-2], case.g = ([a.T.copy().T for a in arrays] for arrays in (case.arrays[:-2], case.g))
    agree(case.forward("d"), expected, "d")
    agree(case.backward("d", [a.T.copy().T for a in expected[states:]]), by, "d")


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_give_the_same(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in GATES:
        case = Case(kind, (4, 7, 9, 20), lengths=np.array([4, 1, 3, 2, 4, 2, 2]))
        one = case.forward("f")
        by = case.backward("f", one[len(case.g) :])
        with monkeypatch.context() as m:
            beside.many_threads(m, threads)
            several = case.forward("f")
            found = case.backward("f", several[len(case.g) :])
        agree(several, one, "f")
        agree(found, by, "f")


def test_nan_stays_in_its_row() -> None:
    for kind in GATES:
        case = Case(kind, (3, 7, 9, 20))
        case.arrays[0][1, 2, 0] = np.nan
        out = case.forward("f")[0]
        seen = np.isnan(out).any(2)
        assert seen[1:, 2].all()
        assert seen.sum() == 2


def test_gates_are_accurate_where_they_are_nearly_closed() -> None:
    """The logistic function keeps its relative accuracy; (tanh(x / 2) + 1) / 2 would be 0."""
    x = np.linspace(-30, 30, 20, dtype="f")
    zeros = np.zeros((1, 20), "f")
    bias = np.concatenate([x, x, x / 30, x])
    _, _, _, gates, *_ = layers.lstm.forward(
        np.zeros((1, 1, 9), "f"), zeros, zeros, np.zeros((80, 9), "f"), np.zeros((80, 20), "f"), bias
    )
    exact = 1 / (1 + np.exp(-x.astype("d")))
    for gate in (0, 1, 3):
        np.testing.assert_allclose(gates[gate, 0, 0], exact, rtol=3e-7)
    np.testing.assert_allclose(gates[2, 0, 0], np.tanh(x.astype("d") / 30), rtol=3e-7)


def test_both_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels run where they should, and not where they are switched off or the layer projects its outputs."""
    calls = []
    monkeypatch.setattr(KERNELS, "forward", lambda *args: calls.append(args[0]))
    x, h = np.ones((2, 7, 9), "f"), np.zeros((7, 20), "f")
    w, u = np.ones((80, 9), "f"), np.ones((80, 20), "f")
    tn.lstm(x, h, h, w, u)
    tn.gru(x, h, w[:60], u[:60])
    with kernels.switched(False):
        tn.lstm(x, h, h, w, u)
    tn.lstm(x, h[:, :5], h, w, u[:, :5], w_hr=np.ones((5, 20), "f"))
    tn.lstm(x, h, h, w.astype("d"), u)
    monkeypatch.setattr(layers, "WORTH", 1_000_000)
    tn.gru(x, h, w[:60], u[:60])
    assert calls == ["lstm", "gru"]


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_compiled_step_computes_where_the_program_keeps_it(layer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No result is copied where Python calls the layer; the results are those of the eager step."""
    steps, batch, inputs, units = 20, 16, 64, 32
    x = R.normal(size=(steps, batch, inputs)).astype("f")
    asked: list[bool] = []
    same = callbacks._same

    def watched(value: Any, place: Any) -> bool:
        asked.append(same(value, place))
        return asked[-1]

    monkeypatch.setattr(callbacks, "_same", watched)
    monkeypatch.setattr(launches, "record", lambda *args: None)
    nets = [layer(inputs, units, rng=np.random.default_rng(0)) for _ in range(2)]
    for net, compile in zip(nets, (False, True), strict=True):
        opt = optim.SGD(net.parameters(), lr=0.1)

        def step(x: Any, net: Any = net, opt: Any = opt) -> Any:
            loss = (net(x)[0] ** 2).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        made = tn.compile(step, backend="native") if compile else step
        for _ in range(3):
            made(x)
    assert asked
    assert all(asked)
    for p, q in zip(*(net.parameters() for net in nets), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU])
def test_what_gradients_need_is_not_written_where_nobody_asks(layer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no room for it in the program; the results are those of eager mode, to the last digit."""
    steps, batch, inputs, units = 40, 8, 24, 40
    plans = beside.plans(monkeypatch)
    net = layer(inputs, units, rng=np.random.default_rng(0)).eval()
    compiled = tn.compile(net, backend="native")
    x = R.normal(size=(steps, batch, inputs)).astype("f")
    with tn.no_grad():
        for _ in range(3):
            found, states = compiled(x)
            expected, last = net(x)
            for one, other in zip([found, *states], [expected, *last], strict=True):
                np.testing.assert_array_equal(one.data, other.data)
    (plan,) = plans
    gates = 4 * steps * batch * GATES[layer.__name__.lower()] * units
    assert plan.room < gates


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_call_without_a_gradient_keeps_nothing_for_it(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eager calls whose results need no gradient ask for none of what it needs; the results are the same."""
    case, kept, forward = Case(kind, (4, 7, 9, 20)), [], KERNELS.forward

    def watched(*args: Any) -> None:
        kept.append(args[-1])
        forward(*args)

    monkeypatch.setattr(KERNELS, "forward", watched)
    arrays = [tn.tensor(a.astype("f")) for a in case.arrays]
    layer = getattr(tn, kind)
    results = [layer(*arrays)]
    arrays[0].requires_grad_()
    with tn.no_grad():
        results.append(layer(*arrays))
    results.append(layer(*arrays))
    assert kept == [False, False, True]
    for found in results[:2]:
        for one, other in zip(found, results[2], strict=True):
            np.testing.assert_array_equal(one.data, other.data)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_layer_differentiated_in_the_forward_of_an_op_keeps_what_its_gradient_needs(kind: str) -> None:
    """Also where the op itself, which leaves residuals, makes no node."""
    case = Case(kind, (4, 7, 9, 20))
    x, *others = (a.astype("f") for a in case.arrays)

    def slopes(x: Any) -> np.ndarray:
        given = tn.tensor(x, requires_grad=True)
        tn.sum(getattr(tn, kind)(given, *others)[0] ** 2).backward()
        return np.asarray(given.grad)

    def forward(x: Any) -> tuple[Any, Any]:
        found = slopes(x)
        return found, found

    op = tn.op(forward, name="slopes", residuals=("found",), x=lambda g, found: g * found)
    np.testing.assert_array_equal(op(x), slopes(x))


@KINDS
def test_forward_mode_of_what_a_kernel_computes(kind: str) -> None:
    """The layer's formula is not read then, and its rules call an op that states no derivative."""
    case = Case(kind, (3, 6, 40, 80))
    x, *others = case.arrays
    direction = R.normal(size=x.shape)
    layer = getattr(tn, kind) if kind in ("lstm", "gru") else tn.rnn

    def out(x: Any) -> Any:
        return layer(x, *others, **case.options)[0]

    assert not layers._formula_pays(x, *others[-2:], None)
    y, tangent = tn.jvp(out, (x,), (direction,))
    g = R.normal(size=y.shape)
    pulled = tn.vjp(out, tn.tensor(x))[1](g)
    np.testing.assert_allclose(np.vdot(g, tangent), np.vdot(pulled, direction), rtol=1e-9)
