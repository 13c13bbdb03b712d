"""Writes to values that a pending backward still needs are detected; others are nobody's business."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.observe import mutation


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(np.asarray(values, dtype=np.float64), requires_grad=True)


def _assign_data(t: tn.Tensor) -> None:
    t.data = np.full(t.shape, 9.0)


def _assign_item(t: tn.Tensor) -> None:
    with tn.no_grad():
        t[...] = 9.0


def _operator_on_data(t: tn.Tensor) -> None:
    t.data += 1


def _as_an_optimizer_does(t: tn.Tensor) -> None:
    np.copyto(t.data, 9.0)
    mutation.wrote(t.data, "an optimizer's step")


WRITES: dict[str, Callable[[tn.Tensor], None]] = {
    "an assignment to .data": _assign_data,
    "item assignment": _assign_item,
    "an assignment to .data (operator)": _operator_on_data,
    "an optimizer's step": _as_an_optimizer_does,
}


@pytest.mark.parametrize("create_graph", [False, True], ids=["plain", "create_graph"])
@pytest.mark.parametrize("by", WRITES)
def test_a_write_to_a_saved_value_is_detected(by: str, create_graph: bool) -> None:
    w, x = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    loss = (w * x).sum()
    WRITES[by](w)
    with pytest.raises(RuntimeError) as caught:
        loss.backward(create_graph=create_graph)
    text = str(caught.value)
    assert "op 'multiply' needs its x for backward" in text
    assert f"changed in place by {by.removesuffix(' (operator)')}" in text
    assert "Call backward first" in text
    assert w.grad is None
    assert x.grad is None


@pytest.mark.parametrize("by", WRITES)
def test_a_value_that_no_rule_needs_may_be_written(by: str) -> None:
    w, x = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    loss = (w + x).sum() + (w * np.array([2.0, 2.0])).sum() + w.mean() + w.reshape(2, 1).sum()
    WRITES[by](w)
    loss.backward()
    np.testing.assert_array_equal(w.grad.data, [4.5, 4.5])


@pytest.mark.parametrize("by", WRITES)
def test_writes_before_the_op_do_not_matter(by: str) -> None:
    w, x = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    early = (x * 2).sum()  # an older node, so that the check is made at all
    WRITES[by](w)
    ((w * x).sum() + early).backward()
    np.testing.assert_array_equal(x.grad.data, w.data + 2)


def test_a_training_loop_is_not_disturbed() -> None:
    w = leaf(np.ones(3))
    for _ in range(5):
        w.grad = None
        loss = ((w * w) ** 2).sum()
        loss.backward()
        w.data = w - 0.01 * w.grad
    assert loss.item() < 3


def test_the_second_of_two_losses_over_a_step_is_refused() -> None:
    w = leaf([1.0, 2.0])
    first, second = (w * w).sum(), np.exp(w).sum()
    third = (w * w * w).sum()
    first.backward()
    w.data = w - 0.1 * w.grad
    second.backward()  # exp keeps its output, which is an array of its own
    with pytest.raises(RuntimeError, match="changed in place"):
        third.backward()


def test_a_retained_graph_is_checked_again() -> None:
    w = leaf([1.0, 2.0])
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    w.data = np.zeros(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_saved_outputs_sequences_and_indices_are_watched() -> None:
    x = leaf([1.0, 2.0])
    y = np.exp(x)
    y.data = np.zeros(2)
    with pytest.raises(RuntimeError, match="'exp' needs its out"):
        y.sum().backward()

    dot = tn.op(lambda xs: xs[0] * xs[1], name="dots", xs=lambda g, xs: (g * xs[1], g * xs[0]))
    a, b = leaf([1.0]), leaf([2.0])
    out = dot([a, b])
    b.data = [5.0]
    with pytest.raises(RuntimeError, match="'dots' needs its xs"):
        out.sum().backward()

    index = tn.tensor([0, 1])
    picked = x[index]
    index.data = [1, 1]
    with pytest.raises(RuntimeError, match="'getitem' needs its index"):
        picked.sum().backward()


def test_views_share_their_fate() -> None:
    x = leaf([1.0, 2.0])
    w = leaf(np.arange(6.0))
    part = w.reshape(2, 3)[1, :2]
    loss = (part * x).sum()
    with tn.no_grad():
        w[...] = 0.0
    with pytest.raises(RuntimeError, match=r"needs its x .*item assignment"):
        loss.backward()


def _over(base: Any) -> Callable[[Any], tn.Tensor]:
    return lambda index: tn.asarray(base[index])


@pytest.mark.parametrize(
    ("saved", "written"),
    [
        (np.s_[0:2, :], np.s_[2:4, :]),
        (np.s_[:, 0], np.s_[:, 1]),
        (np.s_[:, 1], np.s_[:, 0]),
        (np.s_[:, :2], np.s_[:, 2:]),
        (np.s_[::2], np.s_[1::2]),
        (np.s_[1::2, ::2], np.s_[1::2, 1::2]),
        (np.s_[0, ::-1], np.s_[1, ::-1]),
        (np.s_[0, 0:1], np.s_[0, 1:2]),
    ],
)
def test_neighbours_in_the_same_memory_are_told_apart(saved: Any, written: Any) -> None:
    base = np.arange(16.0).reshape(4, 4)
    value, other = _over(base)(saved), _over(base)(written)
    x = leaf(np.ones(value.shape))
    loss = (x * value).sum()
    expected = value.data.copy()
    other.data = np.full(other.shape, 7.0)
    loss.backward()
    np.testing.assert_array_equal(x.grad.data, expected)


@pytest.mark.parametrize(
    ("saved", "written"),
    [
        (np.s_[1:3, :], np.s_[2:4, :]),
        (np.s_[:, 1], np.s_[2]),
        (np.s_[:, :2], np.s_[:, 1:]),
        (np.s_[::2], np.s_[::3]),
        (np.s_[0, ::-1], np.s_[0, 1::2]),
        (np.s_[:], np.s_[3, 3:]),
        (np.s_[3, 3:], np.s_[:]),
        (np.s_[:, 1], np.s_[:]),
    ],
)
def test_overlaps_in_the_same_memory_are_found(saved: Any, written: Any) -> None:
    base = np.arange(16.0).reshape(4, 4)
    value, other = _over(base)(saved), _over(base)(written)
    loss = (leaf(np.ones(value.shape)) * value).sum()
    other.data = np.full(other.shape, 7.0)
    with pytest.raises(RuntimeError, match=r"needs its y .*an assignment to \.data"):
        loss.backward()


@pytest.mark.parametrize("later", [np.s_[:2], np.s_[:10:3], np.s_[0:9:2]])
def test_a_later_write_does_not_hide_an_earlier_one(later: Any) -> None:
    base = np.ones(10)
    whole, part, second = tn.asarray(base), tn.asarray(base[5:6]), tn.asarray(base[later])
    loss = (leaf([1.0]) * part).sum()
    whole.data = np.full(10, 2.0)
    second.data = np.zeros(second.shape)  # begins at the same byte
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_memory_that_was_freed_and_used_again_is_not_suspected() -> None:
    x = leaf(np.ones(1000))
    early = (x * 2).sum()
    for _ in range(50):
        t = tn.tensor(np.ones(1000))
        t.data = np.zeros(1000)
        del t
        value = tn.tensor(np.full(1000, 3.0))  # likely at the address of the one just freed
        x.grad = None
        ((x * value).sum()).backward()
        assert x.grad.data[0] == 3.0
    early.backward()


def test_other_threads_writes_are_seen() -> None:
    w, x = leaf([1.0]), leaf([2.0])
    loss = (w * x).sum()
    thread = threading.Thread(target=_assign_data, args=(w,))
    thread.start()
    thread.join()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_the_gradients_of_functions_are_checked_too() -> None:
    w = leaf([1.0, 2.0])
    _, pull = tn.vjp(lambda x: x * w, np.ones(2))
    w.data = np.zeros(2)
    with pytest.raises(RuntimeError, match="changed in place"):
        pull(np.ones(2))


def test_item_assignment_outside_leaves_makes_no_write() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2
    loss = (y * y).sum()
    y[0] = 100.0  # a new array: the graph of before is whole
    loss.backward()
    np.testing.assert_array_equal(x.grad.data, [8.0, 16.0])


def test_many_writes_elsewhere_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node made after the last write is not looked at; the others ask an index, not each write."""
    kept = [tn.tensor([float(i)]) for i in range(500)]
    looked: list[int] = []
    stale, shared = mutation.stale, mutation._shared
    monkeypatch.setattr(mutation, "stale", lambda node: looked.append(node.number) or stale(node))
    compared: list[int] = []
    monkeypatch.setattr(mutation, "_shared", lambda *a: compared.append(1) or shared(*a))
    x = leaf([1.0])
    early = [np.sin(x) for _ in range(5)]
    for t in kept:
        t.data = [2.0]
    y = sum(early)
    for _ in range(10):
        y = np.sin(y)
    y.sum().backward()
    assert looked == [t.node.number for t in reversed(early)]
    assert not compared


