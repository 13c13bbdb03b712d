"""Scaled dot-product attention as one op.

Where the matrix of scores is small its softmax is saved for the rule (`whole`), else it is made in tiles, twice, and never
as a whole (`tiled`). Derivatives of higher order come from the formula in plain NumPy (`reference=`). What dropout leaves is
drawn before, of many scores a seed from which it follows, and is an input like others: so the op itself is a function of its
inputs, and leaves the same in both directions.
"""

from __future__ import annotations

import math
from collections.abc import Set
from typing import Any

import numpy as np

from tapenet.ops.batched_calls import aligned
from tapenet.ops.derived import array_like, derived
from tapenet.ops.layers.activations.softmax import softmax
from tapenet.ops.layers.attention import kernel_dispatch, tiled, whole
from tapenet.ops.layers.recurrent.products import plain
from tapenet.ops.op import op
from tapenet.ops.random import Chances, integers, random_draw
from tapenet.ops.registry import Sample, sample
from tapenet.ops.shapes.reshaping import astype, unbroadcast
from tapenet.program.symbols import CannotLower
from tapenet.typing import Array, Shape

#: Up to how many scores are kept as a whole: 4 megabytes of float32. Beyond, reading them again costs what making them
#: anew does.
WHOLE = 2**20


def _shape(query: Array, key: Array, value: Array, attn_mask: Array | None) -> tuple[int, ...]:
    """Check the shapes; that of the scores, (..., L, S)."""
    shapes = query.shape, key.shape, value.shape
    for name, array in (("query", query), ("key", key), ("value", value)):
        if array.ndim < 2:
            raise ValueError(f"{name} has shape {array.shape}; it must be (..., length, vector length)")
        if array.dtype.kind != "f":
            raise TypeError(f"{name} holds {array.dtype}; attention takes floats: {name}.astype(np.float32)")
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(
            f"query {query.shape} and key {key.shape} have vectors of different lengths, {query.shape[-1]} and "
            f"{key.shape[-1]}, in the last axis"
        )
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(
            f"key {key.shape} and value {value.shape} have different lengths, {key.shape[-2]} and {value.shape[-2]}, in "
            "the next to last axis: there is one value for each key"
        )
    try:
        lead = shapes[0][:-2]
        if not lead == shapes[1][:-2] == shapes[2][:-2]:
            lead = np.broadcast_shapes(*(s[:-2] for s in shapes))
    except ValueError:
        raise ValueError(
            f"the leading axes of query {shapes[0]}, key {shapes[1]} and value {shapes[2]} do not broadcast together"
            + _heads_hint(*shapes)
        ) from None
    shape = (*lead, query.shape[-2], key.shape[-2])
    if attn_mask is not None:
        _mask_fits(attn_mask, shape)
    return shape


def _heads_hint(query: Array, key: Array, value: Array) -> str:
    if len(query) > 2 and len(key) > 2 and key[-3] == value[-3] and not query[-3] % max(1, key[-3]):
        return f". For heads that share keys and values, {query[-3]} to {key[-3]}, give enable_gqa=True"
    return ""


def _mask_fits(mask: Array, shape: tuple[int, ...]) -> None:
    if mask.dtype.kind not in "bf":
        raise TypeError(
            f"attn_mask holds {mask.dtype}; give booleans, True where a key takes part, or floats, which are added to the "
            "scores: attn_mask.astype(bool)"
        )
    missing = len(shape) - mask.ndim
    if missing < 0 or any(n not in (1, m) for n, m in zip(mask.shape, shape[missing:], strict=True)):
        raise ValueError(f"attn_mask has shape {mask.shape}; it must broadcast to that of the scores, {shape}")


def usual_scale(query: Array) -> float:
    """1/√E, which keeps the variance of scores at that of the elements of queries and keys."""
    return 1 / math.sqrt(query.shape[-1] or 1)


def _stretched(shape: tuple[int, ...], *arrays: Array) -> list[Array]:
    """Arrays with the leading axes of the scores, as views."""
    lead = shape[:-2]
    return [a if a.shape[:-2] == lead else np.broadcast_to(a, (*lead, *a.shape[-2:])) for a in arrays]


