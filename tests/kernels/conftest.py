"""What holds in all tests of kernels."""

from __future__ import annotations

import pytest

from tests.kernels import beside


@pytest.fixture(autouse=True)
def small_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels for work of any size."""
    beside.lift(monkeypatch)
