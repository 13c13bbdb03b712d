"""Switches that hold for a block: of a thread, or of a task of asyncio's."""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from collections.abc import Generator, Mapping
from contextlib import ContextDecorator
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from asyncio import Task


class Switches:
    """Attributes that blocks set, and set back as they end."""

    __slots__ = ("undo",)

    def __init__(self) -> None:
        #: What the blocks that are open changed, to be set back as they end: each block, names and values of before.
        self.undo: list[tuple[object, dict[str, object]]] = []

    @classmethod
    def _names(cls) -> list[str]:
        return [name for kind in cls.__mro__ for name in getattr(kind, "__slots__", ()) if name != "undo"]

    def copy(self) -> Self:
        """The same switches, with no block open."""
        made = type(self).__new__(type(self))
        for name in self._names():
            setattr(made, name, getattr(self, name))
        made.undo = []
        return made

    def begin(self, block: object, **switches: object) -> None:
        """Set switches until the `end` of this block. Here and not in the context managers, which two threads may share."""
        depth = len(self.undo)
        try:
            before: dict[str, object] = {}
            self.undo.append((block, before))
            for name, value in switches.items():
                before[name] = getattr(self, name)
                setattr(self, name, value)
            self._settle()
        except BaseException:  # an interrupt: the block is not entered
            self._back(depth)
            raise

    def end(self, block: object) -> None:
        """Set back what `begin` changed for this block, and for blocks inside it that an interrupt kept from ending. May
        be called again after an interrupt."""
        undo = self.undo
        for depth in range(len(undo) - 1, -1, -1):
            if undo[depth][0] is block:
                self._back(depth)
                return

    def _back(self, depth: int) -> None:
        while len(self.undo) > depth:
            for name, value in self.undo[-1][1].items():
                setattr(self, name, value)
            self._settle()
            self.undo.pop()  # only now: it can be done twice

    def _settle(self) -> None:
        """Called after switches were set."""

    def now(self) -> tuple[int, dict[str, object]]:
        """All switches as they are, for `again`."""
        return len(self.undo), {name: getattr(self, name) for name in self._names()}

    def again(self, now: tuple[int, dict[str, object]]) -> None:
        """Set all switches back. For blocks that an interrupt kept from doing so themselves."""
        del self.undo[now[0] :]
        for name, value in now[1].items():
            setattr(self, name, value)


# -- blocks in coroutines ----------------------------------------------------------------------------------------


class _Tasks:
    """Stands for a thread's state while tasks of asyncio have blocks open, each with a state of its own: a switch that
    one task sets must not change another that runs meanwhile. This is slow, and only coroutines pay for it."""

    __slots__ = ("local", "own", "thread")

    def __init__(self, local: Any) -> None:
        self.local = local
        self.thread: Switches = local.state
        self.own: weakref.WeakKeyDictionary[Task[object], Switches] = weakref.WeakKeyDictionary()

    def _now(self) -> Switches:
        task = _running_task()
        return self.thread if task is None else self.own.get(task, self.thread)

    def __getattr__(self, name: str) -> object:
        return getattr(self._now(), name)

    def __setattr__(self, name: str, value: object) -> None:
        if name in _Tasks.__slots__:
            object.__setattr__(self, name, value)
        else:
            setattr(self._now(), name, value)

    def end(self, block: object) -> None:
        """Set back what `begin` changed for a block of the running task; the last task to do so leaves the state as it was."""
        state = self._now()
        state.end(block)
        task = _running_task()
        if task is not None and state is not self.thread and not state.undo:
            self.own.pop(task, None)
        if not self.own:
            self.local.state = self.thread


def _running_task() -> Any:
    """The task of asyncio's that is running in this thread; None if there is none."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:
        return None
    return asyncio.current_task()


def enter(local: Any, block: object, switches: Mapping[str, object]) -> None:
    """Set switches of the state of a thread (`local.state`), or of the task of asyncio's that is running in it."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and not (suspended := frame.f_code.co_flags & _SUSPENDED):
        if not frame.f_globals.get("__name__", "").startswith(_OF_BLOCKS):
            break
        frame = frame.f_back
    # Only a coroutine can be left before its blocks end.
    task = _running_task() if frame is not None and suspended else None
    if task is not None:
        tasks = local.state
        if not isinstance(tasks, _Tasks):
            tasks = local.state = _Tasks(local)
        if task not in tasks.own:
            tasks.own[task] = tasks.thread.copy()
    local.state.begin(block, **switches)


#: Flags of the code of coroutines and asynchronous generators.
_SUSPENDED = 0x80 | 0x200
#: Modules whose functions open blocks for others.
_OF_BLOCKS = (__name__.partition(".")[0] + ".", "contextlib")


class Block(ContextDecorator):
    """A block that sets switches, also when it raises; or decorates a function, a generator or a coroutine with it."""

    def __enter__(self) -> None:
        raise NotImplementedError

    def leave(self) -> None:
        """Set back what `__enter__` changed. May be called again."""
        raise NotImplementedError

    def __exit__(self, *exc: object) -> None:
        try:
            self.leave()
        except BaseException:  # an interrupt
            self.leave()
            raise

    def __call__(self, function: Any) -> Any:
        if inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{type(self).__name__} does not decorate the asynchronous generator {function.__qualname__}: use the block "
                "inside of it, around what lies between two yields"
            )
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def run(*args: object, **kwargs: object) -> object:
                with self:
                    return await function(*args, **kwargs)

            return run
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        def generate(*args: object, **kwargs: object) -> Generator[object, object, object]:
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
