"""Options of PyTorch's optimizers that say how a step is computed, and change nothing here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from tapenet.ops.torch_names import OF_OPTIMIZERS
from tapenet.ops.tracebacks import boundary

SWITCHES = frozenset(OF_OPTIMIZERS)
#: Where the optimizers are that take them; those of users have their own options.
_OPTIMIZERS = __name__.rpartition(".")[0] + "."


def is_ours(cls: type) -> bool:
    """Whether the class that says how an optimizer is made is one of those here."""
    made = next(own for own in cls.__mro__ if "__init__" in vars(own))
    return made.__module__.startswith(_OPTIMIZERS)


def without_switches(where: str, options: Mapping[str, object]) -> dict[str, object]:
    """Options without those that change nothing.

    Raises:
        ValueError: one that would change something.

    >>> without_switches("SGD", {"lr": 0.1, "foreach": True, "fused": None})
    {'lr': 0.1}
    >>> without_switches("SGD", {"differentiable": True})
    Traceback (most recent call last):
    ValueError: SGD: differentiable=True: updates are not recorded. To differentiate through them compute the new ...
    """
    for name, why in OF_OPTIMIZERS.items():
        if why is not None and options.get(name):
            raise ValueError(f"{where}: {name}={options[name]!r}: {why}")
    return {name: value for name, value in options.items() if name not in SWITCHES}


def accepting(init: Callable[..., None]) -> Callable[..., None]:
    """The `__init__` of an optimizer, with these options too."""

    @boundary
    @functools.wraps(init)
    def __init__(self: object, *args: object, **kwargs: object) -> None:
        if not SWITCHES.isdisjoint(kwargs):
            kwargs = without_switches(type(self).__name__, kwargs)
        init(self, *args, **kwargs)

    return __init__
