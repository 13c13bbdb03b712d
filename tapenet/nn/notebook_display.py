"""How a notebook displays a module: a drawing of a call, with its summary below."""

from __future__ import annotations

import numpy as np

from tapenet.autodiff.observe import pictures
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.module_tree import Tree
from tapenet.nn.summarize import Summarizable, summary


def note(module: Tree, inputs: tuple[object, ...]) -> None:
    """Remember shapes and dtypes of the arrays that a module is called on."""
    seen = tuple((v.shape, v.dtype) for v in inputs if type(v) is Tensor or type(v) is np.ndarray)
    if len(seen) == len(inputs):
        object.__setattr__(module, "_seen", seen)


def inputs_like_before(module: object) -> tuple[Tensor, ...] | None:
    """Zeros like the inputs of a call that was noted; None if none was.

    >>> from tapenet import nn
    >>> layer = nn.Linear(2, 1)
    >>> inputs_like_before(layer)
    >>> y = layer(np.ones((4, 2), np.float32))
    >>> inputs_like_before(layer)[0].shape
    (4, 2)
    """
    seen = getattr(module, "_seen", None)
    return None if seen is None else tuple(Tensor._of(np.zeros(shape, dtype)) for shape, dtype in seen)


def bundle(module: Summarizable) -> dict[str, str]:
    """How a notebook shows a module, by MIME type: as text and, once it was called, as HTML."""
    text = repr(module)
    inputs = inputs_like_before(module)
    if inputs is None or pictures.of_call is None or capturing() is not None:
        return {"text/plain": text}
    try:
        table = str(summary(module, *inputs)).replace("&", "&amp;").replace("<", "&lt;")
        return {"text/plain": text, "text/html": f"{pictures.of_call(module, *inputs)}<pre>{table}</pre>"}
    except Exception as error:
        return {"text/plain": f"{text}\n{error}"}
