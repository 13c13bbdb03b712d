"""Attention beside PyTorch's, whole and in tiles; its memory, masks, dropout, and derivatives of second order; positions
beside their formulas."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.ops.layers.attention import product, tiled, whole
from tapenet.ops.layers.attention.product import attention, attention_kept
from tests.ops.oracle import agrees_with_torch, close

torch = pytest.importorskip("torch")
attend = tn.scaled_dot_product_attention
R = np.random.default_rng(0)


@pytest.fixture(params=["whole", "tiled"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to compute: with the scores as a whole, and with tiles so small that there are many."""
    if request.param == "tiled":
        small_tiles(monkeypatch)


both_ways = pytest.mark.usefixtures("way")


def small_tiles(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(product, "WHOLE", 0)
    for name, value in (("ROWS", 3), ("COLUMNS", 4), ("NUMBERS", 30)):
        patch.setattr(tiled, name, value)


def arrays(*lead: int, queries: int = 7, keys: int = 9, r: Any = R) -> list[Any]:
    return [r.normal(size=(*lead, *s)) for s in ((queries, 4), (keys, 4), (keys, 5))]


def theirs(*args: Any, **options: Any) -> Any:
    return torch.nn.functional.scaled_dot_product_attention(*args, **options)


# -- values and gradients ----------------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("lead", [(), (2,), (2, 3), (2, 1, 3)])
@pytest.mark.parametrize("causal", [False, True])
def test_beside_torch(lead: tuple[int, ...], causal: bool) -> None:
    agrees_with_torch(
        lambda q, k, v: attend(q, k, v, is_causal=causal),
        lambda q, k, v: theirs(q, k, v, is_causal=causal),
        *arrays(*lead),
    )


@both_ways
@pytest.mark.parametrize("shape", [(7, 9), (9,), (7, 1), (1, 1, 9), (2, 1, 1, 9), (3, 7, 9), (2, 3, 7, 9)])
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_masks_beside_torch(shape: tuple[int, ...], kind: str) -> None:
    mask = R.random(shape) > 0.3 if kind == "bool" else R.normal(size=shape)
    agrees_with_torch(
        lambda q, k, v, m: attend(q, k, v, m, scale=0.3),
        lambda q, k, v, m: theirs(q, k, v, m.expand((1,) * max(0, 2 - m.ndim) + tuple(m.shape)), scale=0.3),
        *arrays(2, 3),
        mask,
    )


@both_ways
def test_a_mask_beside_causality() -> None:
    mask = R.normal(size=(3, 7, 9))
    past = np.tri(7, 9, dtype=bool)
    found = attend(*(a := arrays(2, 3)), mask, is_causal=True)
    close(found, attend(*a, np.where(past, mask, -math.inf)))
    close(attend(*a, mask > 0, is_causal=True), attend(*a, (mask > 0) & past))


@both_ways
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_rows_masked_whole_give_zero_as_in_torch(kind: str) -> None:
    mask: Any = R.random((7, 9)) > 0.3
    mask[[0, 4]] = False
    if kind == "float":
        mask = np.where(mask, R.normal(size=mask.shape), -math.inf)
    a = arrays(2)
    agrees_with_torch(attend, theirs, *a, mask)
    q = tn.tensor(a[0], requires_grad=True)
    out = attend(q, a[1], a[2], mask)
    out.sum().backward()
    for rows in (out.data, q.grad.data):
        assert not rows[:, [0, 4]].any()
        assert rows[:, [1, 2, 3, 5, 6]].all()


@both_ways
def test_keys_of_minus_1e9_alone_weigh_the_same() -> None:
    """In float32, which sees nothing else beside that number, in both directions."""
    q, k, v = (tn.tensor(a.astype("f"), requires_grad=True) for a in arrays(2))
    out = attend(q, k, v, np.full((7, 9), -1e9, "f"))
    out.sum().backward()
    close(out.data, np.broadcast_to(v.data.mean(1, keepdims=True), out.shape))
    close(v.grad.data, np.full_like(v.data, 7 / 9))


@both_ways
@pytest.mark.parametrize(("heads", "shared"), [(6, 3), (6, 1), (4, 4)])
@pytest.mark.parametrize("mask", [None, (7, 9), (1, 7, 9), (6, 7, 9), (2, 1, 1, 9)])
def test_grouped_heads_beside_torch(heads: int, shared: int, mask: Any) -> None:
    mask = None if mask is None else R.normal(size=[heads if n == 6 else n for n in mask])
    q, k, v = arrays(2, heads)[0], *arrays(2, shared)[1:]
    agrees_with_torch(
        lambda *a: attend(*a, enable_gqa=True),
        lambda *a: theirs(*a, enable_gqa=True),
        q,
        k,
        v,
        *[mask] * (mask is not None),
    )


@both_ways
def test_leading_axes_that_broadcast() -> None:
    q, k, v = R.normal(size=(2, 1, 7, 4)), R.normal(size=(3, 9, 4)), R.normal(size=(9, 5))
    agrees_with_torch(
        attend, lambda q, k, v: theirs(q, k[None], v.expand(1, 1, 9, 5), torch.zeros(7, 9, dtype=q.dtype)), q, k, v
    )


@settings(max_examples=25, deadline=None)
@given(
    lead=st.lists(st.integers(1, 3), max_size=2),
    queries=st.integers(1, 8),
    keys=st.integers(1, 10),
    causal=st.booleans(),
    mask=st.sampled_from(["none", "bool", "float", "columns"]),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 40)),
    order=st.booleans(),
)
def test_tiles_of_any_size_give_what_the_whole_gives(
    lead: list[int], queries: int, keys: int, causal: bool, mask: str, sizes: tuple[int, int, int], order: bool
) -> None:
    r = np.random.default_rng(queries * 100 + keys)
    a = arrays(*lead, queries=queries, keys=keys, r=r)
    if order and lead:  # the heads side by side in memory
        a = [np.ascontiguousarray(x.swapaxes(-2, -3)).swapaxes(-2, -3) for x in a]
    masks = {
        "none": None,
        "bool": r.random((queries, keys)) > 0.4,
        "float": r.normal(size=(*lead, queries, keys)),
        "columns": r.normal(size=keys),
    }

    def run() -> list[Any]:
        given = [tn.tensor(x, requires_grad=x.dtype.kind == "f") for x in a + [masks[mask]] * (mask != "none")]
        out = attend(*given, is_causal=causal)
        out.backward(np.cos(np.arange(out.size)).reshape(out.shape))
        return [out.data, *(t.grad.data for t in given if t.requires_grad)]

    expected = run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(product, "WHOLE", 0)
        for name, value in zip(("ROWS", "COLUMNS"), sizes[:2], strict=True):
            patch.setattr(tiled, name, value)
        patch.setattr(tiled, "NUMBERS", max(sizes[2], sizes[0] * sizes[1]))
        for found, other in zip(run(), expected, strict=True):
            close(found, other)


