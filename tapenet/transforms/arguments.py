"""What a transformed function takes and gives: nested structures of tensors, as flat lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tapenet.autodiff import programs
from tapenet.autodiff.control.body import Flat
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.program.functions import Given
from tapenet.program.ir import Program
from tapenet.program.low import is_inexact
from tapenet.program.passes import dead
from tapenet.program.trees import Structure, flatten, placed, replaced
from tapenet.transforms.tracing import trace
from tapenet.typing import Array


class Arguments:
    """Trees that a function is given, as tensors and back.

    Attributes:
        trees: the arguments.
        leaves: their leaves, as tensors.
        structure: of the tuple of them.
    """

    def __init__(
        self, name: str, trees: Sequence[object], root: str = "args", paths: list[str] | None = None, hint: str = ""
    ) -> None:
        """Take arguments apart.

        Args:
            name: of the transformation, for errors.
            trees: the arguments.
            root: what to call the tuple of them, for errors.
            paths: what to call each leaf, instead.
            hint: what to do about a leaf that is no array.

        Raises:
            TypeError: a leaf is no array; names where it is.
        """
        self.trees = tuple(trees)
        found, self.structure = flatten(self.trees)
        self.paths = self.structure.paths(root) if paths is None else paths
        self.leaves: list[Tensor] = []
        for leaf, path in zip(found, self.paths, strict=True):
            try:
                self.leaves.append(leaf if type(leaf) is Tensor else asarray(leaf))
            except (TypeError, ValueError) as error:
                hint = hint or f"Close over what does not vary: tn.{name}(lambda x: f(x, ...), ...)"
                raise TypeError(
                    f"tn.{name}: {path} is {type(leaf).__name__}, not an array, a tensor or a number. {hint}"
                ) from error

    def calling(self, f: Callable[..., object]) -> Callable[[Sequence[Tensor]], object]:
        """The function as one of the list of leaves. What stands for a tree, such as a module, has these while it runs."""

        def call(values: Sequence[Tensor]) -> object:
            with placed(self.trees, values) as given:
                return f(*given)

        return call


class Results:
    """What a function gave when it was traced.

    Attributes:
        leaves: the tensors.
        aux: what it returned beside them.
        draws: whether it drew random numbers.
    """

    def __init__(self, name: str, has_aux: bool) -> None:
        self.name = name
        self.has_aux = has_aux
        self.aux: object = None
        self.draws = False
        self.leaves: list[Tensor] = []
        self._structure: Structure | None = None
        self._settled = False

    def flat(self, call: Callable[[Sequence[Tensor]], object]) -> Flat:
        """A function of a list of tensors (`Arguments.calling`) as one that returns such too."""

        def run(values: list[Tensor]) -> list[Tensor]:
            result = call(values)
            if self.has_aux:
                if not isinstance(result, tuple) or len(result) != 2:
                    raise TypeError(f"tn.{self.name}: with has_aux=True the function returns a pair (output, other)")
                result, aux = result
                if not self._settled:
                    self.aux = aux
            paths = flatten(result)[1].paths("output")
            found = Arguments(
                self.name, (result,), paths=paths, hint="Let the function return arrays and numbers alone"
            )
            self._structure = found.structure
            self.leaves = [Tensor._of(t._data, t._node, t._trace) for t in found.leaves]
            return self.leaves

        return run

    def trace(self, call: Callable[[Sequence[Tensor]], object], given: Sequence[Tensor]) -> tuple[Given, list[Tensor]]:
        """Run and record a function of a list of tensors.

        Returns:
            it, as a function of what it was given and of further tensors; and these.
        """
        flat = self.flat(call)
        seen: list[Tensor] = []  # the tensors in what is returned beside the results

        def see(leaf: object) -> object:
            if type(leaf) is Tensor and leaf._trace is not None:
                seen.append(leaf)
            return leaf

        def run(values: list[Tensor]) -> list[Tensor]:
            results = flat(values)
            replaced(see, self.aux)
            return [*results, *(Tensor._of(t._data, None, t._trace) for t in seen)]

        traced = trace(self.name, run, given)
        self.draws = bool(traced.draws)
        function, further = traced.function, traced.further()
        if seen:
            program, count = function.program(), len(self.leaves)
            results, others = (
                Program(program.inputs, [], program.body, outputs, [])
                for outputs in (program.outputs[:count], program.outputs[count:])
            )
            function = Given(self.name, results)
            made = programs.run(Given(self.name, dead.run(others)), [*given, *further])
            by_id = {id(t): m for t, m in zip(seen, made, strict=True)}
            self.aux = replaced(lambda leaf: by_id.get(id(leaf), leaf), self.aux)
        self._settled = True
        return function, further

    def build(self, values: Sequence[object]) -> object:
        """Values in the structure of the result."""
        assert self._structure is not None
        return self._structure.build(values)[0]

    def tangent(self, found: Sequence[Tensor]) -> object:
        """The tangents of the inexact results, in their structure; None for any other."""
        each = iter(found)
        return self.build([next(each) if is_inexact(t.dtype) else None for t in self.leaves])

    def split(self, outs: Sequence[Tensor]) -> tuple[object, ...]:
        """The results and their tangents, and what there is beside."""
        count = len(self.leaves)
        parts = self.build(outs[:count]), self.tangent(outs[count:])
        return (*parts, self.aux) if self.has_aux else parts


def fitting(value: object, like: Tensor, name: str, path: str, what: str) -> Tensor:
    """A tangent or gradient as a tensor of the dtype of what it belongs to.

    Raises:
        ValueError: it has another shape.
    """
    made = asarray(value)
    if made.shape != like.shape:
        raise ValueError(
            f"tn.{name}: {path} has shape {made.shape}, and the {what} there has {like.shape}: they must agree"
        )
    return made if made.dtype == like.dtype else made.astype(like.dtype)


def title_of(f: Callable[..., object]) -> str:
    """What to call what a transformation makes of a function: "{} of f", or "{}" where the function has no name."""
    name = getattr(f, "__name__", type(f).__name__)
    return "{}" if name == "<lambda>" else f"{{}} of {name}"


def zeros(like: Tensor) -> Tensor:
    """Zeros of the shape and dtype of a tensor."""
    return Tensor._of(np.zeros(like.shape, like.dtype))


def basis(shapes: Sequence[tuple[int, ...]], dtypes: Sequence[np.dtype]) -> list[Array]:
    """The unit vectors of a space of several arrays, stacked along a new first axis."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    total, begin, made = sum(sizes), 0, []
    for shape, dtype, size in zip(shapes, dtypes, sizes, strict=True):
        rows = np.eye(total, size, -begin, dtype).reshape(total, *shape).copy()
        rows.flags.writeable = False  # a constant, where this is compiled
        made.append(rows)
        begin += size
    return made
