"""PyTorch's names of arguments: each is taken by the function of that name here, or refused with a reason; and a call with
them gives what PyTorch's gives."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet.autodiff.binder import _known
from tapenet.compat.differences import DIFFERENCES
from tapenet.ops.op import Op
from tapenet.ops.protocol import _names
from tapenet.ops.torch_names import spelt
from tests.torch_calls import METHODS as FURTHER_METHODS
from tests.torch_calls import Pair, calls, converted, method_calls, pairs, same, signatures

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


def test_what_would_make_a_difference_is_refused_with_a_reason() -> None:
    with pytest.raises(TypeError, match=r"mse_loss\(\): size_average=True is PyTorch's, .*give reduction="):
        F.mse_loss(X, X, size_average=True)
    with pytest.raises(TypeError, match=r"tensor\(\): device='cuda' is PyTorch's, .*computed on the CPU"):
        tn.tensor([1.0], device="cuda")
    with pytest.raises(TypeError, match=r"transpose\(\): dim0=0 is PyTorch's, .*swapaxes"):
        tn.transpose(X, dim0=0, dim1=1)
    with pytest.raises(ValueError, match="device='cuda' is not there"):
        tn.zeros(3, device="cuda")


# -- all of PyTorch's --------------------------------------------------------------------------------------------

torch = pytest.importorskip("torch")
PAIRS = list(pairs(torch))
#: Functions whose arguments PyTorch does not name.
UNNAMED = {"atleast_1d", "atleast_2d", "atleast_3d", "meshgrid", "unique"}
#: Names that functions here do not know, by the reason.
UNKNOWN = {
    "by position alone, in PyTorch too": {"einsum equation"},
    "they make arrays": {
        f"{name} {n}" for name in ("fftfreq", "rfftfreq") for n in ("dtype", "layout", "out", "requires_grad")
    },
    "the axis is the last": {"vecdot dim"},
    "of functions that NumPy has not: where results lie, which changes nothing": {
        f"{name} {option}"
        for option, names in {
            "layout": "rand rand_like randint randn randn_like randperm",
            "memory_format": "rand_like randn_like",
            "out": "bernoulli bmm cat clamp gather index_select mm multinomial rand randint randn randperm rsqrt topk",
            "out_dtype": "bmm mm",
            "output_size": "repeat_interleave",
            "pin_memory": "rand randn randperm",
            "sparse_grad": "gather",
        }.items()
        for name in names.split()
    },
    "of functions that NumPy has not: integers, or made like another": {
        "rand_like requires_grad", "randint requires_grad", "randn_like requires_grad", "randperm dtype",
        "randperm requires_grad", "from_numpy ndarray",
    },
}  # fmt: skip
#: The same of methods, which are NumPy's.
UNKNOWN_OF_METHODS = {
    "start_dim and end_dim: flatten takes all axes": {"flatten start_dim", "flatten end_dim"},
    "PyTorch's gives a changed copy, NumPy's works in place": {
        "put index",
        "put source",
        "put accumulate",
        "put input",
    },
    "PyTorch's gives a sorted copy, NumPy's works in place": {"sort dim", "sort descending"},
    "another meaning: two axes, not an order of all": {"transpose dim0", "transpose dim1"},
    "axis1 would be the second axis there and the first one here": {"swapaxes axis0"},
    "written as tn.argsort(-x)": {"argsort descending"},
    "leaves asked for by name: tn.grad": {"backward inputs"},
    "t.numpy() leaves the graph as it is": {"numpy force"},
}
#: Functions that give something else than PyTorch's and of which `tn.testing.porting` does not warn, by the reason.
UNWARNED = {
    "random": "F.alpha_dropout F.dropout F.dropout1d F.dropout2d F.dropout3d F.feature_alpha_dropout empty_like "
    "rand rand_like randn randn_like randint randperm bernoulli multinomial",
    "whole numbers give float64": "rsqrt",
    "a context, in PyTorch too": "inference_mode set_grad_enabled",
    "float64 arrays": "fft.fftfreq fft.rfftfreq",
    "singular values are always there": "linalg.lstsq",
    "loud: a condition alone is an error, nonzero does that": "where",
    "loud: it takes whole numbers alone": "ldexp",
}


def parameters(function: Any) -> list[str]:
    """The names of the arguments that a function here takes."""
    if isinstance(function, Op):
        return list(dict.fromkeys([*(a.name for a in function.arguments), *(_known(function) or ())]))
    taken = inspect.signature(getattr(function, "function", function)).parameters.values()
    return [p.name for p in taken if p.kind is not p.VAR_KEYWORD]


def takes(function: Any, name: str) -> str:
    """Whether a function here takes an argument under one of PyTorch's names: "yes", "no", or "refused" with a reason."""
    known = parameters(function)
    if name in known or (
        name == "out" and any(name in _names(f) for f in getattr(function, "numpy", ()))
    ):  # see `protocol.further`
        return "yes"
    try:
        title = getattr(function, "name", function.__name__)
        return "no" if spelt(title, [(n, object) for n in known], (), {name: object()}) is None else "yes"
    except TypeError as error:
        return "refused" if "is PyTorch's" in str(error) else "no"


