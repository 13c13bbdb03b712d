"""Sets the mode of a model, training or evaluation, for a block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tapenet.nn.module import Module


@contextlib.contextmanager
def mode(model: Module, training: bool) -> Iterator[None]:
    """Within the block the model trains, or is in use; afterwards each module is in the mode it was in, whatever happened.

    A model that trains as a whole stays as it is where `training` is asked for: modules inside may have been put in the
    other mode on purpose, such as normalisation that is not to learn.

    >>> from tapenet import nn
    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    >>> with mode(net, False):
    ...     net[1].training
    False
    >>> net[1].training
    True
    """
    before = [(module, module.training) for module in model.modules()] if hasattr(model, "modules") else []
    try:
        if before and not (training and model.training):
            model.train(training)
        yield
    finally:
        for module, was in before:
            if module.training is not was:
                module.training = was
