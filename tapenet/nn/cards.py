"""What layers say of themselves in pictures: settings that are not the usual ones, sizes, the number of parameters."""

from __future__ import annotations

from collections.abc import Mapping

from tapenet.nn.module_tree import Tree


def lines(layer: Tree, sizes: str, usual: Mapping[str, object], first: str = "") -> str:
    """The card of a layer.

    Args:
        layer: the layer.
        sizes: what it makes of what, as "3 → 64".
        usual: its settings with what they usually are: what is so is not told.
        first: what is told in any case, before the settings.

    >>> from tapenet import nn
    >>> print(lines(nn.Conv2d(3, 64, 5, stride=2), "3 → 64", {"stride": (1, 1), "padding": 0}, "5×5"))
    5×5, stride 2
    3 → 64 · 4,864
    """
    told = [first] if first else []
    for name, value in usual.items():
        words = setting(name, getattr(layer, name))
        if words != setting(name, value):
            told.append(words)
    count = layer.num_parameters()
    last = f"{sizes} · {count:,}" if count else sizes
    return "\n".join([", ".join(told), last]) if told else last


def setting(name: str, value: object) -> str:
    """A setting in words.

    >>> setting("padding", (1, 1)), setting("stride", (2, 1)), setting("bidirectional", True), setting("affine", False)
    ('padding 1', 'stride 2×1', 'bidirectional', 'not affine')
    """
    words = name.removesuffix("_size").replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"not {words}"
    if isinstance(value, float):
        return f"{words} {value:g}"
    return f"{words} {lengths(value)}"


def lengths(value: object) -> str:
    """A length, or one for each axis where they differ."""
    if not isinstance(value, (tuple, list)):
        return str(value)
    if len(set(value)) == 1:
        return lengths(value[0])
    return "×".join(map(str, value))
