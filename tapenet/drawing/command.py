"""Arguments of `python -m tapenet draw`: an object by its name, and arrays made up for its arguments."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from tapenet.typing import Array

#: The spread of made-up numbers: so small that nothing saturates or overflows.
_SPREAD = 0.1
#: What a module that is given as a file is called: its own name may be taken.
_FILE = "__drawn__"
_NOT_USERS = ("importlib", "numpy.", "contextlib")
_PACKAGE = str(Path(__file__).parents[1])


class CommandError(RuntimeError):
    """The object that was named cannot be drawn. The message is one line."""


def load(name: str) -> object:
    """The object that `MODULE:OBJECT` names: a dotted module, or the path of a file, and a dotted attribute.

    The current folder, and that of the file, come first where modules are looked for.

    Raises:
        CommandError: it is not there, or the module fails as it is imported.

    >>> load("math:pi") > 3
    True
    """
    module, _, path = name.rpartition(":")
    if not module or not path:
        raise CommandError(f"{name!r} names no object: write MODULE:OBJECT or FILE.py:OBJECT, such as models.py:Net")
    found: object = _module(module)
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            public = [n for n in dir(found) if not n.startswith("_")]
            near = f"; it has {', '.join(public[:20])}" if public else ""
            raise CommandError(f"{module} has no {path!r}{near}") from None
    return found


def _module(name: str) -> ModuleType:
    folders = [os.getcwd()]
    is_file = name.endswith(".py")
    if is_file:
        if not os.path.isfile(name):
            raise CommandError(f"there is no file {name}")
        folders.insert(0, str(Path(name).resolve().parent))
    sys.path[:0] = [folder for folder in folders if folder not in sys.path]
    try:
        return _from_file(name) if is_file else importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and (name + ".").startswith(error.name + "."):
            raise CommandError(f"there is no module {error.name}; a file is named with its suffix .py") from None
        raise CommandError(f"{name} could not be imported: {described(error)}") from error


def _from_file(path: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(_FILE, path)
    if found is None or found.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[_FILE] = module  # as import does: classes look their module up
    found.loader.exec_module(module)
    return module


def described(error: BaseException) -> str:
    """An error in one line, with the innermost line of code that raised it if that is not this package's."""
    text = " ".join(str(error).split())
    trace = error.__traceback__
    place = ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith((_PACKAGE, "<")) and not trace.tb_frame.f_globals.get("__name__", "").startswith(
            _NOT_USERS
        ):
            place = f" ({_as_given(file)}:{trace.tb_lineno})"
        trace = trace.tb_next
    if isinstance(error, SyntaxError):  # which says where itself
        place = ""
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


def _as_given(file: str) -> str:
    """The path of a file from here, where it is below."""
    here = os.path.join(os.getcwd(), "")
    return file.removeprefix(here)


class Spec(NamedTuple):
    """Dtype and shape of an argument."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]

    def array(self, rng: np.random.Generator) -> Array:
        """An array of this kind: small random floats; integers and booleans that are zero, which index any table."""
        if self.dtype.kind in "biu":
            return np.zeros(self.shape, self.dtype)
        return np.asarray(rng.normal(0, _SPREAD, self.shape)).astype(self.dtype)


def spec(text: str) -> Spec:
    """What `--input` describes: `1,28,28` (float32), or with a dtype `int64:1,16`; `()` is a single number.

    Raises:
        ValueError: it describes no array.

    >>> spec("int64:2,3")
    Spec(dtype=dtype('int64'), shape=(2, 3))
    """
    name, _, sizes = text.rpartition(":")
    try:
        dtype = np.dtype(name.strip() or "float32")
        shape = () if sizes.strip() == "()" else tuple(int(size) for size in sizes.rstrip(", ").split(","))
        if dtype.kind not in "biufc" or min(shape, default=0) < 0:
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(f"{text!r} describes no array; write a shape such as 1,28,28, or int64:1,16") from None
    return Spec(dtype, shape)
