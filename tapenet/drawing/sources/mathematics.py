"""What an op computes and its gradient rules, as mathematics: read from the Python of its forward and of its rules.

Where an op gives no rule, the derivative of the term it computes is written, if that is short enough to read.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import re
from collections.abc import Iterable, Mapping

from tapenet.drawing.sources.formula_terms import Unreadable, forward, read, usual
from tapenet.drawing.sources.notation import Unwritten, has_notation, summary, written
from tapenet.drawing.sources.terms import ONE, TRUTHS, ZERO, Term, factored, name, number, parts, term
from tapenet.drawing.text import clean
from tapenet.ops.formula import Derived
from tapenet.ops.op import Op, flat
from tapenet.ops.transposed import Transposed
from tapenet.program.derivatives import FLAT, RULES, arguments

#: Longer derivatives are not written: there are shorter ways to say them.
READABLE = 90
#: All texts that are longer are cut.
LIMIT = 200
#: What is said of other derivatives.
DERIVED, TRANSPOSED = "derived from the formula", "the transpose of jvp"
#: What is said beside the rules of an op with `once=True`.
FIRST = " (first derivatives alone)"
#: Functions of which one element depends on several.
_SHARED = frozenset({"sum", "mean", "var", "matmul", "transpose"})


@functools.lru_cache(maxsize=1024)
def formula(op: Op) -> str:
    """What an op computes, in one line: as it states itself, or as its forward is read; else its documentation's first
    sentence, or its call.

    >>> import numpy as np, tapenet as tn
    >>> formula(tn.matmul), formula(tn.op(lambda x: np.logaddexp(0, x), name="softplus"))
    ('x @ y', 'ln(1 + eˣ)')
    """
    text = op.formula or _formula(op) or summary(op.__doc__).replace("`", "")
    return clean(text or call(op.name, (a.name for a in op.arguments)), LIMIT)


def _formula(op: Op) -> str:
    with contextlib.suppress(Unreadable, Unwritten, RecursionError):
        made = forward(op)
        return written(made) if has_notation(made) or not op.__doc__ else ""
    return ""


@functools.lru_cache(maxsize=1024)
def gradient_rules(op: Op) -> dict[str, str]:
    """The rule of each differentiable input of an op, in one line, by the input's name: as the op states it, or as the rule
    is read; else its call.

    >>> import numpy as np, tapenet as tn
    >>> gradient_rules(tn.multiply), gradient_rules(tn.op(lambda x: np.logaddexp(0, x), name="softplus"))
    ({'x': 'g · y', 'y': 'g · x'}, {'x': 'g · σ(x)'})
    """
    texts = _stated(op)
    if not texts.keys() >= set(op.differentiable):
        texts = _called(op) | _rules(op) | texts
    return {n: clean(texts[n], LIMIT) + (FIRST if op.once else "") for n in op.differentiable}


def _stated(op: Op) -> dict[str, str]:
    """What `gradients=` says of each input that it names; of the only input, whether it names it or not."""
    text = op.gradients or ""
    if not text:
        return {}
    names = "|".join(op.differentiable)
    _, *parts = re.split(rf"(?:^|;)\s*({names})\s*:", text) if names else [text]
    if not parts and text and len(op.differentiable) == 1:
        return {op.differentiable[0]: text.strip()}
    return {n: said.strip() for n, said in zip(parts[::2], parts[1::2], strict=True) if said.strip()}


def _called(op: Op) -> dict[str, str]:
    """The call of the rule of each input; of one that was derived, that it was."""
    found = {}
    for n in op.differentiable:
        rule = op.joint or op.rules[n]
        title = getattr(rule, "__name__", type(rule).__name__)
        title = "rule" if title == "<lambda>" else title
        if op.joint:
            title = "joint rule" if title == "rule" else f"joint rule {title}"
        text = DERIVED if isinstance(rule, Derived) else TRANSPOSED if isinstance(rule, Transposed) else ""
        found[n] = text or call(title, op.needs["" if op.joint else n])
    return found


def call(title: str, arguments: Iterable[str]) -> str:
    """A call as text."""
    return f"{title}({', '.join(arguments)})"


def rule_terms(op: Op) -> dict[str, Term]:
    """The rule of each input that can be read, by the input's name."""
    found: dict[str, Term] = {}
    with contextlib.suppress(Unreadable, RecursionError):
        if isinstance(op.joint, Derived):
            found = _derived(op, op.differentiable)
        elif op.joint is not None:
            made = read(op.joint, _named(op, ""), usual(op))
            if made.head == "dict" and isinstance(made.value, tuple):
                found = dict(zip(made.value, made.args, strict=True))
        elif derived := [n for n, rule in op.rules.items() if isinstance(rule, Derived)]:
            found = _derived(op, derived)
    for n, rule in op.rules.items():
        if rule is flat:
            found[n] = name("0 · g")
        elif not isinstance(rule, Derived):
            with contextlib.suppress(Unreadable, RecursionError):
                found[n] = read(rule, _named(op, n), usual(op))
    return found


