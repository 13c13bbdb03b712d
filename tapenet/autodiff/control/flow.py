"""Branches and loops as functions of functions: `cond`, `scan`, `fori` and `while_loop`.

In eager mode they are an `if`, a `for` and a `while`. While a step is being captured each becomes one op that holds its
branches or its body as programs of their own, so that a compiled loop is a loop, of any length, and a branch is decided
at each call. Both ways they give the same values and the same derivatives of every order.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tapenet import ops
from tapenet.autodiff.control.body import Flat
from tapenet.autodiff.control.branches import branch
from tapenet.autodiff.control.loops import loop
from tapenet.autodiff.control.whiles import repeat
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.node import Leaf
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.ops.operators import Operand
from tapenet.ops.stack_frames import user_line
from tapenet.ops.tracebacks import boundary
from tapenet.program import symbol_loops
from tapenet.program.symbols import Symbol
from tapenet.program.trees import Mismatch, Structure, flatten, placed

R = TypeVar("R")
S = TypeVar("S")


@boundary
def cond(pred: object, true_fn: Callable[..., R], false_fn: Callable[..., R], *operands: object) -> R:
    """`true_fn(*operands)` if `pred` is true, else `false_fn(*operands)`.

    Only the function chosen runs. While a step is being captured and `pred` is a tensor, both are recorded, and which
    one runs is decided at each call; they may have effects, such as the step of an optimizer. (Of the one not chosen
    effects on tensors, optimizers and random numbers are undone; what it does to other Python objects remains.)

    Args:
        pred: one element: a bool, a number, an array or a tensor.
        true_fn, false_fn: take the operands. What they return, a tree of tensors, agrees in structure,
            shapes and dtypes.
        *operands: trees of tensors, arrays and numbers, all given as tensors. What the functions close
            over needs not be among them.

    Returns:
        what the function chosen returned, as tensors.

    Raises:
        ValueError: `pred` has several elements; while capturing, the functions return different things (names where).

    >>> import tapenet as tn
    >>> x = tn.tensor(-2.0, requires_grad=True)
    >>> y = tn.cond(x > 0, lambda x: x * x, lambda x: -x, x)
    >>> y.backward()
    >>> y.item(), x.grad
    (2.0, Tensor(-1.))
    """
    check_unmasked(pred)
    shape = getattr(pred, "shape", ())
    if math.prod(shape) != 1:
        raise ValueError(
            f"tn.cond: pred has shape {shape}, and one element decides between two functions: reduce it with "
            ".all() or .any(), or choose element by element with np.where"
        )
    given, _ = _leaves(operands, "operands", "tn.cond")
    #: What the first function returned. While a step is captured both run, and the second must agree with it.
    returned: list[tuple[Structure, list[Tensor]]] = []

    def flat(function: Callable[..., object], name: str, other: str) -> Flat:
        def run(values: list[Tensor]) -> list[Tensor]:
            with placed(operands, [_own(t) for t in values]) as inputs:
                result = function(*inputs)
            if not returned:
                values, form = _leaves(result, "result", f"tn.cond: {name}")
                found = [_by_value(t) for t in values]
                returned.append((form, found))
                return found
            form, model = returned[0]
            try:
                taken = form.take(result, "result", (other, name))
                found = [_by_value(_leaf(v, "result", f"tn.cond: {name}")) for v in taken]
                _agree(model, found, form.paths("result"), (other, name))
            except Mismatch as error:
                raise ValueError(
                    f"tn.cond: both functions must return the same structure, shapes and dtypes, and {error}"
                ) from None
            return found

        return run

    functions = flat(true_fn, "true_fn", "false_fn"), flat(false_fn, "false_fn", "true_fn")
    builder = symbol_loops.builder_of([pred])
    if builder is not None:  # in a formula that is read
        values = symbol_loops.branch(builder, pred, *functions, given)
    else:
        values = branch(pred, *functions, given)
    chosen: R = returned[0][0].build(values)
    return chosen


@boundary
def scan(
    f: Callable[[Any, Any], tuple[R, S]],
    init: object,
    xs: object = None,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[R, S]:
    """Loop over the first axis of `xs`, carrying a state along: `carry, y = f(carry, x)` for each slice x.

    As JAX's `lax.scan`. While a step is being captured, the body becomes one program, compiled once for all iterations;
    it is recorded once (twice if it adds to gradients from before), so effects on Python objects other than tensors
    and optimizers happen once. The body may do anything that a step may: backward passes, an optimizer's step, random
    numbers.

    The derivative of a captured loop runs each iteration again from its carry; these and the random numbers drawn are
    all that is kept. It needs a body without effects: to train, call `backward()` and `step()` inside of the body.

    Args:
        f: takes the carry and a slice, returns the new carry and an output, which may be None.
        init: the first carry: a tree (`tn.tree`: tuples, lists, dicts, dataclasses, None ...) of tensors, arrays and
            numbers. Structure, shapes and dtypes stay as they are here. A Python float is a float64.
        xs: a tree of arrays or tensors of equal length, or None.
        length: number of iterations; needed if xs is None.
        reverse: go from the last slice to the first. The ys are in the order of xs all the same.

    Returns:
        the last carry, and the outputs stacked along a new first axis, both as tensors.

    Raises:
        ValueError: lengths that differ or are missing, a carry that changes (names where, and what it was).
        TypeError: `f` returns no pair; a leaf that is no array.
        CaptureError: a `backward()` in a captured body goes through the carry to what is outside, or a view of what the
            body writes is read in it.

    >>> import tapenet as tn
    >>> total, sums = tn.scan(lambda c, x: (c + x, c + x), 0.0, tn.tensor([1.0, 2.0, 3.0]))
    >>> total, sums
    (Tensor(6.), Tensor([1., 3., 6.]))

    A recurrent network, and a whole epoch of training:

    >>> import numpy as np
    >>> w = tn.tensor(np.eye(2), requires_grad=True)
    >>> h, _ = tn.scan(lambda h, x: (tn.tanh(w @ h + x), None), np.zeros(2), np.ones((4, 2)))
    >>> opt = tn.optim.SGD([w], lr=0.1)
    >>> def step(_, x):
    ...     loss = ((w @ x - 1) ** 2).sum()
    ...     opt.zero_grad(); loss.backward(); opt.step()
    ...     return None, loss.detach()
    >>> tn.scan(step, None, np.ones((3, 2)))[1].shape
    (3,)
    """
    first, form = _first(init, "tn.scan")
    found, of_xs = _leaves(xs, "xs", "tn.scan")
    slices = [_by_value(t) for t in found]
    count = _length(slices, of_xs.paths("xs"), length)
    of_ys: Structure | None = None

    def step(carry: list[Tensor], x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        nonlocal of_ys
        result = f(form.build(carry), of_xs.build(x))
        if not isinstance(result, tuple) or len(result) != 2:
            got = f"a tuple of {len(result)}" if isinstance(result, tuple) else type(result).__name__
            raise TypeError(
                f"tn.scan: f must return a pair (carry, y), and returned {got}; without an output return (carry, None)"
            )
        after = _carry(form, first, result[0], "tn.scan", "f")
        if of_ys is None:
            _, of_ys = flatten(result[1])
        try:
            ys = of_ys.take(result[1], "y", ("the first", "a later one"))
        except Mismatch as error:
            raise ValueError(f"tn.scan: f must return the same structure in every iteration, and {error}") from None
        return after, [_by_value(_leaf(v, "y", "tn.scan"), views=True) for v in ys]

    builder = symbol_loops.builder_of([*first, *slices])
    if builder is not None and count:  # in a formula that is read
        last, ys = symbol_loops.loop(builder, step, first, slices, count, reverse)
    else:
        last, ys = loop(step, first, slices, count, reverse)
    assert of_ys is not None
    return form.build(last), of_ys.build(ys)


@boundary
def fori(lower: int, upper: int, body: Callable[[Any, Any], R], init: object) -> R:
    """`carry = body(i, carry)` for i from `lower` to `upper` - 1; gives the last carry.

    While a step is being captured `i` is a tensor (0-d, int64), else an int; see `scan` for the rest.

    Args:
        lower, upper: integers; `upper` itself is not reached.
        body: takes i and the carry, returns the new carry.
        init: the first carry, as for `scan`.

    Raises:
        ValueError: the carry changes its structure, a shape or a dtype (names where, and what it was).
        CaptureError: a bound is a tensor while a step is being captured.

    >>> import tapenet as tn
    >>> tn.fori(1, 5, lambda i, product: product * i, 1)
    Tensor(24, dtype=int64)
    """
    if capturing() is not None and (isinstance(lower, Tensor) or isinstance(upper, Tensor)):
        raise CaptureError(
            f"{user_line()}: a bound of tn.fori is a tensor while a step is being captured, and how often a captured loop runs "
            "is fixed. Give an int; or go up to the largest bound there is, and keep the carry where i >= bound with "
            "np.where or tn.cond"
        )
    numbers = range(operator.index(lower), operator.index(upper))
    first, form = _first(init, "tn.fori")
    builder = symbol_loops.builder_of(first)
    captured = capturing() is not None or builder is not None
    counter = iter(numbers)

    def step(carry: list[Tensor], x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        result = body(x[0] if captured else next(counter), form.build(carry))
        return _carry(form, first, result, "tn.fori", "body"), []

    xs = []
    if captured:
        counts = np.arange(numbers.start, numbers.stop)
        counts.flags.writeable = False  # the same at every replay
        xs.append(Tensor._of(counts))
    carry = first
    if builder is not None and numbers:  # in a formula that is read
        carry = symbol_loops.loop(builder, step, first, xs, len(numbers), False)[0]
    elif numbers:
        carry = loop(step, first, xs, len(numbers))[0]
    last: R = form.build(carry)
    return last


@boundary
def while_loop(
    cond: Callable[[Any], object],
    body: Callable[[Any], R],
    init: object,
    max_turns: int | None = None,
    recompute: bool = False,
) -> R:
    """`carry = body(carry)` as long as `cond(carry)` is true; gives the last carry.

    As JAX's `lax.while_loop`. While a step is being captured, `cond` and `body` become one program each, and how many turns
    there are is decided at each call; both are recorded once, so effects on Python objects other than tensors and
    optimizers happen once. The body may do what that of `scan` may: close over tensors, train, draw random numbers (turn by
    turn, by Python).

    Forward derivatives (`tn.jvp`) need nothing more. For reverse ones (`tn.grad`, `backward()`) a captured loop has to keep
    what each turn began with, in memory that is made ahead: `max_turns` says for how many turns. Each turn is run again from
    there, last first, so time goes by the turns that are made. With `recompute` memory is that of about 2 sqrt(max_turns)
    turns: two more forward runs find what the others began with, so `max_turns` may be a large number. In eager mode Python's
    own loop is differentiated, with or without these.

    Args:
        cond: takes the carry, returns one bool, and does nothing beside. No gradient flows through it.
        body: takes the carry, returns the new one.
        init: the first carry: a tree (`tn.tree`: tuples, lists, dicts, dataclasses, None ...) of tensors, arrays and numbers.
            Structure, shapes and dtypes stay as they are here. A Python float is a float64.
        max_turns: how many turns there are at most; None for any number.
        recompute: whether a captured loop keeps less, and runs its turns again for the backward pass. It needs `max_turns`.

    Returns:
        the last carry, as tensors.

    Raises:
        RuntimeError: `cond` still holds after `max_turns` turns.
        ValueError: a carry that changes (names where, and what it was); `cond` gives several elements; `max_turns` is below 0,
            or missing for `recompute`.
        TypeError: what `cond` gives is no bool; a leaf that is no array.
        CaptureError: while capturing, `cond` has effects; a gradient is asked for without `max_turns`.

    >>> import tapenet as tn
    >>> tn.while_loop(lambda x: x < 100, lambda x: x * x, 3)
    Tensor(6561, dtype=int64)

    The square root of a number by Newton's method, and its derivative, 1 / (2 sqrt(a)):

    >>> import numpy as np
    >>> def root(a):
    ...     return tn.while_loop(lambda x: abs(x * x - a) > 1e-12, lambda x: (x + a / x) / 2, a, max_turns=50)
    >>> tn.compile(tn.value_and_grad(root))(np.float64(4.0))
    (Tensor(2.), Tensor(0.25))
    """
    most = None if max_turns is None else operator.index(max_turns)
    if most is not None and most < 0:
        raise ValueError(f"tn.while_loop: max_turns={most} is below 0")
    if recompute and most is None:
        raise ValueError(
            "tn.while_loop: recompute=True needs max_turns, by which what is kept is spread over the turns"
        )
    first, form = _first(init, "tn.while_loop")

    def test(carry: list[Tensor]) -> Tensor:
        return _truth(cond(form.build(carry)))

    def step(carry: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        return _carry(form, first, body(form.build(carry)), "tn.while_loop", "body"), []

    builder = symbol_loops.builder_of(first)
    if builder is not None:  # in a formula that is read
        carry = symbol_loops.repeat(builder, test, lambda carry: step(carry)[0], first, most)
    else:
        carry = repeat(test, step, first, most, recompute)[0]
    last: R = form.build(carry)
    return last


def _truth(value: object) -> Tensor:
    """What says whether a loop goes on."""
    found: Tensor = _leaf(value, "what cond returned", "tn.while_loop")
    if found.dtype != np.bool_:
        raise TypeError(
            f"tn.while_loop: cond returned {found.dtype} {found.shape}, and whether there is another turn is a bool: compare, "
            "as in x > 0"
        )
    if math.prod(found.shape) != 1:
        raise ValueError(
            f"tn.while_loop: cond returned bool {found.shape}, and one element decides whether there is another turn: reduce "
            "it with .any() or .all()"
        )
    return found if found.shape == () else found.reshape(())


# -- leaves ------------------------------------------------------------------------------------------------------


def _leaf(value: object, path: str, who: str) -> Any:
    """A leaf as a tensor; an array of another library as it is."""
    if type(value) is Tensor or isinstance(value, Symbol) or (isinstance(value, Operand) and capturing() is None):
        return value
    try:
        return asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{who}: {path} is {type(value).__name__}, not an array, a tensor or a number. What does not vary may be "
            "closed over"
        ) from error


def _leaves(tree: object, root: str, who: str) -> tuple[list[Tensor], Structure]:
    """The leaves of a tree as tensors, and its structure."""
    found, structure = flatten(tree)
    return [_leaf(value, path, who) for value, path in zip(found, structure.paths(root), strict=True)], structure


def _by_value(t: Any, views: bool = False) -> Any:
    """The tensor as it is now, behind a handle of its own: a body that changes it (`c += x`) changes no other, as in a
    captured loop. It is copied if its array may be written in place later: the storage of a parameter or buffer, or with
    `views` anything that may be a view of such storage."""
    if type(t) is not Tensor:
        return t
    stored = _is_stored(t)
    if capturing() is not None:
        return ops.copy(t) if stored else t
    copied = stored or (views and t._data.base is not None)
    return Tensor._of(t._data.copy() if copied else t._data, t._node, t._trace)


def _is_stored(t: Tensor) -> bool:
    """Whether others know the storage of a tensor, which may be written in place."""
    return type(t._node) is Leaf or (t._node is None and t._kind is not None)


def _own(t: Tensor) -> Tensor:
    """What a branch is given for an operand: the tensor itself if it is a parameter or buffer, else a handle of its own."""
    if type(t) is not Tensor or _is_stored(t):
        return t
    made = Tensor._of(t._data, t._node, t._trace)
    capture = capturing()
    if capture is not None and capture.is_outside(t):
        capture.alias(made, t)
    return made


def _length(xs: list[Tensor], where: list[str], length: int | None) -> int:
    for x, path in zip(xs, where, strict=True):
        if not x.shape:
            raise ValueError(
                f"tn.scan: {path} has no axis to loop over; close over what is the same in every iteration"
            )
    found = {path: x.shape[0] for x, path in zip(xs, where, strict=True)}
    count = None if length is None else operator.index(length)
    if count is None and not found:
        raise ValueError("tn.scan: without xs give length=, the number of iterations")
    if count is not None and count < 0:
        raise ValueError(f"tn.scan: length={count} is below 0")
    if len({*found.values(), *([] if count is None else [count])}) > 1:
        told = ", ".join(f"{path} has length {n}" for path, n in found.items())
        raise ValueError(f"tn.scan: {told}{'' if count is None else f', length={count}'}: these must agree")
    return next(iter(found.values())) if count is None else count


def _first(init: object, who: str) -> tuple[list[Tensor], Structure]:
    """The leaves of the first carry, and its structure."""
    found, structure = _leaves(init, "carry", who)
    return [_by_value(t) for t in found], structure


def _carry(form: Structure, first: list[Tensor], result: object, who: str, name: str) -> list[Tensor]:
    """The leaves of a carry that a body returned, once it is checked against the first."""
    try:
        after = [_by_value(_leaf(v, "carry", who)) for v in form.take(result, "carry", ("init", name))]
        for t, model in zip(after, first, strict=True):
            if t.shape != model.shape or t.dtype != model.dtype:
                _agree(first, after, form.paths("carry"), ("init", name))
    except Mismatch as error:
        raise ValueError(
            f"{who}: a carry keeps its structure, shapes and dtypes, and {error}. Make init as {name} returns it, or cast "
            "or reshape what it returns"
        ) from None
    return after


def _agree(model: list[Tensor], found: list[Tensor], where: list[str], names: tuple[str, str]) -> None:
    for a, b, path in zip(model, found, where, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            raise Mismatch(f"at {path} {names[0]} has {a.dtype} {a.shape}, {names[1]} has {b.dtype} {b.shape}")
