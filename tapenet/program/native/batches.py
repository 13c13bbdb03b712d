"""Chains of convolutions as loops over parts of the batch, one for each processor, whose turns threads share.

A kernel on images that is cut by itself, along rows of the maps, reads at their edges what another core has written, and waits
for that core at its end. Here a core takes some images through all of a chain: through what works on each image by itself,
forward or backward, and through sums over the batch, of which each turn gives its own. These are added up in the order of the
parts, so results are the same for any number of threads. On two threads the step of a small network (28x28, 8 and 16 channels,
64 images) takes 0.84 of the time so, that of a VGG-like one (32x32, 32 to 64 channels, 32 images) 0.95, and on one 0.99.

A chain ends where images are mixed: in front of a dense layer, at a batch norm. A program whose chains are short stays as it is
(a ResNet-18 with a batch norm behind each convolution takes as long either way, a MobileNet 1.2 times as long).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from tapenet.llvm.processor import processors, registers
from tapenet.program.ir import Builder, Constant, Input, Instruction, Program, Value, Write
from tapenet.program.layout import Layouts, Order, ordered_strides
from tapenet.program.native import launches, pieces

#: Images of a part at least: a quarter of the batch in place of a half makes one thread 1.03 times as slow.
IMAGES = 16
#: Cycles of what a turn calls at least, and convolutions of a chain, these on average.
LEAST, CONVOLUTIONS = pieces.PART, 2
_POOLING = "tapenet.ops.layers.pooling."
_SUMS = ("reduce_add", "reduce_maximum", "reduce_minimum")


class _Cut(NamedTuple):
    """How an instruction is cut: which of its arguments are, and whether its result is a sum over the batch."""

    args: Sequence[bool]
    sums: bool = False


def run(program: Program) -> Program:
    """Put loops in the place of chains, where all of them are worth it."""
    images = [v for i in program.body for v in launches.images(i)]
    ((batch, _),) = Counter(v.shape[0] for v in images).most_common(1) or [(0, 0)]
    parts = processors()
    if not batch or parts < 2 or batch % parts or batch // parts < IMAGES:
        return program
    if batch // parts % (registers().bytes // min(v.dtype.itemsize for v in images)):
        return program  # the batch is innermost in memory, in vectors
    chains = _Chains(program, batch)
    return chains.cut(parts) or program if chains.long() else program


class _Chains:
    """The chains of a program. They are numbered; what is not cut runs before the chain of its number."""

    def __init__(self, program: Program, batch: int) -> None:
        self.program, self.batch = program, batch
        self.cuts: dict[Instruction, _Cut] = {}
        #: The number of each instruction, and of each value: what reads one as a whole comes after the chain that makes it.
        self.numbers: dict[Instruction, int] = {}
        self.made: dict[Value, int] = {}
        self.readers: dict[Value, list[Instruction]] = {}
        self.roots = set(program.roots())
        #: Images from outside that a loop gives a copy of.
        self.copied: set[Value] = set()
        whole: dict[Value, int] = {}
        last = 0  # of what keeps its order
        for i in program.body:
            found = self._cut(i)
            whole_args = i.args if found is None else [a for a, cut in zip(i.args, found.args, strict=True) if not cut]
            number = max((self.made[a] + 1 if a in self.made else whole.get(a, 0) for a in whole_args), default=0)
            if found is not None:
                self.cuts[i] = found
                number = max(number, *(self.made.get(a, whole.get(a, 0)) for a in i.args))
            elif i.stays:
                number = last = max(number, last)
            if found is None or found.sums:
                whole.update(dict.fromkeys(i.results, number + (found is not None)))
            else:
                self.made.update(dict.fromkeys(i.results, number))
            self.numbers[i] = number
            for a in i.args:
                self.readers.setdefault(a, []).append(i)
        self._later()

    def _batched(self, value: Value, axes: int = 1) -> bool:
        return value.ndim >= axes and value.shape[0] == self.batch

    def _cut(self, i: Instruction) -> _Cut | None:
        """How an instruction is cut; None for one that is not."""
        if i.name == "call":
            return self._call(i)
        if not any(a in self.made for a in i.args):
            return None
        every = [True] * len(i.args)
        if i.name in _SUMS:
            return _Cut(every, 0 in i.params["axes"])
        if i.kind == "elementwise":
            (result,) = i.results
            args = [a.ndim == result.ndim and self._batched(a) for a in i.args]
            known = any(a in self.made for a, cut in zip(i.args, args, strict=True) if cut)
            return _Cut(args) if known and self._batched(result) else None
        return _Cut(every) if all(map(self._batched, i.args)) and self._apart(i) else None

    def _apart(self, i: Instruction) -> bool:
        """Whether a view, or what is joined, shows each image by itself."""
        (arg, *_), params = i.args, i.params
        # Rows of numbers, in which images end before a dense layer, are as well shown of all of them.
        if i.name == "reshape":
            return arg.ndim > 2 < len(params["shape"]) and params["shape"][0] == self.batch
        if i.name == "transpose":
            return bool(params["axes"][0] == 0)
        if i.name == "slice":
            return bool(params["slices"][0] == (0, self.batch, 1))
        if i.name == "broadcast":
            return arg.ndim == len(params["shape"])
        return i.name == "concatenate" and params["axis"] != 0

    def _call(self, i: Instruction) -> _Cut | None:
        op, specs, images = i.params["op"], i.params["specs"], launches.images(i)
        # A convolution of a single image has no batch that could be cut.
        if i.stays or not (images or op.module.startswith(_POOLING)):
            return None
        args = [a in images if images else self._batched(a, 3) for a in i.args]
        if not images and not all(args):
            return None
        sums = op.name.endswith("_weight_grad")
        given = [r for r, spec in zip(i.results, specs, strict=True) if spec is not None]
        fits = all(self._batched(v, 3) for v in (*images, *([] if sums else given)))
        return _Cut(args, sums) if fits else None

    def _later(self) -> None:
        """Leave to a later chain what only that reads, and what is made of nothing else than it reads: a rectifier's mask."""
        for i in reversed(self.program.body):
            if i not in self.cuts or i.kind != "elementwise":
                continue
            (value,) = i.results
            readers = self.readers.get(value, ())
            if not readers or value in self.roots or not all(self._reads_parts(r, value) for r in readers):
                continue
            number = min(self.numbers[r] for r in readers)
            others = ([r for r in self.readers[a] if r is not i and r in self.cuts] for a in i.args if a in self.made)
            if number > self.numbers[i] and all(any(self.numbers[r] >= number for r in o) for o in others):
                self.numbers[i] = self.made[value] = number

    def _reads_parts(self, reader: Instruction, value: Value) -> bool:
        cut = self.cuts.get(reader)
        return cut is not None and all(part for a, part in zip(reader.args, cut.args, strict=True) if a is value)

    def long(self) -> bool:
        """Whether chains have several convolutions, and no images leave them but in front of a dense layer."""
        count = sum(bool(launches.images(i)) for i in self.cuts)
        if count < CONVOLUTIONS * len({self.numbers[i] for i in self.cuts}):
            return False
        if any(v in self.made and v.ndim > 2 for v in self.roots):
            return False
        for i in self.program.body:
            if i.name == "reshape" and i.results[0].ndim <= 2:
                continue
            if any(a in self.made and a.ndim > 2 and not self._reads_parts(i, a) for a in i.args):
                return False
        return True

    def cut(self, parts: int) -> Program | None:
        """The program with loops; None where a turn would take too little, or would call Python."""
        program, each = self.program, self.batch // parts
        builder = Builder()
        known: dict[Value, Value] = {}
        stacked: dict[Value, Value] = {}

        def now(value: Value) -> Value:
            return known.get(value, value)

        for number in range(1 + max(self.numbers.values())):
            chain = []
            for i in program.body:
                if self.numbers[i] != number:
                    continue
                if i in self.cuts:
                    chain.append(i)
                    continue
                builder.body.append(i.on(map(now, i.args)))
                known.update(zip(i.results, builder.body[-1].results, strict=True))
            if not chain:
                continue
            turn = _Turn(each)
            for i in chain:
                turn.add(i, self.cuts[i])
            if not turn.pays():
                return None
            outs = self._outs(chain, turn, number)
            args = [
                stacked[v] if v in stacked else builder.reshape(now(v), (parts, *_part(v, each))) for v in turn.slices
            ]
            args += map(now, turn.others)
            body = Program(turn.inputs(), [], turn.body.body, [turn.inside[v] for v, _ in outs], [])
            orders = tuple(order for _, order in outs)
            builder.line = chain[0].line
            results = builder.several(
                "loop", *args, body=body, carries=0, slices=len(turn.slices), length=parts, orders=orders
            )
            for (v, order), result in zip(outs, results, strict=True):
                if order is not None:
                    stacked[v] = result
                elif v in self.made:
                    known[v] = builder.reshape(result, v.shape)
                    stacked.setdefault(v, result)
                else:
                    name = v.source.name if v.source else ""
                    known[v] = builder.emit(name if name in _SUMS else "reduce_add", result, axes=(0,))
        writes = [Write(target, now(value)) for target, value in program.writes]
        return Program(program.inputs, program.hosts, builder.body, map(now, program.outputs), writes)

    def _outs(self, chain: Sequence[Instruction], turn: _Turn, number: int) -> list[tuple[Value, Order | None]]:
        """What a loop gives, and how: images with the batch innermost to other loops, all else in the usual order."""
        outs: list[tuple[Value, Order | None]] = []
        for v in (r for i in chain for r in i.results):
            readers = [r for r in self.readers.get(v, ()) if r not in self.cuts or self.numbers[r] != number]
            cut = [r for r in readers if r in self.cuts and v in self.made]
            if cut and v.ndim > 2:
                outs.append((v, _innermost(v)))
            if v in self.roots or len(readers) > len(cut) or (cut and v.ndim <= 2):
                outs.append((v, None))
        for given in turn.slices:  # images from outside, whose copies with the batch innermost others read too
            chains = {self.numbers[r] for r in self.readers[given] if given in launches.images(r)}
            if len(chains) > 1 and given not in self.made and given not in self.copied:
                outs.append((given, _innermost(given)))
                self.copied.add(given)
        return outs


