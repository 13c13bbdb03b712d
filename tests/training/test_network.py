"""The four verbs: add, use, fit, predict; what they are short for, and what they say to those who err."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

Array = np.ndarray[Any, Any]
R = np.random.default_rng(0)
X = R.normal(size=(10, 3)).astype(np.float32)
Y = R.normal(size=(10, 2)).astype(np.float32)
LABELS = np.array([0, 1, 1, 0, 2, 1, 0, 2, 2, 1])


def network(outputs: int = 2) -> tn.Network:
    tn.random.seed(0)
    return tn.Network(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, outputs))


def values(net: nn.Module) -> list[Array]:
    return [p.numpy().copy() for p in net.parameters()]


def same(net: nn.Module, expected: list[Array], tolerance: float = 0.0) -> None:
    for found, wanted in zip(values(net), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


def by_hand(
    net: nn.Module, batches: list[Any], lr: float, loss: Callable[..., Any] = F.mse_loss, momentum: float = 0.0
) -> list[Array]:
    """The parameters after gradient descent on batches, in a loop of one's own: (x, y) or (x, y, weight)."""
    net = copy.deepcopy(net)
    opt = optim.SGD(net.parameters(), lr=lr, momentum=momentum)
    for x, y, *weight in batches:
        if weight:
            each = loss(net(x), y, reduction="none").reshape(len(x), -1).mean(axis=1)
            value = (weight[0] * each).mean()
        else:
            value = loss(net(x), y)
        opt.zero_grad()
        value.backward()
        opt.step()
    return values(net)


def cut(size: int, *arrays: Array) -> list[Any]:
    return list(tn.data.batches(*arrays, batch_size=size))


# -- what the verbs do -------------------------------------------------------------------------------------------


def test_it_is_a_sequential_of_the_layers_that_were_added() -> None:
    tn.random.seed(0)
    net = tn.Network(nn.Linear(3, 4)).add(nn.Tanh()).add(nn.Linear(4, 2))
    same(net, values(network()))
    assert isinstance(net, nn.Sequential)
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    np.testing.assert_array_equal(net(X).numpy(), net[2](net[1](net[0](X))).numpy())


@pytest.mark.parametrize("size", [1, 4, 32])
def test_fit_is_gradient_descent_on_the_batches(size: int) -> None:
    net = network()
    expected = by_hand(net, cut(size, X, Y) * 3, lr=0.1)
    history = net.use(F.mse_loss).fit(X, Y, 3, learning_rate=0.1, batch_size=size, shuffle=False, verbose=0)
    same(net, expected, 1e-6)
    assert len(history["loss"]) == 3


def test_the_batch_size_is_32_and_the_rate_0_01_if_nobody_says() -> None:
    x, y = np.tile(X, (7, 1)), np.tile(Y, (7, 1))
    net = network()
    expected = by_hand(net, cut(32, x, y), lr=0.01)
    net.use(F.mse_loss).fit(x, y, shuffle=False, verbose=0)
    same(net, expected, 1e-6)


def test_shuffling_takes_each_sample_once_in_an_order_of_the_seed() -> None:
    def seen(seed: int) -> list[list[float]]:
        tn.random.seed(seed)
        net = tn.Network(nn.Linear(1, 1))
        rows: list[float] = []

        def loss(output: Any, target: Any) -> Any:
            rows.extend(target.numpy().ravel().tolist())
            return F.mse_loss(output, target)

        x = np.arange(6, dtype=np.float32)[:, None]
        net.use(loss).fit(x, x, epochs=2, batch_size=2, verbose=0, compile=False)
        return [rows[-12:-6], rows[-6:]]

    first, second = seen(0)
    assert sorted(first) == sorted(second) == list(range(6))
    assert first != second
    assert seen(0) == [first, second]
    assert seen(1) != [first, second]


