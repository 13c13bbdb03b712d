"""What newcomers do from habit: it either works as they mean it, or an error says what to write."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import metrics, nn, optim, training
from tapenet.optim import lr_scheduler
from tests.training.small import X, Y, made, weights

Array = np.ndarray[Any, Any]
Z = X[:, :1] * 2


def network(outputs: int = 3) -> tn.Network:
    tn.random.seed(0)
    return tn.Network(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, outputs))


def fit(**options: Any) -> training.History:
    given: dict[str, Any] = {"loss": F.cross_entropy, "optimizer": optim.Adam(lr=0.01), "data": (X, Y), "verbose": 0}
    options = given | options
    return training.fit(options.pop("model", None) or network(), **options)


# -- losses that compute something else --------------------------------------------------------------------------


def square(output: Any, target: Any) -> Any:
    return ((output - target) ** 2).mean()


def root(output: Any, target: Any) -> Any:
    return ((output - target) ** 2).mean() ** 0.5


def total(output: Any, target: Any) -> Any:
    return abs(output - target).sum()


def squeezed(output: Any, target: Any) -> Any:
    return ((output[:, 0] - target) ** 2).mean()


def correlation(output: Any, target: Any) -> Any:
    """A loss of a batch that is not one of its samples."""
    a, b = output[:, 0], target
    a, b = a - a.mean(), b - b.mean()
    return -(a * b).sum() / ((a**2).sum() * (b**2).sum()) ** 0.5


@pytest.mark.parametrize("loss", [square, root, total])
@pytest.mark.parametrize("compile", [False, True])
def test_a_loss_that_pairs_each_output_with_every_target(loss: Callable[..., Any], compile: bool) -> None:
    said = (
        r"the loss takes each output with every target: outputs have shape \(32, 1\) and targets \(32,\), which NumPy"
    )
    with pytest.warns(RuntimeWarning, match="fit: " + said) as caught:
        fit(model=network(1), loss=loss, data=(X, Z[:, 0]), epochs=2, compile=compile)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with pytest.warns(
        RuntimeWarning, match=r"evaluate: .* Give targets of shape \(70, 1\), as y.reshape\(-1, 1\) has it"
    ):
        training.evaluate(network(1), loss, (X, Z[:, 0]), compile=compile)
    net = network(1).use(loss)
    before = weights(net)
    with pytest.raises(ValueError, match=r"Network.fit: the loss takes each output with every target"):
        net.fit(X, Z[:, 0], verbose=0)
    np.testing.assert_array_equal(weights(net), before)


def test_a_metric_that_pairs_each_output_with_every_target() -> None:
    def error(output: Array, target: Array) -> Any:
        return abs(output - target).mean()

    with pytest.raises(ValueError, match=r"error takes each output with every target: outputs have shape \(70, 1\)"):
        training.evaluate(network(1), squeezed, (X, Z[:, 0]), metrics=error)
    found = training.evaluate(network(1), square, (X, Z), metrics=error)["error"]
    assert found == pytest.approx(abs(network(1).predict(X) - Z).mean(), rel=1e-6)


def test_a_target_with_an_axis_more_than_the_output_is_paired_too() -> None:
    net = nn.Sequential(nn.Linear(6, 1), nn.Flatten(0))
    with pytest.warns(RuntimeWarning, match=r"Give targets of shape \(32,\), as y.reshape\(-1\) has it"):
        fit(model=net, loss=square, data=(X, Z))


@pytest.mark.parametrize("loss", [squeezed, correlation])
def test_losses_that_pair_nothing_are_left_alone(loss: Callable[..., Any]) -> None:
    network(1).use(loss).fit(X, Z[:, 0], verbose=0)  # a warning is an error here
    network(1).use(square).fit(X, Z, verbose=0)


@pytest.mark.parametrize(
    ("last", "loss", "y", "message"),
    [
        (nn.Softmax(-1), F.cross_entropy, Y, r"the outputs are probabilities, .* leave out the Softmax"),
        (nn.Softmax(-1), nn.CrossEntropyLoss(), Y, r"leave out the Softmax"),
        (nn.Softmax(-1), F.nll_loss, Y, r"nll_loss takes logarithms of probabilities.*nn.LogSoftmax\(1\)"),
        (
            nn.Identity(),
            F.binary_cross_entropy_with_logits,
            np.eye(3)[Y] + 1,
            r"targets run from 1 to 2, and binary cross",
        ),
    ],
)
def test_outputs_and_targets_on_another_scale_than_the_loss(last: nn.Module, loss: Any, y: Array, message: str) -> None:
    with pytest.warns(RuntimeWarning, match=message):
        network().add(last).use(loss).fit(X, y, verbose=0)


def test_what_belongs_to_a_loss_is_not_warned_of() -> None:
    network().add(nn.LogSoftmax(1)).use(F.nll_loss).fit(X, Y, verbose=0)
    network().add(nn.LogSoftmax(1)).use(F.cross_entropy).fit(X, Y, verbose=0)
    network().use(F.binary_cross_entropy_with_logits).fit(X, np.eye(3)[Y], verbose=0)


def test_a_loss_that_no_gradient_flows_through() -> None:
    def number(output: Any, target: Any) -> float:
        return square(output, target).item()  # type: ignore[no-any-return]

    with pytest.raises(TypeError, match=r"the loss is a float, .* without float\(\), .item\(\) or .numpy\(\)"):
        fit(model=network(1), loss=number, data=(X, Z), compile=False)
    with pytest.raises(ValueError, match=r"the loss of a batch has shape \(32, 1\); it must be one number"):
        fit(model=network(1), loss=lambda output, target: output - target, data=(X, Z))


# -- data -------------------------------------------------------------------------------------------------------


def test_lists_and_arrays_of_other_libraries_are_arrays() -> None:
    class Column:
        """What pandas, PyTorch and others have."""

        def __init__(self, values: Array) -> None:
            self.values = values

        def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
            return self.values

    expected = fit(seed=0)["loss"]
    assert fit(data=(X.tolist(), Y.tolist()), seed=0)["loss"] == pytest.approx(expected, rel=1e-6)
    assert fit(data=(Column(X), Column(Y)), seed=0)["loss"] == expected
    net = network()
    np.testing.assert_array_equal(training.predict(net, Column(X)), training.predict(net, X))


def test_several_inputs_may_be_a_list() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            self.out = nn.Linear(12, 3)

        def forward(self, a: Any, b: Any) -> Any:
            return self.out(np.concatenate([a, b], axis=1))

    def loss(inputs: Any) -> list[float]:
        tn.random.seed(0)
        return fit(model=Both(), data=(inputs, Y), seed=0)["loss"]

    assert loss([X, X]) == loss((X, X))


def test_a_stream_has_no_length() -> None:
    def samples() -> Iterator[Any]:
        yield from zip(X, Y, strict=True)

    assert (
        fit(data=tn.data.DataLoader(samples, 16), epochs=2)["loss"]
        == fit(data=tn.data.batches(X, Y, batch_size=16), epochs=2)["loss"]
    )
    with pytest.raises(TypeError, match=r"data is a function; .* tn.data.DataLoader\(function, 32\)"):
        fit(data=samples)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([X, Y], TypeError, r"data is a list, which is a list of batches, .* are a tuple, \(x, y\)"),
        (([[1.0, 2.0], [1.0]], [0, 1]), ValueError, r"parts of a list have different shapes"),
        (
            (X, Y, np.ones((70, 1), np.float32)),
            ValueError,
            r"weights of a batch have shape \(32, 1\), and its losses \(32,\)",
        ),
    ],
)
def test_data_of_other_forms(data: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fit(data=data)


def test_a_list_of_batches_that_are_arrays_stays_one() -> None:
    net = nn.Linear(6, 6)
    history = fit(model=net, loss=F.mse_loss, data=[X[:35], X[35:]], optimizer=optim.SGD(net, lr=0.0))
    assert history["loss"][0] == pytest.approx(training.evaluate(net, F.mse_loss, X)["loss"], rel=1e-6)


def test_the_loader_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    with pytest.raises(TypeError, match=r"data is PyTorch's DataLoader, .* tn.data.DataLoader\(dataset, 32"):
        fit(data=torch.utils.data.DataLoader(data, 16))
    expected = fit(data=tn.data.DataLoader((X, Y), 16))["loss"]
    assert fit(data=tn.data.DataLoader(data, 16))["loss"] == expected
    assert fit(data=(torch.tensor(X), torch.tensor(Y)), seed=0)["loss"] == fit(seed=0)["loss"]


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, np.array(["a", "b", "c"])[Y], r"y holds <U1; .* names, y = np.unique\(y, return_inverse=True\)"),
        (X.astype(object), Y, r"x holds object; .* tn.data.table\(frame, target=...\)"),
        ([np.ones(3), np.ones(2)], [0, 1], r"different shapes, which makes no array .*collate=tn.data.PadCollate\(\)"),
        (tn.data.DataLoader((X, Y)), None, r"x is a DataLoader; .* Batches go to tn.training.fit"),
    ],
)
def test_what_a_network_cannot_take(x: Any, y: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        network().use(F.cross_entropy).fit(x, y)


class Owner:
    """A data set as PyTorch's users write it."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> Any:
        return X[index], Y[index]


