"""The reader of IDX files."""

import gzip
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tapenet.data import read_idx
from tests.data.idx_files import CODES, idx


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

    @pytest.mark.slow
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
