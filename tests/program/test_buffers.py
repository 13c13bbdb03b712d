"""Liveness and the arena."""

from __future__ import annotations

import numpy as np

import tapenet as tn
from tapenet.kernels import LINE
from tapenet.program.buffers import Arena, last_uses
from tapenet.program.ir import Instruction, Reference, Write
from tests.program.passes.programs import Build, constant


def is_view(instruction: Instruction) -> bool:
    return instruction.kind == "view"


def test_a_value_is_needed_until_its_last_use_or_the_end() -> None:
    b = Build()
    x = b.input(2)
    y = b.emit("exp", x)
    z = b.emit("add", x, y)
    unused = b.emit("negative", y)
    last = last_uses(b.program(z), is_view)
    assert last[x] == 1
    assert last[y] == 2
    assert last[z] == 3
    assert unused not in last


def test_a_view_keeps_what_it_is_a_view_of() -> None:
    b = Build()
    x = b.emit("exp", b.input(2, 3))
    row = b.emit("slice", b.emit("transpose", x, axes=(1, 0)), slices=((0, 1, 1), (0, 2, 1)))
    b.emit("negative", x)
    y = b.emit("negative", row)
    last = last_uses(b.program(y), is_view)
    assert last[x] == last[row] == 4
    assert last_uses(b.program(y), lambda _: False)[x] == 3


def test_what_is_written_is_needed_at_the_end() -> None:
    b = Build()
    p = Reference(tn.tensor(np.zeros(2, np.float32)))
    new = b.emit("add", p, constant([1.0, 2.0]))
    b.emit("negative", new)
    b.writes.append(Write(p, new))
    last = last_uses(b.program(), is_view)
    assert last[new] == 2
    assert last[p] == 0


def test_room_given_back_is_used_again_where_it_fits_best() -> None:
    arena = Arena()
    a, b, c, d = (arena.take(n * LINE) for n in (4, 1, 2, 1))
    assert [a, b, c, d] == [0, 4 * LINE, 5 * LINE, 7 * LINE]
    arena.give(a, 4 * LINE)
    arena.give(c, 2 * LINE)
    assert arena.take(2 * LINE) == c
    assert arena.take(1) == a
    assert arena.take(3 * LINE) == LINE
    assert arena.size == 8 * LINE


def test_free_neighbours_become_one_and_the_end_grows() -> None:
    arena = Arena()
    places = [arena.take(LINE) for _ in range(4)]
    for place in (places[0], places[2], places[1]):
        arena.give(place, LINE)
    assert arena.take(3 * LINE) == 0
    arena.give(places[3], LINE)
    assert arena.take(2 * LINE) == places[3]
    assert arena.size == 5 * LINE


def test_random_use_never_overlaps() -> None:
    r = np.random.default_rng(0)
    arena = Arena()
    held: list[tuple[int, int]] = []
    most = 0
    for _ in range(2000):
        if held and r.random() < 0.5:
            arena.give(*held.pop(int(r.integers(len(held)))))
        else:
            nbytes = int(r.integers(0, 10 * LINE))
            begin = arena.take(nbytes)
            assert begin % LINE == 0
            assert begin + nbytes <= arena.size
            assert all(begin + nbytes <= other or other + n <= begin for other, n in held if n and nbytes)
            held.append((begin, nbytes))
        most = max(most, sum(n for _, n in held))
    assert arena.size < 3 * most
