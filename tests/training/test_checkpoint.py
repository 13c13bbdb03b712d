"""Checkpoints: what a run leaves behind however it ends, and that another goes on from there."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import files, nn, optim
from tapenet.training import Checkpoint

ROOT = Path(tn.__file__).parent.parent


def _names(checkpoint: Checkpoint) -> list[str]:
    return sorted(path.name for path in checkpoint.folder.iterdir())


def _break(path: Path | None) -> None:
    """Change one bit in the middle of the arrays."""
    assert path is not None
    whole = bytearray(path.read_bytes())
    whole[-5] ^= 4
    path.write_bytes(whole)


def test_what_was_saved_last_is_loaded(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "a" / "b")
    assert checkpoint.load() is None
    assert checkpoint.latest is None
    for n in range(2):
        path = checkpoint.save({"w": np.full(3, n), "n": n}, step=10 * n)
    state = Checkpoint(tmp_path / "a" / "b").load()
    assert state["n"] == 1
    np.testing.assert_array_equal(state["w"], [1, 1, 1])
    assert checkpoint.latest == path == checkpoint.files[-1]
    assert _names(checkpoint) == ["checkpoint-000001-step-0.safetensors", "checkpoint-000002-step-10.safetensors"]
    assert "2 files" in repr(checkpoint)


def test_older_ones_are_deleted_and_other_files_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "checkpoint-best.safetensors"
    tn.save({}, other)
    checkpoint = Checkpoint(tmp_path, keep=2)
    for n in range(5):
        checkpoint.save({"n": n})
    assert _names(checkpoint) == ["checkpoint-000004.safetensors", "checkpoint-000005.safetensors", other.name]
    every = Checkpoint(tmp_path / "all", keep=None)
    for n in range(5):
        every.save({"n": n}, step=7)  # what comes later is newer, whatever its step
    assert len(every.files) == 5
    assert every.load() == {"n": 4}


def test_more_than_a_million_are_in_order(tmp_path: Path) -> None:
    tn.save({"n": 0}, tmp_path / "checkpoint-999999.safetensors")
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save({"n": 1})
    checkpoint.save({"n": 2})
    assert [tn.load(path)["n"] for path in checkpoint.files] == [0, 1, 2]


def test_when_it_is_due(tmp_path: Path) -> None:
    here = tmp_path
    assert [Checkpoint(here).due(epoch=n) for n in (1, 2)] == [True, True]
    assert not Checkpoint(here).due(step=1)
    assert [Checkpoint(here, every=None, steps=3).due(step=n) for n in (1, 2, 3, 6)] == [False, False, True, True]
    assert not Checkpoint(here, every=None, steps=3).due(epoch=3)
    assert Checkpoint(here, every=2, steps=3).due(epoch=2, step=1)


@pytest.mark.parametrize("options", [{"keep": 0}, {"every": 0}, {"steps": -1}, {"keep": 1.5}, {"steps": "3"}])
def test_numbers_that_mean_nothing_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is to be an integer of at least 1, or None"):
        Checkpoint(tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_a_damaged_file_is_passed_over_with_a_warning(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, keep=3)
    for n in range(3):
        checkpoint.save({"n": n, "w": np.arange(100.0)}, step=n)
    _break(checkpoint.latest)
    checkpoint.files[1].write_bytes(checkpoint.files[1].read_bytes()[:300])
    with (
        pytest.warns(RuntimeWarning, match="000002-step-1.*not fully covered.*the one before is taken"),
        pytest.warns(RuntimeWarning, match="000003-step-2.*checksum does not fit.*the one before is taken") as seen,
    ):
        assert checkpoint.load()["n"] == 0
    assert {warning.filename for warning in seen} == {__file__}
    checkpoint.save({"n": 7})  # goes on: newer than those that are damaged
    assert checkpoint.load() == {"n": 7}


def test_where_all_are_damaged_it_says_so_and_deletes_nothing(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save({"w": np.arange(100.0)})
    _break(checkpoint.latest)
    with (
        pytest.warns(RuntimeWarning, match="checksum"),
        pytest.raises(files.DamagedFile, match=r"none of the 1 files in .* can be loaded.*give another folder"),
    ):
        checkpoint.load()
    assert len(checkpoint.files) == 1


def test_what_cannot_be_saved_leaves_those_before(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, keep=1)
    checkpoint.save({"n": 0})
    with pytest.raises(TypeError, match=r"at state\['f'\]: the function"):
        checkpoint.save({"f": lambda: 0})
    assert checkpoint.load() == {"n": 0}
    assert len(_names(checkpoint)) == 1


def test_what_a_killed_process_began_is_removed(tmp_path: Path) -> None:
    code = f"""
import os, signal
from tapenet import files
with files.atomic({str(tmp_path / "checkpoint-000009-step-3.safetensors")!r}) as file:
    file.write(b"half"); file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == -signal.SIGKILL
    checkpoint = Checkpoint(tmp_path)
    assert len(_names(checkpoint)) == 1
    assert checkpoint.load() is None
    checkpoint.save({"n": 1})
    assert _names(checkpoint) == ["checkpoint-000001.safetensors"]


