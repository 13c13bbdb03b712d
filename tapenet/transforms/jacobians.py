"""Jacobians and Hessians: one batched pass over the unit vectors of the arguments, or of the results."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from tapenet.autodiff import programs
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.program.differentiating import NoDerivative
from tapenet.program.functions import Function, Given
from tapenet.program.ir import Builder, Constant, Program, substitute
from tapenet.program.low import is_inexact
from tapenet.program.trees import Mismatch, flatten
from tapenet.transforms.arguments import Arguments, Results, basis, fitting, title_of
from tapenet.transforms.gradients import vjp
from tapenet.transforms.run import function, places
from tapenet.transforms.tracing import trace
from tapenet.typing import Shape

#: Whether tangents are pushed forward or gradients are pulled back.
Mode = Literal["forward", "reverse"]
Argnums = int | Sequence[int]


@boundary
def jacobian(
    f: Callable[..., Any], argnums: Argnums = 0, mode: Mode | None = None, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns the Jacobian of `f`: the derivative of each element of its result by each of its argument.

    All columns (forward mode) or rows (reverse mode) are computed in one batched pass.

    Args:
        f: returns a tensor, or a nested structure of tensors.
        argnums: the argument(s) to differentiate by; several give a tuple for each result.
        mode: "forward" for a pass for each element of the arguments, "reverse" for one for each of the results; by default
            the one that needs fewer.
        has_aux: `f` returns (output, other); the result is then (Jacobian, other).

    Returns:
        for a result of shape m and an argument of shape n an array of shape m + n; nested in the structure of the result, and
        inside of that in the structure of the argument.

    Raises:
        TypeError: an argument or a result holds integers.
        ValueError: `argnums` names no argument.

    >>> import tapenet as tn
    >>> tn.jacobian(lambda x: x**2)(tn.tensor([1.0, 2.0]))
    Tensor([[2., 0.],
            [0., 4.]])
    """
    if mode not in (None, "forward", "reverse"):
        raise ValueError(f"tn.jacobian: mode={mode!r} is neither 'forward' nor 'reverse', nor None for the quicker one")
    return _jacobian("jacobian", f, argnums, mode, has_aux, False)


