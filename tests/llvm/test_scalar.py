"""Elementwise primitives as machine code: NumPy's results, exactly, for every dtype."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tapenet.llvm.emitter import Emitter, llvm_type, supported
from tapenet.llvm.functions import FUNCTIONS
from tapenet.llvm.scalar import ADDED, COST, LOWERABLE, apply, can, definitions, literal
from tapenet.program.ufunc_rows import UFUNCS
from tests.llvm.kernels import Compiled, kernel

DTYPES = [np.dtype(c) for c in "?bBhHiIqQfd"]
INTEGERS = [d for d in DTYPES if d.kind in "iu"]
FLOATS = [d for d in DTYPES if d.kind == "f"]
BOOL = np.dtype(bool)
PLAIN = sorted(LOWERABLE - set(FUNCTIONS) - {"cast", "where"})


def values(dtype: np.dtype[Any]) -> Any:
    """Numbers of a dtype among which all its special cases are; not a multiple of a SIMD register."""
    rng = np.random.default_rng(3)
    if dtype.kind == "b":
        return np.array([False, True, True, False, True])
    if dtype.kind in "iu":
        i = np.iinfo(dtype)
        edges = [i.min, i.min + 1, i.max, i.max - 1, 0, 1, 2, 3, 7, 8, 31, 32, 63, 64]
        edges += [-1, -2, -3, -7] if dtype.kind == "i" else []
        return np.concatenate([np.array(edges, dtype), rng.integers(i.min, i.max, 19, dtype, endpoint=True)])
    f = np.finfo(dtype)
    edges = [0.0, 1.0, 0.5, 1.5, 2.5, 3.0, 1e9, f.max, f.tiny, f.smallest_subnormal, f.tiny * 0.75, np.inf, np.nan]
    return np.concatenate([np.array([*edges, *(-e for e in edges)]), rng.normal(size=17) * 10]).astype(dtype)


def pairs(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Every value with every value."""
    v = values(dtype)
    return np.repeat(v, v.size), np.tile(v, v.size)


def same(got: Any, want: Any) -> Any:
    """Where two results are the same, bit for bit, but for which nan it is."""
    assert got.dtype == want.dtype
    if got.dtype.kind != "f":
        return got == want
    return ((got == want) & (np.signbit(got) == np.signbit(want))) | (np.isnan(got) & np.isnan(want))


def check(got: Any, want: Any, *args: Any) -> None:
    wrong = np.flatnonzero(~same(got, want))
    assert not wrong.size, [(*(a[i] for a in args), got[i], want[i]) for i in wrong[:5]]


def loops() -> dict[str, Any]:
    """Every primitive for every dtype that it takes."""
    found = {}
    for name, dtype, arity, out in itertools.product(PLAIN, DTYPES, (1, 2), (None, BOOL)):
        if can(name, (dtype,) * arity, out or dtype):
            found[f"{name}.{dtype.name}"] = kernel(name, (dtype,) * arity, out or dtype)
    return found


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return Compiled(loops())


def _safe_mul(a: Any, d: Any) -> Any:
    return np.where((a == 0) | (d == 0), np.zeros((), a.dtype), a * d)


OWN = {"safe_mul": _safe_mul, "copy": np.copy}


@pytest.mark.parametrize("name", PLAIN)
def test_results_are_numpys(compiled: Compiled, name: str) -> None:
    own = [symbol for symbol in compiled.loops if symbol.startswith(name + ".")]
    assert own
    for symbol in own:
        dtypes = compiled.loops[symbol].dtypes_in
        args = (values(dtypes[0]),) if len(dtypes) == 1 else pairs(dtypes[0])
        with np.errstate(all="ignore"):
            want = (OWN.get(name) or getattr(np, name))(*args)
        got = compiled[symbol](*args)
        if name in ("fmax", "fmin", "maximum", "minimum") and dtypes[0].kind == "f":
            # Which of 0 and -0 it is depends on NumPy's SIMD instructions.
            got, want = got + dtypes[0].type(0), want + dtypes[0].type(0)
        check(got, want, *args)


