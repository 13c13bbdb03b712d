"""A search along a line for a point that satisfies the strong Wolfe conditions.

At a step t along a direction d, with φ(t) the loss and φ'(t) its slope along d, they are φ(t) ≤ φ(0) + c₁tφ'(0), the
loss fell enough, and |φ'(t)| ≤ c₂|φ'(0)|, the slope is much flatter. Nocedal and Wright, "Numerical optimization"
(2006), algorithms 3.5 and 3.6; interpolation and safeguards follow Schmidt's minFunc, as PyTorch's do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from tapenet.typing import Array

#: The constants c₁ and c₂, usual for quasi-Newton methods.
DECREASE = 1e-4
FLATNESS = 0.9


class Point(NamedTuple):
    """A step along the direction, with the loss there, its gradient, and its slope along the direction."""

    t: float
    loss: float
    gradient: Array
    slope: float


def strong_wolfe(
    at: Callable[[float], Point], start: Point, t: float, length: float, tolerance: float, most: int
) -> tuple[Point, int]:
    """Search for a step that satisfies the conditions.

    Args:
        at: the point at a step.
        start: the point at step 0, where the slope is negative.
        t: the step to try first.
        length: the largest magnitude in the direction.
        tolerance: an interval in which no parameter changes by this much is not searched further.
        most: how many further points may be tried.

    Returns:
        the point found, or the lowest so far where the search ended early, and how many were tried.
    """

    def too_high(point: Point) -> bool:
        return point.loss > start.loss + DECREASE * point.t * start.slope

    def flat(point: Point) -> bool:
        return abs(point.slope) <= -FLATNESS * start.slope

    # Go on until a good point lies in between.
    before, point = start, at(t)
    tried = 1
    rounds = 0
    while rounds < most:
        if too_high(point) or (rounds > 1 and point.loss >= before.loss):
            break
        if flat(point):
            return point, tried
        if point.slope >= 0:
            break
        further = cubic_minimum(before, point, point.t + 0.01 * (point.t - before.t), 10 * point.t)
        before, point = point, at(further)
        tried += 1
        rounds += 1
    else:
        return (start if start.loss <= point.loss else point), tried

    # Narrow the interval between the lower and the higher of its ends.
    low, high = (before, point) if before.loss <= point.loss else (point, before)
    stuck = False
    while rounds < most and abs(high.t - low.t) * length >= tolerance:
        left, right = sorted((low.t, high.t))
        t = cubic_minimum(low, high, left, right)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) >= margin:
            stuck = False
        elif stuck or t >= right or t <= left:  # a second time close to an end: keep a distance
            t = right - margin if right - t < t - left else left + margin
            stuck = False
        else:
            stuck = True
        point = at(t)
        tried += 1
        rounds += 1
        if too_high(point) or point.loss >= low.loss:
            high = point
            if high.loss < low.loss:
                low, high = high, low
        else:
            if flat(point):
                return point, tried
            if point.slope * (high.t - low.t) >= 0:
                high = low
            low = point
    return low, tried


def cubic_minimum(a: Point, b: Point, least: float, most: float) -> float:
    """Where the cubic through two points with their slopes has its minimum, within limits; their middle where it has none."""
    first, second = (a, b) if a.t <= b.t else (b, a)
    if first.t == second.t:
        return (least + most) / 2
    d1 = first.slope + second.slope - 3 * (first.loss - second.loss) / (first.t - second.t)
    square = d1 * d1 - first.slope * second.slope
    if not square >= 0:
        return (least + most) / 2
    d2 = math.sqrt(square)
    divisor = second.slope - first.slope + 2 * d2
    if divisor == 0:
        return (least + most) / 2
    t = second.t - (second.t - first.t) * ((second.slope + d2 - d1) / divisor)
    return min(max(t, least), most)