def test_a_second_fit_goes_on_and_use_begins_anew() -> None:
    steps = cut(32, X, Y)
    net = network()
    net.use(F.mse_loss, optim.SGD(lr=0.1, momentum=0.9))
    six, four = by_hand(net, steps * 6, 0.1, momentum=0.9), by_hand(net, steps * 4, 0.1, momentum=0.9)
    net.fit(X, Y, epochs=4, verbose=0)
    same(net, four, 1e-6)
    again = copy.deepcopy(net)
    net.fit(X, Y, epochs=2, verbose=0)
    same(net, six, 1e-6)
    expected = by_hand(again, steps * 2, 0.1, momentum=0.9)  # with a momentum of zero
    again.use(F.mse_loss, optim.SGD(lr=0.1, momentum=0.9)).fit(X, Y, epochs=2, verbose=0)
    same(again, expected, 1e-6)
    assert max(np.abs(a - b).max() for a, b in zip(six, expected, strict=True)) > 1e-4


def test_the_learning_rate_stays_and_may_be_a_schedule() -> None:
    net = network()
    expected = by_hand(net, cut(32, X, Y) * 2, lr=0.3)
    net.use(F.mse_loss).fit(X, Y, learning_rate=0.3, verbose=0)
    net.fit(X, Y, verbose=0)
    same(net, expected, 1e-6)
    before = values(net)
    net.fit(X, Y, learning_rate=optim.constant(0.0), verbose=0)
    same(net, before)


def test_an_optimizer_may_have_the_parameters_or_a_part_of_them() -> None:
    net = network()
    first, last = net[0].weight.numpy().copy(), net[2].weight.numpy().copy()
    net.use(F.mse_loss, optim.SGD(net[2].parameters(), lr=0.1)).fit(X, Y, verbose=0)
    np.testing.assert_array_equal(net[0].weight.numpy(), first)
    assert np.all(net[2].weight.numpy() != last)


def test_layers_that_learn_their_size_from_the_data() -> None:
    net = tn.Network(nn.LazyLinear(4), nn.Tanh(), nn.LazyLinear(2)).use(F.mse_loss)
    net.fit(X, Y, verbose=0)
    assert [p.shape for p in net.parameters()] == [(4, 3), (4,), (2, 4), (2,)]


def test_a_loss_that_is_a_module_is_no_layer() -> None:
    net = network()
    expected = by_hand(net, cut(32, X, Y), lr=0.1)
    net.use(nn.MSELoss()).fit(X, Y, learning_rate=0.1, verbose=0)
    assert len(net) == 3
    same(net, expected, 1e-6)


def test_predict_is_in_batches_and_in_use_and_leaves_the_modes() -> None:
    net = network().add(nn.Dropout(0.5))
    net[1].eval()
    sizes: list[int] = []
    with net.register_forward_hook(lambda module, args, out: sizes.append(len(args[0]))):
        out = net.predict(X, batch_size=4)
    assert type(out) is np.ndarray
    np.testing.assert_allclose(out, network()(X).numpy(), rtol=1e-6)
    assert set(sizes) <= {2, 4}
    assert [module.training for module in net.modules()] == [True, True, False, True, True]
    net.eval()
    net.use(F.mse_loss).fit(X, Y, verbose=0)
    assert not any(module.training for module in net.modules())


