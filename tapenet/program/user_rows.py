"""Rows of the table of primitives that users add: element by element, or of arrays with a rule for the shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from tapenet.llvm import scalar
from tapenet.llvm.c_signatures import Signature, parsed
from tapenet.llvm.emitter import Emitter, llvm_type, supported
from tapenet.llvm.emitter import Value as Register
from tapenet.program import batching, primitives, pullback, pushforward
from tapenet.program.c_rows import CALLS, OF, element_code, free_name, leading, lengths, over_lanes
from tapenet.program.derivatives import ARGUMENTS, RULES, Rule
from tapenet.program.differentiating import zeros
from tapenet.program.ir import Builder, Input, Instruction, Program, Value, inline
from tapenet.program.primitives import PRIMITIVES, Given, Primitive, Spec, loop_dtypes
from tapenet.program.pushforward import Tangent
from tapenet.program.scalar_expressions import emitted
from tapenet.program.symbols import Operand, Symbol, array_of, builder_of, elementwise
from tapenet.program.transposing import transposed
from tapenet.typing import Array, Shape

#: What a primitive computes, in NumPy; and what pulls gradients back to an argument, with the names of what that asks for.
Forward = Callable[..., object]
Pull = tuple[Rule, tuple[str, ...]]
#: From the shapes of the arguments that of the result.
ShapeOf = Callable[..., Shape]
#: Dtypes that a scalar expression is tried for.
TRIED = [np.dtype(c) for c in "fdbBhHiIlL?"]


class Row(NamedTuple):
    """What is said of a primitive.

    Attributes:
        title: its name.
        forward: what it computes.
        arguments: what its arguments are called.
        rules: by argument; those without one have no derivative.
        native: an expression of numbers, or a ufunc of C functions.
    """

    title: str
    forward: Forward
    arguments: tuple[str, ...]
    rules: Mapping[str, Pull]
    native: Callable[..., object] | None

    @property
    def computes(self) -> str:
        return f"the primitive {self.title}({', '.join(self.arguments)})"


# -- element by element ------------------------------------------------------------------------------------------


class _Elementwise:
    """A function of elements that is no ufunc: it takes arguments of all dtypes as they are."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.__name__ = row.title

    def __call__(self, *args: Array) -> Array:
        return np.asarray(self.row.forward(*args))

    def resolve_dtypes(self, given: Sequence[Given | None]) -> tuple[np.dtype, ...]:
        """The dtypes of arguments and result, as those of a ufunc: found by a call."""
        strong = [d for d in given if isinstance(d, np.dtype)]
        dtypes = [d if isinstance(d, np.dtype) else np.result_type(*strong, d()) for d in given[:-1] if d is not None]
        with np.errstate(all="ignore"):
            result = np.asarray(self.row.forward(*(np.ones(1, d) for d in dtypes)))
        if result.shape != (1,):
            raise TypeError(
                f"tn.primitive {self.row.title!r}: of arguments of shape (1,) it gives shape {result.shape}: it does not work "
                "element by element, so give shape="
            )
        return (*dtypes, result.dtype)


def applied(name: str, operands: Sequence[Operand]) -> Symbol:
    """A primitive applied to symbols."""
    builder = builder_of(*operands)
    if PRIMITIVES[name].kind == "elementwise":
        return elementwise(builder, name, *operands)
    return Symbol(builder, builder.emit(name, *(array_of(builder, x).value for x in operands)))


def add_elementwise(row: Row) -> str:
    """Add a row that works element by element.

    Returns:
        the name of the primitive.
    """
    name = free_name("u", row.title)
    ARGUMENTS[name] = row.arguments
    if row.rules:
        RULES[name] = {n: _plain(*pull) for n, pull in row.rules.items()}
    run: Callable[..., Array] = row.forward if isinstance(row.forward, np.ufunc) else _Elementwise(row)
    primitives.add_elementwise(name, row.title, run, ", ".join(row.arguments), row.computes)
    batching.RULES[name] = batching.RULES["copy"]
    try:
        _add_code(name, row)
    except TypeError as error:
        raise TypeError(f"tn.primitive {row.title!r}: {error}") from error
    return name


def _plain(rule: Rule, needs: tuple[str, ...]) -> Rule:
    """A rule as one whose code says what it asks for."""
    made: Rule = eval(f"lambda {', '.join(needs)}: rule({', '.join(needs)})", {"rule": rule})
    return made


def _add_code(name: str, row: Row) -> None:
    """Add the native code of an elementwise row, for the dtypes that it has it for."""
    native = row.native
    code: dict[tuple[np.dtype, ...], Callable[..., Register]] = {}
    cost = 0.0
    if isinstance(native, np.ufunc):
        code, cost = element_code(native)
        for dtypes in code:
            found = loop_dtypes(name, dtypes[:-1])
            if found != dtypes:
                raise TypeError(f"native= is {native!r} of {native.types}, and the function gives {found[-1]}")
    elif native is not None:
        wrong: TypeError | None = None
        for dtype in filter(supported, TRIED):
            same = (dtype,) * len(row.arguments)
            try:
                dtypes = loop_dtypes(name, same)
            except TypeError:  # NumPy's code takes no such numbers
                continue
            if not supported(dtypes[-1]):
                continue
            e = Emitter()
            emit = partial(emitted, native, dtypes[-1], same)
            try:
                emit(*(Register(e, f"%x{i}", llvm_type(dtype)) for i in range(len(same))))
            except TypeError as error:
                wrong = wrong or error
                continue
            code[dtypes] = emit
            cost = max(cost, len(e.lines) + 20.0 * len(e.needs))
        # Of floats what runs for one width alone may be meant; what runs for whole numbers alone is not, where NumPy's code
        # takes floats.
        if wrong is not None and not any(d.kind == "f" for dtypes in code for d in dtypes[:1]):
            raise wrong
    if code:
        scalar.ADDED[name] = code
        scalar.COST[name] = cost


