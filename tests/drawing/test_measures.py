"""Measurements of a graph: how they combine in boxes, what they are called, and how boxes are painted by them."""

from __future__ import annotations

import math
import re
import time
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.drawing.model import Drawing, Vertex
from tapenet.drawing.passes.measures import KINDS, Measure, Scale, in_words, paint
from tapenet.drawing.style import LIGHT
from tests.drawing.graphs import array

TROUBLE = LIGHT.signs["trouble"]


def drawing(*values: float | None, name: str = "time") -> tuple[Drawing, Measure]:
    vertices = [Vertex("op", str(i)) for i in range(len(values))]
    return Drawing(vertices, [], []), Measure(name, {i: [v] for i, v in enumerate(values) if v is not None})


# -- what a box that stands for several is worth -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "whole"),
    [
        ("time", [1.0, 2.0, 4.0], 7.0),
        ("memory", [0.1] * 10, 1.0),  # exactly
        ("grad_norm", [3.0, 4.0], 5.0),
        ("activation", [1.0, 3.0, 2.0], 3.0),
        ("time", [1.0, None, 4.0], 5.0),
        ("time", [None, None], None),
        ("grad_norm", [1.0, math.nan], math.nan),
        ("activation", [math.nan, 5.0], math.nan),
        ("grad_norm", [1.0, math.inf], math.inf),
        ("time", [0.0, 0.0], 0.0),
    ],
)
def test_several_values_become_one(name: str, values: list[float | None], whole: float | None) -> None:
    measure = drawing(*values, name=name)[1]
    found = measure.of(99, Vertex("module", "all", members=tuple(range(len(values)))))
    assert found == whole or (found is not None and whole is not None and math.isnan(found) and math.isnan(whole))


def test_each_step_has_its_own_value_or_none() -> None:
    measure = Measure("time", {0: [1.0, None, 3.0], 1: [5.0, None, None]})
    box = Vertex("module", "both", members=(0, 1))
    assert [measure.of(9, box, step) for step in range(3)] == [6.0, None, 3.0]
    assert measure.of(1, Vertex("op", "1")) is None


def test_the_gradient_of_a_module_is_that_of_its_parameters() -> None:
    measure = Measure("grad_norm", {0: [3.0], 1: [4.0], 2: [100.0]}, frozenset({0, 1}))
    assert measure.of(9, Vertex("module", "layer", members=(0, 1, 2))) == 5.0
    assert measure.of(2, Vertex("op", "tanh")) == 100.0


def test_folded_modules_and_repeats_have_the_sum_of_what_is_in_them() -> None:
    net = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(6)), nn.Linear(4, 1))
    with tn.profile(values=True) as prof:
        loss = (net(array(3, 4)) ** 2).mean()
        loss.backward()
    whole = sum(r.saved for r in prof.steps[0].records)
    folded = tn.draw(loss, profile=prof, color_by="memory", depth=0)
    (measure,) = [m for m in folded.measures if m.name == "memory"]
    assert sum(measure.of(i, v) or 0 for i, v in enumerate(folded.drawing.vertices)) == whole
    repeated = tn.draw(loss, profile=prof, color_by="memory", depth=2)
    assert "×6" in repeated.dot
    assert sum(measure.of(i, v) or 0 for i, v in enumerate(repeated.drawing.vertices)) == whole
    gradients = next(m for m in folded.measures if m.name == "grad_norm")
    (box,) = [(i, v) for i, v in enumerate(folded.drawing.vertices) if v.kind == "module"]
    expected = math.sqrt(sum(float((p.grad.numpy().astype(float) ** 2).sum()) for p in net.parameters()))  # type: ignore[union-attr]
    assert gradients.of(*box) == pytest.approx(expected, rel=1e-5)


# -- colours -----------------------------------------------------------------------------------------------------------


def _one(*values: float | None, name: str = "time") -> tuple[Drawing, list[Measure]]:
    plain, measure = drawing(*values, name=name)
    return plain._replace(vertices=[v._replace(title=f"a{i}") for i, v in enumerate(plain.vertices)]), [measure]


def painted(*values: float | None, name: str = "time") -> list[str]:
    plain, measure = drawing(*values, name=name)
    return [v.fill for v in paint(plain, [measure], name)[0].vertices]


def test_from_the_least_to_the_greatest() -> None:
    ramp = LIGHT.ramp
    assert painted(0.0, 4.0, 8.0, 1.0) == [ramp[0], ramp[4], ramp[8], ramp[1]]
    assert painted(1.0, 100.0, 10_000.0, name="grad_norm") == [ramp[0], ramp[4], ramp[8]]  # equal ratios
    assert painted(5.0, None, 6.0) == [ramp[0], "", ramp[8]]


def test_what_is_not_finite_has_the_colour_of_trouble() -> None:
    assert painted(1.0, math.nan, math.inf, 2.0, name="activation") == [LIGHT.ramp[0], TROUBLE, TROUBLE, LIGHT.ramp[8]]
    assert painted(math.nan, math.nan, name="activation") == [TROUBLE] * 2
    plain, measure = drawing(1.0, math.nan, name="activation")
    scale = paint(plain, [measure], "activation")[1]
    assert scale is not None
    assert (scale.legend()[-1].fills, scale.legend()[-1].words) == ((TROUBLE,), "not finite")