def _killed(run: str, folder: Path, kills: int, seed: int) -> int:
    """Let a run of `tests.training.killed` be killed so often, which compares what comes of it; how often it was."""
    command = [sys.executable, "-m", "tests.training.killed", run, str(folder), str(kills), str(seed)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found: int = json.loads(done.stdout)["killed"]
    return found


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked")


@pytest.mark.slow
@forks
def test_a_run_that_is_killed_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    assert _killed("by_hand", tmp_path, 6, 0) >= 6


@forks
@pytest.mark.slow
@pytest.mark.parametrize(("run", "kills"), [("by_hand", 50), ("compiled", 40), ("in_parts", 30)])
def test_many_kills_change_nothing(tmp_path: Path, run: str, kills: int) -> None:
    assert _killed(run, tmp_path, kills, 1) >= kills


# -- in `fit` ----------------------------------------------------------------------------------------------------


class Stopped(Exception):
    """What ends a run in these tests."""


def _run(
    checkpoint: Checkpoint | None, epochs: int = 3, stop: int = -1, width: int = 4, **options: Any
) -> tuple[Any, Any]:
    """Train; after batch number `stop` end by an exception."""
    tn.training.seed(0)
    net = nn.Sequential(nn.Linear(3, width), nn.Dropout(0.3), nn.Tanh(), nn.Linear(width, 1))
    x = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
    count = 0

    @tn.training.every_batch
    def ends(state: Any) -> None:
        nonlocal count
        count += 1
        if count == stop:
            raise Stopped

    given: dict[str, Any] = {"callbacks": ends, "verbose": 0, "batch_size": 8, "compile": False, **options}
    opt = optim.Adam(net, lr=0.01)
    history = tn.training.fit(net, F.mse_loss, opt, (x, x[:, :1]), epochs=epochs, checkpoint=checkpoint, **given)
    return net.state_dict(), history


def _equal(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("stop", [1, 3, 5, 6, 9])
@pytest.mark.parametrize("steps", [1, 2, None])
def test_fit_goes_on_from_anywhere(tmp_path: Path, stop: int, steps: int | None) -> None:
    expected, whole = _run(None)
    checkpoint = Checkpoint(tmp_path, steps=steps)
    with pytest.raises(Stopped):
        _run(checkpoint, stop=stop)
    found, history = _run(checkpoint)
    assert _equal(found, expected)
    assert history.epochs == whole.epochs


def test_fit_with_more_epochs_goes_on_and_with_no_more_does_nothing(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    _run(checkpoint, epochs=2)
    found, history = _run(checkpoint, epochs=3)
    expected, whole = _run(None, epochs=3)
    assert _equal(found, expected)
    files = _names(checkpoint)
    again, same = _run(checkpoint, epochs=3)
    assert _equal(again, expected)
    assert history.epochs == same.epochs == whole.epochs
    assert _names(checkpoint) == files


def test_fit_passes_over_a_damaged_file(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    _run(checkpoint, epochs=2)
    _break(checkpoint.latest)
    with pytest.warns(RuntimeWarning, match="the one before is taken"):
        found, _ = _run(checkpoint, epochs=3)
    assert _equal(found, _run(None, epochs=3)[0])


def test_fit_tells_of_a_checkpoint_of_another_run_and_leaves_all_as_it_was(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    expected, _ = _run(checkpoint, epochs=2)
    files = _names(checkpoint)
    with pytest.raises(ValueError, match="the state does not fit this Sequential; nothing was loaded"):
        _run(checkpoint, width=5)
    with pytest.raises(ValueError, match="the saved run has"):
        _run(checkpoint, callbacks=[])
    assert _names(checkpoint) == files
    assert _equal(_run(checkpoint, epochs=2)[0], expected)


def test_a_full_disk_ends_the_run_and_what_was_saved_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path)
    expected, _ = _run(None, epochs=4)
    _run(checkpoint, epochs=2)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "so it is")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="the disk is full; make room, or write elsewhere"):
            _run(checkpoint, epochs=4)
    found, _ = _run(checkpoint, epochs=4)
    assert _equal(found, expected)


def test_models_and_optimizers_are_saved_without_a_copy_of_them(tmp_path: Path) -> None:
    net = nn.Linear(1000, 1000)
    mean = optim.Averaged(net)
    opts = [optim.Adam(net, lr=0.1), optim.MasterWeights(optim.SGD, nn.Linear(1000, 1000).half(), lr=0.1, momentum=0.9)]
    state = {"net": net, "mean": mean, "opts": opts}
    each = net.weight.numpy().nbytes
    checkpoint = Checkpoint(tmp_path)
    tracemalloc.start()
    try:
        checkpoint.save(state)
        # An array that lies otherwise is copied, one at a time; and there is the file's buffer.
        assert tracemalloc.get_traced_memory()[1] < 1.2 * each + (1 << 20)
    finally:
        tracemalloc.stop()
    saved = checkpoint.load()
    np.testing.assert_equal(saved["net"], net.state_dict())
    np.testing.assert_equal(saved["mean"], mean.state_dict())
    np.testing.assert_equal(saved["opts"], [opt.state_dict() for opt in opts])
