# Made by `python -m tests.stubs`.
from collections.abc import Sequence
from numpy.typing import ArrayLike
from tapenet.autodiff.tensor import Tensor as Tensor
from tapenet.scipy.signal import windows as windows
from tapenet.scipy.signal.chosen_windows import get_window as get_window
from tapenet.scipy.signal.convolution import Axes
from tapenet.scipy.signal.convolution import Method
from tapenet.scipy.signal.convolution import Mode
from tapenet.scipy.signal.design import bessel as bessel
from tapenet.scipy.signal.design import bilinear_zpk as bilinear_zpk
from tapenet.scipy.signal.design import butter as butter
from tapenet.scipy.signal.design import cheby1 as cheby1
from tapenet.scipy.signal.design import cheby2 as cheby2
from tapenet.scipy.signal.design import ellip as ellip
from tapenet.scipy.signal.design import iirfilter as iirfilter
from tapenet.scipy.signal.design import lp2bp_zpk as lp2bp_zpk
from tapenet.scipy.signal.design import lp2bs_zpk as lp2bs_zpk
from tapenet.scipy.signal.design import lp2hp_zpk as lp2hp_zpk
from tapenet.scipy.signal.design import lp2lp_zpk as lp2lp_zpk
from tapenet.scipy.signal.design import zpk2tf as zpk2tf
from tapenet.scipy.signal.extension import Extension
from tapenet.scipy.signal.filtering import deconvolve as deconvolve
from tapenet.scipy.signal.filtering import lfilter as lfilter
from tapenet.scipy.signal.filtering import sosfilt as sosfilt
from tapenet.scipy.signal.filtering import sosfiltfilt as sosfiltfilt
from tapenet.scipy.signal.forms import sos2tf as sos2tf
from tapenet.scipy.signal.forms import sos2zpk as sos2zpk
from tapenet.scipy.signal.forms import ss2zpk as ss2zpk
from tapenet.scipy.signal.forms import tf2sos as tf2sos
from tapenet.scipy.signal.forms import tf2zpk as tf2zpk
from tapenet.scipy.signal.forms import zpk2sos as zpk2sos
from tapenet.scipy.signal.normalization import normalize as normalize
from tapenet.scipy.signal.peaks import find_peaks as find_peaks
from tapenet.scipy.signal.peaks import peak_prominences as peak_prominences
from tapenet.scipy.signal.peaks import peak_widths as peak_widths
from tapenet.scipy.signal.resampling import resample as resample
from tapenet.scipy.signal.responses import freqs as freqs
from tapenet.scipy.signal.responses import freqz_zpk as freqz_zpk
from tapenet.scipy.signal.responses import group_delay as group_delay
from tapenet.scipy.signal.separable import sepfir2d as sepfir2d
from tapenet.scipy.signal.spectra import Detrend
from tapenet.scipy.signal.spectra import Scaling
from tapenet.scipy.signal.spectra import Window
from tapenet.scipy.signal.substitutions import bilinear as bilinear
from tapenet.scipy.signal.substitutions import lp2bp as lp2bp
from tapenet.scipy.signal.substitutions import lp2bs as lp2bs
from tapenet.scipy.signal.substitutions import lp2hp as lp2hp
from tapenet.scipy.signal.substitutions import lp2lp as lp2lp
from tapenet.scipy.signal.systems import bode as bode
from tapenet.scipy.signal.systems import dimpulse as dimpulse
from tapenet.scipy.signal.systems import dlsim as dlsim
from tapenet.scipy.signal.systems import dstep as dstep
from tapenet.scipy.signal.systems import freqresp as freqresp
from tapenet.scipy.signal.systems import impulse as impulse
from tapenet.scipy.signal.systems import lsim as lsim
from tapenet.scipy.signal.systems import step as step
from tapenet.scipy.signal.systems import tf2ss as tf2ss
from tapenet.scipy.signal.systems import zpk2ss as zpk2ss
from tapenet.scipy.signal.waveforms import chirp as chirp
from tapenet.scipy.signal.waveforms import gausspulse as gausspulse
from tapenet.scipy.signal.waveforms import sawtooth as sawtooth
from tapenet.scipy.signal.waveforms import square as square
from typing import Literal

