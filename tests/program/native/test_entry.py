"""What a program takes as arguments: by the builtin function that reads array objects itself, and where that is not
possible."""

from __future__ import annotations

import ctypes
import gc
import itertools
import sys
import sysconfig
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.ir import Input, Program, Reference, Write
from tapenet.program.layout import copied
from tests.program.evaluate import evaluate
from tests.program.passes.programs import Build, constant

pytest.importorskip("llvmlite")

from tapenet.program.native import build, entry
from tapenet.program.native.runner import GUARDS
from tests.program.native.running import assert_native, entered  # noqa: F401  (a fixture)

pytestmark = pytest.mark.usefixtures("entered")

#: The real one, anew at each call.
USABLE = entry.usable.__wrapped__
X = np.arange(6, dtype=np.float32).reshape(2, 3)
Y = np.linspace(-1, 1, 4)


def two() -> Program:
    """Of a float32[2, 3] and a float64[4]."""
    b = Build()
    x, y = b.input(2, 3), b.input(4, dtype=np.float64)
    return b.program(b.emit("multiply", x, constant(2)), b.emit("reduce_add", y, axes=(0,)))


class Sub(np.ndarray[Any, Any]):
    """A subclass."""


class Odd(np.ndarray[Any, Any]):
    """A subclass that gives nothing away."""

    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError

    def __array_finalize__(self, other: Any) -> None:
        pass


def misaligned(array: Any) -> Any:
    raw = np.zeros(array.nbytes + 1, np.uint8)
    made = raw[1:].view(array.dtype).reshape(array.shape)
    made[...] = array
    assert not made.flags.aligned
    return made


def read_only(array: Any) -> Any:
    made = array.copy()
    made.flags.writeable = False
    return made


def every_other(array: Any) -> Any:
    made = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
    made[..., ::2] = array
    return made[..., ::2]


#: What a call takes as it is.
TAKEN = {
    "plain": X,
    "read-only": read_only(X),
    "a view": np.concatenate([X, X])[2:],
    "strides that mean nothing": np.lib.stride_tricks.as_strided(X[None], (1, 2, 3), (7, 12, 4))[0],
    "a dtype with metadata": X.astype(np.dtype("f4", metadata={"unit": "m"})),
    "a dtype made anew": X.astype(np.dtype("=f4")),
    "of a buffer": np.frombuffer(bytearray(X.tobytes()), "f4").reshape(2, 3),
}
#: What it takes as a copy.
COPIED = {
    "Fortran order": np.asfortranarray(X),
    "transposed": X.T.copy().T,
    "every other": every_other(X),
    "backwards": X[::-1, ::-1].copy()[::-1, ::-1],
    "broadcast": np.broadcast_to(X[0], (2, 3)),
    "misaligned": misaligned(X),
    "a subclass": X.view(Sub),
    "an odd subclass": X.view(Odd),
    "a record array": X.view(np.recarray),
}
#: What it refuses.
REFUSED = {
    "float64": X.astype("f8"),
    "int32": X.astype("i4"),
    "float16": X.astype("f2"),
    "complex": X.astype("c8"),
    "objects": X.astype(object),
    "text": X.astype("S4"),
    "the other byte order": X.astype(X.dtype.newbyteorder()),
    "the same bytes": X.view("u4"),
    "records": X.view([("a", "f4")]),
    "another shape": X.reshape(3, 2),
    "more axes": X[None],
    "fewer axes": X.ravel(),
    "longer": np.concatenate([X, X]),
    "wider": np.concatenate([X, X], 1),
    "narrower": X[:, :2].copy(),
    "shorter": X[:1],
    "empty": X[:0],
    "0-d": np.float32(1).reshape(()),
    "a number": 1.0,
    "a NumPy number": np.float32(1),
    "a list": X.astype("f8").tolist(),
    "bytes": X.tobytes(),
    "None": None,
    "an object": object(),
    "a type": np.ndarray,
    "a dtype": X.dtype,
    "a tensor of float64": tn.asarray(X.astype("f8")),
}


@pytest.mark.parametrize("name", TAKEN)
def test_arguments_that_are_taken(name: str) -> None:
    given = TAKEN[name]
    runner = build(two())
    for call in (runner.call, runner):
        doubled, total = call(given, Y)
        np.testing.assert_array_equal(doubled, given * 2)
        assert total == Y.sum()
    np.testing.assert_array_equal(given, np.arange(6).reshape(2, 3))


@pytest.mark.parametrize("name", COPIED)
def test_arguments_that_are_copied(name: str) -> None:
    given = COPIED[name]
    runner = build(two())
    assert runner.call(given, Y) is NotImplemented
    doubled, total = runner(given, Y)
    assert type(doubled) is np.ndarray
    np.testing.assert_array_equal(doubled, 2 * np.array(given))
    assert total == Y.sum()


