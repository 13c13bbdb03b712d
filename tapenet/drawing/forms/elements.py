"""Elements of the SVG of drawings and charts, which so look alike: fonts, and colours in light and dark."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from tapenet.drawing.forms.arrows import short
from tapenet.drawing.forms.font import width
from tapenet.drawing.style import DEFAULT, LIGHT, Theme
from tapenet.drawing.text import escaped

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
#: Wider than a notebook's column it shrinks, where it would be cut off. For screens: converters to other formats are
#: known to take "auto" for no height at all.
_FITTING = "@media screen{.tapenet{max-width:100%;height:auto}}"


def attributes(**given: object) -> str:
    """Attributes of an element, those that are neither None nor "": lengths short, "_" in names for "-"."""
    parts = []
    for key, value in given.items():
        if value is not None and value != "":
            text = short(value) if isinstance(value, (int, float)) else escape(str(value))
            parts.append(f' {key.replace("_", "-")}="{text}"')
    return "".join(parts)


def written(text: str, x: float, y: float, size: float, bold: bool = False, **given: object) -> str:
    """A line of text that is as wide in every font as it is in Helvetica."""
    long = width(text, size, bold)
    fitted = attributes(textLength=long, lengthAdjust="spacingAndGlyphs") if len(text) > 1 else ""
    return f"<text{attributes(x=x, y=y, **given)}{fitted}>{text_of(text)}</text>"


def text_of(text: str) -> str:
    """A text as it stands in an SVG."""
    return escape(escaped(text), quote=False)


def style(theme: Theme) -> str:
    """The style of an SVG: rules that give each colour its dark counterpart.
    Scoped, since a notebook's page may hold other drawings."""
    dark = theme.dark
    rules = [
        f'.tapenet [fill="{a}"]{{fill:{b}}}.tapenet [stroke="{a}"]{{stroke:{b}}}' for a, b in theme.darkened().items()
    ]
    rules.append(f".tapenet .paper{{fill:{dark.paper}}}")
    return f"<style>{_FITTING}@media (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"


def sheet(across: float, down: float, name: str, title: str, body: Iterable[str]) -> str:
    """A chart as SVG.

    Args:
        across, down: its size in pixels.
        name: what it is called for who cannot see it, where it has no title.
        title: written above it.
        body: its elements, in letters of 12 pixels.
    """
    head = written(title, 20, 22, 14, True, font_size=14, font_weight="bold") if title else ""
    return (
        f'<svg class="tapenet" role="img" width="{short(across)}px" height="{short(down)}px" '
        f'viewBox="0 0 {short(across)} {short(down)}" xmlns="http://www.w3.org/2000/svg" xml:space="preserve" '
        f'font-family="{FONT}">\n<title>{text_of(title or name)}</title>\n{style(DEFAULT)}\n'
        f'<rect class="paper" width="{short(across)}" height="{short(down)}" fill="{LIGHT.paper}"/>\n'
        f'<g font-size="12" fill="{LIGHT.ink}">\n{head}\n' + "\n".join(body) + "\n</g>\n</svg>\n"
    )


def label(text: str, x: float, y: float, anchor: str = "start", **given: object) -> str:
    """A line of text of a chart."""
    return written(text, x, y, 12, False, text_anchor=anchor if anchor != "start" else "", **given)
