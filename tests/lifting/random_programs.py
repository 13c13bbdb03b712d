"""Small programs made by chance: loops, branches, exits and assignments of every kind."""

from __future__ import annotations

from random import Random

NAMES = "abcd"


class Programs:
    """Writes programs, the same for the same seed. They end, but may raise."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def program(self) -> str:
        """The text of a function `f(a, b)`."""
        body = [*self.block(self._random.choice((1, 2, 2, 3)), False), "return a, b, c, d"]
        start = ["c, d = 1, b"] if self._random.random() < 0.9 else ["if a > 9: c = d = 0"]
        return "\n".join(["from contextlib import nullcontext", "def f(a, b):", *_indented(start + body)])

    def name(self) -> str:
        """A variable."""
        return self._random.choice(NAMES)

    def expression(self, depth: int = 2) -> str:
        """An expression, mostly of numbers."""
        if depth == 0 or self._random.random() < 0.4:
            return self.name() if self._random.random() < 0.6 else str(self._random.randint(-2, 5))
        x, y, z = (self.expression(depth - 1) for _ in range(3))
        sign = self._random.choice(["+", "-", "*", "<", "==", "and", "or"])
        return self._random.choice(
            [
                f"({x} {sign} {y})",
                f"({x} {sign} {y})",
                f"(not {x})",
                f"({x} if {y} else {z})",
                f"({x} < {y} <= {z})",
                f"({x} in ({y}, {z}))",
                f"({self.name()} := {x})",
                f"({x}, {y})[{z} % 2]",
                f"sum([k + {x} for k in range(3) if k != {y}])",
                f"(lambda k: k - {x})({y})",
                f"len(f'{{{self.name()}}} {{{self.name()}!r:>3}}')",
                f"len('%s %r' % ({self.name()}, {x}))",
            ]
        )

    def block(self, depth: int, loop: bool) -> list[str]:
        """The lines of a few statements."""
        kinds = ["assign", "assign", "add", "unpack", "exit", "exit", "raise", "delete", "assert"]
        kinds += ["if", "if", "if", "for", "for", "while", "try", "define", "with"] if depth else []
        return [line for _ in range(self._random.randint(1, 4)) for line in self._statement(kinds, depth, loop)]

    def _statement(self, kinds: list[str], depth: int, loop: bool) -> list[str]:
        kind = self._random.choice(kinds)
        e, name = self.expression(), self.name()
        if kind == "assign":
            return [f"{name} = {e}"]
        if kind == "add":
            return [f"{name} {self._random.choice(['+', '-', '*'])}= {e}"]
        if kind == "unpack":
            rest = self.name()
            return [f"{name}, *{rest} = {self.name()}, {e}, 1", f"{rest} = {rest}[0]"]
        if kind == "exit":
            exits = [f"return {name}, {self.expression()}", *(["break", "continue"] * 2 if loop else [])]
            return [f"if {e}:", f"    {self._random.choice(exits)}"]
        if kind == "raise":
            return [f"if {e} == 3:", f"    raise ValueError({name})"]
        if kind == "assert":
            return [f"assert {e} != 4, {name}"]
        if kind == "delete":
            return [f"del {name}"] if self._random.random() < 0.3 else []
        if kind == "if":
            lines = [f"if {e}:", *self._inner(depth, loop)]
            lines += self._perhaps(f"elif {name}:", depth, loop)
            return lines + self._perhaps("else:", depth, loop)
        if kind == "for":
            iterated = self._random.choice([f"range({self._random.randint(0, 3)})", f"({e}, 2)"])
            return [f"for {name} in {iterated}:", *self._inner(depth, True), *self._perhaps("else:", depth, loop)]
        if kind == "while":
            turns = f"turns{depth}"
            lines = [f"{turns} = 0", f"while {turns} < 3 and {e}:", f"    {turns} += 1", *self._inner(depth, True)]
            return lines + self._perhaps("else:", depth, loop)
        if kind == "try":
            lines = ["try:", *self._inner(depth, loop)]
            lines += ["except (ValueError, TypeError) as error:", *self._inner(depth, loop)]
            lines += self._perhaps("else:", depth, loop)
            return lines + (["finally:", f"    {name} = {e}"] if self._random.random() < 0.5 else [])
        if kind == "with":
            return [f"with nullcontext({e}) as {name}:", *self._inner(depth, loop)]
        lines = ["def g(k):", *([f"    nonlocal {name}"] if self._random.random() < 0.5 else [])]
        lines += [f"    if k: {name} = k + 1", f"    else: return {self.name()}", f"    return {name}"]
        return [*lines, f"{self.name()} = g({e})"]

    def _inner(self, depth: int, loop: bool) -> list[str]:
        return _indented(self.block(depth - 1, loop) or ["pass"])

    def _perhaps(self, head: str, depth: int, loop: bool) -> list[str]:
        return [head, *self._inner(depth, loop)] if self._random.random() < 0.4 else []


def _indented(block: list[str]) -> list[str]:
    return ["    " + line for line in block]
