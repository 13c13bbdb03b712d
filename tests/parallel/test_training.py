"""Data-parallel training gives what one process gives that has the whole batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tapenet.parallel.shared_state import owners
from tests.parallel.launching import needs_mpi, passes, run

pytestmark = needs_mpi


def _trained(ranks: int, program: str, folder: Path, *arguments: object) -> dict[str, np.ndarray]:
    file = folder / f"{ranks}-{'-'.join(map(str, arguments))}.npz".replace("/", "_")
    passes(ranks, program, *arguments, file)
    return dict(np.load(file))


def _close(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_allclose(other[name], values, rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize(
    ("ranks", "ways"),
    [
        (2, ("compiled-batches",)),
        pytest.param(4, ("eager-loader", "eager-batches", "compiled-list"), marks=pytest.mark.slow),
    ],
)
def test_steps(ranks: int, ways: tuple[str, ...], tmp_path: Path) -> None:
    """With clipping, momentum, batch norm over all ranks, and a last batch of fewer samples than ranks."""
    _close(_trained(1, "training.py", tmp_path, *ways), _trained(ranks, "training.py", tmp_path, *ways))


def test_gradients() -> None:
    done = run(2, "gradients.py")
    assert not done.returncode, done.stderr
    assert "was killed" not in done.stderr


@pytest.mark.parametrize(
    ("ranks", "every"),
    [(2, ()), pytest.param(4, ("all",), marks=pytest.mark.slow)],
)
def test_shared_state(ranks: int, every: tuple[str, ...], tmp_path: Path) -> None:
    """Each rank keeps its part; parameters and state are those of the whole optimizer; one process loads it."""
    passes(ranks, "shared_state.py", tmp_path / "saved", *every)
    passes(1, "shared_state.py", tmp_path / "saved")


def test_parts_of_shared_state() -> None:
    """Neighbours, and the largest part is as small as it can be; there may be more ranks than parameters."""
    assert owners([6, 8, 6], 2) == [0, 0, 1]
    assert owners([1, 1, 1, 9], 2) == [0, 0, 0, 1]
    assert owners([5], 4) == [0]
    assert owners([0, 3, 0, 3, 0], 2) == [0, 0, 0, 1, 1]
    sizes = np.random.default_rng(0).integers(1, 100, 60)
    shares = np.bincount(owners(sizes.tolist(), 7), sizes, 7)
    assert shares.max() < sizes.sum() / 7 + sizes.max()


@pytest.mark.slow
def test_fit(tmp_path: Path) -> None:
    """The same history on 1 and 3 ranks; one rank logs; a checkpoint of 3 ranks loads on 1."""
    folder = tmp_path / "checkpoints"
    alone = _trained(1, "fitting.py", tmp_path, 4, "")
    _close(alone, _trained(3, "fitting.py", tmp_path, 4, ""))
    lines = next(tmp_path.glob("3-*.csv")).read_text().split()
    assert [line.split(",")[0] for line in lines] == ["epoch", "1", "2", "3", "4"]
    passes(3, "fitting.py", 2, folder, tmp_path / "first.npz")
    passes(1, "fitting.py", 4, folder, tmp_path / "second.npz")
    _close(alone, dict(np.load(tmp_path / "second.npz")))


@pytest.mark.slow
def test_resume(tmp_path: Path) -> None:
    """Stopped and resumed on as many ranks, with dropout of each rank's own: the same bits."""
    folder = tmp_path / "checkpoints"
    whole = _trained(2, "fitting.py", tmp_path, 4, "")
    passes(2, "fitting.py", 2, folder, tmp_path / "first.npz")
    passes(2, "fitting.py", 4, folder, tmp_path / "second.npz")
    resumed = dict(np.load(tmp_path / "second.npz"))
    assert all(np.array_equal(values, resumed[name]) for name, values in whole.items())
    # A rank is killed within the fourth epoch: it goes on from the end of the third.
    folder = tmp_path / "others"
    assert run(2, "fitting.py", 4, folder, tmp_path / "third.npz", 17).returncode
    assert not (tmp_path / "third.npz").exists()
    passes(2, "fitting.py", 4, folder, tmp_path / "third.npz")
    resumed = dict(np.load(tmp_path / "third.npz"))
    assert all(np.array_equal(values, resumed[name]) for name, values in whole.items())
