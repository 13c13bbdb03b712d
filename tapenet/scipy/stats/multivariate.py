"""Multivariate distributions: values are SciPy's, derivatives those of a formula for each."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

from tapenet import special
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import Op, derive
from tapenet.scipy.stats.densities import log_binomial
from tapenet.scipy.stats.distribution import bound, named, scipys, wide
from tapenet.scipy.stats.frozen import Given
from tapenet.typing import Array

Formula = Callable[..., Array]


class Multivariate:
    """A family of multivariate distributions, with the methods of SciPy's on tensors.

    Called with parameters it is a frozen distribution, whose methods take none.

    Args:
        name: SciPy's name.
        parameters: the names of the parameters.
        log: the logarithm of the density, or of the probability: a formula of the variables and the parameters.
        variables: the names of the variables.
        discrete: whether there are probabilities (`logpmf`) and no density (`logpdf`).
        fixed: parameters without a derivative, whole numbers.
        defaults: of the parameters.
        prepare: makes the parameters what the formulas take, such as a matrix of a number.
        others: formulas of further methods, of the parameters.
    """

    def __init__(
        self,
        name: str,
        parameters: str,
        log: Formula,
        variables: str = "x",
        *,
        discrete: bool = False,
        fixed: str = "",
        defaults: Mapping[str, object] | None = None,
        prepare: Callable[..., Sequence[object]] | None = None,
        **others: Formula,
    ) -> None:
        self.name = name
        self.parameters = tuple(parameters.split())
        self.variables = tuple(variables.split())
        self.defaults = dict(defaults or {})
        self._prepare = prepare
        self._fixed = frozenset(fixed.split())
        ending = "pmf" if discrete else "pdf"
        of_variables: dict[str, Formula] = {
            f"log{ending}": log,
            ending: lambda *given: cast("Array", np.exp(log(*given))),
        }
        self._formulas: dict[str, Formula] = of_variables | others
        self._of_variables = frozenset(of_variables)
        if discrete:
            self._fixed |= frozenset(self.variables)
        self._ops: dict[str, Op] = {}
        self.__doc__ = (
            f"`scipy.stats.{name}` on tensors: {', '.join(self._formulas)}, with derivatives by the parameters."
        )

    def __repr__(self) -> str:
        return f"<distribution tn.scipy.stats.{self.name}({', '.join(self.parameters)})>"

    def __call__(self, *args: object, **kwds: object) -> FrozenMultivariate:
        return FrozenMultivariate(self, bound(self.name, self.parameters, self.defaults, args, kwds))

    def call(self, method: str, first: Sequence[object], args: Sequence[object], kwds: Mapping[str, object]) -> Tensor:
        """What a method gives, as a tensor.

        Raises:
            AttributeError: SciPy's distribution has not this method, or it has no derivative here.
        """
        if method not in self._formulas:
            raise AttributeError(
                f"tn.scipy.stats.{self.name} has {', '.join(self._formulas)}, and no {method}: call SciPy's with arrays"
            )
        given = bound(f"{self.name}.{method}", self.parameters, self.defaults, args, kwds)
        names = (*(self.variables if first else ()), *self.parameters)
        values = [
            v if n in self._fixed and isinstance(v, Tensor) else wide(v)
            for n, v in zip(names, (*first, *given), strict=True)
        ]
        if self._prepare is not None:
            count = len(first)
            values = [*values[:count], *self._prepare(values[:count], *values[count:])]
        op = self._ops.get(method)
        if op is None:
            op = self._ops[method] = self._make(method)
        out = op(*values)
        return out if type(out) is Tensor else asarray(out)

    def _make(self, method: str) -> Op:
        title = f"{self.name}.{method}"
        arguments = (*(self.variables if method in self._of_variables else ()), *self.parameters)
        free = [n for n in arguments if n not in self._fixed]
        forward = functools.partial(_of_numbers, getattr(scipys(self.name), method))
        return Op(
            named(title, arguments, forward), name=title, lower=self._formulas[method],
            rules=dict.fromkeys(free, derive), nondiff=self._fixed.intersection(arguments), fuse=False,
            sequences=frozenset(), doc=f"`scipy.stats.{title}`.", module=__name__,
        )  # fmt: skip

    def logpdf(self, *args: object, **kwds: object) -> Tensor:
        """The logarithm of the density: of the variable, and the parameters."""
        return self._of(args, kwds, "logpdf")

    def pdf(self, *args: object, **kwds: object) -> Tensor:
        """The density: of the variable, and the parameters."""
        return self._of(args, kwds, "pdf")

    def logpmf(self, *args: object, **kwds: object) -> Tensor:
        """The logarithm of the probability: of the variable, and the parameters."""
        return self._of(args, kwds, "logpmf")

    def pmf(self, *args: object, **kwds: object) -> Tensor:
        """The probability: of the variable, and the parameters."""
        return self._of(args, kwds, "pmf")

    def _of(self, args: Sequence[object], kwds: Mapping[str, object], method: str) -> Tensor:
        count = len(self.variables)
        if len(args) < count:
            raise TypeError(f"tn.scipy.stats.{self.name}.{method} takes {', '.join(self.variables)} first")
        return self.call(method, args[:count], args[count:], kwds)

    def entropy(self, *args: object, **kwds: object) -> Tensor:
        """The entropy, in nats."""
        return self.call("entropy", (), args, kwds)

    def mean(self, *args: object, **kwds: object) -> Tensor:
        """The mean."""
        return self.call("mean", (), args, kwds)

    def var(self, *args: object, **kwds: object) -> Tensor:
        """The variance of each component."""
        return self.call("var", (), args, kwds)

    def cov(self, *args: object, **kwds: object) -> Tensor:
        """The matrix of covariances."""
        return self.call("cov", (), args, kwds)


def _of_numbers(method: Callable[..., object], *args: object) -> object:
    """A method of SciPy's, some of which take numbers and no arrays without axes."""
    return method(*[a.item() if isinstance(a, np.ndarray) and a.ndim == 0 else a for a in args])


