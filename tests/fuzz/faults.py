"""faults: an exception at any point of a training step; the next step is one that nothing disturbed.

A case is a small program and the places at which one step of it is disturbed, in one of three ways:

- an interrupt, where the interpreter looks for signals: behind a call into C, at the beginning of a function, at a jump back;
- an error for want of memory, at a bytecode of tapenet's that allocates;
- an allocation that fails, whoever asks for it (where the interpreter has its test module).

Then no switch of the thread is left on and no lock is held; a step that was being captured has done all that it does
or nothing; and once parameters and optimizer are what they were, a step gives what it gives undisturbed.
"""

from __future__ import annotations

import dis
import faulthandler
import functools
import os
import signal
import sys
import tempfile
import threading
import traceback
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import strategies as st

import tapenet as tn
from tapenet.autodiff.state import local
from tests.fuzz.harness import BACKENDS

try:
    from _testcapi import remove_mem_hooks, set_nomemory  # type: ignore[import-not-found]
except ImportError:
    set_nomemory = None
starves = set_nomemory is not None and hasattr(os, "fork")

FEW = 3
MANY = 25

# -- programs ----------------------------------------------------------------------------------------------------

LAYERS = [
    "nn.Linear(4, 4)",
    "nn.Tanh()",
    "nn.LayerNorm(4)",
    "nn.Sequential(nn.Tanh(), nn.BatchNorm1d(4))",  # a bias just before would have a gradient that is rounding alone
    "nn.Dropout(0.5)",
    "nn.Sequential(nn.Linear(4, 4), nn.ReLU())",
]
OPTIMIZERS = [
    "optim.SGD(net.parameters(), lr=0.1)",
    "optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True)",
    # A large eps: of a gradient that is rounding alone they would make full steps.
    "optim.Adam(net.parameters(), lr=optim.step_decay(0.01, 2), eps=1e-3)",
    "optim.AdamW([{'params': [p], 'lr': 0.01} for p in net.parameters()], eps=1e-3)",
    "optim.LAMB(net.parameters(), eps=1e-3)",
]
#: How the gradients come about: lines of the step between `zero_grad()` and `opt.step()`.
GRADIENTS = {
    "plain": "loss = loss_of(x)\nloss.backward()",
    "accumulated": "for part in (x[:2], x[2:]):\n    loss = loss_of(part) / 2\n    loss.backward()",
    "hooks": "h = net(x)\nh.register_hook(lambda g: g * 2)\nh.retain_grad()\nloss = (h * h).mean()\nloss.backward()",
    "twice": "loss = loss_of(x)\n"
    "loss.backward(create_graph=True)\n"
    "penalty = sum((p.grad * p.grad).sum() for p in net.parameters())\n"
    "opt.zero_grad()\n"
    "penalty.backward()",
    "clipped": "loss = loss_of(x)\nloss.backward()\noptim.clip_grad_norm(net.parameters(), 0.5)",
    "autocast": "with tn.autocast('float16'):\n    loss = loss_of(x).astype(np.float32)\nloss.backward()",
    "loop": "loss = tn.fori(0, 3, lambda i, c: c + loss_of(x), tn.tensor(np.zeros((), x.dtype)))\nloss.backward()",
}
#: What is around the step, where it is not compiled.
AROUND = ["", "with tn.Tape():", "with tn.debug():", "with tn.profile():"]
RUNS = ["", *BACKENDS]
KINDS = ["interrupt", "no memory", *(["failed allocation"] if starves else [])]


@dataclass(frozen=True)
class Case:
    """A program, which step of it is disturbed, how, and where, counted in events of that kind."""

    layers: tuple[str, ...]
    optimizer: str
    gradients: str
    around: str
    run: str
    first: bool
    kind: str
    places: tuple[int, ...]

    def program(self) -> str:
        """The program's text. It has `net`, `opt` and `step(x)`."""
        layers = ", ".join(self.layers) or "nn.Linear(4, 4)"
        body = ["opt.zero_grad()", *GRADIENTS[self.gradients].split("\n"), "opt.step()"]
        if self.around and not self.run:
            body = [self.around, *("    " + line for line in body)]
        lines = [
            "import numpy as np, tapenet as tn",
            "from tapenet import nn, optim",
            "tn.random.seed(0)",
            f"net = nn.Sequential(nn.Linear(4, 4), {layers})" + (".to('float64')" if self.run else ""),
            f"opt = {self.optimizer}",
            "def loss_of(x): return ((net(x) - x) ** 2).mean()",
            *([f"@tn.compile(backend={self.run!r})"] if self.run else []),
            "def step(x):",
            *("    " + line for line in body),
            "    return loss",
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        places = ", ".join(map(str, self.places))
        which = "first" if self.first else "third"
        return f"{self.program()}\n# {self.kind} in the {which} step, at events {places} modulo how many there are"


CASES = st.builds(
    Case,
    st.lists(st.sampled_from(LAYERS), max_size=3).map(tuple),
    st.sampled_from(OPTIMIZERS),
    st.sampled_from(list(GRADIENTS)),
    st.sampled_from(AROUND),
    st.sampled_from(RUNS),
    st.booleans(),
    st.sampled_from(KINDS),
    st.lists(st.integers(0, 2**24), min_size=1, max_size=8).map(tuple),
).filter(
    lambda case: not (case.run and case.gradients == "loop" and "BatchNorm" in str(case.layers))
)  # it has an effect

#: Compiled, results are equal to rounding, which a float32's gradient may be nothing but: those steps run in float64.
X = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)


