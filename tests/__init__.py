"""The tests."""

from __future__ import annotations

import numpy as np

#: To be compared with the versions in which NumPy itself changed.
NUMPY = np.lib.NumpyVersion(np.__version__)
