"""Pictures of what was computed: from the tape to a drawing, to DOT, to SVG.

`draw` is the way in. The parts: `model` is a drawing as plain data, and passes from one drawing to another;
`build`, which alone knows the tape, makes one; `dot` writes it as text; `render` lays that out; `picture` shows
and saves what comes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tapenet.drawing.picture import Picture

__all__ = ["draw"]


def draw(x: Any, depth: int | None = None, direction: str = "TB") -> Picture:
    """Draw the graph of a computation.

    The picture shows itself in a notebook; elsewhere `.save("net.svg")` writes it. Ops are white, parameters
    and other tensors that get a gradient blue, other arrays orange, results purple; a call of a module is a
    box around what happened in it. It is the same picture before and after `backward()`.

    Args:
        x: a tensor: everything it was computed from. A tuple, list or dict of tensors: their graphs in one,
            with the results by their keys. A tape (`with tn.Tape() as tape`): every op on it.
        depth: how many levels of modules to open; those below are drawn as one box each. None: all; 0: none.
        direction: where arrows point: "TB" (down), "LR" (right), "BT" (up) or "RL" (left).

    Raises:
        TypeError: `x` is none of these.
        ValueError: nothing was recorded of `x`, or a `depth` or `direction` that is not one.

    >>> import tapenet as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> tn.draw((x * x).sum())
    <Picture of 1 parameter, 2 ops, 1 output; .save('net.svg') writes it>
    """
    # Here, so that `import tapenet` stays quick: most programs draw nothing.
    from tapenet.drawing.build import build
    from tapenet.drawing.dot import DIRECTIONS
    from tapenet.drawing.model import fold, unbox
    from tapenet.drawing.picture import Picture

    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 0):
        raise ValueError(f"draw: depth={depth!r}; give the number of module levels to open (0, 1, ...), or None: all")
    if direction not in DIRECTIONS:
        raise ValueError(f"draw: direction={direction!r}; the directions are {', '.join(DIRECTIONS)}")
    return Picture(unbox(fold(build(x), depth)), direction)
