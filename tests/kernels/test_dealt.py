"""Kernels that are dealt out to threads: from about the same time on, and with the same results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import tapenet as tn
from tapenet.kernels import grids, pooling
from tapenet.llvm import workers


def channels_normalized() -> Any:
    return tn.batch_norm_train(floats(64, 64, 1024))


def groups_normalized() -> Any:
    return tn.group_norm_statistics(floats(64, 32, 2048), 4)


def pooled() -> Any:
    shape = pooling.Shape(32, (1, 56, 56), (1, 28, 28), 32, (1, 2, 2), (1, 2, 2), (1, 1, 1), (0, 0, 0), True)
    best = np.empty((32, 28 * 28 * 32), np.float32)
    where = np.empty(best.shape, np.uint8)
    pooling.largest(floats(32, 56 * 56 * 32), best, where, shape)
    return best, where


def read_from_a_grid() -> Any:
    return (grids.sampled(floats(32, 16, 64, 64), floats(32, 2048, 2), grids.Reading(2, False, "zeros", False)),)


def floats(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


KERNELS = [channels_normalized, groups_normalized, pooled, read_from_a_grid]


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_millisecond_of_work_is_shared(kernel: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these takes one thread about as long."""
    parts = []
    share = workers.share

    def counted(function: int, context: int, count: int, most: int) -> None:
        parts.append(count)
        share(function, context, count, most)

    monkeypatch.setattr(workers, "share", counted)
    monkeypatch.setattr(workers, "_number", 1)
    one = kernel()
    monkeypatch.setattr(workers, "_number", 3)
    parts.clear()
    several = kernel()
    assert len(parts) == 1
    assert parts[0] >= 3
    for a, b in zip(several, one, strict=True):
        np.testing.assert_array_equal(a, b)