class Program:
    """A program that runs, and can be put back to where it was."""

    def __init__(self, case: Case) -> None:
        self.names: dict[str, Any] = {}
        exec(case.program(), self.names)
        if not case.first:
            for _ in range(2):
                self.step()
        self.before = self.state()

    def step(self) -> Any:
        tn.random.seed(1)
        return self.names["step"](X.astype(self.names["net"][0].weight.dtype))

    def state(self) -> Any:
        """Parameters, buffers, the optimizer's state, and where the generator is."""
        return self.names["net"].state_dict(), self.names["opt"].state_dict()

    def restore(self) -> None:
        self.names["net"].load_state_dict(self.before[0])
        self.names["opt"].load_state_dict(self.before[1])
        self.names["opt"].zero_grad()

    def outcome(self) -> Any:
        """What an undisturbed step gives."""
        loss = self.step().item()
        grads = [p.grad.numpy().copy() for p in self.names["net"].parameters() if p.grad is not None]
        return loss, grads, self.state()


# -- disturbing --------------------------------------------------------------------------------------------------

HERE = str(Path(tn.__file__).parent)
#: Behind these the interpreter looks for signals, if what was called is no Python.
_SIGNALS = ("CALL", "CALL_KW", "CALL_FUNCTION_EX", "JUMP_BACKWARD", "RESUME")
_ALLOCATES = ("CALL", "BINARY_OP", "BUILD_", "LIST_", "MAKE_FUNCTION", "LOAD_METHOD", "FOR_ITER", "FORMAT_", "GET_ITER")


@functools.cache
def _handlers(code: types.CodeType) -> dict[int, tuple[str, int]]:
    """The name of each instruction, and where an exception in it is handled, by place."""
    found = {}
    before: list[Any] = []
    for i in dis.get_instructions(code):
        name = "WITH_EXIT" if i.opname.endswith("CALL") and before == [None] * 3 else i.opname
        found[i.offset] = name, -1
        before = before if name == "WITH_EXIT" else [*before[-2:], i.argval if i.opname == "LOAD_CONST" else i.opname]
    for start, end, target, *_ in dis.Bytecode(code).exception_entries:
        found |= {at: (name, target) for at, (name, _) in found.items() if start <= at < end}
    return found


class Tracer:
    """Counts the places in tapenet's code where an error of a kind may come, and raises it at one of them."""

    def __init__(self, kind: str, place: int | None = None) -> None:
        self.interrupts = kind == "interrupt"
        self.place = place
        self.count = self.calls = 0
        self.where = ""

    def __enter__(self) -> Tracer:
        sys._getframe().f_trace_opcodes = True  # Python 3.12 traces none where no frame has asked before
        sys.settrace(self.enter)
        return self

    def __exit__(self, *exc: object) -> None:
        sys.settrace(None)

    def enter(self, frame: types.FrameType, event: str, arg: object) -> Any:
        self.calls += 1
        file = frame.f_code.co_filename
        if not (file.startswith((HERE, "<op ", "<update ", "<tapenet ", "<compiled "))):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        known = _handlers(frame.f_code)
        before, calls = -1, 0

        def trace(frame: types.FrameType, event: str, arg: object) -> Any:
            nonlocal before, calls
            if event == "opcode":
                at = frame.f_lasti
                name, handler = known[at]
                if self.interrupts:
                    last, last_handler = known.get(before, ("", 0))
                    here = last in _SIGNALS and calls == self.calls and handler == last_handler
                    here = here and not (last == "RESUME" and frame.f_code.co_name == "__exit__")
                else:
                    here = name.startswith(_ALLOCATES)
                before, calls = at, self.calls
                if here and frame.f_lineno is not None:  # else a generator is being closed, where nothing can be raised
                    self.happens(frame)
            return trace

        return trace

    def happens(self, frame: types.FrameType) -> None:
        self.count += 1
        if self.count - 1 == self.place:
            code = frame.f_code
            self.where = f"{code.co_filename}:{frame.f_lineno} in {code.co_qualname}"
            sys.settrace(None)
            raise KeyboardInterrupt if self.interrupts else MemoryError


