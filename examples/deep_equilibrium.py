"""A network without depth: its layer is applied until nothing changes any more, and gradients need no steps of that.

A deep equilibrium model (Bai, Kolter and Koltun, NeurIPS 2019): the hidden state is the z with z = tanh(W z + U x + b), as
if the same layer was there infinitely often. `tn.implicit.fixed_point` finds it by Anderson's acceleration, and
differentiates the equation, not the iteration: so a training step holds one layer, however many steps were taken.
Handwritten digits.

python examples/deep_equilibrium.py [--out FOLDER]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pictures

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

WIDTH = 64


class Equilibrium(nn.Module):
    """The fixed point of a layer that is given its input at every turn."""

    def __init__(self, inputs: int, width: int) -> None:
        self.inject = nn.Linear(inputs, width, rng=0)
        self.inner = nn.Linear(width, width, bias=False, rng=1)
        self.width = width

    def turn(self, z: Any, injected: Any) -> Any:
        """One application of the layer."""
        return tn.tanh(self.inner(z) + injected)

    def forward(self, x: Any, **options: Any) -> Any:
        """The fixed point for each sample."""
        start = np.zeros((len(x), self.width), np.float32)
        return tn.implicit.fixed_point(self.turn, start, self.inject(x), **{"tol": 1e-4, **options})

    def unrolled(self, x: Any, turns: int) -> Any:
        """What a network with so many layers gives."""
        z, injected = np.zeros((len(x), self.width), np.float32), self.inject(x)
        for _ in range(turns):
            z = self.turn(z, injected)
        return z


def distances(layer: Equilibrium, x: Any, solver: str) -> Any:
    """How far each turn of a solver still goes, as a logarithm."""
    found: list[float] = []
    turn = layer.turn

    def noted(z: Any, injected: Any) -> Any:
        after = turn(z, injected)
        found.append(float(np.log10(np.abs((after - z).numpy()).mean())))
        return after

    layer.turn = noted  # type: ignore[method-assign]
    with tn.no_grad():
        layer(x, solver=solver, tol=1e-6)
    del layer.turn
    return np.array(found[1:-1])


def gradients(parameters: list[tn.Tensor], loss: Any) -> list[Any]:
    """The gradients of a loss."""
    for p in parameters:
        p.grad = None
    loss.backward()
    return [p.grad.numpy() for p in parameters]


def main() -> None:
    """Train on 1,000 digits, test on 1,000 others; compare with the same layer written out."""
    out = pictures.folder(__doc__)
    images, labels, test_images, test_labels = tn.data.digits()
    x, test_x = images.reshape(len(images), -1), test_images.reshape(len(test_images), -1)
    layer, head = Equilibrium(x.shape[1], WIDTH), nn.Linear(WIDTH, 10, rng=2)
    layer.inner.weight.data = layer.inner.weight.data * 0.5  # it contracts at first
    opt = optim.Adam([*layer.parameters(), *head.parameters()], lr=3e-3)
    for epoch in range(8):
        total = 0.0
        for xs, ys in tn.data.batches(x, labels, batch_size=50, shuffle=True, seed=epoch):
            loss = F.cross_entropy(head(layer(xs)), ys)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / 20:.3f}")

    def accuracy(z: Any) -> float:
        return float((np.argmax(head(z).numpy(), 1) == test_labels).mean())

    with tn.no_grad():
        found = accuracy(layer(test_x))
        fewer = [accuracy(layer.unrolled(test_x, turns)) for turns in (1, 3, 10)]
    print(f"accuracy {found:.1%}; after 1, 3 and 10 turns {', '.join(f'{a:.1%}' for a in fewer)}")

    parameters = list(layer.parameters())
    implicit = gradients(parameters, F.cross_entropy(head(layer(x, tol=1e-6)), labels))
    through = gradients(parameters, F.cross_entropy(head(layer.unrolled(x, 100)), labels))
    far = max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(implicit, through, strict=True))
    print(f"gradients differ by {far:.1e} from those through 100 layers")

    curves = {solver: distances(layer, test_x, solver) for solver in ("anderson", "iteration")}
    series = {name: (np.arange(len(values)), values) for name, values in curves.items()}
    pictures.lines(out / "deep_equilibrium.svg", series, "turns; how far each still goes, as a power of ten")
    print(f"Anderson's acceleration takes {len(curves['anderson'])} turns, and iteration {len(curves['iteration'])}")
    assert found > 0.86
    assert far < 0.01
    assert len(curves["anderson"]) < 0.8 * len(curves["iteration"])


if __name__ == "__main__":
    main()
