"""From IR to machine code: the cache on disk, and what is said while it takes long."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import linecache
import os
import platform
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import kernels, nn, optim

pytest.importorskip("llvmlite")

import llvmlite
import llvmlite.binding as llvm

from tapenet.llvm import processor, toolchain

TEXT = "define i64 @answer() { ret i64 42 }\n"


def answer(library: toolchain.Library) -> int:
    """What the function of `TEXT` gives. (The library has to live as long as it runs.)"""
    return int(ctypes.CFUNCTYPE(ctypes.c_int64)(library.address("answer"))())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    toolchain.available()  # once in a process, it compiles something too
    folder = tmp_path / "cache"
    monkeypatch.setenv("TAPENET_CACHE", str(folder))
    return folder


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were compiled, rather than found in the cache, so far."""
    texts: list[str] = []
    compile_ = toolchain.compile_

    def noted(text: str) -> bytes:
        texts.append(text)
        return compile_(text)

    monkeypatch.setattr(toolchain, "compile_", noted)
    return texts


def files(folder: Path) -> list[str]:
    """The kinds of the files in a cache."""
    return sorted(path.suffix for path in folder.iterdir())


def object_file(folder: Path) -> Path:
    (found,) = folder.glob("*.o")
    return found


def with_checksum(code: bytes) -> bytes:
    return hashlib.sha256(code).digest() + code


# -- what is kept ------------------------------------------------------------------------------------------------


def test_a_module_is_compiled_once(cache: Path, compiled: list[str]) -> None:
    assert [answer(toolchain.build(TEXT)) for _ in range(3)] == [42] * 3
    assert len(compiled) == 1
    assert files(cache) == [".ll", ".o"]
    (text,) = cache.glob("*.ll")
    assert text.stem == object_file(cache).stem
    assert text.read_text(encoding="utf-8") == compiled[0]
    assert compiled[0].endswith(TEXT)


STEP = """
import numpy as np
import tapenet as tn
from tapenet import nn, optim
from tapenet.llvm import toolchain

compile_, count = toolchain.compile_, 0

def counted(text):
    global count
    count += 1
    return compile_(text)

toolchain.compile_ = counted
tn.random.seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.LayerNorm(8), nn.Dropout(0.1), nn.Linear(8, 3))
opt = optim.Adam(net.parameters(), lr=0.01)

@tn.compile(backend="native")
def step(x, y):
    loss = nn.functional.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss

x, y = np.ones((6, 4), np.float32), np.arange(6) % 3
print([step(x, y).item() for _ in range(3)], count)
"""


def process(script: str, cache: Path, **environment: str) -> subprocess.Popen[str]:
    """A script, running in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, "TAPENET_CACHE": str(cache), **environment},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(started: subprocess.Popen[str]) -> str:
    out, error = started.communicate(timeout=300)
    assert started.returncode == 0, error
    return out.strip()


def test_nothing_of_a_module_stays_in_the_global_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which nothing is ever taken out of."""
    toolchain.target()
    monkeypatch.setattr(llvm.module, "get_global_context", lambda: pytest.fail("the global context was used"))
    assert toolchain.compile_(TEXT)


@pytest.mark.skipif(sys.platform != "linux", reason="how much memory there is in use is asked of Linux")
def test_what_compiled_a_module_is_freed() -> None:
    def used() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    toolchain.compile_(TEXT)
    before = used()
    for _ in range(100):
        toolchain.compile_(TEXT)
    assert used() - before < 100 * 25_000


def test_to_load_code_compiles_nothing(cache: Path) -> None:
    """An engine compiles each module that it has, an empty one too."""
    assert not toolchain.build(TEXT)._engine._modules


def test_another_process_finds_what_the_first_compiled(cache: Path) -> None:
    """Also where strings hash otherwise, so that a set has another order: the text must be the same."""
    first, count = output(process(STEP, cache, PYTHONHASHSEED="1")).rsplit(" ", 1)
    assert int(count) > 0
    assert output(process(STEP, cache, PYTHONHASHSEED="2")) == f"{first} 0"


