"""From recorded nodes to a drawing: what is drawn, under which name and in which module."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.autodiff.observe.capture import Capture
from tapenet.drawing.model import Drawing, Value
from tapenet.drawing.sources.build import build, label
from tapenet.drawing.sources.names import Name, key_of
from tapenet.ops.products.vectors import cross_product
from tapenet.ops.registry import registry
from tests.drawing.graphs import CNN, GRAPHS, Tied, array, leaf, split_sign


def titles(drawing: Drawing, kind: str | None = None) -> list[str]:
    return [v.title for v in drawing.vertices if kind in (None, v.kind)]


def ways(drawing: Drawing) -> list[str]:
    names = titles(drawing)
    return [f"{names[e.tail]} -> {names[e.head]}" for e in drawing.edges]


def boxes(drawing: Drawing) -> list[str]:
    """Each vertex with the modules around it."""
    found = []
    for vertex in drawing.vertices:
        names = [vertex.title]
        at = vertex.cluster
        while at is not None:
            names.append(drawing.clusters[at].title)
            at = drawing.clusters[at].parent
        found.append(" / ".join(names[::-1]))
    return found


# -- ops, edges, leaves --------------------------------------------------------------------------------------


def test_a_small_graph_whole() -> None:
    w = leaf(2, 3)
    x = array(4, 2)
    drawing = build((x @ w).sum(axis=0))
    assert [(v.kind, v.title, v.value, v.parameters) for v in drawing.vertices] == [
        ("input", "input", Value((4, 2), "f32"), 0),
        ("parameter", "tensor", Value((2, 3), "f32"), 6),
        ("op", "@", None, 0),
        ("op", "sum along axis 0", None, 0),
        ("output", "output", Value((3,), "f32"), 0),
    ]
    assert [(e.tail, e.head, str(e.value), e.result, e.argument) for e in drawing.edges] == [
        (0, 2, "4×2 f32", None, "x"),
        (1, 2, "2×3 f32", None, "y"),
        (2, 3, "4×3 f32", None, "a"),
        (3, 4, "3 f32", None, ""),
    ]
    assert drawing.vertices[3].details == ("sum(a 4×3 f32, axis=0)",)
    assert drawing.clusters == []


def test_a_leaf_and_an_array_are_drawn_once() -> None:
    x, a = leaf(3), array(3)
    drawing = build((x * a + x) * a)
    assert titles(drawing) == ["tensor", "input", "×", "+", "×", "output"]
    assert ways(drawing)[:6] == ["tensor -> ×", "input -> ×", "× -> +", "tensor -> +", "+ -> ×", "input -> ×"]
    # Views of the same memory are one; equal arrays, and others of the same size, are not.
    assert titles(build(x * a[:] + a), "input") == ["input"]
    assert titles(build(x * a + a.copy() + a[::-1]), "input") == ["input"] * 3


@pytest.mark.parametrize("after", ["call", "backward", "death"])
def test_one_array_is_one_box(after: str) -> None:
    a, w = array(3, 3, dtype=np.float64), leaf(3, 3, dtype=np.float64)
    z = a @ w @ a + a
    if after == "backward":
        z.sum().backward()
    if after == "death":
        del a
    assert titles(build(z), "input") == ["input"]
    # Of two that stood in the same memory one after the other, none is the other.
    y = w
    for _ in range(4):
        y = y + np.ones((3, 3))
    assert titles(build(y), "input") == ["input"] * 4


def test_an_array_that_two_modules_use_is_around_both() -> None:
    class Mask(nn.Module):
        def forward(self, x: Any, mask: Any) -> Any:
            return np.where(mask, x, 0.0)

    class Two(nn.Module):
        def __init__(self) -> None:
            self.a, self.b, self.fc = Mask(), Mask(), nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            mask = np.array([True, False, True])
            return self.b(self.a(self.fc(x), mask), mask)

    two = Two()
    drawing = build(two(leaf(2, 3)))
    assert [box for box, v in zip(boxes(drawing), drawing.vertices, strict=True) if v.kind == "input"] == [
        "Two / condition"
    ]


def test_a_view_has_the_name_of_its_whole() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            self.fc = nn.Linear(4, 1)

        def forward(self, x: Any) -> Any:
            return self.fc(x.reshape(len(x), -1))

    flat, real, w = Flat(), array(3, 2, 2), leaf(3, 2, 2)
    fake = np.tanh(w)
    loss = flat(real).sum() - flat(fake.detach()).sum()
    drawing = tn.draw(loss).source
    assert titles(drawing, "input") == ["real (view)", "fake (view)"]
    assert broken(drawing) == ["fake (view) -> linear 1"]
    assert titles(tn.draw((w[0] @ real[0]).sum()).source, "input") == ["input"]  # a part


def test_arrays_that_a_module_holds_have_its_names() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            self.scale = np.array([1.0, 2.0])
            self.fc = nn.Linear(2, 2)

        def forward(self, x: Any) -> Any:
            return self.fc(x) * self.scale

    scaled = Scaled()
    drawing = build(scaled(array(3, 2)))
    assert "Scaled / scale" in boxes(drawing)


def test_variables_name_arrays_tensors_and_modules() -> None:
    G, D = nn.Sequential(nn.Linear(2, 4), nn.ReLU()), nn.Linear(4, 1)
    z = array(5, 2)
    assert tn.draw(G, z).drawing.clusters[0].title == "G · Sequential"
    loss = D(G(z)).sum()
    drawing = tn.draw(loss, depth=1).drawing
    assert [c.title for c in drawing.clusters] == ["G · Sequential"]
    assert [v.title for v in drawing.vertices if v.kind in ("input", "output")] == ["z", "loss"]
    folded = tn.draw(loss, depth=0).drawing
    assert [v.title.partition("\n")[0] for v in folded.vertices if v.kind == "module"] == [
        "G · Sequential",
        "D · Linear",
    ]
    body = nn.Sequential(nn.Sequential(nn.Linear(4, 2)))
    head = body[0]
    assert tn.draw(head, array(5, 4)).source.clusters[0].title == "head · Sequential"
    del head
    assert tn.draw(body[0], array(5, 4)).source.clusters[0].title == "body.0 · Sequential"
    nets = {"critic": D}
    del D
    assert tn.draw(nets["critic"], array(5, 4)).source.clusters[0].title == "nets['critic'] · Linear"


# -- what is cut off -----------------------------------------------------------------------------------------


def broken(drawing: Drawing) -> list[str]:
    return [way for way, edge in zip(ways(drawing), drawing.edges, strict=True) if edge.broken]


def test_detached_values_frozen_parameters_and_no_grad_are_broken_edges() -> None:
    def cut(x: Any, w: Any) -> Any:
        h = np.tanh(x * w)
        with tn.no_grad():
            scale = np.abs(w)
        return h * h.detach() + scale

    x = array(3)
    assert broken(tn.draw(cut, x, x + 1).source) == ["w -> absolute", "tanh -> ×", "absolute -> +"]

    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    for parameter in net[2].parameters():
        parameter.requires_grad_(False)
    assert broken(tn.draw(net, x).source) == ["weight -> linear 1", "bias -> linear 1"]
    assert broken(build(net(x).sum())) == ["weight -> linear 1", "bias -> linear 1"]
    # What a whole part gives that is cut off is a broken edge where it comes to what is not.
    teacher, student = nn.Sequential(nn.Linear(3, 2), nn.Tanh()), nn.Linear(3, 2)

    def taught(x: Any) -> Any:
        with tn.no_grad():
            wanted = np.exp(teacher(x))
        return (wanted * student(x)).sum()

    assert broken(tn.draw(taught, x).source) == ["weight -> linear 2", "bias -> linear 2", "exp -> ×"]
    assert tn.draw(taught, x).drawing.vertices[1].training == "no_grad"
    # What has no derivative, and what asks for none, is not cut off.
    assert broken(tn.draw(lambda x: np.where(x > 0, x, x.argmax()), x).source) == []


def test_a_detached_tensor_is_the_one_that_it_was() -> None:
    x = leaf(3)
    h = np.exp(x)
    y = h * h.detach()
    drawing = tn.draw(y).source
    assert ways(drawing) == ["x -> exp", "exp -> ×", "exp -> ×", "× -> y"]
    assert broken(drawing) == ["exp -> ×"]
    fake = np.exp(x)
    loss = (fake.detach() * leaf(3)).sum()
    drawing = tn.draw(loss).source
    assert titles(drawing, "input") == ["fake"]
    assert broken(drawing) == ["fake -> ×"]


def test_broadcast_arguments_are_marked() -> None:
    x, b, c = leaf(4, 3), leaf(3), leaf(4, 1)
    t = tn.tensor(2.0, requires_grad=True)
    y = np.where((x + b) * c > 0, x, b) * t
    found = {way: e.stretched for way, e in zip(ways(build(y)), build(y).edges, strict=True) if e.stretched}
    assert found == {"tensor -> where": (4, 3)}
    drawing = build((x + b) * c)
    assert [e.stretched for e in drawing.edges] == [None, (4, 3), None, (4, 3), None]
    assert not any(e.stretched for e in build(leaf(4, 1) @ leaf(1, 4)).edges)
    svg = tn.draw(np.exp((x + b) * c.detach())).svg
    assert ">→ 4×3</text>" in svg
    assert "stretched to 4×3" in svg
    assert "no gradient goes back" in svg


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        (np.float16, "f16"),
        (np.complex128, "c128"),
        (np.int64, "i64"),
        (np.uint8, "u8"),
        (np.bool, "bool"),
    ],
)
def test_dtypes_in_few_letters(dtype: Any, text: str) -> None:
    with tn.Tape() as tape:
        tn.ones_like(tn.tensor(np.zeros((2, 0), dtype)))
    drawing = build(tape)
    assert {str(e.value) for e in drawing.edges} == {f"2×0 {text}"}


@pytest.mark.parametrize("name", GRAPHS)
def test_drawing_after_backward_is_the_same(name: str) -> None:
    x = GRAPHS[name]()
    before = build(x)
    if isinstance(x, tn.Tape):
        return
    losses = list(x.values()) if isinstance(x, dict) else [x]
    for loss in losses[:-1]:
        loss.sum().backward(retain_graph=True)
    losses[-1].sum().backward()
    assert build(x) == before


def test_results_of_an_op_fold_into_its_edges() -> None:
    positive, negative = split_sign(leaf(3))
    drawing = build([positive * negative, negative])
    assert titles(drawing) == ["tensor", "split sign", "×", "output 0", "output 1"]
    assert [(e.tail, e.head, e.result) for e in drawing.edges] == [
        (0, 1, None),
        (1, 2, 0),
        (1, 2, 1),
        (2, 3, None),
        (1, 4, 1),
    ]


def test_sequences_give_an_edge_per_element() -> None:
    drawing = build(GRAPHS["concatenated"]())
    assert [e.argument for e in drawing.edges if e.argument.startswith("arrays")] == [
        "arrays[0]",
        "arrays[1]",
        "arrays[2]",
        "arrays[3]",
    ]
    assert ways(drawing).count("tensor -> concatenate") == 2  # one leaf at two places


def test_several_results_by_their_keys() -> None:
    x = leaf(3)
    a, b = x * 2, x.sum()
    assert titles(build({"a": a, 1: b}), "output") == ["a", "1"]
    assert titles(build((a, b)), "output") == ["output 0", "output 1"]
    assert titles(build([a]), "output") == titles(build(a), "output") == ["output"]
    drawing = build((a.sum(), a))  # a result that is used on
    assert ways(drawing)[-2:] == ["sum -> output 0", "× 2 -> output 1"]


def test_order_is_that_of_creation() -> None:
    x = leaf(3)
    early = np.exp(x)
    late = [np.tanh(x) for _ in range(3)]
    assert titles(build(late[2] + late[0] + early), "op") == ["exp", "tanh", "tanh", "+", "+"]


def test_a_deep_chain_does_not_recurse() -> None:
    y = leaf(2)
    for _ in range(5_000):
        y = np.sin(y)
    drawing = build(y)
    assert titles(drawing, "op") == ["sin"] * 5_000


def test_debug_mode_shows_the_line() -> None:
    with tn.debug():
        y = leaf(2) * 2
    assert build(y).vertices[1].details[-1].rpartition(":")[0].endswith("test_build.py")


def tensors(value: Any) -> Any:
    """A sample's argument with tensors for its arrays, those of floats as leaves."""
    if isinstance(value, np.ndarray):
        return tn.tensor(value, requires_grad=value.dtype.kind == "f")
    return [tensors(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", sorted(n for n, op in registry.items() if n.startswith("tapenet.ops") and op.samples))
def test_every_op_can_be_drawn(name: str) -> None:
    op = registry[name]
    assert op.samples is not None
    for call in op.samples(np.random.default_rng(0)):
        with tn.Tape() as tape:
            op.returning(*map(tensors, call.args), **call.kwargs)
        # A sample of plain numbers alone records nothing.
        assert not len(tape) or "0x" not in repr(build(tape))


# -- labels --------------------------------------------------------------------------------------------------

show = tn.op(lambda x, limit, mode="a": x, name="show", x=lambda g: g)


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: x * 2, "× 2"),
        (lambda x: 2 * x, "2 ×"),
        (lambda x: 1 - x, "1 −"),
        (lambda x: x**2.0, "^ 2"),
        (lambda x: x / np.float32(3), "÷ 3"),
        (lambda x: x + 1e-12, "+ 1e-12"),
        (lambda x: x * (1 + 2j), "× 1+2j"),
        (lambda x: x + x, "+"),
        (lambda x: tn.safe_mul(x, x), "×"),
        (lambda x: tn.safe_mul(x, 2), "× 2"),
        (lambda x: cross_product(x[:, :3], x[:, 1:]), "cross"),
        (lambda x: tn.maximum(0, x), "max(0, ·)"),
        (lambda x: tn.clip(x, 0, 1), "clip(·, 0, 1)"),
        (lambda x: tn.clip(x, 0), "clip(·, 0)"),
        (lambda x: tn.clip(x, None, 1), "clip(·, None, 1)"),
        (lambda x: x[0], "[0]"),
        (lambda x: x[1:, None, ..., ::2], "[1:, None, ..., ::2]"),
        (lambda x: x[[0, 1]], "[[0, 1]]"),
        (lambda x: x[np.array([0, 1])], "[·]"),
        (lambda x: x[:, np.array([0, 1])], "[:, ·]"),
        (lambda x: x[x.numpy() > 0], "[·]"),
        (lambda x: tn.setitem(x, 5, 0), "[0]= 5"),
        (lambda x: tn.setitem(x, x[0], slice(1)), "[:1]="),
        (lambda x: tn.astype(x, "f8"), "to float64"),
        (lambda x: x.T, "ᵀ"),
        (lambda x: x.sum(), "sum"),
        (lambda x: x.sum(axis=1), "sum along axis 1"),
        (lambda x: x.sum(axis=(0, -1)), "sum along axes 0, -1"),
        (lambda x: tn.softmax(x), "softmax"),
        (lambda x: tn.softmax(x, -1), "softmax"),
        (lambda x: tn.softmax(x, 0), "softmax along axis 0"),
        (lambda x: tn.stack([x, x]), "stack"),
        (lambda x: tn.stack([x, x], -1), "stack along axis -1"),
        (lambda x: tn.stack([x[0, 0], 1.0]), "stack([·, 1])"),
        (lambda x: tn.layer_norm(x, (4,)), "layer norm"),
        (lambda x: tn.layer_norm(x, 4), "layer norm"),
        (lambda x: tn.leaky_relu(x, 0.2), "leaky relu 0.2"),
        (lambda x: tn.dropout(x, 0.25), "dropout 0.25"),
        (lambda x: tn.dropout(x, 0.25, training=False), "dropout off"),
        (lambda x: tn.conv2d(x[None, None], leaf(2, 1, 2, 2)), "conv 2×2, 2"),
        (
            lambda x: tn.conv2d(x[None, None], leaf(2, 1, 2, 2), None, (2, 1), ((1, 1), (0, 1)), 2),
            "conv 2×2, 2, stride 2×1, padding 1×(0, 1), dilation 2",
        ),
        (lambda x: tn.conv1d(x, leaf(3, 1, 2), groups=3), "conv 2, 3, 3 groups"),
        (lambda x: tn.conv1d(x, leaf(2, 3, 3), padding="same"), "conv 3, 2, padding same"),
        (lambda x: tn.conv1d(x, leaf(2, 3, 3), padding="valid"), "conv 3, 2"),
        (lambda x: tn.conv_transpose1d(x, leaf(3, 5, 4), None, 2, 1), "transposed conv 4, 5, ×2, padding 1"),
        (lambda x: tn.max_pool2d(x[None], 3, 2, 1), "max pool 3×3, stride 2, padding 1"),
        (lambda x: tn.max_pool2d(x[None], 2, 2), "max pool 2×2"),
        (lambda x: tn.max_pool1d(x, 2, 1, 0, 2), "max pool 2, stride 1, dilation 2"),
        (lambda x: tn.avg_pool2d(x[None], (3, 2), 1), "mean pool 3×2, stride 1"),
        (lambda x: tn.unfold(x[None], 2, stride=2), "unfold 2×2, stride 2"),
        (lambda x: show(x, 3), "show, limit=3, mode=a"),
        (lambda x: show(x, 2.0), "show, limit=2.0, mode=a"),
    ],
)
def test_plain_values_stand_in_the_label(f: Any, text: str) -> None:
    x = leaf(3, 4)
    assert label(f(x).node) == text
    with tn.Tape():
        assert label(f(x).node) == text


