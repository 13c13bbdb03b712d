"""A drawing as a page to explore: one HTML file that needs nothing else, neither network nor server.

The page lays out what is seen of a drawing in the browser, so that modules fold and open. Its parts lie beside this
module as data: `page.html`, `style.css`, and the scripts, each of which says at its top what it does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Literal, NamedTuple

from tapenet.drawing.forms.data import to_data
from tapenet.drawing.forms.described import CUT, KINDS, SIGNS, SKIPPED
from tapenet.drawing.forms.described import FLOWS as FLOW_WORDS
from tapenet.drawing.forms.page.translated import javascript
from tapenet.drawing.layout.placed import DIRECTIONS
from tapenet.drawing.metrics import widths
from tapenet.drawing.model import Combine, Drawing
from tapenet.drawing.passes.folding import within
from tapenet.drawing.passes.measures import Measure
from tapenet.drawing.style import BORDERS, BROKEN, DEFAULT, FLOWS, PLAIN, SIGNED, SKIP, Palette, Theme
from tapenet.drawing.text import clean, escaped_in

#: In the order in which they use each other.
SCRIPTS = (
    "text",
    "python",
    "graph",
    "layout",
    "camera",
    "view",
    "minimap",
    "paint",
    "search",
    "play",
    "panel",
    "app",
    "keys",
    "live",
    "main",
)

#: What decides how a picture looks, which stills and pages share.
SHARED = (
    *(f"model.{name}" for name in ("Cluster", "Drawing", "Edge", "Value", "Vertex")),
    *("passes.folding.folded", *(f"passes.compact.{name}" for name in ("bundle", "compacted", "mark_skips"))),
    *("layout.layout.place", "layout.boxes.head_height", "layout.tree.LEAVES", "forms.arrows.arrow", "style.stroke"),
)

#: At most so many boxes are seen at first, if modules can be folded.
_BOXES = 100
_COLOUR = re.compile("#[0-9a-fA-F]{6}")


class Series(NamedTuple):
    """What was measured at vertices: once, or at each step of a training.

    Attributes:
        name: what it is ("time", "grad_norm", "activation").
        values: by position of a vertex: its number at each step. None where it is not known; NaN and infinity are
            marked.
        label: the name as a reader sees it; "" for `name` itself.
        unit: of the numbers. Those in "s" and "B" are shown with the prefix that fits: "1.2 ms", "3.4 MB".
        combine: how the number of a folded module comes from those in it: "sum" for time and memory, "norm" (the root
            of the sum of squares, of the parameters alone where there are any) for norms, else "max".
        logarithmic: whether equal steps of colour are equal ratios.
        short: a word before the number in a box.
    """

    name: str
    values: Mapping[int, Sequence[float | None]]
    label: str = ""
    unit: str = ""
    combine: Combine = "max"
    logarithmic: bool = False
    short: str = ""

    @classmethod
    def of(cls, measure: Measure, drawing: Drawing) -> Series:
        """A measure of a whole graph as one of a drawing of it."""
        count = max((len(values) for values in measure.values.values()), default=0)
        values = {i: [measure.of(i, v, step) for step in range(count)] for i, v in enumerate(drawing.vertices)}
        known = {i: steps for i, steps in values.items() if set(steps) - {None}}
        kind = measure.kind
        return cls(measure.name, known, kind.label, kind.unit, kind.combine, kind.logarithmic, kind.short)


def to_html(
    drawing: Drawing,
    *,
    title: str = "",
    caption: str = "",
    direction: str = "TB",
    open: Iterable[int] | None = None,
    series: Sequence[Series] = (),
    color_by: str = "",
    steps: Sequence[int | str] = (),
    values: Mapping[int, str] | None = None,
    gradients: Mapping[int, str] | None = None,
    compact: bool = False,
    theme: Theme = DEFAULT,
    live: Literal["", "server", "notebook"] = "",
    after: int = -1,
) -> str:
    """The page of a drawing, as text: the same for the same arguments, byte for byte.

    It is read from a file as well as from a server, loads nothing, and forbids itself to: a policy allows its own
    script and style alone. Names and numbers reach the document as text, whatever they hold.

    Args:
        drawing: what to show, not folded: the page folds.
        title: of the page.
        caption: a sentence or two on it, shown beside the picture.
        direction: where arrows point: down for "TB" and "BT", right for "LR" and "RL".
        open: positions of the clusters that are open at first. None: as many as give about a hundred boxes.
        series: what was measured, to colour by; where there are several steps, with a slider over them, which begins at
            the last.
        color_by: the name of the series that boxes are painted by at first; "" for none, or, where there are several
            steps, for the first.
        steps: what the steps are called; else they are numbered from 1.
        values: by position of a vertex: what it gives as a short text, for the walk through the passes.
        gradients: the same of the gradients by that.
        compact: whether activations and shape ops stand in the box before them.
        theme: its colours.
        live: what tells it of further measurements: the server that it is from, or the notebook that it is in.
        after: the number of the last measurement that is in it.

    Raises:
        ValueError: another direction, a series that combines in another way or is not there to colour by, or a position
            of a vertex or cluster that is not one.

    >>> import tapenet as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> page = to_html(tn.draw((x * x).sum()).drawing, title="squares")
    >>> page[:15], "https:" in page
    ('<!DOCTYPE html>', False)
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"to_html: direction is {direction!r}; the directions are {', '.join(DIRECTIONS)}")
    opened = sorted(set(_opened(drawing) if open is None else open))
    _check(opened, len(drawing.clusters), "open", "cluster")
    _check(values or (), len(drawing.vertices), "values", "vertex")
    _check(gradients or (), len(drawing.vertices), "gradients", "vertex")
    for one in series:
        _check(one.values, len(drawing.vertices), f"series {one.name!r}", "vertex")
        if one.combine not in ("sum", "norm", "max"):
            raise ValueError(f"to_html: series {one.name!r} combines by {one.combine!r}; give 'sum', 'norm' or 'max'")
    names = [one.name for one in series]
    if color_by and color_by not in names:
        raise ValueError(
            f"to_html: color_by={color_by!r} is none of the series: {', '.join(names) or 'there are none'}"
        )
    data: dict[str, object] = {
        "title": title,
        "caption": caption,
        "direction": direction,
        "compact": compact,
        "open": opened,
        "steps": list(steps),
        "series": [_series(one) for one in series],
        "color_by": color_by,
        "values": dict(values or {}),
        "gradients": dict(gradients or {}),
        "signs": SIGNS,
        "words": {"kinds": KINDS, "ways": FLOW_WORDS | {"skip": SKIPPED, "broken": CUT}},
        **({"live": live, "after": after} if live else {}),
        "drawing": _for_page(drawing),
    }
    data["widths"] = widths({*json.dumps(escaped_in(data), ensure_ascii=False), *string.printable, *"×·…"})
    script, style = _script(), f"{_variables(theme)}{_strokes()}{_part('style.css')}"
    parts = {
        "policy": _policy(script, style, "; connect-src 'self'" if live == "server" else ""),
        "title": escape(clean(title, 200) or "tapenet"),
        "heading": escape(clean(title, 200)),
        "style": style,
        "data": _json(data),
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _part("page.html"))