BUILD = """
import ctypes
from tapenet.llvm import toolchain

for k in range(15):
    library = toolchain.build(f"define i64 @answer() {{ ret i64 {k} }}")
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(library.address("answer"))() == k
"""


def test_processes_that_write_at_once(cache: Path, compiled: list[str]) -> None:
    for started in [process(BUILD, cache) for _ in range(3)]:
        output(started)
    assert files(cache) == [".ll"] * 15 + [".o"] * 15
    assert [answer(toolchain.build(f"define i64 @answer() {{ ret i64 {k} }}")) for k in range(15)] == list(range(15))
    assert not compiled


def test_a_file_has_its_name_when_it_is_whole(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, seen = os.replace, []

    def whole(source: Any, target: Path) -> None:
        if target.suffix == ".o":
            data = Path(source).read_bytes()
            assert with_checksum(data[32:]) == data
            assert not target.exists()
            seen.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", whole)
    toolchain.build(TEXT)
    assert len(seen) == 1


# -- the key -----------------------------------------------------------------------------------------------------


def test_another_text_or_target_is_compiled_anew(
    cache: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    toolchain.build(TEXT)
    toolchain.build(TEXT + "; another\n")
    assert len(compiled) == 2
    made = toolchain.target()
    monkeypatch.setattr(toolchain, "target", lambda: made._replace(key=made.key + " another"))
    toolchain.build(TEXT)
    assert len(compiled) == 3
    monkeypatch.setattr(toolchain, "target", lambda: made)
    toolchain.build(TEXT)
    assert len(compiled) == 3


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (toolchain, "VERSION", -1),
        (llvmlite, "__version__", "0.0.1"),
        (llvm, "llvm_version_info", (1, 2, 3)),
        (llvm, "get_host_cpu_name", lambda: "generic"),
        (llvm, "get_host_cpu_features", llvm.FeatureMap),
    ],
    ids=["the code generator", "llvmlite", "LLVM", "processor", "features"],
)
def test_what_the_key_is_made_of(module: Any, name: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAPENET_CPU", raising=False)
    monkeypatch.setattr(toolchain, "processor", processor.processor.__wrapped__)
    find = toolchain.target.__wrapped__
    before = find().key
    monkeypatch.setattr(module, name, value)
    assert find().key != before


# -- the processor -----------------------------------------------------------------------------------------------

SQUARES = """define void @squares(ptr %a) #0 {
  %x = load <16 x float>, ptr %a, align 4
  %y = fmul <16 x float> %x, %x
  store <16 x float> %y, ptr %a, align 4
  ret void
}
"""
x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the levels are of x86-64")


@x86
@pytest.mark.parametrize("name", processor.LEVELS)
def test_a_processor_may_be_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPENET_CPU", name)
    features = dict.fromkeys(" ".join(added for _, added in processor.LEVELS.values()).split(), True)
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: features)
    made = processor.processor.__wrapped__()
    assert made.name == name
    monkeypatch.setattr(toolchain, "processor", lambda: made)
    target = toolchain.target.__wrapped__()
    assert f" {name} " in target.key
    module = llvm.parse_assembly(target.header + toolchain._ATTRIBUTES + SQUARES, context=llvm.create_context())
    code = target.machine.emit_assembly(module)
    assert [register for register in ("xmm", "ymm", "zmm") if register in code] == [
        {16: "xmm", 32: "ymm", 64: "zmm"}[made.registers.bytes]
    ]


@x86
def test_features_are_named_as_llvm_names_them() -> None:
    for _, added in processor.LEVELS.values():
        assert set(added.split()) <= set(llvm.get_host_cpu_features())


@pytest.mark.parametrize("name", ["nonesuch", "haswell", "x86-64-v4"])
def test_a_processor_that_is_not_to_be_had(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPENET_CPU", name)
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: {"sse3": True, "avx2": False})
    if name in processor.LEVELS:
        message = rf"TAPENET_CPU={name}: this machine does not run .* it has not avx, avx2, avx512bw.*leave it unset"
    else:
        message = rf"TAPENET_CPU={name} is no processor .* x86-64-v2, x86-64-v3, x86-64-v4; leave it unset"
    monkeypatch.setattr(toolchain, "processor", processor.processor.__wrapped__)
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            toolchain.available.__wrapped__()


