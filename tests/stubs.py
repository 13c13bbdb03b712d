"""Writes the stubs of the namespaces, in which type checkers and editors find what is loaded at first use: one beside each
module that `tapenet.names` has names for.

python -m tests.stubs

What is a plain function or a class has its types where it is defined, and is imported here. An op has none there that a
caller could use, since its formula takes whatever stands for an array. So its stub is made: inputs are `ArrayLike`, options
are as they are annotated or as their defaults, and what it returns is what it returns for its own samples.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import itertools
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.names import HIDDEN, NAMES, homes
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op
from tapenet.ops.signatures import further
from tapenet.ops.torch_names import DONE, EVERYWHERE, our_name
from tapenet.program.trees import tree_map

#: `tapenet.ops` is for the package itself, whose modules also use what is not public.
SPACES = [space for space in NAMES if space != "tapenet.ops"]

Function: TypeAlias = Op | Derived
#: The modules whose hidden names users write.
_HIDDEN_TOO = ("tapenet.compat.torch_dtypes", "tapenet.ops.namespace_info")
#: Flags that ask for more results, or fewer.
_FLAG = re.compile("return_.*|returned|retstep|compute_uv|full|cov")
#: The first line of each stub.
_MADE = "# Made by `python -m tests.stubs`."
_EMPTY: Any = inspect.Parameter.empty
#: What an option takes that does not say it.
_BY_NAME = {
    "axis": "Axis",
    "dtype": "DTypeLike | None",
    "rng": "np.random.Generator | None",
    "out": "Tensor | np.ndarray[Any, Any] | None",
    "like": "Tensor | None",
    "where": "ArrayLike",
    "initial": "ArrayLike | None",
    "return_indices": "bool",
    **dict.fromkeys(("attn_mask", "bias", "linear_bias", "weight", "weights"), "ArrayLike | None"),
}
#: What stubs import beside what annotations name.
_KNOWN = {
    "ArrayLike": "from numpy.typing import ArrayLike",
    "DTypeLike": "from numpy.typing import DTypeLike",
    "Axis": "from tapenet.typing import Axis",
    "UfuncOptions": "from tapenet.typing import UfuncOptions",
    "Tensor": "from tapenet.autodiff.tensor import Tensor as Tensor",
    "np": "import numpy as np",
    **{name: f"from typing import {name}" for name in ("Any", "Literal", "NamedTuple", "Unpack", "overload")},
    **{name: f"from collections.abc import {name}" for name in ("Callable", "Iterable", "Mapping", "Sequence")},
}


def path(space: str) -> Path:
    """The stub of a namespace."""
    return Path(str(importlib.import_module(space).__file__)).with_suffix(".pyi")


def stub(space: str) -> str:
    """Its text."""
    first = next(other for other in SPACES if homes(other) == homes(space))
    if first != space:  # SciPy's name of the same functions
        return f"{_MADE}\nfrom {first} import *\n"
    made = _Stub(space)
    text = "\n\n".join(made.definitions)
    own = {*_names(text)} - {*homes(space)} | ({"Tensor"} if re.search(r"\bTensor\b", text) else set())
    needed = {_KNOWN[name] for name in own & _KNOWN.keys()} | {made.found[name] for name in own & made.found.keys()}
    if space == "tapenet":  # and what no list shows, since it would hide Python's own
        needed |= {f"from {home} import {n} as {n}" for home in _HIDDEN_TOO for n in HIDDEN[home].split()} | {
            "import builtins"
        }
        text = re.sub("(?m)^def .*", lambda line: re.sub(r"(?<!\.)\b(bool|float|int)\b", r"builtins.\1", line[0]), text)
    lines = [_MADE, *sorted(needed | made.imports), ""]
    if space == "tapenet":
        listed = [f'    "{name}",' for name in sorted(homes(space))]  # line by line, so that branches merge
        lines += ["__version__: str", "__array_api_version__: str", "__all__ = [", *listed, "]", ""]
    return "\n".join([*lines, text]).rstrip("\n") + "\n"


class _Stub:
    """A stub as it is made: the lines that import names, the definitions of the others, and where types in these are from."""

    def __init__(self, space: str) -> None:
        self.space = space
        self.imports: set[str] = set()
        self.definitions: list[str] = []
        self.found: dict[str, str] = {}
        functional = homes("tapenet.nn.functional") if space == "tapenet" else {}
        module = importlib.import_module(space)
        for name, home in sorted(homes(space).items()):
            value = getattr(module, name)
            if functional.get(name) == home:
                home = "tapenet.nn.functional"
            if isinstance(value, (Op, Derived)) and home != "tapenet.nn.functional":
                self.definitions += self._definition(name, value)
            else:
                self.imports.add(f"from {home} import {name} as {name}")

    def _definition(self, name: str, function: Function) -> Iterator[str]:
        formula = function.forward if isinstance(function, Op) else function.function
        parameters = list(_parameters(function, formula))
        for p in parameters:
            self._find(formula, p.annotation)
        summary = " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())
        escaped = summary.replace("\\", "\\\\")
        results = _results(function, parameters)
        theirs = _as_in_torch(name, parameters) if self.space == "tapenet.nn.functional" else parameters
        spellings = [parameters] if theirs == parameters else [parameters, theirs]
        for (flags, result), spelt in itertools.product(results, spellings):
            kept = [_set(p, flags[p.name]) if p.name in flags else p for p in spelt]
            if isinstance(result, type):  # a NamedTuple
                yield "\n    ".join(
                    [f"class _{result.__name__}(NamedTuple):", *(f"{f}: Tensor" for f in result._fields)]
                )  # type: ignore[attr-defined]
                result = f"_{result.__name__}"
            decorator = "@overload\n" if len(results) * len(spellings) > 1 else ""
            yield f'{decorator}def {name}({_text(kept)}) -> {result}:\n    """{escaped}"""'

    def _find(self, formula: Any, annotation: str) -> None:
        """Note from where the names in an annotation are."""
        for name in _names(annotation):
            if name not in _KNOWN and name not in dir(builtins):
                self.found[name] = f"from {_defining(inspect.getmodule(formula).__name__, name)} import {name}"  # type: ignore[union-attr]


def _set(p: inspect.Parameter, value: bool) -> inspect.Parameter:
    """A parameter that has one value; required if that is not the default."""
    if value is bool(p.default):
        return p.replace(annotation=f"Literal[{value}]")
    return p.replace(annotation=f"Literal[{value}]", default=_EMPTY, kind=p.KEYWORD_ONLY)


def _as_in_torch(name: str, parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    """The parameters of an op under PyTorch's names, and with the options that PyTorch has beside."""
    names = tuple(p.name for p in parameters)
    found: dict[str | None, str] = {}
    for theirs in ("input", *EVERYWHERE):
        if theirs not in names:
            found.setdefault(our_name(name, theirs, names), theirs)
    spelt = [p.replace(name=found.get(p.name, p.name)) for p in parameters]
    further = {"inplace": ("bool", False), "dtype": ("DTypeLike | None", None)}
    made = [
        inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=usual, annotation=annotation)
        for option, (annotation, usual) in further.items()
        if name in DONE[option] and option not in names
    ]
    end = len(spelt) - any(p.kind is p.VAR_KEYWORD for p in spelt)
    return [*spelt[:end], *made, *spelt[end:]]


