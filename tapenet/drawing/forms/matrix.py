"""A confusion matrix as SVG: the larger the share of a cell, the darker it is."""

from __future__ import annotations

from collections.abc import Sequence

from tapenet.drawing.forms.elements import attributes, label, sheet, text_of
from tapenet.drawing.metrics import room
from tapenet.drawing.style import LIGHT, ink_on
from tapenet.drawing.text import clean

_LABEL = 36
#: What the rows and the columns are.
_ROWS, _COLUMNS = "true class", "predicted class"


def matrix(
    values: Sequence[Sequence[float]],
    shares: Sequence[Sequence[float]],
    labels: Sequence[str],
    *,
    title: str = "",
) -> str:
    """Draw a square matrix.

    Args:
        values: what is written in the cells; where cells are too small for it, only in their tooltips.
        shares: how dark they are, from 0 to 1.
        labels: the names of rows and columns.
        title: shown above.

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
    longest = max(room(text, 12) for row in written for text in row)
    cell = max(34 if count > 4 else 56, round(longest) + 12)
    widest = max(room(name, 12) for name in names) + 10
    if widest * count <= 600:
        cell = max(cell, round(widest))
    fits = cell * count <= 900
    cell = cell if fits else max(4, min(16, 900 // count))
    every = max(1, -(-14 // cell))  # names closer than that would overlap
    heads = names
    if widest - 6 > every * cell:  # too wide to stand beside each other
        heads = [str(i + 1) for i in range(count)]
        names = [f"{name} · {head}" for name, head in zip(names, heads, strict=True)]
        every = max(every, -(-round(room(str(count), 12) + 4) // cell))
    left = 32 + round(max(room(name, 12) for name in [*names, _ROWS]))
    top, size = 76, cell * count
    width = max(left + size + 20, 40 + round(room(title, 14, bold=True)))
    parts = [
        label(_COLUMNS, left + size / 2, 48, "middle", fill=LIGHT.muted),
        label(_ROWS, left - 8, top - 8, "end", fill=LIGHT.muted),
    ]
    for i in range(0, count, every):
        middle = (i + 0.5) * cell
        parts.append(label(names[i], left - 8, top + middle + 4, "end"))
        parts.append(label(heads[i], left + middle, top - 8, "middle"))
    for i, row in enumerate(shares):
        for j, share in enumerate(row):
            if not (fits or values[i][j]):  # of many classes most cells are empty
                continue
            fill = _shade(share) if values[i][j] else LIGHT.paper
            x, y = left + j * cell, top + i * cell
            told = f"{_ROWS} {labels[i]}, {_COLUMNS} {labels[j]}: {written[i][j]} ({100 * share:.1f} %)"
            kind = {} if values[i][j] else {"class": "paper"}
            place = attributes(**kind, x=x, y=y, width=cell, height=cell, fill=fill, stroke=LIGHT.paper)
            said = label(written[i][j], x + cell / 2, y + cell / 2 + 4, "middle", fill=ink_on(fill))
            parts.append(
                f"<g><title>{text_of(clean(told, 200))}</title><rect{place}/>{said if fits and values[i][j] else ''}</g>"
            )
    parts.append(f"<rect{attributes(x=left, y=top, width=size, height=size, fill='none', stroke=LIGHT.border)}/>")
    return sheet(width, top + size + 20, f"{_ROWS} against {_COLUMNS}", title, parts)


def _number(value: float) -> str:
    """A count with commas, a fraction with two digits, a weight with three."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.2f}" if value <= 1 else f"{value:.4g}"


def _shade(share: float) -> str:
    """The colour of a measured value, of which little is visible, and a fifth is far from nothing."""
    place: float = max(0.0, min(1.0, share)) ** 0.6
    return LIGHT.ramp[round(place * (len(LIGHT.ramp) - 1))]
