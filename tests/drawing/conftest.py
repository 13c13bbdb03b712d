"""What the tests of pages have in common: one browser, and a way to open a drawing's page in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tapenet.drawing.forms.page import to_html
from tapenet.drawing.model import Drawing
from tests.drawing.browser import Page, browser


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture
def show(driver: Any, tmp_path: Path) -> Iterator[Any]:
    """Opens the page of a drawing from a file. At the end nothing may have gone wrong in it."""
    pages: list[Page] = []

    def opened(drawing: Drawing, **options: Any) -> Page:
        pages.append(Page(driver, tmp_path / "net.html", to_html(drawing, **options)))
        return pages[-1]

    yield opened
    for page in pages[-1:]:
        assert page.errors() == []
        assert page.js("return performance.getEntriesByType('resource').length") == 0
