"""Columns of pandas that hold tensors without axes: NumPy's values, and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import check_grads

pd = pytest.importorskip("pandas")

X = np.array([1.0, 2.5, 4.0, -0.5])
MASK = np.array([True, False, True, True])


def column(values: Any) -> Any:
    return pd.Series(list(values), dtype=object)


def table(s: Any) -> Any:
    return pd.DataFrame({"x": s, "g": list("abab"), "k": [0, 1, 2, 3]})


CALLS: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda s: (2 * s + s**2).tolist(),
    "sums": lambda s: [s.sum(), s.prod(), s.dot(s), s.max()],
    "running": lambda s: s.cumsum().tolist() + s.diff().tolist()[1:],
    "functions": lambda s: s.map(np.exp).tolist(),
    "selected": lambda s: s[MASK].tolist() + s.where(MASK, 0.0).tolist(),
    "compared": lambda s: s[s > 0.5].tolist(),
    "groups": lambda s: table(s).groupby("g")["x"].sum().tolist(),
    "merged": lambda s: (
        table(s).merge(pd.DataFrame({"k": [3, 0], "y": [2.0, 3.0]}), on="k").pipe(lambda t: t.x * t.y).tolist()
    ),
    "assigned": lambda s: table(s).assign(y=lambda t: t.x * t.k).y.tolist(),
    "sorted": lambda s: s.sort_values().tolist(),
    "pivoted": lambda s: table(s).pivot(index="k", columns="g", values="x").loc[[0, 2], "a"].tolist(),
}


@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients(name: str) -> None:
    f = CALLS[name]
    found = tn.stack(f(column(tn.tensor(X, requires_grad=True))))
    assert found.requires_grad
    np.testing.assert_allclose(found.numpy(), f(column(X)), rtol=1e-12)
    check_grads(lambda x: tn.stack(f(column(x))), [X], order=1)


def test_a_number_leaves_the_graph_with_a_warning() -> None:
    with pytest.warns(RuntimeWarning):
        column(tn.tensor(X, requires_grad=True) * 1).mean()
