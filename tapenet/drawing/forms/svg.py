"""Makes Graphviz's SVG readable everywhere: by screen readers, in dark mode, and in the column of a notebook."""

from __future__ import annotations

import hashlib
import re
from xml.sax.saxutils import escape

from tapenet.drawing.model import Drawing, Sign, Vertex
from tapenet.drawing.style import DEFAULT, Theme
from tapenet.drawing.text import clean

#: How many boxes the description tells one by one.
_TOLD = 60

#: What signs are called.
SIGNS: dict[Sign, str] = {
    "trouble": "not finite",
    "dead": "no gradient",
    "added": "added",
    "removed": "removed",
    "changed": "changed",
}


def finished(svg: str, drawing: Drawing, title: str, theme: Theme = DEFAULT) -> str:
    """The SVG of a drawing with a description in words, colours for dark mode, and a width that shrinks to fit.

    Args:
        svg: as Graphviz wrote it from the drawing's DOT text.
        drawing: what it shows.
        title: its name for who cannot see it.
        theme: its colours.
    """
    # Of its own contents, since a page may hold several pictures: a reader is to be told of the one it is at.
    name = f"tapenet-{hashlib.sha256(f'{clean(title)} {svg}'.encode()).hexdigest()[:12]}"
    root = f'<svg class="tapenet" role="img" aria-labelledby="{name} {name}-description" '
    text = svg.replace("<svg ", root, 1)
    start = text.index(">", text.index("<svg ")) + 1
    head = (
        f'\n<title id="{name}">{escape(clean(title))}</title>'
        f'\n<desc id="{name}-description">{escape(description(drawing))}</desc>'
        f"\n<style>{_FITTING}{_dark(theme)}</style>"
    )
    text = text[:start] + head + text[start:]
    # Graphviz repeats our names for boxes there; browsers show them to whoever points at one.
    return re.sub(r"<title>(n|g|e|cluster_)?[^<]*</title>", lambda m: _told(m.group(0), drawing), text)


def description(drawing: Drawing) -> str:
    """A drawing in words, box by box in order, as a screen reader would tell it."""
    vertices = drawing.vertices
    comes_from = drawing.by("head")
    told = []
    for position, vertex in enumerate(vertices):
        if vertex.kind in ("op", "module", "output") or vertex.sign:
            sources = ", ".join(
                _words(vertices[t]) for t in dict.fromkeys(e.tail for e in comes_from.get(position, ()))
            )
            told.append((f"{_words(vertex)} of {sources}" if sources else _words(vertex)) + _sign(vertex))
    counts = f"{_number(len(vertices), 'box', 'boxes')} and {_number(len(drawing.edges), 'arrow', 'arrows')}. "
    more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return counts + "; ".join(told[:_TOLD]) + more + "."


def _words(vertex: Vertex) -> str:
    title = clean(vertex.title.replace("\n", ", "))
    return title if vertex.value is None else f"{title} ({vertex.value})"


def _sign(vertex: Vertex) -> str:
    """The sign of a box in words, with its reason."""
    if not vertex.sign:
        return ""
    word = SIGNS[vertex.sign]
    reason = next(iter(vertex.details), "") if vertex.sign in ("trouble", "dead") and vertex.kind != "module" else ""
    return f" ({clean(reason or word)})"


def _number(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _told(element: str, drawing: Drawing) -> str:
    """The title of one of Graphviz's groups: words in place of its id."""
    name = element[len("<title>") : -len("</title>")]
    if name[:1] == "n" and name[1:].isdigit():
        return f"<title>{escape(_words(drawing.vertices[int(name[1:])]))}</title>"
    if name.startswith("cluster_") and name[8:].isdigit():
        return f"<title>{escape(clean(drawing.clusters[int(name[8:])].title))}</title>"
    return ""


def _dark(theme: Theme) -> str:
    """Rules that give each colour its dark counterpart. Scoped, since a notebook's page may hold other drawings."""
    dark = theme.dark
    rules = [
        f'.tapenet [fill="{a}"]{{fill:{b}}}.tapenet [stroke="{a}"]{{stroke:{b}}}' for a, b in theme.darkened().items()
    ]
    rules.append(".tapenet text:not([fill]){fill:" + dark.ink + "}")
    rules.append(f".tapenet>.graph>polygon:first-of-type{{fill:{dark.paper};stroke:{dark.paper}}}")
    return "@media (prefers-color-scheme:dark){" + "".join(rules) + "}"


#: Wider than a notebook's column it shrinks, where it would be cut off. For screens: converters to other formats are
#: known to take "auto" for no height at all.
_FITTING = "@media screen{.tapenet{max-width:100%;height:auto}}"
