"""Colours of pictures and pages, in light and in dark: the one place that has them.

Blue, orange, purple, vermilion and green are of the palette of Okabe and Ito, as tints with a darker border (in dark:
as shades with a lighter one): colour-blind readers tell them apart, and in grey print borders and titles do. Arrows and
borders stand out from paper by a contrast of 4.5, as text does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tapenet import plugins
from tapenet.drawing.model import Edge, Flow, Kind, Sign


class Box(NamedTuple):
    """Colours of a box."""

    fill: str
    border: str


class Stroke(NamedTuple):
    """How a line is drawn: how thick, in points, and in which dashes and gaps; "" for none."""

    width: float
    dashes: str = ""


class Entry(NamedTuple):
    """A sample in a legend and what it means.

    Attributes:
        words: what it means.
        colour, stroke: of the line, or of the border.
        fills: of a box, or of a strip of several colours; none: it is of a line.
    """

    words: str
    colour: str
    stroke: Stroke
    fills: tuple[str, ...] = ()


#: The borders of boxes; those of others are plain.
BORDERS: Mapping[Kind, Stroke] = {"constant": Stroke(1.1, "3 2.5"), "output": Stroke(1.6), "module": Stroke(1.6)}
PLAIN = Stroke(1.1)
#: The borders of what has a sign.
SIGNED: Mapping[Sign, Stroke] = {
    "trouble": Stroke(2.6),
    "dead": Stroke(2, "1.5 2.5"),
    "added": Stroke(2.6),
    "removed": Stroke(2.6, "6 3"),
    "changed": Stroke(2.6),
}
#: Arrows, by what they carry.
FLOWS: Mapping[Flow, Stroke] = {
    "value": Stroke(1.1),
    "gradient": Stroke(1.1, "4 3"),
    "update": Stroke(1.4),
    "carry": Stroke(1.1, "2 3"),
    "exchange": Stroke(2.2),
    "order": Stroke(0),
}
#: The arrow of a value that goes around something.
SKIP = Stroke(2.2)
#: The dashes of a value along which the user lets no gradient come back.
BROKEN = "7 5"


def stroke(edge: Edge) -> Stroke:
    """How an arrow is drawn."""
    found = SKIP if edge.skip else FLOWS[edge.flow]
    if edge.broken:
        found = found._replace(dashes=BROKEN)
    return found._replace(width=2.0) if edge.sign else found


class Palette(NamedTuple):
    """Every colour of a picture, each "#rrggbb".

    Attributes:
        paper: the ground.
        ink: titles.
        muted: what is said besides.
        line: the arrows of values.
        skip: those of values that go around something.
        gradient: the arrows of gradients.
        update: those of new values of parameters.
        accent: what is selected.
        found: what a search found.
        kinds: boxes, by kind of vertex.
        clusters: fills of clusters, in turn, by depth.
        border: the border of a cluster.
        signs: borders of what has a sign.
        ramp: from the least measured value to the greatest, in steps that look equal.
    """

    paper: str
    ink: str
    muted: str
    line: str
    skip: str
    gradient: str
    update: str
    accent: str
    found: str
    kinds: Mapping[Kind, Box]
    clusters: tuple[str, ...]
    border: str
    signs: Mapping[Sign, str]
    ramp: tuple[str, ...]

    def arrow(self, edge: Edge) -> tuple[str, Stroke]:
        """The colour of an arrow, and how it is drawn."""
        if edge.sign:
            return self.signs[edge.sign], stroke(edge)
        colours = {"gradient": self.gradient, "update": self.update, "carry": self.skip, "exchange": self.skip}
        return self.skip if edge.skip else colours.get(edge.flow, self.line), stroke(edge)

    def cluster(self, depth: int) -> str:
        """The fill of a cluster with that many around it."""
        return self.clusters[depth % len(self.clusters)]

    def named(self) -> Iterator[tuple[str, str]]:
        """The colours of boxes, arrows and texts with what they are of. Not those of the paper, which an SVG knows by its
        place, of the page alone, and of measured values, which are the same in light and dark."""
        for name in ("muted", "ink", "line", "skip", "gradient", "update", "border"):
            yield name, getattr(self, name)
        for kind, box in self.kinds.items():
            yield f"the fill of {kind}", box.fill
            yield f"the border of {kind}", box.border
        yield from ((f"cluster {i}", fill) for i, fill in enumerate(self.clusters))
        yield from ((f"the sign {sign!r}", colour) for sign, colour in self.signs.items())


# From little to much: from pale to dark on paper (as ColorBrewer's YlGnBu), from dark to bright in the dark (viridis). Both
# grow evenly in lightness, so they read in grey print and to colour-blind readers.
_PALE_TO_DARK = (
    "#fdfde0", "#edf8b1", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#253494", "#081d58",
)  # fmt: skip
_DARK_TO_BRIGHT = (
    "#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725",
)  # fmt: skip

LIGHT = Palette(
    paper="#ffffff",
    ink="#1f2933",
    muted="#52606d",
    line="#5f6c79",
    skip="#3e4c59",
    gradient="#b24700",
    update="#007a59",
    accent="#006fae",
    found="#e69f00",
    kinds={
        "op": Box("#ffffff", "#5f6c79"),
        "parameter": Box("#dbeaf7", "#006fae"),
        "input": Box("#fdecc8", "#9a5b00"),
        "constant": Box("#ffffff", "#5f6c79"),
        "output": Box("#f6e1ee", "#a8447e"),
        "module": Box("#e4e7eb", "#52606d"),
        "update": Box("#d6f1e7", "#007a59"),
    },
    clusters=("#f5f7fa", "#e9edf2"),
    border="#6a7682",
    signs={
        "trouble": "#c1272d",
        "dead": "#5f6c79",
        "added": "#007a59",
        "removed": "#b24700",
        "changed": "#9a5b00",
    },
    ramp=_PALE_TO_DARK,
)

DARK = Palette(
    paper="#14181d",
    ink="#e8ecf0",
    muted="#a5b1bd",
    line="#8794a1",
    skip="#c0cad4",
    gradient="#ff8c42",
    update="#2fc49a",
    accent="#56b4e9",
    found="#f0b429",
    kinds={
        "op": Box("#2a323b", "#8794a1"),
        "parameter": Box("#143a58", "#56b4e9"),
        "input": Box("#4a360c", "#e69f00"),
        "constant": Box("#2a323b", "#8794a1"),
        "output": Box("#4a2540", "#d48bb8"),
        "module": Box("#3a444f", "#a5b1bd"),
        "update": Box("#0f4335", "#2fc49a"),
    },
    clusters=("#1b2128", "#232b34"),
    border="#7f8b98",
    signs={
        "trouble": "#ff6b6b",
        "dead": "#8794a1",
        "added": "#2fc49a",
        "removed": "#ff8c42",
        "changed": "#e69f00",
    },
    ramp=_DARK_TO_BRIGHT,
)


#: A colour as all formats understand it.
_COLOUR = re.compile("#[0-9a-f]{6}")


class Theme(NamedTuple):
    """The colours of a picture on paper and on a bright screen, and in the dark.

    An SVG carries both: it turns dark where its surroundings are. What has one colour in `light` has one in `dark`.
    """

    light: Palette
    dark: Palette

    def check(self) -> None:
        """Raise if a picture could not be drawn with it.

        Raises:
            ValueError: a colour that is not "#rrggbb" in small letters, a kind of box or a sign without one, or two dark
                colours for one light.
        """
        for mode, palette in zip(self._fields, self, strict=True):
            for name in ("kinds", "signs"):
                missing = sorted(getattr(LIGHT, name).keys() - getattr(palette, name).keys())
                if missing:
                    raise ValueError(f"a theme: {mode}.{name} has nothing for {', '.join(missing)}")
            for field in ("clusters", "ramp"):
                if not getattr(palette, field):
                    raise ValueError(f"a theme: {mode}.{field} is empty; give at least one colour")
            others = [(name, getattr(palette, name)) for name in ("paper", "accent", "found")]
            others += [("ramp", colour) for colour in palette.ramp]
            for name, colour in (*palette.named(), *others):
                if not isinstance(colour, str) or not _COLOUR.fullmatch(colour):
                    raise ValueError(
                        f"a theme: {mode}: {name} is {colour!r}; give a colour such as '#1f2933', in small letters"
                    )
        if len(self.light.clusters) != len(self.dark.clusters):
            raise ValueError("a theme: light.clusters and dark.clusters have different lengths")
        self.darkened()

    def darkened(self) -> dict[str, str]:
        """The dark counterpart of each light colour that boxes, arrows and texts have.

        Raises:
            ValueError: one light colour has two dark ones, so that an SVG cannot tell which.

        >>> DEFAULT.darkened()["#5f6c79"]
        '#8794a1'
        """
        found: dict[str, tuple[str, str]] = {}
        for (name, colour), (_, dark) in zip(self.light.named(), self.dark.named(), strict=True):
            before, known = found.setdefault(colour, (name, dark))
            if known != dark:
                raise ValueError(
                    f"a theme: {before} and {name} are both {colour} in light, but {known} and {dark} in the dark; an SVG "
                    "tells them apart by their light colours. Make these differ, or those equal"
                )
        return {colour: dark for colour, (_, dark) in found.items()}


#: The theme of pictures where none is asked for.
DEFAULT = Theme(LIGHT, DARK)

#: Themes by name. Enter one of your own: `tn.drawing.themes["ours"] = Theme(light, dark)`.
themes: dict[str, Theme] = {"default": DEFAULT}


def theme_of(given: object) -> Theme:
    """What `theme=` names or gives.

    Raises:
        ValueError: no theme has that name, or an SVG cannot tell its colours apart.
        TypeError: it is no theme.

    >>> theme_of("default") is DEFAULT
    True
    """
    if isinstance(given, str):
        known: Mapping[str, object] = themes if given in themes else {**plugins.found("tapenet.themes"), **themes}
        if given not in known:
            raise ValueError(f"draw: theme={given!r}; the themes are {', '.join(known)}")
        found = known[given]
    else:
        found = given
    if isinstance(found, Palette):  # one for paper alone
        found = Theme(found, found)
    if not isinstance(found, Theme):
        raise TypeError(
            f"draw: theme= takes a name, a tn.drawing.Theme(light, dark), or a Palette for both, not {type(found).__name__}"
        )
    found.check()
    return found


def ink_on(fill: str) -> str:
    """The colour of text on a painted box, "#rrggbb": dark or light, whichever stands out more.

    Other than the ink of a theme, so that a dark theme does not change it: the box stays as it is painted.

    >>> ink_on("#fde725"), ink_on("#440154")
    ('#010101', '#fefefe')
    """
    parts = (int(fill[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    # Of this luminance both have a contrast of 4.5.
    return "#010101" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#fefefe"