def test_of_equals_the_second_is_the_extreme(compiled: Compiled) -> None:
    for dtype in FLOATS:
        a, b = np.array([0.0, -0.0], dtype), np.array([-0.0, 0.0], dtype)
        for name in ("maximum", "minimum"):
            np.testing.assert_array_equal(np.signbit(compiled[f"{name}.{dtype.name}"](a, b)), [True, False])


def test_every_ufunc_is_there_for_the_dtypes_of_its_loops() -> None:
    """What NumPy computes without conversion, the native backend does too, but for these."""
    missing = set()
    for name in PLAIN:
        ufunc = getattr(np, name, None)
        for loop in ufunc.types if isinstance(ufunc, np.ufunc) else ():
            inputs, _, output = loop.partition("->")
            dtypes, out = tuple(map(np.dtype, inputs)), np.dtype(output)
            if all(map(supported, (*dtypes, out))) and len(set(dtypes)) == 1 and not can(name, dtypes, out):
                missing.add((name, dtypes[0].kind))
    assert missing == {("reciprocal", "i"), ("reciprocal", "u")}


# -- casts and choice --------------------------------------------------------------------------------------------


def fitting(source: np.dtype[Any], target: np.dtype[Any]) -> Any:
    """Values that the target can hold, if the source is a float and the target an integer."""
    v = values(source)
    if source.kind != "f" or target.kind not in "iu":
        return v
    with np.errstate(invalid="ignore"):
        whole = np.trunc(v.astype(np.longdouble))
    i = np.iinfo(target)
    return v[(whole >= i.min) & (whole <= i.max)]


def test_casts_are_numpys() -> None:
    cast = Compiled({f"{a.name}.{b.name}": kernel("cast", (a,), b) for a in DTYPES for b in DTYPES})
    for source, target in itertools.product(DTYPES, DTYPES):
        v = fitting(source, target)
        assert v.size > 4
        with np.errstate(over="ignore"):
            want = v.astype(target)
        check(cast[f"{source.name}.{target.name}"](v), want, v)


def test_a_cast_that_does_not_fit_gives_some_number() -> None:
    cast = Compiled({f"{a.name}.{b.name}": kernel("cast", (a,), b) for a in FLOATS for b in INTEGERS})
    for source, target in itertools.product(FLOATS, INTEGERS):
        v = values(source)
        got = cast[f"{source.name}.{target.name}"](v)
        np.testing.assert_array_equal(got, cast[f"{source.name}.{target.name}"](v))


def test_where_chooses() -> None:
    where = Compiled({d.name: kernel("where", (BOOL, d, d), d) for d in DTYPES})
    for dtype in DTYPES:
        x, y = pairs(dtype)
        condition = np.arange(x.size) % 3 == 0
        check(where[dtype.name](condition, x, y), np.where(condition, x, y), x, y)


# -- literals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
def test_literals_are_exact(dtype: np.dtype[Any]) -> None:
    v = values(dtype)
    constants = Compiled(
        {f"k{i}": kernel("copy", (dtype,), dtype, (literal(x.item(), dtype),)) for i, x in enumerate(v)}, simd=False
    )
    got = np.concatenate([constants[f"k{i}"](v[:1]) for i in range(v.size)])
    check(got, v, v)


def test_a_literal_is_rounded_to_its_dtype() -> None:
    assert literal(0.1, np.dtype("f4")) == literal(float(np.float32(0.1)), np.dtype("f8"))
    assert literal(0.1, np.dtype("f8")) == "0x3FB999999999999A"
    assert literal(1e300, np.dtype("f4")) == literal(np.inf, np.dtype("f4"))
    assert literal(np.float32(3.0), np.dtype("i4")) == "3"
    assert literal(2**64 - 1, np.dtype("u8")) == str(2**64 - 1)
    assert (literal(True, BOOL), literal(0, BOOL)) == ("true", "false")


