"""A module cut into several that are compiled side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tapenet.llvm.alike import APART, LOOP, merged

#: Lines of a part from which another is begun: some 50 ms of LLVM's time, of which a part by itself takes two or three.
LINES = 600
#: The first line of a function that becomes part of those that call it, or takes numbers, so that each part needs it.
_COPIED = re.compile(r"define .*?@(\w+)\(.*\) (?:alwaysinline|noinline) .*\{")
_DECLARED = re.compile(r"^declare [^\n]*?@([\w.]+)\([^\n]*$", re.MULTILINE)
_NAME = re.compile(r"@([\w.]+)")
#: What code that hands work to threads calls.
_SHARES = "@tn_share"
#: A line of a module that computes with vectors of its own: all that LLVM is to do before it chooses instructions is to keep
#: variables in registers and to tidy up. Its whole pipeline takes five to ten times as long, and the code is no faster (the
#: kernels of a GPT's layers: 2.7 s of processor time in place of 1.1).
OWN_VECTORS = "; loops and vectors stay as they are written\n"
#: A line of a module whose loops LLVM is not to unroll: kernels that unroll theirs as far as that pays, and the parts of long
#: programs. There it would take half as long again (a ResNet-18's kernels: 3.7 s in place of 3.1) and more (the programs of
#: three networks: 5.0 s in place of 3.1), for code that is no faster.
AS_WRITTEN = "; loops stay as they are written\n"
#: A line of a module without loops, which calls what computes: it takes the quickest choice of instructions and registers. The
#: code that calls the kernels of three networks takes LLVM 60 ms each in place of 280 to 440, and runs no longer than before.
CALLS = "; no loops: calls\n"
#: The attributes of functions that compute with vectors of their own: they are in parts of their own.
_OWN = "#3"


class Part(NamedTuple):
    """A module, the functions in it that others call, and those that it calls in modules behind it."""

    text: str
    names: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()


def parts(text: str) -> list[Part]:
    """The modules that a module is cut into: the first has what is called from outside, and each calls what is in those behind
    it. One of few lines stays whole."""
    if text.count("\n") < 2 * LINES:
        return [Part(text)]
    pieces = merged(_pieces(text))
    copied: dict[str, str] = {}
    apart: dict[int, re.Match[str]] = {}
    for i, function in enumerate(pieces[1::2]):
        first = function[: function.index("\n")]
        if found := APART.fullmatch(first):
            apart[2 * i + 1] = found
        elif found := _COPIED.fullmatch(first):
            copied[found[1]] = function
            pieces[2 * i + 1] = ""
    declarations = {found[1]: found[0] for piece in pieces[::2] for found in _DECLARED.finditer(piece)}
    shared = copied | declarations
    groups: list[tuple[str, dict[str, str]]] = []
    declared: dict[str, str] = {}
    current: dict[bool, dict[str, str]] = {}
    room = {True: 0, False: 0}
    left: dict[str, int] = {}

    def move(i: int, functions: dict[str, str]) -> None:
        name, parameters, attributes = apart[i].groups()
        functions[name] = pieces[i].replace("define internal ", "define ", 1)
        declared[name] = f"declare void @{name}({parameters}) {attributes}\n"
        pieces[i] = ""

    for i, found in apart.items():
        name, _, attributes = found.groups()
        # What needs another function of the module stays in the first part; so does what only hands kernels to threads, which
        # the quickest choice of instructions is enough for.
        only_shares = _SHARES in pieces[i] and LOOP not in pieces[i]
        others = (n for n in _NAME.findall(pieces[i]) if n != name and n not in shared and not n.startswith("llvm."))
        if only_shares or any(others):
            left[name] = i
            continue
        own = attributes == _OWN
        if room[own] <= 0:
            current[own] = {}
            groups.append((OWN_VECTORS if own else AS_WRITTEN, current[own]))
            room[own] = LINES
        room[own] -= pieces[i].count("\n")
        move(i, current[own])

    loops: dict[str, str] = {}
    for name in _with_loops({name: pieces[i] for name, i in left.items()}, {*shared, *declared}):
        move(left[name], loops)
    if loops:
        groups.insert(0, (AS_WRITTEN, loops))
    rest = "".join(pieces)
    made = [_part(AS_WRITTEN if LOOP in rest else CALLS, [rest], (), copied, declared)]
    return made + [_part(first, [*group.values()], tuple(group), shared, declared) for first, group in groups]


def _pieces(text: str) -> list[str]:
    """A module's functions, each behind what lies between it and the one before, and what is behind the last. Where they begin
    and end is found by whole strings: patterns over all lines took a quarter of the time in which Python writes the module."""
    between, *functions = f"\n{text}".split("\ndefine ")
    found = []
    for function in functions:
        body, _, after = function.partition("\n}")
        found += [f"{between}\n", f"define {body}\n}}"]
        between = after
    found = [*found, between]
    found[0] = found[0][1:]
    return found


def _with_loops(functions: Mapping[str, str], known: set[str]) -> list[str]:
    """Those with loops, and those that they need; none if they need others than these and what is known."""
    found = [name for name, function in functions.items() if LOOP in function]
    for name in found:  # grows while it is walked over
        needed = {n for n in _NAME.findall(functions[name]) if n not in known and not n.startswith("llvm.")}
        if not needed <= functions.keys():
            return []
        found += [n for n in functions if n in needed and n not in found]
    return found


def _part(
    first: str, functions: Sequence[str], names: tuple[str, ...], shared: Mapping[str, str], declared: Mapping[str, str]
) -> Part:
    """The module of some functions, with what they need of what is shared, and what they call elsewhere declared."""
    named = {name for function in functions for name in _NAME.findall(function)}
    calls = tuple(name for name in declared if name in named and name not in names)
    lines = [*(declared[name] for name in calls), *_needed(functions, shared), *functions, ""]
    return Part(first + "\n".join(lines), names, calls)


def _needed(functions: Sequence[str], shared: Mapping[str, str]) -> list[str]:
    """What functions need of what is shared, and what that needs, each once."""
    found: dict[str, str] = {}
    waiting = list(functions)
    for function in waiting:  # grows while it is walked over
        new = {name: shared[name] for name in _NAME.findall(function) if name in shared and name not in found}
        found |= new
        waiting += new.values()
    return list(found.values())