def test_a_list_of_numbers_is_not_lost() -> None:
    assert titles(build([1, 2] * leaf(2))) == ["input", "tensor", "×", "output"]
    with tn.Tape() as tape:
        tn.tensor([3, 4]) * [1, 2]
    assert titles(build(tape)) == ["input", "× [1, 2]", "output"]


def test_what_a_label_leaves_out_is_in_the_tooltip() -> None:
    node = build(show(leaf(2), lambda: None, mode="b")).vertices[1]
    assert node.details == ("show(x 2 f32, limit=<lambda>, mode=b)",)
    node = build(show(leaf(2), object())).vertices[1]
    assert node.details == ("show(x 2 f32, limit=object)",)
    node = build(show(leaf(2), tuple(range(100)))).vertices[1]
    assert node.details == ("show(x 2 f32, limit=(0, 1, 2, 3, 4, 5, …))",)


def test_labels_of_functions_get_the_options() -> None:
    f = tn.op(lambda x, p, q=3: x, name="f", x=lambda g: g, label=lambda p, **rest: f"f {p} {rest}")
    assert label(f(leaf(2), 5).node) == "f 5 {'q': 3}"
    bad = tn.op(lambda x, p: x, name="bad op", x=lambda g: g, label=lambda p: p.upper())
    with pytest.raises(AttributeError) as caught:
        build(bad(leaf(2), 5))
    assert "label= function of op 'bad op'" in caught.value.__notes__[0]


