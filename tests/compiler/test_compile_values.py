"""A call that is captured has the arrays and lists that it was given as they were then, whatever is written to them later."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.autodiff.observe import values
from tapenet.compiler import capture
from tapenet.program.arguments import mapped
from tapenet.program.trees import flatten
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

X = np.arange(9.0).reshape(3, 3)
LARGE = np.ones(100_000)
SMALL = np.ones(3)


def _written(x: Any, index: Any, write: Callable[[Any, Any, Any], None]) -> Any:
    y = x * 1
    write(y, index, x[:1])
    return y


def _put(y: Any, index: Any, values: Any) -> None:
    y[index] = values


#: What is made, what is computed with it, and what is written there then.
USES: dict[str, tuple[Callable[[], Any], Callable[[Any, Any], Any], object]] = {
    "index, a list": (lambda: [0, 2], lambda x, i: x[i], [1, 1]),
    "index, nested lists": (lambda: [[0], [2]], lambda x, i: x[i, [0, 1]], [[1], [1]]),
    "index, lists in a tuple": (lambda: [0, 2], lambda x, i: x[:, i], [1, 1]),
    "index, an array": (lambda: np.array([0, 2]), lambda x, i: x[i], 1),
    "index, one number": (lambda: np.array([2]), lambda x, i: x[i], 1),
    "index, a number without axes": (lambda: np.array(2), lambda x, i: x[i], 1),
    "mask": (lambda: np.array([True, False, False]), lambda x, i: x[i], [False, True, False]),
    "take": (lambda: np.array([0, 2]), lambda x, i: np.take(x, i, 0), 1),
    "take, a list": (lambda: [0, 2], lambda x, i: np.take(x, i, 0), [1, 1]),
    "take_along_axis": (lambda: np.array([[0], [1], [2]]), lambda x, i: np.take_along_axis(x, i, 1), 0),
    "where": (lambda: np.array([True, False, True]), lambda x, i: np.where(i, x, 0), False),
    "operand": (lambda: np.arange(3.0), lambda x, a: x * a, np.nan),
    "operand, a part": (lambda: np.arange(6.0)[::2], lambda x, a: x * a, -0.0),
    "operand, a view to read": (lambda: np.arange(3.0), lambda x, a: x * np.broadcast_to(a, (3, 3)), 5),
    "operand, as a tensor": (lambda: np.arange(3.0), lambda x, a: x * tn.asarray(a), 5),
    "write": (lambda: [0, 2], lambda x, i: _written(x, i, _put), [1, 1]),
    "np.add.at": (lambda: np.array([0, 2]), lambda x, i: _written(x, i, np.add.at), 1),
    "segments": (lambda: np.array([0, 1, 1]), lambda x, i: tn.scatter_add(x, i, (3, 3)), 0),
    "shape": (lambda: [9, 1], lambda x, shape: x.reshape(shape), [1, 9]),
    "order of axes": (lambda: [1, 0], lambda x, axes: np.transpose(x, axes), [0, 1]),
    "repeats": (lambda: np.array([2, 0, 1]), lambda x, n: np.repeat(x, n, 0), [0, 1, 2]),
    "parts": (lambda: [np.zeros((1, 3))], lambda x, parts: np.concatenate([x, *parts]), [np.ones((1, 3))]),
}


def _twice(use: str, apart: bool) -> Callable[[Any], Any]:
    """What is computed before and after the writing, with the same thing or another one."""
    make, compute, after = USES[use]

    def f(x: Any) -> Any:
        thing = make()
        first = compute(x, thing)
        thing = make() if apart else thing
        thing[... if isinstance(thing, np.ndarray) else slice(None)] = after
        return first, compute(x, thing)

    return f


def _in_a_branch(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: tn.cond(x.sum() > -1, f, lambda x: tuple(t * 0 for t in f(x)), x)


def _backward(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def gradient(x: Any) -> Any:
        w = tn.tensor(x, requires_grad=True)
        (f(w)[0] ** 2).sum().backward()
        return w.grad

    return gradient


AROUND: dict[str, Callable[[Callable[[Any], Any]], Callable[[Any], Any]]] = {
    "": lambda f: f,
    "scan": lambda f: lambda x: tn.scan(lambda c, _: (c + 1, f(x + c)), np.float64(0), None, length=2)[1],
    "branch": _in_a_branch,
    "gradient": lambda f: tn.grad(lambda x: sum((t * t).sum() for t in f(x))),
    "backward": _backward,
    "lanes": lambda f: lambda x: tn.vmap(f)(np.stack([x, x + 1])),
}


@pytest.mark.parametrize(("around", "backend"), [("", "native"), *((around, "numpy") for around in AROUND)])
def test_what_is_written_after_a_call_changes_nothing_of_it(around: str, backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    for name in USES:
        run = tn.compile(AROUND[around](_twice(name, False)), backend=backend)
        want = AROUND[around](_twice(name, True))
        for x in (X, X + 1):
            for found, expected in zip(tn.tree.leaves(run(x)), tn.tree.leaves(want(tn.tensor(x))), strict=True):
                np.testing.assert_array_equal(found.numpy(), expected.numpy(), err_msg=f"{name} {around}")


@pytest.mark.parametrize("name", USES)
def test_transformations_take_it_as_it_was(name: str) -> None:
    """Uncompiled too: what they record is read when the function has ended."""
    lanes = np.stack([X, X + 1])
    of_lanes = tn.vmap(_twice(name, False))(lanes)
    for found, *expected in zip(of_lanes, *(_twice(name, True)(x) for x in map(tn.tensor, lanes)), strict=True):
        np.testing.assert_array_equal(found.numpy(), np.stack([e.numpy() for e in expected]))


def test_what_is_made_around_a_loop_may_be_written_after_it() -> None:
    def f(x: Any) -> Any:
        index, numbers, one = [0, 2], np.arange(3.0), np.array([1])
        y = tn.fori(0, 2, lambda i, y: y + x[index].sum() * numbers + x[one], x)
        index[0], numbers[0], one[0] = 1, 9.0, 2
        return y

    run = tn.compile(f, backend="numpy")
    for x in (X, X + 1, X - 2):
        np.testing.assert_array_equal(run(x).numpy(), f(tn.tensor(x)).numpy())


@pytest.mark.parametrize("settles", [False, True])
def test_one_tensor_around_an_array_is_read_as_it_is_at_each_call(settles: bool) -> None:
    def f(x: Any) -> Any:
        a = np.arange(3.0)
        shared = tn.from_dlpack(a)
        found = [x * shared]
        a[:] = 5
        found.append(x * shared)
        if settles:
            (tn.tensor(2.0, requires_grad=True) * shared).sum().backward()
            a[:] = 6
            found.append(x * shared)
        a[:] = 7
        return found

    run = tn.compile(f, backend="numpy")
    for x in (X, X + 1):
        for found, expected in zip(run(x), f(tn.tensor(x)), strict=True):
            np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_an_array_that_is_written_again_and_again_is_looked_for_in_new_calls_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = 0

    def noted(f: Callable[[Any], object], value: object, *whole: type) -> Any:
        nonlocal looked
        looked += 1
        return mapped(f, value, *whole)

    def f(x: Any) -> Any:
        a = np.zeros(3)
        for i in range(50):
            a[0] = i
            x = x + a
        return x

    monkeypatch.setattr(values, "mapped", noted)
    run = tn.compile(f, backend="numpy")
    for x in (X, X + 1):
        np.testing.assert_array_equal(run(x).numpy(), f(x))
    assert 50 <= looked <= 200


@pytest.mark.parametrize("array", [SMALL, LARGE])
@pytest.mark.parametrize("before", [False, True])
def test_arrays_from_outside_may_not_be_written(array: np.ndarray, before: bool) -> None:
    """A program reads them at each call where they are, and does not write to them."""

    def f(x: Any) -> Any:
        array[0] += before
        y = (x * array[:2]).sum()
        array[0] += not before
        return y

    kept = array.copy()
    with pytest.raises(tn.CaptureError, match="while it was captured"):
        tn.compile(f, backend="numpy")(np.float64(2))
    array[...] = kept  # of a large one nobody knows what it was


@pytest.mark.parametrize("array", [SMALL, LARGE])
def test_arrays_from_outside_may_not_be_written_for_a_while(array: np.ndarray) -> None:
    """What an op read is what counts, though all is as before in the end."""

    def f(x: Any) -> Any:
        first = array[0]
        array[0] = 7
        y = (x * array).sum()
        array[0] = first
        return y

    with pytest.raises(tn.CaptureError, match="while it was captured"):
        tn.compile(f, backend="numpy")(np.float64(2))


@pytest.mark.parametrize("buffer", [np.zeros((4, 10_000)), np.zeros((10_000, 4)).T, np.zeros(40_000).reshape(4, -1)])
def test_a_view_of_an_array_from_outside_is_its_own_elements(buffer: np.ndarray) -> None:
    """A loader may write the next batch meanwhile."""

    def f(x: Any) -> Any:
        buffer[1] += 1
        return (x * buffer[0, ::-1]).sum()

    run = tn.compile(f, backend="numpy")
    for value in (1.0, 2.0, 3.0):
        buffer[0] = value
        assert run(np.float64(2)).item() == 2 * value * 10_000

    def written(x: Any) -> Any:
        buffer[0, 3] += 1
        return (x * buffer[0, ::-1]).sum()

    with pytest.raises(tn.CaptureError, match="while it was captured"):
        tn.compile(written, backend="numpy")(np.float64(2))


def test_an_op_with_an_effect_may_write_what_is_read_after_it() -> None:
    store = np.zeros(100_000)

    def forward(x: np.ndarray) -> np.ndarray:
        store[0] = x
        return np.zeros(())

    keep = tn.op(forward, name="keep", effect=True, nondiff=True)

    def f(x: Any) -> Any:
        keep(x)
        return (tn.asarray(store) * x).sum()

    run = tn.compile(f, backend="numpy")
    for value in (1.0, 2.0, 3.0):
        assert run(np.float64(value)).item() == value * value


def test_arrays_of_any_dtype_may_be_reached() -> None:
    texts, records = np.array(["cat", "dog"]), np.zeros(2, "i4,f8")
    arrays = [np.zeros(3, "V0"), np.zeros(3, np.dtype([])), np.zeros((0, 3)), texts, records]
    assert values._same(records, records.copy())
    run = tn.compile(lambda x: x * len(arrays[0]) + arrays[2].sum(), backend="numpy")
    no_bytes = arrays[1]
    other = tn.compile(lambda x: x * len(no_bytes), backend="numpy")
    assert run(np.float64(2)).item() == other(np.float64(2)).item() == 6


def test_arrays_from_outside_are_read_where_they_are() -> None:
    run = tn.compile(lambda x: x * SMALL, backend="numpy")
    for value in (1.0, 2.0, 3.0):
        SMALL[:] = value
        np.testing.assert_array_equal(run(np.float64(2)).numpy(), 2 * SMALL)
    SMALL[:] = 1


@pytest.mark.parametrize("loss", [F.cross_entropy, F.multi_margin_loss])
def test_gradients_follow_classes_from_outside(loss: Callable[..., Any]) -> None:
    """Their rules compute with the classes alone."""
    x = tn.tensor(np.random.default_rng(0).normal(size=(6, 5)), requires_grad=True)
    classes = np.arange(6) % 5

    def step() -> Any:
        x.grad = None
        loss(x * 1.5, classes).backward()
        return x.grad

    compiled = tn.compile(step)
    for _ in range(3):
        np.testing.assert_allclose(compiled(), step().numpy())
        classes[:] = (classes + 1) % 5


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The programs that captures gave."""
    found: list[object] = []
    first_call = capture.first_call

    def noted(*args: Any, **options: Any) -> Any:
        result, program = first_call(*args, **options)
        found.append(program)
        return result, program

    monkeypatch.setattr(importlib.import_module("tapenet.compiler.compile"), "first_call", noted)
    return found


