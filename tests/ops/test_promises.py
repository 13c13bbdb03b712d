"""What docs/mathematics.md promises of all ops at once, on every sample of every op: dtypes, zero gradients, integers,
memory layouts, and that nothing changes behind a gradient."""

from __future__ import annotations

import itertools
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.derived import pure
from tapenet.ops.op import Op
from tapenet.ops.registry import Sample, registry
from tapenet.program.trees import tree_leaves, tree_map

Array = np.ndarray[Any, Any]


def short(name: str) -> str:
    return name.rpartition(".")[2]


OPS = {
    name: op
    for name, op in sorted(registry.items())
    if name.startswith("tapenet.ops.") and not (isinstance(op, Op) and op.effect)
}
FLOWING = {name: op for name, op in OPS.items() if op.differentiable}
each_op = pytest.mark.parametrize("name", OPS)
each_flowing = pytest.mark.parametrize("name", FLOWING)


def flowing_but(exceptions: dict[str, str]) -> Any:
    """Every differentiable op but some, which are listed with reasons."""
    assert exceptions.keys() <= {short(name) for name in FLOWING}
    return pytest.mark.parametrize("name", [name for name in FLOWING if short(name) not in exceptions])


def is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"


def samples(op: Any) -> Iterator[Sample]:
    """The calls of an op that have an array of floats."""
    for call in op.samples(np.random.default_rng(0)):
        if any(is_float(a) for a in [*tree_leaves(list(call.args)), *call.kwargs.values()]):
            yield call


class Made:
    """One call on tensors: its leaves, its results, and those of them that have a gradient."""

    def __init__(self, op: Any, call: Sample, change: Callable[[Array], Array] = np.copy) -> None:
        def tensor(value: Any) -> Any:
            if not isinstance(value, np.ndarray):
                return value
            return Tensor._of(change(value)).requires_grad_(value.dtype.kind in "fc")

        args = tree_map(tensor, call.args)
        options = tree_map(lambda v: change(v) if isinstance(v, np.ndarray) else v, call.kwargs)
        self.inputs = [t for t in tree_leaves(list(args)) if isinstance(t, Tensor)]
        self.leaves = [t for t in self.inputs if t.requires_grad]
        self.results = [t for t in tree_leaves(op.returning(*args, **options)) if isinstance(t, Tensor)]
        self.outs = [t for t in self.results if t.requires_grad]

    def backward(self, seeds: list[Array]) -> list[Array]:
        """First-order gradients by the leaves, zeros for those that got none."""
        for leaf in self.leaves:
            leaf.grad = None
        for out, seed in zip(self.outs, seeds, strict=True):
            out.backward(seed, retain_graph=True)
        return self.gradients()

    def twice(self, seeds: list[Array], weights: list[Array]) -> tuple[list[Array], list[Array]]:
        """First-order gradients with a graph, and the gradients of their products with the weights."""
        for leaf in self.leaves:
            leaf.grad = None
        for out, seed in zip(self.outs, seeds, strict=True):
            out.backward(Tensor._of(seed), create_graph=True)
        found = [leaf.grad for leaf in self.leaves]
        first = self.gradients()
        for leaf in self.leaves:
            leaf.grad = None
        for grad, weight in zip(found, weights, strict=True):
            if grad is not None and grad.requires_grad:
                grad.backward(weight.astype(grad.dtype), retain_graph=True)
        return first, self.gradients()

    def gradients(self) -> list[Array]:
        return [np.zeros(t.shape, t.dtype) if t.grad is None else t.grad.data.copy() for t in self.leaves]

    def seeds(self, r: np.random.Generator) -> list[Array]:
        return [np.asarray(r.normal(size=o.shape)).astype(o.dtype) for o in self.outs]

    def weights(self, r: np.random.Generator) -> list[Array]:
        return [np.asarray(r.normal(size=leaf.shape)) for leaf in self.leaves]


