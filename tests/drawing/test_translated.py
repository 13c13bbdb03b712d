"""What decides how a picture looks, in Python and in JavaScript: the same, to a hundredth of a point."""

from __future__ import annotations

from typing import Any

import pytest

import tapenet as tn
from tapenet.drawing.forms.page import to_html
from tapenet.drawing.forms.page.translated import javascript
from tapenet.drawing.layout import place
from tapenet.drawing.model import Drawing
from tapenet.drawing.passes.compact import bundle, mark_skips
from tapenet.drawing.passes.folding import fold
from tests.drawing.browser import missing
from tests.drawing.models import MODELS
from tests.drawing.pages import blocks, chain, nested, tangle, two_layers
from tests.drawing.ranks import tensor_parallel

_PLACES = """
return arguments[0].map((page) => {
  const run = new Function("document", page.script.replace(/\\n\\/\\/ The start of the page\\.[^]*$/, `
    const graph = makeGraph(DATA.drawing);
    const layout = new Layout(graph, new Folding(graph, DATA.open), DATA.direction);
    layout.update();
    return {
      size: layout.size,
      boxes: layout.seen.map((id) => [id, [layout.x, layout.y, layout.w, layout.h].map((list) => list[id])]),
      lines: layout.seen.map((id) => layout.lines.get(id).map((line) => [...line])),
      ways: layout.edges.map(({ points, label }) => [points, label && [...label]]),
    };
  })();`).replace(/^"use strict";\\n\\(\\(\\) => \\{/, "return (() => {"));
  return run({ getElementById: () => ({ textContent: page.data }) });
});
"""


def laid_out(driver: Any, pages: list[str]) -> list[Any]:
    """What pages lay out, all of them in one that is empty."""
    parts = []
    for page in pages:
        data, script = (text.partition("</script>")[0] for text in page.split("<script")[1:])
        parts.append({"data": data.partition(">")[2], "script": script.partition(">")[2]})
    driver.get("about:blank")
    found: list[Any] = driver.execute_script(_PLACES, parts)
    return found


def drawings() -> dict[str, Drawing]:
    found = {f"nested {seed}": nested(seed) for seed in range(6)}
    found |= {"backward": two_layers(backward=True), "tangle": tangle(200), "blocks": blocks(4, 20), "chain": chain(50)}
    found["ranks"] = tensor_parallel().drawing
    for name in ("lenet", "gpt", "unet", "rnn", "compiled"):
        found[name] = tn.draw(MODELS[name](), backward=name in ("lenet", "rnn"), parameters=name == "gpt").drawing
    return found


@pytest.mark.skipif(bool(missing()), reason=missing() or "there is a browser")
def test_a_page_lays_out_as_a_still_picture(driver: Any) -> None:
    cases = []
    for k, drawing in enumerate(drawings().values()):
        open_ = [i for i in range(len(drawing.clusters)) if k % 3 or i % 3]
        cases.append((drawing, open_, ("TB", "LR", "BT", "RL")[k % 4]))
    found = laid_out(driver, [to_html(drawing, open=open_, direction=direction) for drawing, open_, direction in cases])
    for (drawing, open_, direction), page in zip(cases, found, strict=True):
        still = place(mark_skips(bundle(fold(drawing, set(range(len(drawing.clusters))) - set(open_)))), direction)
        assert page["size"] == pytest.approx((still.width, still.height), abs=0.011)
        boxes = [*still.clusters, *still.boxes]
        for (_, where), box in zip(page["boxes"], boxes, strict=True):
            assert where == pytest.approx((box.x, box.y, box.width, box.height), abs=0.011)
        assert page["lines"] == [[list(line) for line in box.lines] for box in boxes]
        ways = [way for way in still.ways if way.points]
        for (points, label), way in zip(page["ways"], ways, strict=True):
            assert [x for point in points for x in point] == pytest.approx(
                [x for p in way.points for x in p], abs=0.011
            )
            assert (label and label[0]) == (way.label and way.label.text)
            assert not label or label[1:] == pytest.approx(way.label[1:], abs=0.011)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("with a: pass", "With"),
        ("x = (y := 2)", "NamedExpr"),
        ("try: pass\n    finally: pass", "Try"),
        ("return open('x')", "'open'"),
        ("return a.isalpha()", "'isalpha'"),
        ("return sorted(a, reverse=True)", "reverse"),
        ("return f'{a:>5}'", "f-string"),
        ("for x in a: pass\n    else: pass", "For"),
    ],
)
def test_what_is_not_known_is_refused_with_its_line(monkeypatch: pytest.MonkeyPatch, line: str, word: str) -> None:
    monkeypatch.setattr("tapenet.drawing.forms.page.translated._source", lambda _: f"def f(a):\n    {line}\n")
    with pytest.raises(SyntaxError, match=f"written, line 2: .*{word}"):
        javascript("written.f")
