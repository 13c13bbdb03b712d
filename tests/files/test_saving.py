"""`tn.save` and `tn.load`: what goes in comes out, and other readers of safetensors read it too."""

from __future__ import annotations

import collections
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tapenet as tn
from tapenet import files, nn, optim
from tapenet.files.safetensors import NAMES
from tapenet.program.low import dtype_of


def _same(a: Any, b: Any) -> bool:
    """Whether two states are the same in values, types, dtypes and shapes."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, (np.ndarray, np.generic)):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return repr(a) == repr(b)  # nan is nan, -0.0 is not 0.0


def _array(dtype: str, shape: tuple[int, ...] = (2, 3)) -> Any:
    rng = np.random.default_rng(0)
    values = rng.normal(size=shape) * 50
    return np.asarray(values + 1j * rng.normal(size=shape) if dtype.startswith("c") else values).astype(dtype_of(dtype))


ALL = [*(d for d in NAMES if d != "bfloat16"), "complex128"]


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3), (3, 0, 2), (1, 1, 1)], ids=str)
def test_every_dtype_and_shape_comes_back(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    state = {"a": _array(dtype, shape), "flag": np.array(True), "b": _array(dtype, shape)}
    tn.save(state, tmp_path / "x.safetensors")
    loaded = tn.load(tmp_path / "x.safetensors")
    assert _same(loaded, state)
    assert all(a.flags.c_contiguous and a.flags.writeable and a.flags.aligned for a in loaded.values())


def test_bfloat16_comes_back(tmp_path: Path) -> None:
    pytest.importorskip("ml_dtypes")
    state = {"a": _array("bfloat16"), "b": _array("bfloat16").T, "none": _array("bfloat16", (0, 2))}
    tn.save(state, tmp_path / "x.safetensors")
    assert _same(tn.load(tmp_path / "x.safetensors"), {k: np.ascontiguousarray(v) for k, v in state.items()})


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3).T,
        np.asfortranarray(np.arange(24).reshape(2, 3, 4)),
        np.arange(20)[::-3],
        np.broadcast_to(np.float32(2), (3, 2)),
        np.arange(4, dtype=">i4"),
        np.arange(4, dtype=">f8").reshape(2, 2).T,
        np.ones((2, 3), "c16").T.conj(),
    ],
    ids=["transposed", "fortran", "reversed", "broadcast", "big end first", "both", "complex"],
)
def test_arrays_lie_in_c_order_whatever_they_were(tmp_path: Path, array: Any) -> None:
    tn.save({"a": array}, tmp_path / "x.safetensors")
    loaded = tn.load(tmp_path / "x.safetensors")["a"]
    np.testing.assert_array_equal(loaded, array)
    assert loaded.flags.c_contiguous
    assert loaded.dtype.isnative


NESTED = {
    "model": {"layers": [{"w": np.arange(3.0), "b": np.float32(0.5)}, {"w": np.eye(2, dtype=np.int16), "b": None}]},
    "optimizer": {"state": {0: {"step": 3, "m": np.ones(2)}, 1: {}}, "betas": (0.9, 0.999)},
    "history": [[], (), {}, [1, 2.5, -0.0, 1e300, 5e-324, float("inf"), float("-inf"), float("nan")]],
    "rng": {"state": 2**127 + 12345, "inc": -(2**70), "name": "PCG64"},
    "text": 'Grüße "quoted"\n\\ \x00 ',
    "": True,
    "a.b": np.ones(1),
    "a": {"b": np.zeros(1)},
    "__metadata__": np.array([3]),
    "z": 1 + 2j,
    "z16": np.complex128(complex(float("nan"), -0.0)),
    "flag": np.bool_(True),
}


@pytest.mark.parametrize(
    "state",
    [NESTED, {}, [], (), None, 7, "text", np.arange(3), np.float16(2), [np.ones(2)], {"a": 1}, {3: np.ones(1)}],
    ids=lambda s: type(s).__name__,
)
def test_structures_come_back(tmp_path: Path, state: Any) -> None:
    tn.save(state, tmp_path / "x.safetensors")
    assert _same(tn.load(tmp_path / "x.safetensors"), state)


def test_the_order_of_a_dict_comes_back(tmp_path: Path) -> None:
    state = {"z": np.zeros(1, np.int8), "a": np.zeros(1), "m": np.zeros(1, np.float16)}
    tn.save(state, tmp_path / "x.safetensors")
    assert list(tn.load(tmp_path / "x.safetensors")) == ["z", "a", "m"]


def test_a_shared_array_is_stored_once_and_one_again(tmp_path: Path) -> None:
    shared, z = np.zeros(100_000), np.ones(2, complex)
    tn.save({"a": shared, "b": [shared, z], "c": {"d": shared, "z": z}}, tmp_path / "x.safetensors")
    assert (tmp_path / "x.safetensors").stat().st_size < 1.1 * shared.nbytes
    loaded = tn.load(tmp_path / "x.safetensors")
    assert loaded["a"] is loaded["b"][0] is loaded["c"]["d"]
    assert loaded["b"][1] is loaded["c"]["z"]


def test_dicts_lists_and_texts_of_other_kinds_are_stored_as_those(tmp_path: Path) -> None:
    tn.save(
        collections.OrderedDict(a=np.str_("x"), b=collections.defaultdict(list, c=[tn.tensor([1.0])])),
        tmp_path / "x.safetensors",
    )
    assert _same(tn.load(tmp_path / "x.safetensors"), {"a": "x", "b": {"c": [np.array([1.0])]}})


def test_modules_and_optimizers_are_stored_by_their_state(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    opt = optim.Adam(net.parameters(), lr=0.1)
    net(np.ones((4, 2), np.float32)).sum().backward()
    opt.step()
    tn.save(net, tmp_path / "net.safetensors")
    assert _same(tn.load(tmp_path / "net.safetensors"), net.state_dict())
    tn.save({"net": net, "opt": opt, "w": net[0].weight}, tmp_path / "all.safetensors")
    expected = {"net": net.state_dict(), "opt": opt.state_dict(), "w": net[0].weight.numpy()}
    assert _same(tn.load(tmp_path / "all.safetensors"), expected)


class _Odd:
    def method(self) -> None: ...


class _Table:
    def __array__(self) -> Any: ...


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda: 0, "the function .*<lambda> cannot be stored; functions and classes are code"),
        (nn.Linear, "the ABCMeta|the type Linear cannot be stored"),
        ({1, 2}, "set cannot be stored; it has no order: give sorted"),
        (b"bytes", r"bytes cannot be stored; give np.frombuffer"),
        (_Odd(), r"an object of type tests.files.test_saving._Odd cannot be stored; a file holds dicts"),
        (_Odd().method, "method .*method cannot be stored"),
        (Point(1, 2), "Point cannot be stored; its type would be lost"),
        (np.random.default_rng(0), "give its state, generator.bit_generator.state"),
        (np.array([None]), "dtype object cannot be stored; cast it to one of"),
        (np.array(["a"]), "dtype <U1 cannot be stored.*store what is in it as lists"),
        (np.datetime64("2020-01-01"), r"dtype datetime64\[D\] cannot"),
        (np.zeros(2, np.longdouble), "dtype (float128|longdouble|float96) cannot be stored"),
        (np.zeros(2, "f4,i4"), "cannot be stored"),
        (np.ma.array([1, 2]), "masked array cannot be stored; store its .data and its .mask"),
        (_Table(), "_Table cannot be stored; give np.asarray"),
        ({1.5: 0}, "the key 1.5 is no text and no integer"),
        ({True: 0}, "the key True is no text and no integer"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_cannot_be_stored_is_named_and_nothing_is_written(tmp_path: Path, value: Any, message: str) -> None:
    path = tmp_path / "x.safetensors"
    tn.save({"before": np.ones(2)}, path)
    before = path.read_bytes()
    with pytest.raises(TypeError, match=rf"^tn.save: at state\['a'\]\[1\]: .*{message}.*Nothing was written$"):
        tn.save({"a": [np.ones(3), value]}, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_what_holds_itself_is_refused(tmp_path: Path) -> None:
    state: list[Any] = []
    state.append({"again": state})
    with pytest.raises(TypeError, match="nested more than 100 levels deep, or holds itself"):
        tn.save(state, tmp_path / "x.safetensors")


def test_what_may_be_stored_may_be_loaded_however_deep(tmp_path: Path) -> None:
    state: Any = 1
    for i in range(100):
        state = {"k": state} if i % 2 else (state,)
    tn.save(state, tmp_path / "x.safetensors")
    assert tn.load(tmp_path / "x.safetensors") == state


def test_metadata_go_with_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    tn.save({"a": np.ones(2)}, path, metadata={"format": "pt", "note": "Größe"})
    assert files.metadata(path) == {"format": "pt", "note": "Größe"}
    for wrong in ({"n": 3}, {3: "n"}, {"tapenet.structure": "null"}):
        with pytest.raises(TypeError, match="metadata are texts by name"):
            tn.save({}, path, metadata=wrong)  # type: ignore[arg-type]


def test_the_same_state_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        tn.save(NESTED, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# -- other readers -----------------------------------------------------------------------------------------------


def test_the_package_of_the_format_reads_and_writes_the_same(tmp_path: Path) -> None:
    flat = {dtype: _array(dtype).T for dtype in ALL if not dtype.startswith("complex")}
    tn.save(flat, tmp_path / "ours", metadata={"k": "v"})
    read = load_file(tmp_path / "ours")
    assert read.keys() == flat.keys()
    for name, array in flat.items():
        np.testing.assert_array_equal(read[name], array, strict=True)
    save_file({n: np.ascontiguousarray(a) for n, a in flat.items()}, tmp_path / "theirs", metadata={"k": "v"})
    loaded = tn.load(tmp_path / "theirs")
    assert loaded.keys() == flat.keys()
    for name, array in flat.items():
        np.testing.assert_array_equal(loaded[name], array, strict=True)
    assert files.metadata(tmp_path / "theirs") == {"k": "v"}


def test_other_readers_see_the_arrays_of_a_structure_by_their_paths(tmp_path: Path) -> None:
    tn.save(NESTED, tmp_path / "x")
    read = load_file(tmp_path / "x")
    assert list(read)
    assert {"model.layers.0.w", "optimizer.state.0.m", "a.b", "a.b#2"} <= read.keys()
    np.testing.assert_array_equal(read["model.layers.0.w"], np.arange(3.0))


def test_pytorchs_users_read_and_write_the_same(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("safetensors.torch")
    pytest.importorskip("ml_dtypes")
    names = [*NAMES, "complex64"]
    flat = {dtype: _array(dtype) for dtype in names}
    tn.save(flat, tmp_path / "ours")
    read = theirs.load_file(tmp_path / "ours")
    for name, array in flat.items():
        assert str(read[name].dtype) == f"torch.{name}"
        if name == "bfloat16":
            np.testing.assert_array_equal(read[name].view(torch.int16).numpy(), array.view(np.int16))
        else:
            np.testing.assert_array_equal(read[name].numpy(), array, strict=True)
    theirs.save_file(read, tmp_path / "theirs", metadata={"format": "pt"})
    loaded = tn.load(tmp_path / "theirs")
    assert _same(loaded, {name: flat[name] for name in loaded})
    assert loaded.keys() == flat.keys()


def test_the_header_is_what_the_format_says(tmp_path: Path) -> None:
    """By hand, as a reader of another language would."""
    tn.save({"small": np.array([1, 2], np.int8), "wide": np.array([3.0])}, tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    assert header["small"] == {"dtype": "I8", "shape": [2], "data_offsets": [8, 10]}
    assert header["wide"] == {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}
    assert length % 8 == 0
    assert whole[8 + length :] == np.float64(3).tobytes() + b"\x01\x02"
