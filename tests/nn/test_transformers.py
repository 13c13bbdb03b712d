"""Attention with several heads and transformers beside PyTorch's: states both ways, values and all gradients over all
arguments; positions beside their formulas; dropout by its seeds and statistics."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim
from tests.nn.oracle import Make, pair, randomise, same_gradients, same_state

torch = pytest.importorskip("torch")

R = np.random.default_rng(0)
#: Called with a layer, a function that makes arrays into what it takes, and its inputs.
Use = Callable[..., Any]

PADDING = np.array([[False, False, True, True], [False, False, False, False], [False, True, False, True]])
UNSEEN = np.array([[False, True, True, False], [True, False, False, True]] * 2 + [[False] * 4])  # 5 queries, 4 keys
SCORES = R.normal(size=(5, 4))
EACH = R.normal(size=(6, 5, 4))  # for 3 samples of 2 heads
FUTURE = ~np.tri(5, dtype=bool)
Q, K = (5, 3, 6), (4, 3, 6)  # length, batch, width


def first(*shapes: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Shapes with the batch in front."""
    return tuple((batch, length, width) for length, batch, width in shapes)


ATTENTION: dict[str, tuple[Make, tuple[tuple[int, ...], ...], Use]] = {
    "MultiheadAttention": (lambda m: m.MultiheadAttention(6, 2), (Q, K, K), lambda a, t, q, k, v: a(q, k, v)),
    "MultiheadAttention self": (lambda m: m.MultiheadAttention(6, 2), (Q,), lambda a, t, x: a(x, x, x)),
    "MultiheadAttention self without weights": (
        lambda m: m.MultiheadAttention(6, 3, bias=False), (Q,), lambda a, t, x: a(x, x, x, need_weights=False)[:1]),
    "MultiheadAttention memory": (
        lambda m: m.MultiheadAttention(6, 2, batch_first=True), first(Q, K),
        lambda a, t, x, y: a(x, y, y, average_attn_weights=False)),
    "MultiheadAttention memory no bias": (
        lambda m: m.MultiheadAttention(6, 2, bias=False), (Q, K), lambda a, t, x, y: a(x, y, y, need_weights=False)[:1]),
    "MultiheadAttention widths": (
        lambda m: m.MultiheadAttention(6, 2, kdim=3, vdim=5), (Q, (4, 3, 3), (4, 3, 5)),
        lambda a, t, q, k, v: a(q, k, v)),
    "MultiheadAttention all": (
        lambda m: m.MultiheadAttention(6, 2, 0.0, False, True, True, 3, 5, True), first(Q, (4, 3, 3), (4, 3, 5)),
        lambda a, t, q, k, v: a(q, k, v, t(PADDING), True, t(UNSEEN), False)),
    "MultiheadAttention all without weights": (
        lambda m: m.MultiheadAttention(6, 2, add_bias_kv=True, add_zero_attn=True), (Q, K, K),
        lambda a, t, q, k, v: a(q, k, v, t(PADDING), False, t(UNSEEN))[:1]),
    "MultiheadAttention floats": (
        lambda m: m.MultiheadAttention(6, 2), (Q, K, K),
        lambda a, t, q, k, v: a(q, k, v, t(np.where(PADDING, -2.0, 0.5)), attn_mask=t(SCORES))),
    "MultiheadAttention each head": (
        lambda m: m.MultiheadAttention(6, 2), (Q, K, K),
        lambda a, t, q, k, v: a(q, k, v, need_weights=False, attn_mask=t(EACH))[:1]),
    "MultiheadAttention causal": (
        lambda m: m.MultiheadAttention(6, 2), (Q,),
        lambda a, t, x: a(x, x, x, need_weights=False, attn_mask=t(FUTURE), is_causal=True)[:1]),
    "MultiheadAttention no batch": (
        lambda m: m.MultiheadAttention(6, 2, batch_first=True), ((5, 6), (4, 6), (4, 6)),
        lambda a, t, q, k, v: a(q, k, v, key_padding_mask=t(PADDING[0]))),
}  # fmt: skip
TRANSFORMERS: dict[str, tuple[Make, tuple[tuple[int, ...], ...], Use]] = {
    "TransformerEncoderLayer": (
        lambda m: m.TransformerEncoderLayer(6, 2, 7, 0.0), (Q,), lambda f, t, x: f(x)),
    "TransformerEncoderLayer all": (
        lambda m: m.TransformerEncoderLayer(6, 3, 7, 0.0, "gelu", 1e-3, True, True, False), first(K),
        lambda f, t, x: f(x, src_key_padding_mask=t(PADDING))),
    "TransformerEncoderLayer causal": (
        lambda m: m.TransformerEncoderLayer(6, 2, 7, dropout=0.0, batch_first=True, norm_first=True), first(Q),
        lambda f, t, x: f(x, t(FUTURE), is_causal=True)),
    "TransformerDecoderLayer": (
        lambda m: m.TransformerDecoderLayer(6, 2, 7, 0.0), (Q, K), lambda f, t, x, y: f(x, y)),
    "TransformerDecoderLayer all": (
        lambda m: m.TransformerDecoderLayer(6, 3, 7, 0.0, "gelu", 1e-3, True, True, False), first(Q, K),
        lambda f, t, x, y: f(x, y, t(FUTURE), t(UNSEEN), memory_key_padding_mask=t(PADDING), tgt_is_causal=True)),
    "TransformerEncoder": (
        lambda m: m.TransformerEncoder(m.TransformerEncoderLayer(6, 2, 7, 0.0), 2, m.LayerNorm(6)), (K,),
        lambda f, t, x: f(x, src_key_padding_mask=t(PADDING))),
    "TransformerDecoder": (
        lambda m: m.TransformerDecoder(m.TransformerDecoderLayer(6, 2, 7, 0.0), 2), (Q, K),
        lambda f, t, x, y: f(x, y, t(FUTURE))),
    "Transformer": (
        lambda m: m.Transformer(6, 2, 2, 1, 7, 0.0), (K, Q),
        lambda f, t, x, y: f(x, y, tgt_mask=f.generate_square_subsequent_mask(5),
                             src_key_padding_mask=t(PADDING), memory_key_padding_mask=t(PADDING))),
    "Transformer all": (
        lambda m: m.Transformer(6, 2, 1, 1, 7, 0.0, "gelu", None, None, 1e-3, True, True, False), first(K, Q),
        lambda f, t, x, y: f(x, y, tgt_mask=t(FUTURE), tgt_is_causal=True)),
}  # fmt: skip
LAYERS: dict[str, Any] = (
    ATTENTION
    | TRANSFORMERS
    | dict.fromkeys(("RotaryPositionalEmbeddings", "SinusoidalPositionalEncoding"))  # not PyTorch's
)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("name", ATTENTION | TRANSFORMERS)
def test_beside_torch(name: str) -> None:
    make, shapes, use = (ATTENTION | TRANSFORMERS)[name]
    mine, theirs = pair(make)
    data = [R.normal(size=s) for s in shapes]
    ours, others = [tn.tensor(d, requires_grad=True) for d in data], [torch.tensor(d, requires_grad=True) for d in data]
    found, expected = use(mine, np.asarray, *ours), use(theirs, torch.tensor, *others)
    found, expected = ((r,) if not isinstance(r, tuple) else r for r in (found, expected))
    gs = [R.normal(size=out.shape) for out in found]
    for out, other in zip(found, expected, strict=True):
        assert out.shape == tuple(other.shape)
        np.testing.assert_allclose(out.data, other.detach().numpy(), rtol=1e-10, atol=1e-12)
    sum((out * g).sum() for out, g in zip(found, gs, strict=True)).backward()
    torch.autograd.backward(expected, [torch.tensor(g) for g in gs])
    same_gradients(mine, theirs)
    for x, other in zip(ours, others, strict=True):
        np.testing.assert_allclose(x.grad.data, other.grad.numpy(), rtol=1e-8, atol=1e-10)


