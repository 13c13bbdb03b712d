"""Loaders beside PyTorch's: `python -m tests.benchmarks.loader`, with `--write` into docs/data.md.

Each candidate makes all batches of an epoch, again and again, in turns; workers are started anew in each epoch unless they are
said to stay. Both give shuffled batches of 64. Samples are made by the same NumPy code.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tapenet.data import ArrayDataset, DataLoader, Dataset
from tests.benchmarks.harness import fill, interleaved

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
BATCH = 64
NAMES = ("eva", "tom", "ada", "kim")


class Images(Dataset[Any]):
    """Images as bytes, each made floating point, shifted and perhaps mirrored when it is asked for."""

    def __init__(self, count: int) -> None:
        self.images = np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), np.uint8)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int, /) -> Any:
        image = np.pad(self.images[index], ((0, 0), (4, 4), (4, 4)))
        top, left = index % 9, index // 9 % 9
        image = image[:, top : top + 32, left : left + 32]
        if index % 2:
            image = image[:, :, ::-1]
        return (image.astype(np.float32) - 127.5) / 64, index % 10


class Records(Dataset[Any]):
    """Dicts of a vector, a number and a string."""

    def __init__(self, count: int) -> None:
        self.rows = np.random.default_rng(0).random((count, 16), np.float32)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int, /) -> Any:
        return {"x": self.rows[index], "age": index % 90, "name": NAMES[index % 4]}


def torch_loader(dataset: Any, **options: Any) -> Iterable[Any]:
    """PyTorch's loader."""
    from torch.utils.data import DataLoader as Loader

    return Loader(dataset, BATCH, shuffle=True, **options)


def torch_arrays(x: Any, y: Any, *, at_once: bool) -> Iterable[Any]:
    """PyTorch's loader over tensors: sample by sample as it is usually written, or by lists of indices."""
    import torch
    from torch.utils.data import BatchSampler, RandomSampler, TensorDataset
    from torch.utils.data import DataLoader as Loader

    data = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    if at_once:
        return Loader(data, batch_size=None, sampler=BatchSampler(RandomSampler(data), BATCH, drop_last=False))
    return Loader(data, BATCH, shuffle=True)


def candidates(work: str, samples: int) -> dict[str, Iterable[Any]]:
    """The loaders of one kind of data."""
    if work == "arrays":
        x, y = np.random.default_rng(0).random((samples, 784), np.float32), np.arange(samples)
        return {
            "tapenet": DataLoader(ArrayDataset(x, y), BATCH, shuffle=True),
            "PyTorch": torch_arrays(x, y, at_once=False),
            "PyTorch, by index lists": torch_arrays(x, y, at_once=True),
        }
    data = Images(samples) if work == "images" else Records(samples)
    loader = functools.partial(DataLoader, data, BATCH, shuffle=True)
    return {
        "tapenet": loader(),
        "tapenet, 2 threads": loader(workers=2),
        "tapenet, 2 processes": loader(workers=2, kind="process"),
        "tapenet, 2 processes that stay": loader(workers=2, kind="process", persistent=True),
        "PyTorch": torch_loader(data),
        "PyTorch, 2 processes": torch_loader(data, num_workers=2),
        "PyTorch, 2 processes that stay": torch_loader(data, num_workers=2, persistent_workers=True),
    }


def epoch(loader: Iterable[Any]) -> None:
    """All batches."""
    for _ in loader:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}.loader", description=(__doc__ or "").partition(":")[0]
    )
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true", help="put the table into docs/data.md")
    options = parser.parse_args()
    lines = ["| data | loader | samples per second | time over tapenet's |", "|---|---|---|---|"]
    for work in ("arrays", "images", "records"):
        steps = {n: functools.partial(epoch, loader) for n, loader in candidates(work, options.samples).items()}
        times = interleaved(steps, options.rounds, seconds=0.1)
        for name, time in times.items():
            ours = (
                times["tapenet" + name.partition("PyTorch")[2].replace(", by index lists", "")]
                if "PyTorch" in name
                else time
            )
            lines.append(f"| {work} | {name} | {options.samples / time * 1e6:,.0f} | {time / ours:.2f} |")
            print(lines[-1], flush=True)
    if options.write:
        fill(PAGE, "loader", "\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
