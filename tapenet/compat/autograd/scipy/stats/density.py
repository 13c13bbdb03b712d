"""What the distributions share: SciPy's function where no tensor is given, and a formula where one is."""

from __future__ import annotations

import functools
import importlib

from tapenet.compat.autograd.values import Function, holds_tensor


def of_scipy(formula: Function) -> Function:
    """A formula in place of which SciPy's function of that name is called on arrays: the two have the same arguments, and the
    formula need not look after values outside of the domain. The module of the formula is named like the distribution."""
    distribution = formula.__module__.rpartition(".")[2]

    @functools.wraps(formula)
    def chosen(*args: object, **kwargs: object) -> object:
        if holds_tensor(args) or holds_tensor(kwargs):
            return formula(*args, **kwargs)
        stats = importlib.import_module("scipy.stats")
        return getattr(getattr(stats, distribution), formula.__name__)(*args, **kwargs)

    return chosen
