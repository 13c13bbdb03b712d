"""Windows by their names."""

from __future__ import annotations

from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.scipy.followed import scipys
from tapenet.scipy.signal import windows

#: SciPy's names of the windows that have parameters with derivatives.
_WITH_PARAMETERS = {
    "exponential": "exponential", "poisson": "exponential", "gaussian": "gaussian", "gauss": "gaussian", "gss": "gaussian",
    "general gaussian": "general_gaussian", "general_gaussian": "general_gaussian", "general gauss": "general_gaussian",
    "general_gauss": "general_gaussian", "ggs": "general_gaussian", "general cosine": "general_cosine",
    "general_cosine": "general_cosine", "general hamming": "general_hamming", "general_hamming": "general_hamming",
    "kaiser": "kaiser", "ksr": "kaiser", "tukey": "tukey", "tuk": "tukey",
}  # fmt: skip


def get_window(window: object, Nx: int, fftbins: bool = True) -> Tensor:
    """A window by its name.

    Args:
        window: a name; a tuple of a name and parameters, by which there are gradients for those in `windows`; or a number, the
            parameter of a Kaiser window.
        Nx: how many samples.
        fftbins: whether it is periodic, for spectra; else it is symmetric, for filters.

    Raises:
        ValueError: a name that is none; parameters that are missing.

    >>> import tapenet as tn
    >>> width = tn.tensor(1.0, requires_grad=True)
    >>> tn.scipy.signal.get_window(("gaussian", width), 3, fftbins=False).sum().backward()
    >>> width.grad.round(6)
    Tensor(1.213061)
    """
    if isinstance(window, Tensor):
        window = ("kaiser", window)
    if isinstance(window, tuple) and len(window) > 1 and window[0] in _WITH_PARAMETERS:
        made = getattr(windows, _WITH_PARAMETERS[window[0]])
        return asarray(made(Nx, *window[1:], sym=not fftbins))
    return asarray(scipys("signal.get_window")(window, Nx, fftbins))
