"""Updates of parameters that are stored in 16 bits."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np

from tapenet import ops
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.state import enable_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.optim.groups import Group, ParamGroup
from tapenet.optim.optimizer import Optimizer
from tapenet.optim.parameters import arranged
from tapenet.optim.schedules import Schedule
from tapenet.optim.storage import Slot
from tapenet.parameters import updaters
from tapenet.parameters.named import Parameters, named_parameters
from tapenet.program.low import WIDE, is_low, rounded, widened
from tapenet.typing import StateDict


class MasterWeights:
    """An optimizer of parameters in float16 or bfloat16, by way of float32 copies of them.

    An update is often smaller than the distance between two neighbouring numbers in 16 bits, and would be lost. So the
    optimizer works on float32 copies, the master weights, and each step rounds them into the parameters. Parameters of
    other dtypes are updated as ever. (Micikevicius et al. 2018, "Mixed precision training", section 3.1.)

    Where a parameter is no longer what its master weight was rounded to, since weights were loaded into the model, the
    master weight takes its values: at the next step that is not compiled, or by `refresh`.

    With `tn.autocast` none of this is needed: parameters stay float32 there, and ops round.

    Args:
        optimizer: makes the optimizer, such as `optim.Adam`; called with (name, tensor) pairs, or groups of them. Or an
            optimizer without parameters, such as `optim.Adam(lr=1e-3)`, which is bound to the master weights.
        params: tensors, (name, tensor) pairs, a module, or a list of groups of these, as every optimizer takes them.
        **options: further arguments for a function `optimizer`.

    Attributes:
        optimizer: the optimizer over the master weights. Its groups and learning rate may be changed.

    >>> from tapenet import nn, optim
    >>> net = nn.Linear(2, 1).half()
    >>> opt = optim.MasterWeights(optim.SGD, net, lr=1e-5)
    >>> (net([[1.0, 1.0]]) * 8.0).sum().backward()
    >>> opt.step()
    >>> [p.dtype.name for p in opt.masters()], net.weight.dtype.name
    (['float32', 'float32'], 'float16')
    """

    def __init__(self, optimizer: Callable[..., Optimizer] | Optimizer, params: Parameters, **options: object) -> None:
        #: By the parameter's id, each with its master weight: one that is given twice has one, and the optimizer sees it.
        found: dict[int, tuple[Tensor, Tensor]] = {}

        def masters(params: Parameters) -> list[tuple[str, Tensor]]:
            named = named_parameters(params, "MasterWeights")
            return [(name, found.setdefault(id(p), (p, _master(p)))[1]) for name, p in named]

        given: list[Group] | list[tuple[str, Tensor]]
        if isinstance(params, (list, tuple)) and params and isinstance(params[0], dict):
            given = [{**group, "params": masters(group["params"])} for group in params]
        else:
            given = masters(params)
        self._pairs = list(found.values())
        make = optimizer.bind if isinstance(optimizer, Optimizer) else optimizer
        self.optimizer = make(given, **options)
        #: Whether gradients are averaged over ranks that train one model together (`tn.parallel.optimizer`).
        self.together = False
        #: What `updaters` keeps: the parameters by id, and those that came to the model since.
        self._updated: dict[int, Tensor] = {}
        self._newcomers: list[updaters.Newcomers] = []
        updaters.enter(self, [param for param, _ in self._pairs])

    @property
    def bound(self) -> bool:
        """True: it is made with parameters."""
        return True

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name not in ("_updated", "_newcomers")}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state, _updated={}, _newcomers=[])
        updaters.enter(self, [param for param, _ in self._pairs])

    @property
    def groups(self) -> list[ParamGroup]:
        """The groups of the optimizer, of master weights."""
        return self.optimizer.groups

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Each master weight with its name and what is kept of it."""
        return self.optimizer.slots

    def rates(self) -> list[float]:
        """The learning rates of the next step, one for each group."""
        return self.optimizer.rates()

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self.optimizer.lr

    @lr.setter
    def lr(self, value: float | Schedule) -> None:
        self.optimizer.lr = value

    def parameters(self) -> list[Tensor]:
        """The parameters, in their order."""
        return [param for param, _ in self._pairs]

    def masters(self) -> list[Tensor]:
        """The master weights, in the order of the parameters. After `gather` they have the gradients, to be clipped."""
        return [master for _, master in self._pairs]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set every parameter's `.grad` to None, or with `set_to_none=False` to zeros where there is one."""
        for param, master in self._pairs:
            grad = None if set_to_none else param.grad
            param.grad = None if grad is None else np.zeros_like(grad)
            if master is not param:
                master.grad = None

    def refresh(self) -> None:
        """Take the values of the parameters that are no longer what their master weights were rounded to."""
        for param, master in self._pairs:
            if param is not master and is_low(param.dtype):
                low = rounded(master._data, param.dtype)
                same = low.view(np.uint16) == param._data.view(np.uint16)
                if not same.all():
                    master.data = np.where(same, master._data, widened(param._data))

    def gather(self) -> None:
        """Move the gradients of the parameters, in float32, to the master weights."""
        for param, master in self._pairs:
            grad = param._held_grad()
            if param is not master and grad is not None:
                wide = ops.astype(grad.detach(), WIDE)
                before = master._held_grad()
                master.grad = wide if before is None else before + wide
                param.grad = None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the master weights by the gradients that there are, and round them into the parameters.

        Args:
            closure: as of `Optimizer.step`.

        Returns:
            what the closure returned.
        """
        value = None
        if closure is not None:
            with enable_grad():
                value = closure()
        if self._newcomers:
            updaters.look(self, "MasterWeights.step")
        if capturing() is None:
            self.refresh()
        self.gather()
        self.optimizer.step()
        for param, master in self._pairs:
            if param is not master:
                param.data = ops.astype(master.detach(), param.dtype)
                master.grad = None
        return value

    def state_dict(self, *, keep_vars: bool = False) -> StateDict:
        """The optimizer's state, and the master weights as "master", by position; `keep_vars` as there."""
        self.refresh()
        masters = [m if keep_vars else m.numpy().copy() for m in self.masters()]
        return {**self.optimizer.state_dict(keep_vars=keep_vars), "master": masters}

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from a `state_dict()`; the parameters are set from the master weights.

        Raises:
            ValueError: something is missing, unexpected or of another shape.
        """
        check_unmasked(state)
        rest = dict(state)
        placed = {"state": dict(enumerate(rest.pop("master", ()))), "param_groups": rest.get("param_groups", ())}
        masters = [
            value for _, value in sorted(arranged(placed, self.optimizer._names())["state"].items(), key=itemgetter(0))
        ]
        shapes = [np.shape(m) for m in masters]
        if shapes != [m.shape for m in self.masters()]:
            raise ValueError(
                f"MasterWeights.load_state_dict: master weights of shapes {shapes}, this optimizer has "
                f"{[m.shape for m in self.masters()]}"
            )
        wide = [np.asarray(value).astype(master.dtype) for value, master in zip(masters, self.masters(), strict=True)]
        low = [ops.astype(value, param.dtype) for value, (param, _) in zip(wide, self._pairs, strict=True)]
        self.optimizer.load_state_dict(rest)
        for (param, master), value, rounding in zip(self._pairs, wide, low, strict=True):
            master.data = value
            if param is not master:
                param.data = rounding

    def __repr__(self) -> str:
        low = sum(param is not master for param, master in self._pairs)
        return f"master weights of {low} parameters under {self.optimizer!r}"


def _master(param: Tensor) -> Tensor:
    if not is_low(param.dtype):
        return param
    return Tensor._of(param.numpy().astype(WIDE)).requires_grad_(param.requires_grad)
