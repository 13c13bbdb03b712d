"""One evaluation of a function that is differentiated: its arguments are the ends of the graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from tapenet import ops
from tapenet.autodiff import backward as driver
from tapenet.autodiff.control.body import Input
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.node import Leaf, Node
from tapenet.autodiff.observe import zero_gradients
from tapenet.autodiff.state import enable_grad, local
from tapenet.autodiff.tensor import Tensor
from tapenet.program.low import is_inexact
from tapenet.program.trees import Structure, flatten, placed, replaced
from tapenet.transforms.graph_gradients import gradients_of
from tapenet.transforms.lost_numbers import LostNumbers
from tapenet.typing import Array

T = TypeVar("T")
Arguments = tuple[object, ...]


def function(name: str, f: Callable[..., T]) -> Callable[..., T]:
    """The function that a transformation is given.

    Raises:
        TypeError: it is none.
    """
    if callable(f):
        return f
    hint = "; the gradients of a result that is there already are tn.gradients(outputs, inputs)"
    raise TypeError(f"tn.{name} takes a function, not {type(f).__name__}{hint if isinstance(f, Tensor) else ''}")


def places(
    name: str, f: Callable[..., object], argnums: int | Sequence[int], args: Arguments, kwargs: Mapping[str, object]
) -> tuple[tuple[int, ...], bool, Arguments, Mapping[str, object]]:
    """The arguments to differentiate by.

    Returns:
        their places, whether `argnums` is a single one, and the arguments of the call: those of these places that were given
        by name stand among the positional ones.

    Raises:
        TypeError: `argnums` is neither an integer nor several.
        ValueError: there is no such argument, or it is named twice.
    """
    single = not isinstance(argnums, Iterable)
    numbers = tuple(argnums) if isinstance(argnums, Iterable) else (argnums,)
    if not all(hasattr(n, "__index__") and not isinstance(n, (bool, np.bool_)) for n in numbers):
        raise TypeError(
            f"tn.{name}: argnums={argnums!r} must be the place of a positional argument, or several of them"
        )
    if kwargs and any(not -len(args) <= n < len(args) for n in numbers):
        args, kwargs = _by_place(f, args, kwargs)
    count = len(args)
    for n in numbers:
        if not -count <= n < count:
            raise ValueError(
                f"tn.{name}: argnums={argnums} names argument {n}, but the call has {count} positional argument(s)"
            )
    found = tuple(int(n) % count for n in numbers)
    if len(set(found)) < len(found):
        raise ValueError(f"tn.{name}: argnums={argnums} names an argument twice: name each once")
    return found, single, args, kwargs


def _by_place(
    f: Callable[..., object], args: Arguments, kwargs: Mapping[str, object]
) -> tuple[Arguments, Mapping[str, object]]:
    """Arguments given by name in their places, as far as they follow the positional ones."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # a callable that tells nothing
        return args, kwargs
    found, rest = list(args), dict(kwargs)
    for parameter in parameters[len(args) :]:
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD or parameter.name not in rest:
            break
        found.append(rest.pop(parameter.name))
    return tuple(found), rest


#: Where graphs begin: tensors whose gradient is wanted, and the values of a function that is being recorded.
_SOURCES = (Leaf, Input)


def _is_alone(roots: Iterable[Node], only: set[Node]) -> bool:
    """Whether the roots depend on nothing but `only`: on no parameters that a function closes over, nor arguments of a function
    around it."""
    return not any(type(node) in _SOURCES and node not in only for node in driver.between(roots, only))


