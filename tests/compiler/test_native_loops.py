"""Loops stay in native code: every op that a loop may well have in its body is computed there without Python, with its
gradient, and gives what it gives in eager mode. What does not is listed, and why."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op
from tapenet.ops.registry import Sample, registry
from tapenet.program.trees import tree_leaves, tree_map
from tests.compiler.test_equality import arrays_of, close, other
from tests.ops.test_native_functions import calls_python

#: The modules whose ops are looked at; those of a line in one loop.
MODULES = """
calculus.polynomials.arithmetic calculus.sampled fft.axes fft.transforms
indexing.items indexing.positions indexing.selecting indexing.sets indexing.sorting indexing.writing
linalg.decompositions linalg.determinants linalg.eigen
linalg.factorizations linalg.least_squares linalg.norms linalg.solving products.einsum products.matmul products.vectors
reductions.counting reductions.cumulative reductions.extremes reductions.histograms reductions.moments reductions.nan
reductions.statistics
layers.attention.heads layers.attention.product layers.recurrent.cells layers.recurrent.layers
layers.convolution.family layers.convolution.transposed layers.dropout layers.embedding
layers.normalization.batch layers.normalization.group layers.normalization.layer layers.pooling.maximum layers.pooling.mean
"""
#: The ops that a loop calls Python for.
LEFT = {
    "argwhere compress delete extract flatnonzero insert nonzero trim_zeros": "values say how many elements they give",
    "intersect1d setdiff1d setxor1d union1d unique unique_all unique_counts unique_inverse unique_values": "the same",
    "argpartition partition": "their order is no other function's",
    "packbits unpackbits": "bits are no elements",
    "eig eig_factors eigvals nearest_order": "values say whether they are complex",
    "attention_kept": "its generator is made in Python; it serves many scores alone",
    "max_pool_with_indices": "places are counted in integers of several kinds",
    "logcumsumexp": "no primitive goes along an axis so",
    "magnitude place qr_raw": "nobody asked",
}
CALLED = {name for names in LEFT for name in names.split()}
#: The call of an op that is tried, where it is not the first.
CHOSEN = {"bincount": 2, "edges_of_bins": 1, "one_hot": 1}
#: What is called for some of its options: an integer as `rng=` or seed, a mask as an index, values without `minlength=`, the
#: gradient by an LSTM's projection, a rule that finds a number of bins, a quotient by a number.
PARTLY = {"alpha_dropout", "attention", "bincount", "choose", "dropout", "dropout1d", "dropout2d",
          "dropout3d", "edges_of_bins", "feature_alpha_dropout", "getitem", "histogram", "histogram_bin_edges", "lstm",
          "matrix_rank", "max_pool_grad", "max_pool_pick", "nanmean", "nanstd", "nanvar", "one_hot", "polydiv", "qr",
          "recurrent_grad", "scaled_dot_product_attention", "setitem", "sort"}  # fmt: skip


def calls(line: str, every: bool) -> list[tuple[Op | Derived, Sample]]:
    """The ops of modules with calls of them on arrays of real numbers that have elements: one call each, or every one."""
    for module in line.split():
        importlib.import_module(f"tapenet.ops.{module}")
    begins = tuple(f"tapenet.ops.{module}." for module in line.split())
    found = []
    for name, op in sorted(registry.items()):
        if not name.startswith(begins) or op.name in CALLED or (isinstance(op, Op) and op.effect) or op.samples is None:
            continue
        given = [c for c in op.samples(np.random.default_rng(0)) if arrays_of(c)]
        given = given if every else given[CHOSEN.get(op.name, 0) :][:1]
        if every and op.name in PARTLY:
            continue
        found += [(op, c) for c in given if all(a.size and a.dtype.kind != "c" for a in arrays_of(c))]
    return found


def outputs(op: Op | Derived, call: Sample, arrays: Any) -> list[Tensor]:
    args = tree_map(lambda v: next(arrays) if isinstance(v, np.ndarray) else v, call.args)
    return [o for o in tree_leaves(op.returning(*args, **call.kwargs)) if isinstance(o, Tensor)]


def assert_native(found: list[tuple[Op | Derived, Sample]]) -> None:
    """That a scan of all these calls, each with its gradient, runs without Python, and gives what it gives in eager mode."""
    given = [a for _, call in found for a in arrays_of(call)]
    moving = [i for i, a in enumerate(given) if a.dtype.kind == "f"]

    def results(arrays: list[Any]) -> list[Tensor]:
        stream = iter(arrays)
        return [o for op, call in found for o in outputs(op, call, stream)]

    def turn(carry: Any, arrays: Any) -> tuple[Any, Any]:
        arrays = list(arrays)

        def squares(*moved: Any) -> Any:
            for i, array in zip(moving, moved, strict=True):
                arrays[i] = array
            return sum((o * o).real.sum() for o in results(arrays) if o.dtype.kind in "fc")

        slopes = tn.grad(squares, tuple(range(len(moving))))(*(arrays[i] for i in moving)) if moving else ()
        return carry, (*results(arrays), *slopes)

    xs = tuple(np.stack([a, other(a)]) for a in given)
    step = tn.compile(lambda *xs: tn.scan(turn, np.float64(0), xs)[1], backend="native")
    for _ in range(2):
        tn.random.seed(0)
        made = step(*xs)
    tn.random.seed(0)
    right = tn.scan(turn, np.float64(0), xs)[1]
    for one, expected in zip(made, right, strict=True):
        close(one, expected, 1e-9)
    assert not calls_python(step), [(c.op.name, c.reason) for c in step.variants[0].called]


@pytest.mark.parametrize("line", MODULES.strip().splitlines())
def test_a_loop_of_them_calls_no_python(line: str) -> None:
    pytest.importorskip("llvmlite")
    assert_native(calls(line, every=False))


@pytest.mark.slow
@pytest.mark.parametrize("line", MODULES.strip().splitlines())
def test_nor_do_they_with_other_options(line: str) -> None:
    pytest.importorskip("llvmlite")
    found = calls(line, every=True)
    for k in range(0, len(found), 20):
        assert_native(found[k : k + 20])


def test_a_loop_that_gives_nothing_in_a_row_calls_no_python() -> None:
    pytest.importorskip("llvmlite")

    def f(a: Any) -> Any:
        return tn.scan(lambda c, x: (c, (x[:0], 2 * x)), np.float64(0), a)[1]

    step, a = tn.compile(f, backend="native"), np.arange(6.0).reshape(3, 2)
    for _ in range(2):
        nothing, doubled = step(a)
        assert nothing.shape == (3, 0)
        np.testing.assert_array_equal(doubled, 2 * a)
    assert not calls_python(step)
