"""Files are written whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import files

ROOT = Path(tn.__file__).parent.parent
posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX systems")


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_is_there_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"before")
    with files.atomic(path) as file:
        file.write(b"after")
        file.flush()
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert _names(tmp_path) == ["data"]


@pytest.mark.parametrize("error", [ValueError("x"), ConnectionResetError("x"), KeyboardInterrupt(), SystemExit(2)])
def test_an_exception_in_the_block_leaves_what_was_there_and_is_the_same(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"before")

    def half() -> None:
        with files.atomic(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)) as seen:
        half()
    assert seen.value is error
    assert path.read_bytes() == b"before"
    assert _names(tmp_path) == ["data"]


@posix
def test_permissions_are_the_usual_ones_or_those_that_were_there(tmp_path: Path) -> None:
    path = tmp_path / "data"
    before = os.umask(0o027)
    try:
        with files.atomic(path) as file:
            file.write(b"1")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        with files.atomic(path) as file:
            file.write(b"2")
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(before)


@posix
def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "data")
    for content in (b"1", b"2"):  # also where the link points to nothing yet
        with files.atomic(tmp_path / "link") as file:
            file.write(content)
        assert (tmp_path / "real" / "data").read_bytes() == content
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("name", ["x" * 250, "ü" * 120, "a b'\"c", ".hidden"])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    for content in (b"1", b"2"):
        with files.atomic(tmp_path / name) as file:
            file.write(content)
    assert (tmp_path / name).read_bytes() == b"2"
    assert _names(tmp_path) == [name]


def test_relative_paths_and_strings_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with files.atomic("data") as file:
        file.write(b"1")
        monkeypatch.chdir("/")  # the file stays where it was meant
    assert (tmp_path / "data").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("none/x", FileNotFoundError, "there is no such folder; make it with os.makedirs"),
        ("folder", IsADirectoryError, "it is a folder; give the name of a file in it"),
        ("file/x", NotADirectoryError, "a part of the path is a file and no folder"),
        ("y" * 300, OSError, "the name is too long"),
        ("/dev/null", OSError, "it is no regular file; give the name of one"),
    ],
)
@posix
def test_paths_that_cannot_be_written_are_told(tmp_path: Path, path: str, kind: Any, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"1")
    with pytest.raises(kind, match=rf"tn.save did not write .*: {message}. What was there before is as it was"):
        tn.save({"a": np.ones(3)}, tmp_path / path)
    assert _names(tmp_path) == ["file", "folder"]


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A folder that may not be written to, with a file in it; the administrator, who may all, is somebody else meanwhile."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        tn.save({"n": 1}, folder / "x")
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


@posix
def test_a_folder_that_may_only_be_read_is_told(read_only: Path) -> None:
    for name in ("x", "new"):
        with pytest.raises(PermissionError, match=r"tn.save did not write .*: the folder may not be written to"):
            tn.save({"n": 2}, read_only / name)
    assert tn.load(read_only / "x") == {"n": 1}
    assert _names(read_only) == ["x"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_an_error_of_the_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, where: str
) -> None:
    def fails(*args: Any) -> None:
        raise OSError(code, "so it is", *args[:1])

    tn.save({"n": 1}, tmp_path / "x")
    with monkeypatch.context() as patch:
        patch.setattr(os, where, fails)
        with pytest.raises(OSError, match=r"tn.save did not write") as seen:
            tn.save({"n": 2}, tmp_path / "x")
    assert seen.value.errno == code
    assert tn.load(tmp_path / "x") == {"n": 1}
    assert _names(tmp_path) == ["x"]


@posix
@pytest.mark.parametrize("room", [0, 100, 1 << 20, (8 << 20) + 100])
def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path, room: int) -> None:
    """In a process that may write no larger files: the same way out as of a full disk, which would take one to test."""
    code = f"""
import resource
import numpy as np, tapenet as tn
path = {str(tmp_path / "x")!r}
tn.save({{"n": 1}}, path)
resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))
try:
    tn.save({{"w": np.ones(3 << 20, np.float32)}}, path)
except OSError as error:
    assert "tn.save did not write" in str(error) and "larger than the system allows" in str(error), error
else:
    raise SystemExit("it was written")
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert tn.load(tmp_path / "x") == {"n": 1}
    assert _names(tmp_path) == ["x"]


def _holding(path: Path) -> subprocess.Popen[str]:
    """A process that has half of a file written, and waits."""
    code = f"""
import sys
from tapenet import files
with files.atomic({str(path)!r}) as file:
    file.write(b"half"); file.flush()
    print("writing", flush=True)
    sys.stdin.readline()
    file.write(b" and half")
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def test_what_a_killed_process_wrote_is_removed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"before")
    with _holding(path) as process:
        process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    assert len(_names(tmp_path)) == 2
    assert path.read_bytes() == b"before"
    with files.atomic(path) as file:
        file.write(b"after")
    assert _names(tmp_path) == ["data"]


@posix
def test_what_another_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with _holding(path) as process:
        with files.atomic(path) as file:
            file.write(b"quicker")
        assert path.read_bytes() == b"quicker"
        process.communicate("go on\n")
        assert process.returncode == 0
    assert path.read_bytes() == b"half and half"
    assert _names(tmp_path) == ["data"]


@posix
def test_many_processes_that_write_the_same_file_leave_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    code = f"""
import sys, time
import numpy as np, tapenet as tn
end = time.perf_counter() + 0.3
while time.perf_counter() < end:
    tn.save({{"w": np.full(5000, int(sys.argv[1]))}}, {str(path)!r})
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, str(n)], cwd=ROOT) for n in range(2)]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            w = tn.load(path)["w"]  # raises where it is not whole
            assert (w == w[0]).all()
            seen += 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen > 1
    assert _names(tmp_path) == ["x"]


def test_memory_is_not_taken_twice(tmp_path: Path) -> None:
    """Beyond the arrays themselves a large state takes little memory, written or read: an array that does not lie in C order
    is copied alone."""
    each = 4 << 20
    state = {str(i): np.full((1024, each // 4096), i, np.float32).T for i in range(8)}
    tracemalloc.start()
    try:
        tn.save(state, tmp_path / "x")
        assert tracemalloc.get_traced_memory()[1] < 1.2 * each + (1 << 20)  # NumPy's copy, and the buffer of the file
        tracemalloc.reset_peak()
        loaded = tn.load(tmp_path / "x")
        assert tracemalloc.get_traced_memory()[1] < 8 * each + (1 << 20)
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(loaded["7"], state["7"])