def coherence(x: ArrayLike, y: ArrayLike, fs: float = 1.0, window: Window = 'hann_periodic', nperseg: int | None = None, noverlap: int | None = None, nfft: int | None = None, detrend: Detrend = 'constant', axis: int = -1) -> tuple[Tensor, Tensor]:
    """The square of the cross spectrum of two signals by the product of their spectra; the arguments are those of `csd`."""

def convolve(in1: ArrayLike, in2: ArrayLike, mode: Mode = 'full', method: Method = 'auto') -> Tensor:
    """The convolution of two arrays with as many axes."""

def convolve2d(in1: ArrayLike, in2: ArrayLike, mode: Mode = 'full', boundary: str = 'fill', fillvalue: complex = 0) -> Tensor:
    """The convolution of two images."""

def correlate(in1: ArrayLike, in2: ArrayLike, mode: Mode = 'full', method: Method = 'auto') -> Tensor:
    """The cross-correlation Σ in1[l] conj(in2[l - k]) of two arrays with as many axes; the arguments are those of `convolve`."""

def correlate2d(in1: ArrayLike, in2: ArrayLike, mode: Mode = 'full', boundary: str = 'fill', fillvalue: complex = 0) -> Tensor:
    """The cross-correlation of two images; the arguments are those of `convolve2d`."""

def csd(x: ArrayLike, y: ArrayLike, fs: float = 1.0, window: Window = 'hann_periodic', nperseg: int | None = None, noverlap: int | None = None, nfft: int | None = None, detrend: Detrend = 'constant', return_onesided: bool = True, scaling: Scaling = 'density', axis: int = -1, average: str = 'mean') -> tuple[Tensor, Tensor]:
    """The cross spectrum of two signals, on average over segments."""

def cspline1d(signal: ArrayLike, lamb: float = 0.0) -> Tensor:
    """The coefficients of a cubic spline through samples, or near them."""

def cspline1d_eval(cj: ArrayLike, newx: ArrayLike, dx: float = 1.0, x0: float = 0) -> Tensor:
    """A cubic spline at places, from its coefficients."""

def cspline2d(signal: ArrayLike, lamb: float = 0.0, precision: float = -1.0) -> Tensor:
    """The coefficients of a cubic spline through an image, or near it."""

def czt(x: ArrayLike, m: int | None = None, w: complex | None = None, a: complex = ..., *, axis: int = -1) -> Tensor:
    """The z-transform of signals at the m points a w⁻ᵏ."""

def decimate(x: ArrayLike, q: int, n: int | None = None, ftype: Literal['iir', 'fir'] = 'iir', axis: int = -1, zero_phase: bool = True) -> Tensor:
    """Each q-th sample of signals, behind a filter against the frequencies that these cannot hold."""

def detrend(data: ArrayLike, axis: int = -1, type: Literal['linear', 'constant'] = 'linear', bp: int | Sequence[int] = 0, overwrite_data: bool = False) -> Tensor:
    """Signals without the line that fits them best, or without their mean."""

def envelope(z: ArrayLike, bp_in: tuple[int | None, int | None] = ..., *, n_out: int | None = None, squared: bool = False, residual: Literal['lowpass', 'all'] | None = 'lowpass', axis: int = -1) -> Tensor:
    """The envelope of a signal within a band of its frequencies, and what is left of it."""

def fftconvolve(in1: ArrayLike, in2: ArrayLike, mode: Mode = 'full', axes: Axes | None = None) -> Tensor:
    """The convolution of two arrays along some axes by Fourier transforms. The others broadcast."""

def filtfilt(b: ArrayLike, a: ArrayLike, x: ArrayLike, axis: int = -1, padtype: Extension = 'odd', padlen: int | None = None, method: Literal['pad', 'gust'] = 'pad', irlen: int | None = None) -> Tensor:
    """Filter signals forward and backward, which leaves their phases as they are."""

