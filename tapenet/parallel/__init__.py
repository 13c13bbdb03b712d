"""One program on many processes, the ranks, which exchange arrays by MPI.

Start it with `mpiexec -n 4 python program.py`. Every rank runs the same program; without `mpiexec`, and without MPI, there is
one.
"""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
