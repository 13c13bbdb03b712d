"""An animated picture: the computation step by step, forward and then backward.

What Graphviz laid out stays as it is. Beside it comes a card for each step, which says what is done there, and a style
that lets boxes, arrows and cards come and go. There is no script: it runs wherever an SVG does, as an image too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from tapenet.drawing.chart import Chart
from tapenet.drawing.forms.cards import LINES, NUMBERS, PAD, Card, card, whole
from tapenet.drawing.forms.lecture import Step, narrate, steps
from tapenet.drawing.forms.svg import finished
from tapenet.drawing.model import Drawing
from tapenet.drawing.style import DEFAULT, Palette, Theme
from tapenet.drawing.text import clean

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

#: More steps than this nobody follows.
LIMIT = 200

_SHAPES = ("path", "polygon", "ellipse")
_PALE = 0.25
#: Of a step: how long things take to come and go.
_FADE = 0.2
#: What an arrow is drawn with while something goes along it, and how far that runs: several times dash and gap.
_DASHES, _RUN = "6 4", 50


def animate(
    drawing: Drawing,
    svg: str,
    *,
    backward: bool = False,
    values: Mapping[int, str] | None = None,
    gradients: Mapping[int, str] | None = None,
    seconds: float = 1.5,
    loop: bool = True,
    theme: Theme = DEFAULT,
) -> str:
    """An SVG that shows the steps of a computation one after the other.

    It begins with the whole graph; then one op after the other works, in order of creation: its box and the arrows into
    it are lit, and a card says what it computes, of which shapes, and from which numbers where these are given. What is
    still to come is pale. With `backward` the gradients flow back in the same way, with the rule applied at each op. At
    the end the whole graph stands for two more steps. Readers who asked their system for less motion see the whole
    graph, still; all steps are in the text for screen readers.

    Args:
        drawing: what is shown.
        svg: what `render` made of the `to_dot` of it.
        backward: show the backward pass too.
        values: by position of a vertex: its numbers, in short, in one line or a few.
        gradients: the same for the gradients.
        seconds: how long each step stands.
        loop: begin again at the end; otherwise the graph then stays.
        theme: its colours, those of the SVG.

    Raises:
        ValueError: more than 200 steps; `seconds` that is no time; or an SVG of another drawing.

    >>> import tapenet as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> picture = tn.draw((x * x).sum())
    >>> from tapenet.drawing.forms.render import render
    >>> "1 / 2 forward" in animate(picture.drawing, render(picture.dot).decode())
    True
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"animate: seconds={seconds!r}; give how long a step stands, such as 1.5")
    lecture = steps(drawing, backward, values=values, gradients=gradients)
    if len(lecture) > LIMIT:
        raise ValueError(
            f"animate: {len(lecture)} steps are more than anybody follows (at most {LIMIT}); draw fewer boxes with "
            "depth=, or save the page (.html), which one walks through oneself"
        )
    layout = _read(svg)
    for step in lecture:
        if step.vertex not in layout.boxes:
            raise ValueError(
                f"animate: the SVG has no box n{step.vertex}; give what render() made of this very drawing's to_dot()"
            )
    # What tells this picture from others in the same page, the same for the same picture.
    name = "tn" + sha256(repr((svg, lecture, seconds, loop)).encode("utf-8", "replace")).hexdigest()[:8]
    cards = [whole(lecture), *(card(i, lecture) for i in range(len(lecture)))]
    place = _Place(layout, cards, lecture)
    clock = _Clock(name, lecture, seconds, loop)
    style = "\n".join([*_style(name, theme), *_motion(drawing, lecture, layout, clock)])
    drawn = "\n".join(place.draw(i, card) for i, card in enumerate(cards))
    still = finished(svg, drawing, "Graph of a computation, step by step", theme)
    return place.frame(still, name, style, _description(lecture), drawn)


# -- what Graphviz laid out -----------------------------------------------------------------------------------


