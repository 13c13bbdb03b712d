"""Updates of parameters by elementwise rules: one pass over the memory of the gradient, the parameters and their state."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from tapenet.llvm import scalar
from tapenet.llvm.kernel import Kernel
from tapenet.llvm.sharing import Shared

#: What a call computes: the ufunc's name, and its operands, values by number and constants, which are floats. Values are
#: the gradient, the parameter, the states, the numbers of the update, and what each call gives.
Call = tuple[str, tuple[int | float, ...]]
#: What reading or writing a number costs, in multiply-adds: between that from a cache and that from memory.
COST = 5


def cost(calls: Sequence[Call], stored: int) -> int:
    """That of an element of the parameter, in multiply-adds, where so many numbers are stored for it."""
    return COST * (1 + 2 * stored) + int(sum(scalar.COST.get(name, 1) for name, _ in calls))


@functools.lru_cache(maxsize=64)
def code(scalars: int, calls: tuple[Call, ...], results: tuple[int, ...], char: str) -> Shared | None:
    """A function of (gradient, parameter, *states, numbers) that writes the parameter and the states; None where a ufunc has
    no native form. What it rounds it rounds as NumPy does.

    Args:
        scalars: how many numbers of the update there are.
        calls: in order.
        results: the new parameter and the new states.
        char: of the dtype.
    """
    k = Kernel("update", char)
    k.flags = ""  # a product and a sum in one instruction would give another number
    dtype = k.dtype
    if not all(scalar.can(name, [dtype] * len(operands), dtype) for name, operands in calls):
        return None
    arrays = [k.array(1) for _ in (0, *results)]
    numbers = k.array(max(1, scalars))
    begin, end = k.range(grain=k.lanes)
    given = [numbers.load(i).name for i in range(scalars)]
    for i in k.turns(end, begin):
        values = [a.load(i).name for a in arrays] + given
        for name, operands in calls:
            registers = [values[o] if isinstance(o, int) else scalar.literal(o, dtype) for o in operands]
            values.append(scalar.apply(k, name, [dtype] * len(operands), dtype, registers))
        for array, result in zip(arrays[1:], results, strict=True):
            scalar.store(k, values[result], array.at(i), dtype)
    return k.shared()
