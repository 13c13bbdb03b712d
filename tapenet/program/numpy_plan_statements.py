"""The NumPy plan: the statements each primitive becomes.

One function per primitive (or kind), registered by name. What is not here calls the primitive's own `evaluate`. Calls
are chosen by their overhead on small arrays, measured on one machine with NumPy 2.4: a ufunc with its result as last
positional argument 240 ns, with `out=` 290; `a.dot(b, out)` 230, `np.dot` 320, `np.matmul` 610; a Python float as
operand 505, an array of no axes 245; `b[...] = a` 100, `np.copyto` 210.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tapenet.program.ir import Constant, Instruction, Reference, Result, Value
from tapenet.program.layout import c_strides
from tapenet.program.numpy_plan_memory import slices_text
from tapenet.program.numpy_plan_places import Places
from tapenet.program.primitives import ELEMENTWISE, PRIMITIVES, REDUCTIONS, Hole, caller, function, numpy_slices
from tapenet.program.runs import LONG, column_sums, dot

Statement = Callable[[Places, Instruction, int], None]

#: From this many elements on, `where` selects by bits: a branch per element costs ten times as much where the
#: condition has no pattern.
BITS = 512
#: Up to this many elements in a row, a sum along it is a product with ones: two to five times as fast, but without
#: pairwise summation, which long rows need.
ONES = 4096

STATEMENTS: dict[str, Statement] = {}


def emit(places: Places, instruction: Instruction, position: int) -> None:
    """Add the statements of an instruction."""
    STATEMENTS.get(instruction.name, _evaluate)(places, instruction, position)
    places.release(position)


def _statement(*names: str) -> Callable[[Statement], Statement]:
    def register(made: Statement) -> Statement:
        STATEMENTS.update(dict.fromkeys(names, made))
        return made

    return register


def _evaluate(places: Places, instruction: Instruction, position: int) -> None:
    """Whatever has no statement of its own."""
    params = instruction.params
    args = [places.array(arg) for arg in instruction.args]
    op = params.get("op")
    evaluate: Any = partial(PRIMITIVES[instruction.name].evaluate, **params)
    if op is not None:
        call = caller(op, params["template"], params["specs"], bool(params.get("sized")), instruction.line)
        evaluate = lambda *args: call(args)
    called = places.shared(places.name("f"), evaluate)
    if op is not None and op.effect:  # it may keep what it is given; into a tensor it may write
        args = [a if isinstance(v, Reference) else f"{a}.copy()" for a, v in zip(args, instruction.args, strict=True)]
    names = [places.given(result, position) for result in instruction.results]
    places.line(f"{', '.join(names)} = {called}({', '.join(args)})")


# -- element by element ------------------------------------------------------------------------------------------


def _elementwise(places: Places, instruction: Instruction, position: int) -> None:
    name, args = instruction.name, instruction.args
    if instruction in places.summed and _inner(places, instruction) is not None:
        return
    if name == "power" and _is_number(args[1], 2):
        name, args = "square", args[:1]
    ufunc = np.power if name == "power" else function(name)
    if name == "multiply" and _outer(places, instruction, position):
        return
    called = places.shared(name, ufunc)
    operands = [places.operand(a, instruction.results[0].shape) for a in args]
    out = places.target(instruction, position, over=args)
    # For these NumPy 2.4 deprecates the third argument by position.
    by_name = "out=" if name in ("maximum", "minimum") else ""
    places.line(f"{called}({', '.join(operands)}, {by_name}{out.name})")


def _outer(places: Places, instruction: Instruction, position: int) -> bool:
    """A column times a row, as the matrix product it is: half the time of broadcasting."""
    (a, b), (result,) = instruction.args, instruction.results
    if result.dtype.char not in "fd" or result.ndim != 2 or 1 in result.shape:
        return False
    n, m = result.shape
    if (a.shape, b.shape) == ((1, m), (n, 1)):
        a, b = b, a
    if (a.shape, b.shape) != ((n, 1), (1, m)):
        return False
    _product(places, instruction, position, (a, False), (b, False))
    return True


def _is_number(value: Value, number: float) -> bool:
    return isinstance(value, Constant) and value.size == 1 and value.array.item() == number and value.dtype.kind == "f"


for _name in (*ELEMENTWISE, "power", "erf", "erfc"):
    STATEMENTS[_name] = _elementwise


@_statement("cast", "copy")
def _assign(places: Places, instruction: Instruction, position: int) -> None:
    source = places.operand(instruction.args[0])
    out = places.target(instruction, position)
    places.line(f"{out.name}[...] = {source}")


@_statement("zmul")
def _zmul(places: Places, instruction: Instruction, position: int) -> None:
    operands = [places.operand(a) for a in instruction.args]
    out = places.target(instruction, position)
    places.line(f"{places.shared('zmul', zmul)}({', '.join(operands)}, {out.name})")


def zmul(a: Any, d: Any, out: Any) -> None:
    """a * d into out, but 0 wherever a factor is 0."""
    np.multiply(a, d, out)
    total = np.add.reduce(out, None)
    if total - total != 0:  # otherwise finite, hence no nan inside: the usual case, in one pass
        np.copyto(out, 0, where=(a == 0) | (d == 0))


@_statement("where")
def _where(places: Places, instruction: Instruction, position: int) -> None:
    y = instruction.args[2]
    (result,) = instruction.results
    if result.size >= BITS and result.dtype.itemsize in (1, 2, 4, 8):
        _select(places, instruction, position)
        return
    copyto = places.shared("copyto", np.copyto)
    chosen, first, second = (places.operand(v) for v in instruction.args)
    out = places.target(instruction, position, over=[y], strict=True)
    if out.name != second:
        places.line(f"{out.name}[...] = {second}")
    places.line(f"{copyto}({out.name}, {first}, 'no', {chosen})")


def _select(places: Places, instruction: Instruction, position: int) -> None:
    """`where` by bits: with a mask of all ones or zeros for each element, y ^ ((x ^ y) & mask)."""
    condition, x, y = instruction.args
    (result,) = instruction.results
    kind = np.dtype(f"i{result.dtype.itemsize}")
    mask = places.temporary(condition.shape, kind, position)
    choice, first, second = _bits(places, condition, np.dtype("i1")), _bits(places, x, kind), _bits(places, y, kind)
    places.target(instruction, position)
    into = _bits(places, result, kind)
    for name in ("subtract", "negative", "bitwise_and", "bitwise_xor"):
        places.shared(name, getattr(np, name))
    places.line(f"{mask}[...] = {choice}")
    if _is_zero(x):
        one = places.constant(np.ones((), kind))
        places.line(f"subtract({mask}, {one}, {mask})")
        places.line(f"bitwise_and({second}, {mask}, {into})")
        return
    places.line(f"negative({mask}, {mask})")
    if _is_zero(y):
        places.line(f"bitwise_and({first}, {mask}, {into})")
        return
    places.line(f"bitwise_xor({first}, {second}, {into})")
    places.line(f"bitwise_and({into}, {mask}, {into})")
    places.line(f"bitwise_xor({into}, {second}, {into})")


def _is_zero(value: Value) -> bool:
    return isinstance(value, Constant) and value.size == 1 and not any(value.array.tobytes())


def _bits(places: Places, value: Value, dtype: np.dtype[Any]) -> str:
    """The array of an operand as integers."""
    return places.derived(places.unspread(value), f".view({places.dtype(dtype)})", lambda a: a.view(dtype))


# -- reductions --------------------------------------------------------------------------------------------------


@_statement(*REDUCTIONS)
def _reduction(places: Places, instruction: Instruction, position: int) -> None:
    (arg,) = instruction.args
    axes = instruction.params["axes"]
    if instruction.name == "reduce_add" and _sum(places, instruction, position):
        return
    ufunc = REDUCTIONS[instruction.name]
    called = places.shared(f"{ufunc.__name__}_reduce", ufunc.reduce)
    source = places.array(arg)
    out = places.target(instruction, position)
    axis = None if len(axes) == arg.ndim else axes[0] if len(axes) == 1 else axes
    places.line(f"{called}({source}, {axis}, None, {out.name})")


def _sum(places: Places, instruction: Instruction, position: int) -> bool:
    """A sum as a dot product of what is multiplied before, or over the first or the last axes as a product with ones, if
    it can be one."""
    (arg,), (result,) = instruction.args, instruction.results
    factors = _inner(places, arg.instruction) if isinstance(arg, Result) and arg.instruction in places.summed else None
    if factors is not None:
        out = places.target(instruction, position)
        if arg.size < LONG:
            places.line(f"{factors[0]}.dot({factors[1]}, {out.name})")
        else:
            places.line(f"{out.name}[...] = {places.shared('long_dot', dot)}({factors[0]}, {factors[1]})")
        return True
    axes = instruction.params["axes"]
    first, last = axes == tuple(range(len(axes))), axes == tuple(range(arg.ndim - len(axes), arg.ndim))
    if arg.dtype.char not in "fd" or not arg.size or not (first or last):
        return False
    length = arg.size // result.size
    if length > ONES and last:
        return False
    rest = (result.size,) if result.ndim else ()
    source = places.reshaped(arg, (length, *rest) if first else (*rest, length))
    if source is None:
        return False
    places.target(instruction, position, dense="rows")
    into = places.reshaped(result, rest)
    if length >= LONG:
        places.line(f"{into}[...] = {places.shared('column_sums', column_sums)}({source})")
        return True
    ones = places.ones(length, arg.dtype)
    places.line(f"{ones}.dot({source}, {into})" if first else f"{source}.dot({ones}, {into})")
    return True


def _inner(places: Places, product: Instruction) -> tuple[str, str] | None:
    """The factors of a product as vectors, or None where that takes a copy."""
    a, b = (places.reshaped(arg, (arg.size,)) for arg in product.args)
    return None if a is None or b is None else (a, b)


@_statement("argmax", "argmin")
def _arg(places: Places, instruction: Instruction, position: int) -> None:
    source = places.array(instruction.args[0])
    out = places.target(instruction, position)
    places.line(f"{source}.{instruction.name}({instruction.params['axis']}, {out.name})")


# -- products ----------------------------------------------------------------------------------------------------


@_statement("dot")
def _dot(places: Places, instruction: Instruction, position: int) -> None:
    a, b = instruction.args
    ta, tb = bool(instruction.params.get("ta")), bool(instruction.params.get("tb"))
    if a.ndim > 2:
        matmul = places.shared("matmul", np.matmul)
        left, right = _factor(places, a, ta), _factor(places, b, tb)
        out = places.target(instruction, position, dense="matrix")
        places.line(f"{matmul}({left}, {right}, {out.name})")
        return
    _product(places, instruction, position, (a, ta), (b, tb))


def _product(
    places: Places, instruction: Instruction, position: int, left: tuple[Value, bool], right: tuple[Value, bool]
) -> None:
    """The product of two matrices, each given with whether it is transposed."""
    (result,) = instruction.results
    a, b = _factor(places, *left), _factor(places, *right)
    out = places.target(instruction, position, dense="matrix")
    if out.strides == c_strides(result.shape):
        places.line(f"{a}.dot({b}, {out.name})")
    else:  # the transposed product, which is row-major
        a, b = _factor(places, left[0], not left[1]), _factor(places, right[0], not right[1])
        places.line(f"{b}.dot({a}, {places.swapped(result)})")


def _factor(places: Places, value: Value, transposed: bool) -> str:
    return places.swapped(value) if transposed else places.array(value)


# -- views that are copies, and movement -------------------------------------------------------------------------


@_statement("transpose", "broadcast", "slice")
def _view(places: Places, instruction: Instruction, position: int) -> None:
    places.view(instruction)


@_statement("reshape")
def _reshape(places: Places, instruction: Instruction, position: int) -> None:
    if places.view(instruction):
        return
    # The memory order does not allow it: a row-major copy, seen in both shapes.
    (arg,), (result,) = instruction.args, instruction.results
    places.target(instruction, position, dense="rows")
    into = places.reshaped(result, arg.shape)
    places.line(f"{into}[...] = {places.array(arg)}")


@_statement("concatenate")
def _concatenate(places: Places, instruction: Instruction, position: int) -> None:
    concatenate = places.shared("concatenate", np.concatenate)
    parts = ", ".join(places.array(a) for a in instruction.args)
    out = places.target(instruction, position)
    places.line(f"{concatenate}(({parts},), {instruction.params['axis']}, {out.name})")


@_statement("update")
def _update(places: Places, instruction: Instruction, position: int) -> None:
    base, value = instruction.args
    (result,) = instruction.results
    first, part = places.operand(base), places.operand(value)
    out = places.target(instruction, position, over=[base], strict=True)
    if out.name != first:
        places.line(f"{out.name}[...] = {first}")
    slices = instruction.params["slices"]
    index = numpy_slices(slices)
    into = places.derived(result, f"[{slices_text(slices)}]", lambda a: a[index or ...])
    places.line(f"{into}[...] = {part}")


@_statement("take")
def _take(places: Places, instruction: Instruction, position: int) -> None:
    a, i = (places.array(v) for v in instruction.args)
    text = f"{a}.take({i}, {instruction.params['axis']})"
    if not instruction.results[0].ndim:  # a NumPy scalar
        text = f"{places.shared('asarray', np.asarray)}({text})"
    places.allocated(instruction, position, text)


@_statement("index")
def _index(places: Places, instruction: Instruction, position: int) -> None:
    a, *index = (places.array(v) for v in instruction.args)
    text = f"{a}[{_index_text(places, instruction.params['template'], index)}]"
    if not any(v.ndim for v in instruction.args[1:]):  # numbers give a view, or a NumPy scalar
        text = f"{places.shared('array', np.array)}({text})"
    places.allocated(instruction, position, text)


def _index_text(places: Places, template: Any, arrays: list[str]) -> str:
    """An index with its arrays filled in."""

    def part(t: Any) -> str:
        if isinstance(t, Hole):
            return arrays[t.position]
        if isinstance(t, slice):
            return places.shared(places.name("s"), t)
        return "..." if t is Ellipsis else repr(t) if t is None or type(t) is int else places.constant(t)

    return ", ".join(map(part, template)) + ("," if len(template) == 1 else "")


@_statement("put")
def _put(places: Places, instruction: Instruction, position: int) -> None:
    base, values, *indices = instruction.args
    first, part = places.operand(base), places.operand(values)
    index = [places.array(v) for v in indices]  # not a part: they say the shape of what is written
    out = places.target(instruction, position, over=[base], strict=True)
    if out.name != first:
        places.line(f"{out.name}[...] = {first}")
    places.line(f"{out.name}[{_index_text(places, instruction.params['template'], index)}] = {part}")


@_statement("scatter_add")
def _scatter_add(places: Places, instruction: Instruction, position: int) -> None:
    add_at = places.shared("add_at", np.add.at)
    values = places.operand(instruction.args[0])
    index = [places.array(v) for v in instruction.args[1:]]  # not a part: each repetition adds
    out = places.target(instruction, position)
    places.line(f"{out.name}.fill(0)")
    text = _index_text(places, instruction.params["template"], index)
    places.line(f"{add_at}({out.name}, ({text}), {values})")
