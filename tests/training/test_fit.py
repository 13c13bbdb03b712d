"""`fit` beside the loop that is written by hand."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim, training
from tapenet.training import compiled_step as routine
from tests.training.small import X, Y, batches, made, weights


def by_hand(net: Any, opt: Any, data: Any, epochs: int, update: Any = None, precision: Any = None) -> list[float]:
    """The loop as one writes it, without a compiler: the mean loss over samples of each epoch."""
    means = []
    for _ in range(epochs):
        total = count = 0.0
        for x, y in data:
            with tn.autocast(precision or "float16", enabled=precision is not None):
                value = F.cross_entropy(net(tn.tensor(x)), tn.tensor(y))
            opt.zero_grad()
            value.backward()
            (update or opt.step)()
            total += value.item() * len(x)
            count += len(x)
        means.append(total / count)
    return means


def fitted(net: Any, opt: Any, epochs: int = 4, **options: Any) -> training.History:
    tn.random.seed(1)
    options = {"data": batches(), "loss": F.cross_entropy, "verbose": 0, **options}
    return training.fit(net, optimizer=opt, epochs=epochs, **options)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_uncompiled_it_is_the_loop_by_hand_bit_for_bit(kind: Any) -> None:
    one, other = made(), made()
    tn.random.seed(1)
    expected = by_hand(one, kind(one, lr=0.01), batches(), 4)
    history = fitted(other, kind(other, lr=0.01), compile=False)
    assert history["loss"] == expected
    np.testing.assert_array_equal(weights(other), weights(one))


def test_compiled_it_is_the_loop_by_hand_to_rounding() -> None:
    one, other = made(), made()
    tn.random.seed(1)
    expected = by_hand(one, optim.Adam(one, lr=0.01), batches(), 4)
    history = fitted(other, optim.Adam(other, lr=0.01))
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(weights(other), weights(one), rtol=1e-3, atol=1e-5)


def test_clipping_schedules_and_averages_are_those_of_the_loop_by_hand() -> None:
    one, other = made(), made()
    opt, average = optim.SGD(one, lr=optim.cosine(0.5, 20), momentum=0.9), optim.Averaged(one, decay=0.9)

    def update() -> None:
        optim.clip_grad_value(one, 0.05)
        optim.clip_grad_norm(one, 0.1)
        opt.step()
        average.update()

    tn.random.seed(1)
    expected = by_hand(one, opt, batches(), 3, update)
    for compile in (False, True):
        other = made()
        kept = optim.Averaged(other, decay=0.9)
        opt = optim.SGD(other, lr=optim.cosine(0.5, 20), momentum=0.9)
        history = fitted(
            other, opt, 3, clip_norm=0.1, clip_value=0.05, average=kept, keep_average=False, compile=compile
        )
        np.testing.assert_allclose(history["loss"], expected, rtol=1e-5 if compile else 0)
        np.testing.assert_allclose(weights(other), weights(one), rtol=1e-4 if compile else 0, atol=1e-6 * compile)
        for name, value in average.values.items():
            np.testing.assert_allclose(kept.values[name], value, rtol=1e-4 if compile else 0, atol=1e-6 * compile)
        assert history["lr"] == [optim.cosine(0.5, 20)(k) for k in (5, 10, 15)]


def test_averaged_weights_are_validated_and_kept_as_asked() -> None:
    net = made()
    average = optim.Averaged(net, decay=0.5)
    history = fitted(net, optim.SGD(net, lr=0.1), average=average, validation=(X, Y))
    for name, value in average.values.items():
        np.testing.assert_array_equal(dict(net.state_dict())[name], value)
    assert training.evaluate(net, F.cross_entropy, (X, Y))["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-6)


@pytest.mark.parametrize("compile", [False, True])
def test_accumulated_batches_are_one_large_batch(compile: bool) -> None:
    """70 samples in batches of 16, three to an update: 48, then 16 and 6."""
    net, other = nn.Linear(6, 3), nn.Linear(6, 3)
    other.load_state_dict(net.state_dict())
    large = [(X[:48], Y[:48]), (X[48:], Y[48:])]
    expected = by_hand(net, optim.SGD(net, lr=0.5, momentum=0.9), large, 3)
    steps: list[int] = []
    history = training.fit(
        other, F.cross_entropy, optim.SGD(other, lr=0.5, momentum=0.9), tn.data.batches(X, Y, batch_size=16), epochs=3,
        accumulate=3, compile=compile, verbose=0, callbacks=lambda state: steps.append(state.step),
    )  # fmt: skip
    assert steps == [2, 4, 6]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(weights(other), weights(net), rtol=1e-5, atol=1e-6)


def test_in_float16_the_loss_is_scaled() -> None:
    """Gradients of 1e-7 vanish in float16 without a factor."""
    pytest.importorskip("ml_dtypes")
    net = nn.Linear(6, 3)
    before = weights(net)
    training.fit(
        net, lambda o, t: F.cross_entropy(o, t) * 1e-6, optim.SGD(net, lr=1e4), (X, Y), precision="float16", verbose=0
    )
    assert np.abs(weights(net) - before).max() > 1e-3


@pytest.mark.parametrize("compile", [False, True])
def test_bfloat16_is_that_of_autocast(compile: bool) -> None:
    pytest.importorskip("ml_dtypes")
    one, other = made(), made()
    tn.random.seed(1)
    expected = by_hand(one, optim.SGD(one, lr=0.01), batches(), 2, precision="bfloat16")
    history = fitted(other, optim.SGD(other, lr=0.01), 2, precision="bfloat16", compile=compile)
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-3 if compile else 0)


@pytest.mark.parametrize("loss", [F.cross_entropy, nn.CrossEntropyLoss()])
def test_weights_of_samples(loss: Any) -> None:
    w = np.linspace(0, 2, 70).astype(np.float32)
    net = nn.Linear(6, 3)
    each = F.cross_entropy(net(X), Y, reduction="none").numpy()
    found = training.evaluate(net, loss, (X, Y, w), batch_size=16)
    assert found["loss"] == pytest.approx(float((each * w).sum() / 70), rel=1e-5)
    expected = ((each * w).sum() / 70).item()
    history = training.fit(net, loss, optim.SGD(net, lr=0.0), [(X, Y, w)], verbose=0)
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(TypeError, match="takes no reduction='none'"):
        training.fit(net, lambda o, t: F.cross_entropy(o, t), optim.SGD(net, lr=0.1), [(X, Y, w)], verbose=0)


def test_means_are_over_samples() -> None:
    """The last batch, of 6, counts 6."""
    net = made()
    net.eval()
    whole = F.cross_entropy(net(X), Y).item()
    right = (net(X).numpy().argmax(1) == Y).mean()
    found = training.evaluate(net, F.cross_entropy, (X, Y), metrics="accuracy", batch_size=16)
    assert found["loss"] == pytest.approx(whole, rel=1e-5)
    assert found["accuracy"] == right


def test_batches_of_every_form() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            self.linear = nn.Linear(6, 3)

        def forward(self, a: Any, b: Any) -> Any:
            return self.linear(a + b)

    class Loss(Two):
        def forward(self, a: Any, b: Any) -> Any:
            return F.cross_entropy(self.linear(a), b)

    def run(net: Any, data: Any, loss: Any = F.cross_entropy) -> float:
        cut = {} if isinstance(data, (list, tn.data.DataLoader)) else {"shuffle": False, "batch_size": 32}
        history = training.fit(net, loss, optim.SGD(lr=0.1), data, epochs=2, verbose=0, **cut)
        assert history["loss"][1] < history["loss"][0]
        return history["loss"][1]

    tn.random.seed(0)
    state = Two().state_dict()

    def fresh(kind: Any) -> Any:
        net = kind()
        net.load_state_dict(state)
        return net

    several = run(fresh(Two), ((X, X), Y))
    assert several == run(fresh(Two), ({"a": X, "b": X}, Y))
    assert several == run(fresh(Two), [((X[i : i + 32], X[i : i + 32]), Y[i : i + 32]) for i in (0, 32, 64)])
    whole = run(fresh(Loss), (X, Y), None)
    assert whole == run(fresh(Loss), {"a": X, "b": Y}, None)
    assert whole == run(fresh(Loss), tn.data.DataLoader((X, Y), batch_size=32), None)
    run(nn.Linear(6, 6), X, F.mse_loss)  # a batch that is inputs and target
    with pytest.raises(TypeError, match="a batch is a dict"):
        training.fit(nn.Linear(6, 3), F.cross_entropy, optim.SGD(lr=0.1), [{"x": X, "y": Y}], verbose=0)
    with pytest.raises(TypeError, match="data is a int"):
        training.fit(nn.Linear(6, 3), F.cross_entropy, optim.SGD(lr=0.1), 3, verbose=0)


def test_a_step_of_ones_own() -> None:
    """As of a generative adversarial network: two optimizers, several numbers."""
    a, b = nn.Linear(6, 3), nn.Linear(6, 3)
    pair = nn.ModuleList([a, b])
    opts = [optim.SGD(a, lr=0.1), optim.SGD(b, lr=0.2)]

    def step(x: Any, y: Any) -> dict[str, Any]:
        losses = [F.cross_entropy(net(x), y) for net in (a, b)]
        for opt, loss in zip(opts, losses, strict=True):
            opt.zero_grad()
            loss.backward()
            opt.step()
        return {"loss": losses[0], "other": losses[1] * 2.0}

    history = training.fit(pair, None, opts, (X, Y), epochs=2, step=step, verbose=0, seed=0)
    assert history["loss"][1] < history["loss"][0]
    assert history["other"][1] < history["other"][0]
    again = training.fit(pair, None, opts, (X, Y), step=tn.compile(lambda x, y: step(x, y)["loss"]), verbose=0)
    assert again["loss"][0] < history["loss"][1]


def test_an_update_that_the_scaler_leaves_out_is_no_part_of_the_average() -> None:
    pytest.importorskip("ml_dtypes")
    net = nn.Linear(6, 3)
    average, opt = optim.Averaged(net, decay=0.9), optim.SGD(net, lr=1e-6)
    training.fit(net, F.cross_entropy, opt, (X * 10, Y), batch_size=10, average=average, precision="float16", verbose=0)
    assert average.count == opt.slots[0].step
    assert 0 < average.count < 7  # at first the scale is too large


def test_numbers_that_a_step_gives_now_and_then() -> None:
    """Each is a mean over the samples of the batches that had it; the loss is there every time."""
    given = iter([{"loss": 1.0, "other": 4.0}, {"loss": 2.0}, {"loss": 4.0, "other": 8.0}])
    data = [X[:10], X[10:20], X[20:50]]
    history = training.fit(nn.Linear(6, 3), None, None, data, step=lambda x: next(given), compile=False, verbose=0)
    assert history.epochs == [{"loss": (10 + 20 + 120) / 50, "other": (40 + 240) / 40}]
    with pytest.raises(ValueError, match="step returned a dict of other; one must be 'loss'"):
        training.fit(nn.Linear(6, 3), None, None, data, step=lambda x: {"other": 1.0}, compile=False, verbose=0)


def test_shuffling_is_drawn_from_the_seed() -> None:
    def run(**options: Any) -> list[float]:
        net = nn.Linear(6, 3)
        net.load_state_dict(state)
        return training.fit(net, F.cross_entropy, optim.SGD(net, lr=0.5), (X, Y), epochs=2, verbose=0, **options)[
            "loss"
        ]

    state = nn.Linear(6, 3).state_dict()
    assert run(seed=1) == run(seed=1) != run(seed=2)
    training.seed(3)
    first = run()
    assert first != run()
    training.seed(3)
    assert first == run()


# -- compiled or not ----------------------------------------------------------------------------------------------


def test_the_reason_is_said_where_a_step_cannot_be_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    class Asking(nn.Module):
        def __init__(self) -> None:
            self.linear = nn.Linear(6, 3)
            self.norm = nn.BatchNorm1d(6)
            self.calls = 0

        def forward(self, x: Any) -> Any:
            x = self.norm(x)
            if x.sum().item() > 1e9:
                raise AssertionError
            return self.linear(F.dropout(x, 0.2, self.training))

    tn.random.seed(0)
    one, other = Asking(), Asking()
    other.load_state_dict(one.state_dict())
    tn.random.seed(1)
    expected = by_hand(one, optim.Adam(one, lr=0.01), batches(), 2)
    history = fitted(other, optim.Adam(other, lr=0.01), 2, verbose=2)
    shown = capsys.readouterr().out
    assert "the training step runs uncompiled: " in shown
    assert "test_fit.py" in shown  # the line
    # Nothing is lost, and nothing done twice.
    assert history["loss"] == expected
    np.testing.assert_array_equal(weights(other), weights(one))
    with pytest.warns(tn.CompileWarning, match="runs uncompiled"):
        fitted(other, optim.Adam(other, lr=0.01), 1)


def test_a_forward_with_side_effects_runs_as_it_stands() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            self.linear = nn.Linear(6, 3)
            self.calls: list[int] = []

        def forward(self, x: Any) -> Any:
            self.calls.append(len(x))
            return self.linear(x)

    net = Counting()
    with pytest.warns(tn.CompileWarning, match="changes an attribute of Counting"):
        training.fit(net, F.cross_entropy, optim.SGD(net, lr=0.1), batches(), epochs=2, verbose=0)
    assert net.calls == [16, 16, 16, 16, 6] * 2


def test_the_last_batch_does_not_compile_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routine, "_OFTEN", 5)
    captured: list[Any] = []
    module = importlib.import_module("tapenet.compiler.compile")
    real = module.first_call

    def counted(*args: Any, **kwargs: Any) -> Any:
        captured.append(args)
        return real(*args, **kwargs)

    monkeypatch.setattr(module, "first_call", counted)
    net = nn.Linear(6, 3)
    training.fit(net, F.cross_entropy, optim.SGD(net, lr=0.1), (X, Y), batch_size=16, epochs=4, verbose=0)
    assert len(captured) == 1
    training.fit(net, F.cross_entropy, optim.SGD(net, lr=0.1), (X, Y), batch_size=16, epochs=9, verbose=0)
    assert len(captured) == 3  # often enough to earn a program, which is made once


def test_data_of_many_lengths_goes_on_uncompiled_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routine, "_PROGRAMS", 2)
    monkeypatch.setattr(routine, "_OFTEN", 3)
    data = [(X[: n + 1], Y[: n + 1]) for n in range(6)] * 6
    one, other = nn.Linear(6, 3), nn.Linear(6, 3)
    other.load_state_dict(one.state_dict())
    expected = by_hand(one, optim.SGD(one, lr=0.01), data, 1)
    with pytest.warns(tn.CompileWarning, match="programs for 2 shapes"):
        history = training.fit(other, F.cross_entropy, optim.SGD(other, lr=0.01), data, verbose=0)
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)


def test_options_that_a_callback_changes_count_from_then_on() -> None:
    def run(compile: bool) -> list[float]:
        net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
        net.load_state_dict(state)
        opt = optim.SGD(net, lr=0.1)

        def change(state: training.State) -> None:
            opt.lr = 0.5 / state.epoch
            if state.epoch == 2:
                net[0].requires_grad_(False)

        return training.fit(
            net, F.cross_entropy, opt, batches(), epochs=4, callbacks=change, compile=compile, verbose=0
        )["loss"]

    state = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).state_dict()
    np.testing.assert_allclose(run(True), run(False), rtol=1e-5)


# -- what goes wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compile", [False, True])
def test_a_loss_that_is_not_finite_ends_with_an_error_that_says_where(compile: bool) -> None:
    bad = X.copy()
    bad[40] = np.nan
    ended: list[int] = []

    class Ends:
        def __call__(self, state: training.State) -> None: ...

        def end(self, state: training.State) -> None:
            ended.append(state.step)

    net = nn.Linear(6, 3)
    net.eval()
    where = r"loss is nan in epoch 1, batch 3, after update 3\. "
    with pytest.raises(
        FloatingPointError, match=where + r"The inputs of this batch hold nan at \(8, 0\): fill or leave out"
    ):
        training.fit(
            net, F.cross_entropy, optim.SGD(net, lr=0.1), (bad, Y), batch_size=16, shuffle=False, compile=compile,
            callbacks=Ends(), verbose=0,
        )  # fmt: skip
    assert ended == [3]
    assert not net.training
    with pytest.raises(FloatingPointError, match=r"loss is nan.*The parameters are of no use.*tn\.debug"):
        training.fit(made(), lambda output, target: (output * np.nan).sum(), optim.SGD(lr=0.1), (X, Y), verbose=0)


def test_modes_are_restored_whatever_happens() -> None:
    net = made()
    net[1].eval()  # a normalisation that is not to learn stays so
    seen: list[tuple[bool, ...]] = []

    def look(state: training.State) -> None:
        seen.append(tuple(m.training for m in net.modules()))
        if state.epoch == 2:
            raise KeyError("mine")

    before = tuple(m.training for m in net.modules())
    with pytest.raises(KeyError, match="mine"):
        fitted(net, optim.SGD(net, lr=0.1), validation=(X, Y), callbacks=look)
    assert seen == [before, before]
    assert tuple(m.training for m in net.modules()) == before
    for function in (training.predict, lambda net, x: training.evaluate(net, F.cross_entropy, (x, Y))):
        with pytest.raises(ValueError):  # noqa: PT011  a shape
            function(net, X[:, :5])
        assert tuple(m.training for m in net.modules()) == before


def test_data_that_is_used_up_is_refused() -> None:
    net = nn.Linear(6, 3)
    with pytest.raises(ValueError, match="can be looped over once"):
        training.fit(net, F.cross_entropy, optim.SGD(net, lr=0.1), iter([(X, Y)]), epochs=2, verbose=0)
    with pytest.raises(ValueError, match="no batch in epoch 1"):
        training.fit(net, F.cross_entropy, optim.SGD(net, lr=0.1), [], verbose=0)
    with pytest.raises(ValueError, match="metrics need the output"):
        training.fit(net, None, optim.SGD(net, lr=0.1), (X, Y), metrics="accuracy")


# -- evaluate and predict -----------------------------------------------------------------------------------------


def test_predict_in_batches_is_the_whole() -> None:
    net = made()
    net.eval()
    expected = net(X).numpy()
    net.train()
    for found in (
        training.predict(net, X, batch_size=16),
        training.predict(net, batches_in_order(), batch_size=1),
        training.predict(net, [X[:40], X[40:]]),
        training.predict(net, X, compile=False),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert net.training

    class Two(nn.Module):
        def forward(self, a: Any, b: Any) -> Any:
            return {"sum": a + b, "both": (a, b)}

    found = training.predict(Two(), (X, X), batch_size=16)
    np.testing.assert_array_equal(found["sum"], X + X)
    np.testing.assert_array_equal(found["both"][1], X)


def test_predictions_share_no_memory_with_inputs() -> None:
    x = np.zeros((2, 2), np.float32)
    training.predict(nn.Flatten(), x)[:] = 1.0
    assert not x.any()

    class Again:
        def __iter__(self) -> Any:
            for i in range(3):
                x[:] = i
                yield x

    np.testing.assert_array_equal(training.predict(nn.Flatten(), Again())[:, 0], [0, 0, 1, 1, 2, 2])


def batches_in_order() -> Any:
    return tn.data.batches(X, Y, batch_size=16)


def test_metrics_see_what_batches_were_at_the_time() -> None:
    """A loader may use the memory of a batch again."""
    x, y = np.empty((10, 6), np.float32), np.empty(10, np.int64)

    class Again:
        def __iter__(self) -> Any:
            for start in range(0, 70, 10):
                x[...], y[...] = X[start : start + 10], Y[start : start + 10]
                yield x, y

    net = nn.Linear(6, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = training.evaluate(net, F.cross_entropy, Again(), metrics="accuracy")
    assert found["accuracy"] == (net(X).numpy().argmax(1) == Y).mean()


def test_master_weights_are_trained_by_a_schedule_that_is_told_the_loss() -> None:
    net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3)).half()
    before = net[0].weight.numpy().copy()
    opt = optim.MasterWeights(optim.SGD, net, lr=optim.Plateau(0.1, patience=0, factor=0.5, threshold=1e3))
    history = training.fit(net, F.cross_entropy, opt, batches(), epochs=3, compile=False, verbose=0)  # type: ignore[arg-type]
    assert history["lr"] == [0.1, 0.1, 0.05]
    assert (net[0].weight.numpy() != before).any()