class Run:
    """A call of a function with tensors of its own in the place of the arguments it is differentiated by."""

    def __init__(
        self,
        name: str,
        f: Callable[..., object],
        args: Arguments,
        kwargs: Mapping[str, object],
        argnums: Sequence[int],
    ) -> None:
        self.name = name
        self.outer = local.state.grad
        self.nested = False
        #: The structure of each argument.
        self.forms: list[Structure] = []
        self.ends: list[Tensor] = []
        for i in argnums:
            leaves, form = flatten(args[i])
            self.ends += [self._end(leaf, i, form, k) for k, leaf in enumerate(leaves)]
            self.forms.append(form)
        #: Where gradients end; kept, since the function may let its arguments stand for other values.
        self.nodes = [t._node for t in self.ends]
        self._numbers = LostNumbers()
        given = list(args)
        with self._numbers, placed([args[i] for i in argnums], self.ends) as inner, enable_grad():
            for i, value in zip(argnums, inner, strict=True):
                given[i] = value
            self.out = f(*given, **kwargs)

    def _end(self, value: object, place: int, form: Structure, position: int) -> Tensor:
        try:
            tensor = asarray(value)
        except (TypeError, ValueError):
            tensor = None
        if tensor is None or not is_inexact(tensor.dtype):
            path = form.paths(f"argument {place}")[position]
            if tensor is None or tensor.dtype.kind not in "biu":
                raise TypeError(
                    f"tn.{self.name}: {path} is {type(value).__name__}, which has no gradient: pass floats, or leave it out of "
                    'argnums; a field of a dataclass is left out by field(metadata={"static": True})'
                )
            raise TypeError(
                f"tn.{self.name}: {path} holds {tensor.dtype}, which has no gradient: pass floats, or leave it out of argnums"
            )
        if tensor._node is None or not self.outer:
            made = tensor.detach()._require()
            assert isinstance(made._node, Leaf)
            made._node.argument = True
            return made
        self.nested = True  # part of an outer graph: stay connected, through a node of its own
        end: Tensor = ops.alias(tensor)
        return end

    # -- what the function did ---------------------------------------------------------------------------------------

    def check_numbers(self, outs: Sequence[object]) -> None:
        """Look after the Python numbers that were made of arguments (`LostNumbers.check`)."""
        self._numbers.check(self.name, self.nodes, outs)

    def settled(self, value: T) -> tuple[T, bool]:
        """A result without the tensors in it that only the ends of this call follow: these are as if they were computed
        without a graph.

        Returns:
            the result; and whether something else may follow a tensor in it: an outer transformation, or a tensor from
            outside that needs a gradient.
        """
        leaves, _ = flatten(value)
        roots = [leaf._node for leaf in leaves if type(leaf) is Tensor and leaf._node is not None]
        ends = {node for node in self.nodes if node is not None}
        order = driver.between(roots, ends)
        others = self.nested or any(type(node) in _SOURCES and node not in ends for node in order)
        followed: set[Node] = set()
        if others:
            own: set[Node] = set()
            for node in reversed(order):  # parents come first
                parents = () if node in ends else node.parents
                if node in ends or any(p in own for p in parents):
                    own.add(node)
                outside = (type(node) in _SOURCES) != (node in ends) or any(p in followed for p in parents)
                if self.outer and outside:
                    followed.add(node)
        else:  # the usual case: there is nothing else
            own = set(order)
        free = own - followed

        def settle(leaf: object) -> object:
            return leaf.detach() if type(leaf) is Tensor and leaf._node in free else leaf

        done: T = value if free.isdisjoint(roots) else replaced(settle, value)
        return done, self.outer and others

    # -- gradients ---------------------------------------------------------------------------------------------------

    def pull(self, roots: Sequence[tuple[Node, Tensor]], release: bool, alone: bool = False) -> list[object]:
        """Gradients by each argument, in its structure; zeros where the output does not depend on it.

        Args:
            roots: nodes with the gradients by them.
            release: let go of saved arrays, if they are of no more use.
            alone: nothing follows the roots but the ends of this call.
        """
        only = {node for node in self.nodes if node is not None}
        seeded = any(g._node is not None for _, g in roots)
        create = self.outer and (self.nested or seeded or not (alone or _is_alone([n for n, _ in roots], only)))
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
        gradients = gradients_of(self.ends, self.nodes, found)
        taken = {id(g) for _, g in roots}
        for i, g in enumerate(gradients):
            if id(g) in taken:  # also that of another argument, or given: items assigned to one would change both
                gradients[i] = ops.copy(g)
            taken.add(id(g))
        start, structured = 0, []
        for form in self.forms:
            structured.append(form.build(gradients[start : start + form.count]))
            start += form.count
        return structured
