"""Themes by name, and what `theme=` of a picture takes."""

from __future__ import annotations

from tapenet.drawing.style import DEFAULT, Palette, Theme

#: Themes by name. Enter one of your own: `tn.drawing.themes["ours"] = Theme(light, dark)`.
themes: dict[str, Theme] = {"default": DEFAULT}


def theme(given: object) -> Theme:
    """What `theme=` names or gives.

    Raises:
        ValueError: no theme has that name, or an SVG cannot tell its colours apart.
        TypeError: it is no theme.

    >>> theme("default") is DEFAULT
    True
    """
    if isinstance(given, str):
        found: object = themes.get(given)
        if found is None:
            raise ValueError(f"draw: theme={given!r}; the themes are {', '.join(themes)}")
    else:
        found = given
    if isinstance(found, Palette):  # one for paper alone
        found = Theme(found, found)
    if not isinstance(found, Theme):
        raise TypeError(
            f"draw: theme={given!r} is a {type(found).__name__}; give a name, a tn.drawing.Theme(light, dark), or a Palette for both"
        )
    found.darkened()
    return found
