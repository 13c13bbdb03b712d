"""`tn.scipy.ndimage` against SciPy and finite differences."""

from __future__ import annotations

import pytest

from tapenet.scipy.ndimage import correlation, spline_filters
from tests.scipy.followed import check_promises, check_values, ops

OPS = ops("ndimage")
PARTS = {op.name: op for op in (correlation.along_axis, correlation.along_all, spline_filters.filtered_along)}


@pytest.mark.parametrize("name", OPS)
def test_values_are_scipys(name: str) -> None:
    check_values("ndimage", OPS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OPS, *PARTS])
def test_promises(name: str) -> None:
    check_promises(OPS.get(name) or PARTS[name])
