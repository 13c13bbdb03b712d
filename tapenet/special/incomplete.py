"""The incomplete gamma and beta functions, and their inverses: the distribution functions of the gamma and beta distributions.

References: NIST Digital Library of Mathematical Functions, chapter 8.
"""

from __future__ import annotations

from tapenet.ops.op import Op
from tapenet.special.beta_distribution import beta_by_shapes, beta_density
from tapenet.special.gamma_distribution import gamma_by_shape, gamma_density
from tapenet.special.laws import Law

GAMMA = Law({"a": gamma_by_shape, "x": gamma_density}, {"a": "quadrature"})
#: Behind the arguments of its slopes may stand y = 1 - x.
BETA = Law(
    {
        "a": lambda a, b, x, y=None: beta_by_shapes(a, b, x, 1 - x if y is None else y, 1, 0),
        "b": lambda a, b, x, y=None: beta_by_shapes(a, b, x, 1 - x if y is None else y, 0, 1),
        "x": lambda a, b, x, y=None: beta_density(a, b, x, 1 - x if y is None else y),
    },
    {"a": "quadrature", "b": "quadrature"},
)
_FROM_0 = "by the limit of the integral the density, by shapes the integral of its derivative by them"

gammainc = GAMMA.function("gammainc", _FROM_0)
gammaincc = GAMMA.function("gammaincc", f"less {_FROM_0}", -1)
gammaincinv = GAMMA.inverse("gammaincinv", "a value")
gammainccinv = GAMMA.inverse("gammainccinv", "a value", -1)
betainc = BETA.function("betainc", _FROM_0)
betaincc = BETA.function("betaincc", f"less {_FROM_0}", -1)
# Where x is near 1, it is the other function that knows 1 - x.
betaincinv: Op = BETA.inverse("betaincinv", "a b value", beside=lambda a, b, p: (betainccinv(b, a, p),))
betainccinv: Op = BETA.inverse("betainccinv", "a b value", -1, beside=lambda a, b, p: (betaincinv(b, a, p),))
btdtria = BETA.inverse("btdtria", "value b x")
btdtrib = BETA.inverse("btdtrib", "a value x")
