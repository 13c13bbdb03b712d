"""Text made safe to draw: what a label may hold, and how it is written in DOT.

Everything a picture shows passes through here, as names come from users (attributes, arguments, variables,
op names) and may hold anything. The result is literal: no backslash escape, entity or HTML label survives.
"""

import re
from collections.abc import Iterable

LIMIT = 80

# Whitespace that a label cannot show in one line: tab, line and page breaks, the Unicode line separators.
_BREAKS = re.compile("\r\n|[\t-\r\x85\u2028\u2029]")
# What XML 1.0 forbids (renderers pass it on and exit 0, with broken SVG) or UTF-8, and the other control characters.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def escaped(text: str) -> str:
    """The text with control characters (but for tabs and line ends), lone surrogates, U+FFFE and U+FFFF written as
    Python writes them.

    Example:
        >>> print(escaped("nul\\x00, \\ud800"))
        nul\\x00, \\ud800
    """
    return _FORBIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def escaped_in(data: object) -> object:
    """Lists and dicts with every text in them, keys too, as `escaped` gives it."""
    if isinstance(data, str):
        return escaped(data)
    if isinstance(data, dict):
        return {escaped_in(key): escaped_in(value) for key, value in data.items()}
    return [escaped_in(part) for part in data] if isinstance(data, (list, tuple)) else data


def clean(text: str, limit: int = LIMIT) -> str:
    """The text as a picture shows it: one line of printable characters, at most ``limit`` of them.

    Each line break or tab becomes one space. Control characters, lone surrogates, U+FFFE and U+FFFF are
    `escaped`. What is longer than ``limit`` ends in an ellipsis, which counts.

    Raises:
        ValueError: ``limit`` is below 1.

    Example:
        >>> print(clean("two\\nlines\\x00"))
        two lines\\x00
        >>> clean("abcdef", limit=4)
        'abc…'
    """
    if limit < 1:
        raise ValueError(f"clean: limit is {limit}; give the number of characters to keep, 1 or more")
    text = escaped(_BREAKS.sub(" ", text))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def quote(text: str, limit: int = LIMIT) -> str:
    """The cleaned text as a DOT string: a label that shows exactly that text, whatever it holds.

    Not for tooltips (see `tooltip`), nor for node names: two long texts may be cut to the same one.

    Raises:
        ValueError: ``limit`` is below 1.

    Example:
        >>> print(quote('<b>5" & \\\\N</b>'))
        "<b>5\\" &amp; \\\\N</b>"
    """
    return joined_label([text], limit)


def joined_label(lines: Iterable[str], limit: int = LIMIT) -> str:
    """A DOT string that shows each text of ``lines`` on a line of its own, centred; ``limit`` holds for each.

    Raises:
        ValueError: ``limit`` is below 1.

    Example:
        >>> print(joined_label(["conv 3x3", "float32 (8, 26, 26)"]))
        "conv 3x3\\nfloat32 (8, 26, 26)"
    """
    return _string(r"\n".join(_escape(clean(line, limit)) for line in lines))


def roomy_label(text: str, limit: int = LIMIT) -> str:
    """An HTML-like label of Graphviz: the text at the left of a box about twice as wide.

    Example:
        >>> print(roomy_label("a & b"))
        <<TABLE BORDER="0" CELLPADDING="0" WIDTH="65"><TR><TD ALIGN="LEFT">a &amp; b</TD></TR></TABLE>>
    """
    shown = clean(text, limit)
    width = 11 * len(shown) + 10  # letters are about half as wide as high, in points
    return (
        f'<<TABLE BORDER="0" CELLPADDING="0" WIDTH="{width}"><TR><TD ALIGN="LEFT">{_markup(shown)}</TD></TR></TABLE>>'
        if shown
        else '""'
    )


def caption_label(caption: str, legend: Iterable[tuple[str, ...]] = (), limit: int = 1000) -> str:
    """An HTML-like label of Graphviz: a legend of coloured boxes, and a caption in lines of about 90 characters.

    Args:
        caption: the text; cleaned and escaped.
        legend: fill, border and meaning of each entry, and "dotted" or "dashed" if the border is.
        limit: how long the caption may be.

    Returns:
        the label, "" if there is nothing in it.

    Example:
        >>> print(caption_label("a < b"))
        <<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="2"><TR><TD ALIGN="LEFT" BALIGN="LEFT">a &lt; b</TD></TR></TABLE>>
    """
    import textwrap

    rows = []
    entries = [
        f'<TD {_line(*style)} BGCOLOR="{fill}" COLOR="{border}" WIDTH="14" HEIGHT="10" FIXEDSIZE="TRUE"></TD>'
        f'<TD ALIGN="LEFT">{_markup(clean(meaning))}</TD>'
        for fill, border, meaning, *style in legend
    ]
    if entries:
        row = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="4"><TR>{"".join(entries)}</TR></TABLE>'
        rows.append(f'<TR><TD ALIGN="LEFT">{row}</TD></TR>')
    lines = textwrap.wrap(clean(caption, limit), 90)
    if lines:
        text = "<BR/>".join(map(_markup, lines))
        rows.append(f'<TR><TD ALIGN="LEFT" BALIGN="LEFT">{text}</TD></TR>')
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="2">{"".join(rows)}</TABLE>>' if rows else ""


def tooltip(text: str, limit: int = LIMIT) -> str:
    """The cleaned text as a DOT string for a tooltip, of which Graphviz undoes the escapes twice.

    Raises:
        ValueError: ``limit`` is below 1.

    Example:
        >>> print(tooltip("mean & spread"))
        "mean &amp; spread"
    """
    return _string(_escape(clean(text, limit)).replace("\\", "\\\\"))


def _line(style: str = "") -> str:
    return f'BORDER="2" STYLE="{style}"' if style else 'BORDER="1"'


def _markup(text: str) -> str:
    """Text in an HTML-like label, in which Graphviz undoes its own escapes too."""
    from html import escape

    return escape(text).replace("\\", "\\\\")


def _escape(text: str) -> str:
    from graphviz import escape  # type: ignore[import-untyped]

    # graphviz.escape leaves entities alone, and Graphviz would show `&lt;` as `<`.
    escaped: str = escape(text.replace("&", "&amp;"))
    return escaped


def _string(escaped: str) -> str:
    from graphviz import nohtml, quoting

    string: str = quoting.quote(nohtml(escaped))
    return string
