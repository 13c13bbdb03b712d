"""Max pooling, what is before it and what is behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.ops.layers.pooling.maximum import max_pool2d, max_pool_grad
from tapenet.program.called_ops import Hole
from tapenet.program.ir import Value
from tapenet.program.passes import dead, pools, simplify
from tapenet.program.primitives import Spec
from tests.program.passes.programs import FLOAT32, Build, assert_kept, assert_same, constant

SHAPE = (2, 3, 6, 7)


def step(b: Build, size: int, zero: Value | None = None, **options: Any) -> tuple[Value, Value, Value]:
    """max(x, 0), the largest in each window of it, and the gradient by x."""
    x, zero = b.input(*SHAPE), zero or constant(0)
    relu = b.emit("maximum", x, zero)
    given = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False} | options
    out = max_pool2d(np.zeros(SHAPE), size, **given).shape
    specs = [Spec(out, FLOAT32), Spec(out, np.dtype(np.uint8))]
    template = {"x": Hole(0), "kernel_size": size, **given}
    best, where = b.several("call", relu, op=max_pool2d, template=template, specs=specs)
    template = {"y": Hole(0), "where": Hole(1), "shape": SHAPE, "kernel_size": (size, size), **given}
    of_elements = b.emit(
        "call", b.input(*out), where, op=max_pool_grad, template=template, specs=[Spec(SHAPE, FLOAT32)]
    )
    mask = b.emit("not_equal", relu, constant(0))
    return relu, best, b.emit("where", mask, of_elements, zero)


@pytest.mark.parametrize("options", [{}, {"stride": 1}, {"padding": 1, "stride": 2}, {"ceil_mode": True}])
@pytest.mark.parametrize("size", [2, 3])
def test_the_largest_is_chosen_before_what_is_below_zero_is_left_out(size: int, options: Any) -> None:
    """Of windows with nan, infinities, equal elements and nothing above zero."""
    b = Build()
    _, best, grad = step(b, size, **options)
    changed = simplify(assert_same(pools.run, b.program(best, grad), zeros=False))
    elementwise = [i.results[0].shape for i in changed.body if i.kind == "elementwise"]
    assert elementwise == [best.shape] * 3


def test_zeros_may_be_as_many_as_elements() -> None:
    b = Build()
    _, best, grad = step(b, 2, b.broadcast(constant(0), SHAPE))
    program = b.program(best, grad)
    assert assert_same(pools.run, program, zeros=False) is not program


def test_a_sum_is_that_of_windows() -> None:
    b = Build()
    _, best, grad = step(b, 2)
    sums = [b.emit("reduce_add", grad, axes=axes) for axes in ((0, 2, 3), (2, 3), (3,))]
    changed = simplify(assert_same(pools.run, b.program(best, *sums), rtol=1e-5))
    shapes = [i.args[0].shape for i in changed.body if i.name == "reduce_add"]
    assert shapes == [best.shape, best.shape, SHAPE]


def test_a_sum_of_what_may_lie_in_a_border_stays() -> None:
    b = Build()
    _, best, grad = step(b, 3, padding=1)
    changed = pools.run(b.program(best, b.emit("reduce_add", grad, axes=(2, 3))))
    assert [i.args[0].shape for i in changed.body if i.name == "reduce_add"] == [SHAPE]


def test_what_stays() -> None:
    """max(x, 0) that others read, windows that may lie in the border alone, what another choice is made of, where others ask
    for the largest's places, and where there is no gradient."""
    b = Build()
    relu, best, grad = step(b, 2)
    assert_kept(pools.run, b.program(best, grad, relu))
    b = Build()
    _, best, grad = step(b, 2, dilation=3, padding=1)
    assert_kept(pools.run, b.program(best, grad))
    b = Build()
    _, best, grad = step(b, 2)
    (of_elements,) = (v for i in b.body[:-1] for v in i.results if i.name == "call" and v.shape == SHAPE)
    assert_kept(
        pools.run, b.program(best, grad, b.emit("where", b.input(*SHAPE, dtype=bool), of_elements, constant(0)))
    )
    b = Build()
    _, best, grad = step(b, 2)
    pool, other = (i for i in b.body if i.name == "call")
    of_relu = b.emit("call", b.input(*best.shape), pool.results[1], **other.params)
    assert_kept(pools.run, b.program(best, grad, of_relu))
    b = Build()
    _, best, _ = step(b, 2)
    assert_kept(pools.run, dead.run(b.program(best)))
