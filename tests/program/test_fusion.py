"""Which instructions become one kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.program import fusion
from tapenet.program.fusion import SMALL, Entry, Kernel, aligned, fuse
from tapenet.program.ir import Program, Reference, Value, check
from tapenet.program.layout import Layouts, materialise
from tapenet.program.native.kernels import fusible
from tests.compiler.lowered import program_of
from tests.program.native.generate import Rows
from tests.program.passes.programs import Build, constant


def fused(program: Program) -> list[Entry]:
    layouts = Layouts()
    program = check(materialise(program, layouts))
    return fuse(program, layouts, {i for i in program.body if fusible(i)})


def kinds(entries: list[Entry]) -> list[str]:
    return ["kernel" if isinstance(e, Kernel) else e.name for e in entries]


def kernel_of(program: Program) -> Kernel:
    """The only kernel of a program, which is all there is."""
    (kernel,) = fused(program)
    assert isinstance(kernel, Kernel)
    return kernel


def phases(kernel: Kernel) -> int:
    """How many loops over a row there are. What is computed once per row, behind the last of them perhaps, is in
    none."""
    ready = kernel.phases()
    return len({n - kernel.is_row_reduction(m) for m, n in ready.items() if m not in kernel.rows})


# -- elementwise and broadcasts ----------------------------------------------------------------------------------


def test_a_run_of_elementwise_instructions() -> None:
    b = Build()
    x, y = b.input(3, 4), b.input(3, 4)
    z = b.emit("exp", b.emit("multiply", b.emit("add", x, y), x))
    kernel = kernel_of(b.program(b.emit("where", b.emit("less", z, y), z, x), z))
    assert (kernel.domain, kernel.split, len(kernel.members)) == ((3, 4), None, 5)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (3, 1), (1, 1), ()])
def test_what_is_broadcast_from_outside(shape: tuple[int, ...]) -> None:
    b = Build()
    x, y = b.input(3, 4), b.input(*shape)
    kernel = kernel_of(b.program(b.emit("add", b.emit("broadcast", y, shape=(3, 4)), b.emit("multiply", x, y))))
    assert kernel.domain == (3, 4)


@pytest.mark.parametrize(("shape", "split"), [((3, 1), 1), ((3, 1, 1), 1), ((3, 2, 1), 2)])
def test_what_is_computed_per_row_is_computed_in_the_kernel_that_uses_it(shape: tuple[int, ...], split: int) -> None:
    b = Build()
    wide = (*shape[:split], *(5 for _ in shape[split:]))
    row = b.emit("sqrt", b.input(*shape))
    kernel = kernel_of(b.program(b.emit("divide", b.input(*wide), row)))
    assert kernel.split == split
    assert {m.name for m in kernel.rows} == {"sqrt"}


def test_what_is_computed_per_column_is_a_kernel_of_its_own() -> None:
    """It would be computed again for each row."""
    b = Build()
    column = b.emit("sqrt", b.input(4))
    assert kinds(fused(b.program(b.emit("divide", b.input(3, 4), column)))) == ["kernel", "kernel"]


def test_single_numbers_come_first_and_stand_in_no_kernels_way() -> None:
    b = Build()
    x, h = b.input(3, 4), b.host(lambda: np.float32(0.1))
    y = b.emit("exp", x)
    rate = b.emit("negative", b.emit("square", h))
    entries = fused(b.program(b.emit("multiply", y, rate), y))
    assert [e.domain for e in entries if isinstance(e, Kernel)] == [(), (3, 4)]


def test_a_number_computed_of_an_array_does_not_come_first() -> None:
    b = Build()
    x = b.input(80, 80)
    total = b.emit("sqrt", b.emit("reduce_add", x, axes=(0, 1)))
    entries = fused(b.program(b.emit("divide", x, total)))
    assert [e.domain for e in entries if isinstance(e, Kernel)] == [(80, 80), (), (80, 80)]


def test_what_is_read_in_another_order_is_another_kernel() -> None:
    b = Build()
    y = b.emit("exp", b.input(4, 4))
    turned = b.emit("transpose", y, axes=(1, 0))
    assert kinds(fused(b.program(b.emit("add", turned, y)))) == ["kernel", "kernel"]


def test_what_is_read_of_another_place_is_another_kernel() -> None:
    b = Build()
    y = b.emit("exp", b.input(4))
    z = b.emit("slice", y, slices=((3, -1, -1),))
    assert kinds(fused(b.program(b.emit("add", z, constant(1))))) == ["kernel", "kernel"]


def test_what_others_use_too_joins_the_first_of_them() -> None:
    b = Build()
    x, w = b.input(3, 4), b.input(4, 2)
    y = b.emit("exp", x)
    d = b.emit("dot", y, w)
    z = b.emit("negative", y)  # needs y, which the product needs before
    assert kinds(fused(b.program(d, z))) == ["kernel", "dot"]


def test_what_is_computed_per_row_is_read_by_a_later_kernel_that_becomes_part() -> None:
    """As the gradient's kernel reads what the forward has made of a column."""
    b = Build()
    x, row = b.input(6, 5), b.emit("sqrt", b.input(6, 1))
    y = b.emit("multiply", x, row)
    total = b.emit("reduce_add", b.emit("exp", y), axes=(0, 1))
    back = b.emit("multiply", b.emit("sqrt", y), row)
    kernel = kernel_of(b.program(total, back, b.emit("reduce_add", back, axes=(1,))))
    assert (kernel.split, [m.name for m in kernel.rows]) == (1, ["sqrt"])


