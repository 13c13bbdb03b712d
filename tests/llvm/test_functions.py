"""The mathematical functions of the native backend: how far off they are, and what they do at the edges.

The bounds are in `references.py`. After changing one, write the table in docs/compiler.md anew:

    TAPENET_OVERWRITE=1 python -m pytest tests/llvm/test_functions.py -k documentation
"""

from __future__ import annotations

import ctypes
import ctypes.util
import math
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")
pytest.importorskip("mpmath")

import mpmath as mp

from tapenet.llvm import functions
from tapenet.llvm.coefficients import POLYNOMIALS
from tapenet.llvm.emitter import Emitter, Value
from tapenet.llvm.scalar import apply
from tests.llvm.kernels import Compiled, Loop, kernel
from tests.llvm.minimax import FITS, error
from tests.llvm.references import FUNCTIONS, PAIRS, Function, numpys

F4, F8 = np.dtype("f4"), np.dtype("f8")
PAGE = Path(__file__).parents[2] / "docs" / "compiler.md"
#: The error of a result that is nothing like the reference: not the same infinity, nan or sign of zero.
WRONG = 1e9


def ulps(e: Emitter, operands: list[str]) -> str:
    """The error of a float32 in units of its last place, against a double."""
    y, want = Value(e, operands[0], "float"), Value(e, operands[1], "double")
    rounded = want.convert("fptrunc", "float")
    bits = want.bits()
    exponent = bits.op("lshr", bits, 52) & 2047
    exponent = (exponent < 1023 - 126).where(exponent.like(1023 - 126), exponent)
    per_ulp = ((2046 + 23 - exponent) << 52).convert("bitcast", "double")
    infinite = abs(y).eq(math.inf)
    # Infinity is what follows the largest number.
    number = infinite.where(want.like(2.0**128).copysign(y.convert("fpext", "double")), y.convert("fpext", "double"))
    found = abs(number - want) * per_ulp
    found = (found < WRONG).where(found, WRONG)
    agreed = (y.is_nan() & want.is_nan()) | (infinite & y.eq(rounded))
    zeros = y.eq(0.0) & rounded.eq(0.0) & ((y.bits() ^ rounded.bits()) < 0)
    return zeros.where(found.like(WRONG), agreed.where(found.like(0.0), found)).convert("fptrunc", "float").name


def loops(names: list[str]) -> dict[str, Loop]:
    found = {}
    for name in names:
        arity = functions.ARITY.get(name, 1)
        for dtype in (F4, F8):
            found[f"{name}.{dtype.name}"] = kernel(name, (dtype,) * arity, dtype)
    return found


@pytest.fixture(scope="module", params=["this machine", "any machine"])
def compiled(request: pytest.FixtureRequest) -> Compiled:
    """All functions, for this machine (with SIMD and fused multiply-add, where it has them) and for any of its kind."""
    own = {"ulps": Loop((F4, F8), F4, ulps, (None, None))}
    return Compiled(loops(list(functions.FUNCTIONS)) | own, host=request.param == "this machine")


def test_every_function_has_a_reference() -> None:
    assert {*FUNCTIONS, *PAIRS} == set(functions.FUNCTIONS)


def test_errors_are_measured(compiled: Compiled) -> None:
    """A measure that finds nothing would pass every function."""
    one, small = np.float32(1), np.float32(2.0**-149)
    y = np.array([1, 1, 1, np.inf, np.inf, np.nan, np.nan, -0.0, small, np.inf, -np.inf], F4)
    want = [1, 1 + 2.0**-23, 1.25, np.inf, 1e300, np.nan, 1, 0.0, 0.0, 2.0**128 - 2.0**104, np.inf]
    expected = [0, 1, 0.25 * 2**23, 0, 0, 0, WRONG, WRONG, 1, 1, WRONG]
    assert one + np.spacing(one) == np.float32(want[1])
    np.testing.assert_array_equal(compiled["ulps"](y, want), np.array(expected, F4))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the flag is that of x86, and not Windows's")
@pytest.mark.parametrize("dtype", [F4, F8])
def test_exp_does_not_underflow_where_it_is_0(compiled: Compiled, dtype: np.dtype) -> None:
    """Some processors are slow where a product underflows, and masked scores are many: the processor's flag stays clear, which
    a result below the normal numbers sets."""
    flags, underflow = ctypes.CDLL(None), 16
    if not hasattr(flags, "fetestexcept"):
        flags = ctypes.CDLL(ctypes.util.find_library("m"))
    out = np.empty(64, dtype)
    for value, expected in ((-math.inf, 0), (-1e4, 0), (math.log(np.finfo(dtype).smallest_normal) - 9, underflow)):
        x = np.full(64, value, dtype)
        flags.feclearexcept(underflow)
        compiled.run(f"exp.{dtype.name}", x, out)
        assert flags.fetestexcept(underflow) == expected
        assert (out == 0).all() == (expected == 0)


