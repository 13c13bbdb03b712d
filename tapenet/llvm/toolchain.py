"""From LLVM IR to machine code, with a cache on disk.

The cache holds object files, keyed by the text of the IR and by everything else that decides what it becomes: the
processor and its features, the versions of llvmlite and LLVM. A file begins with a checksum; one that does not match is
compiled anew and replaced. Each file is written under another name and then renamed, so processes do not meet halves.

What lies there is run, so nobody else may have written it: the folder is made for its user alone, and one that is
another's, that others can write or that is a link is left alone, and so is such a file.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib.machinery
import os
import re
import stat
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from tapenet.llvm.blas import find
from tapenet.llvm.parts import AS_WRITTEN, CALLS, OWN_VECTORS, parts
from tapenet.llvm.processor import processor
from tapenet.llvm.tasks import Task
from tapenet.locks import lock

#: Goes into every key: changed when the code generator's conventions change in a way that the IR does not show.
VERSION = 1
#: Seconds after which a compilation says what it is doing.
PATIENCE = 1.0
#: Functions that code may call, by what it calls them: where they are in this process.
symbols: dict[str, int] = {}
#: How another process finds some of them: a module, a function in it that puts them among the symbols, and its arguments.
origins: dict[str, tuple[str, ...]] = {}
_lock = lock()


class Machine(Protocol):
    """What LLVM makes code with."""

    @property
    def target_data(self) -> object: ...


class Target(NamedTuple):
    """What code is made for."""

    machine: Machine
    header: str
    key: str
    #: Makes another machine of the same kind, or one that chooses instructions with less care, down to 0.
    another: Callable[..., Machine]


@functools.cache
def target() -> Target:
    """The processor that code is made for, as LLVM knows it. Loads llvmlite."""
    import llvmlite  # type: ignore[import-untyped]
    import llvmlite.binding as llvm  # type: ignore[import-untyped]

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # llvmlite calls most functions of LLVM under one lock. A fork waits for it: in the child nobody would let go of it.
    inside = getattr(llvm.ffi.lib, "_lock", None)
    if inside is not None and hasattr(os, "register_at_fork"):
        os.register_at_fork(before=inside.__enter__, after_in_parent=inside.__exit__, after_in_child=inside.__exit__)
    cpu, features, _ = processor()

    def another(care: int = 3) -> Machine:
        triple = llvm.Target.from_default_triple()
        made: Machine = triple.create_target_machine(cpu=cpu, features=features, opt=care, reloc="pic")
        return made

    machine = another()
    header = f'target triple = "{llvm.get_process_triple()}"\ntarget datalayout = "{machine.target_data}"\n'
    for function in _PYTHON:
        llvm.add_symbol(function, ctypes.cast(getattr(ctypes.pythonapi, function), ctypes.c_void_p).value)
    blas = find()
    if blas is not None:
        for name, address in blas.addresses.items():
            llvm.add_symbol(f"tn_{name}", address)
    key = f"{VERSION} {llvmlite.__version__} {llvm.llvm_version_info} {cpu} {features}"
    return Target(machine, header, key, another)


#: What code calls of Python's own.
_PYTHON = (
    "PyErr_CheckSignals", "PyErr_Occurred", "PyErr_SetString", "PyEval_SaveThread", "PyEval_RestoreThread",
    "PyGILState_Ensure", "PyGILState_Release", "PyObject_CallNoArgs", "Py_DecRef",
)  # fmt: skip
_NOTHING = "define void @nothing(ptr %a) #0 {\n  ret void\n}\n"


@functools.cache
def available() -> bool:
    """Whether llvmlite is installed and makes code that runs. If it only is installed (it is too old, the system forbids
    code made at run time), a warning says so."""
    if importlib.machinery.PathFinder.find_spec("llvmlite") is None:
        return False
    if os.environ.get("TAPENET_CPU"):
        processor()  # what it names wrongly is an error, not a reason to do without
    try:
        library = build(_NOTHING)
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(library.address("nothing"))(None)
    except Exception as error:
        from importlib import metadata

        warnings.warn(
            f"tapenet computes with NumPy alone: llvmlite {metadata.version('llvmlite')} is installed, but makes no code "
            f"that runs ({type(error).__name__}: {error}). It has to be 0.45 or later: pip install -U tapenet[jit]",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


class Piece(NamedTuple):
    """A part of a module in the cache: its key, the functions in it that others call, and those that it calls."""

    key: str
    names: Sequence[str]
    calls: Sequence[str]


class Library:
    """Machine code in memory, as long as this object lives, and the libraries whose functions it calls by name.

    Attributes:
        pieces: what it and those were made of, where it is what `build` gave.
    """

    def __init__(self, code: bytes, called: Mapping[str, Library] = MappingProxyType({})) -> None:
        import llvmlite.binding as llvm

        self.pieces: Sequence[Piece] = ()
        made = target()
        declared = "".join(f"declare void @{name}()\n" for name in called)
        module = llvm.parse_assembly(made.header + declared)
        # The engine owns the machine it is given, and takes it along when it goes. It makes no code by it: one that knows
        # nothing of the processor is made in 0.05 ms, not 0.4.
        machine = llvm.Target.from_default_triple().create_target_machine()
        self._engine = llvm.create_mcjit_compiler(module, machine)
        self._called = called
        for name, library in called.items():
            self._engine.add_global_mapping(module.get_function(name), library.address(name))
        # It would compile this module too, though it is empty: in 1.7 ms, for each of a U-Net's 75 libraries.
        self._engine.remove_module(module)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Where a function is."""
        found: int = self._engine.get_function_address(name)
        if not found:
            raise RuntimeError(f"the compiled code has no function {name!r}")
        return found