def test_a_data_set_of_ones_own_goes_through_a_loader() -> None:
    with pytest.raises(TypeError, match=r"data is a Owner; .* of a data set, tn.data.DataLoader\(dataset, 32\)"):
        fit(data=Owner())
    assert fit(data=tn.data.DataLoader(Owner(), 16))["loss"] == fit(data=tn.data.batches(X, Y, batch_size=16))["loss"]


def test_validation_on_sorted_samples() -> None:
    order = np.argsort(Y)
    with pytest.warns(
        RuntimeWarning, match=r"labels are 2, and those before have 0, 1, 2: the samples seem to be sorted"
    ):
        network().use(F.cross_entropy).fit(X[order], Y[order], validation_split=0.2, verbose=0)


def test_metrics_of_several_outputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            self.label = nn.Linear(6, 3)
            self.number = nn.Linear(6, 1)

        def forward(self, x: Any) -> Any:
            return self.label(x), self.number(x)

    def loss(output: Any, target: Any) -> Any:
        return F.cross_entropy(output[0], target[0]) + F.mse_loss(output[1], target[1])

    def right(output: Any, target: Any) -> Any:
        return (output[0].argmax(1) == target[0]).mean()

    net = Two()
    data = (X, (Y, Z))
    found = training.evaluate(net, loss, data, metrics=right, batch_size=32)
    assert found["right"] == pytest.approx((training.predict(net, X)[0].argmax(1) == Y).mean())
    with pytest.raises(
        TypeError, match=r"is a tuple of 2 arrays, and a metric takes one: measure by a function of both"
    ):
        training.evaluate(net, loss, data, metrics="accuracy")


