"""Filters with given frequencies. Their zeros, poles, coefficients and sections have gradients by these."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from tapenet import ops
from tapenet.ops.derived import array_like, known
from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed, scipys
from tapenet.typing import Array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tapenet.typing import ArrayLike

Roots = tuple[Array, Array, Array]
Output = Literal["ba", "zpk", "sos"]


def _with(roots: Array, value: Array | complex, count: int) -> Array:
    """Roots, and a further one so many times."""
    if count == 0:
        return roots
    found: Array = np.concatenate([roots, np.ones(count) * value])
    return found


def _ratio(a: Array, b: Array) -> Array:
    """The real part of Π a / Π b."""
    found: Array = np.real(np.prod(a) / np.prod(b))
    return found


def lp2lp_zpk(z: ArrayLike, p: ArrayLike, k: ArrayLike, wo: ArrayLike = 1.0) -> Roots:
    """An analog low-pass filter with its edge at `wo` in the place of 1: zeros, poles and gain.

    >>> import tapenet as tn
    >>> tn.scipy.signal.lp2lp_zpk([], [-1.0], 1.0, tn.tensor(2.0))[1:]
    (Tensor([-2.]), Tensor(2.))
    """
    z, p = array_like(z), array_like(p)
    return wo * z, wo * p, k * wo ** float(len(p) - len(z))  # type: ignore[operator,return-value]


def lp2hp_zpk(z: ArrayLike, p: ArrayLike, k: ArrayLike, wo: ArrayLike = 1.0) -> Roots:
    """A high-pass filter of an analog low-pass filter with its edge at 1: zeros, poles and gain.

    >>> import tapenet as tn
    >>> tn.scipy.signal.lp2hp_zpk([], [-1.0], 1.0, tn.tensor(2.0))[1]
    Tensor([-2.])
    """
    z, p = array_like(z), array_like(p)
    return _with(wo / z, 0.0, len(p) - len(z)), wo / p, k * _ratio(-z, -p)  # type: ignore[return-value]


def _both_sides(roots: Array, wo: ArrayLike) -> Array:
    """The roots of s² - 2 r s + wo² for each r."""
    r = np.astype(roots, np.complex128)
    root = np.sqrt(r**2 - wo**2)  # type: ignore[operator]
    found: Array = np.concatenate([r + root, r - root])
    return found


def lp2bp_zpk(z: ArrayLike, p: ArrayLike, k: ArrayLike, wo: ArrayLike = 1.0, bw: ArrayLike = 1.0) -> Roots:
    """A band-pass filter around `wo`, `bw` wide, of an analog low-pass filter with its edge at 1: zeros, poles and gain.

    >>> import tapenet as tn
    >>> tn.scipy.signal.lp2bp_zpk([], [-1.0], 1.0, 1.0, tn.tensor(2.0))[2]
    Tensor(2.)
    """
    z, p = array_like(z), array_like(p)
    degree = len(p) - len(z)
    zeros = _with(_both_sides(z * (bw / 2), wo), 0.0, degree)  # type: ignore[operator]
    return zeros, _both_sides(p * (bw / 2), wo), k * bw**degree  # type: ignore[operator,return-value]


def lp2bs_zpk(z: ArrayLike, p: ArrayLike, k: ArrayLike, wo: ArrayLike = 1.0, bw: ArrayLike = 1.0) -> Roots:
    """A band-stop filter around `wo`, `bw` wide, of an analog low-pass filter with its edge at 1: zeros, poles and gain.

    >>> import tapenet as tn
    >>> tn.scipy.signal.lp2bs_zpk([], [-1.0], 1.0, tn.tensor(2.0))[0]
    Tensor([0.+2.j, 0.-2.j], dtype=complex128)
    """
    z, p = array_like(z), array_like(p)
    degree = len(p) - len(z)
    zeros = _with(_with(_both_sides((bw / 2) / z, wo), 1j * wo, degree), -1j * wo, degree)  # type: ignore[operator]
    return zeros, _both_sides((bw / 2) / p, wo), k * _ratio(-z, -p)  # type: ignore[operator,return-value]


def check_rate(fs: ArrayLike | None) -> None:
    """Raises ValueError for what is no rate of samples."""
    if fs is None or np.size(fs) != 1:
        raise ValueError(f"Sampling frequency fs cannot be none, it must be a single scalar, not {fs!r}")


def bilinear_zpk(z: ArrayLike, p: ArrayLike, k: ArrayLike, fs: float) -> Roots:
    """A digital filter of an analog one, by the bilinear transform: zeros, poles and gain.

    >>> import tapenet as tn
    >>> tn.scipy.signal.bilinear_zpk([], tn.tensor([-1.0]), 1.0, 1.0)[1].round(6)
    Tensor([0.333333])
    """
    z, p = array_like(z), array_like(p)
    check_rate(fs)
    twice = 2.0 * fs
    zeros = _with((twice + z) / (twice - z), -1.0, len(p) - len(z))
    return zeros, (twice + p) / (twice - p), k * _ratio(twice - z, twice - p)  # type: ignore[return-value]


def _product(roots: Sequence[Array | float]) -> Array:
    """The coefficients of Π (x - root), complex."""
    found: Array = np.ones(1, np.complex128)
    nothing = np.zeros(1, np.complex128)
    for root in roots:
        found = np.concatenate([found, nothing]) - root * np.concatenate([nothing, found])
    return found


def _expanded(roots: Array) -> Array:
    """The coefficients of Π (x - root): complex only where roots are known that are no conjugate pairs."""
    found = _product([roots[i] for i in range(len(roots))])
    values = known(roots)
    if values is None or np.allclose(np.sort_complex(values), np.sort_complex(np.conj(values)), rtol=1e-10, atol=1e-10):
        return np.real(found)
    return found


def zpk2tf(z: ArrayLike, p: ArrayLike, k: ArrayLike) -> tuple[Array, Array]:
    """The coefficients of a filter from its zeros, poles and gain. In compiled programs complex roots come in conjugate pairs.

    Zeros of two axes are those of several filters with the same poles: one row each.

    >>> import tapenet as tn
    >>> tn.scipy.signal.zpk2tf([1.0], [0.5], tn.tensor(2.0))[0]
    Tensor([ 2., -2.])
    """
    z, p, k = np.atleast_1d(array_like(z)), np.atleast_1d(array_like(p)), np.atleast_1d(array_like(k))
    if z.ndim == 1:
        return ops.multiply(k, _expanded(z)), ops.multiply(1.0, _expanded(p))
    rows = [ops.multiply(k[i if len(k) > 1 else 0], _expanded(z[i])) for i in range(len(z))]
    return np.stack(rows), ops.multiply(1.0, _expanded(p))


#: For each half of each section, numerators and denominators in turn, the roots in it by number; None is 0.
Pairs = tuple[tuple[int | None, ...], ...]


def _pairs(sections: Array, z: Array, p: Array) -> Pairs:
    """Which roots SciPy's sections are made of, by what is nearest."""
    left: list[list[int | None]] = []
    for roots, halves in ((z, sections[:, :3]), (p, sections[:, 3:])):
        count = sum(len(np.roots(half)) for half in halves)
        left.append([*range(len(roots)), *[None] * (count - len(roots))])
    found: list[tuple[int | None, ...]] = []
    for half in sections.reshape(-1, 3):
        roots, rest = (p, left[1]) if len(found) % 2 else (z, left[0])
        taken = []
        for root in np.roots(half):
            taken.append(min(rest, key=lambda i: abs((0.0 if i is None else roots[i]) - root)))
            rest.remove(taken[-1])
        found.append(tuple(taken))
    return tuple(found)


