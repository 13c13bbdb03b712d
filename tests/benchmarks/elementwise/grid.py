"""Programs of all lengths, sizes, dtypes and forms beside JAX and Numba, compiled, one thread:

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.elementwise.grid [--lengths 50 366]
        [--sizes 4096 1048576] [--dtypes float32 float64] [--forms full inner outer]

Printed are the microseconds of a call, medians of interleaved rounds, tapenet's time over that of the better peer, and that of
a gradient over that of the values. Of the gradient Numba has none.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import time

from tests.benchmarks.elementwise import jax_side, numba_side, tapenet_side
from tests.benchmarks.elementwise.programs import FORMS, Case
from tests.benchmarks.harness import interleaved
from tests.benchmarks.side_by_side.measure import disagreements


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lengths", type=int, nargs="+", default=[50, 366, 1000, 2000])
    parser.add_argument("--sizes", type=int, nargs="+", default=[4096, 65536, 4194304])
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--forms", nargs="+", default=list(FORMS))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(
        f"{'length':>6} {'size':>8} {'dtype':8} {'third':7} {'':8}{'tapenet':>12}{'jax':>12}{'numba':>12}{'ratio':>8}"
    )
    ratios = []
    for length, size, dtype, form in itertools.product(options.lengths, options.sizes, options.dtypes, options.forms):
        forward = math.nan
        for gradient in (False, True):
            case = Case(length, size, dtype, form, gradient)
            made = {"tapenet": tapenet_side.build(case, "native"), "jax": jax_side.build(case, "")}
            if not gradient:
                made["numba"] = numba_side.build(case, "")
            made["tapenet"].step()  # runs eagerly
            assert not (found := disagreements({n: c.numbers(c.step()) for n, c in made.items()})), found
            steps = {n: lambda c=c: c.wait(c.step()) for n, c in made.items()}  # type: ignore[misc]
            times = interleaved(steps, rounds=options.rounds, seconds=0.01, clock=time.process_time)
            mine = times["tapenet"]
            ratios.append(mine / min(t for n, t in times.items() if n != "tapenet"))
            cells = "".join(f"{times[n]:12.1f}" if n in times else " " * 12 for n in ("tapenet", "jax", "numba"))
            over = f", {mine / forward:.1f} of the values" if gradient else ""
            kind = "gradient" if gradient else "values"
            print(f"{length:6} {size:8} {dtype:8} {form:7} {kind:8}{cells}{ratios[-1]:8.2f}{over}", flush=True)
            forward = mine
    geometric = math.exp(statistics.fmean(map(math.log, ratios)))
    print(f"ratio: geometric mean {geometric:.2f}, worst {max(ratios):.2f}, above 0.9: {sum(r > 0.9 for r in ratios)}")


if __name__ == "__main__":
    main()
