"""What the C functions that programs call take and give, as users write it and as ctypes, cffi, Numba and Cython say it."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

#: NumPy's character for each type of C that is no dtype's name already.
_C_TYPES = {
    "_Bool": "?", "boolean": "?", "char": "b", "byte": "b", "short": "h", "int": "i", "long": "l", "long long": "q",
    "unsigned": "I", "unsigned char": "B", "unsigned short": "H", "unsigned int": "I", "unsigned long": "L",
    "unsigned long long": "Q", "float": "f", "double": "d", "size_t": "N", "ssize_t": "n", "Py_ssize_t": "n",
    "ptrdiff_t": "n", "intptr_t": "n", "uintptr_t": "N", "float complex": "F", "double complex": "D",
    "__pyx_t_float_complex": "F", "__pyx_t_double_complex": "D",
}  # fmt: skip
#: What one element may be: arrays may be complex too.
ELEMENTS = frozenset("?bhilqBHILQfd")
ARRAYS = ELEMENTS | frozenset("FD")
_WORDS = "float64, float32, int8 to int64, uint8 to uint64 and bool, or C's names of these"


class Part(NamedTuple):
    """An argument or a result: its dtype, and the names of its sizes; None where it is a number and no array. Where the
    dtype is left to the function's own declaration it is None."""

    dtype: np.dtype | None
    sizes: tuple[str, ...] | None


class Signature(NamedTuple):
    """What a function takes and gives.

    Attributes:
        inputs, outputs: in the order of its arguments; of a function of numbers the output is what it returns.
    """

    inputs: tuple[Part, ...]
    outputs: tuple[Part, ...]

    @property
    def sizes(self) -> tuple[str, ...]:
        """The names of all sizes, as they come first."""
        return tuple(dict.fromkeys(n for part in (*self.inputs, *self.outputs) for n in part.sizes or ()))

    @property
    def of_arrays(self) -> bool:
        """Whether it takes pointers to arrays, and sizes."""
        return self.outputs[0].sizes is not None

    @property
    def dtypes(self) -> tuple[np.dtype, ...]:
        """Those of inputs and outputs."""
        return tuple(part.dtype for part in (*self.inputs, *self.outputs) if part.dtype is not None)

    @property
    def core(self) -> str:
        """The signature of a generalised ufunc: "(m,n),(n)->(m)"."""
        inputs, outputs = (",".join(f"({','.join(p.sizes or ())})" for p in ps) for ps in (self.inputs, self.outputs))
        return f"{inputs}->{outputs}"

    def __str__(self) -> str:
        def text(part: Part) -> str:
            return f"{part.dtype or ''}" + ("" if part.sizes is None else f"({', '.join(part.sizes)})")

        if not self.of_arrays:
            return f"{text(self.outputs[0])}({', '.join(map(text, self.inputs))})"
        return " -> ".join(", ".join(map(text, parts)) for parts in (self.inputs, self.outputs))


class Declared(NamedTuple):
    """What is known of a function by its declaration.

    Attributes:
        result: the type that it returns, None for void.
        arguments: of each the type; and whether it is a pointer to that (to anything where the type is None).
    """

    result: np.dtype | None
    arguments: tuple[tuple[np.dtype | None, bool], ...]

    def __str__(self) -> str:
        words = (f"{'void' if d is None else d}{' *' if pointer else ''}" for d, pointer in self.arguments)
        return f"{'void' if self.result is None else self.result}({', '.join(words)})"


def type_named(text: str) -> np.dtype:
    """The dtype of a name: NumPy's, or C's type of this machine.

    Raises:
        TypeError: it is neither.
    """
    name = " ".join(re.sub(r"\b(const|signed)\b", " ", text).split())
    if name in _C_TYPES:
        return np.dtype(_C_TYPES[name])
    if re.fullmatch(r"(bool|u?int(8|16|32|64)(_t)?|float(32|64)|complex(64|128))", name):
        return np.dtype(name.removesuffix("_t"))
    raise TypeError(f"{text.strip()!r} is no type that a native function may have; those are {_WORDS}")