def _paired(z: Array, p: Array, k: Array, pairing: str | None, analog: bool, pairs: Pairs) -> Array:
    found: Array = scipys("signal.zpk2sos")(z, p, k, pairing, analog=analog)  # type: ignore[assignment]
    return found


@followed(_paired, "z", "p", "k", name="zpk2sos", gradients="those of k times Π (x - root) in each section")
def _sections(z: Array, p: Array, k: Array, pairing: str | None, analog: bool, pairs: Pairs) -> Array:
    """Sections of second order, made of these pairs of roots."""
    halves = []
    for i, pair in enumerate(pairs):
        roots = p if i % 2 else z
        half = np.real(_product([0.0 if j is None else roots[j] for j in pair]))
        half = np.concatenate([np.zeros(2 - len(pair)), half])
        halves.append(ops.multiply(half, np.real(k)) if i == 0 else half)
    return np.reshape(np.stack(halves), (-1, 6))


def sections(z: Array, p: Array, k: Array, analog: bool, pairing: str | None = None) -> Array:
    """The sections of second order that SciPy pairs zeros and poles to.

    Raises:
        ValueError: what SciPy refuses; or roots that a compiled program computes: which belong together depends on their
            values.
    """
    zeros, poles, gain = (known(v) for v in (z, p, k))
    if zeros is None or poles is None or gain is None:
        raise ValueError(
            "sections of second order are put together by the values of zeros and poles, which are computed in a compiled "
            "program: take output='zpk' or 'ba' there"
        )
    made = _paired(zeros, poles, np.ones(()), pairing, analog, ())  # a gain of 0 would hide the zeros
    found: Array = _sections(z, p, k, pairing, analog, _pairs(made, zeros, poles))
    return found