class FrozenMultivariate(Given):
    """A multivariate distribution with given parameters."""

    dist: Multivariate

    def logpdf(self, *x: object) -> Tensor:
        """The logarithm of the density."""
        return self.dist.call("logpdf", x, self.args, {})

    def pdf(self, *x: object) -> Tensor:
        """The density."""
        return self.dist.call("pdf", x, self.args, {})

    def logpmf(self, *x: object) -> Tensor:
        """The logarithm of the probability."""
        return self.dist.call("logpmf", x, self.args, {})

    def pmf(self, *x: object) -> Tensor:
        """The probability."""
        return self.dist.call("pmf", x, self.args, {})

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        return self.dist.entropy(*self.args)

    def mean(self) -> Tensor:
        """The mean."""
        return self.dist.mean(*self.args)

    def var(self) -> Tensor:
        """The variance of each component."""
        return self.dist.var(*self.args)

    def cov(self) -> Tensor:
        """The matrix of covariances."""
        return self.dist.cov(*self.args)


# -- normal and t ------------------------------------------------------------------------------------------------


def _factor(matrix: Array) -> Array:
    """The triangular factor of a symmetric matrix, with a symmetric gradient."""
    return cast("Array", np.linalg.cholesky((matrix + matrix.T) / 2))


def _log_root(factor: Array) -> Array:
    """Half the logarithm of a determinant, by the triangular factor."""
    return cast("Array", np.log(np.diagonal(factor)).sum())


def _squares(factor: Array, away: Array) -> Array:
    """The squared lengths of vectors, in units of a matrix with this triangular factor."""
    size = factor.shape[0]
    scaled = np.linalg.solve(factor, away.reshape((-1, size)).T)
    return cast("Array", (scaled * scaled).sum(0).reshape(away.shape[:-1]))


def _vectors(x: Array, size: int) -> Array:
    """Points as vectors: a number is one of one component, and so is each of several numbers."""
    if len(x.shape) < 2 and size == 1:
        return x.reshape((*x.shape, 1))
    return x


def _located(_: Sequence[Array], location: Array | None, matrix: Array, *rest: object) -> list[object]:
    """A location and a matrix as a vector and a matrix: of numbers, of a diagonal, or left out."""
    if location is None:
        location = np.zeros(np.shape(matrix)[0] if np.ndim(matrix) else 1)
    size = int(np.size(location))
    if np.ndim(matrix) < 2:
        matrix = np.eye(size) * matrix
    return [np.reshape(location, (size,)), matrix, *rest]


def _normal(x: Array, mean: Array, cov: Array) -> Array:
    size = mean.shape[0]
    factor = _factor(cov)
    squares = _squares(factor, _vectors(x, size) - mean)
    return cast("Array", -(size * math.log(2 * math.pi) + squares) / 2 - _log_root(factor))


