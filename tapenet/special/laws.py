"""Functions and their inverses by any argument, which share what is known of the derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tapenet.ops.op import Op
from tapenet.special.definition import Rule, special
from tapenet.typing import Array

#: Rules have names for what they ask; these give that on by position, to a function of the op's arguments, and of the output.
_OF_ARGUMENTS: dict[int, Callable[[Callable[..., Array]], Rule]] = {
    1: lambda f: lambda g, x: g * f(x),
    2: lambda f: lambda g, x, y: g * f(x, y),
    3: lambda f: lambda g, x, y, z: g * f(x, y, z),
    4: lambda f: lambda g, x, y, z, w: g * f(x, y, z, w),
}
_OF_ALL: dict[int, Callable[[Callable[..., Array]], Rule]] = {
    1: lambda f: lambda g, out, x: g * f(out, x),
    2: lambda f: lambda g, out, x, y: g * f(out, x, y),
    3: lambda f: lambda g, out, x, y, z: g * f(out, x, y, z),
    4: lambda f: lambda g, out, x, y, z, w: g * f(out, x, y, z, w),
}


@dataclass(frozen=True)
class Law:
    """The derivatives of a function F.

    Attributes:
        slopes: by the name of each argument, in order, the derivative by it: a function of all arguments, made of ops.
        how: how these are computed, where it is no formula: as in `definition.HOW`, by these names.
    """

    slopes: dict[str, Callable[..., Array]]
    how: dict[str, str]

    def function(self, name: str, formula: str, sign: int = 1, **given: Rule) -> Op:
        """The op of SciPy's function `name`, which is F, or 1 - F if `sign` is -1; with rules of its own where `given`."""

        def along(slope: Callable[..., Array]) -> Rule:
            return _OF_ARGUMENTS[len(self.slopes)](slope if sign == 1 else lambda *args: -slope(*args))

        letters = dict(zip(self.slopes, "xyzw", strict=False))
        rules = {letters[argument]: along(slope) for argument, slope in self.slopes.items()}
        how = {letters[argument]: text for argument, text in self.how.items()}
        return special(name, formula, how=how, fixed="", whole="", **rules | given)

    def inverse(
        self, name: str, arguments: str, sign: int = 1, beside: Callable[..., tuple[Array, ...]] = lambda *_: ()
    ) -> Op:
        """The op of SciPy's function `name`, which finds that argument of F which it does not have itself: it solves F = p, or
        1 - F = p if `sign` is -1.

        Its derivatives are those of implicit functions: F being constant, 0 = F_a da + F_x dx.

        Args:
            name: SciPy's name.
            arguments: its arguments, by the names of those of F, and p.
            sign: what is solved.
            beside: what the slopes are given behind the arguments, a function of the op's.
        """
        given = arguments.split()
        (solved,) = self.slopes.keys() - set(given)

        def slope(by: str) -> Callable[..., Array]:
            def of(out: Array, *args: Array) -> Array:
                known = dict(zip(given, args, strict=True)) | {solved: out}
                at = [*(known[argument] for argument in self.slopes), *beside(*args)]
                down = self.slopes[solved](*at)
                if by == "p":
                    return sign / down
                up = self.slopes[by](*at)
                return -up / np.where(up == 0, 1, down)  # 0 where both are, as at an end

            return of

        letters = dict(zip(given, "xyzw", strict=False))
        rules = {letters[by]: _OF_ALL[len(given)](slope(by)) for by in given}
        exact = self.how.get(solved, "formula")
        how = {letters[by]: found for by in given if (found := self.how.get(by, exact)) != "formula"}
        formula = (
            f"that of an implicit function, by those of F({', '.join(self.slopes)}) = {'p' if sign == 1 else '1 - p'}"
        )
        return special(name, formula, how=how, fixed="", whole="", **rules)
