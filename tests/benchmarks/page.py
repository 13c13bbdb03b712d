"""How quickly the page answers: python -m tests.benchmarks.page

Needs Chromium and its driver, and selenium: see `tests/drawing/browser.py`. Each time is from an action until what it
changed is painted, the median of five; the first of an action, with code not yet compiled, is given beside it.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tapenet.drawing.forms.page import to_html
from tapenet.drawing.model import Drawing
from tests.drawing.browser import Page, browser, missing
from tests.drawing.pages import blocks, chain, tangle

#: The name of a page: its drawing, and whether it has modules to fold.
PAGES = {
    "2,000 boxes in one level": tangle(2000),
    "2,000 boxes in 40 modules": blocks(40, 50),
    "10,000 boxes in 200 modules": blocks(200, 50),
    "a chain of 100,000 boxes": chain(100_000),
}


def search(word: str) -> str:
    return (
        "() => { const field = document.getElementById('search'); "
        f"field.value = {json.dumps(word)}; field.dispatchEvent(new Event('input')); }}"
    )


def fold(depth: str) -> str:
    return (
        "() => { const field = document.getElementById('depth'); "
        f"field.value = {json.dumps(depth)}; field.dispatchEvent(new Event('change')); }}"
    )


#: One module, the first that is drawn, whether it is open or closed.
FOLD_ONE = (
    "() => document.querySelector('#stage .head .grip, #stage .box .grip')"
    ".dispatchEvent(new MouseEvent('click', {bubbles: true}))"
)


def measure(page: Page, name: str, actions: list[str]) -> None:
    """Print what an action takes; of several, done in turn, each."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(5):
        for action, found in zip(actions, times, strict=True):
            found.append(page.time(action))
    for which, found in enumerate(times):
        label = name if len(actions) == 1 else f"{name} {('there', 'and back')[which]}"
        print(f"  {label:32} {statistics.median(found):7.1f} ms   first {found[0]:7.1f} ms")


def report(driver: object, folder: Path, name: str, drawing: Drawing) -> None:
    start = time.perf_counter()
    html = to_html(drawing, open=range(len(drawing.clusters)))
    written = time.perf_counter() - start
    page = Page(driver, folder / "net.html", html)
    print(f"{name}: written in {1000 * written:.0f} ms, {len(html) / 1e6:.2f} MB")
    loaded = page.js("return performance.timing.loadEventEnd - performance.timing.navigationStart")
    print(f"  {'opened':32} {loaded:7.1f} ms")
    for sight in ("near", "from afar"):
        if sight == "from afar":
            page.js("document.getElementById('zoom-fit').click()")
        measure(page, f"search, {sight}", [search("tanh"), search("")])
        if drawing.clusters:
            measure(page, f"all modules folded, {sight}", [fold("0"), fold("all")])
            if sight == "near" and len(drawing.clusters) > 1:
                measure(page, "one module folded", [FOLD_ONE, FOLD_ONE])


def main() -> None:
    why = missing()
    if why:
        sys.exit(why)
    with browser() as driver, tempfile.TemporaryDirectory() as folder:
        print("Chromium", driver.capabilities["browserVersion"])
        for name, drawing in PAGES.items():
            report(driver, Path(folder), name, drawing)


if __name__ == "__main__":
    main()
