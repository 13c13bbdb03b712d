"""What training on several ranks costs: `python -m tests.benchmarks.parallel`.

pip install -e '.[bench,mpi]'

Runs ranks under `mpiexec`, one thread each, pinned: the all-reduce beside mpi4py and gloo, and training steps, tapenet's beside
PyTorch's DistributedDataParallel. Writes docs/parallel-costs.json after each part, and from it the page and its plot, by the
model of `model.py`. `--only` measures some parts and keeps the others; `--read` measures nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.parallel.page import IMAGE, PAGE, WORKLOADS, page, plot
from tests.benchmarks.side_by_side.report import machine

RANKS = (2, 4)
CANDIDATES = ("tapenet-native", "tapenet-eager", "torch")
PARTS = ("allreduce", "derivatives", *(f"{workload}/{candidate}" for workload in WORKLOADS for candidate in CANDIDATES))


def main() -> int:
    """Measure what was asked for, write the figures and the page."""
    made = argparse.ArgumentParser(prog=f"python -m {__package__}", description=(__doc__ or "").partition(":")[0])
    made.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", default=PARTS)
    made.add_argument("--ranks", nargs="+", type=int, default=RANKS)
    made.add_argument("--rounds", type=int, default=7)
    made.add_argument("--seconds", type=float, default=0.2, help="of a round")
    made.add_argument("--read", action="store_true", help="measure nothing")
    options = made.parse_args()
    file = PAGE.with_suffix(".json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for part in () if options.read else options.only:
        for ranks in options.ranks:
            found["machine"] = machine(1)
            kind, *names = ("train", *part.split("/")) if "/" in part else (part,)
            found.setdefault(part, {})[str(ranks)] = launched(ranks, kind, *names, options.rounds, options.seconds)
            file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(found), encoding="utf-8", newline="\n")
    (PAGE.parent / IMAGE).write_text(plot(found), encoding="utf-8", newline="\n")
    return 0


def launched(ranks: int, *arguments: object) -> dict[str, Any]:
    """What so many ranks measure."""
    place = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    mpiexec = shutil.which("mpiexec", path=place)
    assert mpiexec, "needs mpi4py and an MPI library: pip install -e '.[mpi]'"
    pinned = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [mpiexec, "-n", str(ranks), sys.executable, "-m", f"{__package__}.ranks", *map(str, arguments)]
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | pinned).stdout
    measured: dict[str, Any] = json.loads(out.splitlines()[-1])
    return measured


if __name__ == "__main__":
    sys.exit(main())
