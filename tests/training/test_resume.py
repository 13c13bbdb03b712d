"""A run that is stopped and gone on with is the run that was not stopped, bit for bit."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import metrics, nn, optim, training
from tests.training.small import X, Y, made

EPOCHS = 3


class Mixed(nn.Module):
    """Draws from the process's generator and from one of its own."""

    def __init__(self) -> None:
        self.net = made()
        self.dropout = nn.Dropout(0.1, rng=7)

    def forward(self, x: Any) -> Any:
        return self.net(self.dropout(x))


class Noisy:
    """Batches with noise from NumPy's global generator and Python's."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Any:
        for x, y in self.data:
            noise = np.random.normal(size=x.shape) * 0.1 + random.random() * 0.1
            yield x + noise.astype(np.float32), y

    def state_dict(self) -> Any:
        return self.data.state_dict()

    def load_state_dict(self, state: Any) -> None:
        self.data.load_state_dict(state)


def run(kind: str, folder: Path, stop: int | None = None, epochs: int = EPOCHS) -> dict[str, Any]:
    """A run with all that has a state; after update `stop` it ends as if it were killed."""
    training.seed(5)
    model = Mixed()
    average = optim.Averaged(model, decay=0.9)
    plateau = optim.Plateau(0.02, patience=0, factor=0.5)
    opt = optim.Adam(model, lr=optim.product(plateau, optim.cosine(1.0, 25)))
    early = training.EarlyStopping("val_accuracy", patience=50)
    options: dict[str, Any] = {}
    if kind == "loader":
        data: Any = tn.data.DataLoader((X, Y), batch_size=18, shuffle=True, seed=4)
    elif kind == "list":
        data = [(X[i : i + 18], Y[i : i + 18]) for i in range(0, 70, 18)]
    else:
        data = tn.data.batches(X, Y, batch_size=18, shuffle=True, seed=4)
        if kind == "noisy":
            data = Noisy(data)
        if kind == "accumulated":
            options = {"accumulate": 2}
        if kind == "float16":
            options = {"precision": "float16", "clip_norm": 1.0}
        if kind == "plain":
            options = {"compile": False}

    @training.every_batch
    def killed(state: training.State) -> None:
        if state.step == stop:
            raise SystemExit

    checkpoint = training.Checkpoint(folder, steps=1)
    history = training.fit(
        model, F.cross_entropy, opt, data, epochs=epochs, average=average, keep_average=False, checkpoint=checkpoint,
        validation=(X, Y), metrics=["accuracy", metrics.CalibrationError(from_logits=True)], callbacks=[early, killed],
        verbose=0, **options,
    )  # fmt: skip
    return {
        "model": model.state_dict(),
        "opt": opt.state_dict()["state"],
        "average": average.state_dict(),
        "plateau": plateau.state_dict(),
        "early": early.state_dict(),
        "history": history.epochs,
        "random": (np.random.rand(), random.random(), tn.random.uniform(size=2)),
    }


def same(a: Any, b: Any) -> None:
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            same(one, other)
    else:
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "kind",
    [
        "arrays",
        "plain",
        "noisy",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("loader", "list", "accumulated", "float16")),
    ],
)
def test_a_run_that_is_killed_and_resumed(kind: str, tmp_path: Path) -> None:
    """In the middle of the first epoch, after its last batch, in the second; each time it goes on in a process of its own, as
    far as programs are concerned."""
    if kind == "float16":
        pytest.importorskip("ml_dtypes")
    expected = run(kind, tmp_path / "whole")
    for stop in (1, 3, 5) if kind == "accumulated" else (2, 4, 7):
        with pytest.raises(SystemExit):
            run(kind, tmp_path / "killed", stop)
    same(run(kind, tmp_path / "killed"), expected)


def test_more_epochs_go_on_from_where_it_ended(tmp_path: Path) -> None:
    expected = run("arrays", tmp_path / "whole")
    run("arrays", tmp_path / "more", epochs=2)
    assert len(training.Checkpoint(tmp_path / "more").load()["history"]["epochs"]) == 2
    same(run("arrays", tmp_path / "more"), expected)
    before = training.Checkpoint(tmp_path / "more").latest
    same(run("arrays", tmp_path / "more")["model"], expected["model"])  # nothing is left to do
    assert training.Checkpoint(tmp_path / "more").latest == before


def test_a_state_of_another_run_changes_nothing(tmp_path: Path) -> None:
    run("arrays", tmp_path, epochs=1)
    net = nn.Linear(6, 3)
    before = net.state_dict()
    given = [training.KeepBest(), print]
    for options, words in (
        ({"optimizer": optim.Adam(net)}, "Plateau"),
        ({}, "callbacks"),
        ({"callbacks": given}, "average"),
        ({"callbacks": given, "average": optim.Averaged(net)}, "do not fit|does not fit"),
    ):
        options = {"optimizer": optim.Adam(net, lr=optim.Plateau(0.1)), "verbose": 0, **options}
        with pytest.raises(ValueError, match=words):
            training.fit(net, F.cross_entropy, data=(X, Y), checkpoint=training.Checkpoint(tmp_path), **options)
        same(net.state_dict(), before)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (
            {"callbacks": training.KeepBest()},
            {"callbacks": print},
            "callback .* had a state, and the builtin.* takes none",
        ),
        (
            {"callbacks": print},
            {"callbacks": training.KeepBest()},
            "had no state, and the KeepBest of this one takes one",
        ),
        (
            {"callbacks": training.KeepBest()},
            {"callbacks": training.EarlyStopping()},
            "EarlyStopping: the saved state is that of another kind of callback",
        ),
        (
            {"callbacks": training.EarlyStopping()},
            {"callbacks": training.KeepBest()},
            "KeepBest: the saved state is that of another",
        ),
        ({}, {"data": [(X, Y)]}, "the data of the saved run had a state, and the list of this one takes none"),
        ({"data": [(X, Y)]}, {}, "the data of the saved run had no state, and the Batches of this one takes one"),
    ],
)
def test_other_callbacks_or_data_than_the_saved_run_had(
    first: dict[str, Any], second: dict[str, Any], words: str, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"data": (X, Y), "checkpoint": training.Checkpoint(tmp_path), "verbose": 0}
    training.fit(nn.Linear(6, 3), F.cross_entropy, optim.SGD(lr=0.1), **options | first)
    net = nn.Linear(6, 3)
    before = net.state_dict()
    with pytest.raises(ValueError, match=words):
        training.fit(net, F.cross_entropy, optim.SGD(lr=0.1), **options | second)
    same(net.state_dict(), before)


@pytest.mark.parametrize("state", [{"model": 1}, [1, 2]])
def test_what_fit_did_not_save(state: Any, tmp_path: Path) -> None:
    checkpoint = training.Checkpoint(tmp_path)
    checkpoint.save(state)
    with pytest.raises(ValueError, match="the saved state is not one that fit saved"):
        training.fit(nn.Linear(6, 3), F.cross_entropy, optim.SGD(lr=0.1), (X, Y), checkpoint=checkpoint)


def test_seeds_outside_of_their_range_seed_nothing() -> None:
    training.seed(1)
    first = np.random.rand()
    training.seed(1)
    for wrong, error in ((-1, ValueError), (2**32, ValueError), (1.0, TypeError), ("a", TypeError)):
        with pytest.raises(error, match=r"training\.seed"):
            training.seed(wrong)  # type: ignore[arg-type]
    assert np.random.rand() == first
