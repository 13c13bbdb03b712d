"""PyTorch's names of arguments in calls: what they give, and what is said of those that do not fit."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F

X = tn.tensor([[1.0, -2.0], [3.0, 4.0]], requires_grad=True)


# -- calls -------------------------------------------------------------------------------------------------------


def test_ops_derived_functions_and_methods_take_them() -> None:
    expected = X.numpy().sum(1, keepdims=True)
    for found in (
        tn.sum(X, dim=1, keepdim=True),
        tn.sum(input=X, dim=1, keepdim=True),
        tn.sum(keepdim=True, dim=1, input=X),
        X.sum(dim=1, keepdim=True),
        functools.partial(tn.sum, dim=1)(X, keepdim=True),
    ):
        np.testing.assert_array_equal(found.numpy(), expected)
        assert found.node.name == "sum"
    np.testing.assert_array_equal(F.softmin(input=X, dim=0).numpy(), F.softmin(X, axis=0).numpy())
    np.testing.assert_array_equal(tn.where(X.detach() > 0, input=X, other=0.0).numpy(), [[1, 0], [3, 4]])
    np.testing.assert_array_equal(tn.sum(input=np.ones((2, 3)), dim=0), [2, 2, 2])  # arrays in, an array out


def test_methods_take_the_names_of_what_they_call() -> None:
    data = X.numpy()
    for name in ("argmax", "argmin", "argsort", "cumsum", "cumprod", "mean", "prod", "max", "min"):
        np.testing.assert_array_equal(getattr(X, name)(dim=1).numpy(), getattr(np, name)(data, axis=1))
    assert X.std(dim=0, correction=1).numpy() == pytest.approx(data.std(0, ddof=1))
    assert X.reshape(2, 1, 2).squeeze(dim=1).shape == (2, 2)
    np.testing.assert_array_equal(X.diagonal(dim1=1, dim2=0).numpy(), [1, 4])
    assert X.detach().requires_grad_(requires_grad=True).requires_grad


def test_a_compiled_step_takes_them() -> None:
    @tn.compile
    def step(x: Any) -> Any:
        return F.softmax(input=x, dim=1).sum(dim=0, keepdim=True)

    first = step(X.detach())
    np.testing.assert_allclose(step(X.detach()).numpy(), first.numpy())
    np.testing.assert_allclose(first.numpy(), F.softmax(X, axis=1).numpy().sum(0, keepdims=True))


def test_low_types_take_them() -> None:
    x = X.detach().astype(np.float16)
    assert tn.sum(x, dim=0).dtype == F.softmin(x, dim=0).dtype == np.float16


@pytest.mark.parametrize(
    "call",
    [
        lambda: tn.sum(X, axis=0, dim=1),
        lambda: tn.sum(X, 0, dim=1),
        lambda: X.sum(axis=0, dim=1),
        lambda: F.softmin(X, axis=0, dim=1),
        lambda: tn.sum(X, dim=0, dims=1),
    ],
)
def test_an_argument_under_both_names_is_an_error(call: Any) -> None:
    with pytest.raises(TypeError, match=r"got axis= and dims?=, which are two names of one argument"):
        call()


def test_an_unknown_name_says_what_is_known() -> None:
    with pytest.raises(TypeError, match=r"sum\(\) got an unexpected keyword argument 'axsi'; did you mean 'axis'"):
        tn.sum(X, axsi=0)
    with pytest.raises(TypeError, match=r"softmin\(\) got an unexpected keyword argument 'axsi'; did you mean 'axis'"):
        F.softmin(X, axsi=0)
    with pytest.raises(TypeError, match=r"relu\(\) is missing the argument 'x'"):
        F.relu()
    with pytest.raises(TypeError, match=r"where\(\) is missing the argument 'y'"):
        tn.where(True, input=X)


@pytest.mark.parametrize(
    "call", [lambda: X.mean(1, True), lambda: tn.sum(X, 1, True), lambda: X.max(1, True), lambda: X.std(0, True)]
)
def test_keepdim_by_position_is_an_error_that_says_so(call: Any) -> None:
    with pytest.raises(TypeError, match=r"keepdims=True"):
        call()


def test_numpys_functions_keep_to_numpys_names() -> None:
    assert np.sum(X, axis=0, keepdims=True).shape == (1, 2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'dim'"):
        np.sum(X, dim=0)  # type: ignore[call-overload]


def test_ops_of_users_know_their_own_names_alone() -> None:
    op = tn.op(lambda x, axis=0: np.sum(x, axis), name="own", x=lambda g, x_shape: np.ones(x_shape) * g)
    assert op(X, axis=None).item() == 6
    with pytest.raises(TypeError, match="unexpected keyword argument 'dim'"):
        op(X, dim=0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'input'"):
        op(input=X)


# -- options -----------------------------------------------------------------------------------------------------


def test_inplace_puts_the_result_behind_the_same_handle() -> None:
    y = X * 1.0
    assert F.relu(y, inplace=True) is y
    np.testing.assert_array_equal(y.numpy(), [[1, 0], [3, 4]])
    y.sum().backward()
    np.testing.assert_array_equal(X.grad.numpy(), [[1, 0], [1, 1]])
    X.grad = None
    assert F.relu(y, inplace=False) is not y
    plain = np.array([-1.0, 1.0])
    assert F.leaky_relu(plain, 0.5, inplace=True) is plain
    np.testing.assert_array_equal(plain, [-0.5, 1])
    with pytest.raises(RuntimeError, match=r"inplace=True to a leaf that needs a gradient.*leave inplace=True out"):
        F.relu(X, inplace=True)


def test_inplace_in_a_compiled_step() -> None:
    @tn.compile
    def step(x: Any) -> Any:
        y = x * 2
        F.relu(y, inplace=True)
        return y + 1

    for _ in range(3):
        np.testing.assert_array_equal(step(X.detach()).numpy(), [[3, 1], [7, 9]])


def test_dtype_out_and_requires_grad_are_carried_out() -> None:
    assert F.softmax(X, dim=1, dtype=np.float32).dtype == np.float32
    out = tn.zeros((2, 2))
    assert tn.erf(X.detach(), out=out) is out
    np.testing.assert_array_equal(out.numpy(), tn.erf(X).numpy())
    made = tn.zeros(size=(2,), requires_grad=True, device=None, layout=None)
    assert made.requires_grad
    assert tn.tensor([1.0], device="cpu", pin_memory=True).shape == (1,)


def test_a_generator_is_rng() -> None:
    rng = np.random.default_rng
    np.testing.assert_array_equal(tn.randn(3, generator=rng(0)).numpy(), tn.randn(3, rng=rng(0)).numpy())
    for init in (tn.nn.init.xavier_uniform_, tn.nn.init.normal_, tn.nn.init.orthogonal_):
        found, expected = init(tn.zeros((2, 2)), generator=rng(0)), init(tn.zeros((2, 2)), rng=rng(0))  # type: ignore[call-arg]
        np.testing.assert_array_equal(found.numpy(), expected.numpy())
    np.testing.assert_array_equal(F.dropout(X, generator=rng(0)).numpy(), F.dropout(X, rng=rng(0)).numpy())


def test_what_would_make_a_difference_is_refused_with_a_reason() -> None:
    with pytest.raises(TypeError, match=r"mse_loss\(\): size_average=True is PyTorch's, .*give reduction="):
        F.mse_loss(X, X, size_average=True)
    with pytest.raises(TypeError, match=r"tensor\(\): device='cuda' is PyTorch's, .*computed on the CPU"):
        tn.tensor([1.0], device="cuda")
    with pytest.raises(TypeError, match=r"transpose\(\): dim0=0 is PyTorch's, .*swapaxes"):
        tn.transpose(X, dim0=0, dim1=1)
    with pytest.raises(ValueError, match="device='cuda' is not there"):
        tn.zeros(3, device="cuda")
