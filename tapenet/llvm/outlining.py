"""Calls in place of mathematical functions that would become too much code where they are inlined.

LLVM is told what to call in loops that it makes vectors of.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Set

from tapenet.llvm.functions import CALLED, LANES, declarations, definition, forms

#: Instructions that functions may become in one kernel: of more, they are called. LLVM's time would grow faster than the code,
#: and the code would leave the first level cache. A chain of 300 sines with its gradient takes LLVM 0.6 s in place of 5.7, on a
#: thousand numbers 0.8 in place of 25; it runs in 1.0 to 1.4 of the time.
ROOM = 6000
#: Instructions of a function up to which it is always inlined. C's functions are, which have no vectors.
SHORT = 10
#: A loop of so many turns that has no others in it.
_LOOP = re.compile(
    r"^((L\d+):\n(?:  .*\n)+?  %t\d+ = icmp eq i64 %t\d+, (\d+)\n  br i1 %t\d+, label %L\d+, label %\2)"
    r"(?:, .*?(\.parallel)?)?$",
    re.MULTILINE,
)
_CALL = re.compile(r"(call (?:float|double) @)tn_(\w+)(\([^()]*\))")
_CIRCULAR = re.compile(r"^  (%\w+) = call float @tn_(sin|cos)_f32\((float [^()]+)\)$", re.MULTILINE)


@functools.cache
def _length(symbol: str) -> int:
    """How many instructions a function becomes where it is inlined."""
    text, needs = definition(symbol)
    return text.count("\n  ") + sum(map(_length, needs))


def outlined(text: str, needs: Set[str]) -> tuple[str, Set[str]]:
    """The body of a function and what it needs, with calls where inlined functions were too much code."""
    long = {name for name in needs if name.startswith("tn_") and name not in declarations and _length(name) > SHORT}
    if not long or sum(_length(f"tn_{found[2]}") for found in _CALL.finditer(text)) <= ROOM:
        return text, needs

    angles = {name: {found[3] for found in _CIRCULAR.finditer(text) if found[2] == name} for name in ("sin", "cos")}

    def half(found: re.Match[str]) -> str:
        register, name, angle = found.groups()
        if angle not in angles["sin"] & angles["cos"]:
            return found[0]
        lines = [f"{register}.both = call i64 @{CALLED}sincos_f32({angle}) {_variants('sincos_f32', 'v')}"]
        if name == "cos":
            lines.append(f"{register}.high = lshr i64 {register}.both, 32")
        lines.append(f"{register}.half = trunc i64 {lines[-1].split(' = ')[0]} to i32")
        lines.append(f"{register} = bitcast i32 {register}.half to float")
        return "\n".join(f"  {line}" for line in lines)

    def called(found: re.Match[str]) -> str:
        before, name, arguments = found.groups()
        if f"tn_{name}" not in long:
            return found[0]
        return f"{before}{CALLED}{name}{arguments} {_variants(name, 'v' * (arguments.count(',') + 1))}"

    text = _LOOP.sub(_wide, _CALL.sub(called, _CIRCULAR.sub(half, text)))
    calls = {f"{CALLED}{name}" for name in [*(name.removeprefix("tn_") for name in long), "sincos_f32"]}
    return text, {name for name in needs if name not in long} | {name for name in calls if f"@{name}(" in text}


def _variants(name: str, kinds: str) -> str:
    """What a call says of functions on vectors, of which LLVM may call one instead."""
    found = (f"_ZGV_LLVM_N{n}{kinds}_{CALLED}{name}({form})" for form, n in forms(name).items())
    return f'"vector-function-abi-variant"="{",".join(found)}"'


def _wide(found: re.Match[str]) -> str:
    """A loop of few turns, which LLVM would leave in single numbers; as it is where it could not but do so."""
    loop, _, turns, parallel = found.groups()
    known = loop.count(f" @{CALLED}") + loop.count(" @llvm.") == loop.count(" call ")
    lanes = next((n for n in LANES if n <= int(turns) < LANES[0]), 0)
    if not lanes or not known:
        return found[0]
    return f"{loop}, !llvm.loop !loop{parallel or ''}.lanes{lanes}"


__all__ = ["outlined"]
