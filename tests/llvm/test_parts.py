"""A long module is compiled in parts, which are linked to what the whole would be."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from tapenet.llvm import parts, toolchain
from tapenet.llvm.kernel import Kernel

COPIED = """define internal double @tn_twice(double %x) alwaysinline nounwind {
  %y = fadd double %x, %x
  ret double %y
}
"""


def function(name: str, inside: str, lines: int = 20) -> str:
    """A function that adds a constant to a number, reached through constants, after so many lines."""
    filling = "".join(f"  %f{i} = load volatile double, ptr %a\n" for i in range(lines))
    return f"define internal void @{name}(ptr noalias %a) #0 {{\nentry:\n{filling}{inside}  ret void\n}}\n\n"


ADDS = """  %x = load double, ptr %a
  %y = call double @tn_twice(double %x)
  %z = fadd double %y, {}.5
  store double %z, ptr %a
"""


def module(count: int) -> str:
    functions = "".join(function(f"k{i}", ADDS.format(i)) for i in range(count))
    outer = function("outer", "  call void @k0(ptr %a)\n")
    calls = "".join(f"  call void @k{i}(ptr %a)\n" for i in range(count))
    return (
        f"{COPIED}\n{functions}{outer}define void @all(ptr %a) {{\n{calls}  call void @outer(ptr %a)\n  ret void\n}}\n"
    )


def test_a_long_module_is_cut_and_computes_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAPENET_CACHE", "")
    monkeypatch.setattr(parts, "LINES", 60)
    text = module(10)
    cut = parts.parts(text)
    assert len(cut) > 3
    assert cut[0].text.startswith(parts.CALLS)
    assert all(part.text.startswith(parts.AS_WRITTEN) for part in cut[1:])  # LLVM unrolls no loops of long programs
    assert sorted(name for part in cut for name in part.names) == sorted(f"k{i}" for i in range(10))
    for part in cut[1:]:
        assert part.text.count("define internal double @tn_twice") == 1  # copied into each that needs it
    assert "define internal void @outer" in cut[0].text  # which calls another
    expected = 1.0
    for i in [*range(10), 0]:
        expected = 2 * expected + i + 0.5
    library = toolchain.build(text)
    value = ctypes.c_double(1.0)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.address("all"))(ctypes.addressof(value))
    assert value.value == expected


def test_what_is_written_in_vectors_is_in_parts_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPENET_CACHE", "")
    monkeypatch.setattr(parts, "LINES", 60)
    text = module(10)
    for i in range(0, 10, 2):
        text = text.replace(f"@k{i}(ptr noalias %a) #0", f"@k{i}(ptr noalias %a) #3")
    own = {name for part in parts.parts(text) if part.text.startswith(parts.OWN_VECTORS) for name in part.names}
    assert own == {f"k{i}" for i in range(0, 10, 2)}
    values = [ctypes.c_double(1.0), ctypes.c_double(1.0)]
    for value, form in zip(values, (module(10), text), strict=True):
        library = toolchain.build(form)
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.address("all"))(ctypes.addressof(value))
    assert values[0].value == values[1].value


def test_what_calls_in_a_loop_is_no_mere_code_that_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LINES", 60)
    loop = "L:\n  %i = phi i64 [ 0, %entry ], [ %j, %L ]\n  %j = add i64 %i, 1\n  %e = icmp eq i64 %j, 3\n"
    loop += "  call void @k1(ptr %a)\n  br i1 %e, label %E, label %L\nE:\n"
    text = module(10).replace("  call void @outer(ptr %a)\n", f"  call void @outer(ptr %a)\n  br label %L\n{loop}")
    first = parts.parts(text.replace("define void @all(ptr %a) {\n", "define void @all(ptr %a) {\nentry:\n"))[0]
    assert first.text.startswith(parts.AS_WRITTEN)


def test_code_that_calls_takes_llvm_less_time() -> None:
    calls = "".join(f"  call void @f(ptr %p{i})\n" for i in range(9))
    places = "".join(f"  %p{i} = getelementptr inbounds i64, ptr %a, i64 {i}\n" for i in range(9))
    text = f"declare void @f(ptr)\ndefine void @all(ptr %a) {{\n{places}{calls}  ret void\n}}\n"
    header = toolchain.target().header
    quick, careful = (len(toolchain.compile_(header + first + text)) for first in (parts.CALLS, parts.AS_WRITTEN))
    assert quick > careful


def test_a_short_module_stays_whole() -> None:
    text = module(3)
    assert parts.parts(text) == [parts.Part(text)]


def test_parts_that_were_damaged_are_compiled_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = tmp_path / "cache"
    place.mkdir(mode=0o700)
    monkeypatch.setenv("TAPENET_CACHE", str(place))
    monkeypatch.setattr(parts, "LINES", 60)
    text = module(5)
    toolchain.build(text)
    files = sorted(place.glob("*.o"))
    assert len(files) == len(parts.parts(text)) > 1
    for file in files:
        file.write_bytes(file.read_bytes()[:-1])
    library = toolchain.build(text)
    value = ctypes.c_double(0.0)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.address("all"))(ctypes.addressof(value))
    assert value.value > 0


def test_loops_that_are_to_stay_as_they_are_written_are_not_unrolled() -> None:
    loop = """define void @f(ptr noalias %a, i64 %n) {
entry:
  br label %L
L:
  %i = phi i64 [ 0, %entry ], [ %j, %L ]
  %p = getelementptr inbounds double, ptr %a, i64 %i
  %x = load volatile double, ptr %p
  store volatile double %x, ptr %a
  %j = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %j, 16
  br i1 %more, label %L, label %E
E:
  ret void
}
"""
    header = toolchain.target().header
    long, short = (len(toolchain.compile_(header + text)) for text in (loop, parts.AS_WRITTEN + loop))
    assert short < long


def test_in_kernels_with_vectors_of_their_own_llvm_looks_for_none() -> None:
    def doubled(vectors: bool) -> str:
        k = Kernel("doubled", np.float32, vectors=vectors)
        x, out = k.array(1), k.array(1)
        for i in k.turns(k.integer()):
            value = x.load(i)
            out.store(value + value, i)
        return k.text()

    header = toolchain.target().header + toolchain._ATTRIBUTES
    searched, kept = (len(toolchain.compile_(header + toolchain._numbered(doubled(own)))) for own in (False, True))
    assert kept < searched


def test_what_only_has_threads_run_kernels_is_in_the_first_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LINES", 60)
    shares = "  call void @tn_share(ptr @kernel_0, ptr %a, i64 2, i64 2)\n"
    declared = "declare void @tn_share(ptr, ptr, i64, i64)\ndeclare void @kernel_0(ptr, i64, i64)\n"
    cut = parts.parts(declared + module(10).replace(ADDS.format(3), shares))
    assert cut[0].text.startswith(parts.CALLS)
    assert "define internal void @k3(" in cut[0].text


def looped(name: str, length: int, step: int) -> str:
    """A function that adds a constant to every step-th number below a length."""
    return (
        f"define internal void @{name}(ptr noalias %b0) #0 {{\nentry:\n  br label %L1\nL1:\n"
        "  %t1 = phi i64 [ 0, %entry ], [ %t2, %L1 ]\n  %t3 = getelementptr inbounds double, ptr %b0, i64 %t1\n"
        "  %t4 = load double, ptr %t3\n  %t5 = fadd double %t4, 0x3FF8000000000000\n  store double %t5, ptr %t3\n"
        f"  %t2 = add nuw nsw i64 %t1, {step}\n  %t6 = icmp ult i64 %t2, {length}\n"
        "  br i1 %t6, label %L1, label %L2\nL2:\n  ret void\n}\n\n"
    )


def test_functions_that_are_equal_but_for_numbers_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPENET_CACHE", "")
    monkeypatch.setattr(parts, "LINES", 12)
    each = [(64, 1), (24, 8), (40, 8), (96, 8), (9, 8), (96, 1)]
    functions = "".join(looped(f"k{i}", *given) for i, given in enumerate(each))
    calls = "".join(f"  call void @k{i}(ptr %a)\n" for i in range(len(each)))
    text = f"{functions}define void @all(ptr %a) {{\n{calls}  ret void\n}}\n"
    cut = parts.parts(text)
    # Numbers that are no multiples of 8 have to be the same.
    assert sorted(name for part in cut for name in part.names) == ["k0_any", "k1_any", "k4"]
    x, expected = np.zeros(96), np.zeros(96)
    for length, step in each:
        expected[:length:step] += 1.5
    library = toolchain.build(text)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.address("all"))(x.ctypes.data)
    np.testing.assert_array_equal(x, expected)


def test_loops_that_call_merged_functions_keep_what_only_calls_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LINES", 12)
    functions = "".join(looped(f"k{i}", length, 8) for i, length in enumerate((24, 40, 96)))
    turns = looped("turns", 3, 1).replace("br label %L1\nL1", "call void @k0(ptr %b0)\n  br label %L1\nL1")
    calls = "".join(f"  call void @{name}(ptr %a)\n" for name in ("k1", "k2", "turns"))
    cut = parts.parts(f"{functions}{turns}define void @all(ptr %a) {{\n{calls}  ret void\n}}\n")
    assert cut[0].text.startswith(parts.CALLS)
    assert cut[1].text.startswith(parts.AS_WRITTEN)
    assert {*cut[1].names} == {"turns", "k0"}
