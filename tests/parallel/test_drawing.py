"""Pictures of what several ranks compute. What they look like: tests/drawing/test_ranks.py."""

from __future__ import annotations

from pathlib import Path

from tests.parallel.launching import needs_mpi, passes


@needs_mpi
def test_two_ranks(tmp_path: Path) -> None:
    passes(2, "drawing.py", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["0.svg"]  # one saves
