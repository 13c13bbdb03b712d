"""What is written of an op is what it computes: the terms that are read of forwards and rules are evaluated."""

import math

import numpy as np
from scipy.special import erf, expit, ndtr

import tapenet as tn
from tapenet.drawing.sources.formula_terms import Unreadable, forward
from tapenet.drawing.sources.mathematics import rule_terms
from tapenet.drawing.sources.notation import has_notation
from tapenet.drawing.sources.terms import Term, factored
from tapenet.ops.op import Op
from tapenet.ops.registry import everything, registry

everything()
OPS = [op for key, op in sorted(registry.items()) if isinstance(op, Op) and key.startswith("tapenet.ops.")]
_HEADS = {"erf": erf, "normal_cdf": ndtr, "sigmoid": expit, "conjugate": np.conjugate}


class Unknown(Exception):
    """There is no value for a term."""


def value(a: Term, known: dict, sums: dict):
    """A term with numbers in the place of names."""
    if a.head == "name":
        if a.value in known:
            return known[a.value]
        raise Unknown(a.value)
    if a.head == "number":
        if not isinstance(a.value, (int, float, complex)):
            raise Unknown(a.value)
        return a.value
    args = [value(x, known, sums) for x in a.args]
    if a.head == "multiply":
        return math.prod(args)
    if a.head in ("sum", "mean", "var", "max"):
        return getattr(np, a.head)(args[0], **sums)
    found = _HEADS.get(a.head) or getattr(np, a.head, None)
    if isinstance(found, np.ufunc) or found is np.where or a.head in _HEADS:
        return found(*args)
    raise Unknown(a.head)


def check(op: Op) -> tuple[int, int]:
    """Compare the values and gradients of an op with what its terms give; how many could be compared."""
    call = op.samples(np.random.default_rng(3))[0]
    names = [a.name for a in op.arguments]
    known = {a.name: a.default for a in op.arguments if isinstance(a.default, (int, float))} | {"π": math.pi}
    known |= dict(zip(names, call.args, strict=False)) | call.kwargs
    first = next((x for x in known.values() if isinstance(x, np.ndarray)), None)
    if first is None or first.dtype.kind != "f":  # of complex numbers rules give the conjugate
        raise Unknown("real numbers")
    known["N"] = first.size
    arrays = [n for n in op.differentiable if isinstance(known.get(n), np.ndarray) and known[n].dtype.kind == "f"]
    tensors = {n: tn.tensor(known[n], requires_grad=True) for n in arrays}
    out = op(*(tensors.get(n, a) for n, a in zip(names, call.args, strict=False)), **call.kwargs)
    if not isinstance(out, tn.Tensor):
        raise Unknown("several outputs")
    sums = {"axis": -1, "keepdims": True} if out.ndim else {}
    with np.errstate(all="ignore"):
        try:
            if not has_notation(a := forward(op)):
                raise Unknown("a view")
            made = value(a, known, sums)
            made = np.reshape(made, out.shape) if np.size(made) == out.size else made  # an axis that a sum has kept
            np.testing.assert_allclose(made, out.numpy(), rtol=1e-9, atol=1e-12, err_msg=str(op))
            counts = [1, 0]
        except (Unknown, Unreadable, ValueError):  # shapes do not fit: what is written does not say where a sum goes
            counts = [0, 0]
        if not out.requires_grad:
            return counts[0], 0
        g = np.random.default_rng(4).normal(size=out.shape)
        out.backward(g)
        for n, a in rule_terms(op).items():
            try:
                made = value(factored(a), known | {"g": g, "out": out.numpy()}, sums)
            except (Unknown, ValueError):
                continue
            if n in tensors and np.shape(made) == tensors[n].shape == out.shape:
                np.testing.assert_allclose(made, tensors[n].grad.numpy(), rtol=1e-7, atol=1e-9, err_msg=f"{op} by {n}")
                counts[1] += 1
    return counts[0], counts[1]


def test_terms_have_the_values_of_the_ops() -> None:
    formulas = gradients = 0
    for op in OPS:
        if op.samples is None or op.random or op.effect:
            continue
        try:
            values, pulled = check(op)
        except Unknown:
            continue
        formulas += values
        gradients += pulled
    assert formulas >= 80
    assert gradients >= 90