def test_zero_and_constant_values_are_no_error() -> None:
    assert painted(0.0, 0.0, name="grad_norm") == [LIGHT.ramp[0]] * 2
    assert painted(3.0, 3.0) == [LIGHT.ramp[0]] * 2
    assert painted(0.0, 1e-8, 1.0, name="grad_norm") == [LIGHT.ramp[0], LIGHT.ramp[0], LIGHT.ramp[8]]
    assert painted(None) == [""]
    assert paint(*[drawing(None)[0], [drawing(None)[1]], "time"])[1] is None


def test_legends_give_the_values_of_colours() -> None:
    time, size = KINDS["time"], KINDS["grad_norm"]
    for scale, words, fills in (
        (Scale(1e-3, 3e-3, time), "time, forward and backward: 1 ms to 3 ms", LIGHT.ramp),
        (Scale(0.01, 100.0, size), "norm of the gradient: 0.01 to 100 (log scale)", LIGHT.ramp),
        (Scale(2.0, 2.0, size), "norm of the gradient: 2", LIGHT.ramp[:1]),
    ):
        assert [(entry.words, entry.fills) for entry in scale.legend()] == [(words, fills)]


@pytest.mark.parametrize(
    ("value", "name", "words"),
    [
        (0.0, "time", "0 µs"),
        (1.5e-7, "time", "0.15 µs"),
        (9.996e-4, "time", "1 ms"),
        (0.0123, "time", "12.3 ms"),
        (2.5, "time", "2.5 s"),
        (1234.5, "time", "1234 s"),
        (0, "memory", "0 B"),
        (999, "memory", "999 B"),
        (999_999, "memory", "1 MB"),
        (51_200, "memory", "51.2 kB"),
        (3e12, "memory", "3 TB"),
        (1310.0, "grad_norm", "1,310"),
        (1.5e9, "grad_norm", "1.5e+09"),
        (1.5e-9, "activation", "1.5e-09"),
        (math.nan, "time", "nan"),
        (math.inf, "memory", "inf"),
        (-math.inf, "grad_norm", "-inf"),
    ],
)
def test_values_in_words(value: float, name: str, words: str) -> None:
    assert in_words(value, KINDS[name]) == words


# -- in pictures -------------------------------------------------------------------------------------------------------


def net() -> Any:
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("function", [False, True])
def test_modules_and_functions_are_measured(name: str, function: bool) -> None:
    made = net()
    picture = tn.draw((lambda x: made(x)) if function else made, array(5, 3), color_by=name, parameters=True)
    filled = [v for v in picture.drawing.vertices if v.fill]
    assert {v.title.partition("\n")[0] for v in filled if v.kind == "op"} == {"linear 8", "relu", "linear 2"}
    assert all(any(detail.startswith(f"{name} ") for detail in v.details) for v in filled)
    assert KINDS[name].label in picture.svg
    assert all(v.fill in picture.svg for v in filled)


def test_time_is_that_of_the_forward_and_the_backward_pass() -> None:
    picture = tn.draw(net(), array(500, 3), color_by="time")
    (measure,) = [m for m in picture.measures if m.name == "time"]
    assert all(values[0] is not None and values[0] > 0 for values in measure.values.values())
    assert len(measure.values) == 3
    # Measured of the step, but not asked for.
    assert {edge.flow for edge in picture.drawing.edges} == {"value"}


def test_a_profile_of_several_steps() -> None:
    made, prof = net(), tn.profile(values=True)
    for step in range(3):
        made.zero_grad()
        with prof:
            loss = (made(array(5, 3)) ** 2).sum() * (step + 1)
            loss.backward()
    picture = tn.draw(loss, color_by="grad_norm", profile=prof)
    measures = {m.name: m for m in picture.measures}
    assert set(measures) == set(KINDS)
    position = next(i for i, v in enumerate(picture.source.vertices) if v.details[0] == "2.bias")
    norms = measures["grad_norm"].values[position]
    assert len(norms) == 3
    assert norms[2] == pytest.approx(float(np.linalg.norm(made[2].bias.grad.numpy())), rel=1e-6)
    assert norms[1] == pytest.approx(2 * norms[0], rel=1e-6)  # type: ignore[operator]
    assert norms[2] == pytest.approx(3 * norms[0], rel=1e-6)  # type: ignore[operator]
    # An earlier step's graph finds the same ops in all of them; the tape of a step too.
    ops = [i for i, v in enumerate(picture.source.vertices) if v.kind == "op"]
    assert all(len(measures["time"].values[i]) == 3 for i in ops)


