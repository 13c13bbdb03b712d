"""Forward mode and batching beside JAX, for every function of NumPy that both have."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.derived import Derived
from tapenet.ops.registry import Sample
from tapenet.program.trees import tree_leaves
from tests.ops.test_peers import (
    IN_JAX,
    NAMED,
    arguments,
    calls,
    cotangents,
    exceptions,
    inside,
    jax,  # noqa: F401  # a fixture
    question,
    with_arguments,
)
from tests.transforms.test_every_op import same

#: Results whose shapes depend on values: JAX has no `vmap` of them.
SIZED = {"roots", "setdiff1d", "setxor1d", "trim_zeros", "unique", "unique_all", "unique_values"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(IN_JAX) - SIZED))
def test_jvp_and_vmap_are_jaxs(name: str, jax: Any) -> None:  # noqa: F811
    op = NAMED[name]
    call = next(c for c in calls(name) if not exceptions(name, c))
    xs = arguments(call)
    options = {"inplace": False} if isinstance(op, Derived) and op.inplace else {}

    def run(f: Any, given: Any, call: Sample, **options: Any) -> list[Any]:
        made = with_arguments(call, given)
        return tree_leaves(question(name, f)(*made.args, **made.kwargs, **options))

    def ours(*given: Any) -> list[Any]:
        return [t for t in run(op.returning, given, call) if t.dtype.kind in "fc"]

    def jaxs(*given: Any) -> list[Any]:
        found = map(jax.numpy.asarray, run(inside(jax.numpy, name), given, call, **options))
        return [v for v in found if v.dtype.kind in "fc"]

    given, vs = [jax.numpy.asarray(x) for x in xs], cotangents(xs)
    lanes = [np.stack([x, x]) for x in xs]

    def both(*lanes: Any) -> Any:
        return jax.jvp(jaxs, tuple(given), tuple(vs))[1], jax.vmap(jaxs)(*lanes)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not jaxs(*given):
            return
        try:
            tangents, batch = jax.jit(both)(*lanes)
        except (jax.errors.JAXTypeError, jax.errors.JAXIndexError):  # it has to see values
            tangents, batch = both(*lanes)
        same(tn.jvp(ours, tuple(xs), tuple(vs))[1], tangents)
        same(tn.vmap(ours)(*lanes), batch)
