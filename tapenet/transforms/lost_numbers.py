"""Python numbers that a function makes of its arguments while it is differentiated: no derivative flows through them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from tapenet.autodiff import backward as driver
from tapenet.autodiff.node import Node
from tapenet.autodiff.observe.leaves import warn_of_number
from tapenet.autodiff.state import Site, local


class LostNumbers:
    """Within the block Python numbers that are made of tensors are noted, with the line that makes them."""

    def __enter__(self) -> Self:
        state = local.state
        self._outside, state.left = state.left, {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        state = local.state
        self._found: dict[Site, set[Node]] = state.left or {}
        state.left = self._outside

    def check(self, name: str, ends: Iterable[Node | None], outs: Sequence[object]) -> None:
        """Warn where a Python number was made of what depends on the arguments.

        Args:
            name: of the transformation.
            ends: the nodes of the arguments.
            outs: the results.

        Raises:
            RuntimeError: no output depends on an argument of which a number was made; or none depends on any argument, and the
                values of one were taken out of the graph. Their derivatives would be 0.
        """
        if not self._found:
            return
        nodes = {node for node in ends if node is not None}
        reached = driver.between([node for out in outs if (node := getattr(out, "_node", None)) is not None], nodes)
        lost = nodes.isdisjoint(reached)
        for site, made_of in self._found.items():
            begins = nodes.intersection(driver.between(made_of, nodes))
            if site.what and begins and lost:
                raise RuntimeError(
                    f"tn.{name}: the result does not depend on any argument, since {site.file}:{site.line} takes values "
                    f"out of the graph by {site.what}: no gradient flows through that. Compute with the tensor itself (np.exp, "
                    "tn.exp); where the gradient is meant to be 0, take tn.stop_gradient of it"
                )
            if not site.what and any(end not in reached for end in begins):
                raise RuntimeError(
                    f"tn.{name}: the result does not depend on an argument, since {site.file}:{site.line} makes a Python "
                    "number of it, by float(t) or a function that asks for one, as math.exp does: no gradient flows through "
                    "that. Compute with the tensor itself (np.exp, tn.exp), or write t.item() where a constant is meant"
                )
        outside = local.state.left
        for site, made_of in self._found.items():
            if not site.what:
                warn_of_number((site.file, site.line))
            if outside is not None:
                outside.setdefault(site, set()).update(made_of)
