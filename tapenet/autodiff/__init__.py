"""What is recorded and differentiated: tensors, the graph, the backward driver.

From here on ops take tensors: `ops.recorder` is given the recorder.
"""

from tapenet.autodiff import creation, generate
from tapenet.autodiff.observe import low_types as low_types
from tapenet.ops.recorder import Recorder, installed


class _Recorder(Recorder):
    prepare = staticmethod(generate.prepare)
    tensor = staticmethod(creation.around)
    values = staticmethod(creation.values)


installed.recorder = _Recorder()