def test_second_order_of_a_layer() -> None:
    layer = nn.TransformerEncoderLayer(2, 1, 2, 0.0, tn.tanh, batch_first=True, rng=0).astype("float64")
    tn.testing.check_grads(lambda x: layer(x, is_causal=True), [R.normal(size=(1, 3, 2))], order=2)


def test_float32_stays_and_other_inputs_are_cast() -> None:
    layer = nn.TransformerDecoderLayer(6, 2, 7, rng=0)
    x = tn.tensor(R.normal(size=Q).astype(np.float32), requires_grad=True)
    memory = R.normal(size=K)
    out = layer(x, memory, tgt_mask=np.where(FUTURE, -math.inf, 0.0), memory_key_padding_mask=PADDING)
    out.sum().backward()
    assert out.dtype == x.grad.dtype == layer.linear1.weight.grad.dtype == np.float32
    _, weights = layer.self_attn(x, memory, memory, attn_mask=SCORES)
    assert weights.dtype == np.float32


def test_a_query_that_sees_nothing_gives_the_bias_and_no_gradient() -> None:
    layer = nn.MultiheadAttention(4, 2, rng=0)
    randomise(layer)
    x = tn.tensor(R.normal(size=(3, 2, 4)), requires_grad=True)
    padding = np.array([[True] * 3, [False] * 3])
    for need_weights in (True, False):
        out, _ = layer(x, x, x, padding, need_weights)
        np.testing.assert_array_equal(out.data[:, 0], np.tile(layer.out_proj.bias.data, (3, 1)))
        x.grad = None
        out.sum().backward()
        assert not x.grad.data[:, 0].any()
        assert x.grad.data[:, 1].all()