def _rules(op: Op) -> dict[str, str]:
    """The rules that can be read and written, as texts."""
    texts = {}
    for n, a in rule_terms(op).items():
        with contextlib.suppress(Unwritten, RecursionError):
            text = written(factored(a))
            if len(text) <= READABLE or not isinstance(op.joint or op.rules[n], Derived):
                texts[n] = text
    return texts


def _named(op: Op, n: str) -> Mapping[str, Term]:
    """What a rule is given, by name."""
    return {need: name(need) for need in op.needs[n]}


def _derived(op: Op, wanted: Iterable[str]) -> dict[str, Term]:
    """The gradients of the term that an op computes by names in it."""
    made, g, out = forward(op), name(op.special.g), name(op.special.out)
    if any(part.head == "local" for part in parts(made)):  # what is behind that is not known
        return {}
    found: dict[str, Term] = {}
    for n in wanted:
        with contextlib.suppress(Unreadable):
            found[n] = _pulled(made, g, n, out, True)
    return found


def _pulled(a: Term, g: Term, n: str, out: Term, alone: bool) -> Term:
    """The gradient by a name of what a term adds to it.

    Args:
        a: the term.
        g: the gradient by it.
        n: the name.
        out: how the value of the term is written.
        alone: whether no array stands beside the term in what it is part of. If one does, a sum in the term is repeated for
            the elements of that, and its gradient is a sum over them.
    """
    if a.head == "name":
        return g if a.value == n else ZERO
    if a.head == "where" and not any(p.head in _SHARED for p in parts(a)):  # what is chosen, not a choice of gradients
        return term("where", a.args[0], *(_pulled(x, g, n, x, False) for x in a.args[1:]))
    made = ZERO
    for i, x in enumerate(a.args):
        if not _depends(x, n) or a.head in FLAT or a.head in TRUTHS or (a.head == "where" and i == 0):
            continue
        beside = any(_depends(y) for j, y in enumerate(a.args) if j != i)
        made = term("add", made, _pulled(x, _through(a, i, g, out, alone), n, x, alone and not beside))
    return made


def _depends(a: Term, n: str | None = None) -> bool:
    """Whether a name is in a term; any but N, where none is given."""
    return any(p.head == "name" and (p.value == n if n else p.value != "N") for p in parts(a))


def _through(a: Term, i: int, g: Term, out: Term, alone: bool) -> Term:
    """The gradient by an argument of a term."""
    if a.head == "multiply":
        return term("multiply", g, *(x for j, x in enumerate(a.args) if j != i))
    if a.head == "reshape":
        return g
    if a.head == "sum":
        return g if alone else term("sum", g)
    if a.head == "mean":
        return term("divide", g, name("N")) if alone else term("mean", g)
    if a.head == "var":
        distance = term("subtract", a.args[0], term("mean", a.args[0]))
        return term("multiply", _through(Term("mean", a.args), 0, g, out, alone), number(2), distance)
    if a.head == "transpose":
        return term("transpose", g)
    if a.head == "sigmoid":
        return term("multiply", g, out, term("subtract", ONE, out))
    if a.head == "matmul":
        other = term("transpose", a.args[1 - i])
        return term("matmul", g, other) if i == 0 else term("matmul", other, g)
    names = arguments(a.head)
    rule = RULES.get(a.head, {}).get(names[i] if i < len(names) else "")
    if rule is None:
        raise Unreadable(a.head)
    given = dict(zip(names, a.args, strict=False)) | {"g": g, "out": out}
    asked = inspect.signature(rule).parameters
    return read(rule, {n: given.get(n, ZERO) for n in asked})
