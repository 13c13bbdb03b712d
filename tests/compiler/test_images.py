"""Chains of convolutions of frozen programs as loops over some images each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.compiler import images
from tapenet.compiler.compile import available_backend
from tapenet.program.native import pieces

pytestmark = pytest.mark.skipif(available_backend() != "native", reason="needs llvmlite")
R = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Maps of small networks count as large, and their work as worth threads."""
    monkeypatch.setattr(images, "MAPS", 1 << 13)
    monkeypatch.setattr(pieces, "PART", 1000)
    tn.set_num_threads(2)
    yield
    tn.set_num_threads(None)


class _Network(nn.Module):
    def __init__(self, forward: Callable[[list[Any], Any], Any]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(4 if i else 3, 4, 3, padding=1, rng=i) for i in range(5)])
        self.combine = forward

    def forward(self, x: Any) -> Any:
        return self.combine(list(self.layers), x)


def _residual(layers: list[Any], x: Any) -> Any:
    y = np.maximum(layers[0](x), 0)
    return np.maximum(layers[2](layers[1](y)) + y, 0)


def _tapped(layers: list[Any], x: Any) -> Any:
    """A map within the chain is a result too, and another goes by a function to a second chain."""
    first = layers[1](layers[0](x))
    second = np.tanh(first)
    return layers[2](first), layers[4](layers[3](second)), first


#: Networks, with the numbers of convolutions in their loops.
NETWORKS: dict[str, tuple[Callable[[list[Any], Any], Any], list[int]]] = {
    "chain": (lambda layers, x: layers[2](layers[1](layers[0](x))), [3]),
    "residual": (_residual, [3]),
    "tapped": (_tapped, [3, 2]),
    "alone": (lambda layers, x: layers[0](x), []),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_chains_are_loops(name: str) -> None:
    forward, counts = NETWORKS[name]
    model = _Network(forward).eval()
    x = R.normal(size=(6, 3, 10, 12)).astype(np.float32)
    run = tn.compile(model, frozen=True)
    found = [run(x) for _ in range(2)][1]
    expected = model(x)
    pairs = zip(found, expected, strict=True) if isinstance(expected, tuple) else [(found, expected)]
    for a, b in pairs:
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)
    program = run.variants[0].program
    loops = [i for i in program.body if i.name == "loop"]
    assert [[i.name for i in loop.params["body"].body].count("convolve") for loop in loops] == counts
    assert all(loop.params["length"] > 1 for loop in loops)
    (evaluated, *_) = program.evaluate([x])
    np.testing.assert_allclose(evaluated, (found[0] if isinstance(found, tuple) else found).numpy(), atol=1e-5)


def test_threads_share_the_turns() -> None:
    model = _Network(_residual).eval()
    x = R.normal(size=(12, 3, 10, 12)).astype(np.float32)
    run = tn.compile(model, frozen=True)
    results = []
    for threads in (2, 1, 2):
        tn.set_num_threads(threads)
        results += [run(x).numpy() for _ in range(3)][1:]
    for result in results:
        assert np.array_equal(result, results[0])
    np.testing.assert_allclose(results[0], model(x).numpy(), atol=1e-5)
    (loop,) = [i for i in run.variants[0].program.body if i.name == "loop"]
    runner: Any = run.variants[0].runner
    assert runner.module.threads[loop] >= 2


def test_what_fits_a_cache_or_reads_large_kernels_goes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _Network(NETWORKS["chain"][0]).eval()
    x = R.normal(size=(6, 3, 10, 12)).astype(np.float32)
    for name, bound in (("MAPS", 1 << 20), ("KERNELS", 100), ("PLACES", 1000)):
        with monkeypatch.context() as patch:
            patch.setattr(images, name, bound)
            run = tn.compile(model, frozen=True)
            for _ in range(2):
                run(x)
        assert "loop" not in run.variants[0].program.names
