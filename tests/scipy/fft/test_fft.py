"""`tn.scipy.fft` against SciPy and finite differences."""

from __future__ import annotations

import pytest

from tests.scipy.followed import check_promises, check_values, ops

OPS = ops("fft")


@pytest.mark.parametrize("name", OPS)
def test_values_are_scipys(name: str) -> None:
    check_values("fft", OPS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", OPS)
def test_promises(name: str) -> None:
    hankel = name in ("fht", "ifht", "fhtoffset")  # loggamma of complex numbers has one derivative
    check_promises(OPS[name], order=1 if hankel else 2, narrow=not hankel)
