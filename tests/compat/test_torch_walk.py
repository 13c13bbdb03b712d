"""All that PyTorch documents under a name that is here, too: each argument's name is taken or refused with a reason, and a call
gives what PyTorch's gives, or is known to give something else."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.compat.differences import DIFFERENCES
from tapenet.ops.op import Op
from tapenet.ops.protocol import _names
from tapenet.ops.torch_calls import known_options
from tapenet.ops.torch_names import spelt
from tests.torch_calls import METHODS as FURTHER_METHODS
from tests.torch_calls import Pair, calls, converted, method_calls, pairs, same, signatures

torch = pytest.importorskip("torch")
PAIRS = list(pairs(torch))
#: Functions whose arguments PyTorch does not name.
UNNAMED = {"atleast_1d", "atleast_2d", "atleast_3d", "meshgrid", "unique"}
#: Names that functions here do not know, by the reason.
UNKNOWN = {
    "by position alone, in PyTorch too": {"einsum equation"},
    "the axis is the last": {"vecdot dim"},
    "of functions that NumPy has not: where results lie, which changes nothing": {
        f"{name} {option}"
        for option, names in {
            "layout": "rand rand_like randint randn randn_like randperm",
            "memory_format": "rand_like randn_like",
            "out": "addmm baddbmm bernoulli bmm cat clamp div gather index_select lerp mm mul multinomial neg rand randint "
            "randn randperm rsqrt sub topk",
            "out_dtype": "addmm baddbmm bmm mm",
            "output_size": "repeat_interleave",
            "pin_memory": "rand randn randperm",
            "sparse_grad": "gather",
        }.items()
        for name in names.split()
    },
    "NumPy's function, whose results are others": {
        f"{name} {option}" for name in ("histogram", "histogramdd") for option in ("out", "weight")
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
    "leaves asked for by name: tn.grad": {"backward inputs"},
    "t.numpy() leaves the graph as it is": {"numpy force"},
}
#: Functions that give something else than PyTorch's and of which `tn.testing.porting` does not warn, by the reason.
UNWARNED = {
    "random": "F.alpha_dropout F.dropout F.dropout1d F.dropout2d F.dropout3d F.feature_alpha_dropout empty_like "
    "rand rand_like randn randn_like randint randperm bernoulli multinomial",
    "warned of as the function that they stand for": "div mul rsqrt sub",
    "a context, in PyTorch too": "inference_mode set_grad_enabled",
    "float64": "fft.fftfreq fft.rfftfreq",
    "singular values are always there": "linalg.lstsq",
    "loud: a condition alone is an error, nonzero does that": "where",
    "loud: it takes whole numbers alone": "ldexp",
}


def parameters(function: Any) -> list[str]:
    """The names of the arguments that a function here takes."""
    if isinstance(function, Op):
        return list(dict.fromkeys([*(a.name for a in function.arguments), *(known_options(function) or ())]))
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
        return "no" if spelt(title, dict.fromkeys(known, object), (), {name: object()}) is None else "yes"
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
