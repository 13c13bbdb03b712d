"""`tn.lift`: NumPy programs as they are, in place, differentiated."""

from __future__ import annotations

import linecache
import threading
import warnings
import weakref
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff import aliasing
from tests.lifting.ways import agrees

HELD = np.zeros(2)


def heat(u, turns):
    out = np.zeros_like(u)
    for _ in range(turns):
        out[1:-1] = u[1:-1] + 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
        u[:] = out
    return u.sum()


def test_a_program_runs_as_it_is_where_no_gradient_is_wanted() -> None:
    given, expected = np.arange(5.0), np.arange(5.0)
    result = tn.lift(heat)(given, 2)
    assert isinstance(result, tn.Tensor)
    assert result.item() == heat(expected, 2)
    assert np.array_equal(given, expected)


def test_it_is_differentiated() -> None:
    u = np.linspace(0, 1, 6)
    tn.testing.check_grads(lambda t: tn.lift(heat)(t * 1, 3), (u,))


def test_a_tensor_that_is_given_becomes_what_was_written() -> None:
    expected = np.arange(5.0)
    heat(expected, 2)
    t = tn.tensor(np.arange(5.0))
    tn.lift(heat)(t, 2)
    assert np.array_equal(t.numpy(), expected)
    x = tn.tensor(np.arange(5.0), requires_grad=True)
    y = x * 1
    total = tn.lift(heat)(y, 2)
    assert np.array_equal(y.detach().numpy(), expected)
    y.sum().backward(retain_graph=True)
    first, x.grad = x.grad, None
    total.backward()
    assert np.array_equal(first, x.grad)


def test_an_array_that_is_given_holds_what_was_written() -> None:
    def fill(a, x):
        a[1:] = x * x
        return a.sum()

    x, a = tn.tensor([1.0, 2.0], requires_grad=True), np.zeros(3)
    tn.lift(fill)(a, x).backward()
    assert np.array_equal(a, [0, 1, 4])
    assert np.array_equal(x.grad, [2, 4])


def test_a_gradient_that_would_be_lost_is_an_error_and_nothing_is_written() -> None:
    def fill(a, x):
        a[:] = x

    a = np.zeros(2)
    with pytest.raises(TypeError, match=r"fill writes values that need a gradient into a plain array of shape \(2,\)"):
        tn.lift(fill)(a, tn.tensor([1.0, 2.0], requires_grad=True))
    assert not a.any()


def test_a_leaf_that_is_written_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"leaf that needs a gradient.*t = t.copy\(\)"):
        tn.lift(heat)(tn.tensor(np.arange(5.0), requires_grad=True), 1)


def views(x):
    a = np.zeros((3, 3))
    row = a[1]
    row += x
    a.T[...] = a.T * 2
    flat = a.reshape(-1)
    part = flat[2:5][::-1]
    part[0] = 7
    a[2] += 1
    return a, row, flat, part, np.diagonal(a)


def test_views_alias_and_are_views_of_nothing_afterwards() -> None:
    x = tn.tensor([1.0, 2.0, 3.0], requires_grad=True)
    found, expected = tn.lift(views)(x), views(np.array([1.0, 2.0, 3.0]))
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.detach(), other)
    found[0].sum().backward()
    assert np.array_equal(x.grad, [2, 0, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that they would be in NumPy
        found[0][1] = 0
    assert np.array_equal(found[1].detach(), expected[1])


def test_numbers_are_no_views() -> None:
    def best(x):
        a = np.zeros(2)
        a[0] = x
        s = a[0]
        kept = s
        s += 1
        a[0] += 5
        return kept, s, a

    kept, s, a = tn.lift(best)(tn.tensor(2.0, requires_grad=True))
    assert (kept.item(), s.item(), a[0].item()) == (2, 3, 7)


def test_names_outside_are_written_as_the_program_does() -> None:
    count = 0
    kept = np.zeros(2)

    def step(x):
        nonlocal count
        count += 1
        kept[0] += x.sum()
        HELD[:] += x
        return HELD * kept[0]

    HELD[:] = 0
    step = tn.lift(step)
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    step(x)
    assert np.array_equal(step(x).detach(), [12.0, 24.0])
    assert count == 2
    assert np.array_equal(kept, [6, 0])
    assert np.array_equal(HELD, [2, 4])


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (lambda a: a.view(np.float32), "reads bytes, which cannot be followed"),
        (lambda a: np.lib.stride_tricks.as_strided(a, (2,), (16,)), "as_strided of a tensor cannot be followed"),
    ],
)
def test_views_that_cannot_be_followed_are_refused(view, message) -> None:
    with pytest.raises(TypeError, match=message):
        tn.lift(lambda x: view(np.zeros(4) + x))(tn.tensor(1.0, requires_grad=True))


def test_arrays_that_share_memory_are_refused_where_one_is_written() -> None:
    def shift(a, b, x):
        a[:] = b * x
        return a.sum()

    whole, x = np.arange(4.0), tn.tensor(2.0, requires_grad=True)
    with pytest.raises(ValueError, match=r"shift: arrays of shapes \(3,\) and \(3,\).*share memory"):
        tn.lift(shift)(whole[1:], whole[:-1], x)
    assert np.array_equal(whole, np.arange(4))