def named(pair: Pair) -> set[str]:
    """The names of the arguments of a function of PyTorch's."""
    return {p.name for signature in signatures(pair.theirs, *pair.names) for p in signature}


def test_every_argument_name_of_torch_is_taken_or_refused_with_a_reason() -> None:
    found = {(p.space, p.name, n): takes(p.ours, n) for p in PAIRS for n in named(p)}
    assert {f"{name} {n}" for (_, name, n), answer in found.items() if answer == "no"} == set().union(*UNKNOWN.values())
    assert {p.name for p in PAIRS if not named(p)} <= UNNAMED
    assert len(PAIRS) > 300
    assert len(found) > 1100


def test_every_argument_name_of_torchs_methods_is_taken() -> None:
    """Of the tensor's methods that are here under the same name."""
    unknown = set()
    for name in dir(tn.Tensor):
        method, theirs = getattr(tn.Tensor, name), getattr(torch.Tensor, name, None)
        if name.startswith("_") or not inspect.isfunction(method) or theirs is None:
            continue
        known = inspect.signature(method).parameters
        passed_on = any(p.kind is p.VAR_KEYWORD for p in known.values())
        for argument in {p.name for s in signatures(theirs, name, f"Tensor.{name}") for p in s}:
            if argument not in known and not (passed_on and takes(getattr(tn, name), argument) == "yes"):
                unknown.add(f"{name} {argument}")
    assert unknown == set().union(*UNKNOWN_OF_METHODS.values())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: f"{p.space}.{p.name}")
def test_calls_give_what_torch_gives(pair: Pair) -> None:
    """By name always, unless refused; by position too, unless the call fails. Of what gives something else without an
    error `tn.testing.porting` knows."""
    differs = []
    for call in calls(torch, pair.name, pair.theirs, *pair.names[1:]):
        args = [converted(a, tn.tensor) for a in call.args]
        kwargs = {n: converted(a, tn.tensor) for n, a in call.kwargs.items()}
        if kwargs.keys() & {n.split()[1] for n in set().union(*UNKNOWN.values()) if n.startswith(pair.name + " ")}:
            continue
        try:
            found = pair.ours(*args, **kwargs)
        except Exception as error:
            differs += [f"{call}: {error}"] if not call.args and "is PyTorch's" not in str(error) else []
            continue
        if not same(found, call.result):
            differs.append(repr(call))
    warned = any(pair.title.removeprefix("F.") in d.functions.split() for d in DIFFERENCES)
    assert not differs or warned or any(pair.title in names.split() for names in UNWARNED.values()), differs


#: Methods and operators that give something else, and of which `tn.testing.porting` does not warn.
UNWARNED_METHODS = {"__pow__ of booleans: int8 and int64": "__pow__"}
METHODS = [
    name
    for name in sorted(dir(tn.Tensor))
    if callable(getattr(tn.Tensor, name)) and callable(getattr(torch.Tensor, name, None))
    and (name in FURTHER_METHODS or not name.startswith("_"))
    and name not in ("backward", "numpy", "register_hook", "requires_grad_", "retain_grad")
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", METHODS)
def test_methods_give_what_torchs_give(name: str) -> None:
    """Or fail, or are known to give something else; and leave the tensor as PyTorch leaves it."""
    differs = []
    for call in method_calls(torch, name):
        args = [converted(a, tn.tensor) for a in call.args]
        try:
            found = getattr(tn.Tensor, name)(*args, **{n: converted(a, tn.tensor) for n, a in call.kwargs.items()})
        except Exception:  # loud: a method of NumPy's
            continue
        kept = args[0].dtype == call.args[0].dtype and np.array_equal(args[0].numpy(), call.args[0])
        if not (same(found, call.result) and kept):
            differs.append(repr(call))
    warned = any(name in d.methods.split() for d in DIFFERENCES) or name in UNWARNED_METHODS.values()
    assert not differs or warned, differs