class _Layout(NamedTuple):
    """Where things are in an SVG of Graphviz.

    Attributes:
        width: of the picture, in points.
        height: likewise.
        boxes: by vertex: the id of its group.
        middles: by vertex: how far to the right and how far down its middle is.
        pieces: by edge: the ids of the groups it is drawn as.
    """

    width: float
    height: float
    boxes: dict[int, str]
    middles: dict[int, tuple[float, float]]
    pieces: dict[int, list[str]]


def _read(svg: str) -> _Layout:
    from xml.etree import ElementTree

    space = "{http://www.w3.org/2000/svg}"
    root = ElementTree.fromstring(svg)
    _, _, width, height = (float(number) for number in root.get("viewBox", "0 0 0 0").split())
    layout = _Layout(width, height, {}, {}, {})
    scale, right, down = 1.0, 0.0, 0.0
    for group in root.iter(f"{space}g"):
        at, what = group.get("id", ""), group.get("class", "")
        title = (group.findtext(f"{space}title") or "").strip()
        if what == "graph":
            moved = re.search(r"scale\(([\d.]+).*translate\(([\d.-]+) ([\d.-]+)\)", group.get("transform", ""))
            if moved:
                scale, right, down = (float(number) for number in moved.groups())
        elif what == "node" and (found := re.fullmatch(r"n(\d+)", title)):
            layout.boxes[int(found[1])] = at
            x, y = _middle(group)
            layout.middles[int(found[1])] = scale * (right + x), scale * (down + y)
        # An edge has an id of its own, or leads from its gate, which is a node and a bit of it.
        elif found := re.match(r"e(\d+)$", at) or re.match(r"g(\d+)\b", title):
            layout.pieces.setdefault(int(found[1]), []).append(at)
    return layout


def _middle(group: Element) -> tuple[float, float]:
    """The middle of the first shape of a group."""
    for shape in group.iter():
        if shape.get("cx"):
            return float(shape.get("cx", 0)), float(shape.get("cy", 0))
        numbers = [float(n) for n in re.findall(r"-?\d+\.?\d*", shape.get("d") or shape.get("points") or "")]
        if numbers:
            across, down = numbers[::2], numbers[1::2]
            return (min(across) + max(across)) / 2, (min(down) + max(down)) / 2
    return 0.0, 0.0


# -- motion ---------------------------------------------------------------------------------------------------


class _Clock:
    """When things happen, and the keyframes for it.

    The whole graph stands for one step at first, and for two at the end.
    """

    def __init__(self, name: str, lecture: list[Step], seconds: float, loop: bool) -> None:
        self.name = name
        self.seconds = seconds
        self.again = "infinite" if loop else "1"
        self.forward = {step.vertex: i for i, step in enumerate(lecture) if step.phase == "forward"}
        self.backward = {step.vertex: i for i, step in enumerate(lecture) if step.phase == "backward"}
        self.count = len(lecture)
        self.rules: dict[tuple[str, str], list[str]] = {}  # by keyframes and way of moving: what moves so

    def percent(self, step: float) -> str:
        """When a step begins, in percent of the whole time. A fraction of a step is allowed."""
        share = 100 * (step + 1) / (self.count + 3)
        return f"{share:.3f}".rstrip("0").rstrip(".") + "%"

    def move(self, what: str, frames: list[tuple[float, str]], *, steady: bool = False) -> None:
        """Add keyframes for a selector: each declaration from its moment on. steady: without transitions between them."""
        text = "".join(f"{self.percent(step)}{{{declarations}}}" for step, declarations in frames)
        self.rules.setdefault((text, "step-end" if steady else "linear"), []).append(what)

    def paint(self, group: str, frames: list[tuple[float, str]], shapes: tuple[str, ...] = _SHAPES) -> None:
        """Add keyframes for the shapes of a group, but not for its texts."""
        for shape in shapes if frames else ():
            self.move(f"#{group} {shape}", frames, steady=True)

    def light(self, what: str, first: int | None, second: int | None) -> None:
        """Make something pale until its step, in the forward and again in the backward pass."""
        frames = [(-1.0, 1.0), (-_FADE, 1.0)]
        for start, end, at in (
            (0, len(self.forward), first),
            (len(self.forward), self.count, second),
        ):
            if start == end:
                continue
            if at is None:
                frames += [(start, _PALE), (end, _PALE)]
            elif at == start:
                frames += [(start, 1.0 if frames[-1][1] == 1.0 else _PALE), (start + _FADE, 1.0), (end - _FADE, 1.0)]
            else:
                frames += [(start, _PALE), (at, _PALE), (at + _FADE, 1.0), (end - _FADE, 1.0)]
        frames += [(self.count + _FADE, 1.0), (self.count + 2, 1.0)]
        self.move(what, [(step, f"opacity:{opacity:g}") for step, opacity in frames])

    def css(self) -> Iterator[str]:
        length = f"{self.seconds * (self.count + 3):g}s"
        for i, ((frames, timing), selectors) in enumerate(self.rules.items()):
            yield f"@keyframes {self.name}k{i}{{{frames}}}"
            scoped = ",".join(f".{self.name} {selector}" for selector in selectors)
            yield f"{scoped}{{animation:{self.name}k{i} {length} {timing} {self.again}}}"


