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
    "several devices or processes": "DataParallel SyncBatchNorm",
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
    return {n for n in dir(module) if not n.startswith("_") and kind(getattr(module, n))}


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


def test_a_plain_list_and_a_plain_dict_hold_parameters() -> None:

    class Model(nn.Module):
        def __init__(self) -> None:
            self.many = [nn.Parameter(np.zeros(2)), nn.Parameter(np.zeros(3))]
            self.named = {"a": nn.Parameter(np.zeros(4))}

    assert [name for name, _ in Model().named_parameters()] == ["many.0", "many.1", "named.a"]


#: Arguments that are in none of our signatures: where parameters live, what is deprecated, what works in place. A table in
#: `nn.arguments` has those that layers take all the same.
NEVER = {"self", "device", "dtype", "inplace", "size_average", "reduce"}
#: Layers that have other arguments or defaults, by the reason.
OTHERWISE: dict[str, str] = {
    "dim has a default, where PyTorch warns and guesses": "LogSoftmax Softmax Softmin",
    "an empty container is () rather than None": "ModuleDict ModuleList ParameterDict ParameterList",
    "min_value and max_value are deprecated": "Hardtanh",
    "the threshold is needless": "Softplus",
    "options= is left out with its class, and what is ignored is -100": "LinearCrossEntropyLoss",
    "buffers are not learned": "UninitializedBuffer",
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


# -- methods -----------------------------------------------------------------------------------------------------

#: Public names of torch.nn.Module that are left out, by the reason.
ABSENT_METHODS: dict[str, str] = {
    "tn.compile(net), or better of the whole step": "compile",
    "devices other than the CPU": "ipu mtia xpu",
    "a module can be used from many threads as it is": "share_memory",
    "deprecated in PyTorch, and wrong for what has several parts": "register_backward_hook",
    "machinery": "T_destination call_super_init dump_patches",
    "parameters without storage, on the device 'meta'": "to_empty",
}


def test_every_method_of_a_module_of_torch_has_its_place() -> None:
    public = {n for n in dir(torch.nn.Module) if not n.startswith("_")}
    assert public - set(dir(nn.Module)) == left_out(ABSENT_METHODS)


def test_methods_take_the_arguments_of_torch() -> None:
    """By the same names in the same order, but for those listed."""
    otherwise = {
        "forward": "anything goes",
        "load_state_dict": "state stands for state_dict, which is a method",
        "register_backward_hook": "deprecated",
        "state_dict": "arguments by position are deprecated",
        "to": "its arguments are not written down there",
    }
    wrong = {}
    for name in sorted({n for n in dir(torch.nn.Module) if not n.startswith("_")} & set(dir(nn.Module))):
        theirs = getattr(torch.nn.Module, name)
        if inspect.isfunction(theirs) and name not in otherwise:
            expected, found = (list(inspect.signature(f).parameters) for f in (theirs, getattr(nn.Module, name)))
            if found[: len(expected)] != [n for n in expected if n != "memo"]:
                wrong[name] = found, expected
    assert not wrong


# -- arguments of PyTorch's that change nothing here --------------------------------------------------------------------

#: Arguments to make a layer of PyTorch and its namesake with, where it needs some.
NEEDED: dict[str, tuple[Any, ...]] = {
    "AdaptiveLogSoftmaxWithLoss": (4, 10, [2]), "Bilinear": (2, 3, 4), "Embedding": (4, 3), "EmbeddingBag": (4, 3),
    "GroupNorm": (2, 4), "LayerNorm": (4,), "RMSNorm": (4,), "Linear": (2, 3), "LinearCrossEntropyLoss": (4, 10),
    "MultiheadAttention": (4, 2), "PReLU": (), "Threshold": (0.1, 2.0), "Transformer": (4, 2, 1, 1, 8),
    "TransformerDecoderLayer": (4, 2, 8), "TransformerEncoderLayer": (4, 2, 8),
    **{f"{k}{n}d": (2, 4, 3) for k in ("Conv", "ConvTranspose") for n in (1, 2, 3)},
    **{f"{k}{n}d": (4,) for k in ("BatchNorm", "InstanceNorm", "LazyConv") for n in (1, 2, 3)},
    **{f"Lazy{k}{n}d": () for k in ("BatchNorm", "InstanceNorm") for n in (1, 2, 3)},
    **{f"{k}Cell": (2, 3) for k in ("RNN", "LSTM", "GRU")},
    **dict.fromkeys(("RNN", "LSTM", "GRU"), (2, 3)),
    **{f"LazyConv{k}{n}d": (4, 3) for k in ("", "Transpose") for n in (1, 2, 3)},
    "LazyLinear": (3,),
}  # fmt: skip


def having(argument: str) -> list[str]:
    """The layers of both whose PyTorch side takes an argument."""
    found = []
    for name in sorted(TORCH_LAYERS & names(nn, inspect.isclass)):
        layer = getattr(torch.nn, name)
        if issubclass(layer, torch.nn.Module) and argument in inspect.signature(layer.__init__).parameters:
            found.append(name)
    return found


@pytest.mark.parametrize("name", having("device"))
def test_layers_take_the_one_device(name: str) -> None:
    layer, needed = getattr(nn, name), NEEDED[name]
    for device in (None, "cpu"):
        layer(*needed, device=device, dtype=None)
    with pytest.raises(ValueError, match=f"{name}: device='cuda': there is one device here"):
        layer(*needed, device="cuda")
    with pytest.raises(TypeError, match="unexpected keyword argument 'devise'"):
        layer(*needed, devise="cpu")


@pytest.mark.parametrize("name", having("inplace"))
def test_layers_take_inplace_and_give_a_new_tensor(name: str) -> None:
    """By name, and by position where PyTorch has it."""
    layer, needed = getattr(nn, name), NEEDED.get(name, ())
    usual = layer(*needed).eval()
    x = np.linspace(-2.0, 2.0, 24, dtype=np.float32).reshape(1, 2, 3, 4)[
        0 if "1d" in name or "Dropout" not in name else ...
    ]
    x = x if "3d" not in name else x[None]
    places = [p for p in inspect.signature(getattr(torch.nn, name)).parameters if p not in ("max_value", "min_value")]
    defaults = inspect.signature(layer).parameters
    positional = [*needed, *(defaults[p].default for p in places[len(needed) : places.index("inplace")])]
    for given in (layer(*needed, inplace=True), layer(*positional, True)):
        before = x.copy()
        np.testing.assert_array_equal(given.eval()(x), usual(x))
        np.testing.assert_array_equal(x, before)
        assert repr(given) == repr(usual)
    with pytest.raises(TypeError):
        nn.Tanh(inplace=True)


def test_a_layer_of_ones_own_keeps_its_arguments() -> None:
    class Own(nn.Dropout):
        def __init__(self, inplace: str, device: str) -> None:
            super().__init__(0.5, inplace=True)
            self.kept = inplace, device

    class Bare(nn.Linear):
        pass

    assert Own("a", device="b").kept == ("a", "b")
    assert Bare(2, 3, device=None).weight.shape == (3, 2)


def test_what_an_encoder_and_losses_take() -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8)
    nn.TransformerEncoder(layer, 1, enable_nested_tensor=True, mask_check=False)
    nn.MSELoss(size_average=None, reduce=None, reduction="sum")
    with pytest.raises(TypeError, match="MSELoss: size_average is what PyTorch had once: write reduction='mean'"):
        nn.MSELoss(size_average=False)
