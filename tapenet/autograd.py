"""`torch.autograd`'s functions that are used most, under their names."""

from __future__ import annotations

from collections.abc import Sequence

from tapenet.autodiff.state import enable_grad, no_grad
from tapenet.autodiff.tensor import Tensor, backward
from tapenet.transforms.graph_gradients import gradients

__all__ = ["backward", "enable_grad", "grad", "no_grad"]


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: object = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor, ...]:
    """The gradients of the sum of outputs by inputs, a tuple with one for each input; see `tn.gradients`. Nothing is added
    to any `.grad`.

    Args:
        outputs, inputs: tensors, or sequences of them.
        grad_outputs: the gradient by each output; 1 where it is left out, for outputs of one element.
        retain_graph: keep saved arrays for another backward pass; by default as `create_graph`.
        create_graph: record the gradients, so that they can be differentiated.
        only_inputs: True, as in PyTorch.
        allow_unused: give None for inputs that the outputs do not depend on, rather than raise.
        is_grads_batched: False: `tn.jacobian` has rows of them.
        materialize_grads: give zeros in place of None.

    Raises:
        RuntimeError: the outputs do not depend on an input.
        ValueError: an option that is not there.

    >>> import tapenet as tn
    >>> x = tn.tensor(3.0, requires_grad=True)
    >>> (slope,) = tn.autograd.grad(x**3, x, create_graph=True)
    >>> tn.autograd.grad(slope, x)
    (Tensor(18.),)
    """
    if is_grads_batched or not only_inputs:
        raise ValueError(
            "autograd.grad: is_grads_batched=True and only_inputs=False are not there; take a gradient for each output"
        )
    given: Sequence[Tensor] = (inputs,) if isinstance(inputs, Tensor) else inputs
    return tuple(
        gradients(
            outputs,
            list(given),
            grad_outputs,
            retain_graph=retain_graph,
            create_graph=create_graph,
            unused="zeros" if materialize_grads else "none" if allow_unused else "error",
        )
    )
