"""What is called while `fit` runs, and what stops it."""

from __future__ import annotations

import csv
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim, training
from tests.training.small import X, Y, batches, made, weights


def fitted(net: Any, callbacks: Any, epochs: int = 6, **options: Any) -> training.History:
    options = {"optimizer": optim.SGD(net, lr=0.1), "data": batches(), "compile": False, "verbose": 0, **options}
    return training.fit(net, F.cross_entropy, epochs=epochs, callbacks=callbacks, **options)


def told(values: list[float]) -> Any:
    """A callback that says what the number "score" of each epoch is."""

    def callback(state: training.State) -> None:
        state.logs["score"] = values[state.epoch - 1]

    return callback


def test_callbacks_are_functions_of_the_state() -> None:
    seen: list[tuple[int, int, int]] = []
    losses: list[float] = []

    def epoch(state: training.State) -> None:
        seen.append((state.epoch, state.step, state.batch))
        assert state.history["loss"][-1] == state.logs["loss"]

    @training.every_batch
    def batch(state: training.State) -> None:
        losses.append(state.batch_loss)
        assert state.epoch == (state.step - 1) // 5

    history = fitted(made(), [epoch, batch], 2)
    assert seen == [(1, 5, 5), (2, 10, 5)]
    sizes = [16, 16, 16, 16, 6]
    assert history["loss"] == pytest.approx(
        [np.average(losses[:5], weights=sizes), np.average(losses[5:], weights=sizes)]
    )


def test_stop_ends_the_run() -> None:
    @training.every_batch
    def stop(state: training.State) -> None:
        state.stop = state.step == 7

    history = fitted(made(), stop)
    assert len(history) == 2
    assert history.stopped == "a callback, after epoch 2 of 6"


@pytest.mark.parametrize(
    ("values", "options", "length", "best"),
    [
        ([1, 3, 2, 2, 2, 9], {"patience": 3}, 5, 2),
        ([1, 3, 2, 4, 2, 9], {"patience": 3}, 6, 6),
        ([1, 3, 2, 3.05, 2, 9], {"patience": 2, "min_delta": 0.1}, 4, 2),
        ([1, 3, 2, 4, 2, 9], {"patience": 0, "mode": "min"}, 2, 1),
        ([float("nan"), 3, float("nan"), 4, 2, 9], {"patience": 2}, 6, 6),
    ],
)
def test_early_stopping(values: list[float], options: dict[str, Any], length: int, best: int) -> None:
    net, kept = made(), []
    early = training.EarlyStopping("score", **options)
    history = fitted(net, [told(values), lambda state: kept.append(weights(state.model)), early])
    assert len(history) == length
    assert early.epoch == best
    assert ("EarlyStopping (score was best in epoch" in history.stopped) == (length < 6)
    np.testing.assert_array_equal(weights(net), kept[best - 1])


def test_the_best_model_is_kept_and_given_back_if_asked() -> None:
    for restore in (True, False):
        net, kept = made(), []
        best = training.KeepBest("score", restore=restore)
        fitted(net, [told([1, 5, 3, 2, 1, 0]), lambda state, kept=kept: kept.append(weights(state.model)), best])
        assert (best.epoch, best.best) == (2, 5)
        np.testing.assert_array_equal(np.concatenate([v.ravel() for v in best.weights.values()]), kept[1])
        np.testing.assert_array_equal(weights(net), kept[1 if restore else 5])


def test_the_best_of_averaged_weights_is_theirs() -> None:
    net = made()
    average, seen = optim.Averaged(net, decay=0.5), []
    keep = training.KeepBest("score")
    fitted(net, [told([1, 5, 3, 2]), lambda s: seen.append({n: v.copy() for n, v in average.values.items()}), keep], 4,
           average=average)  # fmt: skip
    for name, value in seen[1].items():
        np.testing.assert_array_equal(net.state_dict()[name], value)


