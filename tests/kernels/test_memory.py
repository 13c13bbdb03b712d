"""Where arrays begin, and in which order they lie."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import kernels
from tapenet.llvm.addresses import LINE

R = np.random.default_rng(0)


def begins(a: Any) -> int:
    """Bytes from the beginning of a cache line to that of an array."""
    return int(np.asarray(a).__array_interface__["data"][0] % LINE)


@pytest.mark.parametrize("dtype", ["f", "d", "b", "F", "D"])
def test_arrays_begin_with_a_cache_line_unless_they_are_small(dtype: str) -> None:
    size = kernels.SMALL // np.dtype(dtype).itemsize
    arrays = [kernels.aligned((2, n), np.dtype(dtype)) for n in range(size // 2, size // 2 + 40)]
    for a in arrays:
        a[...] = 1
        assert a.flags.c_contiguous
        assert a.flags.writeable
    assert {begins(a) for a in arrays} == {0}
    assert kernels.aligned((0,), np.dtype(dtype)).size == 0
    assert kernels.aligned((size - 1,), np.dtype(dtype)).base is None


def test_large_arrays_begin_with_a_page() -> None:
    """In whatever order they lie, and where a compiled function gives them."""
    pytest.importorskip("llvmlite")
    double = tn.compile(lambda x: x + x)
    n = kernels.LARGE // 4
    for size in (n, n + 2, 4 * n):
        x = np.ones((2, size // 2), "f")
        double(x)  # by NumPy
        for a in (kernels.aligned((size,), "f"), kernels.like(np.ones((size, 2), "f").T), double(x), double(x)):
            assert np.asarray(a).__array_interface__["data"][0] % kernels.PAGE == 0


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_an_array_like_another(order: tuple[int, ...]) -> None:
    a = np.empty(tuple((40, 1, 50)[i] for i in order), "f").transpose(np.argsort(order))
    made = kernels.like(a)
    assert (made.shape, made.dtype) == (a.shape, a.dtype)
    assert made.strides[::2] == a.strides[::2]
    assert begins(made) == 0


def test_what_layers_compute_begins_with_a_cache_line() -> None:
    pytest.importorskip("llvmlite")
    x = R.normal(size=(16, 16, 14, 14)).astype("f")
    weight = R.normal(size=(16, 16, 3, 3)).astype("f")
    rows = R.normal(size=(256, 256)).astype("f")  # of rows, results of 128 KB and more
    heads = R.normal(size=(4, 4, 64, 32)).astype("f")

    def all_of(x: Any, weight: Any, rows: Any, heads: Any) -> list[Any]:
        conv = tn.conv2d(x, weight, padding=1)
        return [
            conv, F.max_pool2d(conv, 2), F.gelu(rows), F.softmax(rows, -1), F.layer_norm(rows, (256,)),
            F.scaled_dot_product_attention(heads, heads, heads),
        ]  # fmt: skip

    arguments = (x, weight, rows, heads)
    eager = all_of(*map(tn.tensor, arguments))
    assert [begins(a) for a in eager] == [0] * len(eager)
    step = tn.compile(all_of, backend="native")
    step(*arguments)
    assert [begins(a) for a in step(*arguments)] == [0] * len(eager)
