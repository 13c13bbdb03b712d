"""`convolve` in native code is what it is in NumPy, for all kinds of shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.kernels import winograd_maps
from tapenet.llvm import toolchain
from tapenet.program.ir import Builder, Constant, Input, Program, check
from tapenet.program.windows import geometry
from tapenet.typing import Array

pytestmark = pytest.mark.skipif(not toolchain.available(), reason="needs llvmlite")

PLAIN: dict[str, Any] = {"stride": (1, 1), "dilation": (1, 1), "borders": ((0, 0), (0, 0))}
SAME: dict[str, Any] = PLAIN | {"borders": ((1, 1), (1, 1))}
#: Shape of x, shape of the kernels, options.
CASES: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((1, 7, 5, 3), (1, 3, 3, 3, 8), SAME | {"low": 0.0}),
    ((2, 6, 6, 16), (1, 1, 1, 16, 10), PLAIN),
    ((3, 4, 4, 17), (2, 3, 3, 17, 32), SAME | {"low": -0.5, "high": 0.5}),
    ((1, 9, 8, 1), (1, 5, 4, 1, 64), PLAIN | {"stride": (2, 2), "borders": ((2, 3), (1, 2))}),
    ((1, 12, 11, 4), (3, 3, 2, 4, 16), PLAIN | {"dilation": (2, 3), "stride": (1, 2)}),
    ((2, 2, 2, 5), (1, 3, 3, 5, 36), SAME),
    ((1, 1, 40, 6), (1, 1, 7, 6, 4), PLAIN | {"stride": (1, 3), "borders": ((0, 0), (3, 2))}),
    ((1, 8, 8, 2), (1, 3, 3, 2, 80), SAME | {"borders": ((0, 1), (2, 0))}),
    ((2, 5, 6, 8), (3, 3, 8), SAME | {"low": 0.0}),
    ((1, 9, 9, 20), (3, 3, 20), SAME | {"stride": (2, 2)}),
    ((2, 7, 12, 48), (5, 3, 48), PLAIN | {"dilation": (1, 2), "high": 1.0}),
    ((1, 3, 3, 3), (1, 2, 3), PLAIN),
    ((2, 7, 6, 12), (4, 3, 3, 3, 5), SAME | {"groups": 4, "low": 0.0}),
    ((3, 9, 9, 32), (4, 2, 3, 16, 16), PLAIN | {"groups": 2, "stride": (2, 1), "dilation": (1, 2)}),
    ((1, 1, 6, 8), (2, 1, 1, 4, 20), PLAIN | {"groups": 2}),
    ((5, 16, 16, 32), (1, 3, 3, 32, 32), SAME | {"low": 0.0}),  # from here on in parts for threads: of images,
    ((3, 32, 32, 64), (1, 1, 1, 64, 64), PLAIN),
    ((3, 40, 40, 48), (3, 3, 48), SAME),
    ((1, 16, 16, 64), (5, 3, 3, 64, 16), SAME),  # of channels
    ((1, 1, 64, 400), (6, 1, 1, 400, 32), PLAIN),
    ((1, 16, 16, 64), (4, 3, 3, 32, 32), SAME | {"groups": 2}),
    ((1, 48, 24, 32), (1, 3, 3, 32, 32), SAME | {"high": 0.5}),  # of bands of one image's rows
    ((1, 49, 25, 32), (1, 5, 3, 32, 64), PLAIN | {"stride": (2, 1), "borders": ((3, 1), (1, 1))}),
    ((1, 40, 40, 64), (3, 3, 64), SAME | {"stride": (2, 2)}),
    ((1, 40, 40, 32), (1, 1, 1, 32, 64), PLAIN),
    ((1, 41, 40, 32), (1, 2, 2, 32, 64), PLAIN | {"dilation": (2, 1)}),
    ((1, 36, 30, 64), (4, 3, 3, 16, 16), SAME | {"groups": 4}),
]


def programs(x: Array, kernels: Array, more: bool, options: dict[str, Any]) -> Program:
    """x convolved, with a sum of another map if there is to be `more`."""
    r = np.random.default_rng(1)
    given, builder = Input(x.shape, x.dtype), Builder()
    outs = kernels.shape[-1] * {3: 1, 4: kernels.shape[1], 5: kernels.shape[0]}[kernels.ndim]
    constants = [Constant(kernels), Constant(r.normal(size=outs).astype(x.dtype))]
    out = builder.emit("convolve", given, *constants, **options)
    if more:
        other = Constant(r.normal(size=out.shape).astype(x.dtype))
        out = builder.emit("convolve", given, *constants, other, **options)
    return check(Program([given], [], builder.body[-1:], [out], []))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_native_code_gives_what_numpy_gives(case: Any, dtype: Any) -> None:
    from tapenet.program.native import build

    shape, kernel, options = case
    r = np.random.default_rng(0)
    x = r.normal(size=shape).astype(dtype)
    kernels = (r.normal(size=kernel) / np.sqrt(np.prod(kernel[:-1]) / (kernel[0] if len(kernel) > 3 else 1))).astype(
        dtype
    )
    for more in (False, True):
        program = programs(x, kernels, more, options)
        (expected,) = program.evaluate([x])
        (found,) = build(program)(x)
        np.testing.assert_allclose(found, expected, rtol=0, atol=(2e-5 if dtype is np.float32 else 1e-12))


#: Images, channels, height, width, outs, border: odd sizes, several images at a time, bands of rows, parts for threads.
TILED = [
    (1, 16, 8, 8, 16, (1, 1)),
    (3, 16, 5, 6, 48, (1, 1)),
    (6, 16, 4, 3, 80, (1, 1)),
    (1, 32, 11, 16, 16, (0, 2)),
    (2, 64, 32, 31, 64, (1, 1)),
    (1, 128, 8, 8, 256, (1, 1)),  # blocks of channels
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", TILED, ids=str)
def test_winograds_algorithm_gives_the_sum_itself(case: Any, dtype: Any) -> None:
    from tapenet.program.native import build

    images, channels, height, width, outs, border = case
    r = np.random.default_rng(0)
    options = SAME | {"borders": ((border[0],) * 2, (border[1],) * 2), "low": 0.0}
    x = r.normal(size=(images, height, width, channels)).astype(dtype)
    kernels = (r.normal(size=(outs, channels, 3, 3)) / np.sqrt(9 * channels)).astype(dtype)
    direct = np.ascontiguousarray(kernels.transpose(2, 3, 1, 0))[None]
    shape = geometry(x.shape, (3, 3), outs, outs, False, options)
    assert winograd_maps.pays(shape, x.itemsize)
    for more in (False, True):
        (expected,) = programs(x, direct, more, options).evaluate([x])
        program = programs(x, winograd_maps.packed(kernels, shape), more, options)
        for found in (build(program)(x)[0], program.evaluate([x])[0]):
            np.testing.assert_allclose(found, expected, rtol=0, atol=(2e-5 if dtype is np.float32 else 1e-12))


def test_what_is_fetched_ahead_beside_a_product_that_fetches_too() -> None:
    """Both are in one module of code: a convolution whose kernels are larger than a cache, and a product in panels."""
    from tapenet.program.native import build

    r = np.random.default_rng(0)
    x, kernels = r.normal(size=(1, 8, 8, 64)).astype("f"), r.normal(size=(1, 3, 3, 64, 64)).astype("f")
    given, builder = Input(x.shape, x.dtype), Builder()
    maps = builder.emit("convolve", given, Constant(kernels), Constant(np.zeros(64, np.float32)), **SAME)
    out = builder.emit("dot", builder.reshape(maps, (64, 64)), Constant(r.normal(size=(64, 300)).astype("f")))
    program = check(Program([given], [], builder.body, [out], []))
    np.testing.assert_allclose(build(program)(x)[0], program.evaluate([x])[0], rtol=0, atol=1e-2)


def test_nan_is_not_lost_at_a_limit() -> None:
    from tapenet.program.native import build

    x, kernels = np.zeros((1, 4, 4, 8), np.float32), np.ones((1, 1, 1, 8, 16), np.float32)
    x[0, 1, 2, 3] = np.nan
    program = programs(x, kernels, False, PLAIN | {"low": 0.0, "high": 6.0})
    (found,) = build(program)(x)
    assert np.array_equal(np.isnan(found), np.isnan(program.evaluate([x])[0]))
    assert np.isnan(found).sum() == 16


def test_what_does_not_fit_is_no_program() -> None:
    x = np.zeros((1, 4, 4, 8), np.float32)
    for kernel, groups in (((1, 5, 5, 8, 16), 1), ((1, 3, 3, 7, 16), 1), ((3, 3, 7), 1), ((1, 3, 3, 4, 16), 2)):
        with pytest.raises(Exception, match="a convolution of"):
            programs(x, np.zeros(kernel, np.float32), False, PLAIN | {"groups": groups})
