"""What was compiled, in words: for `compiled.explain()`, and for the warning that too much is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tapenet.compiler.connected import InGraph
from tapenet.compiler.lowering import Called
from tapenet.compiler.places import MISSING, Read
from tapenet.compiler.signature import Parameters, in_words, shortly
from tapenet.compiler.variant import Variant
from tapenet.program.groups import BY_C, LAUNCHED, Groups
from tapenet.program.ir import Instruction, Program
from tapenet.program.passes import Step
from tapenet.program.text import text

#: How many values of something that keeps changing are told.
_SHOWN = 3
#: How many arguments, and ops that are called as they are, the short form lists.
_FEW = 8


class Explanation:
    """What `compiled.explain()` gives: an object to be printed.

    Attributes:
        title: the function's name.
        backend: which one runs the programs.
        variants: the programs, in order.
        parameters: the names of the arguments.
        full: whether the programs are shown, and all that the backend made of them.
    """

    def __init__(
        self, title: str, backend: str, variants: tuple[Variant, ...], parameters: Parameters, in_graph: Sequence[InGraph],
        full: bool,
    ) -> None:  # fmt: skip
        self.title = title
        self.backend = backend
        self.variants = variants
        self.parameters = parameters
        self.full = full
        self._in_graph = in_graph

    def __str__(self) -> str:
        count = len(self.variants)
        lines = [f"{self.title}: {count} program{'' if count == 1 else 's'}, backend {self.backend}"]
        if not count:
            lines.append("Nothing is compiled before the first call.")
        told = Counter(map(_in_words, self._in_graph))
        lines += [
            f"{n} kind{'s' if n > 1 else ''} of calls that are part of a graph: {words}" for words, n in told.items()
        ]
        for number, variant in enumerate(self.variants, 1):
            lines += ["", f"-- program {number} " + "-" * 60, *_variant(variant, self.parameters, self.full)]
        if count and not self.full:
            lines += ["", "explain(full=True) shows the programs and what the backend made of them."]
        return "\n".join(lines)

    __repr__ = __str__


def _in_words(kind: InGraph) -> str:
    """How calls of a kind that is part of a graph run."""
    if kind.plain:
        return f"uncompiled, since {kind.plain}"
    return "one node, with a compiled gradient" if kind.linked else "made once, uncompiled"


class Work(NamedTuple):
    """How much a program computes and moves.

    Attributes:
        products: multiplications with an addition in matrix products, n*k*m for each.
        elements: elements that elementwise instructions and reductions compute or take in.
        least: bytes that must be moved in any case: arguments, tensors from outside, results and writes, each once.
        most: bytes if every instruction read its arguments from memory and wrote its results there.
    """

    products: int
    elements: int
    least: int
    most: int


def work(program: Program) -> Work:
    """How much a program computes and moves."""
    products = elements = most = 0
    for instruction in program.body:
        if instruction.kind == "product":
            products += _multiply_adds(instruction)
        elif instruction.kind in ("elementwise", "reduction"):
            elements += max(value.size for value in (*instruction.args, *instruction.results))
        if instruction.kind != "view":
            most += sum(value.nbytes for value in (*instruction.args, *instruction.results))
    ends = {*program.inputs, *program.hosts, *program.references, *program.constants}
    written = [write.value for write in program.writes]
    return Work(products, elements, sum(v.nbytes for v in (*ends, *program.outputs, *written)), most)


def _multiply_adds(instruction: Instruction) -> int:
    a = instruction.args[0]
    k = a.shape[-2 if instruction.params.get("ta") else -1]
    return instruction.results[0].size * k


def _variant(variant: Variant, parameters: Parameters, full: bool) -> list[str]:
    shape, grad, debug, low = variant.key
    told = [f"{path}: {in_words(e)}" for path, e in parameters.entries(shape).items()]
    lines = ["arguments: " + ("; ".join(_some(told, full)) or "none")]
    scopes = ["tn.no_grad()"] * (not grad) + ["tn.debug()"] * debug + [f"tn.autocast({str(low)!r})"] * (low is not None)
    if scopes:
        lines.append("under " + " and ".join(scopes))
    found = work(variant.program)
    lines += [
        f"{found.products:,} multiply-adds in matrix products, {found.elements:,} elements computed one by one",
        f"{size_in_words(found.least)} go in and out; {size_in_words(found.most)} would if every instruction used memory",
        f"{len(variant.captured.body)} instructions captured, {len(variant.program.body)} after all passes"
        + _passes(variant.simplified.steps),
    ]
    frozen = len(variant.captured.references)
    if frozen and not variant.program.references:
        lines.append(f"frozen: what was in {frozen} tensors from outside is part of it")
    integers = sum(i.name == "quantized_convolve" for i in variant.program.body)
    if integers:
        lines.append(f"quantized: {integers} convolutions and products are computed in integers of 8 bits")
    calls = Counter(_calls(variant.runner.groups()))
    launched = {name: n for (name, alone), n in calls.items() if alone and not calls[name, False]}
    if launched:
        names = [name + _times(n) for name, n in launched.items()]
        lines.append("run without Python, by kernels or C functions of their own: " + ", ".join(_some(names, full)))
    left = [c for c in variant.called if c.op.name not in launched]
    if left:
        lines.append("called as they are:")
        called = [f"{name}{_times(n)}: {why}" for (name, why), n in _called(left)]
        lines += [f"  {line}" for line in _some(called, full)]
    looped = [f"{name} ({size} lanes)" for name, size in _looped(variant.program)]
    if looped:
        lines.append("called once for each lane, having no vmap= that fits:")
        lines += [f"  {line}" for line in _some(looped, full)]
    lines += ["backend:", *(f"  {line}" for line in variant.runner.report(full).splitlines())]
    if not full:
        return lines
    return [*lines, "", "captured", text(variant.captured), "", "after all passes", text(variant.program)]


def _some(lines: list[str], full: bool) -> list[str]:
    """All lines, or a few and how many there are beside."""
    return lines if full or len(lines) <= _FEW else [*lines[:_FEW], f"and {len(lines) - _FEW} more"]


def _passes(steps: list[Step]) -> str:
    removed: Counter[str] = Counter()
    for step in steps:
        removed[step.name] += step.before - step.after
    text = ", ".join(f"{name} {-n:+d}" if n else f"{name} changed some" for name, n in removed.items())
    return f" ({text})" if text else ""


def _times(count: int) -> str:
    return f" ({count} times)" if count > 1 else ""


def _calls(groups: Groups) -> Iterator[tuple[str, bool]]:
    """The ops that a program calls, each with whether it runs them without Python."""
    for group in groups.groups:
        for instruction in group.instructions:
            if instruction.name == "call":
                yield instruction.params["op"].name, group.how in (LAUNCHED, BY_C)
    for bodies in groups.bodies.values():
        for body in bodies:
            yield from _calls(body)


def _called(called: Iterable[Called]) -> list[tuple[tuple[str, str], int]]:
    return list(Counter((c.op.name, c.reason) for c in called).items())


def _looped(program: Program) -> Iterator[tuple[str, int]]:
    """The ops that a program calls lane by lane, and how many lanes there are."""
    for instruction in program.body:
        if "lanes" in instruction.params:
            yield instruction.params["lanes"], instruction.params["length"]
        for body in instruction.params.values():
            if isinstance(body, Program):
                yield from _looped(body)


def size_in_words(count: int) -> str:
    """A number of bytes."""
    if count < 1024:
        return f"{count} bytes"
    power = min(int(math.log(count, 1024)), 3)
    return f"{count / 1024**power:.1f} {('', 'KB', 'MB', 'GB')[power]}"


# -- what keeps changing -----------------------------------------------------------------------------------------


def keeps_changing(variants: Sequence[Variant], parameters: Parameters) -> str:
    """What the programs of one function differ in, and the fix, in words."""
    seen: dict[str, list[str]] = {}
    fixes: dict[str, None] = {}

    def note(what: str, values: Iterable[str], fix: str) -> None:
        distinct = list(dict.fromkeys(values))
        if len(distinct) > 1:
            more = ", ..." if len(distinct) > _SHOWN else ""
            seen[what] = distinct
            lines.append(f"{what} ({', '.join(distinct[:_SHOWN])}{more})")
            fixes[fix] = None

    lines: list[str] = []
    calls = [parameters.entries(v.key[0]) for v in variants]
    for path in dict.fromkeys(path for call in calls for path in call):
        parts = [call[path] for call in calls if path in call]
        arrays = [p for p in parts if p[0] == "array"]
        if len(arrays) < len(parts):
            numbers = all(p[0] == "static" and p[1] in (int, float) for p in parts)
            note(f"the value of {path}", map(in_words, parts), _NUMBER.format(path=path) if numbers else _VALUE)
            continue
        note(f"the shape of {path}", (str(p[1]) for p in arrays), _SHAPE)
        note(f"the dtype of {path}", (str(p[2]) for p in arrays), _DTYPE)
        note(f"the memory order of {path}", (str(p[3] or "row-major") for p in arrays), _ORDER)
        note(f"requires_grad of {path}", (str(p[4] is not None) for p in arrays), _VALUE)
    if len({tuple(call) for call in calls}) > 1:
        lines.append("which arguments there are")
        fixes[_VALUE] = None
    note("the gradient mode", ("on" if v.key[1] else "off" for v in variants), _VALUE)
    note("tn.autocast", ("off" if v.key[-1] is None else str(v.key[-1]) for v in variants), _VALUE)
    note("which gradients are None at the call", (str(len(v.plan.absent)) for v in variants), _GRADS)
    for words, values in _names(variants).items():
        note(words, values, _OUTSIDE)
    for words, values in _states(variants).items():
        note(words, values, _STATE)
    if any(v.redone is not None for v in variants):
        lines.append("how many elements values select, as a mask does")
        fixes[_SIZES] = None
    if not lines:
        return "Nothing that is known changed between them; tensors may have been given other storage."
    return f"What keeps changing: {'; '.join(lines)}. {' '.join(fixes)}"


_SHAPE = "For a last batch that is smaller, drop it (drop_last=True) or pad it, and mask the rows that do not count."
_DTYPE = "Convert arrays to one dtype before the call."
_ORDER = "Bring arrays into one memory order before the call, np.ascontiguousarray(array)."
_NUMBER = "Give a number that changes as an array or a NumPy number, np.float32({path})."
_VALUE = "Give what changes as an array, or raise max_variants."
_GRADS = "Call zero_grad() before backward(), or set gradients to None at the same place each time."
_SIZES = "Keep the shape, np.where(mask, x, 0) in place of x[mask]."
_OUTSIDE = "Pass what changes as an argument, an array or a NumPy number."
_STATE = "Keep modes, attributes and options as they are from call to call, or raise max_variants."


def _names(variants: Sequence[Variant]) -> dict[str, list[str]]:
    """What stood behind the names that the function reads."""
    found: dict[str, list[str]] = {}
    for variant in variants:
        for place, value in zip(variant.places, variant.values, strict=True):
            if isinstance(place, Read) and place.free:
                continue
            plain = value is MISSING or isinstance(value, (int, float, str, tuple, type(None)))
            found.setdefault(place.words, []).append(
                shortly(value) if plain else f"{type(value).__name__} at {id(value):#x}"
            )
    return found


def _states(variants: Sequence[Variant]) -> dict[str, list[str]]:
    """What the programs depend on: attributes of modules by name, and whatever else tells a state."""
    found: dict[str, list[str]] = {}
    for variant in variants:
        for owner, _, state in variant.dependencies:
            title = type(owner).__name__
            if isinstance(state, tuple) and all(isinstance(s, tuple) and len(s) == 2 for s in state):
                for name, value in state:
                    found.setdefault(f"{title}.{name}", []).append(shortly(_plain(value)))
            else:
                found.setdefault(f"the state of {title}", []).append(shortly(state))
    return found


def _plain(value: object) -> object:
    """The value in a fingerprint that tells its type too."""
    return value[1] if isinstance(value, tuple) and value and isinstance(value[0], type) else value


__all__ = ["Explanation", "Work", "keeps_changing", "size_in_words", "work"]