def numpy_reads(x: Any, table: Any) -> Any:
    return (x * table).sum() * np.mean(table)


def numpy_reads_a_view(x: Any, table: Any) -> Any:
    return (x * table[1:]).sum() * float(table[0])


def numpy_computes_an_array(x: Any, table: Any) -> Any:
    return (x * table).sum() * np.cumsum(table)


def numpy_chooses(x: Any, table: Any) -> Any:
    return (x * table).sum() if table[0] < 1.5 else (x + table).sum()


def numpy_gives_a_number(x: Any, table: Any) -> Any:
    return x * table, float(table[0])


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    "f", [numpy_reads, numpy_reads_a_view, numpy_computes_an_array, numpy_chooses, numpy_gives_a_number]
)
def test_an_array_that_plain_numpy_reads_beside_ops(f: Callable[..., Any], large: bool) -> None:
    """What NumPy made of it is a constant of the program."""
    table = np.ones(20_000 if large else 3)
    run = tn.compile(lambda x: f(x, table), backend="numpy")
    for value in (1.0, 2.0, 3.0, 4.0):
        table[:] = value
        expected, found = (flatten(by(np.float64(3)))[0] for by in (lambda x: f(tn.asarray(x), table), run))
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_allclose(np.asarray(b), np.asarray(a))
    assert len(run.variants) == (2 if f is numpy_chooses else 4)


