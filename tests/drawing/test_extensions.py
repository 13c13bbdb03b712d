"""Pictures in themes, by renderers, in formats and with cards of the user's own."""

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.drawing import Box, Renderer, Theme, add_renderer, formats, remove_renderer, renderers, themes

DEFAULT = themes["default"]
SEPIA = DEFAULT.light._replace(
    paper="#fdf6e3",
    line="#80746b",
    gradient="#b03a00",
    signs={**DEFAULT.light.signs, "removed": "#b03a00"},
    kinds={**DEFAULT.light.kinds, "op": Box("#fffaf0", "#8a6d3b"), "constant": Box("#fffaf1", "#8a6d3c")},
)
NIGHT = DEFAULT.dark._replace(paper="#001018")
OURS = Theme(SEPIA, NIGHT)


def picture(**options):
    x = tn.tensor([[1.0, 2.0]], requires_grad=True)
    return tn.draw(nn.Sequential(nn.Linear(2, 3), nn.Tanh())(x.astype(np.float32)), **options)


def test_a_theme_colours_every_form():
    options = {"backward": True, "legend": True, "theme": OURS}
    svg = picture(**options).svg
    for colour in (SEPIA.paper, SEPIA.gradient, "#fffaf0", NIGHT.paper):
        assert colour in svg
    for colour in (DEFAULT.light.gradient, DEFAULT.light.paper, DEFAULT.dark.paper):
        assert colour not in svg
    for form in (formats["html"], formats["mmd"], lambda p: p.animate().svg):
        text = form(picture(**options))
        assert SEPIA.gradient in text
        assert DEFAULT.light.gradient not in text


def test_a_theme_by_name_and_one_palette_for_both(monkeypatch):
    monkeypatch.setitem(themes, "ours", OURS)
    assert picture(theme="ours").svg == picture(theme=OURS).svg
    alone = picture(theme=SEPIA).svg
    assert "prefers-color-scheme:dark" in alone
    assert NIGHT.paper not in alone


def test_measured_boxes_have_the_ramp_of_the_theme():
    ramp = ("#102030", "#405060")
    theme = Theme(SEPIA._replace(ramp=ramp), NIGHT)
    x = tn.tensor(np.linspace(0, 1, 4), requires_grad=True)
    fills = {
        v.fill for v in tn.draw(lambda x: np.tanh(x) * 100, x, color_by="activation", theme=theme).drawing.vertices
    }
    assert set(ramp) <= fills


@pytest.mark.parametrize(
    ("theme", "error", "says"),
    [
        ("nobody", ValueError, "theme='nobody'; the themes are default"),
        (3, TypeError, "not int"),
        (SEPIA._replace(ink="red"), ValueError, "light: ink is 'red'"),
        (SEPIA._replace(kinds={"op": Box("#ffffff", "#000000")}), ValueError, "light.kinds has nothing for constant"),
        (SEPIA._replace(signs={}), ValueError, "light.signs has nothing for added"),
        (SEPIA._replace(ramp=()), ValueError, "light.ramp is empty"),
        (Theme(SEPIA, NIGHT._replace(clusters=("#001020",))), ValueError, "different lengths"),
        (
            Theme(DEFAULT.light, NIGHT._replace(line="#ffffff")),
            ValueError,
            "line and the border of op are both #5f6c79",
        ),
    ],
)
def test_a_theme_that_cannot_be_drawn(theme, error, says):
    with pytest.raises(error, match=says):
        picture(theme=theme)


def test_check_theme_finds_what_cannot_be_read():
    tn.testing.check_theme(OURS)
    for changed, says in (
        ({"muted": "#c0c0c0"}, "light: muted on paper has a contrast of 1.7; text needs 4.5"),
        ({"line": "#f0e9da"}, "light: line on paper has a contrast of 1.1; a line needs 3"),
        ({"kinds": {**SEPIA.kinds, "module": Box("#303030", "#52606d")}}, "light: ink on the fill of module"),
    ):
        with pytest.raises(AssertionError, match=says):
            tn.testing.check_theme(SEPIA._replace(**changed))


# -- renderers ---------------------------------------------------------------------------------------------------


@pytest.fixture
def added():
    """Renderers to add, which are taken back."""
    names = []

    def add(name, draw):
        add_renderer(name, draw)
        names.append(name)
        return next(r for r in renderers() if r.name == name)

    yield add
    for name in names:
        remove_renderer(name)


def through(svg, dpi, timeout):
    """What the renderer that is there anyway draws."""
    return tn.drawing.render(svg, dpi=dpi, timeout=timeout, by=BUILT_IN)


BUILT_IN = next(r for r in renderers() if r.available)


def test_an_added_renderer_draws(added, tmp_path):
    seen = []

    def draw(svg, dpi, timeout):
        seen.append((svg, dpi, timeout))
        return through(svg, dpi, timeout) + b"ours"

    renderer = added("ours", draw)
    tn.testing.check_renderer(renderer)
    seen.clear()
    made = picture(compact=False, depth=2)
    assert made.save(tmp_path / "net.png").read_bytes().endswith(b"ours")
    assert seen == [(made.svg, 192, 60)]


