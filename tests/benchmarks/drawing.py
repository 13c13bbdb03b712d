"""Pictures of the same models by tapenet, pytorchviz and torchview: time, size, and the files side by side.

pip install -e '.[bench]'
OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python -m tests.benchmarks.drawing --out pictures

Timed is drawing, from what the model computed to the text of an SVG; torchview runs the model itself, so that is in
its time. Those of the peers are laid out by the Graphviz that tapenet finds. Every drawing is made in a process of its
own with a limit on time.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.drawing.graphviz import run_graphviz
from tests.drawing.models import MODELS

#: Seconds that a drawing may take.
LIMIT = 60
#: Seconds that a process may take beside: imports, building the model.
AROUND = 20


# What each tool does


def tapenet(model: str) -> Callable[[str], bytes]:
    """The drawing of a model by tapenet: a function from a format to bytes, its graph built beforehand."""
    import tapenet as tn

    built = MODELS[model]()
    tn.draw(tn.tensor(1.0, requires_grad=True) * 2).svg  # noqa: B018 (loads what drawing needs)

    def picture(format: str) -> bytes:
        if format == "svg":
            return tn.draw(built).svg.encode()
        with tempfile.TemporaryDirectory() as folder:
            return tn.draw(built).save(Path(folder, f"net.{format}")).read_bytes()

    return picture


def pytorchviz(model: str) -> Callable[[str], bytes]:
    """The same by pytorchviz, which draws what autograd recorded, the parameters named."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports distutils
        from torchviz import make_dot

    from tests.benchmarks.torch_models import PEERS

    peer = PEERS[model]()
    losses = peer.losses()

    def picture(format: str) -> bytes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dot = make_dot(losses, params=dict(peer.model.named_parameters()))
        return run_graphviz(dot.source, format, LIMIT)

    return picture


def torchview(model: str) -> Callable[[str], bytes]:
    """The same by torchview, which runs the module and draws what it called, with boxes around modules."""
    from torchview import draw_graph

    from tests.benchmarks.torch_models import PEERS

    peer = PEERS[model]()

    def picture(format: str) -> bytes:
        graph = draw_graph(peer.model, input_data=peer.inputs, expand_nested=True, device="cpu")
        return run_graphviz(graph.visual_graph.source, format, LIMIT)

    return picture


TOOLS = {f.__name__: f for f in (tapenet, pytorchviz, torchview)}


# One drawing, in its own process


def measure(picture: Callable[[str], bytes], rounds: int = 5) -> dict[str, Any]:
    """Medians over some rounds, or the one round that takes long; boxes and bytes of the SVG."""
    totals: list[float] = []
    while len(totals) < rounds:
        start = time.perf_counter()
        svg = picture("svg")
        totals.append(time.perf_counter() - start)
        if totals[-1] > 3:
            totals = totals[-1:]
            break
    boxes = len(re.findall(rb'class="node\b', svg))
    return {"seconds": statistics.median(totals), "boxes": boxes, "bytes": len(svg)}


def reason(error: BaseException) -> str:
    """An error in one short line."""
    cause = error.__cause__ or error
    if isinstance(cause, subprocess.TimeoutExpired):
        return f"> {LIMIT} s"
    return f"{type(cause).__name__}: {cause}".splitlines()[0][:200]


def one(tool: str, model: str, out: Path | None) -> None:
    """Measure one drawing and print that as JSON; or, with a folder, save its pictures there."""
    try:
        picture = TOOLS[tool](model)
        if out is None:
            print(json.dumps(measure(picture)))
            return
        for format in ("svg", "png"):
            (out / f"{model}.{tool}.{format}").write_bytes(picture(format))
    except Exception as error:
        print(json.dumps({"fails": reason(error)}))


# All of them


def in_process(tool: str, model: str, out: Path | None = None) -> dict[str, Any]:
    """What `one` printed, or that it was stopped."""
    command = [sys.executable, "-m", "tests.benchmarks.drawing", "--one", tool, model]
    if out is not None:
        command += ["--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, text=True) as process:
        try:
            printed, _ = process.communicate(timeout=LIMIT + AROUND)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the renderer too
            return {"fails": f"> {LIMIT} s"}
    if process.returncode:
        return {"fails": f"exit {process.returncode}"}
    return json.loads(printed or "{}")


def cell(found: dict[str, Any]) -> str:
    """What was found, for a cell of the table."""
    if not found:
        return "–"
    if "fails" in found:
        return found["fails"] if found["fails"].startswith("> ") else f"fails: {found['fails']}"
    seconds = found["seconds"]
    took = f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
    return f"{took}, {found['boxes']:,} boxes, {found['bytes'] / 1000:,.0f} KB"


def table(results: dict[str, dict[str, Any]], tools: list[str]) -> str:
    """A Markdown table: a row for a model, a column for a tool."""
    lines = ["| model | " + " | ".join(tools) + " |", "|---" * (1 + len(tools)) + "|"]
    for model, row in results.items():
        lines.append(f"| {model} | " + " | ".join(cell(row.get(tool, {})) for tool in tools) + " |")
    return "\n".join(lines)


def main() -> None:
    """Draw every model by every tool and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS), metavar="TOOL")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--out", type=Path, metavar="DIR", help="save every SVG and PNG there")
    parser.add_argument("--one", nargs=2, metavar=("TOOL", "MODEL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(*options.one, options.out)
        return
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    from tests.benchmarks.torch_models import PEERS

    results: dict[str, dict[str, Any]] = {}
    for model in options.models:
        results[model] = {}
        for tool in options.tools:
            if tool == "tapenet" or model in PEERS:
                found = results[model][tool] = in_process(tool, model)
                print(f"{model}, {tool}: {cell(found)}", file=sys.stderr, flush=True)
                if options.out is not None and "fails" not in found:
                    unsaved = in_process(tool, model, options.out)
                    if unsaved:
                        print(f"{model}, {tool}: not all of it saved: {unsaved['fails']}", file=sys.stderr, flush=True)
    print(table(results, options.tools))
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