def test_a_number_in_an_array_is_a_constant() -> None:
    drawing = build(GRAPHS["scalars"]())
    assert [(v.kind, v.title) for v in drawing.vertices if v.value is not None] == [
        ("parameter", "tensor"),
        ("input", "condition"),
        ("constant", "constant"),
        ("input", "index"),
        ("output", "output"),
    ]


# -- modules -------------------------------------------------------------------------------------------------


def test_modules_nest_and_parameters_stand_in_them() -> None:
    net = CNN()
    drawing = build(net(array(2, 1, 28, 28)))
    assert boxes(drawing) == [
        "input",
        "CNN / features · Sequential / 0 · Conv2d / weight",
        "CNN / features · Sequential / 0 · Conv2d / bias",
        "CNN / features · Sequential / 0 · Conv2d / conv 3×3, 4",
        "CNN / features · Sequential / 1 · Tanh / tanh",
        "CNN / features · Sequential / 2 · MaxPool2d / max pool 2×2",
        "CNN / features · Sequential / 3 · Flatten / reshape",
        "CNN / fc · Linear / weight",
        "CNN / fc · Linear / bias",
        "CNN / fc · Linear / linear 10",
        "output",
    ]
    assert [(c.path, c.depth, c.parameters) for c in drawing.clusters] == [
        ("", 0, 6810),
        ("features", 1, 40),
        ("features.0", 2, 40),
        ("features.1", 2, 0),
        ("features.2", 2, 0),
        ("features.3", 2, 0),
        ("fc", 1, 6770),
    ]
    weight = drawing.vertices[7]
    assert (weight.kind, weight.parameters, weight.details) == (
        "parameter",
        6760,
        ("fc.weight", "10×676 f32"),
    )
    assert drawing.vertices[3].details[1] == "in features.0 · Conv2d"


