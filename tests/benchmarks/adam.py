"""Adam on the 670,000 parameters of a 784-512-512-10 network, float32: the step beside PyTorch's.

OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.adam
"""

from __future__ import annotations

import itertools

import numpy as np
import torch

import tapenet as tn
from tapenet import optim
from tests.benchmarks.harness import interleaved, report

SIZES = (784, 512, 512, 10)


def main() -> None:
    """Print the medians and their ratio, after a check that the two did the same."""
    torch.set_num_threads(1)
    r = np.random.default_rng(0)
    shapes = [shape for a, b in itertools.pairwise(SIZES) for shape in ((b, a), (b,))]
    values, gradients = ([r.normal(size=s).astype(np.float32) for s in shapes] for _ in range(2))
    # Fortran order, as a Linear's weight and its gradient.
    ours = [tn.tensor(np.asfortranarray(v), requires_grad=True) for v in values]
    theirs = [torch.nn.Parameter(torch.from_numpy(v.copy())) for v in values]
    for p, q, g in zip(ours, theirs, gradients, strict=True):
        p.grad = np.asfortranarray(g)
        q.grad = torch.from_numpy(g)
    adam, torch_adam = optim.Adam(ours), torch.optim.Adam(theirs)
    for _ in range(100):
        adam.step()
        torch_adam.step()
    differences = [np.abs(p.data - q.detach().numpy()).mean() for p, q in zip(ours, theirs, strict=True)]
    assert max(differences) < 1e-6, differences
    times = interleaved({"tapenet": adam.step, "torch": torch_adam.step}, rounds=31)
    report(f"Adam, {sum(p.size for p in ours):,} parameters", times, {"torch": 0.70})


if __name__ == "__main__":
    main()