def test_lists_integers_and_float64_are_taken_as_they_are_meant() -> None:
    x, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
    tn.random.seed(0)
    net = tn.Network(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    expected = by_hand(net, [(np.array(x, np.float32), np.array(y, np.float32))], lr=0.1)
    for kind in (list, np.array, lambda v: np.array(v, np.float64), lambda v: np.array(v, bool), tn.tensor):
        again = copy.deepcopy(net)
        again.use(F.mse_loss).fit(kind(x), kind(y), learning_rate=0.1, verbose=0)  # type: ignore[operator]
        same(again, expected, 1e-7)
        assert {p.dtype for p in again.parameters()} == {np.dtype(np.float32)}


def test_evaluate_is_the_mean_over_samples() -> None:
    net = network(3).use(F.cross_entropy)
    numbers = net.evaluate(X, LABELS, batch_size=4, metrics="accuracy")
    out = net(X)
    assert numbers["loss"] == pytest.approx(F.cross_entropy(out, LABELS).item(), rel=1e-6)
    assert numbers["accuracy"] == pytest.approx((out.numpy().argmax(1) == LABELS).mean())
    weight = np.arange(10.0)
    weighted = net.evaluate(X, LABELS, sample_weight=weight)["loss"]
    assert weighted == pytest.approx((F.cross_entropy(out, LABELS, reduction="none").numpy() * weight).mean(), rel=1e-5)


# -- validation and weights, as in Keras -------------------------------------------------------------------------


def test_validation_split_takes_the_last_samples_and_does_not_learn_from_them() -> None:
    net = network()
    expected = by_hand(net, cut(32, X[:7], Y[:7]), lr=0.1)
    history = net.use(F.mse_loss).fit(
        X, Y, learning_rate=0.1, validation_split=0.25, verbose=0
    )  # floor(7.5) to learn from
    same(net, expected, 1e-6)
    assert history["val_loss"] == pytest.approx([F.mse_loss(net(X[7:]), Y[7:]).item()], rel=1e-6)


def test_validation_data_is_measured_and_not_learnt_from() -> None:
    net = network()
    expected = by_hand(net, cut(32, X[:6], Y[:6]), lr=0.1)
    weight = np.array([1.0, 0.0, 2.0, 3.0])
    history = net.use(F.mse_loss).fit(
        X[:6], Y[:6], learning_rate=0.1, validation_data=(X[6:], Y[6:], weight), verbose=0
    )
    same(net, expected, 1e-6)
    each = ((net(X[6:]).numpy() - Y[6:]) ** 2).mean(axis=1)
    assert history["val_loss"] == pytest.approx([(weight * each).mean()], rel=1e-5)


def test_sample_weights_multiply_the_loss_of_each_and_are_split_too() -> None:
    weight = R.uniform(0, 2, 10).astype(np.float32)
    net = network()
    expected = by_hand(net, cut(32, X[:8], Y[:8], weight[:8]) * 2, lr=0.1)
    history = net.use(F.mse_loss).fit(
        X, Y, 2, learning_rate=0.1, sample_weight=weight, validation_split=0.2, shuffle=False, verbose=0
    )
    same(net, expected, 1e-6)
    each = ((net(X[8:]).numpy() - Y[8:]) ** 2).mean(axis=1)
    assert history["val_loss"][-1] == pytest.approx((weight[8:] * each).mean(), rel=1e-5)


@pytest.mark.parametrize("form", ["labels", "one-hot", "column"])
def test_class_weights_are_sample_weights_by_label(form: str) -> None:
    by_class = {0: 0.5, 1: 2.0, 2: 1.0, 7: 9.0}
    weight = np.array([by_class[label] for label in LABELS.tolist()], np.float32)
    if form == "column":
        net, loss, y = network(1), F.mse_loss, LABELS[:, None].astype(np.float32)
    else:
        net, loss = network(3), F.cross_entropy
        y = LABELS if form == "labels" else np.eye(3, dtype=np.float32)[LABELS]
    expected = by_hand(net, [(X[:8], y[:8], weight[:8])], 0.1, loss)
    history = net.use(loss).fit(
        X, y, learning_rate=0.1, class_weight=by_class, validation_split=0.2, shuffle=False, verbose=0
    )
    same(net, expected, 1e-6)
    assert history["val_loss"][-1] == pytest.approx(loss(net(X[8:]), y[8:]).item(), rel=1e-5)  # each sample as it is


def test_class_and_sample_weights_multiply() -> None:
    by_class, weight = {0: 0.5, 1: 2.0, 2: 1.0}, R.uniform(0, 2, 10).astype(np.float32)
    both = weight * np.array([by_class[label] for label in LABELS.tolist()], np.float32)
    net = network(3)
    expected = by_hand(net, [(X, LABELS, both)], 0.1, F.cross_entropy)
    net.use(F.cross_entropy).fit(
        X, LABELS, learning_rate=0.1, class_weight=by_class, sample_weight=weight, shuffle=False, verbose=0
    )
    same(net, expected, 1e-6)


@pytest.mark.slow  # importing it takes seconds
def test_weights_and_validation_are_those_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs of one batch each, from the same start, with class weights and a split."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    net = network(3)
    layers = [keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(3)]
    theirs = keras.Sequential([keras.Input((3,)), *layers])
    for layer, own in zip(layers, (net[0], net[2]), strict=True):
        layer.set_weights([own.weight.numpy().T, own.bias.numpy()])
    theirs.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    options: dict[str, Any] = {"batch_size": 32, "validation_split": 0.35, "class_weight": {0: 0.5, 1: 2.0, 2: 1.0}}
    expected = theirs.fit(X, LABELS, epochs=2, verbose=0, **options).history
    history = net.use(F.cross_entropy).fit(X, LABELS, 2, learning_rate=0.1, verbose=0, **options)
    np.testing.assert_allclose(history["val_loss"], expected["val_loss"], rtol=1e-5)
    for layer, own in zip(layers, (net[0], net[2]), strict=True):
        np.testing.assert_allclose(own.weight.numpy().T, np.asarray(layer.kernel.value), atol=1e-6)


# -- what it shows and keeps -------------------------------------------------------------------------------------


def test_save_and_load(tmp_path: Path) -> None:
    net = network()
    net.use(F.mse_loss).fit(X, Y, verbose=0)
    net.save(tmp_path / "net.safetensors")
    again = tn.Network(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(again.predict(X), net.predict(X))
    other = tn.Network(nn.Linear(3, 5))
    before = values(other)
    with pytest.raises(ValueError, match=r"0\.weight"):
        other.load(tmp_path / "net.safetensors")
    same(other, before)


def test_summary_and_drawing_know_the_input_after_a_call() -> None:
    net = network()
    for verb in ("summary", "draw"):
        with pytest.raises(RuntimeError, match=rf"was not called yet, .* give an input: net\.{verb}\(x\)"):
            getattr(net, verb)()
    assert net.summary((5, 3)).total.inputs == ((5, 3),)
    net.predict(X)
    assert net.summary().total.outputs == ((10, 2),)
    assert net.summary(depth=0).rows == [net.summary().total]
    assert ">3 → 4 · 16</text>" in net.draw().svg
    assert net.draw(X, direction="LR").direction == "LR"


def test_a_copy_has_the_layers_and_learns_for_itself() -> None:
    net = network()
    net.use(F.mse_loss).fit(X, Y, verbose=0)
    before = values(net)
    other = copy.deepcopy(net)
    with pytest.raises(RuntimeError, match="it is not said what to learn with"):
        other.fit(X, Y)
    other.use(F.mse_loss).fit(X, Y, verbose=0)
    same(net, before)


# -- what it says to those who err -------------------------------------------------------------------------------


def test_verbs_in_the_wrong_order() -> None:
    with pytest.raises(
        RuntimeError, match=r"Network.fit: it is not said what to learn with: net.use\(F.mse_loss, optim"
    ):
        network().fit(X, Y)
    with pytest.raises(RuntimeError, match=r"Network.evaluate: it is not said"):
        network().evaluate(X, Y)
    with pytest.raises(RuntimeError, match=r"Network.fit: there are no layers; add some: net.add\(nn.Linear"):
        tn.Network().use(F.mse_loss).fit(X, Y)
    with pytest.raises(RuntimeError, match=r"Network.predict: there are no layers"):
        tn.Network().predict(X)
    net = network().use(F.mse_loss)
    net.add(nn.Tanh())
    net.fit(X, Y, verbose=0)
    with pytest.raises(
        RuntimeError, match=r"Network.add: the optimizer has the parameters of the layers so far, and would leave"
    ):
        net.add(nn.Linear(2, 2))
    assert len(net) == 4
    net.append(nn.Linear(2, 2)).use(F.mse_loss)  # type: ignore[attr-defined]  # as the error says
    net.add(nn.Linear(2, 2))
    net.fit(X, Y, verbose=0)
    with pytest.raises(TypeError, match="takes modules, not str"):
        net.use(F.mse_loss).add("tanh")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mse",), r"the loss is a function of output and target, such as F.mse_loss or nn.MSELoss\(\), not 'mse'"),
        ((nn.MSELoss,), r"not the class MSELoss; make one: MSELoss\(\)"),
        ((optim.SGD(lr=0.1), F.mse_loss), r"takes the loss first, then the optimizer"),
        ((optim.SGD(lr=0.1),), r"takes the loss first, then the optimizer"),
        ((F.mse_loss, "sgd"), r"the optimizer is one such as optim.SGD\(lr=0.1\), not 'sgd'"),
        ((F.mse_loss, optim.SGD), r"not the class; make one: optim.SGD\(lr=0.1\)"),
        ((F.mse_loss, 0.1), r"not 0.1"),
    ],
)
def test_wrong_losses_and_optimizers(arguments: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        network().use(*arguments)


def test_an_optimizer_of_another_model() -> None:
    net = network().use(F.mse_loss, optim.SGD(network().parameters(), lr=0.1))
    with pytest.raises(RuntimeError, match=r"has no parameter of this model, .*make one without parameters"):
        net.fit(X, Y)


ONE_HOT = np.eye(3, dtype=int)[LABELS]
ODD = np.array([*LABELS[:5], 3, *LABELS[6:]])


@pytest.mark.parametrize(
    ("loss", "x", "y", "error", "message"),
    [
        (F.mse_loss, X, LABELS, ValueError, r"for class indices use cross_entropy, or one-hot targets, np.eye"),
        (F.mse_loss, X, Y[:, :1], ValueError, r"input \(2, 3\) and target \(2, 1\) must have the same shape"),
        (F.mse_loss, X, Y[:, 0], ValueError, r"must have the same shape"),
        (F.cross_entropy, X, ONE_HOT, ValueError, r"one-hot rows are turned into indices by target.argmax\(1\)"),
        (F.cross_entropy, X, LABELS.astype(float), ValueError, r"Class indices are integers: target.astype\(np.int64\)"),
        (F.cross_entropy, X, LABELS[:, None], ValueError, r"must have \(2,\): target.reshape"),
        (F.cross_entropy, X[:, :2], LABELS, ValueError, r"takes 3 features in the last axis, the input has 2"),
        (F.cross_entropy, X, ODD, IndexError, r"target holds class 3, but input has 3 classes, 0 to 2"),
        (F.cross_entropy, X, LABELS - 1, IndexError, r"target holds class -1"),
        (F.mse_loss, X, Y[:9], ValueError, r"x has 10 samples and y 9, of shapes \(10, 3\) and \(9, 2\)"),
        (F.mse_loss, X[:0], Y[:0], ValueError, r"x has shape \(0, 3\), no samples"),
        (F.mse_loss, np.float32(1), np.float32(1), ValueError, r"x has shape \(\), no samples"),
        (F.mse_loss, None, Y, TypeError, r"Network.fit: x is None; give an array"),
        (F.mse_loss, X, None, TypeError, r"Network.fit: y is None"),
        (F.mse_loss, X.astype(str), Y, TypeError, r"x holds <U\d+; a network computes with numbers"),
        (F.mse_loss, tn.data.batches(X, batch_size=2), Y, TypeError, r"Batches go to tn.training.fit\(net, loss, opt"),
        (F.mse_loss, iter(X), Y, TypeError, r"is a .*iterator; give an array"),
    ],
)  # fmt: skip
def test_data_that_does_not_fit(loss: Any, x: Any, y: Any, error: Any, message: str) -> None:
    net = network(3).use(loss)
    before = values(net)
    with pytest.raises(error, match=message):
        net.fit(x, y, learning_rate=0.5, verbose=0)
    same(net, before)
    net.add(nn.Identity())  # the optimizer has no parameters yet


def test_nan_in_the_data_is_found_where_the_loss_is_nan() -> None:
    gaps = np.where(np.arange(30).reshape(10, 3) == 13, np.nan, X)
    with pytest.raises(FloatingPointError, match="the loss is nan in epoch 1") as caught:
        network().use(F.mse_loss).fit(gaps, Y, verbose=0)
    assert caught.value.__notes__ == ["x holds nan in sample 4, at [1], to begin with"]
    with pytest.raises(FloatingPointError) as caught:
        network().use(F.mse_loss).fit(X, np.where(Y.max() == Y, np.inf, Y), verbose=0)
    assert caught.value.__notes__[-1].startswith("y holds inf in sample")

    def masked(output: Any, target: Any) -> Any:
        there = target == target
        return (np.where(there, output - np.where(there, target, 0.0), 0.0) ** 2).mean()

    known = np.where(Y.max() == Y, np.nan, Y)
    assert np.isfinite(network().use(masked).fit(X, known, verbose=0)["loss"][0])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("size", [1, 32])
def test_images_without_an_axis_for_the_channel(count: int, size: int) -> None:
    net = tn.Network(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 1)).use(F.mse_loss)
    images, y = np.zeros((count, 8, 8)), np.zeros((count, 1))
    with pytest.raises(ValueError, match=r"without an axis for the channel, add one: x\[:, None\]"):
        net.fit(images, y, batch_size=size)
    net.fit(images[:, None], y, batch_size=size, verbose=0)