def firwin(numtaps: int, cutoff: ArrayLike, *, width: float | None = None, window: str | tuple[str | float, ...] = 'hamming', pass_zero: bool | str = True, scale: bool = True, fs: float | None = None) -> Tensor:
    """A filter without recursion, by a window. There are gradients by its edges."""

def freqz(b: ArrayLike, a: ArrayLike = 1, worN: ArrayLike = 512, whole: bool = False, plot: None = None, fs: float = 6.283185307179586, include_nyquist: bool = False) -> tuple[Tensor, Tensor]:
    """The response of a digital filter at frequencies."""

def freqz_sos(sos: ArrayLike, worN: ArrayLike = 512, whole: bool = False, fs: float = 6.283185307179586) -> tuple[Tensor, Tensor]:
    """The response of a cascade of sections of second order; the arguments are those of `freqz`."""

def hilbert(x: ArrayLike, N: int | None = None, axis: int = -1) -> Tensor:
    """The analytic signal of a real one, whose imaginary part is its Hilbert transform."""

def hilbert2(x: ArrayLike, N: int | tuple[int, int] | None = None, axes: tuple[int, int] = ...) -> Tensor:
    """The analytic signal of a real image."""

def iirnotch(w0: ArrayLike, Q: ArrayLike, fs: ArrayLike = 2.0) -> tuple[Tensor, Tensor]:
    """The coefficients of a filter that stops the frequency `w0`. There are gradients by all arguments."""

def iirpeak(w0: ArrayLike, Q: ArrayLike, fs: ArrayLike = 2.0) -> tuple[Tensor, Tensor]:
    """The coefficients of a filter that passes the frequency `w0` alone; the arguments are those of `iirnotch`."""

def istft(Zxx: ArrayLike, fs: float = 1.0, window: Window = 'hann_periodic', nperseg: int | None = None, noverlap: int | None = None, nfft: int | None = None, input_onesided: bool = True, boundary: bool = True, time_axis: int = -1, freq_axis: int = -2, scaling: Scaling = 'spectrum') -> tuple[Tensor, Tensor]:
    """Signals from the transforms of their segments: the inverse of `stft`, whose arguments it has."""

def lfilter_zi(b: ArrayLike, a: ArrayLike) -> Tensor:
    """The states of a filter whose input is 1 and always was: its answer to a step has settled."""

def lfiltic(b: ArrayLike, a: ArrayLike, y: ArrayLike, x: ArrayLike | None = None) -> Tensor:
    """The states of a filter that had given `y` of `x`, both the last one first."""

def medfilt(volume: ArrayLike, kernel_size: int | Sequence[int] | None = None) -> Tensor:
    """The median of what is around each place, zeros beyond the ends."""

def oaconvolve(in1: ArrayLike, in2: ArrayLike, mode: Mode = 'full', axes: Axes | None = None) -> Tensor:
    """The convolution of two arrays along some axes by Fourier transforms of blocks, whose results overlap and are added. The others broadcast."""

def periodogram(x: ArrayLike, fs: float = 1.0, window: Window | None = 'boxcar', nfft: int | None = None, detrend: Detrend = 'constant', return_onesided: bool = True, scaling: Scaling = 'density', axis: int = -1) -> tuple[Tensor, Tensor]:
    """The power spectrum of signals, each as one segment; the arguments are those of `welch`."""

def qspline1d(signal: ArrayLike, lamb: float = 0.0) -> Tensor:
    """The coefficients of a quadratic spline through samples."""

def qspline1d_eval(cj: ArrayLike, newx: ArrayLike, dx: float = 1.0, x0: float = 0) -> Tensor:
    """A quadratic spline at places, from its coefficients; the arguments are those of `cspline1d_eval`."""

def qspline2d(signal: ArrayLike, lamb: float = 0.0, precision: float = -1.0) -> Tensor:
    """The coefficients of a quadratic spline through an image; the arguments are those of `cspline2d`, `lamb` is 0."""