def _trains() -> Callable[[Any, Any], Any]:
    net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 3))
    step = optim.Adam(net.parameters(), lr=optim.cosine(0.1, 10))

    def train(x: Any, classes: Any) -> Any:
        loss = F.cross_entropy(net(x), classes) + F.mse_loss(np.arange(3.0) * x[0], np.zeros(3))
        step.zero_grad()
        loss.backward()
        step.step()
        return {"loss": loss, "count": 3, "name": "loss"}

    return train


def _loops() -> Callable[[Any, Any], Any]:
    train = _trains()

    def epoch(x: Any, classes: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            noise = tn.random.normal(size=3)
            c = tn.cond(c > 0, lambda: c + train(x + noise, classes)["loss"], lambda: c - 1)
            return c, row * tn.random.uniform(size=3)

        return tn.scan(body, np.float64(1), x)

    return epoch


#: Functions of an array and of classes from outside that ops alone read.
OPS_ALONE: dict[str, Callable[[], Callable[[Any, Any], Any]]] = {
    "index": lambda: lambda x, classes: x[np.arange(3), classes] * np.ones(3),
    "sizes": lambda: lambda x, classes: x[tn.asarray(classes) >= 0],
    "training": _trains,
    "loop": _loops,
    "gradient": lambda: lambda x, classes: tn.grad(lambda x: F.cross_entropy(x, classes))(x),
}


def _of_outside(f: Callable[[Any, Any], Any], numbers: Any, classes: Any) -> Callable[[], Any]:
    return lambda: f(tn.asarray(numbers), classes)


@pytest.mark.parametrize("from_first", [False, True])
@pytest.mark.parametrize("name", OPS_ALONE)
@backends
def test_an_array_that_ops_alone_read_is_looked_at_once(
    compiled: Compile, name: str, from_first: bool, captures: list[object]
) -> None:
    found = []
    for compiles in (False, True):
        tn.random.seed(0)
        f, classes, numbers = OPS_ALONE[name](), np.arange(3), X.copy()
        run = compiled(_of_outside(f, numbers, classes), from_first=from_first)
        found.append([])
        for _ in range(4):
            result = (run if compiles else run.__wrapped__)()
            found[-1].append([leaf.numpy().copy() for leaf in flatten(result)[0] if isinstance(leaf, tn.Tensor)])
            classes[:] = np.roll(classes, 1)
            numbers *= 1.5
    for a, b in zip(*found, strict=True):
        for expected, gives in zip(a, b, strict=True):
            np.testing.assert_allclose(gives, expected, rtol=1e-5)
    assert len(run.variants) == 1
    assert captures == [*run.variants] * 2


def test_programs_enough_are_found_to_hold_all_the_same(captures: list[object]) -> None:
    table = np.ones(3)
    run = tn.compile(lambda x: x * table, max_variants=1, backend="numpy")
    for value in (1.0, 2.0, 3.0):
        table[:] = value
        assert run(X).numpy().tolist() == (X * value).tolist()
    assert captures == [*run.variants] * 2


def test_in_a_graph_an_array_that_ops_alone_read_is_looked_at_once(captures: list[object]) -> None:
    table, x = np.ones(3), tn.tensor([2.0], requires_grad=True)
    run = tn.compile(lambda x: x * table, backend="numpy")
    for value in (1.0, 2.0, 3.0, 4.0, 5.0):
        table[:] = value
        x.grad = None
        run(x * 1).sum().backward()
        assert x.grad.tolist() == [3 * value]
    assert len(run.variants) == 1
    assert len(captures) == 3


def test_gradients_of_bags_follow_indices_from_outside() -> None:
    """Their rule takes the indices by the winners, which a program computes."""
    weight = tn.tensor([[0.0, 5.0], [2.0, 3.0], [4.0, 1.0]], requires_grad=True)
    indices = np.array([0, 2, 2, 1])

    def step() -> Any:
        weight.grad = None
        (tn.embedding_bag(indices, weight, [0, 3, 3], mode="max") ** 2).sum().backward()
        return weight.grad

    compiled = tn.compile(step, backend="numpy")
    for _ in range(3):
        np.testing.assert_allclose(compiled(), step().numpy())
        indices[:] = (indices + 1) % 3
