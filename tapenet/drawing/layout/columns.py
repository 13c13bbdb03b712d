"""A long cluster as columns beside each other: where they stand, and the arrows from the foot of one to the next head."""

from __future__ import annotations

from typing import NamedTuple

from tapenet.drawing.layout.tree import BORDER

#: Between a column and the next arrow beside it, above and below columns, and between arrows beside each other.
_BESIDE, _ABOVE, _APART = 16.0, 12.0, 10.0


class Joint(NamedTuple):
    """An arrow to a column, or from it.

    Attributes:
        array: what it carries.
        start, end: the positions of the columns, or BORDER.
        out, back: where it leaves the one and comes into the other, from its left side.
    """

    array: int
    start: int
    end: int
    out: float
    back: float


class Columns:
    """Columns beside each other. All is measured from the left side of the first, and from where arrows come in.

    Attributes:
        left: by column, where its left side is; `top`: where all of them begin.
        across, along: the size of all.
        ways: by joint, its way.
        ins, outs: by array, where it comes in and goes out.
    """

    def __init__(self, sizes: list[tuple[float, float]], joints: list[Joint], shadows: bool) -> None:
        """
        Args:
            sizes: of each column, across and along.
            joints: the arrows between them.
            shadows: whether gradients run beside arrows.
        """
        apart = _APART + 6 * shadows
        before: list[list[Joint]] = [[] for _ in sizes]
        sent: list[list[int]] = [[] for _ in sizes]
        for joint in sorted(joints, key=lambda joint: (-joint.start, -joint.out)):
            if BORDER not in (joint.start, joint.end):
                before[joint.end].append(joint)
                if joint.array not in sent[joint.start]:
                    sent[joint.start].append(joint.array)
        self.left: list[float] = []
        self.across = 0.0
        for n, (across, _) in enumerate(sizes):
            if before[n]:
                self.across += 2 * _BESIDE + apart * (len(before[n]) - 1)
            self.left.append(self.across)
            self.across += across
        turns = max(len(several) for several in before)
        self.top = _ABOVE + apart * turns
        foot = [self.top + along for _, along in sizes]
        low = max(foot)
        self.ins: dict[int, float] = {}
        self.outs: dict[int, float] = {}
        self.ways: list[list[tuple[float, float]]] = []
        for joint in joints:
            if joint.start == BORDER:
                self.ins.setdefault(joint.array, self.left[joint.end] + joint.back)
            else:
                reach = max(foot[joint.start : max(joint.end, joint.start + 1)])
                row = sent[joint.start].index(joint.array) if joint.end != BORDER else 0
                low = max(low, reach + _ABOVE + apart * (row + 1))
        self.along = low
        for joint in joints:
            if joint.start == BORDER:
                x, q = self.ins[joint.array], self.left[joint.end] + joint.back
                turn = _ABOVE / 2
                way = [(x, 0.0), (x, turn), (q, turn), (q, self.top)] if x != q else [(x, 0.0), (x, self.top)]
                self.ways.append(way)
                continue
            x = self.left[joint.start] + joint.out
            if joint.end == BORDER:
                self.outs[joint.array] = x
                self.ways.append([(x, foot[joint.start]), (x, self.along)])
                continue
            q = self.left[joint.end] + joint.back
            row = sent[joint.start].index(joint.array)
            lane = before[joint.end].index(joint)
            below = max(foot[joint.start : joint.end]) + _ABOVE + apart * row
            beside = self.left[joint.end] - _BESIDE - apart * (len(before[joint.end]) - 1 - lane)
            above = self.top - _ABOVE - apart * (len(before[joint.end]) - 1 - lane)
            points = [(x, foot[joint.start]), (x, below), (beside, below), (beside, above), (q, above), (q, self.top)]
            self.ways.append(points)
