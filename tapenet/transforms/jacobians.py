"""Jacobians and Hessians: one batched pass over the unit vectors of the arguments, or of the results."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, overload

import numpy as np

from tapenet import ops
from tapenet.autodiff import programs
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.gradients import conj_cotangent
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.program.differentiating import NoDerivative
from tapenet.program.functions import Function, Given
from tapenet.program.ir import Program
from tapenet.program.low import is_inexact
from tapenet.program.trees import flatten
from tapenet.transforms.arguments import basis
from tapenet.transforms.differentiated import Argnums, Differentiated
from tapenet.transforms.gradients import grad, value_and_grad
from tapenet.transforms.of_compiled import follows_compiled
from tapenet.transforms.over_ranks import batched
from tapenet.transforms.run import function
from tapenet.transforms.sparse_derivatives import SparseDerivative
from tapenet.typing import Ranks, Shape

#: Whether tangents are pushed forward or gradients are pulled back.
Mode = Literal["forward", "reverse"]


@overload
def jacobian(
    f: Callable[..., object], argnums: Argnums = 0, mode: Mode | None = None, has_aux: bool = False, *,
    sparse: Literal[True], pattern: object = None, over: Ranks | None = None,
) -> SparseDerivative: ...  # fmt: skip


@overload
def jacobian(
    f: Callable[..., object], argnums: Argnums = 0, mode: Mode | None = None, has_aux: bool = False, *,
    sparse: Literal[False] = False, pattern: None = None, over: Ranks | None = None,
) -> Callable[..., Any]: ...  # fmt: skip


@boundary
@follows_compiled
def jacobian(
    f: Callable[..., object], argnums: Argnums = 0, mode: Mode | None = None, has_aux: bool = False, *,
    sparse: bool = False, pattern: object = None, over: Ranks | None = None,
) -> Callable[..., object]:  # fmt: skip
    """A function that returns the Jacobian of `f`: the derivative of each element of its result by each of its argument.

    All columns (forward mode) or rows (reverse mode) are computed in one batched pass.

    Args:
        f: returns a tensor, or a nested structure of tensors.
        argnums: the argument(s) to differentiate by; several give a tuple for each result.
        mode: "forward" for a pass for each element of the arguments, "reverse" for one for each of the results; by default
            the one that needs fewer.
        has_aux: `f` returns (output, other); the result is then (Jacobian, other).
        sparse: give a `scipy.sparse.csr_array` ([how](../../docs/transformations.md#sparse-derivatives)): the pattern of the
            Jacobian is found in the program of `f`, and as many products are computed as its columns (or rows) take colours.
        pattern: with `sparse`, where the Jacobian may be other than 0, if it is known: a matrix, which is held to a product.
        over: `tn.parallel`: each rank computes its part of the columns, rows or colours, and all get the whole result
            ([how](../../docs/parallel.md#parallel-derivatives)).

    Returns:
        for a result of shape m and an argument of shape n an array of shape m + n; nested in the structure of the result, and
        inside of that in the structure of the argument. With `sparse` one matrix: a row for each element of the results, a
        column for each element of the arguments, both in row-major order and in that of the structure; numbers, in no graph.

    Raises:
        TypeError: an argument or a result holds integers; with `sparse`, complex numbers.
        ValueError: `argnums` names no argument; the Jacobian is not sparse, or has entries that `pattern` has not.

    >>> import tapenet as tn
    >>> tn.jacobian(lambda x: x**2)(tn.tensor([1.0, 2.0]))
    Tensor([[2., 0.],
            [0., 4.]])
    >>> differences = tn.jacobian(lambda x: (x[1:] - x[:-1]) ** 2, sparse=True)
    >>> matrix = differences(tn.arange(1000.0))
    >>> matrix.shape, matrix.nnz, differences.colors[:6]
    ((999, 1000), 1998, array([0, 1, 0, 1, 0, 1]))
    """
    return _chosen("jacobian", f, argnums, mode, has_aux, False, sparse, pattern, over)


@boundary
@follows_compiled
def jacfwd(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, over: Ranks | None = None
) -> Callable[..., Any]:
    """`jacobian` in forward mode: quicker where the result has more elements than the argument.

    >>> import tapenet as tn
    >>> tn.jacfwd(lambda x: tn.stack([x, x**2, x**3]))(2.0)
    Tensor([ 1.,  4., 12.])
    """
    return _jacobian("jacfwd", f, argnums, "forward", has_aux, False, over)


@boundary
@follows_compiled
def jacrev(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, over: Ranks | None = None
) -> Callable[..., Any]:
    """`jacobian` in reverse mode: quicker where the argument has more elements than the result.

    >>> import tapenet as tn
    >>> tn.jacrev(lambda x: (x**2).sum(keepdims=True))(tn.tensor([1.0, 2.0]))
    Tensor([[2., 4.]])
    """
    return _jacobian("jacrev", f, argnums, "reverse", has_aux, False, over)


@boundary
@follows_compiled
def value_and_jacobian(
    f: Callable[..., object], argnums: Argnums = 0, mode: Mode | None = None, has_aux: bool = False, *,
    sparse: bool = False, pattern: object = None, over: Ranks | None = None,
) -> Callable[..., Any]:  # fmt: skip
    """A function that returns `f`'s value and its `jacobian`. With `has_aux` the value is the pair that `f` returns; `sparse`,
    `pattern` and `over` are those of `jacobian`.

    >>> import tapenet as tn
    >>> tn.value_and_jacobian(lambda x: x * x)(3.0)
    (Tensor(9.), Tensor(6.))
    """
    return _chosen("value_and_jacobian", f, argnums, mode, has_aux, True, sparse, pattern, over)


@overload
def hessian(
    f: Callable[..., object],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    sparse: Literal[True],
    pattern: object = None,
    over: Ranks | None = None,
) -> SparseDerivative: ...


@overload
def hessian(
    f: Callable[..., object], argnums: Argnums = 0, has_aux: bool = False, *,
    sparse: Literal[False] = False, pattern: None = None, over: Ranks | None = None,
) -> Callable[..., Any]: ...  # fmt: skip


@boundary
@follows_compiled
def hessian(
    f: Callable[..., object],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    sparse: bool = False,
    pattern: object = None,
    over: Ranks | None = None,
) -> Callable[..., object]:
    """A function that returns the Hessian of `f`, which returns a scalar: all second derivatives, forward over reverse.

    Args:
        f: returns one number.
        argnums: the argument(s) to differentiate by; several give a tuple of tuples.
        has_aux: `f` returns (scalar, other); the result is then (Hessian, other).
        sparse, pattern, over: as for `jacobian`. Symmetry saves colours: of an entry and its mirror image one is computed.

    Returns:
        for an argument of shape n an array of shape n + n; for a structure one of these, in its structure twice. With `sparse`
        one matrix, a row and a column for each element of the arguments.

    >>> import tapenet as tn
    >>> tn.hessian(lambda x: (x**3).sum())(tn.tensor([1.0, 2.0]))
    Tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    function("hessian", f)
    if sparse:
        return SparseDerivative("hessian", f, argnums, "symmetric", pattern, has_aux, over=over)
    _no_pattern("hessian", pattern)

    @boundary
    @functools.wraps(f, updated=())
    def wrapped(*args: object, **kwargs: object) -> object:
        work = Differentiated("hessian", f, argnums, args, kwargs, has_aux)
        gradient = work.gradient()
        try:
            products = _tangents(gradient, len(work.given))
        except NoDerivative:
            gradient = work.recorded_gradient(False)
            products = _symmetric(gradient, len(work.given))
        rows = _batched(work, products, len(gradient.inputs), basis(*work.spaces(work.given)), over)
        parts = [
            [_transposed(block, t.shape, like.shape) for block, t in _blocks(row, work.given)]
            for row, like in zip(rows, work.given, strict=True)
        ]
        found = work.by_argument([work.by_argument(row) for row in parts])
        return (found, work.results.aux) if has_aux else found

    return wrapped


@boundary
@follows_compiled
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
    def wrapped(*args: object, **kwargs: object) -> object:
        if len(args) < 2:
            raise TypeError("tn.hvp: call the function with the arguments and the vector: tn.hvp(f)(x, v)")
        *given, v = args
        if any(np.iscomplexobj(leaf._data if isinstance(leaf, Tensor) else leaf) for leaf in flatten(given)[0]):
            return _complex_product(f, argnums, with_value, has_aux, given, kwargs, v)
        work = Differentiated("hvp", f, argnums, given, kwargs, has_aux)
        vectors = work.vectors(v)
        gradient = work.gradient(with_value)
        arguments = work.arguments()
        try:
            pushed = Given(work.title.format("hvp"), gradient.push(range(len(work.given))))
            outs = programs.run(pushed, [*arguments, *vectors])
        except NoDerivative:
            outs = programs.run(gradient, arguments) if with_value else []
            products = _symmetric(work.recorded_gradient(False), len(work.given))
            outs += programs.run(products, [*work.arguments(), *vectors])
        product = work.by_argument(outs[-len(work.given) :])
        if not with_value:
            return (product, work.results.aux) if has_aux else product
        value = work.results.build(outs[:1])
        gradients = work.by_argument(outs[1 : 1 + len(work.given)])
        return (value, work.results.aux) if has_aux else value, gradients, product

    return wrapped


def _chosen(
    name: str, f: Callable[..., object], argnums: Argnums, mode: Mode | None, has_aux: bool, value: bool, sparse: bool,
    pattern: object, over: Ranks | None,
) -> Callable[..., object]:  # fmt: skip
    """A Jacobian of either kind."""
    if mode not in (None, "forward", "reverse"):
        raise ValueError(f"tn.{name}: mode={mode!r} is neither 'forward' nor 'reverse', nor None for the quicker one")
    if sparse:
        return SparseDerivative(name, function(name, f), argnums, mode, pattern, has_aux, value, over)
    _no_pattern(name, pattern)
    return _jacobian(name, f, argnums, mode, has_aux, value, over)


def _no_pattern(name: str, pattern: object) -> None:
    if pattern is not None:
        raise ValueError(f"tn.{name}: pattern= is that of a sparse matrix: give sparse=True too")


def _jacobian(
    name: str,
    f: Callable[..., object],
    argnums: Argnums,
    mode: Mode | None,
    has_aux: bool,
    value: bool,
    over: Ranks | None,
) -> Callable[..., object]:
    function(name, f)

    @boundary
    @functools.wraps(f, updated=())
    def wrapped(*args: object, **kwargs: object) -> object:
        work = Differentiated(name, f, argnums, args, kwargs, has_aux)
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
        tangents: Function | None = None
        if chosen == "forward":
            try:
                tangents = _tangents(work.function, len(work.given))
            except NoDerivative as error:
                if mode == "forward":
                    raise TypeError(f"tn.{name}: {error}: take reverse mode, tn.jacrev") from None
        if tangents is not None:
            columns = _batched(work, tangents, count, basis(*work.spaces(work.given)), over)
            parts = [
                [_transposed(block, t.shape, out.shape) for block, t in _blocks(column, work.given)]
                for column, out in zip(columns, outs, strict=True)
            ]
        else:
            if any(t.dtype.kind == "c" for t in outs) and any(t.dtype.kind == "f" for t in work.given):
                raise TypeError(
                    f"tn.{name}: the function returned complex numbers of real ones, and a gradient by these is that of a real "
                    "number: return the real and the imaginary part, tn.stack([y.real, y.imag])"
                )
            pulled = Given(work.title.format(name), work.function.pull(range(len(work.given))))
            seeds = basis(*work.spaces(outs))
            rows = _batched(work, pulled, count, seeds, over)
            if any(t.dtype.kind == "c" for t in outs) and capturing() is None:
                _check_analytic(name, rows, _batched(work, pulled, count, [seed * 1j for seed in seeds], over))
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


def _complex_product(
    f: Callable[..., Any],
    argnums: Argnums,
    with_value: bool,
    has_aux: bool,
    args: list[object],
    kwargs: dict[str, object],
    v: object,
) -> object:
    """`hvp` of complex arguments, whose gradients are those by real and imaginary part: the gradient of the inner product of
    the gradient with the vector."""
    value, gradient = value_and_grad(f, argnums, has_aux)(*args, **kwargs)
    vectors = [asarray(t) for t in flatten(gradient)[1].take(v, "v", ("the argument", "the vector"))]

    def along(*inner: object) -> object:
        parts = flatten(value_and_grad(f, argnums, has_aux)(*inner, **kwargs)[1])[0]
        return sum(ops.sum((conj_cotangent(p) * t).real) for p, t in zip(parts, vectors, strict=True))

    product = grad(along, argnums)(*args)
    if with_value:
        return value, gradient, product
    return (product, value[1]) if has_aux else product


def _symmetric(gradient: Function, count: int) -> Function:
    """The function of inputs and vectors that gives the products of the Hessian with these, by reverse mode, which knows
    complex numbers too: a Hessian is its own transpose."""
    return Given(gradient.name, gradient.pull(range(count)))


def _tangents(function: Function, count: int) -> Function:
    """The function of inputs and tangents of the first of them that gives the tangents of the results alone."""
    pushed = function.push(range(count))
    return Given(function.name, Program(pushed.inputs, [], pushed.body, pushed.outputs[len(function.outputs) :], []))


def _batched(
    work: Differentiated, function: Function, count: int, seeds: Sequence[np.ndarray], over: Ranks | None
) -> list[Tensor]:
    """What a function gives for each of the seeds, which go in after its first inputs."""
    size = len(seeds[0]) if seeds else 0
    work.splits(over)
    flags = [*[False] * count, *[True] * len(seeds)]
    made = batched(work.name, function, flags, size, over)
    return programs.run(made, [*work.arguments(), *map(Tensor._of, seeds)])


def _check_analytic(name: str, rows: Sequence[Tensor], turned: Sequence[Tensor]) -> None:
    """Raise if gradients do not turn as those that they are made of do: there is no complex derivative then.

    Args:
        name: of the transformation.
        rows: gradients.
        turned: those by as much times 1j.
    """
    for row, other in zip(rows, turned, strict=True):
        if not np.allclose(
            other._data, 1j * row._data, rtol=1e-3, atol=1e-5 * float(np.abs(row._data).max(initial=1.0))
        ):
            raise ValueError(
                f"tn.{name}: the function has no complex derivative, as conj, abs and real have none: take its Jacobian by the "
                "real and imaginary parts, as a function of these"
            )


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
