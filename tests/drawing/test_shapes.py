"""The reader of our SVGs: what it makes of each element, and what it refuses."""

from __future__ import annotations

import pytest

from tapenet.drawing.forms.shapes import Shape, Text, read
from tapenet.drawing.forms.xdot import to_xdot


def svg(inside: str, size: str = 'width="20pt" height="10pt" viewBox="0 0 20 10"') -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{inside}</svg>'


def things(inside: str) -> list[Shape | Text]:
    return read(svg(inside)).things


def test_groups_hand_on_what_they_say() -> None:
    inside = (
        '<g fill="#ff0000" stroke="#00ff00" stroke-width="2"><g stroke-dasharray="4 3"><path d="M0 0H9"/></g>'
        '<rect fill="none" width="4" height="2"/></g><text>a</text>'
    )
    path, rect, text = things(inside)
    assert path == Shape([("M", (0, 0)), ("L", (9, 0))], "#ff0000", "#00ff00", 2, (4, 3))
    assert rect[1:] == ("", "#00ff00", 2, ())
    assert text == Text("a", 0, 0, "start", 16, False, "#000000", 0)


def test_paths() -> None:
    (path,) = things('<path d="M1 2V5H4L6 7Q9 7 9 10C1,2 3,4 5,6Z"/>')
    assert isinstance(path, Shape)
    assert path.outline == [
        ("M", (1, 2)), ("L", (1, 5)), ("L", (4, 5)), ("L", (6, 7)), ("C", (8, 7, 9, 8, 9, 10)), ("C", (1, 2, 3, 4, 5, 6)),
        ("Z", ()),
    ]  # fmt: skip


def test_rectangles_with_and_without_round_corners() -> None:
    plain, round_, circle = (
        thing.outline
        for thing in things(
            '<rect width="8" height="4"/><rect width="8" height="4" rx="9"/><circle r="2" cx="4" cy="2"/>'
        )
        if isinstance(thing, Shape)
    )
    assert [name for name, _ in plain] == ["M", "L", "L", "L", "Z"]
    assert [name for name, _ in round_] == ["M", *"LCLCLCLC", "Z"]
    assert round_[0] == ("M", (4, 0))  # no more than half of it is round
    assert [numbers[-2:] for name, numbers in circle if name == "C"] == [(6, 2), (4, 4), (2, 2), (4, 0)]


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("<image/>", "an element <image>"),
        ('<polygon fill="url(#g)" points="0,0"/>', r"the colour 'url\(#g\)'; write it as #rrggbb"),
        ('<path d="M0,0A1,2"/>', "a path with the command A"),
        ('<path d="M0,0C1,2"/>', "a path with 2 numbers after C"),
        ('<g transform="skewX(3)"/>', r"the transform skewX\(3\)"),
        ("<text>a<tspan>b</tspan></text>", "a text in pieces: 'ab'"),
    ],
)
def test_what_is_not_known_is_refused(inside: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(svg(inside))


def test_the_size_is_in_points() -> None:
    assert read(svg("", 'width="20px" height="10px" viewBox="1 2 20 10"'))[:6] == (1, 2, 20, 10, 15, 7.5)
    with pytest.raises(ValueError, match="no width in points: '50%'"):
        read(svg("", 'width="50%" height="10px" viewBox="1 2 20 10"'))


# -- in the words of Graphviz --------------------------------------------------------------------------------------


def operations(inside: str) -> str:
    dot = to_xdot(read(svg(inside)), 72)
    return dot.partition('_background="')[2].partition('"] n [')[0].replace('\\"', '"').strip()


def test_lines_and_shapes_are_counted_from_below() -> None:
    line = '<path fill="none" stroke="#123456" stroke-width="2" stroke-dasharray="4 3" d="M0 0H9V10"/>'
    assert operations(line) == "S 6 -dashed S 15 -setlinewidth(2) c 7 -#123456 L 3 0 10 9 10 9 0"
    box = '<rect fill="#ffffff" width="8" height="4"/>'
    assert operations(box) == "S 5 -solid S 15 -setlinewidth(1) c 9 -#ffffff00 C 7 -#ffffff P 4 0 10 8 10 8 6 0 6"


def test_a_figure_with_one_curve_is_a_curve() -> None:
    found = operations('<path fill="none" stroke="#123456" stroke-dasharray="1.5 3" d="M0 0H6Q9 0 9 3"/>')
    assert found.endswith("B 7 0 10 0 10 6 10 6 10 8 10 9 9 9 7")
    assert found.startswith("S 6 -dotted")


def test_text_is_counted_in_bytes_and_may_hold_anything() -> None:
    found = operations('<text text-anchor="middle" x="5" y="5" font-size="9" font-weight="bold">a"é\\"b</text>')
    assert found == 'c 7 -#000000 F 9 14 -Helvetica-Bold T 5 5 0 0 8 -a"é\\ "b'
