"""Fusion: elementwise runs, broadcasts and reductions that walk over the same elements become one kernel.

A kernel walks over a domain, a shape. Its members are elementwise instructions and reductions over it. Where a
reduction over the last axes is used inside the same kernel (a softmax's maximum and sum, a normalisation's mean and
variance), the domain is split into rows: for each row there are phases, one loop over the row each, and between them
what is computed once per row.

Two steps. Backwards: an instruction joins the kernel of its earliest user if it fits there, so cheap expressions land
where they are needed and never in memory. Forwards: a kernel is merged into an earlier one that computes what it reads,
if all else it reads is there by then.

What is joined of parts (a roll, a shift, an array with zeros around it) is read where the parts are: the domain is cut into
boxes, in each of which every element comes from one part (`joined`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from tapenet.program import joined
from tapenet.program.ir import Instruction, Program, Result, Value, shown
from tapenet.program.joined import joins
from tapenet.program.layout import Layouts, Place, Strides, alike
from tapenet.typing import Shape

#: The weight of one kernel, at most. Of long ones LLVM keeps what registers do not hold on the stack, a vector of each value:
#: in the first level cache, where what is handed on from kernel to kernel is in memory as whole arrays. A program of 366
#: instructions with its gradient takes a quarter of the time that it takes in kernels of 120. Compile time grows with the
#: length, little faster, to some thousands.
LIMIT = 6000
#: Elements of a domain up to which what is handed on is in the first level cache all the same, and the weight of a kernel of so
#: few. A short one is more often the same as another, and LLVM's time grows faster than the length (its vectorizer's, and that
#: of its choice of instructions). A chain of 20,000 sines and its gradient, on 4 numbers, takes LLVM 0.6 s in place of 8.3, and
#: runs in half of the time; 2,000 instructions of which none repeat, and their gradient, 6.5 s in place of 41, and run in 0.7.
#: On 256 numbers 300 such would run 1.15 times as long.
SMALLEST, SHORT = 64, 800
#: The same of one that reads what is joined, and is written for each box.
JOINED = 120
#: The weight of a kernel in all of its boxes, and the weight of what is computed again for each part that shows it.
BOXED, AGAIN = 1200, 3.5
#: A sum over more elements is a kernel that ends with it; of fewer, what is computed of the sum is part of the kernel.
SMALL = 4096


class Kernel:
    """Instructions that run in one pass over a domain.

    Attributes:
        domain: the shape walked over.
        split: how many leading axes are rows, where phases are needed; None where one loop nest does.
        members: the instructions, in program order.
        rows: those among them that are computed once per row.
        shifted: those that are computed at other places than the kernel is at, for parts of what is joined; with the weight of
            what is computed there again and again.
        weight: of all members.
        joins: whether it reads parts of what is joined.
    """

    def __init__(self, domain: Shape) -> None:
        self.domain = domain
        self.split: int | None = None
        self.members: list[Instruction] = []
        self.rows: set[Instruction] = set()
        self.shifted: dict[Instruction, float] = {}
        self.weight = 0.0
        self.joins = False

    def add(self, member: Instruction, weight: float = 1.0) -> None:
        """Add a member behind the others."""
        self.members.append(member)
        self.weight += weight
        self.joins = self.joins or joins(member)

    def absorb(self, other: Kernel) -> None:
        """Add the members of another kernel behind the others."""
        self.members += other.members
        self.rows |= other.rows
        self.shifted |= other.shifted
        self.split = other.split if self.split is None else self.split
        self.weight += other.weight
        self.joins = self.joins or other.joins

    def fits(self, weight: float, joins: bool = False) -> bool:
        """Whether it may become so much heavier, perhaps by what reads what is joined."""
        most = SHORT if math.prod(self.domain) <= SMALLEST else LIMIT
        return self.weight + weight <= (JOINED if joins or self.joins else most)

    @property
    def row_shape(self) -> Shape:
        assert self.split is not None
        return self.domain[: self.split]

    def results(self) -> Iterator[Result]:
        for member in self.members:
            yield from member.results

    def phases(self) -> dict[Instruction, int]:
        """For each member the phase in which it is ready: full elementwise instructions are computed in that phase,
        those of a row before its loop, and a row's reductions are ready for the phase after the one they run in."""
        inside = set(self.members)
        ready: dict[Instruction, int] = {}
        for member in self.members:
            phase = 0
            for arg in member.args:
                maker = arg.source
                if maker in inside:
                    phase = max(phase, ready[maker])
            if member.kind == "reduction" and self.split is not None and self.is_row_reduction(member):
                phase += 1
            ready[member] = phase
        return ready

    def is_row_reduction(self, member: Instruction) -> bool:
        """Whether a reduction takes in exactly the axes of a row, so that its result may be used in the kernel."""
        return (
            self.split is not None
            and member not in self.rows
            and member.kind == "reduction"
            and member.params["axes"] == tuple(range(self.split, len(self.domain)))
        )


