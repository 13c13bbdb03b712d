"""Every public name of torch.nn and torch.nn.functional is in tapenet too, or in the table here of those left out and why;
and layers take the same arguments."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tapenet import nn

torch = pytest.importorskip("torch")

#: Names of torch.nn that are left out, by the reason.
ABSENT_LAYERS: dict[str, str] = {
    "layers whose input sizes are not known until the first call: a size is written down here": "LazyBatchNorm1d "
    "LazyBatchNorm2d LazyBatchNorm3d LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d LazyConvTranspose2d "
    "LazyConvTranspose3d LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d LazyLinear UninitializedBuffer "
    "UninitializedParameter",
    "several devices or processes": "DataParallel SyncBatchNorm",
    "what a list or a dict as an attribute does": "ParameterDict ParameterList",
    "deprecated in PyTorch": "Container NLLLoss2d",
    "undocumented in PyTorch; LocalResponseNorm does the same": "CrossMapLRN2d",
    "classes that others derive from": "RNNBase RNNCellBase",
    "how PyTorch cuts a loss into pieces to save memory": "LinearCrossEntropyOptions",
}
#: Names of torch.nn.functional that are left out, by the reason.
ABSENT_FUNCTIONS: dict[str, str] = {
    "in place, which nothing that is differentiated through works here": "celu_ elu_ hardtanh_ leaky_relu_ relu_ rrelu_ "
    "selu_ threshold_",
    "an option, return_indices, by another name": "adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices "
    "adaptive_max_pool3d_with_indices fractional_max_pool2d_with_indices fractional_max_pool3d_with_indices "
    "max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices",
    "deprecated in PyTorch, for interpolate": "upsample upsample_bilinear upsample_nearest",
    "undocumented in PyTorch": "assert_int_or_pair conv_tbc native_channel_shuffle",
    "products of low precision on a GPU": "grouped_mm scaled_addmm scaled_addmm_ scaled_grouped_mm scaled_mm",
    "machinery and types that the module imports": "boolean_dispatch handle_torch_function has_torch_function "
    "has_torch_function_unary has_torch_function_variadic Callable DType Optional ScalingType SwizzleType Tensor",
}


def left_out(table: dict[str, str]) -> set[str]:
    """All names of a table; each has one place."""
    names = " ".join(table.values()).split()
    assert len(names) == len(set(names))
    return set(names)


def names(module: ModuleType, kind: Any) -> set[str]:
    """The public names of a module whose values are of a kind."""
    return {n for n, value in vars(module).items() if not n.startswith("_") and kind(value)}


#: What PyTorch has from 2.15 on.
NEWER = {"scaled_addmm", "scaled_addmm_"}


def has_its_place(theirs: set[str], ours: set[str], absent: set[str]) -> None:
    """Each name is here or left out for a reason, and none is left out that is not PyTorch's, but for what is newer."""
    assert theirs - ours | (absent & NEWER) == absent


TORCH_LAYERS = names(torch.nn, inspect.isclass)
TORCH_FUNCTIONS = names(torch.nn.functional, callable)


def test_every_layer_of_torch_has_its_place() -> None:
    has_its_place(TORCH_LAYERS, names(nn, callable), left_out(ABSENT_LAYERS))


def test_every_function_of_torch_has_its_place() -> None:
    has_its_place(TORCH_FUNCTIONS, names(nn.functional, callable), left_out(ABSENT_FUNCTIONS))


def test_a_list_and_a_dict_hold_parameters() -> None:
    """What stands for ParameterList and ParameterDict."""

    class Model(nn.Module):
        def __init__(self) -> None:
            self.many = [nn.Parameter(np.zeros(2)), nn.Parameter(np.zeros(3))]
            self.named = {"a": nn.Parameter(np.zeros(4))}

    assert [name for name, _ in Model().named_parameters()] == ["many.0", "many.1", "named.a"]


#: Arguments that none of our layers has: where parameters live, what is deprecated, what works in place.
NEVER = {"self", "device", "dtype", "inplace", "size_average", "reduce"}
#: Layers that have other arguments or defaults, by the reason.
OTHERWISE: dict[str, str] = {
    "dim has a default, where PyTorch warns and guesses": "LogSoftmax Softmax Softmin",
    "an empty container is () rather than None": "ModuleDict ModuleList",
    "min_value and max_value are deprecated": "Hardtanh",
    "the threshold is needless": "Softplus",
    "options= is left out with its class, and what is ignored is -100": "LinearCrossEntropyLoss",
    "there are no nested tensors": "TransformerEncoder",
}


def arguments(layer: Any) -> dict[str, Any]:
    """The arguments of a layer with their defaults (functions by name), but for those and private ones."""
    found = {n: p for n, p in inspect.signature(layer).parameters.items() if n not in NEVER and not n.startswith("_")}
    return {n: getattr(p.default, "__name__", p.default) for n, p in found.items()}


def added(layer: Any, expected: dict[str, Any]) -> set[str]:
    """Keyword-only arguments that PyTorch's layer does not have."""
    found = inspect.signature(layer).parameters.values()
    return {p.name for p in found if p.kind is p.KEYWORD_ONLY} - expected.keys()


def says_its_arguments(layer: Any) -> bool:
    """Whether a layer of PyTorch does not take whatever comes."""
    return all(p.kind is not p.VAR_POSITIONAL for p in inspect.signature(layer).parameters.values())


COMMON = [n for n in sorted(TORCH_LAYERS & names(nn, inspect.isclass)) if says_its_arguments(getattr(torch.nn, n))]


@pytest.mark.parametrize("name", COMMON)
def test_layers_take_the_arguments_of_torch(name: str) -> None:
    """By the same names, in the same order, with the same defaults; what is added is keyword-only."""
    expected = arguments(getattr(torch.nn, name))
    layer = getattr(nn, name)
    more = added(layer, expected)
    found = {n: default for n, default in arguments(layer).items() if n not in more}
    same = list(found.items()) == list(expected.items())
    assert same == (name not in left_out(OTHERWISE)), (found, expected)
