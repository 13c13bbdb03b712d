"""Terms in the field's notation: `g · (1 − out²)`, `x where x > 0, else α · (eˣ − 1)`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping

from tapenet.drawing.sources.terms import (
    COMPARISONS,
    NONE,
    ONE,
    OPAQUE,
    ZERO,
    Term,
    is_number,
    merged,
    name,
    parts,
)
from tapenet.ops.op import Op

#: How tightly a text holds together.
_CHOICE, _TRUTH, _COMPARISON, _SUM, _PRODUCT, _FUNCTION, _POWER, _ATOM = range(8)

_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "lambd": "λ", "lambda_": "λ", "sigma": "σ", "mu": "μ", "theta": "θ",
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans("0123456789+-−abcdefghijklmnoprstuvwxyzαβγ", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵅᵝᵞ")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_FRACTIONS = {0.5: "½", 0.25: "¼", 0.75: "¾"}

#: Arguments that are not written in a call.
_OPTIONS = frozenset({
    "UPLO", "axes", "axis", "deg", "dtype", "equal_nan", "full_matrices", "hermitian", "keepdims", "kind", "mode", "n", "norm",
    "order", "rcond", "s", "tol", "where",
})  # fmt: skip
_INFIX = {
    "add": (" + ", _SUM), "subtract": (" − ", _SUM), "matmul": (" @ ", _PRODUCT), "equal": (" = ", _COMPARISON),
    "not_equal": (" ≠ ", _COMPARISON), "less": (" < ", _COMPARISON), "less_equal": (" ≤ ", _COMPARISON),
    "greater": (" > ", _COMPARISON), "greater_equal": (" ≥ ", _COMPARISON),
    "logical_or": (" or ", _TRUTH), "cross": (" × ", _PRODUCT),
}  # fmt: skip
#: Functions that are written before their argument, without parentheses where it is short.
_PREFIX = {
    "sin": "sin", "cos": "cos", "tan": "tan", "arcsin": "arcsin", "arccos": "arccos", "arctan": "arctan", "sinh": "sinh",
    "cosh": "cosh", "tanh": "tanh", "arcsinh": "arsinh", "arccosh": "arcosh", "arctanh": "artanh", "log": "ln",
    "log2": "log₂", "log10": "log₁₀", "real": "Re", "imag": "Im", "erf": "erf", "det": "det",
}  # fmt: skip
#: Functions with what is written around their arguments.
_PATTERNS = {
    "maximum": "max({0}, {1})", "minimum": "min({0}, {1})", "fmax": "max({0}, {1})", "fmin": "min({0}, {1})",
    "absolute": "|{0}|", "floor": "⌊{0}⌋", "ceil": "⌈{0}⌉", "conjugate": "conj({0})", "sigmoid": "σ({0})",
    "normal_cdf": "Φ({0})",
    "floor_divide": "⌊{0}/{1}⌋", "argmax": "argmax({0})", "argmin": "argmin({0})", "cross_product": "{0} × {1}",
}  # fmt: skip


#: Functions that are said in words, where they are all that is said.
_PHRASES = {
    "cumprod": "out[i] = {0}[0] · … · {0}[i]", "cumsum": "out[i] = {0}[0] + … + {0}[i]", "flip": "{0} in reverse order",
    "fft": "Σⱼ {0}ⱼ e^(−2πijk/n)", "ifft": "Σⱼ {0}ⱼ e^(2πijk/n) / n", "rfft": "Σⱼ {0}ⱼ e^(−2πijk/n), k from 0 to n/2",
    "moveaxis": "{0} with axes moved", "reshape": "{0} in another shape", "sliding_window_view": "the windows of {0}",
    "swapaxes": "{0} with two axes exchanged",
}  # fmt: skip
#: Functions that mathematics calls by the names they have here.
_NAMES = frozenset({"all", "any", "argmax", "argmin", "gcd", "lcm", "max", "min", "std", "var"})


class Unwritten(Exception):
    """A term has no text."""


def written(a: Term) -> str:
    """A term as text.

    Raises:
        Unwritten: something in it is no mathematics.

    >>> from tapenet.drawing.sources.terms import name, number, term
    >>> x = name("x")
    >>> written(term("divide", term("square", x), term("add", number(1), term("exp", term("negative", x)))))
    'x²/(1 + e⁻ˣ)'
    """
    if isinstance(a.value, Op):
        given = {x.name: NONE for x in a.value.arguments if x.default is None}
        given |= dict(zip((x.name for x in a.value.arguments), a.args, strict=False))
        if a.value.formula is not None:
            return _stated(a.value.formula, given)
        if any(f"`{n}`" in (found := summary(a.value.__doc__)) for n in given):
            return _stated(found, {f"`{n}`": x for n, x in given.items()})
    if a.head == "reshape" and a.args[0].head != "name":
        return _plain(a.args[0])
    if a.head in _PHRASES and len(a.args) >= _places(_PHRASES[a.head]):
        return _PHRASES[a.head].format(*(_inside(x, _SUM) for x in a.args[: _places(_PHRASES[a.head])]))
    return _plain(a)


def has_notation(a: Term) -> bool:
    """Whether a term is written in more than a name, of a variable or of a function."""
    known = (_INFIX, _PREFIX, _PATTERNS, _WRITERS, _PHRASES, _NAMES)
    return a.head not in ("name", "local") and any(a.head in names for names in known)


def _stated(formula: str, given: Mapping[str, Term]) -> str:
    """What another op says it computes, of these arguments."""
    for n, a in given.items():
        if a == NONE:
            formula = re.sub(rf",? \+ {n}\b", "", formula)
    return re.sub(
        r"`?[A-Za-z_]\w*`?", lambda found: _inside(given[found[0]], _POWER) if found[0] in given else found[0], formula
    )


def summary(doc: str | None) -> str:
    """The first sentence of a docstring, as a phrase."""
    paragraph = " ".join(inspect.cleandoc(doc or "").split("\n\n")[0].split())
    text = re.split(r"[.:;](?: |$)|, element by element", paragraph)[0]
    text = re.sub(r" \([^)]*$", "", text)  # where a sentence in parentheses has begun
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _plain(a: Term) -> str:
    return _text(a)[0]


def _places(pattern: str) -> int:
    """How many arguments a pattern takes."""
    return 1 + max(map(int, re.findall(r"{(\d)}", pattern)))


def _inside(a: Term, least: int) -> str:
    """A term within another, in parentheses if it holds together less."""
    text, level = _text(a)
    return text if level >= least else f"({text})"


def _text(a: Term) -> tuple[str, int]:
    if a == OPAQUE:
        raise Unwritten
    if a.head in _INFIX:
        sign, level = _INFIX[a.head]
        right = level if a.args[1].head == a.head == "matmul" else level + 1
        return f"{_inside(a.args[0], level)}{sign}{_inside(a.args[1], right)}", level
    if a.head in _PREFIX:
        return _applied(_PREFIX[a.head], a.args[0]), _FUNCTION
    if a.head in _PATTERNS:
        pattern = _PATTERNS[a.head]
        level = _POWER if "/" in pattern else _CHOICE
        return pattern.format(*(_inside(x, level) for x in a.args[: _places(pattern)])), _ATOM
    if a.head in _WRITERS:
        return _WRITERS[a.head](a)
    args = [x for x in a.args if x.value not in _OPTIONS] or a.args
    return f"{a.head}({', '.join(map(_plain, args))})", _ATOM


def _applied(function: str, a: Term) -> str:
    text, level = _text(a)
    if a.head == "sum":
        return f"{function} {text}"
    return f"{function} {text}" if level >= _POWER and not text.startswith("(") else f"{function}({text})"


def _name(a: Term) -> tuple[str, int]:
    text = str(a.value).lstrip("_")
    return _GREEK.get(text, text), _ATOM


def _number(a: Term) -> tuple[str, int]:
    if a.value in (1j, -1j):
        return ("i", _ATOM) if a.value == 1j else ("−i", _SUM)
    if not is_number(a):
        return str(a.value), _ATOM
    assert isinstance(a.value, (int, float))
    text = _FRACTIONS.get(abs(a.value)) or f"{abs(a.value):.5g}".replace("inf", "∞")
    return (text, _ATOM) if a.value >= 0 else (f"−{text}", _SUM)


def _product(a: Term) -> tuple[str, int]:
    written_so_far = ""
    factors = sorted(
        a.args,
        key=lambda f: (
            0 if f == name("g") or isinstance(f.value, complex) else 1 if is_number(f) else 3 - (f.value in _GREEK)
        ),
    )
    for i, factor in enumerate(factors):
        text = _inside(factor, _PRODUCT + 1 if i + 1 < len(factors) and factor.head != "divide" else _PRODUCT)
        if factor.head == "sum" and i + 1 < len(factors) and not text.startswith("("):
            text = f"({text})"
        before = factors[i - 1] if i else None
        if before is None:
            written_so_far = text
        elif is_number(before) and text not in "½¼¾":
            tight = len(str(before.value)) == 1 and len(text) <= 2 and text[0].isalpha()  # 2x, but 180 x
            written_so_far += text if tight else f" {text}"
        else:
            written_so_far += " · " + text
    return written_so_far, _PRODUCT


def _not(a: Term) -> tuple[str, int]:
    (inner,) = a.args
    if inner.head in _STATES:
        return f"{_inside(inner.args[0], _SUM)} is not {_STATES[inner.head]}", _COMPARISON
    return f"not {_inside(inner, _FUNCTION)}", _TRUTH


def _quotient(a: Term) -> tuple[str, int]:
    above, below = a.args
    if below.head == "sum":
        return f"{_inside(above, _PRODUCT)}/{_text(below)[0]}", _PRODUCT
    if above.head == "multiply":  # what is divided by is written beside the last factor
        *others, last = above.args
        if last.head not in ("sum", "where") and not is_number(others[-1]):
            front = (
                _product(Term("multiply", tuple(others)))[0] if len(others) > 1 else _inside(others[0], _PRODUCT + 1)
            )
            return f"{front} · {_inside(last, _FUNCTION)}/{_inside(below, _FUNCTION)}", _PRODUCT
    return f"{_inside(above, _PRODUCT)}/{_inside(below, _FUNCTION)}", _PRODUCT


def _superscript(text: str) -> str:
    """A text as an exponent, where there are letters for that; else nothing."""
    made = text.translate(_SUPERSCRIPTS)
    letters = sum(c.isalpha() for c in text)
    fits = all(m != c for m, c in zip(made, text, strict=True)) and letters <= 1
    return made if fits else ""


def _raised(base: str, exponent: Term) -> str:
    text, level = _text(exponent)
    small = _superscript(text.replace(" ", ""))
    if small:
        return base + small
    return f"{base}^{text}" if level == _ATOM else f"{base}^({text})"


def _power(a: Term) -> tuple[str, int]:
    return _raised(_inside(a.args[0], _ATOM), a.args[1]), _POWER


def _square(a: Term) -> tuple[str, int]:
    return _inside(a.args[0], _ATOM) + "²", _POWER


def _negative(a: Term) -> tuple[str, int]:
    return "−" + _inside(a.args[0], _PRODUCT), _SUM


def _root(sign: str) -> Callable[[Term], tuple[str, int]]:
    return lambda a: (sign + _inside(a.args[0], _ATOM), _POWER)


def _choice(a: Term) -> tuple[str, int]:
    condition, yes, no = merged(a).args
    if no == ZERO and condition in (Term("greater", (yes, ZERO)), Term("greater_equal", (yes, ZERO))):
        return f"max({_plain(yes)}, 0)", _ATOM
    holds = _plain(condition)
    if condition.head == "name" or condition.head == "item":
        holds += " holds"
    other = _plain(no)
    return f"{_inside(yes, _TRUTH)} where {holds}, {other if no.head == 'where' else f'else {other}'}", _CHOICE


def _sum(a: Term) -> tuple[str, int]:
    return "Σ " + _inside(a.args[0], _PRODUCT), _PRODUCT


def _statistic(word: str) -> Callable[[Term], tuple[str, int]]:
    return lambda a: (f"{word}({_plain(a.args[0])})", _ATOM)


def _both(a: Term) -> tuple[str, int]:
    """Two comparisons, as a chain where they share a term: a ≤ x ≤ b."""
    first, second = map(_rising, a.args)
    if first.head in COMPARISONS and second.head in COMPARISONS:
        for x, y in ((first, second), (second, first)):
            if x.args[1] == y.args[0] and {x.head, y.head} <= {"less", "less_equal"}:
                return _plain(x) + _INFIX[y.head][0] + _inside(y.args[1], _SUM), _COMPARISON
    return f"{_inside(a.args[0], _TRUTH)} and {_inside(a.args[1], _TRUTH)}", _TRUTH


def _rising(a: Term) -> Term:
    """A comparison that says less rather than greater."""
    return Term(a.head.replace("greater", "less"), a.args[::-1]) if a.head.startswith("greater") else a


def _scatter(a: Term) -> tuple[str, int]:
    places = "the places it came from" if OPAQUE in parts(a.args[0]) else _plain(a.args[0])
    return f"zeros with {_inside(a.args[1], _SUM)} added at {places}", _CHOICE


def _item(a: Term) -> tuple[str, int]:
    array, index = a.args
    if array.value in ("g", "out") and is_number(index):
        return f"{array.value}{_plain(index).translate(_SUBSCRIPTS)}", _ATOM
    return f"{_inside(array, _ATOM)}[{_plain(index)}]", _ATOM


def _slice(a: Term) -> tuple[str, int]:
    texts = ["" if part == NONE else _plain(part) for part in a.args]
    return ":".join(texts if len(texts) > 2 and texts[2] else texts[:2]), _ATOM


def _list(a: Term) -> tuple[str, int]:
    return ", ".join(map(_plain, a.args)), _CHOICE


def _exp(base: str) -> Callable[[Term], tuple[str, int]]:
    return lambda a: (base if a.args[0] == ONE else _raised(base, a.args[0]), _POWER)


#: What an element is, by the function that asks.
_STATES = {"isnan": "nan", "isinf": "infinite", "isfinite": "finite"}

_WRITERS: dict[str, Callable[[Term], tuple[str, int]]] = {
    "name": _name,
    "local": _name,
    "number": _number,
    "multiply": _product,
    "divide": _quotient,
    "power": _power,
    "square": _square,
    "negative": _negative,
    **{
        head: lambda a: (f"{_inside(a.args[0], _SUM)} is {_STATES[a.head]}", _COMPARISON)
        for head in _STATES
    },
    "sqrt": _root("√"),
    "cbrt": _root("∛"),
    "exp": _exp("e"),
    "exp2": _exp("2"),
    "logical_and": _both,
    "logical_not": _not,
    "reshape": lambda a: _text(a.args[0]),
    "where": _choice,
    "sum": _sum,
    "prod": lambda a: ("Π " + _inside(a.args[0], _PRODUCT), _PRODUCT),
    "transpose": lambda a: (_inside(a.args[0], _ATOM) + "ᵀ", _POWER),
    "inv": lambda a: (_inside(a.args[0], _ATOM) + "⁻¹", _POWER),
    "pinv": lambda a: (_inside(a.args[0], _ATOM) + "⁺", _POWER),
    "solve": lambda a: (f"{_inside(a.args[0], _ATOM)}⁻¹ @ {_inside(a.args[1], _PRODUCT + 1)}", _PRODUCT),
    "Scatter": _scatter,
    "item": _item,
    "slice": _slice,
    "indices": _list,
    "tuple": _list,
    "mean": _statistic("mean"),
    "hypot": lambda a: (f"√({_inside(a.args[0], _ATOM)}² + {_inside(a.args[1], _ATOM)}²)", _POWER),
    "remainder": lambda a: (
        f"{_inside(a.args[0], _SUM)} − {_inside(a.args[1], _FUNCTION)} · "
        f"⌊{_inside(a.args[0], _POWER)}/{_inside(a.args[1], _POWER)}⌋", _SUM,
    ),
}  # fmt: skip
