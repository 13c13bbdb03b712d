"""Every op on float16 and bfloat16 tensors: it computes what it computes in float32, rounded once, and so do gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.ops
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.registry import registry
from tapenet.program.low import is_float
from tapenet.program.trees import tree_leaves, tree_map

ml_dtypes = pytest.importorskip("ml_dtypes")

tapenet.ops.everything()
#: What is about the type's own neighbours, see below.
_NEIGHBOURS = ("tapenet.ops.elementwise.steps.nextafter", "tapenet.ops.elementwise.steps.spacing")
OPS = {
    name: op
    for name, op in sorted(registry.items())
    if name.startswith("tapenet.ops.") and op.samples is not None and name not in _NEIGHBOURS
}
#: By type: half the distance of 1 to its neighbour.
TYPES = {"float16": (np.dtype(np.float16), 2.0**-11), "bfloat16": (np.dtype(ml_dtypes.bfloat16), 2.0**-8)}


def _result(op: Any, call: Any, low: Any, dtype: Any) -> tuple[list[Any], list[Any]]:
    """Results, and gradients of a fixed function of them, for inputs that are numbers of the low type."""
    inputs: list[Tensor] = []

    def convert(value: Any) -> Any:
        if not (isinstance(value, np.ndarray) and value.dtype.kind == "f"):
            return value
        with np.errstate(over="ignore"):
            value = value.astype(low)
        inputs.append(tn.tensor(value, dtype, requires_grad=bool(op.differentiable)))
        return inputs[-1]

    tn.random.seed(0)
    args, kwargs = tree_map(convert, call.args), tree_map(convert, dict(call.kwargs))
    outs = [t for t in tree_leaves(op.returning(*args, **kwargs)) if isinstance(t, Tensor)]
    # Fixed weights, so that no gradient vanishes by symmetry.
    weighed = [(t.astype(np.float32) * np.linspace(0.5, 1.5, t.size, dtype=np.float32).reshape(t.shape)).sum()
               for t in outs if t.requires_grad and is_float(t.dtype)]  # fmt: skip
    if weighed:
        sum(weighed).backward()
    return outs, [t.grad for t in inputs]


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("low", TYPES)
def test_low_types(low: str, name: str) -> None:
    op = OPS[name]
    dtype, unit = TYPES[low]
    for call in op.samples(np.random.default_rng(0)):
        if getattr(op, "inplace", False) and call.args[0].dtype.kind != "f":
            continue  # a plain array, into which no tensor is written
        if getattr(op, "makes", False) and not any(isinstance(a, np.ndarray) for a in tree_leaves(list(call.args))):
            continue  # of no tensor, in the type that is asked for
        wide, wide_grads = _result(op, call, dtype, np.float32)
        narrow, narrow_grads = _result(op, call, dtype, dtype)
        assert [t.dtype for t in narrow] == [dtype if t.dtype == np.float32 else t.dtype for t in wide]
        for a, b in zip(wide, narrow, strict=True):
            _close(b, a, 1.01 * unit, 1e-7)  # one rounding, also of what is below the normal numbers
        assert [g is None for g in narrow_grads] == [g is None for g in wide_grads]
        scale = max([1.0, *(_largest(g) for g in wide_grads if g is not None)])
        for a, b in zip(wide_grads, narrow_grads, strict=True):
            if a is not None:
                assert b.dtype == dtype
                # Saved outputs, and the gradients between the ops of a function, are rounded too.
                _close(b, a, 8 * unit, 8 * unit * scale)


@pytest.mark.parametrize("low", TYPES)
def test_neighbours_are_those_of_the_type_itself(low: str) -> None:
    dtype, unit = TYPES[low]
    x = tn.tensor([1.0, 2.0, -1.0], dtype)
    for found in (np.nextafter(x, np.inf), tn.nextafter(x, x + 1), np.nextafter(x, 9)):
        assert found.dtype == dtype
        assert found.astype(np.float64).tolist() == [1 + 2 * unit, 2 + 4 * unit, -1 + unit]
    assert np.nextafter(1.0, x).astype(np.float64).tolist() == [1, 1 + 2 * unit, 1 - unit]
    assert np.spacing(x[:2]).astype(np.float64).tolist() == [2 * unit, 4 * unit]
    assert np.nextafter(tn.tensor([1, 2]), 2.5).dtype == np.float64


@pytest.mark.parametrize("low", TYPES)
def test_infinities_become_the_largest_numbers_of_the_type_itself(low: str) -> None:
    dtype, _ = TYPES[low]
    largest = float(ml_dtypes.finfo(dtype).max)
    x = tn.tensor([1.0, np.inf, -np.inf, np.nan], dtype)
    found = tn.nan_to_num(x=x)
    assert found.dtype == dtype
    assert found.astype(np.float64).tolist() == [1, largest, -largest, 0]
    with pytest.raises(TypeError, match=f"complex128 cannot replace elements of {low}"):
        tn.nan_to_num(x, nan=1j)


def _largest(t: Any) -> float:
    return float(np.abs(np.where(np.isfinite(t.data), t.data, 0)).max(initial=0.0))


def _close(got: Any, expected: Any, rtol: float, atol: float) -> None:
    got, expected = (t.data.astype(np.float32) if is_float(t.dtype) else t.data for t in (got, expected))
    np.testing.assert_allclose(got, expected, rtol, atol, equal_nan=True)


def test_what_asks_or_places_has_no_say_in_the_type() -> None:
    h, c = np.array([1, 2, 3, 4], np.float16), np.array([1.0, 0, 1, 0])
    x, mask = tn.tensor(h), tn.tensor(c)
    for found in (
        np.where(mask, x, x), np.where(c, x, 2.0), np.where(mask, 1.0, x), np.extract(mask, x), np.setdiff1d(x, mask),
        np.insert(x, 1, mask), np.full_like(x, mask), np.full_like(x, np.float32(2)), np.ediff1d(x, to_end=mask),
        np.gradient(x, tn.tensor(np.arange(4.0))), np.piecewise(x, [h > 2], [mask[0]]),
        np.pad(x, 1, constant_values=mask[0]), np.sum(x, initial=mask[0]), np.nanmax(x, initial=c[0].astype(np.float32)),
    ):  # fmt: skip
        assert found.dtype == np.float16
    assert (
        np.where(mask, x, mask).dtype
        == np.kron(x, mask).dtype
        == np.insert(mask, 1, x).dtype
        == np.full_like(mask, x).dtype
        == np.float64
    )


def test_what_is_placed_has_its_own_type_in_its_gradient() -> None:
    values = tn.tensor([1.0], requires_grad=True)
    np.full_like(tn.tensor(np.ones(3000, np.float16)), values).sum().backward()
    assert (values.grad.dtype, values.grad.tolist()) == (np.float64, [3000.0])
    x, values = tn.tensor(np.ones(2, np.float16), requires_grad=True), tn.tensor([2.0, 3.0], requires_grad=True)
    step = tn.compile(lambda x, v: tn.grad(lambda x, v: (np.insert(x, 1, v) * np.arange(4.0)).sum(), (0, 1))(x, v))
    for found in (step(x, values), step(x, values)):
        assert [g.dtype for g in found] == [np.float16, np.float64]
        assert [g.tolist() for g in found] == [[0.0, 3.0], [1.0, 2.0]]


def test_dtype_counts_by_position_too() -> None:
    x = tn.tensor(np.full(4, 20000, np.float16))
    for found in (np.nansum(x, None, "f"), np.nansum(x, dtype="f"), np.sum(x, None, "f", initial=0)):
        assert (found.dtype, found.item()) == (np.float32, 80000)


def test_whole_numbers_that_a_low_type_cannot_hold_widen_it() -> None:
    h = np.array([1, 2], np.float16)
    for kind in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64, bool):
        other = np.array([1, 0], kind)
        for f in (np.add, np.multiply, np.maximum, lambda a, b: np.concatenate([a, b]), np.matmul):
            assert f(tn.tensor(h), other).dtype == f(h, other).dtype == f(tn.tensor(h), tn.tensor(other)).dtype
    assert (tn.tensor(h) + np.array([40000, 3], np.uint16)).tolist() == [40001.0, 5.0]


def test_arrays_and_numpys_scalars_in_float32_widen_what_is_composed_of_ops() -> None:
    h, s = np.array([1, 2, 4], np.float16), np.float32(1)
    for f in (np.kron, np.add, lambda a, b: np.diff(a, prepend=b), lambda a, b: np.trapezoid(a, dx=b), np.append):
        for wide in (s, np.array(s)):
            assert f(tn.tensor(h), wide).dtype == f(h, wide).dtype == np.float32
    assert np.cross(np.ones(3, np.float32), tn.tensor(h)).dtype == np.float32
