"""Compiled and eager agree, on every op of the registry, with its gradients; and the table of what is compiled.

After a change that is meant, write the table in docs/compiler.md anew and look at what git shows of it:

    TAPENET_OVERWRITE=1 python -m pytest tests/compiler/test_equality.py
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
import re
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.observe.capture import Capture
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.lowering import Lowered, lower
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op
from tapenet.ops.registry import Sample, registry
from tapenet.program import numpy_backend
from tapenet.program.ir import Program, check
from tapenet.program.passes import simplify
from tapenet.program.trees import tree_leaves, tree_map
from tests import NUMPY

OPS = {name: op for name, op in sorted(registry.items()) if name.startswith("tapenet.ops.")}


def native(program: Program) -> Callable[..., Any]:
    """Machine code, where llvmlite is installed."""
    pytest.importorskip("llvmlite")
    made: Callable[..., Any] = importlib.import_module("tapenet.program.native").build(program)
    return made


#: By name of a backend: what makes a program callable.
BACKENDS: dict[str, Callable[[Program], Callable[..., Any]]] = {
    "numpy": numpy_backend.build,
    "native": native,
}
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
#: Up to which order gradients are compared. Those of the first are captured with their graph in float64, without in float32.
ORDER = {"float64": 2, "float32": 1}
PAGE = Path(__file__).parents[2] / "docs" / "compiler.md"


class Step(NamedTuple):
    """A call of an op with its gradients, as a function of the arrays among its arguments."""

    op: Op | Derived
    call: Sample
    weights: list[Any]
    order: int = 1

    def __call__(self, *tensors: Tensor) -> list[Any]:
        """Its outputs, and the gradients of their projection on the weights by all float tensors; for the second order
        also those of the sum of these gradients' squares."""
        stream = iter(tensors)
        args = tree_map(lambda v: next(stream) if isinstance(v, np.ndarray) else v, self.call.args)
        outs = tree_leaves(self.op.returning(*args, **self.call.kwargs))
        found = list(outs)
        parts = [o * w for o, w in zip(outs, self.weights, strict=True) if isinstance(o, Tensor)]
        for order in range(1, self.order + 1):
            roots = [p.sum().real for p in parts if p.requires_grad]
            if roots:
                sum(roots[1:], roots[0]).backward(create_graph=order < self.order)
            gradients = [t.grad for t in tensors if t.grad is not None]
            for t in tensors:
                t.grad = None
            found += gradients
            parts = [g * g for g in gradients]
        return found


def arrays_of(call: Sample) -> list[Any]:
    return [a for a in tree_leaves(list(call.args)) if isinstance(a, np.ndarray)]


def tensor(array: Any) -> Tensor:
    return Tensor._of(array).requires_grad_(array.dtype.kind in "fc")


def step_of(op: Op | Derived, call: Sample, order: int = 1) -> Step:
    r = np.random.default_rng(1)
    with tn.no_grad():
        args = tree_map(lambda v: tensor(v) if isinstance(v, np.ndarray) else v, call.args)
        outs = tree_leaves(op.returning(*args, **call.kwargs))
    return Step(op, call, [np.asarray(r.normal(size=np.shape(o))).astype(o.dtype) for o in outs], order)


def lowered_by(step: Callable[..., list[Any]], arrays: list[Any]) -> Lowered:
    """The program of a step whose tensors are arguments."""
    with Capture() as tape:
        arguments = [tn.alias(Tensor._of(a))._trace for a in arrays]  # any node can stand for an argument
        tensors = [tensor(a) for a in arrays]
        for given, argument in zip(tensors, arguments, strict=True):
            given._trace = argument
        return lower(tape, arguments, step(*tensors))


def samples(op: Op | Derived, dtype: str) -> list[Sample]:
    assert op.samples is not None
    kinds = {"f": np.dtype(dtype), "c": np.result_type(dtype, np.complex64)}

    def cast(value: Any) -> Any:
        return value.astype(kinds.get(value.dtype.kind, value.dtype)) if isinstance(value, np.ndarray) else value

    return [Sample(tree_map(cast, call.args), call.kwargs) for call in op.samples(np.random.default_rng(0))]


def other(array: Any) -> Any:
    """Other data of the same shape: floats a little away, integers and truths in another order."""
    if array.dtype.kind in "fc":
        return np.asarray(array * (1 + array.dtype.type(0.03)))
    return np.flip(array).copy()


def strided(array: Any) -> Any:
    """The same values, every other element of a larger array."""
    if not array.ndim:
        return array
    room = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    room[..., ::2] = array
    return room[..., ::2]


def close(found: Any, expected: Any, tolerance: float, of: Any = "") -> None:
    found, expected = (v.data if isinstance(v, Tensor) else np.asarray(v) for v in (found, expected))
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype), of
    if expected.dtype.kind in "fc":
        scale = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale, err_msg=f"{of}")
    else:
        np.testing.assert_array_equal(found, expected, err_msg=f"{of}")