def test_compiled_it_writes_to_what_it_is_given_too() -> None:
    compiled = tn.compile(heat, lift=True, backend="numpy")
    expected = np.arange(5.0)
    total = heat(expected, 2)
    for _ in range(2):
        array, tensor = np.arange(5.0), tn.tensor(np.arange(5.0))
        assert compiled(array, 2).item() == pytest.approx(total)
        compiled(tensor, turns=2)
        assert np.allclose(array, expected, rtol=1e-15)
        assert np.allclose(tensor, expected, rtol=1e-15)
    assert len(compiled.variants) == 1
    assert np.allclose(tn.grad(compiled)(np.arange(5.0), 2), tn.grad(tn.lift(heat))(np.arange(5.0), 2))
    x = tn.tensor(np.arange(5.0), requires_grad=True)
    for _ in range(2):  # the second call is one node
        y = x * 1
        compiled(y, 2).backward()
        assert np.array_equal(y.detach(), array)
    assert np.allclose(x.grad, 2 * tn.grad(tn.lift(heat))(np.arange(5.0), 2))


def test_compiled_arguments_that_are_one_are_refused_where_it_is_written() -> None:
    @tn.compile(lift=True, backend="numpy")
    def double(a, b):
        a[:] = b * 2

    a = np.ones(2)
    with pytest.raises(ValueError, match="share memory"):
        double(a, a)
    assert np.array_equal(a, [1, 1])


def test_outside_of_it_a_write_beside_a_view_warns_once() -> None:
    def write():
        a = tn.zeros(3)
        part = a[1:]
        a[0] = 1.0  # this line
        return part

    def lost():
        a = tn.zeros((2, 2))
        a[1][0] = 1.0
        return a

    for wrong in (write, lost):
        aliasing._looks = 5
        with pytest.warns(
            RuntimeWarning, match="which is a view of it or of which it is a view, keeps its values.*tn.lift"
        ):
            wrong()
        wrong()
    aliasing._looks = 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        a = tn.zeros(4)
        a[1:] = a[:-1] + 1
        a[1:] += a[:-1]
        a[0], a[1] = a[1].copy(), a[0].copy()
    aliasing._looks = 50


def test_threads_do_not_see_each_other() -> None:
    step = tn.lift(lambda x: held(x))
    start = threading.Barrier(4)
    found: dict[int, float] = {}

    def run(k: int) -> None:
        x = tn.tensor(float(k), requires_grad=True)
        start.wait()
        for _ in range(20):
            result = step(x)
            x.grad = None
            result.backward()
        found[k] = x.grad.item()

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: 4.0 * k for k in range(4)}
    assert np is held.__globals__["np"]
    assert isinstance(np.zeros(2), np.ndarray)


def held(x):
    a = np.zeros((2, 2))
    a[:] = x
    row = a[0]
    row *= row
    return row.sum()


def test_functions_that_are_called_are_lifted_in_turn() -> None:
    def power(a, n):
        if n == 0:
            return np.ones_like(a)
        out = np.zeros_like(a)
        out[:] = power(a, n - 1) * a
        return out

    def apply(f, a):
        return f(a)

    x = tn.tensor([1.0, 2.0], requires_grad=True)
    tn.lift(lambda a: apply(lambda b: power(b, 3), a))(x).sum().backward()
    assert np.array_equal(x.grad, [3, 12])


def test_nothing_of_a_run_is_kept() -> None:
    default = np.zeros(1)

    def count(x, kept=default, *, more=[np.zeros(1)]):  # noqa: B006, B008
        kept += x
        more[0][:] = kept * HELD[0]
        return kept * more[0]

    HELD[:] = 1
    lifted = tn.lift(count)
    x = tn.tensor([2.0], requires_grad=True)
    for turn in (1, 2, 3):
        y = x * 1
        node = weakref.ref(y.node)
        x.grad = None
        result = lifted(y)[0]
        result.backward()
        assert result.item() == (2 * turn) ** 2
        assert x.grad.item() == 2 * (2 * turn)
        del y, result
        assert node() is None
    assert default.item() == 6


@tn.lift
def added(x):
    HELD[0] += x
    return HELD * 1


def test_a_lifted_function_is_called_by_another() -> None:
    def twice(x):
        first = added(x)
        return (first + added(x)).sum()

    HELD[:] = 0
    x = tn.tensor(2.0, requires_grad=True)
    for turn in range(2):
        x.grad = None
        result = tn.lift(twice)(x)
        result.backward()
        assert (result.item(), x.grad.item()) == ((6, 3), (14, 3))[turn]
        assert HELD[0] == 4 * (turn + 1)


def test_without_gradients_a_tensor_that_nobody_shares_is_written_in_place() -> None:
    t = tn.tensor(np.arange(5.0))
    shared = t.detach()
    tn.lift(heat)(t, 1)
    assert np.array_equal(shared, np.arange(5.0))
    memory = id(t._data)
    tn.lift(heat)(t, 1)
    assert id(t._data) == memory