# -- of arrays ---------------------------------------------------------------------------------------------------


def add_shaped(row: Row, shape: str | ShapeOf, first: bool) -> str:
    """Add a row with a rule for the shape.

    Args:
        row: what it computes.
        shape: of a function that works on the last axes, their sizes, "(m,n),(n)->(m)"; or a function of the arguments' shapes.
        first: whether it computes once for each place in the leading axes.

    Returns:
        the name of the primitive.
    """
    name = free_name("u", row.title)
    signature = parsed(shape) if isinstance(shape, str) else None
    if isinstance(row.native, np.ufunc):
        if signature is None or row.native.signature != signature.core:
            raise TypeError(
                f"tn.primitive {row.title!r}: native= has the signature {row.native.signature}, and shape= is {shape!r}"
            )
        CALLS[name] = {f.signature.dtypes: f for f in OF[row.native]}
    find = partial(_of_function, row, shape) if callable(shape) else partial(_of_sizes, row, parsed(shape))
    spec = lru_cache(maxsize=1024)(find)
    gives = "as `shape` says" if callable(shape) else f"as {shape} says"
    args = ", ".join(row.arguments)
    PRIMITIVES[name] = Primitive(
        "call", lambda given, _: [spec(tuple(given))], partial(_evaluated, row, spec), args, row.computes, gives
    )
    primitives.ADDED[name] = row.title
    if signature is not None:
        batching.RULES[name] = partial(over_lanes, [len(p.sizes or ()) for p in signature.inputs])
    else:
        batching.RULES[name] = batching.first if first else batching.looped
    if row.rules:
        pullback.STRUCTURE[name] = partial(_pulled, row)
        pushforward.OTHERS[name] = partial(_pushed, row)
    return name


def _evaluated(row: Row, spec: Callable[[tuple[Spec, ...]], Spec], *args: Array) -> Array:
    found = np.asarray(row.forward(*args))
    expected = spec(tuple(Spec(a.shape, a.dtype) for a in args))
    if (found.shape, found.dtype) != expected:
        raise ValueError(
            f"{row.computes} gave {found.dtype} {found.shape}; by its shape= and the dtypes of its arguments that is "
            f"{expected.dtype} {expected.shape}"
        )
    return found


def _of_function(row: Row, shape: ShapeOf, args: Sequence[Spec]) -> Spec:
    return Spec(tuple(map(int, shape(*(a.shape for a in args)))), np.result_type(*(a.dtype for a in args)))


def _of_sizes(row: Row, signature: Signature, args: Sequence[Spec]) -> Spec:
    sizes = lengths(row.title, signature, args)
    lead = np.broadcast_shapes(*(leading(p, a) for p, a in zip(signature.inputs, args, strict=True)))
    with np.errstate(all="ignore"):  # by a call of which all sizes are 1
        ones = [np.ones((1,) * len(p.sizes or ()), a.dtype) for p, a in zip(signature.inputs, args, strict=True)]
        dtype = np.asarray(row.forward(*ones)).dtype
    return Spec((*lead, *(sizes[n] for n in signature.outputs[0].sizes or ())), dtype)


def _pulled(row: Row, builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    """The gradient by an argument, as its rule says."""
    argument = row.arguments[position]
    if argument not in row.rules:
        return zeros(builder, instruction.args[position].shape, g.dtype)
    rule, needs = row.rules[argument]
    known: dict[str, object] = {"g": Symbol(builder, g, shared=True), "out": Symbol(builder, out, shared=True)}
    for n, value in zip(row.arguments, instruction.args, strict=True):
        known |= {n: Symbol(builder, value, shared=True), f"{n}_shape": value.shape, f"{n}_dtype": value.dtype}
    with np.errstate(all="ignore"):
        return array_of(builder, rule(*(known[n] for n in needs))).value


def _pushed(row: Row, builder: Builder, instruction: Instruction, tangents: Sequence[Tangent]) -> Tangent:
    """The tangent of the result: the rules are linear in the gradient, and their transpose is the derivative itself."""
    active = [i for i, t in enumerate(tangents) if t is not None and row.arguments[i] in row.rules]
    if not active:
        return None
    inner = Builder()
    inputs = [Input(a.shape, a.dtype) for a in instruction.args]
    out = inner.emit(instruction.name, *inputs)
    pulled = pullback.pullback(Program(inputs, [], inner.body, [out], []), active)
    pushed = transposed(pulled, [len(inputs)])
    given = [t for i in active if (t := tangents[i]) is not None]
    return inline(builder, pushed, [*instruction.args, *given])[0]
