"""tapenet.data: the IDX reader, MNIST found and downloaded, the bundled digits, mini-batches."""

import doctest
import errno
import gzip
import hashlib
import http.server
import importlib
import importlib.resources
import io
import itertools
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tapenet.data import Digits, batches, digits, mnist, read_idx
from tapenet.data.build_digits import build, choose

# `tapenet.data.mnist` names the function; this is the module behind it.
mnist_module = importlib.import_module("tapenet.data.mnist_files")
BUNDLED = Path(str(importlib.resources.files("tapenet.data"))) / "digits.npz"

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def idx(array: NDArray[Any]) -> bytes:
    """The bytes of `array` as an IDX file."""
    header = struct.pack(f">HBB{array.ndim}I", 0, CODES[array.dtype.name], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def tiny_mnist() -> dict[str, bytes]:
    """The four files, unpacked, of a tiny data set: 5 training and 3 test images."""
    rng = np.random.default_rng(0)
    files = {}
    for images, labels, count in ((TRAIN_IMAGES, TRAIN_LABELS, 5), (TEST_IMAGES, TEST_LABELS, 3)):
        pixels = rng.integers(0, 256, (count, 28, 28), np.uint8)
        pixels[0, 0, :2] = 0, 255
        files[images] = idx(pixels)
        files[labels] = idx(rng.integers(0, 10, count, np.uint8))
    return files


def write(folder: Path, files: dict[str, bytes], packed: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / (name + ".gz" if packed else name)).write_bytes(gzip.compress(data) if packed else data)
    return folder


def attempt(file: Path) -> tuple[NDArray[Any] | None, str]:
    """What `read_idx` gives: an array, or the words of its ValueError."""
    try:
        return read_idx(file), ""
    except ValueError as error:
        return None, str(error)


def rewrite(file: Path, data: bytes) -> None:
    """Write into a file that is there: on some disks making a file anew takes milliseconds."""
    file.touch()
    with file.open("r+b") as stream:
        stream.write(data)
        stream.truncate()


def real_mnist() -> Path:
    places = [Path(__file__).parents[2] / "shared" / "data" / "mnist"]
    if data := os.environ.get("TAPENET_DATA"):
        places[:0] = [Path(data), Path(data) / "mnist"]
    for place in places:
        if len(mnist_module.files_in(place)) == 4:
            return place
    pytest.skip("the MNIST files are neither in $TAPENET_DATA nor in ../shared/data/mnist")


@pytest.mark.parametrize("module", ["idx", "mnist_files", "bundled", "minibatch", "build_digits"])
def test_doctests(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(importlib.import_module(f"tapenet.data.{module}"))
    assert results.failed == 0
    assert results.attempted > 0


def test_import_loads_nothing_heavy() -> None:
    program = (
        "import sys, numpy, numpy.typing; before = set(sys.modules); import tapenet.data;"
        "print(*set(sys.modules) - before)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "tapenet.data.mnist_files" in loaded
    heavy = {"urllib.request", "gzip", "tqdm", "importlib.resources", "http.client", "hashlib", "argparse"}
    assert not heavy & {name for name in loaded if not name.startswith("tapenet.")}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that each test, and each example of Hypothesis, writes anew."""
    return tmp_path_factory.mktemp("idx") / "numbers"


class TestReadIdx:
    @given(data=st.data(), packed=st.booleans())
    def test_reads_back_every_dtype_and_shape(self, file: Path, data: st.DataObject, packed: bool) -> None:
        dtype = data.draw(st.sampled_from(sorted(CODES)))
        shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)
        array = data.draw(hnp.arrays(dtype, shapes))
        file.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
        read = read_idx(file)
        assert read.dtype == np.dtype(dtype)
        assert read.dtype.isnative
        assert read.flags.writeable
        np.testing.assert_array_equal(read, array, strict=True)

    def test_big_endian_bytes_spelled_out(self, file: Path) -> None:
        file.write_bytes(bytes.fromhex("00000c02 00000001 00000002 00000102 ffffffff"))
        assert read_idx(str(file)).tolist() == [[258, -1]]

    @given(data=st.data())
    def test_any_cut_or_trailing_byte_is_an_error(self, file: Path, data: st.DataObject) -> None:
        whole = idx(np.arange(6, dtype=np.int16).reshape(2, 3))
        end = data.draw(st.integers(0, len(whole) - 1))
        for wrong in (whole[:end], whole + b"\0"):
            file.write_bytes(wrong)
            with pytest.raises(ValueError, match=r"numbers: expected .*, found .*; ") as caught:
                read_idx(file)
            assert str(caught.value).startswith(str(file))

    @given(data=st.binary(max_size=40) | st.binary(max_size=40).map(lambda tail: b"\0\0" + tail))
    def test_any_bytes_give_an_array_or_a_clear_error(self, file: Path, data: bytes) -> None:
        file.write_bytes(data)
        array, message = attempt(file)
        if array is None:
            assert message.startswith(f"{file}: expected ")
        else:
            assert idx(array) == data

    @given(data=st.data())
    def test_damaged_gzip_never_passes_unseen(self, file: Path, data: st.DataObject) -> None:
        array = np.arange(20, dtype=np.int32)
        packed = bytearray(gzip.compress(idx(array), mtime=0))
        position = data.draw(st.integers(0, len(packed) - 1))
        packed[position] ^= data.draw(st.integers(1, 255))
        cut = data.draw(st.booleans())
        file.write_bytes(packed[:position] if cut else packed)
        read, message = attempt(file)
        if read is None:
            assert message.startswith(f"{file}: expected ")
        else:  # The time, the system and the flags in gzip's own header do not touch the data.
            assert not cut
            assert position < 10
            np.testing.assert_array_equal(read, array, strict=True)

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (
                b"",
                "expected an IDX file, which begins with the bytes 00 00, found an empty file; give an IDX",
            ),
            (b"<html>", "begins with the bytes 00 00, found bytes 3c 68 74 6d; give an IDX file"),
            (b"\0\0\x08", "expected a header of at least 8 bytes, found a file cut short after 3 bytes"),
            (b"\0\0\x08\x03\0\0\0\1", "expected a header of 16 bytes, found a file cut short after 8 bytes"),
            (b"\0\0\x07\x01\0\0\0\0", r"expected a dtype code among 08 \(uint8\), .*, found 07; put a whole"),
            (b"\0\0\x08\x00\x07", "expected at least 1 dimension, found 0 dimensions"),
            (
                b"\0\0\x0d\x02\0\0\0\2\0\0\0\3" + bytes(20),
                r"expected 24 bytes of data after the header for shape \(2, 3\), dtype float32, "
                "found 20: the file is cut short; put a whole copy",
            ),
            (b"\0\0\x08\x01\0\0\0\2abc", "expected 2 bytes of data .*, found more: bytes trail the data"),
            # Dimensions whose product overflows 64 bits: to 0 (2**96), and next to an axis of none.
            (b"\0\0\x08\x03" + b"\x80\0\0\0" * 3, "expected 9,903,520,314,283,042,199,192,993,792 bytes"),
            (b"\0\0\x08\x04" + bytes(4) + b"\xff" * 12, "expected a shape that NumPy can hold, found shape"),
            (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"a", "expected a shape that NumPy can hold, found shape"),
            (
                gzip.compress(b"\0\0\x08\x01\0\0\0\1a", mtime=0)[:-9],
                "expected a whole gzip stream, found damaged data",
            ),
            (
                gzip.compress(b"\0\0\x08\x01\0\0\0\1a", mtime=0) + b"more",
                "expected a whole gzip stream, found damaged",
            ),
            (gzip.compress(b"\0\0\x08\x01\0\0\0\2a", mtime=0), "found 1: the file is cut short"),
        ],
    )
    def test_malformed_files(self, file: Path, data: bytes, message: str) -> None:
        file.write_bytes(data)
        with pytest.raises(ValueError, match=f"numbers: .*{message}"):
            read_idx(file)

    @pytest.mark.parametrize(
        "header", [b"\0\0\x08\x01\0\0\0\7", b"\0\0\x0e\x01\x7f\xff\xff\xff", b"\0\0\x08\x02" + b"\xff" * 8]
    )
    def test_a_file_that_unpacks_to_more_or_less_than_it_says_takes_no_memory(self, file: Path, header: bytes) -> None:
        with gzip.open(file, "wb", 1) as packed:
            packed.write(header)
            for _ in range(64):
                packed.write(bytes(1 << 20))
        tracemalloc.start()
        try:
            with pytest.raises(
                ValueError, match=r"expected .* found (more: bytes trail the data|67,108,864: .* cut short)"
            ):
                read_idx(file)
            assert tracemalloc.get_traced_memory()[1] < 1 << 24
        finally:
            tracemalloc.stop()

    def test_a_file_that_unpacks_to_as_much_as_it_says_is_read(self, file: Path) -> None:
        file.write_bytes(gzip.compress(idx(np.zeros(1 << 22, np.int16))))
        np.testing.assert_array_equal(read_idx(file), np.zeros(1 << 22, np.int16), strict=True)

    def test_an_array_too_large_for_memory(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(stream: Any, length: int) -> Any:
            raise MemoryError

        file.write_bytes(idx(np.zeros(3, np.int16)))
        monkeypatch.setattr(sys.modules[read_idx.__module__], "_chunks", full)
        with pytest.raises(
            MemoryError, match=r"numbers: an array of shape \(3,\), dtype int16 does not fit into memory"
        ):
            read_idx(file)

    @pytest.mark.parametrize("packed", [False, True])
    def test_thousands_of_damaged_files(self, file: Path, packed: bool) -> None:
        """Bytes changed, cut out, doubled or put in anywhere: an array that the file's bytes are, or a clear error."""
        rng = np.random.default_rng(0)
        shapes: list[tuple[int, ...]] = [(0,), (7,), (2, 3), (3, 2, 2)]
        for _ in range(4_000):
            dtype, shape = list(CODES)[rng.integers(len(CODES))], shapes[rng.integers(len(shapes))]
            data = idx(rng.integers(0, 100, shape).astype(dtype))
            data = gzip.compress(data, mtime=0) if packed else data
            for _ in range(rng.integers(1, 4)):
                place, length = rng.integers(len(data) + 1), rng.integers(1, 9)
                before, part, behind = data[:place], data[place : place + length], data[place + length :]
                change = [rng.bytes(len(part)), b"", part + part, rng.bytes(length) + part][rng.integers(4)]
                data = before + change + behind
            rewrite(file, data)
            read, message = attempt(file)
            if read is None:
                assert message.startswith(f"{file}: expected ")
                assert ", found " in message
            else:
                assert idx(read) == (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)

    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"absent-idx1: no such file in .*; check the path"):
            read_idx(tmp_path / "absent-idx1")


class TestMnistFiles:
    @pytest.fixture(autouse=True)
    def nowhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither the user's own data nor the network is touched."""
        monkeypatch.delenv("TAPENET_DATA", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
        monkeypatch.setattr(mnist_module, "_MIRRORS", ())

    @pytest.fixture
    def cache(self, tmp_path: Path) -> Path:
        return tmp_path / "cache" / "tapenet" / "mnist"

    @pytest.mark.parametrize("packed", [False, True])
    def test_explicit_folder(self, tmp_path: Path, packed: bool) -> None:
        files = tiny_mnist()
        data = mnist(write(tmp_path / "here", files, packed))
        assert isinstance(data, Digits)
        assert data._fields == ("train_images", "train_labels", "test_images", "test_labels")
        for images, labels, count in ((data.train_images, data.train_labels, 5), (data[2], data[3], 3)):
            assert (images.dtype.name, images.shape) == ("float32", (count, 1, 28, 28))
            assert (labels.dtype.name, labels.shape) == ("int64", (count,))
            assert (images.min(), images.max()) == (0, 1)
        pixels = np.frombuffer(files[TRAIN_IMAGES][16:], np.uint8).reshape(5, 1, 28, 28)
        np.testing.assert_array_equal(np.rint(data.train_images * 255), pixels)
        np.testing.assert_array_equal(data.test_labels, list(files[TEST_LABELS][8:]))

    def test_gzipped_and_plain_may_be_mixed(self, tmp_path: Path) -> None:
        files = tiny_mnist()
        write(tmp_path, {name: files[name] for name in NAMES[:2]}, packed=True)
        write(tmp_path, {name: files[name] for name in NAMES[2:]})
        assert len(mnist(tmp_path).train_images) == 5

    def test_explicit_folder_that_lacks_files_is_an_error(
        self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files = tiny_mnist()
        write(cache, files)
        monkeypatch.setenv("TAPENET_DATA", str(cache))
        folder = write(tmp_path / "part", {TRAIN_IMAGES: files[TRAIN_IMAGES]})
        message = (
            r"not whole in .*part \(train-labels-idx1-ubyte\[.gz\] and 2 more missing\); "
            r"put the files there, call tapenet.data.mnist\(\) with no folder to download, "
            r"or use tapenet.data.digits\(\)"
        )
        with pytest.raises(FileNotFoundError, match=message):
            mnist(folder)

    def test_order_of_places(self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The explicit folder, then $TAPENET_DATA, then its subfolder, then the cache; told by a label."""
        data = tmp_path / "data"
        monkeypatch.setenv("TAPENET_DATA", str(data))
        for label, place in enumerate((cache, data / "mnist", data, tmp_path / "explicit")):
            labels = idx(np.array([label, 0, 0], np.uint8))
            write(place, {**tiny_mnist(), TEST_LABELS: labels})
            explicit = place if label == 3 else None
            assert mnist(explicit).test_labels[0] == label

    def test_incomplete_place_is_passed_over(
        self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TAPENET_DATA", str(write(tmp_path / "data", {TEST_LABELS: b"not read"})))
        write(cache, tiny_mnist(), packed=True)
        assert len(mnist(download=False).test_images) == 3

    def test_nothing_anywhere_and_no_download(
        self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = tmp_path / "data"
        monkeypatch.setenv("TAPENET_DATA", str(data))
        with pytest.raises(FileNotFoundError, match="allow download=True") as caught:
            mnist(download=False)
        for place in (data, data / "mnist", cache):
            assert f"{place} (train-images-idx3-ubyte[.gz] and 3 more missing)" in str(caught.value)
        assert not cache.exists()

    def test_cache_folder_of_each_system(self, monkeypatch: pytest.MonkeyPatch) -> None:
        join, cache = os.path.join, mnist_module._cache
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setenv("XDG_CACHE_HOME", "xdg")
        assert cache() == join("xdg", "tapenet", "mnist")
        monkeypatch.delenv("XDG_CACHE_HOME")
        assert cache() == join(os.path.expanduser("~/.cache"), "tapenet", "mnist")
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setenv("LOCALAPPDATA", "local")
        assert cache() == join("local", "tapenet", "mnist")

    @pytest.mark.parametrize(
        ("name", "array", "message"),
        [
            (
                TRAIN_IMAGES,
                np.zeros((5, 32, 32), np.uint8),
                r"uint8 images \(N, 28, 28\), found uint8 \(5, 32",
            ),
            (TRAIN_IMAGES, np.zeros((5, 28, 28), np.float32), r"uint8 images \(N, 28, 28\), found float32"),
            (
                TRAIN_LABELS,
                np.zeros(4, np.uint8),
                r"uint8 labels \(5,\), one for each image, found uint8 \(4,",
            ),
            (TEST_LABELS, np.array([1, 10, 2], np.uint8), r"labels from 0 to 9, found uint8 \(3,\) up to 10"),
        ],
    )
    def test_files_of_something_else(self, tmp_path: Path, name: str, array: NDArray[Any], message: str) -> None:
        write(tmp_path, {**tiny_mnist(), name: idx(array)})
        with pytest.raises(ValueError, match=f"{name}: expected {message}.*; put the MNIST file of this name"):
            mnist(tmp_path)

    def test_file_cut_short_is_named(self, tmp_path: Path) -> None:
        files = tiny_mnist()
        write(tmp_path, {**files, TEST_IMAGES: files[TEST_IMAGES][:-1]})
        with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte: expected 2,352 bytes .* cut short"):
            mnist(tmp_path)


class Mirror(http.server.BaseHTTPRequestHandler):
    """Serves the tiny data set, whole or spoilt as the first part of the path says."""

    files: dict[str, bytes]
    seen: list[str]
    server: "Server"

    def do_GET(self) -> None:
        _, how, name = self.path.split("/")
        self.server.seen.append(f"{how}/{name}")
        data = gzip.compress(self.server.files[name.removesuffix(".gz")])
        if how == "missing":
            self.send_error(404)
            return
        if how == "hang":
            self.server.over.wait(10)
        if how == "html":
            data = b"<html>Please log in to the network</html>"
        if how == "wrong":
            data = gzip.compress(b"something else")
        self.send_response(200)
        if how != "unsized":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:-7] if how == "cut" else data)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Mirror)
        self.files = tiny_mnist()
        self.seen: list[str] = []
        self.over = threading.Event()

    def url(self, how: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{how}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # The client left a transfer that hung.
            super().handle_error(request, client_address)


class TestDownload:
    @pytest.fixture
    def server(self) -> Iterator[Server]:
        with Server() as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield server
            server.over.set()
            server.shutdown()
            thread.join()

    @pytest.fixture
    def cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.delenv("TAPENET_DATA", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
        return tmp_path / "tapenet" / "mnist"

    @pytest.fixture
    def mirrors(self, server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Call it with the ways in which the mirrors, in turn, serve."""
        sums = {name: hashlib.sha256(data).hexdigest() for name, data in server.files.items()}
        monkeypatch.setattr(mnist_module, "_SHA256", sums)
        monkeypatch.setenv("no_proxy", "*")

        def use(*ways: str) -> None:
            urls = tuple(way if "://" in way else server.url(way) for way in ways)
            monkeypatch.setattr(mnist_module, "_MIRRORS", urls)

        return use

    @pytest.mark.parametrize("way", ["good", "unsized"])
    def test_success(self, server: Server, mirrors: Callable[..., None], cache: Path, way: str) -> None:
        mirrors(way)
        data = mnist()
        assert (data.train_images.shape, data.test_images.shape) == ((5, 1, 28, 28), (3, 1, 28, 28))
        np.testing.assert_array_equal(data.train_labels, list(server.files[TRAIN_LABELS][8:]))
        assert sorted(os.listdir(cache)) == sorted(f"{name}.gz" for name in NAMES)

    def test_second_call_downloads_nothing(self, server: Server, mirrors: Callable[..., None], cache: Path) -> None:
        mirrors("good")
        first, count = mnist(), len(server.seen)
        assert count == 4
        np.testing.assert_array_equal(mnist().train_images, first.train_images)
        assert len(server.seen) == count

    def test_only_what_is_missing(self, server: Server, mirrors: Callable[..., None], cache: Path) -> None:
        mirrors("good")
        write(cache, {name: data for name, data in server.files.items() if name != TEST_LABELS})
        mnist()
        assert server.seen == [f"good/{TEST_LABELS}.gz"]

    @pytest.mark.parametrize("spoilt", ["wrong", "html", "cut", "missing"])
    def test_next_mirror_is_tried(self, server: Server, mirrors: Callable[..., None], cache: Path, spoilt: str) -> None:
        mirrors(spoilt, "good")
        assert len(mnist().train_images) == 5
        assert server.seen == [f"{way}/{name}.gz" for name in NAMES for way in (spoilt, "good")]
        assert sorted(os.listdir(cache)) == sorted(f"{name}.gz" for name in NAMES)

    @pytest.mark.parametrize(
        ("spoilt", "reason"),
        [
            (
                "wrong",
                r"wrong checksum: expected SHA-256 \w{64} for .*\(unpacked\), found \w{64} in \d+ bytes",
            ),
            ("html", r"wrong checksum: .* in 41 bytes"),
            ("cut", r"the transfer was cut short: [\d,]+ of [\d,]+ bytes"),
            ("missing", "HTTP Error 404: Not Found"),
        ],
    )
    def test_no_mirror_delivers(self, mirrors: Callable[..., None], cache: Path, spoilt: str, reason: str) -> None:
        mirrors(spoilt, spoilt)
        with pytest.raises(ConnectionError, match=r"could not download train-images-idx3-ubyte\.gz:") as caught:
            mnist()
        tried, by_hand = str(caught.value).split("Try again; or get these files by hand")
        assert os.listdir(cache) == []
        caught.match(rf"(?s)/{spoilt}/{TRAIN_IMAGES}.gz: {reason}\n.*/{spoilt}/.*: {reason}\n")
        assert tried.count(TRAIN_IMAGES + ".gz: ") == 2
        assert all(f"/{spoilt}/{name}.gz\n" in by_hand for name in NAMES)
        assert f"put them in\n{cache} or in a folder that $TAPENET_DATA names" in by_hand
        assert "tapenet.data.digits(), which needs no download" in by_hand

    def test_a_mirror_that_sends_too_much(
        self, server: Server, mirrors: Callable[..., None], cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What it sends is not kept beyond the length of MNIST's files, and not unpacked beyond it either."""
        longest = max(map(len, server.files.values()))
        monkeypatch.setattr(mnist_module, "_LARGEST", longest)
        server.files[TRAIN_IMAGES] = bytes(np.random.default_rng(0).bytes(1 << 20))
        mirrors("unsized")
        with pytest.raises(ConnectionError, match=rf"unsized/{TRAIN_IMAGES}.gz: sends more than {longest:,} bytes"):
            mnist()
        bomb = gzip.compress(bytes(1 << 25), 1)
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match="here: wrong checksum"):
                mnist_module.check(bomb, TRAIN_IMAGES, "here")
            assert tracemalloc.get_traced_memory()[1] < 1 << 22
        finally:
            tracemalloc.stop()

    def test_no_network(self, mirrors: Callable[..., None], cache: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        mirrors(f"http://127.0.0.1:{port}/")  # Nobody listens there any more.
        with pytest.raises(ConnectionError, match=rf"{port}/{TRAIN_IMAGES}.gz: .*urlopen error") as caught:
            mnist()
        assert "on a machine with a network" in str(caught.value)
        assert os.listdir(cache) == []

    def test_silent_mirror_times_out(
        self, mirrors: Callable[..., None], cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(mnist_module, "_TIMEOUT", 0.1)
        mirrors("hang")
        start = time.perf_counter()
        with pytest.raises(ConnectionError, match=rf"/hang/{TRAIN_IMAGES}.gz: .*timed out"):
            mnist()
        assert time.perf_counter() - start < 5
        assert os.listdir(cache) == []

    @pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
    def test_interrupted_write_leaves_nothing_behind(
        self,
        mirrors: Callable[..., None],
        cache: Path,
        monkeypatch: pytest.MonkeyPatch,
        error: BaseException,
    ) -> None:
        def fail(source: str, target: str) -> None:
            assert os.path.dirname(source) == os.path.dirname(target)  # A rename is atomic within a disk.
            raise error

        mirrors("good")
        monkeypatch.setattr(os, "replace", fail)
        message = "cannot keep MNIST in .*No space left.*XDG_CACHE_HOME" if isinstance(error, OSError) else None
        with pytest.raises(type(error), match=message):
            mnist()
        assert os.listdir(cache) == []

    def test_cache_that_cannot_be_made(self, server: Server, mirrors: Callable[..., None], cache: Path) -> None:
        mirrors("good")
        cache.parent.write_bytes(b"a file where the folder should be")
        with pytest.raises(OSError, match=r"cannot keep MNIST in .*; make it writable, or set XDG_CACHE_HOME"):
            mnist()
        assert server.seen == []

    def test_progress_bar(self, mirrors: Callable[..., None], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from tqdm import tqdm

        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        mirrors("good")
        monkeypatch.setattr(tqdm, "monitor_interval", 0)  # No thread that outlives the test.
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        mnist()
        assert all(f"{name}.gz: 100%" in terminal.getvalue() for name in NAMES)

    def test_no_bar_without_a_terminal(
        self, mirrors: Callable[..., None], cache: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        mirrors("good")
        mnist()
        assert capsys.readouterr() == ("", "")


class TestRealMnist:
    def test_values(self) -> None:
        data = mnist(real_mnist())
        assert data.train_images.shape == (60000, 1, 28, 28)
        assert data.test_images.shape == (10000, 1, 28, 28)
        assert data.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
        assert data.test_labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
        assert data.train_images.dtype == np.float32
        # The mean that everybody normalises MNIST with.
        assert data.train_images.mean(dtype=np.float64) == pytest.approx(0.1307, abs=5e-5)

    def test_checksums(self) -> None:
        for name, path in mnist_module.files_in(real_mnist()).items():
            data = Path(path).read_bytes()
            mnist_module.check(data, name, path)
            with pytest.raises(ValueError, match="wrong checksum"):
                mnist_module.check(gzip.compress(gzip.decompress(data)[:-1], 1), name, path)

    def test_bundled_digits_are_built_from_it(self, tmp_path: Path) -> None:
        folder = real_mnist()
        for name in ("once.npz", "twice.npz"):
            build(str(folder), str(tmp_path / name))
        assert (tmp_path / "once.npz").read_bytes() == (tmp_path / "twice.npz").read_bytes()
        with np.load(BUNDLED, allow_pickle=False) as old, np.load(tmp_path / "once.npz") as new:
            assert old.files == new.files == list(Digits._fields)
            for name in Digits._fields:
                np.testing.assert_array_equal(old[name], new[name], strict=True)


class TestDigits:
    def test_what_they_are(self) -> None:
        data = digits()
        assert isinstance(data, Digits)
        for images, labels in (data[:2], data[2:]):
            assert (images.dtype.name, images.shape) == ("float32", (1000, 1, 28, 28))
            assert (labels.dtype.name, labels.shape) == ("int64", (1000,))
            assert (images.min(), images.max()) == (0, 1)
            assert np.bincount(labels).tolist() == [100] * 10
            # Mixed: every block of 100 holds at least 9 of the 10 digits.
            assert all(len(set(block.tolist())) >= 9 for block in labels.reshape(10, 100))

    def test_no_image_twice(self) -> None:
        data = digits()
        both = np.concatenate([data.train_images, data.test_images]).reshape(2000, -1)
        assert len({image.tobytes() for image in both}) == 2000

    def test_they_are_handwriting(self) -> None:
        """The nearest training image tells the digit: images and labels belong together."""
        data = digits()
        train, test = (images.reshape(1000, -1) for images in (data.train_images, data.test_images))
        distances = (train**2).sum(1) - 2 * test @ train.T
        assert (data.train_labels[distances.argmin(1)] == data.test_labels).mean() > 0.85

    def test_calls_share_nothing(self) -> None:
        digits().train_images[:] = -1
        assert digits().train_images.min() == 0

    def test_size_of_the_file(self) -> None:
        assert BUNDLED.stat().st_size < 400_000


class TestBuildDigits:
    def test_choose_is_balanced_and_frozen(self) -> None:
        labels = (np.arange(2000) % 10).astype(np.uint8)
        chosen = choose(labels, np.random.RandomState(0))
        assert len(set(chosen.tolist())) == 1000
        assert np.bincount(labels[chosen]).tolist() == [100] * 10
        np.testing.assert_array_equal(chosen, choose(labels, np.random.RandomState(0)))

    def test_only_true_mnist_will_do(self, tmp_path: Path) -> None:
        write(tmp_path, tiny_mnist())
        with pytest.raises(ValueError, match="wrong checksum: expected SHA-256"):
            build(str(tmp_path), str(tmp_path / "digits.npz"))
        assert not (tmp_path / "digits.npz").exists()

    @pytest.mark.parametrize(
        ("argument", "code", "said"),
        [
            ("--help", 0, "usage: python -m tapenet.data.build_digits [-h] [--out FILE] FOLDER"),
            ("nowhere", 1, "nowhere holds 0 of the 4 MNIST files; give their folder"),
        ],
    )
    def test_command_line(self, argument: str, code: int, said: str) -> None:
        command = [sys.executable, "-W", "error", "-m", "tapenet.data.build_digits", argument]
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == code
        assert (run.stderr if code else run.stdout).startswith(said)


class TestBatches:
    @given(
        rows=st.integers(0, 30),
        batch_size=st.integers(1, 35),
        shuffle=st.booleans(),
        drop_last=st.booleans(),
        seed=st.integers(0, 2**32),
    )
    def test_every_row_once_and_aligned(
        self, rows: int, batch_size: int, shuffle: bool, drop_last: bool, seed: int
    ) -> None:
        x = np.arange(2.0 * rows, dtype=np.float32).reshape(rows, 2)
        y = np.arange(rows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a drop_last that leaves nothing
            epoch = batches(x, y, batch_size=batch_size, shuffle=shuffle, seed=seed, drop_last=drop_last)
        for _ in range(2):
            seen = list(epoch)
            assert len(epoch) == len(seen) == (rows // batch_size if drop_last else -(-rows // batch_size))
            sizes = [len(ys) for _, ys in seen]
            assert all(size == batch_size for size in sizes[:-1])
            assert sum(sizes) == (rows - rows % batch_size if drop_last else rows)
            order = [row for _, ys in seen for row in ys.tolist()]
            if shuffle:
                assert len(set(order)) == len(order)
            else:
                assert order == list(range(sum(sizes)))
            for xs, ys in seen:
                assert (xs.dtype, ys.dtype) == (x.dtype, y.dtype)
                np.testing.assert_array_equal(xs, x[ys])

    def test_one_array_gives_arrays_and_more_give_tuples(self) -> None:
        x = np.arange(4)
        assert [batch.tolist() for batch in batches(x, batch_size=3)] == [[0, 1, 2], [3]]
        for count in (2, 3, 5):
            (batch,) = batches(*[x] * count, batch_size=4)
            assert type(batch) is tuple
            assert len(batch) == count

    def test_views_unless_shuffled(self) -> None:
        x = np.zeros((6, 2))
        assert all(np.shares_memory(batch, x) for batch in batches(x, batch_size=4))
        for batch in batches(x, batch_size=4, shuffle=True):
            assert not np.shares_memory(batch, x)
            assert batch.flags.c_contiguous

    def test_epochs_differ_and_runs_repeat(self) -> None:
        x = np.arange(50)

        def run(seed: int | np.random.Generator | None) -> list[list[int]]:
            epoch = batches(x, batch_size=16, shuffle=True, seed=seed)
            return [[row for batch in epoch for row in batch.tolist()] for _ in range(3)]

        first = run(7)
        assert run(7) == first
        assert run(np.random.default_rng(7)) == first
        assert all(a != b for a, b in itertools.combinations(first, 2))
        assert run(8) != first
        assert run(None) != run(None)

    def test_drop_last_leaves_out_other_rows_each_epoch(self) -> None:
        epoch = batches(np.arange(10), batch_size=9, shuffle=True, seed=0, drop_last=True)
        left_out = {next(iter(set(range(10)) - set(batch.tolist()))) for _ in range(20) for batch in epoch}
        assert len(left_out) > 3

    def test_drop_last_that_leaves_nothing_warns_once(self) -> None:
        def make() -> Any:
            return batches(np.arange(10), batch_size=16, drop_last=True)

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            assert [list(make()) for _ in range(3)] == [[], [], []]
        assert [w.filename for w in caught] == [__file__]
        with pytest.warns(RuntimeWarning, match=r"no batch at all: .* 10 rows, .* batch_size of at most 10, not 16"):
            make()
        assert list(batches(np.arange(0), batch_size=16, drop_last=True)) == []
        assert len(batches(np.arange(16), batch_size=16, drop_last=True)) == 1

    def test_loops_may_overlap(self) -> None:
        epoch = batches(np.arange(20), batch_size=6, shuffle=True, seed=0)
        again = batches(np.arange(20), batch_size=6, shuffle=True, seed=0)
        one, two = iter(epoch), iter(epoch)
        interleaved = [batch.tolist() for pair in zip(one, two, strict=True) for batch in pair]
        in_turn = [[batch.tolist() for batch in again] for _ in range(2)]
        assert interleaved[0::2] == in_turn[0]
        assert interleaved[1::2] == in_turn[1]

    def test_order_is_drawn_when_the_loop_begins(self) -> None:
        epoch, again = (batches(np.arange(20), batch_size=20, shuffle=True, seed=0) for _ in range(2))
        first, second = iter(epoch), iter(epoch)
        (late,), (early,) = second, first
        (expected_early,), (expected_late,) = again, again
        np.testing.assert_array_equal(early, expected_early)
        np.testing.assert_array_equal(late, expected_late)

    def test_lists_and_integer_likes(self) -> None:
        size: Any = np.int8(2)
        seen = [(xs.tolist(), ys.tolist()) for xs, ys in batches([1, 2, 3], ["a", "b", "c"], batch_size=size)]
        assert seen == [([1, 2], ["a", "b"]), ([3], ["c"])]

    @pytest.mark.parametrize(
        ("arrays", "batch_size", "error", "message"),
        [
            ((), 4, TypeError, r"batches\(\) got no arrays; write batches\(images, labels, batch_size=64\)"),
            (
                (np.zeros(3), 5.0),
                4,
                ValueError,
                r"a first axis to cut, got shapes \(3,\), \(\); give a whole",
            ),
            (
                (np.zeros((3, 2)), np.zeros(2)),
                4,
                ValueError,
                r"arrays of one length, got shapes \(3, 2\), \(2,\); the first axis .* must agree",
            ),
            ((np.zeros(3),), 0, ValueError, r"batch_size of at least 1, got 0; .* write batch_size=3"),
            ((np.zeros(3),), -2, ValueError, r"batch_size of at least 1, got -2"),
            (
                (np.zeros(3),),
                0.5,
                TypeError,
                r"an integer batch_size, got 0.5; .* int\(fraction \* len\(array\)\)",
            ),
            ((np.zeros(3),), None, TypeError, r"an integer batch_size, got None"),
        ],
    )
    def test_wrong_calls(self, arrays: tuple[Any, ...], batch_size: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            batches(*arrays, batch_size=batch_size)
