"""A function on its way to a matrix of derivatives: run once and recorded, with what it takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.program.differentiating import NoDerivative
from tapenet.program.functions import Function, Given
from tapenet.program.ir import Builder, Constant, Program, substitute
from tapenet.program.low import is_float, is_inexact
from tapenet.program.passes import dead
from tapenet.program.trees import Mismatch, flatten
from tapenet.transforms.arguments import Arguments, Results, fitting, title_of
from tapenet.transforms.gradients import vjp
from tapenet.transforms.over_ranks import several
from tapenet.transforms.run import places
from tapenet.transforms.tracing import trace
from tapenet.typing import Ranks, Shape

Argnums = int | Sequence[int]


class Differentiated:
    """A function on its way to a matrix of derivatives."""

    def __init__(
        self,
        name: str,
        f: Callable[..., object],
        argnums: Argnums,
        args: Sequence[object],
        kwargs: dict[str, object],
        has_aux: bool,
    ) -> None:
        self.name = name
        #: Whether the gradient was recorded from a backward pass, and so may be another at other values.
        self.recorded = False
        self.title = title_of(f)
        numbers, self.single, positional, named = places(name, f, argnums, tuple(args), kwargs)
        chosen = tuple(positional[i] for i in numbers)
        self.chosen = chosen
        arguments = Arguments(name, chosen)
        self.given, self.structure = arguments.leaves, arguments.structure
        if not all(is_inexact(t.dtype) for t in self.given):
            paths = [path for n in numbers for path in flatten(positional[n])[1].paths(f"argument {n}")]
            path, dtype = next((p, t.dtype) for p, t in zip(paths, self.given, strict=True) if not is_inexact(t.dtype))
            raise TypeError(
                f"tn.{name}: {path} holds {dtype}, which has no derivative: pass floats, or leave it out of argnums"
            )
        self.results = Results(name, has_aux)

        def call(*values: object) -> object:
            full = list(positional)
            for i, v in zip(numbers, values, strict=True):
                full[i] = v
            return f(*full, **named)

        calling = arguments.calling(call)
        self._flat = self.results.flat(calling)
        self.function: Function
        self.function, self._further = self.results.trace(calling, self.given)

    def arguments(self) -> list[Tensor]:
        """What the traced function takes."""
        return [*self.given, *self._further]

    def splits(self, over: Ranks | None) -> None:
        """Check that ranks may each compute a part.

        Raises:
            RuntimeError: the function draws random numbers.
        """
        if self.results.draws and several(over, self.name):
            raise RuntimeError(
                f"tn.{self.name}: the function draws random numbers, each rank its own: draw outside, and pass them"
            )

    def by_argument(self, values: Sequence[object]) -> object:
        """Values in the structure of the arguments."""
        made = self.structure.build(values)
        return made[0] if self.single else made

    def vectors(self, v: object) -> list[Tensor]:
        """The leaves of a vector structured as the arguments."""
        try:
            form = flatten(self.chosen[0] if self.single else self.chosen)[1]
            found = form.take(v, "v", ("the argument", "the vector"))
        except Mismatch as error:
            raise ValueError(f"tn.{self.name}: the vector is structured as the argument, and {error}") from None
        return [
            fitting(t, like, self.name, path, "argument")
            for t, like, path in zip(found, self.given, form.paths("v"), strict=True)
        ]

    @staticmethod
    def spaces(values: Sequence[Tensor]) -> tuple[list[Shape], list[np.dtype]]:
        """Shapes and dtypes."""
        return [t.shape for t in values], [t.dtype for t in values]

    def gradient(self, with_value: bool = False) -> Function:
        """The function that gives the gradient of a scalar, after the value where that is asked for."""
        if any(t.dtype.kind == "c" for t in self.given):
            raise TypeError(
                f"tn.{self.name}: second derivatives are those by real numbers, and an argument is complex: give its real "
                "and its imaginary part as two arguments"
            )
        outs = self.results.leaves
        alone = len(outs) == 1 and self.results.build(outs) is outs[0]
        if not alone or outs[0].size != 1 or not is_float(outs[0].dtype):
            told = ", ".join(f"{t.dtype} {t.shape}" for t in outs) + ("" if alone else " in a container")
            raise ValueError(
                f"tn.{self.name}: the function returned {told or 'nothing'}, but second derivatives are those of one real "
                "number: reduce it, for instance with .sum(), or use tn.jacobian"
            )
        count = len(self.function.inputs)
        try:
            pulled = self.function.pull(range(len(self.given)))
        except NoDerivative:
            return self.recorded_gradient(with_value)
        seed = pulled.inputs[count]
        made = substitute(pulled, {seed: Constant(np.ones(seed.shape, seed.dtype))})
        program = Program(pulled.inputs[:count], [], made.body, made.outputs, [])
        if with_value:
            program = _both(self.function, program)
        return Given(self.title.format("gradient"), program)

    def recorded_gradient(self, with_value: bool) -> Function:
        """The same, recorded from a backward pass, whose rules may look at values."""

        def recorded(values: list[Tensor]) -> list[Tensor]:
            outs, pull = vjp(lambda *given: self._flat(list(given)), *values)
            gradients = pull([Tensor._of(np.ones(outs[0].shape, outs[0].dtype))])
            found = list(gradients) if isinstance(gradients, tuple) else [gradients]
            return [*outs, *found] if with_value else found

        traced = trace(self.name, recorded, self.given)
        self._further = traced.further()
        self.recorded = True
        program = dead.run(traced.function.program())  # of the forward only what the gradient needs is differentiated
        return Given(self.title.format("gradient"), program)


def _both(function: Function, gradient: Program) -> Program:
    """The outputs of a function, then those of a program of the same inputs."""
    builder = Builder()
    outs = builder.several("apply", *gradient.inputs, function=function)
    return Program(gradient.inputs, [], [*builder.body, *gradient.body], [*outs, *gradient.outputs], [])