multivariate_normal = Multivariate(
    "multivariate_normal", "mean cov", _normal, defaults={"mean": None, "cov": 1.0}, prepare=_located,
    entropy=lambda mean, cov: mean.shape[0] * (1 + math.log(2 * math.pi)) / 2 + _log_root(_factor(cov)),
)  # fmt: skip


def _student(x: Array, loc: Array, shape: Array, df: Array) -> Array:
    size = loc.shape[0]
    factor = _factor(shape)
    squares = _squares(factor, _vectors(x, size) - loc)
    half = (df + size) / 2
    return cast(
        "Array",
        special.gammaln(half) - special.gammaln(df / 2) - size / 2 * np.log(df * math.pi) - _log_root(factor)
        - half * np.log1p(squares / df),
    )  # fmt: skip


def _student_entropy(loc: Array, shape: Array, df: Array) -> Array:
    half, size = (df + loc.shape[0]) / 2, loc.shape[0]
    return cast(
        "Array",
        special.gammaln(df / 2) - special.gammaln(half) + size / 2 * np.log(df * math.pi)
        + _log_root(_factor(shape)) + half * (special.psi(half) - special.psi(df / 2)),
    )  # fmt: skip


multivariate_t = Multivariate(
    "multivariate_t", "loc shape df", _student, defaults={"loc": None, "shape": 1.0, "df": 1.0}, prepare=_located,
    entropy=_student_entropy,
)  # fmt: skip


def _matrix_normal(X: Array, mean: Array, rowcov: Array, colcov: Array) -> Array:
    rows, columns = mean.shape
    u, v = _factor(rowcov), _factor(colcov)
    scaled = np.linalg.solve(v, np.swapaxes(np.linalg.solve(u, X - mean), -1, -2))
    squares = (scaled * scaled).sum((-2, -1))
    return cast(
        "Array", -(rows * columns * math.log(2 * math.pi) + squares) / 2 - columns * _log_root(u) - rows * _log_root(v)
    )


def _both_sides(first: Sequence[Array], mean: Array | None, rowcov: Array, colcov: Array) -> list[object]:
    """The mean as a matrix, and covariances of numbers or of a diagonal as matrices."""
    if mean is not None:
        shape = np.shape(mean)
    elif first:
        shape = np.shape(first[0])[-2:]
    else:
        shape = tuple(np.shape(c)[0] if np.ndim(c) else 1 for c in (rowcov, colcov))
    matrices = [c if np.ndim(c) == 2 else np.eye(n) * c for n, c in zip(shape, (rowcov, colcov), strict=True)]
    return [np.zeros(shape) if mean is None else mean, *matrices]


matrix_normal = Multivariate(
    "matrix_normal", "mean rowcov colcov", _matrix_normal, "X", defaults={"mean": None, "rowcov": 1.0, "colcov": 1.0},
    prepare=_both_sides,
)  # fmt: skip


# -- of matrices -------------------------------------------------------------------------------------------------


def _log_gamma(a: Array, size: int) -> Array:
    """The logarithm of the multivariate gamma function."""
    some = (np.arange(size) / 2).tolist()
    return cast("Array", sum(special.gammaln(a - j) for j in some) + size * (size - 1) / 4 * math.log(math.pi))


def _digammas(a: Array, size: int) -> Array:
    return cast("Array", sum(special.psi(a - j / 2) for j in range(size)))


def _wishart(x: Array, df: Array, scale: Array) -> Array:
    size = scale.shape[0]
    factor = _factor(scale)
    trace = (np.linalg.solve(scale, x) * np.eye(size)).sum()
    return cast(
        "Array",
        (df - size - 1) * _log_root(_factor(x)) - trace / 2 - df * size / 2 * math.log(2)
        - df * _log_root(factor) - _log_gamma(df / 2, size),
    )  # fmt: skip


def _inverse_wishart(x: Array, df: Array, scale: Array) -> Array:
    size = scale.shape[0]
    trace = (np.linalg.solve(x, scale) * np.eye(size)).sum()
    return cast(
        "Array",
        -(df + size + 1) * _log_root(_factor(x)) - trace / 2 - df * size / 2 * math.log(2)
        + df * _log_root(_factor(scale)) - _log_gamma(df / 2, size),
    )  # fmt: skip


