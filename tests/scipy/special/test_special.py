"""`tn.special` against SciPy and finite differences, and `scipy.special` on tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.names import homes
from tapenet.ops.op import Op
from tapenet.special import definition
from tapenet.testing import check_grads
from tests import special_table

U = np.random.default_rng(0).uniform(0.15, 0.85, 6)
OPS = {
    name: op for name in homes("tapenet.special") if isinstance(op := getattr(tn.special, name), Op) and name != "sinc"
}
#: Those with orders in front, which are numbers.
ORDERS = {name: [1.5] * sum(rule.__name__ == "rule" for rule in op.rules.values()) for name, op in OPS.items()}
ORDERS["expn"] = [3]


@pytest.mark.parametrize("name", OPS)
def test_values_and_derivatives(name: str) -> None:
    op, orders = OPS[name], ORDERS[name]
    given = [U + 0.1 * i for i in range(len(op.inputs) - len(orders))]
    theirs = definition.scipys(name)
    leaves = [tn.tensor(a, requires_grad=True) for a in given]
    for f in (op, theirs if isinstance(theirs, np.ufunc) else op):  # SciPy's ask what stands for them
        found = f(*orders, *leaves)
        assert isinstance(found, tn.Tensor)
        assert found.requires_grad
        np.testing.assert_array_equal(found.numpy(), theirs(*orders, *given))
    narrow = [a.astype(np.float32) for a in given]
    assert op(*orders, *map(tn.tensor, narrow)).dtype == theirs(*orders, *narrow).dtype
    check_grads(lambda *arrays: op(*orders, *arrays), given, order=1)
    assert f"scipy.special.{op.name}" in str(op.__doc__)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*OPS} - {"gammasgn"}))
def test_second_derivatives(name: str) -> None:
    op, orders = OPS[name], ORDERS[name]
    given = [U + 0.1 * i for i in range(len(op.inputs) - len(orders))]
    check_grads(lambda *arrays: op(*orders, *arrays), given, order=2)


@pytest.mark.parametrize("name", ["exprel", "i1", "j1", "ellipk", "ellipe", "boxcox", "inv_boxcox1p", "spence"])
def test_where_the_formula_has_a_limit(name: str) -> None:
    at = np.array([1.0 if name == "spence" else 0.0])
    if "boxcox" in name:
        check_grads(OPS[name], [U[:1], at], order=1)
    else:
        check_grads(OPS[name], [at], order=1)


def test_functions_with_whole_numbers() -> None:
    import scipy.special

    for n in range(3):
        np.testing.assert_allclose(
            tn.special.polygamma(n, tn.tensor(U)).numpy(), scipy.special.polygamma(n, U), rtol=1e-13
        )
        check_grads(lambda x, n=n: tn.special.polygamma(n, x), [U], order=2)
    got = tn.special.multigammaln(tn.tensor(U + 3), 3)
    np.testing.assert_allclose(got.numpy(), scipy.special.multigammaln(U + 3, 3), rtol=1e-13)
    check_grads(lambda x: tn.special.multigammaln(x, 3), [U + 3], order=2)


def test_the_table_of_the_page_is_that_of_the_ops() -> None:
    page = special_table.PAGE.read_text(encoding="utf-8")
    if len(special_table.ufuncs()) == 232:  # those of another version of SciPy's may differ
        assert special_table.with_table(page) == page, "python -m tests.special_table"


def test_an_order_has_no_derivative() -> None:
    a = tn.tensor(U, requires_grad=True)
    with pytest.raises(TypeError, match=r"tn\.special\.gammainc has no derivative by its argument x, an order"):
        tn.special.gammainc(a, U).sum().backward()


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_compiled_and_over_lanes(backend: Any) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")

    def f(x: Any) -> Any:
        return (tn.special.betainc(2.0, 3.0, x) * tn.special.gammaln(x) + tn.special.j0(x)).sum()

    expected = tn.grad(f)(U)
    step = tn.compile(tn.grad(f), backend=backend)
    for _ in range(2):
        np.testing.assert_allclose(step(U).numpy(), expected.numpy(), rtol=1e-12)
    lanes = tn.vmap(lambda x: tn.special.erfcx(x) + tn.special.stdtr(3.0, x))(U)
    np.testing.assert_allclose(lanes.numpy(), (tn.special.erfcx(U) + tn.special.stdtr(3.0, U)))


def test_a_t_test_is_fitted_by_its_p_value() -> None:
    """The shift of one sample by which its mean differs from another's with p = 0.05."""
    x, y = np.random.default_rng(1).normal(size=(2, 20))

    def p(shift: Any) -> Any:
        d = x.mean() + shift - y.mean()
        t = d / np.sqrt((x.var(ddof=1) + y.var(ddof=1)) / 20)
        return 2 * tn.special.stdtr(38.0, -np.abs(t))

    shift = 1.0
    for _ in range(20):
        value, slope = tn.value_and_grad(lambda s: np.log(p(s)))(shift)
        shift -= (value.item() - np.log(0.05)) / slope.item()
    assert p(shift) == pytest.approx(0.05, rel=1e-12)