# -- float32 -----------------------------------------------------------------------------------------------------


def reference(function: Function, x: Any) -> Any:
    """The float64 reference at float32 arguments of any sign and size."""
    result = np.full(x.shape, np.nan)
    with np.errstate(all="ignore"):  # signalling nans among others
        wide = x.astype(F8)
        for piece in function.pieces:
            inside = (abs(wide) >= piece.start) & ((abs(wide) < piece.stop) | (piece.stop == math.inf))
            result[inside] = piece.reference(wide[inside])
    return result


def sample() -> Any:
    """float32 of every sign and exponent, denormals, infinities and nan among them, with some mantissas each."""
    rng = np.random.default_rng(8)
    mantissas = np.concatenate([rng.integers(0, 1 << 23, 2000), [0, 1, 2, (1 << 22), (1 << 23) - 1]]).astype(np.uint32)
    return ((np.arange(512, dtype=np.uint32) << 23)[:, None] | mantissas).ravel().view(F4)


def weighed(function: Function, errors: Any, want: Any) -> Any:
    """Errors in units of the last place, where small results are no more exact than `least`."""
    if not function.least:
        return errors
    with np.errstate(all="ignore"):
        size = np.minimum(abs(want.astype(F4)), F4.type(function.least))  # nan stays
        return np.where(size < function.least, errors * np.spacing(size) / np.spacing(F4.type(function.least)), errors)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32(compiled: Compiled, name: str) -> None:
    x = sample()
    want = reference(FUNCTIONS[name], x)
    got = compiled[f"{name}.float32"](x)
    errors = weighed(FUNCTIONS[name], compiled["ulps"](got, want), want)
    worst = np.argmax(errors)
    assert errors[worst] <= FUNCTIONS[name].bounds[0], (x[worst], got[worst], want[worst])


CHUNK = 1 << 14  # small enough for NumPy to take its memory from what was just freed
LAST = 0x7F800000  # the bits of infinity; nans follow


def chunks(start: float, stop: float, step: int = 1) -> Iterator[Any]:
    """All float32 in [start, stop), or [start, inf], or every step-th of them."""
    low, high = (int(np.float32(v).view(np.uint32)) for v in (start, stop))
    high += high == LAST
    for first in range(low, high, CHUNK * step):
        yield np.arange(first, min(first + CHUNK * step, high), step, np.uint32).view(F4)


#: Of how many float32 one is compared. All take ten minutes: TAPENET_FLOAT32_STEP=1.
STEP = int(os.environ.get("TAPENET_FLOAT32_STEP", "61"))


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_float32(name: str) -> None:
    """Every bit pattern, or every 61st. Of even and odd functions, negative arguments are held to the positive ones."""
    function = FUNCTIONS[name]
    measured = Loop((F4, F8), F4, lambda e, xs: ulps(e, [apply(e, name, (F4,), F4, xs[:1]), xs[1]]), (None, None))
    compiled = Compiled(loops([name]) | {"measured": measured})
    run, measure = compiled[f"{name}.float32"], compiled["measured"]
    worst = (-1.0, 0.0)
    with np.errstate(all="ignore"):
        for piece in function.pieces:
            for positive in chunks(piece.start, piece.stop, piece.step * STEP):
                for x in (positive,) if function.parity or not function.negative else (positive, -positive):
                    want = piece.reference(x.astype(F8))
                    errors = weighed(function, measure(x, want), want)
                    if errors.max() > worst[0]:
                        worst = (float(errors.max()), float(x[errors.argmax()]))
    print(f"{name}: {worst[0]:.3f} ulp at {worst[1]!r}")
    assert worst[0] <= function.bounds[0]
    for x in chunks(0.0, math.inf, STEP) if function.parity else ():
        left, right = run(-x), run(x)
        right = right if function.parity > 0 else -right
        assert same_or_nan(left, right)
    for x in chunks(2.0**-149, math.inf, STEP) if not function.negative else ():
        assert np.isnan(run(-x)).all()
    for sign in (0, 1 << 31):
        for first in range(LAST + 1, 1 << 31, STEP << 20):
            bits = np.arange(first, min(first + (1 << 20), 1 << 31), dtype=np.uint32) | np.uint32(sign)
            assert np.isnan(run(bits.view(F4))).all()


