"""Whole training steps of tapenet, eager and compiled, beside PyTorch, JAX and hand-written NumPy."""

import os


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
