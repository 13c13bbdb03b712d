"""What is recorded and differentiated: tensors, the graph, the backward driver.

From here on ops take tensors: `ops.recorder` is given the recorder.
"""

import importlib
from collections.abc import Sequence

from tapenet.autodiff import creation, generate
from tapenet.autodiff.observe import low_types as low_types
from tapenet.ops.recorder import Recorder, installed
from tapenet.typing import Array


class _Recorder(Recorder):
    prepare = staticmethod(generate.prepare)
    tensor = staticmethod(creation.around)
    values = staticmethod(creation.values)

    def run(self, function: object, values: Sequence[object]) -> Sequence[Array]:
        programs = importlib.import_module("tapenet.autodiff.programs")
        found: Sequence[Array] = programs.run(function, [creation.asarray(v) for v in values])
        return found


installed.recorder = _Recorder()
