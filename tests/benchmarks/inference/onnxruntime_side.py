"""onnxruntime: a session on the graph that PyTorch exports, all its optimizations on; in 8 bits as its tool makes it of that
graph: scales by calibration for convolutions, and found at each call for recurrent layers and transformers, as its
documentation recommends."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from tests.benchmarks.inference.workloads import WORKLOADS, Task, near
from tests.benchmarks.side_by_side.tasks import Candidate, mean_squares


def build(task: Task, how: str) -> Candidate:
    """The task, `how` being "" or "8bit"."""
    session = _session(_graph(task, how))
    step = functools.partial(session.run, [o.name for o in session.get_outputs()], _inputs(session, task))
    return Candidate(step, len, functools.partial(_near, task) if how == "8bit" else mean_squares)


def _near(task: Task, out: Any) -> list[float]:
    session = _session(_graph(task, ""))
    (expected,) = session.run(None, _inputs(session, task))
    return near(out[0], expected)


def _inputs(session: onnxruntime.InferenceSession, task: Task) -> dict[str, Any]:
    return {session.get_inputs()[0].name: task.data()}


def _graph(task: Task, how: str) -> bytes:
    """The graph, made by other processes."""
    name = next(n for n, w in WORKLOADS.items() if w.task == task)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        for tool in ("torch_side", *["onnxruntime_quantized"] * (how == "8bit")):
            command = [sys.executable, "-m", f"tests.benchmarks.inference.{tool}", name, str(file)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return file.read_bytes()


def _session(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def load(how: str) -> None:
    """What the first call of all brings into memory: a session loads all of it."""
    np.ones(1)