def test_the_log_of_writes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutation, "_LIMIT", 100)
    kept = [tn.tensor([float(i)]) for i in range(1000)]
    w = kept[-1].requires_grad_()
    loss = (w * w).sum()
    for t in kept:
        t.data = [0.0]
    assert len(mutation._writes) <= 100
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_writers_that_take_turns() -> None:
    """What writes the same memory again and again is entered once; whoever was last is named."""
    w, v = leaf([1.0, 2.0]), leaf([3.0])
    one = mutation.Writer("one", [mutation.region(w.data)])
    both = mutation.Writer("both", [mutation.region(w.data), mutation.region(v.data)])
    other = mutation.Writer("other", [mutation.region(v.data)])

    def last(*writers: mutation.Writer, of: tn.Tensor = w) -> str:
        loss = (of * of).sum()
        for writer in writers:
            writer.wrote()
        with pytest.raises(RuntimeError, match=r"changed in place by (one|both|other) ") as caught:
            loss.backward()
        return str(caught.value).partition("changed in place by ")[2].split()[0]

    assert last(one) == "one"
    assert last(one, both) == "both"
    assert last(both, one) == "one"
    assert last(both, one, both) == "both"
    assert last(both, one, of=v) == "both"
    assert last(both, other, of=v) == "other"
    assert last(one, both, other, of=v) == "other"
    fresh = (w * w).sum()  # made after all of these
    fresh.backward()


def test_a_writer_is_entered_once() -> None:
    w, v = leaf([1.0, 2.0]), leaf([3.0])
    one, other = (mutation.Writer("", [mutation.region(t.data)]) for t in (w, v))
    one.wrote(), other.wrote(), one.wrote()
    entered, known = mutation._entered, len(mutation._writes)
    for _ in range(1000):
        one.wrote()
        other.wrote()
    assert (mutation._entered, len(mutation._writes)) == (entered, known)
    assert mutation.latest == other.number > one.number


def test_the_latest_writes_are_kept_when_the_log_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    w = leaf([1.0, 2.0])
    writer = mutation.Writer("the program", [mutation.region(w.data)])
    writer.wrote()  # entered first, and so ahead of the others
    kept = [tn.tensor([float(i)]) for i in range(60)]
    monkeypatch.setattr(mutation, "_LIMIT", len(mutation._writes) + 50)
    loss = (w * w).sum()
    for t in kept[:40]:
        t.data = [0.0]
    writer.wrote()
    for t in kept[40:]:
        t.data = [0.0]  # full
    with pytest.raises(RuntimeError, match="changed in place by the program"):
        loss.backward()
