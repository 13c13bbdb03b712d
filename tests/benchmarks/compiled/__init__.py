"""Whole training steps of tapenet, eager and compiled, beside PyTorch, JAX and hand-written NumPy."""

import os
import time


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def clock() -> float:
    """Seconds. On a single core it is the time that this process, with all its threads, has run: the time on the wall
    less what other programs took meanwhile, so that a busy machine does not spoil the figures."""
    return time.process_time() if cores() == 1 else time.perf_counter()
