"""Ufuncs as rows of the table of primitives, element by element: SciPy's special functions, and what NumPy has beside the
functions that native code has formulas for.

Native code calls their inner loops, those that NumPy runs, so that results are the same, without Python. Each is differentiated
as the op that stands for it (`ops.functions`).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from tapenet.llvm import scalar
from tapenet.program import batching, primitives
from tapenet.program.c_rows import free_name
from tapenet.program.derivatives import ARGUMENTS, ufunc_arguments
from tapenet.program.symbols import FUNCTIONS, Operand, Symbol, builder_of, elementwise

#: By the name of the primitive.
UFUNCS: dict[str, np.ufunc] = {}
OF_NUMPY = (
    np.bitwise_count, np.float_power, np.gcd, np.lcm, np.ldexp, np.logaddexp2, np.nextafter, np.spacing,
)  # fmt: skip
#: Roughly what an element costs beside an addition: these are long series and continued fractions.
COST = 200.0


def add(ufunc: np.ufunc) -> str | None:
    """Add the row of a ufunc with one result, and return the name of the primitive. None if there is one already."""
    if ufunc in FUNCTIONS or ufunc.nout != 1 or ufunc.signature is not None:
        return None
    name = free_name("s", ufunc.__name__)
    names = ufunc_arguments(ufunc.nin)
    args = ", ".join(names)
    module = "np" if ufunc in OF_NUMPY else "scipy.special"
    primitives.add_elementwise(name, ufunc.__name__, ufunc, args, f"{module}.{ufunc.__name__}({args})")
    ARGUMENTS[name] = names
    batching.RULES[name] = batching.RULES["copy"]
    scalar.COST[name] = COST
    UFUNCS[name] = ufunc
    FUNCTIONS[ufunc] = partial(_element, name)
    return name


def _element(name: str, *inputs: Operand) -> Symbol:
    return elementwise(builder_of(*inputs), name, *inputs)


for _ufunc in OF_NUMPY:
    add(_ufunc)