def test_a_transposed_array_is_called_so() -> None:
    A, x = array(2, 3), leaf(2)
    names = {key_of(A): Name("A")}
    assert titles(build(A.T @ x, names), "input") == ["A.T"]
    assert titles(build(A.reshape(3, 2) @ x, names), "input") == ["A (view)"]


def test_labels_say_what_people_call_it_and_which_axis() -> None:
    x = leaf(1, 1, 2, 2)
    found = build(nn.functional.interpolate(nn.functional.relu6(x), scale_factor=2, mode="bilinear"))
    assert [v.title for v in found.vertices if v.kind == "op"] == [
        "relu6", "resample 2 → 4 along axis 2", "resample 2 → 4 along axis 3"
    ]  # fmt: skip


def test_a_module_called_again_is_another_box_and_its_parameters_are_drawn_once() -> None:
    net = Tied()
    drawing = build(net(array(2, 4)))
    assert boxes(drawing) == [
        "input",
        "Tied / encode · Linear / weight",
        "Tied / encode · Linear / linear 3",
        "Tied / mix · Linear / weight",
        "Tied / mix · Linear / bias",
        "Tied / mix · Linear / linear 3",
        "Tied / × 0.5",
        "Tied / tanh",
        "Tied / mix · Linear / linear 3",
        "Tied / @",
        "output",
    ]
    assert [c.title for c in drawing.clusters] == ["Tied", "encode · Linear", "mix · Linear", "mix · Linear"]
    assert ways(drawing).count("weight -> linear 3") == 3
    assert ways(drawing).count("weight -> @") == 1


