"""`tn.scipy.signal` against SciPy and finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import tapenet as tn
from tapenet.scipy import signal
from tapenet.scipy.signal import filtering, resampling
from tests.scipy.followed import check_promises, check_values, ops

OPS = ops("signal")
#: What public functions of more than one op are made of.
PARTS = {
    op.name: op
    for op in (resampling.resampled, filtering.lfilter_only, filtering.lfilter_on)
}  # fmt: skip


@pytest.mark.parametrize("name", OPS)
def test_values_are_scipys(name: str) -> None:
    check_values("signal", OPS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OPS, *PARTS])
def test_promises(name: str) -> None:
    check_promises(OPS.get(name) or PARTS[name])


SECTIONS = np.array([[1.0, 0.5, 0.2, -0.3, 0.2], [0.7, 0.1, 0.4, 0.4, 0.1]])  # without a0, which is 1


def _cascade(c: tn.Tensor) -> tn.Tensor:
    return np.concatenate([c[:, :3], np.ones((2, 1)), c[:, 3:]], 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "f",
    [
        lambda c, x, zi: signal.sosfilt(_cascade(c), x),
        lambda c, x, zi: np.concatenate([part.ravel() for part in signal.sosfilt(_cascade(c), x, zi=zi)]),
        lambda c, x, zi: signal.sosfiltfilt(_cascade(c), x, padlen=3),
    ],
)
def test_cascades(f: Callable[..., tn.Tensor]) -> None:
    given = [SECTIONS, np.cos(np.arange(6.0)), np.array([[0.3, -0.2], [0.1, 0.4]])]
    tn.testing.check_grads(f, given, order=2)
    gradient = tn.grad(lambda *args: (f(*args) ** 2).sum(), argnums=(0, 1))
    for compiled, eager in zip(tn.compile(gradient)(*given), gradient(*given), strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-12)
