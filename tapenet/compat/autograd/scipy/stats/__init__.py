"""`scipy.stats`: the distributions that have gradients here, each a module of functions."""

from __future__ import annotations

import importlib
from types import ModuleType

_DISTRIBUTIONS = ("beta", "chi2", "dirichlet", "gamma", "multivariate_normal", "norm", "poisson", "t")


def __getattr__(name: str) -> ModuleType:
    if name not in _DISTRIBUTIONS:
        raise AttributeError(f"module {__name__!r} has no {name!r}, but {', '.join(_DISTRIBUTIONS)}")
    return importlib.import_module(f"{__name__}.{name}")