def _motion(drawing: Drawing, lecture: list[Step], layout: _Layout, clock: _Clock) -> Iterator[str]:
    """The rules of motion, for readers whose system does not ask for less motion."""
    if not lecture:
        return
    _move_boxes(drawing, layout, clock)
    _move_edges(drawing, layout, clock)
    clock.move(".c0", [(-1, "opacity:1"), (0, "opacity:0"), (clock.count, "opacity:1")], steady=True)
    for i in range(clock.count):
        frames = [(-1.0, "opacity:0"), (float(i), "opacity:1"), (i + 1.0, "opacity:0")]
        clock.move(f".c{i + 1}", frames, steady=True)
    yield "@media (prefers-reduced-motion:no-preference){"
    yield f".{clock.name} .edge path{{fill:none!important}}"  # what lights an arrow's head would fill its curve
    yield from clock.css()
    yield "}"


def _move_boxes(drawing: Drawing, layout: _Layout, clock: _Clock) -> None:
    first, second = dict(clock.forward), dict(clock.backward)
    for edge in drawing.edges:
        kind = drawing.vertices[edge.head].kind
        if edge.flow == "value" and kind == "output" and edge.tail in clock.forward:
            first[edge.head] = clock.forward[edge.tail]
            if clock.backward:
                second[edge.head] = len(clock.forward)
        if edge.head in clock.forward and edge.flow == "value":
            first.setdefault(edge.tail, clock.forward[edge.head])
        user, source = (edge.tail, edge.head) if edge.flow == "gradient" else (edge.head, edge.tail)
        # What is no op, and is used several times, is lit by the first of them on the way back.
        if user in clock.backward and source not in clock.backward and (edge.differentiable or edge.flow == "gradient"):
            second[source] = min(second.get(source, clock.count), clock.backward[user])
    for i, box in layout.boxes.items():
        if i >= len(drawing.vertices):
            continue
        clock.light(f"#{box}", first.get(i), second.get(i))
        frames: list[tuple[float, str]] = []
        works = i in clock.forward
        for phase, at in (("forward", clock.forward.get(i)), ("backward", second.get(i))):
            if at is None or (phase == "forward" and not works):
                continue
            for when, state, width in ((at, "now", 3), (at + 1, "done", 1.5)):
                # The fill of others says what they are, and that of a painted one what was measured.
                fill = f"fill:var(--{phase}-{state});" if works and not drawing.vertices[i].fill else ""
                frames.append((when, f"{fill}stroke:var(--{phase});stroke-width:{width if works else 3:g}"))
        clock.paint(box, frames)