@contextmanager
def quiet() -> Iterator[None]:
    """NumPy warns of what these tests are about."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def same(got: list[Array], expected: list[Array], what: Any, tolerance: float = 1e-10) -> None:
    assert len(got) == len(expected), what
    for a, b in zip(got, expected, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), what
        if b.dtype.kind in "fc":
            scale = max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0)))
            np.testing.assert_allclose(a, b, tolerance, tolerance * scale, err_msg=str(what))
        else:
            np.testing.assert_array_equal(a, b, err_msg=str(what))


# -- float32 -----------------------------------------------------------------------------------------------------

NARROW = {"f": np.float32, "c": np.complex64}
WIDE = (np.dtype(np.float64), np.dtype(np.complex128))
#: Ops whose results may be wide.
WIDER = {
    "astype": "its dtype is asked for",
    "float_power": "double precision, by its definition",
    "fromiter": "its dtype is asked for",
}
#: Ops that compute with wide numbers on the way, though the results and gradients are narrow.
WIDE_INSIDE = {
    "quantile": "counts places among the elements in float64, as NumPy does",
    "percentile": "as quantile",
    "nanquantile": "as quantile",
    "nanpercentile": "as quantile",
    "nanmedian": "as quantile",
    "geomspace": "counts in float64 what it then cuts to integers, as NumPy does",
    "fractional_max_pool2d": "counts the drawn places of windows in float64",
    "fractional_max_pool3d": "as fractional_max_pool2d",
    "pad": "goes straight from end values that are Python numbers in float64, as NumPy does",
}


def narrow(value: Array) -> Array:
    return value.astype(NARROW[value.dtype.kind]) if value.dtype.kind in "fc" else value


@each_op
def test_float32_stays_float32_in_every_node_to_second_order(name: str) -> None:
    op = OPS[name]
    for call in samples(op):
        wide: list[str] = []
        with quiet(), tn.Tape() as tape:
            made = Made(op, call, narrow)
            wide += [f"a result is {t.dtype}" for t in made.results if t.dtype in WIDE]
            outs = made.outs
            for order in (1, 2):
                loss: Any = 0.0
                for out in outs:
                    total = (out * np.float32(0.5)).sum()
                    loss = loss + (total.real if total.dtype.kind == "c" else total)
                if not isinstance(loss, Tensor) or not loss.requires_grad:
                    break
                for leaf in made.leaves:
                    leaf.grad = None
                loss.backward(create_graph=True)
                outs = [t.grad for t in made.leaves if t.grad is not None]
                wide += [f"a gradient of order {order} is {g.dtype}" for g in outs if g.dtype in WIDE]
        if short(name) in WIDER:
            continue
        assert not wide, (call, wide)
        for node in tape:
            dtypes = node.dtype if isinstance(node.dtype, tuple) else (node.dtype,)
            assert short(name) in WIDE_INSIDE or not set(dtypes) & set(WIDE), (call, node)


def test_every_exception_to_float32_is_one() -> None:
    assert {short(name) for name in OPS} >= WIDER.keys() | WIDE_INSIDE.keys()


# -- gradients that are zero -------------------------------------------------------------------------------------


def filled(value: float, count: int | None = None) -> Callable[[Array], Array]:
    """What puts a number in place of the first elements, or of all."""

    def fill(array: Array) -> Array:
        made = array.copy()
        if made.dtype.kind in "fc":
            made.reshape(-1)[:count] = value
        return made

    return fill


FILLS: dict[str, Callable[[Array], Array]] = {
    "as it is": np.copy,
    "all 0": filled(0.0),
    "all 1": filled(1.0),
    "all -1": filled(-1.0),
    "all 2": filled(2.0),
    "first 0": filled(0.0, 1),
    "first -1": filled(-1.0, 1),
}
#: Not given to LAPACK, which does not always come back from what overflows.
LARGE = {"first 1000": filled(1e3, 1), "all -1000": filled(-1e3)}
#: Ops that multiply by something that is nan itself, by what has to hold for their values to be numbers.
NOT_NUMBERS = {
    "polydiv": "the first coefficient of the divisor is not 0",
    "series_quotient": "the first coefficient of the divisor is not 0",
    "batch_norm": "a variance is not negative",
    "covariance": "weights do not sum to 0",
}


def fills(name: str) -> dict[str, Callable[[Array], Array]]:
    return FILLS if ".linalg." in name or ".fitting." in name else FILLS | LARGE


@flowing_but(NOT_NUMBERS)
def test_a_zero_gradient_gives_zero_also_at_singular_points_to_second_order(name: str) -> None:
    """Nothing of 0 · inf or 0 · nan comes through. A decomposition that is not determined may raise instead."""
    op = FLOWING[name]
    for call in samples(op):
        for how, fill in fills(name).items():
            with quiet():
                try:
                    made = Made(op, call, fill)
                except (np.linalg.LinAlgError, ValueError, ZeroDivisionError):
                    continue  # not in the domain
                zeros = [np.zeros(o.shape, o.dtype) for o in made.outs]
                ones = [np.ones(t.shape, t.dtype) for t in made.leaves]
                try:
                    found = [made.backward(zeros), *made.twice(zeros, ones)]
                except np.linalg.LinAlgError:
                    assert ".linalg." in name or short(name) == "polyfit"
                    continue
            for order, gradients in zip(("first", "first, with a graph", "second"), found, strict=True):
                for g in gradients:
                    assert not np.any(g), (how, order, call, g)


@flowing_but(NOT_NUMBERS)
def test_a_singular_element_leaves_the_others_alone(name: str) -> None:
    """Where the loss depends only on results that have finite derivatives, its gradient is the sum of these."""
    op = FLOWING[name]
    for call in samples(op):
        for how in ("first 0", "first -1"):
            with quiet():
                try:
                    made = Made(op, call, FILLS[how])
                    count = sum(o.size for o in made.outs)
                    if 1 < count <= 24:
                        _check_rows(made, count, (how, call))
                except (np.linalg.LinAlgError, ValueError, ZeroDivisionError):
                    continue


def _check_rows(made: Made, count: int, what: Any) -> None:
    """Compare the gradient of all results that are regular with the sum of the gradients of each."""

    def parts(flat: Array) -> list[Array]:
        pieces = np.split(flat, np.cumsum([o.size for o in made.outs])[:-1])
        return [p.reshape(o.shape).astype(o.dtype) for p, o in zip(pieces, made.outs, strict=True)]

    r = np.random.default_rng(1)
    weights = made.weights(r)
    rows = [made.twice(parts(row), weights) for row in np.eye(count)]
    regular = np.isfinite(np.concatenate([o.data.reshape(-1) for o in made.outs]))
    for order in (0, 1):
        regular &= [all(np.isfinite(g).all() for g in row[order]) for row in rows]
        if regular.all():
            continue
        seed = np.where(regular, r.normal(size=count), 0.0)
        found = made.twice(parts(seed), weights)[order]
        for k, g in enumerate(found):
            expected = sum((seed[j] * rows[j][order][k] for j in np.flatnonzero(regular)), np.zeros(g.shape))
            np.testing.assert_allclose(g, expected, 1e-9, 1e-9, err_msg=str((what, order + 1)))


# -- conventions -------------------------------------------------------------------------------------------------


def gradients(f: Callable[..., Any], *values: Any) -> list[Any]:
    """The gradients of the elements of f, the first one times 1, the second times 2 ..., as lists."""
    leaves = [tn.tensor(np.array(v, float), requires_grad=True) for v in values]
    out = f(*leaves)
    (out * np.arange(1.0, out.size + 1).reshape(out.shape)).sum().backward()
    return [np.zeros(t.shape).tolist() if t.grad is None else t.grad.tolist() for t in leaves]


nan, inf = np.nan, np.inf
#: Function, arguments, and the gradients by them.
TIES: dict[str, tuple[Callable[..., Any], list[Any], list[Any]]] = {
    "max": (np.max, [[2, 5, 5]], [[0, 0.5, 0.5]]),
    "min": (np.min, [[1, 1, 5, 1, 1]], [[0.25, 0.25, 0, 0.25, 0.25]]),
    "max by rows": (lambda t: np.max(t, axis=1), [[[3, 3], [1, 2]]], [[[0.5, 0.5], [0, 2]]]),
    "max with an initial value": (lambda t: np.max(t, initial=5), [[5, 5]], [[0.25, 0.25]]),
    "maximum": (np.maximum, [[1, 2, 3], [1, 3, 2]], [[0.5, 0, 3], [0.5, 2, 0]]),
    "minimum": (np.minimum, [[1, 2, 3], [1, 3, 2]], [[0.5, 2, 0], [0.5, 0, 3]]),
    "fmax": (np.fmax, [[1, 2, nan], [1, 3, 2]], [[0.5, 0, 0], [0.5, 2, 3]]),
    "fmin": (np.fmin, [[1, 2, nan], [1, 3, 2]], [[0.5, 2, 0], [0.5, 0, 3]]),
    "maximum.reduce": (np.maximum.reduce, [[1, 3, 3]], [[0, 0.5, 0.5]]),
    "nanmax": (np.nanmax, [[5, nan, 5]], [[0.5, 0, 0.5]]),
    "nanmin": (np.nanmin, [[5, nan, 5]], [[0.5, 0, 0.5]]),
    "ptp": (np.ptp, [[1, 1, 5, 5, 2]], [[-0.5, -0.5, 0.5, 0.5, 0]]),
    "ptp of one value": (np.ptp, [[3, 3]], [[0, 0]]),
    "norm inf": (lambda t: np.linalg.norm(t, inf), [[2, -2, 1]], [[0.5, -0.5, 0]]),
    "norm -inf": (lambda t: np.linalg.norm(t, -inf), [[2, -2, 3]], [[0.5, -0.5, 0]]),
    "norm inf of a matrix": (lambda t: np.linalg.norm(t, inf), [[[1, 2], [2, -1]]], [[[0.5, 0.5], [0.5, -0.5]]]),
    "unique": (np.unique, [[2, 1, 2, 1]], [[1, 0.5, 1, 0.5]]),
    "union1d": (np.union1d, [[1, 2], [2, 3]], [[1, 1], [1, 3]]),
    "max_pool2d": (lambda t: tn.max_pool2d(t, 2), [[[[1, 1], [1, 1]]]], [[[[1, 0], [0, 0]]]]),
    "cumulative_max": (tn.cumulative_max, [[1, 3, 3, 2]], [[1, 9, 0, 0]]),
    "cumulative_min": (tn.cumulative_min, [[3, 1, 1, 2]], [[1, 9, 0, 0]]),
    "maximum.accumulate": (np.maximum.accumulate, [[1, 3, 3]], [[1, 5, 0]]),
    "sort": (np.sort, [[2, 1, 2, 1]], [[3, 1, 4, 2]]),
    "partition": (lambda t: np.partition(t, 1), [[2, 1, 2, 1]], [[3, 1, 4, 2]]),
    "median, odd": (np.median, [[2, 2, 2, 1, 9]], [[0, 1, 0, 0, 0]]),
    "median, even": (np.median, [[2, 1, 2, 2]], [[0.5, 0, 0.5, 0]]),
    "nanmedian": (np.nanmedian, [[2, nan, 2, 1, 9]], [[0.5, 0, 0.5, 0, 0]]),
    "quantile": (lambda t: np.quantile(t, 0.5), [[3, 3, 3]], [[0, 1, 0]]),
    "argmax": (lambda t: np.take_along_axis(t, np.argmax(t, keepdims=True), 0), [[1, 5, 5]], [[0, 1, 0]]),
    "clip": (lambda t: np.clip(t, 0, 1), [[0, 1, 0.5, 2, -1]], [[1, 2, 3, 0, 0]]),
    "clip at limits that are tensors": (np.clip, [[0, 1], [0, 0], [1, 1]], [[1, 2], [0, 0], [0, 0]]),
    "hardtanh": (tn.hardtanh, [[-1, 1, 0.5]], [[0, 0, 3]]),
    "abs": (np.abs, [[0, -0.0, -1]], [[0, 0, -3]]),
    "relu": (tn.relu, [[0, 1]], [[0, 2]]),
}


@pytest.mark.parametrize("name", TIES)
def test_ties_and_kinks(name: str) -> None:
    f, arguments, expected = TIES[name]
    assert gradients(f, *arguments) == expected


def test_derivatives_that_are_infinite_and_values_outside_the_domain() -> None:
    with quiet():
        assert gradients(np.sqrt, 0.0) == [inf]
        assert gradients(np.log, 0.0) == [inf]
        assert gradients(np.log, -1.0) == [-1.0]
        assert np.isnan(np.log(tn.tensor(-1.0)).item())
        # An *input* that is infinite is not left out by a choice of results.
        x = tn.tensor([inf, 1.0], requires_grad=True)
        np.where(np.isfinite(x), np.sin(x), 0.0).sum().backward()
        assert np.isnan(x.grad.data[0])
        x.grad = None
        np.where(np.isfinite(x), np.sin(np.where(np.isfinite(x), x, 0.0)), 0.0).sum().backward()
        assert x.grad.tolist() == [0.0, np.cos(1.0)]


@pytest.mark.parametrize(
    "f",
    [np.sign, np.floor, np.ceil, np.trunc, np.rint, np.round, np.argmax, np.isfinite, np.signbit, np.count_nonzero, np.argsort,
     lambda t: t > 0, lambda t: t == t, lambda t: np.searchsorted([1.0], t), lambda t: t.astype(int), np.zeros_like],
)  # fmt: skip
def test_steps_are_constants_in_products(f: Callable[..., Any]) -> None:
    x = tn.tensor([0.5, -1.5], requires_grad=True)
    out = f(x)
    assert type(out) is Tensor
    assert out.requires_grad == (f in (np.sign, np.floor, np.ceil, np.trunc, np.rint, np.round))  # with a gradient of 0
    (x * out).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.broadcast_to(out.data, (2,)))


def test_what_broadcasting_repeats_is_summed() -> None:
    for shape in ((), (1,), (3,), (1, 3), (2, 1), (1, 1, 1), (1, 2, 3)):
        x = tn.tensor(np.ones(shape), requires_grad=True)
        (x * np.arange(6.0).reshape(2, 3)).sum().backward()
        full = np.arange(6.0).reshape((1,) * max(len(shape) - 2, 0) + (2, 3))
        kept = (1,) * (full.ndim - len(shape)) + shape
        axes = tuple(i for i, n in enumerate(kept) if n == 1)
        np.testing.assert_array_equal(x.grad.data, full.sum(axes, keepdims=True).reshape(shape))


# -- integers ----------------------------------------------------------------------------------------------------


def whole_numbers(a: Array) -> Array:
    return np.asarray(np.rint(np.clip(np.nan_to_num(a), -9, 9) * 3))


INTEGERS: dict[str, Callable[[Array], Array]] = {
    "int64": lambda a: whole_numbers(a).astype(np.int64),
    "uint8": lambda a: (np.abs(whole_numbers(a)) + 1).astype(np.uint8),
    "bool": lambda a: np.asarray(a > 0),
}
#: Ops that compute with integers as NumPy does not, none of which stands for a function of NumPy; or as imprecisely.
OF_FLOATS = {
    "interp_points": "the part of interp for floats",
    "gap_quotient": "a part of gradients",
    "logn": "the logarithm of a small integer has half precision",
    "kl_div": "predictions that are integers",
    "binary_cross_entropy_with_logits": "predictions that are integers",
}


def attempt(f: Callable[..., Any], args: Any, kwargs: Any) -> list[Any] | Exception:
    try:
        return tree_leaves(f(*args, **kwargs))
    except Exception as error:
        return error


def masked(value: Any, which: int) -> Any:
    """A nested list of arguments with a masked array in place of one array."""
    count = itertools.count()

    def replaced(part: Any) -> Any:
        if not (isinstance(part, np.ndarray) and part.size) or next(count) != which:
            return part
        return np.ma.array(part, mask=np.arange(part.size).reshape(part.shape) == 0)

    return tree_map(replaced, value)


@each_op
def test_a_masked_array_is_refused_or_keeps_its_mask(name: str) -> None:
    """In place of each array of each sample, alone and beside tensors."""
    op = OPS[name]
    first = 1 if getattr(op, "inplace", False) else 0  # what is written to may be a masked array: nothing is lost
    for call in op.samples(np.random.default_rng(0)):
        given = (call.args, call.kwargs)
        for which in range(first, sum(isinstance(v, np.ndarray) and v.size > 0 for v in tree_leaves(given))):
            args, kwargs = masked(given, which)
            beside = tree_map(
                lambda v: tn.tensor(v, requires_grad=True) if type(v) is np.ndarray and is_float(v) else v, args
            )
            for arguments in (args, beside):
                got = attempt(op, arguments, kwargs)
                if isinstance(got, Exception):
                    assert isinstance(got, TypeError), (call, which, got)
                    assert "a masked array would lose its mask" in str(got), (call, which, got)
                else:
                    assert any(np.ma.is_masked(part) for part in got), (call, which)


@pytest.mark.parametrize("kind", INTEGERS)
@each_op
def test_integers_are_numpys_and_need_no_gradient(name: str, kind: str) -> None:
    """The dtype and the values that NumPy gives, or an error where it gives one."""
    op = OPS[name]
    for call in samples(op):
        if any(a.dtype.kind == "c" for a in tree_leaves(list(call.args)) if isinstance(a, np.ndarray)):
            continue
        args, kwargs = tree_map(lambda v: INTEGERS[kind](v) if is_float(v) else v, (call.args, call.kwargs))
        tensors = tree_map(lambda v: Tensor._of(v) if isinstance(v, np.ndarray) else v, args)
        for function in op.numpy or (op,):
            whole = pure(function) if op.returning is not op else function
            with quiet():
                got, expected = attempt(whole, tensors, kwargs), attempt(whole, args, kwargs)
            if isinstance(expected, Exception):
                assert isinstance(got, Exception), (call, expected)
                continue
            assert not isinstance(got, Exception), (call, got)
            assert not any(t.requires_grad for t in got if isinstance(t, Tensor)), call
            arrays = [t.data if isinstance(t, Tensor) else np.asarray(t) for t in got]
            same(arrays, [np.asarray(e) for e in expected], call, 1e-9)


@pytest.mark.parametrize("kind", ["int64", "uint8"])
@flowing_but(OF_FLOATS)
def test_integers_beside_floats_count_as_numbers(name: str, kind: str) -> None:
    """A float leaf among integer tensors has the gradient that it has among the same numbers as floats, and in its own
    dtype; unless the integers wrap in NumPy's own value. The dtypes take turns: each stands at every place and beside both
    kinds of integers."""
    op = FLOWING[name]
    for call in samples(op):
        arrays = [a for a in tree_leaves(list(call.args)) if is_float(a)]
        if len(arrays) < 2 or any(a.dtype.kind == "c" for a in arrays):
            continue
        for chosen in range(len(arrays)):
            dtype = (np.float64, np.float32)[(chosen + (kind == "uint8")) % 2]
            with quiet():
                mixed = _mixed(op, call, chosen, dtype, kind, as_floats=False)
                floats = _mixed(op, call, chosen, dtype, kind, as_floats=True)
            if mixed is None or floats is None:
                continue
            tolerance = 1e-9 if dtype is np.float64 else 1e-3
            (value, found), (reference, expected) = mixed, floats
            if [v.shape for v in value] != [v.shape for v in reference]:
                continue
            if not all(np.allclose(a, b, 1e-3, equal_nan=True) for a, b in zip(value, reference, strict=True)):
                continue
            same(found, expected, (call, chosen), tolerance)


def _mixed(op: Any, call: Sample, chosen: int, dtype: Any, kind: str, *, as_floats: bool) -> Any:
    """The values of a call with one float leaf, the other arrays integers (or the same numbers as floats), and its
    gradients of first and second order. None where NumPy refuses."""
    count = iter(range(sys.maxsize))
    leaves = []

    def convert(value: Any) -> Any:
        if not is_float(value):
            return Tensor._of(value) if isinstance(value, np.ndarray) else value
        if next(count) == chosen:
            leaves.append(Tensor._of(value.astype(dtype)).requires_grad_())
            return leaves[0]
        whole = INTEGERS[kind](value)
        return Tensor._of(whole.astype(dtype) if as_floats else whole)

    args = tree_map(convert, call.args)
    try:
        results = [t for t in tree_leaves(op.returning(*args, **call.kwargs)) if isinstance(t, Tensor)]
    except (TypeError, ValueError, np.linalg.LinAlgError):
        return None
    leaf, values = leaves[0], [t.data for t in results]
    r = np.random.default_rng(0)
    for out in results:
        if out.requires_grad:
            out.backward(np.asarray(r.normal(size=out.shape)).astype(out.dtype), create_graph=True)
    first, leaf.grad = leaf.grad, None
    if first is not None and first.requires_grad:
        first.backward(np.asarray(r.normal(size=first.shape)).astype(first.dtype))
    found = (first, leaf.grad)
    return values, [np.zeros(leaf.shape, dtype) if g is None else g.data for g in found]


def test_integers_are_constants() -> None:
    t = tn.tensor([1, 2])
    for dtype in (int, np.uint8, bool):
        with pytest.raises(TypeError, match="gradient"):
            tn.tensor([1, 0], dtype=dtype, requires_grad=True)
    x = tn.tensor([1.5, 2.5], requires_grad=True)
    assert not x.astype(int).requires_grad
    (x * t).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0]
    assert t.grad is None
    assert np.exp(t).dtype == np.float64
    assert np.sum(t).dtype == np.int64
    narrow_x = tn.tensor(np.float32([1.5]), requires_grad=True)
    for weak in (2, 0.5, True):  # Python's numbers change no dtype
        assert (narrow_x * weak).dtype == (narrow_x + weak).dtype == np.float32


# -- memory layouts ----------------------------------------------------------------------------------------------


def read_only(a: Array) -> Array:
    a = a.copy(order="K")
    a.flags.writeable = False
    return a


def spread_out(a: Array) -> Array:
    made = np.full(tuple(2 * n for n in a.shape), 7, a.dtype)[(..., *(slice(None, None, 2) for _ in a.shape))]
    made[...] = a
    return made


def backwards(a: Array) -> Array:
    turn = (..., *(slice(None, None, -1) for _ in a.shape))
    return a[turn].copy()[turn]


def repeated(axis: int) -> Callable[[Array], Array]:
    """What repeats the first element along an axis, by a stride of 0."""

    def repeat(a: Array) -> Array:
        return np.broadcast_to(np.take(a, [0], axis), a.shape) if a.ndim and a.size and a.dtype.kind in "fc" else a

    return repeat


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "read-only": read_only,
    "Fortran": lambda a: np.array(a, order="F"),
    "spread out": spread_out,
    "backwards": backwards,
    "repeated along the first axis": repeated(0),
    "repeated along the last axis": repeated(-1),
}


@each_op
def test_layouts_of_memory_do_not_matter(name: str) -> None:
    """Values and gradients of both orders, from inputs and upstream gradients in every layout; inputs stay as they were."""
    op = OPS[name]
    for call in samples(op):
        plain: list[Array] = []  # of the layouts that hold the same numbers
        for layout, change in LAYOUTS.items():
            repeats = layout.startswith("repeated")
            with quiet():
                try:
                    expected = plain
                    if repeats or not plain:
                        expected = _all_of(op, call, lambda a, change=change: np.array(change(a), order="C"), np.copy)
                        plain = plain or expected
                except (np.linalg.LinAlgError, ValueError):  # what repeats is singular
                    continue
                upstream = np.copy if repeats else change
                same(_all_of(op, call, change, upstream), expected, (layout, call))


def _all_of(op: Any, call: Sample, change: Callable[[Array], Array], upstream: Callable[[Array], Array]) -> list[Array]:
    """Values and gradients of both orders of a call on changed inputs and upstream gradients."""
    made = Made(op, call, change)
    before = [t.data.copy() for t in made.inputs]
    r = np.random.default_rng(0)
    seeds, weights = made.seeds(r), made.weights(r)
    seeds = [upstream(s) for s in seeds]
    found = [t.data.copy() for t in made.results]
    found += made.backward(seeds)
    for gradients in made.twice(seeds, weights):
        found += gradients
    for tensor, old in zip(made.inputs, before, strict=True):
        np.testing.assert_array_equal(tensor.data, old)
    return found


# -- writes ------------------------------------------------------------------------------------------------------


def _squares(tensors: list[Tensor]) -> Any:
    return sum(((t * t).sum().real for t in tensors), Tensor._of(np.zeros(())))


def _losses(made: Made) -> tuple[Any, Any]:
    """One of the results and one of the leaves alone, which may share memory with the results."""
    return _squares(made.outs), _squares(made.leaves)


def _back(made: Made, loss: Any, create_graph: bool = False) -> list[Array]:
    for leaf in made.leaves:
        leaf.grad = None
    loss.backward(retain_graph=True, create_graph=create_graph)
    return made.gradients()


def _assign(t: Tensor, value: Array) -> None:
    t.data = value


def _assign_items(t: Tensor, value: Array) -> None:
    with tn.no_grad():
        t[...] = value


def _step(t: Tensor, value: Array) -> None:
    before, t.grad = t.grad, tn.tensor(t.data - value)
    tn.optim.SGD([t], lr=1.0).step()
    t.grad = before


WRITES = {".data": _assign, "[...]": _assign_items, "an optimizer's step": _step}


@pytest.mark.parametrize("create_graph", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["arrays", "tensors"])
@each_flowing
def test_writes_are_noticed_or_do_not_matter(name: str, create_graph: bool) -> None:
    """After a write through tapenet to an input or a result, a backward pass raises or gives the old gradient: views of
    what was written included. One that makes a graph is not tried after an optimizer's step too."""
    op = FLOWING[name]
    ways = [*WRITES.items()][: 2 if create_graph else 3]
    for call in samples(op):
        with quiet():
            made = Made(op, call)
            if not made.outs:
                continue
            try:
                expected = [_back(made, loss, create_graph) for loss in _losses(made)]
            except np.linalg.LinAlgError:
                continue
            for how, write in ways:
                for k in range(len(made.inputs) + len(made.results)):
                    made = Made(op, call)
                    losses = _losses(made)
                    target = [*made.inputs, *made.results][k]
                    if (how != ".data" and k >= len(made.inputs)) or not target.size:
                        continue  # `result[...] = value` makes a new node: below
                    if how == "an optimizer's step" and (not target.requires_grad or target.dtype.kind == "c"):
                        continue
                    if not target.data.flags.writeable:
                        continue
                    write(target, np.full(target.shape, 0.37).astype(target.dtype))
                    for loss, old in zip(losses, expected, strict=True):
                        try:
                            found = _back(made, loss, create_graph)
                        except RuntimeError as error:
                            assert "changed in place" in str(error)  # noqa: PT017
                            continue
                        same(found, old, (how, k, call))