def test_a_lone_sample_is_no_batch() -> None:
    net = tn.Network(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
    images = np.zeros((3, 1, 4, 4), np.float32)
    net.predict(images)
    with pytest.raises(ValueError, match="takes 8 features") as caught:
        net.predict(images[0])
    assert caught.value.__notes__[-1].endswith("shape (samples, 1, 4, 4): a single sample is a batch of one, x[None]")
    with pytest.raises(ValueError, match=r"makes 3 outputs, of shape \(3,\), of an x of shape \(6,\); .* x\[None\]"):
        network().predict(X[0])


# -- arguments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": nn.Linear}, TypeError, r"the model is the class Linear; make one: Linear\(...\)"),
        ({"model": abs}, TypeError, r"the model is a builtin_function_or_method; give a module"),
        (
            {"loss": lambda output: output.mean()},
            TypeError,
            r"the loss is called with output and target, and <lambda> takes \(output\): too many positional arguments",
        ),
        ({"loss": nn.CrossEntropyLoss}, TypeError, r"not the class CrossEntropyLoss; make one: CrossEntropyLoss\(\)"),
        (
            {"loss": optim.SGD(lr=0.1), "optimizer": F.mse_loss},
            TypeError,
            r"fit takes the loss first, then the optimizer",
        ),
        (
            {"loss": nn.CrossEntropyLoss(reduction="sum")},
            ValueError,
            r"make CrossEntropyLoss with reduction='mean', not 'sum'",
        ),
        ({"optimizer": optim.Adam}, TypeError, r"not the class; make one: optim.Adam\(lr=0.1\)"),
        ({"optimizer": "adam"}, TypeError, r"the optimizer is one such as optim.SGD\(lr=0.1\), not 'adam'"),
        ({"optimizer": None}, ValueError, r"there is no optimizer; give one"),
        ({"optimizer": [optim.SGD(lr=0.1), optim.Adam(lr=0.1)]}, ValueError, r"each needs its part of the parameters"),
        (
            {"optimizer": optim.Adam(made(), lr=0.1)},
            RuntimeError,
            r"fit: Adam has no parameter of this model, and would tr",
        ),
        ({"optimizer": optim.LBFGS(lr=1.0)}, ValueError, r"LBFGS computes the loss several times .* step=f"),
        (
            {"callbacks": training.EarlyStopping},
            TypeError,
            r"EarlyStopping is the class; make one: EarlyStopping\(...\)",
        ),
        ({"callbacks": [training.CSVLogger]}, TypeError, r"CSVLogger is the class; make one"),
        (
            {"callbacks": "early_stopping"},
            TypeError,
            r"a callback is a function of the state of the run, not 'early_stop",
        ),
        ({"callbacks": optim.Averaged(made(), 0.9)}, TypeError, r"Averaged is no callback; give it as average="),
        ({"average": optim.Averaged(made(), 0.9)}, ValueError, r"the average is of the weights of another model"),
        ({"average": 0.9}, TypeError, r"average=0.9; give an average of the weights: optim.Averaged\(net, 0.999\)"),
        ({"model": tn.compile(made())}, TypeError, r"the model is compiled; give the model itself"),
        ({"step": len, "accumulate": 2}, ValueError, r"step= makes its own updates, where accumulate would do nothing"),
        ({"step": len, "clip_norm": 1.0}, ValueError, r"where clip_norm and clip_value would do nothing"),
        ({"step": 3}, TypeError, r"step=3 must be a function of the batch"),
        (
            {"data": [(X, Y)], "seed": 1},
            ValueError,
            r"seed would say how fit cuts arrays, and data is a list",
        ),
        (
            {"data": [(X, Y)], "batch_size": 32, "shuffle": True},
            ValueError,
            r"batch_size, shuffle would say how fit cuts arrays",
        ),
        ({"epochs": 2.5}, TypeError, r"epochs=2.5 must be an integer"),
        ({"accumulate": 0}, ValueError, r"accumulate=0 must be at least 1"),
        ({"checkpoint": "folder"}, TypeError, r"give a checkpoint: tn.training.Checkpoint\(folder\)"),
        (
            {"validation": iter([(X, Y)]), "epochs": 2},
            ValueError,
            r"validation is a list_iterator, which can be looped over",
        ),
    ],
)
def test_arguments_of_fit(options: dict[str, Any], error: type[Exception], message: str) -> None:
    net = network()
    before = weights(net)
    with pytest.raises(error, match=message):
        fit(**{"model": net, **options})
    np.testing.assert_array_equal(weights(net), before)


