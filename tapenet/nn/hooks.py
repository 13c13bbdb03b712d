"""Hooks: user functions that run when a module is called, and when a backward pass goes through it.

A module with hooks remembers no scopes, so that each of its calls takes the path on which hooks are looked for. Other
modules pay nothing.

Backward hooks want the gradients by a module's inputs and outputs, and by these alone: a tensor that goes into a module
may go elsewhere too. So inputs and outputs pass through a node of their own at the module's edge, the identity, whose
rule calls the hooks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tapenet.autodiff.gradients import conj_cotangent
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.module_tree import Tree
from tapenet.ops.op import op
from tapenet.ops.rule_results import GradientError
from tapenet.parameters.hook_table import HookTable
from tapenet.program.arguments import refilled
from tapenet.program.value_keys import Same


class Hook(NamedTuple):
    """One hook: the function, whether it takes keyword arguments, whether it is called after an error too."""

    function: Callable[..., object]
    with_kwargs: bool = False
    always: bool = False


#: The gradients of the values on one side of a module, None where there is none.
Grads = tuple[Tensor | None, ...]
KINDS = ("forward_pre", "forward", "backward_pre", "backward")


def fingerprint(hooks: HookTable[Hook]) -> tuple[tuple[Same, ...], ...]:
    """The hooks as a captured step depends on them."""
    return tuple(tuple(Same(h.function) for h in hooks.of(kind)) for kind in KINDS)


def call(
    module: Tree,
    forward: Callable[..., object],
    hooks: HookTable[Hook],
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> object:
    """A module's forward with its hooks before and after."""
    for hook in hooks.of("forward_pre"):
        args, kwargs = _before(module, hook, args, kwargs)
    edge = None
    if (hooks.of("backward") or hooks.of("backward_pre")) and local.state.grad:
        edge = _Edge(module, hooks)
        args = edge.enter(args)
    waiting = hooks.of("forward")
    out = None
    try:
        out = forward(*args, **kwargs)
        while waiting:
            hook = waiting.pop(0)
            result = _after(module, hook, args, kwargs, out)
            out = out if result is None else result
    except Exception:
        for hook in waiting:
            if hook.always:
                _after(module, hook, args, kwargs, out)
        raise
    return out if edge is None else edge.leave(out)


def _before(
    module: Tree, hook: Hook, args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[tuple[object, ...], dict[str, object]]:
    if not hook.with_kwargs:
        result = hook.function(module, args)
        return args if result is None else result if isinstance(result, tuple) else (result,), kwargs
    result = hook.function(module, args, kwargs)
    if result is None:
        return args, kwargs
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)):
        raise TypeError(
            f"a forward pre-hook of {type(module).__name__} with with_kwargs=True returns None or a pair "
            f"(args, kwargs), not {type(result).__name__}"
        )
    given, kwargs = result
    return given if isinstance(given, tuple) else (given,), kwargs


def _after(module: Tree, hook: Hook, args: tuple[object, ...], kwargs: dict[str, object], out: object) -> object:
    return hook.function(module, args, kwargs, out) if hook.with_kwargs else hook.function(module, args, out)


# -- backward ----------------------------------------------------------------------------------------------------

#: The identity of several tensors at once. Its rule calls a function with the gradients of all of them.
edge = op(
    lambda xs, rule: tuple(xs),
    name="edge",
    label="hooks",
    outputs=None,
    tell_unused=True,
    xs=lambda g, rule: rule(g),
    formula="xs",
    gradients="xs: what the hooks make of g",
    doc="""The tensors `xs` as they are, at the edge of a module with backward hooks.""",
)


