"""What launchers of MPI programs say to each process, and whether it is meant for this one."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: How many processes there are.
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PALS_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
#: How their variables begin. Where there are none, a process is alone, and starts no MPI.
_LAUNCHERS = ("PMI", "OMPI_", "PALS_", "MV2_", "SLURM_STEP", "ALPS_", "JSM_", "FLUX_TASK")
#: The variable by which a rank tells the processes that it starts that they are none.
_RANK = "TAPENET_RANK"


def launched() -> int:
    """How many processes were launched together; 0 where this one was by no launcher.

    Raises:
        RuntimeError: it has the variables of one of several processes, and no connection to the launcher.
    """
    variables = [name for name in os.environ if name.startswith(_LAUNCHERS)]
    if not variables or _of_a_rank() or (all(name.startswith("PMIX_") for name in variables) and not _answers()):
        return 0
    count = max(int(os.environ.get(name) or 1) for name in _SIZES)
    if _connection() is not None:
        return count
    if count > 1:
        raise RuntimeError(
            "tapenet.parallel: this process has the variables of an MPI launcher (PMI_FD and others), but no connection to it: "
            "the program that started it did not pass that on. Let mpiexec start Python itself; for a process that is no rank "
            "take the variables that begin with PMI out of its environment"
        )
    return 0


def mark() -> None:
    """Let the processes that this rank starts know that they are none, though they have its variables."""
    os.environ[_RANK] = f"{os.getpid()} {_code()} {_connection() or 0}"


def _of_a_rank() -> bool:
    """Whether a rank started this process, or one that did: it has the same variables. (What is launched from there has
    others, or a connection of its own.)"""
    pid, code, connection = (os.environ.get(_RANK) or "0 0 0").split()
    known = pid not in ("0", str(os.getpid())) and code == _code()
    return known and _connection() in (None, int(connection))


def _connection() -> int | None:
    """A number of the launcher's connection, None if that is closed; 0 where it is none that processes inherit."""
    if "PMI_FD" not in os.environ:
        return 0
    try:
        found = os.fstat(int(os.environ["PMI_FD"]))
    except (OSError, ValueError):
        return None
    return found.st_ino if stat.S_ISSOCK(found.st_mode) else None


def _answers() -> bool:
    """Whether the server of PMIx is there that set these variables. What a job starts keeps them longer than that."""
    import socket

    for name, place in os.environ.items():
        if name.startswith("PMIX_SERVER_URI"):
            _, tcp, address = place.partition("tcp4://")
            host, _, port = address.partition(":")
            try:
                if tcp:
                    socket.create_connection((host, int(port)), 2).close()
            except (OSError, ValueError):
                continue
            return True
    return False


def hydra() -> int | None:
    """The connection to MPICH's launcher, if that started this process."""
    name = Path(f"/proc/{os.getppid()}/comm")
    started = name.exists() and name.read_text().strip() == "hydra_pmi_proxy" and "PMI_FD" in os.environ
    return int(os.environ["PMI_FD"]) if started else None


def _code() -> str:
    """What tells one launch from another."""
    variables = sorted(pair for pair in os.environ.items() if pair[0].startswith(_LAUNCHERS))
    return str(zlib.crc32(repr(variables).encode()))


#: A shell looks at the ranks of this machine, which are children of one process. One that has ended has no variables any more.
#: Where it does not see this rank itself, the system does not show them. Where this one ends in MPI_Init, by the shell or
#: otherwise, the shared memory that was made meanwhile is removed, if no process has it: nobody else would do so.
_SCRIPT = """missing=0
while sleep 0.5 2>/dev/null && kill -0 "$3" 2>/dev/null; do
  here="" count=0 seen=0
  for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
    number=$(tr "\\0" "\\n" <"/proc/$child/environ" 2>/dev/null | sed -n "s/^PMI_RANK=//p")
    [ -n "$number" ] && here="$here $number" && count=$((count + 1)) && [ "$child" = "$3" ] && seen=1
  done
  [ "$seen" = 1 ] && [ "$count" -lt "$2" ] && missing=$((missing + 1)) || missing=0
  if [ "$missing" = 3 ]; then
    echo "tapenet.parallel: of $2 ranks on this machine one has ended before MPI started, and only$here is left" >&2
    kill -9 "$3"
  fi
done
kill -0 "$3" 2>/dev/null && exit
made=$(echo /dev/shm/mpich*)
exec 2>&-
sleep 1
for file in $made; do
  case " $4 " in *" $file "*) continue ;; esac
  [ -O "$file" ] && ! grep -qsF "$file" /proc/[0-9]*/maps && rm -f "$file"
done"""


@contextmanager
def together() -> Iterator[None]:
    """Around the start of MPI, which would wait for ever where another rank of this machine has ended before: this one ends
    then, and the launcher ends all. (MPICH's launcher does not care, others do.)"""
    count = int(os.environ.get("MPI_LOCALNRANKS") or 1)
    if count == 1 or hydra() is None:
        yield
        return
    import subprocess

    before = " ".join(map(str, Path("/dev/shm").glob("mpich*")))
    looking = subprocess.Popen(
        ["/bin/sh", "-c", _SCRIPT, "tapenet", str(os.getppid()), str(count), str(os.getpid()), before],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        looking.kill()
        looking.wait()
