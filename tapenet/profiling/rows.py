"""The records of a step summed up: by op and by module."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol, TypeVar

from tapenet.profiling.records import Record


class OpRow(NamedTuple):
    """All ops of one name in a step: how many, and the sums of what `Record` has. Multiply-adds are None where the op
    does not say."""

    op: str
    calls: int
    forward: float
    backward: float
    saved: int
    multiply_adds: int | None
    backward_multiply_adds: int | None

    @property
    def seconds(self) -> float:
        """Forward and backward together."""
        return self.forward + self.backward


class ModuleRow(NamedTuple):
    """A module in a step, with all that ran inside it and the modules within.

    Attributes:
        root: the class of the outermost module; "" for what ran outside modules.
        path: the dotted path from there; "" for the outermost module itself.
        depth: 0 for the outermost module, 1 for those in it, and so on.
        calls: how many ops ran.
        forward, backward, saved, multiply_adds, backward_multiply_adds: sums of what `Record` has. Ops that do not say
            count as 0 multiply-adds.
    """

    root: str
    path: str
    depth: int
    calls: int
    forward: float
    backward: float
    saved: int
    multiply_adds: int
    backward_multiply_adds: int

    @property
    def seconds(self) -> float:
        """Forward and backward together."""
        return self.forward + self.backward


class _Timed(Protocol):
    @property
    def seconds(self) -> float: ...


R = TypeVar("R", bound=_Timed)


def dearest(rows: Iterable[R]) -> list[R]:
    """Sorted, the one that takes the most time first."""
    return sorted(rows, key=lambda row: -row.seconds)


def by_op(records: Iterable[Record]) -> list[OpRow]:
    """A row for each name of an op, the dearest first."""
    groups: dict[str, list[Record]] = {}
    for r in records:
        groups.setdefault(r.op, []).append(r)
    rows = []
    for op, group in groups.items():
        says = any(r.multiply_adds is not None for r in group)
        adds = _adds(group) if says else (None, None)
        rows.append(OpRow(op, len(group), *_costs(group), *adds))
    return dearest(rows)


def by_module(records: Iterable[Record]) -> list[ModuleRow]:
    """A row for each module, followed by those of the modules within it; of neighbours the dearest first."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for r in records:
        at = (r.root, *r.path.split(".")) if r.path else (r.root,)
        for depth in range(1, len(at) + 1):
            groups.setdefault(at[:depth], []).append(r)
    rows = {
        at: ModuleRow(at[0], ".".join(at[1:]), len(at) - 1, len(group), *_costs(group), *_adds(group))
        for at, group in groups.items()
    }
    inside: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for at in rows:
        inside.setdefault(at[:-1], []).append(at)
    found = []
    waiting = _cheapest(rows, inside.get((), []))
    while waiting:
        path = waiting.pop()
        found.append(rows[path])
        waiting += _cheapest(rows, inside.get(path, []))
    return found


def _cheapest(rows: dict[tuple[str, ...], ModuleRow], paths: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return sorted(paths, key=lambda path: rows[path].seconds)


def _costs(group: list[Record]) -> tuple[float, float, int]:
    return sum(r.forward for r in group), sum(r.backward for r in group), sum(r.saved for r in group)


def _adds(group: list[Record]) -> tuple[int, int]:
    return sum(r.multiply_adds or 0 for r in group), sum(r.backward_multiply_adds or 0 for r in group)