def build(text: str) -> Library:
    """Machine code of a module's IR, from the cache or compiled."""
    cut = parts(text)
    codes = [Task(partial(_code, part.text)) for part in cut]
    for code in codes[1:]:
        code.beside()
    for code in codes[:1] + codes[:0:-1]:  # threads begin at the other end
        code.ahead()
    found = [code.result() for code in codes]
    pieces = [Piece(key, part.names, part.calls) for part, (key, _) in zip(cut, found, strict=True)]
    try:
        return _linked(pieces, [code for _, code in found])
    except RuntimeError:  # what the cache holds cannot be loaded
        return _linked(pieces, [_code(part.text, anew=True)[1] for part in cut])


def load(pieces: Sequence[Piece]) -> Library | None:
    """What `build` made of these pieces, in this process or another. None where the cache does not have all of them."""
    codes = [code for piece in pieces if (code := cached(f"{piece.key}.o")) is not None]
    try:
        return _linked(pieces, codes) if len(codes) == len(pieces) else None
    except RuntimeError:
        return None


def begin(text: str) -> Callable[[], Library]:
    """Have a thread beside build a module, and give what waits for that, or builds it where no thread has come to it."""
    task = Task(partial(build, text))
    task.beside()
    return task.result


def _linked(pieces: Sequence[Piece], codes: Sequence[bytes]) -> Library:
    """The library of the first of some parts, which call functions of those behind them. Each is loaded by itself: of several
    in one engine LLVM takes the constants from wrong places."""
    with _lock:
        _say_addresses()
    made: dict[str, Library] = {}
    for piece, code in zip(pieces[::-1], codes[::-1], strict=True):
        library = Library(code, {name: made[name] for name in piece.calls})
        made |= dict.fromkeys(piece.names, library)
    library.pieces = pieces
    return library


def _code(text: str, anew: bool = False) -> tuple[str, bytes]:
    """Object code from the cache or compiled, and its key there."""
    made = target()
    text = made.header + _ATTRIBUTES + _numbered(text)
    key = hashlib.sha256(f"{made.key}\n{text}".encode()).hexdigest()
    code = None if anew else cached(f"{key}.o")
    if code is None:
        code = compile_(text)
        keep(f"{key}.o", code, {f"{key}.ll": text})
    return key, code