def parsed(text: str) -> Signature:
    """A signature as users write it: "float64(float64, int32)" of a function of numbers, "float64(m,n), float64(n) ->
    float64(m)" of one of arrays, "(m,n),(n)->(m)" where the function's own declaration says the dtypes.

    Raises:
        TypeError: it is neither.
    """
    if "->" in text:
        before, _, after = text.partition("->")
        found = Signature(_parts(before, text), _parts(after, text))
        free = set(found.sizes) - {n for part in found.inputs for n in part.sizes or ()}
        if free:
            raise TypeError(
                f"the size {sorted(free)[0]!r} of a result is that of no argument in {text!r}: how many numbers there are "
                "has to be known from the arguments"
            )
        return found
    match = re.fullmatch(r"\s*([\w ]+?)\s*\(([^()]*)\)\s*", text)
    if match is None:
        raise TypeError(
            f"{text!r} is no signature; write 'float64(float64, float64)' for a function of numbers, or "
            "'float64(m,n), float64(n) -> float64(m)' for one of arrays"
        )
    result, arguments = match.groups()
    names = [a for a in arguments.split(",") if a.strip() not in ("", "void")]
    return of_numbers(Declared(type_named(result), tuple((type_named(a), False) for a in names)))


def of_numbers(declared: Declared) -> Signature:
    """The signature of a function of numbers.

    Raises:
        TypeError: it takes or gives what is no number, or takes nothing.
    """
    given = [dtype for dtype, pointer in declared.arguments if not pointer]
    if len(given) < len(declared.arguments) or declared.result is None:
        raise TypeError(
            f"it is declared as {declared}, which takes pointers or returns nothing: say which arrays it takes, as "
            "'float64(m,n), float64(n) -> float64(m)'"
        )
    for dtype in (*given, declared.result):
        if dtype is None or dtype.char not in ELEMENTS:
            raise TypeError(
                f"{dtype} is passed and returned differently from compiler to compiler; numbers are {_WORDS}"
            )
    if not given:
        raise TypeError("a function without arguments gives no elements; take the number that it returns")
    return Signature(tuple(Part(d, None) for d in given), (Part(declared.result, None),))


def _parts(text: str, whole: str) -> tuple[Part, ...]:
    found = []
    rest = text.strip()
    while rest:
        match = re.match(r"([\w ]*?)\s*\(([\w\s,]*)\)\s*(,\s*|$)", rest)
        if match is None:
            raise TypeError(f"{whole!r} is no signature of arrays; write 'float64(m,n), float64(n) -> float64(m)'")
        name, sizes, _ = match.groups()
        dtype = type_named(name) if name.strip() else None
        if dtype is not None and dtype.char not in ARRAYS:
            raise TypeError(f"an array of {dtype} in {whole!r}; its numbers are {_WORDS}, complex64 and complex128")
        names = tuple(s.strip() for s in sizes.split(",") if s.strip())
        if any(not n.isidentifier() for n in names):
            raise TypeError(
                f"sizes have names in {whole!r}, as in 'float64(m,n)': a fixed one is checked by the function"
            )
        found.append(Part(dtype, names))
        rest = rest[match.end() :]
    if not found:
        raise TypeError(f"{whole!r} has nothing on one side of the arrow")
    return tuple(found)


