"""The reduction of a loss, for losses of your own."""

from __future__ import annotations

from tapenet.autodiff.tensor import Tensor
from tapenet.ops.layers.losses.reduction import check_reduction, reduce_loss


def reduced(losses: Tensor, reduction: str = "mean") -> Tensor:
    """The losses of samples, or of elements, as one number; what all losses here end with.

    Args:
        losses: of any shape.
        reduction: "mean" or "sum" of all; "none" leaves them as they are.

    Raises:
        ValueError: another reduction.

    >>> import tapenet as tn
    >>> losses = tn.tensor([1.0, 5.0])
    >>> tn.nn.functional.reduced(losses).item(), tn.nn.functional.reduced(losses, "sum").item()
    (3.0, 6.0)
    """
    check_reduction(reduction)
    return reduce_loss(losses, reduction)  # type: ignore[arg-type, return-value]  # of tensors as of arrays
