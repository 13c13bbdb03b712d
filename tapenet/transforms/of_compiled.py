"""Transformations of compiled functions are compiled too."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar, cast

from tapenet.compiler.compile import Compiled

F = TypeVar("F", bound=Callable[..., object])


def follows_compiled(transform: F) -> F:
    """A transformation, whose first argument is a function and which gives one: of a compiled function it gives one that is
    compiled likewise, and the same one each time it is asked for."""

    @functools.wraps(transform)
    def made(*args: object, **options: object) -> object:
        f = args[0] if args else None
        if not isinstance(f, Compiled) or options.get("sparse"):  # a sparse one keeps its own programs
            return transform(*args, **options)
        key = transform, args[1:], tuple(options.items())
        return f.transformed(key, lambda plain: cast("Callable[..., object]", transform(plain, *args[1:], **options)))

    return cast("F", made)


def runs_compiled(transform: F) -> F:
    """A transformation that is given a function and arguments and runs at once: a compiled function it runs compiled too."""

    @functools.wraps(transform)
    def made(*args: object, **options: object) -> object:
        f = args[0] if args else None
        if not isinstance(f, Compiled):
            return transform(*args, **options)

        def make(plain: Callable[..., object]) -> Callable[..., object]:
            @functools.wraps(plain, updated=())
            def run(*given: object) -> object:
                return transform(plain, *given, **options)

            del run.__wrapped__  # it has other parameters
            return run

        return f.transformed((transform, tuple(options.items())), make)(*args[1:])

    return cast("F", made)
