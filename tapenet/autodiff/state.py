"""The switches of a thread, and the blocks that set them."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import weakref
from contextlib import ContextDecorator
from types import FrameType
from typing import Any

import numpy as np

from tapenet.autodiff.node import Node, Scope
from tapenet.ops.op import Op


class State:
    """A thread's switches. `fast` is false where an op's usual code does not do: the general recorder must run (a
    scoped tape, debug mode, autocast), or the same code with clocks: `timed` is the profile that these tell, if there
    is one and nothing else."""

    __slots__ = (
        "autocast",
        "debug",
        "ended",
        "fast",
        "grad",
        "left",
        "nan",
        "porting",
        "profile",
        "rule",
        "scope",
        "tape",
        "timed",
        "undo",
        "view",
    )

    def __init__(self) -> None:
        #: What the blocks that are open changed, to be set back as they end: each block, names and values of before.
        self.undo: list[tuple[object, dict[str, Any]]] = []
        self.scope = Scope(None, None)
        self.tape: Any = None
        #: The tape that watches the nodes of the thread, once it was asked for.
        self.view: Any = None
        self.grad = True
        self.debug = False
        #: The low type that products take inside `tn.autocast`; else None.
        self.autocast: np.dtype[Any] | None = None
        #: What `tn.debug` does where nan or infinity is born; None outside it, and while gradient rules run.
        self.nan: str | None = None
        #: Inside `tn.testing.porting`: what it found, as texts.
        self.porting: list[str] | None = None
        self.profile: Any = None
        #: The node whose gradient rule is being recorded, for derivatives of higher order.
        self.rule: Node | None = None
        #: While a function runs that is being differentiated: the nodes of whose values a Python number was made, by the
        #: line that did it.
        self.left: dict[tuple[str, int], set[Node]] | None = None
        #: The last op that was given a tensor with a gradient and whose result has none, since the last `backward`.
        self.ended: Op | None = None
        self.fast = True
        self.timed: Any = None

    def copy(self) -> State:
        """The same switches, with no block open."""
        made = State.__new__(State)
        for name in State.__slots__:
            setattr(made, name, getattr(self, name))
        made.undo = []
        return made

    def begin(self, block: object, **switches: Any) -> None:
        """Set switches until the `end` of this block. Here and not in the context managers, which two threads may share."""
        depth = len(self.undo)
        try:
            self.undo.append((block, {name: getattr(self, name) for name in switches}))
            self._set(switches)
        except BaseException:  # an interrupt: the block is not entered
            self._back(depth)
            raise

    def end(self, block: object) -> None:
        """Set back what `begin` changed for this block, and for those inside that an interrupt kept from doing so. Nothing
        happens if that is done: who is interrupted may call this again."""
        for depth in reversed(range(len(self.undo))):
            if self.undo[depth][0] is block:
                self._back(depth)
                return

    def _back(self, depth: int) -> None:
        while len(self.undo) > depth:
            self._set(self.undo[-1][1])
            self.undo.pop()  # only now: it can be done twice

    def _set(self, switches: dict[str, Any]) -> None:
        for name, value in switches.items():
            setattr(self, name, value)
        profile = self.profile
        usual = self.tape is None and not self.debug and self.autocast is None
        self.fast = usual and profile is None
        self.timed = profile if usual and profile is not None and profile.watch is None else None

    def now(self) -> tuple[int, dict[str, Any]]:
        """All switches as they are, for `again`."""
        return len(self.undo), {name: getattr(self, name) for name in self.__slots__ if name != "undo"}

    def again(self, now: tuple[int, dict[str, Any]]) -> None:
        """Set all switches back. An interrupt in the wrong place keeps a block from doing so for its own."""
        del self.undo[now[0] :]
        self._set(now[1])


class _Local(threading.local):
    def __init__(self) -> None:
        self.state = State()


local = _Local()


# -- blocks in coroutines ----------------------------------------------------------------------------------------


class _Tasks:
    """Stands for a thread's state while tasks of asyncio have blocks open, each with a state of its own: what one of them
    sets must not hold for another that runs while it waits. Slow, which only coroutines pay for."""

    __slots__ = ("own", "plain")

    def __init__(self, plain: State) -> None:
        self.plain = plain
        self.own: weakref.WeakKeyDictionary[Any, State] = weakref.WeakKeyDictionary()

    def _now(self) -> State:
        task = _running_task()
        return self.plain if task is None else self.own.get(task, self.plain)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._now(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _Tasks.__slots__:
            object.__setattr__(self, name, value)
        else:
            setattr(self._now(), name, value)

    def end(self, block: object) -> None:
        """Set back what `begin` changed for a block of the running task; the last task to do so leaves the state as it was."""
        state = self._now()
        state.end(block)
        if state is not self.plain and not state.undo:
            self.own.pop(_running_task(), None)
        if not self.own:
            local.state = self.plain


def _running_task() -> Any:
    """The task of asyncio's that is running in this thread; None if there is none."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:
        return None
    return asyncio.current_task()


def enter(block: object, **switches: Any) -> None:
    """Set switches for a block of the user's, until `leave`. Called by the `__enter__` of a context manager."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and not (suspended := frame.f_code.co_flags & _SUSPENDED):
        if not frame.f_globals.get("__name__", "").startswith(_OF_BLOCKS):
            break
        frame = frame.f_back
    # What is no coroutine cannot be left before its blocks end.
    task = _running_task() if frame is not None and suspended else None
    if task is not None:
        tasks: Any = local.state
        if type(tasks) is not _Tasks:
            tasks = _Tasks(tasks)
            local.state = tasks
        if task not in tasks.own:
            tasks.own[task] = tasks.plain.copy()
    local.state.begin(block, **switches)


def leave(block: object) -> None:
    """Set back what `enter` changed. Who is interrupted may call it again."""
    local.state.end(block)


#: Flags of the code of coroutines and asynchronous generators.
_SUSPENDED = 0x80 | 0x200
#: Modules whose functions open blocks for others.
_OF_BLOCKS = (__name__.partition(".")[0] + ".", "contextlib")


class Switch(ContextDecorator):
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


class switched(Switch):
    """Sets any switches of the thread for the duration of a block."""

    def __init__(self, **switches: Any) -> None:
        self.switches = switches

    def __enter__(self) -> None:
        local.state.begin(self, **self.switches)


class no_grad(Switch):
    """Record nothing for gradients inside the block (or the decorated function).

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0], requires_grad=True)
    >>> with tn.no_grad():
    ...     (w * 2).requires_grad
    False
    """

    name, value = "grad", False


class enable_grad(Switch):
    """Record for gradients again inside a `no_grad` block.

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0], requires_grad=True)
    >>> with tn.no_grad(), tn.enable_grad():
    ...     (w * 2).requires_grad
    True
    """

    name, value = "grad", True


def is_grad_enabled() -> bool:
    """Whether operations on tensors that need a gradient are being recorded in this thread."""
    return local.state.grad
