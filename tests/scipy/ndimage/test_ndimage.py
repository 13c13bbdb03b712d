"""`tn.scipy.ndimage` against SciPy and finite differences."""

from __future__ import annotations

import pytest

import tapenet as tn
from tapenet.scipy.ndimage import correlation
from tests.scipy.followed import check_values, ops

OPS = ops("ndimage")
PARTS = {"along_axis": correlation.along_axis, "along_all": correlation.along_all}


@pytest.mark.parametrize("name", OPS)
def test_values_are_scipys(name: str) -> None:
    check_values("ndimage", OPS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OPS, *PARTS])
def test_promises(name: str) -> None:
    tn.testing.check_op(OPS.get(name) or PARTS[name])
