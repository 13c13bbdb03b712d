"""`reduce`, `accumulate`, `outer`, `reduceat` and `at` of every ufunc, with all their arguments: NumPy's values, dtypes and
errors, and gradients to second order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.ops.derived import pure
from tapenet.ops.registry import numpy_functions
from tapenet.testing import check_grads

R = np.random.default_rng(0)
X = R.uniform(0.5, 2.0, (3, 4))
Y = R.uniform(0.5, 2.0, 2)
MASK = np.array([[True, False, True, True], [False, False, False, False], [True, True, True, True]])
METHODS = ("reduce", "accumulate", "outer", "reduceat", "at")
tn.ops.everything()
UFUNCS = {f.__name__: f for f in vars(np).values() if isinstance(f, np.ufunc)}
#: Those of two numbers that have a derivative.
SMOOTH = {
    name: f
    for name, f in sorted(UFUNCS.items())
    if f.nin == 2 and f.nout == 1 and f.signature is None and numpy_functions[f].differentiable and f is not np.ldexp
}


def leaf(a: Any) -> tn.Tensor:
    return tn.tensor(a, requires_grad=True)


def one_after_another(f: np.ufunc, a: Any, axis: int = 0, initial: Any = None, where: Any = True) -> Any:
    """What `reduce` is to give: NumPy's own skips elements of powers and angles where a processor has AVX-512."""
    rows = np.moveaxis(a, axis, 0)
    masks = np.moveaxis(np.broadcast_to(where, a.shape), axis, 0)
    out = rows[0] if initial is None else np.broadcast_to(np.asarray(initial, a.dtype), rows.shape[1:])
    for i in range(initial is None, len(rows)):
        out = np.where(masks[i], f(out, rows[i]), out)
    return out


def at_by_hand(f: np.ufunc, a: Any, index: Any, *b: Any) -> Any:
    made = np.copy(a)
    f.at(made, index, *b)
    return made


# -- which ufunc has which method --------------------------------------------------------------------------------


def _call(f: np.ufunc, method: str, *inputs: Any) -> Any:
    """The plainest call of a method."""
    a, *b = inputs
    match method:
        case "outer":
            return f.outer(a, *b)
        case "reduceat":
            return f.reduceat(a, [0, 2])
        case "at":
            made = np.copy(a)
            f.at(made, [0, 1], *(v[:2] for v in b))
            return made
    return getattr(f, method)(a)


@np.errstate(all="ignore")
def methods_table() -> dict[str, dict[str, str]]:
    """By ufunc and method, what happens on a tensor that needs a gradient: "yes" where it has one to second order, "no
    derivative" where the result is a tensor without gradient, "–" where NumPy has no such method."""
    table: dict[str, dict[str, str]] = {}
    floats, whole, truths = X[0], np.array([3, 1, 2, 2]), np.array([True, False, True, True])
    for name, f in sorted(UFUNCS.items()):
        table[name] = {}
        for method in METHODS:
            found = "–"
            for pair in ((floats, floats), (floats, whole), (whole, whole), (truths, truths)):
                inputs = pair[: f.nin]
                try:
                    _call(f, method, *inputs)
                except (TypeError, ValueError, RuntimeError):
                    continue
                result = _call(f, method, *(leaf(v) if v.dtype.kind == "f" else tn.tensor(v) for v in inputs))
                if method == "at":  # the elements that are not named have a gradient in any case
                    result = f(*(leaf(v) if v.dtype.kind == "f" else tn.tensor(v) for v in inputs))
                outs = result if isinstance(result, tuple) else (result,)
                assert all(type(t) is tn.Tensor for t in outs)
                found = "yes" if any(t.requires_grad for t in outs) else "no derivative"
                break
            table[name][method] = found
    return table


def test_every_method_that_numpy_has_works() -> None:
    table = methods_table()
    assert len(table) == len(UFUNCS)
    for name in SMOOTH:
        assert set(table[name].values()) == {"yes"}
    for name in ("equal", "logical_and", "gcd", "nextafter"):
        assert set(table[name].values()) == {"no derivative"}
    assert table["exp"] == dict.fromkeys(METHODS, "–") | {"at": "yes"}
    assert table["ldexp"] == dict.fromkeys(METHODS, "–") | {"reduce": "no derivative", "outer": "yes", "at": "yes"}
    assert table["divmod"] == dict.fromkeys(METHODS, "–") | {"outer": "yes"}
    assert set(table["matmul"].values()) == {"–"}


