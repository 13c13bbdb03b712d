"""The lines of arrows: through all their points, with round corners, to a head at the tip."""

from __future__ import annotations

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from tapenet.drawing.forms.arrows import arrow
from tapenet.drawing.forms.shapes import read

START = '<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt" viewBox="0 0 9 9">'
places = st.integers(-300, 300).map(float)


def test_corners_are_round_where_there_is_room() -> None:
    line, _ = arrow(((0, 0), (0, 30), (50, 30), (50, 80)), 1)
    assert line == "M0 0V20Q0 30 10 30H40Q50 30 50 40V74"
    line, _ = arrow(((0, 0), (0, 4), (6, 4), (6, 80)), 1)
    assert line == "M0 0V1Q0 4 3 4Q6 4 6 7V74"


def test_the_head_points_where_the_line_ends() -> None:
    assert arrow(((0, 0), (30, 0)), 1)[1] == "30,0 24,2.6 24,-2.6"
    assert arrow(((0, 30), (0, 0)), 1)[1] == "0,0 2.6,6 -2.6,6"
    thin, thick = (re.split("[ ,]", arrow(((0, 0), (30, 0)), width)[1])[2] for width in (1, 2.2))
    assert float(thick) < float(thin)


def test_an_arrow_to_where_it_is_has_no_line() -> None:
    assert arrow(((5, 5),), 1) == arrow(((5, 5), (5, 5.1)), 1) == ("", "")


@given(st.lists(st.tuples(places, places), min_size=2, max_size=8))
def test_any_points_give_a_line_near_them(points: list[tuple[float, float]]) -> None:
    line, tip = arrow(tuple(points), 1.1)
    if not line:
        assert all(math.dist(point, points[0]) <= 0.3 for point in points)
        return
    outline = read(f'{START}<path fill="none" stroke="#000000" d="{line}"/></svg>').things[0].outline  # type: ignore[union-attr]
    assert outline[0] == ("M", points[0])
    xs, ys = zip(*points, strict=True)
    for _, numbers in outline:
        assert all(min(xs) - 0.1 <= x <= max(xs) + 0.1 for x in numbers[::2])
        assert all(min(ys) - 0.1 <= y <= max(ys) + 0.1 for y in numbers[1::2])
    head = [float(n) for n in re.split("[ ,]", tip)]
    assert math.dist(head[:2], outline[-1][1][-2:]) <= 6.5
