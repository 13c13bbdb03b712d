"""Optimizers whose rule takes each parameter as a whole: norms, factors of matrices, products.

An elementwise rule runs over flat storage in blocks (`storage.py`). A rule that needs a parameter's shape or the
sum over it cannot: here the parameters stay where they are, each with state of its own shape, and the rule is
called once per parameter. It is the same pure function of the same arguments, so that a captured step needs
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.optim.groups import Group, ParamGroup
from tapenet.optim.optimizer import WITHOUT_RULE, Optimizer
from tapenet.optim.rule_calls import Scalars, State, Updated, call_rule, check_rule, check_shapes
from tapenet.optim.storage import BLOCK, Run, Slot, Storage, memory_order
from tapenet.typing import Array, Shape


class WholeOptimizer(Optimizer):
    """The base of optimizers whose `rule` is given whole parameters, with their shape.

    It says what an `Optimizer` says, and may add two things: `shapes`, where what is kept of a parameter has another
    shape than it, and `constants`, what the rule branches on. A rule for matrices, which takes each row for itself:

    >>> import numpy as np, tapenet as tn
    >>> class RowSGD(tn.optim.WholeOptimizer):
    ...     @staticmethod
    ...     def rule(p, g, state, s):
    ...         norm = np.sqrt(np.sum(g * g, axis=-1, keepdims=True))
    ...         return p - s["lr"] * g / np.maximum(norm, 1e-8), {}
    >>> w = tn.tensor([[3.0, 4.0], [0.0, 2.0]], requires_grad=True)
    >>> opt = RowSGD([w], lr=1.0)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w
    Tensor([[2.4, 3.2],
            [0. , 1. ]], requires_grad=True)
    """

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in super().__getstate__().items() if name != "_scratch"}

    def constants(self, options: Group) -> dict[str, object]:
        """What `rule` finds beside the scalars, and may branch on. A captured step holds for these alone."""
        return {}

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        """The new parameter and the new state, by NumPy functions of the whole arrays without in-place operators: the
        rule also runs on tensors, while a step is being captured."""
        raise NotImplementedError(WITHOUT_RULE)

    def update(self, p: Array, grad: Tensor, state: State, s: Scalars) -> None:
        """Update a parameter and its state where they are, by the rule. One that can do so with less may override it."""
        new, kept = call_rule(self.rule, p, grad._data, state, s)
        check_shapes(self.rule, p, state, new, kept)
        for name, value in kept.items():
            state[name][...] = value
        p[...] = new

    def scratch(self, like: Array) -> Array:
        """A flat array with room for as many elements, which is kept for the next parameter."""
        arrays = vars(self).setdefault("_scratch", {})
        held: Array | None = arrays.get(like.dtype)
        if held is None or held.size < like.size:
            held = arrays[like.dtype] = np.empty(like.size, like.dtype)
        return held[: like.size]

    def _storage(self, slots: list[Slot]) -> Sequence[Storage]:
        dtypes = dict.fromkeys(slot.param.dtype for slot in slots)
        return [Whole([slot for slot in slots if slot.param.dtype == dtype], self._writer) for dtype in dtypes]

    def _configure(self, segment: Storage, group: ParamGroup) -> None:
        assert isinstance(segment, Whole)
        options = self._options(group)
        segment.constants = self.constants(options)
        check_rule(self.rule)
        states, scalars = self._numbers(options)
        shapes = [self.shapes(options, p.shape) for p in segment.params]
        segment.configure(self.update, states, shapes, scalars)

    def _take_up_moved(self) -> None:
        super()._take_up_moved()
        for group, segment in self._segments:  # something changed: perhaps what the rule branches on
            self._configure(segment, group)

    def _outline(self, group: ParamGroup, step: int) -> tuple[object, ...]:
        return *super()._outline(group, step), self.constants(self._options(group))


def flattened(p: Array, g: Array, *states: Array) -> list[Array] | None:
    """A parameter, its gradient and its states of the same shape as flat arrays in the parameter's memory order, all but
    the gradient as views; None where the elements of one do not lie behind each other in that order."""
    axes = memory_order(p)
    if not all(array.transpose(axes).flags.c_contiguous for array in (p, *states)):
        return None
    return [array.transpose(axes).reshape(-1) for array in (p, g, *states)]


def blocks(array: Array) -> list[slice]:
    """Slices of an array made flat, each of which fits a cache with a few like it."""
    size = BLOCK // array.dtype.itemsize
    return [slice(first, first + size) for first in range(0, array.size, size)]


class Whole(Storage):
    """Parameters of one group and dtype that stay where they are, and their state, in arrays of their own."""

    def __init__(self, slots: list[Slot], by: str) -> None:
        super().__init__(slots, by)
        for slot in slots:
            if not slot.param._data.flags.writeable:
                raise ValueError(
                    f"{slot.name} is a read-only view of an array in use elsewhere, and cannot be updated there: give it "
                    "storage of its own, tn.tensor(array, requires_grad=True)"
                )
        self._update: Callable[..., None] | None = None
        #: What the rule finds as its numbers, in the parameters' dtype.
        self._numbers: State = {}
        self._states: list[State] = []

    def configure(
        self,
        update: Callable[[Array, Tensor, State, State], None],
        states: dict[str, float],
        shapes: list[dict[str, Shape]],
        scalars: dict[str, float],
    ) -> None:
        """Make ready for an update with states of these initial values and shapes, and these scalars."""
        self._update = update
        for slot, wanted in zip(self.slots, shapes, strict=True):
            kept = {}
            for name, shape in wanted.items():
                tensor = slot.state.get(name)
                if tensor is None:
                    tensor = Tensor._of(self._new(slot.param._data, shape, states[name]))
                elif tensor.dtype != self.dtype:
                    tensor._rebind(tensor._data.astype(self.dtype))
                kept[name] = tensor
            slot.state = kept
        self._states = [{name: tensor._data for name, tensor in slot.state.items()} for slot in self.slots]
        self.set(scalars)

    def _new(self, like: Array, shape: Shape, value: float) -> Array:
        if shape == like.shape:
            return np.full_like(like, value)  # in the parameter's memory order
        return np.full(shape, value, self.dtype)

    def set(self, scalars: dict[str, float]) -> None:
        kind = self.dtype.type
        self._numbers = {name: kind(value) for name, value in scalars.items()} | self.constants
        self.scalars = scalars  # last, so that what an exception leaves is set again

    def update(self, run: Run, grads: Sequence[Tensor]) -> None:
        assert self._update is not None
        for k in run.positions:
            if self.params[k].size:  # of nothing there are no means
                self._update(self.params[k]._data, grads[k], self._states[k], self._numbers)