def test_what_is_watched_must_be_there_and_have_a_direction() -> None:
    with pytest.raises(KeyError, match="watches 'val_loss', and an epoch has loss"):
        fitted(made(), training.EarlyStopping("val_loss"))
    with pytest.raises(ValueError, match="whether more or less of 'lr' is better"):
        fitted(made(), training.KeepBest("lr"), optimizer=optim.SGD(lr=lambda k: 0.1))
    with pytest.raises(ValueError, match="mode='most'"):
        fitted(made(), training.KeepBest("loss", "most"))


@pytest.mark.parametrize("own", [False, True])
def test_a_plateau_is_told_once_an_epoch(own: bool) -> None:
    plateau = optim.Plateau(0.1, patience=1, factor=0.5)
    told: list[float] = []
    update = plateau.update
    plateau.update = lambda value: (told.append(value), update(value))[1]  # type: ignore[method-assign]
    schedule = optim.product(plateau, optim.constant(1.0))
    mine = [lambda state: plateau.update(state.logs["loss"])] if own else []
    history = fitted(made(), mine, 3, optimizer=optim.SGD(lr=schedule), validation=(X, Y))
    assert told == history["loss" if own else "val_loss"]


def test_what_cannot_be_compared_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="more or less of 'val_fun' is better"):
        training.KeepBest("val_fun")
    assert training.KeepBest("val_fun", mode="max").monitor == "val_fun"
    with pytest.raises(ValueError, match=r"EarlyStopping: min_delta=-1\.0 must be at least 0"):
        training.EarlyStopping(min_delta=-1.0)


# -- Ctrl-C -------------------------------------------------------------------------------------------------------


class Presses:
    """Presses Ctrl-C as a batch is asked for."""

    def __init__(self, at: int, times: int = 1) -> None:
        self.at, self.times, self.ended = at, times, False
        self.given = 0

    def __iter__(self) -> Any:
        for batch in tn.data.batches(X, Y, batch_size=16):
            self.given += 1
            if self.given == self.at:
                for _ in range(self.times):
                    signal.raise_signal(signal.SIGINT)
            yield batch

    def __call__(self, state: training.State) -> None: ...

    def end(self, state: training.State) -> None:
        self.ended = True


@pytest.mark.parametrize("compile", [False, True])
def test_ctrl_c_stops_after_the_update_and_keeps_everything(compile: bool, tmp_path: Path) -> None:
    presses = Presses(8)
    net, other = made(), made()
    checkpoint = training.Checkpoint(tmp_path)
    history = fitted(net, [presses], data=presses, compile=compile, checkpoint=checkpoint)
    assert len(history) == 1
    assert history.stopped == "Ctrl-C in epoch 2 of 6, after update 8"
    assert presses.ended
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert net.training
    saved = checkpoint.load()
    assert (saved["step"], saved["batch"], saved["epoch"]) == (8, 3, 1)
    other.load_state_dict(saved["model"])
    np.testing.assert_array_equal(weights(other), weights(net))


def test_ctrl_c_behind_the_last_batch() -> None:
    def press(state: training.State) -> None:
        signal.raise_signal(signal.SIGINT)

    assert fitted(made(), press, 1).stopped == "Ctrl-C after epoch 1 of 1, after update 5"


def test_a_second_ctrl_c_raises() -> None:
    presses = Presses(3, times=2)
    with pytest.raises(KeyboardInterrupt):
        fitted(made(), [presses], data=presses)
    assert presses.ended
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_in_validation_ends_the_epoch_unfinished(tmp_path: Path) -> None:
    net, other = made(), made()
    checkpoint = training.Checkpoint(tmp_path)
    tn.random.seed(1)
    assert len(fitted(net, (), 2, validation=Presses(2), checkpoint=checkpoint)) == 0
    resumed = fitted(net, (), 2, validation=Presses(0), checkpoint=checkpoint)
    tn.random.seed(1)
    assert resumed.epochs == fitted(other, (), 2, validation=Presses(0)).epochs


# -- loggers ------------------------------------------------------------------------------------------------------


