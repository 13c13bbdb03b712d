"""Parts of arrays whose lengths change from turn to turn of a loop that is recorded once."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.control.body import Body
from tapenet.lifting.index import Index, Loop, Split
from tapenet.lifting.number import Unknown
from tapenet.lifting.subscripts import getitem, setitem
from tests.lifting.triangular_programs import Programs

Function = Callable[..., tuple[tn.Tensor, ...]]
N = 6


def function(seed: int, folder: Path) -> Function:
    """The function of a program, with its source in a file."""
    path = folder / f"program_{seed}.py"
    path.write_text("import numpy as np\n\n\n" + Programs(seed).function(), encoding="utf-8")
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Function = module.f
    return found


def arrays(seed: int) -> list[np.ndarray]:
    r = np.random.default_rng(seed)
    return [r.normal(size=N), r.normal(size=N), r.normal(size=(N, N))]


def copies(given: list[np.ndarray]) -> list[np.ndarray]:
    return [v.copy() for v in given]


def total(f: Function) -> Callable[..., tn.Tensor]:
    """A number that depends on everything that a function gives."""

    def loss(*args: tn.Tensor) -> tn.Tensor:
        outs = f(*(v.copy() for v in args))
        return sum(((v * np.cos(np.arange(v.size).reshape(v.shape))).sum() for v in outs), start=tn.tensor(0.0))

    return loss


def check_values(seed: int, folder: Path, backend: str, beyond: float | None = None) -> None:
    f, given = function(seed, folder), arrays(seed)
    if beyond is not None:
        for v in given:
            v.flat[np.random.default_rng(seed).integers(v.size)] = beyond
    with np.errstate(all="ignore"):
        expected = f(*copies(given))
        found = tn.compile(f, lift=True, backend=backend)(*map(tn.tensor, given))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b, 1e-10, 1e-12)


def check_gradients(seed: int, folder: Path, backend: str) -> None:
    f, given = function(seed, folder), arrays(seed)
    loss = total(tn.lift(f))
    expected = tn.grad(loss, (0, 1, 2))(*map(tn.tensor, given))
    found = tn.compile(tn.grad(loss, (0, 1, 2)), backend=backend)(*map(tn.tensor, given))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-8, 1e-10)


@pytest.mark.parametrize("seed", range(8))
def test_programs_have_the_values_of_numpy(seed: int, tmp_path: Path) -> None:
    check_values(seed, tmp_path, "numpy")


@pytest.mark.parametrize(("seed", "beyond"), [(s, v) for s in range(100, 102) for v in (np.nan, np.inf)])
def test_what_lies_beyond_has_no_influence(seed: int, beyond: float, tmp_path: Path) -> None:
    check_values(seed, tmp_path, "numpy", beyond)


@pytest.mark.parametrize("seed", range(200, 204))
def test_gradients_of_programs_are_those_of_the_recorded_ones(seed: int, tmp_path: Path) -> None:
    check_gradients(seed, tmp_path, "numpy")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("first", range(1000, 1040, 10))
def test_many_programs(first: int, backend: str, tmp_path: Path) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    for seed in range(first, first + 3):
        check_values(seed, tmp_path, backend)
        check_gradients(seed, tmp_path, backend)


# -- the gradient beyond -------------------------------------------------------------------------------------------


def triangular_solve(L: np.ndarray, b: np.ndarray) -> np.ndarray:
    x = np.empty(b.shape[0])
    x[:] = np.nan
    for i in range(b.shape[0]):
        x[i] = (b[i] - L[i, :i] @ x[:i]) / L[i, i]
    return x


def test_gradients_do_not_see_what_lies_beyond() -> None:
    """What is above the diagonal is nan, and x is nan where it is not solved for yet."""
    r = np.random.default_rng(0)
    L = np.tril(r.normal(size=(5, 5))) + 4 * np.eye(5)
    b = r.normal(size=5)
    expected = np.linalg.solve(L, b)
    L[np.triu_indices(5, 1)] = np.nan
    f = tn.lift(triangular_solve)
    gradient = tn.compile(tn.grad(lambda L, b: (f(L, b) ** 2).sum(), (0, 1)))
    of_L, of_b = gradient(tn.tensor(L), tn.tensor(b))
    np.testing.assert_allclose(tn.compile(f)(tn.tensor(L), tn.tensor(b)).numpy(), expected)
    adjoint = np.linalg.solve(np.tril(np.nan_to_num(L)).T, 2 * expected)
    np.testing.assert_allclose(of_b.numpy(), adjoint)
    np.testing.assert_allclose(of_L.numpy(), -np.tril(np.outer(adjoint, expected)), atol=1e-12)


# -- what is computed in a loop -------------------------------------------------------------------------------------


def sparse_product(row: np.ndarray, column: np.ndarray, values: np.ndarray, x: np.ndarray) -> np.ndarray:
    y = np.empty(row.size - 1)
    for i in range(row.size - 1):
        y[i] = values[row[i] : row[i + 1]] @ x[column[row[i] : row[i + 1]]]
    return y


@pytest.mark.parametrize("shape", [(5, 4), (4, 40)])
def test_slices_end_where_values_say(shape: tuple[int, int]) -> None:
    r = np.random.default_rng(1)
    dense = r.normal(size=shape) * (r.random(shape) < np.linspace(0.3, 1, shape[0])[:, None])
    row = np.concatenate([[0], np.cumsum((dense != 0).sum(axis=1))])
    column, values, x = np.nonzero(dense)[1], dense[dense != 0], r.normal(size=shape[1])
    f = tn.lift(sparse_product)
    np.testing.assert_allclose(tn.compile(f)(row, column, values, x).numpy(), dense @ x)
    gradient = tn.compile(tn.grad(lambda v, x: (f(row, column, v, x) ** 2).sum(), (0, 1)))
    of_values, of_x = gradient(tn.tensor(values), tn.tensor(x))
    np.testing.assert_allclose(of_x.numpy(), 2 * dense.T @ dense @ x)
    np.testing.assert_allclose(of_values.numpy(), np.outer(2 * dense @ x, x)[dense != 0])


def running_means(a: np.ndarray, ends: np.ndarray) -> np.ndarray:
    found = np.zeros((ends.size - 1, 3))
    for i in range(ends.size - 1):
        part = a[ends[i] : ends[i + 1]]
        before = np.sin(part) * part[::-1]
        twice = 2 * part
        part *= 0.5
        a[ends[i]] += i
        found[i] = twice.sum(), part.sum(), before.sum() + np.sqrt(part**2 + 1).mean()
    return found


def test_values_stay_and_views_change_where_slices_end_at_values() -> None:
    a, ends = np.random.default_rng(7).normal(size=60), np.array([0, 3, 40, 41, 58])
    f = tn.lift(running_means)
    compiled = tn.compile(lambda a: f(a.copy(), ends), backend="numpy")
    np.testing.assert_allclose(compiled(tn.tensor(a)).numpy(), running_means(a.copy(), ends), 1e-12)
    traced = tn.compile(lambda a, ends: f(a.copy(), ends), backend="numpy")
    np.testing.assert_allclose(traced(tn.tensor(a), tn.tensor(ends)).numpy(), running_means(a.copy(), ends), 1e-12)


def rings(data: np.ndarray, radius: np.ndarray, n: int) -> np.ndarray:
    found = np.zeros(n)
    for i in range(n):
        chosen = np.logical_and(i / n <= radius, radius < (i + 1) / n)
        found[i] = (2 * data[chosen] - radius[chosen]).mean() + data[chosen].sum()
    return found


def test_masks_of_each_turn_choose() -> None:
    r = np.random.default_rng(2)
    data, radius = r.normal(size=40), r.random(40)
    f = tn.lift(rings)
    np.testing.assert_allclose(tn.compile(lambda d, r: f(d, r, 6))(data, radius).numpy(), rings(data, radius, 6))
    gradient = tn.compile(tn.grad(lambda d: (f(d, radius, 6) ** 2).sum()))(tn.tensor(data))
    for k in (0, 17):
        step = np.zeros(40)
        step[k] = 1e-6
        up, down = ((rings(data + s, radius, 6) ** 2).sum() for s in (step, -step))
        np.testing.assert_allclose(gradient.numpy()[k], (up - down) / 2e-6, 1e-6)


def escapes(c: np.ndarray, turns: int) -> tuple[np.ndarray, np.ndarray]:
    z, n = np.zeros_like(c), np.zeros(c.shape, dtype=int)
    for k in range(turns):
        near = np.abs(z) < 2.0
        n[near] = k
        z[near] = z[near] ** 2 + c[near]
    return z, n


def test_what_a_mask_chooses_is_assigned_to() -> None:
    r = np.random.default_rng(3)
    c = 2 * (r.normal(size=(4, 3)) + 1j * r.normal(size=(4, 3)))
    for found, expected in zip(tn.compile(lambda c: tn.lift(escapes)(c, 8))(c), escapes(c, 8), strict=True):
        np.testing.assert_allclose(found.numpy(), expected)


# -- indices -----------------------------------------------------------------------------------------------------------


def loop_index(start: int = 0, turns: int = 5, step: int = 1) -> Index:
    found = Loop(tn.tensor(2), turns).index(start, step)
    assert isinstance(found, Index)
    return found


def test_questions_with_one_answer_are_answered() -> None:
    i = loop_index(1)  # from 1 to 5
    j = Loop(tn.tensor(1), i).index()  # from 0 to i - 1
    assert i > 0
    assert i != 0
    assert not i >= 6
    assert j < i
    assert (2 * i + 1) % 2 == 1
    assert (4 * i + 3) // 2 == 2 * i + 1
    assert i - i == 0
    down = loop_index(4, 5, -1)  # from 4 to 0
    assert (down.low, down.high) == (0, 4)
    assert not down < 0


@pytest.mark.parametrize(
    ("ask", "at"),
    [
        (lambda i: i == 0, [0, 1]),
        (lambda i: i != 4, [4, 5]),
        (lambda i: i < 3, [3]),
        (lambda i: i <= 3, [4]),
        (lambda i: i > 3, [4]),
        (lambda i: i >= 3, [3]),
        (lambda i: 2 * i > 3, [2]),
        (lambda i: 4 - i < 3, [2]),
        (lambda i: 4 - i <= 3, [1]),
    ],
)
def test_a_question_says_where_its_answer_changes(ask: Callable[[object], object], at: list[int]) -> None:
    with pytest.raises(Split) as split:
        ask(loop_index())
    assert list(split.value.at) == at
    answers = [bool(ask(k)) for k in range(5)]
    changes = [k for k in range(1, 5) if answers[k] != answers[k - 1]]
    assert set(changes) <= {*at}


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (lambda a, i: np.median(getitem(a, slice(None, i))), "median is not recorded"),
        (lambda a, i: getitem(a, slice(None, i)) + getitem(a, slice(i, None)), "the lengths of parts"),
        (lambda a, i: getitem(a, slice(None, i)) + a, "the lengths of parts"),
        (lambda a, i: bool(getitem(a, slice(None, i))), "truth"),
        (lambda a, i: setitem(value=getitem(a, slice(None, i)), a=a, index=slice(None)), "written"),
        (lambda a, i: getitem(a, slice(i, None, 2)), "a slice with a step"),
    ],
)
def test_what_cannot_be_followed_says_so(part: Callable[[tn.Tensor, Index], object], words: str) -> None:
    with pytest.raises(Unknown, match=words):
        part(tn.tensor(np.arange(6.0)), loop_index(1, 4))


def test_an_index_that_never_fits_is_an_error() -> None:
    with pytest.raises(IndexError, match="index 6 is out of bounds for axis with size 6"):
        getitem(tn.tensor(np.arange(6.0)), loop_index(6))


# -- windows -----------------------------------------------------------------------------------------------------------


def convolution(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    n = weights.shape[0]
    rows, columns = image.shape[1] - n + 1, image.shape[2] - n + 1
    found = np.empty((image.shape[0], rows, columns, weights.shape[3]))
    for i in range(rows):
        for j in range(columns):
            part = image[:, i : i + n, j : j + n, :, np.newaxis]
            found[:, i, j, :] = np.sum(part * weights[np.newaxis, :, :, :], axis=(1, 2, 3))
    return found


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_windows_slide(backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    r = np.random.default_rng(4)
    image, weights = r.normal(size=(2, 7, 6, 3)), r.normal(size=(3, 3, 3, 4))
    f = tn.lift(convolution)
    compiled = tn.compile(f, backend=backend)
    for scale in (1, 2):
        expected = convolution(scale * image, weights)
        np.testing.assert_allclose(compiled(scale * image, weights).numpy(), expected, 1e-12, 1e-12)
    loss = tn.grad(lambda image, weights: (f(image, weights) ** 2).sum(), (0, 1))
    given = tn.tensor(image), tn.tensor(weights)
    for a, b in zip(tn.compile(loss, backend=backend)(*given), loss(*given), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-10, 1e-10)


def blurred(a: np.ndarray, turns: int) -> np.ndarray:
    for i in range(turns):
        block = a[i : i + 3, None, i : i + 2]  # a view
        block[:, 0] *= 0.5
        block[1, :, ::-1] += a[None, i + 1, i : i + 2]
        a[i, i : i + 3] = a[i + 2, i : i + 3] + a[i : i + 3, i + 1]
    return a.copy()


def test_windows_are_views() -> None:
    a = np.random.default_rng(5).normal(size=(7, 7))
    compiled = tn.compile(lambda a: tn.lift(blurred)(a.copy(), 4), backend="numpy")
    np.testing.assert_allclose(compiled(tn.tensor(a)).numpy(), blurred(a.copy(), 4), 1e-12)


def test_the_turns_of_loops_are_not_computed_while_their_gradient_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program runs in place of what is captured, whoever lifts the function."""
    turns = []
    run = Body.__call__
    monkeypatch.setattr(Body, "__call__", lambda self, values: [turns.append(1), run(self, values)][1])
    r = np.random.default_rng(6)
    given = tn.tensor(np.tril(r.normal(size=(40, 40))) + 9 * np.eye(40)), tn.tensor(r.normal(size=40))
    gradient = tn.compile(tn.grad(lambda L, b: (tn.lift(triangular_solve)(L, b) ** 2).sum(), (0, 1)), backend="numpy")
    found = gradient(*given)
    assert len(turns) < 10
    monkeypatch.undo()
    expected = tn.grad(lambda L, b: (tn.lift(triangular_solve)(L, b) ** 2).sum(), (0, 1))(*given)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-9, 1e-12)