wishart = Multivariate(
    "wishart", "df scale", _wishart,
    entropy=lambda df, scale: (
        (scale.shape[0] + 1) * _log_root(_factor(scale))
        + scale.shape[0] * (scale.shape[0] + 1) / 2 * math.log(2) + _log_gamma(df / 2, scale.shape[0])
        - (df - scale.shape[0] - 1) / 2 * _digammas(df / 2, scale.shape[0]) + df * scale.shape[0] / 2
    ),
    mean=lambda df, scale: df * scale,
)  # fmt: skip
invwishart = Multivariate(
    "invwishart", "df scale", _inverse_wishart, mean=lambda df, scale: scale / (df - scale.shape[0] - 1)
)


# -- of proportions and counts -----------------------------------------------------------------------------------


def _whole(x: Array, size: int) -> Array:
    """Proportions of which the last may be left out."""
    if x.shape[0] == size:
        return x
    return np.concatenate([x, 1 - x.sum(0, keepdims=True)])


def _dirichlet(x: Array, alpha: Array) -> Array:
    x = _whole(x, alpha.shape[0])
    a = alpha.reshape((-1, *[1] * (len(x.shape) - 1)))
    return cast("Array", ((a - 1) * np.log(x)).sum(0) + special.gammaln(alpha.sum()) - special.gammaln(alpha).sum())


def _dirichlet_entropy(alpha: Array) -> Array:
    total = alpha.sum()
    return cast(
        "Array",
        special.gammaln(alpha).sum() - special.gammaln(total) + (total - alpha.shape[0]) * special.psi(total)
        - ((alpha - 1) * special.psi(alpha)).sum(),
    )  # fmt: skip


dirichlet = Multivariate(
    "dirichlet", "alpha", _dirichlet, entropy=_dirichlet_entropy, mean=lambda alpha: alpha / alpha.sum(),
    var=lambda alpha: alpha * (alpha.sum() - alpha) / (alpha.sum() ** 2 * (alpha.sum() + 1)),
)  # fmt: skip


def _multinomial(x: Array, n: Array, p: Array) -> Array:
    p = np.concatenate([p[..., :-1], 1 - p[..., :-1].sum(-1, keepdims=True)], -1)
    some = x > 0
    terms = np.where(some, x * np.log(np.where(some, p, 1.0)), 0.0) - special.gammaln(x + 1)
    return cast("Array", special.gammaln(n + 1) + terms.sum(-1))


multinomial = Multivariate("multinomial", "n p", _multinomial, discrete=True, fixed="n")


def _dirichlet_multinomial(x: Array, alpha: Array, n: Array) -> Array:
    total = alpha.sum(-1)
    terms = special.gammaln(x + alpha) - special.gammaln(alpha) - special.gammaln(x + 1)
    return cast("Array", special.gammaln(total) + special.gammaln(n + 1) - special.gammaln(n + total) + terms.sum(-1))


dirichlet_multinomial = Multivariate(
    "dirichlet_multinomial", "alpha n", _dirichlet_multinomial, discrete=True, fixed="n",
    mean=lambda alpha, n: n * alpha / alpha.sum(-1, keepdims=True),
)  # fmt: skip
normal_inverse_gamma = Multivariate(
    "normal_inverse_gamma", "mu lmbda a b",
    lambda x, s2, mu, lmbda, a, b: (
        (np.log(lmbda) - math.log(2 * math.pi) - np.log(s2)) / 2 + a * np.log(b) - special.gammaln(a)
        - (a + 1) * np.log(s2) - (2 * b + lmbda * (x - mu) ** 2) / (2 * s2)
    ),
    "x s2", defaults={"mu": 0.0, "lmbda": 1.0, "a": 1.0, "b": 1.0},
)  # fmt: skip


def _von_mises_fisher(x: Array, mu: Array, kappa: Array) -> Array:
    order = mu.shape[0] / 2 - 1
    norm = order * np.log(kappa) - (order + 1) * math.log(2 * math.pi) - np.log(special.ive(order + 0 * kappa, kappa))
    return cast("Array", norm - kappa + kappa * (x * mu).sum(-1))


vonmises_fisher = Multivariate("vonmises_fisher", "mu kappa", _von_mises_fisher, defaults={"kappa": 1.0})


multivariate_hypergeom = Multivariate(
    "multivariate_hypergeom", "m n", lambda x, m, n: log_binomial(m, x).sum(-1) - log_binomial(m.sum(-1), n), discrete=True,
    fixed="m n",
)  # fmt: skip
