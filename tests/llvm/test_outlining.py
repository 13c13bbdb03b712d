"""Functions of which a kernel has many are called, on vectors too, and give what they give where they are inlined."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import tapenet as tn

pytest.importorskip("llvmlite")

from tapenet.llvm import outlining
from tapenet.llvm.functions import ARITY, FUNCTIONS
from tapenet.program.native.module import Module
from tests.compiler.lowered import program_of

#: Where all of them are defined.
PLACES = {"arccosh": (1.0, 3.0), "power": (0.1, 3.0), "tan": (-1.0, 1.0)}


def chain(count: int) -> Any:
    """So many sines, with their gradient."""
    return tn.value_and_grad(lambda x: functools.reduce(lambda y, _: tn.sin(y), range(count), x).sum())


def test_the_code_of_many_functions_stays_short() -> None:
    x = np.full(100, 0.5, np.float32)
    text = Module(program_of(chain(300), x)).text
    assert text.count("call i64 @called_sincos_f32") == 600  # a sine and a cosine of each, which LLVM sees are the same
    assert "@called_sin_f32" not in text
    assert "call float @tn_" not in text
    assert text.count("\n") < 4000  # inlined, they were 48,000
    few = Module(program_of(chain(5), x)).text
    assert "call float @tn_sin_f32" in few
    assert "@called_" not in few


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 15, 100])
def test_calls_give_what_is_given_inlined(size: int, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    x = np.linspace(-2, 2, size, dtype=np.float32)
    expected = chain(4)(x)
    monkeypatch.setattr(outlining, "ROOM", 0)
    step = tn.compile(chain(4))
    found = [step(x) for _ in range(2)][-1]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)
    assert "vectorized" not in capfd.readouterr().err


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_function_may_be_called(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    r = np.random.default_rng(0)
    names = [n for n in FUNCTIONS if hasattr(tn, n)]
    arguments = []
    for name in names:
        low, high = PLACES.get(name, (0.1, 0.9))
        arguments.append([r.uniform(low, high, 37).astype(dtype) for _ in range(ARITY.get(name, 1))])

    def every(arguments: Any) -> Any:
        return [getattr(tn, n)(*a) for n, a in zip(names, arguments, strict=True)]

    inlined = tn.compile(every)
    expected = [inlined(arguments) for _ in range(2)][-1]
    monkeypatch.setattr(outlining, "ROOM", 0)
    called = tn.compile(every)
    found = [called(arguments) for _ in range(2)][-1]
    for name, a, b in zip(names, found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=8 * float(np.finfo(dtype).eps), err_msg=name)


def test_numbers_of_two_types_and_bodies_of_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.linspace(0.1, 2, 50)

    def mixed(x: Any) -> Any:
        def body(i: Any, x: Any) -> Any:
            return tn.tanh(x.astype(np.float32)) + tn.exp(-x)

        return tn.fori(0, 3, body, x)

    expected = mixed(x).numpy()
    monkeypatch.setattr(outlining, "ROOM", 0)
    step = tn.compile(mixed)
    np.testing.assert_allclose([step(x) for _ in range(2)][-1].numpy(), expected, rtol=1e-6)
