"""Statistics of activations and gradients, and where nan and infinity were born."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.profiling.values import Stats, stats

nan, inf = np.nan, np.inf


def test_statistics_are_numpys() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, 5)).astype(np.float32)
    x[0] = 0
    found = stats([x])
    exact = x.astype(np.float64)
    expected = Stats(exact.mean(), exact.std(), np.abs(exact).max(), 5 / 35, 0, 0, np.linalg.norm(exact))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.finite
    np.testing.assert_allclose(stats([x[:3], x[3:]]), expected, rtol=1e-12)


def test_what_is_not_finite_is_counted_and_left_out() -> None:
    found = stats([np.array([1.0, nan, -3.0, inf, 0.0, -inf])])
    assert found == Stats(-2 / 3, pytest.approx(np.std([1, -3, 0])), 3.0, 1 / 6, 1, 2, pytest.approx(10**0.5), 1)
    assert not found.finite
    assert stats([np.array([nan])]) == Stats(0.0, 0.0, 0.0, 0.0, 1, 0, 0.0)


@pytest.mark.parametrize(
    ("values", "norm"),
    [
        (np.zeros((0, 3)), 0.0),
        (np.array([True, False]), 1.0),
        (np.array([3, -4]), 5.0),
        (np.array([3 + 4j, 0j]), 5.0),
        (np.full(4, 6e4, np.float16), 1.2e5),
        (np.full(4, 1e200), 2e200),
        (np.full(4, 1e-300), 2e-300),
    ],
)
def test_statistics_of_any_numbers(values: Any, norm: float) -> None:
    assert stats([values]).norm == pytest.approx(norm, rel=1e-3)


def test_each_value_and_gradient_is_seen() -> None:
    w = tn.tensor(np.array([1.0, 2.0, 2.0]), requires_grad=True)
    prof = tn.profile(values=True)
    assert prof.values
    with prof:
        ((w * 3).sum() ** 2).backward()
    product, total, square = prof.steps[0].records
    assert product.activation == stats([np.array([3.0, 6.0, 6.0])])
    assert (total.activation.mean, square.activation.mean) == (15.0, 225.0)
    assert (square.gradient.mean, total.gradient.mean) == (1.0, 30.0)
    assert product.gradient == stats([np.full(3, 30.0)])
    assert prof.steps[0].leaves == {w.node.number: stats([np.full(3, 90.0)])}
    assert not any(r.born or r.gradient_born for r in prof.steps[0].records)
    assert prof.leaf_history(w.node.number) == [prof.steps[0].leaves[w.node.number]]


def test_leaves_have_their_gradients_as_they_were_left() -> None:
    """Added up, after hooks; by those passes alone that add to `.grad`."""
    w = tn.tensor([1.0, 2.0], requires_grad=True)
    unused = tn.tensor([1.0], requires_grad=True)
    prof = tn.profile(values=True)
    for _ in range(2):
        with prof:
            (w * 3).sum().backward()
            (w * unused).sum().backward()
            tn.grad(lambda x: (x * 5).sum())(w)
    w.grad = None
    w.register_hook(lambda g: g * 0)
    with prof:
        (w * 3).sum().backward(create_graph=True)
    first, second, third = (s.leaves for s in prof.steps)
    assert first[w.node.number] == stats([np.array([4.0, 4.0])])
    assert second[w.node.number] == stats([np.array([8.0, 8.0])])
    assert third == {w.node.number: stats([np.zeros(2)])}
    assert second[unused.node.number].mean == 6.0


def test_without_values_there_are_none() -> None:
    w = tn.tensor([1.0], requires_grad=True)
    with tn.profile() as prof:
        (w * 3).sum().backward()
    assert not prof.values
    assert prof.steps[0].leaves == {}
    assert all(r.activation is None and r.gradient is None for r in prof.steps[0].records)


def test_several_results_are_seen_together() -> None:
    two = tn.op(lambda x: (x, -2 * x), name="two", outputs=2, x=lambda g: g[0] - 2 * g[1])
    x = tn.tensor([3.0, 4.0], requires_grad=True)
    with tn.profile(values=True) as prof:
        a, b = two(x)
        (a * 5).sum().backward(retain_graph=True)
        tn.concatenate([a, b]).sum().backward()
    record = prof.steps[0].records[0]
    assert record.activation == stats([np.array([3.0, 4.0, -6.0, -8.0])])
    assert record.gradient == stats([np.array([1.0, 1.0, 1.0, 1.0])])


def test_nan_and_infinity_are_born_where_no_input_held_them() -> None:
    x = tn.tensor([4.0, 0.0, -1.0], requires_grad=True)
    with np.errstate(all="ignore"), tn.profile(values=True) as prof:
        y = tn.log(x)  # -inf and nan
        z = tn.concatenate([y * 2, x * 0])
        z - z  # nan of infinity
    found = {r.op: r.born for r in prof.steps[0].records}
    assert found["log"] == "nan in 1 of 3 elements, the first at [2]"
    assert found["multiply"] is found["concatenate"] is None
    records = prof.steps[0].records
    assert (records[0].activation.nans, records[0].activation.infs) == (1, 1)
    assert "born in log (#" in str(prof)


def test_a_rule_that_makes_infinity_is_named() -> None:
    x = tn.tensor([4.0, 0.0], requires_grad=True)
    with tn.profile(values=True) as prof:
        (np.sqrt(x * 2) * 3).sum().backward()
    found = {r.op: (r.born, r.gradient_born) for r in prof.steps[0].records if r.op == "sqrt" or r.gradient_born}
    assert found == {"sqrt": (None, "inf in 1 of 2 elements, the first at [1]")}
    assert prof.steps[0].leaves[x.node.number].infs == 1
    assert "born in the gradient rules of sqrt" in str(prof)


def test_what_came_to_a_gradient_by_another_way_is_not_laid_to_a_rule() -> None:
    x = tn.tensor([0.0], requires_grad=True)
    with tn.profile(values=True) as prof:
        h = x * 1.0
        fine, bad = np.sin(h), np.sqrt(h)
        (fine + bad).sum().backward()
    born = [r.op for r in prof.steps[0].records if r.gradient_born]
    assert born == ["sqrt"]


@pytest.mark.parametrize("how", ["create_graph", "debug", "tape"])
def test_values_are_seen_on_every_path(how: str) -> None:
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    around = {"create_graph": tn.enable_grad(), "debug": tn.debug(), "tape": tn.Tape()}[how]
    with tn.profile(values=True) as prof, around:
        y = (np.sin(x) * 2).sum()
        y.backward(create_graph=how == "create_graph")
    sine, product, total = prof.steps[0].records[:3]
    assert [r.op for r in (sine, product, total)] == ["sin", "multiply", "sum"]
    assert sine.activation == stats([np.sin([1.0, 2.0])])
    assert (sine.gradient.mean, product.gradient.mean, total.gradient.mean) == (2.0, 1.0, 1.0)
    assert prof.steps[0].leaves[x.node.number] == stats([2 * np.cos([1.0, 2.0])])
