"""`tn.scipy.fft` against SciPy and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

import tapenet as tn
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


@pytest.mark.parametrize("name", OPS)
def test_inputs_are_never_overwritten(name: str) -> None:
    if "overwrite_x" not in [a.name for a in OPS[name].arguments]:
        return
    real = name[:2] in ("rf", "ih") or "ct" in name or "st" in name
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(float if real else complex)
    before, t = x.copy(), tn.tensor(x, requires_grad=True)
    for each in (t, x):
        OPS[name](each, overwrite_x=True)
        np.testing.assert_array_equal(np.asarray(t.detach()), before)
        np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("name", ["dct", "idct", "dst", "idst", "dctn", "idstn"])
@pytest.mark.parametrize("type", [1, 2, 3, 4])
def test_cosines_of_complex_numbers(name: str, type: int) -> None:
    r = np.random.default_rng(0)
    x = r.normal(size=(2, 3)) + 1j * r.normal(size=(2, 3))
    for norm in (None, "ortho"):
        for scaled in (None, True, False):
            f = lambda x, norm=norm, scaled=scaled: OPS[name](x, type, norm=norm, orthogonalize=scaled)
            tn.testing.check_grads(f, [x], order=2)
            np.testing.assert_allclose(tn.jvp(f, (x,), (x,))[1].numpy(), f(x), rtol=1e-12, atol=1e-12)
            found = tn.compile(lambda x, f=f: f(x) * 1)(x)
            np.testing.assert_allclose(found.numpy(), f(x), rtol=1e-12, atol=1e-12)
            assert f(x.astype(np.complex64)).dtype == np.complex64
