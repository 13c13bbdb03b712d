"""An animated picture: the computation step by step, forward and then backward.

The picture stays as it is. Beside it comes a card for each step, which says what is done there, and a style
that lets boxes, arrows and cards come and go. There is no script: it runs wherever an SVG does, as an image too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape

from tapenet.drawing.chart import Chart
from tapenet.drawing.forms.cards import LINES, NUMBERS, PAD, Card, card, whole
from tapenet.drawing.forms.lecture import Step, narrate, steps
from tapenet.drawing.forms.svg import to_svg
from tapenet.drawing.layout.placed import Box, Placed
from tapenet.drawing.model import Drawing
from tapenet.drawing.style import DEFAULT, LIGHT, Palette, Theme
from tapenet.drawing.text import clean

#: More steps than this nobody follows.
LIMIT = 200

_PALE = 0.25
#: Of a step: how long things take to come and go.
_FADE = 0.2
#: What an arrow is drawn with while something goes along it, and how far that runs: several times dash and gap.
_DASHES, _RUN = "6 4", 50


def animate(
    placed: Placed,
    *,
    backward: bool = False,
    values: Mapping[int, str] | None = None,
    gradients: Mapping[int, str] | None = None,
    seconds: float = 1.5,
    loop: bool = True,
    theme: Theme = DEFAULT,
) -> Animation:
    """The steps of a computation one after the other.

    It begins with the whole graph; then one op after the other works, in order of creation: its box and the arrows into
    it are lit, and a card says what it computes, of which shapes, and from which numbers where these are given. What is
    still to come is pale. With `backward` the gradients flow back in the same way, with the rule applied at each op. At
    the end the whole graph stands for two more steps. Readers who asked their system for less motion see the whole
    graph, still; all steps are in the text for screen readers.

    Args:
        placed: what is shown, laid out.
        backward: show the backward pass too.
        values: by position of a vertex: its numbers, in short, in one line or a few.
        gradients: the same for the gradients.
        seconds: how long each step stands.
        loop: begin again at the end; otherwise the graph then stays.
        theme: its colours.

    Raises:
        ValueError: more than 200 steps, or `seconds` that is no time.

    >>> import tapenet as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> picture = tn.draw((x * x).sum())
    >>> "1 / 2 forward" in animate(picture.placed).svg
    True
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"animate: seconds={seconds!r}; give how long a step stands, such as 1.5")
    drawing = placed.drawing
    lecture = steps(drawing, backward, values=values, gradients=gradients)
    if len(lecture) > LIMIT:
        raise ValueError(
            f"animate: {len(lecture)} steps are more than anybody follows (at most {LIMIT}); draw fewer boxes with "
            "depth=, or save the page (.html), which one walks through oneself"
        )
    still = to_svg(placed, theme=theme, name="Graph of a computation, step by step")
    # What tells this picture from others in the same page, the same for the same picture.
    name = "tn" + sha256(repr((still, lecture, seconds, loop)).encode("utf-8", "replace")).hexdigest()[:8]
    cards = [whole(lecture), *(card(i, lecture) for i in range(len(lecture)))]
    place = _Place(still, placed.boxes, cards, lecture)
    clock = _Clock(name, lecture, seconds, loop)
    style = "\n".join([*_style(name, theme), *_motion(drawing, lecture, clock)])
    drawn = "\n".join(place.draw(i, card) for i, card in enumerate(cards))
    return Animation(place.frame(name, style, _description(lecture), drawn), narrate(lecture))


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

    def paint(self, group: str, shape: str, frames: list[tuple[float, str]]) -> None:
        """Add keyframes for a shape of a group."""
        if frames:
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


def _motion(drawing: Drawing, lecture: list[Step], clock: _Clock) -> Iterator[str]:
    """The rules of motion, for readers whose system does not ask for less motion."""
    if not lecture:
        return
    _move_boxes(drawing, clock)
    _move_edges(drawing, clock)
    clock.move(".c0", [(-1, "opacity:1"), (0, "opacity:0"), (clock.count, "opacity:1")], steady=True)
    for i in range(clock.count):
        frames = [(-1.0, "opacity:0"), (float(i), "opacity:1"), (i + 1.0, "opacity:0")]
        clock.move(f".c{i + 1}", frames, steady=True)
    yield "@media (prefers-reduced-motion:no-preference){"
    yield from clock.css()
    yield "}"


def _move_boxes(drawing: Drawing, clock: _Clock) -> None:
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
    for i, vertex in enumerate(drawing.vertices):
        clock.light(f"#n{i}", first.get(i), second.get(i))
        frames: list[tuple[float, str]] = []
        works = i in clock.forward
        for phase, at in (("forward", clock.forward.get(i)), ("backward", second.get(i))):
            if at is None or (phase == "forward" and not works):
                continue
            for when, state, width in ((at, "now", 3), (at + 1, "done", 1.5)):
                # The fill of others says what they are, and that of a painted one what was measured.
                fill = f"fill:var(--{phase}-{state});" if works and not vertex.fill else ""
                frames.append((when, f"{fill}stroke:var(--{phase});stroke-width:{width if works else 3:g}"))
        clock.paint(f"n{i}", "rect", frames)