#: Those that are here. They are part of a case's name, so that one without machine code is not taken for one with it.
HERE = [backend for backend in BACKENDS if backend != "native" or importlib.util.find_spec("llvmlite")]


def cases() -> list[Any]:
    return [
        pytest.param(dtype, name, id=f"{'-'.join([*HERE, dtype])}-{name.removeprefix('tapenet.ops.')}")
        for dtype in TOLERANCE
        for name in OPS
    ]


@pytest.mark.parametrize(("dtype", "name"), cases())
def test_compiled_and_eager_agree(dtype: str, name: str) -> None:
    """All samples of an op in one program, which takes two thirds of the time of a program for each."""
    calls = samples(OPS[name], dtype)
    steps = [step_of(OPS[name], call, ORDER[dtype]) for call in calls]
    given = [arrays_of(call) for call in calls]

    def outputs(*tensors: Tensor, order: int = ORDER[dtype]) -> list[list[Any]]:
        stream = iter(tensors)
        return [
            step._replace(order=order)(*itertools.islice(stream, len(arrays)))
            for step, arrays in zip(steps, given, strict=True)
        ]

    flat = [a for arrays in given for a in arrays]
    program = simplify(check(lowered_by(lambda *tensors: [*itertools.chain(*outputs(*tensors))], flat).program))
    runs = {backend: BACKENDS[backend](program) for backend in HERE}
    first = [len(found) for found in outputs(*map(tensor, flat), order=1)]
    moved = [other(a) for a in flat]
    for arrays in (flat, moved, [np.array(a, order="F") for a in moved], [strided(a) for a in moved]):
        tn.random.seed(7)
        expected = outputs(*map(tensor, arrays))
        for backend, run in runs.items():
            tn.random.seed(7)
            found = iter(run(*arrays))
            for call, of_call, firsts in zip(calls, expected, first, strict=True):
                for i, e in enumerate(of_call):
                    f, of = next(found), (backend, call)
                    assert not any(np.may_share_memory(f, a) for a in arrays), of
                    close(f, e, TOLERANCE[dtype] * (1 if i < firsts else 10), of)
            assert not list(found)


