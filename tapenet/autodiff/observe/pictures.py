"""Pictures that the folders below `drawing` show, which know nothing of it: it sets here how they are drawn."""

from __future__ import annotations

from collections.abc import Callable

#: Draws a module, called on the inputs after it, with the modules in it as a box each: SVG. Set by `tapenet.drawing`.
of_call: Callable[..., str] | None = None

#: Draws an `anomaly.Anomaly` and returns the path of the file, None if it leaves it be. Set by `tapenet.drawing`.
of_anomaly: Callable[..., str | None] | None = None
