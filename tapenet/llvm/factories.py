"""Functions that write kernels. A kernel is found in the cache by the arguments that it is written for, without its text being
written: a U-Net's first call asks for 65 kernels, whose texts took a tenth of it."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from typing import ParamSpec, cast

from tapenet.llvm import toolchain
from tapenet.llvm.blas import find
from tapenet.llvm.processor import processor
from tapenet.llvm.sharing import Shared
from tapenet.llvm.sources import sources
from tapenet.llvm.tasks import Task
from tapenet.llvm.toolchain import Library, Piece

Given = ParamSpec("Given")
#: Whether kernels are looked for in the cache by what their factories are given. That does not tell what a test has put in
#: place of what a factory reads.
BY_ARGUMENTS = True


def factory(most: int | None) -> Callable[[Callable[Given, Shared]], Callable[Given, Shared]]:
    """Have the kernels that a function writes, so many at most, kept by its arguments, in this process and on disk. It reads
    nothing else but the processor that code is for and how BLAS is called, and its arguments are told whole by their `repr`."""

    def decorated(write: Callable[Given, Shared]) -> Callable[Given, Shared]:
        @functools.lru_cache(most)
        @functools.wraps(write)
        def found(*args: Given.args, **options: Given.kwargs) -> Shared:
            code = sources() if BY_ARGUMENTS else None
            if code is None:
                return write(*args, **options)
            blas = find()
            around = code, toolchain.target().key, processor(), blas and blas.integer
            told = *around, write.__module__, write.__qualname__, args, options
            name = f"{hashlib.sha256(repr(told).encode()).hexdigest()}.json"
            data = toolchain.cached(name)
            if data is None:
                made = write(*args, **options)
                form = made.form
                made.loaded = lambda library: toolchain.keep(name, json.dumps([*form, library.pieces]).encode())
                return made
            *form, pieces = json.loads(data)

            def loaded() -> Library:
                library = toolchain.load([Piece(*piece) for piece in pieces])
                return write(*args, **options).begun() if library is None else library

            return Shared(Task(loaded).result, *form)

        return cast(Callable[Given, Shared], found)

    return decorated