@pytest.mark.parametrize("backend", BACKENDS)
def test_indices_from_outside_are_read_at_each_call(backend: str) -> None:
    """Arrays that are no tensors, as indices and targets often are, belong to the user, who may write to them."""
    index = np.array([0, 2, 2])
    x = np.arange(12.0).reshape(4, 3)
    run = BACKENDS[backend](lowered_by(lambda t: [tn.getitem(t, index), tn.embedding(index, t)], [x]).program)
    for new in ([0, 2, 2], [3, 0, 1]):
        index[:] = new
        for found in run(x):
            np.testing.assert_array_equal(found, x[new])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("weight", [None, np.array([1, 3, 2])], ids=["plain", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_targets_of_another_kind_than_captured(backend: str, weight: Any, smoothing: float) -> None:
    """A loss looks at its targets before it computes; its program must do without, whatever they were."""
    r = np.random.default_rng(0)
    logits = r.normal(size=(4, 3))

    def step(x: Tensor, target: Tensor) -> list[Any]:
        loss = tn.cross_entropy(x, target, weight, label_smoothing=smoothing)
        if not smoothing:
            loss = loss + tn.nll_loss(x, target, weight)
        loss.backward()
        return [loss, x.grad]

    kinds = [[0, 2, 1, 2], [0, -100, 1, 2], [-100] * 4, [1, 1, 1, -100]]
    for captured in kinds:
        run = BACKENDS[backend](simplify(lowered_by(step, [logits, np.array(captured)]).program))
        for target in map(np.array, kinds):
            for found, expected in zip(run(logits, target), step(tensor(logits), tensor(target)), strict=True):
                close(found, expected, 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("wrong", [3, -1])
def test_an_index_out_of_range_raises(backend: str, wrong: int) -> None:
    """A program does not look before it indexes; that must not read foreign memory, or count from the end."""
    x, right, bad = np.eye(3), np.array([0, 1, 2]), np.array([0, 1, wrong])
    losses: list[Callable[..., Any]] = [tn.cross_entropy, tn.nll_loss, tn.multi_margin_loss]
    calls: list[Callable[..., Any]] = [lambda w, i: tn.embedding(i, w), lambda w, i: tn.one_hot(i, 3)]

    def gradient(loss: Callable[..., Any]) -> Callable[..., Any]:
        def slope(a: Tensor, i: Tensor) -> Any:
            loss(a, i).backward()
            return a.grad

        return slope

    for f in (*losses, *calls, *map(gradient, losses)):
        run = BACKENDS[backend](simplify(lowered_by(lambda a, i, f=f: [f(a, i)], [x, right]).program))
        run(x, right)
        with pytest.raises(IndexError, match="out of bounds"):
            run(x, bad)


@pytest.mark.parametrize(
    ("loss", "shape", "right", "wrong", "text"),
    [
        (tn.hinge_embedding_loss, 2, 1, 0, "else than 1 and -1"),
        (lambda x, t: tn.margin_ranking_loss(x, x * x, t), 2, 1, 0, "else than 1 and -1"),
        (tn.soft_margin_loss, 2, 1, 0, "else than 1 and -1"),
        (lambda x, t: tn.cosine_embedding_loss(x, x + 1, t), (2, 3), 1, 0, "else than 1 and -1"),
        (lambda x, t: tn.gaussian_nll_loss(x, x * x, t), 2, 1.0, -1.0, "var holds ..., but"),
        (lambda x, t: tn.binary_cross_entropy(t, x), 2, 0.5, 1.5, "input runs from ... to ..., but"),
        (lambda x, t: tn.binary_cross_entropy(t, x), 2, 0.5, -0.5, "input runs from ... to ..., but"),
    ],
)  # fmt: skip
def test_what_a_loss_refuses_its_gradient_alone_refuses(
    loss: Callable[..., Any], shape: Any, right: float, wrong: float, text: str
) -> None:
    slope = tn.compile(tn.grad(loss), backend="numpy")
    x, target = np.full(shape, 0.25), np.full(2, right)
    for _ in range(2):
        slope(x, target)
    target[1] = wrong
    for f in (slope, tn.compile(loss, backend="numpy")):
        f(x, np.full(2, right))
        with pytest.raises(ValueError, match=text):
            f(x, target)
    slope(x, np.full(2, right))


MANY = np.arange(5000.0)  # so many that quantiles are called
#: What is computed, right arguments, a wrong last one, and words of the error.
REFUSED: dict[str, tuple[Callable[..., Any], tuple[Any, ...], Any, str]] = {
    "average": (lambda x, w: np.average(x, weights=w), (np.arange(3.0), np.ones(3)), [1, -1, 0], "weights sum to 0"),
    "cov": (lambda x, w: np.cov(x, aweights=w), (np.arange(3.0), np.ones(3)), [0, 0, 0], "weights sum to 0"),
    "negative": (lambda x, w: np.cov(x, aweights=w), (np.arange(3.0), np.ones(3)), [1, -1, 1], "cannot be negative"),
    "parts": (lambda x, w: np.cov(x, fweights=w), (np.arange(3.0), np.ones(3)), [1, 0.5, 1], "whole numbers"),
    "edges": (lambda x: np.histogram_bin_edges(x, 3), (np.arange(3.0),), [0, np.nan, 1], "not finite"),
    "an edge": (lambda x: tn.histogram_bin_edges(x, 3, (0, np.max(x))), (np.arange(3.0),), [-2, -1, -3], "falls"),
    "quantile": (np.quantile, (MANY, np.array([0.2, 0.5])), [0.2, 1.5], "the range [0, 1]"),
    "nanquantile": (np.nanquantile, (MANY[:9], np.array([0.2, 0.5])), [0.2, np.nan], "the range [0, 1]"),
    "percentile": (np.nanpercentile, (MANY[:9], np.array([20.0, 50])), [20, 150], "the range [0, 100]"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_values_make_an_error_is_one_in_a_program_and_in_its_gradient_alone(name: str) -> None:
    f, right, wrong, text = REFUSED[name]
    for step in (f, tn.grad(lambda *args: f(*args).sum())):
        compiled = tn.compile(step, backend="numpy")
        for _ in range(2):
            np.testing.assert_allclose(compiled(*right), step(*map(tn.tensor, right)), rtol=1e-12)
        for program in (compiled, tn.compile(step, backend="numpy")):  # later, and in the first call
            with pytest.raises((ValueError, TypeError, ZeroDivisionError), match=re.escape(text)) as caught:
                program(*right[:-1], np.array(wrong, right[-1].dtype))
            assert "provided" not in "".join(traceback.format_exception_only(caught.value))


@pytest.mark.parametrize("backend", BACKENDS)
def test_ufuncs_of_one_name_are_two(backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    special = pytest.importorskip("scipy.special")
    z = np.array([1e-9 + 1e-5j, -1e-9 + 4e-5j])  # of which NumPy's is less exact than SciPy's
    for log1p in (special.log1p, np.log1p):
        compiled = tn.compile(lambda x, log1p=log1p: log1p(x) * 2, backend=backend)
        for _ in range(2):
            assert compiled(z).numpy().tolist() == (log1p(z) * 2).tolist()


def test_a_loss_refuses_what_lies_beside_nan() -> None:
    x, y = np.array([np.nan, -0.5]), np.array([0.0, 1.0])
    compiled = tn.compile(tn.binary_cross_entropy, backend="numpy")
    compiled(np.array([np.nan, 0.5]), y)
    for loss in (tn.binary_cross_entropy, compiled):
        with pytest.raises(ValueError, match=r"input runs from (-0.5 to -0.5|... to ...), but"):
            loss(x, y)


def test_a_loss_in_a_branch_asks_nothing_of_lanes_that_do_not_take_it() -> None:
    def loss(x: Any) -> Any:
        return tn.cond(x <= 1, lambda x: tn.binary_cross_entropy(x, x * 0), lambda x: x * 0, x)

    slopes: list[Callable[[Any], Any]] = [tn.grad(loss), tn.grad(tn.grad(loss)), lambda x: tn.jvp(loss, (x,), (x,))[1]]
    for f in (loss, *slopes):
        lanes = tn.vmap(f)
        compiled = tn.compile(lanes, backend="numpy")
        for x in (np.array([0.5, 0.25]), np.array([0.5, 1.5])):
            np.testing.assert_allclose(compiled(x).data, lanes(tn.tensor(x)).data, rtol=1e-12)
    alone = tn.compile(tn.vmap(lambda x: tn.binary_cross_entropy(x, x * 0)), backend="numpy")
    alone(np.array([0.5, 0.25]))
    with pytest.raises(ValueError, match="but probabilities lie in"):
        alone(np.array([0.5, 1.5]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_the_host_computes_and_what_is_written(backend: str) -> None:
    count = iter(range(10))
    target = tn.tensor([0.0, 0.0])

    def step(x: Tensor) -> list[Any]:
        tn.assign(target, x * tn.host(lambda: float(next(count)), np.float64))
        return [target * 1]

    x = np.array([1.0, 2.0])
    run = BACKENDS[backend](lowered_by(step, [x]).program)
    for n in range(1, 4):
        (found,) = run(x)
        np.testing.assert_array_equal(found, x * n)
        np.testing.assert_array_equal(target.numpy(), x * n)


# -- the table ---------------------------------------------------------------------------------------------------


def table() -> str:
    """What each op becomes in a program, over all its samples."""
    tn.special.i0, tn.special.i1, tn.special.iv  # noqa: B018  # primitives once they are there, as other tests may have them be
    lines = ["| op | in a program |", "|---|---|"]
    for name, op in OPS.items():
        primitives: dict[str, None] = {}
        reasons: dict[str, None] = {}
        for call in samples(op, "float64"):
            lowered = _forward(op, call)
            primitives |= dict.fromkeys(i.name for i in lowered.program.body if i.name != "call")
            primitives |= {"a number or draw of the host": None} if lowered.program.hosts else {}
            primitives |= {"a write at the end": None} if lowered.program.writes else {}
            reasons |= {f"**called**: {called.reason}": None for called in lowered.called}
        parts = ([", ".join(primitives)] if primitives else []) + list(reasons)
        if reasons and isinstance(op, Op) and not (op.random or op.effect):
            parts.append(f"lanes: {_lanes(op)}")
        lines.append(
            f"| `{name.removeprefix('tapenet.ops.')}` | {'; '.join(parts) or 'nothing: a name for its argument'} |"
        )
    return "\n".join(lines)


def _lanes(op: Op) -> str:
    """How an op that is called is computed over lanes."""
    if isinstance(op.vmap, str):
        return op.vmap
    if isinstance(op.vmap, Mapping):
        return "one batch"
    if op.vmap is not None:
        return "a rule"
    return "leading" if isinstance(op.forward, np.ufunc) else "one by one"


def _forward(op: Op | Derived, call: Sample) -> Lowered:
    """The program of an op's forward; tensors are arguments, or from outside if they are written to."""

    def step(*tensors: Tensor) -> list[Any]:
        stream = iter(tensors if tensors else [tensor(a) for a in arrays_of(call)])
        args = tree_map(lambda v: next(stream) if isinstance(v, np.ndarray) else v, call.args)
        return tree_leaves(op.returning(*args, **call.kwargs))

    return lowered_by(step, [] if isinstance(op, Op) and op.effect else arrays_of(call))


def test_the_table_in_the_documentation() -> None:
    begin, end = "<!-- lowering -->\n", "\n<!-- /lowering -->"
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(begin)
    found, _, after = rest.partition(end)
    assert after, f"{PAGE.name} has no {begin}"
    if os.environ.get("TAPENET_OVERWRITE"):
        found = table()
        PAGE.write_text(before + begin + found + end + after, encoding="utf-8", newline="\n")
    if NUMPY >= "2.4.0":  # what an op calls differs from version to version
        assert found == table()
