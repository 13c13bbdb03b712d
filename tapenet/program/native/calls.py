"""Instructions that run in Python, between native segments: the lines that run them, on views of the program's memory.

Views are made once where the memory stays where it is: a view costs as much as a small NumPy function. What an op of the
user's gives, or an op of little, brings its own memory: native code reads it there, and where it is a result of the program it
is given as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import cast

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tapenet import kernels
from tapenet.llvm.addresses import address
from tapenet.program.called_ops import expression, is_users, settling
from tapenet.program.ir import Constant, Instruction, Program, Reference, Value
from tapenet.program.layout import Place, unusual_order
from tapenet.program.native.callbacks import stored
from tapenet.program.native.lines import Line
from tapenet.program.native.memory import Arena, Slot, brings
from tapenet.program.native.module import Module
from tapenet.program.native.scratch import Scratch
from tapenet.program.primitives import BODIES, PRIMITIVES, repeats, turns
from tapenet.typing import Array, Shape

#: A body of a loop or branch as a function of arrays.
Body = Callable[..., Sequence[Array]]


class Calls:
    """The calls of Python in one program."""

    def __init__(
        self, module: Module, scratch: Scratch, table: Array, arrays: Mapping[Value, Array], space: dict[str, object],
        made: Callable[[Program], Body],
    ) -> None:  # fmt: skip
        """Make ready.

        Args:
            module: the program's native form.
            scratch: the memory of what it computes on the way.
            table: the pointers to its other memory.
            arrays: the arrays of constants, of numbers from the host, and those of references, which may change.
            space: gets what the lines name.
            made: makes a body of a loop or branch callable.
        """
        self._module = module
        self._scratch = scratch
        self._table = table
        self._arrays = arrays
        self._space = space
        self._made = made
        program = module.program
        #: What arrays are called that differ from call to call.
        self.names: dict[Value, str] = {v: f"x{i}" for i, v in enumerate(program.inputs)}
        self.names |= {v: f"y{i}" for i, v in enumerate(program.outputs)}
        self.names |= {v: f"b{i}" for i, v in enumerate(module.memory.brought) if v not in self.names}
        #: Whether something is computed in memory that calls share.
        self.shares = False
        #: Whether NumPy's warnings are to be off. The user's ops warn by themselves where they are all there is, as in eager.
        self.quiet = False

    def lines(self, instruction: Instruction, takes: Mapping[Value, str]) -> list[Line]:
        """What runs an instruction.

        Args:
            instruction: one that is not native.
            takes: the functions that check what is brought, and put its pointer into the table.
        """
        brought = brings(instruction)
        lines = self._brought(instruction, brought, takes) if brought else self._placed(instruction)
        return [Line(text, instruction) for text in lines]

    def _brought(self, instruction: Instruction, brought: Sequence[Value], takes: Mapping[Value, str]) -> list[str]:
        """An op whose results are where it puts them."""
        params, op = instruction.params, instruction.params["op"]
        self.quiet |= not is_users(op)
        names = [self._name(a) for a in instruction.args]
        if op.effect:
            names = self._copied(instruction, names)
        text = expression(op, params["template"], names, self._space)
        settled = settling(op, params["specs"], bool(params.get("sized")), instruction.line)
        into = [self.names[r] if r in brought else "_" for r in instruction.results]
        if len(into) == 1:
            lines = [f"{into[0]} = {text}"]
        else:
            lines = [f"{', '.join(into)} = {self._shared(settled)}({text})"]
        for value in brought:
            name = self.names[value]
            take = takes.get(value)
            moved = self._shared(self._moving(value, settled if len(into) == 1 else np.asarray, take))
            refused = "True" if take is None else f"{take}({name}) is not None"
            lines.append(f"if {refused}: {name} = {moved}({name})")
        return lines

    def _moving(self, value: Value, settled: Callable[[object], object], take: str | None) -> Callable[[object], Array]:
        """A function that moves what an op gave, which somebody else may have too, to where native code reads it: into new
        memory, whose pointer is in the table then."""
        shape, dtype = value.shape, value.dtype
        order = unusual_order(shape, self._module.layouts[value].strides)
        small = order is None and value.nbytes < kernels.SMALL
        buffer = self._module.memory.buffer(value)
        assert isinstance(buffer, Slot)
        taken = (lambda array: True) if take is None else cast("Callable[[Array], object]", self._space[take])

        def moved(given: object) -> Array:
            array = settled(given)
            made = np.array(array, order="C") if small else kernels.aligned(shape, dtype, order)
            if not small:
                made[...] = array
            if taken(made) is not None:
                self._table[buffer.position] = address(made)
            return made

        return moved

    def _placed(self, instruction: Instruction) -> list[str]:
        """What is computed where the program wants it: by an op of tapenet's own, a primitive, a loop in Python."""
        self.shares = self.quiet = True
        params, op = instruction.params, instruction.params.get("op")
        names = [self._name(a) for a in instruction.args]
        effect = op is not None and op.effect
        if effect:
            names = self._copied(instruction, names)
        control = instruction.name in BODIES
        if op is not None:
            settled = settling(op, params["specs"], bool(params.get("sized")), instruction.line)
            text = f"{self._shared(settled)}({expression(op, params['template'], names, self._space)})"
        else:
            evaluate = (
                self._control(instruction) if control else partial(PRIMITIVES[instruction.name].evaluate, **params)
            )
            text = f"{self._shared(evaluate)}({', '.join(names)})"
        wanted = params.get("specs") or instruction.results  # None for what nobody uses
        needed = self._module.memory.stored
        kept = [
            (i, result)
            for i, (result, spec) in enumerate(zip(instruction.results, wanted, strict=True))
            if spec is not None and result in needed
        ]
        # What an op raises in the midst must not leave marks on tensors; one with an effect may keep what it makes. What a
        # loop gives may lie where its first carry does, which ops in its body read.
        given = {*self._module.program.inputs, *self._module.program.outputs}
        roots = [self._module.layouts[result].root for _, result in kept]
        own = [
            not effect and not control and (r in given or isinstance(self._module.memory.buffer(r), Arena))
            for r in roots
        ]
        places = "".join(f"{self._name(result)}, " for _, result in kept)
        stored_in = self._shared(partial(stored, [i for i, _ in kept], own))
        return [f"{stored_in}(({places}), lambda: {text})"]

    def _copied(self, instruction: Instruction, names: Sequence[str]) -> list[str]:
        """The arguments of an op with an effect: it may keep what it is given; into a tensor it may write."""
        kept = [isinstance(self._module.layouts[a].root, Reference) for a in instruction.args]
        return [n if k else f"{n}.copy()" for n, k in zip(names, kept, strict=True)]

    def _control(self, instruction: Instruction) -> Callable[..., object]:
        """A loop or branch whose bodies call Python."""
        params = instruction.params
        if instruction.name == "loop":
            return turns(self._made(params["body"]), params)
        if instruction.name == "while":
            return repeats(self._made(params["test"]), self._made(params["body"]), params)
        true, false = self._made(params["true"]), self._made(params["false"])
        return lambda condition, *given: tuple((true if condition else false)(*given))

    # -- arrays --------------------------------------------------------------------------------------------------

    def _shared(self, thing: object) -> str:
        name = f"g{len(self._space)}"
        self._space[name] = thing
        return name

    def _name(self, value: Value) -> str:
        """The Python that gives the array of a value."""
        place = self._module.layouts[value]
        root, shape = place.root, value.shape
        if root in self.names:
            name = self.names[root]
            if value is root or (place == Place(root, 0, self._module.layouts[root].strides) and shape == root.shape):
                return name
            return f"{self._shared(partial(_view, place=place, shape=shape))}({name})"
        if isinstance(root, Constant) and root.size == 1:
            return self._shared(np.broadcast_to(root.array.reshape(()), shape))
        base = root
        first: int | None = None
        if root not in self._arrays:
            buffer = self._module.memory.buffer(root)
            if isinstance(buffer, Arena):
                self.shares = True
                first = buffer.offset
            else:
                base = self._module.memory.owner(buffer)  # the tensor that it is written to
        held: list[Array] = []

        def read() -> Array:
            array = self._arrays[base] if first is None else self._scratch.bytes
            if not held or array is not held[0]:  # both may be another array at the next call
                whole = array if first is None else array[first : first + root.nbytes].view(root.dtype)
                held[:] = array, _view(whole, place, shape)
            return held[1]

        if first is not None and not self._scratch.shared:
            return self._shared(read())
        return f"{self._shared(read)}()"


def _view(base: Array, place: Place, shape: Shape) -> Array:
    """A view of dense memory, in which a place's offset and strides lead to elements of `base` only: it was made from
    the layout of that."""
    steps = tuple(s * base.itemsize for s in place.strides)
    if place.offset == 0 and base.shape == shape and base.strides == steps:
        return base
    if 0 in shape:
        return np.empty(shape, base.dtype)
    if base.flags.forc:
        whole = base if base.flags.c_contiguous else base.T
        found: Array = np.ndarray(shape, base.dtype, whole, place.offset * base.itemsize, steps)
        return found
    flat = as_strided(base, (1,), (base.itemsize,))
    at: Array = as_strided(flat, (place.offset + 1,), (base.itemsize,))[place.offset :]
    return as_strided(at, shape, steps)