def _full(mask: Array | None, shape: tuple[int, ...]) -> Array | None:
    """A mask with all axes of the scores; of length one where it broadcasts."""
    return None if mask is None else mask.reshape((1,) * (len(shape) - mask.ndim) + mask.shape)


def _attention_joint(
    g: Array, wanted: Set[str], query: Array, key: Array, value: Array, attn_mask: Array | None, out: Array, weights: Array,
    kept: Array, normalizers: Array, seed: Array | None, dropout_p: float, is_causal: bool, scale: float,
) -> dict[str, Array]:  # fmt: skip
    given = g, query, key, value, attn_mask, out, weights, kept, normalizers, seed
    # On arrays its forward alone: the call of an op takes a third of the time of a pass of 8 heads of 16 vectors of 64 numbers.
    run = attention_grad.forward if plain(*given) else attention_grad
    found = run(*given, dropout_p, is_causal, scale, "attn_mask" in wanted)
    by_mask = [unbroadcast(d, attn_mask.shape) for d in found[3:] if attn_mask is not None]
    return dict(zip(("query", "key", "value", "attn_mask"), (*found[:3], *by_mask), strict=False))


def attention_weights(query: Array, key: Array, attn_mask: Array | None, is_causal: bool, scale: float) -> Array:
    """softmax(query @ keyᵀ · scale + mask), in terms of ops."""
    scores = np.matmul(query * scale, np.swapaxes(key, -1, -2))
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -math.inf) if attn_mask.dtype.kind == "b" else scores + attn_mask
    if is_causal:
        queries, keys = scores.shape[-2:]
        scores = np.where(np.tri(queries, keys, dtype=bool), scores, -math.inf)
    return softmax(scores)  # type: ignore[no-any-return]


def _reference(
    query: Array, key: Array, value: Array, attn_mask: Array | None, seed: Array | None, dropout_p: float,
    is_causal: bool, scale: float,
) -> Array:  # fmt: skip
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    if seed is not None:
        left = seed if seed.dtype.kind == "b" else attention_kept(seed, weights.shape, dropout_p)
        weights = whole.dropped(weights, left, dropout_p)
    return np.matmul(weights, value)  # type: ignore[no-any-return]


def _beside(lanes: int, batched: frozenset[str], all_lanes: bool, **arrays: Array | None) -> list[Any]:
    """Arguments of attention over lanes, these being one more of the axes in front; with `all_lanes` each has them."""
    ndim = max(a.ndim - (n in batched) for n, a in arrays.items() if a is not None)

    def one(n: str, a: Array | None) -> Array | None:
        if a is None or not (all_lanes or n in batched):
            return a
        made: Array = aligned(a if n in batched else np.broadcast_to(a, (lanes, *a.shape)), ndim)
        return made

    return [one(n, a) for n, a in arrays.items()]


def _attention_lanes(
    batched: frozenset[str], lanes: int, query: Array, key: Array, value: Array, attn_mask: Array | None,
    seed: Array | None, is_causal: bool, scale: float,
) -> object:  # fmt: skip
    if seed is not None:  # what dropout leaves depends on the shape
        return NotImplemented
    spread = "attn_mask" in batched  # which adds no axes to the scores
    given = _beside(lanes, batched, spread, query=query, key=key, value=value, attn_mask=attn_mask)
    return attention(*given, None, 0.0, is_causal, scale)


