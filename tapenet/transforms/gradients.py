"""Transformations of functions: gradients, vector-Jacobian and Hessian-vector products.

Arguments may be numbers, arrays, tensors, or tuples, lists and dicts of them; gradients come back in the same
structure. The transformations compose with each other and with `backward`: what a function closes over stays
connected, so a gradient may itself be part of a loss.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

import numpy as np

from tapenet import ops
from tapenet.autodiff import backward as driver
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.gradients import conj_cotangent
from tapenet.autodiff.node import Leaf, Node
from tapenet.autodiff.observe import zero_gradients
from tapenet.autodiff.observe.leaves import warn_of_number
from tapenet.autodiff.state import enable_grad, local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.program.low import is_inexact
from tapenet.program.trees import tree_leaves, tree_map
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

P = ParamSpec("P")
R = TypeVar("R")


def _reaches_others(roots: Iterable[Node], only: set[Node]) -> bool:
    """Whether the roots depend on leaves other than those of `only`: parameters that a function closes over."""
    return any(type(node) is Leaf and node not in only for node in driver.between(roots, only))


class _Run:
    """One evaluation of a function with its differentiated arguments as the ends of the graph."""

    def __init__(
        self,
        name: str,
        f: Callable[..., Any],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        argnums: Sequence[int],
    ):
        self.name = name
        self.outer = local.state.grad
        self.arguments = [args[i] for i in argnums]
        self.nested = False
        ends = [tree_map(self._end, a) for a in self.arguments]
        self.ends: list[Tensor] = [t for e in ends for t in tree_leaves(e)]
        #: Where gradients end; kept, since the function may let its arguments stand for other values.
        self.nodes = [t._node for t in self.ends]
        given = list(args)
        for i, end in zip(argnums, ends, strict=True):
            given[i] = end
        state = local.state
        outside, state.left = state.left, {}
        try:
            with enable_grad():
                self.out = f(*given, **kwargs)
        finally:
            left, state.left = state.left, outside
        self._left: dict[tuple[str, int], set[Node]] = left or {}

    def check_numbers(self, outs: list[object]) -> None:
        """Warn where a Python number was made of what depends on the arguments.

        Raises:
            RuntimeError: no output depends on an argument of which a number was made: its gradient would be 0.
        """
        if not self._left:
            return
        ends = {node for node in self.nodes if node is not None}
        reached = driver.between([node for out in outs if (node := getattr(out, "_node", None)) is not None], ends)
        for (file, line), nodes in self._left.items():
            if any(end not in reached for end in ends.intersection(driver.between(nodes, ends))):
                raise RuntimeError(
                    f"tn.{self.name}: the result does not depend on an argument, since {file}:{line} makes a Python number of "
                    "it, by float(t) or a function that asks for one, as math.exp does: no gradient flows through that. "
                    "Compute with the tensor itself (np.exp, tn.exp), or write t.item() where a constant is meant"
                )
        outside = local.state.left
        for site, nodes in self._left.items():
            warn_of_number(site)
            if outside is not None:
                outside.setdefault(site, set()).update(nodes)

    def _end(self, value: object) -> Tensor:
        tensor = asarray(value)
        if not is_inexact(tensor.dtype):
            raise TypeError(
                f"tn.{self.name}: an argument holds {tensor.dtype}, which has no gradient: pass floats, or leave it out of "
                "argnums"
            )
        if tensor._node is None or not self.outer:
            made = tensor.detach()._require()
            assert isinstance(made._node, Leaf)
            made._node.argument = True
            return made
        self.nested = True  # part of an outer graph: stay connected, through a node of its own
        end: Tensor = ops.alias(tensor)
        return end

    def pull(self, roots: Sequence[tuple[Node, Tensor]], release: bool) -> list[Tensor]:
        """Gradients by each end, as tensors; zeros where the output does not depend on one."""
        only = {node for node in self.nodes if node is not None}
        seeded = any(g._node is not None for _, g in roots)
        create = self.outer and (self.nested or seeded or _reaches_others([n for n, _ in roots], only))
        captures = local.state.tape is not None and local.state.tape.captures
        given = roots if create or captures else [(n, g._data) for n, g in roots]
        lost: zero_gradients.Lost = []
        found: dict[Node, Array] = dict(
            driver.run(
                given,
                tensor=Tensor,
                release=release and not create,
                create_graph=create,
                only=only,
                lost=lost,
            )
        )
        zero_gradients.warn(lost)
        gradients = [
            self._gradient(t, None if node is None else found.get(node))
            for t, node in zip(self.ends, self.nodes, strict=True)
        ]
        taken = {id(g) for _, g in roots}
        for i, g in enumerate(gradients):
            if id(g) in taken:  # also that of another argument, or given: items assigned to one would change both
                gradients[i] = ops.copy(g)
            taken.add(id(g))
        return gradients

    @staticmethod
    def _gradient(end: Tensor, g: Array | Tensor | None) -> Tensor:
        if g is None:
            return Tensor._of(np.zeros(end.shape, end.dtype))
        made: Tensor = conj_cotangent(g if isinstance(g, Tensor) else Tensor._of(np.array(g)))
        return made

    def structured(self, gradients: list[Tensor]) -> list[Any]:
        """Flat gradients back in the structure of the arguments."""
        flat = iter(gradients)
        return [tree_map(lambda _: next(flat), a) for a in self.arguments]


def _numbers(argnums: int | Sequence[int], count: int, name: str) -> tuple[tuple[int, ...], bool]:
    numbers = tuple(argnums) if isinstance(argnums, Iterable) else (argnums,)
    if not all(hasattr(n, "__index__") for n in numbers):
        raise TypeError(
            f"tn.{name}: argnums={argnums!r} must be the place of a positional argument, or several of them"
        )
    for n in numbers:
        if not -count <= n < count:
            raise ValueError(
                f"tn.{name}: argnums={argnums} names argument {n}, but the call has {count} positional argument(s)"
            )
    return tuple(n % count for n in numbers), not isinstance(argnums, Iterable)


def _scalar(out: object, name: str) -> None:
    if not isinstance(out, (Tensor, np.ndarray, np.generic, int, float, complex)):
        raise TypeError(
            f"tn.{name}: the function returned {type(out).__name__}, but a gradient needs a scalar tensor; for (scalar, "
            "other) give has_aux=True, for several outputs use tn.vjp"
        )
    if np.size(out) != 1:
        raise ValueError(
            f"tn.{name}: the function returned shape {np.shape(out)}, but a gradient needs a scalar: reduce it, for "
            "instance with .sum(), or use tn.vjp"
        )
    if isinstance(out, (Tensor, np.ndarray)) and out.dtype.kind in "biu":
        raise TypeError(
            f"tn.{name}: the function returned {out.dtype}, but only a real number of a floating type has a gradient: "
            "counts, places and comparisons are constant but for jumps"
        )
    if np.iscomplexobj(out.dtype.type() if isinstance(out, Tensor) else out):
        raise TypeError(
            f"tn.{name}: the function returned a complex number, but a gradient is that of a real one: take its real part "
            "or its absolute value, or use tn.vjp"
        )


@boundary
def value_and_grad(
    f: Callable[P, R], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[P, tuple[R, Any]]:
    """A function that returns `f`'s value and its gradient.

    Args:
        f: returns a scalar tensor (with `has_aux`, a pair of it and anything else).
        argnums: the positional argument(s) to differentiate by; several give a tuple of gradients.
        has_aux: `f` returns (scalar, other); the value is then that pair.

    Raises:
        ValueError: the function's result is no scalar, or `argnums` names no argument.
        TypeError: an argument holds integers, or the result is an integer, a boolean or complex.
        RuntimeError: the result does not depend on an argument, since a Python number was made of it, as by `math.exp(x)`.

    >>> import tapenet as tn
    >>> value, g = tn.value_and_grad(lambda x: (x**2).sum())(tn.tensor([1.0, 2.0]))
    >>> value.item(), g
    (5.0, Tensor([2., 4.]))
    """
    return _value_and_grad("value_and_grad", f, argnums, has_aux)


def _value_and_grad(
    name: str, f: Callable[P, R], argnums: int | Sequence[int], has_aux: bool
) -> Callable[P, tuple[R, Any]]:
    @boundary
    @functools.wraps(f, updated=())
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> tuple[Any, Any]:
        numbers, single = _numbers(argnums, len(args), name)
        run = _Run(name, f, args, kwargs, numbers)
        if has_aux and not (isinstance(run.out, tuple) and len(run.out) == 2):
            raise TypeError(f"tn.{name}: with has_aux=True the function returns a pair (scalar, other)")
        out = run.out[0] if has_aux else run.out
        run.check_numbers([out])
        _scalar(out, name)
        node = getattr(out, "_node", None)
        roots = [] if node is None else [(node, out._seed(None))]  # a constant, where this is compiled
        gradients = run.structured(run.pull(roots, release=True))
        if isinstance(out, Tensor) and node is not None and node.released is not None:
            out = out.detach()
        return (out, run.out[1]) if has_aux else out, gradients[0] if single else tuple(gradients)

    return wrapped


@overload
def grad(
    f: Callable[[Tensor], object], argnums: Literal[0] = 0, has_aux: Literal[False] = False
) -> Callable[[ArrayLike], Tensor]: ...


@overload
def grad(f: Callable[P, object], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[P, Any]: ...


@boundary
def grad(f: Callable[..., object], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., object]:
    """A function that returns the gradient of `f`, which returns a scalar. See `value_and_grad`.

    >>> import tapenet as tn
    >>> cube = lambda x: x**3
    >>> tn.grad(cube)(2.0), tn.grad(tn.grad(cube))(2.0)
    (Tensor(12.), Tensor(12.))
    >>> tn.grad(lambda p: (p["w"] * p["b"][0]).sum())({"w": 2.0, "b": [3.0]})
    {'w': Tensor(3.), 'b': [Tensor(2.)]}
    """
    both = _value_and_grad("grad", f, argnums, has_aux)

    @boundary
    @functools.wraps(f, updated=())
    def wrapped(*args: object, **kwargs: object) -> object:
        value: Any
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapped


@boundary
def vjp(f: Callable[..., R], *args: object) -> tuple[R, Callable[[Any], Any]]:
    """The value of `f(*args)` and a function that pulls a gradient by it back to the arguments.

    Args:
        f: returns a tensor, or a nested structure of tensors.
        *args: the arguments, all differentiated by.

    Returns:
        the output, and `pull(g)` with `g` structured as the output, which returns the product of `g` with the
        Jacobian: the gradient of the argument, or a tuple of them for several. It may be called many times.

    >>> import tapenet as tn
    >>> y, pull = tn.vjp(lambda x: x * x, tn.tensor([1.0, 2.0]))
    >>> pull(tn.tensor([1.0, 10.0]))
    Tensor([ 2., 40.])
    """
    run = _Run("vjp", f, args, {}, range(len(args)))
    outs = tree_leaves(run.out)
    run.check_numbers(outs)

    @boundary
    def pull(g: object) -> Any:
        gs = tree_leaves(g)
        if len(gs) != len(outs):
            raise ValueError(f"tn.vjp: the function returned {len(outs)} value(s), the gradient has {len(gs)}")
        roots = []
        for out, given in zip(outs, gs, strict=True):
            seed = asarray(given)
            if seed.shape != np.shape(out):
                raise ValueError(f"tn.vjp: a gradient of shape {seed.shape} for an output of shape {np.shape(out)}")
            if getattr(out, "_node", None) is not None:
                roots.append((out._node, conj_cotangent(seed if seed.dtype == out.dtype else seed.astype(out.dtype))))
        gradients = run.structured(run.pull(roots, release=False))
        return gradients[0] if len(args) == 1 else tuple(gradients)

    return run.out, pull


@boundary
def hvp(f: Callable[..., object], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function `(*args, v)` that returns the product of `f`'s Hessian with `v`, without forming the Hessian.

    Args:
        f: returns a scalar.
        argnums: the argument(s) the Hessian is by; `v` has the structure of these.

    Source: Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6(1), 1994; here as the gradient
    of the inner product of the gradient with `v`.

    >>> import tapenet as tn
    >>> tn.hvp(lambda x: (x**3).sum())(tn.tensor([1.0, 2.0]), tn.tensor([1.0, 1.0]))
    Tensor([ 6., 12.])
    """

    @boundary
    def wrapped(*args: object, **kwargs: object) -> object:
        *given, v = args
        numbers, single = _numbers(argnums, len(given), "hvp")
        vectors = [asarray(t) for t in tree_leaves(v)]

        def slope(*inner: object) -> object:
            gradient = grad(f, numbers)(*inner, **kwargs)
            parts = tree_leaves(gradient)
            if [p.shape for p in parts] != [t.shape for t in vectors]:
                raise ValueError(
                    f"tn.hvp: the vector has shapes {[t.shape for t in vectors]}, the argument {[p.shape for p in parts]}"
                )
            total: Any = 0.0
            for part, vector in zip(parts, vectors, strict=True):
                total = total + ops.sum((conj_cotangent(part) * vector).real)
            return total

        result = grad(slope, numbers)(*given)
        return result[0] if single else result

    return wrapped


