"""Checks for what draws: themes and renderers of your own."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import numpy as np

from tapenet import nn
from tapenet.autodiff.creation import tensor
from tapenet.drawing import draw
from tapenet.drawing.forms.render import Renderer, render
from tapenet.drawing.picture import Picture
from tapenet.drawing.style import Palette, theme_of

#: The least contrasts that WCAG 2.2 asks for: of text (1.4.3), and of lines that carry meaning (1.4.11).
TEXT, LINE = 4.5, 3.0


def check_theme(theme: object) -> None:
    """Check that a theme draws, and that everybody can read what it draws.

    Every kind of box and every sign has a colour, an SVG can tell light colours apart, text stands out from what is below it
    by a contrast of 4.5 and lines by 3 (WCAG 2.2), and a picture is drawn in it.

    Args:
        theme: what `tn.draw(theme=)` takes.

    Raises:
        AssertionError: says which colours are too near to each other.
        ValueError: says what is missing, or no colour.

    >>> import tapenet as tn
    >>> tn.testing.check_theme("default")
    >>> light = tn.drawing.themes["default"].light
    >>> tn.testing.check_theme(light._replace(muted="#c0c0c0"))
    Traceback (most recent call last):
    ...
    AssertionError: light: muted on paper has a contrast of 1.8; text needs 4.5: make them differ more in lightness
    """
    found = theme_of(theme)
    for mode, palette in zip(found._fields, found, strict=True):
        for name, colour, ground, least in _pairs(palette):
            reached = _contrast(colour, ground)
            what = "text" if least == TEXT else "a line"
            assert reached >= least, (
                f"{mode}: {name} has a contrast of {reached:.1f}; {what} needs {least:g}: make them differ more in lightness"
            )
    svg = _picture(theme).svg
    for colour in (found.light.paper, found.light.kinds["op"].border, found.dark.paper):
        assert colour in svg, f"the picture has no {colour}"


def _pairs(palette: Palette) -> Iterator[tuple[str, str, str, float]]:
    """What lies on what: words, its colour, the ground's, and the least contrast."""
    for kind, box in palette.kinds.items():
        yield f"ink on the fill of {kind}", palette.ink, box.fill, TEXT
        yield f"the border of {kind} on paper", box.border, palette.paper, LINE
    grounds = {"paper": palette.paper} | {f"cluster {i}": fill for i, fill in enumerate(palette.clusters)}
    for name, ground in grounds.items():
        yield f"muted on {name}", palette.muted, ground, TEXT
    for name in ("line", "skip", "gradient", "update"):
        yield f"{name} on paper", getattr(palette, name), palette.paper, LINE


def _contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21: (L₁ + 0.05)/(L₂ + 0.05) of their relative luminances (WCAG 2.2)."""
    low, high = sorted(map(_luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    shares = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return sum(weight * s for weight, s in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _picture(theme: object = "default") -> Picture:
    """A small picture with most of what there is in pictures."""
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    x = tensor(np.ones((1, 2), np.float32), requires_grad=True)
    return draw({"y": net(x), "z": np.exp(x)}, backward=True, title="A & B <checked>", theme=theme)  # type: ignore[arg-type]


def check_renderer(renderer: Renderer) -> None:
    """Check that a renderer makes PNGs as `tn.drawing.add_renderer` asks for.

    It draws a small picture with a cluster, arrows and a title; twice the same bytes; of the size that is asked for; and it
    raises for text that is no SVG.

    Args:
        renderer: made by `Renderer`, or one of `tn.drawing.renderers()`.

    Raises:
        AssertionError: says what is missing.
        RenderError: it failed; the message says how.

    >>> import tapenet as tn
    >>> tn.testing.check_renderer(next(r for r in tn.drawing.renderers() if r.available))
    """
    assert renderer.available, f"renderer {renderer.name!r} is not there: {renderer.where}"
    svg = _picture().svg
    first, second = (render(svg, by=renderer) for _ in range(2))
    assert first == second, f"renderer {renderer.name!r} draws the same picture in different bytes"
    for dpi in (96, 192):
        found = struct.unpack(">II", render(svg, dpi=dpi, by=renderer)[16:24])
        wanted = [float(size) * dpi / 72 for size in re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2]]
        assert all(abs(a - b) <= 2 for a, b in zip(found, wanted, strict=True)), (
            f"renderer {renderer.name!r}: its picture at {dpi} pixels to the inch is {found[0]} x {found[1]} pixels; "
            f"of {wanted[0] * 72 / dpi:g} x {wanted[1] * 72 / dpi:g} points it has {wanted[0]:.0f} x {wanted[1]:.0f}"
        )
    if renderer.draw is not None:
        try:
            render("no picture", by=renderer)
        except (RuntimeError, ValueError):
            return
        raise AssertionError(f"renderer {renderer.name!r} draws what is no SVG: it has to raise there")