def test_a_step_of_lbfgs() -> None:
    net = network()
    opt = optim.LBFGS(net.parameters(), lr=1.0)

    def step(x: Any, y: Any) -> Any:
        def closure() -> Any:
            opt.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            return loss

        return opt.step(closure)

    history = fit(model=net, loss=None, optimizer=opt, step=step, batch_size=70, epochs=2, compile=False)
    assert history["loss"][1] < 0.9 * history["loss"][0]


def test_a_step_that_returns_no_loss() -> None:
    with pytest.raises(ValueError, match=r"step returned a dict of error; one must be 'loss'"):
        fit(loss=None, step=lambda x, y: {"error": 1.0}, compile=False)


@pytest.mark.parametrize("options", [{"metrics": "acuracy"}, {"epochs": -1}, {"callbacks": "x"}])
def test_an_option_that_does_not_fit_leaves_the_learning_rate(options: dict[str, Any]) -> None:
    opt = optim.SGD(lr=0.25)
    net = network().use(F.cross_entropy, opt)
    with pytest.raises((TypeError, ValueError)):
        net.fit(X, Y, learning_rate=0.5, **options)
    assert opt.lr == 0.25


def test_class_weights_are_by_label() -> None:
    net = network().use(F.cross_entropy)
    with pytest.raises(ValueError, match=r"no weight for the labels 1, 2, which are in y"):
        net.fit(X, Y, class_weight={0: 1.0})


