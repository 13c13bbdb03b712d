"""Recurrent layers and cells beside PyTorch's: states both ways, values and all gradients over all arguments, and lengths
beside packed sequences."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.nn.utils import rnn as packing
from tests.nn.oracle import Make, pair, same_gradients

torch = pytest.importorskip("torch")

R = np.random.default_rng(0)

#: Layers of three inputs.
STACKS: dict[str, Make] = {
    "RNN": lambda m: m.RNN(3, 4),
    "RNN relu": lambda m: m.RNN(3, 4, 2, "relu", bias=False),
    "RNN all": lambda m: m.RNN(3, 4, num_layers=2, bidirectional=True),
    "LSTM": lambda m: m.LSTM(3, 4),
    "LSTM no bias": lambda m: m.LSTM(3, 4, bias=False),
    "LSTM all": lambda m: m.LSTM(3, 4, 2, bidirectional=True),
    "LSTM projected": lambda m: m.LSTM(3, 4, proj_size=2),
    "LSTM projected all": lambda m: m.LSTM(3, 4, num_layers=2, bias=False, bidirectional=True, proj_size=1),
    "GRU": lambda m: m.GRU(3, 4),
    "GRU no bias": lambda m: m.GRU(3, 4, bias=False),
    "GRU all": lambda m: m.GRU(3, 4, 2, bidirectional=True),
}
CELLS: dict[str, Make] = {
    "RNNCell": lambda m: m.RNNCell(3, 4),
    "RNNCell relu": lambda m: m.RNNCell(3, 4, nonlinearity="relu", bias=False),
    "LSTMCell": lambda m: m.LSTMCell(3, 4),
    "LSTMCell no bias": lambda m: m.LSTMCell(3, 4, bias=False),
    "GRUCell": lambda m: m.GRUCell(3, 4),
    "GRUCell no bias": lambda m: m.GRUCell(3, 4, False),
}
LAYERS = STACKS | CELLS


def leaves(tree: Any) -> list[Any]:
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, (tuple, list)) else [tree]


def same(mine: Any, theirs: Any, ours: Any, expected: Any, inputs: list[tuple[Any, Any]]) -> None:
    """Results are equal, and for random gradients by all of them those by the inputs and by all parameters."""
    ours, expected = leaves(ours), leaves(expected)
    assert len(ours) == len(expected)
    gs = [R.normal(size=out.shape) for out in ours]
    for out, other in zip(ours, expected, strict=True):
        assert out.shape == tuple(other.shape)
        np.testing.assert_allclose(out.data, other.detach().numpy(), rtol=1e-10, atol=1e-12)
    sum((out * g).sum() for out, g in zip(ours, gs, strict=True)).backward()
    torch.autograd.backward(expected, [torch.tensor(g) for g in gs])
    same_gradients(mine, theirs)
    for x, other in inputs:
        np.testing.assert_allclose(x.grad.data, other.grad.numpy(), rtol=1e-9, atol=1e-11)


def both(*shape: int) -> tuple[Any, Any]:
    data = R.normal(size=shape)
    return tn.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)


def states(layer: Any, *batch: int) -> list[tuple[Any, Any]]:
    """Random states to begin with."""
    first = layer.num_layers * (2 if layer.bidirectional else 1)
    widths = [layer.proj_size or layer.hidden_size, layer.hidden_size]
    return [both(first, *batch, width) for width in widths[: 2 if isinstance(layer, nn.LSTM) else 1]]


def hx(pairs: list[tuple[Any, Any]], side: int) -> Any:
    return tuple(p[side] for p in pairs) if len(pairs) > 1 else pairs[0][side]


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("shape", [(5, 2, 3), (1, 3, 3), (5, 3)], ids=["batch", "one step", "no batch"])
@pytest.mark.parametrize("given", [False, True], ids=["zeros", "hx"])
def test_layer(name: str, shape: tuple[int, ...], given: bool) -> None:
    mine, theirs = pair(STACKS[name])
    x = both(*shape)
    begin = states(mine, *shape[1:-1]) if given else []
    more = [[hx(begin, side)] if given else [] for side in (0, 1)]
    same(mine, theirs, mine(x[0], *more[0]), theirs(x[1], *more[1]), [x, *begin])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("output", [0, 1, -1])
def test_a_loss_of_one_output_alone(kind: str, output: int) -> None:
    mine, theirs = pair(STACKS[kind])
    x, begin = both(3, 2, 3), states(mine, 2)
    out, expected = leaves(mine(x[0], hx(begin, 0)))[output], leaves(theirs(x[1], hx(begin, 1)))[output]
    same(mine, theirs, out, expected, [x, *begin])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_batch_first(kind: str) -> None:
    mine, theirs = pair(lambda m: getattr(m, kind)(3, 4, batch_first=True, bidirectional=True))
    x, begin = both(2, 5, 3), states(mine, 2)
    same(mine, theirs, mine(x[0], hx(begin, 0)), theirs(x[1], hx(begin, 1)), [x, *begin])


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("batch", [(2,), ()], ids=["batch", "no batch"])
@pytest.mark.parametrize("given", [False, True], ids=["zeros", "hx"])
def test_cell(name: str, batch: tuple[int, ...], given: bool) -> None:
    mine, theirs = pair(CELLS[name])
    x = both(*batch, 3)
    begin = [both(*batch, 4) for _ in range(2 if name.startswith("LSTM") else 1)] if given else []
    more = [[hx(begin, side)] if given else [] for side in (0, 1)]
    same(mine, theirs, mine(x[0], *more[0]), theirs(x[1], *more[1]), [x, *begin])


LENGTHS = {"descending": [5, 3, 3, 1], "mixed": [2, 5, 1, 4], "all short": [3, 2, 3, 1]}


@pytest.mark.parametrize("name", [n for n in STACKS if "all" in n or " " not in n])
@pytest.mark.parametrize("lengths", list(LENGTHS.values()), ids=list(LENGTHS))
@pytest.mark.parametrize("how", ["lengths", "packed"])
def test_lengths_are_those_of_packed_sequences(name: str, lengths: list[int], how: str) -> None:
    mine, theirs = pair(STACKS[name])
    x, begin = both(5, 4, 3), states(mine, 4)
    pack = torch.nn.utils.rnn.pack_padded_sequence(x[1], torch.tensor(lengths), enforce_sorted=False)
    packed, expected_states = theirs(pack, hx(begin, 1))
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, total_length=5)
    if how == "lengths":
        out, last = mine(x[0], hx(begin, 0), lengths)
    else:
        result, last = mine(packing.pack_padded_sequence(x[0], lengths, enforce_sorted=False), hx(begin, 0))
        np.testing.assert_allclose(result.data.data, packed.data.detach().numpy(), rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(result.batch_sizes, packed.batch_sizes.numpy())
        out, _ = packing.pad_packed_sequence(result, total_length=5)
    same(mine, theirs, (out, last), (expected, expected_states), [x, *begin])


def test_a_sequence_of_no_length_keeps_its_state() -> None:
    layer = nn.LSTM(3, 4, bidirectional=True)
    h, c = R.normal(size=(2, 2, 2, 4)).astype(np.float32)
    out, (last_h, last_c) = layer(R.normal(size=(3, 2, 3)), (h, c), lengths=[0, 3])
    assert not out.data[:, 0].any()
    np.testing.assert_array_equal(last_h.data[:, 0], h[:, 0])
    np.testing.assert_array_equal(last_c.data[:, 0], c[:, 0])


def test_dropout_acts_between_layers_in_training() -> None:
    x = R.normal(size=(4, 2, 3)).astype(np.float32)
    layer = nn.GRU(3, 4, num_layers=2, dropout=0.5, rng=0)
    first = [layer(x)[0].data for _ in range(2)]
    assert (first[0] != first[1]).any()
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].data, layer(x)[0].data)
    layer.dropout = 1.0
    layer.train()
    lower = nn.GRU(4, 4)  # the second layer alone, on zeros
    lower.load_state_dict({n.replace("l1", "l0"): v for n, v in layer.state_dict().items() if n.endswith("l1")})
    np.testing.assert_array_equal(layer(x)[0].data, lower(np.zeros((4, 2, 4)))[0].data)
    with pytest.warns(UserWarning, match="num_layers=1 has nothing between"):
        nn.LSTM(3, 4, dropout=0.5)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_float32_stays_and_other_inputs_are_cast(kind: str) -> None:
    layer = getattr(nn, kind)(3, 4)
    for x in (R.normal(size=(2, 2, 3)), np.ones((2, 2, 3), int), np.ones((2, 2, 3), np.float32).tolist()):
        outs = leaves(layer(x))
        assert {o.dtype for o in outs} == {np.dtype(np.float32)}
        outs[0].sum().backward()
    assert {p.grad.dtype for p in layer.parameters()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_initial_values_lie_as_pytorchs_do(kind: str) -> None:
    layer = getattr(nn, kind)(20, 25, rng=0)
    values = np.concatenate([p.data.ravel() for p in layer.parameters()])
    assert np.abs(values).max() <= 0.2
    assert np.abs(values).max() > 0.19
    again = getattr(nn, kind)(20, 25, rng=0)
    np.testing.assert_array_equal(layer.weight_hh_l0.data, again.weight_hh_l0.data)
    assert (layer.weight_ih_l0.data[:, :20] != layer.weight_hh_l0.data[:, :20]).any()


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_compiled_step_is_the_same(kind: str) -> None:
    lengths = np.array([3, 4, 1])
    x = R.normal(size=(4, 3, 3)).astype(np.float32)
    layers = [getattr(nn, kind)(3, 4, num_layers=2, bidirectional=True, rng=0) for _ in range(2)]

    def step_of(layer: Any) -> Callable[..., Any]:
        opt = tn.optim.SGD(layer.parameters(), lr=0.1)

        def step(x: Any, lengths: Any) -> Any:
            out, _ = layer(x, lengths=lengths)
            loss = (out * out).sum()
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        return step

    eager, compiled = step_of(layers[0]), tn.compile(step_of(layers[1]))
    for new in (lengths, lengths[::-1].copy(), np.array([2, 2, 4])):
        assert compiled(x, new).item() == pytest.approx(eager(x, new).item(), rel=1e-5)
    for p, q in zip(layers[0].parameters(), layers[1].parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-4, atol=1e-6)


def test_a_drawing_shows_what_a_person_would_write() -> None:
    layer = nn.LSTM(3, 4, bidirectional=True)
    text = tn.draw(layer(np.zeros((2, 1, 3), np.float32))[0], depth=9).svg
    assert "LSTM 3 → 4" in text
    assert "LSTM 3 → 4 backwards" in text


def test_errors_say_what_to_give() -> None:
    layer = nn.LSTM(3, 4, 2, batch_first=True)
    x = np.zeros((2, 5, 3))
    with pytest.raises(
        ValueError, match=r"LSTM takes \(batch, time, 3\) or \(time, 3\) for its input, not \(2, 5, 4\)"
    ):
        layer(np.zeros((2, 5, 4)))
    with pytest.raises(TypeError, match=r"pair \(h, c\), not ndarray"):
        layer(x, np.zeros((2, 2, 4)))
    with pytest.raises(
        ValueError, match=r"must be \(2, 2, 4\), \(2, 2, 4\): \(layers times directions, batch, units\)"
    ):
        layer(x, (np.zeros((2, 4)), np.zeros((2, 4))))
    with pytest.raises(ValueError, match="lengths lie between 1 and 6; x has 5 time steps"):
        layer(x, lengths=[1, 6])
    with pytest.raises(ValueError, match="give an integer for each of the 2 rows"):
        layer(x, lengths=[1.0, 2.0])
    with pytest.raises(ValueError, match="cut a single sequence"):
        layer(x[0], lengths=[3])
    with pytest.raises(ValueError, match="proj_size=4 must be smaller than hidden_size=4"):
        nn.LSTM(3, 4, proj_size=4)
    with pytest.raises(ValueError, match="neither 'tanh' nor 'relu'"):
        nn.RNN(3, 4, nonlinearity="sin")
    with pytest.raises(ValueError, match=r"GRUCell takes \(batch, 3\) or \(3,\), not \(2, 4\)"):
        nn.GRUCell(3, 4)(np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"a state has shape \(4,\); for the input \(2, 3\) give \(2, 4\)"):
        nn.GRUCell(3, 4)(np.zeros((2, 3)), np.zeros(4))
    packed = packing.pack_sequence([np.zeros((2, 3))])
    with pytest.raises(ValueError, match="leave lengths= out"):
        layer(packed, lengths=[2])


# -- packing -----------------------------------------------------------------------------------------------------

SEQUENCES = [R.normal(size=(n, 2)) for n in (3, 1, 4)]


@pytest.mark.parametrize(
    ("batch_first", "value", "side"), list(itertools.product([False, True], [0.0, -2.0], ["right", "left"]))
)
def test_pad_sequence(batch_first: bool, value: float, side: str) -> None:
    mine = [tn.tensor(s, requires_grad=True) for s in SEQUENCES]
    theirs = [torch.tensor(s, requires_grad=True) for s in SEQUENCES]
    out = packing.pad_sequence(mine, batch_first, value, side)
    expected = torch.nn.utils.rnn.pad_sequence(theirs, batch_first, value, side)
    np.testing.assert_array_equal(out.data, expected.detach().numpy())
    g = R.normal(size=out.shape)
    out.backward(g)
    expected.backward(torch.tensor(g))
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(a.grad.data, b.grad.numpy())


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", list(LENGTHS.values()), ids=list(LENGTHS))
def test_packing_and_back(lengths: list[int], batch_first: bool) -> None:
    x = both(*((4, 5, 2) if batch_first else (5, 4, 2)))
    mine = packing.pack_padded_sequence(x[0], lengths, batch_first, enforce_sorted=False)
    theirs = torch.nn.utils.rnn.pack_padded_sequence(x[1], torch.tensor(lengths), batch_first, enforce_sorted=False)
    np.testing.assert_array_equal(mine.data.data, theirs.data.detach().numpy())
    np.testing.assert_array_equal(mine.batch_sizes, theirs.batch_sizes.numpy())
    out, found = packing.pad_packed_sequence(mine, batch_first, -1.0, 6)
    expected, their_lengths = torch.nn.utils.rnn.pad_packed_sequence(theirs, batch_first, -1.0, 6)
    np.testing.assert_array_equal(out.data, expected.detach().numpy())
    np.testing.assert_array_equal(found, their_lengths.numpy())
    g = R.normal(size=out.shape)
    out.backward(g)
    expected.backward(torch.tensor(g))
    np.testing.assert_array_equal(x[0].grad.data, x[1].grad.numpy())


def test_lists_of_sequences_come_back() -> None:
    packed = packing.pack_sequence(SEQUENCES, enforce_sorted=False)
    padded = packing.pad_sequence(SEQUENCES)
    for back in (packing.unpack_sequence(packed), packing.unpad_sequence(padded, [len(s) for s in SEQUENCES])):
        for a, b in zip(back, SEQUENCES, strict=True):
            np.testing.assert_array_equal(a, b)


def test_packing_says_what_is_wrong() -> None:
    x = np.zeros((5, 2, 1))
    with pytest.raises(ValueError, match="do not descend: give enforce_sorted=False"):
        packing.pack_padded_sequence(x, [1, 2])
    with pytest.raises(ValueError, match="must lie between 1 and 5"):
        packing.pack_padded_sequence(x, [6, 2])
    with pytest.raises(ValueError, match="has 2 sequences: give an integer for each"):
        packing.pack_padded_sequence(x, [6])
    with pytest.raises(ValueError, match="total_length=3 is shorter than the longest sequence, 4"):
        packing.pad_packed_sequence(packing.pack_padded_sequence(x, [4, 2]), total_length=3)
    with pytest.raises(TypeError, match="takes a PackedSequence, not ndarray"):
        packing.pad_packed_sequence(x)
    with pytest.raises(ValueError, match="there is no sequence to pad"):
        packing.pad_sequence([])
    with pytest.raises(ValueError, match="neither 'right' nor 'left'"):
        packing.pad_sequence([x], padding_side="top")
