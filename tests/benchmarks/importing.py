"""The time of `import tapenet` over that of `import numpy`, each in fresh interpreters, in turn.

    OPENBLAS_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.importing [--rounds N]

Processor time, bytecode present. The bound is 1.4. Of the ratios, taken round by round, the median and the quartiles.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

TIMING = "import time; start = time.process_time(); import {}; print(time.process_time() - start)"


def seconds(module: str) -> float:
    """The processor time of an import in a fresh interpreter."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", TIMING.format(module)], capture_output=True, text=True, check=True, env=environment
    )
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    rounds = parser.parse_args().rounds
    seconds("numpy"), seconds("tapenet")
    ratios = []
    for _ in range(rounds):
        before, ours, after = seconds("numpy"), seconds("tapenet"), seconds("numpy")
        ratios.append(2 * ours / (before + after))
    low, median, high = statistics.quantiles(ratios, n=4)
    print(f"import tapenet / import numpy: {median:.2f} (quartiles {low:.2f}, {high:.2f}; at most 1.4)")


if __name__ == "__main__":
    main()
