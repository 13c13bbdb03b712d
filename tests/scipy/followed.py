"""What every op of a SciPy function is held to: its values are SciPy's to the bit, its derivatives those of differences."""

from __future__ import annotations

import numpy as np

import tapenet as tn
from tapenet.names import homes
from tapenet.ops.op import Op
from tapenet.scipy.followed import scipys


def ops(space: str) -> dict[str, Op]:
    """The ops of a namespace with SciPy's name, such as "fft"."""
    module = getattr(tn.scipy, space)
    found = {name: getattr(module, name) for name in homes(f"tapenet.scipy.{space}")}
    return {name: value for name, value in found.items() if isinstance(value, Op)}


def check_values(space: str, op: Op) -> None:
    """Hold the values of an op on its samples to SciPy's own: numbers, shapes and dtypes, of float32 too."""
    theirs = scipys(f"{space}.{op.name}")
    assert op.samples is not None
    for each in op.samples(np.random.default_rng(1)):
        for narrow in (False, True):
            given = [_narrow(a) if narrow else a for a in each.args]
            tensors = [tn.tensor(a) if isinstance(a, np.ndarray) else a for a in given]
            found, expected = op(*tensors, **each.kwargs), theirs(*given, **each.kwargs)
            several = isinstance(expected, tuple)
            for ours, value in zip(found if several else [found], expected if several else [expected], strict=True):
                assert isinstance(ours, tn.Tensor)
                np.testing.assert_array_equal(ours.numpy(), value, strict=isinstance(value, np.ndarray))


def _narrow(value: object) -> object:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
        return value.astype(np.complex64 if value.dtype.kind == "c" else np.float32)
    return value
