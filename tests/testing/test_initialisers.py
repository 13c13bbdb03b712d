"""The check of initialisers finds what is wrong with one, and tapenet's own pass it."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.nn import init
from tapenet.testing import check_initialiser

OWN: dict[str, tuple[Any, dict[str, Any]]] = {
    "uniform_": (partial(init.uniform_, a=-1, b=1), {"mean": 0.0, "std": 3**-0.5}),
    "normal_": (init.normal_, {"mean": 0.0, "std": 1.0}),
    "trunc_normal_": (init.trunc_normal_, {"mean": 0.0}),
    "constant_": (partial(init.constant_, val=2.0), {"mean": 2.0, "std": 0.0}),
    "zeros_": (init.zeros_, {}),
    "ones_": (init.ones_, {}),
    "eye_": (init.eye_, {"shapes": [(4, 3)]}),
    "dirac_": (init.dirac_, {"shapes": [(4, 3, 3)]}),
    "sparse_": (partial(init.sparse_, sparsity=0.5), {"shapes": [(40, 3)]}),
    "xavier_uniform_": (
        init.xavier_uniform_,
        {"std": lambda s: (2 / sum(nn.init.fans(tn.tensor(np.empty(s))))) ** 0.5},
    ),
    "xavier_normal_": (init.xavier_normal_, {"std": lambda s: (2 / sum(nn.init.fans(tn.tensor(np.empty(s))))) ** 0.5}),
    "kaiming_uniform_": (init.kaiming_uniform_, {"mean": 0.0}),
    "kaiming_normal_": (
        partial(init.kaiming_normal_, nonlinearity="relu"),
        {"std": lambda s: (2 / np.prod(s[1:])) ** 0.5},
    ),
    "orthogonal_": (init.orthogonal_, {}),
}


@pytest.mark.parametrize("name", OWN)
def test_own_initialisers_pass(name: str) -> None:
    function, options = OWN[name]
    check_initialiser(function, **options)


def test_all_own_initialisers_are_tried() -> None:
    made_here = {n for n, f in vars(init).items() if inspect.isfunction(f) and n[0] != "_" and n[-1] == "_"}
    assert made_here == {*OWN}


def returns_nothing_(tensor: Any) -> None:
    tensor.data = np.ones(tensor.shape)


def returns_another_(tensor: Any) -> Any:
    return nn.Parameter(np.ones(tensor.shape))


def shadows_(tensor: Any, rng: Any = None) -> Any:
    tensor.data = np.random.normal(size=tensor.shape)
    return tensor


def own_generator_(tensor: Any, rng: Any = None) -> Any:
    tensor.data = np.random.default_rng().normal(size=tensor.shape)
    return tensor


def without_rng_(tensor: Any) -> Any:
    tensor.data = tn.random.generator().normal(size=tensor.shape)
    return tensor


def ignores_rng_(tensor: Any, rng: Any = None) -> Any:
    tensor.data = tn.random.generator().normal(size=tensor.shape)
    return tensor


def begins_anew_(tensor: Any, rng: Any = None) -> Any:
    seed = tn.random.generator().integers(100) if rng is None else 7
    tensor.data = np.random.default_rng(seed).normal(size=tensor.shape)
    return tensor


def in_memory_order_(tensor: Any, rng: Any = None) -> Any:
    values = tn.random.generator(rng).normal(size=tensor.size)
    tensor.data = values.reshape(tensor.shape, order="F" if tensor.data.flags.f_contiguous else "C")
    return tensor


def in_its_dtype_(tensor: Any, rng: Any = None) -> Any:
    tensor.data = tn.random.generator(rng).standard_normal(tensor.shape, dtype=tensor.dtype)
    return tensor


def in_part_(tensor: Any) -> Any:
    values = tensor.data.copy()
    values[0] = 1
    tensor.data = values
    return tensor


def freezes_(tensor: Any) -> Any:
    tensor.requires_grad_(False)
    tensor.data = np.ones(tensor.shape)
    return tensor


def too_wide_(tensor: Any, rng: Any = None) -> Any:
    return nn.init.normal_(tensor, 0.0, (2 / tensor.shape[0]) ** 0.5, rng)


@pytest.mark.parametrize(
    ("initialiser", "message"),
    [
        (returns_nothing_, r"check_initialiser\(returns_nothing_\): it returns None: return the tensor"),
        (returns_another_, r"it left the tensor as it was: write tensor.data = values"),
        (shadows_, r"it draws from NumPy's global generator: draw from tn.random.generator\(rng\)"),
        (own_generator_, r"the same seed gives other numbers: it draws from a generator of its own"),
        (without_rng_, r"it draws random numbers and takes no rng=: add `rng=None`"),
        (ignores_rng_, r"it does not draw from the rng that it is given"),
        (begins_anew_, r"the same generator gives the same numbers twice"),
        (
            in_memory_order_,
            r"a tensor in Fortran order gets other numbers than a float64 one in C order by the same seed",
        ),
        (in_its_dtype_, r"a float32 tensor gets other numbers than a float64 one"),
        (in_part_, r"of shape \(48, 32\) it left 1504 elements that are not finite"),
        (freezes_, r"it changed what the tensor is \(float64, needs a gradient, a leaf\)"),
        (lambda tensor: 1 / 0, r"on a float64 tensor of shape \(48, 32\) it raises ZeroDivisionError"),
    ],
)
def test_wrong_initialisers_are_named(initialiser: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_initialiser(initialiser)


def test_moments_that_are_expected() -> None:
    check_initialiser(too_wide_, [(48, 32)], mean=0.0, std=(2 / 48) ** 0.5)
    with pytest.raises(
        AssertionError, match=r"of shape \(48, 32\) the standard deviation is 0.20\d*, and 0.25 was expected"
    ):
        check_initialiser(too_wide_, std=lambda shape: (2 / np.prod(shape[1:])) ** 0.5)
    with pytest.raises(
        AssertionError, match=r"of shape \(48, 32\) the mean is .*, and 0.1 was expected \(to within 0.0"
    ):
        check_initialiser(too_wide_, mean=0.1)


def test_the_random_state_is_the_users_own_afterwards() -> None:
    tn.random.seed(3)
    before, numpys = tn.random.get_state(), str(np.random.get_state())
    check_initialiser(init.normal_)
    assert str(tn.random.get_state()) == str(before)
    assert str(np.random.get_state()) == numpys
