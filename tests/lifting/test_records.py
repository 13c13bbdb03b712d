"""Structured arrays inside of lifted functions, as a tensor for each field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.lifting.records import Records
from tests.lifting.ways import agrees, same

A = np.random.default_rng(0).normal(size=(2, 3))
BODY = np.dtype([("x", float), ("v", float, 2), ("k", int)])


def program(a: Any) -> Any:
    p = np.zeros(3, BODY)
    p["x"] = a[0]
    p["v"][:, 1] = a[1] * 2
    for i in range(3):
        q = p[i]
        q["x"] += i
        p[i]["v"][0] = p["x"][i] ** 2
        p["k"][i] = i
    p[1:]["x"] *= 2
    p[0] = (p["x"][1] * p["x"][2], [1.0, 2.0], 7)
    z = np.zeros_like(p)
    z["x"] = p["x"][::-1]
    z[:1] = p[1:2]
    assert p.shape == (3,)
    assert len(p) == p.size == 3
    return p["x"] + p["v"].sum(axis=1) * p["k"] + z["x"] * p.copy()["x"] + sum(row["k"] for row in p)


def test_values_and_gradients() -> None:
    agrees(program, A)


def test_an_array_of_tuples() -> None:
    def f(a: Any) -> Any:
        r = np.array([(1.0, [2.0, a[0]], 4), (a[1], [a[1], 3.0], 4)], dtype=BODY)
        return r

    got = tn.lift(f)(tn.tensor([5.0, 6.0], requires_grad=True))
    expected = f([5.0, 6.0])
    for name in BODY.names or ():
        same(got[name], expected[name])
    assert got["v"].requires_grad


def test_what_is_given_is_written_back() -> None:
    def step(p: Any, a: Any) -> Any:
        p["x"] += a
        p[0]["v"] = 3
        return p["x"].sum()

    for a in (np.arange(3.0), tn.tensor(np.arange(3.0), requires_grad=True)):
        p = np.zeros(3, BODY)
        assert tn.lift(step)(p, a).item() == 3
        assert p["x"].tolist() == [0, 1, 2]
        assert p["v"].tolist() == [[3, 3], [0, 0], [0, 0]]


def test_results_are_trees() -> None:
    def f(a: Any) -> Any:
        p = np.zeros(3, BODY)
        p["x"] = a
        return p

    t = tn.tensor(np.arange(3.0), requires_grad=True)
    for found in (tn.lift(f)(np.arange(3.0)), tn.lift(f)(t), tn.compile(tn.lift(f), backend="numpy")(t)):
        assert isinstance(found, Records)
        assert found.dtype == BODY
        assert found["x"].tolist() == [0, 1, 2]
        assert tn.tree.map(np.shape, found)["v"] == (3, 2)
    with pytest.raises(ValueError, match="no field of name 'y': there are x, v, k"):
        found["y"]