@pytest.mark.parametrize("name", REFUSED)
def test_arguments_that_are_refused(name: str) -> None:
    runner = build(two())
    for given in ((REFUSED[name], Y), (X, REFUSED[name])):
        assert runner.call(*given) is NotImplemented
        with pytest.raises(TypeError, match=r"a program for float32\[2,3\], float64\[4\] was given"):
            runner(*given)
    np.testing.assert_array_equal(runner.call(X, Y)[0], 2 * X)  # which harms nothing


@pytest.mark.parametrize("given", [(), (X,), (X, Y, X)], ids=len)
def test_the_wrong_number_of_arguments(given: Any) -> None:
    runner = build(two())
    for call in (runner.call, runner):
        with pytest.raises(TypeError, match=r"positional argument"):
            call(*given)


@pytest.mark.parametrize("dtype", ["?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "f", "d"])
def test_every_dtype(dtype: str) -> None:
    """Also those that are as wide as another one, of which C has several."""
    b = Build()
    x = b.input(3, dtype=dtype)
    runner = build(b.program(b.emit("copy", x)))
    for other in "?bBhHiIlLqQfd":
        given = np.array([1, 0, 1], other)
        found = runner.call(given)
        if given.dtype == x.dtype:
            np.testing.assert_array_equal(found[0], given)
        else:
            assert found is NotImplemented


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0), (1,), (1, 1), (2, 0, 3), (1,) * 12])
def test_arrays_of_few_elements(shape: tuple[int, ...]) -> None:
    b = Build()
    x, y = b.input(*shape), b.input(*shape)
    program = b.program(b.emit("add", x, y), b.emit("exp", x), b.emit("reduce_add", y, axes=tuple(range(len(shape)))))
    runner = assert_native(program, np.ones(shape, np.float32), np.full(shape, 2, np.float32), rtol=1e-6)
    assert runner.call(np.ones((*shape, 1), np.float32), np.ones(shape, np.float32)) is NotImplemented


def test_many_arguments_and_results() -> None:
    b = Build()
    inputs = [b.input(k % 4, 2, dtype=np.float64 if k % 3 else np.float32) for k in range(60)]
    program = b.program(*(b.emit("negative", x) for x in inputs), b.emit("add", inputs[1], inputs[5]))
    given = [np.full(x.shape, k, x.dtype) for k, x in enumerate(inputs)]
    runner = assert_native(program, *given)
    for k in range(60):
        wrong = [*given]
        wrong[k] = np.ones((5, 2), wrong[k].dtype)
        assert runner.call(*wrong) is NotImplemented


def test_no_arguments_and_no_results() -> None:
    target = tn.tensor(np.zeros(3))
    b = Build()
    reference = Reference(target)
    b.writes.append(Write(reference, b.emit("add", reference, constant(1, np.float64))))
    runner = build(b.program())
    assert [runner.call() for _ in range(3)] == [()] * 3
    assert target.tolist() == [3.0] * 3


def test_one_array_for_several_arguments() -> None:
    b = Build()
    x, y = b.input(2, 3), b.input(2, 3)
    runner = build(b.program(b.emit("subtract", x, y), b.emit("add", x, y)))
    zero, double = runner.call(X, X)
    np.testing.assert_array_equal(zero, np.zeros((2, 3)))
    np.testing.assert_array_equal(double, 2 * X)
    room = np.arange(12, dtype=np.float32)
    first, second = room[:6].reshape(2, 3), room[3:9].reshape(2, 3)
    np.testing.assert_array_equal(runner.call(first, second)[1], first + second)


# -- memory that is written --------------------------------------------------------------------------------------


def added(*arrays: Any) -> Program:
    """Adds an argument to tensors that lie in the given memory, and returns it, doubled."""
    b = Build()
    x = b.input(*arrays[0].shape, dtype=np.float64)
    for array in arrays:
        reference = Reference(tn.asarray(array))
        b.writes.append(Write(reference, b.emit("add", reference, x)))
    return b.program(b.emit("add", x, x))


@pytest.mark.parametrize("begin", range(0, 17))
def test_an_argument_in_memory_that_is_written(begin: int) -> None:
    """What is given is what was there when the call began."""
    room = np.arange(24.0)
    target, given = room[8:16], room[begin : begin + 8]
    runner = build(added(target))
    assert np.shares_memory(runner.module.program.references[0].tensor._data, target)
    apart = begin in (0, 16)
    before, wanted = target.copy(), given.copy()
    assert (runner.call(given) is NotImplemented) != apart
    if not apart:
        np.testing.assert_array_equal(target, before)  # it has done nothing
        (doubled,) = runner(given)
        np.testing.assert_array_equal(doubled, 2 * wanted)
    np.testing.assert_array_equal(target, before + wanted)


