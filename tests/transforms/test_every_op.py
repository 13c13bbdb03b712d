"""Forward mode of every op is the transpose of its gradients: ⟨u, J v⟩ = ⟨Jᵀ u, v⟩, on its samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.op import Op
from tapenet.ops.registry import Sample, registry
from tapenet.ops.signatures import bind
from tapenet.program.arguments import elements, mapped
from tests.program.differentiated import inner, like

OPS = {
    name: op
    for name, op in sorted(registry.items())
    if name.startswith("tapenet.ops.") and isinstance(op, Op) and op.differentiable and not (op.effect or op.random)
}
#: What is not held: results whose number of elements values say, real inputs of what computes with complex numbers, and an op
#: whose sample has integers alone.
OTHERS = {
    "tapenet.ops.calculus.polynomials.arithmetic.polydiv", "tapenet.ops.elementwise.complex.angle",
    "tapenet.ops.elementwise.complex.imag", "tapenet.ops.fft.transforms.fft", "tapenet.ops.fft.transforms.ifft",
    "tapenet.ops.fft.transforms.rfft", "tapenet.ops.fft.transforms.weighed", "tapenet.ops.linalg.factorizations.qr_raw",
}  # fmt: skip


def is_float(value: object) -> bool:
    return isinstance(value, (np.ndarray, tn.Tensor)) and value.dtype.kind == "f"


def held(op: Op, sample: Sample) -> bool:
    """Hold one call, by all of its arrays by which the op has a derivative. Whether there are any, real and finite."""
    if sample.kwargs.keys() - {a.name for a in op.arguments}:  # where=, axes= and the like, which other ops serve
        return False
    given = bind(op, sample.args, dict(sample.kwargs))
    arrays = [a for n in op.differentiable for a in elements(given[n]) if is_float(a)]
    everything = elements(given)
    if not arrays or any(isinstance(a, (np.ndarray, tn.Tensor)) and a.dtype.kind == "c" for a in everything):
        return False

    def f(xs: Any) -> list[Any]:
        rest = iter(xs)
        moved = {n: mapped(lambda a: next(rest) if is_float(a) else a, given[n]) for n in op.differentiable}
        values = given | moved
        options = {a.name: values[a.name] for a in op.arguments if a.keyword_only}
        return [
            t
            for t in elements(op(*(values[a.name] for a in op.arguments if not a.keyword_only), **options))
            if is_float(t)
        ]

    rng = np.random.default_rng(0)
    outs, pull = tn.vjp(f, arrays)
    if not outs or not all(np.isfinite(np.asarray(o)).all() for o in outs):
        return False
    v, u = like(arrays, rng), like(outs, rng)
    gradients = [np.asarray(g) for g in pull(u)]
    _, tangents = tn.jvp(f, (arrays,), (v,))
    assert [(t.shape, t.dtype) for t in tangents] == [(o.shape, o.dtype) for o in outs]
    size = sum(float(np.sum(np.abs(np.multiply(g, t, dtype=float)))) for g, t in zip(gradients, v, strict=True))
    eps = max(np.finfo(a.dtype).eps for a in (*arrays, *outs))
    np.testing.assert_allclose(
        inner([np.asarray(t) for t in tangents], u), inner(gradients, v), rtol=0, atol=200 * eps * (size + 1)
    )
    return True


HELD = [name for name in OPS if name not in OTHERS]


@pytest.mark.parametrize(
    "name", [n if i % 20 == 0 else pytest.param(n, marks=pytest.mark.slow) for i, n in enumerate(HELD)]
)
def test_forward_mode_is_the_transpose(name: str) -> None:
    op = OPS[name]
    assert op.samples is not None
    found = [held(op, sample) for sample in op.samples(np.random.default_rng(0))]
    assert any(found)