def _attention_grad_lanes(
    batched: frozenset[str], lanes: int, gradient: Array, query: Array, key: Array, value: Array, attn_mask: Array | None,
    seed: Array | None, is_causal: bool, scale: float, mask_gradient: bool,
) -> object:  # fmt: skip
    """What a call saves differs with its size: it is computed anew."""
    if seed is not None:
        return NotImplemented
    g, *given = _beside(lanes, batched, True, gradient=gradient, query=query, key=key, value=value, attn_mask=attn_mask)
    shapes = {"query": query.shape, "key": key.shape, "value": value.shape}
    if attn_mask is not None:
        shapes["attn_mask"] = attn_mask.shape
        scores = _shape(*given)
        if mask_gradient and math.prod(scores[1:]) <= WHOLE:  # that of a lane has the shape of its scores
            given[3] = np.broadcast_to(given[3], scores)
            shapes["attn_mask"] = scores["attn_mask" not in batched :]
    saved = attention.forward(*given, None, 0.0, is_causal, scale)
    found = attention_grad.forward(g, *given, *saved, None, 0.0, is_causal, scale, mask_gradient)
    return tuple(
        np.reshape(d, (lanes, *shape[n in batched :])) for d, (n, shape) in zip(found, shapes.items(), strict=False)
    )


_OPAQUE = "scores are made in tiles that fit the cache, which no primitive does"


def _small(shape: Shape, query: Array, value: Array, is_causal: bool) -> bool:
    """Whether scores of a shape are so few that a program makes them by the formula."""
    work = math.prod(shape) * (query.shape[-1] + value.shape[-1])
    return 0 < work < kernel_dispatch.worth(is_causal) and math.prod(shape) <= WHOLE


def _lowered(
    query: Array, key: Array, value: Array, attn_mask: Array | None = None, seed: Array | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float = 1.0,
) -> tuple[Array, ...]:  # fmt: skip
    shape = _shape(query, key, value, attn_mask)
    if (seed is not None and seed.dtype.kind != "b") or not _small(shape, query, value, is_causal):
        raise CannotLower(_OPAQUE)
    query, key, value = _stretched(shape, query, key, value)
    weights = attention_weights(query, key, _full(attn_mask, shape), is_causal, scale)
    out = np.matmul(weights if seed is None else whole.dropped(weights, seed, dropout_p), value)
    left = np.empty(0, bool) if seed is None else seed
    return out, weights, left, np.empty(0, out.dtype)


def _grad_lowered(
    gradient: Array, query: Array, key: Array, value: Array, attn_mask: Array | None, result: Array, weights: Array,
    kept: Array, normalizers: Array, seed: Array | None = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float = 1.0, mask_gradient: bool = False,
) -> tuple[Array, ...]:  # fmt: skip
    shape = _shape(query, key, value, attn_mask)
    if (seed is not None and seed.dtype.kind != "b") or not _small(shape, query, value, is_causal):
        raise CannotLower(_OPAQUE)
    shapes = query.shape, key.shape, value.shape
    g, query, key, value, out = _stretched(shape, gradient, query, key, value, result)
    by_weights, used = np.matmul(g, np.swapaxes(value, -1, -2)), weights
    if seed is not None:
        by_weights, used = (whole.dropped(a, seed, dropout_p) for a in (by_weights, weights))
    by_scores = (by_weights - np.sum(g * out, axis=-1, keepdims=True)) * weights
    by_query, by_key = np.matmul(by_scores, key) * scale, np.matmul(np.swapaxes(by_scores, -1, -2), query) * scale
    by_value = np.matmul(np.swapaxes(used, -1, -2), g)
    found = tuple(unbroadcast(d, s) for d, s in zip((by_query, by_key, by_value), shapes, strict=True))
    if attn_mask is None or not mask_gradient:
        return found
    return (*found, by_scores)


def _multiply_adds(query_shape: Shape, key_shape: Shape, out_shape: Shape) -> int:
    return int(math.prod(out_shape[:-1]) * key_shape[-2] * (query_shape[-1] + out_shape[-1]))


_NORMAL = [(2, 3), (4, 3), (4, 2)]  # of query, key and value


def _normal(r: np.random.Generator, *shapes: Shape) -> list[Array]:
    return [r.normal(size=s) for s in shapes or _NORMAL]