def _check(positions: Iterable[int], count: int, argument: str, of: str) -> None:
    wrong = [i for i in positions if not 0 <= i < count]
    if wrong:
        raise ValueError(f"to_html: {argument} names the {of} at position {wrong[0]}, but the drawing has {count}")


def _opened(drawing: Drawing) -> set[int]:
    """The clusters to open at first."""
    return set(range(len(drawing.clusters))) - within(drawing, _BOXES)


def _series(series: Series) -> dict[str, object]:
    return {
        **series._asdict(),
        "values": {vertex: [number(x) for x in numbers] for vertex, numbers in series.values.items()},
    }


def number(x: float | None) -> float | str | None:
    """As JSON, which has no word for what is not finite."""
    if x is None or math.isfinite(x):
        return None if x is None else x if isinstance(x, int) else float(x)
    return "nan" if math.isnan(x) else "inf" if x > 0 else "-inf"


def _for_page(drawing: Drawing) -> dict[str, object]:
    """The data that the page reads: without the members of folded boxes, which may be most of it, and without colours that
    are not written #rrggbb, since the page computes with colours."""
    vertices = [v._replace(members=(), fill=_colour(v.fill)) for v in drawing.vertices]
    clusters = [c._replace(fill=_colour(c.fill)) for c in drawing.clusters]
    return to_data(drawing._replace(vertices=vertices, clusters=clusters))


def _colour(fill: str) -> str:
    return fill if _COLOUR.fullmatch(fill) else ""


def _json(data: object) -> str:
    """JSON that ends no script element and begins no comment, as it holds none of the characters of HTML."""
    text = json.dumps(
        escaped_in(data), separators=(",", ":"), allow_nan=False
    )  # the Unicode line separators are escaped too
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _policy(script: str, style: str, more: str) -> str:
    own = f"script-src {_hash(script)}; style-src {_hash(style)}"
    return f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'{more}"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _part(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    """All scripts as one function, so that their names are local to it."""
    first, python, *others = (_part(f"{name}.js") for name in SCRIPTS)
    names = ", ".join(name.rpartition(".")[2] for name in SHARED)
    shared = [f"const {{ {names} }} = (() => {{", javascript(*SHARED), f"return {{ {names} }};", "})();"]
    return "\n".join(['"use strict";', "(() => {", first, python, *shared, *others, "})();\n"])


def _variables(theme: Theme) -> str:
    """The colours as variables of CSS: light, or dark where the system or the reader asks for it."""
    light, dark = _palette(theme.light), _palette(theme.dark)
    return (
        f":root {{ color-scheme: light; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {dark} }} }}\n"
        f':root[data-theme="light"] {{ color-scheme: light; {light} }}\n'
        f':root[data-theme="dark"] {{ color-scheme: dark; {dark} }}\n'
    )


def _strokes() -> str:
    """Borders of boxes and lines of arrows, as stills have them."""
    found = {"box .frame, .swatch, .batch": PLAIN, "edge": FLOWS["value"]}
    found |= {f"{kind} .frame": stroke for kind, stroke in BORDERS.items()}
    found |= {f"{sign} .frame": stroke for sign, stroke in SIGNED.items()}
    found |= {f"edge.{flow}": stroke for flow, stroke in FLOWS.items()} | {"edge.skip": SKIP}
    rules = [
        f".{name} {{ stroke-width: {s.width}px; stroke-dasharray: {s.dashes or 'none'}; }}" for name, s in found.items()
    ]
    return "\n".join([*rules, f".edge.broken {{ stroke-dasharray: {BROKEN}; }}\n"])


def _palette(theme: Palette) -> str:
    names = ("paper", "ink", "muted", "line", "skip", "gradient", "update", "accent", "found", "border")
    found = {name: getattr(theme, name) for name in names}
    for kind, box in theme.kinds.items():
        found |= {f"{kind}-fill": box.fill, f"{kind}-border": box.border}
    found |= {f"cluster-{i}": fill for i, fill in enumerate(theme.clusters)}
    found |= {str(sign): colour for sign, colour in theme.signs.items()}
    found["ramp"] = " ".join(theme.ramp)
    return " ".join(f"--{name}: {value};" for name, value in found.items())
