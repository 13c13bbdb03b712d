"""`quantized_convolve` in native code is what it is in NumPy, bit for bit, and both are exact."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tapenet.kernels import quantized_maps
from tapenet.llvm import processor, toolchain
from tapenet.program.ir import Builder, Constant, Input, Program, check
from tapenet.program.quantized_windows import packed
from tapenet.typing import Array

PLAIN: dict[str, Any] = {"stride": (1, 1), "dilation": (1, 1), "borders": ((0, 0), (0, 0))}
SAME: dict[str, Any] = PLAIN | {"borders": ((1, 1), (1, 1))}
#: Shape of x, shape of the kernels (height, width, channels, outs) or (height, width, channels), options.
CASES: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((1, 7, 5, 3), (3, 3, 3, 8), SAME),
    ((2, 6, 6, 16), (1, 1, 16, 10), PLAIN),
    ((3, 4, 4, 17), (3, 3, 17, 64), SAME),
    ((1, 9, 8, 1), (5, 4, 1, 64), PLAIN | {"stride": (2, 2), "borders": ((2, 3), (1, 2))}),
    ((1, 12, 11, 5), (3, 2, 5, 48), PLAIN | {"dilation": (2, 3), "stride": (1, 2)}),
    ((2, 2, 2, 5), (3, 3, 5, 36), SAME),
    ((1, 1, 1, 40), (1, 1, 40, 160), PLAIN),
    ((1, 1, 1, 7), (1, 1, 7, 2), PLAIN),
    ((1, 8, 8, 2), (3, 3, 2, 80), SAME | {"borders": ((0, 1), (2, 0))}),
    ((2, 5, 6, 8), (3, 3, 8), SAME),
    ((1, 9, 9, 20), (3, 3, 20), SAME | {"stride": (2, 2)}),
    ((1, 4, 4, 131), (3, 3, 131), SAME),
    ((2, 7, 12, 48), (5, 3, 48), PLAIN | {"dilation": (1, 2)}),
    ((1, 3, 3, 3), (1, 2, 3), PLAIN),
    ((1, 5, 5, 64), (2, 2, 64), PLAIN),
    ((3, 32, 32, 64), (1, 1, 64, 64), PLAIN),  # from here on in parts for threads: of images,
    ((1, 1, 64, 400), (1, 1, 400, 768), PLAIN),  # of channels,
    ((1, 41, 23, 32), (3, 2, 32, 64), SAME | {"stride": (2, 1)}),  # of bands of one image's rows
    ((1, 43, 61, 33), (1, 1, 33, 64), PLAIN),
    ((1, 45, 36, 16), (5, 1, 16, 64), PLAIN | {"dilation": (2, 1)}),
    ((1, 63, 80, 128), (3, 3, 128), SAME | {"borders": ((0, 2), (1, 1))}),
]


def program(shape: Any, kernel: Any, options: dict[str, Any], extreme: bool) -> Program:
    """Integers, integers of a sum with another map, and floats, of one map."""
    r = np.random.default_rng(2)
    alone, outs = len(kernel) == 3, kernel[-1]
    weight = r.integers(-127, 128, kernel).astype(np.int8)
    if extreme:
        weight[...] = 127
        weight[..., ::2] = -127
    factor = r.uniform(0.5, 1.5, outs) * 0.005 / np.sqrt(np.prod(kernel[: 2 if alone else 3]))
    shift = r.uniform(0, 200, outs)
    groups = kernel[0] * -(-np.prod(kernel[1:-1]) // 4)
    width = 0 if alone else quantized_maps.width(outs, int(groups), (8, 8)) if toolchain.available() else outs
    weight = packed(weight, alone, options["dilation"][1] > 1, width)
    given, builder = Input(shape, np.dtype(np.uint8)), Builder()
    constants = [Constant(weight), *(Constant(a.astype(np.float32)) for a in (factor, shift))]
    options = {**options, "kernel": kernel[:2], "zero": 0 if extreme else 37}
    limits = {"low": 3.0, "high": 250.0, "rounded": True}
    out = builder.emit("quantized_convolve", given, *constants, **options, **limits)
    other = Constant(r.integers(0, 256, out.shape).astype(np.uint8))
    more = builder.emit("quantized_convolve", given, *constants, other, **options, **limits, share=0.37)
    floats = builder.emit("quantized_convolve", given, *constants, **options, rounded=False)
    return check(Program([given], [], builder.body, [out, more, floats], []))


def exact(x: Array, weight: Array, options: dict[str, Any], zero: int) -> Array:
    """The sums, one by one."""
    x = np.pad(x, [(0, 0), *options["borders"], (0, 0)], constant_values=zero).astype(np.int64)
    weight = weight.astype(np.int64)
    (kh, kw), (sh, sw), (dh, dw) = weight.shape[:2], options["stride"], options["dilation"]
    h, w = (
        (n - d * (k - 1) - 1) // s + 1 for n, k, d, s in zip(x.shape[1:3], (kh, kw), (dh, dw), (sh, sw), strict=True)
    )
    found = np.zeros((x.shape[0], h, w, weight.shape[-1]), np.int64)
    for n, y, z in itertools.product(range(x.shape[0]), range(h), range(w)):
        for i, j in itertools.product(range(kh), range(kw)):
            seen = x[n, y * sh + i * dh, z * sw + j * dw]
            found[n, y, z] += seen * weight[i, j] if weight.ndim == 3 else seen @ weight[i, j]
    return found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_sums_are_exact(case: Any) -> None:
    """At the largest numbers too, and where the factor is 1 and the shift 0."""
    shape, kernel, options = case
    r = np.random.default_rng(0)
    weight = r.choice(np.array([-127, 127, 3], np.int8), kernel)
    x = r.choice(np.array([0, 255, 128], np.uint8), shape)
    alone, outs = len(kernel) == 3, kernel[-1]
    width = 0 if alone else quantized_maps.width(outs, 9, (8, 8)) if toolchain.available() else outs
    given, builder = Input(shape, np.dtype(np.uint8)), Builder()
    out = builder.emit(
        "quantized_convolve", given, Constant(packed(weight, alone, options["dilation"][1] > 1, width)),
        Constant(np.ones(outs, np.float32)), Constant(np.zeros(outs, np.float32)), **options, kernel=kernel[:2], zero=7,
        rounded=False,
    )  # fmt: skip
    made = check(Program([given], [], builder.body, [out], []))
    expected = exact(x, weight, options, 7).astype(np.float32)
    assert np.array_equal(made.evaluate([x])[0], expected)


@pytest.mark.skipif(not toolchain.available(), reason="needs llvmlite")
@pytest.mark.parametrize(
    "case", [c if i % 3 == 0 else pytest.param(c, marks=pytest.mark.slow) for i, c in enumerate(CASES)], ids=str
)
def test_native_code_gives_what_numpy_gives(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By this processor's best kind of instruction, some cases by the others that it has."""
    from tapenet.program.native import build

    shape, kernel, options = case
    ways = ["four", "two", "one"]
    best, *others = ways[ways.index(processor.dots()) :]
    for how, extreme in [(best, False), (best, True), *((how, False) for how in others if CASES.index(case) % 4 == 1)]:
        monkeypatch.setattr(quantized_maps, "dots", lambda how=how: how)
        x = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        if extreme:
            x[...] = 255
        made = program(shape, kernel, options, extreme)
        for found, expected in zip(build(made)(x), made.evaluate([x]), strict=True):
            assert np.array_equal(found, expected), how