def test_a_renderer_that_fails_gives_way(added, monkeypatch):
    svg = picture().svg
    usual = tn.drawing.render(svg)

    def fails(svg, dpi, timeout):
        raise ZeroDivisionError("by our own fault")

    added("fails", fails)
    added("text", lambda svg, dpi, timeout: "PNG")
    added("other", lambda svg, dpi, timeout: b"<html/>")
    assert tn.drawing.render(svg) == usual
    monkeypatch.setattr("tapenet.drawing.forms.render._pure", lambda: Renderer("graphviz-pure", "gone"))
    monkeypatch.setattr("tapenet.drawing.forms.render._on_path", lambda: Renderer("dot", "gone"))
    monkeypatch.delenv("TAPENET_DOT", raising=False)
    with pytest.raises(tn.drawing.RenderError) as raised:
        tn.drawing.render(svg)
    said = str(raised.value)
    assert "fails: added failed: ZeroDivisionError: by our own fault" in said
    assert "text: added failed: it returned a str, not bytes" in said
    assert "other: added failed: wrote no png" in said


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda *args: through(*args) + b" " * NOW.pop(), "in different bytes"),
        (lambda svg, dpi, timeout: through(svg, 72, timeout), "at 96 pixels to the inch is "),
        (
            lambda svg, dpi, timeout: through(picture().svg if svg == "no picture" else svg, dpi, timeout),
            "what is no SVG",
        ),
    ],
)
def test_check_renderer_finds_what_is_missing(added, draw, says):
    NOW[:] = [1, 2, 3, 4]
    with pytest.raises(AssertionError, match=says):
        tn.testing.check_renderer(added("wrong", draw))


NOW = []


def test_adding_and_removing(added):
    first = added("one", through)
    assert [r.name for r in renderers()][:2] == ["$TAPENET_DOT", "one"]
    added("two", through)
    assert [r.name for r in renderers()][1:3] == ["two", "one"]
    assert first.available


# -- formats and cards -------------------------------------------------------------------------------------------


def test_a_format_of_ones_own(monkeypatch, tmp_path):
    monkeypatch.setitem(formats, "txt", lambda picture: "\n".join(v.title for v in picture.drawing.vertices))
    monkeypatch.setitem(formats, "raw", lambda picture: b"\x00\xff")
    assert "Tanh" in picture(depth=2).save(tmp_path / "net.txt").read_text().title()
    assert picture().save(tmp_path / "net.raw").read_bytes() == b"\x00\xff"
    with pytest.raises(ValueError, match=r"must be one of .*\.txt"):
        picture().save(tmp_path / "net.doc")


class Block(nn.Module):
    def __init__(self, size):
        self.a, self.b = nn.Linear(size, size), nn.Linear(size, size)

    def forward(self, x):
        return self.b(tn.tanh(self.a(x)))

    def card(self):
        return "a → tanh → b\n<residual>"


def test_a_module_says_what_its_box_holds(tmp_path):
    net = nn.Sequential(Block(2), nn.Linear(2, 2))
    x = np.ones((1, 2), np.float32)
    folded = tn.draw(net, x, depth=1)
    lines = next(v.lines for v in folded.drawing.vertices if v.kind == "module")
    assert lines == ("0 · Block", "a → tanh → b", "<residual>", "12 parameters")
    for text in ("a → tanh → b", "&lt;residual&gt;"):
        assert text in folded.svg
    assert "card" in folded.save(tmp_path / "net.html").read_text()
    opened = tn.draw(net, x, depth=2)
    assert "residual" not in opened.svg


def test_a_card_that_fails_is_named():
    class Wrong(Block):
        def card(self):
            return ["a", "b"]

    with pytest.raises(TypeError, match=r"Wrong.card\(\) returned \['a', 'b'\]: give a text") as raised:
        tn.draw(Wrong(2), np.ones((1, 2), np.float32))
    assert any("says what is in its box" in note for note in raised.value.__notes__)


# -- what packages bring -----------------------------------------------------------------------------------------

BROUGHT = {
    "tapenet.themes": {"brought": OURS, "wrong": 3, "default": 3},
    "tapenet.renderers": {"brought": Renderer("", "in a package", draw=through), "wrong": through},
    "tapenet.formats": {"brought": lambda picture: "as text"},
}


def test_packages_bring_themes_renderers_and_formats(monkeypatch, tmp_path):
    own = picture(theme=OURS).svg
    monkeypatch.setattr("tapenet.plugins.found", BROUGHT.__getitem__)
    assert picture(theme="brought").svg == own
    assert picture(theme="default").svg == picture().svg
    with pytest.raises(TypeError, match="not int"):
        picture(theme="wrong")
    with pytest.raises(ValueError, match="the themes are brought, wrong, default"):
        picture(theme="other")
    found = {renderer.name: renderer for renderer in renderers()}
    assert found["brought"].available
    assert not found["wrong"].available
    assert "no tn.drawing.Renderer" in found["wrong"].where
    assert picture().save(tmp_path / "net.brought").read_text() == "as text"
    with pytest.raises(ValueError, match=r"\.brought"):
        picture().save(tmp_path / "net.doc")
