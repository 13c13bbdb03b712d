"""Systems, forms of filters, waves and peaks: SciPy's values, and derivatives by differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.signal

import tapenet as tn
from tapenet.scipy import signal

R = np.random.default_rng(4)
T, B, A = np.linspace(0.1, 3, 7), np.array([1.0, 0.4]), np.array([1.0, 0.7, 0.9])
M = [R.normal(size=(2, 2)) - 2 * np.eye(2), R.normal(size=(2, 2)), R.normal(size=(1, 2)), R.normal(size=(1, 2))]
ONE = [M[0], M[1][:, :1], M[2], M[3][:, :1]]
U = R.normal(size=(7, 2))
SECTIONS = np.array([[1.0, 0.5, 0.2, 1.0, -0.3, 0.2], [0.7, 0.1, 0.4, 1.0, 0.4, 0.1]])
NOISE = np.cos(np.arange(30.0)) + R.normal(size=30)


def parts(found: Any) -> list[Any]:
    """The arrays of a result in nested tuples."""
    return [leaf for part in found for leaf in parts(part)] if isinstance(found, tuple) else [found]


def found_peaks(s: Any, x: Any) -> Any:
    peaks, told = s.find_peaks(x, height=-3, threshold=0, prominence=0.3, width=0)
    return peaks, *(told[key] for key in sorted(told))


#: A function of a namespace, SciPy's or ours, and of arrays.
CALLS: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    **{
        f"chirp {m}": (lambda s, t, f, g, m=m: s.chirp(t, f, 2.0, g, m, 30.0, m != "q"), [T, np.array(1.0), np.array(1.7)])
        for m in ("linear", "quadratic", "q", "logarithmic", "hyperbolic")
    },
    "chirp at one frequency": (lambda s, t: s.chirp(t, 2.0, 2.0, 2.0, "hyperbolic"), [T]),
    "sawtooth": (lambda s, t, w: s.sawtooth(4 * t, w), [T, np.array(0.3)]),
    "square": (lambda s, t: s.square(4 * t, 0.3) + t, [T]),
    "gausspulse": (lambda s, t, f: s.gausspulse(t - 1, f, retquad=True, retenv=True), [T, np.array(1.2)]),
    "iirnotch": (lambda s, w, q, f: s.iirnotch(w, q, f), [np.array(0.4), np.array(5.0), np.array(3.0)]),
    "iirpeak": (lambda s, w, q: s.iirpeak(w, q), [np.array(0.4), np.array(5.0)]),
    "tf2ss": (lambda s, b, a: s.tf2ss(b, a), [B, 2 * A]),
    "zpk2ss": (lambda s, p, k: s.zpk2ss([], p, k), [np.array([-1.0, -2.0]), np.array(2.0)]),
    "ss2tf": (lambda s, *m: s.ss2tf(*m, 1), M),
    "ss2zpk": (lambda s, *m: [abs(v) for v in s.ss2zpk(*m)][2], ONE),
    "tf2zpk": (lambda s, b, a: tuple(abs(v) for v in s.tf2zpk(b, a)[:2]), [np.array([2.0, 1, -0.5]), A]),
    "sos2tf": (lambda s, c: s.sos2tf(c), [SECTIONS]),
    "sos2zpk": (lambda s, c: abs(s.sos2zpk(c)[2]), [SECTIONS]),
    "tf2sos": (lambda s, b, a: s.tf2sos(b, a), [B, A]),
    **{
        f"zpk2sos {pairing}": (
            lambda s, z, p, k, pairing=pairing: s.zpk2sos(z, p, k, pairing, analog=pairing is None),
            [np.array([0.1, 0.9]), np.array([0.2, -0.5, 0.7]), np.array(2.0)],
        )
        for pairing in ("nearest", "keep_odd", "minimal", None)
    },
    "zpk2sos without gain": (lambda s, z, k: s.zpk2sos(z, [], k), [np.array([0.1, 0.9, 0.3]), np.array(0.0)]),
    "bilinear": (lambda s, b, a, f: s.bilinear(b, a, f), [B, A, np.array(2.0)]),
    "lp2lp": (lambda s, b, a, w: s.lp2lp(b, a, w), [B, A, np.array(2.0)]),
    "lp2hp": (lambda s, b, a, w: s.lp2hp(b, a, w), [B, A, np.array(2.0)]),
    "lp2bp": (lambda s, b, a, w, v: s.lp2bp(b, a, w, v), [B, A, np.array(2.0), np.array(0.7)]),
    "lp2bs": (lambda s, b, a, w, v: s.lp2bs(b, a, w, v), [B, A, np.array(2.0), np.array(0.7)]),
    **{
        f"lsim {interp}": (lambda s, u, x, *m, interp=interp: s.lsim(m, u, T, x, interp), [U, np.array([0.3, 1.0]), *M])
        for interp in (True, False)
    },
    "lsim without input": (lambda s, x, *m: s.lsim(m, None, T, x), [np.array([0.3, 1.0]), *ONE]),
    "step": (lambda s, b, a: s.step((b, a), T=np.linspace(0, 3, 30))[1], [B, A]),
    "step at chosen times": (lambda s, x: s.step((B, A), x, N=30), [np.array([0.3, 1.0])]),
    "impulse": (lambda s, p: s.impulse(([], p, 2.0), T=T), [np.array([-1.0, -2.0])]),
    "freqresp": (lambda s, *m: s.freqresp(m, T), ONE),
    "bode": (lambda s, b, a: s.bode((b, a), T), [B, A]),
    "dlsim": (lambda s, u, x, *m: s.dlsim((*m, 0.5), u, x0=x), [U, np.array([0.3, 1.0]), *M]),
    "dlsim at times": (lambda s, u, b, a: s.dlsim((b, a, 0.3), u, np.linspace(0.2, 2.0, 7)), [U[:, 0], B, A]),
    "dstep at times": (lambda s, b, a: s.dstep((b, a, 0.5), t=[0.0, 0.7, 1.4]), [B, A]),
    "dstep": (lambda s, b, a: s.dstep((b, a, 0.5), n=6), [B, A]),
    "dimpulse": (lambda s, *m: s.dimpulse((*m, 0.5), n=6), M),
    **{
        f"get_window {name}": (lambda s, a, name=name: s.get_window((name, a), 6), [np.array(0.6)])
        for name in ("kaiser", "gaussian", "general_hamming", "tukey")
    },
    "find_peaks": (found_peaks, [NOISE]),
    "peak_prominences": (lambda s, x: s.peak_prominences(x, scipy.signal.find_peaks(NOISE)[0], 7), [NOISE]),
    "peak_widths": (lambda s, x: s.peak_widths(x, scipy.signal.find_peaks(NOISE)[0], 0.8), [NOISE]),
}  # fmt: skip
#: Where values, which are numbers of samples, say how much there is.
PLACED = (*(name for name in CALLS if "zpk2sos" in name), "find_peaks", "peak_prominences", "peak_widths", "tf2sos")


@pytest.mark.parametrize("name", CALLS)
def test_values_are_scipys(name: str) -> None:
    call, arrays = CALLS[name]
    scalars = [float(a) if not a.ndim else a for a in arrays]  # which SciPy's chirp and windows take alone
    for ours, theirs in zip(
        parts(call(signal, *map(tn.tensor, arrays))), parts(call(scipy.signal, *scalars)), strict=True
    ):
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in ("lsim True", "find_peaks") else pytest.mark.slow) for n in CALLS]
)
def test_derivatives(name: str) -> None:
    call, arrays = CALLS[name]

    def f(*given: Any) -> Any:
        return [p for p in parts(call(signal, *given)) if isinstance(p, tn.Tensor) and p.dtype.kind in "fc"]

    tn.testing.check_grads(f, arrays, order=1)
    if name not in PLACED and "get_window" not in name:
        tn.testing.check_grads(f, arrays, order=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*CALLS} - {*PLACED, "step at chosen times", "tf2zpk", "sos2zpk", "ss2zpk"}))
def test_compiled(name: str) -> None:
    call, arrays = CALLS[name]

    def loss(*given: Any) -> Any:
        return sum((abs(p) ** 2).sum() for p in parts(call(signal, *given)))

    gradient = tn.grad(loss, argnums=tuple(range(len(arrays))))
    for compiled, eager in zip(tn.compile(gradient, backend="numpy")(*arrays), gradient(*arrays), strict=True):
        np.testing.assert_allclose(compiled.numpy(), eager.numpy(), rtol=1e-9, atol=1e-9)


def test_roots_are_scipys() -> None:
    for ours, theirs in zip(signal.tf2zpk(tn.tensor(B), A), scipy.signal.tf2zpk(B, A), strict=True):
        np.testing.assert_allclose(
            np.sort_complex(np.atleast_1d(ours)), np.sort_complex(np.atleast_1d(theirs)), rtol=1e-12
        )
    sections = signal.zpk2sos(*signal.sos2zpk(tn.tensor(SECTIONS)))
    for ours, theirs in zip(signal.sos2tf(sections), scipy.signal.sos2tf(SECTIONS), strict=True):
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-10)


@pytest.mark.filterwarnings("ignore:Badly conditioned")  # SciPy's numerators of matrices begin with 0
def test_systems_of_scipys() -> None:
    for made, kinds in (
        (scipy.signal.lti, ("lsim", "step", "impulse", "freqresp")),
        (scipy.signal.dlti, ("dlsim", "dstep")),
    ):
        discrete = made is scipy.signal.dlti
        system = made(B, A)
        for form in (system, system.to_zpk(), system.to_ss()):
            for name in kinds:
                given = {"lsim": (U[:, 0], T - T[0]), "freqresp": (T,), "dlsim": (U[:, 0],)}.get(name, ())
                found, expected = (getattr(m, name)(form, *given) for m in (signal, scipy.signal))
                for ours, theirs in zip(parts(found), parts(expected), strict=True):
                    np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-9, atol=1e-12)
        for name in ("lsim", "step", "impulse", "freqresp", "bode") if discrete else ("dlsim", "dstep", "dimpulse"):
            with pytest.raises(AttributeError, match="can only be used with"):
                getattr(signal, name)(system, *([U[:, 0]] * (2 if name == "lsim" else name == "dlsim")))


def test_peaks_of_whole_numbers_and_float32() -> None:
    x = np.array([0, 3, 1, 2, 0, 1, 0])
    for kind in (np.int64, np.float32):
        for name in ("peak_prominences", "peak_widths"):
            found, expected = (
                getattr(m, name)(v, [1, 3]) for m, v in ((signal, tn.tensor(x.astype(kind))), (scipy.signal, x))
            )
            for ours, theirs in zip(found, expected, strict=True):
                np.testing.assert_array_equal(np.asarray(ours), theirs, strict=True)
    with pytest.warns(match="width of 0"):
        signal.peak_widths(x, [1], rel_height=0)
    with pytest.raises(TypeError, match="cannot safely cast"):
        signal.peak_widths(x, [1.5])


def test_zeros_in_front_of_coefficients_are_left_out_as_scipy_does() -> None:
    b, a = np.array([0.0, 2.0, 1.0]), np.array([0.0, 0.0, 2.0, 1.0, 0.5])
    for name in ("normalize", "tf2zpk", "tf2ss", "lp2lp"):
        found = []
        for module, given in ((signal, tn.tensor(b)), (scipy.signal, b)):
            with pytest.warns(scipy.signal.BadCoefficients):
                found.append(getattr(module, name)(given, a))
        for ours, theirs in zip(*found, strict=True):
            np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-14)
    for ours, theirs in zip(signal.bilinear(tn.tensor(b), a), scipy.signal.bilinear(b, a), strict=True):
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-13)


def test_sections_are_scipys_to_the_bit_where_roots_come_in_pairs() -> None:
    z, p, k = scipy.signal.ellip(5, 1, 40, [0.2, 0.5], "band", output="zpk")
    for pairing in ("nearest", "keep_odd", "minimal"):
        found = signal.zpk2sos(tn.tensor(z), p, k, pairing)
        np.testing.assert_array_equal(found.numpy(), scipy.signal.zpk2sos(z, p, k, pairing))


def test_what_is_refused() -> None:
    for call, words in (
        (lambda: signal.tf2ss([1.0, 2.0, 3.0], [1.0, 2.0]), "improper transfer function"),
        (lambda: signal.lsim((B, A), U[:, 0], T**2), "Time steps are not equally spaced"),
        (lambda: signal.lsim((B, A), U, T), "for 7 times and 1 inputs"),
        (lambda: signal.chirp(T, 1.0, 1.0, 2.0, "cubic"), "'logarithmic' or 'hyperbolic', not 'cubic'"),
        (lambda: signal.iirnotch(1.5, 2.0), "0 < w0 < 1"),
        (lambda: signal.iirpeak(0.5, 2.0, None), "Sampling frequency"),
        (lambda: signal.bilinear(B, A, np.ones(2)), "Sampling frequency"),
        (lambda: signal.bilinear(B, np.ones((2, 2))), "a is not a 1d array"),
        (lambda: signal.zpk2sos([1.0], [0.5], 1j), "k must be real"),
        (lambda: signal.zpk2sos([1.0], [], tn.tensor(1.0), analog=True), "must have len"),
        (lambda: signal.tf2zpk(B, [0.0, 0.0]), "Denominator"),
        (lambda: tn.compile(lambda x: signal.find_peaks(x)[0])(NOISE), "depends on the values of x"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