def test_a_kernel_that_needs_what_comes_between_does_not_move_ahead_of_it() -> None:
    b = Build()
    x, w = b.input(4, 4), b.input(4, 4)
    y = b.emit("exp", x)
    d = b.emit("dot", y, w)
    z = b.emit("add", y, d)
    assert kinds(fused(b.program(d, z))) == ["kernel", "dot", "kernel"]


@pytest.mark.parametrize(("size", "limit"), [(fusion.SMALLEST, "SHORT"), (fusion.SMALLEST + 1, "LIMIT")])
def test_kernels_are_not_endless(size: int, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, limit, 100)
    b = Build()
    x = value = b.input(size)
    for _ in range(500):
        value = b.emit("add", value, x)
    entries = fused(b.program(value))
    sizes = [len(e.members) for e in entries if isinstance(e, Kernel)]
    assert sum(sizes) == 500
    assert max(sizes) <= 100
    assert len(sizes) <= 6


def test_a_program_of_thousands_of_elementwise_instructions_is_one_kernel() -> None:
    b = Build()
    x = value = b.input(300)
    for _ in range(1500):
        value = b.emit("add", b.emit("multiply", value, x), x)
    kernel = kernel_of(b.program(value))
    assert kernel.weight == len(kernel.members) == 3000


@pytest.mark.parametrize(("length", "expected"), [(20, ["kernel"]), (fusion.JOINED, ["concatenate", "kernel"])])
def test_what_is_written_for_each_box_is_shorter(length: int, expected: list[str]) -> None:
    b = Build()
    value = b.emit("concatenate", b.input(4), b.input(4), axis=0)
    for _ in range(length):
        value = b.emit("square", value)
    assert kinds(fused(b.program(value))) == expected


# -- reductions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [(1,), (0,), (0, 1), ()])
def test_a_reduction_ends_the_run_that_it_sums_up(axes: tuple[int, ...]) -> None:
    b = Build()
    y = b.emit("exp", b.emit("add", b.input(3, 4), b.input(4)))
    kernel = kernel_of(b.program(b.emit("reduce_add", y, axes=axes)))
    assert (kernel.domain, len(kernel.members)) == ((3, 4), 3)


def test_reductions_over_all_kinds_of_axes_of_one_array_are_one_kernel() -> None:
    b = Build()
    y = b.emit("exp", b.input(3, 4))
    outs = [b.emit("reduce_add", y, axes=axes) for axes in ((0,), (1,))]
    assert kinds(fused(b.program(y, *outs))) == ["kernel"]


def test_the_use_of_a_rows_sum_is_a_phase_of_the_kernel() -> None:
    b = Build()
    x = b.input(3, 4)
    total = b.emit("reshape", b.emit("reduce_add", x, axes=(1,)), shape=(3, 1))
    kernel = kernel_of(b.program(b.emit("divide", x, b.emit("sqrt", total))))
    assert (kernel.split, phases(kernel)) == (1, 2)
    assert {m.name for m in kernel.rows} == {"sqrt"}


