"""Work on large arrays a block at a time, so that what one step writes the next one finds in the cache, and no array but
the results is as large as they are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

#: Arrays from this size on do not fit the last cache: those of float32 have 16 MiB. Below, calls for each block cost more
#: than they save.
LARGE = 1 << 22
#: Elements of a block: several of them fit the second cache.
BLOCK = 1 << 15
F = TypeVar("F", bound=Callable[..., Any])


def blockwise(count: int, least: int = LARGE) -> Callable[[F], F]:
    """Compute a function of arrays, element by element, in blocks if they are large.

    Args:
        count: how many of its first arguments are the arrays; the others are options. The function returns an array, or
            a tuple of them. Called with something else than arrays of one shape it runs as it is.
        least: from how many elements on; a function of many steps gains from a block on.
    """

    def decorate(f: F) -> F:
        @functools.wraps(f)
        def run(*args: Any, **options: Any) -> Any:
            first = args[0]
            if type(first) is not np.ndarray or first.size < least:
                return f(*args, **options)
            arrays = args[:count]
            if any(type(a) is not np.ndarray or a.shape != first.shape for a in arrays):
                return f(*args, **options)
            return _in_blocks(f, arrays, args[count:], options)

        return run  # type: ignore[return-value]

    return decorate


def _in_blocks(f: Callable[..., Any], arrays: tuple[Any, ...], rest: tuple[Any, ...], options: dict[str, Any]) -> Any:
    # All in the order of the first one's memory: it and the results are flat views if it is dense.
    first = arrays[0]
    axes = sorted(range(first.ndim), key=lambda axis: -abs(first.strides[axis]))
    flat = [np.transpose(a, axes).reshape(-1) for a in arrays]
    results: list[Any] = []
    for start in range(0, first.size, BLOCK):
        block = slice(start, start + BLOCK)
        found = f(*[a[block] for a in flat], *rest, **options)
        parts = found if isinstance(found, tuple) else (found,)
        results = results or [np.empty(first.size, p.dtype) for p in parts]
        for result, part in zip(results, parts, strict=True):
            result[block] = part
    shape = [first.shape[axis] for axis in axes]
    whole = tuple(np.transpose(np.reshape(r, shape), np.argsort(axes)) for r in results)
    return whole if isinstance(found, tuple) else whole[0]
