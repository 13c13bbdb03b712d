"""Tables of vectors beside PyTorch's: values, gradients, vectors shortened in place; and layers made of given vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn
from tests.nn.oracle import Make, R, randomise, same_gradients, same_state

torch = pytest.importorskip("torch")


def _offsets(m: Any, *values: int) -> Any:
    return np.array(values) if m is nn else torch.tensor(values)


#: How to make the layer, given the module; its indices; what else it is called with.
LAYERS: dict[str, tuple[Make, Any, Callable[[Any], tuple[Any, ...]]]] = {
    "Embedding": (lambda m: m.Embedding(5, 3), [[0, 2, 4], [2, 2, 4]], lambda m: ()),
    "Embedding padding": (lambda m: m.Embedding(5, 3, padding_idx=0), [[0, 2, 4], [2, 0, 4]], lambda m: ()),
    "Embedding padding from the end": (lambda m: m.Embedding(5, 3, padding_idx=-1), [4, 2, 4], lambda m: ()),
    "Embedding norm": (lambda m: m.Embedding(5, 3, max_norm=0.7), [[0, 2, 4], [2, 2, 4]], lambda m: ()),
    "Embedding all": (
        lambda m: m.Embedding(5, 3, 2, max_norm=0.7, norm_type=1.0, scale_grad_by_freq=True), [0, 2, 4, 4], lambda m: ()),
    "EmbeddingBag": (lambda m: m.EmbeddingBag(5, 3), [[0, 2, 4], [2, 2, 4]], lambda m: ()),
    "EmbeddingBag offsets": (lambda m: m.EmbeddingBag(5, 3), [0, 2, 4, 2, 2], lambda m: (_offsets(m, 0, 2, 2),)),
    "EmbeddingBag last": (
        lambda m: m.EmbeddingBag(5, 3, mode="sum", include_last_offset=True),
        [0, 2, 4, 2, 2], lambda m: (_offsets(m, 0, 2, 2, 5),)),
    "EmbeddingBag max": (
        lambda m: m.EmbeddingBag(5, 3, mode="max", padding_idx=2),
        [0, 2, 4, 2, 2, 1, 3], lambda m: (_offsets(m, 0, 3, 5),)),
    "EmbeddingBag mean": (
        lambda m: m.EmbeddingBag(5, 3, max_norm=0.7, scale_grad_by_freq=True, padding_idx=4),
        [[0, 2, 4], [4, 4, 4]], lambda m: ()),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_tables_of_vectors(name: str) -> None:
    make, indices, more = LAYERS[name]
    mine, theirs = make(nn).astype("float64"), make(torch.nn).double()
    if mine.padding_idx is not None:
        assert not mine.weight.data[mine.padding_idx].any()
    randomise(mine)
    theirs.load_state_dict({n: torch.tensor(v) for n, v in mine.state_dict().items()})
    out, expected = mine(indices, *more(nn)), theirs(torch.tensor(indices), *more(torch.nn))
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-12, atol=1e-14)
    g = R.normal(size=out.shape)
    out.backward(g)
    expected.backward(torch.tensor(g))
    same_gradients(mine, theirs)
    same_state(mine, theirs)


# -- given vectors -----------------------------------------------------------------------------------------------

VECTORS = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]])


@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_given_vectors_are_copied_and_frozen(kind: Any) -> None:
    layer = kind.from_pretrained(VECTORS, padding_idx=1, max_norm=2.5)
    assert (layer.num_embeddings, layer.embedding_dim) == (3, 2)
    assert layer.weight.dtype == np.float64
    assert not layer.weight.requires_grad
    np.testing.assert_array_equal(layer.weight.data, VECTORS)  # the one at padding_idx too
    layer([[0, 1]])
    np.testing.assert_allclose(layer.weight.data[0], [1.5, 2.0])
    assert VECTORS[0, 0] == 3.0
    assert kind.from_pretrained([[1.0, 2.0]], freeze=False).weight.requires_grad
    assert kind.from_pretrained([[1.0, 2.0]]).weight.dtype == np.float32


def test_a_given_parameter_is_shared() -> None:
    weight = nn.Parameter(VECTORS)
    layer = nn.Embedding.from_pretrained(weight, freeze=False)
    assert layer.weight is weight
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


def test_vectors_are_shortened_at_each_replay() -> None:
    layer = nn.Embedding.from_pretrained(10 * VECTORS, freeze=False, max_norm=1.0)

    @tn.compile
    def step(indices: Any) -> Any:
        return layer(indices).sum()

    step(np.array([0, 0]))
    step(np.array([2, 2]))
    np.testing.assert_allclose(np.linalg.norm(layer.weight.data, axis=1), [1.0, 10.0, 1.0], rtol=1e-6)


def test_a_bag_is_the_sum_of_its_embeddings() -> None:
    weight, factors = tn.tensor(VECTORS, requires_grad=True), tn.tensor([1.0, -2.0, 0.5], requires_grad=True)
    out = F.embedding_bag([0, 2, 2], weight, [0, 1], mode="sum", per_sample_weights=factors)
    np.testing.assert_allclose(out.data, [VECTORS[0], -1.5 * VECTORS[2]])
    out.backward(np.array([[1.0, 1.0], [1.0, 10.0]]))
    np.testing.assert_allclose(factors.grad.data, [7.0, 20.0, 20.0])
    np.testing.assert_allclose(weight.grad.data, [[1.0, 1.0], [0.0, 0.0], [-1.5, -15.0]])


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_without_indices(mode: str) -> None:
    weight = tn.tensor(VECTORS, requires_grad=True)
    for indices, offsets in (
        (np.zeros(0, int), [0, 0]),
        (np.zeros((2, 0), int), None),
        (np.zeros((0, 3), int), None),
        (np.zeros(0, int), np.zeros(0, int)),
    ):
        weight.grad = None
        out = F.embedding_bag(indices, weight, offsets, mode=mode)
        assert out.shape == (len(indices) if offsets is None else len(offsets), 2)
        assert not out.data.any()
        out.sum().backward()
        assert not weight.grad.data.any()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda w: F.embedding_bag([0, 1], w), ValueError, r"a vector of 2 indices needs offsets"),
        (lambda w: F.embedding_bag([[0, 1]], w, [0]), ValueError, r"a bag in each row, so offsets must be None"),
        (lambda w: F.embedding_bag([[[0]]], w), ValueError, r"the indices have shape \(1, 1, 1\)"),
        (lambda w: F.embedding_bag([0, 1], w, [1]), ValueError, r"offsets begin with 0 and never fall"),
        (lambda w: F.embedding_bag([0, 1], w, [0, 2, 1]), ValueError, r"offsets begin with 0 and never fall"),
        (lambda w: F.embedding_bag([0, 1], w, [0.0]), ValueError, r"offsets are a vector of integers, not float64"),
        (
            lambda w: F.embedding_bag([0, 1], w, [0, 1], include_last_offset=True),
            ValueError,
            "the last offset, 1, is not",
        ),
        (lambda w: F.embedding_bag([[0, 3]], w), IndexError, "run from 0 to 3, but the embedding has 3 vectors"),
        (lambda w: F.embedding_bag([[0.5]], w), TypeError, "the embedding bag takes integers, not float64"),
        (lambda w: F.embedding_bag([[0]], w, mode="min"), ValueError, "mode='min' is none of 'sum', 'mean', 'max'"),
        (
            lambda w: F.embedding_bag([[0]], w, mode="max", scale_grad_by_freq=True),
            ValueError,
            "scale_grad_by_freq is for mode='sum' and 'mean'",
        ),
        (
            lambda w: F.embedding_bag([[0]], w, per_sample_weights=np.ones((1, 1))),
            ValueError,
            "per_sample_weights are for mode='sum', not 'mean'",
        ),
        (
            lambda w: F.embedding_bag([[0]], w, mode="sum", per_sample_weights=np.ones(1)),
            ValueError,
            r"per_sample_weights have shape \(1,\); there is one per index, \(1, 1\)",
        ),
        (lambda w: F.embedding([0], w, 3), ValueError, "padding_idx=3 is none of the 3 vectors"),
        (
            lambda w: F.embedding([0], w.data, max_norm=1.0),
            TypeError,
            "embedding: max_norm shortens the vectors in place",
        ),
        (lambda w: nn.Embedding(3, 2, padding_idx=3), ValueError, "Embedding: padding_idx=3 is none of its 3"),
        (lambda w: nn.Embedding.from_pretrained([1.0]), ValueError, r"takes \(num_embeddings, embedding_dim\), not"),
    ],
)
def test_errors_say_what_to_do(call: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        call(tn.tensor(VECTORS, requires_grad=True))