def test_rows_whose_neighbours_in_memory_are_of_other_rows_are_summed_side_by_side() -> None:
    """Row by row would be with long steps through memory."""
    for order, expected in (("C", 1), ("F", 3)):
        b = Build()
        x = Reference(tn.asarray(np.zeros((8, 50), np.float32, order=order)))
        mean = b.emit("reshape", b.emit("reduce_add", x, axes=(1,)), shape=(8, 1))
        entries = fused(b.program(b.emit("subtract", x, b.emit("sqrt", mean))))
        assert kinds(entries) == ["kernel"] * expected
        assert [e.split for e in entries if isinstance(e, Kernel)] == [1 if order == "C" else None] * expected


def test_the_use_of_a_columns_sum_is_another_kernel() -> None:
    b = Build()
    x = b.input(3, 4)
    total = b.emit("reduce_add", x, axes=(0,))
    assert kinds(fused(b.program(b.emit("divide", x, total)))) == ["kernel", "kernel"]


def test_a_rows_sum_read_as_a_column_is_another_kernel() -> None:
    b = Build()
    x = b.input(4, 4)
    total = b.emit("reduce_add", x, axes=(1,))  # (4,), which broadcasts along the other axis
    assert kinds(fused(b.program(b.emit("divide", x, total)))) == ["kernel", "kernel"]


@pytest.mark.parametrize(("shape", "count"), [((8, 8), 1), ((2, SMALL), 2)])
def test_what_is_made_of_a_sum_over_all_is_in_its_kernel_if_it_is_small(shape: tuple[int, ...], count: int) -> None:
    """Threads can share a long sum only if nothing waits for it."""
    b = Build()
    total = b.emit("reduce_add", b.input(*shape), axes=(0, 1))
    assert kinds(fused(b.program(b.emit("sqrt", total)))) == ["kernel"] * count


@pytest.mark.parametrize(("shape", "count"), [((8, 8), 2), ((2, SMALL), 3)])
def test_what_a_sum_over_all_is_read_for_is_another_kernel(shape: tuple[int, ...], count: int) -> None:
    """A small array is in the cache when it is walked over again, and threads may share the second walk over a large
    one: one kernel would gain nothing."""
    b = Build()
    x = b.input(*shape)
    total = b.emit("reduce_add", x, axes=(0, 1))
    entries = fused(b.program(b.emit("divide", x, b.emit("sqrt", total))))
    assert kinds(entries) == ["kernel"] * count


def test_what_is_made_of_rows_sums_alone_is_in_their_kernel() -> None:
    """A mean: the sum of each row, divided by a number, returned."""
    b = Build()
    mean = b.emit("divide", b.emit("reduce_add", b.input(3, 4), axes=(1,)), constant(4))
    kernel = kernel_of(b.program(mean))
    assert (kernel.domain, kernel.split) == ((3, 4), 1)
    assert {m.name for m in kernel.rows} == {"divide"}


def test_two_kinds_of_rows_are_two_kernels() -> None:
    b = Build()
    x = b.input(2, 3, 4)
    one = b.emit("reshape", b.emit("reduce_add", x, axes=(2,)), shape=(2, 3, 1))
    two = b.emit("reshape", b.emit("reduce_add", b.emit("subtract", x, one), axes=(1, 2)), shape=(2, 1, 1))
    entries = fused(b.program(b.emit("divide", x, two)))
    assert kinds(entries) == ["kernel", "kernel"]


# -- what a network is made of -----------------------------------------------------------------------------------

X = np.ones((6, 5), np.float32)


def centred(x: Any) -> Any:
    return x - x.mean(axis=-1, keepdims=True)