@op(
    lower=_lowered,
    nondiff=("seed",),
    residuals=("weights", "kept", "normalizers"),
    reference=_reference,  # whole and tiled work in place: a tile at a time, or with half the passes over the scores
    memory="alike",
    joint=_attention_joint,
    vmap=_attention_lanes,
    label=lambda is_causal: "causal attention" if is_causal else "attention",
    multiply_adds=_multiply_adds,
    formula="softmax(query @ keyᵀ · scale + attn_mask) @ value",
    gradients="query: scale · (P · (g @ valueᵀ − Σ g · out)) @ key; "
    "key: scale · (P · (g @ valueᵀ − Σ g · out))ᵀ @ query; "
    "value: Pᵀ @ g, P = softmax(query @ keyᵀ · scale + attn_mask); "
    "attn_mask: P · (g @ valueᵀ − Σ g · out)",
    samples=lambda r: [
        sample(*_normal(r)),
        sample(*_normal(r), r.normal(size=(2, 4))),
        sample(*_normal(r, (1, 2, 2), (2, 3, 2), (3, 1)), np.array([[True, True, False], [False, False, False]])),
        sample(*_normal(r, (2, 2), (3, 2), (3, 2)), None, np.array(5), 0.5, is_causal=True, scale=0.3),
    ],
)
def attention(
    query: Array, key: Array, value: Array, attn_mask: Array | None = None, seed: Array | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float = 1.0,
) -> tuple[Array, ...]:  # fmt: skip
    """`scaled_dot_product_attention` for what is drawn before.

    Args:
        query, key, value, attn_mask, dropout_p, is_causal: see there. A mask of floats has their dtype.
        seed: which weights dropout leaves, truths in the shape of the scores; or an integer from which that follows; None for
            no dropout.
        scale: factor of the scores.

    Returns:
        (..., L, V).

    Raises:
        ValueError: the shapes do not fit.
        TypeError: a mask of integers, or a query, key or value that holds no floats.

    >>> import tapenet as tn
    >>> from tapenet.ops.layers.attention.product import attention
    >>> attention(tn.tensor([[0.0]]), tn.tensor([[1.0], [2.0]]), tn.tensor([[4.0], [6.0]]))
    Tensor([[5.]])
    """
    shape = _shape(query, key, value, attn_mask)
    query, key, value = _stretched(shape, query, key, value)
    mask = _full(attn_mask, shape)
    none = np.empty(0, query.dtype)
    found = kernel_dispatch.forward(query, key, value, mask, seed, dropout_p, is_causal, scale)
    if found is not None:
        (out, normalizers), weights, kept = found, none, None
    elif math.prod(shape) <= WHOLE:
        out, weights, kept = whole.forward(query, key, value, mask, seed, dropout_p, is_causal, scale)
        normalizers = none
    else:
        out, normalizers = tiled.forward(query, key, value, mask, seed, dropout_p, is_causal, scale)
        weights, kept = none, None
    return out, weights, np.empty(0, bool) if kept is None else kept, normalizers


