"""Products of vectors, and those of np.linalg: against NumPy and PyTorch."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch

R = np.random.default_rng(0)


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def checked(function: Any, *arrays: Any, ours: Any = None, **options: Any) -> None:
    """A NumPy function has its own values on tensors, and gradients that are right to second order."""
    ours = function if ours is None else ours
    expected = function(*arrays, **options)
    out = ours(*map(leaf, arrays), **options)
    assert out.shape == np.shape(expected)
    assert out.dtype == expected.dtype
    np.testing.assert_allclose(out.data, expected, rtol=1e-12, atol=1e-12)
    check_grads(lambda *a: ours(*a, **options), arrays, order=2)


PAIRS = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((2, 3), (4, 3)),
    ((2, 1, 3), (4, 3)),
    ((0,), (0,)),
    ((2, 0), (0,)),
]


@pytest.mark.parametrize("shapes", [*PAIRS, ((), (2, 3)), ((3,), ()), ((), ())])
def test_inner(shapes: Any) -> None:
    checked(np.inner, *(R.normal(size=s) for s in shapes))


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((2, 3), (6,)), ((2, 3), (3, 2)), ((), ()), ((0, 2), (0,))])
@pytest.mark.parametrize("kind", ["real", "complex", "mixed"])
def test_vdot(shapes: Any, kind: str) -> None:
    a, b = (R.normal(size=s) + 1j * R.normal(size=s) for s in shapes)
    checked(np.vdot, a if kind == "complex" else a.real, b.real if kind == "real" else b)


@pytest.mark.parametrize("shapes", [((3,), (2,)), ((2, 2), (3,)), ((), (3,)), ((0,), (2,)), ((2, 1), (1, 2))])
def test_outer(shapes: Any) -> None:
    checked(np.outer, *(R.normal(size=s) for s in shapes))


@pytest.mark.parametrize(
    "shapes",
    [((2,), (3,)), ((2, 3), (3, 2)), ((2, 1, 2), (3,)), ((3,), (1, 2, 2)), ((), (2, 3)), ((2,), ()), ((), ()), ((0, 2), (3, 1)),
     ((2, 1), (0,))],
)  # fmt: skip
def test_kron(shapes: Any) -> None:
    checked(np.kron, *(R.normal(size=s) for s in shapes))


CROSS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, int]]] = [
    ((3,), (3,), {}), ((2, 3), (3,), {}), ((2, 3), (2, 3), {}), ((2, 1, 3), (4, 3), {}), ((3, 2), (2, 3), {"axisa": 0}),
    ((3, 2), (3, 2), {"axis": 0}), ((3, 2), (2, 3), {"axisa": 0, "axisb": 1, "axisc": 0}),
    ((2, 3, 4), (4, 3), {"axisa": 1, "axisc": 1}),
    ((0, 3), (3,), {}),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "options"), CROSS)
def test_cross(a: Any, b: Any, options: Any) -> None:
    checked(np.cross, R.normal(size=a), R.normal(size=b), **options)


@pytest.mark.parametrize("shapes", [((2,), (2,)), ((4, 2), (2,)), ((2,), (3,)), ((2, 3), (2,)), ((2, 2), (2, 3))])
def test_cross_of_vectors_in_the_plane(shapes: Any) -> None:
    with warnings.catch_warnings():  # NumPy means to give these up
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            np.cross(np.ones(2), np.ones(3))
        except ValueError:
            pytest.skip("this NumPy has no cross product in the plane")
        checked(np.cross, *(R.normal(size=s) for s in shapes))


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("shapes", [*PAIRS[:3], ((2, 1, 3), (4, 3)), ((2, 0), (0,))])
def test_vecdot(shapes: Any, kind: str) -> None:
    a, b = (R.normal(size=s) + (1j * R.normal(size=s) if kind == "complex" else 0) for s in shapes)
    checked(np.vecdot, a, b)
    checked(np.vecdot, a, b, ours=tn.vecdot, keepdims=True)
    checked(np.linalg.vecdot, a, b)


def test_vecdot_along_other_axes() -> None:
    a, b = R.normal(size=(3, 2)), R.normal(size=(3, 2))
    for options in ({"axis": 0}, {"axis": 0, "keepdims": True}, {"axis": -2}):
        checked(np.vecdot, a, b, ours=tn.vecdot, **options)
    checked(np.vecdot, a, b.T, ours=tn.vecdot, axes=[0, 1])
    checked(np.vecdot, a, b.T, ours=tn.vecdot, axes=[(0,), (1,), ()])
    checked(np.vecdot, a, b.T, ours=tn.vecdot, axes=[0, 1, 0], keepdims=True)
    checked(np.vecdot, a, b.T, ours=tn.vecdot, axes=[(0,), (1,), (-1,)], keepdims=True)
    checked(np.linalg.vecdot, a, b, axis=0)


def test_vecdot_with_as_many_axes_as_numpy_takes() -> None:
    a, b = R.normal(size=(3, 2, 3)), R.normal(size=(3, 1, 3))
    for axes in ([0, 0], [-1, -1], [(0,), 0, 1]):
        checked(np.vecdot, a, b, ours=tn.vecdot, axes=axes, keepdims=True)
    for bad in ([-1, -1, -1], [0], [0, 0, 0, 0], [(0, 1), 0], [0, 0, (0,)]):
        for f, x in ((np.vecdot, a), (np.vecdot, leaf(a)), (tn.vecdot, leaf(a))):
            with pytest.raises(ValueError, match=r"axes|dimensions"):
                f(x, b, axes=bad)
    for wrong in ({"axes": (0, 0)}, {"axes": [0.0, 0]}, {"axis": 0, "axes": [0, 0]}):
        for f, x in ((np.vecdot, a), (np.vecdot, leaf(a)), (tn.vecdot, leaf(a))):
            with pytest.raises(TypeError):
                f(x, b, **wrong)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("batch", [((), ()), ((2,), ()), ((), (2,)), ((2, 1), (3,)), ((0,), ())])
def test_matrices_with_stacks_of_vectors(batch: Any, kind: str) -> None:
    def array(*shape: int) -> Any:
        return R.normal(size=shape) + (1j * R.normal(size=shape) if kind == "complex" else 0)

    checked(np.matvec, array(*batch[0], 2, 3), array(*batch[1], 3))
    checked(np.vecmat, array(*batch[0], 2), array(*batch[1], 2, 3))


def test_matrices_and_vectors_along_other_axes() -> None:
    checked(np.matvec, R.normal(size=(3, 2)), R.normal(size=(3, 4)), ours=tn.matvec, axes=[(1, 0), 0, 0])
    checked(np.matvec, R.normal(size=(2, 3)), R.normal(size=(3, 4)), ours=tn.matvec, axes=[(0, 1), (0,), (1,)])
    checked(np.vecmat, R.normal(size=(3, 2)), R.normal(size=(4, 3)), ours=tn.vecmat, axes=[0, (1, 0), 0])


# -- np.linalg ---------------------------------------------------------------------------------------------------


def test_linalg_has_them_too() -> None:
    a, b = R.normal(size=(2, 3)), R.normal(size=(3, 2))
    checked(np.linalg.matmul, a, b)
    assert tn.linalg.matmul is tn.matmul
    checked(np.linalg.outer, R.normal(size=3), R.normal(size=2))
    checked(np.linalg.cross, R.normal(size=(3, 2)), R.normal(size=(3, 2)), axis=0)
    checked(np.linalg.matrix_transpose, R.normal(size=(2, 1, 3)))
    for offset in (0, 1, -1, 5, -5):
        checked(np.linalg.diagonal, R.normal(size=(2, 2, 3)), offset=offset)
        checked(np.linalg.trace, R.normal(size=(2, 2, 3)), offset=offset)
    assert np.linalg.trace(leaf(a), dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize(
    "shapes",
    [((2, 3), (3, 4)), ((2, 3), (3, 4), (4, 2)), ((3,), (3, 4), (4, 2)), ((2, 3), (3, 4), (4,)), ((3,), (3, 4), (4,)),
     ((3,), (3,)), ((2, 3), (3, 1), (1, 4), (4, 2), (2, 3)), ((0, 2), (2, 3), (3, 1))],
)  # fmt: skip
def test_multi_dot(shapes: Any) -> None:
    arrays = [R.normal(size=s) for s in shapes]
    checked(lambda *a: np.linalg.multi_dot(a), *arrays)


def test_multi_dot_takes_the_cheapest_order() -> None:
    a, b, c, d = (leaf(np.ones(s)) for s in ((40, 2), (2, 40), (40, 2), (2, 40)))
    out = np.linalg.multi_dot([a, b, c, d])
    shapes = []
    nodes = [out._node]
    for node in nodes:
        nodes += [p for p in node.parents if p not in nodes]
        shapes.append(node.shape)
    assert (2, 2) in shapes
    assert shapes.count((40, 40)) == 1


def test_against_torch() -> None:
    torch = pytest.importorskip("torch")
    agrees_with_torch(np.kron, torch.kron, R.normal(size=(2, 3)), R.normal(size=(3, 2)))
    agrees_with_torch(np.outer, torch.outer, R.normal(size=3), R.normal(size=2))
    agrees_with_torch(np.inner, torch.inner, R.normal(size=(2, 3)), R.normal(size=(4, 3)))
    agrees_with_torch(np.cross, torch.linalg.cross, R.normal(size=(2, 3)), R.normal(size=(2, 3)))
    agrees_with_torch(np.vdot, torch.vdot, R.normal(size=3), R.normal(size=3))
    agrees_with_torch(np.linalg.vecdot, torch.linalg.vecdot, R.normal(size=(2, 3)), R.normal(size=(2, 3)))
    agrees_with_torch(
        lambda *a: np.linalg.multi_dot(a), lambda *a: torch.linalg.multi_dot(a),
        R.normal(size=(2, 3)), R.normal(size=(3, 4)), R.normal(size=(4, 2)),
    )  # fmt: skip


def test_complex_gradients_against_torch() -> None:
    torch = pytest.importorskip("torch")
    a, b = (R.normal(size=3) + 1j * R.normal(size=3) for _ in range(2))
    x, y = leaf(a), leaf(b)
    p, q = (torch.tensor(v, requires_grad=True) for v in (a, b))
    np.abs(np.vdot(x, y)).backward()
    torch.abs(torch.vdot(p, q)).backward()
    np.testing.assert_allclose(x.grad.data, p.grad.numpy(), rtol=1e-12)
    np.testing.assert_allclose(y.grad.data, q.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("function", [np.inner, np.outer, np.kron, np.vdot])
def test_lists_of_numbers_and_of_tensors(function: Any) -> None:
    a, b = R.normal(size=2), R.normal(size=2)
    x = leaf(b)
    np.testing.assert_allclose(function(list(a), x).data, function(a, b))
    np.testing.assert_allclose(function([x[0], 2.0], x).data, function([b[0], 2.0], b))
    assert getattr(tn, function.__name__)(a, [x[0], 1.0]).requires_grad


def test_small_integers_stay_small() -> None:
    small = np.arange(3, dtype=np.int8)
    for function in (np.inner, np.vdot, np.outer, np.kron, np.cross, *([np.vecdot] if hasattr(np, "vecdot") else [])):
        np.testing.assert_array_equal(function(tn.tensor(small), small).data, function(small, small), strict=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: np.vdot(a, np.ones(5)), r"vdot: 6 and 5 elements"),
        (lambda a: np.inner(a, np.ones(2)), r"inner: the last axes of shapes \(2, 3\) and \(2,\) must be equally long"),
        (lambda a: np.cross(a, np.ones((2, 4))), r"cross: vectors have 3 components"),
        (lambda a: np.cross(a, 2.0), r"cross: .*which arrays of shapes \(2, 3\) and \(\) have not there"),
        (
            lambda a: tn.vecdot(a, np.ones(2)),
            r"vecdot.*The last axes of shapes \(2, 3\) and \(2,\) must be equally long",
        ),
        (lambda a: tn.matvec(a[0], np.ones(3)), r"matvec.*x1 is a matrix \(or a stack of them\), x2 a vector"),
        (lambda a: tn.vecmat(np.ones(3), a), r"vecmat.*Axis -1 of x1 \(3,\) must be as long as axis -2 of x2 \(2, 3\)"),
        (
            lambda a: np.linalg.outer(a, np.ones(2)),
            r"linalg\.outer: .* are not both vectors; np\.outer takes any array",
        ),
        (
            lambda a: np.linalg.cross(a[:, :2], np.ones((2, 2))),
            r"linalg\.cross: vectors have 3 components, not the 2 and 2",
        ),
        (lambda a: np.linalg.multi_dot([a]), r"give two or more arrays"),
        (
            lambda a: np.linalg.multi_dot([a, np.ones(3), np.ones((3, 2))]),
            r"of which the first and the last may be vectors",
        ),
        (lambda a: np.linalg.multi_dot([a, a]), r"as many columns as the next has rows"),
        (lambda a: np.linalg.trace(a[0]), r"linalg\.trace: a matrix has two axes or more, shape \(3,\) has not"),
    ],
)
def test_mistakes(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(leaf(np.ones((2, 3))))
