"""Independent trainings under Dask: each setting of a sweep is a task of its cluster, here of two processes.

Dask is no part of tapenet: pip install 'tapenet[dask]'. Without it the program says so and ends. The trainings are those of
parallel_sweep.py.

    python examples/dask_sweep.py
"""

import numpy as np
from parallel_sweep import SETTINGS, accuracy

try:
    from dask.distributed import Client
except ImportError:
    print("Dask is not installed, pip install 'tapenet[dask]': nothing was trained")
    raise SystemExit(0) from None


def main() -> None:
    """Hand out the trainings, and gather what they reached."""
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        reached = client.gather(client.map(accuracy, SETTINGS))
    best = int(np.argmax(reached))
    print(f"{len(reached)} trainings by Dask: best is {SETTINGS[best]}, {reached[best]:.0%}")
    assert reached[best] > 0.9, reached


if __name__ == "__main__":
    main()
