"""Whatever goes wrong on a rank, all end soon with an error that says what it was."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.parallel.launching import needs_mpi, run

#: How it goes wrong, and what standard error has to say. Of each rank "{rank}" is the one where it goes wrong.
FAULTS = {
    "exception": "ValueError: what went wrong",
    "kill": "rank {rank} of {size} was killed",
    "exit": "rank {rank} has ended after",
    "leaves": "rank {rank} has ended after",
    "shape": "rank {rank}: allreduce float64 (4,) sum",
    "dtype": "rank {rank}: allreduce float32 (3,) sum",
    "call": "rank {rank}: allgather float64 (3,)",
    "model": "rank {rank}: weight float32 (4, 2)",
    "recv": "each for something else",
    "receive each other": "each for something else",
    "unreceived": "rank {rank} sent it an array that it never received",
    "other array": "rank {rank} sent float64 (5,), where rank {next} wants float64 (3,)",
    "steps": "each for something else",
    "killed step": "rank {rank} of {size} was killed",
    "data": "the ranks make different calls",
}


def _check(how: str, ranks: int, rank: int, after: int) -> None:
    done = run(ranks, "faults.py", how, rank, after)
    assert done.returncode, f"{how}: it ended well"
    want = FAULTS[how].format(rank=rank, size=ranks, next=(rank + 1) % ranks)
    assert want in done.stderr, f"{how} on rank {rank} of {ranks} after {after}: {done.stderr}"


@needs_mpi
@pytest.mark.parametrize("how", ["exception", "kill", "leaves", "shape"])
def test_fault(how: str) -> None:
    _check(how, 2, 1, 2)


@needs_mpi
@pytest.mark.slow
def test_many_faults() -> None:
    """Each kind on ranks by chance. TAPENET_FAULTS says how many."""
    rng = np.random.default_rng()
    kinds = list(FAULTS)
    for i in range(int(os.environ.get("TAPENET_FAULTS", len(kinds)))):
        ranks = int(rng.integers(2, 4))
        _check(kinds[i % len(kinds)], ranks, int(rng.integers(ranks)), int(rng.integers(5)))


def test_no_mpi() -> None:
    """Of several processes each has to join the others: without mpi4py that is an error, which says what to install."""
    program = (
        "import sys; sys.modules['mpi4py'] = None; import tapenet as tn; print(tn.parallel.rank, tn.parallel.size)"
    )
    alone = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert alone.stdout.split() == ["0", "1"], alone.stderr
    several = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PMI_SIZE": "2", "PMI_RANK": "0"},
    )
    assert several.returncode
    assert 'this is one of 2 ranks, and there is no mpi4py: pip install "tapenet[mpi]"' in several.stderr
