"""What is measured: models in eval mode, with parameters and inputs that are the same for all candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.benchmarks.inference import models
from tests.benchmarks.side_by_side.tasks import Array, Bound, Workload, mean_squares

CANDIDATES = ("tapenet-native", "tapenet-frozen", "tapenet-8bit", "onnxruntime", "onnxruntime-8bit", "torch-eager")
#: Inputs that scales of integers are found by.
EXAMPLES = 32

#: A model, and the shape of one input.
MODELS: dict[str, tuple[str, Callable[[Any], Any], tuple[int, ...]]] = {
    "resnet8": ("ResNet-8, 32x32", models.resnet8, (3, 32, 32)),
    "ds-cnn": ("DS-CNN, 49x10", models.ds_cnn, (1, 49, 10)),
    "mobilenet": ("MobileNetV1 0.25, 96x96", models.mobilenet, (3, 96, 96)),
    "autoencoder": ("autoencoder, 640", models.autoencoder, (640,)),
    "resnet18": ("ResNet-18, 32x32", models.resnet18, (3, 32, 32)),
    "encoder": ("two layers of BERT-base, length 64", models.encoder, (64, 768)),
    "lstm": ("LSTM of 128 units, length 32", models.lstm, (32, 64)),
}


@dataclass(frozen=True)
class Task:
    """A model and a batch of inputs."""

    model: str
    batch: int

    def data(self) -> Array:
        """The inputs."""
        shape = (self.batch, *MODELS[self.model][2])
        return np.random.default_rng(1).standard_normal(shape, np.float32)

    def examples(self) -> Array:
        """Inputs like them, for calibration."""
        return np.random.default_rng(3).standard_normal((EXAMPLES, *MODELS[self.model][2]), np.float32)

    def module(self, nn: Any) -> Any:
        """The model of a library's modules, in eval mode."""
        return MODELS[self.model][1](nn).eval()


def values(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> list[Array]:
    """Parameters and running statistics by their names and shapes, of a size that keeps signals at theirs."""
    r = np.random.default_rng(2)
    found = []
    for name, shape in shapes:
        if name.endswith("running_var"):
            made = r.uniform(0.5, 1.5, shape)
        elif len(shape) > 1:
            made = r.standard_normal(shape) * np.sqrt(1.5 / np.prod(shape[1:]))
        else:
            made = r.uniform(0.8, 1.2, shape) if name.endswith("weight") else r.uniform(-0.1, 0.1, shape)
        found.append(np.asarray(made, np.float32))
    return found


#: How far results in integers may be off: the root of the mean square of the difference, by that of the result.
NEAR = 0.1


def near(out: Array, expected: Array) -> list[float]:
    """The mean square of a result in floats, which one in integers stands for.

    Raises:
        ValueError: that is not near it.
    """
    error = np.sqrt(np.mean(np.square(out - expected)) / np.mean(np.square(expected)))
    if not error <= NEAR:
        raise ValueError(f"is {error:.1%} off the result in floats")
    return mean_squares([expected])


WORKLOADS = {
    f"{name}-{batch}": Workload(
        f"{title}, batch {batch}", Task(name, batch),
        (Bound("tapenet-frozen", ("onnxruntime",), 1.0), Bound("tapenet-8bit", ("onnxruntime-8bit",), 1.0)),
    )
    for name, (title, _, _) in MODELS.items()
    for batch in (1, 32)
}  # fmt: skip
