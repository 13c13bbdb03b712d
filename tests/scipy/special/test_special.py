"""`tn.special` against SciPy and finite differences, and `scipy.special` on tensors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.names import homes
from tapenet.ops.op import Op
from tapenet.special import definition
from tapenet.testing import check_grads
from tests import special_table
from tests.scipy.special import cases

U = np.random.default_rng(0).uniform(0.15, 0.85, 6)
OPS = {
    name: op
    for name in homes("tapenet.special")
    if isinstance(op := getattr(tn.special, name), Op) and name not in ("diric", "sinc")
}
#: Those with arguments that have no derivative, which are numbers.
ORDERS = {name: [1.5] * (len(op.inputs) - len(cases.continuous(name))) for name, op in OPS.items()}
ORDERS["expn"] = [3]
_K, _N = np.array([0.0, 2.0, 5.0]), np.array([4, 7, 8])
_P, _Q = np.array([0.2, 0.5, 0.9]), np.array([0.4, 0.5, 0.6])
#: Arguments of those whose domain is another than (0, 1); those that are whole numbers, in front, have no derivative.
GIVEN: dict[str, list[Any]] = {
    **{key: [_K, _N, _P] for key in ["bdtr", "bdtrc", "bdtri"]},
    **{key: [_K.astype(int), _N, _P] for key in ["nbdtr", "nbdtrc", "nbdtri"]},
    **{key: [_P, _N + 0.0, _Q] for key in ["bdtrik", "nbdtrik"]},
    **{key: [_K + 1.0, _P, _Q] for key in ["bdtrin", "nbdtrin"]},
    "btdtria": [_P, np.array([1.5, 0.4, 3.0]), _Q],
    "pdtri": [_K.astype(int), _P],
    "pdtrik": [_P, np.array([3.0, 4.0, 5.0])],
    "fdtri": [_N + 0.0, _N + 1.5, _P],
    "fdtridfd": [np.array([2.0, 3.0, 4.0]), np.array([0.6, 0.7, 0.8]), np.array([2.0, 2.5, 2.0])],
    "chndtrinc": [np.array([3.0, 5.0]), np.array([2.0, 3.0]), np.array([0.3, 0.5])],
    "chndtridf": [np.array([3.0, 5.0]), np.array([0.3, 0.6]), np.array([1.5, 2.0])],
    "ncfdtri": [np.array([3.0]), np.array([2.0]), np.array([0.3]), np.array([0.4])],
    "ncfdtridfn": [np.array([0.4]), np.array([2.0]), np.array([0.3]), np.array([0.7])],
    "ncfdtridfd": [np.array([3.0]), np.array([0.4]), np.array([0.3]), np.array([0.7])],
    "ncfdtrinc": [np.array([3.0]), np.array([5.0]), np.array([0.4]), np.array([0.9])],
    "nctdtridf": [np.array([0.6]), np.array([0.5]), np.array([0.9])],
    "nctdtrit": [np.array([3.0]), np.array([0.5]), np.array([0.7])],
    "nctdtrinc": [np.array([3.0]), np.array([0.5]), np.array([0.9])],
    "ndtri_exp": [np.array([-30.0, -0.5, -0.01])],
    "smirnov": [np.array([3, 20, 100]), np.array([0.31, 0.12, 0.05])],
    "smirnovi": [np.array([3, 20, 100]), np.array([0.31, 0.12, 0.9])],
    "wofz": [np.array([1 + 0.2j, 10 + 1j, -3 - 1j])],
    "stdtridf": [np.array([0.9, 0.8, 0.05]), np.array([1.5, 1.0, -2.0])],
}
ORDERS |= {name: given[: len(ORDERS[name])] for name, given in GIVEN.items()}
#: Those that are compared with finite differences, since they are not with mpmath.
OTHERS = {name for name, op in OPS.items() if not (cases.REFERENCES / f"{op.name}.txt").exists() and len(op.inputs) < 5}
#: Those whose values have too few digits for that. `test_inverses.py` looks at their derivatives.
OTHERS -= {"ncfdtridfn", "ncfdtridfd", "ncfdtrinc"}


def _arguments(name: str) -> list[Any]:
    """Arguments of a function: those that its derivatives are compared at, or some in (0, 1)."""
    op, orders = OPS[name], ORDERS[name]
    if name in GIVEN:
        return GIVEN[name]
    if not (cases.REFERENCES / f"{OPS[name].name}.txt").exists():
        return [*orders, *(U + 0.1 * i for i in range(len(op.inputs) - len(orders)))]
    if len(op.inputs) == 5:  # with a characteristic value, as the function without it
        *parameters, x = _arguments(name.removesuffix("_cv"))
        return [*parameters, getattr(tn.special, f"{name[:3]}_cv")(*parameters), x]
    points = [row.point for row in cases.read(op.name).rows if not any(isinstance(x, complex) for x in row.point)]
    return cases.columns(points)


def _check(name: str, order: int) -> None:
    """The derivatives of each output against finite differences."""
    op, orders, arguments = OPS[name], ORDERS[name], _arguments(name)
    found = op(*arguments)
    for i in range(len(found) if isinstance(found, tuple) else 1):

        def f(*args: Any, i: int = i) -> Any:
            out = op(*orders, *args)
            return out[i] if isinstance(out, tuple) else out

        check_grads(f, arguments[len(orders) :], order=order)


@pytest.mark.parametrize("name", OPS)
def test_values(name: str) -> None:
    op, arguments = OPS[name], _arguments(name)
    theirs = definition.scipys(name)
    by = cases.continuous(name)
    leaves = [tn.tensor(a, requires_grad=True) if i in by else a for i, a in enumerate(arguments)]
    for f in (op, theirs if isinstance(theirs, np.ufunc) else op):  # SciPy's ask what stands for them
        found, expected = f(*leaves), theirs(*arguments)
        several = isinstance(expected, tuple)
        for got, value in zip(found if several else [found], expected if several else [expected], strict=True):
            assert isinstance(got, tn.Tensor)
            assert got.requires_grad
            np.testing.assert_array_equal(got.numpy(), value)
    narrow = [
        np.asarray(a).astype({"i": int, "f": np.float32, "c": np.complex64}[np.asarray(a).dtype.kind])
        for a in arguments
    ]
    found, expected = op(*map(tn.tensor, narrow)), theirs(*narrow)
    assert (found[0] if several else found).dtype == (expected[0] if several else expected).dtype
    assert f"scipy.special.{op.name}" in str(op.__doc__)


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_derivatives(name: str) -> None:
    _check(name, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OTHERS - {"gammasgn", "round"}))
def test_second_derivatives(name: str) -> None:
    _check(name, 2)


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
    if len(special_table.ufuncs()) == 232:  # another version of SciPy may have others, and calls arguments otherwise
        made, there = (re.sub(r"`\w+`(?=[:,])", "``", text) for text in (special_table.with_table(page), page))
        assert made == there, "python -m tests.special_table"


def test_an_order_has_no_derivative() -> None:
    n = tn.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"tn\.special\.expn has no derivative by its argument x, a whole number"):
        tn.special.expn(n, U[:2]).sum().backward()


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