def _move_edges(drawing: Drawing, layout: _Layout, clock: _Clock) -> None:
    drawn = any(edge.flow == "gradient" for edge in drawing.edges)  # else gradients go back along the values
    for i, edge in enumerate(drawing.edges):
        first = second = None
        if edge.flow == "gradient":
            second = clock.backward.get(edge.tail, len(clock.forward) if clock.backward else None)
        elif edge.flow in ("value", "carry"):
            first = clock.forward.get(edge.head, clock.forward.get(edge.tail))
            if edge.differentiable and not drawn and clock.backward:
                second = clock.backward.get(edge.head, len(clock.forward))
        heads: list[tuple[float, str]] = []
        lines: list[tuple[float, str]] = []
        for phase, at, ahead in (("forward", first, True), ("backward", second, edge.flow == "gradient")):
            if at is None:
                continue
            now, done = (f"fill:var(--{phase});stroke:var(--{phase});stroke-width:{width}" for width in (2.6, 1.4))
            heads += [(at, now), (at + 1, done)]
            # Dashes run the way that the numbers go.
            for when, offset, timing in ((at, 0, "linear"), (at + 0.99, -_RUN if ahead else _RUN, "step-end")):
                dashes = f"stroke-dasharray:{_DASHES};stroke-dashoffset:{offset};animation-timing-function:{timing}"
                lines.append((when, f"{now};{dashes}"))
            lines.append((at + 1, f"{done};stroke-dasharray:{'5 2' if edge.flow in ('gradient', 'carry') else 'none'}"))
        for piece in layout.pieces.get(i, ()):
            clock.light(f"#{piece}", first, second)
            clock.paint(piece, heads, ("polygon", "ellipse"))
            clock.paint(piece, lines, ("path",))


def _style(name: str, theme: Theme) -> Iterator[str]:
    """The rules without motion. They are scoped to this picture, as a notebook shows several in one page."""
    yield f".{name}{{{_colours(theme.light)}}}"
    yield f"@media (prefers-color-scheme:dark){{.{name}{{{_colours(theme.dark)}}}}}"
    yield f".{name} .page{{fill:var(--page)}}"
    yield f".{name} .card rect{{fill:var(--card);stroke:var(--line)}}"
    yield f".{name} .card{{opacity:0}}"
    yield f".{name} .c0{{opacity:1}}"
    yield f".{name} .card text{{fill:var(--ink);font-family:Helvetica,Arial,sans-serif;white-space:pre}}"
    for line, (size, _, _) in LINES.items():
        yield f".{name} .card .{line}{{font-size:{size}px}}"
    yield f".{name} .card .title{{font-weight:bold}}"
    yield f".{name} .card .name{{font-size:{NUMBERS}px;fill:var(--muted)}}"
    yield f".{name} .card .number{{font-size:{NUMBERS}px;font-family:Menlo,Consolas,DejaVu Sans Mono,monospace}}"
    for phase in ("forward", "backward"):
        yield f".{name} .{phase} .at{{fill:var(--{phase});font-weight:bold}}"
        yield f".{name} .{phase} .bar{{fill:var(--{phase});stroke:none}}"


def _colours(palette: Palette) -> str:
    """The colours as variables of CSS: finished steps are tinted, the current one more strongly."""
    found = {
        "page": palette.paper,
        "card": palette.clusters[0],
        "line": palette.border,
        "ink": palette.ink,
        "muted": palette.muted,
    }
    for phase, colour in (("forward", palette.update), ("backward", palette.gradient)):
        ground = palette.kinds["op"].fill
        found |= {phase: colour, f"{phase}-now": _mix(ground, colour, 0.4), f"{phase}-done": _mix(ground, colour, 0.13)}
    return ";".join(f"--{key}:{colour}" for key, colour in found.items())


