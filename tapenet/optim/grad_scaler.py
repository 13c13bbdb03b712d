"""Scaling of the loss, so that gradients in 16 bits neither vanish nor overflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tapenet import ops
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.ops.stack_frames import user_line
from tapenet.optim.master_weights import MasterWeights
from tapenet.optim.optimizer import Optimizer
from tapenet.parameters.clipping import scale_gradient
from tapenet.program.low import WIDE, is_low
from tapenet.typing import Array

#: What an optimizer's gradients were found to be since the last `update`.
_FINITE, _NOT_FINITE, _STEPPED = "finite", "not finite", "stepped"
#: The factor stays within the normal numbers of float32, in which it meets losses and gradients.
_LEAST, _MOST = 2.0**-126, 2.0**127


class GradScaler:
    """Multiplies the loss by a factor before the backward pass, and divides the gradients by it before the update.

    Float16 has no numbers between 0 and 6e-8: without a factor small gradients become 0. With one that is too large
    some become infinite; the step is then left out and the factor made smaller. After many steps without that it is
    made larger. (Micikevicius et al. 2018, "Mixed precision training", section 3.2.) PyTorch's names and defaults.
    Bfloat16 has the range of float32 and needs no scaling.

    Args:
        init_scale: the first factor.
        growth_factor, growth_interval: after so many steps in a row without an infinite gradient, the factor is
            multiplied by this.
        backoff_factor: after a step with one it is multiplied by this.
        enabled: False makes all of it do nothing beyond `opt.step()`.

    Raises:
        ValueError: a factor out of its range.

    >>> import tapenet as tn
    >>> from tapenet import nn, optim
    >>> net = nn.Linear(2, 1)
    >>> opt, scaler = optim.SGD(net.parameters(), lr=0.1), optim.GradScaler(init_scale=256)
    >>> with tn.autocast("float16"):
    ...     loss = (net([[1.0, 2.0]]) ** 2).mean()
    >>> opt.zero_grad()
    >>> scaler.scale(loss).backward()
    >>> scaler.unscale_(opt)  # only to look at the gradients, or to clip them
    >>> norm = optim.clip_grad_norm(net.parameters(), 1.0)
    >>> scaler.step(opt)
    True
    >>> scaler.update()
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if not init_scale > 0:
            raise ValueError(f"GradScaler: init_scale={init_scale} must be above 0")
        if not growth_factor > 1:
            raise ValueError(f"GradScaler: growth_factor={growth_factor} must be above 1")
        if not 0 < backoff_factor < 1:
            raise ValueError(f"GradScaler: backoff_factor={backoff_factor} must be between 0 and 1")
        self._scale = float(init_scale)
        self.growth_factor = growth_factor
        self.backoff_factor = backoff_factor
        self.growth_interval = growth_interval
        self.enabled = enabled
        #: Steps without an infinite gradient since the factor last changed.
        self._good_steps = 0
        self._found: dict[int, str] = {}

    def get_scale(self) -> float:
        """The factor; 1.0 if it is not enabled."""
        return self._scale if self.enabled else 1.0

    def scale(self, loss: Any) -> Any:
        """The loss, or a list or tuple of losses, multiplied by the factor, in float32 at least."""
        if not self.enabled:
            return loss
        _refuse_capture("scale")
        if isinstance(loss, (list, tuple)):
            return type(loss)(map(self.scale, loss))
        if is_low(loss.dtype):
            loss = ops.astype(loss, WIDE)  # in float16 it would overflow
        return loss * self._scale

    def unscale_(self, optimizer: Optimizer | MasterWeights) -> None:
        """Divide the gradients of an optimizer's parameters by the factor, in place, so that they can be clipped.

        If one is nan or infinite all of them are forgotten (`.grad` becomes None), and `step` will do nothing.

        Raises:
            RuntimeError: a second time since the last `update`.
        """
        if not self.enabled:
            return
        _refuse_capture("unscale_")
        if id(optimizer) in self._found:
            raise RuntimeError(
                "GradScaler.unscale_ was called for this optimizer already, or its step was: call update() once after "
                "each step"
            )
        optimizer.gather()
        params = [slot.param for slot in optimizer.slots]
        grads = [p._held_grad() for p in params]
        factor = 1.0 / self._scale
        finite = True
        with np.errstate(all="ignore"):
            for p, grad in zip(params, grads, strict=True):
                if grad is not None:
                    scaled = scale_gradient(p, grad, factor, "GradScaler.unscale_")
                    finite = finite and _finite(scaled._data)
        if not finite:
            for p in params:
                p.grad = None
        self._found[id(optimizer)] = _FINITE if finite else _NOT_FINITE

    def step(self, optimizer: Optimizer | MasterWeights) -> bool:
        """Take the optimizer's step, on gradients divided by the factor, unless one was nan or infinite.

        Returns:
            whether the step was taken.

        Raises:
            RuntimeError: a second time since the last `update`.
        """
        if not self.enabled:
            optimizer.step()
            return True
        if self._found.get(id(optimizer)) == _STEPPED:
            raise RuntimeError("GradScaler.step was called for this optimizer already: call update() after each step")
        if id(optimizer) not in self._found:
            self.unscale_(optimizer)
        taken = self._found[id(optimizer)] == _FINITE
        if taken:
            optimizer.step()
            self._found[id(optimizer)] = _STEPPED
        return taken

    def update(self, new_scale: float | None = None) -> None:
        """Choose the factor of the next step, by what was found since the last call; or set it.

        Raises:
            RuntimeError: no step was taken since the last `update`.
            ValueError: a factor that is not positive.
        """
        if not self.enabled:
            return
        if new_scale is not None:
            if not float(new_scale) > 0:
                raise ValueError(f"GradScaler.update: new_scale={new_scale} must be above 0")
            self._scale = float(new_scale)
        elif not self._found:
            raise RuntimeError(
                "GradScaler.update: nothing was unscaled since the last update; call step(optimizer) before"
            )
        elif _NOT_FINITE in self._found.values():
            self._scale = max(self._scale * self.backoff_factor, _LEAST)
            self._good_steps = 0
        else:
            self._good_steps += 1
            if self._good_steps >= self.growth_interval:
                self._scale = min(self._scale * self.growth_factor, _MOST)
                self._good_steps = 0
        self._found = {}

    def state_dict(self) -> dict[str, float]:
        """All that a later run needs to go on, under PyTorch's names."""
        return {
            "scale": self._scale,
            "growth_factor": self.growth_factor,
            "backoff_factor": self.backoff_factor,
            "growth_interval": self.growth_interval,
            "_growth_tracker": self._good_steps,
        }

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from a `state_dict()`.

        Raises:
            ValueError: an entry is missing or unexpected.
        """
        own = self.state_dict()
        if state.keys() != own.keys():
            raise ValueError(f"GradScaler.load_state_dict: the state has {', '.join(state)}; it needs {', '.join(own)}")
        scale, growth, backoff = (float(state[name]) for name in ("scale", "growth_factor", "backoff_factor"))
        interval, good = int(state["growth_interval"]), int(state["_growth_tracker"])
        self._scale, self.growth_factor, self.backoff_factor = scale, growth, backoff
        self.growth_interval, self._good_steps = interval, good

    def __repr__(self) -> str:
        return f"GradScaler(scale={self.get_scale():g}{'' if self.enabled else ', enabled=False'})"


def _finite(g: Array) -> bool:
    """Whether all numbers are finite: their sum is, unless it overflows, which takes another look."""
    return bool(np.isfinite(np.sum(g, dtype=np.float64))) or bool(np.isfinite(g).all())


def _refuse_capture(what: str) -> None:
    if capturing() is not None:
        raise CaptureError(
            f"{user_line()} calls GradScaler.{what} while a step is being captured; whether it takes a step depends on "
            "values, which a replay could not ask for. Compile the loss and its backward pass, and scale outside; or use "
            "bfloat16, which needs no scaling"
        )
