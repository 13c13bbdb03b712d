"""The native backend: a program as machine code, made with LLVM through llvmlite."""

from tapenet.program.native.runner import Runner, build

__all__ = ["Runner", "build"]
