"""What a model is made of and what a call of it takes, as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from tapenet.autodiff.node import Node
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.observe.tape import CaptureError, Tape
from tapenet.autodiff.state import switched
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.module_tree import Tree
from tapenet.nn.parameter import FLOAT
from tapenet.ops import random
from tapenet.ops.hook_handle import Handle
from tapenet.ops.stack_frames import user_line
from tapenet.profiling.profile import profile
from tapenet.profiling.quantities import size as in_bytes
from tapenet.program.low import is_float
from tapenet.typing import Array, Shape

Shapes = tuple[Shape, ...]


class Summarizable(Protocol):
    """What a summary needs of a model. An `nn.Module` has it."""

    def __call__(self, *inputs: object) -> object:
        """Run the model."""

    def parameters(self, recurse: bool = True) -> Iterator[Tensor]:
        """The parameters."""

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers."""

    def modules(self) -> Iterator[Summarizable]:
        """The model and the modules in it."""

    def named_modules(self) -> Iterator[tuple[str, Summarizable]]:
        """The same with their names."""

    def register_forward_hook(self, hook: Callable[..., object], *, with_kwargs: bool = False) -> Handle:
        """Call a function after each forward."""


class SummaryRow(NamedTuple):
    """A module, with all that is in it and the modules within.

    Attributes:
        name: its dotted name; "" for the model.
        type: its class.
        depth: 0 for the model, 1 for the modules in it, and so on.
        calls: how often it was called.
        inputs: shapes of the tensors that its first call got, in order.
        outputs: shapes of the tensors that its first call returned.
        parameters: numbers in its parameters, each parameter once.
        trainable: those of them that need gradients; the rest is frozen.
        shared: those of them that a module of an earlier row has too, and that do not count again in the total.
        multiply_adds: multiplications with an addition in its forward, as `tn.profile` counts them.
        parameter_bytes, buffer_bytes: of its parameters and buffers, each once.
        kept_bytes: of what its ops keep for the backward pass: inputs, outputs and residuals, each array once, without
            parameters and buffers.
        output_bytes: of the tensors that its first call returned.
    """

    name: str
    type: str
    depth: int
    calls: int
    inputs: Shapes
    outputs: Shapes
    parameters: int
    trainable: int
    shared: int
    multiply_adds: int
    parameter_bytes: int
    buffer_bytes: int
    kept_bytes: int
    output_bytes: int

    @property
    def frozen(self) -> int:
        """Numbers in parameters that need no gradient."""
        return self.parameters - self.trainable


