"""Functions of the user's that are called when an optimizer makes a step, and when its state is taken or loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapenet.autodiff.state import enable_grad
from tapenet.ops.hook_handle import Handle
from tapenet.parameters.hook_table import HookTable
from tapenet.program.value_keys import Same
from tapenet.typing import StateDict

Hook = Callable[..., Any]


def inside() -> None:
    """Given as the closure of a step, that what goes around it is done already."""


class Hooked:
    """The part of an optimizer that knows of hooks."""

    #: None until the first one is registered, so that a step asks no more than that.
    _hooks: HookTable[Hook] | None = None

    def register_step_pre_hook(self, hook: Hook) -> Handle:
        """Call `hook(optimizer, args, kwargs)` before each step, with the arguments of `step`, the first of which is the
        optimizer itself, as in PyTorch; what it returns, unless None, is a pair that takes their place.

        While a step is captured by `tn.compile` hooks are called once, and what they compute with tensors becomes part of the
        program. Copies of an optimizer have none.

        Returns:
            a handle, whose `remove()` takes the hook away; as a context manager it does so at the end of the block.
        """
        return self._register("step_pre", hook)

    def register_step_post_hook(self, hook: Hook) -> Handle:
        """Call `hook(optimizer, args, kwargs)` after each step; see `register_step_pre_hook`.

        >>> import tapenet as tn
        >>> w = tn.tensor([1.0], requires_grad=True)
        >>> opt = tn.optim.SGD([w], lr=0.5)
        >>> with opt.register_step_post_hook(lambda opt, args, kwargs: print(w.item())):
        ...     (w * w).sum().backward()
        ...     opt.step()
        0.0
        """
        return self._register("step_post", hook)

    def register_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> Handle:
        """Call `hook(optimizer)` before its state is taken."""
        return self._register("state_dict_pre", hook, prepend)

    def register_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> Handle:
        """Call `hook(optimizer, state)` with the state that was taken; what it returns, unless None, takes its place."""
        return self._register("state_dict_post", hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> Handle:
        """Call `hook(optimizer, state)` before a state is loaded; what it returns, unless None, is loaded in its place."""
        return self._register("load_pre", hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> Handle:
        """Call `hook(optimizer)` after a state was loaded."""
        return self._register("load_post", hook, prepend)

    def _register(self, kind: str, hook: Hook, first: bool = False) -> Handle:
        if not callable(hook):
            raise TypeError(f"{type(self).__name__}: a hook is a function, not {type(hook).__name__}")
        if self._hooks is None:
            self._hooks = HookTable()
        return self._hooks.add(kind, hook, first)

    def _hooks_fingerprint(self) -> tuple[Same, ...]:
        """The hooks of a step, as a captured one depends on them."""
        hooks = HookTable[Hook]() if self._hooks is None else self._hooks
        return tuple(Same(hook) for kind in ("step_pre", "step_post") for hook in hooks.of(kind))

    def _called(self, kind: str, state: StateDict) -> StateDict:
        """Call the hooks that may put another state in the place of one."""
        for hook in self._hooks.of(kind) if self._hooks is not None else ():
            result = hook(self, state)
            state = state if result is None else result
        return state

    def _tell(self, kind: str) -> None:
        """Call the hooks whose only argument is the optimizer."""
        for hook in self._hooks.of(kind) if self._hooks is not None else ():
            hook(self)

    def _around(self, closure: Callable[[], object] | None) -> object:
        """A step with a closure, and with the hooks before and after.

        Returns:
            what the closure returned.
        """
        args: tuple[Any, ...] = (self,) if closure is None else (self, closure)
        kwargs: dict[str, Any] = {}
        hooks = HookTable[Hook]() if self._hooks is None else self._hooks
        for hook in hooks.of("step_pre"):
            result = hook(self, args, kwargs)
            if result is None:
                continue
            if not (isinstance(result, tuple) and len(result) == 2):
                raise TypeError(
                    f"a hook before the step of {type(self).__name__} returns None or a pair (args, kwargs), not "
                    f"{type(result).__name__}"
                )
            args, kwargs = result
        value = self._run(*args[1:], **kwargs)
        for hook in hooks.of("step_post"):
            hook(self, args, kwargs)
        return value

    def _run(self, closure: Callable[[], object] | None = None) -> object:
        """The closure, then the step."""
        value = None
        if closure is not None:
            with enable_grad():
                value = closure()
        self.step(inside)
        return value

    def step(self, closure: Callable[[], object] | None = None) -> object:
        """Update the parameters."""
        raise NotImplementedError