def same_or_nan(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same bits, but for which nan it is."""
    return bool(((a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b))).all())


# -- float64 -----------------------------------------------------------------------------------------------------


def errors64(name: str, x: list[float], got: list[float]) -> list[float]:
    """The errors of a function of one argument in units of the last place."""
    function = FUNCTIONS[name]
    return [exact_ulps(y, function.exact(mp.mpf(v)), function.least) for v, y in zip(x, got, strict=True)]


def exact_ulps(got: float, want: Any, least: float = 0.0) -> float:
    """The error of a float64 in units of its last place, or that of `least`, against a number of many digits."""
    rounded = float(want)
    if math.isnan(got) or math.isnan(rounded):
        return 0.0 if math.isnan(got) == math.isnan(rounded) else WRONG
    if math.isinf(got) or math.isinf(rounded):
        return 0.0 if got == rounded else WRONG
    return float(abs(mp.mpf(got) - want) / mp.mpf(float(np.spacing(max(abs(rounded), least)))))


def sample64(name: str) -> list[float]:
    """Where a function of one argument is looked at."""
    rng = np.random.default_rng(9)
    parts = [
        np.exp(rng.uniform(-25, 4, 150)), rng.uniform(0, 4, 150), rng.uniform(0, 1, 100), rng.uniform(4, 750, 50),
        1 + rng.uniform(-0.5, 0.5, 60), 1 - 10.0 ** rng.uniform(-16, -1, 30), 10.0 ** rng.uniform(-320, 308, 60),
        [2.0**-1074, 2.0**-1060, 2.0**-1022, 709.5, 709.8, 710.3, 745.0, 745.2, 1.7e308],
    ]  # fmt: skip
    positive = np.concatenate(parts)
    if name in ("sin", "cos", "tan"):
        positive = positive[positive < 1e6]
    return [*positive.tolist(), *(-positive).tolist()]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float64(compiled: Compiled, name: str) -> None:
    x = sample64(name)
    got = compiled[f"{name}.float64"](x).tolist()
    errors = errors64(name, x, got)
    worst = int(np.argmax(errors))
    assert errors[worst] <= FUNCTIONS[name].bounds[1], (x[worst], got[worst])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values_of_float64(compiled: Compiled, name: str) -> None:
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 2.0, -2.0])
    x = np.concatenate([x, [2.0**-1074, -(2.0**-1074), 1e-310, -1e-310]])
    want = reference(FUNCTIONS[name], x)
    got = compiled[f"{name}.float64"](x)
    np.testing.assert_allclose(got, want, rtol=2e-15, atol=2 * 2.0**-1074 + FUNCTIONS[name].least * 1e-15)
    zero = (want == 0) & (x != 1)  # the logarithm of 1 is 0
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))


# -- two arguments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [F4, F8], ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_two_arguments_at_the_edges(compiled: Compiled, name: str, dtype: Any) -> None:
    tiny, huge = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    v = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 101, tiny, huge, huge / 2, np.inf, np.nan], dtype)
    v = np.concatenate([v, -v])
    x, y = np.repeat(v, v.size), np.tile(v, v.size)
    with np.errstate(all="ignore"):
        want = numpys(name)(x, y)
    got = compiled[f"{name}.{dtype.name}"](x, y)
    np.testing.assert_allclose(got, want, rtol=4 * np.finfo(dtype).eps, atol=0)
    np.testing.assert_array_equal(np.signbit(got[want == 0]), np.signbit(want[want == 0]))


def pairs32(name: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(10)
    n = 200_000
    x, y = (np.concatenate([rng.normal(size=n), np.exp(rng.uniform(-80, 80, n))]).astype(F4) for _ in range(2))
    if name == "power":
        x, y = np.exp(rng.uniform(-80, 80, n)).astype(F4), rng.uniform(-20, 20, n).astype(F4)
    if name == "logaddexp":  # relative to what is added; the sum of a negative and a positive number may be anything
        x, y = abs(x), abs(y)
    return x, y


@pytest.mark.parametrize("name", PAIRS)
def test_two_arguments_float32(compiled: Compiled, name: str) -> None:
    x, y = pairs32(name)
    with np.errstate(all="ignore"):
        want = numpys(name)(x.astype(F8), y.astype(F8))
    assert compiled["ulps"](compiled[f"{name}.float32"](x, y), want).max() <= PAIRS[name].bounds[0]


def pairs64(name: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(11)
    x, y = (np.concatenate([rng.uniform(0, 4, 300), np.exp(rng.uniform(-600, 600, 100))]) for _ in range(2))
    if name == "power":
        y = rng.uniform(-1, 1, y.size)
    return x, y


def pair_errors64(name: str, x: Any, y: Any, got: list[float]) -> list[float]:
    arguments = zip(map(mp.mpf, x), map(mp.mpf, y), strict=True)
    return [exact_ulps(g, PAIRS[name].exact(a, b)) for g, (a, b) in zip(got, arguments, strict=True)]


@pytest.mark.parametrize("name", PAIRS)
def test_two_arguments_float64(compiled: Compiled, name: str) -> None:
    x, y = pairs64(name)
    got = compiled[f"{name}.float64"](x, y).tolist()
    assert max(pair_errors64(name, x, y, got)) <= PAIRS[name].bounds[1]


# -- the table ---------------------------------------------------------------------------------------------------


def rows() -> list[str]:
    """What is promised of each function: the bounds that are tested above."""
    found = [f"| `{name}` | {f.bounds[0]} | {f.bounds[1]} |" for name, f in FUNCTIONS.items()]
    return found + [f"| `{name}` | {p.bounds[0]} (samples) | {p.bounds[1]} |" for name, p in PAIRS.items()]


def numpys_errors() -> list[str]:
    """For comparison, the largest errors of NumPy itself (or SciPy) on the samples; of one version, on one machine."""
    measure = Compiled({"ulps": Loop((F4, F8), F4, ulps, (None, None))})["ulps"]
    found = []
    with np.errstate(all="ignore"):
        for name in FUNCTIONS:
            x, x64 = sample(), sample64(name)
            want = reference(FUNCTIONS[name], x)
            single = weighed(FUNCTIONS[name], measure(numpys(name)(x), want), want).max()
            found.append((single, max(errors64(name, x64, numpys(name)(np.array(x64)).tolist()))))
        for name in PAIRS:
            x, y = pairs32(name)
            single = measure(numpys(name)(x, y), numpys(name)(x.astype(F8), y.astype(F8))).max()
            x, y = pairs64(name)
            found.append((single, max(pair_errors64(name, x, y, numpys(name)(x, y).tolist()))))
    return [" ".join(f"{e:.2f} |" if e < 1000 else "large |" for e in pair) for pair in found]


def test_the_table_in_the_documentation() -> None:
    """All of it but NumPy's errors, which are different elsewhere."""
    begin, end = "<!-- accuracy -->\n", "\n<!-- /accuracy -->"
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(begin)
    found, _, after = rest.partition(end)
    assert after, f"{PAGE.name} has no {begin}"
    if os.environ.get("TAPENET_OVERWRITE"):
        head = "| function | float32 | float64 | NumPy, float32 | NumPy, float64 |\n|---|---|---|---|---|"
        found = "\n".join([head, *(f"{row} {other}" for row, other in zip(rows(), numpys_errors(), strict=True))])
        PAGE.write_text(before + begin + found + end + after, encoding="utf-8", newline="\n")
    cells = [line.split("|") for line in found.splitlines()[2:]]
    assert ["|".join(c[:4]) + "|" for c in cells] == rows()


# -- how they are made -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "suffix"), POLYNOMIALS)
def test_polynomials_are_as_good_as_stated(name: str, suffix: str) -> None:
    kind = ("f32", "f64").index(suffix)
    fit = FITS[name]
    coefficients = tuple(float(np.array(c, (F4, F8)[kind])) for c in POLYNOMIALS[name, suffix])
    assert len(coefficients) - 1 == fit.degrees[kind]
    assert error(fit, kind, coefficients, 80) <= fit.bounds[kind]


def test_the_digits_of_two_over_pi() -> None:
    from tapenet.llvm.coefficients import TWO_OVER_PI

    with mp.workprec(600):
        for k, parts in enumerate(TWO_OVER_PI):
            whole = 2 / mp.pi * mp.mpf(2) ** (24 * k)
            wanted = whole if k == 0 else whole - mp.floor(whole / 2**25) * 2**25
            assert abs(sum(mp.mpf(p) for p in parts) * mp.mpf(2) ** (24 * k) - wanted) < mp.mpf(2) ** -86


@pytest.mark.parametrize("dtype", [F4, F8], ids=str)
@pytest.mark.parametrize("name", ["exp", "log", "log1p", "expm1", "tanh", "sigmoid", "erf", "logaddexp"])
def test_loops_become_simd(name: str, dtype: Any) -> None:
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        packed, call = r"\bv?(add|sub|mul|fn?m(add|sub)\d+)p[sd]\b", r"\bcallq?\b"
    elif machine in ("aarch64", "arm64"):
        packed, call = r"\b(fadd|fsub|fmul|fmla)(\.[24][sd]\b|\s+v\d+\.[24][sd]\b)", r"\bbl\b"
    else:
        pytest.skip(f"the assembly of {machine} is not known here")
    found = Compiled(loops([name]))
    text = found.assembly(f"{name}.{dtype.name}")
    assert len(re.findall(packed, text)) > 10
    assert not re.search(call, text)
