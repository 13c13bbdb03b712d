"""Layers of the grid of shapes do the same as PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.benchmarks.layers import rows

pytest.importorskip("torch")
CASES = rows.cases()
#: The smallest of each kind; recurrent layers have kernels that take long to compile.
SMALL = {case.kind: case for case in sorted(CASES, key=lambda c: -np.prod(c.shapes[0])) if case.kind != "recurrent"}


def test_each_has_a_name_of_its_own() -> None:
    assert len({str(case) for case in CASES}) == len(CASES) > 200


@pytest.mark.parametrize("case", SMALL.values(), ids=str)
def test_same_as_torch(case: rows.Case) -> None:
    (_, (ours, _)), (_, (theirs, _)) = *rows.tapenet(case), *rows.torch(case)
    found: list[Any] = [np.asarray(out) for out in (ours(), theirs())]
    np.testing.assert_allclose(*found, rtol=2e-4, atol=2e-5)
