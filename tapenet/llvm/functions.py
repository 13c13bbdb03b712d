"""The mathematical functions of the native backend, as branch-free LLVM functions of scalars.

LLVM inlines them and turns the loop around them into SIMD code; where a kernel has many, it calls them, on vectors too
(`outlining`). So there are only selects, no branches and no tables;
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
from tapenet.llvm.processor import registers

__all__ = [
    "ARITY", "CALLED", "FUNCTIONS", "LANES", "call", "circular", "declarations", "definition", "exponential", "forms",
]  # fmt: skip

#: How many arguments these have; the others have one.
ARITY = {"logaddexp": 2, "power": 2, "hypot": 2, "arctan2": 2, "pow": 2}
#: They depend on their arguments alone; what C does with `errno` does not matter.
_PURE = "nounwind willreturn memory(none)"
_TYPE = {suffix: type for type, suffix in SUFFIX.items()}
#: What the names of functions that are called begin with, in place of `tn_`, and how many lanes vectors have.
CALLED, LANES = "called_", (16, 8, 4, 2)
#: What gives two functions at once. It is called where both are.
TOGETHER = {"sincos": circular.sincos}
#: Of functions by address (`c_functions`), by symbol.
declarations: dict[str, str] = {}


def _type(suffix: str) -> str:
    """The float type, or vector of it, that names end in this suffix for."""
    if suffix[0] != "v":
        return _TYPE[suffix]
    lanes, _, short = suffix[1:].partition("f")
    return f"<{lanes} x {_TYPE['f' + short]}>"


def definition(symbol: str) -> tuple[str, set[str]]:
    """The text of a function `tn_NAME_TYPE` that is inlined, or `called_NAME_TYPE` that is not, or the declaration of one of
    C's for doubles, and what that needs."""
    if symbol in declarations:
        return declarations[symbol], set()
    if not symbol.startswith(("tn_", CALLED)):
        parameters = ", ".join(["double"] * ARITY.get(symbol, 1))
        return f"declare double @{symbol}({parameters}) {_PURE}\n", set()
    called = symbol.startswith(CALLED)
    name, _, suffix = symbol.removeprefix(CALLED if called else "tn_").rpartition("_")
    e, type = Emitter(), _type(suffix)
    arguments = [Value(e, f"%x{i}", type) for i in range(ARITY.get(name, 1))]
    result = (FUNCTIONS.get(name) or TOGETHER[name])(*arguments)
    parameters = ", ".join(f"{type} {a.name}" for a in arguments)
    body = "\n".join([*e.lines, f"  ret {result.type} {result.name}"])
    linkage, attribute, needs = "internal ", "alwaysinline", e.needs
    if called:
        attribute = 'noinline "prefer-vector-width"="512"'
        if suffix[0] == "v":
            linkage = ""  # nothing calls it before LLVM has made vectors
        else:
            others = forms(f"{name}_{suffix}")
            body = f"  ; of vectors: {' '.join(f'@{other}' for other in others)}\n{body}"
            needs = needs | set(others)
    return f"define {linkage}{result.type} @{symbol}({parameters}) {attribute} {_PURE} {{\n{body}\n}}\n", needs


def forms(name: str) -> dict[str, int]:
    """The functions `called_NAME_TYPE` of vectors of all lengths that loops may be made of, with their lanes."""
    name, _, suffix = name.rpartition("_")
    most = registers().bytes // (4 if suffix == "f32" else 8)
    return {f"{CALLED}{name}_v{n}{suffix}": n for n in LANES if n <= most}
