"""Associated Legendre functions, in mpmath."""

from __future__ import annotations

from mpmath import mp

from tests.scipy.special.cases import Case


def there(m: float, v: float, x: float) -> bool:
    """Whether SciPy has a value: it gives nan for negative orders beyond whole degrees."""
    return m >= 0 or v > -m or v != int(v)


CASES = {
    "lpmv": Case(
        lambda m, v, x: mp.legenp(v, m, x, type=2),
        [[0, 1, 3, -2], [-1.3, 0.3, 1.0, 7.0, 20.3], [-0.6, 0.1, 0.95]],
        most=14,
        where=there,
    ),
}