def _move_edges(drawing: Drawing, clock: _Clock) -> None:
    drawn = any(edge.flow == "gradient" for edge in drawing.edges)  # else gradients go back along the values
    for i, edge in enumerate(drawing.edges):
        first = second = None
        if edge.flow == "gradient":
            second = clock.backward.get(edge.tail, len(clock.forward) if clock.backward else None)
        elif edge.flow in ("value", "carry", "exchange"):
            first = clock.forward.get(edge.head, clock.forward.get(edge.tail))
            if edge.differentiable and not drawn and clock.backward:
                second = clock.backward.get(edge.head, len(clock.forward))
        heads: list[tuple[float, str]] = []
        lines: list[tuple[float, str]] = []
        for phase, at, ahead in (("forward", first, True), ("backward", second, edge.flow == "gradient")):
            if at is None:
                continue
            now, done = (f"stroke:var(--{phase});stroke-width:{width}" for width in (2.6, 1.4))
            heads += [(at, f"fill:var(--{phase})")]
            # Dashes run the way that the numbers go.
            for when, offset, timing in ((at, 0, "linear"), (at + 0.99, -_RUN if ahead else _RUN, "step-end")):
                dashes = f"stroke-dasharray:{_DASHES};stroke-dashoffset:{offset};animation-timing-function:{timing}"
                lines.append((when, f"{now};{dashes}"))
            lines.append((at + 1, f"{done};stroke-dasharray:{LIGHT.arrow(edge)[1].dashes or 'none'}"))
        for piece in (f"#e{i}", f"#e{i}-label"):
            clock.light(piece, first, second)
        clock.paint(f"e{i}", "polygon", heads)
        clock.paint(f"e{i}", "path", lines)


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

    def __init__(self, still: str, boxes: list[Box], cards: list[Card], lecture: list[Step]) -> None:
        self.still = still
        self.left, self.top, self.across, self.down = map(float, re.findall(r'viewBox="(.*?)"', still)[0].split())
        self.card_width = max(card.width for card in cards)
        tallest = max(card.height for card in cards)
        self.beside = self.down > max(self.across, tallest)
        stages = [boxes[step.vertex] for step in lecture]
        self.middles = [(self.left + self.across / 2, self.top)]
        self.middles += [(box.x + box.width / 2, box.y + box.height / 2) for box in stages]
        if self.beside:
            self.begin = self.left
            self.width = self.across + self.card_width + PAD
            self.height = max(self.down, tallest + 2 * PAD)
        else:
            self.width = max(self.across, self.card_width + 2 * PAD)
            self.height = self.down + tallest + PAD
            self.begin = self.left - (self.width - self.across) / 2

    def draw(self, i: int, card: Card) -> str:
        x, y = self.left + self.across, self.top + self.down
        across, down = self.middles[i]
        if self.beside:
            lowest = self.top + self.height - card.height - PAD
            y = min(max(down - card.height / 2, self.top + PAD), lowest)
        else:
            room = self.width - self.card_width - PAD
            x = self.begin + min(max(across - self.begin - self.card_width / 2, PAD), room)
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

    def frame(self, name: str, style: str, told: str, drawn: str) -> str:
        """The picture with room for the cards, and all that makes it move."""
        svg = self.still
        for attribute, text in (
            ("width", f"{self.width:.1f}pt"),
            ("height", f"{self.height:.1f}pt"),
            ("viewBox", f"{self.begin:.1f} {self.top:.1f} {self.width:.1f} {self.height:.1f}"),
        ):
            svg = re.sub(rf'(<svg\b[^>]*\s{attribute}=)"[^"]*"', rf'\g<1>"{text}"', svg, count=1)
        svg = svg.replace('class="tapenet"', f'class="tapenet {name}"', 1)
        before, paper, graph = svg.partition('<rect class="paper"')
        before = re.sub(r"(<desc\b[^>]*>)[^<]*", lambda found: found[1] + escape(told, quote=False), before, count=1)
        place = f'x="{self.begin:.1f}" y="{self.top:.1f}" width="{self.width:.1f}" height="{self.height:.1f}"'
        page = f'<rect class="page" {place}/>'
        graph, end, _ = graph.rpartition("</svg>")
        cards = f'<g aria-hidden="true">\n{drawn}\n</g>\n'
        return f"{before}<style>\n{style}\n</style>\n{page}\n{paper}{graph}{cards}{end}\n"


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
    suffixes = (".svg",)

    def __init__(self, svg: str, text: str) -> None:
        super().__init__(svg, stem="net")
        self.text = text

    def __repr__(self) -> str:
        return f"<Animation of {len(self.text.splitlines())} lines; .save('{self.stem}.svg') writes it, .text tells it>"
