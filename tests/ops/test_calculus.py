"""Differences, integrals, interpolation and convolution of sampled functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch, close, peak_of_backward

R = np.random.default_rng(0)


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def gradients(out: Any, *leaves: tn.Tensor, g: Any = None) -> list[Any]:
    """The gradients of the sum of a result."""
    out.backward(np.ones(out.shape, out.dtype) if g is None else g)
    found = []
    for x in leaves:
        assert x.grad is not None
        found.append(x.grad.tolist())
    return found


def agrees_with_jax(name: str, *arrays: Any, **options: Any) -> None:
    """Value and gradients by all arrays equal those of the function of the same name in JAX."""
    jax = pytest.importorskip("jax")
    ours = [leaf(a) for a in arrays]
    with jax.enable_x64(True):
        expected, pull = jax.vjp(lambda *a: getattr(jax.numpy, name)(*a, **options), *map(jax.numpy.asarray, arrays))
        out = getattr(np, name)(*ours, **options)
        np.testing.assert_allclose(out.numpy(), np.asarray(expected), rtol=1e-12, atol=1e-12)
        g = R.normal(size=out.shape)
        out.backward(g)
        for x, d in zip(ours, pull(jax.numpy.asarray(g)), strict=True):
            assert x.grad is not None
            np.testing.assert_allclose(x.grad.numpy(), np.asarray(d), rtol=1e-11, atol=1e-11)


# -- differences -------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    n=st.integers(0, 4), axis=st.sampled_from([0, 1, -1, -2]), before=st.sampled_from([None, "number", "array"]),
    after=st.sampled_from([None, "number", "array"]), kind=st.sampled_from(["float64", "float32", "int64", "bool"]),
)  # fmt: skip
def test_diff_is_that_of_numpy(n: int, axis: int, before: Any, after: Any, kind: str) -> None:
    a = (10 * R.normal(size=(2, 3))).astype(kind)
    around = {None: None, "number": np.asarray(2, kind), "array": np.ones((2, 2) if axis in (1, -1) else (1, 3), kind)}
    options = {k: around[v] for k, v in (("prepend", before), ("append", after)) if v is not None}
    close(np.diff(tn.tensor(a), n, axis, **options).data, np.diff(a, n, axis, **options))


def test_diff_of_a_tensor_put_around_an_array() -> None:
    x = leaf([[1.0], [5.0]])
    assert gradients(np.diff(np.zeros((2, 2)), prepend=x), x) == [[[-1.0], [-1.0]]]


def test_ediff1d_is_that_of_numpy() -> None:
    for a, end, begin in [
        (R.normal(size=(2, 2)), [1.0, 2.0], 3.0),
        (np.arange(3), 5, None),
        (np.zeros(1), None, [[1, 2]]),
    ]:
        close(np.ediff1d(tn.tensor(a), end, begin).data, np.ediff1d(a, end, begin))
    with pytest.raises(TypeError, match="to_end is float64, which does not fit ary of int64"):
        np.ediff1d(tn.tensor([1, 2]), 0.5)
    with pytest.raises(ValueError, match="n must be 0 or more, not -1"):
        np.diff(leaf([1.0]), -1)
    with pytest.raises(ValueError, match="a must have one axis or more"):
        np.diff(leaf(1.0))


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("axis", [None, 0, -1, (1, 0)])
@pytest.mark.parametrize("spacing", ["none", "one", "each", "coordinates"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32"])
def test_gradient_is_that_of_numpy(edge_order: int, axis: Any, spacing: str, dtype: str) -> None:
    f = (5 * R.normal(size=(3, 4))).astype(dtype)
    axes = {None: (0, 1), 0: (0,), -1: (1,)}.get(axis, axis)
    coordinates = [np.array([0, 1, 3]), np.array([0.0, 0.5, 1.0, 2.5])]
    h: list[Any] = {
        "none": [], "one": [0.3], "each": [0.3 + 0.5 * i for i in axes], "coordinates": [coordinates[i] for i in axes],
    }[spacing]  # fmt: skip
    expected = np.gradient(f, *h, axis=axis, edge_order=edge_order)
    found = np.gradient(tn.tensor(f), *h, axis=axis, edge_order=edge_order)
    assert isinstance(found, tuple) == isinstance(expected, tuple)
    for a, b in zip(*((v if isinstance(v, tuple) else (v,)) for v in (found, expected)), strict=True):
        close(a.data, b)


def test_gradient_by_spacings_and_coordinates() -> None:
    f, h, x = R.normal(size=(3, 4)), np.array(0.7), np.array([0.0, 0.4, 1.1, 1.3])
    for edge_order in (1, 2):
        check_grads(lambda f, h, x, e=edge_order: np.gradient(f, h, x, edge_order=e), [f, h, x], order=2)
    check_grads(lambda x: np.gradient(f[0], x), [x], order=2)


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize(
    "x",
    [np.arange(4), np.array([7, 5, 2, 1], np.uint8), np.array([100, 0, -20, -100], np.int8), np.array([0.0, 0.5, 1.0, 1.5]),
     np.array([0.0, 1.0, 1.5, 4.0], np.float32), np.array([3.0, 2.0, 0.5, 0.0])],
    ids=str,
)  # fmt: skip
def test_gradient_at_coordinates_of_all_kinds(edge_order: int, x: Any) -> None:
    """Differences of unsigned and of small integers do not wrap, as in NumPy."""
    for f in (R.normal(size=4), R.normal(size=4).astype(np.float32), np.arange(4) ** 2, R.normal(size=4) * 1j):
        expected = np.gradient(f, x, edge_order=edge_order)
        single = x.dtype == np.float32 or expected.dtype == np.float32
        for found in (
            np.gradient(tn.tensor(f), x, edge_order=edge_order),
            np.gradient(f, tn.tensor(x), edge_order=edge_order),
        ):
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5 if single else 1e-13, atol=1e-12)


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("shape", [(3,), (4,), (6,), (2, 5), (5, 2), (2, 4, 3)], ids=str)
def test_gradient_along_each_axis_and_its_gradient(edge_order: int, shape: Any) -> None:
    """Memory in any order; by samples, spacings and coordinates; against the whole linear map, column by column."""
    for axis in range(len(shape)):
        n = shape[axis]
        if n <= edge_order:
            continue
        for h in (0.7, np.array(0.7), np.cumsum(R.uniform(0.5, 1, n))):
            f = np.asfortranarray(R.normal(size=shape))
            given = [f, h] if isinstance(h, np.ndarray) else [f]
            check_grads(
                lambda f, h=h, a=axis: np.gradient(f, h, axis=a, edge_order=edge_order), given,
                order=2 if len(shape) < 3 else 1,
            )  # fmt: skip
            line = np.stack([np.gradient(e, h, edge_order=edge_order) for e in np.eye(n)], 1)
            x, g = leaf(f), R.normal(size=shape)
            np.gradient(x, h, axis=axis, edge_order=edge_order).backward(g)
            expected = np.moveaxis(np.moveaxis(g, axis, -1) @ line, -1, axis)
            np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-12, atol=1e-12)


def test_gradient_of_two_samples_and_beside_infinities() -> None:
    check_grads(lambda f, x: np.gradient(f, x), [R.normal(size=(2, 2)).T[0], np.array([0.0, 0.7])], order=2)
    f = np.array([1.0, 2.0, np.inf, 4.0, 7.0, 8.0])
    x = np.array([0.0, 1.0, 1.5, 3.0, 4.0, 6.0])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(np.gradient(tn.tensor(f), x).numpy(), np.gradient(f, x))
    with pytest.raises(TypeError, match="boolean"):
        np.gradient(tn.tensor([True, False, True]))
    mask = np.array([True, False, True])
    expected = np.gradient(mask, [0, 1, 3], edge_order=2)
    close(np.gradient(tn.tensor(mask), [0, 1, 3], edge_order=2).data, expected)


def test_gradient_where_samples_lie_at_one_place() -> None:
    """What the loss does not read has gradient 0, though weights there are infinite."""
    f, x = leaf([1.0, 2.0, 3.0, 5.0, 7.0]), leaf([0.0, 1.0, 1.0, 2.0, 3.0])
    with np.errstate(all="ignore"):
        out = np.gradient(f, x)
        out[-1].backward(create_graph=True)
    assert f.grad.tolist() == [0.0, 0.0, 0.0, -1.0, 1.0]
    assert x.grad.tolist() == [0.0, 0.0, 0.0, 2.0, -2.0]


@pytest.mark.parametrize(
    ("args", "options", "error", "words"),
    [
        (([1.0],), {}, ValueError, r"axis 0 of shape \(1,\) is too short: edge_order=1 takes 2 samples"),
        (([1.0, 2.0],), {"edge_order": 2}, ValueError, "edge_order=2 takes 3 samples"),
        (([1.0, 2.0],), {"edge_order": 3}, ValueError, "edge_order must be 1 or 2, not 3"),
        (([1.0, 2.0], [1.0, 2.0, 3.0]), {}, ValueError, r"takes 2 coordinates, not shape \(3,\)"),
        (([[1.0, 2.0], [1.0, 2.0]], 1.0, 2.0, 3.0), {}, TypeError, "3 spacings for 2 axes"),
    ],
)
def test_gradient_says_what_does_not_fit(args: Any, options: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        np.gradient(leaf(args[0]), *args[1:], **options)


@pytest.mark.parametrize(
    ("x", "dx", "axis"),
    [(None, 0.5, 0), (None, 1.0, -1), (np.array([0.0, 1, 3]), 1.0, 1), (np.array([0.0, 2]), 1.0, 0),
     (R.normal(size=(2, 3)), 1.0, -2), (None, np.array([0.5, 2.0]), 1)],
)  # fmt: skip
def test_trapezoid_against_numpy_and_jax(x: Any, dx: Any, axis: int) -> None:
    y = R.normal(size=(2, 3))
    close(np.trapezoid(tn.tensor(y), x, dx, axis).data, np.trapezoid(y, x, dx, axis))
    close(np.trapezoid(tn.tensor([1, 2, 3])).data, np.trapezoid([1, 2, 3]))
    if x is not None:
        agrees_with_jax("trapezoid", y, x, axis=axis)


@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 3), (3, 1), (4, 1, 3), (2, 1)], ids=str)
@pytest.mark.parametrize("axis", [-1, -2, 1, 2])
def test_trapezoid_with_coordinates_of_other_shapes(shape: Any, axis: int) -> None:
    """They broadcast with the samples as in NumPy, from their own axis on."""
    y, x = R.normal(size=(4, 2, 3)), np.cumsum(R.uniform(0.5, 1, shape), -1)
    try:
        expected = np.trapezoid(y, x, axis=axis)
    except (ValueError, IndexError) as error:
        with pytest.raises(type(error)):
            np.trapezoid(leaf(y), x, axis=axis)
        return
    close(np.trapezoid(tn.tensor(y), x, axis=axis).data, expected)
    check_grads(lambda y, x: np.trapezoid(y, x, axis=axis), [y, x], order=2)


@pytest.mark.parametrize("kind", ["float32", "float64", "complex64", "int64", "uint8", "bool"])
@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_trapezoid_of_each_dtype_and_length(kind: str, n: int) -> None:
    y = (5 * R.normal(size=(2, n))).astype(kind)
    xs = [np.cumsum(np.arange(n)), np.cumsum(R.normal(size=n)), np.cumsum(R.normal(size=n)).astype(np.float32)]
    for x, dx in [(None, 1.0), (None, 2), (None, 0.5), (None, np.array(0.5)), *((x, 1.0) for x in xs)]:
        expected = np.trapezoid(y, x, dx)
        found = np.trapezoid(tn.tensor(y), x, dx).numpy()
        single = kind in ("float32", "complex64") or (x is not None and x.dtype == np.float32)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-5 if single else 1e-12, atol=1e-5 if single else 1e-12)


# -- interpolation -----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0, 2.5, 3.0, np.nan]), max_size=5), st.booleans(),
       st.sampled_from([[0.0], [0.0, 1.0], [0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 1.0, 2.5], [0.0, 2.0, 2.0]]))  # fmt: skip
def test_interp_is_that_of_numpy(x: list[float], ends: bool, xp: list[float]) -> None:
    """At knots, beyond them, at jumps (equal knots) and at nan."""
    fp = R.normal(size=len(xp))
    options = {"left": -7.0, "right": 9.0} if ends else {}
    expected = np.asarray(np.interp(np.array(x), xp, fp, **options))
    close(np.interp(tn.tensor(np.array(x)), xp, fp, **options).data, expected)


@pytest.mark.parametrize("period", [2.0, -3.0, 0.7])
def test_interp_with_a_period(period: float) -> None:
    r = np.random.default_rng(0)
    x, xp, fp = r.normal(size=(2, 3)), np.array([4.5, -0.1, 0.15]), r.normal(size=3)
    close(np.interp(tn.tensor(x), xp, fp, period=period).data, np.interp(x, xp, fp, period=period))
    check_grads(lambda *a: tn.interp(*a[:3], period=a[3]), [x, xp, fp, np.array(abs(period))], order=2)


@pytest.mark.parametrize("wide", [np.float64, np.complex128])
def test_interp_is_as_precise_as_its_values(wide: Any) -> None:
    x, xp = np.array([2.3, 4e4], np.float32), np.linspace(0, 0.5, 8, dtype=np.float32)
    fp = (np.arange(8.0) ** 2).astype(wide)
    found = np.interp(tn.tensor(x), xp, fp, period=0.59)
    np.testing.assert_allclose(found.data, np.interp(x, xp, fp, period=0.59), rtol=1e-12)
    assert found.dtype == wide
    narrow = np.interp(tn.tensor(x), xp, fp.astype(np.complex64 if wide is np.complex128 else np.float32), period=0.59)
    assert narrow.dtype.itemsize == found.dtype.itemsize // 2


def test_interp_against_jax_also_at_knots() -> None:
    xp, fp = np.array([0.0, 1.0, 1.5, 3.0]), R.normal(size=4)
    for x in (np.array([0.0, 1.0, 1.5, 3.0]), np.array([[-1.0, 0.3], [2.0, 4.0]])):
        agrees_with_jax("interp", x, xp, fp)
    agrees_with_jax("interp", np.array([-1.0, 0.5, 4.0]), xp, fp, left=2.0, right=3.0)


def test_interp_at_knots_ends_and_outside() -> None:
    x, left = leaf([-1.0, 0.0, 1.0, 3.0, 4.0]), leaf(5.0)
    out = tn.interp(x, [0.0, 1.0, 3.0], [0.0, 1.0, 7.0], left=left)
    assert out.tolist() == [5.0, 0.0, 1.0, 7.0, 7.0]
    assert gradients(out, x, left) == [[0.0, 1.0, 3.0, 3.0, 0.0], 1.0]


def test_interp_beside_an_infinite_value() -> None:
    x = leaf([0.0, 0.5])
    out = tn.interp(x, [0.0, 1.0, 2.0], [3.0, np.inf, 1.0])
    assert out.tolist() == [3.0, np.inf]
    assert tn.interp(tn.tensor([1.5]), [0.0, 1.0, 2.0], [3.0, 1.0, np.inf]).tolist() == [np.inf]


@pytest.mark.parametrize("count", [1, 3, 50])
@pytest.mark.parametrize("xp", [[1.0], [0.0, 2.0], [0.0, 1.0, 1.0, 2.5], [0.0, 2.0, 2.0]], ids=str)
def test_interp_at_fewer_and_at_more_points_than_knots(count: int, xp: list[float]) -> None:
    """The rule computes slopes for the points or for all pairs of knots: the same gradients come of it."""
    x, knots, fp = R.uniform(-1, 3, count), np.array(xp), R.normal(size=len(xp))
    x[0] = 2.0
    alone = leaf(knots), leaf(fp)
    for i in range(count):  # one point after the other
        tn.interp(x[i], *alone).backward()
    together = leaf(x), leaf(knots), leaf(fp)
    tn.interp(*together).sum().backward()
    for a, b in zip(together[1:], alone, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12, atol=1e-12)
    each = [leaf(v) for v in x]
    for t in each:
        tn.interp(t, knots, fp).backward()
    np.testing.assert_allclose(together[0].grad.numpy(), [t.grad.item() for t in each], rtol=1e-12)


def test_few_points_among_many_knots_cost_no_pass_over_them() -> None:
    knots = np.arange(1_000_000.0)
    x = np.array([3.25, 77.5])
    assert peak_of_backward(lambda x: tn.interp(x, knots, knots), x) * x.nbytes < 100_000
    assert tn.grad(lambda x: tn.interp(x, knots, knots).sum())(x).tolist() == [1.0, 1.0]


def test_interp_keeps_float32_and_complex_numbers() -> None:
    x, xp, fp = np.array([0.5], np.float32), np.array([0.0, 1.0], np.float32), np.array([1.0, 2.0], np.float32)
    assert np.interp(tn.tensor(x), xp, fp).dtype == np.float32
    values = np.array([1 + 2j, 3 - 1j])
    close(np.interp(tn.tensor([0.25, 3.0]), [0.0, 1.0], values).data, np.interp([0.25, 3.0], [0.0, 1.0], values))
    check_grads(lambda x, fp: tn.interp(x, np.array([0.0, 1.0]), fp), [np.array([0.3, 0.8]), values], order=2)


def test_interp_compiles_with_arrays_among_its_arguments() -> None:
    """Indices are then tensors, and what they index is none."""
    xp, fp, period = np.array([0.0, 1.0, 2.5]), np.array([1.0, -1.0, 4.0]), leaf(3.0)

    @tn.compile
    def step(x: tn.Tensor) -> Any:
        return tn.interp(x, xp, fp), tn.interp(x, xp, fp, period=period)

    for x in (np.array([0.3, 2.0]), np.array([2.4, -1.0])):
        plain, periodic = step(tn.tensor(x))
        np.testing.assert_allclose(plain.numpy(), np.interp(x, xp, fp), rtol=1e-12)
        np.testing.assert_allclose(periodic.numpy(), np.interp(x, xp, fp, period=3.0), rtol=1e-12)


def test_interp_says_what_does_not_fit() -> None:
    for xp, fp in (([0.0, 1.0], [0.0]), ([], []), ([[0.0]], [[0.0]])):
        with pytest.raises(ValueError, match=r"xp and fp must both be \(n,\)"):
            np.interp(leaf([0.5]), xp, fp)
    for period in (0, 0.0, np.array(0.0), np.float32(0)):
        with pytest.raises(ValueError, match="the period must not be 0"):
            np.interp(leaf([0.5]), [0.0], [0.0], period=period)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.integers(-8, 8), max_size=6), st.sampled_from([2, 3, 4, 3.0, 2.5]),
       st.sampled_from([None, 1, 3]), st.sampled_from(["int64", "float64", "float32"]))  # fmt: skip
def test_unwrap_is_that_of_numpy(p: list[int], period: Any, discont: Any, kind: str) -> None:
    """Steps of exactly half a period among them."""
    a = np.array(p, kind)
    close(np.unwrap(tn.tensor(a), discont, period=period).data, np.unwrap(a, discont, period=period))


@pytest.mark.parametrize("kind", ["int8", "float16", "float32"])
def test_unwrap_keeps_small_dtypes(kind: str) -> None:
    a = np.array([1, 3, 6, 2, 9, 1]).astype(kind)
    for options in ({"period": 4}, {"period": 4, "discont": 3}, {"period": np.asarray(4, kind)}):
        close(np.unwrap(tn.tensor(a), **options).data, np.unwrap(a, **options))


def test_what_unwrap_refuses() -> None:
    with pytest.raises(OverflowError):  # it takes half a period from numbers without a sign, as NumPy does
        np.unwrap(tn.tensor(np.array([1, 3], np.uint16)), period=4)
    with pytest.raises(np.exceptions.AxisError):
        np.unwrap(leaf([1.0]), axis=1)


def test_unwrap_has_the_gradient_of_the_identity_also_at_jumps() -> None:
    x, period = leaf([0.0, 2.0, -1.0, 3.0]), leaf(4.0)
    out = np.unwrap(x, period=period)
    assert out.tolist() == [0.0, 2.0, 3.0, 3.0]
    assert gradients(out, x, period, g=[1.0, 2.0, 4.0, 8.0]) == [[1.0, 2.0, 4.0, 8.0], 4.0]


# -- convolution -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [np.convolve, np.correlate])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("lengths", [(1, 1), (4, 1), (4, 2), (5, 3), (2, 4), (3, 4), (2, 5), (3, 5), (4, 4)])
@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128", "int64"])
def test_convolve_and_correlate_are_those_of_numpy(function: Any, mode: Any, lengths: Any, dtype: str) -> None:
    a, v = ((5 * R.normal(size=n) + (5j * R.normal(size=n) if dtype[0] == "c" else 0)).astype(dtype) for n in lengths)
    expected = function(a, v, mode)
    for found in (function(tn.tensor(a), v, mode), function(a, tn.tensor(v), mode)):
        assert found.dtype == dtype
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4 if dtype == "float32" else 1e-12, atol=1e-6)
    if dtype == "float64":
        check_grads(lambda a, v: function(a, v, mode), [a, v], order=2)


@pytest.mark.parametrize(("number", "name"), [(0, "valid"), (1, "same"), (2, "full")])
def test_modes_by_number(number: int, name: str) -> None:
    a, v = leaf([1.0, 2.0, 4.0]), leaf([3.0, 5.0])
    for function in (np.convolve, np.correlate):
        assert function(a, v, number).tolist() == function(a, v, name).tolist()
        check_grads(function, [np.ones(3), np.ones(2)], kwargs={"mode": number})


def test_a_mode_may_be_an_integer_of_numpy() -> None:
    for function in (np.convolve, np.correlate):
        check_grads(function, [np.ones(3), np.ones(2)], kwargs={"mode": np.int64(1)})
        with pytest.raises(ValueError, match="must be 0, 1, or 2"):
            function(leaf([1.0, 2.0]), [1.0], 3)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("lengths", [(4, 3), (2, 4)])
def test_complex_convolution_and_correlation(mode: str, lengths: Any) -> None:
    a, v = (R.normal(size=n) + 1j * R.normal(size=n) for n in lengths)
    for function in (tn.convolve, tn.correlate):
        check_grads(function, [a, v], order=2, kwargs={"mode": mode})
        check_grads(function, [a.real.copy(), v], order=2, kwargs={"mode": mode})


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("lengths", [(5, 3), (3, 4)])
def test_convolution_against_jax(mode: str, lengths: Any) -> None:
    for name in ("convolve", "correlate"):
        agrees_with_jax(name, *(R.normal(size=n) for n in lengths), mode=mode)


def test_convolution_against_torch() -> None:
    torch = pytest.importorskip("torch")
    agrees_with_torch(
        lambda a, v: tn.correlate(a, v),
        lambda a, v: torch.nn.functional.conv1d(a[None, None], v[None, None])[0, 0],
        R.normal(size=6),
        R.normal(size=3),
    )


def test_convolution_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"a and v must have one axis and an element or more, not \(2, 1\) and \(1,\)"):
        np.convolve(leaf([[1.0], [2.0]]), [1.0])
    with pytest.raises(ValueError, match=r"(a|v) cannot be empty"):
        np.convolve(leaf([]), [1.0])
    with pytest.raises(ValueError, match=r"correlate\(.* a and v must have one axis .* not \(\) and \(1,\)"):
        np.correlate(leaf(1.0), [1.0])
    with pytest.raises(ValueError, match="mode is full, same or valid"):
        np.convolve(leaf([1.0]), [1.0], "fill")


# -- compiled ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.convolve(x, [1.0, 2.0]) + np.convolve([1.0, 2.0], x),
        lambda x: np.correlate([1.0, 2.0], x, "same"),
        lambda x: np.gradient(x, [0.0, 1.0, 3.0]) + np.gradient(np.zeros(3), x),
        lambda x: np.diff(x, prepend=0, append=[1.0]) + np.trapezoid(x, [0.0, 1.0, 2.0]),
        lambda x: np.unwrap(x) + np.unwrap(x, 1, period=2) + np.ediff1d(x, [1.0]),
        lambda x: np.maximum.accumulate(x) + np.cumprod(x),
    ],
)
def test_steps_with_plain_lists_compile(f: Any) -> None:
    """While a step is captured rules get tensors, and lists as they were given."""

    def step(x: tn.Tensor) -> Any:
        return tn.grad(lambda x: f(x).sum())(x)

    for x in ([1.5, 2.0, 4.0], [-1.5, 1.0, 3.0]):
        close(tn.compile(step)(tn.tensor(x)).data, step(tn.tensor(x)).data)
