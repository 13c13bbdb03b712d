"""Functions of a module that differ only in numbers: one function that takes these as arguments is compiled in their place.

The kernels of a network's levels, or of its optimizer, differ only in lengths and strides. An argument is multiplied by the
greatest common divisor of the numbers that it stands for, so that LLVM need not write code for what vectors leave over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

#: The first line of a function that is part of no other: its name, its parameters and its attributes.
APART = re.compile(r"define internal void @(\w+)\((.*)\) (#[013]) \{")
#: What code with a loop has.
LOOP = " = phi "
#: A number that an argument may take the place of: a length, a stride, a distance.
_NUMBER = re.compile(r"(\bi64 (?:%\w+, )?)(\d+)\b")
#: Only multiples of this become arguments: what LLVM makes of a shorter loop depends on how many turns it has.
STEP = 8


def merged(pieces: Sequence[str]) -> list[str]:
    """The pieces of a module, in which functions and the text between them alternate, with functions that have loops and differ
    only in numbers merged. What remains of each calls the common one."""
    alike: dict[tuple[str, ...], list[int]] = {}
    for i in range(1, len(pieces), 2):
        first, _, body = pieces[i].partition("\n")
        found = APART.fullmatch(first)
        if found and LOOP in body and "<i64" not in body:  # vectors of numbers, which are no arguments
            form = _NUMBER.sub(lambda number: number[0 if int(number[2]) % STEP else 1], body)
            alike.setdefault((*found.groups()[1:], form), []).append(i)
    made = [[piece] for piece in pieces]
    for which in alike.values():
        if len(which) > 1:
            common, *calls = _merge([pieces[i] for i in which])
            for i, call in zip(which, calls, strict=True):
                made[i] = [call]
            made[which[0]][:0] = common, "\n\n"
    return [piece for several in made for piece in several]


def _merge(functions: Sequence[str]) -> list[str]:
    """The common function, and for each of these one that calls it with its numbers."""
    heads, bodies = zip(*(function.split("\n", 1) for function in functions), strict=True)
    found = APART.fullmatch(heads[0])
    assert found is not None
    name, parameters, attributes = found.groups()

    numbers = [[int(number) for _, number in _NUMBER.findall(body)] for body in bodies]
    places = list(zip(*numbers, strict=True))  # at each place of the text the numbers of all functions
    varied = [place for place in dict.fromkeys(places) if len({*place}) > 1]
    steps = [math.gcd(*place) for place in varied]
    registers = {place: f"%n{i}" for i, place in enumerate(varied)}

    at = iter(places)
    body = _NUMBER.sub(lambda number: number[1] + registers.get(next(at), number[2]), bodies[0])
    label, _, rest = body.partition("\n")
    products = [f"  {n} = mul nuw nsw i64 {n}.of, {step}" for n, step in zip(registers.values(), steps, strict=True)]
    taken = ", ".join([parameters, *(f"i64 {n}.of" for n in registers.values())])
    made = ["\n".join([f"define internal void @{name}_any({taken}) {attributes} {{", label, *products, rest])]

    given = parameters.replace("noalias ", "")
    for i, head in enumerate(heads):
        values = ", ".join([given, *(f"i64 {place[i] // step}" for place, step in zip(varied, steps, strict=True))])
        made.append(f"{head}\n  call void @{name}_any({values})\n  ret void\n}}")
    return made
