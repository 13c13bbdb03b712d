"""The way in: `tn.draw`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tapenet.drawing.compare import Comparison
    from tapenet.drawing.model import Shapes
    from tapenet.drawing.picture import Picture
    from tapenet.drawing.style import Palette, Theme
    from tapenet.profiling.profile import Profile
    from tapenet.typing import Ranks

_READABLE = 60


class _Draw:
    """Draw the graph of a computation.

    The picture shows itself in a notebook; elsewhere `.save("net.svg")` writes it, and `.save("net.html")` a page to
    look around in; `.watch()` serves that page while a training goes on. Ops are white, parameters and other tensors
    that get a gradient blue, other arrays orange, results purple; a call of a module is a box around what happened in
    it. It is the same picture before and after `backward()`.

    Args:
        x: what to draw:

            - a tensor: everything it was computed from. A tuple, list or dict of tensors: their graphs in one,
              with the results by their keys.
            - a tape (`with tn.Tape() as tape`): every op on it.
            - a module or a function, with its arguments after it: it is called on them, and what it computes is drawn.
              Buffers, gradients and random generators are afterwards what they were before; an optimizer in it takes no
              step.
            - a module alone: its layers in the order of its attributes.
            - an optimizer, or a class of them: its rule.
            - a package, or its name: which part of it imports which.
            - a compiled function that has been called: its program.
        *inputs: the arguments of a module or function.
        depth: how many levels of modules to open; those below are drawn as one box each. 0: none; None: as many as
            fit the budget.
        direction: where arrows point: "TB" (down), "LR" (right), "BT" (up) or "RL" (left).
        backward: also draw how gradients flow back.
        optimizer: an optimizer: also draw what it does to the parameters. Implies `backward`.
        color_by: paint boxes by "time", "memory", "grad_norm" or "activation".
        profile: a `tn.profile()` of the computation, for `color_by`; for a module or function one is made.
        budget: about how many boxes to draw: modules are folded to come near it. None: no folding (above 1,000 boxes
            there is some all the same).
        parameters: draw parameters as boxes. Else they are lines in the box of the op that uses them, and a layer is one
            box.
        shapes: where to write the shapes of arrays: on the "edge", in the "box" that makes them, or None.
        compact: draw activations and reshapes in the box of what they are applied to.
        repeats: draw what is repeated once, with a count.
        stage: of a compiled function: "captured", "optimized" or "fused".
        title: written above the picture.
        caption: written below it.
        legend: explain the colours below it.
        width: how wide the picture will be shown, in points: 345 for a column of a paper, 600 for a README (800 pixels). It
            is laid out so that its smallest text has 8 points there: text in boxes goes on several lines, arrows say no dtype
            that most have, long chains and wide rows are wrapped, and then, unless you give `depth`, fewer modules are
            unfolded. What is still too wide shrinks to it, with a warning that says which width it needs. By default it is
            wrapped for 600, and not shrunk.
        over: `tn.parallel`: what all ranks compute, a tensor, a tape, a compiled function or another with its arguments, in one
            picture: a box around that of each, and arrows for what they send and receive, and between the ops of a
            collective. All ranks call it, and get the picture; `save` writes it on rank 0 alone.
        theme: its colours: a name in `tn.drawing.themes`, or a `tn.drawing.Theme`.

    Raises:
        TypeError: `x` is none of these, or the arguments do not fit.
        ValueError: nothing was recorded of `x`, or an option that is not one.

    >>> import tapenet as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> tn.draw((x * x).sum())
    <Picture of 1 parameter, 2 ops, 1 output; .save('net.svg') writes it>
    >>> tn.draw(lambda a, b: a @ b, x, x).drawing.vertices[0].title
    'a'
    """

    def __call__(
        self,
        x: object,
        *inputs: object,
        depth: int | None = None,
        direction: str = "TB",
        backward: bool = False,
        optimizer: object = None,
        color_by: str | None = None,
        profile: Profile | None = None,
        budget: int | None = _READABLE,
        parameters: bool = False,
        shapes: Shapes = "edge",
        compact: bool = True,
        repeats: bool = True,
        stage: str | None = None,
        title: str = "",
        caption: str = "",
        legend: bool = False,
        theme: str | Theme | Palette = "default",
        width: float | None = None,
        over: Ranks | None = None,
    ) -> Picture:
        # Here, so that `import tapenet` stays quick: most programs draw nothing.
        from tapenet.drawing.options import Options
        from tapenet.drawing.passes.view import View

        backward = backward or optimizer is not None
        view = View(depth, budget, compact, repeats, backward, parameters=parameters, shapes=shapes)
        options = Options(
            view, direction, title, caption, legend, optimizer, color_by, profile, stage, theme, width, over
        )
        return options.picture(x, inputs)

    def diff(
        self, before: object, after: object, *, direction: str = "TB", title: str = "", legend: bool = True
    ) -> Comparison:
        """Draw two graphs in one, with what was added, removed and changed between them.

        Modules in which nothing changed are folded. What is in the second alone has a green border, what is in the first
        alone a dashed vermilion one, what changed (a shape, an option, a class) an orange one; the tooltip says what it
        was. The same in words: `str(...)`, or `.added`, `.removed`, `.changed`.

        Args:
            before: what `tn.draw` takes without arguments, such as a tensor, a tape or a module; or a picture of anything else:
                `tn.draw(net, x)`.
            after: the other.
            direction: where arrows point.
            title: written above the picture.
            legend: explain the colours below it.

        Raises:
            TypeError, ValueError: as `tn.draw`.

        >>> import tapenet as tn
        >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
        >>> print(tn.draw.diff(tn.exp(x).sum(), (tn.exp(x) * 3).sum()))
        1 added
        + × 3
        """
        from tapenet.drawing.compare import compare

        return compare(before, after, direction, title, legend)

    def __repr__(self) -> str:
        return "<function tn.draw>"


# What Python's own errors call them, as of an option that there is not.
_Draw.__call__.__qualname__, _Draw.diff.__qualname__ = "tn.draw", "tn.draw.diff"
draw = _Draw()
