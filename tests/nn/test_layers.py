"""Layers apart from their values: dtypes, initial values, errors, containers, capture."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn
from tapenet.autodiff.observe.capture import Capture
from tapenet.testing import check_grads, check_op
from tests.autodiff.test_joints import Foreign
from tests.replay import Replay

R = np.random.default_rng(0)


# -- dtypes ------------------------------------------------------------------------------------------------------

PARAMETRIC = {
    "Linear": (lambda **k: nn.Linear(3, 2, **k), (4, 3)),
    "Conv2d": (lambda **k: nn.Conv2d(3, 2, 2, **k), (2, 3, 4, 4)),
    "BatchNorm1d": (lambda **k: nn.BatchNorm1d(3, **k), (4, 3)),
    "BatchNorm2d": (lambda **k: nn.BatchNorm2d(3, **k), (2, 3, 4, 4)),
    "LayerNorm": (lambda **k: nn.LayerNorm(3, **k), (4, 3)),
}


@pytest.mark.parametrize("name", PARAMETRIC)
@pytest.mark.parametrize("given", ["float32", "float64", "float16", "uint8", "int64", "bool"])
def test_real_inputs_are_cast_to_the_dtype_of_the_parameters(name: str, given: str) -> None:
    make, shape = PARAMETRIC[name]
    layer = make()
    assert {p.dtype for p in layer.parameters()} == {np.dtype(np.float32)}
    data = R.integers(0, 2, shape).astype(given)
    expected = make(dtype="float64").train()
    expected.load_state_dict(layer.state_dict())
    for x in (data, tn.tensor(data), data.tolist()):
        fresh = copy.deepcopy(layer)
        out = fresh(x)
        assert out.dtype == np.float32
        np.testing.assert_allclose(out.data, copy.deepcopy(expected)(data).data, rtol=1e-4, atol=1e-5)
        assert {b.dtype for b in fresh.buffers()} <= {np.dtype(np.float32), np.dtype(np.int64)}


@pytest.mark.parametrize("name", PARAMETRIC)
def test_the_gradient_comes_back_in_the_dtype_of_the_input(name: str) -> None:
    make, shape = PARAMETRIC[name]
    x = tn.tensor(R.normal(size=shape), requires_grad=True)
    layer = make()
    (layer(x) ** 2).sum().backward()
    assert x.grad.dtype == np.float64
    assert {p.grad.dtype for p in layer.parameters()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", PARAMETRIC)
def test_dtype_argument(name: str) -> None:
    make, shape = PARAMETRIC[name]
    layer = make(dtype=np.float64)
    assert {p.dtype for p in layer.parameters()} == {np.dtype(np.float64)}
    assert layer(R.normal(size=shape).astype(np.float32)).dtype == np.float64


@pytest.mark.parametrize("name", PARAMETRIC)
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (None, TypeError, "got None for its input: does the forward"),
        ("text", TypeError, "takes an array of real numbers, not ndarray of <U4"),
        (np.ones(3, complex), TypeError, "takes an array of real numbers, not ndarray of complex128"),
        ([[1.0], [1.0, 2.0]], ValueError, "got nested lists that make no array"),
    ],
    ids=["None", "str", "complex", "ragged"],
)
def test_what_is_no_input_is_refused_by_name(name: str, x: Any, error: Any, message: str) -> None:
    make, _ = PARAMETRIC[name]
    net = nn.Sequential(OrderedDict(inner=nn.Sequential(make())))
    with pytest.raises(error, match=rf"^{name} \(inner\.0\) {message}"):
        net(x)


def test_foreign_arrays_pass_through_layers() -> None:
    log: list[str] = []
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3),
        nn.LayerNorm(3),
        nn.Dropout(), nn.LogSoftmax(),
    ).eval()  # fmt: skip
    data = R.normal(size=(2, 1, 6, 6))
    out = net(Foreign(data, log))
    assert isinstance(out, Foreign)
    np.testing.assert_array_equal(out._hidden, net(data).data)
    assert {"astype", "conv2d", "batch_norm", "linear", "layer_norm"} <= set(log)


def test_layers_without_parameters_keep_the_dtype() -> None:
    for layer in (nn.Tanh(), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Flatten(), nn.GELU(), nn.Dropout()):
        assert layer(tn.tensor(R.normal(size=(1, 2, 2, 2)), "float32")).dtype == np.float32
        assert layer(R.normal(size=(1, 2, 2, 2))).dtype == np.float64


# -- initial values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "fan_in"),
    [(lambda **k: nn.Linear(50, 200, **k), 50), (lambda **k: nn.Conv2d(8, 60, (3, 2), groups=2, **k), 24)],
)
def test_default_initial_values_are_uniform_within_the_inverse_root_of_fan_in(make: Any, fan_in: int) -> None:
    from scipy import stats

    layer = make(rng=np.random.default_rng(1))
    bound = 1 / math.sqrt(fan_in)
    for p in layer.parameters():
        assert np.abs(p.data).max() <= bound
        assert stats.kstest(p.data.ravel(), stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3
    assert len(np.unique(layer.bias.data)) == len(layer.bias.data)


def test_a_linear_weight_is_in_fortran_order_and_stays_so() -> None:
    layer = nn.Linear(3, 4)
    assert layer.weight.shape == (4, 3)
    for each in (layer, copy.deepcopy(layer), nn.Linear(3, 4).astype("float64")):
        assert each.weight.data.flags.f_contiguous
        each(np.ones((2, 3))).sum().backward()
        assert each.weight.grad.data.flags.f_contiguous


def test_seeds() -> None:
    def weights(**options: Any) -> Any:
        return np.concatenate([p.data.ravel() for p in nn.Linear(3, 4, **options).parameters()])

    tn.random.seed(5)
    first, second = weights(), weights()
    tn.random.seed(5)
    np.testing.assert_array_equal(weights(), first)
    assert (first != second).all()
    np.testing.assert_array_equal(weights(rng=3), weights(rng=np.random.default_rng(3)))
    assert len(np.unique(weights(rng=3))) == 16  # weight and bias do not begin with the same numbers
    np.testing.assert_array_equal(weights(rng=3, dtype="float64").astype(np.float32), weights(rng=3))


# -- shapes ------------------------------------------------------------------------------------------------------


def test_shape_errors_name_the_layer_and_the_fix() -> None:
    net = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 2, 3), pool=nn.MaxPool2d(2), fc=nn.Linear(2 * 13 * 13, 10)))
    images = R.normal(size=(2, 1, 28, 28)).astype(np.float32)
    with pytest.raises(ValueError, match=r"failed in fc: .*takes 338 features.*has 13; flatten it first.*nn\.Flatten"):
        net(images)
    with pytest.raises(ValueError, match=r"failed in conv: .*without an axis for the channel.*x\[:, None\]"):
        net(images[:, 0])
    with pytest.raises(ValueError, match=r"failed in pool: .*does not fit"):
        net(images[:, :, :3, :3])
    with pytest.raises(
        ValueError, match=r"^Flatten \(0\): no axes from 1 to -1 in an input of shape \(3,\); the first axis"
    ):
        nn.Sequential(nn.Flatten())(np.ones(3))
    with pytest.raises(ValueError, match="5 and 4 channels do not split into 2 groups"):
        nn.Conv2d(5, 4, 3, groups=2)


def test_flatten_of_no_samples_and_of_scalars_per_sample() -> None:
    assert nn.Flatten()(np.zeros((0, 3, 4))).shape == (0, 12)
    assert nn.Flatten()(np.zeros((5, 1))).shape == (5, 1)
    assert nn.Flatten(0)(np.zeros((2, 3))).shape == (6,)


# -- normalization -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.BatchNorm2d(3), (4, 3), r"BatchNorm2d \(0\) takes \(n, 3, h, w\), not \(4, 3\); .*BatchNorm1d"),
        (
            nn.BatchNorm1d(3),
            (2, 3, 4, 4),
            r"BatchNorm1d \(0\) takes \(n, 3\) or \(n, 3, length\), not .*BatchNorm2d",
        ),
        (nn.BatchNorm1d(3), (4, 5), r"BatchNorm1d \(0\) takes \(n, 3\) .*, not \(4, 5\)"),
        (nn.BatchNorm1d(3), (1, 3), r"failed in 0: .*fewer than two values per channel.*eval mode"),
        (
            nn.LayerNorm((3, 4)),
            (2, 4, 3),
            r"failed in 0: normalized_shape=\(3, 4\) must be the last axes of x.*\(2, 4, 3\)",
        ),
    ],
)
def test_normalization_shape_errors(layer: Any, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn.Sequential(layer)(np.ones(shape))


def test_batch_norm_under_capture_updates_its_statistics_at_every_replay() -> None:
    data = [R.normal(size=(5, 3)).astype(np.float32) for _ in range(4)]
    for momentum in (0.1, None):
        eager, captured = nn.BatchNorm1d(3, momentum=momentum), nn.BatchNorm1d(3, momentum=momentum)
        x = tn.tensor(data[0])
        with Capture() as tape:
            out = captured(x)
        replay = Replay(tape, [x], out)
        expected = [eager(d).data for d in data]
        for d, e in zip(data[1:], expected[1:], strict=True):
            np.testing.assert_allclose(replay(d), e, rtol=1e-5, atol=1e-6)
        for (name, a), b in zip(eager.named_buffers(), captured.buffers(), strict=True):
            np.testing.assert_allclose(a.data, b.data, rtol=1e-5, atol=1e-7, err_msg=name)
        assert captured.num_batches_tracked.item() == 4


def test_running_statistics_are_no_part_of_the_graph_and_storage_stays() -> None:
    layer = nn.BatchNorm1d(3)
    storage = [b.data for b in layer.buffers()]
    x = tn.tensor(R.normal(size=(5, 3)), requires_grad=True)
    layer(x)
    layer(x).sum().backward()
    assert not any(b.requires_grad for b in layer.buffers())
    assert all(b.data is s for b, s in zip(layer.buffers(), storage, strict=True))
    assert layer.num_batches_tracked.item() == 2
    with tn.no_grad():
        layer.eval()(x)
    assert layer.num_batches_tracked.item() == 2


def test_batch_norm_gradients_by_finite_differences() -> None:
    x, w, b = R.normal(size=(4, 3)), R.normal(size=3), R.normal(size=3)
    check_grads(lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), [x, w, b], order=2, rtol=1e-5)


# -- dropout -----------------------------------------------------------------------------------------------------


def test_dropout_acts_in_training_only() -> None:
    layer = nn.Dropout(0.3, rng=0)
    x = np.ones((200, 50))
    out = layer(x)
    assert set(np.unique(out)) == {0.0, 1 / 0.7}
    # Five standard deviations of the mean of 10,000 draws.
    assert abs((out == 0).mean() - 0.3) < 5 * math.sqrt(0.3 * 0.7 / x.size)
    assert (layer(x) != out).any()
    np.testing.assert_array_equal(layer.eval()(x), x)
    np.testing.assert_array_equal(nn.Dropout(0.3, rng=0)(x), out)
    tn.random.seed(1)
    first = nn.Dropout(0.3)(x)
    tn.random.seed(1)
    np.testing.assert_array_equal(nn.Dropout(0.3)(x), first)
    with pytest.raises(ValueError, match=r"p=1.5 is no probability"):
        nn.Dropout(1.5)


# -- embedding ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [tn.embedding, F.one_hot], ids=["embedding", "one_hot"])
def test_ops_of_nn_keep_every_promise(op: Any) -> None:
    check_op(op)


@pytest.mark.parametrize("indices", [[0, 10], [-1], np.array([[3], [12]])])
def test_an_index_out_of_range_names_the_layer(indices: Any) -> None:
    net = nn.Sequential(OrderedDict(words=nn.Embedding(10, 2)))
    with pytest.raises(IndexError, match=r"failed in words: the indices run from .* has 10 vectors: 0 to 9"):
        net(indices)


def test_embedding_takes_integers_of_any_kind_only() -> None:
    layer = nn.Embedding(4, 2)
    for indices in ([1, 2], np.array([1, 2], np.uint8), tn.tensor([1, 2])):
        np.testing.assert_array_equal(layer(indices).data, layer.weight.data[1:3])
    assert layer(3).shape == (2,)
    with pytest.raises(TypeError, match=r"takes integers, not float64.*astype"):
        layer([0.5])
    with pytest.raises(ValueError, match="padding_idx=4 is none of its 4 vectors"):
        nn.Embedding(4, 2, padding_idx=4)


def test_the_padding_vector_is_zero_and_gets_no_gradient() -> None:
    layer = nn.Embedding(4, 2, padding_idx=-1)
    assert layer.padding_idx == 3
    assert not layer.weight.data[3].any()
    layer([[3, 1], [1, 3]]).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad.data, [[0, 0], [2, 2], [0, 0], [0, 0]])


def test_embedding_under_capture_checks_and_reads_the_replays_indices() -> None:
    layer = nn.Embedding(4, 2, padding_idx=0)
    x = tn.tensor([1, 2])
    with Capture() as tape:
        out = layer(x)
        out.sum().backward()
        gradient = layer.weight.grad
        assert gradient is not None
    replay = Replay(tape, [x], gradient)
    np.testing.assert_array_equal(replay(np.array([0, 3])), [[0, 0], [0, 0], [0, 0], [1, 1]])
    with pytest.raises(IndexError):
        replay(np.array([0, 4]))


def test_one_hot() -> None:
    np.testing.assert_array_equal(F.one_hot([[0], [2]], 4), [[[1, 0, 0, 0]], [[0, 0, 1, 0]]])
    assert F.one_hot(tn.tensor([1])).shape == (1, 2)
    assert F.one_hot([1], dtype="int64").dtype == np.int64
    with pytest.raises(ValueError, match="from 1 to 3, not from 0 to 2"):
        F.one_hot([1, 3], 3)


# -- functional --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "relu", "leaky_relu", "elu", "sigmoid", "softplus", "gelu", "silu", "softmax", "log_softmax", "tanh", "linear",
        "conv2d", "max_pool2d", "avg_pool2d", "dropout", "mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss",
        "cross_entropy", "nll_loss", "binary_cross_entropy_with_logits", "binary_cross_entropy", "kl_div",
    ],
)  # fmt: skip
def test_functions_are_the_ops(name: str) -> None:
    assert getattr(F, name) is getattr(tn, name)


# -- containers --------------------------------------------------------------------------------------------------


def _names(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_children()]


def test_sequential_as_a_sequence() -> None:
    a, b, c, d = (nn.Linear(2, 2) for _ in range(4))
    net = nn.Sequential(a, b, c)
    assert len(net) == 3
    assert list(net) == [a, b, c]
    assert net[0] is a
    assert net[-1] is c
    part = net[1:]
    assert type(part) is nn.Sequential
    assert list(part) == [b, c]
    assert _names(part) == ["0", "1"]
    net.append(d)
    net[1] = d
    assert list(net) == [a, d, c, d]
    del net[0]
    assert list(net) == [d, c, d]
    net.insert(0, b)
    net.extend([a])
    assert list(net) == [b, d, c, d, a]
    assert _names(net) == ["0", "1", "2", "4"]  # the walk lists a module once
    with pytest.raises(IndexError, match="index 9 of a Sequential of 5 modules"):
        net[9]


def test_sequential_runs_in_order_and_a_repeated_module_repeatedly() -> None:
    layer = nn.Linear(2, 2)
    x = R.normal(size=(3, 2)).astype(np.float32)
    net = nn.Sequential(layer, nn.Tanh(), layer)
    np.testing.assert_array_equal(net(x).data, layer(tn.tanh(layer(x))).data)
    assert _names(net) == ["0", "1"]
    assert net.num_parameters() == 6


def test_named_sequential() -> None:
    net = nn.Sequential({"first": nn.Linear(2, 3), "act": nn.Tanh()})
    assert net.first.out_features == 3
    assert list(net.state_dict()) == ["first.weight", "first.bias"]
    net.append(nn.Linear(3, 1))
    assert _names(net) == ["first", "act", "2"]
    assert _names(net[1:]) == ["act", "1"]
    assert net(np.ones((1, 2))).shape == (1, 1)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Sequential(nn.Tanh), TypeError, r"not the class Tanh: make one, nn.Tanh\(\)"),
        (
            lambda: nn.Sequential(tn.tanh),
            TypeError,
            r"not the function 'tanh': use a layer such as nn.Tanh\(\)",
        ),
        (lambda: nn.Sequential([nn.Tanh()]), TypeError, "put a star before the list"),
        (lambda: nn.Sequential(3), TypeError, "Sequential takes modules, not int"),
        (lambda: nn.ModuleList([nn.Tanh(), None]), TypeError, "ModuleList takes modules, not NoneType"),
        (lambda: nn.Sequential({"a.b": nn.Tanh()}), ValueError, "string without dots"),
        (lambda: nn.Sequential({"append": nn.Tanh()}), ValueError, "has an attribute 'append' of its own"),
        (lambda: nn.Sequential({"3": nn.Tanh()}), ValueError, "a number must be its position"),
        (lambda: nn.ModuleDict({"keys": nn.Tanh()}), ValueError, "has an attribute 'keys' of its own"),
        (lambda: nn.ModuleDict({1: nn.Tanh()}), ValueError, "no name for a module"),
        (lambda: nn.ModuleList([nn.Tanh()])(1), NotImplementedError, "loop over it"),
        (lambda: nn.ModuleDict({"a": nn.Tanh()})(1), NotImplementedError, "pick a module"),
        (lambda: nn.ModuleDict({"a": nn.Tanh()})["b"], KeyError, "b"),
    ],
)
def test_container_errors(make: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_module_list() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.blocks = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))

        def forward(self, x: Any) -> Any:
            for block in self.blocks:
                x = block(x)
            return x

    net = Net()
    assert list(net.state_dict())[:2] == ["blocks.0.weight", "blocks.0.bias"]
    assert net(np.ones((1, 2))).node.path == "blocks.2"
    del net.blocks[1:]
    net.blocks.insert(0, nn.Linear(2, 4))
    assert [b.out_features for b in net.blocks] == [4, 2]
    assert type(net.blocks[:1]) is nn.ModuleList
    assert net.blocks.pop(0).out_features == 4
    assert list(net.blocks.state_dict()) == ["0.weight", "0.bias"]


@pytest.mark.parametrize("kind", [nn.Sequential, nn.ModuleList])
def test_modules_are_put_together(kind: Any) -> None:
    a, b, c = nn.Tanh(), nn.ReLU(), nn.GELU()
    net = kind().append(a).extend([c]).insert(1, b)
    assert list(net) == [a, b, c]
    both = net[:1] + net[1:]
    assert type(both) is kind
    assert list(both) == [a, b, c]
    both += [a]
    assert list(both) == [a, b, c, a]
    with pytest.raises(TypeError, match="takes modules, not int"):
        net.extend([a, 3])
    assert list(net) == [a, b, c]


def test_module_dict() -> None:
    heads = nn.ModuleDict({"a": nn.Linear(2, 1)})
    heads["b"] = nn.Linear(2, 3)
    assert list(heads) == list(heads.keys()) == ["a", "b"]
    assert "a" in heads
    assert len(heads) == 2
    assert [m.out_features for m in heads.values()] == [1, 3]
    assert dict(heads.items())["b"] is heads["b"]
    assert heads["b"](np.ones((1, 2))).shape == (1, 3)
    assert heads.pop("a").out_features == 1
    del heads["b"]
    assert list(heads) == []
    assert list(nn.ModuleDict([("x", nn.Tanh())])) == ["x"]
    heads.update({"c": nn.Tanh()})
    heads.clear()
    assert len(heads) == 0


def test_containers_copy_and_print() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ModuleDict({"a": nn.Dropout(0.2)}))
    twin = copy.deepcopy(net)
    assert twin[0] is not net[0]
    assert repr(twin) == repr(net)


LINES = {
    "Linear(2, 3, bias=False)": lambda: nn.Linear(2, 3, bias=False),
    "Conv2d(4, 6, (3, 2), padding='same', dilation=(2, 2), groups=2)": lambda: nn.Conv2d(4, 6, (3, 2), 1, "same", 2, 2),
    "MaxPool2d(2)": lambda: nn.MaxPool2d(2),
    "MaxPool2d(3, stride=2, padding=1)": lambda: nn.MaxPool2d(3, 2, 1),
    "AvgPool2d(2, count_include_pad=False)": lambda: nn.AvgPool2d(2, count_include_pad=False),
    "Flatten()": lambda: nn.Flatten(),
    "Flatten(start_dim=0, end_dim=-2)": lambda: nn.Flatten(0, -2),
    "Dropout(0.2)": lambda: nn.Dropout(0.2),
    "Embedding(4, 2, padding_idx=3)": lambda: nn.Embedding(4, 2, -1),
    "BatchNorm2d(3, momentum=None)": lambda: nn.BatchNorm2d(3, momentum=None),
    "LayerNorm((3, 4))": lambda: nn.LayerNorm((3, 4)),
    "Softmax(dim=1)": lambda: nn.Softmax(1),
    "LeakyReLU(negative_slope=0.2)": lambda: nn.LeakyReLU(0.2),
    "CrossEntropyLoss(label_smoothing=0.1)": lambda: nn.CrossEntropyLoss(label_smoothing=0.1),
    "MSELoss()": lambda: nn.MSELoss(),
}


@pytest.mark.parametrize("text", LINES)
def test_repr_shows_the_settings(text: str) -> None:
    assert repr(LINES[text]()).partition("  ")[0] == text
