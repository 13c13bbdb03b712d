"""Long expressions in stages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.llvm import loops
from tapenet.program.ir import Builder, Constant, Input
from tapenet.program.native import stages

pytest.importorskip("llvmlite")


def expression(x: Any, y: Any, z: Any) -> Any:
    """Some sixty instructions, whose values are used again far behind; masks and integers among them."""
    kept = []
    total = x * 0.5
    for k in range(6):
        inner = x * (0.3 + 0.1 * k) + 0.25
        inner = inner * y + z
        kept.append(np.sqrt(inner * inner + 0.5))
        total = total * 0.7 + kept[k // 2] * inner
    mask, rounded = x > y, np.floor(z * 3).astype(np.int64)
    for k, value in enumerate(reversed(kept)):
        total = total + np.where(mask, value, inner) / (kept[k] + 1.5) * rounded
    return total


FORMS = {
    "full": ((1000,), (1000,)),
    "odd": ((997,), (997,)),
    "few": ((9,), (9,)),
    "one": ((1,), (1,)),
    "inner": ((40, 8, 4), (1, 1, 4)),
    "middle": ((40, 8, 4), (1, 8, 1)),
    "outer": ((70, 37), (70, 1)),
    "long": ((40_000,), (40_000,)),
}


@pytest.fixture
def short_stages(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stages of 7 instructions; the numbers of stages there were."""
    counts: list[int] = []
    split = stages.split

    def counted(*args: Any) -> list[stages.Stage]:
        found = split(*args)
        counts.append(len(found))
        return found

    monkeypatch.setattr(stages, "LONG", 20)
    monkeypatch.setattr(stages, "STAGE", 7)
    monkeypatch.setattr(stages, "split", counted)
    return counts


CASES = [
    pytest.param(form, dtype, marks=[pytest.mark.slow] * (i % 2 != k), id=f"{form}-{dtype}")
    for k, dtype in enumerate(["float32", "float64"])
    for i, form in enumerate(FORMS)
]


@pytest.mark.parametrize(("form", "dtype"), CASES)
def test_values_and_gradients(form: str, dtype: str, short_stages: list[int]) -> None:
    """As eager, in every form: sums over all elements and over those that broadcast, in whole blocks and with a rest."""
    r = np.random.default_rng(0)
    shape, third = FORMS[form]
    given = [r.uniform(0.1, 1, s).astype(dtype) for s in (shape, shape, third)]

    def both(x: Any, y: Any, z: Any) -> Any:
        return (expression(x, y, z), *tn.grad(lambda *a: expression(*a).sum(), argnums=(0, 1, 2))(x, y, z))

    made = tn.compile(both)
    expected = made(*given)
    found = made(*given)
    assert form == "one" or max(short_stages) > 8
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tolerance, atol=tolerance)


def test_rows_with_sums_in_the_midst(short_stages: list[int]) -> None:
    """The phases of a softmax have stages too."""
    r = np.random.default_rng(1)
    x, y, z = (r.uniform(0.1, 1, (30, 70)) for _ in range(3))

    def soft(x: Any, y: Any, z: Any) -> Any:
        t = expression(x, y, z)
        e = np.exp(t - np.max(t, axis=1, keepdims=True))
        return expression(e / np.sum(e, axis=1, keepdims=True), y, x)

    made = tn.compile(soft)
    expected = made(x, y, z)
    np.testing.assert_allclose(made(x, y, z).numpy(), expected.numpy(), rtol=1e-11)
    assert max(short_stages) > 4


def test_later_stages_read_what_an_earlier_one_read(short_stages: list[int]) -> None:
    """What the first stage gives is not written over an operand that others read too."""

    def f(a: Any, b: Any) -> Any:
        x = a @ b
        y = x * 2.0 + 1.0
        z = y
        for _ in range(10):
            z = np.sqrt(z * z * 0.5 + 0.5) + x * 0.1
        return y @ b, z

    r = np.random.default_rng(3)
    a, b = r.normal(size=(16, 16)), r.normal(size=(16, 16))
    made = tn.compile(f)
    expected = made(a, b)
    for found, e in zip(made(a, b), expected, strict=True):
        np.testing.assert_allclose(found.numpy(), e.numpy(), rtol=1e-12)
    assert max(short_stages) > 4


def test_nan_and_infinities_stay(short_stages: list[int]) -> None:
    x = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1e308] * 20)
    made = tn.compile(expression)
    with np.errstate(all="ignore"):
        expected = made(x, x[::-1].copy(), np.ones_like(x))
        found = made(x, x[::-1].copy(), np.ones_like(x))
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12)
    assert max(short_stages) > 4


def test_what_each_stage_needs_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a stage takes is computed in it before, kept by an earlier one or from outside; rows hold one value at a time;
    what costs much is computed once."""
    monkeypatch.setattr(stages, "LONG", 20)
    monkeypatch.setattr(stages, "STAGE", 10)
    r = np.random.default_rng(2)
    builder = Builder()
    x = Input((5,), np.dtype(float))
    values: list[Any] = [x]
    for k in range(200):
        a, b = (values[int(i)] for i in r.integers(0, len(values), 2))
        made = builder.emit("sqrt", a) if k % 9 == 0 else builder.emit(r.choice(["add", "multiply"]), a, b)
        values.append(made)
    wanted = [values[-1], values[50]]
    found = stages.split(builder.body, wanted)
    assert len(found) == 20
    rows = stages.rows(found)
    held: dict[int, Any] = {}
    for stage in found:
        there = {x, *stage.reads}
        assert all(held[rows[v]] is v for v in stage.reads)
        for member in stage.members:
            assert there.issuperset(a for a in member.args if not isinstance(a, Constant))
            there.update(member.results)
        assert there.issuperset(stage.keeps)
        held.update({rows[v]: v for v in stage.keeps})
    computed = [m for stage in found for m in stage.members]
    assert all(computed.count(m) <= 1 for m in computed if m.name == "sqrt")
    assert len(computed) > len(set(computed))  # sums are cheap
    assert {v.instruction for v in wanted} <= set(computed)
    assert len(set(rows.values())) < len(rows)


def test_blocks_are_of_whole_vectors_and_divide_the_length_if_they_can() -> None:
    lanes = loops.registers().bytes // 8
    assert loops._few(lanes * 6, 1, 8) == lanes * 6
    assert loops._few(lanes * 11, 1, 8) == lanes * 8
    assert loops._few("%n", 10_000, 8) == lanes * 2
