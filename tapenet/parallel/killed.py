"""Says which rank was killed, where a launcher names the process at best, and removes what it leaves behind."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

#: A shell waits for the end of the process. The first that finds one without a last word says so, and none after it: the others
#: are ended by the launcher. (It claims that by itself, without a command that would have to be started: where processors are
#: busy another shell would be first.) Then it has MPICH's launcher end all, on standard output: by itself that takes a process
#: that leaves by os._exit(0) for one that ended well, and all others too. Whoever reads standard error does not wait until the
#: shell takes the file away again.
_SCRIPT = """read -r word
said=$1 text=$2
shift 2
set -C
case "$word" in
  "") { true > "$said"; } 2>/dev/null && {
    echo "$text" >&2
    sleep 0.2 2>/dev/null
    echo "cmd=abort exitcode=1" 2>/dev/null
    exec >&- 2>&-; sleep 3; rm "$said"
  } ;;
  failed) exec >&- 2>&-; sleep 3; rm "$said" ;;
esac
[ "$word" = ends ] || rm -f "$@"
exit 0"""


class Notice:
    """What tells of the death of this process, from another one that outlives it by seconds.

    Args:
        run: names the run, the same for all ranks.
        text: what to say.
        files: what it leaves behind, to be removed.
        launcher: the connection to MPICH's launcher.
    """

    def __init__(self, run: str, text: str, files: Sequence[str] = (), launcher: int | None = None) -> None:
        self._said = Path(tempfile.gettempdir()) / f"tapenet-{run}"
        self._end = -1
        if os.name != "posix":
            return
        import subprocess

        reads, self._end = os.pipe()
        subprocess.Popen(  # in a session of its own, which the launcher does not end
            ["/bin/sh", "-c", _SCRIPT, "tapenet", str(self._said), text, *files],
            stdin=reads, stdout=subprocess.DEVNULL if launcher is None else launcher, start_new_session=True,
        )  # fmt: skip
        os.close(reads)
        os.register_at_fork(after_in_child=self.forget)

    def ends(self) -> None:
        """This process ends as it should."""
        self._word(b"ends\n")

    def failed(self) -> None:
        """This process says itself why it ends all."""
        if self._end >= 0:
            self._said.touch()
        self._word(b"failed\n")

    def forget(self) -> None:
        """This process is another one, forked from the first."""
        if self._end >= 0:
            os.close(self._end)
            self._end = -1

    def _word(self, word: bytes) -> None:
        if self._end >= 0:
            os.write(self._end, word)
            self.forget()
