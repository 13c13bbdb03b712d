"""Runs programs on several ranks."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.side_by_side.measure import MPIEXEC

PROGRAMS = Path(__file__).parent / "programs"

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


def start(ranks: int, program: str, *arguments: object, **variables: str) -> subprocess.Popen[str]:
    """Begin to run one of the programs beside this module on so many ranks, in a session of its own."""
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
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True)


def ended(process: subprocess.Popen[str], seconds: float = 400) -> subprocess.CompletedProcess[str]:
    """Wait until it ends; a hang is an error, after which nothing runs on."""
    try:
        out, err = process.communicate(timeout=seconds)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def run(ranks: int, program: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one of the programs beside this module on so many ranks; a hang is an error."""
    return ended(start(ranks, program, *arguments, **variables))


def processes(tag: str) -> dict[int, str]:
    """The processes that were started with the variable TAPENET_RUN of this value, and their commands, where Linux tells."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"TAPENET_RUN={tag}\0".encode() in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
    return found


def passes(ranks: int, program: str, *arguments: object, **variables: str) -> str:
    """Run a program that has to end well on all ranks; what it printed."""
    done = run(ranks, program, *arguments, **variables)
    assert not done.returncode, f"{program} on {ranks} ranks: {done.stdout}\n{done.stderr}"
    return done.stdout
