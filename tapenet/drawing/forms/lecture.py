"""A drawing as a lecture: what happens at each op, forward and then backward, as data and as plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from tapenet.drawing.model import Drawing, Edge, Explained, Value
from tapenet.drawing.text import clean
from tapenet.typing import Array

Phase: TypeAlias = Literal["forward", "backward"]

_WORDS = 200
_NOTHING = Explained("", {})


class Step(NamedTuple):
    """One op at work.

    Attributes:
        vertex: the op's position in the drawing.
        phase: which way.
        title: the op's label, with its name where the label alone is but a sign.
        formula: what it computes, as mathematics; the call in full where that is not known.
        rules: on the way back, by input: the rule that its gradient comes from, "x: g @ yᵀ".
        shapes_in: the shapes of what comes in: inputs, or on the way back the gradients of the results.
        shape_out: the shape of what goes out, or several with commas between.
        values: names and numbers, of what comes in and then of what goes out, so far as they are known.
    """

    vertex: int
    phase: Phase
    title: str
    formula: str
    rules: tuple[str, ...]
    shapes_in: tuple[str, ...]
    shape_out: str
    values: tuple[tuple[str, str], ...] = ()

    @property
    def shapes(self) -> str:
        """Both in one line: "4×2, 2×3 → 4×3"."""
        return " → ".join(part for part in (", ".join(self.shapes_in), self.shape_out) if part)


def steps(
    drawing: Drawing,
    backward: bool = False,
    *,
    values: Mapping[int, str] | None = None,
    gradients: Mapping[int, str] | None = None,
) -> list[Step]:
    """What happens in a drawing, op by op: forward in order of creation, then backward in reverse.

    The backward pass takes the ops that a gradient flows through: those with an input that is differentiable.

    Args:
        drawing: what to walk.
        backward: walk the backward pass too.
        values: by position of a vertex: its numbers, in short; `show` writes such.
        gradients: the same for the gradients.

    >>> import tapenet as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> [(step.phase, step.title, step.shapes) for step in steps(tn.draw((x * 2).sum()).drawing, backward=True)]
    [('forward', '× 2 (multiply)', '2 → 2'), ('forward', 'sum', '2 → scalar'), \
('backward', 'sum', 'scalar → 2'), ('backward', '× 2 (multiply)', '2 → 2')]
    """
    working = [i for i, vertex in enumerate(drawing.vertices) if vertex.kind in ("op", "module")]
    teacher = _Teacher(drawing, values or {}, gradients or {})
    found = [teacher.forward(i) for i in working]
    if backward:
        found += [teacher.backward(i) for i in reversed(working) if teacher.targets(i)]
    return found


def narrate(steps: Sequence[Step]) -> str:
    """The steps as plain text, to be read or printed: one to a line, with their numbers below.

    >>> print(narrate([Step(2, "forward", "@ (matmul)", "x @ y", (), ("4×2", "2×3"), "4×3")]))
    1 / 1 forward: @ (matmul): x @ y: 4×2, 2×3 → 4×3
    """
    lines = []
    for number, step in enumerate(steps, 1):
        words = (heading(number, len(steps), step), step.title, step.formula, step.shapes)
        lines.append(": ".join(word for word in words if word))
        lines += [f"    {rule}" for rule in step.rules]
        for name, text in step.values:
            first, *others = text.splitlines() or [""]
            lines.append(f"    {name} = {first}")
            lines += [" " * (len(name) + 7) + line for line in others]
    return "\n".join(lines)


def heading(number: int, count: int, step: Step) -> str:
    """Where we are: "3 / 11 forward"."""
    return f"{number} / {count} {step.phase}"


def show(array: object, limit: int = 12) -> str:
    """The numbers of an array as a short text: all of a small one, mean and spread of a larger one.

    Args:
        array: the numbers.
        limit: how many are shown one by one.

    >>> print(show([[0.5, -1.2], [1.3, float("nan")]]))
    [[ 0.5 -1.2]
     [ 1.3  nan]]
    >>> show(np.linspace(0, 1, 1000).reshape(10, 100))
    'mean 0.5, std 0.289, 10×100'
    """
    numbers = np.asarray(array)
    if not numbers.size:
        return f"empty, {_shape(numbers.shape)}"
    if numbers.size <= limit or numbers.dtype.kind not in "biufc":
        if numbers.size > limit:
            return _shape(numbers.shape)
        return _aligned(numbers)
    finite = np.isfinite(numbers)
    kept = numbers[finite].astype(complex if numbers.dtype.kind == "c" else float)
    words = []
    if kept.size:
        scale = np.abs(kept).max() or 1.0  # so that no square is too large
        scaled = kept / scale
        words = [f"mean {_number(scaled.mean() * scale)}", f"std {_number(scaled.std() * scale)}"]
    nans = int(np.isnan(numbers).sum())
    for count, name in ((nans, "nan"), (int((~finite).sum()) - nans, "inf")):
        if count:
            words.append(f"{count:,} {name}")
    return ", ".join([*words, _shape(numbers.shape)])


def _rule(explained: Explained, argument: str) -> str:
    """The gradient rule of an argument; the elements of a sequence share one."""
    return explained.gradients.get(argument) or explained.gradients.get(argument.partition("[")[0], "")


class _Teacher:
    """Says what happens at one op of a drawing."""

    def __init__(self, drawing: Drawing, values: Mapping[int, str], gradients: Mapping[int, str]) -> None:
        self.drawing = drawing
        self.incoming = drawing.by("head")
        self.outgoing = drawing.by("tail")
        self.values = values
        self.gradients = gradients
        #: Of each result of each vertex: from how many uses its gradient is added up.
        self.parts = Counter(
            (edge.tail, edge.result)
            for edges in self.incoming.values()
            for edge in edges
            if edge.differentiable and drawing.vertices[edge.head].kind != "output"
        )
        self.added: Counter[tuple[int, int | None]] = Counter()  # how many of them were seen

    def forward(self, i: int) -> Step:
        edges = self.incoming.get(i, [])
        numbers = [(self.name(edge), self.values[edge.tail]) for edge in edges if edge.tail in self.values]
        result = self.numbers(self.values, i)
        if result is not None:
            numbers.append(("out", result))
        shapes = tuple(_shape(edge.value.shape) for edge in edges)
        return Step(i, "forward", self.title(i), self.formula(i), (), shapes, self.results(i), tuple(numbers))

    def backward(self, i: int) -> Step:
        explained = self.drawing.ops.get(self.drawing.vertices[i].op, _NOTHING)
        rules: list[str] = []
        shapes: list[str] = []
        numbers: list[tuple[str, str]] = []
        coming = self.numbers(self.gradients, i)
        if coming is not None:
            numbers.append(("g (gradient of out)", coming))
        if joined := self.joined(i):
            rules.append(clean(f"g comes back through {', '.join(reversed(joined))} first", _WORDS))
        repeated = self.repeated(i)
        for edge in self.targets(i):
            self.added[edge.tail, edge.result] += 1
            seen, parts = self.added[edge.tail, edge.result], self.parts[edge.tail, edge.result]
            note = f"(part {seen} of {parts}, which are added up)" if parts > 1 else ""
            rule = _rule(explained, edge.argument)
            if rule and "Σ" not in rule and edge.value.shape in repeated:
                rule = f"{rule}, summed to {_shape(edge.value.shape)}"
            if rule or note:
                words = f"{edge.argument}: {rule}" if rule else edge.argument
                rules.append(clean(f"{words} {note}".strip(), _WORDS))
            shapes.append(_shape(edge.value.shape))
            if seen == parts and edge.tail in self.gradients:  # before that it is not all there
                numbers.append((f"gradient of {self.name(edge)}", self.gradients[edge.tail]))
        result = self.results(i)
        shapes_in = (result,) if result else ()
        return Step(
            i, "backward", self.title(i), self.formula(i), tuple(rules), shapes_in, ", ".join(shapes), tuple(numbers)
        )

    def repeated(self, i: int) -> set[tuple[int, ...]]:
        """The shapes of inputs that were broadcast to the shape of the result: their gradients are summed back."""
        shapes = {edge.value.shape for edge in self.incoming.get(i, [])}
        results = {edge.value.shape for edge in self.outgoing.get(i, [])}
        try:
            broadcast = np.broadcast_shapes(*shapes)
        except ValueError:
            return set()
        return shapes - {broadcast} if results == {broadcast} else set()

    def targets(self, i: int) -> list[Edge]:
        """The edges into an op along which a gradient flows back."""
        return [edge for edge in self.incoming.get(i, []) if edge.differentiable]

    def numbers(self, known: Mapping[int, str], i: int) -> str | None:
        """The numbers of an op's result, if they are known: at the op itself or at an output."""
        ends = [edge.head for edge in self.outgoing.get(i, []) if self.drawing.vertices[edge.head].kind == "output"]
        return next((known[at] for at in (i, *ends) if at in known), None)

    def title(self, i: int) -> str:
        vertex = self.drawing.vertices[i]
        title = clean(", then ".join(vertex.title.splitlines()), _WORDS)
        name = clean(vertex.op, _WORDS)
        return f"{title} ({name})" if name and not any(letter.isalpha() for letter in title) else title

    def formula(self, i: int) -> str:
        vertex = self.drawing.vertices[i]
        formula = self.drawing.ops.get(vertex.op, _NOTHING).formula or "".join(vertex.details[:1])
        return clean(", then ".join([formula, *self.joined(i)]), _WORDS)

    def joined(self, i: int) -> list[str]:
        """The ops drawn in the same box after the op itself, such as an activation."""
        vertex = self.drawing.vertices[i]
        return vertex.title.splitlines()[1:] if vertex.kind == "op" else []

    def name(self, edge: Edge) -> str:
        """What an input is called: the argument, and what is given for it."""
        source = clean(self.drawing.vertices[edge.tail].title, 24)
        return f"{clean(edge.argument, 24)} ({source})" if edge.argument else source

    def results(self, i: int) -> str:
        """The shapes of the results, each once."""
        found: dict[int | None, Value] = {}
        for edge in self.outgoing.get(i, []):
            found.setdefault(edge.result, edge.value)
        return ", ".join(_shape(found[key].shape) for key in sorted(found, key=lambda key: key or 0))


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _number(x: object) -> str:
    """A number in about three digits."""
    if isinstance(x, (bool, np.bool)):
        return str(bool(x))
    if isinstance(x, (int, np.integer)):
        return str(int(x))
    if not isinstance(x, (float, complex, np.inexact)):
        return clean(str(x), 24)
    text = f"{x + 0:.3g}"  # no minus zero
    return text.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")


def _aligned(numbers: Array) -> str:
    """The numbers in brackets, below each other by their decimal points."""
    texts = [_number(x) for x in numbers.ravel()]
    if not numbers.ndim:
        return texts[0]
    # nan and inf have no decimal point, nor is it of use in numbers of very different sizes.
    plain = [text for text in texts if text.lstrip("-").replace(".", "").isdigit()]
    if not any("e" in text or "j" in text for text in texts) and plain:
        lefts = [len(text.partition(".")[0]) for text in plain]
        whole = max(lefts)
        rest = max(len(text) - left for text, left in zip(plain, lefts, strict=True))
        texts = [_at_point(text, whole, rest) if text in plain else text for text in texts]
    width = max(map(len, texts))
    padded = [text.rjust(width) for text in texts]
    boxed = np.empty(numbers.shape, dtype=object)
    boxed.ravel()[:] = padded
    return np.array2string(boxed, formatter={"all": str}, max_line_width=10_000, threshold=numbers.size + 1)


def _at_point(text: str, whole: int, rest: int) -> str:
    left, point, right = text.partition(".")
    return left.rjust(whole) + (point + right).ljust(rest)