def _say_addresses() -> None:
    """Tell LLVM where the functions are that code calls. Code itself, on disk too, has their names alone."""
    import llvmlite.binding as llvm

    for symbol in list(symbols)[len(_said) :]:
        llvm.add_symbol(symbol, symbols[symbol])
        _said.append(symbol)


_said: list[str] = []


def _numbered(text: str) -> str:
    """The text with what is said of its loops, each of which has a number for that: that they are not to be written out, of how
    many lanes their vectors are to be, that their turns are apart, that a turn does two vectors, that the last vector has
    lanes that are off."""
    said = ["!0 = distinct !{}\n"]  # what such turns read and write

    def named(found: re.Match[str]) -> str:
        if found[0] == "!turns":
            return "!0"
        parts = "".join(f", !{{{_PARTS[word]}{number}}}" for word, number in _WORD.findall(found[1]))
        said.append(f"!{len(said)} = distinct !{{!{len(said)}{parts}}}\n")
        return f"!{len(said) - 1}"

    text = _SAID.sub(named, text)
    return "".join([*said, text]) if len(said) > 1 else text


_SAID, _WORD = re.compile(r"!loop((?:\.\w+)+)|!turns\b"), re.compile(r"\.([a-z]+)(\d*)")
_PARTS = {
    "rolled": '!"llvm.loop.unroll.disable"',
    "lanes": '!"llvm.loop.vectorize.width", i32 ',
    "parallel": '!"llvm.loop.parallel_accesses", !0',
    "pairs": '!"llvm.loop.interleave.count", i32 2',
    "masked": '!"llvm.loop.vectorize.predicate.enable", i1 true',
}


class _Own(threading.local):
    """The machines of a thread. One that has made code knows the processor's features, which takes 2 ms to find out."""

    def __init__(self) -> None:
        self.machines: dict[int, Machine] = {}


_own = _Own()


def compile_(text: str) -> bytes:
    """The object code of a module's IR."""
    import llvmlite.binding as llvm
    from llvmlite.binding import ffi

    care = 0 if CALLS in text else 3
    machine = _own.machines.get(care) or _own.machines.setdefault(care, target().another(care))
    with _patience(text.count("define ")):
        # What a context holds (types, constants, metadata) lives as long as it does: the global one would only grow.
        module = llvm.parse_assembly(text, context=llvm.create_context())
        module.verify()
        options = llvm.create_pipeline_tuning_options(speed_level=3)
        options.loop_vectorization = True
        options.slp_vectorization = False
        options.loop_unrolling = AS_WRITTEN not in text
        builder = llvm.create_pass_builder(machine, options)
        if OWN_VECTORS in text or CALLS in text:
            passes = llvm.create_new_module_pass_manager()
            passes.add_always_inliner_pass()
            passes.add_sroa_pass()
            passes.add_instruction_combine_pass()
            passes.add_simplify_cfg_pass()
        else:
            passes = builder.getModulePassManager()
        try:
            _beside(ffi.lib.LLVMPY_RunNewModulePassManager)(passes, module, builder)
        finally:  # llvmlite itself forgets to free them, 54 KB for each module
            _beside(ffi.lib.LLVMPY_DisposeNewModulePassManger)(passes)
            passes.detach()
        with ffi.OutputString() as error:
            buffer = _beside(ffi.lib.LLVMPY_TargetMachineEmitToMemory)(machine, module, 1, error)
            if not buffer:
                raise RuntimeError(str(error))
        try:
            return ctypes.string_at(ffi.lib.LLVMPY_GetBufferStart(buffer), ffi.lib.LLVMPY_GetBufferSize(buffer))
        finally:
            ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)


