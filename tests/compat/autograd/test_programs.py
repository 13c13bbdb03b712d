"""Programs written for autograd give autograd's numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.compat.autograd.programs import PROGRAMS

VALUES = json.loads(Path(__file__).with_name("values.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_program(program: Callable[[], list[float]]) -> None:
    found = program()
    assert not [v for v in found if not isinstance(v, (float, np.generic))]  # plain numbers, no tensors
    np.testing.assert_allclose(found, VALUES[program.__name__], rtol=1e-9, atol=1e-12)


def test_no_value_is_left_over() -> None:
    assert [f.__name__ for f in PROGRAMS] == list(VALUES)
