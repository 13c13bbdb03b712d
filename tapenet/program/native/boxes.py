"""The code of a kernel that reads through what is joined: its loops once for each box of the domain (`joined`)."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from tapenet.llvm.code import Access, offset
from tapenet.llvm.emitter import load, store
from tapenet.llvm.loops import nest
from tapenet.llvm.reductions import Accumulator
from tapenet.program import joined
from tapenet.program.fusion import Kernel
from tapenet.program.ir import Instruction, Value
from tapenet.program.joined import Box, joins
from tapenet.program.layout import Layouts
from tapenet.program.native.functions import Function
from tapenet.program.native.kernels import KernelCode
from tapenet.typing import Shape

#: A value, and where an element of it is beside that of the domain.
Moved = tuple[Value, Shape]


class BoxCode(KernelCode):
    """The work of writing one such kernel."""

    def __init__(
        self,
        kernel: Kernel,
        layouts: Layouts,
        stored: Callable[[Value], bool],
        buffer: Callable[[Value], Hashable],
        part: tuple[int, int, int] | None = None,
    ) -> None:
        """Write a kernel, or the steps along an axis from one on, so many."""
        super().__init__(kernel, layouts, stored, buffer)
        self.steps = part

    def write(self) -> Function:
        """The kernel's function."""
        for member in self.kernel.members:  # the same parameters for each part
            for value in (*member.args, *member.results):
                root = self.layouts[value].root
                if self._literal(value) is None and (value.source not in self.inside or self.stored(root)):
                    self.pointer(root)
        if self.steps is None:
            self._begin_sums()
        for box in joined.cut(self.kernel.members, self.kernel.domain):
            if self.steps is not None:
                box = _within(box, *self.steps)
            if all(box.lengths):
                self._box(box)
        return self._function("" if self.steps is None else "i64 %begin")

    def _box(self, box: Box) -> None:
        stores = [m for m in self.full if m not in self.kernel.shifted and self.stored(m.results[0])]
        plan: list[tuple[Moved, Instruction, list[Moved]]] = []
        loads: dict[Moved, Access] = {}
        done: set[Moved] = set()
        here = (0,) * len(box.begin)

        def need(value: Value, moved: Shape) -> Moved:
            """Plan how the element of a value is found that is so far from the one of the domain."""
            key = value, moved
            if key in done or self._literal(value) is not None:
                return key
            maker = value.source
            if maker not in self.inside:
                done.add(key)
                loads[key] = self._element(value, box, moved)
                return key
            if not joins(maker):
                args = [need(arg, moved) for arg in maker.args]  # of one with fewer axes the last places count
                done.add(key)
                plan.append((key, maker, args))
                return key
            found = joined.part_at(maker, tuple(b + m for b, m in zip(box.begin, moved, strict=True)))
            if found is None:
                return need(joined.around(maker), moved)
            first, part = found
            inside = tuple(m - f for m, f in zip(moved, first, strict=True))
            base, begin = joined.run(part)
            if base.source in self.inside:
                return need(base, tuple(i + b for i, b in zip(inside, begin, strict=True)))
            return need(part, inside)

        results = [need(m.results[0], here) for m in stores]
        taken = [need(m.args[0], here) for m in self.sums]
        targets = [self._element(m.results[0], box, here) for m in stores]
        accumulators = []
        for member in self.sums:
            (result,) = member.results
            axes = iter(self.layouts[result].strides)
            strides = tuple(0 if i in member.params["axes"] else next(axes) for i in range(len(box.begin)))
            at = sum(b * s for b, s in zip(box.begin, strides, strict=True))
            pointer = offset(self.code, self.pointer(result), at, 1, result.dtype)
            accumulators.append(Accumulator(member.name, Access(pointer, strides, result.dtype)))

        def body(at: list[Access]) -> list[str]:
            registers = {key: load(self.code, a.pointer, key[0].dtype) for key, a in zip(loads, at, strict=False)}

            def register(key: Moved) -> str:
                known = self._literal(key[0])
                return registers[key] if known is None else known

            for key, member, args in plan:
                registers[key] = self._apply(member, [register(a) for a in args])
            for key, access in zip(results, at[len(loads) :], strict=True):
                store(self.code, register(key), access.pointer, access.dtype)
            return [register(key) for key in taken]

        nest(self.code, box.lengths, [*loads.values(), *targets], body, accumulators)

    def _element(self, value: Value, box: Box, moved: Shape) -> Access:
        """A value where a box begins, and its strides by the axes of the domain."""
        place = self.layouts[value]
        lead = len(box.begin) - value.ndim
        strides = (0,) * lead + tuple(0 if n == 1 else s for n, s in zip(value.shape, place.strides, strict=True))
        at = sum((b + m) * s for b, m, s in zip(box.begin, moved, strides, strict=True))
        pointer = offset(self.code, self.pointer(place.root), place.offset + at, 1, value.dtype)
        return Access(pointer, strides, value.dtype)


def _within(box: Box, axis: int, begin: int, count: int) -> Box:
    """What of a box lies in so many steps along an axis."""
    first = max(box.begin[axis], begin)
    end = min(box.begin[axis] + box.lengths[axis], begin + count)
    begins, lengths = list(box.begin), list(box.lengths)
    begins[axis], lengths[axis] = first, max(end - first, 0)
    return Box(tuple(begins), tuple(lengths))


def code(
    kernel: Kernel,
    layouts: Layouts,
    stored: Callable[[Value], bool],
    buffer: Callable[[Value], Hashable],
) -> KernelCode:
    """The work of writing a kernel of either kind."""
    return (BoxCode if kernel.joins else KernelCode)(kernel, layouts, stored, buffer)
