"""Text made safe to draw: what a label may hold, and how it is written in DOT.

Everything a picture shows passes through here, as names come from users (attributes, arguments, variables,
op names) and may hold anything. The result is literal: no backslash escape, entity or HTML label survives.
"""

import re

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


def dot_string(text: str) -> str:
    """The text as a string of the language DOT, in which a backslash and a quote behind each other cannot be written.

    >>> print(dot_string('say "x"'))
    "say \\"x\\""
    """
    return '"' + text.replace('"', '\\"') + '"'


def label(*lines: str, limit: int = LIMIT) -> str:
    """A label in DOT that shows each of the texts, cleaned, on a line of its own, whatever they hold; ``limit`` is of each.

    Not for node names: two long texts may be cut to the same one.

    Raises:
        ValueError: ``limit`` is below 1.

    Example:
        >>> print(label('<b>5" & 6</b>', "float32"))
        "<b>5\\" &amp; 6</b>\\nfloat32"
    """
    return dot_string(r"\n".join(_literal(clean(line, limit)) for line in lines))


def tooltip(text: str, limit: int = LIMIT) -> str:
    """The cleaned text as a tooltip in DOT, of which Graphviz undoes the escapes twice.

    Raises:
        ValueError: ``limit`` is below 1.

    Example:
        >>> print(tooltip("mean & spread"))
        "mean &amp; spread"
    """
    return dot_string(_literal(clean(text, limit)).replace("\\", "\\\\"))


def _literal(text: str) -> str:
    """The text with what Graphviz would undo: escapes, and entities, of which it would show `&lt;` as `<`."""
    return text.replace("&", "&amp;").replace("\\", "\\\\")
