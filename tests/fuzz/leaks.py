"""leaks: what is done again and again leaves nothing behind.

A case is a few acts, done in turn hundreds of times with the collector off: training steps, captures, failures of every
kind, tapes, hooks, profiles, drawings. In between nodes and memory stay as many as they were, and the collector, when it
is asked in the end, finds nothing: only compiled programs and optimizers are cycles, which it takes away.
"""

from __future__ import annotations

import contextlib
import gc
import tracemalloc
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tapenet.autodiff.state import local

FEW = 1
MANY = 4

#: Each act by its text; it knows `w`, a leaf of three elements, and a model with optimizer and compiled step.
ACTS = {
    "step": "opt.zero_grad()\nloss_of(x).backward()\nopt.step()",
    "without backward": "loss_of(x)",
    "second order": "opt.zero_grad()\nloss_of(x).backward(create_graph=True)\n"
    "sum((p.grad ** 2).sum() for p in net.parameters()).backward()",
    "compiled": "step(x)",
    "compiled natively": "native(x)",
    "hooks": "h = net(x)\nhandle = h.register_hook(lambda g: g * 2)\nh.retain_grad()\nh.sum().backward()\nhandle.remove()",
    "module hook": "handle = net.register_forward_hook(lambda *a: None)\nnet(x)\nhandle.remove()",
    "tape": "with tn.Tape() as tape:\n    loss_of(x).backward()",
    "profile": "with tn.profile() as profile:\n    loss_of(x).backward()\nstr(profile)",
    "debug": "with tn.debug():\n    loss_of(x).backward()",
    "autocast": "with tn.autocast('float16'):\n    net(x)",
    "grad": "tn.grad(lambda a: (a * w).sum())(np.ones(3))",
    "loop": "tn.scan(lambda c, a: (c * a, c.sum()), w, np.ones((4, 3)))[1].sum().backward()",
    "item": "v = w * 2\nv[0] = 1.0\nv += w\nv.sum().backward()",
    "draw": "str(tn.draw(loss_of(x)))",
    "explain": "str(step.explain())",
    "state": "net.load_state_dict(net.state_dict())\nopt.load_state_dict(opt.state_dict())",
    "new model": "made = nn.Linear(3, 3)\nmade(x).sum().backward()",
    "thread": "t = threading.Thread(target=lambda: loss_of(x).backward())\nt.start()\nt.join()",
}
#: Acts that raise.
FAILURES = {
    "shapes": "w + np.ones(4)",
    "index": "w[7]",
    "layer": "net(np.ones((2, 9), np.float32))",
    "second backward": "loss = (w * w).sum()\nloss.backward()\nloss.backward()",
    "written": "loss = (w * kept).sum()\nkept.data = np.zeros(3)\nloss.backward()",  # the last write to each memory is known
    "bad hook": "h = w * 2\nh.register_hook(divide)\nh.sum().backward()",
    "in a tape": "with tn.Tape():\n    (w * 2)[9]",
    "in no_grad": "with tn.no_grad():\n    w @ np.ones(4)",
    "in a profile": "with tn.profile():\n    w @ np.ones(4)",
    "in autocast": "with tn.autocast('float16'):\n    w @ np.ones(4)",
    "capture": "tn.compile(lambda a: a if (a * w).sum() else w, backend='numpy')(np.ones(3))",
    "capture of a loop": "tn.compile(lambda a: tn.fori(0, 3, lambda i, c: 1 / 0, a), backend='numpy')(np.ones(3))",
    "compiled": "step(np.ones((2, 9), np.float32))",
    "state": "net.load_state_dict({})",
    "option": "optim.Adam(net.parameters(), lr=-1.0)",
    "attribute": "w.unsqueeze",
}
BEFORE = """import threading
import numpy as np, tapenet as tn
from tapenet import nn, optim
tn.random.seed(0)
net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 3))
opt = optim.Adam(net.parameters(), lr=0.01)
w, x = tn.tensor(np.ones(3), requires_grad=True), np.ones((4, 3), np.float32)
kept = tn.tensor(np.ones(3))
def divide(g): return g / {}
def loss_of(x): return (net(x) ** 2).mean()
def train(x):
    opt.zero_grad()
    loss = loss_of(x)
    loss.backward()
    opt.step()
    return loss
step, native = tn.compile(train, backend="numpy"), tn.compile(train)"""


@dataclass(frozen=True)
class Case:
    """Acts by name, and how often they are done."""

    acts: tuple[str, ...]
    failures: tuple[str, ...]
    times: int

    def __str__(self) -> str:
        lines = [BEFORE, f"for _ in range({self.times}):"]
        for text in [ACTS[name] for name in self.acts]:
            lines += ["    " + line for line in text.split("\n")]
        for text in [FAILURES[name] for name in self.failures]:
            lines += ["    with contextlib.suppress(Exception):", *("        " + line for line in text.split("\n"))]
        return "\n".join(["import contextlib", *lines])


CASES = st.builds(
    Case,
    st.lists(st.sampled_from(list(ACTS)), max_size=3, unique=True).map(tuple),
    st.lists(st.sampled_from(list(FAILURES)), max_size=3, unique=True).map(tuple),
    st.just(100),
)


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """The collector sleeps, and knows nothing of what is there; memory is counted."""
    gc.collect()
    gc.freeze()
    gc.disable()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()
        gc.enable()  # what is frozen stays so: to look through all tests again takes seconds


def check(case: Case) -> None:
    """Raise if anything is left behind."""
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(BEFORE, names)
        acts = [compile(ACTS[name], f"<{name}>", "exec") for name in case.acts]
        failures = [compile(FAILURES[name], f"<{name}>", "exec") for name in case.failures]
        repeat(acts, failures, names, case.times // 4)
        with watched():
            repeat(acts, failures, names, case.times // 4)
            before, _, arrays = look()
            repeat(acts, failures, names, case.times)
            after, found, arrays_after = look()
            # A few are the interpreter's own.
            assert after - before < case.times / 2, f"{after - before} objects more after {case.times} turns"
            assert found < case.times / 2, f"the collector finds {found} objects after {case.times} turns"
            assert arrays_after == arrays, f"arrays hold {arrays_after - arrays} bytes more after {case.times} turns"
            assert not local.state.undo, "a block has not ended"


def look() -> tuple[int, int, int]:
    """How many objects there are that the collector knows, how many of these it takes away, and how many bytes arrays hold.
    (Of other memory the interpreter has stores, such as one of thousands of attributes' names.)"""
    objects, found = len(gc.get_objects()), gc.collect()
    ours = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    return objects, found, sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([ours]).traces)


def repeat(acts: list[Any], failures: list[Any], names: dict[str, Any], times: int) -> None:
    """Do all acts so often, each time among names of their own."""
    for _ in range(times):
        here = dict(names)
        for act in acts:
            exec(act, here)
        for failure in failures:
            try:
                exec(failure, here)
            except Exception:
                continue
            raise AssertionError(f"{failure.co_filename} does not fail")
