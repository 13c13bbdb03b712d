"""Ops of tapenet's own that programs call: of little they give their own memory, of much they compute where they are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn

pytest.importorskip("llvmlite")

from tapenet.program.native.memory import LITTLE

R = np.random.default_rng(5)


def _eig(x: Any) -> tuple[Any, Any]:
    """Vectors with their first number above 0: LAPACK's signs depend on where a matrix lies in memory."""
    values, vectors = np.linalg.eig(x)
    return values, vectors * np.sign(vectors[:1])


#: Functions of a matrix in which ops are called: alone, in a row, beside kernels, of several results.
FUNCTIONS = {
    "alone": lambda x: np.unwrap(x),
    "in a row": lambda x: np.unwrap(np.i0(x * 2)) + 1,
    "several results": lambda x: (*_eig(x @ x.T + np.eye(len(x))), x + 1),
    "a number": lambda x: np.array_equiv(x, x) * x,
    "a view of its argument": lambda x: np.trim_zeros(x.reshape(-1)) + 0,
    "twice": lambda x: (np.i0(x), np.i0(x)),
}


def source(f: Any) -> str:
    text: str = f.variants[-1].runner.source
    return text


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_of_each_call_are_its_own(name: str) -> None:
    function = FUNCTIONS[name]
    f = tn.compile(function)
    f(R.normal(size=(6, 6)))
    assert f.variants[0].called
    results = []
    for _ in range(4):
        x = R.normal(size=(6, 6))
        found = [np.asarray(r) for r in tn.tree.leaves(f(x))]
        results.append((x, found, [r.copy() for r in found]))
    for x, found, copies in results:
        expected = [np.asarray(r) for r in tn.tree.leaves(function(tn.tensor(x)))]
        for result, kept, wanted in zip(found, copies, expected, strict=True):
            np.testing.assert_array_equal(result, kept)
            assert (result.shape, result.dtype) == (wanted.shape, wanted.dtype)
            np.testing.assert_allclose(result, wanted, rtol=1e-10, atol=1e-12)
            assert result.flags.writeable
            assert not np.may_share_memory(result, x)


def test_a_call_of_little_takes_no_detour() -> None:
    """By a lock, a place for its result and BLAS's number of threads, which together take as long as many an op."""
    f = tn.compile(lambda x: np.unwrap(x))
    for size, detour in ((8, False), (int((LITTLE / 8) ** 0.5), True)):
        for _ in range(2):
            f(np.eye(size))
        assert ("lock" in source(f)) is detour


def test_errors_are_those_of_the_op_and_name_it() -> None:
    f = tn.compile(lambda x: np.linalg.eigvals(x) + 1)
    x = np.triu(R.normal(size=(3, 3)))  # of which values are real
    for _ in range(2):
        f(x)
    assert [c.op.name for c in f.variants[0].called] == ["eigvals"]
    with pytest.raises(np.linalg.LinAlgError, match="must not contain infs or NaNs") as caught:
        f(np.full((3, 3), np.nan))
    assert any("in a compiled program, at " in note for note in caught.value.__notes__)
    np.testing.assert_allclose(f(x).data, np.linalg.eigvals(x) + 1)


def test_a_loop_is_offered_no_place() -> None:
    """It may be where its first carry lies, which an op in its body reads."""
    layer = tn.nn.LSTM(20, 20, rng=0)

    def run(x: Any) -> Any:
        return tn.scan(lambda c, _: (layer(c)[0], None), x * 2, length=3)[0] * 3

    x = tn.tensor(np.random.default_rng(0).standard_normal((20, 8, 20)).astype("f"))
    with tn.no_grad():
        compiled = tn.compile(run, backend="native")
        compiled(x)
        np.testing.assert_allclose(compiled(x).numpy(), run(x).numpy(), rtol=1e-5, atol=1e-6)
