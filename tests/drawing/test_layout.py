"""The layout of stills: boxes, clusters, ways and labels that keep clear of each other, and straight chains."""

from __future__ import annotations

import pytest

import tapenet as tn
from tapenet.drawing.layout import place
from tests.drawing.models import MODELS


@pytest.mark.parametrize("direction", ["TB", "LR", "BT", "RL"])
def test_the_same_places_each_time(direction: str) -> None:
    drawing = tn.draw(MODELS["two_losses"]()).drawing
    assert place(drawing, direction) == place(drawing, direction)
