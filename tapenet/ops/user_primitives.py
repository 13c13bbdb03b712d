"""Primitives of the user's own: rows of the table that programs are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast, overload

from tapenet.ops.formula import Derived
from tapenet.ops.op import Op, op
from tapenet.program import user_rows
from tapenet.program.symbols import Operand, Symbol

#: Options of `tn.op` that say what a primitive is not.
_REFUSED = (
    "joint", "outputs", "nondiff_outputs", "residuals", "reference", "fuse", "lower", "opaque", "random", "effect", "sequences",
)  # fmt: skip


#: Sizes of the last axes, "(m,n),(n)->(m)"; or a function of the arguments' shapes.
ShapeRule = str | Callable[..., tuple[int, ...]] | None
Native = Callable[..., object] | None


@overload
def primitive(
    forward: Callable[..., object], /, *, shape: ShapeRule = None, native: Native = None, **options_and_rules: object
) -> Op: ...
@overload
def primitive(
    *, shape: ShapeRule = None, native: Native = None, **options_and_rules: object
) -> Callable[[Callable[..., object]], Op]: ...
def primitive(
    forward: Callable[..., object] | None = None,
    /,
    *,
    shape: ShapeRule = None,
    native: Native = None,
    **options_and_rules: object,
) -> Op | Callable[[Callable[..., object]], Op]:
    """Add a primitive to those that programs are made of, and make the op that is this primitive.

    An op that is a formula becomes the primitives that NumPy's functions are; its native code is made from these. A primitive
    of your own is for what they cannot say, or not as well: it stands in programs as it is, with native code of its own, and is
    differentiated and batched by what is said here, in compiled programs as in all transformations.

    Args:
        forward: what it computes, of arrays, in NumPy; all its arguments are arrays. Every backend is held against it.
        shape: not given, it works element by element, and arguments broadcast. A function of the last axes says their sizes,
            `"(m,n),(n)->(m)"`: further axes in front broadcast, and are lanes of `tn.vmap` too. Or a function of the
            arguments' shapes that returns the shape of the result, whose dtype is what theirs promote to: of lanes it is
            called for each, or once with `vmap="leading"`.
        native: its native code; without one, programs call `forward`. Element by element it is the same function of numbers:
            NumPy code that uses operators, elementwise functions, `np.where`, ufuncs of `tn.native`, `x.astype(dtype)`,
            `x.view(dtype)` (the bits) and `x.intrinsic(name, ...)` (one of LLVM's). Or a ufunc of `tn.native`: of numbers, or
            of arrays with the sizes that `shape` says. It is used for the dtypes that it takes, and has to give `forward`'s.
        **options_and_rules: as of `tn.op`: a rule for each argument (`x=lambda g, x: ...`) or `nondiff=` for those that have no
            derivative, `name=`, `doc=`, `samples=`, `numpy=` and others. Rules of a primitive that works element by element
            name `g`, `out` and its arguments alone.

    Returns:
        the op. `tn.testing.check_primitive` proves it.

    Raises:
        TypeError: what is given does not fit.

    >>> import numpy as np, tapenet as tn
    >>> fused = tn.primitive(
    ...     lambda x, y, z: x * y + z, name="fused", native=lambda x, y, z: x.intrinsic("fma", y, z),
    ...     x=lambda g, y: g * y, y=lambda g, x: g * x, z=lambda g: g,
    ... )
    >>> tn.compile(tn.grad(lambda x: fused(x, x, 1.0).sum()))(np.arange(3.0))
    Tensor([0., 2., 4.])
    """
    if forward is None:
        return lambda function: _define(function, shape, native, options_and_rules)
    return _define(forward, shape, native, options_and_rules)


def _define(
    forward: Callable[..., object],
    shape: ShapeRule,
    native: Native,
    options: Mapping[str, object],
) -> Op:
    title = str(options.get("name") or getattr(forward, "__name__", "primitive"))
    for name in _REFUSED:
        if name in options:
            raise TypeError(f"tn.primitive {title!r}: {name}= is an option of ops that are no primitives: use tn.op")
    vmap = options.get("vmap")
    if vmap is not None and not (vmap == "leading" and callable(shape)):
        raise TypeError(
            f"tn.primitive {title!r}: vmap={vmap!r}; it takes 'leading', and that where shape= is a function: else the shape "
            "says how lanes are taken"
        )
    lower = Lower()
    define = cast("Callable[..., Callable[[object], Op]]", op)
    made = define(lower=lower, broadcasts=not callable(shape), **options)(forward)
    names = tuple(a.name for a in made.arguments)
    stated = {n: rule for n, rule in made.rules.items() if not isinstance(rule, Derived)}
    left = [n for n in names if n not in stated and n not in made.nondiff]
    if left:
        raise TypeError(
            f"tn.primitive {title!r}: give a rule for {left[0]!r}, {left[0]}=lambda g, ...: ..., or name it in nondiff=: all "
            "arguments are arrays, and what a primitive computes is not differentiated by reading it"
        )
    for n, needs in made.needs.items():
        more = set(needs) - {"g", "out", *names}
        if more and shape is None:
            raise TypeError(
                f"tn.primitive {title!r}: the rule for {n!r} asks for {sorted(more)[0]!r}; element by element it may name g, "
                f"out, {', '.join(names)}"
            )
    row = user_rows.Row(title, made.eager, names, {n: (rule, made.needs[n]) for n, rule in stated.items()}, native)
    if shape is None:
        lower.name = user_rows.add_elementwise(row)
    else:
        lower.name = user_rows.add_shaped(row, shape, vmap == "leading")
    return made


class Lower:
    """What programs have in place of the op: the primitive.

    Attributes:
        name: the primitive's.
    """

    name = ""

    def __call__(self, *symbols: Operand) -> Symbol:
        return user_rows.applied(self.name, symbols)
