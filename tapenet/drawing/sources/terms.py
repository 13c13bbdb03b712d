"""Terms: what a formula is read into, printed and differentiated from. The heads of the elementwise ones are primitives.

`term` makes one, in the form in which it is written: products are flat, signs stand in front, `a · (1/b)` is `a/b`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NamedTuple


class Term(NamedTuple):
    """A function of terms; a name or a number has its `value` instead."""

    head: str
    args: tuple[Term, ...] = ()
    value: object = None


def name(text: str) -> Term:
    """A variable."""
    return Term("name", (), text)


def number(value: object) -> Term:
    """A constant."""
    return Term("number", (), value)


ZERO, ONE, NONE = number(0), number(1), number(None)
#: What stands for something that is no mathematics: it has no text.
OPAQUE = Term("opaque")
COMPARISONS = frozenset({"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"})
#: Terms that are true or false.
TRUTHS = COMPARISONS | {"logical_and", "logical_or", "logical_not", "isnan", "isinf", "isfinite"}
#: What holds where a comparison does not.
_OPPOSITE = {"less": "greater_equal", "less_equal": "greater", "greater": "less_equal", "greater_equal": "less"}


def is_number(a: Term) -> bool:
    """Whether a term is a real number."""
    return a.head == "number" and isinstance(a.value, (int, float)) and not isinstance(a.value, bool)


def parts(a: Term) -> Iterator[Term]:
    """A term and all in it."""
    yield a
    for each in a.args:
        yield from parts(each)


def term(head: str, *args: Term, value: object = None) -> Term:
    """A function of terms, simplified."""
    make = _SIMPLER.get(head)
    return Term(head, args, value) if make is None else make(*args)


def _value(a: Term) -> float:
    assert isinstance(a.value, (int, float))
    return a.value


def _negative(a: Term) -> Term:
    if is_number(a):
        return number(-_value(a))
    if a.head == "negative":
        return a.args[0]
    if a.head in ("multiply", "divide") and is_number(a.args[0]):
        return term(a.head, _negative(a.args[0]), *a.args[1:])
    if a.head == "where" and any(is_number(x) or x.head == "where" for x in a.args[1:]):
        return term("where", a.args[0], *map(_negative, a.args[1:]))
    return Term("negative", (a,))


def _add(a: Term, b: Term) -> Term:
    if ZERO in (a, b):
        return b if a == ZERO else a
    if is_number(a) and is_number(b):
        return number(_value(a) + _value(b))
    if b.head == "negative":
        return term("subtract", a, b.args[0])
    if a.head == "negative":
        return term("subtract", b, a.args[0])
    if a.head == b.head == "where" and a.args[0] in (b.args[0], _opposite(b.args[0])):
        x, y = b.args[1:] if a.args[0] == b.args[0] else b.args[:0:-1]
        return _where(a.args[0], _add(a.args[1], x), _add(a.args[2], y))
    if b.head == "where" and set(_branches(b)) <= {ZERO, _negative(a)}:
        return _where(b.args[0], _add(a, b.args[1]), _add(a, b.args[2]))
    if is_number(b) and a.head == "exp":
        return Term("add", (b, a))
    if b.head == "divide" and b.args[0].head == "negative":
        return _subtract(a, _divide(b.args[0].args[0], b.args[1]))
    # ln(1 + e^z) without overflow
    for x, y in ((a, b), (b, a)):
        if x.head == "log" and y.head == "maximum" and y.args[1] == ZERO:
            z = y.args[0]
            if x.args[0] == Term("add", (ONE, Term("exp", (_negative(term("absolute", z)),)))):
                return term("log1p", Term("exp", (z,)))
    return Term("add", (a, b))


def _subtract(a: Term, b: Term) -> Term:
    if a == b:
        return ZERO
    if b == ZERO:
        return a
    if a == ZERO:
        return _negative(b)
    if b.head == "negative":
        return _add(a, b.args[0])
    if is_number(a) and is_number(b):
        return number(_value(a) - _value(b))
    if a.head == b.head == "where" and a.args[0] == b.args[0]:
        return term("where", a.args[0], _subtract(a.args[1], b.args[1]), _subtract(a.args[2], b.args[2]))
    if b.head == "where" and set(_branches(b)) <= {ZERO, a}:
        return _where(b.args[0], _subtract(a, b.args[1]), _subtract(a, b.args[2]))
    # min(x, 0) − ln(1 + e^(−|x|))
    if a.head == "minimum" and a.args[1] == ZERO:
        x = a.args[0]
        if b == Term("log", (Term("add", (ONE, Term("exp", (_negative(term("absolute", x)),)))),)):
            return Term("log", (Term("sigmoid", (x,)),))
    # x − max(x) − ln Σ e^(x − max(x))
    if a.head == "subtract" and b == Term("log", (Term("sum", (Term("exp", (a,)),)),)) and _largest(a):
        return Term("subtract", (a.args[0], Term("log", (Term("sum", (Term("exp", a.args[:1]),)),))))
    return Term("subtract", (a, b))


def _branches(a: Term) -> Iterator[Term]:
    """What a choice chooses from."""
    if a.head == "where":
        yield from _branches(a.args[1])
        yield from _branches(a.args[2])
    else:
        yield a


def _largest(a: Term) -> bool:
    """Whether a term is x − max(x)."""
    return a.head == "subtract" and a.args[1] == Term("max", a.args[:1])


def _factors(a: Term) -> tuple[Term, ...]:
    return a.args if a.head == "multiply" else (a,)


def _multiply(*args: Term) -> Term:
    if ZERO in args:
        return ZERO
    flat = [f for a in args for f in _factors(a)]
    truths = [f for f in flat if f.head in TRUTHS]
    if truths and len(truths) < len(flat):
        others = [f for f in flat if f.head not in TRUTHS]
        return term("where", functools.reduce(lambda a, b: term("logical_and", a, b), truths), _multiply(*others), ZERO)
    for i, f in enumerate(flat):  # a choice with 0 or 1 in it is made of the product
        if f.head == "where" and any(x in (ZERO, ONE) for x in f.args[1:]) and len(flat) > 1:
            others = flat[:i] + flat[i + 1 :]
            return term("where", f.args[0], *(_multiply(*others, x) for x in f.args[1:]))
    sign, factors, below = 1, [], []
    coefficient, scale = Fraction(1), 1.0
    for f in flat:
        if f.head == "negative":
            sign, f = -sign, f.args[0]
        if f.head == "divide":
            below.append(f.args[1])
            f = f.args[0]
        if f.head == "negative":
            sign, f = -sign, f.args[0]
        for part in _factors(f):
            if is_number(part) and _simple(_value(part)):
                coefficient *= Fraction(_value(part)).limit_denominator(1000)
            elif is_number(part):
                scale *= _value(part)
            elif part.head == "where" and any(x in (ZERO, ONE) for x in part.args[1:]):
                return _multiply(*(x for x in flat if x is not f), part)
            else:
                factors.append(part)
    if coefficient < 0:
        sign, coefficient = -sign, -coefficient
    factors = sorted(_powers(factors), key=lambda f: f != name("g"))
    for i, f in enumerate(factors):
        if sign < 0 and f.head == "subtract" and f.args[1] == ONE:  # −(a − 1)
            factors[i], sign = term("subtract", ONE, f.args[0]), 1
    if scale != 1:
        factors.insert(int(factors[:1] == [name("g")]), number(scale * float(coefficient)))
        coefficient = Fraction(1)
    if coefficient.denominator != 1:
        below.insert(0, number(coefficient.denominator))
    if coefficient.numerator != 1 or not factors:
        factors.insert(int(factors[:1] == [name("g")]), number(coefficient.numerator))
    made = factors[0] if len(factors) == 1 else Term("multiply", tuple(factors))
    if below:
        made = _divide(made, below[0] if len(below) == 1 else _multiply(*below))
    return made if sign > 0 else Term("negative", (made,))


def _simple(value: float) -> bool:
    return Fraction(value).limit_denominator(1000) == Fraction(value) or any(
        abs(value * n - int(value * n + 0.5)) < 1e-12 for n in (3, 6, 12)
    )


def _powers(factors: list[Term]) -> list[Term]:
    """Factors, those that are there several times as powers; (a − b) (a + b) as a² − b²."""
    counts: dict[Term, int] = {}
    for f in factors:
        base, count = (f.args[0], 2) if f.head == "square" else (f, 1)
        counts[base] = counts.get(base, 0) + count
    for a in list(counts):
        pair = Term("add", a.args)
        if a.head == "subtract" and counts.get(pair) == counts[a] == 1:
            del counts[a], counts[pair]
            counts[term("subtract", term("square", a.args[0]), term("square", a.args[1]))] = 1
    found = []
    for base, count in sorted(counts.items(), key=lambda pair: pair[0].head == "log" and is_number(pair[0].args[0])):
        found.append(base if count == 1 else term("square", base) if count == 2 else term("power", base, number(count)))
    return found


def _divide(a: Term, b: Term) -> Term:
    if b == ONE or a == ZERO:
        return a
    if a == b:
        return ONE
    if a.head == "sum" and b == name("N"):
        return term("mean", *a.args)
    if a.head == "exp" and b == Term("sum", (a,)) and _largest(a.args[0]):
        e = Term("exp", a.args[0].args[:1])
        return Term("divide", (e, Term("sum", (e,))))
    if b == ZERO:  # infinite, or nothing: it stays as it is written
        return Term("divide", (a, b))
    if a.head == "negative":
        return _negative(_divide(a.args[0], b))
    if b.head == "negative":
        return _negative(_divide(a, b.args[0]))
    if a.head == "divide":
        return _divide(a.args[0], _multiply(a.args[1], b))
    if b.head == "divide":
        return _divide(_multiply(a, b.args[1]), b.args[0])
    if is_number(a) and is_number(b):
        ratio = Fraction(_value(a) / _value(b)).limit_denominator(1000)
        if ratio.denominator == 1:
            return number(ratio.numerator)
        return Term("divide", (number(ratio.numerator), number(ratio.denominator)))
    if is_number(a) and _value(a) not in (0, 1) and Fraction(_value(a)).limit_denominator(1000).numerator == 1:
        return _divide(ONE, _multiply(number(Fraction(_value(a)).limit_denominator(1000).denominator), b))
    if is_number(a) and _value(a) < 0:
        return _negative(_divide(number(-_value(a)), b))
    # what stands above and below
    above, under = list(_factors(a)), list(_factors(b))
    numbers = [next((_value(f) for f in x if is_number(f)), 1) for x in (above, under)]
    if numbers[1] != 1 and (r := Fraction(numbers[0] / numbers[1]).limit_denominator(1000)).denominator != numbers[1]:
        above = [number(r.numerator), *(f for f in above if not is_number(f))]
        under = [number(r.denominator), *(f for f in under if not is_number(f))]
        return _divide(_multiply(*above), _multiply(*under))
    for factor in list(above):
        if factor in under and not is_number(factor):
            above.remove(factor)
            under.remove(factor)
    if len(under) < len(_factors(b)):
        return _divide(_multiply(*above) if above else ONE, _multiply(*under) if under else ONE)
    # e^z/(1 + e^z)
    for e in above:
        if e.head == "exp" and (whole := Term("add", (ONE, e))) in under:
            rest = [x for x in under if x != whole]
            made = _multiply(*(term("sigmoid", *e.args) if x is e else x for x in above))
            return _divide(made, _multiply(*rest)) if rest else made
    if b.head == "exp" and a == ONE:
        return term("exp", _negative(b.args[0]))
    return Term("divide", (a, b))


def _opposite(a: Term) -> Term:
    """What holds where a comparison does not; nothing for other terms."""
    return Term(_OPPOSITE[a.head], a.args) if a.head in _OPPOSITE else OPAQUE


def _given(a: Term, condition: Term, opposite: Term, holds: bool) -> Term:
    """A term where it is known whether a condition holds."""
    if a.head == "where" and a.args[0] in (condition, opposite):
        return _given(a.args[1 if holds == (a.args[0] == condition) else 2], condition, opposite, holds)
    return term(a.head, *(_given(x, condition, opposite, holds) for x in a.args), value=a.value) if a.args else a


def _where(condition: Term, a: Term, b: Term) -> Term:
    if condition.head == "logical_not":
        return _where(condition.args[0], b, a)
    opposite = _opposite(condition)
    a, b = _given(a, condition, opposite, True), _given(b, condition, opposite, False)
    if a == b:
        return a
    if condition.head == "equal" and b == condition.args[0] and is_number(condition.args[1]) and is_number(a):
        return b  # a guard
    if opposite != OPAQUE and is_number(a) and not is_number(b) and b.head != "where":
        return Term("where", (opposite, b, a))
    return Term("where", (condition, a, b))


def merged(a: Term) -> Term:
    """A choice with its conditions put together, where it is 0 otherwise."""
    condition, yes, no = a.args
    if yes == ZERO and no.head == "where" and no.args[2] == ZERO and _opposite(condition) != OPAQUE:
        condition, yes, no = _opposite(condition), no, ZERO
    while no == ZERO and yes.head == "where" and yes.args[2] == ZERO:
        condition, yes = Term("logical_and", (condition, yes.args[0])), yes.args[1]
    return Term("where", (condition, yes, no))


def _power(a: Term, b: Term) -> Term:
    if b == number(2):
        return term("square", a)
    if b == number(0.5):
        return term("sqrt", a)
    if b == ONE:
        return a
    if b == number(-1):
        return _divide(ONE, a)
    return Term("power", (a, b))


def _square(a: Term) -> Term:
    if is_number(a):
        return number(_value(a) ** 2)
    if a.head == "negative":
        return _square(a.args[0])
    if a.head == "sqrt":
        return a.args[0]
    if a.head == "hypot":
        return Term("add", (_square(a.args[0]), _square(a.args[1])))
    if a.head == "divide":
        return _divide(*map(_square, a.args))
    return Term("square", (a,))


def _log(a: Term) -> Term:
    return a.args[0] if a.head == "exp" else Term("log", (a,))


def _logaddexp(a: Term, b: Term) -> Term:
    if ZERO in (a, b):
        return term("log1p", term("exp", b if a == ZERO else a))
    return Term("log", (Term("add", (Term("exp", (a,)), Term("exp", (b,)))),))


def _clip(a: Term, low: Term = NONE, high: Term = NONE) -> Term:
    made = a if low == NONE else term("maximum", a, low)
    return made if high == NONE else term("minimum", made, high)


def _sum(head: str, a: Term) -> Term:
    """A sum or mean, signs and numbers in front of it."""
    if a.head == "negative":
        return _negative(term(head, *a.args))
    above, below = a.args if a.head == "divide" else (a, ONE)
    numbers = [next((f for f in _factors(x) if is_number(f)), ONE) for x in (above, below)]
    if numbers == [ONE, ONE] or is_number(a):
        return Term(head, (a,))
    rest = [_multiply(ONE, *(f for f in _factors(x) if f not in numbers)) for x in (above, below)]
    return _multiply(_divide(*numbers), term(head, _divide(*rest)))


def _mean(a: Term) -> Term:
    # mean((x − mean(x))²)
    if a.head == "square" and a.args[0].head == "subtract" and a.args[0].args[1] == Term("mean", a.args[0].args[:1]):
        return Term("var", a.args[0].args[:1])
    return _sum("mean", a)


def _transpose(a: Term) -> Term:
    return a.args[0] if a.head == "transpose" else Term("transpose", (a,))


def _maximum(a: Term, b: Term) -> Term:
    # a limit that keeps a number from overflowing
    return a if b == OPAQUE else Term("maximum", (a, b))


def _hypot(a: Term, b: Term) -> Term:
    return Term("hypot", tuple(sorted((a, b), key=str)))


def factored(a: Term) -> Term:
    """A sum of products as a product, if they have factors or a divisor in common."""
    summands = [(sign, x.args[0], x.args[1]) if x.head == "divide" else (sign, x, ONE) for sign, x in _summands(a)]
    below = {x[2] for x in summands}
    shared = [f for f in _factors(summands[0][1]) if all(f in _factors(x[1]) for x in summands)]
    if len(summands) < 2 or len(below) > 1 or not shared:
        return a
    made = ZERO
    for sign, x, _ in summands:
        left = [f for f in _factors(x) if f not in shared]
        made = term("add" if sign > 0 else "subtract", made, _multiply(*left) if left else ONE)
    return _divide(_multiply(*shared, made), below.pop())


def _summands(a: Term, sign: int = 1) -> Iterator[tuple[int, Term]]:
    if a.head in ("add", "subtract"):
        yield from _summands(a.args[0], sign)
        yield from _summands(a.args[1], sign if a.head == "add" else -sign)
    elif a.head == "negative":
        yield from _summands(a.args[0], -sign)
    else:
        yield sign, a


_SIMPLER: dict[str, Callable[..., Term]] = {
    "maximum": _maximum,
    "hypot": _hypot,
    "ldexp": lambda a, b: _multiply(a, Term("exp2", (b,))),
    "left_shift": lambda a, b: _multiply(a, Term("exp2", (b,))),
    "right_shift": lambda a, b: Term("floor_divide", (a, Term("exp2", (b,)))),
    "degrees": lambda a: _divide(_multiply(a, number(180)), name("π")),
    "radians": lambda a: _divide(_multiply(a, name("π")), number(180)),
    "float_power": _power,
    "logaddexp2": lambda a, b: Term("log2", (Term("add", (Term("exp2", (a,)), Term("exp2", (b,)))),)),
    "negative": _negative,
    "positive": lambda a: a,
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "safe_mul": _multiply,
    "divide": _divide,
    "reciprocal": lambda a: _divide(ONE, a),
    "where": _where,
    "power": _power,
    "square": _square,
    "log": _log,
    "logaddexp": _logaddexp,
    "expm1": lambda a: Term("subtract", (Term("exp", (a,)), ONE)),
    "log1p": lambda a: Term("log", (_add(ONE, a),)),
    "erfc": lambda a: Term("subtract", (ONE, Term("erf", (a,)))),
    "fabs": lambda a: term("absolute", a),
    "absolute": lambda a: Term("absolute", a.args if a.head == "negative" else (a,)),
    "clip": _clip,
    "reshape": lambda a, *shape: Term("reshape", (a,)),
    "mean": _mean,
    "sum": functools.partial(_sum, "sum"),
    "transpose": _transpose,
}