def _behind(value: Value) -> Value:
    """What a value shows, through views."""
    maker = value.source
    return value if maker is None else maker.results[0]


#: A kernel, or an instruction that is run by itself.
Entry = Kernel | Instruction
#: By array, what is to write to it in place: to be read before.
Writers = Mapping[Value, Sequence[Instruction]]
#: How much code an instruction is.
Weight = Callable[[Instruction], float]


class Fusion:
    """The work of fusing one program."""

    def __init__(
        self, program: Program, layouts: Layouts, fusible: set[Instruction], weight: Weight, writers: Writers
    ) -> None:
        self.program = program
        self.writers = writers
        self.layouts = layouts
        self.fusible = fusible
        self.weight = weight
        self.roots = {_behind(value) for value in program.roots()}
        #: Users of each instruction's results, through views.
        self.users: dict[Instruction, list[Instruction]] = {}
        for instruction in program.body:
            if instruction.seen_through:
                continue
            for arg in dict.fromkeys(instruction.args):
                maker = arg.source
                if maker is not None:
                    self.users.setdefault(maker, []).append(instruction)

    def run(self) -> list[Entry]:
        """The program's entries in the order in which they run."""
        return self._siblings(self._forwards(self._numbers_first(self._backwards())))

    def _numbers_first(self, entries: list[Entry]) -> list[Entry]:
        """Compute first what depends on single numbers from outside alone, so that it separates no kernels that could be
        one."""
        early: set[Instruction] = set()
        ahead: list[Entry] = []
        rest: list[Entry] = []
        for entry in entries:
            if isinstance(entry, Kernel) and entry.domain == ():
                makers = {a.source for m in entry.members for a in m.args} - set(entry.members) - {None}
                if makers <= early:
                    early.update(entry.members)
                    ahead.append(entry)
                    continue
            rest.append(entry)
        return ahead + rest

    # -- backwards -----------------------------------------------------------------------------------------------

    def _backwards(self) -> list[Entry]:
        entries: list[Entry] = []  # the latest first
        place: dict[Instruction, int] = {}
        for instruction in reversed(self.program.body):
            if instruction.seen_through:
                continue
            users = self.users.get(instruction, ())
            if instruction in self.fusible and users:
                earliest = max([place[u] for u in users])
                kernel = entries[earliest]
                late = bool(self.writers) and self._late(instruction, place, earliest)
                inside = [u for u in users if place[u] == earliest]
                if isinstance(kernel, Kernel) and not late and self._pull(kernel, instruction, inside):
                    place[instruction] = earliest
                    continue
            entry: Entry = instruction
            if instruction in self.fusible and not joins(instruction):
                entry = Kernel(_domain(instruction))
                entry.add(instruction, self.weight(instruction))
            place[instruction] = len(entries)
            entries.append(entry)
        entries.reverse()
        for entry in entries:
            if isinstance(entry, Kernel):
                entry.members.reverse()  # they were found latest first
        return entries

    def _late(self, instruction: Instruction, place: Mapping[Instruction, int], at: int) -> bool:
        """Whether something writes before a place to memory that an instruction reads."""
        return any(place.get(w, -1) > at for a in instruction.args for w in self.writers.get(shown(a), ()))

    def _pull(self, kernel: Kernel, instruction: Instruction, users: list[Instruction]) -> bool:
        """Let a kernel compute an instruction that some of its members, the users, use, if it fits."""
        weight = self.weight(instruction)
        if not kernel.fits(weight, joins(instruction)):
            return False
        domain = _domain(instruction)
        (result,) = instruction.results
        if joins(instruction) or any(joins(m) or m in kernel.shifted for m in users):
            return self._pull_parts(kernel, instruction, users)
        if instruction.kind == "reduction":
            if kernel.joins:
                return False
            axes = instruction.params["axes"]
            split = len(domain) - len(axes)
            if split == 0 and math.prod(domain) > SMALL:
                return False  # nothing is gained, and threads could not share it
            if axes != tuple(range(split, len(domain))):
                return False  # a column's sum is there only when all rows are done
            if self._rows_innermost(instruction.args, domain, split):
                return False
            if domain == kernel.domain and kernel.split in (None, split):
                if not all(self._reads_own_row(kernel, m, result, split) for m in users):
                    return False
                kernel.split = split
                kernel.add(instruction, weight)
                return True
            if kernel.split is None and _unpadded(kernel.domain, split) == result.shape:
                # The kernel works on what is one number per row: it becomes the row part of a wider one.
                if not all(self._same_elements(m, result, result.shape) for m in users):
                    return False
                if any(m.kind == "reduction" for m in kernel.members):
                    return False
                kernel.domain, kernel.split = domain, split
                kernel.rows.update(kernel.members)
                kernel.add(instruction, weight)
                return True
            return False
        if domain == kernel.domain and not all(m in kernel.rows for m in users):
            if any(m in kernel.rows for m in users) or not all(self._reads_full(m, result, domain) for m in users):
                return False
            kernel.add(instruction, weight)
            return True
        if kernel.joins:
            return False
        split = kernel.split or _rows_of(result.shape)
        rows = kernel.domain[:split]
        if kernel.split in (None, split) and 0 < split < len(kernel.domain) and _unpadded(result.shape, split) == rows:
            if not all(self._reads_own_row(kernel, m, result, split) for m in users):
                return False
            if kernel.split is None and any(self._rows_innermost(m.args, kernel.domain, split) for m in users):
                return False
            kernel.split = split
            kernel.add(instruction, weight)
            kernel.rows.add(instruction)
            return True
        if kernel.split == 0 and result.size == 1 and all(m in kernel.rows for m in users):
            kernel.add(instruction, weight)
            kernel.rows.add(instruction)
            return True
        return False

    def _pull_parts(self, kernel: Kernel, instruction: Instruction, users: list[Instruction]) -> bool:
        """Let a kernel read through what is joined, or compute at their places parts of what is."""
        (result,) = instruction.results
        if kernel.split is not None or not kernel.domain:
            return False
        inner = [m for m in users if joins(m) or m in kernel.shifted]
        again: float | None = None
        if not inner:  # it is joined itself, and read in full
            if result.shape != kernel.domain or not all(self._reads_full(m, result, kernel.domain) for m in users):
                return False
        else:
            if len(inner) < len(self.users[instruction]) or instruction.kind not in ("elementwise", "movement"):
                return False
            if result in self.roots or not all(_shows(m, result) for m in users):
                return False
            before = max(kernel.shifted.get(m, 0.0) for m in users)
            again = self.weight(instruction) + before if before or len(users) > 1 else 0.0
            if again > AGAIN:
                return False
        weight = self.weight(instruction)
        if self._too_large([*kernel.members, instruction], kernel.domain, kernel.weight + weight):
            return False
        if again is not None:
            kernel.shifted[instruction] = again
        kernel.add(instruction, weight)
        return True

    def _too_large(self, members: list[Instruction], domain: Shape, weight: float) -> bool:
        """Whether there would be too much code: a kernel that reads through what is joined is written out for each box."""
        count = joined.boxes(members, domain)
        return count is None or count * weight > BOXED

    def _rows_innermost(self, values: Iterable[Value], domain: Shape, split: int) -> bool:
        """Whether neighbours in memory belong to different rows, as where samples are innermost. Row by row is the wrong way
        through such arrays: sums over all of them at once, pass after pass, are many times quicker."""
        for value in values:
            steps = self.layouts[value].strides if value.shape == domain else ()
            lengths = [(abs(step), axis) for axis, step in enumerate(steps) if step and domain[axis] > 1]
            if lengths and min(lengths)[1] < split:
                return True
        return False

    def _reads(self, user: Instruction, result: Result) -> Iterator[tuple[Value, Place]]:
        """The arguments of a user that show a result, with where they are in its memory, were it dense."""
        for arg in user.args:
            if arg.source is result.instruction:
                yield arg, self.layouts[arg]

    def _reads_full(self, user: Instruction, result: Result, domain: Shape) -> bool:
        """Whether a user reads of a result just the element it is at."""
        return all(arg is result for arg, _ in self._reads(user, result)) and result.shape == domain

    def _reads_own_row(self, kernel: Kernel, user: Instruction, result: Result, split: int) -> bool:
        """Whether a user reads the value of its own row of what is computed once per row."""
        if user in kernel.rows:
            return self._same_elements(user, result, kernel.domain[:split])
        return self._reads_row(user, result, kernel.domain, split)

    def _same_elements(self, user: Instruction, result: Result, rows: Shape) -> bool:
        """Whether a user that is computed per row reads the element of the same row, apart from axes of length one."""
        own = self.layouts[result].strides
        for arg, place in self._reads(user, result):
            if place.offset or _unpadded(arg.shape, len(rows)) != rows:
                return False
            if not alike(rows, place.strides, own):
                return False
        return True

    def _reads_row(self, user: Instruction, result: Result, domain: Shape, split: int) -> bool:
        """Whether a user, at an element of the domain, reads the row's element of a result."""
        rows = domain[:split]
        own = self.layouts[result].strides
        for arg, place in self._reads(user, result):
            strides = aligned(arg.shape, place.strides, domain)
            if place.offset or strides is None or any(strides[split:]) or not alike(rows, strides, own):
                return False
        return True

    # -- forwards ------------------------------------------------------------------------------------------------

    def _forwards(self, entries: list[Entry]) -> list[Entry]:
        where: dict[Instruction, int] = {}
        kept: list[Entry | None] = list(entries)
        for i, entry in enumerate(entries):
            if isinstance(entry, Kernel):
                target = self._target(entry, kept, where)
                if target is not None:
                    into = kept[target]
                    assert isinstance(into, Kernel)
                    into.absorb(entry)
                    where.update(dict.fromkeys(entry.members, target))
                    kept[i] = None
                    continue
                where.update(dict.fromkeys(entry.members, i))
            else:
                where[entry] = i
        return [entry for entry in kept if entry is not None]

    def _siblings(self, entries: list[Entry]) -> list[Entry]:
        """Let what is joined of the results of several kernels be computed in one, as far as what they read is there by then:
        they write to the same lines of memory."""
        where = {m: i for i, e in enumerate(entries) for m in (e.members if isinstance(e, Kernel) else [e])}
        gone: set[int] = set()
        for entry in entries:
            if isinstance(entry, Kernel) or entry.name != "concatenate":
                continue
            makers = [where[m] for a in entry.args if (m := a.source) is not None]
            first: Kernel | None = None
            for i in sorted(set(makers) - gone):
                kernel = entries[i]
                if not isinstance(kernel, Kernel) or kernel.split is not None or kernel.joins:
                    continue
                if first is None:
                    first, at = kernel, i
                    continue
                read = {where[m] for k in kernel.members for a in k.args if (m := a.source) is not None} - {i}
                fits = kernel.domain == first.domain and max(read, default=-1) < at
                if fits and first.fits(kernel.weight):
                    first.absorb(kernel)
                    where.update(dict.fromkeys(kernel.members, at))
                    gone.add(i)
        return [e for i, e in enumerate(entries) if i not in gone]

    def _target(self, kernel: Kernel, entries: list[Entry | None], where: dict[Instruction, int]) -> int | None:
        """The earlier kernel that this one can be part of, if there is one that computes what it reads."""
        inside = set(kernel.members)
        makers: dict[Instruction, None] = {}
        for member in kernel.members:
            for arg in member.args:
                maker = arg.source
                if maker is not None and maker not in inside:
                    makers[maker] = None
        if not makers:
            return None
        latest = max(where[m] for m in makers)
        into = entries[latest]
        if not isinstance(into, Kernel) or into.domain != kernel.domain:
            return None
        if into.split is not None and kernel.split is not None and into.split != kernel.split:
            return None
        if not into.fits(kernel.weight, kernel.joins):
            return None
        if into.joins or kernel.joins:
            if into.split is not None or kernel.split is not None:
                return None
            if self._too_large([*into.members, *kernel.members], kernel.domain, into.weight + kernel.weight):
                return None
        if (into.split is None) != (kernel.split is None) and (into.split == 0 or kernel.split == 0):
            return None  # whole arrays in phases: nothing is gained
        for member in kernel.members:
            for maker in dict.fromkeys([a.source for a in member.args]):
                if maker in makers and where[maker] == latest and not self._reads_from(kernel, member, maker, into):
                    return None
        return latest

    def _reads_from(self, kernel: Kernel, member: Instruction, maker: Instruction, into: Kernel) -> bool:
        """Whether a member of a kernel can read in another one what that computes."""
        if maker.kind == "reduction" or member in kernel.shifted:
            return False
        (result,) = maker.results
        if maker in into.rows:
            assert into.split is not None
            if member in kernel.rows:
                return self._same_elements(member, result, into.row_shape)
            return self._reads_row(member, result, kernel.domain, into.split)
        return member not in kernel.rows and self._reads_full(member, result, kernel.domain)