@op(
    lower=_grad_lowered,
    memory="alike",
    nondiff=("gradient", "query", "key", "value", "attn_mask", "result", "weights", "kept", "normalizers", "seed"),
    outputs=None,
    vmap=_attention_grad_lanes,
    label="attention gradients",
    samples=lambda r: [_grad_sample(r), _grad_sample(r, r.normal(size=(2, 1)))],
)
def attention_grad(
    gradient: Array, query: Array, key: Array, value: Array, attn_mask: Array | None, result: Array, weights: Array,
    kept: Array, normalizers: Array, seed: Array | None = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float = 1.0, mask_gradient: bool = False,
) -> tuple[Array, ...]:  # fmt: skip
    """The gradients of `attention` by query, key, value and, with `mask_gradient`, by the mask: in the mask's shape or, of up
    to `WHOLE` scores, in theirs, which a program sums up itself.

    It has no derivative of its own: those of higher order come from the formula of `attention`.

    Args:
        gradient: (..., L, V), that by the result.
        query, key, value, attn_mask, seed, dropout_p, is_causal, scale: of `attention`.
        result, weights, kept, normalizers: what `attention` returned and saved.
        mask_gradient: whether the gradient by the mask is wanted.

    >>> import numpy as np
    >>> from tapenet.ops.layers.attention.product import attention, attention_grad
    >>> x = np.array([[1.0], [2.0]])
    >>> saved = attention.forward(x, x, x)
    >>> [d.shape for d in attention_grad(x, x, x, x, None, *saved)]
    [(2, 1), (2, 1), (2, 1)]
    """
    shape = _shape(query, key, value, attn_mask)
    shapes = query.shape, key.shape, value.shape
    g, query, key, value, out = _stretched(shape, gradient, query, key, value, result)
    mask = _full(attn_mask, shape)
    tiles, few = normalizers.size > 0, math.prod(shape) <= WHOLE
    by_mask: Array | None = None
    by_machine = None
    if tiles and (few or not mask_gradient):  # a kernel makes that by all scores as a whole
        by_machine = kernel_dispatch.backward(
            g, query, key, value, mask, out, normalizers, seed, dropout_p, is_causal, scale, mask_gradient
        )
    if by_machine is not None:
        found = list(by_machine[:3])
        by_mask = by_machine[3] if mask_gradient else None
    elif not tiles:
        left = None if seed is None else kept
        *found, by_mask = whole.backward(g, query, key, value, out, weights, left, dropout_p, scale)
    else:
        if few and mask_gradient and mask is not None:
            mask = np.broadcast_to(mask, shape)
        *found, by_mask = tiled.backward(
            g, query, key, value, mask, out, normalizers, seed, dropout_p, is_causal, scale, mask_gradient
        )
    found = [unbroadcast(d, s) for d, s in zip(found, shapes, strict=True)]
    if attn_mask is None or by_mask is None or not mask_gradient:
        return tuple(found)
    return (*found, by_mask if few else by_mask.reshape(attn_mask.shape))


def _grad_sample(r: np.random.Generator, mask: Array | None = None) -> Sample:
    query, key, value = _normal(r)
    saved = attention.forward(query, key, value, mask)
    return sample(r.normal(size=(2, 2)), query, key, value, mask, *saved, mask_gradient=mask is not None)


@op(
    opaque=_OPAQUE,
    nondiff=("seed",),
    label="kept weights",
    samples=lambda r: [sample(np.array(5), (2, 3), 0.5)],
)
def attention_kept(seed: Array, shape: tuple[int, ...], dropout_p: float) -> Array:
    """Which weights dropout leaves in `attention`.

    Args:
        seed: that of `attention`.
        shape: (..., L, S), that of the weights.
        dropout_p: probability of dropping a weight.

    Returns:
        booleans of that shape.

    >>> import numpy as np
    >>> from tapenet.ops.layers.attention.product import attention_kept
    >>> attention_kept(np.array(5), (2, 3), 0.0).all()
    np.True_
    """
    if math.prod(shape) <= WHOLE:
        return whole.kept(seed, (), shape, dropout_p)
    return tiled.all_kept(seed, shape if len(shape) > 2 else (1, *shape), dropout_p).reshape(shape)


