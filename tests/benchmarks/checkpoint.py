"""How quickly a state of 100 million parameters is on the disk, and read again, beside plain `safetensors.numpy`.

    OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.checkpoint [FOLDER] [--rounds N] [--parameters N]

Both write the same arrays (those of a transformer, float32) and end when the file is on the disk: after `save_file` it is
opened again for `os.fsync`. `training.Checkpoint` computes a checksum beside that, writes to another name, renames, flushes
the folder and deletes the oldest. The two take turns, and the order changes from round to round. FOLDER decides what is
measured: on a disk mostly that disk, on a RAM disk (/dev/shm) the programs. Times are medians; of the ratios, taken round by
round, the median and the quartiles.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tapenet as tn
from tapenet.training import Checkpoint


def arrays(parameters: int) -> dict[str, Any]:
    """The parameters of a transformer with blocks of width 768, as many as come to that number."""
    rng = np.random.default_rng(0)
    width = 768
    found: dict[str, Any] = {}
    left = parameters
    for block in range(parameters):
        for name, shape in {
            "qkv.weight": (3 * width, width),
            "qkv.bias": (3 * width,),
            "out.weight": (width, width),
            "out.bias": (width,),
            "norm1.weight": (width,),
            "norm1.bias": (width,),
            "up.weight": (4 * width, width),
            "up.bias": (4 * width,),
            "down.weight": (width, 4 * width),
            "down.bias": (width,),
            "norm2.weight": (width,),
            "norm2.bias": (width,),
        }.items():
            if np.prod(shape) > left:
                found["rest"] = rng.random(left, np.float32)
                return found
            found[f"blocks.{block}.{name}"] = rng.random(shape, np.float32)
            left -= int(np.prod(shape))
    return found


def seconds(function: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compared(title: str, ours: Callable[[], object], theirs: Callable[[], object], rounds: int, size: int) -> None:
    """Print how fast each is, and the ratio of ours to theirs."""
    times: dict[str, list[float]] = {"tapenet": [], "safetensors": []}
    pair = [("tapenet", ours), ("safetensors", theirs)]
    for n in range(rounds + 1):
        for name, function in pair if n % 2 else pair[::-1]:
            taken = seconds(function)
            if n:  # the first round is not counted: it makes the pages of the files
                times[name].append(taken)
    rates = {name: size / statistics.median(values) / 1e9 for name, values in times.items()}
    ratios = [b / a for a, b in zip(times["tapenet"], times["safetensors"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(
        f"{title}: tapenet {rates['tapenet']:.2f} GB/s, safetensors {rates['safetensors']:.2f} GB/s, "
        f"speed beside it {middle:.2f} ({low:.2f} to {high:.2f}), {rounds} rounds"
    )


def main() -> None:
    from safetensors.numpy import load_file, save_file

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default=tempfile.gettempdir())
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--parameters", type=int, default=100_000_000)
    given = parser.parse_args()
    state = arrays(given.parameters)
    size = sum(array.nbytes for array in state.values())
    print(f"{given.parameters:,} parameters in {len(state)} arrays, {size / 1e6:.0f} MB, in {given.folder}")
    with tempfile.TemporaryDirectory(dir=given.folder) as made:
        folder = Path(made)
        checkpoint = Checkpoint(folder / "ours", keep=1)

        def theirs() -> None:
            save_file(state, folder / "theirs")
            descriptor = os.open(folder / "theirs", os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

        compared("Checkpoint.save, on the disk", lambda: checkpoint.save(state), theirs, given.rounds, size)
        latest = checkpoint.latest
        assert latest is not None
        compared("tn.load", lambda: tn.load(latest), lambda: load_file(folder / "theirs"), given.rounds, size)


if __name__ == "__main__":
    main()