def test_a_module_with_a_profile_of_its_training() -> None:
    made = net()
    with tn.profile(values=True) as prof:
        (made(array(5, 3)) ** 2).mean().backward()
    picture = tn.draw(made, array(5, 3), color_by="grad_norm", profile=prof, backward=True)
    position = next(i for i, v in enumerate(picture.source.vertices) if v.details[0] == "0.weight")
    (measure,) = [m for m in picture.measures if m.name == "grad_norm"]
    expected = float(np.linalg.norm(made[0].weight.grad.numpy()))
    assert measure.values[position] == [pytest.approx(expected, rel=1e-6)]


def test_nan_in_a_gradient_is_painted_as_trouble() -> None:
    w = tn.tensor([0.0, 1.0], requires_grad=True)
    with np.errstate(all="ignore"), tn.profile(values=True) as prof:
        loss = np.sqrt(w).sum()
        loss.backward()
    picture = tn.draw(loss, color_by="grad_norm", profile=prof)
    assert {v.title: v.fill for v in picture.drawing.vertices}["w\nnorm inf"] == TROUBLE


def test_boxes_say_what_was_measured() -> None:
    lines = [v.title.split("\n")[-1] for v in paint(*_one(0.003, 0.006, 0.00001), "time")[0].vertices]
    assert lines == ["3 ms · 33 %", "6 ms · 67 %", "10 µs · < 1 %"]
    assert [v.title for v in paint(*_one(0.5, 2000.0, name="activation"), "activation")[0].vertices] == [
        "a0\nspread 0.5",
        "a1\nspread 2,000",
    ]
    picture = tn.draw(net(), array(5, 3), color_by="memory")
    told = "".join(v.title for v in picture.drawing.vertices if v.kind == "module")
    assert re.search(r"B · \d+ %", told)
    blocks = nn.Sequential(*(nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for _ in range(12)))
    (block,) = [
        v for v in tn.draw(blocks, array(5, 3), color_by="time", depth=1).drawing.vertices if v.kind == "module"
    ]
    assert block.title.endswith(" in all · 100 %")


def test_time_is_that_of_a_warm_call() -> None:
    """What an op does at its first call alone is no cost of it."""
    calls: list[int] = []

    def forward(x: Any) -> Any:
        if not calls:
            time.sleep(0.05)
        calls.append(1)
        return x + 1

    slow = tn.op(forward, name="slow", x=lambda g: g)
    picture = tn.draw(lambda x: slow(x), array(3), color_by="time")
    (measure,) = [m for m in picture.measures if m.name == "time"]
    assert all(value is not None and value < 0.05 for (value,) in measure.values.values())


def test_masks_are_healthy_and_nothing_else_is_called_nan() -> None:
    mask = np.where(np.tri(4, dtype=bool), 0.0, -np.inf)
    picture = tn.draw(lambda x: tn.softmax(x + mask), array(4, 4), color_by="activation", backward=True)
    titles = [v.title for v in picture.drawing.vertices]
    assert not any("nan" in title or "inf" in title for title in titles)
    assert not any(v.sign for v in picture.drawing.vertices)
    assert TROUBLE not in {v.fill for v in picture.drawing.vertices}
    with np.errstate(all="ignore"):
        picture = tn.draw(lambda x: np.log(x) * 2, np.array([0.5, -1.0]), color_by="activation")
        assert [v.title for v in picture.drawing.vertices if v.fill] == ["log\nspread nan", "× 2\nspread nan"]
        picture = tn.draw(lambda x: np.exp(x) - 1, np.array([1.0, 1e9]), color_by="activation")
    assert [v.title for v in picture.drawing.vertices if v.fill] == ["exp\nspread inf", "− 1\nspread inf"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"color_by": "time"}, r"the time of this graph is not known\. Record.*tn\.profile.*or give a module"),
        ({"color_by": "grad_norm"}, r"the grad_norm of this graph is not known"),
        ({"color_by": "activation"}, r"the activation of this graph is not known"),
        ({"color_by": "speed"}, r"boxes are painted by time, memory, grad_norm, activation"),
    ],
)
def test_what_was_not_measured_is_an_error(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tn.draw(net()(array(5, 3)), **options)


def test_profiles_that_do_not_fit_are_errors() -> None:
    made = net()
    with tn.profile() as prof:
        loss = made(array(5, 3)).sum()
    with pytest.raises(ValueError, match=r"make it with tn\.profile\(values=True\)"):
        tn.draw(loss, color_by="grad_norm", profile=prof)
    with pytest.raises(ValueError, match="is of another graph"):
        tn.draw(np.exp(tn.tensor(1.0, requires_grad=True)), color_by="time", profile=prof)
    with pytest.raises(ValueError, match="holds no step yet"):
        tn.draw(loss, color_by="time", profile=tn.profile())
    with tn.profile(values=True) as forward:
        loss = made(array(5, 3)).sum()
    with pytest.raises(ValueError, match=r"call backward\(\) inside"):
        tn.draw(loss, color_by="grad_norm", profile=forward)
    assert tn.draw(loss, color_by="activation", profile=forward).color_by == "activation"
    with pytest.raises(ValueError, match="nothing in this graph has a gradient"):
        tn.draw(lambda i: i * 2, np.arange(3), color_by="grad_norm")
