"""SciPy's functions as ops: the values are SciPy's own, by one call of it; derivatives, lanes and compiled programs are those
of a formula in terms of ops.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable

from tapenet.ops.op import Op, derive, op
from tapenet.special.definition import placed


@functools.cache
def scipys(name: str) -> Callable[..., object]:
    """A function of SciPy's by its name, such as "fft.dct".

    >>> scipys("signal.lfilter").__name__
    'lfilter'
    """
    module, _, function = name.rpartition(".")
    found: Callable[..., object] = getattr(importlib.import_module(f"scipy.{module}"), function)
    return found


def followed(
    theirs: str | Callable[..., object], *by: str, name: str | None = None, **options: object
) -> Callable[[Callable[..., object]], Op]:
    """A decorator that makes a formula the op of a function of SciPy's.

    The formula has the signature and, as its docstring, the documentation of the op. It is read on symbols, so it does not
    branch on values.

    Args:
        theirs: what gives the values: SciPy's function, by name, or one with the same arguments.
        *by: the inputs by which there are derivatives.
        name: what errors name. By default the formula's name; where that is a part of a public function, give the function's.
        **options: those of `tn.op`, rules too.
    """
    function = scipys(theirs) if isinstance(theirs, str) else theirs

    def define(formula: Callable[..., object]) -> Op:
        @functools.wraps(formula)
        def forward(*args: object, **kwargs: object) -> object:
            return function(*args, **kwargs)

        settings: dict[str, object] = {**dict.fromkeys(by, derive), **options}
        made: Op = op(
            forward, name=name or formula.__name__, lower=formula, fuse=False, **settings
        )  # values are never fused
        return placed(made, formula.__module__)

    return define