@each_flowing
def test_items_assigned_to_a_result_change_nothing_else(name: str) -> None:
    op = FLOWING[name]
    for call in samples(op):
        with quiet():
            made = Made(op, call)
            outs = [o for o in made.outs if not any(o is t for t in made.inputs) and o.size]
            if not outs:
                continue
            losses = _losses(made)
            try:
                expected = [_back(made, loss) for loss in losses]
            except np.linalg.LinAlgError:
                continue
            before = [t.data.copy() for t in made.inputs]
            for out in outs:
                out[...] = np.full(out.shape, 0.37).astype(out.dtype)
            found = [_back(made, loss) for loss in losses]
        same([*found[0], *found[1]], [*expected[0], *expected[1]], call)
        same([t.data for t in made.inputs], before, call)


@pytest.mark.parametrize("create_graph", [False, True], ids=["arrays", "tensors"])
@each_flowing
def test_a_gradient_has_memory_of_its_own(name: str, create_graph: bool) -> None:
    """Not that of another gradient, an upstream one, an input, a result, or an array that some node saved."""
    op = FLOWING[name]
    for call in samples(op):
        with quiet():
            made = Made(op, call)
            seeds = [np.full(o.shape, 0.5, o.dtype) for o in made.outs]
            try:
                for out, seed in zip(made.outs, seeds, strict=True):
                    out.backward(Tensor._of(seed) if create_graph else seed, True, create_graph)
            except np.linalg.LinAlgError:
                continue
        grads = [t.grad.data for t in made.leaves if t.grad is not None]
        others = [*seeds, *(t.data for t in [*made.inputs, *made.results]), *_saved(made)]
        for i, g in enumerate(grads):
            assert g.flags.writeable, call
            for other in [*grads[i + 1 :], *others]:
                assert not np.shares_memory(g, other), call