def _grouped(
    query: Array, key: Array, value: Array, attn_mask: Array | None
) -> tuple[Array, Array, Array, Array | None]:
    """Arguments of attention with the query's heads split into those of the key and, in an axis of its own, those that
    share one of them."""
    many, few = (a.shape[-3] if a.ndim > 2 else 0 for a in (query, key))
    if not few or many % few or value.ndim < 3 or value.shape[-3] != few:
        raise ValueError(
            f"scaled_dot_product_attention: query {query.shape} with enable_gqa=True must have a multiple of the heads of "
            f"key {key.shape} and value {value.shape} in the third axis from the end, these two equally many"
        )
    query = np.reshape(query, (*query.shape[:-3], few, many // few, *query.shape[-2:]))
    if attn_mask is not None and attn_mask.ndim > 2:
        heads = (few, many // few) if attn_mask.shape[-3] == many else (attn_mask.shape[-3], 1)
        attn_mask = np.reshape(attn_mask, (*attn_mask.shape[:-3], *heads, *attn_mask.shape[-2:]))
    return query, np.expand_dims(key, -3), np.expand_dims(value, -3), attn_mask


def _drawn(shape: Shape, dropout_p: float, rng: np.random.Generator | int | None) -> Array:
    """What dropout leaves of few scores, which native code can draw; of many a seed of it, since they are not kept."""
    if math.prod(shape) > WHOLE:
        return array_like(integers(0, 2**63 - 1, rng=rng))
    return array_like(random_draw(Chances(shape, dropout_p, False), rng))


@derived(
    samples=lambda r: [
        sample(*_normal(r)),
        sample(*_normal(r, (2, 1, 2, 2), (1, 3, 2), (1, 3, 1)), r.normal(size=(2, 3)), scale=0.5),
        sample(*_normal(r, (4, 2, 1), (2, 3, 1), (2, 3, 1)), is_causal=True, enable_gqa=True),
        sample(*_normal(r, (3, 2), (2, 2), (2, 1)), np.array([True, False]), 0.4, rng=3),
    ]
)
def scaled_dot_product_attention(
    query: Array, key: Array, value: Array, attn_mask: Array | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False, *,
    rng: np.random.Generator | int | None = None,
) -> Array:  # fmt: skip
    """Means of the values, weighted by how well their keys fit each query: softmax(query @ keyᵀ · scale + mask) @ value.
    Vaswani et al., arXiv:1706.03762.

    Many scores are made a tile at a time (Dao et al., arXiv:2205.14135), so that memory grows with the lengths and not with
    their product.

    Args:
        query: (..., L, E), L vectors to look up; the axis before is that of the heads, if there are several.
        key: (..., S, E), what they are compared with.
        value: (..., S, V), one for each key. The leading axes of all three broadcast.
        attn_mask: what broadcasts to (..., L, S): booleans, False where a key takes no part, or floats that are added to
            the scores, by which there is a gradient too.
        dropout_p: probability with which each weight is set to 0, the others being divided by 1 - p. It acts whenever it
            is given: pass 0 outside of training.
        is_causal: query i sees keys 0 to i only. A mask may be given beside it.
        scale: factor of the scores; 1/√E by default.
        enable_gqa: the query has several times as many heads as key and value, and so many heads in turn share one of
            these. Ainslie et al., arXiv:2305.13245.
        rng: a generator or an integer to draw from; by default the generator that `tn.random.seed` seeds.

    Returns:
        (..., L, V). A query that sees no key at all gives 0, and has gradient 0.

    Raises:
        ValueError: the shapes do not fit, or `dropout_p` is not between 0 and 1.
        TypeError: a mask of integers, or a query, key or value that holds no floats.

    >>> import tapenet as tn
    >>> keys, values = tn.tensor([[9.0, 0.0], [0.0, 9.0]]), tn.tensor([[1.0], [2.0]])
    >>> tn.scaled_dot_product_attention(tn.tensor([[9.0, 0.0], [1.0, 1.0]]), keys, values)
    Tensor([[1. ],
            [1.5]])
    """
    query, key, value = array_like(query), array_like(key), array_like(value)
    if attn_mask is not None:
        attn_mask = array_like(attn_mask)
        if attn_mask.dtype.kind == "f" and attn_mask.dtype != query.dtype:
            attn_mask = astype(attn_mask, query.dtype)
    if not 0 <= dropout_p <= 1:
        raise ValueError(
            f"scaled_dot_product_attention: dropout_p={dropout_p} is no probability: give a number from 0 to 1"
        )
    shape = None
    if enable_gqa and query.shape[:-2] != key.shape[:-2]:
        shape = query.shape[:-1]
        query, key, value, attn_mask = _grouped(query, key, value, attn_mask)
    seed = None if dropout_p == 0 else _drawn(_shape(query, key, value, attn_mask), dropout_p, rng)
    factor = usual_scale(query) if scale is None else scale
    out = attention(query, key, value, attn_mask, seed, dropout_p, is_causal, factor)
    return out if shape is None else np.reshape(out, (*shape, out.shape[-1]))