def test_functions_of_scikit_learn_are_not_called_with_the_output_first() -> None:
    learn = pytest.importorskip("sklearn.metrics")
    with pytest.raises(TypeError, match=r"write from_sklearn\(r2_score, classes=True\), or without classes=True"):
        metrics.resolve(learn.r2_score)


# -- runs one after another --------------------------------------------------------------------------------------


def test_early_stopping_forgets_an_earlier_run(tmp_path: Path) -> None:
    early = training.EarlyStopping(patience=2)
    fit(epochs=5, callbacks=early)
    net = network()
    other = training.EarlyStopping(patience=2)
    history = fit(model=net, optimizer=optim.SGD(lr=1e-4), epochs=3, callbacks=early, seed=0)
    assert (early.epoch, early.best) == (3, min(history["loss"]))
    same = network()
    fit(model=same, optimizer=optim.SGD(lr=1e-4), epochs=3, callbacks=other, seed=0)
    np.testing.assert_array_equal(weights(net), weights(same))


def test_early_stopping_does_not_forget_the_run_it_goes_on_with(tmp_path: Path) -> None:
    fit(epochs=2, callbacks=training.EarlyStopping(), checkpoint=training.Checkpoint(tmp_path), seed=0)
    early = training.EarlyStopping(patience=1, min_delta=100.0)
    history = fit(epochs=5, callbacks=early, checkpoint=training.Checkpoint(tmp_path), seed=0)
    assert (early.epoch, len(history)) == (2, 3)


def test_a_run_that_has_ended_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(checkpoint=training.Checkpoint(tmp_path))
    fit(checkpoint=training.Checkpoint(tmp_path), verbose=2)
    assert "has ended, after epoch 1 of 1; for another one give another folder" in capsys.readouterr().out


def test_validation_may_begin_with_a_run_that_goes_on(tmp_path: Path) -> None:
    fit(checkpoint=training.Checkpoint(tmp_path))
    history = fit(epochs=2, checkpoint=training.Checkpoint(tmp_path), validation=(X, Y))
    assert [sorted(numbers) for numbers in history.epochs] == [["loss"], ["loss", "val_loss"]]


