"""What a loop keeps of its turns for the loop that goes back over them: not an array of each where that reads little of it.

A gradient's loop begins with what was carried into each turn. Where it only reads elements of that, or computes something
smaller of it, the first loop reads or computes this, and keeps it instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tapenet.program.ir import (
    Answer,
    Builder,
    Constant,
    Input,
    Instruction,
    Program,
    Result,
    Value,
    rewrite,
    substitute,
)
from tapenet.program.passes import dead


def run(program: Program) -> Program:
    """Let loops keep of their turns what is smallest of that from which later loops compute what they need."""
    if program.names.isdisjoint(_LOOPS) or sum(i.name in _LOOPS for i in program.body) < 2:
        return program
    for first, second in _pairs(program):
        found = _Pair(program, first, second)
        if found.kept:
            return run(found.changed())
    return program


_LOOPS = ("loop", "while")


def _pairs(program: Program) -> Iterator[tuple[Instruction, Instruction]]:
    """Loops, with each that reads rows of their results, and of which neither has effects."""
    for second in program.body:
        if second.name in _LOOPS and not second.stays:
            carries = second.params["carries"]
            read = second.args[carries : carries + second.params["slices"] if second.name == "loop" else None]
            makers = dict.fromkeys(a.instruction for a in read if isinstance(a, Result))
            yield from ((first, second) for first in makers if first.name == second.name and not first.stays)


class _Cut(NamedTuple):
    """Values from which all that is needed of another can be computed."""

    bytes: int
    values: frozenset[Value]


class _Pair:
    """Two loops, the second of which has slices of what the first gives.

    Attributes:
        kept: the values of the second one's body that the first is to keep.
    """

    def __init__(self, program: Program, first: Instruction, second: Instruction) -> None:
        self.program = program
        self.first = first
        self.second = second
        self.body: Program = second.params["body"]
        order: dict[Value, int] = {r: at for at, i in enumerate(program.body) for r in i.results}
        begin = order[first.results[0]]
        self.users: dict[Value, list[Instruction]] = {}
        for instruction in self.body.body:
            for arg in dict.fromkeys(instruction.args):
                self.users.setdefault(arg, []).append(instruction)
        #: What a turn of the first loop can know: what it is there, or what it is a slice of, or the same in each turn.
        self.inner: dict[Value, Value] = {}
        self.sliced: dict[Value, Value] = {}
        self.whole: dict[Value, Value] = {}
        #: The number of the row that a turn of a `while` reads.
        self.at: Value | None = None
        carries, slices = second.params["carries"], second.params.get("slices", 0)
        for i, (arg, v) in enumerate(zip(second.args, self.body.inputs, strict=True)):
            if i < carries:
                continue
            place = first.results.index(arg) if arg in first.results else -1
            if place >= first.params["carries"]:
                for row in [v] if i < carries + slices else self._rows(v) if second.name == "while" else []:
                    self.inner[row] = first.params["body"].outputs[place]
            elif order.get(arg, -1) < begin:
                (self.sliced if i < carries + slices else self.whole)[v] = arg
        self.early = self._early({*self.inner, *self.sliced, *self.whole})
        self._cuts: dict[Value, _Cut] = {}
        # From the end, so that none is found by a long recursion.
        for instruction in reversed(self.body.body):
            if instruction in self.early:
                for result in instruction.results:
                    self._cut(result)
        self.kept: dict[Value, None] = {}
        for v in self.inner:
            self.kept |= dict.fromkeys(sorted(self._cut(v).values - {v}, key=self._order))

    def _rows(self, column: Value) -> list[Value]:
        """What a turn of a `while` reads of a column, if that is the row of one number."""
        found: list[Value] = []
        for user in self.users.get(column, []):
            if user.name != "take" or user.params["axis"] or user.args[1].shape or self.at not in (None, user.args[1]):
                return []
            self.at = user.args[1]
            found += user.results
        test: Program = self.second.params["test"]
        tested = test.inputs[self.body.inputs.index(column)]
        return [] if any(tested in i.args for i in test.body) else found

    def _early(self, known: set[Value]) -> dict[Instruction, None]:
        """What the first loop could compute."""
        found: dict[Instruction, None] = {}
        self.places: dict[Value, int] = {}
        for at, instruction in enumerate(self.body.body):
            self.places.update(dict.fromkeys(instruction.results, at))
            if not instruction.stays and all(a in known or isinstance(a, Constant) for a in instruction.args):
                found[instruction] = None
                known.update(instruction.results)
        return found

    def _order(self, value: Value) -> int:
        return self.places.get(value, -1)

    def _cut(self, value: Value) -> _Cut:
        """The fewest bytes found that stand for a value."""
        if value not in self._cuts:
            self._cuts[value] = self._smallest(value)
        return self._cuts[value]

    def _smallest(self, value: Value) -> _Cut:
        itself = _Cut(value.nbytes, frozenset((value,)))
        users = self.users.get(value, [])
        if value in self.body.outputs or any(u not in self.early for u in users):
            return itself
        values = frozenset(v for u in users for r in u.results for v in self._cut(r).values)
        further = _Cut(sum(v.nbytes for v in values), values)
        return further if further.bytes < itself.bytes else itself

    def changed(self) -> Program:
        """The program in which the first loop keeps these values."""
        columns: tuple[Value, ...] = ()

        def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
            nonlocal columns
            if instruction is self.first:
                made = self._first(builder)
                columns = made[len(instruction.results) :]
                return made[: len(instruction.results)]
            return self._second(builder, args, columns) if instruction is self.second else None

        return dead.run(rewrite(self.program, change))

    def _first(self, builder: Builder) -> tuple[Value, ...]:
        """The first loop, which gives what is kept too."""
        params = self.first.params
        own: Program = params["body"]
        carries, slices = params["carries"], params.get("slices", 0)
        pairs = [*zip(self.first.args, own.inputs, strict=True)]
        carried, sliced, whole = pairs[:carries], pairs[carries : carries + slices], pairs[carries + slices :]
        known = dict(self.inner)
        for given, values in ((sliced, self.sliced), (whole, self.whole)):
            before = dict(given)
            for v, arg in values.items():
                if arg not in before:
                    before[arg] = Input(v.shape, v.dtype)
                    given.append((arg, before[arg]))
                known[v] = before[arg]
        turn = Builder()
        turn.body = list(own.body)
        needed = self._needed()
        for instruction in self.early:
            if instruction in needed:
                args = [known.get(a, a) for a in instruction.args]
                turn.line = instruction.line
                made = turn.several(instruction.name, *args, **instruction.params)
                known.update(zip(instruction.results, made, strict=True))
        every = [*carried, *sliced, *whole]
        outputs = [*own.outputs, *(known[v] for v in self.kept)]
        new = {**params, "body": dead.run(Program([v for _, v in every], [], turn.body, outputs, []))}
        if self.first.name == "loop":
            new["slices"] = len(sliced)
        else:
            new["test"] = _wider(params["test"], [v for _, v in whole[len(pairs) - carries :]])
        return builder.several(self.first.name, *(arg for arg, _ in every), **new)

    def _needed(self) -> set[Instruction]:
        """What computes the values that are kept."""
        found: set[Instruction] = set()
        stack = list(self.kept)
        while stack:
            value = stack.pop()
            if isinstance(value, Result) and value.instruction not in found:
                found.add(value.instruction)
                stack += value.instruction.args
        return found

    def _second(self, builder: Builder, args: tuple[Value, ...], columns: tuple[Value, ...]) -> tuple[Value, ...]:
        """The second loop, which is given what is kept."""
        params = self.second.params
        body: Sequence[Instruction] = self.body.body
        rows: dict[Value, Value]
        if self.second.name == "loop":
            end = params["carries"] + params["slices"]
            inputs = [Input(v.shape, v.dtype) for v in self.kept]
            rows = dict(zip(self.kept, inputs, strict=True))
        else:
            end = len(args)
            inputs = [Input(v.shape, v.dtype) for v in columns]
            assert self.at is not None
            reading = Builder()
            rows = {v: reading.emit("take", i, self.at, axis=0) for v, i in zip(self.kept, inputs, strict=True)}
            known = self._order(self.at) + 1
            body = [*body[:known], *reading.body, *body[known:]]
        given = [*self.body.inputs[:end], *inputs, *self.body.inputs[end:]]
        made = dead.run(substitute(Program(given, [], body, self.body.outputs, []), rows))
        new = {**params, "body": made}
        if self.second.name == "loop":
            new["slices"] = params["slices"] + len(rows)
        else:
            new["test"] = _wider(params["test"], inputs)
        return builder.several(self.second.name, *args[:end], *columns, *args[end:], **new)


def _wider(test: Program, like: Sequence[Value]) -> Program:
    """A test that is given more, which it does not look at."""
    return Program([*test.inputs, *(Input(v.shape, v.dtype) for v in like)], [], test.body, test.outputs, [])


__all__ = ["run"]