def test_modules_that_are_named_are_lifted_too() -> None:
    module = ModuleType("kernels_of_a_test")
    exec("import numpy as np\ndef fill(x):\n    a = np.zeros(2)\n    a[:] = x\n    return a\n", vars(module))
    x = tn.tensor(2.0, requires_grad=True)

    def program(x):
        return module.fill(x).sum()

    with pytest.raises(TypeError, match="not turned into an ndarray in silence"):
        tn.lift(program)(x)
    tn.lift(program, modules=(module,))(x).backward()
    assert x.grad.item() == 2


def test_functions_of_no_module_are_lifted_too() -> None:
    """`exec` makes them, where its names have no `__name__`."""
    text = """
class Sums:
    def add(self, a, x):
        a += x * scale
        return a
def f(x, sums):
    a = np.zeros(2)
    for i in range(5):
        a = sums.add(a, x) + tn.exp(x) * 0
    if a[0] > 0:
        a = a * 2
    return a.sum()
"""
    linecache.cache["<no module>"] = len(text), None, text.splitlines(True), "<no module>"
    names: dict[str, Any] = {"np": np, "tn": tn, "scale": 2.0}
    exec(compile(text, "<no module>", "exec"), names)
    for take in (tn.lift(names["f"]), tn.compile(names["f"], lift=True, backend="numpy")):
        x = np.ones(2)
        for factor in (2.0, 2.0, 3.0):
            names["scale"] = factor
            assert take(x, names["Sums"]()).item() == 20 * factor
            np.testing.assert_array_equal(tn.grad(take)(x, names["Sums"]()), [10 * factor] * 2)


class Field:
    def __init__(self, n):
        self.u = np.zeros(n)

    def add(self, x):
        self.u[1:] += x


class Wave(Field):
    def __init__(self, n, c):
        super().__init__(n)
        self.c, self.log = c, []

    def add(self, x):
        super().add(x * self.c)
        self.log.append(self.total)

    @property
    def total(self):
        return np.sum(self.u)

    def run(self, x, turns):
        other = Wave(3, self.c)
        for _ in range(turns):
            self.add(x)
            other.add(x)
        return self.total * other.total, other


@pytest.mark.parametrize("grad", [False, True])
def test_objects_and_their_methods(grad: bool) -> None:
    wave, plain = Wave(3, 2.0), Wave(3, 2.0)
    expected, _ = plain.run(1.5, 2)
    x = tn.tensor(1.5, requires_grad=grad)
    result, other = tn.lift(wave.run)(x, 2)
    assert result.item() == expected
    assert type(wave) is type(other) is Wave
    assert np.array_equal(tn.asarray(wave.u).detach(), plain.u)
    assert [float(v.detach()) if grad else float(v) for v in wave.log] == plain.log
    if grad:
        result.backward()
        assert x.grad.item() == 2 * expected / 1.5


def test_what_depends_on_constants_alone_is_known_in_a_program() -> None:
    def program(x):
        places = np.arange(3)[::-1]
        found = x * 1
        for i in places:
            if places[i] > 0:
                found[int(i)] = found[places[i]] * 2
        return found

    expected = program(np.arange(1.0, 4.0))
    compiled = tn.compile(lambda x: tn.lift(program)(x), backend="numpy")
    assert np.array_equal(compiled(np.arange(1.0, 4.0)), expected)
    compiled = tn.compile(program, lift=True, backend="numpy")
    assert np.array_equal(compiled(np.arange(1.0, 4.0)), expected)


def test_a_function_that_is_none_of_pythons_is_refused() -> None:
    def turns():
        yield 1

    for wrong, message in ((np.sin, "a function or method written in Python"), (turns, "does not run when it is called"),
                           (tn.grad(heat), "lift the function it is made of")):  # fmt: skip
        with pytest.raises(TypeError, match=message):
            tn.lift(wrong)


def test_adding_at_places_that_are_computed_is_compiled() -> None:
    def deposit(x):
        left = np.floor(x).astype(int)
        density = np.zeros(4)
        np.add.at(density, left % 4, x - left)
        np.subtract.at(density, (left + 1) % 4, 1.0)
        return density

    compiled = tn.compile(deposit, lift=True, backend="numpy")
    for x in (np.array([0.25, 1.5, 1.75]), np.array([3.5, 2.25, 0.5])):
        assert np.array_equal(compiled(x), deposit(x))


def test_what_trim_zeros_and_its_kin_leave_are_views() -> None:
    def trimmed(a: np.ndarray) -> np.ndarray:
        a = a * 1.0
        part = np.trim_zeros(a)
        part[0] = 7.0
        first, second = np.unstack(a.reshape(2, 3))
        first[1] = second[0]
        return part * a.sum()

    # How many zeros there are is asked of values: no program, and no finite differences.
    agrees(trimmed, np.array([0.0, 0.0, 1.0, 2.0, 3.0, 0.0]), compiled=False, gradients=False)
