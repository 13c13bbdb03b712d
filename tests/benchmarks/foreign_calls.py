"""What a call of an op costs from a compiled program, beside the same function uncompiled: at most 1.2 times as much.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.foreign_calls

The op's forward takes half a microsecond and cannot be read, nor can its rule: whatever is lost in between shows. Arrays have
four elements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tapenet as tn
from tests.benchmarks.harness import interleaved, report

BOUND = 1.2
WHY = "as foreign code is"


def forward(x: Any) -> Any:
    return x.__add__(1.0)


def rule(g: Any) -> Any:
    return np.negative(np.asarray(g))


foreign = tn.op(forward, name="foreign", opaque=WHY, x=rule)


def one(x: Any) -> Any:
    return foreign(x)


def ten(x: Any) -> Any:
    for _ in range(10):
        x = foreign(x)
    return x


def among_others(x: Any) -> Any:
    return (foreign(x * 2) * 3).sum()


def loop(x: Any) -> Any:
    return tn.scan(lambda carry, row: (foreign(carry), None), x, np.zeros((100, 1)))[0]


def step(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Forward and backward: the rule is called as often as the forward."""

    def run(x: Any) -> Any:
        loss = function(x).sum()
        loss.backward()
        return loss

    return run


def main() -> None:
    cases: dict[str, tuple[Callable[[Any], Any], bool]] = {
        "alone": (one, False), "ten in a row": (ten, False), "among others": (among_others, False),
        "loop of 100": (loop, False), "step, alone": (step(one), True), "step, ten in a row": (step(ten), True),
    }  # fmt: skip
    for name, (function, grad) in cases.items():
        x = tn.tensor(np.ones(4), requires_grad=grad)

        def timed(call: Callable[[Any], Any], x: Any = x, grad: bool = grad) -> Callable[[], Any]:
            def forgetting() -> Any:
                x.grad = None
                return call(x)

            return forgetting if grad else lambda: call(x)

        times = interleaved(
            {"eager": timed(function)}
            | {backend: timed(tn.compile(function, backend=backend)) for backend in ("native", "numpy")},
            rounds=25,
            seconds=0.02,
        )
        for backend in ("native", "numpy"):
            report(name, {backend: times[backend], "eager": times["eager"]}, {"eager": BOUND})


if __name__ == "__main__":
    main()