# -- lists of indices, and values that are lists -------------------------------------------------------------------------


def eliminated(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a = a.copy()
    n = len(a)
    rows = np.arange(n)
    for k in range(n - 1):
        p = k + np.argmax(np.abs(a[k:, k]))
        if p != k:
            a[[k, p]] = a[[p, k]]
            rows[[k, p]] = rows[[p, k]]
        a[k + 1 :, k] /= a[k, k]
        a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])
        a[k, [0, k]] = a[k, [0, k]] + [0.0, 0.0]
    return a, rows


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_rows_are_exchanged(backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    a = np.random.default_rng(8).normal(size=(12, 12))
    for found, expected in zip(tn.compile(eliminated, lift=True, backend=backend)(a), eliminated(a), strict=True):
        np.testing.assert_allclose(found.numpy(), expected, 1e-12)
    loss = tn.grad(lambda a: np.log(np.abs(np.diag(tn.lift(eliminated)(a)[0]))).sum())
    gradient = tn.compile(loss, backend=backend)(tn.tensor(a))
    np.testing.assert_allclose(gradient.numpy(), np.linalg.inv(a).T, 1e-9)


def largest(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = np.zeros(len(a) - 1, dtype=int), np.zeros(len(a) - 1, dtype=int)
    for i in range(1, len(a)):
        found[0][i - 1] = np.argmax(a[i:])
        found[1][i - 1] = np.argmin(a[:i])
    return found


def test_the_place_of_the_largest_is_counted_from_where_the_part_begins() -> None:
    for a in (np.array([3.0, 1.0, -np.inf, 2.0, 2.0, -np.inf, -np.inf]), np.array([2, 7, 1, 7, 0], np.uint8)):
        for found, expected in zip(tn.compile(largest, lift=True, backend="numpy")(a), largest(a), strict=True):
            np.testing.assert_array_equal(found.numpy(), expected)


def values_and_views(a: np.ndarray) -> np.ndarray:
    found = np.zeros((len(a), 4))
    for i in range(1, len(a)):
        value = 2 * a[:i]
        other, part = value, value[::-1][:1]
        value += 1
        part *= 3
        other[0] -= 1
        found[i] = value.sum(), other[-1], part[0], a.sum()
    return found


def test_values_of_changing_length_are_written_in_place() -> None:
    a = np.random.default_rng(9).normal(size=6)
    found = tn.compile(values_and_views, lift=True, backend="numpy")(a)
    np.testing.assert_allclose(found.numpy(), values_and_views(a), 1e-12)


def firsts(a: np.ndarray, begin: int) -> np.ndarray:
    found = np.zeros(len(a))
    for i in range(begin, len(a)):
        found[i] = a[:i][0]
    return found


def test_an_element_that_is_not_there_is_an_error() -> None:
    a = np.arange(9.0)
    np.testing.assert_array_equal(tn.compile(tn.lift(lambda a: firsts(a, 1)))(a).numpy(), firsts(a, 1))
    with pytest.raises(IndexError, match="index 0 is out of bounds for axis"):
        tn.compile(tn.lift(lambda a: firsts(a, 0)))(a)


def in_integers(a: np.ndarray) -> None:
    for i in range(1, len(a)):
        part = a[:i]
        part += 0.5


def test_what_an_array_of_integers_cannot_hold_is_an_error() -> None:
    with pytest.raises(TypeError, match="which the array cannot hold"):
        tn.compile(in_integers, lift=True)(np.arange(12))
