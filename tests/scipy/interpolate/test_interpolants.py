"""Interpolants: SciPy's values; derivatives by values, points, knots and places; compiled, in lanes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.interpolate as si
from scipy.sparse.linalg import spsolve

import tapenet as tn
from tapenet.testing import check_grads

OURS = tn.scipy.interpolate
R = np.random.default_rng(0)
X, Y, MANY = np.sort(R.uniform(0, 5, 7)), R.normal(size=7), R.normal(size=(3, 7))
AT = R.uniform(X[0] + 0.05, X[-1] - 0.05, 5)
FAR = AT + 6.5
T = np.array([0.0, 0.1, 0.2, 0.3, 2, 3, 4.7, 4.8, 4.9, 5.0])
C = R.normal(size=6)
P1, P2 = np.sort(R.uniform(0, 5, 7)), np.sort(R.uniform(0, 5, 8))
GRID, VECTORS = R.normal(size=(7, 8)), R.normal(size=(7, 8, 2))
XI = np.stack([R.uniform(P1[0] + 0.1, P1[-1] - 0.1, 4), R.uniform(P2[0] + 0.1, P2[-1] - 0.1, 4)], 1)
OUT = XI + np.array([[9.0, 0], [0, 0], [0, 0], [0, 0]])
POINTS, D, Q = R.uniform(0, 3, (12, 2)), R.normal(size=12), R.uniform(0.5, 2.5, (4, 2))
LSQ_X, LSQ_Y, W = np.linspace(0.05, 4.9, 20), R.normal(size=20), R.uniform(0.5, 2, 20)


def closed(space: Any, y: Any) -> Any:
    """Values whose ends agree."""
    np_ = tn if space is OURS else np
    return np_.concatenate([y[..., :-1], y[..., :1]], -1)


def plain(value: Any) -> Any:
    """A number for SciPy, a tensor as it is."""
    return value if isinstance(value, tn.Tensor) else float(value)


#: A function of a namespace, SciPy's or ours, and of arrays.
CALLS: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    **{
        f"CubicSpline {name}": (lambda s, x, y, n, bc=bc: s.CubicSpline(x, y, bc_type=bc)(n), [X, Y, AT])
        for name, bc in {
            "not-a-knot": "not-a-knot", "clamped": "clamped", "natural": "natural", "by values": ((1, 0.3), (2, -0.5)),
            "mixed": ("natural", "not-a-knot"),
        }.items()
    },
    **{f"CubicSpline of {n}": (lambda s, x, y, at: s.CubicSpline(x, y)(at), [X[:n], Y[:n], AT]) for n in (2, 3, 4)},
    "CubicSpline periodic": (lambda s, x, y, n: s.CubicSpline(x, closed(s, y), bc_type="periodic")(n), [X, Y, FAR]),
    "CubicSpline periodic of 3": (
        lambda s, x, y, n: s.CubicSpline(x, closed(s, y), bc_type="periodic")(n), [X[:3], Y[:3], FAR]
    ),
    "CubicSpline along an axis": (lambda s, x, y, n: s.CubicSpline(x, y, axis=1)(n), [X, MANY, AT]),
    **{
        f"CubicSpline of vectors, {bc}": (
            lambda s, x, y, n, bc=bc: s.CubicSpline(x, y, axis=1, bc_type=bc)(n), [X, MANY, AT]
        )
        for bc in ("clamped", "natural", ("not-a-knot", "natural"))
    },
    "CubicSpline periodic along an axis": (
        lambda s, x, y, n: s.CubicSpline(x, closed(s, y), axis=1, bc_type="periodic")(n), [X, MANY, FAR]
    ),
    "CubicSpline by conditions": (lambda s, v: s.CubicSpline(X, Y, bc_type=((1, v), (2, v)))(AT), [np.array(0.4)]),
    "CubicSpline without extrapolation": (lambda s, x, y: s.CubicSpline(x, y, extrapolate=False)(AT), [X, Y]),
    "derivative at places": (lambda s, x, y, n: s.CubicSpline(x, y)(n, 1), [X, Y, AT]),
    "derivative": (lambda s, x, y, n: s.CubicSpline(x, y).derivative(2)(n), [X, Y, AT]),
    "antiderivative": (lambda s, x, y, n: s.CubicSpline(x, y).antiderivative()(n), [X, Y, AT]),
    "integral": (lambda s, x, y, b: s.CubicSpline(x, y).integrate(1.0, b), [X, Y, np.array(4.0)]),
    "integral around periods": (
        lambda s, y: s.CubicSpline(X, closed(s, y), bc_type="periodic").integrate(1.0, 14.0), [Y]
    ),
    "PchipInterpolator": (lambda s, x, y, n: s.PchipInterpolator(x, y)(n), [X, Y, AT]),
    "PchipInterpolator along an axis": (lambda s, x, y, n: s.PchipInterpolator(x, y, axis=1)(n), [X, MANY, AT]),
    "Akima1DInterpolator": (lambda s, x, y, n: s.Akima1DInterpolator(x, y)(n), [X, Y, AT]),
    "Akima1DInterpolator, modified": (lambda s, x, y, n: s.Akima1DInterpolator(x, y, method="makima")(n), [X, Y, AT]),
    "CubicHermiteSpline": (lambda s, x, y, d, n: s.CubicHermiteSpline(x, y, d)(n), [X, Y, Y[::-1].copy(), AT]),
    **{
        f"make_interp_spline {k}": (lambda s, x, y, n, k=k: s.make_interp_spline(x, y, k)(n), [X, Y, AT])
        for k in (0, 1, 2, 3, 5)
    },
    **{
        f"make_interp_spline {k} periodic": (
            lambda s, x, y, n, k=k: s.make_interp_spline(x, closed(s, y), k, bc_type="periodic")(n), [X, Y, FAR]
        )
        for k in (2, 3, 5)
    },
    **{
        f"make_interp_spline {bc}": (lambda s, x, y, n, bc=bc: s.make_interp_spline(x, y, bc_type=bc)(n), [X, Y, AT])
        for bc in ("natural", "clamped")
    },
    "make_interp_spline along an axis": (lambda s, x, y, n: s.make_interp_spline(x, y, axis=1)(n), [X, MANY, AT]),
    "make_interp_spline by conditions": (
        lambda s, v: s.make_interp_spline(X, Y, 5, bc_type=([(1, v), (2, 0.0)], [(1, 0.0), (2, 2 * v)]))(AT),
        [np.array(0.3)],
    ),
    "make_lsq_spline": (
        lambda s, y, w: s.make_lsq_spline(LSQ_X, y, np.r_[0.0, 0, 0, 0, 1.5, 3, 5, 5, 5, 5], 3, w)(AT), [LSQ_Y, W]
    ),
    **{f"BSpline {nu}": (lambda s, t, c, n, nu=nu: s.BSpline(t, c, 3)(n, nu), [T, C, AT]) for nu in range(4)},
    "BSpline.derivative": (lambda s, t, c, n: s.BSpline(t, c, 3).derivative(2)(n), [T, C, AT]),
    "BSpline.antiderivative": (lambda s, t, c, n: s.BSpline(t, c, 3).antiderivative()(n), [T, C, AT]),
    "BSpline.integrate": (lambda s, t, c: s.BSpline(t, c, 3).integrate(0.7, 4.0), [T, C]),
    **{
        f"RegularGridInterpolator {m}": (
            lambda s, v, x, a, b, m=m: s.RegularGridInterpolator((a, b), v, method=m)(x), [GRID, XI, P1, P2]
        )
        for m in ("linear", "nearest", "slinear", "cubic", "quintic", "pchip")
    },
    "RegularGridInterpolator of vectors": (
        lambda s, v, x: s.RegularGridInterpolator((P1, P2), v)(x), [VECTORS, XI]
    ),
    "RegularGridInterpolator, filled": (
        lambda s, v, x: s.RegularGridInterpolator((P1, P2), v, bounds_error=False, fill_value=3.0)(x), [GRID, OUT]
    ),
    "RegularGridInterpolator, extrapolated": (
        lambda s, v, x: s.RegularGridInterpolator((P1, P2), v, bounds_error=False, fill_value=None)(x), [GRID, OUT]
    ),
    **{
        f"RegularGridInterpolator {m}, derivatives {nu}": (
            lambda s, v, x, a, b, m=m, nu=nu: s.RegularGridInterpolator((a, b), v, m, solver=spsolve)(x, nu=nu),
            [GRID, XI, P1, P2],
        )
        for m, nu in (("slinear", (1, 0)), ("cubic", (0, 0)), ("cubic", (2, 1)), ("quintic", (0, 3)), ("slinear", (0, 2)))
    },
    **{
        f"RegularGridInterpolator {m}, one point": (
            lambda s, v, x, m=m: s.RegularGridInterpolator((P1, P2[:1]), v, m, fill_value=None, bounds_error=False)(x),
            [GRID[:, :1], XI],
        )
        for m in ("linear", "nearest")
    },
    "RegularGridInterpolator, descending": (
        lambda s, v, x, a: s.RegularGridInterpolator((a[::-1], P2), v[::-1], "pchip")(x), [GRID, XI, P1]
    ),
    "interpn": (lambda s, v, x: s.interpn((P1, P2), v, (x[:, 0], x[:, 1])), [GRID, XI]),
    **{
        f"RBFInterpolator {k}": (
            lambda s, x, y, d, e, s2, k=k: s.RBFInterpolator(y, d, kernel=k, epsilon=plain(e), smoothing=plain(s2))(x),
            [Q, POINTS, D, np.array(1.3), np.array(0.1)],
        )
        for k in ("linear", "thin_plate_spline", "cubic", "quintic", "multiquadric", "inverse_multiquadric",
                  "inverse_quadratic", "gaussian")
    },
    "RBFInterpolator of neighbours": (
        lambda s, x, y, d: s.RBFInterpolator(y, d, neighbors=6)(x), [Q, POINTS, np.stack([D, D**2], 1)]
    ),
    "LinearNDInterpolator": (
        lambda s, x, y, d: s.LinearNDInterpolator(y, d)(x), [np.clip(Q, 1.2, 1.8), POINTS, D]
    ),
    **{
        f"interp1d {k}": (lambda s, x, y, n, k=k: s.interp1d(x, y, kind=k)(n), [X, Y, AT])
        for k in ("linear", "nearest", "nearest-up", "zero", "slinear", "quadratic", "cubic", "previous", "next", 2)
    },
    **{
        f"splev {k}, {der}, {ext}": (
            lambda s, x, y, n, k=k, der=der, ext=ext: s.splev(n, s.splrep(x, y, k=k, s=0), der, ext), [X, Y, at]
        )
        for k, der, ext, at in ((1, 0, 0, FAR), (2, 1, 0, AT), (3, 0, 1, FAR), (4, 0, 3, FAR), (5, 2, 0, AT), (3, 3, 0, AT))
    },
    "splrep with knots": (
        lambda s, y, w: s.splev(AT, s.splrep(LSQ_X, y, w, t=np.array([1.5, 3.0]))), [LSQ_Y, W]
    ),
    "splint": (lambda s, x, y, b: s.splint(-3.0, b, s.splrep(x, y, s=0)), [X, Y, np.array(3.1)]),
    "splder": (lambda s, x, y: s.splev(AT, s.splder(s.splrep(x, y, s=0), 2)), [X, Y]),
    "splantider": (lambda s, x, y: s.splev(AT, s.splantider(s.splrep(x, y, s=0))), [X, Y]),
    "UnivariateSpline": (lambda s, x, y, n: s.UnivariateSpline(x, y, s=0, ext="const")(n), [X, Y, FAR]),
    "UnivariateSpline.derivatives": (lambda s, x, y: s.UnivariateSpline(x, y, s=0).derivatives(2.1), [X, Y]),
    "UnivariateSpline.get_knots": (lambda s, x, y: s.UnivariateSpline(x, y, s=0, k=2).get_knots(), [X, Y]),
    "InterpolatedUnivariateSpline": (
        lambda s, x, y, n: s.InterpolatedUnivariateSpline(x, y, k=4).antiderivative().derivative(2)(n), [X, Y, AT]
    ),
    "InterpolatedUnivariateSpline.integral": (
        lambda s, x, y: s.InterpolatedUnivariateSpline(x, y).integral(0.5, 4.0), [X, Y]
    ),
    "RectBivariateSpline": (
        lambda s, z, a, b, x: s.RectBivariateSpline(a, b, z, kx=2)(x[:3], 0.5 * x, dx=1), [GRID, P1, P2, np.sort(AT)]
    ),
    "RectBivariateSpline at places": (
        lambda s, z, x: s.RectBivariateSpline(P1, P2, z, ky=4).ev(x[:, 0], x[:, 1], dy=1), [GRID, XI]
    ),
    "RectBivariateSpline outside": (lambda s, z: s.RectBivariateSpline(P1, P2, z).ev([-1.0, 9.0], [1.0, 9.0]), [GRID]),
    "RectBivariateSpline.integral": (lambda s, z: s.RectBivariateSpline(P1, P2, z).integral(1.0, 3, 0.7, 9), [GRID]),
    "make_smoothing_spline": (
        lambda s, x, y, w, lam: s.make_smoothing_spline(x, y, w, plain(lam))(AT), [LSQ_X, LSQ_Y, W, np.array(0.3)]
    ),
    "make_smoothing_spline along an axis": (
        lambda s, y: s.make_smoothing_spline(X, y, lam=0.1, axis=1)(AT), [MANY]
    ),
    "BarycentricInterpolator": (lambda s, x, y, n: s.BarycentricInterpolator(x, y, axis=1)(n), [X, MANY, AT]),
    "BarycentricInterpolator at its points": (lambda s, y, n: s.BarycentricInterpolator(X, y)(n), [Y, X]),
    "BarycentricInterpolator.derivative": (
        lambda s, x, y, n: s.BarycentricInterpolator(x, y, axis=1).derivative(n, 2), [X, MANY, AT]
    ),
    "KroghInterpolator": (lambda s, x, y, n: s.KroghInterpolator(x, y, axis=1)(n), [X, MANY, AT]),
    "KroghInterpolator of derivatives": (
        lambda s, y, n: s.KroghInterpolator([0.0, 0.0, 0.0, 1.0, 2.0, 2.0, 5.0], y).derivatives(n, 3), [Y, AT]
    ),
    "NearestNDInterpolator": (lambda s, y: s.NearestNDInterpolator(POINTS, y, rescale=True)(Q), [np.stack([D, D**2], 1)]),
    "griddata nearest": (lambda s, d: s.griddata(POINTS, d, (Q[:, 0], Q[:, 1]), "nearest"), [D]),
    "griddata linear": (
        lambda s, x, d: s.griddata(POINTS, d, x, rescale=True), [np.clip(Q, 1.2, 1.8), D]
    ),
    "griddata of one axis": (lambda s, y, n: s.griddata(X[::-1], y[::-1], n, "cubic"), [Y, AT]),
    "interp1d, extrapolated": (
        lambda s, x, y, n: s.interp1d(x, y, axis=1, fill_value="extrapolate")(n), [X, MANY, AT + 2]
    ),
    "interp1d, filled": (
        lambda s, y, n: s.interp1d(X, y, bounds_error=False, fill_value=(1.0, 2.0))(n), [Y, AT + 2]
    ),
}  # fmt: skip
#: SciPy solves for these by iteration, to a few digits.
ITERATED = ("RegularGridInterpolator cubic", "RegularGridInterpolator quintic")
#: Steps, that only a value of the grid has a derivative by.
STEPS = (
    "NearestNDInterpolator",
    "griddata nearest",
    "RegularGridInterpolator nearest, one point",
    "RegularGridInterpolator slinear, derivatives (0, 2)",
    "interp1d nearest",
    "interp1d nearest-up",
    "interp1d zero",
    "interp1d previous",
    "interp1d next",
)


@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients(name: str) -> None:
    call, arrays = CALLS[name]
    found = call(OURS, *map(tn.tensor, arrays))
    rtol, atol = (1e-2, 1e-2) if name in ITERATED else (1e-9, 1e-9) if "derivatives" in name else (1e-13, 1e-14)
    np.testing.assert_allclose(found.numpy(), call(si, *arrays), rtol=rtol, atol=atol)
    check_grads(lambda *given: call(OURS, *given), arrays, order=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_second_derivatives(name: str) -> None:
    call, arrays = CALLS[name]
    check_grads(lambda *given: call(OURS, *given), arrays, order=2)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("name", sorted({*CALLS} - {*STEPS}))
def test_compiled_and_in_lanes(name: str, backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    call, arrays = CALLS[name]

    def loss(*given: Any) -> Any:
        out = call(OURS, *given)
        return (out * np.arange(1.0, out.size + 1).reshape(out.shape)).sum()

    gradient = tn.value_and_grad(loss, argnums=tuple(range(len(arrays))))
    (value, slopes), (found, compiled) = gradient(*arrays), tn.compile(gradient, backend=backend)(*arrays)
    np.testing.assert_allclose(found.numpy(), value.numpy(), rtol=1e-9)
    for one, other in zip(compiled, slopes, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-7, atol=1e-9)
    if backend == "numpy":
        lanes = tn.vmap(lambda first: call(OURS, first, *arrays[1:]))(np.stack([arrays[0]] * 2))
        np.testing.assert_allclose(
            lanes[1].numpy(), call(OURS, *map(tn.tensor, arrays)).numpy(), rtol=1e-12, atol=1e-13
        )


def test_splines_reproduce_polynomials_in_all_places() -> None:
    """Independent of SciPy: of a cubic, its spline is the cubic, and moving points along it changes nothing."""

    def cubic(x: Any) -> Any:
        return x**3 - 2 * x

    places = np.linspace(0.3, 4.0, 6)
    for make in (OURS.CubicSpline, OURS.make_interp_spline):
        np.testing.assert_allclose(make(X, cubic(X))(places).numpy(), cubic(places), rtol=1e-12)
        slope = tn.grad(lambda x, make=make: make(x, cubic(x))(places).sum())(X)
        np.testing.assert_allclose(slope.numpy(), 0, atol=1e-10)


def test_grids_by_splines_are_exact_where_scipys_are_iterated() -> None:
    a, b = np.linspace(0, 1, 6), np.linspace(0, 2, 7)
    values = a[:, None] ** 3 - a[:, None] * b**2
    found = OURS.RegularGridInterpolator((a, b), values, method="cubic")(np.array([[0.37, 1.21]]))
    np.testing.assert_allclose(found.numpy(), 0.37**3 - 0.37 * 1.21**2, rtol=1e-12)


def test_values_outside_of_grids_and_no_numbers() -> None:
    """What is given as a value outside has a derivative; what is no number stays so, in compiled functions too."""
    places = np.array([[P1[3], P2[3]], [9.0, P2[0]], [np.nan, P2[0]], [np.nan, 9.0]])
    for method in ("linear", "nearest", "slinear", "cubic", "pchip"):

        def at(fill: Any, method: Any = method) -> Any:
            return OURS.RegularGridInterpolator((P1, P2), GRID, method, False, fill)(places)

        for run in (at, tn.compile(at, backend="numpy")):
            found = run(tn.tensor(7.0)).numpy()
            np.testing.assert_allclose(found, [GRID[3, 3], 7.0, np.nan, np.nan])
        assert tn.grad(lambda fill, at=at: at(fill)[:2].sum())(7.0).item() == 1


def test_descending_points_that_are_not_known_yet() -> None:
    def at(p: Any, v: Any) -> Any:
        return OURS.RegularGridInterpolator((p, P2), v)(XI)

    expected = si.RegularGridInterpolator((P1, P2), GRID)(XI)
    for p, v in ((P1[::-1], GRID[::-1]), (P1, GRID)):
        np.testing.assert_allclose(tn.compile(at, backend="numpy")(tn.tensor(p.copy()), v.copy()).numpy(), expected)


def test_complex_splines() -> None:
    for bc in ("not-a-knot", "natural", ((1, 0.5 + 2j), (2, 1j))):
        ours, theirs = (s.CubicSpline(X, Y + 2j * Y**2, bc_type=bc) for s in (OURS, si))
        np.testing.assert_allclose(ours(AT).numpy(), theirs(AT), rtol=1e-13)


ERRORS: list[tuple[Callable[[], Any], str]] = [
    (lambda: OURS.CubicSpline(X, Y, bc_type=("natural", "periodic")), "'periodic' holds for both ends"),
    (lambda: OURS.CubicSpline(X, Y, bc_type=("natural",)), "must contain 2 elements"),
    (lambda: OURS.CubicSpline(X[::-1], Y), "must be strictly increasing"),
    (lambda: OURS.CubicSpline(X, Y[:3]), "length of `y`"),
    (lambda: OURS.make_interp_spline(X, Y[:3]), "Shapes of x"),
    (lambda: OURS.make_interp_spline(X, Y, bc_type="natrual"), "a pair of such.* not 'natrual'"),
    (lambda: OURS.BSpline(T, C, 3, axis=1), "axis 1 is out of bounds"),
    (lambda: OURS.BSpline(T[:5], C, 3), "Need at least 8 knots for degree 3"),
    (lambda: OURS.RegularGridInterpolator((P1, P2), GRID)([9.0, 9.0]), "out of bounds"),
    (lambda: OURS.RegularGridInterpolator((P1, P1), GRID), "There are 7 points and 8 values in dimension 1"),
    (lambda: OURS.RegularGridInterpolator((P1, P2), GRID, "cubc"), "Method 'cubc' is not defined"),
    (lambda: OURS.RegularGridInterpolator((P1, P2), GRID)(XI, "cubc"), "'cubc' is none of linear, nearest"),
    (lambda: OURS.RegularGridInterpolator((P1, P2[:2]), GRID[:, :2], "cubic"), "2 points in dimension 1.* at least 4"),
    (lambda: OURS.RegularGridInterpolator((P1, P2), GRID)(XI, nu=(1, 0)), "nu= goes with slinear, cubic and quintic"),
    (lambda: OURS.RegularGridInterpolator((P1, P2), GRID, "slinear")(XI, nu=(1,)), "an order .* for each of 2 axes"),
    (lambda: OURS.RegularGridInterpolator((P1, P2), GRID, solver=spsolve), "does not accept the 'solver' argument"),
    (lambda: OURS.interpn((P1, P2), GRID + 0j, XI, "splinef2d"), "takes real values on two axes"),
    (lambda: OURS.RBFInterpolator(POINTS, D, kernel="gaussian"), "`epsilon` must be specified if `kernel`"),
    (lambda: OURS.RBFInterpolator(POINTS, D[:5]), "Expected the first axis of `d` to have length 12"),
    (lambda: OURS.RBFInterpolator(POINTS, D, smoothing=D[:5]), "Expected `smoothing` to be a scalar or have shape"),
    (lambda: OURS.RBFInterpolator(POINTS[:5], D[:5], degree=2), "At least 6 data points are required"),
    (lambda: OURS.RBFInterpolator(POINTS, D)(Q[0]), "`x` must be a 2-dimensional array"),
    (lambda: OURS.interp1d(X, Y)(9.0), "9.0 in x is above the points"),
    (lambda: OURS.splev(9.0, OURS.splrep(X, Y), ext=2), "with ext=2 places are between"),
    (lambda: OURS.BarycentricInterpolator([0.0, 0.0], [1.0, 2.0]), "two of the points are the same"),
    (lambda: OURS.PPoly(np.zeros((2, 3)), X), r"c has shape \(2, 3\) and x \(7,\)"),
]


@pytest.mark.parametrize("k", range(len(ERRORS)))
def test_bad_input(k: int) -> None:
    call, words = ERRORS[k]
    with pytest.raises(ValueError, match=words):
        call()


def test_smoothing_that_is_searched_for_has_no_derivative() -> None:
    spline = OURS.make_smoothing_spline(LSQ_X, tn.tensor(LSQ_Y))
    np.testing.assert_array_equal(spline(AT).numpy(), si.make_smoothing_spline(LSQ_X, LSQ_Y)(AT))
    with pytest.raises(NotImplementedError, match="give lam= for derivatives"):
        tn.grad(lambda y: OURS.make_smoothing_spline(LSQ_X, y)(1.0))(LSQ_Y)
    for made in (lambda: OURS.splrep(X, Y, s=1.0), lambda: OURS.UnivariateSpline(X, Y)):
        with pytest.raises(NotImplementedError, match=r"make_smoothing_spline\(x, y, w, lam\)"):
            made()


def test_places_outside_are_seen_in_compiled_functions() -> None:
    f = tn.compile(OURS.interp1d(X, Y), backend="numpy")
    f(AT[0])
    with pytest.raises(ValueError, match="is above the points"):
        f(9.0)
