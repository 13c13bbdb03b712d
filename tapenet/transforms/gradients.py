"""Gradients of functions, and vector-Jacobian and Hessian-vector products.

Arguments may be numbers, arrays, tensors, or trees of them (`tn.tree`): tuples, lists, dicts, named tuples, dataclasses,
modules. Gradients come back in the same structure; those of a module as a dict by parameter name. The transformations
compose with each other and with `backward`: what a function closes over stays connected, so a gradient may itself be part
of a loss.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

import numpy as np

from tapenet.autodiff.creation import asarray
from tapenet.autodiff.gradients import conj_cotangent
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.program.trees import Mismatch, flatten
from tapenet.transforms.of_compiled import follows_compiled
from tapenet.transforms.run import Run, function, places

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

P = ParamSpec("P")
R = TypeVar("R")


def _number(out: object, name: str) -> None:
    """Check the dtype of what a gradient is taken of."""
    if not isinstance(out, (Tensor, np.ndarray, np.generic, int, float, complex)):
        raise TypeError(
            f"tn.{name}: the function returned {type(out).__name__}, but a gradient needs a scalar tensor; for (scalar, "
            "other) give has_aux=True, for several outputs use tn.vjp"
        )
    if isinstance(out, (Tensor, np.ndarray)) and out.dtype.kind in "biu":
        raise TypeError(
            f"tn.{name}: the function returned {out.dtype}, but only a real number of a floating type has a gradient: "
            "counts, places and comparisons are constant but for jumps"
        )
    if out.dtype.kind == "c" if isinstance(out, Tensor) else np.iscomplexobj(out):
        raise TypeError(
            f"tn.{name}: the function returned a complex number, but a gradient is that of a real one: take its real part "
            "or its absolute value, or use tn.vjp"
        )


def _scalar(out: ArrayLike, name: str) -> None:
    _number(out, name)
    if np.size(out) != 1:
        raise ValueError(
            f"tn.{name}: the function returned shape {np.shape(out)}, but a gradient needs a scalar: reduce it, for "
            "instance with .sum(), or use tn.vjp; of a function that works element by element use tn.elementwise_grad"
        )


@boundary
@follows_compiled
def value_and_grad(
    f: Callable[P, R], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[P, tuple[R, Any]]:
    """A function that returns `f`'s value and its gradient.

    Args:
        f: returns a scalar tensor (with `has_aux`, a pair of it and anything else).
        argnums: the positional argument(s) to differentiate by; several give a tuple of gradients. The call may give them
            by name.
        has_aux: `f` returns (scalar, other); the value is then that pair.

    Returns:
        a function that returns the value and the gradient, which has the structure of the argument (a module's is a dict by
        parameter name), and shapes and dtypes of what is in it; zeros where nothing depends on it. Value and gradient are in
        a graph only where an argument, or a tensor that `f` closes over, needs a gradient.

    Raises:
        ValueError: the function's result is no scalar, or `argnums` names no argument.
        TypeError: an argument holds integers, or the result is an integer, a boolean or complex.
        RuntimeError: the result does not depend on an argument, since a Python number was made of it, as by `math.exp(x)`; or
            on no argument at all, since the values of one were taken out of the graph, as by `x.numpy()`.

    >>> import tapenet as tn
    >>> value, g = tn.value_and_grad(lambda x: (x**2).sum())(tn.tensor([1.0, 2.0]))
    >>> value.item(), g
    (5.0, Tensor([2., 4.]))
    """
    return _value_and_grad("value_and_grad", f, argnums, has_aux)


def _value_and_grad(
    name: str, f: Callable[P, R], argnums: int | Sequence[int], has_aux: bool, elementwise: bool = False
) -> Callable[P, tuple[R, object]]:
    function(name, f)

    @boundary
    @functools.wraps(f, updated=())
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> tuple[Any, object]:
        numbers, single, given, named = places(name, f, argnums, args, kwargs)
        run = Run(name, f, given, named, numbers)
        out, aux = _apart(name, run.out, has_aux)
        run.check_numbers([out])
        if elementwise:
            _number(out, name)
            _same_shapes(out, run)
        else:
            _scalar(out, name)
        node = getattr(out, "_node", None)
        roots = [] if node is None else [(node, _ones(out))]
        value, followed = run.settled((out, aux) if has_aux else out)
        gradients = run.pull(roots, release=not followed, alone=not followed)
        return value, gradients[0] if single else tuple(gradients)

    return wrapped


def _apart(name: str, out: object, has_aux: bool) -> tuple[Any, Any]:
    """What a function returned, and what it returned beside that."""
    if not has_aux:
        return out, None
    if not (isinstance(out, tuple) and len(out) == 2):
        what = "output" if name == "vjp" else "scalar"
        raise TypeError(f"tn.{name}: with has_aux=True the function returns a pair ({what}, other)")
    return out


def _ones(out: Tensor) -> Tensor:
    ones = np.ones(out.shape, out.dtype)
    ones.flags.writeable = False  # a constant, where this is compiled
    return Tensor._of(ones)


def _same_shapes(out: ArrayLike, run: Run) -> None:
    shape = np.shape(out)
    for end in run.ends:
        if end.shape != shape:
            raise ValueError(
                f"tn.{run.name}: the function returned shape {shape} for an argument of shape {end.shape}, so that it does not "
                "work element by element: use tn.grad of a scalar, or tn.jacobian"
            )


@overload
def grad(
    f: Callable[[Tensor], object], argnums: Literal[0] = 0, has_aux: Literal[False] = False
) -> Callable[[ArrayLike], Tensor]: ...


@overload
def grad(f: Callable[P, object], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[P, Any]: ...


@boundary
@follows_compiled
def grad(f: Callable[..., object], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., object]:
    """A function that returns the gradient of `f`, which returns a scalar. See `value_and_grad`.

    >>> import tapenet as tn
    >>> cube = lambda x: x**3
    >>> tn.grad(cube)(2.0), tn.grad(tn.grad(cube))(2.0)
    (Tensor(12.), Tensor(12.))
    >>> tn.grad(lambda p: (p["w"] * p["b"][0]).sum())({"w": 2.0, "b": [3.0]})
    {'w': Tensor(3.), 'b': [Tensor(2.)]}

    Of a module the gradient is a dict by parameter name. Under `tn.no_grad()` it is in no graph:

    >>> net = tn.nn.Linear(2, 1)
    >>> with tn.no_grad():
    ...     g = tn.grad(lambda net: net([[1.0, 2.0]]).sum())(net)
    >>> g
    {'weight': Tensor([[1., 2.]], dtype=float32), 'bias': Tensor([1.], dtype=float32)}
    """
    return _gradient_alone(_value_and_grad("grad", f, argnums, has_aux), f, has_aux)


def _gradient_alone(
    both: Callable[..., tuple[Any, object]], f: Callable[..., object], has_aux: bool
) -> Callable[..., object]:
    @boundary
    @functools.wraps(f, updated=())
    def wrapped(*args: object, **kwargs: object) -> object:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapped


@overload
def elementwise_grad(
    f: Callable[[Tensor], object], argnums: Literal[0] = 0, has_aux: Literal[False] = False
) -> Callable[[ArrayLike], Tensor]: ...


@overload
def elementwise_grad(
    f: Callable[P, object], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[P, Any]: ...


@boundary
@follows_compiled
def elementwise_grad(
    f: Callable[..., object], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., object]:
    """A function that returns the derivative of `f` at each element of its argument, where `f` works element by element.

    It is the gradient of the sum of what `f` returns; if an element of the result depends on other elements of the argument
    too, the derivatives by these are added up.

    Args:
        f: returns an array of the shape of the argument.
        argnums, has_aux: as of `grad`.

    Raises:
        ValueError: the result has another shape than the argument.

    >>> import tapenet as tn
    >>> tn.elementwise_grad(lambda x: x**3)(tn.tensor([1.0, 2.0]))
    Tensor([ 3., 12.])
    """
    return _gradient_alone(_value_and_grad("elementwise_grad", f, argnums, has_aux, elementwise=True), f, has_aux)


@overload
def vjp(f: Callable[..., R], *args: object, has_aux: Literal[False] = False) -> tuple[R, Callable[[Any], Any]]: ...


@overload
def vjp(f: Callable[..., object], *args: object, has_aux: bool) -> tuple[Any, ...]: ...


@boundary
def vjp(f: Callable[..., object], *args: object, has_aux: bool = False) -> tuple[object, ...]:
    """The value of `f(*args)` and a function that pulls a gradient by it back to the arguments.

    Args:
        f: returns a tensor, or a tree of them (with `has_aux`, a pair of that and anything else).
        *args: the arguments, all differentiated by.
        has_aux: `f` returns (output, other).

    Returns:
        the output, `pull(g)` and, with `has_aux`, the other. `pull` takes a gradient in the structure of the output and returns
        the product of it with the Jacobian: the gradient of the argument, in its structure, or a tuple of these for several.
        It may be called many times. The output is in a graph only where an argument, or a tensor that `f` closes over, needs
        a gradient.

    Raises:
        TypeError, RuntimeError: as of `value_and_grad`.
        ValueError: the gradient has another structure or shape than the output; names where.

    >>> import tapenet as tn
    >>> y, pull = tn.vjp(lambda x: x * x, tn.tensor([1.0, 2.0]))
    >>> y, pull(tn.tensor([1.0, 10.0]))
    (Tensor([1., 4.]), Tensor([ 2., 40.]))
    """
    run = Run("vjp", function("vjp", f), args, {}, range(len(args)))
    out, aux = _apart("vjp", run.out, has_aux)
    outs, form = flatten(out)
    for value, path in zip(outs, form.paths("result"), strict=True):
        if not isinstance(value, (Tensor, np.ndarray, np.generic, int, float, complex)):
            raise TypeError(
                f"tn.vjp: {path} is {type(value).__name__}, neither a tensor nor a number: with has_aux=True the function "
                "returns a pair (output, other)"
            )
    run.check_numbers(outs)
    nodes = [getattr(value, "_node", None) for value in outs]
    (out, aux), _ = run.settled((out, aux))

    @boundary
    def pull(g: object) -> object:
        try:
            given = form.take(g, "result", ("the function", "the gradient"))
        except Mismatch as error:
            raise ValueError(f"tn.vjp: the gradient must have the structure of the result, and {error}") from None
        roots = []
        for i, (value, node, seed) in enumerate(zip(outs, nodes, map(asarray, given), strict=True)):
            if seed.shape != np.shape(value):
                raise ValueError(
                    f"tn.vjp: a gradient of shape {seed.shape} for an output of shape {np.shape(value)}, at "
                    f"{form.paths('result')[i]}"
                )
            if node is not None:
                roots.append((node, conj_cotangent(seed if seed.dtype == value.dtype else seed.astype(value.dtype))))
        gradients = run.pull(roots, release=False)
        return gradients[0] if len(args) == 1 else tuple(gradients)

    return (out, pull, aux) if has_aux else (out, pull)
