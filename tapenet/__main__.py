"""The command line: `python -m tapenet demo`, `info`, `draw` and `new`."""

from __future__ import annotations

import argparse
import inspect
import os
import platform
import sys
import time
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import new, nn, optim, plugins
from tapenet.compiler.compile import Compiled, available_backend
from tapenet.drawing import command
from tapenet.drawing.forms.curve import curve
from tapenet.drawing.forms.render import renderers
from tapenet.drawing.layout.placed import DIRECTIONS
from tapenet.llvm.processor import processor


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 failed (the reason is on stderr), 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m tapenet", description=(tn.__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="train a small network on real digits and draw it",
        description="Trains a small convolutional network on the 1,000 bundled training digits, tests it on 1,000 others, "
        "and saves a drawing of the model (model.svg) and of its training (curve.svg).",
    )
    demo.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="folder for the pictures (default: here)")
    demo.add_argument("--epochs", type=_positive, default=15, metavar="N", help="passes over the data (default: 15)")
    demo.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all randomness (default: 0)")
    demo.set_defaults(run=lambda options: run_demo(options.out, options.epochs, options.seed))
    info = commands.add_parser(
        "info",
        help="show versions, BLAS and threads, which renderer is in use, and what other packages bring",
        description="Shows what a bug report needs: versions, BLAS and its threads, renderers, plugins, data folders.",
    )
    info.set_defaults(run=lambda options: run_info())
    _add_draw(commands)
    _add_new(commands)
    options = parser.parse_args(argv)
    try:
        options.run(options)
    except (OSError, RuntimeError) as error:
        print(f"tapenet {options.command}: {error}", file=sys.stderr)
        return 1
    return 0