def _saved(made: Made) -> Iterator[Array]:
    """The arrays that the nodes behind the results keep."""
    nodes: list[Any] = [o.node for o in made.outs]
    for node in nodes:  # grows while it is walked over
        nodes += [p for p in node.parents if p not in nodes]
        for slot in getattr(node, "saved_slots", ()):
            yield from (a for a in tree_leaves(getattr(node, slot, None)) if isinstance(a, np.ndarray))


def test_gradients_of_several_arguments_are_apart() -> None:
    """Inside a graph, where they are tensors, too."""
    w = tn.tensor([2.0, 3.0], requires_grad=True)
    a, b = tn.grad(lambda a, b: (w * (a + b)).sum(), (0, 1))(np.ones(2), np.ones(2))
    assert a.requires_grad
    a[0] = 9.0
    assert b.tolist() == [2.0, 3.0]
    seed = w * 1
    _, pull = tn.vjp(lambda a: a + 0.0, np.ones(2))
    found = pull(seed)
    found[...] = 0.0
    assert seed.tolist() == [2.0, 3.0]


# -- threads -----------------------------------------------------------------------------------------------------


def test_threads_that_meet_functions_first_at_the_same_time() -> None:
    """In a fresh process, since modules are loaded and code is made at the first use of a function."""
    program = """
        import sys, threading
        import numpy as np, tapenet as tn
        sys.setswitchinterval(1e-6)
        functions = [
            np.sin, np.nanmax, np.median, np.linalg.inv, np.sort, np.cumsum, np.unique, tn.softmax, np.linalg.norm, np.cov,
            np.diff, np.ptp, np.trace, np.gradient, lambda t: np.pad(t, 1), lambda t: np.interp(t, [0.0, 20.0], [1.0, 4.0]),
            lambda t: np.einsum("ij,jk", t, t), lambda t: np.kron(t, t), lambda t: np.roll(t, 1), lambda t: np.fft.fft(t),
        ]

        def both(f):
            x = tn.tensor(np.arange(1.0, 10).reshape(3, 3) + np.eye(3), requires_grad=True)
            out = f(x)
            loss = sum((np.abs(o) ** 2).sum() for o in (out if isinstance(out, tuple) else (out,)))
            loss.backward(create_graph=True)
            first, x.grad = x.grad, None
            first.sum().backward()
            return first.numpy(), x.grad.numpy()

        def work(mine, shift):
            start.wait()
            for f in functions[shift:] + functions[:shift]:
                mine[f] = both(f)

        count = 6
        start = threading.Barrier(count)
        results = [{} for _ in range(count)]
        threads = [threading.Thread(target=work, args=(r, i % 3 * 7)) for i, r in enumerate(results)]
        for t in threads: t.start()
        for t in threads: t.join()
        for f in functions:
            expected = both(f)
            for r in results:
                assert all(np.allclose(a, b) for a, b in zip(r[f], expected, strict=True)), f
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
