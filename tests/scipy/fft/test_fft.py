"""`tn.scipy.fft` against SciPy and finite differences."""

from __future__ import annotations

import pytest

import tapenet as tn
from tests.scipy.followed import check_values, ops

OPS = ops("fft")


@pytest.mark.parametrize("name", OPS)
def test_values_are_scipys(name: str) -> None:
    check_values("fft", OPS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", OPS)
def test_promises(name: str) -> None:
    hankel = name in ("fht", "ifht", "fhtoffset")  # of float64 in any case, and once differentiable by the order
    tn.testing.check_op(OPS[name], order=1 if hankel else 2, skip=["dtype"] if hankel else [])
