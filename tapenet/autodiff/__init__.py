"""What is recorded and differentiated: tensors, the graph, the backward driver.

From here on ops take tensors: `ops.recorder` is given the recorder.
"""

import importlib
from collections.abc import Sequence

from tapenet.autodiff import creation, generate
from tapenet.ops.recorder import Recorder, installed
from tapenet.program.low import when_first_met
from tapenet.typing import Array


class _Recorder(Recorder):
    called = staticmethod(generate.called)
    node_class = staticmethod(generate.node_class)
    full_node_class = staticmethod(generate.full_node_class)
    tensor = staticmethod(creation.around)
    values = staticmethod(creation.values)

    def run(self, function: object, values: Sequence[object]) -> Sequence[Array]:
        programs = importlib.import_module("tapenet.autodiff.programs")
        found: Sequence[Array] = programs.run(function, [creation.asarray(v) for v in values])
        return found


def _with_low_types() -> None:
    importlib.import_module("tapenet.autodiff.observe.low_types").install()


installed.recorder = _Recorder()
when_first_met(_with_low_types)