@boundary
def jacfwd(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """`jacobian` in forward mode: quicker where the result has more elements than the argument.

    >>> import tapenet as tn
    >>> tn.jacfwd(lambda x: tn.stack([x, x**2, x**3]))(2.0)
    Tensor([ 1.,  4., 12.])
    """
    return _jacobian("jacfwd", f, argnums, "forward", has_aux, False)


@boundary
def jacrev(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """`jacobian` in reverse mode: quicker where the argument has more elements than the result.

    >>> import tapenet as tn
    >>> tn.jacrev(lambda x: (x**2).sum(keepdims=True))(tn.tensor([1.0, 2.0]))
    Tensor([[2., 4.]])
    """
    return _jacobian("jacrev", f, argnums, "reverse", has_aux, False)


@boundary
def value_and_jacobian(
    f: Callable[..., Any], argnums: Argnums = 0, mode: Mode | None = None, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns `f`'s value and its `jacobian`. With `has_aux` the value is the pair that `f` returns.

    >>> import tapenet as tn
    >>> tn.value_and_jacobian(lambda x: x * x)(3.0)
    (Tensor(9.), Tensor(6.))
    """
    return _jacobian("value_and_jacobian", f, argnums, mode, has_aux, True)


@boundary
def hessian(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the Hessian of `f`, which returns a scalar: all second derivatives, forward over reverse.

    Args:
        f: returns one number.
        argnums: the argument(s) to differentiate by; several give a tuple of tuples.
        has_aux: `f` returns (scalar, other); the result is then (Hessian, other).

    Returns:
        for an argument of shape n an array of shape n + n; for a structure one of these, in its structure twice.

    >>> import tapenet as tn
    >>> tn.hessian(lambda x: (x**3).sum())(tn.tensor([1.0, 2.0]))
    Tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    function("hessian", f)

    @boundary
    @functools.wraps(f, updated=())
    def wrapped(*args: object, **kwargs: object) -> Any:
        work = _Work("hessian", f, argnums, args, kwargs, has_aux)
        gradient = work.gradient()
        tangents = _tangents(gradient, len(work.given))
        rows = _batched(tangents, len(work.function.inputs), work.arguments(), basis(*work.spaces(work.given)))
        parts = [
            [_transposed(block, t.shape, like.shape) for block, t in _blocks(row, work.given)]
            for row, like in zip(rows, work.given, strict=True)
        ]
        found = work.by_argument([work.by_argument(row) for row in parts])
        return (found, work.results.aux) if has_aux else found

    return wrapped


@boundary
def hvp(
    f: Callable[..., object], argnums: Argnums = 0, with_value: bool = False, has_aux: bool = False
) -> Callable[..., Any]:
    """A function `(*args, v)` that returns the product of `f`'s Hessian with `v`, without forming the Hessian.

    Args:
        f: returns a scalar.
        argnums: the argument(s) the Hessian is by; `v` has the structure of these.
        with_value: return (value, gradient, product), all from one pass.
        has_aux: `f` returns (scalar, other), and the function (product, other); `value` is then that pair.

    Source: Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6(1), 1994; here as the tangent of the
    gradient.

    >>> import tapenet as tn
    >>> tn.hvp(lambda x: (x**3).sum())(tn.tensor([1.0, 2.0]), tn.tensor([1.0, 1.0]))
    Tensor([ 6., 12.])
    >>> tn.hvp(lambda x: x**3, with_value=True)(2.0, 1.0)
    (Tensor(8.), Tensor(12.), Tensor(12.))
    """
    function("hvp", f)

    @boundary
    @functools.wraps(f, updated=())
    def wrapped(*args: object, **kwargs: object) -> Any:
        if len(args) < 2:
            raise TypeError("tn.hvp: call the function with the arguments and the vector: tn.hvp(f)(x, v)")
        *given, v = args
        work = _Work("hvp", f, argnums, given, kwargs, has_aux)
        vectors = work.vectors(v)
        gradient = work.gradient(with_value)
        pushed = Given(work.title.format("hvp"), gradient.push(range(len(work.given))))
        outs = programs.run(pushed, [*work.arguments(), *vectors])
        product = work.by_argument(outs[-len(work.given) :])
        if not with_value:
            return (product, work.results.aux) if has_aux else product
        value = work.results.build(outs[:1])
        gradients = work.by_argument(outs[1 : 1 + len(work.given)])
        return (value, work.results.aux) if has_aux else value, gradients, product

    return wrapped


def _jacobian(
    name: str, f: Callable[..., Any], argnums: Argnums, mode: Mode | None, has_aux: bool, value: bool
) -> Callable[..., Any]:
    function(name, f)

    @boundary
    @functools.wraps(f, updated=())
    def wrapped(*args: object, **kwargs: object) -> Any:
        work = _Work(name, f, argnums, args, kwargs, has_aux)
        outs = work.results.leaves
        for t in outs:
            if not is_inexact(t.dtype):
                raise TypeError(
                    f"tn.{name}: the function returned {t.dtype}, which has no derivative: return floats, or give has_aux=True "
                    "and return (output, other)"
                )
        chosen = mode or ("forward" if _size(work.given) <= _size(outs) else "reverse")
        arguments = work.arguments()
        parts: list[list[Tensor]]
        count = len(work.function.inputs)
        if chosen == "forward":
            tangents = _tangents(work.function, len(work.given))
            columns = _batched(tangents, count, arguments, basis(*work.spaces(work.given)))
            parts = [
                [_transposed(block, t.shape, out.shape) for block, t in _blocks(column, work.given)]
                for column, out in zip(columns, outs, strict=True)
            ]
        else:
            pulled = Given(work.title.format(name), work.function.pull(range(len(work.given))))
            rows = _batched(pulled, count, arguments, basis(*work.spaces(outs)))
            by_input = [[block for block, _ in _blocks(row, outs)] for row in rows]
            parts = [
                [block.reshape(*out.shape, *t.shape) for block, t in zip(blocks, work.given, strict=True)]
                for blocks, out in zip(zip(*by_input, strict=True), outs, strict=True)
            ]
        found = work.results.build([work.by_argument(row) for row in parts])
        if not value:
            return (found, work.results.aux) if has_aux else found
        values = work.results.build(programs.run(work.function, arguments))
        return (values, work.results.aux) if has_aux else values, found

    return wrapped


class _Work:
    """A function on its way to a matrix of derivatives."""

    def __init__(
        self,
        name: str,
        f: Callable[..., Any],
        argnums: Argnums,
        args: Sequence[object],
        kwargs: dict[str, object],
        has_aux: bool,
    ) -> None:
        self.name = name
        self.title = title_of(f)
        numbers, self.single, positional, named = places(name, f, argnums, tuple(args), kwargs)
        chosen = tuple(positional[i] for i in numbers)
        self.chosen = chosen
        arguments = Arguments(name, chosen)
        self.given, self.structure = arguments.leaves, arguments.structure
        for t in self.given:
            if not is_inexact(t.dtype):
                raise TypeError(
                    f"tn.{name}: an argument holds {t.dtype}, which has no derivative: pass floats, or leave it out of argnums"
                )
        self.results = Results(name, has_aux)

        def call(*values: object) -> object:
            full = list(positional)
            for i, v in zip(numbers, values, strict=True):
                full[i] = v
            return f(*full, **named)

        self._flat = self.results.flat(arguments.calling(call))
        traced = trace(name, self._flat, self.given)
        self.function: Function = traced.function
        self._further = traced.further()

    def arguments(self) -> list[Tensor]:
        """What the traced function takes."""
        return [*self.given, *self._further]

    def by_argument(self, values: Sequence[object]) -> Any:
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
        outs = self.results.leaves
        if len(outs) != 1 or outs[0].size != 1 or not is_inexact(outs[0].dtype) or outs[0].dtype.kind == "c":
            told = ", ".join(f"{t.dtype} {t.shape}" for t in outs)
            raise ValueError(
                f"tn.{self.name}: the function returned {told or 'nothing'}, but second derivatives are those of one real "
                "number: reduce it, for instance with .sum(), or use tn.jacobian"
            )
        count = len(self.function.inputs)
        try:
            pulled = self.function.pull(range(len(self.given)))
        except NoDerivative:
            return self._recorded_gradient(with_value)
        seed = pulled.inputs[count]
        made = substitute(pulled, {seed: Constant(np.ones(seed.shape, seed.dtype))})
        program = Program(pulled.inputs[:count], [], made.body, made.outputs, [])
        if with_value:
            program = _both(self.function, program)
        return Given(self.title.format("gradient"), program)

    def _recorded_gradient(self, with_value: bool) -> Function:
        """The same, recorded from a backward pass, whose rules may look at values."""

        def recorded(values: list[Tensor]) -> list[Tensor]:
            outs, pull = vjp(lambda *given: self._flat(list(given)), *values)
            gradients = pull([Tensor._of(np.ones(outs[0].shape, outs[0].dtype))])
            found = list(gradients) if isinstance(gradients, tuple) else [gradients]
            return [*outs, *found] if with_value else found

        traced = trace(self.name, recorded, self.given)
        self._further = traced.further()
        return traced.function


def _both(function: Function, gradient: Program) -> Program:
    """The outputs of a function, then those of a program of the same inputs."""
    builder = Builder()
    outs = builder.several("apply", *gradient.inputs, function=function)
    return Program(gradient.inputs, [], [*builder.body, *gradient.body], [*outs, *gradient.outputs], [])


def _tangents(function: Function, count: int) -> Function:
    """The function of inputs and tangents of the first of them that gives the tangents of the results alone."""
    pushed = function.push(range(count))
    return Given(function.name, Program(pushed.inputs, [], pushed.body, pushed.outputs[len(function.outputs) :], []))


def _batched(function: Function, count: int, arguments: Sequence[Tensor], seeds: Sequence[np.ndarray]) -> list[Tensor]:
    """What a function gives for each of the seeds, which go in after its first inputs."""
    size = len(seeds[0]) if seeds else 0
    flags = [*[False] * count, *[True] * len(seeds)]
    return programs.run(function.batch(flags, size), [*arguments, *map(Tensor._of, seeds)])


def _blocks(rows: Tensor, parts: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """The rows that belong to each part."""
    begin = 0
    for t in parts:
        yield rows[begin : begin + t.size] if len(parts) > 1 else rows, t
        begin += t.size


def _transposed(block: Tensor, of: Shape, out: Shape) -> Tensor:
    """Tangents (elements of an argument, *out) as derivatives (*out, *argument)."""
    return block.reshape(math.prod(of), math.prod(out)).T.reshape(*out, *of)


def _size(values: Sequence[Tensor]) -> int:
    return sum(t.size for t in values)