def normalised(x: Any) -> Any:
    """Layer normalisation by hand, with the variance's own formula."""
    c = centred(x)
    return c / np.sqrt((c * c).mean(axis=-1, keepdims=True) + 1e-5)


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (lambda x: F.softmax(x, axis=-1), 3),
        (lambda x: F.log_softmax(x, axis=-1), 3),
        (lambda x: F.layer_norm(x, (5,)), 3),
        (lambda x: F.layer_norm(x, (5,), tn.exp(x[0]), x[1]), 3),
        (normalised, 3),
        (lambda x: F.softmax(normalised(x), axis=-1), 5),
        (lambda x: x / np.sqrt((x * x).sum(axis=-1, keepdims=True)), 2),
        (lambda x: tn.logsumexp(x, axis=-1), 2),
        (lambda x: F.softmax(x, axis=-1).max(axis=-1), 3),
        (lambda x: np.var(x, axis=-1), 2),
    ],
    ids=[
        "softmax", "log_softmax", "layer_norm", "affine layer_norm", "by hand", "both", "unit vectors", "logsumexp",
        "largest probability", "variance",
    ],
)  # fmt: skip
def test_rows_are_one_kernel_in_phases(function: Callable[[Any], Any], count: int) -> None:
    program = program_of(function, X)
    entries = fused(program)
    wide = [e for e in entries if isinstance(e, Kernel) and e.split == 1]
    assert len(wide) == 1, program
    assert phases(wide[0]) == count
    # Beside it there is at most what is computed of the weights.
    assert {e.domain for e in entries if isinstance(e, Kernel) and e is not wide[0]} <= {(5,)}


def test_a_softmax_with_its_gradient() -> None:
    def step(x: Any) -> Any:
        x = x.requires_grad_()
        (F.softmax(x, axis=-1) * x.detach()).sum().backward()
        return x.grad

    assert kinds(fused(program_of(step, X))) == ["kernel"]


RULES: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-4),
    "adam": lambda p: optim.Adam(p, lr=0.1),
    "adamw": lambda p: optim.AdamW(p, lr=0.1),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.1),
}


@pytest.mark.parametrize("rule", RULES)
def test_an_update_is_one_kernel_per_parameter(rule: str) -> None:
    params = [nn.Parameter(np.zeros(shape, np.float32)) for shape in ((7, 3), (11,), (2, 3, 4))]
    optimizer = RULES[rule](params)

    def step() -> None:
        sum((p * p).sum() for p in params).backward()
        optimizer.step()

    entries = fused(program_of(step))
    assert set(kinds(entries)) == {"kernel"}
    domains = [e.domain for e in entries if isinstance(e, Kernel) and e.domain]
    assert sorted(domains) == sorted(p.shape for p in params)


# -- on any program ----------------------------------------------------------------------------------------------


def test_entries_are_in_an_order_that_can_run() -> None:
    for seed in range(60):
        program = Rows(np.random.default_rng(seed)).program(40)
        layouts = Layouts()
        program = materialise(program, layouts)
        entries = fuse(program, layouts, {i for i in program.body if fusible(i)})
        done: set[Any] = set()
        for entry in entries:
            for member in entry.members if isinstance(entry, Kernel) else [entry]:
                assert {a.source for a in member.args} - {None} <= done, f"{member.name} in seed {seed}"
                done.add(member)
            if isinstance(entry, Kernel):
                assert_kernel(entry)
        assert done == {i for i in program.body if i.kind != "view"}


def assert_kernel(kernel: Kernel) -> None:
    """Its members are of its domain, or of its rows."""
    ready = kernel.phases()
    for member in kernel.members:
        shape = (member.args[0] if member.kind == "reduction" else member.results[0]).shape
        if member in kernel.rows:
            assert kernel.split is not None
            assert shape[: kernel.split] == kernel.row_shape or np.prod(shape) == 1
        else:
            assert shape == kernel.domain
        assert ready[member] >= max(ready.get(a.source, 0) for a in member.args)  # type: ignore[arg-type]


def test_strides_by_the_axes_of_a_domain() -> None:
    assert aligned((3, 4), (4, 1), (2, 3, 4)) == (0, 4, 1)
    assert aligned((3, 1), (1, 1), (3, 4)) == (1, 0)
    assert aligned((1, 1), (7, 7), (1, 4)) == (0, 0)
    assert aligned((), (), (2,)) == (0,)
    assert aligned((2, 3), (3, 1), (3,)) is None
    assert aligned((2,), (1,), (3,)) is None


def test_the_source_of_a_value_is_behind_its_views() -> None:
    b = Build()
    x = b.input(2, 3)
    y = b.emit("exp", x)
    z: Value = b.emit("reshape", b.emit("transpose", y, axes=(1, 0)), shape=(6,))
    assert z.source is y.instruction
    assert b.emit("reshape", x, shape=(6,)).source is None
    assert Reference(tn.tensor(1.0)).source is None
