"""What an op promises, on its samples: `check_op`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import numpy as np

from tapenet.ops.derived import Derived
from tapenet.ops.op import Op
from tapenet.ops.registry import Sample
from tapenet.program.trees import tree_leaves
from tapenet.testing import derivatives, pictures, runs, values
from tapenet.testing.cases import Case
from tapenet.testing.gradients import zeros_are_fine

#: What is checked of each call, in this order.
_PARTS: dict[str, Callable[[Case, int], None]] = {
    "values": values.values,
    "rules": derivatives.rules,
    "lower": values.lower,
    "gradients": derivatives.gradients,
    "broadcasting": derivatives.broadcasting,
    "dtype": values.dtype,
    "jvp": derivatives.jvp,
    "vmap": runs.vmap,
    "compile": runs.compiled,
    "threads": runs.threads,
    "drawing": pictures.drawing,
}


def check_op(
    op: Callable[..., object],
    samples: Iterable[Sample] | None = None,
    *,
    order: int | None = None,
    skip: Collection[str] = (),
    gradient_of: Callable[..., object] | None = None,
) -> None:
    """Check everything an op promises, on its samples.

    The parts of the check, in order:

    - "documentation": it has one, and what drawings say of its formula and rules can be made.
    - "values": the same value each time, from arrays, tensors and the NumPy function it stands for; of an op that draws
      random numbers after `tn.random.seed`. Its arguments are only read.
    - "rules": each gradient rule returns an array of the shape and dtype of its input, and writes into nothing; every input
      that the result depends on has a rule, or is declared in `nondiff=`. `jvp=` is held to finite differences.
    - "lower": what a compiler reads in place of the forward computes the same; so does `reference=`.
    - "gradients": those of each order up to `order` by finite differences.
    - "broadcasting": inputs that the forward broadcasts get gradients of their own shape.
    - "dtype": float32 stays float32, in values, gradients and inside rules.
    - "jvp": forward mode, by finite differences.
    - "vmap": lanes as one by one, also of gradients.
    - "compile": compiled on both backends as eager, with the gradients of each order. The native backend needs llvmlite.
    - "threads": several threads that call the op and its gradient at once get what one gets.
    - "drawing": `tn.draw` of a call works and shows the op's label.

    Args:
        op: made by `tn.op`.
        samples: calls to check on; its own by default.
        order: the highest derivative to check; 2 by default, and 1 of an op with `once=True`.
        skip: parts to leave out.
        gradient_of: for an op whose gradient is not its derivative on purpose: a function of the same arguments that has
            this gradient. Of a rounding that lets gradients pass it is `lambda x: x`.

    Raises:
        AssertionError: says which promise the op breaks, on which call. Of a wrong gradient it is a `GradientMismatch`, which
            names what is probably wrong with the rule, and what to write instead.
        TypeError: it is a function, and no op.
        ValueError: `skip` names something else.

    >>> import tapenet as tn
    >>> tn.testing.check_op(tn.exp)
    >>> through = tn.op(lambda x: np.round(x), name="through", x=lambda g: g, doc="Round, and let gradients pass.")
    >>> tn.testing.check_op(through, [tn.sample(np.array([0.2, 1.6]))], gradient_of=lambda x: x)
    """
    if not isinstance(op, (Op, Derived)):
        raise TypeError(f"check_op checks what tn.op makes, not {op!r}: use check_grads for a function")
    unknown = [name for name in skip if name not in _PARTS and name != "documentation"]
    if unknown:
        raise ValueError(f"check_op: skip={unknown[0]!r} is none of {', '.join(map(repr, ['documentation', *_PARTS]))}")
    if "documentation" not in skip:
        pictures.documentation(op)
    if samples is None:
        assert op.samples is not None, f"{op!r} has no samples: give samples="
        samples = op.samples(np.random.default_rng(0))
    cases = [Case(op, call, gradient_of) for call in samples]
    assert cases, f"{op!r} has no samples"
    if order is None:
        order = 1 if isinstance(op, Op) and op.once else 2
    parts = [check for name, check in _PARTS.items() if name not in skip]
    with values.random_state(), zeros_are_fine():
        for case in cases:
            try:
                for check in parts:
                    check(case, order)
            except Exception as error:
                error.add_note(f"in check_op of {op!r} on {case.words}")
                raise
    unseen = set(op.differentiable) if isinstance(op, Op) else set()
    for case in cases:
        unseen -= {n for n, v in case.arguments().items() if any(isinstance(a, np.ndarray) for a in tree_leaves(v))}
    assert not unseen, f"no sample of {op!r} has an array for {sorted(unseen)}, so that the rule for it is not checked"