# -- values, dtypes and gradients --------------------------------------------------------------------------------


def _cases(f: np.ufunc) -> Iterator[tuple[str, Callable[..., Any], Any, tuple[Any, ...]]]:
    """Calls of the methods of a ufunc: a name, the call, what it is to give, and its arrays."""
    vary = f.identity is not None or f in (np.maximum, np.minimum, np.fmax, np.fmin)
    yield "reduce", f.reduce, one_after_another(f, X), (X,)
    yield "reduce -1", lambda a: f.reduce(a, -1, keepdims=True), one_after_another(f, X, 1)[:, None], (X,)
    yield "reduce (1,)", lambda a: f.reduce(a, axis=(1,)), one_after_another(f, X, 1), (X,)
    yield "reduce of one", lambda a: f.reduce(a, 0), X[0], (X[:1],)
    yield "reduce a number", f.reduce, X[0, 0], (np.array(X[0, 0]),)
    yield "reduce initial", lambda a: f.reduce(a, 1, initial=1.5), one_after_another(f, X, 1, 1.5), (X,)
    yield ("reduce nothing", lambda a: f.reduce(a, 1, initial=1.5), np.full(3, 1.5), (X[:, :0],))
    yield (
        "reduce where",
        lambda a: f.reduce(a, 1, None, None, True, 1.5, MASK),
        one_after_another(f, X, 1, 1.5, MASK)[:, None],
        (X,),
    )
    if vary:
        kept = {"keepdims": True}
        yield "reduce all", lambda a: f.reduce(a, None, **kept), f.reduce(X, None, **kept), (X,)
        yield "reduce axes", lambda a: f.reduce(a, (0, -1)), f.reduce(X, (0, -1)), (X,)
        yield "reduce no axes", lambda a: f.reduce(a, ()), f.reduce(X, ()), (X,)
        if f.identity is not None:
            some = np.array([True, False, True, False])
            yield "reduce masked", lambda a: f.reduce(a, 1, where=some), f.reduce(X, 1, where=some), (X,)
            yield "reduce identity", f.reduce, f.reduce(X[:0]), (X[:0],)
    yield "accumulate", f.accumulate, f.accumulate(X), (X,)
    yield "accumulate -1", lambda a: f.accumulate(a, -1), f.accumulate(X, -1), (X,)
    yield "accumulate None", lambda a: f.accumulate(a, None), f.accumulate(X[0]), (X[0],)
    yield "accumulate nothing", f.accumulate, X[:0], (X[:0],)
    yield "outer", f.outer, f.outer(X, Y), (X, Y)
    yield "outer of a list", lambda a: f.outer([1.0, 2.0], a), f.outer([1.0, 2.0], Y), (Y,)
    yield "outer of a number", lambda a: f.outer(a, 1.5), f.outer(X[0], 1.5), (X[0],)
    for indices in ([0, 2], [2, 0, 1], [1, 1, 1], [0, 3, 1, 1, 2]):
        ends = [*indices[1:], 4]
        parts = [one_after_another(f, X[:, i : max(j, i + 1)], 1) for i, j in zip(indices, ends, strict=True)]
        yield f"reduceat {indices}", lambda a, i=indices: f.reduceat(a, i, -1), np.stack(parts, 1), (X,)
    yield "reduceat nothing", lambda a: f.reduceat(a, [], axis=1), X[:, :0], (X,)
    often = np.array([0, 2, 2, 1, 2, 2, 0])
    once = np.array([2, 0])
    for label, index, b in (
        ("repeats", often, R.uniform(0.5, 1.5, (7, 4))),
        ("once", once, R.uniform(0.5, 1.5, 4)),
        ("pairs", (often, often), R.uniform(0.5, 1.5, 7)),
        ("mask", MASK, R.uniform(0.5, 1.5, MASK.sum())),
        ("slice", slice(None, None, 2), np.array(0.8)),
        ("columns", (slice(None), [1, 1]), np.array(0.8)),
        ("an element", (1, -1), np.array(0.8)),
        ("all", ..., R.uniform(0.5, 1.5, 4)),
        ("none", np.array([], int), R.uniform(0.5, 1.5, (1, 4))),
    ):
        yield (
            f"at {label}",
            pure(lambda a, b, i=index: f.at(a, i, b)),
            at_by_hand(f, X, index, b),
            (X, b),
        )


