"""One program of a compiled function: what it holds for, and the code of a call.

What happens around the program at each call (checks, gradients in and out, results in their structure) is the same
few lines every time, so they are written down once per program, as Python with names of this module's only.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from tapenet.autodiff.node import Leaf, Node, hooks_of
from tapenet.autodiff.observe import epoch, mutation
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.lowering import Called
from tapenet.compiler.places import MISSING, Elements, Held, Place, Read
from tapenet.compiler.signature import Call, Key, is_array
from tapenet.ops.tracebacks import hide
from tapenet.program import generated
from tapenet.program.backend import Inline, Runner
from tapenet.program.ir import Program
from tapenet.program.layout import in_order
from tapenet.program.passes import Simplified
from tapenet.program.trees import NAMED, Parts, Structure, container
from tapenet.program.value_keys import distinct
from tapenet.typing import Array

#: What the code of a call gives when its program is not for these arguments, or not for the state there is now.
MISS: object = object()
#: A leaf: one from outside, or the position of one among those of the arguments.
Target = Leaf | int
#: How the code of a call treats an argument: "array", `Leaf`, the type of a NumPy number, or "static"; a nested one by its
#: type, its keys or length, and the kinds inside.
Kind: TypeAlias = "str | type | tuple[type, tuple[object, ...] | int, tuple[Kind, ...]]"
#: What a program depends on: an owner, a function that tells its state, and what that told.
Dependency = tuple[object, Callable[[], object], object]


class Result(NamedTuple):
    """Stands among the leaves of the results for an output of the program."""

    output: int
    #: Whether it is an ndarray rather than a tensor.
    plain: bool


class Plan(NamedTuple):
    """What a call does beside running the program.

    Attributes:
        results: the leaves of the results, with a `Result` in place of each array.
        structure: the structure of the results.
        absent: leaves whose gradient is None as the call begins.
        entries: leaves whose gradient as the call begins is an input of the program, after the arguments.
        grads: leaves whose gradient is set, with the output that it is, or None.
        written: positions of arrays among the arguments that get a new value, with the output that it is.
    """

    results: list[object]
    structure: Structure
    absent: list[Target]
    entries: list[Target]
    grads: list[tuple[Target, int | None]]
    written: list[tuple[int, int]]


class Missing(Protocol):
    """What a program is called through."""

    def missed(self, args: tuple[object, ...], kwargs: dict[str, object]) -> object: ...


@dataclass(eq=False)
class Variant:
    """A program, and when and how it is run.

    Attributes:
        key: the arguments it is for (`Call.key`), and the thread's switches.
        captured: the program as it was captured.
        simplified: the same after all passes.
        called: ops that are called as they are, and why.
        runner: what the backend made of it.
        plan: what a call does beside.
        dependencies: what it holds for: owners, functions that tell their state, and what these told.
        places, values: names that the function reads, and what stood behind them.
        redone: None; or, if it raises `Resized` where values say another number of elements than when it was captured, the
            generators to put back then.
        fast: the code of a call, `fast(self, *args, **kwargs)`: it is the `__call__` of a compiled function. Where it does
            not apply it gives what `missed` gives for these.
    """

    title: str
    key: Key
    captured: Program
    simplified: Simplified
    called: list[Called]
    runner: Runner
    plan: Plan
    dependencies: list[Dependency]
    places: list[Held]
    values: list[Any]
    redone: list[np.random.Generator] | None
    fast: Callable[..., object] | None = None

    def __post_init__(self) -> None:
        #: Tensors from outside, with their leaves, and the hooks on these.
        self._outside = [(r.tensor, r.tensor._node, hooks(r.tensor._node)) for r in self.captured.references]
        self._references = self.runner.references
        self._targets = self.runner.written
        #: The arrays of the references for which the runner was made ready.
        self._arrays: list[Array] | None = None
        #: `epoch.current` when it was last seen to hold.
        self._epoch = -1
        self.by = f"the compiled {self.title}"
        #: Notes that the program wrote what it writes.
        self._wrote = mutation.Writer(self.by, []).wrote
        self._makers: dict[object, Callable[..., Callable[..., object]]] = {}
        self._run: Callable[..., object] = never

    @property
    def program(self) -> Program:
        """The program after all passes."""
        return self.simplified.program

    # -- whether it fits -----------------------------------------------------------------------------------------

    def holds(self, but_read: bool = False) -> bool:
        """Whether all it was made for, beside the arguments, is as it was. With `but_read`, arrays that ops read may have
        changed."""
        reached = epoch.current
        for i, place in enumerate(self.places):
            if not (place.stands(self.values[i]) or (but_read and isinstance(place, Read))):
                now: Any = place.get()
                if not place.like(self.values[i], now):
                    return False
                self.values[i] = now
        if reached != self._epoch:
            for tensor, node, before in self._outside:
                if tensor._node is not node or hooks(node) != before:
                    return False
            if any(fingerprint() != value for _, fingerprint, value in self.dependencies):
                return False
            if not self._bound():
                return False
            self._epoch = reached
        return True

    def _bound(self) -> bool:
        """Whether the program can work on the memory of its references. It is looked up anew if it has changed."""
        arrays = [r.tensor._data for r in self._references]
        if self._arrays is not None and all(map(operator.is_, arrays, self._arrays)):
            return True
        self._arrays = None
        for reference, array in zip(self._references, arrays, strict=True):
            if array.shape != reference.shape or array.dtype != reference.dtype:
                return False
        if not self.runner.refresh():
            return False
        regions = _regions([target.tensor._data for target in self._targets])
        self._wrote = mutation.Writer(self.by, regions).wrote
        self._run = self._code(None)(self._wrote, -1, (), ())
        self._arrays = arrays
        return True

    def free(self) -> None:
        """Stop comparing the arrays that have changed by now and that ops read: the program holds for any elements of them."""
        for place, value in zip(self.places, self.values, strict=True):
            if isinstance(place, Read) and not place.stands(value):
                place.free = True
        self._makers.clear()
        self.fast = None

    def begins_with(self, leaves: list[Leaf]) -> bool:
        """Whether the same gradients are None as when the program was made."""
        plan = self.plan
        if any(_leaf(target, leaves).grad is not None for target in plan.absent):
            return False
        return all(_leaf(target, leaves).grad is not None for target in plan.entries)

    # -- the call ------------------------------------------------------------------------------------------------

    def run(self, call: Call) -> object:
        """Run the program for a call that it fits, and which it holds for."""
        return self.on(call.arrays, call.leaves)

    def on(self, arrays: Sequence[Array], leaves: Sequence[Leaf]) -> object:
        """The same for the arrays and leaves of such a call."""
        result = self._run(arrays, leaves)
        assert result is not MISS, "a program does not take the arguments that it was made for"
        return result

    def specialise(self, call: Call) -> None:
        """Make `fast` for calls like this one."""
        statics: list[object] = []
        kinds = tuple(_kind(value, statics) for value in call.args)
        twice = len(call.leaves) != _count(kinds, Leaf)
        if call.kwargs or twice or self.key[-1] is not None:  # None: outside `autocast`, as `fast` is
            self.fast = None
            return
        self.fast = self._code(kinds)(self._wrote, self._epoch, self.values, statics)

    def _code(self, kinds: tuple[Kind, ...] | None) -> Callable[..., Callable[..., object]]:
        made = self._makers.get(kinds)
        if made is None:
            made = self._makers[kinds] = _Writer(self).make(kinds)
        return made


def hooks(node: Node | None) -> list[int]:
    """The hooks on the gradient of a leaf, which were recorded as they were."""
    return [] if node is None else list(hooks_of(node))


def missed(owner: Missing | None, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    """What a call gives where the code of a program does not apply: `MISS`, or, where the code is what is called, what its
    owner has for such calls. Arguments that were left out are `MISS`."""
    return MISS if owner is None else owner.missed(tuple(a for a in args if a is not MISS), kwargs)


def never(*args: object) -> object:
    """The code of a call that applies to none."""
    return MISS


def _leaf(target: Target, leaves: Sequence[Leaf]) -> Leaf:
    return leaves[target] if isinstance(target, int) else target


def _kind(value: Any, statics: list[object]) -> Kind:
    """The kind of an argument. What is static is added to `statics`."""
    kind = type(value)
    if kind is Tensor:
        return Leaf if type(value._node) is Leaf else "array"
    if is_array(value):
        return kind if isinstance(value, np.generic) else "array"
    if kind is dict:
        return dict, tuple(value), tuple(_kind(v, statics) for v in value.values())
    found = container(kind)
    if kind in (tuple, list) or found is NAMED:
        return kind, len(value), tuple(_kind(v, statics) for v in value)
    if found is not None and value is not None:
        values, names, static = found.apart(value)
        return kind, Parts((), names, (static, distinct(static))), tuple(_kind(v, statics) for v in values)
    statics.append(value)
    return "static"


def _count(kinds: tuple[Kind, ...], wanted: Kind) -> int:
    """How often a kind is among nested ones."""
    return sum(_count(k[2], wanted) if isinstance(k, tuple) else int(k is wanted) for k in kinds)


def _regions(arrays: list[Array]) -> list[mutation.Region]:
    """The memory of arrays. Neighbours, such as the parameters of an optimizer, become one piece."""
    found: list[mutation.Region] = []
    for region in sorted(map(mutation.region, arrays), key=lambda r: r.first):
        last = found[-1] if found else None
        if last is not None and last.layout is None and region.layout is None and region.first <= last.end:
            found[-1] = mutation.Region(last.first, max(last.end, region.end))
        else:
            found.append(region)
    return found


class _Writer:
    """Writes the code of a call.

    Its names: `aN` the arrays of the arguments, `nN` the leaves among them, `eN` gradients at entry, `oN` the
    program's outputs, `tN` tensors around them, `cN` constants, which hold whatever is the user's.
    """

    def __init__(self, variant: Variant) -> None:
        self._variant = variant
        self._plan = variant.plan
        self._count = len(variant.captured.inputs) - len(variant.plan.entries)
        self._lines: list[str] = []
        self._names: dict[str, object] = {
            "Leaf": Leaf, "MISS": MISS, "Tensor": Tensor, "asarray": np.asarray, "by": variant.by,
            "copyto": np.copyto, "in_order": in_order, "local": local, "ndarray": np.ndarray, "epoch": epoch,
            "wrote_to": mutation.wrote, "Parts": Parts, "distinct": distinct,
            "program": variant.runner.call, "recent": variant.runner.recent, "otherwise": variant.runner.otherwise,
            "hide": hide, "missed": missed,
        }  # fmt: skip

    def make(self, kinds: tuple[Kind, ...] | None) -> Callable[..., Callable[..., object]]:
        """The code for arguments of these kinds, or for None that of a function of arrays and leaves; as a function of
        what may change: what notes its writes, epoch, what is behind the names, static values."""
        #: The line of the text that the first of the lines will be.
        self._first = 3 if kinds is None else 6
        if kinds is None:
            head = "def run(arrays, leaves):"
            self._line(f"{''.join(f'a{i}, ' for i in range(self._count)) or '()'} = arrays")
            for i in sorted({t for t in self._targets() if isinstance(t, int)}):
                self._line(f"n{i} = leaves[{i}]")
            entry = "in_order({}._data, {})"
        else:
            names = [f"args_{i}" for i in range(len(kinds))]
            head = f"def fast(self, {''.join(f'{n}=MISS, ' for n in names)}/, *more, **kwargs):"
            self._check(kinds)
            entry = "{}._data"  # which the program refuses where it lies in another way
        self._body(entry)
        if kinds is not None:
            lines = (
                line.replace("return MISS", f"return missed(self, ({''.join(f'{n}, ' for n in names)}*more,), kwargs)")
                for line in self._lines
            )
            self._lines = ["try:", *(f"    {line}" for line in lines), "except Exception as error: hide(error); raise"]
        values = "".join(f"g{i}, " for i in range(len(self._variant.places)))
        text = ["def make(wrote, known, values, statics):"]
        if kinds is not None:
            statics = "".join(f"s{i}, " for i in range(_count(kinds, "static")))
            text += [f"    {values or '()'} = values", f"    {statics or '()'} = statics"]
        text += [
            f"    {head}",
            *(f"        {line}" for line in self._lines),
            f"    return {head[4:].partition('(')[0]}",
        ]
        return generated.function("make", "\n".join(text) + "\n", self._names, "tapenet call")

    def _line(self, text: str) -> None:
        self._lines.append(text)

    def _constant(self, value: object) -> str:
        name = f"c{len(self._names)}"
        self._names[name] = value
        return name

    def _targets(self) -> list[Target]:
        plan = self._plan
        return [*plan.absent, *plan.entries, *(target for target, _ in plan.grads)]

    def _leaf(self, target: Target) -> str:
        return f"n{target}" if isinstance(target, int) else self._constant(target)

    # -- whether it applies --------------------------------------------------------------------------------------

    def _check(self, kinds: tuple[Kind, ...]) -> None:
        self._line("if epoch.current != known: return MISS")
        self._line("state = local.state")
        self._line(f"if not state.fast or state.grad is not {self._variant.key[1]}: return MISS")
        self._guard()
        self._arrays = self._leaves = self._statics = 0
        self._line("if more or kwargs: return MISS")  # what was left out is found to be of another kind
        for i, kind in enumerate(kinds):
            self._take(f"args_{i}", kind)

    def _take(self, name: str, kind: Kind) -> None:
        """Check an argument, and take the arrays and leaves out of it."""
        if isinstance(kind, tuple):
            self._take_apart(name, *kind)
            return
        if kind == "static":
            self._line(f"if {name} is not s{self._statics}: return MISS")
            self._statics += 1
            return
        array, leaf = f"a{self._arrays}", f"n{self._leaves}"
        value = self._variant.captured.inputs[self._arrays]
        self._arrays += 1
        if kind == "array":
            # Where nothing is recorded, a tensor inside a graph is an array like any other.
            inside = f"{name}._node is not None" if self._variant.key[1] else f"type({name}._node) is Leaf"
            self._line(f"if type({name}) is Tensor:")
            self._line(f"    if {inside}: return MISS")
            self._line(f"    {array} = {name}._data")
            other = f"{name} is MISS" if self._variant.runner.checks else f"type({name}) is not ndarray"
            self._line(f"elif {other}: return MISS")
            self._line(f"else: {array} = {name}")
        elif kind is Leaf:
            others = "".join(f" or {leaf} is n{i}" for i in range(self._leaves))
            self._leaves += 1
            self._line(f"if type({name}) is not Tensor: return MISS")
            self._line(f"{leaf} = {name}._node")
            self._line(f"if type({leaf}) is not Leaf{others}: return MISS")
            self._line(f"{array} = {name}._data")
        else:
            self._line(f"if type({name}) is not {self._constant(kind)}: return MISS")
            self._line(f"{array} = asarray({name})")
        if not self._variant.runner.checks:
            self._line(
                f"if {array}.shape != {value.shape!r} or {array}.dtype is not {self._constant(value.dtype)}: return MISS"
            )

    def _take_apart(self, name: str, kind: type, keys: tuple[object, ...] | int, kinds: tuple[Kind, ...]) -> None:
        names = [f"{name}_{i}" for i in range(len(kinds))]
        if isinstance(keys, Parts):
            self._line(f"if type({name}) is not {self._constant(kind)}: return MISS")
            self._line(f"{name}_v, {name}_n, {name}_s = {self._constant(container(kind))}.apart({name})")
            self._line(
                f"if len({name}_v) != {len(kinds)} or {name}_n != {self._constant(keys.names)} "
                f"or ({name}_s, distinct({name}_s)) != {self._constant(keys.static)}: return MISS"
            )
            if names:
                self._line(f"{', '.join(names)}, = {name}_v")
        elif isinstance(keys, tuple):
            self._line(f"if type({name}) is not dict or tuple({name}) != {self._constant(keys)}: return MISS")
            for inner, key in zip(names, keys, strict=True):
                self._line(f"{inner} = {name}[{self._constant(key)}]")
        else:
            self._line(f"if type({name}) is not {self._constant(kind)} or len({name}) != {keys}: return MISS")
            if names:
                self._line(f"{', '.join(names)}, = {name}")
        for inner, inside in zip(names, kinds, strict=True):
            self._take(inner, inside)

    def _guard(self) -> None:
        """Check that the names which the function reads stand for the same as at the capture."""
        tests = []
        for i, (place, value) in enumerate(zip(self._variant.places, self._variant.values, strict=True)):
            if isinstance(place, Read) and place.free:
                continue
            if isinstance(place, Elements) and place.memory is not None:
                tests.append(f"not g{i}.startswith({self._constant(place.memory)})")
            elif not isinstance(place, Place):
                tests.append(f"not {self._constant(place.stands)}(g{i})")
            elif place.cell is not None:
                tests.append(f"{self._constant(place.cell)}.cell_contents is not g{i}")
            elif value is MISSING:
                tests.append(f"{self._constant(place.name)} in {self._constant(place.holder)}")
            else:
                tests.append(f"{self._constant(place.holder)}[{self._constant(place.name)}] is not g{i}")
        if tests:
            self._line("try:")
            self._line(f"    if {' or '.join(tests)}: return MISS")
            self._line("except (KeyError, ValueError, RuntimeError): return MISS")  # another thread is changing it

    # -- what it does --------------------------------------------------------------------------------------------

    def _body(self, entry: str) -> None:
        plan = self._plan
        for target in plan.absent:
            self._line(f"if {self._leaf(target)}.grad is not None: return MISS")
        arguments = [f"a{i}" for i in range(self._count)]
        for i, target in enumerate(plan.entries):
            self._line(f"e{i} = {self._leaf(target)}.grad")
            self._line(f"if e{i} is None: return MISS")
            order = self._variant.captured.inputs[self._count + i].order
            arguments.append(entry.format(f"e{i}", order))
        outputs = [f"o{i}" for i in range(len(self._variant.captured.outputs))]
        inline = self._variant.runner.inline
        if inline is not None:
            self._inline(inline, arguments, outputs)
        else:
            self._call(arguments, outputs)
        for target, output in plan.grads:
            self._line(f"{self._leaf(target)}.grad = {'None' if output is None else self._tensor(output)}")
        for position, output in plan.written:
            self._line(f"copyto(a{position}, o{output}); wrote_to(a{position}, by)")
        if self._variant.runner.written:
            self._line("wrote()")
        self._line(f"return {self._expression(plan.structure, iter(plan.results))}")

    def _call(self, arguments: Sequence[str], outputs: Sequence[str]) -> None:
        """Call the program."""
        given = ", ".join(arguments)
        if self._variant.runner.checks and arguments:
            self._line(f"outputs = recent[0]({given}, False)")
            self._line("if outputs is NotImplemented:")
            self._line(f"    outputs = otherwise({given})")
            self._line("    if outputs is None: return MISS")
        else:
            self._line(f"outputs = program({given})")
        if outputs:
            self._line(f"{', '.join(outputs)}, = outputs")

    def _inline(self, inline: Inline, arguments: Sequence[str], outputs: Sequence[str]) -> None:
        """Do what the program does."""
        self._names |= {**inline.space, "note": inline.note}
        for name, argument in zip(inline.inputs, arguments, strict=True):
            self._line(f"{name} = {argument}")
        first = self._first + len(self._lines) + 1
        self._lines += ["try:", *(f"    {line}" for line in inline.lines or ["pass"])]
        self._line(f"except Exception as error: note(error, error.__traceback__.tb_lineno - {first}); raise")
        for name, result in zip(outputs, inline.outputs, strict=True):
            self._line(f"{name} = {result}")

    def _tensor(self, output: int) -> str:
        self._line(f"t{output} = Tensor(); t{output}._data = o{output}; t{output}._node = None")
        return f"t{output}"

    def _expression(self, structure: Structure, leaves: Iterator[object]) -> str:
        """The results in their structure."""
        kind = structure.kind
        if kind is None:
            leaf = next(leaves)
            if type(leaf) is not Result:
                return self._constant(leaf)
            return f"o{leaf.output}" if leaf.plain else self._tensor(leaf.output)
        parts = [self._expression(part, leaves) for part in structure.parts]
        names = structure.names
        if kind is dict and names is not None:
            return "{" + ", ".join(f"{self._constant(k)}: {v}" for k, v in zip(names, parts, strict=True)) + "}"
        if kind is list:
            return f"[{', '.join(parts)}]"
        if kind is tuple:
            return f"({''.join(part + ', ' for part in parts)})"
        if container(kind) is NAMED:
            return f"{self._constant(kind)}({', '.join(parts)})"
        found = self._constant(container(kind))
        inside = f"[{', '.join(parts)}], {self._constant(names)}, {self._constant(structure.static)}"
        return f"{found}.made({self._constant(kind)}, Parts({inside}))"
