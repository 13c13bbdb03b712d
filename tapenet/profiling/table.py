"""A profiled step as text."""

from __future__ import annotations

from collections.abc import Sequence

from tapenet.profiling.quantities import many, seconds, size
from tapenet.profiling.records import Record, Step
from tapenet.profiling.rows import ModuleRow, OpRow, by_module, by_op, dearest

_COSTS = ("forward", "backward", "share", "saved", "multiply-adds")


def table(step: Step, limit: int) -> str:
    """A summary of a step and its tables, each of at most `limit` rows."""
    spans = [f"{name} {seconds(s)}" for name, s in sorted(step.spans.items(), key=lambda item: -item[1])]
    parts = [f"forward {seconds(step.forward)}", f"backward {seconds(step.backward)}", *spans,
             f"other {seconds(step.other)}"]  # fmt: skip
    lines = [f"{seconds(step.total)}: {', '.join(parts)}; {size(step.saved)} saved"]
    modules = by_module(step.records)
    if any(m.root for m in modules):
        shown = _outer(modules, limit)
        names = [_module(m) for m in shown]
        lines += _table(
            ("module", "ops"), [(n, m.calls) for n, m in zip(names, shown, strict=True)], shown, modules, step
        )
    ops = by_op(step.records)
    lines += _table(("op", "calls"), [(o.op, o.calls) for o in ops[:limit]], ops[:limit], ops, step)
    nodes = dearest(step.records)
    about = [(_number(r), r.op, where(r), output(r)) for r in nodes[:limit]]
    lines += _table(("node", "op", "in", "output"), about, nodes[:limit], nodes, step)
    born = [line for r in step.records for line in _born(r)]
    return "\n".join([*lines, *([""] if born else []), *born[:limit]])


def _outer(modules: list[ModuleRow], limit: int) -> list[ModuleRow]:
    """The modules down to the depth at which not too many are left."""
    depth = max(m.depth for m in modules)
    while depth and sum(m.depth <= depth for m in modules) > limit:
        depth -= 1
    return [m for m in modules if m.depth <= depth][:limit]


def _table(
    titles: Sequence[str],
    about: Sequence[Sequence[object]],
    rows: Sequence[Record | OpRow | ModuleRow],
    every: Sequence[object],
    step: Step,
) -> list[str]:
    """A table with what each row is about, then what it costs; nothing if there are no rows."""
    if not rows:
        return []
    cells = [[*titles, *_COSTS]]
    for what, row in zip(about, rows, strict=True):
        share = f"{row.seconds / step.total:.1%}" if step.total else ""
        adds = _adds(row.multiply_adds, row.backward_multiply_adds)
        costs = [seconds(row.forward), seconds(row.backward), share, size(row.saved), adds]
        cells.append([*map(str, what), *costs])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left = {i for i, title in enumerate(titles) if title not in ("ops", "calls", "node")}
    lines = [
        "  ".join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    ]
    more = len(every) - len(rows)
    return ["", *(line.rstrip() for line in lines), *([f"({more} more)"] if more else [])]


def _module(row: ModuleRow) -> str:
    name = row.path.rpartition(".")[2] or row.root or "(outside modules)"
    return "  " * row.depth + name


def where(record: Record) -> str:
    """The module of an op, as `Net.layers.0`."""
    return ".".join(part for part in (record.root, record.path) if part)


def output(record: Record) -> str:
    """Dtype and shape of an op's output."""
    if isinstance(record.dtype, tuple):
        return ", ".join(f"{d} {s}" for d, s in zip(record.dtype, record.shape, strict=True))
    return f"{record.dtype} {record.shape}"


def _number(record: Record) -> str:
    return "" if record.number is None else f"#{record.number}"


def _born(record: Record) -> list[str]:
    place = where(record)
    op = f"{record.op}{f' in {place}' if place else ''}{f' ({_number(record)})' if record.number else ''}"
    found = [] if record.born is None else [f"born in {op}: {record.born}"]
    return (
        found
        if record.gradient_born is None
        else [*found, f"born in the gradient rules of {op}: {record.gradient_born}"]
    )


def _adds(forward: int | None, backward: int | None) -> str:
    return "" if forward is None else many(forward + (backward or 0))
