"""`out=`, `where=`, `dtype=` and other options on tensors: NumPy's values, and gradients by finite differences."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.derived import Derived, pure
from tapenet.ops.op import Op
from tapenet.ops.registry import everything, numpy_functions, numpy_name
from tapenet.testing import check_grads

R = np.random.default_rng(0)
X = R.uniform(0.5, 2.0, (3, 4))
MASK = R.normal(size=(3, 4)) > 0


def leaf(a: Any) -> tn.Tensor:
    return tn.tensor(a, requires_grad=True)


def agrees(f: Callable[..., Any], *arrays: Any, gradients: bool = True) -> None:
    """The same from tensors as from arrays, with right gradients to second order."""
    expected = f(*arrays)
    found = f(*map(leaf, arrays))
    assert type(found) is tn.Tensor
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.data, expected, rtol=1e-12)
    assert found.requires_grad == gradients
    if gradients:
        check_grads(f, arrays, order=2)


# -- out=, where=, dtype= ----------------------------------------------------------------------------------------


def test_out_gives_the_tensor_a_new_node() -> None:
    x = leaf(X)
    out = tn.copy(x)
    before = out * 1
    assert np.multiply(x, 2.0, out=out) is out
    assert np.exp(out, out=out) is out
    np.testing.assert_allclose(out.data, np.exp(2 * X))
    np.testing.assert_array_equal(before.data, X)
    check_grads(pure(lambda a: np.exp(a, out=a)), [X], order=2)
    check_grads(lambda a: np.sum(a, 0, None, tn.copy(a)[0]), [X], order=2)


def test_out_repeats_a_result_and_keeps_its_dtype() -> None:
    out = tn.tensor(np.zeros((2, 4), np.float32))
    np.add(tn.tensor(X[0].astype(np.float32)), 1, out=out)
    np.testing.assert_allclose(out.data, np.broadcast_to(X[0] + 1, (2, 4)), rtol=1e-6)
    with pytest.raises(TypeError, match=r"np\.add: out= has dtype int64, which cannot hold a result of float64"):
        np.add(leaf(X), 1, out=tn.tensor(np.zeros((3, 4), int)), where=X > 0)
    with pytest.raises(TypeError, match=r"np\.add: out= has dtype int64, which cannot hold a result of float64"):
        np.add(leaf(X), 1, out=tn.tensor(np.zeros((3, 4), int)))
    with pytest.raises(ValueError, match=r"out= has shape \(2, 4\), the result \(3, 4\)"):
        np.add(leaf(X), 1, out=tn.tensor(np.zeros((2, 4))))


def test_out_as_the_second_argument() -> None:
    x = leaf([1.5, -np.inf])
    for f, dtype in ((np.fix, float), (np.isposinf, bool), (np.isneginf, bool)):
        out = tn.tensor(np.zeros(2, dtype))
        assert f(x, out) is out
        np.testing.assert_array_equal(out.data, f(x.data))


def test_out_with_several_results() -> None:
    whole, part = tn.tensor(np.zeros((3, 4))), tn.tensor(np.zeros((3, 4)))
    found = np.divmod(leaf(X), 0.7, out=(whole, part))
    assert found[0] is whole
    assert found[1] is part
    np.testing.assert_allclose(part.data, np.divmod(X, 0.7)[1])
    assert part.requires_grad


@pytest.mark.parametrize(
    "call",
    [
        lambda t: np.exp(t, out=np.zeros((3, 4))),
        lambda t: np.sum(t, 0, None, np.zeros(4)),
        lambda t: np.mean(t, out=np.zeros(())),
        lambda t: np.add.reduce(t, out=np.zeros(4)),
        lambda t: np.add(X, t, out=X.copy()),
    ],
)
def test_no_tensor_is_written_into_an_array(call: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"^np\.\w+.*: a tensor cannot be written into an array .*write `array = array"):
        call(leaf(X))


def test_where_needs_somewhere_for_the_other_elements() -> None:
    with pytest.raises(TypeError, match=r"np\.exp: where= without out= .*np\.where\(mask, np\.exp\(\.\.\.\), other\)"):
        np.exp(leaf(X), where=MASK)

    def divided(a: Any, b: Any) -> Any:
        out = np.copy(a)
        return np.divide(a, b, out=out, where=MASK)

    agrees(divided, X, R.uniform(0.5, 2, (3, 4)))


def test_what_where_leaves_out_gives_no_nan() -> None:
    x, y = leaf([1.0, 2.0]), leaf([0.0, 4.0])
    out = x * 1
    np.divide(x, y, out=out, where=y.data != 0)
    out.sum().backward(create_graph=True)
    (x.grad.sum() + y.grad.sum()).backward()
    np.testing.assert_allclose(y.grad.data, [0.0, -2 / 16 - 1 / 16 + 4 / 64])
    assert np.isfinite(x.grad.data).all()


def test_dtype() -> None:
    assert np.add(leaf(X), 1, dtype=np.float32, casting="same_kind").dtype == np.float32
    assert np.sqrt(tn.tensor([4, 9]), dtype=np.float32).dtype == np.float32
    with pytest.raises(TypeError, match=r"np\.add: dtype=int64 is not for inputs of float64, int: Cannot cast"):
        np.add(leaf(X), 1, dtype=np.int64)
    with pytest.raises(TypeError, match=r"np\.equal: dtype=float64 is not for inputs of float64, float"):
        np.equal(leaf(X), 1.0, dtype=np.float64)
    # It is that of the result, of which the inputs follow.
    assert np.equal(leaf([1.0, 2.0]), 1.0, dtype=bool).tolist() == [True, False]
    assert np.absolute(tn.tensor([3 + 4j]), dtype=np.float64).tolist() == [5.0]
    check_grads(lambda a: np.sum(a, dtype=np.float64), [X])


def test_options_that_say_nothing_of_a_tensor_may_be_given() -> None:
    x = leaf(X)
    assert np.broadcast_to(x, (2, 3, 4), subok=True).shape == (2, 3, 4)
    assert np.exp(x, order="K", subok=True).requires_grad
    assert np.zeros_like(x, order="C", subok=False).shape == (3, 4)


def takes_out(f: Any) -> bool:
    """Whether NumPy says that its function takes `out=`; of what is written in C it says nothing before version 2.4."""
    try:
        return "out" in inspect.signature(f).parameters
    except ValueError:
        return False


everything()
WITH_OUT = {
    numpy_name(f): (stands, call)
    for f, stands in numpy_functions.items()
    if isinstance(stands, (Op, Derived)) and not isinstance(f, np.ufunc) and takes_out(f)
    for call in list(stands.samples(np.random.default_rng(0)))[:1]
}  # fmt: skip


@pytest.mark.parametrize("name", WITH_OUT)
def test_ops_take_out_as_numpys_functions_do(name: str) -> None:
    stands, call = WITH_OUT[name]
    expected = np.asarray(stands(*call.args, **call.kwargs))
    out = tn.tensor(np.zeros_like(expected))
    assert stands(*call.args, **call.kwargs, out=out) is out
    np.testing.assert_array_equal(out.data, expected)
    assert stands(*call.args, **call.kwargs, out=None).shape == expected.shape
    with pytest.raises(TypeError, match="cannot be written into an array in place"):
        stands(*map(tensors, call.args), **call.kwargs, out=np.zeros_like(expected))


def tensors(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(tensors, value))
    return tn.tensor(value) if isinstance(value, np.ndarray) else value


def test_what_ops_may_be_written_to() -> None:
    out = np.zeros(4)
    assert tn.sum(X, 0, out=out) is out  # no tensor takes part
    np.testing.assert_allclose(out, X.sum(0))
    for wrong in ([0.0] * 4, (tn.zeros(4),), 3.0):
        with pytest.raises(TypeError, match=r"np\.mean: out= is the tensor to write to, not"):
            tn.mean(tn.tensor(X), 0, out=wrong)
    given = tn.zeros((4, 3))
    assert tn.einsum("ij->ji", tn.tensor(X), out=given, order="F") is given
    np.testing.assert_array_equal(given.data, X.T)


def test_what_ops_are_written_to_has_their_gradient() -> None:
    x, out = leaf(X), tn.zeros(3)
    tn.sum(x * x, axis=1, out=out).sum().backward()
    np.testing.assert_allclose(x.grad.data, 2 * X)
    y, out = leaf(X), tn.zeros((3, 4))
    (tn.cumsum(y, 1, out=out) ** 2).sum().backward()
    assert y.grad is not None
    compiled = tn.compile(lambda x: tn.mean(x, 0, out=tn.zeros_like(x[0])) * 2.0)
    np.testing.assert_allclose(compiled(tn.tensor(X)).data, 2 * X.mean(0))
    with pytest.raises(ValueError, match=r"np\.sum: out= has shape \(3,\), the result \(4,\)"):
        tn.sum(leaf(X), 0, out=tn.zeros(3))
    where = tn.zeros(3)
    tn.sum(leaf(X), 1, where=X > 0, out=where)
    np.testing.assert_allclose(where.data, X.sum(1, where=X > 0))


def test_out_takes_what_casting_allows() -> None:
    out = tn.zeros(4, np.int32)
    np.concatenate([tn.tensor([1.7]), tn.tensor([2.2, 3.0, 4.0])], out=out, casting="unsafe")
    assert out.tolist() == [1, 2, 3, 4]
    with pytest.raises(TypeError, match="cannot hold a result of float64"):
        np.concatenate([tn.tensor([1.7]), tn.tensor([2.2, 3.0, 4.0])], out=out)


def test_ops_take_options_that_say_nothing_of_a_tensor() -> None:
    x = tn.tensor(X)
    assert tn.zeros_like(x, order="C", subok=False, device="cpu").shape == X.shape
    assert tn.copy(x, subok=True).shape == X.shape
    assert tn.linspace(x[0], 1.0, 3, device="cpu").shape == (3, 4)
    with pytest.raises(TypeError, match="order"):
        tn.zeros_like(x, order="X")


@pytest.mark.parametrize(
    "name", ["matmul", "vecdot", "sum", "cumsum", "exp", "argmax", "concatenate", "pinv", "dot", "astype"]
)
def test_an_option_that_there_is_not(name: str) -> None:
    function = tn.linalg.pinv if name == "pinv" else getattr(tn, name)
    call = next(iter(function.samples(np.random.default_rng(0))))
    with pytest.raises(TypeError, match=rf"{name}\(\) got an unexpected keyword argument 'foo'"):
        function(*call.args, **call.kwargs, foo=3)
    if name == "astype":  # NumPy's has none, nor PyTorch's
        with pytest.raises(TypeError, match=rf"{name}\(\) got an unexpected keyword argument 'out'"):
            function(*call.args, **call.kwargs, out=tn.zeros(3))


def test_a_tensor_beside_an_array_that_reduces_or_clips_itself() -> None:
    """ndarray's own methods come back by the ufunc; a mask alone brings no tensor among the inputs."""
    a, mask = X, np.array([True, False, True, True])
    for name in ("sum", "prod", "mean", "any", "all"):
        for found in (getattr(np, name)(a, 1, where=tn.tensor(mask)), getattr(a, name)(1, where=tn.tensor(mask))):
            np.testing.assert_allclose(found, getattr(a, name)(1, where=mask), rtol=1e-14)
    for name in ("max", "min"):
        found = getattr(a, name)(1, initial=0.5, where=tn.tensor(mask))
        np.testing.assert_array_equal(found.data, getattr(a, name)(1, initial=0.5, where=mask))
    found = np.logaddexp.reduce(a, 1, where=tn.tensor(mask))
    np.testing.assert_allclose(found.data, np.logaddexp.reduce(a, 1, where=mask), rtol=1e-14)
    agrees(lambda low: a.clip(low, 2.0), X[0] + 0.05)
    agrees(lambda high: a.clip(0.5, high), X[0] + 0.05)


