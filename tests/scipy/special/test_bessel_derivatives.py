"""`jvp` and its kin: SciPy's values, and derivatives by order and argument."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import tapenet as tn

V, Z = np.array([0.3, 1.0, 2.5]), np.array([0.7, 2.0, 6.0])


@pytest.mark.parametrize("name", ["jvp", "yvp", "ivp", "kvp", "h1vp", "h2vp"])
def test_derivatives_as_functions(name: str) -> None:
    ours, theirs = (getattr(space, name) for space in (tn.special, scipy.special))
    for n in range(4):
        np.testing.assert_allclose(ours(tn.tensor(V), Z, n).numpy(), theirs(V, Z, n), rtol=1e-13)
    slope = tn.vjp(lambda z: ours(V, z), Z)[1]
    if name[0] != "h":
        np.testing.assert_allclose(slope(np.ones(3)).numpy(), theirs(V, Z, 2), rtol=1e-12)
    tn.testing.check_grads(ours, [V, Z], order=1)
    with pytest.raises(ValueError, match="n is -1"):
        ours(V, Z, -1)
