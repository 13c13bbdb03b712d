"""NumPy's warnings off, and as they were: by NumPy's context variable, or by its functions where there is no such variable."""

from __future__ import annotations

import numpy as np
import pytest

from tapenet.program import quiet


@pytest.mark.parametrize(
    "switch", [(quiet.QUIET, quiet.get, quiet.put), quiet.switch([])], ids=["variable", "functions"]
)
def test_warnings_are_off_and_as_they_were(switch) -> None:  # type: ignore[no-untyped-def]
    off, get, put = switch
    with np.errstate(divide="raise"):
        before = get()
        put(off)
        assert set(np.geterr().values()) == {"ignore"}
        assert np.isinf(np.ones(1) / np.zeros(1)).all()
        put(before)
        assert np.geterr()["divide"] == "raise"
        with pytest.raises(FloatingPointError):
            np.ones(1) / np.zeros(1)
