"""The mathematical functions of the native backend, as branch-free LLVM functions of scalars.

LLVM inlines them and turns the loop around them into SIMD code. So there are only selects, no branches and no tables;
a float is rounded to an integer by adding a large constant, which every machine can do; and nothing needs a fused
multiply-add to be accurate. What is written once for both float types takes coefficients and constants by type.
Functions marked `in_double` compute float32 in double. Zeros with their signs, infinities, nan and denormals come out
as C's functions have them.

Double sin, cos, tan and power are left to the C library; a loop that calls these is not vectorised.

Largest error in ulp, with and without fused multiply-add:

TABLE
"""

from __future__ import annotations

from tapenet.llvm import circular, exponential
from tapenet.llvm.emitter import SUFFIX, Emitter, Value
from tapenet.llvm.formulas import FUNCTIONS, call

__all__ = ["ARITY", "FUNCTIONS", "call", "circular", "declarations", "definition", "exponential"]

#: How many arguments these have; the others have one.
ARITY = {"logaddexp": 2, "power": 2, "hypot": 2, "arctan2": 2, "pow": 2}
#: They depend on their arguments alone; what C does with `errno` does not matter.
_PURE = "nounwind willreturn memory(none)"
_TYPE = {suffix: type for type, suffix in SUFFIX.items()}
#: Of functions by address (`c_functions`), by symbol.
declarations: dict[str, str] = {}


def _type(suffix: str) -> str:
    """The float type, or vector of it, that names end in this suffix for."""
    if suffix[0] != "v":
        return _TYPE[suffix]
    lanes, _, short = suffix[1:].partition("f")
    return f"<{lanes} x {_TYPE['f' + short]}>"


def definition(symbol: str) -> tuple[str, set[str]]:
    """The text of a function `tn_NAME_TYPE`, or the declaration of one of C's for doubles, and what that needs."""
    if symbol in declarations:
        return declarations[symbol], set()
    if not symbol.startswith("tn_"):
        parameters = ", ".join(["double"] * ARITY.get(symbol, 1))
        return f"declare double @{symbol}({parameters}) {_PURE}\n", set()
    name, _, suffix = symbol.removeprefix("tn_").rpartition("_")
    e, type = Emitter(), _type(suffix)
    arguments = [Value(e, f"%x{i}", type) for i in range(ARITY.get(name, 1))]
    result = FUNCTIONS[name](*arguments)
    parameters = ", ".join(f"{type} {a.name}" for a in arguments)
    body = "\n".join([*e.lines, f"  ret {type} {result.name}"])
    return f"define internal {type} @{symbol}({parameters}) alwaysinline {_PURE} {{\n{body}\n}}\n", e.needs