def completed(signature: Signature, declared: Declared | None) -> Signature:
    """A signature with the dtypes that its function's declaration says.

    Raises:
        TypeError: the two do not fit, or neither says a dtype.
    """
    if declared is None:
        if not all(part.dtype for part in (*signature.inputs, *signature.outputs)):
            raise TypeError(
                f"{signature} does not say the dtypes, and nor does the function: write them in front of the sizes, "
                "'float64(m,n), float64(n) -> float64(m)'"
            )
        return signature
    if not signature.of_arrays:
        if Declared(signature.outputs[0].dtype, tuple((p.dtype, False) for p in signature.inputs)) != declared:
            raise TypeError(f"the signature is {signature}, and the function is declared as {declared}")
        return signature
    parts = [*signature.inputs, *signature.outputs]
    pointers, rest = declared.arguments[: len(parts)], declared.arguments[len(parts) :]
    whole = len(pointers) == len(parts) and all(pointer for _, pointer in pointers) and declared.result is None
    wide = [d is not None and not p and d.kind in "iu" and d.itemsize == 8 for d, p in rest]
    if not whole or len(wide) != len(signature.sizes) or not all(wide):
        raise TypeError(f"{signature} is a function that is declared as {prototype(signature)}; this one is {declared}")
    made = []
    for part, (dtype, _) in zip(parts, pointers, strict=True):
        if part.dtype is not None and dtype is not None and part.dtype != dtype:
            raise TypeError(f"{signature} has {part.dtype} where the function is declared as {declared}")
        made.append(part._replace(dtype=part.dtype or dtype))
    count = len(signature.inputs)
    return completed(Signature(tuple(made[:count]), tuple(made[count:])), None)


def prototype(signature: Signature) -> str:
    """How C declares a function of arrays: pointers to the inputs, to the outputs, then the sizes."""
    names = [f"const {p.dtype or 'T'} *" for p in signature.inputs] + [f"{p.dtype or 'T'} *" for p in signature.outputs]
    return f"void f({', '.join([*names, *(f'int64 {n}' for n in signature.sizes)])})"


# -- declarations ------------------------------------------------------------------------------------------------


def of_ctypes(result: object, arguments: Sequence[object]) -> Declared:
    """That of a ctypes function, by its `restype` and `argtypes`."""
    pairs = []
    for given in arguments:
        inner = getattr(given, "_dtype_", None)  # of np.ctypeslib.ndpointer
        if inner is not None:
            pairs.append((np.dtype(inner), True))
        elif given is ctypes.c_void_p or hasattr(given, "contents"):
            pointed = getattr(given, "_type_", None)
            pairs.append((_ctype(pointed) if isinstance(pointed, type) else None, True))
        else:
            pairs.append((_ctype(given), False))
    return Declared(None if result is None else _ctype(result), tuple(pairs))


def _ctype(given: object) -> np.dtype:
    try:
        if isinstance(given, type) and issubclass(given, ctypes._SimpleCData):
            return np.dtype(given)
    except TypeError:
        pass
    raise TypeError(f"{given!r} is no type that a native function may have; those are {_WORDS}, and pointers to them")


def of_c(text: str) -> Declared:
    """That of a function whose type is "double(*)(double, int)", or "double (double, int)" as Cython writes it.

    Raises:
        TypeError: a type is not known.
    """
    head, _, tail = text.replace("(*)", "").partition("(")
    names = [a.strip() for a in tail.rpartition(")")[0].split(",")]
    if names and names[-1] == "int __pyx_skip_dispatch":  # of functions of a class alone; others do not look at it
        names.pop()
    arguments = [_c_argument(a) for a in names if a not in ("", "void")]
    return Declared(None if head.strip() == "void" else type_named(head), tuple(arguments))


def _c_argument(text: str) -> tuple[np.dtype | None, bool]:
    name, star, _ = text.partition("*")
    name = name.replace("const", "").strip()
    return (None if star and name == "void" else type_named(name)), bool(star)


def of_numba(signature: object) -> Declared:
    """That of a Numba function, by its signature of Numba's types."""
    arguments = []
    for given in getattr(signature, "args", ()):
        pointed = getattr(given, "dtype", None)
        name = str(given if pointed is None else pointed)
        arguments.append(
            (None if name in ("none", "void") else type_named(name), pointed is not None or name == "none")
        )
    result = str(getattr(signature, "return_type", "none"))
    return Declared(None if result == "none" else type_named(result), tuple(arguments))