def _add_draw(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    draw = commands.add_parser(
        "draw",
        help="draw a model or a function of your own",
        description="Draws what an object computes: an nn.Module, or a class or function that makes one if called without "
        "arguments; a function of arrays, compiled or not; a tensor; a tape. For example: python -m tapenet draw models.py:Net "
        "--input 1,28,28 -o net.svg",
    )
    draw.add_argument(
        "object", metavar="MODULE:OBJECT", help="a module's name or the path of a .py file, and what in it"
    )
    draw.add_argument(
        "--input",
        action="append",
        default=[],
        type=_input,
        dest="inputs",
        metavar="[DTYPE:]SHAPE",
        help="an argument: a shape such as 1,28,28 (float32, small random numbers) or int64:1,16 (zeros); () is a single "
        "number. Once for each argument",
    )
    draw.add_argument("-o", "--out", type=Path, default=Path("net.svg"), metavar="FILE",
                      help="the picture, in the format of its suffix: svg, html, png, pdf, dot, mmd (Mermaid) or json "
                      "(default: net.svg)")  # fmt: skip
    draw.add_argument("--depth", type=_natural, metavar="N", help="levels of modules to open (default: as many as fit)")
    draw.add_argument("--budget", type=_positive, metavar="N", help="about how many boxes to draw")
    draw.add_argument("--direction", choices=DIRECTIONS, default="TB", help="where arrows point (default: TB, down)")
    draw.add_argument("--backward", action="store_true", help="also draw how gradients flow back")
    draw.add_argument("--title", default="", help="a line above the picture")
    draw.set_defaults(run=run_draw)


def _add_new(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    made = commands.add_parser(
        "new",
        help="write a package with an op, a layer or an optimizer of your own",
        description="Writes a small package: an op, a layer, an optimizer, or one of each (package), with tests, types and the "
        "entry points by which tapenet finds it.",
    )
    made.add_argument("kind", choices=new.KINDS, help="what it holds: op, layer, optimizer; package: one of each")
    made.add_argument("name", metavar="NAME", help="what that is called, such as soft_clip or SoftClip")
    made.add_argument("--out", type=Path, metavar="DIR", help="folder that is made (default: one of that name here)")
    made.set_defaults(run=run_new)


def run_new(options: argparse.Namespace) -> None:
    """Write a package, and say what comes next."""
    folder = new.write(options.kind, options.name, options.out, metadata.version("tapenet"))
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        print(f"wrote {path}")
    print(f"Next: cd {folder}; pip install -e '.[test]'; python -m pytest")


def _natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is negative")
    return value


def _input(text: str) -> command.Spec:
    try:
        return command.spec(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not a positive number")
    return value


class DemoNet(nn.Module):
    """Two convolutions with pooling, then a dense layer: 5,258 parameters."""

    def __init__(self) -> None:
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.fc = nn.Linear(16 * 5 * 5, 10)

    def forward(self, x: tn.Tensor) -> tn.Tensor:
        """Scores (N, 10) of images (N, 1, 28, 28)."""
        h = F.max_pool2d(F.relu(self.conv1(x)), 2)
        h = F.max_pool2d(F.relu(self.conv2(h)), 2)
        scores: tn.Tensor = self.fc(h.reshape(len(h), -1))
        return scores


def run_demo(out: Path, epochs: int, seed: int) -> None:
    """Train on the bundled digits, print accuracies and time, save model.svg and curve.svg in `out`."""
    from tqdm import tqdm

    out.mkdir(parents=True, exist_ok=True)
    tn.random.seed(seed)
    data = tn.data.digits()
    net = DemoNet()
    batches = tn.data.batches(data.train_images, data.train_labels, batch_size=50, shuffle=True, seed=seed)
    opt = optim.Adam(net.parameters(), lr=optim.cosine(5e-3, epochs * len(batches)))
    losses: list[float] = []
    start = time.perf_counter()
    with tqdm(total=epochs * len(batches), unit="step", desc="training") as bar:
        for _ in range(epochs):
            for x, y in batches:
                loss = F.cross_entropy(net(x), y)
                opt.zero_grad()
                loss.backward()
                opt.step()
                losses.append(loss.item())
                bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
                bar.update()
    seconds = time.perf_counter() - start
    net.eval()
    with tn.no_grad():
        train = _accuracy(net, data.train_images, data.train_labels)
        test = _accuracy(net, data.test_images, data.test_labels)
    print(f"{net.num_parameters():,} parameters, trained for {seconds:.1f} s on 1,000 digits")
    print(f"accuracy: {train:.1%} on these, {test:.1%} on 1,000 others")
    model = tn.draw(F.cross_entropy(net(data.test_images[:50]), data.test_labels[:50])).save(out / "model.svg")
    path = out / "curve.svg"
    path.write_text(curve({"loss": losses}, title="Training loss on 1,000 digits"), encoding="utf-8")
    print(f"saved {model} and {path}")


def _accuracy(net: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    return float((net(images).argmax(axis=1) == labels).data.mean())


def run_draw(options: argparse.Namespace) -> None:
    """Draw an object that the user names.

    Raises:
        CommandError: that failed, in one line.
    """
    found = command.load(options.object)
    rng = np.random.default_rng(0)
    tn.random.seed(0)  # a model's parameters too are the same each time, and so is the picture
    chosen = {"budget": options.budget} if options.budget is not None else {}
    hint = ""
    try:
        made = _made(found)
        hint = "" if options.inputs else "; arguments are given by --input, such as --input 1,28,28"
        arguments = [spec.array(rng) for spec in options.inputs]
        if isinstance(made, Compiled):  # its program is there after a call
            made(*arguments)
            arguments = []
        picture = tn.draw(
            made,
            *arguments,
            depth=options.depth,
            direction=options.direction,
            backward=options.backward,
            title=options.title,
            **chosen,
        )
    except Exception as error:
        text = command.described(error) + (hint if isinstance(error, TypeError) else "")
        raise command.CommandError(f"{options.object}: {text}") from error
    try:
        print(f"saved {picture.save(options.out)}")
    except Exception as error:  # of the file alone
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise command.CommandError(" ".join(text.split())) from error


def _made(found: object) -> object:
    """What is to be drawn: what a class of modules, or a function that needs no arguments, gives when it is called."""
    if isinstance(found, type) and issubclass(found, nn.Module):
        return found()
    if not inspect.isroutine(found):
        return found
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError):  # it needs arguments, or it cannot be told
        return found
    return found()


def run_info() -> None:
    """Print what a bug report needs."""
    rows = [
        ("tapenet", metadata.version("tapenet")),
        ("python", f"{platform.python_version()} on {platform.platform()}"),
    ]
    for package in ("numpy", "scipy", "graphviz-pure", "tqdm", "llvmlite", "torch"):
        try:
            rows.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            rows.append((package, "not installed"))
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    rows.append(("BLAS", f"{blas.get('name')} {blas.get('version')}"))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    limits = ", ".join(f"{n}={os.environ[n]}" for n in names if n in os.environ)
    rows.append(("threads", f"{os.cpu_count()} processors" + (f", {limits}" if limits else ", no limit set")))
    rows.append(("compiler", _compiler()))
    found = renderers()
    for renderer in found:
        state = "yes" if renderer.available else "no"
        rows.append((f"renderer {renderer.name}", f"{state}: {renderer.where}"))
    for plugin in plugins.plugins():
        with warnings.catch_warnings(action="ignore"):  # it is said here
            error = plugins.load(plugin).error
        state = "" if error is None else f", left out: {type(error).__name__}: {error}"
        rows.append((f"plugin {plugin.group}", f"{plugin.name}: {plugin.value} of {plugin.package}{state}"))
    rows.append(("data folder", os.environ.get("TAPENET_DATA", "$TAPENET_DATA is not set")))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


def _compiler() -> str:
    """Which backend `tn.compile` uses."""
    try:
        native = available_backend() == "native"
    except ValueError as error:
        return f"none: {error}"
    if native:
        name, _, registers = processor()
        return f"native, by llvmlite {metadata.version('llvmlite')}, for {name}: vectors of {8 * registers.bytes} bits"
    return "numpy (for machine code: pip install tapenet[jit])"


if __name__ == "__main__":
    sys.exit(main())
