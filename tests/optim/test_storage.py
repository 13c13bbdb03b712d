"""Flat storage: what moves, what stays, and that all of it costs few NumPy calls."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import optim
from tapenet.optim import storage
from tapenet.optim.rule_compilation import Program
from tests.optim.problems import give, gradients, tensors


def count_segments(opt: optim.Optimizer) -> int:
    return len(opt._segments)


def make(*shapes: tuple[int, ...], dtype: Any = np.float64, seed: int = 0) -> list[tn.Tensor]:
    r = np.random.default_rng(seed)
    return [tn.tensor(r.normal(size=s).astype(dtype), requires_grad=True) for s in shapes]


def ones(params: list[tn.Tensor]) -> None:
    for p in params:
        p.grad = np.ones(p.shape)


def test_parameters_become_views_of_one_array_in_their_own_memory_order() -> None:
    params = tensors()
    values = [p.data.copy() for p in params]
    strides = [p.data.strides for p in params]
    opt = optim.SGD(params, lr=1.0)
    assert count_segments(opt) == 1
    flat = opt._segments[0][1].flat
    assert all(np.shares_memory(p.data, flat) for p in params)
    assert [p.data.strides for p in params] == strides
    assert params[0].data.flags.f_contiguous
    for p, value in zip(params, values, strict=True):
        np.testing.assert_array_equal(p.data, value)
    ones(params)
    opt.step()
    for p, value in zip(params, values, strict=True):
        np.testing.assert_array_equal(p.data, value - 1)


def test_dtypes_and_groups_have_storage_of_their_own() -> None:
    params = make((2,), (3,)) + make((2,), (4,), dtype=np.float32)
    opt = optim.Adam([{"params": params}, {"params": make((5,))}])
    assert count_segments(opt) == 3
    ones(params)
    opt.step()
    assert [p.dtype for p in params] == [np.float64, np.float64, np.float32, np.float32]


@pytest.mark.parametrize("block", [8, 64, 10**6])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_cut_into_blocks_gives_the_same(block: int, order: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(size: int) -> list[Any]:
        monkeypatch.setattr(storage, "BLOCK", size)
        r = np.random.default_rng(0)
        params = [
            tn.tensor(np.copy(r.normal(size=s), order), requires_grad=True)
            for s in [(7, 9), (3,), (1,), (2, 2), (5, 5), (0, 3), ()]
        ]
        opt = optim.Adam(params, lr=0.1, weight_decay=0.1)
        for step in range(5):
            g = np.random.default_rng(step)
            for p in params:
                p.grad = g.normal(size=p.shape)
            params[step].grad = None
            opt.step()
        return [p.data for p in params]

    for a, b in zip(run(block), run(storage.BLOCK), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_number_of_calls_does_not_depend_on_the_number_of_parameters() -> None:
    def calls(count: int) -> int:
        params = make(*[(3, 2), (3,)] * count)
        opt = optim.Adam(params)
        (_, segment), *others = opt._segments
        assert not others
        made = segment.program
        assert made is not None
        counted = []

        def update(*arguments: Any) -> None:
            counted.append(1)
            made.update(*arguments)

        segment.program = Program(update, made.temporaries, None)
        ones(params)
        before = params[-1].data.copy()
        opt.step()
        assert (params[-1].data != before).all()
        return len(counted)

    assert calls(1) == calls(100) == calls(1000) == 1


def test_a_large_gradient_of_the_same_memory_order_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "BLOCK", 64)
    for order, g_order, shares in [("C", "C", True), ("F", "F", True), ("F", "C", False)]:
        p = tn.tensor(np.zeros((10, 10)).copy(order), requires_grad=True)
        opt = optim.SGD([p], lr=1.0)
        g = np.arange(100.0).reshape(10, 10).copy(g_order)
        p.grad = tn.asarray(g)
        runs, grads = opt._segments[0][1].runs()
        assert np.shares_memory(runs[0].chunks[0].gather(grads), p.grad.data) == shares
        opt.step()
        np.testing.assert_array_equal(p.data, -g)


# -- what stays where it is ----------------------------------------------------------------------------------


def test_memory_that_somebody_else_refers_to_stays() -> None:
    a = np.zeros(3)
    p = tn.asarray(a).requires_grad_()
    q = tn.tensor([1.0, 2.0], requires_grad=True)
    detached = q.detach()
    rows = np.zeros((3, 2))
    r, s = (tn.asarray(rows[i]).requires_grad_() for i in (2, 0))
    opt = optim.SGD([p, q, r, s, *make((2,), (2,))], lr=1.0)
    assert count_segments(opt) == 5
    ones([p, q, r, s])
    opt.step()
    np.testing.assert_array_equal(a, -1)
    np.testing.assert_array_equal(detached.data, [0.0, 1.0])
    np.testing.assert_array_equal(rows, [[-1, -1], [0, 0], [-1, -1]])


def test_the_rows_of_a_flat_array_are_one_run() -> None:
    flat = np.zeros(10)
    params = [tn.asarray(flat[i:j]).requires_grad_() for i, j in [(5, 10), (0, 2), (2, 5)]]
    opt = optim.SGD(params, lr=1.0)
    assert count_segments(opt) == 1
    for i, p in enumerate(params):
        p.grad = np.full(p.shape, i + 1.0)
    opt.step()
    np.testing.assert_array_equal(flat, [-2, -2, -3, -3, -3, -1, -1, -1, -1, -1])


def test_views_that_cannot_be_updated_in_place() -> None:
    a = np.zeros((4, 4))
    p = tn.asarray(a[:, ::2]).requires_grad_()
    with pytest.raises(ValueError, match=r"parameter 0 of shape \(4, 2\) is a strided view of an array in use"):
        optim.SGD([p])
    a.flags.writeable = False
    q = tn.asarray(a).requires_grad_()
    with pytest.raises(ValueError, match=r"a read-only view .* storage of its own, tn.tensor"):
        optim.SGD([q])


def test_views_that_nobody_else_refers_to_move() -> None:
    p = tn.asarray(np.broadcast_to(np.zeros(2), (3, 2))).requires_grad_()
    q = tn.asarray(np.arange(6.0).reshape(2, 3).T[:, ::-1]).requires_grad_()
    opt = optim.SGD([p, q], lr=1.0)
    assert count_segments(opt) == 1
    ones([p, q])
    opt.step()
    np.testing.assert_array_equal(p.data, -np.ones((3, 2)))
    np.testing.assert_array_equal(q.data, np.arange(6.0).reshape(2, 3).T[:, ::-1] - 1)


def test_a_pending_graph_keeps_its_values_when_storage_moves() -> None:
    w = tn.tensor([2.0, 3.0], requires_grad=True)
    loss = (w * w).sum()
    opt = optim.SGD([w], lr=1.0)
    loss.backward()
    opt.step()
    np.testing.assert_array_equal(w.data, [-2.0, -3.0])


# -- several optimizers --------------------------------------------------------------------------------------


def test_two_optimizers_over_overlapping_parameters() -> None:
    a, b, c, d = make((2, 2), (3,), (4,), (1,))
    values = [p.data.copy() for p in (a, b, c, d)]
    first = optim.SGD([a, b, c], lr=1.0)
    second = optim.SGD([c, d, a], lr=10.0)
    third = optim.SGD([a, b, c, d], lr=100.0)
    assert count_segments(first) == 1
    assert count_segments(third) == 2  # the storage of the first, and that of d
    ones([a, b, c, d])
    for opt in (first, second, third, first):
        opt.step()
    for p, value, moved in zip((a, b, c, d), values, (112.0, 102.0, 112.0, 110.0), strict=True):
        np.testing.assert_allclose(p.data, value - moved)


def test_adversaries_take_turns() -> None:
    generator, critic = make((3,), (2,)), make((4,), (1,))
    values = [p.data.copy() for p in (*generator, *critic)]
    g, d = optim.SGD(generator, lr=1.0), optim.SGD(critic, lr=1.0)
    for opt, params in [(g, generator), (d, critic)] * 3:
        ones(generator + critic)
        opt.step()
        opt.zero_grad()
        assert all(p.grad is None for p in params)
    for p, value in zip((*generator, *critic), values, strict=True):
        np.testing.assert_allclose(p.data, value - 3)


def test_a_new_optimizer_over_the_same_parameters_each_epoch() -> None:
    params = make((3, 2), (3,))
    values = [p.data.copy() for p in params]
    for _ in range(4):
        opt = optim.SGD(params, lr=1.0)
        assert count_segments(opt) == 1
        ones(params)
        opt.step()
    for p, value in zip(params, values, strict=True):
        np.testing.assert_allclose(p.data, value - 4)


# -- writing to parameters meanwhile -------------------------------------------------------------------------


def test_assignments_keep_working() -> None:
    params = make((2, 2), (2,))
    opt = optim.SGD(params, lr=1.0)
    params[0].data = np.zeros((2, 2))
    with tn.no_grad():
        params[1][0] = 5.0
    params[1].data[1] = 7.0
    ones(params)
    opt.step()
    np.testing.assert_array_equal(params[0].data, -np.ones((2, 2)))
    np.testing.assert_array_equal(params[1].data, [4.0, 6.0])
    assert all(np.shares_memory(p.data, opt._segments[0][1].flat) for p in params)


def test_deepcopies_are_independent() -> None:
    params = make((2, 3), (2,))
    opt = optim.SGD(params, lr=1.0)
    ones(params)
    copied = copy.deepcopy(params)
    opt.step()
    for p, q in zip(params, copied, strict=True):
        np.testing.assert_array_equal(p.data, q.data - 1)
        assert q.data.base is None
        assert q.data.strides == p.data.strides


def test_a_model_copied_with_its_optimizer_trains_alike_and_apart() -> None:
    params = tensors()
    opt = optim.Adam(params, lr=0.1)
    for step in range(3):
        give(params, gradients(step))
        opt.step()
    twins, twin = copy.deepcopy((params, opt))
    for step in range(3, 6):
        give(params, gradients(step))
        opt.step()
        give(twins, gradients(step))
        twin.step()
    for p, q in zip(params, twins, strict=True):
        assert not np.shares_memory(p.data, q.data)
        np.testing.assert_array_equal(p.data, q.data)


def test_a_parameter_of_another_dtype_is_taken_up_anew_with_its_state() -> None:
    params = make((2,), (3,))
    opt = optim.SGD(params, lr=1.0, momentum=0.5)
    ones(params)
    opt.step()
    params[0]._rebind(params[0]._data.astype(np.float32))  # as a module's change of dtype does
    before = params[0].data.copy()
    params[0].grad = np.ones(2)
    opt.step()
    np.testing.assert_allclose(params[0].data, before - 1.5)
    assert params[0].dtype == opt._slots[0].state["momentum_buffer"].dtype == np.float32
    assert params[1].dtype == np.float64
    params[1]._rebind(np.zeros((5, 5)))
    with pytest.raises(ValueError, match=r"parameter 1 .* has shape \(5, 5\) by now, and its state \(3,\)"):
        opt.step()


def test_a_parameter_that_is_frozen_meanwhile_is_left_alone() -> None:
    a, b = make((2,), (2,))
    opt = optim.SGD([a, b], lr=1.0, momentum=0.9)
    ones([a, b])
    opt.step()
    a.requires_grad_(False)
    before = a.data.copy()
    opt.step()
    np.testing.assert_array_equal(a.data, before)
    assert [slot.step for slot in opt._slots] == [1, 2]
    a.requires_grad_()
    opt.zero_grad()
    assert b.grad is None


# -- graphs that still need a parameter ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_backward_through_a_parameter_that_was_updated(name: str) -> None:
    w, v = make((2, 2), (2,))
    opt = getattr(optim, name)([w, v])
    loss = ((w * w) @ v).sum()
    ones([w, v])
    opt.step()
    with pytest.raises(RuntimeError, match=f"changed in place by {name}.step"):
        loss.backward()


def test_only_parameters_that_were_updated_count() -> None:
    w, v, u = make((2,), (2,), (2,))
    opt = optim.SGD([w, v, u])
    loss = (v * v).sum()
    ones([w, u])
    opt.step()
    loss.backward()
    np.testing.assert_allclose(v.grad.data, 2 * v.data)


def test_parameters_without_gradient_keep_state_and_count() -> None:
    params = make((2,), (2,), (2,))
    opt = optim.Adam(params, lr=0.1)
    ones(params)
    opt.step()
    params[1].grad = None
    before = params[1].data.copy(), opt.state_dict()["state"][1]
    opt.step()
    opt.step()
    np.testing.assert_array_equal(params[1].data, before[0])
    after = opt.state_dict()["state"]
    np.testing.assert_array_equal(after[1]["grad_sum"], before[1]["grad_sum"])
    assert [after[i]["step"] for i in range(3)] == [3, 1, 3]
    opt.zero_grad()
    opt.step()
    assert [opt.state_dict()["state"][i]["step"] for i in range(3)] == [3, 1, 3]
