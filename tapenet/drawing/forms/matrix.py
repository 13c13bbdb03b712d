"""A confusion matrix as plain SVG: the larger the share of a cell, the darker it is."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from tapenet.drawing.style import LIGHT, ink_on
from tapenet.drawing.text import clean

_LABEL = 36
#: Mean width of a letter at 12 px.
_LETTER = 6.6


def matrix(
    values: Sequence[Sequence[float]],
    shares: Sequence[Sequence[float]],
    labels: Sequence[str],
    *,
    title: str = "",
    rows: str = "true class",
    columns: str = "predicted class",
) -> str:
    """Draw a square matrix.

    Args:
        values: what is written in the cells; where cells are too small for it, only in their tooltips.
        shares: how dark they are, from 0 to 1.
        labels: the names of rows and columns.
        title: shown above.
        rows: what the rows are.
        columns: what the columns are.

    Returns:
        the SVG as text.

    >>> text = matrix([[3, 1], [0, 4]], [[0.75, 0.25], [0, 1]], ["cat", "dog"])
    >>> text.startswith("<svg") and "cat" in text
    True
    """
    count = len(labels)
    names = [clean(str(label), _LABEL) for label in labels]
    written = [[_number(v) for v in row] for row in values]
    # Cells as wide as the longest number needs, until so many do not fit a page.
    longest = max(len(text) for row in written for text in row)
    cell = max(34 if count > 4 else 56, round(longest * _LETTER * 1.1) + 10)
    fits = cell * count <= 900
    cell = cell if fits else max(4, min(16, 900 // count))
    every = max(1, -(-12 // cell))  # names closer than 12 pixels would overlap
    widest = max(len(name) for name in names) * _LETTER
    turned = widest > cell - 4
    left = 44 + round(widest)
    top = 56 + (round(widest) + 6 if turned else 20)
    size = cell * count
    width = max(left + size + 20, 60 + round(len(title) * 8))
    height = top + size + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="12" role="img">',
        f"<title>{escape(title or f'{rows} against {columns}')}</title>",
        f'<rect width="{width}" height="{height}" fill="{LIGHT.paper}"/>',
        f'<g fill="{LIGHT.ink}">',
        f'<text x="20" y="24" font-size="14" font-weight="bold">{escape(title)}</text>',
        f'<text x="{left + size / 2}" y="46" text-anchor="middle" fill="{LIGHT.muted}">{escape(columns)}</text>',
        f'<text transform="translate(24 {top + size / 2}) rotate(-90)" text-anchor="middle" fill="{LIGHT.muted}">'
        f"{escape(rows)}</text>",
    ]
    for i in range(0, count, every):
        middle = (i + 0.5) * cell
        name = escape(names[i])
        parts.append(f'<text x="{left - 6}" y="{top + middle + 4:g}" text-anchor="end">{name}</text>')
        if turned:
            parts.append(f'<text transform="translate({left + middle + 4:g} {top - 6}) rotate(-90)">{name}</text>')
        else:
            parts.append(f'<text x="{left + middle:g}" y="{top - 6}" text-anchor="middle">{name}</text>')
    parts.append("</g>")
    for i, row in enumerate(shares):
        for j, share in enumerate(row):
            if not (fits or values[i][j]):  # of many classes most cells are empty
                continue
            fill = _shade(share)
            x, y = left + j * cell, top + i * cell
            parts.append(
                f"<g><title>{escape(rows)} {escape(names[i])}, {escape(columns)} {escape(names[j])}: {written[i][j]} "
                f'({100 * share:.1f} %)</title><rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="{fill}" '
                f'stroke="{LIGHT.paper}"/>'
            )
            if fits and values[i][j]:
                parts.append(
                    f'<text x="{x + cell / 2:g}" y="{y + cell / 2 + 4:g}" text-anchor="middle" fill="{ink_on(fill)}">'
                    f"{written[i][j]}</text>"
                )
            parts.append("</g>")
    parts.append(f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="{LIGHT.border}"/>')
    return "\n".join([*parts, "</svg>\n"])


def _number(value: float) -> str:
    """A count with commas, a fraction with two digits, a weight with three."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.2f}" if value <= 1 else f"{value:.4g}"


def _shade(share: float) -> str:
    """From the paper's colour to dark blue: little is visible, and a fifth is far from nothing."""
    low, high = (255, 255, 255), (8, 48, 107)
    amount = max(0.0, min(1.0, share)) ** 0.6
    return "#" + "".join(f"{round(a + (b - a) * amount):02x}" for a, b in zip(low, high, strict=True))