def _given(z: Array, p: Array, k: Array, output: Output, analog: bool) -> Array | tuple[Array, Array] | Roots:
    if output == "zpk":
        return z, p, k
    if output == "ba":
        return zpk2tf(z, p, k)
    return sections(z, p, k, analog)


_PROTOTYPES = {
    "butter": "buttap", "butterworth": "buttap", "cheby1": "cheb1ap", "chebyshev1": "cheb1ap", "chebyshevi": "cheb1ap",
    "cheby2": "cheb2ap", "chebyshev2": "cheb2ap", "chebyshevii": "cheb2ap", "ellip": "ellipap", "elliptic": "ellipap",
    "cauer": "ellipap", "bessel": "besselap", "bessel_phase": "besselap", "bessel_delay": "besselap", "bessel_mag": "besselap",
}  # fmt: skip
_BANDS = {
    "low": "low", "lowpass": "low", "lp": "low", "l": "low", "high": "high", "highpass": "high", "hp": "high", "h": "high",
    "band": "band", "bandpass": "band", "pass": "band", "bp": "band", "bandstop": "stop", "stop": "stop", "bs": "stop",
    "bands": "stop",
}  # fmt: skip


def iirfilter(
    N: int, Wn: ArrayLike, rp: float | None = None, rs: float | None = None, btype: str = "band", analog: bool = False,
    ftype: str = "butter", output: Output = "ba", fs: float | None = None,
) -> Array | tuple[Array, Array] | Roots:  # fmt: skip
    """A recursive filter. There are gradients by its edges.

    Args:
        N: the order.
        Wn: the edge, or both; of a digital filter in units of half the rate of the samples, or as `fs` says.
        rp, rs: the ripple in the band, and the attenuation beyond, in decibels, where the kind has them.
        btype: "lowpass", "highpass", "bandpass" or "bandstop".
        analog: whether the filter is one of continuous time.
        ftype: "butter", "cheby1", "cheby2", "ellip" or "bessel".
        output: "ba", coefficients; "zpk", zeros, poles and gain; or "sos", sections of second order.
        fs: the rate of the samples.

    Raises:
        ValueError: what SciPy refuses; or sections of an edge that a compiled program computes.

    >>> import tapenet as tn
    >>> edge = tn.tensor(0.5, requires_grad=True)
    >>> b, a = tn.scipy.signal.iirfilter(1, edge, btype="low")
    >>> b.sum().backward()
    >>> b.detach().round(9), edge.grad.round(6)
    (Tensor([0.5, 0.5]), Tensor(1.570796))
    """
    Wn = array_like(Wn)
    value = known(Wn)
    if value is not None:  # what is wrong with arguments SciPy knows
        scipys("signal.iirfilter")(
            N, np.asarray(value), rp, rs, btype=btype, analog=analog, ftype=ftype, output="zpk", fs=fs
        )
    if fs is not None:
        Wn = 2 * Wn / fs
    kind = ftype.lower()
    made = scipys(f"signal.{_PROTOTYPES[kind]}")
    given = {"cheb1ap": (rp,), "cheb2ap": (rs,), "ellipap": (rp, rs)}.get(_PROTOTYPES[kind], ())
    norm = {"norm": kind.partition("_")[2] or "phase"} if kind.startswith("bessel") else {}
    lowpass: Roots = made(N, *given, **norm)  # type: ignore[assignment]
    roots = np.atleast_1d(lowpass[0]), np.atleast_1d(lowpass[1]), lowpass[2]
    warped = Wn if analog else 4.0 * np.tan(math.pi * Wn / 2.0)
    band = _BANDS[btype.lower()]
    if band in ("low", "high"):
        edge = warped.reshape(())
        z, p, k = lp2lp_zpk(*roots, wo=edge) if band == "low" else lp2hp_zpk(*roots, wo=edge)
    else:
        wide, middle = warped[1] - warped[0], np.sqrt(warped[0] * warped[1])
        z, p, k = (lp2bp_zpk if band == "band" else lp2bs_zpk)(*roots, wo=middle, bw=wide)
    if not analog:
        z, p, k = bilinear_zpk(z, p, k, fs=2.0)
    return _given(z, p, k, output, analog)


