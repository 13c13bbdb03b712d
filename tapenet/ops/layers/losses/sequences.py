"""Connectionist temporal classification: the loss of labels whose places in time are not known.

Graves, Fernández, Gomez and Schmidhuber (2006). At every time step a model gives probabilities of classes, one of which is
the blank. An alignment names a class at each step; merging what repeats and dropping blanks makes labels of it. The
likelihood of a sequence of labels is the sum over all its alignments, found by dynamic programming over the labels with
a blank before, between and after them ("positions" below): from a position an alignment stays, moves on by one, or skips
the blank between two different labels.

All is in logarithms. Forward and backward variables are arrays over the batch and the positions, so that the only loop
is that over time. -1e30 stands for the logarithm of 0: it never makes nan.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tapenet.ops.derived import array_like
from tapenet.ops.indexing.items import getitem, scatter_add
from tapenet.ops.layers.losses.reduction import check_reduction
from tapenet.ops.op import op
from tapenet.ops.reductions.sums import sum as _sum
from tapenet.ops.registry import Sample, sample
from tapenet.typing import Array, DType, Shape

#: The logarithm of 0, and what is below this is no likelihood.
_ZERO = -1e30
_IMPOSSIBLE = -1e29


def _positions(targets: Array, target_lengths: Array, blank: int, most: int) -> Array:
    """The class at each position, (N, 2 most + 1), of targets with `most` labels at most. What is beyond a target's length
    does not matter. Plain NumPy."""
    if not most:
        return np.full((target_lengths.shape[0], 1), blank)
    if targets.ndim == 1:  # one after the other
        first = np.cumsum(target_lengths) - target_lengths
        labels = getitem(targets, np.minimum(np.expand_dims(first, 1) + np.arange(most), targets.size - 1))
    else:
        labels = targets[:, :most]
    count = 2 * most + 1
    return np.where(np.arange(count) % 2 == 1, labels[:, np.minimum(np.arange(count) // 2, most - 1)], blank)


def _skips(positions: Array, blank: int, dtype: DType) -> Array:
    """0 where an alignment may come from two positions before, else the logarithm of 0. Plain NumPy."""
    count, length = positions.shape
    different = (positions[:, 2:] != positions[:, :-2]) & (positions[:, 2:] != blank)
    forbidden = np.concatenate([np.ones((count, min(length, 2)), np.bool_), ~different], 1)
    return forbidden.astype(dtype) * _ZERO


def _three(array: Array) -> Array:
    """Views of the positions, and of one and two further on, along a new axis before the batch. The array has two more
    positions than there are."""
    *outer, count, padded = array.shape
    *steps, batch, position = array.strides
    return as_strided(array, (*outer, 3, count, padded - 2), (*steps, position, batch, position))


def _log_sum(terms: Array, more: Array, out: Array) -> None:
    """Write the logarithm of the sum of the exponentials of terms + more along the first axis to out."""
    shifted = terms + more
    highest = np.maximum.reduce(shifted, 0)
    shifted -= highest
    np.exp(shifted, out=shifted)
    np.add.reduce(shifted, 0, out=out)
    np.log(out, out=out)
    out += highest


def _forward_variables(emitted: Array, skips: Array) -> Array:
    """The logarithm of the likelihood of all beginnings that are at a position after each step: (T, N, 2 + positions), the
    first two of them being no positions."""
    steps, count, length = emitted.shape
    alpha = np.full((steps, count, length + 2), _ZERO, emitted.dtype)
    alpha[0, :, 2:4] = emitted[0, :, :2]
    views = _three(alpha)
    moves = np.zeros((3, count, length), emitted.dtype)
    moves[0] = skips  # from two before
    for t in range(1, steps):
        now = alpha[t, :, 2:]
        _log_sum(views[t - 1], moves, now)
        now += emitted[t]
    return alpha


def _backward_variables(emitted: Array, skips: Array, input_lengths: Array, ends: Array) -> Array:
    """The logarithm of the likelihood of all that follows on a position after each step: (T, N, positions); that of 0 beyond
    the length of an input."""
    steps, count, length = emitted.shape
    beta = np.full((steps, count, length), _ZERO, emitted.dtype)
    following = np.full((count, length + 2), _ZERO, emitted.dtype)
    view = _three(following)
    moves = np.zeros((3, count, length), emitted.dtype)
    moves[2] = _ZERO
    moves[2, :, :-2] = skips[:, 2:]  # to two further on
    for t in range(steps - 1, -1, -1):
        if t < steps - 1:
            np.add(beta[t + 1], emitted[t + 1], out=following[:, :-2])
            _log_sum(view, moves, beta[t])
        last = input_lengths == t + 1
        if last.any():
            beta[t, last] = ends[last]
    return beta


def _emitted(log_probs: Array, positions: Array) -> Array:
    """The logarithm of the probability of each position's class at each step: (T, N, positions). Plain NumPy."""
    return np.maximum(np.take_along_axis(log_probs, np.expand_dims(positions, 0), 2), _ZERO)  # type: ignore[no-any-return]


