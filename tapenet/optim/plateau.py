"""A learning rate that falls when training gets no further."""

from __future__ import annotations

import math
from typing import SupportsFloat

from tapenet.optim.groups import check_range
from tapenet.typing import StateDict


class Plateau:
    """A learning rate that is multiplied by `factor` once a metric has not become better for more than `patience` of the
    times that it was told. A schedule: give it to an optimizer, and tell it the metric after each epoch.

    Args:
        lr: the learning rate at first. With 1, it is a factor for `optim.product(schedule, plateau)`.
        mode: "min", where less is better, or "max".
        factor: what the rate is multiplied by, below 1.
        patience: how many metrics in a row may be no better.
        threshold: by how much one must be better to count: by this fraction of the best (`threshold_mode="rel"`), or by
            this (`"abs"`).
        threshold_mode: "rel" or "abs".
        cooldown: how many metrics after a reduction do not count.
        min_lr: the lowest rate.
        eps: a reduction by no more than this is left out.

    Attributes:
        lr: the learning rate as it is now.
        best: the best metric so far.

    PyTorch's ReduceLROnPlateau.

    >>> import tapenet as tn
    >>> plateau = tn.optim.Plateau(0.1, factor=0.5, patience=1)
    >>> opt = tn.optim.SGD([tn.tensor([1.0], requires_grad=True)], lr=plateau)
    >>> for metric in (3.0, 2.0, 2.0, 2.0):
    ...     plateau.update(metric)
    >>> opt.lr
    0.05
    """

    def __init__(
        self,
        lr: float,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        check_range("Plateau", "factor", factor, 0.0, 1.0)
        for name, value in (
            ("lr", lr),
            ("patience", patience),
            ("cooldown", cooldown),
            ("min_lr", min_lr),
            ("eps", eps),
        ):
            check_range("Plateau", name, value, 0.0, math.inf)
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"Plateau: mode={mode!r} must be 'min' or 'max', and threshold_mode={threshold_mode!r} 'rel' or 'abs'"
            )
        self.lr = lr
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.eps = eps
        self.best = math.inf if mode == "min" else -math.inf
        #: How many metrics in a row were no better, and how many more do not count.
        self._bad = 0
        self._cooling = 0

    def __call__(self, step: int) -> float:
        """The learning rate, whatever the step."""
        return self.lr

    def update(self, metric: SupportsFloat) -> None:
        """Take a metric into account: a number, or a tensor of one element."""
        value = float(metric)
        if self._is_better(value):
            self.best = value
            self._bad = 0
        else:
            self._bad += 1
        if self._cooling:
            self._cooling -= 1
            self._bad = 0
        if self._bad > self.patience:
            reduced = max(self.lr * self.factor, self.min_lr)
            if self.lr - reduced > self.eps:
                self.lr = reduced
            self._cooling = self.cooldown
            self._bad = 0

    def _is_better(self, value: float) -> bool:
        sign = 1.0 if self.mode == "max" else -1.0
        relative = self.threshold_mode == "rel" and math.isfinite(self.best)
        return sign * value > sign * self.best + self.threshold * (self.best if relative else 1.0)

    def state_dict(self) -> StateDict:
        """The learning rate, the best metric and the counts."""
        return {"lr": self.lr, "best": self.best, "bad": self._bad, "cooling": self._cooling}

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from a `state_dict()`."""
        self.lr, self.best, self._bad, self._cooling = (state[name] for name in ("lr", "best", "bad", "cooling"))

    def __repr__(self) -> str:
        return f"Plateau(lr={self.lr}, best={self.best})"
