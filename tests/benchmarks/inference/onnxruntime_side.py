"""onnxruntime: a session on the graph that PyTorch exports, all its optimizations on."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

from tests.benchmarks.inference.workloads import WORKLOADS, Task
from tests.benchmarks.side_by_side.tasks import Candidate, mean_squares


def build(task: Task, how: str) -> Candidate:
    """The task."""
    name = next(n for n, w in WORKLOADS.items() if w.task == task)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        command = [sys.executable, "-m", "tests.benchmarks.inference.torch_side", name, str(file)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        session = _session(file.read_bytes())
    inputs = {session.get_inputs()[0].name: task.data()}
    outputs = [o.name for o in session.get_outputs()]
    return Candidate(functools.partial(session.run, outputs, inputs), len, mean_squares)


def _session(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def load(how: str) -> None:
    """What the first call of all brings into memory: a session loads all of it."""
    np.ones(1)