@both_ways
@pytest.mark.parametrize(("queries", "keys", "lead"), [(0, 3, (2,)), (3, 0, (2,)), (3, 2, (0,)), (1, 1, ())])
def test_lengths_of_nothing_and_of_one(queries: int, keys: int, lead: tuple[int, ...]) -> None:
    given = [tn.tensor(a, requires_grad=True) for a in arrays(*lead, queries=queries, keys=keys)]
    out = attend(*given, is_causal=True)
    assert out.shape == (*lead, queries, 5)
    assert keys or not out.data.any()
    out.sum().backward()
    assert [t.grad.shape for t in given] == [t.shape for t in given]


@both_ways
def test_large_scores_do_not_overflow() -> None:
    a = [(x * 1e3).astype(np.float32) for x in arrays()]
    given = [tn.tensor(x, requires_grad=True) for x in a]
    with np.errstate(all="raise", under="ignore"):
        out = attend(*given)
        out.sum().backward()
    assert all(np.isfinite(t.grad.data).all() for t in given)
    np.testing.assert_allclose(out.data, a[2][(a[0] @ a[1].T).argmax(1)], rtol=1e-5)


@both_ways
def test_second_order() -> None:
    tn.testing.check_grads(
        lambda q, k, v, m: attend(q, k, v, m, is_causal=True),
        [R.normal(size=s) for s in ((2, 3, 2), (2, 4, 2), (2, 4, 1), (3, 4))],
        order=2,
    )
    tn.testing.check_grads(
        lambda q, k, v: attend(q, k, v, dropout_p=0.5, rng=3),
        [R.normal(size=s) for s in ((3, 2), (5, 2), (5, 1))],
        order=2,
    )


