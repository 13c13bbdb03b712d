"""Calls of SciPy's functions that are written to the array API standard. A program, since SciPy looks for `SCIPY_ARRAY_API=1`
when it is imported:

    SCIPY_ARRAY_API=1 python -m tests.libraries.scipy_calls
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

import tapenet as tn
from tests.libraries.outcomes import Call, say, words

R = np.random.default_rng(0)
X, Y = R.normal(size=12), R.normal(size=12)
P, Q, U = R.uniform(0.1, 2, 12), R.uniform(0.1, 2, 12), R.uniform(0.1, 0.9, 12)
A, M, Z, LONG = R.normal(size=(6, 7)), R.normal(size=(4, 4)), R.normal(size=(3, 4)), R.normal(size=40)
POINTS, VECTORS, OTHERS = R.uniform(0.5, 2, (6, 3)), R.normal(size=(3, 3)), R.normal(size=(3, 3))
SORTED, KERNEL, POLES = np.sort(X), M[:3, :3].copy(), P[:3].copy()
SECTION = np.array([[1.0, 0.2, 0.1, 1.0, 0.3, 0.1]])

CALLS: list[Call] = []


def module(name: str) -> Any:
    return importlib.import_module(f"scipy.{name}")


def add(names: str, *args: Any, by: Callable[..., Any] | None = None, **kwargs: Any) -> None:
    """Functions that are called in one way."""
    for name in words(names):
        space, _, function = name.rpartition(".")
        CALLS.append(Call(name, by or getattr(module(space), function), args, kwargs))


def within(space: str, names: str) -> str:
    return " ".join(f"{space}.{name}" for name in words(names))


def like(values: Any, t: Any) -> Any:
    """What goes beside a tensor or an array, as such a one."""
    return tn.asarray(values) if isinstance(t, tn.Tensor) else np.asarray(values)


# -- special functions -------------------------------------------------------------------------------------------

add(
    within(
        "special",
        "entr erf erfc erfcx erfinv exp1 exp10 exp2 expi expit exprel gamma gammaln i0 i0e i1 i1e j0 j1 k0 k0e k1 "
        "k1e log_ndtr loggamma logit ndtr ndtri psi rgamma sinc spence y0 y1 zetac cosm1 cosdg sindg tandg cotdg "
        "ellipk ellipkm1 cbrt gammasgn",
    ),
    U,
)
add(
    within(
        "special",
        "betaln binom xlogy xlog1py rel_entr kl_div huber pseudo_huber boxcox boxcox1p inv_boxcox inv_boxcox1p poch",
    ),
    P,
    U,
)
add(within("special", "gammainc gammaincc gammaincinv gammainccinv zeta chdtr chdtrc stdtr stdtrit"), 1.5, U)
add(within("special", "betainc betaincc fdtr fdtrc"), 1.5, 2.5, U)
add(within("special", "polygamma expn"), 2, P)
add("special.multigammaln", P + 3, 2)
add(within("special", "logsumexp softmax log_softmax"), A, axis=1)

# -- integrals, transforms, and what is small --------------------------------------------------------------------

add("linalg.block_diag", M, Z)
add("linalg.fiedler", X)
add("linalg.orthogonal_procrustes", POINTS, POINTS + U[:3])
add("constants.convert_temperature", X, "C", "K")
add("constants.lambda2nu constants.nu2lambda", P)
add("integrate.trapezoid integrate.cumulative_trapezoid integrate.simpson", Y, x=SORTED)
add("integrate.cumulative_simpson", Y)
add("integrate.romb", Y[:9])
add(
    "integrate.tanhsinh",
    P,
    by=lambda a: module("integrate").tanhsinh(lambda x, c: x**2 * c, a * 0, a * 0 + 1, args=(a,)).integral,
)
add("integrate.cubature", P[:2], by=lambda a: module("integrate").cubature(lambda x: (x**2).sum(-1), a * 0, a).estimate)
add(within("optimize", "rosen rosen_der rosen_hess"), X)
add("optimize.rosen_hess_prod", X, Y)
add(
    "optimize.elementwise.find_root",
    P,
    by=lambda a: module("optimize.elementwise").find_root(lambda x, c: x**3 - c, (a * 0, a * 0 + 3), args=(a,)).x,
)
add("differentiate.derivative", P, by=lambda a: module("differentiate").derivative(lambda x: x**3, a).df)
add("differentiate.jacobian", P[:3], by=lambda a: module("differentiate").jacobian(lambda x: x**3, a).df)
add(
    within(
        "fft",
        "fft ifft rfft irfft hfft ihfft fftn ifftn rfftn irfftn fft2 ifft2 rfft2 irfft2 fftshift ifftshift dct "
        "idct dst idst dctn idctn dstn idstn",
    ),
    A,
)
add("fft.fht", P, 0.1, 0.5)

# -- statistics --------------------------------------------------------------------------------------------------

add(
    within(
        "stats",
        "gmean hmean skew kurtosis sem zscore gzscore gstd iqr median_abs_deviation tmean tvar tstd tsem tmin tmax "
        "variation kstat kstatvar differential_entropy circmean circvar circstd lmoment describe mode rankdata "
        "jarque_bera",
    ),
    P,
)
add("stats.pmean", P, 3)
add("stats.moment", P, order=3)
add("stats.entropy stats.zmap", P, Q)
add(within("stats", "skewtest kurtosistest normaltest"), LONG)
add("stats.ttest_1samp", X, 0.3)
add(
    within(
        "stats",
        "ttest_ind ttest_rel pearsonr alexandergovern bartlett levene fligner mood ansari wilcoxon kruskal "
        "brunnermunzel mannwhitneyu chatterjeexi spearmanrho epps_singleton_2samp linregress wasserstein_distance",
    ),
    X,
    Y,
)
add("stats.f_oneway stats.friedmanchisquare", X, Y, P)
add("stats.chisquare stats.power_divergence", P)
add("stats.combine_pvalues stats.false_discovery_control", U)
add("stats.boxcox_llf", 0.5, P)
add("stats.yeojohnson_llf", 0.5, X)
add("stats.trim_mean", X, 0.1)
add("stats.quantile", X, U[:3])

# -- signals and images ------------------------------------------------------------------------------------------

add(within("signal.windows", "hann hamming blackman bartlett cosine parzen flattop nuttall"), 8, xp=tn)
add("signal.windows.gaussian signal.windows.kaiser", 8, 2.0, xp=tn)
add(within("signal", "fftconvolve oaconvolve convolve correlate"), X, Y[:4])
add(within("signal", "convolve2d correlate2d"), A, M)
add(within("signal", "detrend hilbert envelope wiener medfilt cspline1d"), X)
add("signal.hilbert2", A)
add("signal.resample", X, 8)
add("signal.resample_poly", X, 2, 3)
add("signal.vectorstrength", P, 2.0)
add("signal.lfilter", Y[:3], POLES, X)
add("signal.filtfilt", Y[:3], POLES, LONG)
add("signal.deconvolve", X, POLES)
add("signal.sosfilt", SECTION, X)
add("signal.savgol_filter", X, 5, 2)
add(within("signal", "freqz normalize tf2zpk lp2lp lp2hp lp2bp lp2bs bilinear"), Y[:3], POLES)
add(within("signal", "zpk2tf freqz_zpk lp2lp_zpk zpk2sos"), U[:2], U[2:4], 1.0)
add("signal.bilinear_zpk", U[:2], U[2:4], 1.0, 2.0)
add("signal.sos2tf signal.sos2zpk", SECTION)
add("signal.minimum_phase", P)
add("signal.gauss_spline", X, 3)
add(
    within("ndimage", "gaussian_filter gaussian_laplace gaussian_gradient_magnitude fourier_gaussian fourier_shift"),
    A,
    1.0,
)
add(within("ndimage", "uniform_filter maximum_filter median_filter grey_dilation"), A, 3)
add(within("ndimage", "laplace sobel prewitt sum mean variance center_of_mass maximum"), A)
add("ndimage.convolve ndimage.correlate", A, KERNEL)
add("ndimage.shift", A, 0.5)
add("ndimage.zoom", A, 2)

# -- space -------------------------------------------------------------------------------------------------------


def rotation(name: str, *args: Any) -> Any:
    return getattr(module("spatial.transform").Rotation, name)(*args)


add("cluster.vq.whiten", POINTS)
add("cluster.vq.vq cluster.vq.kmeans", POINTS, POINTS[:2] + 0.1)
add("cluster.hierarchy.linkage spatial.distance.pdist", POINTS)
add("spatial.distance.cdist", POINTS, POINTS + 1)
add("spatial.transform.Rotation.as_matrix", R.normal(size=(3, 4)), by=lambda q: rotation("from_quat", q).as_matrix())
add("spatial.transform.Rotation.apply", VECTORS, OTHERS, by=lambda a, b: rotation("from_rotvec", a).apply(b))
add("spatial.transform.Rotation.as_quat", VECTORS, by=lambda a: rotation("from_euler", "xyz", a).as_quat())
add("spatial.transform.Rotation.as_euler", VECTORS, by=lambda a: rotation("from_rotvec", a).as_euler("xyz"))
add(
    "spatial.transform.Rotation.inv",
    VECTORS,
    OTHERS,
    by=lambda a, b: (rotation("from_rotvec", a) * rotation("from_rotvec", b).inv()).magnitude(),
)
add("spatial.transform.Rotation.mean", VECTORS, by=lambda a: rotation("from_rotvec", a).mean().as_rotvec())
add(
    "spatial.transform.Rotation.align_vectors",
    VECTORS,
    OTHERS,
    by=lambda a, b: rotation("align_vectors", a, b)[0].as_matrix(),
)
add(
    "spatial.transform.Slerp",
    VECTORS,
    by=lambda a: module("spatial.transform").Slerp([0, 1, 2], rotation("from_rotvec", a))([0.5, 1.5]).as_rotvec(),
)
add(
    "spatial.transform.RigidTransform",
    VECTORS,
    OTHERS,
    by=lambda a, b: (
        module("spatial.transform").RigidTransform.from_components(b, rotation("from_rotvec", a)).as_matrix()
    ),
)


def interpolated(name: str) -> Callable[[Any], Any]:
    return lambda y: getattr(module("interpolate"), name)(like(np.arange(6.0), y), y)(like([0.3, 2.2], y))


for _name in words("CubicSpline PchipInterpolator Akima1DInterpolator make_interp_spline"):
    add(f"interpolate.{_name}", Y[:6], by=interpolated(_name))
add(
    "interpolate.RegularGridInterpolator",
    A,
    by=lambda a: module("interpolate").RegularGridInterpolator((like(np.arange(6.0), a), like(np.arange(7.0), a)), a)(
        like([[0.5, 1.5], [2.2, 3.3]], a)
    ),
)
add(
    "interpolate.RBFInterpolator",
    P[:6],
    by=lambda a: module("interpolate").RBFInterpolator(like(POINTS, a), a)(like(POINTS + 0.1, a)),
)


if __name__ == "__main__":
    say(CALLS)
