"""Interrupts at every place of something short: no switch stays on, no lock stays held."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.compiler import capture
from tapenet.compiler.compile import available_backend
from tests.fuzz.faults import Tracer, elsewhere, switches


def everywhere(kind: str, act: Callable[[], Any], then: Callable[[], None]) -> int:
    """Do something with a fault at each place in turn, and something else after each. Returns how many there were."""
    for _ in range(2):  # from Python 3.13 on a function is traced from its second call on
        with Tracer(kind) as counted:
            act()
    for place in range(counted.count):
        try:
            with Tracer(kind, place) as tracer:
                act()
        except (KeyboardInterrupt, MemoryError):
            pass
        try:
            then()
        except BaseException as error:
            error.add_note(tracer.where)
            raise
    return counted.count


def nested() -> None:
    shared = tn.no_grad()
    with tn.Tape(), shared, tn.enable_grad(), shared, tn.debug():
        pass


def profiled() -> None:
    with tn.profile():
        pass
    with tn.no_grad(), tn.profile():
        pass


@tn.no_grad()
def decorated() -> None:
    tn.autocast("float16")(tn.exp)(np.ones(2))


def low_backward() -> None:
    with tn.autocast("float16"):
        tn.tensor(np.ones(3), requires_grad=True).sum().backward()


def module() -> None:
    nn.Sequential(nn.ReLU(), nn.ReLU())(np.ones(3))


@pytest.mark.parametrize("kind", ["interrupt", "no memory"])
@pytest.mark.parametrize("act", [nested, profiled, decorated, low_backward, module])
def test_no_switch_stays_on(act: Callable[[], Any], kind: str) -> None:
    before = switches()

    def check() -> None:
        assert switches() == before

    assert everywhere(kind, act, check) > 5


def test_a_block_sets_back_what_one_inside_could_not() -> None:
    before = switches()
    with tn.no_grad():
        tn.Tape().__enter__()
        tn.autocast("float16").__enter__()
    assert switches() == before


def test_a_compiled_call_gives_its_lock_back() -> None:
    pytest.importorskip("llvmlite")
    double = tn.compile(lambda x: x * 2, backend="native")
    x = np.ones(3)
    double(x), double(x)
    assert everywhere("interrupt", lambda: double(x), lambda: elsewhere(lambda: double(x))) >= 5


@pytest.mark.parametrize("kind", ["interrupt", "no memory"])
def test_cycles_are_looked_for_behind_an_error(kind: str) -> None:
    def act() -> None:
        with capture._uncollected():
            pass

    def check() -> None:
        assert gc.isenabled()

    assert everywhere(kind, act, check) > 4


def test_an_interrupted_call_of_an_op_leaves_warnings_and_lock_as_they_were() -> None:
    foreign = tn.op(lambda x: x + 1, name="foreign", opaque="foreign", nondiff=True)
    x, before = np.ones(3), np.geterr()
    for backend in sorted({"numpy", available_backend()}):
        step = tn.compile(lambda x: foreign(x * 2) * 2, backend=backend)
        step(x), step(x)

        def check(step: Callable[[Any], Any] = step) -> None:
            assert np.geterr() == before
            elsewhere(lambda: step(x))

        assert everywhere("interrupt", lambda step=step: step(x), check) > 5


def test_tracing_ends_with_the_tracer() -> None:
    with Tracer("interrupt"):
        assert sys.gettrace() is not None
    assert sys.gettrace() is None
