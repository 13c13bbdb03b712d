"""What `compiled.explain()` says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.compiler.explain import work
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

X = np.ones((8, 6), np.float32)
Y = np.zeros(8, np.int64)


def test_before_the_first_call() -> None:
    text = str(tn.compile(lambda x: x, backend="numpy").explain())
    assert text == "<lambda>: 0 programs, backend numpy\nNothing is compiled before the first call."


@backends
def test_a_step(compiled: Compile) -> None:
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))
    opt = optim.SGD(net.parameters(), lr=0.1)

    def step(x: Any, y: Any, scale: float = 1.0) -> Any:
        loss = F.cross_entropy(net(x), y) * scale
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    f = compiled(step)
    f(X, Y)
    with tn.no_grad(), pytest.raises(RuntimeError):
        f(X, Y)
    f(X[:2], Y[:2], 0.5)
    explanation = f.explain(full=True)
    text = str(explanation)
    assert repr(explanation) == text
    assert text.startswith("step: 2 programs, backend ")
    assert "arguments: x: float32 (8, 6); y: int64 (8,)\n" in text
    assert "arguments: x: float32 (2, 6); y: int64 (2,); scale: 0.5\n" in text
    # forward 6*5 and 5*4 a row, their weights' gradients as much, the hidden layer's 5*4
    assert f"{8 * (2 * 30 + 3 * 20):,} multiply-adds in matrix products" in text
    assert re.search(r"\d+ instructions captured, \d+ after all passes \(", text)
    assert re.search(r"[\d.]+ (KB|bytes) go in and out", text)
    assert text.count("\ncaptured\nprogram(x0: float32[") == 2
    assert text.count("\nafter all passes\nprogram(x0: float32[") == 2
    assert "write p0 <- " in text
    assert explanation.variants == f.variants
    first = f.variants[0]
    assert len(first.program.body) < len(first.captured.body)


@backends
def test_in_short(compiled: Compile) -> None:
    """Some lines for each program, however large it is."""
    net = nn.Sequential(*[nn.TransformerEncoderLayer(4, 2, 8, batch_first=True) for _ in range(3)])
    odd = tn.op(lambda x, n: x if x.sum() > 0 else x * n, name="odd", nondiff=True)

    def step(x: Any, **more: Any) -> Any:
        for n in range(2):
            x = net(x) + odd(x, n)
        return x, *more.values()

    f = compiled(step)
    x = np.ones((2, 3, 4), np.float32)
    f(x)
    f(x, **{f"other{i}": i for i in range(20)})
    text = str(f.explain())
    assert len(text.splitlines()) < 40
    assert text.endswith("explain(full=True) shows the programs and what the backend made of them.")
    assert "; other6: 6; and 13 more\n" in text
    assert "called as they are:\n" in text
    assert "  odd (2 times): branches on a value\n" in text
    assert re.search(r"bytes of scratch memory|statements of NumPy", text)
    assert len(str(f.explain(full=True)).splitlines()) > 300


def test_work_of_a_program() -> None:
    w = np.ones((3, 2))
    f = tn.compile(lambda a, b: (np.exp(a @ b) + 1).sum() + (b.T @ w).sum(), backend="numpy")
    f(np.ones((4, 3)), np.ones((3, 2)))
    found = work(f.variants[0].program)
    assert found.products == 4 * 3 * 2 + 2 * 3 * 2
    assert found.elements >= 3 * 8 + 4 + 1
    assert found.least == 8 * (12 + 6 + 6 + 1) + sum(c.nbytes for c in f.variants[0].program.constants)
    assert found.most > found.least


def test_ops_that_are_called_and_why() -> None:
    def branches(x: Any) -> Any:
        return x if x.sum() > 0 else -x

    odd = tn.op(branches, name="odd", x=lambda g: g)
    f = tn.compile(lambda x: odd(odd(x)) + odd(x), backend="numpy")
    f(X)
    text = str(f.explain())
    assert "called as they are:\n  odd (3 times): branches on a value\n" in text


def test_calls_that_stay_in_a_graph_and_modes() -> None:
    f = tn.compile(lambda x: x * 2, backend="numpy")
    f(tn.tensor(X, requires_grad=True))
    assert "1 kind of calls that are part of a graph: made once, uncompiled" in str(f.explain())
    with tn.no_grad(), tn.debug():
        f(tn.tensor(X, requires_grad=True))
        f({"a": [X]}["a"][0])
    text = str(f.explain())
    assert "arguments: x: float32 (8, 6), requires_grad=True\nunder tn.no_grad() and tn.debug()" in text


def test_structures_in_words() -> None:
    f = tn.compile(lambda batch, flag: batch["a"][0], backend="numpy")
    f({"a": (X, "text")}, flag=None)
    line = next(line for line in str(f.explain()).splitlines() if line.startswith("arguments"))
    assert line == (
        "arguments: batch: a dict with the keys 'a'; batch['a']: a tuple of 2; batch['a'][0]: float32 (8, 6); "
        "batch['a'][1]: 'text'; flag: None"
    )


def test_what_the_native_backend_made() -> None:
    pytest.importorskip("llvmlite")
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))
    opt = optim.SGD(net.parameters(), lr=0.1)
    odd = tn.op(lambda x: x if x.sum() > 0 else -x, name="odd", x=lambda g: g)

    def step(xs: Any) -> Any:
        def body(total: Any, x: Any) -> Any:
            loss = (net(x) ** 2).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
            return total + loss, loss

        total, _ = tn.scan(body, np.float32(0), xs)
        return odd(total), F.softmax(xs, -1)

    f = tn.compile(step, backend="native")
    f(np.ones((7, 3, 6), np.float32))
    lines = str(f.explain(full=True)).partition("backend:\n")[2].partition("\n\ncaptured\n")[0].splitlines()
    lines = [line[2:] for line in lines]
    assert re.match(
        r"\d+ kernels and \d+ others, different functions: \d+; native calls each time: 2, calls of P", lines[0]
    )
    assert re.match(r"[\d,]+ bytes of scratch memory \([\d,]+ if none were used twice\); tensors written", lines[1])
    assert any(line.endswith(": loop of 7 turns") for line in lines)
    assert "  body:" in lines
    assert any(re.match(r"    k\d+: kernel over \(3, 5\)$", line) for line in lines)
    assert any(re.match(r"      %\d+ = tanh %\d+ : float32\[3,5\] -> stack", line) for line in lines)
    assert any(re.match(r"k\d+: kernel over rows \(7, 3\) of \(6,\), loops: \d$", line) for line in lines)
    assert "called from Python" in lines
    assert sum(line.endswith("-> result") for line in lines) == 2


# -- errors ------------------------------------------------------------------------------------------------------


@backends
@pytest.mark.parametrize("looped", [False, True])
@pytest.mark.parametrize("kind", ["index", "op"])
def test_an_error_at_run_time_names_the_line(compiled: Compile, kind: str, looped: bool) -> None:
    def look(x: Any, i: Any) -> Any:
        if kind == "index":
            return x[i] * 2
        return np.linalg.inv(x * (i + 1)).sum(0)

    def step(x: Any, i: Any) -> Any:
        first = np.tanh(x)
        if looped:
            return tn.scan(lambda c, j: (c + look(x, j), None), np.zeros(2), i)[0] + first[0]
        return look(x, i[0]) + first[0]

    f = compiled(step)
    f(np.eye(2), np.array([0, 1]))
    line = look.__code__.co_firstlineno + (2 if kind == "index" else 3)
    with pytest.raises((IndexError, np.linalg.LinAlgError)) as caught:
        f(np.eye(2) if kind == "index" else np.zeros((2, 2)), np.array([7, 1]))
    told = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
    assert "in a compiled program" in told
    assert f"{Path(__file__).name}:{line}" in told
