"""Functions of unknowns, as functions of all that they are computed from: what they close over too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from tapenet.autodiff.creation import asarray
from tapenet.autodiff.node import next_number
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.state import enable_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.program.trees import Structure, flatten
from tapenet.transforms.checkpoint import Watch
from tapenet.transforms.recorded import Recording
from tapenet.transforms.whole_calls import Arguments, is_array


class Equation(Protocol):
    """A function of unknowns, and of all that it depends on."""

    def __call__(self, xs: Sequence[Tensor], inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> list[Tensor]:
        """Its values at some unknowns, with these in place of what it depends on."""
        ...


class Reading(NamedTuple):
    """What reading a function gives.

    Attributes:
        equation: the function. It holds no tensor.
        inputs: the tensors that it depends on and a gradient flows to.
        kept: what else it depends on.
        found: what it gave.
    """

    equation: Equation
    inputs: list[Tensor]
    kept: list[Tensor]
    found: list[Tensor]


def read(f: Callable[..., object], structure: Structure, xs: Sequence[Tensor], args: tuple[object, ...]) -> Reading:
    """A function of unknowns and further arguments, and of what it closes over.

    Args:
        f: the function.
        structure: of its first argument.
        xs: the unknowns, somewhere.
        args: the further arguments.
    """
    capture = capturing()
    if capture is None:
        plain = _Plain(f, structure, args)
        return Reading(plain, *plain.read(xs))
    first = len(capture.nodes)
    ends = [t.detach()._require() for t in xs]
    with capture.keeping():
        with enable_grad():
            found = tensors(f(structure.build(ends), *args))
        recording = Recording(None, capture, first, found)
    # By node: in a lifted function another handle stands for an unknown.
    unknown = [next((i for i, t in enumerate(ends) if t._node is entered._node), None) for entered in recording.inputs]
    inputs = [t for t, i in zip(recording.inputs, unknown, strict=True) if i is None]
    kept = recording.others
    recording.release()

    def equation(xs: Sequence[Tensor], inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> list[Tensor]:
        rest = iter(inputs)
        return recording.again([next(rest) if i is None else xs[i] for i in unknown], kept)

    return Reading(equation, inputs, kept, found)


def tensors(out: object) -> list[Tensor]:
    """The leaves of a result.

    Raises:
        TypeError: one is no array.
    """
    leaves, structure = flatten(out)
    for leaf, path in zip(leaves, structure.paths("the result"), strict=True):
        if not is_array(leaf) and not isinstance(leaf, (int, float, complex)):
            raise TypeError(f"{path} is {type(leaf).__name__}, not an array")
    return [asarray(leaf) for leaf in leaves]


class _Plain:
    """A function that runs as it is. Tensors that it closes over stand for others while it does."""

    def __init__(self, f: Callable[..., object], structure: Structure, args: tuple[object, ...]) -> None:
        self.f, self.structure = f, structure
        self.arguments = Arguments(args)
        self._closed: list[Tensor] = []

    def read(self, xs: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """What it depends on, and what it gives."""
        begin = next_number()
        watch = Watch(None, begin)
        ends = [t.detach()._require() for t in (*xs, *self.arguments.inputs)]
        with enable_grad(), watch.around():
            found = self._run(ends[: len(xs)], ends[len(xs) :], self.arguments.kept)
        nodes = watch.outside(found, ends)
        self._closed = [t for t in watch.closed.values() if t._node in nodes]
        inputs = [*self.arguments.inputs, *(Tensor._of(t._data, t._node) for t in self._closed)]
        return inputs, self.arguments.kept, found

    def _run(self, xs: Sequence[Tensor], inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> list[Tensor]:
        with self.arguments.given(inputs, kept) as given:
            return tensors(self.f(self.structure.build(xs), *given))

    def __call__(self, xs: Sequence[Tensor], inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> list[Tensor]:
        count = len(self.arguments.inputs)
        before = [(t, t._data, t._node) for t in self._closed]
        try:
            for t, other in zip(self._closed, inputs[count:], strict=True):
                t._data, t._node = other._data, other._node
            return self._run(xs, inputs[:count], kept)
        finally:
            for t, data, node in before:
                t._data, t._node = data, node
