"""The gradient of a large batch from small ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from tapenet.autodiff.tensor import Tensor
from tapenet.typing import Array


def accumulate(loss: Callable[..., Tensor], parts: int, *batch: Array | Tensor) -> Tensor:
    """The loss of a batch and its gradients, `parts` pieces one after the other, so that only one of them is in memory at a
    time. The loss must be a mean over the batch.

    Each piece's `backward` adds to the gradients. A piece weighs as many samples as it has, so that pieces of different
    sizes come to the mean of the batch too. What depends on the batch as a whole, such as the statistics of batch
    normalisation, sees the pieces.

    Args:
        loss: from the arrays of a piece to its mean loss.
        parts: how many pieces, at most one per sample.
        *batch: arrays or tensors that are cut along their first axis.

    Returns:
        the mean loss of the batch, in no graph.

    Raises:
        ValueError: arrays of different length, or more pieces than samples.

    >>> import numpy as np, tapenet as tn
    >>> w = tn.tensor([1.0], requires_grad=True)
    >>> x = np.array([1.0, 2.0, 3.0, 6.0])
    >>> tn.optim.accumulate(lambda x: (w * x).mean(), 2, x)
    Tensor(3.)
    >>> w.grad
    Tensor([3.])
    """
    lengths = {len(array) for array in batch}
    if len(lengths) != 1 or not 1 <= parts <= min(lengths):
        raise ValueError(
            f"accumulate: {parts} parts of arrays of length {', '.join(map(str, sorted(lengths))) or 'none'}: give arrays of "
            "one length, and at most as many parts as that"
        )
    (length,) = lengths
    bounds = [i * length // parts for i in range(parts + 1)]
    total: Tensor | float = 0.0
    for first, last in itertools.pairwise(bounds):
        part = loss(*(array[first:last] for array in batch)) * ((last - first) / length)
        part.backward()
        total = total + part.detach()
    assert isinstance(total, Tensor)  # since there is a part
    return total