def test_what_numpy_writes_for_an_option_that_is_not_given() -> None:
    """It stands in NumPy's signatures, and NumPy's own functions pass it on to each other."""
    none = np._NoValue
    for f in (
        lambda x: np.sum(x, 0, keepdims=none, initial=none, where=none),
        lambda x: np.mean(x, 0, keepdims=none, where=none),
        lambda x: np.var(x, 0, keepdims=none, mean=none, correction=none),
        lambda x: np.max(x, 0, initial=none),
        lambda x: np.diff(x, axis=0, prepend=none, append=none),
        lambda x: np.average(x, 0, keepdims=none),
    ):
        np.testing.assert_array_equal(f(leaf(X)).data, f(X))
    mean = X.mean(0, keepdims=True)
    found = np.nanvar((X * 4).astype(int), 0, mean=leaf(mean), ddof=1)  # asks NumPy's own np.var
    np.testing.assert_allclose(found.data, np.nanvar((X * 4).astype(int), 0, mean=mean, ddof=1))


def test_a_wrong_axis_is_the_error_that_it_is_in_numpy() -> None:
    for call in (
        lambda x: np.sum(x, 3),
        lambda x: np.cumsum(x, 4),
        lambda x: np.linspace(x, x, 3, axis=5),
        lambda x: x.max(2),
    ):
        with pytest.raises(np.exceptions.AxisError, match=r"failed: .*(axis|destination).* is out of bounds"):
            call(leaf(X))


def test_ops_have_the_methods_of_their_ufuncs() -> None:
    assert tn.add.reduce(leaf(X)).requires_grad
    assert tn.multiply.outer(leaf(X[0]), X[1]).shape == (4, 4)
    np.testing.assert_array_equal(tn.add.accumulate(X), np.add.accumulate(X))
    with pytest.raises(AttributeError, match="reduce"):
        tn.relu.reduce  # noqa: B018


def test_augmented_assignment() -> None:
    def f(a: Any) -> Any:
        b = a * 1
        b += a
        b *= 2
        b -= 1
        b /= a
        b **= 2
        b @= np.eye(4)
        b %= 100
        return b

    agrees(f, X)
    x = leaf(X)
    alias = y = x * 1
    before = y * 1
    y += 1  # what was computed before keeps its value
    assert alias is y
    np.testing.assert_array_equal(y.data, X + 1)
    np.testing.assert_array_equal(before.data, X)


def test_float32_is_kept() -> None:
    x = leaf(X.astype(np.float32))
    for f in (np.hypot.reduce, np.logaddexp2.reduce, np.power.accumulate):
        out = f(x)
        assert out.dtype == np.float32
        x.grad = None
        out.sum().backward()
        assert x.grad.dtype == np.float32
