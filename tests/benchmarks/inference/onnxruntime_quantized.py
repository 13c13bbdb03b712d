"""An ONNX graph in integers of 8 bits, by onnxruntime's tool: `onnxruntime_quantized WORKLOAD FILE`, in a process of its own,
whose memory is not that of the session."""

from __future__ import annotations

import sys
from typing import Any

import onnxruntime
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from tests.benchmarks.inference.workloads import WORKLOADS, Task

#: Whose scales are found at each call.
DYNAMIC = ("encoder", "lstm")


class _Examples(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Inputs one after another, by the batch."""

    def __init__(self, task: Task, name: str) -> None:
        examples = task.examples()
        self.left = [{name: examples[i : i + task.batch]} for i in range(0, len(examples), task.batch)]

    def get_next(self) -> Any:
        return self.left.pop() if self.left else None


def convert(task: Task, file: str) -> None:
    """Put the graph in the file into integers: weights by channel where there is a way."""
    name = onnxruntime.InferenceSession(file).get_inputs()[0].name
    quant_pre_process(file, file, skip_symbolic_shape=True)
    kinds = quantization.QuantType
    if task.model in DYNAMIC:
        quantization.quantize_dynamic(file, file, per_channel=task.model != "lstm", weight_type=kinds.QInt8)
    else:
        quantization.quantize_static(
            file, file, _Examples(task, name), quant_format=quantization.QuantFormat.QOperator, per_channel=True,
            activation_type=kinds.QUInt8, weight_type=kinds.QInt8,
        )  # fmt: skip


if __name__ == "__main__":
    convert(WORKLOADS[sys.argv[1]].task, sys.argv[2])