def test_the_csv_logger_writes_a_line_per_epoch_also_when_resumed(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"

    def run(epochs: int) -> training.History:
        late = told([1.0, 2.0, 3.0])
        return fitted(
            made(), [lambda s: late(s) if s.epoch > 1 else None, training.CSVLogger(path)], epochs,
            checkpoint=training.Checkpoint(tmp_path / "saved"), metrics="accuracy",
        )  # fmt: skip

    run(2)
    with open(path, "a") as file:
        file.write("3,99,0,0,0\n")  # of a run that was killed before it was saved
    history = run(3)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "step", "loss", "accuracy", "score"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [row["step"] for row in rows] == ["5", "10", "15"]
    assert [float(row["loss"]) for row in rows] == history["loss"]
    assert [row["score"] for row in rows] == ["", "2.0", "3.0"]


def test_the_tensorboard_logger(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    history = fitted(made(), training.TensorBoardLogger(tmp_path), 2, validation=(X, Y))
    (path,) = tmp_path.iterdir()
    from tensorboardX.proto.event_pb2 import Event

    data, found = path.read_bytes(), []
    while data:
        length = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + length])
        found += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
        data = data[16 + length :]
    expected = [
        (tag, 5 * (i + 1), np.float32(history[name][i]))
        for i in range(2)
        for tag, name in (("loss/train", "loss"), ("loss/val", "val_loss"))
    ]
    assert found == expected


def test_a_tensorboard_logger_that_cannot_write_says_so(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        fitted(made(), training.TensorBoardLogger(tmp_path / "file"), 1)


def test_loggers_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in ("tensorboardX", "matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"tapenet\[tensorboard\]"):
        training.TensorBoardLogger("folder")
    history = training.History()
    history.append({"loss": 1.0}, 1.0)
    with pytest.raises(ImportError, match=r"tapenet\[plot\]"):
        history.plot(backend="matplotlib")


def test_the_process_is_left_alone() -> None:
    """A handler of somebody else stays."""

    def mine(number: int, frame: Any) -> None: ...

    before = signal.signal(signal.SIGINT, mine)
    try:
        fitted(made(), lambda state: os.kill(os.getpid(), signal.SIGINT), 2)
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)


def test_rates_are_found_and_everything_is_as_before() -> None:
    net = made()
    opt = optim.Adam(net, lr=optim.cosine(0.1, 10))
    data = batches()
    fitted(net, (), 1, optimizer=opt, data=data)
    net.eval()
    before = weights(net), opt.state_dict(), tn.random.get_state(), data.state_dict(), np.random.get_state()[1].copy()
    for interrupt in (False, True):

        def loss(output: Any, target: Any, interrupt: bool = interrupt) -> Any:
            if interrupt:
                raise KeyError("mine")
            return F.cross_entropy(output, target)

        if interrupt:
            with pytest.raises(KeyError):
                training.find_lr(net, loss, opt, data)
        else:
            found = training.find_lr(net, loss, opt, data, high=1.0)
            assert 1e-4 < found.suggestion < 1.0
            assert found.rates == sorted(found.rates)
            assert "suggestion" in found.plot()
        after = weights(net), opt.state_dict(), tn.random.get_state(), data.state_dict(), np.random.get_state()[1]
        assert repr(after) == repr(before)
        np.testing.assert_array_equal(after[0], before[0])
        assert not net.training
        assert callable(opt.groups[0]["lr"])


def test_what_cannot_be_trained_has_no_rates() -> None:
    net = made()
    before = weights(net)
    for loss, optimizer, error, words in (
        (nn.CrossEntropyLoss, optim.SGD(lr=0.1), TypeError, "find_lr: the loss is a function"),
        (F.cross_entropy, optim.SGD, TypeError, "find_lr: the optimizer is one such as"),
        (F.cross_entropy, optim.LBFGS(lr=1.0), ValueError, "find_lr: LBFGS computes the loss several times"),
        (F.cross_entropy, optim.SGD(made(), lr=0.1), RuntimeError, "find_lr: SGD has no parameter of this model"),
    ):
        with pytest.raises(error, match=words):
            training.find_lr(net, loss, optimizer, batches())
    np.testing.assert_array_equal(weights(net), before)