def _names(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w.\"'])[A-Za-z_]\w*", text))


@functools.cache
def _defining(module: str, name: str) -> str:
    """The module from which another one has a type."""
    source = inspect.getsource(importlib.import_module(module))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and name in [a.name for a in node.names]:
            return str(node.module)
    return module


def _parameters(function: Function, formula: Any) -> Iterator[inspect.Parameter]:
    """The parameters of an op as its callers see them."""
    inputs = set(function.inputs) if isinstance(function, Op) else set()
    if isinstance(formula, np.ufunc):
        own = [inspect.Parameter(a.name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for a in function.arguments]  # type: ignore[union-attr]
    else:
        own = list(inspect.signature(formula).parameters.values())
    options = further(function, [p.name for p in own])
    for p in own:
        if p.kind is p.VAR_KEYWORD:
            options = [p]
        else:
            yield p.replace(annotation=_annotation(p, p.name in inputs))
    of_ufunc = isinstance(getattr(function, "more", None), np.ufunc)
    for p in options:
        if p.kind is p.VAR_KEYWORD:
            yield p.replace(annotation="Unpack[UfuncOptions]" if of_ufunc else "Any")
        else:
            p = p.replace(default=False) if p.default is None and _FLAG.fullmatch(p.name) else p
            yield p.replace(annotation=_annotation(p, False))


def _annotation(p: inspect.Parameter, is_input: bool) -> str:
    said = "Any" if p.annotation is _EMPTY else str(p.annotation)
    if is_input or (said == "Any" and p.default is _EMPTY):
        said = "ArrayLike | None" if p.default is None else "ArrayLike"
    elif said == "Any":
        kind = type(p.default).__name__
        said = _BY_NAME.get(p.name) or (kind if kind in ("bool", "float", "str") else "Any")  # 0 may stand for (0, 0)
    if p.default is None and not re.search(r"\b(None|Any|Axis)\b", said):
        said += " | None"
    return re.sub(r"\b(Sequence|list)\[Any\]", r"\1[ArrayLike]", re.sub(r"\bArray\b", "ArrayLike", said))


def _text(parameters: list[inspect.Parameter]) -> str:
    """Parameters as they are written."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    ordered = sorted(parameters, key=lambda p: (p.kind, 0))
    if any(p.kind is keyword and p.default is _EMPTY for p in ordered):
        first = next(i for i, p in enumerate(parameters) if p.kind is keyword)
        ordered = [p if i < first or p.kind > keyword else p.replace(kind=keyword) for i, p in enumerate(parameters)]
        ordered = sorted(ordered, key=lambda p: p.kind)
    words: list[str] = []
    for p in ordered:
        if p.kind is keyword and "*" not in words and not any(w.startswith("*") for w in words):
            words.append("*")
        stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        simple = p.default is None or isinstance(p.default, (bool, int, float, str))
        value = "" if p.default is _EMPTY else f" = {p.default!r}" if simple else " = ..."
        words.append(f"{stars}{p.name}: {p.annotation}{value}")
    return ", ".join(words)


def _results(function: Function, parameters: list[inspect.Parameter]) -> list[tuple[dict[str, bool], Any]]:
    """What calls return on tensors: that of the samples of the op, or by the flags that ask for more results."""
    flags = {p.name: bool(p.default) for p in parameters if _FLAG.fullmatch(p.name)}
    if isinstance(function, Op) and function.outputs == 1 and not flags:
        return [({}, "Tensor")]
    samples = list(function.samples(np.random.default_rng(0))) if function.samples else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not flags:
            return [({}, _one({_kind(function(*map(_tensors, s.args), **s.kwargs)) for s in samples}))]
        names = [p.name for p in parameters]
        given = dict(zip(names, map(_tensors, samples[0].args), strict=False)) | samples[0].kwargs
        found: list[tuple[dict[str, bool], Any]] = []
        for values in itertools.product((False, True), repeat=len(flags)):
            asked = {name: usual is not more for (name, usual), more in zip(flags.items(), values, strict=True)}
            found.append((asked, _kind(function(**given | asked))))
    if len({kind for _, kind in found}) == 1:  # its flags say something else
        return [({}, found[0][1])]
    return [*found, ({}, "Any")]  # of a flag that is a variable


def _tensors(argument: Any) -> Any:
    return tree_map(lambda a: Tensor._of(a) if isinstance(a, np.ndarray) else a, argument)


def _kind(value: Any) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)
    if isinstance(value, list):
        return "list[Tensor]"
    if isinstance(value, tuple):
        return f"tuple[{', '.join(['Tensor'] * len(value))}]"
    return "None" if value is None else "Tensor"


def _one(kinds: set[Any]) -> Any:
    """One type for several; Any where tensors and tuples of them cannot be told apart by a flag."""
    if len(kinds) == 1:
        return kinds.pop()
    return "tuple[Tensor, ...]" if all(str(kind).startswith("tuple") for kind in kinds) else "Any"


if __name__ == "__main__":
    for each in SPACES:
        path(each).write_text(stub(each), encoding="utf-8")
