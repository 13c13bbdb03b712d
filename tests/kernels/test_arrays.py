"""Arrays that kernels cannot read as they lie: NumPy computes with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import kernels
from tapenet.ops.indexing.sparse_rows import gathered
from tapenet.ops.layers.quantized import quantized_weight

pytest.importorskip("llvmlite")
R = np.random.default_rng(0)


def swapped(a: Any) -> Any:
    """In the byte order of other machines."""
    return a.astype(a.dtype.newbyteorder())


def shifted(a: Any) -> Any:
    """One byte from where it should be."""
    memory = np.empty(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    memory[...] = a
    assert not memory.flags.aligned
    return memory


def record(a: Any) -> Any:
    """A field of records with gaps."""
    memory = np.zeros(a.shape[:-2], np.dtype([("a", a.dtype, a.shape[-2:]), ("b", np.uint8)]))["a"]
    memory[...] = a
    return memory


MATRIX, IMAGES = R.normal(size=(100, 200)), R.normal(size=(16, 8, 20, 20))
FUNCTIONS: dict[str, tuple[Callable[..., Any], Any]] = {
    "gelu": (tn.gelu, MATRIX),
    "softmax": (tn.softmax, MATRIX),
    "layer_norm": (lambda x: tn.layer_norm(x, 200), MATRIX),
    "rms_norm": (lambda x: tn.rms_norm(x, 200), MATRIX),
    "batch_norm": (lambda x: tn.batch_norm_train(x)[0], IMAGES),
    "group_norm": (lambda x: tn.group_norm(x, 2), IMAGES),
    "conv2d": (lambda x: tn.conv2d(x, x[:, :, :3, :3]), IMAGES),
    "max_pool2d": (lambda x: tn.max_pool2d(x, 2), IMAGES),
    "attention": (lambda x: tn.scaled_dot_product_attention(x, x, x), R.normal(size=(16, 8, 20, 20))),
    "cross_entropy": (lambda x: tn.cross_entropy(x, np.arange(100)), MATRIX),
    "hardswish": (tn.hardswish, MATRIX),
    "grid_sample": (lambda x: tn.grid_sample(x, x[:, :4, :8, :2]), IMAGES),
    "linear": (lambda x: tn.linear(x, np.asfortranarray(x)), MATRIX),
    "quantized": (lambda x: tn.quantized_linear(x, *quantized_weight(x)), MATRIX),
    "rows": (lambda x: gathered(np.zeros(len(x), int), x, 1)[1], MATRIX),
}


@pytest.mark.parametrize("lie", [swapped, shifted, record])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_other_bytes(name: str, lie: Callable[[Any], Any]) -> None:
    f, data = FUNCTIONS[name]
    x = lie(data.astype("f"))
    with kernels.switched(False):
        expected = f(x)
    np.testing.assert_allclose(f(x), expected, rtol=1e-4, atol=1e-4)


def test_indices_with_gaps() -> None:
    indices, values = R.integers(0, 9, 400), R.normal(size=(200, 30)).astype("f")
    rows, sums = gathered(indices[::2], values, 9)
    expected = np.zeros((9, 30))
    np.add.at(expected, indices[::2], values)
    np.testing.assert_allclose(sums, expected[rows], rtol=1e-4, atol=1e-5)
