"""Chains of convolutions of frozen programs as loops over some images each, whose maps stay in the second level cache between
one convolution and the next."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tapenet.program.ir import Builder, Input, Instruction, Program, Value, Write, repeat

#: Bytes of the maps that a convolution reads and writes in a turn, and of the kernels of a chain, which each turn reads again.
#: (32 images take 0.77 of the time through a MobileNetV1 of a quarter's width, 0.82 through a DS-CNN, 0.73 through a ResNet-8;
#: maps of 8 bits are small enough, and took 1.05.)
MAPS, KERNELS = 1 << 17, 1 << 20
#: Places of a result's maps in a turn at least, for which kernels are worth reading: by sums, and by Winograd's algorithm.
PLACES, TILED = 8, 64


def run(program: Program) -> Program:
    """Put loops in the place of chains whose maps, of all images, are larger than `MAPS`."""
    builder = Builder()
    known: dict[Value, Value] = {}
    uses = program.uses()
    chain: list[Instruction] = []
    later: list[Instruction] = []  # what needs the chain
    waits: set[Value] = set()  # their results
    changed = False

    def end() -> None:
        nonlocal changed
        some = _together(chain)
        if some:
            _loop(chain, some, uses, builder, known)
            changed = True
        else:
            repeat(builder, chain, known)
        repeat(builder, later, known)
        chain.clear()
        later.clear()
        waits.clear()

    for instruction in program.body:
        if _follows(instruction, chain, {r for i in later for r in i.results}):
            chain.append(instruction)
        elif instruction.name == "convolve" or instruction.stays:
            end()
            (chain if instruction.name == "convolve" else later).append(instruction)
        elif not waits.isdisjoint(instruction.args):
            later.append(instruction)
        else:
            repeat(builder, [instruction], known)
            continue
        waits.update(instruction.results)
    end()
    if not changed:
        return program
    writes = [Write(target, known.get(value, value)) for target, value in program.writes]
    return Program(program.inputs, program.hosts, builder.body, [known.get(v, v) for v in program.outputs], writes)


def _follows(instruction: Instruction, chain: Sequence[Instruction], late: set[Value]) -> bool:
    """Whether it is one more convolution of a chain, of as many images."""
    if instruction.name != "convolve" or not late.isdisjoint(instruction.args):
        return False
    kernels = sum(i.args[1].nbytes for i in (*chain, instruction))
    return bool(chain) and instruction.args[0].shape[0] == chain[0].args[0].shape[0] and kernels <= KERNELS


def _together(chain: Sequence[Instruction]) -> int:
    """How many images go through a chain in a turn; 0 if all are to go at once."""
    if len(chain) < 2:
        return 0
    images = chain[0].args[0].shape[0]
    each = max(sum(v.nbytes for v in (*_maps(i), *i.results)) for i in chain) // images
    least = max(-(-(TILED if i.args[1].ndim == 4 else PLACES) // math.prod(i.results[0].shape[1:3])) for i in chain)
    counts = [n for n in range(min(least, images), images + 1) if images % n == 0]
    some = max((n for n in counts if n * each <= MAPS), default=counts[0])
    return some if some < images else 0


def _maps(convolution: Instruction) -> list[Value]:
    """The maps that it reads."""
    return [convolution.args[0], *convolution.args[3:]]


def _loop(
    chain: Sequence[Instruction], some: int, uses: dict[Value, int], builder: Builder, known: dict[Value, Value]
) -> None:
    """Append the loop of a chain, so many images a turn."""
    made = [i.results[0] for i in chain]
    given = [v for v in dict.fromkeys(v for i in chain for v in _maps(i)) if v not in made]
    inside: dict[Value, int] = {}
    for i in chain:
        for v in i.args:
            inside[v] = inside.get(v, 0) + 1
    wanted = [v for v in made if uses.get(v, 0) > inside.get(v, 0)]
    turns = chain[0].args[0].shape[0] // some

    body, of = Builder(), {v: Input((some, *v.shape[1:]), v.dtype) for v in given}
    inner: dict[Value, Value] = {**of}
    for i in chain:
        body.line = i.line
        inner[i.results[0]] = body.emit(i.name, *(inner.get(a, a) for a in i.args), **i.params)
    program = Program(of.values(), [], body.body, [inner[v] for v in wanted], [])
    xs = [builder.reshape(known.get(v, v), (turns, some, *v.shape[1:])) for v in given]
    outs = builder.several("loop", *xs, body=program, carries=0, slices=len(xs), length=turns)
    known.update({v: builder.reshape(out, v.shape) for v, out in zip(wanted, outs, strict=True)})
