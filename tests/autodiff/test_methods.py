"""Methods of tensors are those of ndarray, with their arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.derived import pure
from tapenet.ops.operators import Operand
from tapenet.testing import check_grads

A = np.array([[0.3, -1.2, 2.4], [1.7, 0.6, -0.5]])
MASK = np.array([[True, False, True], [True, True, False]])
Z = A + 1j * A[::-1]

#: Called alike on an ndarray and on a tensor.
CALLS: dict[str, Callable[[Any], Any]] = {
    "sum": lambda a: a.sum(1),
    "sum of all": lambda a: a.sum(0, None, None, True, initial=2.0, where=MASK),
    "mean": lambda a: a.mean(0, None, None, True, where=MASK),
    "var": lambda a: a.var(0, None, None, 1, True),
    "std": lambda a: a.std(1, ddof=1, where=MASK),
    "max": lambda a: a.max(1, None, True, initial=-3.0, where=MASK),
    "min": lambda a: a.min(axis=(0, 1), keepdims=True),
    "prod": lambda a: a.prod(0, None, None, True, where=MASK),
    "trace": lambda a: a.trace(1),
    "trace of axes": lambda a: a.trace(0, 1, 0),
    "cumsum": lambda a: a.cumsum(),
    "cumsum of an axis": lambda a: a.cumsum(1),
    "cumprod": lambda a: a.cumprod(-1),
    "clip": lambda a: a.clip(-0.7, 1.0),
    "clip by name": lambda a: a.clip(max=1.0),
    "conj": lambda a: a.conj(),
    "conjugate": lambda a: a.conjugate(),
    "real": lambda a: a.real,
    "imag": lambda a: a.imag,
    "astype": lambda a: a.astype(np.float64, copy=False),
    "astype in all words": lambda a: a.astype("f8", "C", "safe", True, True),
    "copy": lambda a: a.copy("F"),
    "dot": lambda a: a.dot(np.arange(3.0)),
    "reshape": lambda a: a.reshape(3, -1),
    "reshape in Fortran order": lambda a: a.reshape((3, 2), order="F"),
    "reshape to a copy": lambda a: a.reshape((6,), copy=True),
    "transpose": lambda a: a.transpose(1, 0),
    "T": lambda a: a.T,
    "mT": lambda a: a.mT,
    "swapaxes": lambda a: a.swapaxes(0, 1),
    "squeeze": lambda a: a[:1].squeeze(0),
    "flatten": lambda a: a.flatten(),
    "flatten in Fortran order": lambda a: a.flatten("F"),
    "ravel": lambda a: a.ravel("F"),
    "repeat": lambda a: a.repeat(2, 1),
    "diagonal": lambda a: a.diagonal(1),
    "take": lambda a: a.take([0, 2, 2], 1),
    "take wrapped": lambda a: a.take([7, -1], mode="wrap"),
    "compress": lambda a: a.compress([True, False, True], 1),
}


@pytest.mark.parametrize("name", CALLS)
def test_methods_with_a_derivative(name: str) -> None:
    f = CALLS[name]
    expected = f(A)
    found = f(tn.tensor(A, requires_grad=True))
    assert type(found) is tn.Tensor
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.data, expected, rtol=1e-14)
    if found.requires_grad:
        check_grads(f, [A], order=2)
    else:
        assert name == "imag"


STEPS: dict[str, Callable[[Any], Any]] = {
    "argmax": lambda a: a.argmax(1),
    "argmin": lambda a: a.argmin(0, None, keepdims=True),
    "all": lambda a: (a > 0).all(1, keepdims=True),
    "any": lambda a: (a > 2).any(axis=0, where=MASK),
    "round": lambda a: a.round(1),
    "argsort": lambda a: a.argsort(0),
    "argpartition": lambda a: a.argpartition(1),
    "searchsorted": lambda a: a[0].argsort().searchsorted([0, 2], "right"),
    "nonzero": lambda a: np.stack(a.nonzero()),
    "shifts": lambda a: (a.argsort() << 2) + (9 >> a.argsort()) - (a.argsort() >> 1) * (2 << a.argsort()),
}


@pytest.mark.parametrize("name", STEPS)
def test_methods_without_a_derivative(name: str) -> None:
    found, expected = STEPS[name](tn.tensor(A, requires_grad=True)), STEPS[name](A)
    assert type(found) is tn.Tensor
    assert found.requires_grad == (name == "round")  # which has one, of 0
    np.testing.assert_array_equal(found.data, expected)


IN_PLACE: dict[str, Callable[[Any], Any]] = {
    "sort": lambda a: a.sort(0),
    "partition": lambda a: a.partition(1),
    "fill": lambda a: a[0].fill(0.0) or a.fill(3.0),
    "put": lambda a: a.put([0, 4], [7.0, 8.0]),
}


@pytest.mark.filterwarnings("ignore:item assignment to a tensor")  # `fill` sets a row, which is a view
@pytest.mark.parametrize("name", IN_PLACE)
def test_methods_in_place(name: str) -> None:
    f = pure(IN_PLACE[name])
    found = f(tn.tensor(A, requires_grad=True))
    np.testing.assert_array_equal(found.data, f(A))
    if name != "fill":
        check_grads(f, [A], order=2)
    x = tn.tensor(A, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        IN_PLACE[name](x)
    np.testing.assert_array_equal(x.data, A)


def test_plus_is_a_copy() -> None:
    x = tn.tensor(A, requires_grad=True)
    y = +x
    y[0] = 5.0
    np.testing.assert_array_equal(x.data, A)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [[0, 0, 0], [1, 1, 1]])


def test_items_at_places() -> None:
    x = tn.tensor(A, requires_grad=True)
    assert [x.item(4), x.item(1, 2), x.item((0, 1)), x.item(-1)] == [A.item(4), A[1, 2], A[0, 1], A[1, 2]]
    with pytest.raises(IndexError, match="index 6 is out of bounds for size 6"):
        x.item(6)
    with pytest.raises(ValueError, match=r"has shape \(2, 3\): give a place"):
        x.item()


def test_casts_that_are_not_allowed() -> None:
    x = tn.tensor(A, requires_grad=True)
    with pytest.raises(TypeError, match="astype: float64 cannot be cast to float32 by casting='safe'"):
        x.astype(np.float32, casting="safe")
    assert x.astype(np.float32, casting="same_kind").dtype == np.float32
    with pytest.raises(ValueError, match="copy=False forbids"):
        x.T.reshape(6, copy=False)


def test_what_belongs_to_arrays_says_so() -> None:
    """ndarray has nothing that a tensor neither has nor refers to it for."""
    x = tn.tensor(A)
    for name in dir(np.ndarray):
        if not hasattr(x, name):
            with pytest.raises(
                AttributeError, match=rf"no attribute '{name}': it belongs to arrays, write t\.numpy\(\)\.{name}"
            ):
                getattr(x, name)
    missing = {name for name in dir(np.ndarray) if name[0] != "_" and not hasattr(x, name)}
    assert missing >= {"strides", "view", "tobytes"}
    assert len(missing) < 20


def test_complex_parts() -> None:
    for f in (lambda z: z.real, lambda z: z.imag, lambda z: z.conj()):
        np.testing.assert_array_equal(f(tn.tensor(Z, requires_grad=True)).data, f(Z))
        check_grads(f, [Z], order=2)


def test_choose() -> None:
    index = tn.tensor([0, 1, 1])
    check_grads(lambda a, b: index.choose([a, b]), [A[0], A[1]], order=2)


def test_out_writes_to_the_tensor_that_is_given() -> None:
    x = tn.tensor(A, requires_grad=True)
    out = tn.copy(x)[0] * 0
    assert x.sum(0, out=out) is out
    (out * out).sum().backward()
    np.testing.assert_allclose(x.grad.data, np.broadcast_to(2 * A.sum(0), A.shape))


#: Methods of ndarray that are about its memory, its bytes or files.
MEMORY = {
    "byteswap", "dump", "dumps", "getfield", "resize", "setfield", "setflags", "to_device", "tobytes", "tofile", "view",
    "tolist", "item", "copy",
}  # fmt: skip


def test_no_method_of_ndarray_is_missing() -> None:
    theirs = {n for n, m in inspect.getmembers(np.ndarray) if not n.startswith("_") and callable(m)}
    assert not theirs - MEMORY - set(dir(Operand))
    assert {"tolist", "item", "copy"} <= set(dir(tn.Tensor))
