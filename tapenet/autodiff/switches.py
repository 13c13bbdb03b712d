"""What is recorded in a block: no gradients, gradients again, and more, to find mistakes."""

from __future__ import annotations

import functools
import inspect
from contextlib import ContextDecorator
from typing import Any, Literal

from tapenet.autodiff.tape import enter, leave, local


class _Switch(ContextDecorator):
    """Sets one of the thread's switches for the duration of a block, also when the block raises."""

    name: str
    value: bool

    def __enter__(self) -> None:
        enter(self, **{self.name: self.value})

    def __exit__(self, *exc: object) -> None:
        try:
            leave(self)
        except BaseException:  # an interrupt
            leave(self)
            raise

    def __call__(self, function: Any) -> Any:
        if inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{type(self).__name__} does not decorate the asynchronous generator {function.__qualname__}: use the block "
                "inside of it, around what lies between two yields"
            )
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return run
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Any:
            # The switch is set while the body runs, not while it waits and its caller does.
            generator = function(*args, **kwargs)
            resume = functools.partial(next, generator)
            while True:
                try:
                    with self:
                        value = resume()
                except StopIteration as stop:
                    return stop.value
                try:
                    resume = functools.partial(generator.send, (yield value))
                except BaseException as error:  # thrown in, GeneratorExit too
                    resume = functools.partial(generator.throw, error)

        return generate


class switched(_Switch):
    """Sets any switches of the thread for the duration of a block."""

    def __init__(self, **switches: Any) -> None:
        self.switches = switches

    def __enter__(self) -> None:
        local.state.begin(self, **self.switches)


class no_grad(_Switch):
    """Record nothing for gradients inside the block (or the decorated function).

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0], requires_grad=True)
    >>> with tn.no_grad():
    ...     (w * 2).requires_grad
    False
    """

    name, value = "grad", False


class enable_grad(_Switch):
    """Record for gradients again inside a `no_grad` block.

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0], requires_grad=True)
    >>> with tn.no_grad(), tn.enable_grad():
    ...     (w * 2).requires_grad
    True
    """

    name, value = "grad", True


class lines(_Switch):
    """Keep the line of user code that made each node, for drawings."""

    name, value = "debug", True


class debug(_Switch):
    """Find mistakes: know lines, stop at nan and infinity, draw where things fail. Slower.

    Every node keeps the line of user code that made it (`node.line`), and errors show it. Results that hold a nan or
    an infinity are errors where these are born: in an op whose inputs, or in a gradient rule whose incoming gradient
    and saved arrays, held none; and a nan where it comes in with the data, a leaf, a constant or an array, of the
    first op whose result it goes into (functions such as `np.nanmean` may be given it). Where an op or a rule fails,
    or gives one of these, the ops around it are drawn, with the shapes that came in, and the error (or a note on it)
    names the file: `tapenet-debug-1-log.svg`, in the folder that the variable `TAPENET_DEBUG_DIR` of the environment
    names, else in the current one. At most 20 are drawn by a process. For gradients, call `backward()` inside the
    block. A compiled step is looked at only as it is recorded.

    Args:
        nan: what to do where nan or infinity is born: "raise" an error, "warn" and go on, or "ignore" it, where they
            are meant, as the logarithm of 0 may be.

    Raises:
        ValueError: `nan` is none of these.
        FloatingPointError: from an op or a backward pass inside the block: nan or infinity was born there.

    >>> import tapenet as tn
    >>> with tn.debug():
    ...     y = tn.tensor([1.0], requires_grad=True) * 2
    >>> y.node.line is not None
    True
    """

    def __init__(self, nan: Literal["raise", "warn", "ignore"] = "raise") -> None:
        if nan not in ("raise", "warn", "ignore"):
            raise ValueError(f"debug: nan={nan!r}; give 'raise', 'warn' or 'ignore'")
        self.nan = nan

    def __enter__(self) -> None:
        enter(self, debug=True, nan=self.nan)


def is_grad_enabled() -> bool:
    """Whether operations on tensors that need a gradient are being recorded in this thread."""
    return local.state.grad
