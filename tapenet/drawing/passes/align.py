"""The longest common subsequence of two sequences."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TypeAlias, TypeVar

T = TypeVar("T")

#: Runs of equal items on the way to some point, the last one first: where in the one and in the other, and how long.
_Runs: TypeAlias = "tuple[int, int, int, _Runs] | None"

#: How many differences are looked at together. Beyond that many the best beginning is settled, so that the time grows
#: with the length of sequences that have little in common, not with its square.
_WINDOW = 128


def align(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Pairs of positions of equal items, rising in both: a longest common subsequence.

    Of several it is one that takes what stands earliest, so that of equal items in a row the last ones are left.
    Sequences with more than a hundred-odd differences in a row may get one that is not quite the longest.

    >>> align("aaab", "aab")
    [(0, 0), (1, 1), (3, 2)]
    """
    first = 0
    while first < min(len(a), len(b)) and a[first] == b[first]:
        first += 1
    last = 0
    while last < min(len(a), len(b)) - first and a[-1 - last] == b[-1 - last]:
        last += 1
    pairs = [(i, i) for i in range(first)]
    # What has no equal in the other sequence is in nobody's way.
    common = set(a[first : len(a) - last]).intersection(b[first : len(b) - last])
    if common:
        left = [i for i in range(first, len(a) - last) if a[i] in common]
        right = [i for i in range(first, len(b) - last) if b[i] in common]
        found = _common([a[i] for i in left], [b[i] for i in right])
        pairs += [(left[i], right[j]) for i, j in found]
    pairs += [(len(a) - i, len(b) - i) for i in range(last, 0, -1)]
    return pairs


def align_by(
    a: Sequence[T], b: Sequence[T], keys: Sequence[Callable[[T, int], object]], pairs: Sequence[tuple[int, int]] = ()
) -> list[tuple[int, int]]:
    """Align by the first key; then, within what is left between the pairs, by the next one, and so on.

    A key is called with an item and 0 or 1 for the sequence it is of. Items whose key is None are not aligned by it.
    """
    for key in keys:
        more = list(pairs)
        for i, j, m, n in gaps(pairs, len(a), len(b)):
            left = [(x, k) for x in range(i, m) if (k := key(a[x], 0)) is not None]
            right = [(y, k) for y in range(j, n) if (k := key(b[y], 1)) is not None]
            found = align([k for _, k in left], [k for _, k in right])
            more += [(left[x][0], right[y][0]) for x, y in found]
        pairs = sorted(more)
    return list(pairs)


def gaps(pairs: Sequence[tuple[int, int]], a: int, b: int) -> Iterator[tuple[int, int, int, int]]:
    """The stretches between pairs in which both sequences, `a` and `b` long, have items: two beginnings, two ends."""
    i = j = 0
    for m, n in (*pairs, (a, b)):
        if i < m and j < n:
            yield i, j, m, n
        i, j = m + 1, n + 1


def _common(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(a) and j < len(b):
        runs, i, j = _window(a, b, i, j)
        found = []
        while runs is not None:
            x, y, length, runs = runs
            found += [(x + step, y + step) for step in range(length - 1, -1, -1)]
        pairs += reversed(found)
    return pairs


def _window(a: Sequence[Hashable], b: Sequence[Hashable], i: int, j: int) -> tuple[_Runs, int, int]:
    """The runs from (i, j) on, after at most `_WINDOW` items that are in one sequence alone, and where they lead.

    Myers's greedy search: `ends` holds, by how much further it is in `a` than in `b`, the furthest point that is
    reached after a number of such items.
    """
    ends: dict[int, tuple[int, _Runs]] = {i - j + 1: (i, None)}
    for only in range(_WINDOW + 1):
        for ahead in range(i - j - only, i - j + only + 1, 2):
            if ahead == i - j - only or (ahead != i - j + only and ends[ahead - 1][0] < ends[ahead + 1][0]):
                x, runs = ends[ahead + 1]
            else:
                x, runs = ends[ahead - 1]
                x += 1
            start = x
            while x < len(a) and x - ahead < len(b) and a[x] == b[x - ahead]:
                x += 1
            if x > start:
                runs = (start, start - ahead, x - start, runs)
            if x >= len(a) and x - ahead >= len(b):
                return runs, x, x - ahead
            ends[ahead] = (x, runs)
    within = [(2 * x - ahead, ahead) for ahead, (x, _) in ends.items() if x <= len(a) and x - ahead <= len(b)]
    _, ahead = max(within)
    x, runs = ends[ahead]
    return runs, x, x - ahead
