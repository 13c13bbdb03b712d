"""Calling compiled functions: arguments, keys, results, gradients, methods and modules."""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
import pickle
import re
import subprocess
import sys
import threading
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.__main__ import main
from tapenet.compiler.compile import Compiled
from tapenet.llvm import toolchain
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

R = np.random.default_rng(0)
X = R.normal(size=(4, 3)).astype(np.float32)
Y = R.normal(size=(4, 3)).astype(np.float32)


class Pair(NamedTuple):
    first: Any
    second: Any


# -- calling -----------------------------------------------------------------------------------------------------


@backends
def test_a_program_computes_what_the_function_does(compiled: Compile) -> None:
    f = compiled(lambda x, y: tn.tanh(x @ y.T).sum(axis=1) + 1)
    for scale in (1.0, 0.5, -2.0):
        x = X * np.float32(scale)
        np.testing.assert_allclose(f(x, Y).data, np.tanh(x @ Y.T).sum(axis=1) + 1, rtol=2e-6)
    assert len(f.variants) == 1


def test_call_and_decorator() -> None:
    @tn.compile
    def one(x: Any) -> Any:
        """Adds one."""
        return x + 1

    @tn.compile(backend="numpy", max_variants=3)
    def two(x: Any) -> Any:
        return x + 2

    three = tn.compile(lambda x: x + 3, backend="numpy")
    x = np.zeros(2)
    for _ in range(3):
        assert [f(x).tolist() for f in (two, three)] == [[2.0, 2.0], [3.0, 3.0]]
    assert isinstance(one, Compiled)
    assert (one.__name__, one.__doc__, one.__module__) == ("one", "Adds one.", __name__)
    assert one.__qualname__.endswith("test_call_and_decorator.<locals>.one")
    assert list(inspect.signature(one).parameters) == ["x"]
    assert one.__wrapped__(1) == 2
    assert repr(two) == "<compiled two: 1 program, backend numpy>"


@tn.compile(backend="numpy")
def doubled(x: Any) -> Any:
    return 2 * x


def test_compiled_functions_are_copied_and_pickled_as_functions_are() -> None:
    doubled(X)
    assert copy.copy(doubled) is copy.deepcopy(doubled) is doubled
    assert pickle.loads(pickle.dumps(doubled)) is doubled


def test_partial_functions_and_other_callables() -> None:
    f = tn.compile(functools.partial(lambda a, x, b: a * x + b, 2.0, b=1.0), backend="numpy")
    for _ in range(2):
        np.testing.assert_allclose(f(X).data, 2 * X + 1, rtol=1e-6)
    assert "compiled <lambda>" in repr(f)
    g = tn.compile(np.exp, backend="numpy")
    for _ in range(2):
        np.testing.assert_allclose(g(X).data, np.exp(X), rtol=1e-6)
    h = tn.compile(tn.exp, backend="numpy")
    for _ in range(2):
        np.testing.assert_allclose(h(X).data, np.exp(X), rtol=1e-6)


def test_the_backend_is_chosen_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"no backend 'fast'; there are 'native', 'numpy'"):
        tn.compile(lambda x: x, backend="fast")
    monkeypatch.setattr(toolchain, "available", lambda: False)
    with pytest.raises(ImportError, match=r"needs llvmlite.*pip install -U tapenet\[jit\]"):
        tn.compile(lambda x: x, backend="native")
    assert "backend numpy" in repr(tn.compile(lambda x: x))
    monkeypatch.setattr(toolchain, "available", lambda: True)
    assert "backend native" in repr(tn.compile(lambda x: x))


