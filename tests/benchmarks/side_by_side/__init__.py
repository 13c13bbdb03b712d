"""What suites share that run the same work in several libraries, each in a process of its own, and compare.

A suite is a package with a module `workloads`, whose `WORKLOADS` are tasks by name, and a module `SIDE_side` for each
library, whose `build(task, how)` returns the task as a `tasks.Candidate`. A candidate is `SIDE` or `SIDE-HOW`, as
"torch-compiled". With a suffix, as in "torch-compiled/channels_last", it is a variant of the one without; its `how` is
"compiled/channels_last", and the faster of the two counts.
"""

import os
import time


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def clock() -> float:
    """Seconds. On a single core it is the time that this process, with all its threads, has run: the time on the wall
    less what other programs took meanwhile, so that a busy machine does not spoil the figures."""
    return time.process_time() if cores() == 1 else time.perf_counter()
