"""Whether the methods of a user's class take what they are called with: said where the class is made."""

from __future__ import annotations

import inspect


def check_methods(cls: type, calls: dict[str, tuple[str, ...]]) -> None:
    """Raise TypeError unless the methods that a class defines, of those in `calls`, take arguments of these names.

    >>> class Random:
    ...     def order(self):
    ...         return [0, 1]
    >>> check_methods(Random, {"order": ("rng",)})
    Traceback (most recent call last):
    TypeError: Random.order takes (self), and is called with rng: def order(self, rng)
    """
    for name, arguments in calls.items():
        method = vars(cls).get(name)
        if not inspect.isfunction(method):
            continue
        signature = inspect.signature(method)
        try:
            signature.bind(None, *arguments)
        except TypeError:
            listed = ", ".join(signature.parameters)
            raise TypeError(
                f"{cls.__name__}.{name} takes ({listed}), and is called with {' and '.join(arguments)}: "
                f"def {name}(self, {', '.join(arguments)})"
            ) from None