class Starved:
    """Lets one allocation fail; counts none."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.where = f"allocation {place}"

    def __enter__(self) -> Starved:
        set_nomemory(self.place, self.place + 1)
        return self

    def __exit__(self, *exc: object) -> None:
        remove_mem_hooks()


# -- what must hold ----------------------------------------------------------------------------------------------


def switches() -> dict[str, Any]:
    """This thread's switches."""
    state = local.state
    found = {
        name: getattr(state, name) for name in state.__slots__ if name not in ("ended", "last")
    }  # notes, not switches
    return found | {"undo": list(state.undo)}


def held_locks() -> list[str]:
    """The locks of tapenet's modules that another thread holds."""
    kinds = (type(threading.Lock()), type(threading.RLock()))
    found = []
    for module in [m for name, m in sys.modules.items() if name.startswith("tapenet")]:
        for name, lock in vars(module).items():
            if isinstance(lock, kinds):
                if lock.acquire(blocking=False):
                    lock.release()
                else:
                    found.append(f"{module.__name__}.{name}")
    return found


def elsewhere(function: Callable[[], Any]) -> Any:
    """What a function gives in another thread, which finds a lock held that this one forgot."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(function()), daemon=True)
    thread.start()
    thread.join(120)
    assert found, "in another thread it raises or waits for ever"
    return found[0]


def same(a: Any, b: Any, exact: bool) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            same(a[key], b[key], exact)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y, exact)
    elif exact or not isinstance(a, (float, np.ndarray)):
        np.testing.assert_array_equal(a, b)
    else:
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


def check(case: Case) -> None:
    """Raise if a disturbed step leaves a trace."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, TAPENET_DEBUG_DIR=folder),
    ):  # for `tn.debug`
        _check(case)


def _check(case: Case) -> None:
    program = Program(case)
    undisturbed = program.outcome()
    after = program.state()
    program.restore()
    count = events(case, program)
    for place in case.places[: 2 if case.first and case.run else None]:  # a capture is slow under the tracer
        if case.first:
            program = Program(case)
        else:
            program.restore()
        disturbed = functools.partial(disturb, case, program, place % count, undisturbed, after)
        if case.kind == "failed allocation":
            wrong = in_child(disturbed)
            assert not wrong, wrong
        else:
            disturbed()


def events(case: Case, program: Program) -> int:
    """How many places there are for a fault, about."""
    if case.first and case.run:  # about: counting would be one more capture
        return {"interrupt": 2**15, "no memory": 2**17, "failed allocation": 2**14}[case.kind]
    if case.first:
        program = Program(case)
    if case.kind != "failed allocation":
        with Tracer(case.kind) as tracer:
            program.step()
        return tracer.count
    count = 64

    def starved() -> None:
        with Starved(count):
            program.step()

    while in_child(starved) != "":
        count *= 4
        assert count < 2**30, "a step fails in a child that is never without memory"
    return count


def in_child(function: Callable[[], Any]) -> str | None:
    """What a function raises in a process of its own, "" if nothing. None if that dies: neither NumPy nor the interpreter
    survives every want of memory."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, which wait for nothing of ours
        child = os.fork()
    if child == 0:
        text = "it does not end"
        faulthandler.disable()  # that it may die is known
        try:
            function()
            text = ""
        except BaseException:
            text = traceback.format_exc()
        finally:
            os.write(writing, text.encode())
            os._exit(0)
    os.close(writing)
    watch = threading.Timer(120, os.kill, (child, signal.SIGKILL))
    watch.start()
    with open(reading, "rb") as stream:
        text = stream.read().decode()
    status = os.waitpid(child, 0)[1]
    watch.cancel()
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return "it hangs"
    return text if status == 0 else None


def disturb(case: Case, program: Program, place: int, undisturbed: Any, after: Any) -> None:
    """Disturb a step, and raise if that leaves a trace."""
    before = switches()
    fault: Any = Starved(place) if case.kind == "failed allocation" else Tracer(case.kind, place)
    error: BaseException | None = None
    try:
        with fault:
            program.step()
    except BaseException as raised:  # also a SystemError: the interpreter does not survive every want of memory itself
        error = raised
    try:
        del error
        assert switches() == before, f"{[n for n, v in switches().items() if v != before[n]]} left on"
        if case.first and case.run:
            now = program.state()
            try:
                same(now, program.before, exact=True)
            except AssertionError:
                same(now, after, exact=False)
        program.restore()
        held, outcome = elsewhere(lambda: (held_locks(), program.outcome()))
        assert not held, f"{held} held"
        same(outcome, undisturbed, exact=not case.run)
        program.restore()
        same(program.outcome(), undisturbed, exact=not case.run)
    except BaseException as wrong:
        wrong.add_note(f"{case.kind} {place} at {fault.where}")
        raise
