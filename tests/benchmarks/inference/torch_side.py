"""PyTorch: modules, eager; and the ONNX graph of them, for onnxruntime."""

from __future__ import annotations

import functools
import sys
import warnings
from typing import Any

import torch
from torch import nn

from tests.benchmarks.inference.workloads import WORKLOADS, Task, values
from tests.benchmarks.side_by_side.tasks import Candidate, mean_squares


def module(task: Task) -> Any:
    """The model with its values."""
    made = task.module(nn)
    state = {n: v for n, v in made.state_dict().items() if not n.endswith("num_batches_tracked")}
    new = values((n, tuple(v.shape)) for n, v in state.items())
    made.load_state_dict({n: torch.from_numpy(v) for n, v in zip(state, new, strict=True)}, strict=False)
    return made


def build(task: Task, how: str) -> Candidate:
    """The task."""
    step = torch.inference_mode()(module(task))
    return Candidate(
        functools.partial(step, torch.from_numpy(task.data())), len, lambda out: mean_squares([out.numpy()])
    )


def load(how: str) -> None:
    """What the first call of all brings into memory."""
    nn.Conv2d(8, 8, 3, padding=1)(torch.ones((16, 8, 14, 14)))


def export(task: Task, file: str) -> None:
    """Write the ONNX graph."""
    warnings.simplefilter("ignore")
    torch.onnx.export(module(task), (torch.from_numpy(task.data()),), file, dynamo=False, opset_version=17)


if __name__ == "__main__":  # WORKLOAD FILE: in a process of its own, whose memory is not that of onnxruntime
    export(WORKLOADS[sys.argv[1]].task, sys.argv[2])
