"""NumPy functions that have no place in a graph, each with what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tapenet.names import NAMES, homes
from tapenet.ops.registry import refuse

_function: Callable[..., object]
for _function in (np.save, np.savez, np.savez_compressed, np.savetxt):
    refuse(_function, "give it tensor.numpy(), or the arrays of a module's state_dict()")
for _function in (np.isnat, np.busday_count, np.busday_offset, np.is_busday, np.datetime_as_string):
    refuse(_function, "a tensor holds numbers, never dates: keep dates in arrays and compute numbers from these")
for _function in (np.frombuffer, np.fromfile, np.fromstring, np.loadtxt, np.genfromtxt):
    refuse(_function, "what is read has no graph yet: leave like= out, and give the array to tn.tensor")

#: What to write in place of NumPy functions that no other type can answer: they make arrays of all they are given. By the
#: name of their code.
INSTEAD = {
    "vectorize.__call__": "np.vectorize calls Python once for each element; give the function the whole tensor, or use "
    "tn.apply_along_axis",
    "AxisConcatenator.__getitem__": "np.r_ and np.c_ make arrays; use tn.r_ and tn.c_, or np.concatenate and np.column_stack",
    "full": "np.full makes an array; use tn.full, or np.full(..., like=t)",
    "as_strided": "np.lib.stride_tricks.as_strided looks at memory; use tn.sliding_window_view, or index arrays as in t[i + k]",
    "nd_grid.__getitem__": "np.mgrid and np.ogrid make arrays; use np.meshgrid of tn.arange or tn.linspace",
    "kaiser": "np.kaiser makes an array; use tn.kaiser",
    "matrix.__new__": "np.matrix is an array; use a tensor with two axes",
    "poly1d.__init__": "np.poly1d holds an array; give the coefficients to np.polyval, np.polymul and the like",
    "require": "np.require makes an array; use tn.require, or np.require(..., like=t)",
    "asarray_chkfinite": "np.asarray_chkfinite makes an array; use tn.isfinite(t).all()",
    "ndenumerate.__init__": "np.ndenumerate goes over an array; use np.ndindex(t.shape) and t[index]",
}
#: The same for whole packages, by how the names of their modules begin.
INSTEAD_OF = {
    "numpy.polynomial": "np.polynomial makes arrays of coefficients; use np.polyval, np.polyfit and the like, with the "
    "coefficients from the highest power down",
    "numpy.testing": "np.testing compares arrays; give it t.numpy()",
    "numpy.ma": "np.ma holds arrays; keep the mask beside the tensor, for np.where(mask, other, t) or where=",
    "scipy.stats._": "tn.scipy.stats has the same distributions for tensors",
    "scipy.": "scipy computes with arrays; use what tn.scipy, np.linalg and np.fft have of it, or define an op "
    "that stands for the function: tn.op(..., numpy=f)",
}


def instead(calls: Sequence[tuple[str, str]]) -> str:
    """What to write in place of a function of NumPy or SciPy that makes an array of a tensor; "" if nothing is known.

    Args:
        calls: module and qualified name of that function, and of those that it called.

    >>> instead([("numpy.testing._private.utils", "assert_allclose")])
    'np.testing compares arrays; give it t.numpy()'
    >>> instead([("scipy.special._basic", "polygamma")])
    'tn.scipy.special.polygamma is the same on tensors'
    """
    for module, name in calls:
        space, name = module.partition("._")[0], name.removesuffix(".__init__")
        if space.startswith("scipy.") and f"tapenet.{space}" in NAMES and name in homes(f"tapenet.{space}"):
            return f"tn.{space}.{name} is the same on tensors"
    module, name = calls[0] if calls else ("", "")
    package = (hint for start, hint in INSTEAD_OF.items() if module.startswith(start))
    return next(package, "") or INSTEAD.get(name, "")
