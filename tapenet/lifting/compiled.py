"""`tn.compile(f, lift=True)`: a lifted function as a program, which gives the caller's arguments what it writes to them."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from types import MethodType
from typing import cast

from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.compile import Compiled
from tapenet.lifting.arguments import give_back
from tapenet.lifting.lift import Lift
from tapenet.program.trees import flatten
from tapenet.typing import Array


class CompiledLift(Compiled):
    """A compiled function whose program gives its result and, by their place among the arguments, the arrays that it wrote."""

    def __init__(
        self, fn: Callable[..., object], backend: str | None, max_variants: int, keep_grads: bool, from_first: bool,
        frozen: bool | tuple[Array, ...] = False,
    ) -> None:  # fmt: skip
        lifted = fn if isinstance(fn, Lift) else Lift(fn, (), False)

        def returning(*args: object, **kwargs: object) -> object:
            return lifted.returning(args, kwargs)

        # What a capture computes nobody sees: its program runs next. So the turns of loops need not be computed there.
        super().__init__(update_wrapper(returning, lifted), backend, max_variants, keep_grads, True, frozen)
        self._lifted = lifted
        self._sketches = True

    def missed(self, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """A call."""
        if kwargs:
            args, kwargs = self._parameters.place(args, kwargs)
        result, written = cast("tuple[object, dict[int, Tensor]]", super().missed(args, kwargs))
        if written:
            given = flatten((args, kwargs))[0]
            give_back(self._title, given, [(given[place], new) for place, new in written.items()], result)
        return result

    def _call_by(self, variant: object) -> None:
        """Its programs give more than its result: they are not called in its place."""

    def transformed(self, key: object, make: Callable[[Callable[..., object]], Callable[..., object]]) -> Compiled:
        """A function made of the lifted one, compiled as this one is."""
        return self._of_plain(key, make, self._lifted)

    def __get__(self, instance: object, owner: type | None = None) -> object:
        return self if instance is None else MethodType(self, instance)
