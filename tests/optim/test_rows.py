"""Tables whose gradient a backward pass keeps by rows: where that is enough, these rows alone are updated; it stays by rows."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import optim
from tapenet.optim import storage

SHAPE = (3000, 30)
KINDS: dict[str, Any] = {
    "SGD": lambda ps: optim.SGD(ps, lr=0.1, maximize=True),
    "Adagrad": lambda ps: optim.Adagrad(ps, lr=optim.exponential(0.1, 0.9), lr_decay=0.1),
    "SparseAdam": lambda ps: optim.SparseAdam(ps, lr=0.1),
}
OTHERS: dict[str, Any] = {
    "momentum": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9),
    "decay": lambda ps: optim.SGD(ps, lr=0.1, weight_decay=0.1),
    "Adagrad with decay": lambda ps: optim.Adagrad(ps, weight_decay=0.1),
    "Adam": lambda ps: optim.Adam(ps, lr=0.1),
    "LAMB": lambda ps: optim.LAMB(ps, lr=0.1),
}


def parameters(dtype: Any, order: Any = "C") -> list[tn.Tensor]:
    r = np.random.default_rng(0)
    return [tn.tensor(r.normal(size=s).astype(dtype, order), requires_grad=True) for s in ((4,), SHAPE, (2, 30))]


def backward(ps: list[tn.Tensor], step: int) -> None:
    r = np.random.default_rng(step)
    index = r.integers(0, SHAPE[0], size=20)
    for p in ps:
        p.grad = None
    (tn.embedding(index, ps[1]) * r.normal(size=(20, 1)).astype(ps[1].dtype)).sum().backward()
    tn.embedding(index[:3], ps[1]).sum().backward()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("make", [*KINDS.values(), *OTHERS.values()], ids=[*KINDS, *OTHERS])
def test_by_rows_is_as_dense(make: Any, dtype: Any) -> None:
    sparse, dense = parameters(dtype), parameters(dtype)
    opts = make(sparse), make(dense)
    for step in range(5):
        for ps, opt in zip((sparse, dense), opts, strict=True):
            backward(ps, step)
            assert ps[1].grad._rows is not None
            if ps is dense:
                ps[1].grad = tn.tensor(ps[1].grad.numpy())
            opt.step()
        stays = make is not OTHERS["LAMB"]  # which asks for the array
        assert (sparse[1].grad._rows is not None) == stays
    for p, q in zip(sparse, dense, strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-12 if dtype == np.float64 else 1e-5)
    for a, b in zip(*(opt.state_dict()["state"].values() for opt in opts), strict=True):
        assert a["step"] == b["step"]
        for name in a:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-12 if dtype == np.float64 else 1e-5)


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_other_memory_orders_are_updated_as_ever(make: Any) -> None:
    plain, turned = parameters(np.float64), parameters(np.float64, "F")
    opts = make(plain), make(turned)
    for step in range(3):
        for ps, opt in zip((plain, turned), opts, strict=True):
            backward(ps, step)
            opt.step()
    assert turned[1].data.flags.f_contiguous
    np.testing.assert_allclose(turned[1].data, plain[1].data, rtol=1e-12)


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("room", [1, 3 * 30 * 8])
def test_a_few_rows_at_a_time_are_as_all(make: Any, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether one row is more than the room there is, or the last block has less rows than others."""
    whole, parts = parameters(np.float64), parameters(np.float64)
    opts = make(whole), make(parts)
    for step in range(3):
        for ps, opt, block in zip((whole, parts), opts, (storage.BLOCK, room), strict=True):
            backward(ps, step)
            monkeypatch.setattr(storage, "BLOCK", block)
            opt.step()
            monkeypatch.undo()
    for p, q in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    for a, b in zip(*(opt.state_dict()["state"].values() for opt in opts), strict=True):
        np.testing.assert_equal(a, b)


def test_no_array_of_all_rows_is_made() -> None:
    table = tn.tensor(np.ones((20_000, 64), np.float32), requires_grad=True)
    opt = optim.SGD([table], lr=0.1)
    tn.embedding(np.arange(4000), table).sum().backward()
    opt.step()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        opt.step()
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert table.grad is not None
    assert table.grad._rows is not None
    assert peak < 4 * storage.BLOCK < 4000 * 64 * 4


def test_the_write_is_noted() -> None:
    ps = parameters(np.float64)
    opt = optim.SGD(ps, lr=0.1)
    loss = (ps[1] * ps[1]).sum()
    backward(ps, 0)
    opt.step()
    with pytest.raises(RuntimeError, match=r"changed in place by SGD.step"):
        loss.backward()