class _Turn:
    """A turn of a loop: its instructions, and what they read."""

    def __init__(self, each: int) -> None:
        self.each, self.body = each, Builder()
        #: What stands for values of the program.
        self.inside: dict[Value, Value] = {}
        #: What is read by parts, and as a whole.
        self.slices: dict[Value, Input] = {}
        self.others: dict[Value, Input] = {}
        #: What is computed for each image.
        self.images: list[Value] = []

    def inputs(self) -> list[Input]:
        return [*self.slices.values(), *self.others.values()]

    def add(self, i: Instruction, cut: _Cut) -> None:
        """Append an instruction for so many images."""
        args = [self._given(a, part) for a, part in zip(i.args, cut.args, strict=True)]
        params = dict(i.params)
        shapes = [r.shape if cut.sums else _part(r, self.each) for r in i.results]
        if i.name == "call":
            specs = zip(params["specs"], shapes, strict=True)
            params["specs"] = [spec and spec._replace(shape=shape) for spec, shape in specs]
            if params["template"].get("shape") == i.results[0].shape:
                params["template"] = {**params["template"], "shape": shapes[0]}
        elif i.name in ("reshape", "broadcast"):
            (params["shape"],) = shapes
        elif i.name == "slice":
            params["slices"] = ((0, self.each, 1), *params["slices"][1:])
        self.body.line = i.line
        results = self.body.several(i.name, *args, **params)
        self.inside.update(zip(i.results, results, strict=True))
        self.images += () if cut.sums else results

    def _given(self, value: Value, part: bool) -> Value:
        if part and value in self.inside:
            return self.inside[value]
        if part:
            made = self.slices[value] = Input(_part(value, self.each), value.dtype)
            self.inside[value] = made
            return made
        if isinstance(value, Constant):
            return value
        return self.others.setdefault(value, Input(value.shape, value.dtype))

    def pays(self) -> bool:
        """Whether threads are worth waking for it, and all ops in it have kernels for parts: nothing calls Python."""
        images = (v for v in (*self.slices.values(), *self.images) if v.ndim > 2)
        layouts = Layouts({v: ordered_strides(v.shape, (*range(1, v.ndim), 0)) for v in images})
        plans = [launches.record(i, i.args, layouts) for i in self.body.body if i.name == "call"]
        return None not in plans and sum(plan.cycles for plan in plans if plan) >= LEAST


def _part(value: Value, each: int) -> tuple[int, ...]:
    return each, *value.shape[1:]


def _innermost(value: Value) -> Order:
    """Of a loop's result: turn by turn, and in each with the batch innermost."""
    return 0, *range(2, value.ndim + 1), 1
