"""One docstring for the layers of a kind, completed with words of each."""

from __future__ import annotations

from collections.abc import Mapping

from tapenet.nn.module import Module


class SharedDocstring(Module):
    """The base of layers that share a docstring.

    The docstring of their base has words in braces. `class Conv2d(_Conv, words={"things": "images"})` gets it with these
    filled in; what stands in its own docstring, such as examples, comes after it.
    """

    def __init_subclass__(cls, words: Mapping[str, object] | None = None, **kwargs: object) -> None:
        if words is not None:
            shared = (cls.__mro__[1].__doc__ or "").rstrip().format_map(words)
            cls.__doc__ = f"{shared}\n{cls.__doc__ or ''}"
        super().__init_subclass__(**kwargs)
