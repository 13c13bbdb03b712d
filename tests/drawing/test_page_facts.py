"""What the page tells of a drawing, in headless Chromium: measurements, the walk, marks, and what stands for many."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.drawing.forms.page import Series
from tapenet.drawing.model import Cluster, Drawing, Edge, Explained, Value, Vertex
from tapenet.drawing.picture import Picture
from tapenet.drawing.style import LIGHT
from tests.drawing.browser import Page, colour, missing, rectangles
from tests.drawing.models import GPT, gpt, kept
from tests.drawing.pages import FIRST, NET, SECOND, two_layers

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there is a browser")

#: The ids of the clusters of `two_layers`: they come after its twelve vertices.
NET_ID, FIRST_ID, SECOND_ID = (12 + cluster for cluster in (NET, FIRST, SECOND))


# -- measurements, and the walk --------------------------------------------------------------------------------------


def test_a_recorded_training_is_painted_step_by_step(show: Any) -> None:
    norms = Series(
        "grad_norm", {1: [3.0, 2.0, 1.0], 3: [4.0, 2.0, math.nan], 6: [1.0, 1.0, 1.0]}, "gradient norm", "", "norm"
    )
    times = Series("time", {2: [1.0, 1.0, 1.0], 4: [2.0, 2.0, 2.0], 5: [0.5, 0.5, 0.5]}, "time", "ms", "sum")
    page = show(two_layers(), series=[norms, times], steps=[0, 100, 200], open=[NET, SECOND])

    def fill(i: int) -> str:
        return colour(page, f'[data-id="{i}"] .frame')

    assert "gradient norm" in page.text("#scale")
    assert "1" in page.text("#scale .ends")
    assert "5" in page.text("#scale .ends")  # the root of 3² + 4², of the folded module
    assert page.text("#step-label") == "step 200"  # the last, as the still picture has it
    page.set("#step", 0)
    assert page.text("#step-label") == "step 0"
    assert fill(FIRST_ID) == LIGHT.ramp[-1]
    assert fill(6) == LIGHT.ramp[0]
    page.set("#step", 1)
    assert page.text("#step-label") == "step 100"
    middle = fill(FIRST_ID)
    assert middle not in (LIGHT.ramp[0], LIGHT.ramp[-1])
    page.set("#step", 2)
    assert fill(FIRST_ID) == LIGHT.signs["trouble"]  # not a number
    assert "not finite" in page.text("#scale")
    assert FIRST_ID in page.ids(".trouble")
    page.js("document.querySelector('#step').focus()")
    page.press("\ue012")
    assert page.text("#step-label") == "step 100"
    page.click(f'.box[data-id="{FIRST_ID}"] .title')
    assert "2.83" in page.text("#panel")
    assert len(page.all("#panel .chart")) == 2
    assert len(page.all("#panel .chart .bad")) == 1
    page.set("#paint", "1")
    assert "3.5 ms" in page.text("#scale")
    page.set("#paint", "")
    assert fill(FIRST_ID) == LIGHT.kinds["module"].fill
    assert not page.one("#scale").is_displayed()


def test_one_measurement_needs_no_slider(show: Any) -> None:
    page = show(two_layers(), series=[Series("time", {2: [1.0], 4: [math.inf]}, unit="ms")])
    assert not page.one("#step").is_displayed()
    assert colour(page, '[data-id="2"] .frame') == LIGHT.kinds["op"].fill
    page.set("#paint", "0")
    assert colour(page, '[data-id="2"] .frame') != LIGHT.kinds["op"].fill
    assert page.ids(".trouble") == {4, FIRST_ID, NET_ID}  # and what is around it
    page.click('[data-id="4"]')
    assert "∞" in page.text("#panel")


def test_it_opens_in_the_colours_that_were_asked_for(show: Any) -> None:
    both = [Series("time", {2: [1.0], 4: [2.0]}), Series("memory", {4: [1.0], 5: [2.0]})]
    page = show(two_layers(), series=both, color_by="memory")
    assert page.text("#scale").startswith("memory")
    assert colour(page, '[data-id="5"] .frame') == LIGHT.ramp[-1]
    assert colour(page, '[data-id="2"] .frame') == LIGHT.kinds["op"].fill


def test_the_walk_goes_forward_and_then_back(show: Any) -> None:
    page = show(two_layers(backward=True), values={4: "[0.5, -1]"})

    def told() -> str:
        return page.text("#panel .playing")

    walked = []
    for _ in range(12):
        page.press(".")
        (now,) = page.ids(".now")
        walked.append(now)
        if len(walked) == 2:
            assert "forward, step 2 of 6" in told()
            assert "x1 + x2" in told()
            assert "[0.5, -1]" in page.text("#panel")
            assert page.ids(".box.done") == {2}
            assert page.js("return document.querySelectorAll('.edge.flowing').length") == 2
        if len(walked) == 9:
            assert "backward, step 3 of 6" in told()
            assert "d x1 = g @ x2ᵀ" in told()
            assert page.js("return document.querySelectorAll('.edge.gradient.flowing').length") == 2
    forward = [2, 4, 5, 7, 9, 10]
    assert walked == forward + forward[::-1]
    page.press(",")
    assert page.ids(".now") == {4}
    page.press("\ue00c")
    assert page.ids(".now") == page.ids(".done") == set()


def test_the_walk_plays_by_itself_and_takes_a_folded_module_as_one_step(show: Any) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    page = show(two_layers(), open=[NET])
    page.set("#speed", "4")
    page.press(" ")
    assert page.ids(".now") == {FIRST_ID}
    wait = WebDriverWait(page.driver, 20, poll_frequency=0.05)
    wait.until(lambda _: page.ids(".now") == {SECOND_ID})
    page.press(" ")
    assert page.one("#play").get_attribute("aria-label") == "play"
    page.click("#play")
    wait.until(lambda _: page.ids(".now") == {10})
    wait.until(lambda _: page.one("#play").get_attribute("aria-label") == "play")  # at the end
    page.click("#previous")
    assert page.ids(".now") == {SECOND_ID}


def test_the_walk_shows_the_numbers_and_the_gradients(show: Any) -> None:
    page = show(two_layers(backward=True), values={4: "[0.5, -1]"}, gradients={4: "[7, 8]", 2: "[9, 10]", 3: "[11]"})
    page.press(".", ".")
    assert "x1 + x2[0.5, -1]" in page.text("#panel .playing")
    assert "[7, 8]" not in page.text("#panel")  # there is none yet
    page.press(*".......")
    assert "backward, step 3 of 6" in page.text("#panel .playing")
    page.press("..")
    assert "backward, step 5 of 6" in page.text("#panel .playing")
    assert page.ids(".now") == {4}
    assert "g =[7, 8]d x1 = g[9, 10]d x2 = g[11]" in page.text("#panel .playing")
    assert page.text("#panel").count("[7, 8]") == 1
    page.press("\ue00c")
    page.click('[data-id="4"]')
    assert "gradient[7, 8]" in page.text("#panel")


def test_a_gradient_that_is_a_sum_is_not_given_for_one_of_its_rules(show: Any) -> None:
    value = Value((), "f32")
    vertices = [Vertex("parameter", "w", value, 1), Vertex("op", "×", op="multiply"), Vertex("op", "+", op="multiply")]
    edges = [
        Edge(0, 1, value, argument="x"), Edge(1, 2, value, argument="x"), Edge(0, 2, value, argument="y"),
        Edge(1, 0, value, flow="gradient"), Edge(2, 1, value, flow="gradient"), Edge(2, 0, value, flow="gradient"),
    ]  # fmt: skip
    ops = {"multiply": Explained("x y", {"x": "g y", "y": "g x"})}
    page = show(Drawing(vertices, edges, [], ops), gradients={0: "5", 1: "2"})
    page.press(".", ".", ".")
    assert page.text("#panel .playing") == "backward, step 1 of 2d x = g y2d y = g x"


def test_folded_gradients_are_those_of_parameters_and_zero_ends_a_logarithmic_scale(show: Any) -> None:
    """As in the still picture."""
    norms = Series("grad_norm", {1: [3.0], 3: [4.0], 2: [50.0], 7: [0.0], 9: [500.0]}, "norm", "", "norm", True)
    page = show(two_layers(), series=[norms], open=[NET, SECOND])
    page.set("#paint", "0")
    page.click(f'.box[data-id="{FIRST_ID}"] .title')
    assert page.text("#panel .measured") == "5"
    assert page.text("#scale").startswith("norm (log scale)5")
    assert colour(page, '[data-id="7"] .frame') == LIGHT.ramp[0]
    assert colour(page, '[data-id="9"] .frame') == LIGHT.ramp[-1]


def test_times_and_sizes_have_the_prefix_that_fits(show: Any) -> None:
    times = Series("time", {2: [0.00123], 4: [2e-7], 5: [12.0], 7: [0.0]}, unit="s", combine="sum")
    sizes = Series("memory", {2: [4096], 4: [12_500_000], 5: [17]}, unit="B", combine="sum")
    page = show(two_layers(), series=[times, sizes])
    for i, words in ((2, ["1.23 ms", "4.1 kB"]), (4, ["0.2 µs", "12.5 MB"]), (5, ["12 s", "17 B"])):
        page.click(f'[data-id="{i}"]')
        assert [element.text for element in page.all("#panel .measured")] == words


# -- pages as users make them ----------------------------------------------------------------------------------------


def saved(driver: Any, path: Path, picture: Picture) -> Page:
    return Page(driver, path, picture.save(path).read_text(encoding="utf-8"))


def test_the_page_of_a_gpt_counts_all_that_is_learned(driver: Any, tmp_path: Path) -> None:
    page = saved(driver, tmp_path / "gpt.html", tn.draw(gpt(), backward=True))
    learned = sum(parameter.size for parameter in kept(GPT).parameters())
    assert f"numbers learned{learned:,}" in page.text("#panel dl")
    page.set("#search", "blocks.3.attn.qkv.weight")
    assert page.text("#found") == "1 found"
    assert page.errors() == []


def test_the_page_of_a_function_has_its_numbers_and_gradients(driver: Any, tmp_path: Path) -> None:
    page = saved(
        driver, tmp_path / "f.html", tn.draw(lambda a, b: a * b, np.full(1, 3.0), np.full(1, 5.0), backward=True)
    )
    page.press(".", ".")
    assert re.fullmatch(r"backward, step 1 of 1g =\[1\]d x = .*\[5\]d y = .*\[3\]", page.text("#panel .playing"))


def test_the_page_of_a_training_begins_at_its_last_step(driver: Any, tmp_path: Path) -> None:
    w = tn.tensor([1.0, 2.0], requires_grad=True)
    training = tn.profile(values=True)
    for scale in (1.0, 10.0):
        with training:
            loss = (np.tanh(w) * scale).sum()
            w.grad = None
            loss.backward()
    picture = tn.draw(loss, profile=training, color_by="grad_norm")
    page = saved(driver, tmp_path / "training.html", picture)
    assert page.text("#step-label") == "step 2"
    page.click('[data-id="0"]')
    first = page.text("#panel")
    page.set("#step", 0)
    assert page.text("#step-label") == "step 1"
    assert page.text("#panel") != first


# -- what is wrong, and what is different ----------------------------------------------------------------------------


def test_what_is_marked_is_listed_with_the_reason(show: Any) -> None:
    drawing = two_layers()
    drawing.vertices[3] = drawing.vertices[3]._replace(sign="dead", details=("no gradient: unused", "net.first.bias"))
    drawing.vertices[10] = drawing.vertices[10]._replace(sign="trouble", details=("born here: nan",))
    page = show(drawing, open=[NET])
    assert [section.text for section in page.all("#panel section")] == [
        "NOT FINITE\nmean – born here: nan",
        "NO GRADIENT\nfirst.bias – no gradient: unused",
    ]
    assert "not finite" in page.text("#legend")
    assert "no gradient" in page.text("#legend")
    assert page.ids(".trouble") == {10}
    page.js("[...document.querySelectorAll('#panel .link')].find((link) => link.textContent === 'first.bias').click()")
    assert page.ids(".box.selected") == {3}
    assert page.text("#panel .sign") == "no gradient: unused"
    assert "no gradient" not in page.text("#panel section:last-of-type")  # it is told once
    assert "no gradient" in page.one('[data-id="3"]').get_attribute("aria-label")


def test_what_changed_says_what_it_was_and_what_is_added_stands_as_one(show: Any) -> None:
    drawing = two_layers()
    changed = drawing.vertices[2]._replace(sign="changed", details=("was @ of 8",))
    vertices = [v._replace(sign="added") if v.cluster == SECOND else v for v in drawing.vertices]
    vertices[2] = changed
    clusters = [drawing.clusters[0], drawing.clusters[1], drawing.clusters[2]._replace(sign="added")]
    edges = [e._replace(sign="added") if e.head == 7 else e for e in drawing.edges]
    page = show(drawing._replace(vertices=vertices, clusters=clusters, edges=edges))
    assert [section.text for section in page.all("#panel section")] == [
        "ADDED\nsecond · Linear",
        "CHANGED\n@, in first – was @ of 8",
    ]
    assert colour(page, "#stage .edge.added polygon") == LIGHT.signs["added"]
    page.click('[data-id="2"]')
    assert page.text("#panel .sign") == "changed: was @ of 8"


# -- what is drawn once for many -------------------------------------------------------------------------------------


def repeated() -> Drawing:
    """A cell that runs a hundred times, with a parameter of its own each time and one that all share; then a result."""
    value = Value((4, 16), "f32")
    vertices = [
        Vertex("parameter", "own", value, 64, cluster=0, count=100),
        Vertex("parameter", "shared", value, 64, cluster=0),
        Vertex("op", "@", cluster=0, op="matmul", count=100),
        Vertex("op", "tanh", cluster=0, op="tanh", count=100),
        Vertex("output", "y", value),
    ]
    edges = [
        Edge(0, 2, value, argument="x"), Edge(1, 2, value, argument="y"), Edge(2, 3, value), Edge(3, 4, value),
        Edge(3, 2, value, flow="carry"), Edge(2, 3, value, flow="gradient"),
    ]  # fmt: skip
    cluster = Cluster("cells.0–99", "Cell", "cells.0–99", parameters=6464, count=100)
    return Drawing(vertices, edges, [cluster])


def test_what_is_drawn_once_is_counted_as_often_as_it_is(show: Any) -> None:
    page = show(repeated())
    assert "numbers learned6,464" in page.text("#panel dl")
    assert "parameter tensors101" in page.text("#panel dl")
    assert "ops200" in page.text("#panel dl")
    page.click('[data-id="0"]')
    assert "parameters64 each" in page.text("#panel dl")
    page.press("c")
    assert "parameters6,464 in all" in page.text("#panel dl")
    assert "100 equal ones, one after the other" in page.text("#panel dl")
    assert "Cell ×100" in page.text('#stage [data-id="5"].box')


def test_what_goes_on_to_the_next_repetition_says_so_and_its_gradient_goes_back_beside_it(show: Any) -> None:
    page = show(repeated())
    assert "next" in [label.text for label in page.all("#stage .shape")]
    ways = page.js(
        """return ["carry", "gradient"].map((way) => {
          const path = document.querySelector(`#stage .edge.${way} path`);
          return [...Array(9).keys()].map((k) => path.getPointAtLength((k / 8) * path.getTotalLength()))
            .map((p) => [p.x, p.y]);
        })"""
    )
    (there, back) = ways
    assert max(x for x, _ in there) < max(x for x, _ in back) <= max(x for x, _ in there) + 9
    assert there[0][1] > there[-1][1]
    assert back[0][1] < back[-1][1]
    (module,) = page.all("#stage rect.cluster")
    assert max(x for x, _ in back) + 30 < module.rect["width"] + float(
        re.findall(r"[\d.]+", module.get_attribute("transform"))[0]
    )


@pytest.mark.parametrize(
    ("sought", "found"),
    [
        ("cells.0–99.own", {0}), ("cells.7.own", {0}), ("cells.99", {0, 1, 2, 3, 5}), ("cells.100", set()),
        ("4×16", {0, 1, 2, 3, 4}),
    ],
)  # fmt: skip
def test_a_number_finds_the_range_it_is_in_and_a_shape_what_gives_it(show: Any, sought: str, found: set[int]) -> None:
    page = show(repeated())
    page.set("#search", sought)
    assert page.ids(".box.match, #stage rect.cluster.match") == found


def test_activations_stand_in_the_box_before_them_as_in_stills(show: Any) -> None:
    drawing = two_layers()
    drawing.vertices[5] = drawing.vertices[5]._replace(cluster=NET)
    page = show(drawing, compact=True, open=[NET], series=[Series("time", {4: [1.0], 5: [2.0]}, combine="sum")])
    box = f'.box[data-id="{FIRST_ID}"]'
    assert page.text(box) == "first · Lineartanh272 parameters"
    assert 5 not in page.ids(".box")
    page.set("#search", "tanh")
    assert page.ids(".match") == {FIRST_ID}
    page.press("/", "\ue007")
    assert page.ids(".box.selected") == {FIRST_ID}
    assert page.text("#panel h2") == "tanh"
    page.click(f"{box} .title")
    assert "thentanh" in page.text("#panel")
    assert "first · Linear, then tanh, module" in page.text("#spoken")
    assert page.text("#panel .measured") == "3"
    page.set("#depth", "all")
    assert 5 in page.ids(".box")


def test_what_was_measured_stands_in_the_boxes_as_in_stills(show: Any) -> None:
    times = Series("time", {2: [0.001, 0.25], 4: [0.003, 0.75]}, unit="s", combine="sum")
    norms = Series("grad_norm", {2: [0.5, 0.123456]}, short="norm")
    page = show(two_layers(), series=[times, norms], color_by="time", steps=[0, 1])
    boxes = rectangles(page)
    assert page.text('.box[data-id="2"]') == "@250 ms · 25 %"
    page.set("#step", 0)
    assert page.text('.box[data-id="2"]') == "@1 ms · 25 %"
    assert rectangles(page) == boxes  # there is room for each step
    page.set("#paint", 1)
    assert page.text('.box[data-id="2"]') == "@norm 0.5"
    assert page.text('.box[data-id="4"]') == "+"
    page.click(f'[data-id="{FIRST_ID}"].head .grip')
    page.set("#paint", 0)
    assert page.text(f'.box[data-id="{FIRST_ID}"]') == "first · Linear4 ms · 100 %272 parameters"
    page.set("#paint", "")
    assert page.text(f'.box[data-id="{FIRST_ID}"]') == "first · Linear272 parameters"


def test_the_panel_names_optimizers_and_not_what_a_program_writes(show: Any) -> None:
    vertices = [
        Vertex("op", "@", training="SGD lr 0.1"),
        Vertex("op", "+", training="← w"),
        Vertex("op", "×", training="gradient: w"),
    ]
    assert "updated bySGD" in show(Drawing(vertices, [], [])).text("#panel dl")
    assert "updated by" not in show(Drawing(vertices[1:], [], [])).text("#panel dl")


def test_many_arrays_from_one_box_to_another_are_one_arrow(show: Any) -> None:
    value = Value((2,), "f32")
    vertices = [Vertex("op", "split", op="split"), Vertex("op", "stack", op="stack"), Vertex("op", "few", op="few")]
    edges = [Edge(0, 1, value, i) for i in range(12)] + [Edge(1, 2, value, i) for i in range(3)]
    page = show(Drawing(vertices, edges, []))
    assert len(page.all("#stage .edge")) == 4
    assert page.all("#stage .shape")[0].text == "12 arrays"
    page.click('[data-id="0"]')
    page.click("#to-outputs")
    assert len(page.all("#stage .edge.hot")) == 4


def test_new_values_stand_below_what_computes_them(show: Any) -> None:
    value = Value((2,), "f32")
    vertices = [
        Vertex("input", "x", value), Vertex("op", "@"), Vertex("update", "← w", value), Vertex("update", "← v", value)
    ]  # fmt: skip
    drawing = Drawing(vertices, [Edge(0, 1, value), *(Edge(1, i, value, flow="update") for i in (2, 3))], [])
    page = show(drawing)
    boxes = rectangles(page)
    assert boxes[2][1] == boxes[3][1] > boxes[1][3]
    page.press("\ue015", "\ue015", "\ue015")
    assert page.ids(".box.selected") == {2}


def test_arrows_come_into_a_module_beside_its_name(show: Any) -> None:
    value = Value((2,), "f32")
    vertices = [Vertex("input", "x", value), Vertex("op", "@", cluster=0)]
    page = show(Drawing(vertices, [Edge(0, 1, value)], [Cluster("encoder", "Embedding")]))
    name = page.one("#stage .head text").rect
    box = rectangles(page)[1]
    assert name["x"] + name["width"] < (box[0] + box[2]) / 2
