"""Arguments that are dense in no order: they are read where they lie, in few ways, and give what copies of them give."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F

pytest.importorskip("llvmlite")

from tapenet.program.native.runner import Runner
from tapenet.program.native.strided import WAYS

R = np.random.default_rng(3)
#: Arrays of (6, 8) by what they are.
LYING = {
    "pitch": lambda a: np.pad(a, ((0, 0), (2, 3)))[:, 2:-3],
    "reversed": lambda a: a[:, ::-1].copy()[:, ::-1],
    "rows reversed": lambda a: a[::-1].copy()[::-1],
    "every second": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "columns with a pitch": lambda a: np.pad(a.T.copy(), ((0, 0), (1, 1)))[:, 1:-1].T,
    "every second of columns": lambda a: np.repeat(a.T, 2, axis=0)[::2].T,
    "one row for all": lambda a: np.broadcast_to(a[0].copy(), a.shape),
    "overlapping": lambda a: np.lib.stride_tricks.as_strided(a.ravel()[:20].copy(), a.shape, (8, 4)),
    "both": lambda a: np.repeat(a, 3, axis=0)[::-3, ::-1],
}
#: Functions of such an array and a dense one; the last reads parts.
FUNCTIONS = {
    "elementwise": lambda x, y: np.exp(x) * y + x,
    "sums": lambda x, y: ((x * y).sum(), x.sum(0), x.max(1), x.mean()),
    "softmax": lambda x, y: F.softmax(x, axis=-1) - y,
    "softmax down": lambda x, y: F.softmax(x, axis=0) - y,
    "product": lambda x, y: (x @ y.T, x.T @ y, x @ y[0]),
    "parts": lambda x, y: (
        x[1:, ::-2],
        x[::-1].reshape(-1)[3:9],
        np.concatenate([x[:, 4:], y], axis=1),
        x.T,
        np.sort(x, axis=0),
    ),
    "loop": lambda x, y: tn.scan(lambda c, row: (c + row, c * row), y[0], x),
}


def arrays(results: Any) -> list[Any]:
    return [r.data for r in tn.tree.leaves(results)]


def lying(f: Any) -> bool:
    """Whether the code that ran last reads arguments that lie otherwise than those of the program."""
    runner = f.variants[-1].runner
    return runner.recent[0] is not runner.call


#: Sums and extremes.
SUMS = {
    "plain": lambda x: (x.sum(), x.sum(0), x.sum(1), x.var(1), x.max(1)),
    "around means": lambda x: ((x - x.mean(1, keepdims=True)) ** 2).sum(0),
}


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", SUMS)
def test_sums_of_arrays_in_reverse_are_read_forwards(name: str, dtype: str) -> None:
    """So that memory is fetched ahead: the numbers are added in the order of those that are not reversed."""
    f = tn.compile(SUMS[name])
    a = LYING["pitch"](R.normal(size=(40, 150)).astype(dtype))
    f(a.copy())
    expected = arrays(f(a))
    for found, wanted in zip(arrays(f(a[::-1, ::-1])), expected, strict=True):
        np.testing.assert_array_equal(found, wanted[::-1] if wanted.ndim else wanted)
    assert lying(f)


@pytest.mark.parametrize("name", ["elementwise", "softmax", "parts"])
def test_results_are_those_for_copies(name: str) -> None:
    f = tn.compile(FUNCTIONS[name])
    a, y = (R.normal(size=(6, 8)).astype(np.float32) for _ in range(2))
    f(a, y)
    first = list(FUNCTIONS).index(name)
    for number in range(1, WAYS + 1):
        x = list(LYING.values())[(first + number) % len(LYING)](a)
        expected = arrays(f(np.array(x, order="C"), y))
        before = x.copy()
        for _ in range(2):
            found = arrays(f(x, y))
            for result, wanted in zip(found, expected, strict=True):
                np.testing.assert_allclose(result, wanted, rtol=2e-6, atol=1e-6)
                assert not np.may_share_memory(result, x)
            assert lying(f) == (number < WAYS)  # beyond, it is copied
        np.testing.assert_array_equal(x, before)
    assert len(f.variants) == 1


def test_ways_that_take_turns_are_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    f = tn.compile(FUNCTIONS["elementwise"])
    a, y = (R.normal(size=(6, 8)).astype(np.float32) for _ in range(2))
    turns = [a, LYING["pitch"](a), LYING["reversed"](a)]
    for x in turns * 2:
        expected = arrays(f(x, y))
    monkeypatch.setattr("tapenet.program.native.runner.way", None)
    for x in [*turns[:2] * 2, *turns]:
        np.testing.assert_array_equal(arrays(f(x, y)), expected)


@pytest.mark.slow
@pytest.mark.parametrize("lies", list(LYING))
def test_each_way_of_lying_is_read_where_it_is(lies: str) -> None:
    for name, function in FUNCTIONS.items():
        f = tn.compile(function)
        a, y = (R.normal(size=(6, 8)).astype(np.float32) for _ in range(2))
        x = LYING[lies](a)
        f(x, y)
        expected = arrays(f(np.array(x, order="C"), y))
        for _ in range(2):
            for result, wanted in zip(arrays(f(x, y)), expected, strict=True):
                np.testing.assert_allclose(result, wanted, rtol=2e-6, atol=1e-6, err_msg=name)
        assert lying(f), name


@pytest.mark.parametrize("lies", ["reversed", "rows reversed", "every second"])
def test_a_matrix_is_multiplied_where_it_lies(lies: str) -> None:
    a, v, w = (R.normal(size=shape).astype(np.float32) for shape in ((6, 8), 8, (8, 5)))

    def products(x: Any, v: Any, w: Any) -> Any:
        made = [x @ v, v[:6] @ x, x.T @ v[2:], v @ x.T, x @ w]
        return (*made, np.concatenate([x @ (w + 1), x @ (w + 2)], axis=1), (x @ (w + 3)).T)

    f, x = tn.compile(products), LYING[lies](a)
    f(a, v, w)
    for _ in range(2):
        for found, wanted in zip(f(x, v, w), products(a, v, w), strict=True):
            np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-5)
    assert lying(f)
    (made,) = (other for other in f.variants[0].runner._ways.values() if other is not f.variants[0].runner)
    assert not any(i.name == "copy" and i.args[0].shape in ((6, 8), (8, 6)) for i in made.module.program.body)


@pytest.mark.parametrize("lies", ["reversed", "rows reversed", "both reversed", "columns reversed"])
def test_a_matrix_in_reverse_is_multiplied_forwards(lies: str) -> None:
    """By BLAS: what is turned round is the smaller factor, or the result."""
    a, v, w = (R.normal(size=shape).astype(np.float32) for shape in ((16, 24), 24, (24, 3)))
    both = lambda a: a[::-1, ::-1].copy()[::-1, ::-1]
    ways = LYING | {"both reversed": both, "columns reversed": lambda a: both(a.T).T}

    def products(x: Any, v: Any, w: Any) -> Any:
        few = (x @ w, x.T @ w[:16], w[:16].T @ x, w.T @ x.T, np.tanh(x @ w[:, ::-1]))
        return x @ v, v @ x.T, x.T @ v[:16], v[15::-1] @ x, *few

    f, x = tn.compile(products), ways[lies](a)
    f(x.T.copy().T if lies == "columns reversed" else a, v, w)
    for _ in range(2):
        for found, wanted in zip(f(x, v, w), products(a, v, w), strict=True):
            np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-5)
    runner = f.variants[-1].runner
    (made,) = (other for other in runner._ways.values() if other is not runner)
    names = [i.name for i in made.module.program.body if i.name == "reduce_add" or i.results[0].size == a.size]
    assert not {"copy", "reduce_add"} & {*names}


@pytest.mark.parametrize("name", ["cumsum", "argmax", "sort"])
def test_running_sums_extremes_and_sorted_arrays_are_read_where_they_lie(name: str) -> None:
    f, function = tn.compile(lambda x: [getattr(np, name)(x, axis) for axis in range(2)]), getattr(np, name)
    a = R.normal(size=(256, 256)).astype(np.float32)
    f(a)
    for lies in ("reversed", "every second", "pitch", "both"):
        x = LYING[lies](a)
        for _ in range(2):
            for axis, found in enumerate(f(x)):
                np.testing.assert_allclose(found.numpy(), function(x, axis), rtol=1e-6, atol=1e-6)
        assert lying(f)
    runner = f.variants[0].runner
    bodies = [other.module.program.body for other in runner._ways.values() if other is not runner]
    assert not any(i.name == "copy" for body in bodies for i in body)


def test_what_shares_memory_with_a_parameter_that_is_written_is_copied() -> None:
    whole = np.arange(40, dtype=np.float32).reshape(4, 10)
    w = tn.tensor(np.zeros(3, np.float32), requires_grad=True)
    w._data = whole[1, 4:7]
    opt = tn.optim.SGD([w], lr=1.0)

    @tn.compile
    def step(x: Any) -> Any:
        loss = (w * x).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return x + w

    # Beside the parameter, then among what is read, before its first element in memory too.
    for x in (
        whole[:, 3:0:-1],
        whole[::-1, 7:],
        whole[:, 6:3:-1],
        whole[::-1, 3:6],
        whole[::-2, 4:7],
        whole[2::-1, 4:7],
    ):
        step(x.copy())  # captured where nothing is shared
        for _ in range(2):
            whole[...] = np.arange(40).reshape(4, 10)
            before, expected = x.copy(), w.data - x.sum(axis=0)
            found = step(x).data
            np.testing.assert_array_equal(found, before + expected)
            np.testing.assert_array_equal(w.data, expected)


def test_fields_of_records_and_arrays_that_are_not_aligned_are_copied() -> None:
    f = tn.compile(lambda x: x * 2 + 1)
    records = np.zeros(5, [("a", "i1"), ("x", "f4"), ("b", "i2"), ("c", "f8")])
    records["x"] = np.arange(5)
    for _ in range(3):
        np.testing.assert_array_equal(f(records["x"]).data, 2 * np.arange(5.0) + 1)
        assert not lying(f)


def test_where_a_program_takes_long_a_copy_is_made() -> None:
    w = R.normal(size=(64, 512)).astype(np.float32)
    f = tn.compile(lambda x: tn.tanh(x @ w) @ w.T)
    x = R.normal(size=(256, 128)).astype(np.float32)[:, ::2]
    for _ in range(3):
        np.testing.assert_allclose(f(x).data, np.tanh(x @ w) @ w.T, rtol=1e-3, atol=1e-4)
    assert not lying(f)


def test_code_for_strided_arguments_follows_tensors_that_get_other_arrays() -> None:
    w = tn.tensor(np.ones(4, np.float32))
    f = tn.compile(lambda x: x * w)
    x = np.arange(24, dtype=np.float32).reshape(3, 8)[:, ::2]
    for k in range(1, 4):
        for _ in range(3):
            np.testing.assert_array_equal(f(x).data, k * x)
        w.data = np.full(4, k + 1, np.float32)
    assert len(f.variants) == 1


def test_threads_that_come_at_once_make_code_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    plain = Runner._made_for

    def slow(self: Runner, lying: Any) -> Runner | None:
        made.append(lying)
        time.sleep(0.1)
        return plain(self, lying)

    f = tn.compile(lambda x: np.exp(x) + x, backend="native")
    x = R.normal(size=(600, 800)).astype("f")
    expected = [f(x).numpy() for _ in range(2)][1]
    monkeypatch.setattr(Runner, "_made_for", slow)
    padded = np.pad(x, ((0, 0), (2, 3)))[:, 2:-3]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: f(padded).numpy(), range(3)))
    assert len(made) == 1
    for result in found:
        np.testing.assert_array_equal(result, expected)
