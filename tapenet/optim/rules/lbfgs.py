"""L-BFGS, which learns the curvature from its latest steps and asks for the loss several times per step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.state import enable_grad
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.optim.groups import Group, check_range
from tapenet.optim.rules.line_search import Point, strong_wolfe
from tapenet.optim.schedules import Schedule
from tapenet.optim.torch_import import is_torchs
from tapenet.optim.whole_parameters import WholeOptimizer
from tapenet.parameters.named import Parameters
from tapenet.typing import Array, StateDict


class Pair(NamedTuple):
    """The change y of the gradient along a step s that was taken."""

    y: Array
    s: Array
    #: 1 / yᵀs, which is positive.
    rho: float


class Move(NamedTuple):
    """The latest step: its direction, its length along it, and the gradient where it began."""

    direction: Array
    t: float
    gradient: Array


#: What of the state is one for all parameters, under PyTorch's names.
_GLOBAL = ("func_evals", "n_iter", "d", "t", "old_dirs", "old_stps", "ro", "prev_flat_grad")


class LBFGS(WholeOptimizer):
    """Limited-memory BFGS over all parameters as one vector: d = -Hg, θ ← θ + td, where H is the inverse Hessian as the
    latest `history_size` steps s and changes y of the gradient tell it (by their two-loop recursion, from yᵀs/yᵀy times
    the identity). One `step` takes up to `max_iter` such steps, for a loss that is the same function throughout.

    `step` takes a function that clears the gradients, computes the loss, calls `backward` and returns the loss.

    Args:
        params: as for every optimizer, in one group.
        lr: the step length t, of the first step min(1, 1/‖g‖₁) · lr. With a line search, where the search begins.
        max_iter: steps per call of `step`.
        max_eval: how often a call may ask for the loss; None: 5/4 of `max_iter`.
        tolerance_grad: stop where the largest element of the gradient is no more than this.
        tolerance_change: stop where the loss or every parameter changes by no more than this.
        history_size: how many pairs of s and y are kept.
        line_search_fn: "strong_wolfe", or None for steps of length t.
        maximize: ascend: the loss and its gradient are those of its negative.

    Nocedal, "Updating quasi-Newton matrices with limited storage" (1980); the line search is algorithm 3.5 of Nocedal
    and Wright, "Numerical optimization" (2006), with cubic interpolation, as in Schmidt's minFunc and PyTorch.

    >>> import numpy as np, tapenet as tn
    >>> w = tn.tensor([-1.2, 1.0], requires_grad=True)
    >>> opt = tn.optim.LBFGS([w], max_iter=100, line_search_fn="strong_wolfe")
    >>> def rosenbrock():
    ...     opt.zero_grad()
    ...     loss = (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> first = opt.step(rosenbrock)
    >>> w.data.round(4)
    array([1., 1.])
    """

    checked = ("max_eval", "tolerance_grad", "tolerance_change")

    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
        *,
        maximize: bool = False,
    ) -> None:
        #: How often the loss was computed, and how many steps were taken.
        self._evaluations = 0
        self._iterations = 0
        self._pairs: list[Pair] = []
        self._latest: Move | None = None
        super().__init__(
            params, lr=lr, max_iter=max_iter, max_eval=max_iter * 5 // 4 if max_eval is None else max_eval,
            tolerance_grad=tolerance_grad, tolerance_change=tolerance_change, history_size=history_size,
            line_search_fn=line_search_fn, maximize=maximize,
        )  # fmt: skip

    def check(self, options: Group) -> None:
        super().check(options)
        for name in ("max_iter", "history_size"):
            check_range("LBFGS", name, options[name], 1, math.inf)
        if options["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(f"LBFGS: line_search_fn={options['line_search_fn']!r} must be None or 'strong_wolfe'")

    def add_param_group(self, group: Group) -> None:
        if self.groups:
            raise ValueError("LBFGS takes one group: its parameters are one vector, with the same options for all")
        super().add_param_group(group)

    # -- the step --------------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take up to `max_iter` steps.

        Args:
            closure: clears the gradients, computes the loss, calls `backward` and returns the loss. It may be a compiled
                function, `tn.compile(keep_grads=True)`.

        Returns:
            what the first call of it returned.

        Raises:
            TypeError: no closure.
            CaptureError: in a function that is being compiled, since how often the loss is computed depends on its values.
        """
        return self._around(closure)

    def _run(self, closure: Callable[[], object] | None = None) -> object:
        if closure is None:
            raise TypeError(
                "LBFGS.step needs the loss as a function, which it calls several times: def closure(): opt.zero_grad(); "
                "loss = ...; loss.backward(); return loss"
            )
        if capturing() is not None:
            raise CaptureError(
                "LBFGS.step cannot be compiled: how often it computes the loss depends on the values. Compile what computes "
                "the loss and its gradients, @tn.compile(keep_grads=True), and call step outside with it"
            )
        options = self._options(self.groups[0])
        most, tolerance = options["max_eval"], options["tolerance_change"]

        def loss_now() -> object:
            with enable_grad():
                return closure()

        def here(t: float, loss: Any, direction: Array | None = None) -> Point:
            sign = -1 if options["maximize"] else 1
            gradient = sign * self._gradient()
            value = loss.item() if hasattr(loss, "item") else float(loss)
            return Point(t, sign * value, gradient, 0.0 if direction is None else float(gradient @ direction))

        first = loss_now()
        point = here(0.0, first)
        evaluations = 1
        steps = 0
        while steps < options["max_iter"] and _largest(point.gradient) > options["tolerance_grad"]:
            steps += 1
            self._iterations += 1
            direction = self._direction(point.gradient, options["history_size"])
            t = options["lr"]
            if self._iterations == 1:
                t *= min(1.0, 1.0 / float(np.sum(np.abs(point.gradient))))
            start = Point(0.0, point.loss, point.gradient, float(point.gradient @ direction))
            self._latest = Move(direction, t, start.gradient)
            if start.slope > -tolerance:
                break  # there is no way down from here
            place = [slot.param._data.copy() for slot in self._slots]

            def at(t: float, direction: Array = direction, place: list[Array] = place) -> Point:
                self._move(place, direction, t)
                return here(t, loss_now(), direction)

            if options["line_search_fn"] is not None:
                point, tried = strong_wolfe(at, start, t, _largest(direction), tolerance, most - evaluations)
                t = point.t
                self._move(place, direction, t)
                evaluations += tried
                self._latest = Move(direction, t, start.gradient)
            elif steps < options["max_iter"]:
                point = at(t)
                evaluations += 1
            else:
                self._move(place, direction, t)  # the next call computes the loss there
            moved = _largest(direction) * abs(t) > tolerance and not abs(point.loss - start.loss) < tolerance
            if evaluations >= most or not moved:
                break
        self._evaluations += evaluations
        self._count += 1
        for _, segment in self._segments:
            segment.set_steps([self._count] * len(segment.slots))
        return first

    def _direction(self, g: Array, most: int) -> Array:
        """-Hg, after the latest step was taken into H."""
        if self._latest is None:
            return -g
        y, s = g - self._latest.gradient, self._latest.direction * self._latest.t
        product = float(y @ s)
        if product > 1e-10:  # else H would not stay positive
            self._pairs = [*self._pairs, Pair(y, s, 1 / product)][-most:]
        q = -g
        weights = []
        for pair in reversed(self._pairs):
            weights.append(pair.rho * float(pair.s @ q))
            q -= weights[-1] * pair.y
        if self._pairs:
            newest = self._pairs[-1]
            q *= 1 / (newest.rho * float(newest.y @ newest.y))
        for pair, weight in zip(self._pairs, reversed(weights), strict=True):
            q += (weight - pair.rho * float(pair.y @ q)) * pair.s
        return q

    def _gradient(self) -> Array:
        """The gradients as one vector, 0 where there is none."""
        grads = [(slot.param, slot.param._held_grad()) for slot in self._slots]
        return np.concatenate([np.zeros(p.size, p.dtype) if g is None else np.ravel(g._data) for p, g in grads])

    def _move(self, place: list[Array], direction: Array, t: float) -> None:
        """Put the parameters `t` along a direction from a place."""
        first = 0
        for slot, values in zip(self._slots, place, strict=True):
            step = direction[first : first + values.size].reshape(values.shape)
            slot.param.data = values + t * step
            first += values.size

    # -- state -----------------------------------------------------------------------------------------------

    def state_dict(self, *, keep_vars: bool = False) -> StateDict:
        """As that of every optimizer; what all parameters share lies with the first, under PyTorch's names."""
        state = super().state_dict(keep_vars=keep_vars)
        none = np.zeros((0, sum(slot.param.size for slot in self._slots)))
        y, s = (np.stack([getattr(pair, name) for pair in self._pairs]) if self._pairs else none for name in "ys")
        latest = self._latest or Move(np.zeros(0), 0.0, np.zeros(0))
        state["state"][0] |= {
            "func_evals": self._evaluations,
            "n_iter": self._iterations,
            "d": latest.direction.copy(),
            "t": latest.t,
            "old_dirs": y,
            "old_stps": s,
            "ro": np.array([pair.rho for pair in self._pairs]),
            "prev_flat_grad": latest.gradient.copy(),
        }
        return state

    def load_state_dict(self, state: StateDict) -> None:
        """Go on from the `state_dict()` of an LBFGS over parameters of the same shapes, here or PyTorch's, options included.

        Raises:
            ValueError: something is missing, unexpected or of another shape; changes nothing.
        """
        check_unmasked(state)
        entry = state.get("state", {}).get(0, {})
        size = sum(slot.param.size for slot in self._slots)
        if is_torchs(state):
            entry = _of_torch(entry, size)
        missing = [name for name in _GLOBAL if name not in entry]
        if missing or np.shape(entry["old_dirs"])[1:] != (size,) or np.shape(entry["d"]) not in ((size,), (0,)):
            what = f"it has no {', '.join(missing)}" if missing else "it is of another number of elements"
            raise ValueError(f"LBFGS.load_state_dict: this state does not fit: {what}, and this optimizer has {size}")
        names, given = self._names()[0], state["param_groups"][0].get("param_names")
        if names is not None and given is not None and names != given:
            raise ValueError(
                f"LBFGS.load_state_dict: this state has vectors over {', '.join(given)}, in this order; this optimizer has "
                f"{', '.join(names)}: give it the parameters in that order"
            )
        evaluations, iterations = int(entry["func_evals"]), int(entry["n_iter"])
        rows = zip(entry["old_dirs"], entry["old_stps"], entry["ro"], strict=True)
        pairs = [Pair(np.array(y), np.array(s), float(rho)) for y, s, rho in rows]
        latest = None
        if len(entry["d"]):
            latest = Move(np.array(entry["d"]), float(entry["t"]), np.array(entry["prev_flat_grad"]))
        own = {name: value for name, value in entry.items() if name not in _GLOBAL}
        super().load_state_dict({**state, "state": {**state["state"], 0: own}})
        self._evaluations, self._iterations, self._pairs, self._latest = evaluations, iterations, pairs, latest


def _of_torch(entry: Mapping[str, object], size: int) -> dict[str, object]:
    """PyTorch's state: lists of tensors; what does not exist yet is None or missing."""
    found: StateDict = {name: entry.get(name) for name in _GLOBAL}
    for name in ("func_evals", "n_iter", "t"):
        found[name] = found[name] or 0
    for name in ("d", "prev_flat_grad"):
        found[name] = np.zeros(0) if found[name] is None else np.asarray(found[name])
    for name in ("old_dirs", "old_stps"):
        found[name] = np.stack([np.asarray(x) for x in found[name]]) if found[name] else np.zeros((0, size))
    found["ro"] = [float(x) for x in found["ro"] or ()]
    return found


def _largest(x: Array) -> float:
    return float(np.max(np.abs(x), initial=0.0))
