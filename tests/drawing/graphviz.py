"""Graphviz, for tests of the DOT text that is written for it."""

from __future__ import annotations

import subprocess

import pytest

from tapenet.drawing.forms.render import renderers


def run_graphviz(dot: str, format: str = "svg", timeout: float = 60) -> bytes:
    """What Graphviz makes of DOT text."""
    found = next((r for r in renderers() if r.command), None)
    if found is None:
        pytest.skip("no Graphviz is here")
    command = [*found.command, "-Kdot", f"-T{format}"]
    # A lone surrogate has no bytes.
    done = subprocess.run(
        command, input=dot.encode("utf-8", "replace"), capture_output=True, timeout=timeout, check=True
    )
    return done.stdout
