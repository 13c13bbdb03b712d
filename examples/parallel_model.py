"""A model that is on several ranks: a layer whose units are split over them, and a pipeline of one stage each. Both are
differentiated and drawn, and compared with the model on one rank.

    mpiexec -n 2 python examples/parallel_model.py
"""

from itertools import pairwise
from typing import Any

import numpy as np
import pictures

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, parallel

WIDE = 24
rank, size = parallel.rank, parallel.size
x = np.random.default_rng(0).normal(size=(8, 16))
labels = np.arange(8) % 4


def layer(x: Any, w1: Any, w2: Any) -> Any:
    """Two matrices with some of the hidden units each: what these give is added up over all ranks."""
    return parallel.allreduce(F.relu(x @ w1) @ w2)


def stage(net: nn.Sequential) -> Any:
    """The part of the pipeline that this rank has, on what the one before it sends. The last has the loss. In place of that
    others have the receipt of what they sent, the number 0, by which the gradient comes back."""
    h = tn.tensor(x) if rank == 0 else parallel.recv(tn.zeros((8, WIDE)), rank - 1)
    h = net[rank](h)
    return F.cross_entropy(h, labels) if rank == size - 1 else parallel.send(h, rank + 1)


def compare(name: str, found: Any, want: Any) -> None:
    """Compare gradients of this rank's parameters with those of the whole model."""
    error = max(float(abs(a - b).max()) for a, b in zip(found, want, strict=True))
    if rank == 0:
        print(f"{name} on {size} ranks: gradients within {error:.1e} of those on one")
    assert error < 1e-12, error


def main() -> None:
    """Both models."""
    out = pictures.folder(__doc__)
    rng = np.random.default_rng(1)
    own = slice(rank * WIDE // size, (rank + 1) * WIDE // size)
    whole: list[Any] = [tn.tensor(rng.normal(size=shape), requires_grad=True) for shape in ((16, WIDE), (WIDE, 16))]
    (F.relu(x @ whole[0]) @ whole[1]).sum().backward()
    w1 = tn.tensor(whole[0].numpy()[:, own], requires_grad=True)
    w2 = tn.tensor(whole[1].numpy()[own], requires_grad=True)
    loss = layer(x, w1, w2).sum() / size  # the loss of a run is the sum of all ranks' losses
    tn.draw(loss, over=parallel, backward=True).save(out / "example-parallel-layer.svg")
    loss.backward()
    compare("layer", (w1.grad, w2.grad), (whole[0].grad[:, own], whole[1].grad[own]))

    tn.random.seed(0)
    sizes = [16, *[WIDE] * (size - 1), 4]
    net: Any = nn.Sequential(*(nn.Sequential(nn.Linear(a, b), nn.Tanh()) for a, b in pairwise(sizes)))
    net.astype(np.float64)
    F.cross_entropy(net(tn.tensor(x)), labels).backward()
    want = [p.grad.numpy().copy() for p in net[rank].parameters()]
    net.zero_grad()
    loss = stage(net)
    shown = {"loss" if rank == size - 1 else "receipt": loss}
    tn.draw(shown, over=parallel, backward=True).save(out / "example-parallel-pipeline.svg")
    loss.backward()
    compare("pipeline", [p.grad.numpy() for p in net[rank].parameters()], want)


if __name__ == "__main__":
    main()