@pytest.mark.parametrize("name", SMOOTH)
def test_values_and_gradients_to_second_order(name: str) -> None:
    """To second order in every other case, in turns, so that all functions and all methods have both."""
    f = SMOOTH[name]
    for order, (label, call, expected, arrays) in enumerate(_cases(f), [*SMOOTH].index(name)):
        found = call(*map(leaf, arrays))
        assert type(found) is tn.Tensor, label
        assert found.dtype == expected.dtype or f is np.float_power, label
        assert found.shape == expected.shape, label
        np.testing.assert_allclose(found.data, expected, rtol=1e-12, err_msg=label)
        if not any(a.size == 0 for a in arrays):
            check_grads(call, arrays, order=1 + order % 2)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_reduce_of_any_ufunc_over_any_axes(data: st.DataObject) -> None:
    f = data.draw(st.sampled_from([np.add, np.multiply, np.maximum, np.minimum, np.hypot, np.logaddexp, np.fmin]))
    shape = tuple(data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    axis = data.draw(st.sampled_from([None, -1, tuple(range(len(shape)))]))
    options: dict[str, Any] = {"axis": axis, "keepdims": data.draw(st.booleans())}
    if data.draw(st.booleans()):
        options |= {"where": np.random.default_rng(1).normal(size=shape) > 0, "initial": 0.3}
    a = np.random.default_rng(data.draw(st.integers(0, 5))).uniform(0.5, 2, shape)
    np.testing.assert_allclose(f.reduce(leaf(a), **options).data, f.reduce(a, **options), rtol=1e-13)
    check_grads(lambda t: f.reduce(t, **options), [a])


def test_reduce_of_steps_gives_tensors_without_gradient() -> None:
    whole = np.array([[6, 3], [5, 12]])
    for f in (np.bitwise_and, np.bitwise_xor, np.gcd, np.lcm):
        found = f.reduce(tn.tensor(whole), axis=1)
        assert type(found) is tn.Tensor
        np.testing.assert_array_equal(found.data, f.reduce(whole, axis=1))
    for f in (np.logical_and, np.logical_or, np.logical_xor, np.equal):
        found = f.reduce(leaf(X) > 1, axis=0, keepdims=True)
        np.testing.assert_array_equal(found.data, f.reduce(X > 1, axis=0, keepdims=True))
        assert not found.requires_grad
    np.testing.assert_array_equal(np.bitwise_or.accumulate(tn.tensor(whole), axis=1).data, [[6, 7], [5, 13]])


def test_at_of_one_argument() -> None:
    for f, index in ((np.sin, np.array([0, 2, 2, 1, 2])), (np.square, np.array([], int)), (np.negative, MASK)):
        call = pure(lambda a, f=f, index=index: f.at(a, index))
        np.testing.assert_allclose(call(leaf(X)).data, call(X), rtol=1e-12)
        check_grads(call, [X], order=2)


@pytest.mark.parametrize("name", SMOOTH)
def test_float32_is_kept(name: str) -> None:
    for label, call, _, arrays in _cases(SMOOTH[name]):
        inputs, wide = (
            [leaf(a.astype(np.float32)) for a in arrays],
            [leaf(a.astype(np.float32).astype(float)) for a in arrays],
        )
        if label.startswith("outer of a") or (name == "float_power" and label.startswith("at")):
            continue  # float64, as in NumPy; which does not fit
        found, exact = call(*inputs), call(*wide)
        assert found.dtype == (np.float64 if name == "float_power" else np.float32), label
        if found.size:
            weights = np.linspace(0.5, 1.5, found.size).reshape(found.shape)
            (found * weights.astype(np.float32)).sum().backward()
            (exact * weights).sum().backward()
            for narrow, full in zip(inputs, wide, strict=True):
                assert narrow.grad.dtype == np.float32
                np.testing.assert_allclose(narrow.grad.data, full.grad.data, rtol=2e-4, atol=1e-5, err_msg=label)


@pytest.mark.parametrize("name", SMOOTH)
def test_compiled_as_in_eager(name: str) -> None:
    f = SMOOTH[name]

    def step(a: Any) -> Any:
        made = a * 1
        f.at(made, np.array([0, 2, 2]), a[0])
        parts = [
            f.reduce(a, 1),
            f.accumulate(a, 1)[:, 2],
            f.reduceat(a, [0, 2], 0)[:, 0],
            made[:, 1],
            f.outer(a, a)[0, 0, 0],
        ]
        total = np.concatenate(parts).sum()
        total.backward()
        return total

    def run(function: Any) -> list[Any]:
        t = leaf(X)
        found = [np.copy(function(t).data) for _ in range(2)]
        return [*found, np.copy(t.grad.data)]

    compiled = tn.compile(step, keep_grads=True)
    for a, b in zip(run(step), run(compiled), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


# -- what cannot be ----------------------------------------------------------------------------------------------

WRONG: dict[str, Callable[[Any], Any]] = {
    "reduce of a function of one number": np.sin.reduce,
    "reduce of two results": np.divmod.reduce,
    "accumulate of two results": np.divmod.accumulate,
    "reduceat of one number": lambda a: np.exp.reduceat(a, [0]),
    "reduce over an axis that is not there": lambda a: np.hypot.reduce(a, axis=2),
    "reduce over an axis twice": lambda a: np.hypot.reduce(a, axis=(0, -2)),
    "reduce in an order that matters": lambda a: np.divide.reduce(a, axis=(0, 1)),
    "reduce nothing": lambda a: np.divide.reduce(a[:0]),
    "reduce nothing without identity": lambda a: np.add.reduce(a[:0], initial=None),
    "reduce where without initial": lambda a: np.subtract.reduce(a, where=MASK),
    "reduce in a dtype without a loop": lambda a: np.hypot.reduce(a, dtype=int),
    "truths as numbers": lambda a: np.logical_or.reduce(a, dtype=float),
    "accumulate a number": lambda a: np.hypot.accumulate(a[0, 0]),
    "accumulate all": lambda a: np.hypot.accumulate(a, axis=None),
    "accumulate two axes": lambda a: np.hypot.accumulate(a, axis=(0, 1)),
    "reduceat beyond": lambda a: np.add.reduceat(a, [0, 3]),
    "reduceat before": lambda a: np.add.reduceat(a, [-1]),
    "reduceat one index": lambda a: np.add.reduceat(a, 1),
    "reduceat a table": lambda a: np.add.reduceat(a, [[0, 1]]),
    "at beyond": pure(lambda a: np.hypot.at(a, 7, 1.0)),
    "at what does not broadcast": pure(lambda a: np.hypot.at(a, [0, 1], np.ones((3, 4)))),
    "at with too little": pure(lambda a: np.add.at(a, 0)),
    "at with too much": pure(lambda a: np.sin.at(a, 0, 1.0)),
    "at two results": pure(lambda a: np.modf.at(a, 0)),
    "an option that there is not": lambda a: np.add(a, a, foo=1),
    "dtype and signature": lambda a: np.add(a, a, dtype=np.float32, signature="ff->f"),
    "a signature without a loop": lambda a: np.hypot(a, a, signature="qq->q"),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_are_of_numpys_kind(name: str) -> None:
    call = WRONG[name]
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        call(X)
    with pytest.raises((TypeError, ValueError, IndexError)) as ours:
        call(leaf(X))
    assert isinstance(ours.value, theirs.type) or issubclass(theirs.type, ours.type)
    assert "NoneType" not in str(ours.value)


def test_errors_say_which_method_and_what_to_write() -> None:
    with pytest.raises(ValueError, match=r"np\.divide\.reduce has nothing to start from: give initial="):
        np.divide.reduce(leaf(X[:0]))
    with pytest.raises(ValueError, match=r"np\.subtract\.reduce depends on the order .* one axis, not \(0, 1\)"):
        np.subtract.reduce(leaf(X), axis=(0, 1))
    with pytest.raises(IndexError, match=r"np\.add\.reduceat: indices must lie within the 4 elements of axis 1"):
        np.add.reduceat(leaf(X), [0, 4], axis=1)
    with pytest.raises(TypeError, match=r"np\.add\.at: a tensor cannot be written into an array"):
        np.add.at(X.copy(), [0], leaf(X[0]))
    with pytest.raises(TypeError, match=r"np\.hypot\.accumulate: a number .*: give an array of one axis or more"):
        np.hypot.accumulate(leaf(1.0))
    with pytest.raises(
        TypeError, match=r"np\.multiply\.at: a tensor of int64 cannot hold results of float64: .*\.astype"
    ):
        np.multiply.at(tn.tensor([1, 2]), [0], 1.5)
    with pytest.raises(ValueError, match=r"np\.hypot\.at: values of shape \(3,\) do not broadcast to \(2,\)"):
        np.hypot.at(leaf(X) * 1, ([0, 1], 0), np.ones(3))


def test_arguments_by_name() -> None:
    t = leaf(X)
    np.testing.assert_array_equal(np.add.reduce(array=t, axis=1).data, X.sum(1))
    np.testing.assert_array_equal(np.hypot.accumulate(array=t).data, np.hypot.accumulate(X))
    np.testing.assert_array_equal(np.hypot.reduceat(array=t, indices=[0, 2]).data, np.hypot.reduceat(X, [0, 2]))


def test_dtypes_as_numpy_has_them() -> None:
    for dtype in (bool, np.int8, np.float16, np.float32, np.complex64):
        a = np.array([1, 1, 2]).astype(dtype)
        for f in SMOOTH.values():
            for method in ("reduce", "accumulate"):
                try:
                    expected = getattr(f, method)(a)
                except TypeError:
                    with pytest.raises(TypeError):
                        getattr(f, method)(tn.tensor(a))
                    continue
                found = getattr(f, method)(tn.tensor(a))
                assert found.dtype == expected.dtype, (dtype, f, method)
    for f in (np.subtract, np.hypot, np.float_power):
        assert f.reduce(leaf(X), dtype=f.reduce(X, dtype=np.float64).dtype).dtype == np.float64
    assert np.subtract.accumulate(leaf(X), dtype=np.float32).dtype == np.float32
    assert np.multiply.reduceat(tn.tensor([1, 2, 3]), [0, 1], dtype=np.float32).dtype == np.float32


def test_a_dtype_that_is_asked_for_is_that_of_the_loop() -> None:
    for kind, dtype in ((np.int32, np.int32), (np.int8, np.int8), (float, np.uint8), (bool, bool), (int, np.complex64)):
        a = np.array([100, 100, 3]).astype(kind)
        for f in (np.add, np.multiply, np.maximum, np.fmin):
            for method in ("reduce", "accumulate"):
                found, expected = (getattr(f, method)(x, dtype=dtype) for x in (tn.tensor(a), a))
                assert found.dtype == expected.dtype
                np.testing.assert_array_equal(found.data, expected)
    for f in (np.logaddexp.reduce, np.logaddexp.accumulate):
        with pytest.raises(TypeError, match=r"np\.logaddexp\.\w+ of float64 in dtype=c8: No loop matching"):
            f(leaf(X), dtype="c8")


def test_out() -> None:
    for f in (np.add, np.hypot, np.divide):
        for call, shape in (
            (lambda a, out, f=f: f.reduce(a, 0, None, out), (4,)),
            (lambda a, out, f=f: f.accumulate(a, out=out), (3, 4)),
            (lambda a, out, f=f: f.reduceat(a, [1], 0, None, out), (1, 4)),
            (lambda a, out, f=f: f.outer(a[0], a[0], out=out), (4, 4)),
        ):
            out = tn.tensor(np.zeros(shape))
            assert call(leaf(X), out) is out
            np.testing.assert_allclose(out.data, call(X, np.zeros(shape)), rtol=1e-13)
            assert out.requires_grad
            with pytest.raises(ValueError, match=r"out= has shape"):
                call(leaf(X), tn.tensor(np.zeros(5)))


# -- what is special about some ----------------------------------------------------------------------------------


def test_reductions_of_truths() -> None:
    t = tn.tensor(MASK)
    for f in (np.logical_and, np.logical_or, np.logical_xor):
        for options in ({}, {"initial": True}, {"where": ~MASK}, {"axis": None}, {"axis": 1, "keepdims": True}):
            found, expected = f.reduce(t, **options), f.reduce(MASK, **options)
            assert found.dtype == expected.dtype == bool
            np.testing.assert_array_equal(found.data, expected)
        np.testing.assert_array_equal(f.accumulate(t, 1).data, f.accumulate(MASK, 1))
        np.testing.assert_array_equal(f.reduceat(t, [0, 2, 1], 1).data, f.reduceat(MASK, [0, 2, 1], 1))
        np.testing.assert_array_equal(
            pure(lambda a, f=f: f.at(a, [0, 0, 2], True))(t).data, at_by_hand(f, MASK, [0, 0, 2], True)
        )


NAN = np.array([[np.nan, 1.0, 3.0, np.nan, 3.0], [np.nan] * 5, [2.0, 2.0, 2.0, -np.inf, np.nan]])


@pytest.mark.parametrize("f", [np.fmax, np.fmin])
def test_the_larger_and_the_smaller_of_numbers_and_nan(f: np.ufunc) -> None:
    for options in ({}, {"initial": 2.5}, {"initial": np.nan}, {"initial": 0.0, "where": NAN > 2}, {"keepdims": True}):
        np.testing.assert_array_equal(f.reduce(leaf(NAN), 1, **options).data, f.reduce(NAN, 1, **options))
    np.testing.assert_array_equal(f.accumulate(leaf(NAN), 1).data, f.accumulate(NAN, 1))
    whole = np.array([3, 1, 3])
    assert f.reduce(tn.tensor(whole)).item() == f.reduce(whole)
    t = leaf([3.0, np.nan, 3.0, 3.0])
    f.reduce(t).backward()
    np.testing.assert_allclose(t.grad.data, [1 / 3, 0, 1 / 3, 1 / 3])  # as those of max and min


def test_zeros_and_infinities_on_the_way_give_no_nan() -> None:
    t = leaf([0.0, 0.0, 3.0, 4.0])
    np.hypot.reduce(t).backward()
    np.testing.assert_allclose(t.grad.data, [0, 0, 0.6, 0.8])
    t = leaf([0.0, 0.0])
    (np.hypot.reduce(t) + np.hypot.accumulate(t).sum()).backward()
    np.testing.assert_array_equal(t.grad.data, [1.0, 0.0])  # of the first result, which is the element itself
    t = leaf([math.inf, 1.0])
    np.hypot.reduce(t).backward(0.0)
    np.testing.assert_array_equal(t.grad.data, 0.0)
    t = leaf([-math.inf, -math.inf])
    np.logaddexp2.reduce(t).backward()
    np.testing.assert_array_equal(t.grad.data, 0.0)
    t = leaf([0.0, 0.0, 2.0])
    np.power.accumulate(t)[-1].backward()  # (0 ** 0) ** 2
    assert np.isfinite(t.grad.data).all()


def test_what_a_mask_leaves_out_has_gradient_0_also_where_it_is_nan() -> None:
    a = np.array([2.0, np.nan, 0.0, 4.0])
    mask = np.array([True, False, False, True])
    for f in (np.subtract, np.divide, np.power, np.arctan2, np.hypot, np.remainder):
        t = leaf(a)
        f.reduce(t, initial=1.5, where=mask).backward(create_graph=True)
        assert np.isfinite(t.grad.data).all()
        np.testing.assert_array_equal(t.grad.data[1:3], 0.0)
        if t.grad.requires_grad:
            t.grad.sum().backward()
        assert np.isfinite(t.grad.data).all()


def test_no_loop_of_python_over_elements() -> None:
    """100,000 elements take no more frames of Python than 1,000."""
    from tests.benchmarks.overhead import executed

    def frames(n: int, call: Callable[..., Any]) -> int:
        t = leaf(np.linspace(0.9999, 1.0001, n))
        call(t, n).sum().backward()
        return len(executed(lambda: call(t, n).sum().backward())[0])

    for call in (
        lambda t, n: np.hypot.reduce(t),
        lambda t, n: np.divide.reduce(t),
        lambda t, n: np.divide.accumulate(t),
        lambda t, n: np.multiply.reduceat(t, np.arange(0, n, 4)),
        lambda t, n: pure(lambda a: np.maximum.at(a, np.zeros(n, int), 1.0))(t),
    ):
        assert frames(64_000, call) < 3 * frames(1_000, call)


def test_reduceat_and_at_on_other_kinds_of_indices() -> None:
    t = leaf(X)
    for indices in ((0, 2), np.array([0, 2], np.int8), tn.tensor([0, 2]), [True, False], [0.0, 1.0]):
        plain = indices.data if isinstance(indices, tn.Tensor) else indices
        np.testing.assert_allclose(np.multiply.reduceat(t, indices).data, np.multiply.reduceat(X, plain), rtol=1e-13)
    for index in (tn.tensor([0, 2, 0]), tn.tensor(MASK), (tn.tensor([1]), [2])):
        plain = (
            tuple(getattr(i, "data", i) if isinstance(i, tn.Tensor) else i for i in index)
            if isinstance(index, tuple)
            else index.data
        )
        np.testing.assert_allclose(
            pure(lambda a, i=index: np.multiply.at(a, i, 2.0))(t).data, at_by_hand(np.multiply, X, plain, 2.0)
        )


def test_a_ufunc_that_no_op_stands_for_is_named_with_its_module_and_what_does_the_same() -> None:
    private = pytest.importorskip("scipy.special._ufuncs")
    with pytest.raises(TypeError, match=r"^_cosine_cdf is not supported .* use tensor\.numpy\(\) .* tn\.op"):
        private._cosine_cdf(leaf(X))
    with pytest.raises(
        TypeError, match=r"np\.frompyfunc.* calls Python once for each element; give the function the whole"
    ):
        np.frompyfunc(abs, 1, 1)(leaf(X))


# -- options -----------------------------------------------------------------------------------------------------


def test_signature() -> None:
    x = leaf(X)
    for signature in ("ff->f", ("f", None, None), (None, None, np.float32), "dd->d"):
        found, expected = (np.add(a, 1, signature=signature, casting="same_kind") for a in (x, X))
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found.data, expected, rtol=1e-13)
    assert np.matmul(x, X.T, sig="dd->d").requires_grad
    with pytest.raises(TypeError, match=r"np\.add: signature='ll->l' is not for inputs of float64, int: Cannot cast"):
        np.add(x, 1, signature="ll->l")
    with pytest.raises(TypeError, match=r"np\.equal: dtype=object is for arrays of objects; a tensor holds numbers"):
        np.equal(x, 1.0, dtype=object)


def test_ops_take_the_options_of_their_ufuncs() -> None:
    x, out = leaf(X), tn.tensor(np.zeros((3, 4)))
    assert tn.exp(x, out=out, where=MASK) is out
    np.testing.assert_allclose(out.data, np.where(MASK, np.exp(X), 0))
    assert tn.add(x, 1, dtype=np.float32).dtype == np.float32
    assert tn.modf(x, dtype=np.float32)[0].requires_grad
    assert tn.floor(x, casting="no").shape == (3, 4)
    np.testing.assert_array_equal(tn.sqrt(X, dtype=np.float32), np.sqrt(X, dtype=np.float32))
    assert tn.sign(x, dtype=np.float32).dtype == tn.divmod(x, 0.7, dtype=np.float32)[1].dtype == np.float32
    assert tn.divmod.outer(x[0], Y)[1].shape == (4, 2)
    with pytest.raises(AttributeError, match="reduce"):
        tn.nan_to_num.reduce  # noqa: B018
    low = tn.tensor(X, np.float16)
    out = tn.copy(low)
    assert tn.exp(low, out=out) is out
    assert tn.sign(low, out=out) is out
    assert out.tolist() == np.ones((3, 4)).tolist()
    with pytest.raises(TypeError, match=r"exp\(\) got an unexpected keyword argument 'foo'"):
        tn.exp(x, foo=1)
