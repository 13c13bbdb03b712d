"""From what `tn.draw` is given to a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tapenet.autodiff.tape import Nodes
from tapenet.autodiff.tensor import Tensor
from tapenet.drawing.build import build
from tapenet.drawing.call import run
from tapenet.drawing.dot import DIRECTIONS
from tapenet.drawing.gradients import with_updates
from tapenet.drawing.names import result_name, variables
from tapenet.drawing.picture import Picture
from tapenet.drawing.view import View


class Options(NamedTuple):
    """What `tn.draw` was asked for; its documentation says what each is."""

    view: View = View()
    direction: str = "TB"
    title: str = ""
    caption: str = ""
    legend: bool = False
    optimizer: Any = None
    color_by: str | None = None
    profile: Any = None
    stage: str | None = None

    def picture(self, x: Any, inputs: tuple[Any, ...]) -> Picture:
        """The picture of `x`, whatever that is."""
        self._check(x, inputs)
        names = variables()
        if isinstance(x, (Tensor, Nodes, tuple, list, dict)):
            source = build(x, names, result_name(x))
        else:
            called = run(x, inputs)
            source = build(called.results, {**names, **called.names})
        if self.optimizer is not None:
            source = with_updates(source, updates(self.optimizer))
        return Picture(
            source, self.direction, view=self.view, title=self.title, caption=self.caption, legend=self.legend
        )

    def _check(self, x: Any, inputs: tuple[Any, ...]) -> None:
        for name, number in (("depth", self.view.depth), ("budget", self.view.budget)):
            least = 0 if name == "depth" else 1
            if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < least):
                meaning = "module levels to open (0, 1, ...)" if name == "depth" else "boxes to draw (1, 2, ...)"
                raise ValueError(f"draw: {name}={number!r}; give the number of {meaning}, or None")
        if self.direction not in DIRECTIONS:
            raise ValueError(f"draw: direction={self.direction!r}; the directions are {', '.join(DIRECTIONS)}")
        if inputs and (isinstance(x, (Tensor, Nodes, tuple, list, dict)) or not callable(x)):
            raise TypeError(
                f"draw: a {type(x).__name__} takes no arguments; {len(inputs)} given. Options such as depth= are given "
                "by name, several tensors as a tuple"
            )
        if not isinstance(x, (Tensor, Nodes, tuple, list, dict)) and not callable(x):
            build(x)  # says what can be drawn


def updates(optimizer: Any) -> Mapping[int, str]:
    """What an optimizer does, in a few words, by the number of each parameter's node."""
    kind = type(optimizer).__name__
    found = {}
    for group in optimizer.groups:
        lr = group["lr"]
        rate = getattr(lr, "__name__", "schedule") if callable(lr) else f"{lr:g}"
        others = [f"{name} {_short(value)}" for name, value in group.items() if name not in ("params", "lr") and value]
        title = "\n".join([kind, f"lr {rate}", *others[:2]])
        for parameter in group["params"]:
            found[parameter.node.number] = title
    return found


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(_short, value)) if isinstance(value, (tuple, list)) else str(value)