def butter(
    N: int, Wn: ArrayLike, btype: str = "low", analog: bool = False, output: Output = "ba", fs: float | None = None
) -> Array | tuple[Array, Array] | Roots:
    """Butterworth's filter, which is flat in its band; the arguments are those of `iirfilter`.

    >>> import tapenet as tn
    >>> tn.scipy.signal.butter(1, tn.tensor(0.5))[0].round(9)
    Tensor([0.5, 0.5])
    """
    return iirfilter(N, Wn, btype=btype, analog=analog, output=output, ftype="butter", fs=fs)


def cheby1(
    N: int,
    rp: float,
    Wn: ArrayLike,
    btype: str = "low",
    analog: bool = False,
    output: Output = "ba",
    fs: float | None = None,
) -> Array | tuple[Array, Array] | Roots:
    """Chebyshev's filter with ripples in its band; the arguments are those of `iirfilter`.

    >>> import tapenet as tn
    >>> tn.scipy.signal.cheby1(2, 1.0, tn.tensor(0.5), output="sos").shape
    (1, 6)
    """
    return iirfilter(N, Wn, rp=rp, btype=btype, analog=analog, output=output, ftype="cheby1", fs=fs)


def cheby2(
    N: int,
    rs: float,
    Wn: ArrayLike,
    btype: str = "low",
    analog: bool = False,
    output: Output = "ba",
    fs: float | None = None,
) -> Array | tuple[Array, Array] | Roots:
    """Chebyshev's filter with ripples beyond its band; the arguments are those of `iirfilter`.

    >>> import tapenet as tn
    >>> tn.scipy.signal.cheby2(2, 20.0, tn.tensor(0.5), output="sos").shape
    (1, 6)
    """
    return iirfilter(N, Wn, rs=rs, btype=btype, analog=analog, output=output, ftype="cheby2", fs=fs)


