"""Lines of LLVM IR, written as formulas.

An `Emitter` collects the instructions of one function body. A `Value` is a register (or literal) in it with Python's
operators: `x * y + 1` emits a multiplication and an addition, and is the register of the sum.

Booleans are `i1` in registers and one byte, 0 or 1, in memory, as NumPy keeps them: `load` and `store` convert.
Signed and unsigned integers have the same LLVM type; which is meant is a matter of the instruction.
"""

from __future__ import annotations

import struct
import sys
from typing import TypeAlias

import numpy as np

from tapenet.typing import DType

#: What may stand as an operand beside a Value: it becomes a literal of that Value's type.
Number: TypeAlias = "float | int | bool"

#: Registers, by NumPy's character for the dtype. No float16, complex or long double.
_TYPES = {"?": "i1", "f": "float", "d": "double"}
#: The integer type as wide as a float type, and the suffix of overloaded names.
INTEGER = {"float": "i32", "double": "i64"}
SUFFIX = {"float": "f32", "double": "f64"}


def element(type: str) -> str:
    """The type of a vector's lanes; a scalar's own."""
    return type[1:-1].split(" x ")[1] if type[0] == "<" else type


def lanes_of(type: str) -> int:
    """How many lanes a vector type has; 0 for a scalar."""
    return int(type[1:].split(" ")[0]) if type[0] == "<" else 0


def like_type(type: str, other: str) -> str:
    """The scalar type `other` with as many lanes as `type` has."""
    return f"<{lanes_of(type)} x {other}>" if type[0] == "<" else other


def suffix(type: str) -> str:
    """The suffix of names of functions of a float type or of vectors of it."""
    return (f"v{lanes_of(type)}" if type[0] == "<" else "") + SUFFIX[element(type)]


def splat(text: str, type: str, lanes: int) -> str:
    """A vector constant with one literal in all lanes."""
    return "<" + ", ".join([f"{type} {text}"] * lanes) + ">"


def supported(dtype: DType) -> bool:
    """Whether values of this dtype can be held: booleans, integers, float32 and float64, in native byte order."""
    return dtype.isnative and (dtype.char in _TYPES or dtype.kind in "iu")


def held(dtype: DType) -> bool:
    """Whether values of this dtype can be moved: those that are supported, and complex numbers, as so many bits."""
    return supported(dtype) or (dtype.isnative and dtype.char in "FD")


def llvm_type(dtype: DType, memory: bool = False) -> str:
    """The LLVM type of a register of this dtype, or of its place in memory: they differ for booleans."""
    if dtype.kind in "iuc" or (memory and dtype.kind == "b"):
        return f"i{8 * dtype.itemsize}"
    return _TYPES[dtype.char]


def literal(value: Number, dtype: DType) -> str:
    """A literal of exactly this value, rounded to the dtype first.

    LLVM writes a float as the bits of the double of the same value; that is exact for float32 too, infinities, nan and
    denormals included.
    """
    if dtype.kind == "b":
        return "true" if value else "false"
    if dtype.kind in "iu":
        return str(int(np.asarray(value).astype(dtype)))
    if dtype.kind == "c":
        return str(int.from_bytes(np.asarray(value).astype(dtype).tobytes(), sys.byteorder))
    with np.errstate(over="ignore", under="ignore"):
        rounded = float(np.asarray(value).astype(dtype))
    return f"0x{struct.unpack('<Q', struct.pack('<d', rounded))[0]:016X}"


class Emitter:
    """The instructions of one function body.

    Attributes:
        lines: the instructions so far.
        needs: the functions they call, but for LLVM's own; for `scalar.definitions`.
        flags: fast-math flags of arithmetic. `contract` lets a product and a sum become one fused instruction.
        numbers: the registers that are known to hold numbers, and not nan.
    """

    __slots__ = ("_count", "flags", "lines", "needs", "numbers")

    def __init__(self, flags: str = "contract") -> None:
        self.lines: list[str] = []
        self.needs: set[str] = set()
        self.numbers: set[str] = set()
        self.flags = flags
        self._count = 0

    def fresh(self) -> str:
        """A register name not used before."""
        self._count += 1
        return f"%t{self._count}"

    def line(self, text: str) -> None:
        """Add a line."""
        self.lines.append(text)

    def emit(self, instruction: str) -> str:
        """Add an instruction with a result, and give the register that holds it."""
        register = self.fresh()
        self.lines.append(f"  {register} = {instruction}")
        return register

    def call(self, symbol: str, *operands: Value) -> Value:
        """Call a function whose result has the type of its operands, one that `scalar.definitions` or LLVM knows."""
        type = operands[0].type
        arguments = ", ".join(f"{type} {o.name}" for o in operands)
        if not symbol.startswith("llvm."):
            self.needs.add(symbol)
        return Value(self, self.emit(f"call {type} @{symbol}({arguments})"), type)


def load(e: Emitter, pointer: str, dtype: DType, suffix: str = "") -> str:
    """Read a value into a register. `suffix` goes behind the instruction: alignment, metadata."""
    register = e.emit(f"load {llvm_type(dtype, memory=True)}, ptr {pointer}{_aligned(dtype)}{suffix}")
    return e.emit(f"icmp ne i8 {register}, 0") if dtype.kind == "b" else register


def store(e: Emitter, register: str, pointer: str, dtype: DType, suffix: str = "") -> None:
    """Write a register (or literal) to memory."""
    if dtype.kind == "b":
        register = e.emit(f"zext i1 {register} to i8")
    e.line(f"  store {llvm_type(dtype, memory=True)} {register}, ptr {pointer}{_aligned(dtype)}{suffix}")


