"""How loops are cut into pieces."""

from __future__ import annotations

from collections.abc import Iterator

from tapenet.native.kernel import Index, Kernel


def blocks(k: Kernel, total: int, most: int) -> Iterator[tuple[Index, int]]:
    """range(total) in blocks of about equal size, at most `most`: where each begins, and its size."""
    for begin, count, size in even(total, most):
        if count == 1:
            yield begin, size
        else:
            for at in k.turns(begin + count * size, begin, size):
                yield at, size


def even(total: int, most: int) -> Iterator[tuple[int, int, int]]:
    """Blocks of about equal size: where those of one size begin, how many there are, and the size."""
    number = -(-total // most)
    small, larger = divmod(total, number)
    if larger:
        yield 0, larger, small + 1
    if larger < number:
        yield larger * (small + 1), number - larger, small
