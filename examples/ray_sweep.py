"""Independent trainings under Ray: each setting of a sweep is a task, which Ray starts on a free processor of its cluster.

Ray is no part of tapenet: pip install 'tapenet[ray]'. Without it the program says so and ends. The trainings are those of
parallel_sweep.py.

    python examples/ray_sweep.py
"""

import numpy as np
from parallel_sweep import SETTINGS, accuracy

try:
    import ray
except ImportError:
    print("Ray is not installed, pip install 'tapenet[ray]': nothing was trained")
    raise SystemExit(0) from None


def main() -> None:
    """Hand out the trainings, and gather what they reached."""
    ray.init(num_cpus=2, include_dashboard=False)
    task = ray.remote(accuracy)
    reached = ray.get([task.remote(setting) for setting in SETTINGS])
    ray.shutdown()
    best = int(np.argmax(reached))
    print(f"{len(reached)} trainings by Ray: best is {SETTINGS[best]}, {reached[best]:.0%}")
    assert reached[best] > 0.9, reached


if __name__ == "__main__":
    main()
