"""What ops and their rules compute on the way, on every sample of every op: nothing wider than what they are given, and
nothing that NumPy would warn of."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff import backward
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import Op
from tapenet.ops.registry import Sample, registry
from tapenet.program.trees import tree_leaves, tree_map

OPS = {
    name: op
    for name, op in sorted(registry.items())
    if name.startswith("tapenet.ops.") and not (isinstance(op, Op) and op.effect)
}
FLOWING = [name for name, op in OPS.items() if op.differentiable]
NARROW = {"f": np.float32, "c": np.complex64}
WIDE = (np.dtype(np.float64), np.dtype(np.complex128))


def short(name: str) -> str:
    return name.rpartition(".")[2]


# -- float32 -----------------------------------------------------------------------------------------------------

#: Ops that make wide arrays as large as their input, and why.
WIDER = {
    "astype": "as wide as it is asked to be",
    "float_power": "double precision, by its definition",
    "interp": "NumPy has no other",
    "interp_points": "as interp",
    "bincount": "NumPy has no other",
    "histogram2d": "NumPy has no other",
    "geomspace": "counts in float64 what it then cuts to integers, as NumPy does",
}


class Watched(np.ndarray[Any, Any]):
    """An array that tells of each array that is made of it, and so do these."""

    made: list[np.dtype[Any]] | None = None
    least = 0

    def __array_finalize__(self, source: Any) -> None:
        if Watched.made is not None and self.size >= Watched.least:
            Watched.made.append(self.dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        if any(isinstance(v, Tensor) for v in inputs):
            return NotImplemented
        if out is not None:
            options["out"] = plain(out)
        result = getattr(ufunc, method)(*plain(inputs), **plain(options))
        return watched(result) if out is None else out[0] if len(out) == 1 else out

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return watched(function(*plain(args), **plain(kwargs)))


def plain(tree: Any) -> Any:
    return tree_map(lambda v: v.view(np.ndarray) if isinstance(v, Watched) else v, tree)


def watched(tree: Any) -> Any:
    return tree_map(lambda v: v.view(Watched) if type(v) is np.ndarray else v, tree)


def narrow(value: Any) -> Any:
    return value.astype(NARROW.get(value.dtype.kind, value.dtype)) if isinstance(value, np.ndarray) else value


def tensor(value: Any) -> Any:
    return Tensor._of(value).requires_grad_(value.dtype.kind in "fc") if isinstance(value, np.ndarray) else value


def wide_arrays(op: Any, call: Sample) -> set[str]:
    """Where a call on float32 makes an array of float64 that has as many elements as its largest input: forward, back."""
    args, kwargs = tree_map(narrow, (call.args, call.kwargs))
    tensors = tree_map(tensor, watched(args))
    inputs = [t for t in tree_leaves(list(tensors)) if isinstance(t, Tensor)]
    Watched.least = max((t.size for t in inputs if t.dtype.kind in "fc"), default=0)
    if Watched.least < 2:
        return set()
    found = set()
    try:
        Watched.made = []
        results = [t for t in tree_leaves(op.returning(*tensors, **kwargs)) if isinstance(t, Tensor)]
        found |= {"forward"} if set(Watched.made) & set(WIDE) else set()
        for out in results:
            if out.requires_grad:
                seed = Tensor._of(np.ones(out.shape, out.dtype).view(Watched))
                Watched.made = []
                out.backward(seed, retain_graph=True)
                found |= {"back"} if set(Watched.made) & set(WIDE) else set()
    finally:
        Watched.made = None
    return found


@pytest.mark.parametrize("name", OPS)
def test_float32_is_computed_in_float32(name: str) -> None:
    """A cast at the end would hide that an op takes twice the memory and time."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = [wide_arrays(OPS[name], call) for call in OPS[name].samples(np.random.default_rng(0))]
    if short(name) in WIDER and ".emath." not in name:
        assert any(found), f"{name} is no exception"
    else:
        assert not any(found)


def test_arrays_that_are_cast_back_are_noticed() -> None:
    def double(x: Any) -> Any:
        return (x * np.float64(2)).astype(x.dtype)

    call = Sample((np.ones(3),), {})
    assert wide_arrays(tn.op(double, name="double", x=lambda g: 2 * g), call) == {"forward"}
    assert wide_arrays(tn.op(lambda x: 2 * x, name="double", x=double_rule), call) == {"back"}
    assert wide_arrays(tn.op(lambda x: 2 * x, name="double", x=lambda g: 2 * g), call) == set()


def double_rule(g: Any) -> Any:
    return np.where(g == 0, 0.0, g.astype(np.float64) * 2).astype(g.dtype)


# -- warnings ----------------------------------------------------------------------------------------------------

#: Ops whose rules meet a singular point in a sample.
SINGULAR = {
    "interp": "one knot alone has no slope",
    "vector_norm": "of order 0 or at 0",
}


@contextmanager
def strict_rules() -> Iterator[None]:
    """Rules run with errors where the driver has switched warnings off."""
    strict = np.errstate(divide="raise", invalid="raise", over="raise", under="ignore")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tapenet.autodiff.tensor.run", strict(inspect.unwrap(backward.run)))
        yield


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", [name for name in FLOWING if short(name) not in SINGULAR])
def test_rules_do_nothing_that_numpy_would_warn_of(name: str, dtype: str) -> None:
    """At ordinary inputs, to second order: no division by zero, no overflow, nothing invalid."""
    op, r = OPS[name], np.random.default_rng(1)

    def seed(t: Tensor) -> Any:
        return np.asarray(r.normal(size=t.shape)).astype(t.dtype)

    for call in op.samples(np.random.default_rng(0)):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            tensors = tree_map(tensor, call.args if dtype == "float64" else tree_map(narrow, call.args))
            leaves = [t for t in tree_leaves(list(tensors)) if isinstance(t, Tensor) and t.requires_grad]
            results = [t for t in tree_leaves(op.returning(*tensors, **call.kwargs)) if isinstance(t, Tensor)]
        if not all(np.isfinite(t.data).all() for t in results if t.dtype.kind in "fc"):
            continue
        with strict_rules():
            for out in results:
                if out.requires_grad:
                    out.backward(Tensor._of(seed(out)), create_graph=True)
            gradients = [t.grad for t in leaves if t.grad is not None]
            assert all(np.isfinite(g.data).all() for g in gradients), call
            for g in gradients:
                if g.requires_grad:
                    g.backward(seed(g), retain_graph=True)


def test_rules_that_warn_are_noticed() -> None:
    x = Tensor._of(np.array([0.0, 1.0])).requires_grad_()
    out = np.sqrt(x)
    out.sum().backward(retain_graph=True)
    with strict_rules(), pytest.raises(FloatingPointError, match="divide by zero"):
        out.sum().backward()
