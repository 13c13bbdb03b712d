"""Chains of convolutions in parts of the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.program.native import batches
from tapenet.typing import Array

pytest.importorskip("llvmlite")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """As many threads as before."""
    yield
    tn.set_num_threads(None)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Says how many processors there are, with chains of any work."""
    monkeypatch.setattr(batches, "LEAST", 0)
    return lambda number: monkeypatch.setattr(batches, "processors", lambda: number)


def plain() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.Tanh(), nn.Flatten(),
        nn.Linear(16 * 25, 5),
    )  # fmt: skip


class Branches(nn.Module):
    """Two convolutions whose maps are joined, and one around which maps are added; the mean of each at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (
            nn.Conv2d(3, 8, 3, padding=1),
            nn.Conv2d(3, 8, 5, padding=2),
            nn.Conv2d(16, 16, 3, padding=1),
        )
        self.last = nn.Linear(16, 5)

    def forward(self, x: Any) -> Any:
        joined = np.concatenate([np.tanh(self.one(x)), F.relu(self.two(x))], axis=1)
        return self.last((joined + self.three(joined)).mean(axis=(2, 3)))


def dropped() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Dropout2d(0.3), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2),
        nn.Linear(16 * 64, 5),
    )  # fmt: skip


def normed() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Flatten(),
        nn.Linear(16 * 64, 5),
    )  # fmt: skip


def train(make: Callable[[], nn.Module], batch: int = 32) -> tuple[list[Array], str]:
    """Losses and weights after three compiled steps, and what the steps say of themselves."""
    tn.random.seed(3)
    r = np.random.default_rng(0)
    net = make()
    for p in net.parameters():
        p.data = (r.normal(size=p.shape) * 0.2).astype("f")
    opt = optim.SGD(net.parameters(), lr=0.05)

    @tn.compile(backend="native")
    def step(x: Array, y: Array) -> Any:
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    x, y = r.normal(size=(batch, 3, 12, 12)).astype("f"), r.integers(0, 5, batch)
    losses = np.array([step(x, y).item() for _ in range(3)])
    return [losses, *(p.numpy().copy() for p in net.parameters())], str(step.explain(full=True))


@pytest.mark.parametrize("make", [plain, Branches, dropped])
def test_parts_give_what_the_whole_batch_gives(parts: Callable[[int], None], make: Callable[[], nn.Module]) -> None:
    parts(1)
    whole, said = train(make)
    assert "loop of" not in said
    parts(2)
    found, said = train(make)
    assert said.count("loop of 2 turns") == 2
    for a, b in zip(found, whole, strict=True):
        assert np.allclose(a, b, rtol=1e-4, atol=1e-6)


def test_sums_are_the_same_for_any_number_of_threads(parts: Callable[[int], None]) -> None:
    parts(2)
    found = []
    for number in (1, 2):
        tn.set_num_threads(number)
        found.append(train(plain)[0])
    assert all(map(np.array_equal, *found))


@pytest.mark.parametrize(("make", "batch"), [(normed, 32), (plain, 24), (plain, 36)])
def test_short_chains_and_small_batches_stay_whole(
    parts: Callable[[int], None], make: Callable[[], nn.Module], batch: int
) -> None:  # fmt: skip
    parts(2)
    assert "loop of" not in train(make, batch)[1]


def test_maps_as_results_stay_whole(parts: Callable[[int], None]) -> None:
    parts(2)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3))
    f = tn.compile(net.__call__, backend="native")
    x = np.random.default_rng(0).normal(size=(32, 3, 12, 12)).astype("f")
    assert np.array_equal(f(x).numpy(), f(x).numpy())
    assert "loop of" not in str(f.explain(full=True))


def test_second_derivatives(parts: Callable[[int], None]) -> None:
    r = np.random.default_rng(0)
    x, y = r.normal(size=(32, 3, 12, 12)).astype("f"), r.integers(0, 5, 32)
    shapes = (8, 3, 3, 3), (16, 8, 3, 3), (1024, 5)
    weights = tuple((r.normal(size=s) * 0.2).astype("f") for s in shapes)

    def loss(w: Any) -> Any:
        maps = np.tanh(F.conv2d(np.tanh(F.conv2d(x, w[0])), w[1]))
        return F.cross_entropy(maps.reshape(32, -1) @ w[2], y)

    found = []
    for number in (1, 2):
        parts(number)
        f = tn.compile(lambda w, v: tn.hvp(loss)(w, v), backend="native")
        f(weights, weights)
        found.append([a.numpy() for a in f(weights, weights)])
    assert "loop of 2 turns" in str(f.explain(full=True))
    for a, b in zip(*found, strict=True):
        assert np.allclose(a, b, rtol=1e-3, atol=1e-5)