def gradients(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    unused: str = "error",
) -> Any:
    """The gradients of the sum of outputs by inputs, which are tensors of the graph that was recorded: leaves, or what was
    computed on the way. Nothing is added to any `.grad`.

    Args:
        outputs: a tensor, or a sequence of them.
        inputs: a tensor, or a sequence of them.
        grad_outputs: the gradient by each output, of its shape; where it is None the output has one element, and it is 1.
        retain_graph: keep saved arrays for another backward pass; by default as `create_graph`.
        create_graph: record the gradients, so that they can be differentiated.
        unused: what to give for an input that no output depends on: an "error", "none" for None, or "zeros".

    Returns:
        a gradient, or a list of them if `inputs` is a sequence.

    Raises:
        RuntimeError: no gradient flows to an input, or an earlier backward pass released the graph.
        ValueError: a gradient by an output is missing, or of another shape.

    >>> import tapenet as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> y = x**2
    >>> tn.gradients((y**2).sum(), [x, y])
    [Tensor([ 4., 32.]), Tensor([2., 8.])]
    """
    if unused not in ("error", "none", "zeros"):
        raise ValueError(f"tn.gradients: unused={unused!r} must be 'error', 'none' or 'zeros'")
    ends: list[Tensor] = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    outs: list[Tensor] = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    seeds = [None] * len(outs) if grad_outputs is None else grad_outputs
    seeds = list(seeds) if isinstance(seeds, (list, tuple)) else [seeds]
    if len(seeds) != len(outs):
        raise ValueError(f"tn.gradients: {len(seeds)} gradients for {len(outs)} outputs")
    for i, end in enumerate(ends):
        if not isinstance(end, Tensor) or end._node is None:
            raise RuntimeError(
                f"tn.gradients: no gradient flows to input {i}: give a tensor with requires_grad=True, or what is computed "
                "from one"
            )
    roots = [(out._node, out._seed(g)) for out, g in zip(outs, seeds, strict=True) if out._node is not None]
    captures = local.state.tape is not None and local.state.tape.captures
    keeps = create_graph if retain_graph is None else retain_graph
    nodes: list[Node] = [end._node for end in ends if end._node is not None]
    # A pass stops where it comes to an input: what was computed from another one has a pass of its own.
    passes = [set(nodes)] if all(type(node) is Leaf for node in nodes) else [{node} for node in dict.fromkeys(nodes)]
    found: dict[Node, Array] = {}
    lost: zero_gradients.Lost = []
    for i, only in enumerate(passes):
        found |= driver.run(
            [(node, g if create_graph or captures else g._data) for node, g in roots],
            tensor=Tensor, release=not keeps and i == len(passes) - 1, create_graph=create_graph, only=only, lost=lost,
        )  # fmt: skip
    zero_gradients.warn(lost)
    made: list[Tensor | None] = []
    for i, (end, node) in enumerate(zip(ends, nodes, strict=True)):
        if node not in found and unused != "zeros":
            if unused == "error":
                raise RuntimeError(
                    f"tn.gradients: no output depends on input {i}, of shape {end.shape}; unused='none' or 'zeros' allows that"
                )
            made.append(None)
            continue
        made.append(_Run._gradient(end, found.get(node)))
    return made[0] if isinstance(inputs, Tensor) else made
