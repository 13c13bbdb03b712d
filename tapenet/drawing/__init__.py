"""Pictures of what was computed: from the tape to a drawing, to DOT, to SVG.

`draw_call` is the way in; `options` takes what it is given apart, `picture` is what it gives. A drawing is plain data
(`model`). It comes from the `sources`, which alone know tapes, modules and programs; `passes` turn one into another, and one
of them, `view`, says which and in what order; the `forms` are what it becomes: DOT, SVG, a page, a lecture, a flowchart, data.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from tapenet.autodiff.observe import pictures as _pictures
from tapenet.names import namespace as _namespace

if _TYPE_CHECKING:
    from tapenet.autodiff.observe.anomaly import Anomaly as _Anomaly

__getattr__, __dir__ = _namespace(__name__)


def _of_call(module: object, *inputs: object) -> str:
    from tapenet.drawing.draw_call import draw

    svg = draw(module, *inputs, depth=1).svg
    return svg[svg.index("<svg") :]  # what stands before it has no place within a page


def _of_anomaly(found: "_Anomaly") -> str | None:
    from tapenet.drawing.illustrate import illustrate

    return illustrate(found)


_pictures.of_call = _of_call
_pictures.of_anomaly = _of_anomaly
