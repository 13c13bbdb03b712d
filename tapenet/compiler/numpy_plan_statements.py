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

from tapenet.compiler.ir import Constant, Instruction, Value
from tapenet.compiler.numpy_plan_places import CONSTANT, Places, Spot, slices_text
from tapenet.compiler.primitives import ELEMENTWISE, PRIMITIVES, REDUCTIONS, Hole, function

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
    evaluate = partial(PRIMITIVES[instruction.name].evaluate, **instruction.params)
    called = places.shared(places.name("f"), evaluate)
    args = [places.array(arg) for arg in instruction.args]
    op = instruction.params.get("op")
    if op is not None and op.effect:  # it may keep what it is given
        args = [f"{a}.copy()" for a in args]
    names = [places.given(result) for result in instruction.results]
    places.line(f"{', '.join(names)} = {called}({', '.join(args)})")


# -- element by element ------------------------------------------------------------------------------------------


def _elementwise(places: Places, instruction: Instruction, position: int) -> None:
    name, args = instruction.name, instruction.args
    if name == "power" and _is_number(args[1], 2):
        name, args = "square", args[:1]
    ufunc = np.power if name == "power" else function(name)
    called = places.shared(name, ufunc)
    operands = [places.operand(a) for a in args]
    out = places.target(instruction, position, over=args)
    places.line(f"{called}({', '.join([*operands, out.name])})")


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
    into = _bits(places, result, kind) if places.target(instruction, position) else ""
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
    """A sum over the first or the last axes as a product with ones, if it can be one."""
    (arg,), (result,) = instruction.args, instruction.results
    axes = instruction.params["axes"]
    first, last = axes == tuple(range(len(axes))), axes == tuple(range(arg.ndim - len(axes), arg.ndim))
    if result.dtype.char not in "fd" or not arg.size or not (first or last):
        return False
    length = arg.size // result.size
    if last and length > ONES:
        return False
    flat = (length,) if not result.ndim else (length, result.size) if first else (result.size, length)
    source = _reshaped(places, arg, flat)
    if source is None:
        return False
    ones = places.ones(length, arg.dtype)
    places.target(instruction, position, matrix=True)
    into = _reshaped(places, result, flat[len(flat) - 1 :] if first else flat[:1]) if result.ndim else None
    if result.ndim and into is None:
        raise AssertionError
    return True


@_statement("argmax", "argmin")
def _arg(places: Places, instruction: Instruction, position: int) -> None:
    source = places.array(instruction.args[0])
    out = places.target(instruction, position)
    places.line(f"{source}.{instruction.name}({instruction.params['axis']}, {out.name})")