def test_causal_beside_keys_that_all_see() -> None:
    """PyTorch's hint would hide the keys that were added; its causal mask does not."""
    layer = nn.MultiheadAttention(6, 2, add_bias_kv=True, add_zero_attn=True, rng=0)
    x = R.normal(size=Q)
    for mask in (None, FUTURE, R.normal(size=(5, 5)).astype(np.float32)):
        plain = FUTURE if mask is None or mask.dtype == bool else np.where(FUTURE, -math.inf, mask)
        causal, expected = layer(x, x, x, attn_mask=mask, is_causal=True), layer(x, x, x, attn_mask=plain)
        for out, other in zip(causal, expected, strict=True):
            np.testing.assert_allclose(out.data, other.data, rtol=1e-5)


def test_one_input_in_three_places_takes_one_product() -> None:
    layer = nn.MultiheadAttention(4, 2, rng=0)
    for inputs, products in (((np.zeros((3, 1, 4)),) * 3, 2), ([np.zeros((3, 1, 4)) for _ in range(3)], 4)):
        with tn.Tape() as tape:
            layer(*inputs)
        assert sum(node.name == "linear" for node in tape) == products


def test_copies_in_a_stack_draw_from_one_generator() -> None:
    stack = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, 0.5, rng=3), 2)
    a, b = stack.layers
    assert a.dropout.rng is b.dropout.rng is a.self_attn.rng
    assert a.linear1.weight is not b.linear1.weight
    np.testing.assert_array_equal(a.linear1.weight.data, b.linear1.weight.data)


@pytest.mark.parametrize("need_weights", [True, False])
def test_dropout_is_seeded_and_acts_in_training_only(need_weights: bool) -> None:
    def run(seed: int, training: bool = True) -> Any:
        layer = nn.MultiheadAttention(4, 2, dropout=0.5, rng=0).train(training)
        tn.random.seed(seed)
        layer.rng = None
        x = np.random.default_rng(1).normal(size=(6, 1, 4))
        return layer(x, x, x, need_weights=need_weights)[0].data

    np.testing.assert_array_equal(run(0), run(0))
    assert not np.allclose(run(0), run(1))
    np.testing.assert_array_equal(run(0, training=False), run(1, training=False))


def test_initial_values_are_those_of_the_papers() -> None:
    layer = nn.MultiheadAttention(64, 4, add_bias_kv=True, rng=0)
    assert np.abs(layer.in_proj_weight.data).max() == pytest.approx(math.sqrt(6 / (64 + 192)), rel=0.01)
    assert not layer.in_proj_bias.data.any()
    assert not layer.out_proj.bias.data.any()
    assert layer.bias_k.data.any()
    net = nn.Transformer(32, 2, 1, 1, 64, rng=0)
    assert np.abs(net.encoder.layers[0].linear1.weight.data).max() == pytest.approx(math.sqrt(6 / 96), rel=0.01)


