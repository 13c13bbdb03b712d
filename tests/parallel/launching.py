"""Runs programs on several ranks."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))

#: For modules whose tests launch ranks.
needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None,
    reason="needs mpi4py and an MPI library: tapenet[mpi]",
)
#: For containers: more ranks than processors, the user root, and little shared memory.
CONTAINED = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "MPIR_CVAR_CH4_NETMOD": "ofi",  # UCX crashes at the start where /dev/shm has 16 MB
    "MPIR_CVAR_CH4_SHM_POSIX_IQUEUE_NUM_CELLS": "8",  # what a killed rank leaves in /dev/shm: 0.3 MB in place of 2
}


def run(
    ranks: int, program: str, *arguments: object, seconds: float = 400, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run one of the programs beside this module on so many ranks; a hang is an error."""
    assert MPIEXEC is not None
    command = [MPIEXEC, "-n", str(ranks), sys.executable, str(PROGRAMS / program), *map(str, arguments)]
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        **CONTAINED,
        **variables,
    }
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment)


def passes(ranks: int, program: str, *arguments: object, **variables: str) -> str:
    """Run a program that has to end well on all ranks; what it printed."""
    done = run(ranks, program, *arguments, **variables)
    assert not done.returncode, f"{program} on {ranks} ranks: {done.stdout}\n{done.stderr}"
    return done.stdout