def ellip(
    N: int, rp: float, rs: float, Wn: ArrayLike, btype: str = "low", analog: bool = False, output: Output = "ba",
    fs: float | None = None,
) -> Array | tuple[Array, Array] | Roots:  # fmt: skip
    """The elliptic filter, with ripples everywhere and the steepest edge; the arguments are those of `iirfilter`.

    >>> import tapenet as tn
    >>> tn.scipy.signal.ellip(2, 1.0, 20.0, tn.tensor(0.5), output="sos").shape
    (1, 6)
    """
    return iirfilter(N, Wn, rs=rs, rp=rp, btype=btype, analog=analog, output=output, ftype="ellip", fs=fs)


def bessel(
    N: int, Wn: ArrayLike, btype: str = "low", analog: bool = False, output: Output = "ba", norm: str = "phase",
    fs: float | None = None,
) -> Array | tuple[Array, Array] | Roots:  # fmt: skip
    """Bessel's filter, which delays all frequencies of its band alike; the arguments are those of `iirfilter`.

    >>> import tapenet as tn
    >>> tn.scipy.signal.bessel(2, tn.tensor(0.5), output="sos").shape
    (1, 6)
    """
    return iirfilter(N, Wn, btype=btype, analog=analog, output=output, ftype=f"bessel_{norm}", fs=fs)


@followed(
    "signal.firwin", "cutoff", gradients="cutoff: that of the window times sin(π f m)/(π m), and of the scale",
    samples=lambda r: [
        sample(5, np.array(0.4)),
        sample(7, np.array([0.3, 0.6]), window="hann", pass_zero=False),
        sample(7, np.array([0.2, 0.7]), scale=False, fs=3.0),
    ],
)  # fmt: skip
def firwin(
    numtaps: int, cutoff: Array | float, *, width: float | None = None, window: str | tuple[str | float, ...] = "hamming",
    pass_zero: bool | str = True, scale: bool = True, fs: float | None = None,
) -> Array:  # fmt: skip
    """A filter without recursion, by a window. There are gradients by its edges.

    Args:
        numtaps: how many coefficients.
        cutoff: the edges of bands, in units of half the rate of the samples, or as `fs` says.
        width: that of the edges, for a Kaiser window.
        window: the window.
        pass_zero: whether frequency 0 passes, or "lowpass", "highpass", "bandpass", "bandstop".
        scale: whether the middle of the first band that passes has gain 1.
        fs: the rate of the samples.

    Raises:
        ValueError: edges that do not rise, or coefficients that cannot do that.

    >>> import tapenet as tn
    >>> tn.scipy.signal.firwin(3, tn.tensor(0.5)).sum().round(9)
    Tensor(1.)
    """
    half = 0.5 * (2.0 if fs is None else fs)
    edges = array_like(cutoff) / half
    if isinstance(pass_zero, str):
        pass_zero = pass_zero in ("lowpass", "bandstop")
    if width is not None:
        atten = scipys("signal.kaiser_atten")(numtaps, width / half)
        window = ("kaiser", scipys("signal.kaiser_beta")(atten))  # type: ignore[assignment]
    bounds: list[Array | float] = [edges[i] for i in range(edges.shape[0])] if edges.ndim else [edges]
    if pass_zero:
        bounds.insert(0, 0.0)
    if len(bounds) % 2:
        bounds.append(1.0)
    m = np.arange(numtaps) - 0.5 * (numtaps - 1)
    h: Array = np.zeros(numtaps)
    for sign, edge in zip([-1, 1] * (len(bounds) // 2), bounds, strict=True):
        safe = np.where(m == 0, 1.0, math.pi * m)
        h = h + sign * np.where(m == 0, edge, np.sin(edge * (math.pi * m)) / safe)
    h = h * np.asarray(scipys("signal.get_window")(window, numtaps, fftbins=False))
    if scale:
        left, right = bounds[:2]
        middle = 0.0 if pass_zero else 1.0 if isinstance(right, float) else 0.5 * (left + right)
        h = h / np.sum(h * np.cos(math.pi * m * middle))
    return h
