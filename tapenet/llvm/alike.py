"""Functions of a module that are equal but for numbers: one is compiled in place of all, and takes the numbers as arguments.

Kernels of a program are written for their shapes. Those of a network's levels or of its optimizer differ in lengths and
strides alone. LLVM is told what these are multiples of, so that it needs no code for what vectors leave over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

#: A function that is part of no other: its name, its parameters and its attributes.
_FUNCTION = re.compile(r"define internal void @(\w+)\((.*)\) (#[013]) \{")
#: A number that a register may take the place of: lengths, strides, distances.
_NUMBER = re.compile(r"(\bi64 (?:%\w+, )?)(\d+)\b")
#: Numbers that are arguments are multiples of it: of a loop of fewer turns much depends on their number.
STEP = 8


def merged(pieces: Sequence[str]) -> list[str]:
    """A module's pieces, of which every second one is a function: with one function for all with loops that are equal but for
    numbers, and in their place functions that call it and become part of their callers."""
    alike: dict[tuple[str, ...], list[int]] = {}
    for i in range(1, len(pieces), 2):
        first, _, body = pieces[i].partition("\n")
        found = _FUNCTION.fullmatch(first)
        if found and " = phi " in body and "<i64" not in body:
            form = _NUMBER.sub(lambda number: number[0 if int(number[2]) % STEP else 1], body)
            alike.setdefault((*found.groups()[1:], form), []).append(i)
    made = [[piece] for piece in pieces]
    for which in alike.values():
        if len(which) > 1:
            for i, functions in zip(which, _merge([pieces[i] for i in which]), strict=True):
                made[i] = functions
    return [piece for several in made for piece in several]


def _merge(functions: Sequence[str]) -> list[list[str]]:
    """What is put in the place of each of some functions, the common one in front of the first."""
    heads, bodies = zip(*(function.split("\n", 1) for function in functions), strict=True)
    numbers = [[int(number) for _, number in _NUMBER.findall(body)] for body in bodies]
    places = list(zip(*numbers, strict=True))
    names = {n: f"%n{i}" for i, n in enumerate(dict.fromkeys(n for n in places if len({*n}) > 1))}
    steps = [math.gcd(*n) for n in names]
    found = _FUNCTION.fullmatch(heads[0])
    assert found is not None
    name, parameters, attributes = found.groups()
    at = iter(places)
    label, _, body = _NUMBER.sub(lambda number: number[1] + names.get(next(at), number[2]), bodies[0]).partition("\n")
    lines = [f"  {n} = mul nuw nsw i64 {n}.of, {step}" for n, step in zip(names.values(), steps, strict=True)]
    taken = ", ".join([parameters, *(f"i64 {n}.of" for n in names.values())])
    common = "\n".join([f"define internal void @{name}_any({taken}) {attributes} {{", label, *lines, body])
    given = parameters.replace("noalias ", "")
    made = []
    for i, head in enumerate(heads):
        values = ", ".join([given, *(f"i64 {n[i] // step}" for n, step in zip(names, steps, strict=True))])
        called = head.removesuffix(f"{attributes} {{") + "#2 {"
        made.append([f"{called}\n  call void @{name}_any({values})\n  ret void\n}}"])
    made[0] = [common, "\n\n", *made[0]]
    return made
