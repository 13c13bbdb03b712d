"""Files that are cut off, changed, of another kind or made to hurt: the right data or a clear error, and no memory for what
a file only claims."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

import tapenet as tn
from tapenet import files
from tapenet.files import safetensors
from tapenet.files.safetensors import NAMES

STATE: dict[str, Any] = {
    "model": {"w": np.arange(12.0).reshape(3, 4), "b": np.ones(3, np.float16)},
    "shape": (3, 4),
    "rng": {"state": 2**100, "flags": [True, None, float("nan")]},
    "z": np.ones(2, complex),
}


def _load(folder: Path, whole: bytes) -> Any:
    path = folder / "x.safetensors"
    path.write_bytes(whole)
    return tn.load(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@pytest.fixture(scope="module", autouse=True)
def _nothing_waits_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def _written(folder: Path, state: Any) -> bytes:
    tn.save(state, folder / "whole.safetensors")
    return (folder / "whole.safetensors").read_bytes()


@pytest.mark.parametrize(
    "state", [STATE, {"w": np.arange(40, dtype=np.int16), "b": np.ones(1)}], ids=["nested", "flat"]
)
def test_no_bit_can_be_changed(folder: Path, state: Any) -> None:
    """In length, header and arrays: it is an error, never other data."""
    whole = _written(folder, state)
    for place in [*range(60), *range(60, len(whole), 7), *range(len(whole) - 8, len(whole))]:
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        with pytest.raises(files.DamagedFile, match=r"x.safetensors' cannot be loaded: "):
            _load(folder, bytes(changed))


@pytest.mark.parametrize("size", [255, 256, 300, 131_072, 200_001], ids=str)
def test_no_bit_of_a_large_array_can_be_changed(folder: Path, size: int) -> None:
    whole = _written(folder, {"w": np.arange(size, dtype=np.float64)})
    for place in np.random.default_rng(size).integers(len(whole) - 8 * size, len(whole), 20):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        with pytest.raises(files.DamagedFile, match=r"checksum does not fit"):
            _load(folder, bytes(changed))


def test_pages_cannot_be_swapped_or_lost(folder: Path) -> None:
    """What a disk does: a page of zeros, or one in the place of another."""
    whole = _written(folder, {"w": np.random.default_rng(0).normal(size=100_000)})
    one, other = (slice(page * 4096, (page + 1) * 4096) for page in (17, 130))
    for change in (lambda c: c.__setitem__(one, bytes(4096)), lambda c: c.__setitem__(one, c[other])):
        changed = bytearray(whole)
        change(changed)
        with pytest.raises(files.DamagedFile, match=r"checksum does not fit"):
            _load(folder, bytes(changed))
    changed = bytearray(whole)
    changed[one], changed[other] = whole[other], whole[one]
    with pytest.raises(files.DamagedFile, match=r"checksum does not fit"):
        _load(folder, bytes(changed))


def test_nothing_can_be_cut_off_or_added(folder: Path) -> None:
    whole = _written(folder, STATE)
    for stop in [*range(16), *range(16, len(whole), 13), len(whole) - 1]:
        with pytest.raises(files.DamagedFile, match=r"cannot be loaded: Error while deserializing header: "):
            _load(folder, whole[:stop])
    with pytest.raises(files.DamagedFile, match=r"file not fully covered"):
        _load(folder, whole + b"\0")


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 5000),
    st.booleans(),
)
@settings(max_examples=150)
def test_what_is_damaged_is_the_right_data_or_our_error(
    folder: Path, changes: list[tuple[int, int]], stop: int, cut: bool
) -> None:
    whole = _written(folder, STATE)
    changed = bytearray(whole[:stop] if cut else whole)
    for place, value in changes:
        if changed:
            changed[place % len(changed)] = value
    if bytes(changed) == whole:
        assert repr(_load(folder, bytes(changed))) == repr(STATE)
    else:
        with pytest.raises(files.DamagedFile):
            _load(folder, bytes(changed))


# -- headers that are made to hurt -------------------------------------------------------------------------------


def _file(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def _one(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8), **more: Any) -> dict[str, Any]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}}


def _two(first: list[int], second: list[int]) -> dict[str, Any]:
    return {name: _one("U8", [n[1] - n[0]], n)["a"] for name, n in (("a", first), ("b", second))}


EIGHT = bytes(8)
HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "header too small"),
    "a few bytes": (b"1234567", "header too small"),
    "huge length": (_file({}, length=2**64 - 1), "header too large"),
    "length of 10 TB": (_file({}, length=10**13), "header too large"),
    "length one too long": (_file({}, length=3), "invalid header length"),
    "no JSON": (_file(b"{nothing}"), "invalid JSON in header"),
    "no text": (_file(b"\xff\xfe{}"), "invalid UTF-8 in header"),
    "text cut in a character": (_file(b'{"\xc3'), "invalid UTF-8 in header"),
    "a list": (_file([]), "invalid JSON in header"),
    "nan": (_file(b'{"a": NaN}'), "invalid JSON in header"),
    "deep lists": (_file(b"[" * 100_000), "invalid JSON in header"),
    "deep objects": (_file(b'{"a":' * 100_000), "recursion limit exceeded"),
    "deep metadata": (_file(b'{"__metadata__":' + b"[" * 50_000 + b"]" * 50_000 + b"}"), "invalid JSON in header"),
    "a number of 10,000 digits": (_file(b'{"a": ' + b"9" * 10_000 + b"}"), "number out of range"),
    "dtype twice": (_file(b'{"a":{"dtype":"U8","dtype":"I8","shape":[8],"data_offsets":[0,8]}}', EIGHT), "duplicate field"),
    "metadata twice": (_file(b'{"__metadata__":{},"__metadata__":{}}'), "duplicate field"),
    "metadata of numbers": (_file({"__metadata__": {"a": 1}}), "expected a string"),
    "metadata of a list": (_file({"__metadata__": ["a"]}), "expected a map"),
    "an entry that is a list": (_file({"a": []}), "expected struct TensorInfo"),
    "an entry without shape": (_file({"a": {"dtype": "U8", "data_offsets": [0, 8]}}, EIGHT), "missing field `shape`"),
    "unknown dtype": (_file(_one("F128"), EIGHT), "unknown variant `F128`"),
    "a dtype that is a list": (_file(_one(["F32"]), EIGHT), "expected string or map"),
    "a pickle's dtype": (_file(_one("O"), EIGHT), "unknown variant `O`"),
    "a shape that is a number": (_file(_one(shape=2), EIGHT), "expected a sequence"),
    "a negative size": (_file(_one(shape=[-2]), EIGHT), "integer `-2`, expected usize"),
    "two negative sizes": (_file(_one(shape=[-1, -2]), EIGHT), "integer `-1`, expected usize"),
    "a size that is a fraction": (_file(_one(shape=[2.0]), EIGHT), "floating point `2.0`, expected usize"),
    "a size that is true": (_file(_one("F64", shape=[True]), EIGHT), "boolean `true`, expected usize"),
    "65 axes": (_file(_one(shape=[1] * 64 + [2]), EIGHT), "array 'a': .*64"),
    "a hundred thousand axes": (_file(_one(shape=[1] * 100_000), EIGHT), "invalid shape, data type, or offset"),
    "a product that wraps to 2": (_file(_one(shape=[2**32, 2**32 + 1, 2]), EIGHT), "overflow computing buffer size"),
    "a product that wraps to 0": (_file(_one(shape=[2**32, 2**32], offsets=[0, 0])), "overflow computing buffer size"),
    "huge beside 0": (_file(_one(shape=[0, 2**40, 2**40], offsets=[0, 0])), "array 'a': array is too big"),
    "a size beyond integers": (_file(_one(shape=[2**70]), EIGHT), "expected usize"),
    "10 TB": (_file(_one(shape=[10**12, 10], offsets=[0, 4 * 10**13]), EIGHT), "file not fully covered"),
    "too small a place": (_file(_one(shape=[3]), EIGHT), "invalid shape, data type, or offset"),
    "too large a place": (_file(_one(shape=[1]), EIGHT), "invalid shape, data type, or offset"),
    "a place before the data": (_file(_one(offsets=[-8, 0]), EIGHT), "integer `-8`, expected usize"),
    "a place backwards": (_file(_one(offsets=[8, 0]), EIGHT), "invalid offset for tensor `a`"),
    "a place of three": (_file(_one(offsets=[0, 4, 8]), EIGHT), "invalid length 3"),
    "a place behind the data": (_file(_one(offsets=[8, 16]), EIGHT), "invalid offset for tensor `a`"),
    "overlap": (_file(_two([0, 5], [3, 8]), EIGHT), "invalid offset for tensor `b`"),
    "the same place": (_file(_two([0, 8], [0, 8]), EIGHT), "invalid offset for tensor `.`"),
    "gap": (_file(_two([0, 3], [4, 8]), EIGHT), "invalid offset for tensor `b`"),
    "nothing in the middle of another": (_file(_two([0, 8], [4, 4]), EIGHT), "invalid offset for tensor `b`"),
    "bytes left over": (_file(_one(), EIGHT + b"1"), "file not fully covered"),
    "data without names": (_file({}, EIGHT), "file not fully covered"),
    "a zip archive": (b"PK\x03\x04" + bytes(100), "zip archive, as numpy.savez and torch.save write"),
    "structure without checksum": (_file({"__metadata__": {"tapenet.structure": "[]"}}), "'tapenet.checksum' is missing"),
    "another checksum": (_file({"__metadata__": {"a": "", "tapenet.checksum": "0"}}), "its checksum does not fit"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_header_that_lies_is_refused_without_memory(folder: Path, name: str) -> None:
    whole, message = HOSTILE[name]
    tracemalloc.start()
    try:
        with pytest.raises(files.DamagedFile, match=message):
            _load(folder, whole)
        # JSON's own objects take up to some 90 bytes for one of text; nothing goes by what the header says.
        assert tracemalloc.get_traced_memory()[1] < 200_000 + 100 * len(whole)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "F8_E8M0"])
def test_dtypes_that_arrays_do_not_have_are_named(folder: Path, dtype: str) -> None:
    with pytest.raises(files.DamagedFile, match=f"array 'a' is of dtype {dtype}, and known are BOOL, U8"):
        _load(folder, _file(_one(dtype, (8,)), b"12345678"))


@pytest.mark.parametrize("write", [np.save, np.savez], ids=["save", "savez"])
def test_numpys_own_files_are_named(folder: Path, write: Any) -> None:
    file = io.BytesIO()
    write(file, np.arange(100))
    with pytest.raises(files.DamagedFile, match=r"load it with"):
        _load(folder, file.getvalue())


def _ours(structure: Any, arrays: dict[str, Any]) -> bytes:
    """A file with a checksum that fits, of any structure."""
    text = structure if isinstance(structure, str) else json.dumps(structure)
    file = io.BytesIO()
    safetensors.write(file, arrays, {"tapenet.structure": text})
    return file.getvalue()


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ("{", "structure is wrong"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 200 + "]" * 200, "nested more than 100 levels deep"),
        ({}, "stands for nothing"),
        ({"a": 1, "b": 2}, "stands for nothing"),
        ({"eval": "1"}, "'eval' is no kind of value"),
        ({"array": "b"}, "there is no array 'b'"),
        ({"array": ["a"]}, r"there is no array \['a'\]"),
        ({"dict": 3}, "3 is no list of parts"),
        ({"dict": [3]}, "3 is no list of parts"),
        ({"dict": [["k"]]}, "a dict is pairs"),
        ({"dict": [["k", 1], ["k", 2]]}, "a dict is pairs"),
        ({"dict": [[None, 1]]}, "a dict is pairs"),
        ({"dict": [[["k"], 1]]}, "a dict is pairs"),
        ({"tuple": "ab"}, "is no list of parts"),
        ({"float": "1e400"}, "is none of nan, inf, -inf"),
        ({"float": ["nan"]}, "is none of nan, inf, -inf"),
        ({"complex": [1, 2.0]}, "two floats"),
        ({"complex": [1.0]}, "two floats"),
        ({"complex128": "a"}, "no pairs of float64"),
    ],
    ids=str,
)
def test_a_structure_that_lies_is_refused(folder: Path, structure: Any, message: str) -> None:
    with pytest.raises(files.DamagedFile, match=message):
        _load(folder, _ours(structure, {"a": np.arange(3.0)}))


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**66) | st.sampled_from([0.5, "a", "b", "U8", "F32", "nan"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "dtype", "shape", "data_offsets", "__metadata__", "array", "dict", "tuple", "float"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
_sizes = st.lists(st.integers(-1, 4) | st.sampled_from([2**31, 2**32, 2**63]), max_size=3)
_entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from([*(d for d in NAMES.values() if d != "BF16"), "F4", None]),
        "shape": _sizes,
        "data_offsets": st.lists(st.integers(-1, 40), min_size=2, max_size=2),
    }
)


@given(_json | st.dictionaries(st.sampled_from("abc"), _entries | _json, max_size=3), st.integers(0, 40))
@settings(max_examples=150)
def test_any_header_is_arrays_that_fit_or_our_error(folder: Path, header: Any, size: int) -> None:
    data = bytes(range(size))
    try:
        loaded = _load(folder, _file(header, data))
    except files.DamagedFile:
        return
    assert sum(array.nbytes for array in loaded.values()) == size
    for name, array in loaded.items():
        start, stop = header[name]["data_offsets"]
        assert array.tobytes() == data[start:stop]


@given(_json)
@settings(max_examples=100)
def test_any_structure_is_a_value_or_our_error(folder: Path, structure: Any) -> None:
    whole = _ours(structure, {"a": np.arange(3.0), "b": np.ones((2, 2))})
    try:
        loaded = _load(folder, whole)
    except files.DamagedFile:
        return
    tn.save(loaded, folder / "again.safetensors")
    assert repr(tn.load(folder / "again.safetensors")) == repr(loaded)


def test_what_is_no_file_is_an_error_of_the_system(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tn.load(folder / "nothing")
    with pytest.raises(IsADirectoryError):
        tn.load(folder)


def test_another_program_that_takes_over_the_metadata_is_told(folder: Path) -> None:
    _written(folder, {"a": np.arange(3.0)})
    with safe_open(folder / "whole.safetensors", framework="np") as file:
        kept = file.metadata()
    save_file({"a": np.arange(4.0)}, folder / "rewritten", metadata=kept)
    with pytest.raises(files.DamagedFile, match=r"has to leave out what begins with"):
        tn.load(folder / "rewritten")
