"""The spectrum of a loss: the largest eigenvalues of the Hessian of a network, which is never formed.

`tn.hvp` multiplies the Hessian with a vector, forward over reverse; SciPy's `eigsh` asks for nothing else. After training a
few directions are much steeper than all others: about as many as there are classes less one (Sagun et al., Empirical Analysis
of the Hessian of Over-Parametrized Neural Networks, 2017).

python examples/hessian_spectrum.py [--out FOLDER]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pictures
from scipy.sparse.linalg import LinearOperator, eigsh

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim


def main() -> None:
    """Train, find the 30 largest eigenvalues, check them by their definition, and count those apart."""
    folder = pictures.folder(__doc__)
    tn.training.seed(0)
    images, labels, _, _ = tn.data.digits()
    x = images.reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(-1, 196)  # 14 by 14
    net = nn.Sequential(nn.Linear(196, 20), nn.Tanh(), nn.Linear(20, 10))
    optimizer = optim.Adam(net.parameters(), lr=1e-2)
    tn.training.fit(net, F.cross_entropy, optimizer, (x, labels), epochs=30, batch_size=100, verbose=0)
    params = {name: p.numpy().astype(np.float64) for name, p in net.named_parameters()}
    flat, build = tn.tree.ravel(params)
    data = tn.tensor(x.astype(np.float64))

    def loss(vector: Any) -> Any:
        return F.cross_entropy(tn.functional_call(net, build(vector), data), labels)

    product = tn.compile(tn.hvp(loss))
    calls = 0

    def times(v: Any) -> Any:
        nonlocal calls
        calls += 1
        return product(flat, tn.tensor(v.ravel())).numpy()

    hessian = LinearOperator((flat.size, flat.size), times, dtype=np.float64)
    values, vectors = eigsh(hessian, k=30, which="LA", tol=1e-8, v0=np.ones(flat.size))
    values, vectors = values[::-1], vectors[:, ::-1]
    print(f"{flat.size} parameters, {calls} products with the Hessian")
    print("largest eigenvalues:", " ".join(f"{v:.3g}" for v in values[:12]))
    for k in (0, 9, 29):
        error = np.linalg.norm(times(vectors[:, k]) - values[k] * vectors[:, k]) / values[0]
        assert error < 1e-6, f"eigenvector {k} is off by {error:.1e}"
    apart = int(np.argmax(values[:-1] / values[1:])) + 1
    print(f"the largest gap is after {apart} of them: {values[apart - 1]:.3g} beside {values[apart]:.3g}")
    series = {"eigenvalues, largest first": (np.arange(1.0, 31), values)}
    pictures.lines(folder / "example-hessian-spectrum.svg", series, "number")
    assert apart == 9, f"{apart} eigenvalues stand apart; of ten classes nine should"


if __name__ == "__main__":
    main()
