"""Compiled functions in which values say how many elements there are: a mask whose count changes, `nonzero`, `unique`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.compiler.compile import CompileWarning
from tapenet.program.trees import tree_leaves
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

SELECTED: dict[str, Callable[[Any, Any], Any]] = {
    "mask": lambda w, x: (w * x)[x > 0],
    "mask of rows": lambda w, x: np.stack([w, x], 1)[x > 0],
    "masks on both sides": lambda w, x: _written(w * x, x > 0, (w * 2)[x > 0]),
    "nonzero": lambda w, x: w[np.nonzero(x)[0]] ** 2,
    "argwhere": lambda w, x: w[np.argwhere(x > 0)[:, 0]] ** 2,
    "compress": lambda w, x: np.compress(x > 0, w) ** 2,
    "extract": lambda w, x: np.extract(x > 0, w) ** 2,
    "unique": lambda w, x: w.sum() * np.unique(x),
    "bincount": lambda w, x: w.sum() * np.bincount(np.abs(x).astype(np.int64)),
    "repeat": lambda w, x: np.repeat(w, np.abs(x).astype(np.int64)) ** 2,
    "the number alone": lambda w, x: w * np.unique(x).size + (w * x).sum() / (1 + len(x[x > 0])),
    "the number alone, in a loop": lambda w, x: tn.scan(
        lambda c, v: (c + w.sum() * len(x[x > 0]), c * x[x < 0].size), 0.0, x
    )[0],
    "the number alone, in a branch": lambda w, x: tn.cond(x.sum() > -9, lambda: w * len(x[x > 0]), lambda: w),
    "in a loop": lambda w, x: tn.scan(lambda c, v: (c + (w * v)[x > 0].sum(), c), 0.0, x)[1],
    "in a branch": lambda w, x: tn.cond(x.sum() > 0, lambda: (w * x)[x > 0].sum(), lambda: w.sum()),
}
XS = np.array(
    [[1.0, -1.0, 2.0, 0.0], [1.0, 3.0, 2.0, 1.0], [2.0, -1.0, 1.0, 0.0], [-1.0, -2.0, 0.0, -1.0], [1.0, -1.0, 2.0, 0.0]]
)


def _written(t: Any, mask: Any, values: Any) -> Any:
    t[mask] = values
    return t


def trained(select: Any, compile_step: Any) -> list[Any]:
    """What each of several calls gives and leaves behind: all that there is to count, to draw, to write."""
    tn.random.seed(0)
    w = tn.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    norm = nn.BatchNorm1d(2, affine=False).astype(np.float64)
    opt = optim.Adam([w], lr=optim.step_decay(0.5, 2, 0.5))

    def step(x: Any) -> Any:
        seen = norm(np.stack([x, x * 2], 1))  # writes its statistics before
        dropped = F.dropout(x, 0.5)
        found = select(w, x)
        opt.zero_grad()
        (found.sum() + (w * dropped).sum()).backward()
        opt.step()
        return found, seen, tn.random.uniform(size=())

    made = compile_step(step)
    results = []
    for x in XS:
        found = tree_leaves([made(tn.asarray(x)), w, norm.state_dict(), opt.state_dict()])
        results += [np.array(t.data if isinstance(t, tn.Tensor) else t) for t in found if not isinstance(t, str)]
    return [r for r in results if r.dtype.kind in "biuf"]


@backends
@pytest.mark.parametrize("name", SELECTED)
def test_another_number_of_elements_is_captured_anew(compiled: Compile, name: str) -> None:
    found, expected = trained(SELECTED[name], compiled), trained(SELECTED[name], lambda f: f)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@backends
def test_programs_for_several_numbers_are_kept(compiled: Compile) -> None:
    step = compiled(lambda x: x[x > 0].sum())
    for _ in range(2):
        for x in XS:
            assert step(x).item() == x[x > 0].sum()
    assert len(step.variants) == 3  # of 2, 4 and no elements


def test_too_many_numbers_warn_with_the_fix() -> None:
    step = tn.compile(lambda x: x[x > 0].sum(), max_variants=2)
    x = np.arange(-3.0, 4.0)
    with pytest.warns(
        CompileWarning, match=r"how many elements values select, as a mask does.*np\.where\(mask, x, 0\)"
    ):
        found = [step(x + n).item() for n in range(4)]
    assert found == [(x + n)[x + n > 0].sum() for n in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert step(x + 3).item() == 21


@pytest.mark.parametrize("looped", [False, True])
def test_a_mask_behind_an_optimizer_step_is_refused(looped: bool) -> None:
    w = tn.tensor([1.0, 2.0], requires_grad=True)
    opt = optim.SGD([w], lr=0.5)

    def one(_: Any, x: Any) -> Any:
        opt.zero_grad()
        (w[x > 0] if looped else w * x).sum().backward()
        opt.step()
        return None, w.sum() if looped else w[x > 0]

    step = tn.compile(lambda xs: tn.scan(one, None, xs) if looped else one(None, xs[0]))
    with pytest.raises(
        tn.CaptureError, match=r"test_compile_sizes.py:\d+: values say how many .*np\.where\(mask, x, 0\)"
    ):
        step(np.array([[1.0, -1.0], [1.0, -2.0]]))
    assert w.tolist() == [1.0, 2.0]


@backends
def test_an_op_of_the_users_whose_size_changes_is_named_with_its_line(compiled: Compile) -> None:
    op = tn.op(lambda a: np.array(sorted(set(a.tolist()))), name="levels", nondiff=True)
    step = compiled(lambda x: op(x))
    step(np.array([1.0, 2.0]))
    with pytest.raises(
        ValueError, match=r"test_compile_sizes.py:\d+: op 'levels' gave float64 \(1,\) .*float64 \(2,\)"
    ):
        step(np.array([1.0, 1.0]))