@pytest.mark.parametrize("name", ["add", "multiply", "divide", "maximum", "minimum", "less", "copysign", "safe_mul"])
def test_literals_stand_for_broadcast_scalars(name: str) -> None:
    for dtype in FLOATS:
        out = BOOL if name == "less" else dtype
        v = values(dtype)
        chosen = [v[i] for i in (0, 1, 8, 9, 11, 12, 13, 14, 24)]
        assert np.isnan(chosen).any()
        assert np.isinf(chosen).any()
        found = {}
        for i, x in enumerate(chosen):
            text = literal(x.item(), dtype)
            found[f"left{i}"] = kernel(name, (dtype, dtype), out, (text, None))
            found[f"right{i}"] = kernel(name, (dtype, dtype), out, (None, text))
        both = Compiled({"both": kernel(name, (dtype, dtype), out)})["both"]
        one = Compiled(found, simd=False)
        for i, x in enumerate(chosen):
            full = np.full_like(v, x)
            check(one[f"left{i}"](v, v), both(full, v), full, v)
            check(one[f"right{i}"](v, v), both(v, full), v, full)


# -- what the code generator sees --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["e", "g", "F", "D", ">f4", ">i8", "M8[s]", "O", "S1"])
def test_other_dtypes_are_refused(dtype: str) -> None:
    d = np.dtype(dtype)
    assert not supported(d)
    can_do = {name for name in LOWERABLE for arity in (1, 2, 3) if can(name, (d,) * arity, d)}
    assert can_do == ({"copy"} if dtype in "FD" else set())  # complex numbers are moved as bits
    assert can("where", (np.dtype(bool), d, d), d) == (dtype in "FD")


def test_what_is_no_loop_is_refused() -> None:
    f4, f8, i4 = np.dtype("f4"), np.dtype("f8"), np.dtype("i4")
    assert not can("add", (f4, f8), f8)
    assert not can("add", (f4, f4), f8)
    assert not can("add", (f4,), f4)
    assert not can("exp", (i4,), f8)
    assert not can("less", (f4, f4), f4)
    assert not can("where", (i4, f4, f4), f4)
    assert not can("matmul", (f4, f4), f4)
    with pytest.raises(TypeError, match="no native add for float32, float64 to float64"):
        apply(Emitter(), "add", (f4, f8), f8, ["%a", "%b"])


def test_a_result_may_be_an_operand() -> None:
    e = Emitter()
    assert apply(e, "copy", (BOOL,), BOOL, ["%a"]) == "%a"
    assert not e.lines


def test_definitions_come_once_with_what_they_need() -> None:
    e = Emitter()
    f4, f8 = np.dtype("f4"), np.dtype("f8")
    for _ in range(2):
        apply(e, "arcsinh", (f4,), f4, ["%x"])
        apply(e, "power", (f8, f8), f8, ["%y", "%z"])
    assert e.needs == {"tn_arcsinh_f32", "tn_power_f64"}
    text = definitions(e.needs)
    names = [line.partition("@")[2].partition("(")[0] for line in text.splitlines() if line.startswith("de")]
    assert names == ["pow", "tn_arcsinh_f32", "tn_log1p_f64", "tn_power_f64"]
    assert definitions(set()) == ""


def test_types_of_registers_and_of_memory() -> None:
    assert (llvm_type(BOOL), llvm_type(BOOL, memory=True)) == ("i1", "i8")
    assert [llvm_type(np.dtype(c)) for c in "bHiQfd"] == ["i8", "i16", "i32", "i64", "float", "double"]


def test_what_is_costly_is_known() -> None:
    assert set(COST) - set(ADDED) - set(UFUNCS) <= LOWERABLE
    assert {n for n in FUNCTIONS if n not in COST} == set()
