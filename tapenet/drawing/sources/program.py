"""The program of a compiled function as a drawing: as it was captured, after all passes, and as its backend runs it, with
a cluster around what runs in one go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tapenet.compiler.compile import Compiled
from tapenet.compiler.explain import size_in_words
from tapenet.compiler.variant import Variant
from tapenet.drawing.model import Around, Cluster, Drawing, Edge, Explained, Flow, Kind, Vertex, counted
from tapenet.drawing.sources import program_labels as labels
from tapenet.drawing.sources.labels import value_of, words
from tapenet.drawing.sources.program_names import Names
from tapenet.program.groups import Groups, arranged, single, traffic
from tapenet.program.ir import Constant, Host, Instruction, Program, Reference, Result, Value
from tapenet.program.primitives import BODIES
from tapenet.program.text import names, statement

#: The stages that a program can be drawn at, with what to call them.
STAGES = {"captured": "as captured", "optimized": "after all passes", "fused": "as it runs"}
#: How many elements of a constant a tooltip shows.
_SHOWN = 7


def of_compiled(
    compiled: Compiled, stage: str = "fused", places: dict[Instruction, int] | None = None, *, inside: bool = False
) -> Drawing:
    """The program that a compiled function became, the latest if there are several, as a drawing.

    Args:
        compiled: what `tn.compile` gave; called already.
        stage: "captured", "optimized" (after all passes), or "fused": as the backend runs it, with a cluster around the
            instructions that run in one go. Views that cost nothing are where they are needed.
        places: filled with the positions of the instructions in it.
        inside: what a model or an optimizer keeps, parameters and states, is lines in the boxes that read and write it, as
            constants are; axes of length 1 come and go without a box.

    Raises:
        ValueError: it was not called yet; there is no such stage.

    >>> import numpy as np, tapenet as tn
    >>> f = tn.compile(lambda x: (2 * tn.tanh(x)).sum(), backend="numpy")
    >>> f(np.zeros(3)).item()
    0.0
    >>> [vertex.title for vertex in of_compiled(f).vertices]
    ['x', 'tanh', '2 ×', 'sum', 'output']
    """
    found, groups = _chosen(compiled, stage)
    drawer = _Drawer(Names(found, compiled.explain().parameters), {c.op: c.reason for c in found.called}, inside)
    drawer.whole(groups)
    if places is not None:
        places.update(drawer.places)
    return drawer.finished()


def caption_of(compiled: Compiled, stage: str = "fused") -> str:
    """What a program is, in a line: how much there is of what, and how many bytes it moves if each group of instructions
    reads what it is given from memory and writes there what others need.

    Raises:
        ValueError: as `of_compiled`.

    >>> import numpy as np, tapenet as tn
    >>> f = tn.compile(lambda x: (2 * tn.tanh(x)).sum(), backend="numpy")
    >>> f(np.zeros(3)).item()
    0.0
    >>> caption_of(f, "captured"), caption_of(f)
    ('<lambda> as captured: 3 instructions, 128 bytes moved', '<lambda>, numpy: 3 instructions, 128 bytes moved')
    """
    _, groups = _chosen(compiled, stage)
    told = compiled.explain()
    count = _count(groups)
    parts = [counted(count["instructions"], "instruction")]
    if count["kernels"]:
        parts[0] += f", {count['fused']} of them in {counted(count['kernels'], 'kernel')}"
    parts += [counted(count[what], what[:-1]) for what in ("products", "loops", "calls") if count[what]]
    parts.append(f"{size_in_words(sum(traffic(groups)))} moved")
    title = f"{told.title}, {told.backend}" if stage == "fused" else f"{told.title} {STAGES[stage]}"
    return f"{title}: {', '.join(parts)}"


def _count(groups: Groups) -> Counter[str]:
    """How many instructions there are, in bodies too, and of what; views are none."""
    count: Counter[str] = Counter()
    for group in groups.groups:
        told = [i for i in group.instructions if i.kind != "view"]
        count["instructions"] += len(told)
        count["kernels"] += group.fused
        count["fused"] += len(told) if group.fused else 0
        count["products"] += sum(i.kind == "product" for i in told)
        count["loops"] += sum(i.name in ("loop", "while") for i in told)
        count["calls"] += sum(i.name == "call" for i in told)
        for instruction in told:
            for body in _bodies(groups, instruction):
                count += _count(body)
    return count


def _bodies(groups: Groups, instruction: Instruction) -> tuple[Groups, ...]:
    """The bodies of a loop or branch; as they are where the backend made nothing of them."""
    found = groups.bodies.get(instruction)
    if found is not None or instruction.kind != "control":
        return found or ()
    return tuple(single(instruction.params[name]) for name in BODIES[instruction.name])


def _chosen(compiled: Compiled, stage: str) -> tuple[Variant, Groups]:
    """The program that is asked for."""
    if stage not in STAGES:
        raise ValueError(f"there is no stage {stage!r}; there are {', '.join(map(repr, STAGES))}")
    told = compiled.explain()
    if not told.variants:
        raise ValueError(
            f"draw: {told.title}: nothing is compiled before the first call: call it once with the arguments that it will have"
        )
    variant = told.variants[-1]
    if stage == "fused":
        groups: Groups = variant.runner.groups()
        return variant, groups
    return variant, single(variant.captured if stage == "captured" else variant.program)


class _End(NamedTuple):
    """Where a value comes from."""

    vertex: int
    result: int | None = None


class _Drawer:
    """Draws a program, and the bodies of its loops and branches."""

    def __init__(self, names: Names, reasons: Mapping[object, str], inside: bool) -> None:
        self.names = names
        self.inside = inside
        #: What was drawn as a line in a box.
        self.told: set[Value] = set()
        #: By box: what is kept that it writes.
        self.writes: dict[int, list[str]] = {}
        self.reasons = reasons
        #: Where the instructions are.
        self.places: dict[Instruction, int] = {}
        self.drawing = Drawing([], [], [], {})
        #: What each value is called.
        self.titles: dict[Value, str] = {}
        #: What the host computes for each turn of a loop, by what the body is given of it.
        self.turns: dict[Value, Host] = {}
        self.ends: dict[Value, _End] = {}
        #: Inputs of bodies that are a value from outside, the same in each turn.
        self.same: dict[Value, Value] = {}
        #: The cluster around the program that is drawn: its constants are inside.
        self.around: int | None = None
        self.kernels = 0

    def whole(self, groups: Groups) -> None:
        """Draw a program with its results and writes."""
        program = groups.program
        self.titles.update(zip(program.inputs, self.names.inputs, strict=True))
        self.run(groups, None)
        for target, value in program.writes:
            made = self.ends.get(value)
            if self.inside and self.names.of(target).kept and made is not None and self.is_op(made.vertex):
                self.writes.setdefault(made.vertex, []).append(self.names.of(target).title)
            else:
                self.end("update", f"← {self.names.of(target).title}", value)
        for position, value in enumerate(program.outputs):
            if position in self.names.written:
                self.end("update", f"← {self.names.written[position]}", value)
            else:
                self.end("output", self.names.outputs[position], value)

    def end(self, kind: Kind, title: str, value: Value) -> None:
        """Draw what becomes of a value."""
        self.source(value)  # before what it becomes
        spec = value_of(value)
        head = self.add(Vertex(kind, title, spec, details=(str(spec),)))
        self.connect(value, head, flow="update" if kind == "update" else "value")

    # -- vertices and edges --------------------------------------------------------------------------------------

    def add(self, vertex: Vertex) -> int:
        self.drawing.vertices.append(vertex)
        return len(self.drawing.vertices) - 1

    def connect(self, value: Value, head: int, argument: str = "", flow: Flow = "value") -> None:
        """Draw the edge that brings a value, or a line for what is kept."""
        value = self.origin(value)
        if self.is_line(value) and self.is_op(head):
            vertex = self.drawing.vertices[head]
            line = self.line(value)
            if line not in vertex.card:
                self.drawing.vertices[head] = vertex._replace(card=(*vertex.card, line))
            return
        end = self.source(value)
        self.drawing.edges.append(Edge(end.vertex, head, value_of(value), end.result, argument, flow))

    def is_op(self, vertex: int) -> bool:
        return self.drawing.vertices[vertex].kind == "op"

    def is_line(self, value: Value) -> bool:
        """Whether a value is drawn as a line in the boxes that read it."""
        value = self.origin(value)
        kept = isinstance(value, Constant) or (isinstance(value, Reference) and self.names.of(value).kept)
        return self.inside and kept and value not in self.ends

    def line(self, value: Value) -> str:
        """What a box says of something kept that it reads: its size where it is told of first."""
        title = self.names.of(value).title if isinstance(value, Reference) else "constant"
        spec = value_of(value)
        if value in self.told:
            return title
        self.told.add(value)
        text = f"{title} {'×'.join(map(str, spec.shape))}".strip()
        return f"{text} · {value.size:,}" if len(spec.shape) > 1 else text

    def finished(self) -> Drawing:
        """The drawing with what each box writes, and on kernels the lines of what is in them."""
        vertices, clusters = list(self.drawing.vertices), list(self.drawing.clusters)
        for i, titles in self.writes.items():
            vertices[i] = vertices[i]._replace(training=_writes(titles))
        inside: dict[int, list[int]] = {}
        for i, vertex in enumerate(vertices):
            if vertex.cluster is not None and clusters[vertex.cluster].around == "kernel":
                inside.setdefault(vertex.cluster, []).append(i)
        for at, found in inside.items():
            card = tuple(dict.fromkeys(line for i in found for line in vertices[i].card))
            written = _writes([title for i in found for title in self.writes.get(i, ())])
            clusters[at] = clusters[at]._replace(card=card, training=written)
        return self.drawing._replace(vertices=vertices, clusters=clusters)

    def origin(self, value: Value) -> Value:
        """The value from outside that an input of a body is."""
        while value in self.same:
            value = self.same[value]
        return value

    def source(self, value: Value) -> _End:
        """Where a value comes from; what comes from outside the program is drawn at its first use."""
        value = self.origin(value)
        if value not in self.ends:
            self.ends[value] = _End(self.add(self.outside(value)))
        return self.ends[value]

    def outside(self, value: Value) -> Vertex:
        spec = value_of(value)
        if isinstance(value, Reference):
            kind, title, _ = self.names.of(value)
            return Vertex(kind, title, spec, value.size if kind == "parameter" else 0, (title, str(spec)))
        host = self.turns.get(value, value)
        if isinstance(host, Host):
            return Vertex("constant", host.title or "host", spec, 0, ("computed anew at each call", str(spec)))
        if isinstance(value, Constant):
            shown = words(value.array.reshape(-1)[:_SHOWN].tolist())
            return Vertex("constant", labels.number(value) or "constant", spec, 0, (shown, str(spec)), self.around)
        if number := self.element(value):
            return Vertex("constant", number, spec, 0, ("computed anew at each call", str(spec)))
        return Vertex("input", self.titles[value], spec, 0, (self.titles[value], str(spec)))

    def called(self, value: Value) -> str:
        """What a value from outside is called; "" for one that is computed."""
        value = self.origin(value)
        if isinstance(value, Reference):
            return self.names.of(value).title
        return value.title if isinstance(value, Host) else self.titles.get(value, "")

    def written(self, value: Value) -> str:
        """An argument in a label: a number by its value or name."""
        return labels.number(self.origin(value)) or self.element(value) or labels.ARRAY

    def cluster(self, parent: int | None, name: str, type: str, around: Around, path: str = "", count: int = 1) -> int:
        depth = 0 if parent is None else self.drawing.clusters[parent].depth + 1
        self.drawing.clusters.append(Cluster(name, type, path, parent, depth, count=count, around=around))
        return len(self.drawing.clusters) - 1

    # -- instructions --------------------------------------------------------------------------------------------

    def run(self, groups: Groups, cluster: int | None) -> None:
        """Draw the instructions of a program, group by group."""
        self.around = cluster
        name = names(groups.program)
        moved = dict(zip((g.instructions[0] for g in groups.groups), traffic(groups), strict=True))
        for group in arranged(groups):
            first = next((i for i in group.instructions if i in moved), None)
            if all(self.is_number(i) for i in group.instructions):
                continue
            if first is not None and first.kind == "control":
                self.control(first, _bodies(groups, first), cluster)
                self.around = cluster
                continue
            self.sources(group.instructions)
            how = group.how
            around = cluster
            if group.fused and first is not None:
                self.kernels += 1
                title = f"kernel {self.kernels}"
                how = f"{title}, {how.removeprefix('kernel ')}, {size_in_words(moved[first])} moved"
                if len(group.instructions) > 1:
                    gist = labels.gist(group.instructions)
                    around = self.cluster(cluster, name=title, type=gist, path=how, around="kernel")
            for instruction in group.instructions:
                if not self.is_number(instruction):
                    self.instruction(instruction, name, how, around)

    def sources(self, instructions: Iterable[Instruction]) -> None:
        """Draw what comes from outside before the first of a cluster, so that what is in that follows each other."""
        made = {result for instruction in instructions for result in instruction.results}
        for instruction in instructions:
            for arg in instruction.args:
                if arg not in made and self.written(arg) == labels.ARRAY and not self.is_line(arg):
                    self.source(arg)

    def instruction(self, instruction: Instruction, name: Mapping[Value, str], how: str, cluster: int | None) -> None:
        if self.inside and instruction.name == "reshape" and not self.is_line(instruction.args[0]):
            before, after = ([n for n in v.shape if n != 1] for v in (instruction.args[0], instruction.results[0]))
            if before == after:  # the shape on the next edge says it
                self.ends[instruction.results[0]] = self.source(instruction.args[0])
                return
        op = labels.op_of(instruction)
        kind = labels.op_name(instruction)
        if op is not None:
            self.drawing.ops.setdefault(kind, Explained(op=op))
        details = [statement(instruction, name), how]
        if instruction.name == "call":
            details.append(f"called as it is: {self.reasons.get(instruction.params['op'], '')}")
        title = labels.title(instruction, self.written)
        head = self.places[instruction] = self.add(
            Vertex("op", title, None, 0, tuple(d for d in details if d), cluster, kind)
        )
        for arg, argument in zip(instruction.args, labels.arguments(instruction), strict=True):
            if self.written(arg) == labels.ARRAY:
                self.connect(arg, head, argument)
        several = len(instruction.results) > 1
        for i, result in enumerate(instruction.results):
            self.ends[result] = _End(head, i if several else None)

    def element(self, value: Value) -> str:
        """The name of a number that the host gives, by itself or in a vector of several: it is written in labels, as a
        learning rate is at home in every update. "" for all else."""
        position = 0
        value = self.origin(value)
        while value.size == 1 and isinstance(value, Result) and value.instruction.kind == "view":
            instruction = value.instruction
            value = self.origin(instruction.args[0])
            if instruction.name == "slice" and value.ndim == 1:
                ((start, _, step),) = instruction.params["slices"]
                position = start + step * position
        titles = self.numbers(value)
        return titles[position] if titles else ""

    def numbers(self, value: Value) -> list[str]:
        """The names of the numbers that the host gives in a vector, or as one; none if they have none."""
        value = self.origin(value)
        return _numbers(self.turns.get(value, value), value.shape)

    def is_number(self, instruction: Instruction) -> bool:
        """Whether an instruction only takes a number that has a name out of a vector."""
        return instruction.kind == "view" and bool(self.element(instruction.results[0]))

    # -- loops and branches --------------------------------------------------------------------------------------

    def control(self, instruction: Instruction, bodies: tuple[Groups, ...], cluster: int | None) -> None:
        used = {value for body in bodies for value in body.program.uses()}
        given = instruction.args[instruction.name == "branch" :]
        for body in bodies:
            for value, arg in zip(body.program.inputs, given, strict=True):
                # Named numbers are taken apart inside.
                if value in used and not _numbers(self.origin(arg), value.shape) and self.written(arg) == labels.ARRAY:
                    self.source(arg)
        if instruction.name == "loop":
            self.loop(instruction, bodies[0], cluster)
        elif instruction.name == "while":
            self.repeat(instruction, bodies, cluster)
        else:
            self.branch(instruction, bodies, cluster)

    def loop(self, instruction: Instruction, body: Groups, cluster: int | None) -> None:
        """Draw a loop as a cluster around its body, from whose end what is carried goes back to its beginning."""
        params = instruction.params
        carries, slices, length = params["carries"], params["slices"], params["length"]
        around = self.cluster(cluster, name="", type="scan", around="repeat", count=length)
        program = body.program
        used = program.uses()
        for i, (value, arg) in enumerate(zip(program.inputs, instruction.args, strict=True)):
            if i >= carries + slices:
                self.same[value] = arg
            elif value in used:
                self.turn(value, arg, i < carries, around)
        self.run(body, around)
        ends = self.carry(instruction, program)
        for result, end in zip(instruction.results, ends, strict=True):
            self.ends[result] = self.source(end)

    def carry(self, instruction: Instruction, program: Program) -> list[Value]:
        """Draw what the body of a loop hands on to the next turn; gives its results."""
        carries = instruction.params["carries"]
        ends = _ends(program, carries, len(instruction.results))
        for value, end in zip(program.inputs, ends[:carries], strict=False):
            if end is not value and value in self.ends:
                self.source(end)
                self.connect(end, self.ends[value].vertex, flow="carry")
        return ends

    def repeat(self, instruction: Instruction, bodies: tuple[Groups, ...], cluster: int | None) -> None:
        """Draw a loop that goes on as long as a test gives true: what is carried comes out where it does not."""
        carries = instruction.params["carries"]
        around = self.cluster(cluster, name="", type="while", around="repeat")
        test, body = (b.program for b in bodies)
        for i, (tested, value, arg) in enumerate(zip(test.inputs, body.inputs, instruction.args, strict=True)):
            self.same[tested] = value
            if i < carries:
                self.turn(value, arg, True, around)
            else:
                self.same[value] = arg
        for part, title in zip(bodies, ("test", "body"), strict=True):
            self.run(part, self.cluster(around, name="", type=title, around="repeat"))
        ends = self.carry(instruction, body)
        (goes_on,) = test.outputs
        self.source(goes_on)
        head = self.add(Vertex("op", "while", None, 0, (), around, "while"))
        self.connect(goes_on, head, "condition")
        for i, result in enumerate(instruction.results):
            if i < carries:
                self.connect(body.inputs[i], head)
            self.ends[result] = _End(head, i) if i < carries else self.source(ends[i])

    def turn(self, value: Value, arg: Value, carried: bool, cluster: int) -> None:
        """Draw what a turn of a loop is given: what the one before hands on, or a slice."""
        host = self.origin(arg)
        if isinstance(host, Host):
            self.turns[value] = host
            if self.numbers(value):
                return
        outer = self.called(arg)
        first = self.written(arg)
        self.titles[value] = (outer or "carried") if carried else f"{outer or 'slice'}[i]"
        details = f"at first {first}" if first != labels.ARRAY else ""
        told = tuple(d for d in (self.titles[value], str(value_of(value)), details) if d)
        head = self.add(Vertex("input", self.titles[value], value_of(value), 0, told, cluster))
        self.ends[value] = _End(head)
        if first == labels.ARRAY:
            self.connect(arg, head)

    def branch(self, instruction: Instruction, bodies: tuple[Groups, ...], cluster: int | None) -> None:
        """Draw a branch: both bodies, and a choice between their results."""
        around = self.cluster(cluster, name="", type="cond", around="repeat")
        condition, *rest = instruction.args
        self.source(condition)
        found = []
        for body, title in zip(bodies, ("if true", "if false"), strict=True):
            self.same.update(zip(body.program.inputs, rest, strict=True))
            self.run(body, self.cluster(around, name="", type=title, around="repeat"))
            found.append((title, body.program.outputs))
        for _, outputs in found:
            for value in outputs:
                self.source(value)
        head = self.add(Vertex("op", "cond", None, 0, (), around, "cond"))
        self.connect(condition, head, "condition")
        for title, outputs in found:
            for value in outputs:
                self.connect(value, head, title)
        several = len(instruction.results) > 1
        for i, result in enumerate(instruction.results):
            self.ends[result] = _End(head, i if several else None)


def _writes(titles: Iterable[str]) -> str:
    """What is written, a parameter's states by their own names after it."""
    found: list[str] = []
    for title in sorted(titles):
        of, _, state = title.rpartition(": ")
        found.append(state if of in found else title)
    return f"← {', '.join(found)}" if found else ""


def _numbers(value: Value, shape: tuple[int, ...]) -> list[str]:
    """The names of the numbers in an array of this shape, all of what the host gives or one turn's; none if they have
    none."""
    titles = value.title.split(", ") if isinstance(value, Host) else []
    fitting = shape == (len(titles),) or (shape == () and len(titles) == 1)
    return titles if fitting and all(title.isidentifier() for title in titles) else []


def _ends(program: Program, carries: int, count: int) -> list[Value]:
    """The results of a loop's body: those that are carried, then the others. The native body writes the former to where
    they came from."""
    if len(program.outputs) == count:
        return list(program.outputs)
    written: dict[Value, Value] = {write.target: write.value for write in program.writes}
    return [*(written.get(v, v) for v in program.inputs[:carries]), *program.outputs]
