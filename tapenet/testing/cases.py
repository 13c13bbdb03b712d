"""One call of an op, as a function of the arrays by which it is differentiated."""

from __future__ import annotations

import copy
import inspect
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.ops import random
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op
from tapenet.ops.registry import Sample
from tapenet.program.trees import flatten, tree_map
from tapenet.testing.gradients import floats, in_float64, is_float
from tapenet.typing import Array


class Case:
    """A call of an op. Called with arrays or tensors in the place of `points`, it is the op.

    Attributes:
        op: the op.
        args, options: the arguments of the call.
        given: the arrays by which it is differentiated.
        points: these in float64 or complex128.
        others: the other arrays among the inputs.
        whats: what each of them is called, such as "'x'", or "'arrays[1]'" for a part of a sequence.
        inputs: the argument that each of them belongs to.
    """

    def __init__(self, op: Op | Derived, call: Sample, meant: Callable[..., object] | None = None) -> None:
        self.op = op
        self._meant = meant
        self.args, self.options = call
        self.random = isinstance(op, Op) and op.random
        self.given: list[Array] = []
        self.whats: list[str] = []
        self.inputs: list[str] = []
        self.others: list[Array] = []
        self._chosen: list[int] = []
        self._rest: list[int] = []
        at = 0
        for name, value in self.arguments().items():
            leaves, structure = flatten(value)
            paths = structure.paths(name)
            for i, leaf in enumerate(leaves):
                if is_float(leaf) and self._flows(name):
                    self.given.append(leaf)
                    self.whats.append(repr(paths[i]))
                    self.inputs.append(name)
                    self._chosen.append(at + i)
                elif isinstance(leaf, np.ndarray) and (name not in self.options or self._flows(name)):
                    self.others.append(leaf)
                    self._rest.append(at + i)
            at += len(leaves)
        self.points = [np.asarray(in_float64(leaf)) for leaf in self.given]

    def _flows(self, name: str) -> bool:
        if isinstance(self.op, Op):
            return name in self.op.differentiable
        return self.op.differentiable and name not in self.options

    def arguments(self) -> dict[str, object]:
        """What is given, by the arguments' names, in the order of the call."""
        return self.by_name(self.args, self.options)

    def by_name(self, args: Sequence[object], options: Mapping[str, object]) -> dict[str, object]:
        """The arguments of a call by their names, in its order."""
        names: list[str] = []
        if isinstance(self.op, Op):
            for argument in self.op.arguments:
                if argument.starred:
                    args = (*args[: len(names)], tuple(args[len(names) :]))
                if not argument.keyword_only:
                    names.append(argument.name)
        else:
            parameters = inspect.signature(self.op.function).parameters.values()
            names += [p.name for p in itertools.takewhile(lambda p: p.kind is not p.VAR_POSITIONAL, parameters)]
        names += [f"argument {i}" for i in range(len(names), len(args))]
        return {**dict(zip(names, args, strict=False)), **options}

    def filled(
        self, parts: Sequence[object], others: Sequence[object] | None = None
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """The arguments with other values in the place of `given`, and of `others`."""
        chosen = dict(zip(self._chosen, parts, strict=True))
        if others is not None:
            chosen |= zip(self._rest, others, strict=True)
        count = itertools.count()

        def fill(leaf: object) -> object:
            at = next(count)
            return chosen[at] if at in chosen else _fresh(leaf)

        args, options = tree_map(fill, (tuple(self.args), dict(self.options)))
        return args, options

    def having(self, others: Sequence[object]) -> Case:
        """The same call with others in the place of `others`."""
        made = copy.copy(self)
        made.args, made.options = self.filled(self.points, others)
        return made

    def seed(self) -> None:
        """Begin the process's generator anew, for an op that draws from it."""
        if self.random:
            random.seed(0)

    def __call__(self, *parts: object) -> object:
        args, options = self.filled(parts)
        self.seed()
        return self.op.returning(*args, **options)

    def meant(self, *parts: object) -> object:
        """What has the gradient that the op should have: the op itself, if nothing else is said."""
        if self._meant is None:
            return self(*parts)
        args, options = self.filled(parts)
        return self._meant(*args, **options)

    def floats(self, *parts: object) -> list[Tensor]:
        """The results through which a gradient flows."""
        return floats(self(*parts))

    def at(self, points: Sequence[Array]) -> Case:
        """The same call with others in the place of the arrays by which it is differentiated."""
        return Case(self.op, Sample(*self.filled(points)), self._meant)

    def moved(self, by: int) -> list[Array]:
        """Points and others, floats so little away that they stay in the domain of the op and on one side of each kink."""
        others = [np.asarray(in_float64(a)) for a in self.others]
        return [np.asarray(a * (1 - 0.003 * by)) if is_float(a) else a for a in (*self.points, *others)]

    @property
    def words(self) -> str:
        """The call in short."""

        def brief(value: object) -> object:
            return f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else value

        return f"{', '.join(str(tree_map(brief, a)) for a in self.args)} {self.options or ''}"


def _fresh(leaf: object) -> object:
    """A generator of random numbers as it is before the call: each call draws the same."""
    numpy_random = sys.modules.get("numpy.random")
    return copy.deepcopy(leaf) if numpy_random and isinstance(leaf, numpy_random.Generator) else leaf
