"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.typing import Array


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters in one vector, one parameter after the other. It has a gradient.

    Raises:
        ValueError: there are none.

    >>> from tapenet import nn
    >>> nn.utils.parameters_to_vector(nn.Linear(3, 2).parameters()).shape
    (8,)
    """
    parts = [p.reshape(-1) for p in parameters]
    if not parts:
        raise ValueError("parameters_to_vector: there are no parameters to join")
    joined: Tensor = ops.concatenate(parts)
    return joined


def vector_to_parameters(vec: Tensor | Array, parameters: Iterable[Tensor]) -> None:
    """Copy the elements of a vector, as `parameters_to_vector` gives it, into the parameters.

    Raises:
        ValueError: the vector has another number of elements; nothing was copied then.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> layer = nn.Linear(2, 1)
    >>> nn.utils.vector_to_parameters(np.array([1.0, 2.0, 3.0]), layer.parameters())
    >>> layer.weight.data
    array([[1., 2.]], dtype=float32)
    """
    targets = list(parameters)
    size = sum(p.size for p in targets)
    if np.shape(vec) != (size,):
        raise ValueError(
            f"vector_to_parameters: the parameters have {size} elements together; the vector has shape {np.shape(vec)}"
        )
    begin = 0
    for p in targets:
        end = begin + p.size
        p.data = vec[begin:end].reshape(p.shape)
        begin = end