def _beside(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of LLVM's without llvmlite's lock, by which one thread at a time is in any of them. Two that work on contexts
    of their own need none."""
    found: Callable[..., Any] = getattr(function, "_cfn", function)
    return found


#: Kernels are called, not copied into their callers: the time to compile stays linear in the size of the program. Short ones
#: that a loop calls in each turn become part of it (#2).
#: Those that do little more than move memory (#1) are kept to vectors of 32 bytes, in which stores to the second level
#: cache are quicker; what computes much gains by longer ones (#0). What computes with vectors of its own
#: (#3) is apart (`parts`).
_ATTRIBUTES = """attributes #0 = { noinline nounwind "prefer-vector-width"="512" }
attributes #1 = { noinline nounwind "prefer-vector-width"="256" }
attributes #3 = { noinline nounwind "prefer-vector-width"="512" }
attributes #2 = { alwaysinline nounwind "prefer-vector-width"="256" }
"""


@contextlib.contextmanager
def _patience(count: int) -> Iterator[None]:
    """Say what is going on if it takes long."""
    timer = threading.Timer(PATIENCE, lambda: print(f"tapenet: compiling {count} functions ...", file=sys.stderr))
    timer.daemon = True
    start = time.perf_counter()
    with contextlib.suppress(RuntimeError):  # the system gives no more threads: then nothing is said meanwhile
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
        spent = time.perf_counter() - start
        if spent > PATIENCE:
            print(f"tapenet: compiled in {spent:.1f} s", file=sys.stderr)


# -- the cache ---------------------------------------------------------------------------------------------------


def folder() -> Path | None:
    """Where compiled code is kept: `TAPENET_CACHE`, or the user's cache folder; None where `TAPENET_CACHE` is empty
    or the user has no home."""
    named = os.environ.get("TAPENET_CACHE")
    if named is not None:
        return Path(named) if named else None
    try:
        if sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home, as in some containers
        return None
    return base / "tapenet"


def _safe_folder() -> Path | None:
    """The folder, if it is there. None, with a warning the first time, if others may have put code there."""
    place = folder()
    try:
        wrong = "" if place is None else _unsafe(place.lstat(), "folder")
    except OSError:
        return None
    if place is not None and wrong:
        _warn_of(place, wrong)
        return None
    return place


_KINDS = {"folder": stat.S_ISDIR, "file": stat.S_ISREG}


def _unsafe(found: os.stat_result, kind: str) -> str:
    """What is wrong with a file or folder that code is to be loaded from, "" if nothing is."""
    if stat.S_ISLNK(found.st_mode):
        return "is a link"
    if not _KINDS[kind](found.st_mode):
        return f"is no {kind}"
    if sys.platform == "win32":  # owners and modes say nothing there
        return ""
    if found.st_uid != os.geteuid():
        return f"belongs to user {found.st_uid}, not to you ({os.geteuid()})"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"can be written by others (mode {stat.S_IMODE(found.st_mode):o})"
    return ""


@functools.cache
def _warn_of(place: Path, wrong: str) -> None:
    warnings.warn(
        f"tapenet keeps no compiled code in {place}, which {wrong}: what others put there would be run. It compiles anew in "
        "each process until you delete that folder, or let TAPENET_CACHE name a folder of yours (mode 700)",
        RuntimeWarning,
        stacklevel=2,
    )


def cached(name: str) -> bytes | None:
    """What is kept by a name, where it is whole and nobody else can have put it there."""
    place = _safe_folder()
    if place is None:
        return None
    try:
        with open(place / name, "rb", opener=_open) as file:
            if _unsafe(os.fstat(file.fileno()), "file"):
                return None
            data = file.read()
    except OSError:
        return None
    checksum, code = data[:32], data[32:]
    return code if hashlib.sha256(code).digest() == checksum else None


def _open(path: str, flags: int) -> int:
    """Open no link, and wait for no writer at the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def keep(name: str, data: bytes, beside: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write what `cached` finds by a name, and texts beside it for people to read. A folder that cannot be written is no
    error."""
    named = folder()
    if named is None:
        return
    with contextlib.suppress(OSError):
        named.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = _safe_folder()
    if place is None:
        return
    with contextlib.suppress(OSError):
        texts = {file: text.encode() for file, text in beside.items()}
        for file, written in (texts | {name: hashlib.sha256(data).digest() + data}).items():
            handle, temporary = tempfile.mkstemp(dir=place, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as opened:
                    opened.write(written)
                os.replace(temporary, place / file)
            except OSError:
                os.unlink(temporary)
                raise