def test_a_transformer_trains_like_pytorchs() -> None:
    def make(m: Any) -> Any:
        return m.TransformerEncoderLayer(6, 2, 8, 0.0, batch_first=True, norm_first=True)

    mine, theirs = make(nn).astype("float64"), make(torch.nn).double()
    mine.load_state_dict(theirs.state_dict())
    ours, others = optim.SGD(mine.parameters(), lr=0.05), torch.optim.SGD(theirs.parameters(), lr=0.05)
    data, goal = R.normal(size=(3, 5, 6)), R.normal(size=(3, 5, 6))
    for _ in range(10):
        loss, expected = (
            nn.MSELoss()(mine(data), goal),
            torch.nn.MSELoss()(theirs(torch.tensor(data)), torch.tensor(goal)),
        )
        assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
        ours.zero_grad()
        others.zero_grad()
        loss.backward()
        expected.backward()
        ours.step()
        others.step()
    same_state(mine, theirs)


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_compiled_with_dropout_it_draws_anew_and_as_in_eager(backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    net = nn.TransformerEncoderLayer(4, 2, 8, 0.3, batch_first=True, rng=0)
    for module in net.modules():
        if hasattr(module, "rng"):
            module.rng = None
    other = copy.deepcopy(net)
    x = np.random.default_rng(1).normal(size=(2, 5, 4)).astype(np.float32)

    def losses(net: Any, compile: Callable[[Any], Any]) -> list[float]:
        opt = optim.SGD(net.parameters(), lr=0.0)

        def step(x: Any) -> Any:
            loss = (net(x, is_causal=True) ** 2).sum() * 0.1
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        run = compile(step)
        tn.random.seed(5)
        return [run(x).item() for _ in range(3)]

    found = losses(net, lambda step: tn.compile(step, backend=backend))
    assert len(set(found)) == 3
    np.testing.assert_allclose(found, losses(other, lambda step: step), rtol=1e-4)


# -- positions ---------------------------------------------------------------------------------------------------


def test_rotary_positions_of_a_layer() -> None:
    layer = nn.RotaryPositionalEmbeddings(4, max_seq_len=6, base=100)
    x = R.normal(size=(2, 3, 2, 4))
    np.testing.assert_allclose(layer(x), tn.rotary_embedding(x, base=100.0, axis=1))
    found = layer(x, input_pos=[[0, 1, 2], [3, 4, 5]])
    np.testing.assert_allclose(found[1], tn.rotary_embedding(x[1], base=100.0, offset=3, axis=0), rtol=1e-12)
    other = nn.RotaryPositionalEmbeddings(4, interleaved=False, axis=-2)(x.swapaxes(1, 2))
    np.testing.assert_allclose(other, tn.rotary_embedding(x.swapaxes(1, 2), interleaved=False))
    with pytest.raises(ValueError, match=r"7 positions .* are more than max_seq_len=6"):
        layer(np.zeros((1, 7, 1, 4)))
    with pytest.raises(ValueError, match=r"takes \(..., 4\), not"):
        layer(np.zeros((1, 3, 1, 6)))
    with pytest.raises(ValueError, match="even number"):
        nn.RotaryPositionalEmbeddings(3)


def test_sinusoidal_positions_of_a_layer() -> None:
    x = R.normal(size=(2, 3, 4)).astype(np.float32)
    table = tn.sinusoidal_positions(5, 4)
    plain = nn.SinusoidalPositionalEncoding(4, dropout=0.0)
    np.testing.assert_array_equal(plain(x), x + table[:3])
    np.testing.assert_array_equal(plain(x, 2), x + table[2:])
    later = nn.SinusoidalPositionalEncoding(4, 0.0, batch_first=False)
    np.testing.assert_array_equal(later(x.swapaxes(0, 1)), (x + table[:3]).swapaxes(0, 1))
    for dtype in (np.float32, np.float16, pytest.importorskip("ml_dtypes").bfloat16):
        assert plain(tn.tensor(x.astype(dtype))).dtype == dtype
        assert tn.alibi_bias(2, 3, dtype=dtype).dtype == dtype
    dropping = nn.SinusoidalPositionalEncoding(4, 0.5, rng=0)
    assert (dropping(x) == 0).any()
    np.testing.assert_array_equal(dropping.eval()(x), plain(x))
    with pytest.raises(ValueError, match=r"takes \(..., length, 4\), not \(2, 3\)"):
        plain(np.zeros((2, 3)))


# -- errors ------------------------------------------------------------------------------------------------------

X = np.zeros((3, 2, 4))
ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "heads": (lambda: nn.MultiheadAttention(6, 4), ValueError, "embed_dim=6 does not divide into num_heads=4"),
    "dropout": (lambda: nn.MultiheadAttention(6, 2, 1.5), ValueError, "dropout=1.5 is no probability"),
    "width": (lambda: nn.MultiheadAttention(6, 2)(X, X, X), ValueError, "query has vectors of 4; .* embed_dim=6"),
    "batch": (lambda: nn.MultiheadAttention(4, 2)(X, X[:, :1], X[:, :1]), ValueError, "must have the same batch"),
    "axes": (lambda: nn.MultiheadAttention(4, 2)(X, X[0], X[0]), ValueError, r"key has shape \(2, 4\) beside a query"),
    "mask": (
        lambda: nn.MultiheadAttention(4, 2)(X, X, X, attn_mask=np.zeros((3, 2))), ValueError,
        r"attn_mask has shape \(3, 2\); it must be \(queries, keys\), \(3, 3\), .* \(4, 3, 3\)"),
    "padding": (
        lambda: nn.MultiheadAttention(4, 2)(X, X, X, np.zeros((3, 2))), ValueError,
        r"key_padding_mask has shape \(3, 2\); it must be \(batch, keys\), \(2, 3\)"),
    "integers": (
        lambda: nn.MultiheadAttention(4, 2)(X, X, X, np.zeros((2, 3), int)), TypeError,
        "key_padding_mask holds int64; give booleans, True for what is left out"),
    "activation": (lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"), ValueError, "'relu', 'gelu' or a function"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    call, kind, words = ERRORS[name]
    with pytest.raises(kind, match=words):
        call()