@pytest.mark.parametrize("kind", ["step", "plateau"])
def test_a_scheduler_is_a_callback_and_goes_on(kind: str, tmp_path: Path) -> None:
    def run(folder: Path, epochs: int) -> list[float]:
        net = network()
        opt = optim.SGD(net.parameters(), lr=0.1)
        scheduler: Any
        if kind == "step":
            scheduler = lr_scheduler.StepLR(opt, step_size=2, gamma=0.1)
        else:
            scheduler = lr_scheduler.ReduceLROnPlateau(opt, patience=1, threshold=10.0, threshold_mode="abs")
        rates: list[float] = []
        fit(
            model=net, optimizer=opt, epochs=epochs, callbacks=[scheduler, lambda state: rates.append(opt.lr)],
            checkpoint=training.Checkpoint(folder),
        )  # fmt: skip
        return rates

    through = run(tmp_path / "through", 6)
    expected = [0.1, 0.01, 0.01, 0.001, 0.001, 1e-4] if kind == "step" else [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    assert through == pytest.approx(expected)
    assert run(tmp_path / "stopped", 3) + run(tmp_path / "stopped", 6) == through


def test_a_schedule_that_counts_epochs_ends_early() -> None:
    with pytest.warns(
        RuntimeWarning, match=r"rate is 0 after epoch 2 of 4: a schedule counts updates, .* were 6 so far, 3 b"
    ):
        fit(optimizer=optim.SGD(lr=optim.cosine(0.1, 4)), epochs=4)
    steps = 3 * 4
    fit(optimizer=optim.SGD(lr=optim.cosine(0.1, steps)), epochs=4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "auto"}, r"EarlyStopping: mode='auto' must be 'min' or 'max'"),
        ({"patience": "3"}, r"patience='3' must be a number of epochs"),
        ({"patience": -1}, r"patience=-1 must be a number of epochs"),
    ],
)
def test_settings_of_early_stopping(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training.EarlyStopping(**options)


def test_the_step_of_a_scheduler_is_no_callback() -> None:
    opt = optim.SGD(made(), lr=0.1)
    with pytest.raises(TypeError, match=r"a scheduler is a callback itself: callbacks=scheduler, not scheduler.step"):
        fit(callbacks=lr_scheduler.StepLR(opt, 2).step)


@pytest.mark.parametrize("missing", ["input", "label"])
def test_validation_that_is_nan(missing: str) -> None:
    x, y = X.copy(), Y.copy()
    if missing == "input":
        x[3, 2] = np.nan
        why = r"The inputs of this batch hold nan at \(3, 2\): fill or leave out"
    else:
        y[:32] = -100  # what cross_entropy ignores
        why = r"Is there a sample in it that counts"
    with pytest.warns(RuntimeWarning, match=r"the loss of a batch is nan\. " + why) as caught:
        history = fit(validation=(x, y), epochs=2)
    assert len(caught) == 1
    assert np.isnan(history["val_loss"]).all()


@pytest.mark.parametrize(
    ("model", "loss", "error", "message"),
    [
        (nn.Linear, F.cross_entropy, TypeError, r"evaluate: the model is the class Linear; make one"),
        (made(), nn.CrossEntropyLoss, TypeError, r"evaluate: the loss is .* the class CrossEntropyLoss; make one"),
        (made(), X, TypeError, r"evaluate: the loss is a function .*, not a ndarray$"),
        (made(), lambda output, target: 1.0, TypeError, r"the loss is a float, through which no gradient flows"),
        (made(), lambda output, target: output, ValueError, r"the loss of a batch has shape \(70, 3\)"),
    ],
)
def test_what_cannot_be_evaluated(model: Any, loss: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        training.evaluate(model, loss, (X, Y))


def test_no_predictions_of_a_class() -> None:
    with pytest.raises(TypeError, match=r"predict: the model is the class Linear; make one"):
        training.predict(nn.Linear, X)


def test_two_optimizers_of_one_parameter() -> None:
    net = network()
    with pytest.raises(ValueError, match=r"weight, of shape \(3, 4\), is a parameter of two optimizers, which"):
        fit(model=net, optimizer=[optim.SGD(net, lr=0.1), optim.Adam(net[2])])


def test_a_curve_is_no_gif(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the suffix must be .svg"):
        fit().plot(tmp_path / "curve.gif")


def test_nothing_is_said_of_a_common_run() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network().use(F.cross_entropy, optim.Adam(lr=0.01)).fit(
            X, Y, validation_split=0.2, metrics="accuracy", verbose=0
        )


@pytest.mark.parametrize("compile", [False, True])
def test_batches_with_masks(compile: bool) -> None:
    """Masks were lost in silence where a batch was not compiled."""
    masked = np.ma.masked_array(X, np.isfinite(X))
    net = made()
    with pytest.raises(TypeError, match="masked array"):
        training.predict(net, [masked], compile=compile)
    with pytest.raises(TypeError, match="masked array"):
        training.evaluate(net, F.mse_loss, [(masked, Y)], compile=compile)
    with pytest.raises(TypeError, match="masked array"):
        training.evaluate(net, F.mse_loss, [(X, np.ma.masked_array(Y))], compile=compile)