def _likelihoods(alpha: Array, input_lengths: Array, target_lengths: Array) -> Array:
    """The logarithm of the likelihood of each target: its alignments end at the last label or the blank after it."""
    rows = np.arange(len(input_lengths))
    last = alpha[np.maximum(input_lengths - 1, 0), rows]
    found = np.logaddexp(last[rows, 2 * target_lengths + 2], last[rows, 2 * target_lengths + 1])
    # In no time there is nothing but the empty alignment.
    return np.where(input_lengths > 0, found, np.where(target_lengths == 0, 0.0, _ZERO)).astype(alpha.dtype)


def _lengths(name: str, given: object, count: int, most: int, of: str) -> Array:
    found = np.atleast_1d(np.asarray(given))
    if found.dtype.kind not in "iu":
        raise TypeError(f"{name} holds {found.dtype}; lengths are integers")
    if found.shape != (count,):
        raise ValueError(f"{name} has shape {found.shape}; it must be ({count},), one length for each sequence")
    low, high = np.min(found, initial=0), np.max(found, initial=0)
    if low < 0 or high > most:
        raise ValueError(f"{name} holds {low if low < 0 else high}, but a length is from 0 to {most}, {of}")
    return found.astype(np.intp)


def _batched(log_probs: Array, targets: Array) -> tuple[Array, Array]:
    """Both with an axis for the batch."""
    if log_probs.ndim == 2:
        return np.expand_dims(log_probs, 1), np.expand_dims(targets, 0) if targets.ndim == 1 else targets
    return log_probs, targets


def _prepared(
    log_probs: Array, targets: Array, input_lengths: Array, target_lengths: Array, blank: int
) -> tuple[Array, Array, Array, Array]:
    """The arguments with a batch, checked: log-probabilities, positions, and both lengths."""
    if log_probs.ndim not in (2, 3):
        raise ValueError(f"log_probs has shape {log_probs.shape}; give (T, N, C), or (T, C) for one sequence")
    if targets.dtype.kind not in "iu":
        raise TypeError(f"targets holds {targets.dtype}; labels are integers: targets.astype(np.int64)")
    log_probs, targets = _batched(log_probs, targets)
    steps, count, classes = log_probs.shape
    if not steps or targets.ndim not in (1, 2) or (targets.ndim == 2 and targets.shape[0] != count):
        raise ValueError(
            f"log_probs {log_probs.shape} is (T, N, C) with T > 0; targets {targets.shape} must be (N, S), or all of them "
            "one after the other"
        )
    if not 0 <= blank < classes:
        raise ValueError(f"blank={blank} is none of the {classes} classes")
    inputs = _lengths("input_lengths", input_lengths, count, steps, "the number of steps")
    room = targets.shape[-1]
    lengths = _lengths("target_lengths", target_lengths, count, room, "the length of targets")
    if targets.ndim == 1 and lengths.sum() != room:
        raise ValueError(f"target_lengths sum to {lengths.sum()}, but targets, one after the other, hold {room}")
    # Not the longest target's length, which a captured step could not follow.
    most = room if targets.ndim == 2 else int(lengths.max(initial=0))
    positions = _positions(targets, lengths, blank, most)
    used = np.arange(most) < lengths[:, None]
    labels = np.where(used, positions[:, 1::2], -1)
    wrong = used & ((labels < 0) | (labels >= classes) | (labels == blank))
    if wrong.any():
        raise ValueError(
            f"targets holds {labels[wrong][0]}; labels are from 0 to {classes - 1}, and not the blank, {blank}"
        )
    positions[:, 1::2] = np.where(used, labels, blank)  # padding may hold anything
    return log_probs, positions, inputs, lengths


