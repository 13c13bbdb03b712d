"""Pictures of what was computed: from the tape to a drawing, to DOT, to SVG.

`draw` is the way in. The parts: `model` is a drawing as plain data, and passes from one drawing to another;
`build`, which alone knows the tape, makes one; `dot` writes it as text; `render` lays that out.
"""

from tapenet.drawing.picture import Picture, draw
from tapenet.drawing.render import RenderError, renderers

__all__ = ["Picture", "RenderError", "draw", "renderers"]