# -- what goes wrong ---------------------------------------------------------------------------------------------

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut in the checksum": lambda data: data[:20],
    "cut behind the checksum": lambda data: data[:32],
    "cut": lambda data: data[: len(data) // 2],
    "longer": lambda data: data + b"\0",
    "one bit": lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
    "another checksum": lambda data: b"\0" * 32 + data[32:],
    "no checksum": lambda data: data[32:],
    "garbage": lambda data: b"garbage " * 100,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_compiled_anew_and_repaired(cache: Path, compiled: list[str], damage: str) -> None:
    toolchain.build(TEXT)
    file = object_file(cache)
    data = file.read_bytes()
    file.write_bytes(DAMAGE[damage](data))
    assert answer(toolchain.build(TEXT)) == 42
    assert len(compiled) == 2
    repaired = file.read_bytes()
    assert with_checksum(repaired[32:]) == repaired
    assert answer(toolchain.build(TEXT)) == 42
    assert len(compiled) == 2


def test_a_file_that_is_gone_is_written_again(cache: Path, compiled: list[str]) -> None:
    toolchain.build(TEXT)
    object_file(cache).unlink()
    assert answer(toolchain.build(TEXT)) == 42
    assert len(compiled) == 2
    assert object_file(cache).exists()


def test_a_folder_in_a_files_place(cache: Path, compiled: list[str]) -> None:
    toolchain.build(TEXT)
    file = object_file(cache)
    file.unlink()
    file.mkdir()
    assert answer(toolchain.build(TEXT)) == 42
    assert len(compiled) == 2
    assert sorted(cache.iterdir()) == [file.with_suffix(".ll"), file]  # and nothing half written


@pytest.mark.parametrize("below", ["", "more/of/it"])
def test_a_folder_that_cannot_be_made(
    tmp_path: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    monkeypatch.setenv("TAPENET_CACHE", str(file / below))
    with contextlib.nullcontext() if below else pytest.warns(RuntimeWarning, match="file, which is no folder: "):
        assert [answer(toolchain.build(TEXT)) for _ in range(2)] == [42, 42]
    assert len(compiled) == 2
    assert file.read_text() == "in the way"


def test_a_folder_that_may_not_be_written(cache: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**options: Any) -> Any:
        raise PermissionError("permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refused)
    assert [answer(toolchain.build(TEXT)) for _ in range(2)] == [42, 42]
    assert len(compiled) == 2


def test_a_full_disk(cache: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Any, target: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert [answer(toolchain.build(TEXT)) for _ in range(2)] == [42, 42]
    assert len(compiled) == 2
    assert files(cache) == []


def test_a_function_that_is_not_there(cache: Path) -> None:
    with pytest.raises(RuntimeError, match="no function 'question'"):
        toolchain.build(TEXT).address("question")


# -- whose it is -------------------------------------------------------------------------------------------------

needs_owners = pytest.mark.skipif(sys.platform == "win32", reason="owners and modes say nothing there")


@needs_owners
def test_the_folder_and_its_files_are_for_its_user_alone(cache: Path) -> None:
    before = os.umask(0)
    try:
        toolchain.build(TEXT)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (cache, *cache.iterdir())] == [0o700, 0o600, 0o600]


def planted(folder: Path) -> None:
    """Code that gives 43 in the place of `TEXT`."""
    toolchain.build(TEXT)
    toolchain.build(TEXT.replace("42", "43"))
    theirs, ours = sorted(folder.glob("*.o"), key=lambda path: "42" in path.with_suffix(".ll").read_text())
    ours.write_bytes(theirs.read_bytes())
    assert answer(toolchain.build(TEXT)) == 43


def linked(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"), target_is_directory=True)


UNSAFE_FOLDERS: dict[str, Callable[[Path], object]] = {
    r"can be written by others \(mode 770\)": lambda folder: folder.chmod(0o770),
    r"can be written by others \(mode 1777\)": lambda folder: folder.chmod(0o1777),
    "is a link": linked,
}


@needs_owners
@pytest.mark.parametrize("wrong", UNSAFE_FOLDERS)
def test_a_folder_that_others_may_have_written(cache: Path, compiled: list[str], wrong: str) -> None:
    planted(cache)
    UNSAFE_FOLDERS[wrong](cache)
    before = sorted(path.stat().st_mtime_ns for path in cache.iterdir())
    compiled.clear()
    with pytest.warns(RuntimeWarning, match=f"cache, which {wrong}: ") as told:
        assert [answer(toolchain.build(TEXT)) for _ in range(3)] == [42] * 3
    assert len(told) == 1  # of one folder, once
    assert len(compiled) == 3
    assert sorted(path.stat().st_mtime_ns for path in cache.iterdir()) == before


@needs_owners
def test_a_folder_of_another_owner(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(cache)
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    with pytest.warns(RuntimeWarning, match=rf"belongs to user {me}, not to you \({me + 1}\)"):
        assert answer(toolchain.build(TEXT)) == 42


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@needs_owners
@pytest.mark.parametrize("spoil", [lambda file: file.chmod(0o622), linked, pipe])
def test_a_file_that_others_may_have_written(cache: Path, compiled: list[str], spoil: Callable[[Path], object]) -> None:
    planted(cache)
    with_answer = next(path for path in cache.glob("*.ll") if "42" in path.read_text())
    spoil(with_answer.with_suffix(".o"))
    compiled.clear()
    assert [answer(toolchain.build(TEXT)) for _ in range(2)] == [42] * 2
    assert len(compiled) == 1  # and is replaced


# -- where it is -------------------------------------------------------------------------------------------------


def test_no_cache(tmp_path: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPENET_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert toolchain.folder() is None
    assert [answer(toolchain.build(TEXT)) for _ in range(2)] == [42, 42]
    assert len(compiled) == 2
    assert list(tmp_path.iterdir()) == []


HOMES = {
    "linux": Path(".cache"),
    "darwin": Path("Library", "Caches"),
    "win32": Path("AppData", "Local"),
}


@pytest.mark.parametrize("platform", HOMES)
def test_the_users_cache_folder(platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TAPENET_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert toolchain.folder() == tmp_path / HOMES[platform] / "tapenet"
    monkeypatch.setenv("LOCALAPPDATA" if platform == "win32" else "XDG_CACHE_HOME", str(tmp_path / "named"))
    assert toolchain.folder() == (tmp_path / (HOMES[platform] if platform == "darwin" else "named") / "tapenet")
    monkeypatch.setenv("TAPENET_CACHE", str(tmp_path / "own"))
    assert toolchain.folder() == tmp_path / "own"


def test_a_user_without_a_home(compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As in containers that run under any number."""

    def home() -> Path:
        raise RuntimeError("could not determine home directory")

    for name in ("TAPENET_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", home)
    assert toolchain.folder() is None
    assert answer(toolchain.build(TEXT)) == 42


# -- what is said ------------------------------------------------------------------------------------------------


def test_where_no_thread_can_be_started_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert toolchain.compile_(TEXT)


def test_a_long_compilation_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    begun = threading.Event()

    def noted(*args: Any, **kwargs: Any) -> None:
        print(*args, **kwargs)
        begun.set()

    monkeypatch.setattr(toolchain, "PATIENCE", 0.0)
    monkeypatch.setattr(toolchain, "print", noted, raising=False)
    with toolchain._patience(3):
        assert begun.wait(60)
    out, error = capsys.readouterr()
    first, second = error.splitlines()
    assert out == ""
    assert first == "tapenet: compiling 3 functions ..."
    assert second.startswith("tapenet: compiled in ")


def test_only_what_is_compiled_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(toolchain, "PATIENCE", 0.0)
    toolchain.build(TEXT)
    assert "tapenet: compiled in " in capsys.readouterr().err
    toolchain.build(TEXT)
    assert capsys.readouterr().err == ""


def assert_nobody_waits() -> None:
    timers = [t for t in threading.enumerate() if isinstance(t, threading.Timer)]
    for timer in timers:
        timer.join(60)  # it was told to stop
    assert not any(timer.is_alive() for timer in timers)


def test_a_short_one_says_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.setattr(toolchain, "PATIENCE", 3600.0)
    toolchain.build(TEXT)
    assert capfd.readouterr() == ("", "")
    assert_nobody_waits()


def test_what_fails_is_not_waited_for(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "PATIENCE", 3600.0)
    with pytest.raises(RuntimeError):
        toolchain.build("define i64 @answer() { ret i32 42 }")
    assert_nobody_waits()
    assert not cache.exists()


# -- user text ---------------------------------------------------------------------------------------------------

USER = """
import tapenet as tn
from tapenet import nn

quokka_op = tn.op(lambda x: x + len(str(x.shape)), name="quokka_op", x=lambda g: g, effect=True)


class QuokkaNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.quokka_layer = nn.Linear(3, 3)
        self.quokka_options = {"quokka": "quokka ptr null\\n}"}

    def forward(self, quokka_x, *, quokka_text):
        quokka = self.quokka_layer(quokka_x) * tn.host(lambda: len(quokka_text))
        return {"quokka": quokka_op(quokka), quokka_text: quokka}


quokka_net = QuokkaNet()


def quokka_function(quokka_argument, quokka_text="quokka"):
    quokka = quokka_net(quokka_argument["quokka"], quokka_text=quokka_text)
    return quokka, tn.exp(quokka_net.quokka_layer.weight)
"""


def test_generated_code_contains_no_user_text(cache: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "quokka_module"}
    exec(compile(USER, "/quokka/folder/quokka_file.py", "exec"), namespace)
    before = set(linecache.cache)
    step = tn.compile(namespace["quokka_function"], backend="native")
    for _ in range(2):
        step({"quokka": np.ones((2, 3), np.float32)}, "quokka\n  ret i64 0")
    (variant,) = step.variants
    runner: Any = variant.runner
    assert any(hasattr(s, "instruction") for s in runner.module.steps)  # the op is called
    code = "".join("".join(linecache.cache[name][2]) for name in set(linecache.cache) - before if name[0] == "<")  # type: ignore[misc]
    assert runner.source in code
    assert "def fast(" in code
    texts = {"the IR": runner.module.text.encode(), "the Python": code.encode()}
    texts |= {path.name: path.read_bytes() for path in cache.iterdir()}
    assert len(texts) == 4
    assert {name: text for name, text in texts.items() if b"quokka" in text.lower()} == {}


def test_generated_code_of_a_training_step_names_nothing(cache: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    opt = optim.Adam(net.parameters(), lr=optim.cosine(0.01, 100))

    @tn.compile(backend="native")
    def wombat(wombat_x: Any, wombat_y: Any) -> Any:
        loss = F.cross_entropy(net(wombat_x), wombat_y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    for _ in range(2):
        wombat(np.ones((5, 3), np.float32), np.array([0, 1, 0, 1, 0]))
    words = ["wombat", "linear", "batchnorm", "weight", "running", "adam", "cross_entropy", "tapenet", __name__]
    text = "".join(path.read_text(encoding="utf-8") for path in cache.glob("*.ll")).lower()
    assert text
    assert [word for word in words if word in text] == []


# -- an llvmlite that does not do --------------------------------------------------------------------------------


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An llvmlite that is installed, and makes no code."""

    def fail(text: str) -> bytes:
        raise AttributeError("module 'llvmlite.binding' has no attribute 'create_pass_builder'")

    monkeypatch.setenv("TAPENET_CACHE", "")
    monkeypatch.setattr(toolchain, "compile_", fail)
    monkeypatch.setattr(toolchain, "available", functools.cache(toolchain.available.__wrapped__))
    monkeypatch.setattr(kernels, "_available", functools.cache(kernels._available.__wrapped__))


def test_numpy_does_the_work_of_an_llvmlite_that_is_too_old(fails: Any) -> None:
    x = np.ones((100, 100), np.float32)
    message = rf"NumPy alone: llvmlite {llvmlite.__version__} .*create_pass_builder.* 0\.45 or later: pip install"
    with pytest.warns(RuntimeWarning, match=message):
        assert not kernels.on()
    assert tn.gelu(x).shape == x.shape  # and is silent from now on
    assert "backend numpy" in repr(tn.compile(tn.gelu))
