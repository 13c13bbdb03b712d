"""Functions and their inverses by any argument, which share what is known of the derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tapenet.ops.op import Op
from tapenet.special.definition import Rule, special
from tapenet.typing import Array

Slope = Callable[..., Array]
#: Rules have names for what they ask; these give that on by position, to a function of the op's arguments, and of the output.
_OF_ARGUMENTS: dict[int, Callable[[Slope], Rule]] = {
    2: lambda f: lambda g, x, y: g * f(x, y),
    3: lambda f: lambda g, x, y, z: g * f(x, y, z),
    4: lambda f: lambda g, x, y, z, w: g * f(x, y, z, w),
}
_OF_ALL: dict[int, Callable[[Slope], Rule]] = {
    2: lambda f: lambda g, out, x, y: g * f(out, x, y),
    3: lambda f: lambda g, out, x, y, z: g * f(out, x, y, z),
    4: lambda f: lambda g, out, x, y, z, w: g * f(out, x, y, z, w),
}


def _defined(
    name: str, formula: str, arguments: list[str], whole: str, how: dict[str, str], rules: dict[str, Rule]
) -> Op:
    """The op, of rules by the names of the arguments, which are called x, y, z and w in it."""
    letters = dict(zip(arguments, "xyzw", strict=False))
    stepped = "".join(letters[n] for n in whole.split())
    ours = {letters[n]: rule for n, rule in rules.items() if letters[n] not in stepped}
    return special(
        name, formula, fixed="", whole=stepped, how={letters[n]: text for n, text in how.items() if n in rules}, **ours
    )


@dataclass(frozen=True)
class Law:
    """The derivatives of a function F.

    Attributes:
        slopes: by the name of each argument, in order, the derivative by it: a function of all arguments, made of ops.
        how: how these are computed, where it is no formula: as in `definition.HOW`, by these names.
    """

    slopes: dict[str, Slope]
    how: dict[str, str]

    def function(self, name: str, formula: str, sign: int = 1, whole: str = "") -> Op:
        """The op of a function of SciPy's.

        Args:
            name: SciPy's name.
            formula: the derivatives, in words for the documentation.
            sign: 1 if it is F, -1 if it is 1 - F.
            whole: the arguments that are rounded down to whole numbers.
        """
        names = list(self.slopes)

        def along(slope: Slope) -> Rule:
            def of(*args: Array) -> Array:
                return sign * slope(*self._stepped(dict(zip(names, args, strict=True)), whole))

            return _OF_ARGUMENTS[len(names)](of)

        rules = {argument: along(slope) for argument, slope in self.slopes.items()}
        how = {argument: text for argument, text in self.how.items() if argument not in whole.split()}
        return _defined(name, formula, names, whole, how, rules)

    def inverse(
        self,
        name: str,
        arguments: str,
        sign: int = 1,
        *,
        whole: str = "",
        beside: Callable[..., tuple[Array, ...]] = lambda *_: (),
    ) -> Op:
        """The op of a function of SciPy's that finds an argument of F.

        Its derivatives are those of implicit functions: where F keeps its value, 0 = F_a da + F_x dx.

        Args:
            name: SciPy's name.
            arguments: its arguments: those of F, without that which it finds, and `value`.
            sign: 1 if it solves F = value, -1 if it solves 1 - F = value.
            whole: the arguments that are rounded down to whole numbers.
            beside: what the slopes are given behind the arguments, a function of the op's.
        """
        given = arguments.split()
        (solved,) = self.slopes.keys() - set(given)

        def slope(by: str) -> Slope:
            def of(out: Array, *args: Array) -> Array:
                known = dict(zip(given, args, strict=True)) | {solved: out}
                at = [*self._stepped(known, whole), *beside(*args)]
                down = self.slopes[solved](*at)
                if by == "value":
                    return sign / down
                up = self.slopes[by](*at)
                return -up / np.where((up == 0) & (down == 0), 1, down)  # 0 where both are, as at an end

            return of

        rules = {by: _OF_ALL[len(given)](slope(by)) for by in given}
        kind = self.how.get(solved, "formula")
        how = {by: text for by in given if (text := self.how.get(by, kind)) != "formula" and by not in whole.split()}
        formula = (
            f"that of an implicit function, where F({', '.join(self.slopes)}) is {'' if sign == 1 else '1 - '}value"
        )
        return _defined(name, formula, given, whole, how, rules)

    def _stepped(self, known: dict[str, Array], whole: str) -> list[Array]:
        """The arguments of F, in order."""
        return [np.floor(known[n]) if n in whole.split() else known[n] for n in self.slopes]