def _mix(one: str, other: str, share: float) -> str:
    """A colour between two."""
    pairs = ((int(one[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


# -- the whole -------------------------------------------------------------------------------------------------


class _Place:
    """Where the cards go: beside a tall graph, below any other, and there as near to their boxes as they can."""

    def __init__(self, layout: _Layout, cards: list[Card], lecture: list[Step]) -> None:
        self.layout = layout
        self.card_width = max(card.width for card in cards)
        tallest = max(card.height for card in cards)
        self.beside = layout.height > max(layout.width, tallest)
        self.middles = [(layout.width / 2, 0.0), *(layout.middles[step.vertex] for step in lecture)]
        if self.beside:
            self.left = 0.0
            self.width = layout.width + self.card_width + PAD
            self.height = max(layout.height, tallest + 2 * PAD)
        else:
            self.width = max(layout.width, self.card_width + 2 * PAD)
            self.height = layout.height + tallest + PAD
            self.left = (layout.width - self.width) / 2

    def draw(self, i: int, card: Card) -> str:
        x, y = self.layout.width, self.layout.height
        across, down = self.middles[i]
        if self.beside:
            y = min(max(down - card.height / 2, PAD), self.height - card.height - PAD)
        else:
            room = self.width - self.card_width - PAD
            x = self.left + min(max(across - self.left - self.card_width / 2, PAD), room)
        kind = f"card c{i} {card.phase}".strip()
        lines = [f'<g class="{kind}" transform="translate({x:.1f} {y:.1f})">']
        lines.append(f'<rect width="{self.card_width:.1f}" height="{card.height:.1f}" rx="6"/>')
        if card.share:
            lines.append(f'<rect class="bar" width="{self.card_width * card.share:.1f}" height="3" rx="1.5"/>')
        lines += [
            f'<text class="{text.kind}" x="{text.x:.1f}" y="{text.y:.1f}">{escape(text.text, quote=False)}</text>'
            for text in card.texts
        ]
        return "\n".join([*lines, "</g>"])

    def frame(self, svg: str, name: str, style: str, told: str, drawn: str) -> str:
        """The finished SVG of the graph with room for the cards, and all that makes it move."""
        for attribute, text in (
            ("width", f"{self.width:.0f}pt"),
            ("height", f"{self.height:.0f}pt"),
            ("viewBox", f"{self.left:.2f} 0.00 {self.width:.2f} {self.height:.2f}"),
        ):
            svg = re.sub(rf'(<svg\b[^>]*\s{attribute}=)"[^"]*"', rf'\g<1>"{text}"', svg, count=1)
        svg = svg.replace('class="tapenet"', f'class="tapenet {name}"', 1)
        before, graph, after = svg.partition('<g id="graph0"')
        before = re.sub(r"(<desc\b[^>]*>)[^<]*", lambda found: found[1] + escape(told, quote=False), before, count=1)
        # Beyond the edges too, as whole points seldom have just the shape of the view.
        x, width, height = self.left - PAD, self.width + 2 * PAD, self.height + 2 * PAD
        page = f'<rect class="page" x="{x:.2f}" y="{-PAD:g}" width="{width:.2f}" height="{height:.2f}"/>'
        after, end, rest = after.rpartition("</svg>")
        cards = f'<g aria-hidden="true">\n{drawn}\n</g>\n'
        return f"{before}<style>\n{style}\n</style>\n{page}\n{graph}{after}{cards}{end}{rest}"


def _description(lecture: list[Step]) -> str:
    """The steps as text, for readers who do not see them."""
    return "\n".join(clean(line, 1000) for line in narrate(lecture).splitlines())


class Animation(Chart):
    """A computation step by step. Shows itself in a notebook; `.save("net.svg")` writes it.

    Attributes:
        svg: the picture that moves.
        text: the steps in words, one to a line.
    """

    what = "an animation"

    def __init__(self, svg: str, text: str) -> None:
        super().__init__(svg, stem="net")
        self.text = text

    def __repr__(self) -> str:
        return f"<Animation of {len(self.text.splitlines())} lines; .save('{self.stem}.svg') writes it, .text tells it>"


def animation(
    drawing: Drawing,
    svg: str,
    backward: bool,
    values: Mapping[int, str],
    gradients: Mapping[int, str],
    seconds: float,
    loop: bool,
    theme: Theme,
) -> Animation:
    """What `animate` makes, with its steps in words."""
    made = animate(
        drawing, svg, backward=backward, values=values, gradients=gradients, seconds=seconds, loop=loop, theme=theme
    )
    return Animation(made, narrate(steps(drawing, backward, values=values, gradients=gradients)))