class Direct(nn.Module):
    """Uses parameters of a submodule that it does not call, and of its own, in a list."""

    def __init__(self) -> None:
        self.unused = nn.Linear(3, 3)
        self.own = [nn.Parameter(array(3)), nn.Parameter(array(3), requires_grad=False)]
        self.seen = nn.Buffer(array(3))

    def forward(self, x: Any) -> Any:
        return (x @ self.unused.weight + self.own[0]) * self.own[1] - self.seen


def test_names_are_relative_to_the_box_they_stand_in() -> None:
    net = Direct()
    x = tn.tensor(array(2, 3))
    drawing = build(net(x))
    assert "Direct / unused.weight" in boxes(drawing)
    assert "Direct / own.0" in boxes(drawing)
    with tn.Tape() as tape:
        net(x)
    drawing = build(tape)
    # On a tape also what is frozen and what is not learned is known by name.
    assert [(b, v.kind) for b, v in zip(boxes(drawing), drawing.vertices, strict=True) if v.value] == [
        ("input", "input"),
        ("Direct / unused.weight", "parameter"),
        ("Direct / own.0", "parameter"),
        ("Direct / own.1", "parameter"),
        ("Direct / seen", "input"),
        ("output", "output"),
    ]


def test_only_the_module_that_was_called_counts() -> None:
    net = CNN()
    drawing = build(net.fc(array(2, 676)))
    assert boxes(drawing) == ["input", "Linear / weight", "Linear / bias", "Linear / linear 10", "output"]


