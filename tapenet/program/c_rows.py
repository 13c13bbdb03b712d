"""C functions as rows of the table of primitives: of numbers, element by element; of arrays, a call for each place in the
leading axes.

What NumPy runs of them is their ufunc; native code calls the functions themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from tapenet.llvm import scalar, ufuncs
from tapenet.llvm.c_functions import CFunction, c_function, call_of
from tapenet.llvm.c_signatures import Part, Signature
from tapenet.llvm.emitter import Value as Register
from tapenet.llvm.emitter import llvm_type
from tapenet.program import batching, primitives
from tapenet.program.batching import Lanes
from tapenet.program.derivatives import ARGUMENTS, ufunc_arguments
from tapenet.program.ir import Instruction, Value
from tapenet.program.primitives import PRIMITIVES, Params, Primitive, Spec, Typed
from tapenet.program.symbols import FUNCTIONS, Operand, Symbol, array_of, builder_of, elementwise

#: Roughly what a call costs beside an addition, where nothing is known of it.
COST = 60.0
#: The functions of arrays, by primitive and the dtypes of arguments and results.
CALLS: dict[str, dict[tuple[np.dtype, ...], CFunction]] = {}
#: The functions behind each ufunc; and of those of numbers the name of the primitive.
OF: dict[np.ufunc, Sequence[CFunction]] = {}
ELEMENTS: dict[np.ufunc, str] = {}
#: What emits the native code of an element, by the dtypes of arguments and result.
Code = dict[tuple[np.dtype, ...], Callable[..., Register]]


def functions(name: str, given: Sequence[object], signatures: Sequence[str | None]) -> list[CFunction]:
    """C functions of one name, one for each of several dtypes.

    Raises:
        TypeError: one is none, or they differ by more than dtypes.
    """
    if len(given) != len(signatures) or not given:
        raise TypeError(f"tn.native {name!r}: {len(given)} functions and {len(signatures)} signatures")
    found = [c_function(f, s, name) for f, s in zip(given, signatures, strict=True)]
    first, *others = ((s.of_arrays, s.core, len(s.inputs)) for s in (f.signature for f in found))
    if any(other != first for other in others):
        words = " and ".join(str(f.signature) for f in found)
        raise TypeError(f"tn.native {name!r}: functions of one name differ in dtypes alone; these are {words}")
    return found


def add(functions: Sequence[CFunction], doc: str) -> np.ufunc:
    """Add the row of a C function, or of one for each of several dtypes.

    Returns:
        what NumPy runs.
    """
    signature = functions[0].signature
    ufunc = ufuncs.ufunc(functions, doc)
    OF[ufunc] = functions
    name = free_name("c", functions[0].name)
    names = ufunc_arguments(ufunc.nin)
    args = ", ".join(names)
    computes = f"the C function {functions[0].name}({args})"
    if signature.of_arrays:
        CALLS[name] = {f.signature.dtypes: f for f in functions}
        gives = f"as {signature.core} says, for each place in the leading axes"
        PRIMITIVES[name] = Primitive("call", partial(_infer, ufunc, functions[0]), ufunc, args, computes, gives)
        primitives.ADDED[name] = functions[0].name
        batching.RULES[name] = partial(over_lanes, [len(p.sizes or ()) for p in signature.inputs])
        FUNCTIONS[ufunc] = partial(_called, name, ufunc)
        return ufunc
    primitives.add_elementwise(name, functions[0].name, ufunc, args, computes)
    ARGUMENTS[name] = names
    batching.RULES[name] = batching.RULES["copy"]
    ELEMENTS[ufunc] = name
    scalar.ADDED[name], scalar.COST[name] = element_code(ufunc)
    FUNCTIONS[ufunc] = partial(_element, name)
    return ufunc


def free_name(kind: str, title: str) -> str:
    """A name that no primitive has yet, and that code may have."""
    found = name = f"{kind}_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in title)
    count = 2
    while found in PRIMITIVES:
        found, count = f"{name}_{count}", count + 1
    return found


# -- of numbers --------------------------------------------------------------------------------------------------


def _element(name: str, *inputs: Operand) -> Symbol:
    return elementwise(builder_of(*inputs), name, *inputs)


def element_code(ufunc: np.ufunc) -> tuple[Code, float]:
    """What emits calls of the functions of numbers behind a ufunc, and what one costs.

    Raises:
        TypeError: there are none.
    """
    if ufunc not in ELEMENTS and ufunc not in OF:
        raise TypeError(f"{ufunc!r} is none that tn.native made")
    return {f.signature.dtypes: partial(_emitted, f) for f in OF[ufunc]}, COST


def _emitted(function: CFunction, *operands: Register) -> Register:
    e = operands[0].e
    e.needs.add(function.symbol)
    register = e.emit(call_of(function.symbol, function.signature, [o.name for o in operands]))
    return Register(e, register, llvm_type(function.signature.dtypes[-1]))


# -- of arrays ---------------------------------------------------------------------------------------------------


def _called(name: str, ufunc: np.ufunc, *inputs: Operand) -> Symbol | tuple[Symbol, ...]:
    builder = builder_of(*inputs)
    arrays = [array_of(builder, x) for x in inputs]
    wanted = ufunc.resolve_dtypes((*(a.dtype for a in arrays), *[None] * ufunc.nout))
    values = [builder.cast(a.value, d) for a, d in zip(arrays, wanted, strict=False)]
    made = tuple(Symbol(builder, v) for v in builder.several(name, *values))
    return made[0] if len(made) == 1 else made


def leading(part: Part, value: Typed) -> tuple[int, ...]:
    """The axes in front of those that the function takes."""
    return value.shape[: len(value.shape) - len(part.sizes or ())]


def lengths(name: str, signature: Signature, args: Sequence[Typed]) -> dict[str, int]:
    """The sizes that a call has, by name.

    Raises:
        ValueError: an argument has too few axes, or two do not agree.
    """
    found: dict[str, int] = {}
    for part, value in zip(signature.inputs, args, strict=True):
        names = part.sizes or ()
        if len(value.shape) < len(names):
            raise ValueError(f"{name} takes {signature}, and is given shape {value.shape}")
        for size, n in zip(names, value.shape[len(value.shape) - len(names) :], strict=True):
            if found.setdefault(size, n) != n:
                raise ValueError(f"{name} takes {signature}: the size {size} is {found[size]} and {n}")
    return found


def _infer(ufunc: np.ufunc, function: CFunction, args: Sequence[Spec], params: Params) -> list[Spec]:
    dtypes = tuple(a.dtype for a in args)
    wanted = ufunc.resolve_dtypes((*dtypes, *[None] * ufunc.nout))
    if wanted[: len(dtypes)] != dtypes:
        raise TypeError(f"{function.name} takes {wanted[: len(dtypes)]}, not {dtypes}")
    signature = function.signature
    sizes = lengths(function.name, signature, args)
    lead = np.broadcast_shapes(*(leading(p, a) for p, a in zip(signature.inputs, args, strict=True)))
    results = zip(signature.outputs, wanted[len(dtypes) :], strict=True)
    return [Spec((*lead, *(sizes[n] for n in part.sizes or ())), dtype) for part, dtype in results]


def over_lanes(
    axes: Sequence[int], lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]
) -> list[tuple[Value, bool]]:
    """the same, with axes of length 1 behind the lanes of arguments with fewer leading axes"""
    lead = max(a.ndim - n for a, n in zip(instruction.args, axes, strict=True))
    given = [lanes.aligned(a, flag, lead + n) for a, flag, n in zip(args, flags, axes, strict=True)]
    return [(v, True) for v in lanes.builder.several(instruction.name, *given)]
