"""The switches of a thread, the layers that are on in it, and the blocks that set both."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

from tapenet.autodiff.node import Node, Scope
from tapenet.autodiff.observe.layer import Layer
from tapenet.ops import blocks
from tapenet.ops.op import Op
from tapenet.typing import DType


class Site(NamedTuple):
    """A line of the user's where values leave a graph, and by what; "" where a Python number was made."""

    file: str
    line: int
    what: str = ""


class State(blocks.Switches):
    """A thread's switches. `fast` says that no layer is on: then an op's generated call runs, else the general recorder."""

    __slots__ = (
        "autocast", "debug", "ended", "fast", "grad", "last", "layers", "left", "lifted", "log", "nan", "porting", "profile",
        "rule", "scope", "tape", "view",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.scope = Scope(None, None)
        #: The scope of the module whose call ended last.
        self.last: Scope | None = None
        self.grad = True
        #: What is around each call, the outermost first.
        self.layers: tuple[Layer, ...] = ()
        self.fast = True
        #: The layer that is a tape, and that which is a profile.
        self.tape: Any = None
        self.profile: Any = None
        #: The profile, where it is the only layer: the usual code of calls and passes enters there what ran.
        self.log: Any = None
        #: The tape that watches the nodes of the thread, once it was asked for.
        self.view: Any = None
        #: Whether nodes keep the line of user code that made them.
        self.debug = False
        #: What `tn.debug` does where nan or infinity is born; None outside it, and while gradient rules run.
        self.nan: str | None = None
        #: The low type that products take inside `tn.autocast`; else None.
        self.autocast: DType | None = None
        #: While a lifted function runs: what its views share (`aliasing.Lifted`).
        self.lifted: Any = None
        #: Inside `tn.testing.porting`: what it found, as texts.
        self.porting: list[str] | None = None
        #: The node whose gradient rule is being recorded, for derivatives of higher order.
        self.rule: Node | None = None
        #: While a function runs that is being differentiated: the nodes whose values left the graph, by the line that did it.
        self.left: dict[Site, set[Node]] | None = None
        #: The last op that was given a tensor with a gradient and whose result has none, since the last `backward`.
        self.ended: Op | None = None

    def layered(self, kind: type[Layer], *layers: Layer) -> tuple[Layer, ...]:
        """The layers that are on, with these, which are ordered by rank, in the place of those of a kind."""
        if not self.layers:
            return layers
        others = [each for each in self.layers if not isinstance(each, kind)]
        return tuple(sorted([*others, *layers], key=lambda each: each.rank))

    def _settle(self) -> None:
        self.fast = not self.layers
        self.log = self.profile if self.layers == (self.profile,) else None


class _Local(threading.local):
    def __init__(self) -> None:
        self.state = State()


local = _Local()


# -- blocks ------------------------------------------------------------------------------------------------------


def enter(block: object, **switches: object) -> None:
    """Set switches for a block of the user's, until `leave`. Called by the `__enter__` of a context manager."""
    blocks.enter(local, block, switches)


def leave(block: object) -> None:
    """Set back what `enter` changed. Who is interrupted may call it again."""
    local.state.end(block)


class Switch(blocks.Block):
    """Sets one of the thread's switches for the duration of a block, also when the block raises."""

    name: str
    value: bool

    def __enter__(self) -> None:
        enter(self, **{self.name: self.value})

    def leave(self) -> None:
        leave(self)


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