def _shows(user: Instruction, result: Result) -> bool:
    """Whether all that a user reads of a result is the result, or runs of places of it."""
    for arg in user.args:
        if arg.source is result.instruction:
            base = joined.run(arg)[0] if joins(user) else arg
            if base is not result or (not joins(user) and result.shape != user.results[0].shape):
                return False
    return True


def _domain(instruction: Instruction) -> Shape:
    """The shape an instruction walks over."""
    value: Value = instruction.args[0] if instruction.kind == "reduction" else instruction.results[0]
    return value.shape


def _unpadded(shape: Shape, count: int) -> Shape | None:
    """A shape with its trailing axes of length one beyond the first `count` axes taken off; None if there are others."""
    return shape[:count] if all(n == 1 for n in shape[count:]) else None


def _rows_of(shape: Shape) -> int:
    """How many axes a shape has without its trailing axes of length one."""
    count = len(shape)
    while count and shape[count - 1] == 1:
        count -= 1
    return count


@functools.lru_cache(4096)
def aligned(shape: Shape, strides: Strides, domain: Shape) -> Strides | None:
    """Strides by the axes of a domain, 0 where a shape is broadcast to it; None if it does not broadcast."""
    lead = len(domain) - len(shape)
    if lead < 0:
        return None
    found = [0] * lead
    for n, stride, length in zip(shape, strides, domain[lead:], strict=True):
        if n == length:
            found.append(stride if n > 1 else 0)
        elif n == 1:
            found.append(0)
        else:
            return None
    return tuple(found)


def fuse(
    program: Program,
    layouts: Layouts,
    fusible: set[Instruction],
    weight: Weight = lambda instruction: 1.0,
    writers: Writers = MappingProxyType({}),
) -> list[Entry]:
    """Group a program's instructions into kernels; views disappear.

    Args:
        program: a program whose views are all expressible by strides.
        layouts: where its values lie.
        fusible: the elementwise instructions and reductions that a kernel can contain.
        weight: how much code an instruction is, beside an addition.
        writers: what is to write to an array in place; none is put off beyond that which reads the array before it.
    """
    return Fusion(program, layouts, fusible, weight, writers).run()


__all__ = ["Entry", "Kernel", "aligned", "fuse"]
