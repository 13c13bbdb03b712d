"""The functions of a module: what one consists of, and all of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

import numpy as np

from tapenet.llvm.code import Code, declarations
from tapenet.llvm.outlining import outlined
from tapenet.llvm.scalar import definitions

#: Lines of a function that becomes part of the loop that calls it, at most.
SHORT = 400


class Offset(NamedTuple):
    """Memory from an element of a buffer on. It is not part of a function's code, so that steps of an unrolled loop, which
    work on one row each, are calls of one function."""

    buffer: Hashable
    elements: int
    dtype: np.dtype

    @staticmethod
    def of(buffer: Hashable, elements: int, dtype: np.dtype) -> Hashable:
        """A buffer from so many elements on."""
        return Offset(buffer, elements, dtype) if elements else buffer


class Series(NamedTuple):
    """Pointers that a function is called with, by the number of the first and how many there are: each points so many bytes
    behind the one before, and the function is given the first alone."""

    first: int
    length: int
    step: int


class Function(NamedTuple):
    """A generated function: the text of its body, the buffers it is called with, and what it needs declared."""

    text: str
    buffers: tuple[Hashable, ...]
    needs: frozenset[str]
    declares: frozenset[str]
    #: Parameters after the pointers.
    more: str = ""
    #: Whether it does little more than move memory.
    light: bool = False
    #: Whether all that takes time in it is written in vectors.
    vectors: bool = False
    #: Which of its buffers are at equal distances (`series`).
    series: tuple[Series, ...] = ()

    @property
    def given(self) -> list[int]:
        """The pointers that it is called with, by number: of each series the first."""
        others = {i for s in self.series for i in range(s.first + 1, s.first + s.length)}
        return [i for i in range(len(self.buffers)) if i not in others]

    @staticmethod
    def of(
        code: Code, buffers: Iterable[Hashable], more: str = "", light: bool = False, vectors: bool = False
    ) -> Function:
        """The function that has been written."""
        text, needs = outlined("\n".join([*code.cells, *code.lines, "  ret void"]), code.needs)
        return Function(text, tuple(buffers), frozenset(needs), frozenset(code.declares), more, light, vectors)


class Functions:
    """The functions of a module, bodies of loops included. Equal ones are there once."""

    def __init__(self) -> None:
        self.by_name: dict[str, Function] = {}
        self.bodies: list[str] = []
        #: Kernels and products that were written, by their form (`equal`).
        self.forms: dict[Hashable, Function] = {}
        self._names: dict[tuple[str, tuple[Series, ...]], str] = {}
        self._inlined: set[str] = set()
        self._count = 0

    def name(self, function: Function, inlined: bool = False) -> str:
        """The name of a function; one that was written before keeps its name. One that a turn of a loop calls becomes part of
        that if it is short, and has no loops in loops: LLVM's time would grow faster than the code."""
        key = function.text, function.series
        found = self._names.get(key)
        if found is None:
            found = self._names[key] = f"k{len(self._names)}"
            self.by_name[found] = function
        short = inlined and function.text.count("\n") <= SHORT
        if short and ("@body" in function.text or function.text.count("= phi i64") < 2):
            self._inlined.add(found)
        return found

    def number(self) -> int:
        """A new number for a body."""
        self._count += 1
        return self._count

    def text(self) -> str:
        """All of them, with what they need declared."""
        needs = {n for f in self.by_name.values() for n in f.needs}
        declares = {n for f in self.by_name.values() for n in f.declares}
        texts = [definitions(needs), declarations(declares)]
        for name, function in self.by_name.items():
            given = [*(f"ptr noalias %b{i}" for i in function.given), function.more]
            parameters = ", ".join(filter(None, given))
            attributes = (
                "#2" if name in self._inlined else "#3" if function.vectors else "#1" if function.light else "#0"
            )
            others = "".join(
                f"  %b{s.first + i} = getelementptr inbounds i8, ptr %b{s.first}, i64 {i * s.step}\n"
                for s in function.series
                for i in range(1, s.length)
            )
            body = f"entry:\n{others}{function.text}"
            texts.append(f"define internal void @{name}({parameters}) {attributes} {{\n{body}\n}}")
        return "\n\n".join([*texts, *self.bodies])
