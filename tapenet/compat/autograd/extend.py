"""Functions with derivatives of their own: autograd's `primitive`, `defvjp` and `defjvp`.

A primitive is one op on the tape. Its derivatives may be given by vector-Jacobian products, by Jacobian-vector products, or by
both; one gives the other.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Literal, NoReturn

import numpy as np

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.compat.autograd.values import Function, Value, holds_tensor, plain, zeros
from tapenet.ops.op import op
from tapenet.program.trees import tree_leaves, tree_map

Maker = Function | None
#: What a primitive's derivatives are: by places of arguments, value, arguments and keywords.
_vjps: dict[Function, Function] = {}
_jvps: dict[Function, Function] = {}


class _Place:
    """Where a tensor stood in the arguments of a call."""

    def __init__(self, index: int):
        self.index = index


class _Call:
    """A call of a primitive, with places where tensors were."""

    def __init__(self, primitive: Function, args: tuple[Value, ...], kwargs: dict[str, Value]):
        self.primitive, self.args, self.kwargs = primitive, args, kwargs

    def __repr__(self) -> str:
        return self.primitive.__name__

    def filled(self, values: Sequence[object]) -> tuple[Value, ...]:
        """The arguments, with values in these places."""
        given: tuple[Value, ...] = tree_map(lambda a: values[a.index] if isinstance(a, _Place) else a, self.args)
        return given

    def gradients(self, g: object, out: object, values: Sequence[object]) -> tuple[object, ...]:
        """A gradient for each value, by one of the result."""
        argnums = [n for n, a in enumerate(self.args) if any(isinstance(leaf, _Place) for leaf in tree_leaves(a))]
        args = self.filled(values)
        if self.primitive in _vjps:
            by_argument = list(_vjps[self.primitive](argnums, out, args, self.kwargs)(g))
        elif self.primitive in _jvps:
            by_argument = self._transposed(g, out, argnums, args)
        else:
            raise NotImplementedError(f"{self.primitive.__name__} has no derivative: give it one by defvjp or defjvp")
        found: list[object] = [None] * len(values)
        for n, gradient in zip(argnums, by_argument, strict=True):
            for leaf, part in zip(tree_leaves(self.args[n]), tree_leaves(gradient), strict=True):
                if isinstance(leaf, _Place):
                    found[leaf.index] = part
        return tuple(found)

    def _transposed(self, g: Value, out: object, argnums: list[int], args: tuple[Value, ...]) -> list[object]:
        """The gradients by what multiplies the Jacobian from the right alone: a call for each element of the arguments."""
        jvp = _jvps[self.primitive]

        def by_element(argnum: int, leaf: int, element: int) -> object:
            tangent = zeros(args[argnum])
            tree_leaves(tangent)[leaf].flat[element] = 1
            return ops.sum(g * jvp([argnum], [tangent], out, args, self.kwargs))

        def by_leaf(argnum: int, leaf: int, value: Value) -> object:
            parts = [by_element(argnum, leaf, element) for element in range(np.size(value))]
            return ops.reshape(ops.stack(parts), np.shape(value))

        return [[by_leaf(n, k, leaf) for k, leaf in enumerate(tree_leaves(args[n]))] for n in argnums]


def primitive(f_raw: Function) -> Function:
    """A function of arrays that is one op where it meets tensors; elsewhere the function itself.

    >>> import tapenet.compat.autograd.numpy as np
    >>> from tapenet.compat.autograd import grad
    >>> @primitive
    ... def cube(x):
    ...     return x**3
    >>> defvjp(cube, lambda ans, x: lambda g: g * 3 * x**2)
    >>> grad(cube)(2.0), grad(grad(cube))(2.0)
    (np.float64(12.0), np.float64(12.0))
    """
    name = getattr(f_raw, "__name__", type(f_raw).__name__)

    def forward(inputs: Sequence[Value], call: _Call) -> Value:
        return np.asarray(f_raw(*call.filled(inputs), **call.kwargs))

    recorded = op(forward, name=name if name.isidentifier() else "primitive", inputs=_rule)

    @functools.wraps(f_raw, updated=())
    def called(*args: Value, **kwargs: Value) -> Value:
        given = plain(args)
        if holds_tensor(kwargs := plain(kwargs)):
            raise TypeError(f"{name}: a keyword argument has no derivative: pass it by its place, or getval(t)")
        inputs: list[Tensor] = []

        def placed(leaf: object) -> object:
            if not isinstance(leaf, Tensor):
                return leaf
            inputs.append(leaf)
            return _Place(len(inputs) - 1)

        given = tree_map(placed, given)
        return recorded(inputs, _Call(called, given, kwargs)) if inputs else f_raw(*given, **kwargs)

    called.fun = f_raw  # type: ignore[attr-defined]
    return called


def _rule(g: object, out: object, inputs: Sequence[object], call: _Call) -> tuple[object, ...]:
    return call.gradients(g, out, inputs)


def notrace_primitive(f_raw: Function) -> Function:
    """A function of the values alone, through which no gradient flows."""

    @functools.wraps(f_raw, updated=())
    def called(*args: Value, **kwargs: Value) -> Value:
        return f_raw(*getval(args), **getval(kwargs))

    return called


def getval(x: Value) -> Value:
    """The value of a tensor, an array or a number; what is no tensor as it is.

    >>> from tapenet.compat.autograd import grad
    >>> grad(lambda x: x * getval(x))(3.0)
    np.float64(3.0)
    """
    return tree_map(lambda leaf: leaf.numpy()[()] if isinstance(leaf, Tensor) else leaf, x)


def defvjp(fun: Function, *vjpmakers: Maker, argnums: Iterable[int] | None = None) -> None:
    """Give a primitive its derivatives by each argument, or by those at `argnums`.

    Args:
        vjpmakers: functions of the value and of the arguments, which give the function from the gradient by the value to the
            gradient by the argument; None where that is zero.
    """
    makers = dict(zip(itertools.count() if argnums is None else argnums, vjpmakers, strict=False))

    def maker(argnum: int, ans: object, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Function:
        make = _chosen("VJP", fun, makers, argnum)
        return (lambda g: zeros(args[argnum])) if make is None else make(ans, *args, **kwargs)

    defvjp_argnum(fun, maker)


def defvjp_argnum(fun: Function, vjpmaker: Function) -> None:
    """Give a primitive its derivatives by one function, of the place of an argument, the value, arguments and keywords."""

    def all_of(argnums: Sequence[int], *call: Value) -> Function:
        vjps = [vjpmaker(argnum, *call) for argnum in argnums]
        return lambda g: tuple(vjp(g) for vjp in vjps)

    defvjp_argnums(fun, all_of)


def defvjp_argnums(fun: Function, vjpmaker: Function) -> None:
    """Give a primitive its derivatives by several arguments at once: the function that is made gives a tuple of gradients."""
    _vjps[fun] = vjpmaker


def defjvp(fun: Function, *jvpfuns: Maker | Literal["same"], argnums: Iterable[int] | None = None) -> None:
    """Give a primitive its derivatives, as functions of a tangent of an argument, the value and the arguments, which give the
    tangent of the value; None where that is zero, "same" where the primitive is linear in the argument.

    >>> import tapenet.compat.autograd.numpy as np
    >>> from tapenet.compat.autograd import grad, make_jvp
    >>> scaled = primitive(lambda x, c: x * c)
    >>> defjvp(scaled, "same", lambda g, ans, x, c: x * g)
    >>> make_jvp(scaled)(2.0, 3.0)(1.0), grad(scaled, argnum=1)(2.0, 3.0)
    ((np.float64(6.0), np.float64(3.0)), np.float64(2.0))

    Without `defvjp` a gradient takes a call for each element of the argument.
    """
    pushes = dict(zip(itertools.count() if argnums is None else argnums, jvpfuns, strict=False))

    def push(argnum: int, g: object, ans: object, args: tuple[Value, ...], kwargs: dict[str, Value]) -> Value:
        function = _chosen("JVP", fun, pushes, argnum)
        if function is None:
            return zeros(ans)
        if function == "same":
            return fun(*args[:argnum], g, *args[argnum + 1 :], **kwargs)
        return function(g, ans, *args, **kwargs)

    defjvp_argnum(fun, push)


def defjvp_argnum(fun: Function, jvpmaker: Function) -> None:
    """Give a primitive its derivatives by one function, of the place of an argument, its tangent, the value, arguments and
    keywords."""

    def all_of(argnums: Sequence[int], gs: Sequence[Value], *call: Value) -> Value:
        return functools.reduce(ops.add, [jvpmaker(argnum, g, *call) for argnum, g in zip(argnums, gs, strict=True)])

    defjvp_argnums(fun, all_of)


def defjvp_argnums(fun: Function, jvpmaker: Function) -> None:
    """Give a primitive its derivatives by several arguments at once, as a function of their tangents."""
    _jvps[fun] = jvpmaker


def def_linear(fun: Function) -> None:
    """Say that a primitive is linear in each of its arguments."""
    defjvp_argnum(fun, lambda argnum, g, ans, args, kwargs: fun(*args[:argnum], g, *args[argnum + 1 :], **kwargs))


def _chosen(kind: str, fun: Function, makers: dict[int, Value], argnum: int) -> Value:
    if argnum not in makers:
        raise NotImplementedError(f"{kind} of {fun.__name__} wrt argnum {argnum} not defined")
    return makers[argnum]


#: What programs that reach into autograd itself import, and what to use in its place.
_INTERNAL = {
    "Box": "values that are traced are tensors; what else is differentiated by goes into a container",
    "Node": "tn.tape() holds the nodes of a graph, and tn.draw draws it",
    "JVPNode": "tn.jvp is forward mode",
    "VJPNode": "tn.tape() holds the nodes of a graph, and tn.draw draws it",
    "SparseObject": "a rule may return tn.Scatter",
    "VSpace": "gradients are arrays, in lists, tuples and dicts",
    "vspace": "gradients are arrays, in lists, tuples and dicts",
    "trace": "tn.tape() holds the nodes of a graph, and tn.draw draws it",
}


def __getattr__(name: str) -> NoReturn:
    if name in _INTERNAL:
        raise ImportError(f"autograd's {name} is not there: {_INTERNAL[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
