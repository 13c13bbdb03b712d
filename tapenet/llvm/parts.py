"""A module cut into several that are compiled side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

#: Lines of a part from which another is begun: some 50 ms of LLVM's time, of which a part by itself takes two or three.
LINES = 600
#: A function that is part of no other: it is called, never copied into its callers.
_APART = re.compile(r"^define internal (void @(\w+)\([^\n]*\)) (#[013]) \{\n.*?^\}$", re.MULTILINE | re.DOTALL)
#: One that becomes part of those that call it, or takes numbers, so that each part needs it.
_COPIED = re.compile(
    r"^define [^\n]*?@(\w+)\([^\n]*\) (?:alwaysinline|noinline) [^\n]*\{\n.*?^\}$", re.MULTILINE | re.DOTALL
)
_DECLARED = re.compile(r"^declare [^\n]*?@([\w.]+)\([^\n]*$", re.MULTILINE)
_NAME = re.compile(r"@([\w.]+)")
#: A line of a module that computes with vectors of its own: all that LLVM is to do before it chooses instructions is to keep
#: variables in registers and to tidy up. Its whole pipeline takes five to ten times as long, and the code is no faster (the
#: kernels of a GPT's layers: 2.7 s of processor time in place of 1.1).
OWN_VECTORS = "; loops and vectors stay as they are written\n"
#: A line of a module whose loops LLVM is not to unroll: kernels that unroll theirs as far as that pays, and the parts of long
#: programs. There it would take half as long again (a ResNet-18's kernels: 3.7 s in place of 3.1) and more (the programs of
#: three networks: 5.0 s in place of 3.1), for code that is no faster.
AS_WRITTEN = "; loops stay as they are written\n"
#: The attributes of functions that compute with vectors of their own: they are in parts of their own.
_OWN = "#3"


class Part(NamedTuple):
    """A module, and the functions in it that others call."""

    text: str
    names: tuple[str, ...] = ()


def parts(text: str) -> list[Part]:
    """The modules that a module is cut into: the first has what is called from outside, and calls what is in the others. One
    of few lines stays whole."""
    if text.count("\n") < 2 * LINES:
        return [Part(text)]
    copied, declarations = ({f[1]: f[0] for f in pattern.finditer(text)} for pattern in (_COPIED, _DECLARED))
    shared = copied | declarations
    groups: list[tuple[str, list[tuple[str, str]]]] = []
    declared: dict[str, str] = {}
    current: dict[bool, list[tuple[str, str]]] = {}
    room = {True: 0, False: 0}

    def moved(found: re.Match[str]) -> str:
        """What stays of a function in the first part: nothing, if it needs no other function of the module."""
        signature, name, attributes = found.groups()
        if any(n != name and n not in shared and not n.startswith("llvm.") for n in _NAME.findall(found[0])):
            return found[0]
        own = attributes == _OWN
        if room[own] <= 0:
            current[own] = []
            groups.append((OWN_VECTORS if own else AS_WRITTEN, current[own]))
            room[own] = LINES
        current[own].append((name, found[0].replace("define internal ", "define ", 1)))
        declared[name] = f"declare {signature} {attributes}\n"
        room[own] -= found[0].count("\n")
        return ""

    rest = _COPIED.sub("", _APART.sub(moved, text))
    made = [Part(AS_WRITTEN + "\n".join([*declared.values(), *_needed((rest,), copied), rest]))]
    for first, group in groups:
        names, functions = zip(*group, strict=True)
        made.append(Part(first + "\n".join([*_needed(functions, shared), *functions, ""]), names))
    return made


def _needed(functions: Sequence[str], shared: Mapping[str, str]) -> list[str]:
    """What functions need of what is shared, and what that needs, each once."""
    found: dict[str, str] = {}
    waiting = list(functions)
    for function in waiting:  # grows while it is walked over
        new = {name: shared[name] for name in _NAME.findall(function) if name in shared and name not in found}
        found |= new
        waiting += new.values()
    return list(found.values())
