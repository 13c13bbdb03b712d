"""Which number of an epoch is watched, and whether a smaller or a larger one is better."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

#: Words in the names of numbers of which less is better, and of those of which more is.
_LESS = ("loss", "error", "mae", "mse", "rmse", "perplexity", "calibration", "ece", "brier", "divergence", "seconds")
_MORE = ("accuracy", "precision", "recall", "f1", "auc", "r2", "score", "iou", "dice", "correlation", "top")


def mode_of(name: str, mode: str | None = None) -> str:
    """ "min" or "max": which of two values of this number is the better one.

    Raises:
        ValueError: no mode is given, and the name does not tell; or it is neither.

    >>> mode_of("val_loss"), mode_of("accuracy")
    ('min', 'max')
    """
    if mode in ("min", "max"):
        return mode
    if mode is not None:
        raise ValueError(f"mode={mode!r} must be 'min' or 'max'")
    lower = name.lower()
    if any(word in lower for word in _LESS):
        return "min"
    if any(word in lower for word in _MORE):
        return "max"
    raise ValueError(
        f"whether more or less of {name!r} is better, its name does not tell: give mode='min' or mode='max'"
    )


def better(name: str, mode: str | None = None, min_delta: float = 0.0) -> Callable[[float, float], bool]:
    """A function of two values that says whether the first is better than the second, by more than `min_delta`. Nan never
    is, and anything else is better than nan.

    >>> less = better("loss", min_delta=0.1)
    >>> less(1.0, 1.05), less(1.0, 1.2), less(1.0, float("nan"))
    (False, True, True)
    """
    sign = 1.0 if mode_of(name, mode) == "max" else -1.0

    def compare(value: float, than: float) -> bool:
        if math.isnan(than):
            return not math.isnan(value)
        return sign * value > sign * than + min_delta

    return compare


def watched(logs: Mapping[str, float], name: str | None, who: str) -> str:
    """The name of the number to watch: the one asked for, else "val_loss" where there is validation, else "loss".

    Raises:
        KeyError: no number has that name; the message lists those there are.

    >>> watched({"loss": 1.0}, None, "EarlyStopping")
    'loss'
    """
    if name is None:
        name = "val_loss" if "val_loss" in logs else "loss"
    if name not in logs:
        raise KeyError(f"{who} watches {name!r}, and an epoch has {', '.join(logs)}")
    return name