def _aligned(dtype: DType) -> str:
    """What is said of where a number lies: a complex one as its parts do."""
    return f", align {dtype.itemsize // 2}" if dtype.kind == "c" else ""


class Value:
    """A register or literal with Python's operators, of a scalar LLVM type or a vector's.

    Integer division is left out and `>>` keeps the sign; `<`, `<=`, `>`, `>=` of integers are signed. Comparisons with
    nan are false, but for `ne`.
    """

    __slots__ = ("e", "name", "type")

    def __init__(self, e: Emitter, name: str, type: str) -> None:
        self.e = e
        self.name = name
        self.type = type

    @property
    def lanes(self) -> int:
        """How many numbers a vector has; 0 of a single one."""
        return lanes_of(self.type)

    @property
    def is_float(self) -> bool:
        """Whether it is a float or a double."""
        return element(self.type) in SUFFIX

    def like(self, other: Value | Number) -> Value:
        """The other operand: a number becomes a literal of this Value's type."""
        if isinstance(other, Value):
            return other
        t = element(self.type)
        text = literal(other, np.dtype("f" if t == "float" else "d")) if self.is_float else str(other).lower()
        return Value(self.e, splat(text, t, self.lanes) if self.lanes else text, self.type)

    def op(self, instruction: str, *operands: Value | Number, result: str = "") -> Value:
        """An instruction on operands of this type, or on this value if there are none."""
        names = ", ".join(self.like(o).name for o in operands or (self,))
        return Value(self.e, self.e.emit(f"{instruction} {self.type} {names}"), result or self.type)

    def _arithmetic(self, name: str, a: Value | Number, b: Value | Number) -> Value:
        return self.op(f"f{name} {self.e.flags}" if self.is_float else name, a, b)

    def __add__(self, other: Value | Number) -> Value:
        return self._arithmetic("add", self, other)

    def __sub__(self, other: Value | Number) -> Value:
        return self._arithmetic("sub", self, other)

    def __rsub__(self, other: Number) -> Value:
        return self._arithmetic("sub", other, self)

    def __mul__(self, other: Value | Number) -> Value:
        return self._arithmetic("mul", self, other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __truediv__(self, other: Value | Number) -> Value:
        return self.op("fdiv", self, other)

    def __rtruediv__(self, other: Number) -> Value:
        return self.op("fdiv", other, self)

    def __neg__(self) -> Value:
        return self.op("fneg", self) if self.is_float else self.op("sub", 0, self)

    def __and__(self, other: Value | Number) -> Value:
        return self.op("and", self, other)

    def __or__(self, other: Value | Number) -> Value:
        return self.op("or", self, other)

    def __xor__(self, other: Value | Number) -> Value:
        return self.op("xor", self, other)

    def __invert__(self) -> Value:
        return self.op("xor", self, True if element(self.type) == "i1" else -1)

    def __lshift__(self, other: Value | Number) -> Value:
        return self.op("shl", self, other)

    def __rshift__(self, other: Value | Number) -> Value:
        return self.op("ashr", self, other)

    def compare(self, predicate: str, other: Value | Number) -> Value:
        """`fcmp` or `icmp` with this predicate."""
        result = like_type(self.type, "i1")
        return self.op(f"{'fcmp' if self.is_float else 'icmp'} {predicate}", self, other, result=result)

    def __lt__(self, other: Value | Number) -> Value:
        return self.compare("olt" if self.is_float else "slt", other)

    def __le__(self, other: Value | Number) -> Value:
        return self.compare("ole" if self.is_float else "sle", other)

    def __gt__(self, other: Value | Number) -> Value:
        return self.compare("ogt" if self.is_float else "sgt", other)

    def __ge__(self, other: Value | Number) -> Value:
        return self.compare("oge" if self.is_float else "sge", other)

    def eq(self, other: Value | Number) -> Value:
        """Whether they are equal."""
        return self.compare("oeq" if self.is_float else "eq", other)

    def ne(self, other: Value | Number) -> Value:
        """Whether they differ; nan differs from everything."""
        return self.compare("une" if self.is_float else "ne", other)

    def is_nan(self) -> Value:
        """Whether it is not a number."""
        return self.compare("uno", 0.0)

    def where(self, yes: Value, no: Value | Number) -> Value:
        """`yes` where this boolean is true, else `no`. Both are computed: there are no branches."""
        other = yes.like(no)
        register = self.e.emit(f"select {self.type} {self.name}, {yes.type} {yes.name}, {yes.type} {other.name}")
        return Value(self.e, register, yes.type)

    def convert(self, instruction: str, type: str) -> Value:
        """A conversion: `fpext`, `bitcast`, `sitofp` and the like."""
        return Value(self.e, self.e.emit(f"{instruction} {self.type} {self.name} to {type}"), type)

    def bits(self) -> Value:
        """The bits of a float as an integer of the same width."""
        return self.convert("bitcast", like_type(self.type, INTEGER[element(self.type)]))

    def intrinsic(self, name: str, *more: Value | Number) -> Value:
        """A function that LLVM has for every float type: `fabs`, `sqrt`, `floor`, `copysign` ..."""
        return self.e.call(f"llvm.{name}.{suffix(self.type)}", self, *(self.like(o) for o in more))

    def __abs__(self) -> Value:
        return self.intrinsic("fabs")

    def copysign(self, sign: Value) -> Value:
        """This magnitude with the other's sign."""
        return self.intrinsic("copysign", sign)

    def at_most(self, limit: Value | Number) -> Value:
        """The smaller of the two; nan stays nan, which the order of the operands sees to."""
        bound = self.like(limit)
        return (bound < self).where(bound, self)

    def at_least(self, limit: Value | Number) -> Value:
        """The larger of the two; nan stays nan."""
        bound = self.like(limit)
        return (bound > self).where(bound, self)