class Summary:
    """What `nn.summary` gives. Printed, it is a table.

    Attributes:
        rows: a `SummaryRow` for each module down to the depth that was asked for, the model first.
        total: the row of the model, which has the totals.
    """

    def __init__(self, rows: list[SummaryRow]) -> None:
        self.rows = rows
        self.total = rows[0]

    def __str__(self) -> str:
        titles = ("module", "class", "input", "output", "parameters", "multiply-adds", "kept", "output size")
        cells = [titles, *map(_cells, self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(c.ljust(w) if i < 4 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
            for row in cells
        ]
        total = self.total
        frozen = f", {total.frozen:,} frozen" if total.frozen else ""
        lines += [
            "",
            f"{total.parameters:,} parameters ({total.trainable:,} trainable{frozen}): {in_bytes(total.parameter_bytes)}"
            + (f"; buffers: {in_bytes(total.buffer_bytes)}" if total.buffer_bytes else ""),
            f"{total.multiply_adds:,} multiply-adds in a forward pass; {in_bytes(total.kept_bytes)} kept for the backward pass",
        ]
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__


def _cells(row: SummaryRow) -> tuple[str, ...]:
    name = "  " * row.depth + (row.name.rpartition(".")[2] if row.depth else row.name)
    notes = [f"{row.frozen:,} frozen"] if row.frozen else []
    notes += [f"{row.shared:,} shared"] if row.shared else []
    parameters = f"{row.parameters:,}" + (f" ({', '.join(notes)})" if notes else "") if row.parameters else ""
    times = f" ({row.calls} times)" if row.calls > 1 else ""
    return (
        name, row.type + times, _shapes(row.inputs), _shapes(row.outputs), parameters,
        f"{row.multiply_adds:,}" if row.multiply_adds else "", in_bytes(row.kept_bytes) if row.kept_bytes else "",
        in_bytes(row.output_bytes) if row.calls else "not called",
    )  # fmt: skip


def _shapes(shapes: Shapes) -> str:
    return ", ".join(map(str, shapes))


def summary(model: Summarizable, *inputs: ArrayLike, depth: int | None = None) -> Summary:
    """Run a model once and say of each module in it: shapes, parameters, multiply-adds and bytes.

    Every row counts a module with all that is in it, so the rows within a module are parts of its own. The call changes
    nothing: it is made in the mode that the model is in, and buffers, attributes of modules and random generators are put
    back; no gradient is computed. It sees what a training step would keep: also inside `tn.no_grad()`. Inside
    `tn.autocast` it shows the types that ops have there.

    Args:
        model: the model.
        *inputs: its arguments, arrays or tensors; or their shapes, tuples of integers, for arrays of zeros in the dtype
            of the first floating parameter.
        depth: show modules down to this depth: 0 for the model alone, 1 for those in it too; None for all.

    Returns:
        a `Summary`, with `.rows` and `.total` as data.

    Raises:
        ValueError: no inputs, or a negative depth.
        tn.CaptureError: while a step is being captured.

    >>> from tapenet import nn
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> nn.summary(net, (32, 4))
    module  class       input    output   parameters  multiply-adds     kept  output size
            Sequential  (32, 4)  (32, 2)          58          1,536  1.54 kB        256 B
      0     Linear      (32, 4)  (32, 8)          40          1,024    512 B      1.02 kB
      1     ReLU        (32, 8)  (32, 8)                             1.02 kB      1.02 kB
      2     Linear      (32, 8)  (32, 2)          18            512  1.02 kB        256 B
    <BLANKLINE>
    58 parameters (58 trainable): 232 B
    1,536 multiply-adds in a forward pass; 1.54 kB kept for the backward pass
    """
    if not isinstance(model, Tree):
        raise TypeError(f"summary takes a module, not {type(model).__name__}")
    if not inputs:
        raise ValueError("summary runs the model: give its inputs, or their shapes, as in nn.summary(net, (1, 784))")
    if depth is not None and depth < 0:
        raise ValueError(f"summary: depth={depth} must be 0 or more")
    if capturing() is not None:
        raise CaptureError(f"{user_line()} calls nn.summary while a step is being captured: call it outside")
    run = _Run(model)
    run.call([_input(model, given) for given in inputs])
    return Summary([row for row in run.rows() if depth is None or row.depth <= depth])


def _input(model: Summarizable, given: object) -> object:
    if not (isinstance(given, tuple) and all(type(n) is int for n in given)):
        return given
    dtype = next((t.dtype for t in (*model.parameters(), *model.buffers()) if is_float(t.dtype)), FLOAT)
    return Tensor._of(np.zeros(given, dtype))


class _Call(NamedTuple):
    """What the first call of a module got and gave."""

    inputs: Shapes
    outputs: Shapes
    output_bytes: int


class _Run:
    """One observed run of a model."""

    def __init__(self, model: Summarizable) -> None:
        self.model = model
        self.calls: dict[Summarizable, list[_Call]] = {}
        self.multiply_adds: dict[Summarizable, int] = {}
        self.kept: dict[Summarizable, dict[tuple[int, int], int]] = {}

    def call(self, inputs: list[object]) -> None:
        """Run the model and note what happens."""
        with _as_it_was(self.model), _watching(self.model, self._returned), _afresh():
            with Tape() as tape, profile() as seen:
                self.model(*inputs)
            nodes = {node.number: node for node in tape.nodes}
            own = {_memory(t._data) for t in (*self.model.parameters(), *self.model.buffers())}
            for record in seen.steps[0].records:
                node = nodes.get(record.number or 0)
                if node is None:
                    continue
                arrays = {_memory(a): a.nbytes for a in _saved(node)}
                for module in set(node.scope.modules):
                    self.multiply_adds[module] = self.multiply_adds.get(module, 0) + (record.multiply_adds or 0)
                    kept = self.kept.setdefault(module, {})
                    kept.update({key: n for key, n in arrays.items() if key not in own})

    def _returned(self, module: Summarizable, args: object, kwargs: object, out: object) -> None:
        given, made = list(_tensors((args, kwargs))), list(_tensors(out))
        call = _Call(tuple(t.shape for t in given), tuple(t.shape for t in made), sum(t.nbytes for t in made))
        self.calls.setdefault(module, []).append(call)

    def rows(self) -> Iterator[SummaryRow]:
        """A row for each module."""
        names = [name for name, _ in self.model.named_modules()]
        before: set[int] = set()
        for name, module in self.model.named_modules():
            parameters = list(module.parameters())
            calls = self.calls.get(module, [])
            first = calls[0] if calls else _Call((), (), 0)
            yield SummaryRow(
                name,
                type(module).__name__,
                sum(not n or name.startswith(n + ".") for n in names if n != name),
                len(calls),
                first.inputs,
                first.outputs,
                sum(p.size for p in parameters),
                sum(p.size for p in parameters if p.requires_grad),
                sum(p.size for p in parameters if id(p) in before),
                self.multiply_adds.get(module, 0),
                sum(p.nbytes for p in parameters),
                sum(b.nbytes for b in module.buffers()),
                sum(self.kept.get(module, {}).values()),
                first.output_bytes,
            )
            before.update(map(id, module.parameters(recurse=False)))


def _tensors(value: object) -> Iterator[Tensor | Array]:
    """The tensors and arrays in a tree of lists, tuples and dicts."""
    if isinstance(value, (Tensor, np.ndarray)):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)


def _saved(node: Node) -> Iterator[Tensor | Array]:
    for slot in node.saved_slots:
        yield from _tensors(getattr(node, slot, None))


def _memory(array: Tensor | Array) -> tuple[int, int]:
    """What tells an array from others: where it begins, and how long it is."""
    return int(array.__array_interface__["data"][0]), array.nbytes


@contextmanager
def _watching(model: Summarizable, hook: Callable[..., object]) -> Iterator[None]:
    """Call the hook after every call of a module."""
    handles = [m.register_forward_hook(hook, with_kwargs=True) for m in model.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _afresh() -> switched:
    """Record gradients, but not on a tape or in a profile of the user."""
    return switched(grad=True, profile=None, debug=False, nan=None)


@contextmanager
def _as_it_was(model: Summarizable) -> Iterator[None]:
    """Put back what a call changes: buffers, attributes of modules, random generators."""
    modules = list(model.modules())
    attributes = [dict(vars(m)) for m in modules]
    # Another array stands in for each buffer's own, which is not written: a backward pass may still need it.
    buffers = [(b, b._data) for b in model.buffers()]
    generators = {id(v): v for found in attributes for v in found.values() if isinstance(v, np.random.Generator)}
    restore = [random.Saved(), *map(random.Saved, generators.values())]
    for buffer, array in buffers:
        buffer._rebind(array.copy(order="K"))
    try:
        yield
    finally:
        for buffer, array in buffers:
            buffer._rebind(array)
        for module, before in zip(modules, attributes, strict=True):
            now = vars(module)
            if now.keys() != before.keys() or any(now[n] is not v for n, v in before.items()):
                now.clear()
                now.update(before)
        for put_back in restore:
            put_back()