def resample_poly(x: ArrayLike, up: int, down: int, axis: int = 0, window: str | tuple[str | float, ...] | ArrayLike = ..., padtype: str = 'constant', cval: float | None = None) -> Tensor:
    """Signals at up/down of their rate, by a filter."""

def savgol_filter(x: ArrayLike, window_length: int, polyorder: int, deriv: int = 0, delta: float = 1.0, axis: int = -1, mode: str = 'interp', cval: float = 0.0) -> Tensor:
    """Signals smoothed by polynomials that fit the samples around each one best (Savitzky and Golay), or their derivatives."""

def sosfilt_zi(sos: ArrayLike) -> Tensor:
    """The states of a cascade whose input is 1 and always was, of shape (sections, 2)."""

def sosfreqz(sos: ArrayLike, worN: ArrayLike = 512, whole: bool = False, fs: float = 6.283185307179586) -> tuple[Tensor, Tensor]:
    """The response of a cascade of sections of second order; the arguments are those of `freqz`."""

def spectrogram(x: ArrayLike, fs: float = 1.0, window: Window = ..., nperseg: int | None = None, noverlap: int | None = None, nfft: int | None = None, detrend: Detrend = 'constant', return_onesided: bool = True, scaling: Scaling = 'density', axis: int = -1, mode: Literal['psd', 'complex', 'magnitude', 'angle', 'phase'] = 'psd') -> tuple[Tensor, Tensor, Tensor]:
    """The power spectra of segments of signals."""

def spline_filter(Iin: ArrayLike, lmbda: float = 5.0) -> Tensor:
    """An image smoothed by a cubic spline."""

def ss2tf(A: ArrayLike, B: ArrayLike, C: ArrayLike, D: ArrayLike, input: int = 0) -> tuple[Tensor, Tensor]:
    """The coefficients of a system that is given by its matrices, from one of its inputs to all outputs."""

def stft(x: ArrayLike, fs: float = 1.0, window: Window = 'hann_periodic', nperseg: int | None = 256, noverlap: int | None = None, nfft: int | None = None, detrend: Detrend = False, return_onesided: bool = True, boundary: Extension = 'zeros', padded: bool = True, axis: int = -1, scaling: Scaling = 'spectrum') -> tuple[Tensor, Tensor, Tensor]:
    """The Fourier transforms of segments of signals."""

def symiirorder1(signal: ArrayLike, c0: float, z1: float, precision: float = -1.0) -> Tensor:
    """A recursion forward and one backward, c0 / ((1 - z1/z) (1 - z1 z)), of signals that go on as their mirror image."""

def symiirorder2(input: ArrayLike, r: float, omega: float, precision: float = -1.0) -> Tensor:
    """A recursion of second order forward and one backward, of signals that go on as their mirror image."""

def upfirdn(h: ArrayLike, x: ArrayLike, up: int = 1, down: int = 1, axis: int = -1, mode: str = 'constant', cval: float = 0) -> Tensor:
    """Put zeros between samples, convolve with a filter, and keep each sample in so many."""

def welch(x: ArrayLike, fs: float = 1.0, window: Window = 'hann_periodic', nperseg: int | None = None, noverlap: int | None = None, nfft: int | None = None, detrend: Detrend = 'constant', return_onesided: bool = True, scaling: Scaling = 'density', axis: int = -1, average: str = 'mean') -> tuple[Tensor, Tensor]:
    """The power spectrum of signals, on average over segments."""

def wiener(im: ArrayLike, mysize: int | Sequence[int] | None = None, noise: float | None = None) -> Tensor:
    """An image without noise, by its local means and variances (Wiener's filter)."""

def zoom_fft(x: ArrayLike, fn: float | Sequence[float], m: int | None = None, *, fs: float = 2, endpoint: bool = False, axis: int = -1) -> Tensor:
    """The Fourier transform of signals at m frequencies from fn[0] to fn[1]."""
