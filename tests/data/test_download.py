"""Published data sets are found and downloaded: whole, checked, or with a clear error. All of them alike."""

import errno
import gzip
import http.server
import io
import os
import socket
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapenet.data import Table, cifar_files, download, housing_files, mnist_files, text_files
from tapenet.data.download import File, Source, check
from tests.data.published import STANDS, Stand, shrink, unpacked, write

SOURCES = [
    value
    for module in (mnist_files, cifar_files, text_files, housing_files)
    for value in vars(module).values()
    if isinstance(value, Source)
]


class Mirror(http.server.BaseHTTPRequestHandler):
    """Serves the files, whole or spoilt as the first part of the path says."""

    server: "Server"

    def do_GET(self) -> None:
        _, how, name = self.path.split("/")
        self.server.seen.append(f"{how}/{name}")
        data = self.server.files[name]
        if how == "missing":
            self.send_error(404)
            return
        if how == "hang":
            self.server.over.wait(10)
        if how == "html":
            data = b"<html>Please log in to the network</html>"
        if how == "wrong":
            data = gzip.compress(b"something else")
        if how == "endless":
            data = bytes(1 << 20)
        self.send_response(200)
        if how not in ("unsized", "endless"):
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:-7] if how == "cut" else data)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Mirror)
        self.files: dict[str, bytes] = {}
        self.seen: list[str] = []
        self.over = threading.Event()

    def url(self, how: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{how}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # The client left a transfer that hung.
            super().handle_error(request, client_address)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture(params=list(STANDS))
def stand(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, caches: Path) -> Stand:
    """Each data set in turn."""
    shrink(monkeypatch)
    return STANDS[request.param]


@pytest.fixture
def mnist(monkeypatch: pytest.MonkeyPatch, caches: Path) -> Stand:
    """One data set, where the others would show nothing else."""
    return STANDS["mnist"]


Mirrors = Callable[..., Source]


@pytest.fixture
def mirrors(server: Server, monkeypatch: pytest.MonkeyPatch) -> Mirrors:
    """Call it with a data set and the ways in which its mirrors, in turn, serve."""

    def use(stand: Stand, *ways: str) -> Source:
        urls = tuple(way if "://" in way else server.url(way) for way in ways)
        source = stand.use(monkeypatch, urls)
        server.files = {file.remote or file.name: stand.files[file.name] for file in source.files}
        return source

    return use


def flat(found: Any) -> list[bytes]:
    """What a data set holds, to be compared."""
    if isinstance(found, str):
        return [found.encode()]
    if isinstance(found, Table):
        found = found.x, found.y
    return [np.asarray(array).tobytes() for array in found]


class TestPlaces:
    def test_explicit_folder_with_packed_and_unpacked_files(
        self, stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = stand.use(monkeypatch)
        packed = write(tmp_path / "packed", stand.files)
        assert flat(stand.read(packed)) == flat(stand.read(write(tmp_path / "plain", unpacked(stand.files))))
        last = source.files[-1]
        (packed / last.name).unlink()
        mixed = write(packed, unpacked({last.name: stand.files[last.name]}))
        assert flat(stand.read(mixed)) == flat(stand.read(tmp_path / "plain"))

    def test_explicit_folder_that_lacks_files_is_an_error(
        self, stand: Stand, tmp_path: Path, caches: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = stand.use(monkeypatch)
        write(caches / source.function, stand.files)
        monkeypatch.setenv("TAPENET_DATA", str(caches))
        folder = write(tmp_path / "part", dict(list(stand.files.items())[:-1]))
        last = source.files[-1].shown
        with pytest.raises(FileNotFoundError) as caught:
            stand.read(folder)
        assert str(caught.value) == (
            f"{source.title} is not whole in {folder} ({last} missing); put the files there, "
            f"call tapenet.data.{source.function}() with no folder to download, or {source.instead}"
        )

    def test_order_of_places(self, stand: Stand, tmp_path: Path, caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The explicit folder, then $TAPENET_DATA where names are telling, then its subfolder, then the cache: one after the
        other is looked at, until a file cannot be read."""
        source = stand.use(monkeypatch)
        data = tmp_path / "data"
        monkeypatch.setenv("TAPENET_DATA", str(data))
        places = [caches / source.function, data / source.function, *([data] if source.bare else [])]
        for place in places:
            folder = write(place, stand.files)
            assert flat(stand.read())
            (folder / source.files[0].name).write_bytes(b"\x1f\x8bno")
            with pytest.raises(ValueError, match=source.files[0].name) as caught:
                stand.read()
            assert str(caught.value).startswith(os.path.join(folder, source.files[0].name))
        assert flat(stand.read(write(tmp_path / "explicit", stand.files)))

    def test_a_folder_of_other_files_with_the_same_names_is_not_taken(
        self, tmp_path: Path, caches: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Fashion-MNIST's files are called as MNIST's are."""
        monkeypatch.setenv("TAPENET_DATA", str(write(tmp_path, STANDS["mnist"].files)))
        assert len(STANDS["mnist"].read(download=False).test_images) == 3
        with pytest.raises(FileNotFoundError, match="Fashion-MNIST is not whole in"):
            STANDS["fashion_mnist"].read(download=False)

    def test_incomplete_place_is_passed_over(
        self, mnist: Stand, tmp_path: Path, caches: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TAPENET_DATA", str(write(tmp_path / "data", {"t10k-labels-idx1-ubyte": b"not read"})))
        write(caches / "mnist", mnist.files)
        assert len(mnist.read(download=False).test_images) == 3

    def test_nothing_anywhere_and_no_download(
        self, stand: Stand, tmp_path: Path, caches: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = tmp_path / "data"
        monkeypatch.setenv("TAPENET_DATA", str(data))
        with pytest.raises(FileNotFoundError, match="allow download=True") as caught:
            stand.read(download=False)
        source = stand.source()
        for place in (data / source.function, caches / source.function):
            assert f"{place} ({source.files[0].shown}" in str(caught.value)
        assert (f"in {data} (" in str(caught.value)) == source.bare
        assert not caches.exists()

    def test_cache_folder_of_each_system(self, monkeypatch: pytest.MonkeyPatch) -> None:
        join = os.path.join

        def cache() -> str:
            return download._cache(mnist_files.MNIST)

        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setenv("XDG_CACHE_HOME", "xdg")
        assert cache() == join("xdg", "tapenet", "mnist")
        monkeypatch.delenv("XDG_CACHE_HOME")
        assert cache() == join(os.path.expanduser("~/.cache"), "tapenet", "mnist")
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setenv("LOCALAPPDATA", "local")
        assert cache() == join("local", "tapenet", "mnist")


class TestDownload:
    @pytest.mark.parametrize("way", ["good", "unsized"])
    def test_success(self, stand: Stand, mirrors: Mirrors, caches: Path, tmp_path: Path, way: str) -> None:
        source = mirrors(stand, way)
        found = stand.read()
        assert flat(found) == flat(stand.read(write(tmp_path / "here", stand.files)))
        assert sorted(os.listdir(caches / source.function)) == sorted(stand.files)
        for name, content in stand.files.items():
            assert (caches / source.function / name).read_bytes() == content

    def test_second_call_downloads_nothing(self, stand: Stand, server: Server, mirrors: Mirrors) -> None:
        source = mirrors(stand, "good")
        first, count = stand.read(), len(server.seen)
        assert count == len(source.files)
        assert flat(stand.read()) == flat(first)
        assert len(server.seen) == count

    def test_only_what_is_missing(self, mnist: Stand, server: Server, mirrors: Mirrors, caches: Path) -> None:
        mirrors(mnist, "good")
        last = "t10k-labels-idx1-ubyte.gz"
        write(caches / "mnist", {name: data for name, data in mnist.files.items() if name != last})
        mnist.read()
        assert server.seen == [f"good/{last}"]

    @pytest.mark.parametrize("spoilt", ["wrong", "html", "cut", "missing"])
    def test_next_mirror_is_tried(
        self, stand: Stand, server: Server, mirrors: Mirrors, caches: Path, spoilt: str
    ) -> None:
        source = mirrors(stand, spoilt, "good")
        assert flat(stand.read())
        remotes = [file.remote or file.name for file in source.files]
        assert server.seen == [f"{way}/{name}" for name in remotes for way in (spoilt, "good")]
        assert sorted(os.listdir(caches / source.function)) == sorted(stand.files)

    @pytest.mark.parametrize(
        ("spoilt", "reason"),
        [
            ("wrong", r"wrong checksum: expected (MD5|SHA-256) \w+ for .*, found \w+ in \d+ bytes"),
            ("html", r"wrong checksum: .* in 41 bytes"),
            ("cut", r"the transfer was cut short: [\d,]+ of [\d,]+ bytes"),
            ("missing", "HTTP Error 404: Not Found"),
        ],
    )
    def test_no_mirror_delivers(self, stand: Stand, mirrors: Mirrors, caches: Path, spoilt: str, reason: str) -> None:
        source = mirrors(stand, spoilt, spoilt)
        with pytest.raises(ConnectionError, match="could not download") as caught:
            stand.read()
        tried, by_hand = str(caught.value).split("Try again; or get these files by hand")
        folder = caches / source.function
        assert os.listdir(folder) == []
        first = source.files[0]
        caught.match(rf"(?s)download {first.name}:\n  .*/{spoilt}/.*: {reason}\n.*/{spoilt}/.*: {reason}\n")
        assert tried.count(f"/{first.remote or first.name}: ") == 2
        assert all(f"/{spoilt}/{file.remote or file.name}\n" in by_hand for file in source.files)
        assert f" in\n{folder} or in the subfolder {source.function} of a folder that $TAPENET_DATA names:\n" in by_hand
        assert by_hand.endswith(f"or {source.instead}.")

    def test_a_mirror_that_sends_too_much(
        self, stand: Stand, mirrors: Mirrors, caches: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = mirrors(stand, "endless")
        small = tuple(file._replace(largest=100_000) for file in source.files)
        monkeypatch.setattr(sys.modules[f"tapenet.data.{stand.module}"], stand.constant, source._replace(files=small))
        with pytest.raises(ConnectionError, match=r"endless/.*: sends more than 100,000 bytes, which no file"):
            stand.read()
        assert os.listdir(caches / source.function) == []

    def test_no_network(self, mnist: Stand, mirrors: Mirrors, caches: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        mirrors(mnist, f"http://127.0.0.1:{port}/")  # Nobody listens there any more.
        with pytest.raises(ConnectionError, match=rf"{port}/train-images-idx3-ubyte.gz: .*urlopen error") as caught:
            mnist.read()
        assert "on a machine with a network" in str(caught.value)
        assert os.listdir(caches / "mnist") == []

    def test_silent_mirror_times_out(
        self, mnist: Stand, mirrors: Mirrors, caches: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(download, "_TIMEOUT", 0.1)
        mirrors(mnist, "hang")
        start = time.perf_counter()
        with pytest.raises(ConnectionError, match=r"/hang/train-images-idx3-ubyte.gz: .*timed out"):
            mnist.read()
        assert time.perf_counter() - start < 5
        assert os.listdir(caches / "mnist") == []

    @pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
    def test_interrupted_write_leaves_nothing_behind(
        self, mnist: Stand, mirrors: Mirrors, caches: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
    ) -> None:
        def fail(source: Any, target: Any) -> None:
            assert os.path.dirname(source) == os.path.dirname(target)  # A rename is atomic within a disk.
            raise error

        mirrors(mnist, "good")
        monkeypatch.setattr(os, "replace", fail)
        message = "cannot keep MNIST in .*the disk is full.*XDG_CACHE_HOME" if isinstance(error, OSError) else None
        with pytest.raises(type(error), match=message):
            mnist.read()
        assert os.listdir(caches / "mnist") == []

    def test_cache_that_cannot_be_made(self, mnist: Stand, server: Server, mirrors: Mirrors, caches: Path) -> None:
        mirrors(mnist, "good")
        caches.parent.mkdir()
        caches.write_bytes(b"a file where the folder should be")
        with pytest.raises(OSError, match=r"cannot keep MNIST in .*; make it writable, or set XDG_CACHE_HOME"):
            mnist.read()
        assert server.seen == []

    def test_progress_bar(self, stand: Stand, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
        from tqdm import tqdm

        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        source = mirrors(stand, "good")
        monkeypatch.setattr(tqdm, "monitor_interval", 0)  # No thread that outlives the test.
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        stand.read()
        assert all(f"{file.name}: 100%" in terminal.getvalue() for file in source.files)

    def test_no_bar_without_a_terminal(
        self, mnist: Stand, mirrors: Mirrors, capsys: pytest.CaptureFixture[str]
    ) -> None:
        mirrors(mnist, "good")
        mnist.read()
        assert capsys.readouterr() == ("", "")


class TestDescriptions:
    @pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.function)
    def test_each_says_where_it_is_and_how_it_is_checked(self, source: Source) -> None:
        assert source.function in STANDS
        assert source.mirrors
        for mirror in source.mirrors:
            assert mirror.startswith(("https://", "http://"))
            assert mirror.endswith("/")
        for file in source.files:
            assert file.sums, "a file without a checksum"
            for total in file.sums:
                kind, _, digits = total.partition(":")
                assert len(digits) == {"md5": 32, "sha256": 64}[kind]
                assert set(digits) <= set("0123456789abcdef")
            assert "/" not in file.name

    def test_every_checksum_counts(self) -> None:
        right = ("md5:321c3cf486ed509164edec1e1981fec8", "sha256:" + "0" * 64)
        with pytest.raises(
            ValueError, match=r"here: wrong checksum: expected SHA-256 0{64} for a.txt, found \w{64} in"
        ):
            check(File("a.txt", 100, right), io.BytesIO(b"payload"), "here")
        check(File("a.txt", 100, right[:1]), io.BytesIO(b"payload"), "here")
        with pytest.raises(ValueError, match="expected MD5 321c"):
            check(File("a.txt", 100, right[:1]), io.BytesIO(b"payload "), "here")

    def test_a_bomb_is_unpacked_no_further_than_the_file_is_long(self) -> None:
        bomb = io.BytesIO(gzip.compress(bytes(1 << 25), 1))
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match="here: wrong checksum"):
                check(File("a.gz", 1000, ("sha256:" + "0" * 64,), unpacked=True), bomb, "here")
            assert tracemalloc.get_traced_memory()[1] < 1 << 22
        finally:
            tracemalloc.stop()
