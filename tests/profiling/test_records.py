"""Bytes, multiply-adds and times, against what is counted otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff import backward, generate
from tapenet.autodiff.observe import profile
from tapenet.autodiff.observe.anomaly import lines
from tapenet.autodiff.observe.profile import END, Timing
from tapenet.ops.op import Op
from tapenet.ops.registry import registry
from tapenet.profiling.places import Place
from tapenet.profiling.records import entries, read

OPS = {
    name: op
    for name, op in sorted(registry.items())
    if name.startswith("tapenet.ops.") and isinstance(op, Op) and op.differentiable and op.samples
}


# -- saved bytes -------------------------------------------------------------------------------------------------


def arrays(value: Any) -> Iterator[Any]:
    """The arrays in what a slot of a node holds."""
    if isinstance(value, (np.ndarray, np.generic)):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from arrays(part)


def kept(node: Any) -> int:
    """The bytes that a node keeps, looked at one by one."""
    values = [getattr(node, slot, None) for slot in node.saved_slots]
    return sum(a.nbytes for value in values for a in arrays(value))


def made(value: Any) -> Any:
    """An argument of a sample as a tensor that was made in the step, where it is an array of floats."""
    if isinstance(value, (list, tuple)) and any(isinstance(v, np.ndarray) for v in value):
        return type(value)(made(v) for v in value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
        return tn.copy(tn.tensor(value, requires_grad=True))
    return value


@pytest.mark.parametrize("general", [False, True], ids=["fast", "general"])
@pytest.mark.parametrize("name", OPS)
def test_saved_bytes_are_those_of_the_arrays_that_the_node_holds(name: str, general: bool) -> None:
    op = OPS[name]
    found = 0
    own = {a.name for a in op.arguments}
    for s in list(op.samples(np.random.default_rng(1))):
        if not s.kwargs.keys() <= own:  # answered by other ops
            continue
        with np.errstate(all="ignore"), lines() if general else np.errstate(), tn.profile() as prof:
            wanted = {op.arguments[i].name: made(v) for i, v in enumerate(s.args)} | s.kwargs
            wanted = {n: v.detach() if n in op.nondiff and isinstance(v, tn.Tensor) else v for n, v in wanted.items()}
            out = op(**wanted)
            nodes = [getattr(o, "node", None) for o in (out if isinstance(out, tuple) else (out,))]
        node = next((n for n in nodes if n is not None), None)
        if node is None:
            continue
        node = getattr(node, "source_node", node)
        record = next(r for r in prof.steps[0].records if r.number == node.number)
        assert record.saved == kept(node)
        assert prof.steps[0].saved <= sum(r.saved for r in prof.steps[0].records)
        found += 1
    assert found or op.name == "qr_raw"  # whose samples are whole numbers, as it refuses gradients


def test_only_what_the_wanted_gradients_need_is_counted() -> None:
    a = np.ones((2, 3), np.float32)
    x, y = tn.tensor(a, requires_grad=True), tn.tensor(a * 2, requires_grad=True)
    with tn.profile() as prof:
        h, k = x + 0, y + 0
        h * k
        h * a
        h * k.detach()
        h * 2.0
        h + k
    saved = [r.saved for r in prof.steps[0].records]
    assert saved == [0, 0, 48, 24, 24, 0, 0]
    assert prof.steps[0].saved == 24 + 24 + 24 + 24  # h and k once, then two arrays that need no gradient


def test_parameters_are_not_counted() -> None:
    x = np.ones((5, 3), np.float32)
    weight = tn.tensor(np.ones((4, 3), np.float32), requires_grad=True)
    with tn.profile() as prof:
        out = tn.linear(tn.tensor(x), weight)
        tn.linear(out[:, :3], weight)
    assert [r.saved for r in prof.steps[0].records] == [60, 0, 60]


def test_an_array_that_two_nodes_keep_is_there_once() -> None:
    x = tn.tensor(np.ones(10), requires_grad=True)
    with tn.profile() as prof:
        y = np.exp(x)  # keeps its output
        np.log(y)  # keeps its input
    assert [r.saved for r in prof.steps[0].records] == [80, 80]
    assert prof.steps[0].saved == 80


def test_results_of_an_op_with_several_are_told_apart() -> None:
    halves = tn.op(
        lambda x: (x[:2], x[2:].astype(np.float32)),
        name="halves",
        outputs=2,
        x=lambda g, out: np.concatenate([g[0] * out[0], g[1] * out[1]]),
    )
    x = tn.tensor(np.ones(5), requires_grad=True)
    with tn.profile() as prof:
        a, b = halves(x)
        (a * a).sum().backward()
        np.square(b)
    records = prof.steps[0].records
    assert [(r.op, r.saved) for r in records] == [("halves", 16 + 12), ("multiply", 16), ("sum", 0), ("square", 12)]
    assert records[0].shape == ((2,), (3,))
    assert records[0].dtype == (np.float64, np.float32)
    assert records[0].backward > 0
    assert "float64 (2,), float32 (3,)" in str(prof)
    assert prof.steps[0].saved == 16 + 12


# -- multiply-adds -----------------------------------------------------------------------------------------------


def counts(f: Any, *args: Any, grads: tuple[int, ...] = ()) -> tuple[int | None, int | None]:
    """What the first op of `f` says, where the arguments at these positions need gradients."""
    tensors = [
        a if a is None else tn.tensor(a, requires_grad=True) if i in grads else tn.tensor(a) for i, a in enumerate(args)
    ]
    with tn.profile() as prof:
        out = f(*tensors)
        if grads:
            out.sum().backward()
    record = prof.steps[0].records[0]
    return record.multiply_adds, record.backward_multiply_adds


def ones(*shape: int) -> Any:
    return np.ones(shape)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ((2, 3), (3, 4), 24),
        ((3,), (3,), 3),
        ((2, 3), (3,), 6),
        ((3,), (3, 2), 6),
        ((5, 2, 3), (3, 4), 120),
        ((2, 1, 2, 3), (3, 3, 2), 2 * 3 * 2 * 3 * 2),
    ],
)
def test_matmul(x: Any, y: Any, expected: int) -> None:
    assert counts(tn.matmul, ones(*x), ones(*y)) == (expected, 0)
    assert counts(tn.matmul, ones(*x), ones(*y), grads=(0,)) == (expected, expected)
    assert counts(tn.matmul, ones(*x), ones(*y), grads=(1,)) == (expected, expected)
    assert counts(tn.matmul, ones(*x), ones(*y), grads=(0, 1)) == (expected, 2 * expected)


def test_linear() -> None:
    x, w, b = ones(5, 3), ones(4, 3), ones(4)
    assert counts(tn.linear, x, w, b) == (60, 0)
    assert counts(tn.linear, x, w, None, grads=(0, 1)) == (60, 120)
    assert counts(tn.linear, x, w, b, grads=(1, 2)) == (60, 60)
    assert counts(tn.linear, x, w, b, grads=(2,)) == (60, 0)
    assert counts(tn.linear, ones(2, 5, 3), w, b, grads=(0,)) == (120, 120)


@pytest.mark.parametrize(
    ("x", "weight", "options", "expected"),
    [
        ((2, 3, 5, 6), (4, 3, 2, 3), {}, 2 * 4 * 4 * 4 * 18),
        ((3, 5, 6), (4, 3, 2, 3), {}, 4 * 4 * 4 * 18),
        ((2, 3, 5, 5), (4, 3, 3, 3), {"stride": 2, "padding": 1}, 2 * 4 * 3 * 3 * 27),
        ((2, 4, 5, 5), (4, 1, 3, 3), {"groups": 4}, 2 * 4 * 3 * 3 * 9),  # depthwise
        ((1, 4, 5, 5), (6, 2, 1, 1), {"groups": 2}, 6 * 25 * 2),
        ((1, 1, 7, 7), (1, 1, 3, 3), {"dilation": 2}, 9 * 9),
    ],
)
def test_convolutions(x: Any, weight: Any, options: Any, expected: int) -> None:
    def conv(a: Any, w: Any) -> Any:
        return tn.conv2d(a, w, None, **options)

    assert counts(conv, ones(*x), ones(*weight)) == (expected, 0)
    assert counts(conv, ones(*x), ones(*weight), grads=(1,)) == (expected, expected)
    assert counts(conv, ones(*x), ones(*weight), grads=(0, 1)) == (expected, 2 * expected)
    y = conv(ones(*x), ones(*weight))
    transposed = counts(lambda g, w: tn.conv2d_input_grad(g, w, x, **options), y, ones(*weight), grads=(0, 1))
    assert transposed == (expected, 2 * expected)
    by_weight = counts(lambda a, g: tn.conv2d_weight_grad(a, g, weight, **options), ones(*x), y, grads=(1,))
    assert by_weight == (expected, expected)


def test_a_count_of_ones_own() -> None:
    outer = tn.op(
        lambda x, y, scale=1: np.outer(x, y) * scale,
        name="outer",
        x=lambda g, y, scale: g @ y * scale,
        y=lambda g, x, scale: x @ g * scale,
        multiply_adds=lambda x_shape, y_shape, scale, out_shape: (
            x_shape[0] * y_shape[0] * (scale != 1) + len(out_shape)
        ),
    )
    x = tn.tensor(np.ones(3), requires_grad=True)
    with tn.profile() as prof, lines():
        outer(x, np.ones(4), 2)
    with prof:
        outer(x, np.ones(4), scale=2)
        outer(np.ones(4), x)
        outer(tn.tensor(np.ones(4)), tn.tensor(np.ones(5)), 2)
    assert [r.multiply_adds for s in prof.steps for r in s.records] == [14, 14, 2, 22]
    fixed = tn.op(lambda x: x @ np.ones((3, 2)), name="fixed", multiply_adds=lambda x_shape: x_shape[0] * 2,
                  x=lambda g: g @ np.ones((2, 3)))  # fmt: skip
    assert counts(fixed, ones(3), grads=(0,)) == (6, 6)


def test_a_count_that_asks_for_what_is_not_there() -> None:
    with pytest.raises(TypeError, match=r"'odd': its multiply_adds= asks for 'shape'; it may name out_shape, x_shape"):
        tn.op(lambda x: x, name="odd", x=lambda g: g, multiply_adds=lambda shape: 1)


def test_ops_that_do_not_say() -> None:
    assert counts(np.exp, ones(3), grads=(0,)) == (None, None)


# -- time --------------------------------------------------------------------------------------------------------


def test_what_runs_inside_is_taken_off() -> None:
    timing = Timing()
    place = Place("", "")
    timing += [tn.exp, 7, place, (), np.dtype(float), 101.0, 102.0]
    timing += [tn.exp, 8, place, (), np.dtype(float), 103.0, 105.0, tn.exp, 9, place, (), np.dtype(float), 106.0, 106.5]
    timing += [8, 105.5, 108.5, 7, 102.0, 110.0]  # 2 + 3 inside
    timing += [8, 110.0, 110.25, 7, 110.25, 110.75, "SGD.step", 111.0, 111.125]
    timing += [tn.exp, None, place, (), np.dtype(float), 113.0, 114.5, "compiled f", 112.0, 116.0, END, 100.0, 130.0]
    assert [timing[i] for i in entries(timing)].count(tn.exp) == 4
    (block,) = read(timing)
    step = block.step(None)
    assert [r.forward for r in step.records] == [1.0, 2.0, 0.5, 1.5]
    assert [r.backward for r in step.records] == [8.0 - 5.0 + 0.5, 3.0 - 0.5 + 0.25, 0.0, 0.0]
    assert step.spans == {"SGD.step": 0.125, "compiled f": 2.5}
    assert step.total == 30.0
    assert step.other == 30.0 - 1.0 - 2.0 - 8.0 + 2.0 - 0.75 - 0.125 - 4.0


@pytest.mark.parametrize("on_tensors", [False, True])
def test_rules_that_run_ops_are_timed_without_these(on_tensors: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that this test alone moves on."""
    now = 0.0

    def pass_(seconds: float, x: Any) -> Any:
        nonlocal now
        now += seconds
        return x

    for module in (backward, profile):
        monkeypatch.setattr(module, "perf_counter", lambda: now)
    monkeypatch.setitem(generate._KNOWN, "_perf_counter", lambda: now)

    def rule(g: Any) -> Any:
        pass_(1.0, g)
        return twice(g) if on_tensors else twice(tn.tensor(g)).numpy()

    @tn.op(x=rule)
    def outer(x: Any) -> Any:
        return pass_(2.0, x) + 0

    @tn.op(x=lambda g: g)
    def twice(x: Any) -> Any:
        return pass_(4.0, x) * 2

    x = tn.tensor([1.0], requires_grad=True)
    with tn.profile() as prof:
        outer(x).backward(create_graph=on_tensors)
    first, second = prof.steps[0].records
    assert (first.op, first.forward, first.backward) == ("outer", 2.0, 1.0)
    assert (second.op, second.forward) == ("twice", 4.0)
