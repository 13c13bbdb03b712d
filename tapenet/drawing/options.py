"""From the arguments of `tn.draw` to a picture."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tapenet.autodiff.observe.tape import Nodes, Tape
from tapenet.autodiff.tensor import Tensor
from tapenet.drawing.late import is_a, use
from tapenet.drawing.layout.placed import DIRECTIONS
from tapenet.drawing.model import Drawing, Numbers
from tapenet.drawing.passes.gradients import Finding, from_results, marked, unused
from tapenet.drawing.passes.view import BUDGET, View
from tapenet.drawing.picture import Picture, checked_width
from tapenet.drawing.sources.build import build
from tapenet.drawing.sources.names import Key, Name, is_module, variable_of, variables
from tapenet.drawing.style import theme_of
from tapenet.ops.stack_frames import user_site

if TYPE_CHECKING:
    from tapenet.drawing.passes.measures import Measure
    from tapenet.drawing.passes.ranks import Exchange, Part
    from tapenet.drawing.sources.call import Run
    from tapenet.drawing.sources.known import Known
    from tapenet.profiling.profile import Profile
    from tapenet.program.ir import Instruction
    from tapenet.typing import Ranks


class Options(NamedTuple):
    """The arguments of `tn.draw`, which documents them."""

    view: View = View()
    direction: str = "TB"
    title: str = ""
    caption: str = ""
    legend: bool = False
    optimizer: object = None
    color_by: str | None = None
    profile: Profile | None = None
    stage: str | None = None
    theme: object = "default"
    width: float | None = None
    over: Ranks | None = None

    def picture(self, x: object, inputs: tuple[object, ...]) -> Picture:
        """The picture of `x`, whatever that is."""
        self._check(x, inputs)
        colours = theme_of(self.theme)
        found = self._found(x, inputs)
        told = {} if self.optimizer is None else updates(self.optimizer)
        ranks = self.over if self.over is not None and self.over.size > 1 else None
        drawing = marked(found.drawing, found.findings)
        if not isinstance(x, Nodes):  # of a tape any op may be the start
            drawing = from_results(drawing)
        measures: Sequence[Measure] = found.measures
        numbers = _in_short(found.known)
        if ranks is not None:
            part = use("passes.ranks").Part(drawing, found.exchanges, measures, numbers, told)
            drawing, _, measures, numbers, told = _of_all(part, ranks)
        view = self.view._replace(updates=told)
        if found.made and view.budget == BUDGET:
            view = view._replace(budget=BUDGET // 2)  # what stands in a column is soon too long
        if alone(x):  # in a program and a rule parameters are read and written like other arrays
            view = view._replace(parameters=True)
        again = None if alone(x) or isinstance(x, _RECORDED) or found.made or ranks is not None else self._again
        return Picture(
            drawing,
            self.direction,
            view=view,
            title=self.title,
            caption=self.caption or found.caption,
            legend=self.legend,
            measures=measures,
            color_by=self.color_by or "",
            numbers=numbers,
            theme=colours,
            width=None if self.width is None else checked_width(self.width),
            again=None if again is None else partial(again, x, inputs),
            saves=ranks is None or ranks.rank == 0,
        )

    # -- what there is to draw -----------------------------------------------------------------------------------

    def _found(self, x: object, inputs: tuple[object, ...]) -> _Found:
        names = variables()
        if _is_compiled(x):
            program, stage = use("sources.program"), self.stage or "fused"
            at: dict[Instruction, int] = {}
            drawing = program.of_compiled(x, stage, at, inside=not self.view.parameters)
            met = [] if self.over is None else list(use("sources.exchanges").in_program(at))
            return _Found(drawing, program.caption_of(x, stage), exchanges=met)
        if isinstance(x, (ModuleType, str)):
            imports = use("sources.imports")
            return _Found(imports.of_package(imports.folder_of(x)))
        if alone(x):
            rules = use("sources.rule")
            return _Found(rules.of_rule(x), rules.caption_of(x))
        places: dict[Key, int] = {}
        backward = self.view.backward or self.color_by == "grad_norm"
        if isinstance(x, _RECORDED):
            drawing = build(x, names, variable_of(x) or "output", places, unused=backward)
            arrays = None
            if isinstance(x, Tape):
                known = use("sources.known")
                arrays = known.placed(places, known.values_on(x), {})
            return self._measured(drawing, arrays, self.profile)._replace(exchanges=self._exchanges(places))
        calls = use("sources.call")
        measured = (self.view.backward and self.optimizer is None) or self.color_by or self.profile
        if not (inputs or measured) and is_module(x) and calls.takes_arguments(x):
            return _Found(use("sources.attributes").of_module(x, names), made=True)
        timed = self.color_by in ("time", "memory") and self.profile is None
        run = calls.run(x, inputs, differentiate=backward or self.color_by == "time", profiled=timed)
        return self._of_run(run, names, backward)

    def _of_run(self, run: Run, names: Mapping[Key, Name], backward: bool) -> _Found:
        """What a call computed, with its measurements."""
        places: dict[Key, int] = {}
        drawing = build(run.results, {**names, **run.names}, places=places, unused=backward)
        known = use("sources.known").placed(places, run.values, run.gradients)
        found = self._measured(drawing, known, run.profile if self.profile is None else self.profile, backward)
        return found._replace(exchanges=self._exchanges(places))

    def _exchanges(self, places: dict[Key, int]) -> Sequence[Exchange]:
        """Where a graph exchanges something with other ranks, if these are drawn."""
        found: list[Exchange] = [] if self.over is None else use("sources.exchanges").exchanges(places)
        return found

    def _again(self, x: object, inputs: tuple[object, ...]) -> tuple[Drawing, Sequence[Measure]]:
        """What a function computes now, with all that can be measured of it."""
        run = use("sources.call").run(x, inputs, differentiate=True, profiled=True, warm=True)
        found = self._replace(color_by=None, profile=None)._of_run(run, {}, True)
        return found.drawing, found.measures

    def _measured(
        self, drawing: Drawing, arrays: Known | None, profile: Profile | None, differentiated: bool = False
    ) -> _Found:
        """A drawing with its measurements and what is wrong in it."""
        findings = unused(drawing)
        if arrays is None and profile is None:
            if self.color_by is not None:
                raise ValueError(_UNMEASURED.format(name=self.color_by))
            return _Found(drawing, findings=findings)
        measures, signs = use("passes.measures"), use("passes.signs")
        found: list[Measure] = []
        if arrays is not None:
            findings |= signs.from_arrays(drawing, arrays, differentiated)
        if profile is not None:
            found = [m for name in measures.KINDS if (m := measures.from_profile(name, drawing, profile)).values]
            if not found:
                raise ValueError(measures.missing(None, profile))
            if profile.values:
                findings = signs.from_profile(drawing, profile) | findings
        have = {measure.name for measure in found}
        if arrays is not None:
            if "activation" not in have and arrays.values:
                found.append(measures.from_arrays("activation", drawing, arrays))
            if "grad_norm" not in have and arrays.gradients:
                found.append(measures.from_arrays("grad_norm", drawing, arrays))
        if self.color_by is not None and self.color_by not in {measure.name for measure in found}:
            if profile is not None:
                raise ValueError(measures.missing(self.color_by, profile))
            raise ValueError(_NO_GRADIENT if differentiated else _UNMEASURED.format(name=self.color_by))
        return _Found(drawing, "", found, findings, arrays)

    # -- what was asked for --------------------------------------------------------------------------------------

    def _check(self, x: object, inputs: tuple[object, ...]) -> None:
        for name, number in (("depth", self.view.depth), ("budget", self.view.budget)):
            least = 0 if name == "depth" else 1
            if number is not None and (
                isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < least
            ):
                meaning = "module levels to open (0, 1, ...)" if name == "depth" else "boxes to draw (1, 2, ...)"
                raise ValueError(f"draw: {name}={number!r}; give the number of {meaning}, or None")
        for name, text in (("title", self.title), ("caption", self.caption)):
            if not isinstance(text, str):
                raise TypeError(f"draw: {name}={text!r}; give a text, not {type(text).__name__}")
        if self.direction not in DIRECTIONS:
            raise ValueError(f"draw: direction={self.direction!r}; the directions are {', '.join(DIRECTIONS)}")
        if self.view.shapes not in ("edge", "box", None):
            raise ValueError(
                f"draw: shapes={self.view.shapes!r}; shapes are written at the 'edge', in the 'box', or None"
            )
        if self.color_by is not None and self.color_by not in (kinds := use("passes.measures").KINDS):
            raise ValueError(f"draw: color_by={self.color_by!r}; boxes are painted by {', '.join(kinds)}")
        compiled, itself = _is_compiled(x), alone(x)
        if self.over is not None:
            if not all(hasattr(self.over, name) for name in ("rank", "size", "map")):
                raise TypeError(f"draw: over={self.over!r} has no ranks to draw: give over=tn.parallel")
            if itself and not compiled:
                raise ValueError(f"draw: over= draws what ranks compute: a tensor, a tape or a function, not {itself}")
        if self.stage is not None and not compiled:
            raise ValueError(
                f"draw: stage={self.stage!r} is of compiled functions; this is {itself or f'a {type(x).__name__}'}"
            )
        if self.profile is not None and not is_a(self.profile, "profiling.profile", "Profile"):
            raise TypeError(f"draw: profile= takes a tn.profile(), not {type(self.profile).__name__}")
        if itself and (inputs or self.color_by or self.profile is not None or (self.view.backward and not compiled)):
            raise (TypeError if inputs else ValueError)(_COMPILED if compiled else _ALONE.format(what=itself))
        takes_none = itself or isinstance(x, _RECORDED)
        if not takes_none and not callable(x):
            build(x)  # says what can be drawn
        if inputs and takes_none:
            raise TypeError(
                f"draw: a {type(x).__name__} takes no arguments here; {len(inputs)} given. Options such as depth= are "
                "given by name, several tensors as a tuple"
            )


class _Found(NamedTuple):
    """A drawing, and all that was measured and found in it."""

    drawing: Drawing
    caption: str = ""
    measures: list[Measure] = []  # noqa: RUF012  # never changed in place
    findings: Mapping[int, Finding] = {}
    known: Known | None = None
    made: bool = False  # of a module that was not run
    exchanges: Sequence[Exchange] = ()


def _of_all(part: Part, ranks: Ranks) -> Part:
    """What all ranks draw, in one; each gives its own part."""
    whole: Part
    whole, lone = use("passes.ranks").together(ranks.map(lambda _: part, range(ranks.size)))
    if lone and ranks.rank == 0:
        warnings.warn_explicit(_LONE.format(lone="; ".join(lone)), UserWarning, *user_site())
    return whole


_LONE = (
    "draw: some exchanges are without arrows: {lone}. Of a tensor that alone is drawn which leads to it, so add the receipt of "
    "each send to the loss; a tape has all"
)


_RECORDED = (Tensor, Nodes, tuple, list, dict)


def alone(x: object) -> str:
    """What something is that is drawn without arguments, since nothing is run; "" for all else."""
    if isinstance(x, _RECORDED):
        return ""
    if _is_compiled(x):
        return "a compiled function"
    if isinstance(x, (ModuleType, str)):
        return "a package"
    return "an optimizer's rule" if all(hasattr(x, name) for name in ("rule", "shapes", "scalars")) else ""


def _is_compiled(x: object) -> bool:
    return is_a(x, "compiler.compile", "Compiled")


_UNMEASURED = (
    "draw: the {name} of this graph is not known. Record the step with `with tn.profile(values=True) as prof:` and give "
    "profile=prof; or give a module or function with its arguments, which is then run and measured: "
    "tn.draw(net, images, color_by={name!r})"
)
_COMPILED = (
    "draw: a compiled function is drawn as its program, without arguments and measurements: tn.draw(step) after a call. "
    "For these draw the function that was compiled, tn.draw(step.__wrapped__, *arguments, color_by=...)"
)
_ALONE = "draw: {what} is drawn by itself, without arguments, gradients and measurements"
_NO_GRADIENT = (
    "draw: nothing in this graph has a gradient to paint it by: no tensor with requires_grad=True comes into it, or no op "
    "after these has a derivative"
)


def _in_short(arrays: Known | None) -> Numbers:
    """The numbers as text, now: a picture that held the arrays would keep them alive, and show what became of them."""
    if arrays is None:
        return Numbers({}, {})
    show = use("forms.lecture").show
    values, gradients = ({i: show(array) for i, array in found.items()} for found in arrays)
    return Numbers(values, gradients)


def updates(optimizer: object) -> Mapping[int, str]:
    """What an optimizer does, in a few words, by the number of each parameter's node: its rate, and what is not the default.

    Raises:
        TypeError: it is no optimizer.
    """
    if not hasattr(optimizer, "groups"):
        raise TypeError(f"draw: optimizer= takes an optimizer such as optim.SGD(...), not {type(optimizer).__name__}")
    kind = type(optimizer).__name__
    defaults = {name: parameter.default for name, parameter in inspect.signature(type(optimizer)).parameters.items()}
    found = {}
    for group in optimizer.groups:
        lr = group["lr"]
        rate = getattr(lr, "__name__", "schedule") if callable(lr) else f"{lr:g}"
        told = [
            name for name in group if name not in ("params", "lr") and group[name] and group[name] != defaults.get(name)
        ]
        others = [f"{name} {_short(group[name])}" for name in told]
        title = "\n".join([kind, f"lr {rate}", *others[:2]])
        for parameter in group["params"]:
            if parameter.node is not None:  # not frozen since
                found[parameter.node.number] = title
    return found


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(_short, value)) if isinstance(value, (tuple, list)) else str(value)