def test_outputs_that_are_not_one_per_sample() -> None:
    with pytest.raises(ValueError, match=r"makes an output of shape \(6,\) of 2 samples, x of shape \(2, 3\)"):
        tn.Network(nn.Flatten(0)).use(F.mse_loss).fit(X, Y)
    net = tn.Network(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"the loss of a batch has shape \(2, 2\); it must be one number"):
        net.use(lambda a, b: (a - b) ** 2).fit(Y, Y)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"validation_split": 1.0}, ValueError, r"validation_split=1.0 must be a fraction, from 0 up to but not 1"),
        ({"validation_split": -0.2}, ValueError, r"validation_split=-0.2 must be a fraction"),
        ({"validation_split": 20}, ValueError, r"validation_split=20 must be a fraction"),
        ({"validation_split": 0.95}, ValueError, r"of 10 samples leaves 0 to learn from and 10 to validate on"),
        ({"validation_split": 0.2, "validation_data": (X, Y)}, ValueError, r"validation_split or validation_data, not both"),
        ({"validation_data": X}, TypeError, r"validation_data is \(x, y\), or \(x, y, weights\)"),
        ({"validation_data": (X, Y[:5])}, ValueError, r"validation_data: x has 10 samples and y 5"),
        ({"validation_data": (X, Y[:, :1])}, ValueError, r"must have the same shape"),
        ({"sample_weight": np.ones(9)}, ValueError, r"sample_weight has shape \(9,\), and there are 10 samples"),
        ({"sample_weight": np.ones((10, 1))}, ValueError, r"give one number for each, \(10,\)"),
        ({"class_weight": [1.0, 2.0]}, TypeError, r"class_weight is a dict from label to weight"),
        ({"class_weight": {0: 1.0}}, ValueError, r"rows of y do not sum to 1, so a sample may have several"),
        ({"sample_weight": np.zeros(10)}, ValueError, r"sample_weight holds nothing but 0"),
        ({"validation": ()}, TypeError, r"no argument 'validation'; .* as learning_rate and validation_data"),
        ({"sample_weight": [*range(9), np.nan]}, ValueError, r"sample_weight holds nan or infinity, first at 9"),
        ({"batch_size": 0}, ValueError, r"batch_size of at least 1"),
        ({"epochs": -1}, ValueError, r"epochs=-1 must be at least 0"),
        ({"learning_rate": -1.0}, ValueError, r"lr=-1.0 must be at least 0"),
        ({"verbose": 7}, ValueError, r"verbose=7"),
        ({"epoch": 3}, TypeError, r"no argument 'epoch'; .* as learning_rate and validation_data, it takes acc"),
        ({"metrics": "acuracy"}, ValueError, r"acuracy"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit(options: dict[str, Any], error: Any, message: str) -> None:
    net = network().use(F.mse_loss)
    before = values(net)
    with pytest.raises(error, match=message):
        net.fit(X, Y, **{"verbose": 0, **options})
    same(net, before)


@pytest.mark.parametrize(("weights", "words"), [((1, np.nan, 1), "nan or infinity, first at 1"), ((0, 0, 0), "but 0")])
def test_class_weights_that_would_make_nan(weights: Any, words: str) -> None:
    net = network(3)
    before = values(net)
    with pytest.raises(ValueError, match=f"class_weight holds .*{words}"):
        net.use(F.cross_entropy).fit(X, LABELS, class_weight=dict(enumerate(weights)))
    for array, was in zip(values(net), before, strict=True):
        np.testing.assert_array_equal(array, was)


def test_class_weights_of_targets_that_are_no_labels() -> None:
    with pytest.raises(ValueError, match=r"class_weight needs targets that are labels.*Give a weight per sample"):
        network(1).use(F.mse_loss).fit(X, Y[:, :1], class_weight={0: 1.0})