def test_the_command_line_says_which_backend_is_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(toolchain, "available", lambda: False)
    assert main(["info"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("compiler"))
    assert line.split(None, 1)[1] == "numpy (for machine code: pip install tapenet[jit])"
    monkeypatch.undo()
    pytest.importorskip("llvmlite")
    assert main(["info"]) == 0
    assert re.search(r"^compiler +native, by llvmlite \d", capsys.readouterr().out, re.M)


def test_the_compiler_is_loaded_at_first_use() -> None:
    code = (
        "import sys, tapenet as tn; assert not [m for m in sys.modules if m.startswith('tapenet.compiler')]; "
        "tn.compile(lambda x: x, backend='numpy'); assert 'tapenet.compiler' in sys.modules; "
        "assert 'llvmlite' not in sys.modules; print(tn.compile, tn.CompileWarning, tn.cond, tn.scan, tn.fori, tn.while_loop)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_cannot_be_compiled() -> None:
    with pytest.raises(TypeError, match="takes a function, a method or a module, not int"):
        tn.compile(3)  # type: ignore[type-var]

    def numbers() -> Any:
        yield 1

    async def later() -> None: ...

    async def stream() -> Any:
        yield 1

    for f, kind in ((numbers, "generator"), (later, "coroutine"), (stream, "asyncgen")):
        with pytest.raises(TypeError, match=f"{f.__name__} is a {kind} function"):
            tn.compile(f)
    with pytest.raises(ValueError, match="max_variants=0 must be at least 1"):
        tn.compile(lambda x: x, max_variants=0)


def test_the_first_call_is_a_real_one() -> None:
    counter = nn.Buffer(0)

    def f(x: Any) -> Any:
        counter.data = counter + 1
        return x * 2

    g = tn.compile(f, backend="numpy")
    assert [g(np.float64(i)).item() for i in range(4)] == [0.0, 2.0, 4.0, 6.0]
    assert counter.item() == 4


# -- arguments ---------------------------------------------------------------------------------------------------


@backends
def test_nested_arguments(compiled: Compile) -> None:
    seen: SimpleQueue[Any] = SimpleQueue()  # which is not looked into
    note = seen.put

    def f(a: Any, batch: Any, *more: Any, scale: Any = None) -> Any:
        note((type(a), type(batch["x"]), batch["name"], type(batch["parts"]), type(batch["pair"]), more[1]))
        a = a + batch["x"] - batch["parts"][0] * batch["parts"][1][0]
        return (a + batch["pair"].second + more[0]) * scale

    g = compiled(f)

    def arguments(k: float) -> tuple[tuple[Any, ...], dict[str, Any]]:
        batch = {"x": tn.tensor(X * k), "name": "n", "parts": [X, (np.float64(k),)], "pair": Pair("a", X)}
        return (X, batch, np.float32(k), 7), {"scale": np.array(2.0)}

    for k in (1.0, 3.0):
        args, kwargs = arguments(k)
        expected = (X + X * k - X * k + X + np.float32(k)) * 2.0
        np.testing.assert_allclose(g(*args, **kwargs).data, expected, rtol=1e-6)
    assert seen.get() == (tn.Tensor, tn.Tensor, "n", list, Pair, 7)
    assert seen.empty()


@backends
def test_tensors_arrays_and_numpy_numbers_are_the_same_to_a_program(compiled: Compile) -> None:
    f = compiled(lambda x, s: x * s)
    for x in (
        X,
        tn.tensor(X),
        X[::-1],
        np.repeat(X, 2, axis=0)[::2],
        np.repeat(X, 2, axis=1)[:, ::2],
        X.astype(X.dtype),
    ):
        for s in (np.float32(2), np.array(2, np.float32), tn.tensor(2, dtype="float32")):
            np.testing.assert_array_equal(f(x, s).data, 2 * np.asarray(x))
    assert len(f.variants) == 1


@backends
def test_each_memory_order_of_an_argument_has_a_native_program(compiled: Compile) -> None:
    """So that nothing is turned at a program's edges: results lie as arguments do."""
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    f = compiled(lambda x, y: (tn.exp(x), x + y, x.T, x.sum(axis=0), x.T @ x[:, 0, 0]))
    orders = list(itertools.permutations(range(3)))
    for order in orders:
        given = x.transpose(order).copy().transpose(np.argsort(order))
        y = np.full(x.shape, 2, np.float32)
        for _ in range(3):
            results = f(given, y)
            for result, expected in zip(results, f.__wrapped__(tn.tensor(given), tn.tensor(y)), strict=True):
                np.testing.assert_allclose(result.data, expected.data, rtol=1e-6)
            if "native" in repr(f):
                assert results[0].data.strides == given.strides
                assert results[2].data.strides == given.T.strides
    np.testing.assert_allclose(f(x[::-1], y[:, ::-1])[1].data, x[::-1] + y)
    if "numpy" in repr(f):  # where any order is taken by one program
        return
    assert len(f.variants) == len(orders)
    text = str(f.explain())
    assert "x: float32 (2, 3, 4); y: float32 (2, 3, 4)" in text
    assert "x: float32 (2, 3, 4), axes (2, 1, 0) from the slowest in memory to the fastest; y" in text


@backends
def test_arguments_that_are_dense_in_no_order_are_looked_at_once(
    compiled: Compile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not looked at anew at each call, which takes ten times as long as a small program."""
    f = compiled(lambda x, y: (x + y, (x * y).sum()))
    large = np.arange(48, dtype=np.float32).reshape(6, 8)
    x, y = large[:3, :4], large[3:, 4:].copy()
    for _ in range(2):
        f(y, y)
    monkeypatch.setattr(Compiled, "_general", None)
    for a, b in ((x, y), (y, x), (large[::2, ::2], large[::-2, 1::2]), (large.T[::2, ::2].T, y)):
        results = f(a, b)
        np.testing.assert_array_equal(results[0].data, a + b)
        np.testing.assert_allclose(results[1].data, (a * b).sum())


@backends
def test_gradients_lie_as_their_arguments_do(compiled: Compile) -> None:
    """And add to those of the call before, which are arguments of the program too."""
    x = tn.tensor(np.asfortranarray(X), requires_grad=True)

    @compiled
    def step(x: tn.Tensor) -> tn.Tensor:
        loss = (x * x).sum()
        loss.backward()
        return loss

    for turn in range(1, 5):
        step(x)
        np.testing.assert_allclose(x.grad.data, 2 * turn * X)
        assert x.grad.data.flags.f_contiguous or "numpy" in repr(step)
    assert len(step.variants) == 2
    x.grad = tn.tensor(np.zeros(X.shape, np.float32)[:, ::-1].copy())  # one that lies in another way
    step(x)
    np.testing.assert_allclose(x.grad.data, 2 * X)
    assert len(step.variants) == 2


def test_unusual_arrays() -> None:
    f = tn.compile(lambda x: x + 1, backend="numpy")
    f(np.zeros(3))
    np.testing.assert_array_equal(f(np.arange(3).astype(">f8")).data, [1, 2, 3])
    np.testing.assert_array_equal(f(np.zeros(3).view(np.recarray)).data, [1, 1, 1])
    readonly = np.zeros(3)
    readonly.flags.writeable = False
    np.testing.assert_array_equal(f(readonly).data, [1, 1, 1])
    assert len(f.variants) == 1
    assert f(np.zeros(0)).shape == (0,)
    assert f(True) == 2  # a Python number is part of the program
    with pytest.raises(TypeError, match=r"<lambda>: x is a MaskedArray, a masked array: give its \.data"):
        f(np.ma.masked_array([1.0, 2.0], [True, False]))
    with pytest.raises(TypeError, match=r"x is a matrix, .* give np\.asarray of it, and write @"):
        f(np.zeros((1, 2)).view(np.matrix))
    with pytest.raises(TypeError, match=r"<lambda>: x is a ndarray, an array of object: give numbers"):
        f(np.array([None]))
    with pytest.raises(TypeError, match=r"an array of datetime64"):
        f(np.zeros(1, "datetime64[s]"))


def test_masked_arrays_from_outside_keep_their_masks() -> None:
    m = np.ma.masked_array([1.0, 2.0], [True, False])
    f = tn.compile(lambda x: x * np.ma.sum(m), backend="numpy", from_first=True)
    x = np.ones(2)
    for _ in range(2):
        assert f(x).tolist() == [2, 2]
        assert (m.mask.tolist(), m.data.tolist()) == ([True, False], [1, 2])
    m.mask = False
    assert f(x).tolist() == [3, 3]
    m[0] = 5
    assert f(x).tolist() == [7, 7]

    def writes(x: Any) -> Any:
        m[:] = np.ma.masked
        return x

    with pytest.raises(tn.CaptureError, match="the array that is"):
        tn.compile(writes, backend="numpy")(x)
    assert (m.mask.tolist(), m.data.tolist()) == ([False, False], [5, 2])
    with pytest.raises(TypeError, match="a masked array would lose its mask"):
        tn.compile(lambda x: (x, m), backend="numpy")(x)
    assert (m.mask.tolist(), m.data.tolist()) == ([False, False], [5, 2])


def test_an_argument_that_keys_nothing_is_refused() -> None:
    f = tn.compile(lambda x, options: x, backend="numpy")
    with pytest.raises(TypeError, match=r"<lambda>: options\['sizes'\]\[1\] is a set, neither an array nor hashable"):
        f(X, {"sizes": [1, {2}]})

    class Array:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return X

    with pytest.raises(TypeError, match=r"x is a Array, an array of another library: give np.asarray of it"):
        f(Array(), None)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((X, 1), (X, 2)),
        ((X, 1), (X, 1.0)),
        ((X, 1), (X, True)),
        ((X, 0.0), (X, -0.0)),
        ((X, "a"), (X, "b")),
        ((X, None), (X, 1)),
        ((X, X), (X, X[:2])),
        ((X, X), (X, X.astype(np.float64))),
        ((X, X), (X, tn.tensor(X, requires_grad=True))),
        ((X, [X]), (X, (X,))),
        ((X, (X,)), (X, (X, X))),
        ((X, {"a": X}), (X, {"b": X})),
        ((X, Pair(X, 1)), (X, (X, 1))),
        ((X, np.float32(1)), (X, 1.0)),
        ((X, nn.ReLU()), (X, nn.ReLU())),
    ],
)
def test_what_tells_calls_apart(first: Any, second: Any) -> None:
    f = tn.compile(lambda x, y: x + 1, backend="numpy")
    for args in (first, second, first, second):
        np.testing.assert_array_equal(f(*args).data, X + 1)
    assert len(f.variants) == 2


@dataclass(frozen=True)
class Options:
    a: Any
    b: Any = 0


class Compared:
    __slots__ = ("a",)

    def __init__(self, a: Any) -> None:
        self.a = a

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Compared) and self.a == other.a

    def __hash__(self) -> int:
        return hash(self.a)


@pytest.mark.parametrize(
    "values",
    [
        [Options(1), Options(1.0), Options(True)],
        [Options(Options((1,))), Options(Options((1.0,)))],
        [Options(0.0), Options(-0.0)],
        [frozenset({1}), frozenset({1.0}), frozenset({True})],
        [Compared(1), Compared(1.0)],
        [Decimal("1.0"), Decimal("1.00")],
        [complex(1, 0.0), complex(1, -0.0)],
    ],
)
def test_what_is_equal_and_not_alike_is_told_apart(values: list[Any]) -> None:
    f = tn.compile(lambda x, y: x + 1, backend="numpy")
    for value in (*values, *copy.deepcopy(values)):
        f(X, value)
    assert len(f.variants) == len(values)


def test_what_does_not() -> None:
    f = tn.compile(lambda x, y: x + 1, backend="numpy")
    other = float("nan")
    for y in (float("nan"), other, float("nan")):
        f(X, y)
    assert len(f.variants) == 1
    f(X, 10**30)
    f(X, int("1" + "0" * 30))
    f(x=X, y=10**30)
    f(X, y=10**30)
    f(y=10**30, x=X)
    assert len(f.variants) == 2
    f(X, ("a", 2.5))
    f(X, ("ab"[0], 5 / 2))
    assert len(f.variants) == 3


class Private:
    __slots__ = ("__a",)

    def __init__(self, a: Any) -> None:
        self.__a = a

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Private) and self.__a == other.__a

    def __hash__(self) -> int:
        return hash(self.__a)


def test_private_slots_and_paths_are_compared_by_value() -> None:
    f = tn.compile(lambda x, y: x + 1, backend="numpy")
    for _ in range(2):
        for value in (1, 1.0):
            f(X, Private(value))
    assert len(f.variants) == 2
    path = Path("a", "b")
    f(X, path)
    assert str(path).startswith(path.parts[0])  # which the path then keeps
    f(X, path)
    f(X, Path("a", "b"))
    assert len(f.variants) == 3
    f(X, Path("a", "c"))
    assert len(f.variants) == 4


def test_arguments_by_name_after_a_gap() -> None:
    def f(x: Any, y: Any = 1, *, z: Any) -> Any:
        return x + 10 * y + 100 * z

    g = tn.compile(f, backend="numpy")
    for _ in range(2):
        assert g(np.array(1.0), z=np.array(3.0)).item() == 311
        assert g(z=np.array(3.0), x=np.array(1.0), y=np.array(2.0)).item() == 321
    with pytest.raises(TypeError, match="missing 1 required"):
        g(np.array(1.0))
    with pytest.raises(TypeError, match=r"multiple values|takes"):
        g(np.array(1.0), 2, 3, z=1)


def test_grad_mode_and_debug_are_part_of_the_key() -> None:
    w = tn.tensor([2.0], requires_grad=True)
    modes: SimpleQueue[bool] = SimpleQueue()

    def f(x: Any) -> Any:
        y = x * w
        modes.put(y.requires_grad)
        return y

    g = tn.compile(f, backend="numpy")
    for _ in range(2):
        g(np.ones(1))
        with tn.no_grad():
            g(np.ones(1))
        with tn.debug():
            g(np.ones(1))
    assert [modes.get() for _ in range(modes.qsize())] == [True, False, True]
    assert len(g.variants) == 3


# -- results -----------------------------------------------------------------------------------------------------


@backends
def test_results_have_the_structure_that_was_returned(compiled: Compile) -> None:
    table = np.arange(3.0)

    def f(x: Any) -> Any:
        pair = Pair(x + 1, [None, "text", 3])
        return {"pair": pair, 5: (x * 2, x, ()), "table": table, "number": np.float32(7), "x": {"inner": x.sum()}}

    g = compiled(f)
    for k in (1.0, 2.0):
        result = g(X * np.float32(k))
        assert list(result) == ["pair", 5, "table", "number", "x"]
        assert type(result["pair"]) is Pair
        assert result["pair"].second == [None, "text", 3]
        assert result[5][2] == ()
        assert type(result["table"]) is np.ndarray
        np.testing.assert_array_equal(result["table"], table)
        assert result["number"] == 7
        np.testing.assert_allclose(result["pair"].first.data, X * k + 1, rtol=1e-6)
        np.testing.assert_allclose(result[5][1].data, X * k, rtol=1e-6)
        np.testing.assert_allclose(result["x"]["inner"].item(), X.sum() * k, rtol=1e-5)


def test_functions_without_results_or_arguments() -> None:
    b = nn.Buffer(0.0)

    @tn.compile(backend="numpy")
    def count() -> None:
        b.data = b + 1

    assert [count() for _ in range(3)] == [None] * 3
    assert b.item() == 3
    nothing = tn.compile(lambda: (), backend="numpy")
    assert [nothing() for _ in range(3)] == [()] * 3


@backends
def test_results_are_new_and_in_no_graph(compiled: Compile) -> None:
    w = nn.Parameter(X)
    f = compiled(lambda x: (x, w, x * w, w * 2, w.T))
    x = Y.copy()
    results = [f(x) for _ in range(3)]
    for parts in results:
        for part, expected in zip(parts, (Y, X, Y * X, 2 * X, X.T), strict=True):
            assert not part.requires_grad
            assert part.is_leaf
            np.testing.assert_array_equal(part.data, expected)
            part.data[...] = 0  # nobody else's
    np.testing.assert_array_equal(x, Y)
    np.testing.assert_array_equal(w.data, X)
    np.testing.assert_array_equal(f(x)[2].data, X * Y)


def test_arrays_from_outside_are_read_at_each_call() -> None:
    table = np.arange(3.0)
    f = tn.compile(lambda x: (x * table, table), backend="numpy")
    f(np.ones(3))
    table[1] = 10
    for _ in range(2):
        product, same = f(np.ones(3))
        assert product.tolist() == [0, 10, 2]
        assert same.tolist() == [0, 10, 2]
        assert same is not table


# -- gradients ---------------------------------------------------------------------------------------------------


def net_and_step(**options: Any) -> tuple[nn.Module, Any]:
    tn.random.seed(0)
    net = nn.Linear(3, 3)
    opt = optim.SGD(net.parameters(), lr=0.1)

    def step(x: Any, y: Any) -> Any:
        loss = F.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return net, tn.compile(step, backend="numpy", **options)


def test_used_gradients_are_none_after_a_call() -> None:
    net, step = net_and_step()
    for _ in range(3):
        step(X, Y)
        assert [p.grad for p in net.parameters()] == [None, None]
        F.mse_loss(net(X), Y).backward()  # what others left is cleared as in eager


def test_keep_grads() -> None:
    net, step = net_and_step(keep_grads=True)
    other, eager = net_and_step()
    for _ in range(3):
        step(X, Y)
        eager.__wrapped__(X, Y)
        for p, q in zip(net.parameters(), other.parameters(), strict=True):
            np.testing.assert_allclose(p.grad.data, q.grad.data, rtol=1e-6)
            assert p.grad.shape == p.shape
            assert not p.grad.requires_grad


def test_gradients_that_the_function_reads_are_kept() -> None:
    net = nn.Linear(3, 3)
    opt = optim.SGD(net.parameters(), lr=0.1)

    @tn.compile(backend="numpy")
    def step(x: Any) -> Any:
        opt.zero_grad()
        (net(x) ** 2).sum().backward()
        norm = (net.bias.grad**2).sum()
        opt.step()
        return norm

    for _ in range(3):
        norm = step(X)
        assert net.weight.grad is None
        np.testing.assert_allclose((net.bias.grad.data**2).sum(), norm.item(), rtol=1e-5)


@backends
def test_gradients_that_nobody_uses_accumulate_as_in_eager(compiled: Compile) -> None:
    w = tn.tensor(X, requires_grad=True)
    f = compiled(lambda x: (w * x).sum().backward())
    for n in range(1, 5):
        assert f(Y) is None
        np.testing.assert_allclose(w.grad.data, n * Y, rtol=1e-6)
    assert len(f.variants) == 2  # with a gradient at entry, and without
    w.grad = None
    f(Y)
    np.testing.assert_array_equal(w.grad.data, Y)
    w.grad = np.ones(X.shape)
    f(Y)
    np.testing.assert_allclose(w.grad.data, Y + 1, rtol=1e-6)
    assert len(f.variants) == 2


def test_a_gradient_that_is_read_alone_stays_as_another_thread_sets_it() -> None:
    w = tn.tensor([1.0, 2.0], requires_grad=True)
    w.grad = np.ones(2)

    def f(x: Any) -> Any:
        y = w.grad * x
        other = threading.Thread(target=setattr, args=(w, "grad", None))
        other.start()
        other.join()
        return y

    tn.compile(f, backend="numpy")(np.ones(2))
    assert w.grad is None


@backends
def test_who_holds_a_gradient_sees_what_becomes_of_it_as_in_eager(compiled: Compile) -> None:
    """What a second backward pass adds, and clipping; what was computed with it before stays."""
    w = tn.tensor([1.0, 2.0], requires_grad=True)

    def adds(x: Any) -> Any:
        held, detached = w.grad, w.grad.detach()
        before = held * 1
        (w * w * x).sum().backward()
        return held, detached, before

    def passes(x: Any) -> Any:
        w.grad = None
        (w * x).sum().backward()
        return adds(x)

    def turns(x: Any) -> Any:
        found = tn.fori(0, 2, lambda i, found: passes(x * found[0].detach()), (x, x, x))
        return *found, w.grad

    def around(x: Any) -> Any:
        _, held, _ = passes(x)
        tn.fori(0, 2, lambda i, c: ((w * w * x).sum().backward(), c)[1], x)
        tn.cond(x.sum() > 8, lambda x: ((w * w * x).sum().backward(), x)[1], lambda x: x, x)
        apart = w.grad
        tn.fori(0, 2, lambda i, c: (passes(x), c)[1], x)
        return held, apart, w.grad

    def within(x: Any) -> Any:
        passes(x)
        turned = [t * 1 for t in tn.fori(0, 2, lambda i, found: adds(x * found[2]), (x, x, x))]
        taken = tn.cond(x.sum() > 8, adds, lambda x: (x, x, x), x)
        return *turned, *taken, w.grad

    def sets(x: Any) -> Any:
        w.grad = np.full(2, 3.0)
        return adds(x)

    def clips(x: Any) -> Any:
        held, detached = w.grad, w.grad.detach()
        optim.clip_grad_value([w], 0.9)
        optim.clip_grad_norm([w], 0.1)
        return held, detached, w.grad * x

    for f in (adds, passes, turns, around, within, sets, clips):
        run = compiled(f)
        for x in (np.array([3.0, 4.0]), np.array([5.0, 6.0]), np.array([7.0, 8.0])):
            results = []
            for call, given in ((run, x), (f, tn.tensor(x))):
                w.grad = np.ones(2)
                results.append(call(given))
            for found, expected in zip(*results, strict=True):
                np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-14)


def test_a_gradient_from_before_a_body_that_adds_to_it_is_refused_there() -> None:
    w, x = tn.tensor([1.0, 2.0], requires_grad=True), np.array([3.0, 4.0])

    def taken(held: Any) -> Any:
        def adds(x: Any) -> Any:
            kept = held(w.grad) * x
            (w * w * x).sum().backward()
            return kept

        return adds

    def late(x: Any) -> Any:
        held = w.grad.detach()
        return tn.cond(x.sum() > 0, lambda x: ((w * w * x).sum().backward(), x * held)[1], lambda x: x, x)

    def early(x: Any) -> Any:  # what a branch reads before it adds to it is right
        held = w.grad
        return tn.cond(x.sum() > 0, taken(lambda _: held), lambda x: x, x) + w.grad

    def turns(x: Any) -> Any:
        held = w.grad
        return tn.fori(0, 2, lambda _, c: c + taken(lambda _: held)(x), x)

    def copied(x: Any) -> Any:
        held = w.grad.copy()
        return tn.fori(0, 2, lambda _, c: c + taken(lambda g: held + g)(x), x)

    for f in (early, copied, late, turns):
        w.grad = np.ones(2)
        (w * 3).sum().backward()
        if f in (late, turns):
            with pytest.raises(
                tn.CaptureError, match=r"reads h, which changes with it: read w\.grad inside of the body"
            ):
                tn.compile(f, backend="numpy")(x)
        else:
            expected = f(tn.tensor(x))
            w.grad = np.full(2, 4.0)
            np.testing.assert_allclose(tn.compile(f, backend="numpy")(x).data, expected.data, rtol=1e-12)


@backends
def test_accumulation_over_calls_then_a_step(compiled: Compile) -> None:
    nets = [nn.Linear(3, 3) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    opts = [optim.SGD(net.parameters(), lr=0.1, momentum=0.9) for net in nets]

    def functions(net: Any, opt: Any) -> Any:
        def backward(x: Any) -> Any:
            loss = (net(x) ** 2).mean()
            loss.backward()
            return loss

        def update() -> None:
            opt.step()
            opt.zero_grad()

        return backward, update

    eager = functions(nets[0], opts[0])
    ours = [compiled(f) for f in functions(nets[1], opts[1])]
    for k in range(9):
        x = X * np.float32(1 + k / 10)
        np.testing.assert_allclose(ours[0](x).item(), eager[0](x).item(), rtol=1e-5)
        if k % 3 == 2:
            eager[1]()
            ours[1]()
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-5)


@backends
def test_an_argument_that_wants_a_gradient_gets_it(compiled: Compile) -> None:
    def f(w: Any, v: Any, x: Any) -> Any:
        assert w.requires_grad
        assert not x.requires_grad
        loss = ((w * v) * x).sum()
        loss.backward()
        return loss

    g = compiled(f)
    for k in range(1, 4):
        w, v = tn.tensor(X * k, requires_grad=True), tn.tensor(Y, requires_grad=True)
        loss = g(w, v, X)
        assert not loss.requires_grad
        np.testing.assert_allclose(w.grad.data, Y * X, rtol=1e-6)
        np.testing.assert_allclose(v.grad.data, X * k * X, rtol=1e-6)
    assert len(g.variants) == 1
    g(w, v, X)  # now they have a gradient as the call begins
    np.testing.assert_allclose(w.grad.data, 2 * Y * X, rtol=1e-6)
    assert len(g.variants) == 2
    w = tn.tensor(X, requires_grad=True)
    g(w, w, X)  # one leaf twice
    np.testing.assert_allclose(w.grad.data, 2 * X * X, rtol=1e-6)
    assert len(g.variants) == 3
    for _ in range(2):
        w = tn.tensor(Y, requires_grad=True)
        g(w, w, X)
        np.testing.assert_allclose(w.grad.data, 2 * Y * X, rtol=1e-6)
    assert len(g.variants) == 3


@backends
def test_parameters_as_arguments_are_updated_in_place(compiled: Compile) -> None:
    def sgd(params: Any, x: Any) -> Any:
        loss = ((x @ params["w"] + params["b"]) ** 2).mean()
        loss.backward()
        with tn.no_grad():
            for p in params.values():
                p.data = p - 0.1 * p.grad
                p.grad = None
        return loss

    def parameters() -> dict[str, Any]:
        return {"w": tn.tensor(X[:3], requires_grad=True), "b": tn.tensor(Y[0], requires_grad=True)}

    g = compiled(sgd)
    eager, ours = parameters(), parameters()
    for _ in range(4):
        expected = sgd(eager, X)
        np.testing.assert_allclose(g(ours, X).item(), expected.item(), rtol=1e-5)
    for name, p in eager.items():
        np.testing.assert_allclose(ours[name].data, p.data, rtol=1e-5)
        assert ours[name].grad is None
    other = parameters()  # others, by the same program
    g(other, X)
    assert not np.array_equal(other["w"].data, ours["w"].data)
    assert len(g.variants) == 1


@backends
def test_augmented_assignment_is_as_eager(compiled: Compile) -> None:
    def step(w: Any, x: Any) -> Any:
        y = same = x * w
        y += x
        y **= 2
        y[0] -= w
        loss = same.sum()  # the same handle
        loss.backward()
        with tn.no_grad():
            w -= 0.1 * w.grad
            w.grad = None
        return loss

    g = compiled(step)
    eager, ours = (tn.tensor([1.0, -0.5, 2.0], requires_grad=True) for _ in range(2))
    x = X.astype(np.float64)
    storage = ours.data
    for _ in range(3):
        np.testing.assert_allclose(g(ours, x).item(), step(eager, x).item(), rtol=1e-12)
    np.testing.assert_allclose(ours.data, eager.data, rtol=1e-12)
    assert ours.data is storage
    assert len(g.variants) == 1


def test_writing_to_arguments_in_other_ways_is_refused() -> None:
    def items(x: Any) -> Any:
        x[0] = 0
        return x

    def adds(x: Any) -> Any:
        x += 1
        return x

    for f in (items, adds):
        x = tn.tensor(X)
        with pytest.raises(tn.CaptureError, match=rf"{f.__name__} changes its argument x .*x = x.copy\(\)"):
            tn.compile(f, backend="numpy")(x)
        np.testing.assert_array_equal(x.numpy(), X)

    def data(x: Any) -> Any:
        x.data = x * 0

    x = X.copy()
    with pytest.raises(tn.CaptureError, match=r"data changes its argument x in place, an array of the caller's"):
        tn.compile(data, backend="numpy")(x)
    np.testing.assert_array_equal(x, X)  # put back
    t = tn.tensor(X)
    tn.compile(data, backend="numpy")(t)
    assert not t.data.any()
    net = nn.Linear(3, 3)
    opt = optim.SGD(net.parameters(), lr=0.1)

    def step(w: Any) -> None:
        (net(w) ** 2).sum().backward()
        opt.step()

    with pytest.raises(tn.CaptureError, match=r"step is given w as an argument, and reaches the same tensor"):
        tn.compile(step, backend="numpy")(net.weight)
    read = []
    t = tn.tensor(X)
    for first in (True, False):

        def both_ways(a: Any, first: bool) -> Any:
            before = t.sum() if first else 0.0
            a.data = a + 1
            return before + t.sum()

        with pytest.raises(tn.CaptureError, match=r"both_ways changes its argument a in place, and reaches the same"):
            tn.compile(both_ways, backend="numpy")(t, first)
        read.append(t.tolist() == X.tolist())
    assert read == [True, True]

    def both(a: Any, b: Any) -> Any:
        a.data = b + 1

    with pytest.raises(tn.CaptureError, match="reaches the same memory in another way"):
        tn.compile(both, backend="numpy")(t, t)


def test_changing_containers_that_are_arguments_is_refused() -> None:
    def adds(x: Any, out: Any) -> None:
        out["losses"].append(x.sum())

    def sets(x: Any, out: Any) -> None:
        out["losses"] = x.sum()

    def replaces(x: Any, out: Any) -> None:
        out["losses"][0] = x.sum()

    out = {"losses": [1]}
    for f, words in ((adds, "a list .* \\(1 entries before, 2 after"), (sets, "a dict"), (replaces, "a list")):
        with pytest.raises(tn.CaptureError, match=f"{f.__name__} changes {words}"):
            tn.compile(f, backend="numpy")(X, out)
    assert out == {"losses": [1]}


def test_a_buffer_argument_that_is_also_reached_from_outside() -> None:
    b = nn.Buffer(X)

    def f(a: Any) -> Any:
        b.data = b + 1
        return a + 1

    with pytest.raises(tn.CaptureError, match=r"f changes its argument a in place, and reaches the same memory"):
        tn.compile(f, backend="numpy")(b)
    np.testing.assert_array_equal(b.data, X)


# -- inline ------------------------------------------------------------------------------------------------------


def test_inside_a_tape_or_a_capture_the_function_is_inlined() -> None:
    inner = tn.compile(lambda x: tn.exp(x) * 2, backend="numpy")
    with tn.Tape() as tape:
        inner(X)
    assert [node.name for node in tape] == ["exp", "multiply"]
    outer = tn.compile(lambda x: inner(x) + inner(2 * x), backend="numpy")
    for _ in range(2):
        np.testing.assert_allclose(outer(X).data, 2 * np.exp(X) + 2 * np.exp(2 * X), rtol=1e-6)
    assert inner.variants == ()
    assert sum(i.name == "exp" for i in outer.variants[0].program.body) == 2


def test_a_function_may_call_itself() -> None:
    @tn.compile(backend="numpy")
    def power(x: Any, n: int) -> Any:
        return x if n == 1 else x * power(x, n - 1)

    for _ in range(2):
        np.testing.assert_allclose(power(X, 4).data, X**4, rtol=1e-5)
    assert len(power.variants) == 1


def test_transformations_see_through() -> None:
    f = tn.compile(lambda x: (x**3).sum(), backend="numpy")
    x = tn.tensor([1.0, 2.0])
    for _ in range(2):
        assert tn.grad(f)(x).tolist() == [3.0, 12.0]
        value, g = tn.value_and_grad(f)(x)
        assert (value.item(), g.tolist()) == (9.0, [3.0, 12.0])
        assert tn.hvp(f)(x, tn.tensor([1.0, 1.0])).tolist() == [6.0, 12.0]
        _, pull = tn.vjp(f, x)
        assert pull(tn.tensor(1.0)).tolist() == [3.0, 12.0]
    assert f(x).item() == 9.0
    g = tn.compile(tn.grad(lambda x: (x**3).sum()), backend="numpy")
    for _ in range(2):
        assert g(x).tolist() == [3.0, 12.0]
    assert len(g.variants) == 1


def test_transformations_see_through_where_there_are_enough_programs() -> None:
    f = tn.compile(lambda x: (x**3).sum(), backend="numpy", max_variants=1)
    f(np.ones(1))
    with pytest.warns(tn.CompileWarning):
        assert tn.grad(lambda x: f(x))(tn.tensor([1.0, 2.0])).tolist() == [3.0, 12.0]
    assert not f(np.ones(3)).requires_grad


def test_outer_graphs_stay_connected() -> None:
    f = tn.compile(lambda x: x * x, backend="numpy")
    w = tn.tensor([3.0], requires_grad=True)
    for _ in range(2):
        w.grad = None
        f(w).sum().backward()  # the result depends on a leaf
        assert w.grad.tolist() == [6.0]
        w.grad = None
        f(w * 2).sum().backward()  # an argument is inside a graph
        assert w.grad.tolist() == [24.0]
    assert len(f.variants) == 1
    with tn.no_grad():  # nothing to be connected to
        for _ in range(2):
            assert f(w * 2).tolist() == [36.0]
            assert f(w).tolist() == [9.0]
    assert len(f.variants) == 3


def test_what_ran_before_it_was_found_to_be_connected_is_put_back() -> None:
    b = nn.Buffer(0.0)

    def f(x: Any) -> Any:
        b.data = b + 1
        return x * tn.random.uniform()

    g = tn.compile(f, backend="numpy")
    tn.random.seed(0)
    draws = [tn.random.uniform().item() for _ in range(2)]
    tn.random.seed(0)
    w = tn.tensor(1.0, requires_grad=True)
    assert [g(w).item() for _ in range(2)] == draws
    assert b.item() == 2


# -- methods and modules -----------------------------------------------------------------------------------------


class Scaler:
    def __init__(self, factor: float) -> None:
        self.factor = np.array(factor)

    @tn.compile(backend="numpy")
    def scale(self, x: Any) -> Any:
        """Scales."""
        return x * self.factor

    def plain(self, x: Any) -> Any:
        return x * self.factor


def test_methods() -> None:
    a, b = Scaler(2.0), Scaler(3.0)
    for _ in range(3):
        np.testing.assert_allclose(a.scale(X).data, 2 * X, rtol=1e-6)
        np.testing.assert_allclose(b.scale(X).data, 3 * X, rtol=1e-6)
    assert a.scale is a.scale
    assert a.scale.__doc__ == "Scales."
    assert len(a.scale.variants) == len(b.scale.variants) == 1
    assert isinstance(Scaler.scale, Compiled)
    assert (Scaler.scale(a, X).data == 2 * X).all()
    bound = tn.compile(a.plain, backend="numpy")
    for _ in range(2):
        assert (bound(X).data == 2 * X).all()
    assert bound.__name__ == "plain"
    for copied in (copy.copy(a), copy.deepcopy(a)):
        copied.factor = np.array(5.0)
        np.testing.assert_allclose(copied.scale(X).data, 5 * X, rtol=1e-6)
        assert (a.scale(X).data == 2 * X).all()

    class Slotted:
        __slots__ = ()

        @tn.compile(backend="numpy")
        def f(self, x: Any) -> Any:
            return x

    with pytest.raises(TypeError, match=r"objects have no __dict__.*tn.compile\(object.method\)"):
        Slotted().f(X)


class Net(nn.Module):
    def __init__(self) -> None:
        self.fc = nn.Linear(3, 2)

    @tn.compile(backend="numpy")
    def forward(self, x: Any) -> Any:
        return tn.tanh(self.fc(x))

    @tn.compile(backend="numpy")
    def double(self, x: Any) -> Any:
        return 2 * self(x)


def test_methods_of_modules() -> None:
    net = Net()
    expected = np.tanh(X @ net.fc.weight.data.T + net.fc.bias.data)
    for _ in range(2):
        np.testing.assert_allclose(net(X).data, expected, rtol=1e-6)
        np.testing.assert_allclose(net.double(X).data, 2 * expected, rtol=1e-6)
    assert len(net.forward.variants) == len(net.double.variants) == 1
    assert list(net.state_dict()) == ["fc.weight", "fc.bias"]
    other = copy.deepcopy(net)
    other.fc.weight.data = net.fc.weight * 0
    np.testing.assert_allclose(other(X).data, np.tanh(np.broadcast_to(net.fc.bias.data, (4, 2))), rtol=1e-6)
    np.testing.assert_allclose(net(X).data, expected, rtol=1e-6)
    assert "compiled" not in repr(net)


def test_objects_with_compiled_methods_are_freed() -> None:
    import gc
    import weakref

    net = Net()
    net(X)
    net(X)
    watched = weakref.ref(net), weakref.ref(net.fc.weight)
    del net
    gc.collect()
    assert [ref() for ref in watched] == [None, None]


@backends
def test_a_compiled_module_is_called_like_the_module(compiled: Compile) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Dropout(0.5))
    fast = compiled(net)
    fast.eval()
    assert not net.training
    expected = net(X)
    for _ in range(2):
        np.testing.assert_allclose(fast(X).data, expected.data, rtol=1e-6)
        np.testing.assert_allclose(fast(x=X).data, expected.data, rtol=1e-6)
    assert len(fast.variants) == 1
    assert list(fast.parameters()) == list(net.parameters())
    fast.training = True
    assert net.training
    assert "Sequential" in repr(fast)
    copied = copy.deepcopy(fast)
    assert copied.__wrapped__ is not net
    assert isinstance(copied, Compiled)
    with pytest.raises(AttributeError, match="nothing"):
        fast.nothing  # noqa: B018


def test_class_methods_and_static_methods() -> None:
    class Shapes:
        factor = 2.0

        @classmethod
        @tn.compile(backend="numpy")
        def scale(cls, x: Any) -> Any:
            return x * cls.factor

        @staticmethod
        @tn.compile(backend="numpy")
        def double(x: Any) -> Any:
            return x * 2

    for _ in range(3):
        np.testing.assert_allclose(Shapes.scale(X).data, 2 * X)
        np.testing.assert_allclose(Shapes().scale(X).data, 2 * X)
        np.testing.assert_allclose(Shapes().double(X).data, 2 * X)
    with pytest.raises(TypeError, match=r"write @staticmethod above @tn.compile"):
        tn.compile(staticmethod(lambda x: x))


def test_a_decorated_method_can_be_overridden_and_called_by_super() -> None:
    class Sub(Scaler):
        @tn.compile(backend="numpy")
        def scale(self, x: Any) -> Any:
            return super().scale(x) + 1

    s = Sub(2.0)
    for _ in range(2):
        np.testing.assert_allclose(s.scale(X).data, 2 * X + 1)


# -- threads -----------------------------------------------------------------------------------------------------


@backends
def test_threads_share_programs(compiled: Compile) -> None:
    def f(x: Any, n: int) -> Any:
        return tn.exp(x) * n

    g = compiled(f)
    wrong = []
    barrier = threading.Barrier(4)

    def work(seed: int) -> None:
        r = np.random.default_rng(seed)
        barrier.wait()
        for k in range(60):
            x = r.normal(size=(5,))
            n = k % 3
            if not np.allclose(g(x, n).data, np.exp(x) * n):
                wrong.append((seed, k))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert len(g.variants) == 3
