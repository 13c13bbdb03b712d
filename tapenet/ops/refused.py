"""NumPy functions that have no place in a graph, each with what to write instead."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.op import refuse

_function: Any
for _function in (np.save, np.savez, np.savez_compressed, np.savetxt):
    refuse(_function, "give it tensor.numpy(), or the arrays of a module's state_dict()")
for _function in (np.isnat, np.busday_count, np.busday_offset, np.is_busday, np.datetime_as_string):
    refuse(_function, "a tensor holds numbers, never dates: keep dates in arrays and compute numbers from these")