@both_ways
def test_results_keep_the_memory_order_of_the_query() -> None:
    """Heads that come from one projection lie side by side; joining them again takes no copy."""
    q, k, v = (R.normal(size=(2, 7, 3, 4)).swapaxes(1, 2) for _ in range(3))
    t = [tn.tensor(a, requires_grad=True) for a in (q, k, v)]
    out = attend(*t)
    assert out.data.swapaxes(1, 2).flags.c_contiguous
    out.backward(q)
    assert all(x.grad.data.swapaxes(1, 2).flags.c_contiguous for x in t)


# -- memory ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
def test_memory_grows_with_the_lengths_and_not_with_their_product(causal: bool) -> None:
    """At length 4096 the scores alone take 64 megabytes. Between forward and backward less than 2 are kept, and at no time
    are there more than 6."""
    length = 4096
    t = [tn.tensor(R.normal(size=(1, length, 16)).astype(np.float32), requires_grad=True) for _ in range(3)]
    short = attend(*(x[:, :512] for x in t), is_causal=causal)  # what is loaded and compiled stays
    short.backward(short.data)
    tracemalloc.start()
    try:
        out = attend(*t, is_causal=causal)
        saved, _ = tracemalloc.get_traced_memory()
        out.backward(t[0].data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert saved < 2 * 2**20
    assert peak < 6 * 2**20


# -- dropout -----------------------------------------------------------------------------------------------------
@both_ways
def test_dropout_is_seeded() -> None:
    a = arrays(2)

    def run(seed: int) -> Any:
        tn.random.seed(seed)
        return attend(*a, dropout_p=0.5)

    np.testing.assert_array_equal(run(0), run(0))
    assert not np.allclose(run(0), run(1))
    np.testing.assert_array_equal(attend(*a, dropout_p=0.5, rng=3), attend(*a, dropout_p=0.5, rng=3))
    rng = np.random.default_rng(0)
    assert not np.allclose(attend(*a, dropout_p=0.5, rng=rng), attend(*a, dropout_p=0.5, rng=rng))


@both_ways
def test_dropout_drops_what_it_says() -> None:
    """With values that are unit vectors the result is the weights themselves."""
    q, k, _ = arrays(2, queries=20, keys=30)
    v = np.broadcast_to(np.eye(30), (2, 30, 30))
    weights = attend(q, k, v)
    seed = np.array(7)
    found = attention(q, k, v, None, seed, 0.3, False, 0.5)
    kept = attention_kept(seed, weights.shape, 0.3)
    close(found, np.where(kept, weights / 0.7, 0))
    assert kept.mean() == pytest.approx(0.7, abs=0.05)
    # No two rows or columns alike, which a tile that draws what another drew would give.
    for drawn in (kept.reshape(-1, 30), kept.swapaxes(1, 2).reshape(-1, 20)):
        assert len(np.unique(drawn, axis=0)) == len(drawn)


@both_ways
def test_dropout_keeps_the_mean() -> None:
    a = arrays(queries=3)
    found = np.mean([attend(*a, dropout_p=0.4, rng=i) for i in range(2000)], axis=0)
    np.testing.assert_allclose(found, attend(*a), atol=0.08)


@both_ways
def test_dropout_of_all_and_of_none() -> None:
    t = [tn.tensor(a, requires_grad=True) for a in arrays(2)]
    out = attend(*t, dropout_p=1.0)
    out.sum().backward()
    assert not out.data.any()
    assert not any(x.grad.data.any() for x in t)
    close(attend(*arrays(2, r=np.random.default_rng(1)), dropout_p=0.0), attend(*arrays(2, r=np.random.default_rng(1))))


@both_ways
def test_weights_dropped_are_those_of_both_directions() -> None:
    """The gradient by the values is the transposed weights, dropout and all."""
    q, k, v = arrays(2)
    t = tn.tensor(v, requires_grad=True)
    weights = attend(q, k, np.broadcast_to(np.eye(9), (2, 9, 9)), dropout_p=0.5, rng=3)
    g = R.normal(size=(2, 7, 5))
    attend(q, k, t, dropout_p=0.5, rng=3).backward(g)
    close(t.grad.data, weights.swapaxes(1, 2) @ g)


# -- errors ------------------------------------------------------------------------------------------------------

Q, K, V = (np.zeros(s) for s in ((2, 6, 3, 4), (2, 3, 5, 4), (2, 3, 5, 2)))
ERRORS: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "vectors": ((Q, Q[..., :2], Q), {}, ValueError, "vectors of different lengths, 4 and 2"),
    "lengths": ((Q, Q, Q[..., :2, :]), {}, ValueError, "different lengths, 3 and 2"),
    "axes": ((Q[0, 0, 0], Q, Q), {}, ValueError, r"query has shape \(4,\); it must be \(..., length, vector length\)"),
    "heads": ((Q, K, V), {}, ValueError, "do not broadcast together.*6 to 3, give enable_gqa=True"),
    "batches": ((Q, K[:, :1].repeat(3, 0), V), {}, ValueError, r"do not broadcast together$|do not broadcast together"),
    "groups": ((Q[:, :4], K, V), {"enable_gqa": True}, ValueError, "a multiple of the heads"),
    "integers": ((Q.astype(int), Q, Q), {}, TypeError, r"query holds int64; .* query.astype\(np.float32\)"),
    "mask": (
        (Q, Q, Q, np.zeros((3, 4))),
        {},
        ValueError,
        r"attn_mask has shape \(3, 4\); .* the scores, \(2, 6, 3, 3\)",
    ),
    "large mask": ((Q[0, 0], Q[0, 0], Q[0, 0], np.zeros((2, 3, 3))), {}, ValueError, r"must broadcast to .* \(3, 3\)"),
    "mask of integers": ((Q, Q, Q, np.zeros((3, 3), int)), {}, TypeError, r"attn_mask holds int64; .*astype\(bool\)"),
    "dropout": ((Q, Q, Q), {"dropout_p": 1.5}, ValueError, "dropout_p=1.5 is no probability"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    args, options, kind, words = ERRORS[name]
    with pytest.raises(kind, match=words):
        attend(*map(tn.tensor, args), **options)


# -- positions ---------------------------------------------------------------------------------------------------


def turned(x: Any, position: int, base: float, interleaved: bool) -> Any:
    """One vector, by 2 x 2 matrices."""
    d = len(x)
    out = np.empty_like(x)
    for i in range(d // 2):
        a, b = (2 * i, 2 * i + 1) if interleaved else (i, i + d // 2)
        angle = position * base ** (-2 * i / d)
        out[a] = x[a] * math.cos(angle) - x[b] * math.sin(angle)
        out[b] = x[b] * math.cos(angle) + x[a] * math.sin(angle)
    return out


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("positions", [None, np.array([5, 0, 2]), np.array([[1, 2, 3], [0, 0, 7]])])
def test_rotations_are_those_of_the_formula(interleaved: bool, positions: Any) -> None:
    x = R.normal(size=(2, 4, 3, 6))
    found = tn.rotary_embedding(x, positions, 50.0, interleaved, 2)
    places = np.broadcast_to(np.arange(3) if positions is None else positions, (2, 3))
    for b, h, t in itertools.product(range(2), range(4), range(3)):
        np.testing.assert_allclose(found[b, h, t], turned(x[b, h, t], places[b, t] + 2, 50.0, interleaved), rtol=1e-12)
    other = tn.rotary_embedding(x.swapaxes(1, 2), positions, 50.0, interleaved, 2, axis=1)
    np.testing.assert_allclose(other, found.swapaxes(1, 2))
    np.testing.assert_allclose(tn.rotary_embedding(found, positions, 50.0, interleaved, 2, inverse=True), x, rtol=1e-12)


@pytest.mark.parametrize("interleaved", [True, False])
def test_scores_of_rotated_vectors_depend_on_the_distance_alone(interleaved: bool) -> None:
    q, k = np.broadcast_to(R.normal(size=(2, 1, 8)), (2, 6, 8))
    scores = np.matmul(
        *(tn.rotary_embedding(x, interleaved=interleaved) for x in (q, k)), axes=[(0, 1), (1, 0), (0, 1)]
    )
    for distance in range(-5, 6):
        along = np.diagonal(scores, distance)
        np.testing.assert_allclose(along, along[0], rtol=1e-10)


def test_rotations_of_float32_at_far_positions() -> None:
    x = R.normal(size=(4, 8))
    found = tn.rotary_embedding(x.astype(np.float32), offset=100_000)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, tn.rotary_embedding(x, offset=100_000), rtol=1e-5, atol=1e-6)


def test_errors_of_rotations() -> None:
    with pytest.raises(ValueError, match="even dim"):
        tn.rotary_embedding(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"positions have shape \(4,\); .* must be \(3,\), the length of axis 1"):
        tn.rotary_embedding(tn.tensor(np.zeros((2, 3, 4))), np.arange(4))
    with pytest.raises(ValueError, match="must be an axis but the last"):
        tn.rotary_embedding(np.zeros((2, 4)), axis=-1)
    with pytest.raises(TypeError, match="x holds int64"):
        tn.rotary_embedding(np.zeros((2, 4), int))


@pytest.mark.parametrize("dim", [4, 5, 1])
def test_sinusoidal_positions_are_those_of_the_formula(dim: int) -> None:
    found = tn.sinusoidal_positions(6, dim, 3, dtype=np.float64)
    for t, i in itertools.product(range(6), range(dim)):
        angle = (t + 3) / 10000 ** (2 * (i // 2) / dim)
        assert found[t, i] == pytest.approx(math.cos(angle) if i % 2 else math.sin(angle))


def test_the_bias_of_alibi() -> None:
    bias = tn.alibi_bias(8, 3)
    np.testing.assert_array_equal(bias[0], -0.5 * np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0]]))
    np.testing.assert_array_equal(bias[7, 2], [-(2**-7), -(2**-8), 0])
    np.testing.assert_array_equal(tn.alibi_bias(4, 1, 5), tn.alibi_bias(4, 5)[:, -1:])
    # Of 12 heads: those of 8, then the 1st, 3rd, 5th and 7th of 16.
    slopes = -tn.alibi_bias(12, 2)[:, 1, 0]
    np.testing.assert_allclose(slopes, [*(2.0 ** -np.arange(1, 9)), *(2.0 ** (-np.arange(1, 8, 2) / 2))], rtol=1e-6)
    with pytest.raises(ValueError, match="num_heads=0"):
        tn.alibi_bias(0, 3)
    with pytest.raises(ValueError, match="give key_length=3 or more"):
        tn.alibi_bias(2, 3, 2)


def test_a_seed_draws_what_the_forward_drew() -> None:
    np.testing.assert_array_equal(whole.kept(5, (1, 2), (3, 4), 0.5), whole.kept(5, (1, 2), (3, 4), 0.5))
    assert not np.array_equal(whole.kept(5, (1, 2), (3, 40), 0.5), whole.kept(5, (2, 1), (3, 40), 0.5))


def test_a_pass_over_arrays_calls_no_op_for_the_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call of an op would take a third of the time of a small pass."""
    monkeypatch.setattr(product, "attention_grad", SimpleNamespace(forward=product.attention_grad.forward))
    x = tn.tensor(np.ones((2, 3, 4)), requires_grad=True)
    tn.scaled_dot_product_attention(x, x, x).sum().backward()
    assert x.grad is not None
