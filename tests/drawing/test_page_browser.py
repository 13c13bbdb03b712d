"""The page at work in headless Chromium: what a reader does, and what is then to be seen."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.drawing.forms.page import Series, to_html
from tapenet.drawing.layout.tree import LEAVES
from tapenet.drawing.model import Cluster, Drawing, Edge, Value, Vertex
from tapenet.drawing.passes.view import BUDGET, View
from tapenet.drawing.style import DARK, LIGHT
from tests.drawing.browser import Page, colour, missing, rectangles
from tests.drawing.pages import FIRST, NET, SECOND, chain, nested, tangle, two_layers
from tests.drawing.test_page import HOSTILE, hostile

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there is a browser")

#: The ids of the clusters of `two_layers`: they come after its twelve vertices.
NET_ID, FIRST_ID, SECOND_ID = (12 + cluster for cluster in (NET, FIRST, SECOND))


def assert_orderly(page: Page, drawing: Drawing, sideways: bool = False) -> None:
    """Boxes lie apart or one within the other, and values go onward, but for those in lanes and from the side."""
    boxes = rectangles(page)
    count = len(drawing.vertices)
    for i, (left, top, right, bottom) in boxes.items():
        for j, (x0, y0, x1, y1) in boxes.items():
            if i >= j:
                continue
            apart = right <= x0 or x1 <= left or bottom <= y0 or y1 <= top
            around = j >= count and x0 <= left and y0 <= top and x1 >= right and y1 >= bottom
            inside = i >= count and left <= x0 and top <= y0 and right >= x1 and bottom >= y1
            assert apart or around or inside, (i, j)
    for edge in drawing.edges:
        aside = edge.skip or drawing.vertices[edge.tail].kind in LEAVES
        if edge.flow == "value" and not aside and edge.tail in boxes and edge.head in boxes:
            tail, head = boxes[edge.tail], boxes[edge.head]
            assert tail[2] <= head[0] + 0.5 if sideways else tail[3] <= head[1] + 0.5


# -- what is drawn ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_every_box_and_arrow_is_drawn_in_order(show: Any, direction: str) -> None:
    drawing = two_layers()
    page = show(drawing, title="Two layers", caption="A net.", direction=direction)
    assert page.driver.title == page.text("h1") == "Two layers"
    assert "A net." in page.text("#panel")
    assert page.ids(".box") == set(range(12))
    assert page.ids(".cluster") == page.ids(".head") == {NET_ID, FIRST_ID, SECOND_ID}
    assert len(page.all("#stage .edge")) == len(drawing.edges)
    assert page.text('#stage [data-id="1"]') == "weight16×16 f32 · 256"
    assert_orderly(page, drawing, sideways=direction == "LR")


def test_the_main_path_is_straight(show: Any) -> None:
    page = show(two_layers())
    boxes = rectangles(page)
    middles = [(boxes[i][0] + boxes[i][2]) / 2 for i in (0, 2, 4, 5, 7, 9, 10, 11)]
    assert max(middles) - min(middles) < 0.5


def test_arrows_go_from_box_to_box(show: Any) -> None:
    """Through the borders of clusters in one line."""
    page = show(two_layers())
    boxes = rectangles(page)
    ends = page.js(
        """return [...document.querySelectorAll("#stage .edge")].map((edge) => {
          const [path, tip] = edge.children;
          const at = (point) => { const p = point.matrixTransform(path.getScreenCTM()); return [p.x, p.y]; };
          const ends = [path.getPointAtLength(0), tip.points[0]];
          return [edge.edge.tail, edge.edge.head, ...ends.flatMap(at), path.getAttribute("d")];
        })"""
    )
    assert len(ends) == 11
    for tail, head, x0, y0, x1, y1, way in ends:
        for box, x, y in ((boxes[tail], x0, y0), (boxes[head], x1, y1)):
            assert min(abs(x - box[0]), abs(x - box[2]), abs(y - box[1]), abs(y - box[3])) < 1.5
            assert box[0] - 1.5 <= x <= box[2] + 1.5
            assert box[1] - 1.5 <= y <= box[3] + 1.5
        assert way.count("M") == 1


def test_gradients_go_back_beside_the_values(show: Any) -> None:
    drawing = two_layers(backward=True)
    page = show(drawing)
    assert len(page.all("#stage .edge.gradient")) == 10
    assert_orderly(page, drawing)
    assert colour(page, "#stage .edge.gradient", "stroke") == LIGHT.gradient
    assert "gradient" in page.text("#legend")


def test_circles_parallel_edges_and_lone_boxes_are_drawn(show: Any) -> None:
    """What no program makes, but a drawing may hold."""
    value = Value((), "f32")
    vertices = [Vertex("op", str(i), cluster=i // 2 if i < 4 else None) for i in range(6)]
    clusters = [Cluster("a", "A"), Cluster("b", "B"), Cluster("empty", "E")]
    edges = [Edge(0, 2, value), Edge(3, 1, value), Edge(2, 3, value), Edge(2, 3, value, result=1), Edge(1, 0, value)]
    edges += [Edge(4, 4, value), Edge(1, 0, value, flow="carry"), Edge(5, 0, value, flow="update")]
    page = show(Drawing(vertices, edges, clusters))
    assert page.ids(".box") == set(range(6))
    empty = show(Drawing([], [], []), title="nothing")
    assert empty.ids(".box") == set()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_modules_boxes_lie_apart_and_arrows_go_on(show: Any, seed: int) -> None:
    drawing = nested(seed)
    page = show(drawing, direction=("TB", "LR")[seed % 2], open=range(len(drawing.clusters)))
    page.press("0")
    assert page.ids(".box") == set(range(60))
    assert_orderly(page, drawing, sideways=bool(seed % 2))
    assert "NaN" not in page.js("return document.querySelector('#stage').innerHTML")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_words_are_shown_and_run_nothing(show: Any, text: str) -> None:
    series = [Series(text or "s", {0: [1.0, 2.0]}, text, text)]
    page = show(hostile(text), title=text, caption=text, series=series, steps=[text, text], values={0: text}, open=[0])
    page.press("/", "x", "\ue007")
    page.set("#search", "")
    for selector in ('#stage .box[data-id="0"]', '#stage .box[data-id="1"]', "#stage .head .grip"):
        page.click(selector)
    page.press(".")
    assert page.js("return document.querySelectorAll('script, img, iframe').length") == 2
    assert page.driver.title != "run"
    seen = text.replace("\n", " ") if text.isprintable() and 0 < len(text) < 40 else ""
    assert seen in page.js("return document.querySelector('#panel').textContent")
    assert page.all(".box")


def test_nothing_can_be_loaded_even_if_something_tried(driver: Any, tmp_path: Path) -> None:
    page = Page(driver, tmp_path / "net.html", to_html(two_layers()))
    blocked = page.driver.execute_async_script(
        """const done = arguments[arguments.length - 1];
        const blocked = [];
        document.addEventListener("securitypolicyviolation", (event) => {
          blocked.push(event.effectiveDirective);
          if (blocked.length === 3) done(blocked.sort());
        });
        fetch("http://127.0.0.1:9/").catch(() => {});
        new Image().src = "http://127.0.0.1:9/a.png";
        const script = document.createElement("script");
        script.textContent = "document.title = 'run'";
        document.body.append(script);"""
    )
    assert blocked == ["connect-src", "img-src", "script-src-elem"]
    assert page.driver.title != "run"
    assert len(page.errors()) >= 3  # what the fixture would have found


# -- searching and folding -------------------------------------------------------------------------------------------


def test_search_finds_marks_and_goes_on(show: Any) -> None:
    page = show(two_layers())
    page.press("/", *"tan")
    assert page.js("return document.activeElement.id") == "search"
    assert page.text("#found") == "1 found"
    assert page.ids(".match") == {5}
    page.set("#search", "WEIGHT")
    assert page.ids(".match") == {1, 6, 2}  # by title and by details, whatever the case
    page.set("#search", "weight")
    page.press("\ue007")
    assert page.text("#found") == "1 of 3"
    assert page.ids(".box.selected") == {1}
    page.press("\ue007", "\ue007", "\ue007")
    assert page.ids(".box.selected") == {1}
    page.press("\ue00c")
    assert page.ids(".match") == set()
    assert page.text("#found") == ""


def test_search_looks_into_folded_modules_and_opens_them(show: Any) -> None:
    page = show(two_layers(), open=[])
    assert page.ids(".box") == {0, 10, 11, NET_ID}
    page.press("/", *"bias")
    assert page.text("#found") == "2 found"
    assert page.ids(".nested") == {NET_ID}
    page.press("\ue007")
    assert page.ids(".box.selected") == {3}
    assert page.ids(".cluster") == {NET_ID, FIRST_ID}
    assert page.ids(".nested") == {SECOND_ID}
    page.press("\ue007")
    assert page.ids(".box.selected") == {8}


def test_folding_by_mouse(show: Any) -> None:
    drawing = two_layers()
    page = show(drawing)
    before = page.one(f'[data-id="{FIRST_ID}"].head .chevron').rect
    page.click(f'[data-id="{FIRST_ID}"].head .grip')
    assert page.ids(".box") == {0, 6, 7, 8, 9, 10, 11, FIRST_ID}
    after = page.one(f'[data-id="{FIRST_ID}"] .frame').rect
    assert abs(before["x"] - after["x"]) < 40  # it stays where it was
    assert abs(before["y"] - after["y"]) < 40
    assert page.text(f'#stage [data-id="{FIRST_ID}"]') == "first · Linear272 parameters"
    page.click(f'[data-id="{FIRST_ID}"] .grip')
    assert page.ids(".box") == set(range(12))
    page.click(f'[data-id="{FIRST_ID}"].head .grip')
    page.click(f'.box[data-id="{FIRST_ID}"] .title', double=True)
    assert page.ids(".box") == set(range(12))
    assert_orderly(page, drawing)


def test_folding_keeps_what_is_open_within(show: Any) -> None:
    page = show(two_layers(), open=[NET, SECOND])
    page.click(f'[data-id="{NET_ID}"].head .grip')
    assert page.ids(".box") == {0, 10, 11, NET_ID}
    page.click(f'[data-id="{NET_ID}"] .grip')
    assert page.ids(".box") == {0, FIRST_ID, 6, 7, 8, 9, 10, 11}


def test_what_is_selected_stays_so_while_it_is_folded_away(show: Any) -> None:
    page = show(two_layers())
    page.click('[data-id="5"]')
    page.press("c")
    assert page.ids(".box.selected") == {FIRST_ID}
    page.click('[data-id="10"]')
    page.set("#depth", "0")
    page.set("#depth", "all")
    assert page.ids(".box.selected") == {10}
    page.click('[data-id="5"]')
    page.set("#depth", "0")
    assert page.ids(".box.selected") == {NET_ID}
    assert "Net" in page.text("#panel h2")
    page.set("#depth", "all")
    assert page.ids(".box.selected") == {5}


def test_folding_to_a_depth(show: Any) -> None:
    page = show(two_layers())
    for depth, boxes in (
        ("0", {0, 10, 11, NET_ID}),
        ("1", {0, 10, 11, FIRST_ID, SECOND_ID}),
        ("all", set(range(12))),
    ):
        page.set("#depth", depth)
        assert page.ids(".box") == boxes


# -- selecting -------------------------------------------------------------------------------------------------------


def test_the_panel_tells_of_an_op(show: Any) -> None:
    page = show(two_layers(), values={2: "[[1, 2],\n [3, 4]]"})
    page.click('[data-id="2"]')
    told = page.text("#panel")
    for words in (
        "matmul", "model.py:12", "of x and weight", "x1 @ x2", "d x1 = g @ x2ᵀ", "d x2 = x1ᵀ @ g", "8×16 f32",
        "16×16 f32", "[[1, 2],\n [3, 4]]", "Net › first",
    ):  # fmt: skip
        assert words in told
    assert "@, op, 8×16 f32, in first · Linear" in page.text("#spoken")
    page.js("[...document.querySelectorAll('#panel .link')].find((link) => link.textContent === 'x').click()")
    assert page.ids(".box.selected") == {0}
    assert "8×16 f32" in page.text("#panel")


def test_the_panel_tells_of_a_module(show: Any) -> None:
    page = show(two_layers(), open=[NET])
    page.click(f'.box[data-id="{FIRST_ID}"] .title')
    told = page.text("#panel")
    for words in ("first · Linear", "272", "ops3", "takesx1 x 8×16 f32", "gives@ 8×16 f32"):
        assert words in told
    page.js("[...document.querySelectorAll('#panel button')].find((b) => b.textContent === 'open').click()")
    assert FIRST_ID in page.ids(".cluster")


def test_paths_are_singled_out(show: Any) -> None:
    page = show(two_layers())
    page.click('[data-id="5"]')
    page.click("#from-inputs")
    assert page.ids(".box.hot") == {0, 1, 2, 3, 4, 5}
    assert page.js("return document.querySelectorAll('#stage .edge.hot').length") == 5
    assert float(page.one('[data-id="10"]').value_of_css_property("opacity")) < 0.5
    assert float(page.one('[data-id="1"]').value_of_css_property("opacity")) == 1
    page.press("o")
    assert page.ids(".box.hot") == {5, 7, 9, 10, 11}
    page.press("\ue00c")
    assert page.ids(".box.hot") == set()
    page.click('[data-id="2"]')
    page.click('[data-id="9"]', shift=True)
    assert page.ids(".box.hot") == {2, 4, 5, 7, 9}
    page.click(f'[data-id="{FIRST_ID}"].head .grip')
    page.click('[data-id="10"]')
    page.click("#from-inputs")
    assert page.ids(".box.hot") == {0, 6, 7, 8, 9, 10, FIRST_ID}


def test_the_keyboard_walks_along_the_arrows(show: Any) -> None:
    left, up, right, down = "\ue012", "\ue013", "\ue014", "\ue015"
    enter, escape = "\ue007", "\ue00c"
    page = show(two_layers())

    def selected() -> set[int]:
        assert page.js("return document.activeElement.dataset.id") == str(*page.ids(".selected[tabindex='0']"))
        return page.ids(".selected")

    page.press(down)
    assert selected() == {0}
    for expected in (2, 4, 5, 7):
        page.press(down)
        assert selected() == {expected}
    for key, expected in (
        (up, 5),
        (up, 4),
        (up, 2),
        (right, 1),
        (left, 2),
        (right, 1),
        (down, 2),
        (down, 4),
        (right, 3),
        (down, 4),
    ):
        page.press(key)
        assert selected() == {expected}
    page.press(escape)
    page.click('[data-id="2"]')
    page.press("c")
    assert selected() == {FIRST_ID}
    page.press(enter)
    assert FIRST_ID in page.ids(".cluster")
    assert page.js("return document.activeElement.getAttribute('aria-expanded')") == "true"
    page.press(enter)
    assert FIRST_ID in page.ids(".box")
    page.press(up)
    assert selected() == {0}
    page.press("?")
    assert page.js("return document.querySelector('#help').open")
    page.press(escape)
    assert not page.js("return document.querySelector('#help').open")


def test_boxes_have_roles_and_words_for_those_who_do_not_see(show: Any) -> None:
    page = show(two_layers(), open=[NET])
    for element in page.all("#stage .box, #stage .head"):
        assert element.get_attribute("role") == "button"
        assert element.get_attribute("aria-label")
    label = page.one(f'[data-id="{FIRST_ID}"].box').get_attribute("aria-label")
    assert label == "first · Linear, module, 272 parameters, folded"
    unnamed = page.js(
        """return [...document.querySelectorAll("button, input, select")]
        .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim())).length"""
    )
    assert unnamed == 0


def test_pointing_shows_a_word(show: Any) -> None:
    from selenium.webdriver import ActionChains

    page = show(two_layers())
    ActionChains(page.driver, duration=0).move_to_element(page.one('[data-id="2"]')).perform()
    assert "model.py:12" in page.text("#tip")
    assert page.one("#tip").is_displayed()


def test_moving_and_zooming(show: Any) -> None:
    from selenium.webdriver import ActionChains

    page = show(two_layers())

    def at() -> tuple[float, float, float]:
        x, y, scale = map(float, re.findall(r"-?[\d.]+", page.one("#stage .world").get_attribute("transform")))
        return x, y, scale

    x, y, scale = at()
    ActionChains(page.driver, duration=0).move_to_element_with_offset(
        page.one("#stage"), -400, 0
    ).click_and_hold().move_by_offset(60, 30).release().perform()
    assert at() == pytest.approx((x + 60, y + 30, scale), abs=2)
    page.press("+")
    assert at()[2] == pytest.approx(scale * 1.3)
    page.press("-", "0")
    assert at() == pytest.approx((x, y, scale))
    page.js(
        """document.querySelector("#stage").dispatchEvent(
        new WheelEvent("wheel", {deltaX: 10, deltaY: 20, cancelable: true, clientX: 300, clientY: 300}));"""
    )
    assert at() == pytest.approx((x - 10, y - 20, scale))
    page.js(
        """document.querySelector("#stage").dispatchEvent(
        new WheelEvent("wheel", {deltaY: -100, ctrlKey: true, cancelable: true, clientX: 300, clientY: 300}));"""
    )
    assert at()[2] > 1.2 * scale


def test_light_and_dark(show: Any) -> None:
    page = show(two_layers())
    assert colour(page, "body", "background-color") == LIGHT.paper
    assert colour(page, '[data-id="1"] .frame') == LIGHT.kinds["parameter"].fill
    page.click("#theme")
    assert colour(page, "body", "background-color") == DARK.paper
    assert colour(page, '[data-id="1"] .frame') == DARK.kinds["parameter"].fill
    assert colour(page, '[data-id="1"] .title') == DARK.ink
    page.press("d")
    assert colour(page, "body", "background-color") == LIGHT.paper
    page.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    try:
        page = show(two_layers())
        assert colour(page, "body", "background-color") == DARK.paper
        page.click("#theme")
        assert colour(page, "body", "background-color") == LIGHT.paper
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


# -- large ones ------------------------------------------------------------------------------------------------------


def test_two_thousand_boxes(show: Any) -> None:
    """Drawn in full where they can be read, by kind where they cannot; `benchmarks/page.py` times it."""
    page = show(tangle(2000), open=[0])
    assert 20 < len(page.all("#stage g.box")) <= 600
    page.press("0")
    assert len(page.all("#stage g.box")) == 0
    assert 3 <= len(page.all("#stage .batch")) <= 20
    page.set("#search", "tanh")
    found = int(page.text("#found").split()[0])
    marked = page.js("return document.querySelector('.batch.match').getAttribute('d').split('M').length - 1")
    assert found == marked > 100
    page.press("/", "\ue007")
    assert page.text("#found") == f"1 of {found}"
    (selected,) = page.ids(".box.selected")
    assert page.text(f'.box[data-id="{selected}"]') == "tanh"
    page.set("#depth", "0")
    page.set("#search", "Tail")
    page.press("\ue007")
    assert page.ids(".box.selected") == {2000}


def test_a_flat_graph_opens_in_runs_with_a_map_of_it(show: Any) -> None:
    view = View()
    drawing = view.to_explore(tangle(2000))
    page = show(drawing, open=set(range(len(drawing.clusters))) - view.closed(drawing))
    assert 10 < len(page.all("#stage g.box")) <= BUDGET

    def place(selector: str) -> list[float]:
        found: list[float] = page.js(
            """const r = document.querySelector(arguments[0]).getBoundingClientRect();
            return [r.left, r.top, r.right, r.bottom];""",
            selector,
        )
        return found

    shape = page.one("#map path").get_attribute("d")
    page.click("#stage g.box.module .grip")
    assert len(page.one("#map path").get_attribute("d")) > len(shape)
    around, before = place("#map"), place("#map rect")
    assert around[1] <= before[1]
    assert before[3] < around[3] - 10
    page.click("#map")
    after = place("#map rect")
    assert after[1] + after[3] == pytest.approx(around[1] + around[3], abs=6)
    assert page.one("#map").get_attribute("aria-hidden") == "true"
    assert colour(page, "#map rect", "stroke") == LIGHT.accent
    page.press("d")
    assert colour(page, "#map rect", "stroke") == DARK.accent
    assert not show(two_layers()).one("#map").is_displayed()


def test_cut_off_gradients_and_broadcasts_are_shown(show: Any) -> None:
    def cut(x: Any, b: Any) -> Any:
        h = np.tanh(x + b)
        return np.exp(h.detach()) * np.sin(h)

    drawing = tn.draw(cut, np.ones((2, 3)), np.ones(3), compact=False).drawing
    page = show(drawing)
    assert len(page.all(".edge.broken")) == sum(edge.broken for edge in drawing.edges) > 0
    assert "→ 2×3" in page.js(
        "return [...document.querySelectorAll('#stage g.box text')].map((t) => t.textContent).join(' ')"
    )
    assert "no gradient goes back" in page.text("#legend")
    assert_orderly(page, drawing)


@pytest.mark.slow
def test_a_chain_of_a_hundred_thousand(show: Any) -> None:
    page = show(chain(100_000))
    assert 10 < len(page.all("#stage g.box")) <= 600
    page.press("0", "\ue015", "\ue015")
    assert page.ids(".box.selected") == {1}