class _Edge:
    """One call of a module with backward hooks: where its inputs come in and its outputs go out.

    A backward pass comes to the outputs first. What it brings there is kept until it has come to the inputs.
    """

    __slots__ = ("grad_output", "hooks", "inputs", "module", "outputs")

    def __init__(self, module: Tree, hooks: HookTable[Hook]) -> None:
        self.module = module
        #: As they are now: what is registered later is for later calls.
        self.hooks = hooks.of("backward_pre"), hooks.of("backward")
        self.inputs: _Side | None = None
        self.outputs: _Side | None = None
        self.grad_output: Grads | None = None

    def enter(self, args: tuple[object, ...]) -> tuple[object, ...]:
        """The positional arguments, those that need a gradient through a node of their own."""
        self.inputs = _Side(args)
        return tuple(self.inputs.through(args, self._to_inputs))

    def leave(self, out: object) -> object:
        """What the forward returned, a tensor or a list or tuple of them, likewise."""
        if not isinstance(out, (list, tuple, Tensor)) and out is not None:
            warnings.warn(
                f"the backward hooks of {type(self.module).__name__} are not called: it returned a {type(out).__name__}, and "
                "they take a tensor, or a list or tuple of tensors",
                stacklevel=4,
            )
        parts = tuple(out) if isinstance(out, (list, tuple)) else (out,)
        self.outputs = _Side(parts)
        made = self.outputs.through(parts, self._to_outputs)
        return refilled(out, made) if isinstance(out, (list, tuple)) else made[0]

    def _to_outputs(self, g: tuple[object, ...]) -> tuple[object, ...]:
        assert self.inputs is not None
        assert self.outputs is not None
        before, after = self.hooks
        grads = self.outputs.seen(g)
        for hook in before:
            grads = self._replaced(hook, grads, hook.function(self.module, grads))
        if self.inputs.places:
            self.grad_output = grads
        else:  # nothing will come to the inputs
            for hook in after:
                hook.function(self.module, (None,) * self.inputs.count, grads)
        return self.outputs.told(grads, g)

    def _to_inputs(self, g: tuple[object, ...]) -> tuple[object, ...]:
        assert self.inputs is not None
        grads = self.inputs.seen(g)
        grad_output, self.grad_output = self.grad_output, None
        if grad_output is None:
            grad_output = (None,) * (0 if self.outputs is None else self.outputs.count)
        for hook in self.hooks[1]:
            grads = self._replaced(hook, grads, hook.function(self.module, grads, grad_output))
        return self.inputs.told(grads, g)

    def _replaced(self, hook: Hook, grads: Grads, result: object) -> Grads:
        """The gradients that go on after a hook."""
        if result is None:
            return grads
        given = result if isinstance(result, (tuple, list)) else (result,)
        if len(given) != len(grads):
            raise GradientError(
                f"the backward hook {_name(hook)} of {type(self.module).__name__} returned {len(given)} gradients in place "
                f"of {len(grads)}: return a tuple with one for each, or None to leave them as they are"
            )
        return tuple(self._like(hook, new, old) for new, old in zip(given, grads, strict=True))

    def _like(self, hook: Hook, new: object, old: Tensor | None) -> Tensor | None:
        if new is None or old is None:
            return None if old is None else Tensor._of(np.zeros(old.shape, old.dtype))
        new = new if isinstance(new, Tensor) else Tensor._of(np.asarray(new))
        if new.shape != old.shape:
            raise GradientError(
                f"the backward hook {_name(hook)} of {type(self.module).__name__} returned a gradient of shape "
                f"{new.shape} in place of one of shape {old.shape}; return the same shape"
            )
        return new if new.dtype == old.dtype else new.astype(old.dtype)


class _Side:
    """The values on one side of a module, and which of them have gradients."""

    __slots__ = ("count", "places", "specs")

    def __init__(self, values: tuple[object, ...]) -> None:
        self.count = len(values)
        recorded = {i: v for i, v in enumerate(values) if type(v) is Tensor and v._node is not None}
        self.places = list(recorded)
        self.specs = [(v.shape, v.dtype) for v in recorded.values()]

    def through(self, values: tuple[object, ...], rule: Callable[..., object]) -> list[object]:
        """The values, with the node at the edge behind those that have gradients."""
        passed = list(values)
        if self.places:
            for i, tensor in zip(self.places, edge([values[i] for i in self.places], rule), strict=True):
                passed[i] = tensor
        return passed

    def seen(self, g: tuple[object, ...]) -> Grads:
        """The gradients as hooks see them: a tensor for each value that has one and is used, else None."""
        grads: list[Tensor | None] = [None] * self.count
        for i, d in zip(self.places, g, strict=True):
            if d is not None:
                grads[i] = conj_cotangent(d if type(d) is Tensor else Tensor._of(np.asarray(d)))
        return tuple(grads)

    def told(self, grads: Grads, g: tuple[object, ...]) -> tuple[object, ...]:
        """The gradients as the driver takes them, in the form in which it gave `g`: tensors, or arrays."""
        on_tensors = any(type(d) is Tensor for d in g)
        found = []
        for i, (shape, dtype) in zip(self.places, self.specs, strict=True):
            d = grads[i]
            if d is None:
                found.append(np.zeros(shape, dtype))
            else:
                found.append(conj_cotangent(d) if on_tensors else conj_cotangent(d)._data)
        return tuple(found)


def _name(hook: Hook) -> str:
    return getattr(hook.function, "__qualname__", None) or type(hook.function).__name__