def test_a_module_that_is_gone_keeps_its_class() -> None:
    y = nn.Sequential(nn.Linear(2, 3), nn.Tanh())(array(4, 2)).sum()
    gc.collect()
    assert boxes(build(y)) == [
        "input",
        "Sequential / Linear / weight",
        "Sequential / Linear / bias",
        "Sequential / Linear / linear 3",
        "Sequential / Tanh / tanh",
        "sum",
        "output",
    ]


class Masked(nn.Module):
    def __init__(self) -> None:
        self.embed = nn.Embedding(5, 3)

    def forward(self, i: Any) -> Any:
        h = self.embed(i)
        return tn.where(array(3) > 0.01, h, h * array(3))


def test_arrays_stand_outside_modules_unless_they_are_the_modules_own() -> None:
    net = Masked()
    drawing = build(net(np.array([1, 2])))
    assert [b for b, v in zip(boxes(drawing), drawing.vertices, strict=True) if v.kind == "input"] == [
        "indices",
        "input",
        "Masked / condition",
    ]


# -- tapes ---------------------------------------------------------------------------------------------------


def test_a_tape_is_drawn_with_all_its_ops() -> None:
    x, w = tn.tensor(array(3)), leaf(3)
    outside = w * 2
    with tn.Tape() as tape:
        mask = x > 0
        y = tn.where(mask, outside, w) + x
        y.argmax()
        y.sum()
    drawing = build(tape)
    assert titles(drawing) == ["input", "> 0", "input", "tensor", "where", "+", "argmax", "sum", "output", "output"]
    assert ways(drawing) == [
        "input -> > 0",
        "> 0 -> where",
        "input -> where",
        "tensor -> where",
        "where -> +",
        "input -> +",
        "+ -> argmax",
        "+ -> sum",
        "argmax -> output",
        "sum -> output",
    ]
    assert ways(build(y)).count("tensor -> × 2") == 1  # of a tensor, also what came before the tape


