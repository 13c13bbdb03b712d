"""tensordot, einsum and its steps: against NumPy, PyTorch and JAX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.ops.products.contractions import _plan
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch, close

R = np.random.default_rng(0)


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


# -- einsum ------------------------------------------------------------------------------------------------------

#: Subscripts, shapes.
CASES: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij->ji", [(2, 3)]), ("ij", [(2, 3)]), ("ba", [(2, 3)]), ("ii", [(3, 3)]), ("ii->i", [(3, 3)]), ("iij->j", [(2, 2, 3)]),
    ("iijj", [(2, 2, 3, 3)]), ("ijij->ji", [(2, 3, 2, 3)]), ("iji->", [(2, 3, 2)]), ("...ii->...", [(2, 3, 3)]),
    ("ij->", [(2, 3)]), ("i->", [(3,)]), ("->", [()]), ("...->...", [(2, 3)]), ("i...->...i", [(2, 3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]), ("ij,jk->ki", [(2, 3), (3, 4)]), ("ij,kj->ik", [(2, 3), (4, 3)]),
    ("ji,jk->ik", [(3, 2), (3, 4)]), ("ij,ij", [(2, 3), (2, 3)]), ("ij,ji->", [(2, 3), (3, 2)]),
    ("ij,ij->ij", [(2, 3), (2, 3)]), ("ij,ij->i", [(2, 3), (2, 3)]), ("ij,i->ij", [(2, 3), (2,)]),
    ("i,j->ij", [(2,), (3,)]), ("i,j->", [(2,), (3,)]), ("i,jk->j", [(2,), (3, 4)]), ("bij,bjk->bik", [(2, 3, 4), (2, 4, 1)]),
    ("ijb,jkb->kib", [(2, 3, 2), (3, 4, 2)]), ("bij,bj->bi", [(2, 3, 4), (2, 4)]), ("abc,cbd->da", [(2, 3, 4), (4, 3, 2)]),
    ("ii,ij->j", [(2, 2), (2, 3)]), ("ii,jj->", [(2, 2), (3, 3)]), ("ii,ii->i", [(2, 2), (2, 2)]), (",", [(), ()]),
    (",ij->ij", [(), (2, 3)]), ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]), ("i,j,k->kji", [(2,), (3,), (2,)]),
    ("ij,ij,ij->", [(2, 3)] * 3), ("i,i,i->i", [(3,)] * 3), ("ab,bc,cd,da->", [(2, 3), (3, 2), (2, 3), (3, 2)]),
    ("ij,jj,jk->i", [(2, 3), (3, 3), (3, 2)]), ("bi,ij,bj->b", [(2, 3), (3, 4), (2, 4)]),
    ("...ij,...jk->...ik", [(2, 1, 2, 3), (3, 3, 2)]), ("...i,i->...", [(2, 3), (3,)]), ("...,...->...", [(2, 1), (3,)]),
    ("i...,...i->...", [(2, 3), (3, 2)]), ("...i,j...->...ij", [(2, 3), (4, 2)]), ("...,ij->...ij", [(2,), (2, 3)]),
    ("ij,ij->ij", [(1, 3), (2, 1)]), ("ij,jk->ik", [(2, 1), (3, 4)]), ("ij,j->ij", [(1, 1), (3,)]),
    ("ij,ij->", [(1, 3), (2, 3)]), ("ij,jk->ik", [(0, 3), (3, 2)]), ("ij,jk->ik", [(2, 0), (0, 3)]),
    ("ij,j->i", [(2, 1), (0,)]),
]  # fmt: skip


@pytest.mark.parametrize(("subscripts", "shapes"), CASES)
def test_einsum_has_numpys_values_and_right_gradients(subscripts: str, shapes: Any) -> None:
    arrays = [R.normal(size=s) for s in shapes]
    expected = np.einsum(subscripts, *arrays)
    close(tn.einsum(subscripts, *arrays), expected)
    out = np.einsum(subscripts, *map(leaf, arrays))
    close(out.data, expected)
    check_grads(lambda *a: np.einsum(subscripts, *a), arrays, order=2)


#: PyTorch wants an ellipsis for broadcasting, and no label twice by itself.
TORCH = [c for c in CASES if all(n > 0 for s in c[1] for n in s) and c[0] not in (",", "->", "ij,jk->ik", "ij,j->ij")]


@pytest.mark.parametrize(("subscripts", "shapes"), TORCH)
def test_einsum_against_torch(subscripts: str, shapes: Any) -> None:
    torch = pytest.importorskip("torch")
    arrays = [R.normal(size=s) for s in shapes]
    agrees_with_torch(lambda *a: np.einsum(subscripts, *a), lambda *a: torch.einsum(subscripts, *a), *arrays)


@st.composite
def contractions(draw: Any) -> Any:
    """Subscripts with shapes: any labels on up to four arrays, some of them on axes of length one or on an ellipsis."""
    sizes = {label: draw(st.integers(1, 3)) for label in "abcd"}
    parts = draw(st.lists(st.text("abcd", max_size=3), min_size=1, max_size=4))
    used = "".join(sorted(set("".join(parts))))
    stretched = set(draw(st.text("abcd", max_size=1))) if len(parts) > 1 else set()
    first = True
    shapes = []
    for part in parts:  # axes of length one only on the first array
        shapes.append(tuple(1 if first and label in stretched else sizes[label] for label in part))
        first = False
    dots = draw(
        st.lists(st.sampled_from([None, (), (2,), (1,), (3, 1), (3, 2)]), min_size=len(parts), max_size=len(parts))
    )
    for i, extra in enumerate(dots):
        if extra is not None:
            at = draw(st.integers(0, len(parts[i])))
            parts[i] = f"{parts[i][:at]}...{parts[i][at:]}"
            shapes[i] = (*shapes[i][:at], *extra, *shapes[i][at:])
    if draw(st.booleans()):
        return ",".join(parts), shapes
    out = "".join(draw(st.permutations(used))[: draw(st.integers(0, len(used)))])
    if any(d is not None for d in dots):
        at = draw(st.integers(0, len(out)))
        out = f"{out[:at]}...{out[at:]}"
    return f"{','.join(parts)}->{out}", shapes


@settings(max_examples=150, deadline=None, derandomize=True)
@given(drawn=contractions(), optimize=st.sampled_from([False, True, "optimal", ("greedy", 100)]))
def test_any_einsum(drawn: Any, optimize: Any) -> None:
    subscripts, shapes = drawn
    arrays = [np.random.default_rng(i).normal(size=s) for i, s in enumerate(shapes)]
    expected = np.einsum(subscripts, *arrays)
    tensors = [leaf(a) for a in arrays]
    out = np.einsum(subscripts, *tensors, optimize=optimize)
    close(out.data, expected)
    g = np.random.default_rng(9).normal(size=np.shape(expected))
    out.backward(g)
    # Linear in each argument: the gradient along any direction is the value there.
    for i, t in enumerate(tensors):
        along = np.random.default_rng(10 + i).normal(size=t.shape)
        moved = np.einsum(subscripts, *(along if i == k else a for k, a in enumerate(arrays)))
        np.testing.assert_allclose(np.sum(t.grad.data * along), np.sum(g * moved), rtol=1e-9, atol=1e-9)


def test_a_label_of_length_one_beside_itself() -> None:
    check_grads(lambda a, b: tn.einsum("ii,i->i", a, b), [R.normal(size=(1, 1)), R.normal(size=3)], order=2)
    a, b = R.normal(size=(1, 1)), R.normal(size=3)
    close(tn.einsum("ii,i->i", a, b), np.einsum("ii,i->i", a, b))


@pytest.mark.parametrize(
    "operands",
    [
        ((2, 3), [0, 1], (3, 4), [1, 2], [0, 2]),
        ((2, 3), [0, 1], (3, 4), [1, 2]),
        ((2, 3), [1, 0]),
        ((2, 2), [5, 5], [5]),
        ((2, 3, 4), [..., 30], (4,), [30], [...]),
        ((2, 3), [51, 0], (3,), [0]),
    ],
)
def test_lists_of_labels(operands: Any) -> None:
    given_ = [R.normal(size=o) if isinstance(o, tuple) else o for o in operands]
    close(tn.einsum(*given_), np.einsum(*given_))
    check_grads(lambda *a: np.einsum(*a), given_, order=2)


@pytest.mark.parametrize(
    "optimize",
    [False, True, "greedy", "optimal", ("greedy", 10), ["einsum_path", (1, 2), (0, 1)], ["einsum_path", (0, 1, 2)],
     ["einsum_path", (0, 2), (0, 1)], ["einsum_path", (1, 2)]],
)  # fmt: skip
def test_orders_of_contraction(optimize: Any) -> None:
    arrays = [R.normal(size=s) for s in ((2, 3), (3, 4), (4, 2))]
    expected = np.einsum("ij,jk,kl->li", *arrays)
    close(tn.einsum("ij,jk,kl->li", *map(leaf, arrays), optimize=optimize).data, expected)
    check_grads(lambda *a: tn.einsum("ij,jk,kl->li", *a, optimize=optimize), arrays, order=2)


def test_einsum_path_is_a_plain_answer() -> None:
    arrays = [R.normal(size=s) for s in ((2, 3), (3, 4), (4, 2))]
    expected = np.einsum_path("ij,jk,kl", *arrays, optimize="optimal")
    assert np.einsum_path("ij,jk,kl", *map(leaf, arrays), optimize="optimal") == expected
    assert tn.einsum_path(arrays[0], [0, 1], leaf(arrays[1]), [1, 2])[0] == ["einsum_path", (0, 1)]
    path = tn.einsum_path("ij,jk,kl", *map(leaf, arrays))[0]
    close(tn.einsum("ij,jk,kl", *map(leaf, arrays), optimize=path).data, np.einsum("ij,jk,kl", *arrays))


def steps(out: tn.Tensor) -> list[str]:
    """The names of the ops that a tensor was made by."""
    nodes = [out._node]
    for node in nodes:
        nodes += [p for p in node.parents if p not in nodes]
    return [n.name for n in nodes if n.parents]


def test_many_arrays_are_contracted_two_at_a_time() -> None:
    a, b, c = (R.normal(size=(20, 20)) for _ in range(3))
    x = leaf(a)
    assert steps(np.einsum("ij,jk->ik", x, b)) == ["contract"]
    assert steps(np.einsum("ij,jk,kl->il", x, leaf(b), c)) == ["contract", "contract"]
    assert steps(np.einsum("ij,jk,kl->il", x, b, c, optimize=["einsum_path", (1, 2), (0, 1)])) == ["contract"]
    assert steps(np.einsum("ij->ji", x)) == ["transpose"]
    out = np.einsum("ij,jk,kl->il", x, b, c)
    out.sum().backward()
    np.testing.assert_allclose(x.grad.data, np.ones((20, 20)) @ (b @ c).T)


def test_no_contraction_is_larger_than_it_has_to_be() -> None:
    """A sum that concerns one array alone is done before it is multiplied, so that nothing of the size of all labels is
    ever made: here 10¹⁵ elements."""
    a, b, c = (leaf(R.normal(size=(1000,))) for _ in range(3))
    tall = leaf(R.normal(size=(1000, 1000)))
    out = np.einsum("i,j,k,lm->", a, b, c, tall)
    np.testing.assert_allclose(out.item(), a.data.sum() * b.data.sum() * c.data.sum() * tall.data.sum(), rtol=1e-9)
    out.backward()
    np.testing.assert_allclose(a.grad.data, np.full(1000, out.item() / a.data.sum()), rtol=1e-9)


@pytest.mark.parametrize(
    ("subscripts", "x", "y", "loop"),
    [
        ("ij,ij->j", (40, 30), (40, 30), True), ("ij,ij->", (40, 30), (40, 30), True), ("ijk,jk->ik", (9, 8, 7), (8, 7), True),
        ("jk,ijk->ik", (8, 7), (9, 8, 7), True), ("ijk,j->ik", (9, 8, 7), (8,), True), ("ijk,ik->j", (9, 8, 7), (9, 7), True),
        ("ij,i->j", (40, 30), (40,), False), ("ijk,i->jk", (9, 8, 7), (9,), False), ("bij,bj->bi", (9, 8, 7), (9, 7), False),
        ("bij,bjk->bik", (9, 8, 7), (9, 7, 6), False), ("i,j->ij", (9,), (8,), False),
    ],
)  # fmt: skip
def test_numpys_loop_where_a_matrix_product_would_copy(subscripts: str, x: Any, y: Any, loop: bool) -> None:
    assert _plan(subscripts, x, y).loop is loop
    a, b = R.normal(size=x).astype(np.float32), R.normal(size=y).astype(np.float32)
    expected = np.einsum(subscripts, a, b)
    np.testing.assert_allclose(tn.contract(a, b, subscripts), expected, rtol=1e-4, atol=1e-5)
    if loop:
        np.testing.assert_array_equal(tn.contract(a, b, subscripts), expected)
    check_grads(lambda a, b: tn.contract(a, b, subscripts), [R.normal(size=x), R.normal(size=y)])


def test_dtypes() -> None:
    a, b = R.normal(size=(2, 3)).astype(np.float32), R.normal(size=(3, 2)).astype(np.float32)
    x, y = leaf(a), leaf(b)
    out = np.einsum("ij,jk,,ll->ik", x, y, 2.0, np.eye(2, dtype=np.float32))
    assert out.dtype == np.float32
    out.sum().backward()
    assert x.grad.dtype == y.grad.dtype == np.float32
    assert np.einsum("ij,jk", leaf(a), b.astype(np.float64)).dtype == np.float64
    wide = np.einsum("ij->j", x, dtype=np.float64)
    assert wide.dtype == np.float64
    narrow = np.einsum("ij,jk", leaf(a.astype(float)), b, dtype=np.float32, casting="same_kind")
    assert narrow.dtype == np.float32
    for integers in (np.arange(6, dtype=np.int8).reshape(2, 3), np.eye(2, 3, dtype=bool)):
        for subscripts in ("ij->j", "ij->", "ij,ij->i"):
            operands = [integers] * (1 + subscripts.count(","))
            close(np.einsum(subscripts, *map(tn.tensor, operands)).data, np.einsum(subscripts, *operands))


def test_all_is_computed_in_the_dtype_of_the_result() -> None:
    flags = np.array([True, True, True])
    assert np.einsum("i,i,j->j", tn.tensor(flags), flags, np.arange(3)).tolist() == [0, 3, 6]
    many = np.full(3, 2.0**24, np.float32) + np.float32(2)
    close(np.einsum("i,j->j", tn.tensor(many), np.ones(2)).data, np.einsum("i,j->j", many, np.ones(2)))


def test_complex_numbers() -> None:
    a, b = (R.normal(size=(2, 2)) + 1j * R.normal(size=(2, 2)) for _ in range(2))
    for subscripts in ("ij,jk", "ij,ij->", "ii,jk->k", "ij,ij->ij"):
        np.testing.assert_allclose(
            np.einsum(subscripts, leaf(a), leaf(b)).data, np.einsum(subscripts, a, b), rtol=1e-12
        )
        check_grads(lambda x, y, s=subscripts: np.einsum(s, x, y), [a, b], order=2)
        check_grads(lambda x, y, s=subscripts: np.einsum(s, x, y), [a.real, b], order=2)


def test_einsum_against_jax() -> None:
    jax = pytest.importorskip("jax")
    for subscripts, shapes in [("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]), ("ijij,ik->k", [(2, 3, 2, 3), (2, 4)])]:
        arrays = [R.normal(size=s) for s in shapes]

        def f(*a: Any, numpy: Any, s: str = subscripts) -> Any:
            return (numpy.einsum(s, *a) ** 2).sum()

        with jax.enable_x64(True):
            theirs = jax.grad(lambda *a: f(*a, numpy=jax.numpy), argnums=tuple(range(len(arrays))))(*arrays)
        tensors = [leaf(a) for a in arrays]
        f(*tensors, numpy=np).backward()
        for t, expected in zip(tensors, theirs, strict=True):
            np.testing.assert_allclose(t.grad.data, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: np.einsum("ij,jk", a), r"is for 2 arrays, 1 are given"),
        (lambda a: np.einsum("i", a), r"does not fit array 0, which has 2 axes; '\.\.\.' stands for"),
        (lambda a: np.einsum("ijk...", a), r"does not fit array 0, which has 2 axes"),
        (lambda a: np.einsum("ij->ik", a), r"a label twice, or one that no array has"),
        (lambda a: np.einsum("ij->ii", a), r"a label twice, or one that no array has"),
        (lambda a: np.einsum("i..j", a), r"may hold letters, commas"),
        (lambda a: np.einsum("i1->", a), r"may hold letters, commas"),
        (lambda a: np.einsum("...j->j", a), r"sums over the axes of '\.\.\.', which has to be said by name"),
        (lambda a: np.einsum("ii", a), r"array 0 of shape \(2, 3\) is not square in the label 'i'"),
        (lambda a: np.einsum("ij,ij", a, np.ones((3, 3))), r"the label 'i' is 3 long in array 1 .* and 2 long in another"),
        (lambda a: np.einsum(a, [0, 52]), r"a list of its labels, numbers from 0 to 51"),
        (lambda a: np.einsum(a, [-1, 0]), r"a list of its labels, numbers from 0 to 51.*not by \[-1, 0\]"),
        (lambda a: np.einsum(a, [0.0, 1.0]), r"a list of its labels, numbers from 0 to 51"),
        (lambda a: np.einsum(a, 3), r"a list of its labels"),
        (lambda a: tn.einsum(), r"give subscripts such as"),
        (lambda a: tn.contract(a, a, "ij,ij->k"), r"a label occurs in one array alone.*shapes \(2, 3\) and \(2, 3\)"),
        (lambda a: tn.contract(a, a, "ii,ij->j"), r"a label occurs twice in one array"),
        (lambda a: tn.contract(a, a, "ij,jk->ik"), r"axes of one label differ in length"),
        (lambda a: tn.contract(a, a, "ij,j->i"), r"for 2 and 1 axes"),
    ],
)  # fmt: skip
def test_mistakes(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(leaf(np.ones((2, 3))))


def test_a_cast_that_loses_is_refused() -> None:
    with pytest.raises(TypeError, match="float32 cannot be cast to float64 by the rule casting='no'"):
        np.einsum("i,i", tn.tensor([1.0]), np.ones(1, np.float32), casting="no")
    with pytest.raises(TypeError, match=r"float64 cannot be cast to float32 by the rule casting='safe'"):
        np.einsum("ij->", leaf(np.ones((2, 3))), dtype=np.float32)


# -- tensordot ---------------------------------------------------------------------------------------------------

TENSORDOT: list[tuple[tuple[int, ...], tuple[int, ...], Any]] = [
    ((2, 3, 4), (3, 4, 5), 2), ((2, 3), (3, 4), 1), ((2, 3), (4,), 0), ((), (2,), 0), ((2, 3), (4, 3), (1, 1)),
    ((2, 3), (4, 3), (-1, -1)), ((2, 3, 4), (4, 3, 2), ([0, 1, 2], [2, 1, 0])), ((2, 3, 4), (4, 2), ([2, 0], [0, 1])),
    ((2, 3, 4), (4, 2), ((-1,), (0,))), ((2, 0), (0, 3), 1), ((0, 2), (2, 3), 1), ((2, 3), (2, 3), ([], [])),
    ((2, 3), (3, 4), np.array(1)), ((2, 3), (3, 2), (np.array([0, 1]), np.array([1, 0]))), ((2, 3), (3,), (np.int64(1), [0])),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "axes"), TENSORDOT)
def test_tensordot(a: Any, b: Any, axes: Any) -> None:
    x, y = R.normal(size=a), R.normal(size=b)
    expected = np.tensordot(x, y, axes)
    close(np.tensordot(leaf(x), leaf(y), axes).data, expected)
    close(tn.tensordot(x, leaf(y), axes=axes).data, expected)
    close(np.linalg.tensordot(leaf(x), y, axes=axes).data, expected)
    assert tn.linalg.tensordot is tn.tensordot
    check_grads(lambda x, y: np.tensordot(x, y, axes), [x, y], order=2)


@pytest.mark.parametrize(
    ("a", "b", "axes"), [t for t in TENSORDOT if type(t[2]) is int or (type(t[2]) is tuple and type(t[2][0]) is list)]
)
def test_tensordot_against_torch(a: Any, b: Any, axes: Any) -> None:
    torch = pytest.importorskip("torch")
    agrees_with_torch(
        lambda x, y: np.tensordot(x, y, axes),
        lambda x, y: torch.tensordot(x, y, axes),
        R.normal(size=a),
        R.normal(size=b),
    )


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (
            2,
            r"tensordot: axes=\(\(-2, -1\), \(0, 1\)\) of shapes \(2, 3\) and \(2, 4\) do not fit: axes that are paired must",
        ),
        (3, r"equally many axes of each, that it has"),
        (([0], [0, 1]), r"equally many axes"),
        (([2], [0]), r"that it has"),
        (([0, 0], [0, 0]), r"name each axis once"),
        (([0, -2], [0, 0]), r"name each axis once"),
    ],
)
def test_mistakes_of_tensordot(axes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        np.tensordot(leaf(np.ones((2, 3))), np.ones((2, 4)), axes)


def test_multiply_adds_of_a_contraction() -> None:
    count = tn.contract.multiply_adds
    assert count((2, 3, 4), (2, 4, 5), "bij,bjk->bik") == 2 * 3 * 4 * 5
