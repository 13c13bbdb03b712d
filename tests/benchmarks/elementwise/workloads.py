"""What is measured: lengths, sizes and forms of programs, and the bounds to meet."""

from __future__ import annotations

from tests.benchmarks.elementwise.programs import Case
from tests.benchmarks.side_by_side.tasks import Bound, Workload

CANDIDATES = ("tapenet-eager", "tapenet-native", "jax", "numba", "numpy")
PEERS = ("jax", "numba")
#: What the third array is.
WORDS = {
    "full": "",
    "inner": ", one operand (1, 1, 4)",
    "middle": ", one operand (1, 8, 1)",
    "outer": ", one operand (n, 1)",
}


def _workload(case: Case) -> Workload:
    gradient = ", with gradients" if case.gradient else ""
    title = f"{case.length} instructions, {case.size:,} {case.dtype}{WORDS[case.form]}{gradient}"
    return Workload(title, case, (Bound("tapenet-native", PEERS, 0.9),))


CASES = (
    Case(50, 4_096, "float32", "full", False),
    Case(50, 4_194_304, "float32", "full", False),
    Case(366, 4_096, "float64", "inner", False),
    Case(366, 4_096, "float64", "inner", True),
    Case(366, 65_536, "float32", "outer", False),
    Case(366, 65_536, "float32", "outer", True),
    Case(1_000, 65_536, "float64", "full", False),
    Case(1_000, 65_536, "float64", "full", True),
)
WORKLOADS = {f"{c.length}-{c.size}-{c.form}{'-gradient' * c.gradient}": _workload(c) for c in CASES}