def test_a_tensor_changed_after_its_use_is_drawn_as_it_was() -> None:
    x, w = tn.tensor(array(3)), leaf(3)
    with tn.Tape() as tape:
        y = x * w
        x[0] = w[1]
        z = x * w
    assert titles(build(y)) == ["input", "tensor", "×", "output"]
    assert titles(build(z), "op") == ["[1]", "[0]=", "×"]
    assert titles(build(tape), "op") == ["×", "[1]", "[0]=", "×"]


def test_tensors_given_as_options_have_edges() -> None:
    with tn.Tape() as tape:
        show(leaf(2), np.exp(tn.tensor(array(3))))
    assert ways(build(tape)) == [
        "input -> exp",
        "tensor -> show, mode=a",
        "exp -> show, mode=a",
        "show, mode=a -> output",
    ]


def test_the_unused_results_of_an_op_on_a_tape() -> None:
    with tn.Tape() as tape:
        split_sign(tn.tensor(array(3)))
    drawing = build(tape)
    assert ways(drawing) == ["input -> split sign", "split sign -> output", "split sign -> output"]
    assert [e.result for e in drawing.edges] == [None, 0, 1]


def test_a_captured_step_is_drawn() -> None:
    w, x = leaf(3), tn.tensor(array(3))
    with Capture() as tape:
        loss = (w * x).sum()
        loss.backward()
        w.data = w - 0.1 * w.grad
    drawing = build(tape)
    assert titles(drawing, "op")[:2] == ["×", "sum"]
    assert titles(drawing, "op")[-1] == "←"
    # An op with an effect needs no result; the loss is one.
    assert "← -> output" not in ways(drawing)
    assert "sum -> output" in ways(drawing)


def test_this_threads_tape_is_drawn() -> None:
    y = np.tanh(leaf(2))
    assert "tanh" in titles(build(tn.tape()))
    assert y.shape == (2,)


# -- errors --------------------------------------------------------------------------------------------------


def test_nothing_recorded_is_an_error_with_the_fix() -> None:
    with pytest.raises(ValueError, match=r"x, a tensor of 3 f32, has no graph.*requires_grad=True.*tn.Tape\(\)"):
        build(tn.tensor(array(3)))
    with tn.no_grad(), pytest.raises(ValueError, match="outside no_grad"):
        build(leaf(3) * 2)
    with pytest.raises(ValueError, match="it was made by no op"):
        build(leaf(3))
    with pytest.raises(ValueError, match=r"x\['b'\], a tensor of scalar f32, has no graph"):
        build({"a": leaf(3).sum(), "b": tn.tensor(np.float32(1))})
    y = leaf(3)
    y.sum().backward()
    with pytest.raises(ValueError, match="create_graph=True"):
        build(y.grad)


def test_what_cannot_be_drawn_is_an_error() -> None:
    for x, name in ((array(3), "x is of type ndarray"), (CNN(), "x is of type CNN"), (None, "NoneType")):
        with pytest.raises(TypeError, match=name):
            build(x)
    with pytest.raises(TypeError, match=r"x\[1\] is of type float"):
        build([leaf(3).sum(), 1.0])
    with pytest.raises(ValueError, match="there is nothing in the list"):
        build([])
    with tn.Tape() as tape:
        pass
    with pytest.raises(ValueError, match="the Tape holds no nodes"):
        build(tape)
