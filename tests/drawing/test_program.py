"""Drawings of compiled programs: everything in them once, in the groups in which the backend runs it, by its names."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.compiler.compile import Compiled
from tapenet.drawing.forms.dot import to_dot
from tapenet.drawing.forms.svg import to_svg
from tapenet.drawing.layout import place
from tapenet.drawing.model import Drawing, Vertex
from tapenet.drawing.passes.folding import fold
from tapenet.drawing.sources.program import STAGES, caption_of, of_compiled
from tapenet.program.groups import Groups, arranged, single, traffic
from tapenet.program.ir import Instruction, Program
from tapenet.program.text import names, statement
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

X = np.ones((8, 6), np.float32)
Y = np.zeros(8, np.int64)


class MLP(nn.Module):
    def __init__(self, width: int = 16) -> None:
        self.hidden = nn.Linear(6, width)
        self.fc = nn.Linear(width, 3)

    def forward(self, x: Any) -> Any:
        return self.fc(np.tanh(self.hidden(x)))


def training(compiled: Compile) -> Compiled:
    net = MLP()
    opt = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    f = compiled(step)
    f(X, Y)
    return f


def looping(compiled: Compile) -> Compiled:
    def f(x: Any, flag: Any) -> Any:
        def turn(carried: Any, row: Any) -> Any:
            carried = np.tanh(carried * 0.5 + row)
            return carried, carried * 2

        last, rows = tn.scan(turn, x[0], x)
        return tn.cond(flag, lambda a: a * 3, lambda a: np.tanh(a) + 1, rows), last

    made = compiled(f)
    made(X, np.array(True))
    return made


def epochs(compiled: Compile) -> Compiled:
    net = MLP()
    opt = optim.Adam(net.parameters(), lr=optim.cosine(0.01, 100))

    def epoch(xs: Any, ys: Any) -> Any:
        def turn(total: Any, batch: Any) -> Any:
            loss = F.cross_entropy(net(batch[0]), batch[1])
            opt.zero_grad()
            loss.backward()
            opt.step()
            return total + loss, loss

        total, losses = tn.scan(turn, np.float32(0), (xs, ys))
        return {"mean": total / len(losses), "losses": losses}

    made = compiled(epoch)
    made(np.ones((5, 8, 6), np.float32), np.zeros((5, 8), np.int64))
    return made


def large(compiled: Compile) -> Compiled:
    """Arrays too large for a cache."""

    def f(x: Any) -> Any:
        return (np.tanh(x) * x + 1).T.sum(0)

    made = compiled(f)
    made(np.ones((400, 500)))
    return made


PROGRAMS: dict[str, Callable[[Compile], Compiled]] = {
    "training": training,
    "loops": looping,
    "epochs": epochs,
    "large": large,
}
programs = pytest.mark.parametrize("make", PROGRAMS.values(), ids=PROGRAMS)


def groups_of(f: Compiled, stage: str) -> Groups:
    variant = f.variants[-1]
    if stage == "fused":
        return variant.runner.groups()
    return single(variant.captured if stage == "captured" else variant.program)


class Run(NamedTuple):
    """Instructions in one go, as text."""

    texts: tuple[str, ...]
    fused: bool


def runs(groups: Groups) -> Iterator[Run]:
    """What runs in one go, bodies included, as the backend says; without views."""
    name = names(groups.program)
    for group in groups.groups:
        told = [i for i in group.instructions if i.kind != "view"]
        if told:
            yield Run(tuple(sorted(statement(i, name) for i in told)), group.fused)
        for instruction in told:
            bodies = groups.bodies.get(instruction)
            if bodies is None:
                bodies = tuple(single(p) for p in instruction.params.values() if isinstance(p, Program))
            for body in bodies:
                yield from runs(body)


def drawn(drawing: Drawing) -> list[Vertex]:
    """The vertices that are instructions."""
    return [v for v in drawing.vertices if v.kind == "op" and v.details]


def is_view(vertex: Vertex) -> bool:
    text = vertex.details[0].partition(" = ")[2]
    return text.partition(" ")[0] in ("reshape", "transpose", "broadcast", "slice")


def titles(drawing: Drawing, *kinds: str) -> list[str]:
    return [v.title for v in drawing.vertices if v.kind in kinds]


# -- what is in it -----------------------------------------------------------------------------------------------


@backends
@programs
@pytest.mark.parametrize("stage", STAGES)
def test_every_instruction_is_there_once(compiled: Compile, make: Any, stage: str) -> None:
    f = make(compiled)
    found = Counter(v.details[0] for v in drawn(of_compiled(f, stage)) if not is_view(v))
    wanted = Counter(text for run in runs(groups_of(f, stage)) for text in run.texts)
    control = {text: n for text, n in wanted.items() if " = loop " in text or " = branch " in text}
    assert found == wanted - Counter(control)
    assert bool(control) == (make in (looping, epochs))


@backends
@pytest.mark.parametrize("stage", STAGES)
def test_views_are_there_once_too(compiled: Compile, stage: str) -> None:
    f = training(compiled)
    program = groups_of(f, stage).program
    name = names(program)
    found = Counter(v.details[0] for v in drawn(of_compiled(f, stage)) if is_view(v))
    wanted = Counter(statement(i, name) for i in program.body if i.kind == "view")
    taken = wanted - found  # the learning rate and the momentum, out of a vector: written in labels
    assert not found - wanted
    assert sorted(text.split()[2] for text in taken) == ["reshape", "reshape", "slice", "slice"]


@backends
@programs
def test_kernels_hold_what_the_backend_fuses(compiled: Compile, make: Any) -> None:
    f = make(compiled)
    drawing = of_compiled(f)
    inside: dict[int, list[str]] = {}
    for vertex in drawn(drawing):
        kernel = vertex.cluster is not None and drawing.clusters[vertex.cluster].around == "kernel"
        if kernel and not is_view(vertex):
            inside.setdefault(vertex.cluster or 0, []).append(vertex.details[0])
    found = sorted(tuple(sorted(texts)) for texts in inside.values())
    fused = [run.texts for run in runs(groups_of(f, "fused")) if run.fused]
    assert [texts for texts in found if len(texts) > 1] == sorted(texts for texts in fused if len(texts) > 1)
    assert all(texts in fused for texts in found)
    if f.explain().backend == "native":
        assert found
    single_runs = {run.texts[0] for run in runs(groups_of(f, "fused")) if not run.fused}
    assert not single_runs & {text for texts in found for text in texts}


@backends
@programs
@pytest.mark.parametrize("stage", STAGES)
def test_what_is_used_comes_before(compiled: Compile, make: Any, stage: str) -> None:
    drawing = of_compiled(make(compiled), stage)
    for closed in (set(), set(range(len(drawing.clusters)))):
        folded = fold(drawing, closed)
        assert all(edge.tail < edge.head for edge in folded.edges if edge.flow != "carry")
    heads = {edge.head for edge in drawing.edges}
    tails = {edge.tail for edge in drawing.edges}
    for position, vertex in enumerate(drawing.vertices):
        if vertex.kind in ("output", "update"):
            assert position in heads
        elif vertex.kind in ("parameter", "constant"):
            assert position in tails, vertex


@backends
@programs
def test_each_argument_of_an_instruction_has_an_edge_or_is_written(compiled: Compile, make: Any) -> None:
    f = make(compiled)
    drawing = of_compiled(f, "optimized")
    count = Counter(edge.head for edge in drawing.edges if edge.flow == "value")
    by_text = {}
    stack = [f.variants[-1].program]
    while stack:
        program = stack.pop()
        name = names(program)
        by_text |= {statement(i, name): i for i in program.body}
        stack += [p for i in program.body for p in i.params.values() if isinstance(p, Program)]
    for position, vertex in enumerate(drawing.vertices):
        if vertex.kind == "op" and vertex.details:
            instruction: Instruction = by_text[vertex.details[0]]
            arrays = [a for a in instruction.args if a.size > 1]
            assert len(arrays) <= count[position] <= len(instruction.args), vertex


# -- names and labels --------------------------------------------------------------------------------------------


@backends
def test_names(compiled: Compile) -> None:
    drawing = of_compiled(training(compiled))
    weights = ["hidden.weight", "hidden.bias", "fc.weight", "fc.bias"]
    assert sorted(titles(drawing, "parameter")) == sorted(weights)  # each once
    assert sum(v.parameters for v in drawing.vertices) == 6 * 16 + 16 + 16 * 3 + 3
    momenta = [f"{name}: momentum_buffer" for name in weights]
    assert sorted(titles(drawing, "input")) == sorted([*momenta, "x", "y"])
    assert sorted(titles(drawing, "update")) == sorted(f"← {name}" for name in [*weights, *momenta])
    assert titles(drawing, "output") == ["output"]
    ops = titles(drawing, "op")
    assert ops.count("lr ×") == ops.count("momentum ×") == 4
    assert "tanh" in ops
    assert ops.count("@ ·ᵀ") == 2
    assert {"max along axis 1", "sum along axis 1", "exp", "log", "1 −"} <= set(ops)
    updates = [e for e in drawing.edges if e.flow == "update"]
    assert [drawing.vertices[e.head].kind for e in updates] == ["update"] * 8
    assert drawing.ops["tanh"].formula == "tanh x"


def test_what_is_kept_is_lines_in_the_boxes_that_read_and_write_it(compiled: Compile) -> None:
    picture = tn.draw(training(compiled))
    vertices = picture.drawing.vertices
    assert {v.kind for v in vertices} <= {"op", "module", "input", "constant", "output"}
    lines = [line for v in vertices for line in v.lines]
    for name, size in (("hidden.weight", "16×6 · 96"), ("hidden.bias", "16")):
        assert lines.count(f"{name} {size}") == 1
        assert sum(line in (f"← {name}", f"← {name}, momentum_buffer") for line in lines) == 1
        assert lines.count(f"{name}: momentum_buffer {size}") == 1
    assert len(vertices) < len(tn.draw(training(compiled), parameters=True).drawing.vertices) - 12


def test_arguments_and_results_in_their_structure() -> None:
    w = tn.tensor(np.ones(3), requires_grad=True)
    table = {"scale": np.full(3, 2.0)}

    def f(pair: Any, *, shift: Any) -> Any:
        y = pair[0] * w * table["scale"] + pair[1]["b"] - shift
        y.sum().backward()
        return {"y": y, "both": (y * 2, [y * 3])}

    made = tn.compile(f, backend="numpy")
    made((np.ones(3), {"b": np.ones(3)}), shift=np.ones(3))
    drawing = of_compiled(made)
    assert titles(drawing, "parameter") == ["w"]
    assert sorted(titles(drawing, "input")) == ["pair[0]", "pair[1]['b']", "shift", "table['scale']"]
    assert titles(drawing, "output") == ["y", "both[0]", "both[1][0]", "gradient of w"]
    w.grad = None
    made((np.ones(3), {"b": np.ones(3)}), shift=np.ones(3))
    assert of_compiled(made) == drawing


def test_a_gradient_of_an_argument_is_called_so() -> None:
    def f(x: Any) -> None:
        (x * x).sum().backward()

    made = tn.compile(f, backend="numpy")
    x = tn.tensor(np.ones(3), requires_grad=True)
    made(x)
    assert titles(of_compiled(made), "output") == ["gradient of x"]
    made(x)  # adds to the gradient that is there by now
    assert set(titles(of_compiled(made), "input")) == {"x", "gradient of x"}


def test_several_modules_are_told_apart() -> None:
    first, second = MLP(), MLP()

    def f(x: Any) -> Any:
        return first(x) - second(x)

    made = tn.compile(f, backend="numpy")
    made(X)
    assert {"first.fc.weight", "second.fc.weight"} <= set(titles(of_compiled(made), "parameter"))


@backends
def test_calls_say_why(compiled: Compile) -> None:
    def forward(x: Any) -> Any:
        return np.asarray(x) * (2 if x.sum() > 0 else 3)

    odd = tn.op(forward, name="odd", x=lambda g: g)
    drop = nn.Dropout(0.5)
    f = compiled(lambda x: odd(drop(x)).sum())
    f(X)
    drawing = of_compiled(f)
    (call,) = [v for v in drawing.vertices if v.op == "odd"]
    assert call.title == "odd"
    assert call.details[-1].startswith("called as it is: ")
    assert len(call.details[-1]) > len("called as it is: ")
    assert titles(drawing, "constant") == ["random numbers"]
    assert " 1 call, " in caption_of(f)


# -- loops and branches ------------------------------------------------------------------------------------------


@backends
def test_loops_and_branches_are_boxes_around_their_bodies(compiled: Compile) -> None:
    drawing = of_compiled(looping(compiled))
    boxes = {c.title: i for i, c in enumerate(drawing.clusters) if c.around == "repeat"}
    assert list(boxes) == ["scan ×8", "cond", "if true", "if false"]
    assert [drawing.clusters[i].parent for i in boxes.values()] == [None, None, boxes["cond"], boxes["cond"]]

    def inside(box: str) -> list[str]:
        found = []
        for vertex in drawing.vertices:
            at = vertex.cluster
            while at is not None and at != boxes[box]:
                at = drawing.clusters[at].parent
            found += [vertex.title] if at is not None else []
        return found

    assert set(inside("scan ×8")) >= {"carried", "x[i]", "× 0.5", "tanh", "+", "× 2"}
    assert inside("if true") == ["× 3"]
    assert inside("if false") == ["tanh", "+ 1"]
    (carry,) = [e for e in drawing.edges if e.flow == "carry"]
    assert drawing.vertices[carry.head].title == "carried"
    assert drawing.vertices[carry.tail].title == "tanh"
    (choice,) = [i for i, v in enumerate(drawing.vertices) if v.op == "cond"]
    brought = {(drawing.vertices[e.tail].title, e.argument) for e in drawing.edges if e.head == choice}
    assert brought == {("flag", "condition"), ("× 3", "if true"), ("+ 1", "if false")}
    assert titles(drawing, "output") == ["output 0", "output 1"]


@backends
def test_a_loop_of_any_number_of_turns_is_a_box_around_its_test_and_its_body(compiled: Compile) -> None:
    f = compiled(lambda x, least: tn.while_loop(lambda c: c.sum() > least, lambda c: np.tanh(c) * 0.5, x))
    f(X, np.float32(1))
    drawing = of_compiled(f)
    boxes = {c.title: i for i, c in enumerate(drawing.clusters) if c.around == "repeat"}
    assert list(boxes) == ["while", "test", "body"]
    assert [drawing.clusters[i].parent for i in boxes.values()] == [None, boxes["while"], boxes["while"]]
    (carry,) = [e for e in drawing.edges if e.flow == "carry"]
    assert (drawing.vertices[carry.tail].title, drawing.vertices[carry.head].title) == ("× 0.5", "x")
    (end,) = [i for i, v in enumerate(drawing.vertices) if v.op == "while"]
    brought = {(drawing.vertices[e.tail].title, e.argument) for e in drawing.edges if e.head == end}
    assert brought == {(">", "condition"), ("x", "")}
    (out,) = [e for e in drawing.edges if drawing.vertices[e.head].kind == "output"]
    assert out.tail == end
    assert " 1 loop, " in caption_of(f)


@backends
def test_a_loop_that_trains(compiled: Compile) -> None:
    drawing = of_compiled(epochs(compiled))
    assert {"lr ×", "beta1 ×", "+ eps"} <= set(titles(drawing, "op"))
    assert not [title for title in titles(drawing, "constant") if "lr" in title]
    carried = {drawing.vertices[e.head].title for e in drawing.edges if e.flow == "carry"}
    assert {"fc.weight", "fc.weight: grad_sum"} <= carried
    assert len(titles(drawing, "update")) == 12
    assert titles(drawing, "output") == ["mean", "losses"]


# -- captions, errors, pictures ----------------------------------------------------------------------------------


@backends
def test_captions_count(compiled: Compile) -> None:
    f = training(compiled)
    variant = f.variants[0]
    told = [i for i in variant.captured.body if i.kind != "view"]
    assert caption_of(f, "captured").startswith(f"step as captured: {len(told)} instructions, 5 products, ")
    fused = groups_of(f, "fused")
    kernels = [g for g in fused.groups if g.fused]
    members = sum(i.kind != "view" for g in kernels for i in g.instructions)
    text = caption_of(f)
    backend = f.explain().backend
    assert text.startswith(f"step, {backend}: ")
    assert text.endswith(" KB moved")
    assert (f" {members} of them in {len(kernels)} kernels, 5 products, " in text) == (backend == "native")
    assert sum(traffic(fused)) <= sum(traffic(single(variant.program)))


def test_traffic_is_what_must_be_read_and_written() -> None:
    pytest.importorskip("llvmlite")
    f = tn.compile(lambda x: np.tanh(x) * x + 1, backend="native")
    f(np.ones((10, 10)))
    assert traffic(groups_of(f, "fused")) == [1600]  # x is read once, the result written
    assert sum(traffic(single(f.variants[0].program))) == 1600 + 2400 + 1600


@backends
def test_views_go_where_they_are_needed(compiled: Compile) -> None:
    groups = groups_of(large(compiled), "fused")
    found = arranged(groups)
    placed = [i for group in found for i in group.instructions]
    assert Counter(placed) == Counter(groups.program.body)
    known: set[Any] = set()
    for instruction in placed:
        makers = {getattr(arg, "instruction", None) for arg in instruction.args} - {None}
        assert makers <= known
        known.add(instruction)


def test_what_is_asked_for_must_be_there() -> None:
    f = tn.compile(lambda x: x * 2, backend="numpy")
    with pytest.raises(
        ValueError, match="draw: <lambda>: nothing is compiled before the first call: call it once with the"
    ):
        of_compiled(f)
    f(X)
    with pytest.raises(ValueError, match="there is no stage 'final'; there are 'captured', 'optimized', 'fused'"):
        of_compiled(f, "final")


@backends
@programs
def test_pictures(compiled: Compile, make: Any) -> None:
    drawing = of_compiled(make(compiled))
    text = to_dot(drawing)
    assert to_dot(of_compiled(make(compiled))) == text  # another module, the same program
    root = ET.fromstring(to_svg(place(drawing)))
    shown = {e.text for e in root.iter("{http://www.w3.org/2000/svg}text")}
    for cluster in drawing.clusters:  # a long title stands in two lines
        assert set(cluster.title.split(" · ")) <= {part for text in shown if text for part in text.split(" · ")}


def test_importing_loads_neither_the_compiler_nor_llvmlite() -> None:
    code = (
        "import sys, tapenet; assert 'tapenet.compiler' not in sys.modules; "
        "import tapenet.drawing.sources.program; assert 'tapenet.compiler.compile' in sys.modules; "
        "assert 'llvmlite' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_calls_of_ops_of_ones_own_show_their_options(compiled: Compile) -> None:
    clipped = tn.op(lambda x, limit=1.0: np.clip(x, -limit, limit), name="soft_clip", x=lambda g: g, opaque="by hand")
    f = compiled(lambda x: clipped(x, 2.0).sum())
    f(np.ones(3))
    assert "soft_clip, limit=2.0" in titles(of_compiled(f), "op")


def test_calls_and_kernels_are_called_as_people_write_them(compiled: Compile) -> None:
    layer = nn.Conv2d(4, 4, 3, stride=2)  # one of less work is no call
    f = compiled(lambda x: np.tanh(layer(x)))
    f(np.ones((1, 4, 9, 9), np.float32))
    assert "conv 3×3, 4, stride 2" in titles(of_compiled(f, "optimized"), "op")
    shown = " ".join(c.title for c in of_compiled(f, "fused").clusters)
    assert "(1 ops)" not in shown
