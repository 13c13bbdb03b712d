"""The ways to run an op: compiled, over lanes, and from several threads give what an eager call gives."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.compile import BACKENDS, compile
from tapenet.llvm import toolchain
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op
from tapenet.program.trees import tree_leaves
from tapenet.testing.cases import Case
from tapenet.testing.gradients import floats, gradients_of, is_float, random_like
from tapenet.testing.values import same
from tapenet.transforms.vectorize import vmap as over_lanes
from tapenet.typing import Array

if TYPE_CHECKING:
    from _typeshed import TraceFunction

#: What results may differ by, relative to the largest: sums in another order differ by rounding.
_ROUNDING = 1e-9
#: How many threads call an op at once, and how often.
_THREADS, _ROUNDS = 4, 4
#: How many seconds they may take.
_PATIENCE = 60.0
#: How many lines they run in step.
_LINES = 200
_LANES = 3


def derivatives(case: Case, order: int, seed: int = 0) -> Callable[..., list[Tensor | Array]]:
    """The results of an op and its gradients of each order up to one, as a function of its arrays; for gradients by the
    results that are drawn at the first call."""
    weights: list[list[Array]] = []

    def everything(*arrays: object) -> list[Tensor | Array]:
        points, others = arrays[: len(case.points)], arrays[len(case.points) :]
        f: Callable[..., object] = case.having(others)
        outs: object = f(*points)
        found = [t for t in tree_leaves(outs) if isinstance(t, (Tensor, np.ndarray))]
        for level in range(order if points and floats(outs) else 0):
            if len(weights) == level:
                rng = np.random.default_rng([seed, level])
                weights.append([random_like(rng, t) for t in floats(outs)])
            f, points = gradients_of(f, len(points)), (*points, *weights[level])
            outs = f(*points)
            found += floats(outs)
        return found

    return everything


def compiled(case: Case, order: int) -> None:
    """Compiled as eager, by each backend, with the gradients of each order."""
    op = case.op
    if isinstance(op, Op) and op.effect:
        return
    step = derivatives(case, order)
    for backend in BACKENDS:
        if backend == "native" and not toolchain.available():
            continue
        run = compile(step, backend=backend)
        for by in (0, 1):  # the first call is captured, the second runs the program, on other values
            arrays = list(map(Tensor._of, case.moved(by)))
            expected = step(*arrays)
            same(run(*arrays), expected, f"compiled by the {backend} backend against eager", _ROUNDING)


def vmap(case: Case, order: int) -> None:
    """Lanes as one by one, with gradients."""
    op = case.op
    if case.random or (isinstance(op, Op) and op.effect):
        return
    step = derivatives(case, min(order, 1))
    lanes = [case.moved(by) for by in range(_LANES)]
    axes = tuple(0 if is_float(a) else None for a in lanes[0])
    if not any(axis == 0 for axis in axes):
        return
    one_by_one = [[np.asarray(t) for t in step(*map(Tensor._of, lane))] for lane in lanes]
    if any([a.shape for a in each] != [a.shape for a in one_by_one[0]] for each in one_by_one):
        return
    stacked = [
        Tensor._of(each[0] if axis is None else np.stack(each))
        for each, axis in zip(zip(*lanes, strict=True), axes, strict=True)
    ]
    # What is drawn inside of a function comes from `rng=` of the sample, the same in each lane.
    found = over_lanes(step, axes, randomness="same")(*stacked)
    same(found, [np.stack(each) for each in zip(*one_by_one, strict=True)], "tn.vmap against a loop", _ROUNDING)


def threads(case: Case, order: int) -> None:
    """Several threads that call an op and its gradient at once, each with other values."""
    op = case.op
    if case.random or (isinstance(op, Op) and op.effect):
        return
    steps = [derivatives(case, min(order, 1), by) for by in range(_THREADS)]

    def results(by: int) -> list[Array]:
        return [np.asarray(t) for t in steps[by](*map(Tensor._of, case.moved(by)))]

    expected = [results(by) for by in range(_THREADS)]
    meeting = threading.Barrier(_THREADS)
    failures: list[Exception] = []

    def work(by: int) -> None:
        sys.settrace(_in_step(op, meeting))
        try:
            for _ in range(_ROUNDS):
                same(results(by), expected[by], f"{_THREADS} threads at once against one")
        except Exception as error:  # raised again below, in the thread that asked
            failures.append(error)
        finally:
            sys.settrace(None)
            meeting.abort()  # nobody waits for this one any more

    workers = [threading.Thread(target=work, args=(by,), daemon=True) for by in range(_THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(_PATIENCE)
    assert not any(worker.is_alive() for worker in workers), (
        f"{_THREADS} threads at once: a call waits for ever, or takes more than {_PATIENCE:g} seconds. What one process or "
        "file answers needs a lock around each question with its answer"
    )
    if failures:
        failures[0].add_note("the forward or a rule keeps arrays or other state between calls: make them anew in each")
        raise failures[0]


def _in_step(op: Op | Derived, meeting: threading.Barrier) -> TraceFunction:
    """What has a thread wait for the others before each line of the forward and the rules, and of what these call that is
    neither tapenet's nor NumPy's: so that one writes to what they share before another has read it."""
    functions = [op.forward, op.joint, *op.rules.values()] if isinstance(op, Op) else [op.function]
    codes = {getattr(f, "__code__", None) for f in functions}
    left = _LINES

    def trace(frame: FrameType, event: str, argument: object) -> TraceFunction | None:
        nonlocal left
        module = str(frame.f_globals.get("__name__"))
        if not left or (frame.f_code not in codes and module.startswith(("tapenet.", "numpy."))):
            return None
        if event == "line":
            left -= 1
            with suppress(threading.BrokenBarrierError):  # they went different ways: then each goes on by itself
                meeting.wait(1.0)
        return trace

    return trace
