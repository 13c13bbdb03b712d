"""Windows with parameters. Those without are arrays, which SciPy makes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tapenet.ops.op import Op
from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed, scipys
from tapenet.special.bessel import i0
from tapenet.typing import Array

Number = Array | float


def _window(
    name: str, *by: str, words: str, example: str, given: Sequence[object]
) -> Callable[[Callable[..., object]], Op]:
    """The decorator of a window's formula."""
    theirs = scipys(f"signal.windows.{name}")

    def values(*args: object, **options: object) -> object:
        found = theirs(*(a.item() if isinstance(a, np.ndarray) and not a.ndim else a for a in args), **options)
        return found

    doc = f"""{words}

    Args:
        M: how many samples.
        {", ".join(by)}: as in SciPy. There are gradients by {"it" if len(by) == 1 else "them"}.
        sym: whether the window is symmetric, for filters; else it is periodic, for spectra.

    >>> import tapenet as tn
    >>> tn.scipy.signal.windows.{example}
    """
    return followed(
        values, *by, doc=doc, gradients="those of the formula",
        samples=lambda r: [sample(M, *given, sym=sym) for M, sym in ((5, True), (4, True), (4, False))],
    )  # fmt: skip


def _steps(M: int, sym: bool) -> tuple[Array, int]:
    """The samples' places, counted from the middle, and how many there are with the one that a periodic window leaves out."""
    n = M if sym or M < 2 else M + 1  # a window of one sample is 1
    return (np.arange(n) - (n - 1) / 2)[:M], n


@_window(
    "gaussian", "std", words="The window exp(-n²/(2 std²)), n counted from the middle.",
    example="gaussian(3, tn.tensor(1.0)).round(3)\n    Tensor([0.607, 1.   , 0.607])", given=[np.array(1.3)],
)  # fmt: skip
def gaussian(M: int, std: Number, sym: bool = True) -> Array:
    n, _ = _steps(M, sym)
    return np.exp(-(n**2) / (2 * std * std))


@_window(
    "general_gaussian", "p", "sig", words="The window exp(-|n/sig|²ᵖ / 2), n counted from the middle.",
    example="general_gaussian(3, 1.0, tn.tensor(1.0)).round(3)\n    Tensor([0.607, 1.   , 0.607])",
    given=[np.array(1.2), np.array(1.5)],
)  # fmt: skip
def general_gaussian(M: int, p: Number, sig: Number, sym: bool = True) -> Array:
    n, _ = _steps(M, sym)
    apart = np.abs(n) / sig
    power = np.exp(2 * p * np.log(np.where(n == 0, 1.0, apart)))
    return np.exp(-0.5 * np.where(n == 0, 0.0, power))


@_window(
    "kaiser", "beta", words="Kaiser's window I₀(beta √(1 - (n/half)²)) / I₀(beta), n counted from the middle.",
    example="kaiser(3, tn.tensor(2.0)).round(3)\n    Tensor([0.439, 1.   , 0.439])", given=[np.array(2.5)],
)  # fmt: skip
def kaiser(M: int, beta: Number, sym: bool = True) -> Array:
    n, count = _steps(M, sym)
    found: Array = i0(beta * np.sqrt(np.maximum(1 - (n / (max(count - 1, 1) / 2)) ** 2, 0))) / i0(beta)
    return found


@_window(
    "tukey", "alpha", words="Tukey's window: flat but for cosines at the ends, alpha of the whole.",
    example="tukey(5, tn.tensor(0.8)).round(3)\n    Tensor([0.   , 0.691, 1.   , 0.691, 0.   ])".replace("0.691", "0.691"),
    given=[np.array(0.8)],
)  # fmt: skip
def tukey(M: int, alpha: Number = 0.5, sym: bool = True) -> Array:
    n, count = _steps(M, sym)
    x = (count - 1) / 2 - np.abs(n)  # from the nearer end
    wide = np.minimum(alpha, 1.0)
    flat = (wide <= 0) | (2 * x >= (count - 1) * wide)  # the one sample of a window of one too
    ramp = 2 * x / (max(count - 1, 1) * np.where(wide > 0, wide, 1.0))
    return np.where(flat, 1.0, 0.5 * (1 + np.cos(math.pi * (ramp - 1))))


@_window(
    "general_hamming", "alpha", words="The window alpha - (1 - alpha) cos(2πn/N), n from one end.",
    example="general_hamming(3, tn.tensor(0.5)).round(3)\n    Tensor([0., 1., 0.])", given=[np.array(0.6)],
)  # fmt: skip
def general_hamming(M: int, alpha: Number, sym: bool = True) -> Array:
    n, count = _steps(M, sym)
    found: Array = alpha + (1 - alpha) * np.cos(2 * math.pi * n / max(count - 1, 1))
    return found


@_window(
    "general_cosine", "a", words="The window Σ a[k] cos(2πkn/N), n counted from the middle.",
    example="general_cosine(3, tn.tensor([0.5, 0.5])).round(3)\n    Tensor([0., 1., 0.])",
    given=[np.array([0.5, 0.3, 0.2])],
)  # fmt: skip
def general_cosine(M: int, a: Array, sym: bool = True) -> Array:
    n, count = _steps(M, sym)
    if M < 2:
        return np.ones(M) + 0 * np.sum(a)  # type: ignore[no-any-return]
    found: Array = np.cos(np.outer(2 * math.pi * n / (count - 1), np.arange(len(a)))) @ a
    return found


@followed(
    lambda M, center, tau, sym: scipys("signal.windows.exponential")(
        M, center, tau.item() if isinstance(tau, np.ndarray) and not tau.ndim else tau, sym
    ),
    "tau", gradients="tau: that of exp(-|n - center|/tau)",
    samples=lambda r: [sample(5, None, np.array(1.7)), sample(4, 1.0, np.array(0.8), False)],
)  # fmt: skip
def exponential(M: int, center: float | None = None, tau: Number = 1.0, sym: bool = True) -> Array:
    """The window exp(-|n - center|/tau).

    Args:
        M: how many samples.
        center: where it is 1, by default in the middle.
        tau: how fast it falls. There are gradients by it.
        sym: whether the window is symmetric, for filters; else it is periodic, for spectra.

    >>> import tapenet as tn
    >>> tn.scipy.signal.windows.exponential(3, tau=tn.tensor(1.0)).round(3)
    Tensor([0.368, 1.   , 0.368])
    """
    n = M if sym or M < 2 else M + 1
    middle = (n - 1) / 2 if center is None or M < 2 else center
    return np.exp(-np.abs(np.arange(M) - middle) / tau)  # type: ignore[no-any-return]
