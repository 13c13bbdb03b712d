"""What a layer around calls and pulls may do: the interface of all that observes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapenet.autodiff.node import BaseTensor, Leaf, Node
from tapenet.ops.op import Op
from tapenet.typing import Array

#: Runs a call of an op, and a node's rules on the gradient of its output.
CallStep = Callable[..., object]
PullStep = Callable[[Node, Array, Any], None]


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

    def leaves(self, gradients: list[tuple[Node, Array]]) -> None:
        """Called before gradients are added to those of leaves."""

    def reads(self, tensor: BaseTensor, what: str, hint: str) -> None:
        """Called before the value of a tensor leaves the graph, by `what`."""

    def writes(self, tensor: Any, value: object, by: str) -> bool:
        """Called before the storage of a tensor is written in place by `by`; True where this layer did so itself."""
        return False

    def rebinds(self, tensor: BaseTensor, by: str, hint: str) -> None:
        """Called before a tensor that stores nothing comes to stand for another value."""

    def detaches(self, made: Any, tensor: Any) -> None:
        """Called where `made` shares the array of a tensor, outside the graph."""

    def opens(self, tensor: Any) -> None:
        """Called before another handle comes to stand for a tensor inside of a lifted function."""

    def requires_grad(self, tensor: BaseTensor) -> None:
        """Called before a tensor begins or ceases to need a gradient."""

    def reads_grad(self, leaf: Leaf, *, user: bool = False) -> None:
        """Called before a leaf's gradient is read, by the user or the package."""

    def sets_grad(self, leaf: Leaf, *, adds: bool = False, clears: bool = False) -> None:
        """Called before a leaf's gradient is added to, set to None, or replaced."""

    def changes_grad(self, leaf: Leaf, made: BaseTensor, by: str = "backward()") -> bool:
        """Called with what a leaf's gradient is to become in place, and by what: whether all that hold the gradient hold that
        now."""
        return False

    def unsupported(self, name: str) -> Exception | None:
        """The error for a function `name` of NumPy's that no op stands for, if it is another one while this is on."""
        return None

    def records(self, node: Node) -> None:
        """Called with a node that is made beside those of calls."""

    def released(self, node: Node) -> None:
        """Called when what a node has saved was used for the last time, where rules run on tensors."""

    def failed(self, node: Node, error: Exception, roots: tuple[Node, ...]) -> None:
        """Called where a node's rules failed in a backward pass from the roots."""

    def fails(self, why: str) -> None:
        """Called where something happens that a replay could not repeat."""


#: Layers that are on in the backward passes of every thread, and in nothing else.
of_backward: list[Layer] = []
