"""Dead code."""

from __future__ import annotations

import numpy as np

import tapenet as tn
from tapenet.program.ir import Reference, Write
from tapenet.program.passes import dead
from tests.program.passes.programs import Build, assert_kept, assert_property, assert_same, names


def test_what_leads_nowhere_goes() -> None:
    b = Build()
    x = b.input(3)
    used = b.emit("exp", x)
    b.emit("tanh", b.emit("sin", used))
    assert names(assert_same(dead.run, b.program(used))) == ["exp"]


def test_what_is_returned_or_written_stays_with_all_it_needs() -> None:
    b = Build()
    x, p = b.input(3), Reference(tn.tensor(np.ones(3, np.float32)))
    b.writes.append(Write(p, b.emit("subtract", p, b.emit("sin", x))))
    assert_kept(dead.run, b.program(b.emit("exp", x)))


def test_effects_stay_with_all_they_need() -> None:
    noise = tn.op(lambda x: x, name="noise", effect=True)
    b = Build()
    x = b.input(3)
    b.call(noise, b.emit("exp", x), effect=True)
    assert_kept(dead.run, b.program(x))


def test_a_call_without_an_effect_goes() -> None:
    b = Build()
    x = b.input(3)
    b.call(tn.exp, x)
    assert names(assert_same(dead.run, b.program(x))) == []


def test_values_of_the_host_stay_since_they_count_and_draw() -> None:
    b = Build()
    draw = b.host(lambda: np.float32(1))
    x = b.input(3)
    b.emit("add", x, draw)
    changed = assert_same(dead.run, b.program(x))
    assert (names(changed), changed.hosts) == ([], (draw,))


def test_a_write_of_what_is_there_goes() -> None:
    b = Build()
    p, q = (Reference(tn.tensor(np.ones(3, np.float32))) for _ in range(2))
    b.writes += [Write(p, p), Write(q, p)]
    assert [w.target for w in assert_same(dead.run, b.program()).writes] == [q]


def test_random_programs() -> None:
    assert_property(dead.run, floats=True, acts=0.9)
    assert_property(dead.run, floats=False, acts=0.9)