def test_more_tensors_than_ranges_that_are_told_apart() -> None:
    count = GUARDS + 9
    room = np.zeros((2 * count, 32))
    runner = build(added(*room[::2]))
    for k in range(2 * count):
        room[...] = 0
        room[k] = 1
        found = runner.call(room[k])
        assert (found is NotImplemented) == (k % 2 == 0)
        (doubled,) = found if k % 2 else runner(room[k])
        np.testing.assert_array_equal(doubled, np.full(32, 2))
        expected = np.where(np.arange(2 * count) % 2, 0, 1)
        expected[k] += 1
        np.testing.assert_array_equal(room[:, 0], expected)


def test_a_tensor_of_several_pieces_is_written_whole() -> None:
    room = np.zeros((4, 8))
    target = room[:, 2:4]
    runner = build(added(target))
    for given in (room[:, 4:6], room[:2].reshape(4, 4)[:, :2]):
        assert runner.call(given) is NotImplemented
        runner(given)
    np.testing.assert_array_equal(room, 0)


# -- anything ----------------------------------------------------------------------------------------------------


def test_anything_is_taken_or_refused() -> None:
    """Arguments that are wrong in several ways at once."""
    rng = np.random.default_rng(0)
    program = two()
    runner = build(program)
    everything = [*TAKEN.values(), *COPIED.values(), *REFUSED.values(), Y, Y[::-1], Y.astype("f4"), misaligned(Y)]
    fitting = {id(v) for v in TAKEN.values()}
    for _ in range(2000):
        x, y = (everything[int(rng.integers(len(everything)))] for _ in range(2))
        found = runner.call(x, y)
        if id(x) in fitting and y is Y:
            for f, e in zip(found, evaluate(program, [x, y]).outputs, strict=True):
                np.testing.assert_array_equal(f, e)
        else:
            assert found is NotImplemented


def test_compiled_functions_take_unusual_arrays() -> None:
    f = tn.compile(lambda x: tn.exp(x) * 2, backend="native", max_variants=4)
    expected = (np.exp(X) * 2).tolist()
    byte_order = X.astype(X.dtype.newbyteorder())
    for _ in range(2):
        for given in (*TAKEN.values(), *COPIED.values(), byte_order):
            np.testing.assert_allclose(f(given).data, np.exp(np.array(given, "f4")) * 2, rtol=1e-6)
    np.testing.assert_allclose(f(X).data, expected, rtol=1e-6)
    assert len(f.variants) == 2  # one of them for Fortran order


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_arguments_of_a_memory_order(order: tuple[int, ...]) -> None:
    """A program takes the one it was made for, and copies all others."""
    b = Build()
    x = Input((2, 1, 3), np.dtype(np.float32), order)
    b.inputs.append(x)
    runner = build(b.program(b.emit("exp", x)))
    array = np.arange(6, dtype=np.float32).reshape(2, 1, 3)
    wanted = copied(array, order)
    found = runner.call(wanted)[0]
    assert found.strides[::2] == wanted.strides[::2]  # no matter where the axis of length one is
    np.testing.assert_allclose(found, np.exp(array), rtol=1e-6)
    others = [copied(array, other) for other in itertools.permutations(range(3))]
    for given in (*others, *(every_other(o) for o in others), misaligned(wanted), wanted[::-1, :, ::-1]):
        fits = given.flags.aligned and given.strides[::2] == wanted.strides[::2]
        assert (runner.call(given) is NotImplemented) != fits
        np.testing.assert_allclose(runner(given)[0], np.exp(given), rtol=1e-6)
    for given in (array.astype("f8"), array[0], array[..., :2], array[None]):
        assert runner.call(given) is NotImplemented
        with pytest.raises(TypeError, match=r"a program for float32\[2,1,3\] was given"):
            runner(given)


# -- the layout of objects ---------------------------------------------------------------------------------------


def test_the_builtin_is_used_where_it_can_be(entered: str) -> None:  # noqa: F811
    runner = build(two())
    namespace = runner.call.__globals__  # type: ignore[attr-defined]
    assert ("quick" in namespace) == (entered == "builtin")
    if entered == "builtin":
        assert type(namespace["quick"]) is type(len)
        assert namespace["quick"]() is NotImplemented
        assert namespace["quick"](X) is NotImplemented
        assert namespace["quick"](X, Y, X, X, X) is NotImplemented


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (sys.implementation, "name", "another"),
        (sysconfig, "get_config_var", lambda name: name == "Py_GIL_DISABLED"),
        (ctypes, "sizeof", lambda kind: 4),
        (entry, "DATA", 24),
        (entry, "_NDIM", 28),
        (entry, "_DIMENSIONS", 40),
        (entry, "_DESCR", 48),
        (entry, "_WANTED", 0x2000_0000),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_another_layout_is_noticed(owner: Any, name: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, value)
        assert not USABLE()


def test_a_function_holds_its_own_description() -> None:
    """It is read when the function goes, and cycles are cleared in any order: at the end of a program that was a crash."""
    function = entry.builtin("f", 0, np.zeros(1))
    assert any(isinstance(found, tuple) and found[1] == b"f" for found in gc.get_referents(function))
