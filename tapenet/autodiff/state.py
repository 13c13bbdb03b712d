"""The switches of a thread, the layers that are on in it, and the blocks that set both."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import ContextDecorator
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.autodiff.node import Leaf, Node, Scope
from tapenet.ops.op import Op

if TYPE_CHECKING:
    from asyncio import Task

#: Runs a call of an op, and a node's rules on the gradient of its output.
CallStep = Callable[[Any], object]
PullStep = Callable[[Node, Any, Any], None]


class Layer:
    """What is around each call and each pull while it is on: a profile, debug mode, autocast, a tape.

    A layer is given the step below it and gives the one to use in its place. Those that are on lie around each other by
    `rank`, the lowest outermost. A tape is also told what is read and written.
    """

    __slots__ = ()
    rank = 0
    #: Whether backward passes are recorded as ops too, and asking a recorded value for its number is an error.
    captures = False
    #: Whether what runs is looked at and no more: optimizers take no step, and a graph lasts for another backward pass.
    rehearses = False
    #: Whether it looks at values, for which gradients are kept as arrays.
    looks = False

    def call(self, step: CallStep) -> CallStep:
        """What runs a call in place of `step`."""
        return step

    def quick(self, op: Op) -> Callable[..., object] | None:
        """A call of an op, given it and its arguments, that does for plain arguments what `call` does, where no other layer
        is on."""
        return None

    def pull(self, step: PullStep) -> PullStep:
        """What runs a node's rules in place of `step`."""
        return step

    def leaves(self, gradients: list[tuple[Node, Any]]) -> None:
        """Called before gradients are added to those of leaves."""

    def reads(self, tensor: Any, what: str, hint: str) -> None:
        """Called before the value of a tensor leaves the graph, by `what`."""

    def writes(self, tensor: Any, value: Any, by: str) -> bool:
        """Called before the storage of a tensor is written in place by `by`; True where this layer did so itself."""
        return False

    def rebinds(self, tensor: Any, by: str, hint: str) -> None:
        """Called before a tensor that stores nothing comes to stand for another value."""

    def detaches(self, made: Any, tensor: Any) -> None:
        """Called where `made` shares the array of a tensor, outside the graph."""

    def requires_grad(self, tensor: Any) -> None:
        """Called before a tensor begins or ceases to need a gradient."""

    def reads_grad(self, leaf: Leaf, *, user: bool = False) -> None:
        """Called before a leaf's gradient is read, by the user or the package."""

    def sets_grad(self, leaf: Leaf, *, adds: bool = False, clears: bool = False) -> None:
        """Called before a leaf's gradient is added to, set to None, or replaced."""

    def unsupported(self, name: str) -> Exception | None:
        """The error for a function `name` of NumPy's that no op stands for, if it is another one while this is on."""
        return None

    def records(self, node: Node) -> None:
        """Called with a node that is made beside those of calls."""

    def failed(self, node: Node, error: Exception, roots: tuple[Node, ...]) -> None:
        """Called where a node's rules failed in a backward pass from the roots."""

    def fails(self, why: str) -> None:
        """Called where something happens that a replay could not repeat."""


class State:
    """A thread's switches. `fast` says that no layer is on: then an op's generated call runs, else the general recorder."""

    __slots__ = (
        "autocast", "debug", "ended", "fast", "grad", "layers", "left", "nan", "porting", "profile", "rule", "scope", "tape",
        "undo", "view",
    )  # fmt: skip

    def __init__(self) -> None:
        #: What the blocks that are open changed, to be set back as they end: each block, names and values of before.
        self.undo: list[tuple[object, dict[str, object]]] = []
        self.scope = Scope(None, None)
        self.grad = True
        #: What is around each call, the outermost first.
        self.layers: tuple[Layer, ...] = ()
        self.fast = True
        #: The layer that is a tape, and that which is a profile.
        self.tape: Any = None
        self.profile: Any = None
        #: The tape that watches the nodes of the thread, once it was asked for.
        self.view: Any = None
        #: Whether nodes keep the line of user code that made them.
        self.debug = False
        #: What `tn.debug` does where nan or infinity is born; None outside it, and while gradient rules run.
        self.nan: str | None = None
        #: The low type that products take inside `tn.autocast`; else None.
        self.autocast: np.dtype[Any] | None = None
        #: Inside `tn.testing.porting`: what it found, as texts.
        self.porting: list[str] | None = None
        #: The node whose gradient rule is being recorded, for derivatives of higher order.
        self.rule: Node | None = None
        #: While a function runs that is being differentiated: the nodes of whose values a Python number was made, by the
        #: line that did it.
        self.left: dict[tuple[str, int], set[Node]] | None = None
        #: The last op that was given a tensor with a gradient and whose result has none, since the last `backward`.
        self.ended: Op | None = None

    def copy(self) -> State:
        """The same switches, with no block open."""
        made = State.__new__(State)
        for name in State.__slots__:
            setattr(made, name, getattr(self, name))
        made.undo = []
        return made

    def layered(self, kind: type[Layer], *layers: Layer) -> tuple[Layer, ...]:
        """The layers that are on, with these in the place of those of a kind."""
        others = [each for each in self.layers if not isinstance(each, kind)]
        return tuple(sorted([*others, *layers], key=lambda each: each.rank))

    def begin(self, block: object, **switches: object) -> None:
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

    def _set(self, switches: Mapping[str, object]) -> None:
        for name, value in switches.items():
            setattr(self, name, value)
        self.fast = not self.layers

    def now(self) -> tuple[int, dict[str, object]]:
        """All switches as they are, for `again`."""
        return len(self.undo), {name: getattr(self, name) for name in self.__slots__ if name != "undo"}

    def again(self, now: tuple[int, dict[str, object]]) -> None:
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

    __slots__ = ("own", "thread")

    def __init__(self, thread: State) -> None:
        self.thread = thread
        self.own: weakref.WeakKeyDictionary[Task[Any], State] = weakref.WeakKeyDictionary()

    def _now(self) -> State:
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
            local.state = self.thread


def _running_task() -> Task[Any] | None:
    """The task of asyncio's that is running in this thread; None if there is none."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:
        return None
    task: Task[Any] | None = asyncio.current_task()
    return task


def enter(block: object, **switches: object) -> None:
    """Set switches for a block of the user's, until `leave`. Called by the `__enter__` of a context manager."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and not (suspended := frame.f_code.co_flags & _SUSPENDED):
        if not frame.f_globals.get("__name__", "").startswith(_OF_BLOCKS):
            break
        frame = frame.f_back
    # What is no coroutine cannot be left before its blocks end.
    task = _running_task() if frame is not None and suspended else None
    if task is not None:
        tasks: object = local.state
        if not isinstance(tasks, _Tasks):
            tasks = _Tasks(local.state)
            local.state = tasks  # type: ignore[assignment]  # it stands for one
        if task not in tasks.own:
            tasks.own[task] = tasks.thread.copy()
    local.state.begin(block, **switches)


def leave(block: object) -> None:
    """Set back what `enter` changed. Who is interrupted may call it again."""
    local.state.end(block)


#: Flags of the code of coroutines and asynchronous generators.
_SUSPENDED = 0x80 | 0x200
#: Modules whose functions open blocks for others.
_OF_BLOCKS = (__name__.partition(".")[0] + ".", "contextlib")


# -- blocks ------------------------------------------------------------------------------------------------------


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
            async def run(*args: object, **kwargs: object) -> object:
                with self:
                    return await function(*args, **kwargs)

            return run
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        def generate(*args: object, **kwargs: object) -> Any:
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

    def __init__(self, **switches: object) -> None:
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