def _of_each(losses: Array, target_lengths: Array, reduction: str, dtype: DType) -> Array:
    """The losses, or for the mean each one's part in it."""
    if reduction != "mean":
        return losses
    return losses / (np.maximum(target_lengths, 1) * target_lengths.shape[0]).astype(dtype)  # type: ignore[no-any-return]


def _ctc_loss(
    log_probs: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> tuple[Array, ...]:
    """The loss, and for the rule: the positions and the two lengths as arrays; what is emitted, the forward variables and
    the likelihoods."""
    check_reduction(reduction)
    one = log_probs.ndim == 2
    log_probs, positions, inputs, lengths = _prepared(log_probs, targets, input_lengths, target_lengths, blank)
    emitted = _emitted(log_probs, positions)
    if emitted.dtype == np.float16:
        emitted = emitted.astype(np.float32)
    alpha = _forward_variables(emitted, _skips(positions, blank, emitted.dtype))
    likelihood = _likelihoods(alpha, inputs, lengths)
    losses = np.where(likelihood < _IMPOSSIBLE, 0.0 if zero_infinity else np.inf, -likelihood).astype(log_probs.dtype)
    losses = _of_each(losses, lengths, reduction, losses.dtype)
    if reduction != "none":
        losses = np.add.reduce(losses)
    elif one:
        losses = losses[0]
    return losses, positions, inputs, lengths, emitted, alpha, likelihood


def _posterior_samples(r: np.random.Generator) -> list[Sample]:
    logs = np.log(r.dirichlet(np.ones(3), size=(3, 1)))
    _, *residuals = _ctc_loss(logs, np.array([[1, 2]]), np.array([3]), np.array([2]))
    return [sample(*residuals, 0)]


@op(
    label="ctc posterior",
    nondiff=True,
    samples=_posterior_samples,
)
def ctc_posterior(
    positions: Array,
    input_lengths: Array,
    target_lengths: Array,
    emitted: Array,
    alpha: Array,
    likelihood: Array,
    blank: int,
) -> Array:
    """The probability that an alignment is at each position at each step, given that it makes the labels: what the
    gradient of `ctc_loss` is made of. Has no derivative; that loss has its second derivative by other means.

    Args:
        positions, input_lengths, target_lengths, emitted, alpha, likelihood: what the forward of `ctc_loss` found.
        blank: the class that is no label.

    Returns:
        (T, N, positions).

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.layers.losses.sequences import ctc_loss, ctc_posterior
    >>> logs = np.log([[[0.5, 0.5]], [[0.5, 0.5]]])
    >>> _, *found = ctc_loss.forward(logs, np.array([[1]]), np.array([2]), np.array([1]))
    >>> ctc_posterior(*found, 0).round(3).tolist()  # blank 1, 1 blank, 1 1
    [[[0.333, 0.667, 0.0]], [[0.0, 0.667, 0.333]]]
    """
    place = np.arange(positions.shape[1])
    end = 2 * target_lengths[:, None]
    ends = np.where((place == end) | (place == end - 1), 0.0, _ZERO).astype(alpha.dtype)
    beta = _backward_variables(emitted, _skips(positions, blank, alpha.dtype), input_lengths, ends)
    possible = likelihood >= _IMPOSSIBLE
    beta += alpha[:, :, 2:]
    beta -= np.where(possible, likelihood, 0)[:, None]
    np.exp(beta, out=beta)
    return beta if possible.all() else beta * possible[:, None]


def _ctc_log_probs(
    g: Array,
    log_probs_shape: Shape,
    positions: Array,
    inputs: Array,
    lengths: Array,
    emitted: Array,
    alpha: Array,
    likelihood: Array,
    blank: int,
    reduction: str,
) -> Array:
    posterior = ctc_posterior(positions, inputs, lengths, emitted, alpha, likelihood, blank)
    losses = np.broadcast_to(np.reshape(g, (-1,)), lengths.shape)
    share = posterior.astype(g.dtype) * -np.expand_dims(_of_each(losses, lengths, reduction, g.dtype), 1)
    steps, count = posterior.shape[:2]
    places = (np.arange(steps)[:, None, None], np.arange(count)[:, None], np.expand_dims(positions, 0))
    found = scatter_add(share, places, (steps, count, log_probs_shape[-1]))
    return np.reshape(found, log_probs_shape)


def _ctc_reference(
    log_probs: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    blank: int,
    reduction: str,
    zero_infinity: bool,
) -> Array:
    one = log_probs.ndim == 2
    log_probs, targets = _batched(log_probs, targets)
    steps, count, _ = log_probs.shape
    inputs, lengths = (np.reshape(array_like(v), (count,)) for v in (input_lengths, target_lengths))
    most = targets.shape[-1]
    positions = _positions(targets, lengths, blank, most)
    skips = _skips(positions, blank, log_probs.dtype)
    emitted = _emitted(log_probs, np.clip(positions, 0, log_probs.shape[2] - 1))
    none = np.full((count, 2), _ZERO, log_probs.dtype)
    first = np.where(np.arange(positions.shape[1]) < 2, emitted[0], _ZERO)
    alpha = np.concatenate([none, np.where(np.expand_dims(inputs, 1) > 0, first, _ZERO)], 1)
    for t in range(1, steps):
        before = np.logaddexp(np.logaddexp(alpha[:, 2:], alpha[:, 1:-1]), alpha[:, :-2] + skips)
        now = np.concatenate([none, before + emitted[t]], 1)
        alpha = np.where(np.expand_dims(inputs, 1) > t, now, alpha)
    last = np.take_along_axis(alpha, np.expand_dims(2 * lengths, 1) + np.arange(1, 3), 1)
    found = np.logaddexp(last[:, 0], last[:, 1])
    found = np.where(inputs > 0, found, (lengths != 0).astype(log_probs.dtype) * _ZERO)
    losses = np.where(found < _IMPOSSIBLE, 0.0 if zero_infinity else np.inf, -found)
    losses = _of_each(losses, lengths, reduction, log_probs.dtype)
    if reduction != "none":
        return _sum(losses)
    return losses[0] if one else losses


def _ctc_samples(r: np.random.Generator) -> list[Sample]:
    def logs(*shape: int) -> Array:
        return np.log(r.dirichlet(np.ones(shape[-1]), size=shape[:-1]))

    return [
        sample(logs(3, 2, 3), np.array([[1, 2], [2, 1]]), np.array([3, 2]), np.array([2, 1])),
        sample(logs(4, 1, 3), np.array([1, 1]), np.array([4]), np.array([2]), 2, "none"),
        sample(logs(4, 3), np.array([1, 2]), np.array(4), np.array(2), reduction="sum", zero_infinity=True),
    ]


ctc_loss = op(
    _ctc_loss,
    name="ctc_loss",
    label="ctc loss",
    opaque="a loop over time steps",
    nondiff=("targets", "input_lengths", "target_lengths"),
    residuals=("positions", "inputs", "lengths", "emitted", "alpha", "likelihood"),
    reference=_ctc_reference,
    log_probs=_ctc_log_probs,
    formula="−mean(ln Σ over alignments of Πₜ p[t, class at t])",
    gradients="log_probs: −g · P(class at step t, given the labels)",
    doc="""The loss of connectionist temporal classification: minus the logarithm of the probability of labels whose places in
    time are not known, the sum over all alignments of them. Graves, Fernández, Gomez and Schmidhuber (2006).

    The gradient by log_probs is the true one, minus the probability of each class at each step given the labels. PyTorch's is
    that after `log_softmax`, to which both lead.

    Args:
        log_probs: (T, N, C), or (T, C) for one sequence: logarithms of probabilities of C classes at T steps.
        targets: (N, S): the labels, each row padded with anything; or all rows' labels one after the other (not in a step
            that is compiled, since arrays would depend on the lengths).
        input_lengths: (N,): how many steps of each sequence count.
        target_lengths: (N,): how many labels each has.
        blank: the class that is no label.
        reduction: "mean" (each loss divided by the number of its labels, then the mean over the batch), "sum" or "none".
        zero_infinity: the loss of labels that have no alignment, which is inf, counts as 0. Its gradient is 0 in any case.

    Raises:
        ValueError: shapes or lengths that do not fit, or a label that is no class or the blank.
        TypeError: labels or lengths that are no integers.

    >>> import numpy as np, tapenet as tn
    >>> logs = tn.log_softmax(tn.tensor(np.zeros((2, 1, 2))))
    >>> tn.ctc_loss(logs, np.array([[1]]), np.array([2]), np.array([1]))  # 3 of 4 alignments
    Tensor(0.28768207)
    """,
    samples=_ctc_samples,
)
